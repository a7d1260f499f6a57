//! What two archives have to know of each other to become alike: change numbers, hashes of streams as far as the other one
//! knows them, chunks by their hash, and how far each server is.

use super::streams::{CHUNK_LIMIT, Stream, hash_of, link, whole_chunks};
use super::{Register, SessionRow, Store};
use crate::error::Result;
use crate::id::Hash;
use rusqlite::{OptionalExtension, params};
use std::collections::BTreeMap;

/// A session and what changed of it.
#[derive(Clone, Debug)]
pub struct ChangedSession {
    /// Its row.
    pub session: SessionRow,
    /// What was said of it.
    pub registers: Vec<Register>,
    /// Streams with new bytes, as they are now.
    pub streams: Vec<(Stream, String)>,
}

/// What changed, up to a number.
#[derive(Clone, Debug, Default)]
pub struct ChangeSet {
    /// Everything up to this number is in it.
    pub number: i64,
    /// More changed than fitted in.
    pub more: bool,
    /// By session row.
    pub sessions: Vec<ChangedSession>,
}

/// So much of a stream a server is known to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// Bytes of ours.
    pub length: u64,
    /// Bytes of theirs: another number where secrets were redacted.
    pub remote_length: u64,
    /// Theirs, at that length; see [`Stream::hash`].
    pub remote_hash: Hash,
}

/// A server that this archive is synced with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteRow {
    /// Its row.
    pub id: i64,
    /// Our change number up to which everything was pushed or is in `unsent`.
    pub pushed: i64,
    /// Its change number up to which everything was pulled.
    pub pulled: i64,
}

/// Why a session is not on the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsent {
    /// The session's row.
    pub session: i64,
    /// Tries so far.
    pub attempts: u32,
    /// In milliseconds; `None`: never, it was refused for good.
    pub retry_at: Option<i64>,
    /// In words.
    pub reason: String,
}

impl Unsent {
    /// It was kept back here, and never tried.
    pub fn is_held(&self) -> bool {
        self.attempts == 0
    }

    /// The server refused it, for good.
    pub fn is_refused(&self) -> bool {
        self.attempts > 0 && self.retry_at.is_none()
    }
}

/// The hash that a stream with certain bytes has ([`Stream::hash`]), for bytes that come piece by piece.
#[derive(Default)]
pub struct StreamHasher {
    chain: Vec<u8>,
    tail: Vec<u8>,
    length: u64,
}

impl StreamHasher {
    /// Goes on with `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(1 << 20) {
            self.tail.extend_from_slice(part);
            let mut cut = 0;
            for (start, end) in whole_chunks(&self.tail) {
                let hash = Hash::of(&self.tail[start..end]);
                self.chain = link(&self.chain, &hash.0);
                cut = end;
            }
            self.tail.drain(..cut);
        }
        self.length += bytes.len() as u64;
    }

    /// Bytes so far.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The hash of a stream with the bytes so far.
    pub fn hash(&self) -> Hash {
        if self.length == 0 { Hash::of(&[]) } else { hash_of(&self.chain, &Hash::of(&self.tail).0) }
    }
}

impl Store {
    /// The number of the last change.
    pub fn change_number(&self) -> Result<i64> {
        Ok(self.connection.prepare_cached("SELECT number FROM change")?.query_row([], |row| row.get(0))?)
    }

