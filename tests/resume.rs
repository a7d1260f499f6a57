//! Resume without the real clients (they are in [`crate::directions`]): what is written, what is remembered, and that a
//! resume which fails leaves nothing.

use crate::support::home::{Run, TestHome, fixture};
use crate::support::written::{
    Files, append, claude_file, claude_line, files_below, home_with_a_session, id, import, sessions, write,
};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// A home with one captured case.
fn captured(case: &str) -> TestHome {
    let home = TestHome::with(&[case]);
    import(&home);
    home
}

/// Everything in the home but our own folder.
fn outside(home: &TestHome) -> Files {
    let mut files = files_below(home.path());
    files.retain(|path, _| !path.starts_with(".sessionfs"));
    files
}

/// `sfs resume` of the session `id`, not started.
fn resume(home: &TestHome, id: &str, tool: &str) -> Value {
    home.json(&["resume", id, "--in", tool, "--no-launch", "--json"])
}

/// A resume that must fail with `code` and leave everything as it was.
fn refused(home: &TestHome, args: &[&str], code: i32) -> Run {
    let before = (outside(home), home.json(&["list", "--all", "--json"]));
    let run = home.sfs(&[&["resume"], args, &["--no-launch"]].concat());
    assert_eq!(run.code, Some(code), "{run}");
    assert_eq!((outside(home), home.json(&["list", "--all", "--json"])), before, "something is left: {run}");
    let rows: u32 = archive(home).query_row("SELECT count(*) FROM session", [], |row| row.get(0)).unwrap();
    assert_eq!(rows as usize, sessions(home).len(), "an announcement is left");
    run
}

fn archive(home: &TestHome) -> Connection {
    Connection::open(home.path().join(".sessionfs/archive.db")).unwrap()
}

#[test]
fn the_answer_says_what_was_written_and_how_to_go_on() {
    for (case, tool, root) in [("claude/bashok", "codex", ".codex"), ("codex/shell", "claude-code", ".claude")] {
        let home = captured(case);
        let id = &sessions(&home)[0];
        let answer = resume(&home, id, tool);
        let mut keys: Vec<_> = answer.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["command", "cwd", "files", "id", "ledger", "native_id", "tool"]);
        assert_eq!((&answer["id"], &answer["tool"]), (&json!(id), &json!(tool)));
        let file = Path::new(answer["files"][0].as_str().unwrap());
        assert!(file.is_file() && file.starts_with(home.path().join(root)));
        assert!(answer["command"].as_array().unwrap().contains(&answer["native_id"]));
        let ledger = answer["ledger"].as_object().unwrap();
        assert_eq!(ledger.len(), 4);
        for fate in ["kept", "mapped", "degraded", "dropped"] {
            for entry in ledger[fate].as_array().unwrap() {
                assert!(entry["what"].is_string() && entry["count"].is_u64() && entry["detail"].is_string());
            }
        }
    }
}

