//! A tool call with its result, which stand in one bubble. What the client keeps of a result is its own record of it; the
//! text in it is taken where the record is known, else the record itself.

use super::graph;
use crate::model::message::{Block, wrap_input};
use crate::tools::lenient::{Raw, elements, fields, one_line, owned, string};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A bubble's `toolFormerData`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Call<'a> {
    #[serde(borrow)]
    name: Raw<'a>,
    #[serde(borrow)]
    tool_call_id: Raw<'a>,
    #[serde(borrow)]
    status: Raw<'a>,
    #[serde(borrow)]
    raw_args: Raw<'a>,
    #[serde(borrow)]
    params: Raw<'a>,
    #[serde(borrow)]
    result: Raw<'a>,
    #[serde(borrow)]
    error: Raw<'a>,
    #[serde(borrow)]
    user_decision: Raw<'a>,
    #[serde(borrow)]
    additional_data: Raw<'a>,
}

/// A known record of a result: of a command, a file, an edit, a server's tool.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    #[serde(borrow)]
    output: Raw<'a>,
    #[serde(borrow)]
    contents: Raw<'a>,
    #[serde(borrow)]
    result: Raw<'a>,
    #[serde(borrow)]
    result_for_model: Raw<'a>,
    #[serde(borrow)]
    diff: Raw<'a>,
    #[serde(borrow)]
    exit_code_v2: Raw<'a>,
    #[serde(borrow)]
    exit_code: Raw<'a>,
    #[serde(borrow)]
    rejected: Raw<'a>,
    #[serde(borrow)]
    after_content_id: Raw<'a>,
    #[serde(borrow)]
    total_lines_in_file: Raw<'a>,
}

/// What the client notes beside a call.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Additional<'a> {
    #[serde(borrow)]
    precomputed_diff: Raw<'a>,
    #[serde(borrow)]
    block_reason: Raw<'a>,
}

/// How a call ended.
struct Outcome {
    text: String,
    is_error: bool,
    exit_code: Option<i64>,
}

impl<'a> Call<'a> {
    /// `None` for the empty ones that the client leaves behind, which are no calls.
    pub(super) fn of(raw: &'a RawValue) -> Option<Call<'a>> {
        fields::<Call<'_>>(raw).filter(|call| owned(call.name).is_some())
    }

    /// As the client writes it; it may hold a line break.
    pub(super) fn raw_id(&self) -> Option<String> {
        owned(self.tool_call_id)
    }

    /// The call, and its result where there is one. `args` and `output` are what the graph knows of it.
    pub(super) fn blocks(&self, bubble: &str, args: Raw<'_>, output: Raw<'_>) -> (Block, Option<Block>) {
        let id = self.raw_id().map_or_else(|| safe_id(&format!("bubble:{bubble}")), |id| safe_id(&id));
        let result = self.outcome(output).map(|outcome| Block::ToolResult {
            id: id.clone(),
            content: outcome.text,
            is_error: outcome.is_error,
            exit_code: outcome.exit_code,
            duration_ms: None,
        });
        (Block::ToolUse { id, name: owned(self.name).unwrap_or_default(), input: self.input(args) }, result)
    }

    /// True where the bubble has no input of the model's own.
    pub(super) fn lacks_args(&self) -> bool {
        self.raw_args.and_then(object).is_none()
    }

    /// True where the bubble has no more than a stub of the result.
    pub(super) fn has_stub(&self) -> bool {
        let record = self.result();
        let is_done = matches!(string(self.status).as_deref(), None | Some("completed"));
        let says_nothing = match record.as_deref().map(str::trim) {
            None | Some("" | "null") => self.diff().is_none(),
            Some(text) => {
                let record = parse::<Record<'_>>(text).unwrap_or_default();
                record.total_lines_in_file.is_some() && record.contents.is_none()
            }
        };
        is_done && says_nothing
    }

    /// What the model wrote, what the client made of it, or the text that is no JSON.
    fn input(&self, known: Raw<'_>) -> Box<RawValue> {
        let written = self.raw_args.and_then(object).or_else(|| known.and_then(object));
        let text = || owned(self.raw_args).or_else(|| owned(self.params)).unwrap_or_default();
        written.or_else(|| self.params.and_then(object)).unwrap_or_else(|| wrap_input(&text()))
    }

    fn result(&self) -> Option<Cow<'a, str>> {
        string(self.result).or_else(|| Some(Cow::Borrowed(self.result?.get())))
    }

