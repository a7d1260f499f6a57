//! `sfs search`: what is found, what is not, and what every way of asking says. The differential test asks for every
//! token of every recorded session, which an extractor that knows nothing of our readers takes from the tools' own files.

use crate::clients::skip;
use crate::support::cursor::Cursor;
use crate::support::home::{TestHome, fixture};
use crate::support::said::said;
use crate::support::written::{claude_file, claude_line, claude_session, files_below, id, import, sessions, write};
use serde_json::{Value, json};
use sessionfs::home::Home;
use sessionfs::model::query::{Case, Query};
use sessionfs::search::{self, Options, Way};
use sessionfs::store::{SearchFilter, Store};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

/// A home with one session that says `texts`, one message each, captured.
fn saying(texts: &[&str]) -> TestHome {
    let home = TestHome::new();
    say(&home, 1, texts);
    import(&home);
    home
}

fn say(home: &TestHome, session: u32, texts: &[&str]) {
    let lines = (0..).zip(texts).map(|(number, text)| {
        format!("{}\n", claude_line(&id(session), number, if number % 2 == 0 { "user" } else { "assistant" }, text))
    });
    write(&claude_file(home, &id(session)), lines.collect::<String>());
}

/// The excerpts that a search gives.
fn found(home: &TestHome, args: &[&str]) -> Vec<String> {
    let hits = home.json(&[&["search", "--json"], args].concat());
    hits.as_array().unwrap().iter().map(|hit| hit["snippet"].as_str().unwrap().to_owned()).collect()
}

fn store(home: &TestHome) -> Store {
    Store::open(&Home::at(home.path(), &home.path().join(".sessionfs"))).unwrap()
}

fn anywhere(session: Option<i64>) -> Options {
    Options { filter: SearchFilter { session, ..SearchFilter::default() }, limit: 1, offset: 0, columns: 80 }
}

// What is found.

#[test]
fn words_phrases_prefixes_either_and_without() {
    let home = saying(&["the yaml parser is off by one", "a toml parser", "off the record, one by one"]);
    assert_eq!(found(&home, &["parser", "yaml"]), ["the yaml parser is off by one"]);
    assert_eq!(found(&home, &["parser yaml"]).len(), 1);
    assert_eq!(found(&home, &["\"off by one\""]), ["the yaml parser is off by one"]);
    assert_eq!(found(&home, &["pars*"]).len(), 2);
    assert_eq!(found(&home, &["yaml OR toml"]).len(), 2);
    assert_eq!(found(&home, &["parser NOT yaml"]), ["a toml parser"]);
    assert_eq!(found(&home, &["PARSER", "--case"]), [""; 0]);
}

#[test]
fn code_is_found_as_it_stands() {
    let texts =
        ["call foo_bar.baz() in src/lib.rs:12", "foo bar baz, src lib rs 12", "run it with --dry-run", "dry run"];
    let home = saying(&texts);
    for (query, text) in
        [("foo_bar.baz()", 0), ("src/lib.rs:12", 0), ("lib.rs", 0), ("FOO_BAR", 0), ("foo_b*", 0), ("--dry-run", 2)]
    {
        assert_eq!(found(&home, &["--", query]), [texts[text]], "{query}");
    }
    assert_eq!(found(&home, &["--case", "FOO_BAR"]), [""; 0]);
}

#[test]
fn inside_of_words_and_in_scripts_without_spaces() {
    let home = saying(&["the lookup_table", "你好世界！使用cargo命令", "🙂 done", "C:\\new \"quoted\"\tend"]);
    for (query, count) in [("ookup_tab", 1), ("世界", 1), ("用cargo命", 1), ("cargo", 1), ("🙂", 1), ("界！", 1)]
    {
        assert_eq!(found(&home, &[query]).len(), count, "{query}");
    }
    for query in ["OOKUP_TAB", "世界", "用c", "\\new \"quo", "d\"\te", "🙂 ", " "] {
        assert_ne!(found(&home, &["-F", query]), [""; 0], "{query:?}");
    }
    assert_eq!(found(&home, &["-F", "--case", "OOKUP_TAB"]), [""; 0]);
}

