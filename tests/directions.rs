//! The main promise: a session resumed by us, in its own tool or in another one, reaches the model as if its own tool
//! had resumed it. Every recorded session, all nine directions, with the real clients; and out of Cursor, which is only
//! captured, into all three: there what was recorded beside the sessions is the measure.
//!
//! For the same tool its own files are deleted first, so that what the client reads is what we put back.
//!
//! With `SESSIONFS_TESTS_UPDATE_TABLES` set (`make directions`) the outcome is written down: in short in the README, session
//! by session in docs/directions.md.

use crate::clients::{Call, Client, Native, Received, differences, fingerprint, natives, ready, receive};
use crate::support::cursor::Cursor;
use crate::support::home::{TestHome, copy_tree};
use serde_json::Value;
use sessionfs::export::ArchivedSession;
use sessionfs::home::Home;
use sessionfs::model::conversation::{NO_RESULT, UNRECORDED_RESULT};
use sessionfs::model::message::Block;
use sessionfs::store::Store;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

/// Client, id and folder.
const TOOLS: [(Client, &str, &str); 3] = [
    (Client::ClaudeCode, "claude-code", ".claude"),
    (Client::Codex, "codex", ".codex"),
    (Client::Gemini, "gemini", ".gemini"),
];

/// Between these the README's table stands.
const BEGIN: &str = "<!-- written by `make directions` -->\n";
const END: &str = "<!-- end -->\n";

/// One session in one direction.
struct Outcome {
    from: &'static str,
    to: &'static str,
    row: String,
    problems: Vec<String>,
}

#[test]
fn every_recorded_session_is_resumed_in_every_tool() {
    if !ready("every_recorded_session_is_resumed_in_every_tool", &TOOLS.map(|(client, ..)| client)) {
        return;
    }
    let mut work = Vec::new();
    for (from, _, _) in TOOLS {
        for native in natives(from) {
            let expected = Arc::new(OnceLock::new());
            work.extend(TOOLS.map(|to| (from, native.clone(), expected.clone(), to)));
        }
    }
    let outcomes = side_by_side(&work, |(from, native, expected, to)| direction(*from, native, expected, *to));
    let mut outcomes: Vec<Outcome> = outcomes.into_iter().flatten().collect();
    outcomes.extend(side_by_side(&cursor_sessions(), |(case, session, to)| out_of(case, session, *to)));
    let problems: Vec<&str> = outcomes.iter().flat_map(|outcome| &outcome.problems).map(String::as_str).collect();
    if std::env::var_os("SESSIONFS_TESTS_UPDATE_TABLES").is_some() {
        let readme = std::fs::read_to_string(repository("README.md")).unwrap();
        let table = table_in(&readme);
        let written = [&readme[..table.start], &summary(&outcomes), &readme[table.end..]].concat();
        std::fs::write(repository("README.md"), written).unwrap();
        std::fs::write(repository("docs/directions.md"), in_full(&outcomes)).unwrap();
    }
    assert!(problems.is_empty(), "{}\n{}", problems.join("\n"), in_full(&outcomes));
}

/// What the README says must be of these sessions and these clients; a run with the clients writes it.
#[test]
fn the_readme_tells_of_the_recorded_sessions() {
    let mut outcomes: Vec<Outcome> = TOOLS.iter().flat_map(|from| recorded_as_passed(*from)).collect();
    outcomes.extend(cursor_sessions().iter().map(|(.., to)| passed(CURSOR_ID, to.1)));
    let readme = std::fs::read_to_string(repository("README.md")).unwrap();
    assert_eq!(readme[table_in(&readme)], summary(&outcomes), "run `make directions` and commit what it writes");
    let full = std::fs::read_to_string(repository("docs/directions.md")).unwrap();
    let rows = full.lines().filter(|line| line.ends_with(" yes |")).count();
    assert_eq!(rows, outcomes.len(), "docs/directions.md is not of these sessions: run `make directions`");
}

