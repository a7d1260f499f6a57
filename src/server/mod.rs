//! The sync server: one process, one folder, no other program.
//!
//! ```text
//! clients ──tcp──▶ door (limits) ──unix socket, one request each──▶ http (workers) ──▶ Service
//! ```
//!
//! - [`door`] is the only part that meets a client: it admits whole, bounded requests and paces both directions,
//! - [`http`] turns them into [`exchange`]'s requests for a bounded pool of workers,
//! - [`rate`] and [`network`] are what a service needs to tell clients apart,
//! - [`exchange`]: one request and its answer, between the network front and the API,
//! - [`api`]: the routes; [`keys`], [`sessions`], [`transfer`], [`delta`], [`admin`] answer them, [`reply`], [`query`] and
//!   [`multipart`] are their grammar,
//! - [`dashboard`]: the same archives for a browser, and `sfs web`,
//! - [`sharing`], [`inbox`] and [`links`]: what an account lets others see; [`grant`]: [`delta`] for those others; [`webhook`]
//!   tells the operator's own service of it,
//! - [`accounts`], [`sign_ins`], [`shares`] and [`audit`]: the server's own database; [`archives`]: one archive an account, the
//!   same as everybody's,
//! - [`mod@backup`]: a copy of all of it while it runs.
//!
//! Nothing here prints; TLS is the business of a proxy in front.

pub mod accounts;
mod admin;
pub mod api;
pub mod archives;
pub mod audit;
pub mod backup;
pub mod dashboard;
mod delta;
mod door;
pub mod exchange;
mod folder;
mod grant;
mod http;
mod inbox;
mod keys;
mod links;
mod multipart;
pub mod network;
mod query;
pub mod rate;
mod reply;
mod sessions;
pub mod shares;
mod sharing;
mod sign_ins;
mod transfer;
mod turns;
mod view;
pub mod webhook;

pub use door::{Limits, Pace};

use crate::error::{Context, Error, Result};
use async_signal::{Signal, Signals};
use door::Door;
use exchange::Service;
use folder::Folder;
use network::Network;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use smol::stream::{Stream, StreamExt};
use std::fmt;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Connections that the system may keep for us until we accept them; it bounds this itself.
const BACKLOG: i32 = 4096;
/// Files that the service and the process itself may have open.
const OTHER_FILES: usize = 160;
/// What a request with a worker needs besides its connection: the private socket three times, an answer's temporary file, and
/// one for the service.
const FILES_OF_A_REQUEST: usize = 5;
/// A connection, and the temporary file of what it sends.
const FILES_OF_A_CONNECTION: usize = 2;

/// How a server is to run.
pub struct Options {
    /// Where it listens; port 0 is any free one.
    pub listen: SocketAddr,
    /// The server's data folder. A folder `front` in it holds the private socket and temporary files; it is this process's alone.
    pub folder: PathBuf,
    /// Requests that are answered at one time.
    pub workers: usize,
    /// What `GET /health` answers, JSON. The door says it itself, so that it is said even when all workers are busy.
    pub health: String,
    /// Who is believed when it says on whose behalf it asks.
    pub trusted_proxies: Vec<Network>,
    /// Web origins that may use the API, such as `https://app.example`, exactly as browsers send them.
    pub cors_origins: Vec<String>,
    /// Bounds in time and space.
    pub limits: Limits,
    /// Where the log goes. Called by the door itself: it must be quick.
    pub log: Log,
}

/// Takes the log, entry by entry.
pub type Log = Arc<dyn Fn(&Entry<'_>) + Send + Sync>;

/// What is logged; as text one line without control characters.
#[derive(Debug)]
pub enum Entry<'a> {
    /// A request was answered.
    Access(Access<'a>),
    /// Something that the operator should know.
    Event(String),
}

/// One answered request.
#[derive(Debug)]
pub struct Access<'a> {
    /// Whose it was; see [`exchange::Request::client`].
    pub client: IpAddr,
    /// `-` where the head could not be read.
    pub method: &'a str,
    /// Without the query; `-` where the head could not be read.
    pub path: &'a str,
    /// Of the answer.
    pub status: u16,
    /// Bytes of the request's body.
    pub received: u64,
    /// Bytes of the answer that were sent, its head included.
    pub sent: u64,
    /// From the end of the request's head to the end of the answer.
    pub took: Duration,
}

