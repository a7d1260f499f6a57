//! What the full-text index and the message table say to a search: where an answer may stand. The index stores no text,
//! so the messages themselves are read from the streams, by [`crate::search`].

use super::derived::message_from;
use super::sessions::Conditions;
use super::{Filter, MessageRow, Store};
use crate::error::Result;
use crate::model::query::{Query, Term};
use crate::model::voice::Voice;
use crate::model::words;
use rusqlite::params_from_iter;

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

/// A message that may be an answer.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The session's row.
    pub session: i64,
    /// Where it stands.
    pub row: MessageRow,
    /// When it was said, or else its session was last active, in milliseconds.
    pub at: Option<i64>,
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

const COLUMNS: &str = "g.id, g.stream, g.start, g.length, g.line, g.part, g.role, g.flags, g.session,
    coalesce(g.at, m.updated_at), s.parent IS NOT NULL OR m.forked_from IS NOT NULL";

fn candidate_from(row: &rusqlite::Row<'_>) -> rusqlite::Result<Candidate> {
    Ok(Candidate {
        row: message_from(row)?,
        session: row.get(8)?,
        at: row.get(9)?,
        is_child: row.get(10)?,
        rank: row.get(11)?,
    })
}

impl SearchFilter {
    /// `g` is the message, `s` the session, `m` its summary.
    fn conditions(&self) -> Conditions {
        let sessions = Filter { since: None, until: None, min_messages: 0, deleted: false, ..self.sessions.clone() };
        let mut conditions = Conditions::of(&sessions);
        conditions.number("g.session = ?", self.session);
        conditions.number("coalesce(g.at, m.updated_at, 0) >= ?", self.since);
        conditions.number("coalesce(g.at, m.updated_at, 0) < ?", self.until);
        conditions
    }

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
        let mut conditions = filter.conditions();
        conditions.values.extend([expression.into(), before.into()]);
        // A session's messages lie close together.
        let rows = filter.session.map_or(String::new(), |session| {
            format!(
                " AND rowid BETWEEN (SELECT min(id) FROM message WHERE session = {session})
                    AND (SELECT max(id) FROM message WHERE session = {session})"
            )
        });
        let sql = format!(
            "SELECT {COLUMNS}, t.rank, {} AND {} FROM (
                 SELECT rowid AS id, bm25(message_text) AS rank FROM message_text
                 WHERE message_text MATCH ? AND rowid < ?{rows} ORDER BY rowid DESC LIMIT {most}) t
               CROSS JOIN message g ON g.id = t.id
               CROSS JOIN session s ON s.id = g.session
               LEFT JOIN summary m ON m.session = g.session
             ORDER BY t.id DESC",
            conditions.sql(),
            filter.roles()
        );
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows = statement.query(params_from_iter(&conditions.values))?;
        let mut batch = Batch::default();
        while let Some(row) = rows.next()? {
            let candidate = candidate_from(row)?;
            batch.looked_at += 1;
            batch.before = Some(candidate.row.id);
            if row.get::<_, Option<bool>>(12)? == Some(true) {
                batch.candidates.push(candidate);
            }
        }
        Ok(Some(batch))
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

    /// The messages of a session that are to be searched, in the order of its streams' rows and of their bytes.
    pub fn messages_to_scan(&self, session: i64, filter: &SearchFilter) -> Result<Vec<Candidate>> {
        let filter = SearchFilter { session: Some(session), ..filter.clone() };
        let conditions = filter.conditions();
        let sql = format!(
            "SELECT {COLUMNS}, 0.0 FROM message g CROSS JOIN session s ON s.id = g.session
               LEFT JOIN summary m ON m.session = g.session
             WHERE {} AND {} ORDER BY g.stream, g.start, g.part",
            conditions.sql(),
            filter.roles()
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_map(params_from_iter(&conditions.values), candidate_from)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
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
