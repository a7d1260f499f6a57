//! `sfs delete` and `sfs undelete`.

use super::{Context, ui};
use crate::capture;
use crate::error::{Error, Result};
use crate::export;
use crate::store::{Among, Event, SessionRow, Store};
use crate::sync::client::Account;
use crate::tools::{self, Tool};
use argh::{ArgsInfo, FromArgs};
use serde_json::{Value, json};
use std::io::{BufRead, IsTerminal};

/// Hide sessions; with --purge take their bytes out of the archive for good
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "delete")]
#[argh(example = "sfs delete last
sfs delete --purge --yes last")]
#[argh(
    note = "A deleted session stays hidden, whatever is captured or imported; what its tool still writes is archived all
the same, and `sfs undelete` brings everything back. A purged one is gone for good and never captured again. The tool's
own files are not touched."
)]
pub(super) struct Delete {
    /// the sessions: ids, prefixes of them, the tool's own ids, or `last`
    #[argh(positional)]
    ids: Vec<String>,
    /// drop their bytes, for good; deleted sessions can be purged too
    #[argh(switch)]
    purge: bool,
    /// do not ask
    #[argh(switch, short = 'y')]
    yes: bool,
    /// print the outcome as JSON
    #[argh(switch)]
    json: bool,
}

/// Bring deleted sessions back, with what was captured meanwhile
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "undelete")]
#[argh(example = "sfs list --deleted
sfs undelete last")]
pub(super) struct Undelete {
    /// the sessions: ids, prefixes of them, the tool's own ids, or `last` for the one deleted last
    #[argh(positional)]
    ids: Vec<String>,
    /// print the outcome as JSON
    #[argh(switch)]
    json: bool,
}

/// What became of one session.
struct Outcome {
    line: String,
    json: Value,
}

const ELSEWHERE: &str = "note: a purge is of this machine: the server and your other devices keep their copies, hidden";

impl Delete {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let mut store = context.open()?;
        let rows = resolve_all(&self.ids, "sfs delete", |words| {
            if self.purge { store.resolve_among(words, Among::All) } else { store.resolve(words) }
        })?;
        if self.purge && !self.yes && !self.confirmed(context, &store, &rows)? {
            context.ui.note("Nothing was purged.");
            return Ok(());
        }
        if self.purge {
            rows.iter().try_for_each(|row| export::forget_attachments(&store, &context.home, row))?;
        }
        let perform = if self.purge { purge } else { delete };
        let outcomes: Result<Vec<_>> = rows.iter().map(|row| perform(&mut store, row)).collect();
        tell(context, self.json, &outcomes?)?;
        if Account::of(&store).is_ok() {
            context.ui.note("note: on the server, links and shares of it work until the next `sfs push`");
            if self.purge {
                context.ui.note(ELSEWHERE);
            }
        }
        Ok(())
    }

    /// Asks on a terminal; elsewhere `--yes` has to say it.
    fn confirmed(&self, context: &Context, store: &Store, rows: &[SessionRow]) -> Result<bool> {
        if self.json || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return Err(Error::usage("a purge can't be undone")
                .hint(format!("sfs delete --purge --yes {}", self.ids.join(" "))));
        }
        for row in rows {
            let title = export::title(row, &store.summary(row.id)?).unwrap_or_else(|| "(untitled)".into());
            context.ui.note(&format!("  {}  {}  {title}", row.public_id, ui::bytes(archived(store, row)?)));
            for fork in standing_on(store, row)? {
                context.ui.note(&format!("    its fork {fork} may lose its beginning"));
            }
        }
        if Account::of(store).is_ok() {
            context.ui.note(ELSEWHERE);
        }
        context.ui.note("Purge this for good? The tool's own files stay. Type yes:");
        let mut answer = String::new();
        let read = std::io::stdin().lock().read_line(&mut answer).unwrap_or(0);
        Ok(read > 0 && matches!(answer.trim(), "y" | "Y" | "yes"))
    }
}

