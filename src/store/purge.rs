//! Purge: a session's bytes leave the archive for good, its id stays.
//!
//! First one transaction marks the session, drops everything derived from it and lets go of its native files: from then on
//! it is purged, whatever happens. Then its streams go, a few at a time, each transaction leaving a sound archive: a chunk
//! that no other stream has is cut out of its pack, and a pack without chunks is deleted. A kill in between leaves streams
//! behind that nobody sees; the next purge takes them along.
//!
//! The full-text index only marks what is deleted; it is merged, in small transactions too, until the words are out of it.
//! Freed pages are overwritten with zeros. They stay in the file and are used again; the file itself does not shrink.

use super::streams::decompress;
use super::{SessionRow, Store};
use crate::error::Result;
use rusqlite::{OptionalExtension, params};
use std::collections::BTreeSet;

/// One transaction drops streams of about so many bytes, and at least one.
const STEP: u64 = 256 << 20;

/// Pages of the full-text index that one transaction merges: about 8 MB.
const MERGE: i64 = 2_000;

/// What a purge gave back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freed {
    /// Bytes of the tool's own files that are no longer archived.
    pub native_bytes: u64,
    /// Bytes of the database that are free again.
    pub bytes: u64,
}

impl Store {
    /// Marks a session as purged and drops what was derived from it, in the transaction of the caller. Its streams follow
    /// with [`Store::sweep_purged`].
    pub fn mark_purged(&mut self, session: &SessionRow, at: i64) -> Result<()> {
        self.say_purged(session.id, at)?;
        self.forget_derived(session.id)?;
        self.connection.execute("DELETE FROM repeat WHERE counted = ?1", [session.id])?;
        // What the tool still has is remembered as seen, so that it is not looked into at every scan.
        for sql in [
            "DELETE FROM native_file WHERE gone_at IS NOT NULL
                AND stream IN (SELECT id FROM stream WHERE session = ?1)",
            "UPDATE native_file SET stream = NULL, head = x''
              WHERE stream IN (SELECT id FROM stream WHERE session = ?1)",
            "DELETE FROM checkpoint WHERE session = ?1",
            "DELETE FROM receipt WHERE session = ?1",
            "UPDATE session SET parent = NULL, relation = NULL, inherited = 0 WHERE id = ?1",
        ] {
            self.connection.execute(sql, [session.id])?;
        }
        Ok(())
    }

    /// Whether freed pages are overwritten with zeros. What is freed within a page always is.
    pub fn overwrite_deleted(&mut self, on: bool) -> Result<()> {
        let mode = if on { "PRAGMA secure_delete = ON" } else { "PRAGMA secure_delete = FAST" };
        Ok(self.connection.execute_batch(mode)?)
    }

    /// Drops the streams of all purged sessions, and every chunk that was theirs alone.
    pub fn sweep_purged(&mut self) -> Result<Freed> {
        let mut freed = Freed::default();
        let before = self.free_bytes()?;
        self.sweep(&mut freed.native_bytes)?;
        self.merge_words()?;
        // What was overwritten must not live on in the log; where a reader holds it, the next checkpoint takes it.
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        freed.bytes = self.free_bytes()?.saturating_sub(before);
        Ok(freed)
    }

    fn sweep(&mut self, native_bytes: &mut u64) -> Result<()> {
        loop {
            match self.write(Store::sweep_step)? {
                0 => return Ok(()),
                bytes => *native_bytes += bytes,
            }
        }
    }

    /// A negative number puts all of the index into one merge, the positive ones go on with it until nothing is left to do.
    fn merge_words(&mut self) -> Result<()> {
        let mut pages = -MERGE;
        loop {
            let changed = self.write(|store| {
                let count = |store: &Store| -> Result<i64> {
                    Ok(store.connection.query_row("SELECT total_changes()", [], |row| row.get(0))?)
                };
                let before = count(store)?;
                store
                    .connection
                    .execute("INSERT INTO message_text (message_text, rank) VALUES ('merge', ?1)", [pages])?;
                Ok(count(store)? - before)
            })?;
            // As SQLite's documentation says: the statement itself is one change.
            if changed < 2 {
                return Ok(());
            }
            pages = MERGE;
        }
    }