#[test]
fn what_is_looked_for_may_lie_across_pieces() {
    // Longer than any chunk and than any pack, so that needles stand at every kind of seam.
    let words = |n: u32| (0..4_000).fold(String::new(), |text, word| format!("{text}w{n}x{word}y "));
    let texts: Vec<String> = (0..40).map(words).collect();
    let home = saying(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    let store = store(&home);
    for (n, text) in texts.iter().enumerate() {
        for word in (0..4_000).step_by(797) {
            let sought = format!("{n}x{word}y w{n}x");
            let query = Query::literal(&sought, Case::Ignored).unwrap();
            let found = search::by_scan(&store, &query, &anywhere(None), &mut |_| {}).unwrap();
            assert_eq!(found.hits.len(), usize::from(text.contains(&sought)), "{sought}");
        }
    }
}

#[test]
fn filters_narrow_what_is_searched() {
    let home = TestHome::with(&["claude/bashok", "codex/shell", "gemini/tools"]);
    import(&home);
    let tools = |args: &[&str]| -> BTreeSet<String> {
        let hits = home.json(&[&["search", "--json", "-n100"], args].concat());
        hits.as_array().unwrap().iter().map(|hit| hit["tool"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(tools(&["echo OR run OR the"]).len(), 3);
    assert_eq!(tools(&["--tool", "codex", "echo OR run OR the"]).len(), 1);
    assert_eq!(tools(&["--project", "/home/dev/work/bashok", "echo OR run OR the"]).len(), 1);
    assert_eq!(tools(&["--since", "2026-11-22", "echo OR run OR the"]).len(), 3);
    assert_eq!(tools(&["--until", "2026-11-22", "echo OR run OR the"]).len(), 0);
    assert_eq!(tools(&["--tag", "none", "echo"]).len(), 0);
    let session = home.json(&["list", "--tool", "codex", "--json"])[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(tools(&["--session", &session, "echo OR run OR the"]).len(), 1);
    assert_eq!(tools(&["--session", &session, "-F", "e"]).len(), 1);
}

#[test]
fn who_said_it() {
    let home = TestHome::with(&["claude/thinktool"]);
    import(&home);
    let messages = home.json(&["show", "last", "-m", "--json"])["messages"].as_array().unwrap().clone();
    let blocks = |kind: &str| -> Vec<Value> {
        let all = messages.iter().flat_map(|m| m["content"].as_array().unwrap().clone());
        all.filter(|block| block["type"] == kind).collect()
    };
    let thought = blocks("thinking")[0]["text"].as_str().unwrap().to_owned();
    let word = thought.split_whitespace().max_by_key(|word| word.len()).unwrap();
    assert_ne!(found(&home, &["--role", "thinking", "--", word]), [""; 0], "{word}");
    let command = blocks("tool_use")[0]["name"].as_str().unwrap().to_owned();
    assert_ne!(found(&home, &["--role", "tool", &command]), [""; 0]);
    assert_eq!(found(&home, &["--role", "thinking", "-F", &format!("{command}\n")]), [""; 0]);
    for hit in home.json(&["search", "--json", "-n100", "--role", "user", "-F", "e"]).as_array().unwrap() {
        assert_eq!(hit["role"], "user");
    }
}

// What is not found, or not twice.

#[test]
fn copies_are_told_once() {
    let home = saying(&["the only zebra", "an answer"]);
    let hits = |args: &[&str]| home.json(&[&["search", "--json"], args].concat()).as_array().unwrap().len();
    let file = claude_file(&home, &id(1));
    // The tool's own fork: the same lines in a session of their own.
    let fork = fs::read_to_string(&file).unwrap().replace(&id(1), &id(2));
    write(&claude_file(&home, &id(2)), fork);
    // A copy of the file.
    write(&file.with_file_name("copy").join(file.file_name().unwrap()), fs::read(&file).unwrap());
    import(&home);
    assert_eq!((hits(&["zebra"]), hits(&["-F", "zebra"])), (1, 1));
    let resumed = home.json(&["resume", &id(1), "--in", "codex", "--no-launch", "--json"]);
    assert!(resumed["files"].is_array(), "{resumed}");
    import(&home);
    assert_eq!((hits(&["zebra"]), hits(&["-F", "ebra"])), (1, 1));
    assert_eq!(home.json(&["search", "zebra", "--json"])[0]["tool"], "claude-code", "the original");
    assert_eq!(home.json(&["search", "-F", "zebra", "--json"])[0]["tool"], "claude-code", "the original");
}

/// A session that says `zebra` and calls a tool whose output says `okapi`, its continuation in Codex, and a fork of it.
fn continued_and_forked() -> (TestHome, String, String) {
    let home = TestHome::new();
    let mut lines = String::new();
    let call = json!([{"type": "tool_use", "id": "call_1", "name": "Bash", "input": {"command": "list"}}]);
    let result = json!([{"type": "tool_result", "tool_use_id": "call_1", "content": "an okapi of many"}]);
    let contents = [json!("the only zebra"), call, result, json!([{"type": "text", "text": "an answer"}])];
    for ((n, content), role) in (0..).zip(contents).zip(["user", "assistant", "user", "assistant"]) {
        let mut line = claude_line(&id(1), n, role, "");
        line["message"]["content"] = content;
        writeln!(lines, "{line}").unwrap();
    }
    write(&claude_file(&home, &id(1)), lines);
    import(&home);
    let resumed = home.json(&["resume", &id(1), "--in", "codex", "--no-launch", "--json", "--project", "."]);
    import(&home);
    let forked = home.json(&["fork", &id(1), "--in", "gemini", "--project", ".", "--json"]);
    let name = |answer: &Value| answer["native_id"].as_str().unwrap().to_owned();
    let (continued, forked) = (name(&resumed), name(&forked));
    (home, continued, forked)
}

/// Copies stand for the original wherever that is not found.
#[test]
fn what_a_session_inherited_is_found_in_it() {
    let (home, continued, forked) = continued_and_forked();
    for words in ["zebra", "okapi"] {
        assert_eq!(found(&home, &[words]).len(), 1, "{words}: told once");
        assert_eq!(found(&home, &["-F", words]).len(), 1, "{words}: told once");
        assert_eq!(found(&home, &["--tool", "codex", words]).len(), 1, "{words}");
        for session in [&continued, &forked] {
            assert_eq!(found(&home, &["--session", session, words]).len(), 1, "{words} in {session}");
            assert_eq!(found(&home, &["--session", session, "-F", words]).len(), 1, "{words} in {session}");
        }
    }
    let other = TestHome::new();
    assert_eq!(home.sfs(&["export", &continued, "-o", "."]).code, Some(0));
    let name = home.json(&["show", &continued, "--json"])["id"].as_str().unwrap().to_owned();
    let folder = home.path().join(format!("{name}.sfs"));
    assert_eq!(other.sfs(&["import", folder.to_str().unwrap()]).code, Some(0));
    assert_eq!(found(&other, &["zebra"]).len(), 1, "where the original never was");
    assert_eq!(found(&other, &["-F", "okapi"]).len(), 1, "where the original never was");
    for how in [&["delete", "--yes"][..], &["delete", "--purge", "--yes"]] {
        assert_eq!(home.sfs(&[how, &[&id(1)]].concat()).code, Some(0));
        for words in ["zebra", "okapi"] {
            assert_eq!(found(&home, &[words]).len(), 1, "{words}: one copy stands for it");
            assert_eq!(found(&home, &["-F", words]).len(), 1, "{words}: one copy stands for it");
        }
        home.sfs(&["undelete", &id(1)]);
    }
}

/// As an older version left the index: without the text of what was inherited.
#[test]
fn an_index_with_less_in_it_is_made_anew() {
    let (home, continued, _) = continued_and_forked();
    let archive = rusqlite::Connection::open(home.path().join(".sessionfs/archive.db")).unwrap();
    archive
        .execute_batch(
            "DELETE FROM message_text WHERE rowid IN (SELECT id FROM message WHERE flags & 4 <> 0);
             DELETE FROM setting WHERE key = 'derived_version';",
        )
        .unwrap();
    let index = |home: &TestHome| {
        let run = home.sfs(&["search", "--session", &continued, "zebra"]);
        run.stderr.contains("index of whole words")
    };
    assert!(!index(&home), "nothing was forgotten");
    let stats = home.json(&["stats", "--json"]);
    import(&home);
    assert!(index(&home));
    assert_eq!(home.json(&["stats", "--json"]), stats, "nothing is counted twice");
}

#[test]
fn deleted_sessions_are_not_searched() {
    let home = saying(&["the only zebra"]);
    let archive = rusqlite::Connection::open(home.path().join(".sessionfs/archive.db")).unwrap();
    archive.execute("UPDATE session SET deleted_at = 1", []).unwrap();
    assert_eq!(found(&home, &["zebra"]), [""; 0]);
    assert_eq!(found(&home, &["-F", "zebra"]), [""; 0]);
}

// How it is shown.

#[test]
fn a_person_sees_the_session_and_the_place() {
    let home = saying(&[&format!("{} zebra\n\n{}", "before ".repeat(40), "after ".repeat(40)), "an answer"]);
    let run = home.sfs(&["search", "zebra"]).to_string();
    let age = run.split("  ").nth(2).unwrap().to_owned();
    insta::assert_snapshot!(run.replace(&age, "AGE"), @"
    ses_kpefowao  claude-code  AGE   user       before before before before before before before before before before before…
        … before before before before before before before before before before before zebra after after after after after after after after after after after after after after after after after after after after after after after after after aft…
    ---- stderr
    1 message (by the index of whole words; -F looks inside of words too)
    The daemon is not running: what your tools wrote since the last capture is missing. sfs import
    ");
    insta::assert_snapshot!(home.sfs(&["search", "ebr"]).to_string().replace(&age, "AGE"), @"
    ses_kpefowao  claude-code  AGE   user       before before before before before before before before before before before…
        … before before before before before before before before before before before zebra after after after after after after after after after after after after after after after after after after after after after after after after after aft…
    ---- stderr
    1 message (no such words; looked inside of words, through 1.2 kB)
    The daemon is not running: what your tools wrote since the last capture is missing. sfs import
    ");
    let hit = &home.json(&["search", "--json", "zebra"])[0];
    let keys: Vec<&String> = hit.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["id", "message_id", "project", "role", "snippet", "timestamp", "title", "tool"]);
}

#[test]
fn what_may_be_missing_is_said() {
    let home = TestHome::new();
    insta::assert_snapshot!(home.sfs(&["search", "zebra"]), @"
    ---- stderr
    No sessions yet. Capture what your tools have: sfs import
    ");
    say(&home, 1, &["a zebra"]);
    import(&home);
    let archive = rusqlite::Connection::open(home.path().join(".sessionfs/archive.db")).unwrap();
    archive.execute("INSERT INTO setting (key, value) VALUES ('rebuilding', 'true')", []).unwrap();
    let stderr = home.sfs(&["search", "zebra"]).stderr;
    assert!(stderr.contains("the index is not whole") && stderr.contains("daemon is not running"), "{stderr}");
    for words in [
        &["show", "last"][..],
        &["export", "last", "-o", "out"],
        &["rename", "last", "A zebra"],
        &["checkpoint", "last"],
    ] {
        let run = home.sfs(words);
        assert_eq!((run.code, run.stderr.matches("the index is not whole").count()), (Some(0), 1), "{words:?} {run}");
    }
    assert_eq!(home.sfs(&["resume", "last", "--in", "codex", "--dry-run"]).code, Some(0), "it is in the index");
    let id = sessions(&home).remove(0);
    archive.execute("DELETE FROM summary", []).unwrap();
    for words in [["resume", &id], ["fork", &id]] {
        let run = home.sfs(&words);
        assert!(run.code == Some(1) && run.stderr.ends_with("hint: sfs admin reindex --local\n"), "{words:?} {run}");
    }
}

#[test]
fn hostile_texts_do_not_reach_the_terminal() {
    let home = saying(&["a \u{1b}[31mzebra\u{202e} \u{0}"]);
    let run = home.sfs(&["search", "zebra"]);
    assert!(run.stdout.contains("a \\u{1b}[31mzebra\\u{202e}"), "{run}");
    assert!(!run.stdout.contains(['\u{1b}', '\u{202e}']), "{run}");
}

#[test]
fn hostile_queries_get_a_result_or_a_clear_error() {
    let home = saying(&["a \"zebra\" (NEAR) * col:x"]);
    let long = "z".repeat(100_000);
    let many = "z ".repeat(1_000);
    let queries = [
        "\"",
        "\"\"",
        "\"zebra",
        "zebra\"",
        "(",
        "NEAR(a b)",
        "col:x",
        "*",
        "**",
        "a*b*",
        "^a",
        "-",
        "--",
        "+",
        "AND",
        "OR OR",
        "NOT NOT",
        "a NOT",
        "'; DROP TABLE message; --",
        "🙂",
        "世",
        "\u{202e}",
        "\u{301}",
        "אבג",
        "ⓐ",
        "\u{fe0f}",
        "%s%n",
        &long,
        &many,
    ];
    for query in queries {
        for args in [&["search", "--", query][..], &["search", "-F", "--", query]] {
            let run = home.sfs(args);
            let told = run.stderr.to_lowercase();
            assert!(matches!(run.code, Some(0 | 2)), "{query}: {run}");
            assert!(!told.contains("fts5") && !told.contains("sql") && !told.contains("syntax"), "{query}: {run}");
        }
    }
    for text in ["a\0b", "\0"] {
        let query = Query::parse(&format!("{text} zebra"), Case::Ignored).unwrap();
        search::by_words(&store(&home), &query, &anywhere(None), &mut |_| {}).unwrap();
    }
}

#[test]
fn pages_go_on_where_the_last_one_ended() {
    let home = TestHome::new();
    let texts: Vec<String> = (0..30).map(|n| format!("zebra number{n}")).collect();
    say(&home, 1, &texts.iter().map(String::as_str).collect::<Vec<_>>());
    import(&home);
    let store = store(&home);
    for query in [Query::parse("zebra", Case::Ignored).unwrap(), Query::parse("ebra", Case::Ignored).unwrap()] {
        let mut all = BTreeSet::new();
        for offset in (0..40).step_by(7) {
            let options = Options { limit: 7, offset, ..anywhere(None) };
            let page = if query.matches("zebra") { search::by_words } else { search::by_scan };
            let page = page(&store, &query.clone().anywhere(), &options, &mut |_| {}).unwrap();
            assert_eq!(page.more, offset + 7 < 30, "{offset}");
            all.extend(page.hits.into_iter().map(|hit| hit.message_id));
        }
        assert_eq!(all.len(), 30);
    }
}

// Nothing is missed.

/// Asks for every token of `texts` in `session`; each has to be found, and by the index where it has letters or digits of
/// ASCII. Says which were not, and how many were.
fn ask_for_all(store: &Store, session: i64, texts: &[String], missing: &mut String) -> usize {
    let tokens: BTreeSet<&str> = texts.iter().flat_map(|text| text.split_whitespace()).collect();
    let askable = |token: &&str| token.len() <= 1_000 && !matches!(*token, "OR" | "AND" | "NOT");
    for token in tokens.iter().copied().filter(askable) {
        let query = Query::parse(token, Case::Kept).unwrap();
        let found = search::by_words(store, &query, &anywhere(Some(session)), &mut |_| {}).unwrap();
        let is_scanned = found.way != Way::Index && token.contains(|c: char| c.is_ascii_alphanumeric());
        if found.hits.is_empty() || is_scanned {
            writeln!(missing, "{token:?} {:?}", found.way).unwrap();
        }
    }
    tokens.len()
}

/// Calls `each` with the archive, the session and the texts of every file of every recorded session of the tools whose
/// sessions are files.
fn each_recorded_file(mut each: impl FnMut(&Store, i64, &Path, &[String])) {
    for tool in ["claude", "codex", "gemini"] {
        for case in fs::read_dir(fixture(tool)).unwrap() {
            let case = format!("{tool}/{}", case.unwrap().file_name().to_str().unwrap());
            let home = TestHome::with(&[&case]);
            import(&home);
            let archive = rusqlite::Connection::open(home.path().join(".sessionfs/archive.db")).unwrap();
            let session_of = "SELECT st.session FROM native_file f JOIN stream st ON st.id = f.stream WHERE f.path = ?1
                              AND st.format <> 'file'";
            for (path, bytes) in files_below(home.path()) {
                let path = home.path().join(path).canonicalize().unwrap();
                let session = archive.query_row(session_of, [path.to_str().unwrap()], |row| row.get(0));
                let texts = said(&bytes);
                // What a client sends only to warm its cache is no message.
                if let (Ok(session), false) = (session, texts.first().is_some_and(|text| text == "Warmup")) {
                    each(&store(&home), session, &path, &texts);
                }
            }
        }
    }
}

#[test]
fn every_token_of_every_recorded_session_is_found() {
    let (mut count, mut missing) = (0, String::new());
    each_recorded_file(|store, session, path, texts| {
        let mut here = String::new();
        count += ask_for_all(store, session, texts, &mut here);
        if !here.is_empty() {
            writeln!(missing, "{}\n{here}", path.display()).unwrap();
        }
    });
    assert!(missing.is_empty(), "not found:\n{missing}");
    assert!(count > 4_000, "{count} tokens only");
}

/// What `rg` takes for words in `texts`: with and without what stands around them.
fn words_by_ripgrep(texts: &[String]) -> BTreeSet<String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), texts.join("\n")).unwrap();
    let words = [r"\S+", r"\w{2,}"].into_iter().flat_map(|pattern| {
        let output = Command::new("rg").args(["-a", "-o", "--no-filename", "-N", pattern]).arg(file.path()).output();
        let words = String::from_utf8(output.unwrap().stdout).unwrap();
        words.lines().map(str::to_owned).collect::<Vec<_>>()
    });
    words.filter(|word| word.len() <= 1_000 && !matches!(word.as_str(), "OR" | "AND" | "NOT")).collect()
}

/// Which words of `texts` ripgrep finds and we do not.
fn missed(store: &Store, session: i64, texts: &[String], count: &mut usize) -> Vec<String> {
    let mut words = words_by_ripgrep(texts);
    *count += words.len();
    words.retain(|word| {
        let query = Query::parse(word, Case::Kept).unwrap();
        search::by_words(store, &query, &anywhere(Some(session)), &mut |_| {}).unwrap().hits.is_empty()
    });
    words.into_iter().collect()
}

#[test]
fn what_ripgrep_finds_in_messages_is_found() {
    if Command::new("rg").arg("--version").output().is_err() {
        return skip("what_ripgrep_finds_in_messages_is_found", "no rg here (tests/clients/setup.sh installs it)");
    }
    let (mut count, mut missing) = (0, Vec::new());
    each_recorded_file(|store, session, path, texts| {
        let missed = missed(store, session, texts, &mut count);
        missing.extend(missed.into_iter().map(|word| format!("{}: {word}", path.display())));
    });
    // In Cursor's database ripgrep finds what it is not: what its messages say was written down without our reader.
    for case in Cursor::cases() {
        let home = TestHome::new();
        let cursor = Cursor::install(home.path(), &case);
        import(&home);
        for session in cursor.expected["sessions"].as_array().unwrap() {
            let row = store(&home).find_native("cursor", session["id"].as_str().unwrap_or_default()).unwrap();
            let Some(row) = row.filter(|_| session["source"] != "store.db") else { continue };
            let said = session["events"].as_array().unwrap().iter().filter(|event| event["status"] != "missing");
            let texts: Vec<String> = said
                .flat_map(|event| ["text", "contains", "name"].map(|key| event[key].as_str()))
                .flatten()
                .map(str::to_owned)
                .collect();
            let missed = missed(&store(&home), row.id, &texts, &mut count);
            missing.extend(missed.into_iter().map(|word| format!("cursor/{case}: {word}")));
        }
    }
    assert!(missing.is_empty(), "not found:\n{}", missing.join("\n"));
    assert!(count > 6_000, "{count} words only");
}

#[test]
fn every_token_of_many_made_up_sessions_is_found() {
    let home = TestHome::new();
    let joints =
        ["_", ".", "/", "::", "-", "()", "=", "\"", "\\", "'", "é", "世", "🙂", "\u{e0b0}", "\u{301}", "*", ":"];
    for session in 0..20 {
        let texts = (0..20).map(|message| {
            (0..30).fold(String::new(), |text, word| {
                let n = session * 600 + message * 30 + word;
                let joint = |by: u32| joints[(n / by) as usize % joints.len()];
                format!("{text}{}a{n}{}B{}{} ", joint(7), joint(1), n % 13, joint(3))
            })
        });
        say(&home, session, &texts.collect::<Vec<_>>().iter().map(String::as_str).collect::<Vec<_>>());
    }
    import(&home);
    let store = store(&home);
    for session in 0..20 {
        let native_id = id(session);
        let row = store.find_native("claude-code", &native_id).unwrap().unwrap();
        let texts = said(&fs::read(claude_file(&home, &native_id)).unwrap());
        let mut missing = String::new();
        ask_for_all(&store, row.id, &texts, &mut missing);
        assert!(missing.is_empty(), "{native_id}: not found:\n{missing}");
        // Inside of words, with a little of the neighbours.
        for text in texts.iter().step_by(5) {
            let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
            for piece in places.windows(6).step_by(17) {
                let sought = &text[piece[0]..piece[5]];
                let query = Query::literal(sought, Case::Kept).unwrap();
                let found = search::by_scan(&store, &query, &anywhere(Some(row.id)), &mut |_| {}).unwrap();
                assert_eq!(found.hits.len(), 1, "{sought:?} in {text}");
            }
        }
    }
}

#[test]
fn a_rebuilt_index_finds_the_same() {
    let home = TestHome::with(&["claude/chat", "codex/shell", "gemini/tools"]);
    write(&claude_file(&home, &id(1)), claude_session(&id(1), 3));
    import(&home);
    let ask =
        || json!([home.json(&["search", "--json", "-n100", "the"]), home.json(&["search", "--json", "Question"])]);
    let before = ask();
    assert_eq!(home.sfs(&["admin", "reindex", "--local"]).code, Some(0));
    assert_eq!(ask(), before);
}
