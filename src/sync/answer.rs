//! The server's side: what it answers, and what it takes in. A push is one transaction; repeating it changes nothing.

use super::BATCH;
use super::wire::{Accepted, Changes, Frame, Part, Push, PushAnswer, SessionState, StreamPlace, StreamState, Want};
use crate::capture::Arrival;
use crate::error::{Error, Result};
use crate::id::{Hash, SessionId};
use crate::store::{ChangedSession, ChunkCache, Register, Relation, SessionRow, Store, Stream, StreamKey};

/// Streams and registers in one answer to "what changed", about.
const CHANGES: u32 = 1000;

/// What changed after number `since`.
pub fn changes(store: &Store, since: i64) -> Result<Changes> {
    let changes = store.changes(since, CHANGES)?;
    let sessions = changes.sessions.iter().map(|changed| state_of(store, changed)).collect::<Result<_>>()?;
    Ok(Changes { number: changes.number, more: changes.more, sessions })
}

/// One session with everything that is known of it.
pub fn session(store: &Store, id: &str) -> Result<Option<SessionState>> {
    match store.find_public(&SessionId::parse(id)?)? {
        Some(row) => Ok(Some(state_of(store, &store.whole_session(row.id)?)?)),
        None => Ok(None),
    }
}

fn state_of(store: &Store, changed: &ChangedSession) -> Result<SessionState> {
    let etag = Some(store.etag(&changed.session)?.hex());
    Ok(SessionState { etag, ..SessionState::of(changed) })
}

/// Which of these chunks are there.
pub fn has_chunks(store: &Store, hashes: &[Hash]) -> Result<Vec<bool>> {
    hashes.iter().map(|hash| store.has_chunk(hash)).collect()
}

/// The chunks of a stream: length and hash.
pub fn chunks(store: &Store, place: &StreamPlace) -> Result<Vec<(u64, Hash)>> {
    let stream = find(store, place)?;
    Ok(store.chunks_of(&stream)?.into_iter().map(|(_, length, hash)| (length, hash)).collect())
}

/// The bytes that a client wants, as many as fit into one answer, and none where it does not have the bytes before them.
pub fn pull(store: &Store, wants: &[Want]) -> Result<Frame<Vec<Want>>> {
    let mut frame = Frame { header: Vec::new(), bytes: Vec::new() };
    for want in wants {
        let stream = find(store, &want.stream)?;
        if want.hash.is_some() && store.prefix_hash(&stream, want.from)? != want.hash {
            continue;
        }
        let room = (2 * BATCH).saturating_sub(frame.bytes.len() as u64);
        let length = want.length.min(stream.length.saturating_sub(want.from)).min(room);
        if length > 0 {
            frame.bytes.extend(store.read_range(&stream, want.from, length, &mut ChunkCache::default())?);
            frame.header.push(Want { length, ..want.clone() });
        }
    }
    Ok(frame)
}

fn find(store: &Store, place: &StreamPlace) -> Result<Stream> {
    let session = store.find_native(&place.tool, &place.native_id)?;
    let stream = match session {
        Some(session) => store.stream_of(session.id, &place.name, &place.origin, place.generation)?,
        None => None,
    };
    stream.ok_or_else(|| Error::not_found("there is no such stream"))
}

/// Takes in what a client sends.
pub fn accept(store: &mut Store, push: &Push, bytes: &[u8]) -> Result<PushAnswer> {
    let streams: usize = push.sessions.iter().map(|session| session.streams.len()).sum();
    if streams != push.parts.len() {
        return Err(Error::usage("the message names other streams than it has bytes for"));
    }
    store.write(|store| {
        let mut rest = Parts { bytes, lists: push.parts.iter() };
        let sessions = push.sessions.iter().map(|session| accept_session(store, session, &mut rest));
        let (sessions, etags) = sessions.collect::<Result<Vec<_>>>()?.into_iter().unzip();
        Ok(PushAnswer { sessions, etags })
    })
}

/// What of a push was not looked at yet.
struct Parts<'a> {
    bytes: &'a [u8],
    lists: std::slice::Iter<'a, Vec<Part>>,
}

impl Parts<'_> {
    /// The next stream's new bytes: as many of them as can be had, up to a chunk that is not there after all.
    fn next(&mut self, store: &Store) -> Result<Vec<u8>> {
        let mut new = Vec::new();
        let mut is_whole = true;
        for part in self.lists.next().into_iter().flatten() {
            match part {
                Part::Bytes(length) => {
                    let (bytes, rest) = usize::try_from(*length)
                        .ok()
                        .and_then(|length| self.bytes.split_at_checked(length))
                        .ok_or_else(|| Error::usage("the message ends early"))?;
                    self.bytes = rest;
                    if is_whole {
                        new.extend_from_slice(bytes);
                    }
                }
                Part::Chunk(_) if !is_whole => {}
                Part::Chunk(_) if new.len() as u64 > 4 * BATCH => is_whole = false,
                Part::Chunk(hash) => match store.chunk(hash)? {
                    Some(bytes) => new.extend(bytes),
                    None => is_whole = false,
                },
            }
        }
        Ok(new)
    }
}

/// What became of a session, and its `ETag` now.
fn accept_session(
    store: &mut Store,
    state: &SessionState,
    parts: &mut Parts<'_>,
) -> Result<(Accepted, Option<String>)> {
    let problem = state.problem();
    let row = match &problem {
        None => Some(take_in(store, state)?),
        Some(_) => None,
    };
    let Some(row) = row.filter(|row| row.purged_at.is_none()) else {
        for _ in &state.streams {
            parts.next(store)?;
        }
        let why = problem.unwrap_or_else(|| "the session was purged there".to_owned());
        return Ok((Accepted::Refused(why), None));
    };
    let mut arrival = Arrival::new(row.clone());
    let mut lengths = Vec::with_capacity(state.streams.len());
    for believed in &state.streams {
        let new = parts.next(store)?;
        let mut stream = store.ensure_stream_of(&believed.origin, key(&row, believed))?;
        if (stream.length, stream.hash()) == (believed.length, believed.hash) && stream.format == believed.format {
            arrival.append(store, &mut stream, &new)?;
        }
        lengths.push((stream.length, stream.hash()));
    }
    arrival.finish(store)?;
    let etag = store.etag(&store.session(row.id)?)?.hex();
    Ok((Accepted::Streams(lengths), Some(etag)))
}

/// The stream's key here.
pub(super) fn key<'a>(row: &SessionRow, state: &'a StreamState) -> StreamKey<'a> {
    StreamKey {
        session: row.id,
        name: &state.name,
        generation: state.generation,
        format: &state.format,
        native_path: state.native_path.as_deref(),
    }
}

/// The session's row here, with what the other side says of it.
pub(super) fn take_in(store: &mut Store, state: &SessionState) -> Result<SessionRow> {
    let row = store.adopt_session(&state.tool, &state.native_id, SessionId::parse(&state.id).ok())?;
    for said in state.registers.iter().filter(|said| said.is_sound()).cloned() {
        let register = Register { field: said.field, value: said.value, counter: said.counter, device: said.device };
        store.merge_register(row.id, &register)?;
    }
    if let Some(parent) = &state.parent {
        store.learn_parent(row.id, &parent.id, Relation::parse(&parent.relation), parent.inherited)?;
    }
    store.session(row.id)
}
