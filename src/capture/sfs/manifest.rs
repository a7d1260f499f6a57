//! `manifest.json` of a .sfs folder: which session it is, and what a person said of it.

use super::folder::open;
use crate::error::{Error, Result};
use crate::id::{SessionId, is_native_id};
use crate::store::Checkpoint;
use crate::tools::{self, Format};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::Path;

/// The file's name.
pub(super) const NAME: &str = "manifest.json";
/// The file that names the project.
const WORKSPACE: &str = "workspace.json";
/// A longer manifest is not read.
const LIMIT: u64 = 16 << 20;
/// No session has more files.
pub(super) const MAX_FILES: usize = 10_000;
/// No tag is longer, and there are no more of them.
const MAX_WORD: usize = 256;

/// What we take from it; its other fields are read from the archived copy.
pub(super) struct Manifest {
    pub(super) session_id: String,
    pub(super) tool: String,
    pub(super) native_id: String,
    pub(super) title: Option<String>,
    /// Given with us, by a person.
    pub(super) title_is_a_persons: bool,
    /// Kept by the tool, perhaps outside of the session's bytes.
    pub(super) title_is_a_tools: bool,
    pub(super) tags: Vec<String>,
    pub(super) parent: Option<SessionId>,
    pub(super) is_fork: bool,
    pub(super) inherited: u64,
    pub(super) created_at: Option<Timestamp>,
    pub(super) updated_at: Option<Timestamp>,
    /// From the workspace beside the manifest: some tools keep it outside of the session's bytes.
    pub(super) project: Option<String>,
    /// Their positions count generations as the folder does.
    pub(super) checkpoints: Vec<Checkpoint>,
    native: Option<Vec<Listed>>,
}

/// A stream's file, as `metadata.native` lists it.
#[derive(Deserialize)]
pub(super) struct Listed {
    pub(super) file: String,
    pub(super) stream: String,
    #[serde(default)]
    pub(super) generation: u32,
    pub(super) format: String,
    pub(super) native_path: Option<String>,
    /// The device that writes it, where that is told.
    #[serde(default)]
    pub(super) origin: Option<String>,
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

impl Manifest {
    /// Reads and checks the manifest of `folder`.
    pub(super) fn read(folder: &Path) -> Result<Manifest> {
        let path = folder.join(NAME);
        let broken = |what: String| {
            Error::failed(format!("{} {what}", path.display())).hint("a .sfs folder comes whole from `sfs export`")
        };
        let mut content = open(folder, NAME)?.ok_or_else(|| {
            Error::not_found(format!("{} is not there", path.display()))
                .hint("a .sfs folder holds manifest.json and messages.jsonl")
        })?;
        if content.length > LIMIT {
            return Err(broken(format!("is longer than {} MiB", LIMIT >> 20)));
        }
        let bytes = content.read(LIMIT as usize)?;
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        let json: Value = serde_json::from_slice(bytes).map_err(|cause| broken("is not JSON".into()).because(cause))?;
        if !json.is_object() {
            return Err(broken("is not a JSON object".into()));
        }
        match json["sfs_version"].as_str() {
            Some(version) if version.starts_with("0.1.") => {
                let project = project(folder)?;
                Manifest::of(&json).map(|manifest| Manifest { project, ..manifest }).map_err(broken)
            }
            Some(version) => Err(Error::failed(format!("{} is of .sfs version {version:?}", path.display()))
                .hint("this sessionfs reads 0.1; a newer one may read it")),
            None => Err(broken("has no sfs_version".into())),
        }
    }

