//! One native file: what became of it since we last looked, and its new bytes into the archive.
//!
//! Growth is checked cheaply: same inode, same first 4 KiB, same last 4 KiB before the captured end. Anything else (another
//! inode, a smaller size, a new time without growth) is compared byte by byte with the archive; only where it differs, a
//! new generation begins, and the old one stays. Not seen: an edit in the middle that keeps the length, together with growth,
//! between two looks. No tool writes so, and seeing it would cost a reading of the whole file for every appended line.

use super::derive::{self, Derivation};
use super::facts::{self, Fact};
use super::scan::mtime_ns;
use super::{Ground, branches, database};
use crate::error::{Context, Error, Result};
use crate::id::Hash;
use crate::model::observation::Observation;
use crate::store::{ChunkCache, Event, NativeFile, SessionRow, Store, Stream, StreamKey};
use crate::tools::{self, FIRST_LINE, Format, Head, Place, Tool, foreign};
use serde_json::json;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// So much of a file's start, and of the end of what we have, is compared before new bytes are appended.
const WINDOW: u64 = 4096;

/// A file on its way into the archive; survives from one transaction to the next.
pub(super) struct Progress {
    file: NativeFile,
    content: Content,
    stream: Stream,
    session: SessionRow,
    format: Format,
    /// The native file was rewritten: what was derived from older generations is rebuilt at the end.
    rewritten: bool,
    /// Nothing of it is seen: it is a digest of what the archive has.
    is_aside: bool,
    done: bool,
}

impl Progress {
    /// Opens the file at `path`. `None`: there is nothing to capture (unchanged, vanished, not part of a session).
    pub(super) fn open(store: &mut Store, ground: &Ground, path: &Path) -> Result<Option<Progress>> {
        let tool = ground.tool;
        // A file of another home: it is looked at when that home is imported.
        let Ok(relative) = path.strip_prefix(&ground.root) else { return Ok(None) };
        let text = path.to_string_lossy().into_owned();
        let known = store.native_file(&text)?;
        // What is none by its place is not opened: secrets may lie there too.
        let is_new = known.as_ref().is_none_or(|known| known.stream.is_none());
        if is_new && tool.place(relative, &mut || None) == Place::Other {
            return Ok(None);
        }
        let Some(mut content) = Content::open(path)? else { return Ok(None) };
        // An emptied file says nothing new, like any other part of what we have (see below), compressed or not.
        if content.size == 0 && known.as_ref().is_some_and(|known| known.stream.is_some()) {
            return Ok(None);
        }
        if known.as_ref().is_some_and(|known| content.looks_like(known)) {
            return Ok(None);
        }
        // A tool that compresses a file deletes the plain one only when it is done.
        if path.extension().is_some_and(|extension| extension == "zst") && path.with_extension("").exists() {
            return Ok(None);
        }
        let owner = if let Some(stream) = known.as_ref().and_then(|known| known.stream) {
            // It was placed when it was new: an appended line does not cost another look at the first one.
            Owner::of_stream(store, stream)?
        } else {
            let Some(placed) = Placed::of(tool, relative, &mut content)? else { return Ok(None) };
            Some(placed.owner(store, ground)?)
        };
        let Some(owner) = owner else { return Ok(None) };
        let is_aside = owner.is_outdone(store)?;
        let owner = if is_aside { owner.beside(store, &text)? } else { owner };
        let Owner { session, name, format, stream } = owner;
        // What was purged does not come back: the file is remembered as seen, and that is all.
        if session.purged_at.is_some() {
            store.save_native_file(&NativeFile { stream: None, ..content.describe(tool.id(), text, 0) })?;
            return Ok(None);
        }
        if stream.is_none() && store.streams(session.id)?.is_empty() {
            store.audit(Event::Captured, &session.public_id, &json!({"tool": tool.id(), "path": &text}))?;
        }
        let is_unknown = is_new || store.summary(session.id)?.project.is_none();
        if is_unknown && let Some(project) = tool.project(&ground.root, relative) {
            facts::observe(store, tool.id(), &session.native_id, Observation::Project(project))?;
        }
        let relative = relative.to_string_lossy();
        let key = StreamKey {
            session: session.id,
            name: &name,
            generation: 0,
            format: format.as_str(),
            native_path: Some(&relative),
        };
        let claimed = match stream {
            Some(stream) => Some(stream),
            None if is_aside => claim_aside(store, key, &mut content)?,
            None => claim(store, key, &text, &mut content)?,
        };
        let Some(mut stream) = claimed else {
            let file = NativeFile { stream: None, ..content.describe(tool.id(), text, 0) };
            store.save_native_file(&file)?;
            return Ok(None);
        };
        if known.as_ref().is_some_and(|known| known.gone_at.is_some()) {
            facts::append(store, session.id, &Fact::back(jiff::Timestamp::now(), &text))?;
        }
        let change = if stream.format == key.format {
            content.compare(store, &stream, known.as_ref())?
        } else {
            Change::Rewritten
        };
        let rewritten = change == Change::Rewritten;
        match change {
            Change::Grown => {}
            Change::Truncated => {
                let head = known.map(|known| known.head).unwrap_or_default();
                let captured_at = jiff::Timestamp::now().as_millisecond();
                let file = content.describe(tool.id(), text, stream.id);
                store.save_native_file(&NativeFile { head, captured_at, ..file })?;
                return Ok(None);
            }
            Change::Rewritten => {
                let key = StreamKey { name: &stream.own_name.clone(), generation: stream.generation + 1, ..key };
                stream = if format.is_one_line() { store.create_stream(key)? } else { create_unseen(store, key)? };
            }
        }
        content.skip_to(stream.length)?;
        let file = content.describe(tool.id(), text, stream.id);
        Ok(Some(Progress { file, content, stream, session, format, rewritten, is_aside, done: false }))
    }

