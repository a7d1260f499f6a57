//! `sfs sync`, and what `sfs push` and `sfs pull` share with it: this device's turn with its server, and how it is told.

use super::{Context, ui};
use crate::error::{Error, Kind, Result};
use crate::export::{self, Redaction};
use crate::home::Home;
use crate::store::{AuditFilter, Event, RemoteRow, Store};
use crate::sync::client::{Account, Client};
use crate::sync::gate::Gate;
use crate::sync::outcome::{Auto, Outcome};
use crate::sync::v1::V1;
use crate::sync::{self, Pulled, Pushed};
use argh::{ArgsInfo, FromArgs};
use serde::Serialize;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// Push what is new here, then pull what is new on the server
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "sync")]
#[argh(example = "sfs sync
sfs sync --json")]
#[argh(note = "It can be interrupted and repeated at any time. To have it done by the daemon: sfs autosync on")]
pub(super) struct Sync {
    /// do as the daemon does: what `sfs autosync` says, told by `sfs daemon status` only
    #[argh(switch)]
    auto: bool,
    /// print as a JSON array
    #[argh(switch)]
    json: bool,
}

impl Sync {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let auto = if self.auto { Some(Auto::of(&context.open()?)?) } else { None };
        let mut link = Link::open(context, auto)?;
        let done = link.both();
        let outcome = Outcome::of(done.as_ref().err(), link.client.retry_after);
        link.store.write(|store| outcome.save(store))?;
        let done = done?;
        if self.auto { Ok(()) } else { link.tell(context, &done, self.json) }
    }
}

/// This device, its server, and what may pass between them.
pub(super) struct Link {
    pub(super) store: Store,
    pub(super) client: Client,
    pub(super) row: RemoteRow,
    pub(super) account: Account,
    /// Under which the archive remembers the server.
    name: String,
    /// It knows the first contract only, where it was asked.
    is_v1: Option<bool>,
    pub(super) gate: Gate,
    /// Secrets that were taken out on the way.
    replaced: u64,
}

/// What became of one session.
#[derive(Debug, Serialize)]
pub(super) struct Passed {
    pub(super) id: String,
    pub(super) result: Way,
    pub(super) bytes_sent: u64,
    pub(super) bytes_received: u64,
    /// What the server calls the session's state.
    etag: Option<String>,
    /// Under which id the server has another version, beside which this one went there.
    #[serde(skip_serializing_if = "Option::is_none")]
    conflict_with: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Way {
    Pushed,
    Pulled,
    /// Kept back here.
    Held,
    /// The server does not want it, or sent what can't be taken in.
    Refused,
    /// It is not shared any more.
    Ended,
    /// It is shared, and not there now.
    Away,
}

impl Link {
    /// With the account that is signed in; `auto`: for the daemon.
    pub(super) fn open(context: &Context, auto: Option<Auto>) -> Result<Link> {
        let mut store = context.open()?;
        let account = Account::of(&store)?;
        let mut client = Client::of(&account)?;
        let ui = context.ui.clone();
        client.progress = Some(Box::new(move |sent, received| {
            ui.progress(Some(&format!("{} sent, {} received", ui::bytes(sent), ui::bytes(received))));
        }));
        let name = account.remote_name();
        let row = store.write(|store| store.remote(&name))?;
        let gate = Gate::of(&mut store, auto == Some(Auto::Selective), auto.is_some())?;
        Ok(Link { store, client, row, account, name, is_v1: None, gate, replaced: 0 })
    }

    /// Whether the server knows the first contract only. One of ours is asked once.
    pub(super) fn is_v1(&mut self) -> Result<bool> {
        if let Some(is_v1) = self.is_v1 {
            return Ok(is_v1);
        }
        let key = delta_setting(&self.name);
        let is_known = self.store.setting(&key)?.unwrap_or(false);
        let speaks_delta = is_known || self.client.speaks_delta()?;
        if speaks_delta && !is_known {
            self.store.write(|store| store.set_setting(&key, &true))?;
        }
        Ok(*self.is_v1.insert(!speaks_delta))
    }

    fn v1(&mut self) -> (V1<'_>, &mut Store, &Gate) {
        let v1 = V1 { client: &mut self.client, row: &mut self.row, name: &self.name };
        (v1, &mut self.store, &self.gate)
    }

    /// Pushes what changed, or these sessions.
    pub(super) fn push(&mut self, sessions: Option<&[i64]>) -> Result<Vec<Passed>> {
        let redaction = self.gate.redaction(&mut self.store)?;
        let pushed = if self.is_v1()? {
            let (mut v1, store, gate) = self.v1();
            v1.push(store, &redaction, gate, sessions)
        } else {
            match sessions {
                None => sync::push(&mut self.store, &mut self.client, &mut self.row, &redaction, &self.gate),
                Some(rows) => {
                    sync::push_sessions(&mut self.store, &mut self.client, &self.row, &redaction, &self.gate, rows)
                }
            }
        };
        self.pushed(pushed, &redaction)
    }

