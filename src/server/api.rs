//! The contract's API, version 1: which request goes where, and what holds for all of them.

use super::accounts::{Accounts, Caller, Denied, Signup, now};
use super::archives::Archives;
use super::audit::{Entry, Event, Refusals};
use super::dashboard::{self, Archive, Dashboard, Visit, assets, cookie};
use super::exchange::{Opening, Request, Response, Service};
use super::network::household;
use super::query::MAX_JSON;
use super::rate::{Limiter, Rate, RetryAfter};
use super::reply::{Answer, Refusal, json, time};
use super::shares::{Audience, Share};
use super::webhook::{self, Webhook};
use super::{admin, delta, folder, inbox, keys, links, sessions, sharing, transfer};
use crate::error::{Context, Result};
use crate::id::{Hash, SessionId};
use serde_json::{Value, json};
use std::fs::{self, DirBuilder, File};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// So many clients' shares are remembered.
const CLIENTS: usize = 10_000;
/// Attempts to sign in with a browser from one address in a minute.
const SIGN_INS: u32 = 10;
/// What a form adds to the file in it.
const FORM: u64 = 64 << 10;
/// Tries to claim a share, of an account and of its network, in an hour.
const CLAIMS: u32 = 10;
/// Pages of shared links for one address in a minute.
const PAGES: u32 = 60;

/// What an operator decides.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Who may sign up.
    pub signup: Signup,
    /// Bytes of an uploaded archive.
    pub max_upload: u64,
    /// Bytes that an account's archive may have.
    pub quota: Option<u64>,
    /// Requests a minute from one key, or from one address that shows none that is known.
    pub rate: u32,
    /// Who is told of shares.
    pub webhook: Option<webhook::Target>,
}

impl Default for Policy {
    fn default() -> Self {
        Policy { signup: Signup::Open, max_upload: 100 << 20, quota: None, rate: 600, webhook: None }
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
    keys: Limiter<[u8; 32]>,
    addresses: Limiter<IpAddr>,
    sign_ins: Limiter<IpAddr>,
    dashboard: Dashboard,
    claims: Limiter<Claimant>,
    readers: Limiter<IpAddr>,
    webhook: Option<Webhook>,
    /// Held as long as the server runs.
    _lock: File,
}

/// Who tries a claim code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Claimant {
    Account(Uuid),
    Address(IpAddr),
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
        let lock = folder::alone(lock.context(|| format!("{} can't be written", path.display()))?, data)?;
        // What a killed server left: nobody else works there.
        for entry in scratch.read_dir().into_iter().flatten().flatten() {
            let _ = fs::remove_dir_all(entry.path()).or_else(|_| fs::remove_file(entry.path()));
        }
        let webhook = policy.webhook.clone().map(|target| Webhook::start(target, &accounts_database(data)));
        Ok(Api {
            accounts: Accounts::open(&accounts_database(data))?,
            archives: Archives::new(&accounts_folder(data)),
            scratch,
            refusals: Mutex::default(),
            keys: Limiter::new(Rate::new(policy.rate, Duration::from_secs(60)), CLIENTS),
            addresses: Limiter::new(Rate::new(policy.rate, Duration::from_secs(60)), CLIENTS),
            sign_ins: Limiter::new(Rate::new(SIGN_INS, Duration::from_secs(60)), CLIENTS),
            dashboard: Dashboard::default(),
            claims: Limiter::new(Rate::new(CLAIMS, Duration::from_secs(3600)), CLIENTS),
            readers: Limiter::new(Rate::new(PAGES, Duration::from_secs(60)), CLIENTS),
            webhook: webhook.transpose()?,
            policy,
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
        if let Some(response) = assets::answer(request) {
            // Not counted: an office behind one address loads a page with all its files more often than it asks for anything.
            return Ok(response);
        }
        match Route::open(&request.method, &path)? {
            Route::Health => Ok(json(200, &health())),
            Route::Signup => self.limit_address(request.client).and_then(|()| keys::sign_up(self, request)),
            Route::Web(dashboard::Route::SignIn) => {
                limited(self.sign_ins.take(&household(request.client), Instant::now()))?;
                dashboard::sign_in(self, request)
            }
            Route::Web(dashboard::Route::SignOut) => {
                self.limit_address(request.client).and_then(|()| dashboard::sign_out(self, request))
            }
            Route::Link(token) => {
                limited(self.readers.take(&household(request.client), Instant::now()))?;
                links::open(self, request, token)
            }
            route => {
                let caller = self.caller(&request.opening(), &route)?;
                Call { api: self, request, caller }.answer(&route)
            }
        }
    }

    fn caller(&self, opening: &Opening, route: &Route<'_>) -> Result<Caller, Refusal> {
        let proof = self.proof(opening, route)?;
        let (Proof::Key(secret) | Proof::Cookie(secret)) = proof;
        limited(self.keys.take(&Hash::of(secret.as_bytes()).0, Instant::now()))?;
        self.authenticated(opening, proof)
    }

    /// A key counts before a cookie.
    fn proof<'o>(&self, opening: &'o Opening, route: &Route<'_>) -> Result<Proof<'o>, Refusal> {
        let header = opening.header("authorization").and_then(|value| value.split_once(' '));
        if let Some((_, key)) = header.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) {
            return Ok(Proof::Key(key.trim()));
        }
        if let Some(cookie) = cookie::value(opening, cookie::NAME).filter(|_| route.takes_cookies()) {
            cookie::check_sender(opening)?;
            return Ok(Proof::Cookie(cookie));
        }
        self.limit_address(opening.client)?;
        Err(unauthorised("Missing or invalid Authorization header"))
    }

