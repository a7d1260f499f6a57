//! The tools whose sessions we know. One folder a tool; nobody else knows any native format. Adding a tool is one module
//! here, one line in [`ALL`] and one folder of fixtures.
//!
//! A tool never touches the store: it gets bytes and gives messages, and it writes native files through a plan.
//! **A foreign file never fails as a whole**: a line that is not understood becomes a note, the bytes are kept anyway.

pub mod claude_code;
pub mod codex;
pub mod cursor;
pub mod database;
pub mod foreign;
pub mod gemini;
pub mod health;
mod lenient;
mod picture;
pub mod sfs;

use crate::error::{Error, Result};
use crate::home::Home;
use crate::model::conversation::{About, Conversation};
use crate::model::ledger::Ledger;
use crate::model::message::Message;
use crate::model::observation::Observation;
use crate::model::usage::UsageRecord;
use serde_json::Value;
use std::collections::HashSet;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// Every tool, in the order in which they are shown.
pub static ALL: &[&dyn Tool] = &[&claude_code::ClaudeCode, &codex::Codex, &gemini::Gemini, &cursor::Cursor];

/// Finds a tool by its id or an alias.
pub fn find(name: &str) -> Result<&'static dyn Tool> {
    ALL.iter().copied().find(|tool| tool.id() == name || tool.aliases().contains(&name)).ok_or_else(|| {
        let known: Vec<&str> = ALL.iter().map(|tool| tool.id()).collect();
        Error::usage(format!("no tool is called {name:?}")).hint(format!("known tools: {}", known.join(", ")))
    })
}

/// What people call the tool with this id; the id itself where we do not know the tool.
pub fn name_of(id: &str) -> &str {
    find(id).map_or(id, |tool| tool.name())
}

/// A reader for a stream, chosen by the stream's own format: a session of a tool may have come as a .sfs, and one of a
/// tool that we do not know can only have. `None` for what is not read line by line.
pub fn reader(format: Format, stream: &str, state: Option<&str>) -> Option<Box<dyn Reader>> {
    match format {
        Format::ClaudeCodeJsonl => Some(claude_code::ClaudeCode.reader(stream, state)),
        Format::CodexRollout => Some(codex::Codex.reader(stream, state)),
        Format::GeminiJsonl | Format::GeminiJson => Some(gemini::Gemini.reader(stream, state)),
        Format::CursorRows => Some(cursor::Cursor.reader(stream, state)),
        Format::CursorTranscript => Some(cursor::transcript_reader(stream)),
        Format::SfsJsonl => Some(Box::new(sfs::SfsReader)),
        Format::SfsDocument | Format::File => None,
    }
}

/// The live conversation of a session, by the format of its main stream.
pub fn conversation(source: &dyn Source) -> Result<Conversation<'_>> {
    let lines = || source.streams().iter().find(|stream| stream.format.has_lines());
    match source.newest("main").or_else(lines).map(|stream| stream.format) {
        Some(Format::ClaudeCodeJsonl) => claude_code::ClaudeCode.conversation(source),
        Some(Format::CodexRollout) => codex::Codex.conversation(source),
        Some(Format::GeminiJsonl | Format::GeminiJson) => gemini::Gemini.conversation(source),
        Some(Format::CursorRows | Format::CursorTranscript) => cursor::Cursor.conversation(source),
        Some(Format::SfsJsonl) => sfs::live(source),
        Some(Format::SfsDocument | Format::File) | None => {
            Err(Error::not_found(format!("session {} has no transcript", source.native_id()))
                .hint("its files are archived all the same: sfs export ID --format sfs"))
        }
    }
}

/// Where the lines of the live conversation begin, and in which stream: of a format that tells so without reading all of them
/// again. `None` of any other.
pub fn live_lines(source: &dyn Source) -> Result<Option<(&StreamInfo, HashSet<u64>)>> {
    match source.newest("main").map(|stream| stream.format) {
        Some(Format::ClaudeCodeJsonl) => claude_code::live_lines(source),
        _ => Ok(None),
    }
}

