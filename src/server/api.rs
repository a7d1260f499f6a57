//! The contract's API, version 1: which request goes where, and what holds for all of them.

use super::accounts::{Accounts, Caller, Denied, Signup, now};
use super::archives::Archives;
use super::audit::{Entry, Event, Refusals};
use super::exchange::{Request, Response, Service};
use super::query::MAX_JSON;
use super::reply::{Answer, Refusal, json};
use super::{admin, keys, sessions, transfer};
use crate::error::{Context, Error, Result};
use crate::id::SessionId;
use serde_json::json;
use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// What a form adds to the file in it.
const FORM: u64 = 64 << 10;

/// What an operator decides.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Who may sign up.
    pub signup: Signup,
    /// Bytes of an uploaded archive.
    pub max_upload: u64,
    /// Bytes that an account's archive may have.
    pub quota: Option<u64>,
    /// The one other origin whose pages may call the API.
    pub cors_origin: Option<String>,
}

impl Default for Policy {
    fn default() -> Self {
        Policy { signup: Signup::Open, max_upload: 100 << 20, quota: None, cors_origin: None }
    }
}

/// The server's folder, and the API over it.
pub struct Api {
    pub(super) accounts: Accounts,
    pub(super) archives: Archives,
    pub(super) policy: Policy,
    /// For what is on its way in or out.
    pub(super) scratch: PathBuf,
    refusals: Mutex<Refusals>,
    /// Held as long as the server runs.
    _lock: File,
}

/// The database of accounts below a server's folder.
pub fn accounts_database(data: &Path) -> PathBuf {
    data.join("server.db")
}

/// The folder of the accounts' archives below a server's folder.
pub fn accounts_folder(data: &Path) -> PathBuf {
    data.join("accounts")
}

impl Api {
    /// Opens the folder, making it if it is not there. One server at a time.
    pub fn open(data: &Path, policy: Policy) -> Result<Api> {
        let scratch = data.join("tmp");
        for folder in [data, &accounts_folder(data), &scratch] {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.context(|| format!("{} can't be made", folder.display()))?;
        }
        let path = data.join("serve.lock");
        let lock = fs::OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
        let lock = lock.context(|| format!("{} can't be written", path.display()))?;
        lock.try_lock().map_err(|_| {
            Error::conflict(format!("another server runs on {}", data.display()))
                .hint("stop it, or choose another folder with --data DIR")
        })?;
        // What a killed server left: nobody else works there.
        for entry in scratch.read_dir().into_iter().flatten().flatten() {
            let _ = fs::remove_dir_all(entry.path()).or_else(|_| fs::remove_file(entry.path()));
        }
        Ok(Api {
            accounts: Accounts::open(&accounts_database(data))?,
            archives: Archives::new(&accounts_folder(data)),
            policy,
            scratch,
            refusals: Mutex::default(),
            _lock: lock,
        })
    }

    /// The accounts.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Their archives.
    pub fn archives(&self) -> &Archives {
        &self.archives
    }

    fn dispatch(&self, request: &mut Request) -> Answer {
        let path = request.path.clone();
        let route = Route::of(&path).ok_or_else(|| Refusal::new(404, "Not Found"))?;
        if !route.methods().contains(&&request.method[..]) {
            return Err(Refusal::new(405, "Method Not Allowed").header("Allow", route.methods().join(", ")));
        }
        match route {
            Route::Health => Ok(health()),
            Route::Signup => keys::sign_up(self, request),
            _ => {
                let caller = self.caller(request)?;
                Call { api: self, request, caller }.answer(&route)
            }
        }
    }

    fn caller(&self, request: &Request) -> Result<Caller, Refusal> {
        let unauthorised = |message: &str| Refusal::new(401, message).header("WWW-Authenticate", "Bearer");
        let header = request.header("authorization").and_then(|value| value.split_once(' '));
        let Some((_, key)) = header.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) else {
            return Err(unauthorised("Missing or invalid Authorization header"));
        };
        match self.accounts.authenticate(key.trim())? {
            Ok(caller) => Ok(caller),
            Err(denied) => {
                let entry = Entry { detail: request.path.clone(), ..Entry::of(Event::AuthFailed) };
                self.note_refusal(request, entry);
                Err(match denied {
                    Denied::Unknown => unauthorised("Invalid API key"),
                    Denied::Disabled => Refusal::new(403, "Account is disabled"),
                })
            }
        }
    }

    /// Records what anybody can cause as often as he likes.
    fn note_refusal(&self, request: &Request, entry: Entry) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        if refusals.is_first(request.client, now()) {
            let detail = entry.detail.chars().take(500).collect();
            // The answer is the same whether it could be recorded or not.
            let _ = self.accounts.record(&Entry { address: Some(request.client), detail, ..entry });
        }
    }

    /// Lets the pages of the one configured origin read the answer.
    fn share(&self, request: &Request, response: Response) -> Response {
        let origin = self.policy.cors_origin.as_deref();
        let Some(origin) = origin.filter(|origin| request.header("origin") == Some(origin)) else { return response };
        response
            .with("Access-Control-Allow-Origin", origin)
            .with("Access-Control-Expose-Headers", "ETag, Retry-After")
            .with("Vary", "Origin")
    }

    fn preflight(&self, request: &Request) -> Option<Response> {
        let is_asked = request.method == "OPTIONS" && request.header("access-control-request-method").is_some();
        let is_allowed =
            self.policy.cors_origin.is_some() && request.header("origin") == self.policy.cors_origin.as_deref();
        (is_asked && is_allowed).then(|| {
            Response::empty(204)
                .with("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE")
                .with("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match, If-None-Match")
                .with("Access-Control-Max-Age", "600")
        })
    }
}

