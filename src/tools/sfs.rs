//! The portable .sfs form, read: written by other programs, by the published `SessionFS` 0.1, or by hand. One message a
//! line in the model's own shape.
//!
//! Nobody promises that such a file keeps to the schema. A field of the wrong type counts as absent, a block that can't be
//! understood is kept as it is, a line that is no message is noted. Writing the form is [`crate::export`]'s work.

use super::{Format, Line, Reader, Reading, Source, StreamInfo};
use crate::error::{Error, Result};
use crate::model::conversation::Conversation;
use crate::model::ledger::SUB_AGENT_MESSAGES;
use crate::model::message::{Block, ImageKind, ImageSource, Message, Role, Usage, raw};
use crate::model::observation::{Observation, TitleRank};
use crate::model::usage::UsageRecord;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// A larger picture beside the messages stays a path.
const IMAGE_LIMIT: u64 = 16 << 20;

/// Reads the messages. It needs no memory: every line stands for itself.
pub struct SfsReader;

impl Reader for SfsReader {
    fn line(&mut self, line: Line<'_>, out: &mut Reading) {
        let bytes = line.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line.bytes).trim_ascii();
        if bytes.is_empty() {
            return;
        }
        match Fields::of(bytes).ok_or("not a JSON object").and_then(|fields| message(&fields, line)) {
            Ok(message) => tell(message, out),
            Err(reason) => out.notes.push(reason.to_owned()),
        }
    }

    fn state(&self) -> String {
        String::new()
    }
}

/// What the manifest or the workspace says of the session, whichever `bytes` are.
pub fn observations(bytes: &[u8]) -> Vec<Observation> {
    let document: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let text = |pointer: &str| {
        let text = document.pointer(pointer).and_then(Value::as_str);
        text.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let at = |pointer: &str| text(pointer).and_then(|text| text.parse::<Timestamp>().ok());
    let all = [
        text("/title").map(|title| Observation::Title(TitleRank::Generated, title)),
        text("/model/model_id").map(Observation::Model),
        text("/source/tool_version").map(Observation::ToolVersion),
        text("/source/interface").map(Observation::Interface),
        at("/created_at").map(Observation::Activity),
        at("/updated_at").map(Observation::Activity),
        text("/root_path").map(Observation::Project),
        text("/git/branch").map(Observation::GitBranch),
        text("/git/commit_sha").map(Observation::GitCommit),
        text("/git/remote_url").map(Observation::GitRemote),
    ];
    all.into_iter().flatten().collect()
}

/// The live conversation: the messages in the order of the file, without those of sub-agents, and without those for which
/// a later summary says that it stands. Where a person went back and said something else, both are in it: foreign files
/// link their messages in too many ways to tell.
pub(super) fn live(source: &dyn Source) -> Result<Conversation<'_>> {
    let main = source.newest("main").ok_or_else(|| {
        Error::not_found(format!("session {} has no messages", source.native_id()))
            .hint("its files are archived all the same: sfs export ID --format sfs")
    })?;
    let mut log = Log::default();
    let mut reading = Reading::default();
    source.for_each_line(main, 0, &mut |line| {
        SfsReader.line(line, &mut reading);
        reading.messages.drain(..).for_each(|message| log.add(message, line));
        reading.clear();
        Ok(ControlFlow::Continue(()))
    })?;
    let mut left_out = vec![
        (SUB_AGENT_MESSAGES, "the main conversation has their results only", log.sidechains),
        ("nested messages", "the call around them tells the same", log.nested),
        ("messages before a compaction", "the summary stands for them", log.summarized),
    ];
    left_out.retain(|(_, _, count)| *count > 0);
    let messages = log.live.into_iter().filter_map(move |place| message_at(source, main, &place).transpose());
    Ok(Conversation { messages: Box::new(messages), left_out })
}

/// Which messages are live, and how many are not.
#[derive(Default)]
struct Log {
    live: Vec<Place>,
    sidechains: u64,
    nested: u64,
    summarized: u64,
}

/// Where a message stands.
struct Place {
    id: String,
    number: u64,
    offset: u64,
    length: u64,
}

impl Log {
    fn add(&mut self, message: Message, line: Line<'_>) {
        if message.is_sidechain {
            self.sidechains += 1;
            return;
        }
        // The call around it, which the model made, tells the same.
        if message.metadata.contains_key("nested_in") {
            self.nested += 1;
            return;
        }
        for block in &message.content {
            if let Block::Summary { through: Some(last), .. } = block
                && let Some(at) = self.live.iter().rposition(|place| place.id == *last)
            {
                self.summarized += self.live.drain(..=at).len() as u64;
            }
        }
        self.live.push(Place {
            id: message.id,
            number: line.number,
            offset: line.offset,
            length: line.bytes.len() as u64,
        });
    }
}

