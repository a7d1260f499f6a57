//! The ledger is whole: kept, mapped, degraded and dropped together are what the source holds, and what it says was carried
//! over stands in the file that was written. For every recorded session in every tool's form, for the same with lines
//! damaged, and for conversations that no tool would write.
//!
//! What a conversation holds is counted here anew, from the messages' JSON: the library's own count must not vouch for
//! itself.

use crate::support::file_source::FileSource;
use crate::support::home::TestHome;
use crate::support::written::{claude_file, claude_line, id, import, write};
use proptest::prelude::*;
use serde_json::{Value, json};
use sessionfs::export::{ArchivedSession, Job, Selection};
use sessionfs::home::Home;
use sessionfs::model::conversation::{About, Conversation};
use sessionfs::model::ledger::{Entry, Ledger};
use sessionfs::model::message::{Block, ImageKind, ImageSource, Message, Role, raw};
use sessionfs::store::{Filter, SessionRow, Store};
use sessionfs::tools::{self, Format, Source, StreamInfo, Target, Tool};
use std::collections::BTreeMap;
use std::path::Path;

/// How many of what.
type Census = BTreeMap<&'static str, u64>;

/// What the messages hold, and every text that a person or the model said.
fn census(messages: &[Message]) -> (Census, Vec<String>) {
    let (mut census, mut said) = (Census::new(), Vec::new());
    for message in messages {
        let json = serde_json::to_value(message).unwrap();
        let blocks = json["content"].as_array().unwrap();
        let is_reply = json["role"] == "assistant";
        let is_said =
            is_reply || (["user", "tool"].map(Value::from).contains(&json["role"]) && json["is_meta"] != true);
        let mut texts = 0;
        for block in blocks {
            let text = block["text"].as_str().unwrap_or_default();
            // A block that is not whole is kept as it is.
            let whole = ["text", "tool_use_id", "source"].iter().any(|field| !block[field].is_null());
            let what = match block["type"].as_str().unwrap_or_default() {
                _ if !whole => "other content",
                "text" if is_reply => "assistant messages",
                "text" => {
                    texts += 1;
                    ""
                }
                "thinking" => "thinking",
                "tool_use" => "tool calls",
                "tool_result" => "tool results",
                "image" => "images",
                "summary" => "summaries",
                _ => "other content",
            };
            if !what.is_empty() {
                *census.entry(what).or_default() += 1;
            }
            if is_said && block["type"] == "text" && !text.trim().is_empty() {
                said.push(text.to_owned());
            }
        }
        if texts > 0 {
            *census.entry(if is_said { "user messages" } else { "harness texts" }).or_default() += 1;
        }
    }
    (census, said)
}

/// The pieces of a conversation; anything else in a ledger was left out by the walk, or put in by the writer.
const PIECES: [&str; 9] = [
    "user messages",
    "harness texts",
    "assistant messages",
    "summaries",
    "thinking",
    "tool calls",
    "tool results",
    "images",
    "other content",
];
const PUT_IN: [&str; 3] = ["missing beginning", "missing tool results", "unanswered end"];

fn total(entries: &[&[Entry]], what: &str) -> u64 {
    entries.iter().flat_map(|entries| entries.iter()).filter(|entry| entry.what == what).map(|entry| entry.count).sum()
}

fn about(tool: &'static str) -> About {
    About { tool, native_id: "source".into(), cwd: Some("/home/dev/work/x".into()), ..About::default() }
}

fn target() -> Target {
    let home = Path::new("/home/dev");
    Target {
        home: Home::at(home, &home.join(".sessionfs")),
        cwd: "/home/dev/work/x".into(),
        native_id: None,
        now: "2026-11-22T10:00:00Z".parse().unwrap(),
    }
}

fn format_of(tool: &dyn Tool) -> Format {
    match tool.id() {
        "claude-code" => Format::ClaudeCodeJsonl,
        "codex" => Format::CodexRollout,
        "gemini" => Format::GeminiJsonl,
        other => panic!("which format does the writer of {other} write?"),
    }
}

