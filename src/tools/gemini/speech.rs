//! The client's messages as ours. The client tells the same thing several times: a reply before and after its tools ran,
//! a tool's result in the call and again in a message of its own, the whole history at every resume. Each content is
//! taken where it first stands, whatever repeats it, so the log and the live conversation agree on what a message is.

use super::record::{self, Call, Content, Data, Kind, Part, Record, Response, Tokens};
use crate::id::Hash;
use crate::model::message::{Block, ImageKind, ImageSource, Message, Role, Usage, raw};
use crate::tools::lenient::{one_line, text_of};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use std::collections::HashSet;

/// Beginnings of texts in the person's role that the client wrote. It does not send them again.
const ENVIRONMENT: [&str; 2] = ["<session_context>", "<hook_context>"];
/// Our writer puts this before a text that a resumed client would leave out. It has no width.
pub(super) const SHIELD: &str = "\u{200b}";
/// How the summary of a compression begins.
const SNAPSHOT: &str = "<state_snapshot>";

/// Takes messages in the order of the file or of the conversation.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Speech {
    seen: Seen,
}

/// Ids for the messages made of one native message: its own for the first, a place in the stream for further ones.
struct Ids<'a> {
    place: &'a str,
    next: usize,
}

impl Ids<'_> {
    fn place(&mut self) -> String {
        self.next += 1;
        format!("{}.{}", self.place, self.next - 1)
    }
}

impl Speech {
    /// True where the text of the message with this id was taken.
    pub(super) fn knows(&self, id: &str) -> bool {
        self.seen.has(&["message", id])
    }

    /// What `message` tells that was not told before. `place` names where it stands: `<stream>:<line>`.
    pub(super) fn add(&mut self, message: &record::Message<'_>, place: &str, out: &mut Vec<Message>) {
        let first = out.len();
        let mut ids = Ids { place, next: 0 };
        let id = message.id().unwrap_or_else(|| ids.place());
        match message.kind() {
            Kind::User => self.user(&id, message.content(), &mut ids, out),
            Kind::Gemini => self.reply(&id, message, &mut ids, out),
            Kind::Notice => self.notice(&id, message, out),
        }
        for made in &mut out[first..] {
            made.timestamp = message.timestamp();
        }
    }

    /// What `/chat save` kept: contents without ids.
    pub(super) fn add_checkpoint(&mut self, history: &[&RawValue], place: &str, out: &mut Vec<Message>) {
        for (n, content) in history.iter().enumerate() {
            if let Some(content) = Content::of(content) {
                self.add(&content.message(), &format!("{place}.{n}"), out);
            }
        }
    }

    fn notice(&mut self, id: &str, message: &record::Message<'_>, out: &mut Vec<Message>) {
        let texts = message.content().into_iter().filter_map(|part| match part {
            Part::Text(text) if !text.is_empty() => Some(Block::Text(text)),
            _ => None,
        });
        let mut notice = made(id.to_owned(), Role::System, texts.collect());
        notice.is_meta = true;
        notice.metadata.insert("kind".into(), message.kind_word().into());
        if !notice.content.is_empty() && self.seen.insert(&["message", id]) {
            out.push(notice);
        }
    }

    /// The environment stands in front, results of calls after it, then what the person said.
    fn user(&mut self, id: &str, content: Vec<Part<'_>>, ids: &mut Ids<'_>, out: &mut Vec<Message>) {
        let (mut environment, mut rest) = (Vec::new(), Vec::new());
        for part in content {
            match part {
                Part::Text(text) if rest.is_empty() && is_environment(&text) => environment.push(Block::Text(text)),
                Part::Text(text) if rest.is_empty() => rest.push(Part::Text(unshielded(text))),
                part => rest.push(part),
            }
        }
        let (results, prompt) = self.results(rest);
        // A message may be all three; its id goes to the one that says most.
        let mut own = Some(id.to_owned());
        let mut id_for = |is_main: bool| own.take_if(|_| is_main).unwrap_or_else(|| ids.place());
        let is_known = self.knows(id);
        if !environment.is_empty() && !is_known {
            let mut meta = made(id_for(prompt.is_empty() && results.is_empty()), Role::User, environment);
            meta.is_meta = true;
            out.push(meta);
        }
        if !results.is_empty() {
            out.push(made(id_for(prompt.is_empty() && !is_known), Role::Tool, results));
        }
        if !prompt.is_empty() && !is_known {
            out.push(said(id_for(true), prompt));
        }
        self.seen.insert(&["message", id]);
    }

    /// Results that were not seen, with their pictures, and what is neither.
    fn results(&mut self, parts: Vec<Part<'_>>) -> (Vec<Block>, Vec<Block>) {
        let (mut results, mut rest) = (Vec::new(), Vec::new());
        let mut is_repeated = None;
        for part in parts {
            match part {
                Part::Response(response) => is_repeated = Some(!self.result(&response, &mut results)),
                // A picture behind a result belongs to it.
                Part::Data(data, whole) if rest.is_empty() && is_repeated.is_some() => {
                    if is_repeated == Some(false) {
                        results.push(picture(&data, whole));
                    }
                }
                part => rest.push(block(part)),
            }
        }
        (results, rest)
    }

