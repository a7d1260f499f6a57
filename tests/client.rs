//! The sync client against the real server, each a process of its own.

use crate::support::home::{Run, TestHome, copy_tree, fixture};
use crate::support::server::SyncServer;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// No test says how fast something is, only that it comes about.
const PATIENCE: Duration = Duration::from_secs(60);

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A home with a captured Codex session, signed up.
fn pushed(server: &SyncServer) -> TestHome {
    let home = TestHome::with(&["codex/patch"]);
    home.sfs(&["import"]);
    server.sign_up(&home);
    good(&home, &["push"]);
    home
}

fn good(home: &TestHome, args: &[&str]) -> Run {
    let run = home.sfs(args);
    assert_eq!(run.code, Some(0), "{args:?}: {run}");
    run
}

fn second(server: &SyncServer, owner: &TestHome) -> TestHome {
    let home = TestHome::new();
    server.log_in(&home, owner);
    good(&home, &["pull"]);
    home
}

/// The one rollout below a home.
fn rollout(home: &TestHome) -> PathBuf {
    let files = walkdir::WalkDir::new(home.path().join(".codex/sessions")).into_iter().flatten();
    let mut files: Vec<PathBuf> = files.map(walkdir::DirEntry::into_path).filter(|path| path.is_file()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.pop().unwrap()
}

fn said(text: &str, time: &str) -> String {
    let line = json!({"timestamp": format!("2026-11-22T{time}.000Z"), "type": "response_item", "payload":
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}});
    format!("{line}\n")
}