fn live(source: &dyn Source) -> Option<Vec<Message>> {
    tools::conversation(source).ok()?.messages.collect::<Result<_, _>>().ok()
}

/// What is wrong with the ledger of `messages`, written by every tool's writer.
fn problems(from: &'static str, messages: &[Message], left_out: &[(&'static str, &'static str, u64)]) -> Vec<String> {
    let writable = tools::ALL.iter().copied().filter(|tool| tool.writer().is_some());
    writable.flat_map(|to| problems_in(from, messages, left_out, to)).collect()
}

fn problems_in(
    from: &'static str,
    messages: &[Message],
    left_out: &[(&'static str, &'static str, u64)],
    to: &'static dyn Tool,
) -> Vec<String> {
    let (writer, about, target, mut bytes) = (to.writer().unwrap(), about(from), target(), Vec::new());
    let plan = writer.plan(&about, &target).unwrap();
    let again = Box::new(messages.iter().cloned().map(Ok));
    let conversation = Conversation { messages: again, left_out: left_out.to_vec() };
    // Nothing to resume is an error, which says so.
    let Ok(ledger) = writer.write(&plan, &about, &target, conversation, &mut bytes) else { return Vec::new() };
    let Ledger { kept, mapped, degraded, dropped } = &ledger;
    let (source, said) = census(messages);
    let mut found = Vec::new();
    let mut equal = |what: &str, expected: u64, actual: u64, where_: &str| {
        if expected != actual {
            found.push(format!("{from} → {}: {expected} {what} in the source, {actual} {where_}", to.id()));
        }
    };
    for what in PIECES {
        let counted = total(&[kept, mapped, degraded, dropped], what);
        equal(what, source.get(what).copied().unwrap_or_default(), counted, "in the ledger");
    }
    for (what, _, _) in left_out {
        let expected = left_out.iter().filter(|(other, ..)| other == what).map(|(.., count)| count).sum();
        equal(what, expected, total(&[dropped], what), "in the ledger");
    }
    let written = FileSource::of(to, &plan.native_id, "main", format_of(to), &bytes);
    let written = live(&written).unwrap();
    let (there, _) = census(&written);
    let carried = |what| total(&[kept, mapped, degraded], what);
    let held = |what| there.get(what).copied().unwrap_or_default();
    equal("tool calls", carried("tool calls"), held("tool calls"), "were written");
    let results = carried("tool results") + total(&[degraded], "missing tool results");
    equal("tool results", results, held("tool results"), "were written");
    equal("images", total(&[kept, mapped], "images"), held("images"), "were written");
    equal(
        "thinking",
        total(&[kept], "thinking"),
        held("thinking") * u64::from(to.id() == "claude-code"),
        "were written",
    );
    let known = |entry: &&Entry| {
        let what = entry.what.as_str();
        PIECES.contains(&what) || PUT_IN.contains(&what) || left_out.iter().any(|(other, ..)| *other == what)
    };
    for entry in [kept, mapped, degraded, dropped].into_iter().flatten().filter(|entry| !known(entry)) {
        found.push(format!("{from} → {}: nobody knows what {} are", to.id(), entry.what));
    }
    // Whoever it is said to have said it.
    let texts = written.iter().flat_map(|message| &message.content).filter_map(|block| match block {
        Block::Text(text) | Block::Summary { text, .. } => Some(text.as_str()),
        _ => None,
    });
    let all = texts.collect::<Vec<_>>().join("\n");
    let mut rest = all.as_str();
    for text in said {
        match rest.find(text.trim()) {
            Some(at) => rest = &rest[at + text.trim().len()..],
            None => found.push(format!("{from} → {}: {text:?} was said, but not written in its place", to.id())),
        }
    }
    found
}

