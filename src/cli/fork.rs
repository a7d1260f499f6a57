//! `sfs fork`.

use super::{Context, arguments, ui};
use crate::error::{Error, Result};
use crate::export::{self, ForkOptions, Selection};
use crate::model::label;
use crate::store::Event;
use crate::tools;
use argh::{ArgsInfo, FromArgs};
use serde_json::json;
use std::path::PathBuf;

/// Make a new session that begins as this one and goes its own way
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "fork")]
#[argh(example = "sfs fork last --name \"Try it with SQLite\"
sfs fork last --at before-the-refactoring
sfs fork last --at before-the-refactoring --in codex")]
#[argh(
    note = "The fork is in the archive; `sfs resume FORK` puts it into its tool and goes on there. `sfs show ID -m` shows
the messages with their ids, `sfs checkpoint ID --list` the checkpoints."
)]
pub(super) struct Fork {
    /// the session: an id, a prefix of one, the tool's own id, or `last`
    #[argh(positional)]
    id: String,
    /// the new session's title
    #[argh(option)]
    name: Option<String>,
    /// begin as the session was at this checkpoint, or behind this message
    #[argh(option)]
    at: Option<String>,
    /// where several devices continued the session: the branch to begin with; the newest by default
    #[argh(option)]
    branch: Option<String>,
    /// the same as --at, for a checkpoint
    #[argh(option)]
    from_checkpoint: Option<String>,
    /// the tool of the new session: claude-code, codex or gemini; the same by default
    #[argh(option, long = "in")]
    tool: Option<String>,
    /// the project folder of the new session; the session's own by default
    #[argh(option, from_str_fn(arguments::path))]
    project: Option<PathBuf>,
    /// print the outcome as JSON
    #[argh(switch)]
    json: bool,
}

impl Fork {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        if self.at.is_some() && self.from_checkpoint.is_some() {
            return Err(Error::usage("--at and --from-checkpoint say the same").hint("give one of them"));
        }
        let title = self.name.as_deref().map(label::title).transpose()?.flatten();
        let mut store = context.open()?;
        let row = super::indexed_session(&store, &self.id)?;
        let tool = match &self.tool {
            Some(name) => tools::find(name)?,
            None => tools::find(&row.tool).map_err(|_| export::unwritable(&row.tool, "fork", &row))?,
        };
        let at = self.at.or(self.from_checkpoint);
        let project = self.project.as_deref().map(super::resume::existing_folder).transpose()?;
        let selection = Selection { branch: self.branch, at: at.clone(), ..Selection::default() };
        let options = ForkOptions { title, selection, project };
        let forked = export::fork(&mut store, &context.home, &row, tool, &options)?;
        let child = &forked.session;
        context.audit(&mut store, Event::Forked, &row.public_id, &json!({"into": child.public_id.as_str()}));
        if self.json {
            return context.ui.json(&json!({"id": child.public_id.as_str(), "tool": child.tool,
                "native_id": child.native_id, "parent_id": row.public_id.as_str(), "at": at,
                "ledger": forked.ledger}));
        }
        let from = at.map(|at| format!(" at {}", ui::printable(&at))).unwrap_or_default();
        context.ui.note(&format!("Forked {}{from} for {}.", row.public_id, tool.name()));
        context.ui.ledger(&forked.ledger);
        context.ui.note(&format!("Go on in it with: sfs resume {}", child.public_id));
        context.ui.line(child.public_id.as_str())
    }
}
