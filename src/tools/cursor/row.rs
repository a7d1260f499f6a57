//! One line of `cursor/rows`: a version of a row of the client's database.
//!
//! ```text
//! {"key":"bubbleId:<composer>:<bubble>","rowid":17,"was":3127,"value":{…}}
//! ```
//!
//! `value` is the row's own JSON where that is an object on one line, otherwise its text as a string, or null. What is no
//! text stands as `base64`. `was` is where in the stream the version before this one begins. `orphan` marks a bubble that
//! the conversation does not mention; `args` and `output` are a call's input and result in full, where the bubble only
//! has a stub and the conversation's graph has the rest.
//!
//! Two things never get here: keys and tokens, which Cursor keeps beside the messages, and what stands unsent in the input
//! box. Their values are blanked.

use crate::id::Hash;
use crate::model::message::raw;
use crate::tools::lenient::{Raw, string};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The keys that we read, in front of an id.
pub(super) const COMPOSER: &str = "composerData:";
pub(super) const BUBBLE: &str = "bubbleId:";
pub(super) const BLOB: &str = "agentKv:blob:";
/// Keys of our own for what is no row of the key-value table: a row of `composerHeaders`, and a tab of the oldest chats.
pub(super) const HEADER: &str = "composerHeaders:";
pub(super) const CHAT: &str = "chatdata:";

/// A line.
#[derive(Deserialize)]
pub(super) struct Row<'a> {
    #[serde(borrow)]
    pub(super) key: Cow<'a, str>,
    pub(super) was: Option<u64>,
    #[serde(default)]
    pub(super) orphan: bool,
    #[serde(borrow)]
    pub(super) args: Raw<'a>,
    #[serde(borrow)]
    pub(super) output: Raw<'a>,
    /// So many bytes were too many to be archived.
    pub(super) omitted: Option<u64>,
    #[serde(borrow)]
    value: Raw<'a>,
}

impl<'a> Row<'a> {
    pub(super) fn parse(line: &'a [u8]) -> serde_json::Result<Row<'a>> {
        serde_json::from_slice(line)
    }

    /// The row's text; `None` where it has none.
    pub(super) fn text(&self) -> Option<Cow<'a, str>> {
        string(self.value).or_else(|| Some(Cow::Borrowed(self.value?.get())))
    }
}

/// The value of a row.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    Bytes(Vec<u8>),
    /// So many bytes: more than we take.
    TooLarge(u64),
}

impl Value {
    /// As text that can be looked into.
    pub(super) fn text(&self) -> Option<&str> {
        if let Value::Bytes(bytes) = self { std::str::from_utf8(bytes).ok() } else { None }
    }
}

/// What a row holds, ready for a line.
pub(super) struct Content {
    value: Box<RawValue>,
    base64: Option<String>,
    omitted: Option<u64>,
    pub(super) orphan: bool,
    pub(super) args: Option<Box<RawValue>>,
    pub(super) output: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct Written<'a> {
    key: &'a str,
    rowid: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    was: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    orphan: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    args: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    omitted: Option<u64>,
    value: &'a RawValue,
}

impl Content {
    /// Of the value in the row under `key`.
    pub(super) fn of(key: &str, value: &Value) -> Content {
        let none = || RawValue::NULL.to_owned();
        let (value, base64, omitted) = match value {
            Value::Null => (none(), None, None),
            Value::TooLarge(length) => (none(), None, Some(*length)),
            Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => (encoded(&without_secrets(key, text)), None, None),
                Err(_) => (none(), Some(BASE64_STANDARD.encode(bytes)), None),
            },
        };
        Content { value, base64, omitted, orphan: false, args: None, output: None }
    }

    /// Tells versions apart: everything but where it stands.
    pub(super) fn fingerprint(&self) -> i64 {
        Hash::of(&self.line("", 0, None)).word()
    }

    pub(super) fn line(&self, key: &str, rowid: i64, was: Option<u64>) -> Vec<u8> {
        let line = Written {
            key,
            rowid,
            was,
            orphan: self.orphan,
            args: self.args.as_deref(),
            output: self.output.as_deref(),
            base64: self.base64.as_deref(),
            omitted: self.omitted,
            value: &self.value,
        };
        // Numbers, strings and raw JSON always serialise.
        serde_json::to_vec(&line).unwrap_or_default()
    }
}

fn encoded(text: &str) -> Box<RawValue> {
    let is_line = text.starts_with('{') && text.ends_with('}') && !text.contains(['\n', '\r']);
    let object = if is_line { RawValue::from_string(text.to_owned()).ok() } else { None };
    object.unwrap_or_else(|| raw(&text))
}

/// Ends of names under which clients keep keys and tokens, in the rows of which we know that no person and no model
/// writes fields there.
const SECRETS: [&str; 6] = ["EncryptionKey", "accessToken", "refreshToken", "authToken", "idToken", "apiKey"];

