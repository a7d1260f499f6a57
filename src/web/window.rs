//! Some messages of a session, rendered: as many as fit on a few screens. What is longer than a person reads is cut, and all
//! of it is there on its own.

use super::log::{Agent, Depth, Entry, Log, Logs, Owner, Thread};
use super::{dollars, time};
use crate::error::{Error, Result};
use crate::export::{self, ArchivedSession, Piece};
use crate::model::message::{Block, ImageKind, Message, Role, Usage, wrap_input};
use crate::model::price;
use crate::store::{SessionRow, Store};
use crate::tools;
use serde::Serialize;
use serde_json::Value;
use std::collections::HashMap;

/// Messages in one answer.
pub const MOST: u64 = 200;
/// Rendered bytes in one answer, but for a single message that has more.
const ROOM: usize = 1 << 20;
/// Of one text in a message.
const LONGEST_TEXT: usize = 24 << 10;
/// Of one picture, in base64 characters.
const LARGEST_PICTURE: usize = 768 << 10;

/// Where a window begins.
#[derive(Clone, Debug)]
pub enum Start {
    /// With the message of this number.
    At(u64),
    /// So that this message is in its middle.
    Around(String),
    /// So that the last message is its end.
    End,
}

/// Which messages are wanted.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Where to begin.
    pub start: Start,
    /// At most so many.
    pub limit: u64,
    /// Of this sub-agent.
    pub agent: Option<String>,
}

/// A window on a session.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the fields of the dashboard's contract")]
pub struct Window {
    pub messages: Vec<Shown>,
    pub from: u64,
    pub total: u64,
    pub change: i64,
    /// False where it is not known yet which messages the model still sees: then all are said to be live.
    pub are_branches_known: bool,
}

/// A message as the dashboard shows it.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the fields of the dashboard's contract")]
#[expect(clippy::struct_excessive_bools, reason = "they are facts about a message")]
pub struct Shown {
    pub number: u64,
    pub id: String,
    pub kind: &'static str,
    pub model: Option<String>,
    pub at: Option<String>,
    pub is_live: bool,
    pub is_compacted: bool,
    pub is_inherited: bool,
    pub branch: Option<String>,
    pub html: String,
    pub agents: Vec<String>,
    pub usage: Option<Tokens>,
    pub text_length: u64,
    pub is_cut: bool,
}

/// What one reply took, or several.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "the fields of the dashboard's contract")]
pub struct Tokens {
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cache_read_tokens: u64,
    pub cost_usd: Option<f64>,
}

impl Tokens {
    pub(super) fn of(model: Option<&str>, usage: &Usage) -> Tokens {
        Tokens {
            input_tokens: usage.input_tokens + usage.cache_write_tokens,
            output_tokens: usage.output_tokens,
            cache_read_tokens: usage.cache_read_tokens,
            cost_usd: model.and_then(|model| price::cost(model, usage)).map(dollars),
        }
    }

    /// One reply of unknown cost makes the sum unknown.
    pub(super) fn add(&mut self, other: &Tokens) {
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
        self.cache_read_tokens += other.cache_read_tokens;
        self.cost_usd = self.cost_usd.zip(other.cost_usd).map(|(a, b)| a + b);
    }
}

/// The messages that are asked for.
pub fn window(store: &Store, logs: &Logs, owner: Owner, row: SessionRow, ask: &Ask) -> Result<Window> {
    let change = store.session_change(row.id)?;
    let session = ArchivedSession::open(store, row)?;
    let log = logs.log(owner, store, &session, Depth::Places)?;
    let thread = log.thread(ask.agent.as_deref()).ok_or_else(|| unknown("sub-agent", ask.agent.as_deref()))?;
    let total = thread.entries.len() as u64;
    let limit = ask.limit.clamp(1, MOST);
    let (from, focus) = match &ask.start {
        Start::At(number) => (*number, *number),
        Start::End => (total.saturating_sub(limit), total.saturating_sub(1)),
        Start::Around(id) => {
            let number = log.find(&session, thread, id)?.ok_or_else(|| unknown("message", Some(id)))?;
            (number.saturating_sub(limit / 2), number)
        }
    };
    let view = View { session: &session, log: &log, thread, is_agent: ask.agent.is_some() };
    let to = from.saturating_add(limit).min(total);
    let messages = view.render(from.min(to), to, focus, true)?;
    let from = messages.first().map_or(from.min(total), |message| message.number);
    Ok(Window { messages, from, total, change, are_branches_known: log.knows_branches() })
}

