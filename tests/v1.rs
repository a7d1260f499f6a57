//! Our client against the published server of SessionFS 0.1, a process of its own: pushing, pulling, and what becomes of two
//! versions. `tests/server/setup.sh` installs it.

use crate::clients::skip;
use crate::support::home::{Run, TestHome};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Makes the tables, which the server leaves to its operator, and serves.
const SERVE: &str = "
import asyncio, sys, uvicorn
from sessionfs.server.app import create_app
from sessionfs.server.config import ServerConfig
from sessionfs.server.db.engine import close_engine, init_engine
from sessionfs.server.db.models import Base
async def tables():
    async with init_engine(ServerConfig().database_url).begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    await close_engine()
asyncio.run(tables())
uvicorn.run(create_app(), host='127.0.0.1', port=int(sys.argv[1]), log_level='warning')
";
const PATIENCE: Duration = Duration::from_secs(60);

struct Published {
    child: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Published {
    fn start(test: &str) -> Option<Published> {
        let set = std::env::var_os("SESSIONFS_TEST_CLIENTS").map(PathBuf::from);
        let clients = set.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients"));
        let packages = clients.join("sessionfs-server/0.1.0");
        if !packages.is_dir() {
            skip(test, "the server of sessionfs 0.1.0 is not installed; run tests/server/setup.sh");
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new("python3")
            .args(["-c", SERVE, &port.to_string()])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("PYTHONPATH", packages)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(child.try_wait().unwrap().is_none() && begun.elapsed() < PATIENCE, "the server does not start");
            std::thread::sleep(Duration::from_millis(100));
        }
        Some(Published { child, url: format!("http://127.0.0.1:{port}"), _folder: folder })
    }

    fn sign_up(&self, home: &TestHome) {
        good(home, &["auth", "signup", "--url", &self.url, "--email", "me@example.org"]);
    }

    fn log_in(&self, home: &TestHome, owner: &TestHome) {
        let key = owner.json(&["auth", "keys", "create", "test", "--json"])["raw_key"].as_str().unwrap().to_owned();
        let login = home.command(&["auth", "login", "--url", &self.url]).env("SFS_API_KEY", key).output().unwrap();
        assert!(login.status.success(), "{}", home.finish(login));
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn good(home: &TestHome, args: &[&str]) -> Run {
    let run = home.sfs(args);
    assert_eq!(run.code, Some(0), "{args:?}: {run}");
    run
}

fn say(home: &TestHome, text: &str, time: &str) {
    let files = walkdir::WalkDir::new(home.path().join(".codex/sessions")).into_iter().flatten();
    let file = files.map(walkdir::DirEntry::into_path).find(|path| path.is_file()).unwrap();
    let line = json!({"timestamp": format!("2026-11-22T{time}.000Z"), "type": "response_item", "payload":
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}});
    fs::OpenOptions::new().append(true).open(file).unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
    good(home, &["import"]);
}

fn there(home: &TestHome) -> Vec<Value> {
    home.json(&["list", "--remote", "--json"]).as_array().unwrap().clone()
}

fn captured() -> TestHome {
    let home = TestHome::with(&["codex/patch"]);
    good(&home, &["import"]);
    home
}

#[test]
fn a_session_goes_through_the_published_server_and_on_in_another_tool() {
    let Some(server) = Published::start("v1::a_session_goes_through_the_published_server") else { return };
    let one = captured();
    server.sign_up(&one);
    let pushed = one.json(&["push", "--json"]);
    assert_eq!((pushed.as_array().unwrap().len(), &pushed[0]["result"]), (1, &json!("pushed")), "{pushed}");
    assert_eq!(there(&one)[0]["etag"], pushed[0]["etag"]);
    assert_eq!((&there(&one)[0]["tool"], &there(&one)[0]["place"]), (&json!("codex"), &json!("both")));
    assert_eq!(good(&one, &["sync"]).stdout, "Nothing new.\n");

    let other = TestHome::new();
    server.log_in(&other, &one);
    let id = there(&other)[0]["id"].as_str().unwrap().to_owned();
    let pulled = other.json(&["pull", &id[..9], "--json"]);
    assert_eq!((&pulled[0]["id"], &pulled[0]["etag"]), (&json!(id), &pushed[0]["etag"]), "{pulled}");
    assert_eq!(good(&other, &["pull"]).stdout, "Nothing new.\n");
    let count = |home: &TestHome| home.json(&["list", "--json"])[0]["message_count"].as_u64().unwrap();
    assert_eq!(count(&other), count(&one));
    let resumed = other.json(&["resume", &id, "--in", "gemini", "--project", ".", "--json"]);
    assert!(resumed["files"][0].as_str().unwrap().contains("/.gemini/"), "{resumed}");

    // It grows, and is replaced by who knows what is there.
    say(&one, "one thing more", "23:00:00");
    let again = one.json(&["push", "--json"]);
    assert_ne!(again[0]["etag"], pushed[0]["etag"]);
    assert_eq!((there(&one).len(), &there(&one)[0]["etag"]), (1, &again[0]["etag"]));
    good(&other, &["pull"]);
    assert!(good(&other, &["show", &id, "-m"]).stdout.contains("one thing more"));
    assert_eq!(count(&other), count(&one));
    assert_eq!(good(&other, &["sync"]).stdout, "Nothing new.\n");
    for home in [&one, &other] {
        assert_eq!(home.json(&["admin", "check", "--json"])["damage"], json!([]));
    }
    let run = other.sfs(&["pull", "ses_aaaaaaaaaaaaaaaa"]);
    assert_eq!((run.code, run.stderr.contains("404")), (Some(4), true), "{run}");
}

/// With exact copies the two become one that has both tails.
#[test]
fn two_tails_meet_in_one_archive_of_the_published_server() {
    let Some(server) = Published::start("v1::two_tails_meet_in_one_archive") else { return };
    let (one, other) = (captured(), captured());
    server.sign_up(&one);
    server.log_in(&other, &one);
    for home in [&one, &other] {
        good(home, &["config", "set", "sync.secrets", "warn"]);
    }
    say(&one, "said on the first machine", "23:00:00");
    say(&other, "said on the second machine", "23:00:05");
    good(&one, &["push"]);
    // 409: what is there is taken in first.
    good(&other, &["push"]);
    good(&one, &["sync"]);
    good(&other, &["sync"]);
    assert_eq!(there(&one).len(), 1);
    let third = TestHome::new();
    server.log_in(&third, &one);
    good(&third, &["pull"]);
    for home in [&one, &other, &third] {
        let shown = good(home, &["show", "last", "-m"]).stdout;
        for text in ["said on the first machine", "said on the second machine"] {
            assert_eq!(shown.matches(text).count(), 1, "{shown}");
        }
        assert_eq!(home.json(&["show", "last", "--json"])["branches"].as_array().unwrap().len(), 2);
        assert_eq!(home.json(&["admin", "check", "--json"])["damage"], json!([]));
    }
    assert_eq!(good(&one, &["sync"]).stdout, "Nothing new.\n");
}

/// Copies without secrets hold messages only: neither may replace the other, so both are there.
#[test]
fn nothing_on_the_published_server_is_overwritten() {
    let Some(server) = Published::start("v1::nothing_on_the_published_server_is_overwritten") else { return };
    let (one, other) = (captured(), captured());
    server.sign_up(&one);
    server.log_in(&other, &one);
    say(&one, "said on the first machine", "23:00:00");
    say(&other, "said on the second machine", "23:00:05");
    let first = one.json(&["push", "--json"])[0].clone();
    let second = other.json(&["push", "--json"])[0].clone();
    assert_eq!((&second["result"], &second["conflict_with"]), (&json!("pushed"), &first["id"]), "{second}");
    let listed = there(&one);
    assert_eq!(listed.len(), 2, "{listed:?}");
    let of_first = listed.iter().find(|one| one["id"] == first["id"]).unwrap();
    assert_eq!(of_first["etag"], first["etag"], "what was there is there");
    assert!(good(&other, &["audit", "--event", "conflict"]).stdout.contains(first["id"].as_str().unwrap()));
    // Theirs is a branch here, to be shown and continued.
    let branches = other.json(&["show", "last", "--json"])["branches"].clone();
    let theirs = branches[1]["name"].as_str().unwrap();
    assert!(good(&other, &["show", "last", "-m", "--branch", theirs]).stdout.contains("said on the first machine"));
    // Each goes on with its own, and nobody is told of a conflict again.
    say(&one, "more on the first machine", "23:01:00");
    say(&other, "more on the second machine", "23:01:05");
    for home in [&one, &other] {
        let pushed = home.json(&["push", "--json"]);
        assert_eq!((&pushed[0]["result"], &pushed[0]["conflict_with"]), (&json!("pushed"), &Value::Null), "{pushed}");
    }
    assert_eq!(there(&one).len(), 2);
    good(&one, &["pull"]);
    let branches = one.json(&["show", "last", "--json"])["branches"].clone();
    let theirs = branches.as_array().unwrap().iter().filter(|branch| branch["name"] != "main");
    let texts: Vec<String> = theirs
        .map(|branch| good(&one, &["show", "last", "-m", "--branch", branch["name"].as_str().unwrap()]).stdout)
        .collect();
    assert!(texts.iter().any(|text| text.contains("more on the second machine")), "{branches}");
    for home in [&one, &other] {
        assert_eq!(home.json(&["admin", "check", "--json"])["damage"], json!([]));
    }
}

#[test]
fn secrets_do_not_arrive_at_the_published_server() {
    let Some(server) = Published::start("v1::secrets_do_not_arrive_at_the_published_server") else { return };
    let secret = "ghp_Zr81kVq0mT5sWc3yXb7nLd2fGh4jKa9eQuPo";
    let one = captured();
    say(&one, &format!("export TOKEN={secret}"), "23:00:00");
    good(&one, &["rename", "last", &format!("rotate {secret}")]);
    server.sign_up(&one);
    good(&one, &["config", "set", "sync.secrets", "block"]);
    assert!(good(&one, &["push"]).stderr.contains("stays here: it holds secrets"));
    assert!(there(&one).is_empty());
    good(&one, &["config", "set", "sync.secrets", "redact"]);
    assert!(good(&one, &["push"]).stderr.contains("not a full backup"));
    let other = TestHome::new();
    server.log_in(&other, &one);
    good(&other, &["pull"]);
    let text = other.json(&["show", "last", "-m", "--json"]).to_string();
    assert!(text.contains("export TOKEN=[redacted:") && !text.contains(secret), "{text}");
    let one_shown = one.json(&["show", "last", "-m", "--json"]).to_string();
    assert!(one_shown.contains(&format!("export TOKEN={secret}")));
}