    /// Archives up to `budget` bytes more; says how many.
    pub(super) fn advance(&mut self, store: &mut Store, budget: usize) -> Result<usize> {
        let bytes = self.content.read(budget.max(WINDOW as usize))?;
        // Since the last transaction another process may have purged the session. Appending would notice, nothing else would.
        if bytes.is_empty() && !store.has_stream(&self.stream)? {
            return Err(Error::conflict(format!("{} was purged meanwhile", self.session.public_id)));
        }
        // Nor may it have taken in what this is a digest of: the next try puts the file where it belongs now.
        if !self.is_aside && is_outdone(store, &self.session, &self.stream.own_name, self.format)? {
            return Err(Error::conflict(format!("{} was captured in full meanwhile", self.session.public_id)));
        }
        let old_length = self.stream.length;
        store.append(&mut self.stream, &bytes)?;
        self.done = bytes.len() < budget.max(WINDOW as usize);
        if let Some(mut derivation) = Derivation::load(store, self.format, &self.session, &self.stream)? {
            derivation.set_fallback_time(self.file.mtime_ns / 1_000_000);
            derivation.read(store, &self.stream, old_length, &bytes, self.done)?;
            derivation.save(store)?;
        } else {
            derive::touch(store, self.session.id, self.file.mtime_ns / 1_000_000)?;
        }
        self.save(store)?;
        if self.done && self.rewritten && self.format.is_one_line() {
            derive::supersede(store, &self.session, &self.stream)?;
        } else if self.done && self.is_out_of_date(store)? {
            derive::rebuild_session(store, self.session.id)?;
        }
        Ok(bytes.len())
    }

    /// True where more than the new lines has to be read: after a rewrite, and where another device's stream is no longer,
    /// or now, ahead of this one.
    fn is_out_of_date(&self, store: &mut Store) -> Result<bool> {
        let is_alone = !self.stream.is_branch() && self.stream.shared == 0;
        Ok(!is_alone && !self.is_aside && self.format.has_lines() && branches::settle(store, self.session.id)?)
    }

    fn save(&mut self, store: &mut Store) -> Result<()> {
        let window = self.stream.length.min(WINDOW);
        let head = match self.content.head(window) {
            Some(head) => head,
            None => store.read_range(&self.stream, 0, window, &mut ChunkCache::default())?,
        };
        // Until the file is through, its size does not look like the file's: a crash leads here again.
        let size = if self.done { self.file.size } else { 0 };
        let captured_at = jiff::Timestamp::now().as_millisecond();
        store.save_native_file(&NativeFile { head: Hash::of(&head).0.to_vec(), size, captured_at, ..self.file.clone() })
    }

    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    pub(super) fn session(&self) -> i64 {
        self.session.id
    }

    pub(super) fn path(&self) -> &Path {
        &self.content.path
    }
}

/// Session and stream of a file that is not archived, as its tool tells them.
pub(super) struct Placed {
    pub(super) native_id: String,
    pub(super) stream: String,
    format: Format,
}

