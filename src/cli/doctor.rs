//! `sfs doctor`: one line for each thing that is looked at, and what to type where something is wrong.

use super::Context;
use super::ui::{self, Style};
use crate::doctor::{self, Check, Options, State};
use crate::error::Result;
use argh::{ArgsInfo, FromArgs};
use serde_json::json;
use std::process::ExitCode;

/// Check that everything is in order, say what to type where it is not, and repair it
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "doctor")]
#[argh(example = "sfs doctor
sfs doctor --fix
sfs doctor --json")]
#[argh(
    note = "--fix makes our own files private again and writes a repaired copy, under a new id, of each session that its
client would refuse. Files of your tools are never changed. Exit code 1: something is wrong that was not repaired."
)]
pub(super) struct Doctor {
    /// repair what can be repaired without risk
    #[argh(switch)]
    fix: bool,
    /// look at every session and every page, however long it takes
    #[argh(switch)]
    all: bool,
    /// print as JSON
    #[argh(switch)]
    json: bool,
}

impl Doctor {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let mut checks = Vec::new();
        let options = Options { fix: self.fix, all: self.all };
        doctor::examine(&context.home, options, &mut |check| {
            if !self.json {
                tell(context, &check)?;
            }
            checks.push(check);
            Ok(())
        })?;
        let count = |state| checks.iter().filter(|check| check.state == state).count() as u64;
        let failed = count(State::Fail);
        if self.json {
            context.ui.json(&json!({"ok": failed == 0, "checks": checks}))?;
        } else {
            context.ui.line("")?;
            context.ui.line(&match (failed, count(State::Warn)) {
                (0, 0) => "Everything is in order.".to_owned(),
                (0, _) => "Nothing is broken; what is marked `warn` is worth a look.".to_owned(),
                (failed, _) => format!("{} to be mended.", ui::counted(failed, "thing")),
            })?;
        }
        Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn tell(context: &Context, check: &Check) -> Result<()> {
    let style = match check.state {
        State::Ok | State::Fixed => Style::Green,
        State::Warn => Style::Yellow,
        State::Fail => Style::Red,
    };
    let word = context.ui.paint(style, &ui::pad(check.state.as_str(), 5));
    context.ui.line(&format!("{word}  {:<12} {}", check.subject, ui::printable(&check.what)))?;
    match &check.hint {
        Some(hint) => context.ui.line(&format!("{:<19} {}", "", ui::printable(hint))),
        None => Ok(()),
    }
}
