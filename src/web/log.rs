//! Where each message of a session stands, so that some of them can be read without the others. What was found out of a
//! session is kept for the next request; of one that grew, only what is new is looked at.
//!
//! The archive's index knows the places of messages wherever a line can be told without those before it, which is enough to
//! read a part of a session. Their ids, what the model still sees, and the places of all other formats are known when the
//! whole session was read once.

use super::window::Tokens;
use crate::error::Result;
use crate::export::{self, ArchivedSession, Place};
use crate::model::message::{Block, Message, Role};
use crate::store::{MessageRow, SessionRow, Store};
use crate::tools::{self, Line, Reading, Source, StreamInfo};
use memchr::memmem;
use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::{ControlFlow, Range};
use std::sync::{Arc, Mutex, PoisonError};

/// Whose archive a session is in: an account's number.
pub type Owner = u128;

/// So many sessions are remembered.
const SESSIONS: usize = 16;
/// So many messages of them.
const MESSAGES: usize = 1 << 20;
/// A reader's state is noted every so many messages.
const MARK: usize = 128;
/// Where no state was noted, a reader begins so many messages before the one that is wanted: what it remembers then is what
/// it would have remembered, but for things that were last said long before.
const RUN_UP: usize = 48;
/// A session with fewer bytes is read as a whole at once.
const SMALL: u64 = 2 << 20;
/// The beginning of a prompt, in characters.
const BEGINNING: usize = 120;
/// And of a sub-agent's task.
const TASK: usize = 1000;
/// Lines with a message's id that are looked at for the message: its own is among the first.
const CANDIDATES: usize = 64;

/// How much is to be known of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Where its messages stand.
    Places,
    /// Also what they are called, and which of them the model still sees.
    Whole,
}

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

    fn place(&self) -> (u64, u32) {
        (self.offset, self.part)
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
#[derive(Clone, Default)]
pub(super) struct Thread {
    pub(super) entries: Vec<Entry>,
    /// As many as there are entries, or none.
    ids: Vec<Box<str>>,
}

/// A prompt of a person.
#[derive(Clone, Debug)]
pub(super) struct Prompt {
    pub(super) number: u64,
    pub(super) text: String,
    pub(super) at: Option<jiff::Timestamp>,
    /// What the replies took until the next prompt.
    pub(super) usage: Option<Tokens>,
}

/// A sub-agent.
#[derive(Clone)]
pub(super) struct Agent {
    pub(super) id: String,
    /// What it was asked first.
    pub(super) task: String,
    pub(super) thread: Thread,
}

/// The log of one session at one moment.
pub struct Log {
    signature: Signature,
    depth: Depth,
    streams: Vec<StreamInfo>,
    marks: Arc<Vec<Mark>>,
    pub(super) main: Thread,
    pub(super) agents: Vec<Agent>,
    pub(super) prompts: Vec<Prompt>,
    pub(super) compactions: Vec<u64>,
    /// Numbers of the messages that the model does not see any more.
    past: HashSet<u32>,
    /// Those of them in which somebody speaks.
    past_words: HashSet<u32>,
}

/// Changes with everything that is said in a session.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Signature {
    /// Row, bytes, bytes that another one has too, name.
    streams: Vec<(i64, u64, u64, String)>,
    /// Indexed messages, and the last one's row.
    indexed: (u64, i64),
}

impl Signature {
    fn of(store: &Store, row: &SessionRow) -> Result<Signature> {
        let streams = store.streams(row.id)?;
        Ok(Signature {
            streams: streams.into_iter().map(|s| (s.id, s.length, s.shared, s.name)).collect(),
            indexed: store.indexed_messages(row.id)?,
        })
    }

    fn bytes(&self) -> u64 {
        self.streams.iter().map(|(_, length, ..)| length).sum()
    }

    /// True where `later` has all that this one has, and more of the same.
    fn grew_to(&self, later: &Signature) -> bool {
        self.streams.len() == later.streams.len()
            && self.streams.iter().zip(&later.streams).all(|((row, length, shared, name), then)| {
                (row, shared, name) == (&then.0, &then.2, &then.3) && *length <= then.1
            })
            && self.indexed.0 <= later.indexed.0
    }
}

