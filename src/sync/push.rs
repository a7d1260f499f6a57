//! From this archive to a server: streams from the byte on that it is known to have, and what was said of sessions.

use super::wire::{Accepted, Part, Push, PushAnswer, SessionState, StreamState};
use super::{BATCH, Remote};
use crate::error::{Error, Result};
use crate::id::Hash;
use crate::store::{Acknowledged, ChangedSession, ChunkCache, RemoteRow, Store, Stream, Unsent};
use std::collections::{HashMap, VecDeque};

/// From so many bytes on the server is asked which chunks it has.
pub(super) const LARGE: u64 = 256 << 10;
/// Sessions in one message.
const SESSIONS: usize = 200;
/// As they are; how much of a stream a server has is remembered for each way of redaction.
const EXACT: u32 = 0;

/// What a push did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Rows of sessions that the server took, or had.
    pub sessions: Vec<i64>,
    /// Bytes of streams that were new to the server.
    pub bytes: u64,
    /// Sessions that the server does not want, and why.
    pub refused: Vec<(i64, String)>,
}

/// Sends everything that changed since the last push.
pub fn push(store: &mut Store, remote: &mut dyn Remote, row: &mut RemoteRow) -> Result<Pushed> {
    let mut pushed = Pushed::default();
    loop {
        let changes = store.changes(row.pushed, 1000)?;
        send(store, remote, row.id, changes.sessions.into(), &mut pushed)?;
        row.pushed = changes.number;
        store.write(|store| store.save_remote(row))?;
        if !changes.more {
            return Ok(pushed);
        }
    }
}

/// Sends these sessions, whole.
pub fn push_sessions(store: &mut Store, remote: &mut dyn Remote, row: &RemoteRow, sessions: &[i64]) -> Result<Pushed> {
    let mut pushed = Pushed::default();
    let sessions = sessions.iter().map(|session| store.whole_session(*session)).collect::<Result<_>>()?;
    send(store, remote, row.id, sessions, &mut pushed)?;
    Ok(pushed)
}

fn send(
    store: &mut Store,
    remote: &mut dyn Remote,
    row: i64,
    mut waiting: VecDeque<ChangedSession>,
    pushed: &mut Pushed,
) -> Result<()> {
    waiting.retain(|changed| changed.session.purged_at.is_none() || !changed.registers.is_empty());
    let mut known = HashMap::new();
    let mut stalled = false;
    while !waiting.is_empty() {
        let batch = Batch::fill(store, remote, row, &waiting, &mut known)?;
        let answer = remote.push(&batch.push, &batch.bytes)?;
        if answer.sessions.len() != batch.sessions.len() {
            return Err(Error::failed("the server's answer does not fit what was sent"));
        }
        let before = waiting.len();
        let progress = store.write(|store| batch.settle(store, row, answer, &mut waiting, pushed))?;
        pushed.bytes += progress;
        // Twice the same answer to the same question: it will not change.
        if progress == 0 && waiting.len() == before {
            if stalled {
                return Err(
                    Error::failed("the server takes no more bytes and does not say why").hint("try again later")
                );
            }
            stalled = true;
        } else {
            stalled = false;
        }
    }
    Ok(())
}

/// One message.
struct Batch {
    push: Push,
    bytes: Vec<u8>,
    /// For each session of the message: its streams that are in it.
    sessions: Vec<Vec<Stream>>,
}

impl Batch {
    /// Takes from the front of `waiting` what fits. `known` says which chunks the server has.
    fn fill(
        store: &Store,
        remote: &mut dyn Remote,
        row: i64,
        waiting: &VecDeque<ChangedSession>,
        known: &mut HashMap<Hash, bool>,
    ) -> Result<Batch> {
        let mut batch = Batch { push: Push::default(), bytes: Vec::new(), sessions: Vec::new() };
        let mut room = BATCH;
        for changed in waiting.iter().take(SESSIONS) {
            let mut state = SessionState::of(changed);
            let believed = std::mem::take(&mut state.streams);
            let mut streams = Vec::new();
            for ((stream, _), mut believed) in changed.streams.iter().zip(believed) {
                let has = believed_of(store, row, stream, &mut believed)?;
                if has >= stream.length && stream.length > 0 || room == 0 {
                    continue;
                }
                let parts = batch.parts(store, remote, stream, has, &mut room, known)?;
                batch.push.parts.push(parts);
                state.streams.push(believed);
                streams.push(stream.clone());
            }
            batch.push.sessions.push(state);
            batch.sessions.push(streams);
            if room == 0 {
                break;
            }
        }
        Ok(batch)
    }

