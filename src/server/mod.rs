//! The sync server: one process, one folder, no other program.
//!
//! - [`exchange`]: one request and its answer, between the network front and the API,
//! - [`api`]: the routes; [`keys`], [`sessions`], [`transfer`], [`admin`] answer them, [`reply`], [`query`] and [`multipart`]
//!   are their grammar,
//! - [`accounts`] and [`audit`]: the server's own database; [`archives`]: one archive an account, the same as everybody's,
//! - [`mod@backup`]: a copy of all of it while it runs.

pub mod accounts;
mod admin;
pub mod api;
pub mod archives;
pub mod audit;
pub mod backup;
pub mod exchange;
mod keys;
mod multipart;
mod query;
mod reply;
mod sessions;
mod transfer;
mod view;

use crate::error::{Error, Result};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// What the network front is told.
#[derive(Clone, Debug)]
pub struct Front {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Requests a minute from one key or address.
    pub rate: u32,
    /// The network whose word on the client's address counts: address and length of the prefix.
    pub trusted_proxy: Option<(IpAddr, u8)>,
}

/// Answers requests until the process is told to stop.
pub fn serve(front: &Front, _service: Arc<dyn exchange::Service>) -> Result<()> {
    Err(Error::failed(format!("{} is not served: this build has no network front", front.listen)))
}