    pub(super) fn pushed(&mut self, pushed: Result<Pushed>, redaction: &Redaction) -> Result<Vec<Passed>> {
        let pushed = self.noted(pushed)?;
        self.replaced += redaction.replaced();
        self.audit(Event::Pushed, &pushed.bytes)?;
        let Pushed { sessions, bytes, mut etags, refused, held, conflicts } = pushed;
        let mut passed = Vec::new();
        for session in sessions {
            let bytes_sent = bytes.get(&session).copied().unwrap_or_default();
            let etag = etags.remove(&session);
            let conflict_with = conflicts.iter().find(|(one, _)| *one == session).map(|(_, id)| id.clone());
            if let Some(there) = &conflict_with {
                self.conflict(session, &json!({"there": there}))?;
            }
            passed.push(Passed { bytes_sent, etag, conflict_with, ..self.passed(session, Way::Pushed, None)? });
        }
        for (way, list) in [(Way::Refused, refused), (Way::Held, held)] {
            for (session, reason) in list {
                passed.push(self.passed(session, way, Some(reason))?);
            }
        }
        Ok(passed)
    }

    /// Pulls what changed there.
    pub(super) fn pull(&mut self) -> Result<Vec<Passed>> {
        let pulled = if self.is_v1()? {
            let (mut v1, store, _) = self.v1();
            v1.pull(store)
        } else {
            sync::pull(&mut self.store, &mut self.client, &mut self.row)
        };
        let mut passed = self.pulled(pulled)?;
        if !self.is_v1()? {
            passed.extend(self.pull_followed()?);
        }
        Ok(passed)
    }

    /// Pulls one session, whole.
    pub(super) fn pull_session(&mut self, id: &str) -> Result<Vec<Passed>> {
        let pulled = if self.is_v1()? {
            let (mut v1, store, _) = self.v1();
            v1.pull_session(store, id)
        } else {
            sync::pull_session(&mut self.store, &mut self.client, &self.row, id)
        };
        self.pulled(pulled)
    }

    pub(super) fn pulled(&mut self, pulled: Result<Pulled>) -> Result<Vec<Passed>> {
        let pulled = self.noted(pulled)?;
        self.audit(Event::Pulled, &pulled.bytes)?;
        let Pulled { sessions, bytes, mut etags, problems } = pulled;
        let mut passed = Vec::new();
        for session in sessions {
            let bytes_received = bytes.get(&session).copied().unwrap_or_default();
            self.look_for_branches(session, bytes_received)?;
            let etag = etags.remove(&session);
            passed.push(Passed { bytes_received, etag, ..self.passed(session, Way::Pulled, None)? });
        }
        passed.extend(problems.into_iter().map(|(id, reason)| Passed::of(id, Way::Refused, Some(reason))));
        Ok(passed)
    }

    /// What a server refuses because of the key is noted; what it does not know may be there after its next change.
    fn noted<T>(&mut self, done: Result<T>) -> Result<T> {
        if let Err(error) = &done {
            let url = self.name.split(' ').next().unwrap_or_default().to_owned();
            match error.kind() {
                Kind::Auth => self.store.audit(Event::AuthFailed, None, &json!({"url": url}))?,
                Kind::NotFound => drop(self.store.unset_setting(&delta_setting(&self.name))?),
                _ => {}
            }
        }
        done
    }

    /// Another device went on with what was continued here too: noted once for each session.
    fn look_for_branches(&mut self, session: i64, received: u64) -> Result<()> {
        if received == 0 {
            return Ok(());
        }
        let row = self.store.session(session)?;
        let branches = export::branches(&self.store, &row)?;
        let devices: BTreeSet<&str> = branches.iter().map(|branch| branch.device.as_str()).collect();
        let is_split = devices.len() > 1 && branches.iter().skip(1).any(|branch| branch.own_messages.unwrap_or(1) > 0);
        let filter = AuditFilter { session: Some(row.public_id), event: Some(Event::Conflict), ..Default::default() };
        if is_split && self.store.audit_log(&filter)?.is_empty() {
            self.conflict(session, &json!({"branches": branches.iter().map(|b| b.name.as_str()).collect::<Vec<_>>()}))?;
        }
        Ok(())
    }

    fn conflict(&mut self, session: i64, detail: &serde_json::Value) -> Result<()> {
        let id = self.store.session(session)?.public_id;
        self.store.audit(Event::Conflict, &id, detail)
    }

    fn both(&mut self) -> Result<Vec<Passed>> {
        let mut passed = self.push(None)?;
        passed.extend(self.pull()?);
        Ok(passed)
    }

