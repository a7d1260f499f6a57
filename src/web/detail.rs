//! One session beside its messages: where it comes from, what came out of it, what it cost, and what a person may change.

use super::log::{Depth, Logs, Owner};
use super::sessions::Listed;
use super::{dollars, time};
use crate::error::{Error, Result};
use crate::export::{self, ArchivedSession};
use crate::id::SessionId;
use crate::model::{price, title};
use crate::store::{Checkpoint, SessionRow, Store, Summary};
use crate::tools;
use serde::Serialize;

/// Notes are not told beyond so many.
const NOTES: usize = 100;
/// Relatives are not told beyond so many.
const CHILDREN: usize = 100;

/// A session, and what belongs to it.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the fields of the dashboard's contract")]
pub struct Detail {
    pub session: Listed,
    pub native_id: String,
    pub tool_name: String,
    pub tool_version: Option<String>,
    pub git: Git,
    pub lineage: Lineage,
    pub checkpoints: Vec<CheckpointRow>,
    pub usage: Vec<ModelUsage>,
    pub notes: Vec<String>,
    pub agents: Vec<AgentRow>,
    pub commands: Commands,
    pub change: i64,
    pub message_count: u64,
}

/// Where the project stood.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the fields of the dashboard's contract")]
pub struct Git {
    pub branch: Option<String>,
    pub commit: Option<String>,
    pub remote: Option<String>,
}

/// What it continues, and what continues it.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the fields of the dashboard's contract")]
pub struct Lineage {
    pub parent: Option<Listed>,
    pub relation: Option<&'static str>,
    pub children: Vec<Child>,
}

/// A session that continues this one.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the fields of the dashboard's contract")]
pub struct Child {
    pub session: Listed,
    pub relation: Option<&'static str>,
}

/// A named position.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the fields of the dashboard's contract")]
pub struct CheckpointRow {
    pub name: String,
    pub created_at: Option<String>,
    pub message_id: Option<String>,
}

/// What a model took.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the fields of the dashboard's contract")]
pub struct ModelUsage {
    pub model: Option<String>,
    pub replies: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cache_read_tokens: u64,
    pub cost_usd: Option<f64>,
}

/// A sub-agent.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the fields of the dashboard's contract")]
pub struct AgentRow {
    pub id: String,
    pub title: Option<String>,
    pub message_count: u64,
}

/// What to type.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the fields of the dashboard's contract")]
pub struct Commands {
    pub pull: String,
    pub resume: String,
    /// One for each tool that the session can be continued in.
    pub resume_in: Vec<ResumeIn>,
}

/// How to go on in a tool.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the fields of the dashboard's contract")]
pub struct ResumeIn {
    pub tool: String,
    pub name: String,
    pub command: String,
}

/// The session that is called so, hidden or not; a purged one is gone.
pub fn find(store: &Store, id: &SessionId) -> Result<SessionRow> {
    let row = store.find_public(id)?.filter(|row| row.purged_at.is_none());
    row.ok_or_else(|| Error::not_found(format!("no session is called {id}")))
}

/// Everything about a session but its messages.
pub fn detail(store: &Store, logs: &Logs, owner: Owner, row: SessionRow) -> Result<Detail> {
    let summary = store.summary(row.id)?;
    let session = ArchivedSession::open(store, row.clone())?;
    let log = logs.log(owner, store, &session, Depth::Places)?;
    let agents = log.agents.iter().map(|agent| AgentRow {
        id: agent.id.clone(),
        title: title::from_prompt(&agent.task),
        message_count: agent.thread.entries.len() as u64,
    });
    let notes = store.notes(row.id)?.into_iter().take(NOTES);
    Ok(Detail {
        native_id: row.native_id.clone(),
        tool_name: tools::name_of(&row.tool).to_owned(),
        tool_version: summary.tool_version.clone(),
        git: Git {
            branch: summary.git_branch.clone(),
            commit: summary.git_commit.clone(),
            remote: summary.git_remote.clone(),
        },
        checkpoints: store.checkpoints(row.id)?.iter().map(CheckpointRow::of).collect(),
        usage: usage(store, row.id)?,
        notes: notes.map(|(stream, line, reason)| format!("{stream}:{}: {reason}", line + 1)).collect(),
        agents: agents.collect(),
        commands: commands(&row),
        change: store.session_change(row.id)?,
        message_count: log.main.entries.len() as u64,
        lineage: lineage(store, &row, &summary)?,
        session: Listed::of(store, row)?,
    })
}

