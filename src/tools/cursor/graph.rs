//! The conversation's graph: what the client sends to its model, as blobs that are named by their SHA-256 (Cursor 3.16 and
//! later). Its root stands in the composer; the first field of the root lists the model's messages, which are JSON.
//!
//! Only what a root leads to is read. The store of blobs holds those of all sessions, and what no session needs any more.

use crate::id::Hash;
use crate::model::message::{Block, ImageKind, ImageSource, Message, Role, raw};
use crate::tools::lenient::{Raw, elements, fields, one_line, owned, string};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The fields of a root that we read: the model's messages, and archives of those that a summary replaced.
const MESSAGES: u64 = 1;
const ARCHIVES: [u64; 2] = [11, 13];

/// What a root lists: names of blobs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Root {
    /// The messages that the model gets, in order.
    pub(super) messages: Vec<String>,
    archives: Vec<Vec<u8>>,
}

impl Root {
    /// `None` where the state is encrypted, empty, or nothing that we know.
    pub(super) fn parse(state: &str) -> Option<Root> {
        let bytes = BASE64_STANDARD.decode(state.strip_prefix('~')?).ok()?;
        let root = pieces(&bytes)?;
        let archives = root.iter().filter(|(field, _)| ARCHIVES.contains(field)).map(|(_, bytes)| bytes.to_vec());
        let root = Root { messages: references(&root), archives: archives.collect() };
        (!root.messages.is_empty()).then_some(root)
    }

    /// Messages that a summary replaced, oldest first; `blob` reads one.
    pub(super) fn archived(&self, mut blob: impl FnMut(&str) -> Option<Vec<u8>>) -> Vec<String> {
        let mut names = Vec::new();
        for archive in &self.archives {
            let read = if archive.len() == 32 { blob(&hex(archive)) } else { Some(archive.clone()) };
            names.extend(read.as_deref().and_then(pieces).map(|pieces| references(&pieces)).unwrap_or_default());
        }
        names
    }
}

fn references(pieces: &[(u64, &[u8])]) -> Vec<String> {
    let is_reference = |(field, bytes): &&(u64, &[u8])| *field == MESSAGES && bytes.len() == 32;
    pieces.iter().filter(is_reference).map(|(_, bytes)| hex(bytes)).collect()
}

fn hex(bytes: &[u8]) -> String {
    let mut hash = [0; 32];
    hash.copy_from_slice(bytes);
    Hash(hash).hex()
}

/// The fields of a protobuf message that have a length: number and bytes. `None` where it is none.
fn pieces(mut bytes: &[u8]) -> Option<Vec<(u64, &[u8])>> {
    let mut pieces = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        match tag & 7 {
            0 => drop(varint(&mut bytes)?),
            1 => bytes = bytes.get(8..)?,
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let (piece, rest) = bytes.split_at_checked(length)?;
                pieces.push((tag >> 3, piece));
                bytes = rest;
            }
            5 => bytes = bytes.get(4..)?,
            _ => return None,
        }
    }
    Some(pieces)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 127) << shift;
        if *byte < 128 {
            return Some(value);
        }
    }
    None
}

/// True where the blob is what its name says. Some installations keep it as hexadecimal text.
pub(super) fn checked(name: &str, blob: Vec<u8>) -> Option<Vec<u8>> {
    if Hash::of(&blob).hex() == name {
        return Some(blob);
    }
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let pairs = blob.chunks(2).map(|pair| match pair {
        [high, low] => Some((digit(high)? << 4 | digit(low)?) as u8),
        _ => None,
    });
    let bytes: Vec<u8> = pairs.collect::<Option<_>>()?;
    (Hash::of(&bytes).hex() == name).then_some(bytes)
}

/// A message of the model's API.
#[derive(Deserialize)]
struct Prompt<'a> {
    #[serde(borrow)]
    role: Raw<'a>,
    #[serde(borrow)]
    content: Raw<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    #[serde(borrow, rename = "type")]
    kind: Raw<'a>,
    #[serde(borrow)]
    text: Raw<'a>,
    #[serde(borrow)]
    tool_call_id: Raw<'a>,
    #[serde(borrow)]
    tool_name: Raw<'a>,
    #[serde(borrow, alias = "input")]
    args: Raw<'a>,
    #[serde(borrow, alias = "output")]
    result: Raw<'a>,
    #[serde(borrow)]
    is_error: Raw<'a>,
    #[serde(borrow, alias = "data")]
    image: Raw<'a>,
    #[serde(borrow, alias = "mimeType")]
    media_type: Raw<'a>,
}