fn append(path: &Path, text: &str) {
    fs::OpenOptions::new().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn ids(home: &TestHome, args: &[&str]) -> Vec<String> {
    let list = home.json(args);
    list.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

/// Everything that the server's files hold, decompressed by the server itself.
fn texts_there(home: &TestHome) -> String {
    let other = home.json(&["list", "--remote", "--json"]);
    let listed = other.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned());
    listed.map(|id| good(home, &["show", &id, "-m", "--json"]).stdout).collect()
}

#[test]
fn a_session_goes_through_the_server_to_another_machine_and_on_in_another_tool() {
    let server = SyncServer::start();
    let one = pushed(&server);
    assert_eq!(good(&one, &["push"]).stdout, "Nothing new.\n");

    let other = TestHome::new();
    server.log_in(&other, &one);
    let listed = other.json(&["list", "--remote", "--json"]);
    assert_eq!((&listed[0]["place"], &listed[0]["tool"]), (&json!("there"), &json!("codex")), "{listed}");
    // By the beginning of its id, which only the server knows.
    let id = listed[0]["id"].as_str().unwrap();
    let pulled = other.json(&["pull", &id[..9], "--json"]);
    assert_eq!((&pulled[0]["id"], &pulled[0]["result"]), (&json!(id), &json!("pulled")), "{pulled}");
    assert!(pulled[0]["bytes_received"].as_u64().unwrap() > 1000, "{pulled}");
    assert_eq!(other.json(&["list", "--remote", "--json"])[0]["place"], "both");
    assert_eq!(good(&other, &["show", id, "-m"]).stdout, good(&one, &["show", id, "-m"]).stdout);
    assert_eq!(ids(&other, &["search", "patch", "--json"])[0], id);
    let project = other.path().to_str().unwrap();
    let resumed = other.json(&["resume", "last", "--in", "gemini", "--project", project, "--json"]);
    assert!(resumed["files"][0].as_str().unwrap().contains("/.gemini/"), "{resumed}");
    assert!(good(&one, &["audit", "--event", "pushed"]).stdout.contains(&id[..12]));
}

#[test]
fn a_purge_is_of_this_machine_and_says_so() {
    let server = SyncServer::start();
    let one = pushed(&server);
    let other = second(&server, &one);
    let run = good(&one, &["delete", "--purge", "--yes", "last"]);
    assert!(run.stderr.contains("the server and your other devices keep their copies, hidden\n"), "{run}");
    assert_eq!(one.json(&["list", "--remote", "--json"])[0]["place"], "purged_here");
    assert!(good(&one, &["list", "--remote"]).stdout.contains("  purged here  "));
    let run = good(&other, &["delete", "last"]);
    assert!(!run.stderr.contains("keep their copies"), "{run}");
}

#[test]
fn only_the_bytes_of_a_new_line_travel() {
    let server = SyncServer::start();
    let one = pushed(&server);
    let line = said("one more thing", "23:00:00");
    append(&rollout(&one), &line);
    good(&one, &["import"]);
    let report = one.json(&["push", "--json"]);
    assert_eq!(report[0]["bytes_sent"], line.len(), "{report}");
    let other = second(&server, &one);
    append(&rollout(&one), &said("and another", "23:00:01"));
    good(&one, &["import"]);
    good(&one, &["sync"]);
    let report = other.json(&["sync", "--json"]);
    let pulled = report.as_array().unwrap().iter().find(|one| one["result"] == "pulled").unwrap();
    assert_eq!(pulled["bytes_received"], said("and another", "23:00:01").len(), "{report}");
    assert!(good(&other, &["show", "last", "-m"]).stdout.contains("and another"));
}

#[test]
fn two_machines_that_continue_one_session_keep_both_tails() {
    let server = SyncServer::start();
    let one = pushed(&server);
    let other = TestHome::with(&["codex/patch"]);
    server.log_in(&other, &one);
    append(&rollout(&one), &said("said on the first machine", "23:00:00"));
    append(&rollout(&other), &said("said on the second machine", "23:00:05"));
    for home in [&one, &other, &one, &other] {
        good(home, &["import"]);
        good(home, &["sync"]);
    }
    let shown = good(&one, &["show", "last", "-m"]).stdout;
    for text in ["said on the first machine", "said on the second machine"] {
        assert_eq!(shown.matches(text).count(), 1, "{shown}");
    }
    assert_eq!(shown, good(&other, &["show", "last", "-m"]).stdout);
    assert_eq!(ids(&one, &["list", "--json"]).len(), 1);
}

#[test]
fn secrets_do_not_arrive_unless_they_are_let_through() {
    let secret = "ghp_Zr81kVq0mT5sWc3yXb7nLd2fGh4jKa9eQuPo";
    let server = SyncServer::start();
    let one = TestHome::with(&["codex/patch"]);
    append(&rollout(&one), &said(&format!("export TOKEN={secret}"), "23:00:00"));
    good(&one, &["import"]);
    server.sign_up(&one);

    good(&one, &["config", "set", "sync.secrets", "block"]);
    let run = good(&one, &["push"]);
    assert!(run.stderr.contains("stays here: it holds secrets"), "{run}");
    assert_eq!(one.json(&["list", "--remote", "--json"]), json!([]));
    let run = one.sfs(&["push", "last"]);
    assert_eq!(run.code, Some(4), "{run}");
    assert!(good(&one, &["autosync", "status"]).stdout.contains("stays here: it holds secrets"));

    good(&one, &["config", "set", "sync.secrets", "redact"]);
    let run = good(&one, &["push"]);
    assert!(run.stderr.contains("not a full backup"), "{run}");
    let other = second(&server, &one);
    let there = texts_there(&other);
    assert!(there.contains("export TOKEN=[redacted:") && !there.contains(secret), "{there}");
    assert!(good(&one, &["show", "last", "-m"]).stdout.contains(secret), "here it stays exact");

    good(&one, &["config", "set", "sync.secrets", "warn"]);
    append(&rollout(&one), &said("no secret", "23:00:01"));
    good(&one, &["import"]);
    let run = good(&one, &["push"]);
    assert!(run.stderr.contains("sent as they are"), "{run}");
    good(&other, &["pull"]);
    assert!(texts_there(&other).contains(secret));
}

#[test]
fn what_goes_wrong_says_what_to_do() {
    let server = SyncServer::start();
    let home = TestHome::with(&["codex/patch"]);
    home.sfs(&["import"]);
    for command in ["push", "pull", "sync", "list-remote"] {
        let run = home.sfs(&[command]);
        assert_eq!((run.code, run.stderr.contains("hint: sfs auth login")), (Some(5), true), "{run}");
    }
    // A key that the server refuses is not stored.
    let mut login = home.command(&["auth", "login", "--url", &server.url]);
    let mut login = login.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    login.stdin.take().unwrap().write_all(b"sk_sfs_00000000000000000000000000000000\n").unwrap();
    let run = home.finish(login.wait_with_output().unwrap());
    assert_eq!(run.code, Some(5), "{run}");
    assert_eq!(home.json(&["auth", "status", "--json"]), json!({"signed_in": false}));

    server.sign_up(&home);
    let key = home.json(&["auth", "keys", "--json"])[0]["key_id"].as_str().unwrap().to_owned();
    good(&home, &["auth", "keys", "rename", &key, "the old laptop"]);
    assert_eq!(home.json(&["auth", "keys", "--json"])[0]["name"], "the old laptop");
    assert_eq!(home.sfs(&["auth", "keys", "rename", "../me", "x"]).code, Some(2));
    assert_eq!(home.sfs(&["auth", "keys", "rename", "nobodys", "x"]).code, Some(3));
    assert_ne!(home.sfs(&["auth", "keys", "rename", &key, " "]).code, Some(0));
    good(&home, &["auth", "keys", "revoke", &key]);
    let run = home.sfs(&["push"]);
    assert_eq!((run.code, run.stderr.contains("hint: sfs auth login")), (Some(5), true), "{run}");
    assert!(!good(&home, &["config", "show", "--json"]).stdout.contains("sk_sfs_"));
    drop(server);
    let run = home.sfs(&["push"]);
    assert_eq!((run.code, run.stderr.contains("does not answer")), (Some(1), true), "{run}");

    let run = home.sfs(&["auth", "login", "--url", "http://sessions.example.org", "--key", "sk_sfs_1"]);
    assert_eq!((run.code, run.stderr.contains("not encrypted")), (Some(2), true), "{run}");
}

#[test]
fn a_server_that_has_no_room_says_so() {
    let server = SyncServer::with(&["--quota", "1K"]);
    let home = TestHome::with(&["codex/patch"]);
    home.sfs(&["import"]);
    server.sign_up(&home);
    let run = home.sfs(&["push"]);
    assert_eq!((run.code, run.stderr.contains("more room")), (Some(1), true), "{run}");
}

#[test]
fn the_environment_counts_before_what_is_stored() {
    let server = SyncServer::start();
    let one = pushed(&server);
    let key = SyncServer::new_key(&one).1;
    let other = TestHome::new();
    let with = |name: &str, value: &str| other.command(&["pull"]).env("SFS_API_KEY", &key).env(name, value).output();
    let run = other.finish(with("SFS_API_URL", &server.url).unwrap());
    assert_eq!(run.code, Some(0), "{run}");
    assert_eq!(ids(&other, &["list", "--json"]).len(), 1);
    let run = other.finish(with("SFS_API_URL", "").unwrap());
    assert_eq!((run.code, run.stderr.contains("set SFS_API_URL too")), (Some(2), true), "{run}");
    assert!(
        !fs::read(other.path().join(".sessionfs/archive.db")).unwrap().windows(key.len()).any(|w| w == key.as_bytes())
    );
}

/// Many small sessions of Codex.
fn many(home: &TestHome, count: usize) {
    let folder = home.path().join(".codex/sessions/2026/11/22");
    fs::create_dir_all(&folder).unwrap();
    for number in 0..count {
        let id = format!("019a0000-0000-7000-8000-{number:012}");
        let meta = json!({"timestamp": "2026-11-22T10:00:00.000Z", "type": "session_meta", "payload":
            {"id": id, "timestamp": "2026-11-22T10:00:00.000Z", "cwd": "/w", "originator": "codex_cli_rs"}});
        let text = format!("{meta}\n{}", said(&format!("prompt {number}"), "10:00:01"));
        fs::write(folder.join(format!("rollout-2026-11-22T10-00-00-{id}.jsonl")), text).unwrap();
    }
    good(home, &["import"]);
}

#[test]
fn a_push_that_is_killed_is_completed_by_the_next() {
    let server = SyncServer::start();
    let home = TestHome::new();
    many(&home, 1500);
    server.sign_up(&home);
    let mut push = home.command(&["push"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    eventually("a push", || server.requests().iter().any(|line| line.contains("/delta/push")));
    push.kill().unwrap();
    push.wait().unwrap();
    good(&home, &["push"]);
    assert_eq!(home.json(&["list", "--remote", "--json"]).as_array().unwrap().len(), 1500);
    let other = second(&server, &home);
    assert_eq!(ids(&other, &["list", "--json"]).len(), 1500);
    let check = other.json(&["admin", "check", "--json"]);
    assert_eq!(check["damage"], json!([]), "{check}");
}

#[test]
fn a_sync_of_many_sessions_without_news_is_one_request() {
    let server = SyncServer::start();
    let home = TestHome::new();
    many(&home, 10_000);
    server.sign_up(&home);
    good(&home, &["sync"]);
    good(&home, &["sync"]);
    let before = server.requests().len();
    assert_eq!(good(&home, &["sync"]).stdout, "Nothing new.\n");
    eventually("the request", || server.requests().len() > before);
    let asked = server.requests().split_off(before);
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(asked[0].contains("/api/v1/delta/changes"), "{asked:?}");
}

/// What the daemon says of its syncing.
fn sync_of(home: &TestHome) -> Value {
    home.json(&["daemon", "status", "--json"])["sync"].clone()
}

/// Stops the daemon, also where a test fails.
struct Daemon<'a>(&'a TestHome);

impl<'a> Daemon<'a> {
    fn start(home: &'a TestHome) -> Daemon<'a> {
        good(home, &["daemon", "start"]);
        Daemon(home)
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        self.0.sfs(&["daemon", "stop"]);
    }
}

#[test]
fn the_daemon_pushes_what_is_captured() {
    let server = SyncServer::start();
    let one = pushed(&server);
    let other = second(&server, &one);
    let _daemon = Daemon::start(&one);
    assert_eq!(sync_of(&one)["state"], "off");
    good(&one, &["autosync", "on"]);
    append(&rollout(&one), &said("pushed by itself", "23:00:00"));
    eventually("the line is there", || {
        good(&other, &["pull"]);
        good(&other, &["show", "last", "-m"]).stdout.contains("pushed by itself")
    });
    eventually("it is told", || !sync_of(&one)["last_sync_at"].is_null() && sync_of(&one)["state"] == "idle");

    // Paused, nothing goes; a server that is away is an error that is told and passes.
    good(&one, &["autosync", "pause"]);
    assert_eq!(sync_of(&one)["state"], "paused");
    let (folder, address) = server.stop();
    good(&one, &["autosync", "resume"]);
    append(&rollout(&one), &said("while it was away", "23:00:01"));
    eventually("the failure is told", || sync_of(&one)["state"] == "failing");
    assert!(sync_of(&one)["last_error"].as_str().unwrap().contains("does not answer"));
    let _server = SyncServer::at(folder, &address, &[]);
    // As a person who mended it would.
    good(&one, &["autosync", "on"]);
    eventually("it is well again", || sync_of(&one)["state"] == "idle");
    good(&other, &["pull"]);
    assert!(good(&other, &["show", "last", "-m"]).stdout.contains("while it was away"));
}

#[test]
fn selective_pushes_what_is_tagged_and_all_of_it() {
    let server = SyncServer::start();
    let home = TestHome::new();
    copy_tree(&fixture("codex/patch"), home.path());
    copy_tree(&fixture("claude/chat"), home.path());
    home.sfs(&["import"]);
    server.sign_up(&home);
    good(&home, &["autosync", "selective"]);
    let there = || ids(&home, &["list", "--remote", "--json"]);
    good(&home, &["sync", "--auto"]);
    assert!(there().is_empty());
    let id = ids(&home, &["list", "--tool", "codex", "--json"]).pop().unwrap();
    good(&home, &["tag", "add", &id, "sync"]);
    good(&home, &["sync", "--auto"]);
    assert_eq!(there(), std::slice::from_ref(&id));
    let other = second(&server, &home);
    assert_eq!(good(&other, &["show", &id, "-m"]).stdout, good(&home, &["show", &id, "-m"]).stdout);
    // What was left out goes when a person asks for everything.
    good(&home, &["sync"]);
    assert_eq!(there().len(), 2);
}

/// Two homes, each with a tail of its own, and both tails on both.
fn two_tails(server: &SyncServer) -> (TestHome, TestHome) {
    let one = pushed(server);
    let other = TestHome::with(&["codex/patch"]);
    server.log_in(&other, &one);
    append(&rollout(&one), &said("said on the first machine", "23:00:00"));
    append(&rollout(&other), &said("said on the second machine", "23:00:05"));
    for home in [&one, &other, &one, &other] {
        good(home, &["import"]);
        good(home, &["sync"]);
    }
    (one, other)
}

#[test]
fn a_person_chooses_which_tail_goes_on() {
    let server = SyncServer::start();
    let (one, other) = two_tails(&server);
    let branches = one.json(&["show", "last", "--json"])["branches"].clone();
    let names: Vec<&str> = branches.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 2, "{branches}");
    assert_eq!((names[0], branches[0]["is_this_device"].as_bool()), ("main", Some(false)), "{branches}");
    assert_eq!((&branches[1]["is_this_device"], &branches[1]["own_messages"]), (&json!(true), &json!(1)), "{branches}");
    let shown = good(&one, &["show", "last"]).stdout;
    assert!(
        shown.contains("branches     main (device ") && shown.contains("(this device: 1 message of its own"),
        "{shown}"
    );
    // By its name, by the device, by the beginning of the device's name; what is shown is the whole branch.
    let device = names[1].strip_prefix("main@").unwrap();
    for words in [names[1], device, &device[..4]] {
        let shown = good(&one, &["show", "last", "-m", "--branch", words]).stdout;
        assert!(shown.contains("said on the first machine") && !shown.contains("second machine"), "{words}: {shown}");
        assert!(shown.starts_with(&good(&one, &["show", "last", "-m", "--branch", "main"]).stdout[..200]), "{shown}");
    }
    let text = |args: &[&str]| good(&one, &[&["export", "last", "--format", "markdown"], args].concat()).stdout;
    assert!(text(&[]).contains("second machine") && !text(&[]).contains("first machine"));
    assert!(
        text(&["--branch", device]).contains("first machine")
            && !text(&["--branch", device]).contains("second machine")
    );
    // Its own tool has the own tail still: nothing is written. The other one goes under a new id, and harms no file.
    let resumed = one.json(&["resume", "last", "--branch", device, "--no-launch", "--json"]);
    let native_id = one.json(&["show", "last", "--json"])["native_id"].clone();
    assert_eq!((&resumed["files"], &resumed["native_id"]), (&json!([]), &native_id), "{resumed}");
    let before = fs::read(rollout(&other)).unwrap();
    let written = other.json(&["resume", "last", "--branch", device, "--in", "gemini", "--project", ".", "--json"]);
    assert_eq!(fs::read(rollout(&other)).unwrap(), before);
    assert_eq!(written["ledger"]["dropped"][0]["what"].as_str(), Some("diverged copies"), "{written}");
    let file = fs::read_to_string(written["files"][0].as_str().unwrap()).unwrap();
    assert!(file.contains("said on the first machine") && !file.contains("second machine"), "{file}");
    let forked = other.json(&["fork", "last", "--branch", device, "--json"]);
    let fork = good(&other, &["show", forked["id"].as_str().unwrap(), "-m"]).stdout;
    assert!(fork.contains("said on the first machine") && !fork.contains("second machine"), "{fork}");

    for command in ["resume", "fork", "show", "export"] {
        let extra: &[&str] = if command == "export" { &["--format", "markdown"] } else { &[] };
        let extra = if command == "show" { &["-m"] } else { extra };
        let id = resumed["id"].as_str().unwrap();
        let run = one.sfs(&[&[command, id, "--branch", "nowhere"], extra].concat());
        let told = run.stderr.contains("has no branch \"nowhere\"") && run.stderr.contains(&names.join(", "));
        assert_eq!((run.code, told), (Some(3), true), "{run}");
    }
    let run = one.sfs(&["export", "last", "--branch", "main"]);
    assert_eq!((run.code, run.stderr.contains("holds the whole session")), (Some(2), true), "{run}");
}

#[test]
fn a_checkpoint_is_found_and_forgotten_on_every_machine() {
    let server = SyncServer::start();
    let one = pushed(&server);
    let id = ids(&one, &["list", "--json"]).pop().unwrap();
    let names = |home: &TestHome| {
        let list = home.json(&["checkpoint", &id, "--list", "--json"]);
        list.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    // Secrets make the copy there shorter: the position is found all the same.
    append(&rollout(&one), &said("export TOKEN=ghp_Zr81kVq0mT5sWc3yXb7nLd2fGh4jKa9eQuPo", "23:00:00"));
    good(&one, &["checkpoint", &id, "--name", "here"]);
    append(&rollout(&one), &said("after the checkpoint", "23:00:01"));
    good(&one, &["import"]);
    good(&one, &["sync"]);
    let other = second(&server, &one);
    assert_eq!(names(&other), ["here"]);
    let text =
        |home: &TestHome, at: &[&str]| good(home, &[&["export", &id, "--format", "markdown"], at].concat()).stdout;
    let there = text(&other, &["--at", "here"]);
    assert!(there.contains("export TOKEN=[redacted:") && !there.contains("after the checkpoint"), "{there}");
    assert!(text(&other, &[]).contains("after the checkpoint"));
    let resumed = other.json(&["resume", &id, "--at", "here", "--in", "gemini", "--project", ".", "--json"]);
    let file = fs::read_to_string(resumed["files"][0].as_str().unwrap()).unwrap();
    assert!(file.contains("export TOKEN=[redacted:") && !file.contains("after the checkpoint"), "{file}");

    // Two machines give the same name, each unaware of the other: both are kept. A deleted one stays deleted.
    good(&one, &["checkpoint", &id, "--name", "again"]);
    good(&other, &["checkpoint", &id, "--name", "again"]);
    good(&other, &["checkpoint", &id, "--delete", "here"]);
    for home in [&one, &other, &one, &other] {
        good(home, &["sync"]);
    }
    let both = names(&one);
    assert_eq!((both.len(), &both), (2, &names(&other)), "{both:?}");
    assert!(both.iter().any(|name| name == "again") && both.iter().any(|name| name.starts_with("again@")), "{both:?}");
    for name in &both {
        assert!(text(&one, &["--at", name]).contains("after the checkpoint"), "{name}");
        assert!(text(&other, &["--at", name]).contains("after the checkpoint"), "{name}");
    }
    for home in [&one, &other] {
        assert_eq!(home.json(&["admin", "check", "--json"])["damage"], json!([]));
    }
}

#[test]
fn what_a_person_says_travels_without_secrets_and_stays_exact_here() {
    let secret = "ghp_Zr81kVq0mT5sWc3yXb7nLd2fGh4jKa9eQuPo";
    let server = SyncServer::start();
    let one = pushed(&server);
    let id = ids(&one, &["list", "--json"]).pop().unwrap();
    good(&one, &["rename", &id, &format!("rotate {secret}")]);
    good(&one, &["tag", "add", &id, secret]);
    good(&one, &["tag", "add", &id, "harmless"]);
    good(&one, &["checkpoint", &id, "--name", &format!("before {secret}")]);
    let run = good(&one, &["sync"]);
    assert!(run.stderr.contains("secrets replaced"), "{run}");
    let other = second(&server, &one);
    good(&one, &["sync"]);
    let list = |home: &TestHome| home.json(&["list", "--json"])[0].clone();
    let there = other.json(&["show", &id, "--json"]);
    assert!(!there.to_string().contains(secret), "{there}");
    assert!(there["title"].as_str().unwrap().starts_with("rotate [redacted:github_token:"), "{there}");
    assert_eq!(there["tags"], json!(["harmless"]));
    assert!(there["checkpoints"][0]["name"].as_str().unwrap().starts_with("before [redacted:"), "{there}");
    assert!(!good(&other, &["list", "--remote", "--json"]).stdout.contains(secret));
    // Nothing of it comes back over what is exact here, and there is nothing more to say.
    good(&other, &["tag", "add", &id, "more"]);
    good(&other, &["sync"]);
    good(&one, &["pull"]);
    assert_eq!(list(&one)["title"], json!(format!("rotate {secret}")));
    assert_eq!(list(&one)["tags"], json!([secret, "harmless", "more"]));
    let checkpoints = one.json(&["checkpoint", &id, "--list", "--json"]);
    assert_eq!(checkpoints.as_array().unwrap().len(), 1, "{checkpoints}");
    assert_eq!(checkpoints[0]["name"], json!(format!("before {secret}")));

    good(&one, &["config", "set", "sync.secrets", "block"]);
    good(&one, &["tag", "add", &id, "again"]);
    assert!(good(&one, &["push"]).stderr.contains("stays here: it holds secrets"));
}

#[test]
fn a_push_and_a_pull_say_the_state_of_the_session_there() {
    let server = SyncServer::start();
    let one = TestHome::with(&["codex/patch"]);
    good(&one, &["import"]);
    server.sign_up(&one);
    let pushed = one.json(&["push", "--json"])[0].clone();
    let listed = |home: &TestHome| home.json(&["list", "--remote", "--json"])[0]["etag"].clone();
    assert_eq!(pushed["etag"].as_str().map(str::len), Some(64), "{pushed}");
    assert_eq!(pushed["etag"], listed(&one));
    let other = TestHome::new();
    server.log_in(&other, &one);
    assert_eq!(other.json(&["pull", "--json"])[0]["etag"], pushed["etag"]);
    append(&rollout(&one), &said("another state", "23:00:00"));
    good(&one, &["import"]);
    let changed = one.json(&["push", "--json"])[0]["etag"].clone();
    assert_ne!(changed, pushed["etag"]);
    assert_eq!(changed, listed(&one));
}

/// With `SESSIONFS_DELTA_PUSHES=500` the whole proof; here a short one.
#[test]
fn a_server_that_is_killed_during_pushes_has_every_line_that_was_acknowledged() {
    let pushes: usize = std::env::var("SESSIONFS_DELTA_PUSHES").map_or(16, |pushes| pushes.parse().unwrap());
    let home = TestHome::new();
    many(&home, 10);
    let mut server = SyncServer::start();
    server.sign_up(&home);
    good(&home, &["push"]);
    let file = |number: usize| {
        let id = format!("019a0000-0000-7000-8000-{:012}", number % 10);
        home.path().join(format!(".codex/sessions/2026/11/22/rollout-2026-11-22T10-00-00-{id}.jsonl"))
    };
    let mut acknowledged = Vec::new();
    for number in 0..pushes {
        let text = format!("line {number} of a killed server;");
        append(&file(number), &said(&text, &format!("11:{:02}:{:02}", number / 60 % 60, number % 60)));
        good(&home, &["import"]);
        let mut push = home.command(&["push"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        if number % 4 == 3 {
            // At another moment each time.
            std::thread::sleep(Duration::from_millis(number as u64 * 13 % 60));
            let (folder, address) = server.stop();
            let done = push.wait().unwrap();
            server = SyncServer::at(folder, &address, &[]);
            acknowledged.extend(done.success().then_some(text));
        } else {
            assert!(push.wait().unwrap().success(), "push {number}");
            acknowledged.push(text);
        }
    }
    assert!(acknowledged.len() >= pushes * 3 / 4);
    let other = second(&server, &home);
    let there = texts_there(&other);
    for text in &acknowledged {
        assert!(there.contains(text.as_str()), "{text}");
    }
    let (folder, _) = server.stop();
    let check = folder.sfs(&["serve", "check"]);
    assert_eq!(check.code, Some(0), "{check}");
}

#[test]
fn everything_that_is_done_with_sessions_is_in_the_audit_logs() {
    let server = SyncServer::start();
    let (one, other) = two_tails(&server);
    let events = |home: &TestHome| -> Vec<String> {
        let log = home.json(&["audit", "--json"]);
        log.as_array().unwrap().iter().map(|row| row["event"].as_str().unwrap().to_owned()).collect()
    };
    good(&one, &["resume", "last", "--in", "gemini", "--project", ".", "--no-launch"]);
    good(&one, &["export", "last", "-o", "copy"]);
    good(&one, &["checkpoint", "last", "--name", "here"]);
    let id = ids(&one, &["list", "--tool", "codex", "--json"]).pop().unwrap();
    good(&one, &["delete", &id, "--yes"]);
    good(&one, &["push"]);
    let key = SyncServer::new_key(&one).0;
    good(&one, &["auth", "keys", "revoke", &key]);
    let stranger = TestHome::new();
    let login = stranger.command(&["auth", "login", "--url", &server.url]).env("SFS_API_KEY", "sk_sfs_0").output();
    assert_eq!(login.unwrap().status.code(), Some(5));
    assert_eq!(events(&stranger), ["auth_failed"]);
    let done = events(&one);
    for event in [
        "captured",
        "pushed",
        "resumed",
        "exported",
        "checkpoint",
        "deleted",
        "signed_up",
        "key_created",
        "key_revoked",
    ] {
        assert!(done.iter().any(|one| one == event), "{event}: {done:?}");
    }
    for event in ["pulled", "conflict", "logged_in"] {
        assert!(events(&other).iter().any(|one| one == event), "{event}: {:?}", events(&other));
    }
    assert_eq!(events(&other).iter().filter(|event| *event == "conflict").count(), 1, "told once");
    good(&one, &["auth", "logout"]);
    assert_eq!(events(&one)[0], "logged_out");

    let (folder, _) = server.stop();
    let log = folder.json(&["serve", "audit", "--json"]);
    let there: Vec<&str> = log.as_array().unwrap().iter().map(|row| row["event"].as_str().unwrap()).collect();
    for event in ["signup", "pushed", "pulled", "deleted", "key_created", "key_revoked", "auth_failed"] {
        assert!(there.contains(&event), "{event}: {there:?}");
    }
}

#[test]
fn a_key_travels_encrypted_or_not_at_all() {
    use sessionfs::sync::client::normal_url;
    for url in [
        "https://sessions.example.org",
        "http://localhost:8800",
        "http://127.0.0.1",
        "http://127.9.9.9:1/",
        "http://[::1]:80",
    ] {
        assert_eq!(normal_url(url).unwrap(), url.trim_end_matches('/'), "{url}");
    }
    for url in [
        "http://sessions.example.org",
        "http://localhost.example.org",
        "http://127.0.0.1.example.org",
        "http://0.0.0.0:8800",
        "http://[::2]",
        "http://key@localhost",
        "https://a b",
        "https://a\nb",
        "https://",
        "ftp://localhost",
        "localhost",
        "",
    ] {
        assert!(normal_url(url).is_err(), "{url:?}");
    }
}

#[test]
fn a_push_that_was_asked_for_says_when_the_server_refuses_a_session() {
    let server = SyncServer::start();
    let home = TestHome::with(&["codex/patch"]);
    home.sfs(&["import"]);
    server.sign_up(&home);
    let database = rusqlite::Connection::open(home.path().join(".sessionfs/archive.db")).unwrap();
    let native_id: String = database.query_row("SELECT native_id FROM session", [], |row| row.get(0)).unwrap();
    let call = |native_id: &str| database.execute("UPDATE session SET native_id = ?1", [native_id]).unwrap();
    call("--help");
    for args in [&["push"][..], &["push", "--all"]] {
        let run = home.sfs(args);
        assert_eq!((run.code, run.stderr.contains("1 session refused")), (Some(1), true), "{args:?}: {run}");
    }
    assert_ne!(home.sfs(&["push", "last"]).code, Some(0));
    good(&home, &["sync", "--auto"]);
    let status = good(&home, &["daemon", "status"]).stdout;
    assert!(status.contains("the server refused 1 session;"), "{status}");
    let found = home.sfs(&["doctor"]);
    assert!(found.stdout.contains("the server refused 1 session"), "{found}");
    call(&native_id);
    good(&home, &["rename", "last", "Better"]);
    good(&home, &["push", "last"]);
    assert!(!good(&home, &["daemon", "status"]).stdout.contains("refused"));

    // What a person keeps back is no failure.
    good(&home, &["config", "set", "sync.secrets", "block"]);
    good(&home, &["push"]);
    let run = good(&home, &["delete", "last"]);
    assert!(run.stderr.contains("until the next `sfs push`"), "{run}");
}
