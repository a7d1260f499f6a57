//! Archives in and out: `PUT` and `GET …/sync`, `POST /sessions`, `GET …/download`.

use super::api::Call;
use super::audit::Event;
use super::exchange::{Body, Response};
use super::multipart;
use super::query::{Query, plain_tags, within};
use super::reply::{Answer, Refusal, json, time};
use super::sessions::gone;
use super::view::View;
use crate::capture::{Parcel, Received};
use crate::error::{Context, Error, Result};
use crate::export::{self, ArchivedSession, Redaction};
use crate::id::SessionId;
use crate::model::label;
use crate::security::archive::{self, Limits};
use crate::store::Store;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;
use uuid::Uuid;

/// The published clients refuse members of more than 50 MiB; a session's own bytes are left out long before.
const MAX_NATIVE: u64 = 32 << 20;

/// An archive that was received and unpacked; it goes away with this.
struct Upload {
    folder: tempfile::TempDir,
    bytes: u64,
}

impl Upload {
    fn receive(call: &mut Call<'_>) -> Result<Upload, Refusal> {
        let api = call.api;
        let unstorable = || "the upload can't be stored";
        let mut file = tempfile::tempfile_in(&api.scratch).context(unstorable)?;
        let content_type = call.request.header("content-type").map(str::to_owned);
        let received =
            multipart::file(&mut call.request.body, content_type.as_deref(), api.policy.max_upload, &mut file);
        let bytes = received.map_err(|fault| match fault {
            multipart::Fault::Missing => Refusal::missing(&["body", "file"]),
            multipart::Fault::TooLarge => {
                let most = api.policy.max_upload;
                Refusal::new(413, format!("The archive is larger than {most} bytes")).code("too_large")
            }
            multipart::Fault::Malformed(what) => Refusal::new(400, format!("Malformed form: {what}")),
            multipart::Fault::Disk(error) => error.into(),
        })?;
        file.seek(SeekFrom::Start(0)).context(unstorable)?;
        let folder = archive::private_folder(&api.scratch)?;
        let files =
            archive::unpack(BufReader::new(file), folder.path(), &Limits::UPLOAD).map_err(|fault| match fault {
                archive::Fault::Archive(what) => Refusal::new(400, what),
                archive::Fault::Disk(error) => error.into(),
            })?;
        if files == 0 {
            return Err(Refusal::new(400, "Invalid tar.gz archive: it is empty"));
        }
        Ok(Upload { folder, bytes })
    }

    /// What does not fit together in it is the client's fault.
    fn open(&self, id: &SessionId) -> Result<Parcel, Refusal> {
        Parcel::open(self.folder.path(), id).map_err(|error| {
            if error.is_disk_full() {
                error.into()
            } else {
                Refusal::new(400, "The archive's files contradict its manifest")
            }
        })
    }
}

/// What became of a push.
enum Outcome {
    Stored { etag: String, is_new: bool },
    Gone,
    Mismatch { current: String },
}

pub(super) fn put(call: &mut Call<'_>, id: &SessionId) -> Answer {
    let upload = Upload::receive(call)?;
    let parcel = upload.open(id)?;
    let expected = call.request.header("if-match").map(|value| value.trim().trim_matches('"').to_owned());
    let revives = call.request.header("x-sessionfs-undelete") == Some("true");
    let outcome = call.api.archives.with(call.caller.account.id, |store| {
        check_quota(call, store, upload.bytes)?;
        Ok::<_, Refusal>(store.write(|store| push(store, parcel, id, &upload, expected.as_deref(), revives))?)
    })?;
    match outcome {
        Outcome::Stored { etag, is_new } => {
            call.note(Event::Pushed, Some(id), format!("{} bytes", upload.bytes));
            let status = if is_new { 201 } else { 200 };
            Ok(json(status, &stored(id, &etag, upload.bytes, "synced_at")))
        }
        Outcome::Gone => Err(gone()),
        Outcome::Mismatch { current } => {
            call.note(Event::Conflict, Some(id), "");
            Err(Refusal::new(409, "ETag mismatch — session has been updated")
                .code("etag_mismatch")
                .details(json!({"current_etag": current})))
        }
    }
}

/// Within one transaction, so that of two pushes that expect the same state one is told of the other.
fn push(
    store: &mut Store,
    parcel: Parcel,
    id: &SessionId,
    upload: &Upload,
    expected: Option<&str>,
    revives: bool,
) -> Result<Outcome> {
    if let Some(row) = store.find_public(id)? {
        if row.deleted_at.is_some() && !revives {
            return Ok(Outcome::Gone);
        }
        let (session, is_deleted) = (row.id, row.deleted_at.is_some());
        let current = store.etag(&row)?.hex();
        // Who revives a session knew that it was gone, and not in which state.
        if !is_deleted && expected != Some(current.as_str()) {
            return Ok(Outcome::Mismatch { current });
        }
        store.unhide(session)?;
    }
    let received = parcel.put(store, id, None, upload.bytes)?;
    let etag = etag_of(store, &received)?;
    Ok(Outcome::Stored { etag, is_new: received.is_new })
}

fn etag_of(store: &Store, received: &Received) -> Result<String> {
    Ok(store.etag(&store.session(received.session.id)?)?.hex())
}

