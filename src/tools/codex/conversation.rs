//! The live conversation, rebuilt as the client does it on resume: response items in order, restarted by the last
//! compaction, less the turns that were rolled back, and for a fork by reference preceded by the start of its parent.
//!
//! Two passes, so that a session of a gigabyte needs little memory: the first one keeps only positions, the second one
//! reads from the first position that still counts.

use super::items::{self, Context};
use super::record::{self, Compacted, HistoryBase, Meta, Record};
use crate::error::Result;
use crate::model::conversation::Conversation;
use crate::model::ledger::SUB_AGENTS;
use crate::model::message::{Block, Message, Role};
use crate::tools::{Source, StreamInfo};
use jiff::Timestamp;
use serde_json::value::RawValue;
use std::collections::VecDeque;
use std::ops::{ControlFlow, Deref};

/// The live conversation of the session in `source`.
pub(super) fn live(source: &dyn Source) -> Result<Conversation<'_>> {
    let (segments, parent_missing) = lineage(source)?;
    let mut survey = Survey::default();
    for (index, segment) in segments.iter().enumerate() {
        survey.segment(index, segment)?;
    }
    let mut left_out = survey.left_out();
    if parent_missing {
        left_out.push(("forked history", "the session this one was forked from is not archived", 1));
    }
    let agents: std::collections::BTreeSet<&str> =
        source.streams().iter().map(|s| s.name.as_str()).filter(|name| name.starts_with("subagents/")).collect();
    if !agents.is_empty() {
        left_out.push((SUB_AGENTS, "the main conversation has their results only", agents.len() as u64));
    }
    let walk = Walk::new(segments, survey);
    Ok(Conversation { messages: Box::new(walk), left_out })
}

/// The asked session, or one of its ancestors, which is ours to keep.
enum Handle<'a> {
    Asked(&'a dyn Source),
    Ancestor(Box<dyn Source + 'a>),
}

impl<'a> Deref for Handle<'a> {
    type Target = dyn Source + 'a;
    fn deref(&self) -> &Self::Target {
        match self {
            Handle::Asked(source) => *source,
            Handle::Ancestor(source) => &**source,
        }
    }
}

/// The part of one rollout that belongs to the history.
struct Segment<'a> {
    source: Handle<'a>,
    stream: StreamInfo,
    /// Where it ends.
    end: u64,
    /// Names messages without an id of their own: the stream's name, with the thread's id for an ancestor.
    label: String,
}

/// More ancestors than anyone makes; also ends a circle.
const MAX_ANCESTORS: usize = 64;

/// The rollouts that make up the history, oldest first, and whether a parent is not archived.
fn lineage(source: &dyn Source) -> Result<(Vec<Segment<'_>>, bool)> {
    let mut segments = VecDeque::new();
    let Some(main) = source.newest("main").cloned() else { return Ok((Vec::new(), false)) };
    let end = main.length;
    let mut next = Segment { source: Handle::Asked(source), label: main.name.clone(), stream: main, end };
    loop {
        let base = history_base(&next)?;
        segments.push_front(next);
        let Some(base) = base else { return Ok((segments.into(), false)) };
        if segments.len() > MAX_ANCESTORS {
            return Ok((segments.into(), true));
        }
        let Some(parent) = source.sibling(&base.thread_id)? else { return Ok((segments.into(), true)) };
        let Some(stream) = generation_with_line_end(&*parent, base.end_byte_offset)? else {
            return Ok((segments.into(), true));
        };
        let label = format!("{}/{}", base.thread_id, stream.name);
        next = Segment { source: Handle::Ancestor(parent), stream, end: base.end_byte_offset, label };
    }
}

fn history_base(segment: &Segment<'_>) -> Result<Option<HistoryBase>> {
    let mut base = None;
    segment.source.for_each_line(&segment.stream, 0, &mut |line| {
        if let Ok(Record::Enveloped { kind, payload, .. }) = record::parse(line.bytes)
            && kind == "session_meta"
        {
            let meta: Option<Meta<'_>> = record::fields(Some(payload));
            base = meta.and_then(|meta| record::fields::<HistoryBase>(meta.history_base));
        }
        Ok(ControlFlow::Break(()))
    })?;
    Ok(base)
}

