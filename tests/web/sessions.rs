//! The list, one session beside its messages, and what can be done with it.

use super::{Site, cases};
use crate::server::{Ask, files_of};
use crate::support::home::TestHome;
use serde_json::{Value, json};
use sessionfs::model::query::{Case, Query};
use sessionfs::search;
use sessionfs::store::{Filter, SearchFilter};
use std::io::Read;

fn site() -> (TestHome, Site) {
    let home = TestHome::with(&["claude/chat", "claude/todo", "codex/fork", "codex/patch", "gemini/tools"]);
    let site = Site::of(&home);
    (home, site)
}

fn titles(list: &Value) -> Vec<&str> {
    list["sessions"].as_array().unwrap().iter().map(|session| session["title"].as_str().unwrap_or("")).collect()
}

#[test]
fn the_list_has_pages_filters_and_orders() {
    let (_home, site) = site();
    let all = site.json("/api/web/sessions");
    let total = all["total"].as_u64().unwrap();
    assert_eq!((total, &all["page"], &all["page_size"], &all["is_whole"]), (6, &json!(1), &json!(100), &json!(true)));
    let mut paged = Vec::new();
    for page in 1..=3 {
        let page = site.json(&format!("/api/web/sessions?page={page}&page_size=2"));
        assert_eq!(page["total"], total);
        paged.extend(page["sessions"].as_array().unwrap().clone());
    }
    assert_eq!(&Value::from(paged), &all["sessions"]);
    let count = |query: &str| site.json(&format!("/api/web/sessions?{query}"))["total"].as_u64().unwrap();
    assert_eq!((count("tool=codex"), count("tool=claude"), count("tool=nobody")), (3, 2, 0));
    let project = all["sessions"][0]["project"].as_str().unwrap();
    assert!(count(&format!("project={project}")) >= 1);
    let model = all["sessions"][0]["model"].as_str().unwrap();
    assert!(count(&format!("model={model}")) >= 1);
    assert_eq!(
        (count("since=2100-01-01"), count("until=2100-01-01"), count("since=2026-11-22&until=2026-11-22")),
        (0, 6, 6)
    );
    for sort in ["updated", "created", "messages", "tokens", "cost"] {
        assert_eq!(count(&format!("sort={sort}")), 6);
    }
    for wrong in ["sort=up", "since=yesterday", "page=0", "page_size=501"] {
        assert_eq!(site.get(&format!("/api/web/sessions?{wrong}")).status, 422, "{wrong}");
    }
    let fork = all["sessions"].as_array().unwrap().iter().find(|s| s["relation"] == "fork").unwrap();
    let parent = site.json(&format!("/api/web/sessions/{}", fork["parent_id"].as_str().unwrap()));
    assert_eq!(parent["lineage"]["children"][0]["session"]["id"], fork["id"]);
    let detail = site.json(&format!("/api/web/sessions/{}", fork["id"].as_str().unwrap()));
    assert_eq!(detail["lineage"]["parent"]["id"], parent["session"]["id"]);
    assert_eq!(detail["lineage"]["relation"], "fork");
}

#[test]
fn what_is_looked_for_is_marked_and_nothing_else_is_markup() {
    let (home, site) = site();
    let found = site.json("/api/web/sessions?q=patch");
    assert!(found["total"].as_u64().unwrap() >= 1, "{found}");
    for session in found["sessions"].as_array().unwrap() {
        let html = session["snippet"]["html"].as_str().unwrap();
        assert!(html.contains("<mark>"), "{html}");
        assert!(!html.replace("<mark>", "").replace("</mark>", "").contains('<'), "{html}");
        let window = format!(
            "/api/web/sessions/{}/messages?around={}",
            session["id"].as_str().unwrap(),
            session["snippet"]["message_id"].as_str().unwrap()
        );
        let window = site.json(&window);
        let ids: Vec<&Value> = window["messages"].as_array().unwrap().iter().map(|message| &message["id"]).collect();
        assert!(ids.contains(&&session["snippet"]["message_id"]), "{window}");
    }
    assert_eq!(site.json("/api/web/sessions?q=atc")["total"], found["total"], "inside of words, where none is whole");
    assert_eq!(site.json("/api/web/sessions?q=xyzzyplugh")["total"], 0);
    assert_eq!(site.json("/api/web/sessions?q=patch&tool=gemini")["total"], 0);
    assert_eq!(titles(&site.json("/api/web/sessions?q=patch&sort=updated&page_size=1")).len(), 1);
    assert_eq!(site.get("/api/web/sessions?q=NOT%20a").status, 422, "a query that can't be asked says why");
    drop(home);
}

