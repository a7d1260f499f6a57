//! Positions in a session: checkpoints, forks, and resumes of a part of it. The last tests ask the real clients what
//! reached the model.

use crate::clients::{Client, Received, assert_same, ready, receive};
use crate::support::home::{Run, TestHome};
use crate::support::written::{
    append, assert_sound, claude_file, claude_line, claude_session, files_below, home_with_a_session, id, import,
    sessions, write,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use sessionfs::export::{self, ArchivedSession, Job, Selection};
use sessionfs::home::Home;
use sessionfs::model::budget::{self, Survey, estimate};
use sessionfs::model::conversation::{Step, steps};
use sessionfs::model::ledger::Ledger;
use sessionfs::model::message::{Block, Message, Role, wrap_input};
use sessionfs::store::{Filter, SessionRow, Store};
use sessionfs::tools::{self, Target};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;

const TOOLS: [(Client, &str); 3] =
    [(Client::ClaudeCode, "claude-code"), (Client::Codex, "codex"), (Client::Gemini, "gemini")];

/// A home with one recorded case, captured.
fn captured(case: &str) -> TestHome {
    let home = TestHome::with(&[case]);
    import(&home);
    home
}

/// A Claude Code session of so many turns, each with a call whose output has `length` bytes.
fn long_session(session: &str, turns: u32, length: usize) -> String {
    let mut lines = String::new();
    for turn in 0..turns {
        let call = json!([{"type": "tool_use", "id": format!("call_{turn}"), "name": "Bash",
            "input": {"command": format!("step {turn}")}}]);
        let output = format!("begin {turn} {} end {turn}", "word ".repeat(length / 5));
        let result = json!([{"type": "tool_result", "tool_use_id": format!("call_{turn}"), "content": output}]);
        let texts = [
            json!(format!("Question {turn}")),
            call,
            result,
            json!([{"type": "text", "text": format!("Answer {turn}")}]),
        ];
        for ((n, content), role) in (4 * turn..).zip(texts).zip(["user", "assistant", "user", "assistant"]) {
            let mut line = claude_line(session, n, role, "");
            line["message"]["content"] = content;
            line["message"]["id"] = json!(format!("msg_{n}"));
            lines.push_str(&line.to_string());
            lines.push('\n');
        }
    }
    lines
}

fn home_with_a_long_session(turns: u32, length: usize) -> TestHome {
    let home = TestHome::new();
    write(&claude_file(&home, &id(1)), long_session(&id(1), turns, length));
    import(&home);
    home
}

/// The texts of a session's messages, the ids of the calls and results in it too.
fn said(home: &TestHome, id: &str) -> String {
    let shown = home.json(&["show", id, "-m", "--json"]);
    let blocks = shown["messages"].as_array().unwrap().iter().flat_map(|m| m["content"].as_array().unwrap().clone());
    let word = |block: Value| match block["type"].as_str().unwrap() {
        "text" | "summary" => block["text"].as_str().unwrap().to_owned(),
        "tool_use" => format!("call {}", block["tool_use_id"].as_str().unwrap()),
        "tool_result" => format!("result {}", block["tool_use_id"].as_str().unwrap()),
        other => other.to_owned(),
    };
    blocks.map(word).collect::<Vec<_>>().join("\n")
}

/// Resumes `id` in `tool` with `args`, and captures what was written.
fn written(home: &TestHome, id: &str, tool: &str, args: &[&str]) -> Value {
    let mut words = vec!["resume", id, "--in", tool, "--no-launch", "--json", "--project", "."];
    words.extend(args);
    let answer = home.json(&words);
    import(home);
    answer
}

fn refused(home: &TestHome, args: &[&str], code: i32) -> Run {
    let state = || {
        let mut files = files_below(home.path());
        files.retain(|path, _| !path.starts_with(".sessionfs"));
        (files, sessions(home))
    };
    let before = state();
    let run = home.sfs(args);
    assert_eq!(run.code, Some(code), "{run}");
    assert_eq!(state(), before, "something is left: {run}");
    run
}

#[test]
fn a_checkpoint_is_made_listed_and_forgotten() {
    let (home, _) = home_with_a_session();
    insta::assert_snapshot!(home.sfs(&["checkpoint", "last"]), @"Checkpoint cp-1 of ses_kpefowao2x5gqqlp.");
    insta::assert_snapshot!(home.sfs(&["checkpoint", "last", "--name", "Before the refactoring"]), @"Checkpoint Before the refactoring of ses_kpefowao2x5gqqlp.");
    let listed = home.json(&["checkpoint", "last", "--list", "--json"]);
    assert_eq!(listed, home.json(&["show", "last", "--json"])["checkpoints"]);
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert_eq!(listed[1]["name"], "Before the refactoring");
    assert_eq!(listed[1]["message_id"], "22222222-2222-4333-8444-000000000003");
    assert_eq!(listed[1]["streams"][0]["name"], "main");
    assert!(home.sfs(&["show", "last"]).stdout.contains("checkpoints  cp-1, Before the refactoring"));
    assert_sound(&home);
    let run = home.sfs(&["checkpoint", "last", "--delete", "CP-1"]);
    insta::assert_snapshot!(run, @"Checkpoint CP-1 is forgotten; the session stays as it is.");
    assert_eq!(home.json(&["checkpoint", "last", "--list", "--json"]).as_array().unwrap().len(), 1);
    insta::assert_snapshot!(home.sfs(&["checkpoint", "last", "--delete", "cp-1"]), @r#"
    ---- stderr
    error: session ses_kpefowao2x5gqqlp has no checkpoint "cp-1"
    hint: sfs checkpoint ses_kpefowao2x5gqqlp --list
    ---- exit Some(3)
    "#);
}

#[test]
fn a_name_is_taken_once_and_can_be_a_folder() {
    let (home, _) = home_with_a_session();
    home.json(&["checkpoint", "last", "--name", "here", "--json"]);
    insta::assert_snapshot!(home.sfs(&["checkpoint", "last", "--name", "HERE"]), @r#"
    ---- stderr
    error: a checkpoint is called "HERE" already
    hint: choose another --name, or remove that one with --delete
    ---- exit Some(4)
    "#);
    let long = "x".repeat(101);
    for name in ["", "../../escape", "a/b", "a\\b", ".hidden", "a..b", "a\u{1b}[2J", "a\nb", " a", "\u{202e}a", &long] {
        let run = home.sfs(&["checkpoint", "last", "--name", name]);
        assert_eq!(run.code, Some(2), "{name:?}: {run}");
    }
    home.json(&["checkpoint", "last", "--name", "Vor dem Umbau (日本)", "--json"]);
    assert_eq!(home.json(&["checkpoint", "last", "--list", "--json"]).as_array().unwrap().len(), 2);
}

#[test]
fn a_checkpoint_takes_the_newest_lines_and_stays_where_it_was() {
    let (home, file) = home_with_a_session();
    append(&file, claude_session(&id(1), 3).split_inclusive('\n').skip(4).collect::<String>());
    home.json(&["checkpoint", "last", "--name", "three", "--json"]);
    append(&file, claude_session(&id(1), 4).split_inclusive('\n').skip(6).collect::<String>());
    import(&home);
    let now = written(&home, &id(1), "codex", &[]);
    let then = written(&home, &id(1), "codex", &["--at", "three"]);
    assert!(said(&home, now["native_id"].as_str().unwrap()).ends_with("Question 3\nAnswer 3"));
    assert!(said(&home, then["native_id"].as_str().unwrap()).ends_with("Question 2\nAnswer 2"));
}

/// The file was rewritten since: what the checkpoint saw is an older generation.
#[test]
fn a_checkpoint_outlives_a_rewritten_file() {
    let (home, file) = home_with_a_session();
    home.json(&["checkpoint", "last", "--name", "old", "--json"]);
    write(&file, claude_session(&id(1), 5).replace("Answer 1", "Another answer"));
    import(&home);
    let then = written(&home, &id(1), "gemini", &["--at", "old"]);
    let said = said(&home, then["native_id"].as_str().unwrap());
    assert!(said.ends_with("Question 1\nAnswer 1"), "{said}");
}

#[test]
fn checkpoints_travel_with_their_session() {
    let (home, file) = home_with_a_session();
    home.json(&["checkpoint", "last", "--name", "two", "--json"]);
    write(&file, claude_session(&id(1), 3).replace("Answer 0", "Another answer"));
    import(&home);
    home.json(&["checkpoint", "last", "--name", "three", "--json"]);
    assert_eq!(home.sfs(&["export", "last", "-o", "."]).code, Some(0));
    let folder = home.path().join("ses_kpefowao2x5gqqlp.sfs");
    let manifest: Value = serde_json::from_slice(&std::fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["checkpoint_count"], 2);

    let other = TestHome::new();
    for _ in 0..2 {
        assert_eq!(other.sfs(&["import", folder.to_str().unwrap()]).code, Some(0));
    }
    let checkpoints = |home: &TestHome| home.json(&["checkpoint", "last", "--list", "--json"]);
    assert_eq!(checkpoints(&other), checkpoints(&home));
    let then = written(&other, &id(1), "codex", &["--at", "two"]);
    assert!(said(&other, then["native_id"].as_str().unwrap()).starts_with("Question 0\nAnswer 0"));
    insta::assert_snapshot!(other.sfs(&["import", folder.to_str().unwrap()]), @"Nothing new.");
}

#[test]
fn a_message_on_an_abandoned_branch_is_the_end_of_the_conversation() {
    let home = captured("claude/i_rewind");
    let branch = written(&home, "last", "codex", &["--at", "90d90e06"]);
    insta::assert_snapshot!(said(&home, branch["native_id"].as_str().unwrap()), @"
    AAA one @@hello
    Hello from the mock. How can I help?
    BBB two @@think
    I thought about it: 42.
    ");
    let other = written(&home, "ses_x32v", "codex", &["--at", "baefd7e1"]);
    insta::assert_snapshot!(said(&home, other["native_id"].as_str().unwrap()), @"
    AAA one @@hello
    Hello from the mock. How can I help?
     CCC three @@hello
    ");
}

#[test]
fn a_position_behind_a_call_has_its_results() {
    let home = captured("codex/shell");
    // The first of two calls that were made side by side.
    let cut = written(&home, "last", "claude-code", &["--at", "fc_6927e1f0"]);
    assert_eq!(cut["ledger"]["kept"][1], json!({"what": "tool results", "count": 4, "detail": ""}), "{cut}");
    assert!(
        cut["ledger"]["degraded"]
            .as_array()
            .unwrap()
            .iter()
            .all(|entry| entry["what"] != "tool calls without a result")
    );
}

/// In one line stand all messages of a list that Gemini CLI rewrites, and in an old document the whole session.
#[test]
fn a_position_may_lie_within_a_line() {
    let home = captured("gemini/v0.24_tools");
    let shown = home.json(&["show", "last", "-m", "--json"]);
    let ids: Vec<&str> = shown["messages"].as_array().unwrap().iter().map(|m| m["msg_id"].as_str().unwrap()).collect();
    let prompt = ids[0];
    let cut = written(&home, "last", "codex", &["--at", prompt]);
    let all = said(&home, shown["id"].as_str().unwrap());
    assert_eq!(said(&home, cut["native_id"].as_str().unwrap()), all.lines().next().unwrap());
}

/// Every message of the archive's only session: its id, and whether it is a sub-agent's.
fn told(store: &Store, row: &SessionRow) -> Vec<(String, bool)> {
    let mut told = Vec::new();
    let session = ArchivedSession::open(store, row.clone()).unwrap();
    let collect = &mut |message: Message| {
        told.push((message.id, message.is_sidechain));
        Ok(ControlFlow::Continue(()))
    };
    export::for_each_message(&session, true, collect).unwrap();
    told
}

/// What a resume of `selection` in Codex would say.
fn outcome(store: &Store, row: &SessionRow, selection: &Selection) -> Result<Ledger, String> {
    let home = Home::at(Path::new("/home/dev"), Path::new("/home/dev/.sessionfs"));
    let target = Target { home, cwd: "/home/dev".into(), native_id: None, now: jiff::Timestamp::UNIX_EPOCH };
    let writer = tools::find("codex").unwrap().writer().unwrap();
    let about = ArchivedSession::open(store, row.clone()).unwrap().about(&store.summary(row.id).unwrap());
    let plan = writer.plan(&about, &target).unwrap();
    let job = Job { session: row, selection, writer, plan: &plan, target: &target };
    job.write(store, &mut std::io::sink()).map(|written| written.ledger).map_err(|error| error.message().clone())
}

/// Every id that is shown names a position, or it is said why it names none.
#[test]
fn every_message_that_is_shown_can_be_named() {
    let cases = [
        ("claude/i_compact", "stands before a compaction"),
        ("claude/i_rewind", "on a branch that was abandoned"),
        ("claude/v2.0.77-sub", "is a sub-agent's"),
        ("codex/agent", "is a sub-agent's"),
        ("codex/codemode_openai", ""),
        ("gemini/interactive_compress", "stands before a compaction"),
        ("gemini/interactive_rewind", "on a branch that was abandoned"),
        ("gemini/subagent", "is a sub-agent's"),
        ("gemini/tools", ""),
        ("gemini/v0.24_tools", ""),
    ];
    for (case, reason) in cases {
        let home = captured(case);
        let store = Store::open(&Home::at(home.path(), &home.path().join(".sessionfs"))).unwrap();
        let mut reasons = BTreeSet::new();
        for (row, _) in store.list(&Filter::default()).unwrap() {
            for (id, is_sidechain) in told(&store, &row) {
                let at = Selection { at: Some(id.clone()), ..Selection::default() };
                let from = Selection { from: Some(id.clone()), ..Selection::default() };
                for (selection, option) in [(at, "--at"), (from, "--from")] {
                    match outcome(&store, &row, &selection) {
                        Ok(_) => assert!(!is_sidechain, "{case} {option} {id}"),
                        // Up to there it is the harness that speaks, and the target's client says its own.
                        Err(error) if error.ends_with("holds nothing to resume") && option == "--at" => {}
                        Err(error) => {
                            assert!(error.starts_with(&format!("message {id} ")), "{case} {option}: {error}");
                            reasons.insert(error.replace(&format!("message {id} "), ""));
                        }
                    }
                }
            }
        }
        let has_reason = reasons.iter().any(|said| said.contains(reason));
        assert!(if reason.is_empty() { reasons.is_empty() } else { has_reason }, "{case}: {reasons:?}");
    }
}

#[test]
fn a_message_is_named_by_the_beginning_of_its_id() {
    let (home, _) = home_with_a_session();
    let run = refused(&home, &["resume", "last", "--no-launch", "--at", "2222"], 2);
    insta::assert_snapshot!(run, @r#"
    ---- stderr
    error: "2222" is ambiguous: 22222222-2222-4333-8444-000000000000, 22222222-2222-4333-8444-000000000001
    hint: give more characters of the message's id
    ---- exit Some(2)
    "#);
    for option in ["--at", "--from"] {
        let run = refused(&home, &["resume", "last", "--in", "codex", "--no-launch", option, "nowhere"], 3);
        assert!(run.stderr.starts_with("error: no message is called \"nowhere\"\nhint: sfs show ID -m"), "{run}");
    }
    let run = home.sfs(&["show", "last", "-m"]).stdout;
    assert!(run.contains(" 22222222-2222-4333-8444-000000000003\n"), "{run}");
}

#[test]
fn what_begins_in_the_middle_begins_with_a_prompt() {
    let home = home_with_a_long_session(3, 10);
    // The result in the second turn.
    let part = written(&home, &id(1), "codex", &["--from", "22222222-2222-4333-8444-000000000006"]);
    let said = said(&home, part["native_id"].as_str().unwrap());
    insta::assert_snapshot!(said, @"
    Question 1
    call call_1
    result call_1
    Answer 1
    Question 2
    call call_2
    result call_2
    Answer 2
    ");
    let dropped = &part["ledger"]["dropped"];
    let detail = "before the message of --from";
    let of_a_turn = ["assistant messages", "tool calls", "tool results", "user messages"];
    assert_eq!(dropped, &json!(of_a_turn.map(|what| json!({"what": what, "count": 1, "detail": detail}))));
}

/// In its own tool too, whose file is left alone.
#[test]
fn a_part_of_a_session_is_a_new_session() {
    let (home, file) = home_with_a_session();
    let before = std::fs::read(&file).unwrap();
    let part = home.json(&["resume", "last", "--json", "--at", "22222222-2222-4333-8444-000000000001"]);
    assert_ne!(part["native_id"], json!(id(1)));
    assert_eq!(std::fs::read(&file).unwrap(), before);
    import(&home);
    assert_eq!(said(&home, part["native_id"].as_str().unwrap()), "Question 0\nAnswer 0");
    assert_eq!(
        home.json(&["show", part["native_id"].as_str().unwrap(), "--json"])["parent_id"],
        json!(sessions_parent(&home))
    );
}

fn sessions_parent(home: &TestHome) -> String {
    home.json(&["show", &id(1), "--json"])["id"].as_str().unwrap().to_owned()
}

#[test]
fn an_export_can_be_of_a_position() {
    let (home, _) = home_with_a_session();
    home.json(&["checkpoint", "last", "--name", "end", "--json"]);
    let run = home.sfs(&["export", "last", "--format", "codex", "-o", "out", "--at", "end"]);
    assert_eq!(run.code, Some(0), "{run}");
    let first = ["export", "last", "--format", "markdown", "--at", "22222222-2222-4333-8444-000000000001"];
    let text = home.sfs(&first).stdout;
    assert!(text.contains("Answer 0") && !text.contains("Question 1"), "{text}");
    insta::assert_snapshot!(home.sfs(&["export", "last", "--at", "end"]), @"
    ---- stderr
    error: sfs holds the whole session
    hint: --at and --branch go with --format markdown, html, claude-code, codex or gemini
    ---- exit Some(2)
    ");
}

/// As a resume of it is.
#[test]
fn an_export_of_a_position_with_nothing_there_is_an_error() {
    let home = TestHome::with(&["codex/shell"]);
    let (path, bytes) =
        files_below(home.path()).into_iter().find(|(path, _)| path.to_string_lossy().contains("rollout-")).unwrap();
    let file = home.path().join(path);
    let first = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    write(&file, &bytes[..first]);
    import(&home);
    home.json(&["checkpoint", "last", "--name", "nothing", "--json"]);
    write(&file, &bytes);
    import(&home);
    for format in ["markdown", "html", "claude-code"] {
        let run = home.sfs(&["export", "last", "--format", format, "-o", "out", "--at", "nothing"]);
        assert!(run.code == Some(1) && run.stderr.contains("holds nothing"), "{format}: {run}");
    }
}

#[test]
fn a_budget_leaves_the_middle_out_and_says_so() {
    let home = home_with_a_long_session(20, 2000);
    let all = written(&home, &id(1), "codex", &[]);
    let roomy = written(&home, &id(1), "codex", &["--budget", "100000"]);
    assert_eq!(roomy["ledger"], all["ledger"], "nothing is left out without need");
    let tight = written(&home, &id(1), "codex", &["--budget", "1200"]);
    let said = said(&home, tight["native_id"].as_str().unwrap());
    insta::assert_snapshot!(said, @"
    Question 0
    [Left out here so that the conversation fits into the model's context: 71 messages with 18 tool calls, from 2026-11-22 10:00 to 2026-11-22 10:01 UTC. They are archived; `sfs show ses_kpefowao2x5gqqlp -m --full` shows them.]
    Question 18
    call call_18
    result call_18
    Answer 18
    Question 19
    call call_19
    result call_19
    Answer 19
    ");
    let ledger = &tight["ledger"];
    let dropped = &ledger["dropped"][0];
    assert_eq!(dropped["detail"], "left out to fit into the budget; a note stands for them");
    assert!(
        ledger["degraded"].as_array().unwrap().iter().any(|e| e["detail"] == "trimmed to fit into the budget"),
        "{ledger}"
    );
    let dry = home.json(&["resume", &id(1), "--in", "codex", "--budget", "1200", "--dry-run", "--json"]);
    assert_eq!(dry["ledger"], *ledger);
}

#[test]
fn a_budget_that_is_too_small_is_refused_with_one_that_is_not() {
    let home = home_with_a_long_session(4, 2000);
    let run = refused(&home, &["resume", &id(1), "--in", "codex", "--no-launch", "--budget", "40"], 2);
    let (_, least) = run.stderr.split_once("hint: --budget ").unwrap();
    let (least, _) = least.split_once(',').unwrap();
    written(&home, &id(1), "codex", &["--budget", least]);
    assert_eq!(home.sfs(&["resume", &id(1), "--budget", "many"]).code, Some(2));
}

/// Codex states a context of 258,400 tokens.
#[test]
fn a_conversation_that_is_too_large_is_pointed_out() {
    let home = home_with_a_long_session(40, 40_000);
    let run = home.sfs(&["resume", &id(1), "--in", "codex", "--no-launch", "--project", "."]);
    let note = run.stderr.lines().find(|line| line.starts_with("note: ")).unwrap();
    assert!(
        note.contains("has room for 258400; `sfs resume ses_kpefowao2x5gqqlp --in codex --budget 129200`"),
        "{note}"
    );
    let run = home.sfs(&["resume", &id(1), "--in", "gemini", "--no-launch", "--project", "."]);
    assert!(!run.stderr.contains("has room for"), "{run}");
}

#[test]
fn a_fork_is_a_session_of_its_own_that_no_tool_has_yet() {
    let (home, _) = home_with_a_session();
    let parent = sessions(&home).remove(0);
    home.json(&["checkpoint", "last", "--name", "here", "--json"]);
    for tool in TOOLS.map(|(_, tool)| tool) {
        let before = (files_below(&home.path().join(".claude")), files_below(&home.path().join(".codex")));
        let fork = home.json(&["fork", &parent, "--name", "Mine", "--from-checkpoint", "here", "--in", tool, "--json"]);
        assert_eq!((files_below(&home.path().join(".claude")), files_below(&home.path().join(".codex"))), before);
        let child = fork["id"].as_str().unwrap();
        assert_eq!((&fork["parent_id"], &fork["tool"], &fork["at"]), (&json!(parent), &json!(tool), &json!("here")));
        let shown = home.json(&["show", child, "--json"]);
        assert_eq!((&shown["title"], &shown["parent_id"]), (&json!("Mine"), &json!(parent)));
        assert_eq!((&shown["native_present"], &shown["input_tokens"]), (&json!(false), &json!(0)));
        assert_eq!(shown["project"], "/home/dev/work/project");
        assert_eq!(said(&home, child), "Question 0\nAnswer 0\nQuestion 1\nAnswer 1");
        let details = home.sfs(&["show", child]).stdout;
        assert!(details.contains(&format!("forked from  {parent}")), "{details}");
        assert!(details.contains("not in the tool yet: sfs resume"), "{details}");
    }
    assert_sound(&home);
}

#[test]
fn a_resumed_fork_is_put_into_its_tool() {
    for tool in TOOLS.map(|(_, tool)| tool) {
        let (home, _) = home_with_a_session();
        let fork = home.json(&["fork", "last", "--at", "22222222-2222-4333-8444-000000000001", "--in", tool, "--json"]);
        let child = fork["id"].as_str().unwrap();
        let run = home.sfs(&["resume", child, "--no-launch"]);
        assert!(run.stderr.starts_with("Put into "), "{run}");
        let again = home.json(&["resume", child, "--json"]);
        assert_eq!((&again["native_id"], &again["files"]), (&fork["native_id"], &json!([])), "it is there now");
        let before = home.json(&["show", child, "--json"]);
        import(&home);
        let shown = home.json(&["show", child, "--json"]);
        assert_eq!(shown["native_present"], json!(true));
        assert_eq!(shown["streams"], before["streams"], "what is captured is what was archived");
        assert_eq!(sessions(&home).len(), 2);
        assert_sound(&home);
    }
}

#[test]
fn a_fork_needs_a_tool_that_can_be_written() {
    let home = TestHome::new();
    let manifest = json!({"sfs_version": "0.1.0", "session_id": "ses_1234567890abcdef", "created_at": "2026-11-22T10:00:00Z",
        "source": {"tool": "aider", "original_session_id": "one"}});
    let message = json!({"msg_id": "m1", "parent_msg_id": null, "role": "user", "timestamp": "2026-11-22T10:00:00Z",
        "content": [{"type": "text", "text": "Hello"}]});
    write(&home.path().join("s.sfs/manifest.json"), manifest.to_string());
    write(&home.path().join("s.sfs/messages.jsonl"), format!("{message}\n"));
    assert_eq!(home.sfs(&["import", "s.sfs"]).code, Some(0));
    insta::assert_snapshot!(refused(&home, &["fork", "last"], 2), @r#"
    ---- stderr
    error: sessions can't be written for "aider", the tool of this one
    hint: sfs fork ses_1234567890abcdef --in claude-code | codex | gemini
    ---- exit Some(2)
    "#);
    let fork = home.json(&["fork", "last", "--in", "codex", "--project", ".", "--json"]);
    assert_eq!(said(&home, fork["id"].as_str().unwrap()), "Hello");
}

#[test]
fn a_fork_that_fails_leaves_nothing() {
    let (home, _) = home_with_a_session();
    refused(&home, &["fork", "last", "--at", "nowhere"], 3);
    refused(&home, &["fork", "last", "--project", "nowhere"], 3);
    refused(&home, &["fork", "last", "--at", "a", "--from-checkpoint", "b"], 2);
    let archive = rusqlite::Connection::open(home.path().join(".sessionfs/archive.db")).unwrap();
    let refuse = "CREATE TRIGGER no BEFORE INSERT ON stream BEGIN SELECT RAISE(ABORT, 'not today'); END";
    archive.execute_batch(refuse).unwrap();
    let run = refused(&home, &["fork", "last"], 1);
    assert!(run.stderr.contains("not today"), "{run}");
    let rows: u32 = archive.query_row("SELECT count(*) FROM session", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 1);
}

/// A message for the property test.
fn message(role: Role, content: Vec<Block>, at: usize) -> Message {
    let mut message = Message::new(format!("m{at}"), role);
    message.content = content;
    message
}

fn call(id: usize, length: usize) -> Block {
    Block::ToolUse { id: format!("c{id}"), name: "Bash".into(), input: wrap_input(&"x".repeat(length)) }
}

fn result(id: usize, length: usize) -> Block {
    let content = format!("<{}>", "word ".repeat(length));
    Block::ToolResult { id: format!("c{id}"), content, is_error: false, exit_code: None, duration_ms: None }
}

/// Prompts, answers, single calls, calls side by side, and calls whose results never came.
fn conversation(kinds: &[(u8, usize)]) -> Vec<Message> {
    let mut messages = vec![message(Role::User, vec![Block::Text("The first prompt".into())], 0)];
    for (at, (kind, length)) in kinds.iter().copied().enumerate() {
        let (at, id) = (at + 1, 2 * at);
        match kind {
            0 => {
                messages.push(message(
                    Role::User,
                    vec![Block::Text(format!("Prompt {at} {}", "a".repeat(length)))],
                    at,
                ));
            }
            1 => messages.push(message(Role::Assistant, vec![Block::Text("b ".repeat(length))], at)),
            2 => {
                messages.push(message(Role::Assistant, vec![call(id, length)], at));
                messages.push(message(Role::Tool, vec![result(id, length)], at));
            }
            3 => {
                messages.push(message(Role::Assistant, vec![call(id, 9), call(id + 1, 9)], at));
                messages.push(message(Role::Tool, vec![result(id + 1, length)], at));
                messages.push(message(Role::Tool, vec![result(id, length)], at));
            }
            _ => messages.push(message(Role::Assistant, vec![call(id, length)], at)),
        }
    }
    messages
}

fn ids(messages: &[Message], calls: bool) -> BTreeSet<String> {
    let blocks = messages.iter().flat_map(|message| &message.content);
    let id = |block: &Block| match block {
        Block::ToolUse { id, .. } if calls => Some(id.clone()),
        Block::ToolResult { id, .. } if !calls => Some(id.clone()),
        _ => None,
    };
    blocks.filter_map(id).collect()
}

/// The ids of the steps that writers get, but for our own notes.
fn order(messages: &[Message]) -> Vec<String> {
    let id = |step| match step {
        Step::Prompt(message) | Step::Reply { message, .. } => Some(message.id),
        Step::OrphanResult(_) => None,
    };
    let ids = steps(messages.iter().cloned().map(Ok)).filter_map(|step| id(step.unwrap()));
    ids.filter(|id| !id.starts_with("gap:")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_fits_a_budget_is_whole(kinds in prop::collection::vec((0u8..5, 0usize..600), 0..40), budget in 0u64..20_000) {
        let all = conversation(&kinds);
        let messages = || -> sessionfs::model::portion::Messages<'static> { Box::new(all.clone().into_iter().map(Ok)) };
        let survey = Survey::of(messages(), budget).unwrap();
        let plan = match budget::plan(&survey) {
            Ok(plan) => plan,
            Err(least) => {
                prop_assert!(least > budget);
                prop_assert!(budget::plan(&Survey::of(messages(), least.max(4_000)).unwrap()).is_ok() || least > 4_000);
                return Ok(());
            }
        };
        let fit: Vec<Message> = budget::fit(messages(), plan, "sfs show".into()).map(Result::unwrap).collect();
        let weight: u64 = fit.iter().map(budget::tokens).sum();
        prop_assert!(weight <= budget, "{weight} > {budget}");
        // A call has its result if it had one, and no result is without its call.
        let (calls, results) = (ids(&fit, true), ids(&fit, false));
        prop_assert!(results.is_subset(&calls));
        let answered: BTreeSet<String> = ids(&all, false).intersection(&calls).cloned().collect();
        prop_assert_eq!(&results, &answered);
        // The first prompt and the newest one, the end, and the order.
        let prompt = |messages: &[Message], first: bool| {
            let mut prompts = messages.iter().filter(|message| message.is_prompt()).map(Message::text);
            if first { prompts.next() } else { prompts.next_back() }
        };
        prop_assert_eq!(prompt(&fit, true), prompt(&all, true));
        prop_assert_eq!(prompt(&fit, false), prompt(&all, false));
        let (whole, part) = (order(&all), order(&fit));
        let mut rest = whole.iter();
        prop_assert!(part.iter().all(|id| rest.any(|other| other == id)), "{part:?} is not in {whole:?}");
        prop_assert_eq!(part.last(), whole.last());
    }

    #[test]
    fn an_estimate_grows_with_the_text(text in ".{0,200}", more in ".{0,50}") {
        let longer = text.clone() + &more;
        prop_assert!(estimate(&longer) >= estimate(&text));
        prop_assert!(estimate(&text) <= 2 * text.len() as u64);
    }
}

/// What the model receives of the session `answer` tells of, which was written for `client`.
fn received(client: Client, home: &TestHome, answer: &Value) -> Received {
    let cwd = Path::new(answer["cwd"].as_str().unwrap());
    let received = receive(client, home.path(), cwd, answer["native_id"].as_str().unwrap()).unwrap();
    assert_eq!((&received.rejections, &received.orphans), (&Vec::new(), &Vec::new()), "{received:?}");
    assert_eq!(received.exit, Some(0), "{received:?}");
    received
}

#[test]
fn the_real_clients_receive_what_fits_the_budget() {
    if !ready("the_real_clients_receive_what_fits_the_budget", &TOOLS.map(|(client, _)| client)) {
        return;
    }
    let home = home_with_a_long_session(30, 4000);
    for (client, tool) in TOOLS {
        let answer = written(&home, &id(1), tool, &["--budget", "8000"]);
        let received = received(client, &home, &answer);
        let texts = received.user_texts.iter().chain(&received.assistant_texts);
        let calls = received.calls.iter().map(|call| estimate(&call.result) + estimate(&call.input.to_string()));
        let tokens = texts.map(|text| estimate(text)).sum::<u64>() + calls.sum::<u64>();
        assert!((3_000..8_000).contains(&tokens), "{tool}: {tokens} tokens");
        assert!(received.user_texts[0].starts_with("Question 0\n[Left out here "), "{tool}: {:?}", received.user_texts);
        assert_eq!(received.user_texts.last().unwrap(), "Question 29", "{tool}");
        assert_eq!(received.assistant_texts.last().unwrap(), "Answer 29", "{tool}");
        let last = &received.calls.last().unwrap().result;
        assert!(last.starts_with("begin 29 ") && last.ends_with(" end 29"), "{tool}: {last}");
        assert!(!last.contains("left out") && last.len() > 4000, "{tool}: the newest turn is whole");
    }
}

#[test]
fn the_real_clients_receive_a_cut_and_a_forked_conversation() {
    if !ready("the_real_clients_receive_a_cut_and_a_forked_conversation", &TOOLS.map(|(client, _)| client)) {
        return;
    }
    let home = home_with_a_long_session(4, 50);
    std::fs::create_dir_all(home.path().join("project")).unwrap();
    home.json(&["checkpoint", &id(1), "--name", "all", "--json"]);
    let result = "22222222-2222-4333-8444-000000000006";
    for (client, tool) in TOOLS {
        let answer = written(&home, &id(1), tool, &["--at", result]);
        let cut = received(client, &home, &answer);
        // Claude Code puts an answer of its own behind an unanswered result.
        assert_eq!(cut.shape.trim_end_matches('a'), "ucauc", "{tool}");
        assert!(cut.calls[1].result.starts_with("begin 1 "), "{tool}");
        let answer = written(&home, &id(1), tool, &["--at", "all", "--from", result]);
        assert_eq!(received(client, &home, &answer).shape, "ucaucauca", "{tool}");

        let fork = home.json(&["fork", &id(1), "--at", result, "--in", tool, "--project", "project", "--json"]);
        let resumed = home.json(&["resume", fork["id"].as_str().unwrap(), "--json"]);
        assert_eq!(resumed["native_id"], fork["native_id"]);
        assert_same(&cut, &received(client, &home, &resumed), &json!({}));
    }
}

/// Also in its own tool: it is written anew, under the folder in which the client looks.
#[test]
fn the_real_clients_find_a_session_in_another_project() {
    if !ready("the_real_clients_find_a_session_in_another_project", &TOOLS.map(|(client, _)| client)) {
        return;
    }
    for (client, case) in
        [(Client::ClaudeCode, "claude/multi"), (Client::Codex, "codex/patch"), (Client::Gemini, "gemini/image")]
    {
        let home = captured(case);
        std::fs::create_dir_all(home.path().join("New Place")).unwrap();
        let tool = TOOLS.iter().find(|(of, _)| *of == client).unwrap().1;
        let before = crate::clients::natives(client).into_iter().find(|n| n.home.ends_with(case)).unwrap();
        let before = receive(client, &before.home, &before.cwd, &before.id).unwrap();
        let answer = home.json(&["resume", "last", "--in", tool, "--json", "--project", "New Place"]);
        assert_same(&before, &received(client, &home, &answer), &answer["ledger"]);
    }
}
