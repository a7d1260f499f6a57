//! The integration tests: one binary, one link. Every module tests one area through the library's public face or through
//! the binary, in a throw-away home.

#![allow(unreachable_pub, reason = "a test binary exports nothing")]
#![allow(clippy::unwrap_used, reason = "what a test may do, the helpers of tests may do too")]

mod actions;
mod attachment;
mod branches;
mod capture;
mod claude_code;
mod cli;
mod client;
mod clients;
mod codex;
mod cursor;
mod cursor_transcripts;
mod daemon;
mod damage;
mod directions;
mod gemini;
mod guard;
mod html;
mod ledger;
mod metadata;
mod moved;
mod positions;
mod purge;
mod resume;
mod search;
mod secrets;
mod server;
mod setup;
mod sfs;
mod stats;
mod support;
mod sync;
mod teammates;
mod v1;
mod watch;
mod web;
mod web_browser;