/// All of one message.
pub fn message(
    store: &Store,
    logs: &Logs,
    owner: Owner,
    row: SessionRow,
    number: u64,
    agent: Option<&str>,
) -> Result<Shown> {
    let session = ArchivedSession::open(store, row)?;
    let log = logs.log(owner, store, &session, Depth::Places)?;
    let thread = log.thread(agent).ok_or_else(|| unknown("sub-agent", agent))?;
    let missing = || Error::not_found(format!("there is no message {number}"));
    if number >= thread.entries.len() as u64 {
        return Err(missing());
    }
    let view = View { session: &session, log: &log, thread, is_agent: agent.is_some() };
    view.render(number, number + 1, number, false)?.pop().ok_or_else(missing)
}

fn unknown(what: &str, id: Option<&str>) -> Error {
    Error::not_found(format!("the session has no {what} {:?}", id.unwrap_or_default()))
}

struct View<'v> {
    session: &'v ArchivedSession<'v>,
    log: &'v Log,
    thread: &'v Thread,
    is_agent: bool,
}

/// A message on its way.
struct Part {
    number: u64,
    message: Message,
    text_length: usize,
    is_cut: bool,
}

impl View<'_> {
    /// The messages `from..to`, or, where they are too much, those of them around `focus`.
    fn render(&self, from: u64, to: u64, focus: u64, is_short: bool) -> Result<Vec<Shown>> {
        let range = from as usize..to as usize;
        let mut parts: Vec<Part> = Vec::with_capacity(range.len());
        self.log.messages(self.session, self.thread, range, &mut |at, mut message| {
            let text_length = message.content.iter().map(length).sum();
            let is_cut = is_short && message.content.iter_mut().fold(false, |is_cut, block| cut(block) | is_cut);
            parts.push(Part { number: from + at as u64, message, text_length, is_cut });
            Ok(())
        })?;
        if is_short {
            fit(&mut parts, focus);
        }
        let mut shown: Vec<Shown> = parts.iter().map(|part| self.shown(part)).collect();
        put_together(&parts, &mut shown);
        self.name_agents(&parts, &mut shown);
        Ok(shown)
    }

    fn shown(&self, part: &Part) -> Shown {
        let (entry, message) = (self.thread.entries[part.number as usize], &part.message);
        let stream = self.log.stream(&entry);
        let usage = message.usage.map(|usage| Tokens::of(message.model.as_deref(), &usage));
        Shown {
            number: part.number,
            id: message.id.clone(),
            kind: kind(message),
            model: message.model.clone(),
            at: message.timestamp.and_then(|at| time(at.as_millisecond())),
            is_live: self.is_agent || self.log.is_live(part.number),
            is_compacted: !self.is_agent && self.log.is_compacted(part.number),
            is_inherited: self.is_inherited(&entry),
            branch: tools::branch(&stream.name).map(|(_, device)| device.to_owned()),
            html: String::new(),
            agents: Vec::new(),
            usage,
            text_length: part.text_length as u64,
            is_cut: part.is_cut,
        }
    }

    fn is_inherited(&self, entry: &Entry) -> bool {
        self.log.stream(entry).name == "main" && entry.begins_before(self.session.row.inherited)
    }

    /// A sub-agent belongs to the call that told it its task, or whose result names it.
    fn name_agents(&self, parts: &[Part], shown: &mut [Shown]) {
        if self.is_agent || self.log.agents.is_empty() {
            return;
        }
        let mut results: HashMap<&str, &str> = HashMap::new();
        for block in parts.iter().flat_map(|part| &part.message.content) {
            if let Block::ToolResult { id, content, .. } = block {
                results.insert(id, content);
            }
        }
        for (part, shown) in parts.iter().zip(shown) {
            for block in &part.message.content {
                let Block::ToolUse { id, input, .. } = block else { continue };
                let texts = texts(input.get());
                let result = results.get(id.as_str()).copied().unwrap_or_default();
                let started = self.log.agents.iter().filter(|agent| is_started(agent, &texts, result));
                shown.agents.extend(started.map(|agent| agent.id.clone()));
            }
            shown.agents.dedup();
        }
    }
}

/// A shorter text says nothing of where it comes from.
const TELLING: usize = 8;

fn is_started(agent: &Agent, texts: &[String], result: &str) -> bool {
    let is_asked = agent.task.len() >= TELLING && texts.iter().any(|text| text.trim().starts_with(&agent.task));
    is_asked || (agent.id.len() >= 6 && result.contains(&agent.id))
}

/// The texts in a call's input.
fn texts(input: &str) -> Vec<String> {
    match serde_json::from_str(input) {
        Ok(Value::Object(fields)) => {
            fields.into_iter().filter_map(|(_, value)| value.as_str().map(str::to_owned)).collect()
        }
        _ => Vec::new(),
    }
}

