//! Sessions of a project whose folder moved, so that their tools find them from the new one.
//!
//! A tool's files are not changed in place: where a tool looks for a session by its project, its files are written once
//! more at the place where it looks now, under the same id, and with the new folder in the fields that name it. Text is not
//! touched. The archive goes first: from then on the session works in the new folder, and its files there are its files.
//! What stands there already may be what is left of the session from an earlier move: where it is a part of what is to be
//! written, it is completed. Anything else is left alone, and the session stays where it is.

use super::native::{Comparison, compare, compare_pieces, newest, relative_path, write_stream};
use super::resume::refresh;
use crate::capture::{Capture, MovedStream, archive_move};
use crate::error::{Context, Error, Result};
use crate::home::Home;
use crate::store::{ChunkCache, Filter, SessionRow, Store, Stream};
use crate::tools::{self, Format, MAX_LINE, Moved, Mover, Tool};
use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// So much is compared at a time.
const PIECE: u64 = 1 << 20;

/// What is to be done for one session.
pub struct MovePlan {
    /// Which.
    pub session: SessionRow,
    /// From where to where.
    pub moved: Moved,
    /// Its files, and whether the tool has them now.
    files: Vec<(Stream, String, bool)>,
    tool: Option<&'static dyn Tool>,
}

/// What was done for one session.
#[derive(Debug, Default)]
pub struct Moving {
    /// Files that were written.
    pub files: Vec<PathBuf>,
    /// What could not be done.
    pub note: Option<String>,
}

/// Whether any session worked in `folder` or below it.
pub fn has_sessions(store: &Store, folder: &Path) -> Result<bool> {
    let filter = Filter { project: Some(folder.to_string_lossy().into_owned()), ..Filter::default() };
    Ok(store.count(&filter)? > 0)
}

/// The sessions that worked in the folder `moved.from` or below it and have to follow it.
pub fn plan_moves(store: &mut Store, home: &Home, moved: &Moved) -> Result<Vec<MovePlan>> {
    let filter = Filter { project: Some(moved.from.to_string_lossy().into_owned()), ..Filter::default() };
    let mut plans = Vec::new();
    for (session, summary) in store.list(&filter)? {
        let Some(project) = summary.project.map(PathBuf::from) else { continue };
        // The new folder may lie below the old one: what is in it has followed already.
        let Some(to) = moved.path(&project.to_string_lossy()).filter(|_| !project.starts_with(&moved.to)) else {
            continue;
        };
        plans.push(MovePlan::of(store, home, session, Moved { from: project, to: to.into() })?);
    }
    Ok(plans)
}

impl MovePlan {
    /// What has to be done so that `session` works in `moved.to`.
    pub fn of(store: &mut Store, home: &Home, session: SessionRow, moved: Moved) -> Result<MovePlan> {
        refresh(store, home, &session)?;
        let tool = tools::find(&session.tool).ok();
        let mut plan = MovePlan { session, moved, files: Vec::new(), tool };
        let Some((tool, rules)) = tool.and_then(|tool| Some((tool, tool.mover()?))) else { return Ok(plan) };
        for stream in newest(store, &plan.session)? {
            let Some(old) = relative_path(&stream).filter(|_| tools::base_name(&stream.name) == stream.name) else {
                continue;
            };
            let new = rules.place(home, &old.to_string_lossy(), &plan.moved.to);
            if let Some(new) = new.filter(|new| Path::new(new) != old) {
                plan.files.push((stream, new, tool.root(home).join(old).exists()));
            }
        }
        Ok(plan)
    }

    /// What [`MovePlan::perform`] would do, or why it could not.
    pub fn preview(&self, store: &Store, home: &Home) -> Result<Moving> {
        let files =
            self.prepare(store, home)?.into_iter().filter_map(|file| file.write).map(|(path, _)| path).collect();
        Ok(Moving { files, note: None })
    }

    /// Does it. What is in the way is an error before anything is touched.
    pub fn perform(self, store: &mut Store, home: &Home) -> Result<Moving> {
        let prepared = self.prepare(store, home)?;
        let MovePlan { session, moved, tool, .. } = self;
        let (mut streams, writes): (Vec<_>, Vec<_>) = prepared.into_iter().map(|file| (file.moved, file.write)).unzip();
        archive_move(store, &session, &moved.to, &mut streams)?;
        let mut done = Moving::default();
        let Some((tool, rules)) = tool.and_then(|tool| Some((tool, tool.mover()?))) else { return Ok(done) };
        for (moved, write) in streams.iter().zip(writes) {
            let Some((path, completes)) = write else { continue };
            write_stream(store, &moved.stream, &path, completes)
                .map_err(|error| error.hint(format!("sfs restore {} puts its files there", session.public_id)))?;
            done.files.push(path);
        }
        done.note = rules.list(home, &session.native_id, &moved)?;
        let root = tool.root(home);
        let root = root.canonicalize().unwrap_or(root);
        let new = streams.iter().map(|moved| root.join(&moved.native_path)).filter(|file| file.exists()).collect();
        Capture { home, store, tool }.files(new, &mut |_| {})?;
        Ok(done)
    }

