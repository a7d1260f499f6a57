//! The one error type: what kind, what happened to what, why, and the next command to type.
//!
//! Rules: the *kind* decides the exit code and the HTTP status; *what* names the file or the session; the *source* is
//! kept, never folded into the text; a *hint* is a command or an action, never a repetition of what went wrong.
//! A library function returns errors, it never prints them.

use std::fmt;

/// Result with our [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What class of failure this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something that should work did not: I/O, a damaged archive, a client that refused.
    Failed,
    /// The command line or a value on it is wrong.
    Usage,
    /// The session, checkpoint, file or setting that was named does not exist.
    NotFound,
    /// What exists contradicts what was asked: another daemon runs, a file would be overwritten.
    Conflict,
    /// Not signed in, or not allowed.
    Auth,
    /// Others are at it; later it will go.
    Busy,
}

impl Kind {
    /// The process's exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Failed | Kind::Busy => 1,
            Kind::Usage => 2,
            Kind::NotFound => 3,
            Kind::Conflict => 4,
            Kind::Auth => 5,
        }
    }

    /// The word that stands in `{"error":{"kind":…}}`.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Failed => "failed",
            Kind::Usage => "usage",
            Kind::NotFound => "not_found",
            Kind::Conflict => "conflict",
            Kind::Auth => "auth",
            Kind::Busy => "busy",
        }
    }
}

/// See the module's description.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    what: String,
    hint: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind`; `what` says what happened to which file or session.
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Error { kind, what: what.into(), hint: None, source: None }
    }

    /// Something that should work did not.
    pub fn failed(what: impl Into<String>) -> Self {
        Error::new(Kind::Failed, what)
    }

    /// The command line is wrong.
    pub fn usage(what: impl Into<String>) -> Self {
        Error::new(Kind::Usage, what)
    }

    /// What was named does not exist.
    pub fn not_found(what: impl Into<String>) -> Self {
        Error::new(Kind::NotFound, what)
    }

    /// What exists contradicts what was asked.
    pub fn conflict(what: impl Into<String>) -> Self {
        Error::new(Kind::Conflict, what)
    }

    /// Adds what the person can do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The class of failure.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What the person can do next.
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The message with its whole chain of causes, on one line.
    pub fn message(&self) -> String {
        let mut text = self.what.clone();
        let mut cause = std::error::Error::source(self);
        while let Some(source) = cause {
            // Some causes repeat their own cause.
            let cause_text = source.to_string();
            if !text.ends_with(&cause_text) {
                text.push_str(": ");
                text.push_str(&cause_text);
            }
            cause = source.source();
        }
        text
    }

    /// True where the cause is a full disk, however it was reported: by the system or by `SQLite`.
    pub fn is_disk_full(&self) -> bool {
        let mut cause = std::error::Error::source(self);
        while let Some(source) = cause {
            if let Some(io) = source.downcast_ref::<std::io::Error>()
                && io.kind() == std::io::ErrorKind::StorageFull
            {
                return true;
            }
            if let Some(rusqlite::Error::SqliteFailure(failure, _)) = source.downcast_ref()
                && failure.code == rusqlite::ErrorCode::DiskFull
            {
                return true;
            }
            cause = source.source();
        }
        false
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|s| s.as_ref() as _)
    }
}

/// Turns a foreign error into ours, naming what was being done.
pub trait Context<T> {
    /// `what` is only built when there is an error.
    fn context<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T>;
}

impl<T, E: std::error::Error + Send + Sync + 'static> Context<T> for std::result::Result<T, E> {
    fn context<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|source| Error::failed(what()).because(source))
    }
}

impl From<rusqlite::Error> for Error {
    fn from(source: rusqlite::Error) -> Self {
        let code = source.sqlite_error_code();
        let error = Error::failed("the archive could not be read or written").because(source);
        match code {
            Some(rusqlite::ErrorCode::DiskFull) => {
                error.hint("free some space and run the command again; nothing already captured is lost")
            }
            Some(rusqlite::ErrorCode::SystemIoFailure) => {
                error.hint("is the disk full, or failing? nothing already captured is lost")
            }
            Some(rusqlite::ErrorCode::DatabaseBusy) => {
                error.hint("another sessionfs process holds the archive; try again in a moment")
            }
            Some(rusqlite::ErrorCode::CannotOpen | rusqlite::ErrorCode::ReadOnly) => error.hint(
                "its folder must be writable, also for reading; of a read-only one, copy the folder and set SFS_HOME to the copy",
            ),
            _ => error.hint("sfs admin check"),
        }
    }
}
