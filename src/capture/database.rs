//! Sessions that are rows of a tool's database: what is new in it, and its lines into the archive.
//!
//! Every session in the database has a file's row of its own in the archive, named by the database's path, `#` and the
//! session's place in it; so it can be there, be gone and come back like a file. Which version of each row is archived
//! stands beside ([`NativeRow`]) and is stored in the transaction of the bytes, as is, with the last of them, the cursor
//! from which the next look goes on: a crash at any point costs nothing and repeats nothing.

use super::derive::{self, Derivation};
use super::facts::{self, Fact};
use super::{Capture, Report, STEP, scan};
use crate::error::{Error, Result};
use crate::id::Hash;
use crate::model::observation::Observation;
use crate::store::{Event, NativeFile, NativeRow, NativeRows, SessionRow, Store, Stream, StreamKey};
use crate::tools::Format;
use crate::tools::database::{Database, Depth, Found, Look, Owner, Piece, Rows, Version};
use serde_json::json;
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

/// Lines are appended and read in pieces of about so many bytes.
const PIECE: usize = 1 << 20;

impl Capture<'_> {
    /// Archives what is new in the tool's database. What can't be read of it stands in the report. `None`: the tool has
    /// no database, or nothing was committed into it since the last time.
    pub fn database(&mut self, depth: Depth, progress: &mut dyn FnMut(&Report)) -> Result<Option<Report>> {
        let Some(database) = self.tool.database() else { return Ok(None) };
        self.catch_up()?;
        let root = scan::resolve(&database.root(self.home));
        let path = root.join(database.path());
        let mut report = Report::default();
        match self.look(database, &root, &path, depth) {
            Ok(Some(look)) => self.take_in(look.as_ref(), &path, &mut report, progress)?,
            Ok(None) => {
                if depth == Depth::Everything && !path.exists() {
                    self.mark_gone_in(&path, |_| true)?;
                }
                return Ok(None);
            }
            Err(error) => {
                // Where even this can't be stored (a full disk), the error is still in the report.
                let _ = self.remember_error(&path, &error);
                report.errors.push((path, error));
            }
        }
        Ok(Some(report))
    }

    fn look(
        &mut self,
        database: &dyn Database,
        root: &Path,
        path: &Path,
        depth: Depth,
    ) -> Result<Option<Box<dyn Look>>> {
        let known = self.store.native_file(&path.to_string_lossy())?;
        let has_error = known.as_ref().is_some_and(|known| known.error.is_some());
        // After an error everything is looked at again.
        let cursor = known.filter(|known| !has_error && !known.head.is_empty());
        let cursor = cursor.and_then(|known| String::from_utf8(known.head).ok());
        database.look(root, cursor.as_deref(), depth)
    }

    fn take_in(
        &mut self,
        look: &dyn Look,
        path: &Path,
        report: &mut Report,
        progress: &mut dyn FnMut(&Report),
    ) -> Result<()> {
        let mut waiting: VecDeque<&str> = look.changed().iter().map(String::as_str).collect();
        let mut is_done = false;
        while !is_done {
            let mut step = Step { look, tool: self.tool.id(), path, report: Report::default(), taken: Vec::new() };
            let is_clean = report.errors.is_empty();
            match self.store.write(|store| step.run(store, &mut waiting, is_clean)) {
                Ok(()) => {
                    report.absorb(step.report);
                    is_done = waiting.is_empty();
                }
                Err(error) if error.is_disk_full() || step.taken.is_empty() => return Err(error),
                Err(_) => {
                    let taken = step.taken;
                    self.one_by_one_place(look, path, taken, report)?;
                }
            }
            progress(report);
        }
        report.notes.extend(look.notes());
        self.mark_gone_in(path, |place| look.is_gone(place))
    }

    /// The second try of sessions whose transaction failed together with others'.
    fn one_by_one_place(
        &mut self,
        look: &dyn Look,
        path: &Path,
        places: Vec<String>,
        report: &mut Report,
    ) -> Result<()> {
        for place in places {
            let mut step = Step { look, tool: self.tool.id(), path, report: Report::default(), taken: Vec::new() };
            match self.store.write(|store| step.place(store, &place)) {
                Ok(()) => report.absorb(step.report),
                Err(error) if error.is_disk_full() => return Err(error),
                Err(error) => {
                    let _ = self.remember_error(path, &error);
                    report.errors.push((PathBuf::from(file_name(path, &place)), error));
                }
            }
        }
        Ok(())
    }

    /// The sessions that the tool has in its database, each with what is not archived of it. Writes nothing.
    pub(super) fn rows_at_hand(&mut self, database: &dyn Database) -> Result<Vec<AtHand>> {
        let root = scan::resolve(&database.root(self.home));
        let path = root.join(database.path());
        if !path.exists() {
            return Ok(Vec::new());
        }
        let look = self.look(database, &root, &path, Depth::Everything)?;
        let mut all = BTreeMap::new();
        for (place, is_gone) in self.store.known_in_database(&path.to_string_lossy())? {
            let name = file_name(&path, &place);
            let stream = self.store.native_file(&name)?.and_then(|file| file.stream);
            let Some(stream) = stream.filter(|_| !is_gone && !look.as_ref().is_some_and(|look| look.is_gone(&place)))
            else {
                continue;
            };
            let stream = self.store.stream(stream)?;
            let native_id = self.store.session(stream.session)?.native_id;
            let (stream, archived) = (stream.own_name, stream.length);
            all.insert(place, AtHand { native_id, stream, path: name.into(), archived, waiting: 0 });
        }
        for place in look.iter().flat_map(|look| look.changed()) {
            let Some(look) = &look else { break };
            let known = all.get(place);
            let Found::Session(rows) = look.session(place, known.is_some())? else { continue };
            let archived = self.store.native_file(&file_name(&path, place))?.and_then(|file| file.stream);
            let archived = archived.map(|stream| self.store.native_rows(stream)).transpose()?.unwrap_or_default();
            let waiting = news(rows.as_ref(), &archived)?;
            let Owner { native_id, stream, .. } = rows.owner().clone();
            let path = PathBuf::from(file_name(&path, place));
            let new = AtHand { native_id, stream, path, archived: 0, waiting: 0 };
            all.entry(place.clone()).or_insert(new).waiting = waiting;
        }
        Ok(all.into_values().collect())
    }

    /// The tool no longer has what `is_gone`; the archive keeps it.
    fn mark_gone_in(&mut self, path: &Path, is_gone: impl Fn(&str) -> bool) -> Result<()> {
        for (place, is_known_gone) in self.store.known_in_database(&path.to_string_lossy())? {
            if !is_known_gone && is_gone(&place) {
                self.mark_gone(Path::new(&file_name(path, &place)))?;
            }
        }
        Ok(())
    }
}

