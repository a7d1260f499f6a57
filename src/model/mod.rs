//! What a session is, whatever tool wrote it. Knows nobody: no I/O, no SQL, no tool's name.

pub mod action;
pub mod budget;
pub mod conversation;
pub mod label;
pub mod ledger;
pub mod message;
pub mod observation;
pub mod portion;
pub mod price;
pub mod printable;
pub mod query;
pub mod stats;
pub mod title;
pub mod usage;
pub mod voice;
pub mod words;
