//! Every route, and everybody who may not use it: no key, a wrong, revoked or disabled one, another account's session, and
//! what is no id at all.

use super::sharing::{delete, expire, granted, share};
use super::{Ask, Reply, Server, id, packed, session};
use serde_json::{Value, json};
use sessionfs::id::Hash;
use sessionfs::server::accounts::Signup;
use sessionfs::server::api::Policy;
use sessionfs::sync::wire::{Part, Push, SessionState, StreamPlace, StreamState, pack};

/// Every route that wants a key; `{id}` stands for a session, `{key}` for a key's id.
const ROUTES: [(&str, &str); 61] = [
    ("GET", "/api/v1/auth/me"),
    ("GET", "/api/v1/auth/keys"),
    ("POST", "/api/v1/auth/keys"),
    ("PATCH", "/api/v1/auth/keys/{key}"),
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
    ("GET", "/api/v1/sessions/{id}/shares"),
    ("POST", "/api/v1/sessions/{id}/shares"),
    ("POST", "/api/v1/sessions/{id}/handoffs"),
    ("GET", "/api/v1/shares"),
    ("DELETE", "/api/v1/shares/{key}"),
    ("GET", "/api/v1/inbox"),
    ("POST", "/api/v1/inbox/claim"),
    ("DELETE", "/api/v1/inbox/{key}"),
    ("POST", "/api/v1/inbox/{key}/accept"),
    ("GET", "/api/v1/delta/changes"),
    ("GET", "/api/v1/delta/sessions/{id}"),
    ("POST", "/api/v1/delta/has-chunks"),
    ("POST", "/api/v1/delta/chunks"),
    ("POST", "/api/v1/delta/pull"),
    ("POST", "/api/v1/delta/push"),
    ("PATCH", "/api/v1/admin/users/{key}"),
    ("GET", "/api/v1/admin/invites"),
    ("DELETE", "/api/v1/admin/invites/{key}"),
    ("POST", "/api/web/sign-in-links"),
    ("GET", "/api/web/me"),
    ("GET", "/api/web/facets"),
    ("GET", "/api/web/stats"),
    ("GET", "/api/web/changes"),
    ("POST", "/api/web/export"),
    ("POST", "/api/web/sessions/bulk"),
    ("GET", "/api/web/sessions"),
    ("GET", "/api/web/sessions?q=message"),
    ("GET", "/api/web/sessions/{id}"),
    ("PATCH", "/api/web/sessions/{id}"),
    ("DELETE", "/api/web/sessions/{id}"),
    ("GET", "/api/web/sessions/{id}/messages"),
    ("GET", "/api/web/sessions/{id}/messages/0"),
    ("GET", "/api/web/sessions/{id}/outline"),
    ("GET", "/api/web/sessions/{id}/find?q=message"),
    ("POST", "/api/web/sessions/{id}/restore"),
    ("GET", "/api/web/sessions/{id}/download?format=html"),
    ("POST", "/api/web/sessions/{id}/checkpoints"),
    ("DELETE", "/api/web/sessions/{id}/checkpoints/a"),
    ("DELETE", "/api/web/sessions/{id}/checkpoints/%2F"),
];

const UNKNOWN: &str = "sk_sfs_00000000000000000000000000000000";

fn ask(server: &Server, route: (&str, &str), id: &str, key: &str) -> Reply {
    ask_through(server, route, id, key, None)
}

/// The same, naming a share.
fn ask_through(server: &Server, (method, path): (&str, &str), id: &str, key: &str, share: Option<&str>) -> Reply {
    let path = path.replace("{id}", id).replace("{key}", "75107f4d-12ae-4b01-8b06-90bebdba2cf5");
    let ask = Ask::new(method, &path, key);
    let ask = match share {
        Some(share) => ask.header("x-sessionfs-share", share),
        None => ask,
    };
    server.ask(match method {
        "PUT" => ask.archive(&packed(&session(id, 1))),
        "PATCH" => ask.json(&json!({"title": "mine"})),
        "POST" if path.ends_with("/keys") || path.ends_with("/invites") => ask.json(&json!({})),
        "POST" if path.ends_with("/checkpoints") => ask.json(&json!({"name": "a"})),
        "POST" if path.ends_with("/shares") => ask.json(&json!({"with": "carol@example.com"})),
        "POST" if path.ends_with("/handoffs") => ask.json(&json!({"to": "carol@example.com"})),
        "POST" if path.ends_with("/delta/has-chunks") => ask.json(&json!([Hash::of(b"x")])),
        "POST" if path.ends_with("/delta/chunks") => ask.json(&serde_json::to_value(place(id)).unwrap()),
        "POST" if path.ends_with("/delta/pull") => ask.json(&json!([whole(id)])),
        "POST" if path.ends_with("/delta/push") => Ask { body: pack(&addition(id), b"new").unwrap(), ..ask },
        _ => ask,
    })
}

/// The messages of the session `id`, as the published client's archive has them.
fn place(id: &str) -> StreamPlace {
    StreamPlace {
        tool: "claude-code".into(),
        native_id: format!("native-{id}"),
        name: "sfs/messages.jsonl".into(),
        origin: "nobodys".into(),
        generation: 0,
    }
}

fn whole(id: &str) -> Value {
    json!({"stream": place(id), "from": 0, "length": 100})
}

