//! An archive as the dashboard sees it: what a page shows, as values that can be written as JSON. Knows no HTTP and no account.
//!
//! - [`sessions`]: the list, its filters, and search in it; [`detail`]: one session beside its messages,
//! - [`log`]: where each message of a session stands, kept between requests; [`window`]: some of them, rendered; [`outline`]:
//!   what a reader jumps to,
//! - [`stats`]: sums for the overview; [`download`]: sessions as files.

pub mod detail;
pub mod download;
pub mod log;
pub mod outline;
pub mod sessions;
pub mod stats;
pub mod window;

/// Milliseconds since 1970 as RFC 3339 in UTC; `None` for what is no time.
fn time(ms: i64) -> Option<String> {
    jiff::Timestamp::from_millisecond(ms).ok().map(|at| at.to_string())
}

/// Dollars, to a millionth.
fn dollars(cost: f64) -> f64 {
    (cost * 1e6).round() / 1e6
}
