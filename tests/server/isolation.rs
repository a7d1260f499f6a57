//! Every route, and everybody who may not use it: no key, a wrong, revoked or disabled one, another account's session, and
//! what is no id at all.

use super::{Ask, Reply, Server, id, packed, session};
use serde_json::json;
use sessionfs::server::accounts::Signup;
use sessionfs::server::api::Policy;

/// Every route that wants a key; `{id}` stands for a session, `{key}` for a key's id.
const ROUTES: [(&str, &str); 21] = [
    ("GET", "/api/v1/auth/me"),
    ("GET", "/api/v1/auth/keys"),
    ("POST", "/api/v1/auth/keys"),
    ("DELETE", "/api/v1/auth/keys/{key}"),
    ("GET", "/api/v1/sessions"),
    ("POST", "/api/v1/sessions"),
    ("GET", "/api/v1/sessions/{id}"),
    ("PATCH", "/api/v1/sessions/{id}"),
    ("DELETE", "/api/v1/sessions/{id}"),
    ("GET", "/api/v1/sessions/{id}/sync"),
    ("PUT", "/api/v1/sessions/{id}/sync"),
    ("GET", "/api/v1/sessions/{id}/download"),
    ("GET", "/api/v1/sessions/{id}/messages"),
    ("GET", "/api/v1/sessions/{id}/workspace"),
    ("GET", "/api/v1/sessions/{id}/tools"),
    ("POST", "/api/v1/sessions/{id}/restore"),
    ("DELETE", "/api/v1/sessions/{id}?scope=cloud"),
    ("POST", "/api/v1/sessions/admin/reindex"),
    ("GET", "/api/v1/admin/audit"),
    ("GET", "/api/v1/admin/users"),
    ("POST", "/api/v1/admin/invites"),
];

const UNKNOWN: &str = "sk_sfs_00000000000000000000000000000000";

fn ask(server: &Server, (method, path): (&str, &str), id: &str, key: &str) -> Reply {
    let path = path.replace("{id}", id).replace("{key}", "75107f4d-12ae-4b01-8b06-90bebdba2cf5");
    let ask = Ask::new(method, &path, key);
    server.ask(match method {
        "PUT" => ask.archive(&packed(&session(id, 1))),
        "PATCH" => ask.json(&json!({"title": "mine"})),
        "POST" if path.ends_with("/keys") || path.ends_with("/invites") => ask.json(&json!({})),
        _ => ask,
    })
}

#[test]
fn nobody_without_a_valid_key_gets_anything() {
    let server = Server::new();
    let key = server.sign_up("alice@example.com");
    server.put(&key, &id(1), &packed(&session(&id(1), 1)), None);
    let keys = server.get("/api/v1/auth/keys", &key).json();
    let first = format!("/api/v1/auth/keys/{}", keys[0]["key_id"].as_str().unwrap());
    let second = server.ask(Ask::new("POST", "/api/v1/auth/keys", &key).json(&json!({"name": "b"})));
    let second = second.json()["raw_key"].as_str().unwrap().to_owned();
    assert_eq!(server.ask(Ask::new("DELETE", &first, &key)).status, 204);
    let invalid = "401 401 Invalid API key";
    for route in ROUTES {
        assert_eq!(
            ask(&server, route, &id(1), "").refusal(),
            "401 401 Missing or invalid Authorization header",
            "{route:?}"
        );
        for wrong in [UNKNOWN, &key, &second[..38], "sk_sfs_' OR 1=1 --"] {
            let reply = ask(&server, route, &id(1), wrong);
            assert_eq!(reply.refusal(), invalid, "{route:?} {wrong}");
            assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
        }
    }
    let basic = Ask::new("GET", "/api/v1/sessions", "").header("authorization", format!("Basic {second}"));
    assert_eq!(server.ask(basic).status, 401);
    server.api.accounts().change("alice@example.com", None, Some(true)).unwrap();
    for route in ROUTES {
        assert_eq!(ask(&server, route, &id(1), &second).refusal(), "403 403 Account is disabled", "{route:?}");
    }
    server.api.accounts().change("alice@example.com", None, Some(false)).unwrap();
    assert_eq!(server.detail(&second, &id(1))["message_count"], 2, "nothing of that did anything");
}

