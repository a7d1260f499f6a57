//! Shares, links, handoffs, the inbox, and what the operator's own service is told of them.

use super::{Ask, Reply, Server, id, packed, policy, session};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sessionfs::server::accounts::Accounts;
use sessionfs::server::api::Policy;
use sessionfs::server::audit::Query;
use sessionfs::server::exchange::Service;
use sessionfs::server::shares::{Audience, NewShare};
use sessionfs::server::webhook::Target;
use sessionfs::sync::wire::{Part, Push, SaidOf, SessionState, StreamPlace, StreamState, Want, pack, unpack};
use sha2::{Digest, Sha256};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

pub(super) fn post(server: &Server, path: &str, key: &str, body: &Value) -> Reply {
    server.ask(Ask::new("POST", path, key).json(body))
}

pub(super) fn delete(server: &Server, path: &str, key: &str) -> Reply {
    server.ask(Ask::new("DELETE", path, key))
}

/// Shares alice's session; the answer.
pub(super) fn share(server: &Server, key: &str, session: &str, body: &Value) -> Value {
    let reply = post(server, &format!("/api/v1/sessions/{session}/shares"), key, body);
    assert_eq!(reply.status, 201, "{reply:?}");
    reply.json()
}

/// The same, accepted by `grantee`; the share's id.
pub(super) fn granted(server: &Server, key: &str, session: &str, body: &Value, grantee: &str) -> String {
    let made = share(server, key, session, body);
    let id = made["share_id"].as_str().unwrap().to_owned();
    let reply = post(server, &format!("/api/v1/inbox/{id}/accept"), grantee, &json!({}));
    assert_eq!(reply.status, 200, "{reply:?}");
    id
}

/// Ends a share's time.
pub(super) fn expire(server: &Server, owner: &str, session: &str, email: &str) {
    let accounts = server.api.accounts();
    let owner = accounts.list().unwrap().into_iter().find(|(account, _)| account.email == owner).unwrap().0.id;
    let audience = Audience::Account { email: email.to_owned(), can_write: true };
    let session = sessionfs::id::SessionId::parse(session).unwrap();
    accounts
        .share(&NewShare { owner, session, audience, git_remote: None, expires_at: Some(1), handoff: None })
        .unwrap()
        .unwrap();
}

fn inbox(server: &Server, key: &str) -> Vec<Value> {
    server.get("/api/v1/inbox", key).json()["items"].as_array().unwrap().clone()
}

fn shares(server: &Server, key: &str) -> Vec<Value> {
    server.get("/api/v1/shares", key).json()["shares"].as_array().unwrap().clone()
}

fn events(server: &Server, event: &str) -> usize {
    let query = Query { event: Some(event.to_owned()), limit: 100, ..Query::default() };
    server.api.accounts().events(&query).unwrap().len()
}

/// Alice with a session, and bob.
fn two() -> (Server, String, String) {
    let server = Server::new();
    let (alice, bob) = (server.sign_up("alice@example.com"), server.sign_up("bob@example.com"));
    server.put(&alice, &id(1), &packed(&session(&id(1), 2)), None);
    (server, alice, bob)
}

#[test]
fn nothing_tells_whether_an_address_has_an_account() {
    let (server, alice, _) = two();
    let answers = ["bob@example.com", "nobody@example.com"].map(|with| {
        let path = format!("/api/v1/sessions/{}/shares", id(1));
        let twice = [(); 2].map(|()| post(&server, &path, &alice, &json!({"with": with, "write": true})));
        let handed = post(&server, &format!("/api/v1/sessions/{}/handoffs", id(1)), &alice, &json!({"to": with}));
        let all = twice.into_iter().chain([handed]);
        all.map(|reply| {
            let body = reply.json();
            let shape: Vec<_> =
                body.as_object().unwrap().iter().map(|(name, value)| (name.clone(), shape(value))).collect();
            assert_eq!(body["with"], with);
            let headers: Vec<_> = reply.headers.into_iter().filter(|(name, _)| *name != "Content-Length").collect();
            (reply.status, headers, shape)
        })
        .collect::<Vec<_>>()
    });
    assert_eq!(answers[0], answers[1]);
    let states: Vec<Value> = shares(&server, &alice).iter().map(|share| share["state"].clone()).collect();
    assert_eq!(states, ["waiting", "waiting"]);
    assert_eq!(shares(&server, &alice).len(), 2, "a session is shared with an address once");
}