/// What the model still sees: a message of one of these ids, or with a call of one of them.
enum Live {
    /// What has no conversation has no branches.
    All,
    Ids(HashSet<String>),
    /// The format tells where the live lines begin, which saves reading the conversation once more.
    Lines {
        stream: (String, u32),
        starts: HashSet<u64>,
        calls: HashSet<String>,
        unsure: Vec<Unsure>,
    },
}

/// A message on no live line. Another one with its id, or with one of its calls, may be.
struct Unsure {
    number: u32,
    id: String,
    calls: Vec<String>,
}

impl Live {
    fn of(session: &ArchivedSession<'_>) -> Live {
        if let Ok(Some((stream, starts))) = tools::live_lines(session) {
            let stream = (stream.name.clone(), stream.generation);
            return Live::Lines { stream, starts, calls: HashSet::new(), unsure: Vec::new() };
        }
        export::live_ids(session).map_or(Live::All, Live::Ids)
    }

    /// Whether a message is live, as far as its own line tells.
    fn has(&mut self, number: u64, place: &Place<'_>, message: &Message) -> bool {
        let mut own_calls = export::call_ids(message);
        match self {
            Live::All => true,
            Live::Ids(ids) => ids.contains(&message.id) || own_calls.any(|id| ids.contains(id)),
            Live::Lines { stream, starts, calls, unsure } => {
                let is_main = (place.stream.name.as_str(), place.stream.generation) == (stream.0.as_str(), stream.1);
                let is_live = is_main && starts.contains(&place.offset);
                let own_calls = own_calls.map(str::to_owned);
                if is_live {
                    calls.extend(own_calls);
                } else {
                    unsure.push(Unsure { number: number as u32, id: message.id.clone(), calls: own_calls.collect() });
                }
                is_live
            }
        }
    }
}

impl Log {
    fn empty(signature: Signature, depth: Depth, session: &ArchivedSession<'_>) -> Log {
        Log {
            signature,
            depth,
            streams: session.streams().to_vec(),
            marks: Arc::default(),
            main: Thread::default(),
            agents: Vec::new(),
            prompts: Vec::new(),
            compactions: Vec::new(),
            past: HashSet::new(),
            past_words: HashSet::new(),
        }
    }

    /// Reads the session from its beginning to its end.
    fn whole(session: &ArchivedSession<'_>, signature: Signature) -> Result<Log> {
        let mut in_view = Live::of(session);
        let mut log = Log::empty(signature, Depth::Whole, session);
        let (mut marks, mut since_mark) = (Vec::new(), 0);
        export::for_each_place(session, true, &mut |place, reader, message| {
            let stream = log.stream_of(place);
            since_mark += 1;
            if since_mark >= MARK && !place.stream.format.has_versions() {
                since_mark = 0;
                let (offset, line) = (place.offset + place.length + 1, place.line + 1);
                marks.push(Mark { stream, offset, line, state: reader.state() });
            }
            let (part, offset, length, line) = (place.part as u32, place.offset, place.length, place.line);
            log.take(Entry { stream, part, offset, length, line }, place, &message, &mut in_view);
            Ok(ControlFlow::Continue(()))
        })?;
        log.marks = Arc::new(marks);
        log.reconsider(in_view);
        Ok(log)
    }

    fn stream_of(&self, place: &Place<'_>) -> u32 {
        let is_it = |info: &StreamInfo| info.name == place.stream.name && info.generation == place.stream.generation;
        self.streams.iter().position(is_it).unwrap_or_default() as u32
    }

    /// Asks the index. `None` where it does not know the order of the log, or which messages are told twice.
    fn places(store: &Store, session: &ArchivedSession<'_>, signature: Signature) -> Result<Option<Log>> {
        let mut log = Log::empty(signature, Depth::Places, session);
        let order = export::log_order(session);
        let is_known = |stream: &&StreamInfo| stream.format.lines_stand_alone() && !stream.format.has_versions();
        let device = |stream: &StreamInfo| tools::branch(&stream.name).map(|(_, device)| device.to_owned());
        let mut names: Vec<_> = order.iter().map(|s| (tools::base_name(&s.name), device(s))).collect();
        names.dedup();
        if names.len() < order.len() || !order.iter().all(is_known) {
            return Ok(None);
        }
        let rows = store.messages_after(session.row.id, 0)?;
        log.add(store, session, rows, &order)?;
        Ok(Some(log))
    }

