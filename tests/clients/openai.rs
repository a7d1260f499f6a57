//! Codex's model: what the Responses API refuses, what it answers, and how a conversation is read from a request.
//!
//! The rules follow the API's documented errors. What is only doubtful is let pass: call ids or results that occur
//! twice, arguments that are not JSON, reasoning without ciphertext and without id.

use super::mock::{Answer, Exchange, Piece, Reply, Script};
use super::transcript::{Part, Received, joined_parts};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Mutex;

/// Kinds of calls and the kinds of their results.
const CALLS: &[(&str, &[&str])] = &[
    ("function_call", &["function_call_output"]),
    ("custom_tool_call", &["custom_tool_call_output"]),
    ("local_shell_call", &["function_call_output", "local_shell_call_output"]),
    ("tool_search_call", &["tool_search_output"]),
    ("shell_call", &["shell_call_output"]),
    ("apply_patch_call", &["apply_patch_call_output"]),
    ("computer_call", &["computer_call_output"]),
    ("mcp_approval_request", &["mcp_approval_response"]),
];
/// Other kinds of items; the last three are Codex's own.
const OTHERS: &[&str] = &[
    "message",
    "reasoning",
    "web_search_call",
    "image_generation_call",
    "file_search_call",
    "code_interpreter_call",
    "mcp_call",
    "mcp_list_tools",
    "item_reference",
    "compaction",
    "compaction_summary",
    "compaction_trigger",
    "context_compaction",
    "additional_tools",
    "agent_message",
    "configuration_update",
];
/// What the ids of kinds of items begin with.
const PREFIXES: &[(&str, &str)] = &[
    ("message", "msg"),
    ("reasoning", "rs"),
    ("function_call", "fc"),
    ("function_call_output", "fc"),
    ("custom_tool_call", "ctc"),
    ("custom_tool_call_output", "ctc"),
    ("local_shell_call", "lsh"),
    ("web_search_call", "ws"),
    ("image_generation_call", "ig"),
];

/// Answers a request.
pub fn answer(method: &str, path: &str, body: &Value, script: &Mutex<Script>) -> Answer {
    let last = path.rsplit('/').next().unwrap_or_default();
    let kind = match (method, last) {
        ("POST", "responses") => "main",
        ("POST", "compact") => "compact",
        ("GET", "models") => return Answer::json(200, &json!({"object": "list", "data": [], "models": []})),
        // The handshake of a WebSocket: refused, so that the client falls back to plain requests at once.
        ("GET", "responses") => return Answer::json(426, &error("Upgrade Required")),
        _ => return Answer::json(404, &error("Not found")),
    };
    let problems = problems(body);
    if let Some(first) = problems.first() {
        return Answer { kind, problems: problems.clone(), ..Answer::json(400, &error(first)) };
    }
    if kind == "compact" {
        let mut output: Vec<&Value> = items(body).filter(|item| item["role"] == "user").collect();
        let summary = json!({"type": "compaction", "id": id("cmp"), "encrypted_content": "gAAAAAmock"});
        output.push(&summary);
        return Answer { kind, ..Answer::json(200, &json!({"id": id("resp"), "output": output, "usage": usage()})) };
    }
    let reply = script.lock().unwrap().next();
    Answer { status: 200, events: true, body: stream(&reply, &body["model"]), kind, problems }
}

/// What the model received, by the first request that carries `prompt`.
pub fn received(exchanges: &[Exchange], prompt: &str) -> Received {
    let asks = |e: &&Exchange| parts(&e.body).iter().any(|part| matches!(part, Part::User(text) if text == prompt));
    let main: Vec<&Exchange> = exchanges.iter().filter(|e| e.kind != "other").collect();
    let shown = main.iter().copied().find(asks);
    Received {
        rejections: main.iter().flat_map(|e| e.problems.clone()).collect(),
        requests: main.len(),
        ..shown.map(|e| Received::read(parts(&e.body), prompt)).unwrap_or_default()
    }
}

