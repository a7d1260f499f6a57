//! From lines to derived tables: messages, full text, tokens, the session's summary. Used for new bytes during capture and
//! for archived bytes during a rebuild; both give the same.

use super::branches;
use super::facts::{self, Fact};
use crate::error::Result;
use crate::model::message::Message;
use crate::model::observation::Observation;
use crate::model::title;
use crate::store::{ChunkCache, MessageRow, ReaderRow, SessionRow, Span, Store, Stream, Summary};
use crate::tools::{self, Format, Line, Reader, Reading, Versions};

/// So many lines that were not understood are named for each stream; further ones are only kept.
const MAX_NOTES: u64 = 100;

/// A stream being read on from where reading stopped.
pub(super) struct Derivation {
    session: SessionRow,
    /// The whole stream is one line.
    is_one_line: bool,
    /// A longer line is not read.
    longest: usize,
    summary: Summary,
    stream: i64,
    /// What is before stands in another device's stream.
    shared: u64,
    /// Another device's stream is the session's first.
    is_branch: bool,
    /// The stream of a second native file beside the session's first one: `main~…`.
    is_copy: bool,
    row: ReaderRow,
    reader: Box<dyn Reader>,
    reading: Reading,
    text: String,
    notes: u64,
    fallback_time: Option<i64>,
    /// During a rebuild with several generations.
    versions: Option<Versions>,
}

impl Derivation {
    /// `format` is the stream's, and one with lines; `None` where it is not.
    pub(super) fn load(
        store: &Store,
        format: Format,
        session: &SessionRow,
        stream: &Stream,
    ) -> Result<Option<Derivation>> {
        let row = store.reader(stream.id)?;
        let Some(reader) = tools::reader(format, &stream.name, row.state.as_deref()) else { return Ok(None) };
        let summary = store.summary(session.id)?;
        Ok(Some(Derivation {
            session: session.clone(),
            is_one_line: format.is_one_line(),
            longest: format.longest_line(),
            summary,
            stream: stream.id,
            shared: stream.shared,
            is_branch: stream.is_branch(),
            is_copy: tools::base_name(&stream.own_name) != stream.own_name,
            row,
            reader,
            reading: Reading::default(),
            text: String::new(),
            notes: 0,
            fallback_time: None,
            versions: None,
        }))
    }

    /// The session's time where its lines tell none, in milliseconds.
    pub(super) fn set_fallback_time(&mut self, at: i64) {
        self.fallback_time = Some(at);
    }

    /// Reads the lines that `fresh`, appended at `old_length`, completed. At the end of the file a last line without a
    /// line break is read too if it is a whole JSON object: a prefix of one never is.
    pub(super) fn read(
        &mut self,
        store: &mut Store,
        stream: &Stream,
        old_length: u64,
        fresh: &[u8],
        at_end: bool,
    ) -> Result<()> {
        // Nothing of a document can be read before all of it is there.
        if self.is_one_line && !at_end {
            return Ok(());
        }
        // After a rebuild that was interrupted, or is under way, reading may stand far behind.
        let behind = old_length - self.row.read_to.min(old_length);
        if behind > self.longest as u64 && !self.row.skip && !self.is_one_line {
            self.read_archived(store, stream, old_length)?;
        }
        let carried;
        let mut bytes = fresh;
        if self.row.read_to < old_length {
            let begun = store.read_range(
                stream,
                self.row.read_to,
                old_length - self.row.read_to,
                &mut ChunkCache::default(),
            )?;
            carried = [&begun, fresh].concat();
            bytes = &carried;
        }
        while let Some(end) = memchr::memchr(b'\n', bytes).filter(|_| !self.is_one_line) {
            self.line(store, stream, &bytes[..end])?;
            self.row.line += 1;
            self.row.read_to += end as u64 + 1;
            self.row.skip = false;
            bytes = &bytes[end + 1..];
        }
        if bytes.len() > self.longest || (self.row.skip && !bytes.is_empty()) {
            self.skip(store, bytes)?;
        } else if at_end && is_whole_object(bytes.trim_ascii_end()) {
            self.line(store, stream, bytes)?;
            self.row.read_to += bytes.len() as u64;
        }
        Ok(())
    }

