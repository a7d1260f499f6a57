//! A response item as messages of the model: the same for the log and for the live conversation.

use super::record::{self, Item, Part, Passthrough, Raw};
use crate::model::message::{Block, ImageKind, ImageSource, Message, Role, raw, wrap_input};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::VecDeque;

/// Where an item stands, and what was said before it.
pub(super) struct Context<'a> {
    pub(super) stream: &'a str,
    pub(super) line: u64,
    /// Counts the items of one line, from 0.
    pub(super) item: usize,
    pub(super) timestamp: Option<Timestamp>,
    pub(super) turn: Option<&'a str>,
    pub(super) model: Option<&'a str>,
    /// The sub-agent whose stream this is.
    pub(super) agent: Option<&'a str>,
    /// The text of the compaction that the item belongs to.
    pub(super) summary: Option<&'a str>,
}

impl Context<'_> {
    /// A message at this place. A sub-agent's rollout may repeat its parent's items with their ids, so in its stream
    /// only the place names a message.
    pub(super) fn message(&self, native_id: Option<String>, role: Role) -> Message {
        let id = match native_id {
            Some(id) if self.agent.is_none() => id,
            _ => format!("{}:{}.{}", self.stream, self.line, self.item),
        };
        let mut message = Message::new(id, role);
        message.timestamp = self.timestamp;
        message.turn_id = self.turn.map(str::to_owned);
        message.is_sidechain = self.agent.is_some();
        message.agent_id = self.agent.map(str::to_owned);
        if role == Role::Assistant {
            message.model = self.model.map(str::to_owned);
            message.provider = Some("openai");
        }
        message
    }
}

/// Appends what `payload` says. Items that only the harness needs say nothing.
pub(super) fn read(payload: &RawValue, at: &Context<'_>, out: &mut Vec<Message>) -> Result<(), String> {
    if matches!(&*record::kind_of(payload), "additional_tools" | "configuration_update" | "ghost_snapshot") {
        return Ok(());
    }
    let item: Item<'_> = record::object(payload.get())?;
    match record::string(item.kind).as_deref().unwrap_or_default() {
        "message" => out.extend(message(&item, at)?),
        "reasoning" => out.push(reasoning(&item, at)),
        "function_call" => call(&item, &name(&item), arguments(item.arguments), at, out),
        "custom_tool_call" => call(&item, &name(&item), free_form(item.input), at, out),
        "local_shell_call" => call(&item, "local_shell", arguments(item.action), at, out),
        "tool_search_call" => call(&item, "tool_search", arguments(item.arguments), at, out),
        "web_search_call" => hosted(&item, "web_search", arguments(item.action), at, out),
        "image_generation_call" => hosted(&item, "image_generation", wrap_input(""), at, out),
        "function_call_output" | "custom_tool_call_output" => result(&item, item.output, at, out),
        "tool_search_output" => result(&item, item.output.or(item.tools), at, out),
        _ => {}
    }
    Ok(())
}

/// Texts that the harness writes in the person's name. Newer files mark them, older ones are told by these beginnings.
const HARNESS: [&str; 15] = [
    "<environment_context>",
    "<ENVIRONMENT_CONTEXT>",
    "<user_instructions>",
    "# AGENTS.md instructions",
    "<turn_aborted>",
    "<user_shell_command>",
    "<skill>",
    "<skills_instructions>",
    "<subagent_notification>",
    "<permissions instructions>",
    "<collaboration_mode>",
    "<model_switch>",
    "<multi_agent",
    "<goal_context>",
    "<hook_prompt",
];

/// How the client introduces the summary of a compaction to the model.
const SUMMARY: &str = "Another language model started to solve this problem and produced a summary";

fn message(item: &Item<'_>, at: &Context<'_>) -> Result<Option<Message>, String> {
    let role = match record::string(item.role).as_deref() {
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("developer") => Role::Developer,
        Some("system") => Role::System,
        _ => return Err("a message without a known role".to_owned()),
    };
    let mut message = at.message(record::owned(item.id), role);
    message.content = content(item.content);
    if role == Role::User {
        unwrap_images(&mut message.content);
    }
    if message.content.is_empty() {
        return Ok(None);
    }
    if let Some(phase) = record::owned(item.phase) {
        message.metadata.insert("phase".to_owned(), phase.into());
    }
    let kinds = kinds(item);
    if role == Role::User && is_summary(&message, &kinds, at.summary) {
        message.role = Role::System;
        message.content = vec![Block::Summary { text: message.text(), through: None }];
    } else {
        message.is_meta = match role {
            Role::User => is_harness(&message, &kinds),
            Role::Developer | Role::System => true,
            Role::Assistant | Role::Tool => false,
        };
    }
    Ok(Some(message))
}