fn message_at(source: &dyn Source, stream: &StreamInfo, place: &Place) -> Result<Option<Message>> {
    let bytes = source.bytes(stream, place.offset, place.length)?;
    let mut reading = Reading::default();
    let line = Line { stream: &stream.name, number: place.number, offset: place.offset, bytes: &bytes };
    SfsReader.line(line, &mut reading);
    let Some(mut message) = reading.messages.pop() else { return Ok(None) };
    take_pictures_in(source, &mut message)?;
    Ok(Some(message))
}

/// A picture that lies beside the messages was archived as a stream of the same name: it goes into the message, which may
/// be on its way to where that file is not.
pub fn take_pictures_in(source: &dyn Source, message: &mut Message) -> Result<()> {
    for block in &mut message.content {
        let Block::Image(image) = block else { continue };
        let Some(file) = source.newest(&image.data).filter(|_| image.kind == ImageKind::Path) else { continue };
        if file.format == Format::File && file.length <= IMAGE_LIMIT {
            let media_type = image.media_type.take().or_else(|| media_type(&file.name).map(str::to_owned));
            let data = base64(&source.bytes(file, 0, file.length)?);
            *image = ImageSource { kind: ImageKind::Base64, data, media_type };
        }
    }
    Ok(())
}

fn media_type(name: &str) -> Option<&'static str> {
    match name.rsplit('.').next()?.to_ascii_lowercase().as_str() {
        "png" => Some("image/png"),
        "jpg" | "jpeg" => Some("image/jpeg"),
        "gif" => Some("image/gif"),
        "webp" => Some("image/webp"),
        _ => None,
    }
}

/// RFC 4648, padded.
fn base64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// A JSON object whose values are looked at one by one, so that one bad field does not spoil the others.
struct Fields<'a>(BTreeMap<Cow<'a, str>, &'a RawValue>);

impl<'a> Fields<'a> {
    fn of(bytes: &'a [u8]) -> Option<Fields<'a>> {
        serde_json::from_slice(bytes).ok().map(Fields)
    }

    fn raw(&self, key: &str) -> Option<&'a RawValue> {
        self.0.get(key).copied()
    }

    fn get<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        serde_json::from_str(self.raw(key)?.get()).ok()
    }

    fn text(&self, key: &str) -> Option<String> {
        self.get(key)
    }

    fn is(&self, key: &str) -> bool {
        self.get(key).unwrap_or(false)
    }

    /// A count; clients write whole numbers as `12.0` too.
    fn count(&self, key: &str) -> Option<u64> {
        self.get::<f64>(key).filter(|number| *number >= 0.0).map(|number| number as u64)
    }
}

fn message(fields: &Fields<'_>, line: Line<'_>) -> Result<Message, &'static str> {
    let role = fields.get::<Role>("role").ok_or("the role is none of user, assistant, system, developer, tool")?;
    let content = fields.raw("content").map(content).unwrap_or_default();
    if content.is_empty() {
        return Err("a message without content");
    }
    let id = fields.text("msg_id").filter(|id| !id.is_empty());
    let mut message = Message::new(id.unwrap_or_else(|| format!("{}:{}.0", line.stream, line.number)), role);
    if role == Role::User && content.iter().any(|block| matches!(block, Block::ToolResult { .. })) {
        message.role = Role::Tool;
    }
    message.content = content;
    message.parent_id = fields.text("parent_msg_id");
    message.timestamp = fields.text("timestamp").and_then(|text| text.parse().ok());
    message.turn_id = fields.text("turn_id");
    message.model = fields.text("model");
    message.stop_reason = fields.get("stop_reason");
    message.usage = fields.raw("usage").and_then(usage);
    message.is_sidechain = fields.is("is_sidechain");
    message.is_meta = fields.is("is_meta");
    message.agent_id = fields.text("agent_id");
    message.metadata = fields.get("metadata").unwrap_or_default();
    if let Some(name) = fields.text("provider") {
        message.provider = provider(&name);
        if message.provider.is_none() {
            message.metadata.insert("provider".into(), name.into());
        }
    }
    Ok(message)
}

fn provider(name: &str) -> Option<&'static str> {
    ["anthropic", "openai", "google"].into_iter().find(|known| *known == name)
}

fn usage(raw: &RawValue) -> Option<Usage> {
    let fields = Fields::of(raw.get().as_bytes())?;
    let count = |key| fields.count(key).unwrap_or(0);
    Some(Usage {
        input_tokens: count("input_tokens"),
        output_tokens: count("output_tokens"),
        cache_read_tokens: count("cache_read_tokens"),
        cache_write_tokens: count("cache_write_tokens"),
        reasoning_tokens: count("reasoning_tokens"),
    })
}