/// `None` where the file at `path` is not part of a session, or that can't be told.
pub(super) fn whose(ground: &Ground, path: &Path) -> Option<Placed> {
    let relative = path.strip_prefix(&ground.root).ok()?;
    Placed::of(ground.tool, relative, &mut Content::open(path).ok()??).ok()?
}

impl Placed {
    /// Its path tells, or its beginning.
    fn of(tool: &dyn Tool, relative: &Path, content: &mut Content) -> Result<Option<Placed>> {
        let mut head = Ok(None);
        let place = tool.place(relative, &mut || {
            head = content.beginning(tool.head(relative));
            head.as_mut().ok()?.take()
        });
        head?;
        let Place::Session { native_id, stream, format } = place else { return Ok(None) };
        Ok(Some(Placed { native_id, stream, format }))
    }

    /// A digest belongs where the rows are that it is of; a sub-agent's file does not always tell whose it is.
    fn owner(self, store: &mut Store, ground: &Ground) -> Result<Owner> {
        let place = self.stream.strip_prefix("subagents/").unwrap_or(&self.native_id);
        if let Some(database) = ground.database.as_ref().filter(|_| self.format.is_digest())
            && let Some(rows) = database::stream_at(store, database, place)?
        {
            let name = tools::base_name(&rows.own_name).to_owned();
            return Ok(Owner { session: store.session(rows.session)?, name, format: self.format, stream: None });
        }
        let session = store.ensure_session(ground.tool.id(), &self.native_id)?;
        Ok(Owner { session, name: self.stream, format: self.format, stream: None })
    }
}

/// Whose a native file is, and which of its streams.
struct Owner {
    session: SessionRow,
    name: String,
    format: Format,
    /// Where it is archived already.
    stream: Option<Stream>,
}

impl Owner {
    /// Of a file that is archived already.
    fn of_stream(store: &Store, stream: i64) -> Result<Option<Owner>> {
        let stream = store.stream(stream)?;
        let Some(format) = Format::parse(&stream.format) else { return Ok(None) };
        let session = store.session(stream.session)?;
        Ok(Some(Owner { session, name: stream.own_name.clone(), format, stream: Some(stream) }))
    }

    /// True for a digest of what the archive has, from wherever that came.
    fn is_outdone(&self, store: &Store) -> Result<bool> {
        is_outdone(store, &self.session, &self.name, self.format)
    }

    /// The same with a stream of its own for the file at `path`.
    fn beside(self, store: &Store, path: &str) -> Result<Owner> {
        let name = copy_name(tools::base_name(&self.name), path);
        let stream = store.newest_stream(self.session.id, &name)?;
        Ok(Owner { name, stream, ..self })
    }
}

/// True for a digest where the session has another stream of that name, or of which that one is a copy.
fn is_outdone(store: &Store, session: &SessionRow, name: &str, format: Format) -> Result<bool> {
    Ok(format.is_digest() && branches::is_outdone(name, &store.streams(session.id)?))
}

/// A stream of which nothing is seen, for now or for ever.
fn create_unseen(store: &mut Store, key: StreamKey<'_>) -> Result<Stream> {
    let mut stream = store.create_stream(key)?;
    store.unsettle(&mut stream)?;
    Ok(stream)
}

/// What became of a file since we last looked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    /// It begins with all of our bytes; more may follow.
    Grown,
    /// It has only the first part of our bytes: that says nothing new, and what it had stays the view.
    Truncated,
    /// It has other bytes: a new generation.
    Rewritten,
}

/// The stream that a new native file belongs to. A file that took the place of a vanished one (renamed, archived, compressed)
/// goes on with its stream, and so does one that is ahead of the others (a copy in another folder, or a restored file that was
/// continued). One that went its own way beside a living one gets a stream of its own, and none at all (`None`) where it is a
/// copy that says nothing new.
fn claim(store: &mut Store, key: StreamKey<'_>, path: &str, content: &mut Content) -> Result<Option<Stream>> {
    let Some(stream) = store.newest_stream(key.session, key.name)? else { return store.create_stream(key).map(Some) };
    let others = store.native_files_of(stream.id)?;
    if others.iter().any(|other| Path::new(&other.path).exists()) {
        let name = copy_name(key.name, path);
        if let Some(stream) = store.newest_stream(key.session, &name)? {
            return Ok(Some(stream));
        }
        if content.is_part_of(store, &stream)? {
            return Ok(None);
        }
        content.rewind()?;
        if !content.prefix_matches(store, &stream)? {
            return store.create_stream(StreamKey { name: &name, ..key }).map(Some);
        }
        // It is ahead of the others, so the session goes on here; they are the copies from now on.
        for other in others {
            store.save_native_file(&NativeFile { stream: None, ..other })?;
        }
        return go_on(store, key, stream).map(Some);
    }
    for other in others {
        store.forget_native_file(&other.path)?;
    }
    go_on(store, key, stream).map(Some)
}

