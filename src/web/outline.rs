//! What a reader jumps to: prompts, compactions, branches, and what he looks for.

use super::log::{Depth, Logs, Owner};
use super::time;
use super::window::Tokens;
use crate::error::Result;
use crate::export::{self, ArchivedSession};
use crate::model::message::Block;
use crate::store::{SessionRow, Store};
use memchr::memmem;
use serde::Serialize;
use std::ops::Range;

/// More places are not told.
const MOST: usize = 1000;

/// So many prompts are told: those around a message.
const PROMPTS: usize = 200;
/// And so many compactions, and branches.
const PLACES: usize = 200;

/// The places in a session, those around a message of it; the counts say how many there are in all.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the fields of the dashboard's contract")]
pub struct Outline {
    pub total: u64,
    pub prompts: Vec<PromptPlace>,
    /// How many prompts stand before the first one that is told.
    pub first: u64,
    pub prompt_count: u64,
    pub compactions: Vec<Number>,
    pub compaction_count: u64,
    /// What the conversation went on without.
    pub branches: Vec<Branch>,
    pub branch_count: u64,
    pub change: i64,
}

/// A prompt.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the fields of the dashboard's contract")]
pub struct PromptPlace {
    pub number: u64,
    pub id: String,
    pub text: String,
    pub at: Option<String>,
    /// What the turn took.
    pub usage: Option<Tokens>,
}

/// A message's number.
#[derive(Debug, Serialize)]
pub struct Number {
    /// In the log.
    pub number: u64,
}

/// Messages one behind the other that the conversation went on without.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the fields of the dashboard's contract")]
pub struct Branch {
    /// The first one.
    pub number: u64,
    pub id: String,
    /// Behind the last one.
    pub to: u64,
}

/// The places in a session around the message of number `around`.
pub fn outline(store: &Store, logs: &Logs, owner: Owner, row: SessionRow, around: u64) -> Result<Outline> {
    let change = store.session_change(row.id)?;
    let session = ArchivedSession::open(store, row)?;
    let log = logs.log(owner, store, &session, Depth::Whole)?;
    let id = |number: u64| log.main.id(number).to_owned();
    let told = nearest(&log.prompts, PROMPTS, around, |prompt| prompt.number);
    let first = told.start as u64;
    let prompts = log.prompts[told].iter().map(|prompt| PromptPlace {
        number: prompt.number,
        id: id(prompt.number),
        text: prompt.text.clone(),
        at: prompt.at.and_then(|at| time(at.as_millisecond())),
        usage: prompt.usage.clone(),
    });
    let runs = log.abandoned();
    let told = nearest(&runs, PLACES, around, |run| run.start);
    let branches = runs[told].iter().map(|run| Branch { number: run.start, id: id(run.start), to: run.end });
    let told = nearest(&log.compactions, PLACES, around, |number| *number);
    let compactions = log.compactions[told].iter();
    Ok(Outline {
        total: log.main.entries.len() as u64,
        prompts: prompts.collect(),
        first,
        prompt_count: log.prompts.len() as u64,
        compactions: compactions.map(|number| Number { number: *number }).collect(),
        compaction_count: log.compactions.len() as u64,
        branches: branches.collect(),
        branch_count: runs.len() as u64,
        change,
    })
}

/// At most so many of `places`, which are in order: as many before the message of number `around` as behind it, where there are.
fn nearest<T>(places: &[T], most: usize, around: u64, number: impl Fn(&T) -> u64) -> Range<usize> {
    let at = places.partition_point(|place| number(place) <= around);
    let from = at.saturating_sub(most / 2).min(places.len().saturating_sub(most));
    from..places.len().min(from + most)
}

/// Messages in which a text stands.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the fields of the dashboard's contract")]
pub struct Matches {
    pub matches: Vec<Match>,
    pub total: u64,
    /// False where there are more than are told.
    pub is_whole: bool,
}

/// A message in which a text stands.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the fields of the dashboard's contract")]
pub struct Match {
    pub number: u64,
    pub id: String,
}

/// The messages of the main conversation in which `text` stands, whatever the case.
pub fn find(store: &Store, logs: &Logs, owner: Owner, row: SessionRow, text: &str) -> Result<Matches> {
    let session = ArchivedSession::open(store, row)?;
    let log = logs.log(owner, store, &session, Depth::Places)?;
    let wanted = text.to_lowercase();
    let finder = memmem::Finder::new(wanted.as_bytes());
    let (mut matches, mut total) = (Vec::new(), 0);
    log.messages(&session, &log.main, 0..log.main.entries.len(), &mut |at, message| {
        let is_found = !wanted.is_empty()
            && message.content.iter().any(|block| {
                let is_in = |text: &str| finder.find(text.to_lowercase().as_bytes()).is_some();
                match block {
                    Block::ToolResult { content, .. } => match export::unwrapped(content) {
                        Some(inside) => is_in(&inside.output),
                        None => is_in(content),
                    },
                    Block::Text(text) | Block::Summary { text, .. } => is_in(text),
                    Block::Thinking { text, summary, .. } => is_in(text) || summary.as_deref().is_some_and(is_in),
                    Block::ToolUse { name, input, .. } => is_in(name) || is_in_json(input.get(), &finder),
                    Block::Image(_) | Block::Other(_) => false,
                }
            });
        if is_found {
            total += 1;
            if matches.len() < MOST {
                matches.push(Match { number: at as u64, id: message.id });
            }
        }
        Ok(())
    })?;
    Ok(Matches { is_whole: total as usize == matches.len(), matches, total })
}

/// Looks into the texts of a call's input, not into how JSON writes them.
fn is_in_json(json: &str, finder: &memmem::Finder<'_>) -> bool {
    fn any(value: &serde_json::Value, finder: &memmem::Finder<'_>) -> bool {
        match value {
            serde_json::Value::String(text) => finder.find(text.to_lowercase().as_bytes()).is_some(),
            serde_json::Value::Array(items) => items.iter().any(|item| any(item, finder)),
            serde_json::Value::Object(fields) => fields.values().any(|field| any(field, finder)),
            _ => false,
        }
    }
    serde_json::from_str(json).is_ok_and(|value| any(&value, finder))
}
