//! Signing in to a server with a browser, and who that is.

use super::{Archive, Visit, cookie};
use crate::server::accounts::{Caller, Denied};
use crate::server::api::Api;
use crate::server::audit::{Entry, Event};
use crate::server::exchange::{Request, Response};
use crate::server::query::{object, text};
use crate::server::reply::{Answer, Refusal, json, time};
use crate::server::sign_ins::SESSION_DAYS;
use crate::store::Filter;
use serde_json::json;

/// With a key, or with the token of a link.
pub(in crate::server) fn sign_in(api: &Api, request: &mut Request) -> Answer {
    cookie::check_sender(&request.opening())?;
    let body = object(request)?;
    let caller = match (text(&body, "key")?, text(&body, "token")?) {
        (Some(key), _) => api.accounts.authenticate(key.trim())?,
        (None, Some(token)) => api.accounts.use_link(token.trim())?,
        (None, None) => return Err(Refusal::missing(&["body", "key"])),
    };
    let caller = match caller {
        Ok(caller) => caller,
        Err(denied) => return Err(api.refuse_sign_in(request, denied)),
    };
    let token = api.accounts.sign_in(&caller.key)?;
    note(api, request, &caller, Event::SignedIn);
    let cookie = cookie::set(cookie::NAME, &token, SESSION_DAYS * 24 * 60 * 60, request.secure);
    Ok(Response::empty(204).with("Set-Cookie", cookie))
}

/// Made with a key alone: a browser that is signed in needs no link.
pub(in crate::server) fn sign_in_link(api: &Api, caller: &Caller) -> Answer {
    let (token, expires_at) = api.accounts.sign_in_link(&caller.key)?;
    Ok(json(201, &json!({"path": format!("/sign-in#{token}"), "expires_at": time(expires_at)})))
}

/// Also where the browser is signed in no more: afterwards it is not.
pub(in crate::server) fn sign_out(api: &Api, request: &Request) -> Answer {
    let opening = request.opening();
    cookie::check_sender(&opening)?;
    if let Some(token) = cookie::value(&opening, cookie::NAME) {
        if let Ok(caller) = api.accounts.signed_in(token)? {
            note(api, request, &caller, Event::SignedOut);
        }
        api.accounts.sign_out(token)?;
    }
    Ok(Response::empty(204).with("Set-Cookie", cookie::set(cookie::NAME, "", 0, request.secure)))
}

fn note(api: &Api, request: &Request, caller: &Caller, event: Event) {
    // He is signed in or out, whether that could be recorded or not.
    let _ = api.accounts.record(&Entry {
        account: Some(caller.account.id),
        address: Some(request.client),
        ..Entry::of(event)
    });
}

impl Api {
    fn refuse_sign_in(&self, request: &Request, denied: Denied) -> Refusal {
        self.note_refusal(request.client, Entry { detail: request.path.clone(), ..Entry::of(Event::AuthFailed) });
        match denied {
            Denied::Unknown => Refusal::new(401, "This key or link is not valid"),
            Denied::Disabled => Refusal::new(403, "Account is disabled"),
        }
    }
}

pub(super) fn me(visit: &Visit<'_>) -> Answer {
    let (bytes, sessions) =
        visit.with(|store| Ok((store.size()?, store.count(&Filter { min_messages: 1, ..Filter::default() })?)))?;
    let server = concat!("sessionfs ", env!("CARGO_PKG_VERSION"));
    Ok(json(
        200,
        &match &visit.archive {
            Archive::Account { api, caller } => {
                let admin = caller.account.is_admin.then_some("admin");
                let features: Vec<&str> = ["shares", "inbox", "keys"].into_iter().chain(admin).collect();
                json!({"email": caller.account.email, "is_local": false, "is_admin": caller.account.is_admin,
                    "storage": {"bytes": bytes, "quota": api.policy.quota}, "sessions": sessions, "server": server,
                    "features": features})
            }
            Archive::Local(_) => json!({"email": null, "is_local": true, "is_admin": false,
                "storage": {"bytes": bytes, "quota": null}, "sessions": sessions, "server": server, "features": []}),
        },
    ))
}
