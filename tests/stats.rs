//! `sfs stats`: the sums, what they count once, and how they are cut in time.

use crate::support::home::{TestHome, fixture};
use crate::support::written::{claude_file, claude_line, claude_session, id, import, write};
use serde_json::{Value, json};
use std::fs;

fn sum(values: &Value, field: &str) -> u64 {
    values.as_array().unwrap().iter().map(|value| value[field].as_u64().unwrap_or_default()).sum()
}

/// A reply that took some tokens, at `at`.
fn reply(session: &str, number: u32, model: &str, at: &str) -> String {
    let mut line = claude_line(session, number, "assistant", "An answer");
    line["timestamp"] = at.into();
    line["requestId"] = format!("req_{session}_{number}").into();
    line["message"]["id"] = format!("msg_{session}_{number}").into();
    line["message"]["model"] = model.into();
    line["message"]["usage"] = json!({"input_tokens": 1_000, "output_tokens": 100, "cache_read_input_tokens": 5_000,
        "cache_creation_input_tokens": 200});
    format!("{line}\n")
}

/// A home with one session whose only reply came at `at`.
fn replied_at(at: &[&str]) -> TestHome {
    let home = TestHome::new();
    for (n, at) in (1..).zip(at) {
        write(&claude_file(&home, &id(n)), reply(&id(n), 1, "claude-sonnet-4-6", at));
    }
    import(&home);
    home
}

/// The rows' keys, in order.
fn keys(home: &TestHome, zone: &str, by: &str) -> Vec<String> {
    let output = home.command(&["stats", "--json", "--by", by]).env("TZ", zone).output().unwrap();
    let stats: Value = serde_json::from_slice(&output.stdout).unwrap();
    stats["rows"].as_array().unwrap().iter().map(|row| row[by].as_str().unwrap_or("null").to_owned()).collect()
}

#[test]
fn the_sums_are_those_of_the_list() {
    for tool in ["claude", "codex", "gemini"] {
        let mut cases = Vec::new();
        for case in fs::read_dir(fixture(tool)).unwrap() {
            cases.push(format!("{tool}/{}", case.unwrap().file_name().to_str().unwrap()));
        }
        let home = TestHome::with(&cases.iter().map(String::as_str).collect::<Vec<_>>());
        import(&home);
        let (list, stats) = (home.json(&["list", "--json"]), home.json(&["stats", "--json"]));
        assert_eq!(stats["total"]["sessions"], list.as_array().unwrap().len(), "{tool}");
        for (of_stats, of_list) in [
            ("turns", "turn_count"),
            ("messages", "message_count"),
            ("input_tokens", "input_tokens"),
            ("output_tokens", "output_tokens"),
        ] {
            assert_eq!(stats["total"][of_stats].as_u64().unwrap(), sum(&list, of_list), "{tool}: {of_stats}");
        }
        for by in ["day", "week", "month", "tool", "project", "model"] {
            let table = home.json(&["stats", "--json", "--by", by]);
            assert_eq!(table["total"], stats["total"], "{tool} by {by}");
            for field in ["replies", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"] {
                assert_eq!(
                    sum(&table["rows"], field),
                    table["total"][field].as_u64().unwrap(),
                    "{tool} by {by}: {field}"
                );
            }
            assert!(by == "model" || sum(&table["rows"], "turns") == sum(&list, "turn_count"), "{tool} by {by}");
        }
    }
}

