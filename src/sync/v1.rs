//! The sync with a server of the first contract (`SessionFS` 0.1): it keeps one archive of each session, named by an `ETag`, and
//! takes another one only from who names the one it has.
//!
//! What came from there is taken in as a device's streams of its own ([`take_copy`]), so nothing here is overwritten. Nothing
//! there is either: an archive is replaced only where ours has every message that is in it. Where it has not, theirs stays
//! what it is, and ours goes there under an id of its own.

use super::client::{Client, Payload, Question, in_path};
use super::gate::{Gate, retry_at};
use super::{Pulled, Pushed, Refused, Remote};
use crate::capture::take_copy;
use crate::error::{Context, Error, Kind, Result};
use crate::export::{self, ArchivedSession, Redaction};
use crate::id::{Hash, SessionId};
use crate::security::archive::{self, Fault, Limits};
use crate::security::redact::unkeyed;
use crate::store::{Copy, RemoteRow, SessionRow, Store, Unsent};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

/// Such servers refuse longer members.
const MAX_MEMBER: u64 = 50 << 20;
/// So often an archive is made anew because theirs changed meanwhile.
const TRIES: usize = 3;
/// Pages of a hundred: more sessions than that nobody has.
const PAGES: u64 = 10_000;

/// A server of the first contract, as one account, and what is known of it.
pub struct V1<'a> {
    /// The server.
    pub client: &'a mut Client,
    /// How far it is.
    pub row: &'a mut RemoteRow,
    /// Tells it from other servers, and its archives from those of others.
    pub name: &'a str,
}

#[derive(Deserialize)]
struct Listed {
    id: String,
    etag: String,
}

#[derive(Deserialize)]
struct Page {
    sessions: Vec<Listed>,
    has_more: bool,
}

/// What became of a `PUT`.
enum Put {
    Stored(String),
    /// The archive there is another one than was named: its `ETag`.
    Mismatch(String),
}

