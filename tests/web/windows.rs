//! Windows on a session: one behind the other, they are its log, whatever their size and however the session came to be.

use super::{Site, cases};
use crate::support::home::TestHome;
use crate::support::written::{append, claude_file, claude_line, id, write};
use serde_json::{Value, json};
use sessionfs::export::{self, ArchivedSession};
use sessionfs::id::SessionId;
use std::ops::ControlFlow;

/// The ids of a session's log, without its sub-agents.
fn log(site: &Site, session: &str) -> Vec<String> {
    let id = SessionId::parse(session).unwrap();
    site.server
        .api
        .archives()
        .with(site.account, |store| -> sessionfs::error::Result<Vec<String>> {
            let row = store.find_public(&id)?.unwrap();
            let mut ids = Vec::new();
            export::for_each_message(&ArchivedSession::open(store, row)?, false, &mut |message| {
                ids.push(message.id);
                Ok(ControlFlow::Continue(()))
            })?;
            Ok(ids)
        })
        .unwrap()
}

fn messages(window: &Value) -> &Vec<Value> {
    window["messages"].as_array().unwrap()
}

/// All messages of a session, so many at a time.
fn walked(site: &Site, session: &str, limit: usize) -> Vec<Value> {
    let mut all = Vec::new();
    loop {
        let window = site.json(&format!("/api/web/sessions/{session}/messages?from={}&limit={limit}", all.len()));
        assert!(messages(&window).len() <= limit);
        all.extend(messages(&window).iter().cloned());
        if all.len() as u64 >= window["total"].as_u64().unwrap() {
            return all;
        }
        assert!(!messages(&window).is_empty(), "a walk comes to its end");
    }
}

