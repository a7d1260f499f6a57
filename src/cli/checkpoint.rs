//! `sfs checkpoint`.

use super::{Context, ui};
use crate::error::{Error, Result};
use crate::export;
use crate::store::{Checkpoint as Row, Event, SessionRow, Store, StreamEnd};
use argh::{ArgsInfo, FromArgs};
use serde_json::{Value, json};

/// Mark where a session stands, to resume or fork it from there later
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "checkpoint")]
#[argh(example = "sfs checkpoint last --name before-the-refactoring
sfs checkpoint last --list
sfs resume last --at before-the-refactoring
sfs checkpoint last --delete before-the-refactoring")]
#[argh(note = "A checkpoint copies nothing: the archive keeps what was there.")]
pub(super) struct Checkpoint {
    /// the session: an id, a prefix of one, the tool's own id, or `last`
    #[argh(positional)]
    id: String,
    /// what to call it; cp-1, cp-2, … by default
    #[argh(option)]
    name: Option<String>,
    /// show the session's checkpoints
    #[argh(switch)]
    list: bool,
    /// forget the checkpoint of this name; the session stays as it is
    #[argh(option)]
    delete: Option<String>,
    /// print as JSON
    #[argh(switch)]
    json: bool,
}

impl Checkpoint {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        if usize::from(self.list) + usize::from(self.name.is_some()) + usize::from(self.delete.is_some()) > 1 {
            return Err(Error::usage("--name, --list and --delete do not go together").hint("give one of them"));
        }
        let mut store = context.open()?;
        let row = context.session(&store, &self.id)?;
        match &self.delete {
            Some(name) => self.forget(context, &mut store, &row, name),
            None if self.list => self.print(context, &store.checkpoints(row.id)?),
            None => self.add(context, &mut store, &row),
        }
    }

    fn add(&self, context: &Context, store: &mut Store, row: &SessionRow) -> Result<()> {
        if let Some(name) = &self.name {
            Row::check_name(name)?;
        }
        export::refresh(store, &context.home, row)?;
        let name = match &self.name {
            Some(name) => name.clone(),
            None => free_name(store, row)?,
        };
        let checkpoint = export::checkpoint(store, row, &name)?;
        store.write(|store| store.add_checkpoint(row.id, &checkpoint))?;
        context.audit(store, Event::Checkpoint, &row.public_id, &json!({}));
        if self.json {
            return context.ui.json(&as_json(&checkpoint));
        }
        context.ui.line(&format!("Checkpoint {} of {}.", ui::printable(&name), row.public_id))
    }

    fn forget(&self, context: &Context, store: &mut Store, row: &SessionRow, name: &str) -> Result<()> {
        if !store.write(|store| store.remove_checkpoint(row.id, name))? {
            return Err(Error::not_found(format!("session {} has no checkpoint {name:?}", row.public_id))
                .hint(format!("sfs checkpoint {} --list", row.public_id)));
        }
        if self.json {
            return context.ui.json(&json!({"deleted": name}));
        }
        context.ui.line(&format!("Checkpoint {} is forgotten; the session stays as it is.", ui::printable(name)))
    }

    fn print(&self, context: &Context, checkpoints: &[Row]) -> Result<()> {
        if self.json {
            return context.ui.json(&all_as_json(checkpoints));
        }
        if checkpoints.is_empty() {
            context.ui.note("No checkpoints. Make one with: sfs checkpoint ID --name NAME");
        }
        for checkpoint in checkpoints {
            let at = ui::local_time(checkpoint.created_at);
            let leaf = checkpoint.leaf.as_deref().unwrap_or("(no message)");
            context.ui.line(&format!("{at}  {}  {}", ui::printable(&checkpoint.name), ui::printable(leaf)))?;
        }
        Ok(())
    }
}

fn free_name(store: &Store, row: &SessionRow) -> Result<String> {
    let mut number = 1;
    while store.checkpoint(row.id, &format!("cp-{number}"))?.is_some() {
        number += 1;
    }
    Ok(format!("cp-{number}"))
}

/// Name, moment, last message and what there was of each stream.
pub(super) fn all_as_json(checkpoints: &[Row]) -> Value {
    checkpoints.iter().map(as_json).collect()
}

fn as_json(checkpoint: &Row) -> Value {
    let end = |end: &StreamEnd| json!({"name": end.name, "generation": end.generation, "length": end.length});
    let streams: Vec<Value> = checkpoint.streams.iter().map(end).collect();
    json!({"name": checkpoint.name, "created_at": ui::rfc3339(checkpoint.created_at), "message_id": checkpoint.leaf,
        "streams": streams})
}
