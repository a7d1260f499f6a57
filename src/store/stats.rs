//! What was done when, message by message and reply by reply, for statistics. Only derived tables are read.

use super::sessions::Conditions;
use super::{Filter, Store};
use crate::error::Result;
use crate::model::message::Usage;
use crate::model::stats::{Deed, Work};
use rusqlite::params_from_iter;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// What is called with each reply: session, time, model, tokens.
type OnUsage<'f> = dyn FnMut(i64, Option<i64>, Option<&str>, Usage) + 'f;

struct SessionFacts {
    tool: String,
    project: Option<String>,
    updated_at: Option<i64>,
}

impl Store {
    /// Calls `each` with what was done in the sessions that `filter` lets through; its order and limit do not matter.
    /// What is only repeated is left out: history that we or a tool copied, second files of a session. A sub-agent's
    /// replies cost what they cost, but its messages are not the conversation's.
    pub fn for_each_deed(&self, filter: &Filter, each: &mut dyn FnMut(&Deed<'_>)) -> Result<()> {
        let sessions = self.session_facts(filter)?;
        let copies = self.copies()?;
        let mut deed = |session: i64, at: Option<i64>, work: Work<'_>| {
            if let Some(SessionFacts { tool, project, updated_at }) = sessions.get(&session) {
                each(&Deed { session, tool, project: project.as_deref(), at: at.or(*updated_at), work });
            }
        };
        // Not of a sub-agent (1), not the harness's (2), not inherited (4).
        let mut statement =
            self.connection.prepare("SELECT session, at, role, stream FROM message WHERE flags & 7 = 0")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            if copies.is_empty() || !copies.contains(&row.get(3)?) {
                deed(row.get(0)?, row.get(1)?, Work::Message { is_prompt: row.get::<_, i64>(2)? == 0 });
            }
        }
        self.for_each_usage(&mut |session, at, model, usage| deed(session, at, Work::Reply { model, usage }))
    }

    /// The same for models' replies within a span of time, in milliseconds.
    pub fn for_each_reply(&self, filter: &Filter, span: Range<i64>, each: &mut dyn FnMut(&Deed<'_>)) -> Result<()> {
        let sessions = self.session_facts(filter)?;
        self.for_each_usage(&mut |session, at, model, usage| {
            let Some(SessionFacts { tool, project, updated_at }) = sessions.get(&session) else { return };
            let at = at.or(*updated_at);
            if at.is_some_and(|at| span.contains(&at)) {
                let work = Work::Reply { model, usage };
                each(&Deed { session, tool, project: project.as_deref(), at, work });
            }
        })
    }

    fn for_each_usage(&self, each: &mut OnUsage<'_>) -> Result<()> {
        let mut statement = self.connection.prepare(
            "SELECT session, at, model, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens FROM usage",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let usage = Usage {
                input_tokens: row.get(3)?,
                output_tokens: row.get(4)?,
                cache_read_tokens: row.get(5)?,
                cache_write_tokens: row.get(6)?,
                reasoning_tokens: 0,
            };
            let model = row.get_ref(2)?.as_str_or_null().map_err(rusqlite::Error::from)?;
            each(row.get(0)?, row.get(1)?, model, usage);
        }
        Ok(())
    }

    fn session_facts(&self, filter: &Filter) -> Result<HashMap<i64, SessionFacts>> {
        let conditions = Conditions::of(filter);
        let sql = format!(
            "SELECT s.id, s.tool, m.project, m.updated_at FROM summary m CROSS JOIN session s ON s.id = m.session WHERE {}",
            conditions.sql()
        );
        let mut statement = self.connection.prepare(&sql)?;
        let rows = statement.query_map(params_from_iter(&conditions.values), |row| {
            Ok((row.get(0)?, SessionFacts { tool: row.get(1)?, project: row.get(2)?, updated_at: row.get(3)? }))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The streams of second native files beside a session's first ones.
    fn copies(&self) -> Result<HashSet<i64>> {
        let mut statement = self.connection.prepare("SELECT id FROM stream WHERE instr(name, '~') > 0")?;
        Ok(statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
    }
}
