//! A bubble: a piece of what one side says. A reply of the model is many of them, each with one thing: thinking, text, or a
//! tool call together with its result.

use super::call::Call;
use super::composer::{known_model, time};
use crate::model::message::{Block, CONTEXT, ImageKind, ImageSource, Message, Role, Usage};
use crate::tools::lenient::{Raw, elements, fields, owned, string};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// A bubble's JSON.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Bubble<'a> {
    #[serde(borrow, rename = "type")]
    kind: Raw<'a>,
    #[serde(borrow)]
    text: Raw<'a>,
    #[serde(borrow)]
    raw_text: Raw<'a>,
    #[serde(borrow)]
    rich_text: Raw<'a>,
    #[serde(borrow)]
    context: Raw<'a>,
    #[serde(borrow)]
    images: Raw<'a>,
    #[serde(borrow)]
    thinking: Raw<'a>,
    #[serde(borrow)]
    tool_former_data: Raw<'a>,
    #[serde(borrow)]
    code_blocks: Raw<'a>,
    #[serde(borrow)]
    created_at: Raw<'a>,
    #[serde(borrow)]
    started_at_ms: Raw<'a>,
    #[serde(borrow)]
    timestamp: Raw<'a>,
    #[serde(borrow)]
    timing_info: Raw<'a>,
    #[serde(borrow)]
    token_count: Raw<'a>,
    #[serde(borrow)]
    model_info: Raw<'a>,
    #[serde(borrow)]
    model_type: Raw<'a>,
    #[serde(borrow)]
    is_simulated_msg: Raw<'a>,
    #[serde(borrow)]
    is_plan_execution: Raw<'a>,
    #[serde(borrow)]
    is_thought: Raw<'a>,
    #[serde(borrow)]
    is_summarization: Raw<'a>,
}

/// What is known of a bubble beside its own JSON.
#[derive(Clone, Copy, Default)]
pub(super) struct Beside<'a> {
    /// Who speaks, where the bubble does not say.
    pub(super) kind: Option<&'a str>,
    /// Its call, in the oldest versions.
    pub(super) call: Raw<'a>,
    /// A call's input and result in full.
    pub(super) args: Raw<'a>,
    pub(super) output: Raw<'a>,
}

/// A picture that a bubble names; its bytes lie beside the database.
pub(super) struct Picture {
    /// The path below `workspaceStorage`, as the client writes it.
    pub(super) file: String,
}

impl Picture {
    /// The stream in which it is archived: the file's own name, which is made of a UUID.
    pub(super) fn stream(&self) -> Option<String> {
        let name = self.file.rsplit(['/', '\\']).next()?;
        let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        (is_plain && !name.starts_with('.') && name.len() < 128).then(|| format!("images/{name}"))
    }
}

impl<'a> Bubble<'a> {
    pub(super) fn of(raw: &'a RawValue) -> Option<Bubble<'a>> {
        fields(raw)
    }

    pub(super) fn parse(text: &'a str) -> Option<Bubble<'a>> {
        serde_json::from_str(text).ok().filter(|_| text.trim_start().starts_with('{'))
    }

    /// The call in it, without the empty ones.
    pub(super) fn call(&self) -> Option<Call<'a>> {
        Call::of(self.tool_former_data?)
    }

    /// Who speaks and when it began, as the client writes both.
    pub(super) fn kind_and_moment(&self) -> (Option<String>, Option<String>) {
        let text = |raw: Raw<'_>| raw.map(|raw| raw.get().to_owned());
        (text(self.kind), text(self.started_at_ms.or(self.created_at)))
    }

    pub(super) fn model(&self) -> Option<String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Info<'a> {
            #[serde(borrow)]
            model_name: Raw<'a>,
        }
        let info = self.model_info.and_then(fields::<Info<'_>>);
        info.and_then(|info| known_model(info.model_name)).or_else(|| known_model(self.model_type))
    }

