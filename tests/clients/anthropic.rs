//! Claude Code's model: what the Messages API refuses, what it answers, and how a conversation is read from a request.
//!
//! The rules follow the public API documentation. Not simulated: context windows, rate limits, sizes of images.
//! A signature counts as genuine if a mock made it.

use super::mock::{Answer, Exchange, Piece, Reply, Script};
use super::transcript::{Part, Received, joined_parts};
use serde_json::{Value, json};
use std::fmt::Write;
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

/// What the mocks' signatures start with.
const SIGNATURE: &str = "mocksig";
/// What the mocks' redacted thinking starts with.
const REDACTED: &str = "bW9ja";

/// The fields that each kind of block may have.
const BLOCKS: &[(&str, &[&str])] = &[
    ("text", &["type", "text", "cache_control", "citations"]),
    ("image", &["type", "source", "cache_control"]),
    ("document", &["type", "source", "cache_control", "title", "context", "citations"]),
    ("tool_use", &["type", "id", "name", "input", "cache_control", "caller"]),
    ("tool_result", &["type", "tool_use_id", "content", "is_error", "cache_control"]),
    ("thinking", &["type", "thinking", "signature"]),
    ("redacted_thinking", &["type", "data"]),
    ("tool_reference", &["type", "tool_name", "cache_control"]),
];
/// Kinds of blocks whose fields are not checked.
const UNCHECKED: &[&str] =
    &["search_result", "server_tool_use", "web_search_tool_result", "container_upload", "mid_conv_system"];

/// Answers a request.
pub fn answer(method: &str, path: &str, beta: &str, body: &Value, script: &Mutex<Script>) -> Answer {
    match (method, path) {
        ("POST", "/v1/messages") => {}
        ("POST", "/v1/messages/count_tokens") => return Answer::json(200, &json!({"input_tokens": 1000})),
        (_, "/v1/models") => return Answer::json(200, &json!({"data": [], "has_more": false})),
        (_, "/") => return Answer::json(200, &json!({})),
        _ => return Answer::json(404, &error("not_found_error", "mock: not found")),
    }
    let kind = kind(body);
    let problems = problems(body, beta);
    if let Some(first) = problems.first() {
        return Answer {
            kind,
            ..Answer { problems: problems.clone(), ..Answer::json(400, &error("invalid_request_error", first)) }
        };
    }
    let reply = match kind {
        "main" => script.lock().unwrap().next(),
        "compact" => vec![Piece::text("<analysis>mock</analysis>\n<summary>\nMOCK-SUMMARY\n</summary>")],
        _ => vec![Piece::text(&json!({"title": "Mock title", "isNewTopic": true}).to_string())],
    };
    let (body, events) = if body["stream"] == true {
        (stream(&blocks(&reply), &body["model"]), true)
    } else {
        (message(&blocks(&reply), &body["model"]).to_string(), false)
    };
    Answer { status: 200, events, body, kind, problems: Vec::new() }
}

/// What the model received, by the requests that carry `prompt`: the first one accepted, else the last one refused.
pub fn received(exchanges: &[Exchange], prompt: &str) -> Received {
    let main: Vec<&Exchange> =
        exchanges.iter().filter(|e| e.kind == "main" && parts(&e.body).iter().any(|part| asks(part, prompt))).collect();
    let shown = main.iter().find(|e| e.status == 200).or(main.last());
    Received {
        rejections: main.iter().flat_map(|e| e.problems.clone()).collect(),
        requests: main.len(),
        ..shown.map(|e| Received::read(parts(&e.body), prompt)).unwrap_or_default()
    }
}

fn asks(part: &Part, prompt: &str) -> bool {
    matches!(part, Part::User(text) if text.contains(prompt))
}

/// What the API would refuse in a request with these beta features.
pub fn problems(body: &Value, beta: &str) -> Vec<String> {
    let mut found = Vec::new();
    if body.get("model").is_none() {
        found.push("model: Field required".into());
    }
    let Some(messages) = body["messages"].as_array().filter(|messages| !messages.is_empty()) else {
        found.push("messages: at least one message is required".into());
        return found;
    };
    check_preamble(body, &mut found);
    for (i, message) in messages.iter().enumerate() {
        check_message(message, &format!("messages.{i}"), i + 1 == messages.len(), beta, &mut found);
    }
    check_turns(&turns(messages), body, &mut found);
    found
}