fn shape(value: &Value) -> (bool, bool, usize) {
    (value.is_string(), value.is_null(), value.as_str().filter(|text| text.starts_with("claim_")).map_or(0, str::len))
}

#[test]
fn a_share_is_in_the_inbox_is_accepted_and_can_be_given_back() {
    let (server, alice, bob) = two();
    let made = share(&server, &alice, &id(1), &json!({"with": "Bob@example.com "}));
    assert_eq!(
        (&made["with"], &made["write"], &made["kind"]),
        (&json!("bob@example.com"), &json!(false), &json!("account"))
    );
    let items = inbox(&server, &bob);
    assert_eq!(items.len(), 1);
    let item = &items[0];
    assert_eq!(
        (&item["kind"], &item["from"], &item["title"]),
        (&json!("share"), &json!("alice@example.com"), &json!("Port the parser"))
    );
    assert_eq!(
        (&item["session_id"], &item["tool"], &item["accepted_at"]),
        (&json!(id(1)), &json!("claude-code"), &Value::Null)
    );
    let path = format!("/api/v1/inbox/{}", item["item_id"].as_str().unwrap());
    let accept = format!("{path}/accept");
    assert_eq!(post(&server, &accept, &alice, &json!({})).status, 404, "not hers to accept");
    let accepted = post(&server, &accept, &bob, &json!({})).json();
    assert!(accepted["accepted_at"].is_string(), "{accepted}");
    assert_eq!(post(&server, &accept, &bob, &json!({})).json(), accepted, "twice is once");
    assert_eq!(shares(&server, &alice)[0]["state"], "active");

    assert_eq!(delete(&server, &path, &bob).status, 204);
    assert_eq!(delete(&server, &path, &bob).status, 404);
    assert!(inbox(&server, &bob).is_empty());
    assert_eq!(shares(&server, &alice)[0]["state"], "waiting");
    // Shared again, it is there again.
    let handoff = post(
        &server,
        &format!("/api/v1/sessions/{}/handoffs", id(1)),
        &alice,
        &json!({"to": "bob@example.com", "message": "please <b>finish</b>"}),
    );
    assert_eq!((handoff.status, &handoff.json()["handoff_id"]), (201, &made["share_id"]));
    let item = &inbox(&server, &bob)[0];
    assert_eq!((&item["kind"], &item["message"]), (&json!("handoff"), &json!("please <b>finish</b>")));

    let ended = format!("/api/v1/shares/{}", made["share_id"].as_str().unwrap());
    assert_eq!(delete(&server, &ended, &bob).refusal(), "404 404 Share not found", "not his to end");
    assert_eq!(delete(&server, &ended, &alice).status, 204);
    assert_eq!(delete(&server, &ended, &alice).status, 404);
    assert!(inbox(&server, &bob).is_empty() && shares(&server, &alice).is_empty());
    for (event, count) in [("shared", 1), ("accepted", 2), ("dismissed", 1), ("handed_off", 1), ("unshared", 1)] {
        assert_eq!(events(&server, event), count, "{event}");
    }
}

#[test]
fn what_is_shared_is_checked() {
    let (server, alice, bob) = two();
    let path = format!("/api/v1/sessions/{}/shares", id(1));
    for (body, kind) in [
        (json!({}), "missing"),
        (json!({"with": "nobody"}), "value_error"),
        (json!({"with": "ALICE@example.com"}), "value_error"),
        (json!({"with": 5}), "string_type"),
        (json!({"with": "x@example.com", "write": "yes"}), "bool_type"),
        (json!({"link": true, "expires_in": 0}), "value_error"),
        (json!({"link": true, "expires_in": -5}), "value_error"),
        (json!({"link": true, "expires_in": u64::MAX}), "value_error"),
    ] {
        let reply = post(&server, &path, &alice, &body);
        assert_eq!(reply.json()["error"]["details"]["errors"][0]["type"], kind, "{body} {reply:?}");
    }
    let handoffs = format!("/api/v1/sessions/{}/handoffs", id(1));
    let long = json!({"to": "bob@example.com", "message": "m".repeat(2001)});
    assert_eq!(post(&server, &handoffs, &alice, &long).status, 422);
    let session = format!("/api/v1/sessions/{}", id(1));
    share(&server, &alice, &id(1), &json!({"with": "bob@example.com"}));
    assert_eq!(delete(&server, &session, &alice).status, 204);
    assert_eq!(post(&server, &path, &alice, &json!({"with": "x@example.com"})).status, 404, "a deleted session");
    assert!(inbox(&server, &bob).is_empty());
    let left = shares(&server, &alice);
    assert_eq!(left.len(), 1, "its owner can still end it");
    assert_eq!(left[0]["state"], "deleted");
}

