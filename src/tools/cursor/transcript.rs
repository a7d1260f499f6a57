//! Transcripts: what Cursor, its command line's client too, writes of a session into `~/.cursor` beside its database. They
//! tell less than the database: no results of tools, no ids, no models, times of prompts only. So they are seen of those
//! sessions only that are no rows of it.
//!
//! ```text
//! {"role":"user"|"assistant","message":{"content":[{"type":"text",…}|{"type":"tool_use","name":…,"input":…}]}}
//! {"type":"turn_ended","status":"success"|"error"|"aborted"}            since July 2026
//! ```

use super::bubble::redacted;
use super::call::{object, safe_id};
use super::conversation::agents;
use super::graph::take_queries;
use super::reader::finish;
use crate::error::Result;
use crate::model::conversation::Conversation;
use crate::model::ledger::SUB_AGENTS;
use crate::model::message::{Block, Message, Role, UNRECORDED, raw, wrap_input};
use crate::model::observation::Observation;
use crate::tools::lenient::{Raw, elements, fields, owned, string, text_of};
use crate::tools::{Format, Line, Place, Reader, Reading, Source, StreamInfo, base_name, foreign, plain_parts};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// The folder below Cursor's in which they are.
pub(super) const FOLDER: &str = "projects";
/// What stands for a text that the client kept to itself.
const REDACTED: &str = "[REDACTED]";

/// `projects/<folder's name>/agent-transcripts/<id>/<id>.jsonl`, `…/<id>/subagents/<id>.jsonl`, and before, `…/<id>.jsonl`.
/// The folder's name is not told apart from others: every sign in its path is a `-`.
pub(super) fn place(relative: &Path, first_line: &mut dyn FnMut() -> Option<Vec<u8>>) -> Place {
    let Some((id, agent)) = ids(relative) else { return Place::Other };
    if first_line().is_none() {
        return Place::NotYet;
    }
    let stream = agent.map_or_else(|| "main".to_owned(), |agent| format!("subagents/{agent}"));
    Place::Session { native_id: id.to_owned(), stream, format: Format::CursorTranscript }
}

/// Where Cursor keeps the transcript `name` of a window without a folder; `None` where `head` is none of a transcript's.
pub(super) fn place_of_stray(name: &str, head: &[u8]) -> Option<PathBuf> {
    let id = name.strip_suffix(".jsonl").filter(|id| is_id(id))?;
    let first = head.split(|byte| *byte == b'\n').next()?;
    message(Line { stream: "main", number: 0, offset: 0, bytes: first }).ok()??;
    Some([FOLDER, "empty-window", "agent-transcripts", id, name].iter().collect())
}

/// The session's id, and the sub-agent's.
fn ids(relative: &Path) -> Option<(&str, Option<&str>)> {
    let parts = plain_parts(relative)?;
    let [FOLDER, _, "agent-transcripts", rest @ ..] = parts.as_slice() else { return None };
    let id_of = |file: &&'_ str| file.strip_suffix(".jsonl").is_some_and(is_id);
    match *rest {
        [file] if id_of(&file) => Some((file.strip_suffix(".jsonl")?, None)),
        [id, file] if id_of(&file) && file.strip_suffix(".jsonl") == Some(id) => Some((id, None)),
        [id, "subagents", file] if is_id(id) && id_of(&file) => Some((id, file.strip_suffix(".jsonl"))),
        _ => None,
    }
}

/// Letters, digits, `-` and `_`: it may become an argument of a command line, and a part of a path.
fn is_id(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !text.is_empty() && !text.starts_with('-') && text.bytes().all(is_plain)
}

/// The project folder, where the command line's client noted it of this session: `chats/<hash>/<id>/meta.json`.
pub(super) fn project(root: &Path, relative: &Path) -> Option<String> {
    #[derive(Deserialize)]
    struct Meta {
        cwd: String,
    }
    let (id, None) = ids(relative)? else { return None };
    let chats = root.join("chats").read_dir().ok()?;
    let mut notes = chats.flatten().filter_map(|chat| foreign::read_small(&chat.path().join(id).join("meta.json")));
    let meta = notes.find_map(|meta| serde_json::from_slice::<Meta>(&meta).ok())?;
    Some(meta.cwd).filter(|cwd| Path::new(cwd).is_absolute() && !cwd.contains(char::is_control))
}

#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    role: Raw<'a>,
    #[serde(borrow)]
    message: Raw<'a>,
    #[serde(borrow, rename = "type")]
    kind: Raw<'a>,
}

