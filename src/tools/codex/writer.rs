//! Writes a rollout that the real client resumes: the paginated shape with both families of events, so that clients of
//! every age show each message once. The model's history is in the response items alone; events are for the eye.
//!
//! What a writer must never do, because the client drops it in silence or the API refuses every later turn: a line
//! without timestamp or ordinal, arguments that are not a JSON string, a call id over 64 characters, ids or reasoning
//! that the model's maker did not issue, an image that is not a data URL. Nothing of that can be repaired later, so a
//! written file is never rewritten either.

use super::call::{Call, Part, call_id};
use super::{Codex, state_db};
use crate::error::{Context, Result};
use crate::home::Home;
use crate::id::Hash;
use crate::model::conversation::{About, CallResult, Conversation, Step, steps};
use crate::model::ledger::{Fate, Ledger, Tally, What};
use crate::model::message::{Block, ImageKind, ImageSource, Message, Usage};
use crate::tools::{Plan, Source, Target, Tool, Writer, picture};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::fs::File;
use std::io::Write;
use std::ops::ControlFlow;

/// See the module's description.
pub(super) struct CodexWriter;

/// The client whose shape this is.
pub(super) const CLIENT_VERSION: &str = "0.169.0";

impl Writer for CodexWriter {
    fn command(&self, native_id: &str) -> Vec<String> {
        ["codex", "resume", native_id].map(str::to_owned).to_vec()
    }

    /// Version 0.169 refuses archived threads, and the bare rollouts of 2025, whose first line is no `session_meta`.
    fn accepts_own(&self, source: &dyn Source, native_path: Option<&str>) -> Result<bool> {
        if native_path.is_some_and(|path| path.starts_with("archived_sessions")) {
            return Ok(false);
        }
        let Some(main) = source.newest("main") else { return Ok(false) };
        let mut accepted = false;
        source.for_each_line(main, 0, &mut |line| {
            accepted = super::has_session_meta(line.bytes);
            Ok(ControlFlow::Break(()))
        })?;
        Ok(accepted)
    }

    /// The listing shows only files whose name and folder carry a valid local time.
    fn plan(&self, _about: &About, target: &Target) -> Result<Plan> {
        let native_id = target.native_id.clone().unwrap_or_else(|| fresh_id(target.now));
        let local = target.now.to_zoned(TimeZone::system());
        let folder = local.strftime("%Y/%m/%d").to_string();
        let name = format!("rollout-{}-{native_id}.jsonl", local.strftime("%Y-%m-%dT%H-%M-%S"));
        let file = Codex.root(&target.home).join("sessions").join(folder).join(name);
        Ok(Plan { command: self.command(&native_id), native_id, file, cwd: target.cwd.clone() })
    }

    fn write(
        &self,
        plan: &Plan,
        about: &About,
        target: &Target,
        conversation: Conversation<'_>,
        out: &mut dyn Write,
    ) -> Result<Ledger> {
        let mut rollout = Rollout::new(plan, about, target, out);
        rollout.session_meta(about, target)?;
        rollout.tally.leave_out(conversation.left_out);
        for step in steps(conversation.messages) {
            match step? {
                Step::Prompt(message) => rollout.prompt(message)?,
                Step::Reply { message, results } => rollout.reply(message, results)?,
                Step::OrphanResult(result) => rollout.tally.drop_orphan(&result),
            }
        }
        rollout.close()
    }

    fn register(&self, plan: &Plan, about: &About, target: &Target) -> Result<Option<String>> {
        Ok(state_db::register(&Codex.root(&target.home), plan, about, target.now))
    }

    fn unregister(&self, plan: &Plan, target: &Target) -> Result<()> {
        state_db::unregister(&Codex.root(&target.home), plan)
    }

    /// A running client holds a lock on an empty file named after the thread.
    fn is_open(&self, home: &Home, native_id: &str) -> bool {
        let lock = Codex.root(home).join("thread-writer-locks").join(format!("{native_id}.lock"));
        File::open(lock).is_ok_and(|file| matches!(file.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock)))
    }
}

