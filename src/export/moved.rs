//! Sessions of a project whose folder moved, so that their tools find them from the new one.
//!
//! A tool's files are not changed in place: where a tool looks for a session by its project, its files are written once
//! more at the place where it looks now, under the same id, and with the new folder in the fields that name it. Text is not
//! touched. The archive goes first: from then on the session works in the new folder, and its files there are its files.

use super::native::{newest, relative_path, write_stream};
use super::resume::refresh;
use crate::capture::{Capture, MovedStream, archive_move};
use crate::error::{Context, Error, Result};
use crate::home::Home;
use crate::store::{ChunkCache, Filter, SessionRow, Store, Stream};
use crate::tools::{self, Format, MAX_LINE, Moved, Mover, Tool};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

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

    /// The files that will be written.
    pub fn files(&self, home: &Home) -> Vec<PathBuf> {
        let Some(root) = self.tool.map(|tool| tool.root(home)) else { return Vec::new() };
        self.files.iter().filter(|(_, _, is_there)| *is_there).map(|(_, new, _)| root.join(new)).collect()
    }

    /// Does it. What is in the way is an error before anything is touched.
    pub fn perform(self, store: &mut Store, home: &Home) -> Result<Moving> {
        self.check(home)?;
        let files = self.files(home);
        let MovePlan { session, moved, files: planned, tool } = self;
        let rules = tool.and_then(|tool| tool.mover());
        let (mut streams, mut is_there) = (Vec::new(), Vec::new());
        for (stream, native_path, there) in planned {
            let inherited = if stream.name == "main" { session.inherited } else { 0 };
            let content =
                rules.map(|rules| rewritten(store, home, &stream, rules, &moved, inherited)).transpose()?.flatten();
            streams.push(MovedStream { stream, native_path, content });
            is_there.push(there);
        }
        archive_move(store, &session, &moved.to, &mut streams)?;
        let mut done = Moving { files, note: None };
        let Some((tool, rules)) = tool.zip(rules) else { return Ok(done) };
        let root = tool.root(home);
        for (moved, _) in streams.iter().zip(is_there).filter(|(_, there)| *there) {
            write_stream(store, &moved.stream, &root.join(&moved.native_path), false)
                .map_err(|error| error.hint(format!("sfs restore {} puts its files there", session.public_id)))?;
        }
        done.note = rules.list(home, &session.native_id, &moved)?;
        let root = root.canonicalize().unwrap_or(root);
        let new = streams.iter().map(|moved| root.join(&moved.native_path)).filter(|file| file.exists()).collect();
        Capture { home, store, tool }.files(new, &mut |_| {})?;
        Ok(done)
    }

    fn check(&self, home: &Home) -> Result<()> {
        if let Some(tool) = self.tool
            && tool.writer().is_some_and(|writer| writer.is_open(home, &self.session.native_id))
        {
            return Err(Error::conflict(format!("session {} is open in {}", self.session.public_id, tool.name()))
                .hint("end that client first"));
        }
        match self.files(home).into_iter().find(|file| file.symlink_metadata().is_ok()) {
            Some(file) => Err(Error::conflict(format!("{} is already there", file.display()))
                .hint(format!("sfs resume {} --project DIR writes it under a new id", self.session.public_id))),
            None => Ok(()),
        }
    }
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
