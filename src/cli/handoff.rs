//! `sfs handoff`.

use super::Context;
use super::share::{tell_code, text};
use super::sync::Link;
use super::ui;
use crate::error::Result;
use crate::store::Event;
use argh::{ArgsInfo, FromArgs};
use serde_json::{Value, json};

/// Hand a session to a teammate to go on with
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "handoff")]
#[argh(example = "sfs handoff last --to bob@example.org
sfs handoff last --to bob@example.org -m \"Tests are green, the docs are missing\"")]
#[argh(
    note = "The session is pushed first. The teammate takes it with `sfs inbox accept`, in whatever tool he likes, in his
own clone of the repository."
)]
pub(super) struct Handoff {
    /// the session: an id, a prefix of one, the tool's own id, or `last`
    #[argh(positional)]
    id: String,
    /// the teammate's address
    #[argh(option)]
    to: String,
    /// what you say to it
    #[argh(option, short = 'm')]
    message: Option<String>,
    /// print as JSON
    #[argh(switch)]
    json: bool,
}

impl Handoff {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let mut link = Link::open(context, None)?;
        let row = link.store.resolve(&self.id)?;
        let told = self.message.as_deref().map(|text| link.gate.text(&mut link.store, text)).transpose()?;
        let (message, replaced) = told.unzip();
        let mut body = link.push_first(context, &row, false)?;
        if let Some(replaced) = replaced.filter(|replaced| *replaced > 0) {
            context.ui.note(&format!("note: {} replaced in the message", ui::counted(replaced, "secret")));
        }
        body["to"] = self.to.clone().into();
        body["message"] = message.into();
        let path = format!("/api/v1/sessions/{}/handoffs", row.public_id);
        let made: Value = link.client.json("POST", &path, Some(&body))?;
        let detail = json!({"to": self.to, "share": made["share_id"]});
        context.audit(&mut link.store, Event::HandedOff, &row.public_id, &detail);
        if self.json {
            return context.ui.json(&made);
        }
        context.ui.line(&format!("Handed {} to {}.", row.public_id, text(&made, "with")))?;
        tell_code(context, &made)
    }
}
