//! Finds files that look different from what we last saw: a walk that compares size, modification time and inode. It
//! reads no file and writes nothing.

use super::{Capture, Ground, database};
use crate::error::{Error, Result};
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What a scan found.
#[derive(Debug, Default)]
pub struct Scan {
    /// New or changed files.
    pub changed: Vec<PathBuf>,
    /// Files that we know and that are no longer there.
    pub missing: Vec<PathBuf>,
    /// Folders that could not be read.
    pub errors: Vec<(PathBuf, Error)>,
}

type Known = HashMap<String, (u64, i64, u64, bool, bool)>;

impl Capture<'_> {
    /// Compares everything below the tool's folders with what we know.
    pub fn scan(&mut self) -> Result<Scan> {
        let mut known = self.store.known_files(self.tool.id())?;
        let Ground { root, database, .. } = Ground::of(self.tool, self.home);
        let folders: Vec<PathBuf> = self.tool.folders().iter().map(|folder| root.join(folder)).collect();
        let rows = database.map(|database| database::file_name(&database, ""));
        // Files of another home are looked at when that home is imported; and a database's sessions are none.
        let is_row = |path: &str| rows.as_ref().is_some_and(|rows| path.starts_with(rows.as_str()));
        known.retain(|path, _| !is_row(path) && folders.iter().any(|folder| Path::new(path).starts_with(folder)));
        let mut scan = Scan::default();
        for folder in folders {
            walk(&folder, &mut known, &mut scan);
        }
        scan.miss(known);
        Ok(scan)
    }

    /// Compares one file or folder and what is below it: the watcher misses files that were made before it could watch
    /// their folder, and of a folder that was moved away it says nothing about the files in it.
    pub fn scan_folder(&mut self, folder: &Path) -> Result<Scan> {
        let mut known = self.store.known_below(self.tool.id(), &folder.to_string_lossy())?;
        let mut scan = Scan::default();
        walk(folder, &mut known, &mut scan);
        scan.miss(known);
        Ok(scan)
    }
}

impl Scan {
    /// What is left of the known files was not found. A folder that could not be read says nothing about its files.
    fn miss(&mut self, known: Known) {
        self.missing = known.into_iter().filter(|(_, (.., gone, _))| !gone).map(|(path, _)| path.into()).collect();
        self.missing.retain(|path| !self.errors.iter().any(|(folder, _)| path.starts_with(folder)));
        self.missing.sort();
    }
}

/// The folder itself may be a symbolic link; nothing below it is followed.
pub(super) fn resolve(root: &Path) -> PathBuf {
    root.canonicalize().unwrap_or_else(|_| root.to_owned())
}

fn walk(folder: &Path, known: &mut Known, scan: &mut Scan) {
    for entry in walkdir::WalkDir::new(folder).follow_links(false).sort_by_file_name() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) if error.io_error().is_some_and(|e| e.kind() == std::io::ErrorKind::NotFound) => continue,
            Err(error) => {
                let path = error.path().unwrap_or(folder).to_owned();
                let what = format!("{} can't be read", path.display());
                let cause = error.into_io_error().unwrap_or_else(|| std::io::Error::other("links form a loop"));
                let error = match cause.kind() {
                    std::io::ErrorKind::PermissionDenied => {
                        Error::failed(what).hint(format!("chmod u+rx {}, or chown it to yourself", path.display()))
                    }
                    _ => Error::failed(what),
                };
                scan.errors.push((path, error.because(cause)));
                continue;
            }
        };
        if !entry.file_type().is_file() {
            continue;
        }
        let Ok(metadata) = entry.metadata() else { continue };
        let path = entry.path().to_string_lossy();
        let now = (metadata.len(), mtime_ns(&metadata), metadata.ino(), false, false);
        if known.remove(path.as_ref()) != Some(now) {
            scan.changed.push(entry.into_path());
        }
    }
}

pub(super) fn mtime_ns(metadata: &std::fs::Metadata) -> i64 {
    metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec())
}