fn kinds(item: &Item<'_>) -> Vec<String> {
    let passthrough: Option<Passthrough<'_>> = record::fields(item.passthrough);
    let kinds = record::elements(passthrough.and_then(|p| p.content_item_kinds));
    kinds.into_iter().filter_map(|kind| record::owned(Some(kind))).filter(|kind| kind != "unknown").collect()
}

fn is_harness(message: &Message, kinds: &[String]) -> bool {
    if !kinds.is_empty() {
        return !kinds.iter().any(|kind| kind.starts_with("user."));
    }
    message.content.iter().all(|block| match block {
        Block::Text(text) => HARNESS.iter().any(|start| text.trim_start().starts_with(start)),
        _ => false,
    })
}

fn is_summary(message: &Message, kinds: &[String], summary: Option<&str>) -> bool {
    let text = message.text();
    kinds.iter().any(|kind| kind == "compaction.summary")
        || text.starts_with(SUMMARY)
        || summary.is_some_and(|summary| !summary.is_empty() && summary == text)
}

/// The client puts `<image name=… path=…>` and `</image>` around a picture. That is markup for the model, not the
/// person's words: the client does not show it either.
fn unwrap_images(content: &mut Vec<Block>) {
    let is_image = |block: Option<&Block>| matches!(block, Some(Block::Image(_)));
    let is_markup = |index: usize| match &content[index] {
        Block::Text(text) if text.starts_with("<image name=") => is_image(content.get(index + 1)),
        Block::Text(text) if text == "</image>" => index > 0 && is_image(content.get(index - 1)),
        _ => false,
    };
    let mut markup: VecDeque<bool> = (0..content.len()).map(is_markup).collect();
    content.retain(|_| !markup.pop_front().unwrap_or_default());
}

/// The blocks of a message; a bare string counts as one text.
fn content(raw: Raw<'_>) -> Vec<Block> {
    if let Some(text) = record::string(raw) {
        return vec![Block::Text(text.into_owned())];
    }
    record::elements(raw).into_iter().filter_map(part).collect()
}

fn part(raw: &RawValue) -> Option<Block> {
    let part: Part<'_> = record::fields(Some(raw))?;
    match record::string(part.kind)?.as_ref() {
        "input_text" | "output_text" | "text" => Some(Block::Text(record::string(part.text)?.into_owned())),
        "input_image" => Some(Block::Image(image(&record::string(part.image_url)?))),
        _ => Some(Block::Other(raw.to_owned())),
    }
}

/// An image by its address, which nearly always is a data URL.
pub(super) fn image(url: &str) -> ImageSource {
    let inline = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    match inline {
        Some((media_type, data)) => ImageSource {
            kind: ImageKind::Base64,
            data: data.to_owned(),
            media_type: Some(media_type.to_owned()).filter(|m| !m.is_empty()),
        },
        None => ImageSource { kind: ImageKind::Url, data: url.to_owned(), media_type: None },
    }
}

fn reasoning(item: &Item<'_>, at: &Context<'_>) -> Message {
    let texts = |raw: Raw<'_>| {
        let parts = record::elements(raw).into_iter().filter_map(|p| record::fields::<Part<'_>>(Some(p)));
        parts.filter_map(|p| record::owned(p.text)).collect::<Vec<_>>().join("\n\n")
    };
    let text = texts(item.content);
    let summary = Some(texts(item.summary)).filter(|summary| !summary.is_empty());
    let redacted = text.is_empty() && item.encrypted_content.is_some();
    let mut message = at.message(record::owned(item.id), Role::Assistant);
    message.content.push(Block::Thinking { text, signature: None, redacted, summary });
    message
}

fn name(item: &Item<'_>) -> String {
    record::owned(item.name).unwrap_or_else(|| "unknown".to_owned())
}

/// A call's arguments: a JSON object in a string. Models do write broken ones, which are kept as the string they are.
fn arguments(arguments: Raw<'_>) -> Box<RawValue> {
    let Some(text) = record::string(arguments) else {
        return arguments.filter(|raw| raw.get().starts_with('{')).map_or_else(|| wrap_input(""), ToOwned::to_owned);
    };
    let is_object = text.trim_start().starts_with('{');
    match RawValue::from_string(text.trim().to_owned()) {
        Ok(object) if is_object => object,
        _ => wrap_input(&text),
    }
}

fn free_form(input: Raw<'_>) -> Box<RawValue> {
    wrap_input(&record::string(input).unwrap_or_default())
}