/// What the API would refuse in a request.
pub fn problems(body: &Value) -> Vec<String> {
    let mut found = Vec::new();
    if !body["model"].is_string() {
        found.push("Missing required parameter: 'model'.".into());
    }
    if body["input"].is_string() {
        return found;
    }
    if items(body).next().is_none() {
        found.push("Missing required parameter: 'input'.".into());
    }
    let mut calls = BTreeMap::new();
    let mut answered = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for (i, item) in items(body).enumerate() {
        let at = format!("input[{i}]");
        let kind = kind(item);
        check_id(item, kind, &at, &mut ids, &mut found);
        if kind == "message" {
            check_message(item, &at, &mut found);
        } else if kind == "reasoning" {
            let last = i + 1 == items(body).count();
            check_reasoning(item, &at, last, body["store"] == false, &mut found);
        } else if CALLS.iter().any(|(call, _)| *call == kind) {
            check_call(item, kind, &at, &mut found);
            calls.extend(item["call_id"].as_str().map(|id| (id, kind)));
        } else if is_output(kind) {
            check_output(item, kind, &at, &calls, &mut found);
            answered.extend(item["call_id"].as_str());
        } else if !OTHERS.contains(&kind) {
            found.push(format!("{at}.type: Invalid value: '{kind}'."));
        }
    }
    for (id, kind) in calls.iter().filter(|(id, _)| !answered.contains(*id)) {
        found.push(format!("No tool output found for {} {id}.", kind.replace('_', " ")));
    }
    found
}

/// Ids are short, occur once and begin as their kind's do.
fn check_id<'a>(item: &'a Value, kind: &str, at: &str, ids: &mut BTreeSet<&'a str>, found: &mut Vec<String>) {
    let id = match &item["id"] {
        Value::Null => return,
        Value::String(id) if id.is_empty() => return,
        Value::String(id) if id.len() <= 64 => id,
        _ => return found.push(format!("Invalid '{at}.id': expected a string with maximum length 64.")),
    };
    if !ids.insert(id) {
        found.push(format!("Duplicate item found with id {id}. Remove duplicate items from your input and try again."));
    }
    let prefix = PREFIXES.iter().find(|(name, _)| *name == kind).map_or("", |(_, prefix)| prefix);
    if !id.starts_with(prefix) {
        found.push(format!("Invalid '{at}.id': '{id}'. Expected an ID that begins with '{prefix}'."));
    }
}

fn check_message(item: &Value, at: &str, found: &mut Vec<String>) {
    let allowed: &[&str] = match item["role"].as_str() {
        Some("assistant") => &["output_text", "refusal"],
        Some("user" | "system" | "developer") => &["input_text", "input_image", "input_file", "input_audio"],
        _ => return found.push(format!("{at}.role: Invalid value: {}.", item["role"])),
    };
    if !item["content"].is_string() && !item["content"].is_array() {
        return found.push(format!("Invalid type for '{at}.content': expected an array of objects or string."));
    }
    for (j, part) in list(&item["content"]).enumerate() {
        let at = format!("{at}.content[{j}]");
        let kind = part["type"].as_str().unwrap_or_default();
        if !allowed.contains(&kind) {
            found.push(format!("{at}.type: Invalid value: '{kind}'. Supported values are: {allowed:?}."));
        } else if kind.ends_with("_text") && !part["text"].is_string() {
            found.push(format!("Missing required parameter: '{at}.text'."));
        } else if kind == "input_image" && part["file_id"].is_null() && !is_image_url(&part["image_url"]) {
            found.push(format!("Invalid '{at}.image_url'. Expected a valid URL."));
        }
    }
}

fn is_image_url(url: &Value) -> bool {
    url.as_str().is_some_and(|url| url.starts_with("data:image/") || url.starts_with("http"))
}

fn check_reasoning(item: &Value, at: &str, last: bool, stateless: bool, found: &mut Vec<String>) {
    if !item["summary"].is_array() {
        found.push(format!("Missing required parameter: '{at}.summary'."));
    }
    let kinds = [("summary", "summary_text"), ("content", "reasoning_text")];
    for (field, kind) in kinds {
        if list(&item[field]).any(|part| part["type"] != kind) {
            found.push(format!("{at}.{field}: Invalid value. Supported values are: '{kind}'."));
        }
    }
    let id = item["id"].as_str().unwrap_or_default();
    match &item["encrypted_content"] {
        Value::Null if stateless && !id.is_empty() => {
            found.push(format!("Item with id '{id}' not found. Items are not persisted when `store` is set to false."));
        }
        Value::String(text) if !text.starts_with("gAAAA") => {
            found.push(format!("The encrypted content for item {id} could not be verified."));
        }
        _ => {}
    }
    if last {
        found.push(format!("Item '{id}' of type 'reasoning' was provided without its required following item."));
    }
}

