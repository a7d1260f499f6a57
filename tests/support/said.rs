//! What was said in the tools' own files, told by an extractor that knows nothing of our readers. The bench asks for it too.

use serde_json::Value;

/// Keys below which no text stands that was said.
const NO_TEXT: [&str; 14] = [
    "signature",
    "data",
    "encrypted_content",
    "id",
    "tool_use_id",
    "call_id",
    "type",
    "media_type",
    "image_url",
    "status",
    "thoughtSignature",
    "mimeType",
    "detail",
    "timestamp",
];

/// All strings in `value`.
fn strings(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            // JSON within JSON: a call's arguments.
            Ok(inner @ Value::Object(_)) => strings(&inner, out),
            // What stands around a picture is not told.
            _ if text.starts_with("<image name=") || text == "</image>" => {}
            _ => out.push(text.clone()),
        },
        Value::Array(all) => all.iter().for_each(|value| strings(value, out)),
        Value::Object(fields) => {
            fields
                .iter()
                .filter(|(key, _)| !NO_TEXT.contains(&key.as_str()))
                .for_each(|(_, value)| strings(value, out));
        }
        _ => {}
    }
}

/// What was said in a native file of whatever tool, by the shapes of its records alone.
pub(crate) fn said(bytes: &[u8]) -> Vec<String> {
    let mut out = Vec::new();
    let text = String::from_utf8_lossy(bytes);
    let documents: Vec<Value> = match serde_json::from_str(&text) {
        Ok(document) => vec![document],
        Err(_) => text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect(),
    };
    for document in &documents {
        record(document, &mut out);
    }
    out
}

fn record(value: &Value, out: &mut Vec<String>) {
    let fields = |value: &Value, names: &[&str], out: &mut Vec<String>| {
        for name in names {
            strings(&value[*name], out);
        }
    };
    match value["type"].as_str() {
        Some("user" | "assistant") if value["message"].is_object() => fields(&value["message"], &["content"], out),
        Some("response_item") => {
            let kind = value["payload"]["type"].as_str().unwrap_or_default();
            if matches!(kind, "message" | "reasoning" | "function_call" | "function_call_output" | "custom_tool_call") {
                fields(&value["payload"], &["content", "summary", "name", "arguments", "input"], out);
            }
        }
        Some("user" | "gemini") if value["id"].is_string() => {
            fields(value, &["content", "thoughts"], out);
            for call in value["toolCalls"].as_array().into_iter().flatten() {
                fields(call, &["name", "args", "result"], out);
            }
        }
        _ => value["messages"].as_array().into_iter().flatten().for_each(|message| record(message, out)),
    }
}
