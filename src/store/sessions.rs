//! Sessions: what they are called, what a person says of them, and the list.

use super::Store;
use crate::error::{Error, Kind, Result};
use crate::id::SessionId;
use rusqlite::types::Value;
use rusqlite::{OptionalExtension, params, params_from_iter};

/// The account of the local archive.
pub(super) const LOCAL: i64 = 0;

/// A session's own row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// Its row.
    pub id: i64,
    /// `ses_…`.
    pub public_id: SessionId,
    /// The tool's id, such as `codex`.
    pub tool: String,
    /// Its id in the tool.
    pub native_id: String,
    /// Given by a person, here.
    pub title: Option<String>,
    /// Hidden since, in milliseconds.
    pub deleted_at: Option<i64>,
    /// Its bytes were dropped here for good, in milliseconds. Its id stays, so that it does not come back.
    pub purged_at: Option<i64>,
    /// The session this one continues, and how.
    pub parent: Option<(String, Relation)>,
    /// So many bytes at the start of `main` were written into the tool by us.
    pub inherited: u64,
}

/// How a session continues another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// We wrote the other one into this one's tool.
    Resume,
    /// A copy that goes its own way.
    Fork,
}

impl Relation {
    /// The word in the archive and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Relation::Resume => "resume",
            Relation::Fork => "fork",
        }
    }

    /// Reads [`Relation::as_str`]; anything else is a resume.
    pub fn parse(text: &str) -> Relation {
        if text == "fork" { Relation::Fork } else { Relation::Resume }
    }
}

/// A session that we are about to write into a tool, so that its capture becomes a child and not a stranger.
#[derive(Clone, Debug)]
pub struct NewSession<'a> {
    /// The tool's id.
    pub tool: &'a str,
    /// The id allotted in the tool.
    pub native_id: &'a str,
    /// The session it continues.
    pub parent: &'a SessionId,
    /// How.
    pub relation: Relation,
    /// How many bytes we wrote.
    pub inherited: u64,
}

/// What is derived about a session as a whole.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the columns of schema/001_init.sql, described there")]
pub struct Summary {
    pub tool_title: Option<String>,
    pub tool_title_rank: u8,
    pub prompt_title: Option<String>,
    pub project: Option<String>,
    pub model: Option<String>,
    pub tool_version: Option<String>,
    pub interface: Option<String>,
    pub git_branch: Option<String>,
    pub git_commit: Option<String>,
    pub git_remote: Option<String>,
    pub forked_from: Option<String>,
    pub created_at: Option<i64>,
    pub updated_at: Option<i64>,
    pub message_count: u64,
    pub turn_count: u64,
    pub tool_call_count: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cache_read_tokens: u64,
    pub cache_write_tokens: u64,
    pub cost_usd: f64,
    pub unpriced_replies: u64,
}

impl Summary {
    /// All prompt tokens, cached or not.
    pub fn prompt_tokens(&self) -> u64 {
        self.input_tokens + self.cache_read_tokens + self.cache_write_tokens
    }

    /// Dollars; `None` where a model's price is not known.
    pub fn cost(&self) -> Option<f64> {
        (self.unpriced_replies == 0).then_some(self.cost_usd)
    }
}

/// Which sessions to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The tool's id.
    pub tool: Option<String>,
    /// A folder: it and everything below it.
    pub project: Option<String>,
    /// Last active at or after, in milliseconds.
    pub since: Option<i64>,
    /// Last active before, in milliseconds.
    pub until: Option<i64>,
    /// With this tag.
    pub tag: Option<String>,
    /// Whose last model this is.
    pub model: Option<String>,
    /// With at least so many messages.
    pub min_messages: u64,
    /// Deleted ones only.
    pub deleted: bool,
    /// Order.
    pub sort: Sort,
    /// At most so many.
    pub limit: Option<u64>,
    /// After so many others.
    pub skip: u64,
}

/// Which sessions a prefix of an id may mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words say it")]
pub enum Among {
    Visible,
    Deleted,
    All,
}