/// Every recorded session: its case, its tool and itself.
fn recorded() -> Vec<(String, &'static dyn Tool, FileSource)> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut sessions = Vec::new();
    for tool in tools::ALL.iter().copied() {
        let folder = fixtures.join(tool.id().strip_suffix("-code").unwrap_or(tool.id()));
        for case in walkdir::WalkDir::new(folder).min_depth(1).max_depth(1).sort_by_file_name() {
            let case = case.unwrap();
            let found = FileSource::all(tool, case.path());
            let name = |session: &FileSource| format!("{} {}", case.file_name().display(), session.native_id());
            sessions.extend(found.into_iter().map(|session| (name(&session), tool, session)));
        }
    }
    sessions
}

#[test]
fn nothing_of_a_recorded_session_is_unaccounted_for() {
    let mut found = Vec::new();
    let mut checked = 0;
    for (case, tool, session) in recorded() {
        let Ok(conversation) = tools::conversation(&session) else { continue };
        let left_out = conversation.left_out.clone();
        let messages: Vec<Message> = conversation.messages.map(Result::unwrap).collect();
        found.extend(problems(tool.id(), &messages, &left_out).into_iter().map(|problem| format!("{case}: {problem}")));
        checked += 1;
    }
    assert!(checked >= 50, "only {checked} sessions were found");
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// What may happen to a line of a file.
#[derive(Clone, Debug)]
enum Damage {
    Lost(usize),
    Twice(usize),
    Swapped(usize, usize),
    Cut(usize),
    Changed(usize, u8),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        any::<usize>().prop_map(Damage::Lost),
        any::<usize>().prop_map(Damage::Twice),
        (any::<usize>(), any::<usize>()).prop_map(|(a, b)| Damage::Swapped(a, b)),
        any::<usize>().prop_map(Damage::Cut),
        (any::<usize>(), b' '..b'~').prop_map(|(at, byte)| Damage::Changed(at, byte)),
    ]
}

fn damaged(bytes: &[u8], damages: &[Damage]) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    for damage in damages {
        let count = lines.len().max(1);
        match *damage {
            Damage::Lost(at) if !lines.is_empty() => drop(lines.remove(at % count)),
            Damage::Twice(at) if !lines.is_empty() => lines.insert(at % count, lines[at % count].clone()),
            Damage::Swapped(a, b) if !lines.is_empty() => lines.swap(a % count, b % count),
            Damage::Cut(at) if !lines.is_empty() => {
                let line = &mut lines[at % count];
                line.truncate(at % line.len().max(1));
            }
            Damage::Changed(at, byte) if !lines.is_empty() => {
                let line = &mut lines[at % count];
                let place = at % line.len().max(1);
                if let Some(old) = line.get_mut(place).filter(|old| **old != b'\n') {
                    *old = byte;
                }
            }
            _ => {}
        }
    }
    lines.concat()
}

fn main_of(session: &FileSource) -> Option<(StreamInfo, Vec<u8>)> {
    let main = session.newest("main")?.clone();
    let bytes = session.bytes(&main, 0, main.length).ok()?;
    Some((main, bytes))
}

