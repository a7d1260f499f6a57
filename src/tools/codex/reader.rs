//! The message log of one rollout. Messages come from response items, which are what the model saw; the events beside
//! them repeat the same for display and are skipped, but for what ran inside a script of code mode: that has no
//! response item of its own.

use super::items::{self, Context};
use super::record::{self, Record, Tokens};
use crate::model::message::{Block, Message, Role, Usage};
use crate::model::observation::Observation;
use crate::model::usage::UsageRecord;
use crate::tools::{Line, Reader, Reading};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What has to be remembered from line to line.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct State {
    /// The thread's own id, from its first line.
    thread: Option<String>,
    /// Whose tokens are counted: the thread, or in a copied history the thread that it was copied from.
    counting: Option<String>,
    /// A file of the oldest kind: no folder in its first line.
    bare: bool,
    turn: Option<String>,
    model: Option<String>,
    /// The last running total, and how many times it grew.
    tokens: Tokens,
    growths: u64,
    /// True once the file named each reply's tokens: from then on the running totals only repeat them.
    has_usage_records: bool,
    /// The script of code mode that is running.
    script: Option<String>,
}

/// See the module's description.
pub(super) struct RolloutReader {
    state: State,
    /// The sub-agent's thread id where the stream is a sub-agent's.
    agent: Option<String>,
}

impl RolloutReader {
    pub(super) fn new(stream: &str, state: Option<&str>) -> Self {
        let agent = stream.strip_prefix("subagents/").map(str::to_owned);
        let state = state.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
        RolloutReader { state, agent }
    }
}

impl Reader for RolloutReader {
    fn line(&mut self, line: Line<'_>, out: &mut Reading) {
        let read = record::parse(line.bytes).and_then(|record| match record {
            Record::Enveloped { timestamp, kind, payload } => self.record(line, timestamp, &kind, payload, out),
            Record::BareMeta(meta) => {
                self.state.bare = true;
                self.session_meta(meta, out)
            }
            Record::BareItem(item) => self.response_item(line, None, item, out),
            Record::Nothing => Ok(()),
        });
        if let Err(reason) = read {
            out.notes.push(format!("{}:{}: {reason}", line.stream, line.number + 1));
        }
    }

    fn state(&self) -> String {
        serde_json::to_string(&self.state).unwrap_or_default()
    }
}

impl RolloutReader {
    fn record(
        &mut self,
        line: Line<'_>,
        timestamp: Option<Timestamp>,
        kind: &str,
        payload: &RawValue,
        out: &mut Reading,
    ) -> Result<(), String> {
        let activity = match kind {
            "response_item" => {
                self.response_item(line, timestamp, payload, out)?;
                true
            }
            "event_msg" => self.event(line, timestamp, payload, out)?,
            "compacted" => {
                self.compacted(line, timestamp, payload, out)?;
                true
            }
            "session_meta" => {
                self.session_meta(payload, out)?;
                true
            }
            "turn_context" => {
                self.turn_context(payload, out)?;
                false
            }
            "token_usage_record" => {
                self.usage_record(timestamp, payload, out)?;
                false
            }
            // world_state and whatever comes next.
            _ => false,
        };
        if activity && let Some(timestamp) = timestamp {
            out.observations.push(Observation::Activity(timestamp));
        }
        Ok(())
    }

    fn context<'a>(&'a self, line: Line<'a>, timestamp: Option<Timestamp>) -> Context<'a> {
        Context {
            stream: line.stream,
            line: line.number,
            item: 0,
            timestamp,
            turn: self.state.turn.as_deref(),
            model: self.state.model.as_deref(),
            agent: self.agent.as_deref(),
            summary: None,
        }
    }