/// The tools that a session can be written for, in words for a hint.
pub fn writable() -> String {
    let names: Vec<&str> = ALL.iter().filter(|tool| tool.writer().is_some()).map(|tool| tool.id()).collect();
    names.join(" | ")
}

/// One AI coding tool: where its sessions are, how they are read, how they are written.
pub trait Tool: Sync {
    /// Such as `claude-code`; part of every session id, never changes.
    fn id(&self) -> &'static str;
    /// Such as `Claude Code`.
    fn name(&self) -> &'static str;
    /// Who makes its models, such as `anthropic`.
    fn provider(&self) -> &'static str;
    /// Other words a person may type, such as `claude`.
    fn aliases(&self) -> &'static [&'static str];
    /// The tool's folder, such as `~/.claude`; honours the tool's own environment variable.
    fn root(&self, home: &Home) -> PathBuf;
    /// The environment variables that move [`Tool::root`].
    fn variables(&self) -> &'static [&'static str] {
        &[]
    }
    /// Folders below [`Tool::root`] that hold sessions, such as `projects`. Nothing else is ever opened, but for
    /// [`Tool::index_files`].
    fn folders(&self) -> &'static [&'static str];
    /// Decides what the file at `relative` (to the root) is. `head` reads the file's beginning, as much of it as
    /// [`Tool::head`] says; it is only called where the path alone does not tell.
    fn place(&self, relative: &Path, head: &mut dyn FnMut() -> Option<Vec<u8>>) -> Place;
    /// Where below the root the tool would keep a session file of this name and beginning that lies elsewhere; `None`
    /// where it is none of this tool's.
    fn place_of_stray(&self, _name: &str, _head: &[u8]) -> Option<PathBuf> {
        None
    }
    /// How much of a file [`Tool::place`] wants to see.
    fn head(&self, _relative: &Path) -> Head {
        Head::FirstLine
    }
    /// Small files directly in the root in which the tool keeps facts about sessions, such as titles.
    fn index_files(&self) -> &'static [&'static str] {
        &[]
    }
    /// What `bytes`, the whole content of one of the [`Tool::index_files`], says: pairs of native id and fact.
    fn read_index(&self, _file: &str, _bytes: &[u8]) -> Vec<(String, Observation)> {
        Vec::new()
    }
    /// The database in which sessions are rows; there may be session files beside it.
    fn database(&self) -> Option<&dyn database::Database> {
        None
    }
    /// The project of the session in the file at `relative` (to `root`), where the tool keeps it beside the sessions.
    fn project(&self, _root: &Path, _relative: &Path) -> Option<String> {
        None
    }
    /// A reader for a stream of this tool's own format, continued from `state` (what [`Reader::state`] gave). Where the
    /// format is not known to be this tool's: [`reader`].
    fn reader(&self, stream: &str, state: Option<&str>) -> Box<dyn Reader>;
    /// The live conversation of a session.
    fn conversation<'a>(&self, source: &'a dyn Source) -> Result<Conversation<'a>>;
    /// How sessions are written for this tool; `None` where it can only be captured.
    fn writer(&self) -> Option<&dyn Writer>;
    /// True where a fork may only name the beginning of the session that it was made from, instead of holding it.
    fn forks_by_reference(&self) -> bool {
        false
    }
    /// How its files and lists name a session's project; `None` where they do not.
    fn mover(&self) -> Option<&dyn Mover> {
        None
    }
    /// How many tokens the context of its models holds, where one number is true of those that it uses by itself.
    fn context_tokens(&self) -> Option<u64> {
        None
    }
    /// The folders on this machine in which the tool keeps its sessions; none where it was never used.
    fn homes(&self, home: &Home) -> Vec<PathBuf> {
        let root = self.root(home);
        // Beside a database the folder may be there for other reasons.
        let is_used = self.database().is_none() || self.folders().iter().any(|folder| root.join(folder).is_dir());
        let database = self.database().map(|database| database.root(home));
        database.into_iter().chain(Some(root).filter(|_| is_used)).filter(|folder| folder.is_dir()).collect()
    }
    /// What this tool deletes by itself, as its settings say.
    fn retention(&self, home: &Home) -> Retention;
    /// What in the session's own file its client would refuse, or lose in silence.
    fn ailments(&self, _source: &dyn Source) -> Result<Vec<health::Ailment>> {
        Ok(Vec::new())
    }
    /// The tool's own list of sessions compared with its files; `None` where it keeps no list.
    fn listing(&self, _home: &Home) -> Result<Option<Listing>> {
        Ok(None)
    }
}

