//! `sfs move`.

use super::resume::existing_folder;
use super::{Context, arguments, ui};
use crate::error::{Context as _, Error, Kind, Result};
use crate::export::{self, MovePlan, Moving};
use crate::store::{Event, Store};
use crate::tools::Moved;
use argh::{ArgsInfo, FromArgs};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Make the sessions of a project follow its folder, which was moved or renamed
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "move")]
#[argh(example = "sfs move ~/work/old-name ~/work/new-name
sfs move ~/work/old-name ~/work/new-name --dry-run
sfs move last ~/work/new-name")]
#[argh(
    note = "Move the folder itself first. The tools' own files stay as they are; where a tool looks for sessions by the
folder, copies are written where it looks now, under the same ids; an older copy of the same session there is completed,
any other file is left alone. Text in the sessions is not changed."
)]
pub(super) struct Move {
    /// where the folder was (sessions below it follow too), or one session
    #[argh(positional, from_str_fn(arguments::path))]
    old: String,
    /// where it is now
    #[argh(positional, from_str_fn(arguments::path))]
    new: PathBuf,
    /// say what would be done, do nothing
    #[argh(switch)]
    dry_run: bool,
    /// print the outcome as JSON
    #[argh(switch)]
    json: bool,
}

impl Move {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let to =
            existing_folder(&self.new).map_err(|error| error.hint("move the folder first, or give where it is now"))?;
        let mut store = context.open()?;
        let plans = self.plans(context, &mut store, &to)?;
        let (mut outcomes, mut failed) = (Vec::new(), 0);
        for plan in plans {
            let about = json!({"id": plan.session.public_id.as_str(), "tool": plan.session.tool,
                "native_id": plan.session.native_id, "from": plan.moved.from, "to": plan.moved.to});
            let outcome = if self.dry_run {
                plan.preview(&store, &context.home)
            } else {
                let (session, places) = (plan.session.public_id.clone(), detail(&plan.moved));
                let outcome = plan.perform(&mut store, &context.home);
                if outcome.is_ok() {
                    context.audit(&mut store, Event::Moved, &session, &places);
                }
                outcome
            };
            failed += u64::from(outcome.is_err());
            if !self.json {
                self.tell(context, &about, &outcome)?;
            }
            outcomes.push(as_json(about, &outcome));
        }
        if self.json {
            context.ui.json(&Value::from(outcomes))?;
        } else if outcomes.is_empty() {
            context.ui.line("Nothing to do: no session worked in that folder.")?;
        }
        if failed > 0 {
            return Err(Error::failed(format!("{} could not follow", ui::counted(failed, "session")))
                .hint("the others did; run the command again after mending the cause"));
        }
        Ok(())
    }

    fn plans(&self, context: &Context, store: &mut Store, to: &Path) -> Result<Vec<MovePlan>> {
        // What may be a folder's name is one where sessions worked in it, also when it is gone.
        let looks_like_folder = self.old.contains('/') || self.old.starts_with('.') || Path::new(&self.old).is_dir();
        let from = former(Path::new(&self.old))?;
        if looks_like_folder && from == to {
            return Err(Error::usage("both are the same folder").hint("sfs move OLD NEW"));
        }
        let moved = Moved { from, to: to.to_owned() };
        if looks_like_folder || export::has_sessions(store, &moved.from)? {
            return export::plan_moves(store, &context.home, &moved);
        }
        let session = store.resolve(&self.old).map_err(|error| match error.kind() {
            Kind::NotFound => Error::not_found(format!(
                "{} is neither a session nor a folder in which one worked",
                ui::printable(&self.old)
            ))
            .hint("sfs list --json shows each session's folder; sfs move /path/of/it NEW"),
            _ => error,
        })?;
        let own = store.summary(session.id)?.project.map_or_else(|| to.to_owned(), PathBuf::from);
        if own == to {
            return Ok(Vec::new());
        }
        let moved = Moved { from: own, to: to.to_owned() };
        Ok(vec![MovePlan::of(store, &context.home, session, moved)?])
    }

    fn tell(&self, context: &Context, about: &Value, outcome: &Result<Moving>) -> Result<()> {
        let word = |key: &str| ui::printable(about[key].as_str().unwrap_or_default());
        let id = word("id");
        match outcome {
            Ok(moving) => {
                let to = ui::printable(&context.home.short(Path::new(about["to"].as_str().unwrap_or_default())));
                let will = if self.dry_run { "would work" } else { "works" };
                context.ui.line(&format!("{id}  {}  {will} in {to}", word("tool")))?;
                let verb = if self.dry_run { "would write" } else { "wrote" };
                for file in &moving.files {
                    context.ui.note(&format!("  {verb} {}", context.home.short(file)));
                }
                moving.note.iter().for_each(|note| context.ui.note(&format!("note: {note}")));
            }
            Err(error) => {
                let hint = error.hint_text().map(|hint| format!(" ({hint})")).unwrap_or_default();
                context.ui.note(&format!("not moved: {id}: {}{hint}", error.message()));
            }
        }
        Ok(())
    }
}

fn detail(moved: &Moved) -> Value {
    json!({"from": moved.from, "to": moved.to})
}

fn as_json(mut about: Value, outcome: &Result<Moving>) -> Value {
    match outcome {
        Ok(moving) => {
            about["files"] = json!(moving.files);
            about["note"] = json!(moving.note);
        }
        Err(error) => {
            about["error"] =
                json!({"kind": error.kind().as_str(), "message": error.message(), "hint": error.hint_text()});
        }
    }
    about
}

/// A folder that may be gone, as sessions name it: links in what is still there of its path are followed.
fn former(path: &Path) -> Result<PathBuf> {
    let path = std::path::absolute(path).context(|| "the current directory can't be read")?;
    let there = path.ancestors().find_map(|folder| Some((folder, folder.canonicalize().ok()?)));
    Ok(match there {
        Some((folder, real)) => {
            path.strip_prefix(folder).into_iter().fold(real, |real, rest| real.join(rest)).components().collect()
        }
        None => path,
    })
}
