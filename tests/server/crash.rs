//! A server that is killed, that has no room left, and whose clients all come at once: what it said it stored is there.
//!
//! Killing and filling up are for another process: the tests run this very binary again, with one of the tests below that do
//! nothing by themselves.

use super::{Server, files_of, id, packed, session};
use crate::clients::skip;
use sessionfs::server::api::Api;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Where the other process keeps its server.
const FOLDER: &str = "SESSIONFS_TEST_SERVER";

fn open(folder: &Path) -> Server {
    Server { api: Api::open(&folder.join("data"), super::policy()).unwrap(), folder: tempfile::tempdir().unwrap() }
}

/// Runs the test `name` of this file as the last words of `command`, as another process.
fn other_process(mut command: Command, name: &str, folder: &Path) -> Child {
    let test = format!("server::crash::{name}");
    command.args([&test, "--exact", "--ignored", "--nocapture"]).env(FOLDER, folder).stdout(Stdio::piped());
    command.spawn().unwrap()
}

/// Where this process is to keep its server, if it is the other process.
fn folder() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\nsaid {line}\n").as_bytes()).and_then(|()| out.flush()).unwrap();
}

#[test]
#[ignore = "the process that is killed"]
fn pushes_without_end() {
    let Some(folder) = folder() else { return };
    let server = open(&folder);
    let key = server.sign_up("alice@example.com");
    say(&key);
    for number in 0.. {
        let id = id(number % 50);
        let turns = 2 + number as usize / 50;
        let etag = (turns > 2).then(|| server.detail(&key, &id)["etag"].as_str().unwrap().to_owned());
        let put = server.put(&key, &id, &packed(&session(&id, turns)), etag.as_deref());
        assert!(matches!(put.status, 200 | 201), "{put:?}");
        say(&format!("{id} {turns} {}", put.etag()));
    }
}

#[test]
fn what_a_killed_server_acknowledged_is_there() {
    for pushes in [3, 80, 170] {
        let folder = tempfile::tempdir().unwrap();
        let mut child =
            other_process(Command::new(std::env::current_exe().unwrap()), "pushes_without_end", folder.path());
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut said = lines.filter_map(|line| line.strip_prefix("said ").map(str::to_owned));
        let key = said.next().unwrap();
        let mut acknowledged: Vec<String> = (0..pushes).map(|_| said.next().unwrap()).collect();
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged.extend(said);
        let server = open(folder.path());
        server.assert_sound();
        for line in acknowledged.iter().rev().take(50) {
            let words: Vec<&str> = line.split(' ').collect();
            let detail = server.detail(&key, words[0]);
            // One more may have been stored and not acknowledged.
            let turns = detail["turn_count"].as_u64().unwrap() as usize;
            assert!(
                [words[1].parse().unwrap(), words[1].parse::<usize>().unwrap() + 1].contains(&turns),
                "{line}: {turns}"
            );
            if turns.to_string() == words[1] {
                assert_eq!(detail["etag"], words[2]);
            }
            assert!(files_of(&server.sync(&key, words[0]).body) == session(words[0], turns), "{line}");
        }
    }
}

#[test]
#[ignore = "the process whose disk is small"]
fn pushes_until_the_disk_is_full() {
    let Some(folder) = folder() else { return };
    let server = open(&folder);
    let key = server.sign_up("alice@example.com");
    let mut seed = 1u32;
    let mut noise = || -> Vec<u8> {
        let next = |_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 24) as u8
        };
        (0..150_000).map(next).collect()
    };
    let mut stored = Vec::new();
    let refused = (0..1000).find_map(|number| {
        let files = vec![("messages.jsonl".to_owned(), b"{}\n".to_vec()), ("noise".to_owned(), noise())];
        let put = server.put(&key, &id(number), &packed(&files), None);
        if put.status == 201 {
            stored.push((id(number), files));
            return None;
        }
        Some(put.refusal())
    });
    let message = "507 disk_full The server's disk is full; nothing was stored, and nothing was lost";
    assert_eq!(refused.as_deref(), Some(message));
    assert!(stored.len() > 3);
    // What is packed for an answer needs room too.
    std::fs::remove_file(folder.join("ballast")).unwrap();
    for (id, files) in &stored {
        assert!(files_of(&server.sync(&key, id).body) == *files, "{id}");
    }
    server.assert_sound();
    assert_eq!(server.put(&key, &id(5000), &packed(&session(&id(5000), 1)), None).status, 201, "it goes on");
    say(&format!("{} sessions", stored.len()));
}

#[test]
fn a_full_disk_is_told_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let room = "mount -t tmpfs -o size=6m none \"$SESSIONFS_TEST_SERVER\"";
    let can = Command::new("unshare")
        .args(["-rm", "sh", "-c", room])
        .env(FOLDER, folder.path())
        .stderr(Stdio::null())
        .status();
    if !can.is_ok_and(|status| status.success()) {
        return skip("server::crash", "no file system can be mounted here");
    }
    let script = format!("{room} && head -c 1000000 /dev/zero > \"$SESSIONFS_TEST_SERVER/ballast\" && exec \"$@\"");
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", &script, "sh"]).arg(std::env::current_exe().unwrap());
    let output = other_process(command, "pushes_until_the_disk_is_full", folder.path()).wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains(" sessions\n"), "{text}");
}

#[test]
fn of_clients_that_come_at_once_one_wins_and_all_are_told() {
    let server = Server::new();
    let keys = [server.sign_up("alice@example.com"), server.sign_up("bob@example.com")];
    for key in &keys {
        server.put(key, &id(0), &packed(&session(&id(0), 1)), None);
    }
    let expected = keys.each_ref().map(|key| server.detail(key, &id(0))["etag"].as_str().unwrap().to_owned());
    let statuses: Vec<Vec<u16>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..9u32)
            .map(|number| {
                let (server, key, etag) = (&server, &keys[number as usize % 2], &expected[number as usize % 2]);
                scope.spawn(move || {
                    let own = server.put(key, &id(number), &packed(&session(&id(number), 5)), None);
                    let shared = server.put(key, &id(0), &packed(&session(&id(0), 1 + number as usize)), Some(etag));
                    let read = server.sync(key, &id(0));
                    vec![own.status, shared.status, read.status]
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(statuses.iter().all(|s| s[0] == 201 && s[2] == 200), "{statuses:?}");
    let won = |parity| statuses.iter().skip(parity).step_by(2).filter(|s| s[1] == 200).count();
    assert_eq!((won(0), won(1)), (1, 1), "{statuses:?}");
    assert_eq!(statuses.iter().filter(|s| s[1] == 409).count(), 6);
    server.assert_sound();
}