    /// Reads on over archived bytes, up to `end`.
    fn read_archived(&mut self, store: &mut Store, stream: &Stream, end: u64) -> Result<()> {
        let mut cache = ChunkCache::default();
        let mut at = self.row.read_to;
        while at < end {
            let mut piece = store.read_piece(stream, at, &mut cache)?;
            piece.truncate((end - at) as usize);
            if piece.is_empty() {
                break;
            }
            let next = at + piece.len() as u64;
            self.read(store, stream, at, &piece, next >= stream.length)?;
            at = next;
        }
        Ok(())
    }

    fn skip(&mut self, store: &mut Store, bytes: &[u8]) -> Result<()> {
        if !self.row.skip {
            let line = self.row.line;
            self.note(store, line, &self.too_long())?;
        }
        self.row.skip = true;
        self.row.read_to += bytes.len() as u64;
        Ok(())
    }

    fn too_long(&self) -> String {
        format!("longer than {} MiB: kept, but not read", self.longest >> 20)
    }

    fn line(&mut self, store: &mut Store, stream: &Stream, bytes: &[u8]) -> Result<()> {
        if self.row.skip {
            return Ok(());
        }
        let (number, offset) = (self.row.line, self.row.read_to);
        if bytes.len() > self.longest {
            return self.note(store, number, &self.too_long());
        }
        let mut reading = std::mem::take(&mut self.reading);
        self.reader.line(Line { stream: &stream.name, number, offset, bytes }, &mut reading);
        if let Some(older) = reading.replaces {
            self.give_way(store, stream, older, &reading.messages)?;
        }
        let is_new = offset >= self.shared;
        for (part, message) in reading.messages.iter().enumerate().filter(|_| is_new) {
            let span =
                Span { stream: stream.id, start: offset, length: bytes.len() as u64, line: number, part: part as u32 };
            if self.versions.as_mut().is_some_and(|versions| !versions.wants(&stream.name, &message.id)) {
                continue;
            }
            let inherited = stream.own_name == "main" && offset < self.session.inherited;
            self.message(store, message, span, inherited)?;
        }
        for record in &reading.usage {
            store.add_usage(self.session.id, record, &mut self.summary)?;
        }
        // What another device's branch says of the session is no fresher than what its first stream says.
        let tells = |observation: &&Observation| !self.is_branch || matches!(observation, Observation::Activity(_));
        for observation in reading.observations.iter().filter(tells) {
            apply(&mut self.summary, observation);
        }
        for reason in &reading.notes {
            self.note(store, number, reason)?;
        }
        reading.clear();
        self.reading = reading;
        Ok(())
    }

    /// Drops the messages of the older version of a line, at byte `place`, that are told again in `newer`.
    fn give_way(&mut self, store: &mut Store, stream: &Stream, place: u64, newer: &[Message]) -> Result<()> {
        let rows = store.messages_at(self.session.id, stream.id, place)?;
        let Some((.., length)) = rows.first() else { return Ok(()) };
        let bytes = store.read_range(stream, place, *length, &mut ChunkCache::default())?;
        let mut older = Reading::default();
        self.reader.line(Line { stream: &stream.name, number: 0, offset: place, bytes: &bytes }, &mut older);
        for (row, part, _) in rows {
            let Some(message) = older.messages.get(part as usize) else { continue };
            if newer.iter().any(|newer| newer.id == message.id) {
                store.forget_message(row)?;
                if !self.is_copy {
                    count(&mut self.summary, message, -1);
                }
            }
        }
        Ok(())
    }

    fn message(&mut self, store: &mut Store, message: &Message, span: Span, inherited: bool) -> Result<()> {
        let at = message.timestamp.map(jiff::Timestamp::as_millisecond);
        // A second file of the same session mostly repeats the first one: found by a search, but not counted twice.
        if !self.is_copy {
            count(&mut self.summary, message, 1);
        }
        if message.is_prompt() && !self.is_copy && self.summary.prompt_title.is_none() {
            self.summary.prompt_title = title::from_prompt(&message.text());
        }
        extend_span(&mut self.summary, at);
        self.text.clear();
        message.search_text(&mut self.text);
        let row = MessageRow {
            id: 0,
            span,
            role: message.role,
            is_sidechain: message.is_sidechain,
            is_meta: message.is_meta,
            is_inherited: inherited,
        };
        store.add_message(self.session.id, &row, at, &self.text)
    }

