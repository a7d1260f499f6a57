//! A message of the .sfs model: who said what, in blocks. Every tool's reader makes these, every writer takes them.

use jiff::Timestamp;
use serde::de::{Deserializer, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The person, or the harness on the person's behalf (then `is_meta`).
    User,
    /// The model.
    Assistant,
    /// The client: summaries, notices.
    System,
    /// Instructions above the person's (Codex).
    Developer,
    /// Results of tool calls.
    Tool,
}

impl Role {
    /// The word used in .sfs files.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::System => "system",
            Role::Developer => "developer",
            Role::Tool => "tool",
        }
    }
}

/// Why the model stopped; what the schema has no word for stands in the message's metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words are the schema's own")]
pub enum StopReason {
    EndTurn,
    ToolUse,
    MaxTokens,
    Interrupted,
    StopSequence,
}

/// Tokens of one model reply. `input_tokens` does NOT include what was read from or written to the cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Fresh prompt tokens.
    pub input_tokens: u64,
    /// Everything the model wrote, thinking included.
    pub output_tokens: u64,
    /// Prompt tokens served from the cache.
    pub cache_read_tokens: u64,
    /// Prompt tokens stored into the cache.
    pub cache_write_tokens: u64,
    /// The part of `output_tokens` that was thinking, where the tool tells.
    pub reasoning_tokens: u64,
}

impl Usage {
    /// More than any reply has. A file may say anything, and sums must not overflow.
    const MOST: u64 = 1 << 40;

    /// The same, with impossible numbers cut.
    #[must_use]
    pub fn plausible(self) -> Usage {
        Usage {
            input_tokens: self.input_tokens.min(Self::MOST),
            output_tokens: self.output_tokens.min(Self::MOST),
            cache_read_tokens: self.cache_read_tokens.min(Self::MOST),
            cache_write_tokens: self.cache_write_tokens.min(Self::MOST),
            reasoning_tokens: self.reasoning_tokens.min(Self::MOST),
        }
    }
}

/// Where an image's bytes are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageSource {
    /// `base64`, `url` or `path`.
    #[serde(rename = "type")]
    pub kind: ImageKind,
    /// The base64 text, the address, or a path relative to the .sfs folder.
    pub data: String,
    /// Such as `image/png`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
}

/// How [`ImageSource::data`] is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words are the schema's own")]
pub enum ImageKind {
    Base64,
    Url,
    Path,
}

/// One piece of a message.
#[derive(Clone, Debug)]
pub enum Block {
    /// Prose.
    Text(String),
    /// The model's thinking. `signature` is the maker's and is never invented.
    Thinking {
        /// The thoughts; empty where they were redacted.
        text: String,
        /// Proof of origin, opaque.
        signature: Option<String>,
        /// True where only an encrypted form exists.
        redacted: bool,
        /// A short form meant for people (Codex).
        summary: Option<String>,
    },
    /// The model calls a tool; name and input are verbatim.
    ToolUse {
        /// Pairs the call with its result.
        id: String,
        /// The tool's name in its own vocabulary.
        name: String,
        /// A JSON object, verbatim. Free-form inputs stand as `{"input": "…"}`.
        input: Box<RawValue>,
    },
    /// What a tool answered. Its images follow as image blocks in the same message.
    ToolResult {
        /// The call's id.
        id: String,
        /// The text, never reformatted.
        content: String,
        /// The tool reported failure.
        is_error: bool,
        /// Where the tool tells.
        exit_code: Option<i64>,
        /// Where the tool tells.
        duration_ms: Option<u64>,
    },
    /// A picture.
    Image(ImageSource),
    /// What stands for earlier messages after a compaction.
    Summary {
        /// The summary.
        text: String,
        /// The last message it stands for.
        through: Option<String>,
    },
    /// Any other kind, kept whole: a JSON object with a `type`.
    Other(Box<RawValue>),
}

/// The key in [`Message::metadata`] that marks a harness text whose content the conversation stands on: the content of a
/// mentioned file, the outcome of a background agent or of a person's own command. Such a text is carried over although
/// no person wrote it; the value says which kind it is.
pub const CONTEXT: &str = "context";

/// The key in [`Message::metadata`] that marks a reply whose calls may have no result here, although they had one: the tool's
/// record does not keep them.
pub const UNRECORDED: &str = "unrecorded_results";

