//! Capture: native files → bytes and messages → store. The daemon, `sfs import` and the tests all call this.
//!
//! A step is one transaction: the new bytes, what was derived from them and the reader's state are stored together, so a
//! crash at any point costs nothing and repeats nothing. Cost follows what changed: an unchanged file costs one `stat`.
//!
//! - [`scan`] finds files that look different from what we last saw,
//! - [`mod@file`] decides what a difference means (growth, rewrite, move) and archives the bytes,
//! - [`mod@guard`] says which files their tools will delete next, and whether the archive has them,
//! - [`mod@purge`] takes a session out of the archive for good,
//! - [`database`] does both for tools whose sessions are rows of a database,
//! - [`mod@stray`] takes in a single file from outside every tool's folder,
//! - [`sfs`] takes in portable folders, which no tool wrote here, [`written`] what we write ourselves,
//! - [`mod@derive`] reads new lines and fills the derived tables; rebuilding them is the same code over archived bytes.

mod arrival;
mod branches;
mod database;
mod derive;
mod facts;
mod file;
mod guard;
mod purge;
mod scan;
mod sfs;
mod stray;
mod written;

pub use arrival::Arrival;
pub use derive::{is_rebuilding, is_whole_object, rebuild};
pub use facts::STREAM as FACTS;
pub use guard::{Endangered, Guarded, guard};
pub use purge::purge;
pub use scan::Scan;
pub use sfs::{Imported, Parcel, Received, import_sfs, sfs_folders, take_copy};
pub use stray::stray;
pub use written::{MovedStream, Unborn, archive_move, archive_session};

use crate::error::{Error, Result};
use crate::home::Home;
use crate::store::{NativeFile, Store};
use crate::tools::database::Depth;
use crate::tools::{Tool, foreign};
use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

/// A transaction takes about so many new bytes; a larger file goes through in several.
const STEP: usize = 8 << 20;
/// And at most so many files.
const STEP_FILES: usize = 1024;

/// What a capture did.
#[derive(Debug, Default)]
pub struct Report {
    /// Files looked into because they had changed.
    pub files: u64,
    /// Bytes archived.
    pub bytes: u64,
    /// Sessions' rows that got bytes.
    pub sessions: BTreeSet<i64>,
    /// What could not be captured: file and reason. Everything else was.
    pub errors: Vec<(PathBuf, Error)>,
    /// What is there and was not taken for a session, in words.
    pub notes: Vec<String>,
}

/// Captures from one tool into the archive.
pub struct Capture<'a> {
    /// Where things are.
    pub home: &'a Home,
    /// The archive.
    pub store: &'a mut Store,
    /// Whose files.
    pub tool: &'static dyn Tool,
}