    fn note(&mut self, store: &mut Store, line: u64, reason: &str) -> Result<()> {
        self.notes += 1;
        if self.notes <= MAX_NOTES { store.add_note(self.stream, line, reason) } else { Ok(()) }
    }

    pub(super) fn save(mut self, store: &mut Store) -> Result<()> {
        fall_back(&mut self.summary, self.fallback_time);
        self.row.state = Some(self.reader.state());
        store.save_reader(self.stream, &self.row)?;
        store.save_summary(self.session.id, &self.summary)
    }
}

/// Adds a message to the totals (`sign` 1) or takes it away (-1).
fn count(summary: &mut Summary, message: &Message, sign: i64) {
    if message.is_sidechain {
        return;
    }
    let step = |total: &mut u64, amount: usize| *total = total.saturating_add_signed(sign * amount as i64);
    step(&mut summary.message_count, usize::from(!message.is_meta));
    step(&mut summary.tool_call_count, message.tool_calls());
    step(&mut summary.turn_count, usize::from(message.is_prompt()));
}

/// True for a whole JSON object: the beginning of one never is.
pub fn is_whole_object(bytes: &[u8]) -> bool {
    bytes.first() == Some(&b'{')
        && bytes.last() == Some(&b'}')
        && serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok()
}

fn extend_span(summary: &mut Summary, at: Option<i64>) {
    if let Some(at) = at {
        // Without a beginning the end is only a file's time: what a line says replaces it.
        let last = summary.created_at.and(summary.updated_at);
        summary.created_at = Some(summary.created_at.map_or(at, |first| first.min(at)));
        summary.updated_at = Some(last.map_or(at, |last| last.max(at)));
    }
}

/// As long as no line tells a time, the session was last active when its newest file was.
fn fall_back(summary: &mut Summary, file_time: Option<i64>) {
    if summary.created_at.is_none() {
        summary.updated_at = summary.updated_at.max(file_time);
    }
}

/// A session that has only whole files yet is listed too.
pub(super) fn touch(store: &mut Store, session: i64, at: i64) -> Result<()> {
    let mut summary = store.summary(session)?;
    let before = summary.updated_at;
    fall_back(&mut summary, Some(at));
    if summary.updated_at == before { Ok(()) } else { store.save_summary(session, &summary) }
}

/// Takes over one observation; which one wins is said at [`Observation`].
pub(super) fn apply(summary: &mut Summary, observation: &Observation) {
    fn first(place: &mut Option<String>, value: &str) {
        if place.is_none() {
            *place = Some(value.to_owned());
        }
    }
    fn last(place: &mut Option<String>, value: &str) {
        if place.as_deref() != Some(value) {
            *place = Some(value.to_owned());
        }
    }
    match observation {
        Observation::Title(rank, text) => {
            let rank = *rank as u8 + 1;
            if rank >= summary.tool_title_rank
                && let Some(title) = title::clean(text)
            {
                summary.tool_title_rank = rank;
                summary.tool_title = Some(title);
            }
        }
        Observation::Project(path) => first(&mut summary.project, path),
        Observation::Moved(path) => last(&mut summary.project, path),
        Observation::Model(model) => last(&mut summary.model, model),
        Observation::ToolVersion(version) => last(&mut summary.tool_version, version),
        Observation::Interface(interface) => first(&mut summary.interface, interface),
        Observation::GitBranch(branch) => last(&mut summary.git_branch, branch),
        Observation::GitCommit(commit) => first(&mut summary.git_commit, commit),
        Observation::GitRemote(remote) => first(&mut summary.git_remote, remote),
        Observation::ForkedFrom(native_id) => first(&mut summary.forked_from, native_id),
        Observation::Activity(at) => extend_span(summary, Some(at.as_millisecond())),
    }
}

