//! `/api/v1/auth`: signing up, and the caller's own keys.

use super::accounts::{KeyRow, SignedUp, normal_email};
use super::api::{Api, Call};
use super::audit::Event;
use super::exchange::{Request, Response};
use super::query::{object, text, within};
use super::reply::{Answer, Refusal, json, time};
use serde_json::{Value, json};

pub(super) fn sign_up(api: &Api, request: &mut Request) -> Answer {
    let body = object(request)?;
    let email = text(&body, "email")?.ok_or_else(|| Refusal::missing(&["body", "email"]))?;
    let email = normal_email(email).ok_or_else(|| {
        let message = "Value error, it is not an email address";
        Refusal::invalid("value_error", &["body", "email"], message, &body["email"])
    })?;
    let invite = text(&body, "invite")?;
    match api.accounts.sign_up(api.policy.signup, &email, invite, request.client)? {
        SignedUp::Now(account, key) => Ok(json(
            201,
            &json!({"user_id": account.id.to_string(), "email": account.email, "raw_key": key.raw, "key_id": key.id,
                "message": "Save your API key — it won't be shown again."}),
        )),
        SignedUp::Taken => Err(Refusal::new(409, "Email already registered")),
        SignedUp::Refused => Err(Refusal::new(403, "Signing up needs an invitation that is valid for this address")),
        SignedUp::TooOften => {
            Err(Refusal::new(429, "Too many signups from this address").header("Retry-After", "3600"))
        }
    }
}

pub(super) fn me(call: &Call<'_>) -> Response {
    let account = &call.caller.account;
    json(
        200,
        &json!({"user_id": account.id.to_string(), "email": account.email, "display_name": null, "tier": "self-hosted",
            "email_verified": false, "is_admin": account.is_admin, "created_at": time(account.created_at)}),
    )
}

pub(super) fn list(call: &Call<'_>) -> Answer {
    let keys = call.api.accounts.keys(call.caller.account.id)?;
    Ok(json(200, &keys.iter().map(shown).collect::<Vec<_>>()))
}

pub(super) fn create(call: &mut Call<'_>) -> Answer {
    let body = object(call.request)?;
    let name = text(&body, "name")?.map(|name| within(name, 100, &["body", "name"])).transpose()?;
    let key = call.api.accounts.create_key(call.caller.account.id, name.as_deref())?;
    let key = key.ok_or_else(|| Refusal::new(409, "Too many API keys: revoke one first").code("too_many_keys"))?;
    call.note(Event::KeyCreated, None, &key.id);
    Ok(json(201, &json!({"key_id": key.id, "raw_key": key.raw, "name": key.name, "created_at": time(key.created_at)})))
}

pub(super) fn rename(call: &mut Call<'_>, key: &str) -> Answer {
    let body = object(call.request)?;
    let name = text(&body, "name")?.ok_or_else(|| Refusal::missing(&["body", "name"]))?.trim();
    let name = within(name, 100, &["body", "name"])?;
    if name.is_empty() || name.contains(char::is_control) {
        let message = "Name should be one line of 1 to 100 characters";
        return Err(Refusal::invalid("value_error", &["body", "name"], message, &name.into()));
    }
    let renamed = call.api.accounts.rename_key(call.caller.account.id, key, &name)?;
    let renamed = renamed.ok_or_else(unknown_key)?;
    call.note(Event::KeyRenamed, None, key);
    Ok(json(200, &shown(&renamed)))
}

fn shown(key: &KeyRow) -> Value {
    json!({"key_id": key.id, "name": key.name, "created_at": time(key.created_at),
        "last_used_at": key.last_used_at.map(time)})
}

fn unknown_key() -> Refusal {
    Refusal::new(404, "API key not found")
}

pub(super) fn revoke(call: &Call<'_>, key: &str) -> Answer {
    if !call.api.accounts.revoke_key(call.caller.account.id, key)? {
        return Err(unknown_key());
    }
    call.note(Event::KeyRevoked, None, key);
    Ok(Response::empty(204))
}
