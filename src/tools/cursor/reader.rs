//! Lines to messages. Every line stands for itself; a newer version of a row says which older line it replaces.

use super::bubble::{Beside, Bubble};
use super::composer::Composer;
use super::graph;
use super::row::{BLOB, BUBBLE, CHAT, COMPOSER, HEADER, Row};
use crate::model::message::Message;
use crate::model::observation::{Observation, TitleRank};
use crate::model::usage::UsageRecord;
use crate::tools::{Line, Reader, Reading, base_name};

/// Reads one stream of a session.
pub(super) struct CursorReader {
    /// The sub-agent whose stream it is.
    agent: Option<String>,
}

impl CursorReader {
    pub(super) fn new(stream: &str) -> Self {
        CursorReader { agent: base_name(stream).strip_prefix("subagents/").map(str::to_owned) }
    }

    fn row(&self, row: &Row<'_>, out: &mut Reading) -> Result<(), String> {
        if let Some(bytes) = row.omitted {
            return Err(format!("a row of {bytes} bytes is too large to be archived"));
        }
        // What was deleted says nothing, and what the conversation does not mention is kept but not told.
        let Some(text) = row.text().filter(|text| !text.is_empty() && !row.orphan) else { return Ok(()) };
        if let Some(id) = bubble_of(&row.key) {
            let bubble = Bubble::parse(&text).ok_or("a bubble that is no JSON object")?;
            return self.bubble(&bubble, id, &row.key, beside(row), out);
        }
        if let Some(name) = row.key.strip_prefix(BLOB) {
            out.messages.extend(graph::message(&text, name));
            return Ok(());
        }
        let composer = || Composer::parse(&text).ok_or("a session's own row that is no JSON object");
        if row.key.starts_with(HEADER) {
            self.observe(composer()?.observations(TitleRank::Chosen), out);
        } else if let Some(id) = row.key.strip_prefix(COMPOSER).or_else(|| row.key.strip_prefix(CHAT)) {
            let composer = composer()?;
            for (n, inline) in composer.inline().iter().enumerate() {
                let Some(bubble) = Bubble::of(inline.bubble) else { continue };
                let own = inline.id.clone().unwrap_or_else(|| format!("{id}.{n}"));
                let beside = Beside { call: inline.call.as_deref(), ..Beside::default() };
                self.bubble(&bubble, &own, &row.key, beside, out)?;
            }
            self.observe(composer.observations(TitleRank::Generated), out);
        }
        Ok(())
    }

    fn bubble(
        &self,
        bubble: &Bubble<'_>,
        id: &str,
        key: &str,
        beside: Beside<'_>,
        out: &mut Reading,
    ) -> Result<(), String> {
        out.messages.extend(bubble.messages(id, beside)?);
        let (timestamp, model) = (bubble.timestamp(), bubble.model());
        if let Some(usage) = bubble.usage() {
            let key = format!("cursor:{key}:{id}");
            out.usage.push(UsageRecord { key, timestamp, model: model.clone(), usage });
        }
        let model = model.map(Observation::Model);
        self.observe(timestamp.map(Observation::Activity).into_iter().chain(model).collect(), out);
        Ok(())
    }

    /// What a sub-agent is called, and with which model it works, is not the session's.
    fn observe(&self, observations: Vec<Observation>, out: &mut Reading) {
        let is_main = self.agent.is_none();
        let concerns = |what: &Observation| is_main || matches!(what, Observation::Activity(_));
        out.observations.extend(observations.into_iter().filter(concerns));
    }
}

impl Reader for CursorReader {
    fn line(&mut self, line: Line<'_>, out: &mut Reading) {
        if line.bytes.trim_ascii().is_empty() {
            return;
        }
        let row = match Row::parse(line.bytes) {
            Ok(row) => row,
            Err(error) => return out.notes.push(format!("no row: {error}")),
        };
        let first = out.messages.len();
        if let Err(reason) = self.row(&row, out) {
            out.notes.push(reason);
        }
        out.replaces = row.was.filter(|was| *was < line.offset);
        for message in &mut out.messages[first..] {
            finish(message, self.agent.as_deref());
        }
    }

    fn state(&self) -> String {
        String::new()
    }
}

/// The id of the bubble in the row under `key`.
pub(super) fn bubble_of(key: &str) -> Option<&str> {
    Some(key.strip_prefix(BUBBLE)?.rsplit_once(':')?.1)
}

/// What a line says of a bubble beside the bubble itself.
pub(super) fn beside<'a>(row: &Row<'a>) -> Beside<'a> {
    Beside { args: row.args, output: row.output, ..Beside::default() }
}

/// Adds what a message has from its stream, and the maker of its model.
pub(super) fn finish(message: &mut Message, agent: Option<&str>) {
    message.is_sidechain = agent.is_some();
    message.agent_id = agent.map(str::to_owned);
    message.provider = message.model.as_deref().and_then(|model| match model {
        _ if model.starts_with("claude") => Some("anthropic"),
        _ if model.starts_with("gpt-") || model.starts_with("o3") || model.starts_with("o4") => Some("openai"),
        _ if model.starts_with("gemini") => Some("google"),
        _ => None,
    });
}
