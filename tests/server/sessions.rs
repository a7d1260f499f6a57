//! What a session's life on the server is: pushed, pulled, renamed, deleted, brought back.

use super::{Ask, Server, files_of, form, id, packed, session, tar_gz};
use crate::support::home::TestHome;
use serde_json::{Value, json};
use sessionfs::server::accounts::Signup;
use sessionfs::server::api::Policy;
use sessionfs::sync::wire::Changes;

fn manifest_of(files: &[(String, Vec<u8>)]) -> Value {
    let (_, bytes) = files.iter().find(|(name, _)| name == "manifest.json").unwrap();
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn a_push_comes_back_as_it_was() {
    let server = Server::new();
    let key = server.sign_up("alice@example.com");
    let mut files = session(&id(1), 3);
    files.push(("checkpoints/größe/messages.jsonl".into(), b"{}\n".to_vec()));
    files.push(("main".into(), b"a name that is ours".to_vec()));
    files.push(("facts".into(), b"another".to_vec()));
    files.sort();
    let archive = packed(&files);
    let put = server.put(&key, &id(1), &archive, None);
    assert_eq!(put.status, 201, "{put:?}");
    assert_eq!(put.json()["blob_size_bytes"], archive.len());
    assert!(put.json()["synced_at"].as_str().unwrap().ends_with('Z'));
    for path in ["sync", "download"] {
        let get = server.get(&format!("/api/v1/sessions/{}/{path}", id(1)), &key);
        assert_eq!((get.status, get.header("content-type")), (200, Some("application/gzip")));
        assert_eq!(get.header("etag").unwrap(), format!("\"{}\"", put.etag()));
        assert!(files_of(&get.body) == files);
    }
    let again = server.sync(&key, &id(1));
    assert!(again.body == server.sync(&key, &id(1)).body, "the same session packs to the same bytes");
    server.assert_sound();
}

#[test]
fn what_was_pushed_last_comes_back_whatever_came_before() {
    let server = Server::new();
    let key = server.sign_up("alice@example.com");
    let versions = [session(&id(1), 3), session(&id(1), 5), session(&id(1), 2), session(&id(1), 3)];
    let mut odd = session(&id(1), 3);
    odd[1].1 = session(&id(2), 1)[1].1.clone();
    odd.remove(2);
    let mut etag: Option<String> = None;
    let mut seen = Vec::new();
    for (number, files) in versions.iter().chain([&odd, &versions[0]]).enumerate() {
        let put = server.put(&key, &id(1), &packed(files), etag.as_deref());
        assert_eq!(put.status, if number == 0 { 201 } else { 200 }, "{put:?}");
        assert!(files_of(&server.sync(&key, &id(1)).body) == *files, "push {number}");
        let messages = server.get(&format!("/api/v1/sessions/{}/messages", id(1)), &key).json();
        let lines = String::from_utf8_lossy(&files[1].1).lines().count();
        assert_eq!(messages["total"], lines, "push {number}");
        assert!(!seen.contains(&put.etag()), "another state has another ETag");
        seen.push(put.etag());
        etag = Some(put.etag());
    }
    assert_eq!(server.get("/api/v1/sessions", &key).json()["total"], 1);
    server.assert_sound();
}

#[test]
fn an_unchanged_session_has_an_unchanged_etag() {
    let server = Server::new();
    let key = server.sign_up("alice@example.com");
    let files = session(&id(1), 3);
    let etag = server.put(&key, &id(1), &packed(&files), None).etag();
    assert_eq!(server.put(&key, &id(1), &packed(&files), Some(&etag)).etag(), etag, "the same files once more");
    server.put(&key, &id(2), &packed(&session(&id(2), 3)), None);
    let reindex = server.ask(Ask::new("POST", "/api/v1/sessions/admin/reindex", &key));
    assert_eq!(reindex.json(), json!({"reindexed": 2, "updated": 2, "errors": 0}));
    assert_eq!(server.detail(&key, &id(1))["etag"], etag);
    assert_eq!(server.get("/api/v1/sessions", &key).json()["sessions"][1]["etag"], etag);
    let path = format!("/api/v1/sessions/{}/sync", id(1));
    for known in [format!("\"{etag}\""), format!("\"x\", W/\"{etag}\""), "*".into()] {
        let get = server.ask(Ask::new("GET", &path, &key).header("if-none-match", known));
        assert_eq!((get.status, get.body.len()), (304, 0));
    }
    assert_eq!(server.ask(Ask::new("GET", &path, &key).header("if-none-match", "\"x\"")).status, 200);
    let download = format!("/api/v1/sessions/{}/download", id(1));
    let get = server.ask(Ask::new("GET", &download, &key).header("if-none-match", format!("\"{etag}\"")));
    assert_eq!(get.status, 200);
}

#[test]
fn a_push_says_what_it_expects() {
    let server = Server::new();
    let key = server.sign_up("alice@example.com");
    // A new session is made whatever its client expected.
    let etag = server.put(&key, &id(1), &packed(&session(&id(1), 1)), Some("anything")).etag();
    let path = format!("/api/v1/sessions/{}/sync", id(1));
    let newer = packed(&session(&id(1), 2));
    for wrong in [None, Some("\"deadbeef\"".into()), Some("*".into()), Some(format!("W/\"{etag}\""))] {
        let ask = Ask::new("PUT", &path, &key).archive(&newer);
        let put = server.ask(match wrong {
            Some(value) => ask.header("if-match", value),
            None => ask,
        });
        assert_eq!(put.refusal(), "409 etag_mismatch ETag mismatch — session has been updated");
        assert_eq!(put.json()["error"]["details"]["current_etag"], etag);
    }
    assert_eq!(server.detail(&key, &id(1))["message_count"], 2, "nothing was stored");
    assert_eq!(server.ask(Ask::new("PUT", &path, &key).archive(&newer).header("if-match", etag)).status, 200);
}

#[test]
fn titles_and_tags_are_a_persons() {
    let server = Server::new();
    let key = server.sign_up("alice@example.com");
    let etag = server.put(&key, &id(1), &packed(&session(&id(1), 1)), None).etag();
    let path = format!("/api/v1/sessions/{}", id(1));
    let change = |body: &Value| server.ask(Ask::new("PATCH", &path, &key).json(body));
    let edited = change(&json!({"title": "<b>New</b> title", "tags": ["b", "a", "b"]}));
    assert_eq!(edited.status, 200, "{edited:?}");
    assert_eq!((&edited.json()["title"], &edited.json()["tags"]), (&json!("<b>New</b> title"), &json!(["a", "b"])));
    assert_ne!(edited.etag(), etag);
    assert_eq!(server.put(&key, &id(1), &packed(&session(&id(1), 2)), Some(&etag)).status, 409);
    let pulled = server.sync(&key, &id(1));
    let manifest = manifest_of(&files_of(&pulled.body));
    assert_eq!((&manifest["title"], &manifest["tags"]), (&json!("<b>New</b> title"), &json!(["a", "b"])));
    assert_eq!(manifest["source"]["tool_version"], "2.1.59", "the rest is as it came");
    // The published client forgets both at its next capture: that is no wish of a person.
    let put = server.put(&key, &id(1), &packed(&session(&id(1), 2)), Some(&edited.etag()));
    assert_eq!(put.status, 200);
    let detail = server.detail(&key, &id(1));
    assert_eq!((&detail["title"], &detail["tags"]), (&json!("<b>New</b> title"), &json!(["a", "b"])));
    assert_eq!(server.get("/api/v1/sessions?tag=a", &key).json()["total"], 1);
    assert_eq!(server.get("/api/v1/sessions?tag=c", &key).json()["total"], 0);
    let mut tagged = session(&id(1), 3);
    let mut manifest = manifest_of(&tagged);
    manifest["tags"] = json!(["c"]);
    tagged[0].1 = manifest.to_string().into_bytes();
    assert_eq!(server.put(&key, &id(1), &packed(&tagged), Some(&put.etag())).status, 200);
    assert_eq!(server.detail(&key, &id(1))["tags"], json!(["c"]));
    assert_eq!(change(&json!({"title": "", "tags": null})).json()["title"], "Port the parser");
    for (body, place) in [
        (json!({"title": "x".repeat(501)}), "title"),
        (json!({"title": "a\0b"}), "title"),
        (json!({"title": 5}), "title"),
        (json!({"tags": "a"}), "tags"),
        (json!({"tags": vec!["t"; 21]}), "tags"),
        (json!({"tags": ["x".repeat(51)]}), "tags"),
        (json!({"tags": ["a\0b"]}), "tags"),
        (json!({"tags": [" "]}), "tags"),
    ] {
        let reply = change(&body);
        assert_eq!(reply.refusal(), "422 422 Validation error", "{body}");
        assert_eq!(reply.json()["error"]["details"]["errors"][0]["loc"], json!(["body", place]));
    }
    assert_eq!(
        change(&json!({"title": "é".repeat(500), "tags": (0..20).map(|n| format!("{n:050}")).collect::<Vec<_>>()}))
            .status,
        200
    );
    // No line break gets into a title, nor into a tag: a session with one could not be synced.
    assert_eq!(change(&json!({"title": "a\u{1b}[31mb\nc"})).json()["title"], "a [31mb c");
    assert_eq!(change(&json!({"tags": ["a\nb"]})).status, 422);
    assert_eq!(server.ask(Ask::new("PATCH", &path, &key).json(&json!([]))).status, 422);
    let mut broken = Ask::new("PATCH", &path, &key);
    broken.body = b"{".to_vec();
    assert_eq!(server.ask(broken).refusal(), "422 422 Validation error");
}

#[test]
fn a_deleted_session_is_hidden_and_comes_back() {
    let server = Server::new();
    let key = server.sign_up("alice@example.com");
    let archive = packed(&session(&id(1), 2));
    let etag = server.put(&key, &id(1), &archive, None).etag();
    let path = format!("/api/v1/sessions/{}", id(1));
    let restore = format!("{path}/restore");
    let ask = |method, path: &str| server.ask(Ask::new(method, path, &key));
    assert_eq!(ask("POST", &restore).refusal(), "409 not_deleted Session is not deleted");
    assert_eq!(ask("DELETE", &path).status, 204);
    for lost in ["", "/sync", "/download", "/messages", "/workspace", "/tools"] {
        assert_eq!(ask("GET", &format!("{path}{lost}")).refusal(), "404 404 Session not found", "{lost}");
    }
    assert_eq!(ask("DELETE", &path).refusal(), "404 404 Session not found");
    assert_eq!(ask("DELETE", &format!("{path}?scope=cloud")).refusal(), "410 session_deleted Session was deleted");
    assert_eq!(ask("GET", "/api/v1/sessions").json()["total"], 0);
    let trash = ask("GET", "/api/v1/sessions?deleted=true").json();
    assert_eq!((&trash["total"], &trash["sessions"][0]["id"]), (&json!(1), &json!(id(1))));
    assert!(trash["sessions"][0]["deleted_at"].is_string());
    // A push to what was deleted was an error 500 in the original.
    assert_eq!(server.put(&key, &id(1), &archive, Some(&etag)).refusal(), "410 session_deleted Session was deleted");
    assert_eq!(ask("POST", &restore).json()["etag"], etag);
    assert_eq!(server.sync(&key, &id(1)).status, 200);
    let deleted = ask("DELETE", &format!("{path}?scope=everywhere"));
    assert_eq!((deleted.status, &deleted.json()["delete_scope"]), (200, &json!("everywhere")));
    assert_eq!(ask("DELETE", &format!("{path}?scope=galaxy")).status, 422);
    let sync = format!("{path}/sync");
    let revived = server.ask(Ask::new("PUT", &sync, &key).archive(&archive).header("x-sessionfs-undelete", "true"));
    assert_eq!((revived.status, server.detail(&key, &id(1))["message_count"].as_u64()), (200, Some(4)));
}

#[test]
fn lists_have_pages_and_filters() {
    let server = Server::new();
    let key = server.sign_up("alice@example.com");
    for number in 0..5 {
        server.put(&key, &id(number), &packed(&session(&id(number), 1)), None);
    }
    let posted = server.ask(
        Ask::new("POST", "/api/v1/sessions?source_tool=codex&title=Hello+w%C3%B6rld&tags=%5B%22z%22%5D", &key)
            .archive(&packed(&session(&id(9), 1))),
    );
    assert_eq!(posted.status, 201, "{posted:?}");
    let new = posted.json()["session_id"].as_str().unwrap().to_owned();
    let detail = server.detail(&key, &new);
    assert_eq!(
        (&detail["title"], &detail["tags"], &detail["source_tool"]),
        (&json!("Hello wörld"), &json!(["z"]), &json!("codex"))
    );
    let page = |query: &str| server.get(&format!("/api/v1/sessions?{query}"), &key).json();
    let ids = |page: &Value| {
        page["sessions"].as_array().unwrap().iter().map(|s| s["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&page("page_size=2")), [new.clone(), id(4)], "the newest arrival comes first");
    assert_eq!(ids(&page("page_size=2&page=3")), [id(1), id(0)]);
    assert_eq!(
        (&page("page_size=2&page=3")["has_more"], &page("page_size=2")["has_more"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(ids(&page("page=99999")), Vec::<String>::new());
    assert_eq!(ids(&page("source_tool=codex")), [new]);
    for query in ["page=0", "page=-1", "page=x", "page_size=0", "page_size=101", "page=99999999999999999999999999"] {
        assert_eq!(
            server.get(&format!("/api/v1/sessions?{query}"), &key).refusal(),
            "422 422 Validation error",
            "{query}"
        );
    }
    assert_eq!(server.get("/api/v1/sessions?tag=%ff", &key).status, 400);
    for query in [
        "",
        "source_tool=",
        "source_tool=A",
        "source_tool=-x",
        "source_tool=a%20b",
        "source_tool=x&title=%00",
        "source_tool=x&tags=%5B%22%22%5D",
    ] {
        let ask = Ask::new("POST", "/api/v1/sessions", &key).archive(&packed(&session(&id(9), 1)));
        let path = format!("/api/v1/sessions?{query}");
        assert_eq!(server.ask(Ask { path: &path, ..ask }).status, 422, "{query}");
    }
    let ask = Ask::new("POST", "/api/v1/sessions?source_tool=x&tags=nope", &key).archive(b"x");
    assert_eq!(server.ask(ask).status, 400);
}

#[test]
fn messages_workspace_and_tools_are_as_the_client_wrote_them() {
    let server = Server::new();
    let key = server.sign_up("alice@example.com");
    let mut files = session(&id(1), 3);
    files[1].1.extend_from_slice(b"not a message\n\n[1]\n{\"msg_id\":\"last\",\"extra\":{\"a\":1}}");
    files.push(("checkpoints/one/messages.jsonl".into(), session(&id(1), 3)[1].1.clone()));
    server.put(&key, &id(1), &packed(&files), None);
    let get = |rest: &str| server.get(&format!("/api/v1/sessions/{}/{rest}", id(1)), &key);
    let page = get("messages?page=2&page_size=2").json();
    assert_eq!((&page["total"], &page["has_more"]), (&json!(7), &json!(true)), "a checkpoint's are not among them");
    assert_eq!(page["messages"][0]["msg_id"], format!("{}-2", id(1)));
    assert_eq!(page["messages"][0]["metadata"]["cc_cwd"], "/work");
    assert_eq!(get("messages?page=4&page_size=2").json()["messages"], json!([{"msg_id": "last", "extra": {"a": 1}}]));
    assert_eq!(get("messages?page=9").json()["messages"], json!([]));
    assert_eq!(get("workspace").json()["workspace"]["git"]["branch"], "main");
    assert_eq!(get("tools").json(), json!({"tools": {"tools_used": ["Bash"]}}));
    server.put(&key, &id(2), &packed(&session(&id(2), 1)[..2]), None);
    let get = |rest: &str| server.get(&format!("/api/v1/sessions/{}/{rest}", id(2)), &key);
    assert_eq!(get("workspace").refusal(), "404 404 No workspace.json in session archive");
    assert_eq!(get("tools").refusal(), "404 404 No tools.json in session archive");
    assert_eq!(server.detail(&key, &id(1))["turn_count"], 3);
}

#[test]
fn an_archive_without_a_manifest_is_a_session_of_an_unknown_tool() {
    let server = Server::new();
    let key = server.sign_up("alice@example.com");
    let messages = session(&id(1), 2)[1].1.clone();
    for (number, manifest) in
        [None, Some("nonsense"), Some("[]"), Some("{\"source\": 5, \"tags\": {}}")].into_iter().enumerate()
    {
        let number = number as u32;
        let mut files: Vec<(&str, &[u8])> = vec![("messages.jsonl", &messages)];
        files.extend(manifest.map(|text| ("manifest.json", text.as_bytes())));
        let put = server.put(&key, &id(number), &tar_gz(&files), None);
        assert_eq!(put.status, 201, "{manifest:?}: {put:?}");
        let detail = server.detail(&key, &id(number));
        assert_eq!((&detail["source_tool"], &detail["message_count"]), (&json!("unknown"), &json!(4)), "{manifest:?}");
        assert_eq!(detail["original_session_id"], Value::Null);
    }
    assert_eq!(server.put(&key, &id(9), &tar_gz(&[("note.txt", b"only a note")]), None).status, 201);
    assert_eq!(server.get("/api/v1/sessions", &key).json()["total"], 5);
    assert_eq!(files_of(&server.sync(&key, &id(9)).body), [("note.txt".to_owned(), b"only a note".to_vec())]);
}

#[test]
fn two_clients_that_name_one_session_in_two_ways_keep_both() {
    let server = Server::new();
    let key = server.sign_up("alice@example.com");
    let mut other = session(&id(1), 2);
    other[0].1 = String::from_utf8(other[0].1.clone())
        .unwrap()
        .replace(&id(1), &id(2))
        .replace("native-ses_0000000000000002", "native-ses_0000000000000001")
        .into_bytes();
    server.put(&key, &id(1), &packed(&session(&id(1), 2)), None);
    assert_eq!(server.put(&key, &id(2), &packed(&other), None).status, 201);
    assert!(files_of(&server.sync(&key, &id(1)).body) == session(&id(1), 2));
    assert!(files_of(&server.sync(&key, &id(2)).body) == other);
    // Our own clients name a session by its tool's id: they get both, and a share of one of them opens no other one.
    let changes: Changes = serde_json::from_slice(&server.get("/api/v1/delta/changes?since=0", &key).body).unwrap();
    let names: Vec<_> =
        changes.sessions.iter().map(|session| (session.id.as_str(), session.native_id.as_str())).collect();
    assert_eq!(names, [(&*id(1), "native-ses_0000000000000001"), (&*id(2), &*id(2))]);
}

#[test]
fn bad_uploads_are_refused_and_leave_nothing() {
    let server = Server::with(Policy { max_upload: 10_000, ..super::policy() });
    let key = server.sign_up("alice@example.com");
    let path = format!("/api/v1/sessions/{}/sync", id(1));
    let whole = packed(&session(&id(1), 2));
    let put = |archive: &[u8]| server.put(&key, &id(1), archive, None).refusal();
    assert_eq!(put(b"vm\n"), "400 400 Invalid tar.gz archive: not a gzip file");
    assert!(put(&whole[..whole.len() / 2]).starts_with("400 400 Invalid tar.gz archive: "), "the original's 500");
    assert_eq!(put(&tar_gz(&[])), "400 400 Invalid tar.gz archive: it is empty");
    assert_eq!(put(&tar_gz(&[("a", b"1"), ("a", b"2")])), "400 400 Duplicate name in tar archive: a");
    assert_eq!(put(&[7; 10_001]), "413 too_large The archive is larger than 10000 bytes");
    assert!(put(&[7; 10_000]).starts_with("400 400 Invalid"), "the limit itself passes");
    let mut lying = session(&id(1), 1);
    let mut manifest = manifest_of(&lying);
    manifest["metadata"] = json!({"native": [{"file": "native/main", "stream": "main", "generation": 0,
        "format": "claude-code/jsonl", "native_path": null, "bytes": 3, "sha256": "00"}]});
    lying[0].1 = manifest.to_string().into_bytes();
    lying.push(("native/main".into(), b"{}\n".to_vec()));
    assert_eq!(put(&packed(&lying)), "400 400 The archive's files contradict its manifest");
    let missing = "422 422 Validation error";
    assert_eq!(server.ask(Ask::new("PUT", &path, &key)).refusal(), missing);
    let mut raw = Ask::new("PUT", &path, &key).header("content-type", "application/gzip");
    raw.body.clone_from(&whole);
    assert_eq!(server.ask(raw).refusal(), missing);
    let mut other = Ask::new("PUT", &path, &key).archive(&whole);
    other.body = form("other", &whole);
    let reply = server.ask(other);
    assert_eq!(reply.refusal(), missing);
    assert_eq!(reply.json()["error"]["details"]["errors"][0]["loc"], json!(["body", "file"]));
    let mut cut = Ask::new("PUT", &path, &key).archive(&whole);
    cut.body.truncate(cut.body.len() - 10);
    assert_eq!(server.ask(cut).refusal(), "400 400 Malformed form: the body ends early");
    assert_eq!(server.get("/api/v1/sessions", &key).json()["total"], 0);
    assert_eq!(std::fs::read_dir(server.folder.path().join("data/tmp")).unwrap().count(), 0, "files were left");
    server.assert_sound();
}

#[test]
fn a_quota_is_kept() {
    let server = Server::with(Policy { quota: Some(400_000), ..super::policy() });
    let key = server.sign_up("alice@example.com");
    let noise = |n: u32| -> Vec<u8> {
        (0..60_000u32)
            .map(|i| (i.wrapping_mul(2_654_435_761).wrapping_add(n.wrapping_mul(97)).rotate_left(i % 31) >> 13) as u8)
            .collect()
    };
    let mut stored = Vec::new();
    let refused = (0..20).find_map(|n| {
        let archive = tar_gz(&[("messages.jsonl", b"{}\n"), ("noise", &noise(n))]);
        let put = server.put(&key, &id(n), &archive, None);
        if put.status == 201 {
            stored.push(id(n));
        }
        (put.status != 201).then_some(put)
    });
    let refused = refused.unwrap();
    assert_eq!(refused.refusal(), "507 quota_exceeded The account's quota is used up");
    assert_eq!(refused.json()["error"]["details"]["quota_bytes"], 400_000);
    assert!(!stored.is_empty());
    for id in stored {
        assert_eq!(server.sync(&key, &id).status, 200);
    }
    let other = server.sign_up("bob@example.com");
    assert_eq!(server.put(&other, &id(1), &packed(&session(&id(1), 1)), None).status, 201, "everybody has his own");
    server.assert_sound();
}

#[test]
fn who_looks_after_the_server_sees_what_happened() {
    let server = Server::with(Policy { signup: Signup::Open, ..super::policy() });
    let (admin, other) = (server.sign_up("admin@example.com"), server.sign_up("bob@example.com"));
    server.put(&other, &id(1), &packed(&session(&id(1), 1)), None);
    server.put(&other, &id(1), &packed(&session(&id(1), 2)), None);
    server.sync(&other, &id(1));
    server.ask(Ask::new("DELETE", &format!("/api/v1/sessions/{}", id(1)), &other));
    server.get("/api/v1/sessions", "sk_sfs_00000000000000000000000000000000");
    server.ask(Ask::new("POST", "/api/v1/auth/keys", &other).json(&json!({"name": "laptop"})));
    let events = server.get("/api/v1/admin/audit?limit=50", &admin).json();
    let words: Vec<&str> = events["events"].as_array().unwrap().iter().map(|e| e["event"].as_str().unwrap()).collect();
    assert_eq!(words, ["key_created", "auth_failed", "deleted", "pulled", "conflict", "pushed", "signup", "signup"]);
    let pushed = &server.get("/api/v1/admin/audit?event=pushed&account=bob@example.com", &admin).json()["events"][0];
    assert_eq!((&pushed["session"], &pushed["address"]), (&json!(id(1)), &json!("127.0.0.1")));
    assert_eq!(server.get("/api/v1/admin/users", &admin).json()["users"][1]["keys"], 2);
    let invite = server.ask(Ask::new("POST", "/api/v1/admin/invites", &admin).json(&json!({"days": 1})));
    assert!(invite.json()["invite"].as_str().unwrap().starts_with("inv_"), "{invite:?}");
    for (method, path) in
        [("GET", "/api/v1/admin/audit"), ("GET", "/api/v1/admin/users"), ("POST", "/api/v1/admin/invites")]
    {
        assert_eq!(server.ask(Ask::new(method, path, &other)).refusal(), "403 403 Only for administrators");
    }
}

#[test]
fn a_sessions_own_bytes_are_archived_and_come_back_with_everything_beside_them() {
    let home = TestHome::with(&["claude/multi"]);
    home.sfs(&["import"]);
    let session_id = home.json(&["list", "--json"])[0]["id"].as_str().unwrap().to_owned();
    home.sfs(&["export", &session_id, "-o", "s.tar.gz"]);
    let archive = std::fs::read(home.path().join("s.tar.gz")).unwrap();
    let server = Server::new();
    let key = server.sign_up("alice@example.com");
    let put = server.put(&key, &session_id, &archive, None);
    assert_eq!(put.status, 201, "{put:?}");
    assert!(files_of(&server.sync(&key, &session_id).body) == files_of(&archive));
    let shown = home.json(&["show", &session_id, "--json"]);
    let detail = server.detail(&key, &session_id);
    for (ours, theirs) in [
        ("message_count", "message_count"),
        ("turn_count", "turn_count"),
        ("title", "title"),
        ("tool", "source_tool"),
        ("native_id", "original_session_id"),
        ("input_tokens", "total_input_tokens"),
    ] {
        assert_eq!(shown[ours], detail[theirs], "{ours}");
    }
    // The published client unpacks it, notes the entity tag in the manifest, makes a checkpoint, and pushes all of it.
    let mut files = files_of(&archive);
    let mut manifest = manifest_of(&files);
    manifest["sync"] = json!({"etag": put.etag()});
    files.iter_mut().find(|(name, _)| name == "manifest.json").unwrap().1 = manifest.to_string().into_bytes();
    files.insert(0, ("checkpoints/one/messages.jsonl".into(), b"{}\n".to_vec()));
    let again = server.put(&key, &session_id, &packed(&files), Some(&put.etag()));
    assert_eq!(again.status, 200, "{again:?}");
    let pulled = server.sync(&key, &session_id);
    assert!(files_of(&pulled.body) == files);
    // And on another machine of ours it is the session that it was.
    let other = TestHome::new();
    std::fs::write(other.path().join("p.tar.gz"), &pulled.body).unwrap();
    assert_eq!(other.sfs(&["import", "p.tar.gz"]).code, Some(0));
    let native = |home: &TestHome| {
        let folder = home.path().join("native");
        assert_eq!(home.sfs(&["export", &session_id, "--format", "native", "-o", "native"]).code, Some(0));
        crate::support::written::files_below(&folder)
    };
    assert!(native(&home) == native(&other));
    server.assert_sound();
}

/// The exported session with its main stream cut after so many lines, and another stream of so many bytes.
fn cut(files: &[(String, Vec<u8>)], lines: usize, more: usize) -> Vec<u8> {
    let mut files = files.to_vec();
    let mut manifest = manifest_of(&files);
    let content = |files: &mut Vec<(String, Vec<u8>)>, name: &str| {
        files.iter().position(|(file, _)| file == name).map(|at| files.remove(at).1).unwrap_or_default()
    };
    let main = content(&mut files, "native/main");
    let main: Vec<u8> = main.split_inclusive(|byte| *byte == b'\n').take(lines).flatten().copied().collect();
    let noise: Vec<u8> = (0..more as u32).map(|n| b'a' + (n.wrapping_mul(2_654_435_761) >> 28) as u8).collect();
    let listed = |name: &str, format: &str, bytes: &[u8]| {
        json!({"file": format!("native/{name}"), "stream": name, "generation": 0, "format": format, "native_path": null,
            "bytes": bytes.len(), "sha256": sessionfs::id::Hash::of(bytes).hex()})
    };
    manifest["metadata"]["native"] =
        json!([listed("main", "claude-code/jsonl", &main), listed("tool-results/x.txt", "file", &noise)]);
    content(&mut files, "manifest.json");
    files.retain(|(name, _)| !name.starts_with("native/"));
    files.push(("manifest.json".into(), manifest.to_string().into_bytes()));
    files.push(("native/main".into(), main));
    files.push(("native/tool-results/x.txt".into(), noise));
    packed(&files)
}

#[test]
fn who_has_less_than_the_server_gets_the_whole_session() {
    let home = TestHome::with(&["claude/multi"]);
    home.sfs(&["import"]);
    let session_id = home.json(&["list", "--json"])[0]["id"].as_str().unwrap().to_owned();
    home.sfs(&["export", &session_id, "-o", "s.tar.gz"]);
    let files = files_of(&std::fs::read(home.path().join("s.tar.gz")).unwrap());
    let server = Server::new();
    let key = server.sign_up("alice@example.com");
    let whole = server.put(&key, &session_id, &cut(&files, 1000, 10), None);
    let part = server.put(&key, &session_id, &cut(&files, 8, 10), Some(&whole.etag()));
    assert_eq!(part.status, 200, "{part:?}");
    let pulled = files_of(&server.sync(&key, &session_id).body);
    let of = |files: &[(String, Vec<u8>)], name: &str| {
        files.iter().find(|(file, _)| file == name).map(|(_, bytes)| bytes.clone())
    };
    assert!(of(&pulled, "native/main") == of(&files, "native/main"));
    assert!(of(&pulled, "messages.jsonl") == of(&files, "messages.jsonl"));
    let path = format!("/api/v1/sessions/{session_id}");
    let messages = server.get(&format!("{path}/messages?page_size=2"), &key).json();
    let lines = String::from_utf8(of(&files, "messages.jsonl").unwrap()).unwrap();
    assert_eq!(messages["total"], lines.lines().count());
    assert_eq!(messages["messages"][0], serde_json::from_str::<Value>(lines.lines().next().unwrap()).unwrap());
    assert_eq!(
        server.get(&format!("{path}/workspace"), &key).json()["workspace"]["root_path"],
        server_workspace(&files)
    );
    assert_eq!(server.get(&format!("{path}/tools"), &key).status, 404);
    // The published clients refuse an archive that has a member of more than 50 MiB.
    let large = server.put(&key, &session_id, &cut(&files, 1000, 40 << 20), Some(&part.etag()));
    assert_eq!(large.status, 200, "{large:?}");
    assert_eq!(server.put(&key, &session_id, &cut(&files, 8, 10), Some(&large.etag())).status, 200);
    let pulled = files_of(&server.sync(&key, &session_id).body);
    assert!(pulled.iter().all(|(name, _)| !name.starts_with("native/")));
    assert_eq!(manifest_of(&pulled)["metadata"]["native"], Value::Null);
    assert!(of(&pulled, "messages.jsonl") == of(&files, "messages.jsonl"));
    server.assert_sound();
}

fn server_workspace(files: &[(String, Vec<u8>)]) -> Value {
    let (_, bytes) = files.iter().find(|(name, _)| name == "workspace.json").unwrap();
    serde_json::from_slice::<Value>(bytes).unwrap()["root_path"].clone()
}

#[test]
fn what_came_by_another_way_is_in_the_next_pull_and_changes_the_etag() {
    let server = Server::new();
    let key = server.sign_up("alice@example.com");
    let files = session(&id(1), 2);
    let etag = server.put(&key, &id(1), &packed(&files), None).etag();
    let account = server.api.accounts().list().unwrap()[0].0.id;
    let more = session(&id(1), 3)[1].1[files[1].1.len()..].to_vec();
    server
        .api
        .archives()
        .with(account, |store| {
            let row = store.find_native("claude-code", &format!("native-{}", id(1)))?.unwrap();
            let mut main = store.newest_stream(row.id, "main")?.unwrap();
            store.write(|store| store.append(&mut main, &more))
        })
        .unwrap();
    let newer = server.detail(&key, &id(1))["etag"].as_str().unwrap().to_owned();
    assert_ne!(newer, etag);
    let pulled = files_of(&server.sync(&key, &id(1)).body);
    let messages = pulled.iter().find(|(name, _)| name == "messages.jsonl").unwrap();
    assert_eq!(String::from_utf8_lossy(&messages.1).lines().count(), 6);
    assert_eq!(server.put(&key, &id(1), &packed(&files), Some(&etag)).status, 409);
    assert_eq!(server.put(&key, &id(1), &packed(&files), Some(&newer)).status, 200);
    assert!(files_of(&server.sync(&key, &id(1)).body) == files, "what was pushed last, once more");
    server.assert_sound();
}
