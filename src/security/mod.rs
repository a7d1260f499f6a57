//! What stands between the archive and the outside: what is taken in, and what leaves it.
//!
//! A transcript holds whatever a person pasted and a tool printed: keys, passwords, whole `.env` files. The archive keeps
//! the exact bytes; what leaves it can be redacted.
//!
//! - [`secrets`] finds them in a text or in a line of JSON,
//! - [`redact`] puts a stable placeholder in their place,
//! - `json` walks the strings of a JSON text without building a value,
//! - [`archive`] unpacks what others packed, and nothing that leaves its folder or fills the disk.
//!
//! Nothing here knows a tool or the store; only `archive` does I/O.

pub mod archive;
mod json;
pub mod redact;
pub mod secrets;

pub use redact::Redactor;
pub use secrets::{Secret, Severity};