/// Rebuilds everything that is derived, session by session and a transaction each, so that capture goes on meanwhile;
/// `progress` gets how many are done. Interrupted, it leaves [`REBUILDING`] set: what is missing comes with the next run.
/// The answer is how many sessions there are something of.
pub fn rebuild(store: &mut Store, mut progress: impl FnMut(u64)) -> Result<u64> {
    let sessions = store.write(|store| {
        store.set_setting(REBUILDING, &true)?;
        store.forget_all_derived()?;
        store.session_rows()
    })?;
    let mut read = 0;
    for (done, session) in sessions.iter().enumerate() {
        store.write(|store| {
            // Something of it was captured since: that is in the tables already.
            if store.summary(*session)? != Summary::default() {
                store.forget_derived(*session)?;
            }
            read += u64::from(derive_session(store, *session)?);
            Ok(())
        })?;
        progress(done as u64 + 1);
    }
    store.write(|store| {
        store.set_setting(VERSION_OF, &VERSION)?;
        store.unset_setting(REBUILDING)
    })?;
    Ok(read)
}

/// True while the derived tables are not complete: a rebuild is under way, or was interrupted.
pub fn is_rebuilding(store: &Store) -> Result<bool> {
    Ok(store.setting::<bool>(REBUILDING)?.is_some())
}

const REBUILDING: &str = "rebuilding";

/// What the derived tables hold. 2: the full text of what a session inherited.
const VERSION: u32 = 2;
const VERSION_OF: &str = "derived_version";

/// Derives anew what was derived with less in it, before anything is added. Inside [`Store::write`].
pub(super) fn catch_up(store: &mut Store) -> Result<()> {
    if is_current(store)? {
        return Ok(());
    }
    for session in store.inheriting_sessions()? {
        rebuild_session(store, session)?;
    }
    store.set_setting(VERSION_OF, &VERSION)
}

/// True where [`catch_up`] has nothing to do.
pub(super) fn is_current(store: &Store) -> Result<bool> {
    Ok(store.setting::<u32>(VERSION_OF)? == Some(VERSION))
}

/// Rebuilds one session's derived rows from its streams. Of a stream with several generations the newest is the view; of
/// the older ones those messages are added whose own ids the newer ones no longer have.
pub(super) fn rebuild_session(store: &mut Store, session: i64) -> Result<()> {
    store.forget_derived(session)?;
    derive_session(store, session).map(drop)
}

/// False where nothing of it is archived.
fn derive_session(store: &mut Store, session: i64) -> Result<bool> {
    let row = store.session(session)?;
    // What an interrupted purge left is not read again.
    if row.purged_at.is_some() {
        return Ok(false);
    }
    branches::settle(store, session)?;
    let streams = store.streams(session)?;
    let mut by_name: Vec<&[Stream]> = streams.chunk_by(|a, b| a.name == b.name).collect();
    // What the main stream says of the session comes before what its sub-agents say, and after what a manifest says,
    // which is no fresher.
    by_name.sort_by_key(|g| (g[0].format != Format::SfsDocument.as_str(), g[0].name != "main", g[0].name != "facts"));
    for generations in by_name {
        rebuild_stream(store, &row, generations, seen_before(store, &streams, &generations[0])?)?;
        if generations[0].name == "facts" {
            read_facts(store, session, &streams)?;
        }
    }
    Ok(!streams.is_empty())
}

/// What the first device's document has, of which `branch` is another device's: lines are compared, a document is not.
fn seen_before(store: &Store, streams: &[Stream], branch: &Stream) -> Result<Option<Versions>> {
    if !branch.is_branch() || !Format::parse(&branch.format).is_some_and(Format::is_one_line) {
        return Ok(None);
    }
    let mut versions = Versions::default();
    for stream in streams.iter().filter(|stream| stream.name == branch.own_name) {
        for message in read_document_whole(store, stream)? {
            versions.wants(&stream.name, &message.id);
        }
    }
    Ok(Some(versions))
}