    /// Adds indexed messages; false where they do not stand behind those that are there.
    fn add(
        &mut self,
        store: &Store,
        session: &ArchivedSession<'_>,
        rows: Vec<MessageRow>,
        order: &[&StreamInfo],
    ) -> Result<bool> {
        let streams = store.streams(session.row.id)?;
        let rank = |row: i64| {
            let stream = streams.iter().find(|stream| stream.id == row)?;
            let is_it = |info: &&StreamInfo| info.name == stream.name && info.generation == stream.generation;
            let index = session.streams().iter().position(|info| is_it(&info))?;
            Some((order.iter().position(is_it)?, index as u32, stream.shared))
        };
        let ranks: HashMap<i64, (usize, u32, u64)> =
            streams.iter().filter_map(|stream| Some((stream.id, rank(stream.id)?))).collect();
        let mut found: Vec<(usize, Entry, bool)> = Vec::with_capacity(rows.len());
        for row in rows {
            let Some((rank, stream, shared)) = ranks.get(&row.span.stream).copied() else { continue };
            let span = row.span;
            let entry = Entry { stream, part: span.part, offset: span.start, length: span.length, line: span.line };
            if span.start >= shared {
                found.push((rank, entry, row.is_sidechain));
            }
        }
        found.sort_by_key(|(rank, entry, _)| (*rank, entry.place()));
        let mut asides: Vec<Entry> = Vec::new();
        for (_, entry, is_sidechain) in found {
            if is_sidechain {
                asides.push(entry);
            } else if self.main.entries.last().is_none_or(|last| self.is_behind(last, &entry, order)) {
                self.main.entries.push(entry);
            } else {
                return Ok(false);
            }
        }
        self.add_asides(session, &asides)?;
        Ok(true)
    }

    fn is_behind(&self, last: &Entry, entry: &Entry, order: &[&StreamInfo]) -> bool {
        let rank = |stream: u32| {
            let info = &self.streams[stream as usize];
            order.iter().position(|known| known.name == info.name && known.generation == info.generation)
        };
        if last.stream == entry.stream { last.place() < entry.place() } else { rank(last.stream) < rank(entry.stream) }
    }

    /// What sub-agents said: a stream of its own is one sub-agent's, in any other each message says whose it is.
    fn add_asides(&mut self, session: &ArchivedSession<'_>, asides: &[Entry]) -> Result<()> {
        for of_stream in asides.chunk_by(|a, b| a.stream == b.stream) {
            let is_own = tools::base_name(&self.stream(&of_stream[0]).name) != "main";
            let known = self.agents.iter().position(|agent| {
                is_own && agent.thread.entries.last().is_some_and(|last| last.stream == of_stream[0].stream)
            });
            if let Some(at) = known {
                self.agents[at].thread.entries.extend(of_stream);
                continue;
            }
            let read = Thread { entries: of_stream.to_vec(), ids: Vec::new() };
            let end = if is_own { 1 } else { of_stream.len() };
            let mut said: Vec<(usize, Message)> = Vec::new();
            self.messages(session, &read, 0..end, &mut |at, message| {
                said.push((at, message));
                Ok(())
            })?;
            for (at, message) in said {
                let agent = self.agent(&message);
                let entries = if is_own { of_stream } else { &of_stream[at..=at] };
                agent.thread.entries.extend(entries);
            }
        }
        Ok(())
    }

    /// The sub-agent that says `message`.
    fn agent(&mut self, message: &Message) -> &mut Agent {
        let id = message.agent_id.clone().unwrap_or_default();
        let known = self.agents.iter().rposition(|agent| agent.id == id);
        let at = known.unwrap_or_else(|| {
            self.agents.push(Agent { id, task: String::new(), thread: Thread::default() });
            self.agents.len() - 1
        });
        let agent = &mut self.agents[at];
        if agent.task.is_empty() && message.role == Role::User {
            agent.task = message.text().trim().chars().take(TASK).collect();
        }
        agent
    }

    fn take(&mut self, entry: Entry, place: &Place<'_>, message: &Message, live: &mut Live) {
        if message.is_sidechain {
            self.agent(message).thread.push(entry, message);
            return;
        }
        let number = self.main.entries.len() as u64;
        self.main.push(entry, message);
        let is_live = live.has(number, place, message);
        self.describe(number, message, is_live);
    }

