//! Cursor's transcripts, which lie beside its database and tell less: they are read of sessions that the database has not.

use crate::support::cursor::{Cursor, put_bubble, put_composer, put_session};
use crate::support::home::{TestHome, copy_tree};
use crate::support::server::SyncServer;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

const ID: &str = "0d5d7ac1-7c4c-4a52-9f39-3d6c4a1e0011";
const AGENT: &str = "0d5d7ac1-7c4c-4a52-9f39-3d6c4a1e0012";

fn prompt(text: &str) -> Value {
    json!({"role": "user", "message": {"content": [{"type": "text",
        "text": format!("<timestamp>Friday, Aug 28, 2026, 11:12 PM (UTC+2)</timestamp>\n<user_query>\n{text}\n</user_query>")}]}})
}

fn reply(text: &str) -> Value {
    json!({"role": "assistant", "message": {"content": [{"type": "text", "text": text}]}})
}

/// Appends to a transcript as Cursor does; below `~/.cursor/projects/home-me-work/agent-transcripts`.
fn write(home: &TestHome, path: &str, lines: &[Value]) -> PathBuf {
    let file = home.path().join(".cursor/projects/home-me-work/agent-transcripts").join(path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let mut text = fs::read_to_string(&file).unwrap_or_default();
    text.extend(lines.iter().map(|line| format!("{line}\n")));
    fs::write(&file, text).unwrap();
    file
}

fn main_file() -> String {
    format!("{ID}/{ID}.jsonl")
}

fn only_session(home: &TestHome) -> Value {
    let listed = home.json(&["list", "--all", "--json"]);
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed:#}");
    listed[0].clone()
}

/// What the log shows, a line a message.
fn log(home: &TestHome) -> Vec<String> {
    let shown = home.json(&["show", ID, "-m", "--json"]);
    let messages = shown["messages"].as_array().unwrap().iter();
    messages.map(|message| format!("{} {}", message["role"].as_str().unwrap(), message["content"][0]["text"])).collect()
}

fn hits(home: &TestHome, word: &str) -> usize {
    home.json(&["search", word, "--json"]).as_array().unwrap().len()
}

#[test]
fn a_session_that_the_database_has_not_is_read_from_its_transcript() {
    let home = TestHome::new();
    let call = json!({"role": "assistant", "message": {"content": [{"type": "text", "text": "Shipping."},
        {"type": "tool_use", "name": "Shell", "input": {"command": "make"}}, {"type": "text", "text": "[REDACTED]"}]}});
    let file =
        write(&home, &main_file(), &[prompt("Ship it"), call, json!({"type": "turn_ended", "status": "success"})]);
    write(&home, &format!("{ID}/subagents/{AGENT}.jsonl"), &[prompt("Look around"), reply("Nothing there")]);
    insta::assert_snapshot!(home.sfs(&["import"]), @"Captured 2 files of 1 session (637 B).");
    let session = only_session(&home);
    assert_eq!((&session["title"], &session["project"]), (&json!("Ship it"), &Value::Null));
    assert_eq!((&session["turn_count"], &session["tool_call_count"]), (&json!(1), &json!(1)));
    assert_eq!(session["created_at"], "2026-08-28T21:12:00Z");
    insta::assert_snapshot!(home.sfs(&["show", ID, "-m"]), @r"
    user 2026-08-28 21:12:00 main:0.0
      Ship it

    assistant  main:1.0
      Shipping.
      → Shell
        command: make
      · (encrypted)
    ");

    // What is appended is captured, what is not understood is kept and told.
    write(
        &home,
        &main_file(),
        &[prompt("Once more"), json!({"type": "hologram"}), json!({"role": "user"}), json!([1])],
    );
    insta::assert_snapshot!(home.sfs(&["import"]), @"Captured 1 file of 1 session (207 B).");
    let reasons = home.json(&["show", ID, "--json"])["notes"].clone();
    let reasons: Vec<&str> = reasons.as_array().unwrap().iter().map(|note| note["reason"].as_str().unwrap()).collect();
    insta::assert_snapshot!(reasons.join("\n"), @r"
    a line of an unknown kind: hologram
    a message without content
    not a JSON object
    ");

    // Cursor deleted it: it is put back as it was.
    let before = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    insta::assert_snapshot!(home.sfs(&["import"]), @"Nothing new.");
    insta::assert_snapshot!(home.sfs(&["restore", ID]), @"restored ~/.cursor/projects/home-me-work/agent-transcripts/0d5d7ac1-7c4c-4a52-9f39-3d6c4a1e0011/0d5d7ac1-7c4c-4a52-9f39-3d6c4a1e0011.jsonl");
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn the_clis_note_tells_the_project() {
    let home = TestHome::new();
    write(&home, &main_file(), &[prompt("Ship it")]);
    let chat = home.path().join(".cursor/chats/46549d71253aa046ae876b93fe9f1eb4").join(ID);
    fs::create_dir_all(&chat).unwrap();
    fs::write(chat.join("meta.json"), r#"{"schemaVersion": 1, "cwd": "/home/me/work", "title": "A chat"}"#).unwrap();
    home.sfs(&["import"]);
    assert_eq!(only_session(&home)["project"], "/home/me/work");
}

#[test]
fn a_patch_is_a_text_and_a_query_ends_with_its_last_mark() {
    let home = TestHome::new();
    let patch = json!({"role": "assistant", "message": {"content": [{"type": "text", "text": "Look.\n\n[REDACTED]"},
        {"type": "tool_use", "name": "ApplyPatch", "input": "*** Begin Patch\n+quokka"}]}});
    write(&home, &main_file(), &[prompt("Mend </user_query> in pangolin.xml"), patch]);
    home.sfs(&["import"]);
    let shown = home.json(&["show", ID, "-m", "--json"]);
    assert_eq!(shown["messages"][0]["content"][0]["text"], "Mend </user_query> in pangolin.xml");
    assert_eq!(shown["messages"][1]["content"][0]["text"], "Look.");
    assert_eq!(shown["messages"][1]["content"][1]["input"], json!({"input": "*** Begin Patch\n+quokka"}));
    assert_eq!(hits(&home, "quokka"), 1);
}

#[test]
fn what_the_database_has_is_not_told_twice() {
    let home = TestHome::new();
    let cursor = Cursor::empty(home.path());
    put_session(&cursor.open(), ID, &[("b1", "Which one?"), ("b2", "The other.")]);
    write(&home, &main_file(), &[prompt("Which one?"), reply("The other.")]);
    write(&home, &format!("{ID}.jsonl"), &[prompt("Which one?")]);
    insta::assert_snapshot!(home.sfs(&["import"]), @"Captured 2 files of 1 session (962 B).");
    write(&home, &main_file(), &[prompt("And now, walrus?")]);
    let guarded = home.json(&["guard", "--json"]);
    assert!(guarded.to_string().contains("\"safe\":false"), "{guarded}");
    // It is kept all the same, and nobody sees it.
    insta::assert_snapshot!(home.sfs(&["import"]), @"Captured 1 file of 1 session (174 B).");
    let guarded = home.json(&["guard", "--json"]);
    assert!(!guarded.to_string().contains("\"safe\":false"), "{guarded}");
    for _ in 0..2 {
        assert_eq!(log(&home), [r#"user "Which one?""#, r#"assistant "The other.""#]);
        assert_eq!((only_session(&home)["message_count"].as_u64(), hits(&home, "walrus")), (Some(2), 0));
        home.sfs(&["admin", "reindex", "--local"]);
    }
    home.sfs(&["export", ID, "--format", "native", "-o", home.path().join("out").to_str().unwrap()]);
    let kept = home.path().join("out/projects/home-me-work/agent-transcripts").join(main_file());
    assert!(fs::read_to_string(kept).unwrap().contains("walrus"));
    insta::assert_snapshot!(home.sfs(&["restore", ID]), @"
    ---- stderr
    error: Cursor keeps session ses_3vmhijjgrod4psu3 in its database
    hint: that is only read; sfs resume ses_3vmhijjgrod4psu3 --in claude-code | codex | gemini
    ---- exit Some(1)
    ");
}

/// After a crash, Cursor names messages of which it has nothing more.
#[test]
fn where_the_database_lost_messages_the_transcript_is_resumed() {
    let home = TestHome::new();
    let cursor = Cursor::empty(home.path());
    let writer = cursor.open();
    put_bubble(&writer, ID, "b1", 1, "Which one?");
    put_composer(&writer, ID, &["b1", "b2", "b3", "b4"]);
    let said = [prompt("Which one?"), reply("The other."), prompt("Why, walrus?"), reply("Because.")];
    write(&home, &main_file(), &said);
    home.sfs(&["import"]);
    let resumed = home.sfs(&["resume", ID, "--in", "codex", "--dry-run", "--project", home.path().to_str().unwrap()]);
    assert!(resumed.to_string().contains("kept          2  user messages"), "{resumed}");
}

#[test]
fn rows_that_come_as_a_portable_session_take_the_place_of_a_transcript_too() {
    let (there, home) = (TestHome::new(), TestHome::new());
    put_session(&Cursor::empty(there.path()).open(), ID, &[("b1", "Which one?"), ("b2", "The other."), ("b3", "Why?")]);
    there.sfs(&["import"]);
    let folder = there.path().join("out");
    there.sfs(&["export", ID, "-o", folder.to_str().unwrap()]);
    write(&home, &main_file(), &[prompt("Which one?"), reply("The other.")]);
    home.sfs(&["import"]);
    assert_eq!(only_session(&home)["message_count"], 2);
    assert_eq!(home.sfs(&["import", folder.to_str().unwrap()]).code, Some(0));
    for line in ["Why?", "Why not?"] {
        write(&home, &main_file(), &[prompt(line)]);
        home.sfs(&["import"]);
        assert_eq!((only_session(&home)["message_count"].as_u64(), hits(&home, "other")), (Some(3), 1));
    }
}

/// A backup has the same file, and an old home another state of it.
#[test]
fn copies_of_a_transcript_beside_rows_are_not_captured_again() {
    let home = TestHome::new();
    put_session(&Cursor::empty(home.path()).open(), ID, &[("b1", "Which one?"), ("b2", "The other.")]);
    write(&home, &main_file(), &[prompt("Which one?"), reply("The other.")]);
    home.sfs(&["import"]);
    let backup = home.path().join("backup");
    copy_tree(&home.path().join(".cursor"), &backup.join(".cursor"));
    insta::assert_snapshot!(home.sfs(&["import", backup.to_str().unwrap()]), @"Nothing new.");
    write(&home, &main_file(), &[prompt("And now?")]);
    home.sfs(&["import"]);
    let other = backup.join(".cursor/projects/home-me-work/agent-transcripts").join(main_file());
    fs::write(&other, format!("{}\n", prompt("Something else?"))).unwrap();
    home.sfs(&["import", backup.to_str().unwrap()]);
    let export = home.sfs(&["export", ID, "--format", "native", "-o", home.path().join("out").to_str().unwrap()]);
    assert_eq!(export.code, Some(0), "{export}");
    let kept = home.path().join("out/projects/home-me-work/agent-transcripts").join(main_file());
    assert!(fs::read_to_string(kept).unwrap().contains("And now?"));
    let project = home.path().to_str().unwrap();
    let resumed = home.sfs(&["resume", ID, "--in", "codex", "--dry-run", "--project", project]).to_string();
    assert!(!resumed.contains("diverged"), "{resumed}");
}

/// Whichever of the two comes first, on every device.
#[test]
fn rows_of_one_device_and_a_transcript_of_another_are_one_session() {
    for rows_first in [true, false] {
        let server = SyncServer::start();
        let (with_rows, with_transcript, third) = (TestHome::new(), TestHome::new(), TestHome::new());
        server.sign_up(&with_rows);
        server.log_in(&with_transcript, &with_rows);
        server.log_in(&third, &with_rows);
        let cursor = Cursor::empty(with_rows.path());
        put_session(&cursor.open(), ID, &[("b1", "Which one?"), ("b2", "The other."), ("b3", "Why?")]);
        let agent = format!("{ID}/subagents/{AGENT}.jsonl");
        write(&with_transcript, &agent, &[prompt("Look around"), reply("Nothing there")]);
        write(&with_transcript, &main_file(), &[prompt("Which one?"), reply("The other.")]);
        let order = if rows_first { [&with_rows, &with_transcript] } else { [&with_transcript, &with_rows] };
        for home in order.into_iter().chain([&third]).chain(order) {
            for args in [&["import"][..], &["pull"], &["push"]] {
                assert_eq!(home.sfs(args).code, Some(0), "{args:?}");
            }
        }
        write(&with_transcript, &main_file(), &[prompt("More?")]);
        for home in [&with_transcript, &with_rows, &third, &with_transcript] {
            home.sfs(&["import"]);
            home.sfs(&["push"]);
            home.sfs(&["pull"]);
        }
        for home in [&with_rows, &with_transcript, &third] {
            for _ in 0..2 {
                let said = [r#"user "Which one?""#, r#"assistant "The other.""#, r#"user "Why?""#];
                let mut log = log(home);
                log.retain(|line| !line.contains("around") && !line.contains("Nothing"));
                assert_eq!(log, said, "{rows_first}");
                let counts = (only_session(home)["message_count"].as_u64(), hits(home, "other"), hits(home, "around"));
                assert_eq!(counts, (Some(3), 1, 1), "{rows_first}");
                home.sfs(&["admin", "reindex", "--local"]);
            }
            let out = home.path().join("out");
            for format in ["sfs", "markdown"] {
                let export = home.sfs(&["export", ID, "--format", format, "-o", out.to_str().unwrap()]);
                assert_eq!(export.code, Some(0), "{export}");
            }
            let mut files = out.read_dir().unwrap().map(|file| file.unwrap().path());
            let page = files.find(|path| path.extension().is_some_and(|extension| extension == "md")).unwrap();
            assert!(fs::read_to_string(page).unwrap().contains("Why?"));
        }
    }
}

/// In two folders, with contents that went apart.
#[test]
fn all_transcripts_of_a_session_give_way_to_its_rows() {
    let home = TestHome::new();
    write(&home, &main_file(), &[prompt("Which one?"), reply("The other.")]);
    let elsewhere = format!("../../empty-window/agent-transcripts/{ID}/{ID}.jsonl");
    write(&home, &elsewhere, &[prompt("Which one?"), reply("The giraffe.")]);
    write(&home, &format!("{ID}/subagents/{AGENT}.jsonl"), &[prompt("Look around"), reply("Nothing there")]);
    home.sfs(&["import"]);
    assert_eq!((hits(&home, "giraffe"), hits(&home, "other"), hits(&home, "around")), (1, 1, 1));
    put_session(&Cursor::empty(home.path()).open(), ID, &[("b1", "Which one?"), ("b2", "The other one.")]);
    home.sfs(&["import"]);
    write(&home, &elsewhere, &[prompt("More giraffes?")]);
    home.sfs(&["import"]);
    assert_eq!((hits(&home, "giraffe"), hits(&home, "giraffes"), hits(&home, "other")), (0, 0, 1));
    // What the database has not is still told.
    assert_eq!((only_session(&home)["message_count"].as_u64(), hits(&home, "around")), (Some(2), 1));
}

#[test]
fn the_database_takes_the_place_of_a_transcript_that_came_first() {
    let home = TestHome::new();
    write(&home, &main_file(), &[prompt("Which one?"), reply("The other.")]);
    home.sfs(&["import"]);
    assert_eq!(only_session(&home)["message_count"], 2);
    let cursor = Cursor::empty(home.path());
    let writer = cursor.open();
    put_session(&writer, ID, &[("b1", "Which one?"), ("b2", "The other."), ("b3", "Why?")]);
    home.sfs(&["import"]);
    write(&home, &main_file(), &[prompt("Why?"), reply("Because.")]);
    put_session(&writer, ID, &[("b1", "Which one?"), ("b2", "The other."), ("b3", "Why?"), ("b4", "Because.")]);
    for _ in 0..2 {
        home.sfs(&["import"]);
        assert_eq!(only_session(&home)["message_count"], 4);
        assert_eq!(
            log(&home),
            [r#"user "Which one?""#, r#"assistant "The other.""#, r#"user "Why?""#, r#"assistant "Because.""#]
        );
        assert_eq!(hits(&home, "other"), 1);
    }
    // All of it is derived again from the archive.
    home.sfs(&["admin", "reindex", "--local"]);
    assert_eq!(log(&home).len(), 4);
    assert_eq!(only_session(&home)["message_count"], 4);
}

#[test]
fn a_transcript_from_elsewhere_is_imported() {
    let home = TestHome::new();
    let file = home.path().join(format!("{ID}.jsonl"));
    fs::write(&file, format!("{}\n{}\n", prompt("Ship it"), reply("Done."))).unwrap();
    for said in ["Captured 1 file of 1 session (241 B).", "Nothing new."] {
        assert_eq!(home.sfs(&["import", file.to_str().unwrap()]).to_string().trim(), said);
    }
    assert_eq!(log(&home), [r#"user "Ship it""#, r#"assistant "Done.""#]);
    insta::assert_snapshot!(home.sfs(&["restore", ID]), @"restored ~/.cursor/projects/empty-window/agent-transcripts/0d5d7ac1-7c4c-4a52-9f39-3d6c4a1e0011/0d5d7ac1-7c4c-4a52-9f39-3d6c4a1e0011.jsonl");
}

#[test]
fn a_project_with_settings_for_cursor_is_no_home() {
    let home = TestHome::new();
    let project = home.path().join("work");
    fs::create_dir_all(project.join(".cursor/rules")).unwrap();
    fs::write(project.join(".cursor/rules/style.mdc"), "Be brief.").unwrap();
    let import = home.sfs(&["import", project.to_str().unwrap()]);
    assert_eq!(import.code, Some(3), "{import}");
    assert!(home.sfs(&["init", "--no-service"]).stdout.contains("Cursor       not found on this machine"));
}
