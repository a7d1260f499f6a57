//! What a session is, whatever tool wrote it. Knows nobody: no I/O, no SQL, no tool's name.

pub mod action;
pub mod budget;
pub mod conversation;
pub mod ledger;
pub mod message;
pub mod observation;
pub mod portion;
pub mod price;
pub mod printable;
pub mod title;
pub mod usage;