    fn prepare(&self, store: &Store, home: &Home) -> Result<Vec<Prepared>> {
        let Some((tool, rules)) = self.tool.and_then(|tool| Some((tool, tool.mover()?))) else { return Ok(Vec::new()) };
        if tool.writer().is_some_and(|writer| writer.is_open(home, &self.session.native_id)) {
            return Err(Error::conflict(format!("session {} is open in {}", self.session.public_id, tool.name()))
                .hint("end that client first"));
        }
        let mut prepared = Vec::new();
        for (stream, native_path, is_there) in &self.files {
            let inherited = if stream.name == "main" { self.session.inherited } else { 0 };
            let content = rewritten(store, home, stream, rules, &self.moved, inherited)?;
            let moved = MovedStream { stream: stream.clone(), native_path: native_path.clone(), content };
            let path = tool.root(home).join(native_path);
            let write = if *is_there { self.write(store, &moved, path)? } else { None };
            prepared.push(Prepared { moved, write });
        }
        Ok(prepared)
    }

    /// Where the stream is to be written, and whether it completes what is there; `None` where it is there.
    fn write(&self, store: &Store, moved: &MovedStream, path: PathBuf) -> Result<Option<(PathBuf, bool)>> {
        let there = match &moved.content {
            None => compare(store, &moved.stream, &path)?,
            Some((file, _)) => compare_file(file, &path)?,
        };
        match there {
            Comparison::Missing => Ok(Some((path, false))),
            Comparison::Part => Ok(Some((path, true))),
            Comparison::Same => Ok(None),
            Comparison::Different => Err(Error::conflict(format!("{} is already there", path.display()))
                .hint(format!("sfs resume {} --project DIR writes it under a new id", self.session.public_id))),
        }
    }
}

/// A file that is to lie elsewhere.
struct Prepared {
    moved: MovedStream,
    write: Option<(PathBuf, bool)>,
}

fn compare_file(mut content: &File, path: &Path) -> Result<Comparison> {
    let unreadable = || "the changed copy can't be read";
    content.seek(SeekFrom::Start(0)).context(unreadable)?;
    compare_pieces(path, &mut || {
        let mut piece = Vec::new();
        content.take(PIECE).read_to_end(&mut piece).context(unreadable)?;
        Ok((!piece.is_empty()).then_some(piece))
    })
}

/// The stream's content with its lines changed, and how long the first `inherited` bytes are in it; `None` where no line
/// names the folder.
fn rewritten(
    store: &Store,
    home: &Home,
    stream: &Stream,
    rules: &dyn Mover,
    moved: &Moved,
    inherited: u64,
) -> Result<Option<(File, u64)>> {
    if !Format::parse(&stream.format).is_some_and(Format::has_lines) {
        return Ok(None);
    }
    let unwritable = || format!("{} can't be written", home.data.display());
    let file = tempfile::tempfile_in(&home.data).context(unwritable)?;
    let mut copy =
        Copy { out: BufWriter::new(file), rules, moved, inherited, boundary: 0, read: 0, written: 0, changed: false };
    let mut line = Vec::new();
    let (mut cache, mut at) = (ChunkCache::default(), 0);
    while at < stream.length {
        let piece = store.read_piece(stream, at, &mut cache)?;
        if piece.is_empty() {
            return Err(Error::failed(format!("stream {} ends early", stream.name)).hint("sfs admin check"));
        }
        at += piece.len() as u64;
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(part);
            if part.ends_with(b"\n") || line.len() > MAX_LINE {
                copy.line(&line).context(unwritable)?;
                line.clear();
            }
        }
    }
    copy.line(&line).context(unwritable)?;
    let Copy { out, boundary, changed, .. } = copy;
    let file = out.into_inner().map_err(std::io::IntoInnerError::into_error).context(unwritable)?;
    Ok(changed.then_some((file, boundary)))
}

/// A copy in the making.
struct Copy<'a> {
    out: BufWriter<File>,
    rules: &'a dyn Mover,
    moved: &'a Moved,
    inherited: u64,
    /// Where the inherited bytes end in the copy.
    boundary: u64,
    read: u64,
    written: u64,
    changed: bool,
}

impl Copy<'_> {
    fn line(&mut self, line: &[u8]) -> std::io::Result<()> {
        let content = line.strip_suffix(b"\n").unwrap_or(line);
        let new = self.rules.line(content, self.moved);
        self.changed |= new.is_some();
        let end = &line[content.len()..];
        let content = new.as_deref().unwrap_or(content);
        self.read += line.len() as u64;
        self.written += (content.len() + end.len()) as u64;
        if self.read <= self.inherited {
            self.boundary = self.written;
        }
        self.out.write_all(content)?;
        self.out.write_all(end)
    }
}