impl Among {
    fn adjective(self) -> &'static str {
        if self == Among::Deleted { "deleted " } else { "" }
    }

    fn command(self) -> &'static str {
        if self == Among::Deleted { "sfs list --deleted" } else { "sfs list" }
    }
}

/// Order of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words say it")]
pub enum Sort {
    #[default]
    Recent,
    Oldest,
    /// The one that began last comes first.
    Created,
    /// The one that came to this archive last comes first.
    Arrival,
    Messages,
    Tokens,
    Cost,
}

impl Sort {
    pub(super) fn sql(self) -> &'static str {
        match self {
            Sort::Recent => "m.updated_at DESC, s.id DESC",
            Sort::Oldest => "m.updated_at, s.id",
            Sort::Created => "m.created_at DESC, s.id DESC",
            Sort::Arrival => "s.id DESC",
            Sort::Messages => "m.message_count DESC, s.id DESC",
            Sort::Tokens => {
                "m.input_tokens + m.cache_read_tokens + m.cache_write_tokens + m.output_tokens DESC, s.id DESC"
            }
            Sort::Cost => "m.cost_usd DESC, s.id DESC",
        }
    }
}

pub(super) const SESSION: &str =
    "s.id, s.public_id, s.tool, s.native_id, s.title, s.deleted_at, s.parent, s.relation, s.inherited,
    s.purged_at";
pub(super) const SUMMARY: &str =
    "tool_title, tool_title_rank, prompt_title, project, model, tool_version, interface, git_branch,
    git_commit, git_remote, forked_from, created_at, updated_at, message_count, turn_count, tool_call_count,
    input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, cost_usd, unpriced_replies";
pub(super) const SESSION_COLUMNS: usize = 10;

pub(super) fn session_from(row: &rusqlite::Row<'_>) -> rusqlite::Result<SessionRow> {
    let public_id: String = row.get(1)?;
    let parent: Option<String> = row.get(6)?;
    let relation: Option<String> = row.get(7)?;
    Ok(SessionRow {
        id: row.get(0)?,
        public_id: SessionId::parse(&public_id)
            .map_err(|e| rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, Box::new(e)))?,
        tool: row.get(2)?,
        native_id: row.get(3)?,
        title: row.get(4)?,
        deleted_at: row.get(5)?,
        parent: parent.map(|parent| (parent, Relation::parse(relation.as_deref().unwrap_or_default()))),
        inherited: row.get(8)?,
        purged_at: row.get(9)?,
    })
}

pub(super) fn summary_from(row: &rusqlite::Row<'_>, from: usize) -> rusqlite::Result<Summary> {
    if row.get_ref(from + 1)? == rusqlite::types::ValueRef::Null {
        return Ok(Summary::default());
    }
    Ok(Summary {
        tool_title: row.get(from)?,
        tool_title_rank: row.get(from + 1)?,
        prompt_title: row.get(from + 2)?,
        project: row.get(from + 3)?,
        model: row.get(from + 4)?,
        tool_version: row.get(from + 5)?,
        interface: row.get(from + 6)?,
        git_branch: row.get(from + 7)?,
        git_commit: row.get(from + 8)?,
        git_remote: row.get(from + 9)?,
        forked_from: row.get(from + 10)?,
        created_at: row.get(from + 11)?,
        updated_at: row.get(from + 12)?,
        message_count: row.get(from + 13)?,
        turn_count: row.get(from + 14)?,
        tool_call_count: row.get(from + 15)?,
        input_tokens: row.get(from + 16)?,
        output_tokens: row.get(from + 17)?,
        cache_read_tokens: row.get(from + 18)?,
        cache_write_tokens: row.get(from + 19)?,
        cost_usd: row.get(from + 20)?,
        unpriced_replies: row.get(from + 21)?,
    })
}

/// `WHERE` clauses and their values.
#[derive(Default)]
pub(super) struct Conditions {
    clauses: Vec<&'static str>,
    pub(super) values: Vec<Value>,
}

