//! Claude Code: one JSON Lines file a session, a tree of records in each. Seen with versions 1.0.128 to 2.1.330.
//!
//! ```text
//! ~/.claude/projects/<folder of the project>/<session id>.jsonl             the session
//!                                           /<session id>/subagents/…       its sub-agents, since 2.1
//!                                           /<session id>/tool-results/…    long outputs in full
//!                                           /agent-<id>.jsonl               sub-agents of 2.0, any session's
//! ~/.claude/sessions/<pid>.json                                             running clients
//! ```
//!
//! Settings, prompt history, credentials and `*.key` files are never opened.

mod calls;
mod conversation;
mod health;
mod moved;
mod names;
mod reader;
mod record;
mod running;
mod shape;
mod writer;

pub(super) use self::conversation::live_lines;
use self::reader::ClaudeReader;
use super::{Clock, Format, Mover, Place, Reader, Retention, Source, Tool, Writer, plain_parts};
use crate::error::Result;
use crate::home::Home;
use crate::model::conversation::Conversation;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use self::names::folder_of;

/// A thousand years: no time of ours is later.
const MAX_DAYS: u64 = 365_000;

/// The tool.
pub struct ClaudeCode;

/// Its id, part of every session's id.
pub(crate) const ID: &str = "claude-code";

impl Tool for ClaudeCode {
    fn id(&self) -> &'static str {
        ID
    }

    fn name(&self) -> &'static str {
        "Claude Code"
    }

    fn provider(&self) -> &'static str {
        "anthropic"
    }

    fn aliases(&self) -> &'static [&'static str] {
        &["claude", "cc"]
    }

    fn root(&self, home: &Home) -> PathBuf {
        home.tool_variable("CLAUDE_CONFIG_DIR").unwrap_or_else(|| home.user.join(".claude"))
    }

    fn variables(&self) -> &'static [&'static str] {
        &["CLAUDE_CONFIG_DIR"]
    }

    fn folders(&self) -> &'static [&'static str] {
        &["projects"]
    }

    fn place(&self, relative: &Path, first_line: &mut dyn FnMut() -> Option<Vec<u8>>) -> Place {
        let Some(parts) = plain_parts(relative) else { return Place::Other };
        match parts.as_slice() {
            ["projects", _, file] => place_beside(file, first_line),
            ["projects", _, session, below @ ..] if is_session_id(session) => place_below(session, below),
            _ => Place::Other,
        }
    }

    /// The first record that names its session and its folder tells.
    fn place_of_stray(&self, _name: &str, head: &[u8]) -> Option<PathBuf> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Told {
            session_id: String,
            cwd: String,
            uuid: String,
        }
        let told = head.split(|byte| *byte == b'\n').find_map(|line| serde_json::from_slice::<Told>(line).ok())?;
        let file = format!("{}.jsonl", told.session_id);
        let is_record = is_session_id(&told.session_id) && !told.uuid.is_empty() && Path::new(&told.cwd).is_absolute();
        is_record.then(|| Path::new("projects").join(folder_of(Path::new(&told.cwd))).join(file))
    }

    fn reader(&self, stream: &str, state: Option<&str>) -> Box<dyn Reader> {
        Box::new(ClaudeReader::new(stream, state))
    }

    fn conversation<'a>(&self, source: &'a dyn Source) -> Result<Conversation<'a>> {
        conversation::live(source)
    }

    fn writer(&self) -> Option<&dyn Writer> {
        Some(&writer::ClaudeWriter)
    }

    fn ailments(&self, source: &dyn Source) -> Result<Vec<super::health::Ailment>> {
        health::ailments(source)
    }

    /// Seen in 2.1.330: a number of days from 1 on, 30 by default; what is no such number is refused. The settings of a
    /// project or of an organisation may say otherwise.
    fn retention(&self, home: &Home) -> Retention {
        let (source, settings) = super::settings_file(self.root(home).join("settings.json"));
        let days = settings["cleanupPeriodDays"].as_u64().filter(|days| (1..=MAX_DAYS).contains(days));
        let after = Duration::from_secs(days.unwrap_or(30) * 86_400);
        let words = format!(
            "deletes sessions untouched for {} at start-up (cleanupPeriodDays in settings.json)",
            super::in_words(after)
        );
        let source = source.filter(|_| days.is_some());
        Retention { after: Some(after), most: None, clock: Clock::FileTime, source, words }
    }

    fn mover(&self) -> Option<&dyn Mover> {
        Some(&moved::ClaudeMover)
    }

    /// What its models have unless the longer context was asked for (2.1.330).
    fn context_tokens(&self) -> Option<u64> {
        Some(200_000)
    }
}

/// A file in a project's folder: a session, or a sub-agent of 2.0, whose session stands in its lines.
fn place_beside(file: &str, first_line: &mut dyn FnMut() -> Option<Vec<u8>>) -> Place {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Head {
        session_id: String,
    }
    let Some(stem) = file.strip_suffix(".jsonl") else { return Place::Other };
    if is_session_id(stem) {
        return session(stem, "main".to_owned(), Format::ClaudeCodeJsonl);
    }
    if !stem.starts_with("agent-") {
        return Place::Other;
    }
    match first_line().map(|line| serde_json::from_slice::<Head>(&line)) {
        Some(Ok(head)) if is_session_id(&head.session_id) => {
            session(&head.session_id, format!("agents/{file}"), Format::ClaudeCodeJsonl)
        }
        Some(Ok(_)) => Place::Other,
        Some(Err(_)) | None => Place::NotYet,
    }
}

/// A file in a session's own folder. Hidden files are temporary ones; a key file holds a secret.
fn place_below(id: &str, below: &[&str]) -> Place {
    let file = below.last().copied().unwrap_or_default();
    let has_suffix = |suffix: &str| file.rsplit_once('.').is_some_and(|(_, s)| s.eq_ignore_ascii_case(suffix));
    if file.starts_with('.') || has_suffix("key") {
        return Place::Other;
    }
    let is_agent = below.len() > 1 && below[0] == "subagents" && file.starts_with("agent-") && has_suffix("jsonl");
    let format = if is_agent { Format::ClaudeCodeJsonl } else { Format::File };
    match below {
        // These two names are ours.
        [name @ ("main" | "facts")] => session(id, format!("files/{name}"), format),
        _ => session(id, below.join("/"), format),
    }
}

fn session(native_id: &str, stream: String, format: Format) -> Place {
    Place::Session { native_id: native_id.to_owned(), stream, format }
}

/// 8-4-4-4-12 hexadecimal digits, in any case: what `--resume` takes.
fn is_session_id(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| group.bytes().all(|b| b.is_ascii_hexdigit()))
}