#[derive(Deserialize)]
struct Said<'a> {
    #[serde(borrow)]
    content: Raw<'a>,
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow, rename = "type")]
    kind: Raw<'a>,
    #[serde(borrow)]
    text: Raw<'a>,
    #[serde(borrow)]
    name: Raw<'a>,
    #[serde(borrow)]
    input: Raw<'a>,
}

/// Reads the lines. Every line stands for itself.
pub(super) struct TranscriptReader {
    /// The sub-agent whose stream it is.
    agent: Option<String>,
}

impl TranscriptReader {
    pub(super) fn new(stream: &str) -> Self {
        TranscriptReader { agent: base_name(stream).strip_prefix("subagents/").map(str::to_owned) }
    }
}

impl Reader for TranscriptReader {
    fn line(&mut self, line: Line<'_>, out: &mut Reading) {
        if line.bytes.trim_ascii().is_empty() {
            return;
        }
        match message(line) {
            Ok(Some(mut message)) => {
                finish(&mut message, self.agent.as_deref());
                out.observations.extend(message.timestamp.map(Observation::Activity));
                out.messages.push(message);
            }
            Ok(None) => {}
            Err(reason) => out.notes.push(reason),
        }
    }

    fn state(&self) -> String {
        String::new()
    }
}

/// `None` for lines in which nobody says anything.
fn message(line: Line<'_>) -> Result<Option<Message>, String> {
    let text = text_of(line.bytes);
    let record = serde_json::from_str(&text).ok().and_then(fields::<Record<'_>>).ok_or("not a JSON object")?;
    let Some(role) = string(record.role) else {
        return match owned(record.kind).as_deref() {
            Some("turn_ended" | "error") => Ok(None),
            kind => Err(format!("a line of an unknown kind: {}", kind.unwrap_or("none"))),
        };
    };
    let role = match role.as_ref() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        role => return Err(format!("a message of an unknown role: {role}")),
    };
    let content = record.message.and_then(fields::<Said<'_>>).and_then(|said| said.content);
    let place = format!("{}:{}.0", line.stream, line.number);
    let mut message = Message::new(&place, role);
    message.content = match owned(content) {
        Some(text) => vec![Block::Text(text)],
        None => {
            elements(content).into_iter().enumerate().map(|(n, part)| block(part, &format!("{place}-{n}"))).collect()
        }
    };
    match role {
        Role::User => {
            message.timestamp = message.content.iter().find_map(moment);
            // The client puts the time and its own notes around what the person typed.
            take_queries(&mut message.content);
        }
        _ => drop(message.metadata.insert(UNRECORDED.to_owned(), true.into())),
    }
    if message.content.is_empty() { Err("a message without content".to_owned()) } else { Ok(Some(message)) }
}

/// What is not known is kept as it is. `call` names a call, which has no name of its own.
fn block(source: &RawValue, call: &str) -> Block {
    let other = || Block::Other(source.to_owned());
    let Some(part) = fields::<Part<'_>>(source) else { return other() };
    match string(part.kind).as_deref() {
        Some("text") => spoken(&string(part.text).unwrap_or_default()),
        Some("tool_use") => match owned(part.name) {
            Some(name) => Block::ToolUse { id: safe_id(call), name, input: input(part.input) },
            None => other(),
        },
        _ => other(),
    }
}

/// A text; what the client kept to itself stands behind it, or alone.
fn spoken(text: &str) -> Block {
    match text.strip_suffix(REDACTED).map(str::trim_end) {
        Some("") => redacted(),
        Some(said) => Block::Text(said.to_owned()),
        None => Block::Text(text.to_owned()),
    }
}

/// An input is an object; a patch is a text.
fn input(input: Raw<'_>) -> Box<RawValue> {
    let Some(input) = input else { return raw(&serde_json::Map::new()) };
    object(input).unwrap_or_else(|| wrap_input(&string(Some(input)).unwrap_or(Cow::Borrowed(input.get()))))
}

/// When a prompt was typed, to the minute: `<timestamp>Friday, Aug 28, 2026, 11:12 PM (UTC+2)</timestamp>`.
fn moment(block: &Block) -> Option<Timestamp> {
    let Block::Text(text) = block else { return None };
    let (moment, _) = text.strip_prefix("<timestamp>")?.split_once("</timestamp>")?;
    let (local, offset) = moment.strip_suffix(')')?.split_once(" (UTC")?;
    // Newer systems put a narrow space before AM and PM.
    let local = local.replace('\u{202f}', " ");
    let local = DateTime::strptime("%A, %b %d, %Y, %I:%M %p", local).ok()?;
    let (hours, minutes) = offset.split_once(':').unwrap_or((offset, "0"));
    let hours: i32 = if hours.is_empty() { 0 } else { hours.parse().ok()? };
    let minutes: i32 = minutes.parse().ok()?;
    let minutes = if offset.starts_with('-') { minutes.checked_neg()? } else { minutes };
    let seconds = hours.checked_mul(3600)?.checked_add(minutes.checked_mul(60)?)?;
    Offset::from_seconds(seconds).ok()?.to_timestamp(local).ok()
}

/// The transcript that lies beside the main conversation's rows: the longest of those that are as their files are now, if any.
pub(super) fn beside_main(source: &dyn Source) -> Option<&StreamInfo> {
    let is_digest = |stream: &&StreamInfo| stream.format.is_digest() && base_name(&stream.name) == "main";
    let is_newest = |stream: &StreamInfo| source.newest(&stream.name).is_some_and(|newest| newest == stream);
    source.streams().iter().filter(is_digest).max_by_key(|stream| (is_newest(stream), stream.length))
}

/// The live conversation: all that the file says, in its order.
pub(super) fn live<'a>(source: &'a dyn Source, main: &'a StreamInfo) -> Result<Conversation<'a>> {
    let mut places = Vec::new();
    source.for_each_line(main, 0, &mut |line| {
        if let Ok(Some(_)) = message(line) {
            places.push((line.number, line.offset, line.bytes.len() as u64));
        }
        Ok(ControlFlow::Continue(()))
    })?;
    let mut left_out = vec![(SUB_AGENTS, "the main conversation has their calls only", agents(source))];
    left_out.retain(|(_, _, count)| *count > 0);
    let said = places.into_iter().filter_map(move |(number, offset, length)| {
        let read = source.bytes(main, offset, length).map(|bytes| {
            let said = message(Line { stream: &main.name, number, offset, bytes: &bytes });
            said.ok().flatten()
        });
        read.transpose()
    });
    Ok(Conversation { messages: Box::new(said), left_out })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_says_when_it_was_typed() {
        let of = |text: &str| moment(&Block::Text(text.to_owned())).map(|at| at.to_string());
        let at =
            |offset: &str| of(&format!("<timestamp>Friday, Aug 28, 2026, 11:12 PM (UTC{offset})</timestamp>\nHello"));
        assert_eq!(at("+2").as_deref(), Some("2026-08-28T21:12:00Z"));
        assert_eq!(at("-9:30").as_deref(), Some("2026-08-29T08:42:00Z"));
        assert_eq!(at("").as_deref(), Some("2026-08-28T23:12:00Z"));
        assert_eq!(
            of("<timestamp>Friday, Aug 28, 2026, 9:12\u{202f}AM (UTC)</timestamp>").as_deref(),
            Some("2026-08-28T09:12:00Z")
        );
        assert_eq!(at("+999999999"), None);
        assert_eq!(at("+1:99999999999"), None);
        assert_eq!(of("Look: <timestamp>Friday, Aug 28, 2026, 11:12 PM (UTC)</timestamp>"), None);
    }

    #[test]
    fn transcripts_are_told_by_their_place() {
        let of = |path: &str| match place(Path::new(path), &mut || Some(b"{}".to_vec())) {
            Place::Session { native_id, stream, .. } => format!("{native_id} {stream}"),
            other => format!("{other:?}"),
        };
        assert_eq!(of("projects/home-me-work/agent-transcripts/a-1/a-1.jsonl"), "a-1 main");
        assert_eq!(of("projects/empty-window/agent-transcripts/a-1.jsonl"), "a-1 main");
        assert_eq!(of("projects/p/agent-transcripts/a-1/subagents/b-2.jsonl"), "a-1 subagents/b-2");
        for other in [
            "projects/p/agent-transcripts/a-1/b-2.jsonl",
            "projects/p/agent-transcripts/a-1.txt",
            "projects/p/agent-transcripts/-a.jsonl",
            "projects/p/agent-transcripts/a-1/other/b-2.jsonl",
            "projects/p/terminals/1.jsonl",
            "projects/../agent-transcripts/a-1.jsonl",
            "mcp.json",
        ] {
            assert_eq!(of(other), "Other", "{other}");
        }
    }
}