impl Service for Api {
    fn body_limit(&self, method: &str, path: &str) -> u64 {
        match (method, Route::of(path)) {
            ("PUT", Some(Route::Sync(_))) | ("POST", Some(Route::Sessions)) => self.policy.max_upload + FORM,
            _ => MAX_JSON,
        }
    }

    fn answer(&self, request: &mut Request) -> Response {
        let answer = match self.preflight(request) {
            Some(response) => Ok(response),
            None => self.dispatch(request),
        };
        let response = answer.unwrap_or_else(|refusal| {
            if let Some(cause) = &refusal.cause {
                let detail = format!("{} {}: {cause}", request.method, request.path);
                self.note_refusal(request, Entry { detail, ..Entry::of(Event::Error) });
            }
            refusal.response()
        });
        self.share(request, response).with("Cache-Control", "no-store").with("X-Content-Type-Options", "nosniff")
    }
}

fn health() -> Response {
    json(200, &json!({"status": "healthy", "version": env!("CARGO_PKG_VERSION"), "service": "sessionfs-api"}))
}

/// Where a request goes. What stands in a path's place for an id is not checked yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route<'p> {
    Health,
    Signup,
    Me,
    Keys,
    Key(&'p str),
    Sessions,
    Reindex,
    Session(&'p str),
    Sync(&'p str),
    Download(&'p str),
    Messages(&'p str),
    Workspace(&'p str),
    Tools(&'p str),
    Restore(&'p str),
    Audit,
    Users,
    Invites,
}

impl<'p> Route<'p> {
    /// Nothing is decoded: an id needs no escapes, and what has some is no id.
    fn of(path: &'p str) -> Option<Route<'p>> {
        if path == "/health" {
            return Some(Route::Health);
        }
        let steps: Vec<&str> = path.strip_prefix("/api/v1/")?.split('/').collect();
        Some(match steps[..] {
            ["auth", "signup"] => Route::Signup,
            ["auth", "me"] => Route::Me,
            ["auth", "keys"] => Route::Keys,
            ["auth", "keys", key] => Route::Key(key),
            ["sessions"] => Route::Sessions,
            ["sessions", "admin", "reindex"] => Route::Reindex,
            ["sessions", id] => Route::Session(id),
            ["sessions", id, "sync"] => Route::Sync(id),
            ["sessions", id, "download"] => Route::Download(id),
            ["sessions", id, "messages"] => Route::Messages(id),
            ["sessions", id, "workspace"] => Route::Workspace(id),
            ["sessions", id, "tools"] => Route::Tools(id),
            ["sessions", id, "restore"] => Route::Restore(id),
            ["admin", "audit"] => Route::Audit,
            ["admin", "users"] => Route::Users,
            ["admin", "invites"] => Route::Invites,
            _ => return None,
        })
    }

    fn methods(&self) -> &'static [&'static str] {
        match self {
            Route::Signup | Route::Reindex | Route::Restore(_) | Route::Invites => &["POST"],
            Route::Keys | Route::Sessions => &["GET", "POST"],
            Route::Key(_) => &["DELETE"],
            Route::Session(_) => &["GET", "PATCH", "DELETE"],
            Route::Sync(_) => &["GET", "PUT"],
            _ => &["GET"],
        }
    }
}

/// A request of somebody whom we know.
pub(super) struct Call<'a> {
    pub(super) api: &'a Api,
    pub(super) request: &'a mut Request,
    pub(super) caller: Caller,
}

impl Call<'_> {
    fn answer(&mut self, route: &Route<'_>) -> Answer {
        let is_read = self.request.method == "GET";
        match *route {
            Route::Health | Route::Signup => Err(Refusal::new(404, "Not Found")),
            Route::Me => Ok(keys::me(self)),
            Route::Keys if is_read => keys::list(self),
            Route::Keys => keys::create(self),
            Route::Key(key) => keys::revoke(self, key),
            Route::Sessions if is_read => sessions::list(self),
            Route::Sessions => transfer::post(self),
            Route::Reindex => sessions::reindex(self),
            Route::Audit => admin::audit(self),
            Route::Users => admin::users(self),
            Route::Invites => admin::invite(self),
            Route::Session(id) => {
                let id = session_id(id)?;
                match &self.request.method[..] {
                    "PATCH" => sessions::edit(self, &id),
                    "DELETE" => sessions::delete(self, &id),
                    _ => sessions::detail(self, &id),
                }
            }
            Route::Sync(id) if is_read => transfer::get(self, &session_id(id)?, true),
            Route::Sync(id) => transfer::put(self, &session_id(id)?),
            Route::Download(id) => transfer::get(self, &session_id(id)?, false),
            Route::Messages(id) => sessions::messages(self, &session_id(id)?),
            Route::Workspace(id) => sessions::document(self, &session_id(id)?, "workspace"),
            Route::Tools(id) => sessions::document(self, &session_id(id)?, "tools"),
            Route::Restore(id) => sessions::restore(self, &session_id(id)?),
        }
    }

    /// Records what the caller did. It is done: where it can't be recorded, on a full disk, the client must not be told
    /// that it was not.
    pub(super) fn note(&self, event: Event, session: Option<&SessionId>, detail: impl Into<String>) {
        let _ = self.api.accounts.record(&Entry {
            event,
            account: Some(self.caller.account.id),
            session: session.map(ToString::to_string),
            address: Some(self.request.client),
            detail: detail.into(),
        });
    }
}

fn session_id(text: &str) -> Result<SessionId, Refusal> {
    SessionId::parse(text).map_err(|_| Refusal::new(400, "Invalid session ID format"))
}
