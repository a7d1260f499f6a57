//! `sfs daemon`: starting, stopping and looking at the daemon. `sfsd` is `sfs daemon run`.

use super::service::{Install, Uninstall};
use super::ui::{self, Style};
use super::{Context, autosync};
use crate::daemon::{self, Started, State, Status, Stopped, Watcher};
use crate::error::Result;
use argh::{ArgsInfo, FromArgs};

/// Keep capturing in the background: start, stop, status, logs
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "daemon")]
#[argh(example = "sfs daemon install --now
sfs daemon start
sfs daemon status
sfs daemon logs -f")]
pub(super) struct Daemon {
    #[argh(subcommand)]
    command: DaemonCommand,
}

#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand)]
enum DaemonCommand {
    Start(Start),
    Stop(Stop),
    Restart(Restart),
    Status(Look),
    Logs(Logs),
    Install(Install),
    Uninstall(Uninstall),
    Run(Run),
}

/// Start the daemon in the background
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "start")]
#[argh(example = "sfs daemon start")]
struct Start {}

/// Stop the daemon; what is written meanwhile is captured at the next start
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "stop")]
#[argh(example = "sfs daemon stop")]
struct Stop {}

/// Stop the daemon and start it again, as after an update
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "restart")]
#[argh(example = "sfs daemon restart")]
struct Restart {}

/// Show what is watched and captured, and what went wrong
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "status")]
#[argh(example = "sfs daemon status
sfs daemon status --json")]
struct Look {
    /// print as JSON
    #[argh(switch)]
    json: bool,
}

/// Show the daemon's log
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "logs")]
#[argh(example = "sfs daemon logs -n 100
sfs daemon logs -f")]
struct Logs {
    /// wait for further lines
    #[argh(switch, short = 'f')]
    follow: bool,
    /// so many lines (default 50)
    #[argh(option, short = 'n', default = "50")]
    lines: usize,
}

/// Run the daemon in the foreground, as systemd and launchd want it
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "run")]
#[argh(example = "sfs daemon run")]
struct Run {}

impl Daemon {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        match self.command {
            DaemonCommand::Start(_) => start(context),
            DaemonCommand::Stop(_) => stop(context),
            DaemonCommand::Restart(_) => stop(context).and_then(|()| start(context)),
            DaemonCommand::Status(look) => look.run(context),
            DaemonCommand::Logs(logs) => logs.run(context),
            DaemonCommand::Install(install) => install.run(context),
            DaemonCommand::Uninstall(uninstall) => uninstall.run(context),
            DaemonCommand::Run(_) => run(context),
        }
    }
}

fn start(context: &Context) -> Result<()> {
    context.ui.line(&match daemon::start(&context.home)? {
        Started::Now(pid) => format!("The daemon runs (pid {pid}). What it does: sfs daemon status"),
        Started::Before(Some(pid)) => format!("The daemon already runs (pid {pid})."),
        Started::Before(None) => "The daemon already runs.".to_owned(),
    })
}

fn stop(context: &Context) -> Result<()> {
    context.ui.line(&match daemon::stop(&context.home)? {
        Stopped::Now(pid) => format!("The daemon (pid {pid}) has stopped; everything it saw is captured."),
        Stopped::Before => "No daemon runs.".to_owned(),
    })
}

fn run(context: &Context) -> Result<()> {
    daemon::tune_memory();
    if !daemon::detach() {
        let log = context.home.short(&context.home.log());
        context.ui.note(&format!("sessionfs {} captures; its log is {log}", env!("CARGO_PKG_VERSION")));
    }
    daemon::run(&context.home)
}

impl Look {
    fn run(self, context: &Context) -> Result<()> {
        let status = daemon::status(&context.home)?;
        if self.json {
            return context.ui.json(&status);
        }
        context.ui.line(&headline(&status))?;
        context.ui.line("")?;
        let header = ["tool", "state", "sessions", "deleted but safe", "last capture"].map(String::from);
        let rows: Vec<[String; 5]> = std::iter::once(header).chain(status.watchers.iter().map(row)).collect();
        for (number, row) in rows.iter().enumerate() {
            let line = aligned(&rows, row);
            context.ui.line(&if number == 0 { context.ui.paint(Style::Dim, &line) } else { line })?;
        }
        context.ui.line("")?;
        details(context, &status)
    }
}

fn headline(status: &Status) -> String {
    let sessions = format!("the archive holds {}", ui::counted(status.sessions, "session"));
    if !status.running {
        return format!("No daemon runs; {sessions}. Start it: sfs daemon start");
    }
    let pid = status.pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
    let since = status.since.map(|at| format!(", started {}", ui::age(at.as_millisecond()))).unwrap_or_default();
    format!("The daemon runs{pid}{since}; {sessions}.")
}

fn row(watcher: &Watcher) -> [String; 5] {
    let last = watcher.last_capture_at.map_or_else(|| "never".to_owned(), |at| ui::age(at.as_millisecond()));
    [
        watcher.tool.to_owned(),
        watcher.state.as_str().to_owned(),
        watcher.sessions.to_string(),
        watcher.gone_but_safe.to_string(),
        last,
    ]
}

fn aligned(rows: &[[String; 5]], row: &[String; 5]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let cells = row.iter().enumerate().map(|(column, cell)| match column {
        2 | 3 => ui::pad_left(cell, width(column)),
        _ => ui::pad(cell, width(column)),
    });
    cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

fn details(context: &Context, status: &Status) -> Result<()> {
    if status.sync.state != daemon::SyncState::Off {
        context.ui.line(&autosync::sentence(&status.sync))?;
    }
    if status.sync.refused > 0 {
        let refused = ui::counted(status.sync.refused, "session");
        let text = format!("the server refused {refused}; which: sfs autosync status; why: sfs push ID");
        context.ui.line(&context.ui.paint(Style::Red, &text))?;
    }
    for watcher in &status.watchers {
        for folder in &watcher.folders {
            let folder = context.home.short(folder.as_ref());
            context.ui.line(&format!("{} keeps its sessions in {}", watcher.tool, ui::printable(&folder)))?;
        }
        if watcher.folders.is_empty() && watcher.state == State::Waiting {
            context.ui.line(&format!("{} has no sessions on this machine yet", watcher.tool))?;
        }
        if let Some(error) = &watcher.last_error {
            let text = format!("{}: {}", watcher.tool, ui::printable(error));
            context.ui.line(&context.ui.paint(Style::Red, &text))?;
        }
    }
    Ok(())
}

impl Logs {
    fn run(self, context: &Context) -> Result<()> {
        let lines = daemon::recent_log(&context.home, self.lines)?;
        if lines.is_empty() && !self.follow {
            context.ui.note("The log is empty. Start the daemon: sfs daemon start");
        }
        for line in lines {
            context.ui.line(&ui::printable(&line))?;
        }
        if self.follow {
            daemon::follow_log(&context.home, &mut |line| context.ui.line(&ui::printable(line)))?;
        }
        Ok(())
    }
}