fn call(item: &Item<'_>, name: &str, input: Box<RawValue>, at: &Context<'_>, out: &mut Vec<Message>) {
    let mut message = at.message(record::owned(item.id), Role::Assistant);
    let id = record::owned(item.call_id).unwrap_or_else(|| message.id.clone());
    message.content.push(Block::ToolUse { id, name: name.to_owned(), input });
    if let Some(namespace) = record::owned(item.namespace) {
        message.metadata.insert("namespace".to_owned(), namespace.into());
    }
    out.push(message);
}

/// A tool that the model's maker ran: the item holds the call, and of the result only that it ended.
fn hosted(item: &Item<'_>, name: &str, input: Box<RawValue>, at: &Context<'_>, out: &mut Vec<Message>) {
    call(item, name, input, at, out);
    let Some(id) = out.last().map(|call| call.id.clone()) else { return };
    let status = record::owned(item.status).unwrap_or_else(|| "completed".to_owned());
    let mut message = at.message(Some(format!("{id}.result")), Role::Tool);
    if at.agent.is_some() {
        message.id = format!("{id}.result");
    }
    let id = record::owned(item.call_id).unwrap_or(id);
    let is_error = status == "failed";
    message.content.push(Block::ToolResult { id, content: status, is_error, exit_code: None, duration_ms: None });
    if let Some(data) = record::owned(item.result) {
        let media_type = Some("image/png".to_owned());
        message.content.push(Block::Image(ImageSource { kind: ImageKind::Base64, data, media_type }));
    }
    out.push(message);
}

fn result(item: &Item<'_>, output: Raw<'_>, at: &Context<'_>, out: &mut Vec<Message>) {
    let mut message = at.message(record::owned(item.id), Role::Tool);
    let (content, images) = output_text(output);
    let Outcome { exit_code, duration_ms, is_error } = outcome(&content);
    let id = record::owned(item.call_id).unwrap_or_else(|| "unknown".to_owned());
    message.content.push(Block::ToolResult { id, content, is_error, exit_code, duration_ms });
    message.content.extend(images);
    out.push(message);
}

/// An output is a text, or texts and images; a client of 2025 wrapped the text in `{"content"}`.
fn output_text(output: Raw<'_>) -> (String, Vec<Block>) {
    #[derive(Deserialize)]
    struct Wrapped<'a> {
        #[serde(borrow)]
        content: Raw<'a>,
    }
    if let Some(text) = record::string(output) {
        return (text.into_owned(), Vec::new());
    }
    if let Some(Wrapped { content: Some(content) }) = record::fields(output) {
        return output_text(Some(content));
    }
    let (mut joined, mut images) = (String::new(), Vec::new());
    for block in content(output) {
        match block {
            Block::Text(text) => {
                if !joined.is_empty() && !joined.ends_with('\n') {
                    joined.push('\n');
                }
                joined.push_str(&text);
            }
            Block::Image(source) => images.push(Block::Image(source)),
            Block::Other(raw) => joined.push_str(raw.get()),
            _ => {}
        }
    }
    (joined, images)
}

/// What a tool's text says about how it went.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Outcome {
    pub(super) exit_code: Option<i64>,
    pub(super) duration_ms: Option<u64>,
    pub(super) is_error: bool,
}

/// How the client begins the output of a call that failed before or without an exit code.
const FAILURES: [&str; 8] = [
    "apply_patch verification failed",
    "aborted by user",
    "unsupported call: ",
    "unsupported custom tool call: ",
    "Script failed",
    "write_stdin failed",
    "exec_command failed",
    "failed to parse function arguments",
];

