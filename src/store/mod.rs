//! The archive: one `SQLite` database, and the only module that speaks SQL to it.
//!
//! Streams of exact bytes are the truth ([`streams`]), what a person says of a session is primary ([`metadata`],
//! [`settings`]), everything else is derived and can be rebuilt ([`derived`]). The store knows no tool.

mod audit;
mod check;
mod checkpoints;
mod copies;
mod derived;
mod listing;
mod metadata;
mod native_files;
mod native_rows;
mod purge;
mod receipts;
mod search;
mod sessions;
mod settings;
mod stats;
mod streams;
mod sync;
mod unpack;
mod watch;

pub use audit::{AuditFilter, AuditRow, Event};
pub use check::{CheckReport, Damage};
pub use checkpoints::{CHECKPOINT, Checkpoint, StreamEnd};
pub use copies::Copy;
pub use derived::{MessageRow, ReaderRow, Span};
pub use metadata::{Register, TAG};
pub use native_files::{GuardedFile, NativeFile};
pub use native_rows::{NativeRow, NativeRows};
pub use purge::Freed;
pub use receipts::{Part, Receipt};
pub use search::{Candidate, SearchFilter};
pub use sessions::{Among, Filter, NewSession, Relation, SessionRow, Sort, Summary};
pub use streams::{ChunkCache, OnLine, Stream, StreamKey, UNSETTLED, exact_device, whole_chunks};
pub use sync::{Acknowledged, ChangeSet, ChangedSession, RemoteRow, StreamHasher, Unsent};
pub use watch::Size;

use crate::error::{Context, Error, Result};
use crate::home::Home;
use rusqlite::{Connection, OpenFlags};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Numbered, append-only; `PRAGMA user_version` tells how many have run.
const MIGRATIONS: [&str; 9] = [
    include_str!("schema/001_init.sql"),
    include_str!("schema/002_session_by_native.sql"),
    include_str!("schema/003_metadata.sql"),
    include_str!("schema/004_branches.sql"),
    include_str!("schema/005_sync.sql"),
    include_str!("schema/006_checkpoint.sql"),
    include_str!("schema/007_native_row.sql"),
    include_str!("schema/008_receipt.sql"),
    include_str!("schema/009_synced_checkpoint.sql"),
];

/// "SFSA" in ASCII: tells `file` and us whose database this is.
const APPLICATION_ID: i32 = 0x5346_5341;

/// The oldest `SQLite` without the WAL-reset bug that loses commits of two processes at once.
pub const MINIMUM_SQLITE: i32 = 3_051_003;

/// An open archive.
pub struct Store {
    connection: Connection,
    packer: streams::Packer,
    /// The change number of the transaction under way.
    change: Option<i64>,
}

impl Store {
    /// Opens the archive of `home`, creating or migrating it.
    pub fn open(home: &Home) -> Result<Store> {
        home.create()?;
        let path = home.database();
        let exists = path.exists();
        let connection = Connection::open_with_flags(
            &path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )
        .map_err(|source| {
            Error::failed(format!("the archive {} can't be opened", path.display()))
                .because(source)
                .hint("check that the folder is writable and the disk is not full")
        })?;
        if !exists {
            narrow(&path)?;
        }
        let mut store = Store { connection, packer: streams::Packer::default(), change: None };
        store.prepare(&path)?;
        Ok(store)
    }

