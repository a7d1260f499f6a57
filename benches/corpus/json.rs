//! A JSON value that keeps the order of its keys, as the real clients write them: order decides how well lines compress
//! and how early a reader knows a line's kind.

use serde::ser::{Serialize, SerializeMap, Serializer};
use std::borrow::Cow;

pub(crate) enum Json<'t> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Cow<'t, str>),
    List(Vec<Json<'t>>),
    Object(Vec<(&'static str, Json<'t>)>),
}

/// An object: `object! {"type": "text", "text": words}`.
macro_rules! object {
    ($($key:literal: $value:expr),* $(,)?) => { Json::Object(vec![$(($key, Json::from($value))),*]) };
}
pub(crate) use object;

impl<'t> Json<'t> {
    /// This object with the fields of `more` behind its own.
    pub(crate) fn with(self, more: Json<'t>) -> Self {
        match (self, more) {
            (Json::Object(mut fields), Json::Object(more)) => {
                fields.extend(more);
                Json::Object(fields)
            }
            (value, _) => value,
        }
    }

    /// The text of the field `type`.
    pub(crate) fn kind(&self) -> &str {
        let Json::Object(fields) = self else { return "" };
        let kind = fields.iter().find(|(key, _)| *key == "type");
        if let Some((_, Json::Text(kind))) = kind { kind } else { "" }
    }
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Json::Null => s.serialize_unit(),
            Json::Bool(value) => s.serialize_bool(*value),
            Json::Int(value) => s.serialize_i64(*value),
            Json::Float(value) => s.serialize_f64(*value),
            Json::Text(value) => s.serialize_str(value),
            Json::List(values) => s.collect_seq(values),
            Json::Object(fields) => {
                let mut map = s.serialize_map(Some(fields.len()))?;
                for (key, value) in fields {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

impl From<bool> for Json<'_> {
    fn from(value: bool) -> Self {
        Json::Bool(value)
    }
}

impl From<i64> for Json<'_> {
    fn from(value: i64) -> Self {
        Json::Int(value)
    }
}

impl From<f64> for Json<'_> {
    fn from(value: f64) -> Self {
        Json::Float(value)
    }
}

impl<'t> From<&'t str> for Json<'t> {
    fn from(value: &'t str) -> Self {
        Json::Text(Cow::Borrowed(value))
    }
}

impl<'t> From<&'t String> for Json<'t> {
    fn from(value: &'t String) -> Self {
        Json::Text(Cow::Borrowed(value))
    }
}

impl From<String> for Json<'_> {
    fn from(value: String) -> Self {
        Json::Text(Cow::Owned(value))
    }
}

impl<'t, const N: usize> From<[Json<'t>; N]> for Json<'t> {
    fn from(values: [Json<'t>; N]) -> Self {
        Json::List(values.into())
    }
}

impl<'t> From<Vec<Json<'t>>> for Json<'t> {
    fn from(values: Vec<Json<'t>>) -> Self {
        Json::List(values)
    }
}

impl<'t, T: Into<Json<'t>>> From<Option<T>> for Json<'t> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Json::Null, Into::into)
    }
}
