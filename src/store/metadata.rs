//! What a person says of a session: its title, its tags, its checkpoints, that it is deleted.
//!
//! Each of these is a register: a value, the Lamport counter of its writing and the device that wrote it. Of two writes the
//! greater (counter, device) wins, in whatever order they arrive, so devices that exchange registers agree. What the rest
//! of the archive reads (`session.title`, `session.deleted_at`, the tables `tag` and `checkpoint`) is the registers' readable form and is
//! written here alone.

use super::{CHECKPOINT, CheckReport, Damage, Store};
use crate::error::Result;
use crate::security::redact::is_copy;
use rusqlite::{OptionalExtension, params};
use std::collections::BTreeSet;

const TITLE: &str = "title";
const DELETED: &str = "deleted_at";
const PURGED: &str = "purged_at";
/// What registers of tags begin with.
pub const TAG: &str = "tag:";

/// One thing said of a session, as devices exchange it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Register {
    /// `title`, `deleted_at`, `purged_at`, `tag:<tag>` or `checkpoint:<id>`. Others come from a newer version: kept, not
    /// understood.
    pub field: String,
    /// `None`: taken back.
    pub value: Option<String>,
    /// One more than any that the writer knew of this session.
    pub counter: u64,
    /// The writer's origin.
    pub device: String,
}

impl Register {
    /// The one of two writes to the same field that counts. The value decides only where one of the two is a copy without
    /// secrets (the exact one counts, whatever comes back), or where a copied archive wrote twice under the same name: then
    /// too every device must choose the same.
    #[must_use]
    pub fn merge(self, other: Register) -> Register {
        if other.rank() > self.rank() { other } else { self }
    }

    fn rank(&self) -> (u64, &str, bool, Option<&str>) {
        let is_exact = !self.value.as_deref().is_some_and(is_copy);
        (self.counter, &self.device, is_exact, self.value.as_deref())
    }
}

