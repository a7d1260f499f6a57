//! The portable .sfs folder: what we export validates and comes back byte for byte; what others wrote is imported, read
//! and resumed; what is broken or hostile is refused and leaves the archive as it was.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use crate::clients::{Client, differences, ready, receive};
use crate::support::file_source::FileSource;
use crate::support::home::{Run, TestHome, fixture};
use crate::support::schema::Schema;
use crate::support::written::shown;
use serde_json::{Value, json};
use sessionfs::tools::{Format, Reading, Source, conversation as conversation_of, find, reader};
use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// A .sfs folder as another program might have written it: manifest, messages, workspace.
struct Folder(PathBuf);

const CLAUDE_ID: &str = "0b0e7c3a-1111-4222-8333-444455556666";

impl Folder {
    fn new(home: &TestHome, name: &str) -> Folder {
        let folder = Folder(home.path().join(name));
        fs::create_dir_all(&folder.0).unwrap();
        folder
    }

    /// One of a tool that nobody knows, with every kind of block.
    fn aider(home: &TestHome) -> Folder {
        let folder = Folder::new(home, "aider.sfs");
        folder.json("manifest.json", &aider_manifest());
        folder.write("messages.jsonl", lines(&conversation()));
        folder.json("workspace.json", &json!({"root_path": home.path(), "git": {"branch": "main"}}));
        fs::create_dir(folder.0.join("context")).unwrap();
        folder.write("context/dot.png", b"\x89PNG\r\n\x1a\n");
        folder
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.0.join(name), bytes).unwrap();
    }

    fn json(&self, name: &str, value: &Value) {
        self.write(name, serde_json::to_vec_pretty(value).unwrap());
    }

    fn import(&self, home: &TestHome) -> Run {
        home.sfs(&["import", self.0.to_str().unwrap()])
    }

    /// Changes the manifest.
    fn edit(&self, change: impl FnOnce(&mut Value)) {
        let path = self.0.join("manifest.json");
        let mut manifest = read_json(&path);
        change(&mut manifest);
        self.json("manifest.json", &manifest);
    }
}

fn aider_manifest() -> Value {
    json!({"sfs_version": "0.1.0", "session_id": "ses_ab12cd34ef56ab78", "title": "Port the parser",
        "tags": ["work"], "created_at": "2026-03-20T09:12:00Z", "updated_at": "2026-03-20T09:30:00Z",
        "source": {"tool": "aider", "tool_version": "0.80", "original_session_id": null},
        "model": {"provider": "mistral", "model_id": "mistral-large"}, "parent_session_id": "ses_parent0parent0"})
}

fn conversation() -> Vec<Value> {
    let at = |second: u32| format!("2026-03-20T09:13:{second:02}Z");
    vec![
        json!({"msg_id": "m1", "parent_msg_id": null, "role": "user", "timestamp": at(1), "content": [
            {"type": "text", "text": "please port the parser"},
            {"type": "image", "source": {"type": "path", "data": "context/dot.png"}}]}),
        json!({"msg_id": "m2", "parent_msg_id": "m1", "role": "assistant", "timestamp": at(2), "model": "mistral-large",
            "provider": "mistral", "stop_reason": "tool_use", "usage": {"input_tokens": 100, "output_tokens": 20},
            "content": [{"type": "thinking", "text": "hm", "signature": "c2ln"},
                {"type": "tool_use", "tool_use_id": "t1", "name": "Bash", "input": {"command": "ls", "b": 1, "a": 2}}]}),
        json!({"msg_id": "m3", "parent_msg_id": "m2", "role": "tool", "timestamp": at(3), "content": [
            {"type": "tool_result", "tool_use_id": "t1", "content": "parser.c\n", "exit_code": 0},
            {"type": "image", "source": {"type": "base64", "data": "iVBORw0KGgoB", "media_type": "image/png"}}]}),
        json!({"msg_id": "s1", "role": "assistant", "timestamp": at(4), "is_sidechain": true, "agent_id": "a1",
            "content": [{"type": "text", "text": "a sub-agent speaks"}]}),
        json!({"msg_id": "m4", "parent_msg_id": "m3", "role": "assistant", "timestamp": at(5), "content": [
            {"type": "text", "text": "The parser is ported."}, {"type": "citation", "url": "https://example.org"},
            {"type": "summary", "text": "all done"}]}),
    ]
}

fn lines(messages: &[Value]) -> String {
    messages.iter().flat_map(|message| [message.to_string(), "\n".to_owned()]).collect()
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Every file below `folder`.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = walkdir::WalkDir::new(folder).into_iter().map(Result::unwrap).filter(|e| e.file_type().is_file());
    files.map(|e| (e.path().strip_prefix(folder).unwrap().to_owned(), fs::read(e.path()).unwrap())).collect()
}

fn sessions(home: &TestHome) -> Vec<Value> {
    let mut sessions = home.json(&["list", "--all", "--json"]).as_array().unwrap().clone();
    sessions.sort_by_key(|session| session["id"].to_string());
    sessions
}

fn ids(home: &TestHome) -> Vec<String> {
    sessions(home).iter().map(|session| session["id"].as_str().unwrap().to_owned()).collect()
}

/// Exports every session of `home` into `folder`.
fn export_all(home: &TestHome, format: &str, folder: &Path) {
    for id in ids(home) {
        let run = home.sfs(&["export", &id, "--format", format, "-o", folder.to_str().unwrap()]);
        assert_eq!(run.code, Some(0), "{run}");
    }
}

fn recorded() -> Vec<String> {
    let of = |tool: &str| {
        let cases = fs::read_dir(fixture(tool)).unwrap().map(|entry| entry.unwrap().file_name());
        cases.map(|case| format!("{tool}/{}", case.to_string_lossy())).collect::<Vec<_>>()
    };
    [of("claude"), of("codex"), of("gemini")].concat()
}

/// What an export says against the published schemas.
fn faults(folder: &Path) -> Vec<String> {
    let mut faults = Schema::of("manifest").faults(&read_json(&folder.join("manifest.json")));
    if folder.join("workspace.json").exists() {
        faults.extend(Schema::of("workspace").faults(&read_json(&folder.join("workspace.json"))));
    }
    let schema = Schema::of("message");
    let (text, mut ids) = (fs::read_to_string(folder.join("messages.jsonl")).unwrap(), Vec::new());
    for line in text.lines() {
        let message: Value = serde_json::from_str(line).unwrap();
        faults.extend(schema.faults(&message));
        let parent = &message["parent_msg_id"];
        if !parent.is_null() && !ids.contains(parent) {
            faults.push(format!("{} has an unknown parent", message["msg_id"]));
        }
        if ids.contains(&message["msg_id"]) {
            faults.push(format!("{} is there twice", message["msg_id"]));
        }
        ids.push(message["msg_id"].clone());
    }
    faults
}

