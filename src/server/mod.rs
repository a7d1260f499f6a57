//! The sync server: one process, one folder, no other program.

pub mod exchange;
