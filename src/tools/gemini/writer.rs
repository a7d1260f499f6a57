//! Conversations to files that the real client (0.44 to 0.61) resumes with nothing lost, any number of times.
//!
//! The shape: a reply's calls as parts of its content, all of their results in one message behind it. What the client
//! shows of a call stands in `toolCalls` under another id and without a result: with the call's own id, or with a result,
//! the client would send the result twice from its second resume on, which the API refuses.
//!
//! The end of the file's name is not the beginning of the session's id. After a resume the client deletes every file whose
//! name ends as that of the empty file which the resume left behind.
//!
//! The registry of projects is left alone: a marker in the project's folder is enough, and the client adds the rest.

use super::conversation::newest_history;
use super::speech::ENVIRONMENT;
use super::{Gemini, ID, project};
use crate::error::{Context, Error, Result};
use crate::home::Home;
use crate::id::Hash;
use crate::model::action::{self, Action};
use crate::model::conversation::{About, CallResult, Conversation, Step, steps};
use crate::model::ledger::{Fate, Ledger, Tally};
use crate::model::message::{Block, ImageKind, ImageSource, Message, Role};
use crate::tools::{Plan, Source, Target, Tool, Writer};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::io::Write;
use std::path::Path;

/// What the client does with a conversation that ends with a result.
const UNANSWERED: &str = "the end is unanswered; Gemini CLI adds that the response was interrupted when it resumes";
/// Put before a text that the client would take for a command or for its own: it has no width.
const SHIELD: &str = "\u{200b}";
/// The client deletes what was not changed for 30 days.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(29 * 24);
/// The first line has to end within 4096 bytes.
const TITLE_CHARACTERS: usize = 200;
/// What the API takes as a picture.
const PICTURES: [&str; 6] = ["image/png", "image/jpeg", "image/webp", "image/heic", "image/heif", "image/gif"];

/// Writes sessions for Gemini CLI.
pub(super) struct GeminiWriter;

impl Writer for GeminiWriter {
    fn command(&self, native_id: &str) -> Vec<String> {
        ["gemini", "--resume", native_id].map(str::to_owned).to_vec()
    }

    /// Only what has the shape that we write: the client deletes its own file after a resume, and sends the results of
    /// calls it made itself twice. It deletes what is too old as well.
    fn accepts_own(&self, source: &dyn Source, native_path: Option<&str>) -> Result<bool> {
        let name = native_path.and_then(|path| Path::new(path).file_stem()?.to_str()).unwrap_or_default();
        let is_jsonl = native_path.is_some_and(|path| path.ends_with(".jsonl"));
        if !is_jsonl || !name.ends_with(&format!("-{}", suffix(source.native_id()))) {
            return Ok(false);
        }
        let Some((stream, history)) = newest_history(source)? else { return Ok(false) };
        let is_recent = history.last_updated().is_some_and(|at| Timestamp::now().duration_since(at) < KEPT_FOR);
        Ok(stream.name == "main" && is_recent && !history.has_own_results())
    }

    fn plan(&self, _: &About, target: &Target) -> Result<Plan> {
        let native_id = match &target.native_id {
            Some(id) if super::is_id(id) => id.clone(),
            Some(id) => return Err(Error::usage(format!("Gemini CLI can't resume a session called {id:?}"))),
            None => uuid::Uuid::new_v4().to_string(),
        };
        let root = Gemini.root(&target.home);
        let folder = root.join("tmp").join(project::folder_for(&root, &target.cwd)).join("chats");
        let file = folder.join(format!("session-{}-{}.jsonl", target.now.strftime("%Y-%m-%dT%H-%M"), suffix(&native_id)));
        Ok(Plan { command: self.command(&native_id), native_id, file, cwd: target.cwd.clone() })
    }

    fn write(
        &self,
        plan: &Plan,
        about: &About,
        target: &Target,
        conversation: Conversation<'_>,
        out: &mut dyn Write,
    ) -> Result<Ledger> {
        let mut scribe = Scribe::new(plan, about, target, out);
        for (what, why, count) in conversation.left_out {
            scribe.tally.add_many(Fate::Dropped, what, why, count);
        }
        scribe.head(target.now)?;
        for step in steps(conversation.messages) {
            match step? {
                Step::Prompt(message) => scribe.prompt(message)?,
                Step::Reply { message, results } => scribe.reply(message, results)?,
                Step::OrphanResult(_) => scribe.tally.add(Fate::Dropped, "tool results", "their calls are missing"),
            }
        }
        scribe.finish()
    }

