//! The daemon's log: one line an event. It never fails the daemon: a line that can't be written is lost.

use crate::error::{Context, Result};
use crate::home::Home;
use crate::store::Store;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A larger log is put aside; one old log is kept.
const ROTATE_AT: u64 = 5 << 20;

/// How much is logged: everything up to the level of the setting `log_level` or of the variable `SFS_LOG`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

impl Level {
    fn parse(text: &str) -> Option<Level> {
        [Level::Error, Level::Warn, Level::Info, Level::Debug].into_iter().find(|level| level.as_str() == text)
    }

    fn as_str(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
        }
    }

    /// What the environment says, else what the archive says, else `info`.
    pub(super) fn configured(store: &Store) -> Level {
        let said = std::env::var("SFS_LOG").ok().and_then(|text| Level::parse(&text));
        let set = || store.setting::<String>("log_level").ok().flatten().and_then(|text| Level::parse(&text));
        said.or_else(set).unwrap_or(Level::Info)
    }
}

/// The open log.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    file: Option<File>,
    size: u64,
    level: Level,
}

impl Log {
    /// Opens the log of `home` for appending.
    pub(super) fn open(home: &Home, level: Level) -> Result<Log> {
        let path = home.log();
        let file = append_to(&path)?;
        let size = file.metadata().map_or(0, |metadata| metadata.len());
        Ok(Log { path, file: Some(file), size, level })
    }

    /// Changes how much is logged.
    pub(super) fn set_level(&mut self, level: Level) {
        self.level = level;
    }

    /// Writes one line, if `level` is wanted.
    pub(super) fn line(&mut self, level: Level, text: &str) {
        if level > self.level {
            return;
        }
        if self.size > ROTATE_AT {
            self.rotate();
        }
        let now = jiff::Timestamp::now();
        let text = text.replace(char::is_control, " ");
        let line = format!("{now:.3} {:<5} {text}\n", level.as_str());
        if let Some(file) = &mut self.file
            && file.write_all(line.as_bytes()).is_ok()
        {
            self.size += line.len() as u64;
        }
    }

    fn rotate(&mut self) {
        let _ = std::fs::rename(&self.path, old_log(&self.path));
        self.file = append_to(&self.path).ok();
        self.size = 0;
    }
}

/// Where the previous log is kept.
pub(super) fn old_log(path: &Path) -> PathBuf {
    path.with_extension("log.1")
}

/// Opens a log for appending, readable by its owner only.
pub(super) fn append_to(path: &Path) -> Result<File> {
    let options = OpenOptions::new().append(true).create(true).mode(0o600).to_owned();
    options.open(path).context(|| format!("the log {} can't be opened", path.display()))
}
