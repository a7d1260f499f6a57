//! Gemini CLI: one file a session, below the folder of its project. Seen with versions 0.24 and 0.61.
//!
//! ```text
//! ~/.gemini/tmp/<project>/chats/session-<time>-<8>.jsonl            a session, since 0.39; `.json` before
//!                              /<session id>/<agent id>.jsonl       its sub-agents
//!                        /tool-outputs/session-<session id>/…       long outputs in full
//!                        /<session id>/{plans,tracker,tasks}/…      what it planned
//!                        /checkpoint-<tag>.json                     /chat save: a conversation of its own
//!                        /.project_root                             the project's path
//! ~/.gemini/projects.json                                           path → name of the project's folder
//! ```
//!
//! Before 0.29 a project's folder was the SHA-256 of its path. A session is known by the id inside its file, not by the
//! file's name. Accounts, credentials and logs of prompts are never opened; of the settings only the retention is read.

mod calls;
mod conversation;
mod health;
mod moved;
mod project;
mod reader;
mod record;
mod retention;
mod shape;
mod speech;
mod writer;

use self::reader::GeminiReader;
use super::{Format, Head, Mover, Place, Reader, Retention, Source, Tool, Writer, plain_parts};
use crate::error::Result;
use crate::home::Home;
use crate::model::conversation::Conversation;
use std::path::{Path, PathBuf};

/// The tool.
pub struct Gemini;

/// So much of a file of lines is looked at: more than the client writes before somebody says something.
const LINES: u64 = 64 << 10;
/// And of a document, in which the id may stand anywhere.
const DOCUMENT: u64 = 4 << 20;

/// Its id, part of every session's id.
const ID: &str = "gemini";

impl Tool for Gemini {
    fn id(&self) -> &'static str {
        ID
    }

    fn name(&self) -> &'static str {
        "Gemini CLI"
    }

    fn provider(&self) -> &'static str {
        "google"
    }

    fn aliases(&self) -> &'static [&'static str] {
        &["gemini-cli", "gem"]
    }

    /// The variable replaces the home folder, not the tool's folder in it.
    fn root(&self, home: &Home) -> PathBuf {
        home.tool_variable("GEMINI_CLI_HOME").unwrap_or_else(|| home.user.clone()).join(".gemini")
    }

    fn variables(&self) -> &'static [&'static str] {
        &["GEMINI_CLI_HOME"]
    }

    fn folders(&self) -> &'static [&'static str] {
        &["tmp"]
    }

    fn head(&self, relative: &Path) -> Head {
        Head::Bytes(if relative.extension().is_some_and(|extension| extension == "json") { DOCUMENT } else { LINES })
    }

    fn place(&self, relative: &Path, head: &mut dyn FnMut() -> Option<Vec<u8>>) -> Place {
        let Some(parts) = seen_parts(relative) else { return Place::Other };
        match parts.as_slice() {
            ["tmp", _, "chats", file] => match session_format(file) {
                Some(format) => place_session(format, head),
                None => Place::Other,
            },
            ["tmp", _, "chats", parent, file] if is_id(parent) => match file.strip_suffix(".jsonl") {
                Some(agent) => session(parent, format!("subagents/{agent}"), Format::GeminiJsonl),
                None => Place::Other,
            },
            ["tmp", _, "tool-outputs", folder, file] => match folder.strip_prefix("session-") {
                Some(id) if is_id(id) => session(id, format!("tool-outputs/{file}"), Format::File),
                _ => Place::Other,
            },
            ["tmp", _, id, below @ ("plans" | "tracker" | "tasks"), rest @ ..] if is_uuid(id) && !rest.is_empty() => {
                session(id, format!("{below}/{}", rest.join("/")), Format::File)
            }
            ["tmp", project, file] => match file.strip_prefix("checkpoint-").and_then(|f| f.strip_suffix(".json")) {
                Some(tag) => session(&format!("checkpoint-{project}--{tag}"), "main".to_owned(), Format::GeminiJson),
                None => Place::Other,
            },
            _ => Place::Other,
        }
    }

    /// Which project it was in, only the old folder's name tells: it is the hash in the file.
    fn place_of_stray(&self, name: &str, head: &[u8]) -> Option<PathBuf> {
        let id = record::session_id(head).filter(|id| is_id(id))?;
        let text = super::lenient::text_of(head);
        let hash = text.split_once("\"projectHash\"")?.1.split('"').nth(1).filter(|hash| is_id(hash))?;
        let is_document = Path::new(name).extension().is_some_and(|extension| extension == "json");
        let file = match session_format(name) {
            Some(_) => name.to_owned(),
            None => format!("session-{id}.{}", if is_document { "json" } else { "jsonl" }),
        };
        Some(Path::new("tmp").join(hash).join("chats").join(file))
    }

    fn project(&self, root: &Path, relative: &Path) -> Option<String> {
        let parts = seen_parts(relative)?;
        let ["tmp", folder, ..] = parts.as_slice() else { return None };
        project::path_of(root, folder)
    }

    fn reader(&self, stream: &str, state: Option<&str>) -> Box<dyn Reader> {
        Box::new(GeminiReader::new(stream, state))
    }

    fn conversation<'a>(&self, source: &'a dyn Source) -> Result<Conversation<'a>> {
        conversation::live(source)
    }

    fn writer(&self) -> Option<&dyn Writer> {
        Some(&writer::GeminiWriter)
    }

    fn ailments(&self, source: &dyn Source) -> Result<Vec<super::health::Ailment>> {
        health::ailments(source)
    }

    fn retention(&self, home: &Home) -> Retention {
        retention::of(&self.root(home))
    }

    fn mover(&self) -> Option<&dyn Mover> {
        Some(&moved::GeminiMover)
    }

    /// The client's own limit for all of its models (0.61.0).
    fn context_tokens(&self) -> Option<u64> {
        Some(1_048_576)
    }
}

/// The path's parts. What is hidden is temporary or a marker.
fn seen_parts(path: &Path) -> Option<Vec<&str>> {
    plain_parts(path).filter(|parts| parts.iter().all(|part| !part.starts_with('.')))
}

fn session_format(file: &str) -> Option<Format> {
    match file.strip_prefix("session-")?.rsplit_once('.')?.1 {
        "jsonl" => Some(Format::GeminiJsonl),
        "json" => Some(Format::GeminiJson),
        _ => None,
    }
}

/// The id stands inside the file, which the client may not have finished writing. Every resume leaves a file behind in
/// which nothing is ever said.
fn place_session(format: Format, head: &mut dyn FnMut() -> Option<Vec<u8>>) -> Place {
    let head = head().unwrap_or_default();
    let is_silent = format == Format::GeminiJsonl && (head.len() as u64) < LINES && speech::is_silent(&head);
    // The client puts the id into the first line, but takes it from any.
    let mut lines = head.split(|byte| *byte == b'\n' && format == Format::GeminiJsonl);
    match lines.find_map(record::session_id).filter(|id| is_id(id) && !is_silent) {
        Some(id) => session(&id, "main".to_owned(), format),
        None => Place::NotYet,
    }
}

fn session(native_id: &str, stream: String, format: Format) -> Place {
    Place::Session { native_id: native_id.to_owned(), stream, format }
}

/// Ids need not be UUIDs, but they become parts of paths and words of a command line.
fn is_id(id: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    id.len() <= 128 && id.starts_with(|c: char| c.is_ascii_alphanumeric()) && id.bytes().all(is_plain)
}

fn is_uuid(id: &str) -> bool {
    uuid::Uuid::try_parse(id).is_ok()
}
