//! The client's database, `state.vscdb`, read while the client writes to it: read-only, its write-ahead log included,
//! never copied (it grows to 100 GB). Only keys that hold sessions are asked for, and by ranges of the key's index: the
//! table of items beside them also holds the person's tokens.

use super::row::{BLOB, BUBBLE, COMPOSER, Value};
use crate::error::{Error, Result};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a running client may keep the database busy.
const PATIENCE: Duration = Duration::from_secs(2);
/// A larger value is not taken. The largest seen are composers of some MB.
const LARGEST: u64 = 64 << 20;

/// An open database.
pub(super) struct StateDb {
    connection: Connection,
    path: PathBuf,
    /// Very old clients had no such table yet.
    has_values: bool,
    /// Clients since 3.9 have this table.
    has_headers: bool,
}

/// A composer's row in the list of composers.
pub(super) struct HeaderRow {
    pub(super) rowid: i64,
    pub(super) workspace: Option<String>,
    pub(super) value: Value,
}

/// How far the list of composers was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct HeaderMark {
    rowid: i64,
    recency: i64,
    checkpoint: i64,
}

impl StateDb {
    /// Opens the database at `path`; `None` where there is none.
    pub(super) fn open(path: &Path) -> Result<Option<StateDb>> {
        match path.symlink_metadata() {
            Ok(metadata) if metadata.is_file() => {}
            Ok(_) => return Err(Error::failed(format!("{} is not a regular file", path.display()))),
            Err(_) => return Ok(None),
        }
        let unreadable = |source| explain(path, source);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(unreadable)?;
        connection.busy_timeout(PATIENCE).map_err(unreadable)?;
        // The last one to close a log writes it into the database: that is the client's business.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(unreadable)?;
        let quiet = "PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; PRAGMA cache_size = -4096;";
        connection.execute_batch(quiet).map_err(unreadable)?;
        let mut database = StateDb { connection, path: path.to_owned(), has_values: false, has_headers: false };
        let has_items = database.has_columns("ItemTable", &["key", "value"])?;
        database.has_values = database.has_columns("cursorDiskKV", &["key", "value"])?;
        database.has_headers = database.has_columns("composerHeaders", &["composerId", "value"])?;
        if has_items || database.has_values {
            return Ok(Some(database));
        }
        Err(Error::failed(format!("{} has none of the tables in which Cursor keeps its sessions", path.display()))
            .hint("an update of sessionfs may know it; nothing was read and nothing is harmed"))
    }

    fn has_columns(&self, table: &str, wanted: &[&str]) -> Result<bool> {
        let columns = self.texts("SELECT name FROM pragma_table_info(?1)", [table])?;
        Ok(wanted.iter().all(|wanted| columns.iter().any(|column| column == wanted)))
    }

    /// From here on everything is seen as at one moment.
    pub(super) fn begin(&self) -> Result<()> {
        self.of(self.connection.execute_batch("BEGIN"))
    }

    /// Until here. A reader that stays keeps the client's log from being emptied.
    pub(super) fn end(&self) {
        let _ = self.connection.execute_batch("ROLLBACK");
    }

