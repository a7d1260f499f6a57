//! A tool call by what it does: a command as it stood on the terminal, an edit as a diff, a list of tasks as a list. What
//! has none of these shapes is shown field by field.

use super::diff;
use super::escape::escaped;
use crate::model::action::{self, Action};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The call `name(input)`: its heading and what is below it.
pub(super) fn call(name: &str, input: &RawValue) -> (String, String) {
    let fields: Map<String, Value> = serde_json::from_str(input.get()).unwrap_or_default();
    let path = first_text(&fields, PATHS);
    let detail = path.map(|path| format!(" <code>{}</code>", escaped(path))).unwrap_or_default();
    let heading = format!("<b>{}</b>{detail}", escaped(name));
    (heading, body(name, input, fields))
}

/// The names under which tools' inputs hold a file.
const PATHS: &[&str] = &["file_path", "path", "filePath", "notebook_path", "absolute_path", "filename"];
const PATCHES: &[&str] = &["patch", "input", "diff", "patchText"];
const TASKS: &[&str] = &["todos", "plan"];

fn body(name: &str, input: &RawValue, mut fields: Map<String, Value>) -> String {
    if let Action::Shell { command, directory, .. } = action::of(name, input).action {
        let place = directory.map(|place| format!("<i>{}</i> ", escaped(&place))).unwrap_or_default();
        return format!("<pre class=\"terminal\">{place}$ {}</pre>\n", escaped(&command));
    }
    if let Some(tasks) = TASKS.iter().find_map(|key| tasks(fields.get(*key)?)) {
        return tasks;
    }
    if let Some(patch) = first_text(&fields, PATCHES).filter(|text| text.contains("*** Begin Patch")) {
        return diff::patch(patch);
    }
    let mut out = String::new();
    if let Some(change) = change(&fields) {
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
    // What is said in the heading already, and what says nothing.
    fields.retain(|key, value| !PATHS.contains(&key.as_str()) && !matches!(value, Value::Null | Value::Bool(false)));
    if fields.is_empty() && out.is_empty() && !input.get().starts_with('{') {
        return format!("<pre>{}</pre>\n", escaped(input.get()));
    }
    out + &list(&fields)
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

fn list(fields: &Map<String, Value>) -> String {
    if fields.is_empty() {
        return String::new();
    }
    let items = fields.iter().map(|(key, value)| {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Object(_) | Value::Array(_) => serde_json::to_string_pretty(value).unwrap_or_default(),
            other => other.to_string(),
        };
        format!("<dt>{}</dt><dd><pre>{}</pre></dd>\n", escaped(key), escaped(&text))
    });
    format!("<dl>\n{}</dl>\n", items.collect::<Vec<_>>().concat())
}
