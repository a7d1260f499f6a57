//! `sfs init`: from nothing to a machine whose sessions are safe. It may be run again at any time.

use super::ui::{self, Style};
use super::{Context, import, service};
use crate::capture::{self, Capture, Report};
use crate::daemon::{self, Installed, Service};
use crate::error::{Error, Result};
use crate::settings;
use crate::store::Store;
use crate::tools::{self, Tool};
use argh::{ArgsInfo, FromArgs};
use std::io::{BufRead, IsTerminal, Write};

/// Set everything up: find your tools, capture their sessions, keep capturing
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "init")]
#[argh(example = "sfs init
sfs init --no-service")]
#[argh(note = "On a terminal it asks before it installs the service. Running it again changes nothing that is right.")]
pub(super) struct Init {
    /// install and start the service without asking
    #[argh(switch, short = 'y')]
    yes: bool,
    /// neither install a service nor ask for it
    #[argh(switch)]
    no_service: bool,
}

impl Init {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        if self.yes && self.no_service {
            return Err(Error::usage("--yes installs the service, and --no-service does not").hint("sfs init --yes"));
        }
        let mut store = context.open()?;
        let mut total = Report::default();
        for tool in tools::ALL {
            total.absorb(set_up(context, &mut store, *tool)?);
        }
        portable(context)?;
        context.ui.line("")?;
        self.service(context)?;
        context.ui.line("")?;
        next(context, &store, &total)?;
        if total.errors.is_empty() {
            return Ok(());
        }
        Err(Error::failed(format!("{} could not be captured", ui::counted(total.errors.len() as u64, "file")))
            .hint("sfs doctor"))
    }

    fn service(&self, context: &Context) -> Result<()> {
        let installed = Service::here(&context.home)?.installed()?;
        let running = daemon::status(&context.home)?.running;
        if running && installed == Installed::Current {
            return context.ui.line("The daemon runs, and the system starts it at every login.");
        }
        if self.no_service {
            return context.ui.line("No service, as you wish. What keeps capturing: sfs daemon start");
        }
        if installed == Installed::Foreign {
            return context.ui.line("A service file that is not ours is there: it is left alone. See: sfs doctor");
        }
        if !self.yes && !ask("Keep capturing in the background, now and after every login?")? {
            return context.ui.line("What keeps capturing in the background: sfs daemon install --now");
        }
        if !service::install(context, true)? {
            daemon::start(&context.home)?;
            context.ui.line("Until then a daemon runs that was started without the system: sfs daemon status")?;
        }
        Ok(())
    }
}

/// Captures what a tool has, and says it.
fn set_up(context: &Context, store: &mut Store, tool: &'static dyn Tool) -> Result<Report> {
    let ui = &context.ui;
    let homes = tool.homes(&context.home);
    if homes.is_empty() {
        ui.line(&format!("{:<12} not found on this machine", tool.name()))?;
        return Ok(Report::default());
    }
    if !settings::captures(store, tool.id())? {
        ui.line(&format!("{:<12} switched off: sfs config set capture.{} true", tool.name(), tool.id()))?;
        return Ok(Report::default());
    }
    let report = import::capture_all(context, &context.home, store, tool)?;
    let found = capture::guard(&mut Capture { home: &context.home, store, tool })?.sessions;
    let bytes = found.iter().map(|session| session.bytes).sum();
    let folders: Vec<String> = homes.iter().map(|folder| context.home.short(folder)).collect();
    let folder = ui::printable(&folders.join(" and "));
    let sessions = ui::counted(found.len() as u64, "session");
    let new = match report.sessions.len() {
        0 => "nothing new".to_owned(),
        new => format!("{new} captured now"),
    };
    ui.line(&format!("{:<12} {sessions} ({}) in {folder}, {new}", tool.name(), ui::bytes(bytes)))?;
    let retention = format!("{:<12} by itself it {}", "", tool.retention(&context.home).words);
    ui.line(&ui.paint(Style::Dim, &retention))?;
    for (path, error) in &report.errors {
        ui.note(&format!("not captured: {}: {}", path.display(), error.message()));
    }
    Ok(report)
}

/// Another program of the same name keeps exported sessions in our folder: they are its own, and can be imported.
fn portable(context: &Context) -> Result<()> {
    let folder = context.home.data.join("sessions");
    let found = if folder.is_dir() { capture::sfs_folders(&folder)?.len() } else { 0 };
    if found == 0 {
        return Ok(());
    }
    let folder = ui::printable(&context.home.short(&folder));
    let sessions = ui::counted(found as u64, "exported session");
    context.ui.line(&format!("{folder} holds {sessions}. To have them here: sfs import {folder}"))
}

/// Asks on a terminal; elsewhere nobody can answer, which is a no.
fn ask(question: &str) -> Result<bool> {
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Ok(false);
    }
    let unanswered = |error| Error::failed("the answer can't be read").because(error).hint("sfs init --yes");
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{question} [Y/n] ").as_bytes()).and_then(|()| out.flush()).map_err(unanswered)?;
    let mut answer = String::new();
    // The end of the input is no answer.
    let length = std::io::stdin().lock().read_line(&mut answer).map_err(unanswered)?;
    Ok(length > 0 && matches!(answer.trim().to_lowercase().as_str(), "" | "y" | "yes"))
}

fn next(context: &Context, store: &Store, total: &Report) -> Result<()> {
    let lines = if store.session_rows()?.is_empty() {
        [
            ("sfs import DIR", "sessions from another machine's home folder"),
            ("sfs doctor", "whether everything is in order"),
            ("sfs --help", "what else there is"),
        ]
    } else {
        [
            ("sfs list", "what you have"),
            ("sfs show last -m", "what was said last"),
            ("sfs resume last --in codex", "go on in another tool"),
        ]
    };
    context.ui.line(if total.errors.is_empty() { "Next:" } else { "Next, beside what could not be captured:" })?;
    lines.iter().try_for_each(|(command, what)| context.ui.line(&format!("  {command:<28} {what}")))
}
