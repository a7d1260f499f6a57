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
/// A database in which sessions are being written is looked at once in so long …
const PACE: Duration = Duration::from_secs(5);
/// … and one in which something else is.
const SLOW_PACE: Duration = Duration::from_millis(500);
/// After a quiet time, so much of it need not be waited for: the first looks follow each other at once.
const CREDIT: Duration = Duration::from_secs(15);
/// After an event, a database is compared again and again, each time after twice as long, up to this: a commit counts at
/// its very end, which may be long after the last event, and our own look takes a moment too.
const LAST_GLANCE: Duration = Duration::from_secs(4);

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
    rhythm: Rhythm,
}

/// What a look at a database found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Nothing was committed since the last one: it was over at once, and counts for nothing.
    Nothing,
    /// Something was committed, but nothing of a session.
    Commits,
    /// Something new of a session.
    News,
    /// That it can't be read: not tried again before the next event.
    Failure,
}

/// When a database may be looked at, and when it is to be looked at without an event.
#[derive(Debug, Default)]
struct Rhythm {
    /// Until then the looks of the past count.
    spent_until: Option<Instant>,
    /// The next look without an event, and how long after the last one it is.
    glance: Option<(Instant, Duration)>,
}

#[derive(Clone, Copy, Debug)]
struct Moments {
    due: Instant,
    latest: Instant,
}

impl Pending {
    /// Something happened to `item`.
    pub(super) fn touch(&mut self, item: Item, now: Instant) {
        let (quiet, longest) = match item {
            Item::Folder(_) => (Duration::ZERO, Duration::ZERO),
            Item::File(_) | Item::Indexes | Item::Database => (QUIET, LONGEST),
            Item::Gone(_) => (GONE_AFTER, GONE_AFTER),
        };
        let is_database = item == Item::Database;
        let moments = self.waiting.entry(item).or_insert(Moments { due: now, latest: now + longest });
        moments.due = (now + quiet).min(moments.latest);
        if is_database {
            moments.due = self.rhythm.allowed(moments.due);
            self.rhythm.glance = None;
        }
    }

    /// The database was looked at.
    pub(super) fn looked(&mut self, seen: Seen, now: Instant) {
        self.rhythm.looked(seen, now);
    }

    /// When the next item is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.waiting.values().map(|moments| moments.due).chain(self.rhythm.glance.map(|(at, _)| at)).min()
    }

    /// Takes what is due, in the order of the work.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<Item> {
        if self.rhythm.glance.is_some_and(|(at, _)| at <= now) {
            self.waiting.entry(Item::Database).or_insert(Moments { due: now, latest: now });
        }
        let due: Vec<Item> =
            self.waiting.iter().filter(|(_, moments)| moments.due <= now).map(|(item, _)| item.clone()).collect();
        for item in &due {
            self.waiting.remove(item);
        }
        due
    }

    /// Takes everything, due or not.
    pub(super) fn take_all(&mut self) -> Vec<Item> {
        std::mem::take(&mut self.waiting).into_keys().collect()
    }
}

impl Rhythm {
    /// The first moment from `at` on at which a look is allowed.
    fn allowed(&self, at: Instant) -> Instant {
        self.spent_until.and_then(|until| until.checked_sub(CREDIT)).map_or(at, |from| from.max(at))
    }

    fn looked(&mut self, seen: Seen, now: Instant) {
        let cost = match seen {
            Seen::Nothing => Duration::ZERO,
            Seen::Commits => SLOW_PACE,
            Seen::News | Seen::Failure => PACE,
        };
        self.spent_until = Some(self.spent_until.map_or(now, |until| until.max(now)) + cost);
        // After a commit, and after an event that meant none yet, from the beginning.
        let wait = match self.glance.take() {
            Some((_, before)) if seen == Seen::Nothing => before * 2,
            _ => QUIET,
        };
        let is_over = wait > LAST_GLANCE || seen == Seen::Failure;
        self.glance = (!is_over).then(|| (self.allowed(now + wait), wait));
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

    /// What a look at a quiet database costs in time, in events and in looks.
    #[test]
    fn a_database_is_looked_at_at_once_and_then_at_a_pace() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut pending = Pending::default();
        // Four looks after a quiet time, each as soon as it was quiet for a moment …
        for ms in [0, 100, 200, 300] {
            pending.touch(Item::Database, at(ms));
            assert_eq!(pending.take_due(at(ms + 29)), []);
            assert_eq!(pending.take_due(at(ms + 30)), [Item::Database]);
            pending.looked(Seen::News, at(ms + 30));
        }
        // … and then one in five seconds, however much is written.
        let looks = (400..20_400).step_by(10).filter(|ms| {
            pending.touch(Item::Database, at(*ms));
            let is_due = pending.take_due(at(*ms)) == [Item::Database];
            if is_due {
                pending.looked(Seen::News, at(*ms));
            }
            is_due
        });
        assert_eq!(looks.collect::<Vec<_>>(), [5_030, 10_030, 15_030, 20_030]);
        // It is quiet for long enough.
        pending.touch(Item::Database, at(60_000));
        assert_eq!(pending.take_due(at(60_030)), [Item::Database]);
    }

    #[test]
    fn an_event_without_a_commit_costs_no_pace() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut pending = Pending::default();
        for ms in (0..100_000).step_by(50) {
            pending.touch(Item::Database, at(ms));
            assert_eq!(pending.take_due(at(ms + 30)), [Item::Database]);
            pending.looked(Seen::Nothing, at(ms + 30));
        }
    }

    /// A commit of which no event tells is found by one of the glances after the last event; then there is peace.
    #[test]
    fn after_an_event_a_database_is_compared_again_and_again_for_a_while() {
        let start = Instant::now();
        let mut pending = Pending::default();
        pending.touch(Item::Database, start);
        let mut glances = Vec::new();
        while let Some(next) = pending.next() {
            assert_eq!(pending.take_due(next), [Item::Database]);
            pending.looked(Seen::Nothing, next);
            glances.push((next - start).as_millis());
        }
        assert_eq!(glances, [30, 60, 120, 240, 480, 960, 1_920, 3_840, 7_680]);
        // One that finds something begins anew.
        let later = start + Duration::from_secs(60);
        pending.touch(Item::Database, later);
        assert_eq!(pending.take_due(later + QUIET), [Item::Database]);
        pending.looked(Seen::Nothing, later + QUIET);
        let glance = pending.next().unwrap();
        pending.take_due(glance);
        pending.looked(Seen::News, glance);
        assert_eq!(pending.next(), Some(glance + QUIET));
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
