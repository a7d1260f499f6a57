//! Counting tokens once. Tools repeat the same usage on several lines (one API reply in pieces, re-emitted totals, copies in
//! forks), so a reader names each reply by a key and the newest value under a key replaces the older one.

use super::message::Usage;
use jiff::Timestamp;

/// The usage of one API reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageRecord {
    /// Names the reply: equal keys are the same reply, in whatever session or file they stand.
    pub key: String,
    /// When the reply ended.
    pub timestamp: Option<Timestamp>,
    /// Which model replied.
    pub model: Option<String>,
    /// Its tokens.
    pub usage: Usage,
}
