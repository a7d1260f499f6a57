//! Derived tables: where messages stand, their full text, tokens, notes, and how far each stream was read. All of it can
//! be dropped and rebuilt from the streams.

use super::{Store, Summary};
use crate::error::Result;
use crate::id::Hash;
use crate::model::message::{Role, Usage};
use crate::model::price;
use crate::model::usage::UsageRecord;
use crate::model::words;
use rusqlite::{OptionalExtension, params};
use std::collections::BTreeMap;

/// Where a message's line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The stream's row.
    pub stream: i64,
    /// The line's first byte.
    pub start: u64,
    /// Without the line break.
    pub length: u64,
    /// The line's number, from 0.
    pub line: u64,
    /// Which of the line's messages.
    pub part: u32,
}

/// An indexed message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRow {
    /// Its row.
    pub id: i64,
    /// Where it stands.
    pub span: Span,
    /// Who speaks.
    pub role: Role,
    /// Belongs to a sub-agent.
    pub is_sidechain: bool,
    /// Written by the harness.
    pub is_meta: bool,
    /// Written into the tool by us: shown and found, but not counted.
    pub is_inherited: bool,
}

/// How far a stream was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReaderRow {
    /// The first byte not yet read.
    pub read_to: u64,
    /// Its line number.
    pub line: u64,
    /// `read_to` is inside a line that is too long to be read.
    pub skip: bool,
    /// What the tool's reader wants back.
    pub state: Option<String>,
}

const SIDECHAIN: i64 = 1;
pub(super) const META: i64 = 2;
pub(super) const INHERITED: i64 = 4;

fn role_number(role: Role) -> i64 {
    match role {
        Role::User => 0,
        Role::Assistant => 1,
        Role::System => 2,
        Role::Developer => 3,
        Role::Tool => 4,
    }
}

fn role_from(number: i64) -> Role {
    match number {
        0 => Role::User,
        1 => Role::Assistant,
        3 => Role::Developer,
        4 => Role::Tool,
        _ => Role::System,
    }
}

/// Reads the columns id, stream, start, length, line, part, role, flags, in this order.
pub(super) fn message_from(row: &rusqlite::Row<'_>) -> rusqlite::Result<MessageRow> {
    let flags: i64 = row.get(7)?;
    Ok(MessageRow {
        id: row.get(0)?,
        span: Span {
            stream: row.get(1)?,
            start: row.get(2)?,
            length: row.get(3)?,
            line: row.get(4)?,
            part: row.get(5)?,
        },
        role: role_from(row.get(6)?),
        is_sidechain: flags & SIDECHAIN != 0,
        is_meta: flags & META != 0,
        is_inherited: flags & INHERITED != 0,
    })
}

impl Store {
    /// How many messages are derived from a stream, and the time of the last one, in milliseconds.
    pub fn messages_in(&self, stream: i64) -> Result<(u64, Option<i64>)> {
        let sql = "SELECT count(*), max(at) FROM message WHERE stream = ?1
                      AND session = (SELECT session FROM stream WHERE id = ?1)";
        Ok(self.connection.prepare_cached(sql)?.query_row([stream], |row| Ok((row.get(0)?, row.get(1)?)))?)
    }