/// A tool's own list of sessions, and what it misses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Where the list is.
    pub path: PathBuf,
    /// How many sessions it has.
    pub listed: u64,
    /// Sessions whose file is there but that the list has not, by their id in the tool.
    pub unlisted: Vec<String>,
    /// Sessions that the list has but whose file is gone, by their id in the tool.
    pub dangling: Vec<String>,
}

/// What a tool deletes by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Sessions that were not touched for longer.
    pub after: Option<Duration>,
    /// Sessions beyond so many in one folder, the newest ones first.
    pub most: Option<u64>,
    /// By which time a session counts as touched.
    pub clock: Clock,
    /// The settings file that says so; `None`: the tool's default.
    pub source: Option<PathBuf>,
    /// For a person: what follows "by itself it".
    pub words: String,
}

/// Which time of a session counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// When its file was last changed.
    FileTime,
    /// When something was last said in it.
    LastActivity,
}

impl Retention {
    /// A tool that deletes nothing.
    pub fn keeps(words: &str) -> Retention {
        Retention { after: None, most: None, clock: Clock::FileTime, source: None, words: words.to_owned() }
    }
}

/// A settings file of a tool: the file if it is there, and its content if it can be understood.
fn settings_file(path: PathBuf) -> (Option<PathBuf>, Value) {
    let Some(bytes) = foreign::read_small(&path) else { return (None, Value::Null) };
    (Some(path), serde_json::from_slice(&bytes).unwrap_or_default())
}

/// A length of time in the largest unit that fits: `30 days`, `36 hours`.
fn in_words(time: Duration) -> String {
    let hours = time.as_secs() / 3600;
    let (count, unit) = if hours.is_multiple_of(24) { (hours / 24, "day") } else { (hours, "hour") };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// Of a [`Head::FirstLine`], no more than this is read.
pub const FIRST_LINE: u64 = 4 << 20;

/// How much of a file tells what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// Without the line break.
    FirstLine,
    /// So many bytes, or all if there are fewer.
    Bytes(u64),
}

/// What a file in a tool's folder is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Part of a session.
    Session {
        /// The session's id in its tool.
        native_id: String,
        /// `main`, `subagents/…`, `tool-results/…`: unique in the session, also a safe relative path.
        stream: String,
        /// How the bytes are to be read.
        format: Format,
    },
    /// Not part of a session.
    Other,
    /// Not decidable before more of it is written.
    NotYet,
}

/// How a stream's bytes are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `claude-code/jsonl`
    ClaudeCodeJsonl,
    /// `codex/rollout`; a compressed one is archived decompressed.
    CodexRollout,
    /// `gemini/jsonl`
    GeminiJsonl,
    /// `gemini/json`: the whole session in one document, which is rewritten at every change.
    GeminiJson,
    /// `cursor/rows`: a line for each version of a row of the tool's database.
    CursorRows,
    /// `cursor/transcript`: what Cursor writes beside its database, which tells more; see [`Format::is_digest`].
    CursorTranscript,
    /// `sfs/jsonl`: the messages of a .sfs folder.
    SfsJsonl,
    /// `sfs/document`: the manifest or the workspace of a .sfs folder, one JSON object; see [`sfs::observations`].
    SfsDocument,
    /// A whole file that belongs to the session and is not read line by line.
    File,
}

impl Format {
    const ALL: [Format; 9] = [
        Format::ClaudeCodeJsonl,
        Format::CodexRollout,
        Format::GeminiJsonl,
        Format::GeminiJson,
        Format::CursorRows,
        Format::CursorTranscript,
        Format::SfsJsonl,
        Format::SfsDocument,
        Format::File,
    ];