#[test]
fn a_share_for_an_unknown_address_waits_for_its_code() {
    let (server, alice, bob) = two();
    let made = share(&server, &alice, &id(1), &json!({"with": "carol@example.com"}));
    let code = made["claim_code"].as_str().unwrap();
    let carol = server.sign_up("carol@example.com");
    assert!(inbox(&server, &carol).is_empty(), "whoever signs up with an address has not proven that it is his");
    let claim = |key: &str, code: &str| post(&server, "/api/v1/inbox/claim", key, &json!({"code": code}));
    let refused = "404 404 The claim code is not valid, or not any more";
    assert_eq!(claim(&alice, code).refusal(), refused, "the owner's own");
    let last = if code.ends_with('0') { '1' } else { '0' };
    assert_eq!(claim(&carol, &format!("{}{last}", &code[..code.len() - 1])).status, 404);
    let item = claim(&carol, code);
    assert_eq!((item.status, &item.json()["session_id"]), (200, &json!(id(1))));
    assert_eq!(claim(&carol, code).status, 200, "an answer that was lost can be asked for again");
    assert_eq!(claim(&bob, code).refusal(), refused, "it was good once");
    assert_eq!(inbox(&server, &carol).len(), 1);
    for file in ["server.db", "server.db-wal"] {
        let bytes = std::fs::read(server.folder.path().join("data").join(file)).unwrap_or_default();
        assert!(memchr::memmem::find(&bytes, code.as_bytes()).is_none(), "a code is stored");
    }
    assert_eq!((events(&server, "claimed"), events(&server, "claim_refused")), (2, 3));
}

#[test]
fn codes_can_not_be_guessed_in_bulk() {
    let (server, _, bob) = two();
    let guess = |key: &str, client: &str| {
        let ask = Ask::new("POST", "/api/v1/inbox/claim", key)
            .json(&json!({"code": "claim_00000000000000000000000000000000"}));
        server.ask(Ask { client: client.parse().unwrap(), ..ask })
    };
    for n in 0..10 {
        assert_eq!(guess(&bob, &format!("192.0.2.{n}")).status, 404);
    }
    let often = guess(&bob, "192.0.2.99");
    assert_eq!(often.status, 429, "from one account");
    assert!(often.header("retry-after").is_some());
    let others: Vec<String> = (0..6).map(|n| server.sign_up(&format!("u{n}@example.com"))).collect();
    let statuses: Vec<u16> = (0..11).map(|n| guess(&others[n % 6], "198.51.100.7").status).collect();
    assert_eq!((statuses[9], statuses[10]), (404, 429), "from one network");
}

/// Reads the session's state through a share.
fn through(server: &Server, key: &str, share: &str, session: &str) -> SessionState {
    let path = format!("/api/v1/delta/sessions/{session}");
    let reply = server.ask(Ask::new("GET", &path, key).header("x-sessionfs-share", share));
    assert_eq!(reply.status, 200, "{reply:?}");
    serde_json::from_slice(&reply.body).unwrap()
}

#[test]
fn a_share_of_one_of_two_that_a_tool_calls_alike_opens_no_other() {
    let server = Server::new();
    let [alice, bob] = ["alice", "bob"].map(|name| server.sign_up(&format!("{name}@example.com")));
    for n in [1, 2] {
        assert_eq!(server.put(&alice, &id(n), &packed(&session(&id(n), 2)), None).status, 201);
    }
    let share = granted(&server, &alice, &id(2), &json!({"with": "bob@example.com", "write": true}), &bob);
    let state = through(&server, &bob, &share, &id(2));
    // As servers of before stored them.
    let owner =
        server.api.accounts().list().unwrap().into_iter().find(|(a, _)| a.email == "alice@example.com").unwrap().0.id;
    let path = server.folder.path().join(format!("data/accounts/{owner}/archive.db"));
    let database = rusqlite::Connection::open(path).unwrap();
    database.execute("UPDATE session SET native_id = ?1", [&state.native_id]).unwrap();
    let place = StreamPlace::of(&state, &state.streams[0]);
    let want = Want { stream: place, from: 0, length: 10, hash: None };
    let mut ask = Ask::new("POST", "/api/v1/delta/pull", &bob).header("x-sessionfs-share", &share);
    ask.body = serde_json::to_vec(&vec![want]).unwrap();
    assert_eq!(server.ask(ask).status, 404);
    assert_eq!(push_through(&server, &bob, &share, &addition(&state, "dddddddd00", b"new"), b"new").status, 404);
}