/// What the graph knows of a call.
#[derive(Clone, Default)]
pub(super) struct KnownCall {
    pub(super) args: Option<Box<RawValue>>,
    pub(super) output: Option<Box<RawValue>>,
}

/// Calls and results in a message: (call's id, what it says).
pub(super) fn calls(blob: &str) -> Vec<(String, KnownCall)> {
    let Some(prompt) = serde_json::from_str::<Prompt<'_>>(blob).ok() else { return Vec::new() };
    let parts = elements(prompt.content).into_iter().filter_map(fields::<Part<'_>>);
    let known = parts.filter_map(|part| {
        let id = owned(part.tool_call_id)?;
        Some((id, KnownCall { args: part.args.map(one_line), output: part.result.map(one_line) }))
    });
    known.collect()
}

/// The text of a tool's result: a string, an object around one, or whatever it is.
pub(super) fn result_text(result: &RawValue) -> String {
    #[derive(Deserialize)]
    struct Around<'a> {
        #[serde(borrow)]
        value: Raw<'a>,
    }
    let inner = fields::<Around<'_>>(result).and_then(|around| string(around.value));
    string(Some(result)).or(inner).map_or_else(|| result.get().to_owned(), Cow::into_owned)
}

/// The blob as a message with the id `id`; `None` for what the client writes anew each time, and for other blobs.
pub(super) fn message(blob: &str, id: &str) -> Option<Message> {
    let prompt: Prompt<'_> = serde_json::from_str(blob).ok()?;
    let role = match string(prompt.role)?.as_ref() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => Role::Tool,
        _ => return None,
    };
    let mut message = Message::new(id, role);
    message.content = match string(prompt.content) {
        Some(text) => vec![Block::Text(text.into_owned())],
        None => elements(prompt.content).into_iter().filter_map(fields).filter_map(|part| block(&part)).collect(),
    };
    if role == Role::User {
        message.is_meta = !take_queries(&mut message.content);
    }
    (!message.content.is_empty()).then_some(message)
}

fn block(part: &Part<'_>) -> Option<Block> {
    let call = || super::call::safe_id(&string(part.tool_call_id).unwrap_or_default());
    match string(part.kind)?.as_ref() {
        "text" => owned(part.text).map(Block::Text),
        "reasoning" => {
            Some(Block::Thinking { text: owned(part.text)?, signature: None, redacted: false, summary: None })
        }
        "tool-call" => Some(Block::ToolUse {
            id: call(),
            name: owned(part.tool_name)?,
            input: super::call::object(part.args?).unwrap_or_else(|| raw(&serde_json::Map::new())),
        }),
        "tool-result" => Some(Block::ToolResult {
            id: call(),
            content: part.result.map(result_text).unwrap_or_default(),
            is_error: part.is_error.is_some_and(|is| is.get() == "true"),
            exit_code: None,
            duration_ms: None,
        }),
        "image" | "file" => {
            let data = owned(part.image)?;
            let kind = if data.starts_with("http") { ImageKind::Url } else { ImageKind::Base64 };
            let media_type = owned(part.media_type).filter(|media_type| media_type.starts_with("image/"));
            Some(Block::Image(ImageSource { kind, data, media_type }))
        }
        _ => None,
    }
}

/// Leaves of each text what the person asked; false where no text has that, so that all is the client's own.
pub(super) fn take_queries(content: &mut [Block]) -> bool {
    let mut any = false;
    for block in content {
        match block {
            Block::Text(text) => {
                if let Some(query) = super::bubble::query(text) {
                    *text = query.to_owned();
                    any = true;
                }
            }
            Block::Image(_) => any = true,
            _ => {}
        }
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_protobuf_is_read() {
        assert_eq!(pieces(&[0x0a, 1, 7, 0x10, 0x80, 1, 0x55, 0, 0, 0, 0]), Some(vec![(1, &[7][..])]));
        for damaged in [&[0x0a, 5, 7][..], &[0x0a], &[0x80], &[0x0b, 1], &[0x09, 1], &[0xff; 12]] {
            assert_eq!(pieces(damaged), None, "{damaged:?}");
        }
        assert_eq!(Root::parse("~"), None);
        assert_eq!(Root::parse("!v2:AAAA"), None);
    }

    #[test]
    fn a_blob_may_be_written_as_hexadecimal_text() {
        let name = Hash::of(b"{}").hex();
        assert_eq!(checked(&name, b"{}".to_vec()).as_deref(), Some(&b"{}"[..]));
        assert_eq!(checked(&name, b"7b7D".to_vec()).as_deref(), Some(&b"{}"[..]));
        assert_eq!(checked(&name, b"7b7".to_vec()), None);
        assert_eq!(checked(&name, b"{} ".to_vec()), None);
    }
}