    fn response_item(
        &mut self,
        line: Line<'_>,
        timestamp: Option<Timestamp>,
        payload: &RawValue,
        out: &mut Reading,
    ) -> Result<(), String> {
        let before = out.messages.len();
        items::read(payload, &self.context(line, timestamp), &mut out.messages)?;
        for message in &out.messages[before..] {
            self.state.script = running_script(message, self.state.script.take());
            if self.state.bare && message.is_meta && self.agent.is_none() {
                out.observations.extend(folder_in(message).map(Observation::Project));
            }
        }
        Ok(())
    }

    fn compacted(
        &mut self,
        line: Line<'_>,
        timestamp: Option<Timestamp>,
        payload: &RawValue,
        out: &mut Reading,
    ) -> Result<(), String> {
        let compacted: record::Compacted<'_> = record::object(payload.get())?;
        let mut message = self.context(line, timestamp).message(None, Role::System);
        let text = record::string(compacted.message).unwrap_or_default().into_owned();
        message.content.push(Block::Summary { text, through: None });
        out.messages.push(message);
        Ok(())
    }

    /// The first one is the thread's own; a second one stands before a history that was copied from another thread.
    fn session_meta(&mut self, payload: &RawValue, out: &mut Reading) -> Result<(), String> {
        let meta: record::Meta<'_> = record::object(payload.get())?;
        let id = record::owned(meta.id);
        let is_first = self.state.thread.is_none();
        if self.state.counting != id {
            self.state.counting.clone_from(&id);
            self.state.growths = 0;
            self.state.tokens = Tokens::default();
        }
        if is_first {
            self.state.thread.clone_from(&id);
        }
        if self.agent.is_some() {
            return Ok(());
        }
        if is_first {
            observe_meta(&meta, self.state.bare, &mut out.observations);
        } else if id != self.state.thread {
            out.observations.extend(id.map(Observation::ForkedFrom));
        }
        Ok(())
    }

    fn turn_context(&mut self, payload: &RawValue, out: &mut Reading) -> Result<(), String> {
        let turn: record::Turn<'_> = record::object(payload.get())?;
        if let Some(id) = record::owned(turn.turn_id) {
            self.state.turn = Some(id);
        }
        if let Some(model) = record::owned(turn.model)
            && self.state.model.as_ref() != Some(&model)
        {
            self.state.model = Some(model.clone());
            if self.agent.is_none() {
                out.observations.push(Observation::Model(model));
            }
        }
        Ok(())
    }

