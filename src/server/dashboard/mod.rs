//! The dashboard: pages, files, and `/api/web/…` behind them, for the accounts of a server and for the local archive alike.
//!
//! - [`assets`]: the embedded files; [`cookie`]: who is signed in with a browser, and which requests are the dashboard's own,
//! - [`account`]: signing in to a server, and who that is; [`local`]: `sfs web`,
//! - [`sessions`] and [`files`]: what [`crate::web`] says of an archive, as answers.

mod account;
pub(super) mod assets;
pub(super) mod cookie;
mod files;
pub mod local;
mod sessions;

pub(super) use account::{sign_in, sign_in_link, sign_out};

use super::accounts::Caller;
use super::api::Api;
use super::archives::Reader;
use super::audit::{Entry, Event};
use super::exchange::Request;
use super::reply::{Answer, Refusal};
use crate::error::{Error, Kind};
use crate::id::SessionId;
use crate::store::{self, Store};
use crate::web::log::{Logs, Owner};
use crate::web::sessions::Listed;
use local::Local;
use serde_json::json;
use std::path::Path;

/// What is kept between requests.
#[derive(Default)]
pub(super) struct Dashboard {
    logs: Logs,
}

/// Where a request below `/api/web/` goes. What stands in a path's place for an id is not checked yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route<'p> {
    SignIn,
    SignInLinks,
    SignOut,
    Me,
    Facets,
    Stats,
    Changes,
    Export,
    Bulk,
    Sessions,
    Session(&'p str),
    Messages(&'p str),
    Message(&'p str, &'p str),
    Outline(&'p str),
    Find(&'p str),
    Restore(&'p str),
    Download(&'p str),
    Checkpoints(&'p str),
    Checkpoint(&'p str, &'p str),
}

impl<'p> Route<'p> {
    pub(super) fn of(path: &'p str) -> Option<Route<'p>> {
        let steps: Vec<&str> = path.strip_prefix("/api/web/")?.split('/').collect();
        Some(match steps[..] {
            ["sign-in"] => Route::SignIn,
            ["sign-in-links"] => Route::SignInLinks,
            ["sign-out"] => Route::SignOut,
            ["me"] => Route::Me,
            ["facets"] => Route::Facets,
            ["stats"] => Route::Stats,
            ["changes"] => Route::Changes,
            ["export"] => Route::Export,
            ["sessions", "bulk"] => Route::Bulk,
            ["sessions"] => Route::Sessions,
            ["sessions", id] => Route::Session(id),
            ["sessions", id, "messages"] => Route::Messages(id),
            ["sessions", id, "messages", number] => Route::Message(id, number),
            ["sessions", id, "outline"] => Route::Outline(id),
            ["sessions", id, "find"] => Route::Find(id),
            ["sessions", id, "restore"] => Route::Restore(id),
            ["sessions", id, "download"] => Route::Download(id),
            ["sessions", id, "checkpoints"] => Route::Checkpoints(id),
            ["sessions", id, "checkpoints", name] => Route::Checkpoint(id, name),
            _ => return None,
        })
    }

    pub(super) fn methods(&self) -> &'static [&'static str] {
        match self {
            Route::SignIn
            | Route::SignInLinks
            | Route::SignOut
            | Route::Export
            | Route::Bulk
            | Route::Restore(_)
            | Route::Checkpoints(_) => &["POST"],
            Route::Checkpoint(..) => &["DELETE"],
            Route::Session(_) => &["GET", "PATCH", "DELETE"],
            _ => &["GET"],
        }
    }
}

/// Whose archive it is.
pub(super) enum Archive<'a> {
    Account { api: &'a Api, caller: &'a Caller },
    Local(&'a Local),
}

/// A request of somebody who is signed in.
pub(super) struct Visit<'a> {
    pub(super) dashboard: &'a Dashboard,
    pub(super) archive: Archive<'a>,
    pub(super) request: &'a mut Request,
}

/// What is done with a session.
#[derive(Clone, Copy)]
enum Deed {
    Renamed,
    Tagged,
    Deleted,
    Restored,
    Downloaded,
    Checkpoint,
}

impl Visit<'_> {
    pub(super) fn answer(&mut self, route: &Route<'_>) -> Answer {
        match *route {
            // Answered before anybody is known, or by a server only.
            Route::SignIn | Route::SignInLinks | Route::SignOut => Err(Refusal::new(404, "Not Found")),
            Route::Me => account::me(self),
            Route::Facets => sessions::facets(self),
            Route::Stats => sessions::stats(self),
            Route::Changes => sessions::changes(self),
            Route::Export => files::export(self),
            Route::Bulk => sessions::bulk(self),
            Route::Sessions => sessions::list(self),
            Route::Session(id) => {
                let id = session_id(id)?;
                match &self.request.method[..] {
                    "PATCH" => sessions::edit(self, &id),
                    "DELETE" => sessions::delete(self, &id),
                    _ => sessions::detail(self, &id),
                }
            }
            Route::Messages(id) => sessions::messages(self, &session_id(id)?),
            Route::Message(id, number) => sessions::message(self, &session_id(id)?, number),
            Route::Outline(id) => sessions::outline(self, &session_id(id)?),
            Route::Find(id) => sessions::find(self, &session_id(id)?),
            Route::Restore(id) => sessions::restore(self, &session_id(id)?),
            Route::Download(id) => files::download(self, &session_id(id)?),
            Route::Checkpoints(id) => sessions::add_checkpoint(self, &session_id(id)?),
            Route::Checkpoint(id, name) => sessions::remove_checkpoint(self, &session_id(id)?, name),
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Store) -> Result<T, Refusal>) -> Result<T, Refusal> {
        match &self.archive {
            Archive::Account { api, caller } => api.archives.with(caller.account.id, work),
            Archive::Local(local) => local.with(work),
        }
    }

    /// The same for what takes long and only reads: whoever else works on the archive goes on meanwhile.
    fn read<T>(&self, work: impl FnOnce(&mut Store) -> Result<T, Refusal>) -> Result<T, Refusal> {
        match &self.archive {
            Archive::Account { api, caller } => api.archives.read(caller.account.id, Reader::Owner, work),
            Archive::Local(local) => local.with(work),
        }
    }

    /// Says of these sessions how many others see them. Whether their tools still have them, only their devices know.
    fn tell_shares<'l>(&self, listed: impl IntoIterator<Item = &'l mut Listed>) -> Result<(), Refusal> {
        let Archive::Account { api, caller } = &self.archive else { return Ok(()) };
        let seen = api.accounts.seen_by_others(caller.account.id)?;
        for listed in listed {
            listed.session.native_present = None;
            listed.shared = seen.get(&listed.session.id).copied().unwrap_or_default();
        }
        Ok(())
    }

    fn owner(&self) -> Owner {
        match &self.archive {
            Archive::Account { caller, .. } => caller.account.id.as_u128(),
            Archive::Local(_) => 0,
        }
    }

    /// For files on their way out.
    fn scratch(&self) -> &Path {
        match &self.archive {
            Archive::Account { api, .. } => &api.scratch,
            Archive::Local(local) => local.scratch(),
        }
    }

    /// Records what was done. It is done: where it can't be recorded, on a full disk, nobody must be told that it was not.
    fn note(&self, deed: Deed, id: &SessionId, detail: &str) {
        match &self.archive {
            Archive::Account { api, caller } => {
                let event = match deed {
                    Deed::Renamed | Deed::Tagged | Deed::Checkpoint => Event::Edited,
                    Deed::Deleted => Event::Deleted,
                    Deed::Restored => Event::Restored,
                    Deed::Downloaded => Event::Pulled,
                };
                let _ = api.accounts.record(&Entry {
                    event,
                    account: Some(caller.account.id),
                    session: Some(id.to_string()),
                    address: Some(self.request.client),
                    detail: detail.to_owned(),
                });
            }
            Archive::Local(local) => {
                let event = match deed {
                    Deed::Renamed => store::Event::Renamed,
                    Deed::Tagged => store::Event::Tagged,
                    Deed::Checkpoint => store::Event::Checkpoint,
                    Deed::Deleted => store::Event::Deleted,
                    Deed::Restored => store::Event::Undeleted,
                    Deed::Downloaded => store::Event::Exported,
                };
                let _ = local.with(|store| Ok(store.audit(event, id, &json!({"by": "dashboard"}))?));
            }
        }
    }
}

/// What is no id is the id of no session.
fn session_id(text: &str) -> Result<SessionId, Refusal> {
    SessionId::parse(text).map_err(|_| Refusal::not_found())
}

/// What somebody who asks for something that can't be is told; what goes wrong here is not his business.
fn told(error: Error) -> Refusal {
    let status = match error.kind() {
        Kind::NotFound => 404,
        Kind::Usage => 422,
        Kind::Conflict => 409,
        _ => return error.into(),
    };
    Refusal::new(status, error.message())
}