    fn authenticated(&self, opening: &Opening, proof: Proof<'_>) -> Result<Caller, Refusal> {
        let caller = match proof {
            Proof::Key(key) => self.accounts.authenticate(key)?,
            Proof::Cookie(cookie) => self.accounts.signed_in(cookie)?,
        };
        match caller {
            Ok(caller) => Ok(caller),
            Err(denied) => {
                self.limit_address(opening.client)?;
                let entry = Entry { detail: opening.path.clone(), ..Entry::of(Event::AuthFailed) };
                self.note_refusal(opening.client, entry);
                Err(match denied {
                    Denied::Unknown if matches!(proof, Proof::Cookie(_)) => Refusal::new(401, "Not signed in"),
                    Denied::Unknown => unauthorised("Invalid API key"),
                    Denied::Disabled => Refusal::new(403, "Account is disabled"),
                })
            }
        }
    }

    /// Whether a request is one of somebody whom we know, or needs not be. Counts for nobody but those whom we don't know: the
    /// request itself is still to come.
    fn welcome(&self, opening: &Opening) -> Result<(), Refusal> {
        match Route::open(&opening.method, &opening.path)? {
            Route::Health
            | Route::Signup
            | Route::Link(_)
            | Route::Web(dashboard::Route::SignIn | dashboard::Route::SignOut) => Ok(()),
            route => self.proof(opening, &route).and_then(|proof| self.authenticated(opening, proof)).map(|_| ()),
        }
    }

    fn limit_address(&self, client: IpAddr) -> Result<(), Refusal> {
        limited(self.addresses.take(&household(client), Instant::now()))
    }

    /// Counts a try to claim a share.
    pub(super) fn limit_claims(&self, account: Uuid, client: IpAddr) -> Result<(), Refusal> {
        [Claimant::Account(account), Claimant::Address(household(client))]
            .iter()
            .try_for_each(|claimant| limited(self.claims.take(claimant, Instant::now())))
    }

    /// Tells the operator's service of a share, where there is one; nothing that the session says.
    pub(super) fn tell(&self, event: &str, share: &Share) {
        let Some(webhook) = &self.webhook else { return };
        let to = if let Audience::Account { email, .. } = &share.audience { Some(email) } else { None };
        let told = json!({"event": event, "share_id": share.id, "session_id": share.session.as_str(),
            "from": share.from, "to": to, "write": share.can_write(), "at": time(now())});
        if !webhook.tell(told.clone()) {
            let _ = self.accounts.record(&webhook::failure(&told, "too many events wait"));
        }
    }

    /// The answer that a refusal is; records what went wrong here.
    fn refused(&self, opening: &Opening, refusal: &Refusal) -> Response {
        if let Some(cause) = &refusal.cause {
            let detail = format!("{} {}: {cause}", opening.method, opening.path);
            self.note_refusal(opening.client, Entry { detail, ..Entry::of(Event::Error) });
        }
        refusal.response()
    }

