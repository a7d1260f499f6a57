//! Lines to messages. The log keeps every message that was ever there: a rewind, a compression or a rollback changes the
//! live list only, which is [`super::conversation`]'s business.

use super::record::{self, Message, Metadata, Record};
use super::speech::{Speech, usage};
use crate::model::observation::{Observation, TitleRank};
use crate::model::usage::UsageRecord;
use crate::tools::lenient::text_of;
use crate::tools::{Line, Reader, Reading};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Reads one stream of a session.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct GeminiReader {
    /// The sub-agent whose file it is.
    agent: Option<String>,
    /// As the file says; tokens are counted once for each session and message.
    session: String,
    speech: Speech,
    /// The model that was observed last.
    model: String,
}

impl GeminiReader {
    pub(super) fn new(stream: &str, state: Option<&str>) -> Self {
        let mut reader: GeminiReader = state.and_then(|state| serde_json::from_str(state).ok()).unwrap_or_default();
        reader.agent = stream.strip_prefix("subagents/").map(str::to_owned);
        reader
    }

    fn metadata(&mut self, metadata: &Metadata<'_>, place: &str, out: &mut Reading) {
        if let Some(session) = metadata.session_id() {
            self.session = session;
        }
        out.observations.extend(metadata.times().map(Observation::Activity));
        if self.agent.is_none() && !metadata.is_subagent() {
            let title = metadata.summary().map(|title| Observation::Title(TitleRank::Generated, title));
            out.observations.extend(title);
        }
        self.list(&metadata.messages().unwrap_or_default(), place, out);
    }

    /// The whole list, as the client rewrites it: what is not new in it was told.
    fn list(&mut self, messages: &[&RawValue], place: &str, out: &mut Reading) {
        for (n, message) in messages.iter().enumerate() {
            if let Some(message) = Message::of(message) {
                self.message(&message, &format!("{place}.{n}"), out);
            }
        }
    }

    fn message(&mut self, message: &Message<'_>, place: &str, out: &mut Reading) {
        let id = message.id();
        let is_known = id.as_ref().is_some_and(|id| self.speech.knows(id));
        let first = out.messages.len();
        self.speech.add(message, place, &mut out.messages);
        for made in &mut out.messages[first..] {
            made.is_sidechain = self.agent.is_some();
            made.agent_id.clone_from(&self.agent);
        }
        if !is_known {
            self.observe(message, id, out);
        }
    }

    fn observe(&mut self, message: &Message<'_>, id: Option<String>, out: &mut Reading) {
        out.observations.extend(message.timestamp().map(Observation::Activity));
        let model = message.model();
        if let Some(model) = model.clone().filter(|model| self.agent.is_none() && *model != self.model) {
            self.model.clone_from(&model);
            out.observations.push(Observation::Model(model));
        }
        if let (Some(tokens), Some(id)) = (message.tokens(), id) {
            let key = format!("gemini:{}:{id}", self.session);
            out.usage.push(UsageRecord { key, timestamp: message.timestamp(), model, usage: usage(tokens) });
        }
    }
}

impl Reader for GeminiReader {
    fn line(&mut self, line: Line<'_>, out: &mut Reading) {
        let text = text_of(line.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line.bytes));
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        let place = format!("{}:{}", line.stream, line.number);
        match record::parse(text) {
            Ok(Record::Message(message)) => self.message(&message, &place, out),
            Ok(Record::Set(metadata) | Record::Start(metadata)) => self.metadata(&metadata, &place, out),
            Ok(Record::Checkpoint(history)) => self.speech.add_checkpoint(&history, &place, &mut out.messages),
            Ok(Record::Rewind(_) | Record::Unknown) => {}
            Err(reason) => out.notes.push(format!("{reason} ({} bytes)", line.bytes.len())),
        }
    }

    fn state(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}
