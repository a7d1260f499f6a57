//! What the commands for teammates have in common: a session is pushed before it is shared, and pulled through its share.

use super::Context;
use super::sync::{Link, Passed, Way, all_passed};
use super::ui;
use crate::error::{Error, Kind, Result};
use crate::export;
use crate::store::{Event, RemoteRow, SessionRow, Store};
use crate::sync::client::Client;
use crate::sync::shared::{self, Followed, Item};
use crate::sync::{self, Remote as _, clones};
use serde_json::{Value, json};
use std::path::Path;

/// `ses_` and four characters.
const LEAST_ID: usize = 8;

impl Link {
    /// Brings the server up to date with a session that is about to be shared, and says so. The answer is of the session's
    /// repository: who takes the session finds his own clone by it.
    /// A page (`is_page`) is made without secrets, whatever the server has.
    pub(super) fn push_first(&mut self, context: &Context, row: &SessionRow, is_page: bool) -> Result<Value> {
        export::refresh(&mut self.store, &context.home, row)?;
        let passed = self.push(Some(&[row.id]))?;
        context.ui.progress(None);
        all_passed(&passed)?;
        if !is_page {
            self.keep_bare_secrets(row)?;
        }
        let sent: u64 = passed.iter().map(|one| one.bytes_sent).sum();
        if sent > 0 {
            context.ui.note(&format!("Pushed {} first ({} new).", row.public_id, ui::bytes(sent)));
        }
        self.warn(context);
        let summary = self.store.summary(row.id)?;
        let known = summary.git_remote.map(|remote| clones::without_credentials(&remote));
        let remote = known.or_else(|| clones::remote_of(Path::new(summary.project.as_deref()?)));
        Ok(json!({"git_remote": remote}))
    }

    /// Refuses to share what the server has as it is, from when secrets were sent, now that they are to stay here.
    fn keep_bare_secrets(&mut self, row: &SessionRow) -> Result<()> {
        if self.is_v1()? {
            return Ok(());
        }
        let id = row.public_id.as_str();
        let Some(there) = self.client.session(id)? else { return Ok(()) };
        // What other devices sent is looked at here.
        self.pull_session(id)?;
        let found = self.gate.bare_secrets(&mut self.store, &there)?;
        if found == 0 {
            return Ok(());
        }
        let what = format!(
            "the server has {} of {id} as they are, and sync.secrets is redact: who gets the session would get them",
            ui::counted(found, "secret")
        );
        let hint = format!(
            "to share it all the same: sfs config set sync.secrets warn; a page has none: sfs share {id} --link"
        );
        Err(Error::conflict(what).hint(hint))
    }

