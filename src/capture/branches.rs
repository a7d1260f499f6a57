//! One session, several devices. Each device has its own stream of it, whole and append-only, so nothing is ever overwritten.
//! What is seen of them is decided here, from the bytes alone and so alike on every device: the stream that was active last
//! is shown under its own name; each other one as `name@device`, beginning behind what it shares with those shown before it.
//! Every line is seen once.

use super::derive::read_document_whole;
use crate::error::Result;
use crate::security::redact::is_same_line;
use crate::store::{ChunkCache, Store, Stream, UNSETTLED};
use crate::tools::{self, Format, Line, MAX_LINE, Reading};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// Decides anew what is seen of `session`'s streams; true where that changed and its derived rows are no longer right.
pub(super) fn settle(store: &mut Store, session: i64) -> Result<bool> {
    let mut by_name: BTreeMap<String, Vec<Stream>> = BTreeMap::new();
    let mut changed = false;
    let (digests, streams): (Vec<_>, Vec<_>) = store.streams(session)?.into_iter().partition(is_digest);
    for digest in digests {
        if is_outdone(&digest.own_name, &streams) {
            changed |= put_aside(store, &digest, &streams)?;
        } else {
            by_name.entry(digest.own_name.clone()).or_default().push(digest);
        }
    }
    for stream in streams {
        by_name.entry(stream.own_name.clone()).or_default().push(stream);
    }
    for streams in by_name.values() {
        let heads = heads(streams);
        if heads.len() > 1 || streams.iter().any(|stream| stream.is_branch() || stream.shared > 0) {
            changed |= settle_stream(store, streams, heads)?;
        }
    }
    Ok(changed)
}

/// Nothing is seen of a digest, and where another device has a stream of that name, the name is that one's.
fn put_aside(store: &mut Store, digest: &Stream, streams: &[Stream]) -> Result<bool> {
    let is_others = |stream: &Stream| stream.own_name == digest.own_name && stream.origin != digest.origin;
    let has_other_name = digest.is_branch() || streams.iter().any(is_others);
    let shown = has_other_name.then(|| store.branch_name(&digest.own_name, digest.origin)).transpose()?;
    if digest.shared == UNSETTLED && digest.name == *shown.as_ref().unwrap_or(&digest.own_name) {
        return Ok(false);
    }
    store.show_stream(digest.id, shown.as_deref(), UNSETTLED)?;
    Ok(true)
}

fn is_digest(stream: &Stream) -> bool {
    Format::parse(&stream.format).is_some_and(Format::is_digest)
}

/// True where `streams` have what a digest in a stream called `name` is of: then nothing of the digest is seen.
pub(super) fn is_outdone(name: &str, streams: &[Stream]) -> bool {
    let tells_more = |stream: &&Stream| {
        stream.length > 0
            && Format::parse(&stream.format).is_some_and(|format| format.has_lines() && !format.is_digest())
    };
    streams.iter().filter(tells_more).any(|stream| stream.own_name == tools::base_name(name))
}

/// The newest generation of each device's stream.
fn heads(streams: &[Stream]) -> Vec<&Stream> {
    let mut heads: BTreeMap<i64, &Stream> = BTreeMap::new();
    for stream in streams {
        let head = heads.entry(stream.origin).or_insert(stream);
        if stream.generation > head.generation {
            *head = stream;
        }
    }
    heads.into_values().collect()
}

fn settle_stream(store: &mut Store, streams: &[Stream], heads: Vec<&Stream>) -> Result<bool> {
    let heads = ranked(store, heads)?;
    let mut changed = false;
    for (rank, head) in heads.iter().enumerate() {
        let mut shared = 0;
        for before in &heads[..rank] {
            shared = shared.max(shared_bytes(store, head, before)?);
        }
        let shown = if rank == 0 { None } else { Some(store.branch_name(&head.own_name, head.origin)?) };
        let name = shown.as_deref().unwrap_or(&head.own_name);
        for stream in streams.iter().filter(|stream| stream.origin == head.origin) {
            let shared = if stream.id == head.id { shared } else { 0 };
            if stream.name != name || stream.shared != shared {
                store.show_stream(stream.id, shown.as_deref(), shared)?;
                changed = true;
            }
        }
    }
    Ok(changed)
}