/// One message.
#[derive(Clone, Debug)]
pub struct Message {
    /// The tool's own id where it has one, else `<stream>:<line>.<n>`.
    pub id: String,
    /// The message this one answers or follows.
    pub parent_id: Option<String>,
    /// Who speaks.
    pub role: Role,
    /// At least one block in a message that is exported.
    pub content: Vec<Block>,
    /// When; a tool that writes none leaves it out.
    pub timestamp: Option<Timestamp>,
    /// Groups what one prompt set off.
    pub turn_id: Option<String>,
    /// The model's own name.
    pub model: Option<String>,
    /// `anthropic`, `openai`, `google`.
    pub provider: Option<&'static str>,
    /// Why the model stopped.
    pub stop_reason: Option<StopReason>,
    /// Tokens of the reply this message belongs to; see [`crate::model::usage`] for what may be summed.
    pub usage: Option<Usage>,
    /// Belongs to a sub-agent, not to the conversation with the person.
    pub is_sidechain: bool,
    /// Written by the harness, not by the person.
    pub is_meta: bool,
    /// The sub-agent it belongs to.
    pub agent_id: Option<String>,
    /// What has no field.
    pub metadata: serde_json::Map<String, serde_json::Value>,
}

impl Message {
    /// An empty message of `role`.
    pub fn new(id: impl Into<String>, role: Role) -> Self {
        Message {
            id: id.into(),
            parent_id: None,
            role,
            content: Vec::new(),
            timestamp: None,
            turn_id: None,
            model: None,
            provider: None,
            stop_reason: None,
            usage: None,
            is_sidechain: false,
            is_meta: false,
            agent_id: None,
            metadata: serde_json::Map::new(),
        }
    }

    /// True for a harness text that has to be carried over: see [`CONTEXT`].
    pub fn is_context(&self) -> bool {
        self.metadata.contains_key(CONTEXT)
    }

    /// True where a harness wrote it for its own client: another client writes its own.
    pub fn is_harness(&self) -> bool {
        let is_said = matches!(self.role, Role::User | Role::Tool) && (!self.is_meta || self.is_context());
        self.role != Role::Assistant && !is_said && !self.has_summary()
    }

    /// True where it stands for earlier messages.
    pub fn has_summary(&self) -> bool {
        self.content.iter().any(|block| matches!(block, Block::Summary { .. }))
    }

    /// True where a person typed it: this is what counts as a turn.
    pub fn is_prompt(&self) -> bool {
        self.role == Role::User
            && !self.is_meta
            && !self.is_sidechain
            && self.content.iter().any(|b| matches!(b, Block::Text(_) | Block::Image(_)))
    }

    /// How many tools it calls.
    pub fn tool_calls(&self) -> usize {
        self.content.iter().filter(|b| matches!(b, Block::ToolUse { .. })).count()
    }

    /// The text blocks, joined by line breaks.
    pub fn text(&self) -> String {
        let texts: Vec<&str> =
            self.content.iter().filter_map(|b| if let Block::Text(t) = b { Some(t.as_str()) } else { None }).collect();
        texts.join("\n")
    }

    /// Appends everything a person could search for: prose, thinking, tool names, inputs and outputs.
    /// Inputs are unescaped, so that a token after `\n` in a JSON string is a token here too.
    pub fn search_text(&self, out: &mut String) {
        self.content.iter().for_each(|block| block.search_text(out));
    }
}

impl Block {
    /// This block's part of [`Message::search_text`].
    pub fn search_text(&self, out: &mut String) {
        match self {
            Block::Text(text) | Block::Summary { text, .. } => out.push_str(text),
            Block::Thinking { text, summary, .. } => {
                out.push_str(text);
                out.push('\n');
                out.push_str(summary.as_deref().unwrap_or_default());
            }
            Block::ToolUse { name, input, .. } => {
                out.push_str(name);
                out.push('\n');
                json_text(input, out);
            }
            Block::ToolResult { content, .. } => out.push_str(content),
            Block::Image(_) => {}
            Block::Other(raw) => json_text(raw, out),
        }
        out.push('\n');
    }
}

