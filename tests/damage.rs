//! What disks, power cuts and faulty memory do to the archive: damage is named, a full disk and a killed process cost
//! nothing that was captured.

use crate::support::home::{Run, TestHome};
use crate::support::written::{
    Files, append, assert_faithful, claude_file, claude_line, claude_session, id, import, native_files, write,
};
use rusqlite::Connection;
use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

fn database(home: &TestHome) -> PathBuf {
    home.path().join(".sessionfs/archive.db")
}

/// Changes the archive behind its back, and leaves no write-ahead log.
fn tamper(home: &TestHome, sql: &str) {
    let connection = Connection::open(database(home)).unwrap();
    connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    connection.execute_batch(sql).unwrap();
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
}

/// A home with one captured session that has chunks and a tail.
fn home_with_chunks() -> TestHome {
    let home = TestHome::new();
    write(&claude_file(&home, &id(1)), claude_session(&id(1), 400));
    import(&home);
    tamper(&home, "");
    home
}

/// `sfs admin check` must find damage, say so in both forms, and change nothing.
fn damage(home: &TestHome) -> Vec<String> {
    let before = fs::read(database(home)).unwrap();
    let run = home.sfs(&["admin", "check"]);
    assert_eq!(run.code, Some(1), "{run}");
    assert!(run.stderr.starts_with("error: ") && run.stderr.contains("hint: "), "{run}");
    let json = home.sfs(&["admin", "check", "--json"]);
    assert_eq!(json.code, Some(1), "{json}");
    let report: Value = serde_json::from_str(&json.stdout).unwrap_or_else(|_| panic!("{json}"));
    let error: Value = serde_json::from_str(&json.stderr).unwrap();
    assert_eq!(error["error"]["kind"], "failed");
    assert_eq!(fs::read(database(home)).unwrap(), before, "the check changed the archive");
    let named: Vec<_> = run.stdout.lines().filter(|line| line.starts_with("damaged: ")).map(str::to_owned).collect();
    assert_eq!(report["damage"].as_array().unwrap().len(), named.len());
    named
}

