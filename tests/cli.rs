//! The command line as people and scripts meet it: words, values, ids, exit codes, terminals and closed pipes.

use crate::support::cursor::Cursor;
use crate::support::home::{Run, TestHome};
use crate::support::server::SyncServer;
use crate::support::written::{claude_file, claude_line, claude_session, files_below, id, import, sessions, write};
use rusqlite::Connection;
use serde_json::{Value, json};
use sessionfs::server::accounts::Signup;
use sessionfs::server::api::{Api, Policy};
use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

/// A home with a few recorded sessions of both tools, captured.
fn captured() -> TestHome {
    let home = TestHome::with(&["claude/chat", "claude/bashok", "claude/sub", "codex/shell", "codex/chat"]);
    import(&home);
    home
}

/// What each command line gives, one after the other.
fn transcript(home: &TestHome, lines: &[&[&str]]) -> String {
    lines.iter().fold(String::new(), |mut text, args| {
        writeln!(text, "{}\n{}", format!("$ sfs {}", args.join(" ")).trim_end(), home.sfs(args)).unwrap();
        text
    })
}

/// Every command with its help text, found through the help texts.
fn commands(home: &TestHome) -> Vec<(Vec<String>, String)> {
    let mut found = Vec::new();
    let mut waiting: Vec<Vec<String>> = vec![Vec::new()];
    while let Some(words) = waiting.pop() {
        let mut args: Vec<&str> = words.iter().map(String::as_str).collect();
        args.push("--help");
        let run = home.sfs(&args);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{args:?}");
        let names = run.stdout.lines().skip_while(|line| *line != "Commands:").skip(1);
        for line in names
            .take_while(|line| !line.is_empty())
            .filter(|line| line.starts_with("  ") && line.as_bytes()[2] != b' ')
        {
            let name = line.split_whitespace().next().unwrap();
            waiting.push([&words[..], &[name.to_owned()]].concat());
        }
        found.push((words, run.stdout));
    }
    found
}

// Help.

#[test]
fn the_help_of_a_command() {
    let home = TestHome::new();
    insta::assert_snapshot!(home.sfs(&["show", "--help"]), @"
    Usage: sfs show [-m] [-c] [--branch <branch>] [--full] [--page-size <page-size>] [--json] [--] <id>

    Show a session: details, messages, cost

    Positional Arguments:
      id                the session: an id, a prefix of one, the tool's own id, or
                        `last`

    Options:
      -m, --messages    the messages, with tool calls and results
      -c, --cost        tokens and cost by model
      --branch          with -m, where several devices continued the session: only
                        this branch, whole
      --full            with -m: whole tool outputs, thinking, harness texts and
                        sub-agents too
      --page-size       with -m on a terminal: wait for Enter after so many messages
                        (default 20, 0 never)
      --json            print as JSON
      --help, help      display usage information

    Examples:
      sfs show last
      sfs show last -m --full
      sfs show last --cost
      sfs show last -m --json
    ");
    insta::assert_snapshot!(home.sfs(&["config", "--help"]), @"
    Usage: sfs config <command> [<args>]

    Show and change settings

    Options:
      --help, help      display usage information

    Commands:
      show              Show every setting with its value and meaning
      get               Print one setting
      set               Change a setting
      unset             Go back to a setting's default

    Examples:
      sfs config show
      sfs config set capture.codex false
      sfs config unset capture.codex
    ");
    assert!(!home.path().join(".sessionfs").exists(), "help touches nothing");
}

/// Examples that run until they are stopped.
const BLOCKING: [&str; 8] = [
    "sfs daemon run",
    "sfs daemon logs -f",
    "sfs watch",
    "sfs watch --tool codex --json",
    "sfs watch --count 1",
    "sfs serve --data /var/lib/sessionfs --signup invite",
    "sfs web",
    "sfs web --listen 127.0.0.1:8810 --no-open",
];

/// What a command needs to have something to do.
fn prepare(home: &TestHome, words: &[String]) {
    match words.join(" ").as_str() {
        "undelete" => drop(home.sfs(&["delete", "last"])),
        "tag remove" => drop(home.sfs(&["tag", "add", "last", "todo"])),
        "daemon uninstall" => drop(home.sfs(&["daemon", "install"])),
        _ => {}
    }
}

/// A server's folder where `sfs serve` looks for it, with the accounts that the examples name.
fn with_a_server(home: &TestHome) -> String {
    let data = home.path().join(".sessionfs/server");
    let api = Api::open(&data, Policy::default()).unwrap();
    for email in ["alice@example.com", "bob@example.com"] {
        api.accounts().sign_up(Signup::Open, email, None, "192.0.2.1".parse().unwrap()).unwrap();
    }
    data.to_str().unwrap().to_owned()
}

/// True for the commands that talk to a server.
fn is_remote(words: &[String]) -> bool {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    matches!(words[..], ["push" | "pull" | "sync" | "list-remote" | "autosync" | "auth", ..])
        || is_for_teammates(&words)
}

fn is_for_teammates(words: &[&str]) -> bool {
    matches!(words, ["share" | "shares" | "unshare" | "handoff" | "inbox", ..])
}

/// A teammate who shares a session with the home's account, and a share that waits for its code; and a share of the home's
/// own. The share's id, and the code.
fn teammate(server: &SyncServer, home: &TestHome) -> (String, String) {
    let bob = TestHome::with(&["codex/patch"]);
    import(&bob);
    assert_eq!(bob.sfs(&["auth", "signup", "--url", &server.url, "--email", "bob@example.org"]).code, Some(0));
    assert_eq!(bob.sfs(&["share", "last", "--with", "me@example.org"]).code, Some(0));
    let waiting = bob.json(&["share", "last", "--with", "nobody@example.org", "--json"]);
    let own = home.json(&["share", "last", "--link", "--json"]);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&own["share_id"]), text(&waiting["claim_code"]))
}

/// A running server, with an account of this home in which there is something.
fn signed_up(home: &TestHome) -> SyncServer {
    let server = SyncServer::start();
    server.sign_up(home);
    home.sfs(&["push"]);
    server
}

/// The command lines below `Examples:`, which are all indented alike.
fn examples(help: &str) -> Vec<&str> {
    let lines = help.lines().skip_while(|line| *line != "Examples:").skip(1).take_while(|line| !line.is_empty());
    let (margins, commands): (Vec<usize>, Vec<&str>) = lines
        .filter(|line| line.trim().starts_with("sfs "))
        .map(|line| (line.len() - line.trim_start().len(), line.trim()))
        .unzip();
    assert!(margins.windows(2).all(|pair| pair[0] == pair[1]), "{help}");
    commands
}