fn push_through(server: &Server, key: &str, share: &str, push: &Push, bytes: &[u8]) -> Reply {
    let mut ask = Ask::new("POST", "/api/v1/delta/push", key).header("x-sessionfs-share", share);
    ask.body = pack(push, bytes).unwrap();
    server.ask(ask)
}

/// A new stream of the session, with these bytes.
fn addition(state: &SessionState, origin: &str, bytes: &[u8]) -> Push {
    let nothing = sessionfs::store::StreamHasher::default().hash();
    let stream = StreamState {
        name: "notes".into(),
        origin: origin.into(),
        generation: 0,
        format: "file".into(),
        native_path: None,
        length: 0,
        hash: nothing,
    };
    let session = SessionState { streams: vec![stream], registers: Vec::new(), ..state.clone() };
    Push { sessions: vec![session], parts: vec![vec![Part::Bytes(bytes.len() as u64)]] }
}

#[test]
fn a_shared_session_is_read_through_its_share_alone() {
    let (server, alice, bob) = two();
    server.put(&alice, &id(2), &packed(&session(&id(2), 1)), None);
    server.ask(
        Ask::new("PATCH", &format!("/api/v1/sessions/{}", id(1)), &alice)
            .json(&json!({"title": "T", "tags": ["sync", "x"]})),
    );
    let share = granted(&server, &alice, &id(1), &json!({"with": "bob@example.com"}), &bob);
    let state = through(&server, &bob, &share, &id(1));
    let fields: Vec<&str> = state.registers.iter().map(|said| &said.field[..]).collect();
    assert_eq!(fields, ["tag:x", "title"], "what alice's own devices sync is not his business");
    let wants: Vec<Want> = state
        .streams
        .iter()
        .map(|stream| Want { stream: StreamPlace::of(&state, stream), from: 0, length: stream.length, hash: None })
        .collect();
    let pull = |wants: &[Want]| {
        let ask = Ask::new("POST", "/api/v1/delta/pull", &bob).header("x-sessionfs-share", &share[..]);
        server.ask(ask.json(&serde_json::to_value(wants).unwrap()))
    };
    let frame = unpack::<Vec<Want>>(&pull(&wants).body[..]).unwrap();
    assert_eq!(frame.bytes.len() as u64, state.streams.iter().map(|stream| stream.length).sum::<u64>());
    assert!(memchr::memmem::find(&frame.bytes, b"message 0 of").is_some());
    // One foreign stream among the right ones, and nothing is answered.
    let mut other = wants[0].clone();
    other.stream.native_id = format!("native-{}", id(2));
    assert_eq!(pull(&[wants[0].clone(), other]).refusal(), "404 404 Session not found");
    assert!(shares(&server, &alice)[0]["last_opened_at"].is_string());
    // Which chunks the owner has is nobody's business.
    let hashes = json!(state.streams.iter().map(|stream| stream.hash).collect::<Vec<_>>());
    let asked =
        Ask::new("POST", "/api/v1/delta/has-chunks", &bob).header("x-sessionfs-share", &share[..]).json(&hashes);
    assert!(server.ask(asked).json().as_array().unwrap().iter().all(|known| known == false));
    let refused = push_through(&server, &bob, &share, &addition(&state, "bobs-device", b"x"), b"x");
    assert_eq!(refused.refusal(), "403 403 The session is shared for reading only");
    // Of his own archive nothing came to be.
    assert_eq!(server.get("/api/v1/sessions", &bob).json()["total"], 0);
    assert_eq!(delete(&server, &format!("/api/v1/shares/{share}"), &alice).status, 204);
    assert_eq!(pull(&wants).status, 404, "at once");
    server.assert_sound();
}