#[test]
fn every_kind_of_damage_is_named() {
    let mut table = String::new();
    for sql in [
        "UPDATE pack SET data = zeroblob(length(data))",
        "UPDATE pack SET data = substr(data, 1, length(data) - 100)",
        "UPDATE pack SET raw_length = raw_length + 1",
        "UPDATE pack SET raw_length = 1000000000000",
        "UPDATE pack SET raw_length = -1",
        "DELETE FROM pack",
        "UPDATE chunk SET hash = zeroblob(32) WHERE id = 1",
        "UPDATE chunk SET start = start + 1 WHERE id = 1",
        "UPDATE chunk SET start = 100000000 WHERE id = 1",
        "UPDATE chunk SET length = -1 WHERE id = 1",
        "UPDATE chunk SET pack = 77 WHERE id = 1",
        "DELETE FROM chunk WHERE id = 1",
        "DELETE FROM stream_chunk WHERE start = 0",
        "UPDATE stream_chunk SET chunk = 77 WHERE start = 0",
        "UPDATE tail SET data = zeroblob(length(data))",
        "UPDATE tail SET start = start + 1",
        "UPDATE tail SET raw_length = -1",
        "DELETE FROM tail",
        "UPDATE stream SET length = length + 1",
        "UPDATE stream SET length = -1",
        "UPDATE stream SET cut = cut - 1",
        "UPDATE stream SET cut = cut + 1; DELETE FROM tail; UPDATE stream SET length = cut - 1, tail_hash = x''",
        "UPDATE stream SET chain = zeroblob(32)",
        "UPDATE stream SET tail_hash = zeroblob(32)",
        "UPDATE stream SET session = 77",
        "DELETE FROM session",
        "UPDATE session SET public_id = 'nonsense'",
    ] {
        let home = home_with_chunks();
        tamper(&home, sql);
        let named = damage(&home);
        writeln!(table, "{sql}\n  {}", named.join("\n  ")).unwrap();
    }
    insta::assert_snapshot!(table, @r#"
    UPDATE pack SET data = zeroblob(length(data))
      damaged: ses_kpefowao2x5gqqlp: chunk 1: pack 1 is damaged: Unknown frame descriptor
    UPDATE pack SET data = substr(data, 1, length(data) - 100)
      damaged: ses_kpefowao2x5gqqlp: chunk 1: pack 1 is damaged: Src size is incorrect
    UPDATE pack SET raw_length = raw_length + 1
      damaged: ses_kpefowao2x5gqqlp: chunk 1: pack 1 is damaged: its length is wrong
    UPDATE pack SET raw_length = 1000000000000
      damaged: ses_kpefowao2x5gqqlp: chunk 1: pack 1 is damaged: its length is impossible
    UPDATE pack SET raw_length = -1
      damaged: ses_kpefowao2x5gqqlp: chunk 1: pack 1 is damaged: its length is impossible
    DELETE FROM pack
      damaged: ses_kpefowao2x5gqqlp: chunk 1: pack 1 is missing
    UPDATE chunk SET hash = zeroblob(32) WHERE id = 1
      damaged: ses_kpefowao2x5gqqlp: chunk 1: its bytes do not have its hash
      damaged: ses_kpefowao2x5gqqlp: stream main (generation 0): its bytes do not have its hash
    UPDATE chunk SET start = start + 1 WHERE id = 1
      damaged: ses_kpefowao2x5gqqlp: chunk 1: pack 1 is shorter than its chunks
    UPDATE chunk SET start = 100000000 WHERE id = 1
      damaged: ses_kpefowao2x5gqqlp: chunk 1: pack 1 is shorter than its chunks
    UPDATE chunk SET length = -1 WHERE id = 1
      damaged: ses_kpefowao2x5gqqlp: chunk 1: the archive could not be read or written: Integer -1 out of range at index 2
      damaged: session in row 1: the archive could not be read or written: Integer -1 out of range at index 1
    UPDATE chunk SET pack = 77 WHERE id = 1
      damaged: ses_kpefowao2x5gqqlp: chunk 1: pack 77 is missing
    DELETE FROM chunk WHERE id = 1
      damaged: archive: stream_chunk belongs to a chunk that does not exist
      damaged: ses_kpefowao2x5gqqlp: stream main (generation 0): its chunks end at byte 0, which is not where its tail begins
    DELETE FROM stream_chunk WHERE start = 0
      damaged: ses_kpefowao2x5gqqlp: stream main (generation 0): its chunks end at byte 0, which is not where its tail begins
    UPDATE stream_chunk SET chunk = 77 WHERE start = 0
      damaged: archive: stream_chunk belongs to a chunk that does not exist
      damaged: ses_kpefowao2x5gqqlp: stream main (generation 0): its chunks end at byte 0, which is not where its tail begins
    UPDATE tail SET data = zeroblob(length(data))
      damaged: ses_kpefowao2x5gqqlp: stream main (generation 0): the tail of stream 1 (main) is damaged: Unknown frame descriptor
    UPDATE tail SET start = start + 1
      damaged: ses_kpefowao2x5gqqlp: stream main (generation 0): the tail of stream 1 (main) has a gap
    UPDATE tail SET raw_length = -1
      damaged: ses_kpefowao2x5gqqlp: stream main (generation 0): the tail of stream 1 (main) is damaged: its length is impossible
    DELETE FROM tail
      damaged: ses_kpefowao2x5gqqlp: stream main (generation 0): holds 262144 of 316546 bytes
    UPDATE stream SET length = length + 1
      damaged: ses_kpefowao2x5gqqlp: stream main (generation 0): holds 316546 of 316547 bytes
    UPDATE stream SET length = -1
      damaged: session in row 1: the archive could not be read or written: Integer -1 out of range at index 6
    UPDATE stream SET cut = cut - 1
      damaged: ses_kpefowao2x5gqqlp: stream main (generation 0): the tail of stream 1 (main) has a gap
    UPDATE stream SET cut = cut + 1; DELETE FROM tail; UPDATE stream SET length = cut - 1, tail_hash = x''
      damaged: ses_kpefowao2x5gqqlp: stream main (generation 0): its chunks end at byte 262144, which is not where its tail begins
    UPDATE stream SET chain = zeroblob(32)
      damaged: ses_kpefowao2x5gqqlp: stream main (generation 0): its bytes do not have its hash
    UPDATE stream SET tail_hash = zeroblob(32)
      damaged: ses_kpefowao2x5gqqlp: stream main (generation 0): its bytes do not have its hash
    UPDATE stream SET session = 77
      damaged: archive: stream 1 belongs to a session that does not exist
    DELETE FROM session
      damaged: archive: stream 1 belongs to a session that does not exist
      damaged: archive: summary 1 belongs to a session that does not exist
    UPDATE session SET public_id = 'nonsense'
      damaged: session in row 1: the archive could not be read or written: Conversion error from type Text at index: 1, "nonsense" is not a session id
    "#);
}

/// Damage of the database file itself: the check ends with an error, whatever it can still name.
#[test]
fn a_database_file_with_holes_is_damaged() {
    let home = home_with_chunks();
    let whole = fs::read(database(&home)).unwrap();
    let pages = whole.len() / 4096;
    for page in (1..pages).step_by(5) {
        let mut broken = whole.clone();
        broken[page * 4096..(page + 1) * 4096].fill(0xa5);
        fs::write(database(&home), &broken).unwrap();
        for args in [&["admin", "check"][..], &["list"], &["show", "last", "-m"], &["export", "last", "-o", "out"]] {
            let run = home.sfs(args);
            assert!(matches!(run.code, Some(0..=4)) && !run.stderr.contains("panicked"), "page {page}: {run}");
            assert!(args[0] != "admin" || run.code == Some(1), "page {page}: not noticed");
        }
    }
}

#[test]
fn a_damaged_session_does_not_stop_the_others() {
    let home = home_with_chunks();
    tamper(&home, "UPDATE pack SET data = zeroblob(length(data))");
    write(&claude_file(&home, &id(2)), claude_session(&id(2), 400));
    import(&home);
    let run = home.sfs(&["export", &id(2), "--format", "native", "-o", "out"]);
    assert_eq!(run.code, Some(0), "{run}");
    let run = home.sfs(&["export", &id(1), "--format", "native", "-o", "out"]);
    insta::assert_snapshot!(run, @"
    ---- stderr
    error: pack 1 is damaged: Unknown frame descriptor
    hint: sfs admin check
    ---- exit Some(1)
    ");
}

/// Sessions of text that does not compress, in files of about 300 kB.
fn incompressible_sessions(home: &TestHome, count: u32) {
    let mut seed = 1u64;
    let mut noise = |length: usize| -> String {
        let next = |_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b'0' + (seed >> 33) as u8 % 75)
        };
        (0..length).map(next).filter(|c| *c != '\\').collect()
    };
    for session in 0..count {
        let mut lines = String::new();
        for number in 0..30 {
            writeln!(lines, "{}", claude_line(&id(session), number, "user", &noise(10_000))).unwrap();
        }
        write(&claude_file(home, &id(session)), lines);
    }
}

