//! The map of sessionfs; ARCHITECTURE.md is the long form. Arrows point down:
//!
//! ```text
//! cli  →  doctor  →  daemon  →  capture, export  →  tools, store  →  model  →  id, error
//! ```
//!
//! `model` knows nobody. `tools` never touch the store, the store never names a tool; [`capture`] and [`export`] are the
//! only two places where both appear. SQL on our database stands only in [`store`]. Only [`cli`] prints.

pub mod capture;
pub mod cli;
pub mod daemon;
pub mod doctor;
pub mod error;
pub mod export;
pub mod home;
pub mod id;
pub mod model;
pub mod server;
pub mod settings;
pub mod store;
pub mod tools;
