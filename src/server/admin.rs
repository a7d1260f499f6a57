//! `/api/v1/admin`: for the accounts that look after the server.

use super::accounts::Account;
use super::api::Call;
use super::audit::Query as Events;
use super::exchange::Response;
use super::query::{Query, object, text};
use super::reply::{Answer, Refusal, json, time};
use crate::error::Kind;
use serde_json::{Value, json};

fn only_for_admins(call: &Call<'_>) -> Result<(), Refusal> {
    if call.caller.account.is_admin { Ok(()) } else { Err(Refusal::new(403, "Only for administrators")) }
}

pub(super) fn audit(call: &Call<'_>) -> Answer {
    only_for_admins(call)?;
    let query = Query::of(call.request)?;
    let events = call.api.accounts.events(&Events {
        event: query.get("event").map(str::to_owned),
        account: query.get("account").map(str::to_owned),
        before: Some(query.number("before", i64::MAX as u64, 1, i64::MAX as u64)? as i64),
        limit: query.number("limit", 100, 1, 1000)? as u32,
    })?;
    Ok(json(200, &json!({"events": events})))
}

pub(super) fn users(call: &Call<'_>) -> Answer {
    only_for_admins(call)?;
    let accounts = call.api.accounts.list()?.into_iter().map(|(account, keys)| user(call, &account, keys));
    Ok(json(200, &json!({"users": accounts.collect::<Vec<_>>()})))
}

pub(super) fn invite(call: &mut Call<'_>) -> Answer {
    only_for_admins(call)?;
    let body = object(call.request)?;
    let days = match body.get("days").unwrap_or(&Value::Null) {
        Value::Null => 7,
        days => days.as_u64().filter(|days| (1..=365).contains(days)).ok_or_else(|| {
            Refusal::invalid("value_error", &["body", "days"], "Input should be a number from 1 to 365", days)
        })?,
    };
    let code = call.api.accounts.invite(text(&body, "email")?, days as u32).map_err(|error| match error.kind() {
        Kind::Usage => Refusal::invalid("value_error", &["body", "email"], &error.message(), &body["email"]),
        _ => error.into(),
    })?;
    Ok(json(201, &json!({"invite": code, "email": body.get("email"), "days": days})))
}

/// Whether an account is refused, and whether it looks after the server.
pub(super) fn change_user(call: &mut Call<'_>, id: &str) -> Answer {
    only_for_admins(call)?;
    let body = object(call.request)?;
    let word = |name: &str| match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(word)) => Ok(Some(*word)),
        Some(other) => Err(Refusal::invalid("bool_type", &["body", name], "Input should be a valid boolean", other)),
    };
    let (is_admin, is_disabled) = (word("is_admin")?, word("disabled")?);
    let accounts = &call.api.accounts;
    let known = accounts.list()?.into_iter().find(|(account, _)| account.id.to_string() == id);
    let (account, keys) = known.ok_or_else(|| Refusal::new(404, "User not found"))?;
    if account.id == call.caller.account.id && (is_admin == Some(false) || is_disabled == Some(true)) {
        return Err(Refusal::new(409, "Nobody can lock himself out").code("own_account"));
    }
    let account = accounts.change(&account.email, is_admin, is_disabled)?;
    Ok(json(200, &user(call, &account, keys)))
}

fn user(call: &Call<'_>, account: &Account, keys: u64) -> Value {
    // One archive that can't be read does not hide the accounts.
    let bytes = call.api.archives.size(account.id).ok();
    json!({"user_id": account.id.to_string(), "email": account.email, "is_admin": account.is_admin, "keys": keys,
        "created_at": time(account.created_at), "disabled_at": account.disabled_at.map(time),
        "storage_bytes": bytes, "quota": call.api.policy.quota})
}

pub(super) fn invites(call: &Call<'_>) -> Answer {
    only_for_admins(call)?;
    let invites = call.api.accounts.invites()?.into_iter().map(|invite| {
        json!({"invite_id": invite.id, "email": invite.email, "created_at": time(invite.created_at),
            "expires_at": time(invite.expires_at), "used_by": invite.used_by})
    });
    Ok(json(200, &json!({"invites": invites.collect::<Vec<_>>()})))
}

pub(super) fn revoke_invite(call: &Call<'_>, id: &str) -> Answer {
    only_for_admins(call)?;
    if call.api.accounts.revoke_invite(id)? {
        return Ok(Response::empty(204));
    }
    Err(Refusal::new(404, "Invitation not found"))
}