#[test]
fn a_full_disk_costs_nothing() {
    let home = TestHome::new();
    incompressible_sessions(&home, 12);
    fs::create_dir(home.path().join(".sessionfs")).unwrap();
    let script = r#"
        mount -t tmpfs -o size=2m none "$HOME/.sessionfs" || exit 99
        run() { name=$1; shift; "$SFS" "$@" >"$HOME/$name.out" 2>"$HOME/$name.err"; echo $? >"$HOME/$name.code"; }
        run full import
        run check admin check
        run list list -q
        mount -o remount,size=64m "$HOME/.sessionfs"
        run again import
        cp -a "$HOME/.sessionfs" "$HOME/saved"
    "#;
    let inner = home.command(&[]);
    let mut command = Command::new("unshare");
    command.arg(if rustix::process::geteuid().is_root() { "-m" } else { "-rm" }).args(["sh", "-c", script]);
    command.env_clear().envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = command.env("SFS", inner.get_program()).output();
    if !output.as_ref().is_ok_and(|output| output.status.success()) {
        return crate::clients::skip("a_full_disk_costs_nothing", &format!("no mount namespace: {output:?}"));
    }
    let said = |name: &str| fs::read_to_string(home.path().join(name)).unwrap();
    insta::assert_snapshot!(format!("{}exit {}", said("full.err"), said("full.code")), @"
    error: the archive could not be read or written: database or disk is full: Error code 13: database or disk is full
    hint: free some space and run the command again; nothing already captured is lost
    exit 1
    ");
    assert_eq!(said("check.code"), "0\n", "{}{}", said("check.out"), said("check.err"));
    assert!(said("list.out").lines().count() < 12, "the disk was not full");
    assert_eq!(said("again.code"), "0\n", "{}", said("again.err"));
    fs::remove_dir_all(home.path().join(".sessionfs")).unwrap();
    fs::rename(home.path().join("saved"), home.path().join(".sessionfs")).unwrap();
    assert_faithful(&home);
}

/// Starts an import, kills it after a while, and says whether it was still running.
fn killed_import(home: &TestHome, after: Duration) -> bool {
    let mut child = home.command(&["import"]).stdout(std::process::Stdio::null()).spawn().unwrap();
    std::thread::sleep(after);
    let ran = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    ran
}

#[test]
fn a_killed_import_costs_nothing() {
    let home = TestHome::new();
    incompressible_sessions(&home, 8);
    let original: Files = native_files(&home);
    for round in 0..20u64 {
        let killed = killed_import(&home, Duration::from_millis(round * 37 % 83));
        let check: Run = home.sfs(&["admin", "check"]);
        assert_eq!(check.code, Some(0), "round {round}, killed: {killed}: {check}");
        // There is always something to do.
        for (path, bytes) in &original {
            append(&home.path().join(path), &bytes[..40_000 + 1_000 * round as usize]);
        }
    }
    import(&home);
    assert_faithful(&home);
}

#[test]
fn a_damaged_archive_is_not_taken_for_another_file() {
    let home = TestHome::with(&["claude/chat"]);
    assert_eq!(home.sfs(&["import"]).code, Some(0));
    let archive = home.path().join(".sessionfs/archive.db");
    let mut bytes = std::fs::read(&archive).unwrap();
    bytes[100..2000].fill(0xa5);
    std::fs::write(&archive, &bytes).unwrap();
    let run = home.sfs(&["list"]);
    assert_eq!(run.code, Some(1), "{run}");
    assert!(run.stderr.contains("is damaged") && run.stderr.contains("keep the file"), "{run}");
    assert_eq!(std::fs::read(&archive).unwrap(), bytes);
}
