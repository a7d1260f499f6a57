//! Bare `sfs`: what is captured, whether the daemon runs, and what to do next.

use super::Context;
use super::ui::{self, Style};
use crate::daemon;
use crate::error::Result;
use crate::tools;

pub(super) fn run(context: &Context) -> Result<()> {
    let status = daemon::status(&context.home)?;
    for watcher in &status.watchers {
        let tool = tools::find(watcher.tool)?;
        let state = match (watcher.sessions, !tool.homes(&context.home).is_empty()) {
            (0, false) => "not found on this machine".to_owned(),
            (0, true) => "nothing captured yet".to_owned(),
            _ => captured(watcher),
        };
        context.ui.line(&format!("{:<12} {state}", tool.name()))?;
        if watcher.sessions > 0 {
            let retention = format!("{:<12} by itself it {}", "", tool.retention(&context.home).words);
            context.ui.line(&context.ui.paint(Style::Dim, &retention))?;
        }
        if let Some(error) = &watcher.last_error {
            context.ui.line(&format!("{:<12} last error: {}", "", ui::printable(error)))?;
        }
    }
    let daemon = match status.pid {
        Some(pid) if status.running => format!("running (pid {pid})"),
        _ if status.running => "running".to_owned(),
        _ => "not running; new sessions are not captured: sfs daemon start".to_owned(),
    };
    context.ui.line(&format!("{:<12} {daemon}", "Daemon"))?;
    if status.sessions > 0 {
        context.tell_if_rebuilding(&context.open()?)?;
    }
    context.ui.line("")?;
    context.ui.line(if status.sessions > 0 {
        "Next: sfs list | sfs show last -m | sfs resume last --in codex | sfs --help"
    } else {
        "Next: sfs init captures what is there and keeps capturing; sfs --help"
    })
}

fn captured(watcher: &daemon::Watcher) -> String {
    let last = watcher.last_capture_at.map(|at| format!(", last capture {}", ui::age(at.as_millisecond())));
    let gone = Some(watcher.gone_but_safe).filter(|gone| *gone > 0);
    let gone = gone.map(|gone| format!(", {gone} deleted by the tool but safe here"));
    format!("{}{}{}", ui::counted(watcher.sessions, "session"), last.unwrap_or_default(), gone.unwrap_or_default())
}
