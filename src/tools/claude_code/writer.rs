//! Conversations to files that the real client resumes with nothing lost: versions 1.0.128 to 2.1.330 were seen to send
//! all of what this writes.
//!
//! The shape: one chain of records with rising timestamps, a reply with all of its calls in one record, all of their
//! results in the next. The client deletes or refuses what deviates, mostly without a word: a repeated call id loses the
//! call and its result, an orphan call the text beside it, a blank prompt or a text before a result ends the session.
//!
//! Not written: usage, prompt history, trust and onboarding answers. Those are the client's and the person's own.

use super::calls;
use super::names::{CallIds, acceptable, folder_of};
use super::reader::SYNTHETIC;
use super::running;
use super::shape::{Aside, Envelope, NoUsage, Picture, Piece, RecordId, Reply, UserContent, UserMessage};
use crate::error::{Context, Error, Result};
use crate::home::Home;
use crate::model::action;
use crate::model::conversation::{About, CallResult, Conversation, Step, steps};
use crate::model::ledger::{Fate, Ledger, Tally, What};
use crate::model::message::{Block, ImageKind, ImageSource, Message, Role, StopReason, raw};
use crate::tools::{Plan, Target, Tool, Writer, picture};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::io::Write;
use uuid::Uuid;

/// The client whose records these resemble.
const VERSION: &str = "2.1.330";
/// Stands for a result without any text, which the API refuses.
const NO_OUTPUT: &str = "(no output)";
/// Before a conversation that does not begin with the person.
const OPENING: &str = "[The beginning of this conversation is not in the session that was resumed.]";
/// Before images that came with a failed call.
const IMAGES_OF_FAILURE: &str = "[The failed tool call returned with this:]";
/// What the client does with a conversation that does not end with the model.
const UNANSWERED: &str = "Claude Code adds \"No response requested.\" when it resumes";
/// The longest title and the longest copy of the last prompt.
const TITLE_CHARACTERS: usize = 200;

/// Writes sessions for Claude Code.
pub(super) struct ClaudeWriter;

impl Writer for ClaudeWriter {
    fn command(&self, native_id: &str) -> Vec<String> {
        vec!["claude".into(), "--resume".into(), native_id.into()]
    }

    fn plan(&self, _: &About, target: &Target) -> Result<Plan> {
        let native_id = match &target.native_id {
            Some(id) if super::is_session_id(id) => id.clone(),
            Some(id) => {
                return Err(Error::usage(format!("Claude Code can't resume a session called {id:?}"))
                    .hint("its session ids are UUIDs"));
            }
            None => Uuid::new_v4().to_string(),
        };
        let folder = super::ClaudeCode.root(&target.home).join("projects").join(folder_of(&target.cwd));
        let file = folder.join(format!("{native_id}.jsonl"));
        let command = self.command(&native_id);
        Ok(Plan { native_id, file, cwd: target.cwd.clone(), command })
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
        for step in steps(conversation.messages) {
            scribe.step(step?)?;
        }
        scribe.finish()
    }

    fn register(&self, _: &Plan, _: &About, _: &Target) -> Result<Option<String>> {
        Ok(None)
    }

    fn unregister(&self, _: &Plan, _: &Target) -> Result<()> {
        Ok(())
    }

    fn is_open(&self, home: &Home, native_id: &str) -> bool {
        running::is_open(&super::ClaudeCode.root(home), native_id)
    }
}

/// A record that waits for its uuid: the last one's is promised in the first line.
struct Pending {
    kind: Role,
    message: Box<RawValue>,
    timestamp: Timestamp,
    is_meta: bool,
}

/// Writes one session.
struct Scribe<'a> {
    plan: &'a Plan,
    about: &'a About,
    cwd: String,
    /// The session is Claude Code's own: signatures, tool names and models hold.
    is_own: bool,
    title: Option<String>,
    out: &'a mut dyn Write,
    tally: Tally,
    leaf: RecordId,
    parent: Option<RecordId>,
    pending: Option<Pending>,
    clock: Timestamp,
    calls: CallIds,
    last_prompt: Option<String>,
}

impl<'a> Scribe<'a> {
    fn new(plan: &'a Plan, about: &'a About, target: &Target, out: &'a mut dyn Write) -> Self {
        let start = about.created_at.unwrap_or(target.now);
        Scribe {
            plan,
            about,
            cwd: plan.cwd.to_string_lossy().into_owned(),
            is_own: about.tool == super::ID,
            title: about.title.as_deref().and_then(one_line),
            out,
            tally: Tally::default(),
            leaf: RecordId::fresh(),
            parent: None,
            pending: None,
            clock: start.checked_sub(SignedDuration::from_millis(1)).unwrap_or(start),
            calls: CallIds::default(),
            last_prompt: None,
        }
    }

