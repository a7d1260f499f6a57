//! What several areas share.

pub mod cursor;
pub mod file_source;
pub mod home;
pub mod said;
pub mod schema;
pub mod server;
pub mod web;
pub mod written;
