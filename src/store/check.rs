//! Verifies every byte that the archive holds, and names what is damaged.

use super::streams::{ChunkCache, Stream, link};
use super::{SessionRow, Store};
use crate::error::{Error, Result};
use crate::id::{Hash, SessionId};
use serde::Serialize;

/// One damaged thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// The session it belongs to, where that is known.
    pub session: Option<String>,
    /// What is damaged, and how.
    pub what: String,
}

/// What was verified.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// Sessions.
    pub sessions: u64,
    /// Streams.
    pub streams: u64,
    /// Chunks.
    pub chunks: u64,
    /// Bytes that tools wrote.
    pub native_bytes: u64,
    /// Bytes that hold them: packs and tails.
    pub pack_bytes: u64,
    /// What is damaged; empty in a sound archive.
    pub damage: Vec<Damage>,
}

impl CheckReport {
    fn add(&mut self, session: Option<String>, error: &Error) {
        self.damage.push(Damage { session, what: error.message() });
    }
}

impl Store {
    /// Reads and hashes everything; `progress` gets the number of streams done.
    pub fn check(&self, mut progress: impl FnMut(u64)) -> Result<CheckReport> {
        let mut report = CheckReport::default();
        // A row that can't even be read is damage like any other, and must not hide the rest.
        self.check_database(&mut report).unwrap_or_else(|error| report.add(None, &error));
        self.check_chunks(&mut report).unwrap_or_else(|error| report.add(None, &error));
        report.pack_bytes = self.connection.query_row(
            "SELECT (SELECT coalesce(sum(length(data)), 0) FROM pack) + (SELECT coalesce(sum(length(data)), 0) FROM tail)",
            [],
            |row| row.get(0),
        )?;
        for row in self.session_rows()? {
            let checked = self.session(row).and_then(|session| {
                report.sessions += u64::from(session.purged_at.is_none());
                self.check_session(&session, &mut report, &mut progress)
            });
            checked.unwrap_or_else(|error| report.add(Some(format!("session in row {row}")), &error));
        }
        Ok(report)
    }

    /// Whether the database is whole, as far as it can be told without looking at what it holds.
    pub fn check_structure(&self) -> Result<Vec<Damage>> {
        let mut report = CheckReport::default();
        self.check_database(&mut report)?;
        Ok(report.damage)
    }

    fn check_session(
        &self,
        session: &SessionRow,
        report: &mut CheckReport,
        progress: &mut impl FnMut(u64),
    ) -> Result<()> {
        self.check_metadata(session.id, session.public_id.as_str(), report)?;
        for stream in self.streams(session.id)? {
            self.check_stream(&session.public_id, &stream, report)?;
            progress(report.streams);
        }
        Ok(())
    }

    fn check_database(&self, report: &mut CheckReport) -> Result<()> {
        let mut statement = self.connection.prepare("PRAGMA quick_check(20)")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let line: String = row.get(0)?;
            if line != "ok" {
                report.damage.push(Damage { session: None, what: format!("database: {line}") });
            }
        }
        let mut statement = self
            .connection
            .prepare("SELECT \"table\", rowid, parent FROM pragma_foreign_key_check ORDER BY 1, 2 LIMIT 20")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
            let number = row.get::<_, Option<i64>>(1)?.map(|number| format!(" {number}")).unwrap_or_default();
            let what = format!("{table}{number} belongs to a {parent} that does not exist");
            report.damage.push(Damage { session: None, what });
        }
        Ok(())
    }

    /// Every chunk has the bytes that its hash names.
    fn check_chunks(&self, report: &mut CheckReport) -> Result<()> {
        let mut statement =
            self.connection.prepare("SELECT id, hash, length, pack, start FROM chunk ORDER BY pack, start")?;
        let mut rows = statement.query([])?;
        let mut cache = ChunkCache::default();
        while let Some(row) = rows.next()? {
            report.chunks += 1;
            let id = row.get(0)?;
            let mut is_sound = || -> Result<bool> {
                let (hash, length): (Vec<u8>, usize) = (row.get(1)?, row.get(2)?);
                let bytes = self.chunk_bytes(row.get(3)?, row.get(4)?, length, &mut cache)?;
                Ok(Hash::of(&bytes).0[..] == hash[..])
            };
            match is_sound() {
                Ok(true) => {}
                Ok(false) => self.name_chunk(id, "its bytes do not have its hash", report)?,
                Err(error) => self.name_chunk(id, &error.message(), report)?,
            }
        }
        Ok(())
    }

    fn name_chunk(&self, id: i64, problem: &str, report: &mut CheckReport) -> Result<()> {
        let mut statement = self.connection.prepare_cached(
            "SELECT DISTINCT s.public_id FROM stream_chunk sc JOIN stream st ON st.id = sc.stream
             JOIN session s ON s.id = st.session WHERE sc.chunk = ?1",
        )?;
        let owners: Vec<String> = statement.query_map([id], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        let what = format!("chunk {id}: {problem}");
        if owners.is_empty() {
            report.damage.push(Damage { session: None, what });
        } else {
            report.damage.extend(owners.into_iter().map(|s| Damage { session: Some(s), what: what.clone() }));
        }
        Ok(())
    }

    /// Chunks and tail follow each other without a gap, and give the stream's hash.
    fn check_stream(&self, session: &SessionId, stream: &Stream, report: &mut CheckReport) -> Result<()> {
        report.streams += 1;
        report.native_bytes += stream.length;
        let mut damaged = |what: String| {
            let what = format!("stream {} (generation {}): {what}", stream.name, stream.generation);
            report.damage.push(Damage { session: Some(session.to_string()), what });
        };
        let (end, chain) = self.chunk_chain(stream)?;
        let tail = match self.read_tail(stream) {
            Ok(tail) => tail,
            Err(error) => {
                damaged(error.message());
                return Ok(());
            }
        };
        if !stream.is_cut_at(end) {
            damaged(format!("its chunks end at byte {end}, which is not where its tail begins"));
        } else if end + tail.len() as u64 != stream.length {
            damaged(format!("holds {} of {} bytes", end + tail.len() as u64, stream.length));
        } else if !stream.has_hashes(&chain, &tail) {
            damaged("its bytes do not have its hash".to_owned());
        }
        Ok(())
    }

    fn chunk_chain(&self, stream: &Stream) -> Result<(u64, Vec<u8>)> {
        let mut statement = self.connection.prepare_cached(
            "SELECT sc.start, c.length, c.hash FROM stream_chunk sc JOIN chunk c ON c.id = sc.chunk
             WHERE sc.stream = ?1 ORDER BY sc.start",
        )?;
        let mut rows = statement.query([stream.id])?;
        let (mut end, mut chain) = (0u64, Vec::new());
        while let Some(row) = rows.next()? {
            if row.get::<_, u64>(0)? != end {
                break;
            }
            end += row.get::<_, u64>(1)?;
            let hash: Vec<u8> = row.get(2)?;
            chain = link(&chain, &hash);
        }
        Ok((end, chain))
    }
}
