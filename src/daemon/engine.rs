//! The daemon's work: what the watcher tells becomes captures, in small pieces, so that a signal never waits long.
//!
//! Everything happens on one thread: the archive has one writer anyway, memory is given back as a whole, and nothing is
//! ever cancelled in the middle of a transaction.

use super::autosync::Autosync;
use super::log::{Level, Log};
use super::pending::{Item, Pending, Seen};
use super::status::{SETTING, Saved, SavedWatcher, State};
use super::watch::{Change, Told, Watch};
use crate::capture::{Capture, Report, Scan};
use crate::error::{Error, Result};
use crate::home::Home;
use crate::settings;
use crate::store::Store;
use crate::tools::database::Depth;
use crate::tools::{self, Tool};
use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// Files of a scan, and about how many bytes of them, that are captured before signals and fresh events are looked at
/// again.
const BATCH: (usize, u64) = (64, 4 << 20);
/// KiB of the archive's pages that are kept. Capture is no slower with it than with more.
const PAGES: i64 = 2048;
/// After so long without work, memory is given back.
const REST_AFTER: Duration = Duration::from_secs(2);
/// Everything is compared so often, in case an event was missed.
const SAFETY: Duration = Duration::from_secs(600);
/// The same for a tool whose changes the system can't tell.
const POLL: Duration = Duration::from_secs(5);
/// How long to wait while the archive can't be written: first, and at most.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// The clocks disagree by more than this: the machine slept.
const SLEPT: Duration = Duration::from_secs(30);

/// One tool's work.
struct Work {
    tool: &'static dyn Tool,
    pending: Pending,
    /// What a scan found.
    backlog: VecDeque<PathBuf>,
    /// The next look at the tool's database compares everything.
    everything: bool,
    /// Why the newest scan or capture failed.
    error: Option<String>,
    /// What the newest scan could not read; each is logged once.
    unread: BTreeSet<String>,
    /// The person does not want it captured; looked up at every scan of everything.
    off: bool,
}

impl Work {
    /// A tool's database, which tells more than what lies beside it, comes first.
    fn has_ready_backlog(&self) -> bool {
        !self.backlog.is_empty() && !self.everything
    }
}

/// A running capture into one archive.
pub(super) struct Engine<'a> {
    home: &'a Home,
    store: Store,
    watch: Watch,
    works: Vec<Work>,
    pub(super) log: Log,
    saved: Saved,
    archive: Option<(u64, u64)>,
    clocks: (Instant, SystemTime),
    layout_changed: bool,
    safety_at: Instant,
    poll_at: Option<Instant>,
    rest_at: Option<Instant>,
    retry: Option<Retry>,
    tally: Tally,
    autosync: Autosync,
}

/// The archive can't be written (a full disk, another process that holds it): nothing is tried before `at`.
#[derive(Clone, Copy)]
struct Retry {
    at: Instant,
    delay: Duration,
}

/// What was captured since the last scan of everything began.
struct Tally {
    begun: Option<Instant>,
    files: u64,
    bytes: u64,
}