    /// Zero is what the client writes where it does not know.
    pub(super) fn usage(&self) -> Option<Usage> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Tokens<'a> {
            #[serde(borrow)]
            input_tokens: Raw<'a>,
            #[serde(borrow)]
            output_tokens: Raw<'a>,
        }
        let tokens = fields::<Tokens<'_>>(self.token_count?)?;
        let count = |raw: Raw<'_>| raw.and_then(|raw| raw.get().parse::<f64>().ok()).map_or(0, |n| n.max(0.0) as u64);
        let usage = Usage {
            input_tokens: count(tokens.input_tokens),
            output_tokens: count(tokens.output_tokens),
            ..Usage::default()
        };
        (usage != Usage::default()).then_some(usage)
    }

    /// When, by the first of the places where clients of different ages write it.
    pub(super) fn timestamp(&self) -> Option<jiff::Timestamp> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Timing<'a> {
            #[serde(borrow)]
            client_rpc_send_time: Raw<'a>,
            #[serde(borrow)]
            client_end_time: Raw<'a>,
        }
        let timing = || fields::<Timing<'_>>(self.timing_info?);
        let timed = || timing().and_then(|timing| time(timing.client_rpc_send_time).or(time(timing.client_end_time)));
        time(self.created_at).or_else(|| time(self.started_at_ms)).or_else(|| time(self.timestamp)).or_else(timed)
    }

    /// The pictures that lie in files.
    pub(super) fn pictures(&self) -> Vec<Picture> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Context<'a> {
            #[serde(borrow)]
            selected_images: Raw<'a>,
        }
        #[derive(Deserialize)]
        struct Selected<'a> {
            #[serde(borrow)]
            path: Raw<'a>,
        }
        let selected = self.context.and_then(fields::<Context<'_>>).map(|context| elements(context.selected_images));
        let selected = selected.into_iter().flatten().filter_map(fields::<Selected<'_>>);
        selected.filter_map(|image| Some(Picture { file: owned(image.path)? })).collect()
    }

    /// What it says: mostly one message, with a call's result a second one. `Err` tells why it says nothing.
    pub(super) fn messages(&self, id: &str, beside: Beside<'_>) -> Result<Vec<Message>, String> {
        let own = self.kind.map(RawValue::get).filter(|kind| *kind != "null");
        let mut messages = match own.or(beside.kind).unwrap_or("2") {
            "1" | r#""user""# => self.prompt(id).into_iter().collect(),
            "2" | r#""ai""# | r#""assistant""# => self.reply(id, beside),
            other => return Err(format!("a bubble of the unknown type {other}")),
        };
        for message in &mut messages {
            message.timestamp = self.timestamp();
        }
        Ok(messages)
    }

    fn text(&self) -> Option<String> {
        owned(self.text).or_else(|| owned(self.raw_text)).filter(|text| !text.trim().is_empty())
    }

    fn prompt(&self, id: &str) -> Option<Message> {
        let text = self.text().or_else(|| rich_text(&owned(self.rich_text)?));
        let text = text.map(|text| query(&text).map_or(text.clone(), str::to_owned));
        let mut message = Message::new(id, Role::User);
        message.content.extend(text.map(Block::Text));
        message.content.extend(self.attached().into_iter().map(Block::Text));
        message.content.extend(self.images().into_iter().map(Block::Image));
        let is = |raw: Raw<'_>| raw.is_some_and(|raw| raw.get() == "true");
        if is(self.is_simulated_msg) || is(self.is_plan_execution) {
            message.is_meta = true;
            message.metadata.insert(CONTEXT.into(), "simulated".into());
        }
        (!message.content.is_empty()).then_some(message)
    }

    /// Code and terminal output that the person added to the prompt.
    fn attached(&self) -> Vec<String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Context<'a> {
            #[serde(borrow)]
            selections: Raw<'a>,
            #[serde(borrow)]
            terminal_selections: Raw<'a>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Selection<'a> {
            #[serde(borrow)]
            text: Raw<'a>,
            #[serde(borrow)]
            raw_text: Raw<'a>,
        }
        let Some(context) = self.context.and_then(fields::<Context<'_>>) else { return Vec::new() };
        let all = elements(context.selections).into_iter().chain(elements(context.terminal_selections));
        all.filter_map(fields::<Selection<'_>>).filter_map(|s| owned(s.text).or_else(|| owned(s.raw_text))).collect()
    }

    /// Pictures in files, then those inside of the bubble; one may stand in both places.
    fn images(&self) -> Vec<ImageSource> {
        let in_files = self.pictures();
        let path = |picture: &Picture| {
            let data = picture.stream()?;
            Some(ImageSource { kind: ImageKind::Path, data, media_type: None })
        };
        let mut images: Vec<ImageSource> = in_files.iter().filter_map(path).collect();
        images.extend(elements(self.images).into_iter().filter_map(|raw| {
            let image = fields::<InlineImage<'_>>(raw)?;
            let uuid = owned(image.uuid)?;
            let is_there = in_files.iter().any(|picture| picture.file.contains(&uuid));
            if is_there { None } else { image.source() }
        }));
        images
    }

    fn reply(&self, id: &str, beside: Beside<'_>) -> Vec<Message> {
        let mut blocks: Vec<Block> = self.thinking().into_iter().collect();
        let call = self.tool_former_data.or(beside.call).and_then(Call::of);
        let is = |raw: Raw<'_>| raw.is_some_and(|raw| raw.get() == "true");
        if let Some(text) = self.text() {
            // Old clients set the mark on tool calls too, where it means nothing.
            let is_thought = is(self.is_thought) && self.tool_former_data.is_none();
            blocks.push(match () {
                () if is_thought => thought(text, None),
                () if is(self.is_summarization) => Block::Summary { text, through: None },
                () => Block::Text(self.with_code(text)),
            });
        }
        let called = call.map(|call| call.blocks(id, beside.args, beside.output));
        let (call, result) = called.map_or((None, None), |(call, result)| (Some(call), result));
        blocks.extend(call);
        let is_summary = matches!(blocks.as_slice(), [Block::Summary { .. }]);
        let mut reply = Message::new(id, if is_summary { Role::System } else { Role::Assistant });
        reply.content = blocks;
        reply.usage = self.usage();
        reply.model = self.model();
        let mut messages = Vec::new();
        messages.extend((!reply.content.is_empty()).then_some(reply));
        messages.extend(result.map(|result| {
            let mut message = Message::new(format!("{id}_result"), Role::Tool);
            message.content.push(result);
            message
        }));
        messages
    }

    fn thinking(&self) -> Option<Block> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Thinking<'a> {
            #[serde(borrow)]
            text: Raw<'a>,
            #[serde(borrow)]
            signature: Raw<'a>,
            #[serde(borrow, rename = "redactedThinking")]
            redacted: Raw<'a>,
        }
        if let Some(text) = owned(self.thinking) {
            return Some(thought(text, None));
        }
        let thinking = fields::<Thinking<'_>>(self.thinking?)?;
        let is_redacted = owned(thinking.redacted).is_some();
        match owned(thinking.text).filter(|text| !text.trim().is_empty()) {
            Some(text) => Some(thought(text, owned(thinking.signature))),
            None => is_redacted.then(redacted),
        }
    }

    /// The oldest clients kept code that the model wrote beside the text.
    fn with_code(&self, mut text: String) -> String {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Code<'a> {
            #[serde(borrow)]
            content: Raw<'a>,
            #[serde(borrow)]
            language_id: Raw<'a>,
        }
        for code in elements(self.code_blocks).into_iter().filter_map(fields::<Code<'_>>) {
            if let Some(content) = owned(code.content).filter(|content| !text.contains(content.trim())) {
                let language = string(code.language_id).unwrap_or_default();
                text = format!("{text}\n\n```{language}\n{content}\n```");
            }
        }
        text
    }
}

