//! What the full-text index and the message table say to a search: where an answer may stand. The index stores no text,
//! so the messages themselves are read from the streams, by [`crate::search`].

use super::derived::{INHERITED, META, message_from};
use super::sessions::Conditions;
use super::{Filter, MessageRow, Span, Store};
use crate::error::Result;
use crate::model::query::{Query, Term};
use crate::model::voice::Voice;
use crate::model::words;
use rusqlite::types::Value;
use rusqlite::{CachedStatement, OptionalExtension, Row, params, params_from_iter};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Where to search.
#[derive(Clone, Debug, Default)]
pub struct SearchFilter {
    /// Which sessions. Its times, order and limit are not looked at, and deleted sessions are never searched.
    pub sessions: Filter,
    /// Only in this session's row.
    pub session: Option<i64>,
    /// Said at or after, in milliseconds.
    pub since: Option<i64>,
    /// Said before, in milliseconds.
    pub until: Option<i64>,
    /// Only what this one said; it may have said a part of the message only.
    pub voice: Option<Voice>,
}

/// A message that may be an answer: what is to be known of it before it is read.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its row.
    pub id: i64,
    /// The session's row.
    pub session: i64,
    /// When it was said, or else its session was last active, in milliseconds.
    pub at: Option<i64>,
    /// Written by the harness.
    pub is_meta: bool,
    /// Written into the tool by us.
    pub is_inherited: bool,
    /// Its session came out of another one, and may repeat that one's messages.
    pub is_child: bool,
    /// How well it answers: the lower the better. 0 where the index was not asked.
    pub rank: f64,
}

/// Messages that the index names, one after the other.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Those that pass the filter.
    pub candidates: Vec<Candidate>,
    /// How many the index named, whether they pass the filter or not.
    pub looked_at: usize,
    /// The row before which to go on; `None` at the end.
    pub before: Option<i64>,
}

/// What a search has to know of a session.
#[derive(Clone, Copy)]
struct Searched {
    updated_at: Option<i64>,
    is_child: bool,
}

/// The sessions in which a search found something; each is asked for once. Many messages are of few sessions.
struct Sessions<'a> {
    filter: &'a SearchFilter,
    statement: CachedStatement<'a>,
    values: Vec<Value>,
    /// `None` where the filter keeps it out.
    known: HashMap<i64, Option<Searched>>,
}

impl<'a> Sessions<'a> {
    fn of(store: &'a Store, filter: &'a SearchFilter) -> Result<Sessions<'a>> {
        let sessions = Filter { since: None, until: None, min_messages: 0, deleted: false, ..filter.sessions.clone() };
        let mut conditions = Conditions::of(&sessions);
        conditions.number("s.id = ?", filter.session);
        let sql = format!(
            "SELECT m.updated_at, s.parent IS NOT NULL OR m.forked_from IS NOT NULL
               FROM session s LEFT JOIN summary m ON m.session = s.id WHERE {} AND s.id = ?",
            conditions.sql()
        );
        let statement = store.connection.prepare_cached(&sql)?;
        Ok(Sessions { filter, statement, values: conditions.values, known: HashMap::new() })
    }

    /// The message `id` of `session`, said `at`; `None` where the filter keeps it out. The voice is not looked at.
    fn candidate(
        &mut self,
        id: i64,
        session: i64,
        at: Option<i64>,
        flags: i64,
        rank: f64,
    ) -> Result<Option<Candidate>> {
        let known = match self.known.entry(session) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(place) => {
                let row = Value::from(session);
                let values = params_from_iter(self.values.iter().chain([&row]));
                let read = |row: &Row<'_>| Ok(Searched { updated_at: row.get(0)?, is_child: row.get(1)? });
                *place.insert(self.statement.query_row(values, read).optional()?)
            }
        };
        let Some(Searched { updated_at, is_child }) = known else { return Ok(None) };
        let at = at.or(updated_at);
        let moment = at.unwrap_or(0);
        let is_in_time = self.filter.since.is_none_or(|since| moment >= since)
            && self.filter.until.is_none_or(|until| moment < until);
        let (is_meta, is_inherited) = (flags & META != 0, flags & INHERITED != 0);
        Ok(is_in_time.then_some(Candidate { id, session, at, is_meta, is_inherited, is_child, rank }))
    }
}

impl SearchFilter {
    /// The roles of messages in which the voice is heard.
    fn roles(&self) -> &'static str {
        match self.voice {
            None => "TRUE",
            Some(Voice::User) => "g.role = 0 AND g.flags & 2 = 0",
            Some(Voice::Assistant | Voice::Thinking) => "g.role = 1",
            Some(Voice::Tool) => "g.role IN (1, 4)",
            Some(Voice::System) => "(g.role IN (2, 3) OR g.role = 0 AND g.flags & 2 <> 0)",
        }
    }
}

