//! Looking after a server with a browser.

use super::{Site, sign_in};
use crate::server::Ask;
use crate::support::home::TestHome;
use serde_json::{Value, json};

#[test]
fn accounts_are_disabled_and_enabled_but_not_ones_own() {
    let site = Site::of(&TestHome::new());
    let bob = site.server.sign_up("bob@example.com");
    let cookie = sign_in(&site.server, &bob);
    let users = site.json("/api/v1/admin/users");
    let id = |n: usize| format!("/api/v1/admin/users/{}", users["users"][n]["user_id"].as_str().unwrap());
    let change = |path: &str, body: Value| site.send("PATCH", path, &body);
    let disabled = change(&id(1), json!({"disabled": true})).json();
    assert!(disabled["disabled_at"].is_string(), "{disabled}");
    let asks = || site.server.ask(Ask::new("GET", "/api/web/me", "").header("cookie", cookie.clone())).status;
    assert_eq!((asks(), site.server.get("/api/v1/auth/me", &bob).status), (403, 403));
    assert!(change(&id(1), json!({"disabled": false, "is_admin": true})).json()["is_admin"] == true);
    assert_eq!(asks(), 200);
    for body in [json!({"disabled": true}), json!({"is_admin": false})] {
        assert_eq!(change(&id(0), body).refusal(), "409 own_account Nobody can lock himself out");
    }
    assert_eq!(change("/api/v1/admin/users/nobody", json!({})).status, 404);
    assert_eq!(change(&id(1), json!({"disabled": "yes"})).status, 422);
    change(&id(1), json!({"is_admin": false}));
    let alice = id(0);
    let by_bob = Ask::new("PATCH", &alice, &bob).json(&json!({"disabled": true}));
    assert_eq!(site.server.ask(by_bob).refusal(), "403 403 Only for administrators");
}

#[test]
fn invitations_are_listed_and_taken_back() {
    let site = Site::of(&TestHome::new());
    let made = site.send("POST", "/api/v1/admin/invites", &json!({"email": "bob@example.com", "days": 3})).json();
    let list = site.json("/api/v1/admin/invites");
    let invite = &list["invites"][0];
    assert_eq!((&invite["email"], &invite["used_by"]), (&json!("bob@example.com"), &Value::Null));
    assert!(!list.to_string().contains(made["invite"].as_str().unwrap()), "the code is told once");
    let path = format!("/api/v1/admin/invites/{}", invite["invite_id"].as_str().unwrap());
    assert_eq!(site.send("DELETE", &path, &Value::Null).status, 204);
    assert_eq!(site.send("DELETE", &path, &Value::Null).status, 404);
    assert_eq!(site.json("/api/v1/admin/invites")["invites"], json!([]));
    let bob = site.server.sign_up("bob@example.com");
    assert_eq!(site.server.get("/api/v1/admin/invites", &bob).status, 403);
}