    fn prepare(&mut self, path: &Path) -> Result<()> {
        self.connection.busy_timeout(std::time::Duration::from_secs(10))?;
        self.connection.set_prepared_statement_cache_capacity(64);
        // A statement's plan does not depend on the values bound to it: otherwise it is planned anew for every row.
        self.connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        // In one statement: another process may be making the archive at this moment. What replicates a database (Litestream)
        // keeps tables of its own in it, and may come before ours.
        let seen = self.connection.query_row(
            "SELECT a.application_id, v.user_version,
                (SELECT count(*) FROM sqlite_schema WHERE name NOT GLOB '_litestream_*')
             FROM pragma_application_id a, pragma_user_version v",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        );
        let (application, version, tables): (i32, usize, u32) = seen.map_err(|source| unreadable(path, source))?;
        if application != APPLICATION_ID && (application != 0 || version != 0 || tables != 0) {
            return Err(Error::failed(format!("{} belongs to another program", path.display()))
                .hint("set SFS_HOME to another folder"));
        }
        if version > MIGRATIONS.len() {
            return Err(Error::failed(format!(
                "{} was written by a newer sessionfs (schema {version}, this one knows {})",
                path.display(),
                MIGRATIONS.len()
            ))
            .hint("install the newer version again"));
        }
        self.switch_to_wal()?;
        self.connection.execute_batch(
            "PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;
             PRAGMA journal_size_limit = 67108864; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;
             PRAGMA secure_delete = FAST;
             PRAGMA cache_size = -8192;",
        )?;
        if version < MIGRATIONS.len() {
            self.migrate(path)?;
        }
        Ok(())
    }

    /// Where several processes make the archive at once: `SQLite` itself does not wait for this one.
    fn switch_to_wal(&self) -> Result<()> {
        let mut patience = 100;
        loop {
            match self.connection.execute_batch("PRAGMA journal_mode = WAL") {
                Err(error) if patience > 0 && error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => {
                    patience -= 1;
                    std::thread::sleep(std::time::Duration::from_millis(20));
                }
                outcome => return Ok(outcome?),
            }
        }
    }

    fn migrate(&mut self, path: &Path) -> Result<()> {
        // Another process may have migrated meanwhile: look again inside the transaction.
        let transaction = self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let version: usize = transaction.pragma_query_value(None, "user_version", |r| r.get(0))?;
        for (number, sql) in MIGRATIONS.iter().enumerate().skip(version) {
            transaction
                .execute_batch(sql)
                .context(|| format!("{} can't be migrated to schema {}", path.display(), number + 1))?;
        }
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", MIGRATIONS.len())?;
        transaction.commit()?;
        for side in ["-wal", "-shm"] {
            let mut name = path.as_os_str().to_owned();
            name.push(side);
            if Path::new(&name).exists() {
                narrow(Path::new(&name))?;
            }
        }
        Ok(())
    }

    /// Runs `work` in one write transaction: all of it is stored, or nothing.
    pub fn write<T>(&mut self, work: impl FnOnce(&mut Store) -> Result<T>) -> Result<T> {
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        self.change = None;
        let outcome = self.packer_is_current().and_then(|()| work(self)).and_then(|value| {
            self.flush_pack()?;
            self.connection.execute_batch("COMMIT")?;
            Ok(value)
        });
        self.change = None;
        if outcome.is_err() {
            self.packer.forget();
            if !self.connection.is_autocommit() {
                self.connection.execute_batch("ROLLBACK")?;
            }
        }
        outcome
    }

    /// Runs `work` on one state of the archive, whatever others write meanwhile. Not for what takes long: until it ends, the
    /// log of what is written can't be used again from its start.
    pub fn read<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let transaction = self.connection.unchecked_transaction()?;
        let value = work()?;
        transaction.commit()?;
        Ok(value)
    }

    /// Stores a row that may be there already. Not `INSERT OR REPLACE` nor an upsert: for those `SQLite` opens a savepoint
    /// around the statement, at which the full-text index writes out what it has gathered, and gathers nothing.
    fn update_or_insert(&self, update: &str, insert: &str, values: &[&dyn rusqlite::ToSql]) -> Result<()> {
        if self.connection.prepare_cached(update)?.execute(values)? == 0 {
            self.connection.prepare_cached(insert)?.execute(values)?;
        }
        Ok(())
    }

    /// Keeps no more than `kibibytes` of pages in memory.
    pub fn keep_small(&mut self, kibibytes: i64) -> Result<()> {
        Ok(self.connection.pragma_update(None, "cache_size", -kibibytes)?)
    }

    /// Gives memory back, and costs next to nothing: for one of many archives that are open. An error would only mean that
    /// it keeps what it has.
    pub fn doze(&mut self) {
        self.packer.forget();
        let _ = self.connection.execute_batch("PRAGMA shrink_memory");
    }

    /// Gives memory back and lets `SQLite` refresh its statistics; for the daemon when it goes idle.
    pub fn rest(&mut self) -> Result<()> {
        self.packer.forget();
        self.connection.flush_prepared_statement_cache();
        self.connection.execute_batch("PRAGMA optimize; PRAGMA shrink_memory; PRAGMA wal_checkpoint(PASSIVE);")?;
        Ok(())
    }

    /// The version of `SQLite` in use, such as `3051003`.
    pub fn sqlite_version() -> i32 {
        rusqlite::version_number()
    }
}

/// Why the archive does not answer. Only a file that is no database at all may be moved away: everything else holds, or may
/// hold, sessions.
fn unreadable(path: &Path, source: rusqlite::Error) -> Error {
    let code = source.sqlite_error_code();
    let mut head = [0; 16];
    let read = fs::File::open(path).and_then(|mut file| std::io::Read::read_exact(&mut file, &mut head));
    let begins_as_database = read.is_ok() && head == *b"SQLite format 3\0";
    match code {
        Some(rusqlite::ErrorCode::NotADatabase) if !begins_as_database => {
            Error::failed(format!("{} is not a sessionfs archive", path.display()))
                .because(source)
                .hint("move that file away; the next command starts a new archive")
        }
        Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt) => {
            Error::failed(format!("the archive {} is damaged", path.display()))
                .because(source)
                .hint("keep the file and put a backup in its place, or save what is in it with SQLite's .recover")
        }
        _ => source.into(),
    }
}

/// Makes a file readable by its owner only.
fn narrow(path: &Path) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
        .context(|| format!("{} can't be made private", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundled_sqlite_does_not_lose_commits() {
        assert!(Store::sqlite_version() >= MINIMUM_SQLITE, "{}", Store::sqlite_version());
    }
}