#[test]
fn another_accounts_session_is_as_one_that_does_not_exist() {
    let server = Server::new();
    let (alice, bob) = (server.sign_up("alice@example.com"), server.sign_up("bob@example.com"));
    server.put(&alice, &id(1), &packed(&session(&id(1), 2)), None);
    let before = server.detail(&alice, &id(1));
    let named = ROUTES.iter().filter(|(method, path)| path.contains("{id}") && *method != "PUT");
    for route in named {
        let (foreign, missing) = (ask(&server, *route, &id(1), &bob), ask(&server, *route, &id(7), &bob));
        assert_eq!(foreign.refusal(), "404 404 Session not found", "{route:?}");
        assert_eq!((foreign.headers, foreign.body), (missing.headers, missing.body), "{route:?}");
    }
    // The original answered 500: its ids were unique over all accounts, which told that somebody had this one.
    assert_eq!(ask(&server, ("PUT", "/api/v1/sessions/{id}/sync"), &id(1), &bob).status, 201);
    assert_eq!(server.detail(&bob, &id(1))["message_count"], 2);
    ask(&server, ("DELETE", "/api/v1/sessions/{id}"), &id(1), &bob);
    assert_eq!(server.detail(&alice, &id(1)), before);
    assert_eq!(server.get("/api/v1/sessions", &bob).json()["total"], 0);
    let keys = server.get("/api/v1/auth/keys", &alice).json();
    let path = format!("/api/v1/auth/keys/{}", keys[0]["key_id"].as_str().unwrap());
    assert_eq!(server.ask(Ask::new("DELETE", &path, &bob)).refusal(), "404 404 API key not found");
    assert_eq!(server.get("/api/v1/auth/me", &alice).json()["email"], "alice@example.com");
}

#[test]
fn what_is_no_id_is_refused_on_every_route() {
    let server = Server::new();
    let key = server.sign_up("alice@example.com");
    let long = format!("ses_{}", "a".repeat(41));
    let bad = [
        "",
        "bad",
        "ses_",
        "ses_short",
        &long,
        "..",
        "%2e%2e",
        "ses_aaaaaaaa%00",
        "ses_aaaa-aaaa",
        "ses_aaaaaaaa'--",
        "SES_aaaaaaaa",
        "ses_aaaaaaaa%2f..",
        "ses_ääääääää",
        "ses_aaaaaaaa ",
    ];
    for route in ROUTES.iter().filter(|(_, path)| path.contains("{id}")) {
        for id in bad {
            assert_eq!(
                ask(&server, *route, id, &key).refusal(),
                "400 400 Invalid session ID format",
                "{route:?} {id:?}"
            );
        }
        assert_eq!(ask(&server, *route, "ses_aaaaaaaa/../ses_bbbbbbbb", &key).status, 404);
    }
    for long_enough in ["ses_aaaaaaaa", &format!("ses_{}", "Z9".repeat(20))] {
        assert_eq!(ask(&server, ("PUT", "/api/v1/sessions/{id}/sync"), long_enough, &key).status, 201);
    }
}

#[test]
fn every_path_has_its_methods_and_no_others() {
    let server = Server::new();
    let key = server.sign_up("alice@example.com");
    let open = [("GET", "/health"), ("POST", "/api/v1/auth/signup")];
    let routes: Vec<(&str, &str)> = ROUTES.iter().copied().chain(open).collect();
    for (_, path) in &routes {
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get"] {
            let known = routes.iter().any(|route| route == &(method, *path)) || path.contains('?');
            if !known {
                let reply = ask(&server, (method, path), &id(1), &key);
                assert_eq!(reply.refusal(), "405 405 Method Not Allowed", "{method} {path}");
                assert!(reply.header("allow").is_some());
            }
        }
    }
    for path in [
        "/",
        "/nope",
        "/api/v1",
        "/api/v1/",
        "/api/v2/sessions",
        "/health/",
        "//health",
        "/api/v1/sessions/a/b/c",
        "/api/v1/auth",
        "/api/v1/../v1/sessions",
    ] {
        assert_eq!(server.get(path, &key).refusal(), "404 404 Not Found", "{path}");
    }
}

