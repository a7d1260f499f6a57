//! What Codex does not take in its own files. Seen with 0.50.0 to 0.169.0.

use super::record::{self, Record};
use crate::error::Result;
use crate::tools::health::{Ailment, Ailments, BYTE_ORDER_MARK, Effect, is_plain_word};
use crate::tools::{Source, picture};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

/// Looks at the newest generation of the main file.
pub(super) fn ailments(source: &dyn Source) -> Result<Vec<Ailment>> {
    let mut look = Look::default();
    if let Some(main) = source.newest("main") {
        source.for_each_line(main, 0, &mut |line| {
            let (mark, bytes) = match line.bytes.strip_prefix(BYTE_ORDER_MARK) {
                Some(rest) => (true, rest),
                None => (false, line.bytes),
            };
            if mark && line.number == 0 {
                look.found.add(Effect::Refused, "a byte order mark before the first line", 0);
            }
            // Of the oldest form nothing is taken: its writer's `accepts_own` knows.
            if line.number == 0 && matches!(record::parse(bytes), Ok(Record::BareMeta(_))) {
                return Ok(ControlFlow::Break(()));
            }
            if let Ok(record) = serde_json::from_slice(bytes) {
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
    /// Every line has to be numbered.
    paginated: bool,
    /// The history begins in another file: its calls are not here.
    continues: bool,
    last: Option<(bool, u64)>,
    calls: HashSet<String>,
    /// Calls that wait for their output: an id that was answered may be used again.
    open: HashSet<String>,
    /// Outputs that came before a call of their id, by line.
    early: HashMap<String, u64>,
}

impl Look {
    fn record(&mut self, record: &Value, line: u64) {
        if line == 0 {
            self.first(record);
        }
        self.last = Some((record["ordinal"].is_u64(), line));
        if record["timestamp"].as_str().is_none() {
            self.found.add(Effect::Lost, "lines without a timestamp", line);
            return;
        }
        if record["type"] == "response_item" {
            self.item(&record["payload"], line);
        }
    }

    fn first(&mut self, record: &Value) {
        let meta = &record["payload"];
        if record["type"] != "session_meta" {
            self.found.add(Effect::Refused, "a first line that is no session_meta", 0);
            return;
        }
        let needed = ["id", "timestamp", "cwd", "originator", "cli_version"];
        for _ in needed.iter().filter(|field| !meta[**field].is_string()) {
            self.found.add(Effect::Refused, "fields missing from the session_meta", 0);
        }
        match meta["history_mode"].as_str() {
            None | Some("legacy") => {}
            Some("paginated") => self.paginated = true,
            Some(_) => self.found.add(Effect::Refused, "a history_mode that no client knows", 0),
        }
        self.continues = !meta["history_base"].is_null();
    }

    fn item(&mut self, item: &Value, line: u64) {
        match item["type"].as_str() {
            Some("message") => {
                self.pictures(&item["content"], line);
                if !item["content"].is_array() {
                    self.found.add(Effect::Lost, "messages whose content is no list", line);
                }
                if item["role"] == "system" {
                    self.found.add(Effect::Lost, "system messages", line);
                }
            }
            Some(kind @ ("function_call" | "custom_tool_call")) => self.call(kind, item, line),
            Some("function_call_output" | "custom_tool_call_output") => {
                self.pictures(&item["output"], line);
                let id = item["call_id"].as_str().unwrap_or_default();
                self.open.remove(id);
                if !self.continues && !self.calls.contains(id) {
                    self.early.entry(id.to_owned()).or_insert(line);
                }
            }
            // These are answered under their ids, too.
            Some(_) => self.calls.extend(item["call_id"].as_str().map(str::to_owned)),
            None => {}
        }
    }

    /// It sends those of four kinds, and notes in place of others; addresses of any other kind the API refuses.
    fn pictures(&mut self, parts: &Value, line: u64) {
        for url in parts.as_array().into_iter().flatten().filter_map(|part| part["image_url"].as_str()) {
            let data = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
            match data {
                None if url.starts_with("data:") => {}
                None => self.found.add(Effect::Refused, "pictures that are not in the session", line),
                Some((_, data)) if picture::media_type(data).is_none() => {
                    self.found.add(Effect::Lost, "pictures that are no PNG, JPEG, GIF or WebP", line);
                }
                Some(_) => {}
            }
        }
    }

    fn call(&mut self, kind: &str, item: &Value, line: u64) {
        let (id, name) = (item["call_id"].as_str().unwrap_or_default(), item["name"].as_str().unwrap_or_default());
        if kind == "function_call" && !item["arguments"].is_string() {
            self.found.add(Effect::Lost, "tool calls whose arguments are no text", line);
        }
        if id.is_empty() || id.len() > 64 || !is_plain_word(name, 64) {
            self.found.add(Effect::Refused, "tool calls with an id or a name that the API does not take", line);
        }
        if let Some(line) = self.early.remove(id) {
            self.found.add(Effect::Refused, "tool outputs before their call", line);
        }
        self.calls.insert(id.to_owned());
        if !self.open.insert(id.to_owned()) {
            self.found.add(Effect::Refused, "tool calls with the id of another one", line);
        }
    }

    fn close(mut self) -> Vec<Ailment> {
        for line in self.early.values() {
            self.found.add(Effect::Lost, "tool outputs without their call", *line);
        }
        if let Some((false, line)) = self.last.filter(|_| self.paginated) {
            self.found.add(Effect::Refused, "a last line without its ordinal", line);
        }
        self.found.close()
    }
}
