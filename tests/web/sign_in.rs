//! Who is signed in with a browser, for how long, and which requests count as his.

use super::{Site, sign_in};
use crate::server::{Ask, Server, id, packed, session};
use crate::support::home::TestHome;
use rusqlite::Connection;
use serde_json::{Value, json};

fn database(server: &Server) -> Connection {
    Connection::open(server.folder.path().join("data/server.db")).unwrap()
}

fn me(server: &Server, cookie: &str) -> u16 {
    server.ask(Ask::new("GET", "/api/web/me", "").header("cookie", cookie)).status
}

#[test]
fn a_key_signs_a_browser_in_and_the_cookie_is_out_of_reach() {
    let site = Site::of(&TestHome::new());
    let ask = |secure_key: &str| {
        let ask = Ask::new("POST", "/api/web/sign-in", "").header("x-sessionfs", "dashboard");
        site.server.ask(ask.json(&json!({"key": secure_key})))
    };
    let reply = ask(&site.key);
    let cookie = reply.header("set-cookie").unwrap();
    let (value, flags) = cookie.split_once(';').unwrap();
    assert_eq!(flags, " Path=/; HttpOnly; SameSite=Strict; Max-Age=2592000; Secure");
    assert_eq!(me(&site.server, value), 200);
    let me = site.json("/api/web/me");
    assert_eq!(
        (&me["email"], &me["is_local"], &me["is_admin"]),
        (&json!("alice@example.com"), &json!(false), &json!(true))
    );
    assert_eq!(me["features"], json!(["shares", "inbox", "keys", "admin"]));
    assert_eq!(ask("sk_sfs_00000000000000000000000000000000").refusal(), "401 401 This key or link is not valid");
    assert_eq!(ask("").status, 401);
    let token = value.split_once('=').unwrap().1;
    for file in std::fs::read_dir(site.server.folder.path().join("data")).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap_or_default();
        assert!(memchr::memmem::find(&bytes, token.as_bytes()).is_none(), "the cookie's token is stored");
    }
}

#[test]
fn a_link_signs_in_once_and_not_for_long() {
    let site = Site::of(&TestHome::new());
    let link = || {
        let reply = site.server.ask(Ask::new("POST", "/api/web/sign-in-links", &site.key).json(&json!({})));
        assert_eq!(reply.status, 201);
        reply.json()["path"].as_str().unwrap().strip_prefix("/sign-in#").unwrap().to_owned()
    };
    let open = |token: &str| {
        let ask = Ask::new("POST", "/api/web/sign-in", "").header("x-sessionfs", "dashboard");
        site.server.ask(ask.json(&json!({"token": token})))
    };
    let token = link();
    let reply = open(&token);
    assert_eq!(me(&site.server, reply.header("set-cookie").unwrap().split(';').next().unwrap()), 200);
    assert_eq!(open(&token).status, 401, "a second time");
    let late = link();
    database(&site.server).execute("UPDATE sign_in_link SET expires_at = 1", []).unwrap();
    assert_eq!(open(&late).status, 401);
    let with_cookie = site.send("POST", "/api/web/sign-in-links", &json!({}));
    assert_eq!(with_cookie.status, 401, "a link is made with a key");
    let of_a_revoked_key = link();
    let keys = site.server.get("/api/v1/auth/keys", &site.key).json();
    let path = format!("/api/v1/auth/keys/{}", keys[0]["key_id"].as_str().unwrap());
    site.server.ask(Ask::new("DELETE", &path, &site.key));
    assert_eq!(open(&of_a_revoked_key).status, 401);
}

#[test]
fn signing_out_a_revoked_key_and_a_disabled_account_end_it() {
    let site = Site::of(&TestHome::new());
    let other = sign_in(&site.server, &site.key);
    let out = site.send("POST", "/api/web/sign-out", &Value::Null);
    assert_eq!(out.status, 204);
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!((me(&site.server, &site.cookie), me(&site.server, &other)), (401, 200));
    site.server.api.accounts().change("alice@example.com", None, Some(true)).unwrap();
    assert_eq!(me(&site.server, &other), 403);
    site.server.api.accounts().change("alice@example.com", None, Some(false)).unwrap();
    assert_eq!(me(&site.server, &other), 200);
    let keys = site.server.get("/api/v1/auth/keys", &site.key).json();
    let path = format!("/api/v1/auth/keys/{}", keys[0]["key_id"].as_str().unwrap());
    let second = site.server.ask(Ask::new("POST", "/api/v1/auth/keys", &site.key).json(&json!({"name": "b"}))).json();
    let kept = sign_in(&site.server, second["raw_key"].as_str().unwrap());
    site.server.ask(Ask::new("DELETE", &path, &site.key));
    assert_eq!((me(&site.server, &other), me(&site.server, &kept)), (401, 200));
    assert_eq!(site.server.api.accounts().forget_sign_ins().unwrap(), 1, "the one of the revoked key");
    database(&site.server).execute("UPDATE web_session SET expires_at = 1", []).unwrap();
    assert_eq!(me(&site.server, &kept), 401, "30 days later");
}

