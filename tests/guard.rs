//! `sfs guard`: what the tools delete by themselves, as their settings say, and whether the archive has it.

use crate::support::cursor::{self, Cursor};
use crate::support::home::TestHome;
use crate::support::written::{
    append, claude_file, claude_line, claude_session, codex_file, codex_session, id, import, write,
};
use serde_json::{Value, json};
use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(86_400);

/// Makes a file look untouched for so many days.
fn untouched(path: &Path, days: u32) {
    File::options().write(true).open(path).unwrap().set_modified(SystemTime::now() - DAY * days).unwrap();
}

fn share(home: &TestHome, tool: &str) -> Value {
    let answer = home.json(&["guard", "--json"]);
    answer["tools"].as_array().unwrap().iter().find(|share| share["tool"] == tool).unwrap().clone()
}

/// Days from now on, rounded up.
fn days(session: &Value) -> i64 {
    let at: jiff::Timestamp = session["deleted_at"].as_str().unwrap().parse().unwrap();
    (at.as_second() - jiff::Timestamp::now().as_second() + 86_399).div_euclid(86_400)
}

#[test]
fn the_sessions_that_go_next_are_named_and_whether_they_are_safe() {
    let home = TestHome::new();
    for (number, age) in [(1, 5), (2, 29), (3, 40)] {
        write(&claude_file(&home, &id(number)), claude_session(&id(number), 1));
        untouched(&claude_file(&home, &id(number)), age);
    }
    let nothing = share(&home, "claude-code");
    assert_eq!((&nothing["sessions"], &nothing["not_yet_safe"]), (&json!(3), &json!(3)));
    assert_eq!((&nothing["command"], &nothing["next"][0]["id"]), (&json!("sfs daemon start"), &Value::Null));

    import(&home);
    let all = share(&home, "claude-code");
    assert_eq!((&all["not_yet_safe"], &all["command"], &all["settings"]), (&json!(0), &Value::Null, &Value::Null));
    let next: Vec<(&str, i64)> =
        all["next"].as_array().unwrap().iter().map(|s| (s["native_id"].as_str().unwrap(), days(s))).collect();
    assert_eq!(next, [(&*id(3), -10), (&*id(2), 1), (&*id(1), 25)]);

    append(&claude_file(&home, &id(2)), format!("{}\n", claude_line(&id(2), 2, "user", "More")));
    let grown = share(&home, "claude-code");
    let unsafe_ones: Vec<&Value> = grown["next"].as_array().unwrap().iter().filter(|s| s["safe"] == false).collect();
    assert_eq!((unsafe_ones.len(), &unsafe_ones[0]["native_id"]), (1, &json!(id(2))));
    assert!(unsafe_ones[0]["bytes"].as_u64() > unsafe_ones[0]["archived_bytes"].as_u64());
    home.sfs(&["config", "set", "capture.claude-code", "false"]);
    assert_eq!(share(&home, "claude-code")["command"], "sfs config set capture.claude-code true");
}

#[test]
fn a_sub_agents_lost_line_makes_its_session_unsafe() {
    let home = TestHome::with(&["claude/sub"]);
    import(&home);
    assert_eq!(share(&home, "claude-code")["not_yet_safe"], 0);
    let files = walkdir::WalkDir::new(home.path().join(".claude")).into_iter().flatten();
    let agent = files.map(walkdir::DirEntry::into_path).find(|path| {
        path.file_name().unwrap().to_str().unwrap().starts_with("agent-")
            && path.extension().is_some_and(|e| e == "jsonl")
    });
    append(&agent.unwrap(), "{}\n");
    assert_eq!(share(&home, "claude-code")["not_yet_safe"], 1);
}