impl<'a> Engine<'a> {
    /// Watches, then compares everything: what happens in between is told by the watcher.
    pub(super) fn start(
        home: &'a Home,
        tell: smol::channel::Sender<Told>,
        since: jiff::Timestamp,
    ) -> Result<Engine<'a>> {
        let mut store = Store::open(home)?;
        store.keep_small(PAGES)?;
        let log = Log::open(home, Level::configured(&store))?;
        let now = Instant::now();
        let work = |tool: &&'static dyn Tool| Work {
            tool: *tool,
            pending: Pending::default(),
            backlog: VecDeque::new(),
            everything: false,
            error: None,
            unread: BTreeSet::new(),
            off: false,
        };
        let mut engine = Engine {
            home,
            store,
            watch: Watch::new(home, tell),
            works: tools::ALL.iter().map(work).collect(),
            log,
            saved: Saved {
                pid: std::process::id(),
                since,
                version: env!("CARGO_PKG_VERSION").to_owned(),
                watchers: std::collections::BTreeMap::new(),
            },
            archive: identity(&home.database()),
            clocks: (now, SystemTime::now()),
            layout_changed: false,
            safety_at: now,
            poll_at: None,
            rest_at: None,
            retry: None,
            tally: Tally { begun: None, files: 0, bytes: 0 },
            autosync: Autosync::default(),
        };
        engine.autosync.reload(&engine.store, now);
        engine.log.line(Level::Info, &format!("started, pid {}, archive {}", std::process::id(), home.data.display()));
        engine.scan_everything();
        engine.tell_state();
        Ok(engine)
    }

    /// When there is something to do without a further event.
    pub(super) fn next(&self) -> Instant {
        let backlog = self.works.iter().any(Work::has_ready_backlog).then_some(self.clocks.0);
        let pending = self.works.iter().filter_map(|work| work.pending.next()).min();
        let work = backlog.or(pending).map(|at| self.retry.map_or(at, |retry| at.max(retry.at)));
        [work, self.poll_at, self.rest_at, self.autosync.next()]
            .into_iter()
            .flatten()
            .fold(self.safety_at, Instant::min)
    }

    /// Takes note of what the watcher told.
    pub(super) fn absorb(&mut self, told: Told) {
        let now = Instant::now();
        if let Err(error) = &told {
            self.log.line(Level::Warn, &format!("the watcher reports: {error}"));
        }
        for change in self.watch.changes(told) {
            match change {
                Change::Look(tool, item) => self.touch(tool, item, now),
                Change::Layout => self.layout_changed = true,
                Change::Lost => self.safety_at = now,
            }
        }
    }

    /// Compares everything at the next opportunity.
    pub(super) fn scan_soon(&mut self) {
        self.safety_at = Instant::now();
        self.autosync.reload(&self.store, self.safety_at);
    }

    /// The archive that we write into is no longer the one in its place.
    pub(super) fn archive_was_replaced(&self) -> bool {
        identity(&self.home.database()) != self.archive
    }

    /// Does what is due, in one small piece.
    pub(super) fn turn(&mut self) {
        let now = Instant::now();
        if self.layout_changed {
            self.renew(now);
        }
        if self.safety_at <= now || self.slept(now) {
            self.scan_everything();
        } else if self.poll_at.is_some_and(|at| at <= now) {
            self.poll(now);
        }
        self.clocks = (now, SystemTime::now());
        if self.retry.is_none_or(|retry| retry.at <= now) {
            self.work(now);
        }
        if self.rest_at.is_some_and(|at| at <= now) {
            self.rest();
        }
        self.autosync.turn(self.home, &self.store, now, &mut self.log);
        self.tell_state();
    }

    /// Captures what waits, due or not, and closes the books.
    pub(super) fn drain(&mut self) {
        for tool in 0..self.works.len() {
            let items = self.works[tool].pending.take_all();
            if let Err(error) = self.perform(tool, &items) {
                self.log.line(Level::Warn, &format!("left for the next start: {}", error.message()));
            }
        }
        self.rest();
        self.log.line(Level::Info, "stopped");
    }

    fn touch(&mut self, tool: usize, item: Item, now: Instant) {
        if let Some(work) = self.works.get_mut(tool).filter(|work| !work.off) {
            work.pending.touch(item, now);
        }
    }

    fn renew(&mut self, now: Instant) {
        self.layout_changed = false;
        for change in self.watch.renew() {
            if let Change::Look(tool, item) = change {
                self.touch(tool, item, now);
            }
        }
        // What could not be read may be readable now.
        for tool in 0..self.works.len() {
            if self.works[tool].error.is_some() {
                self.scan(tool);
            }
        }
    }

    /// Monotonic time stands still while a machine sleeps, the wall clock does not. Whatever the cause of a difference,
    /// comparing everything is right.
    fn slept(&self, now: Instant) -> bool {
        let monotonic = now - self.clocks.0;
        let wall = self.clocks.1.elapsed().unwrap_or_default();
        wall.abs_diff(monotonic) > SLEPT
    }

    fn scan_everything(&mut self) {
        let now = Instant::now();
        self.safety_at = now + SAFETY;
        self.tally = Tally { begun: Some(now), files: 0, bytes: 0 };
        self.log.set_level(Level::configured(&self.store));
        // What this finds new is compared below with everything else.
        let _ = self.watch.renew();
        for tool in 0..self.works.len() {
            self.scan(tool);
        }
        self.rest_at = Some(now + REST_AFTER);
    }

    fn poll(&mut self, now: Instant) {
        self.poll_at = None;
        let polled: Vec<usize> =
            (0..self.works.len()).filter(|tool| self.watch.state(*tool).0 == State::Polling).collect();
        if self.watch.is_refused() {
            for change in self.watch.renew() {
                if let Change::Look(tool, item) = change
                    && !polled.contains(&tool)
                {
                    self.touch(tool, item, now);
                }
            }
        }
        for tool in polled {
            self.scan(tool);
        }
    }

    fn scan(&mut self, tool: usize) {
        let work = &mut self.works[tool];
        work.off = !settings::captures(&self.store, work.tool.id()).unwrap_or(true);
        if work.off {
            work.pending.take_all();
            work.backlog.clear();
            return;
        }
        if work.tool.database().is_some() {
            work.everything = true;
            work.pending.touch(Item::Database, Instant::now());
        }
        let outcome = self.capture(tool).scan();
        let work = &mut self.works[tool];
        work.error = None;
        match outcome {
            Ok(scan) => {
                work.backlog = scan.changed.into();
                let now = Instant::now();
                for path in scan.missing {
                    work.pending.touch(Item::Gone(path), now);
                }
                work.pending.touch(Item::Indexes, now);
                work.unread.retain(|text| scan.errors.iter().any(|(_, error)| error.message() == *text));
                self.note_errors(tool, scan.errors);
            }
            Err(error) => self.fail(tool, &error),
        }
    }

    /// Fresh events first: a session that is being written is worth more than what has lain there for months.
    fn work(&mut self, now: Instant) {
        let mut worked = false;
        for tool in 0..self.works.len() {
            let items = self.works[tool].pending.take_due(now);
            if items.is_empty() {
                continue;
            }
            worked = true;
            if let Err(error) = self.perform(tool, &items) {
                // What was done of them is found unchanged the next time.
                for item in items {
                    self.touch(tool, item, now);
                }
                return self.back_off(tool, &error);
            }
        }
        if !worked && let Some(tool) = self.works.iter().position(Work::has_ready_backlog) {
            worked = true;
            let batch = take_batch(&mut self.works[tool].backlog);
            if let Err(error) = self.files(tool, batch.clone()) {
                self.works[tool].backlog.extend(batch);
                return self.back_off(tool, &error);
            }
        }
        if worked {
            if self.retry.take().is_some() {
                self.works.iter_mut().for_each(|work| work.error = None);
            }
            self.rest_at = Some(now + REST_AFTER);
        }
        self.tell_caught_up();
    }

    fn perform(&mut self, tool: usize, items: &[Item]) -> Result<()> {
        let mut files = Vec::new();
        for item in items {
            match item {
                Item::File(path) => files.push(path.clone()),
                Item::Folder(path) => {
                    self.watch.cover(path);
                    self.compare(tool, path)?;
                }
                Item::Database => self.database(tool)?,
                Item::Indexes | Item::Gone(_) => {}
            }
        }
        self.files(tool, files)?;
        for item in items {
            match item {
                Item::Indexes => self.capture(tool).read_indexes()?,
                Item::Gone(path) => self.compare(tool, path)?,
                Item::File(_) | Item::Folder(_) | Item::Database => {}
            }
        }
        Ok(())
    }

    /// A file or folder that came or went: captures what is there, marks what is not.
    fn compare(&mut self, tool: usize, place: &Path) -> Result<()> {
        let Scan { changed, missing, errors } = self.capture(tool).scan_folder(place)?;
        self.note_errors(tool, errors);
        self.files(tool, changed)?;
        for path in missing {
            self.capture(tool).mark_gone(&path)?;
            self.log.line(Level::Info, &format!("gone, but safe here: {}", path.display()));
        }
        Ok(())
    }

    fn files(&mut self, tool: usize, paths: Vec<PathBuf>) -> Result<()> {
        if paths.is_empty() {
            return Ok(());
        }
        let Report { files, bytes, errors, .. } = self.capture(tool).files(paths, &mut |_| ())?;
        self.tally.files += files;
        self.tally.bytes += bytes;
        if files > 0 {
            let name = self.works[tool].tool.id();
            self.log.line(Level::Debug, &format!("{name}: {files} files, {bytes} bytes"));
        }
        let mut full = None;
        for (path, error) in errors {
            // The archive remembers each file's error; a scan tries such a file again.
            self.log.line(Level::Error, &format!("not captured: {}: {}", path.display(), error.message()));
            full = full.or(Some(error).filter(Error::is_disk_full));
        }
        full.map_or(Ok(()), Err)
    }

    fn database(&mut self, tool: usize) -> Result<()> {
        let everything = std::mem::take(&mut self.works[tool].everything);
        let depth = if everything { Depth::Everything } else { Depth::Newest };
        let Some(report) = self.capture(tool).database(depth, &mut |_| ())? else {
            self.works[tool].pending.looked(Seen::Nothing, Instant::now());
            return Ok(());
        };
        let seen = match (report.errors.len(), report.files) {
            (0, 0) => Seen::Commits,
            (0, _) => Seen::News,
            _ => Seen::Failure,
        };
        self.works[tool].pending.looked(seen, Instant::now());
        self.tally.files += report.files;
        self.tally.bytes += report.bytes;
        let name = self.works[tool].tool.id();
        if report.files > 0 {
            self.log.line(Level::Debug, &format!("{name}: {} sessions, {} bytes", report.files, report.bytes));
        }
        for note in report.notes {
            self.log.line(Level::Warn, &format!("{name}: {note}"));
        }
        let before = self.works[tool].error.take();
        if let Some((_, error)) = report.errors.into_iter().next() {
            if before.as_ref() == Some(&error.message()) {
                self.works[tool].error = before;
            } else {
                self.fail(tool, &error);
                // It may have been busy: once more before the next event.
                self.works[tool].everything = true;
                self.works[tool].pending.touch(Item::Database, Instant::now());
            }
        }
        Ok(())
    }

    fn capture(&mut self, tool: usize) -> Capture<'_> {
        Capture { home: self.home, store: &mut self.store, tool: self.works[tool].tool }
    }

    /// A folder can't be read; the others can.
    fn note_errors(&mut self, tool: usize, errors: Vec<(PathBuf, Error)>) {
        for (_, error) in errors {
            if self.works[tool].unread.insert(error.message()) {
                self.fail(tool, &error);
            } else {
                self.works[tool].error = Some(error.message());
            }
        }
    }

    fn fail(&mut self, tool: usize, error: &Error) {
        let work = &mut self.works[tool];
        let text = error.message();
        self.log.line(Level::Error, &format!("{}: {text}", work.tool.id()));
        work.error = Some(text);
    }

    fn back_off(&mut self, tool: usize, error: &Error) {
        let delay = self.retry.map_or(RETRY.0, |retry| (retry.delay * 2).min(RETRY.1));
        self.retry = Some(Retry { at: Instant::now() + delay, delay });
        self.fail(tool, error);
        self.log.line(Level::Warn, &format!("nothing is lost; trying again in {} s", delay.as_secs()));
    }

    fn rest(&mut self) {
        self.rest_at = None;
        if let Err(error) = self.store.rest() {
            self.log.line(Level::Debug, &format!("the archive could not be tidied: {}", error.message()));
        }
    }

    fn tell_caught_up(&mut self) {
        if self.works.iter().any(|work| !work.backlog.is_empty()) {
            return;
        }
        if let Some(begun) = self.tally.begun.take() {
            let Tally { files, bytes, .. } = self.tally;
            let seconds = begun.elapsed().as_secs_f32();
            // The safety scan finds nothing, as a rule.
            let level = if files == 0 { Level::Debug } else { Level::Info };
            self.log.line(level, &format!("caught up: {files} files, {bytes} bytes in {seconds:.1} s"));
        }
    }

    /// Leaves in the archive what `sfs daemon status` can't see from outside; only when it changed.
    fn tell_state(&mut self) {
        let mut polling = false;
        let mut watchers = std::collections::BTreeMap::new();
        for (number, work) in self.works.iter().enumerate() {
            let (state, trouble) = if work.off { (State::Off, None) } else { self.watch.state(number) };
            polling |= state == State::Polling;
            watchers.insert(work.tool.id().to_owned(), SavedWatcher { state, error: trouble.or(work.error.clone()) });
        }
        if self.poll_at.is_none() && polling {
            self.poll_at = Some(Instant::now() + POLL);
        }
        if watchers == self.saved.watchers {
            return;
        }
        for (tool, now) in watchers.iter().filter(|(tool, now)| self.saved.watchers.get(*tool) != Some(now)) {
            let error = now.error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
            self.log.line(Level::Info, &format!("{tool} is {}{error}", now.state.as_str()));
        }
        let before = std::mem::replace(&mut self.saved.watchers, watchers);
        if let Err(error) = self.store.set_setting(SETTING, &self.saved) {
            // Tried again at the next turn.
            self.saved.watchers = before;
            self.log.line(Level::Warn, &format!("the state could not be stored: {}", error.message()));
        }
    }
}

fn take_batch(backlog: &mut VecDeque<PathBuf>) -> Vec<PathBuf> {
    let mut batch = Vec::new();
    let mut bytes = 0;
    while batch.len() < BATCH.0 && bytes < BATCH.1 {
        let Some(path) = backlog.pop_front() else { break };
        bytes += path.metadata().map_or(0, |metadata| metadata.len());
        batch.push(path);
    }
    batch
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    path.metadata().ok().map(|metadata| (metadata.ino(), metadata.dev()))
}