    fn register(&self, plan: &Plan, _: &About, _: &Target) -> Result<Option<String>> {
        match plan.file.parent().and_then(Path::parent) {
            Some(folder) => project::mark(folder, &plan.cwd).map(|()| None),
            None => Ok(None),
        }
    }

    /// A marker is true whether there are sessions or not.
    fn unregister(&self, _: &Plan, _: &Target) -> Result<()> {
        Ok(())
    }

    /// The client leaves no trace of running.
    fn is_open(&self, _: &Home, _: &str) -> bool {
        false
    }
}

/// The end of a session file's name: eight digits that are not the first eight of its id.
fn suffix(native_id: &str) -> String {
    let hash = Hash::of(native_id.as_bytes()).hex();
    let starts = [0, 8].map(|at| &hash[at..at + 8]);
    let free = starts.into_iter().find(|part| !native_id.starts_with(part));
    free.unwrap_or_default().to_owned()
}

/// Writes one session.
struct Scribe<'a> {
    plan: &'a Plan,
    about: &'a About,
    cwd: String,
    /// The session is Gemini CLI's own: its calls have their right names.
    is_own: bool,
    out: &'a mut dyn Write,
    tally: Tally,
    clock: Timestamp,
    is_empty: bool,
    /// The last thing written are results.
    is_unanswered: bool,
}

/// One message of the file.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    id: String,
    timestamp: String,
    #[serde(rename = "type")]
    kind: &'a str,
    content: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_content: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    thoughts: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Value>,
}

impl<'a> Scribe<'a> {
    fn new(plan: &'a Plan, about: &'a About, target: &Target, out: &'a mut dyn Write) -> Self {
        Scribe {
            plan,
            about,
            cwd: plan.cwd.to_string_lossy().into_owned(),
            is_own: about.tool == ID,
            out,
            tally: Tally::default(),
            clock: about.created_at.unwrap_or(target.now).min(target.now),
            is_empty: true,
            is_unanswered: false,
        }
    }

    /// Both times are the moment of writing: the client deletes old sessions, and `latest` is the newest start.
    fn head(&mut self, now: Timestamp) -> Result<()> {
        let title = self.about.title.as_deref().and_then(|title| title.lines().find(|line| !line.trim().is_empty()));
        let title: Option<String> = title.map(|line| line.trim().chars().take(TITLE_CHARACTERS).collect());
        let mut head = json!({
            "sessionId": self.plan.native_id, "projectHash": Hash::of(self.cwd.as_bytes()).hex(),
            "startTime": time(now), "lastUpdated": time(now), "kind": "main",
        });
        if let Some(title) = title {
            head["summary"] = title.into();
        }
        self.line(&head)
    }

    fn line(&mut self, record: &impl Serialize) -> Result<()> {
        serde_json::to_writer(&mut *self.out, record).context(|| "the session can't be written")?;
        self.out.write_all(b"\n").context(|| "the session can't be written")
    }

