//! A tool call by what it does: a command as it stood on the terminal, an edit as a diff, a list of tasks as a list. What
//! has none of these shapes is shown field by field.

use super::diff;
use super::escape::{escaped, plain};
use super::result::block;
use crate::model::action::{self, Action};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The call `name(input)`: its line, and what is below it.
pub(super) fn call(name: &str, input: &RawValue) -> (String, String) {
    let mut fields: Map<String, Value> = serde_json::from_str(input.get()).unwrap_or_default();
    let title = format!("<b>{}</b>", escaped(name));
    if let Action::Shell { command, directory, description, .. } = action::of(name, input).action {
        let place = directory.map(|place| format!(" <code>{}</code>", escaped(&place))).unwrap_or_default();
        let about = description.map(|text| format!(" <small>{}</small>", escaped(&text))).unwrap_or_default();
        return (title + &place + &about, block(&plain(&format!("$ {command}")), "terminal"));
    }
    let main = first_key(&fields, PATHS, |_| true).or_else(|| first_key(&fields, MAIN, |text| is_short(text, 120)));
    let main = main.and_then(|key| fields.remove(key));
    let main = main.as_ref().and_then(Value::as_str).map(|text| format!(" <code>{}</code>", escaped(text)));
    // What says nothing.
    fields.retain(|_, value| !matches!(value, Value::Null | Value::Bool(false)));
    let body = body(input, &mut fields);
    let (small, large): (Vec<_>, Vec<_>) =
        fields.iter().map(|(key, value)| (key, shown(value))).partition(|(_, text)| is_short(text, 40));
    let small: Vec<String> = small.iter().map(|(key, text)| format!("{} {}", escaped(key), escaped(text))).collect();
    let small = if small.is_empty() { String::new() } else { format!(" <small>{}</small>", small.join(" · ")) };
    (title + &main.unwrap_or_default() + &small, body + &list(&large))
}

/// The names under which tools' inputs hold a file.
const PATHS: &[&str] = &["file_path", "path", "filePath", "notebook_path", "absolute_path", "filename"];
/// And what else a call is about, where it fits on its line.
const MAIN: &[&str] = &["pattern", "query", "url", "skill", "description", "subject", "command", "name", "prompt"];
const PATCHES: &[&str] = &["patch", "input", "diff", "patchText"];
const TASKS: &[&str] = &["todos", "plan"];

/// What has a form of its own; takes out of `fields` what it shows.
fn body(input: &RawValue, fields: &mut Map<String, Value>) -> String {
    if let Some((key, tasks)) = TASKS.iter().find_map(|key| Some((*key, tasks(fields.get(*key)?)?))) {
        fields.remove(key);
        return tasks;
    }
    let is_patch = |text: &str| text.contains("*** Begin Patch");
    if let Some(patch) = first_key(fields, PATCHES, is_patch).and_then(|key| fields.remove(key)) {
        return diff::patch(patch.as_str().unwrap_or_default());
    }
    let mut out = String::new();
    if let Some(change) = change(fields) {
        out.push_str(&change);
        fields.retain(|key, _| !OLD.contains(&key.as_str()) && !NEW.contains(&key.as_str()));
    }
    if let Some(Value::Array(edits)) = fields.get("edits") {
        let changes: Option<Vec<String>> = edits.iter().map(|edit| change(edit.as_object()?)).collect();
        if let Some(changes) = changes {
            out.push_str(&changes.concat());
            fields.remove("edits");
        }
    }
    if !input.get().starts_with('{') {
        out.push_str(&block(&plain(input.get()), ""));
    }
    out
}

fn first_key<'k>(fields: &Map<String, Value>, keys: &[&'k str], fits: impl Fn(&str) -> bool) -> Option<&'k str> {
    keys.iter().copied().find(|key| fields.get(*key).and_then(Value::as_str).is_some_and(&fits))
}

fn is_short(text: &str, most: usize) -> bool {
    !text.trim().is_empty() && !text.contains(['\n', '\r']) && text.chars().nth(most).is_none()
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(_) | Value::Array(_) => serde_json::to_string_pretty(value).unwrap_or_default(),
        other => other.to_string(),
    }
}

fn first_text<'f>(fields: &'f Map<String, Value>, keys: &[&str]) -> Option<&'f str> {
    keys.iter().find_map(|key| fields.get(*key)?.as_str())
}

const OLD: &[&str] = &["old_string", "oldString", "old_str", "old_text"];
const NEW: &[&str] = &["new_string", "newString", "new_str", "new_text"];

fn change(fields: &Map<String, Value>) -> Option<String> {
    Some(diff::changes(first_text(fields, OLD)?, first_text(fields, NEW)?))
}

/// A list of objects that say what is to be done, and how far it is.
fn tasks(value: &Value) -> Option<String> {
    let items: Option<Vec<String>> = value.as_array()?.iter().map(task).collect();
    Some(format!("<ul class=\"tasks\">\n{}</ul>\n", items?.concat()))
}

fn task(value: &Value) -> Option<String> {
    let task = value.as_object()?;
    let text = first_text(task, &["content", "step", "description", "subject", "text"])?;
    let mark = match task.get("status").and_then(Value::as_str).unwrap_or_default() {
        "completed" | "done" => "☑",
        "in_progress" => "▶",
        "cancelled" => "☒",
        _ => "☐",
    };
    Some(format!("<li>{mark} {}</li>\n", escaped(text)))
}

fn list(fields: &[(&String, String)]) -> String {
    if fields.is_empty() {
        return String::new();
    }
    let items = fields
        .iter()
        .map(|(key, text)| format!("<dt>{}</dt><dd>{}</dd>\n", escaped(key), block(&plain(text), "").trim_end()));
    format!("<dl>\n{}</dl>\n", items.collect::<Vec<_>>().concat())
}
