//! Checkpoints: named positions in sessions.

use super::Store;
use crate::error::{Context, Error, Result};
use crate::model::printable::is_hidden;
use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};

/// So much of one generation of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamEnd {
    /// The stream's name in the session.
    pub name: String,
    /// Which generation.
    pub generation: u32,
    /// Bytes.
    pub length: u64,
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
        let sql = format!("SELECT {COLUMNS} FROM checkpoint WHERE session = ?1 ORDER BY id");
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
        let Checkpoint { name, leaf, streams, created_at } = checkpoint;
        let streams = serde_json::to_string(streams).context(|| "the checkpoint can't be stored")?;
        let added = self.connection.execute(
            "INSERT OR IGNORE INTO checkpoint (session, name, leaf, streams, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![session, name, leaf, streams, created_at],
        )?;
        if added == 0 {
            return Err(Error::conflict(format!("a checkpoint is called {name:?} already"))
                .hint("choose another --name, or remove that one with --delete"));
        }
        Ok(())
    }

    /// Forgets a checkpoint; says whether there was one.
    pub fn remove_checkpoint(&mut self, session: i64, name: &str) -> Result<bool> {
        let sql = "DELETE FROM checkpoint WHERE session = ?1 AND name = ?2";
        Ok(self.connection.execute(sql, params![session, name])? > 0)
    }
}
