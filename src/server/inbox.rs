//! `/api/v1/inbox`: what others share with the caller, and hand to him.

use super::api::Call;
use super::audit::Event;
use super::exchange::Response;
use super::query::{object, text};
use super::reply::{Answer, Refusal, json, time};
use super::shares::Share;
use crate::export;
use crate::store::Store;
use serde_json::{Value, json};
use std::cmp::Reverse;

/// An inbox shows so many.
const MAX_ITEMS: usize = 500;

/// The newest first. Those whose session is gone do not take the place of others.
pub(super) fn list(call: &Call<'_>) -> Answer {
    let (account, accounts) = (call.caller.account.id, &call.api.accounts);
    let mut items = Vec::new();
    let mut away: Vec<String> = accounts.suspended(account)?.into_iter().map(|share| share.id).collect();
    let mut seen = 0;
    while items.len() < MAX_ITEMS {
        let page = accounts.inbox(account, seen, MAX_ITEMS)?;
        for share in &page {
            match item(call, share)? {
                Some(item) => items.push((share.created_at, item)),
                None if share.accepted_at.is_some() && may_come_back(call, share)? => away.push(share.id.clone()),
                None => {}
            }
        }
        seen += page.len();
        if page.len() < MAX_ITEMS {
            break;
        }
    }
    items.truncate(MAX_ITEMS);
    items.sort_by_key(|(created_at, _)| Reverse(*created_at));
    let items: Vec<Value> = items.into_iter().map(|(_, item)| item).collect();
    Ok(json(200, &json!({"items": items, "away": away})))
}

/// True for a session that is deleted, and not for good.
fn may_come_back(call: &Call<'_>, share: &Share) -> Result<bool, Refusal> {
    call.api.archives.with(share.owner, |store: &mut Store| {
        Ok(store.find_public(&share.session)?.is_some_and(|row| row.purged_at.is_none()))
    })
}

/// A share as who it is for sees it; none where its session is gone.
fn item(call: &Call<'_>, share: &Share) -> Result<Option<Value>, Refusal> {
    let about = call.api.archives.with(share.owner, |store: &mut Store| {
        let row = store.find_public(&share.session)?.filter(|row| row.deleted_at.is_none());
        row.map(|row| Ok((store.summary(row.id)?, row))).transpose()
    });
    Ok(about.map_err(|error: crate::error::Error| Refusal::from(error))?.map(|(summary, row)| {
        let kind = if share.is_handoff { "handoff" } else { "share" };
        json!({"item_id": share.id, "kind": kind, "session_id": share.session.as_str(),
            "title": export::title(&row, &summary), "tool": row.tool, "from": share.from, "message": share.message,
            "write": share.can_write(), "git_remote": share.git_remote.as_ref().or(summary.git_remote.as_ref()), "created_at": time(share.created_at),
            "expires_at": share.expires_at.map(time), "accepted_at": share.accepted_at.map(time)})
    }))
}

fn unknown() -> Refusal {
    Refusal::new(404, "Inbox item not found")
}

pub(super) fn accept(call: &Call<'_>, id: &str) -> Answer {
    let share = call.api.accounts.accept_share(call.caller.account.id, id)?.ok_or_else(unknown)?;
    let item = item(call, &share)?.ok_or_else(unknown)?;
    call.note(Event::Accepted, Some(&share.session), format!("from {}", share.from));
    call.api.tell("accepted", &share);
    Ok(json(200, &item))
}

pub(super) fn dismiss(call: &Call<'_>, id: &str) -> Answer {
    let share = call.api.accounts.dismiss_share(call.caller.account.id, id)?.ok_or_else(unknown)?;
    call.note(Event::Dismissed, Some(&share.session), format!("from {}", share.from));
    Ok(Response::empty(204))
}

/// Guessing is slow for the account, and for the network from which it is done.
pub(super) fn claim(call: &mut Call<'_>) -> Answer {
    call.api.limit_claims(call.caller.account.id, call.request.client)?;
    let body = object(call.request)?;
    let code = text(&body, "code")?.ok_or_else(|| Refusal::missing(&["body", "code"]))?;
    let share = call.api.accounts.claim_share(call.caller.account.id, code)?;
    let item = share.as_ref().map(|share| item(call, share)).transpose()?.flatten();
    let (Some(share), Some(item)) = (share, item) else {
        call.note(Event::ClaimRefused, None, "");
        return Err(Refusal::new(404, "The claim code is not valid, or not any more"));
    };
    call.note(Event::Claimed, Some(&share.session), format!("from {}", share.from));
    Ok(json(200, &item))
}
