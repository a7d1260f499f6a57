//! `/api/v1/sessions`: everything but the transfer of archives.

use super::accounts::now;
use super::api::Call;
use super::audit::Event;
use super::exchange::Response;
use super::query::{Query, object, plain_tags, text, within};
use super::reply::{Answer, Refusal, json, time};
use super::view::View;
use crate::capture;
use crate::error::{Context, Result};
use crate::export::{self, ArchivedSession};
use crate::id::SessionId;
use crate::model::label;
use crate::store::{ChunkCache, Filter, Sort, Store};
use crate::tools::Source;
use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// A page of a list.
struct Page {
    number: u64,
    size: u64,
}

impl Page {
    fn of(query: &Query, size: u64) -> Result<Page, Refusal> {
        // The archive counts in 63 bits.
        let number = query.number("page", 1, 1, 1 << 40)?;
        Ok(Page { number, size: query.number("page_size", size, 1, 100)? })
    }

    fn skip(&self) -> u64 {
        (self.number - 1) * self.size
    }

    fn json(&self, name: &str, items: &impl Serialize, total: u64) -> Result<Response> {
        let items = serde_json::value::to_raw_value(items).context(|| "a page can't be written")?;
        let number = |number: u64| serde_json::value::to_raw_value(&number).context(|| "a page can't be written");
        let has_more = serde_json::value::to_raw_value(&(self.skip() + self.size < total));
        let page = BTreeMap::from([
            (name, items),
            ("total", number(total)?),
            ("page", number(self.number)?),
            ("page_size", number(self.size)?),
            ("has_more", has_more.context(|| "a page can't be written")?),
        ]);
        Ok(json(200, &page))
    }
}

pub(super) fn list(call: &Call<'_>) -> Answer {
    let query = Query::of(call.request)?;
    let page = Page::of(&query, 20)?;
    let filter = Filter {
        tool: query.get("source_tool").map(str::to_owned),
        tag: query.get("tag").map(str::to_owned),
        deleted: matches!(query.get("deleted"), Some("true" | "1")),
        sort: Sort::Arrival,
        limit: Some(page.size),
        skip: page.skip(),
        ..Filter::default()
    };
    call.api.archives.with(call.caller.account.id, |store| {
        let total = store.count(&filter)?;
        let mut sessions = Vec::new();
        for (row, summary) in store.list(&filter)? {
            let deleted_at = row.deleted_at;
            let mut session = View::of(store, row, summary)?.short()?;
            if let Some(at) = deleted_at {
                session["deleted_at"] = time(at).into();
                session["delete_scope"] = "cloud".into();
            }
            sessions.push(session);
        }
        Ok(page.json("sessions", &sessions, total)?)
    })
}

pub(super) fn detail(call: &Call<'_>, id: &SessionId) -> Answer {
    call.api.archives.with(call.caller.account.id, |store| Ok(json(200, &View::open(store, id)?.detail()?)))
}

/// Titles and tags stay as they are written: they are escaped where they are shown.
pub(super) fn edit(call: &mut Call<'_>, id: &SessionId) -> Answer {
    let body = object(call.request)?;
    let title = text(&body, "title")?.map(|title| within(title, 500, &["body", "title"])).transpose()?;
    let tags =
        body.get("tags").filter(|tags| !tags.is_null()).map(|list| plain_tags(list, &["body", "tags"])).transpose()?;
    let detail = call.api.archives.with(call.caller.account.id, |store| {
        let row = View::open(store, id)?.row.id;
        store.write(|store| {
            if let Some(title) = &title {
                store.set_title(row, label::fitting_title(title).as_deref())?;
            }
            if let Some(tags) = &tags {
                store.set_tags(row, tags)?;
            }
            store.touch_receipt(row, now())
        })?;
        Ok::<_, Refusal>(View::open(store, id)?.detail()?)
    })?;
    call.note(Event::Edited, Some(id), "");
    Ok(json(200, &detail))
}