fn kind(message: &Message) -> &'static str {
    let is_result = |block: &Block| matches!(block, Block::ToolResult { .. } | Block::Image(_));
    let has_result = message.content.iter().any(|block| matches!(block, Block::ToolResult { .. }));
    match message.role {
        _ if message.has_summary() => "compaction",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
        _ if has_result && message.content.iter().all(is_result) => "tool",
        Role::User if message.is_meta => "system",
        Role::User if message.is_sidechain => "task",
        Role::User => "user",
        Role::System | Role::Developer => "system",
    }
}

/// Each result stands behind its call, where both are here.
fn put_together(parts: &[Part], shown: &mut [Shown]) {
    let mut pieces: Vec<Vec<(String, Option<String>)>> = Vec::new();
    let mut calls: HashMap<String, (usize, usize)> = HashMap::new();
    for (at, part) in parts.iter().enumerate() {
        pieces.push(Vec::new());
        for piece in export::pieces(&part.message) {
            match piece {
                Piece::Html(html) => pieces[at].push((html, None)),
                Piece::Call { id, html } => {
                    calls.insert(id, (at, pieces[at].len()));
                    pieces[at].push((html, Some(String::new())));
                }
                Piece::Result { id, html } => match calls.remove(&id) {
                    Some((call, place)) => pieces[call][place].1 = Some(html),
                    None => pieces[at].push((html, None)),
                },
            }
        }
    }
    for (shown, pieces) in shown.iter_mut().zip(pieces) {
        let html = pieces.into_iter().map(|(html, result)| match result {
            Some(result) => export::card(&html, &result),
            None => html,
        });
        shown.html = html.collect();
    }
}

/// Leaves out what does not fit, what is farthest from `focus` first.
fn fit(parts: &mut Vec<Part>, focus: u64) {
    let size = |part: &Part| part.message.content.iter().map(length).sum::<usize>() + 200;
    let mut all: usize = parts.iter().map(size).sum();
    while all > ROOM && parts.len() > 1 {
        let (before, behind) = (focus - parts[0].number.min(focus), parts[parts.len() - 1].number.max(focus) - focus);
        let left_out = if before > behind { parts.remove(0) } else { parts.remove(parts.len() - 1) };
        all -= size(&left_out);
    }
}

/// Bytes of what a person sees of a block.
fn length(block: &Block) -> usize {
    match block {
        Block::Text(text) | Block::Summary { text, .. } => text.len(),
        Block::Thinking { text, summary, .. } => text.len().max(summary.as_ref().map_or(0, String::len)),
        Block::ToolUse { input, .. } => input.get().len(),
        Block::ToolResult { content, .. } => content.len(),
        Block::Image(source) => source.data.len(),
        Block::Other(raw) => raw.get().len(),
    }
}

/// Shortens a block that is longer than a window has room for; true where it did.
fn cut(block: &mut Block) -> bool {
    match block {
        Block::ToolResult { content, exit_code, duration_ms, .. } => {
            // Afterwards it would be no JSON any more.
            if content.len() > LONGEST_TEXT
                && let Some(inside) = export::unwrapped(content)
            {
                *content = inside.output;
                *exit_code = exit_code.or(inside.end.exit_code);
                *duration_ms = duration_ms.or(inside.end.duration_ms());
            }
            shorten(content)
        }
        Block::Text(text) | Block::Summary { text, .. } => shorten(text),
        Block::Thinking { text, summary, .. } => {
            let is_cut = shorten(text);
            summary.as_mut().is_some_and(shorten) || is_cut
        }
        Block::ToolUse { input, .. } if input.get().len() > LONGEST_TEXT => {
            let mut value: Value = serde_json::from_str(input.get()).unwrap_or_default();
            shorten_all(&mut value);
            match serde_json::value::to_raw_value(&value) {
                Ok(raw) if raw.get().len() <= 8 * LONGEST_TEXT => *input = raw,
                _ => *input = wrap_input("…"),
            }
            true
        }
        Block::Image(source) if source.data.len() > LARGEST_PICTURE => {
            (source.kind, source.data) = (ImageKind::Path, String::new());
            true
        }
        Block::Other(raw) if raw.get().len() > LONGEST_TEXT => {
            let mut text = raw.get().to_owned();
            shorten(&mut text);
            *block = Block::ToolResult {
                id: String::new(),
                content: text,
                is_error: false,
                exit_code: None,
                duration_ms: None,
            };
            true
        }
        _ => false,
    }
}

fn shorten(text: &mut String) -> bool {
    if text.len() <= LONGEST_TEXT {
        return false;
    }
    let end = (0..=LONGEST_TEXT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    text.truncate(end);
    text.push('…');
    true
}

fn shorten_all(value: &mut Value) {
    match value {
        Value::String(text) => drop(shorten(text)),
        Value::Array(items) => items.iter_mut().for_each(shorten_all),
        Value::Object(fields) => fields.values_mut().for_each(shorten_all),
        _ => {}
    }
}