impl CheckpointRow {
    /// As it is shown.
    pub fn of(checkpoint: &Checkpoint) -> CheckpointRow {
        CheckpointRow {
            name: checkpoint.name.clone(),
            created_at: time(checkpoint.created_at),
            message_id: checkpoint.leaf.clone(),
        }
    }
}

fn usage(store: &Store, session: i64) -> Result<Vec<ModelUsage>> {
    let usage = store.usage_by_model(session)?.into_iter().map(|(model, replies, usage)| ModelUsage {
        cost_usd: model.as_deref().and_then(|model| price::cost(model, &usage)).map(dollars),
        model,
        replies,
        input_tokens: usage.input_tokens + usage.cache_write_tokens,
        output_tokens: usage.output_tokens,
        cache_read_tokens: usage.cache_read_tokens,
    });
    Ok(usage.collect())
}

fn commands(row: &SessionRow) -> Commands {
    let id = &row.public_id;
    let writable = tools::ALL.iter().filter(|tool| tool.writer().is_some());
    let resume_in = writable.map(|tool| ResumeIn {
        tool: tool.id().to_owned(),
        name: tool.name().to_owned(),
        command: if tool.id() == row.tool {
            format!("sfs resume {id}")
        } else {
            format!("sfs resume {id} --in {}", tool.id())
        },
    });
    Commands { pull: format!("sfs pull {id}"), resume: format!("sfs resume {id}"), resume_in: resume_in.collect() }
}

fn lineage(store: &Store, row: &SessionRow, summary: &Summary) -> Result<Lineage> {
    let this = Listed::all(store, &[(row.clone(), summary.clone())])?;
    let (parent_id, relation) = this.into_iter().next().map_or((None, None), |it| (it.session.parent_id, it.relation));
    let parent = parent_id.and_then(|id| SessionId::parse(&id).ok());
    let parent = parent.map(|id| store.find_public(&id)).transpose()?.flatten();
    let parent = parent.filter(|row| row.deleted_at.is_none()).map(|row| Listed::of(store, row)).transpose()?;
    let mut rows: Vec<SessionRow> = Vec::new();
    for child in store.children(&row.public_id)?.into_iter().take(CHILDREN) {
        rows.extend(SessionId::parse(&child).ok().map(|id| store.find_public(&id)).transpose()?.flatten());
    }
    let forks = store.forks(row)?.into_iter().filter(|fork| fork.deleted_at.is_none());
    for fork in forks.take(CHILDREN) {
        if !rows.iter().any(|known| known.id == fork.id) {
            rows.push(fork);
        }
    }
    let rows = store.sessions_with_summaries(&rows.iter().map(|row| row.id).collect::<Vec<_>>())?;
    let children = Listed::all(store, &rows)?;
    let children = children.into_iter().map(|session| Child { relation: session.relation, session }).collect();
    Ok(Lineage { parent, relation, children })
}

/// What a person says of a session.
#[derive(Clone, Debug, Default)]
pub struct Edit {
    /// Its title; an empty one gives way to what the tool calls it.
    pub title: Option<String>,
    /// All its tags.
    pub tags: Option<Vec<String>>,
}

/// Writes down what a person says of a session.
pub fn edit(store: &mut Store, row: &SessionRow, edit: &Edit) -> Result<()> {
    store.write(|store| {
        if let Some(title) = &edit.title {
            store.set_title(row.id, Some(title.as_str()).filter(|title| !title.trim().is_empty()))?;
        }
        if let Some(tags) = &edit.tags {
            store.set_tags(row.id, tags)?;
        }
        Ok(())
    })
}

/// Marks where a session stands.
pub fn add_checkpoint(store: &mut Store, row: &SessionRow, name: &str) -> Result<CheckpointRow> {
    Checkpoint::check_name(name)?;
    let checkpoint = export::checkpoint(store, row, name)?;
    store.write(|store| store.add_checkpoint(row.id, &checkpoint))?;
    Ok(CheckpointRow::of(&checkpoint))
}
