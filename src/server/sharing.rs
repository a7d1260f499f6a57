//! `/api/v1/…/shares` and `…/handoffs`: what the caller shares with others.

use super::accounts::{normal_email, now};
use super::api::Call;
use super::audit::Event;
use super::exchange::Response;
use super::query::{object, text, within};
use super::reply::{Answer, Refusal, json, time};
use super::shares::{Audience, Handoff, NewShare, Share, State};
use crate::export;
use crate::id::SessionId;
use crate::store::Store;
use serde_json::{Map, Value, json};

/// Characters of what is said to a handoff.
const MAX_MESSAGE: usize = 2000;
/// Ten years, in seconds.
const MAX_EXPIRY: u64 = 315_360_000;

type Body = Map<String, Value>;

pub(super) fn list(call: &Call<'_>, session: Option<&SessionId>) -> Answer {
    let owner = call.caller.account.id;
    let shares = |store: &mut Store| {
        if let Some(id) = session {
            store.find_public(id)?.ok_or_else(Refusal::not_found)?;
        }
        let shares = call.api.accounts.shares(owner, session)?;
        shares.iter().map(|share| listed(store, share)).collect::<Result<Vec<Value>, Refusal>>()
    };
    let shares = call.api.archives.with(owner, shares)?;
    Ok(json(200, &json!({"shares": shares})))
}

fn listed(store: &Store, share: &Share) -> Result<Value, Refusal> {
    let row = store.find_public(&share.session)?;
    let title = row.as_ref().map(|row| Ok::<_, Refusal>(export::title(row, &store.summary(row.id)?))).transpose()?;
    // Nobody reads it then; when it is undeleted, they do again.
    let is_deleted = row.is_none_or(|row| row.deleted_at.is_some());
    let state = match share.state(now()) {
        State::Active | State::Waiting if is_deleted => "deleted",
        state => state.as_str(),
    };
    let (kind, with) = match &share.audience {
        Audience::Account { email, .. } => ("account", Some(email)),
        Audience::Link => ("link", None),
    };
    Ok(json!({"share_id": share.id, "session_id": share.session.as_str(), "title": title, "kind": kind, "with": with,
        "write": share.can_write(), "state": state, "created_at": time(share.created_at),
        "expires_at": share.expires_at.map(time), "last_opened_at": share.last_opened_at.map(time)}))
}

pub(super) fn create(call: &mut Call<'_>, id: &SessionId) -> Answer {
    let body = object(call.request)?;
    if flag(&body, "link")? {
        return create_link(call, id, &body);
    }
    let audience = Audience::Account { email: recipient(call, &body, "with")?, can_write: flag(&body, "write")? };
    let (share, code) = make(call, id, audience, &body, None)?;
    call.note(Event::Shared, Some(id), described(&share));
    call.api.tell("shared", &share);
    Ok(json(201, &told(&share, &code)))
}

pub(super) fn hand_off(call: &mut Call<'_>, id: &SessionId) -> Answer {
    let body = object(call.request)?;
    let audience = Audience::Account { email: recipient(call, &body, "to")?, can_write: false };
    let message = text(&body, "message")?.map(|text| within(text, MAX_MESSAGE, &["body", "message"])).transpose()?;
    let (share, code) = make(call, id, audience, &body, Some(Handoff { message }))?;
    call.note(Event::HandedOff, Some(id), described(&share));
    call.api.tell("handed_off", &share);
    let mut answer = told(&share, &code);
    answer["handoff_id"] = share.id.clone().into();
    answer["message"] = share.message.into();
    Ok(json(201, &answer))
}

fn create_link(call: &Call<'_>, id: &SessionId, body: &Body) -> Answer {
    let (share, token) = make(call, id, Audience::Link, body, None)?;
    call.note(Event::Shared, Some(id), described(&share));
    Ok(json(
        201,
        &json!({"share_id": share.id, "session_id": id.as_str(), "kind": "link", "path": format!("/s/{token}"),
            "created_at": time(share.created_at), "expires_at": share.expires_at.map(time)}),
    ))
}

/// The same whether or not the address has an account.
fn told(share: &Share, code: &str) -> Value {
    let Audience::Account { email, can_write } = &share.audience else { return Value::Null };
    json!({"share_id": share.id, "session_id": share.session.as_str(), "kind": "account", "with": email,
        "write": can_write, "claim_code": code, "created_at": time(share.created_at),
        "expires_at": share.expires_at.map(time)})
}

fn described(share: &Share) -> String {
    match &share.audience {
        Audience::Account { email, can_write: true } => format!("with {email}, who may write"),
        Audience::Account { email, can_write: false } => format!("with {email}"),
        Audience::Link => format!("by link {}", share.id),
    }
}

fn make(
    call: &Call<'_>,
    id: &SessionId,
    audience: Audience,
    body: &Body,
    handoff: Option<Handoff>,
) -> Result<(Share, String), Refusal> {
    let owner = call.caller.account.id;
    call.api.archives.with(owner, |store| {
        let row = store.find_public(id)?.filter(|row| row.deleted_at.is_none());
        row.map(drop).ok_or_else(Refusal::not_found)
    })?;
    let expires_at = expiry(body)?.map(|seconds| now() + seconds as i64 * 1000);
    let git_remote =
        text(body, "git_remote")?.map(|url| within(url, MAX_MESSAGE, &["body", "git_remote"])).transpose()?;
    let new = NewShare { owner, session: id.clone(), audience, git_remote, expires_at, handoff };
    let made = call.api.accounts.share(&new)?;
    made.ok_or_else(|| Refusal::new(409, "Too many shares: end some first").code("too_many_shares"))
}

fn recipient(call: &Call<'_>, body: &Body, field: &str) -> Result<String, Refusal> {
    let given = text(body, field)?.ok_or_else(|| Refusal::missing(&["body", field]))?;
    let invalid = |message: &str| Refusal::invalid("value_error", &["body", field], message, &given.into());
    let email = normal_email(given).ok_or_else(|| invalid("Value error, it is not an email address"))?;
    if email == call.caller.account.email {
        return Err(invalid("Value error, it is your own address"));
    }
    Ok(email)
}

fn flag(body: &Body, name: &str) -> Result<bool, Refusal> {
    match body.get(name).unwrap_or(&Value::Null) {
        Value::Null => Ok(false),
        Value::Bool(is_set) => Ok(*is_set),
        other => Err(Refusal::invalid("bool_type", &["body", name], "Input should be a valid boolean", other)),
    }
}

fn expiry(body: &Body) -> Result<Option<u64>, Refusal> {
    let given = body.get("expires_in").filter(|given| !given.is_null());
    let message = format!("Input should be a number of seconds from 1 to {MAX_EXPIRY}");
    let seconds = |given: &Value| {
        let seconds = given.as_u64().filter(|seconds| (1..=MAX_EXPIRY).contains(seconds));
        seconds.ok_or_else(|| Refusal::invalid("value_error", &["body", "expires_in"], &message, given))
    };
    given.map(seconds).transpose()
}

pub(super) fn revoke(call: &Call<'_>, id: &str) -> Answer {
    let share = call.api.accounts.revoke_share(call.caller.account.id, id)?;
    let share = share.ok_or_else(|| Refusal::new(404, "Share not found"))?;
    call.note(Event::Unshared, Some(&share.session), described(&share));
    Ok(Response::empty(204))
}