#[test]
fn who_may_write_adds_streams_of_his_own_and_nothing_else() {
    let (server, alice, bob) = two();
    server.put(&alice, &id(2), &packed(&session(&id(2), 1)), None);
    let path = format!("/api/v1/sessions/{}", id(1));
    let edit = Ask::new("PATCH", &path, &alice).json(&json!({"title": "hers"}));
    assert_eq!(server.ask(edit).status, 200);
    let share = granted(&server, &alice, &id(1), &json!({"with": "bob@example.com", "write": true}), &bob);
    let state = through(&server, &bob, &share, &id(1));
    let push = |push: &Push, bytes: &[u8]| push_through(&server, &bob, &share, push, bytes);
    let mut good = addition(&state, "bobs-device", b"from bob");
    good.sessions[0].registers =
        [("title", 9), ("deleted_at", 9), ("purged_at", 9), ("tag:sync", 9), ("tag:late", 1 << 61)]
            .map(|(field, counter)| SaidOf {
                field: field.into(),
                value: Some("5".into()),
                counter,
                device: "bobs-device".into(),
            })
            .into();
    let reply = push(&good, b"from bob");
    assert_eq!(reply.status, 200, "{reply:?}");
    let after = through(&server, &bob, &share, &id(1));
    assert_eq!(after.streams, state.streams, "what he wrote is not told to him as the owner's");
    let all = server.get(&format!("/api/v1/delta/sessions/{}", id(1)), &alice).json();
    assert_eq!(all["streams"].as_array().unwrap().len(), state.streams.len() + 1);
    let fields: Vec<&str> = after.registers.iter().map(|said| &said.field[..]).collect();
    assert_eq!(fields, ["title"], "a title, but no deletion, and no counter that ends all counting");
    let tags = server.detail(&alice, &id(1))["tags"].clone();
    assert_eq!(tags, json!([]));
    assert_eq!(push(&addition(&after, "bobs-device-r3", b"y"), b"y").status, 200, "his device's redacted copy");

    // The owner's devices, and those of others who may write, are not his.
    let (theirs, writer) = (after.streams[0].origin.clone(), state.registers[0].device.clone());
    let device =
        Push { sessions: vec![SessionState { registers: vec![], streams: vec![], ..state.clone() }], parts: vec![] };
    assert_eq!(push(&device, b"").status, 200);
    let carol = server.sign_up("carol@example.com");
    let hers = granted(&server, &alice, &id(1), &json!({"with": "carol@example.com", "write": true}), &carol);
    for origin in ["bobs-device", "bobs-device-r9"] {
        let refused = push_through(&server, &carol, &hers, &addition(&after, origin, b"z"), b"z");
        assert_eq!(refused.refusal(), "409 foreign_device A share adds streams of its own devices only");
    }
    for origin in [&theirs, &writer] {
        assert_eq!(push(&addition(&after, origin, b"z"), b"z").status, 409, "{origin}");
    }
    // Another session, a chunk by its name, two sessions.
    let mut other = good.clone();
    other.sessions[0].native_id = format!("native-{}", id(2));
    assert_eq!(push(&other, b"from bob").status, 404);
    let mut chunk = addition(&after, "bobs-device", b"");
    chunk.parts[0] = vec![Part::Chunk(sessionfs::id::Hash::of(b"guess"))];
    assert_eq!(push(&chunk, b"").status, 400);
    let two = Push {
        sessions: [&good.sessions[..], &other.sessions[..]].concat(),
        parts: [&good.parts[..], &good.parts[..]].concat(),
    };
    assert_eq!(push(&two, b"from bobfrom bob").status, 400);
    assert_eq!(server.get("/api/v1/sessions", &alice).json()["total"], 2);
    assert_eq!(server.detail(&alice, &id(1))["message_count"], 4, "her own bytes are as they were");
    server.assert_sound();
}

/// The grantee's other devices take what a share brings: the owner must not speak for any of them.
#[test]
fn an_owner_does_not_speak_for_a_device_of_the_grantee() {
    let (server, alice, bob) = two();
    let path = format!("/api/v1/delta/sessions/{}", id(1));
    let hers: SessionState = serde_json::from_slice(&server.get(&path, &alice).body).unwrap();
    let push = |key: &str, origin: &str, bytes: &[u8]| {
        let mut ask = Ask::new("POST", "/api/v1/delta/push", key);
        ask.body = pack(&addition(&hers, origin, bytes), bytes).unwrap();
        assert_eq!(server.ask(ask).status, 200);
    };
    push(&bob, "bobs-first-device", b"genuine");
    for origin in ["bobs-first-device", "bobs-first-device-r4", "alices-device"] {
        push(&alice, origin, b"genuine, and more");
    }
    let share = granted(&server, &alice, &id(1), &json!({"with": "bob@example.com"}), &bob);
    let told = || {
        let streams = through(&server, &bob, &share, &id(1)).streams;
        streams.into_iter().map(|stream| stream.origin).collect::<Vec<_>>()
    };
    let first = told();
    assert_eq!(first.len(), hers.streams.len() + 1, "{first:?}");
    assert!(first.contains(&"alices-device".to_owned()), "{first:?}");
    assert!(!first.iter().any(|origin| origin.starts_with("bobs")), "{first:?}");
    // What came through the share is in his own archive after his next push; it goes on to come.
    push(&bob, "alices-device", b"genuine");
    assert_eq!(told(), first);
    server.assert_sound();
}