    /// The same where anything is better than nothing: `id` and an unknown tool stand for what it does not say.
    pub(super) fn read_as_far_as_possible(folder: &Path, id: &SessionId) -> Result<Manifest> {
        let bytes = match open(folder, NAME)? {
            Some(mut content) if content.length <= LIMIT => content.read(LIMIT as usize)?,
            _ => Vec::new(),
        };
        let json: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let bare = || {
            let tool = json.pointer("/source/tool").and_then(Value::as_str).unwrap_or("unknown");
            let json = json!({"source": {"tool": tool}, "session_id": id.as_str(), "tags": json["tags"]});
            Manifest::of(&json)
                .or_else(|_| Manifest::of(&json!({"source": {"tool": "unknown"}, "session_id": id.as_str()})))
        };
        let manifest = Manifest::of(&json).or_else(|_| bare()).map_err(Error::failed)?;
        Ok(Manifest { project: project(folder)?, ..manifest })
    }

    fn of(json: &Value) -> Result<Manifest, String> {
        let text = |pointer: &str| json.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
        let at = |pointer: &str| text(pointer).and_then(|text| text.parse().ok());
        let tool = text("/source/tool").ok_or("has no source.tool")?;
        let session_id = text("/session_id").ok_or("has no session_id")?;
        let native_id = text("/source/original_session_id").unwrap_or(session_id);
        if let Some(word) = [tool, native_id].into_iter().find(|word| !is_native_id(word)) {
            return Err(format!("names an impossible tool or session: {word:?}"));
        }
        let tags = json["tags"].as_array().map(Vec::as_slice).unwrap_or_default().iter().filter_map(Value::as_str);
        let is_tag = |tag: &&str| !tag.trim().is_empty() && tag.len() <= MAX_WORD && !tag.contains(char::is_control);
        let metadata = &json["metadata"];
        let native: Option<Vec<Listed>> = Option::deserialize(&metadata["native"])
            .map_err(|error| format!("lists the native files in a way that can't be understood: {error}"))?;
        if native.as_ref().is_some_and(|listed| listed.len() > MAX_FILES) {
            return Err(format!("lists more than {MAX_FILES} native files"));
        }
        Ok(Manifest {
            session_id: session_id.to_owned(),
            tool: super::tool_id(tool).to_owned(),
            native_id: native_id.to_owned(),
            title: text("/title").map(str::to_owned),
            title_is_a_persons: metadata["title_from"] == "person",
            title_is_a_tools: metadata["title_from"] == "tool",
            tags: tags.filter(is_tag).take(MAX_WORD).map(str::to_owned).collect(),
            parent: text("/parent_session_id").and_then(|id| SessionId::parse(id).ok()),
            is_fork: metadata["relation"] != "resume",
            inherited: metadata["inherited"].as_i64().map_or(0, |bytes| bytes.max(0) as u64),
            created_at: at("/created_at"),
            updated_at: at("/updated_at"),
            project: None,
            checkpoints: Vec::deserialize(&metadata["checkpoints"]).unwrap_or_default(),
            native,
        })
    }

    /// The files with the session's own bytes. Otherwise why they can't be used, if there are any.
    pub(super) fn own_bytes(&self) -> Result<&[Listed], Option<String>> {
        let listed = self.native.as_deref().filter(|listed| !listed.is_empty()).ok_or(None)?;
        let formats: Vec<Option<Format>> = listed.iter().map(|listed| Format::parse(&listed.format)).collect();
        if let Some(at) = formats.iter().position(Option::is_none) {
            return Err(Some(format!(
                "its native files have a form unknown here ({:?}); its messages were imported",
                listed[at].format
            )));
        }
        let needs_tool = |format: &Format| format.has_lines() && *format != Format::SfsJsonl;
        if tools::find(&self.tool).is_err() && formats.iter().flatten().any(needs_tool) {
            return Err(Some(format!("its tool {:?} is unknown here; its messages were imported", self.tool)));
        }
        Ok(listed)
    }
}

/// The project's path, if the workspace of `folder` tells an absolute one.
fn project(folder: &Path) -> Result<Option<String>> {
    let Some(mut content) = open(folder, WORKSPACE)?.filter(|content| content.length <= LIMIT) else { return Ok(None) };
    let json: Value = serde_json::from_slice(&content.read(LIMIT as usize)?).unwrap_or_default();
    Ok(json["root_path"].as_str().filter(|path| path.starts_with('/')).map(str::to_owned))
}