/// A version 7 UUID, as the client mints them.
fn fresh_id(now: Timestamp) -> String {
    let since = u64::try_from(now.as_second()).unwrap_or_default();
    let nanos = u32::try_from(now.subsec_nanosecond()).unwrap_or_default();
    uuid::Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, since, nanos)).to_string()
}

/// A rollout in the making.
struct Rollout<'w> {
    out: &'w mut dyn Write,
    thread: &'w str,
    cwd: String,
    ordinal: u64,
    /// The time of the last line; times never run backwards.
    clock: Timestamp,
    turn: Option<Turn>,
    turns: u64,
    items: u64,
    /// Of the last reply: how full the context is.
    usage: Option<Usage>,
    tally: Tally,
}

/// What one prompt sets off.
struct Turn {
    id: String,
    started: Timestamp,
    last_text: Option<String>,
}

#[derive(Serialize)]
struct Line<'a> {
    timestamp: String,
    ordinal: u64,
    #[serde(rename = "type")]
    kind: &'static str,
    payload: &'a Value,
}

impl<'w> Rollout<'w> {
    fn new(plan: &'w Plan, about: &About, target: &Target, out: &'w mut dyn Write) -> Self {
        Rollout {
            out,
            thread: &plan.native_id,
            cwd: plan.cwd.to_string_lossy().into_owned(),
            ordinal: 0,
            clock: about.created_at.unwrap_or(target.now).min(target.now),
            turn: None,
            turns: 0,
            items: 0,
            usage: None,
            tally: Tally::default(),
        }
    }

    /// No system prompt, no context of a turn: the client writes its own. A foreign provider would be fatal.
    fn session_meta(&mut self, about: &About, target: &Target) -> Result<()> {
        let mut meta = json!({
            "session_id": self.thread, "id": self.thread, "timestamp": time(target.now), "cwd": self.cwd,
            "originator": "sessionfs", "cli_version": CLIENT_VERSION, "source": "cli", "thread_source": "user",
            "model_provider": "openai", "history_mode": "paginated",
        });
        if let Some(branch) = &about.git_branch {
            meta["git"] = json!({ "branch": branch });
        }
        self.line("session_meta", &meta)
    }

    fn line(&mut self, kind: &'static str, payload: &Value) -> Result<()> {
        let line = Line { timestamp: time(self.clock), ordinal: self.ordinal, kind, payload };
        self.ordinal += 1;
        serde_json::to_writer(&mut *self.out, &line).context(|| "the session can't be written")?;
        self.out.write_all(b"\n").context(|| "the session can't be written")
    }

    fn response_item(&mut self, payload: &Value) -> Result<()> {
        self.line("response_item", payload)
    }

    fn event(&mut self, payload: &Value) -> Result<()> {
        self.line("event_msg", payload)
    }

    /// A display item; outside of a turn it would not be shown.
    fn item(&mut self, item: &Value) -> Result<()> {
        let at = self.clock.as_millisecond();
        let turn = self.turn.as_ref().map(|turn| turn.id.as_str());
        let event = json!({
            "type": "item_completed", "thread_id": self.thread, "turn_id": turn, "item": item,
            "started_at_ms": at, "completed_at_ms": at,
        });
        self.event(&event)
    }

    fn item_id(&mut self) -> String {
        self.items += 1;
        format!("item-{}", self.items)
    }

    fn advance_clock(&mut self, message: &Message) {
        self.clock = message.timestamp.map_or(self.clock, |at| at.max(self.clock));
    }

    fn open_turn(&mut self) -> Result<()> {
        self.turns += 1;
        let id = derived_id(self.clock, &format!("{}/{}", self.thread, self.turns));
        let event = json!({
            "type": "task_started", "turn_id": id, "started_at": self.clock.as_second(),
            "model_context_window": null, "collaboration_mode_kind": "default",
        });
        self.turn = Some(Turn { id, started: self.clock, last_text: None });
        self.event(&event)
    }

    fn close_turn(&mut self) -> Result<()> {
        let Some(turn) = self.turn.take() else { return Ok(()) };
        let event = json!({
            "type": "task_complete", "turn_id": turn.id, "last_agent_message": turn.last_text,
            "started_at": turn.started.as_second(), "completed_at": self.clock.as_second(),
            "duration_ms": self.clock.as_millisecond() - turn.started.as_millisecond(),
        });
        self.event(&event)
    }