    /// Records what anybody can cause as often as he likes.
    pub(super) fn note_refusal(&self, client: IpAddr, entry: Entry) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        if refusals.is_first(client, now()) {
            let detail = entry.detail.chars().take(500).collect();
            // The answer is the same whether it could be recorded or not.
            let _ = self.accounts.record(&Entry { address: Some(client), detail, ..entry });
        }
    }
}

impl Service for Api {
    fn body_limit(&self, method: &str, path: &str) -> u64 {
        match (method, Route::of(path)) {
            ("PUT", Some(Route::Sync(_))) | ("POST", Some(Route::Sessions)) => self.policy.max_upload + FORM,
            ("POST", Some(Route::DeltaPush)) => delta::MAX_MESSAGE,
            ("POST", Some(Route::DeltaPull | Route::DeltaHasChunks)) => delta::MAX_QUESTION,
            _ => MAX_JSON,
        }
    }

    /// A link's token opens a session to whoever reads the log.
    fn path_in_log<'p>(&self, path: &'p str) -> &'p str {
        if path.starts_with("/s/") { "/s/*" } else { path }
    }

    fn deny(&self, opening: &Opening) -> Option<Response> {
        let refusal = self.welcome(opening).err()?;
        Some(plain(self.refused(opening, &refusal)))
    }

    fn answer(&self, request: &mut Request) -> Response {
        let response = self.dispatch(request);
        plain(response.unwrap_or_else(|refusal| self.refused(&request.opening(), &refusal)))
    }
}

/// What every answer says; the dashboard's files may be kept.
fn plain(response: Response) -> Response {
    let may_be_kept = response.headers.iter().any(|(name, _)| *name == "Cache-Control");
    let response = if may_be_kept { response } else { response.with("Cache-Control", "no-store") };
    response.with("X-Content-Type-Options", "nosniff")
}