#[test]
fn facets_and_sums_count_what_there_is() {
    let (_home, site) = site();
    let facets = site.json("/api/web/facets");
    assert_eq!(facets["tools"][0], json!({"name": "Codex", "id": "codex", "count": 3}));
    assert_eq!(facets["tags"], json!([]));
    let stats = site.json("/api/web/stats?since=2020-01-01");
    assert_eq!(stats["total"]["sessions"], 6);
    let by = |name: &str| {
        stats[name].as_array().unwrap().iter().map(|row| row["output_tokens"].as_u64().unwrap()).sum::<u64>()
    };
    let total = stats["total"]["output_tokens"].as_u64().unwrap();
    assert_eq!((by("days"), by("tools"), by("projects"), by("models")), (total, total, total, total));
    assert_eq!(site.json("/api/web/stats?since=2100-01-01")["days"], json!([]));
}

#[test]
fn every_route_answers_for_every_recorded_session_of_every_tool() {
    let mut sessions = 0;
    for (name, home) in cases() {
        let site = Site::of(&home);
        for id in site.ids() {
            let path = format!("/api/web/sessions/{id}");
            let detail = site.json(&path);
            assert_eq!(detail["session"]["id"], id.as_str(), "{name}");
            for field in
                ["native_id", "tool_name", "git", "lineage", "checkpoints", "usage", "notes", "agents", "commands"]
            {
                assert!(!detail[field].is_null(), "{name} {field}");
            }
            let window = site.json(&format!("{path}/messages?limit=200"));
            assert_eq!(window["total"], detail["message_count"], "{name}");
            for message in window["messages"].as_array().unwrap() {
                let kind = message["kind"].as_str().unwrap();
                assert!(["user", "assistant", "tool", "system", "compaction", "task"].contains(&kind), "{name} {kind}");
                let html = message["html"].as_str().unwrap();
                crate::html::check_elements(html);
                assert!(!html.contains(" style="), "{name}");
                let whole = site.json(&format!("{path}/messages/{}", message["number"]));
                assert_eq!((&whole["id"], &whole["is_cut"]), (&message["id"], &json!(false)), "{name}");
            }
            let outline = site.json(&format!("{path}/outline"));
            assert_eq!(outline["total"], window["total"], "{name}");
            for agent in detail["agents"].as_array().unwrap() {
                let agent_id = agent["id"].as_str().unwrap();
                let thread = site.json(&format!("{path}/messages?agent={agent_id}&limit=200"));
                assert_eq!(thread["total"], agent["message_count"], "{name}");
            }
            for (format, begin) in [("sfs", &b"\x1f\x8b"[..]), ("markdown", b"# "), ("html", b"<!DOCTYPE html>")] {
                let file = site.get(&format!("{path}/download?format={format}"));
                // What has no conversation has no page of one.
                if window["total"] == 0 && file.status == 404 {
                    continue;
                }
                assert_eq!(file.status, 200, "{name} {format} {}", String::from_utf8_lossy(&file.body));
                assert!(file.body.starts_with(begin), "{name} {format}");
                assert!(file.header("content-disposition").unwrap().starts_with("attachment; filename=\"ses_"));
            }
            sessions += 1;
        }
    }
    assert!(sessions > 60, "{sessions}");
}

#[test]
fn a_session_is_renamed_tagged_deleted_and_brought_back() {
    let (_home, site) = site();
    let id = site.ids()[0].clone();
    let path = format!("/api/web/sessions/{id}");
    let edited = site.send("PATCH", &path, &json!({"title": "<b>Mine</b>", "tags": ["b", "a", "b"]})).json();
    assert_eq!((&edited["title"], &edited["tags"]), (&json!("<b>Mine</b>"), &json!(["a", "b"])));
    assert_eq!(site.json("/api/web/sessions?tag=a")["total"], 1);
    assert_eq!(site.json("/api/web/facets")["tags"], json!([{"name": "a", "count": 1}, {"name": "b", "count": 1}]));
    let back = site.send("PATCH", &path, &json!({"title": null})).json();
    assert_ne!(back["title"], "<b>Mine</b>");
    assert_eq!(back["tags"], json!(["a", "b"]), "what is not named stays");
    for wrong in [json!({"title": 1}), json!({"tags": "a"}), json!({"tags": [""]}), json!({"title": "x".repeat(501)})] {
        assert_eq!(site.send("PATCH", &path, &wrong).status, 422, "{wrong}");
    }
    assert_eq!(site.send("POST", &format!("{path}/restore"), &Value::Null).status, 409);
    assert_eq!(site.send("DELETE", &path, &Value::Null).status, 204);
    assert_eq!(site.send("DELETE", &path, &Value::Null).status, 404);
    assert_eq!(site.json("/api/web/sessions")["total"], 5);
    let deleted = site.json("/api/web/sessions?deleted=1");
    assert_eq!((&deleted["total"], &deleted["sessions"][0]["id"]), (&json!(1), &json!(id)));
    assert!(deleted["sessions"][0]["deleted_at"].is_string());
    assert_eq!(site.json(&path)["session"]["id"], id.as_str(), "it can be looked at before it is brought back");
    assert_eq!(site.send("POST", &format!("{path}/restore"), &Value::Null).json()["id"], id.as_str());
    assert_eq!(site.json("/api/web/sessions")["total"], 6);
    let events = site.json("/api/v1/admin/audit");
    let events: Vec<&str> = events["events"].as_array().unwrap().iter().map(|e| e["event"].as_str().unwrap()).collect();
    assert!(["edited", "deleted", "restored", "signed_in"].iter().all(|event| events.contains(event)), "{events:?}");
}