fn thought(text: String, signature: Option<String>) -> Block {
    Block::Thinking { text, signature, redacted: false, summary: None }
}

/// What the model thought and the client kept to itself.
pub(super) fn redacted() -> Block {
    Block::Thinking { text: String::new(), signature: None, redacted: true, summary: None }
}

/// What the person asked, where the client wrapped it.
pub(super) fn query(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("<user_query>")?;
    let (query, _) = rest.rsplit_once("</user_query>")?;
    let query = query.strip_prefix('\n').unwrap_or(query);
    Some(query.strip_suffix('\n').unwrap_or(query))
}

/// The text in an editor's tree, whichever editor's: its leaves.
fn rich_text(tree: &str) -> Option<String> {
    fn leaves(value: &serde_json::Value, out: &mut String) {
        match value {
            serde_json::Value::Object(fields) => {
                if let Some(text) = fields.get("text").and_then(serde_json::Value::as_str) {
                    out.push_str(text);
                }
                fields.values().for_each(|value| leaves(value, out));
            }
            serde_json::Value::Array(values) => values.iter().for_each(|value| leaves(value, out)),
            _ => {}
        }
    }
    let mut text = String::new();
    leaves(&serde_json::from_str(tree).ok()?, &mut text);
    Some(text).filter(|text| !text.trim().is_empty())
}

/// A picture inside of the bubble: an object whose names are the numbers of its bytes.
#[derive(Deserialize)]
struct InlineImage<'a> {
    #[serde(borrow)]
    uuid: Raw<'a>,
    #[serde(borrow)]
    data: Raw<'a>,
}

impl InlineImage<'_> {
    fn source(&self) -> Option<ImageSource> {
        let bytes: BTreeMap<u32, u8> = serde_json::from_str(self.data?.get()).ok()?;
        let bytes: Vec<u8> = bytes.into_values().collect();
        let media_type = media_type(&bytes)?.to_owned();
        Some(ImageSource { kind: ImageKind::Base64, data: BASE64_STANDARD.encode(bytes), media_type: Some(media_type) })
    }
}

/// What kind of picture the bytes are; `None` where they are none.
pub(super) fn media_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}