#[test]
fn every_recorded_session_comes_back_from_its_export_byte_for_byte() {
    for case in recorded() {
        let home = TestHome::with(&[&case]);
        home.sfs(&["import"]);
        // Until then a session's time may be that of a file beside it which was captured first.
        home.sfs(&["admin", "reindex", "--local"]);
        let exports = home.path().join("exports");
        export_all(&home, "sfs", &exports);
        for folder in fs::read_dir(&exports).unwrap() {
            assert_eq!(faults(&folder.unwrap().path()), Vec::<String>::new(), "{case}");
        }
        let other = TestHome::new();
        let run = other.sfs(&["import", exports.to_str().unwrap()]);
        assert_eq!((run.code, &run.stderr[..]), (Some(0), ""), "{case}: {run}");
        let without_presence = |mut session: Value| {
            session.as_object_mut().unwrap().remove("native_present");
            session
        };
        let list = |home| sessions(home).into_iter().map(without_presence).collect::<Vec<_>>();
        assert_eq!(list(&home), list(&other), "{case}");
        for id in ids(&home) {
            let messages = |home: &TestHome| home.json(&["show", &id, "-m", "--json"])["messages"].clone();
            assert_eq!(messages(&home), messages(&other), "{case} {id}");
        }
        export_all(&home, "native", &home.path().join("native"));
        export_all(&other, "native", &other.path().join("native"));
        assert_eq!(tree(&home.path().join("native")), tree(&other.path().join("native")), "{case}");
        assert_eq!(other.sfs(&["import", exports.to_str().unwrap()]).stdout, "Nothing new.\n", "{case}");
        assert_eq!(other.sfs(&["admin", "reindex", "--local"]).code, Some(0));
        assert_eq!(list(&home), list(&other), "{case}, rebuilt");
    }
}

