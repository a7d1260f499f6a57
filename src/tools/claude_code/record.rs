//! One line of a Claude Code file, parsed in two steps: the envelope with borrowed texts and raw parts first, a part only
//! where it is needed. Lenient as the client is: a field of an unexpected type counts as absent, a lone surrogate (the
//! client cuts long outputs anywhere) becomes U+FFFD, unknown fields and record types are skipped.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// The envelope. Which fields a record has depends on its type and on the client's version.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "the client's own flags")]
pub(super) struct Record<'a> {
    #[serde(borrow, rename = "type", deserialize_with = "lax")]
    pub(super) kind: Option<Str<'a>>,
    #[serde(borrow, deserialize_with = "lax")]
    pub(super) subtype: Option<Str<'a>>,
    #[serde(borrow, deserialize_with = "lax")]
    pub(super) uuid: Option<Str<'a>>,
    #[serde(borrow, deserialize_with = "lax")]
    pub(super) parent_uuid: Option<Str<'a>>,
    #[serde(borrow, deserialize_with = "lax")]
    pub(super) logical_parent_uuid: Option<Str<'a>>,
    #[serde(borrow, deserialize_with = "lax")]
    pub(super) timestamp: Option<Str<'a>>,
    #[serde(borrow, deserialize_with = "lax")]
    pub(super) cwd: Option<Str<'a>>,
    #[serde(borrow, deserialize_with = "lax")]
    pub(super) version: Option<Str<'a>>,
    #[serde(borrow, deserialize_with = "lax")]
    pub(super) git_branch: Option<Str<'a>>,
    #[serde(borrow, deserialize_with = "lax")]
    pub(super) entrypoint: Option<Str<'a>>,
    #[serde(borrow, deserialize_with = "lax")]
    pub(super) agent_id: Option<Str<'a>>,
    #[serde(borrow, deserialize_with = "lax")]
    pub(super) prompt_id: Option<Str<'a>>,
    #[serde(borrow, deserialize_with = "lax")]
    pub(super) request_id: Option<Str<'a>>,
    #[serde(deserialize_with = "lax")]
    pub(super) is_sidechain: bool,
    #[serde(deserialize_with = "lax")]
    pub(super) is_meta: bool,
    #[serde(deserialize_with = "lax")]
    pub(super) is_compact_summary: bool,
    #[serde(deserialize_with = "lax")]
    pub(super) is_api_error_message: bool,
    #[serde(deserialize_with = "lax")]
    pub(super) is_aborted_mid_stream: bool,
    #[serde(borrow)]
    pub(super) message: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) attachment: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) rendered: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) tool_use_result: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) compact_metadata: Option<&'a RawValue>,
    /// `last-prompt`: the end of the live branch.
    #[serde(borrow, deserialize_with = "lax")]
    pub(super) leaf_uuid: Option<Str<'a>>,
    /// `last-prompt`: what follows `leaf_uuid` is not live.
    #[serde(deserialize_with = "lax")]
    pub(super) explicit: bool,
    #[serde(borrow, deserialize_with = "lax")]
    pub(super) custom_title: Option<Str<'a>>,
    #[serde(borrow, deserialize_with = "lax")]
    pub(super) ai_title: Option<Str<'a>>,
    #[serde(borrow, deserialize_with = "lax")]
    pub(super) summary: Option<Str<'a>>,
}

impl Record<'_> {
    pub(super) fn kind(&self) -> &str {
        text(self.kind.as_ref())
    }

    pub(super) fn timestamp(&self) -> Option<Timestamp> {
        text(self.timestamp.as_ref()).parse().ok()
    }
}

/// `message` of a user or assistant record: what went to or came from the API.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ApiMessage<'a> {
    #[serde(borrow, deserialize_with = "lax")]
    pub(super) id: Option<Str<'a>>,
    #[serde(borrow, deserialize_with = "lax")]
    pub(super) model: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) content: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "lax")]
    pub(super) stop_reason: Option<Str<'a>>,
    #[serde(deserialize_with = "lax")]
    pub(super) usage: Option<Tokens>,
}

/// One content block, whatever its type.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Piece<'a> {
    #[serde(borrow, rename = "type", deserialize_with = "lax")]
    pub(super) kind: Option<Str<'a>>,
    #[serde(borrow, deserialize_with = "lax")]
    pub(super) text: Option<Str<'a>>,
    #[serde(borrow, deserialize_with = "lax")]
    pub(super) thinking: Option<Str<'a>>,
    #[serde(borrow, deserialize_with = "lax")]
    pub(super) signature: Option<Str<'a>>,
    /// `redacted_thinking`.
    #[serde(borrow, deserialize_with = "lax")]
    pub(super) data: Option<Str<'a>>,
    #[serde(borrow, deserialize_with = "lax")]
    pub(super) id: Option<Str<'a>>,
    #[serde(borrow, deserialize_with = "lax")]
    pub(super) tool_use_id: Option<Str<'a>>,
    #[serde(borrow, deserialize_with = "lax")]
    pub(super) name: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) input: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) content: Option<&'a RawValue>,
    #[serde(deserialize_with = "lax")]
    pub(super) is_error: bool,
    #[serde(borrow, deserialize_with = "lax")]
    pub(super) source: Option<PictureSource<'a>>,
}

