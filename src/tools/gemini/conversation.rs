//! The live conversation of a session: the list of messages that the client rebuilds when it loads the file (0.61).
//!
//! Two passes: the first keeps for each message its id and where its newest version stands; the second reads these, one
//! at a time, as the messages are asked for. The rules of the list:
//! - A message with a known id takes the place of the older version, which stays where it was.
//! - `$rewindTo` drops that message and all behind it; an id that is not in the list drops everything.
//! - `messages` in metadata replaces the list: at each resume, rewind, compression and rollback.
//!
//! Two things the client does are not repeated, since they only lose or double content: a resumed client leaves out
//! prompts that begin with `/` or `?`, and it sends results of its own calls twice.

use super::record::{self, Kind, Message, Metadata, Record};
use super::speech::Speech;
use crate::error::{Error, Result};
use crate::model::conversation::Conversation;
use crate::model::ledger::SUB_AGENTS;
use crate::model::message;
use crate::tools::lenient::text_of;
use crate::tools::{Format, Line, Source, StreamInfo};
use jiff::Timestamp;
use serde_json::value::RawValue;
use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;

/// Walks the session's list, in that of its files which has the latest of it.
pub(super) fn live(source: &dyn Source) -> Result<Conversation<'_>> {
    let (stream, history) = newest_history(source)?.ok_or_else(|| {
        Error::not_found(format!("session {} has no main transcript", source.native_id()))
            .hint("only files of its sub-agents were captured")
    })?;
    let mut left_out = history.left_out();
    left_out.push((SUB_AGENTS, "the main conversation has their results only", agents(source)));
    left_out.retain(|(_, _, count)| *count > 0);
    let History { list, extras, checkpoint, .. } = history;
    let walk = Walk {
        source,
        stream,
        list: list.into_iter(),
        extras,
        speech: Speech::default(),
        ready: checkpoint.into(),
        last: None,
    };
    Ok(Conversation { messages: Box::new(walk), left_out })
}

/// One id may stand in several files: a resume leaves an empty one behind, an old `.json` goes on as `.jsonl`.
pub(super) fn newest_history(source: &dyn Source) -> Result<Option<(&StreamInfo, History)>> {
    let is_main = |stream: &&StreamInfo| {
        (stream.name == "main" || stream.name.starts_with("main~"))
            && matches!(stream.format, Format::GeminiJsonl | Format::GeminiJson)
            && source.newest(&stream.name) == Some(*stream)
    };
    let mut best: Option<(&StreamInfo, History)> = None;
    for stream in source.streams().iter().filter(is_main) {
        let history = History::read(source, stream)?;
        if best.as_ref().is_none_or(|(_, best)| history.rank() > best.rank()) {
            best = Some((stream, history));
        }
    }
    Ok(best)
}

fn agents(source: &dyn Source) -> u64 {
    source.streams().iter().filter(|s| s.generation == 0 && s.name.starts_with("subagents/")).count() as u64
}

/// Where a message's JSON stands in the stream.
#[derive(Clone, Copy)]
struct Place {
    offset: u64,
    length: u64,
    line: u64,
    /// Its number in a list that stands in one line.
    n: Option<usize>,
}

struct Entry {
    id: String,
    kind: Kind,
    place: Place,
}

/// The first pass.
#[derive(Default)]
pub(super) struct History {
    list: Vec<Entry>,
    /// Id → position in `list`.
    positions: HashMap<String, usize>,
    /// Versions that have tokens and thoughts, by id: rewrites leave both out.
    extras: HashMap<String, Place>,
    /// Every message that was ever there.
    known: HashMap<String, Kind>,
    last_updated: Option<Timestamp>,
    /// The messages of a `/chat save`, which have no ids.
    checkpoint: Vec<message::Message>,
    /// True where the client itself ran a tool: it doubles the result when it resumes.
    has_own_results: bool,
}

