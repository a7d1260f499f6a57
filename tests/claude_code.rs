//! Claude Code: recorded sessions of five versions of the real client, read, walked, written and read again.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

use crate::support::file_source::FileSource;
use sessionfs::home::Home;
use sessionfs::model::conversation::{About, Conversation};
use sessionfs::model::ledger::Ledger;
use sessionfs::model::message::{Block, ImageKind, ImageSource, Message, Role, wrap_input};
use sessionfs::tools::claude_code::{ClaudeCode, folder_of};
use sessionfs::tools::{Format, Place, Reading, Source, Target, Tool};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const TOOL: &dyn Tool = &ClaudeCode;
const ID: &str = "11111111-2222-4333-8444-555555555555";

/// The sessions recorded for a case.
fn sessions(case: &str) -> Vec<FileSource> {
    FileSource::all(TOOL, &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/claude").join(case))
}

/// The case's only session.
fn session(case: &str) -> FileSource {
    let mut all = sessions(case);
    assert_eq!(all.len(), 1, "{case}");
    all.remove(0)
}

fn source(lines: &[u8]) -> FileSource {
    FileSource::of(TOOL, ID, "main", Format::ClaudeCodeJsonl, lines)
}

/// Everything that a stream says.
fn read(source: &dyn Source, stream: &str) -> Reading {
    let (mut reader, mut out) = (TOOL.reader(stream, None), Reading::default());
    source
        .for_each_line(source.newest(stream).unwrap(), 0, &mut |line| {
            reader.line(line, &mut out);
            Ok(std::ops::ControlFlow::Continue(()))
        })
        .unwrap();
    out
}

fn live(source: &dyn Source) -> Vec<Message> {
    TOOL.conversation(source).unwrap().messages.map(Result::unwrap).collect()
}

fn short(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.chars().take(60).collect()
}

/// Enough of a call's id to tell calls apart.
fn tail(id: &str) -> &str {
    &id[id.len().saturating_sub(2)..]
}

/// A message on a line: what a person would check.
fn show(messages: &[Message]) -> String {
    let mut out = String::new();
    for message in messages {
        let mark = if message.is_meta { "*" } else { "" };
        let side = if message.is_sidechain { ">" } else { "" };
        write!(out, "{side}{}{mark}", message.role.as_str()).unwrap();
        for block in &message.content {
            match block {
                Block::Text(text) => write!(out, " {:?}", short(text)),
                Block::Thinking { text, signature, .. } => {
                    write!(out, " thinks {text:?} signed {}", signature.is_some())
                }
                Block::ToolUse { name, input, id } => {
                    write!(out, " {}:{name}{}", tail(id), short(input.get()))
                }
                Block::ToolResult { id, content, is_error, exit_code, .. } => {
                    let failed = if *is_error { format!(" failed {exit_code:?}") } else { String::new() };
                    write!(out, " {}={:?}{failed}", tail(id), short(content))
                }
                Block::Image(source) => write!(out, " image {:?}", source.media_type),
                Block::Summary { text, through } => write!(out, " summary {:?} {}", short(text), through.is_some()),
                Block::Other(raw) => write!(out, " other {}", short(raw.get())),
            }
            .unwrap();
        }
        out.push('\n');
    }
    out
}

fn show_live(source: &dyn Source) -> String {
    let left_out = TOOL.conversation(source).unwrap().left_out;
    let left_out: Vec<String> =
        left_out.iter().map(|(what, why, n)| format!("left out: {n} {what}, {why}\n")).collect();
    format!("{}{}", show(&live(source)), left_out.concat())
}

#[test]
fn the_log_keeps_every_branch() {
    insta::assert_snapshot!(show(&read(&session("i_rewind"), "main").messages), @r##"
    user "AAA one @@hello"
    assistant "Hello from the mock. How can I help?"
    user "BBB two @@think"
    assistant thinks "The user wants me to think. Let me consider." signed true
    assistant "I thought about it: 42."
    user " CCC three @@hello"
    assistant "Hello from the mock. How can I help?"
    "##);
}

#[test]
fn an_abandoned_branch_is_not_live() {
    insta::assert_snapshot!(show_live(&session("i_rewind")), @r##"
    user "AAA one @@hello"
    assistant "Hello from the mock. How can I help?"
    user " CCC three @@hello"
    assistant "Hello from the mock. How can I help?"
    left out: 3 messages, on an abandoned branch
    "##);
}

#[test]
fn after_a_compaction_the_summary_and_what_is_preserved_are_live() {
    insta::assert_snapshot!(show_live(&session("i_compact")), @r##"
    system summary "This session is being continued from a previous conversation" true
    assistant "Hello from the mock. How can I help?"
    user* "<local-command-caveat>The command below was run directly in "
    user* "<command-name>/compact</command-name>"
    user* "<local-command-stdout>\u{1b}[2mCompacted (ctrl+o to see full summ"
    user* "<system-reminder>"
    user "after compaction @@think"
    assistant thinks "The user wants me to think. Let me consider." signed true
    assistant "I thought about it: 42."
    left out: 12 messages, before a compaction, the summary stands for them
    "##);
}

#[test]
fn all_results_of_parallel_calls_are_live() {
    insta::assert_snapshot!(show_live(&session("multi")), @r##"
    user "please do it @@multi"
    assistant "Three at once."
    assistant 01:Bash{"command":"echo one","description":"one"}
    assistant 02:Bash{"command":"echo two","description":"two"}
    assistant 03:Read{"file_path":"/home/dev/work/multi/hello.py"}
    tool 03="1\tdef main():"
    tool 01="one"
    tool 02="two"
    assistant "All three done."
    "##);
    insta::assert_snapshot!(show_live(&session("v1.0.128-multi")), @r##"
    user "please do it @@multi"
    assistant "Three at once."
    assistant 01:Bash{"command":"echo one","description":"one"}
    assistant 02:Bash{"command":"echo two","description":"two"}
    assistant 03:Read{"file_path":"/home/dev/work/v1.0.128-multi/hello.py"}
    tool 03="     1→def main():"
    tool 02="two"
    tool 01="one"
    assistant "All three done."
    "##);
    insta::assert_snapshot!(show_live(&session("v2.1.197-multi")), @r##"
    user "please do it @@multi"
    assistant "Three at once."
    assistant 01:Bash{"command":"echo one","description":"one"}
    assistant 02:Bash{"command":"echo two","description":"two"}
    assistant 03:Read{"file_path":"/home/dev/work/v2.1.197-multi/hello.py"}
    tool 03="1\tdef main():"
    tool 01="one"
    tool 02="two"
    assistant "All three done."
    "##);
}

#[test]
fn a_resumed_and_a_forked_session_are_walked_to_their_ends() {
    let all: Vec<String> = sessions("resume").iter().map(|s| format!("{}\n{}", s.native_id(), show_live(s))).collect();
    insta::assert_snapshot!(all.join("\n"), @r##"
    081e5c1c-b042-4891-bd60-cb334f48391a
    user "named @@hello"
    assistant "Hello from the mock. How can I help?"

    11111111-2222-4333-8444-555555555555
    user "own id @@hello"
    assistant "Hello from the mock. How can I help?"

    986e4051-2c9e-4ff2-9acb-dfc76f24777b
    user "first @@bashok"
    assistant "I will list files."
    assistant 01:Bash{"command":"echo hi && ls","description":"List files"}
    tool 01="hi"
    assistant "Listed."
    user "second @@hello"
    assistant "Hello from the mock. How can I help?"
    user "third @@think"
    assistant thinks "The user wants me to think. Let me consider." signed true
    assistant "I thought about it: 42."

    e2797bac-1514-4022-a3d3-27a4f75e745d
    user "first @@bashok"
    assistant "I will list files."
    assistant 01:Bash{"command":"echo hi && ls","description":"List files"}
    tool 01="hi"
    assistant "Listed."
    user "second @@hello"
    assistant "Hello from the mock. How can I help?"
    user "third @@think"
    assistant thinks "The user wants me to think. Let me consider." signed true
    assistant "I thought about it: 42."
    user "forked @@hello"
    assistant "Hello from the mock. How can I help?"
    "##);
}

#[test]
fn sub_agents_are_side_chains() {
    let v1 = session("v1.0.128-sub");
    insta::assert_snapshot!(show(&read(&v1, "main").messages), @r##"
    user "please do it @@sub"
    assistant "Delegating."
    assistant 01:Task{"description":"Echo in sub","prompt":"Please run @@subwork 
    >user "Please run @@subwork now"
    >assistant "Sub working."
    >assistant 02:Bash{"command":"echo from-subagent","description":"Echo in sub"}
    >tool 02="from-subagent"
    >assistant "Sub result: from-subagent"
    tool 01="Sub result: from-subagent"
    assistant "Sub-agent finished."
    "##);
    insta::assert_snapshot!(show_live(&v1), @r##"
    user "please do it @@sub"
    assistant "Delegating."
    assistant 01:Task{"description":"Echo in sub","prompt":"Please run @@subwork 
    tool 01="Sub result: from-subagent"
    assistant "Sub-agent finished."
    left out: 5 sub-agent messages, the main conversation has their results only
    "##);
    let v2 = session("v2.0.77-sub");
    let agents: Vec<String> = v2
        .streams()
        .iter()
        .filter(|s| s.name != "main")
        .map(|s| format!("{}\n{}", s.name, show(&read(&v2, &s.name).messages)))
        .collect();
    insta::assert_snapshot!(agents.concat(), @r##"
    agents/agent-a6c3278.jsonl
    agents/agent-a8b21d3.jsonl
    >user "Please run @@subwork now"
    >assistant "Sub working."
    >assistant 02:Bash{"command":"echo from-subagent","description":"Echo in sub"}
    >tool 02="from-subagent"
    >assistant "Sub result: from-subagent"
    agents/agent-aa83a5c.jsonl
    agents/agent-afa9831.jsonl
    "##);
    insta::assert_snapshot!(show_live(&v2), @r##"
    user "please do it @@sub"
    assistant "Delegating."
    assistant 01:Task{"description":"Echo in sub","prompt":"Please run @@subwork 
    tool 01="Sub result: from-subagent"
    assistant "Sub-agent finished."
    left out: 1 sub-agent transcripts, the main conversation has their results only
    "##);
    insta::assert_snapshot!(show_live(&session("v2.1.5-sub")), @r##"
    user "please do it @@sub"
    assistant "Delegating."
    assistant 01:Task{"description":"Echo in sub","prompt":"Please run @@subwork 
    tool 01="Sub result: from-subagent"
    assistant "Sub-agent finished."
    left out: 1 sub-agent transcripts, the main conversation has their results only
    "##);
    insta::assert_snapshot!(show_live(&session("agent")), @r##"
    user "please do it @@agent"
    assistant "Delegating."
    assistant 01:Agent{"description":"Echo in sub","prompt":"Please run @@subwork 
    tool 01="Async agent launched successfully. (This tool result is inte"
    assistant "Sub-agent finished."
    user* "<system-reminder>"
    user* "<task-notification>"
    assistant "MOCK-REPLY 5 (scenario agent is over)"
    left out: 1 sub-agent transcripts, the main conversation has their results only
    "##);
}

#[test]
fn thinking_failures_and_images_are_read() {
    insta::assert_snapshot!(show_live(&session("v2.0.77-thinktool")), @r##"
    user "please do it @@thinktool"
    assistant thinks "I should run echo." signed true
    assistant "Running echo."
    assistant 01:Bash{"command":"echo thought","description":"Echo"}
    tool 01="thought"
    assistant thinks "It worked, finishing." signed true
    assistant "The echo printed `thought`."
    "##);
    insta::assert_snapshot!(show(&read(&session("bashfail"), "main").messages), @r##"
    user "please do it @@bashfail"
    assistant 01:Bash{"command":"echo out; echo err >&2; exit 3","description":"F
    tool 01="Exit code 3" failed Some(3)
    assistant "It failed with 3."
    "##);
    insta::assert_snapshot!(show(&read(&session("readpng"), "main").messages), @r##"
    user "please do it @@readpng"
    assistant 01:Read{"file_path":"/home/dev/work/readpng/pixel.png"}
    tool 01="" image Some("image/png")
    assistant "It is a pixel."
    "##);
}

#[test]
fn a_session_tells_about_itself_once() {
    let reading = read(&session("i_title"), "main");
    let facts: Vec<String> = reading
        .observations
        .iter()
        .filter(|o| !matches!(o, sessionfs::model::observation::Observation::Activity(_)))
        .map(|o| format!("{o:?}"))
        .collect();
    insta::assert_snapshot!(facts.join("\n"), @r##"
    Title(Generated, "Mock generated title")
    Project("/home/dev/work/i_title")
    Interface("cli")
    ToolVersion("2.1.330")
    Model("claude-opus-5-5")
    Title(Generated, "Mock generated title")
    "##);
}

#[test]
fn usage_is_counted_once_for_each_reply() {
    let reading = read(&session("multi"), "main");
    let mut by_key = std::collections::BTreeMap::new();
    for record in reading.usage {
        by_key.insert(record.key, record.usage.output_tokens);
    }
    assert_eq!(by_key.len(), 2);
    let on_messages: Vec<u64> = reading.messages.iter().filter_map(|m| m.usage).map(|u| u.output_tokens).collect();
    assert_eq!(on_messages, by_key.into_values().collect::<Vec<_>>());
}

#[test]
fn every_recorded_session_is_read_without_a_note_and_loses_nothing_live() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/claude");
    let mut count = 0;
    for case in std::fs::read_dir(cases).unwrap() {
        for source in sessions(case.unwrap().file_name().to_str().unwrap()) {
            for stream in source.streams().iter().filter(|s| s.format.has_lines()) {
                assert_eq!(read(&source, &stream.name).notes, Vec::<String>::new(), "{}", stream.name);
            }
            assert!(!live(&source).is_empty());
            count += 1;
        }
    }
    assert_eq!(count, 25 + 3);
}

#[test]
fn a_reader_goes_on_where_it_stopped() {
    let source = session("i_compact");
    let whole = read(&source, "main");
    let (mut state, mut out) = (None::<String>, Reading::default());
    source
        .for_each_line(source.newest("main").unwrap(), 0, &mut |line| {
            let mut reader = TOOL.reader("main", state.as_deref());
            reader.line(line, &mut out);
            state = Some(reader.state());
            Ok(std::ops::ControlFlow::Continue(()))
        })
        .unwrap();
    assert_eq!(format!("{out:?}"), format!("{whole:?}"));
    assert!(state.unwrap().len() < 4096);
}

#[test]
fn parents_name_messages() {
    for case in ["multi", "i_compact", "agent", "resume"] {
        for source in sessions(case) {
            let messages = read(&source, "main").messages;
            for message in &messages {
                let Some(parent) = &message.parent_id else { continue };
                assert!(messages.iter().any(|m| m.id == *parent), "{case}: {} has no parent {parent}", message.id);
            }
        }
    }
}

/// What the writer is told about a session of `tool`.
fn about(tool: &'static str) -> About {
    About {
        tool,
        native_id: "source".into(),
        cwd: Some("/home/dev/work/x".into()),
        title: Some("A title\nof two lines".into()),
        git_branch: Some("main".into()),
        created_at: "2026-11-20T10:00:00Z".parse().ok(),
        ..About::default()
    }
}

fn target() -> Target {
    Target {
        home: Home::at(Path::new("/home/dev"), Path::new("/home/dev/.sessionfs")),
        cwd: PathBuf::from("/home/dev/work/x"),
        native_id: Some(ID.into()),
        now: "2026-11-22T10:00:00Z".parse().unwrap(),
    }
}

fn write_as(tool: &'static str, conversation: Conversation<'_>) -> (Vec<u8>, Ledger) {
    let (writer, about, target, mut out) = (TOOL.writer().unwrap(), about(tool), target(), Vec::new());
    let plan = writer.plan(&about, &target).unwrap();
    let ledger = writer.write(&plan, &about, &target, conversation, &mut out).unwrap();
    (out, ledger)
}

fn foreign(messages: Vec<Message>) -> (Vec<u8>, Ledger) {
    let messages = Box::new(messages.into_iter().map(Ok));
    write_as("codex", Conversation { messages, left_out: vec![("messages", "undone", 2)] })
}

fn message(role: Role, content: Vec<Block>) -> Message {
    let mut message = Message::new("m", role);
    message.content = content;
    message
}

fn say(role: Role, text: &str) -> Message {
    message(role, vec![Block::Text(text.into())])
}

fn call(id: &str, name: &str, input: &str) -> Block {
    Block::ToolUse { id: id.into(), name: name.into(), input: serde_json::from_str(input).unwrap() }
}

fn result(id: &str, content: &str, is_error: bool) -> Block {
    Block::ToolResult { id: id.into(), content: content.into(), is_error, exit_code: None, duration_ms: None }
}

fn image(data: &str) -> Block {
    Block::Image(ImageSource { kind: ImageKind::Base64, data: data.into(), media_type: None })
}

fn show_ledger(ledger: &Ledger) -> String {
    let mut out = String::new();
    for (fate, entries) in [
        ("kept", &ledger.kept),
        ("mapped", &ledger.mapped),
        ("degraded", &ledger.degraded),
        ("dropped", &ledger.dropped),
    ] {
        for entry in entries {
            writeln!(out, "{fate}: {} {} {}", entry.count, entry.what, entry.detail).unwrap();
        }
    }
    out
}

const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

#[test]
fn a_foreign_session_gets_the_shape_that_the_client_accepts() {
    let (bytes, ledger) = foreign(hostile_conversation());
    let written = source(&bytes);
    insta::assert_snapshot!(show(&live(&written)), @r##"
    user* "[The beginning of this conversation is not in the session th"
    assistant "I begin"
    user "go"
    assistant "three" _1:Bash{"command":"cd '/elsewhere/a b' && ls"} -2:functions_read_file{"a": 1} -3:view_image{"input":[1]}
    tool _1="(no output)" -2="[An image stood here]" image Some("image/png") -3="broken" failed None
    user* "[The failed tool call returned with this:]" image Some("image/png")
    user* "what was"
    user "look" image Some("image/png")
    assistant en:t{}
    tool en="[No result: the session ended before this tool call returned" failed None
    user "again — grüße 👋"
    assistant n:t{} -2:t{} -2:t{} _3:t{}
    tool n="[No result: the session ended before this tool call returned" failed None -2="first" -2="third" _3="fourth"
    assistant -2:t{}
    tool -2="fifth"
    assistant "end"
    "##);
    insta::assert_snapshot!(show_ledger(&ledger), @r##"
    kept: 3 assistant messages 
    kept: 3 images 
    kept: 1 summaries 
    kept: 7 tool calls 
    kept: 7 tool results 
    kept: 3 user messages 
    mapped: 1 missing beginning a note in its place: a conversation has to begin with the person
    mapped: 1 tool calls exec_command as Bash
    mapped: 1 tool calls under a name that the API accepts
    degraded: 1 images a note in its place: not a PNG, JPEG, GIF or WebP inside the session
    degraded: 2 missing tool results a note in its place
    dropped: 1 harness texts the target's own harness writes its own
    dropped: 2 messages undone
    dropped: 1 other content Claude Code can't resume with them
    dropped: 1 thinking its signature is only valid with its maker
    dropped: 1 tool results their calls are missing
    dropped: 1 user messages blank: the API accepts no such text
    "##);
    check_rules(&bytes);
}

/// Everything that the client or the API would not take as it is.
fn hostile_conversation() -> Vec<Message> {
    let shell = r#"{"cmd":"ls","workdir":"/elsewhere/a b"}"#;
    vec![
        say(Role::Developer, "instructions"),
        say(Role::Assistant, "I begin"),
        say(Role::User, "  \n "),
        say(Role::User, "go"),
        message(
            Role::Assistant,
            vec![
                Block::Thinking { text: "hm".into(), signature: Some("s".into()), redacted: false, summary: None },
                Block::Text("three".into()),
                call("a.1", "exec_command", shell),
                call("a:1", "functions.read file", "{\"a\":\n1}"),
                call("a_1", "view_image", "[1]"),
            ],
        ),
        message(Role::Tool, vec![result("a_1", "broken", true), image(PNG)]),
        message(Role::Tool, vec![result("a:1", "", false), image(PNG), image("AAAA")]),
        message(Role::Tool, vec![result("a.1", " \n", false)]),
        message(Role::Tool, vec![result("nobody's", "x", false)]),
        message(Role::System, vec![Block::Summary { text: "what was".into(), through: None }]),
        message(Role::User, vec![Block::Text("look".into()), image(PNG)]),
        message(Role::Assistant, vec![Block::Other(wrap_input("x")), call("open", "t", "{}")]),
        say(Role::User, "again — grüße 👋"),
        message(
            Role::Assistant,
            vec![call("n", "t", "{}"), call("n", "t", "{}"), call("n_7", "t", "{}"), call("k_3", "t", "{}")],
        ),
        message(Role::Tool, vec![result("n", "first", false), result("n_7", "third", false)]),
        message(Role::Tool, vec![result("k_3", "fourth", false)]),
        message(Role::Assistant, vec![call("k", "t", "{}")]),
        message(Role::Tool, vec![result("k", "fifth", false)]),
        say(Role::Assistant, "end"),
    ]
}

/// The rules for a session file, checked on the written JSON itself.
fn check_rules(bytes: &[u8]) {
    let lines: Vec<serde_json::Value> =
        bytes.split_inclusive(|b| *b == b'\n').map(|line| serde_json::from_slice(line).unwrap()).collect();
    assert_eq!(lines[0]["type"], "summary");
    assert_eq!(lines[0]["summary"], "A title");
    let records: Vec<_> = lines.iter().filter(|line| line.get("uuid").is_some()).collect();
    let (mut parent, mut time, mut seen) = (serde_json::Value::Null, "", std::collections::HashSet::new());
    for record in &records {
        assert_eq!(record["parentUuid"], parent);
        parent = record["uuid"].clone();
        assert!(seen.insert(parent.to_string()), "uuids are unique");
        assert!(record["timestamp"].as_str().unwrap() > time, "time goes on");
        time = record["timestamp"].as_str().unwrap();
        assert_eq!((&record["sessionId"], &record["entrypoint"]), (&ID.into(), &"cli".into()));
    }
    assert_eq!(records[0]["type"], "user");
    assert_eq!(lines[0]["leafUuid"], parent);
    let tail = &lines[lines.len() - 2..];
    assert_eq!((&tail[0]["customTitle"], &tail[1]["leafUuid"]), (&"A title".into(), &parent));
    let mut open = Vec::new();
    for record in records {
        let Some(blocks) = record["message"]["content"].as_array() else {
            assert!(open.is_empty());
            assert!(!record["message"]["content"].as_str().unwrap().trim().is_empty());
            continue;
        };
        for block in blocks {
            match block["type"].as_str().unwrap() {
                "tool_use" => {
                    assert!(block["input"].is_object());
                    for word in [&block["id"], &block["name"]] {
                        assert!(
                            word.as_str().unwrap().bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
                        );
                    }
                    assert!(seen.insert(block["id"].to_string()), "call ids are unique");
                    open.push(block["id"].clone());
                }
                "tool_result" => {
                    assert_eq!(open.remove(0), block["tool_use_id"]);
                    assert!(!block["content"].as_str().is_some_and(|text| text.trim().is_empty()));
                    assert!(!(block.get("is_error").is_some() && block["content"].is_array()));
                }
                _ => {
                    let has_results = blocks[0]["type"] == "tool_result";
                    assert!(record["type"] == "assistant" || (open.is_empty() && !has_results), "results stand alone");
                }
            }
        }
    }
}

#[test]
fn what_is_written_is_read_back() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/claude");
    for case in std::fs::read_dir(cases).unwrap() {
        for source in sessions(case.unwrap().file_name().to_str().unwrap()) {
            for tool in ["claude-code", "codex"] {
                let (bytes, _) = write_as(tool, TOOL.conversation(&source).unwrap());
                check_rules(&bytes);
                let again = live(&self::source(&bytes));
                let original: Vec<Message> = live(&source).into_iter().filter(is_carried).collect();
                assert_eq!(essence(&again, tool), essence(&original, tool), "{}", source.native_id());
            }
        }
    }
}

fn is_carried(message: &Message) -> bool {
    !message.is_meta || message.metadata.contains_key("context")
}

/// Texts, and calls with their results in the order of the calls.
fn essence(messages: &[Message], tool: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut calls = Vec::new();
    for block in messages.iter().flat_map(|m| &m.content) {
        match block {
            Block::Text(text) | Block::Summary { text, .. } => out.push(text.clone()),
            Block::Thinking { text, signature, .. } if tool == "claude-code" => {
                out.push(format!("{text}{signature:?}"));
            }
            Block::ToolUse { id, name, input } => {
                calls.push(id);
                out.push(format!("{id} {name} {input}"));
            }
            Block::Image(image) => out.push(image.data.clone()),
            _ => {}
        }
    }
    for call in calls {
        let found = messages.iter().flat_map(|m| &m.content).find_map(|block| match block {
            Block::ToolResult { id, content, is_error, .. } if id == call => Some((content, is_error)),
            _ => None,
        });
        out.push(format!("{call} {found:?}"));
    }
    out
}

#[test]
fn a_folder_is_named_as_the_client_names_it() {
    assert_eq!(folder_of(Path::new("/home/dev/work/i_compact")), "-home-dev-work-i-compact");
    assert_eq!(folder_of(Path::new("/home/A b/.x/grüße/日本/👋")), "-home-A-b--x-gr--e------");
    let long = format!("/home/{}", "ab/".repeat(100));
    assert_eq!(folder_of(Path::new(&long[..200])).len(), 200);
    insta::assert_snapshot!(folder_of(Path::new(&long)), @r##"
    -home-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-piu9pb
    "##);
}

#[test]
fn files_are_placed() {
    let place = |path: &str, first: Option<&str>| {
        let first = first.map(|line| line.as_bytes().to_vec());
        match TOOL.place(Path::new(path), &mut || first.clone()) {
            Place::Session { native_id, stream, format } => format!("{} {stream} {}", &native_id[..4], format.as_str()),
            other => format!("{other:?}"),
        }
    };
    let upper = "ABCDEF00-2222-F333-8444-555555555555";
    assert_eq!(place(&format!("projects/-x/{ID}.jsonl"), None), "1111 main claude-code/jsonl");
    assert_eq!(place(&format!("projects/-x/{upper}.jsonl"), None), "ABCD main claude-code/jsonl");
    assert_eq!(
        place(&format!("projects/-x/{ID}/subagents/agent-1.jsonl"), None),
        "1111 subagents/agent-1.jsonl claude-code/jsonl"
    );
    assert_eq!(
        place(&format!("projects/-x/{ID}/subagents/agent-1.meta.json"), None),
        "1111 subagents/agent-1.meta.json file"
    );
    assert_eq!(place(&format!("projects/-x/{ID}/tool-results/b.txt"), None), "1111 tool-results/b.txt file");
    assert_eq!(place(&format!("projects/-x/{ID}/main"), None), "1111 files/main file");
    let first = format!(r#"{{"sessionId":"{ID}","type":"user"}}"#);
    assert_eq!(place("projects/-x/agent-7.jsonl", Some(&first)), "1111 agents/agent-7.jsonl claude-code/jsonl");
    assert_eq!(place("projects/-x/agent-7.jsonl", Some(&first[..20])), "NotYet");
    assert_eq!(place("projects/-x/agent-7.jsonl", None), "NotYet");
    for other in [
        "projects/-x/agent-7.jsonl",
        "projects/-x/memory/MEMORY.md",
        "projects/-x/notes.jsonl",
        "projects/x.jsonl",
        "history.jsonl",
        ".credentials.json",
        &format!("projects/-x/{ID}/a.key"),
        &format!("projects/-x/{ID}/A.KEY"),
        &format!("projects/-x/{ID}/../{ID}.jsonl"),
        &format!("projects/-x/{ID}.jsonl.tmp"),
        &format!("sessions/-x/{ID}.jsonl"),
    ] {
        assert_eq!(place(other, Some(r#"{"sessionId":"../../x"}"#)), "Other", "{other}");
    }
}

#[test]
fn hostile_lines_become_notes_and_never_cost_a_neighbour() {
    let good = |uuid: &str, text: &str| {
        format!(r#"{{"type":"user","uuid":"{uuid}","parentUuid":null,"message":{{"role":"user","content":"{text}"}}}}"#)
    };
    let deep =
        format!(r#"{{"type":"user","uuid":"d","message":{{"content":{}1{}}}}}"#, "[".repeat(9999), "]".repeat(9999));
    let lines: Vec<Vec<u8>> = vec![
        [b"\xef\xbb\xbf".as_slice(), good("a", "bom").as_bytes(), b"\r"].concat(),
        b"".to_vec(),
        b"\r".to_vec(),
        b"\x00\xff\xfe binary".to_vec(),
        good("b", "cut").as_bytes()[..40].to_vec(),
        deep.into_bytes(),
        br#"{"type":5,"uuid":[],"message":"no"}"#.to_vec(),
        br#"{"type":"user","uuid":{"x":1},"timestamp":7,"isMeta":"yes","message":{"content":[7,{"type":"text"},{"type":"new","x":1}]}}"#.to_vec(),
        br#"{"type":"assistant","uuid":"c","message":{"id":3,"usage":"x","content":[{"type":"tool_use","id":"t","name":"n","input":"free"},{"type":"tool_result","tool_use_id":"t","content":7}]}}"#.to_vec(),
        br#"{"type":"user","uuid":"e","message":{"content":"cut emoji \ud83d end"}}"#.to_vec(),
        [br#"{"type":"user","uuid":"f","message":{"content":"not "#.as_slice(), b"\xff", br#" utf-8"}}"#].concat(),
        b"[]".to_vec(),
        b"null".to_vec(),
        br#"{"type":"system","subtype":"compact_boundary","uuid":"g","compactMetadata":[1]}"#.to_vec(),
        good("h", "last").into_bytes(),
    ];
    let source = source(&lines.join(&b'\n'));
    let reading = read(&source, "main");
    insta::assert_snapshot!(show(&reading.messages), @r##"
    user "bom"
    user "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
    user "7" other {"type":"text"} other {"type":"new","x":1}
    assistant t:n{"input":"free"} t=""
    user "cut emoji ��� end"
    user "not � utf-8"
    user "last"
    "##);
    insta::assert_snapshot!(reading.notes.join("\n"), @r##"
    expected value at column 1 (10 bytes)
    EOF while parsing a value at column 40 (40 bytes)
    invalid type: null, expected struct Record at column 4 (4 bytes)
    "##);
    assert_eq!(live(&source).len(), 1);
}

#[test]
fn loops_and_missing_parents_end_and_lose_nothing() {
    let record = |uuid: &str, parent: &str| {
        format!(r#"{{"type":"user","uuid":"{uuid}","parentUuid":"{parent}","message":{{"content":"{uuid}"}}}}"#)
    };
    let texts =
        |lines: &[String]| live(&source(lines.join("\n").as_bytes())).iter().map(Message::text).collect::<Vec<_>>();
    assert_eq!(texts(&[record("a", "c"), record("b", "a"), record("c", "b")]), ["a", "b", "c"]);
    assert_eq!(texts(&[record("a", "a")]), ["a"]);
    assert_eq!(texts(&[record("a", "x"), record("b", "y"), record("c", "b")]), ["a", "b", "c"]);
}

#[test]
fn the_leaf_is_chosen_as_the_client_does() {
    let record = |uuid: &str, parent: &str| {
        format!(r#"{{"type":"user","uuid":"{uuid}","parentUuid":"{parent}","message":{{"content":"{uuid}"}}}}"#)
    };
    let root = r#"{"type":"user","uuid":"a","parentUuid":null,"message":{"content":"a"}}"#.to_owned();
    let leaf =
        |leaf: &str, explicit: bool| format!(r#"{{"type":"last-prompt","leafUuid":"{leaf}","explicit":{explicit}}}"#);
    let tree = [root, record("b", "a"), record("c", "b"), record("d", "a")];
    let texts = |last: &[String]| {
        let lines = [&tree, last].concat().join("\n");
        live(&source(lines.as_bytes())).iter().map(Message::text).collect::<Vec<_>>().concat()
    };
    assert_eq!(texts(&[]), "ad", "the last in file order");
    assert_eq!(texts(&[leaf("b", false)]), "abc", "the newest below the named one, however stale");
    assert_eq!(texts(&[leaf("b", true)]), "ab", "exactly the named one");
    assert_eq!(texts(&[leaf("b", false), leaf("00000000-0000-0000-0000-000000000000", true)]), "abc");
    assert_eq!(texts(&[leaf("unknown", true)]), "ad");
}

#[test]
fn what_the_harness_says_for_the_person_is_told_apart() {
    let texts = [
        ("plain", ""),
        ("<command-name>/model</command-name>", ""),
        ("[Request interrupted by user for tool use]", ""),
        ("<bash-input>ls</bash-input>", ""),
        ("<task-notification>done</task-notification>", ""),
        ("Follow these instructions of the command.", r#","isMeta":true"#),
        ("<system-reminder>x</system-reminder>", r#","isMeta":true"#),
    ];
    let mut lines: Vec<String> = texts
        .iter()
        .map(|(text, more)| format!(r#"{{"type":"user","uuid":"{text}","message":{{"content":"{text}"}}{more}}}"#))
        .collect();
    for attachment in [
        r#"{"type":"queued_command","prompt":"typed meanwhile","commandMode":"prompt"}"#,
        r#"{"type":"file","filename":"/x","content":{"type":"text","file":{"content":"of the file"}}}"#,
        r#"{"type":"date","content":"today"}"#,
    ] {
        lines.push(format!(r#"{{"type":"attachment","uuid":"z","attachment":{attachment}}}"#));
    }
    let messages = read(&source(lines.join("\n").as_bytes()), "main").messages;
    let shown: Vec<String> = messages
        .iter()
        .map(|m| format!("{} {:?}", show(std::slice::from_ref(m)).trim(), m.metadata.get("context")))
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r##"
    user "plain" None
    user* "<command-name>/model</command-name>" None
    user* "[Request interrupted by user for tool use]" None
    user* "<bash-input>ls</bash-input>" Some(String("shell"))
    user* "<task-notification>done</task-notification>" Some(String("task-notification"))
    user* "Follow these instructions of the command." Some(String("instructions"))
    user* "<system-reminder>x</system-reminder>" None
    user "typed meanwhile" None
    user* "Content of /x:" Some(String("file"))
    "##);
}

#[test]
fn each_compaction_cuts_at_its_summary() {
    let user = |uuid: &str, parent: &str, more: &str| {
        format!(r#"{{"type":"user","uuid":"{uuid}","parentUuid":{parent},"message":{{"content":"{uuid}"}}{more}}}"#)
    };
    let boundary = |uuid: &str, before: &str, kept: &str| {
        format!(
            r#"{{"type":"system","subtype":"compact_boundary","uuid":"{uuid}","parentUuid":null,"logicalParentUuid":"{before}","compactMetadata":{{"preservedMessages":{{"uuids":[{kept}]}}}}}}"#
        )
    };
    let summary = r#","isCompactSummary":true"#;
    let lines = [
        user("a", "null", ""),
        user("b", "\"a\"", ""),
        boundary("x", "b", ""),
        user("S1", "\"x\"", summary),
        user("c", "\"S1\"", ""),
        user("d", "\"c\"", ""),
        boundary("y", "d", "\"c\",\"d\""),
        user("S2", "\"y\"", summary),
        user("e", "\"S2\"", ""),
        r#"{"type":"assistant","uuid":"f","parentUuid":"e","isApiErrorMessage":true,"message":{"content":"503"}}"#
            .into(),
        user("g", "\"f\"", ""),
    ];
    insta::assert_snapshot!(show_live(&source(lines.join("\n").as_bytes())), @r##"
    system summary "S2" true
    user "c"
    user "d"
    user "e"
    user "g"
    left out: 3 messages, before a compaction, the summary stands for them
    left out: 1 messages, the client's reports of failed requests
    "##);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 48, failure_persistence: None, ..Default::default() })]

    /// Whatever happened to a file: reading it, walking it and writing it anew never panics.
    #[test]
    fn a_damaged_file_never_panics(
        damage in proptest::collection::vec((0usize..80_000, proptest::prelude::any::<u8>()), 1..200),
        cut in 0usize..80_000,
    ) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/claude/i_compact/.claude/projects");
        let file = walkdir::WalkDir::new(folder).into_iter().flatten().find(|e| e.file_type().is_file()).unwrap();
        let mut bytes = std::fs::read(file.path()).unwrap();
        for (at, byte) in damage {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        bytes.drain(..cut % bytes.len());
        let damaged = source(&bytes);
        read(&damaged, "main");
        if !live(&damaged).is_empty() {
            let (writer, about, target) = (TOOL.writer().unwrap(), about("claude-code"), target());
            let plan = writer.plan(&about, &target).unwrap();
            let _ = writer.write(&plan, &about, &target, TOOL.conversation(&damaged).unwrap(), &mut Vec::new());
        }
    }
}

#[test]
fn a_running_client_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::at(dir.path(), &dir.path().join(".sessionfs"));
    let sessions = dir.path().join(".claude/sessions");
    std::fs::create_dir_all(&sessions).unwrap();
    let writer = TOOL.writer().unwrap();
    assert!(!writer.is_open(&home, ID));
    std::fs::write(sessions.join("1.json"), "garbage").unwrap();
    std::fs::write(sessions.join("2.json"), format!(r#"{{"pid":{},"sessionId":"{ID}"}}"#, i32::MAX)).unwrap();
    assert!(!writer.is_open(&home, ID), "left behind by a client that was killed");
    std::fs::write(sessions.join("3.json"), format!(r#"{{"pid":{},"sessionId":"{ID}"}}"#, std::process::id())).unwrap();
    assert!(writer.is_open(&home, ID));
    let reused = format!(r#"{{"pid":{},"sessionId":"{ID}","procStart":"1"}}"#, std::process::id());
    std::fs::write(sessions.join("3.json"), reused).unwrap();
    assert_eq!(writer.is_open(&home, ID), cfg!(not(target_os = "linux")), "the number belongs to another process now");
    assert!(!writer.is_open(&home, "99999999-2222-4333-8444-555555555555"));
}

/// Writes every recorded session, as its own and as a foreign one, below the folder that `SFS_WRITE_TO` names, for
/// checks with a real client.
#[test]
#[ignore = "makes material for checks by hand"]
fn write_all_for_a_real_client() {
    let home = PathBuf::from(std::env::var("SFS_WRITE_TO").unwrap());
    let mut material: Vec<(String, &'static str, Vec<Message>)> =
        vec![("hostile".into(), "codex", hostile_conversation())];
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/claude");
    for case in std::fs::read_dir(cases).unwrap() {
        let case = case.unwrap().file_name().into_string().unwrap();
        for source in sessions(&case) {
            for tool in ["claude-code", "codex"] {
                material.push((format!("{case} as {tool}"), tool, live(&source)));
            }
        }
    }
    for (name, tool, messages) in material {
        let cwd = home.join("work");
        std::fs::create_dir_all(&cwd).unwrap();
        let target = Target { home: Home::at(&home, &home.join(".sessionfs")), cwd, native_id: None, ..target() };
        let plan = TOOL.writer().unwrap().plan(&about(tool), &target).unwrap();
        std::fs::create_dir_all(plan.file.parent().unwrap()).unwrap();
        let mut out = std::fs::File::create(&plan.file).unwrap();
        let conversation = Conversation { messages: Box::new(messages.into_iter().map(Ok)), left_out: Vec::new() };
        TOOL.writer().unwrap().write(&plan, &about(tool), &target, conversation, &mut out).unwrap();
        println!("{}\t{name}", plan.native_id);
    }
}