    /// The largest number of a row, which only grows while the client works, and that row's key.
    pub(super) fn newest_row(&self) -> Result<Option<(i64, String)>> {
        if !self.has_values {
            return Ok(None);
        }
        let sql = "SELECT rowid, CAST(key AS TEXT) FROM cursorDiskKV ORDER BY rowid DESC LIMIT 1";
        self.of(self.connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).optional())
    }

    /// The number of the row under `key`.
    pub(super) fn rowid(&self, key: &str) -> Result<Option<i64>> {
        if !self.has_values {
            return Ok(None);
        }
        let mut query = self.of(self.connection.prepare_cached("SELECT rowid FROM cursorDiskKV WHERE key = ?1"))?;
        self.of(query.query_row([key], |row| row.get(0)).optional())
    }

    /// The row under `key`.
    pub(super) fn value(&self, key: &str) -> Result<Option<(i64, Value)>> {
        if !self.has_values {
            return Ok(None);
        }
        let sql = "SELECT rowid, octet_length(value), CASE WHEN octet_length(value) <= ?2 THEN value END
                     FROM cursorDiskKV WHERE key = ?1";
        let mut query = self.of(self.connection.prepare_cached(sql))?;
        let row = query.query_row((key, LARGEST), |row| Ok((row.get(0)?, value(row.get(1)?, row.get_ref(2)?))));
        self.of(row.optional())
    }

    /// An item of the other table; asked for by its exact key only.
    pub(super) fn item(&self, key: &str) -> Result<Option<Value>> {
        let sql = "SELECT octet_length(value), CASE WHEN octet_length(value) <= ?2 THEN value END
                     FROM ItemTable WHERE key = ?1";
        let row = self.connection.query_row(sql, (key, LARGEST), |row| Ok(value(row.get(0)?, row.get_ref(1)?)));
        match row.optional() {
            // A database without that table.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::Unknown) => Ok(None),
            row => self.of(row),
        }
    }

    /// The items whose key begins with `start`.
    pub(super) fn items(&self, start: &str) -> Result<Vec<String>> {
        self.texts("SELECT CAST(value AS TEXT) FROM ItemTable WHERE key >= ?1 AND key < ?2", [start, &behind(start)])
    }

    /// The composers that have a row.
    pub(super) fn composers(&self) -> Result<BTreeSet<String>> {
        if !self.has_values {
            return Ok(BTreeSet::new());
        }
        let keys =
            self.texts("SELECT key FROM cursorDiskKV WHERE key >= ?1 AND key < ?2", [COMPOSER, &behind(COMPOSER)])?;
        Ok(keys.into_iter().filter_map(|key| key.strip_prefix(COMPOSER).map(str::to_owned)).collect())
    }

    /// The bubbles of a composer, with the numbers of their rows.
    pub(super) fn bubbles(&self, composer: &str) -> Result<Vec<(String, i64)>> {
        if !self.has_values {
            return Ok(Vec::new());
        }
        let start = format!("{BUBBLE}{composer}:");
        let sql = "SELECT substr(key, length(?1) + 1), rowid FROM cursorDiskKV WHERE key >= ?1 AND key < ?2";
        let mut query = self.of(self.connection.prepare_cached(sql))?;
        let rows = self.of(query.query_map([&start, &behind(&start)], |row| Ok((row.get(0)?, row.get(1)?))))?;
        self.of(rows.collect())
    }

    /// The composers that rows above the number `mark` belong to.
    pub(super) fn touched_since(&self, mark: i64) -> Result<BTreeSet<String>> {
        let mut touched = BTreeSet::new();
        if !self.has_values {
            return Ok(touched);
        }
        let sql = "SELECT CAST(key AS TEXT) FROM cursorDiskKV WHERE rowid > ?1";
        let mut query = self.of(self.connection.prepare_cached(sql))?;
        let mut rows = self.of(query.query([mark]))?;
        while let Some(row) = self.of(rows.next())? {
            let key = self.of(row.get_ref(0))?.as_str().unwrap_or_default();
            let of_bubble = |key: &str| Some(key.strip_prefix(BUBBLE)?.rsplit_once(':')?.0.to_owned());
            touched.extend(key.strip_prefix(COMPOSER).map(str::to_owned).or_else(|| of_bubble(key)));
        }
        Ok(touched)
    }

    /// The composers whose row in the list changed since `mark`, and the new mark.
    pub(super) fn headers_since(&self, mark: HeaderMark) -> Result<(BTreeSet<String>, HeaderMark)> {
        let (mut touched, mut newest) = (BTreeSet::new(), mark);
        if !self.has_headers {
            return Ok((touched, newest));
        }
        let columns = ["recency", "checkpointAt"];
        let column = |name: &str| -> Result<String> {
            let is_there = self.has_columns("composerHeaders", &[name])?;
            Ok(if is_there { format!("coalesce({name}, 0)") } else { "0".to_owned() })
        };
        let sql =
            format!("SELECT composerId, rowid, {}, {} FROM composerHeaders", column(columns[0])?, column(columns[1])?);
        let mut query = self.of(self.connection.prepare_cached(&sql))?;
        let mut rows = self.of(query.query([]))?;
        while let Some(row) = self.of(rows.next())? {
            let number = |at| row.get::<_, i64>(at).unwrap_or(0);
            let now = HeaderMark { rowid: number(1), recency: number(2), checkpoint: number(3) };
            if now.rowid > mark.rowid || now.recency > mark.recency || now.checkpoint > mark.checkpoint {
                touched.extend(row.get::<_, String>(0).ok());
            }
            newest.rowid = newest.rowid.max(now.rowid);
            newest.recency = newest.recency.max(now.recency);
            newest.checkpoint = newest.checkpoint.max(now.checkpoint);
        }
        Ok((touched, newest))
    }

    /// A composer's row in the list.
    pub(super) fn header(&self, composer: &str) -> Result<Option<HeaderRow>> {
        if !self.has_headers {
            return Ok(None);
        }
        let has_workspace = self.has_columns("composerHeaders", &["workspaceId"])?;
        let workspace = if has_workspace { "CAST(workspaceId AS TEXT)" } else { "NULL" };
        let sql = format!(
            "SELECT rowid, {workspace}, octet_length(value), CASE WHEN octet_length(value) <= ?2 THEN value END
               FROM composerHeaders WHERE composerId = ?1"
        );
        let mut query = self.of(self.connection.prepare_cached(&sql))?;
        let row = query.query_row((composer, LARGEST), |row| {
            let value = value(row.get(2)?, row.get_ref(3)?);
            Ok(HeaderRow { rowid: row.get(0)?, workspace: row.get(1)?, value })
        });
        self.of(row.optional())
    }

    /// The blob with that name.
    pub(super) fn blob(&self, name: &str) -> Result<Option<(i64, Vec<u8>)>> {
        let found = self.value(&format!("{BLOB}{name}"))?;
        Ok(found.and_then(|(rowid, value)| match value {
            Value::Bytes(bytes) => Some((rowid, super::graph::checked(name, bytes)?)),
            Value::Null | Value::TooLarge(_) => None,
        }))
    }

    fn texts<const N: usize>(&self, sql: &str, parameters: [&str; N]) -> Result<Vec<String>> {
        let mut query = self.of(self.connection.prepare_cached(sql))?;
        let rows = self.of(query.query_map(rusqlite::params_from_iter(parameters), |row| {
            Ok(row.get_ref(0)?.as_bytes_or_null()?.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
        }))?;
        Ok(self.of(rows.collect::<rusqlite::Result<Vec<_>>>())?.into_iter().flatten().collect())
    }

    fn of<T>(&self, outcome: rusqlite::Result<T>) -> Result<T> {
        outcome.map_err(|source| explain(&self.path, source))
    }
}

fn value(length: Option<u64>, bytes: rusqlite::types::ValueRef<'_>) -> Value {
    match (length, bytes.as_bytes()) {
        (Some(length), _) if length > LARGEST => Value::TooLarge(length),
        (Some(_), Ok(bytes)) => Value::Bytes(bytes.to_vec()),
        _ => Value::Null,
    }
}

/// The first key behind all that begin with `start`, which ends in a character of ASCII.
fn behind(start: &str) -> String {
    let mut bytes = start.as_bytes().to_vec();
    if let Some(last) = bytes.last_mut() {
        *last += 1;
    }
    String::from_utf8(bytes).unwrap_or_default()
}

/// Why the database does not answer, in words.
fn explain(path: &Path, source: rusqlite::Error) -> Error {
    let path = path.display();
    match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Error::failed(format!("{path} is locked: Cursor is busy with it")).hint("try again in a moment")
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Error::failed(format!("{path} is damaged"))
            .because(source)
            .hint("what was captured before is safe; Cursor keeps an older copy beside it as state.vscdb.backup"),
        _ => Error::failed(format!("{path} can't be read")).because(source),
    }
}
