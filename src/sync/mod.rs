//! Two archives become alike: this device's and a server's, and through it those of all devices.
//!
//! A session is a set of streams, each written by one device and only ever longer, and of registers that merge. So nothing is
//! overwritten and nothing has to be decided: each side sends the other what it does not have yet. Positions make it cheap
//! (bytes behind the ones that are known), hashes make it safe (nobody goes on from bytes the other one does not have),
//! and repeating any of it changes nothing.
//!
//! - [`wire`]: what is said, and how it is framed,
//! - [`answer`]: the server's side, on an archive,
//! - [`push()`] and [`pull()`]: the client's side, on an archive and a [`Remote`],
//! - [`gate`]: what may leave this device, and how,
//! - [`outcome`]: what the daemon is to sync, and how that went,
//! - [`client`]: that remote over HTTP, and the account,
//! - [`shared`]: sessions of other accounts, and [`clones`]: the folder here that they are about.
//! - [`v1`]: the same with a server of the first contract, to which archives of whole sessions are sent.

pub mod answer;
pub mod client;
pub mod clones;
pub mod gate;
pub mod outcome;
mod outgoing;
mod pull;
mod push;
pub mod shared;
pub mod v1;
pub mod wire;

pub use pull::{Pulled, pull, pull_session, pull_shared};
pub use push::{Pushed, push, push_sessions};

use crate::error::Result;
use crate::id::Hash;
use wire::{Changes, Frame, Push, PushAnswer, SessionState, StreamPlace, Want};

/// Raw bytes of streams in one exchange, about: what a server has to hold in memory for one client.
pub const BATCH: u64 = 4 << 20;

/// Why a question was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Asking again changes nothing.
    pub for_good: bool,
    /// Seconds after which to ask again, where the server said so.
    pub retry_after: Option<u64>,
}

/// A server that holds an archive, as the client sees it.
pub trait Remote {
    /// What changed there after its number `since`.
    fn changes(&mut self, since: i64) -> Result<Changes>;
    /// One session with all its streams; `None` where it is not there.
    fn session(&mut self, id: &str) -> Result<Option<SessionState>>;
    /// Which of these chunks are there.
    fn has_chunks(&mut self, hashes: &[Hash]) -> Result<Vec<bool>>;
    /// The chunks of a stream there: length and hash, in order.
    fn chunks(&mut self, stream: &StreamPlace) -> Result<Vec<(u64, Hash)>>;
    /// Sends bytes and registers.
    fn push(&mut self, push: &Push, bytes: &[u8]) -> Result<PushAnswer>;
    /// Where the last question was refused, and for what stood in it: as what.
    fn refused(&self) -> Option<Refused> {
        None
    }
    /// Asks for bytes.
    fn pull(&mut self, wants: &[Want]) -> Result<Frame<Vec<Want>>>;
}