#[test]
fn a_foreign_folder_is_imported_listed_and_shown() {
    let home = TestHome::new();
    let folder = Folder::aider(&home);
    insta::assert_snapshot!(folder.import(&home), @"Captured 4 files of 1 session (1.7 kB).");
    insta::assert_snapshot!(folder.import(&home), @"Nothing new.");
    assert_eq!(home.json(&["list", "--tool", "aider", "--json"]).as_array().unwrap().len(), 1);
    assert_eq!(home.sfs(&["list", "--tool", "aidr"]).code, Some(2));
    let list = sessions(&home);
    insta::assert_snapshot!(serde_json::to_string_pretty(&list[0]).unwrap().replace(home.path().to_str().unwrap(), "$HOME"), @r#"
    {
      "cost_usd": null,
      "created_at": "2026-03-20T09:12:00Z",
      "id": "ses_ab12cd34ef56ab78",
      "input_tokens": 100,
      "message_count": 4,
      "model": "mistral-large",
      "native_id": "ses_ab12cd34ef56ab78",
      "native_present": false,
      "output_tokens": 20,
      "parent_id": "ses_parent0parent0",
      "project": "$HOME",
      "tags": [
        "work"
      ],
      "title": "Port the parser",
      "tool": "aider",
      "tool_call_count": 1,
      "turn_count": 1,
      "updated_at": "2026-03-20T09:30:00Z"
    }
    "#);
    let shown = home.sfs(&["show", "ses_ab12cd34ef56ab78", "-m"]);
    insta::assert_snapshot!(shown, @r#"
    user 2026-03-20 09:13:01 m1
      please port the parser
      [image image/png]

    assistant 2026-03-20 09:13:02 m2
      · hm
      → Bash
        a: 2
        b: 1
        command: ls

    tool 2026-03-20 09:13:03 m3
      ← parser.c
      [image image/png]

    assistant 2026-03-20 09:13:05 m4
      The parser is ported.
      {"type":"citation","url":"https://example.org"}
      all done
    "#);
}

#[test]
fn a_foreign_session_keeps_everything_it_says() {
    let home = TestHome::new();
    Folder::aider(&home).import(&home);
    let shown = home.json(&["show", "last", "-m", "--json"]);
    let mut expected = conversation();
    // The picture beside the messages has come in; a maker we do not know has no field.
    expected[0]["content"][1]["source"] = json!({"type": "base64", "data": "iVBORw0KGgo=", "media_type": "image/png"});
    expected[1].as_object_mut().unwrap().remove("provider");
    expected[1]["metadata"] = json!({"provider": "mistral"});
    let text = |message: &Value, key: &str| message[key].clone();
    for (actual, expected) in shown["messages"].as_array().unwrap().iter().zip(&expected) {
        for key in ["msg_id", "role", "content", "timestamp", "model", "metadata", "stop_reason", "agent_id"] {
            assert_eq!(text(actual, key), text(expected, key), "{key} of {}", expected["msg_id"]);
        }
    }
    assert_eq!(shown["messages"].as_array().unwrap().len(), 5);
    assert_eq!(shown["messages"][1]["content"][1]["input"].to_string(), r#"{"a":2,"b":1,"command":"ls"}"#);
    assert_eq!(shown["notes"], json!([]));
    let markdown = home.sfs(&["export", "last", "--format", "markdown"]).stdout;
    assert!(markdown.contains("The parser is ported.") && !markdown.contains("a sub-agent speaks"), "{markdown}");
}

#[test]
fn a_foreign_session_is_resumed_in_every_tool() {
    let home = TestHome::new();
    Folder::aider(&home).import(&home);
    insta::assert_snapshot!(home.sfs(&["resume", "ses_ab12"]), @r#"
    ---- stderr
    error: sessions can't be written for "aider", the tool of this one
    hint: sfs resume ses_ab12cd34ef56ab78 --in claude-code | codex | gemini
    ---- exit Some(2)
    "#);
    for tool in ["claude-code", "codex", "gemini"] {
        let resumed = home.json(&["resume", "ses_ab12", "--in", tool, "--no-launch", "--json"]);
        let written = fs::read_to_string(resumed["files"][0].as_str().unwrap()).unwrap();
        for part in ["please port the parser", "iVBORw0KGgo=", "parser.c", "iVBORw0KGgoB", "The parser is ported."] {
            assert!(written.contains(part), "{tool} got no {part}: {written}");
        }
        assert!(!written.contains("a sub-agent speaks"), "{tool}");
        assert!(resumed["ledger"]["degraded"].to_string().contains("sub-agent messages"), "{}", resumed["ledger"]);
    }
    insta::assert_snapshot!(home.sfs(&["restore", "ses_ab12"]), @r"
    ---- stderr
    error: session ses_ab12cd34ef56ab78 has no native files
    hint: it was imported without them; `sfs resume ses_ab12cd34ef56ab78 --in TOOL` writes it anew
    ---- exit Some(1)
    ");
    insta::assert_snapshot!(home.sfs(&["export", "ses_ab12", "--format", "native", "-o", "native"]), @r"
    ---- stderr
    error: session ses_ab12cd34ef56ab78 has no native files
    hint: it was imported without them; `sfs resume ses_ab12cd34ef56ab78 --in TOOL` writes it anew
    ---- exit Some(1)
    ");
}

#[test]
fn a_foreign_session_survives_our_own_export_and_a_rebuild() {
    let home = TestHome::new();
    let folder = Folder::aider(&home);
    folder.import(&home);
    let out = home.path().join("out");
    export_all(&home, "sfs", &out);
    let export = out.join("ses_ab12cd34ef56ab78.sfs");
    assert_eq!(faults(&export), Vec::<String>::new());
    let other = TestHome::new();
    assert_eq!(other.sfs(&["import", export.to_str().unwrap()]).stderr, "");
    let show = |home: &TestHome| shown(home, "last");
    let before = show(&home);
    assert_eq!(before, show(&other));
    assert_eq!(before["streams"].as_array().unwrap().len(), 4);
    home.sfs(&["admin", "reindex", "--local"]);
    assert_eq!(before, show(&home));
    assert_eq!(before["parent_id"], "ses_parent0parent0");
}

#[test]
fn what_a_summary_stands_for_is_shown_but_not_resumed() {
    let home = TestHome::new();
    let folder = Folder::aider(&home);
    let mut all = conversation();
    all.push(json!({"msg_id": "m5", "role": "system", "timestamp": "2026-03-20T09:14:00Z", "content": [
        {"type": "summary", "text": "A parser was ported.", "summarized_through_msg_id": "m3"}]}));
    folder.write("messages.jsonl", lines(&all));
    folder.import(&home);
    assert!(home.sfs(&["show", "last", "-m"]).stdout.contains("please port the parser"));
    insta::assert_snapshot!(home.sfs(&["resume", "last", "--in", "codex", "--dry-run"]), @r"
    Would be written for Codex:
      kept          1  assistant messages
      kept          1  summaries
      mapped        1  summaries  (as a user message)
      degraded      1  sub-agent messages  (attached as Markdown: for you to read, the model does not see them)
      dropped       3  messages before a compaction  (the summary stands for them)
      dropped       1  other content  (the target has no place for it)
    ");
    let resumed = home.json(&["resume", "last", "--in", "codex", "--no-launch", "--json"]);
    let written = fs::read_to_string(resumed["files"][0].as_str().unwrap()).unwrap();
    assert!(!written.contains("please port the parser"), "{written}");
    assert!(written.contains("A parser was ported.") && written.contains("The parser is ported."), "{written}");
}

#[test]
fn a_signature_survives_where_it_is_valid() {
    let home = TestHome::new();
    let folder = Folder::aider(&home);
    folder.edit(|manifest| {
        manifest["source"] = json!({"tool": "claude-code", "original_session_id": CLAUDE_ID});
        manifest["model"]["model_id"] = "claude-opus-4-6".into();
    });
    folder.write("messages.jsonl", lines(&conversation()).replace("mistral-large", "claude-opus-4-6"));
    folder.import(&home);
    assert_eq!(ids(&home), ["ses_ab12cd34ef56ab78"]);
    let resumed = home.json(&["resume", CLAUDE_ID, "--no-launch", "--json"]);
    let written = fs::read_to_string(resumed["files"][0].as_str().unwrap()).unwrap();
    assert!(written.contains(r#""signature":"c2ln""#), "{written}");
}

#[test]
fn garbage_between_the_messages_is_noted_and_kept() {
    let home = TestHome::new();
    let folder = Folder::aider(&home);
    let bad = [
        "not json",
        "[1, 2]",
        r#"{"msg_id": "x", "role": "king", "content": "hail"}"#,
        r#"{"msg_id": "x", "role": "user", "content": []}"#,
        "",
        r#"{"role": "user", "content": "a plain text", "timestamp": 7, "usage": "much", "metadata": []}"#,
        r#"{"msg_id": "m1", "role": "user", "content": [{"type": "text"}, 5, {"kind": "odd"}, "words"]}"#,
        r#"{"msg_id": "m9", "role": "user", "content": [{"type": "tool_result", "tool_use_id": "q", "content": [{"type": "text", "text": "in blocks"}]}]}"#,
        "\u{0}\u{1}",
    ];
    let text = lines(&conversation()) + &bad.join("\n");
    folder.write("messages.jsonl", &text);
    insta::assert_snapshot!(folder.import(&home), @"Captured 4 files of 1 session (2.2 kB).");
    let shown = home.json(&["show", "last", "-m", "--json"]);
    insta::assert_snapshot!(serde_json::to_string_pretty(&shown["notes"]).unwrap(), @r#"
    [
      {
        "line": 6,
        "reason": "not a JSON object",
        "stream": "main"
      },
      {
        "line": 7,
        "reason": "not a JSON object",
        "stream": "main"
      },
      {
        "line": 8,
        "reason": "the role is none of user, assistant, system, developer, tool",
        "stream": "main"
      },
      {
        "line": 9,
        "reason": "a message without content",
        "stream": "main"
      }
    ]
    "#);
    insta::assert_snapshot!(lines(&shown["messages"].as_array().unwrap()[5..]), @r#"
    {"content":[{"text":"a plain text","type":"text"}],"msg_id":"main:10.0","parent_msg_id":null,"role":"user","timestamp":"1970-01-01T00:00:00Z"}
    {"content":[{"type":"unknown","value":{"type":"text"}},{"type":"unknown","value":5},{"type":"unknown","value":{"kind":"odd"}},{"text":"words","type":"text"}],"msg_id":"m1","parent_msg_id":null,"role":"user","timestamp":"1970-01-01T00:00:00Z"}
    {"content":[{"content":"in blocks","tool_use_id":"q","type":"tool_result"}],"msg_id":"m9","parent_msg_id":null,"role":"tool","timestamp":"1970-01-01T00:00:00Z"}
    "#);
    // Two messages call themselves m1: the export tells them apart.
    export_all(&home, "sfs", &home.path().join("out"));
    let export = home.path().join("out/ses_ab12cd34ef56ab78.sfs");
    assert_eq!(faults(&export), Vec::<String>::new());
    assert_eq!(fs::read_to_string(export.join("native/main")).unwrap(), text);
}

#[test]
fn what_nests_too_deep_is_no_trouble() {
    let home = TestHome::new();
    let folder = Folder::aider(&home);
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let with = |content: &str| {
        format!(r#"{{"msg_id": "d", "role": "assistant", "content": {content}, "timestamp": "2026-03-20T09:13:01Z"}}"#)
    };
    let blocks = [
        deep.clone(),
        format!("[{deep}]"),
        format!(r#"[{{"type": "tool_use", "tool_use_id": "t", "name": "n", "input": {deep}}}]"#),
        format!(r#"[{{"type": "tool_result", "tool_use_id": "t", "content": {deep}}}]"#),
        format!(r#"[{{"type": "other", "value": {deep}}}]"#),
    ];
    folder.write("messages.jsonl", lines(&conversation()) + &blocks.map(|block| with(&block)).join("\n"));
    assert_eq!(folder.import(&home).code, Some(0));
    let commands: [&[&str]; 5] = [
        &["show", "last", "-m", "--full"],
        &["show", "last", "-m", "--json"],
        &["export", "last"],
        &["resume", "last", "--in", "codex", "--no-launch"],
        &["resume", "last", "--in", "claude-code", "--no-launch"],
    ];
    for command in commands {
        let run = home.sfs(command);
        assert_eq!(run.code, Some(0), "{command:?}: {}", run.stderr);
    }
}

#[test]
fn a_grown_folder_goes_on_and_a_changed_one_is_a_new_generation() {
    let home = TestHome::new();
    let folder = Folder::aider(&home);
    let all = conversation();
    folder.write("messages.jsonl", lines(&all[..2]));
    folder.import(&home);
    folder.write("messages.jsonl", lines(&all));
    insta::assert_snapshot!(folder.import(&home), @"Captured 1 file of 1 session (665 B).");
    let generations = || {
        let shown = home.json(&["show", "last", "--json"]);
        let streams = shown["streams"].as_array().unwrap().iter().filter(|stream| stream["name"] == "main");
        streams.map(|stream| stream["bytes"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let whole = lines(&all).len() as u64;
    assert_eq!(generations(), [whole]);
    // An older copy brings nothing.
    folder.write("messages.jsonl", lines(&all[..1]));
    assert_eq!(folder.import(&home).stdout, "Nothing new.\n");
    folder.write("messages.jsonl", lines(&all).replace("please port", "please drop"));
    folder.import(&home);
    assert_eq!(generations(), [whole, whole]);
    let shown = home.sfs(&["show", "last", "-m"]).stdout;
    assert!(shown.contains("please drop the parser") && !shown.contains("please port"), "{shown}");
}

#[test]
fn an_id_that_is_taken_is_not_taken_away() {
    let home = TestHome::with(&["claude/chat"]);
    home.sfs(&["import"]);
    let own = sessions(&home)[0].clone();
    let folder = Folder::aider(&home);
    folder.edit(|manifest| manifest["session_id"] = own["id"].clone());
    folder.import(&home);
    let all = sessions(&home);
    assert_eq!(all.len(), 2);
    assert_eq!(all.iter().find(|session| session["id"] == own["id"]), Some(&own));
    // The other way round: the id of a session that is captured later.
    let other = TestHome::with(&["claude/chat"]);
    let folder = Folder::aider(&other);
    folder.edit(|manifest| manifest["session_id"] = own["id"].clone());
    folder.import(&other);
    assert_eq!(other.sfs(&["import"]).code, Some(0));
    assert_eq!(other.sfs(&["import"]).stdout, "Nothing new.\n");
    assert_eq!(sessions(&other).len(), 2);
}

#[test]
fn a_portable_copy_of_a_session_that_we_hold_is_kept_beside_it() {
    let home = TestHome::with(&["claude/chat"]);
    home.sfs(&["import"]);
    let own = sessions(&home)[0].clone();
    let folder = Folder::aider(&home);
    folder.edit(|manifest| {
        manifest["source"] = json!({"tool": "claude", "original_session_id": own["native_id"]});
        manifest["tags"] = json!([]);
        manifest["parent_session_id"] = Value::Null;
    });
    insta::assert_snapshot!(folder.import(&home), @r"
    Captured 4 files of 1 session (1.7 kB).
    ---- stderr
    note: $HOME/aider.sfs: the archive holds ses_toeqje2xm4fv4d7b in its tool's own form; this copy is kept beside it
    ");
    assert_eq!(sessions(&home), [own]);
}

#[test]
fn a_session_that_came_as_a_copy_is_completed_by_its_own_file() {
    let source = TestHome::with(&["claude/chat"]);
    source.sfs(&["import"]);
    let out = source.path().join("out");
    export_all(&source, "sfs", &out);
    let folder = Folder(fs::read_dir(&out).unwrap().next().unwrap().unwrap().path());
    folder.edit(|manifest| manifest["metadata"] = json!({}));
    fs::remove_dir_all(folder.0.join("native")).unwrap();
    let home = TestHome::with(&["claude/chat"]);
    fs::rename(home.path().join(".claude"), home.path().join("away")).unwrap();
    assert_eq!(folder.import(&home).code, Some(0));
    assert_eq!(sessions(&home)[0]["native_present"], false);
    fs::rename(home.path().join("away"), home.path().join(".claude")).unwrap();
    assert_eq!(home.sfs(&["import"]).code, Some(0));
    assert_eq!(sessions(&home), sessions(&source));
    // Both forms travel on together.
    let (out, other) = (home.path().join("both"), TestHome::new());
    export_all(&home, "sfs", &out);
    assert_eq!(other.sfs(&["import", out.to_str().unwrap()]).stderr, "");
    assert_eq!(other.sfs(&["import", out.to_str().unwrap()]).stdout, "Nothing new.\n");
    let shown = |home: &TestHome| home.json(&["show", "last", "-m", "--json"]);
    assert_eq!(shown(&other)["messages"], shown(&source)["messages"]);
    assert_eq!(shown(&other)["streams"], shown(&home)["streams"]);
}

#[test]
fn what_a_person_said_comes_with_the_session() {
    let home = TestHome::with(&["claude/chat"]);
    home.sfs(&["import"]);
    export_all(&home, "sfs", &home.path().join("out"));
    let folder = Folder(fs::read_dir(home.path().join("out")).unwrap().next().unwrap().unwrap().path());
    folder.edit(|manifest| {
        manifest["title"] = "My own title".into();
        manifest["metadata"]["title_from"] = "person".into();
        manifest["tags"] = json!(["a", "b"]);
        manifest["parent_session_id"] = "ses_parent0parent0".into();
        manifest["metadata"]["relation"] = "resume".into();
        manifest["metadata"]["inherited"] = 10.into();
    });
    insta::assert_snapshot!(folder.import(&home), @"Captured 1 file of 1 session (0 B).");
    let session = sessions(&home)[0].clone();
    assert_eq!(session["title"], "My own title");
    assert_eq!(session["tags"], json!(["a", "b"]));
    assert_eq!(session["parent_id"], "ses_parent0parent0");
    // What is there already stays.
    folder.edit(|manifest| {
        manifest["title"] = "Another title".into();
        manifest["tags"] = json!(["c"]);
    });
    assert_eq!(folder.import(&home).stdout, "Nothing new.\n");
    assert_eq!(sessions(&home), [session]);
}

#[test]
fn a_title_that_the_tool_keeps_elsewhere_comes_too() {
    let home = TestHome::with(&["codex/chat"]);
    home.sfs(&["import"]);
    let id = sessions(&home)[0]["native_id"].clone();
    fs::write(home.path().join(".codex/session_index.jsonl"), json!({"id": id, "thread_name": "Named"}).to_string())
        .unwrap();
    home.sfs(&["import"]);
    let (out, other) = (home.path().join("out"), TestHome::new());
    export_all(&home, "sfs", &out);
    other.sfs(&["import", out.to_str().unwrap()]);
    assert_eq!(sessions(&other)[0]["title"], "Named");
    assert_eq!(other.sfs(&["import", out.to_str().unwrap()]).stdout, "Nothing new.\n");
    other.sfs(&["admin", "reindex", "--local"]);
    assert_eq!(sessions(&other)[0]["title"], "Named");
}

#[test]
fn devices_that_went_different_ways_keep_both() {
    let home = TestHome::with(&["claude/multi"]);
    let files = walkdir::WalkDir::new(home.path().join(".claude")).into_iter().map(Result::unwrap);
    let path = files.filter(|entry| entry.file_type().is_file()).last().unwrap().into_path();
    home.sfs(&["import"]);
    let theirs = home.path().join("theirs");
    export_all(&home, "sfs", &theirs);
    let other = TestHome::with(&["claude/multi"]);
    let path = other.path().join(path.strip_prefix(home.path()).unwrap());
    let mine = fs::read_to_string(&path).unwrap().replacen("2026-11-22", "2026-11-21", 1) + "{}\n";
    fs::write(&path, &mine).unwrap();
    other.sfs(&["import"]);
    assert_eq!(other.sfs(&["import", theirs.to_str().unwrap()]).code, Some(0));
    assert_eq!(other.sfs(&["import", theirs.to_str().unwrap()]).stdout, "Nothing new.\n");
    assert_eq!(other.json(&["show", "last", "--json"])["streams"].as_array().unwrap().len(), 2);
    // The tool's own file is as it was, and is still captured.
    assert_eq!(fs::read_to_string(&path).unwrap(), mine);
    assert_eq!(other.sfs(&["import"]).stdout, "Nothing new.\n");
    fs::write(&path, mine + "{}\n").unwrap();
    assert_eq!(other.sfs(&["import"]).code, Some(0));
    assert_eq!(other.json(&["show", "last", "--json"])["streams"].as_array().unwrap().len(), 2);
    assert_eq!(other.sfs(&["admin", "check"]).code, Some(0));
}

#[test]
fn a_growing_session_is_extended_by_a_later_export() {
    let home = TestHome::with(&["claude/multi"]);
    let path = walkdir::WalkDir::new(home.path().join(".claude")).into_iter().map(Result::unwrap);
    let path = path.filter(|entry| entry.file_type().is_file()).last().unwrap().into_path();
    let bytes = fs::read(&path).unwrap();
    let (early, late) = (home.path().join("early"), home.path().join("late"));
    let half = bytes.iter().take(bytes.len() / 2).rposition(|byte| *byte == b'\n').unwrap() + 1;
    fs::write(&path, &bytes[..half]).unwrap();
    home.sfs(&["import"]);
    export_all(&home, "sfs", &early);
    fs::write(&path, &bytes).unwrap();
    home.sfs(&["import"]);
    export_all(&home, "sfs", &late);
    let other = TestHome::new();
    for folder in [&early, &late, &early] {
        assert_eq!(other.sfs(&["import", folder.to_str().unwrap()]).code, Some(0));
    }
    export_all(&other, "native", &other.path().join("native"));
    let files = tree(&other.path().join("native"));
    assert_eq!(files.into_values().collect::<Vec<_>>(), [bytes]);
    assert_eq!(other.json(&["show", "last", "--json"])["streams"].as_array().unwrap().len(), 1);
    // And it resumes there as if it had been written there.
    let resumed = other.json(&["resume", "last", "--no-launch", "--json"]);
    assert_eq!(resumed["native_id"], sessions(&other)[0]["native_id"]);
}

/// An export of a recorded session in a home whose archive is then empty.
fn exported() -> (TestHome, Folder) {
    let home = TestHome::with(&["claude/v2.1.5-sub"]);
    home.sfs(&["import"]);
    export_all(&home, "sfs", &home.path().join("out"));
    fs::remove_dir_all(home.path().join(".sessionfs")).unwrap();
    fs::remove_dir_all(home.path().join(".claude")).unwrap();
    let folder = fs::read_dir(home.path().join("out")).unwrap().next().unwrap().unwrap().path();
    fs::rename(folder, home.path().join("it.sfs")).unwrap();
    let folder = Folder(home.path().join("it.sfs"));
    (home, folder)
}

/// What the import of a spoilt export says; nothing of it may be in the archive then.
fn refused(spoil: impl FnOnce(&Folder)) -> String {
    let (home, folder) = exported();
    spoil(&folder);
    let run = folder.import(&home);
    assert_ne!(run.code, Some(0), "{run}");
    assert_eq!(sessions(&home), Vec::<Value>::new());
    assert_eq!(home.sfs(&["admin", "check"]).code, Some(0));
    run.to_string()
}

fn entry(folder: &Folder, change: impl FnOnce(&mut Value)) {
    folder.edit(|manifest| change(&mut manifest["metadata"]["native"][0]));
}

#[test]
fn damaged_exports_are_refused_as_a_whole() {
    insta::assert_snapshot!(refused(|f| f.write("native/main", b"changed\n")), @r"
    ---- stderr
    error: $HOME/it.sfs/native/main has 8 bytes instead of 4062
    hint: nothing of this session was imported: export or copy the folder again
    ---- exit Some(1)
    ");
    insta::assert_snapshot!(refused(|f| {
        let mut bytes = fs::read(f.0.join("native/main")).unwrap();
        bytes[3] ^= 1;
        f.write("native/main", bytes);
    }), @r"
    ---- stderr
    error: $HOME/it.sfs/native/main is not what was exported: its SHA-256 differs
    hint: nothing of this session was imported: export or copy the folder again
    ---- exit Some(1)
    ");
    insta::assert_snapshot!(refused(|f| fs::remove_file(f.0.join("native/main")).unwrap()), @r"
    ---- stderr
    error: $HOME/it.sfs/native/main is missing
    hint: the folder is not whole: export or copy it again
    ---- exit Some(1)
    ");
    insta::assert_snapshot!(refused(|f| f.write("manifest.json", b"{\"sfs_version\":")), @r"
    ---- stderr
    error: $HOME/it.sfs/manifest.json is not JSON: EOF while parsing a value at line 1 column 15
    hint: a .sfs folder comes whole from `sfs export`
    ---- exit Some(1)
    ");
    insta::assert_snapshot!(refused(|f| f.write("manifest.json", b"[]")), @r"
    ---- stderr
    error: $HOME/it.sfs/manifest.json is not a JSON object
    hint: a .sfs folder comes whole from `sfs export`
    ---- exit Some(1)
    ");
    insta::assert_snapshot!(refused(|f| fs::remove_file(f.0.join("manifest.json")).unwrap()), @r"
    ---- stderr
    error: $HOME/it.sfs/manifest.json is not there
    hint: a .sfs folder holds manifest.json and messages.jsonl
    ---- exit Some(3)
    ");
    insta::assert_snapshot!(refused(|f| f.edit(|m| m["sfs_version"] = "2.0.0".into())), @r#"
    ---- stderr
    error: $HOME/it.sfs/manifest.json is of .sfs version "2.0.0"
    hint: this sessionfs reads 0.1; a newer one may read it
    ---- exit Some(1)
    "#);
    insta::assert_snapshot!(refused(|f| f.edit(|m| m["source"] = json!({}))), @r"
    ---- stderr
    error: $HOME/it.sfs/manifest.json has no source.tool
    hint: a .sfs folder comes whole from `sfs export`
    ---- exit Some(1)
    ");
    insta::assert_snapshot!(refused(|f| entry(f, |e| e["bytes"] = "many".into())), @r#"
    ---- stderr
    error: $HOME/it.sfs/manifest.json lists the native files in a way that can't be understood: invalid type: string "many", expected u64
    hint: a .sfs folder comes whole from `sfs export`
    ---- exit Some(1)
    "#);
    insta::assert_snapshot!(refused(|f| entry(f, |e| e["bytes"] = u64::MAX.into())), @r"
    ---- stderr
    error: $HOME/it.sfs/native/main has 4062 bytes instead of 18446744073709551615
    hint: nothing of this session was imported: export or copy the folder again
    ---- exit Some(1)
    ");
}

#[test]
fn hostile_exports_are_refused_as_a_whole() {
    for file in ["../it.sfs/native/main", "native/../native/main", "/etc/passwd", "", "native/./main", "native"] {
        let said = refused(|f| entry(f, |e| e["file"] = file.into()));
        assert!(said.contains("does not lie in the folder") || said.contains("is not a file"), "{file}: {said}");
    }
    for stream in ["../../evil", "/evil", "a/../b", "", "facts", "a\nb"] {
        let said = refused(|f| entry(f, |e| e["stream"] = stream.into()));
        assert!(said.contains("can't be stream"), "{stream}: {said}");
    }
    insta::assert_snapshot!(refused(|f| {
        f.edit(|m| {
            let twice = m["metadata"]["native"][0].clone();
            m["metadata"]["native"].as_array_mut().unwrap().push(twice);
        });
    }), @r#"
    ---- stderr
    error: $HOME/it.sfs/native/main can't be stream "main"
    hint: nothing of this session was imported: export or copy the folder again
    ---- exit Some(1)
    "#);
    insta::assert_snapshot!(refused(|f| {
        f.edit(|m| m["metadata"]["native"] = vec![m["metadata"]["native"][0].clone(); 20_000].into());
    }), @r"
    ---- stderr
    error: $HOME/it.sfs/manifest.json lists more than 10000 native files
    hint: a .sfs folder comes whole from `sfs export`
    ---- exit Some(1)
    ");
    insta::assert_snapshot!(refused(|f| {
        fs::rename(f.0.join("native/main"), f.0.join("../main")).unwrap();
        std::os::unix::fs::symlink("../../main", f.0.join("native/main")).unwrap();
    }), @r"
    ---- stderr
    error: $HOME/it.sfs/native/main is reached by a symbolic link
    hint: only regular files are taken
    ---- exit Some(1)
    ");
    insta::assert_snapshot!(refused(|f| {
        fs::rename(f.0.join("native"), f.0.join("../real")).unwrap();
        std::os::unix::fs::symlink("../real", f.0.join("native")).unwrap();
    }), @r"
    ---- stderr
    error: $HOME/it.sfs/native/main is reached by a symbolic link
    hint: only regular files are taken
    ---- exit Some(1)
    ");
    insta::assert_snapshot!(refused(|f| f.write("manifest.json", vec![b' '; 17 << 20])), @r"
    ---- stderr
    error: $HOME/it.sfs/manifest.json is longer than 16 MiB
    hint: a .sfs folder comes whole from `sfs export`
    ---- exit Some(1)
    ");
    insta::assert_snapshot!(
        refused(|f| f.edit(|m| m["source"]["original_session_id"] = "--dangerously-skip-permissions".into())), @r#"
        ---- stderr
        error: $HOME/it.sfs/manifest.json names an impossible tool or session: "--dangerously-skip-permissions"
        hint: a .sfs folder comes whole from `sfs export`
        ---- exit Some(1)
        "#);
}

#[test]
fn nothing_is_ever_put_back_where_a_tool_has_no_session() {
    for path in ["settings.json", "../.bashrc", "/tmp/x", "projects/../settings.json", "projects/p/other.jsonl"] {
        let (home, folder) = exported();
        folder.edit(|manifest| {
            for entry in manifest["metadata"]["native"].as_array_mut().unwrap() {
                entry["native_path"] = path.into();
            }
        });
        let run = folder.import(&home);
        assert!(run.stderr.contains("can't be put back"), "{path}: {run}");
        assert_ne!(home.sfs(&["restore", "last"]).code, Some(0), "{path}");
        assert!(!home.path().join(".claude").exists(), "{path}");
        // The session itself is there, and resumes in a file of its own, beside what its sub-agents said.
        assert_eq!(home.json(&["resume", "last", "--no-launch", "--json"])["files"].as_array().unwrap().len(), 2);
    }
}

#[test]
fn an_export_of_a_newer_version_is_imported_by_its_messages() {
    let (home, folder) = exported();
    entry(&folder, |e| e["format"] = "claude-code/cbor".into());
    insta::assert_snapshot!(folder.import(&home), @r#"
    Captured 8 files of 1 session (18 kB).
    ---- stderr
    note: $HOME/it.sfs: its native files have a form unknown here ("claude-code/cbor"); its messages were imported
    "#);
    assert!(home.sfs(&["show", "last", "-m"]).stdout.contains("assistant"));
    let (home, folder) = exported();
    folder.edit(|manifest| manifest["source"]["tool"] = "windsurf".into());
    insta::assert_snapshot!(folder.import(&home), @r#"
    Captured 8 files of 1 session (18 kB).
    ---- stderr
    note: $HOME/it.sfs: its tool "windsurf" is unknown here; its messages were imported
    "#);
    assert_eq!(sessions(&home)[0]["tool"], "windsurf");
}

#[test]
fn hostile_foreign_folders_do_no_harm() {
    let home = TestHome::new();
    let folder = Folder::aider(&home);
    std::os::unix::fs::symlink("/etc/hostname", folder.0.join("context/link.png")).unwrap();
    folder.write("facts", b"{}\n");
    folder.write("main", b"{}\n");
    let with_path = |path: &str| {
        json!({"msg_id": path, "role": "user", "timestamp": "2026-03-20T09:13:01Z",
        "content": [{"type": "image", "source": {"type": "path", "data": path}}]})
    };
    folder.write("messages.jsonl", lines(&["../../secret", "/etc/hostname", "context/link.png"].map(with_path)));
    insta::assert_snapshot!(folder.import(&home), @r"
    Captured 6 files of 1 session (989 B).
    ---- stderr
    note: $HOME/aider.sfs: context/link.png was not imported: only regular files with names of plain text are
    ");
    let shown = home.json(&["show", "last", "-m", "--json"]);
    for message in shown["messages"].as_array().unwrap() {
        assert_eq!(message["content"][0]["source"]["type"], "path");
    }
    fs::remove_file(folder.0.join("messages.jsonl")).unwrap();
    insta::assert_snapshot!(folder.import(&home), @r"
    ---- stderr
    error: $HOME/aider.sfs/messages.jsonl is missing
    hint: the folder is not whole: export or copy it again
    ---- exit Some(1)
    ");
    fs::write(home.path().join("secret.jsonl"), lines(&conversation())).unwrap();
    std::os::unix::fs::symlink("../secret.jsonl", folder.0.join("messages.jsonl")).unwrap();
    insta::assert_snapshot!(folder.import(&home), @r"
    ---- stderr
    error: $HOME/aider.sfs/messages.jsonl is missing
    hint: the folder is not whole: export or copy it again
    ---- exit Some(1)
    ");
    folder.write("manifest.json", "[".repeat(200_000));
    assert_eq!(folder.import(&home).code, Some(1));
}

#[test]
fn paths_that_are_no_folder_of_sessions_say_what_to_do() {
    let home = TestHome::new();
    fs::write(home.path().join("file"), "").unwrap();
    fs::create_dir(home.path().join("empty")).unwrap();
    fs::create_dir(home.path().join("empty.sfs")).unwrap();
    insta::assert_snapshot!(home.sfs(&["import", "file"]), @r"
    ---- stderr
    error: $HOME/file is no session file that we know
    hint: give a file that a tool wrote, a folder such as .claude, a home folder, or a .sfs folder
    ---- exit Some(3)
    ");
    insta::assert_snapshot!(home.sfs(&["import", "empty"]), @r"
    ---- stderr
    error: $HOME/empty holds no sessions
    hint: give a home folder that has .claude or .codex in it, or a .sfs folder with a manifest.json
    ---- exit Some(3)
    ");
    insta::assert_snapshot!(home.sfs(&["import", "empty.sfs"]), @r"
    ---- stderr
    error: $HOME/empty.sfs/manifest.json is not there
    hint: a .sfs folder holds manifest.json and messages.jsonl
    ---- exit Some(3)
    ");
    insta::assert_snapshot!(home.sfs(&["import", "--help"]), @r"
    Usage: sfs import [--from <from>] [--json] [--] [<path>]

    Capture once: everything that your tools have, another home folder, or exported sessions

    Positional Arguments:
      path              another home folder, such as a copy from an old machine, a
                        session file, or .sfs folders; your own home by default

    Options:
      --from            only this tool: claude-code, codex, gemini or cursor
      --json            print what was captured as JSON
      --help, help      display usage information

    Examples:
      sfs import
      sfs import --from codex
      sfs import /mnt/old-laptop/home/me
      sfs import /mnt/old-laptop/home/me/.codex
      sfs import /mnt/old-laptop/home/me/.config/Cursor
      sfs import ses_mxwrb23zcxyg4kq7.sfs
      sfs import ses_mxwrb23zcxyg4kq7.sfs.tar.gz
      sfs import ~/.sessionfs/sessions

    Notes:
      PATH may be another home folder, a tool's folder in one or what is below it, a single session file, a .sfs
      folder or its .tar.gz, or a folder that holds several of them. Importing twice changes nothing.
    ");
}

#[test]
fn one_bad_folder_among_several_does_not_stop_the_others() {
    let home = TestHome::new();
    let shelf = home.path().join("shelf");
    fs::create_dir_all(shelf.join("bad.sfs")).unwrap();
    fs::rename(Folder::aider(&home).0, shelf.join("good.sfs")).unwrap();
    insta::assert_snapshot!(home.sfs(&["import", "shelf"]), @r"
    Captured 4 files of 1 session (1.7 kB).
    ---- stderr
    not captured: $HOME/shelf/bad.sfs/manifest.json is not there
    error: 1 file could not be captured
    hint: everything else is safe; run `sfs import` again after mending the cause
    ---- exit Some(1)
    ");
    insta::assert_snapshot!(home.sfs(&["import", "shelf", "--json"]), @r#"
    {"bytes":0,"errors":1,"files":0,"sessions":0}
    ---- stderr
    not captured: $HOME/shelf/bad.sfs/manifest.json is not there
    {"error":{"hint":"everything else is safe; run `sfs import` again after mending the cause","kind":"failed","message":"1 file could not be captured"}}
    ---- exit Some(1)
    "#);
    assert_eq!(ids(&home), ["ses_ab12cd34ef56ab78"]);
}

/// The linear recorded sessions, stripped of their own bytes: what is left is what another program would have written.
#[test]
fn a_session_without_its_own_bytes_reaches_the_model_all_the_same() {
    let name = "a_session_without_its_own_bytes_reaches_the_model_all_the_same";
    if !ready(name, &[Client::ClaudeCode, Client::Codex]) {
        return;
    }
    let claude = ["claude/multi", "claude/thinktool", "claude/readpng", "claude/unicode", "claude/v2.1.5-sub"];
    let codex = ["codex/shell", "codex/image", "codex/patch", "codex/codemode_openai", "codex/interrupted"];
    let cases = [claude, codex].concat();
    let mut problems = Vec::new();
    for case in cases {
        let (home, folder, session) = stripped(case);
        let (from, tool) = match case.split_once('/').unwrap().0 {
            "claude" => (Client::ClaudeCode, "claude-code"),
            _ => (Client::Codex, "codex"),
        };
        let (id, cwd) = (session["native_id"].as_str().unwrap(), Path::new(session["project"].as_str().unwrap()));
        let expected = receive(from, &fixture(case), cwd, id).unwrap();
        assert_eq!(folder.import(&home).code, Some(0), "{case}");
        for (to, name) in [(Client::ClaudeCode, "claude-code"), (Client::Codex, "codex")] {
            let resumed = home.json(&["resume", id, "--in", name, "--no-launch", "--json"]);
            let actual = receive(to, home.path(), cwd, resumed["native_id"].as_str().unwrap()).unwrap();
            let different = differences(&expected, &actual, &resumed["ledger"]);
            problems.extend(different.into_iter().map(|what| format!("{case} {tool} → {name}: {what}")));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// The export of a recorded session without its `native/`, in an empty home, and what the session was.
fn stripped(case: &str) -> (TestHome, Folder, Value) {
    let source = TestHome::with(&[case]);
    source.sfs(&["import"]);
    let session = sessions(&source)[0].clone();
    let home = TestHome::new();
    export_all(&source, "sfs", home.path());
    let folder = Folder(home.path().join(format!("{}.sfs", session["id"].as_str().unwrap())));
    fs::remove_dir_all(folder.0.join("native")).unwrap();
    folder.edit(|manifest| manifest["metadata"] = json!({}));
    (home, folder, session)
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    /// Whatever happened to the messages: reading them and walking them never panics, and every line is a message, a note
    /// or empty.
    #[test]
    fn damaged_messages_never_panic(
        damage in proptest::collection::vec((0usize..4_000, proptest::prelude::any::<u8>()), 1..60),
        cut in 0usize..4_000,
    ) {
        let mut bytes = lines(&conversation()).repeat(2).into_bytes();
        for (at, byte) in damage {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        bytes.drain(..cut % bytes.len());
        let source = FileSource::of(find("codex").unwrap(), "s", "main", Format::SfsJsonl, &bytes);
        let mut reader = reader(Format::SfsJsonl, "main", None).unwrap();
        source.for_each_line(&source.streams()[0], 0, &mut |line| {
            let mut reading = Reading::default();
            reader.line(line, &mut reading);
            assert_eq!(reading.messages.len() + reading.notes.len(), usize::from(!line.bytes.trim_ascii().is_empty()));
            Ok(ControlFlow::Continue(()))
        }).unwrap();
        assert!(conversation_of(&source).unwrap().messages.all(|message| message.is_ok()));
    }
}

#[test]
fn a_session_travels_as_one_file() {
    let home = TestHome::with(&["claude/multi", "codex/shell"]);
    home.sfs(&["import"]);
    let other = TestHome::new();
    for (number, id) in ids(&home).into_iter().enumerate() {
        let path = if number == 0 { format!("packed/{id}.sfs.tar.gz") } else { "one.tgz".to_owned() };
        let to = if number == 0 { &["--archive", "-o", "packed"][..] } else { &["-o", "one.tgz"] };
        let run = home.sfs(&[&["export", &id], to].concat());
        assert_eq!((run.code, run.stdout.trim_end()), (Some(0), &path[..]), "{run}");
        let archive = home.path().join(&path);
        let bytes = fs::read(&archive).unwrap();
        assert_eq!(home.sfs(&[&["export", &id], to].concat()).code, Some(4), "it replaced a file");
        fs::remove_file(&archive).unwrap();
        home.sfs(&[&["export", &id], to].concat());
        assert!(fs::read(&archive).unwrap() == bytes, "the same session gives the same bytes");
        let run = other.sfs(&["import", archive.to_str().unwrap()]);
        assert_eq!((run.code, &run.stderr[..]), (Some(0), ""), "{run}");
        assert_eq!(other.sfs(&["import", archive.to_str().unwrap()]).stdout, "Nothing new.\n");
    }
    assert_eq!(ids(&home), ids(&other));
    export_all(&home, "native", &home.path().join("native"));
    export_all(&other, "native", &other.path().join("native"));
    assert_eq!(tree(&home.path().join("native")), tree(&other.path().join("native")));
    let left: Vec<_> = tree(&other.path().join(".sessionfs")).into_keys().collect();
    assert!(left.iter().all(|name| name.to_string_lossy().starts_with("archive.db")), "{left:?}");
    assert_eq!(home.sfs(&["export", "last", "--archive", "--format", "native"]).code, Some(2));
}

#[test]
fn a_hostile_archive_leaves_nothing_behind() {
    let home = TestHome::new();
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    tar.append_link(&mut link, "messages.jsonl", "/etc/passwd").unwrap();
    fs::write(home.path().join("bad.tar.gz"), tar.into_inner().unwrap().finish().unwrap()).unwrap();
    fs::write(home.path().join("text.tar.gz"), "no archive").unwrap();
    insta::assert_snapshot!(home.sfs(&["import", "bad.tar.gz"]), @r"
    ---- stderr
    error: bad.tar.gz: Symlink in tar archive: messages.jsonl
    hint: nothing of it was imported: export or copy the archive again
    ---- exit Some(1)
    ");
    insta::assert_snapshot!(home.sfs(&["import", "text.tar.gz"]), @r"
    ---- stderr
    error: text.tar.gz: Invalid tar.gz archive: not a gzip file
    hint: nothing of it was imported: export or copy the archive again
    ---- exit Some(1)
    ");
    assert_eq!(home.sfs(&["import", "bad.tar.gz", "--from", "codex"]).code, Some(2));
    assert!(ids(&home).is_empty());
    assert!(tree(home.path()).into_keys().all(|name| !name.to_string_lossy().contains("unpacked")));
}
