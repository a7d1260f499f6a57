//! Where capture stands with each native file: what it looked like when we last read it.

use super::Store;
use crate::error::Result;
use rusqlite::{OptionalExtension, params};
use std::collections::HashMap;

/// A native file as capture last saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NativeFile {
    /// The tool's id.
    pub tool: String,
    /// Absolute.
    pub path: String,
    /// The stream it is archived in.
    pub stream: Option<i64>,
    /// Bytes on disk.
    pub size: u64,
    /// Modification time in nanoseconds.
    pub mtime_ns: i64,
    /// Inode number.
    pub inode: u64,
    /// SHA-256 of its first bytes.
    pub head: Vec<u8>,
    /// When, in milliseconds.
    pub captured_at: i64,
    /// The tool deleted it, in milliseconds.
    pub gone_at: Option<i64>,
    /// Why it could not be captured the last time.
    pub error: Option<String>,
}

/// A file of a session, and how much of it is archived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardedFile {
    /// Absolute.
    pub path: String,
    /// The session's id in its tool.
    pub native_id: String,
    /// The stream it is archived in.
    pub stream: String,
    /// That stream's bytes.
    pub archived: u64,
    /// It could not be captured the last time.
    pub failed: bool,
}

const COLUMNS: &str = "tool, path, stream, size, mtime_ns, inode, head, captured_at, gone_at, error";

fn file_from(row: &rusqlite::Row<'_>) -> rusqlite::Result<NativeFile> {
    Ok(NativeFile {
        tool: row.get(0)?,
        path: row.get(1)?,
        stream: row.get(2)?,
        size: row.get(3)?,
        mtime_ns: row.get(4)?,
        inode: row.get::<_, i64>(5)? as u64,
        head: row.get(6)?,
        captured_at: row.get(7)?,
        gone_at: row.get(8)?,
        error: row.get(9)?,
    })
}

#[expect(clippy::type_complexity, reason = "a row of `known_files`")]
fn known_from(row: &rusqlite::Row<'_>) -> rusqlite::Result<(String, (u64, i64, u64, bool, bool))> {
    let inode: i64 = row.get(3)?;
    Ok((row.get(0)?, (row.get(1)?, row.get(2)?, inode as u64, row.get(4)?, row.get(5)?)))
}

impl Store {
    /// The file at `path`.
    pub fn native_file(&self, path: &str) -> Result<Option<NativeFile>> {
        let sql = format!("SELECT {COLUMNS} FROM native_file WHERE path = ?1");
        Ok(self.connection.prepare_cached(&sql)?.query_row([path], file_from).optional()?)
    }

    /// The files that are archived in a stream.
    pub fn native_files_of(&self, stream: i64) -> Result<Vec<NativeFile>> {
        let sql = format!("SELECT {COLUMNS} FROM native_file WHERE stream = ?1 ORDER BY path");
        let mut statement = self.connection.prepare_cached(&sql)?;
        Ok(statement.query_map([stream], file_from)?.collect::<rusqlite::Result<_>>()?)
    }

    /// What a scan compares with: path → (size, mtime, inode, is gone, has an error).
    #[expect(clippy::type_complexity, reason = "one tuple, described")]
    pub fn known_files(&self, tool: &str) -> Result<HashMap<String, (u64, i64, u64, bool, bool)>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT path, size, mtime_ns, inode, gone_at IS NOT NULL, error IS NOT NULL FROM native_file WHERE tool = ?1",
        )?;
        let rows = statement.query_map([tool], known_from)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The same for what is at or below `place`: a new or a vanished folder costs what is in it.
    #[expect(clippy::type_complexity, reason = "as `known_files`")]
    pub fn known_below(&self, tool: &str, place: &str) -> Result<HashMap<String, (u64, i64, u64, bool, bool)>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT path, size, mtime_ns, inode, gone_at IS NOT NULL, error IS NOT NULL FROM native_file
              WHERE tool = ?1 AND (path = ?2 OR path > ?2 || '/' AND path < ?2 || '0')",
        )?;
        let rows = statement.query_map([tool, place], known_from)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The files of a tool's sessions that the tool still has.
    pub fn guarded_files(&self, tool: &str) -> Result<Vec<GuardedFile>> {
        let mut statement = self.connection.prepare(
            "SELECT f.path, s.native_id, st.name, st.length, f.error IS NOT NULL
               FROM native_file f JOIN stream st ON st.id = f.stream JOIN session s ON s.id = st.session
              WHERE f.tool = ?1 AND f.gone_at IS NULL ORDER BY f.path",
        )?;
        let rows = statement.query_map([tool], |row| {
            Ok(GuardedFile {
                path: row.get(0)?,
                native_id: row.get(1)?,
                stream: row.get(2)?,
                archived: row.get(3)?,
                failed: row.get(4)?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Stores how a file looks now.
    pub fn save_native_file(&mut self, file: &NativeFile) -> Result<()> {
        // The stream's index is touched only where a file changes its stream.
        self.connection
            .prepare_cached("DELETE FROM native_file WHERE path = ?1 AND stream IS NOT ?2")?
            .execute(params![file.path, file.stream])?;
        self.update_or_insert(
            "UPDATE native_file SET size = ?3, mtime_ns = ?4, inode = ?5, head = ?6, captured_at = ?7, gone_at = ?8,
               error = ?9, tool = ?10 WHERE path = ?1 AND stream IS ?2",
            "INSERT INTO native_file (path, stream, size, mtime_ns, inode, head, captured_at, gone_at, error, tool)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            params![
                file.path,
                file.stream,
                file.size,
                file.mtime_ns,
                file.inode as i64,
                file.head,
                file.captured_at,
                file.gone_at,
                file.error,
                file.tool
            ],
        )
    }

    /// The file at `path` lives on under another path.
    pub fn forget_native_file(&mut self, path: &str) -> Result<()> {
        self.connection.prepare_cached("DELETE FROM native_file WHERE path = ?1")?.execute([path])?;
        Ok(())
    }

    /// The newest capture of a tool, in milliseconds, and the newest error with its path.
    #[expect(clippy::type_complexity, reason = "two optional values")]
    pub fn capture_state(&self, tool: &str) -> Result<(Option<i64>, Option<(String, String)>)> {
        let last = self.connection.query_row(
            "SELECT max(captured_at) FROM native_file WHERE tool = ?1 AND stream IS NOT NULL",
            [tool],
            |row| row.get(0),
        )?;
        let error = self
            .connection
            .query_row(
                "SELECT path, error FROM native_file WHERE tool = ?1 AND error IS NOT NULL
                 ORDER BY captured_at DESC LIMIT 1",
                [tool],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        Ok((last, error))
    }

    /// The sessions of the database at `path`, as capture named them: each has a file's row of its own, named by the
    /// database's path, `#` and the session's place in it; and whether the tool still has it.
    pub fn known_in_database(&self, path: &str) -> Result<Vec<(String, bool)>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT substr(path, length(?1) + 2), gone_at IS NOT NULL FROM native_file
              WHERE path > ?1 || '#' AND path < ?1 || '$'",
        )?;
        let rows = statement.query_map([path], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// True where the tool still has the session's main file.
    pub fn native_present(&self, session: i64) -> Result<bool> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM stream st JOIN native_file f ON f.stream = st.id
                  WHERE st.session = ?1 AND st.name = 'main' AND f.gone_at IS NULL)",
            )?
            .query_row([session], |row| row.get(0))?)
    }
}
