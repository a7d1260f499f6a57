//! What in a session's own file makes its client refuse it, or lose a part of it in silence. Found by looking at the
//! archived bytes; which shapes do harm was seen with the real clients (the versions stand in each tool's `health.rs`).

use serde::Serialize;
use std::collections::BTreeMap;

/// What the client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It does not resume the session, or its model's API answers every turn with an error.
    Refused,
    /// It resumes the session without that part, and does not say so.
    Lost,
}

/// One kind of harm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ailment {
    /// In words, for one or many.
    pub what: &'static str,
    /// What it leads to.
    pub effect: Effect,
    /// How many.
    pub count: u64,
    /// The first line that has it, from 0.
    pub line: u64,
}

/// Collects them.
#[derive(Debug, Default)]
pub struct Ailments(BTreeMap<(Effect, &'static str), (u64, u64)>);

impl Ailments {
    /// Counts one, found in `line`.
    pub fn add(&mut self, effect: Effect, what: &'static str, line: u64) {
        self.0.entry((effect, what)).or_insert((0, line)).0 += 1;
    }

    /// All of them, the worst first.
    pub fn close(self) -> Vec<Ailment> {
        let each = |((effect, what), (count, line))| Ailment { what, effect, count, line };
        self.0.into_iter().map(each).collect()
    }
}

/// Three bytes that some editors put first; clients then do not understand the first line.
pub const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The names and ids that every API takes for a call: so many of these characters.
pub fn is_plain_word(word: &str, most: usize) -> bool {
    (1..=most).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}
