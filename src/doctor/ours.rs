//! Our own files, the archive, the daemon and its service.

use super::{Check, State};
use crate::capture;
use crate::daemon::{Installed, Service, Status};
use crate::error::Result;
use crate::home::Home;
use crate::store::Store;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A larger database is only read as a whole where that is asked for.
const QUICK: u64 = 512 << 20;
/// With less room than this, capture may stop at any moment; with less than the other, soon.
const NO_ROOM: u64 = 100 << 20;
const LITTLE_ROOM: u64 = 1 << 30;

/// Whether others can read our files. Files of other programs in the same folder are theirs, and a folder that a person
/// chose with `SFS_HOME` may hold other things too: there only the files count.
pub(super) fn modes(home: &Home, fix: bool) -> Vec<Check> {
    let mut checks: Vec<Check> = our_files(home).iter().filter_map(|path| mode(home, path, fix)).collect();
    if checks.is_empty() {
        checks.push(Check::new("files", State::Ok, format!("only you can read {}", home.short(&home.data))));
    }
    checks
}

fn our_files(home: &Home) -> Vec<PathBuf> {
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("archive.db") || name.starts_with("sfsd.")
    };
    let entries = fs::read_dir(&home.data).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = entries.filter(is_ours).collect();
    files.sort();
    if home.data == home.user.join(".sessionfs") && home.data.is_dir() {
        files.insert(0, home.data.clone());
    }
    files
}

fn mode(home: &Home, path: &Path, fix: bool) -> Option<Check> {
    let metadata = path.symlink_metadata().ok()?;
    let name = home.short(path);
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        let hint = format!("sudo chown -R \"$(id -u)\" {name}");
        return Some(Check::new("files", State::Fail, format!("{name} belongs to another user")).hint(hint));
    }
    let (mode, wanted) = (metadata.permissions().mode() & 0o777, if metadata.is_dir() { 0o700 } else { 0o600 });
    if mode & 0o700 == mode || metadata.is_symlink() {
        return None;
    }
    let open = format!("{name} has mode {mode:04o}: others may read your sessions");
    if !fix {
        return Some(Check::new("files", State::Fail, open).hint("sfs doctor --fix"));
    }
    Some(match fs::set_permissions(path, fs::Permissions::from_mode(wanted)) {
        Ok(()) => Check::new("files", State::Fixed, format!("{name} had mode {mode:04o}, now {wanted:04o}")),
        Err(error) => Check::new("files", State::Fail, format!("{open}; that can't be changed: {error}")),
    })
}

/// Whether there is room for more.
pub(super) fn space(home: &Home) -> Vec<Check> {
    let place = home.data.ancestors().find(|path| path.exists()).unwrap_or(&home.data);
    let Ok(disk) = rustix::fs::statvfs(place) else { return Vec::new() };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let (state, word) = match free {
        0..NO_ROOM => (State::Fail, "only "),
        NO_ROOM..LITTLE_ROOM => (State::Warn, "only "),
        _ => (State::Ok, ""),
    };
    let check = Check::new("disk", state, format!("{word}{} MB are free", free / 1_000_000));
    vec![if state == State::Ok { check } else { check.hint("free some space: what can't be captured can be lost") }]
}

/// Whether the archive is whole.
pub(super) fn archive(home: &Home, store: &Store, all: bool) -> Result<Vec<Check>> {
    let path = home.database();
    let bytes = path.metadata().map(|metadata| metadata.len()).unwrap_or_default();
    let mut checks = Vec::new();
    if bytes > QUICK && !all {
        let what = format!("{} MB large: its pages were not looked at", bytes / 1_000_000);
        checks.push(Check::new("archive", State::Ok, what).hint("sfs doctor --all"));
    } else {
        let damage = store.check_structure()?;
        checks.extend(
            damage.iter().map(|damage| Check::new("archive", State::Fail, damage.what.clone()).hint("sfs admin check")),
        );
    }
    if capture::is_rebuilding(store)? {
        let what = "its index is not whole: a rebuild is under way, or was interrupted";
        checks.push(Check::new("archive", State::Fail, what).hint("sfs admin reindex --local"));
    }
    if checks.is_empty() {
        checks.push(Check::new("archive", State::Ok, "opens and is whole; every byte of it: sfs admin check"));
    }
    Ok(checks)
}

/// Whether something captures, now and after the next login.
pub(super) fn daemon(home: &Home, status: Option<&Status>) -> Vec<Check> {
    let version = env!("CARGO_PKG_VERSION");
    let running = match status.filter(|status| status.running) {
        None => Check::new("daemon", State::Warn, "does not run: what your tools write is not captured")
            .hint("sfs daemon start"),
        Some(status) if status.version.as_deref().is_some_and(|running| running != version) => {
            let running = status.version.as_deref().filter(|text| !text.is_empty()).unwrap_or("an older version");
            Check::new("daemon", State::Warn, format!("{running} runs, and this program is {version}"))
                .hint("sfs daemon restart")
        }
        Some(status) => {
            let pid = status.pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
            Check::new("daemon", State::Ok, format!("runs{pid}"))
        }
    };
    let refused = status.and_then(|status| refused(status.sync.refused));
    [running, service(home)].into_iter().chain(refused).collect()
}

/// What does not get to the server, though it is to.
fn refused(count: u64) -> Option<Check> {
    let sessions = super::sessions_in_words(count);
    let check = || Check::new("sync", State::Warn, format!("the server refused {sessions}"));
    (count > 0).then(|| check().hint("sfs autosync status names them; sfs push ID says why"))
}

fn service(home: &Home) -> Check {
    let check = |state, what: &str| Check::new("service", state, what);
    let installed = Service::here(home).and_then(|service| Ok((service.installed()?, service)));
    match installed {
        Ok((Installed::Current, _)) => check(State::Ok, "the system starts the daemon at every login"),
        Ok((Installed::No, _)) => check(State::Warn, "not installed: after the next login nothing is captured")
            .hint("sfs daemon install --now"),
        Ok((Installed::Older, _)) => {
            check(State::Warn, "starts another program, or for another folder").hint("sfs daemon install --now")
        }
        Ok((Installed::Foreign, service)) => {
            check(State::Ok, &format!("{} is not ours and was left alone", home.short(&service.file)))
        }
        Err(error) => Check::of_error("service", &error),
    }
}