    fn describe(&mut self, number: u64, message: &Message, is_live: bool) {
        if message.has_summary() {
            self.compactions.push(number);
        } else if message.is_prompt() {
            let text = message.text().trim().chars().take(BEGINNING).collect();
            self.prompts.push(Prompt { number, text, at: message.timestamp, usage: None });
        } else if let (Some(prompt), Some(usage)) = (self.prompts.last_mut(), &message.usage) {
            let reply = Tokens::of(message.model.as_deref(), usage);
            match &mut prompt.usage {
                Some(sum) => sum.add(&reply),
                none => *none = Some(reply),
            }
        }
        if !is_live {
            self.past.insert(number as u32);
            let is_said = |block: &Block| matches!(block, Block::Text(_));
            if message.is_prompt() || (message.role == Role::Assistant && message.content.iter().any(is_said)) {
                self.past_words.insert(number as u32);
            }
        }
    }

    /// Takes back what was said of messages that are live by another's line.
    fn reconsider(&mut self, live: Live) {
        let Live::Lines { calls, unsure, .. } = live else { return };
        if unsure.is_empty() {
            return;
        }
        let ids = (0u32..).zip(&self.main.ids).filter(|(number, _)| !self.past.contains(number));
        let ids: HashSet<&str> = ids.map(|(_, id)| &**id).collect();
        let is_live = |Unsure { id, calls: own, .. }: &&Unsure| {
            ids.contains(id.as_str()) || own.iter().any(|call| calls.contains(call))
        };
        let numbers: Vec<u32> = unsure.iter().filter(is_live).map(|unsure| unsure.number).collect();
        for number in numbers {
            self.past.remove(&number);
            self.past_words.remove(&number);
        }
    }

    /// The same session later: only what is new is read. `None` where it did not just grow.
    fn grown(&self, store: &Store, session: &ArchivedSession<'_>, signature: &Signature) -> Result<Option<Log>> {
        let order = export::log_order(session);
        let stands_alone = |stream: &&StreamInfo| stream.format.lines_stand_alone() && !stream.format.has_versions();
        if !self.signature.grew_to(signature) || !order.iter().all(stands_alone) {
            return Ok(None);
        }
        let rows = store.messages_after(session.row.id, self.signature.indexed.1)?;
        if self.signature.indexed.0 + rows.len() as u64 != signature.indexed.0 {
            return Ok(None);
        }
        let mut log = Log {
            signature: signature.clone(),
            depth: self.depth,
            streams: session.streams().to_vec(),
            marks: self.marks.clone(),
            main: self.main.clone(),
            agents: self.agents.clone(),
            prompts: self.prompts.clone(),
            compactions: self.compactions.clone(),
            past: self.past.clone(),
            past_words: self.past_words.clone(),
        };
        if !log.add(store, session, rows, &order)? {
            return Ok(None);
        }
        if self.depth == Depth::Whole && !log.learn(session)? {
            return Ok(None);
        }
        Ok(Some(log))
    }

    /// Reads the messages that have no id yet. False after a compaction: then much that was live is so no more.
    fn learn(&mut self, session: &ArchivedSession<'_>) -> Result<bool> {
        let mut is_same = true;
        let mut main: Vec<(u64, Message)> = Vec::new();
        let begin = self.main.ids.len();
        self.messages(session, &self.main, begin..self.main.entries.len(), &mut |at, message| {
            is_same &= !message.has_summary();
            main.push(((begin + at) as u64, message));
            Ok(())
        })?;
        is_same &= main.len() == self.main.entries.len() - begin;
        for (number, message) in main {
            self.main.ids.push(message.id.as_str().into());
            self.describe(number, &message, true);
        }
        for at in 0..self.agents.len() {
            let thread = &self.agents[at].thread;
            let mut ids: Vec<Box<str>> = Vec::new();
            self.messages(session, thread, thread.ids.len()..thread.entries.len(), &mut |_, message| {
                ids.push(message.id.as_str().into());
                Ok(())
            })?;
            is_same &= thread.ids.len() + ids.len() == thread.entries.len();
            self.agents[at].thread.ids.extend(ids);
        }
        Ok(is_same)
    }

    /// True where it is known which messages the model still sees.
    pub(super) fn knows_branches(&self) -> bool {
        self.depth == Depth::Whole
    }

