//! The list of sessions: filters, order, pages, search, and what there is to filter by.

use super::{dollars, time};
use crate::error::Result;
use crate::export;
use crate::model::query::{Case, Query};
use crate::search::{self, Effort, Excerpt};
use crate::store::{Filter, SearchFilter, SessionRow, Store, Summary};
use crate::tools;
use serde::Serialize;
use std::collections::HashMap;

/// Columns of an excerpt.
const COLUMNS: usize = 180;

/// For somebody who types, and waits. Bytes are looked through where no whole word is found, for what stands inside of words.
const UNASKED: Effort = Effort { messages: 8_000, bytes: 12 << 20 };
/// For somebody who asks to look further.
const ASKED: Effort = Effort { messages: 200_000, bytes: 1 << 30 };

/// A session as `sfs list --json` has it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the fields of `sfs list --json`")]
pub struct Session {
    pub id: String,
    pub tool: String,
    pub native_id: String,
    pub title: Option<String>,
    pub project: Option<String>,
    pub model: Option<String>,
    pub created_at: Option<String>,
    pub updated_at: Option<String>,
    pub message_count: u64,
    pub turn_count: u64,
    pub tool_call_count: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cost_usd: Option<f64>,
    pub tags: Vec<String>,
    pub parent_id: Option<String>,
    pub native_present: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<String>,
}

impl Session {
    /// All of `rows`, with as many questions to the archive as one of them takes.
    pub fn all(store: &Store, rows: &[(SessionRow, Summary)]) -> Result<Vec<Session>> {
        let ids: Vec<i64> = rows.iter().map(|(row, _)| row.id).collect();
        let (mut tags, present) = (store.tags_of(&ids)?, store.native_present_among(&ids)?);
        let forks = rows.iter().filter(|(row, summary)| row.parent.is_none() && summary.forked_from.is_some());
        let natives: Vec<(&str, &str)> = forks
            .map(|(row, summary)| (row.tool.as_str(), summary.forked_from.as_deref().unwrap_or_default()))
            .collect();
        let parents = store.public_ids(&natives)?;
        let session = |(row, summary): &(SessionRow, Summary)| {
            let fork = || parents.get(&(row.tool.clone(), summary.forked_from.clone()?)).cloned();
            Session {
                id: row.public_id.to_string(),
                tool: row.tool.clone(),
                native_id: row.native_id.clone(),
                title: export::title(row, summary),
                project: summary.project.clone(),
                model: summary.model.clone(),
                created_at: summary.created_at.or(summary.updated_at).and_then(time),
                updated_at: summary.updated_at.and_then(time),
                message_count: summary.message_count,
                turn_count: summary.turn_count,
                tool_call_count: summary.tool_call_count,
                input_tokens: summary.prompt_tokens(),
                output_tokens: summary.output_tokens,
                cost_usd: summary.cost().map(dollars),
                tags: tags.remove(&row.id).unwrap_or_default(),
                parent_id: row.parent.as_ref().map(|(parent, _)| parent.clone()).or_else(fork),
                native_present: Some(present.contains(&row.id)),
                deleted_at: row.deleted_at.and_then(time),
            }
        };
        Ok(rows.iter().map(session).collect())
    }

    /// One of them.
    pub fn of(store: &Store, row: SessionRow, summary: Summary) -> Result<Session> {
        let mut one = Session::all(store, &[(row, summary)])?;
        Ok(one.remove(0))
    }
}

/// A session in the dashboard's list.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "the fields of the dashboard's contract")]
pub struct Listed {
    #[serde(flatten)]
    pub session: Session,
    /// How it continues its parent: `fork` or `resume`.
    pub relation: Option<&'static str>,
    /// How many others may read it.
    pub shared: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snippet: Option<Snippet>,
}

/// Where a text was found.
#[derive(Clone, Debug, Serialize)]
pub struct Snippet {
    /// The message in which it stands.
    pub message_id: String,
    /// Text around it; what was looked for is marked.
    pub html: String,
}

impl Listed {
    /// All of `rows`.
    pub fn all(store: &Store, rows: &[(SessionRow, Summary)]) -> Result<Vec<Listed>> {
        let sessions = Session::all(store, rows)?;
        let listed = sessions.into_iter().zip(rows).map(|(session, (row, _))| Listed {
            // What the tool itself says that it continues is a fork.
            relation: match &row.parent {
                Some((_, relation)) => Some(relation.as_str()),
                None => session.parent_id.is_some().then_some("fork"),
            },
            session,
            shared: 0,
            snippet: None,
        });
        Ok(listed.collect())
    }

    /// One of them.
    pub fn of(store: &Store, row: SessionRow) -> Result<Listed> {
        let summary = store.summary(row.id)?;
        let mut one = Listed::all(store, &[(row, summary)])?;
        Ok(one.remove(0))
    }
}