/// A session, or a part of one, that is in a tool's database.
pub(super) struct AtHand {
    pub(super) native_id: String,
    pub(super) stream: String,
    /// The name under which the archive knows it.
    pub(super) path: PathBuf,
    /// Bytes of it that are archived, and bytes that are not.
    pub(super) archived: u64,
    pub(super) waiting: u64,
}

/// The stream in which the archive has the session at `place`.
pub(super) fn stream_at(store: &Store, database: &Path, place: &str) -> Result<Option<Stream>> {
    let known = store.native_file(&file_name(database, place))?;
    known.and_then(|file| file.stream).map(|stream| store.stream(stream)).transpose()
}

/// The name under which the archive knows the session at `place`.
pub(super) fn file_name(database: &Path, place: &str) -> String {
    format!("{}#{place}", database.display())
}

/// One transaction's worth of work.
struct Step<'a> {
    look: &'a dyn Look,
    tool: &'static str,
    path: &'a Path,
    report: Report,
    taken: Vec<String>,
}

impl Step<'_> {
    fn run(&mut self, store: &mut Store, waiting: &mut VecDeque<&str>, is_clean: bool) -> Result<()> {
        while (self.report.bytes as usize) < STEP {
            let Some(place) = waiting.pop_front() else { break };
            self.taken.push(place.to_owned());
            self.place(store, place)?;
        }
        // What could not be read is looked at again.
        if waiting.is_empty() && is_clean { self.remember_cursor(store) } else { Ok(()) }
    }

    fn remember_cursor(&self, store: &mut Store) -> Result<()> {
        let path = self.path.to_string_lossy().into_owned();
        let head = self.look.cursor().into_bytes();
        store.save_native_file(&NativeFile { stream: None, head, ..self.describe(path) })
    }

    fn describe(&self, path: String) -> NativeFile {
        let metadata = self.path.metadata().ok();
        NativeFile {
            tool: self.tool.to_owned(),
            path,
            stream: None,
            size: metadata.as_ref().map_or(0, std::fs::Metadata::len),
            mtime_ns: metadata.as_ref().map_or(0, scan::mtime_ns),
            inode: 0,
            head: Vec::new(),
            captured_at: jiff::Timestamp::now().as_millisecond(),
            gone_at: None,
            error: None,
        }
    }

    fn place(&mut self, store: &mut Store, place: &str) -> Result<()> {
        let name = file_name(self.path, place);
        let known = store.native_file(&name)?;
        match self.look.session(place, known.as_ref().is_some_and(|known| known.stream.is_some()))? {
            Found::Session(rows) => self.session(store, &name, known.as_ref(), rows.as_ref()),
            Found::Unknown(what) => {
                self.report.notes.push(what);
                Ok(())
            }
            Found::Nothing => Ok(()),
        }
    }

    fn session(&mut self, store: &mut Store, name: &str, known: Option<&NativeFile>, rows: &dyn Rows) -> Result<()> {
        let Some(target) = self.target(store, name, known, rows)? else {
            // A copy that says nothing new.
            return store.save_native_file(&self.describe(name.to_owned()));
        };
        let archived = match &target.stream {
            Some(stream) => store.native_rows(stream.id)?,
            None => NativeRows::default(),
        };
        let session = target.session.clone();
        let mut intake = Intake { target, derivation: None, buffer: Vec::new(), bytes: 0 };
        rows.read(&|key| archived.get(key).map(version), &mut |piece| intake.take(store, &archived, piece))?;
        let mut file = self.describe(name.to_owned());
        let (stream, bytes) = intake.finish(store, file.mtime_ns / 1_000_000)?;
        if let Some(project) = rows.owner().project.clone().filter(|_| rows.owner().stream == "main") {
            facts::observe(store, self.tool, &session.native_id, Observation::Project(project))?;
        }
        let was_gone = known.is_some_and(|known| known.gone_at.is_some());
        if was_gone {
            facts::append(store, session.id, &Fact::back(jiff::Timestamp::now(), name))?;
        }
        if bytes > 0 || was_gone {
            file.stream = stream;
            store.save_native_file(&file)?;
        }
        if bytes > 0 {
            self.report.files += 1;
            self.report.bytes += bytes;
            self.report.sessions.insert(session.id);
        }
        Ok(())
    }

    /// Where the rows go. What was placed once stays there; the same session in another database is a copy, and where it
    /// says nothing new it goes nowhere (`None`), like a session that was purged.
    fn target(
        &self,
        store: &mut Store,
        name: &str,
        known: Option<&NativeFile>,
        rows: &dyn Rows,
    ) -> Result<Option<Target>> {
        if let Some(stream) = known.and_then(|known| known.stream) {
            let stream = store.stream(stream)?;
            let (session, name) = (store.session(stream.session)?, stream.own_name.clone());
            return Ok(Some(Target {
                session,
                name,
                format: rows.owner().format,
                generation: 0,
                stream: Some(stream),
            }));
        }
        let Owner { native_id, stream: own_name, format, .. } = rows.owner().clone();
        let session = store.ensure_session(self.tool, &native_id)?;
        // What was purged does not come back.
        if session.purged_at.is_some() {
            return Ok(None);
        }
        if store.streams(session.id)?.is_empty() {
            store.audit(Event::Captured, &session.public_id, &json!({"tool": self.tool, "path": name}))?;
        }
        let target =
            |name: String, generation, stream| Target { session: session.clone(), name, format, generation, stream };
        let Some(stream) = store.newest_stream(session.id, &own_name)? else {
            return Ok(Some(target(own_name, 0, None)));
        };
        // What came as a .sfs, or as a digest, is not these rows: it stays as an older generation.
        if stream.format != format.as_str() {
            return Ok(Some(target(own_name, stream.generation + 1, None)));
        }
        let others = store.native_files_of(stream.id)?;
        if others.iter().any(|other| database_of(&other.path).exists()) {
            if news(rows, &store.native_rows(stream.id)?)? == 0 {
                return Ok(None);
            }
            let name = format!("{own_name}~{}", &Hash::of(name.as_bytes()).hex()[..8]);
            let stream = store.newest_stream(session.id, &name)?;
            return Ok(Some(target(name, 0, stream)));
        }
        for other in others {
            store.forget_native_file(&other.path)?;
        }
        Ok(Some(target(own_name, 0, Some(stream))))
    }
}

