//! The mocks refuse broken sessions: one small break at a time in a request that they accept.

use super::{anthropic, gemini, openai};
use serde_json::{Value, json};

/// A request to the Messages API that is right.
fn messages() -> Value {
    json!({
        "model": "m", "tools": [{"name": "Bash"}],
        "messages": [
            {"role": "user", "content": "Do it"},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": "mocksig1"},
                {"type": "text", "text": "I will."},
                {"type": "tool_use", "id": "call_1", "name": "Bash", "input": {"command": "ls"}},
                {"type": "tool_use", "id": "call_2", "name": "Bash", "input": {"command": "pwd"}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "call_1", "content": "a.txt"},
                {"type": "tool_result", "tool_use_id": "call_2", "content": [{"type": "text", "text": "/"}]},
            ]},
            {"role": "assistant", "content": [{"type": "text", "text": "Done."}]},
            {"role": "user", "content": [
                {"type": "text", "text": "And this?"},
                {"type": "image", "source": {
                    "type": "base64", "media_type": "image/gif", "data": "R0lGODlhAQABAAAAACw=",
                }},
            ]},
        ],
    })
}

/// A request to the Responses API that is right.
fn responses() -> Value {
    json!({
        "model": "m", "store": false,
        "input": [
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Be kind"}]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Do it"}]},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAAB"},
            {"type": "message", "role": "assistant", "id": "msg_1", "content": [
                {"type": "output_text", "text": "I will."},
            ]},
            {"type": "function_call", "name": "shell", "arguments": "{}", "call_id": "call_1"},
            {"type": "function_call_output", "call_id": "call_1", "output": "a.txt"},
            {"type": "custom_tool_call", "name": "apply_patch", "input": "*** Begin Patch", "call_id": "call_2"},
            {"type": "custom_tool_call_output", "call_id": "call_2", "output": [{"type": "input_text", "text": "ok"}]},
            {"type": "message", "role": "user", "content": [
                {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo="},
            ]},
        ],
    })
}

/// Puts `value` at `place` (as an object's field, or in a list before the item there); null takes away what is there.
fn broken(mut body: Value, place: &str, value: &Value) -> Value {
    let (parent, last) = place.rsplit_once('/').unwrap();
    match body.pointer_mut(parent).unwrap() {
        Value::Object(fields) if value.is_null() => drop(fields.remove(last)),
        Value::Object(fields) => drop(fields.insert(last.into(), value.clone())),
        Value::Array(items) if value.is_null() => drop(items.remove(last.parse().unwrap())),
        Value::Array(items) => items.insert(last.parse().unwrap(), value.clone()),
        other => panic!("{place} is in {other}"),
    }
    body
}

/// Every break of `right` is refused with a problem that says so.
fn refuses(problems: impl Fn(&Value) -> Vec<String>, right: &Value, breaks: &[(&str, Value, &str)]) {
    assert_eq!(problems(right), [""; 0]);
    for (place, value, says) in breaks {
        let found = problems(&broken(right.clone(), place, value));
        assert!(found.iter().any(|problem| problem.contains(says)), "{place} {value}: {found:?} instead of {says:?}");
    }
}

#[test]
fn the_messages_api_refuses_broken_conversations() {
    let text = json!({"role": "assistant", "content": "x"});
    refuses(
        |body| anthropic::problems(body, ""),
        &messages(),
        &[
            ("/model", Value::Null, "model: Field required"),
            ("/messages", json!([]), "at least one message"),
            ("/messages/0", text.clone(), "first message must use"),
            ("/messages/5", text, "must end with a user message"),
            ("/messages/0", json!({"role": "system", "content": "x"}), "role: Input should be"),
            ("/messages/0", json!({"role": "user", "content": []}), "non-empty content"),
            ("/messages/0/timestamp", json!("now"), "Extra inputs are not permitted"),
            ("/tools", Value::Null, "must define tools"),
            ("/tools/0", json!({"name": "Bash"}), "Tool names must be unique"),
        ],
    );
}