    fn step(&mut self, step: Step) -> Result<()> {
        match step {
            Step::Prompt(message) => self.prompt(&message),
            Step::Reply { message, results } => self.reply(&message, &results),
            Step::OrphanResult(result) => {
                self.tally.drop_orphan(&result);
                Ok(())
            }
        }
    }

    fn prompt(&mut self, message: &Message) -> Result<()> {
        if message.is_harness() {
            self.tally.drop_all(message, "the target's own harness writes its own");
            return Ok(());
        }
        let pieces = self.prompt_pieces(message);
        if pieces.is_empty() {
            return Ok(());
        }
        let is_prompt = !message.is_meta && !message.has_summary();
        if is_prompt {
            self.last_prompt = one_line(&message.text()).or(self.last_prompt.take());
        }
        // As in the client's own files, only what the person said looks like a prompt.
        self.user(pieces, message.timestamp, !is_prompt)
    }

    fn prompt_pieces<'m>(&mut self, message: &'m Message) -> Vec<Piece<'m>> {
        let mut pieces = Vec::new();
        for block in &message.content {
            match block {
                Block::Text(text) => pieces.extend(text_piece(text)),
                Block::Summary { text, .. } => pieces.extend(self.text(What::Summary, text)),
                Block::Image(source) => pieces.push(self.image(source)),
                Block::Thinking { .. } | Block::ToolUse { .. } | Block::ToolResult { .. } | Block::Other(_) => {
                    self.tally.add(Fate::Dropped, What::of(block), "the API has no such block in a prompt");
                }
            }
        }
        if let Some(what) = What::texts_of(message) {
            self.count_text(what, message.text().trim().is_empty());
        }
        pieces
    }

    /// A text that is counted for itself.
    fn text<'m>(&mut self, what: What, text: &'m str) -> Option<Piece<'m>> {
        let piece = text_piece(text);
        self.count_text(what, piece.is_none());
        piece
    }

    fn count_text(&mut self, what: What, is_blank: bool) {
        let (fate, why) =
            if is_blank { (Fate::Dropped, "blank: the API accepts no such text") } else { (Fate::Kept, "") };
        self.tally.add(fate, what, why);
    }

    fn reply(&mut self, message: &Message, results: &[CallResult]) -> Result<()> {
        let (content, calls) = self.reply_pieces(message);
        if content.is_empty() {
            return Ok(());
        }
        self.open(message.timestamp)?;
        let reply = Reply {
            id: format!("msg_{}", &Uuid::new_v4().simple().to_string()[..24]),
            kind: "message",
            role: Role::Assistant,
            model: message.model.as_deref().filter(|_| self.is_own).unwrap_or(SYNTHETIC),
            content,
            stop_reason: stop_reason(message, results),
            stop_sequence: None,
            usage: NoUsage::default(),
        };
        self.push(Role::Assistant, raw(&reply), message.timestamp, false)?;
        if results.is_empty() { Ok(()) } else { self.results(results, calls) }
    }

    /// A reply's blocks and the ids of its calls. Thinking stands only beside something: the client drops a reply of
    /// thinking alone.
    fn reply_pieces<'m>(&mut self, message: &'m Message) -> (Vec<Piece<'m>>, Vec<String>) {
        let (mut pieces, mut calls, mut thinking) = (Vec::new(), Vec::new(), 0);
        for block in &message.content {
            match block {
                Block::Text(text) | Block::Summary { text, .. } => pieces.extend(self.text(What::of(block), text)),
                Block::Thinking { text, signature, redacted, .. } => {
                    let piece = self.thinking(text, signature.as_deref(), *redacted);
                    thinking += usize::from(piece.is_some());
                    pieces.extend(piece);
                }
                Block::ToolUse { id, name, input } => {
                    let id = self.calls.unique(&acceptable(id, 128));
                    calls.push(id.clone());
                    pieces.push(self.call(id, name, input));
                }
                Block::Image(_) => {
                    self.tally.add(Fate::Degraded, What::Image, "a note in its place: replies can't hold images");
                    pieces.push(Piece::Text { text: "[An image stood here]".into() });
                }
                Block::ToolResult { .. } | Block::Other(_) => {
                    self.tally.add(Fate::Dropped, What::of(block), "Claude Code can't resume with them");
                }
            }
        }
        if pieces.len() == thinking {
            pieces.clear();
            self.tally.add_many(Fate::Dropped, What::Thinking, "nothing else in its reply", thinking as u64);
        } else {
            self.tally.add_many(Fate::Kept, What::Thinking, "", thinking as u64);
        }
        (pieces, calls)
    }

    /// A first message has to be the person's.
    fn open(&mut self, timestamp: Option<Timestamp>) -> Result<()> {
        if self.parent.is_some() || self.pending.is_some() {
            return Ok(());
        }
        self.tally.note(
            Fate::Mapped,
            "missing beginning",
            "a note in its place: a conversation has to begin with the person",
        );
        self.user(vec![Piece::Text { text: OPENING.into() }], timestamp, true)
    }

    /// A signature proves to its maker that it made the thinking; the API refuses all other.
    fn thinking<'m>(&mut self, text: &'m str, signature: Option<&'m str>, redacted: bool) -> Option<Piece<'m>> {
        let Some(signature) = signature.filter(|_| self.is_own) else {
            let why = if self.is_own { "it has no signature" } else { "its signature is only valid with its maker" };
            self.tally.add(Fate::Dropped, What::Thinking, why);
            return None;
        };
        if redacted {
            return Some(Piece::RedactedThinking { data: signature });
        }
        Some(Piece::Thinking { thinking: text, signature })
    }

    /// The call, with the name and the arguments that this client has for it.
    fn call<'m>(&mut self, id: String, name: &'m str, input: &'m RawValue) -> Piece<'m> {
        if !self.is_own {
            let meaning = action::of(name, input);
            let is_here = |folder: &str| folder == self.cwd || self.about.cwd.as_deref() == Some(folder);
            let native = calls::native(&meaning.action, &is_here);
            if let Some(native) = native.filter(|native| native.replaces(name, input)) {
                let (fate, detail) = native.entry(name, &meaning);
                self.tally.add(fate, What::Call, detail);
                return Piece::ToolUse { id, name: native.name.into(), input: Cow::Owned(native.input) };
            }
        }
        let acceptable = acceptable(name, 128);
        if acceptable == name {
            self.tally.add(Fate::Kept, What::Call, "");
        } else {
            self.tally.add(Fate::Mapped, What::Call, "under a name that the API accepts");
        }
        Piece::ToolUse { id, name: acceptable, input: one_line_object(input) }
    }

    /// All results of a reply in one record, which may hold nothing else: the client would lose results. Images of a
    /// failed call follow in a record of their own, since from a result marked as an error the client drops them.
    fn results(&mut self, results: &[CallResult], ids: Vec<String>) -> Result<()> {
        let (mut pieces, mut behind) = (Vec::new(), Vec::new());
        for (result, tool_use_id) in results.iter().zip(ids) {
            if result.synthetic {
                self.tally.note(Fate::Degraded, "missing tool results", "a note in its place");
            } else {
                self.tally.add(Fate::Kept, What::Result, "");
            }
            let mut images: Vec<Piece<'_>> = result.images.iter().map(|source| self.image(source)).collect();
            if result.is_error {
                behind.append(&mut images);
            }
            let content = match text_piece(&result.content) {
                text if !images.is_empty() => UserContent::Blocks(text.into_iter().chain(images).collect()),
                Some(_) => UserContent::Text(&result.content),
                None => UserContent::Text(NO_OUTPUT),
            };
            pieces.push(Piece::ToolResult { tool_use_id, content, is_error: result.is_error });
        }
        self.push_user(UserContent::Blocks(pieces), None, false)?;
        if behind.is_empty() {
            return Ok(());
        }
        behind.insert(0, Piece::Text { text: IMAGES_OF_FAILURE.into() });
        self.push_user(UserContent::Blocks(behind), None, true)
    }

    /// An image that the API accepts, or a note in its place.
    fn image<'m>(&mut self, source: &'m ImageSource) -> Piece<'m> {
        if source.kind == ImageKind::Base64
            && let Some(media_type) = picture::media_type(&source.data)
        {
            self.tally.add(Fate::Kept, What::Image, "");
            return Piece::Image { source: Picture { kind: "base64", media_type, data: &source.data } };
        }
        self.tally.add(
            Fate::Degraded,
            What::Image,
            "a note in its place: not a PNG, JPEG, GIF or WebP inside the session",
        );
        let name = if source.kind == ImageKind::Base64 { "" } else { source.data.as_str() };
        Piece::Text { text: format!("[An image stood here: {name}]").replace(": ]", "]").into() }
    }

    fn user(&mut self, mut pieces: Vec<Piece<'_>>, timestamp: Option<Timestamp>, is_meta: bool) -> Result<()> {
        let content = match pieces.as_mut_slice() {
            [Piece::Text { text }] => {
                let text = std::mem::take(text);
                return self.push_user(UserContent::Text(&text), timestamp, is_meta);
            }
            _ => UserContent::Blocks(pieces),
        };
        self.push_user(content, timestamp, is_meta)
    }

    fn push_user(&mut self, content: UserContent<'_>, timestamp: Option<Timestamp>, is_meta: bool) -> Result<()> {
        self.push(Role::User, raw(&UserMessage { role: Role::User, content }), timestamp, is_meta)
    }

    /// Takes the next record of the chain. Older clients order by time, so time always goes on.
    fn push(&mut self, kind: Role, message: Box<RawValue>, at: Option<Timestamp>, is_meta: bool) -> Result<()> {
        match self.pending.take() {
            Some(before) => self.record(&before, RecordId::fresh())?,
            None => self.head()?,
        }
        let next = self.clock.checked_add(SignedDuration::from_millis(1)).unwrap_or(self.clock);
        self.clock = at.filter(|at| at.as_millisecond() > self.clock.as_millisecond()).unwrap_or(next);
        self.pending = Some(Pending { kind, message, timestamp: self.clock, is_meta });
        Ok(())
    }

    fn record(&mut self, record: &Pending, uuid: RecordId) -> Result<()> {
        let envelope = Envelope {
            parent_uuid: self.parent.replace(uuid),
            is_sidechain: false,
            user_type: "external",
            entrypoint: "cli",
            cwd: &self.cwd,
            session_id: &self.plan.native_id,
            version: VERSION,
            git_branch: self.about.git_branch.as_deref().unwrap_or("HEAD"),
            kind: record.kind,
            message: &record.message,
            uuid,
            timestamp: &format!("{:.3}", record.timestamp),
            is_meta: record.is_meta,
        };
        write_line(self.out, &envelope)
    }

    /// The only title that 1.0 knows.
    fn head(&mut self) -> Result<()> {
        let Some(title) = self.title.as_deref() else { return Ok(()) };
        write_line(self.out, &Aside { leaf_uuid: Some(self.leaf), summary: Some(title), ..Aside::of("summary") })
    }

    fn finish(mut self) -> Result<Ledger> {
        let Some(last) = self.pending.take() else {
            return Err(Error::failed(format!("session {} holds nothing to resume", self.about.native_id))
                .hint("look at it with `sfs show`"));
        };
        if last.kind == Role::User {
            self.tally.note(Fate::Degraded, "unanswered end", UNANSWERED);
        }
        self.record(&last, self.leaf)?;
        let session_id = Some(self.plan.native_id.as_str());
        if let Some(title) = self.title.as_deref() {
            write_line(self.out, &Aside { custom_title: Some(title), session_id, ..Aside::of("custom-title") })?;
        }
        let (last_prompt, leaf_uuid) = (self.last_prompt.as_deref(), Some(self.leaf));
        write_line(self.out, &Aside { last_prompt, leaf_uuid, session_id, ..Aside::of("last-prompt") })?;
        Ok(self.tally.close())
    }
}