    /// The format of that name; `None` for the archive's own, such as `sfs/facts`.
    pub fn parse(name: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.as_str() == name)
    }

    /// The name in the archive.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::ClaudeCodeJsonl => "claude-code/jsonl",
            Format::CodexRollout => "codex/rollout",
            Format::GeminiJsonl => "gemini/jsonl",
            Format::GeminiJson => "gemini/json",
            Format::CursorRows => "cursor/rows",
            Format::CursorTranscript => "cursor/transcript",
            Format::SfsJsonl => "sfs/jsonl",
            Format::SfsDocument => "sfs/document",
            Format::File => "file",
        }
    }

    /// True where the bytes are lines for a [`Reader`].
    pub fn has_lines(self) -> bool {
        !matches!(self, Format::SfsDocument | Format::File)
    }

    /// True where a line's messages can be told without the lines before it: what a [`Reader`] remembers then adds to
    /// them, but makes and leaves out none.
    pub fn lines_stand_alone(self) -> bool {
        !matches!(self, Format::GeminiJsonl | Format::GeminiJson)
    }

    /// True where a later line may hold a newer version of an earlier one: see [`Reading::replaces`].
    pub fn has_versions(self) -> bool {
        self == Format::CursorRows
    }

    /// True for what tells less than any other form of the session: where there is another, it is archived but not seen.
    pub fn is_digest(self) -> bool {
        self == Format::CursorTranscript
    }

    /// True where pictures may lie beside the messages, in streams of their own.
    pub fn has_pictures_beside(self) -> bool {
        matches!(self, Format::SfsJsonl | Format::CursorRows)
    }

    /// True where the whole stream, line breaks included, is one line for its [`Reader`].
    pub fn is_one_line(self) -> bool {
        self == Format::GeminiJson
    }

    /// A longer line is archived but not read: it must fit in memory. A line of its own no tool writes that long; a
    /// document grows with its session and the pictures in it.
    pub fn longest_line(self) -> usize {
        if self.is_one_line() { MAX_DOCUMENT } else { MAX_LINE }
    }
}

/// The longest line that is read, see [`Format::longest_line`].
pub const MAX_LINE: usize = 32 << 20;
const MAX_DOCUMENT: usize = 256 << 20;

/// One line of a stream.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// The stream's name.
    pub stream: &'a str,
    /// From 0.
    pub number: u64,
    /// Where the line starts in the stream.
    pub offset: u64,
    /// Without the line break. Not necessarily UTF-8, not necessarily JSON.
    pub bytes: &'a [u8],
}

/// What one or more lines said.
#[derive(Debug, Default)]
pub struct Reading {
    /// Messages, in order.
    pub messages: Vec<Message>,
    /// Tokens; the newest record under a key replaces older ones.
    pub usage: Vec<UsageRecord>,
    /// Facts about the session.
    pub observations: Vec<Observation>,
    /// Why a line was not understood. The line itself is kept in the archive.
    pub notes: Vec<String>,
    /// Where in the stream an older version of this line begins: its messages give way to those of this one that have
    /// the same ids.
    pub replaces: Option<u64>,
}

impl Reading {
    /// Forgets what was read, keeps the memory.
    pub fn clear(&mut self) {
        self.messages.clear();
        self.usage.clear();
        self.observations.clear();
        self.notes.clear();
        self.replaces = None;
    }
}

/// Reads a stream line by line. Never panics, never fails: what it does not understand it notes.
pub trait Reader {
    /// Reads one line; appends to `out`.
    fn line(&mut self, line: Line<'_>, out: &mut Reading);
    /// What is needed to go on after a restart: small, JSON, independent of the session's length.
    fn state(&self) -> String;
}

/// A stream of an archived session, as a tool's reader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamInfo {
    /// `main`, `subagents/…`.
    pub name: String,
    /// Counts rewrites of the native file, from 0.
    pub generation: u32,
    /// How to read it.
    pub format: Format,
    /// Bytes.
    pub length: u64,
    /// So many first bytes stand in another device's stream, which is shown before this one.
    pub shared: u64,
}

