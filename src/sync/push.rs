//! From this archive to a server: streams from the byte on that it is known to have, and what was said of sessions.

use super::gate::Gate;
use super::gate::retry_at;
use super::outgoing::Outgoing;
use super::wire::{Accepted, Part, Push, PushAnswer, SaidOf, SessionState, StreamState};
use super::{BATCH, Refused, Remote};
use crate::error::{Error, Result};
use crate::export::Redaction;
use crate::id::Hash;
use crate::store::{Acknowledged, ChangedSession, RemoteRow, Store, Stream, StreamHasher, Unsent, whole_chunks};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// From so many bytes on the other side is asked which chunks it has.
pub(super) const LARGE: u64 = 256 << 10;
/// Sessions in one message, and bytes of what is said of them, about.
const SESSIONS: usize = 200;
const REGISTERS: usize = 1 << 20;

/// What a push did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Rows of sessions that the server took, or had.
    pub sessions: Vec<i64>,
    /// Bytes of streams that were new to the server, by session.
    pub bytes: BTreeMap<i64, u64>,
    /// What the server calls the state of each session now, where it says so.
    pub etags: BTreeMap<i64, String>,
    /// Sessions that the server does not want, and why.
    pub refused: Vec<(i64, String)>,
    /// Sessions that were kept back here, and why.
    pub held: Vec<(i64, String)>,
    /// Sessions of which a server of the first contract has another archive, under this id: ours went there beside it.
    pub conflicts: Vec<(i64, String)>,
}

/// Sends everything that changed since the last push and that the gate lets out, and what it kept back before and lets out
/// now. What the server refused for good is not sent again.
pub fn push(
    store: &mut Store,
    remote: &mut dyn Remote,
    row: &mut RemoteRow,
    redaction: &Redaction,
    gate: &Gate,
) -> Result<Pushed> {
    let mut sender = Sender::new(remote, row.id, redaction);
    let unsent: HashMap<i64, Unsent> = store.unsent(row.id)?.into_iter().map(|one| (one.session, one)).collect();
    let is_open = |one: &&Unsent| if one.is_held() { gate.reopens(&one.reason) } else { gate.is_due(one) };
    let reopened = unsent.values().filter(is_open).map(|one| one.session);
    let reopened = reopened.map(|session| store.whole_session(session)).collect::<Result<_>>()?;
    sender.admit(store, reopened, &unsent, gate)?;
    loop {
        let changes = store.changes(row.pushed, 1000)?;
        sender.admit(store, changes.sessions, &unsent, gate)?;
        row.pushed = changes.number;
        store.write(|store| store.save_remote(row))?;
        if !changes.more {
            return Ok(sender.pushed);
        }
    }
}

/// Sends these sessions, whole, unless the gate keeps them back; also what the server refused before.
pub fn push_sessions(
    store: &mut Store,
    remote: &mut dyn Remote,
    row: &RemoteRow,
    redaction: &Redaction,
    gate: &Gate,
    sessions: &[i64],
) -> Result<Pushed> {
    let mut sender = Sender::new(remote, row.id, redaction);
    let sessions = sessions.iter().map(|session| store.whole_session(*session)).collect::<Result<_>>()?;
    sender.admit(store, sessions, &HashMap::new(), gate)?;
    Ok(sender.pushed)
}

impl Pushed {
    /// Bytes of streams that were new to the server.
    pub fn total(&self) -> u64 {
        self.bytes.values().sum()
    }
}

struct Sender<'a> {
    remote: &'a mut dyn Remote,
    row: i64,
    outgoing: Outgoing<'a>,
    /// Which chunks the server has.
    known: HashMap<Hash, bool>,
    /// So many sessions go one by one: a message with all of them was refused.
    alone: usize,
    pushed: Pushed,
}

/// One message.
#[derive(Default)]
struct Batch {
    push: Push,
    bytes: Vec<u8>,
    /// For each session of the message: its streams that are in it.
    sessions: Vec<Vec<Sent>>,
}

/// A stream in a message: how far the server is with it if it takes all of it.
struct Sent {
    stream: Stream,
    before: u64,
    after: Acknowledged,
}