fn write_line(out: &mut dyn Write, record: &impl Serialize) -> Result<()> {
    let write = |out: &mut dyn Write| -> std::io::Result<()> {
        serde_json::to_writer(&mut *out, record)?;
        out.write_all(b"\n")
    };
    write(out).context(|| "the session file can't be written")
}

/// The API refuses blank texts.
fn text_piece(text: &str) -> Option<Piece<'_>> {
    (!text.trim().is_empty()).then_some(Piece::Text { text: text.into() })
}

fn stop_reason(message: &Message, results: &[CallResult]) -> &'static str {
    match message.stop_reason {
        _ if !results.is_empty() => "tool_use",
        Some(StopReason::MaxTokens) => "max_tokens",
        Some(StopReason::StopSequence) => "stop_sequence",
        _ => "end_turn",
    }
}

/// An input as an object on one line. Line breaks in JSON stand only between tokens.
fn one_line_object(input: &RawValue) -> Cow<'_, RawValue> {
    let object = if input.get().starts_with('{') {
        Cow::Borrowed(input)
    } else {
        Cow::Owned(super::reader::object(Some(input)))
    };
    if !object.get().contains(['\n', '\r']) {
        return object;
    }
    RawValue::from_string(object.get().replace(['\n', '\r'], " ")).map_or(object, Cow::Owned)
}

/// The first line of a title or prompt that says something, cut to a title's length.
fn one_line(text: &str) -> Option<String> {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.chars().take(TITLE_CHARACTERS).collect())
}
