//! `sfs tag`.

use super::{Context, ui};
use crate::error::{Error, Result};
use crate::model::label;
use crate::store::{Event, SessionRow, Store};
use argh::{ArgsInfo, FromArgs};
use serde_json::json;
use std::collections::BTreeSet;

/// Tag sessions: add, remove, list
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "tag")]
#[argh(example = "sfs tag add last parser todo
sfs tag list
sfs list --tag parser")]
pub(super) struct Tag {
    #[argh(subcommand)]
    command: TagCommand,
}

#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand)]
enum TagCommand {
    Add(Add),
    Remove(Remove),
    List(ListTags),
}

/// Add tags to a session
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "add")]
#[argh(example = "sfs tag add last parser todo")]
struct Add {
    /// the session: an id, a prefix of one, the tool's own id, or `last`
    #[argh(positional)]
    id: String,
    /// the tags: at most 20 in all, each of at most 50 characters
    #[argh(positional)]
    tags: Vec<String>,
    /// print the session's tags as JSON
    #[argh(switch)]
    json: bool,
}

/// Take tags from a session
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "remove")]
#[argh(example = "sfs tag remove last todo")]
struct Remove {
    /// the session: an id, a prefix of one, the tool's own id, or `last`
    #[argh(positional)]
    id: String,
    /// the tags
    #[argh(positional)]
    tags: Vec<String>,
    /// print the session's tags as JSON
    #[argh(switch)]
    json: bool,
}

/// Show all tags, and how many sessions have each
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "list")]
#[argh(example = "sfs tag list --json")]
struct ListTags {
    /// print as a JSON array
    #[argh(switch)]
    json: bool,
}

impl Tag {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let mut store = context.open()?;
        match self.command {
            TagCommand::Add(Add { id, tags, json }) => {
                let row = context.session(&store, &id)?;
                add(&mut store, &row, &parse(&tags)?)?;
                tell(context, &store, &row, json)
            }
            TagCommand::Remove(Remove { id, tags, json }) => {
                let row = context.session(&store, &id)?;
                remove(&mut store, &row, &parse(&tags)?)?;
                tell(context, &store, &row, json)
            }
            TagCommand::List(ListTags { json }) => list(context, &store, json),
        }
    }
}

fn parse(words: &[String]) -> Result<BTreeSet<String>> {
    if words.is_empty() {
        return Err(
            Error::usage("which tags?").hint("sfs tag add ID TAG...; see the ones you have with `sfs tag list`")
        );
    }
    words.iter().map(|word| label::tag(word)).collect()
}

fn add(store: &mut Store, row: &SessionRow, tags: &BTreeSet<String>) -> Result<()> {
    store.write(|store| {
        let count = store.tags(row.id)?.into_iter().collect::<BTreeSet<_>>().union(tags).count();
        if count > label::MAX_TAGS {
            return Err(Error::usage(format!("session {} would have {count} tags", row.public_id)).hint(format!(
                "a session has {}; sfs tag remove {} TAG",
                label::TAG_RULE,
                row.public_id
            )));
        }
        let mut added = Vec::new();
        for tag in tags {
            if store.add_tag(row.id, tag)? {
                added.push(tag);
            }
        }
        let detail = json!({"added": added});
        if added.is_empty() { Ok(()) } else { store.audit(Event::Tagged, &row.public_id, &detail) }
    })
}

fn remove(store: &mut Store, row: &SessionRow, tags: &BTreeSet<String>) -> Result<()> {
    store.write(|store| {
        let known = store.tags(row.id)?;
        if let Some(unknown) = tags.iter().find(|tag| !known.contains(tag)) {
            return Err(Error::not_found(format!("session {} has no tag {unknown:?}", row.public_id))
                .hint(format!("sfs show {} says which it has", row.public_id)));
        }
        for tag in tags {
            store.remove_tag(row.id, tag)?;
        }
        store.audit(Event::Tagged, &row.public_id, &json!({"removed": tags}))
    })
}

fn tell(context: &Context, store: &Store, row: &SessionRow, json: bool) -> Result<()> {
    let tags = store.tags(row.id)?;
    if json {
        return context.ui.json(&json!({"id": row.public_id.as_str(), "tags": tags}));
    }
    let tags = if tags.is_empty() { "no tags".to_owned() } else { tags.join(", ") };
    context.ui.line(&format!("{}: {}", row.public_id, ui::printable(&tags)))
}

fn list(context: &Context, store: &Store, json: bool) -> Result<()> {
    let tags = store.all_tags()?;
    if json {
        let rows = tags.iter().map(|(tag, sessions)| json!({"tag": tag, "sessions": sessions}));
        return context.ui.json(&rows.collect::<Vec<_>>());
    }
    if tags.is_empty() {
        context.ui.note("No session has a tag yet: sfs tag add last TAG");
    }
    tags.iter().try_for_each(|(tag, sessions)| context.ui.line(&format!("{sessions:>6}  {}", ui::printable(tag))))
}