#[test]
fn the_messages_api_refuses_broken_pairs() {
    let twice = json!({"type": "tool_result", "tool_use_id": "call_1", "content": "again"});
    let stray = json!({"type": "tool_result", "tool_use_id": "call_9", "content": "?"});
    let image = json!({"type": "image", "source": {"type": "url", "url": "http://x"}});
    refuses(
        |body| anthropic::problems(body, ""),
        &messages(),
        &[
            ("/messages/2", Value::Null, "without `tool_result` blocks immediately after: call_1"),
            ("/messages/2/content/1", Value::Null, "without `tool_result` blocks immediately after: call_2"),
            ("/messages/2/content/0", json!({"type": "text", "text": "first"}), "immediately after: call_1"),
            ("/messages/2", json!({"role": "user", "content": "first"}), "immediately after: call_1"),
            ("/messages/2/content/2", twice, "single result"),
            ("/messages/2/content/2", stray.clone(), "unexpected `tool_use_id`"),
            ("/messages/4/content/0", stray, "unexpected `tool_use_id`"),
            ("/messages/1/content/3/id", json!("call_1"), "must be unique"),
            ("/messages/1/content/2/id", json!("call 1"), "tool_use.id: String should match"),
            ("/messages/1/content/2/name", json!("my.tool"), "tool_use.name: String should match"),
            ("/messages/1/content/2/name", json!("x".repeat(129)), "tool_use.name: String should match"),
            ("/messages/1/content/2/input", json!("ls"), "valid dictionary"),
            ("/messages/2/content/0/is_error", json!("yes"), "valid boolean"),
            ("/messages/2/content/0/content", json!(7), "valid string or list"),
            ("/messages/2/content/0/toolUseResult", json!({}), "Extra inputs"),
            ("/messages/2/content/1/content/0", json!({"type": "thinking"}), "does not match"),
            (
                "/messages/2/content/1",
                broken(
                    json!({"a": {"type": "tool_result", "tool_use_id": "call_2", "is_error": true,
                "content": []}}),
                    "/a/content/0",
                    &image,
                )["a"]
                    .clone(),
                "must be type `text`",
            ),
        ],
    );
}

