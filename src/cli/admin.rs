//! `sfs admin`: looking after the archive itself.

use super::{Context, ui};
use crate::capture;
use crate::error::{Error, Result};
use argh::{ArgsInfo, FromArgs};

/// Look after the archive: check it, rebuild what is derived
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "admin")]
pub(super) struct Admin {
    #[argh(subcommand)]
    command: AdminCommand,
}

#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand)]
enum AdminCommand {
    Check(Check),
    Reindex(Reindex),
}

/// Verify every chunk and every stream, and name what is damaged
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "check")]
#[argh(example = "sfs admin check
sfs admin check --json")]
struct Check {
    /// print the report as JSON
    #[argh(switch)]
    json: bool,
}

/// Rebuild everything that is derived (summaries, index, full text) from the archived bytes
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "reindex")]
#[argh(example = "sfs admin reindex --local")]
struct Reindex {
    /// the local archive
    #[argh(switch)]
    local: bool,
}

impl Admin {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        match self.command {
            AdminCommand::Check(check) => check.run(context),
            AdminCommand::Reindex(reindex) => reindex.run(context),
        }
    }
}

impl Check {
    fn run(self, context: &Context) -> Result<()> {
        let store = context.open()?;
        let report = store.check(|done| {
            if done % 256 == 0 {
                context.ui.progress(Some(&format!("{done} streams checked")));
            }
        })?;
        context.ui.progress(None);
        if self.json {
            context.ui.json(&report)?;
        } else {
            context.ui.line(&format!(
                "{} sessions, {} streams, {} chunks: {} of native bytes in {}.",
                report.sessions,
                report.streams,
                report.chunks,
                ui::bytes(report.native_bytes),
                ui::bytes(report.pack_bytes)
            ))?;
            for damage in &report.damage {
                let session = damage.session.as_deref().unwrap_or("archive");
                context.ui.line(&format!("damaged: {session}: {}", ui::printable(&damage.what)))?;
            }
        }
        if report.damage.is_empty() {
            return Ok(());
        }
        Err(Error::failed(format!("{} places in the archive are damaged", report.damage.len()))
            .hint("restore archive.db from a backup; `sfs import` captures again what your tools still have"))
    }
}

impl Reindex {
    fn run(self, context: &Context) -> Result<()> {
        if !self.local {
            return Err(Error::usage("which index?").hint("sfs admin reindex --local"));
        }
        let mut store = context.open()?;
        let sessions = capture::rebuild(&mut store, |done| {
            if done % 64 == 0 {
                context.ui.progress(Some(&format!("{done} sessions read")));
            }
        })?;
        context.ui.progress(None);
        context.ui.line(&format!("Rebuilt the index of {sessions} sessions."))
    }
}