/// Hides the session; its bytes stay. Newer clients say how far it is to be deleted, and want to hear of it.
pub(super) fn delete(call: &Call<'_>, id: &SessionId) -> Answer {
    let query = Query::of(call.request)?;
    let scope = query.get("scope");
    if let Some(other) = scope.filter(|scope| !matches!(*scope, "cloud" | "everywhere")) {
        let message = "Input should be 'cloud' or 'everywhere'";
        return Err(Refusal::invalid("literal_error", &["query", "scope"], message, &other.into()));
    }
    let at = now();
    call.api.archives.with(call.caller.account.id, |store| {
        let row = store.find_public(id)?.ok_or_else(Refusal::not_found)?;
        match row.deleted_at {
            None => Ok(store.write(|store| store.hide(row.id, at).map(drop))?),
            Some(_) if scope.is_some() => Err(gone()),
            Some(_) => Err(Refusal::not_found()),
        }
    })?;
    call.note(Event::Deleted, Some(id), scope.unwrap_or_default());
    Ok(match scope {
        None => Response::empty(204),
        Some(scope) => json(
            200,
            &json!({"session_id": id.as_str(), "status": "deleted", "deleted_at": time(at), "delete_scope": scope}),
        ),
    })
}

/// To those who know that a session can be deleted.
pub(super) fn gone() -> Refusal {
    Refusal::new(410, "Session was deleted").code("session_deleted")
}

pub(super) fn restore(call: &Call<'_>, id: &SessionId) -> Answer {
    let detail = call.api.archives.with(call.caller.account.id, |store| {
        let row = store.find_public(id)?.ok_or_else(Refusal::not_found)?;
        if row.deleted_at.is_none() {
            return Err(Refusal::new(409, "Session is not deleted").code("not_deleted"));
        }
        store.write(|store| store.unhide(row.id))?;
        Ok(View::open(store, id)?.detail()?)
    })?;
    call.note(Event::Restored, Some(id), "");
    Ok(json(200, &detail))
}

pub(super) fn messages(call: &Call<'_>, id: &SessionId) -> Answer {
    let page = Page::of(&Query::of(call.request)?, 50)?;
    call.api.archives.with(call.caller.account.id, |store| {
        let view = View::open(store, id)?;
        let (messages, total) = page_of_messages(&view, &page)?;
        Ok(page.json("messages", &messages, total)?)
    })
}

/// The messages as the client wrote them, or as our readers find them in the session's own bytes.
fn page_of_messages(view: &View<'_>, page: &Page) -> Result<(Vec<Box<RawValue>>, u64)> {
    let session = ArchivedSession::open(view.store, view.row.clone())?;
    let (mut messages, mut total) = (Vec::new(), 0);
    let wanted = page.skip()..page.skip() + page.size;
    let uploaded = view.members()?.and_then(|members| members.into_iter().find(|(name, _)| name == "messages.jsonl"));
    let Some((_, stream)) = uploaded else {
        export::for_each_message(&session, true, &mut |message| {
            if wanted.contains(&total) {
                messages.push(serde_json::value::to_raw_value(&message).context(|| "a message can't be written")?);
            }
            total += 1;
            Ok(ControlFlow::Continue(()))
        })?;
        return Ok((messages, total));
    };
    let info = session.streams().iter().find(|s| s.name == stream.name && s.generation == stream.generation);
    if let Some(info) = info {
        session.for_each_line(info, 0, &mut |line| {
            let bytes = line.bytes.trim_ascii();
            if bytes.starts_with(b"{") && serde_json::from_slice::<IgnoredAny>(bytes).is_ok() {
                if wanted.contains(&total) {
                    messages.push(serde_json::from_slice(bytes).context(|| "a message can't be read")?);
                }
                total += 1;
            }
            Ok(ControlFlow::Continue(()))
        })?;
    }
    Ok((messages, total))
}

/// `workspace.json` or `tools.json`.
pub(super) fn document(call: &Call<'_>, id: &SessionId, name: &'static str) -> Answer {
    let file = format!("{name}.json");
    call.api.archives.with(call.caller.account.id, |store| {
        let view = View::open(store, id)?;
        let document = match view.members()? {
            Some(members) => {
                let stream = members.into_iter().find(|(member, _)| *member == file).map(|(_, stream)| stream);
                stream
                    .map(|s| store.read_range(&s, 0, s.length, &mut ChunkCache::default()))
                    .transpose()?
                    .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok())
            }
            None if name == "workspace" => export::workspace(&view.summary),
            None => None,
        };
        let document = document.ok_or_else(|| Refusal::new(404, format!("No {file} in session archive")))?;
        Ok(json(200, &json!({name: document})))
    })
}

pub(super) fn reindex(call: &Call<'_>) -> Answer {
    let sessions =
        call.api.archives.with(call.caller.account.id, |store: &mut Store| capture::rebuild(store, |_| ()))?;
    call.note(Event::Reindexed, None, "");
    Ok(json(200, &json!({"reindexed": sessions, "updated": sessions, "errors": 0})))
}