#[test]
fn a_person_reads_the_ledger_and_the_command() {
    let home = captured("claude/bashok");
    let run = home.sfs(&["resume", "last", "--in", "codex", "--project", "."]);
    import(&home);
    let id = home.json(&["list", "--json", "--tool", "codex"])[0]["native_id"].as_str().unwrap().to_owned();
    let text = run.to_string().replace(&id, "ID");
    let (before, path) = text.split_once("/sessions/").unwrap();
    let (_, after) = path.split_once("-ID").unwrap();
    insta::assert_snapshot!(format!("{before}/sessions/DAY/rollout-TIME-ID{after}"), @"
    cd $HOME && codex resume ID
    ---- stderr
    Written for Codex as ID.
      kept          2  assistant messages
      kept          1  tool results
      kept          1  user messages
      degraded      1  tool calls  (Bash as exec_command, without description)
      wrote ~/.codex/sessions/DAY/rollout-TIME-ID.jsonl
    ");
}

#[test]
fn a_dry_run_writes_nothing_and_counts_the_same() {
    for (case, tool) in [("claude/multi", "codex"), ("codex/patch", "claude-code"), ("claude/i_compact", "claude-code")]
    {
        let home = captured(case);
        let before = (outside(&home), home.json(&["list", "--all", "--json"]));
        let dry = home.json(&["resume", "last", "--in", tool, "--dry-run", "--json"]);
        assert_eq!((outside(&home), home.json(&["list", "--all", "--json"])), before);
        assert_eq!(dry["files"], json!([]));
        assert_eq!(dry["ledger"], resume(&home, "last", tool)["ledger"]);
    }
}

#[test]
fn a_session_resumed_twice_has_two_children() {
    let home = captured("claude/bashok");
    let parent = sessions(&home)[0].clone();
    let first = resume(&home, &parent, "codex");
    let second = resume(&home, &parent, "codex");
    assert_ne!(first["native_id"], second["native_id"]);
    import(&home);
    let children = home.json(&["list", "--tool", "codex", "--json"]);
    let children: Vec<&str> = children.as_array().unwrap().iter().map(|s| s["id"].as_str().unwrap()).collect();
    assert_eq!(children.len(), 2);
    let of_parent = home.sfs(&["show", &parent]).stdout;
    let line = of_parent.lines().find(|line| line.contains("continued by")).unwrap();
    for child in children {
        assert!(line.contains(child), "{of_parent}");
        let of_child = home.sfs(&["show", child]).stdout;
        assert!(of_child.contains(&format!("continues    {parent}")), "{of_child}");
        assert_eq!(home.json(&["show", child, "--json"])["parent_id"], json!(parent));
    }
}

#[test]
fn what_a_child_inherited_is_shown_but_not_counted() {
    for (case, tool, root) in [("codex/shell", "claude-code", ".claude"), ("claude/bashok", "codex", ".codex")] {
        let home = captured(case);
        let answer = resume(&home, "last", tool);
        import(&home);
        let child = home.json(&["show", answer["native_id"].as_str().unwrap(), "-m", "--json"]);
        assert_eq!((&child["input_tokens"], &child["output_tokens"]), (&json!(0), &json!(0)), "{root}");
        assert!(!child["messages"].as_array().unwrap().is_empty());
        let inherited = "SELECT count(*) FROM message m JOIN session s ON s.id = m.session
                          WHERE s.parent IS NOT NULL AND m.flags & 4 = 0";
        let counted: u32 = archive(&home).query_row(inherited, [], |row| row.get(0)).unwrap();
        assert_eq!(counted, 0, "{root}");
    }
}

#[test]
fn what_the_tool_adds_to_a_child_is_counted() {
    let home = captured("codex/shell");
    let answer = resume(&home, "last", "claude-code");
    let child = answer["native_id"].as_str().unwrap();
    let mut line = claude_line(child, 999, "assistant", "And on");
    line["message"]["id"] = json!("msg_1");
    line["message"]["model"] = json!("claude-opus-4-1");
    line["message"]["usage"] = json!({"input_tokens": 10, "output_tokens": 5});
    append(Path::new(answer["files"][0].as_str().unwrap()), format!("{line}\n"));
    import(&home);
    let child = home.json(&["show", child, "--json"]);
    assert_eq!((&child["input_tokens"], &child["output_tokens"]), (&json!(10), &json!(5)));
    assert_eq!(child["streams"].as_array().unwrap().len(), 1);
}

#[test]
fn codex_lists_what_was_written_for_it() {
    let home = captured("claude/bashok");
    let database = home.path().join(".codex/state_5.sqlite");
    write(&database, fs::read(fixture("codex-state/state_5.sqlite")).unwrap());
    let count =
        |sql: &str| Connection::open(&database).unwrap().query_row(sql, [], |row| row.get::<_, u32>(0)).unwrap();
    let before = count("SELECT count(*) FROM threads");
    let answer = resume(&home, "last", "codex");
    assert_eq!(count("SELECT count(*) FROM threads"), before + 1);
    let (id, file) = (answer["native_id"].as_str().unwrap(), answer["files"][0].as_str().unwrap());
    let row = format!("SELECT count(*) FROM threads WHERE id = '{id}' AND rollout_path = '{file}'");
    assert_eq!(count(&row), 1);
}

/// Codex itself finds the file by its id; only its list does not have it.
#[test]
fn a_locked_index_of_codex_is_a_warning() {
    let home = captured("claude/chat");
    let database = home.path().join(".codex/state_5.sqlite");
    write(&database, fs::read(fixture("codex-state/state_5.sqlite")).unwrap());
    let lock = Connection::open(&database).unwrap();
    lock.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let run = home.sfs(&["resume", "last", "--in", "codex", "--no-launch"]);
    assert_eq!(run.code, Some(0), "{run}");
    assert!(run.stderr.starts_with("note: it will be listed after its first `codex resume "), "{run}");
    import(&home);
    assert_eq!(sessions(&home).len(), 2);
}

#[test]
fn nothing_is_left_where_a_file_is_in_the_way() {
    let home = captured("claude/chat");
    write(&home.path().join(".codex/sessions"), "a file");
    let run = refused(&home, &["last", "--in", "codex"], 1);
    assert!(run.stderr.contains("can't be written"), "{run}");

    let home = captured("codex/chat");
    write(&home.path().join(".claude/projects"), "a file");
    refused(&home, &["last", "--in", "claude-code"], 1);
}

#[test]
fn nothing_is_left_where_the_archive_can_not_take_the_child() {
    for (case, tool) in [("claude/chat", "codex"), ("codex/chat", "claude-code")] {
        let home = captured(case);
        let refuse = "CREATE TRIGGER no BEFORE UPDATE ON session BEGIN SELECT RAISE(ABORT, 'not today'); END";
        archive(&home).execute_batch(refuse).unwrap();
        let run = refused(&home, &["last", "--in", tool], 1);
        assert!(run.stderr.contains("not today"), "{run}");
    }
}

#[test]
fn an_empty_conversation_is_refused() {
    for tool in ["claude-code", "codex"] {
        let home = TestHome::new();
        write(&claude_file(&home, &id(1)), format!("{}\n", json!({"type": "summary", "summary": "Nothing was said"})));
        import(&home);
        let run = refused(&home, &[&id(1), "--in", tool, "--project", "."], 1);
        assert!(run.stderr.contains("holds nothing to resume\nhint: "), "{run}");
        let run = home.sfs(&["export", &id(1), "--format", tool, "-o", "out"]);
        assert_eq!(run.code, Some(1), "{run}");
        assert!(files_below(&home.path().join("out")).is_empty(), "half a file is left");
    }
}

#[test]
fn lines_that_were_not_understood_are_in_the_ledger() {
    let (home, file) = home_with_a_session();
    append(&file, "{\"type\":\"user\",\n");
    import(&home);
    let dropped = resume(&home, "last", "codex")["ledger"]["dropped"].clone();
    assert_eq!((&dropped[0]["what"], &dropped[0]["count"]), (&json!("lines not understood"), &json!(1)));
    assert!(dropped[0]["detail"].as_str().unwrap().starts_with("first: main:5: "), "{dropped}");
}

#[test]
fn a_missing_project_folder_is_said_before_anything_is_written() {
    let home = captured("claude/chat");
    let run = refused(&home, &["last", "--in", "codex", "--project", "nowhere"], 3);
    insta::assert_snapshot!(run, @"
    ---- stderr
    error: nowhere is not a folder
    hint: give the folder of the project with --project
    ---- exit Some(3)
    ");
}

#[test]
fn a_session_without_a_folder_needs_one() {
    let home = TestHome::new();
    let mut line = claude_line(&id(1), 0, "user", "Where am I?");
    line["cwd"] = json!("../relative");
    write(&claude_file(&home, &id(1)), format!("{line}\n"));
    import(&home);
    refused(&home, &["last", "--in", "codex"], 2);

    line.as_object_mut().unwrap().remove("cwd");
    write(&claude_file(&home, &id(1)), format!("{line}\n"));
    import(&home);
    let run = refused(&home, &["last", "--in", "codex"], 2);
    insta::assert_snapshot!(run, @"
    ---- stderr
    error: session ses_kpefowao2x5gqqlp does not say in which folder it worked
    hint: sfs resume ses_kpefowao2x5gqqlp --project DIR
    ---- exit Some(2)
    ");
    let answer = home.json(&["resume", "last", "--in", "codex", "--no-launch", "--json", "--project", "."]);
    assert_eq!(answer["cwd"], json!(home.path().canonicalize().unwrap()));
}

#[test]
fn an_unknown_tool_is_a_wrong_word() {
    let run = refused(&captured("claude/chat"), &["last", "--in", "emacs"], 2);
    insta::assert_snapshot!(run, @r#"
    ---- stderr
    error: no tool is called "emacs"
    hint: known tools: claude-code, codex, gemini, cursor
    ---- exit Some(2)
    "#);
}
