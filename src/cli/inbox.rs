//! `sfs inbox`: what teammates share with you, and taking it.

use super::Context;
use super::resume::{Resume, existing_folder};
use super::shared::{meant, short};
use super::sync::Link;
use super::ui::{self, Style};
use crate::error::{Error, Result};
use crate::id::SessionId;
use crate::store::{Event, SessionRow, Store};
use crate::sync::client::{Account, Client};
use crate::sync::clones;
use crate::sync::shared::{self, Item};
use argh::{ArgsInfo, FromArgs};
use serde_json::json;
use std::path::{Path, PathBuf};

/// See what teammates share with you and hand to you, and take it
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "inbox")]
#[argh(example = "sfs inbox
sfs inbox accept last --project . --in codex")]
pub(super) struct Inbox {
    /// print as a JSON array
    #[argh(switch)]
    json: bool,
    #[argh(subcommand)]
    command: Option<InboxCommand>,
}

#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand)]
enum InboxCommand {
    Accept(Accept),
    Claim(Claim),
    Dismiss(Dismiss),
}

/// Take a session: pull it, and go on with it in your own clone of its repository
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "accept")]
#[argh(example = "sfs inbox accept last --project .
sfs inbox accept last --project . --in codex --no-launch")]
#[argh(
    note = "The clone is found among the projects that you have worked in, by the address of its remote. From then on
`sfs pull` and `sfs sync` bring what is new of the session."
)]
struct Accept {
    /// the item, as `sfs inbox` shows it, the session's id, or `last`
    #[argh(positional)]
    item: String,
    /// the folder to work in
    #[argh(option)]
    project: Option<PathBuf>,
    /// the tool to go on in: claude-code, codex or gemini; the session's own by default
    #[argh(option, long = "in")]
    tool: Option<String>,
    /// write the session, but do not start the tool
    #[argh(switch)]
    no_launch: bool,
    /// print the outcome as JSON, as `sfs resume` does
    #[argh(switch)]
    json: bool,
}

/// Take the code of a share that was made before you had an account
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "claim")]
#[argh(example = "sfs inbox claim CLAIM_CODE")]
struct Claim {
    /// the code that the teammate gave you
    #[argh(positional)]
    code: String,
    /// print the item as JSON
    #[argh(switch)]
    json: bool,
}

/// Take something out of the inbox; it can't be pulled any more
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "dismiss")]
#[argh(example = "sfs inbox dismiss last")]
struct Dismiss {
    /// the item, as `sfs inbox` shows it, the session's id, or `last`
    #[argh(positional)]
    item: String,
    /// print the item as JSON
    #[argh(switch)]
    json: bool,
}

impl Inbox {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        match self.command {
            None => list(context, self.json),
            Some(InboxCommand::Accept(command)) => command.run(context),
            Some(InboxCommand::Claim(command)) => command.run(context),
            Some(InboxCommand::Dismiss(command)) => command.run(context),
        }
    }
}

fn list(context: &Context, as_json: bool) -> Result<()> {
    let items = shared::inbox(&mut Client::of(&Account::of(&context.open()?)?)?)?;
    if as_json {
        return context.ui.json(&items);
    }
    if items.is_empty() {
        context.ui.note("The inbox is empty. With the code of a share: sfs inbox claim CODE");
        return Ok(());
    }
    let header = format!("{:<9} {:<8} {:<28} {:<12} {}", "ITEM", "KIND", "FROM", "TOOL", "TITLE");
    context.ui.line(&context.ui.paint(Style::Dim, &header))?;
    items.iter().try_for_each(|item| tell(context, item))
}

fn tell(context: &Context, item: &Item) -> Result<()> {
    let kind = if item.accepted_at.is_some() { "accepted" } else { &item.kind };
    let (from, tool) = (ui::pad(&ui::fit(&item.from, 28), 28), ui::printable(&item.tool));
    let start = format!("{:<9} {:<8} {from} {tool:<12} ", short(&item.item_id), ui::printable(kind));
    let title = item.title.as_deref().unwrap_or("(untitled)");
    context.ui.line(&format!("{start}{}", ui::fit(title, context.ui.width().saturating_sub(start.len()).max(10))))?;
    let message = item.message.as_deref().unwrap_or_default().lines();
    message.map(|line| format!("          {}", ui::printable(line))).try_for_each(|line| context.ui.line(&line))
}

/// The id of the item that is meant. A whole one need not be listed: an inbox shows only so many.
fn find<'a>(items: &'a [Item], words: &'a str) -> Result<&'a str> {
    if uuid::Uuid::try_parse(words).is_ok() {
        return Ok(words);
    }
    let item = meant(items, words, "inbox item", "sfs inbox", |item| [&item.item_id, &item.session_id])?;
    Ok(&item.item_id)
}

