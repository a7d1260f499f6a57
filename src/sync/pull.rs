//! From a server to this archive: what other devices wrote, and what was said there.

use super::answer::{key, take_in};
use super::push::LARGE;
use super::shared::Followed;
use super::wire::{AHEAD, SessionState, StreamPlace, StreamState, Want, device_of};
use super::{BATCH, Remote};
use crate::capture::Arrival;
use crate::error::{Error, Result};
use crate::store::{Acknowledged, RemoteRow, SessionRow, Store, Stream, exact_device};
use std::collections::BTreeMap;

/// Streams in one message.
const WANTS: usize = 500;

/// What a pull did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pulled {
    /// Rows of sessions that came, or of which something came.
    pub sessions: Vec<i64>,
    /// Bytes of streams that were new here, by session.
    pub bytes: BTreeMap<i64, u64>,
    /// What the server calls the state of each session, where it says so.
    pub etags: BTreeMap<i64, String>,
    /// Sessions that could not be taken in, by their id there, and why.
    pub problems: Vec<(String, String)>,
}

/// Fetches everything that changed since the last pull.
pub fn pull(store: &mut Store, remote: &mut dyn Remote, row: &mut RemoteRow) -> Result<Pulled> {
    let mut pulled = Pulled::default();
    loop {
        let changes = remote.changes(row.pulled)?;
        take(store, remote, row.id, changes.sessions, &mut pulled)?;
        if changes.more && changes.number <= row.pulled {
            return Err(Error::failed("the server counts its changes wrongly"));
        }
        row.pulled = changes.number;
        store.write(|store| store.save_remote(row))?;
        if !changes.more {
            return Ok(pulled);
        }
    }
}

/// Fetches one session, whole.
pub fn pull_session(store: &mut Store, remote: &mut dyn Remote, row: &RemoteRow, id: &str) -> Result<Pulled> {
    let session = ask_for(remote, id)?;
    let mut pulled = Pulled::default();
    take(store, remote, row.id, vec![session], &mut pulled)?;
    Ok(pulled)
}

fn ask_for(remote: &mut dyn Remote, id: &str) -> Result<SessionState> {
    remote.session(id)?.ok_or_else(|| {
        Error::not_found(format!("the server has no session {id}")).hint("see what is there with `sfs list --remote`")
    })
}

/// Fetches a session of another account, and says whether it is one's own as well. Of such a one, only who works on it with
/// us may say how it is called.
pub fn pull_shared(
    store: &mut Store,
    remote: &mut dyn Remote,
    row: &RemoteRow,
    followed: &Followed,
) -> Result<(Pulled, bool)> {
    let mut state = ask_for(remote, &followed.session)?;
    let here = store.find_native(&state.tool, &state.native_id)?;
    let is_own = match (followed.is_own, &here) {
        (Some(is_own), _) => is_own,
        (None, Some(here)) => has_more_devices(store, here, &state)?,
        (None, None) => false,
    };
    let known = here.map(|here| store.registers(here.id)).transpose()?.unwrap_or_default();
    let newest = known.iter().map(|register| register.counter).max().unwrap_or_default();
    state.registers.retain(|said| (followed.write || !is_own) && said.counter <= newest.saturating_add(AHEAD));
    state.parent = state.parent.filter(|_| !is_own);
    let mut pulled = Pulled::default();
    take(store, remote, row.id, vec![state], &mut pulled)?;
    Ok((pulled, is_own))
}

/// True where a device wrote in the session here that `state` does not know.
fn has_more_devices(store: &Store, here: &SessionRow, state: &SessionState) -> Result<bool> {
    let ours = store.whole_session(here.id)?.streams;
    let is_there = |origin: &str| state.streams.iter().any(|theirs| device_of(&theirs.origin) == device_of(origin));
    Ok(ours.iter().any(|(_, origin)| !is_there(origin)))
}

/// A session on its way in.
struct Incoming {
    state: SessionState,
    row: SessionRow,
    /// Small pieces, to be asked for together with those of other sessions.
    wants: Vec<Want>,
}

