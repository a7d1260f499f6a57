//! The settings that exist: their names, types, defaults and meanings. They are stored in the archive, nowhere else.

use crate::error::{Error, Result};
use crate::store::Store;
use crate::tools::{self, Tool};
use serde_json::Value;

/// One setting.
#[derive(Debug)]
pub struct Key {
    /// As a person types it.
    pub name: String,
    /// What it means.
    pub meaning: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Switch { default: bool },
    Choice { words: &'static [&'static str], default: &'static str },
}

/// All settings: one switch for each tool, and the rest.
pub fn keys() -> Vec<Key> {
    let switch = |tool: &&dyn Tool| Key {
        name: format!("{CAPTURE}{}", tool.id()),
        meaning: format!("capture {}'s sessions", tool.name()),
        kind: Kind::Switch { default: true },
    };
    let log_level = Key {
        name: "log_level".to_owned(),
        meaning: "what the daemon logs: error, warn, info or debug".to_owned(),
        kind: Kind::Choice { words: &["error", "warn", "info", "debug"], default: "info" },
    };
    let secrets = Key {
        name: SECRETS.to_owned(),
        meaning: "secrets on the way to the server: redact, warn or block".to_owned(),
        kind: Kind::Choice { words: &["redact", "warn", "block"], default: "redact" },
    };
    let auto = Key {
        name: AUTO.to_owned(),
        meaning: "what the daemon syncs: off, on or selective (tagged `sync`)".to_owned(),
        kind: Kind::Choice { words: &["off", "on", "selective"], default: "off" },
    };
    tools::ALL.iter().map(switch).chain([log_level, secrets, auto]).collect()
}

/// What becomes of secrets in sessions that are pushed.
pub const SECRETS: &str = "sync.secrets";
/// What the daemon syncs.
pub const AUTO: &str = "sync.auto";

/// Before a tool's id: the switch for its capture.
const CAPTURE: &str = "capture.";

impl Key {
    /// The value in force.
    pub fn value(&self, store: &Store) -> Result<Value> {
        Ok(store.setting(&self.name)?.unwrap_or_else(|| match self.kind {
            Kind::Switch { default } => default.into(),
            Kind::Choice { default, .. } => default.into(),
        }))
    }

    /// Takes what a person typed.
    pub fn parse(&self, text: &str) -> Result<Value> {
        match self.kind {
            Kind::Switch { .. } => match text {
                "true" | "on" | "yes" => Ok(true.into()),
                "false" | "off" | "no" => Ok(false.into()),
                _ => Err(self.refuse(text, "true, false")),
            },
            Kind::Choice { words, .. } if words.contains(&text) => Ok(text.into()),
            Kind::Choice { words, .. } => Err(self.refuse(text, &words.join(", "))),
        }
    }

    fn refuse(&self, text: &str, valid: &str) -> Error {
        Error::usage(format!("{text:?} is not a value of {}", self.name)).hint(format!("valid: {valid}"))
    }
}

/// True where sessions of the tool with this id are to be captured.
pub fn captures(store: &Store, tool: &str) -> Result<bool> {
    Ok(store.setting(&format!("{CAPTURE}{tool}"))?.unwrap_or(true))
}