    /// The bytes of a stream from `from` on that fit, chunks that the server has by their name.
    fn parts(
        &mut self,
        store: &Store,
        remote: &mut dyn Remote,
        stream: &Stream,
        from: u64,
        room: &mut u64,
        known: &mut HashMap<Hash, bool>,
    ) -> Result<Vec<Part>> {
        let mut parts = Vec::new();
        let mut at = from;
        let mut chunks = Vec::new();
        if stream.length - from >= LARGE {
            chunks = store.chunks_of(stream)?.into_iter().filter(|(start, ..)| *start >= from).collect();
            ask(remote, chunks.iter().map(|(_, _, hash)| *hash), known)?;
        }
        for (start, length, hash) in chunks.into_iter().filter(|(_, _, hash)| known.get(hash) == Some(&true)) {
            at = self.literal(store, stream, at, start, room, &mut parts)?;
            if at < start || *room == 0 {
                return Ok(parts);
            }
            parts.push(Part::Chunk(hash));
            // A name costs the server as much reading as bytes would, but not the wire.
            *room = room.saturating_sub(length / 4);
            at = start + length;
        }
        self.literal(store, stream, at, stream.length, room, &mut parts)?;
        Ok(parts)
    }

    /// Adds the bytes from `from` to `to` as far as there is room; says where it came.
    fn literal(
        &mut self,
        store: &Store,
        stream: &Stream,
        from: u64,
        to: u64,
        room: &mut u64,
        parts: &mut Vec<Part>,
    ) -> Result<u64> {
        let length = (to - from).min(*room);
        if length > 0 {
            self.bytes.extend(store.read_range(stream, from, length, &mut ChunkCache::default())?);
            parts.push(Part::Bytes(length));
            *room -= length;
        }
        Ok(from + length)
    }

    /// Remembers what the server has now; says how many bytes are new to it. Sessions that are through leave `waiting`.
    fn settle(
        &self,
        store: &mut Store,
        row: i64,
        answer: PushAnswer,
        waiting: &mut VecDeque<ChangedSession>,
        pushed: &mut Pushed,
    ) -> Result<u64> {
        let mut progress = 0;
        let mut rest = VecDeque::new();
        for (streams, accepted) in self.sessions.iter().zip(answer.sessions) {
            let Some(changed) = waiting.pop_front() else { break };
            let session = changed.session.id;
            let problem = match accepted {
                Accepted::Refused(why) => Some(why),
                Accepted::Streams(lengths) => acknowledge(store, row, streams, &lengths, &mut progress)?,
            };
            if let Some(reason) = problem {
                store.set_unsent(row, &Unsent { session, attempts: 1, retry_at: None, reason: reason.clone() })?;
                pushed.refused.push((session, reason));
            } else if is_through(store, row, &changed)? {
                store.clear_unsent(row, session)?;
                pushed.sessions.push(session);
            } else {
                rest.push_back(changed);
            }
        }
        rest.append(waiting);
        *waiting = rest;
        Ok(progress)
    }
}

/// Sets what the server is believed to have of a stream; says how many of our bytes that are.
fn believed_of(store: &Store, row: i64, stream: &Stream, believed: &mut StreamState) -> Result<u64> {
    let known = store.acknowledged(row, stream.id, EXACT)?;
    (believed.length, believed.hash) = known.map_or((0, Hash::of(&[])), |has| (has.remote_length, has.remote_hash));
    Ok(known.map_or(0, |has| has.length))
}

fn ask(remote: &mut dyn Remote, hashes: impl Iterator<Item = Hash>, known: &mut HashMap<Hash, bool>) -> Result<()> {
    let unknown: Vec<Hash> = hashes.filter(|hash| !known.contains_key(hash)).collect();
    for some in unknown.chunks(4096) {
        let there = remote.has_chunks(some)?;
        known.extend(some.iter().copied().zip(there));
    }
    Ok(())
}

/// Takes over how far the server is with each stream; the answer is why it can't go on.
fn acknowledge(
    store: &mut Store,
    row: i64,
    streams: &[Stream],
    lengths: &[(u64, Hash)],
    progress: &mut u64,
) -> Result<Option<String>> {
    for (stream, (length, hash)) in streams.iter().zip(lengths) {
        // The server may have more of it than we: then it is a pull that brings us forward.
        let is_ahead = *length > stream.length;
        if !is_ahead && store.prefix_hash(stream, *length)? != Some(*hash) {
            return Ok(Some(format!("the server has other bytes of stream {} of this device", stream.own_name)));
        }
        let ours = (*length).min(stream.length);
        let before = store.acknowledged(row, stream.id, EXACT)?.map_or(0, |has| has.length);
        *progress += ours.saturating_sub(before);
        let has = Acknowledged { length: ours, remote_length: *length, remote_hash: *hash };
        store.acknowledge(row, stream.id, EXACT, &has)?;
    }
    Ok(None)
}

fn is_through(store: &Store, row: i64, changed: &ChangedSession) -> Result<bool> {
    for (stream, _) in &changed.streams {
        let has = store.acknowledged(row, stream.id, EXACT)?.map_or(0, |has| has.length);
        if has < stream.length {
            return Ok(false);
        }
    }
    Ok(true)
}
