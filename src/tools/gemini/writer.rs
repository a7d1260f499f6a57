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

use super::calls;
use super::conversation::newest_history;
use super::shape::{Head, Part, Record, Response, ShownCall, Thought};
use super::speech::{Kept, SHIELD, is_left_out, object};
use super::{Gemini, ID, project};
use crate::error::{Context, Error, Result};
use crate::home::Home;
use crate::id::Hash;
use crate::model::action;
use crate::model::conversation::{About, CallResult, Conversation, Step, steps};
use crate::model::ledger::{Fate, Ledger, Tally, What};
use crate::model::message::{Block, ImageKind, ImageSource, Message};
use crate::tools::lenient::one_line;
use crate::tools::{Plan, Source, Target, Tool, Writer};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

/// What the client does with a conversation that ends with a result.
const UNANSWERED: &str = "Gemini CLI adds that the response was interrupted when it resumes";
/// The client deletes what was not changed for 30 days.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(29 * 24);
/// The first line has to end within 4096 bytes.
const TITLE_CHARACTERS: usize = 200;
/// Parts that only this tool has, and its API takes back.
const PARTS: [&str; 4] = ["inlineData", "fileData", "executableCode", "codeExecutionResult"];
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
        let ours = format!("-{}.jsonl", suffix(source.native_id()));
        if !native_path.is_some_and(|path| path.ends_with(&ours)) {
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
        let file =
            folder.join(format!("session-{}-{}.jsonl", target.now.strftime("%Y-%m-%dT%H-%M"), suffix(&native_id)));
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
        scribe.tally.leave_out(conversation.left_out);
        scribe.head(target.now)?;
        for step in steps(conversation.messages) {
            match step? {
                Step::Prompt(message) => scribe.prompt(message)?,
                Step::Reply { message, results } => scribe.reply(message, &results)?,
                Step::OrphanResult(result) => scribe.tally.drop_orphan(&result),
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
        let now = time(now);
        write_line(
            self.out,
            &Head {
                session_id: &self.plan.native_id,
                project_hash: Hash::of(self.cwd.as_bytes()).hex(),
                start_time: &now,
                last_updated: &now,
                kind: "main",
                summary: title.map(|line| line.trim().chars().take(TITLE_CHARACTERS).collect()),
            },
        )
    }

    /// Times never run backwards.
    fn advance_clock(&mut self, message: &Message) -> String {
        self.clock = message.timestamp.map_or(self.clock, |at| at.max(self.clock));
        time(self.clock)
    }

    fn record(&mut self, record: &Record<'_>) -> Result<()> {
        self.is_empty = false;
        write_line(self.out, record)
    }

    fn prompt(&mut self, message: Message) -> Result<()> {
        let timestamp = self.advance_clock(&message);
        if message.is_harness() {
            self.tally.drop_all(&message, "the target writes its own");
            return Ok(());
        }
        let texts = What::texts_of(&message).map(|what| (what, message.text().trim().is_empty()));
        let mut content: Vec<Part> = message.content.into_iter().filter_map(|block| self.prompt_part(block)).collect();
        let shown = shield(&mut content).unwrap_or_default();
        if let Some((what, is_empty)) = texts {
            let (fate, why) = match () {
                () if is_empty => (Fate::Dropped, "empty"),
                () if shown.is_empty() => (Fate::Kept, ""),
                () => (Fate::Mapped, "behind an invisible character: the client would take it for a command"),
            };
            self.tally.add(fate, what, why);
        }
        if content.is_empty() {
            return Ok(());
        }
        self.is_unanswered = false;
        self.record(&Record { display_content: shown, ..Record::of("user", &timestamp, content) })
    }

    fn prompt_part(&mut self, block: Block) -> Option<Part> {
        match block {
            Block::Text(text) => Part::text(text),
            Block::Image(source) => Some(self.image(&source)),
            Block::Summary { text, .. } => {
                let part = Part::text(text);
                let (fate, why) =
                    if part.is_some() { (Fate::Mapped, "as a user message") } else { (Fate::Dropped, "empty") };
                self.tally.add(fate, What::Summary, why);
                part
            }
            Block::Other(other) => self.other(&other),
            other => {
                self.tally.add(Fate::Dropped, What::of(&other), "the target has no place for it");
                None
            }
        }
    }

    /// A picture that the API takes, or a note in its place.
    fn image(&mut self, source: &ImageSource) -> Part {
        let is_base64 = source.data.len().is_multiple_of(4)
            && source.data.trim_end_matches('=').bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/');
        let media_type = source.media_type.as_deref().unwrap_or("image/png");
        if source.kind == ImageKind::Base64 && is_base64 && PICTURES.contains(&media_type) {
            self.tally.add(Fate::Kept, What::Image, "");
            return Part::InlineData { mime_type: media_type.to_owned(), data: source.data.clone() };
        }
        self.tally.add(Fate::Degraded, What::Image, "a note in its place: not a picture inside the session");
        let name = if source.kind == ImageKind::Base64 { media_type } else { &source.data };
        Part::Text(format!("[An image stood here: {name}]"))
    }

    /// A part that no other tool has goes back to what it was.
    fn other(&mut self, other: &RawValue) -> Option<Part> {
        let part = native_part(other).filter(|_| self.is_own);
        match part {
            Some(_) => self.tally.add(Fate::Kept, What::Other, ""),
            None => self.tally.add(Fate::Dropped, What::Other, "the target has no place for it"),
        }
        part.map(Part::Other)
    }

    fn reply(&mut self, message: Message, results: &[CallResult]) -> Result<()> {
        let timestamp = self.advance_clock(&message);
        let (mut content, mut shown, mut thoughts) = (Vec::new(), Vec::new(), Vec::new());
        let mut calls = 0;
        for block in message.content {
            match block {
                Block::Text(_) | Block::Summary { .. } => {
                    let what = What::of(&block);
                    let (Block::Text(text) | Block::Summary { text, .. }) = block else { continue };
                    let part = Part::text(text);
                    let (fate, why) = if part.is_some() { (Fate::Kept, "") } else { (Fate::Dropped, "empty") };
                    self.tally.add(fate, what, why);
                    shown.extend(part.clone());
                    content.extend(part);
                }
                Block::Thinking { text, summary, .. } => {
                    let thought = [Some(text), summary].into_iter().flatten().find(|text| !text.trim().is_empty());
                    if thought.is_none() {
                        self.tally.add(Fate::Dropped, What::Thinking, "only its maker can read it");
                    }
                    thoughts.extend(thought);
                }
                Block::ToolUse { id, name, input } => {
                    calls += 1;
                    content.push(self.call(id, &name, &input));
                }
                Block::Image(_) => self.tally.add(Fate::Dropped, What::Image, "made by the model"),
                Block::Other(other) => content.extend(self.other(&other)),
                Block::ToolResult { .. } => {
                    self.tally.add(Fate::Dropped, What::Result, "the target has no place for it");
                }
            }
        }
        if content.is_empty() {
            self.tally.add_many(Fate::Dropped, What::Thinking, "nothing else in its reply", thoughts.len() as u64);
            return Ok(());
        }
        self.tally.add_many(Fate::Degraded, What::Thinking, "shown but not sent to the model", thoughts.len() as u64);
        let answers = self.answers(&content, results);
        // Without this the client shows calls as text.
        if calls == 0 {
            shown.clear();
        } else if shown.is_empty() {
            shown.push(Part::blank());
        }
        let tool_calls = shown_calls(&content, results, &timestamp);
        self.record(&Record {
            display_content: shown,
            thoughts: thoughts.iter().map(|thought| split_thought(thought, &timestamp)).collect(),
            model: message.model.as_deref(),
            tool_calls,
            ..Record::of("gemini", &timestamp, content)
        })?;
        self.is_unanswered = !answers.is_empty();
        if answers.is_empty() {
            return Ok(());
        }
        self.record(&Record { display_content: vec![Part::blank()], ..Record::of("user", &timestamp, answers) })
    }

    /// The call, with the name and the arguments that this client has for it.
    fn call(&mut self, id: String, name: &str, input: &RawValue) -> Part {
        if !self.is_own {
            let meaning = action::of(name, input);
            let is_here = |folder: &str| folder == self.cwd || self.about.cwd.as_deref() == Some(folder);
            let native = calls::native(&meaning.action, &is_here);
            if let Some(native) = native.filter(|native| native.replaces(name, input)) {
                let (fate, detail) = native.entry(name, &meaning);
                self.tally.add(fate, What::Call, detail);
                return Part::FunctionCall { id, name: native.name.to_owned(), args: native.input };
            }
        }
        let acceptable = acceptable(name);
        if acceptable == name {
            self.tally.add(Fate::Kept, What::Call, "");
        } else {
            self.tally.add(Fate::Mapped, What::Call, "under a name that the API accepts");
        }
        Part::FunctionCall { id, name: acceptable.into_owned(), args: object(input) }
    }

    /// All results of a reply, for one message that holds nothing else; each one's pictures right behind it.
    fn answers(&mut self, content: &[Part], results: &[CallResult]) -> Vec<Part> {
        let mut answers = Vec::new();
        for ((id, name, _), result) in calls(content).zip(results) {
            if result.synthetic {
                self.tally.note(Fate::Degraded, "missing tool results", "a note in its place");
            } else {
                self.tally.add(Fate::Kept, What::Result, "");
            }
            let text = result.content.clone();
            let response = if result.is_error { Response::Error(text) } else { Response::Output(text) };
            answers.push(Part::FunctionResponse { id: id.to_owned(), name: name.to_owned(), response });
            answers.extend(result.images.iter().map(|source| self.image(source)));
        }
        answers
    }

    fn finish(mut self) -> Result<Ledger> {
        if self.is_empty {
            return Err(Error::failed(format!("session {} holds nothing to resume", self.about.native_id))
                .hint("look at it with `sfs show`"));
        }
        if self.is_unanswered {
            self.tally.note(Fate::Degraded, "unanswered end", UNANSWERED);
        }
        Ok(self.tally.close())
    }
}

impl<'a> Record<'a> {
    fn of(kind: &'a str, timestamp: &'a str, content: Vec<Part>) -> Self {
        Record {
            id: uuid::Uuid::new_v4().to_string(),
            timestamp,
            kind,
            content,
            display_content: Vec::new(),
            thoughts: Vec::new(),
            model: None,
            tool_calls: Vec::new(),
        }
    }
}

fn write_line(out: &mut dyn Write, record: &impl Serialize) -> Result<()> {
    serde_json::to_writer(&mut *out, record).context(|| "the session can't be written")?;
    out.write_all(b"\n").context(|| "the session can't be written")
}

/// The calls in a reply's content: id, name and arguments.
fn calls(content: &[Part]) -> impl Iterator<Item = (&str, &str, &RawValue)> {
    content.iter().filter_map(|part| match part {
        Part::FunctionCall { id, name, args } => Some((id.as_str(), name.as_str(), &**args)),
        _ => None,
    })
}

/// What the person sees of the calls; the client sends none of it.
fn shown_calls<'a>(content: &[Part], results: &'a [CallResult], timestamp: &'a str) -> Vec<ShownCall<'a>> {
    #[derive(Deserialize)]
    struct Described {
        #[serde(alias = "file_path")]
        command: Option<String>,
    }
    let shown = calls(content).zip(results).map(|((id, name, args), result)| ShownCall {
        id: format!("{id}~ui"),
        name: name.to_owned(),
        args: args.to_owned(),
        status: match result {
            result if result.synthetic && result.is_error => "cancelled",
            result if result.is_error => "error",
            _ => "success",
        },
        timestamp,
        display_name: name.to_owned(),
        description: serde_json::from_str::<Described>(args.get()).ok().and_then(|d| d.command).unwrap_or_default(),
        result_display: &result.content,
    });
    shown.collect()
}

/// The client itself splits `**subject** description`.
fn split_thought<'a>(thought: &'a str, timestamp: &'a str) -> Thought<'a> {
    let split = thought.strip_prefix("**").and_then(|rest| rest.split_once("**"));
    let (subject, description) = split.unwrap_or(("", thought));
    Thought { subject, description: description.trim_start(), timestamp }
}

/// What our reader made of a part that it has no block for, as that part, if the API knows it.
fn native_part(other: &RawValue) -> Option<Box<RawValue>> {
    let kept: Kept<'_> = serde_json::from_str(other.get()).ok()?;
    let fields: BTreeMap<&str, &RawValue> = serde_json::from_str(kept.gemini_part.get()).ok()?;
    let is_known =
        fields.keys().any(|key| PARTS.contains(key)) && fields.values().all(|value| value.get().starts_with('{'));
    is_known.then(|| one_line(kept.gemini_part))
}

/// Makes sure that the client does not leave the message out. Gives the original, to be shown.
fn shield(content: &mut [Part]) -> Option<Vec<Part>> {
    let shown = content.to_vec();
    let Some(Part::Text(first)) = content.first_mut() else { return None };
    if !is_left_out(first) {
        return None;
    }
    first.insert_str(0, SHIELD);
    Some(shown)
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