#[test]
fn cost_is_that_of_the_list_and_what_has_no_price_is_marked() {
    let home = replied_at(&["2026-11-20T10:00:00Z", "2026-11-21T10:00:00Z"]);
    let (list, total) = (home.json(&["list", "--json"]), home.json(&["stats", "--json"])["total"].clone());
    let costs: f64 = list.as_array().unwrap().iter().map(|session| session["cost_usd"].as_f64().unwrap()).sum();
    assert!(costs > 0.0 && (costs - total["cost_usd"].as_f64().unwrap()).abs() < 1e-9, "{total}");
    assert_eq!(total["unpriced_replies"], 0);
    write(&claude_file(&home, &id(3)), reply(&id(3), 1, "nobodys-model", "2026-11-21T11:00:00Z"));
    import(&home);
    let with = home.json(&["stats", "--json"]);
    assert_eq!((&with["total"]["cost_usd"], &with["total"]["unpriced_replies"]), (&total["cost_usd"], &json!(1)));
    insta::assert_snapshot!(home.sfs(&["stats", "--by", "model"]), @"
    MODEL              SESSIONS  TURNS  MSGS  INPUT  CACHED  WRITTEN  OUTPUT     COST
    claude-sonnet-4-6         2                 12k     10k      400     200    $0.01
    nobodys-model             1                6.2k    5.0k      200     100        ?
    total                     3      0     3    18k     15k      600     300  $0.01+?
    ---- stderr
    ?: 1 reply of models without a known price (prices of 2026-08)
    ");
}

#[test]
fn days_are_local_and_weeks_are_of_iso() {
    let home = replied_at(&["2026-11-20T23:30:00Z", "2027-01-01T12:00:00Z"]);
    assert_eq!(keys(&home, "UTC", "day"), ["2026-11-20", "2027-01-01"]);
    assert_eq!(keys(&home, "Asia/Kolkata", "day"), ["2026-11-21", "2027-01-01"]);
    assert_eq!(keys(&home, "America/New_York", "day"), ["2026-11-20", "2027-01-01"]);
    assert_eq!(keys(&home, "UTC", "week"), ["2026-W47", "2026-W53"]);
    assert_eq!(keys(&home, "UTC", "month"), ["2026-11", "2027-01"]);
}

#[test]
fn a_span_of_time_counts_what_was_done_in_it() {
    let home = TestHome::new();
    let lines = ["2026-11-20T10:00:00Z", "2026-11-21T10:00:00Z", "2026-11-22T10:00:00Z"];
    let lines = (1..).zip(lines).map(|(n, at)| reply(&id(1), n, "claude-sonnet-4-6", at));
    write(&claude_file(&home, &id(1)), lines.collect::<String>());
    import(&home);
    let replies = |args: &[&str]| home.json(&[&["stats", "--json"], args].concat())["total"]["replies"].clone();
    assert_eq!(replies(&[]), 3);
    assert_eq!(replies(&["--since", "2026-11-21", "--until", "2026-11-22"]), 1);
    assert_eq!(replies(&["--since", "2026-11-21"]), 2);
    assert_eq!(replies(&["--tool", "codex"]), 0);
    assert_eq!(replies(&["--project", "/home/dev/work"]), 3);
    assert_eq!(replies(&["--project", "/home/dev/wo"]), 0);
    let backwards = home.sfs(&["stats", "--since", "2026-11-22", "--until", "2026-11-21"]);
    assert_eq!(backwards.code, Some(2), "{backwards}");
}

#[test]
fn what_is_copied_is_counted_once() {
    let home = TestHome::new();
    let file = claude_file(&home, &id(1));
    let session = claude_session(&id(1), 2) + &reply(&id(1), 9, "claude-sonnet-4-6", "2026-11-22T11:00:00Z");
    write(&file, &session);
    import(&home);
    let total = || home.json(&["stats", "--json"])["total"].clone();
    let before = total();
    assert_eq!((&before["turns"], &before["messages"], &before["replies"]), (&json!(2), &json!(5), &json!(1)));
    // A copy of the file, and a resume of ours in another tool.
    write(&file.with_file_name("copy").join(file.file_name().unwrap()), &session);
    home.json(&["resume", &id(1), "--in", "codex", "--no-launch", "--json"]);
    import(&home);
    assert_eq!(home.json(&["list", "--json"]).as_array().unwrap().len(), 2);
    assert_eq!(total(), before);
}

#[test]
fn nothing_is_nothing() {
    let home = TestHome::new();
    insta::assert_snapshot!(home.sfs(&["stats"]), @"
    ---- stderr
    No sessions yet. Capture what your tools have: sfs import
    ");
    assert_eq!(home.json(&["stats", "--json"])["total"]["cost_usd"], 0.0);
    assert_eq!(home.json(&["stats", "--json", "--by", "day"])["rows"], json!([]));
    assert_eq!(home.sfs(&["stats", "--by", "year"]).code, Some(2));
}
