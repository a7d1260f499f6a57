//! A stream on its way out: its own bytes, or those of the copy without secrets. The copy is made line by line, so it grows
//! as the stream grows, and is a stream of its own on the server (`<device>-r<rules>`): it never stands for the exact one.

use super::BATCH;
use super::wire::SaidOf;
use crate::capture::is_whole_object;
use crate::error::Result;
use crate::export::Redaction;
use crate::id::Hash;
use crate::security::secrets::RULESET;
use crate::store::{Acknowledged, CHECKPOINT, Checkpoint, ChunkCache, Store, Stream, StreamHasher, TAG, exact_device};
use crate::tools::Format;

/// Where a longer line is cut to be redacted: what is longer is a picture or a dump.
const WINDOW: u64 = 4 << 20;

/// How streams leave.
pub(super) struct Outgoing<'a> {
    redaction: &'a Redaction,
}

/// Bytes for the server, and up to which byte of ours they reach.
pub(super) struct Piece {
    pub(super) bytes: Vec<u8>,
    pub(super) end: u64,
}

impl<'a> Outgoing<'a> {
    pub(super) fn new(redaction: &'a Redaction) -> Outgoing<'a> {
        Outgoing { redaction }
    }

    /// Under which version of the rules, 0 for exact copies.
    pub(super) fn rules(&self) -> u32 {
        if self.redaction.is_on() { RULESET } else { 0 }
    }

    /// The name of the copy's writer, on the server. A copy of a copy is that copy: redacting twice changes nothing.
    pub(super) fn origin(&self, origin: &str) -> String {
        let is_exact = exact_device(origin) == origin;
        if self.redaction.is_on() && is_exact { redacted_origin(origin) } else { origin.to_owned() }
    }

    /// What was said of a session, without its secrets. A tag that is one stays here.
    pub(super) fn registers(&self, registers: Vec<SaidOf>) -> Vec<SaidOf> {
        if !self.redaction.is_on() {
            return registers;
        }
        let copies = registers.into_iter().filter_map(|said| {
            if said.field.starts_with(TAG) {
                return (self.redaction.text(&said.field) == said.field).then_some(said);
            }
            let value = said.value.map(|value| self.copy_of(&said.field, value));
            Some(SaidOf { value, ..said })
        });
        copies.collect()
    }

    /// Of a checkpoint, only its name is a person's.
    fn copy_of(&self, field: &str, value: String) -> String {
        let named = field.starts_with(CHECKPOINT).then(|| serde_json::from_str::<Checkpoint>(&value).ok()).flatten();
        let Some(checkpoint) = named else { return self.redaction.text(&value) };
        let name = self.redaction.text(&checkpoint.name);
        if name == checkpoint.name {
            return value;
        }
        serde_json::to_string(&Checkpoint { name, ..checkpoint }).unwrap_or_default()
    }

    /// What follows byte `from`, about `room` bytes of it; nothing where only the beginning of a line does.
    pub(super) fn piece(&self, store: &Store, stream: &Stream, from: u64, room: u64) -> Result<Piece> {
        if !self.redaction.is_on() {
            let length = (stream.length - from).min(room);
            let bytes = store.read_range(stream, from, length, &mut ChunkCache::default())?;
            return Ok(Piece { bytes, end: from + length });
        }
        let mut piece = Piece { bytes: Vec::new(), end: from };
        let mut cache = ChunkCache::default();
        let mut begun = Vec::new();
        while (piece.bytes.len() as u64) < room {
            let bytes = store.read_piece(stream, piece.end + begun.len() as u64, &mut cache)?;
            let is_end = bytes.is_empty();
            begun.extend(bytes);
            let taken = self.copy_segments(stream, &begun, is_end, room, &mut piece.bytes);
            begun.drain(..taken);
            piece.end += taken as u64;
            if is_end {
                break;
            }
        }
        Ok(piece)
    }

    /// Appends copies of the whole segments at the start of `bytes` until `out` holds `room` bytes; says how many of `bytes`
    /// those are.
    fn copy_segments(&self, stream: &Stream, bytes: &[u8], is_end: bool, room: u64, out: &mut Vec<u8>) -> usize {
        let has_lines = Format::parse(&stream.format).is_none_or(|format| format.has_lines() && !format.is_one_line());
        let mut taken = 0;
        while (out.len() as u64) < room {
            let rest = &bytes[taken..];
            let newline = memchr::memchr(b'\n', rest).filter(|_| has_lines);
            let segment = match newline {
                Some(end) => &rest[..end],
                None if rest.len() as u64 > WINDOW => &rest[..window(rest)],
                None if !rest.is_empty() && is_end && (!has_lines || is_whole_object(rest)) => rest,
                None => return taken,
            };
            out.extend(self.redaction.line(segment));
            out.extend(newline.map(|_| b'\n'));
            taken += segment.len() + usize::from(newline.is_some());
        }
        taken
    }

    /// Whether the server's stream, of which it told length and hash, begins like our copy; then how far it is with it.
    pub(super) fn compare(
        &self,
        store: &Store,
        stream: &Stream,
        length: u64,
        hash: Hash,
    ) -> Result<Option<Acknowledged>> {
        let same = |ours| Acknowledged { length: ours, remote_length: length, remote_hash: hash };
        if !self.redaction.is_on() {
            // The server may have more of it than we: then it is a pull that brings us forward.
            if length > stream.length {
                return Ok(Some(same(stream.length)));
            }
            return Ok(store.prefix_hash(stream, length)?.filter(|ours| *ours == hash).map(|_| same(length)));
        }
        let mut hasher = StreamHasher::default();
        let mut at = 0;
        while hasher.length() < length {
            let left = length - hasher.length();
            let mut piece = self.piece(store, stream, at, left.min(BATCH))?;
            if piece.end == at {
                // As above.
                return Ok(Some(same(at)));
            }
            // The last line had no end when it was sent.
            if piece.bytes.len() as u64 == left + 1 && piece.bytes.last() == Some(&b'\n') {
                piece.bytes.pop();
                piece.end -= 1;
            }
            hasher.update(&piece.bytes);
            at = piece.end;
        }
        Ok((hasher.length() == length && hasher.hash() == hash).then(|| same(at)))
    }
}

/// The name under which a device's redacted streams are known.
pub(super) fn redacted_origin(origin: &str) -> String {
    format!("{origin}-r{RULESET}")
}

/// Where to cut a line that is too long: behind the last blank or quote of its first part, so that no secret is cut in two.
fn window(bytes: &[u8]) -> usize {
    let first = &bytes[..WINDOW as usize];
    let near = &first[first.len() - 4096..];
    let cut = memchr::memrchr3(b' ', b'"', b',', near);
    cut.map_or(first.len(), |at| first.len() - near.len() + at + 1)
}
