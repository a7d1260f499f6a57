//! `sfs config`: settings, stored in the archive.

use super::Context;
use crate::error::{Error, Result};
use crate::settings::{self, Key};
use argh::{ArgsInfo, FromArgs};
use serde_json::{Map, Value};

/// Show and change settings
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "config")]
pub(super) struct Config {
    #[argh(subcommand)]
    command: ConfigCommand,
}

#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand)]
enum ConfigCommand {
    Show(Show),
    Get(Get),
    Set(Set),
    Unset(Unset),
}

/// Show every setting with its value and meaning
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "show")]
#[argh(example = "sfs config show")]
struct Show {
    /// print as JSON
    #[argh(switch)]
    json: bool,
}

/// Print one setting
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "get")]
#[argh(example = "sfs config get log_level")]
struct Get {
    /// the setting's name
    #[argh(positional)]
    key: String,
}

/// Change a setting
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "set")]
#[argh(example = "sfs config set log_level debug
sfs config set capture.codex false")]
struct Set {
    /// the setting's name
    #[argh(positional)]
    key: String,
    /// its new value
    #[argh(positional)]
    value: String,
}

/// Go back to a setting's default
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "unset")]
#[argh(example = "sfs config unset log_level")]
struct Unset {
    /// the setting's name
    #[argh(positional)]
    key: String,
}

impl Config {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let mut store = context.open()?;
        match self.command {
            ConfigCommand::Show(Show { json }) => {
                let mut all = Map::new();
                let keys = settings::keys();
                for key in &keys {
                    all.insert(key.name.clone(), key.value(&store)?);
                }
                if json {
                    return context.ui.json(&Value::Object(all));
                }
                keys.iter().try_for_each(|key| {
                    let value = all[&key.name].to_string();
                    context.ui.line(&format!("{:<22} {:<10} {}", key.name, value, key.meaning))
                })
            }
            ConfigCommand::Get(Get { key }) => match known(&key)?.value(&store)? {
                Value::String(text) => context.ui.line(&text),
                other => context.ui.line(&other.to_string()),
            },
            ConfigCommand::Set(Set { key, value }) => {
                let key = known(&key)?;
                let value = key.parse(&value)?;
                store.write(|store| store.set_setting(&key.name, &value))?;
                crate::daemon::reload(&context.home).map(drop)
            }
            ConfigCommand::Unset(Unset { key }) => {
                let key = known(&key)?;
                store.write(|store| store.unset_setting(&key.name))?;
                crate::daemon::reload(&context.home).map(drop)
            }
        }
    }
}

fn known(name: &str) -> Result<Key> {
    let mut keys = settings::keys();
    match keys.iter().position(|key| key.name == name) {
        Some(place) => Ok(keys.swap_remove(place)),
        None => {
            let names: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
            let names = names.join(", ");
            Err(Error::usage(format!("no setting is called {name:?}")).hint(format!("settings: {names}")))
        }
    }
}