/// Which part of the list is wanted.
#[derive(Clone, Debug)]
pub struct Listing {
    /// Which sessions, and in which order; not how many.
    pub filter: Filter,
    /// In which this is said.
    pub text: Option<String>,
    /// Also where it takes its time.
    pub further: bool,
    /// The order is by how well they answer `text`.
    pub by_worth: bool,
    /// From 1.
    pub page: u64,
    /// Sessions on a page.
    pub page_size: u64,
}

/// A page of the list.
#[derive(Debug, Serialize)]
pub struct Page {
    /// What stands on it.
    pub sessions: Vec<Listed>,
    /// How many there are on all pages.
    pub total: u64,
    /// From 1.
    pub page: u64,
    /// Sessions on a page.
    pub page_size: u64,
    /// Everything was looked through.
    pub is_whole: bool,
}

/// A page of the list.
pub fn page(store: &Store, listing: &Listing) -> Result<Page> {
    let skip = (listing.page - 1).saturating_mul(listing.page_size);
    let (page, page_size) = (listing.page, listing.page_size);
    if let Some(text) = &listing.text {
        let query = Query::parse(text, Case::Ignored)?;
        return found(store, &query, listing, skip as usize);
    }
    let filter = Filter { limit: Some(page_size), skip, ..listing.filter.clone() };
    let sessions = Listed::all(store, &store.list(&filter)?)?;
    Ok(Page { sessions, total: store.count(&filter)?, page, page_size, is_whole: true })
}

fn found(store: &Store, query: &Query, listing: &Listing, skip: usize) -> Result<Page> {
    let (since, until) = (listing.filter.since, listing.filter.until);
    let filter = SearchFilter { sessions: listing.filter.clone(), since, until, ..SearchFilter::default() };
    let found = search::sessions(store, query, &filter, COLUMNS, if listing.further { ASKED } else { UNASKED })?;
    let mut hits = found.hits;
    if !listing.by_worth {
        let ids: Vec<i64> = hits.iter().map(|hit| hit.session).collect();
        let order = store.sorted(&ids, listing.filter.sort)?;
        let place: HashMap<i64, usize> = order.into_iter().enumerate().map(|(at, id)| (id, at)).collect();
        hits.sort_by_key(|hit| place.get(&hit.session).copied().unwrap_or(usize::MAX));
    }
    let total = hits.len() as u64;
    let shown: Vec<_> = hits.into_iter().skip(skip).take(listing.page_size as usize).collect();
    let rows = store.sessions_with_summaries(&shown.iter().map(|hit| hit.session).collect::<Vec<_>>())?;
    let mut sessions = Listed::all(store, &rows)?;
    let mut snippets = search::excerpts(store, query, &shown, COLUMNS)?;
    for (listed, (row, _)) in sessions.iter_mut().zip(&rows) {
        listed.snippet =
            snippets.remove(&row.id).map(|(message_id, excerpt)| Snippet { message_id, html: marked(&excerpt) });
    }
    Ok(Page { sessions, total, page: listing.page, page_size: listing.page_size, is_whole: found.is_whole })
}

fn marked(excerpt: &Excerpt) -> String {
    let pieces = excerpt.pieces.iter().map(|(text, is_found)| {
        let text = export::escaped(text);
        if *is_found { format!("<mark>{text}</mark>") } else { text }
    });
    pieces.collect()
}

/// What the list can be filtered by.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the words say it")]
pub struct Facets {
    pub tools: Vec<ToolFacet>,
    pub projects: Vec<ProjectFacet>,
    pub models: Vec<NameFacet>,
    pub tags: Vec<NameFacet>,
}

/// Sessions of a tool.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the words say it")]
pub struct ToolFacet {
    pub name: String,
    pub id: String,
    pub count: u64,
}

/// Sessions that worked in a folder.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the words say it")]
pub struct ProjectFacet {
    pub path: String,
    pub count: u64,
}

/// Sessions with a model or a tag.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the words say it")]
pub struct NameFacet {
    pub name: String,
    pub count: u64,
}

/// Everything that sessions can be filtered by, the most frequent first.
pub fn facets(store: &Store) -> Result<Facets> {
    let named = |(name, count)| NameFacet { name, count };
    let (tools, projects, models) = store.facets()?;
    let tool = |(id, count): (String, u64)| ToolFacet { name: tools::name_of(&id).to_owned(), id, count };
    Ok(Facets {
        tools: tools.into_iter().map(tool).collect(),
        projects: projects.into_iter().map(|(path, count)| ProjectFacet { path, count }).collect(),
        models: models.into_iter().map(named).collect(),
        tags: store.all_tags()?.into_iter().map(named).collect(),
    })
}