fn block() -> impl Strategy<Value = Block> {
    let text = prop_oneof![Just(String::new()), Just(" \n".to_owned()), "[a-z /é]{1,8}", Just("/help".to_owned())];
    let id = "[a-c]";
    let image = (any::<bool>(), any::<bool>()).prop_map(|(inside, broken)| ImageSource {
        kind: if inside { ImageKind::Base64 } else { ImageKind::Path },
        data: if broken { "?".into() } else { "iVBORw0KGgo=".into() },
        media_type: Some("image/png".into()),
    });
    let call = prop_oneof![
        Just(("Bash", json!({"command": "ls", "description": "List"}))),
        Just(("exec_command", json!({"cmd": "ls", "workdir": "/w", "tty": true}))),
        Just(("run_shell_command", json!({"command": "ls", "is_background": true}))),
        Just(("Edit", json!({"file_path": "a", "old_string": "x", "new_string": "y", "replace_all": true}))),
        Just(("write_file", json!({"file_path": "a", "content": "x\n"}))),
        Just(("apply_patch", json!({"input": "*** Begin Patch\n*** Add File: a\n+x\n*** End Patch"}))),
        Just(("update_plan", json!({"plan": [{"step": "a", "status": "pending"}]}))),
        Just(("odd name", json!([1]))),
    ];
    prop_oneof![
        4 => text.clone().prop_map(Block::Text),
        1 => (text.clone(), any::<bool>(), any::<bool>()).prop_map(|(text, signed, short)| Block::Thinking {
            redacted: text.is_empty(),
            summary: short.then(|| text.clone()),
            text,
            signature: signed.then(|| "s".into()),
        }),
        3 => (id, call).prop_map(|(id, (name, input))| Block::ToolUse { id, name: name.into(), input: raw(&input) }),
        3 => (id, text.clone(), any::<bool>()).prop_map(|(id, content, is_error)| {
            Block::ToolResult { id, content, is_error, exit_code: None, duration_ms: None }
        }),
        1 => image.prop_map(Block::Image),
        1 => text.prop_map(|text| Block::Summary { text, through: None }),
        1 => Just(Block::Other(raw(&json!({"type": "strange"})))),
    ]
}

/// What is wrong with the ledger of a part of an archived session, for every tool: the pieces have to be those of the source
/// as it was at the position, and nothing but notes is put in.
fn problems_of_part(store: &Store, row: &SessionRow, selection: &Selection) -> Vec<String> {
    let mut found = Vec::new();
    let Ok(source) = selection.open(store, row) else { return found };
    let Ok(messages) = source.conversation().unwrap().messages.collect::<Result<Vec<_>, _>>() else { return found };
    let (held, _) = census(&messages);
    let about = source.about(&store.summary(row.id).unwrap());
    for to in tools::ALL.iter().filter(|tool| tool.writer().is_some()) {
        let (writer, target) = (to.writer().unwrap(), target());
        let plan = writer.plan(&about, &target).unwrap();
        let job = Job { session: row, selection, writer, plan: &plan, target: &target };
        let mut bytes = Vec::new();
        // What does not fit is refused.
        let Ok(written) = job.write(store, &mut bytes) else { continue };
        let Ledger { kept, mapped, degraded, dropped } = &written.ledger;
        let mut equal = |what: &str, expected: u64, actual: u64| {
            if expected != actual {
                found.push(format!("{selection:?} → {}: {expected} {what}, {actual} in the ledger", to.id()));
            }
        };
        for what in PIECES {
            let counted = total(&[kept, mapped, degraded, dropped], what);
            equal(what, held.get(what).copied().unwrap_or_default(), counted);
        }
        let written = FileSource::of(*to, &plan.native_id, "main", format_of(*to), &bytes);
        let contents: Vec<Vec<Block>> = live(&written).unwrap().into_iter().map(|message| message.content).collect();
        let text = format!("{contents:?}");
        equal("notes", text.matches("[Left out here so that").count() as u64, total(&[degraded], "notes"));
        let trimmed = degraded.iter().filter(|entry| entry.detail == "trimmed to fit into the budget");
        equal("trimmed", text.matches("of this output left out;").count() as u64, trimmed.map(|e| e.count).sum());
    }
    found
}

/// The session's parts: what fits into budgets, and what begins or ends at each of its messages.
fn parts(store: &Store, row: &SessionRow) -> Vec<Selection> {
    let source = ArchivedSession::open(store, row.clone()).unwrap();
    let ids = source.conversation().unwrap().messages.map(|message| message.unwrap().id);
    let ids: Vec<String> = ids.collect();
    let step = ids.len().div_ceil(12).max(1);
    let budgets = [200, 400, 800, 1_600, 3_200].map(Some);
    let mut parts: Vec<Selection> =
        budgets.iter().map(|budget| Selection { budget: *budget, ..Selection::default() }).collect();
    for (n, id) in ids.iter().enumerate().step_by(step) {
        let (at, from, budget) = (Some(id.clone()), Some(id.clone()), budgets[n % budgets.len()]);
        parts.push(Selection { at: at.clone(), ..Selection::default() });
        parts.push(Selection { from: from.clone(), ..Selection::default() });
        parts.push(Selection { at, budget, ..Selection::default() });
        parts.push(Selection { from, budget, ..Selection::default() });
    }
    parts
}