/// The same for a digest of what is told in full: `None` where another file of the session has all that it says.
fn claim_aside(store: &mut Store, key: StreamKey<'_>, content: &mut Content) -> Result<Option<Stream>> {
    let base = tools::base_name(key.name).to_owned();
    let is_like_it = |stream: &Stream| stream.format == key.format && tools::base_name(&stream.own_name) == base;
    for stream in store.streams(key.session)?.iter().filter(|stream| is_like_it(stream)) {
        if content.is_part_of(store, stream)? {
            return Ok(None);
        }
    }
    create_unseen(store, key).map(Some)
}

/// The name of the stream of a second file, which lies at `path`.
fn copy_name(name: &str, path: &str) -> String {
    format!("{name}~{}", &Hash::of(path.as_bytes()).hex()[..8])
}

fn go_on(store: &mut Store, key: StreamKey<'_>, stream: Stream) -> Result<Stream> {
    // What came as a .sfs is not this file: it stays as an older generation.
    if let Some(native_path) = key.native_path.filter(|_| stream.format == key.format) {
        store.move_stream(stream.id, native_path)?;
    }
    Ok(stream)
}

/// A native file's bytes, decompressed where it ends in `.zst`.
struct Content {
    path: PathBuf,
    reader: Reader,
    size: u64,
    mtime_ns: i64,
    inode: u64,
}

enum Reader {
    Plain(File),
    Compressed(Box<zstd::stream::read::Decoder<'static, BufReader<File>>>),
}

impl Content {
    /// `None` where there is no regular file. A symbolic link is refused.
    fn open(path: &Path) -> Result<Option<Content>> {
        let unreadable = || format!("{} can't be read", path.display());
        let file = foreign::open(path)
            .map_err(|error| Error::failed(unreadable()).because(error).hint("check the file's permissions"))?;
        let Some(file) = file else { return Ok(None) };
        let metadata = file.metadata().context(unreadable)?;
        let reader = Self::reader(path, file)?;
        let (size, inode) = (metadata.len(), metadata.ino());
        Ok(Some(Content { path: path.to_owned(), reader, size, mtime_ns: mtime_ns(&metadata), inode }))
    }

    fn reader(path: &Path, file: File) -> Result<Reader> {
        if path.extension().is_some_and(|extension| extension == "zst") {
            let decoder = zstd::stream::read::Decoder::new(file)
                .context(|| format!("{} can't be decompressed", path.display()))?;
            return Ok(Reader::Compressed(Box::new(decoder)));
        }
        Ok(Reader::Plain(file))
    }

    /// Back to the first byte.
    fn rewind(&mut self) -> Result<()> {
        match &mut self.reader {
            Reader::Plain(file) => {
                file.seek(SeekFrom::Start(0)).context(|| format!("{} can't be read", self.path.display()))?;
            }
            Reader::Compressed(_) => {
                let unreadable = || format!("{} can't be read", self.path.display());
                let file = foreign::open(&self.path).context(unreadable)?.ok_or_else(|| Error::failed(unreadable()))?;
                self.reader = Self::reader(&self.path, file)?;
            }
        }
        Ok(())
    }

    fn looks_like(&self, known: &NativeFile) -> bool {
        known.stream.is_some()
            && known.gone_at.is_none()
            && known.error.is_none()
            && (known.size, known.mtime_ns, known.inode) == (self.size, self.mtime_ns, self.inode)
    }

    fn describe(&self, tool: &str, path: String, stream: i64) -> NativeFile {
        NativeFile {
            tool: tool.to_owned(),
            path,
            stream: Some(stream),
            size: self.size,
            mtime_ns: self.mtime_ns,
            inode: self.inode,
            head: Vec::new(),
            captured_at: 0,
            gone_at: None,
            error: None,
        }
    }

    /// The first `length` bytes, without moving the reader; `None` where they can't be had so.
    fn head(&self, length: u64) -> Option<Vec<u8>> {
        let Reader::Plain(file) = &self.reader else { return None };
        let mut head = vec![0; length as usize];
        file.read_exact_at(&mut head, 0).ok()?;
        Some(head)
    }