/// `streams` are the generations of one stream, oldest first; `versions` knows what was seen before.
fn rebuild_stream(
    store: &mut Store,
    session: &SessionRow,
    streams: &[Stream],
    versions: Option<Versions>,
) -> Result<()> {
    let mut versions = versions.or_else(|| (streams.len() > 1).then(Versions::default));
    // A session may first have come as a .sfs and then in its tool's own form: what both tell would be counted twice.
    let newest = streams.last().map(|stream| stream.format.as_str());
    for stream in streams.iter().rev().filter(|stream| newest == Some(stream.format.as_str())) {
        match Format::parse(&stream.format) {
            None => {}
            Some(Format::File) => touch_with_file_time(store, session.id, stream.id)?,
            Some(Format::SfsDocument) => return read_document(store, session, stream),
            Some(format) => {
                let Some(mut derivation) = Derivation::load(store, format, session, stream)? else { continue };
                derivation.fallback_time = file_time(store, stream.id)?;
                derivation.versions = versions.take();
                derivation.read_archived(store, stream, stream.length)?;
                versions = derivation.versions.take().map(Versions::older);
                derivation.save(store)?;
            }
        }
    }
    Ok(())
}

/// The newest generation of a document was read: of the older ones those messages go whose ids it has. This costs one
/// reading of each generation that still has a message of its own, however often the document was rewritten.
pub(super) fn supersede(store: &mut Store, session: &SessionRow, newest: &Stream) -> Result<()> {
    let mut versions = Versions::default();
    for message in read_document_whole(store, newest)? {
        versions.wants(&newest.name, &message.id);
    }
    let mut versions = versions.older();
    let mut summary = store.summary(session.id)?;
    let mut rows = store.message_parts(session.id)?;
    let mut streams = store.streams(session.id)?;
    streams.retain(|stream| stream.name == newest.name && stream.generation < newest.generation);
    for stream in streams.iter().rev() {
        let Some(rows) = rows.remove(&stream.id) else { continue };
        let messages = read_document_whole(store, stream)?;
        for (row, part) in rows {
            if let Some(message) = messages.get(part as usize)
                && !versions.wants(&stream.name, &message.id)
            {
                store.forget_message(row)?;
                if tools::base_name(&stream.name) == stream.name {
                    count(&mut summary, message, -1);
                }
            }
        }
    }
    store.save_summary(session.id, &summary)
}

/// The messages of a stream that is one line; none of one too long to be read.
pub(super) fn read_document_whole(store: &Store, stream: &Stream) -> Result<Vec<Message>> {
    let format = Format::parse(&stream.format);
    let reader = format.and_then(|format| tools::reader(format, &stream.name, None));
    let fits = format.is_some_and(|format| stream.length <= format.longest_line() as u64);
    let Some(mut reader) = reader.filter(|_| fits) else { return Ok(Vec::new()) };
    let bytes = store.read_range(stream, 0, stream.length, &mut ChunkCache::default())?;
    let mut reading = Reading::default();
    reader.line(Line { stream: &stream.name, number: 0, offset: 0, bytes: &bytes }, &mut reading);
    Ok(reading.messages)
}

fn file_time(store: &Store, stream: i64) -> Result<Option<i64>> {
    Ok(store.native_files_of(stream)?.first().map(|file| file.mtime_ns / 1_000_000))
}

fn touch_with_file_time(store: &mut Store, session: i64, stream: i64) -> Result<()> {
    match file_time(store, stream)? {
        Some(at) => touch(store, session, at),
        None => Ok(()),
    }
}

/// The newest manifest or workspace of an imported .sfs.
fn read_document(store: &mut Store, session: &SessionRow, stream: &Stream) -> Result<()> {
    let bytes = store.read_range(stream, 0, stream.length, &mut ChunkCache::default())?;
    let mut summary = store.summary(session.id)?;
    for observation in tools::sfs::observations(&bytes) {
        apply(&mut summary, &observation);
    }
    store.save_summary(session.id, &summary)
}

/// What all devices observed, in the order of time.
pub(super) fn read_facts(store: &mut Store, session: i64, streams: &[Stream]) -> Result<()> {
    let mut facts: Vec<Fact> = Vec::new();
    for stream in streams.iter().filter(|stream| stream.format == facts::FORMAT) {
        let bytes = store.read_range(stream, 0, stream.length, &mut ChunkCache::default())?;
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        facts.extend(lines.filter_map(|line| serde_json::from_slice::<Fact>(line).ok()));
    }
    if facts.is_empty() {
        return Ok(());
    }
    facts.sort_by_key(Fact::at);
    let mut summary = store.summary(session)?;
    for observation in facts.into_iter().filter_map(Fact::observation) {
        apply(&mut summary, &observation);
    }
    store.save_summary(session, &summary)
}
