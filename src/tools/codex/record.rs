//! One line of a rollout, taken apart no further than needed. A line is at most scanned twice: once for its envelope,
//! and only where it matters for the fields of its payload. Fields stay raw, so that one of an unexpected type costs
//! that field and not the line.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A JSON value that nobody has looked at; `None` where it is missing or null.
pub(super) type Raw<'a> = Option<&'a RawValue>;

/// What a line is.
pub(super) enum Record<'a> {
    /// `{"timestamp", "type", "payload"}`: everything since autumn 2025.
    Enveloped {
        /// The client ignores a line that has none.
        timestamp: Option<Timestamp>,
        /// `session_meta`, `response_item`, `event_msg`, …
        kind: Cow<'a, str>,
        payload: &'a RawValue,
    },
    /// `{"id", "timestamp", "instructions"}`: the first line of the oldest files.
    BareMeta(&'a RawValue),
    /// A response item without envelope, as in the oldest files.
    BareItem(&'a RawValue),
    /// A blank line or bookkeeping of the oldest files.
    Nothing,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    timestamp: Raw<'a>,
    #[serde(borrow, rename = "type")]
    kind: Raw<'a>,
    #[serde(borrow)]
    payload: Raw<'a>,
    #[serde(borrow)]
    record_type: Raw<'a>,
    #[serde(borrow)]
    id: Raw<'a>,
}

/// When a session began, by its first line.
pub(super) fn time_of(line: &[u8]) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Begun {
        timestamp: Timestamp,
    }
    let (Record::Enveloped { payload, .. } | Record::BareMeta(payload)) = parse(line).ok()? else { return None };
    serde_json::from_str::<Begun>(payload.get()).ok().map(|begun| begun.timestamp)
}

/// Takes a line apart; the error says in words why that was not possible.
pub(super) fn parse(bytes: &[u8]) -> Result<Record<'_>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned())?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim();
    if text.is_empty() {
        return Ok(Record::Nothing);
    }
    let line: Line<'_> = object(text)?;
    let whole = || serde_json::from_str::<&RawValue>(text).map_err(|e| e.to_string());
    match (string(line.kind), line.payload) {
        (Some(kind), Some(payload)) => {
            let timestamp = string(line.timestamp).and_then(|t| t.parse().ok());
            Ok(Record::Enveloped { timestamp, kind, payload })
        }
        (Some(_), None) => Ok(Record::BareItem(whole()?)),
        (None, _) if line.record_type.is_some() => Ok(Record::Nothing),
        (None, None) if line.id.is_some() => Ok(Record::BareMeta(whole()?)),
        (None, _) => Err("no `type`".to_owned()),
    }
}

/// Parses an object's fields, with an error in words.
pub(super) fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    // Structs can be made from arrays too; a rollout never means that.
    if !text.starts_with('{') {
        return Err("not a JSON object".to_owned());
    }
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// Like [`object`], where a value that is something else counts as missing.
pub(super) fn fields<'a, T: Deserialize<'a>>(raw: Raw<'a>) -> Option<T> {
    object(raw?.get()).ok()
}

/// The elements of an array; none for anything else.
pub(super) fn elements<'a>(raw: Raw<'a>) -> Vec<&'a RawValue> {
    raw.and_then(|raw| serde_json::from_str::<Vec<&'a RawValue>>(raw.get()).ok()).unwrap_or_default()
}

/// A string, borrowed where it has no escapes.
pub(super) fn string(raw: Raw<'_>) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    let raw = raw?.get();
    if !raw.starts_with('"') {
        return None;
    }
    serde_json::from_str::<Text<'_>>(raw).ok().map(|text| text.0)
}

/// [`string`], owned, and only where it says something.
pub(super) fn owned(raw: Raw<'_>) -> Option<String> {
    string(raw).filter(|text| !text.is_empty()).map(Cow::into_owned)
}

/// The `type` of a payload. The client writes it first, which saves parsing the rest.
pub(super) fn kind_of(payload: &RawValue) -> Cow<'_, str> {
    #[derive(Deserialize)]
    struct Kind<'a> {
        #[serde(borrow, rename = "type")]
        kind: Raw<'a>,
    }
    let first = payload.get().strip_prefix(r#"{"type":""#).and_then(|rest| rest.split_once('"'));
    match first {
        Some((kind, _)) if !kind.contains('\\') => Cow::Borrowed(kind),
        _ => fields::<Kind<'_>>(Some(payload)).and_then(|k| string(k.kind)).unwrap_or_default(),
    }
}

