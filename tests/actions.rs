//! What a call of one tool becomes in another one: the table, and what it costs.

use serde_json::{Value, json};
use sessionfs::home::Home;
use sessionfs::model::conversation::{About, Conversation};
use sessionfs::model::ledger::Ledger;
use sessionfs::model::message::{Block, Message, Role, raw};
use sessionfs::tools::{self, Target};
use std::fmt::Write;
use std::path::Path;

/// `name(input)` as `tool` gets it from a session of a tool that nobody knows: the call and its entry in the ledger.
fn written(tool: &str, name: &str, input: &Value) -> (String, String) {
    let home = Path::new("/home/dev");
    let cwd = home.join("x");
    let target = Target {
        home: Home::at(home, &home.join(".sessionfs")),
        cwd,
        native_id: None,
        now: "2026-11-22T10:00:00Z".parse().unwrap(),
    };
    let about = About { tool: "unknown", cwd: Some("/home/dev/x".into()), ..About::default() };
    let message = |role, block| {
        let mut message = Message::new("m", role);
        message.content.push(block);
        Ok(message)
    };
    let call = Block::ToolUse { id: "c1".into(), name: name.into(), input: raw(input) };
    let result = "the result stays";
    let done = Block::ToolResult {
        id: "c1".into(),
        content: result.into(),
        is_error: false,
        exit_code: None,
        duration_ms: None,
    };
    let said = [(Role::User, Block::Text("go".into())), (Role::Assistant, call), (Role::Tool, done)];
    let messages = Box::new(said.into_iter().map(|(role, block)| message(role, block)));
    let writer = tools::find(tool).unwrap().writer().unwrap();
    let (plan, mut out) = (writer.plan(&about, &target).unwrap(), Vec::new());
    let conversation = Conversation { messages, left_out: Vec::new() };
    let ledger = writer.write(&plan, &about, &target, conversation, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains(result), "{tool} changed a result: {text}");
    (call_in(&text), entry(&ledger))
}

/// The one call in a session file, whichever tool's.
fn call_in(text: &str) -> String {
    for line in text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let parts = [&line["message"]["content"], &line["content"]];
        for part in parts.into_iter().filter_map(Value::as_array).flatten() {
            if part["type"] == "tool_use" {
                return format!("{} {}", part["name"].as_str().unwrap(), part["input"]);
            }
            if let Some(name) = part["functionCall"]["name"].as_str() {
                return format!("{name} {}", part["functionCall"]["args"]);
            }
        }
        let item = &line["payload"];
        match item["type"].as_str() {
            Some("function_call") => {
                return format!("{} {}", item["name"].as_str().unwrap(), item["arguments"].as_str().unwrap());
            }
            Some("custom_tool_call") => return format!("{} {}", item["name"].as_str().unwrap(), item["input"]),
            _ => {}
        }
    }
    panic!("no call in {text}")
}

fn entry(ledger: &Ledger) -> String {
    let fates = [("kept", &ledger.kept), ("mapped", &ledger.mapped), ("degraded", &ledger.degraded)];
    let mut calls = fates.into_iter().flat_map(|(fate, entries)| entries.iter().map(move |entry| (fate, entry)));
    let (fate, entry) = calls.find(|(_, entry)| entry.what == "tool calls").unwrap();
    if entry.detail.is_empty() { fate.into() } else { format!("{fate}: {}", entry.detail) }
}

fn table(calls: &[(&str, Value)], tools: &[&str]) -> String {
    let mut table = String::new();
    for (name, input) in calls {
        writeln!(table, "{name} {input}").unwrap();
        for tool in tools {
            let (call, entry) = written(tool, name, input);
            writeln!(table, "  {tool}: {call}  ({entry})").unwrap();
        }
    }
    table
}