impl Conditions {
    pub(super) fn of(filter: &Filter) -> Conditions {
        let mut conditions = Conditions::default();
        conditions.clauses.push(if filter.deleted { "s.deleted_at IS NOT NULL" } else { "s.deleted_at IS NULL" });
        conditions.text("s.tool = ?", filter.tool.as_ref());
        conditions.text("m.model = ?", filter.model.as_ref());
        conditions.number("coalesce(m.updated_at, 0) >= ?", filter.since);
        conditions.number("coalesce(m.updated_at, 0) < ?", filter.until);
        conditions.text("EXISTS (SELECT 1 FROM tag t WHERE t.session = s.id AND t.tag = ?)", filter.tag.as_ref());
        if let Some(project) = &filter.project {
            let folder = project.trim_end_matches('/');
            conditions.text("(m.project = ?", Some(&folder.to_owned()));
            conditions.text("substr(m.project, 1, length(?)) = ?)", Some(&format!("{folder}/")));
            conditions.values.push(format!("{folder}/").into());
        }
        if filter.min_messages > 0 {
            conditions.number("coalesce(m.message_count, 0) >= ?", Some(filter.min_messages as i64));
        }
        conditions
    }

    fn text(&mut self, clause: &'static str, value: Option<&String>) {
        if let Some(value) = value {
            self.clauses.push(clause);
            self.values.push(value.clone().into());
        }
    }

    pub(super) fn number(&mut self, clause: &'static str, value: Option<i64>) {
        if let Some(value) = value {
            self.clauses.push(clause);
            self.values.push(value.into());
        }
    }

    pub(super) fn sql(&self) -> String {
        self.clauses.join(" AND ").replace("(m.project = ? AND substr", "(m.project = ? OR substr")
    }
}

fn was_purged(row: &SessionRow) -> Error {
    Error::not_found(format!("session {} was purged: nothing of it is here any more", row.public_id))
        .hint(format!("sfs audit --session {}", row.public_id))
}

impl Store {
    /// The row of the session that `tool` calls `native_id`, made if it is new.
    pub fn ensure_session(&mut self, tool: &str, native_id: &str) -> Result<SessionRow> {
        self.adopt_session(tool, native_id, None)
    }

