//! What the daemon is doing, told without asking it: the lock says whether it runs, the archive what it has captured, and
//! one setting what can't be seen from outside. That setting is written when it changes, never on a clock.

use super::lock::{self, Holder};
use crate::error::Result;
use crate::home::Home;
use crate::store::Store;
use crate::sync::client::Account;
use crate::sync::outcome::{self, Auto, Outcome};
use crate::tools::{self, Tool};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// How a tool's folders are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Changes are told by the system.
    Watching,
    /// The tool has no sessions yet; its folder is waited for.
    Waiting,
    /// The system can't tell all changes: the folders are looked at every few seconds.
    #[serde(alias = "failed")]
    Polling,
    /// The setting `capture.<tool>` is false.
    Off,
    /// No daemon runs.
    Stopped,
}

impl State {
    /// The word on screen and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Watching => "watching",
            State::Waiting => "waiting",
            State::Polling => "polling",
            State::Off => "off",
            State::Stopped => "stopped",
        }
    }
}

/// The daemon as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// A daemon holds the lock.
    pub running: bool,
    /// Its process.
    pub pid: Option<u32>,
    /// Since when it runs.
    pub since: Option<Timestamp>,
    /// Which version of this program it is.
    pub version: Option<String>,
    /// Sessions in the archive, of all tools.
    pub sessions: u64,
    /// One for each tool.
    pub watchers: Vec<Watcher>,
    /// Whether the archive is sent elsewhere.
    pub sync: Sync,
}

/// One tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Watcher {
    /// Its id.
    pub tool: &'static str,
    /// How it is followed.
    pub state: State,
    /// Its folders that exist.
    pub folders: Vec<String>,
    /// Its sessions in the archive.
    pub sessions: u64,
    /// How many of them the tool itself no longer has.
    pub gone_but_safe: u64,
    /// When something of it was last captured.
    pub last_capture_at: Option<Timestamp>,
    /// What went wrong last and is not mended yet.
    pub last_error: Option<String>,
}

/// Sending the archive elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sync {
    /// Whether the daemon does it.
    pub state: SyncState,
    /// Sessions that wait to be sent.
    pub pending: u64,
    /// Sessions that the server refused for good.
    pub refused: u64,
    /// Why they could not be sent.
    pub last_error: Option<String>,
    /// When everything was through last.
    pub last_sync_at: Option<Timestamp>,
}

/// Whether the daemon sends the archive elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncState {
    /// The setting `sync.auto` is `off`.
    Off,
    /// Until the person wants it again.
    Paused,
    /// There is no account.
    SignedOut,
    /// The last try failed.
    Failing,
    /// Something waits to be sent.
    Pending,
    /// All is there.
    Idle,
}

impl SyncState {
    /// The word on screen.
    pub fn as_str(self) -> &'static str {
        match self {
            SyncState::Off => "off",
            SyncState::Paused => "paused",
            SyncState::SignedOut => "signed out",
            SyncState::Failing => "failing",
            SyncState::Pending => "pending",
            SyncState::Idle => "idle",
        }
    }
}

/// The setting under which a running daemon leaves what can't be seen from outside.
pub(super) const SETTING: &str = "daemon";

/// What it leaves there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Saved {
    pub(super) pid: u32,
    pub(super) since: Timestamp,
    #[serde(default)]
    pub(super) version: String,
    pub(super) watchers: BTreeMap<String, SavedWatcher>,
}

/// What it says of one tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SavedWatcher {
    pub(super) state: State,
    pub(super) error: Option<String>,
}

/// True where a daemon captures into the archive of `home`.
pub fn is_running(home: &Home) -> bool {
    lock::holder(home) != Holder::Nobody
}

/// What the daemon of `home` is doing; also where none runs.
pub fn status(home: &Home) -> Result<Status> {
    let (running, pid) = match lock::holder(home) {
        Holder::Nobody => (false, None),
        Holder::Process(pid) => (true, pid),
    };
    let store = if home.database().exists() { Some(Store::open(home)?) } else { None };
    // What another, earlier daemon left is not of interest.
    let saved = saved(store.as_ref())?.filter(|saved| running && Some(saved.pid) == pid);
    let mut watchers = Vec::new();
    for tool in tools::ALL {
        watchers.push(watcher(home, store.as_ref(), *tool, running, saved.as_ref())?);
    }
    Ok(Status {
        running,
        pid,
        since: saved.as_ref().map(|saved| saved.since),
        version: saved.map(|saved| saved.version),
        sessions: watchers.iter().map(|watcher| watcher.sessions).sum(),
        watchers,
        sync: store.as_ref().map_or(Ok(OFF), sync_status)?,
    })
}

const OFF: Sync = Sync { state: SyncState::Off, pending: 0, refused: 0, last_error: None, last_sync_at: None };

/// How far the server is behind the archive in `store`.
pub fn sync_status(store: &Store) -> Result<Sync> {
    let Outcome { last_sync_at, last_error, .. } = Outcome::last(store)?;
    let account = Account::of(store).ok();
    let remote = account.as_ref().map(|account| store.known_remote(&account.remote_name())).transpose()?.flatten();
    let postponed = remote.as_ref().map_or(Ok(Vec::new()), |remote| store.unsent(remote.id))?;
    let refused = postponed.iter().filter(|unsent| unsent.is_refused()).count() as u64;
    let postponed = postponed.iter().filter(|unsent| unsent.retry_at.is_some()).count() as u64;
    let pending = store.count_changed(remote.map_or(0, |remote| remote.pushed))? + postponed;
    let state = if Auto::of(store)? == Auto::Off {
        return Ok(Sync { refused, last_sync_at, ..OFF });
    } else if account.is_none() {
        SyncState::SignedOut
    } else if outcome::is_paused(store)? {
        SyncState::Paused
    } else if last_error.is_some() {
        SyncState::Failing
    } else if pending > 0 {
        SyncState::Pending
    } else {
        SyncState::Idle
    };
    Ok(Sync { state, pending, refused, last_error, last_sync_at })
}

/// What the last daemon left.
pub(super) fn saved(store: Option<&Store>) -> Result<Option<Saved>> {
    store.map_or(Ok(None), |store| store.setting(SETTING))
}

fn watcher(
    home: &Home,
    store: Option<&Store>,
    tool: &'static dyn Tool,
    running: bool,
    saved: Option<&Saved>,
) -> Result<Watcher> {
    let (sessions, gone_but_safe) = store.map_or(Ok((0, 0)), |store| store.count_by_tool(tool.id()))?;
    let (last, file_error) = store.map_or(Ok((None, None)), |store| store.capture_state(tool.id()))?;
    let saved = saved.and_then(|saved| saved.watchers.get(tool.id()));
    let error = saved.and_then(|saved| saved.error.clone());
    let root = tool.root(home);
    let database = tool.database().map(|database| database.root(home).join(database.path()));
    let folders = database.iter().filter_map(|file| file.parent().map(Path::to_owned));
    let folders = folders.chain(tool.folders().iter().map(|folder| root.join(folder))).filter(|folder| folder.is_dir());
    Ok(Watcher {
        tool: tool.id(),
        state: match saved {
            Some(saved) => saved.state,
            None if running => State::Waiting,
            None => State::Stopped,
        },
        folders: folders.map(|folder| folder.display().to_string()).collect(),
        sessions,
        gone_but_safe,
        last_capture_at: last.and_then(|ms| Timestamp::from_millisecond(ms).ok()),
        last_error: error.or_else(|| file_error.map(|(_, error)| error)),
    })
}
