//! Sessions written by hand, in the shapes in which sessions of other tools are written: the real clients send all of
//! it.

use super::{Call, Client, Piece, Received, assert_same, drive, ready, receive, shell_command};
use serde_json::{Value, json};
use std::path::Path;

/// A home with the file `name` of our fixtures at `place`.
fn home_with(name: &str, place: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let place = home.path().join(place);
    std::fs::create_dir_all(place.parent().unwrap()).unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/clients");
    std::fs::copy(fixtures.join(name), place).unwrap();
    home
}

fn call(name: &str, input: Value, result: &str) -> Call {
    Call { name: name.into(), input, result: result.into(), images: 0 }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn claude_sends_a_whole_session() {
    if !ready("claude_sends_a_whole_session", &[Client::ClaudeCode]) {
        return;
    }
    let id = "caf21956-29e1-4b0c-af5c-540d1c68d5d4";
    let home = home_with("claude_example.jsonl", &format!(".claude/projects/-home-dev-work-example/{id}.jsonl"));
    let received = receive(Client::ClaudeCode, home.path(), Path::new("/home/dev/work/example"), id).unwrap();
    let expected = Received {
        user_texts: texts(&["Please list the files — grüße 日本 👋", "And this image?"]),
        assistant_texts: texts(&["I will run three commands.", "One failed, two worked.", "It is a pixel."]),
        calls: vec![
            call("Bash", json!({"command": "ls"}), "a.py\nb.py"),
            call("Bash", json!({"command": "false"}), "Exit code 1"),
            call("apply_patch", json!({"input": "*** Begin Patch\n*** End Patch"}), "Success"),
            Call { images: 1, ..call("Read", json!({"file_path": "/x.png"}), "read it") },
        ],
        images: texts(&["abbd4841ba31f4d7"]),
        shape: "uacccauca".into(),
        exit: Some(0),
        requests: 1,
        stderr: received.stderr.clone(),
        ..Received::default()
    };
    assert_eq!(received, expected);
    assert_same(&expected, &received, &json!({}));
}

#[test]
fn gemini_sends_a_whole_session() {
    if !ready("gemini_sends_a_whole_session", &[Client::Gemini]) {
        return;
    }
    let id = "11111111-2222-4333-8444-555555555555";
    let home = home_with("gemini_example.jsonl", ".gemini/tmp/example/chats/session-2026-11-22T08-00-55555555.jsonl");
    let received = receive(Client::Gemini, home.path(), Path::new("/home/dev/work/example"), id).unwrap();
    let expected = Received {
        user_texts: texts(&["Привет! Почини сборку", "\u{200b}/etc/hosts тоже посмотри"]),
        assistant_texts: texts(&["Смотрю.", "Нашёл ошибку.", "Готово."]),
        calls: vec![
            call("Bash", json!({"command": "cargo build"}), "error[E0308]"),
            call("mcp__github__list-issues", json!({"q": "is:open"}), "[]"),
            call(
                "apply_patch",
                json!({"patch": "*** Begin"}),
                "The tool call was interrupted; no result was recorded.",
            ),
        ],
        images: received.images.clone(),
        shape: "uaccauca".into(),
        exit: Some(0),
        requests: 1,
        stderr: received.stderr.clone(),
        ..Received::default()
    };
    assert_eq!(received, expected);
    assert_eq!(received.images.len(), 1);
}

fn codex_sends_all_of(file: &str) {
    let (id, place) = rollout(file);
    let home = home_with(file, &place);
    let received = receive(Client::Codex, home.path(), Path::new("/home/dev/work/example"), &id).unwrap();
    let edit = json!({"file_path": "/home/dev/work/example/a.txt", "old_string": "a", "new_string": "b"});
    let calls = [
        call("Bash", json!({"command": "ls"}), "a.txt\n"),
        call("Edit", edit, "The file has been updated."),
        call("Grep", json!({"pattern": "x"}), "no match"),
    ];
    let expected = Received {
        user_texts: texts(&["Question 1 from another agent", "Question 2 from another agent"]),
        assistant_texts: texts(&["I will look.", "Answer 1.", "I will look.", "Answer 2."]),
        calls: calls.iter().chain(&calls).cloned().collect(),
        shape: "uacccauaccca".into(),
        exit: Some(0),
        requests: 1,
        stderr: received.stderr.clone(),
        ..Received::default()
    };
    assert_eq!(received, expected);
}

/// A thread's id and its place in a home.
fn rollout(file: &str) -> (String, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/clients").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let meta: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let id = meta["payload"]["id"].as_str().unwrap().to_owned();
    let place = format!(".codex/sessions/2026/11/22/rollout-2026-11-22T08-28-44-{id}.jsonl");
    (id, place)
}

#[test]
fn codex_sends_a_whole_paginated_session() {
    if ready("codex_sends_a_whole_paginated_session", &[Client::Codex]) {
        codex_sends_all_of("codex_paginated.jsonl");
    }
}

#[test]
fn codex_sends_a_whole_legacy_session() {
    if ready("codex_sends_a_whole_legacy_session", &[Client::Codex]) {
        codex_sends_all_of("codex_legacy.jsonl");
    }
}

/// A client driven through two prompts leaves a session that it resumes completely.
fn driven(client: Client, shell: &Piece, command: &str) {
    let home = tempfile::tempdir().unwrap();
    let cwd = home.path().join("project");
    std::fs::create_dir(&cwd).unwrap();
    let replies =
        [vec![Piece::text("I will look."), shell.clone()], vec![Piece::text("Done.")], vec![Piece::text("Yes.")]];
    let driven = drive(client, home.path(), &cwd, &["Say hello", "Are you sure?"], &replies).unwrap();
    assert_eq!(driven.received.assistant_texts, ["I will look.", "Done."]);
    let received = receive(client, home.path(), &cwd, &driven.native_id).unwrap();
    assert_eq!(received.user_texts, ["Say hello", "Are you sure?"], "{received:#?}");
    assert_eq!(received.assistant_texts, ["I will look.", "Done.", "Yes."]);
    assert_eq!(received.calls.len(), 1);
    assert_eq!(shell_command(&received.calls[0]).as_deref(), Some(command));
    assert!(received.calls[0].result.contains("hello from the shell"), "{received:#?}");
    assert_eq!((received.shape.as_str(), received.exit), ("uacaua", Some(0)));
    assert!(received.rejections.is_empty() && received.orphans.is_empty(), "{received:#?}");
}

#[test]
fn claude_is_driven() {
    if ready("claude_is_driven", &[Client::ClaudeCode]) {
        let command = "echo hello from the shell";
        driven(Client::ClaudeCode, &Piece::call("Bash", json!({"command": command, "description": "Greet"})), command);
    }
}

#[test]
fn codex_is_driven() {
    if ready("codex_is_driven", &[Client::Codex]) {
        let command = "echo hello from the shell";
        driven(Client::Codex, &Piece::call("exec_command", json!({"cmd": command})), command);
    }
}

/// What a client sends on and its API refuses is seen, whatever the client makes of it.
#[test]
fn refusals_are_seen() {
    if !ready("refusals_are_seen", &[Client::Codex]) {
        return;
    }
    let (id, place) = rollout("codex_legacy.jsonl");
    let home = home_with("codex_legacy.jsonl", &place);
    let file = home.path().join(place);
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("toolu_1a", &"long".repeat(17))).unwrap();
    let received = receive(Client::Codex, home.path(), Path::new("/home/dev/work/example"), &id).unwrap();
    assert!(received.rejections[0].contains("call_id"), "{received:#?}");
    let found = super::differences(&received, &received, &json!({}));
    assert!(found.iter().any(|difference| difference.contains("the API refuses")), "{found:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), text.lines().count(), "the home was changed");
}
