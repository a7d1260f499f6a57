//! The JSON of the records that we write: the keys that the client and its API know, and no other.

use crate::model::message::Role;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use uuid::Uuid;

/// A record's uuid.
#[derive(Clone, Copy)]
pub(super) struct RecordId(Uuid);

impl RecordId {
    pub(super) fn fresh() -> Self {
        RecordId(Uuid::new_v4())
    }
}

impl Serialize for RecordId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Envelope<'a> {
    pub(super) parent_uuid: Option<RecordId>,
    pub(super) is_sidechain: bool,
    pub(super) user_type: &'a str,
    pub(super) entrypoint: &'a str,
    pub(super) cwd: &'a str,
    pub(super) session_id: &'a str,
    pub(super) version: &'a str,
    pub(super) git_branch: &'a str,
    #[serde(rename = "type")]
    pub(super) kind: Role,
    pub(super) message: &'a RawValue,
    pub(super) uuid: RecordId,
    pub(super) timestamp: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_meta: bool,
}

/// A record outside of the tree.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Aside<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) summary: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) custom_title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_prompt: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) leaf_uuid: Option<RecordId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) session_id: Option<&'a str>,
}

impl<'a> Aside<'a> {
    pub(super) fn of(kind: &'a str) -> Self {
        Aside { kind, ..Aside::default() }
    }
}

#[derive(Serialize)]
pub(super) struct UserMessage<'a> {
    pub(super) role: Role,
    pub(super) content: UserContent<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum UserContent<'a> {
    Text(&'a str),
    Blocks(Vec<Piece<'a>>),
}

#[derive(Serialize)]
pub(super) struct Reply<'a> {
    pub(super) id: String,
    #[serde(rename = "type")]
    pub(super) kind: &'a str,
    pub(super) role: Role,
    pub(super) model: &'a str,
    pub(super) content: Vec<Piece<'a>>,
    pub(super) stop_reason: &'a str,
    pub(super) stop_sequence: Option<&'a str>,
    pub(super) usage: NoUsage,
}

#[derive(Default, Serialize)]
#[expect(clippy::struct_field_names, reason = "the API's own names")]
pub(super) struct NoUsage {
    pub(super) input_tokens: u64,
    pub(super) output_tokens: u64,
    pub(super) cache_creation_input_tokens: u64,
    pub(super) cache_read_input_tokens: u64,
}

/// A content block, with the keys that the API knows and no other.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Piece<'a> {
    Text {
        text: Cow<'a, str>,
    },
    Thinking {
        thinking: &'a str,
        signature: &'a str,
    },
    RedactedThinking {
        data: &'a str,
    },
    ToolUse {
        id: String,
        name: Cow<'a, str>,
        input: Cow<'a, RawValue>,
    },
    ToolResult {
        tool_use_id: String,
        content: UserContent<'a>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
    },
    Image {
        source: Picture<'a>,
    },
}

#[derive(Serialize)]
pub(super) struct Picture<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'a str,
    pub(super) media_type: &'a str,
    pub(super) data: &'a str,
}