impl Undelete {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let mut store = context.open()?;
        let rows = resolve_all(&self.ids, "sfs undelete", |words| store.resolve_among(words, Among::Deleted))?;
        if let Some(purged) = rows.iter().find(|row| row.purged_at.is_some()) {
            return Err(Error::conflict(format!(
                "session {} was purged: nothing is left to bring back",
                purged.public_id
            ))
            .hint(format!("sfs audit --session {}", purged.public_id)));
        }
        let outcomes: Result<Vec<_>> = rows.iter().map(|row| undelete(&mut store, row)).collect();
        tell(context, self.json, &outcomes?)
    }
}

/// All or none: a word that means nothing stops before anything is done.
fn resolve_all(words: &[String], command: &str, find: impl Fn(&str) -> Result<SessionRow>) -> Result<Vec<SessionRow>> {
    if words.is_empty() {
        return Err(Error::usage("which session?").hint(format!("{command} ID; see the ids in `sfs list`")));
    }
    let mut rows: Vec<SessionRow> = Vec::new();
    for word in words {
        let row = find(word)?;
        if rows.iter().all(|known| known.id != row.id) {
            rows.push(row);
        }
    }
    Ok(rows)
}

fn delete(store: &mut Store, row: &SessionRow) -> Result<Outcome> {
    let hidden = store.write(|store| {
        let hidden = store.hide(row.id, jiff::Timestamp::now().as_millisecond())?;
        if hidden {
            store.audit(Event::Deleted, &row.public_id, &json!({}))?;
        }
        Ok(hidden)
    })?;
    let (id, result) = (&row.public_id, if hidden { "deleted" } else { "was deleted before" });
    Ok(Outcome {
        line: format!("{id} {result}; back with: sfs undelete {id}"),
        json: json!({"id": id.as_str(), "result": if hidden { "deleted" } else { "unchanged" }}),
    })
}

fn purge(store: &mut Store, row: &SessionRow) -> Result<Outcome> {
    let forks = standing_on(store, row)?;
    let freed = capture::purge(store, row)?;
    let id = &row.public_id;
    let line = if row.purged_at.is_some() && freed.native_bytes == 0 {
        format!("{id} was purged before")
    } else {
        let (gone, free) = (ui::bytes(freed.native_bytes), ui::bytes(freed.bytes));
        format!("{id} purged: {gone} are gone, {free} of the archive's file are free for new ones")
    };
    let result = if row.purged_at.is_some() { "unchanged" } else { "purged" };
    let losers = forks.iter().map(|fork| format!("  its fork {fork} may have lost its beginning"));
    let line = std::iter::once(line).chain(losers).collect::<Vec<_>>().join("\n");
    let json = json!({"id": id.as_str(), "result": result, "native_bytes": freed.native_bytes,
        "freed_bytes": freed.bytes, "forks": forks});
    Ok(Outcome { line, json })
}

/// The forks that may have their beginning in this session only.
fn standing_on(store: &Store, row: &SessionRow) -> Result<Vec<String>> {
    if !tools::find(&row.tool).is_ok_and(Tool::forks_by_reference) {
        return Ok(Vec::new());
    }
    Ok(store.forks(row)?.into_iter().map(|fork| fork.public_id.to_string()).collect())
}

fn undelete(store: &mut Store, row: &SessionRow) -> Result<Outcome> {
    let shown = store.write(|store| {
        let shown = store.unhide(row.id)?;
        if shown {
            store.audit(Event::Undeleted, &row.public_id, &json!({}))?;
        }
        Ok(shown)
    })?;
    let (id, result) = (&row.public_id, if shown { "is back" } else { "was not deleted" });
    Ok(Outcome {
        line: format!("{id} {result}: {}", ui::bytes(archived(store, row)?)),
        json: json!({"id": id.as_str(), "result": if shown { "undeleted" } else { "unchanged" }}),
    })
}

fn archived(store: &Store, row: &SessionRow) -> Result<u64> {
    Ok(store.streams(row.id)?.iter().map(|stream| stream.length).sum())
}

fn tell(context: &Context, json: bool, outcomes: &[Outcome]) -> Result<()> {
    if json {
        return context.ui.json(&outcomes.iter().map(|outcome| &outcome.json).collect::<Vec<_>>());
    }
    outcomes.iter().try_for_each(|outcome| context.ui.line(&outcome.line))
}