#[test]
fn a_tools_own_settings_decide() {
    let home = TestHome::new();
    let file = claude_file(&home, &id(1));
    write(&file, claude_session(&id(1), 1));
    untouched(&file, 10);
    write(&codex_file(&home, &id(7)), codex_session(&id(7)));
    import(&home);
    let settings = home.path().join(".claude/settings.json");
    write(&settings, r#"{"cleanupPeriodDays": 365}"#);
    let said = share(&home, "claude-code");
    assert_eq!((&said["deletes_after_days"], days(&said["next"][0])), (&json!(365.0), 355));
    assert_eq!(said["settings"], settings.canonicalize().unwrap().to_str().unwrap());
    for refused in ["{", r#"{"cleanupPeriodDays": 0}"#, r#"{"cleanupPeriodDays": "9"}"#] {
        write(&settings, refused);
        assert_eq!(share(&home, "claude-code")["deletes_after_days"], 30.0, "{refused}");
    }
    let codex = share(&home, "codex");
    assert_eq!(
        (&codex["deletes_after_days"], &codex["next"], &codex["sessions"]),
        (&Value::Null, &json!([]), &json!(1))
    );
}

#[test]
fn gemini_counts_from_the_last_activity_and_keeps_so_many() {
    let home = TestHome::with(&["gemini/git_unicode"]);
    import(&home);
    let said = share(&home, "gemini");
    let count = said["sessions"].as_u64().unwrap();
    assert!(count > 0 && said["next"].as_array().unwrap().len() as u64 == count, "{said}");
    let active = home.json(&["list", "--tool", "gemini", "--json"])[0]["updated_at"].as_str().unwrap().to_owned();
    let month_later = active.parse::<jiff::Timestamp>().unwrap() + jiff::SignedDuration::from_hours(30 * 24);
    assert_eq!(said["next"][0]["deleted_at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap(), month_later);
    write(&home.path().join(".gemini/settings.json"), r#"{"general": {"sessionRetention": {"enabled": false}}}"#);
    assert_eq!(share(&home, "gemini")["next"], json!([]));
}

/// Its sessions are rows: they count as another tool's files do.
#[test]
fn sessions_in_a_database_are_counted() {
    let home = TestHome::new();
    let cursor = Cursor::empty(home.path());
    let writer = cursor.open();
    cursor::put_session(&writer, &id(1), &[("b1", "Hello?"), ("b2", "Hi")]);
    cursor::put_session(&writer, &id(2), &[("b1", "And you?")]);
    let counts = |home: &TestHome| {
        let said = share(home, "cursor");
        (said["sessions"].as_u64().unwrap(), said["not_yet_safe"].as_u64().unwrap())
    };
    assert_eq!(counts(&home), (2, 2));
    import(&home);
    assert_eq!(counts(&home), (2, 0));
    cursor::put_bubble(&writer, &id(2), "b2", 2, "Fine");
    let said = share(&home, "cursor");
    assert_eq!((&said["not_yet_safe"], &said["next"][0]["native_id"]), (&json!(1), &json!(id(2))), "{said}");
    assert!(said["next"][0]["bytes"].as_u64() > said["next"][0]["archived_bytes"].as_u64(), "{said}");
    writer.execute("DELETE FROM cursorDiskKV WHERE key LIKE ?1", [format!("%{}%", id(1))]).unwrap();
    assert_eq!(counts(&home), (1, 1));
    let checks: Value = serde_json::from_str(&home.sfs(&["doctor", "--json"]).stdout).unwrap();
    let of_cursor = checks["checks"].as_array().unwrap().iter().find(|check| check["subject"] == "cursor").unwrap();
    assert_eq!(of_cursor["what"], "1 of its 1 session not captured");
    let told = home.sfs(&["init", "--no-service"]);
    assert!(told.stdout.contains("Cursor       1 session ("), "{told}");
    // One that can't be read hides nothing else.
    drop(writer);
    write(&cursor.path(), "no database");
    let said = share(&home, "cursor");
    assert!(said["unread"][0].as_str().unwrap().contains("is damaged"), "{said}");
    let told = home.sfs(&["init", "--no-service"]);
    assert!(told.stderr.contains("not captured") && told.stdout.contains("Next"), "{told}");
}

#[test]
fn what_a_person_reads() {
    let home = TestHome::new();
    write(&claude_file(&home, &id(1)), claude_session(&id(1), 1));
    untouched(&claude_file(&home, &id(1)), 40);
    import(&home);
    write(&claude_file(&home, &id(2)), claude_session(&id(2), 1));
    untouched(&claude_file(&home, &id(2)), 20);
    insta::assert_snapshot!(home.sfs(&["guard"]), @r#"
    Claude Code  by itself it deletes sessions untouched for 30 days at start-up (cleanupPeriodDays in settings.json)
                 not safe yet: 1 of its 2 sessions: sfs daemon start
      at its next start  safe     ses_kpefowao     754 B  Question 0
      in 9 days          not yet  -                754 B  11111111-2222-4333-8444-000000000002
    Codex        by itself it keeps its sessions; `codex archive` only moves them to another folder
                 it has no sessions
    Gemini CLI   by itself it deletes sessions untouched for 30 days at start-up (general.sessionRetention in settings.json); versions up to 0.61 also delete a session at the start after its first resume
                 it has no sessions
    Cursor       by itself it keeps its sessions; one that a person deletes in it is gone at once
                 it has no sessions
    "#);
}
