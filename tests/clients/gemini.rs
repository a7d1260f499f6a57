//! Gemini CLI's model: what the Gemini API refuses, what it answers, and how a conversation is read from a request.
//!
//! The rules follow the API's documented errors. What is only doubtful is let pass: turns of one role in a row, other
//! parts beside results, names or ids of results that are not those of their calls.

use super::mock::{Answer, Exchange, Piece, Reply, Script};
use super::transcript::{Part, Received};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Mutex;

/// What a part may hold, one of them.
const DATA: &[&str] = &[
    "text",
    "inlineData",
    "functionCall",
    "functionResponse",
    "fileData",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
];
/// What may stand beside it.
const BESIDE: &[&str] = &["thought", "thoughtSignature", "videoMetadata", "partMetadata", "mediaResolution"];
/// Types of files that are taken.
const FILES: &[&str] = &[
    "image/png",
    "image/jpeg",
    "image/webp",
    "image/heic",
    "image/heif",
    "image/gif",
    "application/pdf",
    "text/plain",
    "text/html",
    "text/csv",
    "text/markdown",
];
/// What the client puts where a signature is demanded that it does not have; base64 of ours begins with the last.
const SIGNATURES: &[&str] = &["skip_thought_signature_validator", "context_engineering_is_the_way_to_go"];
const OUR_SIGNATURE: &str = "TU9DS1NJR";

/// Answers a request. One that declares tools carries the conversation; others are the client's helpers.
pub fn answer(method: &str, path: &str, body: &Value, script: &Mutex<Script>) -> Answer {
    let (model, call) = path.rsplit('/').next().and_then(|last| last.split_once(':')).unwrap_or_default();
    if method != "POST" || !call.ends_with("enerateContent") {
        let answer = if call == "countTokens" { json!({"totalTokens": 100}) } else { json!({"models": []}) };
        return Answer::json(200, &answer);
    }
    let kind = if list(&body["tools"]).next().is_some() { "main" } else { "side" };
    let problems = problems(body, model);
    if let Some(first) = problems.first() {
        let error = json!({"error": {"code": 400, "message": first, "status": "INVALID_ARGUMENT"}});
        return Answer { kind, problems: problems.clone(), ..Answer::json(400, &error) };
    }
    let reply = if kind == "main" { script.lock().unwrap().next() } else { helpful(body) };
    let response = response(&reply, model);
    if call == "generateContent" {
        return Answer { kind, ..Answer::json(200, &response) };
    }
    Answer { status: 200, events: true, body: format!("data: {response}\r\n\r\n"), kind, problems }
}

/// What the model received, by the first request that carries `prompt`.
pub fn received(exchanges: &[Exchange], prompt: &str) -> Received {
    let main: Vec<&Exchange> = exchanges.iter().filter(|e| e.kind == "main").collect();
    let asks = |e: &&Exchange| parts(&e.body).iter().any(|part| matches!(part, Part::User(text) if text == prompt));
    let shown = main.iter().copied().find(asks);
    Received {
        rejections: main.iter().flat_map(|e| e.problems.clone()).collect(),
        requests: main.len(),
        ..shown.map(|e| Received::read(parts(&e.body), prompt)).unwrap_or_default()
    }
}

/// What the API would refuse in a request.
pub fn problems(body: &Value, model: &str) -> Vec<String> {
    let mut found = Vec::new();
    let contents: Vec<&Value> = list(&body["contents"]).collect();
    if contents.is_empty() {
        found.push("* GenerateContentRequest.contents: contents is not specified".into());
    }
    for (i, content) in contents.iter().enumerate() {
        check_content(content, &format!("contents[{i}]"), model, &mut found);
    }
    let turns = turns(&contents);
    check_pairs(&turns, &mut found);
    if is_signed(model) {
        check_signatures(&turns, &mut found);
    }
    found
}

/// Models from 3 on demand the signatures of the current turn back.
fn is_signed(model: &str) -> bool {
    let version = model.strip_prefix("gemini-").and_then(|rest| rest.chars().next());
    model.starts_with("auto") || version.is_some_and(|version| ('3'..='9').contains(&version))
}

fn check_content(content: &Value, at: &str, model: &str, found: &mut Vec<String>) {
    check_fields(content, &["role", "parts"], at, found);
    let role = content["role"].as_str().unwrap_or_default();
    if !["user", "model", "function"].contains(&role) {
        found.push(format!("Please use a valid role: user, model. ({at}: {role})"));
    }
    if list(&content["parts"]).next().is_none() {
        found.push(format!("* GenerateContentRequest.{at}.parts: contents.parts must not be empty."));
    }
    for (j, part) in list(&content["parts"]).enumerate() {
        check_part(part, role, &format!("{at}.parts[{j}]"), model, found);
    }
}

