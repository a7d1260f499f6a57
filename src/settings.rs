//! The settings that exist: their names, types, defaults and meanings. They are stored in the archive, nowhere else.

use crate::error::{Error, Result};
use crate::store::Store;
use serde_json::Value;

/// One setting.
#[derive(Debug)]
pub struct Key {
    /// As a person types it.
    pub name: &'static str,
    /// What it means.
    pub meaning: &'static str,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Switch { default: bool },
    Choice { words: &'static [&'static str], default: &'static str },
}

/// All settings.
pub static KEYS: &[Key] = &[
    Key {
        name: "capture.claude-code",
        meaning: "capture Claude Code's sessions",
        kind: Kind::Switch { default: true },
    },
    Key { name: "capture.codex", meaning: "capture Codex's sessions", kind: Kind::Switch { default: true } },
    Key { name: "capture.gemini", meaning: "capture Gemini CLI's sessions", kind: Kind::Switch { default: true } },
    Key {
        name: "log_level",
        meaning: "what the daemon logs: error, warn, info or debug",
        kind: Kind::Choice { words: &["error", "warn", "info", "debug"], default: "info" },
    },
];

impl Key {
    /// The value in force.
    pub fn value(&self, store: &Store) -> Result<Value> {
        Ok(store.setting(self.name)?.unwrap_or_else(|| match self.kind {
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
    Ok(store.setting(&format!("capture.{tool}"))?.unwrap_or(true))
}
