//! Cursor, the editor: captured, not written. Its sessions ("composers") are rows of one database that it shares with
//! everything else it remembers; what is not in it may be in a transcript. Seen in versions from 2024 to 3.22; Cursor
//! publishes no description of it.
//!
//! ```text
//! <root>/User/globalStorage/state.vscdb                 cursorDiskKV: composerData:<composer>, bubbleId:<composer>:<bubble>,
//!                                                       agentKv:blob:<sha256>; composerHeaders: the list of composers
//!            /workspaceStorage/<id>/workspace.json      the folder of a window
//!                                  /state.vscdb         which composers were opened in it; sessions before 2025
//!                                  /images/             pictures in prompts
//!
//! ~/.cursor/projects/<folder>/agent-transcripts/<composer>/<composer>.jsonl          a transcript
//!                                              /<composer>/subagents/<id>.jsonl     its sub-agents'
//!          /chats/<hash>/<id>/meta.json                the folder of a session of the CLI
//! ```
//!
//! The database's root is `~/.config/Cursor` on Linux, `~/Library/Application Support/Cursor` on macOS. Not read: tokens,
//! which lie in the same database; transcripts of the oldest form (`.txt`); the CLI's own databases beside `meta.json`.

mod bubble;
mod call;
mod composer;
mod conversation;
mod graph;
mod look;
mod order;
mod reader;
mod row;
mod state_db;
mod transcript;
mod workspace;

use super::database::{Database, Depth, Look};
use super::{Format, Place, Reader, Retention, Source, Tool, Writer, foreign};
use crate::error::Result;
use crate::home::Home;
use crate::id::Hash;
use crate::model::conversation::Conversation;
use serde::{Deserialize, Serialize};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The tool.
pub struct Cursor;

/// Where the database is.
const FILE: &str = "User/globalStorage/state.vscdb";
/// Where the folders' own databases and pictures are.
const STORAGE: &str = "User/workspaceStorage";

impl Tool for Cursor {
    fn id(&self) -> &'static str {
        "cursor"
    }

    fn name(&self) -> &'static str {
        "Cursor"
    }

    fn provider(&self) -> &'static str {
        "cursor"
    }

    fn aliases(&self) -> &'static [&'static str] {
        &[]
    }

    fn root(&self, home: &Home) -> PathBuf {
        home.user.join(".cursor")
    }

    fn folders(&self) -> &'static [&'static str] {
        &[transcript::FOLDER]
    }

    fn place(&self, relative: &Path, first_line: &mut dyn FnMut() -> Option<Vec<u8>>) -> Place {
        transcript::place(relative, first_line)
    }

    /// Which project it was in, no line tells: it gets the place of one without.
    fn place_of_stray(&self, name: &str, head: &[u8]) -> Option<PathBuf> {
        transcript::place_of_stray(name, head)
    }

    fn project(&self, root: &Path, relative: &Path) -> Option<String> {
        transcript::project(root, relative)
    }

    fn database(&self) -> Option<&dyn Database> {
        Some(self)
    }

    fn reader(&self, stream: &str, _state: Option<&str>) -> Box<dyn Reader> {
        Box::new(reader::CursorReader::new(stream))
    }

    fn conversation<'a>(&self, source: &'a dyn Source) -> Result<Conversation<'a>> {
        if let Some(main) = source.newest("main").filter(|main| main.format == Format::CursorTranscript) {
            return transcript::live(source, main);
        }
        let rows = conversation::live(source)?;
        let digest = transcript::beside_main(source).filter(|_| conversation::is_incomplete(&rows));
        let Some(digest) = digest else { return Ok(rows) };
        if prompts(transcript::live(source, digest)?)? > prompts(rows)? {
            transcript::live(source, digest)
        } else {
            conversation::live(source)
        }
    }

    fn writer(&self) -> Option<&dyn Writer> {
        None
    }

    fn retention(&self, _home: &Home) -> Retention {
        Retention::keeps("keeps its sessions; one that a person deletes in it is gone at once")
    }
}

/// How many times a person speaks in a conversation.
fn prompts(conversation: Conversation<'_>) -> Result<usize> {
    let mut prompts = 0;
    for message in conversation.messages {
        prompts += usize::from(message?.is_prompt());
    }
    Ok(prompts)
}

/// A reader for a transcript.
pub(super) fn transcript_reader(stream: &str) -> Box<dyn Reader> {
    Box::new(transcript::TranscriptReader::new(stream))
}

impl Database for Cursor {
    /// Cursor has no variable of its own for what `--user-data-dir` moves; `CURSOR_USER_DATA_DIR` is ours.
    fn root(&self, home: &Home) -> PathBuf {
        if let Some(root) = home.tool_variable("CURSOR_USER_DATA_DIR") {
            return root;
        }
        let linux = home.tool_variable("XDG_CONFIG_HOME").unwrap_or_else(|| home.user.join(".config")).join("Cursor");
        let mac = home.user.join("Library/Application Support/Cursor");
        let (own, other) = if cfg!(target_os = "macos") { (mac, linux) } else { (linux, mac) };
        // A home that was copied here may come from the other system.
        if other.is_dir() && !own.is_dir() { other } else { own }
    }

    fn path(&self) -> &'static str {
        FILE
    }

    fn look(&self, root: &Path, cursor: Option<&str>, depth: Depth) -> Result<Option<Box<dyn Look>>> {
        look::look(root, cursor, depth)
    }
}

/// How a database looks from outside: equal where nothing was committed in between.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    /// Size, time, inode of the database and its log; an empty log is none.
    files: [Option<(u64, i64, u64)>; 2],
    /// Of what commits change at last. Files keep their size where a log is used again from its start, and their time is
    /// exact to milliseconds only; and what stands in a log does not count before the index that is shared by all who have
    /// the database open says so, which no event tells.
    heads: i64,
}

/// The database's head, with a number that changes with each commit into it, and that of the log's index.
const HEADS: [(&str, usize); 2] = [("", 100), ("-shm", 96)];

/// Only to be called while we do not have the database open ourselves: closing a file ends all of a process's locks on it.
fn stamp(path: &Path) -> Stamp {
    let beside = |end: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    let files = ["", "-wal"].map(|end| {
        let metadata = beside(end).symlink_metadata().ok().filter(|metadata| metadata.len() > 0)?;
        let nanoseconds = metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec());
        Some((metadata.len(), nanoseconds, metadata.ino()))
    });
    let heads = HEADS.map(|(end, length)| foreign::head(&beside(end), length).unwrap_or_default()).concat();
    Stamp { files, heads: Hash::of(&heads).word() }
}
