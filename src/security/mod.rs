//! What stands between the archive and what comes from outside.

pub mod archive;
