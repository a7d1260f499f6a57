//! What Claude Code does not take in its own files. Seen with 1.0.128 to 2.1.330.

use crate::error::Result;
use crate::id::Hash;
use crate::tools::Source;
use crate::tools::health::{Ailment, Ailments, Effect, is_plain_word};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

/// Looks at the newest generation of the main file.
pub(super) fn ailments(source: &dyn Source) -> Result<Vec<Ailment>> {
    let mut look = Look::default();
    if let Some(main) = source.newest("main") {
        source.for_each_line(main, 0, &mut |line| {
            if let Ok(record) = serde_json::from_slice(line.bytes) {
                look.record(&record, line.number);
            }
            Ok(ControlFlow::Continue(()))
        })?;
    }
    Ok(look.close())
}

#[derive(Default)]
struct Look {
    found: Ailments,
    /// Records by uuid: the hash of what they say.
    records: HashMap<String, Hash>,
    /// Calls by id.
    calls: HashSet<String>,
    /// Results with their lines: a call may stand behind its result in the file.
    results: Vec<(String, u64)>,
    begun: bool,
}

impl Look {
    fn record(&mut self, record: &Value, line: u64) {
        let (Some(kind @ ("user" | "assistant")), Some(uuid)) = (record["type"].as_str(), record["uuid"].as_str())
        else {
            return;
        };
        if record["isSidechain"] == true {
            return;
        }
        let message = &record["message"];
        let said = Hash::of(message.to_string().as_bytes());
        if let Some(other) = self.records.insert(uuid.to_owned(), said) {
            if other != said {
                self.found.add(Effect::Lost, "records with the uuid of another one", line);
            }
            return;
        }
        if !self.begun && kind == "assistant" {
            self.found.add(Effect::Refused, "a reply before the first prompt", line);
        }
        self.begun = true;
        match &message["content"] {
            Value::String(text) => self.text(kind, text, line),
            Value::Array(blocks) => blocks.iter().for_each(|block| self.block(kind, block, line)),
            _ => {}
        }
    }

    fn text(&mut self, kind: &str, text: &str, line: u64) {
        if kind == "user" && text.trim().is_empty() {
            self.found.add(Effect::Refused, "blank prompts", line);
        }
    }

    fn block(&mut self, kind: &str, block: &Value, line: u64) {
        match block["type"].as_str() {
            Some("text") => self.text(kind, block["text"].as_str().unwrap_or_default(), line),
            // 2.1.197 and newer ask once more without them; older ones can't go on at all.
            Some("thinking") if block["signature"].as_str().is_none_or(str::is_empty) => {
                self.found.add(Effect::Refused, "thinking without a signature", line);
            }
            Some("redacted_thinking") if block["data"].as_str().is_none_or(str::is_empty) => {
                self.found.add(Effect::Refused, "redacted thinking without its data", line);
            }
            Some("tool_use") => self.call(block, line),
            Some("tool_result") => {
                let id = block["tool_use_id"].as_str().unwrap_or_default();
                self.results.push((id.to_owned(), line));
            }
            _ => {}
        }
    }

    fn call(&mut self, block: &Value, line: u64) {
        let (id, name) = (block["id"].as_str().unwrap_or_default(), block["name"].as_str().unwrap_or_default());
        if !block["input"].is_object() {
            self.found.add(Effect::Refused, "tool calls whose input is no object", line);
        }
        if !is_plain_word(id, usize::MAX) || !is_plain_word(name, 128) {
            self.found.add(Effect::Refused, "tool calls with an id or a name that the API does not take", line);
        }
        if !self.calls.insert(id.to_owned()) {
            self.found.add(Effect::Lost, "tool calls with the id of another one", line);
        }
    }

    fn close(mut self) -> Vec<Ailment> {
        for (_, line) in self.results.iter().filter(|(id, _)| !self.calls.contains(id)) {
            self.found.add(Effect::Lost, "tool results without their call", *line);
        }
        self.found.close()
    }
}