fn ids(messages: &[Value]) -> Vec<String> {
    messages.iter().map(|message| message["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn windows_of_any_size_are_the_log() {
    for (name, home) in cases() {
        let site = Site::of(&home);
        for session in site.ids() {
            let log = log(&site, &session);
            for limit in [1, 3, 200] {
                let walked = walked(&site, &session, limit);
                assert_eq!(ids(&walked), log, "{name} {session} by {limit}");
                let numbers: Vec<u64> = walked.iter().map(|message| message["number"].as_u64().unwrap()).collect();
                assert_eq!(numbers, (0..log.len() as u64).collect::<Vec<_>>(), "{name}");
            }
            let end = site.json(&format!("/api/web/sessions/{session}/messages?at=end&limit=3"));
            assert_eq!(ids(messages(&end)), log[log.len().saturating_sub(3)..], "{name}");
            if let Some(last) = log.last() {
                let around = site.json(&format!("/api/web/sessions/{session}/messages?around={last}&limit=4"));
                assert!(ids(messages(&around)).contains(last), "{name}");
            }
            let beyond = site.json(&format!("/api/web/sessions/{session}/messages?from=1000000"));
            assert!(messages(&beyond).is_empty(), "{name}");
        }
    }
}

/// A session that is too large to be read at once for a window.
fn large(home: &TestHome, lines: u32) -> std::path::PathBuf {
    let path = claude_file(home, &id(1));
    let filler = "word ".repeat(400);
    let line = |n: u32| {
        let role = if n.is_multiple_of(2) { "user" } else { "assistant" };
        format!("{}\n", claude_line(&id(1), n, role, &format!("{n} {filler}")))
    };
    write(&path, (0..lines).map(line).collect::<String>());
    path
}

#[test]
fn a_large_session_is_the_same_by_the_index_and_by_reading_it() {
    let home = TestHome::new();
    let path = large(&home, 1500);
    let site = Site::of(&home);
    let session = site.ids()[0].clone();
    let window = |query: &str| site.json(&format!("/api/web/sessions/{session}/messages?{query}"));
    let first = window("from=700&limit=50");
    assert_eq!(first["are_branches_known"], false, "only a part of it was read");
    let log = log(&site, &session);
    assert_eq!(ids(messages(&first)), log[700..750]);
    let around = window(&format!("around={}&limit=10", log[1200]));
    assert!(ids(messages(&around)).contains(&log[1200]));
    assert_eq!(site.get(&format!("/api/web/sessions/{session}/messages?around=nobody")).status, 404);
    let walk = walked(&site, &session, 200);
    site.json(&format!("/api/web/sessions/{session}/outline"));
    let again = window("from=700&limit=50");
    assert_eq!(again["are_branches_known"], true);
    assert_eq!(messages(&again), messages(&first));
    assert_eq!(walked(&site, &session, 200), walk);
    // It grows, and only what is new is read.
    for n in 1500..1600 {
        let role = if n % 2 == 0 { "user" } else { "assistant" };
        append(&path, format!("{}\n", claude_line(&id(1), n, role, &format!("later {n}"))));
    }
    site.capture(&home);
    let end = window("at=end&limit=2");
    assert_eq!((&end["total"], ids(messages(&end))), (&Value::from(1600), self::log(&site, &session)[1598..].to_vec()));
    assert_eq!(ids(&walked(&site, &session, 200)), self::log(&site, &session));
    let found = site.json(&format!("/api/web/sessions/{session}/find?q=LATER%201555"));
    assert_eq!((&found["total"], &found["matches"][0]["number"]), (&Value::from(1), &Value::from(1555)));
    // Of many prompts, those around a message are told, and how many others there are.
    let outline = |around: u64| site.json(&format!("/api/web/sessions/{session}/outline?around={around}"));
    for (around, first) in [(0, 0), (199, 0), (801, 301), (1599, 600), (1_000_000, 600)] {
        let outline = outline(around);
        let prompts = outline["prompts"].as_array().unwrap();
        assert_eq!((prompts.len(), &outline["prompt_count"]), (200, &Value::from(800)), "{around}");
        assert_eq!(
            (&outline["first"], &prompts[0]["number"]),
            (&Value::from(first), &Value::from(2 * first)),
            "{around}"
        );
    }
}

/// A session in which a call was answered twice: the second answer stands beside the branch that goes on.
fn answered_twice() -> TestHome {
    let home = TestHome::new();
    let call = json!([{"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "ls"}}]);
    let result = |text: &str| json!([{"type": "tool_result", "tool_use_id": "t1", "content": text}]);
    let line = |number: u32, role: &str, parent: u32, content: &Value| {
        let mut line = claude_line(&id(1), number, role, "");
        line["message"]["content"] = content.clone();
        line["parentUuid"] = claude_line(&id(1), parent, role, "")["uuid"].clone();
        format!("{line}\n")
    };
    let question = format!("{}\n", claude_line(&id(1), 0, "user", "Which files?"));
    let rest = [
        line(1, "assistant", 0, &call),
        line(2, "user", 1, &result("a")),
        line(3, "user", 1, &result("b")),
        line(4, "assistant", 2, &json!([{"type": "text", "text": "a"}])),
    ];
    write(&claude_file(&home, &id(1)), question + &rest.concat());
    home
}

/// Which messages the model still sees is found without reading the conversation once more; it is what reading it says.
#[test]
fn what_is_live_is_what_the_conversation_holds() {
    let mut past = 0;
    for (name, home) in cases().into_iter().chain([("answered twice".to_owned(), answered_twice())]) {
        let site = Site::of(&home);
        for session in site.ids() {
            let id = SessionId::parse(&session).unwrap();
            let archives = site.server.api.archives();
            let log = archives.with(site.account, |store| -> sessionfs::error::Result<Vec<bool>> {
                let row = store.find_public(&id)?.unwrap();
                let session = ArchivedSession::open(store, row)?;
                let Ok(live) = export::live_ids(&session) else { return Ok(Vec::new()) };
                let mut log = Vec::new();
                export::for_each_message(&session, false, &mut |message| {
                    let is_live = live.contains(&message.id) || export::call_ids(&message).any(|id| live.contains(id));
                    log.push(is_live);
                    Ok(ControlFlow::Continue(()))
                })?;
                Ok(log)
            });
            let (log, shown) = (log.unwrap(), walked(&site, &session, 200));
            for (expected, message) in log.iter().zip(&shown) {
                assert_eq!(message["is_live"], *expected, "{name} {session} {}", message["id"]);
                past += usize::from(!expected);
            }
        }
    }
    assert!(past > 10, "{past}");
}

#[test]
fn a_session_that_a_tool_rewrites_is_seen_as_it_is_now() {
    let home = TestHome::new();
    let path = large(&home, 1300);
    let site = Site::of(&home);
    let session = site.ids()[0].clone();
    site.json(&format!("/api/web/sessions/{session}/outline"));
    let text = std::fs::read_to_string(&path).unwrap();
    let kept: Vec<&str> = text.lines().take(1200).collect();
    write(&path, kept.join("\n").replace("word word", "other other") + "\n");
    site.capture(&home);
    let walked = walked(&site, &session, 200);
    assert_eq!(ids(&walked), log(&site, &session));
    assert!(walked[0]["html"].as_str().unwrap().contains("other other"));
}

#[test]
fn abandoned_branches_and_compactions_are_told_apart() {
    let home = TestHome::with(&["claude/i_rewind"]);
    let site = Site::of(&home);
    let mut branches = 0;
    for session in site.ids() {
        let outline = site.json(&format!("/api/web/sessions/{session}/outline"));
        for branch in outline["branches"].as_array().unwrap() {
            let (from, to) = (branch["number"].as_u64().unwrap(), branch["to"].as_u64().unwrap());
            for message in walked(&site, &session, 200) {
                let number = message["number"].as_u64().unwrap();
                if (from..to).contains(&number) {
                    assert_eq!((&message["is_live"], &message["is_compacted"]), (&false.into(), &false.into()));
                }
            }
            branches += 1;
        }
    }
    assert!(branches > 0);
    let home = TestHome::with(&["claude/i_compact"]);
    let site = Site::of(&home);
    let session = &site.ids()[0];
    let outline = site.json(&format!("/api/web/sessions/{session}/outline"));
    assert_eq!((outline["compactions"].as_array().unwrap().len(), &outline["branches"]), (1, &serde_json::json!([])));
    let first = &walked(&site, session, 200)[0];
    assert_eq!((&first["is_live"], &first["is_compacted"]), (&false.into(), &true.into()));
}

#[test]
fn a_call_names_the_sub_agent_that_it_started() {
    let home = TestHome::with(&["claude/sub", "codex/agent"]);
    let site = Site::of(&home);
    let mut started = 0;
    for session in site.ids() {
        let detail = site.json(&format!("/api/web/sessions/{session}"));
        let Some(agent) = detail["agents"].get(0) else { continue };
        let messages = walked(&site, &session, 200);
        let calls: Vec<&Value> =
            messages.iter().filter(|message| message["agents"] == serde_json::json!([agent["id"]])).collect();
        assert_eq!(calls.len(), 1, "{detail}");
        started += 1;
    }
    assert_eq!(started, 2);
}
