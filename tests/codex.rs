//! Codex: recorded sessions of four client versions, read and written back.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use crate::support::file_source::FileSource;
use sessionfs::home::Home;
use sessionfs::model::conversation::{About, Conversation, Step, steps};
use sessionfs::model::ledger::Ledger;
use sessionfs::model::message::{Block, ImageKind, ImageSource, Message, Role, raw, wrap_input};
use sessionfs::model::observation::Observation;
use sessionfs::tools::{Format, Place, Plan, Reading, Source, Target, Tool, find};
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

fn codex() -> &'static dyn Tool {
    find("codex").unwrap()
}

fn fixture(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/codex").join(case)
}

fn sessions(case: &str) -> Vec<FileSource> {
    FileSource::all(codex(), &fixture(case))
}

fn rollout(lines: &[&str]) -> FileSource {
    FileSource::of(codex(), "t", "main", Format::CodexRollout, (lines.join("\n") + "\n").as_bytes())
}

/// Reads a stream in one go.
fn read(source: &dyn Source, stream: &str) -> Reading {
    let info = source.newest(stream).unwrap();
    let (mut reader, mut out) = (codex().reader(stream, None), Reading::default());
    source
        .for_each_line(info, 0, &mut |line| {
            reader.line(line, &mut out);
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    out
}

fn live(source: &dyn Source) -> Vec<Message> {
    codex().conversation(source).unwrap().messages.map(|m| m.unwrap()).collect()
}

/// One line a block: who, marks, what.
fn show(messages: &[Message]) -> String {
    let mut out = String::new();
    for message in messages {
        for block in &message.content {
            let marks = [(message.is_meta, " meta"), (message.is_sidechain, " side")];
            let marks: String = marks.iter().filter(|(is, _)| *is).map(|(_, mark)| *mark).collect();
            let nested = if message.metadata.contains_key("nested_in") { " nested" } else { "" };
            writeln!(out, "{}{marks}{nested}: {}", message.role.as_str(), show_block(block)).unwrap();
        }
    }
    out
}

fn show_block(block: &Block) -> String {
    let short = |text: &str| -> String {
        let line: String = text.chars().take(70).collect();
        format!("{line:?}")
    };
    match block {
        Block::Text(text) => short(text),
        Block::Thinking { text, redacted, summary, .. } => {
            format!("thinking {} redacted={redacted} summary={summary:?}", short(text))
        }
        Block::ToolUse { id, name, input } => format!("call {id} {name} {}", short(input.get())),
        Block::ToolResult { id, content, is_error, exit_code, duration_ms } => {
            format!("result {id} {} error={is_error} exit={exit_code:?} ms={duration_ms:?}", short(content))
        }
        Block::Image(source) => format!("image {:?} {} bytes", source.media_type, source.data.len()),
        Block::Summary { text, .. } => format!("summary {}", short(text)),
        Block::Other(raw) => format!("other {}", short(raw.get())),
    }
}

#[test]
fn codex_log_of_code_mode_shows_the_nested_commands() {
    let all = sessions("codemode_openai");
    let log = read(&all[0], "main");
    assert_eq!(log.notes, Vec::<String>::new());
    insta::assert_snapshot!(show(&log.messages), @r#"
    developer meta: "You are Codex, an agent based on GPT-6. You and the user share one wor"
    developer meta: "<skills_instructions>\n## Skills\nA skill is a set of local instructions"
    developer meta: "<permissions instructions>\nFilesystem sandboxing defines which files c"
    developer meta: "<collaboration_mode># Collaboration Mode: Default\n\nYou are now in Defa"
    developer meta: "<multi_agent_role>You are `/root`, the primary agent in a team of agen"
    developer meta: "<multi_agent_mode>Any earlier instruction enabling proactive multi-age"
    user meta: "<environment_context>\n  <cwd>/home/dev/work/codemode_openai</cwd>\n  <s"
    user: "work in code mode"
    assistant: thinking "" redacted=true summary=Some("**Plan**")
    assistant: "Looking."
    assistant: call call_js1 exec "{\"input\":\"const r = await tools.exec_command({cmd: 'echo hi; ls'});\\nt"
    assistant nested: call exec-95745997-4594-47a3-b7b4-cf525b46a1bf exec_command "{\"cmd\":\"echo hi; ls\",\"workdir\":\"/home/dev/work/codemode_openai\"}"
    tool nested: result exec-95745997-4594-47a3-b7b4-cf525b46a1bf "hi\n" error=false exit=Some(0) ms=None
    tool: result call_js1 "Script completed\nWall time 0.1 seconds\nOutput:\n{\"chunk_id\":\"7dc2ca\",\"w" error=false exit=None ms=Some(100)
    assistant: call call_js2 exec "{\"input\":\"const a = await tools.apply_patch(`*** Begin Patch\\n*** Add "
    assistant nested: call exec-a4e17ff7-5825-49b3-afc9-27f0db92fc85 apply_patch "{\"changes\":{\"/home/dev/work/codemode_openai/js.txt\":{\"content\":\"hello\\"
    tool nested: result exec-a4e17ff7-5825-49b3-afc9-27f0db92fc85 "Success. Updated the following files:\nA js.txt\n" error=false exit=None ms=None
    assistant nested: call exec-5c41202a-6176-4bd7-9267-03b0069d6750 exec_command "{\"cmd\":\"exit 4\",\"workdir\":\"/home/dev/work/codemode_openai\"}"
    tool nested: result exec-5c41202a-6176-4bd7-9267-03b0069d6750 "" error=true exit=Some(4) ms=None
    assistant nested: call exec-4d7e2a8a-bb88-4475-9438-b613d798c24c exec_command "{\"cmd\":\"cat js.txt\",\"workdir\":\"/home/dev/work/codemode_openai\"}"
    tool nested: result exec-4d7e2a8a-bb88-4475-9438-b613d798c24c "hello\n" error=false exit=Some(0) ms=None
    tool: result call_js2 "Script completed\nWall time 0.1 seconds\nOutput:\n{}\n[{\"chunk_id\":\"5d607d" error=false exit=None ms=Some(100)
    assistant: call call_js3 exec "{\"input\":\"text(Object.keys(tools).join(' ')); throw new Error('boom');"
    tool: result call_js3 "Script failed\nWall time 0.0 seconds\nOutput:\napply_patch clock__curr_ti" error=true exit=None ms=Some(0)
    assistant: call call_js4 exec "{\"input\":\"const p = await tools.update_plan({plan:[{step:'A',status:'i"
    tool: result call_js4 "Script failed\nWall time 0.0 seconds\nOutput:\nScript error:\nTypeError: t" error=true exit=None ms=Some(0)
    assistant: "Done in code mode."
    "#);
    insta::assert_snapshot!(show(&live(&all[0])), @r#"
    developer meta: "You are Codex, an agent based on GPT-6. You and the user share one wor"
    developer meta: "<skills_instructions>\n## Skills\nA skill is a set of local instructions"
    developer meta: "<permissions instructions>\nFilesystem sandboxing defines which files c"
    developer meta: "<collaboration_mode># Collaboration Mode: Default\n\nYou are now in Defa"
    developer meta: "<multi_agent_role>You are `/root`, the primary agent in a team of agen"
    developer meta: "<multi_agent_mode>Any earlier instruction enabling proactive multi-age"
    user meta: "<environment_context>\n  <cwd>/home/dev/work/codemode_openai</cwd>\n  <s"
    user: "work in code mode"
    assistant: thinking "" redacted=true summary=Some("**Plan**")
    assistant: "Looking."
    assistant: call call_js1 exec "{\"input\":\"const r = await tools.exec_command({cmd: 'echo hi; ls'});\\nt"
    tool: result call_js1 "Script completed\nWall time 0.1 seconds\nOutput:\n{\"chunk_id\":\"7dc2ca\",\"w" error=false exit=None ms=Some(100)
    assistant: call call_js2 exec "{\"input\":\"const a = await tools.apply_patch(`*** Begin Patch\\n*** Add "
    tool: result call_js2 "Script completed\nWall time 0.1 seconds\nOutput:\n{}\n[{\"chunk_id\":\"5d607d" error=false exit=None ms=Some(100)
    assistant: call call_js3 exec "{\"input\":\"text(Object.keys(tools).join(' ')); throw new Error('boom');"
    tool: result call_js3 "Script failed\nWall time 0.0 seconds\nOutput:\napply_patch clock__curr_ti" error=true exit=None ms=Some(0)
    assistant: call call_js4 exec "{\"input\":\"const p = await tools.update_plan({plan:[{step:'A',status:'i"
    tool: result call_js4 "Script failed\nWall time 0.0 seconds\nOutput:\nScript error:\nTypeError: t" error=true exit=None ms=Some(0)
    assistant: "Done in code mode."
    "#);
}

#[test]
fn codex_log_of_the_oldest_files() {
    let all = sessions("v020");
    let log = read(&all[0], "main");
    assert_eq!(all[0].native_id(), "875b14a7-1bd6-4fb0-993c-b3ad1a19c713");
    insta::assert_snapshot!(show(&log.messages), @r#"
    user: "old client work"
    assistant: thinking "" redacted=true summary=Some("**Plan**")
    assistant: "Looking."
    assistant: call call_o1 shell "{\"command\": [\"bash\", \"-lc\", \"echo hi; ls\"]}"
    tool: result call_o1 "{\"output\":\"hi\\n\",\"metadata\":{\"exit_code\":0,\"duration_seconds\":0.0}}" error=false exit=Some(0) ms=Some(0)
    assistant: call call_o2 update_plan "{\"explanation\": \"Start\", \"plan\": [{\"step\": \"Read\", \"status\": \"in_progr"
    tool: result call_o2 "Plan updated" error=false exit=None ms=None
    assistant: call call_o3 shell "{\"command\": [\"false\"]}"
    tool: result call_o3 "{\"output\":\"\",\"metadata\":{\"exit_code\":1,\"duration_seconds\":0.0}}" error=true exit=Some(1) ms=Some(0)
    "#);
    assert_eq!(show(&live(&all[0])), show(&log.messages));
    insta::assert_snapshot!(format!("{:?}", log.observations), @"[Activity(2026-11-22T09:29:40.929Z)]");
}

#[test]
fn codex_log_of_2025() {
    let all = sessions("v050");
    let log = read(&all[0], "main");
    insta::assert_snapshot!(show(&log.messages), @r#"
    user meta: "<environment_context>\n  <cwd>/home/dev/work/v050</cwd>\n  <approval_pol"
    user: "old client work"
    assistant: thinking "" redacted=true summary=Some("**Plan**")
    assistant: "Looking."
    assistant: call call_o1 shell "{\"command\": [\"bash\", \"-lc\", \"echo hi; ls\"]}"
    tool: result call_o1 "{\"output\":\"hi\\n\",\"metadata\":{\"exit_code\":0,\"duration_seconds\":0.0}}" error=false exit=Some(0) ms=Some(0)
    assistant: call call_o2 update_plan "{\"explanation\": \"Start\", \"plan\": [{\"step\": \"Read\", \"status\": \"in_progr"
    tool: result call_o2 "Plan updated" error=false exit=None ms=None
    assistant: call call_o3 shell "{\"command\": [\"false\"]}"
    tool: result call_o3 "{\"output\":\"\",\"metadata\":{\"exit_code\":1,\"duration_seconds\":0.0}}" error=true exit=Some(1) ms=Some(0)
    assistant: call call_o4 apply_patch "{\"input\":\"*** Begin Patch\\n*** Add File: a.txt\\n+x\\n*** End Patch\\n\"}"
    tool: result call_o4 "{\"output\":\"Success. Updated the following files:\\nA a.txt\\n\",\"metadata" error=false exit=Some(0) ms=Some(0)
    assistant: "Done."
    user: "second"
    assistant: "Hello! How can I help?"
    "#);
    assert_eq!(show(&live(&all[0])), show(&log.messages));
    // The second resume starts its totals at zero again, and events repeat.
    let usage: Vec<(u64, u64)> = log.usage.iter().map(|u| (u.usage.input_tokens, u.usage.cache_read_tokens)).collect();
    assert_eq!(usage, [(76, 64), (77, 64), (79, 64), (80, 64), (80, 64)]);
    assert_eq!(log.usage.iter().map(|u| u.usage.output_tokens).sum::<u64>(), 100);
    let keys: std::collections::BTreeSet<&str> = log.usage.iter().map(|u| u.key.as_str()).collect();
    assert_eq!(keys.len(), 5);
}

#[test]
fn codex_log_of_early_2026() {
    let all = sessions("v110");
    let log = read(&all[0], "main");
    insta::assert_snapshot!(show(&log.messages), @r##"
    developer meta: "<permissions instructions>\nFilesystem sandboxing defines which files c"
    user meta: "# AGENTS.md instructions for /home/dev/work/v110\n\n<INSTRUCTIONS>\n## Sk"
    user meta: "<environment_context>\n  <cwd>/home/dev/work/v110</cwd>\n  <shell>bash</"
    user: "old client work"
    assistant: thinking "" redacted=true summary=Some("**Plan**")
    assistant: "Looking."
    assistant: call call_o1 shell "{\"command\": [\"bash\", \"-lc\", \"echo hi; ls\"]}"
    tool: result call_o1 "{\"output\":\"hi\\n\",\"metadata\":{\"exit_code\":0,\"duration_seconds\":0.0}}" error=false exit=Some(0) ms=Some(0)
    assistant: call call_o2 update_plan "{\"explanation\": \"Start\", \"plan\": [{\"step\": \"Read\", \"status\": \"in_progr"
    assistant: call call_o3 shell "{\"command\": [\"false\"]}"
    tool: result call_o2 "Plan updated" error=false exit=None ms=None
    tool: result call_o3 "{\"output\":\"\",\"metadata\":{\"exit_code\":1,\"duration_seconds\":0.0}}" error=true exit=Some(1) ms=Some(0)
    assistant: call call_o4 apply_patch "{\"input\":\"*** Begin Patch\\n*** Add File: a.txt\\n+x\\n*** End Patch\\n\"}"
    tool: result call_o4 "{\"output\":\"Success. Updated the following files:\\nA a.txt\\n\",\"metadata" error=false exit=Some(0) ms=Some(0)
    assistant: "Done."
    "##);
    assert_eq!(show(&live(&all[0])), show(&log.messages));
    insta::assert_snapshot!(format!("{:?}", log.observations.iter().filter(|o| !matches!(o, Observation::Activity(_))).collect::<Vec<_>>()), @r#"[Project("/home/dev/work/v110"), ToolVersion("0.110.0"), Interface("exec"), Model("gpt-5-codex")]"#);
}

#[test]
fn codex_interrupted_turn() {
    let all = sessions("interrupted");
    insta::assert_snapshot!(show(&live(&all[0])), @r#"
    developer meta: "<skills_instructions>\n## Skills\nA skill is a set of local instructions"
    developer meta: "<permissions instructions>\nFilesystem sandboxing defines which files c"
    developer meta: "<tools>\nDeferred tool namespaces:\n- multi_agent_v1: Tools for spawning"
    user meta: "<environment_context>\n  <cwd>/home/dev/work/interrupted</cwd>\n  <shell"
    user: "long running answer"
    assistant: "Working on it"
    assistant: call call_h1 exec_command "{\"cmd\": \"echo before\"}"
    tool: result call_h1 "Chunk ID: afea14\nWall time: 0.0000 seconds\nProcess exited with code 0\n" error=false exit=Some(0) ms=Some(0)
    assistant: "partial text"
    user meta: "<turn_aborted>\nThe user interrupted the previous turn on purpose. Any "
    user: "go on"
    assistant: "mock reply 1"
    "#);
}

#[test]
fn codex_fork_starts_with_its_parent() {
    let all = sessions("fork");
    let (parent, fork) = (&all[0], &all[1]);
    insta::assert_snapshot!(show(&live(parent)), @r#"
    developer meta: "<skills_instructions>\n## Skills\nA skill is a set of local instructions"
    developer meta: "<permissions instructions>\nFilesystem sandboxing defines which files c"
    developer meta: "<tools>\nDeferred tool namespaces:\n- multi_agent_v1: Tools for spawning"
    user meta: "<environment_context>\n  <cwd>/home/dev/work/fork</cwd>\n  <shell>bash</"
    user: "original question"
    assistant: "Hello! How can I help?"
    "#);
    insta::assert_snapshot!(show(&live(fork)).lines().take(7).collect::<Vec<_>>().join("\n"), @r#"
    developer meta: "<skills_instructions>\n## Skills\nA skill is a set of local instructions"
    developer meta: "<permissions instructions>\nFilesystem sandboxing defines which files c"
    developer meta: "<tools>\nDeferred tool namespaces:\n- multi_agent_v1: Tools for spawning"
    user meta: "<environment_context>\n  <cwd>/home/dev/work/fork</cwd>\n  <shell>bash</"
    user: "original question"
    assistant: "Hello! How can I help?"
    user: "forked question"
    "#);
    let forked_from: Vec<_> =
        read(fork, "main").observations.into_iter().filter(|o| matches!(o, Observation::ForkedFrom(_))).collect();
    assert_eq!(forked_from, [Observation::ForkedFrom(parent.native_id().into())]);
}

#[test]
fn codex_fork_without_its_parent_is_its_own_part_and_a_note() {
    let all = sessions("fork");
    let info = all[1].newest("main").unwrap();
    let bytes = all[1].bytes(info, 0, info.length).unwrap();
    let alone = FileSource::of(codex(), all[1].native_id(), "main", Format::CodexRollout, &bytes);
    let conversation = codex().conversation(&alone).unwrap();
    assert_eq!(conversation.left_out, [("forked history", "the session this one was forked from is not archived", 1)]);
    let first = conversation.messages.map(|m| m.unwrap()).next().unwrap();
    assert_eq!(first.text(), "forked question");
}

#[test]
fn codex_sub_agent_is_a_stream_of_its_root() {
    let all = sessions("agent");
    assert_eq!(all.len(), 1);
    let names: Vec<&str> = all[0].streams().iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["main", "subagents/01a20276-277f-7840-ad29-1f8f2407b038"]);
    insta::assert_snapshot!(show(&live(&all[0])), @r#"
    developer meta: "<skills_instructions>\n## Skills\nA skill is a set of local instructions"
    developer meta: "<permissions instructions>\nFilesystem sandboxing defines which files c"
    developer meta: "<tools>\nDeferred tool namespaces:\n- multi_agent_v1: Tools for spawning"
    user meta: "<environment_context>\n  <cwd>/home/dev/work/agent</cwd>\n  <shell>bash<"
    user: "use a sub agent"
    assistant: call call_a1 spawn_agent "{\"message\": \"Sub task: say hi\", \"agent_type\": \"default\"}"
    tool: result call_a1 "{\"agent_id\":\"01a20276-277f-7840-ad29-1f8f2407b038\",\"nickname\":\"Fermat\"" error=false exit=None ms=None
    assistant: "reply from whoever 1"
    "#);
    let side = read(&all[0], names[1]);
    insta::assert_snapshot!(show(&side.messages), @r#"
    developer meta side: "<skills_instructions>\n## Skills\nA skill is a set of local instructions"
    developer meta side: "<permissions instructions>\nFilesystem sandboxing defines which files c"
    user meta side: "<environment_context>\n  <cwd>/home/dev/work/agent</cwd>\n  <shell>bash<"
    user side: "Sub task: say hi"
    assistant side: "reply from whoever 2"
    user meta side: "<turn_aborted>\nThe user interrupted the previous turn on purpose. Any "
    "#);
    assert!(side.messages.iter().all(|m| m.is_sidechain && m.id.starts_with(names[1]) && m.agent_id.is_some()));
    assert!(side.observations.iter().all(|o| matches!(o, Observation::Activity(_))));
    assert_eq!(
        codex().conversation(&all[0]).unwrap().left_out,
        [("sub-agent transcripts", "the main conversation has their results only", 1)]
    );
}

#[test]
fn codex_images_and_reasoning() {
    insta::assert_snapshot!(show(&live(&sessions("image")[0])), @r#"
    developer meta: "<skills_instructions>\n## Skills\nA skill is a set of local instructions"
    developer meta: "<permissions instructions>\nFilesystem sandboxing defines which files c"
    developer meta: "<tools>\nDeferred tool namespaces:\n- multi_agent_v1: Tools for spawning"
    user meta: "<environment_context>\n  <cwd>/home/dev/work/image</cwd>\n  <shell>bash<"
    user: image Some("image/png") 100 bytes
    user: "what is in this image?"
    assistant: call call_v1 view_image "{\"path\": \"/tmp/codex\"}"
    tool: result call_v1 "" error=false exit=None ms=None
    tool: image Some("image/png") 100 bytes
    assistant: "It is red."
    "#);
    insta::assert_snapshot!(show(&live(&sessions("reasoning")[0])), @r#"
    developer meta: "<skills_instructions>\n## Skills\nA skill is a set of local instructions"
    developer meta: "<permissions instructions>\nFilesystem sandboxing defines which files c"
    developer meta: "<tools>\nDeferred tool namespaces:\n- multi_agent_v1: Tools for spawning"
    user meta: "<environment_context>\n  <cwd>/home/dev/work/reasoning</cwd>\n  <shell>b"
    user: "think hard"
    assistant: thinking "" redacted=true summary=Some("**Thinking about it**\n\nI should look first.")
    assistant: call call_r1 exec_command "{\"cmd\": \"pwd\"}"
    tool: result call_r1 "Chunk ID: 84e59d\nWall time: 0.0000 seconds\nProcess exited with code 0\n" error=false exit=Some(0) ms=Some(0)
    assistant: thinking "" redacted=true summary=None
    assistant: thinking "" redacted=true summary=Some("**Second** thought")
    assistant: "Now I know."
    assistant: thinking "" redacted=true summary=Some("**Third**")
    assistant: "It is done."
    "#);
}

#[test]
fn codex_reading_goes_on_after_a_restart() {
    for case in ["codemode_openai", "v050", "agent", "fork", "shell"] {
        for source in sessions(case) {
            for info in source.streams() {
                let whole = read(&source, &info.name);
                let mut parts = Reading::default();
                let mut state: Option<String> = None;
                source
                    .for_each_line(info, 0, &mut |line| {
                        let mut reader = codex().reader(&info.name, state.as_deref());
                        reader.line(line, &mut parts);
                        state = Some(reader.state());
                        Ok(ControlFlow::Continue(()))
                    })
                    .unwrap();
                assert_eq!(format!("{whole:?}"), format!("{parts:?}"), "{case}");
            }
        }
    }
}

const META: &str = r#"{"timestamp":"2026-11-22T08:00:00.000Z","type":"session_meta","payload":{"id":"t","timestamp":"2026-11-22T08:00:00.000Z","cwd":"/w","originator":"x","cli_version":"1"}}"#;

fn line(kind: &str, payload: &str) -> String {
    format!(r#"{{"timestamp":"2026-11-22T08:00:01.000Z","type":"{kind}","payload":{payload}}}"#)
}

fn said(role: &str, text: &str) -> String {
    let kind = if role == "assistant" { "output_text" } else { "input_text" };
    format!(r#"{{"type":"message","role":"{role}","content":[{{"type":"{kind}","text":"{text}"}}]}}"#)
}

fn item(role: &str, text: &str) -> String {
    line("response_item", &said(role, text))
}

fn texts(source: &FileSource) -> Vec<String> {
    live(source).iter().map(|m| show_block(&m.content[0])).collect()
}

#[test]
fn codex_compaction_with_its_history_restarts_the_conversation() {
    let compacted = format!(
        r#"{{"message":"sum","replacement_history":[{},{}]}}"#,
        said("user", "one"),
        said("user", "Another language model started to solve this problem and produced a summary: sum")
    );
    let source = rollout(&[
        META,
        &item("user", "one"),
        &item("assistant", "a"),
        &line("compacted", &compacted),
        &item("user", "two"),
        &item("assistant", "b"),
    ]);
    insta::assert_snapshot!(texts(&source).join("\n"), @r#"
    "one"
    summary "Another language model started to solve this problem and produced a su"
    "two"
    "b"
    "#);
    assert_eq!(codex().conversation(&source).unwrap().left_out, [("messages", "replaced by a compaction", 2)]);
    insta::assert_snapshot!(show(&read(&source, "main").messages), @r#"
    user: "one"
    assistant: "a"
    system: summary "sum"
    user: "two"
    assistant: "b"
    "#);
}

#[test]
fn codex_compaction_without_history_keeps_what_the_person_said() {
    let source = rollout(&[
        META,
        &item("user", "<environment_context>x</environment_context>"),
        &item("user", "one"),
        &item("assistant", "a"),
        &item("user", "two"),
        &item("assistant", "b"),
        &line("compacted", r#"{"message":"sum"}"#),
        &item("user", "three"),
    ]);
    insta::assert_snapshot!(texts(&source).join("\n"), @r#"
    "one"
    "two"
    summary "sum"
    "three"
    "#);
}

#[test]
fn codex_rollback_removes_the_last_turns() {
    let lines = [
        META.to_owned(),
        item("user", "one"),
        item("assistant", "a"),
        item("user", "two"),
        item("user", "<turn_aborted>x</turn_aborted>"),
        item("assistant", "b"),
        item("user", "three"),
        item("assistant", "c"),
        line("event_msg", r#"{"type":"thread_rolled_back","num_turns":2}"#),
        item("user", "four"),
        item("assistant", "d"),
        line("event_msg", r#"{"type":"thread_rolled_back","num_turns":1}"#),
        item("user", "five"),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let source = rollout(&lines);
    assert_eq!(texts(&source), [r#""one""#, r#""a""#, r#""five""#]);
    assert_eq!(codex().conversation(&source).unwrap().left_out, [("messages", "rolled back", 7)]);
}

/// Each case was put before the real client 0.169.0, which sent exactly this.
#[test]
fn codex_rollback_over_a_compaction_undoes_it() {
    let summary = "Another language model started to solve this problem and produced a summary";
    let with = |texts: &[&str]| {
        let history: Vec<String> = texts.iter().chain([&summary]).map(|text| said("user", text)).collect();
        line("compacted", &format!(r#"{{"message":"sum","replacement_history":[{}]}}"#, history.join(",")))
    };
    let without = || line("compacted", &format!(r#"{{"message":"{summary}"}}"#));
    let back = |turns: u8| line("event_msg", &format!(r#"{{"type":"thread_rolled_back","num_turns":{turns}}}"#));
    let turn = |text: &str| [item("user", text), item("assistant", &format!("to {text}"))].join("\n");
    let sent = |lines: &[String]| {
        let lines: Vec<&str> = std::iter::once(META).chain(lines.iter().map(String::as_str)).collect();
        let all: Vec<String> = live(&rollout(&lines))
            .iter()
            .map(|m| if let Block::Summary { .. } = m.content[0] { "S".into() } else { m.text() })
            .collect();
        all.join(", ")
    };
    let (one, two, three, four) = (turn("one"), turn("two"), turn("three"), turn("four"));

    let after = [one.clone(), two.clone(), with(&["one", "two"]), three.clone(), back(1), four.clone()];
    assert_eq!(sent(&after), "one, two, S, four, to four");
    let over = [one.clone(), two.clone(), with(&["one", "two"]), three.clone(), back(2), four.clone()];
    assert_eq!(sent(&over), "one, to one, four, to four");
    let within =
        [one.clone(), item("user", "two"), with(&["one", "two"]), item("assistant", "b"), back(1), four.clone()];
    assert_eq!(sent(&within), "one, to one, four, to four");
    let all = [one.clone(), with(&["one"]), two.clone(), back(2), four.clone()];
    assert_eq!(sent(&all), "four, to four");
    // Without a history of its own the summary is taken for a turn.
    let plain = [one.clone(), two.clone(), without(), three.clone(), back(1), four.clone()];
    assert_eq!(sent(&plain), "one, two, S, four, to four");
    let plain = [one, two, without(), three, back(2), four];
    assert_eq!(sent(&plain), "one, two, four, to four");
}

#[test]
fn codex_tokens_count_once() {
    let count = |input: u64, cached: u64, output: u64| {
        let total = input + output;
        let tokens = format!(
            r#"{{"input_tokens":{input},"cached_input_tokens":{cached},"output_tokens":{output},"reasoning_output_tokens":0,"total_tokens":{total}}}"#
        );
        line(
            "event_msg",
            &format!(r#"{{"type":"token_count","info":{{"total_token_usage":{tokens},"last_token_usage":{tokens}}}}}"#),
        )
    };
    let reply = r#"{"response_id":"resp_1","usage":{"input_tokens":7,"cached_input_tokens":2,"output_tokens":3,"total_tokens":10}}"#;
    let source = rollout(&[
        META,
        &line("event_msg", r#"{"type":"token_count","info":null}"#),
        &count(100, 40, 10),
        &count(100, 40, 10),
        &count(250, 90, 30),
        &count(20, 0, 5),
        &line("token_usage_record", reply),
        &count(27, 2, 8),
    ]);
    let usage = read(&source, "main").usage;
    let counted: Vec<_> = usage
        .iter()
        .map(|u| (u.key.as_str(), u.usage.input_tokens, u.usage.cache_read_tokens, u.usage.output_tokens))
        .collect();
    assert_eq!(counted, [("t:1:110", 60, 40, 10), ("t:2:280", 100, 50, 20), ("t:3:25", 20, 0, 5), ("resp_1", 5, 2, 3)]);
}

#[test]
fn codex_hostile_lines_are_noted_and_skipped() {
    let deep = format!(
        r#"{{"type":"function_call","name":"f","arguments":"{{}}","call_id":{}1{}}}"#,
        "[".repeat(9999),
        "]".repeat(9999)
    );
    let deep_arguments = format!(
        r#"{{"type":"function_call","name":"f","call_id":"c","arguments":"{{\"a\":{}{}}}"}}"#,
        "[".repeat(9999),
        "]".repeat(9999)
    );
    let lines = [
        format!("\u{feff}{META}\r"),
        String::new(),
        "   \r".to_owned(),
        "{\"timestamp\":".to_owned(),
        "null".to_owned(),
        "[1,2,3]".to_owned(),
        "{}".to_owned(),
        r#"{"timestamp":7,"type":"response_item","payload":{"type":"message","role":"user","content":"bare string"}}"#
            .to_owned(),
        line("response_item", "17"),
        line("response_item", r#"{"type":"message","role":9,"content":{}}"#),
        line(
            "response_item",
            r#"{"type":"message","role":"user","content":[7,null,{"type":"input_text"},{"type":"odd","x":1}]}"#,
        ),
        line("response_item", r#"{"type":"from_the_future","x":1}"#),
        line("response_item", r#"{"type":"function_call_output","call_id":null,"output":{"odd":[1]}}"#),
        line("response_item", &deep),
        line("response_item", &deep_arguments),
        line("event_msg", r#"{"type":"token_count","info":{"total_token_usage":{"input_tokens":-1}}}"#),
        line(
            "event_msg",
            r#"{"type":"token_count","info":{"total_token_usage":{"cached_input_tokens":18446744073709551615,"cache_write_input_tokens":9,"total_tokens":1}}}"#,
        ),
        line(
            "event_msg",
            r#"{"type":"item_completed","item":{"type":"CommandExecution","id":"exec-1","command":"no list"}}"#,
        ),
        line("event_msg", r#"{"type":"thread_rolled_back","num_turns":99999999999}"#),
        line("compacted", r#"{"message":1,"replacement_history":"x"}"#),
        line("session_meta", r#""x""#),
        r#"{"timestamp":"2026-11-22T08:00:01Z","type":"response_item","type":"twice","payload":{}}"#.to_owned(),
        item("user", "still read"),
    ];
    let mut bytes = lines.join("\n").into_bytes();
    bytes.extend(b"\n\xff\xfe\x00\x01\n");
    let source = FileSource::of(codex(), "t", "main", Format::CodexRollout, &bytes);
    let log = read(&source, "main");
    insta::assert_snapshot!(log.notes.join("\n"), @"
    main:4: EOF while parsing a value at line 1 column 13
    main:5: not a JSON object
    main:6: not a JSON object
    main:7: no `type`
    main:9: not a JSON object
    main:10: a message without a known role
    main:21: not a JSON object
    main:22: duplicate field `type` at line 1 column 65
    main:24: not UTF-8
    ");
    insta::assert_snapshot!(show(&log.messages), @r#"
    user: "bare string"
    user: other "{\"type\":\"odd\",\"x\":1}"
    tool: result unknown "" error=false exit=None ms=None
    assistant: call main:13.0 f "{}"
    assistant: call c f "{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
    system: summary ""
    user: "still read"
    "#);
    assert_eq!(live(&source).last().unwrap().text(), "still read");
}

/// Every recorded line cut short, with a byte changed, and with its values replaced by ones of other types.
#[test]
fn codex_damaged_files_do_no_harm() {
    for case in std::fs::read_dir(fixture("")).unwrap() {
        for source in sessions(case.unwrap().file_name().to_str().unwrap()) {
            let info = source.newest("main").unwrap();
            let whole = source.bytes(info, 0, info.length).unwrap();
            for step in [1, 7, 23] {
                let mut damaged = Vec::new();
                for (n, line) in whole.split(|b| *b == b'\n').filter(|line| line.len() < 20_000).enumerate() {
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
                let damaged = FileSource::of(codex(), "t", "main", Format::CodexRollout, &damaged);
                assert!(!read(&damaged, "main").notes.is_empty());
                live(&damaged);
            }
        }
    }
}

#[test]
fn codex_files_are_placed_by_their_first_line() {
    let place = |path: &str, first: Option<&str>| codex().place(Path::new(path), &mut || first.map(Into::into));
    let session = |native_id: &str, stream: &str| Place::Session {
        native_id: native_id.into(),
        stream: stream.into(),
        format: Format::CodexRollout,
    };
    let meta = |payload: &str| line("session_meta", payload);
    let name = "sessions/2026/11/22/rollout-2026-11-22T08-53-47-01a20276-2682-7a90-a9a4-17fde775b50e.jsonl";

    assert_eq!(place(name, Some(META)), session("t", "main"));
    assert_eq!(place(&format!("{name}.zst"), Some(META)), session("t", "main"));
    assert_eq!(place("archived_sessions/rollout-x.jsonl", Some(META)), session("t", "main"));
    assert_eq!(
        place(name, Some(r#"{"id":"old","timestamp":"2025-06-01T00:00:00Z","instructions":null}"#)),
        session("old", "main")
    );
    // An id becomes a word of the command that is run.
    let option = meta(r#"{"id":"--dangerously-bypass-approvals-and-sandbox"}"#);
    assert_eq!(place(name, Some(&option)), session("01a20276-2682-7a90-a9a4-17fde775b50e", "main"));
    let spawned = r#""source":{"subagent":{"thread_spawn":{"parent_thread_id":"p","depth":1}}}"#;
    assert_eq!(
        place(name, Some(&meta(&format!(r#"{{"id":"c","session_id":"root","parent_thread_id":"p",{spawned}}}"#)))),
        session("root", "subagents/c")
    );
    assert_eq!(place(name, Some(&meta(&format!(r#"{{"id":"c",{spawned}}}"#)))), session("p", "subagents/c"));
    assert_eq!(
        place(name, Some(&meta(r#"{"id":"c","thread_source":"subagent","parent_thread_id":"p"}"#))),
        session("p", "subagents/c")
    );
    assert_eq!(place(name, Some(&meta(r#"{"id":"c","source":{"subagent":"review"}}"#))), session("c", "main"));
    // A fork names its parent but is a session of its own.
    assert_eq!(
        place(name, Some(&meta(r#"{"id":"f","session_id":"f","forked_from_id":"p","source":"cli"}"#))),
        session("f", "main")
    );
    assert_eq!(place(name, Some("garbage")), session("01a20276-2682-7a90-a9a4-17fde775b50e", "main"));
    assert_eq!(
        place(name, Some(&meta(r#"{"id":"../../etc"}"#))),
        session("01a20276-2682-7a90-a9a4-17fde775b50e", "main")
    );
    assert_eq!(place(name, None), Place::NotYet);
    assert_eq!(place("sessions/rollout-odd.jsonl", Some("garbage")), Place::Other);
    for other in ["sessions/01a20276-2682-7a90-a9a4-17fde775b50e.jsonl", "sessions/.tmp-x", "sessions/rollout-x.json"] {
        assert_eq!(place(other, Some(META)), Place::Other, "{other}");
    }
}

#[test]
fn codex_titles_come_from_its_index() {
    let index = br#"{"id":"a","thread_name":"first","updated_at":"x"}
{"id":"b","thread_name":"other","updated_at":"x"}
broken
{"id":"a","thread_name":"last","updated_at":"x"}
"#;
    insta::assert_snapshot!(format!("{:?}", codex().read_index("session_index.jsonl", index)), @r#"[("a", Title(Chosen, "last")), ("b", Title(Chosen, "other"))]"#);
}

/// A home in a temporary folder and what is written there.
struct Written {
    home: tempfile::TempDir,
    plan: Plan,
    ledger: Ledger,
    about: About,
    target: Target,
}

impl Written {
    fn of(conversation: Conversation<'_>, about: About) -> Written {
        Written::in_home(tempfile::tempdir().unwrap(), conversation, about)
    }

    fn in_home(home: tempfile::TempDir, conversation: Conversation<'_>, about: About) -> Written {
        let target = Target {
            home: Home::at(home.path(), &home.path().join(".sessionfs")),
            cwd: home.path().join("project"),
            native_id: None,
            now: "2026-11-22T12:00:00Z".parse().unwrap(),
        };
        let writer = codex().writer().unwrap();
        let plan = writer.plan(&about, &target).unwrap();
        let mut bytes = Vec::new();
        let ledger = writer.write(&plan, &about, &target, conversation, &mut bytes).unwrap();
        std::fs::create_dir_all(plan.file.parent().unwrap()).unwrap();
        std::fs::write(&plan.file, bytes).unwrap();
        Written { home, plan, ledger, about, target }
    }

    fn of_messages(messages: Vec<Message>) -> Written {
        let conversation = Conversation { messages: Box::new(messages.into_iter().map(Ok)), left_out: Vec::new() };
        Written::of(conversation, About { title: Some("A title".into()), ..About::default() })
    }

    fn source(&self) -> FileSource {
        FileSource::all(codex(), self.home.path()).into_iter().find(|s| s.native_id() == self.plan.native_id).unwrap()
    }

    fn records(&self) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(&self.plan.file).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn ledger(&self) -> String {
        let fates = [
            ("kept", &self.ledger.kept),
            ("mapped", &self.ledger.mapped),
            ("degraded", &self.ledger.degraded),
            ("dropped", &self.ledger.dropped),
        ];
        let lines = fates.into_iter().flat_map(|(fate, entries)| {
            entries.iter().map(move |e| format!("{fate} {} {}: {}", e.count, e.what, e.detail))
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// What the model sees of a conversation: texts, and calls with their results.
fn seen(messages: Vec<Message>) -> Vec<String> {
    let mut seen = Vec::new();
    for step in steps(messages.into_iter().map(Ok)) {
        match step.unwrap() {
            Step::Prompt(message) if !message.is_prompt() => {}
            Step::Prompt(message) => seen.extend(message.content.iter().map(|b| format!("user {}", whole(b)))),
            Step::Reply { message, results } => {
                let blocks = message.content.iter().filter(|b| !matches!(b, Block::Thinking { .. }));
                seen.extend(blocks.map(|b| format!("assistant {}", whole(b))));
                seen.extend(results.iter().map(|r| format!("result {} {} {:?}", r.id, r.content, r.images)));
            }
            Step::OrphanResult(result) => seen.push(format!("orphan {}", result.id)),
        }
    }
    seen
}

fn whole(block: &Block) -> String {
    serde_json::to_string(block).unwrap()
}

/// Replies that follow each other may be joined; the order of what they hold stays.
fn sorted(mut seen: Vec<String>) -> Vec<String> {
    seen.sort();
    seen
}

#[test]
fn codex_writes_what_it_reads() {
    for case in std::fs::read_dir(fixture("")).unwrap() {
        let case = case.unwrap().file_name().into_string().unwrap();
        for source in sessions(&case) {
            let written = Written::of(codex().conversation(&source).unwrap(), About::default());
            let again = written.source();
            assert_eq!(sorted(seen(live(&again))), sorted(seen(live(&source))), "{case}");
            assert_eq!(read(&again, "main").notes, Vec::<String>::new(), "{case}");
            assert_eq!(read(&again, "main").usage, [], "{case}: imported tokens were spent elsewhere");
        }
    }
}

fn message(role: Role, content: Vec<Block>) -> Message {
    let mut message = Message::new("m", role);
    message.content = content;
    message.timestamp = Some("2026-11-22T10:00:00Z".parse().unwrap());
    message
}

fn text(text: &str) -> Block {
    Block::Text(text.into())
}

fn call(id: &str, name: &str, input: &serde_json::Value) -> Block {
    Block::ToolUse { id: id.into(), name: name.into(), input: raw(input) }
}

fn result(id: &str, content: &str) -> Message {
    message(Role::Tool, vec![outcome(id, content, false)])
}

fn outcome(id: &str, content: &str, is_error: bool) -> Block {
    Block::ToolResult { id: id.into(), content: content.into(), is_error, exit_code: None, duration_ms: None }
}

fn png(kind: ImageKind, data: &str) -> Block {
    Block::Image(ImageSource { kind, data: data.into(), media_type: Some("image/png".into()) })
}

/// Eight red pixels by eight; the client replaces a picture that it can't decode.
const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEklEQVR4nGP4z8CAFWEXHbQSACj/P8Fu7N9hAAAAAElFTkSuQmCC";

/// What another tool may hand over, at its worst.
fn foreign() -> Vec<Message> {
    let thinking = |text: &str| Block::Thinking { text: text.into(), signature: None, redacted: false, summary: None };
    let mut meta = message(Role::User, vec![text("<command-name>/clear</command-name>")]);
    meta.is_meta = true;
    let long = "x".repeat(80);
    vec![
        meta,
        message(Role::System, vec![Block::Summary { text: "Before this: nothing.".into(), through: None }]),
        message(
            Role::User,
            vec![text("Look at this"), png(ImageKind::Base64, PNG), png(ImageKind::Path, "context/a.png")],
        ),
        message(
            Role::Assistant,
            vec![
                thinking("Hm."),
                thinking(""),
                text("I look."),
                call("toolu_1", "Bash", &serde_json::json!({"command": "ls", "description": "List"})),
            ],
        ),
        result("toolu_1", "a.txt\n"),
        message(
            Role::Assistant,
            vec![
                call(&long, "mcp.server/tool", &serde_json::json!({"q": 1})),
                call("toolu_2", "Read", &serde_json::json!({"file_path": "/w/a.png"})),
            ],
        ),
        message(
            Role::Tool,
            vec![outcome("toolu_2", "", false), png(ImageKind::Base64, PNG), outcome(&long, "no match", true)],
        ),
        message(Role::Assistant, vec![text("Done."), text("  ")]),
        message(Role::User, vec![text("  ")]),
        message(Role::User, vec![text("Go on")]),
        message(
            Role::Assistant,
            vec![call("toolu_3", "apply_patch", &serde_json::from_str(wrap_input("*** Begin Patch").get()).unwrap())],
        ),
        result("nobody", "lost"),
    ]
}

/// The API refuses a request with another kind of picture, and with one whose kind is not the one that is named.
#[test]
fn pictures_are_what_they_say_or_a_note() {
    let picture = |media_type: Option<&str>, data: &str| {
        let (kind, media_type) = (ImageKind::Base64, media_type.map(str::to_owned));
        Block::Image(ImageSource { kind, data: data.into(), media_type })
    };
    let pictures = vec![
        picture(Some("image/jpeg"), PNG),
        picture(None, PNG),
        picture(Some("image/bmp"), "Qk0eAAAA"),
        picture(Some("image/png"), "no base64"),
    ];
    let written = Written::of_messages(vec![message(Role::User, pictures)]);
    insta::assert_snapshot!(written.ledger(), @"
    kept 2 images: 
    degraded 2 images: a note in its place: not a PNG, JPEG, GIF or WebP
    ");
    insta::assert_snapshot!(show(&live(&written.source())), @r#"
    user: image Some("image/png") 100 bytes
    user: image Some("image/png") 100 bytes
    user: "[An image stood here]"
    user: "[An image stood here]"
    "#);
}

#[test]
fn codex_writer_accounts_for_every_piece() {
    let written = Written::of_messages(foreign());
    insta::assert_snapshot!(written.ledger(), @"
    kept 2 assistant messages: 
    kept 2 images: 
    kept 2 tool calls: 
    kept 3 tool results: 
    kept 2 user messages: 
    mapped 1 summaries: as a user message
    mapped 1 tool calls: mcp.server/tool as mcp_server_tool
    degraded 1 images: not stored in the session: replaced by their address
    degraded 1 missing tool results: a note in its place
    degraded 1 thinking: shown but not sent to the model
    degraded 1 tool calls: Bash as exec_command, without description
    dropped 1 assistant messages: empty
    dropped 1 harness texts: the target writes its own
    dropped 1 thinking: only its maker can read it
    dropped 1 tool results: their calls are missing
    dropped 1 user messages: empty
    ");
    insta::assert_snapshot!(show(&live(&written.source())), @r#"
    user: "Before this: nothing."
    user: "Look at this"
    user: image Some("image/png") 100 bytes
    user: "[Image: context/a.png]"
    assistant: "I look."
    assistant: call toolu_1 exec_command "{\"cmd\":\"ls\"}"
    tool: result toolu_1 "a.txt\n" error=false exit=None ms=None
    assistant: call call_d929cdeea7e6a0f46b59448d36a6fd49 mcp_server_tool "{\"q\":1}"
    tool: result call_d929cdeea7e6a0f46b59448d36a6fd49 "no match" error=false exit=None ms=None
    assistant: call toolu_2 Read "{\"file_path\":\"/w/a.png\"}"
    tool: result toolu_2 "" error=false exit=None ms=None
    tool: image Some("image/png") 100 bytes
    assistant: "Done."
    user: "Go on"
    assistant: call toolu_3 apply_patch "{\"input\":\"*** Begin Patch\"}"
    tool: result toolu_3 "[No result: the session ended before this tool call returned]" error=false exit=None ms=None
    "#);
}

/// One line a record: type, and what matters of the payload.
#[test]
fn codex_writer_keeps_the_shape_that_the_client_accepts() {
    let written = Written::of_messages(foreign());
    let records = written.records();
    let lines: Vec<String> = records
        .iter()
        .map(|record| {
            let payload = &record["payload"];
            let names =
                [&record["type"], &payload["type"], &payload["item"]["type"], &payload["name"], &payload["phase"]];
            names.into_iter().filter_map(|name| name.as_str()).collect::<Vec<_>>().join(" ")
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @"
    session_meta
    event_msg task_started
    response_item message
    event_msg user_message
    event_msg item_completed UserMessage
    event_msg task_complete
    event_msg task_started
    response_item message
    event_msg user_message
    event_msg item_completed UserMessage
    event_msg agent_reasoning
    event_msg item_completed Reasoning
    event_msg agent_message commentary
    event_msg item_completed AgentMessage
    response_item message commentary
    response_item function_call exec_command
    event_msg item_completed CommandExecution
    response_item function_call_output
    response_item function_call mcp_server_tool
    event_msg item_completed DynamicToolCall
    response_item function_call_output
    response_item function_call Read
    event_msg item_completed DynamicToolCall
    response_item function_call_output
    event_msg agent_message final_answer
    event_msg item_completed AgentMessage
    response_item message final_answer
    event_msg task_complete
    event_msg task_started
    response_item message
    event_msg user_message
    event_msg item_completed UserMessage
    response_item custom_tool_call apply_patch
    event_msg item_completed DynamicToolCall
    response_item custom_tool_call_output
    event_msg token_count
    event_msg task_complete
    ");
    let mut turn = None;
    for (ordinal, record) in records.iter().enumerate() {
        let payload = &record["payload"];
        assert_eq!(record["ordinal"], ordinal);
        assert!(record["timestamp"].as_str().unwrap().ends_with('Z'));
        match payload["type"].as_str().unwrap_or_default() {
            "task_started" => assert!(turn.replace(payload["turn_id"].clone()).is_none(), "turns do not overlap"),
            "task_complete" => assert_eq!(turn.take(), Some(payload["turn_id"].clone())),
            "item_completed" => assert_eq!(turn.as_ref(), Some(&payload["turn_id"])),
            "function_call" => assert!(payload["arguments"].is_string()),
            _ => {}
        }
        if record["type"] == "response_item" {
            assert!(payload["id"].is_null(), "ids are the maker's to give");
            assert!(payload["type"] != "reasoning");
            assert!(payload["call_id"].as_str().is_none_or(|id| id.len() <= 64));
        }
    }
    assert_eq!(turn, None);
    let meta = &records[0]["payload"];
    assert_eq!(meta["id"], written.plan.native_id);
    assert_eq!(meta["model_provider"], "openai");
    assert!(meta["base_instructions"].is_null());
    assert!(written.plan.file.to_str().unwrap().ends_with(&format!("-{}.jsonl", written.plan.native_id)));
    assert_eq!(written.plan.command, ["codex", "resume", &written.plan.native_id]);
}

fn state_home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join(".codex");
    std::fs::create_dir_all(&root).unwrap();
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/codex-state/state_5.sqlite");
    std::fs::copy(recorded, root.join("state_5.sqlite")).unwrap();
    std::fs::write(root.join("state_4.sqlite"), "an older generation").unwrap();
    home
}

/// Every row of the client's list: id, title, name, preview, times.
fn threads(home: &Path) -> Vec<String> {
    let database = rusqlite::Connection::open(home.join(".codex/state_5.sqlite")).unwrap();
    let sql = "SELECT id || '|' || title || '|' || ifnull(name, '') || '|' || preview || '|' || source || '|' || cwd
        || '|' || rollout_path || '|' || created_at_ms || '|' || recency_at_ms FROM threads ORDER BY created_at";
    let mut statement = database.prepare(sql).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(|row| row.unwrap()).collect()
}

#[test]
fn codex_registration_adds_one_row_and_takes_it_back() {
    let home = state_home();
    let before = threads(home.path());
    let conversation = Conversation { messages: Box::new(foreign().into_iter().map(Ok)), left_out: Vec::new() };
    let about = About { title: Some("A title".into()), ..About::default() };
    let written = Written::in_home(home, conversation, about);
    let writer = codex().writer().unwrap();

    assert_eq!(writer.register(&written.plan, &written.about, &written.target).unwrap(), None);
    let with = threads(written.home.path());
    let (id, cwd, file) = (&written.plan.native_id, written.plan.cwd.display(), written.plan.file.display());
    let row = format!("{id}|A title|A title|Before this: nothing.|cli|{cwd}|{file}|1795348800000|1795348800000");
    assert_eq!(with.iter().filter(|row| !before.contains(row)).collect::<Vec<_>>(), [&row]);
    assert_eq!(with.len(), before.len() + 1);
    let index = std::fs::read(written.home.path().join(".codex/session_index.jsonl")).unwrap();
    insta::assert_snapshot!(
        format!("{:?}", codex().read_index("session_index.jsonl", &index)).replace(id.as_str(), "ID"), @r#"[("ID", Title(Chosen, "A title"))]"#);

    // Twice is refused by the table, in words.
    let again = writer.register(&written.plan, &written.about, &written.target).unwrap();
    assert_eq!(again, Some(format!("it will be listed after its first `codex resume {id}`")));
    assert_eq!(threads(written.home.path()), with);

    writer.unregister(&written.plan, &written.target).unwrap();
    assert_eq!(threads(written.home.path()), before);
}

#[test]
fn codex_registration_leaves_a_strange_database_alone() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(home.path().join(".codex")).unwrap();
    let conversation = Conversation { messages: Box::new(foreign().into_iter().map(Ok)), left_out: Vec::new() };
    let written = Written::in_home(home, conversation, About::default());
    let writer = codex().writer().unwrap();
    let register = || writer.register(&written.plan, &written.about, &written.target).unwrap();
    assert_eq!(register(), None, "without a database the client finds the file itself");

    let database = written.home.path().join(".codex/state_9.sqlite");
    let hint = Some(format!("it will be listed after its first `codex resume {}`", written.plan.native_id));
    std::fs::write(&database, "not a database, but long enough to be taken for one".repeat(100)).unwrap();
    assert_eq!(register(), hint);
    std::fs::remove_file(&database).unwrap();
    let connection = rusqlite::Connection::open(&database).unwrap();
    connection.execute_batch("CREATE TABLE threads (id TEXT, something_new TEXT NOT NULL)").unwrap();
    assert_eq!(register(), hint);
}

#[test]
fn codex_open_session_is_seen_by_its_lock() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".codex/thread-writer-locks");
    std::fs::create_dir_all(&folder).unwrap();
    let lock = std::fs::File::create(folder.join("t.lock")).unwrap();
    let writer = codex().writer().unwrap();
    let at = Home::at(home.path(), home.path());
    assert!(!writer.is_open(&at, "t"), "the file stays when the client ends");
    assert!(!writer.is_open(&at, "other"));
    lock.lock().unwrap();
    assert!(writer.is_open(&at, "t"));
}
