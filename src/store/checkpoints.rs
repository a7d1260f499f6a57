//! Checkpoints: named positions in sessions. Each is a register of its own (`checkpoint:<id>`), never written twice but to be
//! deleted, so devices that exchange registers have the same ones; the table `checkpoint` is their readable form.

use super::{Register, Store};
use crate::error::{Context, Error, Result};
use crate::model::printable::is_hidden;
use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// What registers of checkpoints begin with.
pub const CHECKPOINT: &str = "checkpoint:";

/// So much of one generation of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamEnd {
    /// The stream's name in the session, as it was shown then.
    pub name: String,
    /// The device that writes it; unknown where the position came with a portable session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Which generation.
    pub generation: u32,
    /// Bytes.
    pub length: u64,
    /// Lines, the last one whole or not: a copy without secrets has as many of them, of other lengths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<u64>,
}

/// A named position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Unique in the session, whatever the case.
    pub name: String,
    /// The last message of the live conversation.
    pub leaf: Option<String>,
    /// What was there of each stream.
    pub streams: Vec<StreamEnd>,
    /// When, in milliseconds.
    pub created_at: i64,
}

impl Checkpoint {
    /// What a checkpoint can't be called is an error: the name may become that of a folder.
    pub fn check_name(name: &str) -> Result<()> {
        let is_bad = |c: char| c.is_control() || is_hidden(c) || c == '/' || c == '\\';
        let is_path = name.starts_with(['.', '-']) || name.contains("..") || name.contains(is_bad);
        if name.is_empty() || name.chars().count() > 100 || name.trim() != name || is_path {
            return Err(Error::usage(format!("{name:?} can't be the name of a checkpoint"))
                .hint("up to 100 characters, no slashes, no control characters, no dot at the beginning"));
        }
        Ok(())
    }

    /// What a register says; none where it says nothing that can be shown.
    fn of(register: &Register) -> Option<Checkpoint> {
        let checkpoint: Checkpoint = serde_json::from_str(register.value.as_ref()?).ok()?;
        Checkpoint::check_name(&checkpoint.name).is_ok().then_some(checkpoint)
    }
}

const COLUMNS: &str = "name, leaf, streams, created_at";

fn checkpoint_from(row: &rusqlite::Row<'_>) -> rusqlite::Result<Checkpoint> {
    let streams: String = row.get(2)?;
    let streams = serde_json::from_str(&streams)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Text, Box::new(e)))?;
    Ok(Checkpoint { name: row.get(0)?, leaf: row.get(1)?, streams, created_at: row.get(3)? })
}

impl Store {
    /// A session's checkpoints, oldest first.
    pub fn checkpoints(&self, session: i64) -> Result<Vec<Checkpoint>> {
        let sql = format!("SELECT {COLUMNS} FROM checkpoint WHERE session = ?1 ORDER BY created_at, id");
        let mut statement = self.connection.prepare_cached(&sql)?;
        Ok(statement.query_map([session], checkpoint_from)?.collect::<rusqlite::Result<_>>()?)
    }

    /// The checkpoint of that name.
    pub fn checkpoint(&self, session: i64, name: &str) -> Result<Option<Checkpoint>> {
        let sql = format!("SELECT {COLUMNS} FROM checkpoint WHERE session = ?1 AND name = ?2");
        Ok(self.connection.prepare_cached(&sql)?.query_row(params![session, name], checkpoint_from).optional()?)
    }

    /// Stores a checkpoint; a name that is taken is a conflict.
    pub fn add_checkpoint(&mut self, session: i64, checkpoint: &Checkpoint) -> Result<()> {
        let name = &checkpoint.name;
        if self.checkpoint(session, name)?.is_some() {
            return Err(Error::conflict(format!("a checkpoint is called {name:?} already"))
                .hint("choose another --name, or remove that one with --delete"));
        }
        let value = serde_json::to_string(checkpoint).context(|| "the checkpoint can't be stored")?;
        let field = format!("{CHECKPOINT}{}", uuid::Uuid::new_v4().simple());
        self.say(session, &field, Some(&value)).map(drop)
    }

    /// Forgets a checkpoint, here and wherever it was synced to; says whether there was one.
    pub fn remove_checkpoint(&mut self, session: i64, name: &str) -> Result<bool> {
        let field: Option<String> = self
            .connection
            .prepare_cached("SELECT field FROM checkpoint WHERE session = ?1 AND name = ?2")?
            .query_row(params![session, name], |row| row.get(0))
            .optional()?;
        field.map_or(Ok(false), |field| self.say(session, &field, None))
    }

    /// Brings the readable form in line with the session's registers.
    pub(super) fn show_checkpoints(&mut self, session: i64) -> Result<()> {
        self.connection.prepare_cached("DELETE FROM checkpoint WHERE session = ?1")?.execute([session])?;
        for (field, checkpoint) in named(&self.registers(session)?) {
            let Checkpoint { name, leaf, streams, created_at } = checkpoint;
            let streams = serde_json::to_string(&streams).context(|| "the checkpoint can't be stored")?;
            self.connection
                .prepare_cached(
                    "INSERT INTO checkpoint (session, field, name, leaf, streams, created_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![session, field, name, leaf, streams, created_at])?;
        }
        Ok(())
    }

    /// True where the readable form says what the registers say.
    pub(super) fn checkpoints_agree(&self, session: i64) -> Result<bool> {
        let mut said: Vec<Checkpoint> =
            named(&self.registers(session)?).into_iter().map(|(_, checkpoint)| checkpoint).collect();
        said.sort_by_key(|checkpoint| checkpoint.created_at);
        Ok(said == self.checkpoints(session)?)
    }
}

/// The checkpoints of `registers`, with their fields. Of two that devices gave the same name, each unaware of the other, the
/// later one is shown with its device.
fn named(registers: &[Register]) -> Vec<(String, Checkpoint)> {
    let mut registers: Vec<&Register> =
        registers.iter().filter(|register| register.field.starts_with(CHECKPOINT)).collect();
    registers.sort_by_key(|register| (register.counter, &register.device, &register.field));
    let mut taken = HashSet::new();
    let named = registers.into_iter().filter_map(|register| {
        let mut checkpoint = Checkpoint::of(register)?;
        let device = register.device.get(..8).unwrap_or(&register.device);
        let field = &register.field[CHECKPOINT.len()..];
        let names =
            [checkpoint.name.clone(), format!("{}@{device}", checkpoint.name), format!("{}@{field}", checkpoint.name)];
        checkpoint.name = names.into_iter().find(|name| taken.insert(name.to_ascii_lowercase()))?;
        Some((register.field.clone(), checkpoint))
    });
    named.collect()
}
