//! The strings of a JSON text and their places, without building a value: what is not replaced stays as it was written,
//! byte for byte.

use super::secrets::{Secret, find_under};
use memchr::{memchr, memchr2};
use serde::de::IgnoredAny;
use std::borrow::Cow;
use std::ops::Range;

/// A string value.
pub(super) struct JsonString<'l> {
    /// The key it stands under, as written; in an array the array's; empty at the top.
    key: &'l str,
    /// Between the quotes, as written.
    raw: &'l str,
    /// With the quotes.
    pub(super) range: Range<usize>,
}

/// Keys whose base64 is the maker's own (proofs of origin, encrypted thinking) or a picture's: nothing to find, and of no
/// use when changed.
const OPAQUE: &[&str] = &[
    "signature",
    "thoughtSignature",
    "thought_signature",
    "encrypted_content",
    "encryptedContent",
    "data",
    "image_url",
    "url",
];
/// Shorter base64 may be a secret.
const MIN_OPAQUE: usize = 200;

impl<'l> JsonString<'l> {
    /// What the string says. One that does not say anything (half of a surrogate pair) is taken as it is written.
    pub(super) fn text(&self) -> Cow<'l, str> {
        if memchr(b'\\', self.raw.as_bytes()).is_none() {
            return Cow::Borrowed(self.raw);
        }
        serde_json::from_str(&format!("\"{}\"", self.raw)).map_or(Cow::Borrowed(self.raw), Cow::Owned)
    }

    /// True where [`JsonString::text`] could not be read.
    pub(super) fn is_raw(&self, text: &str) -> bool {
        memchr(b'\\', self.raw.as_bytes()).is_some() && text == self.raw
    }

    /// The secrets in `text`, which is what the string says.
    pub(super) fn secrets(&self, text: &str) -> Vec<Secret> {
        if OPAQUE.contains(&self.key) && is_opaque(text) { Vec::new() } else { find_under(self.key, text) }
    }
}

fn is_opaque(text: &str) -> bool {
    let is_base64 = |b: u8| b.is_ascii_alphanumeric() || b"+/=_-".contains(&b);
    let data =
        text.split_once(";base64,").map_or(text, |(head, data)| if head.starts_with("data:") { data } else { text });
    data.len() >= MIN_OPAQUE && data.bytes().all(is_base64)
}

/// True of a whole JSON object or array.
pub(super) fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[']) && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// The string values of `text`, which is JSON.
pub(super) fn strings(text: &str) -> impl Iterator<Item = JsonString<'_>> {
    let bytes = text.as_bytes();
    let (mut at, mut key) = (0, "");
    std::iter::from_fn(move || {
        loop {
            let start = at + memchr(b'"', &bytes[at..])?;
            let end = end_of_string(bytes, start)?;
            at = end;
            let raw = &text[start + 1..end - 1];
            let next = bytes[end..].iter().find(|b| !b.is_ascii_whitespace());
            if next == Some(&b':') {
                key = raw;
            } else {
                return Some(JsonString { key, raw, range: start..end });
            }
        }
    })
}

/// Behind the quote that ends the string which begins at `start`.
fn end_of_string(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_string_value_with_its_key() {
        let line = r#"{"a":"x","b" : {"c":["1","\"2\\"]},"d":3,"e":"\ud800"}"#;
        let found: Vec<(&str, String, bool)> = strings(line)
            .map(|s| {
                assert!(line[s.range.clone()].starts_with('"') && line[s.range.clone()].ends_with('"'));
                let text = s.text();
                let is_raw = s.is_raw(&text);
                (s.key, text.into_owned(), is_raw)
            })
            .collect();
        let expected = [("a", "x", false), ("c", "1", false), ("c", "\"2\\", false), ("e", "\\ud800", true)];
        assert_eq!(found, expected.map(|(key, text, is_raw)| (key, text.to_owned(), is_raw)));
        assert!(is_json(line) && !is_json("{\"a\"") && !is_json("\"text\"") && !is_json("{} {}"));
    }
}
