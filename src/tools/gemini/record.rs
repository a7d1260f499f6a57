//! One record of a Gemini CLI file, taken apart no further than needed. Fields stay raw, so that one of an unexpected type
//! costs that field and not the record. Lenient as the client is: bytes that are no UTF-8 and lone surrogates (it cuts
//! long outputs anywhere) are replaced, unknown fields are skipped.

use crate::tools::lenient::{Raw, elements, fields, owned, string, text_of};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// What a record does, by the first test that fits, in the client's own order (0.61).
pub(super) enum Record<'a> {
    /// Takes this message and everything behind it back.
    Rewind(String),
    /// A new message, or a newer version of one.
    Message(Message<'a>),
    /// Changes the session's metadata; may replace the whole list of messages.
    Set(Metadata<'a>),
    /// The metadata at the start of a run; the whole of a legacy `.json`.
    Start(Metadata<'a>),
    /// What `/chat save` writes: the bare contents of the API.
    Checkpoint(Vec<&'a RawValue>),
    /// The client ignores it.
    Unknown,
}

/// A message. `content` is a text, a part, or a list of both.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    id: Raw<'a>,
    #[serde(borrow)]
    timestamp: Raw<'a>,
    #[serde(borrow, rename = "type")]
    kind: Raw<'a>,
    #[serde(borrow)]
    content: Raw<'a>,
    #[serde(borrow)]
    thoughts: Raw<'a>,
    #[serde(borrow)]
    tokens: Raw<'a>,
    #[serde(borrow)]
    model: Raw<'a>,
    #[serde(borrow)]
    tool_calls: Raw<'a>,
}

/// Who wrote a message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    User,
    Gemini,
    /// `info`, `error`, `warning`: shown to the person, never sent.
    Notice,
}

impl<'a> Message<'a> {
    pub(super) fn of(raw: &'a RawValue) -> Option<Message<'a>> {
        fields(raw)
    }

    pub(super) fn parse(text: &'a str) -> Option<Message<'a>> {
        serde_json::from_str(text).ok()
    }

    /// Only what has an id is a message.
    pub(super) fn id(&self) -> Option<String> {
        owned(self.id)
    }

    pub(super) fn kind(&self) -> Kind {
        match string(self.kind).as_deref() {
            Some("user") => Kind::User,
            Some("gemini") => Kind::Gemini,
            _ => Kind::Notice,
        }
    }

    /// The client's own word for the kind.
    pub(super) fn kind_word(&self) -> String {
        owned(self.kind).unwrap_or_default()
    }

    pub(super) fn timestamp(&self) -> Option<Timestamp> {
        string(self.timestamp)?.parse().ok()
    }

    pub(super) fn model(&self) -> Option<String> {
        owned(self.model)
    }

    pub(super) fn content(&self) -> Vec<Part<'a>> {
        parts(self.content)
    }

    pub(super) fn thoughts(&self) -> Vec<Thought<'a>> {
        elements(self.thoughts).into_iter().filter_map(fields).collect()
    }

    pub(super) fn tokens(&self) -> Option<Tokens> {
        fields::<RawTokens<'_>>(self.tokens?).map(|tokens| tokens.read())
    }

    pub(super) fn tool_calls(&self) -> Vec<ToolCall<'a>> {
        elements(self.tool_calls).into_iter().filter_map(fields).collect()
    }

    /// True where this version tells what a rewrite leaves out.
    pub(super) fn has_extras(&self) -> bool {
        self.tokens.is_some() || !elements(self.thoughts).is_empty()
    }

    /// Takes from an older version what this one lacks.
    pub(super) fn add_extras(&mut self, older: &Message<'a>) {
        self.thoughts = self.thoughts.or(older.thoughts);
        self.tokens = self.tokens.or(older.tokens);
        self.model = self.model.or(older.model);
    }
}

/// The session's metadata.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata<'a> {
    #[serde(borrow)]
    session_id: Raw<'a>,
    #[serde(borrow)]
    project_hash: Raw<'a>,
    #[serde(borrow)]
    kind: Raw<'a>,
    #[serde(borrow)]
    start_time: Raw<'a>,
    #[serde(borrow)]
    last_updated: Raw<'a>,
    #[serde(borrow)]
    summary: Raw<'a>,
    #[serde(borrow)]
    messages: Raw<'a>,
}