fn tell(message: Message, out: &mut Reading) {
    out.observations.extend(message.timestamp.map(Observation::Activity));
    if !message.is_sidechain {
        out.observations.extend(message.model.clone().map(Observation::Model));
    }
    if let Some(usage) = message.usage {
        // Hand-made ids repeat from one session to the next; together with the moment they do not.
        let at = message.timestamp.map(|at| at.to_string()).unwrap_or_default();
        let key = format!("sfs:{}:{at}", message.id);
        out.usage.push(UsageRecord { key, timestamp: message.timestamp, model: message.model.clone(), usage });
    }
    out.messages.push(message);
}

/// Blocks; a plain string is one text.
fn content(raw: &RawValue) -> Vec<Block> {
    if let Ok(text) = serde_json::from_str::<String>(raw.get()) {
        return if text.is_empty() { Vec::new() } else { vec![Block::Text(text)] };
    }
    let blocks: Vec<&RawValue> = serde_json::from_str(raw.get()).unwrap_or_default();
    blocks.into_iter().flat_map(block).collect()
}

/// Mostly one; the pictures in a tool's result follow it.
fn block(source: &RawValue) -> Vec<Block> {
    if let Ok(text) = serde_json::from_str(source.get()) {
        return vec![Block::Text(text)];
    }
    let fields = Fields::of(source.get().as_bytes());
    let known = fields.as_ref().and_then(|fields| known_block(fields, source));
    known.unwrap_or_else(|| vec![Block::Other(raw(&Unknown { kind: "unknown", value: source }))])
}

/// What the schema has no block for. Written without being read: it may nest deeper than a parser goes.
#[derive(Serialize)]
struct Unknown<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    value: &'a RawValue,
}

/// `None` where the block lacks what its type demands.
fn known_block(fields: &Fields<'_>, source: &RawValue) -> Option<Vec<Block>> {
    let block = match fields.text("type")?.as_str() {
        "text" => Block::Text(fields.text("text")?),
        "thinking" => Block::Thinking {
            text: fields.text("text").or_else(|| fields.text("thinking"))?,
            signature: fields.text("signature"),
            redacted: fields.is("redacted"),
            summary: fields.text("summary"),
        },
        "tool_use" => Block::ToolUse {
            id: fields.text("tool_use_id").or_else(|| fields.text("id"))?,
            name: fields.text("name")?,
            input: fields.raw("input").map_or_else(|| raw(&serde_json::Map::new()), object),
        },
        "tool_result" => return tool_result(fields),
        "image" => Block::Image(picture(&Fields::of(fields.raw("source")?.get().as_bytes())?)?),
        "summary" => Block::Summary { text: fields.text("text")?, through: fields.text("summarized_through_msg_id") },
        _ => Block::Other(source.to_owned()),
    };
    Some(vec![block])
}

/// An input is an object; anything else is put into one.
fn object(input: &RawValue) -> Box<RawValue> {
    #[derive(Serialize)]
    struct Input<'a> {
        input: &'a RawValue,
    }
    if input.get().starts_with('{') { input.to_owned() } else { raw(&Input { input }) }
}

/// The schema wants a string; some write blocks, as the API has them.
fn tool_result(fields: &Fields<'_>) -> Option<Vec<Block>> {
    let id = fields.text("tool_use_id")?;
    let answer = fields.raw("content").map(content).unwrap_or_default();
    let (mut texts, mut pictures) = (Vec::new(), Vec::new());
    for block in answer {
        match block {
            Block::Text(text) => texts.push(text),
            Block::Image(_) => pictures.push(block),
            other => texts.push(serde_json::to_string(&other).unwrap_or_default()),
        }
    }
    let result = Block::ToolResult {
        id,
        content: texts.join("\n"),
        is_error: fields.is("is_error"),
        exit_code: fields.get("exit_code"),
        duration_ms: fields.count("duration_ms"),
    };
    Some(std::iter::once(result).chain(pictures).collect())
}

fn picture(source: &Fields<'_>) -> Option<ImageSource> {
    let kind = source.get("type")?;
    let other_name = match kind {
        ImageKind::Base64 => "base64",
        ImageKind::Url => "url",
        ImageKind::Path => "path",
    };
    let data = source.text("data").or_else(|| source.text(other_name))?;
    Some(ImageSource { kind, data, media_type: source.text("media_type") })
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_follows_rfc_4648() {
        let all = ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map(|text| base64(text.as_bytes()));
        assert_eq!(all, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"]);
    }
}
