//! Cursor: synthetic installations of every generation, read as it writes them. The installations and what has to be found
//! in them were made without this reader.

use crate::support::cursor::{Cursor, put, put_bubble, put_composer, put_session};
use crate::support::home::TestHome;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use sessionfs::export::{self, ArchivedSession, Selection};
use sessionfs::home::Home;
use sessionfs::model::message::{Block, ImageKind, Message, Role};
use sessionfs::store::{ChunkCache, Store};
use sessionfs::tools;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

const ID: &str = "0d5d7ac1-7c4c-4a52-9f39-3d6c4a1e0009";

fn store(home: &TestHome) -> Store {
    Store::open(&Home::at(home.path(), &home.path().join(".sessionfs"))).unwrap()
}

fn open<'a>(store: &'a Store, id: &str) -> ArchivedSession<'a> {
    ArchivedSession::open(store, store.find_native("cursor", id).unwrap().unwrap()).unwrap()
}

fn live(store: &Store, id: &str) -> Vec<Message> {
    let session = open(store, id);
    tools::conversation(&session).unwrap().messages.map(|message| message.unwrap()).collect()
}

fn log(store: &Store, id: &str) -> Vec<Message> {
    let mut messages = Vec::new();
    let collect = &mut |message| {
        messages.push(message);
        Ok(ControlFlow::Continue(()))
    };
    export::for_each_message(&open(store, id), true, collect).unwrap();
    messages
}

/// All bytes of a session's streams, as text.
fn archived(store: &Store, id: &str) -> String {
    let session = open(store, id);
    let bytes = session
        .native_streams()
        .iter()
        .flat_map(|stream| store.read_range(stream, 0, stream.length, &mut ChunkCache::default()).unwrap());
    String::from_utf8_lossy(&bytes.collect::<Vec<_>>()).into_owned()
}

fn texts(messages: &[Message]) -> Vec<String> {
    messages.iter().map(Message::text).collect()
}

/// What messages say, in the words of the recorded expectations.
fn events(messages: &[Message]) -> Vec<Value> {
    let mut events = Vec::new();
    for message in messages {
        for block in &message.content {
            events.extend(match block {
                Block::Text(text) if message.role == Role::User => {
                    let synthetic = message.is_meta.then_some(true);
                    Some(json!({"k": "user", "text": text, "synthetic": synthetic}))
                }
                Block::Text(text) => Some(json!({"k": "text", "text": text})),
                Block::Thinking { redacted: true, .. } => None,
                Block::Thinking { text, .. } => Some(json!({"k": "thinking", "text": text})),
                Block::ToolUse { id, name, input } => {
                    let input: Value = serde_json::from_str(input.get()).unwrap();
                    Some(json!({"k": "call", "id": id, "name": name, "input": input}))
                }
                Block::ToolResult { id, content, is_error, .. } => {
                    Some(json!({"k": "result", "id": id, "failed": is_error, "text": content}))
                }
                Block::Image(image) => Some(match image.kind {
                    ImageKind::Base64 => {
                        let bytes = BASE64_STANDARD.decode(&image.data).unwrap();
                        let hash = Sha256::digest(bytes).iter().fold(String::new(), |mut hex, byte| {
                            write!(hex, "{byte:02x}").unwrap();
                            hex
                        });
                        json!({"k": "image", "mime": image.media_type, "sha256": hash})
                    }
                    _ => json!({"k": "image", "mime": null, "sha256": null}),
                }),
                Block::Summary { .. } | Block::Other(_) => panic!("{block:?}"),
            });
        }
    }
    events
}

