//! `/api/web/sessions` and what stands around it.

use super::{Deed, Visit, told};
use crate::error::Result;
use crate::id::SessionId;
use crate::model::label;
use crate::server::accounts::now;
use crate::server::exchange::Response;
use crate::server::query::{Query, decoded, object, tags, text, within};
use crate::server::reply::{Answer, Refusal, json};
use crate::store::{Filter, SessionRow, Sort, Store};
use crate::tools;
use crate::web::detail::{self, Edit};
use crate::web::sessions::{Listed, Listing};
use crate::web::window::{Ask, MOST, Start};
use crate::web::{outline, stats, window};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};

/// Changed sessions in one answer; the number of the change says that there are others.
const CHANGES: u32 = 200;
/// Sessions that are changed by one request.
const BULK: usize = 500;
/// Days of the overview.
const YEAR: i64 = 371;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

pub(super) fn list(visit: &Visit<'_>) -> Answer {
    let query = Query::of(visit.request)?;
    let text = query.get("q").map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    let given = |name: &str| query.get(name).filter(|value| !value.is_empty()).map(str::to_owned);
    let is_deleted = matches!(query.get("deleted"), Some("1" | "true"));
    let sort = query.get("sort").filter(|sort| !sort.is_empty());
    let filter = Filter {
        tool: given("tool").map(|name| tools::find(&name).map_or(name, |tool| tool.id().to_owned())),
        project: given("project"),
        model: given("model"),
        tag: given("tag"),
        since: moment(&query, "since", false)?,
        until: moment(&query, "until", true)?,
        min_messages: u64::from(!is_deleted),
        deleted: is_deleted,
        sort: self::sort(sort.unwrap_or("updated"))?,
        ..Filter::default()
    };
    let listing = Listing {
        filter,
        further: matches!(query.get("further"), Some("1" | "true")),
        by_worth: sort.is_none(),
        text,
        page: query.number("page", 1, 1, 1 << 30)?,
        page_size: query.number("page_size", 100, 1, 500)?,
    };
    let mut page = visit.with(|store| crate::web::sessions::page(store, &listing).map_err(told))?;
    visit.tell_shares(&mut page.sessions)?;
    Ok(json(200, &page))
}

fn sort(word: &str) -> Result<Sort, Refusal> {
    Ok(match word {
        "updated" => Sort::Recent,
        "created" => Sort::Created,
        "messages" => Sort::Messages,
        "tokens" => Sort::Tokens,
        "cost" => Sort::Cost,
        _ => {
            let message = "Input should be 'updated', 'created', 'messages', 'tokens' or 'cost'";
            return Err(Refusal::invalid("literal_error", &["query", "sort"], message, &word.into()));
        }
    })
}

/// A moment or a day, in milliseconds. A day as an end is all of it.
fn moment(query: &Query, name: &str, is_end: bool) -> Result<Option<i64>, Refusal> {
    let Some(text) = query.get(name).filter(|text| !text.is_empty()) else { return Ok(None) };
    let day = text.parse::<Date>().ok().filter(|_| text.len() == 10);
    let day = day.map(|day| if is_end { day.saturating_add(1.day()) } else { day });
    let at = match day {
        Some(day) => day.to_zoned(TimeZone::system()).ok().map(|day| day.timestamp()),
        None => text.parse::<Timestamp>().ok(),
    };
    at.map(|at| Some(at.as_millisecond())).ok_or_else(|| {
        let message = "Input should be a date such as 2026-11-22, or a moment as in RFC 3339";
        Refusal::invalid("datetime_parsing", &["query", name], message, &text.into())
    })
}

pub(super) fn facets(visit: &Visit<'_>) -> Answer {
    Ok(json(200, &visit.with(|store| Ok(crate::web::sessions::facets(store)?))?))
}

pub(super) fn stats(visit: &Visit<'_>) -> Answer {
    let query = Query::of(visit.request)?;
    let since = moment(&query, "since", false)?.unwrap_or_else(|| now() - YEAR * DAY_MS);
    let until = moment(&query, "until", true)?.unwrap_or(i64::MAX);
    Ok(json(200, &visit.with(|store| Ok(stats::stats(store, since, until)?))?))
}

/// Asked every few seconds: costs next to nothing where nothing changed.
pub(super) fn changes(visit: &Visit<'_>) -> Answer {
    let query = Query::of(visit.request)?;
    let since = query.number("since", 0, 0, i64::MAX as u64)? as i64;
    let (change, mut sessions) = visit.with(|store| Ok(store.changed_sessions(since, CHANGES)?))?;
    if let Some(one) = query.get("session") {
        sessions.retain(|id| id == one);
    }
    Ok(json(200, &json!({"change": change, "sessions": sessions})))
}

/// The session of that id, hidden or not.
fn row(store: &Store, id: &SessionId) -> Result<SessionRow, Refusal> {
    detail::find(store, id).map_err(|_| Refusal::not_found())
}