fn take(
    store: &mut Store,
    remote: &mut dyn Remote,
    row: i64,
    sessions: Vec<SessionState>,
    pulled: &mut Pulled,
) -> Result<()> {
    let mut batch: Vec<Incoming> = Vec::new();
    for state in sessions {
        if let Some(problem) = state.problem() {
            pulled.problems.push((state.id, problem));
            continue;
        }
        let session = store.write(|store| take_in(store, &state))?;
        if session.purged_at.is_some() {
            continue;
        }
        pulled.etags.extend(state.etag.clone().map(|etag| (session.id, etag)));
        let mut incoming = Incoming { state, row: session, wants: Vec::new() };
        if let Err(error) = incoming.plan(store, remote, row, pulled) {
            if error.kind() != crate::error::Kind::Conflict {
                return Err(error);
            }
            pulled.problems.push((incoming.state.id, error.message()));
            continue;
        }
        batch.push(incoming);
        let wants = || batch.iter().flat_map(|incoming| &incoming.wants);
        if wants().map(|want| want.length).sum::<u64>() > BATCH || wants().count() > WANTS || batch.len() > WANTS {
            fetch(store, remote, row, std::mem::take(&mut batch), pulled)?;
        }
    }
    fetch(store, remote, row, batch, pulled)
}

impl Incoming {
    /// Fetches what is large; notes what is small.
    fn plan(&mut self, store: &mut Store, remote: &mut dyn Remote, row: i64, pulled: &mut Pulled) -> Result<()> {
        for theirs in &self.state.streams {
            if is_own_copy(store, &self.row, theirs)? {
                continue;
            }
            let ours = store.stream_of(self.row.id, &theirs.name, &theirs.origin, theirs.generation)?;
            let from = ours.as_ref().map_or(0, |ours| ours.length);
            if from >= theirs.length {
                if let Some(ours) = ours.filter(|ours| (ours.length, ours.hash()) == (theirs.length, theirs.hash)) {
                    store.write(|store| acknowledge(store, row, &ours))?;
                }
                continue;
            }
            let want = Want {
                stream: StreamPlace::of(&self.state, theirs),
                from,
                length: theirs.length - from,
                hash: ours.map(|ours| ours.hash()),
            };
            if want.length < LARGE {
                self.wants.push(want);
            } else {
                fetch_large(store, remote, &self.row, theirs, &want, pulled)?;
            }
        }
        Ok(())
    }

    fn stream_state(&self, place: &StreamPlace) -> Option<&StreamState> {
        self.state.streams.iter().find(|stream| StreamPlace::of(&self.state, stream) == *place)
    }
}

/// A redacted copy of a stream that we have as it is says nothing new.
fn is_own_copy(store: &Store, session: &SessionRow, theirs: &StreamState) -> Result<bool> {
    let origin = exact_device(&theirs.origin);
    if origin == theirs.origin {
        return Ok(false);
    }
    Ok(store.stream_of(session.id, &theirs.name, origin, theirs.generation)?.is_some())
}

