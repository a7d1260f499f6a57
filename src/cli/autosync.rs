//! `sfs autosync`: whether the daemon syncs by itself.

use super::sync::tell_daemon;
use super::{Context, ui};
use crate::daemon;
use crate::error::Result;
use crate::settings;
use crate::sync::client::Account;
use crate::sync::outcome::{self, Auto};
use argh::{ArgsInfo, FromArgs};

/// Let the daemon push and pull by itself: on, off, selective, status
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "autosync")]
#[argh(example = "sfs autosync on
sfs autosync status")]
#[argh(
    note = "What is captured is on the server some seconds after it went quiet; what is new there is fetched every few
minutes. Without a network nothing is lost: it is tried again, at growing intervals."
)]
pub(super) struct Autosync {
    #[argh(subcommand)]
    command: AutosyncCommand,
}

#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand)]
enum AutosyncCommand {
    On(On),
    Off(Off),
    Selective(Selective),
    Pause(Pause),
    Resume(Resume),
    Status(Look),
}

/// Sync every session
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "on")]
#[argh(example = "sfs autosync on")]
struct On {}

/// Sync nothing; `sfs push`, `pull` and `sync` still do
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "off")]
#[argh(example = "sfs autosync off")]
struct Off {}

/// Push only sessions that are tagged `sync`
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "selective")]
#[argh(example = "sfs autosync selective")]
struct Selective {}

/// Sync nothing until `sfs autosync resume`
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "pause")]
#[argh(example = "sfs autosync pause")]
struct Pause {}

/// Go on after a pause
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "resume")]
#[argh(example = "sfs autosync resume")]
struct Resume {}

/// Show what waits, what went wrong, and which sessions stay here
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "status")]
#[argh(example = "sfs autosync status
sfs autosync status --json")]
struct Look {
    /// print as JSON
    #[argh(switch)]
    json: bool,
}

impl Autosync {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        match self.command {
            AutosyncCommand::On(_) => set(context, Auto::On),
            AutosyncCommand::Off(_) => set(context, Auto::Off),
            AutosyncCommand::Selective(_) => set(context, Auto::Selective),
            AutosyncCommand::Pause(_) => pause(context, true),
            AutosyncCommand::Resume(_) => pause(context, false),
            AutosyncCommand::Status(look) => look.run(context),
        }
    }
}

fn set(context: &Context, auto: Auto) -> Result<()> {
    let mut store = context.open()?;
    if auto != Auto::Off {
        // Otherwise it would only fail later, unseen.
        Account::of(&store)?;
    }
    store.write(|store| store.set_setting(settings::AUTO, &auto))?;
    tell_daemon(&context.home)?;
    context.ui.line(match auto {
        Auto::Off => "The daemon syncs nothing.",
        Auto::On => "The daemon syncs every session.",
        Auto::Selective => "The daemon pushes sessions that are tagged: sfs tag add ID sync",
    })?;
    if auto != Auto::Off && !daemon::is_running(&context.home) {
        context.ui.note("No daemon runs. Start it: sfs daemon start");
    }
    Ok(())
}

fn pause(context: &Context, paused: bool) -> Result<()> {
    outcome::pause(&mut context.open()?, paused)?;
    tell_daemon(&context.home)?;
    context.ui.line(if paused { "Paused; go on with: sfs autosync resume" } else { "Going on." })
}

impl Look {
    fn run(self, context: &Context) -> Result<()> {
        let store = context.open()?;
        let sync = daemon::sync_status(&store)?;
        if self.json {
            return context.ui.json(&sync);
        }
        context.ui.line(&sentence(&sync))?;
        let Ok(account) = Account::of(&store) else { return Ok(()) };
        let Some(row) = store.known_remote(&account.remote_name())? else { return Ok(()) };
        store.unsent(row.id)?.into_iter().try_for_each(|unsent| {
            let id = store.session(unsent.session)?.public_id;
            context.ui.line(&format!("{id} stays here: {}", ui::printable(&unsent.reason)))
        })
    }
}

/// For `sfs daemon status` too.
pub(super) fn sentence(sync: &daemon::Sync) -> String {
    let waiting = format!("{} to push", ui::counted(sync.pending, "session"));
    let last = sync.last_sync_at.map_or_else(|| "never yet".to_owned(), |at| ui::age(at.as_millisecond()));
    let error = sync.last_error.as_deref().map(|error| format!("; {}", ui::printable(error))).unwrap_or_default();
    match sync.state {
        daemon::SyncState::Off => "autosync is off: sfs autosync on".to_owned(),
        state => format!("autosync is {}; {waiting}, last synced {last}{error}", state.as_str()),
    }
}
