//! The folder of the server's front: the private socket and temporary files, for one process at a time.

use crate::error::{Context, Error, Result};
use std::fs::{self, DirBuilder, File, Permissions, TryLockError};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A socket's name must be shorter, on every system.
const LONGEST_SOCKET: usize = 100;

/// See the module's description. The socket is removed when this is dropped.
pub(super) struct Folder {
    /// For temporary files.
    pub(super) path: PathBuf,
    pub(super) socket: PathBuf,
    /// The folder itself, locked as long as this process lives.
    _lock: File,
    /// Where the socket lies if `path` is too long for one.
    _elsewhere: Option<tempfile::TempDir>,
}

impl Folder {
    /// Makes and locks `front` in `data`.
    pub(super) fn take(data: &Path) -> Result<Folder> {
        let path = data.join("front");
        let unusable = || format!("the folder {} can't be used", path.display());
        DirBuilder::new().recursive(true).mode(0o700).create(&path).context(unusable)?;
        fs::set_permissions(&path, Permissions::from_mode(0o700)).context(unusable)?;
        let lock = alone(File::open(&path).context(unusable)?, data)?;
        remove_sockets(&path);
        let mut socket = path.join("http.sock");
        let mut elsewhere = None;
        if socket.as_os_str().as_bytes().len() > LONGEST_SOCKET {
            let own = Permissions::from_mode(0o700);
            let folder = tempfile::Builder::new().prefix("sessionfs-").permissions(own).tempdir().context(unusable)?;
            socket = folder.path().join("http.sock");
            elsewhere = Some(folder);
        }
        Ok(Folder { path, socket, _lock: lock, _elsewhere: elsewhere })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.socket);
    }
}

/// Locks `file`: one server at a time uses the folder `data`. Asks more than once, because a process that is just being started
/// elsewhere in this one holds the lock too, for a moment.
pub(super) fn alone(file: File, data: &Path) -> Result<File> {
    for _ in 0..10 {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(20)),
            Err(TryLockError::Error(error)) => {
                return Err(error).context(|| format!("the folder {} can't be locked", data.display()));
            }
        }
    }
    Err(Error::conflict(format!("another server runs on {}", data.display()))
        .hint("stop it, or choose another folder with --data DIR"))
}

/// What a killed server left.
fn remove_sockets(front: &Path) {
    for entry in fs::read_dir(front).into_iter().flatten().flatten() {
        if entry.path().extension().is_some_and(|extension| extension == "sock") {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn one_process_has_it_and_nobody_else_may_look_in() {
        let data = tempfile::tempdir().unwrap();
        let folder = Folder::take(data.path()).unwrap();
        assert_eq!(fs::metadata(&folder.path).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(Folder::take(data.path()).err().map(|error| error.kind()), Some(Kind::Conflict));
        drop(folder);
        Folder::take(data.path()).unwrap();
    }

    #[test]
    fn a_long_path_does_not_keep_the_socket_from_being_bound() {
        let data = tempfile::tempdir().unwrap();
        let folder = Folder::take(&data.path().join("a".repeat(120))).unwrap();
        std::os::unix::net::UnixListener::bind(&folder.socket).unwrap();
        let (socket, around) = (folder.socket.clone(), folder.socket.parent().unwrap().to_owned());
        assert_eq!(fs::metadata(&around).unwrap().permissions().mode() & 0o777, 0o700);
        drop(folder);
        assert!(!socket.exists() && !around.exists());
    }
}
