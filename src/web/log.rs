//! Where each message of a session stands, so that some of them can be read without the others. What was found out of a
//! session is kept for the next request; of one that grew, only what is new is looked at.

use crate::error::Result;
use crate::export::{self, ArchivedSession, Place};
use crate::model::message::{Message, Role};
use crate::store::{SessionRow, Store};
use crate::tools::{self, Line, Reading, Source, StreamInfo};
use std::collections::{HashSet, VecDeque};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

/// Whose archive a session is in: an account's number.
pub type Owner = u128;

/// So many sessions are remembered.
const SESSIONS: usize = 16;
/// So many messages of them.
const MESSAGES: usize = 1 << 20;
/// A reader's state is noted every so many messages.
const MARK: usize = 128;
/// The beginning of a prompt, in characters.
const BEGINNING: usize = 120;

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Which of [`Log::streams`].
    stream: u32,
    part: u32,
    offset: u64,
    length: u64,
    line: u64,
}

impl Entry {
    /// Whether it stands before byte `end` of its stream.
    pub(super) fn begins_before(&self, end: u64) -> bool {
        self.offset < end
    }
}

/// What a reader had to remember before a line.
struct Mark {
    stream: u32,
    offset: u64,
    line: u64,
    state: String,
}

/// One conversation of a session: the main one, or a sub-agent's.
#[derive(Default)]
pub(super) struct Thread {
    pub(super) entries: Vec<Entry>,
    pub(super) ids: Vec<Box<str>>,
    /// Numbers of the messages that the model does not see any more.
    pub(super) past: HashSet<u32>,
}

/// A prompt of a person.
#[derive(Clone, Debug)]
pub(super) struct Prompt {
    pub(super) number: u64,
    pub(super) text: String,
    pub(super) at: Option<jiff::Timestamp>,
}

/// A sub-agent.
pub(super) struct Agent {
    pub(super) id: String,
    /// What it was asked first.
    pub(super) task: String,
    pub(super) thread: Thread,
}

/// The log of one session at one moment.
pub struct Log {
    signature: Signature,
    streams: Vec<StreamInfo>,
    marks: Vec<Mark>,
    pub(super) main: Thread,
    pub(super) agents: Vec<Agent>,
    pub(super) prompts: Vec<Prompt>,
    pub(super) compactions: Vec<u64>,
}

/// Changes with everything that is said in a session.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Signature(Vec<(i64, u64, u64, String)>);

impl Signature {
    fn of(store: &Store, row: &SessionRow) -> Result<Signature> {
        let streams = store.streams(row.id)?;
        Ok(Signature(streams.into_iter().map(|s| (s.id, s.length, s.shared, s.name)).collect()))
    }
}