#[test]
fn who_said_something_of_the_session_first_may_add_to_it_later() {
    let (server, alice, bob) = two();
    let share = granted(&server, &alice, &id(1), &json!({"with": "bob@example.com", "write": true}), &bob);
    let state = through(&server, &bob, &share, &id(1));
    let said = |counter, device: &str| SaidOf {
        field: "tag:his".into(),
        value: Some("1".into()),
        counter,
        device: device.into(),
    };
    let session = SessionState { registers: vec![said(3, "bobs-device")], streams: vec![], ..state.clone() };
    let reply = push_through(&server, &bob, &share, &Push { sessions: vec![session.clone()], parts: vec![] }, b"");
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(server.detail(&alice, &id(1))["tags"], json!(["his"]));
    let reply = push_through(&server, &bob, &share, &addition(&state, "bobs-device", b"x"), b"x");
    assert_eq!(reply.status, 200, "{reply:?}");
    // In the name of her devices he says nothing.
    let forged = SaidOf { value: None, ..said(9, &state.streams[0].origin) };
    let session = SessionState { registers: vec![forged], ..session };
    let reply = push_through(&server, &bob, &share, &Push { sessions: vec![session], parts: vec![] }, b"");
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(server.detail(&alice, &id(1))["tags"], json!(["his"]));
    server.assert_sound();
}

/// The one link of a server, its path.
fn link(server: &Server, key: &str, session: &str, expires_in: Option<u64>) -> (String, String) {
    let made = share(server, key, session, &json!({"link": true, "expires_in": expires_in}));
    assert_eq!(made["expires_at"].is_string(), expires_in.is_some());
    (made["path"].as_str().unwrap().to_owned(), made["share_id"].as_str().unwrap().to_owned())
}

