//! Codex: one rollout file a thread, below `sessions` by date and below `archived_sessions`; `session_index.jsonl` has
//! the titles. Nothing else in its folder is opened, above all not `auth.json`.

mod call;
mod conversation;
mod health;
mod items;
mod moved;
mod reader;
mod record;
mod state_db;
mod writer;

use super::{Format, Mover, Place, Reader, Retention, Source, Tool, Writer};
use crate::error::Result;
use crate::home::Home;
use crate::model::conversation::Conversation;
use crate::model::observation::{Observation, TitleRank};
use jiff::civil;
use jiff::tz::TimeZone;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The tool.
pub struct Codex;

impl Tool for Codex {
    fn id(&self) -> &'static str {
        "codex"
    }

    fn name(&self) -> &'static str {
        "Codex"
    }

    fn provider(&self) -> &'static str {
        "openai"
    }

    fn aliases(&self) -> &'static [&'static str] {
        &["cdx", "codex-cli"]
    }

    fn root(&self, home: &Home) -> PathBuf {
        home.tool_variable("CODEX_HOME").unwrap_or_else(|| home.user.join(".codex"))
    }

    fn variables(&self) -> &'static [&'static str] {
        &["CODEX_HOME"]
    }

    fn folders(&self) -> &'static [&'static str] {
        &["sessions", "archived_sessions"]
    }

    fn place(&self, relative: &Path, first_line: &mut dyn FnMut() -> Option<Vec<u8>>) -> Place {
        let name = relative.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let stem = name.strip_suffix(".jsonl").or_else(|| name.strip_suffix(".jsonl.zst"));
        let Some(stem) = stem.and_then(|stem| stem.strip_prefix("rollout-")) else { return Place::Other };
        let Some(line) = first_line().filter(|line| !line.trim_ascii().is_empty()) else { return Place::NotYet };
        thread_of(&line).or_else(|| uuid_at_end(stem)).map_or(Place::Other, |(native_id, stream)| Place::Session {
            native_id,
            stream,
            format: Format::CodexRollout,
        })
    }

    fn index_files(&self) -> &'static [&'static str] {
        &["session_index.jsonl"]
    }

    fn read_index(&self, _file: &str, bytes: &[u8]) -> Vec<(String, Observation)> {
        #[derive(Deserialize)]
        struct Named {
            id: String,
            thread_name: String,
        }
        // Later lines win: a title goes to the end of the list of those who apply them in order.
        let lines = bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Named>(line).ok());
        let named = lines.filter(|named| !named.thread_name.is_empty());
        let last: std::collections::BTreeMap<_, _> = named.map(|named| (named.id, named.thread_name)).collect();
        last.into_iter().map(|(id, title)| (id, Observation::Title(TitleRank::Chosen, title))).collect()
    }

    /// A name of the client's own is kept; another one is made from the first line.
    fn place_of_stray(&self, name: &str, head: &[u8]) -> Option<PathBuf> {
        let line = head.split(|byte| *byte == b'\n').next()?;
        let (id, stream) = thread_of(line)?;
        let own = stream.rsplit('/').next().filter(|own| *own != "main").unwrap_or(&id);
        let is_own = name.starts_with("rollout-") && Path::new(name).extension().is_some_and(|e| e == "jsonl");
        let at = name
            .get(8..27)
            .filter(|_| is_own)
            .and_then(|text| civil::DateTime::strptime("%Y-%m-%dT%H-%M-%S", text).ok());
        let at = at.or_else(|| Some(record::time_of(line)?.to_zoned(TimeZone::system()).datetime()))?;
        let file = format!("rollout-{}-{own}.jsonl", at.strftime("%Y-%m-%dT%H-%M-%S"));
        Some(Path::new("sessions").join(at.strftime("%Y/%m/%d").to_string()).join(file))
    }

    fn reader(&self, stream: &str, state: Option<&str>) -> Box<dyn Reader> {
        Box::new(reader::RolloutReader::new(stream, state))
    }

    fn conversation<'a>(&self, source: &'a dyn Source) -> Result<Conversation<'a>> {
        conversation::live(source)
    }

    fn forks_by_reference(&self) -> bool {
        true
    }

    fn writer(&self) -> Option<&dyn Writer> {
        Some(&writer::CodexWriter)
    }

    fn ailments(&self, source: &dyn Source) -> Result<Vec<super::health::Ailment>> {
        health::ailments(source)
    }

    fn listing(&self, home: &Home) -> Result<Option<super::Listing>> {
        state_db::listing(&self.root(home))
    }

    fn retention(&self, _home: &Home) -> Retention {
        Retention::keeps("keeps its sessions; `codex archive` only moves them to another folder")
    }

    fn mover(&self) -> Option<&dyn Mover> {
        Some(&moved::CodexMover)
    }

    /// What the client states for its default models (0.169.0): `model_context_window` of its turns.
    fn context_tokens(&self) -> Option<u64> {
        Some(258_400)
    }
}

/// Session and stream by a rollout's first line.
fn thread_of(line: &[u8]) -> Option<(String, String)> {
    let payload = match record::parse(line).ok()? {
        record::Record::Enveloped { kind, payload, .. } if kind == "session_meta" => payload,
        record::Record::BareMeta(meta) => meta,
        _ => return None,
    };
    let meta: record::Meta<'_> = record::fields(Some(payload))?;
    let id = record::owned(meta.id).filter(|id| is_plain(id))?;
    match meta.root().filter(|root| is_plain(root)) {
        Some(root) => Some((root, format!("subagents/{id}"))),
        None => Some((id, "main".to_owned())),
    }
}

/// True where a rollout begins as the client wants it: with a `session_meta` in an envelope.
fn has_session_meta(line: &[u8]) -> bool {
    matches!(record::parse(line), Ok(record::Record::Enveloped { kind, .. }) if kind == "session_meta")
}

/// Ids become parts of paths, and words of a command line: none may look like an option.
fn is_plain(id: &str) -> bool {
    id.len() <= 128
        && id.starts_with(|c: char| c.is_ascii_alphanumeric())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// The id in `YYYY-MM-DDThh-mm-ss-<uuid>`, for a file whose first line is lost.
fn uuid_at_end(stem: &str) -> Option<(String, String)> {
    let id = stem.get(stem.len().checked_sub(36)?..)?;
    uuid::Uuid::try_parse(id).ok()?;
    Some((id.to_owned(), "main".to_owned()))
}