/// The expected events in the same words. An open call has no result; a call's id, where it has one, is made safe for every
/// API.
fn expected_events(session: &Value) -> Vec<Value> {
    let safe = |id: &Value| -> Option<String> {
        let safe = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
        Some(id.as_str()?.chars().map(safe).collect())
    };
    let events = session["events"].as_array().unwrap().iter().filter(|event| event["status"] != "missing");
    let said = events.map(|event| match event["k"].as_str().unwrap() {
        "user" => json!({"k": "user", "text": event["text"], "synthetic": event["synthetic"]}),
        "call" => json!({"k": "call", "id": safe(&event["id"]), "name": event["name"], "input": event["input"]}),
        "result" => json!({"k": "result", "id": safe(&event["id"]), "failed": event["status"] != "ok",
            "text": event["contains"]}),
        "image" => json!({"k": "image", "mime": event["mime"], "sha256": event["sha256"]}),
        _ => json!({"k": event["k"], "text": event["text"]}),
    });
    said.collect()
}

/// Compares event by event; of a result's text only a part is recorded.
fn assert_events(what: &str, expected: &[Value], mut found: Vec<Value>) {
    for (expected, found) in expected.iter().zip(&mut found) {
        if expected["k"] == "result" {
            let (part, whole) = (expected["text"].as_str().unwrap_or_default(), found["text"].as_str().unwrap());
            assert!(whole.contains(part), "{what}: {part:?} is not in {whole:?}");
            found["text"] = expected["text"].clone();
        }
        if expected.get("id").is_some_and(Value::is_null) {
            found["id"] = Value::Null;
        }
    }
    let lines = |events: &[Value]| events.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    assert_eq!(lines(&found), lines(expected), "{what}");
}

/// The sessions that an installation holds. Optional ones are not read: transcripts that are `.txt`, the CLI's databases.
fn expected_sessions(cursor: &Cursor) -> Vec<Value> {
    let is_read = |session: &&Value| session["optional"] != true;
    cursor.expected["sessions"].as_array().unwrap().iter().filter(is_read).cloned().collect()
}

#[test]
fn every_generation_is_read() {
    let cases = Cursor::cases();
    assert_eq!(cases.len(), 16);
    for case in cases {
        let home = TestHome::new();
        let cursor = Cursor::install(home.path(), &case);
        let import = home.sfs(&["import", "--from", "cursor"]);
        assert_eq!(import.code, Some(0), "{case}: {import}");
        let listed = home.json(&["list", "--all", "--json"]);
        let listed = listed.as_array().unwrap();
        let (children, sessions): (Vec<Value>, Vec<Value>) =
            expected_sessions(&cursor).into_iter().partition(|session| session["parent"].is_string());
        assert_eq!(listed.len(), sessions.len(), "{case}: {listed:#?}");
        let store = store(&home);
        for session in sessions {
            let id = session["id"].as_str().unwrap();
            let what = format!("{case} {}", session["title"]);
            let row = listed.iter().find(|row| row["native_id"] == id).unwrap_or_else(|| panic!("{what} is missing"));
            let first_line = session["title"].as_str().map(|title| title.lines().next().unwrap().to_owned());
            assert_eq!(row["title"].as_str(), first_line.as_deref(), "{what}");
            assert_eq!(row["project"], session["cwd"], "{what}");
            assert_eq!(row["model"], session["model"], "{what}");
            assert_events(&format!("{what}, live"), &expected_events(&session), events(&live(&store, id)));
            let mut logged = log(&store, id);
            logged.retain(|message| !message.is_sidechain);
            assert_events(&format!("{what}, log"), &expected_events(&session), events(&logged));
            let (prompts, calls) = (&session["counts"]["user"], &session["counts"]["tool_calls"]);
            let synthetic = session["counts"]["synthetic"].as_u64().unwrap();
            let pictures = logged.iter().filter(|m| m.is_prompt() && m.text().is_empty()).count() as u64;
            assert_eq!(row["turn_count"].as_u64().unwrap(), prompts.as_u64().unwrap() - synthetic + pictures, "{what}");
            assert_eq!(row["tool_call_count"], *calls, "{what}");
        }
        for child in children {
            let (id, parent) = (child["id"].as_str().unwrap(), child["parent"].as_str().unwrap());
            let mut logged = log(&store, parent);
            logged.retain(|message| message.agent_id.as_deref() == Some(id));
            assert!(logged.iter().all(|message| message.is_sidechain));
            assert_events(&format!("{case} {id}"), &expected_events(&child), events(&logged));
        }
    }
}