/// The parent's file may have been rewritten since the fork: the generation that has a line end at `end` is meant.
fn generation_with_line_end(source: &dyn Source, end: u64) -> Result<Option<StreamInfo>> {
    let mut mains: Vec<&StreamInfo> = source.streams().iter().filter(|s| s.name == "main").collect();
    mains.sort_by_key(|stream| std::cmp::Reverse(stream.generation));
    for stream in mains {
        if end == 0 || end == stream.length || (end < stream.length && source.bytes(stream, end - 1, 1)? == b"\n") {
            return Ok(Some(stream.clone()));
        }
    }
    Ok(None)
}

/// A place in the history; compares in the order of the history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Position {
    segment: usize,
    line: u64,
    /// Within the replacement history of a compaction.
    item: usize,
}

/// A turn of the person that still counts.
#[derive(Clone, Copy)]
struct Turn {
    at: Position,
    offset: u64,
    /// Live items before it.
    items_before: u64,
    /// The summary of a compaction without history: the client takes it for a turn when it rolls back.
    is_summary: bool,
}

/// The turn and the model at some place.
#[derive(Clone, Default)]
struct Situation {
    turn: Option<String>,
    model: Option<String>,
}

impl Situation {
    /// Follows what a record says about them.
    fn follow(&mut self, kind: &str, payload: &RawValue) {
        let matters =
            kind == "turn_context" || kind == "event_msg" && matches!(&*record::kind_of(payload), "task_started");
        if let Some(turn) = record::fields::<record::Turn<'_>>(Some(payload)).filter(|_| matters) {
            self.turn = record::owned(turn.turn_id).or(self.turn.take());
            self.model = record::owned(turn.model).or(self.model.take());
        }
    }
}

/// What counts since the last compaction.
#[derive(Default)]
struct History {
    /// The compaction: what is before it does not count, but for `kept`.
    restart: Position,
    restart_offset: u64,
    at_restart: Situation,
    /// Turns before a compaction that has no replacement history: it keeps the person's words.
    kept: Vec<Turn>,
    turns: Vec<Turn>,
    items: u64,
    compacted_away: u64,
    /// What counted before the compaction: rolling back further than to it undoes it.
    before: Option<Box<History>>,
}

/// The first pass. How the client rolls back over compactions was observed on 0.169.0.
#[derive(Default)]
struct Survey {
    history: History,
    /// Rolled back: from, and up to but without.
    cuts: Vec<(Position, Position)>,
    rolled_back: u64,
    now: Situation,
}