/// Payload of `session_meta`; also the bare first line of the oldest files.
#[derive(Deserialize)]
pub(super) struct Meta<'a> {
    #[serde(borrow)]
    pub(super) id: Raw<'a>,
    #[serde(borrow)]
    pub(super) session_id: Raw<'a>,
    #[serde(borrow)]
    pub(super) parent_thread_id: Raw<'a>,
    #[serde(borrow)]
    pub(super) timestamp: Raw<'a>,
    #[serde(borrow)]
    pub(super) cwd: Raw<'a>,
    #[serde(borrow)]
    pub(super) cli_version: Raw<'a>,
    #[serde(borrow)]
    pub(super) source: Raw<'a>,
    #[serde(borrow)]
    pub(super) thread_source: Raw<'a>,
    #[serde(borrow)]
    pub(super) git: Raw<'a>,
    #[serde(borrow)]
    pub(super) forked_from_id: Raw<'a>,
    #[serde(borrow)]
    pub(super) history_base: Raw<'a>,
}

/// `session_meta.git`.
#[derive(Deserialize)]
pub(super) struct Git<'a> {
    #[serde(borrow)]
    pub(super) commit_hash: Raw<'a>,
    #[serde(borrow)]
    pub(super) branch: Raw<'a>,
    #[serde(borrow)]
    pub(super) repository_url: Raw<'a>,
}

/// `session_meta.source` of a sub-agent: `{"subagent": {"thread_spawn": {"parent_thread_id"}}}`.
#[derive(Deserialize)]
pub(super) struct SubagentSource<'a> {
    #[serde(borrow)]
    pub(super) subagent: Raw<'a>,
}

#[derive(Deserialize)]
struct ThreadSpawn<'a> {
    #[serde(borrow)]
    thread_spawn: Raw<'a>,
}

#[derive(Deserialize)]
struct Parent<'a> {
    #[serde(borrow)]
    parent_thread_id: Raw<'a>,
}

impl Meta<'_> {
    /// The session whose sub-agent this thread is; `None` where it is a session of its own.
    ///
    /// Newer files name the root in `session_id`, older ones only the thread that spawned this one.
    pub(super) fn root(&self) -> Option<String> {
        let source: Option<SubagentSource<'_>> = fields(self.source);
        let subagent = source.and_then(|s| s.subagent);
        let thread_source = string(self.thread_source);
        let id = owned(self.id);
        let other = owned(self.session_id).filter(|session| Some(session) != id.as_ref());
        if subagent.is_none() && thread_source.as_deref() != Some("subagent") {
            return other.filter(|_| thread_source.as_deref() != Some("user"));
        }
        let spawn: Option<ThreadSpawn<'_>> = fields(subagent);
        let spawned_by: Option<Parent<'_>> = spawn.and_then(|s| fields(s.thread_spawn));
        other
            .or_else(|| owned(self.parent_thread_id))
            .or_else(|| spawned_by.and_then(|p| owned(p.parent_thread_id)))
            .filter(|root| Some(root) != id.as_ref())
    }
}

/// `session_meta.history_base`: a fork's history starts with this many bytes of another thread's rollout.
#[derive(Deserialize)]
pub(super) struct HistoryBase {
    pub(super) thread_id: String,
    pub(super) end_byte_offset: u64,
}

/// Payload of `turn_context`, and of the events that open and close a turn.
#[derive(Deserialize)]
pub(super) struct Turn<'a> {
    #[serde(borrow)]
    pub(super) turn_id: Raw<'a>,
    #[serde(borrow)]
    pub(super) model: Raw<'a>,
}

/// Payload of `compacted`.
#[derive(Deserialize)]
pub(super) struct Compacted<'a> {
    #[serde(borrow)]
    pub(super) message: Raw<'a>,
    #[serde(borrow)]
    pub(super) replacement_history: Raw<'a>,
}

/// Payload of `token_usage_record`.
#[derive(Deserialize)]
pub(super) struct TokenUsageRecord<'a> {
    #[serde(borrow)]
    pub(super) response_id: Raw<'a>,
    #[serde(borrow)]
    pub(super) usage: Raw<'a>,
}

