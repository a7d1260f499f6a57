//! `sfs daemon install` and `sfs daemon uninstall`.

use super::{Context, ui};
use crate::daemon::{self, Installed, Service};
use crate::error::{Error, Result};
use argh::{ArgsInfo, FromArgs};

/// Let systemd or launchd start the daemon at every login
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "install")]
#[argh(example = "sfs daemon install
sfs daemon install --now")]
#[argh(note = "Run it again after moving the program. A service file of yours is left alone.")]
pub(super) struct Install {
    /// start it now, too; a daemon that runs is replaced
    #[argh(switch)]
    now: bool,
}

/// Take the service away again; what is captured stays
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "uninstall")]
#[argh(example = "sfs daemon uninstall")]
pub(super) struct Uninstall {}

impl Install {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        install(context, self.now).map(drop)
    }
}

/// Writes the service and tells the system; says whether the system took it.
pub(super) fn install(context: &Context, now: bool) -> Result<bool> {
    context.home.create()?;
    let service = Service::here(&context.home)?;
    let file = ui::printable(&context.home.short(&service.file));
    context.ui.line(&match service.write()? {
        Installed::No => format!("Wrote {file}"),
        Installed::Older => format!("Brought {file} up to date"),
        Installed::Current | Installed::Foreign => format!("{file} is up to date"),
    })?;
    if let Err(error) = daemon::tell_system(&service.enable) {
        context.ui.note(&format!("note: {}", error.message()));
        context.ui.line("The system could not be told. Where you are logged in, type:")?;
        print(context, if now { &service.start } else { &service.enable })?;
        return Ok(false);
    }
    if !now {
        context.ui.line("The daemon starts at your next login. Start it now: sfs daemon install --now")?;
        return Ok(true);
    }
    // The service's daemon could not take the lock of one that was started by hand.
    daemon::stop(&context.home)?;
    daemon::tell_system(&service.start).map_err(|error| error.hint("sfs daemon start"))?;
    context.ui.line("The daemon runs, and starts at every login. What it does: sfs daemon status")?;
    Ok(true)
}

impl Uninstall {
    #[expect(clippy::unused_self, reason = "every command runs the same way")]
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let service = Service::here(&context.home)?;
        let file = ui::printable(&context.home.short(&service.file));
        match service.installed()? {
            Installed::No => return context.ui.line("No service is installed."),
            Installed::Foreign => {
                return Err(Error::conflict(format!("{file} was not written by sessionfs")).hint("remove it yourself"));
            }
            Installed::Current | Installed::Older => {}
        }
        let told = daemon::tell_system(&service.disable);
        service.remove()?;
        context.ui.line(&format!("Removed {file}"))?;
        match told.and_then(|()| daemon::tell_system(&service.forget)) {
            Ok(()) => context.ui.line("The daemon has stopped and does not start by itself any more."),
            Err(error) => {
                context.ui.note(&format!("note: {}", error.message()));
                context.ui.line("The system could not be told. Where you are logged in, type:")?;
                print(context, &[&service.disable[..], &service.forget[..]].concat())
            }
        }
    }
}

fn print(context: &Context, commands: &[Vec<String>]) -> Result<()> {
    commands.iter().try_for_each(|words| context.ui.line(&format!("  {}", words.join(" "))))
}
