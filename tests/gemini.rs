//! Gemini CLI: recorded sessions of versions 0.24 and 0.61, read, captured and written back.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use crate::clients::{Client, Piece, Reply, go_on, ready};
use crate::support::file_source::FileSource;
use crate::support::home::{TestHome, fixture};
use serde_json::{Value, json};
use sessionfs::home::Home;
use sessionfs::model::conversation::{About, Conversation};
use sessionfs::model::ledger::Ledger;
use sessionfs::model::message::{Block, ImageKind, ImageSource, Message, Role, raw};
use sessionfs::model::observation::Observation;
use sessionfs::tools::{Format, Place, Plan, Reading, Source, Target, Tool, find};
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
            let id = message
                .id
                .strip_suffix("_response")
                .map(|id| format!("{}_response", id.chars().take(4).collect::<String>()));
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
    73ff1d3a assistant: call mockcall00001 read_file "{\"file_path\": \"a.txt\"}"
    73ff1d3a assistant: call mockcall00002 run_shell_command "{\"command\": \"exit 3\"}"
    73ff1d3a assistant: call mockcall00003 write_file "{\"file_path\": \"n.txt\",\"content\": \"x\\n\"}"
    73ff_response tool: result mockcall00001 "AA\n" error=false exit=None
    73ff_response tool: result mockcall00002 "Command: exit 3\nDirectory: (root)\nOutput: (empty)\nError: (no" error=false exit=Some(3)
    73ff_response tool: result mockcall00003 "Successfully created and wrote to new file: /home/dev/work/v" error=false exit=None
    7eb94ccd assistant: "First answer."
    69996405 user: "second question"
    3d2355f2 assistant: "Second answer."
    "#);
    assert_eq!(show(&live(&source)), show(&log(&source)));
}

#[test]
fn gemini_reading_goes_on_after_a_restart_at_any_line() {
    for case in ["tools", "resumed", "interactive_compress", "interactive_rewind", "subagent", "image"] {
        let source = session(case);
        let (whole, pieces) = (read(&source, "main", false), read(&source, "main", true));
        assert_eq!(whole.notes, Vec::<String>::new());
        assert_eq!(format!("{whole:?}"), format!("{pieces:?}"), "{case}");
    }
}

