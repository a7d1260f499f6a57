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
pub mod exchange;
mod keys;
mod multipart;
mod query;
mod reply;
mod sessions;
mod transfer;
mod view;