fn stored(id: &SessionId, etag: &str, bytes: u64, when: &str) -> Value {
    let now = time(super::accounts::now());
    json!({"session_id": id.as_str(), "etag": etag, "blob_size_bytes": bytes, when: now})
}

pub(super) fn check_quota(call: &Call<'_>, store: &Store, bytes: u64) -> Result<(), Refusal> {
    match call.api.policy.quota {
        Some(quota) if store.size()? + bytes > quota => {
            let details = json!({"quota_bytes": quota, "used_bytes": store.size()?});
            Err(Refusal::new(507, "The account's quota is used up").code("quota_exceeded").details(details))
        }
        _ => Ok(()),
    }
}

pub(super) fn post(call: &mut Call<'_>) -> Answer {
    let query = Query::of(call.request)?;
    let tool = query.get("source_tool").ok_or_else(|| Refusal::missing(&["query", "source_tool"]))?;
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    if !(1..=50).contains(&tool.len()) || tool.starts_with('-') || !tool.chars().all(is_word) {
        let message = "String should match pattern '^[a-z0-9_-]+$'";
        return Err(Refusal::invalid("string_pattern_mismatch", &["query", "source_tool"], message, &tool.into()));
    }
    let title = query.get("title").map(|title| within(title, 500, &["query", "title"])).transpose()?;
    let list = serde_json::from_str(query.get("tags").unwrap_or("[]"));
    let list: Value = list.map_err(|_| Refusal::new(400, "Invalid tags: not a JSON list"))?;
    let tags = plain_tags(&list, &["query", "tags"])?;
    let id = SessionId::parse(&format!("ses_{}", &Uuid::new_v4().simple().to_string()[..16]))?;
    let upload = Upload::receive(call)?;
    let parcel = upload.open(&id)?;
    let etag = call.api.archives.with(call.caller.account.id, |store| {
        check_quota(call, store, upload.bytes)?;
        let etag = store.write(|store| {
            let received = parcel.put(store, &id, Some(tool), upload.bytes)?;
            if title.is_some() {
                store.set_title(received.session.id, title.as_deref().and_then(label::fitting_title).as_deref())?;
            }
            if !tags.is_empty() {
                store.set_tags(received.session.id, &tags)?;
            }
            etag_of(store, &received)
        });
        Ok::<_, Refusal>(etag?)
    })?;
    call.note(Event::Pushed, Some(&id), format!("{} bytes", upload.bytes));
    Ok(json(201, &stored(&id, &etag, upload.bytes, "uploaded_at")))
}

/// The session as an archive; `may_be_known`: nothing but 304 where the client has it already.
pub(super) fn get(call: &Call<'_>, id: &SessionId, may_be_known: bool) -> Answer {
    let known = call.request.header("if-none-match").filter(|_| may_be_known);
    let (etag, folder) = call.api.archives.with(call.caller.account.id, |store| {
        let view = View::open(store, id)?;
        let etag = view.etag()?;
        if known.is_some_and(|known| matches_etag(known, &etag)) {
            return Ok::<_, Refusal>((etag, None));
        }
        let folder = archive::private_folder(&call.api.scratch)?;
        build(&view, &folder.path().join("session"))?;
        Ok((etag, Some(folder)))
    })?;
    let quoted = format!("\"{etag}\"");
    let Some(folder) = folder else { return Ok(Response::empty(304).with("ETag", quoted)) };
    let unpackable = || "the archive can't be packed";
    let file = tempfile::tempfile_in(&call.api.scratch).context(unpackable)?;
    let file = archive::pack(&folder.path().join("session"), BufWriter::new(file))?;
    let mut file: File = file.into_inner().map_err(|error| Error::failed(unpackable()).because(error.into_error()))?;
    let length = file.stream_position().context(unpackable)?;
    file.seek(SeekFrom::Start(0)).context(unpackable)?;
    call.note(Event::Pulled, Some(id), format!("{length} bytes"));
    let headers = vec![("Content-Type", "application/gzip".to_owned()), ("ETag", quoted)];
    Ok(Response { status: 200, headers, body: Body::File(file, length) })
}

/// `If-None-Match`: one or several, weak or not, or any.
fn matches_etag(header: &str, etag: &str) -> bool {
    header
        .split(',')
        .map(str::trim)
        .any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one).trim_matches('"') == etag)
}

/// Writes the session's files into `folder`, which is not there yet.
fn build(view: &View<'_>, folder: &Path) -> Result<()> {
    let Some(members) = view.members()? else {
        export::export_sfs(
            view.store,
            &ArchivedSession::open(view.store, view.row.clone())?,
            folder,
            &Redaction::none(),
        )?;
        return export::leave_out_large_natives(folder, MAX_NATIVE);
    };
    let unwritable = || "the archive can't be built";
    for (name, stream) in members {
        let path = folder.join(name);
        path.parent().map_or(Ok(()), fs::create_dir_all).context(unwritable)?;
        let mut file = File::create_new(path).context(unwritable)?;
        export::copy_stream(view.store, &stream, &mut |piece| file.write_all(piece).context(unwritable))?;
    }
    export::edit_manifest(folder, |manifest| {
        let (title, tags) = view.title_and_tags();
        if let Some(title) = title {
            manifest["title"] = title.into();
        }
        if !tags.is_empty() || manifest["tags"].is_array() {
            manifest["tags"] = tags.into();
        }
    })
}