#[test]
fn gemini_tokens_are_counted_once() {
    let log = read(&session("tools"), "main", false);
    let keys: std::collections::BTreeSet<&str> = log.usage.iter().map(|u| u.key.as_str()).collect();
    assert_eq!(keys.len(), 8);
    assert!(keys.contains("gemini:c88a3300-696c-47fe-83cf-12bc418ac551:0ff0a351-970f-4826-8ba3-eb348f443ed3"));
    // 160 with 7 from the cache; 72 and 11 of thinking.
    insta::assert_snapshot!(format!("{:?}", log.usage[0].usage), @"Usage { input_tokens: 153, output_tokens: 83, cache_read_tokens: 7, cache_write_tokens: 0, reasoning_tokens: 11 }");
    let of_messages: u64 = log.messages.iter().filter_map(|m| m.usage).map(|u| u.output_tokens).sum();
    let mut by_key = std::collections::BTreeMap::new();
    by_key.extend(log.usage.iter().map(|u| (&u.key, u.usage.output_tokens)));
    assert_eq!(of_messages, by_key.values().sum::<u64>());
    let others = log.observations.iter().filter(|o| !matches!(o, Observation::Activity(_)));
    insta::assert_snapshot!(format!("{:?}", others.collect::<Vec<_>>()), @r#"[Model("gemini-3.8-flash")]"#);
}

const HEAD: &str = r#"{"sessionId":"s","projectHash":"x","startTime":"2026-11-22T08:00:00.000Z","kind":"main"}"#;

#[test]
fn gemini_prompts_behind_the_environment_are_prompts() {
    let source = jsonl(&[
        HEAD,
        r#"{"id":"1","type":"user","content":[{"text":"<session_context>\nx</session_context>"},{"text":"real"}]}"#,
        r#"{"id":"2","type":"gemini","content":"yes"}"#,
        r#"{"id":"3","type":"user","content":"/etc/hosts is wrong"}"#,
        r#"{"id":"4","type":"error","content":"quota"}"#,
        r#"{"id":"5","type":"user","content":{"text":"one part"}}"#,
    ]);
    insta::assert_snapshot!(show(&log(&source)), @r#"
    main:1.0 user meta: "<session_context>\nx</session_context>"
    1 user: "real"
    2 assistant: "yes"
    3 user: "/etc/hosts is wrong"
    4 system meta: "quota"
    5 user: "one part"
    "#);
    insta::assert_snapshot!(show(&live(&source)), @r#"
    main:1.0 user meta: "<session_context>\nx</session_context>"
    1 user: "real"
    2 assistant: "yes"
    3 user: "/etc/hosts is wrong"
    5 user: "one part"
    "#);
}

#[test]
fn gemini_steers_its_list() {
    let said = |id: &str, text: &str| format!(r#"{{"id":"{id}","type":"user","content":"{text}"}}"#);
    let list = |lines: &[String]| {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let shown: Vec<String> = live(&jsonl(&lines)).iter().map(Message::text).collect();
        shown.join(" ")
    };
    let (a, b, c) = (said("a", "a"), said("b", "b"), said("c", "c"));
    assert_eq!(list(&[a.clone(), b.clone(), said("a", "A")]), "A b");
    assert_eq!(list(&[a.clone(), b.clone(), r#"{"$rewindTo":"b"}"#.into(), c.clone()]), "a c");
    assert_eq!(list(&[a.clone(), b.clone(), r#"{"$rewindTo":"nowhere"}"#.into(), c.clone()]), "c");
    assert_eq!(list(&[a.clone(), b.clone(), format!(r#"{{"$set":{{"messages":[{c},{b}]}}}}"#)]), "c b");
    assert_eq!(list(&[a.clone(), b.clone(), r#"{"$set":{"summary":"t"}}"#.into()]), "a b");
    // The metadata may come last, and may hold the list.
    assert_eq!(list(&[a.clone(), HEAD.replace('}', &format!(",\"messages\":[{b}]}}"))]), "b");
    assert_eq!(list(&[format!("\u{feff}{HEAD}"), a, b, c]), "a b c");
}

#[test]
fn gemini_pictures_and_files() {
    let image = r#"{"inlineData":{"mimeType":"image/png","data":"iVBORw0KGgo="}}"#;
    let file = r#"{"inlineData":{"mimeType":"application/pdf","data":"JVBERi0="}}"#;
    let source = jsonl(&[
        HEAD,
        &format!(r#"{{"id":"1","type":"user","content":[{{"text":"look"}},{image},{file}]}}"#),
        r#"{"id":"2","type":"gemini","content":[{"text":"hm","thought":true},{"functionCall":{"id":"c","name":"t","args":{}}},{"functionCall":{"id":"d","name":"t"}}]}"#,
        &format!(
            r#"{{"id":"3","type":"user","content":[{{"functionResponse":{{"id":"c","name":"t","response":{{"output":"seen"}},"parts":[{image}]}}}},{{"functionResponse":{{"id":"d","name":"t","response":{{"a":[1,  2]}}}}}},{image}]}}"#
        ),
    ]);
    insta::assert_snapshot!(show(&live(&source)), @r#"
    1 user: "look"
    1 user: image Some("image/png") 12 bytes
    1 user: other "{\"type\":\"gemini_part\",\"gemini_part\":{\"inlineData\":{\"mimeType"
    2 assistant: thinking "hm"
    2 assistant: call c t "{}"
    2 assistant: call d t "{}"
    3 tool: result c "seen" error=false exit=None
    3 tool: image Some("image/png") 12 bytes
    3 tool: result d "{\"a\":[1,  2]}" error=false exit=None
    3 tool: image Some("image/png") 12 bytes
    "#);
    let written = Written::of(&source, "gemini");
    assert_eq!(show_without_ids(&written.read_back()), show_without_ids(&live(&source)));
}

#[test]
fn gemini_hostile_lines() {
    let deep = format!(r#"{{"id":"deep","type":"user","content":{}{}}}"#, "[".repeat(5000), "]".repeat(5000));
    let mut lines: Vec<&str> = vec![
        HEAD,
        "",
        "{\"id\":",
        "[1,2]",
        "null",
        r#"{"id":7,"type":"user","content":"no id"}"#,
        r#"{"id":"n","type":"user"}"#,
        r#"{"id":"o","type":"user","content":7}"#,
        r#"{"id":"p","type":"gemini","content":"lone \ud83d surrogate","tokens":{"input":-5,"output":"x","cached":1e300},"toolCalls":[7,{"id":null,"name":"t","args":"text","result":"done"}],"thoughts":"x"}"#,
        r#"{"$set":{"messages":[null,7,{"id":"q","type":"user","content":["text",{"text":7},{"functionResponse":7},{"functionResponse":{}}]}]}}"#,
        r#"{"$set":7}"#,
        r#"{"unknown":"record"}"#,
        &deep,
        r#"{"id":"z","type":"user","content":"still read"}"#,
    ];
    lines.push("\r");
    let mut bytes = lines.join("\n").into_bytes();
    bytes.extend(b"\n{\"id\":\"y\",\"type\":\"user\",\"content\":\"byte \xff\"}\n{\"id\":\"cut\",\"ty");
    let source = FileSource::of(gemini(), "s", "main", Format::GeminiJsonl, &bytes);
    let log = read(&source, "main", false);
    insta::assert_snapshot!(log.notes.join("\n"), @"
    EOF while parsing a value at column 6 (6 bytes)
    not a JSON object (5 bytes)
    not a JSON object (4 bytes)
    EOF while parsing a string at column 15 (15 bytes)
    ");
    insta::assert_snapshot!(show(&log.messages), @r#"
    o user: other "{\"type\":\"gemini_part\",\"gemini_part\":7}"
    p assistant: "lone ��� surrogate"
    p assistant: call t t "{\"input\":\"text\"}"
    p_response tool: result t "done" error=false exit=None
    main:9.2.0 tool: result  "" error=false exit=None
    q user: "text"
    q user: other "{\"type\":\"gemini_part\",\"gemini_part\":{\"text\":7}}"
    q user: other "{\"type\":\"gemini_part\",\"gemini_part\":{\"functionResponse\":7}}"
    deep user: other "{\"type\":\"gemini_part\",\"gemini_part\":[[[[[[[[[[[[[[[[[[[[[[[["
    z user: "still read"
    y user: "byte ?"
    "#);
    assert_eq!(live(&source).last().unwrap().text(), "byte ?");
}

/// Every recorded line cut short, with a byte changed, and with its values replaced by ones of other types.
#[test]
fn gemini_damaged_files_do_no_harm() {
    for case in std::fs::read_dir(fixture("gemini")).unwrap() {
        let source = session(case.unwrap().file_name().to_str().unwrap());
        let info = source.newest("main").unwrap();
        let whole = source.bytes(info, 0, info.length).unwrap();
        for step in [1, 7, 23] {
            let mut damaged = Vec::new();
            for (n, line) in whole.split(|b| *b == b'\n').enumerate() {
                let text = String::from_utf8_lossy(line);
                damaged.extend(&line[..line.len() * (n % 5) / 4]);
                damaged.push(b'\n');
                let mut changed = line.to_vec();
                for at in (n % 17..changed.len()).step_by(step * 31) {
                    changed[at] = changed[at].wrapping_add(step as u8);
                }
                damaged.extend(changed);
                damaged.push(b'\n');
                damaged.extend(text.replace("\":\"", "\":[\"").replace("\",\"", "\"],\"").as_bytes());
                damaged.push(b'\n');
                damaged.extend(text.replace(":{", ":[{").replace("},\"", "}],\"").replace("null", "7").as_bytes());
                damaged.push(b'\n');
            }
            let damaged = FileSource::of(gemini(), "s", "main", info.format, &damaged);
            read(&damaged, "main", true);
            live(&damaged);
        }
    }
}

#[test]
fn gemini_files_are_placed_by_the_id_inside() {
    let place = |path: &str, head: &str| gemini().place(Path::new(path), &mut || Some(head.into()));
    let said = &format!("{HEAD}\n{{\"id\":\"1\",\"type\":\"user\",\"content\":\"x\"}}\n");
    let session =
        |id: &str, stream: &str, format| Place::Session { native_id: id.into(), stream: stream.into(), format };
    let main = |id: &str, format| session(id, "main", format);
    let chats = "tmp/proj/chats";
    assert_eq!(place(&format!("{chats}/session-x-12345678.jsonl"), said), main("s", Format::GeminiJsonl));
    assert_eq!(
        place(&format!("{chats}/session-x.jsonl"), &format!("\u{feff}{{\"id\":\"1\",\"type\":\"user\"}}\n{HEAD}")),
        main("s", Format::GeminiJsonl)
    );
    // A document need not be whole, nor begin with the id.
    let document = "{\n \"messages\": [{\"sessionId\": \"no\"}],\n \"sessionId\": \"yes\",\n \"summ";
    assert_eq!(place("tmp/0a1b/chats/session-x.json", document), main("yes", Format::GeminiJson));
    let agent = format!("{chats}/83d21bec-5066-464a-a272-f513c8c8011c/agent-1.jsonl");
    let parent = "83d21bec-5066-464a-a272-f513c8c8011c";
    assert_eq!(place(&agent, ""), session(parent, "subagents/agent-1", Format::GeminiJsonl));
    assert_eq!(
        place("tmp/proj/tool-outputs/session-s/call.txt", ""),
        session("s", "tool-outputs/call.txt", Format::File)
    );
    assert_eq!(place(&format!("tmp/proj/{parent}/plans/a/b.md"), ""), session(parent, "plans/a/b.md", Format::File));
    assert_eq!(place("tmp/proj/checkpoint-a%20b.json", ""), main("checkpoint-proj--a%20b", Format::GeminiJson));
    // What a resume leaves behind: nobody says anything in it.
    let silent = format!(
        "{HEAD}\n{{\"$set\":{{\"messages\":[{{\"id\":\"1\",\"type\":\"user\",\"content\":\"<session_context>\"}}]}}}}\n"
    );
    for not_yet in [HEAD, &silent, "", "{", "{\"$set\":{}}", r#"{"sessionId":"../../etc"}"#] {
        assert_eq!(place(&format!("{chats}/session-x.jsonl"), not_yet), Place::NotYet, "{not_yet}");
    }
    for other in [
        "tmp/proj/logs.json",
        "tmp/proj/.project_root",
        "tmp/proj/chats/.sessionfs-x.tmp",
        "tmp/proj/chats/x.jsonl",
        "tmp/proj/chats/session-x.jsonl.tmp-1",
        "tmp/proj/shell_history",
        "oauth_creds.json",
        "tmp/proj/chats/../x.jsonl",
    ] {
        assert_eq!(place(other, HEAD), Place::Other, "{other}");
    }
}

/// A home in a temporary folder and what is written there.
struct Written {
    home: tempfile::TempDir,
    plan: Plan,
    ledger: Ledger,
    target: Target,
}

impl Written {
    fn of(source: &dyn Source, tool: &'static str) -> Written {
        Written::conversation(gemini().conversation(source).unwrap(), tool)
    }

    fn conversation(conversation: Conversation<'_>, tool: &'static str) -> Written {
        let home = tempfile::tempdir().unwrap();
        let target = Target {
            home: Home::at(home.path(), &home.path().join(".sessionfs")),
            cwd: "/home/dev/work/My Project".into(),
            native_id: None,
            now: "2026-11-22T12:00:00Z".parse().unwrap(),
        };
        let about =
            About { tool, native_id: "old".into(), title: Some("Заголовок\nmore".into()), ..About::default() };
        let writer = gemini().writer().unwrap();
        let plan = writer.plan(&about, &target).unwrap();
        std::fs::create_dir_all(plan.file.parent().unwrap()).unwrap();
        let mut file = std::fs::File::create(&plan.file).unwrap();
        let ledger = writer.write(&plan, &about, &target, conversation, &mut file).unwrap();
        assert_eq!(writer.register(&plan, &about, &target).unwrap(), None);
        Written { home, plan, ledger, target }
    }

    fn source(&self) -> FileSource {
        FileSource::all(gemini(), self.home.path()).remove(0)
    }

    fn read_back(&self) -> Vec<Message> {
        assert_eq!(show(&log(&self.source())), show(&live(&self.source())));
        live(&self.source())
    }

    fn records(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.plan.file).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn show_without_ids(messages: &[Message]) -> String {
    let shown = show(messages);
    shown.lines().filter(|line| !line.contains(" meta: ")).fold(String::new(), |mut all, line| {
        writeln!(all, "{}", line.split_once(' ').unwrap().1).unwrap();
        all
    })
}

#[test]
fn gemini_writes_what_it_read() {
    for case in ["tools", "image", "interactive_compress", "interactive_rewind", "resumed", "subagent", "v0.24_tools"] {
        let source = session(case);
        let written = Written::of(&source, "gemini");
        // The summary is written as the person's message, which it is to the client too.
        let one_line = |text: &str| text.replace("\\n", "").replace("  ", "");
        assert_eq!(
            one_line(&show_without_ids(&written.read_back())),
            one_line(&show_without_ids(&live(&source))),
            "{case}"
        );
    }
}

#[test]
fn gemini_file_survives_the_client() {
    let written = Written::of(&session("tools"), "gemini");
    let (id, name) = (&written.plan.native_id, written.plan.file.file_name().unwrap().to_str().unwrap().to_owned());
    let ending = name.strip_prefix("session-2026-11-22T12-00-").unwrap().strip_suffix(".jsonl").unwrap();
    assert_eq!(ending.len(), 8);
    assert_ne!(ending, &id[..8]);
    assert_eq!(written.plan.command, ["gemini", "--resume", id]);
    let folder = written.home.path().join(".gemini/tmp/my-project");
    assert_eq!(std::fs::read_to_string(folder.join(".project_root")).unwrap(), "/home/dev/work/My Project");
    let records = written.records();
    let head = json!({"sessionId": id, "kind": "main", "summary": "Заголовок", "startTime": "2026-11-22T12:00:00.000Z",
        "projectHash": records[0]["projectHash"], "lastUpdated": "2026-11-22T12:00:00.000Z"});
    assert_eq!(records[0], head);
    for record in &records[1..] {
        let calls: Vec<&Value> =
            record["content"].as_array().unwrap().iter().filter_map(|p| p.get("functionCall")).collect();
        let shown = record["toolCalls"].as_array().cloned().unwrap_or_default();
        assert_eq!(calls.len(), shown.len());
        for (call, shown) in calls.iter().zip(shown) {
            assert_eq!(shown["id"], format!("{}~ui", call["id"].as_str().unwrap()));
            assert!(shown.get("result").is_none());
        }
    }
    insta::assert_snapshot!(serde_json::to_string(&written.ledger).unwrap(), @r#"{"kept":[{"what":"assistant messages","count":2,"detail":""},{"what":"tool calls","count":8,"detail":""},{"what":"tool results","count":8,"detail":""},{"what":"user messages","count":1,"detail":""}],"mapped":[],"degraded":[{"what":"thinking","count":2,"detail":"shown but not sent to the model"}],"dropped":[{"what":"harness texts","count":1,"detail":"the target writes its own"}]}"#);
}

#[test]
fn gemini_writes_foreign_sessions() {
    let prompt = |role: Role, blocks: Vec<Block>| {
        let mut message = Message::new(uuid::Uuid::new_v4().to_string(), role);
        message.content = blocks;
        Ok(message)
    };
    let call =
        |id: &str, name: &str, input: Value| Block::ToolUse { id: id.into(), name: name.into(), input: raw(&input) };
    let result = |id: &str, content: &str, is_error: bool| Block::ToolResult {
        id: id.into(),
        content: content.into(),
        is_error,
        exit_code: None,
        duration_ms: None,
    };
    let image = |media_type: &str| {
        let data = "iVBORw0KGgo=".into();
        Block::Image(ImageSource { kind: ImageKind::Base64, data, media_type: Some(media_type.into()) })
    };
    let thinking =
        Block::Thinking { text: "**Plan** go".into(), signature: Some("sig".into()), redacted: false, summary: None };
    let messages = vec![
        prompt(Role::User, vec![Block::Text("/help is odd".into()), image("image/png"), image("image/bmp")]),
        prompt(
            Role::Assistant,
            vec![
                thinking,
                Block::Text(String::new()),
                call("a", "Bash", json!({"command": "ls"})),
                call("b", "exec_command", json!({"cmd": "ls", "workdir": "/elsewhere"})),
                call("c", "7 odd/names", json!({"big": 12_345_678_901_234_567_890_u64, "a": 1})),
                call("d", "Read", json!({})),
            ],
        ),
        prompt(
            Role::Tool,
            vec![result("a", "out", false), image("image/png"), result("b", "bad", true), result("c", "", false)],
        ),
        prompt(Role::Tool, vec![result("nobody", "?", false)]),
        prompt(Role::System, vec![Block::Summary { text: "so far".into(), through: None }]),
        prompt(Role::Assistant, vec![call("z", "Bash", json!({"command": "last"}))]),
    ];
    let conversation = Conversation { messages: Box::new(messages.into_iter()), left_out: vec![("x", "y", 2)] };
    let written = Written::conversation(conversation, "codex");
    insta::assert_snapshot!(show_without_ids(&written.read_back()), @r#"
    user: "/help is odd"
    user: image Some("image/png") 12 bytes
    user: "[An image stood here: image/bmp]"
    assistant: thinking "**Plan** go"
    assistant: call a run_shell_command "{\"command\":\"ls\"}"
    assistant: call b run_shell_command "{\"command\":\"ls\",\"dir_path\":\"/elsewhere\"}"
    assistant: call c _7_odd_names "{\"a\":1,\"big\":12345678901234567890}"
    assistant: call d Read "{}"
    tool: result a "out" error=false exit=None
    tool: image Some("image/png") 12 bytes
    tool: result b "bad" error=true exit=None
    tool: result c "" error=false exit=None
    tool: result d "[No result: the session ended before this tool call returned" error=true exit=None
    user: "so far"
    assistant: call z run_shell_command "{\"command\":\"last\"}"
    tool: result z "[No result: the session ended before this tool call returned" error=true exit=None
    "#);
    insta::assert_snapshot!(serde_json::to_string(&written.ledger).unwrap().replace("},", "},\n"), @r#"
    {"kept":[{"what":"images","count":2,"detail":""},
    {"what":"tool calls","count":1,"detail":""},
    {"what":"tool results","count":3,"detail":""}],"mapped":[{"what":"summaries","count":1,"detail":"as a user message"},
    {"what":"tool calls","count":2,"detail":"Bash as run_shell_command"},
    {"what":"tool calls","count":1,"detail":"exec_command as run_shell_command"},
    {"what":"tool calls","count":1,"detail":"under a name that the API accepts"},
    {"what":"user messages","count":1,"detail":"behind an invisible character: the client would take it for a command"}],"degraded":[{"what":"images","count":1,"detail":"a note in its place: not a picture inside the session"},
    {"what":"missing tool results","count":2,"detail":"a note in its place"},
    {"what":"thinking","count":1,"detail":"shown but not sent to the model"},
    {"what":"unanswered end","count":1,"detail":"Gemini CLI adds that the response was interrupted when it resumes"}],"dropped":[{"what":"assistant messages","count":1,"detail":"empty"},
    {"what":"tool results","count":1,"detail":"their calls are missing"},
    {"what":"x","count":2,"detail":"y"}]}
    "#);
    assert_eq!(written.records()[1]["displayContent"][0]["text"], "/help is odd");
    assert_eq!(written.target.cwd, written.plan.cwd);
}

#[test]
fn gemini_takes_back_only_files_of_its_own_shape() {
    let writer = gemini().writer().unwrap();
    let native = session("simple");
    let path = "tmp/proj-simple/chats/session-2026-11-22T08-55-cd69bdf6.jsonl";
    assert!(!writer.accepts_own(&native, Some(path)).unwrap());
    let written = Written::of(&session("tools"), "gemini");
    let relative = written.plan.file.strip_prefix(written.home.path().join(".gemini")).unwrap().to_str().unwrap();
    // What is this old the client would delete.
    assert!(
        !writer
            .accepts_own(
                &FileSource::of(gemini(), &written.plan.native_id, "main", Format::GeminiJsonl, HEAD.as_bytes()),
                Some(relative)
            )
            .unwrap()
    );
    let now = jiff::Timestamp::now().to_string();
    let bytes = std::fs::read_to_string(&written.plan.file).unwrap().replace("2026-11-22T12:00:00.000Z", &now);
    let of =
        |bytes: &str| FileSource::of(gemini(), &written.plan.native_id, "main", Format::GeminiJsonl, bytes.as_bytes());
    assert!(writer.accepts_own(&of(&bytes), Some(relative)).unwrap());
    let called = r#"{"id":"n","type":"gemini","content":"","toolCalls":[{"id":"c","name":"t","args":{},"result":[]}]}"#;
    assert!(!writer.accepts_own(&of(&format!("{bytes}{called}\n")), Some(relative)).unwrap());
}

/// A document of 0.24 as it grows, loses a message and grows again.
fn document(messages: &[&str]) -> String {
    let messages: Vec<Value> = messages
        .iter()
        .map(|text| json!({"id": text, "timestamp": "2026-11-22T08:00:00.000Z", "type": "user", "content": text}))
        .collect();
    let document =
        json!({"sessionId": "0a1b2c3d-0000-4000-8000-000000000000", "projectHash": "x", "messages": messages});
    serde_json::to_string_pretty(&document).unwrap()
}

/// It grows with its session and the pictures in it; a line of another tool's does not get that long.
#[test]
fn a_document_of_40_megabytes_is_read() {
    let home = TestHome::new();
    let file = home.path().join(".gemini/tmp/proj/chats/session-2026-11-22T08-00-0a1b2c3d.json");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let long = "0123456789".repeat(4 << 20);
    let message = |text: &str| json!({"id": text.len().to_string(), "timestamp": "2026-11-22T08:00:00.000Z", "type": "user", "content": text});
    let messages = json!([message("one"), message(&long), message("three")]);
    let head = r#""sessionId":"0a1b2c3d-0000-4000-8000-000000000000","projectHash":"x""#;
    std::fs::write(&file, format!("{{{head},\"messages\":{messages}}}")).unwrap();
    home.json(&["import", "--json"]);
    assert_eq!(home.json(&["show", "last", "--json"])["message_count"], 3);
    assert_eq!(home.json(&["search", "--json", "three"]).as_array().unwrap().len(), 1);
    assert_eq!(home.sfs(&["admin", "reindex", "--local"]).code, Some(0));
    assert_eq!(home.json(&["show", "last", "--json"])["message_count"], 3);
}

#[test]
fn gemini_rewritten_documents_keep_every_message() {
    let home = TestHome::new();
    let folder = home.path().join(".gemini/tmp/proj/chats");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("../.project_root"), "/home/dev/work/there").unwrap();
    let file = folder.join("session-2026-11-22T08-00-0a1b2c3d.json");
    let newest = document(&["one", "two", "four", "five"]);
    for text in [&document(&["one"]), &document(&["one", "two", "three"]), &document(&["one", "two"]), &newest] {
        std::fs::write(&file, text).unwrap();
        home.sfs(&["import"]);
    }
    let shown = |home: &TestHome| {
        let session = home.json(&["show", "0a1b2c3d-0000-4000-8000-000000000000", "--json"]);
        (session["message_count"].clone(), session["turn_count"].clone(), session["project"].clone())
    };
    let once = shown(&home);
    // `three` is in an older generation only.
    assert_eq!(once, (json!(5), json!(5), json!("/home/dev/work/there")));
    home.sfs(&["admin", "reindex", "--local"]);
    assert_eq!(shown(&home), once);
    let run = home.sfs(&["export", "0a1b2c3d-0000-4000-8000-000000000000", "--format", "native", "-o", "out"]);
    assert_eq!(run.code, Some(0), "{run}");
    let copy = home.path().join("out/tmp/proj/chats/session-2026-11-22T08-00-0a1b2c3d.json");
    assert_eq!(std::fs::read_to_string(copy).unwrap(), newest);
}

#[test]
fn gemini_capture_takes_all_that_belongs_to_a_session() {
    let home = TestHome::with(&["gemini/subagent", "gemini/v0.24_tools", "gemini/interactive_rewind"]);
    let project = home.path().join(".gemini/tmp/proj-subagent");
    let id = "83d21bec-5066-464a-a272-f513c8c8011c";
    std::fs::create_dir_all(project.join(format!("tool-outputs/session-{id}"))).unwrap();
    std::fs::write(project.join(format!("tool-outputs/session-{id}/call.txt")), "long").unwrap();
    let history = json!({"history": [{"role": "user", "parts": [{"text": "kept"}]}, {"role": "model",
        "parts": [{"text": "yes"}, {"functionCall": {"name": "t", "args": {}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "t", "response": {"output": "r"}}}]}], "authType": "x"});
    std::fs::write(project.join("checkpoint-before.json"), history.to_string()).unwrap();
    std::fs::write(home.path().join(".gemini/oauth_creds.json"), "{\"secret\":1}").unwrap();
    home.sfs(&["import"]);
    let listed = home.json(&["list", "--all", "--json"]);
    let row = |s: &Value| format!("{} {} {} {}\n", s["native_id"], s["project"], s["message_count"], s["title"]);
    insta::assert_snapshot!(listed.as_array().unwrap().iter().map(row).collect::<String>(), @r#"
    "checkpoint-proj-subagent--before" "/home/dev/work/subagent/proj-subagent" 3 "kept"
    "c272f28c-d458-4394-9290-3d482c418ae3" null 6 "Mock utility summary"
    "9778f174-7122-4258-bee8-5fb8262bad12" "/home/dev/work/interactive_rewind/proj-interactive_rewind" 6 "first question here"
    "83d21bec-5066-464a-a272-f513c8c8011c" "/home/dev/work/subagent/proj-subagent" 5 "Mock utility summary"
    "#);
    let streams = home.json(&["show", id, "--json"])["streams"].clone();
    let names: Vec<&str> = streams.as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect();
    insta::assert_snapshot!(names.join("\n"), @"
    main
    subagents/37dc644f-5d4b-4911-bcae-6a6600c9a3af
    tool-outputs/call.txt
    ");
    let checkpoint = home.json(&[
        "resume",
        "checkpoint-proj-subagent--before",
        "--in",
        "claude",
        "--no-launch",
        "--dry-run",
        "--json",
    ]);
    insta::assert_snapshot!(checkpoint["ledger"]["kept"].to_string(), @r#"[{"count":1,"detail":"","what":"assistant messages"},{"count":1,"detail":"","what":"tool calls"},{"count":1,"detail":"","what":"tool results"},{"count":1,"detail":"","what":"user messages"}]"#);
    let copy = home.sfs(&["export", id, "--format", "native", "-o", "out"]);
    assert_eq!(copy.code, Some(0), "{copy}");
    for entry in
        walkdir::WalkDir::new(home.path().join("out")).into_iter().flatten().filter(|e| e.file_type().is_file())
    {
        let original = home.path().join(".gemini").join(entry.path().strip_prefix(home.path().join("out")).unwrap());
        assert_eq!(std::fs::read(entry.path()).unwrap(), std::fs::read(original).unwrap());
    }
}

/// The client deletes its own session after a resume and doubles the results of its calls. What we write stays whole
/// through any number of resumes, until the client makes a call of its own: then it is written anew.
#[test]
fn gemini_sessions_survive_three_resumes() {
    if !ready("gemini_sessions_survive_three_resumes", &[Client::Gemini]) {
        return;
    }
    for (case, id) in [("gemini/tools", "c88a3300"), ("claude/readpng", "1a2b0fd7")] {
        let home = TestHome::with(&[case]);
        let project = home.path().join("project");
        std::fs::create_dir(&project).unwrap();
        let resume = |id: &str| {
            home.sfs(&["import"]);
            let resumed = home.json(&[
                "resume",
                id,
                "--in",
                "gemini",
                "--project",
                project.to_str().unwrap(),
                "--no-launch",
                "--json",
            ]);
            resumed["native_id"].as_str().unwrap().to_owned()
        };
        let written = resume(id);
        let go_on = |prompt: &str, replies: &[Reply]| {
            let received = go_on(Client::Gemini, home.path(), &project, &written, prompt, replies).unwrap();
            assert_eq!(
                (received.exit, &received.rejections),
                (Some(0), &vec![]),
                "{case} {prompt}: {}",
                received.stderr
            );
            received
        };
        let first = go_on("once", &[]);
        let (second, third) = (go_on("twice", &[]), go_on("three times", &[]));
        assert!(!first.calls.is_empty());
        for (later, said) in [(&second, 1), (&third, 2)] {
            assert_eq!((&later.calls, &later.images), (&first.calls, &first.images), "{case}");
            assert_eq!(later.user_texts.len(), first.user_texts.len() + said, "{case}");
        }
        assert_eq!(resume(&written), written, "{case}: it is still the client's");
        let call = vec![Piece::call("run_shell_command", json!({"command": "echo more"}))];
        go_on("call", &[call, vec![Piece::text("called")]]);
        let anew = resume(&written);
        assert_ne!(anew, written, "{case}: the client would double the result");
        let received = crate::clients::receive(Client::Gemini, home.path(), &project, &anew).unwrap();
        assert_eq!((received.exit, received.rejections.len()), (Some(0), 0), "{}", received.stderr);
        assert_eq!(received.calls.len(), first.calls.len() + 1);
        assert!(received.calls.last().unwrap().result.contains("more"));
        assert_eq!(received.assistant_texts.last().unwrap(), "called");
    }
}
