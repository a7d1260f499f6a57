//! What the daemon is to sync, and how its last try ended: settings, so that every process can see them.

use crate::error::{Error, Kind, Result};
use crate::settings;
use crate::store::Store;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

const OUTCOME: &str = "sync.outcome";
const PAUSED: &str = "sync.paused";

/// What the daemon syncs by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Auto {
    /// Nothing.
    Off,
    /// Every session.
    On,
    /// Sessions that are tagged [`super::gate::TAG`].
    Selective,
}

impl Auto {
    /// What the person wants.
    pub fn of(store: &Store) -> Result<Auto> {
        Ok(store.setting(settings::AUTO)?.unwrap_or(Auto::Off))
    }

    /// The word in settings and on screen.
    pub fn as_str(self) -> &'static str {
        match self {
            Auto::Off => "off",
            Auto::On => "on",
            Auto::Selective => "selective",
        }
    }
}

/// True while the person wants a rest from it.
pub fn is_paused(store: &Store) -> Result<bool> {
    Ok(store.setting(PAUSED)?.unwrap_or(false))
}

/// Pauses or goes on.
pub fn pause(store: &mut Store, paused: bool) -> Result<()> {
    store.write(|store| store.set_setting(PAUSED, &paused))
}

/// How the last sync ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// When everything was through last.
    pub last_sync_at: Option<Timestamp>,
    /// Why not everything was through at the last try.
    pub last_error: Option<String>,
    /// The key was refused: trying again changes nothing.
    pub is_refused: bool,
    /// Seconds after which the server wants to be asked again.
    pub retry_after: Option<u64>,
}

impl Outcome {
    /// Of a sync that ended just now.
    pub fn of(error: Option<&Error>, retry_after: Option<u64>) -> Outcome {
        Outcome {
            last_sync_at: error.is_none().then(Timestamp::now),
            last_error: error.map(Error::message),
            is_refused: error.is_some_and(|error| error.kind() == Kind::Auth),
            retry_after: error.and(retry_after),
        }
    }

    /// The last one.
    pub fn last(store: &Store) -> Result<Outcome> {
        Ok(store.setting(OUTCOME)?.unwrap_or_default())
    }

    /// Remembers it; a failure does not make forget when it went well last.
    pub fn save(mut self, store: &mut Store) -> Result<()> {
        self.last_sync_at = self.last_sync_at.or(Outcome::last(store)?.last_sync_at);
        store.set_setting(OUTCOME, &self)
    }
}
