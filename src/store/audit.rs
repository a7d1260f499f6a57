//! The audit log: what was done with sessions here, and when. Rows are only ever added; the schema refuses anything else.

use super::Store;
use crate::error::{Context, Error, Result};
use crate::id::SessionId;
use rusqlite::params;
use serde_json::Value;

/// What can happen to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words say it")]
pub enum Event {
    /// Seen for the first time; further lines are not events.
    Captured,
    Imported,
    Resumed,
    Restored,
    Exported,
    Renamed,
    Tagged,
    Deleted,
    Undeleted,
    Purged,
    Forked,
    Checkpoint,
    Pushed,
    Pulled,
    /// A server had another version; both are kept.
    Conflict,
    SignedUp,
    LoggedIn,
    LoggedOut,
    KeyCreated,
    KeyRevoked,
    /// A server refused the key.
    AuthFailed,
}

impl Event {
    /// All of them.
    pub const ALL: [Event; 21] = [
        Event::Captured,
        Event::Imported,
        Event::Resumed,
        Event::Restored,
        Event::Exported,
        Event::Renamed,
        Event::Tagged,
        Event::Deleted,
        Event::Undeleted,
        Event::Purged,
        Event::Forked,
        Event::Checkpoint,
        Event::Pushed,
        Event::Pulled,
        Event::Conflict,
        Event::SignedUp,
        Event::LoggedIn,
        Event::LoggedOut,
        Event::KeyCreated,
        Event::KeyRevoked,
        Event::AuthFailed,
    ];

    /// The word in the archive, on screen and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Event::Captured => "captured",
            Event::Imported => "imported",
            Event::Resumed => "resumed",
            Event::Restored => "restored",
            Event::Exported => "exported",
            Event::Renamed => "renamed",
            Event::Tagged => "tagged",
            Event::Deleted => "deleted",
            Event::Undeleted => "undeleted",
            Event::Purged => "purged",
            Event::Forked => "forked",
            Event::Checkpoint => "checkpoint",
            Event::Pushed => "pushed",
            Event::Pulled => "pulled",
            Event::Conflict => "conflict",
            Event::SignedUp => "signed_up",
            Event::LoggedIn => "logged_in",
            Event::LoggedOut => "logged_out",
            Event::KeyCreated => "key_created",
            Event::KeyRevoked => "key_revoked",
            Event::AuthFailed => "auth_failed",
        }
    }

    /// Takes what a person typed.
    pub fn parse(word: &str) -> Result<Event> {
        Event::ALL.into_iter().find(|event| event.as_str() == word).ok_or_else(|| {
            let words = Event::ALL.map(Event::as_str).join(", ");
            Error::usage(format!("{word:?} is not an event")).hint(format!("events: {words}"))
        })
    }
}

/// One row of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditRow {
    /// When, in milliseconds.
    pub at: i64,
    /// The event's word; one of a newer version need not be an [`Event`] here.
    pub event: String,
    /// The session's public id.
    pub session: Option<String>,
    /// An object; what is in it depends on the event.
    pub detail: Value,
}

/// Which rows of the log to read.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// At or after, in milliseconds.
    pub since: Option<i64>,
    /// Of this session only.
    pub session: Option<SessionId>,
    /// Of this kind only.
    pub event: Option<Event>,
    /// At most so many, the newest.
    pub limit: Option<u64>,
}

impl Store {
    /// Adds a row to the audit log. `detail` is an object; what concerns the account is of no session.
    pub fn audit<'a>(&mut self, event: Event, session: impl Into<Option<&'a SessionId>>, detail: &Value) -> Result<()> {
        let at = jiff::Timestamp::now().as_millisecond();
        self.connection
            .prepare_cached("INSERT INTO audit (at, event, session, detail) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![at, event.as_str(), session.into().map(SessionId::as_str), detail.to_string()])?;
        Ok(())
    }

    /// Rows of the audit log, the newest first.
    pub fn audit_log(&self, filter: &AuditFilter) -> Result<Vec<AuditRow>> {
        let mut statement = self.connection.prepare(
            "SELECT at, event, session, detail FROM audit
              WHERE (?1 IS NULL OR at >= ?1) AND (?2 IS NULL OR session = ?2) AND (?3 IS NULL OR event = ?3)
              ORDER BY id DESC LIMIT ?4",
        )?;
        let limit = filter.limit.map_or(-1, |limit| limit as i64);
        let mut rows = statement.query(params![
            filter.since,
            filter.session.as_ref().map(SessionId::as_str),
            filter.event.map(Event::as_str),
            limit
        ])?;
        let mut log = Vec::new();
        while let Some(row) = rows.next()? {
            let detail: String = row.get(3)?;
            let detail = serde_json::from_str(&detail).context(|| "a row of the audit log is damaged")?;
            log.push(AuditRow { at: row.get(0)?, event: row.get(1)?, session: row.get(2)?, detail });
        }
        Ok(log)
    }
}