#[test]
fn the_messages_api_refuses_broken_blocks() {
    let source = "/messages/4/content/1/source";
    refuses(
        |body| anthropic::problems(body, ""),
        &messages(),
        &[
            ("/messages/1/content/1/text", json!(""), "must be non-empty"),
            ("/messages/1/content/1/text", json!(" \n"), "non-whitespace"),
            ("/messages/1/content/1/text", Value::Null, "valid string"),
            ("/messages/1/content/1/type", json!("input_text"), "does not match any of the expected tags"),
            ("/messages/1/content/0/signature", json!("someone else's"), "Invalid `signature`"),
            ("/messages/1/content/0/signature", Value::Null, "signature: Field required"),
            ("/messages/1/content/0", json!({"type": "redacted_thinking", "data": "?"}), "Invalid `data`"),
            ("/messages/0", json!({"role": "user", "content": [{"type": "thinking"}]}), "not permitted in `user`"),
            (
                "/messages/1/content/0",
                json!({"type": "image", "source": {"type": "url"}}),
                "not permitted in `assistant`",
            ),
            (&format!("{source}/data"), json!("R0l*"), "invalid base64"),
            (&format!("{source}/data"), json!(""), "cannot be empty"),
            (&format!("{source}/media_type"), json!("image/png"), "does not match the provided media type"),
            (&format!("{source}/media_type"), json!("image/bmp"), "should be an image type"),
            (&format!("{source}/type"), json!("data"), "does not match any of the expected tags"),
        ],
    );
    let mark = json!({"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}});
    let marked = json!({"model": "m", "messages": [{"role": "user", "content": vec![mark; 5]}]});
    assert_eq!(
        anthropic::problems(&marked, ""),
        ["A maximum of 4 blocks with cache_control may be provided. Found 5."]
    );
}

#[test]
fn the_responses_api_refuses_broken_conversations() {
    refuses(
        openai::problems,
        &responses(),
        &[
            ("/model", Value::Null, "'model'"),
            ("/input", Value::Null, "'input'"),
            ("/input/0", json!({"type": "tool_use"}), "Invalid value: 'tool_use'"),
            ("/input/1/role", json!("tool"), "Invalid value: \"tool\""),
            ("/input/1/content/0/type", json!("text"), "Invalid value: 'text'"),
            ("/input/3/content/0/type", json!("input_text"), "Invalid value: 'input_text'"),
            ("/input/1/content/0/text", Value::Null, "'input[1].content[0].text'"),
            ("/input/1/content", json!(7), "Invalid type for 'input[1].content'"),
            ("/input/8/content/0/image_url", json!("file:///x.png"), "Expected a valid URL"),
            ("/input/3/id", json!("toolu_1"), "begins with 'msg'"),
            ("/input/3/id", json!("msg_".repeat(17)), "maximum length 64"),
            (
                "/input/3",
                json!({"type": "message", "role": "assistant", "id": "msg_1", "content": "x"}),
                "Duplicate item",
            ),
            ("/input/2/summary", Value::Null, "summary"),
            ("/input/2/summary/0", json!({"type": "text"}), "'summary_text'"),
            ("/input/2/encrypted_content", json!("hm"), "could not be verified"),
            ("/input/2/encrypted_content", Value::Null, "not found"),
            ("/input/9", json!({"type": "reasoning", "summary": []}), "required following item"),
        ],
    );
}

#[test]
fn the_responses_api_refuses_broken_pairs() {
    refuses(
        openai::problems,
        &responses(),
        &[
            ("/input/5", Value::Null, "No tool output found for function call call_1"),
            ("/input/7", Value::Null, "No tool output found for custom tool call call_2"),
            ("/input/4", Value::Null, "No tool call found"),
            (
                "/input/4",
                json!({"type": "function_call_output", "call_id": "call_1", "output": "early"}),
                "No tool call found",
            ),
            ("/input/5/type", json!("custom_tool_call_output"), "No tool call found"),
            ("/input/4/call_id", json!("c".repeat(65)), "maximum length of 64"),
            ("/input/4/call_id", Value::Null, "'input[4].call_id'"),
            ("/input/5/call_id", Value::Null, "'input[5].call_id'"),
            ("/input/4/name", json!("a.b"), "'input[4].name'"),
            ("/input/4/name", json!(""), "'input[4].name'"),
            ("/input/6/name", json!("a b"), "'input[6].name'"),
            ("/input/4/arguments", json!({}), "'input[4].arguments'"),
            ("/input/6/input", json!({}), "'input[6].input'"),
            ("/input/5/output", json!({}), "'input[5].output'"),
            ("/input/7/output/0/type", json!("text"), "input[7].output"),
        ],
    );
}

/// A request to the Gemini API that is right.
fn contents() -> Value {
    json!({
        "tools": [{"functionDeclarations": []}],
        "contents": [
            {"role": "user", "parts": [{"text": "Do it"}]},
            {"role": "model", "parts": [
                {"text": "I will."},
                {"functionCall": {"id": "1", "name": "read_file", "args": {"file_path": "a"}},
                    "thoughtSignature": "skip_thought_signature_validator"},
                {"functionCall": {"id": "2", "name": "glob", "args": {}}},
            ]},
            {"role": "user", "parts": [
                {"functionResponse": {"id": "1", "name": "read_file", "response": {"output": "x"}}},
                {"functionResponse": {"id": "2", "name": "glob", "response": {"error": "y"}}},
                {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}},
            ]},
        ],
    })
}

#[test]
fn the_gemini_api_refuses_broken_conversations() {
    let stray = json!({"functionResponse": {"id": "9", "name": "t", "response": {}}});
    refuses(
        |body| gemini::problems(body, "gemini-3.8-flash"),
        &contents(),
        &[
            ("/contents", json!([]), "contents is not specified"),
            ("/contents/0/role", json!("assistant"), "valid role"),
            ("/contents/0/parts", json!([]), "must not be empty"),
            ("/contents/0/id", json!("1"), "Unknown name \"id\""),
            ("/contents/0/parts/0/text", json!(""), "empty text"),
            ("/contents/0/parts/0/text", json!(7), "TYPE_STRING"),
            ("/contents/0/parts/0/text", Value::Null, "oneof field 'data' must"),
            ("/contents/0/parts/0/fileData", json!({}), "already set"),
            ("/contents/0/parts/0/type", json!("text"), "Unknown name"),
            ("/contents/0/parts/0/thought", json!(true), "thought part in a user turn"),
            ("/contents/0/parts/1", stray.clone(), "comes immediately after a function call turn"),
            ("/contents/0", Value::Null, "comes immediately after a user turn"),
            ("/contents/1/parts/1/thoughtSignature", json!("someone else's"), "Corrupted thought signature"),
            ("/contents/1/parts/1/thoughtSignature", Value::Null, "missing a thought_signature"),
            ("/contents/1/parts/1/functionCall/name", json!("a b"), "Invalid function name"),
            ("/contents/1/parts/1/functionCall/args", json!("ls"), "protobuf.Struct"),
            ("/contents/1/parts/1", Value::Null, "number of function response parts"),
            ("/contents/2/parts/0", Value::Null, "number of function response parts"),
            ("/contents/2/parts/2", stray, "number of function response parts"),
            ("/contents/2", Value::Null, "number of function response parts"),
            ("/contents/2/parts/0/functionResponse/response", json!("x"), "protobuf.Struct"),
            ("/contents/2/parts/0/functionResponse/name", json!(""), "Name cannot be empty"),
            ("/contents/2/parts/2/inlineData/mimeType", json!("image/bmp"), "Unsupported MIME type"),
            ("/contents/2/parts/2/inlineData/data", json!("*"), "Base64"),
        ],
    );
}