impl Store {
    /// What was said of a session, by field.
    pub fn registers(&self, session: i64) -> Result<Vec<Register>> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT field, value, counter, device FROM register WHERE session = ?1 ORDER BY field")?;
        Ok(statement.query_map([session], register_from)?.collect::<rusqlite::Result<_>>()?)
    }

    /// Takes in what this or another device wrote; says whether that changed anything. Of a session that was purged here
    /// only its deletion is of interest.
    pub fn merge_register(&mut self, session: i64, register: &Register) -> Result<bool> {
        let hides = matches!(register.field.as_str(), DELETED | PURGED);
        if !hides && self.purged_at(session)?.is_some() {
            return Ok(false);
        }
        let known = self.register(session, &register.field)?;
        let merged = known.clone().map_or_else(|| register.clone(), |known| known.merge(register.clone()));
        if known.as_ref() == Some(&merged) {
            return Ok(false);
        }
        let changed = self.next_change()?;
        self.update_or_insert(
            "UPDATE register SET value = ?3, counter = ?4, device = ?5, changed = ?6 WHERE session = ?1 AND field = ?2",
            "INSERT INTO register (session, field, value, counter, device, changed) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![session, merged.field, merged.value, merged.counter, merged.device, changed],
        )?;
        self.show(session, &merged)?;
        Ok(true)
    }

    /// Gives a session a title of a person's own, or with `None` the tool's back.
    pub fn set_title(&mut self, session: i64, title: Option<&str>) -> Result<bool> {
        self.say(session, TITLE, title)
    }

    /// Adds a tag; says whether it is new.
    pub fn add_tag(&mut self, session: i64, tag: &str) -> Result<bool> {
        self.say(session, &format!("{TAG}{tag}"), Some(""))
    }

    /// Takes a tag away; says whether it was there.
    pub fn remove_tag(&mut self, session: i64, tag: &str) -> Result<bool> {
        self.say(session, &format!("{TAG}{tag}"), None)
    }

    /// Gives a session these tags and no others.
    pub fn set_tags(&mut self, session: i64, tags: &[String]) -> Result<()> {
        for tag in self.tags(session)?.iter().filter(|tag| !tags.contains(tag)) {
            self.remove_tag(session, tag)?;
        }
        tags.iter().try_for_each(|tag| self.add_tag(session, tag).map(drop))
    }

    /// Hides a session since `at`, in milliseconds; says whether it was visible.
    pub fn hide(&mut self, session: i64, at: i64) -> Result<bool> {
        if self.readable_deleted_at(session)?.is_some() {
            return Ok(false);
        }
        self.say(session, DELETED, Some(&at.to_string()))
    }

    /// Shows a hidden session again; says whether it was hidden. One that was purged here stays hidden.
    pub fn unhide(&mut self, session: i64) -> Result<bool> {
        if self.purged_at(session)?.is_some() || self.readable_deleted_at(session)?.is_none() {
            return Ok(false);
        }
        self.say(session, PURGED, None)?;
        self.say(session, DELETED, None)?;
        Ok(true)
    }

    /// Marks a session as purged: hidden for good, nothing said of it is kept here. Other devices keep theirs.
    pub(super) fn say_purged(&mut self, session: i64, at: i64) -> Result<()> {
        self.hide(session, at)?;
        self.say(session, PURGED, Some(&at.to_string()))?;
        self.connection
            .execute("UPDATE session SET purged_at = ?2, title = NULL WHERE id = ?1", params![session, at])?;
        self.connection.execute("DELETE FROM tag WHERE session = ?1", [session])?;
        self.connection.execute(
            "DELETE FROM register WHERE session = ?1 AND field NOT IN (?2, ?3)",
            params![session, DELETED, PURGED],
        )?;
        Ok(())
    }

    /// Whether anything was ever said of the session's title, and whether of its tags, be it that they were taken away.
    pub fn was_described(&self, session: i64) -> Result<(bool, bool)> {
        let registers = self.registers(session)?;
        let any = |is: &dyn Fn(&str) -> bool| registers.iter().any(|register| is(&register.field));
        Ok((any(&|field| field == TITLE), any(&|field| field.starts_with(TAG))))
    }

    /// A session's tags, sorted.
    pub fn tags(&self, session: i64) -> Result<Vec<String>> {
        let mut statement = self.connection.prepare_cached("SELECT tag FROM tag WHERE session = ?1 ORDER BY tag")?;
        Ok(statement.query_map([session], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
    }

    /// Every tag with the number of visible sessions that have it.
    pub fn all_tags(&self) -> Result<Vec<(String, u64)>> {
        let mut statement = self.connection.prepare(
            "SELECT t.tag, count(*) FROM tag t JOIN session s ON s.id = t.session
              WHERE s.deleted_at IS NULL GROUP BY t.tag ORDER BY t.tag",
        )?;
        Ok(statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()?)
    }

    /// Writes a register as this device; says whether its value is new.
    pub(super) fn say(&mut self, session: i64, field: &str, value: Option<&str>) -> Result<bool> {
        let known = self.register(session, field)?;
        if known.as_ref().map_or(value.is_none(), |known| known.value.as_deref() == value) {
            return Ok(false);
        }
        let newest: u64 = self
            .connection
            .prepare_cached("SELECT coalesce(max(counter), 0) FROM register WHERE session = ?1")?
            .query_row([session], |row| row.get(0))?;
        let device = self.origin_name()?;
        let counter = newest.saturating_add(1);
        let register = Register { field: field.to_owned(), value: value.map(str::to_owned), counter, device };
        self.merge_register(session, &register)
    }

    fn register(&self, session: i64, field: &str) -> Result<Option<Register>> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT field, value, counter, device FROM register WHERE session = ?1 AND field = ?2")?;
        Ok(statement.query_row(params![session, field], register_from).optional()?)
    }

    /// Brings the readable form in line with a register.
    fn show(&mut self, session: i64, register: &Register) -> Result<()> {
        if let Some(tag) = register.field.strip_prefix(TAG) {
            let sql = match register.value {
                Some(_) => "INSERT OR IGNORE INTO tag (session, tag) VALUES (?1, ?2)",
                None => "DELETE FROM tag WHERE session = ?1 AND tag = ?2",
            };
            self.connection.prepare_cached(sql)?.execute(params![session, tag])?;
        } else if register.field.starts_with(CHECKPOINT) {
            self.show_checkpoints(session)?;
        } else if register.field == TITLE {
            self.connection
                .prepare_cached("UPDATE session SET title = ?2 WHERE id = ?1")?
                .execute(params![session, register.value])?;
        } else if matches!(register.field.as_str(), DELETED | PURGED) {
            let at = hidden_since(&self.registers(session)?);
            self.connection
                .prepare_cached("UPDATE session SET deleted_at = coalesce(?2, purged_at) WHERE id = ?1")?
                .execute(params![session, at])?;
        }
        Ok(())
    }

    fn readable_deleted_at(&self, session: i64) -> Result<Option<i64>> {
        let mut statement = self.connection.prepare_cached("SELECT deleted_at FROM session WHERE id = ?1")?;
        Ok(statement.query_row([session], |row| row.get(0))?)
    }

    fn purged_at(&self, session: i64) -> Result<Option<i64>> {
        let mut statement = self.connection.prepare_cached("SELECT purged_at FROM session WHERE id = ?1")?;
        Ok(statement.query_row([session], |row| row.get(0))?)
    }

    /// Registers and their readable form say the same.
    pub(super) fn check_metadata(&self, session: i64, public_id: &str, report: &mut CheckReport) -> Result<()> {
        let registers = self.registers(session)?;
        let value = |field: &str| registers.iter().find(|r| r.field == field).and_then(|r| r.value.clone());
        let said: BTreeSet<String> = registers
            .iter()
            .filter(|register| register.value.is_some())
            .filter_map(|register| register.field.strip_prefix(TAG).map(str::to_owned))
            .collect();
        let (title, deleted_at, purged_at): (Option<String>, Option<i64>, Option<i64>) = self
            .connection
            .prepare_cached("SELECT title, deleted_at, purged_at FROM session WHERE id = ?1")?
            .query_row([session], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let shown: BTreeSet<String> = self.tags(session)?.into_iter().collect();
        for (differs, what) in [
            (title != value(TITLE), "its title is not what its register says"),
            (deleted_at != hidden_since(&registers).or(purged_at), "its deletion is not what its registers say"),
            (shown != said, "its tags are not what their registers say"),
            (!self.checkpoints_agree(session)?, "its checkpoints are not what their registers say"),
        ] {
            if differs {
                report.damage.push(Damage { session: Some(public_id.to_owned()), what: what.to_owned() });
            }
        }
        Ok(())
    }
}

/// Since when a session is hidden: its deletion counts, and so does its purge, wherever that happened.
fn hidden_since(registers: &[Register]) -> Option<i64> {
    let value = |field| registers.iter().find(|register| register.field == field)?.value.as_deref();
    // A moment that can't be read hides all the same.
    value(DELETED).or(value(PURGED)).map(|at| at.parse().unwrap_or(0))
}

fn register_from(row: &rusqlite::Row<'_>) -> rusqlite::Result<Register> {
    Ok(Register { field: row.get(0)?, value: row.get(1)?, counter: row.get(2)?, device: row.get(3)? })
}
