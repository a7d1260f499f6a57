//! Where capture stands with sessions that are rows of a tool's database: which version of each row is archived.

use super::Store;
use crate::error::Result;
use crate::id::Hash;
use rusqlite::params;
use std::collections::HashMap;

/// The newest archived version of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NativeRow {
    /// Its number in the tool's database.
    pub rowid: i64,
    /// 64 bits of a hash over what was archived of it.
    pub content: i64,
    /// The first byte of its line in the stream.
    pub place: u64,
    /// It is to be looked at again although the row did not change.
    pub open: bool,
}

/// The rows of a stream, by their key.
#[derive(Debug, Default)]
pub struct NativeRows(HashMap<i64, NativeRow>);

impl NativeRows {
    /// The newest archived version of the row under `key`.
    pub fn get(&self, key: &str) -> Option<NativeRow> {
        self.0.get(&Hash::of(key.as_bytes()).word()).copied()
    }
}

impl Store {
    /// What is archived of a stream's rows.
    pub fn native_rows(&self, stream: i64) -> Result<NativeRows> {
        let sql = "SELECT key, rowid, content, place, open FROM native_row WHERE stream = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([stream], |row| {
            let known = NativeRow { rowid: row.get(1)?, content: row.get(2)?, place: row.get(3)?, open: row.get(4)? };
            Ok((row.get(0)?, known))
        })?;
        Ok(NativeRows(rows.collect::<rusqlite::Result<_>>()?))
    }

    /// Remembers the newest archived version of the row under `key`.
    pub fn save_native_row(&mut self, stream: i64, key: &str, row: &NativeRow) -> Result<()> {
        self.update_or_insert(
            "UPDATE native_row SET rowid = ?3, content = ?4, place = ?5, open = ?6 WHERE stream = ?1 AND key = ?2",
            "INSERT INTO native_row (stream, key, rowid, content, place, open) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![stream, Hash::of(key.as_bytes()).word(), row.rowid, row.content, row.place, row.open],
        )
    }
}