impl History {
    fn read(source: &dyn Source, stream: &StreamInfo) -> Result<History> {
        let mut history = History::default();
        source.for_each_line(stream, 0, &mut |line| {
            history.line(line);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(history)
    }

    pub(super) fn last_updated(&self) -> Option<Timestamp> {
        self.last_updated
    }

    pub(super) fn has_own_results(&self) -> bool {
        self.has_own_results
    }

    /// A file with something said in it, before one that was changed later.
    fn rank(&self) -> (bool, Option<Timestamp>) {
        let has_reply = self.list.iter().any(|entry| entry.kind == Kind::Gemini);
        (has_reply || self.list.len() > 1 || !self.checkpoint.is_empty(), self.last_updated)
    }

    fn line(&mut self, line: Line<'_>) {
        let text = text_of(line.bytes);
        let json = text.trim_start_matches('\u{feff}').trim();
        let at = |json: &str, n: Option<usize>| Place {
            offset: line.offset + (json.as_ptr().addr() - text.as_ptr().addr()) as u64,
            length: json.len() as u64,
            line: line.number,
            n,
        };
        match record::parse(json) {
            Ok(Record::Message(message)) => self.put(&message, at(json, None)),
            Ok(Record::Rewind(id)) => self.rewind(&id),
            Ok(Record::Set(metadata) | Record::Start(metadata)) => {
                self.metadata(&metadata, |raw, n| at(raw.get(), Some(n)));
            }
            Ok(Record::Checkpoint(history)) => {
                let place = format!("{}:{}", line.stream, line.number);
                Speech::default().add_checkpoint(&history, &place, &mut self.checkpoint);
            }
            Ok(Record::Unknown) | Err(_) => {}
        }
    }

    fn metadata(&mut self, metadata: &Metadata<'_>, at: impl Fn(&RawValue, usize) -> Place) {
        self.last_updated = metadata.last_updated().or(self.last_updated);
        let Some(messages) = metadata.messages() else { return };
        self.list.clear();
        self.positions.clear();
        for (n, raw) in messages.into_iter().enumerate() {
            if let Some(message) = Message::of(raw) {
                self.put(&message, at(raw, n));
            }
        }
    }

    fn put(&mut self, message: &Message<'_>, place: Place) {
        let Some(id) = message.id() else { return };
        let kind = message.kind();
        self.known.insert(id.clone(), kind);
        self.has_own_results |= message.tool_calls().iter().any(record::ToolCall::has_result);
        if message.has_extras() {
            self.extras.insert(id.clone(), place);
        }
        let entry = Entry { id: id.clone(), kind, place };
        if let Some(at) = self.positions.get(&id) {
            self.list[*at] = entry;
        } else {
            self.positions.insert(id, self.list.len());
            self.list.push(entry);
        }
    }

    fn rewind(&mut self, id: &str) {
        let end = self.positions.get(id).copied().unwrap_or(0);
        for entry in self.list.drain(end..) {
            self.positions.remove(&entry.id);
        }
    }

    fn left_out(&self) -> Vec<(&'static str, &'static str, u64)> {
        let (mut gone, mut notices) = (0, 0);
        for (id, kind) in &self.known {
            match kind {
                Kind::Notice => notices += 1,
                _ if self.positions.contains_key(id) => {}
                _ => gone += 1,
            }
        }
        vec![
            ("messages", "taken back, or replaced by the summary of a compression", gone),
            ("messages", "the client's own notices, which it never sends", notices),
        ]
    }
}

/// The second pass.
struct Walk<'a> {
    source: &'a dyn Source,
    stream: &'a StreamInfo,
    list: std::vec::IntoIter<Entry>,
    extras: HashMap<String, Place>,
    speech: Speech,
    ready: VecDeque<message::Message>,
    last: Option<String>,
}

impl Walk<'_> {
    fn read(&mut self, entry: &Entry) -> Result<()> {
        if entry.kind == Kind::Notice {
            return Ok(());
        }
        let newest = self.json(entry.place)?;
        let Some(mut message) = Message::parse(&newest) else { return Ok(()) };
        let older = match self.extras.get(&entry.id).filter(|_| !message.has_extras()) {
            Some(place) => self.json(*place)?,
            None => String::new(),
        };
        if let Some(older) = Message::parse(&older) {
            message.add_extras(&older);
        }
        let Place { line, n, .. } = entry.place;
        let place = format!("{}:{line}{}", self.stream.name, n.map(|n| format!(".{n}")).unwrap_or_default());
        let mut made = Vec::new();
        self.speech.add(&message, &place, &mut made);
        self.ready.extend(made);
        Ok(())
    }

    fn json(&self, place: Place) -> Result<String> {
        Ok(text_of(&self.source.bytes(self.stream, place.offset, place.length)?).into_owned())
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<message::Message>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(mut message) = self.ready.pop_front() {
                // The list is a line: each message follows the one before it.
                message.parent_id = self.last.replace(message.id.clone());
                return Some(Ok(message));
            }
            let entry = self.list.next()?;
            if let Err(error) = self.read(&entry) {
                return Some(Err(error));
            }
        }
    }
}
