//! A session's own files, byte for byte.

use super::blocks::for_each_block;
use super::redaction::Redaction;
use super::source::ArchivedSession;
use crate::error::{Context, Error, Result};
use crate::home::Home;
use crate::id::Hash;
use crate::store::{ChunkCache, SessionRow, Store, Stream};
use crate::tools::{self, FIRST_LINE, Format, Head, Source, Tool, foreign};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// One file that was written, or was there already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NativeCopy {
    /// Where.
    pub path: PathBuf,
    /// False: it was there already, with the same bytes or more.
    pub written: bool,
    /// A file with the first part of our bytes is there and is replaced by the whole.
    completes: bool,
}

impl NativeCopy {
    fn there(path: PathBuf) -> Self {
        NativeCopy { path, written: false, completes: false }
    }

    fn new(path: PathBuf) -> Self {
        NativeCopy { path, written: true, completes: false }
    }
}

/// Puts the files of a session that its tool deleted back in their place. What the session stands on (the parent of a
/// fork by reference) is put back too. A file that is there is left alone if it has our bytes, completed if it is a
/// part of them, and a conflict otherwise.
pub fn restore(store: &Store, home: &Home, session: &SessionRow) -> Result<Vec<NativeCopy>> {
    // A transcript beside them is not the session.
    let is_rows = store.newest_stream(session.id, "main")?.and_then(|main| Format::parse(&main.format));
    if newest(store, session)?.is_empty() || is_rows.is_some_and(Format::has_versions) {
        return Err(without_files(session));
    }
    let tool = tools::find(&session.tool)?;
    let root = tool.root(home);
    let mut plan = Vec::new();
    let mut waiting = vec![session.clone()];
    let mut done = Vec::new();
    while let Some(row) = waiting.pop() {
        let parent = store.summary(row.id)?.forked_from;
        done.push(row.id);
        for stream in newest(store, &row)? {
            let copy = plan_copy(store, tool, home, &root, &row, &stream)?;
            plan.push((stream, copy));
        }
        if let Some(parent) = parent.map(|id| store.find_native(&row.tool, &id)).transpose()?.flatten()
            && !done.contains(&parent.id)
        {
            waiting.push(parent);
        }
    }
    for (stream, copy) in plan.iter().filter(|(_, copy)| copy.written) {
        write_stream(store, stream, &copy.path, copy.completes)?;
    }
    Ok(plan.into_iter().map(|(_, copy)| copy).collect())
}

fn without_files(session: &SessionRow) -> Error {
    if let Some(tool) = tools::find(&session.tool).ok().filter(|tool| tool.database().is_some()) {
        return Error::failed(format!("{} keeps session {} in its database", tool.name(), session.public_id))
            .hint(format!("that is only read; sfs resume {} --in {}", session.public_id, tools::writable()));
    }
    Error::failed(format!("session {} has no native files", session.public_id))
        .hint(format!("it was imported without them; `sfs resume {} --in TOOL` writes it anew", session.public_id))
}

/// Copies a session's files into `folder`, with their paths below the tool's folder kept. Without its secrets it is a copy
/// to look at and to hand on, of the same lines; it can't stand for the original.
pub fn export_native(
    store: &Store,
    folder: &Path,
    session: &SessionRow,
    redaction: &Redaction,
) -> Result<Vec<NativeCopy>> {
    let mut copies = Vec::new();
    for stream in newest(store, session)? {
        let Some(relative) = relative_path(&stream) else { continue };
        let path = folder.join(relative);
        if path.exists() {
            return Err(Error::conflict(format!("{} is already there", path.display()))
                .hint("export into an empty folder with -o DIR"));
        }
        if redaction.is_on() {
            write_redacted(store, &stream, &path, redaction)?;
        } else {
            write_stream(store, &stream, &path, false)?;
        }
        copies.push(NativeCopy::new(path));
    }
    if copies.is_empty() { Err(without_files(session)) } else { Ok(copies) }
}

/// The newest generation of each stream that has a native file. A copy that went its own way (`main~…`) is left out where it
/// lay at the same place below the tool's folder, in another home: one place holds one file, of copies alone the longest. So
/// does the session as another device has it.
pub(super) fn newest(store: &Store, session: &SessionRow) -> Result<Vec<Stream>> {
    let mut streams = store.streams(session.id)?;
    streams.retain(|stream| is_in_place(store, session, stream) && !stream.is_branch());
    streams.reverse();
    streams.dedup_by(|older, newer| older.name == newer.name);
    streams.reverse();
    let rank = |stream: &Stream| (is_first(stream), stream.length, stream.id);
    let mut best = BTreeMap::new();
    for stream in &streams {
        let known = best.entry(stream.native_path.clone()).or_insert_with(|| rank(stream));
        *known = rank(stream).max(*known);
    }
    streams.retain(|stream| is_first(stream) || best.get(&stream.native_path) == Some(&rank(stream)));
    Ok(streams)
}