    /// True where the event tells that something happened.
    fn event(
        &mut self,
        line: Line<'_>,
        timestamp: Option<Timestamp>,
        payload: &RawValue,
        out: &mut Reading,
    ) -> Result<bool, String> {
        match &*record::kind_of(payload) {
            "task_started" | "turn_started" => {
                let turn: record::Turn<'_> = record::object(payload.get())?;
                self.state.turn = record::owned(turn.turn_id).or(self.state.turn.take());
                Ok(true)
            }
            "task_complete" | "turn_complete" | "turn_aborted" => Ok(true),
            "token_count" => {
                self.token_count(timestamp, payload, out)?;
                Ok(false)
            }
            "item_completed" if payload.get().contains(r#""id":"exec-"#) => {
                let completed: record::ItemCompleted<'_> = record::object(payload.get())?;
                if let Some(item) = record::fields(completed.item) {
                    let at = self.context(line, timestamp);
                    items::nested(&item, &at, self.state.script.as_deref(), &mut out.messages);
                }
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn usage_record(
        &mut self,
        timestamp: Option<Timestamp>,
        payload: &RawValue,
        out: &mut Reading,
    ) -> Result<(), String> {
        let reply: record::TokenUsageRecord<'_> = record::object(payload.get())?;
        let (Some(key), Some(tokens)) = (record::owned(reply.response_id), record::fields::<Tokens>(reply.usage))
        else {
            return Err("a token_usage_record without response_id or usage".to_owned());
        };
        self.state.has_usage_records = true;
        let model = self.state.model.clone();
        out.usage.push(UsageRecord { key, timestamp, model, usage: usage(tokens) });
        Ok(())
    }

    /// The events repeat, so only what the running total gained counts. A smaller total is a new count from zero: old
    /// clients start one at every resume.
    fn token_count(
        &mut self,
        timestamp: Option<Timestamp>,
        payload: &RawValue,
        out: &mut Reading,
    ) -> Result<(), String> {
        let event: record::TokenCount<'_> = record::object(payload.get())?;
        let info: Option<record::TokenInfo<'_>> = record::fields(event.info);
        let Some(total) = info.and_then(|info| record::fields::<Tokens>(info.total_token_usage)) else {
            return Ok(());
        };
        let last = std::mem::replace(&mut self.state.tokens, total);
        if event.imported || self.state.has_usage_records || total == last {
            return Ok(());
        }
        self.state.growths += 1;
        let gained = if total.total < last.total { total } else { difference(total, last) };
        let thread = self.state.counting.as_deref().unwrap_or("unknown");
        out.usage.push(UsageRecord {
            key: format!("{thread}:{}:{}", self.state.growths, total.total),
            timestamp,
            model: self.state.model.clone(),
            usage: usage(gained),
        });
        Ok(())
    }
}

fn observe_meta(meta: &record::Meta<'_>, bare: bool, out: &mut Vec<Observation>) {
    let interface = match record::owned(meta.source) {
        Some(source) => Some(source),
        // The client's own reading of a missing source.
        None if meta.source.is_none() && !bare => Some("vscode".to_owned()),
        None => None,
    };
    let git: Option<record::Git<'_>> = record::fields(meta.git);
    let git = git.map(|git| {
        [
            record::owned(git.branch).map(Observation::GitBranch),
            record::owned(git.commit_hash).map(Observation::GitCommit),
            record::owned(git.repository_url).map(Observation::GitRemote),
        ]
    });
    let started = record::string(meta.timestamp).and_then(|t| t.parse().ok());
    out.extend(started.map(Observation::Activity));
    out.extend(record::owned(meta.cwd).map(Observation::Project));
    out.extend(record::owned(meta.cli_version).map(Observation::ToolVersion));
    out.extend(interface.map(Observation::Interface));
    out.extend(git.into_iter().flatten().flatten());
    out.extend(record::owned(meta.forked_from_id).map(Observation::ForkedFrom));
}

fn difference(new: Tokens, old: Tokens) -> Tokens {
    Tokens {
        input: new.input.saturating_sub(old.input),
        cached: new.cached.saturating_sub(old.cached),
        cache_write: new.cache_write.saturating_sub(old.cache_write),
        output: new.output.saturating_sub(old.output),
        reasoning: new.reasoning.saturating_sub(old.reasoning),
        total: new.total.saturating_sub(old.total),
    }
}

fn usage(tokens: Tokens) -> Usage {
    Usage {
        input_tokens: tokens.input.saturating_sub(tokens.cached.saturating_add(tokens.cache_write)),
        output_tokens: tokens.output,
        cache_read_tokens: tokens.cached,
        cache_write_tokens: tokens.cache_write,
        reasoning_tokens: tokens.reasoning,
    }
}

/// Which script of code mode runs after `message`.
fn running_script(message: &Message, before: Option<String>) -> Option<String> {
    match message.content.first() {
        Some(Block::ToolUse { id, name, .. }) if name == "exec" => Some(id.clone()),
        Some(Block::ToolResult { id, .. }) if before.as_ref() == Some(id) => None,
        _ => before,
    }
}

/// The folder that the harness told the model.
fn folder_in(message: &Message) -> Option<String> {
    let text = message.text();
    let tagged = text.split_once("<cwd>").and_then(|(_, rest)| rest.split_once("</cwd>")).map(|(cwd, _)| cwd);
    let plain = || text.split_once("Current working directory: ").and_then(|(_, rest)| rest.lines().next());
    tagged.or_else(plain).map(str::trim).filter(|cwd| cwd.starts_with('/')).map(str::to_owned)
}