fn check_part(part: &Value, role: &str, at: &str, model: &str, found: &mut Vec<String>) {
    check_fields(part, &[DATA, BESIDE].concat(), at, found);
    match DATA.iter().filter(|key| part.get(**key).is_some()).count() {
        0 => found.push(format!("* GenerateContentRequest.{at}.data: required oneof field 'data' must be set")),
        1 => {}
        _ => found.push(format!("Invalid value at '{at}' (oneof), oneof field 'data' is already set.")),
    }
    match part.get("text") {
        Some(Value::String(text)) if text.is_empty() && part.get("thoughtSignature").is_none() => {
            found.push(format!("{at}: Unable to submit request because it has an empty text parameter."));
        }
        None | Some(Value::String(_)) => {}
        Some(_) => found.push(format!("Invalid value at '{at}.text' (TYPE_STRING)")),
    }
    if part["thought"] == true && role != "model" {
        found.push(format!("{at}: thought part in a user turn"));
    }
    if let Some(signature) = part.get("thoughtSignature") {
        let signature = signature.as_str().unwrap_or_default();
        if is_signed(model) && !SIGNATURES.contains(&signature) && !signature.starts_with(OUR_SIGNATURE) {
            found.push(format!("Corrupted thought signature. ({at})"));
        }
    }
    if let Some(file) = part.get("inlineData") {
        check_file(file, at, found);
    }
    if let Some(call) = part.get("functionCall") {
        check_call(call, role, &format!("{at}.function_call"), found);
    }
    if let Some(response) = part.get("functionResponse") {
        check_response(response, role, &format!("{at}.function_response"), found);
    }
}

fn check_fields(value: &Value, known: &[&str], at: &str, found: &mut Vec<String>) {
    for key in
        value.as_object().into_iter().flat_map(serde_json::Map::keys).filter(|key| !known.contains(&key.as_str()))
    {
        found.push(format!("Invalid JSON payload received. Unknown name \"{key}\" at '{at}': Cannot find field."));
    }
}

fn check_file(file: &Value, at: &str, found: &mut Vec<String>) {
    check_fields(file, &["mimeType", "data", "displayName"], &format!("{at}.inline_data"), found);
    if !file["mimeType"].as_str().is_some_and(|kind| FILES.contains(&kind)) {
        found.push(format!("Unsupported MIME type: {} ({at})", file["mimeType"]));
    }
    let data = file["data"].as_str().unwrap_or_default().trim_end_matches('=');
    if data.is_empty() || data.bytes().any(|b| !b.is_ascii_alphanumeric() && !b"+/-_".contains(&b)) {
        found.push(format!("Invalid value at '{at}.inline_data.data' (TYPE_BYTES), Base64 decoding failed"));
    }
}

fn check_call(call: &Value, role: &str, at: &str, found: &mut Vec<String>) {
    check_fields(call, &["id", "name", "args", "partialArgs", "willContinue"], at, found);
    if !is_name(call["name"].as_str().unwrap_or_default()) {
        found.push(format!("* GenerateContentRequest.{at}.name: Invalid function name {}", call["name"]));
    }
    if call.get("args").is_some_and(|args| !args.is_object()) {
        found.push(format!("Invalid value at '{at}.args' (type.googleapis.com/google.protobuf.Struct)"));
    }
    if role != "model" {
        found.push(format!("Please ensure that function call turn comes from role model ({at})"));
    }
}

fn check_response(response: &Value, role: &str, at: &str, found: &mut Vec<String>) {
    check_fields(response, &["id", "name", "response", "parts", "willContinue", "scheduling"], at, found);
    if response["name"].as_str().unwrap_or_default().is_empty() {
        found.push(format!("* GenerateContentRequest.{at}.name: Name cannot be empty."));
    }
    if !response["response"].is_object() {
        found.push(format!("Invalid value at '{at}.response' (type.googleapis.com/google.protobuf.Struct)"));
    }
    if role == "model" {
        found.push(format!("Please ensure that function response turn does not come from role model ({at})"));
    }
}

fn is_name(name: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte);
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.len() <= 128 && name.bytes().all(fine)
}

/// Contents of one role in a row, as one: whether it is the model's, and its parts.
type Turn<'a> = (bool, Vec<&'a Value>);

fn turns<'a>(contents: &[&'a Value]) -> Vec<Turn<'a>> {
    let mut turns: Vec<Turn<'_>> = Vec::new();
    for content in contents {
        let is_model = content["role"] == "model";
        match turns.last_mut().filter(|(last, _)| *last == is_model) {
            Some((_, parts)) => parts.extend(list(&content["parts"])),
            None => turns.push((is_model, list(&content["parts"]).collect())),
        }
    }
    turns
}

fn with<'a>(turn: &Turn<'a>, key: &str) -> Vec<&'a Value> {
    turn.1.iter().filter_map(|part| part.get(key)).collect()
}

