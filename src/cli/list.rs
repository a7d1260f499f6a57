//! `sfs list`.

use super::{Context, ui};
use crate::error::Result;
use crate::store::Filter;
use argh::{ArgsInfo, FromArgs};

/// List sessions
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "list")]
pub(super) struct List {
    /// print as JSON
    #[argh(switch)]
    json: bool,
}

impl List {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let store = context.open()?;
        for (row, summary) in store.list(&Filter::default())? {
            context.ui.line(&format!("{} {:?} {}", row.public_id, summary, ui::age(0)))?;
        }
        Ok(())
    }
}