fn check_call(item: &Value, kind: &str, at: &str, found: &mut Vec<String>) {
    check_call_id(item, kind, at, found);
    let named = kind == "function_call" || kind == "custom_tool_call";
    if named && !is_name(&item["name"], kind == "custom_tool_call") {
        found.push(format!("Invalid '{at}.name': expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."));
    }
    let (field, right) = match kind {
        "function_call" => ("arguments", item["arguments"].is_string()),
        "custom_tool_call" => ("input", item["input"].is_string()),
        "local_shell_call" => ("action", item["action"].is_object()),
        _ => return,
    };
    if !right {
        found.push(format!("Invalid type for '{at}.{field}'."));
    }
}

fn check_call_id(item: &Value, kind: &str, at: &str, found: &mut Vec<String>) {
    match item["call_id"].as_str() {
        Some(id) if id.len() > 64 => {
            found.push(format!("Invalid '{at}.call_id': string too long. Expected a maximum length of 64: {id}"));
        }
        Some(id) if !id.is_empty() => {}
        _ if kind.starts_with("tool_search") && item["execution"] == "server" => {}
        _ => found.push(format!("Missing required parameter: '{at}.call_id'.")),
    }
}

fn check_output(item: &Value, kind: &str, at: &str, calls: &BTreeMap<&str, &str>, found: &mut Vec<String>) {
    check_call_id(item, kind, at, found);
    if let Some(id) = item["call_id"].as_str() {
        let fits = |call: &&str| CALLS.iter().any(|(name, outputs)| name == call && outputs.contains(&kind));
        if !calls.get(id).is_some_and(fits) {
            found.push(format!("No tool call found for {} with call_id {id}.", kind.replace('_', " ")));
        }
    }
    if kind != "function_call_output" && kind != "custom_tool_call_output" {
        return;
    }
    let known = |part: &Value| {
        ["input_text", "input_image", "input_file", "encrypted_content"].map(Value::from).contains(&part["type"])
    };
    match &item["output"] {
        Value::String(_) => {}
        Value::Array(parts) if parts.iter().all(known) => {}
        Value::Array(_) => found.push(format!("{at}.output: Invalid value: the type of a part is not known.")),
        _ => found.push(format!("Invalid type for '{at}.output': expected an array of objects or string.")),
    }
}

/// The conversation in a request.
fn parts(body: &Value) -> Vec<Part> {
    items(body).flat_map(part).collect()
}

fn part(item: &Value) -> Vec<Part> {
    let text = |field: &str| item[field].as_str().unwrap_or_default().to_owned();
    match kind(item) {
        "message" => message(item),
        kind if is_output(kind) => vec![result(item)],
        "function_call" => {
            let arguments = text("arguments");
            let input = serde_json::from_str(&arguments).unwrap_or(json!({ "input": arguments }));
            vec![Part::Call { id: text("call_id"), name: text("name"), input }]
        }
        "custom_tool_call" => {
            vec![Part::Call { id: text("call_id"), name: text("name"), input: json!({"input": text("input")}) }]
        }
        "local_shell_call" => {
            vec![Part::Call { id: text("call_id"), name: "local_shell".into(), input: item["action"].clone() }]
        }
        _ => Vec::new(),
    }
}

fn message(item: &Value) -> Vec<Part> {
    let of: fn(String) -> Part = match item["role"].as_str() {
        Some("user") => Part::User,
        Some("assistant") => Part::Assistant,
        _ => return Vec::new(),
    };
    if let Some(text) = item["content"].as_str() {
        return vec![of(text.to_owned())];
    }
    let part = |part: &Value| match part["type"].as_str() {
        Some("input_image") => Some(Part::Image(part["image_url"].as_str().unwrap_or_default().to_owned())),
        _ => part["text"].as_str().map(|text| of(text.to_owned())),
    };
    list(&item["content"]).filter_map(part).collect()
}

