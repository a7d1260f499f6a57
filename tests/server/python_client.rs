//! The published Python client against the real server, a process of its own: signing up, pushing, listing, pulling, and a conflict.
//! `setup.sh` installs it.

use super::live::Live;
use crate::clients::skip;
use crate::support::home::{TestHome, fixture};
use crate::support::written;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The first one, and a newer one, which runs with what the first one needs.
const FIRST: [&str; 1] = ["0.1.0"];
const NEWER: [&str; 2] = ["0.26.0", "0.1.0"];

/// The value of `PYTHONPATH`, if the client is there.
fn client(versions: &[&str]) -> Option<String> {
    let set = std::env::var_os("SESSIONFS_TEST_CLIENTS").map(PathBuf::from);
    let clients = set.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients")).join("sessionfs");
    let folders: Vec<String> = versions.iter().map(|version| clients.join(version).display().to_string()).collect();
    let path = folders.join(":");
    let works = Command::new("python3").env("PYTHONPATH", &path).args(["-c", "import sessionfs.cli.main"]).output();
    let is_there = versions.iter().all(|version| clients.join(version).exists());
    (is_there && works.is_ok_and(|output| output.status.success())).then_some(path)
}

/// A person's machine with the Python client on it.
struct Machine<'a> {
    home: TestHome,
    client: &'a str,
}

impl Machine<'_> {
    fn sfs(&self, args: &[&str]) -> (Option<i32>, String) {
        let code = "import sys; sys.argv[0] = 'sfs'; from sessionfs.cli.main import cli_main; sys.exit(cli_main())";
        let output = Command::new("python3")
            .args(["-c", code])
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.home.path())
            .env("PYTHONPATH", self.client)
            .env("COLUMNS", "200")
            .stdin(Stdio::null())
            .current_dir(self.home.path())
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&text).into_owned())
    }

    fn must(&self, args: &[&str]) -> String {
        let (code, text) = self.sfs(args);
        assert_eq!(code, Some(0), "{args:?}: {text}");
        text
    }

    fn sessions(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.home.path().join(".sessionfs/sessions")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut ids: Vec<String> = names.filter_map(|name| name.strip_suffix(".sfs").map(str::to_owned)).collect();
        ids.sort();
        ids
    }

    fn folder(&self, id: &str) -> PathBuf {
        self.home.path().join(".sessionfs/sessions").join(format!("{id}.sfs"))
    }

    fn etag(&self, id: &str) -> Value {
        let manifest: Value =
            serde_json::from_slice(&std::fs::read(self.folder(id).join("manifest.json")).unwrap()).unwrap();
        manifest["sync"]["etag"].clone()
    }

    fn messages(&self, id: &str) -> Vec<u8> {
        std::fs::read(self.folder(id).join("messages.jsonl")).unwrap()
    }

    fn say_more(&self, id: &str, text: &str) {
        let message = serde_json::json!({"msg_id": text, "role": "user", "content": [{"type": "text", "text": text}],
            "timestamp": "2026-11-22T12:00:00Z"});
        written::append(&self.folder(id).join("messages.jsonl"), format!("{message}\n"));
    }
}

