//! What a server needs of the store: sessions named by their clients, what arrived when, and whether anything changed since.

use super::sessions::LOCAL;
use super::{SessionRow, Store};
use crate::error::{Context, Result};
use crate::home::Home;
use crate::id::{Hash, SessionId};
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::path::Path;

/// When a session arrived, and as what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The first arrival, in milliseconds.
    pub created_at: i64,
    /// The last change, of its metadata too.
    pub updated_at: i64,
    /// Bytes of the archive that arrived last.
    pub bytes: u64,
    /// The files of that archive; empty where the session is made up from its own streams.
    pub members: Vec<Part>,
    /// What [`Store::heads`] was then.
    pub heads: Hash,
}

/// A file of an archive, and where its bytes are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its name in the archive.
    pub name: String,
    /// The stream's name.
    pub stream: String,
    /// And generation.
    pub generation: u32,
}

impl Store {
    /// Every commit is on the disk before it is answered: a client that was told so deletes its copy.
    pub fn make_durable(&mut self) -> Result<()> {
        Ok(self.connection.pragma_update(None, "synchronous", "FULL")?)
    }

    /// Bytes in use.
    pub fn size(&self) -> Result<u64> {
        size(&self.connection)
    }

    /// The same of an archive that is there, without opening it for anything else.
    pub fn size_of(home: &Home) -> Result<u64> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(home.database(), flags)?;
        connection.busy_timeout(std::time::Duration::from_secs(2))?;
        size(&connection)
    }

    /// Writes a copy of the archive as it is at one moment, while others go on writing, to `path`, which is empty or not
    /// there.
    pub fn copy_to(&self, path: &Path) -> Result<()> {
        let target = path.to_string_lossy();
        self.connection
            .execute("VACUUM INTO ?1", [&*target])
            .context(|| format!("{} can't be written", path.display()))?;
        Ok(())
    }

    /// Makes a session under the id that a client chose, which must be free.
    pub fn create_session(&mut self, id: &SessionId, tool: &str, native_id: &str) -> Result<SessionRow> {
        self.connection
            .prepare_cached("INSERT INTO session (account, public_id, tool, native_id) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![LOCAL, id.as_str(), tool, native_id])?;
        self.session(self.connection.last_insert_rowid())
    }

    /// A hash over the newest generation of each stream: another one if a byte came to the session.
    pub fn heads(&self, session: i64) -> Result<Hash> {
        let mut hash = Sha256::new();
        let streams = self.streams(session)?;
        for generations in streams.chunk_by(|a, b| a.name == b.name) {
            let Some(newest) = generations.last() else { continue };
            hash.update((newest.name.len() as u64).to_le_bytes());
            hash.update(&newest.name);
            hash.update(newest.generation.to_le_bytes());
            hash.update(newest.length.to_le_bytes());
            hash.update(newest.hash().0);
        }
        Ok(Hash(hash.finalize().into()))
    }

    /// Opaque; the same until a byte or what a person says of the session changes.
    pub fn etag(&self, session: &SessionRow) -> Result<Hash> {
        let receipt = self.receipt(session.id)?;
        let members = receipt.as_ref().map(|receipt| &receipt.members);
        let names: Vec<String> = self.checkpoints(session.id)?.into_iter().map(|checkpoint| checkpoint.name).collect();
        let mut hash = Sha256::new();
        hash.update(self.heads(session.id)?.0);
        // As JSON, so that no two values run into each other.
        hash.update(json!([session.title, self.tags(session.id)?, members]).to_string());
        if !names.is_empty() {
            hash.update(json!(names).to_string());
        }
        Ok(Hash(hash.finalize().into()))
    }

    /// What is noted of a session's arrival.
    pub fn receipt(&self, session: i64) -> Result<Option<Receipt>> {
        let row = self
            .connection
            .prepare_cached("SELECT created_at, updated_at, bytes, members, heads FROM receipt WHERE session = ?1")?
            .query_row([session], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get::<_, String>(3)?, row.get::<_, [u8; 32]>(4)?))
            })
            .optional()?;
        row.map(|(created_at, updated_at, bytes, members, heads)| {
            let members = serde_json::from_str(&members).context(|| format!("receipt {session} is damaged"))?;
            Ok(Receipt { created_at, updated_at, bytes, members, heads: Hash(heads) })
        })
        .transpose()
    }

    /// Notes an arrival.
    pub fn save_receipt(&mut self, session: i64, receipt: &Receipt) -> Result<()> {
        let members = serde_json::to_string(&receipt.members).context(|| "a receipt can't be written")?;
        self.update_or_insert(
            "UPDATE receipt SET created_at = ?2, updated_at = ?3, bytes = ?4, members = ?5, heads = ?6
             WHERE session = ?1",
            "INSERT INTO receipt (session, created_at, updated_at, bytes, members, heads)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![session, receipt.created_at, receipt.updated_at, receipt.bytes, members, receipt.heads.0],
        )
    }

    /// The session's metadata changed at `at`.
    pub fn touch_receipt(&mut self, session: i64, at: i64) -> Result<()> {
        self.connection
            .prepare_cached("UPDATE receipt SET updated_at = ?2 WHERE session = ?1")?
            .execute(params![session, at])?;
        Ok(())
    }
}

fn size(connection: &Connection) -> Result<u64> {
    Ok(connection.query_row(
        "SELECT (c.page_count - f.freelist_count) * s.page_size
         FROM pragma_page_count c, pragma_freelist_count f, pragma_page_size s",
        [],
        |row| row.get(0),
    )?)
}