#[test]
fn tags_have_the_same_limits_wherever_they_are_given() {
    let (_home, site) = site();
    let ids = site.ids();
    let full: Vec<String> = (0..20).map(|n| format!("t{n}")).collect();
    let path = format!("/api/web/sessions/{}", ids[0]);
    assert_eq!(site.send("PATCH", &path, &json!({"tags": full})).status, 200);
    let bulk = |tag: Value| {
        site.send("POST", "/api/web/sessions/bulk", &json!({"ids": ids[..2], "action": "tag", "tag": tag}))
    };
    let answer = bulk(json!(" one more ")).json();
    let failed = json!([{"id": ids[0], "message": "A session has at most 20 tags: take one away first"}]);
    assert_eq!(answer, json!({"done": 1, "failed": failed}));
    assert_eq!(site.json(&path)["session"]["tags"].as_array().unwrap().len(), 20);
    assert_eq!(site.json(&format!("/api/web/sessions/{}", ids[1]))["session"]["tags"], json!(["one more"]));
    assert_eq!(bulk(json!("t3")).json()["done"], 2, "one that it has is none more");
    for wrong in
        [json!(""), json!(" "), json!("a\nb"), json!("a\u{1b}[31m"), json!("x".repeat(51)), json!(1), json!(null)]
    {
        assert_eq!(bulk(wrong.clone()).status, 422, "{wrong}");
        assert_eq!(site.send("PATCH", &path, &json!({"tags": [wrong]})).status, 422, "{wrong}");
    }
    assert_eq!(bulk(json!("ж".repeat(50))).json()["done"], 1);
    // Tags of before are kept, and can be taken away.
    let odd = ["a\tb", " c"].map(str::to_owned);
    site.server
        .api
        .archives()
        .with(site.account, |store| {
            let row = store.resolve(&ids[2])?.id;
            store.write(|store| store.set_tags(row, &odd))
        })
        .unwrap();
    let path = format!("/api/web/sessions/{}", ids[2]);
    assert_eq!(
        site.send("PATCH", &path, &json!({"tags": ["a\tb", " c", " d "]})).json()["tags"],
        json!([" c", "a\tb", "d"])
    );
    assert_eq!(site.send("PATCH", &path, &json!({"tags": [" c", "d"]})).json()["tags"], json!([" c", "d"]));
    let untag = json!({"ids": [ids[2]], "action": "untag", "tag": " c"});
    assert_eq!(site.send("POST", "/api/web/sessions/bulk", &untag).json()["done"], 1);
    assert_eq!(site.json(&path)["session"]["tags"], json!(["d"]));
    let path = format!("/api/web/sessions/{}", ids[0]);
    assert_eq!(site.send("PATCH", &path, &json!({"title": "a\nb"})).status, 422);
}