    /// Whether the model still sees the message of that number.
    pub(super) fn is_live(&self, number: u64) -> bool {
        !self.past.contains(&(number as u32))
    }

    /// Whether a summary stands for the message of that number.
    pub(super) fn is_compacted(&self, number: u64) -> bool {
        !self.is_live(number) && self.compactions.iter().any(|at| *at > number && self.is_live(*at))
    }

    /// Messages one behind the other that the conversation went on without.
    pub(super) fn abandoned(&self) -> Vec<Range<u64>> {
        let mut past: Vec<u64> = self.past.iter().map(|number| u64::from(*number)).collect();
        past.retain(|number| !self.is_compacted(*number));
        past.sort_unstable();
        let runs = past.chunk_by(|a, b| a + 1 == *b).map(|run| run[0]..run[run.len() - 1] + 1);
        runs.filter(|run| run.clone().any(|number| self.past_words.contains(&(number as u32)))).collect()
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

    /// The number of the message with this id.
    pub(super) fn find(&self, session: &ArchivedSession<'_>, thread: &Thread, id: &str) -> Result<Option<u64>> {
        if thread.ids.len() == thread.entries.len() {
            return Ok(thread.ids.iter().position(|known| **known == *id).map(|at| at as u64));
        }
        // The line says what its message is called, or the id says where it stands.
        let positional = |entry: &Entry| {
            let rest = id.strip_prefix(self.stream(entry).name.as_str()).and_then(|rest| rest.strip_prefix(':'));
            rest.is_some_and(|rest| rest.split('.').next() == Some(&entry.line.to_string()))
        };
        let mut candidates: Vec<usize> = Vec::new();
        let finder = memmem::Finder::new(id);
        let mut first = 0;
        for of_stream in thread.entries.chunk_by(|a, b| a.stream == b.stream) {
            let mut places: HashMap<u64, Vec<usize>> = HashMap::new();
            for (at, entry) in (first..).zip(of_stream) {
                places.entry(entry.offset).or_default().push(at);
            }
            first += of_stream.len();
            session.for_each_line(self.stream(&of_stream[0]), 0, &mut |line| {
                if finder.find(line.bytes).is_some() {
                    candidates.extend(places.get(&line.offset).into_iter().flatten());
                }
                Ok(if candidates.len() < CANDIDATES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
            })?;
            if candidates.len() >= CANDIDATES {
                break;
            }
        }
        candidates.extend(thread.entries.iter().enumerate().filter(|(_, entry)| positional(entry)).map(|(at, _)| at));
        for at in candidates {
            let mut is_it = false;
            self.messages(session, thread, at..at + 1, &mut |_, message| {
                is_it = message.id == id;
                Ok(())
            })?;
            if is_it {
                return Ok(Some(at as u64));
            }
        }
        Ok(None)
    }

    /// Reads the messages of `thread` in `range`. One that a reader does not find any more is left out; `each` gets its
    /// place in the range.
    pub(super) fn messages(
        &self,
        session: &ArchivedSession<'_>,
        thread: &Thread,
        range: Range<usize>,
        each: &mut dyn FnMut(usize, Message) -> Result<()>,
    ) -> Result<()> {
        let mut done = range.start;
        let runs = thread.entries[range.clone()].chunk_by(|a, b| a.stream == b.stream && a.place() < b.place());
        for run in runs {
            let stream = self.stream(&run[0]);
            let before = &thread.entries[..done];
            let mut tell = |at: usize, mut message: Message| {
                if stream.format.has_pictures_beside() {
                    tools::sfs::take_pictures_in(session, &mut message)?;
                }
                each(done - range.start + at, message)
            };
            if stream.format.has_versions() {
                self.lines(session, run, &mut tell)?;
            } else {
                self.run(session, before, run, &mut tell)?;
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
            let line = Line { stream: &stream.name, number: entry.line, offset: entry.offset, bytes: &bytes };
            reader.line(line, &mut reading);
            if let Some(message) = reading.messages.drain(..).nth(entry.part as usize) {
                tell(at, message)?;
            }
        }
        Ok(())
    }

    /// Line by line, from the last place before them at which a reader's state is known.
    fn run(
        &self,
        session: &ArchivedSession<'_>,
        before: &[Entry],
        run: &[Entry],
        tell: &mut dyn FnMut(usize, Message) -> Result<()>,
    ) -> Result<()> {
        let (first, stream) = (run[0], self.stream(&run[0]));
        let (from, line, state) = self.start(before, &first);
        let Some(mut reader) = tools::reader(stream.format, &stream.name, state) else { return Ok(()) };
        let (mut at, mut reading) = (0, Reading::default());
        session.for_each_line(stream, from, &mut |found| {
            reading.clear();
            reader.line(Line { number: found.number + line, ..found }, &mut reading);
            for (part, message) in reading.messages.drain(..).enumerate() {
                let place = (found.offset, part as u32);
                while run.get(at).is_some_and(|entry| entry.place() < place) {
                    at += 1;
                }
                if run.get(at).is_some_and(|entry| entry.place() == place) {
                    tell(at, message)?;
                    at += 1;
                }
            }
            let is_done = run.last().is_none_or(|last| last.offset <= found.offset);
            Ok(if is_done { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })
    }

    /// Where to begin to read for the message at `first`: byte, line, and what a reader has to remember there.
    fn start(&self, before: &[Entry], first: &Entry) -> (u64, u64, Option<&str>) {
        let known = |mark: &&Mark| mark.stream == first.stream && mark.offset <= first.offset;
        let mark = self.marks.iter().rev().find(known);
        let run_up = before.iter().rev().take(RUN_UP).take_while(|entry| entry.stream == first.stream).last();
        match (mark, run_up) {
            (Some(mark), _) => (mark.offset, mark.line, Some(&mark.state)),
            (None, Some(entry)) if self.depth == Depth::Places && entry.offset <= first.offset => {
                (entry.offset, entry.line, None)
            }
            _ => (0, 0, None),
        }
    }
}

impl Thread {
    fn push(&mut self, entry: Entry, message: &Message) {
        self.entries.push(entry);
        self.ids.push(message.id.as_str().into());
    }

    /// What the message of that number is called, where it is known.
    pub(super) fn id(&self, number: u64) -> &str {
        self.ids.get(number as usize).map_or("", |id| id)
    }
}

/// The logs that were asked for last.
#[derive(Default)]
pub struct Logs {
    kept: Mutex<VecDeque<(Owner, i64, Arc<Log>)>>,
}

impl Logs {
    /// The log of a session as it is now.
    pub fn log(&self, owner: Owner, store: &Store, session: &ArchivedSession<'_>, depth: Depth) -> Result<Arc<Log>> {
        let signature = Signature::of(store, &session.row)?;
        let known = self.known(owner, session.row.id);
        let known = known.filter(|log| depth == Depth::Places || log.depth == Depth::Whole);
        let log = match known {
            Some(log) if log.signature == signature => log,
            Some(log) => match log.grown(store, session, &signature)? {
                Some(log) => Arc::new(log),
                None => Arc::new(Logs::read(store, session, signature, depth)?),
            },
            None => Arc::new(Logs::read(store, session, signature, depth)?),
        };
        Ok(self.keep(owner, session.row.id, log))
    }

    fn read(store: &Store, session: &ArchivedSession<'_>, signature: Signature, depth: Depth) -> Result<Log> {
        if depth == Depth::Places
            && signature.bytes() > SMALL
            && let Some(log) = Log::places(store, session, signature.clone())?
        {
            return Ok(log);
        }
        Log::whole(session, signature)
    }

    fn known(&self, owner: Owner, session: i64) -> Option<Arc<Log>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(of, row, _)| (*of, *row) == (owner, session)).map(|(_, _, log)| log.clone())
    }

    /// Another request may have found out more meanwhile.
    fn keep(&self, owner: Owner, session: i64, log: Arc<Log>) -> Arc<Log> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let other = kept.iter().position(|(of, row, _)| (*of, *row) == (owner, session));
        let other = other.and_then(|at| kept.remove(at)).map(|(_, _, other)| other);
        let is_better = |other: &Arc<Log>| other.signature == log.signature && other.depth == Depth::Whole;
        let log = other.filter(is_better).unwrap_or(log);
        kept.push_front((owner, session, log.clone()));
        while kept.len() > 1
            && (kept.len() > SESSIONS || kept.iter().map(|(_, _, log)| log.weight()).sum::<usize>() > MESSAGES)
        {
            kept.pop_back();
        }
        log
    }
}
