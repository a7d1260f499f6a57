//! What a request says beside its path: query parameters and small JSON bodies.

use super::exchange::Request;
use super::reply::Refusal;
use crate::model::label;
use serde_json::{Map, Value, json};
use std::io::Read;

/// A JSON body is not longer.
pub(super) const MAX_JSON: u64 = 64 << 10;

/// The parameters behind `?`.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Where a name stands twice, the last one counts.
    pub(super) fn of(request: &Request) -> Result<Query, Refusal> {
        let pairs = request.query.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decoded(name)?, decoded(value)?))
        });
        let pairs: Option<Vec<_>> = pairs.collect();
        pairs.map(Query).ok_or_else(|| Refusal::new(400, "The query is not UTF-8"))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A whole number from `least` to `most`.
    pub(super) fn number(&self, name: &str, default: u64, least: u64, most: u64) -> Result<u64, Refusal> {
        let Some(text) = self.get(name) else { return Ok(default) };
        let invalid = |kind, message: &str| Refusal::invalid(kind, &["query", name], message, &text.into());
        match text.parse::<i128>() {
            Err(_) => {
                Err(invalid("int_parsing", "Input should be a valid integer, unable to parse string as an integer"))
            }
            Ok(number) if number < i128::from(least) => {
                Err(invalid("greater_than_equal", &format!("Input should be greater than or equal to {least}")))
            }
            Ok(number) if number > i128::from(most) => {
                Err(invalid("less_than_equal", &format!("Input should be less than or equal to {most}")))
            }
            Ok(number) => Ok(number as u64),
        }
    }
}

/// `application/x-www-form-urlencoded`; `None` where it is not UTF-8. A `%` that is no code stands for itself.
pub(super) fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digit = |byte: u8| (byte as char).to_digit(16).unwrap_or_default() as u8;
                bytes.push(digit(*high) << 4 | digit(*low));
                rest = after;
            }
            (byte, _) => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).ok()
}

/// The body as a JSON object.
pub(super) fn object(request: &mut Request) -> Result<Map<String, Value>, Refusal> {
    let mut bytes = Vec::new();
    if request.length > MAX_JSON {
        return Err(Refusal::new(413, "The body is too large"));
    }
    let read = (&mut request.body).take(MAX_JSON).read_to_end(&mut bytes);
    read.map_err(|_| Refusal::new(400, "The body could not be read"))?;
    if bytes.is_empty() {
        return Err(Refusal::invalid("missing", &["body"], "Field required", &Value::Null));
    }
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Refusal::invalid("model_attributes_type", &["body"], "Input should be an object", &Value::Null)),
        Err(_) => Err(Refusal::invalid("json_invalid", &["body"], "JSON decode error", &json!({}))),
    }
}

/// A text field of a body; `None` where it is absent or null.
pub(super) fn text<'a>(body: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Refusal> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(Refusal::invalid("string_type", &["body", name], "Input should be a valid string", other)),
    }
}

/// `text`, which has at most so many characters and no NUL.
pub(super) fn within(text: &str, most: usize, place: &[&str]) -> Result<String, Refusal> {
    let invalid = |kind, message: &str| {
        let beginning: String = text.chars().take(100).collect();
        Err(Refusal::invalid(kind, place, message, &beginning.into()))
    };
    if text.contains('\0') {
        return invalid("value_error", "Value error, it must not contain NUL");
    }
    if text.chars().count() > most {
        return invalid("string_too_long", &format!("String should have at most {most} characters"));
    }
    Ok(text.to_owned())
}

/// Tags: at most 20 of at most 50 characters, none empty; sorted, each once.
pub(super) fn tags(value: &Value, place: &[&str]) -> Result<Vec<String>, Refusal> {
    let invalid = |kind, message| Refusal::invalid(kind, place, message, &Value::Null);
    let list = value.as_array().ok_or_else(|| invalid("list_type", "Input should be a valid list"))?;
    if list.len() > label::MAX_TAGS {
        return Err(invalid("too_long", "List should have at most 20 items"));
    }
    let mut tags = Vec::new();
    for tag in list {
        let tag = tag.as_str().ok_or_else(|| invalid("string_type", "Input should be a valid string"))?;
        if tag.trim().is_empty() {
            return Err(invalid("string_too_short", "String should have at least 1 character"));
        }
        tags.push(within(tag, label::MAX_TAG, place)?);
    }
    tags.sort();
    tags.dedup();
    Ok(tags)
}

/// [`tags`] that every client takes: one line each.
pub(super) fn plain_tags(value: &Value, place: &[&str]) -> Result<Vec<String>, Refusal> {
    let invalid = |_| Refusal::invalid("value_error", place, "Value error, a tag is one line", &Value::Null);
    tags(value, place)?.iter().map(|tag| label::tag(tag).map_err(invalid)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        assert_eq!(decoded("a+b%20c%C3%A9").as_deref(), Some("a b cé"));
        assert_eq!(decoded("100%").as_deref(), Some("100%"));
        assert_eq!(decoded("%zz%4").as_deref(), Some("%zz%4"));
        assert_eq!(decoded("%ff"), None);
    }
}