    /// What the tool wants to know the file by; `None` where there is nothing of it.
    fn beginning(&mut self, head: Head) -> Result<Option<Vec<u8>>> {
        self.rewind()?;
        let mut bytes = match head {
            Head::Bytes(length) => {
                return self.read(length as usize).map(|bytes| Some(bytes).filter(|b| !b.is_empty()));
            }
            Head::FirstLine => Vec::new(),
        };
        let unreadable = format!("{} can't be read", self.path.display());
        let reader: &mut dyn Read = match &mut self.reader {
            Reader::Plain(file) => file,
            Reader::Compressed(decoder) => decoder,
        };
        BufReader::new(reader.take(FIRST_LINE)).read_until(b'\n', &mut bytes).context(|| unreadable)?;
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        } else if bytes.first() == Some(&b'{') && bytes.len() < FIRST_LINE as usize && !derive::is_whole_object(&bytes)
        {
            // More of it is to come, and half of it could name another session.
            return Ok(None);
        }
        Ok(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }

    fn compare(&mut self, store: &Store, stream: &Stream, known: Option<&NativeFile>) -> Result<Change> {
        let is = |same, change| if same { change } else { Change::Rewritten };
        if stream.length == 0 {
            return Ok(Change::Grown);
        }
        let is_plain = matches!(self.reader, Reader::Plain(_));
        if is_plain && self.size < stream.length {
            return Ok(is(self.is_part_of(store, stream)?, Change::Truncated));
        }
        let plain_growth = |known: &NativeFile| {
            known.stream == Some(stream.id) && known.inode == self.inode && known.gone_at.is_none()
        };
        if is_plain
            && self.size > stream.length
            && let Some(known) = known.filter(|known| plain_growth(known))
        {
            return Ok(is(self.windows_match(store, stream, known)?, Change::Grown));
        }
        self.rewind()?;
        Ok(is(self.prefix_matches(store, stream)?, Change::Grown))
    }

    fn windows_match(&mut self, store: &Store, stream: &Stream, known: &NativeFile) -> Result<bool> {
        let window = stream.length.min(WINDOW);
        let end = store.read_range(stream, stream.length - window, window, &mut ChunkCache::default())?;
        self.rewind()?;
        let head = self.read(window as usize)?;
        if Hash::of(&head).0[..] != known.head[..] {
            return Ok(false);
        }
        self.skip_to(stream.length - window)?;
        Ok(self.read(window as usize)? == end)
    }

    /// True where the stream begins with all of the file's bytes.
    fn is_part_of(&mut self, store: &Store, stream: &Stream) -> Result<bool> {
        self.rewind()?;
        let mut cache = ChunkCache::default();
        let mut at = 0;
        while at < stream.length {
            let ours = store.read_piece(stream, at, &mut cache)?;
            let theirs = self.read(ours.len())?;
            if ours.is_empty() || !ours.starts_with(&theirs) {
                return Ok(false);
            }
            if theirs.len() < ours.len() {
                return Ok(true);
            }
            at += ours.len() as u64;
        }
        Ok(self.read(1)?.is_empty())
    }

    fn prefix_matches(&mut self, store: &Store, stream: &Stream) -> Result<bool> {
        let mut cache = ChunkCache::default();
        let mut at = 0;
        while at < stream.length {
            let ours = store.read_piece(stream, at, &mut cache)?;
            if ours.is_empty() || self.read(ours.len())? != ours {
                return Ok(false);
            }
            at += ours.len() as u64;
        }
        Ok(true)
    }

    /// Goes to byte `offset`, from wherever the reader stands.
    fn skip_to(&mut self, offset: u64) -> Result<()> {
        let unreadable = || format!("{} can't be read", self.path.display());
        if let Reader::Plain(file) = &mut self.reader {
            file.seek(SeekFrom::Start(offset)).context(unreadable)?;
            return Ok(());
        }
        self.rewind()?;
        if let Reader::Compressed(decoder) = &mut self.reader {
            std::io::copy(&mut decoder.take(offset), &mut std::io::sink())
                .context(|| format!("{} can't be read", self.path.display()))?;
        }
        Ok(())
    }

    /// Up to `length` bytes; fewer only at the end.
    fn read(&mut self, length: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(length.min(self.size as usize + 1));
        let taken = match &mut self.reader {
            Reader::Plain(file) => file.take(length as u64).read_to_end(&mut bytes),
            Reader::Compressed(decoder) => decoder.take(length as u64).read_to_end(&mut bytes),
        };
        taken.context(|| format!("{} can't be read", self.path.display()))?;
        Ok(bytes)
    }
}