    /// The totals stand last, and say that they were spent elsewhere.
    fn close(mut self) -> Result<Ledger> {
        let usage = self.usage.unwrap_or_default();
        let cached = usage.cache_read_tokens.saturating_add(usage.cache_write_tokens);
        let input = usage.input_tokens.saturating_add(cached);
        let tokens = json!({
            "input_tokens": input, "cached_input_tokens": usage.cache_read_tokens,
            "output_tokens": usage.output_tokens, "reasoning_output_tokens": usage.reasoning_tokens,
            "total_tokens": input.saturating_add(usage.output_tokens),
        });
        let info = json!({ "total_token_usage": tokens, "last_token_usage": tokens, "model_context_window": null });
        self.event(&json!({ "type": "token_count", "info": info, "rate_limits": null, "imported": true }))?;
        self.close_turn()?;
        Ok(self.tally.close())
    }

    fn prompt(&mut self, message: Message) -> Result<()> {
        self.advance_clock(&message);
        if message.is_harness() {
            self.tally.drop_all(&message, "the target writes its own");
            return Ok(());
        }
        if let Some(what) = What::texts_of(&message) {
            self.count_text(what, &message.text());
        }
        let parts: Vec<Part> = message.content.into_iter().filter_map(|block| self.prompt_part(block)).collect();
        let is_empty = |part: &Part| matches!(part, Part::Text(text) if text.trim().is_empty());
        if parts.iter().all(is_empty) {
            return Ok(());
        }
        self.close_turn()?;
        self.open_turn()?;
        self.user_message(&parts)
    }

    fn count_text(&mut self, what: What, text: &str) {
        let (fate, why) = if text.trim().is_empty() { (Fate::Dropped, "empty") } else { (Fate::Kept, "") };
        self.tally.add(fate, what, why);
    }

    fn prompt_part(&mut self, block: Block) -> Option<Part> {
        match block {
            Block::Text(text) => Some(Part::Text(text)),
            Block::Image(source) => Some(self.image(&source)),
            Block::Summary { text, .. } if text.trim().is_empty() => {
                self.tally.add(Fate::Dropped, What::Summary, "empty");
                None
            }
            Block::Summary { text, .. } => {
                self.tally.add(Fate::Mapped, What::Summary, "as a user message");
                Some(Part::Text(text))
            }
            other => {
                self.tally.add(Fate::Dropped, What::of(&other), "the target has no place for it");
                None
            }
        }
    }

    /// The API takes pictures of four kinds, in data URLs only; in place of any other stands a note.
    fn image(&mut self, source: &ImageSource) -> Part {
        if source.kind != ImageKind::Base64 {
            self.tally.add(Fate::Degraded, What::Image, "not stored in the session: replaced by their address");
            return Part::Text(format!("[Image: {}]", source.data));
        }
        if let Some(media_type) = picture::media_type(&source.data) {
            self.tally.add(Fate::Kept, What::Image, "");
            return Part::Image(format!("data:{media_type};base64,{}", source.data));
        }
        self.tally.add(Fate::Degraded, What::Image, "a note in its place: not a PNG, JPEG, GIF or WebP");
        Part::Text("[An image stood here]".to_owned())
    }

    fn user_message(&mut self, parts: &[Part]) -> Result<()> {
        let content: Vec<Value> = parts.iter().map(Part::input).collect();
        let texts: Vec<&str> = parts.iter().filter_map(Part::text).collect();
        let shown: Vec<Value> = parts.iter().map(Part::shown).collect();
        let id = self.item_id();
        self.response_item(&json!({ "type": "message", "role": "user", "content": content }))?;
        self.event(&json!({
            "type": "user_message", "message": texts.join("\n"), "images": [], "local_images": [], "text_elements": [],
        }))?;
        self.item(&json!({ "type": "UserMessage", "id": id, "content": shown }))
    }