#[test]
fn every_example_in_every_help_text_works() {
    for (words, help) in commands(&TestHome::new()) {
        let examples = examples(&help);
        assert!(examples.iter().any(|line| line.starts_with(&format!("sfs {}", words.join(" ")))), "{words:?}: {help}");
        for example in examples.iter().filter(|line| !BLOCKING.contains(line)) {
            let home = captured();
            let tools = home.path().join("bin");
            fs::create_dir(&tools).unwrap();
            symlink(env!("CARGO_BIN_EXE_sessionfs"), tools.join("sfs")).unwrap();
            // The system's own services are none of a test's business.
            for manager in ["systemctl", "launchctl"] {
                write(&tools.join(manager), "#!/bin/sh\nexit 1\n");
                fs::set_permissions(tools.join(manager), fs::Permissions::from_mode(0o755)).unwrap();
            }
            let other = TestHome::with(&["codex/patch"]);
            Cursor::empty(other.path());
            // Exported sessions: where the published client keeps its own, and under the name that the example has.
            home.sfs(&["export", "last", "-o", ".sessionfs/sessions"]);
            prepare(&home, &words);
            let server = is_remote(&words).then(|| signed_up(&home));
            let url = server.as_ref().map_or("", |server| &server.url);
            let key = server.as_ref().map(|_| SyncServer::new_key(&home));
            let (key_id, raw_key) = key.unwrap_or_default();
            let refs: Vec<&str> = words.iter().map(String::as_str).collect();
            let shared = server.as_ref().filter(|_| is_for_teammates(&refs)).map(|server| teammate(server, &home));
            let (share_id, claim_code) = shared.unwrap_or_default();
            let own_key = if words == ["auth", "login"] { &raw_key[..] } else { "" };
            let portable = example.split_whitespace().find(|word| word.split(".sfs").nth(1) == Some(""));
            if let Some(name) = portable {
                let run = home.sfs(&["export", "last", "-o", "."]);
                fs::rename(home.path().join(run.stdout.trim()), home.path().join(name)).unwrap();
            }
            fs::create_dir_all(home.path().join("work/new-name")).unwrap();
            if !example.starts_with("sfs checkpoint last --name") {
                home.sfs(&["checkpoint", "last", "--name", "before-the-refactoring"]);
            }
            if let Some(name) = example.split_whitespace().find(|word| word.ends_with(".tar.gz")) {
                home.sfs(&["export", "last", "-o", name]);
            }
            let line = example
                .replace("/var/lib/sessionfs", &with_a_server(&home))
                .replace("/var/backups", home.path().to_str().unwrap())
                .replace("/mnt/old-laptop/home/me", other.path().to_str().unwrap())
                .replace("https://sessions.example.org", url)
                .replace("me@example.org", "other@example.org")
                .replace("KEY_ID", &key_id)
                .replace("SHARE_ID", &share_id)
                .replace("CLAIM_CODE", &claim_code)
                .replace("/tmp/copy", home.path().join("copy").to_str().unwrap());
            let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
            let mut shell = Command::new("sh");
            shell.args(["-c", &line]).env_clear().env("PATH", path).env("HOME", home.path());
            shell.env("SFS_API_KEY", own_key);
            let output = shell.current_dir(home.path()).output().unwrap();
            home.sfs(&["daemon", "stop"]);
            assert!(output.status.success(), "{example}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

#[test]
fn every_command_that_offers_json_gives_one_document() {
    let mut done = 0;
    for (words, help) in commands(&TestHome::new()) {
        // What is watched is told line by line, and a dashboard goes on.
        if !help.contains("  --json ")
            || words == ["watch"]
            || words == ["web"]
            || words.last().is_some_and(|word| word == "login")
        {
            continue;
        }
        let mut args = with_arguments(&words, &help, &["--json"]);
        let home = captured();
        prepare(&home, &words);
        with_a_server(&home);
        let server = is_remote(&words).then(|| signed_up(&home));
        let refs: Vec<&str> = words.iter().map(String::as_str).collect();
        let shared = server.as_ref().filter(|_| is_for_teammates(&refs)).map(|server| teammate(server, &home));
        let (share_id, claim_code) = shared.unwrap_or_default();
        args.extend(match refs[..] {
            ["share"] => &["--link"][..],
            ["handoff"] => &["--to", "bob@example.org"],
            ["inbox", "accept"] => &["--project", "."],
            _ => &[],
        });
        let args_here = args.iter_mut().filter(|arg| matches!(**arg, "SHARE_ID" | "CLAIM_CODE"));
        args_here.for_each(|arg| *arg = if *arg == "SHARE_ID" { &share_id } else { &claim_code });
        if words == ["auth", "signup"] {
            args.extend(["--email", "other@example.org"]);
        }
        if words == ["auth", "keys", "create"] {
            args.push("laptop");
        }
        home.json(&args);
        done += 1;
    }
    assert!(done > 5, "only {done} commands were found");
}

/// The command with what its usage line asks for.
fn with_arguments<'a>(words: &'a [String], help: &str, options: &[&'a str]) -> Vec<&'a str> {
    let usage = help.lines().next().unwrap();
    let needed = [
        ("<id>", "last"),
        ("<ids...>", "last"),
        ("<title>", "A title"),
        ("<tags...>", "todo"),
        ("<old>", "last"),
        ("<new>", "."),
        ("<query...>", "word"),
        ("<file>", "backup.tar"),
        ("<email>", "alice@example.com"),
        ("<shell>", "bash"),
        ("<share>", "SHARE_ID"),
        ("<item>", "last"),
        ("<code>", "CLAIM_CODE"),
        ("<folder>", "man1"),
        ("<key>", "log_level"),
        ("<value>", "info"),
    ];
    let is_positional = |sign: &str| usage.contains(sign) && !usage.contains(&format!("--email {sign}"));
    let arguments = needed.iter().filter(|(sign, _)| is_positional(sign)).map(|(_, word)| *word);
    words.iter().map(String::as_str).chain(options.iter().copied()).chain(arguments).collect()
}

#[test]
fn every_command_knows_what_to_do_with_an_empty_archive() {
    let mut done = 0;
    for (words, help) in commands(&TestHome::new()) {
        let path = words.join(" ");
        if help.contains("<command>") || ["daemon run", "watch", "web"].contains(&path.as_str()) {
            continue;
        }
        for options in [&[][..], &["--json"]].iter().take(1 + usize::from(help.contains("  --json "))) {
            let home = TestHome::new();
            let args = with_arguments(&words, &help, options);
            let run = home.sfs(&args);
            home.sfs(&["daemon", "stop"]);
            match run.code {
                Some(0) if options.is_empty() => {}
                Some(0) => {
                    let answer = serde_json::from_str::<Value>(&run.stdout);
                    assert!(answer.is_ok(), "{args:?}: {run}");
                }
                // What needs something that is not there says which command brings it.
                Some(1..=3 | 5) if options.is_empty() => {
                    assert!(
                        run.stderr.starts_with("error: ") && run.stderr.contains("\nhint: sfs "),
                        "{args:?}: {run}"
                    );
                }
                Some(1..=3 | 5) => {
                    let error: Value = serde_json::from_str(&run.stderr).unwrap_or_else(|_| panic!("{args:?}: {run}"));
                    assert!(error["error"]["hint"].is_string(), "{args:?}: {run}");
                }
                _ => panic!("{args:?}: {run}"),
            }
            done += 1;
        }
    }
    assert!(done > 30, "only {done} command lines were found");
}

// What is typed.

#[test]
fn an_empty_archive_says_what_to_do() {
    let home = TestHome::new();
    insta::assert_snapshot!(transcript(&home, &[
        &["list"], &["list", "--json"], &["list", "-q"], &["show", "last"], &["resume", "last"], &["restore", "last"],
        &["export", "last"], &["import"], &["admin", "check"], &["admin", "reindex", "--local"],
    ]), @"
    $ sfs list
    ---- stderr
    No sessions yet. Capture what your tools have: sfs import

    $ sfs list --json
    []

    $ sfs list -q

    $ sfs show last
    ---- stderr
    error: the archive holds no session yet
    hint: sfs import
    ---- exit Some(3)

    $ sfs resume last
    ---- stderr
    error: the archive holds no session yet
    hint: sfs import
    ---- exit Some(3)

    $ sfs restore last
    ---- stderr
    error: the archive holds no session yet
    hint: sfs import
    ---- exit Some(3)

    $ sfs export last
    ---- stderr
    error: the archive holds no session yet
    hint: sfs import
    ---- exit Some(3)

    $ sfs import
    Nothing new.

    $ sfs admin check
    0 sessions, 0 streams, 0 chunks: 0 B of native bytes in 0 B.

    $ sfs admin reindex --local
    Rebuilt the index of 0 sessions.
    ");
    let overview = home.sfs(&[]);
    assert_eq!(overview.code, Some(0));
    assert!(overview.stdout.contains("Next: sfs init"), "{overview}");
}

#[test]
fn flags_take_their_values_in_every_form() {
    let home = captured();
    let expected = home.sfs(&["list", "-q", "--limit", "2", "--tool", "codex"]).stdout;
    assert_eq!(expected.lines().count(), 2);
    for args in [
        &["list", "-q", "--limit=2", "--tool=codex"][..],
        &["list", "-q", "-n2", "--tool", "codex"],
        &["list", "-q", "-n", "2", "--tool=codex"],
        &["list", "--tool=cdx", "-n2", "-q"],
    ] {
        assert_eq!(home.sfs(args).stdout, expected, "{args:?}");
    }
    assert_eq!(home.sfs(&["list", "-qa"]).stdout, home.sfs(&["list", "-q", "-a"]).stdout);
    assert_eq!(home.sfs(&["show", "-mc", "last"]).code, Some(0));
    assert_eq!(home.sfs(&["list", "-n", "9223372036854775807", "-q"]).stdout.lines().count(), 5);
    assert_eq!(home.sfs(&["show", "--", "last"]).code, Some(0));
    // What looks like a flag is a value behind `=`, and a word behind `--`.
    assert_eq!(home.sfs(&["list", "--tag=--tool"]).stdout, "");
    assert_eq!(home.sfs(&["show", "--", "--json"]).code, Some(3));
}

const WRONG: [&[&str]; 19] = [
    &["frobnicate"],
    &["list", "--frob"],
    &["list", "extra"],
    &["list", "--limit"],
    &["list", "--limit", "many"],
    &["list", "--limit=-1"],
    &["list", "-n9223372036854775808"],
    &["list", "--min-messages", "99999999999999999999"],
    &["list", "-qx"],
    &["list", "--since", "yesterday"],
    &["list", "--sort", "colour"],
    &["list", "--tool", "emacs"],
    &["show"],
    &["show", "last", "last"],
    &["export", "last", "--format", "pdf"],
    &["config"],
    &["config", "set", "log_level"],
    &["admin", "reindex"],
    &["import", "--from", "emacs"],
];

#[test]
fn what_is_wrong_on_the_command_line_is_a_usage_error() {
    let home = captured();
    for args in WRONG {
        let run = home.sfs(args);
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{args:?}: {run}");
        assert!(run.stderr.starts_with("error: ") && run.stderr.contains("\nhint: "), "{args:?}: {run}");
    }
}

/// What a script passes where its variable is not set.
#[test]
fn an_empty_text_is_no_name() {
    let home = captured();
    let before = files_below(home.path());
    for args in [
        &["resume", "last", "--at", ""][..],
        &["resume", "last", "--from", "", "--in", "codex"],
        &["resume", "last", "--project", ""],
        &["fork", "last", "--at", ""],
        &["export", "last", "--at", "", "--format", "markdown"],
        &["export", "last", "-o", ""],
        &["move", "", "new"],
        &["move", "last", ""],
        &["import", ""],
        &["list", "--project", ""],
        &["man", ""],
        &["show", ""],
    ] {
        let run = home.sfs(args);
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{args:?}: {run}");
        assert!(run.stderr.contains("\nhint: "), "{args:?}: {run}");
    }
    assert!(files_below(home.path()).keys().eq(before.keys()), "nothing was written");
}

#[test]
fn a_usage_error_names_the_next_command() {
    let home = captured();
    // Without the first one, which lists all commands.
    insta::assert_snapshot!(transcript(&home, &WRONG[1..]), @r#"
    $ sfs list --frob
    ---- stderr
    error: unknown word or option: --frob
    hint: sfs list --help
    ---- exit Some(2)

    $ sfs list extra
    ---- stderr
    error: unknown word or option: extra
    hint: sfs list --help
    ---- exit Some(2)

    $ sfs list --limit
    ---- stderr
    error: No value provided for option '--limit'.
    hint: sfs list --help
    ---- exit Some(2)

    $ sfs list --limit many
    ---- stderr
    error: Error parsing option '--limit' with value 'many': invalid digit found in string
    hint: sfs list --help
    ---- exit Some(2)

    $ sfs list --limit=-1
    ---- stderr
    error: Error parsing option '--limit' with value '-1': invalid digit found in string
    hint: sfs list --help
    ---- exit Some(2)

    $ sfs list -n9223372036854775808
    ---- stderr
    error: Error parsing option '-n' with value '9223372036854775808': number too large
    hint: sfs list --help
    ---- exit Some(2)

    $ sfs list --min-messages 99999999999999999999
    ---- stderr
    error: Error parsing option '--min-messages' with value '99999999999999999999': number too large to fit in target type
    hint: sfs list --help
    ---- exit Some(2)

    $ sfs list -qx
    ---- stderr
    error: unknown word or option: -qx
    hint: sfs list --help
    ---- exit Some(2)

    $ sfs list --since yesterday
    ---- stderr
    error: "yesterday" is not a time
    hint: write 30m, 24h, 7d, 2w, 2026-11-22 or 2026-11-22T10:00:00Z
    ---- exit Some(2)

    $ sfs list --sort colour
    ---- stderr
    error: "colour" is not an order
    hint: orders: recent, oldest, messages, tokens, cost
    ---- exit Some(2)

    $ sfs list --tool emacs
    ---- stderr
    error: no tool is called "emacs"
    hint: known tools: claude-code, codex, gemini, cursor
    ---- exit Some(2)

    $ sfs show
    ---- stderr
    error: Required positional arguments not provided: id
    hint: sfs show --help
    ---- exit Some(2)

    $ sfs show last last
    ---- stderr
    error: unknown word or option: last
    hint: sfs show --help
    ---- exit Some(2)

    $ sfs export last --format pdf
    ---- stderr
    error: "pdf" is not a format
    hint: formats: sfs, native, markdown, html, claude-code, codex, gemini
    ---- exit Some(2)

    $ sfs config
    ---- stderr
    error: One of the following subcommands must be present: help show get set unset
    hint: sfs config --help (commands: show, get, set, unset)
    ---- exit Some(2)

    $ sfs config set log_level
    ---- stderr
    error: Required positional arguments not provided: value
    hint: sfs config set --help
    ---- exit Some(2)

    $ sfs admin reindex
    ---- stderr
    error: which index?
    hint: sfs admin reindex --local
    ---- exit Some(2)

    $ sfs import --from emacs
    ---- stderr
    error: no tool is called "emacs"
    hint: known tools: claude-code, codex, gemini, cursor
    ---- exit Some(2)
    "#);
}

#[test]
fn what_is_named_and_not_there_is_not_found() {
    let home = captured();
    insta::assert_snapshot!(transcript(&home, &[
        &["show", "zzzzzzzz"], &["import", "nowhere"], &["resume", "last", "--project", "nowhere"],
        &["move", "last", "nowhere"],
    ]), @r#"
    $ sfs show zzzzzzzz
    ---- stderr
    error: no session is called "zzzzzzzz"
    hint: see the ids in `sfs list`
    ---- exit Some(3)

    $ sfs import nowhere
    ---- stderr
    error: nowhere does not exist
    hint: give a home folder that has .claude or .codex in it, a session file, or a .sfs folder
    ---- exit Some(3)

    $ sfs resume last --project nowhere
    ---- stderr
    error: nowhere is not a folder
    hint: give the folder of the project with --project
    ---- exit Some(3)

    $ sfs move last nowhere
    ---- stderr
    error: nowhere is not a folder
    hint: move the folder first, or give where it is now
    ---- exit Some(3)
    "#);
}

#[test]
fn sessions_are_found_by_what_people_have_at_hand() {
    let home = captured();
    let listed = home.json(&["list", "--json"]);
    let (id, native) = (listed[0]["id"].as_str().unwrap(), listed[0]["native_id"].as_str().unwrap());
    for word in [id, &id[..12], &id[4..], &id[4..9], native, &native[..13], "last"] {
        assert_eq!(home.json(&["show", word, "--json"])["id"], id, "{word}");
    }
}

#[test]
fn an_id_that_is_too_short_or_ambiguous_is_refused() {
    let home = TestHome::new();
    for number in 1..=7 {
        write(&claude_file(&home, &id(number)), claude_session(&id(number), 1));
    }
    import(&home);
    insta::assert_snapshot!(transcript(&home, &[
        &["show", "ses"], &["show", "ses_abc"], &["show", "a b c d"], &["show", ""], &["show", "11111111"],
    ]), @r#"
    $ sfs show ses
    ---- stderr
    error: "ses" is too short or not an id
    hint: give at least four characters of the id, or `last`
    ---- exit Some(2)

    $ sfs show ses_abc
    ---- stderr
    error: "ses_abc" is too short or not an id
    hint: give at least four characters of the id, or `last`
    ---- exit Some(2)

    $ sfs show a b c d
    ---- stderr
    error: "a b c d" is too short or not an id
    hint: give at least four characters of the id, or `last`
    ---- exit Some(2)

    $ sfs show
    ---- stderr
    error: "" is too short or not an id
    hint: give at least four characters of the id, or `last`
    ---- exit Some(2)

    $ sfs show 11111111
    ---- stderr
    error: "11111111" is ambiguous: ses_7ma7csj45mvhsp6i, ses_gzrkouk6xjlf3awf, ses_kpefowao2x5gqqlp, ses_rx7hduazp4be5d6h, ses_ujvrygpl2qhtoikd, …
    hint: give more characters of the id
    ---- exit Some(2)
    "#);
}

#[test]
fn the_last_session_is_the_one_that_the_list_shows_first() {
    let home = captured();
    // The newest file of all holds no message.
    write(&claude_file(&home, &id(1)), "\0\0\0\n");
    import(&home);
    let first = home.json(&["list", "--json"])[0]["id"].clone();
    assert_eq!(home.json(&["show", "last", "--json"])["id"], first);
}

#[test]
fn the_program_is_what_it_is_called() {
    let home = captured();
    let called = |name: &str, args: &[&str]| {
        let link = home.path().join(name);
        if !link.exists() {
            symlink(env!("CARGO_BIN_EXE_sessionfs"), &link).unwrap();
        }
        let inner = home.command(&[]);
        let mut command = Command::new(link);
        command.args(args).env_clear().envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{name} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let version = format!("sessionfs {}\n", env!("CARGO_PKG_VERSION"));
    for (name, flag) in [("sfs", "--version"), ("sfsd", "--version"), ("sessionfs", "--version"), ("sfs", "-V")] {
        assert_eq!(called(name, &[flag]), version, "{name} {flag}");
    }
    assert_eq!(called("sessionfs", &["sfs", "--version"]), version);
    let list = called("sfs", &["list", "-q"]);
    assert_eq!(list.lines().count(), 5);
    assert_eq!(called("sessionfs", &["list", "-q"]), list);
    assert_eq!(called("sessionfs", &["sfs", "list", "-q"]), list);
    assert!(called("sfs", &[]).contains("Next: "));
}

// Where it is printed.

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let home = captured();
    for args in
        [&["list"][..], &["list", "--json"], &["show", "last", "-m"], &["export", "last", "--format", "markdown"]]
    {
        let mut child = home.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            (output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()),
            (Some(0), ""),
            "{args:?}"
        );
    }
}

#[test]
fn a_full_device_behind_stdout_or_stderr_is_an_exit_code() {
    let home = captured();
    let full = || fs::OpenOptions::new().write(true).open("/dev/full");
    if full().is_err() {
        return crate::clients::skip("a_full_device_behind_stdout_or_stderr_is_an_exit_code", "no /dev/full");
    }
    let output = home.command(&["list"]).stdout(full().unwrap()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stderr.starts_with(b"error: stdout can't be written: No space left"));
    for (args, code) in [(&["frobnicate"][..], 2), (&["resume", "last", "--in", "codex"], 0)] {
        let output = home.command(args).stderr(full().unwrap()).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}");
    }
}

/// What a command prints on a terminal with so many columns; `None` where there is no `script` to make one.
fn on_a_terminal(home: &TestHome, args: &str, variables: &[(&str, &str)]) -> Option<String> {
    let inner = home.command(&[]);
    let mut script = Command::new("script");
    script.args(["-qec", &format!("{} {args}", env!("CARGO_BIN_EXE_sessionfs")), "/dev/null"]);
    script.env_clear().envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = script.envs(variables.iter().copied()).current_dir(home.path()).stdin(Stdio::null()).output().ok()?;
    Some(String::from_utf8(output.stdout).unwrap().replace('\r', ""))
}

#[test]
fn the_list_fits_the_terminal() {
    let home = captured();
    for columns in [20, 40, 60, 72, 80, 100, 132] {
        let variables = [("COLUMNS", columns.to_string())];
        let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
        let Some(text) = on_a_terminal(&home, "list", &[&variables[..], &[("NO_COLOR", "1")]].concat()) else {
            return crate::clients::skip("the_list_fits_the_terminal", "no script");
        };
        assert_eq!(text.lines().count(), 6, "{text}");
        for line in text.lines().filter(|_| columns >= 40) {
            assert!(unicode_width::UnicodeWidthStr::width(line) <= columns, "{columns} columns: {line}");
        }
        assert!(columns < 80 || text.contains("PROJECT") && text.contains("MSGS"), "{text}");
    }
}

#[test]
fn colour_is_for_terminals_that_want_it() {
    let home = captured();
    let Some(text) = on_a_terminal(&home, "show last -m", &[("TERM", "xterm")]) else {
        return crate::clients::skip("colour_is_for_terminals_that_want_it", "no script");
    };
    assert!(text.contains('\x1b'));
    for variable in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        assert!(!on_a_terminal(&home, "show last -m", &[variable]).unwrap().contains('\x1b'), "{variable:?}");
    }
    let json = on_a_terminal(&home, "list --json", &[("TERM", "xterm")]).unwrap();
    assert!(serde_json::from_str::<Value>(&json).unwrap().is_array());
    assert!(!home.sfs(&["show", "last", "-m"]).stdout.contains('\x1b'));
}

/// Everything that a terminal would obey.
const HOSTILE: &str =
    "\u{200b}\u{61c}a\u{1b}]0;owned\u{7}b\u{1b}[2Jc\u{9b}31md\u{202e}e\u{2066}f\u{8}g\rh\u{7f}i\u{0}j";

fn has_control_characters(text: &str) -> bool {
    let is_hostile = |c: char| (c.is_control() && !"\n\t".contains(c)) || "\u{202e}\u{2066}\u{200b}\u{61c}".contains(c);
    text.contains(is_hostile)
}

#[test]
fn text_in_a_session_does_not_drive_the_terminal() {
    let home = TestHome::new();
    let mut question = claude_line(&id(1), 0, "user", HOSTILE);
    question["cwd"] = json!(format!("/tmp/{HOSTILE}"));
    question["gitBranch"] = json!(HOSTILE);
    question["version"] = json!(HOSTILE);
    let mut answer = claude_line(&id(1), 1, "assistant", HOSTILE);
    answer["message"]["id"] = json!("msg_1");
    answer["message"]["model"] = json!(HOSTILE);
    answer["message"]["usage"] = json!({"input_tokens": 1, "output_tokens": 1});
    answer["message"]["content"] = json!([
        {"type": "thinking", "thinking": HOSTILE, "signature": "x"},
        {"type": "tool_use", "id": "toolu_1", "name": HOSTILE, "input": {HOSTILE: HOSTILE}},
        {"type": HOSTILE, "text": HOSTILE},
    ]);
    let mut result = claude_line(&id(1), 2, "user", "");
    result["message"]["content"] = json!([{"type": "tool_result", "tool_use_id": "toolu_1", "content": HOSTILE}]);
    let mut agent = claude_line(&id(1), 0, "user", HOSTILE);
    agent["isSidechain"] = json!(true);
    agent["agentId"] = json!(HOSTILE);
    let title = json!({"type": "custom-title", "customTitle": HOSTILE, "sessionId": id(1)});
    let file = claude_file(&home, &id(1));
    write(&file, [question, answer, result, title].map(|line| format!("{line}\n")).concat());
    write(&file.with_extension("").join("subagents/agent-1.jsonl"), format!("{agent}\n"));
    write(&file.with_file_name("agent-\u{1b}[2J.jsonl"), format!("{agent}\n"));
    import(&home);
    for args in [
        &["list"][..],
        &["show", "last"],
        &["show", "last", "--cost"],
        &["show", "last", "-m"],
        &["show", "last", "-m", "--full"],
        &["export", "last", "--format", "markdown"],
        &["resume", "last", "--in", "codex", "--no-launch"],
        &[],
    ] {
        let run = home.sfs(args);
        assert_eq!(run.code, Some(0), "{run}");
        assert!(!has_control_characters(&run.stdout) && !has_control_characters(&run.stderr), "{args:?}: {run:?}");
    }
    if let Some(json) = on_a_terminal(&home, "show last -m --json", &[("TERM", "dumb")]) {
        assert!(!has_control_characters(&json), "{json:?}");
        serde_json::from_str::<Value>(&json).unwrap();
        let paths = on_a_terminal(&home, "export last --format native -o out", &[]).unwrap();
        assert!(paths.lines().count() == 3 && !has_control_characters(&paths), "{paths:?}");
    }
}

// Lists and messages.

fn with_id<'a>(listed: &'a Value, id: &str) -> &'a Value {
    listed.as_array().unwrap().iter().find(|session| session["id"] == id).unwrap()
}

#[test]
fn filters_leave_out_what_they_say() {
    let home = captured();
    let ids = |args: &[&str]| {
        let run = home.sfs(&[&["list", "-q"], args].concat());
        assert_eq!(run.code, Some(0), "{run}");
        run.stdout.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let listed = home.json(&["list", "--json"]);
    let field = |name: &str| listed.as_array().unwrap().iter().map(|s| s[name].clone()).collect::<Vec<_>>();
    let with = |name: &str, is: &dyn Fn(&Value) -> bool| {
        let sessions = listed.as_array().unwrap().iter().filter(|s| is(&s[name]));
        sessions.map(|s| s["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(field("id").len(), 5);
    assert_eq!(ids(&["--tool", "codex"]), with("tool", &|tool| tool == "codex"));
    assert_eq!(ids(&["--tool", "claude"]), with("tool", &|tool| tool == "claude-code"));
    assert_eq!(ids(&["--project", "/home/dev/work/chat"]), with("project", &|path| path == "/home/dev/work/chat"));
    assert_eq!(ids(&["--project", "/home/dev/work/"]).len(), 5);
    assert!(ids(&["--project", "/home/dev/wor"]).is_empty());
    assert_eq!(ids(&["--min-messages", "5"]), with("message_count", &|count| count.as_u64() >= Some(5)));
    assert!(ids(&["--tag", "none"]).is_empty());
    assert_eq!(ids(&["-n2"]), ids(&[])[..2]);
    let mut times = field("updated_at");
    assert!(times.windows(2).all(|pair| pair[0].as_str() >= pair[1].as_str()), "{times:?}");
    assert_eq!(ids(&["--sort", "oldest"]), ids(&[]).into_iter().rev().collect::<Vec<_>>());
    times.sort_by_key(|time| time.as_str().unwrap().to_owned());
    let middle = times[2].as_str().unwrap();
    assert_eq!(ids(&["--since", middle]).len(), 3);
    assert_eq!(ids(&["--until", middle]).len(), 2);
    let counts = ids(&["--sort", "messages"]);
    let counts: Vec<_> = counts.iter().map(|id| with_id(&listed, id)["message_count"].as_u64().unwrap()).collect();
    assert!(counts.is_sorted_by(|a, b| a >= b), "{counts:?}");
    for order in ["tokens", "cost"] {
        assert_eq!(ids(&["--sort", order]).len(), 5);
    }
}

#[test]
fn empty_sessions_are_listed_on_request() {
    let home = captured();
    write(&claude_file(&home, &id(1)), "no message\n");
    import(&home);
    assert_eq!(home.sfs(&["list", "-q"]).stdout.lines().count(), 5);
    assert_eq!(sessions(&home).len(), 6);
    let run = home.sfs(&["show", &id(1), "-m"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""));
    assert!(run.stderr.starts_with("No messages."), "{run}");
}

#[test]
fn a_list_of_nothing_says_how_much_there_is() {
    insta::assert_snapshot!(transcript(&captured(), &[&["list", "-n0"], &["list", "-n0", "--json"], &["list", "--tag", "x"]]), @"
    $ sfs list -n0
    ---- stderr
    0 of 5 sessions; more with -n 5 or --all

    $ sfs list -n0 --json
    []

    $ sfs list --tag x
    ---- stderr
    No session matches. See all of them: sfs list --all
    ");
}

#[test]
fn a_session_of_one_thing_is_told_in_the_singular() {
    let home = TestHome::new();
    write(&claude_file(&home, &id(1)), format!("{}\n", claude_line(&id(1), 0, "user", "hi")));
    assert_eq!(import(&home).stdout.split('(').next(), Some("Captured 1 file of 1 session "));
    let shown = home.sfs(&["show", "last"]).stdout;
    assert!(shown.starts_with("hi\n"), "{shown}");
    assert!(shown.contains(" 1, 1 turn, 0 tool calls\n") && shown.contains(" in 1 stream\n"), "{shown}");
    assert!(home.sfs(&["admin", "check"]).stdout.starts_with("1 session, 1 stream, "));
}

/// The most memory that a process had until now, in bytes.
#[cfg(target_os = "linux")]
fn peak_memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

#[cfg(target_os = "linux")]
#[test]
fn messages_as_json_are_never_all_in_memory() {
    const MESSAGES: u32 = 600;
    let home = TestHome::new();
    let text = "word ".repeat(20_000);
    let lines = (0..MESSAGES).map(|n| format!("{}\n", claude_line(&id(1), n, "user", &text)));
    write(&claude_file(&home, &id(1)), lines.collect::<String>());
    import(&home);
    let mut child = home.command(&["show", "last", "-m", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    // It can't have ended while the pipe is full.
    let mut json = vec![0; MESSAGES as usize * text.len()];
    out.read_exact(&mut json).unwrap();
    let peak = peak_memory(child.id());
    out.read_to_end(&mut json).unwrap();
    assert!(child.wait().unwrap().success());
    let shown: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(shown["messages"].as_array().unwrap().len(), MESSAGES as usize);
    assert!(shown["id"].is_string() && shown["manifest"].is_object() && shown["notes"].is_array());
    assert!(peak < json.len() as u64 / 2, "{peak} bytes for {}", json.len());
}

#[test]
fn messages_are_readable() {
    let home = TestHome::with(&["claude/bashok"]);
    import(&home);
    insta::assert_snapshot!(home.sfs(&["show", "last", "-m"]), @"
    user 2026-11-22 08:55:04 3ed750fe-7b18-40c5-b96b-0d81c33d341e
      please do it @@bashok

    assistant 2026-11-22 08:55:05 92552581-2117-468b-9ee3-69cd3e839e8d
      I will list files.

    assistant 2026-11-22 08:55:05 14353cca-9a8d-46ec-8863-601512374014
      → Bash
        command: echo hi && ls
        description: List files

    tool 2026-11-22 08:55:05 475c4967-3e22-465c-8ff7-67acc43f199a
      ← hi
        hello.py
        pixel.png

    assistant 2026-11-22 08:55:05 b7dfdb28-9b27-4e99-982a-c3b5a5bb6f46
      Listed.
    ");
}

#[test]
fn the_table_in_a_pipe() {
    let home = captured();
    let table = home.sfs(&["list", "--sort", "oldest"]).stdout;
    // How long ago depends on the day.
    let at = table.lines().next().unwrap().find("ACTIVE").unwrap();
    let ageless = table.lines().map(|line| {
        let (before, rest) = line.split_at(at);
        let age = rest.find("  ").unwrap();
        format!("{before}…{}\n", rest[age..].trim_start_matches(' '))
    });
    insta::assert_snapshot!(ageless.collect::<String>(), @"
    ID            TOOL         PROJECT                MSGS  TOKENS  COST  …TITLE
    ses_ehlq755h  codex        /home/dev/work/chat       4     431     ?  …hello there
    ses_jvdgyhta  codex        /home/dev/work/shell     25    3.1k     ?  …do shell things
    ses_toeqje2x  claude-code  /home/dev/work/chat       2     13k     ?  …say hi @@hello
    ses_v6dpas4c  claude-code  /home/dev/work/bashok     5     27k     ?  …please do it @@bashok
    ses_4lsmwzdd  claude-code  /home/dev/work/sub        6     58k     ?  …please do it @@sub
    ");
}

#[test]
fn a_printed_command_runs_in_any_folder() {
    let home = captured();
    for name in ["plain", "it's a \"place\"", "a\nb 'c' \u{1b}[2J\\d", "\u{202e}gnp \t$HOME `x`", "日本語 é"] {
        let folder = home.path().join(name);
        fs::create_dir(&folder).unwrap();
        let run = home.sfs(&["resume", "last", "--in", "codex", "--no-launch", "--project", folder.to_str().unwrap()]);
        assert!(!has_control_characters(&run.stdout) && run.stdout.lines().count() == 1, "{run}");
        let line = run.stdout.split(" && codex resume").next().unwrap();
        let output = Command::new("bash").args(["-c", &format!("{line} && pwd -P && echo .")]).output().unwrap();
        let expected = format!("{}\n.\n", folder.canonicalize().unwrap().display());
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{run}");
    }
}

#[test]
fn only_what_may_be_run_is_started() {
    let home = captured();
    let tools = home.path().join("bin");
    write(&tools.join("codex"), "#!/bin/sh\necho STARTED\n");
    let path = format!("{}:/usr/bin:/bin", tools.display());
    for (mode, starts) in [(0o644, false), (0o755, true)] {
        fs::set_permissions(tools.join("codex"), fs::Permissions::from_mode(mode)).unwrap();
        let args = format!("resume last --in codex --project {}", home.path().display());
        let Some(text) = on_a_terminal(&home, &args, &[("PATH", &path)]) else { return };
        assert_eq!(text.contains("STARTED"), starts, "{text}");
    }
}

// Settings.

#[test]
fn settings_are_kept_and_wrong_ones_refused() {
    let home = TestHome::new();
    insta::assert_snapshot!(transcript(&home, &[
        &["config", "set", "log_level", "debug"],
        &["config", "get", "log_level"],
        &["config", "set", "capture.codex", "off"],
        &["config", "get", "capture.codex"],
        &["config", "unset", "log_level"],
        &["config", "get", "log_level"],
        &["config", "set", "log_level", "loud"],
        &["config", "set", "capture.codex", "maybe"],
    ]), @r#"
    $ sfs config set log_level debug

    $ sfs config get log_level
    debug

    $ sfs config set capture.codex off

    $ sfs config get capture.codex
    false

    $ sfs config unset log_level

    $ sfs config get log_level
    info

    $ sfs config set log_level loud
    ---- stderr
    error: "loud" is not a value of log_level
    hint: valid: error, warn, info, debug
    ---- exit Some(2)

    $ sfs config set capture.codex maybe
    ---- stderr
    error: "maybe" is not a value of capture.codex
    hint: valid: true, false
    ---- exit Some(2)
    "#);
    let shown = home.json(&["config", "show", "--json"]);
    assert_eq!((&shown["capture.codex"], &shown["log_level"]), (&json!(false), &json!("info")));
    let readable = home.sfs(&["config", "show"]).stdout;
    assert_eq!(readable.lines().count(), shown.as_object().unwrap().len());
    for args in [&["get", "colour"][..], &["set", "colour", "blue"], &["unset", "colour"]] {
        let run = home.sfs(&[&["config"], args].concat());
        assert_eq!(run.code, Some(2), "{run}");
        assert!(run.stderr.starts_with("error: no setting is called \"colour\"\nhint: settings: capture."), "{run}");
    }
}

#[test]
fn a_tool_that_is_not_to_be_captured_is_not() {
    let home = TestHome::with(&["claude/chat", "codex/chat"]);
    home.sfs(&["config", "set", "capture.codex", "false"]);
    import(&home);
    assert_eq!(home.sfs(&["list", "-q", "--tool", "codex"]).stdout, "");
    assert_eq!(sessions(&home).len(), 1);
}

#[test]
fn errors_are_json_for_those_who_read_json() {
    let home = captured();
    for (args, kind, code) in [
        (&["show", "zzzzzzzz", "--json"][..], "not_found", 3),
        (&["show", "--json"], "usage", 2),
        (&["list", "--json", "--sort=colour"], "usage", 2),
        (&["resume", "last", "--in", "emacs", "--json"], "usage", 2),
    ] {
        let run = home.sfs(args);
        assert_eq!((run.code, run.stdout.as_str()), (Some(code), ""), "{run}");
        let error: Value = serde_json::from_str(&run.stderr).unwrap();
        assert_eq!(error["error"]["kind"], kind);
        assert!(error["error"]["message"].is_string() && error["error"]["hint"].is_string(), "{run}");
    }
}

// Where it is kept.

/// `sfs list` with another place for our own folder.
fn with_sfs_home(home: &TestHome, place: &str) -> Run {
    home.finish(home.command(&["list"]).env("SFS_HOME", place).output().unwrap())
}

#[test]
fn our_folder_can_be_moved() {
    let home = TestHome::new();
    assert_eq!(with_sfs_home(&home, "below/it").code, Some(0));
    assert!(home.path().join("below/it/archive.db").is_file());
    assert_eq!(with_sfs_home(&home, "").code, Some(0));
    assert!(home.path().join(".sessionfs/archive.db").is_file());
    write(&home.path().join("file"), "a file");
    for place in ["file", "file/below", "/proc/nowhere"] {
        let run = with_sfs_home(&home, place);
        assert_eq!(run.code, Some(1), "{run}");
        assert!(run.stderr.contains("can't be created: ") && run.stderr.contains("hint: set SFS_HOME to"), "{run}");
    }
    assert_eq!(fs::read_to_string(home.path().join("file")).unwrap(), "a file");
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn what_is_ours_is_private() {
    let home = captured();
    let ours = home.path().join(".sessionfs");
    assert_eq!(mode(&ours), 0o700);
    for file in files_below(&ours).keys() {
        assert_eq!(mode(&ours.join(file)), 0o600, "{}", file.display());
    }
    fs::set_permissions(&ours, fs::Permissions::from_mode(0o755)).unwrap();
    home.sfs(&["list"]);
    assert_eq!(mode(&ours), 0o700);
}

#[test]
fn a_folder_of_somebody_else_keeps_its_mode() {
    let home = TestHome::new();
    let shared = home.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(with_sfs_home(&home, "shared").code, Some(0));
    assert_eq!((mode(&shared), mode(&shared.join("archive.db"))), (0o755, 0o600));
}

#[test]
fn written_sessions_are_private() {
    let home = captured();
    let answer = home.json(&["resume", "last", "--in", "codex", "--no-launch", "--json"]);
    assert_eq!(mode(Path::new(answer["files"][0].as_str().unwrap())), 0o600);
}

#[test]
fn several_first_commands_at_once_make_one_archive() {
    for _ in 0..5 {
        let home = TestHome::new();
        let mut children: Vec<_> = (0..8).map(|_| home.command(&["list", "-q"]).spawn().unwrap()).collect();
        assert!(children.iter_mut().all(|child| child.wait().unwrap().success()));
    }
}

#[test]
fn a_database_that_is_not_ours_is_refused_and_unharmed() {
    let home = TestHome::new();
    let path = home.path().join(".sessionfs/archive.db");
    let database = |sql: &str| {
        let file = tempfile::NamedTempFile::new().unwrap();
        Connection::open(file.path()).unwrap().execute_batch(sql).unwrap();
        fs::read(file.path()).unwrap()
    };
    import(&home);
    let connection = Connection::open(&path).unwrap();
    let schema: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    connection.execute_batch("PRAGMA user_version = 999; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(connection);
    let newer = fs::read(&path).unwrap();
    let mut said = String::new();
    for (name, content) in [
        ("a newer archive", newer),
        ("another program's database", database("CREATE TABLE note (text); INSERT INTO note VALUES ('precious')")),
        ("another program's numbered database", database("PRAGMA application_id = 7; CREATE TABLE note (text)")),
        ("no database", b"These are my notes, not a database.\n".repeat(200)),
        ("a short text", b"notes".to_vec()),
    ] {
        write(&path, &content);
        for args in [&["list"][..], &["import"], &["admin", "check"]] {
            let run = home.sfs(args);
            assert_eq!(run.code, Some(1), "{name}: {run}");
            assert!(run.stderr.contains("\nhint: "), "{name}: {run}");
        }
        assert_eq!(fs::read(&path).unwrap(), content, "{name} was changed");
        writeln!(said, "{name}\n{}", home.sfs(&["list"])).unwrap();
    }
    let said = said.replace(&format!("knows {schema})"), "knows SCHEMA)");
    insta::assert_snapshot!(said, @"
    a newer archive
    ---- stderr
    error: $HOME/.sessionfs/archive.db was written by a newer sessionfs (schema 999, this one knows SCHEMA)
    hint: install the newer version again
    ---- exit Some(1)

    another program's database
    ---- stderr
    error: $HOME/.sessionfs/archive.db belongs to another program
    hint: set SFS_HOME to another folder
    ---- exit Some(1)

    another program's numbered database
    ---- stderr
    error: $HOME/.sessionfs/archive.db belongs to another program
    hint: set SFS_HOME to another folder
    ---- exit Some(1)

    no database
    ---- stderr
    error: $HOME/.sessionfs/archive.db is not a sessionfs archive: file is not a database: Error code 26: file is not a database
    hint: move that file away; the next command starts a new archive
    ---- exit Some(1)

    a short text
    ---- stderr
    error: $HOME/.sessionfs/archive.db is not a sessionfs archive: file is not a database: Error code 26: file is not a database
    hint: move that file away; the next command starts a new archive
    ---- exit Some(1)
    ");
}

#[test]
fn a_forks_name_is_a_title_like_any_other() {
    let home = TestHome::with(&["codex/patch"]);
    home.sfs(&["import"]);
    let run = home.sfs(&["fork", "last", "--name", "a\nb"]);
    assert_eq!((run.code, run.stderr.contains("line breaks")), (Some(2), true), "{run}");
    assert_eq!(home.json(&["list", "--json"]).as_array().unwrap().len(), 1);
}

#[test]
fn more_than_one_is_spelled_right() {
    let counted = sessionfs::cli::ui::counted;
    assert_eq!(["key", "entry", "session"].map(|one| counted(2, one)), ["2 keys", "2 entries", "2 sessions"]);
    assert_eq!(counted(1, "key"), "1 key");
}
