//! What is to be looked at, and when. A file that is being written is taken once it was quiet for a moment, and while it
//! goes on being written, at least every [`LONGEST`]. Pure: time comes from outside.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A file is taken after so long without a further event …
const QUIET: Duration = Duration::from_millis(30);
/// … and at the latest so long after the first.
const LONGEST: Duration = Duration::from_millis(100);
/// A vanished file may have been renamed or be about to be replaced: its other name is looked at first.
const GONE_AFTER: Duration = Duration::from_millis(500);
/// A database is looked at at once, and while it goes on being written, no more often than this.
const PACE: Duration = Duration::from_secs(5);

/// One thing to look at. Their order is the order of the work.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Item {
    /// A new folder.
    Folder(PathBuf),
    /// A file.
    File(PathBuf),
    /// The tool's database.
    Database,
    /// The tool's index files.
    Indexes,
    /// A file or a folder that was removed or renamed away.
    Gone(PathBuf),
}

/// The items of one tool that wait.
#[derive(Debug, Default)]
pub(super) struct Pending {
    waiting: BTreeMap<Item, Moments>,
    /// The database rests until then.
    database_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Moments {
    due: Instant,
    latest: Instant,
}

impl Pending {
    /// Something happened to `item`.
    pub(super) fn touch(&mut self, item: Item, now: Instant) {
        let now = self.database_at.filter(|_| item == Item::Database).map_or(now, |at| at.max(now));
        let (quiet, longest) = match item {
            Item::Folder(_) | Item::Database => (Duration::ZERO, Duration::ZERO),
            Item::File(_) | Item::Indexes => (QUIET, LONGEST),
            Item::Gone(_) => (GONE_AFTER, GONE_AFTER),
        };
        let moments = self.waiting.entry(item).or_insert(Moments { due: now, latest: now + longest });
        moments.due = (now + quiet).min(moments.latest);
    }

    /// When the next item is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.waiting.values().map(|moments| moments.due).min()
    }

    /// Takes what is due, in the order of the work.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<Item> {
        let due: Vec<Item> =
            self.waiting.iter().filter(|(_, moments)| moments.due <= now).map(|(item, _)| item.clone()).collect();
        for item in &due {
            self.waiting.remove(item);
            if *item == Item::Database {
                self.database_at = Some(now + PACE);
            }
        }
        due
    }

    /// Takes everything, due or not.
    pub(super) fn take_all(&mut self) -> Vec<Item> {
        std::mem::take(&mut self.waiting).into_keys().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> Item {
        Item::File(name.into())
    }

    #[test]
    fn a_file_is_taken_when_it_is_quiet_or_has_waited_long_enough() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut pending = Pending::default();
        pending.touch(file("once"), at(0));
        for ms in (0..100).step_by(10) {
            pending.touch(file("busy"), at(ms));
        }
        assert_eq!(pending.take_due(at(29)), []);
        assert_eq!(pending.take_due(at(30)), [file("once")]);
        assert_eq!(pending.next(), Some(at(100)));
        assert_eq!(pending.take_due(at(100)), [file("busy")]);
        assert_eq!(pending.next(), None);
    }

    #[test]
    fn a_database_is_taken_at_once_and_then_at_a_pace() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut pending = Pending::default();
        pending.touch(Item::Database, at(0));
        assert_eq!(pending.take_due(at(0)), [Item::Database]);
        for second in 1..=5 {
            pending.touch(Item::Database, at(second));
            assert_eq!(pending.next(), Some(at(5)));
        }
        assert_eq!(pending.take_due(at(4)), []);
        assert_eq!(pending.take_due(at(5)), [Item::Database]);
        pending.touch(Item::Database, at(20));
        assert_eq!(pending.next(), Some(at(20)));
    }

    #[test]
    fn new_folders_come_at_once_and_vanished_files_last() {
        let now = Instant::now();
        let mut pending = Pending::default();
        pending.touch(Item::Gone("old".into()), now);
        pending.touch(file("new"), now);
        pending.touch(Item::Folder("folder".into()), now);
        assert_eq!(pending.take_due(now), [Item::Folder("folder".into())]);
        assert_eq!(pending.take_all(), [file("new"), Item::Gone("old".into())]);
    }
}