/// Appends keys, strings and numbers of a JSON value, unescaped, without building the value.
fn json_text(raw: &RawValue, out: &mut String) {
    struct Collect<'o>(&'o mut String);
    impl<'de> serde::de::DeserializeSeed<'de> for &mut Collect<'_> {
        type Value = ();
        fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
            d.deserialize_any(self)
        }
    }
    impl<'de> Visitor<'de> for &mut Collect<'_> {
        type Value = ();
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("any JSON value")
        }
        fn visit_bool<E>(self, _: bool) -> Result<(), E> {
            Ok(())
        }
        fn visit_unit<E>(self) -> Result<(), E> {
            Ok(())
        }
        fn visit_i64<E>(self, v: i64) -> Result<(), E> {
            self.0.push_str(&v.to_string());
            self.0.push(' ');
            Ok(())
        }
        fn visit_u64<E>(self, v: u64) -> Result<(), E> {
            self.0.push_str(&v.to_string());
            self.0.push(' ');
            Ok(())
        }
        fn visit_f64<E>(self, v: f64) -> Result<(), E> {
            self.0.push_str(&v.to_string());
            self.0.push(' ');
            Ok(())
        }
        fn visit_str<E>(self, v: &str) -> Result<(), E> {
            self.0.push_str(v);
            self.0.push('\n');
            Ok(())
        }
        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
            while seq.next_element_seed(&mut *self)?.is_some() {}
            Ok(())
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            while map.next_key_seed(&mut *self)?.is_some() {
                map.next_value_seed(&mut *self)?;
            }
            Ok(())
        }
    }
    let start = out.len();
    let mut json = serde_json::Deserializer::from_str(raw.get());
    if serde::de::DeserializeSeed::deserialize(&mut Collect(out), &mut json).is_err() {
        // Deeper than the parser allows: the raw text is better than nothing.
        out.truncate(start);
        out.push_str(raw.get());
    }
}

/// A JSON object that holds one string: how a free-form tool input is represented.
pub fn wrap_input(text: &str) -> Box<RawValue> {
    #[derive(Serialize)]
    struct Input<'a> {
        input: &'a str,
    }
    raw(&Input { input: text })
}

/// `value` as raw JSON. Values made of strings, numbers and maps always serialise.
pub fn raw(value: &impl Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

impl Serialize for Block {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(None)?;
        match self {
            Block::Text(text) => {
                map.serialize_entry("type", "text")?;
                map.serialize_entry("text", text)?;
            }
            Block::Thinking { text, signature, redacted, summary } => {
                map.serialize_entry("type", "thinking")?;
                map.serialize_entry("text", text)?;
                if let Some(signature) = signature {
                    map.serialize_entry("signature", signature)?;
                }
                if *redacted {
                    map.serialize_entry("redacted", &true)?;
                }
                if let Some(summary) = summary {
                    map.serialize_entry("summary", summary)?;
                }
            }
            Block::ToolUse { id, name, input } => {
                map.serialize_entry("type", "tool_use")?;
                map.serialize_entry("tool_use_id", id)?;
                map.serialize_entry("name", name)?;
                map.serialize_entry("input", input)?;
            }
            Block::ToolResult { id, content, is_error, exit_code, duration_ms } => {
                map.serialize_entry("type", "tool_result")?;
                map.serialize_entry("tool_use_id", id)?;
                map.serialize_entry("content", content)?;
                if *is_error {
                    map.serialize_entry("is_error", &true)?;
                }
                if let Some(code) = exit_code {
                    map.serialize_entry("exit_code", code)?;
                }
                if let Some(ms) = duration_ms {
                    map.serialize_entry("duration_ms", ms)?;
                }
            }
            Block::Image(source) => {
                map.serialize_entry("type", "image")?;
                map.serialize_entry("source", source)?;
            }
            Block::Summary { text, through } => {
                map.serialize_entry("type", "summary")?;
                map.serialize_entry("text", text)?;
                if let Some(through) = through {
                    map.serialize_entry("summarized_through_msg_id", through)?;
                }
            }
            Block::Other(raw) => {
                let fields: std::collections::BTreeMap<String, &RawValue> =
                    serde_json::from_str(raw.get()).unwrap_or_default();
                for (key, value) in fields {
                    map.serialize_entry(&key, value)?;
                }
            }
        }
        map.end()
    }
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(None)?;
        map.serialize_entry("msg_id", &self.id)?;
        map.serialize_entry("parent_msg_id", &self.parent_id)?;
        map.serialize_entry("role", &self.role)?;
        map.serialize_entry("content", &self.content)?;
        map.serialize_entry("timestamp", &self.timestamp.unwrap_or(Timestamp::UNIX_EPOCH))?;
        if let Some(turn) = &self.turn_id {
            map.serialize_entry("turn_id", turn)?;
        }
        if let Some(model) = &self.model {
            map.serialize_entry("model", model)?;
        }
        if let Some(provider) = &self.provider {
            map.serialize_entry("provider", provider)?;
        }
        if let Some(reason) = &self.stop_reason {
            map.serialize_entry("stop_reason", reason)?;
        }
        if let Some(usage) = &self.usage {
            map.serialize_entry("usage", usage)?;
        }
        if self.is_sidechain {
            map.serialize_entry("is_sidechain", &true)?;
        }
        if self.is_meta {
            map.serialize_entry("is_meta", &true)?;
        }
        if let Some(agent) = &self.agent_id {
            map.serialize_entry("agent_id", agent)?;
        }
        if !self.metadata.is_empty() {
            map.serialize_entry("metadata", &self.metadata)?;
        }
        map.end()
    }
}