/// What a person has to know of streams that are never put anywhere: the path that came with them is none of the session's, see
/// [`tools::is_place_of`].
pub fn out_of_place(store: &Store, session: &SessionRow) -> Result<Vec<String>> {
    let mut streams = store.streams(session.id)?;
    streams.retain(|stream| !is_in_place(store, session, stream));
    let told = streams.iter().filter_map(|stream| {
        let path = stream.native_path.as_deref()?;
        Some(format!("{} stays in the archive: {path} is no place of this session's files", stream.name))
    });
    Ok(told.collect())
}

/// True for a stream with a native file in a place that is its own.
fn is_in_place(store: &Store, session: &SessionRow, stream: &Stream) -> bool {
    let (Some(path), Ok(tool)) = (&stream.native_path, tools::find(&session.tool)) else { return false };
    let Some(format) = Format::parse(&stream.format) else { return false };
    let whose = (&session.native_id[..], &stream.name[..], format);
    tools::is_place_of(tool, path, whose, &mut |head| beginning(store, stream, head).ok())
}

fn beginning(store: &Store, stream: &Stream, head: Head) -> Result<Vec<u8>> {
    let most = if let Head::Bytes(length) = head { length } else { FIRST_LINE };
    let (mut bytes, mut cache) = (Vec::new(), ChunkCache::default());
    while (bytes.len() as u64) < stream.length.min(most) {
        bytes.extend(store.read_piece(stream, bytes.len() as u64, &mut cache)?);
        if matches!(head, Head::FirstLine) && bytes.contains(&b'\n') {
            break;
        }
    }
    bytes.truncate(most as usize);
    if matches!(head, Head::FirstLine) {
        bytes.truncate(memchr::memchr(b'\n', &bytes).unwrap_or(bytes.len()));
    }
    Ok(bytes)
}

fn is_first(stream: &Stream) -> bool {
    tools::base_name(&stream.name) == stream.name
}

/// Where the stream lies below the tool's folder. An archived rollout is put back uncompressed.
pub(super) fn relative_path(stream: &Stream) -> Option<PathBuf> {
    let path = stream.native_path.as_deref()?;
    let path = Path::new(path.strip_suffix(".zst").unwrap_or(path));
    path.components().all(|part| matches!(part, std::path::Component::Normal(_))).then(|| path.to_owned())
}

/// What has to be done for a stream's file; an error where another file is in the way.
fn plan_copy(
    store: &Store,
    tool: &dyn Tool,
    home: &Home,
    root: &Path,
    session: &SessionRow,
    stream: &Stream,
) -> Result<NativeCopy> {
    let relative = relative_path(stream)
        .ok_or_else(|| Error::failed(format!("stream {} has an unsafe native path", stream.name)))?;
    let path = root.join(relative);
    if has_compressed(stream, root) {
        return Ok(NativeCopy::there(path));
    }
    match compare(store, stream, &path)? {
        Comparison::Same => Ok(NativeCopy::there(path)),
        Comparison::Part if tool.writer().is_some_and(|w| w.is_open(home, &session.native_id)) => {
            Err(Error::conflict(format!("{} is in use by a running {}", path.display(), tool.name()))
                .hint("end that client first"))
        }
        Comparison::Missing => Ok(NativeCopy::new(path)),
        Comparison::Part => Ok(NativeCopy { completes: true, ..NativeCopy::new(path) }),
        Comparison::Different => Err(Error::conflict(format!("{} has other content than the archive", path.display()))
            .hint(format!("sfs resume {} writes the session under a new id", session.public_id))),
    }
}

/// True where the tool still has the stream in its compressed form.
fn has_compressed(stream: &Stream, root: &Path) -> bool {
    let path = stream.native_path.as_deref().map(Path::new);
    path.is_some_and(|path| path.extension().is_some_and(|e| e == "zst") && root.join(path).exists())
}

/// What stands at a place, compared with the bytes that belong there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Missing,
    /// The file has all of our bytes.
    Same,
    /// The file has the first part of our bytes.
    Part,
    Different,
}

pub(super) fn compare(store: &Store, stream: &Stream, path: &Path) -> Result<Comparison> {
    let (mut cache, mut at) = (ChunkCache::default(), 0);
    compare_pieces(path, &mut || {
        if at == stream.length {
            return Ok(None);
        }
        let piece = store.read_piece(stream, at, &mut cache)?;
        at += piece.len() as u64;
        Ok(Some(piece))
    })
}

/// Compares the file at `path` with what `next` gives until `None`. A stream that ends too early is like no file.
pub(super) fn compare_pieces(path: &Path, next: &mut dyn FnMut() -> Result<Option<Vec<u8>>>) -> Result<Comparison> {
    let unreadable = || format!("{} can't be read", path.display());
    let Some(mut file) = foreign::open(path).context(unreadable)? else {
        // Something that is no file is not ours to replace.
        let is_missing = path.symlink_metadata().is_err();
        return Ok(if is_missing { Comparison::Missing } else { Comparison::Different });
    };
    while let Some(ours) = next()? {
        let mut theirs = Vec::with_capacity(ours.len());
        (&mut file).take(ours.len() as u64).read_to_end(&mut theirs).context(unreadable)?;
        if !ours.starts_with(&theirs) || ours.is_empty() {
            return Ok(Comparison::Different);
        }
        if theirs.len() < ours.len() {
            return Ok(Comparison::Part);
        }
    }
    Ok(Comparison::Same)
}

