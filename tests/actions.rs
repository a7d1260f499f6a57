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
    insta::assert_snapshot!(table(&calls, &["codex", "gemini"]), @r#"
    Bash {"command":"ls","description":"List","timeout":5}
      codex: exec_command {"cmd":"ls"}  (degraded: Bash as exec_command, without description, timeout)
      gemini: run_shell_command {"command":"ls","description":"List"}  (mapped: Bash as run_shell_command, without timeout)
    Bash {"command":"serve","run_in_background":true}
      codex: Bash {"command":"serve","run_in_background":true}  (kept)
      gemini: run_shell_command {"command":"serve","is_background":true}  (mapped: Bash as run_shell_command)
    Read {"file_path":"/w/a","limit":5,"offset":10}
      codex: Read {"file_path":"/w/a","limit":5,"offset":10}  (kept)
      gemini: read_file {"end_line":14,"file_path":"/w/a","start_line":10}  (mapped: Read as read_file)
    Read {"file_path":"/w/a.pdf","pages":"1-3"}
      codex: Read {"file_path":"/w/a.pdf","pages":"1-3"}  (kept)
      gemini: Read {"file_path":"/w/a.pdf","pages":"1-3"}  (kept)
    Write {"content":"x\ny\n","file_path":"/w/a"}
      codex: apply_patch "*** Begin Patch\n*** Add File: /w/a\n+x\n+y\n*** End Patch"  (mapped: Write as apply_patch)
      gemini: write_file {"content":"x\ny\n","file_path":"/w/a"}  (mapped: Write as write_file)
    Write {"content":"no end","file_path":"/w/a"}
      codex: Write {"content":"no end","file_path":"/w/a"}  (kept)
      gemini: write_file {"content":"no end","file_path":"/w/a"}  (mapped: Write as write_file)
    Edit {"file_path":"/w/a","new_string":"y","old_string":"x","replace_all":true}
      codex: Edit {"file_path":"/w/a","new_string":"y","old_string":"x","replace_all":true}  (kept)
      gemini: replace {"allow_multiple":true,"file_path":"/w/a","new_string":"y","old_string":"x"}  (mapped: Edit as replace)
    MultiEdit {"edits":[{"new_string":"y","old_string":"x"},{"new_string":"","old_string":"z"}],"file_path":"a"}
      codex: MultiEdit {"edits":[{"new_string":"y","old_string":"x"},{"new_string":"","old_string":"z"}],"file_path":"a"}  (kept)
      gemini: MultiEdit {"edits":[{"new_string":"y","old_string":"x"},{"new_string":"","old_string":"z"}],"file_path":"a"}  (kept)
    Grep {"glob":"*.rs","pattern":"fn main"}
      codex: Grep {"glob":"*.rs","pattern":"fn main"}  (kept)
      gemini: grep_search {"case_sensitive":true,"include_pattern":"*.rs","names_only":true,"pattern":"fn main"}  (mapped: Grep as grep_search)
    Grep {"output_mode":"count","pattern":"x"}
      codex: Grep {"output_mode":"count","pattern":"x"}  (kept)
      gemini: Grep {"output_mode":"count","pattern":"x"}  (kept)
    Glob {"path":"src","pattern":"**/*.rs"}
      codex: Glob {"path":"src","pattern":"**/*.rs"}  (kept)
      gemini: glob {"case_sensitive":true,"dir_path":"src","pattern":"**/*.rs"}  (mapped: Glob as glob)
    TodoWrite {"todos":[{"activeForm":"Doing A","content":"A","status":"pending"}]}
      codex: update_plan {"plan":[{"status":"pending","step":"A"}]}  (degraded: TodoWrite as update_plan, without activeForm)
      gemini: write_todos {"todos":[{"description":"A","status":"pending"}]}  (degraded: TodoWrite as write_todos, without activeForm)
    mcp__db__query {"sql":"SELECT 1"}
      codex: mcp__db__query {"sql":"SELECT 1"}  (kept)
      gemini: mcp__db__query {"sql":"SELECT 1"}  (kept)
    "#);
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
    insta::assert_snapshot!(table(&calls, &["claude-code", "gemini"]), @r#"
    exec_command {"cmd":"ls","workdir":"/tmp","yield_time_ms":1000}
      claude-code: Bash {"command":"cd /tmp && ls"}  (mapped: exec_command as Bash, without yield_time_ms)
      gemini: run_shell_command {"command":"ls","dir_path":"/tmp"}  (mapped: exec_command as run_shell_command, without yield_time_ms)
    shell {"command":["bash","-lc","ls | wc"],"workdir":"/home/dev/x"}
      claude-code: Bash {"command":"ls | wc"}  (mapped: shell as Bash)
      gemini: run_shell_command {"command":"ls | wc"}  (mapped: shell as run_shell_command)
    apply_patch {"input":"*** Begin Patch\n*** Add File: a\n+x\n+y\n*** End Patch"}
      claude-code: Write {"content":"x\ny\n","file_path":"a"}  (mapped: apply_patch as Write)
      gemini: write_file {"content":"x\ny\n","file_path":"a"}  (mapped: apply_patch as write_file)
    apply_patch {"input":"*** Begin Patch\n*** Update File: a\n@@\n one\n-two\n+2\n*** End Patch"}
      claude-code: Edit {"file_path":"a","new_string":"one\n2\n","old_string":"one\ntwo\n"}  (mapped: apply_patch as Edit)
      gemini: replace {"file_path":"a","new_string":"one\n2\n","old_string":"one\ntwo\n"}  (mapped: apply_patch as replace)
    apply_patch {"input":"*** Begin Patch\n*** Update File: a\n@@ fn main() {\n-two\n+2\n*** End Patch"}
      claude-code: apply_patch {"input":"*** Begin Patch\n*** Update File: a\n@@ fn main() {\n-two\n+2\n*** End Patch"}  (kept)
      gemini: apply_patch {"input":"*** Begin Patch\n*** Update File: a\n@@ fn main() {\n-two\n+2\n*** End Patch"}  (kept)
    apply_patch {"input":"*** Begin Patch\n*** Delete File: a\n*** End Patch"}
      claude-code: apply_patch {"input":"*** Begin Patch\n*** Delete File: a\n*** End Patch"}  (kept)
      gemini: apply_patch {"input":"*** Begin Patch\n*** Delete File: a\n*** End Patch"}  (kept)
    update_plan {"plan":[{"status":"completed","step":"A"}]}
      claude-code: TodoWrite {"todos":[{"activeForm":"A","content":"A","status":"completed"}]}  (mapped: update_plan as TodoWrite)
      gemini: write_todos {"todos":[{"description":"A","status":"completed"}]}  (mapped: update_plan as write_todos)
    update_plan {"explanation":"Why","plan":[{"status":"completed","step":"A"}]}
      claude-code: TodoWrite {"todos":[{"activeForm":"A","content":"A","status":"completed"}]}  (degraded: update_plan as TodoWrite, without explanation)
      gemini: write_todos {"todos":[{"description":"A","status":"completed"}]}  (degraded: update_plan as write_todos, without explanation)
    write_stdin {"chars":"x","session_id":1}
      claude-code: write_stdin {"chars":"x","session_id":1}  (kept)
      gemini: write_stdin {"chars":"x","session_id":1}  (kept)
    "#);
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
    insta::assert_snapshot!(table(&calls, &["claude-code", "codex"]), @r#"
    run_shell_command {"command":"ls","description":"List","dir_path":"sub dir"}
      claude-code: Bash {"command":"cd 'sub dir' && ls","description":"List"}  (mapped: run_shell_command as Bash)
      codex: exec_command {"cmd":"ls","workdir":"sub dir"}  (degraded: run_shell_command as exec_command, without description)
    read_file {"end_line":7,"file_path":"a","start_line":3}
      claude-code: Read {"file_path":"a","limit":5,"offset":3}  (mapped: read_file as Read)
      codex: read_file {"end_line":7,"file_path":"a","start_line":3}  (kept)
    write_file {"content":"x\n","file_path":"a"}
      claude-code: Write {"content":"x\n","file_path":"a"}  (mapped: write_file as Write)
      codex: apply_patch "*** Begin Patch\n*** Add File: a\n+x\n*** End Patch"  (mapped: write_file as apply_patch)
    replace {"file_path":"a","instruction":"Why","new_string":"y","old_string":"x"}
      claude-code: Edit {"file_path":"a","new_string":"y","old_string":"x"}  (degraded: replace as Edit, without instruction)
      codex: replace {"file_path":"a","instruction":"Why","new_string":"y","old_string":"x"}  (kept)
    grep_search {"context":2,"dir_path":"src","pattern":"x"}
      claude-code: Grep {"-A":2,"-B":2,"-i":true,"output_mode":"content","path":"src","pattern":"x"}  (mapped: grep_search as Grep)
      codex: grep_search {"context":2,"dir_path":"src","pattern":"x"}  (kept)
    glob {"pattern":"*.rs"}
      claude-code: Glob {"pattern":"*.rs"}  (degraded: glob as Glob, without ignoring case)
      codex: glob {"pattern":"*.rs"}  (kept)
    write_todos {"todos":[{"description":"A","status":"in_progress"}]}
      claude-code: TodoWrite {"todos":[{"activeForm":"A","content":"A","status":"in_progress"}]}  (mapped: write_todos as TodoWrite)
      codex: update_plan {"plan":[{"status":"in_progress","step":"A"}]}  (mapped: write_todos as update_plan)
    write_todos {"todos":[{"description":"A","status":"cancelled"}]}
      claude-code: write_todos {"todos":[{"description":"A","status":"cancelled"}]}  (kept)
      codex: write_todos {"todos":[{"description":"A","status":"cancelled"}]}  (kept)
    google_web_search {"query":"x"}
      claude-code: google_web_search {"query":"x"}  (kept)
      codex: google_web_search {"query":"x"}  (kept)
    "#);
}

#[test]
fn calls_of_cursor_elsewhere() {
    let calls = [
        ("run_terminal_cmd", json!({"command": "ls", "is_background": false, "explanation": "List"})),
        ("read_file", json!({"target_file": "a", "offset": 3, "limit": 2})),
        ("read_lints", json!({"paths": ["a"], "explanation": "Why"})),
        ("write", json!({"file_path": "a", "contents": "x\n", "explanation": "Why"})),
        ("search_replace", json!({"file_path": "a", "old_string": "x", "new_string": "y"})),
        ("todo_write", json!({"merge": false, "todos": [{"id": "1", "content": "A", "status": "pending"}]})),
        ("todo_write", json!({"merge": true, "todos": [{"id": "1", "content": "A", "status": "pending"}]})),
        ("edit_file", json!({"target_file": "a", "instructions": "i", "code_edit": "// ... existing code ..."})),
    ];
    insta::assert_snapshot!(table(&calls, &["claude-code", "codex", "gemini"]), @r#"
    run_terminal_cmd {"command":"ls","explanation":"List","is_background":false}
      claude-code: Bash {"command":"ls","description":"List"}  (mapped: run_terminal_cmd as Bash)
      codex: exec_command {"cmd":"ls"}  (degraded: run_terminal_cmd as exec_command, without description)
      gemini: run_shell_command {"command":"ls","description":"List"}  (mapped: run_terminal_cmd as run_shell_command)
    read_file {"limit":2,"offset":3,"target_file":"a"}
      claude-code: Read {"file_path":"a","limit":2,"offset":3}  (mapped: read_file as Read)
      codex: read_file {"limit":2,"offset":3,"target_file":"a"}  (kept)
      gemini: read_file {"end_line":4,"file_path":"a","start_line":3}  (mapped: read_file with the target's arguments)
    read_lints {"explanation":"Why","paths":["a"]}
      claude-code: read_lints {"explanation":"Why","paths":["a"]}  (kept)
      codex: read_lints {"explanation":"Why","paths":["a"]}  (kept)
      gemini: read_lints {"explanation":"Why","paths":["a"]}  (kept)
    write {"contents":"x\n","explanation":"Why","file_path":"a"}
      claude-code: Write {"content":"x\n","file_path":"a"}  (degraded: write as Write, without explanation)
      codex: apply_patch "*** Begin Patch\n*** Add File: a\n+x\n*** End Patch"  (degraded: write as apply_patch, without explanation)
      gemini: write_file {"content":"x\n","file_path":"a"}  (degraded: write as write_file, without explanation)
    search_replace {"file_path":"a","new_string":"y","old_string":"x"}
      claude-code: Edit {"file_path":"a","new_string":"y","old_string":"x"}  (mapped: search_replace as Edit)
      codex: search_replace {"file_path":"a","new_string":"y","old_string":"x"}  (kept)
      gemini: replace {"file_path":"a","new_string":"y","old_string":"x"}  (mapped: search_replace as replace)
    todo_write {"merge":false,"todos":[{"content":"A","id":"1","status":"pending"}]}
      claude-code: TodoWrite {"todos":[{"activeForm":"A","content":"A","status":"pending"}]}  (mapped: todo_write as TodoWrite)
      codex: update_plan {"plan":[{"status":"pending","step":"A"}]}  (mapped: todo_write as update_plan)
      gemini: write_todos {"todos":[{"description":"A","status":"pending"}]}  (mapped: todo_write as write_todos)
    todo_write {"merge":true,"todos":[{"content":"A","id":"1","status":"pending"}]}
      claude-code: todo_write {"merge":true,"todos":[{"content":"A","id":"1","status":"pending"}]}  (kept)
      codex: todo_write {"merge":true,"todos":[{"content":"A","id":"1","status":"pending"}]}  (kept)
      gemini: todo_write {"merge":true,"todos":[{"content":"A","id":"1","status":"pending"}]}  (kept)
    edit_file {"code_edit":"// ... existing code ...","instructions":"i","target_file":"a"}
      claude-code: edit_file {"code_edit":"// ... existing code ...","instructions":"i","target_file":"a"}  (kept)
      codex: edit_file {"code_edit":"// ... existing code ...","instructions":"i","target_file":"a"}  (kept)
      gemini: edit_file {"code_edit":"// ... existing code ...","instructions":"i","target_file":"a"}  (kept)
    "#);
}