#[test]
fn calls_of_claude_code_elsewhere() {
    let edit = json!({"file_path": "/w/a", "old_string": "x", "new_string": "y", "replace_all": true});
    let calls = [
        ("Bash", json!({"command": "ls", "description": "List", "timeout": 5})),
        ("Bash", json!({"command": "serve", "run_in_background": true})),
        ("Read", json!({"file_path": "/w/a", "offset": 10, "limit": 5})),
        ("Read", json!({"file_path": "/w/a.pdf", "pages": "1-3"})),
        ("Write", json!({"file_path": "/w/a", "content": "x\ny\n"})),
        ("Write", json!({"file_path": "/w/a", "content": "no end"})),
        ("Edit", edit),
        (
            "MultiEdit",
            json!({"file_path": "a", "edits": [{"old_string": "x", "new_string": "y"}, {"old_string": "z", "new_string": ""}]}),
        ),
        ("Grep", json!({"pattern": "fn main", "glob": "*.rs"})),
        ("Grep", json!({"pattern": "x", "output_mode": "count"})),
        ("Glob", json!({"pattern": "**/*.rs", "path": "src"})),
        ("TodoWrite", json!({"todos": [{"content": "A", "status": "pending", "activeForm": "Doing A"}]})),
        ("mcp__db__query", json!({"sql": "SELECT 1"})),
    ];
    insta::assert_snapshot!(table(&calls, &["codex", "gemini"]), @"");
}

#[test]
fn calls_of_codex_elsewhere() {
    let patch = |body: &str| json!({ "input": format!("*** Begin Patch\n{body}\n*** End Patch") });
    let calls = [
        ("exec_command", json!({"cmd": "ls", "workdir": "/tmp", "yield_time_ms": 1000})),
        ("shell", json!({"command": ["bash", "-lc", "ls | wc"], "workdir": "/home/dev/x"})),
        ("apply_patch", patch("*** Add File: a\n+x\n+y")),
        ("apply_patch", patch("*** Update File: a\n@@\n one\n-two\n+2")),
        ("apply_patch", patch("*** Update File: a\n@@ fn main() {\n-two\n+2")),
        ("apply_patch", patch("*** Delete File: a")),
        ("update_plan", json!({"plan": [{"step": "A", "status": "completed"}]})),
        ("update_plan", json!({"explanation": "Why", "plan": [{"step": "A", "status": "completed"}]})),
        ("write_stdin", json!({"session_id": 1, "chars": "x"})),
    ];
    insta::assert_snapshot!(table(&calls, &["claude-code", "gemini"]), @"");
}

#[test]
fn calls_of_gemini_cli_elsewhere() {
    let calls = [
        ("run_shell_command", json!({"command": "ls", "description": "List", "dir_path": "sub dir"})),
        ("read_file", json!({"file_path": "a", "start_line": 3, "end_line": 7})),
        ("write_file", json!({"file_path": "a", "content": "x\n"})),
        ("replace", json!({"file_path": "a", "instruction": "Why", "old_string": "x", "new_string": "y"})),
        ("grep_search", json!({"pattern": "x", "dir_path": "src", "context": 2})),
        ("glob", json!({"pattern": "*.rs"})),
        ("write_todos", json!({"todos": [{"description": "A", "status": "in_progress"}]})),
        ("write_todos", json!({"todos": [{"description": "A", "status": "cancelled"}]})),
        ("google_web_search", json!({"query": "x"})),
    ];
    insta::assert_snapshot!(table(&calls, &["claude-code", "codex"]), @"");
}

#[test]
fn calls_of_cursor_elsewhere() {
    let calls = [
        ("run_terminal_cmd", json!({"command": "ls", "is_background": false, "explanation": "List"})),
        ("read_file", json!({"target_file": "a", "offset": 3, "limit": 2})),
        ("search_replace", json!({"file_path": "a", "old_string": "x", "new_string": "y"})),
        ("todo_write", json!({"merge": false, "todos": [{"id": "1", "content": "A", "status": "pending"}]})),
        ("todo_write", json!({"merge": true, "todos": [{"id": "1", "content": "A", "status": "pending"}]})),
        ("edit_file", json!({"target_file": "a", "instructions": "i", "code_edit": "// ... existing code ..."})),
    ];
    insta::assert_snapshot!(table(&calls, &["claude-code", "codex", "gemini"]), @"");
}
