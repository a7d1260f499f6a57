//! Purge: the bytes go, the id stays, and nothing else is touched, whenever it is interrupted.

use crate::support::home::TestHome;
use crate::support::written::{
    append, assert_faithful, assert_same_files, assert_sound, claude_file, claude_line, claude_session, files_below,
    id, import, native_files, sessions, write,
};
use rusqlite::Connection;
use serde_json::json;
use sessionfs::home::Home;
use sessionfs::store::Store;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

/// Text that does not compress away, the same for the same seed.
fn noise(seed: u64, bytes: usize) -> String {
    let mut random = seed;
    let mut text = String::with_capacity(bytes + 16);
    while text.len() < bytes {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        write!(text, "{random:016x}").unwrap();
    }
    text
}

/// A session whose lines are short but for one of noise.
fn session_with(session: &str, text: &str) -> String {
    let last = claude_line(session, 4, "user", text);
    format!("{}{last}\n", claude_session(session, 2))
}

fn count(home: &TestHome, sql: &str) -> u64 {
    Connection::open(home.path().join(".sessionfs/archive.db")).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

fn store_of(home: &TestHome) -> Store {
    Store::open(&Home::at(home.path(), &home.path().join(".sessionfs"))).unwrap()
}

fn id_of(home: &TestHome, native_id: &str) -> String {
    home.json(&["show", native_id, "--json"])["id"].as_str().unwrap().to_owned()
}

/// Two sessions that share 600 kB, and each has as much of its own.
fn home_with_two() -> (TestHome, PathBuf, PathBuf) {
    let home = TestHome::new();
    let shared = noise(1, 600_000);
    let files = [claude_file(&home, &id(1)), claude_file(&home, &id(2))];
    write(&files[0], session_with(&id(1), &format!("{}{shared}", noise(2, 600_000))));
    write(&files[1], session_with(&id(2), &format!("{}{shared}", noise(3, 600_000))));
    import(&home);
    let [first, second] = files;
    (home, first, second)
}

#[test]
fn a_purge_frees_the_bytes_and_leaves_other_sessions_intact() {
    let (home, file, _) = home_with_two();
    let (chunks, before) = (count(&home, "SELECT count(*) FROM chunk"), native_files(&home));
    let purged = id_of(&home, &id(1));
    let refused = home.sfs(&["delete", "--purge", &purged]);
    assert_eq!(refused.code, Some(2), "{refused}");
    assert_eq!(sessions(&home).len(), 2, "nobody said yes");

    let outcome = home.json(&["delete", "--purge", "--yes", &purged, "--json"]);
    assert_eq!((&outcome[0]["id"], &outcome[0]["result"]), (&json!(purged), &json!("purged")));
    assert_eq!(outcome[0]["native_bytes"], std::fs::metadata(&file).unwrap().len());
    assert!(outcome[0]["freed_bytes"].as_u64().unwrap() > 200_000, "{outcome}");
    let left = count(&home, "SELECT count(*) FROM chunk");
    assert!(left < chunks && left > 0, "{left} of {chunks}");
    assert_eq!(count(&home, "SELECT count(*) FROM stream WHERE session = 1"), 0);
    assert_eq!(count(&home, "SELECT sum(length) FROM chunk"), count(&home, "SELECT sum(raw_length) FROM pack"));

    assert_same_files(&native_files(&home), &before);
    let folder = tempfile::tempdir().unwrap();
    home.sfs(&["export", &id(2), "--format", "native", "-o", folder.path().to_str().unwrap()]);
    let (path, bytes) = files_below(folder.path()).pop_first().unwrap();
    assert!(before[&PathBuf::from(".claude").join(path)] == bytes, "the other session is whole");
    assert_sound(&home);
}

#[test]
fn a_purged_session_never_comes_back_by_itself() {
    let (home, file, _) = home_with_two();
    let purged = id_of(&home, &id(1));
    home.sfs(&["export", &purged]);
    home.sfs(&["tag", "add", &purged, "mine"]);
    home.sfs(&["rename", &purged, "Mine"]);
    assert_eq!(home.sfs(&["delete", "--purge", "-y", &purged]).code, Some(0));
    assert_eq!(import(&home).stdout, "Nothing new.\n");
    append(&file, format!("{}\n", claude_line(&id(1), 5, "user", "More")));
    assert_eq!(import(&home).stdout, "Nothing new.\n");
    let elsewhere = home.path().join(file.file_name().unwrap());
    std::fs::copy(&file, &elsewhere).unwrap();
    for path in [home.path().join(format!("{purged}.sfs")), file.clone(), elsewhere] {
        let run = home.sfs(&["import", path.to_str().unwrap()]);
        let said = format!("{purged} was purged here and stays out\n");
        assert!(run.code == Some(0) && run.stderr.starts_with("note: ") && run.stderr.ends_with(&said), "{run}");
        assert_eq!(run.stdout, "Nothing new.\n");
    }
    assert_eq!(home.sfs(&["admin", "reindex", "--local"]).code, Some(0));
    assert_eq!(sessions(&home).len(), 1);
    assert_eq!(home.json(&["list", "--deleted", "--json"]), json!([]));
    assert_eq!(home.json(&["tag", "list", "--json"]), json!([]));
    for words in
        [["show", &purged], ["delete", &purged], ["resume", &purged], ["show", &id(1)], ["show", &purged[..10]]]
    {
        let run = home.sfs(&words);
        assert!(run.code == Some(3) && run.stderr.contains("was purged"), "{words:?} {run}");
    }
    assert_eq!(home.sfs(&["undelete", &purged]).code, Some(4));
    assert_eq!(home.json(&["delete", "--purge", "-y", &purged, "--json"])[0]["result"], "unchanged");
    let log = home.json(&["audit", "--session", &purged[..10], "--event", "purged", "--json"]);
    assert_eq!(log.as_array().unwrap().len(), 1);
    std::fs::remove_file(&file).unwrap();
    import(&home);
    assert_eq!(count(&home, "SELECT count(*) FROM native_file WHERE path LIKE '%000000000001.jsonl'"), 0);
    assert_eq!(home.sfs(&["admin", "check"]).code, Some(0));
}

#[test]
fn a_deleted_session_can_be_purged_by_a_prefix() {
    let (home, ..) = home_with_two();
    let purged = id_of(&home, &id(1));
    home.sfs(&["delete", &purged]);
    let run = home.sfs(&["delete", "--purge", "--yes", &purged[..10]]);
    assert!(run.code == Some(0) && run.stdout.contains("are gone"), "{run}");
    assert_eq!(home.json(&["list", "--deleted", "--json"]), json!([]));
    assert_sound(&home);
}

#[test]
fn what_was_purged_is_not_in_the_file_any_more() {
    let home = TestHome::new();
    let file = claude_file(&home, &id(1));
    write(&file, claude_session(&id(1), 2));
    write(&claude_file(&home, &id(2)), claude_session(&id(2), 2));
    import(&home);
    // Short enough to lie uncompressed in the tail.
    append(&file, format!("{}\n", claude_line(&id(1), 4, "user", "xyzzy-7731-plugh")));
    import(&home);
    let holds = |home: &TestHome, text: &str| {
        let files = files_below(&home.path().join(".sessionfs"));
        files.values().any(|bytes| memchr::memmem::find(bytes, text.as_bytes()).is_some())
    };
    assert!(holds(&home, "xyzzy-7731-plugh"));
    assert_eq!(home.sfs(&["delete", "--purge", "-y", &id(1)]).code, Some(0));
    assert!(!holds(&home, "xyzzy-7731-plugh"), "the line is still in the archive's file");
    assert!(!holds(&home, "plugh") && !holds(&home, "xyzzy"), "its words are still in the full-text index");
}

#[test]
fn capture_goes_on_after_a_purge_in_the_packs_that_it_changed() {
    let (home, _, second) = home_with_two();
    assert_eq!(home.sfs(&["delete", "--purge", "-y", &id(1)]).code, Some(0));
    append(&second, format!("{}\n", claude_line(&id(2), 5, "user", &noise(9, 900_000))));
    write(&claude_file(&home, &id(3)), session_with(&id(3), &noise(2, 600_000)));
    import(&home);
    std::fs::remove_file(claude_file(&home, &id(1))).unwrap();
    assert_faithful(&home);
}

#[test]
fn the_tokens_of_a_purged_session_are_counted_in_its_fork() {
    let home = TestHome::new();
    let answer = |session: &str, forked: bool| {
        let mut line = claude_line(session, 1, "assistant", "Answer");
        line["requestId"] = json!("req_1");
        line["message"]["id"] = json!("msg_1");
        line["message"]["model"] = json!("claude-sonnet-4-5");
        line["message"]["usage"] = json!({"input_tokens": 100, "output_tokens": 10});
        if forked {
            line["forkedFrom"] = json!({"sessionId": id(1), "messageUuid": line["uuid"]});
        }
        format!("{}\n{line}\n", claude_line(session, 0, "user", "Question"))
    };
    write(&claude_file(&home, &id(1)), answer(&id(1), false));
    write(&claude_file(&home, &id(2)), answer(&id(2), true));
    import(&home);
    let output = |home: &TestHome| home.json(&["show", &id(2), "--json"])["output_tokens"].as_u64().unwrap();
    assert_eq!(output(&home), 0, "counted where it was said");
    home.sfs(&["delete", "--purge", "-y", &id(1)]);
    assert_eq!(output(&home), 10);
    assert_sound(&home);
}

#[test]
fn the_forks_that_name_their_beginning_in_a_purged_session_are_named() {
    let ids = |home: &TestHome| {
        let fork = home.json(&["show", "01a20277-3f6f-7d83-9644-5cae2de0271b", "--json"])["id"].clone();
        (id_of(home, "01a20277-3bca-7953-8f86-37132e12f1fd"), fork)
    };
    let home = TestHome::with(&["codex/fork"]);
    import(&home);
    let (parent, fork) = ids(&home);
    assert_eq!(home.json(&["delete", "--purge", "--yes", &parent, "--json"])[0]["forks"], json!([fork]));
    let home = TestHome::with(&["codex/fork"]);
    import(&home);
    let run = home.sfs(&["delete", "--purge", "--yes", &parent]);
    let said = format!("its fork {} may have lost its beginning\n", fork.as_str().unwrap());
    assert!(run.code == Some(0) && run.stdout.ends_with(&said), "{run}");
    let (home, ..) = home_with_two();
    assert_eq!(home.json(&["delete", "--purge", "--yes", &id(1), "--json"])[0]["forks"], json!([]));
}

#[test]
fn a_purge_that_was_only_begun_hides_the_session_and_is_finished_by_the_next_one() {
    let (home, ..) = home_with_two();
    let mut store = store_of(&home);
    let row = store.find_native("claude-code", &id(1)).unwrap().unwrap();
    store.write(|store| store.mark_purged(&row, 5)).unwrap();
    assert_eq!(sessions(&home).len(), 1);
    assert_sound(&home);
    assert!(count(&home, "SELECT count(*) FROM stream WHERE session = 1") > 0);
    assert_eq!(home.json(&["list", "--deleted", "--json"]), json!([]), "a rebuild does not read it again");
    let outcome = home.json(&["delete", "--purge", "--yes", &id(1), "--json"]);
    assert!(outcome[0]["native_bytes"].as_u64().unwrap() > 1_000_000, "{outcome}");
    assert_eq!(count(&home, "SELECT count(*) FROM stream WHERE session = 1"), 0);
    assert_sound(&home);
}

/// Between two transactions of one large file: what is captured must not go into a stream that took the place of its own.
#[test]
fn nothing_is_appended_to_a_stream_that_was_purged() {
    let (home, ..) = home_with_two();
    let mut store = store_of(&home);
    let row = store.find_native("claude-code", &id(2)).unwrap().unwrap();
    let mut stream = store.newest_stream(row.id, "main").unwrap().unwrap();
    assert_eq!(home.sfs(&["delete", "--purge", "--yes", &id(2)]).code, Some(0));
    write(&claude_file(&home, &id(3)), claude_session(&id(3), 1));
    import(&home);
    let error = store.write(|store| store.append(&mut stream, b"late")).unwrap_err();
    assert!(!store.has_stream(&stream).unwrap(), "{}", error.message());
    assert_sound(&home);
}

/// A kill at any moment: the archive is sound, the other session whole, and the purge can be finished.
#[test]
fn kill_nine_in_the_middle_of_a_purge_is_harmless() {
    let home = TestHome::new();
    let kept = claude_file(&home, &id(2));
    write(&kept, session_with(&id(2), &noise(3, 3_000_000)));
    for round in 0..8u64 {
        let session = id(10 + round as u32);
        let file = claude_file(&home, &session);
        write(&file, session_with(&session, &format!("{}{}", noise(20 + round, 3_000_000), noise(3, 3_000_000))));
        import(&home);
        let mut command = home.command(&["delete", "--purge", "--yes", &session]);
        let mut purge = command.stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(round * 12));
        purge.kill().unwrap();
        purge.wait().unwrap();
        let check = home.sfs(&["admin", "check"]);
        assert_eq!(check.code, Some(0), "round {round}: {check}");
        // Either nothing happened yet, or it is gone for everybody to see.
        let shown = home.sfs(&["show", &session]);
        let gone = shown.code == Some(3) && shown.stderr.contains("was purged");
        assert!(gone || shown.code == Some(0), "round {round}: {shown}");
        let run = home.sfs(&["delete", "--purge", "--yes", &session]);
        assert_eq!(run.code, Some(0), "{run}");
        assert_eq!(count(&home, "SELECT count(*) FROM stream JOIN session s ON s.id = session WHERE purged_at > 0"), 0);
        std::fs::remove_file(&file).unwrap();
    }
    assert_eq!(count(&home, "SELECT sum(length) FROM chunk"), count(&home, "SELECT sum(raw_length) FROM pack"));
    import(&home);
    assert_faithful(&home);
}

#[test]
fn nothing_that_a_session_was_called_stays_in_a_file() {
    let home = TestHome::new();
    let line = |n: u32, role: &str, text: &str| format!("{}\n", claude_line(&id(1), n, role, text));
    let path = claude_file(&home, &id(1));
    write(&path, line(0, "user", "deploy with TOPSECRETPROMPT please") + &line(1, "assistant", "done"));
    import(&home);
    append(&path, line(2, "user", "and again"));
    import(&home);
    home.sfs(&["rename", "last", "ZQXTITLE"]);
    let run = home.sfs(&["delete", "--purge", "--yes", "last"]);
    assert_eq!(run.code, Some(0), "{run}");
    for entry in std::fs::read_dir(home.path().join(".sessionfs")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = if path.is_file() { std::fs::read(&path).unwrap() } else { Vec::new() };
        for word in ["TOPSECRETPROMPT", "ZQXTITLE"] {
            let found = bytes.windows(word.len()).any(|window| window == word.as_bytes());
            assert!(!found, "{} holds {word}", path.display());
        }
    }
}