/// Payload of `token_count`.
#[derive(Deserialize)]
pub(super) struct TokenCount<'a> {
    #[serde(borrow)]
    pub(super) info: Raw<'a>,
    /// Ours: these totals came with an imported history and were spent elsewhere.
    #[serde(default)]
    pub(super) imported: bool,
}

/// `token_count.info`.
#[derive(Deserialize)]
pub(super) struct TokenInfo<'a> {
    #[serde(borrow)]
    pub(super) total_token_usage: Raw<'a>,
}

/// The client's own counting. `input` includes what came from the cache, `output` includes reasoning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Tokens {
    #[serde(rename = "input_tokens")]
    pub(super) input: u64,
    #[serde(rename = "cached_input_tokens")]
    pub(super) cached: u64,
    #[serde(rename = "cache_write_input_tokens")]
    pub(super) cache_write: u64,
    #[serde(rename = "output_tokens")]
    pub(super) output: u64,
    #[serde(rename = "reasoning_output_tokens")]
    pub(super) reasoning: u64,
    #[serde(rename = "total_tokens")]
    pub(super) total: u64,
}

/// Payload of `item_completed`.
#[derive(Deserialize)]
pub(super) struct ItemCompleted<'a> {
    #[serde(borrow)]
    pub(super) item: Raw<'a>,
}

/// A display item; only what stands for a tool call is read.
#[derive(Deserialize)]
pub(super) struct DisplayItem<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Raw<'a>,
    #[serde(borrow)]
    pub(super) id: Raw<'a>,
    #[serde(borrow)]
    pub(super) command: Raw<'a>,
    #[serde(borrow)]
    pub(super) cwd: Raw<'a>,
    #[serde(borrow)]
    pub(super) aggregated_output: Raw<'a>,
    #[serde(borrow)]
    pub(super) exit_code: Raw<'a>,
    #[serde(borrow)]
    pub(super) status: Raw<'a>,
    #[serde(borrow)]
    pub(super) changes: Raw<'a>,
    #[serde(borrow)]
    pub(super) stdout: Raw<'a>,
    #[serde(borrow)]
    pub(super) stderr: Raw<'a>,
    #[serde(borrow)]
    pub(super) server: Raw<'a>,
    #[serde(borrow)]
    pub(super) tool: Raw<'a>,
    #[serde(borrow)]
    pub(super) arguments: Raw<'a>,
    #[serde(borrow)]
    pub(super) result: Raw<'a>,
}

/// Payload of `response_item`: the fields of all its kinds.
#[derive(Deserialize)]
pub(super) struct Item<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Raw<'a>,
    #[serde(borrow)]
    pub(super) id: Raw<'a>,
    #[serde(borrow)]
    pub(super) role: Raw<'a>,
    #[serde(borrow)]
    pub(super) content: Raw<'a>,
    #[serde(borrow)]
    pub(super) phase: Raw<'a>,
    #[serde(borrow)]
    pub(super) summary: Raw<'a>,
    #[serde(borrow)]
    pub(super) encrypted_content: Raw<'a>,
    #[serde(borrow)]
    pub(super) name: Raw<'a>,
    #[serde(borrow)]
    pub(super) namespace: Raw<'a>,
    #[serde(borrow)]
    pub(super) arguments: Raw<'a>,
    #[serde(borrow)]
    pub(super) input: Raw<'a>,
    #[serde(borrow)]
    pub(super) action: Raw<'a>,
    #[serde(borrow)]
    pub(super) call_id: Raw<'a>,
    #[serde(borrow)]
    pub(super) output: Raw<'a>,
    #[serde(borrow)]
    pub(super) tools: Raw<'a>,
    #[serde(borrow)]
    pub(super) result: Raw<'a>,
    #[serde(borrow)]
    pub(super) status: Raw<'a>,
    #[serde(borrow, rename = "internal_chat_message_metadata_passthrough")]
    pub(super) passthrough: Raw<'a>,
}

/// What newer clients say about the parts of a message.
#[derive(Deserialize)]
pub(super) struct Passthrough<'a> {
    #[serde(borrow)]
    pub(super) content_item_kinds: Raw<'a>,
}

/// One part of a message's content or of a tool's output.
#[derive(Deserialize)]
pub(super) struct Part<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Raw<'a>,
    #[serde(borrow)]
    pub(super) text: Raw<'a>,
    #[serde(borrow)]
    pub(super) image_url: Raw<'a>,
}