/// A large piece, a batch at a time; chunks that are here already are not sent. What it means is derived with the session's
/// last piece, and again should that be interrupted.
fn fetch_large(
    store: &mut Store,
    remote: &mut dyn Remote,
    session: &SessionRow,
    state: &StreamState,
    want: &Want,
    pulled: &mut Pulled,
) -> Result<()> {
    let mut chunks = Vec::new();
    let mut start = 0;
    for (length, hash) in remote.chunks(&want.stream)? {
        chunks.push((start, length, hash));
        start += length;
    }
    let mut at = want.from;
    let end = want.from + want.length;
    while at < end {
        let mut piece = Vec::new();
        if let Some((_, _, hash)) = chunks.iter().find(|(start, ..)| *start == at)
            && let Some(bytes) = store.chunk(hash)?
        {
            piece = bytes;
        }
        if piece.is_empty() {
            let here = |hash| store.has_chunk(hash).unwrap_or(false);
            let next =
                chunks.iter().find(|(start, _, hash)| *start > at && here(hash)).map_or(end, |(start, ..)| *start);
            piece = one_piece(remote, want, at, next.min(end).min(at + BATCH))?;
        }
        piece.truncate((end - at) as usize);
        at += piece.len() as u64;
        *pulled.bytes.entry(session.id).or_default() += piece.len() as u64;
        store.write(|store| {
            let mut stream = store.ensure_stream_of(&state.origin, key(session, state))?;
            if stream.length + piece.len() as u64 == at {
                Arrival::new(session.clone()).append(store, &mut stream, &piece)?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn one_piece(remote: &mut dyn Remote, want: &Want, from: u64, to: u64) -> Result<Vec<u8>> {
    let hash = want.hash.filter(|_| from == want.from);
    let frame = remote.pull(&[Want { from, length: to - from, hash, ..want.clone() }])?;
    if frame.bytes.is_empty() || frame.bytes.len() as u64 > to - from {
        return Err(differs(&want.stream));
    }
    Ok(frame.bytes)
}

fn differs(stream: &StreamPlace) -> Error {
    Error::conflict(format!("the server has other bytes of stream {} than this device", stream.name))
}

/// Fetches the small pieces of several sessions, and brings their derived tables up to date.
fn fetch(
    store: &mut Store,
    remote: &mut dyn Remote,
    row: i64,
    batch: Vec<Incoming>,
    pulled: &mut Pulled,
) -> Result<()> {
    let wants: Vec<Want> = batch.iter().flat_map(|incoming| incoming.wants.clone()).collect();
    let frame = if wants.is_empty() { None } else { Some(remote.pull(&wants)?) };
    let mut pieces = Vec::new();
    if let Some(frame) = &frame {
        let mut rest = &frame.bytes[..];
        for got in &frame.header {
            let split = usize::try_from(got.length).ok().and_then(|length| rest.split_at_checked(length));
            let (bytes, after) = split.ok_or_else(|| Error::failed("the server's answer ends early"))?;
            pieces.push((got, bytes));
            rest = after;
        }
    }
    for incoming in batch {
        let got: Vec<_> = pieces.iter().filter(|(got, _)| incoming.stream_state(&got.stream).is_some()).collect();
        if got.len() < incoming.wants.len() {
            let missing = incoming.wants.iter().find(|want| !got.iter().any(|(got, _)| got.stream == want.stream));
            let why = missing.map_or_else(String::new, |want| differs(&want.stream).message());
            pulled.problems.push((incoming.state.id.clone(), why));
        }
        *pulled.bytes.entry(incoming.row.id).or_default() +=
            got.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>();
        let problems = &mut pulled.problems;
        store.write(|store| {
            let mut arrival = Arrival::new(incoming.row.clone());
            for (got, bytes) in got {
                let Some(state) = incoming.stream_state(&got.stream) else { continue };
                let mut stream = store.ensure_stream_of(&state.origin, key(&incoming.row, state))?;
                if stream.length == got.from {
                    arrival.append(store, &mut stream, bytes)?;
                } else {
                    problems.push((incoming.state.id.clone(), differs(&got.stream).message()));
                }
            }
            for state in &incoming.state.streams {
                let ours = store.stream_of(incoming.row.id, &state.name, &state.origin, state.generation)?;
                if let Some(ours) = ours.filter(|ours| (ours.length, ours.hash()) == (state.length, state.hash)) {
                    acknowledge(store, row, &ours)?;
                }
            }
            arrival.finish(store)
        })?;
        pulled.sessions.push(incoming.row.id);
    }
    Ok(())
}

/// The server has all of this stream: it came from there.
fn acknowledge(store: &mut Store, row: i64, stream: &Stream) -> Result<()> {
    let has = Acknowledged { length: stream.length, remote_length: stream.length, remote_hash: stream.hash() };
    store.acknowledge(row, stream.id, 0, &has)
}