/// The system prompt, the tools, and the number of cache marks in all of the request.
fn check_preamble(body: &Value, found: &mut Vec<String>) {
    if list(&body["system"]).any(|block| block["text"].as_str().is_none_or(str::is_empty)) {
        found.push("system: text content blocks must be non-empty".into());
    }
    let mut names: Vec<&str> = list(&body["tools"]).filter_map(|tool| tool["name"].as_str()).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        found.push("tools: Tool names must be unique.".into());
    }
    let contents = || list(&body["messages"]).flat_map(|message| list(&message["content"]));
    let nested = contents().filter(|block| block["type"] == "tool_result").flat_map(|block| list(&block["content"]));
    let all = list(&body["system"]).chain(list(&body["tools"])).chain(contents()).chain(nested);
    let marks = all.filter(|thing| thing.get("cache_control").is_some()).count();
    if marks > 4 {
        found.push(format!("A maximum of 4 blocks with cache_control may be provided. Found {marks}."));
    }
}

fn check_message(message: &Value, at: &str, last: bool, beta: &str, found: &mut Vec<String>) {
    let Some(fields) = message.as_object() else { return found.push(format!("{at}: not an object")) };
    for field in fields.keys() {
        if field != "role" && field != "content" && !(field == "output_config" && beta.contains("per-turn-control")) {
            found.push(format!("{at}.{field}: Extra inputs are not permitted"));
        }
    }
    let role = message["role"].as_str().unwrap_or_default();
    let system = role == "system" && beta.contains("mid-conversation");
    if !system && role != "user" && role != "assistant" {
        return found.push(format!("{at}.role: Input should be 'user' or 'assistant'"));
    }
    let empty = match &message["content"] {
        Value::String(text) => text.is_empty(),
        Value::Array(blocks) => blocks.is_empty(),
        _ => return found.push(format!("{at}.content: Input should be a valid string or list")),
    };
    if empty && !system && !(last && role == "assistant") {
        found.push(format!(
            "{at}: all messages must have non-empty content except for the optional final assistant message"
        ));
    }
    for (j, block) in contents(message).iter().enumerate() {
        if !system || block["type"] == "text" {
            check_block(block, &format!("{at}.content.{j}"), role, found);
        }
    }
}

fn check_block(block: &Value, at: &str, role: &str, found: &mut Vec<String>) {
    let Some(kind) = block["type"].as_str() else {
        return found.push(format!("{at}: Input should be a valid dictionary with a type"));
    };
    if UNCHECKED.contains(&kind) {
        return;
    }
    let Some((_, allowed)) = BLOCKS.iter().find(|(name, _)| *name == kind) else {
        return found.push(format!("{at}: Input tag '{kind}' does not match any of the expected tags"));
    };
    for field in block.as_object().into_iter().flat_map(|fields| fields.keys()) {
        if !allowed.contains(&field.as_str()) {
            found.push(format!("{at}.{kind}.{field}: Extra inputs are not permitted"));
        }
    }
    let belongs = match kind {
        "tool_use" | "thinking" | "redacted_thinking" => role == "assistant",
        "tool_result" => role == "user",
        "image" => role != "assistant",
        _ => true,
    };
    if !belongs {
        found.push(format!("{at}: `{kind}` blocks are not permitted in `{role}` messages"));
    }
    match kind {
        "text" => check_text(block, at, found),
        "image" => check_image(&block["source"], &format!("{at}.image.source"), found),
        "tool_use" => check_use(block, at, found),
        "tool_result" => check_result(block, at, found),
        "thinking" | "redacted_thinking" => check_thinking(block, at, found),
        _ => {}
    }
}

fn check_text(block: &Value, at: &str, found: &mut Vec<String>) {
    match block["text"].as_str() {
        None => found.push(format!("{at}.text.text: Input should be a valid string")),
        Some("") => found.push(format!("{at}: text content blocks must be non-empty")),
        Some(text) if text.trim().is_empty() => {
            found.push(format!("{at}: text content blocks must contain non-whitespace text"));
        }
        Some(_) => {}
    }
}