#[test]
fn the_published_client_signs_up_pushes_pulls_and_hears_of_conflicts() {
    let Some(client) = client(&FIRST) else {
        return skip("server::python_client", "sessionfs 0.1.0 is not installed; run tests/server/setup.sh");
    };
    let server = Live::new();
    let url = server.url();
    let laptop = Machine { home: TestHome::with(&["claude/multi", "claude/readedit"]), client: &client };
    let desktop = Machine { home: TestHome::new(), client: &client };
    assert!(fixture("claude/multi").exists());
    laptop.must(&["import", "--from", "claude-code"]);
    let ids = laptop.sessions();
    let signup = laptop.must(&["auth", "signup", "--email", "alice@example.com", "--url", &url]);
    let key = signup.split_whitespace().find(|word| word.starts_with("sk_sfs_")).unwrap().to_owned();
    assert_eq!(laptop.sfs(&["auth", "signup", "--email", "alice@example.com", "--url", &url]).0, Some(1));
    let first = &ids[0];
    assert!(laptop.must(&["push", first]).contains("Created remote session"));
    // The client keeps the ETag in the manifest, which so is another one at the next push.
    assert!(laptop.must(&["push", first]).contains("Updated remote session"));
    assert!(laptop.must(&["pull", first, "--force"]).contains("up to date"));
    assert!(laptop.must(&["sync"]).contains(&format!("{} pushed, 0 pulled, 0 conflicts", ids.len() - 1)));
    assert!(laptop.must(&["sync"]).contains("0 pushed, 0 pulled, 0 conflicts"));

    desktop.must(&["auth", "login", "--url", &url, "--key", &key]);
    assert!(desktop.must(&["list-remote"]).contains(&first[..16]));
    assert!(desktop.must(&["sync"]).contains(&format!("0 pushed, {} pulled", ids.len())));
    assert_eq!(desktop.sessions(), ids);
    for id in &ids {
        assert!(laptop.messages(id) == desktop.messages(id), "{id}");
        assert_eq!(laptop.etag(id), desktop.etag(id), "{id}");
    }
    desktop.say_more(first, "said on the desktop");
    assert!(desktop.must(&["push", first]).contains("Updated"));
    laptop.say_more(first, "said on the laptop");
    let (code, text) = laptop.sfs(&["push", first]);
    assert_eq!((code, text.contains("Conflict")), (Some(1), true), "{text}");
    laptop.must(&["pull", first, "--force"]);
    assert!(laptop.messages(first) == desktop.messages(first));
    assert!(laptop.must(&["admin", "reindex"]).contains(&format!("{} sessions", ids.len())));
    assert_eq!(desktop.sfs(&["pull", "ses_aaaaaaaaaaaaaaaa"]).0, Some(1), "one that is not there");

    assert_eq!(server.get("/api/v1/sessions", &key).json()["total"], ids.len());
    server.assert_sound();
}

#[test]
fn a_newer_published_client_deletes_and_restores_too() {
    let Some(client) = client(&NEWER) else {
        return skip("server::python_client", "sessionfs 0.26.0 is not installed; run tests/server/setup.sh");
    };
    let server = Live::new();
    let url = server.url();
    let laptop = Machine { home: TestHome::with(&["claude/multi"]), client: &client };
    laptop.must(&["import", "--from", "claude-code"]);
    let id = laptop.sessions().remove(0);
    let signup = laptop.must(&["auth", "signup", "--email", "alice@example.com", "--url", &url]);
    let key = signup.split_whitespace().find(|word| word.starts_with("sk_sfs_")).unwrap().to_owned();
    assert!(laptop.must(&["auth", "status"]).contains("alice@example.com"));
    laptop.must(&["push", &id]);
    assert!(laptop.must(&["list-remote"]).contains(&id[..16]));
    assert!(laptop.must(&["delete", &id, "--cloud", "--force"]).contains("Deleted from cloud"));
    assert!(laptop.must(&["trash"]).contains(&id[..16]));
    assert!(laptop.must(&["delete", &id, "--cloud", "--force"]).contains("already deleted"));
    let (code, text) = laptop.sfs(&["push", &id]);
    assert!(code != Some(0) || text.contains("deleted"), "{text}");
    assert!(laptop.must(&["restore", &id]).contains("Restored session"));
    let other = Machine { home: TestHome::new(), client: &client };
    other.must(&["auth", "login", "--url", &url, "--key", &key]);
    other.must(&["pull", &id]);
    assert!(other.messages(&id) == laptop.messages(&id));
    assert_eq!(server.detail(&key, &id)["source_tool"], "claude-code");
    server.assert_sound();
}