/// The stream of which `name` is a copy: a second native file of the same session is archived as `main~<hash>`, and what
/// another device wrote of it is shown as `main@<device>`.
pub fn base_name(name: &str) -> &str {
    let name = branch(name).map_or(name, |(base, _)| base);
    name.split_once('~').map_or(name, |(base, _)| base)
}

/// The name of another device's stream, taken apart: the stream's own name, and eight hexadecimal digits of the device's.
pub fn branch(name: &str) -> Option<(&str, &str)> {
    let is_device = |word: &str| word.len() == 8 && word.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    name.rsplit_once('@').filter(|(_, device)| is_device(device))
}

/// The parts of a path that only goes down and is text throughout.
fn plain_parts(path: &Path) -> Option<Vec<&str>> {
    path.components().map(|part| if let Component::Normal(name) = part { name.to_str() } else { None }).collect()
}

/// True where the tool itself would take the file at `path`, below its root, for this very stream of the session. Anything else
/// must never be put into the tool's folder: sessions come from other people, and settings and programs lie there too.
/// `beginning` reads so much of the stream.
pub fn is_place_of(
    tool: &dyn Tool,
    path: &str,
    (native_id, stream, format): (&str, &str, Format),
    beginning: &mut dyn FnMut(Head) -> Option<Vec<u8>>,
) -> bool {
    let relative = Path::new(path);
    let goes_down = relative.components().all(|part| matches!(part, Component::Normal(_)));
    let in_folders = path.split('/').next().is_some_and(|first| tool.folders().contains(&first));
    let is_stream = |placed: &str| placed == stream || placed == base_name(stream);
    // The id may end up as an argument of the tool's command line.
    goes_down
        && in_folders
        && !native_id.starts_with('-')
        && matches!(tool.place(relative, &mut || beginning(tool.head(relative))), Place::Session { native_id: id, stream, format: placed }
            if id == native_id && is_stream(&stream) && placed == format)
}

/// Which messages are wanted when several versions of one stream are read, the newest first: generations of a rewritten
/// file, and copies beside it. Content once seen is never removed, and nothing is told twice.
#[derive(Debug, Default)]
pub struct Versions {
    /// Ids of messages that a newer version has.
    seen: std::collections::HashSet<String>,
    is_older: bool,
}

impl Versions {
    /// True for a message that no newer version has. In an older one a positional id (`<stream>:…`) names another
    /// message than in the newest: those are not wanted.
    pub fn wants(&mut self, stream: &str, id: &str) -> bool {
        let positional = id.strip_prefix(stream).is_some_and(|rest| rest.starts_with(':'));
        !(self.is_older && positional) && self.seen.insert(id.to_owned())
    }

    /// From here on an older version is read.
    #[must_use]
    pub fn older(self) -> Self {
        Versions { is_older: true, ..self }
    }
}

impl StreamInfo {
    /// True for a digest of what is told in full.
    pub fn is_unseen_digest(&self) -> bool {
        self.shared > self.length && self.format.is_digest()
    }
}

/// What [`Source::for_each_line`] calls with every line; `Break` ends the walk.
pub type OnLine<'f> = dyn FnMut(Line<'_>) -> Result<ControlFlow<()>> + 'f;