pub(super) fn detail(visit: &Visit<'_>, id: &SessionId) -> Answer {
    let mut detail = visit.with(|store| {
        let row = row(store, id)?;
        detail::detail(store, &visit.dashboard.logs, visit.owner(), row).map_err(told)
    })?;
    let relatives = detail.lineage.children.iter_mut().map(|child| &mut child.session);
    visit.tell_shares(relatives.chain(detail.lineage.parent.as_mut()).chain([&mut detail.session]))?;
    Ok(json(200, &detail))
}

pub(super) fn messages(visit: &Visit<'_>, id: &SessionId) -> Answer {
    let query = Query::of(visit.request)?;
    let start = match (query.get("around"), query.get("at")) {
        (Some(message), _) => Start::Around(message.to_owned()),
        (None, Some("end")) => Start::End,
        _ => Start::At(query.number("from", 0, 0, u64::from(u32::MAX))?),
    };
    let limit = query.number("limit", 50, 1, MOST)?;
    let ask = Ask { start, limit, agent: query.get("agent").map(str::to_owned) };
    let window = visit.with(|store| {
        let row = row(store, id)?;
        window::window(store, &visit.dashboard.logs, visit.owner(), row, &ask).map_err(told)
    })?;
    Ok(json(200, &window))
}

pub(super) fn message(visit: &Visit<'_>, id: &SessionId, number: &str) -> Answer {
    let query = Query::of(visit.request)?;
    let number: u32 = number.parse().map_err(|_| Refusal::new(404, "Not Found"))?;
    let message = visit.with(|store| {
        let row = row(store, id)?;
        let (logs, owner) = (&visit.dashboard.logs, visit.owner());
        window::message(store, logs, owner, row, u64::from(number), query.get("agent")).map_err(told)
    })?;
    Ok(json(200, &message))
}

pub(super) fn outline(visit: &Visit<'_>, id: &SessionId) -> Answer {
    let around = Query::of(visit.request)?.number("around", 0, 0, u64::from(u32::MAX))?;
    let outline = visit.with(|store| {
        let row = row(store, id)?;
        outline::outline(store, &visit.dashboard.logs, visit.owner(), row, around).map_err(told)
    })?;
    Ok(json(200, &outline))
}

pub(super) fn find(visit: &Visit<'_>, id: &SessionId) -> Answer {
    let query = Query::of(visit.request)?;
    let text = within(query.get("q").unwrap_or_default(), 200, &["query", "q"])?;
    let matches = visit.with(|store| {
        let row = row(store, id)?;
        outline::find(store, &visit.dashboard.logs, visit.owner(), row, &text).map_err(told)
    })?;
    Ok(json(200, &matches))
}

/// Titles and tags stay as they are written: they are escaped where they are shown.
pub(super) fn edit(visit: &mut Visit<'_>, id: &SessionId) -> Answer {
    let body = object(visit.request)?;
    let title = text(&body, "title")?.or(body.contains_key("title").then_some(""));
    let title = title.map(self::title).transpose()?;
    let tags = body.get("tags").filter(|tags| !tags.is_null()).map(|list| tags(list, &["body", "tags"])).transpose()?;
    let mut edit = Edit { title, tags };
    let mut session = visit.with(|store| {
        let row = visible(store, id)?;
        let known = store.tags(row.id)?;
        // One that it has stays as it is, however it came there.
        for word in edit.tags.iter_mut().flatten().filter(|word| !known.contains(word)) {
            *word = tag(word, "tags")?;
        }
        detail::edit(store, &row, &edit)?;
        Ok(Listed::of(store, store.session(row.id)?)?)
    })?;
    visit.tell_shares([&mut session])?;
    if edit.title.is_some() {
        visit.note(Deed::Renamed, id, "");
    }
    if edit.tags.is_some() {
        visit.note(Deed::Tagged, id, "");
    }
    Ok(json(200, &session))
}

/// A title as it is stored; an empty one gives way to the tool's.
fn title(text: &str) -> Result<String, Refusal> {
    let invalid = || {
        let message = format!("Title should be one line of at most {} characters", label::MAX_TITLE);
        let beginning: String = text.chars().take(100).collect();
        Refusal::invalid("value_error", &["body", "title"], &message, &beginning.into())
    };
    label::title(text).map(Option::unwrap_or_default).map_err(|_| invalid())
}

/// A tag as it is stored.
fn tag(text: &str, field: &str) -> Result<String, Refusal> {
    let invalid = || {
        let beginning: String = text.chars().take(100).collect();
        let message = format!("Tag should be one line of 1 to {} characters", label::MAX_TAG);
        Refusal::invalid("value_error", &["body", field], &message, &beginning.into())
    };
    label::tag(text).map_err(|_| invalid())
}

fn visible(store: &Store, id: &SessionId) -> Result<SessionRow, Refusal> {
    row(store, id).and_then(|row| if row.deleted_at.is_none() { Ok(row) } else { Err(Refusal::not_found()) })
}

/// Hides the session; its bytes stay.
pub(super) fn delete(visit: &Visit<'_>, id: &SessionId) -> Answer {
    visit.with(|store| hide(store, id))?;
    visit.note(Deed::Deleted, id, "");
    Ok(Response::empty(204))
}