/// Every session of a tool in every direction, as if it had passed.
fn recorded_as_passed(from: (Client, &'static str, &str)) -> Vec<Outcome> {
    let sessions: Vec<Native> = natives(from.0).into_iter().filter(|native| !is_sub_agent(native)).collect();
    TOOLS.iter().flat_map(|(_, to, _)| sessions.iter().map(|_| passed(from.1, to))).collect()
}

fn passed(from: &'static str, to: &'static str) -> Outcome {
    Outcome { from, to, row: String::new(), problems: Vec::new() }
}

/// Codex gives its sub-agents files of their own.
fn is_sub_agent(native: &Native) -> bool {
    let main = walkdir::WalkDir::new(&native.home).into_iter().flatten();
    let mut named = main.filter(|entry| entry.file_name().to_string_lossy().ends_with(&format!("{}.jsonl", native.id)));
    named.next().is_some_and(|file| {
        let text = std::fs::read_to_string(file.path()).unwrap();
        text.lines().next().unwrap().contains("\"subagent\"")
    })
}

fn repository(path: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Where the table stands in the README: between the marks.
fn table_in(readme: &str) -> std::ops::Range<usize> {
    let start = readme.find(BEGIN).unwrap() + BEGIN.len();
    start..start + readme[start..].find(END).unwrap()
}

/// A line for each tool that sessions come from, a column for each that they go to.
fn summary(outcomes: &[Outcome]) -> String {
    let names = TOOLS.map(|(client, id, _)| (id, sessionfs::tools::name_of(id), client.version()));
    let heads: Vec<String> = names.iter().map(|(_, name, version)| format!("in {name} {version}")).collect();
    let mut table = format!("| session of | {} |\n|---|{}\n", heads.join(" | "), "---|".repeat(names.len()));
    let sources = names.map(|(id, name, _)| (id, name)).into_iter().chain([(CURSOR_ID, "Cursor")]);
    for (from, name) in sources {
        let cell = |to: &str| {
            let here = || outcomes.iter().filter(|outcome| outcome.from == from && outcome.to == to);
            format!(" {}/{} |", here().filter(|outcome| outcome.problems.is_empty()).count(), here().count())
        };
        let cells: String = names.iter().map(|(to, ..)| cell(to)).collect();
        writeln!(table, "| {name} |{cells}").unwrap();
    }
    table
}

/// A line for each session in each direction.
fn in_full(outcomes: &[Outcome]) -> String {
    let mut text = String::from(
        "# Every recorded session in every direction

What the model of the second tool received when its real client resumed the session: how many texts of the person and of the
model, calls with their results, and images; what the ledger counts; and whether it was the same as what the session's own
tool sends, less what the ledger admits. Written by `make directions`.

| session | from | to | user | assistant | calls | images | kept | mapped | degraded | dropped | same |
|---|---|---|---|---|---|---|---|---|---|---|---|
",
    );
    for outcome in outcomes {
        text.push_str(&outcome.row);
    }
    text
}

/// Two at a time, in order.
fn side_by_side<T: Sync, R: Send>(work: &[T], run: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let results: Vec<Mutex<Option<R>>> = work.iter().map(|_| Mutex::new(None)).collect();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let worker = || {
        while let Some(item) = work.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
            let place = work.iter().position(|other| std::ptr::eq(other, item)).unwrap();
            *results[place].lock().unwrap() = Some(run(item));
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(worker);
        worker();
    });
    results.into_iter().map(|result| result.into_inner().unwrap().unwrap()).collect()
}

/// `None` for a sub-agent's file, which is part of its parent's session.
fn direction(
    from: Client,
    native: &Native,
    expected: &OnceLock<Received>,
    to: (Client, &'static str, &str),
) -> Option<Outcome> {
    let home = TestHome::new();
    copy_tree(&native.home, home.path());
    home.sfs(&["import"]);
    let sessions = home.json(&["list", "--all", "--json"]);
    let known = sessions.as_array().unwrap().iter().any(|s| s["native_id"] == native.id.as_str());
    if !known {
        let text = std::fs::read_to_string(find(&native.home, &native.id)).unwrap();
        assert!(text.contains("\"subagent\""), "{} is not archived as a session", native.id);
        return None;
    }
    let expected = expected.get_or_init(|| expected_of(from, native, &home));
    for (_, _, folder) in TOOLS {
        let _ = std::fs::remove_dir_all(home.path().join(folder));
    }
    let names_folder =
        sessions.as_array().unwrap().iter().any(|s| s["native_id"] == native.id.as_str() && s["project"].is_string());
    let cwd = names_folder.then_some(native.cwd.as_path());
    let (actual, ledger) = resumed(&home, &native.id, cwd, to);
    let problems = differences(expected, &actual, &ledger);
    let case = native.home.file_name().unwrap().to_string_lossy().into_owned();
    let from = TOOLS.iter().find(|(client, ..)| *client == from).unwrap().1;
    Some(outcome((&case, &native.id, from), to.1, &actual, &ledger, &problems))
}

/// Resumes a session and gives what the model received, and the ledger. A session may not say where it worked.
fn resumed(home: &TestHome, id: &str, cwd: Option<&Path>, to: (Client, &str, &str)) -> (Received, Value) {
    let elsewhere = home.path().join("project");
    std::fs::create_dir_all(&elsewhere).unwrap();
    let resume = ["resume", id, "--in", to.1, "--no-launch", "--json"];
    let resumed = match cwd {
        Some(_) => home.json(&resume),
        None => home.json(&[&resume[..], &["--project", elsewhere.to_str().unwrap()]].concat()),
    };
    let native_id = resumed["native_id"].as_str().unwrap();
    (receive(to.0, home.path(), cwd.unwrap_or(&elsewhere), native_id).unwrap(), resumed["ledger"].clone())
}

/// Its id: it is only captured.
const CURSOR_ID: &str = "cursor";
/// Cursor's installations with sessions that differ in what is said in them.
const CURSOR: [&str; 11] = [
    "agent_tools",
    "dot_cursor",
    "images",
    "legacy_chatdata",
    "legacy_inline",
    "malformed",
    "newest",
    "order_orphans",
    "simple_chat",
    "subagents_bestofn",
    "thinking",
];

fn cursor_sessions() -> Vec<(&'static str, Value, (Client, &'static str, &'static str))> {
    let mut work = Vec::new();
    for case in CURSOR {
        let home = TestHome::new();
        let cursor = Cursor::install(home.path(), case);
        let sessions = cursor.expected["sessions"].as_array().unwrap().iter();
        for session in sessions.filter(|session| session["parent"].is_null() && session["optional"] != true) {
            work.extend(TOOLS.map(|to| (case, session.clone(), to)));
        }
    }
    work
}

fn out_of(case: &str, session: &Value, to: (Client, &'static str, &str)) -> Outcome {
    let home = TestHome::new();
    Cursor::install(home.path(), case);
    put_missing_images_back(&home, session);
    home.sfs(&["import"]);
    let id = session["id"].as_str().unwrap();
    let expected = expected_of_cursor(&home, session);
    let cwd = session["cwd"].as_str().map(Path::new);
    let (actual, ledger) = resumed(&home, id, cwd, to);
    let problems = differences(&expected, &actual, &ledger);
    outcome((case, id, CURSOR_ID), to.1, &actual, &ledger, &problems)
}

/// An image whose file is gone is a text to the model, which is not compared here.
fn put_missing_images_back(home: &TestHome, session: &Value) {
    let files = walkdir::WalkDir::new(home.path()).into_iter().flatten();
    let Some(image) = files.map(walkdir::DirEntry::into_path).find(|path| path.ends_with("images")) else { return };
    let other = std::fs::read_dir(&image).unwrap().next().unwrap().unwrap().path();
    for event in session["events"].as_array().unwrap().iter().filter(|event| event["present"] == false) {
        let name = format!("image-{}.png", event["uuid"].as_str().unwrap());
        std::fs::copy(&other, image.join(name)).unwrap();
    }
}

/// What was recorded of the session. Of results only a part was, and of images a hash: the rest is the reader's, which
/// tests/cursor.rs compares with these.
fn expected_of_cursor(home: &TestHome, session: &Value) -> Received {
    let (results, images) = results_and_images(home, session["id"].as_str().unwrap());
    let mut read = Received { exit: Some(0), images, ..Received::default() };
    for event in session["events"].as_array().unwrap() {
        match event["k"].as_str().unwrap() {
            "user" => said(&mut read.user_texts, &mut read.shape, 'u', &event["text"]),
            "text" => said(&mut read.assistant_texts, &mut read.shape, 'a', &event["text"]),
            "call" => {
                let id = event["id"].as_str().unwrap_or_default().replace(['\n', ':'], "_");
                let missing = if session["lossy"] == true { UNRECORDED_RESULT } else { NO_RESULT };
                read.calls.push(Call {
                    name: event["name"].as_str().unwrap().to_owned(),
                    input: event["input"].clone(),
                    result: results.get(&id).cloned().unwrap_or_else(|| missing.to_owned()),
                    images: 0,
                });
                read.shape.push('c');
            }
            _ => {}
        }
    }
    read
}

fn results_and_images(home: &TestHome, id: &str) -> (BTreeMap<String, String>, Vec<String>) {
    let store = Store::open(&Home::at(home.path(), &home.path().join(".sessionfs"))).unwrap();
    let session = ArchivedSession::open(&store, store.find_native("cursor", id).unwrap().unwrap()).unwrap();
    let (mut results, mut images) = (BTreeMap::new(), Vec::new());
    for message in sessionfs::tools::conversation(&session).unwrap().messages {
        for block in message.unwrap().content {
            match block {
                Block::ToolResult { id, content, .. } => drop(results.insert(id, content)),
                Block::Image(image) => images.push(fingerprint(&image.data)),
                _ => {}
            }
        }
    }
    (results, images)
}

fn find(home: &std::path::Path, id: &str) -> std::path::PathBuf {
    let mut files = walkdir::WalkDir::new(home).into_iter().flatten();
    files.find(|entry| entry.file_name().to_string_lossy().ends_with(&format!("{id}.jsonl"))).unwrap().into_path()
}

/// What the session's own tool sends, even if the API refuses it (Gemini CLI doubles its own results). Where the tool
/// refuses its own file (today's Codex refuses bare 2025 rollouts), our reader's live conversation is the measure.
fn expected_of(from: Client, native: &Native, home: &TestHome) -> Received {
    let received = receive(from, &native.home, &native.cwd, &native.id).unwrap();
    if received.exit == Some(0) || received.requests > 0 {
        return received;
    }
    let shown = home.json(&["show", &native.id, "-m", "--json"]);
    let mut read = Received { exit: Some(0), ..Received::default() };
    for message in shown["messages"].as_array().unwrap().iter().filter(|m| m["is_meta"] != true) {
        for block in message["content"].as_array().unwrap() {
            match (block["type"].as_str().unwrap(), message["role"].as_str().unwrap()) {
                ("text", "user") => said(&mut read.user_texts, &mut read.shape, 'u', &block["text"]),
                ("text", "assistant") => said(&mut read.assistant_texts, &mut read.shape, 'a', &block["text"]),
                ("tool_use", _) => {
                    read.calls.push(call(block, &shown));
                    read.shape.push('c');
                }
                _ => {}
            }
        }
    }
    read
}

/// Consecutive texts of one side are one, as in what a model receives.
fn said(texts: &mut Vec<String>, shape: &mut String, letter: char, text: &Value) {
    let text = text.as_str().unwrap();
    match texts.last_mut() {
        Some(last) if shape.ends_with(letter) => *last = format!("{last}\n{text}"),
        _ => {
            texts.push(text.to_owned());
            shape.push(letter);
        }
    }
}

fn call(block: &Value, shown: &Value) -> Call {
    let mut blocks = shown["messages"].as_array().unwrap().iter().flat_map(|m| m["content"].as_array().unwrap());
    let result = blocks.find(|b| b["type"] == "tool_result" && b["tool_use_id"] == block["tool_use_id"]);
    Call {
        name: block["name"].as_str().unwrap().to_owned(),
        input: block["input"].clone(),
        result: result.and_then(|r| r["content"].as_str()).unwrap_or_default().to_owned(),
        images: 0,
    }
}

/// `session` is its case, its id and its tool.
fn outcome(
    (case, id, from): (&str, &str, &'static str),
    to: &'static str,
    actual: &Received,
    ledger: &Value,
    problems: &[String],
) -> Outcome {
    let count = |fate: &str| {
        ledger[fate].as_array().map_or(0, |entries| entries.iter().map(|e| e["count"].as_u64().unwrap()).sum::<u64>())
    };
    let images = actual.images.len() + actual.calls.iter().map(|call| call.images).sum::<usize>();
    let mut row = String::new();
    writeln!(
        row,
        "| {case} {} | {from} | {to} | {} | {} | {} | {images} | {} | {} | {} | {} | {} |",
        &id[..8],
        actual.user_texts.len(),
        actual.assistant_texts.len(),
        actual.calls.len(),
        count("kept"),
        count("mapped"),
        count("degraded"),
        count("dropped"),
        if problems.is_empty() { "yes" } else { "NO" }
    )
    .unwrap();
    let problems = problems.iter().map(|problem| format!("{case} {} {from} → {to}: {problem}", &id[..8]));
    Outcome { from, to, row, problems: problems.collect() }
}