/// One archived session's bytes, for walking its live conversation. Implemented over the store, and in tests over files.
pub trait Source {
    /// The session's id in its tool.
    fn native_id(&self) -> &str;
    /// All streams, all generations, by name and generation.
    fn streams(&self) -> &[StreamInfo];
    /// Calls `each` with every line of a stream from byte `from` on (the start of a line); an unterminated last line
    /// included, one longer than [`MAX_LINE`] left out. Line numbers count from `from`.
    fn for_each_line(&self, stream: &StreamInfo, from: u64, each: &mut OnLine<'_>) -> Result<()>;
    /// Exactly `length` bytes from `offset` of a stream. Cheap when called with rising offsets.
    fn bytes(&self, stream: &StreamInfo, offset: u64, length: u64) -> Result<Vec<u8>>;
    /// The message at which a person wants the live conversation to end, where the session is a tree and not a list.
    fn leaf(&self) -> Option<&str> {
        None
    }
    /// Another archived session of the same tool, such as the parent of a fork; `None` where it is not archived.
    fn sibling(&self, native_id: &str) -> Result<Option<Box<dyn Source + '_>>>;

    /// The newest generation of a stream.
    fn newest(&self, name: &str) -> Option<&StreamInfo> {
        self.streams().iter().filter(|s| s.name == name).max_by_key(|s| s.generation)
    }
}

/// Where a session is to be written to.
#[derive(Clone, Debug)]
pub struct Target {
    /// Homes and environment.
    pub home: Home,
    /// The project folder, absolute, symbolic links resolved where it exists.
    pub cwd: PathBuf,
    /// The new session's native id where the caller has allotted one.
    pub native_id: Option<String>,
    /// The moment of writing: file names and modification times follow it.
    pub now: jiff::Timestamp,
}

/// What will be written, decided before anything is touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The new session's id in the target tool.
    pub native_id: String,
    /// The session file's final path.
    pub file: PathBuf,
    /// The folder in which the tool has to be started.
    pub cwd: PathBuf,
    /// The command that resumes it, program first.
    pub command: Vec<String>,
}

/// Writes sessions for a tool in the shape that its real client was seen to accept.
pub trait Writer {
    /// The command line that resumes a session which the tool already has.
    fn command(&self, native_id: &str) -> Vec<String>;
    /// Whether the tool's client resumes the session's own native file as it is. Old forms and archived files it does
    /// not; then the session is written anew. `native_path` is where the file lies below the tool's folder.
    fn accepts_own(&self, _source: &dyn Source, _native_path: Option<&str>) -> Result<bool> {
        Ok(true)
    }
    /// Decides path, id and command; touches nothing.
    fn plan(&self, about: &About, target: &Target) -> Result<Plan>;
    /// Writes the session file's content to `out` and accounts for every piece of the conversation.
    fn write(
        &self,
        plan: &Plan,
        about: &About,
        target: &Target,
        conversation: Conversation<'_>,
        out: &mut dyn Write,
    ) -> Result<Ledger>;
    /// Makes the finished file known to the tool where the tool would not find it by itself. On an error nothing is
    /// left registered. The answer says in words what could not be done, for the ledger.
    fn register(&self, plan: &Plan, about: &About, target: &Target) -> Result<Option<String>>;
    /// Takes back what [`Writer::register`] did.
    fn unregister(&self, plan: &Plan, target: &Target) -> Result<()>;
    /// True where a running client has the session open, as far as the tool tells.
    fn is_open(&self, home: &Home, native_id: &str) -> bool;
}

/// How a tool's own files and lists name the project of a session, for a project whose folder moved.
pub trait Mover {
    /// Where the file at `native_path` lies in the tool's folder for `project`; `None` where that does not depend on the
    /// project.
    fn place(&self, home: &Home, native_path: &str, project: &Path) -> Option<String>;
    /// `line` with the fields changed that name the old folder; `None` where none does.
    fn line(&self, line: &[u8], moved: &Moved) -> Option<Vec<u8>>;
    /// Tells the tool's own list of sessions. The answer says in words what could not be done.
    fn list(&self, home: &Home, native_id: &str, moved: &Moved) -> Result<Option<String>>;
}

/// A folder that moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Where it was, absolute.
    pub from: PathBuf,
    /// Where it is.
    pub to: PathBuf,
}

impl Moved {
    /// Where `path` is now; `None` where it did not move.
    pub fn path(&self, path: &str) -> Option<String> {
        let rest = Path::new(path).strip_prefix(&self.from).ok()?;
        let new = if rest.as_os_str().is_empty() { self.to.clone() } else { self.to.join(rest) };
        Some(new.to_string_lossy().into_owned())
    }
}