impl Log {
    fn read(session: &ArchivedSession<'_>, signature: Signature) -> Result<Log> {
        // What has no conversation has no branches.
        let live = export::live_ids(session).ok();
        let streams = session.streams().to_vec();
        let (main, agents, prompts, compactions) = (Thread::default(), Vec::new(), Vec::new(), Vec::new());
        let mut log = Log { signature, streams, marks: Vec::new(), main, agents, prompts, compactions };
        let mut since_mark = 0;
        export::for_each_place(session, true, &mut |place, reader, message| {
            let stream = log.stream_of(place);
            since_mark += 1;
            if since_mark >= MARK && !place.stream.format.has_versions() {
                since_mark = 0;
                let (offset, line) = (place.offset + place.length + 1, place.line + 1);
                log.marks.push(Mark { stream, offset, line, state: reader.state() });
            }
            log.take(stream, place, &message, live.as_ref());
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(log)
    }

    fn stream_of(&self, place: &Place<'_>) -> u32 {
        let is_it = |info: &StreamInfo| info.name == place.stream.name && info.generation == place.stream.generation;
        self.streams.iter().position(is_it).unwrap_or_default() as u32
    }

    fn take(&mut self, stream: u32, place: &Place<'_>, message: &Message, live: Option<&HashSet<String>>) {
        let entry =
            Entry { stream, part: place.part as u32, offset: place.offset, length: place.length, line: place.line };
        if message.is_sidechain {
            return self.take_agents(entry, message);
        }
        let number = self.main.entries.len() as u64;
        if message.has_summary() {
            self.compactions.push(number);
        } else if message.is_prompt() {
            let text = message.text().trim().chars().take(BEGINNING).collect();
            self.prompts.push(Prompt { number, text, at: message.timestamp });
        }
        let is_live =
            live.is_none_or(|live| live.contains(&message.id) || export::call_ids(message).any(|id| live.contains(id)));
        if !is_live {
            self.main.past.insert(number as u32);
        }
        self.main.push(entry, message);
    }

    fn take_agents(&mut self, entry: Entry, message: &Message) {
        let id = message.agent_id.clone().unwrap_or_default();
        let known = self.agents.iter().rposition(|agent| agent.id == id);
        let at = known.unwrap_or_else(|| {
            self.agents.push(Agent { id, task: String::new(), thread: Thread::default() });
            self.agents.len() - 1
        });
        let agent = &mut self.agents[at];
        if agent.task.is_empty() && message.role == Role::User {
            agent.task = message.text().trim().chars().take(1000).collect();
        }
        agent.thread.push(entry, message);
    }

    /// The main conversation, or that of a sub-agent.
    pub(super) fn thread(&self, agent: Option<&str>) -> Option<&Thread> {
        match agent {
            None => Some(&self.main),
            Some(id) => self.agents.iter().find(|agent| agent.id == id).map(|agent| &agent.thread),
        }
    }

    fn weight(&self) -> usize {
        self.main.entries.len() + self.agents.iter().map(|agent| agent.thread.entries.len()).sum::<usize>()
    }

    /// The stream in which a message stands.
    pub(super) fn stream(&self, entry: &Entry) -> &StreamInfo {
        &self.streams[entry.stream as usize]
    }

    /// Reads the messages at `entries`, which follow each other in the log. One that a reader does not find any more is
    /// left out; `each` gets its place among `entries`.
    pub(super) fn messages(
        &self,
        session: &ArchivedSession<'_>,
        entries: &[Entry],
        each: &mut dyn FnMut(usize, Message) -> Result<()>,
    ) -> Result<()> {
        let mut done = 0;
        for run in entries.chunk_by(|a, b| a.stream == b.stream && (a.offset, a.part) < (b.offset, b.part)) {
            let stream = self.stream(&run[0]);
            let mut tell = |at: usize, mut message: Message| {
                if stream.format.has_pictures_beside() {
                    tools::sfs::take_pictures_in(session, &mut message)?;
                }
                each(done + at, message)
            };
            if stream.format.has_versions() {
                self.lines(session, run, &mut tell)?;
            } else {
                self.run(session, run, &mut tell)?;
            }
            done += run.len();
        }
        Ok(())
    }

    /// Each of these lines by itself.
    fn lines(
        &self,
        session: &ArchivedSession<'_>,
        run: &[Entry],
        tell: &mut dyn FnMut(usize, Message) -> Result<()>,
    ) -> Result<()> {
        let mut reading = Reading::default();
        for (at, entry) in run.iter().enumerate() {
            let stream = self.stream(entry);
            let Some(mut reader) = tools::reader(stream.format, &stream.name, None) else { return Ok(()) };
            let bytes = session.bytes(stream, entry.offset, entry.length)?;
            reading.clear();
            reader.line(
                Line { stream: &stream.name, number: entry.line, offset: entry.offset, bytes: &bytes },
                &mut reading,
            );
            if let Some(message) = reading.messages.drain(..).nth(entry.part as usize) {
                tell(at, message)?;
            }
        }
        Ok(())
    }

    /// From the last mark before them on.
    fn run(
        &self,
        session: &ArchivedSession<'_>,
        run: &[Entry],
        tell: &mut dyn FnMut(usize, Message) -> Result<()>,
    ) -> Result<()> {
        let (first, stream) = (run[0], self.stream(&run[0]));
        let mark = self.marks.iter().rfind(|mark| mark.stream == first.stream && mark.offset <= first.offset);
        let (from, line, state) = mark.map_or((0, 0, None), |mark| (mark.offset, mark.line, Some(mark.state.as_str())));
        let Some(mut reader) = tools::reader(stream.format, &stream.name, state) else { return Ok(()) };
        let (mut at, mut reading) = (0, Reading::default());
        session.for_each_line(stream, from, &mut |found| {
            reading.clear();
            reader.line(Line { number: found.number + line, ..found }, &mut reading);
            for (part, message) in reading.messages.drain(..).enumerate() {
                while run.get(at).is_some_and(|entry| (entry.offset, entry.part as usize) < (found.offset, part)) {
                    at += 1;
                }
                if run.get(at).is_some_and(|entry| (entry.offset, entry.part as usize) == (found.offset, part)) {
                    tell(at, message)?;
                    at += 1;
                }
            }
            let is_done = run.last().is_none_or(|last| last.offset <= found.offset);
            Ok(if is_done { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })
    }
}

impl Thread {
    fn push(&mut self, entry: Entry, message: &Message) {
        self.entries.push(entry);
        self.ids.push(message.id.as_str().into());
    }

    /// The number of the message with this id.
    pub(super) fn find(&self, id: &str) -> Option<u64> {
        self.ids.iter().position(|known| **known == *id).map(|at| at as u64)
    }
}

/// The logs that were asked for last.
#[derive(Default)]
pub struct Logs {
    kept: Mutex<VecDeque<(Owner, i64, Arc<Log>)>>,
}

impl Logs {
    /// The log of a session as it is now.
    pub fn log(&self, owner: Owner, store: &Store, session: &ArchivedSession<'_>) -> Result<Arc<Log>> {
        let signature = Signature::of(store, &session.row)?;
        if let Some(log) = self.take(owner, session.row.id).filter(|log| log.signature == signature) {
            return Ok(self.keep(owner, session.row.id, log));
        }
        let log = Arc::new(Log::read(session, signature)?);
        Ok(self.keep(owner, session.row.id, log))
    }

    fn take(&self, owner: Owner, session: i64) -> Option<Arc<Log>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(of, row, _)| (*of, *row) == (owner, session))?;
        kept.remove(at).map(|(_, _, log)| log)
    }

    fn keep(&self, owner: Owner, session: i64, log: Arc<Log>) -> Arc<Log> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_front((owner, session, log.clone()));
        while kept.len() > 1
            && (kept.len() > SESSIONS || kept.iter().map(|(_, _, log)| log.weight()).sum::<usize>() > MESSAGES)
        {
            kept.pop_back();
        }
        log
    }
}
