//! `sfs pull`.

use super::Context;
use super::remote::sessions_there;
use super::sync::{Link, all_passed, none_refused};
use crate::error::{Error, Kind, Result};
use crate::id::SessionId;
use argh::{ArgsInfo, FromArgs};

/// Fetch sessions from the server: what changed there, or those that are named
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "pull")]
#[argh(example = "sfs pull
sfs pull last --json
sfs pull --all")]
#[argh(
    note = "A session that is not here yet goes by its id, or the beginning of it, as `sfs list --remote` shows it. One that a
teammate shares goes by his address too: bob@example.org/ses_…. Without an id, the shared sessions that you accepted are
brought up to date as well."
)]
pub(super) struct Pull {
    /// the sessions: ids, or prefixes of them; what changed there by default
    #[argh(positional)]
    ids: Vec<String>,
    /// compare every session that is there
    #[argh(switch)]
    all: bool,
    /// print as a JSON array
    #[argh(switch)]
    json: bool,
}

impl Pull {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let mut link = Link::open(context, None)?;
        let mut passed = Vec::new();
        if self.ids.is_empty() {
            link.row.pulled = if self.all { 0 } else { link.row.pulled };
            passed = link.pull()?;
        }
        for words in &self.ids {
            if let Some((owner, id)) = words.split_once('/') {
                passed.extend(link.pull_named(context, owner, id)?);
                continue;
            }
            let id = named(&mut link, words)?;
            passed.extend(link.pull_session(&id)?);
        }
        let outcome = if self.ids.is_empty() { none_refused(&passed, "pull") } else { all_passed(&passed) };
        link.tell(context, &passed, self.json)?;
        outcome
    }
}

/// The id of the session that a person means: one that is here, else one that is there.
fn named(link: &mut Link, words: &str) -> Result<String> {
    match link.store.resolve(words) {
        Ok(row) => return Ok(row.public_id.to_string()),
        Err(error) if words == "last" || error.kind() != Kind::NotFound => return Err(error),
        Err(_) => {}
    }
    if words.len() >= 16 && SessionId::parse(words).is_ok() {
        return Ok(words.to_owned());
    }
    let prefix = format!("ses_{}", words.strip_prefix("ses_").unwrap_or(words));
    let there = sessions_there(&mut link.client)?;
    let mut found: Vec<String> = there.into_iter().map(|one| one.id).filter(|id| id.starts_with(&prefix)).collect();
    match found.len() {
        1 => Ok(found.swap_remove(0)),
        0 => Err(Error::not_found(format!("no session is called {words:?}, neither here nor on the server"))
            .hint("see what is there with `sfs list --remote`")),
        _ => Err(Error::usage(format!("{words:?} is ambiguous: {}", found.join(", ")))
            .hint("give more characters of the id")),
    }
}
