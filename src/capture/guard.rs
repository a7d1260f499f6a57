//! Which sessions their tool will delete next, and whether the archive has them to the last byte. Writes nothing.

use super::database::AtHand;
use super::file::Placed;
use super::{Capture, Ground, file, scan};
use crate::error::{Error, Result};
use crate::store::{GuardedFile, SessionRow, Store};
use crate::tools::{self, Clock, Retention};
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

/// A session that its tool still has.
#[derive(Clone, Debug)]
pub struct Endangered {
    /// Its id in the tool.
    pub native_id: String,
    /// Its main file.
    pub path: PathBuf,
    /// That file's bytes on disk.
    pub bytes: u64,
    /// How many of them are archived.
    pub archived: u64,
    /// All of its files are archived to the last byte.
    pub safe: bool,
    /// What it is in the archive; `None` where nothing of it was captured.
    pub row: Option<SessionRow>,
    /// When the tool may delete it, in milliseconds; past: at its next start. `None`: never.
    pub due: Option<i64>,
    /// Where its tool counts it as touched, in milliseconds.
    touched: i64,
}

/// What a look at a tool's sessions gave.
#[derive(Debug, Default)]
pub struct Guarded {
    /// Those first that go first.
    pub sessions: Vec<Endangered>,
    /// Folders, or a database, that could not be read.
    pub errors: Unread,
}

/// What could not be read, and why.
type Unread = Vec<(PathBuf, Error)>;

/// Compares the sessions that a tool has with the archive.
pub fn guard(capture: &mut Capture<'_>) -> Result<Guarded> {
    let (mut files, mut errors) = files(capture)?;
    if let Some(database) = capture.tool.database() {
        match capture.rows_at_hand(database) {
            Ok(rows) => files.extend(rows.into_iter().map(Found::of_rows)),
            Err(error) => errors.push((database.root(capture.home).join(database.path()), error)),
        }
    }
    let mut sessions = BTreeMap::<String, Vec<Found>>::new();
    for file in files {
        sessions.entry(file.native_id.clone()).or_default().push(file);
    }
    let retention = capture.tool.retention(capture.home);
    let mut all = Vec::new();
    for (native_id, files) in sessions {
        let row = capture.store.find_native(capture.tool.id(), &native_id)?;
        // What a person deleted here is nobody's worry.
        if row.as_ref().is_none_or(|row| row.deleted_at.is_none()) {
            all.extend(judge(capture.store, native_id, files, row, &retention)?);
        }
    }
    apply_count(&mut all, retention.most);
    all.sort_by(|a, b| (a.due.unwrap_or(i64::MAX), &a.path).cmp(&(b.due.unwrap_or(i64::MAX), &b.path)));
    Ok(Guarded { sessions: all, errors })
}

/// The tool's files, and the folders that could not be read.
fn files(capture: &mut Capture<'_>) -> Result<(Vec<Found>, Unread)> {
    let found = capture.scan()?;
    let changed: HashSet<PathBuf> = found.changed.into_iter().collect();
    let mut files = Vec::new();
    let mut known = HashSet::new();
    let ground = Ground::of(capture.tool, capture.home);
    for file in capture.store.guarded_files(capture.tool.id())? {
        let path = PathBuf::from(&file.path);
        // The tool here knows nothing of another home's files.
        if !path.starts_with(&ground.root) {
            continue;
        }
        known.insert(path.clone());
        files.extend(Found::of_known(file, changed.contains(&path)));
    }
    for path in changed.difference(&known) {
        if let Some(placed) = file::whose(&ground, path) {
            files.extend(Found::of_new(placed, path));
        }
    }
    Ok((files, found.errors))
}

/// One file of a session, or its rows.
struct Found {
    native_id: String,
    stream: String,
    path: PathBuf,
    bytes: u64,
    changed_at: i64,
    archived: u64,
    safe: bool,
}

impl Found {
    /// A file that was captured before; `None` where it is not there any more.
    fn of_known(file: GuardedFile, changed: bool) -> Option<Found> {
        let path = PathBuf::from(file.path);
        let metadata = path.symlink_metadata().ok()?;
        let is_compressed = path.extension().is_some_and(|extension| extension == "zst");
        let bytes = metadata.len();
        Some(Found {
            native_id: file.native_id,
            stream: file.stream,
            changed_at: scan::mtime_ns(&metadata) / 1_000_000,
            safe: !changed && !file.failed && (is_compressed || file.archived >= bytes),
            archived: file.archived,
            path,
            bytes,
        })
    }

    fn of_rows(rows: AtHand) -> Found {
        let AtHand { native_id, stream, path, archived, waiting } = rows;
        // Rows have no time of their own; what their session says is as good.
        Found { native_id, stream, path, bytes: archived + waiting, changed_at: 0, archived, safe: waiting == 0 }
    }

    fn of_new(placed: Placed, path: &Path) -> Option<Found> {
        let Placed { native_id, stream, .. } = placed;
        let metadata = path.symlink_metadata().ok()?;
        let changed_at = scan::mtime_ns(&metadata) / 1_000_000;
        let (path, bytes) = (path.to_owned(), metadata.len());
        Some(Found { native_id, stream, path, bytes, changed_at, archived: 0, safe: false })
    }
}

/// A session by its main file; `None` where the tool has only other files of it.
fn judge(
    store: &Store,
    native_id: String,
    files: Vec<Found>,
    row: Option<SessionRow>,
    retention: &Retention,
) -> Result<Option<Endangered>> {
    let safe = files.iter().all(|file| file.safe);
    // Of several files, the one that the session is named by.
    let mains = files.into_iter().filter(|file| tools::base_name(&file.stream) == "main");
    let Some(main) = mains.min_by_key(|file| file.stream.len()) else { return Ok(None) };
    let said = match (retention.clock, &row) {
        (Clock::LastActivity, Some(row)) => store.summary(row.id)?.updated_at,
        _ => None,
    };
    let touched = said.unwrap_or(main.changed_at);
    let due = retention.after.map(|after| touched.saturating_add(after.as_millis() as i64));
    let Found { path, bytes, archived, .. } = main;
    Ok(Some(Endangered { native_id, path, bytes, archived, safe, row, due, touched }))
}

/// What is beyond the newest `most` of a folder goes at the tool's next start.
fn apply_count(sessions: &mut [Endangered], most: Option<u64>) {
    let Some(most) = most else { return };
    sessions.sort_by(|a, b| (a.path.parent(), b.touched).cmp(&(b.path.parent(), a.touched)));
    for folder in sessions.chunk_by_mut(|a, b| a.path.parent() == b.path.parent()) {
        for session in folder.iter_mut().skip(most as usize) {
            session.due = Some(session.touched.min(session.due.unwrap_or(i64::MAX)));
        }
    }
}