fn check_image(source: &Value, at: &str, found: &mut Vec<String>) {
    match source["type"].as_str() {
        Some("url" | "file") => return,
        Some("base64") => {}
        _ => return found.push(format!("{at}: Input tag does not match any of the expected tags")),
    }
    let magic: &[u8] = match source["media_type"].as_str() {
        Some("image/png") => b"\x89PNG",
        Some("image/jpeg") => b"\xff\xd8\xff",
        Some("image/gif") => b"GIF8",
        Some("image/webp") => b"RIFF",
        _ => return found.push(format!("{at}.media_type: Input should be an image type that is known")),
    };
    match source["data"].as_str().and_then(base64) {
        None => found.push(format!("{at}.data: invalid base64 data")),
        Some(bytes) if bytes.is_empty() => found.push(format!("{at}.data: image cannot be empty")),
        Some(bytes) if !bytes.starts_with(magic) => {
            found.push(format!("{at}.data: Image does not match the provided media type"));
        }
        Some(_) => {}
    }
}

fn check_use(block: &Value, at: &str, found: &mut Vec<String>) {
    if !is_word(&block["id"], usize::MAX) {
        found.push(format!("{at}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"));
    }
    if !is_word(&block["name"], 128) {
        found.push(format!("{at}.tool_use.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"));
    }
    if !block["input"].is_object() {
        found.push(format!("{at}.tool_use.input: Input should be a valid dictionary"));
    }
}

fn check_result(block: &Value, at: &str, found: &mut Vec<String>) {
    if !is_word(&block["tool_use_id"], usize::MAX) {
        found.push(format!("{at}.tool_result.tool_use_id: String should match pattern '^[a-zA-Z0-9_-]+$'"));
    }
    if block.get("is_error").is_some_and(|flag| !flag.is_boolean()) {
        found.push(format!("{at}.tool_result.is_error: Input should be a valid boolean"));
    }
    let content = &block["content"];
    if !content.is_null() && !content.is_string() && !content.is_array() {
        found.push(format!("{at}.tool_result.content: Input should be a valid string or list"));
    }
    for (j, part) in list(content).enumerate() {
        let at = format!("{at}.tool_result.content.{j}");
        if let Some(kind @ ("tool_use" | "tool_result" | "thinking" | "redacted_thinking")) = part["type"].as_str() {
            found.push(format!("{at}: Input tag '{kind}' does not match any of the expected tags"));
        } else {
            check_block(part, &at, "user", found);
        }
        if block["is_error"] == true && part["type"] != "text" {
            found.push(format!("{at}: all content must be type `text` if `is_error` is true"));
        }
    }
}

fn check_thinking(block: &Value, at: &str, found: &mut Vec<String>) {
    let genuine = |field: &str, start| block[field].as_str().is_some_and(|text| text.starts_with(start));
    if block["type"] == "redacted_thinking" {
        if !genuine("data", REDACTED) {
            found.push(format!("{at}: Invalid `data` in `redacted_thinking` block"));
        }
        return;
    }
    if !block["thinking"].is_string() {
        found.push(format!("{at}.thinking.thinking: Field required"));
    }
    if !block["signature"].is_string() {
        found.push(format!("{at}.thinking.signature: Field required"));
    } else if !genuine("signature", SIGNATURE) {
        found.push(format!("{at}: Invalid `signature` in `thinking` block"));
    }
}

/// Consecutive messages of one role, as the API combines them; messages of the system are not part of it.
struct Turn<'a> {
    assistant: bool,
    blocks: Vec<&'a Value>,
}

impl<'a> Turn<'a> {
    fn ids(&self, kind: &'static str, field: &'static str) -> impl Iterator<Item = &'a str> {
        self.blocks.iter().filter(move |block| block["type"] == kind).filter_map(move |block| block[field].as_str())
    }
}

/// Stands for a content that is a bare string: no call and no result.
static BARE_TEXT: Value = Value::Null;

fn turns(messages: &[Value]) -> Vec<Turn<'_>> {
    let mut turns = Vec::<Turn>::new();
    for message in messages.iter().filter(|message| message["role"] == "user" || message["role"] == "assistant") {
        let assistant = message["role"] == "assistant";
        if turns.last().is_none_or(|turn| turn.assistant != assistant) {
            turns.push(Turn { assistant, blocks: Vec::new() });
        }
        let blocks = &mut turns.last_mut().expect("just made").blocks;
        match &message["content"] {
            Value::String(_) => blocks.push(&BARE_TEXT),
            content => blocks.extend(list(content)),
        }
    }
    turns
}