    /// The same for a session that comes with an id of its own. It keeps `own` if it is new here and the id is free.
    pub fn adopt_session(&mut self, tool: &str, native_id: &str, own: Option<SessionId>) -> Result<SessionRow> {
        if let Some(row) = self.find_native(tool, native_id)? {
            return Ok(row);
        }
        let public_id = self.free_id(tool, native_id, own)?;
        self.connection
            .prepare_cached("INSERT INTO session (account, public_id, tool, native_id) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![LOCAL, public_id.as_str(), tool, native_id])?;
        let id = self.connection.last_insert_rowid();
        let tool = tool.to_owned();
        let native_id = native_id.to_owned();
        Ok(SessionRow {
            id,
            public_id,
            tool,
            native_id,
            title: None,
            deleted_at: None,
            purged_at: None,
            parent: None,
            inherited: 0,
        })
    }

    /// An adopted session may sit on the id that is another one's by right: then that one gets its second choice.
    fn free_id(&self, tool: &str, native_id: &str, own: Option<SessionId>) -> Result<SessionId> {
        let mut statement =
            self.connection.prepare_cached("SELECT 1 FROM session WHERE account = ?1 AND public_id = ?2")?;
        let computed = (0..).map(|choice| match choice {
            0 => SessionId::of(tool, native_id),
            choice => SessionId::of(tool, &format!("{native_id}\n{choice}")),
        });
        for id in own.into_iter().chain(computed) {
            if !statement.exists(params![LOCAL, id.as_str()])? {
                return Ok(id);
            }
        }
        Err(Error::failed("no session id is free"))
    }

    /// Remembers that a session is about to appear in a tool because we write it there.
    pub fn announce(&mut self, new: &NewSession<'_>) -> Result<SessionRow> {
        let row = self.ensure_session(new.tool, new.native_id)?;
        self.connection
            .prepare_cached("UPDATE session SET parent = ?2, relation = ?3, inherited = ?4 WHERE id = ?1")?
            .execute(params![row.id, new.parent.as_str(), new.relation.as_str(), new.inherited])?;
        self.session(row.id)
    }

    /// Takes over which session this one continues, and how many bytes of its own we wrote, where that is not known yet.
    pub fn learn_parent(&mut self, session: i64, parent: &str, relation: Relation, inherited: u64) -> Result<()> {
        self.connection
            .prepare_cached(
                "UPDATE session SET parent = ?2, relation = ?3, inherited = ?4 WHERE id = ?1 AND parent IS NULL
                   AND purged_at IS NULL",
            )?
            .execute(params![session, parent, relation.as_str(), inherited])?;
        Ok(())
    }

    /// So many bytes at the start of `main` were written by us, now that the main file was rewritten.
    pub fn set_inherited(&mut self, session: i64, inherited: u64) -> Result<()> {
        self.connection.execute("UPDATE session SET inherited = ?2 WHERE id = ?1", params![session, inherited])?;
        Ok(())
    }

    /// Takes back an announcement whose file could not be written.
    pub fn unannounce(&mut self, session: &SessionRow) -> Result<()> {
        self.connection.execute(
            "DELETE FROM session WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM stream WHERE session = ?1)",
            [session.id],
        )?;
        Ok(())
    }

    /// The row of the session that `tool` calls `native_id`.
    pub fn find_native(&self, tool: &str, native_id: &str) -> Result<Option<SessionRow>> {
        let sql = format!(
            "SELECT {SESSION} FROM session s WHERE s.account = ?1 AND s.tool = ?2 AND s.native_id = ?3 LIMIT 1"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        Ok(statement.query_row(params![LOCAL, tool, native_id], session_from).optional()?)
    }

    /// The session with exactly this id, hidden or not.
    pub fn find_public(&self, id: &SessionId) -> Result<Option<SessionRow>> {
        let sql = format!("SELECT {SESSION} FROM session s WHERE s.account = ?1 AND s.public_id = ?2");
        let mut statement = self.connection.prepare_cached(&sql)?;
        Ok(statement.query_row(params![LOCAL, id.as_str()], session_from).optional()?)
    }

    /// The session in row `id`.
    pub fn session(&self, id: i64) -> Result<SessionRow> {
        let sql = format!("SELECT {SESSION} FROM session s WHERE s.id = ?1");
        Ok(self.connection.prepare_cached(&sql)?.query_row([id], session_from)?)
    }

    /// All sessions' rows, in the order of their capture.
    pub fn session_rows(&self) -> Result<Vec<i64>> {
        let mut statement = self.connection.prepare_cached("SELECT id FROM session ORDER BY id")?;
        Ok(statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
    }

    /// The rows of the sessions that begin with what we wrote into the tool.
    pub fn inheriting_sessions(&self) -> Result<Vec<i64>> {
        let mut statement = self.connection.prepare_cached("SELECT id FROM session WHERE inherited > 0 ORDER BY id")?;
        Ok(statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
    }

    /// Finds the one session that a person means: `last`, an id, an unambiguous prefix of one (four characters after
    /// `ses_`, which may be left out), or the tool's own id. Deleted sessions are found by their whole id only, purged ones
    /// not at all; where a prefix means none but one of them, that is said.
    pub fn resolve(&self, words: &str) -> Result<SessionRow> {
        let error = match self.resolve_among(words, Among::Visible) {
            Ok(row) if row.purged_at.is_none() => return Ok(row),
            Ok(row) => return Err(was_purged(&row)),
            Err(error) => error,
        };
        if error.kind() != Kind::NotFound || words == "last" {
            return Err(error);
        }
        match self.resolve_among(words, Among::Deleted) {
            Ok(row) if row.purged_at.is_some() => Err(was_purged(&row)),
            Ok(row) => Err(Error::not_found(format!("session {} is deleted", row.public_id))
                .hint(format!("sfs undelete {}", row.public_id))),
            Err(_) => Err(error),
        }
    }

    /// The same, but a prefix also finds what `among` allows.
    pub fn resolve_among(&self, words: &str, among: Among) -> Result<SessionRow> {
        if words == "last" {
            return if among == Among::Deleted { self.deleted_last() } else { self.newest_session() };
        }
        let prefix = words.strip_prefix("ses_").unwrap_or(words);
        if prefix.len() < 4 || !prefix.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            return Err(Error::usage(format!("{words:?} is too short or not an id"))
                .hint("give at least four characters of the id, or `last`"));
        }
        let mut found = self.find_prefix(words, prefix, among)?;
        if let Some(exact) = found.iter().position(|row| row.public_id.as_str() == words || row.native_id == words) {
            return Ok(found.swap_remove(exact));
        }
        match found.len() {
            0 => Err(Error::not_found(format!("no {}session is called {words:?}", among.adjective()))
                .hint(format!("see the ids in `{}`", among.command()))),
            1 => Ok(found.swap_remove(0)),
            _ => {
                let ids: Vec<&str> = found.iter().map(|row| row.public_id.as_str()).take(5).collect();
                let more = if found.len() > 5 { ", …" } else { "" };
                Err(Error::usage(format!("{words:?} is ambiguous: {}{more}", ids.join(", ")))
                    .hint("give more characters of the id"))
            }
        }
    }

    fn newest_session(&self) -> Result<SessionRow> {
        let newest = |min_messages| -> Result<Option<(SessionRow, Summary)>> {
            Ok(self.list(&Filter { limit: Some(1), min_messages, ..Filter::default() })?.pop())
        };
        newest(1)?
            .map_or_else(|| newest(0), |found| Ok(Some(found)))?
            .map(|(row, _)| row)
            .ok_or_else(|| Error::not_found("the archive holds no session yet").hint("sfs import"))
    }

    fn deleted_last(&self) -> Result<SessionRow> {
        let sql = format!(
            "SELECT {SESSION} FROM session s WHERE s.account = ?1 AND s.deleted_at IS NOT NULL AND s.purged_at IS NULL
              ORDER BY s.deleted_at DESC, s.id DESC LIMIT 1"
        );
        let found = self.connection.prepare_cached(&sql)?.query_row([LOCAL], session_from).optional()?;
        found.ok_or_else(|| Error::not_found("no session is deleted").hint("sfs list"))
    }

    /// At most six sessions whose id begins so. Whoever types a whole id means it, deleted or not.
    fn find_prefix(&self, words: &str, prefix: &str, among: Among) -> Result<Vec<SessionRow>> {
        let sql = format!(
            "SELECT {SESSION} FROM session s WHERE s.account = ?1
               AND (((substr(s.public_id, 1, length(?2)) = ?2
                      OR (length(?3) >= 8 AND substr(s.native_id, 1, length(?3)) = ?3))
                     AND ((?4 AND s.deleted_at IS NULL) OR (?5 AND s.deleted_at IS NOT NULL)))
                 OR s.public_id = ?2 OR (length(?3) >= 8 AND s.native_id = ?3))
             ORDER BY s.public_id LIMIT 6"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let (visible, deleted) = (among != Among::Deleted, among != Among::Visible);
        let whole = format!("ses_{prefix}");
        let rows = statement.query_map(params![LOCAL, whole, words, visible, deleted], session_from)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Sessions with their summaries.
    pub fn list(&self, filter: &Filter) -> Result<Vec<(SessionRow, Summary)>> {
        let conditions = Conditions::of(filter);
        // A session without a summary has been announced but not captured yet.
        let sql = format!(
            "SELECT {SESSION}, {SUMMARY} FROM summary m CROSS JOIN session s ON s.id = m.session WHERE {} ORDER BY {} LIMIT {} OFFSET {}",
            conditions.sql(),
            filter.sort.sql(),
            filter.limit.map_or(-1, |limit| limit as i64),
            filter.skip
        );
        let mut statement = self.connection.prepare(&sql)?;
        let rows = statement.query_map(params_from_iter(&conditions.values), |row| {
            Ok((session_from(row)?, summary_from(row, SESSION_COLUMNS)?))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// How many sessions the filter lets through, whatever its limit.
    pub fn count(&self, filter: &Filter) -> Result<u64> {
        let conditions = Conditions::of(filter);
        let sql = format!(
            "SELECT count(*) FROM summary m CROSS JOIN session s ON s.id = m.session WHERE {}",
            conditions.sql()
        );
        Ok(self.connection.prepare(&sql)?.query_row(params_from_iter(&conditions.values), |row| row.get(0))?)
    }

    /// A session's summary; empty where nothing was read yet.
    pub fn summary(&self, session: i64) -> Result<Summary> {
        let sql = format!("SELECT {SUMMARY} FROM summary WHERE session = ?1");
        let mut statement = self.connection.prepare_cached(&sql)?;
        Ok(statement.query_row([session], |row| summary_from(row, 0)).optional()?.unwrap_or_default())
    }

    /// Stores a session's summary.
    pub fn save_summary(&mut self, session: i64, s: &Summary) -> Result<()> {
        let columns = SUMMARY.split(',').map(str::trim);
        let sets: Vec<String> = columns.enumerate().map(|(n, name)| format!("{name} = ?{}", n + 2)).collect();
        let places: Vec<String> = (1..=sets.len() + 1).map(|n| format!("?{n}")).collect();
        self.update_or_insert(
            &format!("UPDATE summary SET {} WHERE session = ?1", sets.join(", ")),
            &format!("INSERT INTO summary (session, {SUMMARY}) VALUES ({})", places.join(", ")),
            params![
                session,
                s.tool_title,
                s.tool_title_rank,
                s.prompt_title,
                s.project,
                s.model,
                s.tool_version,
                s.interface,
                s.git_branch,
                s.git_commit,
                s.git_remote,
                s.forked_from,
                s.created_at,
                s.updated_at,
                s.message_count,
                s.turn_count,
                s.tool_call_count,
                s.input_tokens,
                s.output_tokens,
                s.cache_read_tokens,
                s.cache_write_tokens,
                s.cost_usd,
                s.unpriced_replies,
            ],
        )
    }

    /// Which session continues which, as announced: public ids of the visible children.
    pub fn children(&self, public_id: &SessionId) -> Result<Vec<String>> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT public_id FROM session WHERE parent = ?1 AND deleted_at IS NULL ORDER BY id")?;
        Ok(statement.query_map([public_id.as_str()], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
    }

    /// Sessions that the tool made as forks of this one.
    pub fn forks(&self, session: &SessionRow) -> Result<Vec<SessionRow>> {
        let sql = format!(
            "SELECT {SESSION} FROM summary m CROSS JOIN session s ON s.id = m.session
              WHERE s.account = ?1 AND s.tool = ?2 AND m.forked_from = ?3 AND s.id <> ?4 ORDER BY s.id"
        );
        let mut statement = self.connection.prepare(&sql)?;
        let rows = statement.query_map(params![LOCAL, session.tool, session.native_id, session.id], session_from)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The folders that visible sessions worked in, the last one first.
    pub fn projects(&self) -> Result<Vec<String>> {
        let mut statement = self.connection.prepare(
            "SELECT m.project FROM summary m CROSS JOIN session s ON s.id = m.session
              WHERE s.account = ?1 AND s.deleted_at IS NULL AND m.project IS NOT NULL
              GROUP BY m.project ORDER BY max(m.updated_at) DESC",
        )?;
        Ok(statement.query_map([LOCAL], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
    }

    /// Visible sessions captured from `tool`, and how many of them the tool no longer has.
    pub fn count_by_tool(&self, tool: &str) -> Result<(u64, u64)> {
        Ok(self.connection.query_row(
            "SELECT count(*), count(gone) FROM (
               SELECT (SELECT 1 FROM stream st WHERE st.session = s.id AND st.name = 'main'
                         AND EXISTS (SELECT 1 FROM native_file f WHERE f.stream = st.id AND f.gone_at IS NOT NULL)
                         AND NOT EXISTS (SELECT 1 FROM native_file f JOIN stream o ON o.id = f.stream
                                          WHERE o.session = s.id AND o.name = 'main' AND f.gone_at IS NULL) LIMIT 1) AS gone
                 FROM session s WHERE s.tool = ?1 AND s.deleted_at IS NULL
                    AND EXISTS (SELECT 1 FROM stream st WHERE st.session = s.id))",
            [tool],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?)
    }
}