fn hide(store: &mut Store, id: &SessionId) -> Result<(), Refusal> {
    let row = visible(store, id)?;
    Ok(store.write(|store| store.hide(row.id, now()).map(drop))?)
}

pub(super) fn restore(visit: &Visit<'_>, id: &SessionId) -> Answer {
    let mut session = visit.with(|store| {
        unhide(store, id)?;
        Ok(Listed::of(store, row(store, id)?)?)
    })?;
    visit.tell_shares([&mut session])?;
    visit.note(Deed::Restored, id, "");
    Ok(json(200, &session))
}

fn unhide(store: &mut Store, id: &SessionId) -> Result<(), Refusal> {
    let row = row(store, id)?;
    if row.deleted_at.is_none() {
        return Err(Refusal::new(409, "Session is not deleted").code("not_deleted"));
    }
    Ok(store.write(|store| store.unhide(row.id).map(drop))?)
}

/// The sessions that a body names.
pub(super) fn ids(body: &serde_json::Map<String, Value>, most: usize) -> Result<Vec<SessionId>, Refusal> {
    let invalid = |message: &str| Refusal::invalid("value_error", &["body", "ids"], message, &Value::Null);
    let list = body.get("ids").and_then(Value::as_array).ok_or_else(|| Refusal::missing(&["body", "ids"]))?;
    if list.len() > most {
        return Err(invalid(&format!("List should have at most {most} items")));
    }
    let ids = list.iter().map(|id| id.as_str().and_then(|id| SessionId::parse(id).ok()));
    ids.collect::<Option<Vec<_>>>().ok_or_else(|| invalid("Input should be a list of session IDs"))
}

pub(super) fn bulk(visit: &mut Visit<'_>) -> Answer {
    let body = object(visit.request)?;
    let ids = ids(&body, BULK)?;
    let action = text(&body, "action")?.ok_or_else(|| Refusal::missing(&["body", "action"]))?;
    let deed = match action {
        "tag" | "untag" => Deed::Tagged,
        "delete" => Deed::Deleted,
        "restore" => Deed::Restored,
        _ => {
            let message = "Input should be 'tag', 'untag', 'delete' or 'restore'";
            return Err(Refusal::invalid("literal_error", &["body", "action"], message, &action.into()));
        }
    };
    let tag = match deed {
        Deed::Tagged => {
            let word = text(&body, "tag")?.ok_or_else(|| Refusal::missing(&["body", "tag"]))?;
            if action == "tag" { tag(word, "tag")? } else { word.to_owned() }
        }
        _ => String::new(),
    };
    let (mut done, mut failed) = (0, Vec::new());
    for id in &ids {
        let outcome = visit.with(|store| match action {
            "delete" => hide(store, id),
            "restore" => unhide(store, id),
            "tag" => add_tag(store, id, &tag),
            _ => {
                let row = visible(store, id)?;
                Ok(store.write(|store| store.remove_tag(row.id, &tag).map(drop))?)
            }
        });
        match outcome {
            Ok(()) => {
                done += 1;
                visit.note(deed, id, "");
            }
            Err(refusal) if refusal.status >= 500 => return Err(refusal),
            Err(refusal) => failed.push(json!({"id": id.as_str(), "message": refusal.message()})),
        }
    }
    Ok(json(200, &json!({"done": done, "failed": failed})))
}

fn add_tag(store: &mut Store, id: &SessionId, tag: &str) -> Result<(), Refusal> {
    let row = visible(store, id)?;
    let is_full = store.write(|store| {
        let tags = store.tags(row.id)?;
        let is_full = tags.len() >= label::MAX_TAGS && !tags.iter().any(|known| known == tag);
        if !is_full {
            store.add_tag(row.id, tag)?;
        }
        Ok(is_full)
    })?;
    if is_full {
        let message = format!("A session has at most {} tags: take one away first", label::MAX_TAGS);
        return Err(Refusal::new(409, message).code("too_many_tags"));
    }
    Ok(())
}

pub(super) fn add_checkpoint(visit: &mut Visit<'_>, id: &SessionId) -> Answer {
    let body = object(visit.request)?;
    let name = text(&body, "name")?.ok_or_else(|| Refusal::missing(&["body", "name"]))?;
    let checkpoint = visit.with(|store| {
        let row = visible(store, id)?;
        detail::add_checkpoint(store, &row, name).map_err(told)
    })?;
    visit.note(Deed::Checkpoint, id, "");
    Ok(json(201, &checkpoint))
}

pub(super) fn remove_checkpoint(visit: &Visit<'_>, id: &SessionId, name: &str) -> Answer {
    // In a path, unlike in a query, a plus is a plus.
    let name = decoded(&name.replace('+', "%2B")).ok_or_else(|| Refusal::new(404, "Not Found"))?;
    visit.with(|store| {
        let row = visible(store, id)?;
        let is_gone = store.write(|store| store.remove_checkpoint(row.id, &name))?;
        if is_gone { Ok(()) } else { Err(Refusal::new(404, "The session has no checkpoint of that name")) }
    })?;
    visit.note(Deed::Checkpoint, id, "");
    Ok(Response::empty(204))
}