    /// `None` where the call never ended.
    fn outcome(&self, output: Raw<'_>) -> Option<Outcome> {
        let status = string(self.status).unwrap_or_default();
        let result = self.result();
        if status == "loading" && result.is_none() && output.is_none() {
            return None;
        }
        let record = result.as_deref().and_then(parse::<Record<'_>>).unwrap_or_default();
        let exit_code = record.exit_code_v2.or(record.exit_code).and_then(|raw| raw.get().parse().ok());
        let is = |raw: Raw<'_>| raw.is_some_and(|raw| raw.get() == "true");
        let is_rejected = is(record.rejected) || string(self.user_decision).as_deref() == Some("rejected");
        let text = output.map(graph::result_text).or_else(|| self.text(&record, result.as_deref()));
        let reason = self.additional().and_then(|additional| owned(additional.block_reason));
        let mut texts: Vec<String> = text.into_iter().filter(|text| !text.is_empty()).collect();
        texts.extend(is_rejected.then(|| "[The person rejected this call]".to_owned()));
        texts.extend(reason);
        texts.extend(self.error());
        if texts.is_empty() && status == "cancelled" {
            texts.push("[This call was cancelled]".to_owned());
        }
        let has_failed = matches!(status.as_ref(), "error" | "cancelled");
        let is_error = has_failed || is_rejected || exit_code.is_some_and(|code: i64| code != 0);
        Some(Outcome { text: texts.join("\n"), is_error, exit_code })
    }

    fn text(&self, record: &Record<'_>, result: Option<&str>) -> Option<String> {
        let texts = [record.output, record.contents, record.result_for_model, record.result];
        let known = texts.into_iter().find_map(string).map(Cow::into_owned);
        let edit = || chunks(record.diff).or_else(|| self.diff());
        let rest =
            result.map(str::trim).filter(|text| !matches!(*text, "" | "null") && record.after_content_id.is_none());
        known.or_else(edit).or_else(|| rest.map(str::to_owned)).or_else(|| {
            // What the client noted of a result that it did not keep.
            let noted = self.additional_data.map(|raw| raw.get().to_owned());
            noted.filter(|text| text.len() > 2 && result.is_none() && self.error.is_none() && self.has_stub())
        })
    }

    fn additional(&self) -> Option<Additional<'a>> {
        fields(self.additional_data?)
    }

    /// The lines of an edit that the client kept as lines.
    fn diff(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Lines<'a> {
            #[serde(borrow)]
            lines: Raw<'a>,
        }
        #[derive(Deserialize)]
        struct Line<'a> {
            #[serde(borrow, rename = "type")]
            kind: Raw<'a>,
            #[serde(borrow)]
            content: Raw<'a>,
        }
        let lines = fields::<Lines<'_>>(self.additional()?.precomputed_diff?)?;
        let lines = elements(lines.lines).into_iter().filter_map(fields::<Line<'_>>).map(|line| {
            let sign = match string(line.kind).as_deref() {
                Some("added") => '+',
                Some("removed") => '-',
                _ => ' ',
            };
            format!("{sign}{}", string(line.content).unwrap_or_default())
        });
        Some(lines.collect::<Vec<_>>().join("\n")).filter(|text| !text.is_empty())
    }

    /// What the model was told, else what the person was.
    fn error(&self) -> Option<String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Messages<'a> {
            #[serde(borrow)]
            model_visible_error_message: Raw<'a>,
            #[serde(borrow)]
            client_visible_error_message: Raw<'a>,
        }
        let text = string(self.error).unwrap_or(Cow::Borrowed(self.error?.get()));
        let messages = parse::<Messages<'_>>(&text);
        let said =
            messages.and_then(|m| owned(m.model_visible_error_message).or(owned(m.client_visible_error_message)));
        said.or_else(|| Some(text.into_owned())).filter(|text| !text.is_empty())
    }
}

/// The pieces of an edit as the client's versions of 2025 kept them.
fn chunks(diff: Raw<'_>) -> Option<String> {
    #[derive(Deserialize)]
    struct Chunks<'a> {
        #[serde(borrow)]
        chunks: Raw<'a>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Chunk<'a> {
        #[serde(borrow)]
        diff_string: Raw<'a>,
    }
    let chunks = fields::<Chunks<'_>>(diff?)?;
    let chunks = elements(chunks.chunks).into_iter().filter_map(fields::<Chunk<'_>>);
    let texts: Vec<String> = chunks.filter_map(|chunk| owned(chunk.diff_string)).collect();
    Some(texts.join("\n")).filter(|text| !text.is_empty())
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    serde_json::from_str(text).ok().filter(|_| text.trim_start().starts_with('{'))
}

/// An object on one line, which may stand there as a text.
pub(super) fn object(raw: &RawValue) -> Option<Box<RawValue>> {
    let text = string(Some(raw)).unwrap_or(Cow::Borrowed(raw.get()));
    // Looked through to the end: what is cut off is none.
    let _: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(&text).ok()?;
    Some(one_line(&RawValue::from_string(text.into_owned()).ok()?))
}

/// An id in the alphabet that every API accepts.
pub(super) fn safe_id(id: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
    id.chars().map(safe).collect()
}