    /// The number of a session's last change.
    pub fn session_change(&self, session: i64) -> Result<i64> {
        let mut statement = self.connection.prepare_cached(
            "SELECT max(coalesce((SELECT max(changed) FROM stream WHERE session = ?1), 0),
                        coalesce((SELECT max(changed) FROM register WHERE session = ?1), 0))",
        )?;
        Ok(statement.query_row([session], |row| row.get(0))?)
    }

    /// The last change's number, and what at most `limit` sessions that changed after number `since` are called.
    pub fn changed_sessions(&self, since: i64, limit: u32) -> Result<(i64, Vec<String>)> {
        let number = self.change_number()?;
        let mut statement = self.connection.prepare_cached(
            "SELECT s.public_id FROM session s WHERE s.id IN (SELECT session FROM stream WHERE changed > ?1
               UNION SELECT session FROM register WHERE changed > ?1) LIMIT ?2",
        )?;
        let rows = statement.query_map(params![since, limit], |row| row.get(0))?;
        Ok((number, rows.collect::<rusqlite::Result<_>>()?))
    }

    /// The number of the transaction under way.
    pub(super) fn next_change(&mut self) -> Result<i64> {
        if let Some(number) = self.change {
            return Ok(number);
        }
        self.connection.prepare_cached("UPDATE change SET number = number + 1")?.execute([])?;
        let number = self.change_number()?;
        self.change = (!self.connection.is_autocommit()).then_some(number);
        Ok(number)
    }

    /// What changed after number `since`: about `limit` things, and never a part of a transaction.
    pub fn changes(&self, since: i64, limit: u32) -> Result<ChangeSet> {
        let newest = self.change_number()?;
        let last: Option<i64> = self
            .connection
            .prepare_cached(
                "SELECT changed FROM (SELECT changed FROM stream WHERE changed > ?1
                   UNION ALL SELECT changed FROM register WHERE changed > ?1) ORDER BY changed LIMIT 1 OFFSET ?2",
            )?
            .query_row(params![since, limit.saturating_sub(1)], |row| row.get(0))
            .optional()?;
        let number = last.unwrap_or(newest);
        let mut sessions: BTreeMap<i64, (Vec<i64>, bool)> = BTreeMap::new();
        let mut streams = self.connection.prepare_cached(
            "SELECT session, id FROM stream WHERE changed > ?1 AND changed <= ?2 ORDER BY session, id",
        )?;
        let mut rows = streams.query(params![since, number])?;
        while let Some(row) = rows.next()? {
            sessions.entry(row.get(0)?).or_default().0.push(row.get(1)?);
        }
        let mut registers = self
            .connection
            .prepare_cached("SELECT DISTINCT session FROM register WHERE changed > ?1 AND changed <= ?2")?;
        let mut rows = registers.query(params![since, number])?;
        while let Some(row) = rows.next()? {
            sessions.entry(row.get(0)?).or_default().1 = true;
        }
        let sessions = sessions.into_iter().map(|(session, (streams, _))| self.changed_session(session, &streams));
        Ok(ChangeSet { number, more: number < newest, sessions: sessions.collect::<Result<_>>()? })
    }

    /// A session with everything that is known of it.
    pub fn whole_session(&self, session: i64) -> Result<ChangedSession> {
        let streams: Vec<i64> = self.streams(session)?.into_iter().map(|stream| stream.id).collect();
        self.changed_session(session, &streams)
    }

    fn changed_session(&self, session: i64, streams: &[i64]) -> Result<ChangedSession> {
        let streams = streams.iter().map(|id| {
            let stream = self.stream(*id)?;
            let origin = self.origin_named(stream.origin)?;
            Ok((stream, origin))
        });
        Ok(ChangedSession {
            session: self.session(session)?,
            registers: self.registers(session)?,
            streams: streams.collect::<Result<_>>()?,
        })
    }

    pub(super) fn origin_named(&self, origin: i64) -> Result<String> {
        let mut statement = self.connection.prepare_cached("SELECT name FROM origin WHERE id = ?1")?;
        Ok(statement.query_row([origin], |row| row.get(0))?)
    }

    /// True where that device wrote anything here: a stream, a redacted copy of one, or what is said of a session.
    pub fn knows_device(&self, device: &str) -> Result<bool> {
        let sql = "SELECT 1 FROM origin WHERE name = ?1 OR name GLOB ?1 || '-r*'
                   UNION ALL SELECT 1 FROM register WHERE device = ?1 LIMIT 1";
        Ok(self.connection.prepare_cached(sql)?.exists([device])?)
    }

    /// The hash that the stream had when it had only its first `length` bytes; `None` where it never had so many.
    pub fn prefix_hash(&self, stream: &Stream, length: u64) -> Result<Option<Hash>> {
        if length >= stream.length {
            return Ok((length == stream.length).then(|| stream.hash()));
        }
        if length == 0 {
            return Ok(Some(Hash::of(&[])));
        }
        let (mut cut, mut chain) = (0, Vec::new());
        for (start, bytes, hash) in self.chunks_of(stream)? {
            let end = start + bytes;
            // A stream's last piece is no chunk yet, unless it is as long as one can be.
            if end > length || (end == length && bytes < CHUNK_LIMIT) {
                break;
            }
            chain = link(&chain, &hash.0);
            cut = end;
        }
        let tail = self.read_range(stream, cut, length - cut, &mut super::ChunkCache::default())?;
        Ok(Some(hash_of(&chain, &Hash::of(&tail).0)))
    }

    /// A stream's chunks: where each begins, its length and hash.
    pub fn chunks_of(&self, stream: &Stream) -> Result<Vec<(u64, u64, Hash)>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT sc.start, c.length, c.hash FROM stream_chunk sc JOIN chunk c ON c.id = sc.chunk
             WHERE sc.stream = ?1 ORDER BY sc.start",
        )?;
        let rows = statement.query_map([stream.id], |row| Ok((row.get(0)?, row.get(1)?, Hash(row.get(2)?))))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The bytes of the chunk with this hash, if the archive has it.
    pub fn chunk(&self, hash: &Hash) -> Result<Option<Vec<u8>>> {
        let place: Option<(i64, usize, usize)> = self
            .connection
            .prepare_cached("SELECT pack, start, length FROM chunk WHERE hash = ?1")?
            .query_row([&hash.0[..]], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        let read = |(pack, start, length)| self.chunk_bytes(pack, start, length, &mut super::ChunkCache::default());
        place.map(read).transpose()
    }

    /// True where the archive has a chunk with this hash.
    pub fn has_chunk(&self, hash: &Hash) -> Result<bool> {
        Ok(self.connection.prepare_cached("SELECT 1 FROM chunk WHERE hash = ?1")?.exists([&hash.0[..]])?)
    }

    /// The server of that name, made if it is new.
    pub fn remote(&mut self, name: &str) -> Result<RemoteRow> {
        self.connection.prepare_cached("INSERT OR IGNORE INTO remote (name) VALUES (?1)")?.execute([name])?;
        let mut statement = self.connection.prepare_cached("SELECT id, pushed, pulled FROM remote WHERE name = ?1")?;
        let row = statement
            .query_row([name], |row| Ok(RemoteRow { id: row.get(0)?, pushed: row.get(1)?, pulled: row.get(2)? }))?;
        Ok(row)
    }

    /// How far a server is, if anything was ever said to it.
    pub fn known_remote(&self, name: &str) -> Result<Option<RemoteRow>> {
        let mut statement = self.connection.prepare_cached("SELECT id, pushed, pulled FROM remote WHERE name = ?1")?;
        let row = statement
            .query_row([name], |row| Ok(RemoteRow { id: row.get(0)?, pushed: row.get(1)?, pulled: row.get(2)? }));
        Ok(row.optional()?)
    }

    /// True where a session changed after number `since`.
    pub fn has_changed(&self, session: i64, since: i64) -> Result<bool> {
        let sql = "SELECT 1 FROM stream WHERE session = ?1 AND changed > ?2
                   UNION ALL SELECT 1 FROM register WHERE session = ?1 AND changed > ?2 LIMIT 1";
        Ok(self.connection.prepare_cached(sql)?.exists(params![session, since])?)
    }

    /// How many sessions changed after number `since`.
    pub fn count_changed(&self, since: i64) -> Result<u64> {
        let mut statement = self.connection.prepare_cached(
            "SELECT count(*) FROM (SELECT session FROM stream WHERE changed > ?1
               UNION SELECT session FROM register WHERE changed > ?1)",
        )?;
        Ok(statement.query_row([since], |row| row.get(0))?)
    }

    /// Remembers how far a server is.
    pub fn save_remote(&mut self, remote: &RemoteRow) -> Result<()> {
        self.connection
            .prepare_cached("UPDATE remote SET pushed = max(pushed, ?2), pulled = max(pulled, ?3) WHERE id = ?1")?
            .execute(params![remote.id, remote.pushed, remote.pulled])?;
        Ok(())
    }

    /// How much of a stream a server is known to have, redacted by the rules of that version (0: as it is).
    pub fn acknowledged(&self, remote: i64, stream: i64, redaction: u32) -> Result<Option<Acknowledged>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT length, remote_length, remote_hash FROM acknowledged
              WHERE remote = ?1 AND stream = ?2 AND redaction = ?3",
        )?;
        let row = statement.query_row(params![remote, stream, redaction], |row| {
            Ok(Acknowledged { length: row.get(0)?, remote_length: row.get(1)?, remote_hash: Hash(row.get(2)?) })
        });
        Ok(row.optional()?)
    }

    /// Remembers how much of a stream a server has.
    pub fn acknowledge(&mut self, remote: i64, stream: i64, redaction: u32, has: &Acknowledged) -> Result<()> {
        self.update_or_insert(
            "UPDATE acknowledged SET length = ?4, remote_length = ?5, remote_hash = ?6
              WHERE remote = ?1 AND stream = ?2 AND redaction = ?3",
            "INSERT INTO acknowledged (remote, stream, redaction, length, remote_length, remote_hash)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![remote, stream, redaction, has.length, has.remote_length, &has.remote_hash.0[..]],
        )
    }

    /// Sessions that could not be pushed.
    pub fn unsent(&self, remote: i64) -> Result<Vec<Unsent>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT session, attempts, retry_at, reason FROM unsent WHERE remote = ?1 ORDER BY session",
        )?;
        let rows = statement.query_map([remote], |row| {
            Ok(Unsent { session: row.get(0)?, attempts: row.get(1)?, retry_at: row.get(2)?, reason: row.get(3)? })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Remembers that a session could not be pushed.
    pub fn set_unsent(&mut self, remote: i64, unsent: &Unsent) -> Result<()> {
        self.update_or_insert(
            "UPDATE unsent SET attempts = ?3, retry_at = ?4, reason = ?5 WHERE remote = ?1 AND session = ?2",
            "INSERT INTO unsent (remote, session, attempts, retry_at, reason) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![remote, unsent.session, unsent.attempts, unsent.retry_at, unsent.reason],
        )
    }

    /// The session is on the server.
    pub fn clear_unsent(&mut self, remote: i64, session: i64) -> Result<()> {
        self.connection
            .prepare_cached("DELETE FROM unsent WHERE remote = ?1 AND session = ?2")?
            .execute(params![remote, session])?;
        Ok(())
    }
}