/// `text` with the values of secret fields and of the unsent input blanked.
fn without_secrets<'a>(key: &str, text: &'a str) -> Cow<'a, str> {
    if key.starts_with(BLOB) {
        return Cow::Borrowed(text);
    }
    let mut spans = Vec::new();
    for ending in ["Key\"", "Token\""] {
        for at in memchr::memmem::find_iter(text.as_bytes(), ending) {
            let end = at + ending.len();
            if SECRETS.iter().any(|name| text[..end - 1].ends_with(name)) {
                spans.extend(value_behind(text, end));
            }
        }
    }
    if key.starts_with(COMPOSER) {
        spans.extend(unsent(text));
    }
    if spans.is_empty() {
        return Cow::Borrowed(text);
    }
    spans.sort_unstable();
    let (mut blanked, mut from) = (String::with_capacity(text.len()), 0);
    for (start, end) in spans.into_iter().filter(|(start, end)| start < end) {
        // One may lie in another.
        if start >= from {
            blanked.push_str(&text[from..start]);
            blanked.push_str("\"\"");
            from = end;
        }
    }
    blanked.push_str(&text[from..]);
    Cow::Owned(blanked)
}

/// Where the value of a field stands whose name ends at `at`. In a string the quote would be escaped, so it does not get
/// here; of a damaged value all that is left goes.
fn value_behind(text: &str, at: usize) -> Option<(usize, usize)> {
    let value = text[at..].trim_start().strip_prefix(':')?.trim_start();
    let start = text.len() - value.len();
    let mut values = serde_json::Deserializer::from_str(value).into_iter::<serde::de::IgnoredAny>();
    let end = match values.next() {
        Some(Ok(_)) => start + values.byte_offset(),
        _ => text.len(),
    };
    Some((start, end))
}

/// What stands in the input box, at the top of the composer's own row.
fn unsent(text: &str) -> Vec<(usize, usize)> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Box<'a> {
        #[serde(borrow)]
        text: Raw<'a>,
        #[serde(borrow)]
        rich_text: Raw<'a>,
    }
    let Ok(input) = serde_json::from_str::<Box<'_>>(text) else { return Vec::new() };
    let span = |raw: &RawValue| {
        let start = raw.get().as_ptr().addr() - text.as_ptr().addr();
        (start, start + raw.get().len())
    };
    [input.text, input.rich_text].into_iter().flatten().map(span).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(key: &str, value: &[u8]) -> String {
        String::from_utf8(Content::of(key, &Value::Bytes(value.to_vec())).line(key, 7, None)).unwrap()
    }

    #[test]
    fn a_value_is_kept_as_it_is() {
        insta::assert_snapshot!(line("bubbleId:c:b", br#"{"type":1, "x":1.50}"#), @r#"{"key":"bubbleId:c:b","rowid":7,"value":{"type":1, "x":1.50}}"#);
        insta::assert_snapshot!(line("bubbleId:c:b", b"{\"type\":\n1}"), @r#"{"key":"bubbleId:c:b","rowid":7,"value":"{\"type\":\n1}"}"#);
        insta::assert_snapshot!(line("bubbleId:c:b", b"{\"type\":1"), @r#"{"key":"bubbleId:c:b","rowid":7,"value":"{\"type\":1"}"#);
        insta::assert_snapshot!(line("agentKv:blob:x", b"\x0a\xff"), @r#"{"key":"agentKv:blob:x","rowid":7,"base64":"Cv8=","value":null}"#);
        let null = Content::of("k", &Value::Null).line("k", 7, Some(3));
        insta::assert_snapshot!(String::from_utf8(null).unwrap(), @r#"{"key":"k","rowid":7,"was":3,"value":null}"#);
    }

    #[test]
    fn secrets_and_the_input_box_are_blanked() {
        let value = br#"{"text":"draft","blobEncryptionKey":"k","a":{"accessToken" : {"v":[1]}},"richText":"{\"x\"}","b":{"text":"kept","c":"\"apiKey\":\"in a string\""}}"#;
        insta::assert_snapshot!(line("composerData:c", value), @r#"{"key":"composerData:c","rowid":7,"value":{"text":"","blobEncryptionKey":"","a":{"accessToken" : ""},"richText":"","b":{"text":"kept","c":"\"apiKey\":\"in a string\""}}}"#);
        insta::assert_snapshot!(line("bubbleId:c:b", br#"{"text":"kept","speculativeEncryptionKey":"cut of"#), @r#"{"key":"bubbleId:c:b","rowid":7,"value":"{\"text\":\"kept\",\"speculativeEncryptionKey\":\"\""}"#);
        let blob = br#"{"role":"assistant","content":[{"args":{"apiKey":"the model's own"}}]}"#;
        insta::assert_snapshot!(line("agentKv:blob:x", blob), @r#"{"key":"agentKv:blob:x","rowid":7,"value":{"role":"assistant","content":[{"args":{"apiKey":"the model's own"}}]}}"#);
    }
}