impl fmt::Display for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Entry::Access(access) => write!(
                f,
                "access client={} method={} path={} status={} in={} out={} ms={}",
                access.client,
                access.method,
                access.path,
                access.status,
                access.received,
                access.sent,
                access.took.as_millis()
            ),
            Entry::Event(text) => write!(f, "event {}", text.replace(char::is_control, " ")),
        }
    }
}

/// The body of every error that the API answers.
pub fn envelope(status: u16, message: &str) -> String {
    serde_json::json!({"error": {"code": status.to_string(), "message": message, "details": {}}}).to_string()
}

/// A server that listens.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    door: Door,
    finish: Duration,
    /// Held until the end.
    _folder: Folder,
}

impl Server {
    /// Begins to listen; clients wait until [`Server::run`].
    pub fn open(options: Options, service: Arc<dyn Service>) -> Result<Server> {
        let refused = || format!("{} can't be listened at", options.listen);
        let listener = TcpListener::bind(options.listen)
            .map_err(|error| Error::failed(refused()).because(error).hint("choose another address with --listen"))?;
        let address = listener.local_addr().context(refused)?;
        // The standard library asks for 128, which a burst of connections overflows: clients would wait a second and more.
        rustix::net::listen(&listener, BACKLOG).context(refused)?;
        let connections = connections(open_files(), options.workers)?.min(options.limits.connections);
        let folder = Folder::take(&options.folder)?;
        let finish = options.limits.finish;
        let door = Door::open(options, connections, &folder, service)?;
        Ok(Server { listener, address, door, finish, _folder: folder })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until SIGTERM or SIGINT, then finishes the requests that it has, within [`Limits::finish`]; a second signal ends
    /// it at once.
    pub fn run(self) -> Result<()> {
        let signals = Signals::new([Signal::Term, Signal::Int]).context(|| "signals can't be caught")?;
        self.run_until(signals)
    }

    /// The same, with whatever `stops` yields for signals.
    pub fn run_until(self, stops: impl Stream + Unpin) -> Result<()> {
        let listener = smol::Async::new(self.listener).context(|| "the listener can't be used")?;
        self.door.run(listener, stops.map(|_| ()), self.finish);
        Ok(())
    }
}

/// Requests that are with the workers or next in line, for so many workers.
fn permits(workers: usize) -> usize {
    workers * 2
}

/// How many files this process may have open: as many as the system lets it.
fn open_files() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    getrlimit(Resource::Nofile).current.map_or(usize::MAX, |files| files as usize)
}

/// How many connections fit below that, whatever they do.
fn connections(files: usize, workers: usize) -> Result<usize> {
    let ours = OTHER_FILES + door::LEAVING + permits(workers) * FILES_OF_A_REQUEST;
    match files.saturating_sub(ours) / FILES_OF_A_CONNECTION {
        ..16 => Err(Error::failed(format!("a process may have only {files} files open here"))
            .hint("ulimit -n 1024, or fewer workers")),
        connections => Ok(connections),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_and_all_they_need_fit_below_the_limit_of_files() {
        let connections = connections(1024, 8).unwrap();
        assert!(connections >= 300);
        assert!(connections * FILES_OF_A_CONNECTION + 16 * FILES_OF_A_REQUEST + door::LEAVING + OTHER_FILES <= 1024);
        assert!(super::connections(200, 8).is_err());
    }

    #[test]
    fn an_entry_is_one_line() {
        let event = Entry::Event("a\nb\u{1b}[0m".to_owned()).to_string();
        assert_eq!(event, "event a b [0m");
    }
}
