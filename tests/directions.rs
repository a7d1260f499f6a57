//! The main promise: a session resumed by us, in its own tool or in another one, reaches the model as if its own tool
//! had resumed it. Every recorded session, all nine directions, with the real clients.
//!
//! For the same tool its own files are deleted first, so that what the client reads is what we put back.

use crate::clients::{Call, Client, Native, Received, differences, natives, ready, receive};
use crate::support::home::{TestHome, copy_tree};
use serde_json::Value;
use std::fmt::Write;
use std::sync::{Arc, Mutex, OnceLock};

const TOOLS: [(Client, &str, &str); 3] = [
    (Client::ClaudeCode, "claude-code", ".claude"),
    (Client::Codex, "codex", ".codex"),
    (Client::Gemini, "gemini", ".gemini"),
];

/// One session in one direction.
struct Outcome {
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
    let mut table = String::from(
        "| session | from | to | user | assistant | calls | images | kept | mapped | degraded | dropped | same |\n",
    );
    table.push_str("|---|---|---|---|---|---|---|---|---|---|---|---|\n");
    let mut problems = Vec::new();
    for outcome in outcomes.into_iter().flatten() {
        table.push_str(&outcome.row);
        problems.extend(outcome.problems);
    }
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/directions.md");
    std::fs::write(&path, &table).unwrap();
    assert!(problems.is_empty(), "{}\n{table}", problems.join("\n"));
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
    to: (Client, &str, &str),
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
    let cwd = native.cwd.to_str().unwrap();
    let project = ["resume", &native.id, "--in", to.1, "--no-launch", "--json"];
    // A bare old session does not say where it worked.
    std::fs::create_dir_all(home.path().join("project")).unwrap();
    let elsewhere = home.path().join("project");
    let names_folder =
        sessions.as_array().unwrap().iter().any(|s| s["native_id"] == native.id.as_str() && s["project"].is_string());
    let resumed = if names_folder {
        home.json(&project)
    } else {
        home.json(&[&project[..], &["--project", elsewhere.to_str().unwrap()]].concat())
    };
    let ledger = &resumed["ledger"];
    let cwd = if names_folder { cwd.into() } else { elsewhere };
    let actual = receive(to.0, home.path(), &cwd, resumed["native_id"].as_str().unwrap()).unwrap();
    let problems = differences(expected, &actual, ledger);
    Some(outcome(from, native, to.1, &actual, ledger, &problems))
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

fn said(texts: &mut Vec<String>, shape: &mut String, letter: char, text: &Value) {
    texts.push(text.as_str().unwrap().to_owned());
    shape.push(letter);
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

fn outcome(from: Client, native: &Native, to: &str, actual: &Received, ledger: &Value, problems: &[String]) -> Outcome {
    let case = native.home.file_name().unwrap().to_string_lossy().into_owned();
    let from = TOOLS.iter().find(|(client, ..)| *client == from).unwrap().1;
    let count = |fate: &str| {
        ledger[fate].as_array().map_or(0, |entries| entries.iter().map(|e| e["count"].as_u64().unwrap()).sum::<u64>())
    };
    let images = actual.images.len() + actual.calls.iter().map(|call| call.images).sum::<usize>();
    let mut row = String::new();
    writeln!(
        row,
        "| {case} {} | {from} | {to} | {} | {} | {} | {images} | {} | {} | {} | {} | {} |",
        &native.id[..8],
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
    let problems = problems.iter().map(|problem| format!("{case} {} {from} → {to}: {problem}", &native.id[..8]));
    Outcome { row, problems: problems.collect() }
}