    fn passed(&self, session: i64, result: Way, reason: Option<String>) -> Result<Passed> {
        let id = self.store.session(session)?.public_id.to_string();
        Ok(Passed::of(id, result, reason))
    }

    /// In one transaction: a first push may be of thousands of sessions.
    fn audit(&mut self, event: Event, bytes: &BTreeMap<i64, u64>) -> Result<()> {
        if bytes.values().all(|bytes| *bytes == 0) {
            return Ok(());
        }
        self.store.write(|store| {
            for (session, bytes) in bytes.iter().filter(|(_, bytes)| **bytes > 0) {
                let id = store.session(*session)?.public_id;
                store.audit(event, &id, &json!({"bytes": bytes}))?;
            }
            Ok(())
        })
    }

    /// Says what was done.
    pub(super) fn tell(&self, context: &Context, passed: &[Passed], as_json: bool) -> Result<()> {
        context.ui.progress(None);
        self.warn(context);
        if as_json {
            return context.ui.json(&passed);
        }
        for one in passed.iter().filter(|one| one.reason.is_some()) {
            let verb = match one.result {
                Way::Held => "stays here",
                Way::Ended => "ended",
                Way::Away => "is not there now",
                _ => "refused",
            };
            let reason = one.reason.as_deref().unwrap_or_default();
            context.ui.note(&format!("{} {verb}: {}", one.id, ui::printable(reason)));
        }
        for one in passed.iter().filter(|one| one.conflict_with.is_some()) {
            context.ui.note(&format!(
                "{0}: the server has another version. Both are kept, there and here; this one went there under an id of \
                 its own: sfs show {0}",
                one.id
            ));
        }
        let line = [sentence(passed, Way::Pushed), sentence(passed, Way::Pulled)].into_iter().flatten();
        let line = line.collect::<Vec<_>>().join(" ");
        context.ui.line(if line.is_empty() { "Nothing new." } else { &line })
    }

    /// What a person has to know of secrets.
    pub(super) fn warn(&self, context: &Context) {
        if self.replaced > 0 {
            let secrets = ui::counted(self.replaced, "secret");
            context.ui.note(&format!(
                "note: {secrets} replaced in what was sent: the server's copy is not a full backup, the exact one is here"
            ));
        }
        if self.gate.found() > 0 {
            let secrets = ui::counted(self.gate.found(), "secret");
            context.ui.note(&format!(
                "warning: {secrets} sent as they are; to change that: sfs config set sync.secrets redact"
            ));
        }
    }
}

impl Passed {
    pub(super) fn of(id: String, result: Way, reason: Option<String>) -> Passed {
        Passed { id, result, bytes_sent: 0, bytes_received: 0, etag: None, conflict_with: None, reason }
    }

    /// True where bytes passed, or why none did.
    pub(super) fn says_something(&self) -> bool {
        self.bytes_sent + self.bytes_received > 0 || self.reason.is_some()
    }
}

/// The setting that says that a server is one of ours.
fn delta_setting(name: &str) -> String {
    format!("delta {name}")
}

fn sentence(passed: &[Passed], way: Way) -> Option<String> {
    let those = || passed.iter().filter(|one| one.result == way);
    let count = those().count() as u64;
    let bytes: u64 = those().map(|one| one.bytes_sent + one.bytes_received).sum();
    let verb = if way == Way::Pushed { "Pushed" } else { "Pulled" };
    (count > 0).then(|| format!("{verb} {} ({} new).", ui::counted(count, "session"), ui::bytes(bytes)))
}

/// Sessions that were named by a person must have passed.
pub(super) fn all_passed(passed: &[Passed]) -> Result<()> {
    let Some(one) = passed.iter().find(|one| one.reason.is_some()) else { return Ok(()) };
    let reason = one.reason.as_deref().unwrap_or_default();
    let error = Error::new(Kind::Conflict, format!("session {} did not pass: {reason}", one.id));
    Err(if one.result == Way::Held { error.hint(format!("sfs scan {}", one.id)) } else { error })
}

/// What a person asked to `push` or `pull` must not have been refused; what stays here by the person's own settings is no failure.
pub(super) fn none_refused(passed: &[Passed], verb: &str) -> Result<()> {
    let mut refused = passed.iter().filter(|one| one.result == Way::Refused);
    let Some(first) = refused.next() else { return Ok(()) };
    let count = ui::counted(1 + refused.count() as u64, "session");
    Err(Error::failed(format!("{count} refused")).hint(format!("to try one again: sfs {verb} {}", first.id)))
}

/// A daemon that runs takes the new account and settings to heart.
pub(super) fn tell_daemon(home: &Home) -> Result<()> {
    crate::daemon::reload(home).map(drop)
}