    fn reply(&mut self, message: Message, results: Vec<CallResult>) -> Result<()> {
        self.advance_clock(&message);
        if self.turn.is_none() {
            self.open_turn()?;
        }
        self.usage = message.usage.or(self.usage);
        let last_call = message.content.iter().rposition(|block| matches!(block, Block::ToolUse { .. }));
        let mut results = results.into_iter();
        for (index, block) in message.content.into_iter().enumerate() {
            match block {
                Block::Text(text) => {
                    let phase = if last_call.is_some_and(|call| index < call) { "commentary" } else { "final_answer" };
                    self.agent_message(What::AssistantMessage, text, phase)?;
                }
                Block::Thinking { text, summary, .. } => {
                    let text = if text.is_empty() { summary } else { Some(text) };
                    self.thinking(text)?;
                }
                Block::ToolUse { id, name, input } => {
                    // One for each call, in their order.
                    if let Some(result) = results.next() {
                        self.call(&id, &name, &input, result)?;
                    }
                }
                Block::Summary { text, .. } => self.agent_message(What::Summary, text, "commentary")?,
                Block::Image(_) => self.tally.add(Fate::Dropped, What::Image, "made by the model"),
                other => self.tally.add(Fate::Dropped, What::of(&other), "the target has no place for it"),
            }
        }
        Ok(())
    }

    fn agent_message(&mut self, what: What, text: String, phase: &str) -> Result<()> {
        self.count_text(what, &text);
        if text.trim().is_empty() {
            return Ok(());
        }
        let id = self.item_id();
        self.event(&json!({ "type": "agent_message", "message": text, "phase": phase }))?;
        let shown = json!([{ "type": "Text", "text": text }]);
        self.item(&json!({ "type": "AgentMessage", "id": id, "content": shown, "phase": phase }))?;
        let content = json!([{ "type": "output_text", "text": text }]);
        self.response_item(&json!({ "type": "message", "role": "assistant", "content": content, "phase": phase }))?;
        if let Some(turn) = &mut self.turn {
            turn.last_text = Some(text);
        }
        Ok(())
    }

    /// The API refuses reasoning that it did not encrypt itself, for this account. So it is for the eye only.
    fn thinking(&mut self, text: Option<String>) -> Result<()> {
        let Some(text) = text.filter(|text| !text.trim().is_empty()) else {
            self.tally.add(Fate::Dropped, What::Thinking, "only its maker can read it");
            return Ok(());
        };
        self.tally.add(Fate::Degraded, What::Thinking, "shown but not sent to the model");
        let id = self.item_id();
        self.event(&json!({ "type": "agent_reasoning", "text": text }))?;
        self.item(&json!({ "type": "Reasoning", "id": id, "summary_text": [text], "raw_content": [] }))
    }

    /// The call, how it is shown, and its result.
    fn call(&mut self, id: &str, name: &str, input: &RawValue, result: CallResult) -> Result<()> {
        let call_id = call_id(id);
        let call = Call::of(name, input);
        let (fate, detail) = call.fate();
        self.tally.add(fate, What::Call, detail);
        if result.synthetic {
            self.tally.note(Fate::Degraded, "missing tool results", "a note in its place");
        } else {
            self.tally.add(Fate::Kept, What::Result, "");
        }
        let images: Vec<Part> = result.images.iter().map(|source| self.image(source)).collect();
        let (item, output) = call.items(&call_id);
        self.response_item(&item)?;
        let shown = call.shown(&call_id, &self.cwd, &result);
        self.item(&shown)?;
        let content = if images.is_empty() {
            Value::String(result.content)
        } else {
            let text = Some(Part::Text(result.content)).filter(|p| p.text() != Some(""));
            text.iter().chain(&images).map(Part::input).collect()
        };
        self.response_item(&json!({ "type": output, "call_id": call_id, "output": content }))
    }
}

/// A version 7 UUID that is the same at every writing.
fn derived_id(at: Timestamp, name: &str) -> String {
    let mut random = [0; 10];
    random.copy_from_slice(&Hash::of(name.as_bytes()).0[..10]);
    let millis = u64::try_from(at.as_millisecond()).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().to_string()
}

/// RFC 3339 in UTC with milliseconds.
fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}
