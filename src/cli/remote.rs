//! `sfs list-remote`, which is `sfs list --remote`: what is on the server, and how it compares with what is here.

use super::Context;
use super::ui::{self, Style};
use crate::error::{Error, Result};
use crate::id::SessionId;
use crate::store::Store;
use crate::sync::client::{Account, Client};
use argh::{ArgsInfo, FromArgs};
use serde::{Deserialize, Serialize};

/// Pages of a hundred: more sessions than that nobody has.
const PAGES: u64 = 10_000;

/// List the sessions that are on the server
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "list-remote")]
#[argh(example = "sfs list-remote
sfs list-remote --json")]
pub(super) struct ListRemote {
    /// print as a JSON array
    #[argh(switch)]
    json: bool,
}

/// A session as the server lists it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct There {
    pub(super) id: String,
    title: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(rename = "source_tool")]
    tool: String,
    message_count: u64,
    updated_at: String,
    etag: String,
}

/// How a session there compares with the one here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Compared {
    /// It is not here.
    There,
    /// It is here too.
    Both,
    /// It has more messages there.
    NewerThere,
    /// It has more messages here.
    NewerHere,
    /// It was here, and its bytes were dropped for good.
    PurgedHere,
}

impl Compared {
    fn as_str(self) -> &'static str {
        match self {
            Compared::There => "there",
            Compared::Both => "both",
            Compared::NewerThere => "newer there",
            Compared::NewerHere => "newer here",
            Compared::PurgedHere => "purged here",
        }
    }
}

#[derive(Serialize)]
struct Listed<'a> {
    id: &'a str,
    tool: &'a str,
    title: Option<&'a str>,
    tags: &'a [String],
    message_count: u64,
    updated_at: &'a str,
    etag: &'a str,
    place: Compared,
}

impl ListRemote {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        list(context, self.json)
    }
}

/// Prints the list.
pub(super) fn list(context: &Context, as_json: bool) -> Result<()> {
    let store = context.open()?;
    let there = sessions_there(&mut Client::of(&Account::of(&store)?)?)?;
    let listed = there.iter().map(|one| compared(&store, one)).collect::<Result<Vec<_>>>()?;
    if as_json {
        return context.ui.json(&listed);
    }
    if listed.is_empty() {
        context.ui.note("The server has no sessions yet. Send yours: sfs push");
        return Ok(());
    }
    let header = format!("{:<22} {:<12} {:>6}  {:<11}  {}", "ID", "TOOL", "MSGS", "PLACE", "TITLE");
    context.ui.line(&context.ui.paint(Style::Dim, &header))?;
    listed.iter().try_for_each(|one| {
        let title = ui::printable(one.title.unwrap_or("(untitled)"));
        let (id, tool) = (ui::printable(one.id), ui::printable(one.tool));
        let line = format!("{id:<22} {tool:<12} {:>6}  {:<11}  ", one.message_count, one.place.as_str());
        let room = context.ui.width().saturating_sub(line.len());
        context.ui.line(&format!("{line}{}", ui::fit(&title, room.max(10))))
    })
}

fn compared<'a>(store: &Store, there: &'a There) -> Result<Listed<'a>> {
    let here = SessionId::parse(&there.id).ok().map(|id| store.find_public(&id)).transpose()?.flatten();
    let place = match here {
        None => Compared::There,
        Some(row) if row.purged_at.is_some() => Compared::PurgedHere,
        Some(row) => match store.summary(row.id)?.message_count.cmp(&there.message_count) {
            std::cmp::Ordering::Less => Compared::NewerThere,
            std::cmp::Ordering::Equal => Compared::Both,
            std::cmp::Ordering::Greater => Compared::NewerHere,
        },
    };
    let There { id, title, tags, tool, message_count, updated_at, etag } = there;
    let (title, message_count) = (title.as_deref(), *message_count);
    Ok(Listed { id, tool, title, tags, message_count, updated_at, etag, place })
}

#[derive(Deserialize)]
struct Page {
    sessions: Vec<There>,
    has_more: bool,
}

/// All sessions of the account.
pub(super) fn sessions_there(client: &mut Client) -> Result<Vec<There>> {
    let mut all = Vec::new();
    for page in 1..=PAGES {
        let path = format!("/api/v1/sessions?page={page}&page_size=100");
        let Page { sessions, has_more } = client.json("GET", &path, None)?;
        all.extend(sessions);
        if !has_more {
            return Ok(all);
        }
    }
    Err(Error::failed("the server's list does not end"))
}