#[test]
fn another_site_can_not_make_a_browser_do_anything() {
    let home = TestHome::with(&["claude/chat"]);
    let site = Site::of(&home);
    let path = format!("/api/web/sessions/{}", site.ids()[0]);
    let send = |method, headers: &[(&'static str, &str)]| {
        let mut ask = Ask::new(method, &path, "").header("cookie", site.cookie.clone()).json(&json!({"title": "mine"}));
        ask = ask.header("host", "sessions.example.org");
        for (name, value) in headers {
            ask = ask.header(name, *value);
        }
        site.server.ask(ask).status
    };
    let own = ("x-sessionfs", "dashboard");
    assert_eq!(send("PATCH", &[]), 403, "a form can't send the header");
    assert_eq!(send("PATCH", &[("x-sessionfs", "else")]), 403);
    for origin in ["https://evil.example.org", "null", "https://sessions.example.org.evil.org", "sessions.example.org"]
    {
        assert_eq!(send("PATCH", &[own, ("origin", origin)]), 403, "{origin}");
        assert_eq!(send("GET", &[("origin", origin)]), 403, "{origin}");
    }
    assert_eq!(send("PATCH", &[own, ("sec-fetch-site", "cross-site")]), 403);
    assert_eq!(send("PATCH", &[own, ("sec-fetch-site", "same-site")]), 403);
    assert_eq!(send("GET", &[]), 200);
    assert_eq!(
        send("PATCH", &[own, ("origin", "https://sessions.example.org"), ("sec-fetch-site", "same-origin")]),
        200
    );
    let sign_in = Ask::new("POST", "/api/web/sign-in", "").json(&json!({"key": site.key}));
    assert_eq!(site.server.ask(sign_in).status, 403, "nor sign it in as somebody else");
    let with_key = Ask::new("PATCH", &path, &site.key).json(&json!({"title": "by a program"}));
    assert_eq!(site.server.ask(with_key).json()["title"], "by a program", "a key needs none of that");
}

#[test]
fn a_cookie_is_for_the_dashboard_and_not_for_archives() {
    let site = Site::of(&TestHome::new());
    let with_cookie = |method, path: &str| site.send(method, path, &json!({})).status;
    for path in ["/api/v1/auth/me", "/api/v1/auth/keys", "/api/v1/admin/users", "/api/v1/admin/audit", "/api/v1/inbox"]
    {
        assert_eq!(with_cookie("GET", path), 200, "{path}");
    }
    let put = format!("/api/v1/sessions/{}/sync", id(1));
    assert_eq!(with_cookie("PUT", &put), 401);
    assert_eq!(with_cookie("POST", "/api/v1/sessions"), 401);
    assert_eq!(with_cookie("GET", "/api/v1/delta/changes"), 401);
    assert_eq!(with_cookie("POST", "/api/v1/sessions/admin/reindex"), 401);
    assert_eq!(site.server.put(&site.key, &id(1), &packed(&session(&id(1), 1)), None).status, 201);
}

#[test]
fn nobody_tries_keys_for_long() {
    let server = Server::new();
    let key = server.sign_up("alice@example.com");
    let attempt = |client: &str| {
        let mut ask =
            Ask::new("POST", "/api/web/sign-in", "").header("x-sessionfs", "dashboard").json(&json!({"key": key}));
        ask.client = client.parse().unwrap();
        server.ask(ask)
    };
    for _ in 0..10 {
        assert_eq!(attempt("192.0.2.1").status, 204);
    }
    let refused = attempt("192.0.2.1");
    assert_eq!(refused.status, 429);
    assert!(refused.header("retry-after").is_some());
    assert_eq!(attempt("192.0.2.2").status, 204, "another address has its own share");
}