/// Writes a stream to `path`, beside it first, then renamed; says what SHA-256 the bytes have.
pub(super) fn write_stream(store: &Store, stream: &Stream, path: &Path, replace: bool) -> Result<Hash> {
    let mut hash = Sha256::new();
    write_atomically(path, replace, &mut |out| {
        copy_stream(store, stream, &mut |piece| {
            hash.update(piece);
            out.write_all(piece).context(|| format!("{} can't be written", path.display()))
        })
    })?;
    Ok(Hash(hash.finalize().into()))
}

fn write_redacted(store: &Store, stream: &Stream, path: &Path, redaction: &Redaction) -> Result<()> {
    write_atomically(path, false, &mut |out| {
        for_each_block(store, stream, &mut |_, block| {
            out.write_all(&redaction.line(block)).context(|| format!("{} can't be written", path.display()))
        })
    })
}

/// Gives all bytes of a stream to `each`, piece by piece.
pub fn copy_stream(store: &Store, stream: &Stream, each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut cache = ChunkCache::default();
    let mut at = 0;
    while at < stream.length {
        let piece = store.read_piece(stream, at, &mut cache)?;
        if piece.is_empty() {
            return Err(Error::failed(format!("stream {} ends early", stream.name)).hint("sfs admin check"));
        }
        each(&piece)?;
        at += piece.len() as u64;
    }
    Ok(())
}

/// Removes what a killed writer left. An hour is longer than any write takes.
fn sweep(folder: &Path) {
    let is_left = |entry: &fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let age = entry.metadata().and_then(|metadata| metadata.modified()).map(|at| at.elapsed().unwrap_or_default());
        let extension = Path::new(&name).extension().is_some_and(|extension| extension == "tmp");
        name.starts_with(".sessionfs-") && extension && age.is_ok_and(|age| age.as_secs() > 3600)
    };
    for entry in folder.read_dir().into_iter().flatten().flatten().filter(is_left) {
        // Somebody else may be sweeping too.
        let _ = fs::remove_file(entry.path());
    }
}

/// Writes a file of mode 0600 under a name that tools ignore, syncs it and gives it its name. Missing folders are made.
pub(crate) fn write_atomically(
    path: &Path,
    replace: bool,
    fill: &mut dyn FnMut(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    let unwritable = || format!("{} can't be written", path.display());
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::DirBuilder::new().recursive(true).mode(0o755).create(folder).context(unwritable)?;
    sweep(folder);
    let temporary = tempfile::Builder::new()
        .prefix(".sessionfs-")
        .suffix(".tmp")
        .permissions(fs::Permissions::from_mode(0o600))
        .tempfile_in(folder)
        .context(unwritable)?;
    let mut out = std::io::BufWriter::with_capacity(256 << 10, temporary);
    fill(&mut out)?;
    let temporary = out.into_inner().map_err(std::io::IntoInnerError::into_error).context(unwritable)?;
    temporary.as_file().sync_all().context(unwritable)?;
    if replace {
        temporary.persist(path).map_err(|e| e.error).context(unwritable)?;
    } else {
        temporary.persist_noclobber(path).map_err(|e| {
            let there = e.error.kind() == std::io::ErrorKind::AlreadyExists;
            let error = if there {
                Error::conflict(format!("{} is already there", path.display()))
            } else {
                Error::failed(unwritable())
            };
            error.because(e.error)
        })?;
    }
    File::open(folder).and_then(|folder| folder.sync_all()).context(unwritable)
}

impl ArchivedSession<'_> {
    /// Whether the tool still has the session's main file, and with all of our bytes.
    pub(super) fn native_state(&self, store: &Store, root: &Path) -> Result<NativeState> {
        let Some(info) = self.newest("main") else { return Ok(NativeState::Never) };
        let main = self.native_streams().iter().find(|s| s.name == "main" && s.generation == info.generation);
        let Some(main) = main.filter(|main| is_in_place(store, &self.row, main)) else { return Ok(NativeState::Never) };
        if has_compressed(main, root) {
            return Ok(NativeState::Intact);
        }
        let Some(relative) = relative_path(main) else { return Ok(NativeState::Never) };
        Ok(match compare(store, main, &root.join(relative))? {
            Comparison::Missing => NativeState::Missing,
            Comparison::Same => NativeState::Intact,
            Comparison::Part => NativeState::Part,
            Comparison::Different => NativeState::Different,
        })
    }
}

/// What became of a session's main native file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NativeState {
    /// The session did not come from a native file.
    Never,
    /// The tool deleted it.
    Missing,
    /// It has all of our bytes.
    Intact,
    /// It has the first part of our bytes.
    Part,
    /// It has other bytes.
    Different,
}