impl V1<'_> {
    /// Sends every session that is not there as it is here, or those that are named.
    pub fn push(
        &mut self,
        store: &mut Store,
        redaction: &Redaction,
        gate: &Gate,
        named: Option<&[i64]>,
    ) -> Result<Pushed> {
        let mut pushed = Pushed::default();
        let number = store.change_number()?;
        let unsent = store.unsent(self.row.id)?;
        let sessions = match named {
            Some(named) => named.to_vec(),
            None => store.session_rows()?,
        };
        for session in sessions {
            let row = store.session(session)?;
            let before = unsent.iter().find(|one| one.session == session);
            let waits = before.is_some_and(|before| before.is_refused() || gate.waits_for(before));
            // One that was announced only has nothing to send yet.
            let is_empty = store.streams(session)?.is_empty();
            if row.deleted_at.is_some() || is_empty || (named.is_none() && waits) || self.is_there(store, &row)? {
                continue;
            }
            if let Some(reason) = gate.hold(store, &row)? {
                let held = Unsent { session, attempts: 0, retry_at: None, reason: reason.clone() };
                store.write(|store| store.set_unsent(self.row.id, &held))?;
                pushed.held.push((session, reason));
                continue;
            }
            match self.push_one(store, &row, redaction, &mut pushed) {
                Ok(()) => store.write(|store| store.clear_unsent(self.row.id, session))?,
                Err(error) => self.postpone(store, session, before, error, &mut pushed)?,
            }
        }
        if named.is_none() {
            self.row.pushed = number;
            store.write(|store| store.save_remote(self.row))?;
        }
        Ok(pushed)
    }

    /// One session must not keep the others back; what has nothing to do with it ends the push.
    fn postpone(
        &self,
        store: &mut Store,
        session: i64,
        before: Option<&Unsent>,
        error: Error,
        pushed: &mut Pushed,
    ) -> Result<()> {
        let refused = if error.kind() == Kind::Conflict {
            Some(Refused { for_good: false, retry_after: None })
        } else {
            self.client.refused()
        };
        let Some(refused) = refused else { return Err(error) };
        let attempts = before.map_or(0, |before| before.attempts) + 1;
        let retry_at = (!refused.for_good).then(|| retry_at(attempts, refused.retry_after));
        let reason = error.message();
        let unsent = Unsent { session, attempts, retry_at, reason: reason.clone() };
        store.write(|store| store.set_unsent(self.row.id, &unsent))?;
        pushed.refused.push((session, reason));
        Ok(())
    }

    fn is_there(&self, store: &Store, row: &SessionRow) -> Result<bool> {
        let etag = store.etag(row)?;
        let copies = store.remote_copies(self.row.id)?;
        Ok(copies.iter().any(|copy| copy.session == row.id && copy.sent == Some(etag)))
    }

    fn push_one(
        &mut self,
        store: &mut Store,
        row: &SessionRow,
        redaction: &Redaction,
        pushed: &mut Pushed,
    ) -> Result<()> {
        let copies = store.remote_copies(self.row.id)?;
        let ours = copies.iter().find(|copy| copy.session == row.id && copy.sent.is_some());
        let is_theirs = copies.iter().any(|copy| copy.id == row.public_id.as_str());
        let (mut id, mut etag) = match ours {
            Some(copy) => (copy.id.clone(), Some(copy.seen.clone())),
            None if is_theirs => (other_id(store, row)?, None),
            None => (row.public_id.to_string(), None),
        };
        for _ in 0..TRIES {
            let packed = Packed::of(store, row, redaction)?;
            match self.put(&id, etag.as_deref(), &packed)? {
                Put::Stored(etag) => {
                    let sent = Some(packed.etag);
                    let copy = Copy { id, session: row.id, seen: etag.clone(), sent };
                    store.write(|store| store.save_copy(self.row.id, &copy))?;
                    pushed.sessions.push(row.id);
                    pushed.bytes.insert(row.id, packed.bytes);
                    pushed.etags.insert(row.id, etag);
                    return Ok(());
                }
                Put::Mismatch(current) => {
                    // Ours is made anew with what theirs brought.
                    let taken = self.take(store, &id, None, Some(row))?;
                    etag = taken.filter(|copy| copy.sent.is_some()).map(|copy| copy.seen).or(Some(current));
                    if store.remote_copies(self.row.id)?.iter().any(|copy| copy.id == id && copy.sent.is_none()) {
                        pushed.conflicts.push((row.id, id));
                        (id, etag) = (other_id(store, row)?, None);
                    }
                }
            }
        }
        Err(Error::conflict(format!("session {} changes on the server all the time", row.public_id)))
    }

    fn put(&mut self, id: &str, etag: Option<&str>, packed: &Packed) -> Result<Put> {
        let path = format!("/api/v1/sessions/{}/sync", in_path(id)?);
        let header = etag.map(|etag| ("If-Match", format!("\"{etag}\"")));
        let body = Payload::File(&packed.media_type, &packed.form);
        let reply = self.client.ask(&Question { method: "PUT", path: &path, header, body }, None)?;
        let told = |pointer: &str| {
            let told = reply.json::<Value>()?;
            let etag = told.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
            etag.ok_or_else(|| Error::failed("the server's answer can't be read"))
        };
        match reply.status {
            200 | 201 => told("/etag").map(Put::Stored),
            409 => told("/error/details/current_etag").map(Put::Mismatch),
            _ => Err(self.client.refusal(&reply)),
        }
    }

    /// Takes in every archive that is not the one which was seen last.
    pub fn pull(&mut self, store: &mut Store) -> Result<Pulled> {
        let mut pulled = Pulled::default();
        for page in 1..=PAGES {
            let path = format!("/api/v1/sessions?page={page}&page_size=100");
            let Page { sessions, has_more } = self.client.json("GET", &path, None)?;
            let known = store.remote_copies(self.row.id)?;
            for Listed { id, etag } in sessions {
                let seen = known.iter().find(|copy| copy.id == id);
                if seen.is_none_or(|copy| copy.seen != etag) {
                    self.pull_one(store, &id, seen.map(|copy| copy.seen.as_str()), &mut pulled)?;
                }
            }
            if !has_more {
                return Ok(pulled);
            }
        }
        Err(Error::failed("the server's list does not end"))
    }

    /// Takes in one archive.
    pub fn pull_session(&mut self, store: &mut Store, id: &str) -> Result<Pulled> {
        let mut pulled = Pulled::default();
        let known = store.remote_copies(self.row.id)?.into_iter().find(|copy| copy.id == id);
        let etag = known.as_ref().map(|copy| copy.seen.as_str());
        self.pull_one(store, id, etag, &mut pulled)?;
        if let Some(copy) = known.filter(|copy| !pulled.sessions.contains(&copy.session))
            && pulled.problems.is_empty()
        {
            pulled.etags.insert(copy.session, copy.seen);
            pulled.sessions.push(copy.session);
        }
        Ok(pulled)
    }

    fn pull_one(&mut self, store: &mut Store, id: &str, etag: Option<&str>, pulled: &mut Pulled) -> Result<()> {
        let before = self.client.received;
        match self.take(store, id, etag, None) {
            Ok(Some(copy)) => {
                pulled.sessions.push(copy.session);
                pulled.bytes.insert(copy.session, self.client.received - before);
                pulled.etags.insert(copy.session, copy.seen);
            }
            Ok(None) => {}
            Err(error) if self.client.refused().is_some() || error.kind() == Kind::Usage => {
                pulled.problems.push((id.to_owned(), error.message()));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Takes an archive in, unless it is the one called `etag`, and remembers whether ours has all of it. `of`: it has to be
    /// one of this session.
    fn take(
        &mut self,
        store: &mut Store,
        id: &str,
        etag: Option<&str>,
        of: Option<&SessionRow>,
    ) -> Result<Option<Copy>> {
        let id = SessionId::parse(id)?;
        let path = format!("/api/v1/sessions/{}/sync", in_path(id.as_str())?);
        let header = etag.map(|etag| ("If-None-Match", format!("\"{etag}\"")));
        let mut file = tempfile::tempfile().context(|| "a temporary file can't be made")?;
        let question = Question { method: "GET", path: &path, header, body: Payload::Nothing };
        let reply = self.client.ask(&question, Some(&mut file))?;
        match reply.status {
            200 => {}
            304 => return Ok(None),
            _ => return Err(self.client.refusal(&reply)),
        }
        let seen = reply.etag.ok_or_else(|| Error::failed("the server does not say what it sent"))?;
        let folder = unpacked(file)?;
        let device = Hash::of(format!("{} {id}", self.name).as_bytes()).hex()[..32].to_owned();
        let Some(row) = take_copy(store, folder.path(), &id, &device)? else { return Ok(None) };
        if let Some(of) = of.filter(|of| of.id != row.id) {
            return Err(Error::conflict(format!("the server has another session under the id {}", of.public_id)));
        }
        let theirs = messages(&folder.path().join("messages.jsonl"))?;
        let ours = Packed::folder(store, &row, &Redaction::none())?;
        let ours = messages(&ours.path().join("session/messages.jsonl"))?;
        // All of it: it may be replaced. And nothing more: it need not be.
        let sent = theirs.is_subset(&ours).then_some(if ours.len() == theirs.len() {
            store.etag(&row)?
        } else {
            Hash::of(&[])
        });
        let copy = Copy { id: id.to_string(), session: row.id, seen, sent };
        store.write(|store| store.save_copy(self.row.id, &copy))?;
        Ok(Some(copy))
    }
}

/// Under which id ours goes where theirs is another one.
fn other_id(store: &mut Store, row: &SessionRow) -> Result<String> {
    let device = store.write(Store::origin_name)?;
    Ok(SessionId::of(row.public_id.as_str(), &device).to_string())
}

/// What a server sent, checked while it unpacks.
fn unpacked(mut file: File) -> Result<tempfile::TempDir> {
    let unreadable = || "what the server sent can't be read";
    file.seek(SeekFrom::Start(0)).context(unreadable)?;
    let folder = archive::private_folder(&std::env::temp_dir())?;
    match archive::unpack(BufReader::new(file), folder.path(), &Limits::UPLOAD) {
        Ok(_) => Ok(folder),
        Err(Fault::Disk(error)) => Err(error),
        Err(Fault::Archive(what)) => Err(Error::usage(format!("the server's archive is refused: {what}"))),
    }
}

/// What is said in an archive, message by message: who, and what, whatever its secrets were replaced by.
fn messages(path: &Path) -> Result<HashSet<Hash>> {
    let unreadable = || format!("{} can't be read", path.display());
    let Ok(file) = File::open(path) else { return Ok(HashSet::new()) };
    let mut said = HashSet::new();
    for line in BufReader::new(file).split(b'\n') {
        let line = line.context(unreadable)?;
        let message: Value = serde_json::from_slice(&line).unwrap_or_default();
        if message.is_object() {
            let text = json!([message["role"], message["content"]]).to_string();
            said.insert(Hash::of(&unkeyed(text.as_bytes())));
        }
    }
    Ok(said)
}

/// A session as it is sent.
struct Packed {
    form: File,
    media_type: String,
    /// Of the archive.
    bytes: u64,
    /// What the session was when it was packed.
    etag: Hash,
}

impl Packed {
    fn of(store: &Store, row: &SessionRow, redaction: &Redaction) -> Result<Packed> {
        let row = &store.session(row.id)?;
        let etag = store.etag(row)?;
        let folder = Packed::folder(store, row, redaction)?;
        let unwritable = || "an archive can't be packed";
        let boundary = uuid::Uuid::new_v4().simple().to_string();
        let mut form = BufWriter::new(tempfile::tempfile().context(unwritable)?);
        write!(
            form,
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"session.tar.gz\"\r\n\
             Content-Type: application/gzip\r\n\r\n"
        )
        .context(unwritable)?;
        let before = form.stream_position().context(unwritable)?;
        let mut form = archive::pack(&folder.path().join("session"), form)?;
        let bytes = form.stream_position().context(unwritable)? - before;
        write!(form, "\r\n--{boundary}--\r\n").context(unwritable)?;
        let form = form.into_inner().map_err(std::io::IntoInnerError::into_error).context(unwritable)?;
        let media_type = format!("multipart/form-data; boundary={boundary}");
        Ok(Packed { form, media_type, bytes, etag })
    }

    /// The portable folder `session` in a temporary one. Its own bytes name the device that wrote them, so that ours find
    /// their place.
    fn folder(store: &Store, row: &SessionRow, redaction: &Redaction) -> Result<tempfile::TempDir> {
        let folder = archive::private_folder(&std::env::temp_dir())?;
        let inside = folder.path().join("session");
        let session = ArchivedSession::open(store, row.clone())?;
        export::export_sfs(store, &session, &inside, redaction)?;
        export::leave_out_large_natives(&inside, MAX_MEMBER)?;
        let streams = store.streams(row.id)?;
        export::edit_manifest(&inside, |manifest| {
            let listed = manifest.pointer_mut("/metadata/native").and_then(Value::as_array_mut);
            for one in listed.into_iter().flatten() {
                let stream = streams
                    .iter()
                    .find(|stream| one["stream"] == stream.name.as_str() && one["generation"] == stream.generation);
                if let Some(Ok(device)) = stream.map(|stream| store.device_of(stream)) {
                    one["origin"] = device.into();
                }
            }
        })?;
        Ok(folder)
    }
}
