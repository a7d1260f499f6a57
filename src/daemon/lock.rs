//! One daemon per archive: a lock that dies with its process, however that dies. The process id in the file is only for
//! people and for `sfs daemon stop`; whether a daemon runs is decided by the lock alone.

use crate::error::{Context, Error, Result};
use crate::home::Home;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

/// Held as long as it lives.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock and writes this process's id into it.
    pub(super) fn take(home: &Home) -> Result<Lock> {
        let path = home.lock();
        let place = || format!("{} can't be locked", path.display());
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .context(place)?;
        // Whoever asks whether a daemon runs holds the lock for a moment: ask more than once.
        for _ in 0..10 {
            match file.try_lock() {
                Ok(()) => {
                    file.set_len(0).context(place)?;
                    file.write_all(format!("{}\n", std::process::id()).as_bytes()).context(place)?;
                    return Ok(Lock { _file: file });
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(20)),
                Err(TryLockError::Error(error)) => return Err(error).context(place),
            }
        }
        let mut text = String::new();
        let _ = file.read_to_string(&mut text);
        Err(Error::conflict(format!(
            "another daemon already captures into {} (pid {})",
            home.data.display(),
            text.trim()
        ))
        .hint("sfs daemon status"))
    }
}

/// What the lock file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// No daemon runs.
    Nobody,
    /// One runs; its process id is not written for the first moment.
    Process(Option<u32>),
}

/// Who holds the lock.
pub(super) fn holder(home: &Home) -> Holder {
    let Ok(mut file) = File::open(home.lock()) else { return Holder::Nobody };
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => {}
        Ok(()) | Err(TryLockError::Error(_)) => return Holder::Nobody,
    }
    let mut text = String::new();
    let _ = file.read_to_string(&mut text);
    Holder::Process(text.trim().parse().ok())
}
