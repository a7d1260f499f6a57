//! `sfs push`.

use super::Context;
use super::sync::{Link, all_passed, none_refused};
use crate::error::Result;
use argh::{ArgsInfo, FromArgs};

/// Send sessions to the server: what changed, or those that are named
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "push")]
#[argh(example = "sfs push
sfs push last --json
sfs push --all")]
#[argh(
    note = "Only new bytes travel, and a push that was interrupted goes on where it was. Secrets are taken out of what is
sent: that copy is not a full backup. Otherwise: sfs config set sync.secrets warn (or block)"
)]
pub(super) struct Push {
    /// the sessions: ids, prefixes of them, the tools' own ids, or `last`; what changed by default
    #[argh(positional)]
    ids: Vec<String>,
    /// compare every session, also those that the server refused
    #[argh(switch)]
    all: bool,
    /// print as a JSON array
    #[argh(switch)]
    json: bool,
}

impl Push {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let mut link = Link::open(context, None)?;
        if self.ids.is_empty() && !self.all {
            let passed = link.push(None)?;
            link.tell(context, &passed, self.json)?;
            return none_refused(&passed, "push");
        }
        let mut rows = self.ids.iter().map(|id| Ok(link.store.resolve(id)?.id)).collect::<Result<Vec<_>>>()?;
        if self.all {
            rows = link.store.session_rows()?;
        }
        let passed = link.push(Some(&rows))?;
        let outcome = if self.all { none_refused(&passed, "push") } else { all_passed(&passed) };
        link.tell(context, &passed, self.json)?;
        outcome
    }
}
