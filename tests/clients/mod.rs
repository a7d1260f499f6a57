//! The proof that a session is really resumed: the real clients, started on a home folder, against strict mocks of
//! their models' APIs, and what the model received.
//!
//! - [`receive`] resumes a session and gives what reached the model before our own prompt.
//! - [`drive`] runs a client through prompts with scripted replies, so that it writes native sessions.
//! - [`natives`] finds the recorded sessions of a tool.
//! - [`assert_same`] compares what two clients' models received, less what a ledger admits.
//!
//! A run is shut into a network namespace that has only loopback, with an emptied environment: [`namespace`]. What the
//! APIs would refuse is in [`anthropic`], [`openai`] and [`gemini`]; what is not part of a conversation in [`transcript`]. Nothing
//! here knows the library: its mistakes must not be able to hide in ours.

// What a test may do, the helpers of tests may do too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod anthropic;
mod compare;
mod examples;
mod gemini;
mod launch;
mod mock;
mod namespace;
mod natives;
mod openai;
mod refusals;
mod transcript;

// The face of this folder, for all of the tests.
#[allow(unused_imports, reason = "not every test is here yet")]
pub use self::{
    compare::{assert_same, differences},
    launch::{Driven, Skip, available, drive, go_on, ready, receive, skip},
    mock::{Piece, Reply},
    namespace::serve,
    natives::{Native, natives},
    transcript::{Call, Received, fingerprint, shell_command},
};

use serde::{Deserialize, Serialize};

/// A tool whose real client we drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Client {
    /// `claude`
    ClaudeCode,
    /// `codex`
    Codex,
    /// `gemini`; needs `node`
    Gemini,
}