impl<'a> Sender<'a> {
    fn new(remote: &'a mut dyn Remote, row: i64, redaction: &'a Redaction) -> Sender<'a> {
        let outgoing = Outgoing::new(redaction);
        Sender { remote, row, outgoing, known: HashMap::new(), alone: 0, pushed: Pushed::default() }
    }

    /// Sends what the gate lets out; remembers what it does not. A session of which something did not leave before leaves
    /// whole.
    fn admit(
        &mut self,
        store: &mut Store,
        sessions: Vec<ChangedSession>,
        unsent: &HashMap<i64, Unsent>,
        gate: &Gate,
    ) -> Result<()> {
        let mut waiting = VecDeque::new();
        for changed in sessions {
            let session = changed.session.id;
            let before = unsent.get(&session);
            if before.is_some_and(|before| before.is_refused() || gate.waits_for(before)) {
                continue;
            }
            match gate.hold(store, &changed.session)? {
                Some(reason) => {
                    let held = Unsent { session, attempts: 0, retry_at: None, reason: reason.clone() };
                    store.write(|store| store.set_unsent(self.row, &held))?;
                    self.pushed.held.push((session, reason));
                }
                None if before.is_some() => waiting.push_back(store.whole_session(session)?),
                None => waiting.push_back(changed),
            }
        }
        self.send(store, waiting)
    }

    fn send(&mut self, store: &mut Store, mut waiting: VecDeque<ChangedSession>) -> Result<()> {
        let mut stalls = 0;
        while !waiting.is_empty() {
            let batch = self.fill(store, &waiting)?;
            let answer = match self.remote.push(&batch.push, &batch.bytes) {
                Ok(answer) => answer,
                Err(error) => {
                    let Some(refused) = self.remote.refused() else { return Err(error) };
                    // Which of them it is shows when each goes alone.
                    self.alone = batch.sessions.len();
                    if self.alone == 1
                        && let Some(changed) = waiting.pop_front()
                    {
                        self.postpone(store, changed.session.id, refused, &error)?;
                    }
                    continue;
                }
            };
            self.alone = self.alone.saturating_sub(1);
            if answer.sessions.len() != batch.sessions.len() {
                return Err(Error::failed("the server's answer does not fit what was sent"));
            }
            let before = (waiting.len(), self.pushed.total());
            store.write(|store| self.settle(store, batch, answer, &mut waiting))?;
            stalls = if (waiting.len(), self.pushed.total()) == before { stalls + 1 } else { 0 };
            // The same answer to the same question, again: it will not change.
            if stalls > 2 {
                return Err(
                    Error::failed("the server takes no more bytes and does not say why").hint("try again later")
                );
            }
        }
        Ok(())
    }

    /// One session must not keep the others back. It is tried again later, unless it was refused for good.
    fn postpone(&mut self, store: &mut Store, session: i64, refused: Refused, error: &Error) -> Result<()> {
        let before = store.unsent(self.row)?.into_iter().find(|one| one.session == session);
        let attempts = before.map_or(0, |before| before.attempts) + 1;
        let reason = error.message();
        let retry_at = (!refused.for_good).then(|| retry_at(attempts, refused.retry_after));
        let unsent = Unsent { session, attempts, retry_at, reason: reason.clone() };
        store.write(|store| store.set_unsent(self.row, &unsent))?;
        self.pushed.refused.push((session, reason));
        Ok(())
    }

    /// Takes from the front of `waiting` what fits into a message.
    fn fill(&mut self, store: &Store, waiting: &VecDeque<ChangedSession>) -> Result<Batch> {
        let mut batch = Batch::default();
        let mut registers = 0;
        for changed in waiting.iter().take(if self.alone > 0 { 1 } else { SESSIONS }) {
            let mut state = SessionState::of(changed);
            state.registers = self.outgoing.registers(state.registers);
            let states = std::mem::take(&mut state.streams);
            let mut sent = Vec::new();
            for ((stream, _), believed) in changed.streams.iter().zip(states) {
                let room = BATCH.saturating_sub(batch.bytes.len() as u64);
                if room > 0
                    && let Some((believed, parts, stream)) =
                        self.next(store, stream, believed, room, &mut batch.bytes)?
                {
                    state.streams.push(believed);
                    batch.push.parts.push(parts);
                    sent.push(stream);
                }
            }
            registers += state.registers.iter().map(SaidOf::size).sum::<usize>();
            batch.push.sessions.push(state);
            batch.sessions.push(sent);
            if batch.bytes.len() as u64 >= BATCH || registers >= REGISTERS {
                break;
            }
        }
        Ok(batch)
    }

    /// The next piece of a stream; `None` where the server has all of it.
    fn next(
        &mut self,
        store: &Store,
        stream: &Stream,
        mut believed: StreamState,
        room: u64,
        literal: &mut Vec<u8>,
    ) -> Result<Option<(StreamState, Vec<Part>, Sent)>> {
        let has = self.has(store, stream)?;
        let piece = self.outgoing.piece(store, stream, has.length, room)?;
        if piece.end == has.length {
            return Ok(None);
        }
        believed.origin = self.outgoing.origin(&believed.origin);
        (believed.length, believed.hash) = (has.remote_length, has.remote_hash);
        let parts = self.parts(&piece.bytes, literal)?;
        let remote_length = has.remote_length + piece.bytes.len() as u64;
        let after = Acknowledged { length: piece.end, remote_length, remote_hash: has.remote_hash };
        Ok(Some((believed, parts, Sent { stream: stream.clone(), before: has.length, after })))
    }

    /// Chunks that the server has go by their name, the rest as it is.
    fn parts(&mut self, bytes: &[u8], literal: &mut Vec<u8>) -> Result<Vec<Part>> {
        let mut parts = Vec::new();
        let mut at = 0;
        if bytes.len() as u64 >= LARGE {
            let chunks: Vec<_> =
                whole_chunks(bytes).map(|(start, end)| (start, end, Hash::of(&bytes[start..end]))).collect();
            self.ask(chunks.iter().map(|(_, _, hash)| *hash))?;
            for (start, end, hash) in chunks.into_iter().filter(|(_, _, hash)| self.known.get(hash) == Some(&true)) {
                parts.extend((start > at).then(|| Part::Bytes((start - at) as u64)));
                literal.extend_from_slice(&bytes[at..start]);
                parts.push(Part::Chunk(hash));
                at = end;
            }
        }
        parts.extend((bytes.len() > at).then(|| Part::Bytes((bytes.len() - at) as u64)));
        literal.extend_from_slice(&bytes[at..]);
        Ok(parts)
    }

    fn ask(&mut self, hashes: impl Iterator<Item = Hash>) -> Result<()> {
        let unknown: Vec<Hash> = hashes.filter(|hash| !self.known.contains_key(hash)).collect();
        if !unknown.is_empty() {
            let there = self.remote.has_chunks(&unknown)?;
            self.known.extend(unknown.into_iter().zip(there));
        }
        Ok(())
    }

    /// What the server is believed to have of a stream. Of one that it has as it is, no copy without secrets is made: as a
    /// rule it came from there.
    fn has(&self, store: &Store, stream: &Stream) -> Result<Acknowledged> {
        let exact = store.acknowledged(self.row, stream.id, 0)?.filter(|exact| exact.length == stream.length);
        if let Some(exact) = exact {
            return Ok(exact);
        }
        let nothing = Acknowledged { length: 0, remote_length: 0, remote_hash: StreamHasher::default().hash() };
        Ok(store.acknowledged(self.row, stream.id, self.outgoing.rules())?.unwrap_or(nothing))
    }

    /// Remembers what the server has now. Sessions that are through, or that it does not want, leave `waiting`.
    fn settle(
        &mut self,
        store: &mut Store,
        batch: Batch,
        answer: PushAnswer,
        waiting: &mut VecDeque<ChangedSession>,
    ) -> Result<()> {
        let mut unfinished = VecDeque::new();
        let etags = answer.etags.into_iter().chain(std::iter::repeat(None));
        for ((sent, accepted), etag) in batch.sessions.into_iter().zip(answer.sessions).zip(etags) {
            let Some(changed) = waiting.pop_front() else { break };
            let session = changed.session.id;
            self.pushed.etags.extend(etag.map(|etag| (session, etag)));
            let problem = match accepted {
                Accepted::Refused(why) => Some(why),
                Accepted::Streams(lengths) => self.acknowledge(store, session, &sent, &lengths)?,
            };
            if let Some(reason) = problem {
                let unsent = Unsent { session, attempts: 1, retry_at: None, reason: reason.clone() };
                store.set_unsent(self.row, &unsent)?;
                self.pushed.refused.push((session, reason));
            } else if self.is_through(store, &changed)? {
                store.clear_unsent(self.row, session)?;
                self.pushed.sessions.push(session);
            } else {
                unfinished.push_back(changed);
            }
        }
        unfinished.append(waiting);
        *waiting = unfinished;
        Ok(())
    }

    /// Takes over how far the server is with each stream; the answer is why it can't go on.
    fn acknowledge(
        &mut self,
        store: &mut Store,
        session: i64,
        sent: &[Sent],
        told: &[(u64, Hash)],
    ) -> Result<Option<String>> {
        for (sent, (length, hash)) in sent.iter().zip(told) {
            let has = if *length == sent.after.remote_length && self.outgoing.rules() > 0 {
                Some(Acknowledged { remote_hash: *hash, ..sent.after })
            } else {
                self.outgoing.compare(store, &sent.stream, *length, *hash)?
            };
            let Some(has) = has else {
                let name = &sent.stream.own_name;
                return Ok(Some(format!("the server has other bytes of stream {name} of this device")));
            };
            *self.pushed.bytes.entry(session).or_default() += has.length.saturating_sub(sent.before);
            store.acknowledge(self.row, sent.stream.id, self.outgoing.rules(), &has)?;
        }
        Ok(None)
    }

    fn is_through(&self, store: &Store, changed: &ChangedSession) -> Result<bool> {
        for (stream, _) in &changed.streams {
            let has = self.has(store, stream)?.length;
            if has < stream.length && self.outgoing.piece(store, stream, has, 1)?.end > has {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
