//! The portable .sfs folder: manifest, messages, workspace, and under `native/` the session's own bytes, so that an import
//! restores the original exactly. `contract` of the format: .sfs 0.1.0; what it has no field for stands in `metadata`.
//!
//! A redacted folder has no `native/`: bytes without their secrets are not the tool's, and a machine that has the original
//! must not take them for a newer version of it. `metadata.redacted` tells by which rules it was made.

use super::log::for_each_message;
use super::native::{write_atomically, write_stream};
use super::redaction::Redaction;
use super::source::{self, ArchivedSession};
use crate::error::{Context, Error, Result};
use crate::security::archive;
use crate::security::secrets::RULESET;
use crate::store::{Checkpoint, SessionRow, Store, Summary};
use crate::tools::{self, Source};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::Path;

/// The version of the format that we write.
const SFS_VERSION: &str = "0.1.0";

/// What is known of a session, as `manifest.json` says it (without the list of native files).
pub fn manifest(store: &Store, session: &ArchivedSession<'_>, summary: &Summary) -> Result<Value> {
    let at = |ms: Option<i64>| ms.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let main = session.native_streams().iter().rev().find(|stream| stream.name == "main");
    let checkpoints = store.checkpoints(session.row.id)?;
    let duration = summary.updated_at.zip(summary.created_at).map(|(last, first)| last - first);
    Ok(json!({
        "sfs_version": SFS_VERSION,
        "session_id": session.row.public_id.as_str(),
        "title": source::title(&session.row, summary),
        "tags": store.tags(session.row.id)?,
        "created_at": at(summary.created_at.or(summary.updated_at)).unwrap_or(jiff::Timestamp::UNIX_EPOCH),
        "updated_at": at(summary.updated_at),
        "source": {
            "tool": session.row.tool,
            "tool_version": summary.tool_version,
            "sfs_converter_version": env!("CARGO_PKG_VERSION"),
            "original_session_id": session.row.native_id,
            "original_path": main.and_then(|stream| stream.native_path.clone()),
            "interface": summary.interface,
        },
        "model": summary.model.as_ref().map(|model| json!({
            "provider": provider(&session.row.tool), "model_id": model,
        })),
        "stats": {
            "message_count": summary.message_count,
            "turn_count": summary.turn_count,
            "tool_use_count": summary.tool_call_count,
            "total_input_tokens": summary.prompt_tokens(),
            "total_output_tokens": summary.output_tokens,
            "estimated_cost_usd": summary.cost(),
            "duration_ms": duration,
        },
        "parent_session_id": session.row.parent.as_ref().map(|(parent, _)| parent),
        "sub_agents": sub_agents(session),
        "checkpoint_count": checkpoints.len(),
        "metadata": metadata(&session.row, summary, &checkpoints),
    }))
}

/// What an import needs to know and the format has no field for.
fn metadata(row: &SessionRow, summary: &Summary, checkpoints: &[Checkpoint]) -> Value {
    let mut metadata = serde_json::Map::new();
    if !checkpoints.is_empty() {
        metadata.insert("checkpoints".into(), json!(checkpoints));
    }
    if let Some((_, relation)) = &row.parent {
        metadata.insert("relation".into(), relation.as_str().into());
        metadata.insert("inherited".into(), row.inherited.into());
    }
    let title_from = match (&row.title, &summary.tool_title) {
        (Some(_), _) => "person",
        (None, Some(_)) => "tool",
        (None, None) => "prompt",
    };
    metadata.insert("title_from".into(), title_from.into());
    metadata.into()
}

fn provider(tool: &str) -> &'static str {
    tools::find(tool).map_or("unknown", |tool| tool.provider())
}

fn sub_agents(session: &ArchivedSession<'_>) -> Vec<Value> {
    let lines = session.streams().iter().filter(|s| s.format.has_lines() && s.name != "main");
    let names: std::collections::BTreeSet<&str> = lines.map(|s| s.name.as_str()).collect();
    let stem = |name: &str| name.rsplit('/').next().unwrap_or(name).trim_end_matches(".jsonl").to_owned();
    names.into_iter().map(|name| json!({"agent_id": stem(name)})).collect()
}

/// Writes `session` as a folder. `folder` must not exist.
pub fn export_sfs(store: &Store, session: &ArchivedSession<'_>, folder: &Path, redaction: &Redaction) -> Result<()> {
    if folder.exists() {
        return Err(Error::conflict(format!("{} is already there", folder.display()))
            .hint("remove it, or export to another folder with -o DIR"));
    }
    let unwritable = || format!("{} can't be written", folder.display());
    let place = folder.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(place).context(unwritable)?;
    // All of it under a temporary name first: a folder that is there is whole.
    let temporary = tempfile::Builder::new().prefix(".sessionfs-").tempdir_in(place).context(unwritable)?;
    let summary = store.summary(session.row.id)?;
    write_messages(session, &temporary.path().join("messages.jsonl"), redaction)?;
    let mut manifest = manifest(store, session, &summary)?;
    if redaction.is_on() {
        manifest["metadata"]["redacted"] = json!({"ruleset": RULESET});
    } else {
        manifest["metadata"]["native"] = write_native(store, session, temporary.path())?.into();
    }
    write_json(&temporary.path().join("manifest.json"), &redaction.json(&manifest)?)?;
    if let Some(workspace) = workspace(&summary) {
        write_json(&temporary.path().join("workspace.json"), &redaction.json(&workspace)?)?;
    }
    std::fs::rename(temporary.keep(), folder).context(unwritable)
}