fn result(item: &Value) -> Part {
    let output = &item["output"];
    let texts: Vec<&str> = output.as_str().into_iter().chain(list(output).filter_map(|p| p["text"].as_str())).collect();
    Part::Result {
        id: item["call_id"].as_str().unwrap_or_default().to_owned(),
        text: joined_parts(&texts),
        images: list(output).filter(|part| part["type"] == "input_image").count(),
    }
}

/// The reply as a stream of events.
fn stream(reply: &Reply, model: &Value) -> String {
    let mut stream = String::new();
    let mut number = 0;
    let mut event = |kind: &str, mut data: Value| {
        data["type"] = kind.into();
        data["sequence_number"] = number.into();
        number += 1;
        let _ = write!(stream, "event: {kind}\ndata: {data}\n\n");
    };
    let mut response =
        json!({"id": id("resp"), "object": "response", "status": "in_progress", "model": model, "output": []});
    event("response.created", json!({"response": response}));
    let output: Vec<Value> = reply.iter().map(item).collect();
    for (index, item) in output.iter().enumerate() {
        event("response.output_item.added", json!({"output_index": index, "item": started(item)}));
        if let Some(text) = item["content"][0].get("text") {
            let place = json!({"item_id": item["id"], "output_index": index, "content_index": 0, "delta": text});
            event("response.output_text.delta", place);
        }
        event("response.output_item.done", json!({"output_index": index, "item": item}));
    }
    response["end_turn"] = (!output.iter().any(|item| kind(item).ends_with("_call"))).into();
    response["status"] = "completed".into();
    response["output"] = output.into();
    response["usage"] = usage();
    event("response.completed", json!({"response": response}));
    stream
}

/// An item as it is when it is announced.
fn started(item: &Value) -> Value {
    let mut started = item.clone();
    if item["type"] == "message" {
        (started["status"], started["content"]) = ("in_progress".into(), json!([]));
    }
    started
}

/// A scripted piece as the API's item.
fn item(piece: &Piece) -> Value {
    let call_id = id("call");
    match piece {
        Piece::Text(text) => json!({
            "type": "message", "id": id("msg"), "status": "completed", "role": "assistant",
            "content": [{"type": "output_text", "annotations": [], "logprobs": [], "text": text}],
        }),
        Piece::Thinking(text) => json!({
            "type": "reasoning", "id": id("rs"), "encrypted_content": format!("gAAAAABmock{call_id}"),
            "summary": [{"type": "summary_text", "text": text}],
        }),
        Piece::Call { name, input: Value::String(input) } => json!({
            "type": "custom_tool_call", "id": id("ctc"), "status": "completed", "name": name, "input": input,
            "call_id": call_id,
        }),
        Piece::Call { name, input } => json!({
            "type": "function_call", "id": id("fc"), "status": "completed", "name": name,
            "arguments": input.to_string(), "call_id": call_id,
        }),
    }
}

fn usage() -> Value {
    json!({
        "input_tokens": 100, "input_tokens_details": {"cached_tokens": 64}, "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 7}, "total_tokens": 120,
    })
}

/// A new id.
fn id(prefix: &str) -> String {
    format!("{prefix}_{}", uuid::Uuid::new_v4().simple())
}

fn error(message: &str) -> Value {
    json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": "invalid_value"}})
}

fn items(body: &Value) -> impl Iterator<Item = &Value> {
    list(&body["input"])
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// An item's kind; a message need not name it.
fn kind(item: &Value) -> &str {
    item["type"].as_str().unwrap_or(if item.get("role").is_some() { "message" } else { "" })
}

fn is_output(kind: &str) -> bool {
    CALLS.iter().any(|(_, outputs)| outputs.contains(&kind))
}

/// Whether it can be a tool's name; free-form tools may have dots in theirs.
fn is_name(value: &Value, dots: bool) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte) || dots && byte == b'.';
    value.as_str().is_some_and(|name| (1..=64).contains(&name.len()) && name.bytes().all(allowed))
}
