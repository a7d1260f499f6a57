//! What several areas share.

pub mod file_source;
pub mod home;
pub mod written;