#[test]
fn a_link_shows_the_session_to_whoever_has_it_and_nothing_else() {
    let (server, alice, _) = two();
    let secret = "ghp_Zr81kVq0mT5sWc3yXb7nLd2fGh4jKa9eQuPo";
    let mut files = session(&id(2), 1);
    let said = format!("export TOKEN={secret} <script>alert(1)</script>");
    let line = json!({"msg_id": "m", "role": "user", "content": [{"type": "text", "text": said}], "timestamp": "2026-01-05T09:30:00Z"});
    files[1].1.extend(format!("{line}\n").into_bytes());
    server.put(&alice, &id(2), &packed(&files), None);
    let (path, id_of_link) = link(&server, &alice, &id(2), None);
    assert_eq!(path.len(), 3 + 64);
    let page = server.get(&path, "");
    let text = String::from_utf8(page.body.clone()).unwrap();
    assert_eq!(page.status, 200, "{text}");
    assert!(text.contains("message 0 of") && text.contains("[redacted:") && !text.contains(secret), "{text}");
    assert!(!text.contains("<script"), "{text}");
    let policy = page.header("content-security-policy").unwrap();
    for rule in ["default-src 'none'", "frame-ancestors 'none'", "form-action 'none'", "sandbox"] {
        assert!(policy.contains(rule), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    for (header, value) in [
        ("referrer-policy", "no-referrer"),
        ("x-robots-tag", "noindex, nofollow"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("content-type", "text/html; charset=utf-8"),
    ] {
        assert_eq!(page.header(header), Some(value));
    }
    let listed = server.get(&format!("/api/v1/sessions/{}/shares", id(2)), &alice).json();
    assert_eq!((&listed["shares"][0]["kind"], &listed["shares"][0]["state"]), (&json!("link"), &json!("active")));
    assert!(!listed.to_string().contains(&path[3..]), "the token is told once");
    assert_eq!(events(&server, "link_opened"), 1);
    let token = &path[3..];
    for file in ["server.db", "server.db-wal"] {
        let bytes = std::fs::read(server.folder.path().join("data").join(file)).unwrap_or_default();
        assert!(memchr::memmem::find(&bytes, token.as_bytes()).is_none(), "a token is stored");
    }
    assert_eq!(server.api.path_in_log(&path), "/s/*", "nor logged");

    // Ended, late, its session deleted, its owner disabled, never there: all the same.
    let missing = server.get(&format!("/s/{}", "0".repeat(64)), "");
    assert_eq!(missing.status, 404);
    let (late, _) = link(&server, &alice, &id(1), Some(1));
    let (gone, _) = link(&server, &alice, &id(1), None);
    assert_eq!(server.get(&gone, "").status, 200);
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(delete(&server, &format!("/api/v1/shares/{id_of_link}"), &alice).status, 204);
    delete(&server, &format!("/api/v1/sessions/{}", id(1)), &alice);
    for path in [
        &path[..],
        &late,
        &gone,
        "/s/",
        "/s/short",
        &format!("{path}0"),
        &path.to_uppercase().replacen("/S/", "/s/", 1),
    ] {
        let reply = server.get(path, "");
        assert_eq!((reply.status, &reply.headers, &reply.body), (404, &missing.headers, &missing.body), "{path}");
    }
    let (mine, _) = link(&server, &alice, &id(2), None);
    server.api.accounts().change("alice@example.com", None, Some(true)).unwrap();
    let reply = server.get(&mine, "");
    assert_eq!((reply.status, &reply.body), (404, &missing.body));
}

#[test]
fn links_are_opened_so_often_from_one_address() {
    let (server, alice, _) = two();
    let (path, _) = link(&server, &alice, &id(1), None);
    let from =
        |client: &str, path: &str| server.ask(Ask { client: client.parse().unwrap(), ..Ask::new("GET", path, "") });
    let guess = format!("/s/{}", "1".repeat(64));
    (0..60).for_each(|_| assert_eq!(from("192.0.2.1", &guess).status, 404));
    let often = from("192.0.2.1", &path);
    assert_eq!((often.status, often.header("retry-after").is_some()), (429, true));
    assert_eq!(from("192.0.2.2", &path).status, 200);
}

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// Receives what a webhook is told: signature and body; the first `failures` requests are answered with 500.
fn listener(failures: usize) -> (String, Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (sender, received) = channel();
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().flatten().enumerate() {
            let told = receive(stream, if number < failures { 500 } else { 204 });
            if sender.send(told).is_err() {
                return;
            }
        }
    });
    (url, received)
}

fn receive(stream: TcpStream, status: u16) -> (String, Vec<u8>) {
    let mut reader = BufReader::new(stream);
    let (mut signature, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim().split_once(": ") else {
            if line.trim().is_empty() {
                break;
            }
            continue;
        };
        match &name.to_ascii_lowercase()[..] {
            "x-sessionfs-signature" => value.clone_into(&mut signature),
            "content-length" => length = value.parse().unwrap(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    write!(reader.get_mut(), "HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
    (signature, body)
}

fn signed(body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(body);
    format!("sha256={}", sessionfs::id::Hash(mac.finalize().into_bytes().into()).hex())
}

#[test]
fn the_operators_service_is_told_signed_and_without_what_was_said() {
    let (url, received) = listener(1);
    let webhook = Some(Target::new(&url, SECRET).unwrap());
    let server = Server::with(Policy { webhook, ..policy() });
    let (alice, bob) = (server.sign_up("alice@example.com"), server.sign_up("bob@example.com"));
    server.put(&alice, &id(1), &packed(&session(&id(1), 2)), None);
    let handoffs = format!("/api/v1/sessions/{}/handoffs", id(1));
    let made = post(&server, &handoffs, &alice, &json!({"to": "bob@example.com", "message": "the message"})).json();
    post(&server, &format!("/api/v1/inbox/{}/accept", made["share_id"].as_str().unwrap()), &bob, &json!({}));
    let next = || received.recv_timeout(Duration::from_secs(30)).unwrap();
    let ((signature, first), (_, again), (_, accepted)) = (next(), next(), next());
    assert_eq!(first, again, "refused, it is told again");
    assert_eq!(signature, signed(&first));
    assert_ne!(Sha256::digest(&first), Sha256::digest(&accepted));
    let told: Value = serde_json::from_slice(&first).unwrap();
    assert_eq!(
        (&told["event"], &told["from"], &told["to"]),
        (&json!("handed_off"), &json!("alice@example.com"), &json!("bob@example.com"))
    );
    assert_eq!((&told["session_id"], &told["share_id"]), (&json!(id(1)), &made["share_id"]));
    assert_eq!(serde_json::from_slice::<Value>(&accepted).unwrap()["event"], "accepted");
    let text = String::from_utf8(first).unwrap();
    for kept in ["the message", "Port the parser", made["claim_code"].as_str().unwrap()] {
        assert!(!text.contains(kept), "{text}");
    }
}

#[test]
fn nobody_waits_for_a_service_that_does_not_answer() {
    // It takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let webhook = Some(Target::new(&format!("http://{}/", silent.local_addr().unwrap()), SECRET).unwrap());
    let server = Server::with(Policy { webhook, ..policy() });
    let alice = server.sign_up("alice@example.com");
    server.put(&alice, &id(1), &packed(&session(&id(1), 1)), None);
    // More than fit into the queue: were any of them waited for, this would take hours.
    for n in 0..300 {
        share(&server, &alice, &id(1), &json!({"with": format!("u{n}@example.com")}));
    }
    let query = Query { event: Some("webhook_failed".into()), limit: 100, ..Query::default() };
    let failed = server.api.accounts().events(&query).unwrap();
    assert!(!failed.is_empty() && failed.len() < 100, "{}", failed.len());
    assert!(failed[0].detail.contains("too many events wait"), "{}", failed[0].detail);
}

#[test]
fn a_server_that_knew_no_shares_learns_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.db");
    drop(Accounts::open(&path).unwrap());
    let shell = |sql: &str| rusqlite::Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    shell(
        "DROP TABLE share; DROP TABLE share_origin; DROP TABLE web_session; DROP TABLE sign_in_link;
         PRAGMA user_version = 1;",
    );
    let accounts = Accounts::open(&path).unwrap();
    assert!(accounts.shares(uuid::Uuid::nil(), None).unwrap().is_empty());
}

/// Shares a session of `owner`'s that is not there any more, as often as that may be.
fn flood(server: &Server, owner: &str, email: &str, count: u32, expires_at: Option<i64>) -> u32 {
    let accounts = server.api.accounts();
    let owner = accounts.list().unwrap().into_iter().find(|(account, _)| account.email == owner).unwrap().0.id;
    let made = (0..count).filter(|number| {
        let audience = Audience::Account { email: email.to_owned(), can_write: false };
        let session = sessionfs::id::SessionId::parse(&format!("ses_gone{number:08}")).unwrap();
        let new = NewShare { owner, session, audience, git_remote: None, expires_at, handoff: None };
        accounts.share(&new).unwrap().is_some()
    });
    made.count() as u32
}

#[test]
fn nobody_fills_anothers_inbox() {
    let (server, alice, bob) = two();
    let handed =
        post(&server, &format!("/api/v1/sessions/{}/handoffs", id(1)), &alice, &json!({"to": "bob@example.com"}));
    assert_eq!(handed.status, 201);
    for number in 0..6 {
        let email = format!("mallory{number}@example.com");
        server.sign_up(&email);
        assert_eq!(flood(&server, &email, "bob@example.com", 110, None), 100, "so many wait for one address");
    }
    let items = inbox(&server, &bob);
    assert_eq!(items.iter().map(|item| &item["from"]).collect::<Vec<_>>(), ["alice@example.com"]);
    // An address that has no account is counted like one that has.
    let path = format!("/api/v1/sessions/{}/shares", id(1));
    assert_eq!(flood(&server, "alice@example.com", "nobody@example.com", 110, None), 100);
    assert_eq!(flood(&server, "alice@example.com", "bob@example.com", 110, None), 99, "and the handoff");
    for with in ["nobody@example.com", "mallory0@example.com"] {
        flood(&server, "alice@example.com", with, 100, None);
        server.put(&alice, &id(2), &packed(&session(&id(2), 2)), None);
        let path = format!("/api/v1/sessions/{}/shares", id(2));
        let reply = post(&server, &path, &alice, &json!({"with": with}));
        assert_eq!(reply.refusal(), "409 too_many_shares Too many shares: end some first");
    }
    assert_eq!(post(&server, &path, &alice, &json!({"with": "bob@example.com"})).status, 201, "the same on new terms");
}

#[test]
fn shares_whose_time_is_over_do_not_count() {
    let (server, alice, _) = two();
    assert_eq!(flood(&server, "alice@example.com", "bob@example.com", 1010, Some(1)), 1010);
    share(&server, &alice, &id(1), &json!({"with": "bob@example.com"}));
    assert_eq!(shares(&server, &alice).len(), 1001, "the oldest of them are forgotten");
}