#[test]
fn who_may_sign_up_is_the_operators_choice() {
    let sign_up =
        |server: &Server, body: serde_json::Value| server.ask(Ask::new("POST", "/api/v1/auth/signup", "").json(&body));
    let open = Server::new();
    open.sign_up("Alice@Example.com");
    let taken = sign_up(&open, json!({"email": " alice@example.COM"}));
    assert_eq!(taken.refusal(), "409 409 Email already registered");
    for (body, kind) in [
        (json!({}), "missing"),
        (json!({"email": 5}), "string_type"),
        (json!({"email": "not-an-email"}), "value_error"),
        (json!({"email": "a\0@b"}), "value_error"),
    ] {
        let reply = sign_up(&open, body);
        assert_eq!(reply.refusal(), "422 422 Validation error");
        assert_eq!(reply.json()["error"]["details"]["errors"][0]["type"], kind);
    }
    for n in 0..8 {
        sign_up(&open, json!({"email": format!("u{n}@example.com")}));
    }
    let often = sign_up(&open, json!({"email": "more@example.com"}));
    assert_eq!((often.status, often.header("retry-after")), (429, Some("3600")));
    for policy in [Signup::Closed, Signup::Invite] {
        let server = Server::with(Policy { signup: Signup::Open, ..super::policy() });
        server.sign_up("alice@example.com");
        let folder = server.folder;
        drop(server.api);
        let api = sessionfs::server::api::Api::open(
            &folder.path().join("data"),
            Policy { signup: policy, ..super::policy() },
        );
        let server = Server { folder, api: api.unwrap() };
        let (known, unknown) = (
            sign_up(&server, json!({"email": "alice@example.com"})),
            sign_up(&server, json!({"email": "x@example.com"})),
        );
        assert_eq!((known.status, &known.body), (403, &unknown.body), "{policy:?}");
        let code = server.api.accounts().invite(None, 1).unwrap();
        let status = sign_up(&server, json!({"email": "x@example.com", "invite": code})).status;
        assert_eq!(status, if policy == Signup::Invite { 201 } else { 403 });
    }
}

#[test]
fn what_is_stored_is_its_owners_only() {
    use std::os::unix::fs::PermissionsExt;
    let server = Server::new();
    let key = server.sign_up("alice@example.com");
    server.put(&key, &id(1), &packed(&session(&id(1), 1)), None);
    let data = server.folder.path().join("data");
    for entry in walkdir::WalkDir::new(&data) {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        let wanted = if entry.file_type().is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode, wanted, "{}", entry.path().display());
    }
    assert!(sessionfs::server::api::Api::open(&data, super::policy()).is_err(), "a second server on one folder");
}

#[test]
fn a_key_and_an_address_may_ask_so_often_and_are_told_when_again() {
    let server = Server::with(Policy { rate: 5, ..super::policy() });
    let (alice, bob) = (server.sign_up("alice@example.com"), server.sign_up("bob@example.com"));
    let list = |key: &str, address: u8| {
        let mut ask = Ask::new("GET", "/api/v1/sessions", key);
        ask.client = std::net::IpAddr::from([192, 0, 2, address]);
        server.ask(ask)
    };
    let assert_refused = |reply: super::Reply| {
        assert_eq!(reply.refusal(), "429 429 Rate limit exceeded");
        let seconds: u64 = reply.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&seconds), "{seconds}");
    };
    // A key, wherever it is used from.
    for address in 1..=5 {
        assert_eq!(list(&alice, address).status, 200);
    }
    assert_refused(list(&alice, 6));
    assert_eq!(list(&bob, 6).status, 200, "another key at the same address");
    // An address, whatever keys it tries; who has a good one there is not kept out.
    for number in 0..5 {
        assert_eq!(list(&format!("sk_sfs_{number:032}"), 9).status, 401);
    }
    assert_refused(list(&format!("sk_sfs_{:032}", 5), 9));
    assert_eq!(list(&bob, 9).status, 200);
    assert_eq!(list(&format!("sk_sfs_{:032}", 6), 10).status, 401, "another address");
}