/// The database in which a session lies that the archive knows under `name`.
fn database_of(name: &str) -> &Path {
    Path::new(name.rsplit_once('#').map_or(name, |(path, _)| path))
}

fn version(row: NativeRow) -> Version {
    Version { rowid: row.rowid, content: row.content, place: row.place, open: row.open }
}

/// How many bytes of `rows` are not archived in a stream with the rows `archived`.
fn news(rows: &dyn Rows, archived: &NativeRows) -> Result<u64> {
    let mut bytes = 0;
    rows.read(&|key| archived.get(key).map(version), &mut |piece| {
        if let Piece::Row { line: Some(line), .. } = piece {
            bytes += line.len() as u64 + 1;
        }
        Ok(())
    })?;
    Ok(bytes)
}

/// A stream that takes rows; made with the first of them.
struct Target {
    session: SessionRow,
    name: String,
    format: Format,
    generation: u32,
    stream: Option<Stream>,
}

impl Target {
    fn stream(&mut self, store: &mut Store) -> Result<&mut Stream> {
        if self.stream.is_none() {
            let format = self.format.as_str();
            let key = StreamKey {
                session: self.session.id,
                name: &self.name,
                generation: self.generation,
                format,
                native_path: None,
            };
            self.stream = Some(store.create_stream(key)?);
        }
        self.stream.as_mut().ok_or_else(|| Error::failed("no stream was made"))
    }
}