#[test]
fn no_secret_and_no_unsent_text_gets_into_the_archive() {
    for case in Cursor::cases() {
        let home = TestHome::new();
        let cursor = Cursor::install(home.path(), &case);
        home.sfs(&["import"]);
        let store = store(&home);
        for session in expected_sessions(&cursor).iter().filter(|session| session["parent"].is_null()) {
            let bytes = archived(&store, session["id"].as_str().unwrap());
            for secret in ["SECRET-TOKEN-MUST-NOT-LEAK", "DRAFT-INPUT-BOX-TEXT", "ENC-KEY-MUST-NOT-LEAK"] {
                assert!(!bytes.contains(secret), "{case}: {secret}");
            }
        }
    }
}

#[test]
fn what_cannot_be_taken_is_said() {
    let notes = |case| {
        let home = TestHome::new();
        Cursor::install(home.path(), case);
        home.sfs(&["import"]).to_string().replace(".config/Cursor/User/", "")
    };
    insta::assert_snapshot!(notes("future_version"), @r"
    Captured 1 file of 1 session (3.8 kB).
    ---- stderr
    note: Cursor's session ae8e1c32-b23c-52ed-a4fc-e31ebae66805 is written in a form that is not known yet (_v 120): it stays in Cursor only
    ");
    insta::assert_snapshot!(notes("legacy_chatdata"), @r"
    Captured 2 files of 2 sessions (740 B).
    ---- stderr
    note: $HOME/workspaceStorage/ed6f28272bd9177fbe24b2c969a33ef3/state.vscdb: the chats in it are damaged and were not read
    ");
    assert_eq!(notes("malformed").matches("is damaged and was left out").count(), 6);
    let home = TestHome::new();
    let cursor = Cursor::install(home.path(), "malformed");
    home.sfs(&["import"]);
    let sessions = expected_sessions(&cursor);
    let partial = sessions.iter().find(|session| session["title"] == "Partly broken").unwrap();
    let notes = home.json(&["show", partial["id"].as_str().unwrap(), "--json"])["notes"].clone();
    assert_eq!(notes[0]["reason"], "a bubble that is no JSON object");
}

#[test]
fn what_stands_in_the_log_only_is_seen_and_cursors_files_stay_as_they_are() {
    let home = TestHome::new();
    let cursor = Cursor::empty(home.path());
    let writer = cursor.open();
    put_session(&writer, ID, &[("b1", "Only in the log?"), ("b2", "Yes.")]);
    let files = || [cursor.path(), cursor.path().with_extension("vscdb-wal")].map(|path| fs::read(path).unwrap());
    let before = files();
    assert!(before[1].len() > 1000);
    insta::assert_snapshot!(home.sfs(&["import"]), @"Captured 1 file of 1 session (713 B).");
    assert_eq!(texts(&live(&store(&home), ID)), ["Only in the log?", "Yes."]);
    assert!(files() == before);
    drop(writer);
    // Left by a Cursor that was killed: the log, and nothing that tells how far it goes.
    let home = TestHome::new();
    let left = Cursor::empty(home.path());
    for (path, bytes) in [left.path(), left.path().with_extension("vscdb-wal")].iter().zip(&before) {
        fs::write(path, bytes).unwrap();
    }
    home.sfs(&["import"]);
    assert_eq!(texts(&live(&store(&home), ID)), ["Only in the log?", "Yes."]);
    assert!(fs::read(left.path()).unwrap() == before[0]);
    assert!(fs::read(left.path().with_extension("vscdb-wal")).unwrap() == before[1]);
}

#[test]
fn a_bubble_is_added_changed_and_removed() {
    let home = TestHome::new();
    let cursor = Cursor::empty(home.path());
    let writer = cursor.open();
    let import = || home.json(&["import", "--json"])["bytes"].as_u64().unwrap();
    let counts = || {
        let row = home.json(&["list", "--json"])[0].clone();
        (row["message_count"].as_u64().unwrap(), row["turn_count"].as_u64().unwrap())
    };
    put_session(&writer, ID, &[("b1", "One?"), ("b2", "It is be")]);
    import();
    put_bubble(&writer, ID, "b2", 2, "It is being written.");
    let one_row = import();
    assert!(one_row > 0 && one_row < 300, "{one_row}");
    assert_eq!(texts(&live(&store(&home), ID)), ["One?", "It is being written."]);
    assert_eq!(texts(&log(&store(&home), ID)), ["One?", "It is being written."]);
    assert_eq!(counts(), (2, 1));
    put_session(&writer, ID, &[("b1", "One?"), ("b2", "It is being written."), ("b3", "Two?"), ("b4", "Two.")]);
    import();
    assert_eq!(texts(&live(&store(&home), ID)), ["One?", "It is being written.", "Two?", "Two."]);
    // The person goes back and asks something else: the bubbles stay, or are deleted, and are not named any more.
    put_bubble(&writer, ID, "b5", 1, "Else?");
    put_composer(&writer, ID, &["b1", "b2", "b5"]);
    writer.execute("DELETE FROM cursorDiskKV WHERE key LIKE '%:b4'", []).unwrap();
    import();
    assert_eq!(texts(&live(&store(&home), ID)), ["One?", "It is being written.", "Else?"]);
    assert_eq!(texts(&log(&store(&home), ID)), ["One?", "It is being written.", "Two?", "Two.", "Else?"]);
    assert_eq!(counts(), (5, 3));
    // A bubble that is emptied, and one that is damaged: what was seen stays.
    put(&writer, &format!("bubbleId:{ID}:b1"), &Value::Null);
    writer.execute("UPDATE cursorDiskKV SET value = '{\"type\":2,' WHERE key LIKE '%:b2'", []).unwrap();
    put_composer(&writer, ID, &["b1", "b2", "b5"]);
    import();
    assert_eq!(texts(&live(&store(&home), ID)), ["One?", "It is being written.", "Else?"]);
    let before = (texts(&log(&store(&home), ID)), counts());
    home.sfs(&["admin", "reindex", "--local"]);
    assert_eq!((texts(&log(&store(&home), ID)), counts()), before);
    assert!(home.sfs(&["admin", "check"]).code == Some(0));
}

#[test]
fn a_bubble_that_is_named_later_is_told_then() {
    let home = TestHome::new();
    let cursor = Cursor::empty(home.path());
    let writer = cursor.open();
    put_session(&writer, ID, &[("b1", "One?")]);
    put_bubble(&writer, ID, "b2", 2, "Not named yet.");
    home.sfs(&["import"]);
    assert_eq!(texts(&log(&store(&home), ID)), ["One?"]);
    put_composer(&writer, ID, &["b1", "b2"]);
    home.sfs(&["import"]);
    assert_eq!(texts(&log(&store(&home), ID)), ["One?", "Not named yet."]);
    assert_eq!(texts(&live(&store(&home), ID)), ["One?", "Not named yet."]);
}

#[test]
fn what_is_captured_is_not_captured_again() {
    let home = TestHome::new();
    let cursor = Cursor::install(home.path(), "order_orphans");
    let length = || -> u64 {
        let sessions = home.json(&["list", "--all", "--json"]);
        let ids = sessions.as_array().unwrap().iter().map(|session| session["native_id"].as_str().unwrap().to_owned());
        ids.map(|id| archived(&store(&home), &id).len() as u64).sum()
    };
    home.sfs(&["import"]);
    let before = length();
    insta::assert_snapshot!(home.sfs(&["import"]), @"Nothing new.");
    // All numbers of rows are new, and the contents are not.
    let writer = cursor.open();
    writer.execute("UPDATE cursorDiskKV SET rowid = rowid + 100000", []).unwrap();
    assert_eq!(home.json(&["import", "--json"])["bytes"], 0);
    writer
        .execute_batch("DELETE FROM cursorDiskKV WHERE rowid = (SELECT max(rowid) FROM cursorDiskKV); VACUUM")
        .unwrap();
    assert_eq!(home.json(&["import", "--json"])["bytes"], 0);
    // The cursor is lost, as in a transaction that was not committed; what was archived is known by itself.
    let archive = rusqlite::Connection::open(home.path().join(".sessionfs/archive.db")).unwrap();
    archive.execute("UPDATE native_file SET head = x'' WHERE path NOT LIKE '%#%'", []).unwrap();
    assert_eq!(home.json(&["import", "--json"])["bytes"], 0);
    assert_eq!(length(), before);
}

#[test]
fn a_deleted_session_is_gone_but_safe_and_comes_back() {
    let home = TestHome::new();
    let cursor = Cursor::empty(home.path());
    let writer = cursor.open();
    put_session(&writer, ID, &[("b1", "Keep me?")]);
    home.sfs(&["import"]);
    let present = || home.json(&["list", "--json"])[0]["native_present"].as_bool().unwrap();
    assert!(present());
    writer.execute("DELETE FROM cursorDiskKV", []).unwrap();
    home.sfs(&["import"]);
    assert!(!present());
    assert_eq!(texts(&live(&store(&home), ID)), ["Keep me?"]);
    put_session(&writer, ID, &[("b1", "Keep me?")]);
    home.sfs(&["import"]);
    assert!(present());
}

#[test]
fn a_copy_in_another_home_adds_what_it_has() {
    let home = TestHome::new();
    let cursor = Cursor::empty(home.path());
    put_session(&cursor.open(), ID, &[("b1", "Here?"), ("b2", "Yes.")]);
    home.sfs(&["import"]);
    let other = tempfile::tempdir().unwrap();
    let copy = Cursor::empty(other.path());
    put_session(&copy.open(), ID, &[("b1", "Here?")]);
    put_composer(&copy.open(), ID, &["b1", "b2"]);
    put_bubble(&copy.open(), ID, "b2", 2, "Yes.");
    let import = || home.json(&["import", other.path().to_str().unwrap(), "--json"])["bytes"].as_u64().unwrap();
    assert_eq!(import(), 0);
    put_session(&copy.open(), ID, &[("b1", "Here?"), ("b2", "Yes."), ("b3", "There?")]);
    assert!(import() > 0);
    let store = store(&home);
    assert_eq!(texts(&live(&store, ID)), ["Here?", "Yes."]);
    assert_eq!(texts(&log(&store, ID)), ["Here?", "Yes.", "There?"]);
}

#[test]
fn a_database_that_does_not_answer_harms_nothing() {
    let home = TestHome::new();
    let cursor = Cursor::empty(home.path());
    put_session(&cursor.open(), ID, &[("b1", "Safe?")]);
    let path = cursor.path();
    home.sfs(&["import"]);
    let error = |home: &TestHome| home.sfs(&["import"]).to_string().replace(&*path.to_string_lossy(), "state.vscdb");
    // Not in its log's mode, so that a writer shuts readers out.
    let writer = cursor.open();
    writer.execute_batch("PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE").unwrap();
    insta::assert_snapshot!(error(&home), @r"
    Captured 0 files of 0 sessions (0 B).
    ---- stderr
    not captured: $HOME/.config/Cursor/User/globalStorage/state.vscdb is locked: Cursor is busy with it
    error: 1 file could not be captured
    hint: everything else is safe; run `sfs import` again after mending the cause
    ---- exit Some(1)
    ");
    writer.execute_batch("ROLLBACK").unwrap();
    drop(writer);
    assert_eq!(home.sfs(&["import"]).code, Some(0));
    fs::write(&path, "SQLite format 3\0and then nothing that makes sense").unwrap();
    insta::assert_snapshot!(error(&home), @r"
    Captured 0 files of 0 sessions (0 B).
    ---- stderr
    not captured: $HOME/.config/Cursor/User/globalStorage/state.vscdb is damaged: file is not a database: Error code 26: file is not a database
    error: 1 file could not be captured
    hint: everything else is safe; run `sfs import` again after mending the cause
    ---- exit Some(1)
    ");
    fs::write(&path, b"").unwrap();
    rusqlite::Connection::open(&path).unwrap().execute("CREATE TABLE other (x)", []).unwrap();
    insta::assert_snapshot!(error(&home), @r"
    Captured 0 files of 0 sessions (0 B).
    ---- stderr
    not captured: $HOME/.config/Cursor/User/globalStorage/state.vscdb has none of the tables in which Cursor keeps its sessions
    error: 1 file could not be captured
    hint: everything else is safe; run `sfs import` again after mending the cause
    ---- exit Some(1)
    ");
    let status = home.json(&["daemon", "status", "--json"]);
    let watcher = status["watchers"].as_array().unwrap().iter().find(|watcher| watcher["tool"] == "cursor").unwrap();
    assert!(watcher["last_error"].as_str().unwrap().contains("none of the tables"), "{watcher}");
    fs::remove_file(&path).unwrap();
    assert_eq!(home.sfs(&["import"]).code, Some(0));
    assert_eq!(texts(&live(&store(&home), ID)), ["Safe?"]);
}

#[test]
fn a_picture_is_taken_from_cursors_own_folder_only() {
    let home = TestHome::new();
    let cursor = Cursor::empty(home.path());
    let root = home.path().join(".config/Cursor/User/workspaceStorage");
    let png = b"\x89PNG\r\n\x1a\nprivate";
    for place in ["w/images/a.png", "w/images/no.txt", "elsewhere/secret.png"] {
        let path = root.join(place);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, if place.ends_with("txt") { &b"text"[..] } else { png }).unwrap();
    }
    fs::write(home.path().join("secret.png"), png).unwrap();
    std::os::unix::fs::symlink(home.path().join("secret.png"), root.join("w/images/link.png")).unwrap();
    let path = |place: &str| json!({"uuid": place, "path": root.join(place)});
    let paths = ["w/images/a.png", "w/images/no.txt", "elsewhere/secret.png", "w/images/link.png", "../images/x.png"];
    let writer = cursor.open();
    let bubble = json!({"type": 1, "text": "Look.", "context": {"selectedImages": paths.map(path)}});
    put(&writer, &format!("bubbleId:{ID}:b1"), &bubble);
    put_composer(&writer, ID, &["b1"]);
    home.sfs(&["import"]);
    let store = store(&home);
    let streams: Vec<String> = open(&store, ID).native_streams().iter().map(|stream| stream.name.clone()).collect();
    assert_eq!(streams, ["images/a.png", "main"]);
    assert_eq!(live(&store, ID)[0].content.iter().filter(|b| matches!(b, Block::Image(_))).count(), 5);
}

#[test]
fn a_cursor_session_is_continued_in_another_tool_only() {
    let home = TestHome::new();
    Cursor::install(home.path(), "thinking");
    home.sfs(&["import"]);
    insta::assert_snapshot!(home.sfs(&["resume", "last"]), @r#"
    ---- stderr
    error: sessions can't be written for "cursor", the tool of this one
    hint: sfs resume ses_ovml3po33xjm7ndz --in claude-code | codex | gemini
    ---- exit Some(2)
    "#);
    insta::assert_snapshot!(home.sfs(&["restore", "last"]), @r"
    ---- stderr
    error: Cursor keeps session ses_ovml3po33xjm7ndz in its database
    hint: that is only read; sfs resume ses_ovml3po33xjm7ndz --in claude-code | codex | gemini
    ---- exit Some(1)
    ");
    insta::assert_snapshot!(home.sfs(&["resume", "last", "--in", "codex", "--dry-run"]), @r"
    Would be written for Codex:
      kept          2  assistant messages
      kept          1  user messages
      degraded      4  thinking  (shown but not sent to the model)
      dropped       1  thinking  (only its maker can read it)
    ");
}

/// The order of the rows is not that of the conversation: the composer's row tells it, and may stand anywhere.
#[test]
fn a_position_is_a_place_in_the_conversation_and_not_among_the_rows() {
    let mut count = 0;
    for case in Cursor::cases() {
        let home = TestHome::new();
        let cursor = Cursor::install(home.path(), &case);
        home.sfs(&["import"]);
        let store = store(&home);
        for session in cursor.expected["sessions"].as_array().unwrap() {
            let Some(row) = store.find_native("cursor", session["id"].as_str().unwrap()).unwrap() else { continue };
            let all = live(&store, &row.native_id);
            for (place, message) in all.iter().enumerate() {
                let at = Selection { at: Some(message.id.clone()), ..Selection::default() };
                let cut = at.open(&store, &row).unwrap();
                let cut: Vec<Message> = cut.conversation().unwrap().messages.map(|message| message.unwrap()).collect();
                let (up_to, behind) = cut.split_at(place + 1);
                assert_eq!(texts(up_to), texts(&all[..=place]), "{case}: {}", message.id);
                assert!(behind.iter().all(|message| message.role == Role::Tool), "{case}: {}", message.id);
                count += 1;
            }
        }
    }
    assert!(count > 100, "{count} positions only");
    let home = TestHome::new();
    Cursor::install(home.path(), "order_orphans");
    home.sfs(&["import"]);
    let id = "7883d270-0623-56bc-9300-9612e0006d8a";
    let third = live(&store(&home), id)[2].id.clone();
    for format in ["markdown", "html"] {
        let text = home.sfs(&["export", id, "--format", format, "--at", &third]).stdout;
        assert!(text.contains("q1") && !text.contains("a1") && !text.contains("q2"), "{text}");
    }
    let run = home.sfs(&["resume", id, "--in", "codex", "--no-launch", "--at", &third]);
    assert_eq!(run.code, Some(0), "{run}");
}

#[test]
fn a_session_that_came_as_a_folder_goes_on_with_its_rows() {
    let home = TestHome::new();
    let cursor = Cursor::empty(home.path());
    put_session(&cursor.open(), ID, &[("b1", "Far?"), ("b2", "Far.")]);
    home.sfs(&["import"]);
    let out = home.path().join("out");
    let exported = home.sfs(&["export", ID, "-o", out.to_str().unwrap()]);
    assert_eq!(exported.code, Some(0), "{exported}");
    let folder = fs::read_dir(&out).unwrap().next().unwrap().unwrap().path();
    let other = TestHome::new();
    other.sfs(&["import", folder.to_str().unwrap()]);
    assert_eq!(texts(&live(&store(&other), ID)), ["Far?", "Far."]);
    // Without the rows there are only messages, and then Cursor itself has more.
    fs::remove_dir_all(folder.join("native")).unwrap();
    let third = TestHome::new();
    third.sfs(&["import", folder.to_str().unwrap()]);
    let here = Cursor::empty(third.path());
    put_session(&here.open(), ID, &[("b1", "Far?"), ("b2", "Far."), ("b3", "Near?")]);
    third.sfs(&["import"]);
    assert_eq!(texts(&live(&store(&third), ID)), ["Far?", "Far.", "Near?"]);
    assert_eq!(third.json(&["list", "--json"])[0]["message_count"], 3);
}

/// Whatever a row holds, the reader neither fails nor panics, and the bytes are kept.
#[test]
fn cut_rows_are_kept() {
    let recorded = fs::read_to_string(crate::support::home::fixture("cursor/agent_tools.json")).unwrap();
    let recorded: Value = serde_json::from_str(&recorded).unwrap();
    let tables = recorded["databases"]["User/globalStorage/state.vscdb"]["tables"].as_array().unwrap();
    let rows = tables.iter().find(|table| table["name"] == "cursorDiskKV").unwrap()["rows"].as_array().unwrap().clone();
    let home = TestHome::new();
    let cursor = Cursor::empty(home.path());
    let writer = cursor.open();
    let mut names = Vec::new();
    for (n, row) in rows.iter().filter(|row| row[0].as_str().unwrap().starts_with("bubbleId:")).enumerate() {
        let text = row[1].as_str().unwrap();
        for part in [3, 7, 31] {
            let name = format!("b{n}-{part}");
            let end = (0..=text.len() * part / 32).rev().find(|end| text.is_char_boundary(*end)).unwrap();
            let value = (format!("bubbleId:{ID}:{name}"), &text[..end]);
            writer.execute("INSERT INTO cursorDiskKV VALUES (?1, ?2)", value).unwrap();
            names.push(name);
        }
    }
    put_bubble(&writer, ID, "whole", 1, "Whole.");
    names.push("whole".into());
    put_composer(&writer, ID, &names.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(home.sfs(&["import"]).code, Some(0));
    let store = store(&home);
    assert_eq!(texts(&live(&store, ID)), ["Whole."]);
    assert_eq!(archived(&store, ID).lines().count(), names.len() + 1);
}

/// Wherever it is, and whichever part of its folder is named.
#[test]
fn a_cursor_folder_can_be_imported() {
    let elsewhere = TestHome::new();
    let cursor = Cursor::empty(elsewhere.path());
    put_session(&cursor.open(), ID, &[("b1", "Hello?"), ("b2", "Hi")]);
    for part in [".config/Cursor", ".config/Cursor/User", ".config/Cursor/User/globalStorage/state.vscdb", ""] {
        let home = TestHome::new();
        let path = elsewhere.path().join(part);
        assert_eq!(home.json(&["import", path.to_str().unwrap(), "--json"])["sessions"], 1, "{part}");
        assert_eq!(texts(&live(&store(&home), ID)), ["Hello?", "Hi"], "{part}");
    }
    let (home, own) = (TestHome::new(), |home: &TestHome| home.path().join(".config/Cursor"));
    put_session(&Cursor::empty(home.path()).open(), ID, &[("b1", "Hello?")]);
    assert_eq!(home.json(&["import", own(&home).to_str().unwrap(), "--json"])["sessions"], 1);
    assert_eq!(home.json(&["import", "--json"])["sessions"], 0);
}

/// A look has its own moment: what is committed after it, even within the same tick of the file system's clock and without
/// a change of any file's size, is for the next one.
#[test]
fn what_is_committed_during_a_look_is_seen_by_the_next() {
    let home = TestHome::new();
    let cursor = Cursor::empty(home.path());
    let (stop, rounds) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        let write = || {
            let writer = cursor.open();
            while !stop.load(Ordering::Relaxed) {
                let round = rounds.fetch_add(1, Ordering::Relaxed);
                put_session(&writer, ID, &[("b1", "Hello?"), ("b2", &format!("round {round:05}"))]);
                writer.execute_batch("PRAGMA wal_checkpoint(RESTART)").unwrap();
            }
            // Kept open, as by Cursor: closing it would be a change of its own.
            writer
        };
        let writer = scope.spawn(write);
        for _ in 0..40 {
            home.json(&["import", "--from", "cursor", "--json"]);
        }
        stop.store(true, Ordering::Relaxed);
        let writer = writer.join().unwrap();
        home.json(&["import", "--from", "cursor", "--json"]);
        let last = format!("round {:05}", rounds.load(Ordering::Relaxed) - 1);
        assert_eq!(texts(&live(&store(&home), ID)), ["Hello?", &last]);
        drop(writer);
    });
}
