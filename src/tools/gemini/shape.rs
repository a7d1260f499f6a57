//! The JSON of the records that we write: the keys that the client knows, in its own order, and no other.

use serde::Serialize;
use serde_json::value::RawValue;

/// The first line.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Head<'a> {
    pub(super) session_id: &'a str,
    pub(super) project_hash: String,
    pub(super) start_time: &'a str,
    pub(super) last_updated: &'a str,
    pub(super) kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) summary: Option<String>,
}

/// A message.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record<'a> {
    pub(super) id: String,
    pub(super) timestamp: &'a str,
    #[serde(rename = "type")]
    pub(super) kind: &'a str,
    pub(super) content: Vec<Part>,
    /// What the person sees instead.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) display_content: Vec<Part>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) thoughts: Vec<Thought<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) model: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) tool_calls: Vec<ShownCall<'a>>,
}

/// A part of the API's contents.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Part {
    Text(String),
    #[serde(rename_all = "camelCase")]
    InlineData {
        mime_type: String,
        data: String,
    },
    FunctionCall {
        id: String,
        name: String,
        args: Box<RawValue>,
    },
    FunctionResponse {
        id: String,
        name: String,
        response: Response,
    },
    /// One that only this tool has, as it was.
    #[serde(untagged)]
    Other(Box<RawValue>),
}

impl Part {
    /// The API refuses empty texts.
    pub(super) fn text(text: String) -> Option<Part> {
        (!text.trim().is_empty()).then_some(Part::Text(text))
    }

    /// Text that is not shown.
    pub(super) fn blank() -> Part {
        Part::Text(" ".to_owned())
    }
}

/// A tool's answer.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Response {
    Output(String),
    Error(String),
}

/// What the model thought; shown, never sent.
#[derive(Serialize)]
pub(super) struct Thought<'a> {
    pub(super) subject: &'a str,
    pub(super) description: &'a str,
    pub(super) timestamp: &'a str,
}

/// What the person sees of a call: no `result`, and an id that is not the call's.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownCall<'a> {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) args: Box<RawValue>,
    pub(super) status: &'a str,
    pub(super) timestamp: &'a str,
    pub(super) display_name: String,
    pub(super) description: String,
    pub(super) result_display: &'a str,
}