    /// Brings what is new of the sessions that are followed. One that is not shared any more is followed no longer.
    pub(super) fn pull_followed(&mut self) -> Result<Vec<Passed>> {
        let mut passed = Vec::new();
        for followed in shared::followed(&self.store, &self.account)? {
            match self.pull_through(&followed) {
                Ok(more) => passed.extend(more.into_iter().filter(Passed::says_something)),
                Err(error) if error.kind() == Kind::NotFound && shared::lasts(&mut self.client, &followed.share)? => {
                    let reason = format!("{} has deleted it, or is disabled; it is followed still", followed.from);
                    passed.push(Passed::of(followed.session, Way::Away, Some(reason)));
                }
                Err(error) if error.kind() == Kind::NotFound => {
                    shared::unfollow(&mut self.store, &followed.share)?;
                    let reason = format!("{}; what came of it stays here", error.message());
                    passed.push(Passed::of(followed.session, Way::Ended, Some(reason)));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(passed)
    }

    /// Pulls a session through its share, and pushes what was said here where that is allowed.
    pub(super) fn pull_through(&mut self, followed: &Followed) -> Result<Vec<Passed>> {
        let device = self.store.write(Store::origin_name)?;
        let mut client = Client::through(&self.account, &followed.share, &device)?;
        let mut row = self.store.write(|store| store.remote(&followed.remote_name()))?;
        let pulled = sync::pull_shared(&mut self.store, &mut client, &row, followed);
        let (pulled, is_own) = pulled.map_err(|error| match error.kind() {
            Kind::NotFound => not_shared(&followed.from, &followed.session),
            _ => error,
        })?;
        if followed.is_own.is_none() {
            shared::follow(&mut self.store, &Followed { is_own: Some(is_own), ..followed.clone() })?;
        }
        let sessions = pulled.sessions.clone();
        let mut passed = self.pulled(Ok(pulled))?;
        for session in sessions {
            if followed.write && self.store.has_changed(session, row.pushed)? {
                passed.extend(self.push_through(&mut client, &mut row, followed, (session, is_own))?);
            }
        }
        Ok(passed)
    }

    /// Where it is not allowed any more, the session is only read from now on. What was refused or kept back for another
    /// reason is tried again with the next pull, and told again.
    fn push_through(
        &mut self,
        client: &mut Client,
        row: &mut RemoteRow,
        followed: &Followed,
        (session, is_own): (i64, bool),
    ) -> Result<Vec<Passed>> {
        let redaction = self.gate.redaction(&mut self.store)?;
        match sync::push_sessions(&mut self.store, client, row, &redaction, &self.gate, &[session]) {
            Ok(pushed) => {
                if pushed.refused.is_empty() && pushed.held.is_empty() {
                    row.pushed = self.store.change_number()?;
                    self.store.write(|store| store.save_remote(row))?;
                }
                self.pushed(Ok(pushed), &redaction)
            }
            Err(error) if client.is_forbidden() => {
                shared::follow(&mut self.store, &Followed { write: false, is_own: Some(is_own), ..followed.clone() })?;
                let from = &followed.from;
                let reason =
                    format!("{}; what you say in it stays here until {from} shares it with --write", error.message());
                Ok(vec![Passed::of(followed.session.clone(), Way::Refused, Some(reason))])
            }
            Err(error) => Err(error),
        }
    }

    /// The same, followed from now on; the session's row here.
    pub(super) fn follow(&mut self, item: &Item) -> Result<(SessionRow, Vec<Passed>)> {
        let before = shared::followed(&self.store, &self.account)?.into_iter().find(|one| one.share == item.item_id);
        let followed = Followed { is_own: before.and_then(|one| one.is_own), ..item.followed(&self.account) };
        shared::follow(&mut self.store, &followed)?;
        let passed = self.pull_through(&followed)?;
        let pulled = passed.iter().find(|one| one.result == Way::Pulled);
        let pulled = pulled.ok_or_else(|| not_shared(&item.from, &item.session_id))?;
        Ok((self.store.resolve(&pulled.id)?, passed))
    }

    /// The session that is called `owner@example.com/ses_…`.
    pub(super) fn pull_named(&mut self, context: &Context, owner: &str, id: &str) -> Result<Vec<Passed>> {
        let items = shared::inbox(&mut self.client)?;
        let is_meant = |item: &&Item| {
            id.len() >= LEAST_ID && item.from.eq_ignore_ascii_case(owner) && item.session_id.starts_with(id)
        };
        let item = items.iter().find(is_meant).ok_or_else(|| not_shared(owner, id))?;
        if item.accepted_at.is_none() {
            return Err(Error::not_found(format!("{} was not accepted yet", ui::printable(id)))
                .hint(format!("sfs inbox accept {}", short(&item.item_id))));
        }
        let (row, passed) = self.follow(item)?;
        context.audit(&mut self.store, Event::Accepted, &row.public_id, &json!({"from": item.from}));
        Ok(passed)
    }
}

fn not_shared(owner: &str, id: &str) -> Error {
    Error::not_found(format!("{} shares no session {} with you", ui::printable(owner), ui::printable(id)))
        .hint("see what is shared with you with `sfs inbox`")
}

/// What is shown of an item's or share's id: enough to name it.
pub(super) fn short(id: &str) -> String {
    ui::printable(&id.chars().take(8).collect::<String>())
}

/// The one of `ids` that a person means: by its beginning, or `last`, the first.
pub(super) fn meant<'a, T>(
    list: &'a [T],
    words: &str,
    what: &str,
    command: &str,
    ids: impl Fn(&T) -> [&str; 2],
) -> Result<&'a T> {
    let is_meant = |one: &&T| words.len() >= 4 && ids(one).iter().any(|id| id.starts_with(words));
    let found: Vec<&T> = match words {
        "last" => list.iter().take(1).collect(),
        _ => list.iter().filter(is_meant).collect(),
    };
    match found[..] {
        [one] => Ok(one),
        [] => Err(Error::not_found(format!("there is no {what} {words:?}")).hint(format!("see them with `{command}`"))),
        _ => Err(Error::usage(format!("{words:?} is ambiguous: it could be {} of them", found.len()))
            .hint(format!("give more characters of the id, see `{command}`"))),
    }
}
