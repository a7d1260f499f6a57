//! Secrets in sessions: where they are, and copies without them.
//!
//! A transcript holds whatever a person pasted and a tool printed: keys, passwords, whole `.env` files. The archive keeps
//! the exact bytes; what leaves it can be redacted.
//!
//! - [`secrets`] finds them in a text or in a line of JSON,
//! - [`redact`] puts a stable placeholder in their place,
//! - `json` walks the strings of a JSON text without building a value.
//!
//! Nothing here does I/O or knows a tool or the store.

mod json;
pub mod redact;
pub mod secrets;

pub use redact::Redactor;
pub use secrets::{Secret, Severity};