impl<'a> Metadata<'a> {
    pub(super) fn session_id(&self) -> Option<String> {
        owned(self.session_id)
    }

    pub(super) fn summary(&self) -> Option<String> {
        owned(self.summary)
    }

    pub(super) fn is_subagent(&self) -> bool {
        string(self.kind).as_deref() == Some("subagent")
    }

    pub(super) fn times(&self) -> impl Iterator<Item = Timestamp> + use<> {
        let times = [self.start_time, self.last_updated].map(|raw| string(raw)?.parse().ok());
        times.into_iter().flatten()
    }

    pub(super) fn last_updated(&self) -> Option<Timestamp> {
        string(self.last_updated)?.parse().ok()
    }

    /// The list that replaces what was there; `None` where it stays.
    pub(super) fn messages(&self) -> Option<Vec<&'a RawValue>> {
        self.messages.filter(|raw| raw.get().starts_with('[')).map(|raw| elements(Some(raw)))
    }
}

/// One part of a message's content.
pub(super) enum Part<'a> {
    Text(String),
    /// The model's thinking; its signature where the client kept it.
    Thought(String, Option<String>),
    Call(Call<'a>),
    Response(Response<'a>),
    /// A file, and the part it stands in.
    Data(Data<'a>, &'a RawValue),
    /// Anything else.
    Other(&'a RawValue),
}

/// `functionCall`.
#[derive(Deserialize)]
pub(super) struct Call<'a> {
    #[serde(borrow)]
    id: Raw<'a>,
    #[serde(borrow)]
    name: Raw<'a>,
    #[serde(borrow)]
    pub(super) args: Raw<'a>,
}

impl Call<'_> {
    pub(super) fn id(&self) -> Option<String> {
        call_id(self.id, self.name)
    }

    pub(super) fn name(&self) -> String {
        owned(self.name).unwrap_or_default()
    }
}

/// `functionResponse`.
#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "the API's own names")]
pub(super) struct Response<'a> {
    #[serde(borrow)]
    id: Raw<'a>,
    #[serde(borrow)]
    name: Raw<'a>,
    #[serde(borrow)]
    response: Raw<'a>,
    #[serde(borrow)]
    parts: Raw<'a>,
}

impl<'a> Response<'a> {
    pub(super) fn id(&self) -> Option<String> {
        call_id(self.id, self.name)
    }

    pub(super) fn name(&self) -> String {
        owned(self.name).unwrap_or_default()
    }

    /// The text, and whether the tool reported failure. An answer that is neither a text nor one
    /// of these two is its JSON.
    pub(super) fn text(&self) -> (String, bool) {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Answer<'a> {
            #[serde(borrow)]
            output: Raw<'a>,
            #[serde(borrow)]
            error: Raw<'a>,
        }
        let answer = self.response.and_then(fields::<Answer<'_>>);
        let text = |raw: Raw<'_>| string(raw).map(Cow::into_owned);
        match answer {
            Some(Answer { output: Some(output), error: None }) if text(Some(output)).is_some() => {
                (text(Some(output)).unwrap_or_default(), false)
            }
            Some(Answer { output: None, error: Some(error) }) => {
                (text(Some(error)).unwrap_or_else(|| error.get().to_owned()), true)
            }
            _ => (text(self.response).or(self.response.map(|raw| raw.get().to_owned())).unwrap_or_default(), false),
        }
    }

    /// Pictures inside the response itself.
    pub(super) fn parts(&self) -> Vec<Part<'a>> {
        parts(self.parts)
    }
}

/// `inlineData` and `fileData`.
#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "the API's own names")]
#[serde(rename_all = "camelCase")]
pub(super) struct Data<'a> {
    #[serde(borrow)]
    mime_type: Raw<'a>,
    #[serde(borrow)]
    data: Raw<'a>,
    #[serde(borrow)]
    file_uri: Raw<'a>,
}

impl Data<'_> {
    pub(super) fn media_type(&self) -> Option<String> {
        owned(self.mime_type)
    }

    pub(super) fn base64(&self) -> Option<String> {
        owned(self.data)
    }

    pub(super) fn address(&self) -> Option<String> {
        owned(self.file_uri)
    }
}

