//! Gemini CLI: recorded sessions of versions 0.24 and 0.61, read, captured and written back.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use crate::support::file_source::FileSource;
use crate::support::home::{TestHome, fixture};
use serde_json::{Value, json};
use sessionfs::home::Home;
use sessionfs::model::conversation::{About, Conversation};
use sessionfs::model::ledger::Ledger;
use sessionfs::model::message::{Block, ImageKind, ImageSource, Message, Role, raw};
use sessionfs::model::observation::Observation;
use sessionfs::tools::{Format, Line, Place, Plan, Reading, Source, Target, Tool, find};
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::Path;

fn gemini() -> &'static dyn Tool {
    find("gemini").unwrap()
}

fn session(case: &str) -> FileSource {
    let mut all = FileSource::all(gemini(), &fixture(&format!("gemini/{case}")));
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn jsonl(lines: &[&str]) -> FileSource {
    FileSource::of(gemini(), "s", "main", Format::GeminiJsonl, (lines.join("\n") + "\n").as_bytes())
}

/// Reads a stream in one go, or with a restart behind every line.
fn read(source: &dyn Source, stream: &str, restarts: bool) -> Reading {
    let info = source.newest(stream).unwrap();
    let (mut reader, mut out) = (gemini().reader(stream, None), Reading::default());
    source
        .for_each_line(info, 0, &mut |line| {
            reader.line(line, &mut out);
            if restarts {
                reader = gemini().reader(stream, Some(&reader.state()));
            }
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    out
}

fn log(source: &dyn Source) -> Vec<Message> {
    read(source, "main", false).messages
}

fn live(source: &dyn Source) -> Vec<Message> {
    gemini().conversation(source).unwrap().messages.map(|m| m.unwrap()).collect()
}

/// One line a block: the beginning of the message's id, who, marks, what.
fn show(messages: &[Message]) -> String {
    let mut out = String::new();
    for message in messages {
        for block in &message.content {
            let marks = [(message.is_meta, " meta"), (message.is_sidechain, " side")];
            let marks: String = marks.iter().filter(|(is, _)| *is).map(|(_, mark)| *mark).collect();
            let id = message.id.strip_suffix("_response").map(|id| format!("{}_response", &id[..4]));
            let id = id.unwrap_or_else(|| message.id.split('-').next().unwrap().chars().take(12).collect());
            writeln!(out, "{id} {}{marks}: {}", message.role.as_str(), show_block(block)).unwrap();
        }
    }
    out
}

fn show_block(block: &Block) -> String {
    let short = |text: &str| -> String {
        let line: String = text.chars().take(60).collect();
        format!("{line:?}")
    };
    match block {
        Block::Text(text) => short(text),
        Block::Thinking { text, .. } => format!("thinking {}", short(text)),
        Block::ToolUse { id, name, input } => format!("call {id} {name} {}", short(input.get())),
        Block::ToolResult { id, content, is_error, exit_code, .. } => {
            format!("result {id} {} error={is_error} exit={exit_code:?}", short(content))
        }
        Block::Image(source) => format!("image {:?} {} bytes", source.media_type, source.data.len()),
        Block::Summary { text, .. } => format!("summary {}", short(text)),
        Block::Other(raw) => format!("other {}", short(raw.get())),
    }
}

#[test]
fn gemini_log_of_tools() {
    let source = session("tools");
    insta::assert_snapshot!(show(&log(&source)), @r#"
    d04923d38bb0 user meta: "<session_context>\nThis is the Gemini CLI. We are setting up "
    2bb55979 user: "Use tools please"
    0ff0a351 assistant: thinking "**Looking around** I will list files."
    0ff0a351 assistant: "Let me look."
    main:6.0 assistant: call mockcall00001 run_shell_command "{\"command\":\"echo out; echo err >&2; ls\",\"description\":\"List "
    0ff0_response tool: result mockcall00001 "<untrusted_context>\nOutput: out\na.txt\nerr\nProcess Group PGID" error=false exit=None
    70297edb assistant: call mockcall00002 run_shell_command "{\"command\":\"exit 3\",\"description\":\"Failing command\"}"
    7029_response tool: result mockcall00002 "<untrusted_context>\nOutput: (empty)\nExit Code: 3\nProcess Gro" error=false exit=Some(3)
    ed88862a assistant: call mockcall00003 read_file "{\"file_path\":\"a.txt\"}"
    ed88862a assistant: call mockcall00004 read_file "{\"file_path\":\"missing.txt\"}"
    ed88_response tool: result mockcall00003 "hello a\nline two\n" error=false exit=None
    ed88_response tool: result mockcall00004 "File not found: /home/dev/work/tools/proj-tools/missing.txt" error=true exit=None
    86fd05ff assistant: call mockcall00005 write_file "{\"file_path\":\"new.txt\",\"content\":\"alpha\\nbeta\\n\"}"
    86fd_response tool: result mockcall00005 "Successfully created and wrote to new file: /home/dev/work/t" error=false exit=None
    4fb1efa8 assistant: call mockcall00006 replace "{\"file_path\":\"new.txt\",\"instruction\":\"change beta\",\"old_stri"
    4fb1_response tool: result mockcall00006 "Successfully modified file: /home/dev/work/tools/proj-tools/" error=false exit=None
    5650749b assistant: call mockcall00007 no_such_tool "{\"x\":1}"
    5650_response tool: result mockcall00007 "Tool \"no_such_tool\" not found. Did you mean one of: \"update_" error=true exit=None
    becbda84 assistant: call mockcall00008 read_file "{}"
    becb_response tool: result mockcall00008 "params must have required property 'file_path'" error=true exit=None
    1d69fa29 assistant: thinking "**Done** All finished."
    1d69fa29 assistant: "Everything is done."
    "#);
}

#[test]
fn gemini_log_of_the_others() {
    insta::assert_snapshot!(show(&log(&session("atfile"))), @r#"
    d04923d38bb0 user meta: "<session_context>\nThis is the Gemini CLI. We are setting up "
    79925f28 user: "Explain @a.txt please"
    79925f28 user: "\n--- Content from referenced files ---"
    79925f28 user: "\nContent from @a.txt:\n"
    79925f28 user: "hello a"
    79925f28 user: "\n--- End of content ---"
    1356675a assistant: "It says hello."
    "#);
    insta::assert_snapshot!(show(&log(&session("image"))), @r#"
    d04923d38bb0 user meta: "<session_context>\nThis is the Gemini CLI. We are setting up "
    1cb52e34 user: "Describe @pic.png please"
    1cb52e34 user: "\n--- Content from referenced files ---"
    1cb52e34 user: image Some("image/png") 620 bytes
    1cb52e34 user: "\n--- End of content ---"
    bed8474a assistant: "A tiny gradient."
    3f0b4f05 user: "which colour?"
    20ad8346 assistant: "blue-ish"
    "#);
    insta::assert_snapshot!(show(&log(&session("git_unicode"))), @r#"
    d04923d38bb0 user meta: "<session_context>\nThis is the Gemini CLI. We are setting up "
    409f4983 user: "Привет 👋 — write 日本語.txt\nsecond line \u{2028} sep"
    6b6ff8b5 assistant: "Пишу файл ✅"
    main:6.0 assistant: call mockcall00001 write_file "{\"file_path\":\"日本語.txt\",\"content\":\"こんにちは\\n\"}"
    6b6f_response tool: result mockcall00001 "Successfully created and wrote to new file: /home/dev/work/g" error=false exit=None
    b5aefbbe assistant: "Готово 🎉  zero-width"
    "#);
    insta::assert_snapshot!(show(&log(&session("simple"))), @r#"
    d04923d38bb0 user meta: "<session_context>\nThis is the Gemini CLI. We are setting up "
    44b544e8 user: "Say hello to the lab"
    a4e6d6c2 assistant: "Hello there, lab!"
    "#);
}

#[test]
fn gemini_log_keeps_what_was_rewound() {
    let source = session("interactive_rewind");
    insta::assert_snapshot!(show(&log(&source)), @r#"
    d04923d38bb0 user meta: "<session_context>\nThis is the Gemini CLI. We are setting up "
    f40a5823 user: "first question here"
    bc3b4e2b assistant: "ANSWER-ONE ok."
    80d205b2 user: "second question here"
    bc835cd6 assistant: "ANSWER-TWO ok."
    37e3adac user: "third question"
    94979b70 assistant: "ANSWER-THREE ok."
    "#);
    insta::assert_snapshot!(show(&live(&source)), @r#"
    f40a5823 user: "first question here"
    bc3b4e2b assistant: "ANSWER-ONE ok."
    37e3adac user: "third question"
    94979b70 assistant: "ANSWER-THREE ok."
    "#);
}

#[test]
fn gemini_compression_leaves_its_summary() {
    let source = session("interactive_compress");
    insta::assert_snapshot!(show(&log(&source)), @r#"
    d04923d38bb0 user meta: "<session_context>\nThis is the Gemini CLI. We are setting up "
    66b7eb01 user: "first question here"
    d43896a1 assistant: "hotel4969 delta6489 papa2539 charlie1089 alpha6579 romeo4741"
    b76f22d1 user: "second question here"
    08f52d06 assistant: "quebec3432 lima9407 mike4476 alpha5432 mike3574 mike4917 ech"
    b287bed5 system: summary "<state_snapshot>MOCK SNAPSHOT</state_snapshot>"
    0dc96ffc assistant: "Got it. Thanks for the additional context!"
    9e9008fc user: "third question"
    af2468d3 assistant: "ANSWER-THREE ok."
    "#);
    insta::assert_snapshot!(show(&live(&source)), @r#"
    d04923d38bb0 user meta: "<session_context>\nThis is the Gemini CLI. We are setting up "
    b287bed5 system: summary "<state_snapshot>MOCK SNAPSHOT</state_snapshot>"
    0dc96ffc assistant: "Got it. Thanks for the additional context!"
    9e9008fc user: "third question"
    af2468d3 assistant: "ANSWER-THREE ok."
    "#);
}

#[test]
fn gemini_resumes_tell_nothing_twice() {
    let source = session("resumed");
    insta::assert_snapshot!(show(&log(&source)), @r#"
    d04923d38bb0 user meta: "<session_context>\nThis is the Gemini CLI. We are setting up "
    356831f5 user: "First question with a tool"
    67d6b44c assistant: "Look."
    main:6.0 assistant: call mockcall00001 read_file "{\"file_path\":\"a.txt\"}"
    67d6_response tool: result mockcall00001 "AA\n" error=false exit=None
    5c631ff6 assistant: "First answer."
    9a13726e user: "second question"
    e381696d user: "third question"
    "#);
    insta::assert_snapshot!(show(&live(&source)), @r#"
    d04923d38bb0 user meta: "<session_context>\nThis is the Gemini CLI. We are setting up "
    356831f5 user: "First question with a tool"
    67d6b44c assistant: "Look."
    67d6b44c assistant: call mockcall00001 read_file "{\"file_path\":\"a.txt\"}"
    67d6_response tool: result mockcall00001 "AA\n" error=false exit=None
    5c631ff6 assistant: "First answer."
    "#);
}

#[test]
fn gemini_sub_agent_is_a_stream_of_its_parent() {
    let source = session("subagent");
    let names: Vec<&str> = source.streams().iter().map(|s| s.name.as_str()).collect();
    insta::assert_snapshot!(names.join(" "), @"subagents/37dc644f-5d4b-4911-bcae-6a6600c9a3af main");
    insta::assert_snapshot!(show(&read(&source, names[0], false).messages), @r#"
    2bc3ff0f user side: "Your task is to do a deep investigation of the codebase to f"
    5f12606a assistant side: call mockcall00002 read_file "{\"file_path\":\"a.txt\"}"
    5f12_response tool side: result mockcall00002 "AA\n" error=false exit=None
    e9ff1032 assistant side: call mockcall00003 complete_task "{\"report\":{\"SummaryOfFindings\":\"found\",\"ExplorationTrace\":[\""
    e9ff_response tool side: result mockcall00003 "Output submitted and task completed." error=false exit=None
    "#);
    insta::assert_snapshot!(show(&live(&source)), @r#"
    d04923d38bb0 user meta: "<session_context>\nThis is the Gemini CLI. We are setting up "
    751076d4 user: "Investigate using a subagent"
    42dfec2d assistant: call mockcall00001 invoke_agent "{\"agent_name\":\"codebase_investigator\",\"prompt\":\"Find things "
    42df_response tool: result mockcall00001 "Subagent 'codebase_investigator' finished.\nTermination Reaso" error=false exit=None
    3fedb7d1 assistant: "The subagent finished."
    "#);
    insta::assert_snapshot!(format!("{:?}", gemini().conversation(&source).unwrap().left_out), @r#"[("messages", "taken back, or replaced by the summary of a compression", 1), ("sub-agent transcripts", "the main conversation has their results only", 1)]"#);
}

#[test]
fn gemini_document_of_0_24() {
    let source = session("v0.24_tools");
    insta::assert_snapshot!(show(&log(&source)), @r#"
    e4f1eafe user: "First question with a tool"
    73ff1d3a assistant: thinking "**Looking** I look."
    73ff1d3a assistant: "Look."
    73ff1d3a assistant: call mockcall00001 read_file "{\n            \"file_path\": \"a.txt\"\n          }"
    73ff1d3a assistant: call mockcall00002 run_shell_command "{\n            \"command\": \"exit 3\"\n          }"
    73ff1d3a assistant: call mockcall00003 write_file "{\n            \"file_path\": \"n.txt\",\n            \"content\": \""
    73ff_response tool: result mockcall00001 "AA\n" error=false exit=None
    73ff_response tool: result mockcall00002 "Command: exit 3\nDirectory: (root)\nOutput: (empty)\nError: (no" error=false exit=Some(3)
    73ff_response tool: result mockcall00003 "Successfully created and wrote to new file: /home/dev/work/v" error=false exit=None
    7eb94ccd assistant: "First answer."
    69996405 user: "second question"
    3d2355f2 assistant: "Second answer."
    "#);
    assert_eq!(show(&live(&source)), show(&log(&source)));
}