impl Survey {
    fn segment(&mut self, index: usize, segment: &Segment<'_>) -> Result<()> {
        segment.source.for_each_line(&segment.stream, 0, &mut |line| {
            if line.offset >= segment.end {
                return Ok(ControlFlow::Break(()));
            }
            let at = Position { segment: index, line: line.number, item: 0 };
            match record::parse(line.bytes) {
                Ok(Record::Enveloped { timestamp: Some(_), kind, payload }) => {
                    self.record(at, line.offset, &kind, payload);
                }
                Ok(Record::BareItem(item)) => self.item(at, line.offset, item),
                _ => {}
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    fn record(&mut self, at: Position, offset: u64, kind: &str, payload: &RawValue) {
        self.now.follow(kind, payload);
        match kind {
            "response_item" => self.item(at, offset, payload),
            "compacted" => self.compaction(at, offset, payload),
            "event_msg" if record::kind_of(payload) == "thread_rolled_back" => self.rollback(at, payload),
            _ => {}
        }
    }

    fn item(&mut self, at: Position, offset: u64, item: &RawValue) {
        if record::kind_of(item) == "message" && is_turn(item) {
            let items_before = self.history.items;
            self.history.turns.push(Turn { at, offset, items_before, is_summary: false });
        }
        self.history.items += 1;
    }

    fn compaction(&mut self, at: Position, offset: u64, payload: &RawValue) {
        let Some(compacted) = record::fields::<Compacted<'_>>(Some(payload)) else { return };
        let before = std::mem::take(&mut self.history);
        let restarted =
            History { restart: at, restart_offset: offset, at_restart: self.now.clone(), ..History::default() };
        self.history = if compacted.replacement_history.is_some() {
            History {
                items: record::elements(compacted.replacement_history).len() as u64,
                compacted_away: before.compacted_away + before.items,
                before: Some(Box::new(before)),
                ..restarted
            }
        } else {
            let kept: Vec<Turn> = before.turns.into_iter().filter(|turn| !turn.is_summary).collect();
            let count = kept.len() as u64;
            let mut turns: Vec<Turn> =
                kept.iter().zip(0..).map(|(turn, items_before)| Turn { items_before, ..*turn }).collect();
            turns.push(Turn { at, offset, items_before: count, is_summary: true });
            let compacted_away = (before.compacted_away + before.items).saturating_sub(count);
            History { kept, turns, items: count + 1, compacted_away, before: before.before, ..restarted }
        };
    }

    fn rollback(&mut self, at: Position, payload: &RawValue) {
        #[derive(serde::Deserialize)]
        struct RolledBack {
            num_turns: u64,
        }
        let Some(RolledBack { num_turns }) = record::fields(Some(payload)) else { return };
        let mut left = usize::try_from(num_turns).unwrap_or(usize::MAX);
        let mut from = None;
        while left > self.history.turns.len()
            && let Some(before) = self.history.before.take()
        {
            left -= self.history.turns.len();
            from = Some(self.history.restart);
            self.rolled_back += self.history.items;
            self.history = *before;
        }
        let history = &mut self.history;
        let keep = history.turns.len().saturating_sub(left);
        if let Some(first) = history.turns.get(keep).copied() {
            history.turns.truncate(keep);
            self.rolled_back += history.items.saturating_sub(first.items_before);
            history.items = first.items_before;
            from = Some(first.at);
        }
        if let Some(from) = from {
            self.cuts.retain(|(other, _)| *other < from);
            self.cuts.push((from, at));
        }
    }

    fn left_out(&self) -> Vec<(&'static str, &'static str, u64)> {
        let fates = [
            ("messages", "replaced by a compaction", self.history.compacted_away),
            ("messages", "rolled back", self.rolled_back),
        ];
        fates.into_iter().filter(|(_, _, count)| *count > 0).collect()
    }

    /// True where the item at `at` is part of the live conversation.
    fn counts(&self, at: Position) -> bool {
        let kept = || self.history.kept.binary_search_by_key(&at, |turn| turn.at).is_ok();
        (at >= self.history.restart || kept()) && !self.is_cut(at)
    }

    fn is_cut(&self, at: Position) -> bool {
        let after = self.cuts.partition_point(|(from, _)| *from <= at);
        after > 0 && at < self.cuts[after - 1].1
    }
}

/// True where the item is something that the person said: this is what a rollback counts.
fn is_turn(item: &RawValue) -> bool {
    let mut messages = Vec::new();
    let at =
        Context { stream: "", line: 0, item: 0, timestamp: None, turn: None, model: None, agent: None, summary: None };
    items::read(item, &at, &mut messages).is_ok() && messages.first().is_some_and(Message::is_prompt)
}

/// The second pass: the messages, as they are asked for.
struct Walk<'a> {
    segments: Vec<Segment<'a>>,
    survey: Survey,
    lines: Option<Lines>,
    segment: usize,
    now: Situation,
    ready: VecDeque<Message>,
    failed: bool,
}

impl<'a> Walk<'a> {
    fn new(segments: Vec<Segment<'a>>, mut survey: Survey) -> Self {
        let history = &mut survey.history;
        let (start, offset, now) = match history.kept.first() {
            Some(turn) => (turn.at, turn.offset, Situation::default()),
            None => (history.restart, history.restart_offset, std::mem::take(&mut history.at_restart)),
        };
        let lines = segments.get(start.segment).map(|segment| Lines::new(offset, start.line, segment.end));
        Walk { segments, survey, lines, segment: start.segment, now, ready: VecDeque::new(), failed: false }
    }

    /// Reads one line; false at the end of the history.
    fn advance(&mut self) -> Result<bool> {
        let (Some(segment), Some(lines)) = (self.segments.get(self.segment), &mut self.lines) else { return Ok(false) };
        let Some((line, bytes)) = lines.next(segment)? else {
            self.segment += 1;
            self.lines = self.segments.get(self.segment).map(|segment| Lines::new(0, 0, segment.end));
            return Ok(true);
        };
        let at = Position { segment: self.segment, line, item: 0 };
        let mut out = Vec::new();
        match record::parse(bytes) {
            Ok(Record::Enveloped { timestamp: Some(timestamp), kind, payload }) => {
                self.now.follow(&kind, payload);
                let place = Place {
                    survey: &self.survey,
                    label: &segment.label,
                    at,
                    timestamp: Some(timestamp),
                    now: &self.now,
                };
                match &*kind {
                    "response_item" => place.item(payload, None, &mut out),
                    "compacted" => place.compacted(payload, &mut out),
                    _ => {}
                }
            }
            Ok(Record::BareItem(item)) => {
                let place = Place { survey: &self.survey, label: &segment.label, at, timestamp: None, now: &self.now };
                place.item(item, None, &mut out);
            }
            // The reader of the log notes what can't be read.
            _ => {}
        }
        self.ready.extend(out);
        Ok(true)
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<Message>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Some(Ok(message));
            }
            if self.failed {
                return None;
            }
            match self.advance() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
        }
    }
}

/// A line of the history, and what is known there.
struct Place<'w> {
    survey: &'w Survey,
    label: &'w str,
    at: Position,
    timestamp: Option<Timestamp>,
    now: &'w Situation,
}

