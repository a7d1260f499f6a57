//! Sessions written by hand, and what must hold for any home once its sessions are captured.

use super::home::{Run, TestHome};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where the tools keep their sessions, below the home.
pub const FOLDERS: [&str; 3] = [".claude/projects", ".codex/sessions", ".codex/archived_sessions"];

/// Content by path below the home.
pub type Files = BTreeMap<PathBuf, Vec<u8>>;

/// A session id that ends in `number`.
pub fn id(number: u32) -> String {
    format!("11111111-2222-4333-8444-{number:012}")
}

/// The file of a Claude Code session of the project `/home/dev/work/project`.
pub fn claude_file(home: &TestHome, id: &str) -> PathBuf {
    home.path().join(".claude/projects/-home-dev-work-project").join(format!("{id}.jsonl"))
}

/// The file of a Codex session.
pub fn codex_file(home: &TestHome, id: &str) -> PathBuf {
    home.path().join(".codex/sessions/2026/11/22").join(format!("rollout-2026-11-22T10-00-00-{id}.jsonl"))
}

/// One line of a Claude Code session: a question or an answer, `number` in the tree and in time.
pub fn claude_line(session: &str, number: u32, role: &str, text: &str) -> Value {
    let uuid = |number: u32| format!("22222222-2222-4333-8444-{number:012}");
    json!({
        "parentUuid": number.checked_sub(1).map(uuid),
        "isSidechain": false,
        "userType": "external",
        "cwd": "/home/dev/work/project",
        "sessionId": session,
        "version": "2.1.330",
        "gitBranch": "main",
        "type": role,
        "message": {"role": role, "content": [{"type": "text", "text": text}]},
        "uuid": uuid(number),
        "timestamp": format!("2026-11-22T10:{:02}:{:02}.000Z", number / 60 % 60, number % 60),
    })
}

/// So many questions with their answers.
pub fn claude_session(session: &str, turns: u32) -> String {
    let turn = |n: u32| {
        let question = claude_line(session, 2 * n, "user", &format!("Question {n}"));
        let answer = claude_line(session, 2 * n + 1, "assistant", &format!("Answer {n}"));
        format!("{question}\n{answer}\n")
    };
    (0..turns).map(turn).collect()
}

/// A Codex session of one question and its answer.
pub fn codex_session(session: &str) -> String {
    let line = |second: u32, kind: &str, payload: &Value| {
        let at = format!("2026-11-22T10:00:{second:02}.000Z");
        format!("{}\n", json!({"timestamp": at, "type": kind, "payload": payload}))
    };
    let said = |role: &str, kind: &str, text: &str| json!({"type": "message", "role": role, "content": [{"type": kind, "text": text}]});
    let meta = json!({"id": session, "timestamp": "2026-11-22T10:00:00.000Z", "cwd": "/home/dev/work/project",
        "originator": "codex_cli_rs", "cli_version": "0.169.0", "source": "cli", "model_provider": "openai"});
    [
        line(0, "session_meta", &meta),
        line(1, "response_item", &said("user", "input_text", "Question 0")),
        line(1, "event_msg", &json!({"type": "user_message", "message": "Question 0"})),
        line(2, "response_item", &said("assistant", "output_text", "Answer 0")),
    ]
    .concat()
}

/// Writes a file and the folders above it.
pub fn write(path: &Path, content: impl AsRef<[u8]>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

/// Appends to a file.
pub fn append(path: &Path, content: impl AsRef<[u8]>) {
    use std::io::Write;
    std::fs::OpenOptions::new().append(true).open(path).unwrap().write_all(content.as_ref()).unwrap();
}

/// A home with one Claude Code session of two turns, captured; and the session's file.
pub fn home_with_a_session() -> (TestHome, PathBuf) {
    let home = TestHome::new();
    let file = claude_file(&home, &id(1));
    write(&file, claude_session(&id(1), 2));
    import(&home);
    (home, file)
}

/// `sfs import`, which must succeed.
pub fn import(home: &TestHome) -> Run {
    let run = home.sfs(&["import"]);
    assert_eq!(run.code, Some(0), "{run}");
    run
}

/// The ids of all sessions.
pub fn sessions(home: &TestHome) -> Vec<String> {
    let run = home.sfs(&["list", "--all", "-q"]);
    assert_eq!(run.code, Some(0), "{run}");
    run.stdout.lines().map(str::to_owned).collect()
}

/// All files below the folders in which tools keep sessions.
pub fn native_files(home: &TestHome) -> Files {
    let mut files = Files::new();
    for folder in FOLDERS {
        for (path, bytes) in files_below(&home.path().join(folder)) {
            files.insert(Path::new(folder).join(path), bytes);
        }
    }
    files
}

/// All regular files of a folder.
pub fn files_below(folder: &Path) -> Files {
    let entries = walkdir::WalkDir::new(folder).into_iter().flatten().filter(|entry| entry.file_type().is_file());
    entries
        .map(|entry| (entry.path().strip_prefix(folder).unwrap().to_owned(), std::fs::read(entry.path()).unwrap()))
        .collect()
}

/// What `sfs export --format native` gives for all sessions.
pub fn exported(home: &TestHome) -> Files {
    let mut files = Files::new();
    for id in sessions(home) {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().to_str().unwrap();
        let run = home.sfs(&["export", &id, "--format", "native", "-o", target]);
        assert_eq!(run.code, Some(0), "{run}");
        for (path, bytes) in files_below(folder.path()) {
            let root = if path.starts_with("projects") { ".claude" } else { ".codex" };
            assert!(files.insert(Path::new(root).join(&path), bytes).is_none(), "{} twice", path.display());
        }
    }
    files
}

/// Fails where two sets of files differ, and names the files.
pub fn assert_same_files(actual: &Files, expected: &Files) {
    let names = |files: &Files| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(actual), names(expected));
    for (path, bytes) in expected {
        assert!(actual[path] == *bytes, "{} differs", path.display());
    }
}

/// What the archive tells of every session.
pub fn told(home: &TestHome) -> Vec<Value> {
    let mut all = vec![home.json(&["list", "--all", "--json"])];
    all.extend(sessions(home).iter().map(|id| shown(home, id)));
    all
}

/// All that `sfs show` tells of a session, but for the device: each home is one of its own.
pub fn shown(home: &TestHome, id: &str) -> Value {
    let mut shown = home.json(&["show", id, "--json", "-m", "--cost"]);
    for branch in shown["branches"].as_array_mut().unwrap() {
        branch.as_object_mut().unwrap().remove("device");
    }
    shown
}

/// What must hold whatever was captured: every hash is right, and what is derived can be derived again.
pub fn assert_sound(home: &TestHome) {
    let check = home.sfs(&["admin", "check"]);
    assert_eq!(check.code, Some(0), "{check}");
    let before = told(home);
    let reindex = home.sfs(&["admin", "reindex", "--local"]);
    assert_eq!(reindex.code, Some(0), "{reindex}");
    for (before, after) in before.iter().zip(told(home)) {
        assert_eq!(*before, after, "not the same after a rebuild");
    }
}

/// [`assert_sound`], and every session file comes out of the archive as it lies in the home.
pub fn assert_faithful(home: &TestHome) {
    assert_same_files(&exported(home), &native_files(home));
    assert_sound(home);
}
