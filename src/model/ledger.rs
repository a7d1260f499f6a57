//! What became of each piece of a session on its way into another tool. Nothing is dropped in silence: whoever leaves
//! something out, changes it or maps it says so here.

use serde::Serialize;
use std::collections::BTreeMap;

/// Counts by fate; each entry is a kind of thing with a reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ledger {
    /// Carried over as it was.
    pub kept: Vec<Entry>,
    /// Carried over under the target's own name or form, with the same meaning.
    pub mapped: Vec<Entry>,
    /// Carried over with less than it had.
    pub degraded: Vec<Entry>,
    /// Not carried over.
    pub dropped: Vec<Entry>,
}

/// One line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The kind of thing, such as `user messages` or `tool calls`.
    pub what: String,
    /// How many.
    pub count: u64,
    /// Why, or as what; empty for what was kept.
    pub detail: String,
}

/// Where an entry goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "see Ledger's fields")]
pub enum Fate {
    Kept,
    Mapped,
    Degraded,
    Dropped,
}

/// Collects counts while a session is written.
#[derive(Debug, Default)]
pub struct Tally(BTreeMap<(Fate, &'static str, String), u64>);

impl Tally {
    /// Counts one `what` that met `fate` because of `detail`.
    pub fn add(&mut self, fate: Fate, what: &'static str, detail: impl Into<String>) {
        self.add_many(fate, what, detail, 1);
    }

    /// Counts `count` of them.
    pub fn add_many(&mut self, fate: Fate, what: &'static str, detail: impl Into<String>, count: u64) {
        if count > 0 {
            *self.0.entry((fate, what, detail.into())).or_default() += count;
        }
    }

    /// Counts what the walk to the live conversation left out: kind, why, and how many.
    pub fn leave_out(&mut self, left_out: Vec<(&'static str, &'static str, u64)>) {
        for (what, why, count) in left_out {
            self.add_many(Fate::Dropped, what, why, count);
        }
    }

    /// The ledger, sorted by kind.
    pub fn close(self) -> Ledger {
        let mut ledger = Ledger::default();
        for ((fate, what, detail), count) in self.0 {
            let entry = Entry { what: what.to_owned(), count, detail };
            match fate {
                Fate::Kept => ledger.kept.push(entry),
                Fate::Mapped => ledger.mapped.push(entry),
                Fate::Degraded => ledger.degraded.push(entry),
                Fate::Dropped => ledger.dropped.push(entry),
            }
        }
        ledger
    }
}