    fn result(&mut self, response: &Response<'_>, out: &mut Vec<Block>) -> bool {
        let id = response.id().unwrap_or_else(|| response.name());
        let is_new = self.seen.insert(&["result", &id]);
        if is_new {
            let (content, is_error) = response.text();
            let exit_code = exit_code(&content);
            out.push(Block::ToolResult { id, content, is_error, exit_code, duration_ms: None });
            out.extend(response.parts().into_iter().map(block));
        }
        is_new
    }

    /// A reply with its calls; the results that stand in it follow as the client's own `<id>_response`.
    fn reply(&mut self, id: &str, message: &record::Message<'_>, ids: &mut Ids<'_>, out: &mut Vec<Message>) {
        let is_known = self.knows(id);
        let content = message.content();
        // With calls or thinking in its content, the client looks for neither elsewhere.
        let is_modern = content.iter().any(|part| matches!(part, Part::Call(_) | Part::Thought(..)));
        let (mut blocks, mut n) = (Vec::new(), 0);
        if !is_known {
            blocks.extend(message.thoughts().iter().map(|thought| thinking(thought.text(), None)));
        }
        for part in content {
            match part {
                Part::Call(call) => {
                    blocks.extend(self.call(id, &call, n));
                    n += 1;
                }
                Part::Text(text) if is_known || text.is_empty() => {}
                part if !is_known => blocks.push(block(part)),
                _ => {}
            }
        }
        let calls = message.tool_calls();
        if !is_modern {
            blocks.extend(calls.iter().enumerate().filter_map(|(n, call)| self.call(id, &call.call(), n)));
        }
        if !blocks.is_empty() {
            let own = if self.seen.insert(&["message", id]) { id.to_owned() } else { ids.place() };
            let mut reply = made(own, Role::Assistant, blocks);
            reply.usage = message.tokens().filter(|_| !is_known).map(usage);
            reply.model = message.model();
            reply.provider =
                reply.model.as_deref().is_some_and(|model| model.starts_with("gemini")).then_some("google");
            out.push(reply);
        }
        let (results, _) = self.results(calls.iter().flat_map(record::ToolCall::result).collect());
        if !results.is_empty() {
            let own = format!("{id}_response");
            let own = if self.seen.insert(&["message", &own]) { own } else { ids.place() };
            out.push(made(own, Role::Tool, results));
        }
    }

    /// `n` tells calls without an id apart.
    fn call(&mut self, message: &str, call: &Call<'_>, n: usize) -> Option<Block> {
        let name = call.name();
        let key = call.id().unwrap_or_else(|| format!("{name} {n}"));
        if !self.seen.insert(&["call", message, &key]) {
            return None;
        }
        let id = call.id().unwrap_or_else(|| name.clone());
        // Ids may repeat in later turns: the result that follows is this call's.
        self.seen.remove(&["result", &id]);
        let input = call.args.map_or_else(|| raw(&serde_json::Map::new()), object);
        Some(Block::ToolUse { id, name, input })
    }
}

fn made(id: String, role: Role, content: Vec<Block>) -> Message {
    let mut message = Message::new(id, role);
    message.content = content;
    message
}

/// What the person said, or the summary that a compression put in its place.
fn said(id: String, mut content: Vec<Block>) -> Message {
    match content.as_mut_slice() {
        [Block::Text(text)] if text.trim_start().starts_with(SNAPSHOT) => {
            let summary = Block::Summary { text: std::mem::take(text), through: None };
            made(id, Role::System, vec![summary])
        }
        _ => made(id, Role::User, content),
    }
}

/// True where whole lines tell nothing but the environment. What is not whole may yet say something.
pub(super) fn is_silent(lines: &[u8]) -> bool {
    let (mut speech, mut messages) = (Speech::default(), Vec::new());
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
        match record::parse(text_of(line).trim()) {
            Ok(Record::Set(metadata) | Record::Start(metadata)) => {
                for message in metadata.messages().unwrap_or_default().into_iter().filter_map(record::Message::of) {
                    speech.add(&message, "", &mut messages);
                }
            }
            Ok(Record::Unknown) => {}
            Ok(Record::Message(_) | Record::Rewind(_) | Record::Checkpoint(_)) | Err(_) => return false,
        }
    }
    messages.iter().all(|message| message.is_meta)
}

/// True for what the client writes in the person's role.
fn is_environment(text: &str) -> bool {
    ENVIRONMENT.iter().any(|start| text.trim_start().starts_with(start))
}