/// As many results right behind a turn as it has calls.
fn check_pairs(turns: &[Turn<'_>], found: &mut Vec<String>) {
    for (k, turn) in turns.iter().enumerate() {
        let (calls, results) = (with(turn, "functionCall").len(), with(turn, "functionResponse").len());
        let before = k.checked_sub(1).map_or(0, |k| with(&turns[k], "functionCall").len());
        if turn.0 && calls > 0 && k == 0 {
            found.push("Please ensure that function call turn comes immediately after a user turn.".into());
        }
        if turn.0 && calls > 0 {
            let answers = turns.get(k + 1).map_or(0, |next| with(next, "functionResponse").len());
            if answers != calls {
                found.push(format!(
                    "Please ensure that the number of function response parts is equal to the number of function call \
                     parts of the function call turn. ({calls} calls, {answers} responses)"
                ));
            }
        }
        if !turn.0 && results > 0 && before == 0 {
            found
                .push("Please ensure that function response turn comes immediately after a function call turn.".into());
        }
    }
}

/// Every step since the person's last text carries a signature on its first call.
fn check_signatures(turns: &[Turn<'_>], found: &mut Vec<String>) {
    let start = turns.iter().rposition(|turn| !turn.0 && with(turn, "functionResponse").is_empty()).unwrap_or(0);
    for turn in turns[start..].iter().filter(|turn| turn.0) {
        let call = turn.1.iter().find(|part| part.get("functionCall").is_some());
        if let Some(call) = call.filter(|call| call.get("thoughtSignature").is_none()) {
            let name = &call["functionCall"]["name"];
            found.push(format!("Function call is missing a thought_signature in functionCall parts. ({name})"));
        }
    }
}

/// The conversation in a request. Up to 0.61 the client sends the results of its own calls twice when it resumes: the
/// second one is left out here, and refused by [`problems`].
fn parts(body: &Value) -> Vec<Part> {
    let (mut parts, mut open, mut answered) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for content in list(&body["contents"]) {
        for part in list(&content["parts"]) {
            match read(part, content["role"] == "model", &mut parts) {
                Some(Part::Call { id, name, input }) => {
                    open.insert(id.clone());
                    parts.push(Part::Call { id, name, input });
                }
                Some(Part::Result { id, .. }) if !open.contains(&id) && answered.contains(&id) => {}
                Some(Part::Result { id, text, images }) => {
                    open.remove(&id);
                    answered.insert(id.clone());
                    parts.push(Part::Result { id, text, images });
                }
                Some(part) => parts.push(part),
                None => {}
            }
        }
    }
    parts
}

/// A picture right behind a result is counted there.
fn read(part: &Value, is_model: bool, before: &mut [Part]) -> Option<Part> {
    let id = |value: &Value| value["id"].as_str().unwrap_or_default().to_owned();
    if let Some(text) = part["text"].as_str().filter(|_| part["thought"] != true) {
        return Some(if is_model { Part::Assistant(text.into()) } else { Part::User(text.into()) });
    }
    if let Some(call) = part.get("functionCall") {
        let name = call["name"].as_str().unwrap_or_default().to_owned();
        return Some(Part::Call { id: id(call), name, input: call["args"].clone() });
    }
    if let Some(response) = part.get("functionResponse") {
        let images = list(&response["parts"]).count();
        return Some(Part::Result { id: id(response), text: answer_text(&response["response"]), images });
    }
    let data = part["inlineData"]["data"].as_str()?;
    match before.last_mut() {
        Some(Part::Result { images, .. }) => *images += 1,
        _ => return Some(Part::Image(data.to_owned())),
    }
    None
}

fn answer_text(response: &Value) -> String {
    let text = |key: &str| response[key].as_str().map(str::to_owned);
    text("output").or_else(|| text("error")).unwrap_or_else(|| response.to_string())
}

/// An answer to a helper: the model router wants JSON, others a line of text.
fn helpful(body: &Value) -> Reply {
    let config = &body["generationConfig"];
    let schema = ["responseSchema", "responseJsonSchema"].into_iter().find_map(|key| config.get(key));
    let text = schema.map_or_else(|| "A helpful line".to_owned(), |schema| sample(schema).to_string());
    vec![Piece::Text(text)]
}

/// The smallest value that fits a schema.
fn sample(schema: &Value) -> Value {
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    match schema["type"].as_str().unwrap_or("object").to_lowercase().as_str() {
        "object" => {
            let fields = schema["properties"].as_object().into_iter().flatten();
            fields.map(|(name, schema)| (name.clone(), sample(schema))).collect()
        }
        "array" => json!([]),
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or(json!(1)),
        "boolean" => json!(false),
        _ => json!("mock"),
    }
}

fn response(reply: &Reply, model: &str) -> Value {
    let mut is_first = true;
    let part = |piece: &Piece| match piece {
        Piece::Text(text) => json!({"text": text}),
        Piece::Thinking(text) => json!({"text": text, "thought": true}),
        Piece::Call { name, input } => {
            let id = uuid::Uuid::new_v4().simple().to_string();
            let mut part = json!({"functionCall": {"id": id, "name": name, "args": input}});
            if std::mem::take(&mut is_first) && is_signed(model) {
                part["thoughtSignature"] = format!("{OUR_SIGNATURE}w=").into();
            }
            part
        }
    };
    let parts: Vec<Value> = reply.iter().map(part).collect();
    json!({
        "candidates": [{"content": {"role": "model", "parts": parts}, "index": 0, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 100, "candidatesTokenCount": 20, "thoughtsTokenCount": 7,
            "cachedContentTokenCount": 64, "totalTokenCount": 127},
        "modelVersion": model, "responseId": "mock",
    })
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