impl Accept {
    fn run(self, context: &Context) -> Result<()> {
        let project = self.project.as_deref().map(existing_folder).transpose()?;
        let mut link = Link::open(context, None)?;
        let items = shared::inbox(&mut link.client)?;
        let item = shared::accept(&mut link.client, find(&items, &self.item)?)?;
        let is_known =
            SessionId::parse(&item.session_id).ok().map(|id| link.store.find_public(&id)).transpose()?.flatten();
        let followed = shared::followed(&link.store, &link.account)?;
        if is_known.is_some() && !followed.iter().any(|one| one.share == item.item_id) {
            context.ui.note("note: you have this session yourself; what was said in it there is a branch of it");
        }
        let (row, passed) = link.follow(&item)?;
        context.audit(
            &mut link.store,
            Event::Accepted,
            &row.public_id,
            &json!({"from": item.from, "share": item.item_id}),
        );
        context.ui.progress(None);
        let bytes = passed.iter().map(|one| one.bytes_received).sum();
        let from = ui::printable(&item.from);
        context.ui.note(&format!("Pulled {} from {from} ({} new).", row.public_id, ui::bytes(bytes)));
        let folder = match project {
            Some(folder) => Some(chosen(context, folder, &item)),
            None => own_folder(&link.store, &row, &item)?,
        };
        drop(link);
        self.resume(context, &row, folder.as_deref())
    }

    /// As `sfs resume` does.
    fn resume(&self, context: &Context, row: &SessionRow, folder: Option<&Path>) -> Result<()> {
        let mut words = vec![row.public_id.to_string()];
        words.extend(folder.iter().flat_map(|folder| ["--project".to_owned(), folder.to_string_lossy().into_owned()]));
        words.extend(self.tool.iter().flat_map(|tool| ["--in".to_owned(), tool.clone()]));
        words.extend(self.no_launch.then(|| "--no-launch".to_owned()));
        words.extend(self.json.then(|| "--json".to_owned()));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let resume = Resume::from_args(&["sfs", "resume"], &words);
        resume.map_err(|exit| super::arguments::usage_error(&exit.output, &["resume"]))?.run(context)
    }
}

/// The folder that a person chose, whatever it is.
fn chosen(context: &Context, folder: PathBuf, item: &Item) -> PathBuf {
    if let Some(remote) = item.git_remote.as_deref().filter(|remote| clones::clone_around(&folder, remote).is_none()) {
        context.ui.note(&format!("note: {} is not a clone of {}", folder.display(), ui::printable(remote)));
    }
    folder
}

/// The clone here of what the session was about: one that was worked in, or the current folder. Without a remote, the
/// session's own folder where it is here too.
fn own_folder(store: &Store, row: &SessionRow, item: &Item) -> Result<Option<PathBuf>> {
    let choose = |what: String| {
        let command = format!("sfs resume {} --project DIR", row.public_id);
        Err(Error::not_found(what).hint(format!("the session is here; to go on with it: {command}")))
    };
    let Some(remote) = item.git_remote.as_deref() else {
        let own = store.summary(row.id)?.project;
        return match own.filter(|folder| Path::new(folder).is_dir()) {
            Some(_) => Ok(None),
            None => choose("the session's folder is not here, and it names no git remote".to_owned()),
        };
    };
    let worked_in = store.projects()?.into_iter().map(PathBuf::from);
    match clones::find(worked_in.chain(std::env::current_dir().ok()), remote) {
        Some(clone) => Ok(Some(clone)),
        None => choose(format!("no clone of {} is known here", ui::printable(remote))),
    }
}

impl Claim {
    fn run(&self, context: &Context) -> Result<()> {
        let mut client = Client::of(&Account::of(&context.open()?)?)?;
        let item: Item = client.json("POST", "/api/v1/inbox/claim", Some(&json!({"code": self.code})))?;
        if self.json {
            return context.ui.json(&item);
        }
        tell(context, &item)?;
        context.ui.line(&format!("To take it: sfs inbox accept {}", short(&item.item_id)))
    }
}

impl Dismiss {
    fn run(&self, context: &Context) -> Result<()> {
        let mut store = context.open()?;
        let mut client = Client::of(&Account::of(&store)?)?;
        let items = shared::inbox(&mut client)?;
        let id = find(&items, &self.item)?;
        client.call("DELETE", &format!("/api/v1/inbox/{id}"), None)?;
        shared::unfollow(&mut store, id)?;
        let item = items.iter().find(|item| item.item_id == id);
        if self.json {
            return item.map_or_else(|| context.ui.json(&json!({"item_id": id})), |item| context.ui.json(item));
        }
        let what = item.map_or_else(|| id.to_owned(), |item| format!("{} from {}", item.session_id, item.from));
        context.ui.line(&format!("Out of the inbox: {}.", ui::printable(&what)))
    }
}