#[test]
fn what_is_no_address_is_told_so() {
    let (_home, site) = site();
    for (query, field) in [
        ("page=-1", "page"),
        ("page=99999999999999999999999999999999999999999999", "page"),
        ("page=x", "page"),
        ("page_size=0", "page_size"),
        ("sort=up", "sort"),
        ("since=yesterday", "since"),
        ("until=2026-13-40", "until"),
    ] {
        let reply = site.get(&format!("/api/web/sessions?{query}"));
        assert_eq!(reply.refusal(), "422 422 Validation error", "{query}");
        assert_eq!(reply.json()["error"]["details"]["errors"][0]["loc"], json!(["query", field]), "{query}");
    }
    let beyond = site.json("/api/web/sessions?page=1000000000");
    assert_eq!((&beyond["total"], &beyond["sessions"]), (&json!(6), &json!([])));
    let id = &site.ids()[0];
    for path in ["not-an-id", "%ff", "ses_", "ses_0000000000000000"] {
        assert_eq!(site.get(&format!("/api/web/sessions/{path}")).refusal(), "404 404 Session not found", "{path}");
    }
    for (path, status) in [
        ("messages?from=-1", 422),
        ("messages?from=99999999999", 422),
        ("messages?around=%ff", 400),
        ("messages?around=nonsense", 404),
        ("messages/-1", 404),
        ("messages/99999999999999999999", 404),
        ("outline?around=-1", 422),
    ] {
        let reply = site.get(&format!("/api/web/sessions/{id}/{path}"));
        assert_eq!(reply.status, status, "{path}: {}", reply.refusal());
    }
    assert_eq!(site.json(&format!("/api/web/sessions/{id}/messages?from=4294967295"))["messages"], json!([]));
}

/// Of what is very large, or very common, a first answer looks at a part, and says so.
#[test]
fn a_first_answer_has_its_limits_and_says_so() {
    use crate::support::written::{claude_file, claude_line, id, write};
    let home = TestHome::new();
    let mut text = String::new();
    for n in 0..20 {
        text += &claude_line(&id(1), n, "user", &"x".repeat(1 << 20)).to_string();
        text.push('\n');
    }
    text += &claude_line(&id(1), 20, "user", "prefixneedlesuffix").to_string();
    text.push('\n');
    write(&claude_file(&home, &id(1)), text);
    let common = (0..300).map(|n| claude_line(&id(2), n, "user", "common").to_string() + "\n");
    write(&claude_file(&home, &id(2)), common.collect::<String>());
    let site = Site::of(&home);
    let first = site.json("/api/web/sessions?q=needle&model=none");
    assert_eq!((&first["total"], &first["is_whole"]), (&json!(0), &json!(true)), "{first}");
    let project = "project=%2Fhome%2Fdev%2Fwork%2Fproject";
    let first = site.json(&format!("/api/web/sessions?q=needle&{project}"));
    assert_eq!((&first["total"], &first["is_whole"]), (&json!(0), &json!(false)), "{first}");
    let further = site.json(&format!("/api/web/sessions?q=needle&{project}&further=1"));
    assert_eq!((&further["total"], &further["is_whole"]), (&json!(1), &json!(true)), "{further}");

    let effort = |messages: usize| search::Effort { messages, bytes: 0 };
    let query = Query::parse("common", Case::Ignored).unwrap();
    let found = |tool: &str, messages: usize| {
        let sessions = Filter { tool: Some(tool.to_owned()), ..Filter::default() };
        let filter = SearchFilter { sessions, ..SearchFilter::default() };
        let archives = site.server.api.archives();
        let found = archives.with(site.account, |store| -> sessionfs::error::Result<_> {
            search::sessions(store, &query, &filter, 80, effort(messages))
        });
        let found = found.unwrap();
        (found.hits.len(), found.is_whole)
    };
    // What the filter leaves nothing of is looked at no longer than anything else.
    assert_eq!(found("codex", 100), (0, false));
    assert_eq!(found("claude-code", 100), (1, false));
    assert_eq!(found("claude-code", 100_000), (1, true));
}

#[test]
fn several_sessions_are_changed_and_exported_at_once() {
    let (_home, site) = site();
    let mut ids = site.ids();
    ids.truncate(3);
    let missing = "ses_0000000000000000";
    let bulk = |body: Value| site.send("POST", "/api/web/sessions/bulk", &body);
    let meant: Vec<&str> = ids.iter().map(String::as_str).chain([missing]).collect();
    let tagged = bulk(json!({"ids": meant, "action": "tag", "tag": "t"})).json();
    assert_eq!(tagged, json!({"done": 3, "failed": [{"id": missing, "message": "Session not found"}]}));
    assert_eq!(site.json("/api/web/sessions?tag=t")["total"], 3);
    assert_eq!(bulk(json!({"ids": ids, "action": "untag", "tag": "t"})).json()["done"], 3);
    assert_eq!(bulk(json!({"ids": ids, "action": "delete"})).json()["done"], 3);
    assert_eq!(site.json("/api/web/sessions")["total"], 3);
    assert_eq!(bulk(json!({"ids": ids, "action": "restore"})).json()["done"], 3);
    for wrong in [
        json!({"action": "tag", "tag": "t"}),
        json!({"ids": ids, "action": "burn"}),
        json!({"ids": ids, "action": "tag"}),
        json!({"ids": ["x"], "action": "delete"}),
        json!({"ids": vec![missing; 501], "action": "delete"}),
    ] {
        assert_eq!(bulk(wrong.clone()).status, 422, "{wrong}");
    }
    let export = site.send("POST", "/api/web/export", &json!({"ids": ids, "format": "markdown"}));
    assert_eq!(export.header("content-type"), Some("application/x-tar"));
    let mut tar = tar::Archive::new(&export.body[..]);
    let names: Vec<String> = tar
        .entries()
        .unwrap()
        .map(|entry| {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            assert!(text.starts_with("# "), "{text}");
            entry.path().unwrap().to_string_lossy().into_owned()
        })
        .collect();
    assert_eq!(names, ids.iter().map(|id| format!("{id}.md")).collect::<Vec<_>>());
    assert_eq!(site.send("POST", "/api/web/export", &json!({"ids": [missing]})).status, 404);
}