/// Three bytes for the session `id`.
fn addition(id: &str) -> Push {
    let StreamPlace { tool, native_id, origin, generation, .. } = place(id);
    let hash = sessionfs::store::StreamHasher::default().hash();
    let (name, format) = ("notes".into(), "file".into());
    let stream = StreamState { name, origin, generation, format, native_path: None, length: 0, hash };
    let session = SessionState {
        id: id.into(),
        tool,
        native_id,
        parent: None,
        registers: vec![],
        streams: vec![stream],
        etag: None,
    };
    Push { sessions: vec![session], parts: vec![vec![Part::Bytes(3)]] }
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
    let renamed = server.ask(Ask::new("PATCH", &path, &bob).json(&json!({"name": "mine"})));
    assert_eq!(renamed.refusal(), "404 404 API key not found");
    assert_eq!(server.get("/api/v1/auth/keys", &alice).json(), keys);
    assert_eq!(server.get("/api/v1/auth/me", &alice).json()["email"], "alice@example.com");
}

/// What a share of alice's may let bob do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Right {
    Nothing,
    Read,
    Write,
}

/// Every route that names a session, or bytes of one, with every kind of share.
#[test]
fn a_share_opens_one_session_on_the_routes_of_the_exchange_and_nothing_else() {
    let server = Server::new();
    let keys = ["alice", "bob", "carol"].map(|name| server.sign_up(&format!("{name}@example.com")));
    let [alice, bob, carol] = &keys;
    (1..10).for_each(|n| drop(server.put(alice, &id(n), &packed(&session(&id(n), 1)), None)));
    let to_bob =
        |n: u32, write: bool| granted(&server, alice, &id(n), &json!({"with": "bob@example.com", "write": write}), bob);
    let revoked = to_bob(3, true);
    assert_eq!(delete(&server, &format!("/api/v1/shares/{revoked}"), alice).status, 204);
    let dismissed = to_bob(4, true);
    assert_eq!(delete(&server, &format!("/api/v1/inbox/{dismissed}"), bob).status, 204);
    let expired = to_bob(5, true);
    expire(&server, "alice@example.com", &id(5), "bob@example.com");
    let unaccepted = share(&server, alice, &id(6), &json!({"with": "bob@example.com", "write": true}));
    let unclaimed = share(&server, alice, &id(7), &json!({"with": "dave@example.com", "write": true}));
    let carols = granted(&server, alice, &id(8), &json!({"with": "carol@example.com", "write": true}), carol);
    let link = share(&server, alice, &id(9), &json!({"link": true}));
    let text = |made: &Value| made["share_id"].as_str().unwrap().to_owned();
    let kinds = [
        (1, to_bob(1, false), Right::Read),
        (2, to_bob(2, true), Right::Write),
        (3, revoked, Right::Nothing),
        (4, dismissed, Right::Nothing),
        (5, expired, Right::Nothing),
        (6, text(&unaccepted), Right::Nothing),
        (7, text(&unclaimed), Right::Nothing),
        (8, carols, Right::Nothing),
        (9, text(&link), Right::Nothing),
        (1, "' OR 1=1 --".to_owned(), Right::Nothing),
        (1, String::new(), Right::Nothing),
    ];
    let before = server.get("/api/v1/sessions", alice).json();
    let about_one = ROUTES.iter().filter(|(method, path)| {
        let is_exchange = path.contains("/delta/") && !path.ends_with("has-chunks");
        (path.contains("{id}") || is_exchange) && *method != "PUT"
    });
    let check = |is_disabled: bool| {
        for (n, share, right) in &kinds {
            for route in about_one.clone() {
                let right = if is_disabled { Right::Nothing } else { *right };
                let reply = ask_through(&server, *route, &id(*n), bob, Some(share));
                let what = format!("{route:?} of {n} through {share:?}, {right:?}");
                match (route.1, right) {
                    ("/api/v1/delta/sessions/{id}", Right::Read | Right::Write) => {
                        assert_eq!(reply.status, 200, "{what}");
                    }
                    ("/api/v1/delta/push", Right::Read) => assert_eq!(reply.status, 403, "{what}"),
                    ("/api/v1/delta/push", Right::Write) => assert_eq!(reply.status, 200, "{what}"),
                    ("/api/v1/delta/chunks" | "/api/v1/delta/pull", Right::Read | Right::Write) => {
                        assert_eq!(reply.refusal(), "404 404 there is no such stream", "{what}: asked for nobody's");
                    }
                    _ => assert_eq!(reply.refusal(), "404 404 Session not found", "{what}"),
                }
                // Another session of the same owner.
                if route.1.contains("{id}") || !matches!((route.1, right), ("/api/v1/delta/push", Right::Read)) {
                    let other = ask_through(&server, *route, &id(if *n == 1 { 2 } else { 1 }), bob, Some(share));
                    assert_eq!(other.refusal(), "404 404 Session not found", "{what}, another session");
                }
            }
        }
    };
    check(false);
    server.api.accounts().change("alice@example.com", None, Some(true)).unwrap();
    check(true);
    server.api.accounts().change("alice@example.com", None, Some(false)).unwrap();
    let after = server.get("/api/v1/sessions", alice).json();
    let title = |list: &Value, n: u32| {
        let found = list["sessions"].as_array().unwrap().iter().find(|one| one["id"] == id(n)).cloned();
        found.unwrap()
    };
    for n in (1..10).filter(|n| *n != 2) {
        assert_eq!(title(&before, n), title(&after, n), "nothing of that did anything");
    }
    assert_eq!(server.get("/api/v1/sessions", bob).json()["total"], 0);
    server.assert_sound();
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
            let is_dashboard = route.1.starts_with("/api/web/");
            let refusal = if is_dashboard { "404 404 Session not found" } else { "400 400 Invalid session ID format" };
            assert_eq!(ask(&server, *route, id, &key).refusal(), refusal, "{route:?} {id:?}");
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
    let open = [("GET", "/health"), ("POST", "/api/v1/auth/signup"), ("GET", "/s/0123")];
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
