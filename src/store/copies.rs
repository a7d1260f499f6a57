//! What servers of the first contract (`SessionFS` 0.1) have: of each session an archive, which a client replaces as a whole.

use super::Store;
use crate::error::Result;
use crate::id::Hash;
use rusqlite::{Row, params};

/// An archive that a server has, as we know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// What it is called there: `ses_…`.
    pub id: String,
    /// The session's row here.
    pub session: i64,
    /// The `ETag` of what was taken in, or sent, last.
    pub seen: String,
    /// What [`Store::etag`] was when the archive was made of our session, by us; `None`: what is there is not all ours.
    pub sent: Option<Hash>,
}

impl Copy {
    fn of(row: &Row<'_>) -> rusqlite::Result<Copy> {
        let sent: Option<[u8; 32]> = row.get(3)?;
        Ok(Copy { id: row.get(0)?, session: row.get(1)?, seen: row.get(2)?, sent: sent.map(Hash) })
    }
}

impl Store {
    /// What is known of a server's archives.
    pub fn remote_copies(&self, remote: i64) -> Result<Vec<Copy>> {
        let sql = "SELECT id, session, seen, sent FROM copy WHERE remote = ?1 ORDER BY id";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.query_map([remote], Copy::of)?.collect::<rusqlite::Result<_>>()?)
    }

    /// Remembers what a server has.
    pub fn save_copy(&mut self, remote: i64, copy: &Copy) -> Result<()> {
        let sent = copy.sent.map(|sent| sent.0);
        self.update_or_insert(
            "UPDATE copy SET session = ?3, seen = ?4, sent = ?5 WHERE remote = ?1 AND id = ?2",
            "INSERT INTO copy (remote, id, session, seen, sent) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![remote, copy.id, copy.session, copy.seen, sent],
        )
    }
}