/// The one to be shown first: in the tool's own form, active last, longest; the devices' names decide what is left.
fn ranked<'a>(store: &Store, heads: Vec<&'a Stream>) -> Result<Vec<&'a Stream>> {
    let mut ranked = Vec::with_capacity(heads.len());
    for head in heads {
        let is_portable = matches!(Format::parse(&head.format), Some(Format::SfsJsonl | Format::SfsDocument));
        let device = store.branch_name("", head.origin)?;
        ranked.push((Reverse((!is_portable, last_activity(store, head)?, head.length, device)), head));
    }
    ranked.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(ranked.into_iter().map(|(_, head)| head).collect())
}

/// The newest time that a stream's messages tell.
fn last_activity(store: &Store, stream: &Stream) -> Result<Option<jiff::Timestamp>> {
    let Some(format) = Format::parse(&stream.format) else { return Ok(None) };
    if format.is_one_line() {
        return Ok(read_document_whole(store, stream)?.iter().filter_map(|message| message.timestamp).max());
    }
    let Some(mut reader) = tools::reader(format, &stream.own_name, None) else { return Ok(None) };
    let (mut newest, mut reading) = (None, Reading::default());
    store.for_each_line(stream, 0..stream.length, MAX_LINE as u64, &mut |number, offset, bytes| {
        reading.clear();
        reader.line(Line { stream: &stream.own_name, number, offset, bytes }, &mut reading);
        newest = newest.max(reading.messages.iter().filter_map(|message| message.timestamp).max());
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(newest)
}

/// How many first bytes of `stream` stand at the beginning of `before` too, in whole lines or all of them. What is in another
/// form tells the same once more; of a document that is rewritten as a whole the messages' ids tell what is shared.
fn shared_bytes(store: &Store, stream: &Stream, before: &Stream) -> Result<u64> {
    if stream.format != before.format {
        return Ok(UNSETTLED);
    }
    if Format::parse(&stream.format).is_some_and(Format::is_one_line) {
        return Ok(0);
    }
    let mut at = store.shared_chunks(stream, before)?;
    // Where the last whole line ends.
    let mut lines = at;
    let (mut cache, mut other_cache) = (ChunkCache::default(), ChunkCache::default());
    loop {
        let ours = store.read_piece(stream, at, &mut cache)?;
        let theirs = store.read_piece(before, at, &mut other_cache)?;
        if ours.is_empty() {
            return Ok(stream.length);
        }
        let same = ours.iter().zip(&theirs).take_while(|(a, b)| a == b).count();
        if let Some(end) = memchr::memrchr(b'\n', &ours[..same]) {
            lines = at + end as u64 + 1;
        }
        if same == 0 || (same < ours.len() && same < theirs.len()) {
            let lines = line_start(store, stream, lines)?;
            return shared_copies(store, stream, before, lines);
        }
        at += same as u64;
    }
}

/// The same from byte `at` on, line by line: one of the two may be a copy without secrets, of which lines have other lengths.
fn shared_copies(store: &Store, stream: &Stream, before: &Stream, at: u64) -> Result<u64> {
    let mut ours = Lines::from(store, stream, at);
    let mut theirs = Lines::from(store, before, at);
    let mut shared = at;
    while let (Some(one), Some(other)) = (ours.next_line()?, theirs.next_line()?) {
        if !is_same_line(&one, &other) {
            break;
        }
        shared = ours.read_to;
    }
    Ok(shared)
}

/// A stream's whole lines, one after the other.
struct Lines<'a> {
    store: &'a Store,
    stream: &'a Stream,
    cache: ChunkCache,
    /// The end of the line that was given last.
    read_to: u64,
    begun: Vec<u8>,
}

impl<'a> Lines<'a> {
    fn from(store: &'a Store, stream: &'a Stream, at: u64) -> Lines<'a> {
        Lines { store, stream, cache: ChunkCache::default(), read_to: at, begun: Vec::new() }
    }

    fn next_line(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.begun) {
                self.read_to += end as u64 + 1;
                return Ok(Some(self.begun.drain(..=end).collect()));
            }
            let from = self.read_to + self.begun.len() as u64;
            let piece = self.store.read_piece(self.stream, from, &mut self.cache)?;
            if piece.is_empty() || self.begun.len() > MAX_LINE {
                return Ok(None);
            }
            self.begun.extend(piece);
        }
    }
}

/// The start of the line in which byte `at` stands: a chunk may end within a line.
fn line_start(store: &Store, stream: &Stream, at: u64) -> Result<u64> {
    const STEP: u64 = 64 << 10;
    let mut end = at;
    while end > 0 {
        let start = end.saturating_sub(STEP);
        let bytes = store.read_range(stream, start, end - start, &mut ChunkCache::default())?;
        if let Some(newline) = memchr::memrchr(b'\n', &bytes) {
            return Ok(start + newline as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}