/// One session's new rows on their way into the archive.
struct Intake {
    target: Target,
    derivation: Option<Derivation>,
    buffer: Vec<u8>,
    /// Archived so far.
    bytes: u64,
}

impl Intake {
    fn take(&mut self, store: &mut Store, archived: &NativeRows, piece: Piece) -> Result<()> {
        let (key, row, line) = match piece {
            Piece::File { name, bytes } => return self.file(store, &name, &bytes),
            Piece::Row { key, rowid, content, open, line } => {
                let place = archived.get(&key).map_or(0, |known| known.place);
                (key, NativeRow { rowid, content, place, open }, line)
            }
        };
        let begun = self.buffer.len() as u64;
        let stream = self.target.stream(store)?;
        let Some(line) = line else { return store.save_native_row(stream.id, &key, &row) };
        store.save_native_row(stream.id, &key, &NativeRow { place: stream.length + begun, ..row })?;
        self.buffer.extend_from_slice(&line);
        self.buffer.push(b'\n');
        if self.buffer.len() >= PIECE { self.flush(store) } else { Ok(()) }
    }

    /// Such a file has a name of its own for each content.
    fn file(&mut self, store: &mut Store, name: &str, bytes: &[u8]) -> Result<()> {
        let session = self.target.session.id;
        if store.newest_stream(session, name)?.is_some() {
            return Ok(());
        }
        let format = Format::File.as_str();
        let mut stream = store.create_stream(StreamKey { session, name, generation: 0, format, native_path: None })?;
        self.bytes += bytes.len() as u64;
        store.append(&mut stream, bytes)
    }

    fn flush(&mut self, store: &mut Store) -> Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let (format, session) = (self.target.format, self.target.session.clone());
        let stream = self.target.stream(store)?;
        let old_length = stream.length;
        store.append(stream, &self.buffer)?;
        if self.derivation.is_none() {
            self.derivation = Derivation::load(store, format, &session, stream)?;
        }
        if let Some(derivation) = &mut self.derivation {
            derivation.read(store, stream, old_length, &self.buffer, false)?;
        }
        self.bytes += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// The stream, and how many bytes were archived.
    fn finish(mut self, store: &mut Store, database_time: i64) -> Result<(Option<i64>, u64)> {
        self.flush(store)?;
        if let Some(mut derivation) = self.derivation {
            derivation.set_fallback_time(database_time);
            derivation.save(store)?;
            let is_branch = self.target.stream.as_ref().is_some_and(Stream::is_branch);
            if self.target.generation > 0 || is_branch {
                derive::rebuild_session(store, self.target.session.id)?;
            }
        }
        Ok((self.target.stream.map(|stream| stream.id), self.bytes))
    }
}
