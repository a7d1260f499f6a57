//! Bare `sfs`: what is captured, whether the daemon runs, and what to do next.

use super::{Context, ui};
use crate::error::Result;
use crate::tools;

pub(super) fn run(context: &Context) -> Result<()> {
    let store = context.open()?;
    let mut any = false;
    for tool in tools::ALL {
        let (sessions, gone) = store.count_by_tool(tool.id())?;
        let (last, error) = store.capture_state(tool.id())?;
        any |= sessions > 0;
        let found = tool.root(&context.home).is_dir();
        let state = match (sessions, found) {
            (0, false) => "not found on this machine".to_owned(),
            (0, true) => "nothing captured yet".to_owned(),
            _ => {
                let last = last.map(|at| format!(", last {}", ui::age(at))).unwrap_or_default();
                let safe = if gone > 0 { format!(", {gone} deleted by the tool but safe here") } else { String::new() };
                format!("{sessions} sessions{last}{safe}")
            }
        };
        context.ui.line(&format!("{:<12} {state}", tool.name()))?;
        if let Some((path, error)) = error {
            context.ui.line(&format!("{:<12} last error: {}: {}", "", ui::printable(&path), ui::printable(&error)))?;
        }
    }
    context.ui.line("")?;
    if any {
        context.ui.line("Next: sfs list | sfs show last -m | sfs resume last --in codex | sfs --help")
    } else {
        context.ui.line("Next: sfs import captures what is there; sfs daemon start keeps capturing; sfs --help")
    }
}