impl Place<'_> {
    fn context<'c>(&'c self, item: usize, summary: Option<&'c str>) -> Context<'c> {
        Context {
            stream: self.label,
            line: self.at.line,
            item,
            timestamp: self.timestamp,
            turn: self.now.turn.as_deref(),
            model: self.now.model.as_deref(),
            agent: None,
            summary,
        }
    }

    fn item(&self, payload: &RawValue, of_compaction: Option<(usize, &str)>, out: &mut Vec<Message>) {
        let (item, summary) = of_compaction.unzip();
        let item = item.unwrap_or_default();
        if !self.survey.counts(Position { item, ..self.at }) {
            return;
        }
        let before = out.len();
        if items::read(payload, &self.context(item, summary), out).is_err() {
            return;
        }
        // The client does not send what claims to be its own system prompt.
        let is_prompt =
            |m: &Message| m.role == Role::System && !matches!(m.content.first(), Some(Block::Summary { .. }));
        if out[before..].iter().any(is_prompt) {
            out.truncate(before);
        }
    }

    fn compacted(&self, payload: &RawValue, out: &mut Vec<Message>) {
        let Some(compacted) = record::fields::<Compacted<'_>>(Some(payload)) else { return };
        let text = record::string(compacted.message).unwrap_or_default();
        if compacted.replacement_history.is_some() {
            for (item, raw) in record::elements(compacted.replacement_history).into_iter().enumerate() {
                self.item(raw, Some((item, &text)), out);
            }
        } else if self.survey.counts(self.at) {
            let mut message = self.context(0, None).message(None, Role::System);
            message.content.push(Block::Summary { text: text.into_owned(), through: None });
            out.push(message);
        }
    }
}

/// Lines of a stream from some offset on, read in pieces.
struct Lines {
    /// The next line's number.
    line: u64,
    /// Where the next piece starts.
    offset: u64,
    end: u64,
    buffer: Vec<u8>,
    /// Where the next line starts in the buffer.
    start: usize,
}

/// How much is read at once.
const PIECE: u64 = 256 * 1024;

impl Lines {
    fn new(offset: u64, line: u64, end: u64) -> Self {
        Lines { line, offset, end, buffer: Vec::new(), start: 0 }
    }

    /// The next line and its number, an unterminated last one included.
    fn next(&mut self, segment: &Segment<'_>) -> Result<Option<(u64, &[u8])>> {
        let mut searched = self.start;
        let length = loop {
            if let Some(found) = memchr::memchr(b'\n', &self.buffer[searched..]) {
                break searched + found + 1 - self.start;
            }
            searched = self.buffer.len() - self.start;
            if self.offset >= self.end {
                break searched;
            }
            self.buffer.drain(..self.start);
            self.start = 0;
            let piece = PIECE.min(self.end - self.offset);
            self.buffer.extend(segment.source.bytes(&segment.stream, self.offset, piece)?);
            self.offset += piece;
        };
        if length == 0 {
            return Ok(None);
        }
        let line = &self.buffer[self.start..self.start + length];
        self.start += length;
        self.line += 1;
        Ok(Some((self.line - 1, line)))
    }
}
