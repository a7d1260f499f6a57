//! `sfs rename`.

use super::{Context, ui};
use crate::error::Result;
use crate::export;
use crate::model::label;
use crate::store::Event;
use argh::{ArgsInfo, FromArgs};
use serde_json::json;

/// Give a session a title of your own; an empty one brings the tool's title back
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "rename")]
#[argh(example = "sfs rename last 'The parser, second try'
sfs rename last ''")]
pub(super) struct Rename {
    /// the session: an id, a prefix of one, the tool's own id, or `last`
    #[argh(positional)]
    id: String,
    /// its title: one line of at most 500 characters
    #[argh(positional)]
    title: String,
    /// print the outcome as JSON
    #[argh(switch)]
    json: bool,
}

impl Rename {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let title = label::title(&self.title)?;
        let mut store = context.open()?;
        let row = context.session(&store, &self.id)?;
        store.write(|store| {
            if store.set_title(row.id, title.as_deref())? {
                // Not the title itself: it must not outlive a purge.
                store.audit(Event::Renamed, &row.public_id, &json!({"by_person": title.is_some()}))?;
            }
            Ok(())
        })?;
        let row = store.session(row.id)?;
        let shown = export::title(&row, &store.summary(row.id)?);
        if self.json {
            let by_person = row.title.is_some();
            return context.ui.json(&json!({"id": row.public_id.as_str(), "title": shown, "by_person": by_person}));
        }
        let shown = ui::printable(shown.as_deref().unwrap_or("(untitled)"));
        context.ui.line(&format!("{} is called: {shown}", row.public_id))
    }
}
