//! What a page of a list needs of all its sessions at once, and what lists can be filtered by: one query each, however many
//! sessions there are.

use super::sessions::{SESSION, SESSION_COLUMNS, SUMMARY, Sort, session_from, summary_from};
use super::{SessionRow, Store, Summary};
use crate::error::Result;
use rusqlite::params;
use std::collections::{HashMap, HashSet};

/// Values and how many sessions have each.
type Counts = Vec<(String, u64)>;

/// The numbers of rows as one value for [`AMONG`].
fn list(ids: &[i64]) -> String {
    serde_json::to_string(ids).unwrap_or_default()
}

/// Those of [`list`].
const AMONG: &str = "(SELECT value FROM json_each(?1))";

impl Store {
    /// The tags of these sessions.
    pub fn tags_of(&self, sessions: &[i64]) -> Result<HashMap<i64, Vec<String>>> {
        let sql = format!("SELECT session, tag FROM tag WHERE session IN {AMONG} ORDER BY session, tag");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query([list(sessions)])?;
        let mut tags = HashMap::<i64, Vec<String>>::new();
        while let Some(row) = rows.next()? {
            tags.entry(row.get(0)?).or_default().push(row.get(1)?);
        }
        Ok(tags)
    }

    /// Those of these sessions whose main file the tool still has.
    pub fn native_present_among(&self, sessions: &[i64]) -> Result<HashSet<i64>> {
        let sql = format!(
            "SELECT DISTINCT st.session FROM stream st JOIN native_file f ON f.stream = st.id
              WHERE st.session IN {AMONG} AND st.name = 'main' AND f.gone_at IS NULL"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        Ok(statement.query_map([list(sessions)], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
    }

    /// What the sessions are called here that tools call so: by tool and native id.
    pub fn public_ids(&self, natives: &[(&str, &str)]) -> Result<HashMap<(String, String), String>> {
        let natives = serde_json::to_string(natives).unwrap_or_default();
        let mut statement = self.connection.prepare_cached(
            "SELECT s.tool, s.native_id, s.public_id FROM json_each(?1) j CROSS JOIN session s
              ON s.account = 0 AND s.tool = j.value ->> 0 AND s.native_id = j.value ->> 1",
        )?;
        let rows = statement.query_map(params![natives], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// These sessions with their summaries, in the order in which they are given.
    pub fn sessions_with_summaries(&self, sessions: &[i64]) -> Result<Vec<(SessionRow, Summary)>> {
        let sql = format!(
            "SELECT {SESSION}, {SUMMARY} FROM session s JOIN summary m ON m.session = s.id WHERE s.id IN {AMONG}"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement
            .query_map([list(sessions)], |row| Ok((session_from(row)?, summary_from(row, SESSION_COLUMNS)?)))?;
        let mut rows: Vec<(SessionRow, Summary)> = rows.collect::<rusqlite::Result<_>>()?;
        let place: HashMap<i64, usize> = sessions.iter().enumerate().map(|(at, id)| (*id, at)).collect();
        rows.sort_by_key(|(row, _)| place.get(&row.id).copied());
        Ok(rows)
    }

    /// These sessions in that order.
    pub fn sorted(&self, sessions: &[i64], sort: Sort) -> Result<Vec<i64>> {
        let sql = format!(
            "SELECT s.id FROM session s JOIN summary m ON m.session = s.id WHERE s.id IN {AMONG} ORDER BY {}",
            sort.sql()
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        Ok(statement.query_map([list(sessions)], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
    }

    /// The visible sessions' tools, projects and models, the most frequent first.
    pub fn facets(&self) -> Result<(Counts, Counts, Counts)> {
        let counts = |column: &str| -> Result<Counts> {
            let mut statement = self.connection.prepare_cached(&format!(
                "SELECT {column}, count(*) FROM summary m CROSS JOIN session s ON s.id = m.session
                  WHERE s.deleted_at IS NULL AND m.message_count > 0 AND {column} IS NOT NULL
                  GROUP BY 1 ORDER BY 2 DESC, 1"
            ))?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        };
        Ok((counts("s.tool")?, counts("m.project")?, counts("m.model")?))
    }
}
