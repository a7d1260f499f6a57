//! What may leave this device: which sessions, and what becomes of the secrets in them.

use super::wire::SessionState;
use crate::error::{Context, Error, Result};
use crate::export::{ArchivedSession, Redaction, for_each_finding};
use crate::security::Redactor;
use crate::settings;
use crate::store::{ChunkCache, SessionRow, Store, Stream, TAG as TAGS, Unsent, exact_device};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::cell::Cell;

/// Whoever tags a session so wants it synced where not everything is.
pub const TAG: &str = "sync";

/// Why a session stays here; the reasons that are kept begin so.
const UNTAGGED: &str = "it is not tagged `sync`";
const SECRETS: &str = "it holds secrets";

/// What becomes of secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Secrets {
    /// They are taken out of the copy that leaves.
    Redact,
    /// They leave with the session; how many is told.
    Warn,
    /// A session that holds some stays here.
    Block,
}

impl Secrets {
    /// What the person wants.
    pub fn of(store: &Store) -> Result<Secrets> {
        Ok(store.setting(settings::SECRETS)?.unwrap_or(Secrets::Redact))
    }
}

/// When a session that failed so often is tried again, in milliseconds: after 30 seconds, twice as long each time, a day at
/// most, a little later for each device; not before the server wants it.
pub(super) fn retry_at(attempts: u32, retry_after: Option<u64>) -> i64 {
    let mut byte = [0];
    // Without random bytes, without jitter.
    let _ = getrandom::fill(&mut byte);
    let delay = (30_000_i64 << attempts.saturating_sub(1).min(12)).min(86_400_000);
    let asked = i64::try_from(retry_after.unwrap_or_default().min(86_400)).unwrap_or_default() * 1000;
    Timestamp::now().as_millisecond() + (delay + delay / 1024 * i64::from(byte[0])).max(asked)
}

/// See the module's description.
pub struct Gate {
    only_tagged: bool,
    /// What failed waits for its time; a person who asks does not.
    is_patient: bool,
    secrets: Secrets,
    /// Needed where secrets are looked for.
    redactor: Option<Redactor>,
    found: Cell<u64>,
}

impl Gate {
    /// Everything passes as it is.
    pub fn open() -> Gate {
        Gate { only_tagged: false, is_patient: false, secrets: Secrets::Redact, redactor: None, found: Cell::default() }
    }

    /// As the person wants it.
    pub fn of(store: &mut Store, only_tagged: bool, is_patient: bool) -> Result<Gate> {
        let secrets = Secrets::of(store).context(|| "what to do with secrets can't be read")?;
        let redactor = match secrets {
            Secrets::Redact => None,
            Secrets::Warn | Secrets::Block => Some(Redactor::new(store.write(Store::redaction_key)?)),
        };
        Ok(Gate { only_tagged, is_patient, secrets, redactor, found: Cell::default() })
    }

    /// How sessions leave that may.
    pub fn redaction(&self, store: &mut Store) -> Result<Redaction> {
        if self.secrets == Secrets::Redact { Redaction::of(store) } else { Ok(Redaction::none()) }
    }

    /// Secrets that were found in sessions that left as they are.
    pub fn found(&self) -> u64 {
        self.found.get()
    }

    /// Why a session stays here, if it does.
    pub fn hold(&self, store: &Store, session: &SessionRow) -> Result<Option<String>> {
        if self.only_tagged && !store.tags(session.id)?.iter().any(|tag| tag == TAG) {
            return Ok(Some(UNTAGGED.to_owned()));
        }
        let Some(redactor) = &self.redactor else { return Ok(None) };
        let said = store.registers(session.id)?.into_iter();
        let said = said.flat_map(|register| [Some(register.field), register.value]).flatten();
        let mut found: u64 = said.map(|text| redactor.text(&text).replaced).sum();
        for_each_finding(store, &ArchivedSession::open(store, session.clone())?, redactor, &mut |_| {
            found += 1;
            Ok(())
        })?;
        if self.secrets == Secrets::Block && found > 0 {
            return Ok(Some(format!("{SECRETS}: {found}, and sync.secrets is block")));
        }
        self.found.set(self.found.get() + found);
        Ok(None)
    }

    /// A text that a person sends along, and how many secrets were taken out of it.
    pub fn text(&self, store: &mut Store, text: &str) -> Result<(String, u64)> {
        let redaction = self.redaction(store)?;
        let copy = redaction.text(text);
        let found = self.redactor.as_ref().map_or(0, |redactor| redactor.text(text).replaced);
        if self.secrets == Secrets::Block && found > 0 {
            return Err(Error::conflict(format!("the message holds secrets: {found}, and sync.secrets is block"))
                .hint("say it without them"));
        }
        self.found.set(self.found.get() + found);
        Ok((copy, redaction.replaced()))
    }

    /// How many secrets a server has of a session as they are, though they are to stay here.
    pub fn bare_secrets(&self, store: &mut Store, there: &SessionState) -> Result<u64> {
        if self.secrets != Secrets::Redact {
            return Ok(0);
        }
        let redaction = Redaction::of(store)?;
        for said in there.registers.iter().filter(|said| said.field == "title" || said.field.starts_with(TAGS)) {
            redaction.text(&said.field);
            said.value.as_deref().map(|value| redaction.text(value));
        }
        let Some(here) = store.find_native(&there.tool, &there.native_id)? else { return Ok(redaction.replaced()) };
        for theirs in there.streams.iter().filter(|theirs| exact_device(&theirs.origin) == theirs.origin) {
            let ours = store.stream_of(here.id, &theirs.name, &theirs.origin, theirs.generation)?;
            let length = theirs.length.min(ours.as_ref().map_or(0, |ours| ours.length));
            if let Some(ours) = ours {
                redact_lines(store, &ours, length, &redaction)?;
            }
        }
        Ok(redaction.replaced())
    }

    /// True for a session that failed, and whose time has not come.
    pub fn waits_for(&self, unsent: &Unsent) -> bool {
        self.is_patient && unsent.retry_at.is_some_and(|at| at > Timestamp::now().as_millisecond())
    }

    /// True for one whose time has come.
    pub fn is_due(&self, unsent: &Unsent) -> bool {
        unsent.retry_at.is_some() && !self.waits_for(unsent)
    }

    /// True where a session that was kept back for `reason` may pass today without having changed.
    pub fn reopens(&self, reason: &str) -> bool {
        (reason.starts_with(UNTAGGED) && !self.only_tagged)
            || (reason.starts_with(SECRETS) && self.secrets != Secrets::Block)
    }
}

/// Looks through the first `length` bytes of a stream, some lines at a time.
fn redact_lines(store: &Store, stream: &Stream, length: u64, redaction: &Redaction) -> Result<()> {
    let mut cache = ChunkCache::default();
    let mut at = 0;
    while at < length {
        let room = (length - at).min(super::BATCH);
        let bytes = store.read_range(stream, at, room, &mut cache)?;
        let end = memchr::memrchr(b'\n', &bytes).filter(|_| room < length - at).map_or(bytes.len(), |end| end + 1);
        bytes[..end].split(|byte| *byte == b'\n').for_each(|line| drop(redaction.line(line)));
        at += end as u64;
    }
    Ok(())
}
