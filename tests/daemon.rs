//! The daemon as a process: what it captures while it runs, what it makes up for after it did not.

use crate::support::cursor;
use rustix::process::{Pid, Signal, kill_process};
use sessionfs::daemon;
use sessionfs::home::Home;
use sessionfs::store::{ChunkCache, SessionRow, Store, Stream};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// No test says how fast the daemon is, only that it gets there.
const PATIENCE: Duration = Duration::from_secs(20);
const CLAUDE_ID: &str = "0d5d7ac1-7c4c-4a52-9f39-3d6c4a1e0001";
const CODEX_ID: &str = "0d5d7ac1-7c4c-7a52-9f39-3d6c4a1e0002";

struct Machine {
    folder: tempfile::TempDir,
    home: Home,
}

/// Killed with the test that started it.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Daemon {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    fn ends_with(&mut self) -> Option<i32> {
        self.0.wait().unwrap().code()
    }
}

impl Machine {
    /// A home in which both tools have been started once.
    fn new() -> Machine {
        let machine = Machine::empty();
        fs::create_dir_all(machine.claude("")).unwrap();
        fs::create_dir_all(machine.codex("")).unwrap();
        machine
    }

    fn empty() -> Machine {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap();
        Machine { home: Home::at(&path, &path.join(".sessionfs")), folder }
    }

    fn claude(&self, below: &str) -> PathBuf {
        self.home.user.join(".claude/projects").join(below)
    }

    fn codex(&self, below: &str) -> PathBuf {
        self.home.user.join(".codex/sessions").join(below)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sessionfs"));
        command.args(words).env_clear().env("HOME", &self.home.user).current_dir(self.folder.path());
        command.stdin(Stdio::null());
        command
    }