#[test]
fn a_download_is_whole_and_has_no_secrets_unless_they_are_wanted() {
    let home = TestHome::new();
    let key = "AKIAIOSFODNN7EXAMPLQ";
    let secret = format!("deploy with ghp_{} and {key}", "a1B2c3D4".repeat(5).get(..36).unwrap());
    crate::support::written::write(
        &crate::support::written::claude_file(&home, &crate::support::written::id(1)),
        format!("{}\n", crate::support::written::claude_line(&crate::support::written::id(1), 1, "user", &secret)),
    );
    let site = Site::of(&home);
    let path = format!("/api/web/sessions/{}/download", site.ids()[0]);
    let text = |query: &str| String::from_utf8(site.get(&format!("{path}?{query}")).body).unwrap();
    assert!(!text("format=markdown").contains("ghp_a1B2"), "{}", text("format=markdown"));
    assert!(text("format=markdown&redact=0").contains("ghp_a1B2"));
    assert!(!text("format=html").contains("ghp_a1B2"));
    let archive = site.get(&format!("{path}?format=sfs&redact=0"));
    assert!(files_of(&archive.body).iter().any(|(name, _)| name.ends_with("messages.jsonl")));
    assert_eq!(site.get(&format!("{path}?format=exe")).status, 422);
}

#[test]
fn checkpoints_are_made_and_forgotten() {
    let (_home, site) = site();
    let path = format!("/api/web/sessions/{}", site.ids()[0]);
    let add = |name: &str| site.send("POST", &format!("{path}/checkpoints"), &json!({"name": name})).status;
    assert_eq!((add("before +1 / ä"), add("a b+c")), (422, 201));
    assert_eq!(add("A B+C"), 409, "whatever the case");
    let named = site.json(&path)["checkpoints"].clone();
    assert_eq!(named[0]["name"], "a b+c");
    let remove = |name: &str| site.send("DELETE", &format!("{path}/checkpoints/{name}"), &Value::Null).status;
    assert_eq!((remove("nobody"), remove("a%20b+c"), remove("a%20b+c")), (404, 204, 404));
}

#[test]
fn changes_are_told_by_number() {
    let (_home, site) = site();
    let before = site.json("/api/web/changes?since=0");
    assert_eq!(before["sessions"].as_array().unwrap().len(), 6);
    let since = before["change"].as_i64().unwrap();
    let quiet = site.json(&format!("/api/web/changes?since={since}"));
    assert_eq!(quiet, json!({"change": since, "sessions": []}));
    let id = site.ids()[2].clone();
    site.send("PATCH", &format!("/api/web/sessions/{id}"), &json!({"title": "new"}));
    let changed = site.json(&format!("/api/web/changes?since={since}"));
    assert_eq!(changed["sessions"], json!([id]));
    assert!(changed["change"].as_i64().unwrap() > since);
    assert_eq!(
        site.json(&format!("/api/web/changes?since={since}&session=ses_0000000000000000"))["sessions"],
        json!([])
    );
}

#[test]
fn the_list_says_how_many_others_see_a_session() {
    let (_home, site) = site();
    let id = site.ids()[0].clone();
    let shared = site
        .server
        .ask(Ask::new("POST", &format!("/api/v1/sessions/{id}/shares"), &site.key).json(&json!({"link": true})));
    assert_eq!(shared.status, 201, "{shared:?}");
    assert_eq!(site.json("/api/web/sessions")["sessions"][0]["shared"], 1);
    assert_eq!(site.json(&format!("/api/web/sessions/{id}"))["session"]["shared"], 1);
    assert_eq!(site.json("/api/web/sessions")["sessions"][1]["shared"], 0);
}