/// `source` of an image block.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct PictureSource<'a> {
    #[serde(borrow, rename = "type", deserialize_with = "lax")]
    pub(super) kind: Option<Str<'a>>,
    #[serde(borrow, deserialize_with = "lax")]
    pub(super) media_type: Option<Str<'a>>,
    #[serde(borrow, deserialize_with = "lax")]
    pub(super) data: Option<Str<'a>>,
    #[serde(borrow, deserialize_with = "lax")]
    pub(super) url: Option<Str<'a>>,
}

/// `usage` of a reply. `input_tokens` leaves out what the cache read or stored.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_field_names, reason = "the API's own names")]
pub(super) struct Tokens {
    #[serde(deserialize_with = "lax")]
    pub(super) input_tokens: u64,
    #[serde(deserialize_with = "lax")]
    pub(super) output_tokens: u64,
    #[serde(deserialize_with = "lax")]
    pub(super) cache_creation_input_tokens: u64,
    #[serde(deserialize_with = "lax")]
    pub(super) cache_read_input_tokens: u64,
    #[serde(deserialize_with = "lax")]
    pub(super) output_tokens_details: OutputDetails,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(super) struct OutputDetails {
    #[serde(deserialize_with = "lax")]
    pub(super) thinking_tokens: u64,
}

/// What an attachment says beside its type.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Attachment<'a> {
    #[serde(borrow, deserialize_with = "lax")]
    pub(super) filename: Option<Str<'a>>,
    /// `queued_command`: what the person typed while the model was at work.
    #[serde(borrow)]
    pub(super) prompt: Option<&'a RawValue>,
    #[serde(borrow, rename = "commandMode", deserialize_with = "lax")]
    pub(super) command_mode: Option<Str<'a>>,
    #[serde(borrow, deserialize_with = "lax")]
    pub(super) content: AttachedContent<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct AttachedContent<'a> {
    #[serde(borrow, deserialize_with = "lax")]
    pub(super) file: AttachedFile<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct AttachedFile<'a> {
    #[serde(borrow, deserialize_with = "lax")]
    pub(super) content: Option<Str<'a>>,
}

/// `toolUseResult`, as far as it tells how long a tool took.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ToolUseResult {
    #[serde(deserialize_with = "lax")]
    pub(super) duration_ms: Option<f64>,
    #[serde(deserialize_with = "lax")]
    pub(super) total_duration_ms: Option<f64>,
}

/// `compactMetadata` of a `compact_boundary`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct CompactMetadata<'a> {
    #[serde(borrow, deserialize_with = "lax")]
    pub(super) preserved_messages: Preserved<'a>,
}

/// Records from before a compaction that stay in the conversation, behind the summary.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Preserved<'a> {
    #[serde(borrow, deserialize_with = "lax")]
    pub(super) uuids: Vec<Str<'a>>,
}

/// Message content: a text, or blocks that are still raw.
pub(super) enum Content<'a> {
    Text(Cow<'a, str>),
    Blocks(Vec<&'a RawValue>),
}

impl<'a> Content<'a> {
    pub(super) fn of(raw: Option<&'a RawValue>) -> Self {
        let Some(raw) = raw else { return Content::Blocks(Vec::new()) };
        if raw.get().starts_with('"') {
            Content::Text(part::<Str<'_>>(raw).map_or(Cow::Borrowed(""), |text| text.0))
        } else {
            Content::Blocks(part(raw).unwrap_or_default())
        }
    }
}

/// A raw part as `T`; `None` where it has another shape.
pub(super) fn part<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Option<T> {
    serde_json::from_str(raw.get()).ok()
}

/// The text, empty where there is none.
pub(super) fn text<'s>(text: Option<&'s Str<'_>>) -> &'s str {
    text.map_or("", |text| &text.0)
}

/// An owned copy of a text that is there and not empty.
pub(super) fn owned(text: Option<&Str<'_>>) -> Option<String> {
    text.filter(|text| !text.0.is_empty()).map(|text| text.0.to_string())
}

/// The value of `type` where it is the first field, as in everything the client writes outside of the message tree.
/// This is what makes skipping the bulk of a file cheap.
pub(super) fn leading_type(json: &[u8]) -> Option<&[u8]> {
    let rest = json.strip_prefix(b"{\"type\":\"")?;
    memchr::memchr(b'"', rest).map(|end| &rest[..end])
}

/// A text that borrows from the line where it holds no escapes.
pub(super) struct Str<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Str<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl<'de> Visitor<'de> for Bytes {
            type Value = Str<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
                // The strict check is several times as fast as the lenient one.
                Ok(Str(std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)))
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                let text = String::from_utf8(bytes.to_vec());
                Ok(Str(Cow::Owned(text.unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
                Err(serde::de::Error::custom("not a string"))
            }
        }
        // As bytes, because serde_json refuses lone surrogates in a str but not in bytes.
        deserializer.deserialize_bytes(Bytes)
    }
}

/// Takes a field if it has the expected shape, else its default: one odd field must not cost the record.
fn lax<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    let raw = <&'de RawValue>::deserialize(deserializer)?;
    Ok(part(raw).unwrap_or_default())
}