/// An entry of `thoughts`.
#[derive(Deserialize)]
pub(super) struct Thought<'a> {
    #[serde(borrow)]
    subject: Raw<'a>,
    #[serde(borrow)]
    description: Raw<'a>,
}

impl Thought<'_> {
    /// As the model wrote it: the client splits `**subject** description`.
    pub(super) fn text(&self) -> String {
        let (subject, description) = (owned(self.subject), owned(self.description));
        let subject = subject.map(|subject| format!("**{subject}**"));
        [subject, description].into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

/// An entry of `toolCalls`: what the client shows of a call, and its result.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolCall<'a> {
    #[serde(borrow)]
    id: Raw<'a>,
    #[serde(borrow)]
    name: Raw<'a>,
    #[serde(borrow)]
    args: Raw<'a>,
    #[serde(borrow)]
    result: Raw<'a>,
}

impl<'a> ToolCall<'a> {
    pub(super) fn call(&self) -> Call<'a> {
        Call { id: self.id, name: self.name, args: self.args }
    }

    /// `null` and an empty string are no result.
    pub(super) fn has_result(&self) -> bool {
        self.result.is_some_and(|result| !matches!(result.get(), "null" | "\"\"" | "false" | "0"))
    }

    /// The parts of the result. A bare text answers this call.
    pub(super) fn result(&self) -> Vec<Part<'a>> {
        match self.result.filter(|_| self.has_result()) {
            Some(text) if text.get().starts_with('"') => {
                vec![Part::Response(Response { id: self.id, name: self.name, response: Some(text), parts: None })]
            }
            result => parts(result),
        }
    }
}

/// Tokens of one API call; `input` is the whole prompt, what came from the cache included.
#[derive(Clone, Copy)]
pub(super) struct Tokens {
    pub(super) input: u64,
    pub(super) output: u64,
    pub(super) cached: u64,
    pub(super) thoughts: u64,
    pub(super) tool: u64,
}

#[derive(Deserialize)]
struct RawTokens<'a> {
    #[serde(borrow)]
    input: Raw<'a>,
    #[serde(borrow)]
    output: Raw<'a>,
    #[serde(borrow)]
    cached: Raw<'a>,
    #[serde(borrow)]
    thoughts: Raw<'a>,
    #[serde(borrow)]
    tool: Raw<'a>,
}

impl RawTokens<'_> {
    fn read(&self) -> Tokens {
        let count = |raw: Raw<'_>| raw.and_then(|raw| raw.get().parse::<f64>().ok()).map_or(0, |n| n.max(0.0) as u64);
        Tokens {
            input: count(self.input),
            output: count(self.output),
            cached: count(self.cached),
            thoughts: count(self.thoughts),
            tool: count(self.tool),
        }
    }
}

/// What a line, or a whole document, is; the error says in words why it is nothing.
pub(super) fn parse(text: &str) -> Result<Record<'_>, String> {
    #[derive(Deserialize)]
    struct Line<'a> {
        #[serde(borrow, rename = "$rewindTo")]
        rewind_to: Raw<'a>,
        #[serde(borrow)]
        id: Raw<'a>,
        #[serde(borrow, rename = "$set")]
        set: Raw<'a>,
        #[serde(borrow)]
        history: Raw<'a>,
    }
    if !text.starts_with('{') {
        return Err("not a JSON object".to_owned());
    }
    let line: Line<'_> = serde_json::from_str(text).map_err(|error| reason(&error))?;
    if let Some(id) = string(line.rewind_to) {
        return Ok(Record::Rewind(id.into_owned()));
    }
    if string(line.id).is_some() {
        return serde_json::from_str(text).map(Record::Message).map_err(|error| reason(&error));
    }
    if let Some(set) = line.set.and_then(fields) {
        return Ok(Record::Set(set));
    }
    let start: Metadata<'_> = serde_json::from_str(text).map_err(|error| reason(&error))?;
    if start.session_id().is_some() && string(start.project_hash).is_some() {
        return Ok(Record::Start(start));
    }
    match line.history.filter(|history| history.get().starts_with('[')) {
        Some(history) => Ok(Record::Checkpoint(elements(Some(history)))),
        None => Ok(Record::Unknown),
    }
}

