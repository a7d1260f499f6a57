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
fn users_are_listed_with_what_they_store() {
    let site = Site::of(&TestHome::with(&["claude/readedit"]));
    let bob = site.server.sign_up("bob@example.com");
    let users = site.json("/api/v1/admin/users")["users"].clone();
    assert_eq!(users[1]["storage_bytes"], 0, "nothing was stored yet: {users}");
    // The same numbers as each is told himself.
    let stored = |cookie: &str| {
        let me = site.server.ask(Ask::new("GET", "/api/web/me", "").header("cookie", cookie)).json();
        me["storage"]["bytes"].as_u64().unwrap()
    };
    let own = [stored(&site.cookie), stored(&sign_in(&site.server, &bob))];
    assert!(own[0] > own[1], "{own:?}");
    let users = site.json("/api/v1/admin/users")["users"].clone();
    assert_eq!(json!(own), json!([users[0]["storage_bytes"], users[1]["storage_bytes"]]));
    assert_eq!(users[0]["quota"], Value::Null);
}

#[test]
fn a_key_is_renamed_and_goes_on_being_the_same() {
    let site = Site::of(&TestHome::new());
    let keys = site.json("/api/v1/auth/keys");
    let path = format!("/api/v1/auth/keys/{}", keys[0]["key_id"].as_str().unwrap());
    let renamed = site.send("PATCH", &path, &json!({"name": "  laptop <b> "})).json();
    assert_eq!((&renamed["name"], &renamed["key_id"]), (&json!("laptop <b>"), &keys[0]["key_id"]));
    assert_eq!(site.json("/api/v1/auth/keys")[0]["name"], "laptop <b>");
    assert_eq!(site.server.get("/api/v1/auth/me", &site.key).status, 200, "the key itself is the same");
    for wrong in
        [json!({}), json!({"name": " "}), json!({"name": 1}), json!({"name": "a\nb"}), json!({"name": "x".repeat(101)})]
    {
        assert_eq!(site.send("PATCH", &path, &wrong).status, 422, "{wrong}");
    }
    assert_eq!(site.send("PATCH", "/api/v1/auth/keys/nobodys", &json!({"name": "a"})).status, 404);
    assert_eq!(site.send("DELETE", &path, &Value::Null).status, 204);
    assert_eq!(site.server.get("/api/v1/auth/me", &site.key).status, 401);
    let events =
        site.server.api.accounts().events(&sessionfs::server::audit::Query { limit: 10, ..Default::default() });
    assert!(events.unwrap().iter().any(|event| event.event == "key_renamed"));
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