/// How the turns follow each other, and that each call has its result right after it.
fn check_turns(turns: &[Turn], body: &Value, found: &mut Vec<String>) {
    if turns.first().is_some_and(|turn| turn.assistant) {
        found.push("messages: first message must use the \"user\" role".into());
    }
    if turns.last().is_some_and(|turn| turn.assistant) {
        found.push(
            "This model does not support assistant message prefill. The conversation must end with a user message."
                .into(),
        );
    }
    let tools = |turn: &Turn| turn.blocks.iter().any(|b| b["type"] == "tool_use" || b["type"] == "tool_result");
    if turns.iter().any(tools) && list(&body["tools"]).next().is_none() {
        found.push("Requests which have `tool_use` or `tool_result` blocks in `messages` must define tools.".into());
    }
    let mut seen = Vec::new();
    for (k, turn) in turns.iter().enumerate() {
        if turn.assistant {
            for id in turn.ids("tool_use", "id") {
                if seen.contains(&id) {
                    found.push(format!("`tool_use` ids must be unique: {id}"));
                }
                seen.push(id);
            }
            check_answered(turn, turns.get(k + 1), found);
        } else {
            check_asked(turn, k.checked_sub(1).map(|before| &turns[before]), found);
        }
    }
}

/// The calls of a turn have results at the very start of the next.
fn check_answered(turn: &Turn, next: Option<&Turn>, found: &mut Vec<String>) {
    let leading = next.iter().flat_map(|next| next.blocks.iter().take_while(|block| block["type"] == "tool_result"));
    let answered: Vec<&str> = leading.filter_map(|block| block["tool_use_id"].as_str()).collect();
    for id in turn.ids("tool_use", "id").filter(|id| !answered.contains(id)) {
        found.push(format!("`tool_use` ids were found without `tool_result` blocks immediately after: {id}"));
    }
}

/// The results of a turn belong to calls of the turn before, one each.
fn check_asked(turn: &Turn, before: Option<&Turn>, found: &mut Vec<String>) {
    let asked: Vec<&str> = before.iter().flat_map(|before| before.ids("tool_use", "id")).collect();
    let mut answered = Vec::new();
    for id in turn.ids("tool_result", "tool_use_id") {
        if !asked.contains(&id) {
            found.push(format!("unexpected `tool_use_id` found in `tool_result` blocks: {id}"));
        }
        if answered.contains(&id) {
            found.push(format!("each tool_use must have a single result. Found multiple for id: {id}"));
        }
        answered.push(id);
    }
}

/// The conversation in a request.
fn parts(body: &Value) -> Vec<Part> {
    let mut parts = Vec::new();
    for message in list(&body["messages"]) {
        let user = message["role"] == "user";
        for block in contents(message).iter().filter(|_| message["role"] != "system") {
            let text = |field: &str| block[field].as_str().unwrap_or_default().to_owned();
            parts.extend(match block["type"].as_str().unwrap_or_default() {
                "text" if user => Some(Part::User(text("text"))),
                "text" => Some(Part::Assistant(text("text"))),
                "image" => Some(Part::Image(image(&block["source"]))),
                "tool_use" => Some(Part::Call { id: text("id"), name: text("name"), input: block["input"].clone() }),
                "tool_result" => Some(result(block)),
                _ => None,
            });
        }
    }
    parts
}

fn image(source: &Value) -> String {
    source["data"].as_str().or(source["url"].as_str()).unwrap_or_default().to_owned()
}

fn result(block: &Value) -> Part {
    let parts = contents(block);
    let texts: Vec<&str> = parts.iter().filter_map(|part| part["text"].as_str()).collect();
    Part::Result {
        id: block["tool_use_id"].as_str().unwrap_or_default().to_owned(),
        text: joined_parts(&texts),
        images: parts.iter().filter(|part| part["type"] == "image").count(),
    }
}

/// What a request is for: the conversation, its summary, or something at its side such as a title.
fn kind(body: &Value) -> &'static str {
    let last = parts(body).into_iter().rev().find_map(|part| match part {
        Part::User(text) => Some(text),
        _ => None,
    });
    if last
        .is_some_and(|text| text.contains("CRITICAL: Respond with TEXT ONLY") || text.contains("detailed summary of"))
    {
        return "compact";
    }
    let format = body["output_config"].get("format").or(body.get("output_format"));
    if format.is_some() || list(&body["tools"]).next().is_none() { "side" } else { "main" }
}