/// Writes `session` as one `.tar.gz` of that folder. `path` must not exist.
pub fn export_archive(store: &Store, session: &ArchivedSession<'_>, path: &Path, redaction: &Redaction) -> Result<()> {
    let place = path.parent().filter(|place| !place.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(place).context(|| format!("{} can't be made", place.display()))?;
    let folder = archive::private_folder(place)?;
    let inside = folder.path().join("session");
    export_sfs(store, session, &inside, redaction)?;
    let path = place.join(path.file_name().unwrap_or_default());
    write_atomically(&path, false, &mut |out| archive::pack(&inside, out).map(drop))
}

/// `workspace.json` of a session whose project is known.
pub fn workspace(summary: &Summary) -> Option<Value> {
    let root = summary.project.as_ref().filter(|path| path.starts_with('/'))?;
    let git = (summary.git_branch.is_some() || summary.git_commit.is_some()).then(
        || json!({"remote_url": summary.git_remote, "branch": summary.git_branch, "commit_sha": summary.git_commit}),
    );
    Some(json!({"root_path": root, "git": git}))
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    let text = serde_json::to_vec_pretty(value).context(|| format!("{} can't be written", path.display()))?;
    write_atomically(path, false, &mut |out| {
        out.write_all(&text).context(|| format!("{} can't be written", path.display()))
    })
}

/// Every message with at least one block; ids unique, parents only where they stand in the file before.
fn write_messages(session: &ArchivedSession<'_>, path: &Path, redaction: &Redaction) -> Result<()> {
    write_atomically(path, false, &mut |out| {
        let mut ids = HashSet::new();
        let mut created = jiff::Timestamp::UNIX_EPOCH;
        for_each_message(session, true, &mut |mut message| {
            if message.content.is_empty() {
                return Ok(ControlFlow::Continue(()));
            }
            while !ids.insert(message.id.clone()) {
                message.id.push('\'');
            }
            message.parent_id = message.parent_id.filter(|parent| ids.contains(parent));
            created = message.timestamp.unwrap_or(created);
            message.timestamp = Some(created);
            let line = serde_json::to_vec(&message).context(|| "a message can't be written")?;
            let mut line = redaction.line(&line);
            line.push(b'\n');
            out.write_all(&line).context(|| format!("{} can't be written", path.display()))?;
            Ok(ControlFlow::Continue(()))
        })
    })
}

/// The streams, one file each; says which.
fn write_native(store: &Store, session: &ArchivedSession<'_>, folder: &Path) -> Result<Vec<Value>> {
    let mut listed = Vec::new();
    for stream in session.native_streams() {
        let name = match stream.generation {
            0 => stream.name.clone(),
            generation => format!("{}.generation-{generation}", stream.name),
        };
        let path = folder.join("native").join(&name);
        let sha256 = write_stream(store, stream, &path, false)?.hex();
        listed.push(json!({"file": format!("native/{name}"), "stream": stream.name, "generation": stream.generation,
            "format": stream.format, "native_path": stream.native_path, "bytes": stream.length, "sha256": sha256}));
    }
    Ok(listed)
}

/// Leaves the session's own bytes out of its folder where a file of them is longer than `most`: who takes no large members
/// has no use for a part of them either.
pub fn leave_out_large_natives(folder: &Path, most: u64) -> Result<()> {
    let native = folder.join("native");
    let files = walkdir::WalkDir::new(&native).into_iter().flatten();
    if !files.into_iter().any(|file| file.metadata().is_ok_and(|data| data.is_file() && data.len() > most)) {
        return Ok(());
    }
    std::fs::remove_dir_all(&native).context(|| "the archive can't be built")?;
    edit_manifest(folder, |manifest| {
        if let Some(metadata) = manifest["metadata"].as_object_mut() {
            metadata.remove("native");
        }
    })
}

/// Writes the manifest anew if `change` changes it. One that is no JSON object stays as it is.
pub fn edit_manifest(folder: &Path, change: impl FnOnce(&mut Value)) -> Result<()> {
    let path = folder.join("manifest.json");
    let unwritable = || "the archive can't be built";
    let before: Value = match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
        Err(_) => return Ok(()),
    };
    let mut manifest = before.clone();
    if !manifest.is_object() {
        return Ok(());
    }
    change(&mut manifest);
    if manifest == before {
        return Ok(());
    }
    std::fs::write(&path, serde_json::to_vec_pretty(&manifest).context(unwritable)?).context(unwritable)
}