/// Reads the header that newer clients put before an output, or the JSON that older ones wrapped it in.
pub(super) fn outcome(text: &str) -> Outcome {
    let mut outcome = if text.starts_with(r#"{"output":"#) { wrapped_outcome(text) } else { header_outcome(text) };
    outcome.is_error = outcome.exit_code.is_some_and(|code| code != 0)
        || text == "aborted"
        || FAILURES.iter().any(|mark| text.starts_with(mark));
    outcome
}

fn wrapped_outcome(text: &str) -> Outcome {
    #[derive(Deserialize)]
    struct Wrapped {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    struct Metadata {
        exit_code: Option<i64>,
        duration_seconds: Option<f64>,
    }
    let Ok(Wrapped { metadata }) = serde_json::from_str(text) else { return Outcome::default() };
    let duration_ms = metadata.duration_seconds.map(|seconds| (seconds * 1000.0) as u64);
    Outcome { exit_code: metadata.exit_code, duration_ms, is_error: false }
}

fn header_outcome(text: &str) -> Outcome {
    let mut outcome = Outcome::default();
    if !["Chunk ID: ", "Wall time", "Exit code", "Script "].iter().any(|start| text.starts_with(start)) {
        return outcome;
    }
    for line in text.lines().take(6).take_while(|line| *line != "Output:") {
        let code = ["Process exited with code ", "Exit code: ", "Exit code "].iter().find_map(|p| line.strip_prefix(p));
        if let Some(code) = code {
            outcome.exit_code = code.trim().parse().ok();
        } else if let Some(wall) = line.strip_prefix("Wall time") {
            let seconds = wall.trim_start_matches(':').trim().split(' ').next().and_then(|s| s.parse::<f64>().ok());
            outcome.duration_ms = seconds.map(|seconds| (seconds * 1000.0) as u64);
        }
    }
    outcome
}

/// A command, patch or MCP call that ran inside a script of code mode: it has no response item, so only the display
/// item tells of it. Two messages, the call and its result.
pub(super) fn nested(item: &record::DisplayItem<'_>, at: &Context<'_>, within: Option<&str>, out: &mut Vec<Message>) {
    let Some(id) = record::owned(item.id) else { return };
    let Some((name, input, content)) = nested_call(item) else { return };
    let exit_code = item.exit_code.and_then(|raw| serde_json::from_str::<i64>(raw.get()).ok());
    let is_error = exit_code.is_some_and(|code| code != 0) || record::string(item.status).as_deref() == Some("failed");
    let blocks = [
        (Role::Assistant, String::new(), Block::ToolUse { id: id.clone(), name, input }),
        (Role::Tool, ".result".to_owned(), {
            Block::ToolResult { id: id.clone(), content, is_error, exit_code, duration_ms: None }
        }),
    ];
    for (role, suffix, block) in blocks {
        let mut message = at.message(None, role);
        message.id = if at.agent.is_none() { id.clone() + &suffix } else { message.id + &suffix };
        message.metadata.insert("nested_in".to_owned(), within.into());
        message.content.push(block);
        out.push(message);
    }
}

/// Name, input and result text.
fn nested_call(item: &record::DisplayItem<'_>) -> Option<(String, Box<RawValue>, String)> {
    let text = |raw: Raw<'_>| record::string(raw).unwrap_or_default().into_owned();
    match record::string(item.kind)?.as_ref() {
        "CommandExecution" => {
            let words: Vec<String> = serde_json::from_str(item.command?.get()).ok()?;
            let cmd = match words.as_slice() {
                [_, flag, script] if flag == "-lc" || flag == "-c" => script.clone(),
                words => words.iter().map(|w| crate::model::action::quoted(w)).collect::<Vec<_>>().join(" "),
            };
            let cwd = record::string(item.cwd).map(|cwd| cwd.strip_prefix("file://").unwrap_or(&cwd).to_owned());
            let input = serde_json::json!({"cmd": cmd, "workdir": cwd});
            Some(("exec_command".to_owned(), raw(&input), text(item.aggregated_output)))
        }
        "FileChange" => {
            let input = serde_json::json!({"changes": item.changes});
            Some(("apply_patch".to_owned(), raw(&input), text(item.stdout) + &text(item.stderr)))
        }
        "McpToolCall" | "DynamicToolCall" => {
            let tool = record::owned(item.tool)?;
            let name = record::owned(item.server).map_or_else(|| tool.clone(), |server| format!("{server}__{tool}"));
            let result = item.result.map(|raw| raw.get().to_owned()).unwrap_or_default();
            Some((name, arguments(item.arguments), result))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outcome_stands_in_the_header_only() {
        let failed =
            outcome("Chunk ID: 1\nWall time: 0.5 seconds\nProcess exited with code 3\nOutput:\nExit code: 9\n");
        assert_eq!(failed, Outcome { exit_code: Some(3), duration_ms: Some(500), is_error: true });
        let old = outcome(r#"{"output":"hi\n","metadata":{"exit_code":0,"duration_seconds":0.25}}"#);
        assert_eq!(old, Outcome { exit_code: Some(0), duration_ms: Some(250), is_error: false });
        assert_eq!(outcome("hello\nProcess exited with code 3\n"), Outcome::default());
        assert!(outcome("unsupported call: no_such_tool").is_error);
    }

    #[test]
    fn broken_arguments_are_kept_as_text() {
        let raw = RawValue::from_string(r#""{not json""#.to_owned()).unwrap();
        assert_eq!(arguments(Some(&raw)).get(), r#"{"input":"{not json"}"#);
        let raw = RawValue::from_string(r#""{\"cmd\": \"ls\"}""#.to_owned()).unwrap();
        assert_eq!(arguments(Some(&raw)).get(), r#"{"cmd": "ls"}"#);
    }
}
