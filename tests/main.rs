//! The integration tests: one binary, one link. Every module tests one area through the library's public face or through
//! the binary, in a throw-away home.

#![allow(unreachable_pub, reason = "a test binary exports nothing")]

mod claude_code;
mod clients;
mod codex;
mod daemon;
mod directions;
mod gemini;
mod sfs;
mod support;
