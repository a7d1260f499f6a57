//! The map of sessionfs; ARCHITECTURE.md is the long form. Arrows point down:
//!
//! ```text
//! cli, daemon  →  capture, export  →  tools, store, security  →  model  →  id, error
//! cli, daemon  →  capture, search, export  →  tools, store  →  model  →  id, error
//! cli, daemon, server  →  capture, export  →  tools, store, security  →  model  →  id, error
//! cli, daemon, server  →  capture, export  →  tools, store  →  model  →  id, error
//! cli, server  →  web  →  search, export  →  store
//! cli  →  doctor  →  daemon  →  capture, export  →  tools, store  →  model  →  id, error
//! ```
//!
//! `model` knows nobody. `tools` never touch the store, the store never names a tool; [`capture`], [`search`] and [`export`]
//! are the only places where both appear. SQL on our database stands only in [`store`]. Only [`cli`] prints.

pub mod capture;
pub mod cli;
pub mod daemon;
pub mod doctor;
pub mod error;
pub mod export;
pub mod home;
pub mod id;
pub mod model;
pub mod search;
pub mod security;
pub mod server;
pub mod settings;
pub mod store;
pub mod sync;
pub mod tools;
pub mod web;
