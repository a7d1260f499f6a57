//! What a watcher of captures compares: whether the archive changed at all, and how large each session is.

use super::Store;
use crate::error::Result;
use std::collections::HashMap;

/// A session's size at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Archived bytes of the tool's own files.
    pub bytes: u64,
    /// Messages.
    pub messages: u64,
}

impl Store {
    /// Changes when another process has written to the archive. Costs next to nothing.
    pub fn data_version(&self) -> Result<i64> {
        Ok(self.connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?)
    }

    /// Every visible session's size, by row; `facts_stream` is the stream that is ours and not the tool's.
    pub fn sizes(&self, facts_stream: &str) -> Result<HashMap<i64, Size>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT st.session, sum(st.length), coalesce((SELECT message_count FROM summary m WHERE m.session = s.id), 0)
               FROM stream st JOIN session s ON s.id = st.session
              WHERE s.deleted_at IS NULL AND st.name <> ?1 GROUP BY st.session",
        )?;
        let rows = statement
            .query_map([facts_stream], |row| Ok((row.get(0)?, Size { bytes: row.get(1)?, messages: row.get(2)? })))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