    /// Says how many bytes the streams had, and 0 only when none is left.
    fn sweep_step(&mut self) -> Result<u64> {
        let mut statement = self.connection.prepare_cached(
            "SELECT st.id, st.length FROM stream st JOIN session s ON s.id = st.session WHERE s.purged_at IS NOT NULL",
        )?;
        let streams: Vec<(i64, u64)> =
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()?;
        drop(statement);
        let mut bytes = 0;
        let mut chunks = BTreeSet::new();
        self.packer.forget();
        for (stream, length) in streams {
            if bytes >= STEP {
                break;
            }
            chunks.extend(self.drop_stream(stream)?);
            // An empty stream counts too: 0 says that there was none.
            bytes += length.max(1);
        }
        let packs = self.drop_unused(&chunks)?;
        for pack in packs {
            self.shrink_pack(pack)?;
        }
        Ok(bytes)
    }

    /// Takes a stream away; says which chunks it had.
    fn drop_stream(&mut self, stream: i64) -> Result<Vec<i64>> {
        let mut statement = self.connection.prepare_cached("SELECT chunk FROM stream_chunk WHERE stream = ?1")?;
        let chunks = statement.query_map([stream], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        drop(statement);
        for sql in [
            "DELETE FROM stream_chunk WHERE stream = ?1",
            "DELETE FROM tail WHERE stream = ?1",
            "DELETE FROM native_row WHERE stream = ?1",
            "DELETE FROM note WHERE stream = ?1",
            "DELETE FROM reader WHERE stream = ?1",
            "DELETE FROM stream WHERE id = ?1",
        ] {
            self.connection.prepare_cached(sql)?.execute([stream])?;
        }
        Ok(chunks)
    }

    /// Forgets those of `chunks` that no stream has; says in which packs they lay.
    fn drop_unused(&mut self, chunks: &BTreeSet<i64>) -> Result<BTreeSet<i64>> {
        let mut packs = BTreeSet::new();
        for chunk in chunks {
            let pack = self
                .connection
                .prepare_cached(
                    "SELECT pack FROM chunk
                      WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM stream_chunk WHERE chunk = ?1)",
                )?
                .query_row([chunk], |row| row.get(0))
                .optional()?;
            if let Some(pack) = pack {
                packs.insert(pack);
                self.connection.prepare_cached("DELETE FROM chunk WHERE id = ?1")?.execute([chunk])?;
            }
        }
        Ok(packs)
    }

    /// Leaves in a pack only what its chunks name. A damaged pack that other sessions have chunks in stays as it is.
    fn shrink_pack(&mut self, pack: i64) -> Result<()> {
        let mut statement =
            self.connection.prepare_cached("SELECT id, start, length FROM chunk WHERE pack = ?1 ORDER BY start")?;
        let rows = statement.query_map([pack], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let kept: Vec<(i64, usize, usize)> = rows.collect::<rusqlite::Result<_>>()?;
        drop(statement);
        if kept.is_empty() {
            self.connection.prepare_cached("DELETE FROM pack WHERE id = ?1")?.execute([pack])?;
            return Ok(());
        }
        let found: Option<(i64, Vec<u8>)> = self
            .connection
            .prepare_cached("SELECT raw_length, data FROM pack WHERE id = ?1")?
            .query_row([pack], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let raw = found.and_then(|(length, data)| decompress(&data, length, String::new).ok());
        let Some(raw) = raw.filter(|raw| kept.iter().all(|(_, start, length)| start + length <= raw.len())) else {
            return Ok(());
        };
        let mut left = Vec::with_capacity(raw.len());
        for (chunk, start, length) in kept {
            self.connection
                .prepare_cached("UPDATE chunk SET start = ?2 WHERE id = ?1")?
                .execute(params![chunk, left.len()])?;
            left.extend_from_slice(&raw[start..start + length]);
        }
        let data = self.packer.compress(&left)?;
        self.connection
            .prepare_cached("UPDATE pack SET raw_length = ?2, data = ?3 WHERE id = ?1")?
            .execute(params![pack, left.len(), data])?;
        Ok(())
    }

    fn free_bytes(&self) -> Result<u64> {
        Ok(self.connection.query_row(
            "SELECT f.freelist_count * p.page_size FROM pragma_freelist_count f, pragma_page_size p",
            [],
            |row| row.get(0),
        )?)
    }
}
