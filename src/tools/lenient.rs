//! JSON of other programs, looked into no further than needed and as leniently as they do it themselves: a field of an
//! unexpected type costs that field and not the record, bytes that are no UTF-8 and lone surrogates are replaced.

use serde::Deserialize;
use serde::de::{Deserializer, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// A JSON value that nobody has looked at; `None` where it is missing or null.
pub(super) type Raw<'a> = Option<&'a RawValue>;

/// Bytes as text. What is no UTF-8 is replaced byte by byte, so that places in it stay true.
pub(super) fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '?'));
    }
    Cow::Owned(text)
}

/// A value with the fields of `T`; `None` where it is no object.
pub(super) fn fields<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Option<T> {
    // Structs can be made from arrays too; no client means that.
    serde_json::from_str(raw.get()).ok().filter(|_| raw.get().starts_with('{'))
}

/// The elements of an array; none for anything else.
pub(super) fn elements(raw: Raw<'_>) -> Vec<&RawValue> {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

/// A string, borrowed where it has no escapes.
pub(super) fn string(raw: Raw<'_>) -> Option<Cow<'_, str>> {
    let raw = raw?.get();
    if !raw.starts_with('"') {
        return None;
    }
    serde_json::from_str::<Text<'_>>(raw).ok().map(|text| text.0)
}

/// [`string`], owned, and only where it says something.
pub(super) fn owned(raw: Raw<'_>) -> Option<String> {
    string(raw).filter(|text| !text.is_empty()).map(Cow::into_owned)
}

/// JSON without the line breaks and indents of a pretty document; in JSON these stand only between tokens.
pub(super) fn one_line(json: &RawValue) -> Box<RawValue> {
    if !json.get().contains(['\n', '\r']) {
        return json.to_owned();
    }
    let line = json.get().lines().map(str::trim_start).collect();
    RawValue::from_string(line).unwrap_or_else(|_| json.to_owned())
}

/// Read as bytes, because `serde_json` refuses lone surrogates in a str but not in bytes.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl<'de> Visitor<'de> for Bytes {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
                Ok(Text(String::from_utf8_lossy(bytes)))
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(String::from_utf8_lossy(bytes).into_owned())))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}
