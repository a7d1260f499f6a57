//! What an operator does on the server's folder: backup, check, users, invitations.

use super::{Ask, Server, files_of, id, packed, session};
use crate::support::home::{Run, TestHome};
use serde_json::{Value, json};
use sessionfs::server::api::Api;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn serve(home: &TestHome, data: &Path, args: &[&str]) -> Run {
    home.sfs(&[&["serve"], args, &["--data", data.to_str().unwrap()]].concat())
}

#[test]
fn a_backup_of_a_running_server_brings_everything_back() {
    let (home, server) = (TestHome::new(), Server::new());
    let data = server.folder.path().join("data");
    let (alice, bob) = (server.sign_up("alice@example.com"), server.sign_up("bob@example.com"));
    server.sign_up("nothing@example.com");
    for (number, key) in [(1, &alice), (2, &alice), (3, &bob)] {
        server.put(key, &id(number), &packed(&session(&id(number), 50)), None);
    }
    server.put(&alice, &id(1), &packed(&session(&id(1), 60)), server.detail(&alice, &id(1))["etag"].as_str());
    let file = home.path().join("backup.tar");
    let run = serve(&home, &data, &["backup", file.to_str().unwrap(), "--json"]);
    let listed: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((run.code, listed["files"].as_array().unwrap().len()), (Some(0), 3), "{run}");
    assert_eq!(serve(&home, &data, &["backup", file.to_str().unwrap()]).code, Some(4), "it replaces nothing");
    // Not in the backup.
    server.put(&alice, &id(9), &packed(&session(&id(9), 1)), None);
    let restored = home.path().join("restored");
    fs::create_dir(&restored).unwrap();
    let tar = std::process::Command::new("tar").arg("-xf").arg(&file).arg("-C").arg(&restored).status().unwrap();
    assert!(tar.success());
    let run = serve(&home, &restored, &["check"]);
    assert_eq!((run.code, run.stdout.starts_with("3 accounts, 3 sessions, ")), (Some(0), true), "{run}");
    let etag = |server: &Server| server.detail(&alice, &id(1))["etag"].clone();
    let second = Server { api: Api::open(&restored, super::policy()).unwrap(), folder: tempfile::tempdir().unwrap() };
    assert_eq!(etag(&second), etag(&server));
    assert!(files_of(&second.sync(&alice, &id(1)).body) == session(&id(1), 60));
    assert!(files_of(&second.sync(&bob, &id(3)).body) == session(&id(3), 50));
    assert_eq!(second.sync(&alice, &id(9)).status, 404);
    assert_eq!(fs::metadata(restored.join("accounts")).unwrap().permissions().mode() & 0o777, 0o700);
    let left: Vec<_> = fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn damage_is_found_and_not_copied() {
    let (home, server) = (TestHome::new(), Server::new());
    let data = server.folder.path().join("data");
    let key = server.sign_up("alice@example.com");
    server.put(&key, &id(1), &packed(&session(&id(1), 2000)), None);
    let account = server.get("/api/v1/auth/me", &key).json()["user_id"].as_str().unwrap().to_owned();
    let archive = data.join("accounts").join(account).join("archive.db");
    drop(server.api);
    assert_eq!(serve(&home, &data, &["check"]).code, Some(0));
    let mut bytes = fs::read(&archive).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 3000].fill(0x5a);
    fs::write(&archive, &bytes).unwrap();
    fs::create_dir(data.join("accounts/stranger")).unwrap();
    let run = serve(&home, &data, &["check"]);
    assert_eq!(run.code, Some(1), "{run}");
    assert!(run.stdout.contains("damaged: alice@example.com"), "{run}");
    assert!(run.stdout.contains("accounts/stranger belongs to no account"), "{run}");
    let run = serve(&home, &data, &["backup", "b.tar"]);
    assert_eq!((run.code, home.path().join("b.tar").exists()), (Some(1), false), "{run}");
}

#[test]
fn an_operator_looks_after_accounts() {
    let (home, server) = (TestHome::new(), Server::new());
    let data = server.folder.path().join("data");
    let (_, bob) = (server.sign_up("alice@example.com"), server.sign_up("bob@example.com"));
    let users: Value = serde_json::from_str(&serve(&home, &data, &["users", "--json"]).stdout).unwrap();
    let of =
        |users: &Value, field: &str| users.as_array().unwrap().iter().map(|u| u[field].clone()).collect::<Vec<_>>();
    assert_eq!(of(&users, "email"), [json!("alice@example.com"), json!("bob@example.com")]);
    assert_eq!(of(&users, "admin"), [json!(true), json!(false)]);
    let users =
        serve(&home, &data, &["users", "--admin", "Bob@Example.com", "--no-admin", "alice@example.com", "--json"]);
    assert_eq!(of(&serde_json::from_str(&users.stdout).unwrap(), "admin"), [json!(false), json!(true)]);
    assert_eq!(server.get("/api/v1/admin/users", &bob).status, 200);
    assert_eq!(serve(&home, &data, &["disable", "bob@example.com"]).code, Some(0));
    assert_eq!(server.get("/api/v1/auth/me", &bob).status, 403, "at once");
    assert_eq!(serve(&home, &data, &["disable", "bob@example.com", "--undo"]).code, Some(0));
    assert_eq!(server.get("/api/v1/auth/me", &bob).status, 200);
    let code = serve(&home, &data, &["invite", "--email", "eve@example.com"]);
    assert!(code.stdout.starts_with("inv_"), "{code}");
    insta::assert_snapshot!(serve(&home, &data, &["gc"]), @"Dropped 0 invitations and 0 events; no session.");
    let audit = serve(&home, &data, &["audit", "-n", "2"]).stdout;
    assert!(audit.lines().count() == 2 && audit.contains("invited"), "{audit}");
    insta::assert_snapshot!(serve(&home, &data, &["disable", "nobody@example.com"]), @r#"
    ---- stderr
    error: no account has the address "nobody@example.com"
    hint: sessionfs serve users
    ---- exit Some(3)
    "#);
    let run = serve(&home, home.path(), &["users"]);
    assert_eq!((run.code, run.stderr.contains("is no server's folder")), (Some(3), true), "{run}");
}

#[test]
fn options_are_checked_and_come_from_the_environment_too() {
    let home = TestHome::new();
    for (option, value) in [
        ("listen", "here"),
        ("signup", "maybe"),
        ("max-upload", "much"),
        ("quota", "-1"),
        ("rate", "x"),
        ("trusted-proxy", "10.0.0.0/33"),
        ("cors-origin", "example.com"),
    ] {
        let run = home.sfs(&["serve", &format!("--{option}"), value]);
        assert_eq!(run.code, Some(2), "{option}: {run}");
        assert!(run.stderr.contains(value) && run.stderr.contains("hint: valid: "), "{run}");
        let variable = format!("SESSIONFS_SERVE_{}", option.to_uppercase().replace('-', "_"));
        let run = home.finish(home.command(&["serve"]).env(variable, value).output().unwrap());
        assert_eq!(run.code, Some(2), "{option}: {run}");
    }
    assert!(!home.path().join(".sessionfs").exists(), "nothing was made");
    let server = Server::new();
    server.sign_up("alice@example.com");
    let data = server.folder.path().join("data");
    let users = home.command(&["serve", "users"]).env("SESSIONFS_SERVE_DATA", &data).output().unwrap();
    assert!(home.finish(users).stdout.contains("alice@example.com"));
    assert_eq!(server.ask(Ask::new("GET", "/health", "")).status, 200);
}