impl Store {
    /// Messages in which the index finds the query's words, those before row `before`, the most recently captured first:
    /// `most` of them, fewer at the end, which costs the same whatever the filter leaves. `None` where the query has no words
    /// that the index could look for.
    pub fn search_index(
        &self,
        query: &Query,
        filter: &SearchFilter,
        before: i64,
        most: usize,
    ) -> Result<Option<Batch>> {
        let Some(expression) = expression(query) else { return Ok(None) };
        // A session's messages lie close together.
        let rows = filter.session.map_or(String::new(), |session| {
            format!(
                " AND rowid BETWEEN (SELECT min(id) FROM message WHERE session = {session})
                    AND (SELECT max(id) FROM message WHERE session = {session})"
            )
        });
        // Few columns and no further table: there may be thousands, of which a dozen is read.
        let sql = format!(
            "SELECT t.id, g.session, g.at, g.flags, t.rank, {} FROM (
                 SELECT rowid AS id, bm25(message_text) AS rank FROM message_text
                 WHERE message_text MATCH ? AND rowid < ?{rows} ORDER BY rowid DESC LIMIT {most}) t
               CROSS JOIN message g ON g.id = t.id
             ORDER BY t.id DESC",
            filter.roles()
        );
        let mut sessions = Sessions::of(self, filter)?;
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows = statement.query(params![expression, before])?;
        let mut batch = Batch::default();
        while let Some(row) = rows.next()? {
            let id = row.get(0)?;
            batch.looked_at += 1;
            batch.before = Some(id);
            if row.get(5)? {
                let found = sessions.candidate(id, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)?;
                batch.candidates.extend(found);
            }
        }
        Ok(Some(batch))
    }

    /// Where candidates stand: each one's place in `candidates` and its span. One that is no longer there is left out.
    pub fn spans(&self, candidates: &[Candidate]) -> Result<Vec<(usize, Span)>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, stream, start, length, line, part, role, flags FROM message WHERE id = ?1 AND session = ?2",
        )?;
        let mut spans = Vec::with_capacity(candidates.len());
        for (place, candidate) in candidates.iter().enumerate() {
            let row = statement.query_row([candidate.id, candidate.session], message_from).optional()?;
            spans.extend(row.map(|row| (place, row.span)));
        }
        Ok(spans)
    }

    /// The sessions to scan, the most recently active first.
    pub fn sessions_to_scan(&self, filter: &SearchFilter) -> Result<Vec<i64>> {
        // A session that was last active before has no message since.
        let sessions =
            Filter { since: filter.since, until: None, min_messages: 0, deleted: false, ..filter.sessions.clone() };
        let mut conditions = Conditions::of(&sessions);
        conditions.number("s.id = ?", filter.session);
        let sql = format!(
            "SELECT s.id FROM summary m CROSS JOIN session s ON s.id = m.session WHERE {}
             ORDER BY m.updated_at DESC, s.id DESC",
            conditions.sql()
        );
        let mut statement = self.connection.prepare(&sql)?;
        let rows = statement.query_map(params_from_iter(&conditions.values), |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The messages of a session that are to be searched and where they stand, in the order of its streams' rows and of
    /// their bytes.
    pub fn messages_to_scan(&self, session: i64, filter: &SearchFilter) -> Result<Vec<(Candidate, Span)>> {
        let sql = format!(
            "SELECT g.id, g.stream, g.start, g.length, g.line, g.part, g.role, g.flags, g.at FROM message g
             WHERE g.session = ? AND {} ORDER BY g.stream, g.start, g.part",
            filter.roles()
        );
        let mut sessions = Sessions::of(self, filter)?;
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query([session])?;
        let mut messages = Vec::new();
        while let Some(row) = rows.next()? {
            let MessageRow { id, span, .. } = message_from(row)?;
            let found = sessions.candidate(id, session, row.get(8)?, row.get(7)?, 0.0)?;
            messages.extend(found.map(|found| (found, span)));
        }
        Ok(messages)
    }
}

/// The query in the index's language. It has no words but in quotes, so nothing that a person types is an error in it.
fn expression(query: &Query) -> Option<String> {
    let mut alternatives = Vec::new();
    for alternative in query.alternatives() {
        let wanted: Vec<String> = alternative.wanted.iter().filter(|term| term.has_words()).map(quoted).collect();
        if wanted.is_empty() {
            return None;
        }
        // Of what is unwanted the index has a say only where its answer is the last one.
        let unwanted = alternative.unwanted.iter().filter(|term| term.is_words_only());
        let wanted = format!("({})", wanted.join(" AND "));
        let parts: Vec<String> = std::iter::once(wanted).chain(unwanted.map(quoted)).collect();
        alternatives.push(format!("({})", parts.join(" NOT ")));
    }
    Some(alternatives.join(" OR "))
}

fn quoted(term: &Term) -> String {
    let text = words::for_index(term.text()).replace('"', "\"\"").replace('\0', " ");
    format!("\"{text}\"{}", if term.is_prefix() { " *" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::query::Case;

    #[test]
    fn what_is_typed_is_quoted() {
        let of = |text: &str| Query::parse(text, Case::Ignored).ok().as_ref().and_then(expression);
        assert_eq!(of("a b").as_deref(), Some(r#"(("a" AND "b"))"#));
        assert_eq!(of("a* OR foo_bar.baz() NOT x.y").as_deref(), Some(r#"(("a" *)) OR (("foo_bar.baz()"))"#));
        assert_eq!(of("parser NOT yaml").as_deref(), Some(r#"(("parser") NOT "yaml")"#));
        assert_eq!(
            of("say\"so NEAR(a) ^b col:c").as_deref(),
            Some(r#"(("say""so" AND "NEAR(a)" AND "^b" AND "col:c"))"#)
        );
        assert_eq!(of("世界").as_deref(), Some(r#"((" 世  界 "))"#));
        assert_eq!(of("-> 🙂"), None);
        assert_eq!(of("a OR ->"), None);
    }
}