    /// Indexes one message; `text` is what can be searched.
    pub fn add_message(&mut self, session: i64, row: &MessageRow, at: Option<i64>, text: &str) -> Result<()> {
        let flags = if row.is_sidechain { SIDECHAIN } else { 0 }
            | if row.is_meta { META } else { 0 }
            | if row.is_inherited { INHERITED } else { 0 };
        let span = row.span;
        self.connection
            .prepare_cached(
                "INSERT INTO message (session, stream, start, length, line, part, role, flags, at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                session,
                span.stream,
                span.start,
                span.length,
                span.line,
                span.part,
                role_number(row.role),
                flags,
                at
            ])?;
        if !text.trim().is_empty() {
            let id = self.connection.last_insert_rowid();
            self.connection
                .prepare_cached("INSERT INTO message_text (rowid, text) VALUES (?1, ?2)")?
                .execute(params![id, words::for_index(text)])?;
        }
        Ok(())
    }

    /// A page of a session's messages in the order of their capture.
    pub fn messages(&self, session: i64, sidechains: bool, skip: u64, limit: u64) -> Result<Vec<MessageRow>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, stream, start, length, line, part, role, flags FROM message
             WHERE session = ?1 AND (?2 OR flags & 1 = 0) ORDER BY id LIMIT ?4 OFFSET ?3",
        )?;
        let rows = statement.query_map(params![session, sidechains, skip, limit as i64], message_from)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// A session's messages behind row `after`, in the order of their capture.
    pub fn messages_after(&self, session: i64, after: i64) -> Result<Vec<MessageRow>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, stream, start, length, line, part, role, flags FROM message
             WHERE session = ?1 AND id > ?2 ORDER BY id",
        )?;
        let rows = statement.query_map([session, after], message_from)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// How many messages of a session are indexed, and the last one's row.
    pub fn indexed_messages(&self, session: i64) -> Result<(u64, i64)> {
        let sql = "SELECT count(*), coalesce(max(id), 0) FROM message WHERE session = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.query_row([session], |row| Ok((row.get(0)?, row.get(1)?)))?)
    }

    /// A session's messages by stream: each one's row, and which of its line's messages it is.
    pub fn message_parts(&self, session: i64) -> Result<BTreeMap<i64, Vec<(i64, u32)>>> {
        let mut statement =
            self.connection.prepare_cached("SELECT stream, id, part FROM message WHERE session = ?1")?;
        let mut rows = statement.query([session])?;
        let mut parts = BTreeMap::<i64, Vec<(i64, u32)>>::new();
        while let Some(row) = rows.next()? {
            parts.entry(row.get(0)?).or_default().push((row.get(1)?, row.get(2)?));
        }
        Ok(parts)
    }

    /// The messages of the line that begins at byte `start` of a stream: each one's row, which of its line's messages it
    /// is, and the line's length.
    pub fn messages_at(&self, session: i64, stream: i64, start: u64) -> Result<Vec<(i64, u32, u64)>> {
        let sql = "SELECT id, part, length FROM message WHERE session = ?1 AND stream = ?2 AND start = ?3";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows =
            statement.query_map(params![session, stream, start], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Drops one message from the index.
    pub fn forget_message(&mut self, row: i64) -> Result<()> {
        self.connection.prepare_cached("DELETE FROM message_text WHERE rowid = ?1")?.execute([row])?;
        self.connection.prepare_cached("DELETE FROM message WHERE id = ?1")?.execute([row])?;
        Ok(())
    }

    /// Counts a reply's tokens once, whatever file or session repeats them; the newest figures under a key win.
    /// `summary` is the session's, and takes the difference.
    pub fn add_usage(&mut self, session: i64, record: &UsageRecord, summary: &mut Summary) -> Result<()> {
        let key = Hash::of(record.key.as_bytes()).word();
        let known = self
            .connection
            .prepare_cached(
                "SELECT session, model, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens
                 FROM usage WHERE key = ?1",
            )?
            .query_row([key], |row| {
                let usage = Usage {
                    input_tokens: row.get(2)?,
                    output_tokens: row.get(3)?,
                    cache_read_tokens: row.get(4)?,
                    cache_write_tokens: row.get(5)?,
                    reasoning_tokens: 0,
                };
                Ok((row.get::<_, i64>(0)?, row.get::<_, Option<String>>(1)?, usage))
            })
            .optional()?;
        let sql = match known {
            // A fork's copy: it was counted where it was made.
            Some((owner, ..)) if owner != session => return self.add_repeat(session, owner),
            Some((_, model, usage)) => {
                summary.count(model.as_deref(), &usage, -1);
                "UPDATE usage SET session = ?2, at = ?3, model = ?4, input_tokens = ?5, output_tokens = ?6,
                   cache_read_tokens = ?7, cache_write_tokens = ?8 WHERE key = ?1"
            }
            None => {
                "INSERT INTO usage
                 (key, session, at, model, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
            }
        };
        let usage = record.usage.plausible();
        summary.count(record.model.as_deref(), &usage, 1);
        self.connection.prepare_cached(sql)?.execute(params![
            key,
            session,
            record.timestamp.map(jiff::Timestamp::as_millisecond),
            record.model,
            usage.input_tokens,
            usage.output_tokens,
            usage.cache_read_tokens,
            usage.cache_write_tokens
        ])?;
        Ok(())
    }

    fn add_repeat(&mut self, session: i64, counted: i64) -> Result<()> {
        let values = params![session, counted];
        let mut known = self.connection.prepare_cached("SELECT 1 FROM repeat WHERE session = ?1 AND counted = ?2")?;
        if !known.exists(values)? {
            self.connection.prepare_cached("INSERT INTO repeat (session, counted) VALUES (?1, ?2)")?.execute(values)?;
        }
        Ok(())
    }

    /// The sessions with replies that are counted in `session`: its forks, mostly. In the order of their capture.
    pub fn repeated_by(&self, session: i64) -> Result<Vec<i64>> {
        let mut statement =
            self.connection.prepare_cached("SELECT session FROM repeat WHERE counted = ?1 ORDER BY session")?;
        Ok(statement.query_map([session], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
    }

    /// Tokens and cost of a session by model: (model, replies, usage).
    pub fn usage_by_model(&self, session: i64) -> Result<Vec<(Option<String>, u64, Usage)>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT model, count(*), sum(input_tokens), sum(output_tokens), sum(cache_read_tokens),
               sum(cache_write_tokens) FROM usage WHERE session = ?1 GROUP BY model ORDER BY 4 DESC",
        )?;
        let rows = statement.query_map([session], |row| {
            let usage = Usage {
                input_tokens: row.get(2)?,
                output_tokens: row.get(3)?,
                cache_read_tokens: row.get(4)?,
                cache_write_tokens: row.get(5)?,
                reasoning_tokens: 0,
            };
            Ok((row.get(0)?, row.get(1)?, usage))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Keeps why a line was not understood.
    pub fn add_note(&mut self, stream: i64, line: u64, reason: &str) -> Result<()> {
        self.connection
            .prepare_cached("INSERT INTO note (stream, line, reason) VALUES (?1, ?2, ?3)")?
            .execute(params![stream, line, reason])?;
        Ok(())
    }

    /// The lines of a session that were not understood: stream's name, line from 0, reason.
    pub fn notes(&self, session: i64) -> Result<Vec<(String, u64, String)>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT st.name, n.line, n.reason FROM note n JOIN stream st ON st.id = n.stream
             WHERE st.session = ?1 ORDER BY st.id, n.line",
        )?;
        let rows = statement.query_map([session], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// How far a stream was read.
    pub fn reader(&self, stream: i64) -> Result<ReaderRow> {
        let row = self
            .connection
            .prepare_cached("SELECT read_to, line, skip, state FROM reader WHERE stream = ?1")?
            .query_row([stream], |row| {
                Ok(ReaderRow { read_to: row.get(0)?, line: row.get(1)?, skip: row.get(2)?, state: row.get(3)? })
            })
            .optional()?;
        Ok(row.unwrap_or_default())
    }

    /// Stores how far a stream was read.
    pub fn save_reader(&mut self, stream: i64, row: &ReaderRow) -> Result<()> {
        self.update_or_insert(
            "UPDATE reader SET read_to = ?2, line = ?3, skip = ?4, state = ?5 WHERE stream = ?1",
            "INSERT INTO reader (stream, read_to, line, skip, state) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![stream, row.read_to, row.line, row.skip, row.state],
        )
    }

    /// Drops what was derived of one session.
    pub fn forget_derived(&mut self, session: i64) -> Result<()> {
        for sql in [
            "DELETE FROM message_text WHERE rowid IN (SELECT id FROM message WHERE session = ?1)",
            "DELETE FROM message WHERE session = ?1",
            "DELETE FROM usage WHERE session = ?1",
            "DELETE FROM repeat WHERE session = ?1",
            "DELETE FROM note WHERE stream IN (SELECT id FROM stream WHERE session = ?1)",
            "DELETE FROM reader WHERE stream IN (SELECT id FROM stream WHERE session = ?1)",
            "DELETE FROM summary WHERE session = ?1",
        ] {
            self.connection.prepare_cached(sql)?.execute([session])?;
        }
        Ok(())
    }

    /// Drops everything that was derived.
    pub fn forget_all_derived(&mut self) -> Result<()> {
        self.connection.execute_batch(
            "DELETE FROM message; DELETE FROM usage; DELETE FROM repeat; DELETE FROM note; DELETE FROM reader; DELETE FROM summary;
             INSERT INTO message_text (message_text) VALUES ('delete-all');",
        )?;
        Ok(())
    }
}

impl Summary {
    /// Adds (`sign` 1) or takes away (-1) one reply.
    fn count(&mut self, model: Option<&str>, usage: &Usage, sign: i64) {
        let step = |total: &mut u64, amount: u64| *total = total.saturating_add_signed(sign * amount as i64);
        step(&mut self.input_tokens, usage.input_tokens);
        step(&mut self.output_tokens, usage.output_tokens);
        step(&mut self.cache_read_tokens, usage.cache_read_tokens);
        step(&mut self.cache_write_tokens, usage.cache_write_tokens);
        match model.and_then(|model| price::cost(model, usage)) {
            Some(cost) => self.cost_usd += sign as f64 * cost,
            None => step(&mut self.unpriced_replies, 1),
        }
    }
}