impl Capture<'_> {
    /// Looks at everything that the tool has, archives what changed and marks what is gone.
    pub fn all(&mut self, progress: &mut dyn FnMut(&Report)) -> Result<Report> {
        let mut report = self.database(Depth::Everything, progress)?.unwrap_or_default();
        let scan = self.scan()?;
        report.absorb(self.files(scan.changed, progress)?);
        report.errors.extend(scan.errors);
        for path in scan.missing {
            self.mark_gone(&path)?;
        }
        self.read_indexes()?;
        Ok(report)
    }

    /// Archives what changed in the files at `paths`. A file that can't be captured does not stop the others.
    pub fn files(&mut self, paths: Vec<PathBuf>, progress: &mut dyn FnMut(&Report)) -> Result<Report> {
        self.catch_up()?;
        let ground = Ground::of(self.tool, self.home);
        let mut report = Report::default();
        let mut waiting: VecDeque<PathBuf> = paths.into();
        let mut unfinished: Option<file::Progress> = None;
        let mut alone = VecDeque::new();
        while unfinished.is_some() || !waiting.is_empty() {
            let mut step = Step { ground: &ground, report: Report::default(), taken: Vec::new() };
            match self.store.write(|store| step.run(store, &mut unfinished, &mut waiting)) {
                Ok(()) => report.absorb(step.report),
                // Nothing was taken: the archive itself can't be written, whatever the file.
                Err(error) if error.is_disk_full() || step.taken.is_empty() => return Err(error),
                Err(_) => {
                    unfinished = None;
                    alone.extend(step.taken);
                }
            }
            progress(&report);
        }
        for path in alone {
            self.one_by_one(&ground, path, &mut report);
            progress(&report);
        }
        Ok(report)
    }

    fn catch_up(&mut self) -> Result<()> {
        if derive::is_current(self.store)? { Ok(()) } else { self.store.write(derive::catch_up) }
    }

    /// The second try of a file whose transaction failed together with others'.
    fn one_by_one(&mut self, ground: &Ground, path: PathBuf, report: &mut Report) {
        let mut waiting = VecDeque::from([path.clone()]);
        let mut unfinished = None;
        while unfinished.is_some() || !waiting.is_empty() {
            let mut step = Step { ground, report: Report::default(), taken: Vec::new() };
            match self.store.write(|store| step.run(store, &mut unfinished, &mut waiting)) {
                Ok(()) => report.absorb(step.report),
                Err(error) => {
                    // Where even this can't be stored (a full disk), the error is still in the report.
                    let _ = self.remember_error(&path, &error);
                    report.errors.push((path, error));
                    return;
                }
            }
        }
    }

    fn remember_error(&mut self, path: &Path, error: &Error) -> Result<()> {
        let path = path.to_string_lossy().into_owned();
        let tool = self.tool.id().to_owned();
        self.store.write(|store| {
            let known = store.native_file(&path)?;
            let file = known.unwrap_or(NativeFile {
                tool,
                path,
                stream: None,
                size: 0,
                mtime_ns: 0,
                inode: 0,
                head: Vec::new(),
                captured_at: 0,
                gone_at: None,
                error: None,
            });
            let captured_at = jiff::Timestamp::now().as_millisecond();
            store.save_native_file(&NativeFile { captured_at, error: Some(error.message()), ..file })
        })
    }

    /// The tool no longer has the file at `path`, if that is true; the archive keeps it.
    pub fn mark_gone(&mut self, path: &Path) -> Result<()> {
        if path.symlink_metadata().is_ok() {
            return Ok(());
        }
        let text = path.to_string_lossy().into_owned();
        self.store.write(|store| {
            let Some(mut file) = store.native_file(&text)? else { return Ok(()) };
            let Some(stream) = file.stream else { return store.forget_native_file(&text) };
            if file.gone_at.is_some() {
                return Ok(());
            }
            let now = jiff::Timestamp::now();
            file.gone_at = Some(now.as_millisecond());
            store.save_native_file(&file)?;
            let session = store.stream(stream)?.session;
            facts::append(store, session, &facts::Fact::gone(now, &text, file.mtime_ns))
        })
    }

    /// Reads the tool's own index files, such as titles.
    pub fn read_indexes(&mut self) -> Result<()> {
        let root = self.tool.root(self.home);
        for name in self.tool.index_files() {
            let Some(bytes) = foreign::read_small(&root.join(name)) else { continue };
            let facts = self.tool.read_index(name, &bytes);
            let tool = self.tool.id();
            self.store.write(|store| {
                for (native_id, observation) in facts {
                    facts::observe(store, tool, &native_id, observation)?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

impl Report {
    /// Adds what another report says.
    pub fn absorb(&mut self, other: Report) {
        self.files += other.files;
        self.bytes += other.bytes;
        self.sessions.extend(other.sessions);
        self.errors.extend(other.errors);
        self.notes.extend(other.notes);
    }
}

/// Where a tool keeps its sessions here.
struct Ground {
    tool: &'static dyn Tool,
    /// The folder of its files, and its database.
    root: PathBuf,
    database: Option<PathBuf>,
}

impl Ground {
    fn of(tool: &'static dyn Tool, home: &Home) -> Ground {
        let root = scan::resolve(&tool.root(home));
        let database = tool.database().map(|database| scan::resolve(&database.root(home)).join(database.path()));
        Ground { tool, root, database }
    }
}

/// One transaction's worth of work.
struct Step<'a> {
    ground: &'a Ground,
    report: Report,
    /// All files that it had to do with, from the first or from where the last transaction ended.
    taken: Vec<PathBuf>,
}

impl Step<'_> {
    fn run(
        &mut self,
        store: &mut Store,
        unfinished: &mut Option<file::Progress>,
        waiting: &mut VecDeque<PathBuf>,
    ) -> Result<()> {
        while self.report.bytes < STEP as u64 && self.taken.len() < STEP_FILES {
            let mut progress = if let Some(progress) = unfinished.take() {
                // Where this transaction fails, what it does of that file is undone too.
                self.taken.push(progress.path().to_owned());
                progress
            } else {
                let Some(path) = waiting.pop_front() else { return Ok(()) };
                self.taken.push(path.clone());
                let Some(progress) = file::Progress::open(store, self.ground, &path)? else { continue };
                progress
            };
            let budget = STEP - (self.report.bytes as usize).min(STEP);
            let bytes = progress.advance(store, budget)?;
            self.report.bytes += bytes as u64;
            self.report.files += u64::from(progress.is_done());
            self.report.sessions.insert(progress.session());
            if !progress.is_done() {
                *unfinished = Some(progress);
            }
        }
        Ok(())
    }
}