/// A scripted reply as the API's blocks.
fn blocks(reply: &Reply) -> Vec<Value> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    let block = |(index, piece): (usize, &Piece)| match piece {
        Piece::Text(text) => json!({"type": "text", "text": text}),
        Piece::Thinking(text) => {
            json!({"type": "thinking", "thinking": text, "signature": format!("{SIGNATURE}{now}")})
        }
        Piece::Call { name, input } => {
            json!({"type": "tool_use", "id": format!("toolu_01Mock{now}{index:02}"), "name": name, "input": input})
        }
    };
    reply.iter().enumerate().map(block).collect()
}

/// The reply's message; in a stream its start, without the content.
fn message(content: &[Value], model: &Value) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    json!({
        "id": format!("msg_01Mock{now}"), "type": "message", "role": "assistant", "model": model, "content": content,
        "stop_reason": stop_reason(content), "stop_sequence": null,
        "usage": usage(),
    })
}

fn stop_reason(content: &[Value]) -> Value {
    match content {
        [] => Value::Null,
        blocks if blocks.iter().any(|block| block["type"] == "tool_use") => "tool_use".into(),
        _ => "end_turn".into(),
    }
}

/// The reply as a stream of events.
fn stream(content: &[Value], model: &Value) -> String {
    let mut stream = String::new();
    let mut event = |kind: &str, mut data: Value| {
        data["type"] = kind.into();
        let _ = write!(stream, "event: {kind}\ndata: {data}\n\n");
    };
    event("message_start", json!({"message": message(&[], model)}));
    event("ping", json!({}));
    for (index, block) in content.iter().enumerate() {
        let (start, deltas) = taken_apart(block);
        event("content_block_start", json!({"index": index, "content_block": start}));
        for delta in deltas {
            event("content_block_delta", json!({"index": index, "delta": delta}));
        }
        event("content_block_stop", json!({"index": index}));
    }
    let delta = json!({"stop_reason": stop_reason(content), "stop_sequence": null});
    event("message_delta", json!({"delta": delta, "usage": usage()}));
    event("message_stop", json!({}));
    stream
}

fn usage() -> Value {
    json!({
        "input_tokens": 7, "cache_creation_input_tokens": 10, "cache_read_input_tokens": 100, "output_tokens": 20,
        "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 0},
        "service_tier": "standard",
    })
}

/// A block as it starts, and what follows of it.
fn taken_apart(block: &Value) -> (Value, Vec<Value>) {
    match block["type"].as_str() {
        Some("text") => {
            let start = json!({"type": "text", "text": ""});
            (start, vec![json!({"type": "text_delta", "text": block["text"]})])
        }
        Some("thinking") => {
            let start = json!({"type": "thinking", "thinking": "", "signature": ""});
            let thinking = json!({"type": "thinking_delta", "thinking": block["thinking"]});
            (start, vec![thinking, json!({"type": "signature_delta", "signature": block["signature"]})])
        }
        _ => {
            let start = json!({"type": "tool_use", "id": block["id"], "name": block["name"], "input": {}});
            (start, vec![json!({"type": "input_json_delta", "partial_json": block["input"].to_string()})])
        }
    }
}

fn error(kind: &str, message: &str) -> Value {
    json!({"type": "error", "error": {"type": kind, "message": message}})
}

/// A message's or result's blocks; a bare string is one text.
fn contents(message: &Value) -> Vec<Value> {
    match &message["content"] {
        Value::String(text) => vec![json!({"type": "text", "text": text})],
        content => list(content).cloned().collect(),
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Whether it is a string of letters, digits, `_` and `-`.
fn is_word(value: &Value, longest: usize) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    value.as_str().is_some_and(|text| !text.is_empty() && text.len() <= longest && text.bytes().all(allowed))
}

/// Decodes strict base64.
fn base64(text: &str) -> Option<Vec<u8>> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text.trim_end_matches('=');
    if !text.len().is_multiple_of(4) || text.len() - digits.len() > 2 {
        return None;
    }
    let value = |byte| LETTERS.iter().position(|letter| *letter == byte).map(|value| value as u32);
    let values: Vec<u32> = digits.bytes().map(value).collect::<Option<_>>()?;
    let bytes = |group: &[u32]| {
        let bits = group.iter().fold(0, |bits, value| (bits << 6) | value) << (6 * (4 - group.len()));
        bits.to_be_bytes()[1..group.len()].to_vec()
    };
    Some(values.chunks(4).flat_map(bytes).collect())
}
