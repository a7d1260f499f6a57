//! Claude Code: recorded sessions of five versions of the real client, read, walked, written and read again.

use crate::support::file_source::FileSource;
use sessionfs::home::Home;
use sessionfs::model::conversation::{About, Conversation};
use sessionfs::model::ledger::Ledger;
use sessionfs::model::message::{Block, ImageKind, ImageSource, Message, Role, wrap_input};
use sessionfs::tools::claude_code::{ClaudeCode, folder_of};
use sessionfs::tools::{Format, Line, Place, Reading, Source, Target, Tool};
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
                    write!(out, " {}:{name}{}", &id[id.len() - 2..], short(input.get()))
                }
                Block::ToolResult { id, content, is_error, exit_code, .. } => {
                    let failed = if *is_error { format!(" failed {exit_code:?}") } else { String::new() };
                    write!(out, " {}={:?}{failed}", &id[id.len() - 2..], short(content))
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
    left out: 5 messages, of a sub-agent
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