    fn record(&mut self, kind: &'static str, content: Vec<Value>) -> Record<'static> {
        self.is_empty = false;
        Record {
            id: uuid::Uuid::new_v4().to_string(),
            timestamp: time(self.clock),
            kind,
            content,
            display_content: None,
            thoughts: Vec::new(),
            model: None,
            tool_calls: Vec::new(),
        }
    }

    fn prompt(&mut self, message: Message) -> Result<()> {
        self.clock = message.timestamp.map_or(self.clock, |at| at.max(self.clock));
        let has_summary = message.content.iter().any(|block| matches!(block, Block::Summary { .. }));
        let what = if message.is_meta { "harness texts" } else { "user messages" };
        let is_harness = (message.is_meta && !message.is_context()) || message.role != Role::User;
        if is_harness && !has_summary {
            self.tally.add(Fate::Dropped, "harness texts", "the target writes its own");
            return Ok(());
        }
        let mut content: Vec<Value> = message.content.into_iter().filter_map(|block| self.prompt_part(block)).collect();
        if content.is_empty() {
            self.tally.add(Fate::Dropped, what, "empty");
            return Ok(());
        }
        let shown = shield(&mut content);
        if shown.is_some() {
            self.tally.add(Fate::Mapped, what, "behind an invisible character: the client would take it for a command");
        } else if !has_summary {
            self.tally.add(Fate::Kept, what, "");
        }
        let mut record = self.record("user", content);
        record.display_content = shown;
        self.is_unanswered = false;
        self.line(&record)
    }

    /// The API refuses empty texts.
    fn prompt_part(&mut self, block: Block) -> Option<Value> {
        match block {
            Block::Text(text) => text_part(&text),
            Block::Image(source) => Some(self.image(&source)),
            Block::Summary { text, .. } => {
                self.tally.add(Fate::Mapped, "summaries", "as a user message");
                text_part(&text)
            }
            Block::Other(other) => self.file(&other),
            _ => {
                self.tally.add(Fate::Dropped, "other content", "the target has no place for it");
                None
            }
        }
    }

    /// A picture that the API takes, or a note in its place.
    fn image(&mut self, source: &ImageSource) -> Value {
        let is_base64 = source.data.len().is_multiple_of(4)
            && source.data.trim_end_matches('=').bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/');
        let media_type = source.media_type.as_deref().unwrap_or("image/png");
        if source.kind == ImageKind::Base64 && is_base64 && PICTURES.contains(&media_type) {
            self.tally.add(Fate::Kept, "images", "");
            return json!({ "inlineData": { "mimeType": media_type, "data": source.data } });
        }
        self.tally.add(Fate::Degraded, "images", "a note in its place: not a picture inside the session");
        let name = if source.kind == ImageKind::Base64 { media_type } else { &source.data };
        json!({ "text": format!("[An image stood here: {name}]") })
    }

    /// What our reader made of a part that no other tool has goes back to what it was.
    fn file(&mut self, other: &RawValue) -> Option<Value> {
        let value: Value = serde_json::from_str(other.get()).unwrap_or_default();
        let part = match value["type"].as_str() {
            Some("gemini_part") => Some(value["part"].clone()),
            Some("file") if value["data"].is_string() => {
                Some(json!({ "inlineData": { "mimeType": value["media_type"], "data": value["data"] } }))
            }
            Some("file") => Some(json!({ "fileData": { "mimeType": value["media_type"], "fileUri": value["url"] } })),
            _ => None,
        };
        let part = part.filter(|_| self.is_own);
        match part {
            Some(_) => self.tally.add(Fate::Kept, "other content", ""),
            None => self.tally.add(Fate::Dropped, "other content", "the target has no place for it"),
        }
        part
    }

    fn reply(&mut self, message: Message, results: Vec<CallResult>) -> Result<()> {
        self.clock = message.timestamp.map_or(self.clock, |at| at.max(self.clock));
        let (mut content, mut shown, mut thoughts, mut calls) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut open = results.iter();
        for block in message.content {
            match block {
                Block::Text(text) | Block::Summary { text, .. } => match text_part(&text) {
                    Some(part) => {
                        self.tally.add(Fate::Kept, "assistant messages", "");
                        shown.push(part.clone());
                        content.push(part);
                    }
                    None => self.tally.add(Fate::Dropped, "assistant messages", "empty"),
                },
                Block::Thinking { text, summary, .. } => {
                    thoughts.extend(Some(text).filter(|text| !text.trim().is_empty()).or(summary));
                }
                Block::ToolUse { id, name, input } => {
                    let Some(result) = open.next() else { continue };
                    let (name, args) = self.call(&name, &input);
                    calls.push(self.shown_call(&id, &name, &args, result));
                    content.push(json!({ "functionCall": { "id": id, "name": name, "args": args } }));
                }
                Block::Image(_) => self.tally.add(Fate::Dropped, "images", "made by the model"),
                _ => self.tally.add(Fate::Dropped, "other content", "the target has no place for it"),
            }
        }
        if content.is_empty() {
            self.tally.add_many(Fate::Dropped, "thinking", "nothing else in its reply", thoughts.len() as u64);
            return Ok(());
        }
        self.tally.add_many(Fate::Degraded, "thinking", "shown but not sent to the model", thoughts.len() as u64);
        let names: Vec<Value> = calls.iter().map(|call| call["name"].clone()).collect();
        let mut record = self.record("gemini", content);
        // Without this the client shows calls as text.
        if !calls.is_empty() {
            record.display_content = Some(if shown.is_empty() { json!(" ") } else { shown.into() });
        }
        record.thoughts = thoughts.iter().map(|thought| self.thought(thought)).collect();
        record.model = message.model.as_deref();
        record.tool_calls = calls;
        self.is_unanswered = !results.is_empty();
        self.line(&record)?;
        if results.is_empty() { Ok(()) } else { self.results(&results, names) }
    }

    /// The call's name and arguments as the target has them.
    fn call(&mut self, name: &str, input: &RawValue) -> (String, Value) {
        if !self.is_own
            && let Action::Shell { command, directory } = action::of(name, input)
        {
            self.tally.add(Fate::Mapped, "tool calls", "as run_shell_command");
            let mut args = json!({ "command": command });
            let elsewhere = |there: &String| *there != self.cwd && self.about.cwd.as_ref() != Some(there);
            if let Some(directory) = directory.filter(elsewhere) {
                args["dir_path"] = directory.into();
            }
            return ("run_shell_command".to_owned(), args);
        }
        let acceptable = acceptable(name);
        if acceptable == name {
            self.tally.add(Fate::Kept, "tool calls", "");
        } else {
            self.tally.add(Fate::Mapped, "tool calls", "under a name that the API accepts");
        }
        // Raw numbers and the order of fields are no part of what the API distinguishes.
        let args = serde_json::from_str(input.get()).unwrap_or(Value::Null);
        (acceptable.into_owned(), if args.is_object() { args } else { json!({ "input": args }) })
    }

    /// What the person sees of a call; the client sends none of it.
    fn shown_call(&self, id: &str, name: &str, args: &Value, result: &CallResult) -> Value {
        let status = match result {
            result if result.synthetic => "cancelled",
            result if result.is_error => "error",
            _ => "success",
        };
        let description = args["command"].as_str().or(args["file_path"].as_str()).unwrap_or_default();
        json!({
            "id": format!("{id}~ui"), "name": name, "displayName": name, "description": description, "args": args,
            "status": status, "timestamp": time(self.clock), "resultDisplay": result.content,
        })
    }

    /// The client splits `**subject** description` itself.
    fn thought(&self, thought: &str) -> Value {
        let split = thought.strip_prefix("**").and_then(|rest| rest.split_once("**"));
        let (subject, description) = split.unwrap_or(("", thought));
        json!({ "subject": subject, "description": description.trim_start(), "timestamp": time(self.clock) })
    }

    /// All results of a reply in one message that holds nothing else; each one's pictures right behind it.
    fn results(&mut self, results: &[CallResult], names: Vec<Value>) -> Result<()> {
        let mut content = Vec::new();
        for (result, name) in results.iter().zip(names) {
            if result.synthetic {
                self.tally.add(Fate::Degraded, "tool results", "none was recorded: an error stands in for it");
            } else {
                self.tally.add(Fate::Kept, "tool results", "");
            }
            let key = if result.is_error { "error" } else { "output" };
            let response = json!({ key: result.content });
            content.push(json!({ "functionResponse": { "id": result.id, "name": name, "response": response } }));
            content.extend(result.images.iter().map(|source| self.image(source)));
        }
        let mut record = self.record("user", content);
        // Blank text is not shown: the calls show their results themselves.
        record.display_content = Some(json!([{ "text": " " }]));
        self.line(&record)
    }

    fn finish(mut self) -> Result<Ledger> {
        if self.is_empty {
            return Err(Error::failed(format!("session {} holds nothing to resume", self.about.native_id))
                .hint("look at it with `sfs show`"));
        }
        if self.is_unanswered {
            self.tally.add(Fate::Degraded, "assistant messages", UNANSWERED);
        }
        Ok(self.tally.close())
    }
}

fn text_part(text: &str) -> Option<Value> {
    (!text.trim().is_empty()).then(|| json!({ "text": text }))
}

/// Resumed, the client leaves out what begins as a command or as its own context. Gives the original, to be shown.
fn shield(content: &mut [Value]) -> Option<Value> {
    let shown = content.to_vec();
    let Some(Value::String(first)) = content.first_mut().map(|part| &mut part["text"]) else { return None };
    let is_taken = first.trim_start().starts_with(['/', '?'])
        || ENVIRONMENT.iter().any(|start| first.trim_start().starts_with(start));
    if !is_taken {
        return None;
    }
    first.insert_str(0, SHIELD);
    Some(shown.into())
}

/// `name` in the characters that the API takes.
fn acceptable(name: &str) -> Cow<'_, str> {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || "_.:-".contains(c);
    let starts_fine = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if starts_fine && name.len() <= 128 && name.chars().all(is_fine) {
        return Cow::Borrowed(name);
    }
    let first = if starts_fine { "" } else { "_" };
    let rest = name.chars().map(|c| if is_fine(c) { c } else { '_' });
    first.chars().chain(rest).take(128).collect::<String>().into()
}

/// As the client writes it: UTC with milliseconds.
fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}