    fn sfs(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// Starts a daemon and waits until it watches.
    fn daemon(&self) -> Daemon {
        self.begin(self.command(&["daemon", "run"]))
    }

    fn begin(&self, mut command: Command) -> Daemon {
        let child = command.stderr(Stdio::null()).spawn().unwrap();
        let pid = child.id();
        let daemon = Daemon(child);
        eventually("the daemon runs", || {
            let status = daemon::status(&self.home).unwrap();
            status.pid == Some(pid) && status.since.is_some()
        });
        daemon
    }

    fn session(&self, tool: &str, native_id: &str) -> Option<SessionRow> {
        if !self.home.database().exists() {
            return None;
        }
        Store::open(&self.home).unwrap().find_native(tool, native_id).unwrap()
    }

    fn messages(&self, tool: &str, native_id: &str) -> u64 {
        let Some(row) = self.session(tool, native_id) else { return 0 };
        Store::open(&self.home).unwrap().summary(row.id).unwrap().message_count
    }

    fn streams(&self, tool: &str, native_id: &str) -> Vec<Stream> {
        let Some(row) = self.session(tool, native_id) else { return Vec::new() };
        let streams = Store::open(&self.home).unwrap().streams(row.id).unwrap();
        streams.into_iter().filter(|stream| stream.name != "facts").collect()
    }

    fn bytes(&self, stream: &Stream) -> Vec<u8> {
        let store = Store::open(&self.home).unwrap();
        store.read_range(stream, 0, stream.length, &mut ChunkCache::default()).unwrap()
    }

    fn watcher(&self, tool: &str) -> daemon::Watcher {
        let status = daemon::status(&self.home).unwrap();
        status.watchers.into_iter().find(|watcher| watcher.tool == tool).unwrap()
    }
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn claude_line(number: u32) -> String {
    let parent = if number == 0 { "null".to_owned() } else { format!("\"{}\"", message_id(number - 1)) };
    format!(
        "{{\"parentUuid\":{parent},\"isSidechain\":false,\"cwd\":\"/w\",\"sessionId\":\"{CLAUDE_ID}\",\
         \"version\":\"2.1.5\",\"type\":\"user\",\"message\":{{\"role\":\"user\",\"content\":\"Question {number}?\"}},\
         \"uuid\":\"{}\",\"timestamp\":\"2026-11-22T10:00:00.000Z\"}}\n",
        message_id(number)
    )
}

fn message_id(number: u32) -> String {
    format!("5f1d7ac1-7c4c-4a52-9f39-{number:012}")
}

fn codex_lines(native_id: &str) -> String {
    format!(
        "{{\"timestamp\":\"2026-11-22T10:00:00.000Z\",\"type\":\"session_meta\",\"payload\":{{\"id\":\"{native_id}\",\
         \"timestamp\":\"2026-11-22T10:00:00.000Z\",\"cwd\":\"/w\",\"originator\":\"codex_cli_rs\",\
         \"cli_version\":\"0.110.0\"}}}}\n\
         {{\"timestamp\":\"2026-11-22T10:00:01.000Z\",\"type\":\"response_item\",\"payload\":{{\"type\":\"message\",\
         \"role\":\"user\",\"content\":[{{\"type\":\"input_text\",\"text\":\"Hello?\"}}]}}}}\n"
    )
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn begin_claude(machine: &Machine) -> PathBuf {
    fs::create_dir_all(machine.claude("-w")).unwrap();
    let path = machine.claude(&format!("-w/{CLAUDE_ID}.jsonl"));
    append(&path, &claude_line(0));
    path
}

#[test]
fn a_session_is_captured_and_grows() {
    let machine = Machine::new();
    let _daemon = machine.daemon();
    let path = begin_claude(&machine);
    eventually("the first line is captured", || machine.messages("claude-code", CLAUDE_ID) == 1);
    append(&path, &claude_line(1));
    eventually("the second line is captured", || machine.messages("claude-code", CLAUDE_ID) == 2);
    let (begin, end) = (&claude_line(2)[..40], &claude_line(2)[40..]);
    append(&path, begin);
    eventually("half a line is archived", || {
        machine.streams("claude-code", CLAUDE_ID)[0].length == fs::metadata(&path).unwrap().len()
    });
    assert_eq!(machine.messages("claude-code", CLAUDE_ID), 2);
    append(&path, end);
    eventually("and read when it is whole", || machine.messages("claude-code", CLAUDE_ID) == 3);
    assert_eq!(machine.bytes(&machine.streams("claude-code", CLAUDE_ID)[0]), fs::read(&path).unwrap());
}

#[test]
fn a_row_is_captured_and_replaced() {
    let machine = Machine::empty();
    let id = "0d5d7ac1-7c4c-4a52-9f39-3d6c4a1e0003";
    let _daemon = machine.daemon();
    assert_eq!(machine.watcher("cursor").state, daemon::State::Waiting);
    let cursor = cursor::Cursor::empty(&machine.home.user);
    let writer = cursor.open();
    cursor::put_session(&writer, id, &[("b1", "Hello?")]);
    eventually("the first row is captured", || machine.messages("cursor", id) == 1);
    cursor::put_session(&writer, id, &[("b1", "Hello?"), ("b2", "Hi")]);
    eventually("the second one is captured", || machine.messages("cursor", id) == 2);
    let length = |machine: &Machine| machine.streams("cursor", id)[0].length;
    let before = length(&machine);
    cursor::put_bubble(&writer, id, "b2", 2, "Hi there.");
    eventually("a newer version is captured", || length(&machine) > before);
    assert_eq!(machine.messages("cursor", id), 2);
    let watcher = machine.watcher("cursor");
    assert_eq!((watcher.state, watcher.last_error), (daemon::State::Watching, None));
}

/// Each folder of the way is made when the one above it has been seen.
#[test]
fn a_database_whose_folders_come_one_by_one_is_watched() {
    let machine = Machine::empty();
    let _daemon = machine.daemon();
    let mut folder = machine.home.user.clone();
    for part in [".config", "Cursor", "User", "globalStorage"] {
        folder.push(part);
        fs::create_dir(&folder).unwrap();
        std::thread::sleep(Duration::from_millis(300));
    }
    eventually("it is watched", || machine.watcher("cursor").state == daemon::State::Watching);
}

#[test]
fn transcripts_beside_cursors_database_are_followed() {
    let machine = Machine::empty();
    let _daemon = machine.daemon();
    let id = "0d5d7ac1-7c4c-4a52-9f39-3d6c4a1e0005";
    let line = |role: &str| {
        format!("{{\"role\":\"{role}\",\"message\":{{\"content\":[{{\"type\":\"text\",\"text\":\"Hi\"}}]}}}}\n")
    };
    let folder = machine.home.user.join(".cursor/projects/home-me-work/agent-transcripts").join(id);
    fs::create_dir_all(&folder).unwrap();
    append(&folder.join(format!("{id}.jsonl")), &line("user"));
    eventually("the prompt is captured", || machine.messages("cursor", id) == 1);
    append(&folder.join(format!("{id}.jsonl")), &line("assistant"));
    eventually("the reply is captured", || machine.messages("cursor", id) == 2);
    assert_eq!(machine.watcher("cursor").state, daemon::State::Watching);
    // What the database has, it tells.
    let cursor = cursor::Cursor::empty(&machine.home.user);
    let writer = cursor.open();
    cursor::put_session(&writer, id, &[("b1", "Hi"), ("b2", "Hi"), ("b3", "Go on"), ("b4", "No")]);
    eventually("its rows are captured", || machine.messages("cursor", id) == 4);
    append(&folder.join(format!("{id}.jsonl")), &line("user"));
    fs::remove_dir_all(machine.home.user.join(".cursor")).unwrap();
    cursor::put_session(&writer, id, &[("b1", "Hi"), ("b2", "Hi"), ("b3", "Go on"), ("b4", "No"), ("b5", "Why?")]);
    eventually("and nothing else", || machine.messages("cursor", id) == 5);
}

/// Cursor keeps its connection open. Looking is an event too, and a session's rows come in more than one commit: neither
/// may make the next look wait for the pace of a busy database, which is 5 s.
#[test]
fn rows_that_come_after_each_other_need_not_wait() {
    let machine = Machine::empty();
    let id = "0d5d7ac1-7c4c-4a52-9f39-3d6c4a1e0004";
    let cursor = cursor::Cursor::empty(&machine.home.user);
    let writer = cursor.open();
    cursor::put_session(&writer, id, &[("b1", "Hello?")]);
    let _daemon = machine.daemon();
    eventually("what was there is captured", || machine.messages("cursor", id) == 1);
    let begin = Instant::now();
    let bubbles = ["b1", "b2", "b3", "b4"];
    for count in 2..=bubbles.len() {
        cursor::put_bubble(&writer, id, bubbles[count - 1], 1 + count % 2, "More");
        cursor::put_composer(&writer, id, &bubbles[..count]);
        eventually("one more is captured", || machine.messages("cursor", id) == count as u64);
    }
    assert!(begin.elapsed() < Duration::from_secs(10), "three looks at a pace take 15 s: {:?}", begin.elapsed());
}

/// No event tells of the moment at which a commit counts.
#[test]
fn the_last_of_many_commits_is_seen() {
    let machine = Machine::empty();
    let cursor = cursor::Cursor::empty(&machine.home.user);
    let writer = cursor.open();
    let _daemon = machine.daemon();
    let id = |n: u32| format!("0d5d7ac1-7c4c-4a52-9f39-3d6c4a1e01{n:02}");
    for n in 0..60 {
        cursor::put_session(&writer, &id(n), &[("b1", "Hello?"), ("b2", "Hi")]);
        // The log begins anew: what is written next has its old size.
        if n % 3 == 0 {
            writer.execute_batch("PRAGMA wal_checkpoint(RESTART)").unwrap();
        }
        std::thread::sleep(Duration::from_millis(u64::from(n * 7 % 40)));
    }
    eventually("all of them", || (0..60).all(|n| machine.messages("cursor", &id(n)) == 2));
}

#[test]
fn files_in_fresh_nested_folders_are_captured() {
    let machine = Machine::new();
    let _daemon = machine.daemon();
    let id = |n: u32| format!("0d5d7ac1-7c4c-7a52-9f39-{n:012}");
    for number in 0..100 {
        let folder = machine.codex(&format!("{}/{:02}/{:02}", 2000 + number, 1 + number % 12, 1 + number % 28));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join(format!("rollout-2026-11-22T10-00-00-{}.jsonl", id(number)));
        append(&file, &codex_lines(&id(number)));
        std::thread::sleep(Duration::from_millis(u64::from(number % 7)));
    }
    eventually("all of them", || machine.watcher("codex").sessions == 100);
}

#[test]
fn a_moved_file_goes_on_with_its_stream() {
    let machine = Machine::new();
    let _daemon = machine.daemon();
    let name = format!("rollout-2026-11-22T10-00-00-{CODEX_ID}.jsonl");
    let (day, archive) = (machine.codex("2026/11/22"), machine.home.user.join(".codex/archived_sessions"));
    fs::create_dir_all(&day).unwrap();
    append(&day.join(&name), &codex_lines(CODEX_ID));
    eventually("it is captured", || machine.watcher("codex").sessions == 1);

    fs::create_dir(&archive).unwrap();
    fs::rename(day.join(&name), archive.join(&name)).unwrap();
    let moved = format!("archived_sessions/{name}");
    eventually("the move is seen", || {
        machine.streams("codex", CODEX_ID)[0].native_path.as_deref() == Some(moved.as_str())
    });
    let streams = machine.streams("codex", CODEX_ID);
    assert_eq!((streams.len(), streams[0].generation), (1, 0));
    assert_eq!(machine.watcher("codex").gone_but_safe, 0);
}

#[test]
fn a_renamed_folder_takes_its_files_along() {
    let machine = Machine::new();
    let _daemon = machine.daemon();
    begin_claude(&machine);
    eventually("it is captured", || machine.messages("claude-code", CLAUDE_ID) == 1);
    fs::rename(machine.claude("-w"), machine.claude("-v")).unwrap();
    append(&machine.claude(&format!("-v/{CLAUDE_ID}.jsonl")), &claude_line(1));
    eventually("it goes on under the new name", || machine.messages("claude-code", CLAUDE_ID) == 2);
    assert_eq!(machine.streams("claude-code", CLAUDE_ID).len(), 1);
    assert_eq!(machine.watcher("claude-code").gone_but_safe, 0);
}

#[test]
fn a_rewritten_file_starts_a_new_generation() {
    let machine = Machine::new();
    let _daemon = machine.daemon();
    let path = begin_claude(&machine);
    append(&path, &claude_line(1));
    eventually("it is captured", || machine.messages("claude-code", CLAUDE_ID) == 2);
    fs::write(&path, claude_line(2)).unwrap();
    eventually("both generations are there", || {
        let generations: Vec<u64> = machine.streams("claude-code", CLAUDE_ID).iter().map(|s| s.length).collect();
        generations.contains(&(claude_line(0) + &claude_line(1)).len().try_into().unwrap())
            && generations.last() == Some(&(claude_line(2).len() as u64))
    });
}

#[test]
fn what_the_tool_deletes_is_gone_there_but_safe_here() {
    let machine = Machine::new();
    let _daemon = machine.daemon();
    let path = begin_claude(&machine);
    eventually("it is captured", || machine.messages("claude-code", CLAUDE_ID) == 1);
    fs::remove_file(&path).unwrap();
    eventually("it is gone", || machine.watcher("claude-code").gone_but_safe == 1);
    assert_eq!(machine.watcher("claude-code").sessions, 1);
    append(&path, &(claude_line(0) + &claude_line(1)));
    eventually("it is back", || machine.messages("claude-code", CLAUDE_ID) == 2);
    eventually("and not gone", || machine.watcher("claude-code").gone_but_safe == 0);
    fs::remove_dir_all(machine.claude("")).unwrap();
    eventually("with its folder it is gone again", || machine.watcher("claude-code").gone_but_safe == 1);
    assert_eq!(machine.watcher("claude-code").state, daemon::State::Waiting);
    begin_claude(&machine);
    eventually("and back with it", || machine.watcher("claude-code").gone_but_safe == 0);
}

/// The system stops watching at the first folder that it may not read.
#[test]
fn a_folder_that_may_not_be_read_holds_up_no_other() {
    let plain = ["--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-all"];
    if !Command::new("setpriv").args(plain).arg("true").status().is_ok_and(|status| status.success()) {
        return crate::clients::skip("a_folder_that_may_not_be_read_holds_up_no_other", "no setpriv");
    }
    let machine = Machine::new();
    let id = |number: u32| format!("0d5d7ac1-7c4c-7a52-9f39-{number:012}");
    let day = |number: u32| machine.codex(&format!("2026/11/{number:02}"));
    for number in 1..=9 {
        fs::create_dir_all(day(number)).unwrap();
    }
    let set_mode = |mode| fs::set_permissions(day(5), fs::Permissions::from_mode(mode)).unwrap();
    set_mode(0o000);
    let own = machine.command(&["daemon", "run"]);
    let mut command = Command::new("setpriv");
    command.args(plain).arg(own.get_program()).args(own.get_args()).env_clear().env("HOME", &machine.home.user);
    let _daemon = machine.begin(command);
    eventually("it is looked at every few seconds", || machine.watcher("codex").state == daemon::State::Polling);
    let error = machine.watcher("codex").last_error.unwrap();
    assert!(error.contains("/2026/11/05 can't be watched (Permission denied") && error.contains("chmod"), "{error}");
    let write = |number: u32| {
        let name = format!("rollout-2026-11-22T10-00-00-{}.jsonl", id(number));
        append(&day(number).join(name), &codex_lines(&id(number)));
    };
    let others = || (1..=9).filter(|number| *number != 5);
    others().for_each(write);
    eventually("all the others are captured", || others().all(|number| machine.messages("codex", &id(number)) == 1));
    write(5);
    set_mode(0o700);
    eventually("it is watched once it may be read", || machine.watcher("codex").state == daemon::State::Watching);
    eventually("and captured", || machine.messages("codex", &id(5)) == 1);
    assert_eq!(machine.watcher("codex").last_error, None);
    let log = String::from_utf8(machine.sfs(&["daemon", "logs", "-n", "1000"]).stdout).unwrap();
    assert_eq!(log.matches("/2026/11/05 can't be read").count(), 1, "{log}");
}

#[test]
fn folders_that_appear_later_are_found() {
    let machine = Machine::empty();
    let _daemon = machine.daemon();
    assert_eq!(machine.watcher("claude-code").state, daemon::State::Waiting);
    begin_claude(&machine);
    eventually("the session is captured", || machine.messages("claude-code", CLAUDE_ID) == 1);
    assert_eq!(machine.watcher("claude-code").state, daemon::State::Watching);
    assert_eq!(machine.watcher("codex").state, daemon::State::Waiting);
    fs::create_dir(machine.home.user.join(".codex")).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    fs::create_dir_all(machine.codex("2026/11/22")).unwrap();
    let name = format!("rollout-2026-11-22T10-00-00-{CODEX_ID}.jsonl");
    append(&machine.codex("2026/11/22").join(name), &codex_lines(CODEX_ID));
    eventually("the other tool's too", || machine.watcher("codex").sessions == 1);
}

#[test]
fn folders_behind_symbolic_links_are_watched() {
    let machine = Machine::empty();
    let real = machine.home.user.join("elsewhere");
    fs::create_dir_all(real.join("claude/projects")).unwrap();
    fs::create_dir_all(real.join("rollouts")).unwrap();
    fs::create_dir_all(machine.home.user.join(".codex")).unwrap();
    std::os::unix::fs::symlink(real.join("claude"), machine.home.user.join(".claude")).unwrap();
    std::os::unix::fs::symlink(real.join("rollouts"), machine.home.user.join(".codex/sessions")).unwrap();
    let _daemon = machine.daemon();
    begin_claude(&machine);
    let name = format!("rollout-2026-11-22T10-00-00-{CODEX_ID}.jsonl");
    fs::create_dir_all(machine.codex("2026/11/22")).unwrap();
    append(&machine.codex("2026/11/22").join(&name), &codex_lines(CODEX_ID));
    eventually("both are captured", || {
        machine.messages("claude-code", CLAUDE_ID) == 1 && machine.messages("codex", CODEX_ID) == 1
    });
    append(&machine.codex("2026/11/22").join(&name), codex_lines(CODEX_ID).lines().nth(1).unwrap());
    eventually("and grow", || machine.streams("codex", CODEX_ID)[0].length > codex_lines(CODEX_ID).len() as u64);
}

#[test]
fn what_is_written_meanwhile_is_captured_at_the_next_start() {
    let machine = Machine::new();
    let path = begin_claude(&machine);
    let mut daemon = machine.daemon();
    eventually("it is captured", || machine.messages("claude-code", CLAUDE_ID) == 1);
    append(&path, &claude_line(1));
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ends_with(), Some(0));
    append(&path, &claude_line(2));
    let mut daemon = machine.daemon();
    eventually("all is captured", || machine.messages("claude-code", CLAUDE_ID) == 3);
    daemon.signal(Signal::INT);
    assert_eq!(daemon.ends_with(), Some(0));
}

#[test]
fn a_second_daemon_is_refused_and_no_daemon_is_no_error() {
    let machine = Machine::new();
    let status = daemon::status(&machine.home).unwrap();
    assert!(!status.running && status.pid.is_none());
    assert!(!machine.home.data.exists(), "a look creates nothing");
    let stop = machine.sfs(&["daemon", "stop"]);
    assert_eq!((stop.status.code(), String::from_utf8_lossy(&stop.stdout).as_ref()), (Some(0), "No daemon runs.\n"));

    let daemon = machine.daemon();
    let second = machine.sfs(&["daemon", "run"]);
    assert_eq!(second.status.code(), Some(4));
    let text = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(text.contains(&format!("(pid {})", daemon.0.id())) && text.contains("hint: sfs daemon status"), "{text}");
}

#[test]
fn the_command_line_starts_and_stops_it() {
    let machine = Machine::new();
    begin_claude(&machine);
    let start = machine.sfs(&["daemon", "start"]);
    assert!(start.status.success(), "{}", String::from_utf8_lossy(&start.stderr));
    let again = machine.sfs(&["daemon", "start"]);
    assert!(String::from_utf8_lossy(&again.stdout).contains("already runs"));
    eventually("it captures", || machine.messages("claude-code", CLAUDE_ID) == 1);
    let status = machine.sfs(&["daemon", "status", "--json"]);
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!((&status["running"], &status["sessions"]), (&true.into(), &1.into()));
    assert_eq!(status["watchers"][0]["state"], "watching");
    assert_eq!(
        status["sync"],
        serde_json::json!({"state": "off", "pending": 0, "refused": 0, "last_error": null, "last_sync_at": null})
    );
    let before = status["pid"].clone();
    assert!(machine.sfs(&["daemon", "restart"]).status.success());
    let status = daemon::status(&machine.home).unwrap();
    assert!(status.running && Some(before) != status.pid.map(Into::into));
    let stop = machine.sfs(&["daemon", "stop"]);
    assert!(String::from_utf8_lossy(&stop.stdout).contains("has stopped"));
    assert!(!daemon::status(&machine.home).unwrap().running);
    let logs = machine.sfs(&["daemon", "logs", "-n", "1"]);
    assert!(String::from_utf8_lossy(&logs.stdout).ends_with("info  stopped\n"));
    for file in [machine.home.log(), machine.home.lock(), machine.home.database()] {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
}

#[test]
fn a_tool_that_is_not_to_be_captured_is_left_alone() {
    let machine = Machine::new();
    assert!(machine.sfs(&["config", "set", "capture.codex", "false"]).status.success());
    let daemon = machine.daemon();
    let name = format!("rollout-2026-11-22T10-00-00-{CODEX_ID}.jsonl");
    append(&machine.codex(&name), &codex_lines(CODEX_ID));
    begin_claude(&machine);
    eventually("the other tool is captured", || machine.messages("claude-code", CLAUDE_ID) == 1);
    assert_eq!(machine.watcher("codex").state, daemon::State::Off);
    assert_eq!(machine.watcher("codex").sessions, 0);
    assert!(machine.sfs(&["config", "set", "capture.codex", "true"]).status.success());
    daemon.signal(Signal::HUP);
    eventually("until it is wanted", || machine.watcher("codex").sessions == 1);
}

#[test]
fn an_archive_that_was_thrown_away_is_begun_anew() {
    let machine = Machine::new();
    let _daemon = machine.daemon();
    let path = begin_claude(&machine);
    eventually("it is captured", || machine.messages("claude-code", CLAUDE_ID) == 1);
    fs::remove_dir_all(&machine.home.data).unwrap();
    append(&path, &claude_line(1));
    eventually("it is captured again", || machine.messages("claude-code", CLAUDE_ID) == 2);
}

#[test]
fn a_deleted_session_stays_hidden_under_a_running_daemon_and_a_purged_one_stays_out() {
    let machine = Machine::new();
    let mut daemon = machine.daemon();
    let path = begin_claude(&machine);
    eventually("it is captured", || machine.messages("claude-code", CLAUDE_ID) == 1);
    assert!(machine.sfs(&["delete", CLAUDE_ID]).status.success());
    append(&path, &claude_line(1));
    eventually("it is captured behind the curtain", || machine.messages("claude-code", CLAUDE_ID) == 2);
    let visible = || String::from_utf8(machine.sfs(&["list", "--all", "-q"]).stdout).unwrap();
    assert_eq!(visible(), "");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ends_with(), Some(0));
    append(&path, &claude_line(2));
    let _daemon = machine.daemon();
    eventually("what was written meanwhile too", || machine.messages("claude-code", CLAUDE_ID) == 3);
    assert_eq!(visible(), "");
    assert!(machine.sfs(&["undelete", CLAUDE_ID]).status.success());
    assert_eq!(visible().lines().count(), 1);
    assert_eq!(machine.bytes(&machine.streams("claude-code", CLAUDE_ID)[0]), fs::read(&path).unwrap());

    assert!(machine.sfs(&["delete", "--purge", "--yes", CLAUDE_ID]).status.success());
    append(&path, &claude_line(3));
    // A second session shows that the daemon is past the first one's new line.
    let other = machine.codex(&format!("rollout-2026-11-22T10-00-00-{CODEX_ID}.jsonl"));
    append(&other, &codex_lines(CODEX_ID));
    eventually("the daemon goes on", || machine.messages("codex", CODEX_ID) == 1);
    std::thread::sleep(Duration::from_millis(300));
    assert!(machine.streams("claude-code", CLAUDE_ID).is_empty());
    assert_eq!(visible().lines().count(), 1);
    assert_eq!(Store::open(&machine.home).unwrap().check(|_| ()).unwrap().damage, []);
}

/// Small and large pieces of recorded sessions, cut anywhere, written to two tools' files while the daemon is killed and
/// started again. `SESSIONFS_KILLS` says how often.
#[test]
fn kill_nine_costs_nothing() {
    let kills: u32 = std::env::var("SESSIONFS_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(10);
    let machine = Machine::new();
    fs::create_dir_all(machine.claude("-w")).unwrap();
    fs::create_dir_all(machine.codex("2026/11/22")).unwrap();
    let claude = machine.claude(&format!("-w/{CLAUDE_ID}.jsonl"));
    let codex = machine.codex(&format!("2026/11/22/rollout-2026-11-22T10-00-00-{CODEX_ID}.jsonl"));
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let claude_text = recorded_text(&recorded.join("claude"));
    let codex_text = [codex_lines(CODEX_ID).into_bytes(), recorded_text(&recorded.join("codex"))].concat();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| write_in_bursts(&claude, &claude_text, 1, &stop));
        scope.spawn(|| write_in_bursts(&codex, &codex_text, 2, &stop));
        let mut random = Random(3);
        for _ in 0..kills {
            let mut daemon = machine.command(&["daemon", "run"]).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(20 + random.below(400)));
            daemon.kill().unwrap();
            daemon.wait().unwrap();
            let report = Store::open(&machine.home).unwrap().check(|_| ()).unwrap();
            assert_eq!(report.damage, []);
            // What was captured is what the files hold: every byte of it, from the first on.
            for (tool, native_id, file) in [("claude-code", CLAUDE_ID, &claude), ("codex", CODEX_ID, &codex)] {
                for stream in machine.streams(tool, native_id) {
                    assert!(fs::read(file).unwrap().starts_with(&machine.bytes(&stream)), "{tool}: other bytes");
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    let daemon = machine.daemon();
    for (tool, native_id, file) in [("claude-code", CLAUDE_ID, &claude), ("codex", CODEX_ID, &codex)] {
        let native = fs::read(file).unwrap();
        eventually("everything is captured", || {
            machine.streams(tool, native_id).first().is_some_and(|stream| stream.length == native.len() as u64)
        });
        let streams = machine.streams(tool, native_id);
        assert_eq!((streams.len(), streams[0].generation), (1, 0), "{tool}: only growth was seen");
        assert!(machine.bytes(&streams[0]) == native, "{tool}: the archive has the file's bytes");
    }
    let store = Store::open(&machine.home).unwrap();
    let before: Vec<_> = store.session_rows().unwrap().iter().map(|row| store.summary(*row).unwrap()).collect();
    drop(daemon);
    assert_eq!(store.check(|_| ()).unwrap().damage, []);
    let mut store = store;
    sessionfs::capture::rebuild(&mut store, |_| ()).unwrap();
    let after: Vec<_> = store.session_rows().unwrap().iter().map(|row| store.summary(*row).unwrap()).collect();
    assert_eq!(before, after, "what was derived piece by piece is what a rebuild derives");
}

/// All recorded lines of a tool, one after another.
fn recorded_text(folder: &Path) -> Vec<u8> {
    let files = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().flatten();
    let sessions = files.filter(|f| f.path().extension().is_some_and(|e| e == "jsonl") && f.depth() > 3);
    sessions.flat_map(|file| fs::read(file.path()).unwrap()).collect()
}

/// Appends pieces of `text`, over and over, cut anywhere, mostly small, with pauses between bursts; at last a whole line.
fn write_in_bursts(path: &Path, text: &[u8], seed: u64, stop: &AtomicBool) {
    let mut file = File::create(path).unwrap();
    let mut random = Random(seed);
    let mut at = 0;
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..random.below(20) {
            let most = if random.below(50) == 0 { 200_000 } else { 3_000 };
            let end = text.len().min(at + 1 + random.below(most) as usize);
            file.write_all(&text[at..end]).unwrap();
            at = end % text.len();
        }
        std::thread::sleep(Duration::from_millis(random.below(60)));
    }
    let rest = text[at..].iter().position(|byte| *byte == b'\n').map_or(text.len(), |end| at + end + 1);
    file.write_all(&text[at..rest]).unwrap();
}

/// The same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}
