//! The integration tests: one binary, one link. Every module tests one area through the library's public face or through
//! the binary, in a throw-away home.

mod claude_code;
mod daemon;
mod support;

mod codex;
