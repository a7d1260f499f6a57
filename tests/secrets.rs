//! `sfs scan`, and copies without secrets. No secret stands here as it is: other people's scanners would find it.

use crate::support::home::{TestHome, copy_tree, fixture};
use serde_json::{Value, json};
use std::path::Path;

/// What looks like a GitHub token, and another one.
fn token(seed: u8) -> String {
    let letter = |n: u8| char::from(b"aB3dE5gH7jK9mN1pQr"[usize::from(n.wrapping_mul(seed).wrapping_add(n / 3)) % 18]);
    format!("gh{}_{}", 'p', (0..36).map(letter).collect::<String>())
}

fn pem() -> String {
    let line = |n: usize| format!("{}{n}", "MIIEpAIBAAKCAQEAy8Dbv8prpJ5kKulGeJYozzjkxwmHgoUrOv").repeat(1);
    format!("-----BEGIN RSA {0} KEY-----\n{1}\n{2}\n-----END RSA {0} KEY-----", "PRIVATE", line(1), line(2))
}

/// A home with a Claude Code session that holds three secrets, one of them in four places.
fn leaky() -> TestHome {
    let home = TestHome::new();
    let folder = home.path().join(".claude/projects/-w");
    let id = "11111111-2222-4333-8444-555555555555";
    std::fs::create_dir_all(folder.join(id).join("tool-results")).unwrap();
    let (first, second) = (token(5), token(7));
    let base = |n: u8, parent: Value| {
        json!({"parentUuid": parent, "isSidechain": false, "uuid": format!("00000000-0000-4000-8000-00000000000{n}"),
            "cwd": "/w", "sessionId": id, "version": "2.1.330", "timestamp": format!("2026-11-22T08:00:0{n}.000Z")})
    };
    let line = |n: u8, rest: Value| {
        let parent = if n == 0 { Value::Null } else { format!("00000000-0000-4000-8000-00000000000{}", n - 1).into() };
        let mut record = base(n, parent);
        record.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        format!("{record}\n")
    };
    let text = [
        line(
            0,
            json!({"type": "user", "message": {"role": "user", "content": format!("use {first} for the release")}}),
        ),
        line(
            1,
            json!({"type": "assistant", "message": {"role": "assistant", "model": "claude-opus-5-5", "content": [
            {"type": "thinking", "thinking": "I take it", "signature": "EqQB".repeat(80)},
            {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": format!("GH_TOKEN={first} gh release")}}]}}),
        ),
        line(
            2,
            json!({"type": "user", "toolUseResult": {"stdout": format!("pushed with {first}")}, "message": {"role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": format!("pushed with {first} and {second}")}]}}),
        ),
    ];
    std::fs::write(folder.join(format!("{id}.jsonl")), text.concat()).unwrap();
    std::fs::write(folder.join(id).join("tool-results/key.txt"), format!("one\n{}\nlast\n", pem())).unwrap();
    assert_eq!(home.sfs(&["import"]).code, Some(0));
    home
}

/// All files below `folder`.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().flatten();
    let files = entries.filter(|entry| entry.file_type().is_file());
    files.map(|entry| (entry.path().display().to_string(), std::fs::read(entry.path()).unwrap())).collect()
}

/// Panics where one of the secrets of [`leaky`] stands in `text`.
fn assert_clean(name: &str, text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    for secret in [&token(5), &token(7), "MIIEpAIBAAKCAQEA"] {
        assert!(!text.contains(secret), "{name} holds {secret}: {text}");
    }
}

/// Placeholders differ from archive to archive.
fn without_hashes(text: &str) -> String {
    let mut parts = text.split("[redacted:github_token:");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |out, part| format!("{out}[redacted:github_token:…{}", &part[8..]))
}

#[test]
fn a_scan_tells_where_secrets_stand_and_never_what_they_are() {
    let home = leaky();
    let run = home.sfs(&["scan"]);
    assert_clean("scan", format!("{run}").as_bytes());
    insta::assert_snapshot!(without_hashes(&run.to_string()), @r"
    ses_7zubguflectbhdcz use [redacted:github_token:…] for the release
      critical  private_key_pem  ****  tool-results/key.txt:3
      high      github_token  ghp_****71Bg  main:1 and 3 more
      high      github_token  ghp_****a7pa  main:3
    ---- stderr
    6 findings in 1 of 1 session
    ");
    assert_eq!(home.sfs(&["scan", "last", "--fail"]).code, Some(1));
    assert_eq!(home.sfs(&["scan", "--severity", "critical"]).stdout.lines().count(), 2);
    assert_eq!(home.sfs(&["scan", "--severity", "worst"]).code, Some(2));
    assert_eq!(home.sfs(&["scan", "ses_aaaaaaaaaaaaaaaa"]).code, Some(3));
}

#[test]
fn a_scan_as_json_names_each_place() {
    let home = leaky();
    let answer = home.json(&["scan", "last", "--json"]);
    let findings = answer["findings"].as_array().unwrap();
    let places: Vec<_> = findings
        .iter()
        .map(|f| (f["kind"].as_str().unwrap(), f["stream"].as_str().unwrap(), f["line"].as_u64().unwrap()))
        .collect();
    let github = |line| ("github_token", "main", line);
    assert_eq!(
        places,
        [github(1), github(2), github(3), github(3), github(3), ("private_key_pem", "tool-results/key.txt", 3)]
    );
    assert_eq!(findings[0]["fingerprint"], findings[1]["fingerprint"], "the same secret");
    assert_eq!(findings[0]["fingerprint"].as_str().unwrap().len(), 8);
    assert_clean("scan --json", answer.to_string().as_bytes());
}

#[test]
fn no_recorded_session_has_a_secret() {
    let home = TestHome::new();
    for tool in ["claude", "codex", "gemini"] {
        for case in std::fs::read_dir(fixture(tool)).unwrap() {
            copy_tree(&case.unwrap().path(), home.path());
        }
    }
    assert_eq!(home.sfs(&["import"]).code, Some(0));
    let answer = home.json(&["scan", "--json"]);
    assert_eq!(answer["findings"], json!([]));
    assert!(answer["sessions"].as_u64().unwrap() >= 50, "{answer}");
}

#[test]
fn what_people_read_goes_without_secrets() {
    let home = leaky();
    for format in ["markdown", "html"] {
        let run = home.sfs(&["export", "last", "--format", format]);
        assert_clean(format, run.stdout.as_bytes());
        assert!(run.stdout.contains("[redacted:github_token:"), "{run}");
        // The title, the prompt, the command, two in its result.
        assert_eq!(run.stderr, "5 secrets replaced; the archive keeps the original\n");
        let whole = home.sfs(&["export", "last", "--format", format, "--no-redact"]);
        assert!(whole.stdout.contains(&token(5)) && whole.stderr.is_empty(), "{whole}");
    }
}

#[test]
fn placeholders_of_one_archive_agree_and_of_two_do_not() {
    let placeholder = |home: &TestHome| {
        let text = home.sfs(&["export", "last", "--format", "markdown"]).stdout;
        let all: Vec<String> = text.match_indices("[redacted:").map(|(at, _)| text[at..at + 32].to_owned()).collect();
        assert!(all.iter().filter(|p| **p == all[0]).count() >= 3, "{text}");
        all[0].clone()
    };
    let (home, other) = (leaky(), leaky());
    assert_eq!(placeholder(&home), placeholder(&home));
    assert_ne!(placeholder(&home), placeholder(&other));
    let settings = home.sfs(&["config", "show", "--json"]);
    assert!(!settings.stdout.contains("redaction"), "the key is nobody's business: {settings}");
}

#[test]
fn a_redacted_folder_holds_no_secret_and_can_be_imported() {
    let home = leaky();
    let run = home.sfs(&["export", "last", "--format", "sfs", "--redact", "-o", "out"]);
    let folder = home.path().join(run.stdout.trim());
    assert_eq!(run.code, Some(0), "{run}");
    for (name, bytes) in files(&folder) {
        assert_clean(&name, &bytes);
    }
    assert!(!folder.join("native").exists(), "bytes without their secrets are not the tool's");
    let other = TestHome::new();
    assert_eq!(other.sfs(&["import", folder.to_str().unwrap()]).code, Some(0));
    let shown = other.sfs(&["show", "last", "-m"]);
    assert!(shown.stdout.contains("[redacted:github_token:") && shown.stdout.contains("gh release"), "{shown}");
    // Where the original is, the copy does not take its place.
    assert_eq!(home.sfs(&["import", folder.to_str().unwrap()]).code, Some(0));
    assert!(home.sfs(&["show", "last", "-m"]).stdout.contains(&token(5)));
}

#[test]
fn a_redacted_native_copy_has_the_same_lines() {
    let home = leaky();
    assert_eq!(home.sfs(&["export", "last", "--format", "native", "-o", "exact"]).code, Some(0));
    assert_eq!(home.sfs(&["export", "last", "--format", "native", "--redact", "-o", "copy"]).code, Some(0));
    let (exact, copy) = (files(&home.path().join("exact")), files(&home.path().join("copy")));
    assert_eq!(exact.len(), 2);
    for ((_, exact), (name, copy)) in exact.iter().zip(&copy) {
        assert_clean(name, copy);
        let lines = |bytes: &[u8]| String::from_utf8_lossy(bytes).matches('\n').count();
        assert_eq!(lines(exact), lines(copy), "{name}");
        if Path::new(name).extension().is_some_and(|e| e == "jsonl") {
            for line in copy.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
                assert!(serde_json::from_slice::<Value>(line).is_ok());
            }
            let signature = "EqQB".repeat(80);
            assert!(String::from_utf8_lossy(copy).contains(&signature));
        }
    }
    let original = home.path().join(".claude/projects/-w/11111111-2222-4333-8444-555555555555.jsonl");
    assert!(exact.iter().any(|(_, bytes)| *bytes == std::fs::read(&original).unwrap()), "the archive keeps every byte");
}

#[test]
fn what_cannot_be_redacted_says_so() {
    let home = leaky();
    insta::assert_snapshot!(home.sfs(&["export", "last", "--format", "codex", "--redact"]), @r"
    ---- stderr
    error: codex can't be redacted
    hint: formats that can: sfs, native, markdown, html
    ---- exit Some(2)
    ");
    insta::assert_snapshot!(home.sfs(&["export", "last", "--redact", "--no-redact"]), @r"
    ---- stderr
    error: --redact and --no-redact contradict each other
    hint: give one of them
    ---- exit Some(2)
    ");
}