#[test]
fn nothing_of_a_part_is_unaccounted_for() {
    let (mut found, mut checked) = (Vec::new(), 0);
    let cases = [
        "claude/agent",
        "claude/i_compact",
        "claude/long",
        "claude/readpng",
        "claude/thinktool",
        "codex/codemode_openai",
        "codex/image",
        "codex/shell",
        "gemini/image",
        "gemini/tools",
    ];
    for case in cases {
        let home = TestHome::with(&[case]);
        let lines =
            (0..16).map(|n| claude_line(&id(1), n, "user", "")).zip(0..).map(|(mut line, n): (Value, usize)| {
                let call = format!("call_{}", n / 4);
                let output = format!("out {}", "word ".repeat(100 * n));
                let (role, content) = match n % 4 {
                    0 => ("user", json!(format!("Question {n}"))),
                    1 => (
                        "assistant",
                        json!([{"type": "tool_use", "id": call, "name": "Bash", "input": {"command": "x"}}]),
                    ),
                    2 => ("user", json!([{"type": "tool_result", "tool_use_id": call, "content": output}])),
                    _ => ("assistant", json!([{"type": "text", "text": "an answer"}])),
                };
                line["type"] = json!(role);
                line["message"] = json!({"role": role, "content": content, "id": format!("msg_{n}")});
                format!("{line}\n")
            });
        write(&claude_file(&home, &id(1)), lines.collect::<String>());
        import(&home);
        let store = Store::open(&Home::at(home.path(), &home.path().join(".sessionfs"))).unwrap();
        for (row, _) in store.list(&Filter::default()).unwrap() {
            for part in parts(&store, &row) {
                found.extend(problems_of_part(&store, &row, &part).into_iter().map(|fault| format!("{case}: {fault}")));
                checked += 1;
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(checked > 300, "{checked} parts only");
}

fn message() -> impl Strategy<Value = Message> {
    let role = prop_oneof![
        3 => Just(Role::User), 4 => Just(Role::Assistant), 3 => Just(Role::Tool), 1 => Just(Role::System),
        1 => Just(Role::Developer),
    ];
    (role, prop::collection::vec(block(), 1..4), prop::bool::weighted(0.1), prop::bool::weighted(0.1)).prop_map(
        |(role, content, is_meta, is_context)| {
            let mut message = Message::new("m", role);
            (message.content, message.is_meta) = (content, is_meta);
            if is_context {
                message.metadata.insert("context".into(), "file".into());
            }
            message
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_of_a_damaged_session_is_unaccounted_for(
        at in any::<prop::sample::Index>(),
        damages in prop::collection::vec(damage(), 1..8),
    ) {
        let mut sessions = recorded();
        let (case, tool, session) = sessions.swap_remove(at.index(sessions.len()));
        let Some((main, bytes)) = main_of(&session) else { return Ok(()) };
        let source = FileSource::of(tool, session.native_id(), "main", main.format, &damaged(&bytes, &damages));
        let Some(messages) = live(&source) else { return Ok(()) };
        let found = problems(tool.id(), &messages, &[]);
        prop_assert!(found.is_empty(), "{case}: {}", found.join("\n"));
    }

    #[test]
    fn nothing_of_any_conversation_is_unaccounted_for(
        messages in prop::collection::vec(message(), 1..12),
        from in prop::sample::select(vec!["claude-code", "codex", "gemini", "unknown"]),
    ) {
        let found = problems(from, &messages, &[("messages", "on an abandoned branch", 3)]);
        prop_assert!(found.is_empty(), "{}", found.join("\n"));
    }
}