fn reason(error: &serde_json::Error) -> String {
    error.to_string().replace(" at line 1 column ", " at column ")
}

/// One entry of a checkpoint's history.
#[derive(Deserialize)]
pub(super) struct Content<'a> {
    #[serde(borrow)]
    role: Raw<'a>,
    #[serde(borrow)]
    parts: Raw<'a>,
}

impl<'a> Content<'a> {
    pub(super) fn of(raw: &'a RawValue) -> Option<Content<'a>> {
        fields(raw)
    }

    /// The message that the client would make of it.
    pub(super) fn message(&self) -> Message<'a> {
        let is_model = string(self.role).as_deref() == Some("model");
        let kind = if is_model { GEMINI } else { USER };
        Message {
            id: None,
            timestamp: None,
            kind: serde_json::from_str(kind).ok(),
            content: self.parts,
            thoughts: None,
            tokens: None,
            model: None,
            tool_calls: None,
        }
    }
}

const USER: &str = r#""user""#;
const GEMINI: &str = r#""gemini""#;

/// A session's id, wherever it stands at the top of a line or document, which may be cut off behind it.
pub(super) fn session_id(bytes: &[u8]) -> Option<String> {
    struct Search<'f>(&'f mut Option<String>);
    impl<'de> Visitor<'de> for Search<'_> {
        type Value = ();
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            while let Some(key) = map.next_key::<Cow<'_, str>>()? {
                if key == "sessionId" {
                    *self.0 = map.next_value::<Option<String>>()?;
                } else {
                    map.next_value::<serde::de::IgnoredAny>()?;
                }
            }
            Ok(())
        }
    }
    let text = text_of(bytes);
    let mut found = None;
    let text = text.trim_start_matches('\u{feff}').trim();
    let _ = serde_json::Deserializer::from_str(text).deserialize_map(Search(&mut found));
    found
}

/// Content as parts: a list, or one by itself.
fn parts(raw: Raw<'_>) -> Vec<Part<'_>> {
    match raw {
        Some(list) if list.get().starts_with('[') => elements(raw).into_iter().map(part).collect(),
        Some(one) => vec![part(one)],
        None => Vec::new(),
    }
}

fn part(raw: &RawValue) -> Part<'_> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Fields<'a> {
        #[serde(borrow)]
        text: Raw<'a>,
        #[serde(borrow)]
        thought: Raw<'a>,
        #[serde(borrow)]
        thought_signature: Raw<'a>,
        #[serde(borrow)]
        function_call: Raw<'a>,
        #[serde(borrow)]
        function_response: Raw<'a>,
        #[serde(borrow)]
        inline_data: Raw<'a>,
        #[serde(borrow)]
        file_data: Raw<'a>,
    }
    if let Some(text) = string(Some(raw)) {
        return Part::Text(text.into_owned());
    }
    let Some(part) = fields::<Fields<'_>>(raw) else { return Part::Other(raw) };
    let known = if let Some(text) = string(part.text).map(Cow::into_owned) {
        let is_thought = part.thought.is_some_and(|thought| thought.get() == "true");
        Some(if is_thought { Part::Thought(text, owned(part.thought_signature)) } else { Part::Text(text) })
    } else if let Some(call) = part.function_call {
        fields(call).map(Part::Call)
    } else if let Some(response) = part.function_response {
        fields(response).map(Part::Response)
    } else {
        part.inline_data.or(part.file_data).and_then(fields).map(|data| Part::Data(data, raw))
    };
    known.unwrap_or(Part::Other(raw))
}

/// Since 0.42 a call's id stands behind its tool's name; the client takes that off before it sends the call.
fn call_id(id: Raw<'_>, name: Raw<'_>) -> Option<String> {
    let (id, name) = (owned(id)?, owned(name).unwrap_or_default());
    let bare = id.strip_prefix(&name).and_then(|rest| rest.strip_prefix("__")).filter(|bare| !bare.is_empty());
    Some(bare.map_or_else(|| id.clone(), str::to_owned))
}