/// True for a prompt that a resumed client leaves out: it takes it for a command or for its own context.
pub(super) fn is_left_out(text: &str) -> bool {
    text.trim_start().starts_with(['/', '?']) || is_environment(text)
}

fn unshielded(text: String) -> String {
    match text.strip_prefix(SHIELD) {
        Some(bare) if is_left_out(bare) => bare.to_owned(),
        _ => text,
    }
}

fn thinking(text: String, signature: Option<String>) -> Block {
    Block::Thinking { text, signature, redacted: false, summary: None }
}

fn block(part: Part<'_>) -> Block {
    match part {
        Part::Text(text) => Block::Text(text),
        Part::Thought(text, signature) => thinking(text, signature),
        Part::Data(data, whole) => picture(&data, whole),
        Part::Other(other) => kept_whole(other),
        // Neither stands where only the other role may say it.
        Part::Call(call) => Block::Text(format!("[Function Call: {}]", call.name())),
        Part::Response(response) => Block::Text(response.text().0),
    }
}

/// A picture; another kind of file is kept whole.
fn picture(data: &Data<'_>, whole: &RawValue) -> Block {
    let media_type = data.media_type();
    let is_image = media_type.as_deref().is_some_and(|media_type| media_type.starts_with("image/"));
    let base64 = data.base64().map(|data| (ImageKind::Base64, data));
    match base64.or_else(|| Some((ImageKind::Url, data.address()?))) {
        Some((kind, data)) if is_image => Block::Image(ImageSource { kind, data, media_type }),
        _ => kept_whole(whole),
    }
}

/// A part that the model has no block for; the writer finds it again. Written without being read: it may nest deeper
/// than a parser goes.
fn kept_whole(part: &RawValue) -> Block {
    Block::Other(raw(&Kept { kind: "gemini_part", gemini_part: &one_line(part) }))
}

/// See [`kept_whole`].
#[derive(Serialize, Deserialize)]
pub(super) struct Kept<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    pub(super) gemini_part: &'a RawValue,
}

/// A call's arguments on one line: an object; anything else is put into one.
pub(super) fn object(args: &RawValue) -> Box<RawValue> {
    #[derive(Serialize)]
    struct Wrapped<'a> {
        input: &'a RawValue,
    }
    let args = one_line(args);
    if args.get().starts_with('{') { args } else { raw(&Wrapped { input: &args }) }
}

/// A shell command that failed is a success to the client; its text has `Exit Code: 3` on a line.
fn exit_code(content: &str) -> Option<i64> {
    content.lines().rev().find_map(|line| line.strip_prefix("Exit Code: ")?.trim().parse().ok())
}

/// The prompt's tokens include those from the cache; what the model thought is counted beside its output.
pub(super) fn usage(tokens: Tokens) -> Usage {
    Usage {
        input_tokens: tokens.input.saturating_sub(tokens.cached).saturating_add(tokens.tool),
        output_tokens: tokens.output.saturating_add(tokens.thoughts),
        cache_read_tokens: tokens.cached,
        cache_write_tokens: 0,
        reasoning_tokens: tokens.thoughts,
    }
}

/// What was told: 48 bits of a hash for each message, call and result. The client repeats a whole history, so nothing
/// shorter does; as text it is eight characters for each.
#[derive(Default)]
struct Seen(HashSet<u64>);

impl Seen {
    fn has(&self, key: &[&str]) -> bool {
        self.0.contains(&short_hash(key))
    }

    fn insert(&mut self, key: &[&str]) -> bool {
        self.0.insert(short_hash(key))
    }

    fn remove(&mut self, key: &[&str]) {
        self.0.remove(&short_hash(key));
    }
}

fn short_hash(key: &[&str]) -> u64 {
    let hash = Hash::of(key.join("\0").as_bytes());
    hash.0[..6].iter().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl Serialize for Seen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digits = |word: &u64| (0..8).map(|n| char::from(DIGITS[(word >> (42 - 6 * n) & 63) as usize])).collect();
        let words: Vec<String> = self.0.iter().map(digits).collect();
        serializer.serialize_str(&words.concat())
    }
}

impl<'de> Deserialize<'de> for Seen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digit = |byte: &u8| DIGITS.iter().position(|known| known == byte).unwrap_or_default() as u64;
        let word = |bytes: &[u8]| bytes.iter().fold(0, |word, byte| word << 6 | digit(byte));
        Ok(Seen(text.as_bytes().chunks(8).map(word).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_survives_a_restart() {
        let mut seen = Seen::default();
        for id in ["a", "b", "c"] {
            assert!(seen.insert(&["message", id]));
        }
        let mut again: Seen = serde_json::from_str(&serde_json::to_string(&seen).unwrap()).unwrap();
        assert_eq!(again.0, seen.0);
        assert!(!again.insert(&["message", "b"]));
        again.remove(&["message", "b"]);
        assert!(!again.has(&["message", "b"]));
    }
}