/// How somebody shows who he is.
#[derive(Clone, Copy)]
enum Proof<'o> {
    /// A program, with a key.
    Key(&'o str),
    /// A browser that is signed in.
    Cookie(&'o str),
}

fn unauthorised(message: &str) -> Refusal {
    Refusal::new(401, message).header("WWW-Authenticate", "Bearer")
}

/// What `GET /health` answers; the network front says it by itself.
pub fn health() -> Value {
    let version = env!("CARGO_PKG_VERSION");
    json!({"status": "healthy", "version": version, "service": "sessionfs-api", "sync": crate::sync::wire::VERSION})
}

fn limited(outcome: Result<(), RetryAfter>) -> Result<(), Refusal> {
    outcome.map_err(|RetryAfter(seconds)| {
        Refusal::new(429, "Rate limit exceeded").header("Retry-After", seconds.to_string())
    })
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
    DeltaChanges,
    DeltaSession(&'p str),
    DeltaHasChunks,
    DeltaChunks,
    DeltaPull,
    DeltaPush,
    Audit,
    Users,
    User(&'p str),
    Invites,
    Invite(&'p str),
    Web(dashboard::Route<'p>),
    Shares,
    Share(&'p str),
    SharesOf(&'p str),
    Handoffs(&'p str),
    Inbox,
    Claim,
    Item(&'p str),
    Accept(&'p str),
    Link(&'p str),
}

impl<'p> Route<'p> {
    /// Nothing is decoded: an id needs no escapes, and what has some is no id.
    fn of(path: &'p str) -> Option<Route<'p>> {
        if path == "/health" {
            return Some(Route::Health);
        }
        if let Some(route) = dashboard::Route::of(path) {
            return Some(Route::Web(route));
        }
        if let Some(token) = path.strip_prefix("/s/").filter(|token| !token.contains('/')) {
            return Some(Route::Link(token));
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
            ["sessions", id, "shares"] => Route::SharesOf(id),
            ["sessions", id, "handoffs"] => Route::Handoffs(id),
            ["shares"] => Route::Shares,
            ["shares", share] => Route::Share(share),
            ["inbox"] => Route::Inbox,
            ["inbox", "claim"] => Route::Claim,
            ["inbox", item] => Route::Item(item),
            ["inbox", item, "accept"] => Route::Accept(item),
            ["delta", "changes"] => Route::DeltaChanges,
            ["delta", "sessions", id] => Route::DeltaSession(id),
            ["delta", "has-chunks"] => Route::DeltaHasChunks,
            ["delta", "chunks"] => Route::DeltaChunks,
            ["delta", "pull"] => Route::DeltaPull,
            ["delta", "push"] => Route::DeltaPush,
            ["admin", "audit"] => Route::Audit,
            ["admin", "users"] => Route::Users,
            ["admin", "users", user] => Route::User(user),
            ["admin", "invites"] => Route::Invites,
            ["admin", "invites", invite] => Route::Invite(invite),
            _ => return None,
        })
    }

    /// Where a request with that method goes.
    fn open(method: &str, path: &'p str) -> Result<Route<'p>, Refusal> {
        let route = Route::of(path).ok_or_else(|| Refusal::new(404, "Not Found"))?;
        if route.methods().contains(&method) {
            return Ok(route);
        }
        Err(Refusal::new(405, "Method Not Allowed").header("Allow", route.methods().join(", ")))
    }

    fn methods(&self) -> &'static [&'static str] {
        match self {
            Route::Signup
            | Route::Reindex
            | Route::Restore(_)
            | Route::DeltaHasChunks
            | Route::DeltaChunks
            | Route::DeltaPull
            | Route::DeltaPush
            | Route::Handoffs(_)
            | Route::Claim
            | Route::Accept(_) => &["POST"],
            Route::Keys | Route::Sessions | Route::SharesOf(_) | Route::Invites => &["GET", "POST"],
            Route::Key(_) => &["PATCH", "DELETE"],
            Route::Share(_) | Route::Item(_) | Route::Invite(_) => &["DELETE"],
            Route::Session(_) => &["GET", "PATCH", "DELETE"],
            Route::User(_) => &["PATCH"],
            Route::Sync(_) => &["GET", "PUT"],
            Route::Web(route) => route.methods(),
            _ => &["GET"],
        }
    }

    /// True for what the dashboard uses. Programs that move archives show a key, and so does who wants a link to sign in.
    fn takes_cookies(&self) -> bool {
        !matches!(
            self,
            Route::Sessions
                | Route::Reindex
                | Route::Sync(_)
                | Route::Download(_)
                | Route::DeltaChanges
                | Route::DeltaSession(_)
                | Route::DeltaHasChunks
                | Route::DeltaChunks
                | Route::DeltaPull
                | Route::DeltaPush
                | Route::Web(dashboard::Route::SignInLinks)
        )
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
            Route::Health | Route::Signup | Route::Link(_) => Err(Refusal::new(404, "Not Found")),
            Route::Me => Ok(keys::me(self)),
            Route::Keys if is_read => keys::list(self),
            Route::Keys => keys::create(self),
            Route::Key(key) if self.request.method == "PATCH" => keys::rename(self, key),
            Route::Key(key) => keys::revoke(self, key),
            Route::Sessions if is_read => sessions::list(self),
            Route::Sessions => transfer::post(self),
            Route::Reindex => sessions::reindex(self),
            Route::Audit => admin::audit(self),
            Route::Users => admin::users(self),
            Route::User(user) => admin::change_user(self, user),
            Route::Invites if is_read => admin::invites(self),
            Route::Invites => admin::invite(self),
            Route::Invite(invite) => admin::revoke_invite(self, invite),
            Route::Shares => sharing::list(self, None),
            Route::Share(share) => sharing::revoke(self, share),
            Route::SharesOf(id) if is_read => sharing::list(self, Some(&session_id(id)?)),
            Route::SharesOf(id) => sharing::create(self, &session_id(id)?),
            Route::Handoffs(id) => sharing::hand_off(self, &session_id(id)?),
            Route::Inbox => inbox::list(self),
            Route::Claim => inbox::claim(self),
            Route::Item(item) => inbox::dismiss(self, item),
            Route::Accept(item) => inbox::accept(self, item),
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
            Route::DeltaChanges => delta::changes(self),
            Route::DeltaSession(id) => delta::session(self, session_id(id)?.as_str()),
            Route::DeltaHasChunks => delta::has_chunks(self),
            Route::DeltaChunks => delta::chunks(self),
            Route::DeltaPull => delta::pull(self),
            Route::DeltaPush => delta::push(self),
            Route::Web(dashboard::Route::SignInLinks) => dashboard::sign_in_link(self.api, &self.caller),
            Route::Web(route) => {
                let archive = Archive::Account { api: self.api, caller: &self.caller };
                Visit { dashboard: &self.api.dashboard, archive, request: self.request }.answer(&route)
            }
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
