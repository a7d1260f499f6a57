//! Setting a machine up and keeping it healthy: init, the service, the doctor, completions, manual pages, and sessions from
//! elsewhere.

use crate::clients::{Client, ready, receive, skip};
use crate::support::home::{Run, TestHome, copy_tree, fixture};
use crate::support::written::{
    assert_sound, claude_file, claude_line, claude_session, codex_file, codex_session, id, import, sessions, write,
};
use serde_json::{Value, json};
use sessionfs::daemon::{Manager, Service};
use sessionfs::home::Home;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program of the system's, where it is installed: a shell that nobody uses here need not be.
fn program(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// A folder of programs that come before all others.
fn programs(home: &TestHome, scripts: &[(&str, &str)]) -> String {
    let folder = home.path().join("bin");
    fs::create_dir_all(&folder).unwrap();
    for (name, script) in scripts {
        write(&folder.join(name), format!("#!/bin/sh\n{script}\n"));
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let _ = symlink(env!("CARGO_BIN_EXE_sessionfs"), folder.join("sfs"));
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap())
}

/// Runs `sfs` where the system's service manager is `script`.
fn with_manager(home: &TestHome, script: &str, args: &[&str]) -> Run {
    let path = programs(home, &[("systemctl", script), ("launchctl", script)]);
    home.finish(home.command(args).env("PATH", path).output().unwrap())
}

// Completions and manual pages.

/// What bash offers at the end of `line`.
fn completed(home: &TestHome, line: &[&str]) -> Vec<String> {
    let path = programs(home, &[]);
    let script = r#"source <(sfs completions bash); COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _sfs; printf '%s\n' "${COMPREPLY[@]}""#;
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", script, "bash"]).args(line).env_clear().env("PATH", path).env("HOME", home.path());
    let output = bash.output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_options_values_and_sessions() {
    let home = TestHome::with(&["claude/chat"]);
    import(&home);
    assert_eq!(completed(&home, &["sfs", "com"]), ["completions"]);
    assert_eq!(completed(&home, &["sfs", "daemon", "un"]), ["uninstall"]);
    assert_eq!(completed(&home, &["sessionfs", "daemon", "install", "--n"]), ["--now"]);
    assert_eq!(completed(&home, &["sfs", "resume", "last", "--in", "co"]), ["codex"]);
    assert_eq!(completed(&home, &["sfs", "completions", ""]), ["bash", "zsh", "fish"]);
    let expected = [vec!["last".to_owned()], sessions(&home)].concat();
    assert_eq!(completed(&home, &["sfs", "show", ""]), expected);
    assert!(completed(&home, &["sfs", "list", "--tag", ""]).is_empty());
    let writable = ["claude-code", "codex", "gemini"];
    assert_eq!(completed(&home, &["sfs", "resume", "last", "--in", ""]), writable, "what can be written");
    assert_eq!(completed(&home, &["sfs", "list", "--tool", "cu"]), ["cursor"]);
    assert_eq!(completed(&home, &["sfs", "undelete", ""]), ["last"], "nothing is deleted");
    home.sfs(&["delete", "last"]);
    assert_eq!(completed(&home, &["sfs", "undelete", ""]), expected);
    assert_eq!(completed(&home, &["sfs", "show", ""]), ["last"]);
}

#[test]
fn every_tool_and_format_that_a_command_takes_is_in_its_help() {
    let home = TestHome::new();
    let help = |command: &str| home.sfs(&[command, "--help"]).stdout;
    for (command, tools) in [("watch", &["claude-code", "codex", "gemini", "cursor"][..]), ("list", &["cursor"])] {
        for tool in tools {
            assert!(help(command).contains(tool), "{command} {tool}");
        }
    }
    for format in ["sfs", "native", "markdown", "html", "claude-code", "codex", "gemini"] {
        let begins = |line: &str| line.trim_start().starts_with(&format!("{format} ")) && line.starts_with("  ");
        assert!(help("export").lines().any(begins), "{format}: {}", help("export"));
    }
}

#[test]
fn completions_are_scripts_of_their_shells() {
    let home = TestHome::new();
    for shell in ["bash", "zsh", "fish"] {
        let run = home.sfs(&["completions", shell]);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
        let Some(program) = program(shell) else { continue };
        let file = home.path().join(shell);
        write(&file, &run.stdout);
        let output = Command::new(program).arg("-n").arg(&file).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{shell}: {output:?}");
    }
    let run = home.sfs(&["completions", "tcsh"]);
    assert_eq!(run.code, Some(2), "{run}");
    assert!(!home.path().join(".sessionfs").exists(), "completions touch nothing");
}

#[test]
fn manual_pages_render_without_a_warning() {
    let home = TestHome::new();
    let run = home.sfs(&["man", "man1"]);
    assert_eq!(run.code, Some(0), "{run}");
    assert_eq!(home.sfs(&["man", "man1"]).stdout, run.stdout, "pages are replaced");
    let pages: Vec<PathBuf> =
        fs::read_dir(home.path().join("man1")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(pages.iter().any(|page| page.ends_with("sfs-daemon-install.1")), "{pages:?}");
    let Some(groff) = program("groff") else { return };
    for page in &pages {
        let output = Command::new(&groff).args(["-man", "-ww", "-Tutf8", "-P-cbou"]).arg(page).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{}: {output:?}", page.display());
    }
    let mut render = Command::new(&groff);
    render.args(["-man", "-Tutf8", "-P-cbou"]).arg(home.path().join("man1/sfs-tag-add.1"));
    let text = String::from_utf8(render.output().unwrap().stdout).unwrap();
    assert!(text.contains("sfs tag add") && text.contains("SEE ALSO"), "{text}");
}

// The service.

/// Where the service's file belongs.
fn service_file(home: &TestHome) -> PathBuf {
    let macos = "Library/LaunchAgents/dev.sessionfs.daemon.plist";
    let linux = ".config/systemd/user/sessionfs.service";
    home.path().join(if cfg!(target_os = "macos") { macos } else { linux })
}

/// The system's own opinion of the unit.
#[test]
fn the_unit_is_one_that_systemd_takes() {
    let folder = tempfile::tempdir().unwrap();
    let verify = |unit: &Path| {
        let mut command = Command::new("systemd-analyze");
        command.args(["verify", "--user"]).arg(unit).env("XDG_RUNTIME_DIR", folder.path()).output()
    };
    let name = "the_unit_is_one_that_systemd_takes";
    // A program and a folder with all that means something in a unit.
    let program = folder.path().join("100% $HOME a/sessionfs");
    fs::create_dir_all(program.parent().unwrap()).unwrap();
    fs::copy("/bin/true", &program).unwrap();
    let home = Home::at(Path::new("/home/me"), Path::new("/data/100% $HOME \"a\\b\""));
    let service = Service::new(Manager::Systemd, &home, &program);
    let unit = folder.path().join("sessionfs.service");
    fs::write(&unit, &service.text).unwrap();
    let Ok(output) = verify(&unit) else { return skip(name, "no systemd-analyze here") };
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !told.contains("sessionfs.service"), "{told}\n{}", service.text);
    // That it would say so.
    fs::write(&unit, service.text.replace("RestartSec=5", "RestartSec=soon")).unwrap();
    assert!(String::from_utf8_lossy(&verify(&unit).unwrap().stderr).contains("sessionfs.service"));
}

#[test]
fn the_service_is_installed_once_and_taken_away_again() {
    let home = TestHome::new();
    let file = service_file(&home);
    let log = home.path().join("log");
    let manager = format!("echo \"$@\" >> {}", log.display());
    let run = with_manager(&home, &manager, &["daemon", "install"]);
    assert_eq!(run.code, Some(0), "{run}");
    assert!(run.stdout.starts_with("Wrote ~/") && run.stderr.is_empty(), "{run}");
    let written = fs::read_to_string(&file).unwrap();
    assert!(written.contains(env!("CARGO_BIN_EXE_sessionfs")), "{written}");
    let again = with_manager(&home, &manager, &["daemon", "install", "--now"]);
    assert!(again.code == Some(0) && again.stdout.contains("is up to date"), "{again}");
    assert_eq!(fs::read_to_string(&file).unwrap(), written);
    if cfg!(target_os = "linux") {
        let told = fs::read_to_string(&log).unwrap();
        let steps = "--user daemon-reload\n--user enable sessionfs.service\n";
        assert_eq!(told, format!("{steps}{steps}{steps}--user restart sessionfs.service\n"));
    }
    let gone = with_manager(&home, &manager, &["daemon", "uninstall"]);
    assert!(gone.code == Some(0) && !file.exists(), "{gone}");
    let nothing = with_manager(&home, &manager, &["daemon", "uninstall"]);
    assert_eq!((nothing.code, nothing.stdout.as_str()), (Some(0), "No service is installed.\n"));
}

#[test]
fn without_a_service_manager_the_commands_are_told() {
    let home = TestHome::new();
    let run = with_manager(&home, "echo 'no bus' >&2; exit 1", &["daemon", "install", "--now"]);
    assert_eq!(run.code, Some(0), "{run}");
    assert!(run.stderr.contains("no bus") && service_file(&home).exists(), "{run}");
    if cfg!(target_os = "linux") {
        assert!(run.stdout.contains("\n  systemctl --user restart sessionfs.service\n"), "{run}");
    }
}

#[test]
fn a_service_that_somebody_else_wrote_is_left_alone() {
    let home = TestHome::new();
    write(&service_file(&home), "[Service]\nExecStart=/bin/true\n");
    for words in ["install", "uninstall"] {
        let run = with_manager(&home, "exit 0", &["daemon", words]);
        assert_eq!(run.code, Some(4), "{run}");
    }
    assert_eq!(fs::read_to_string(service_file(&home)).unwrap(), "[Service]\nExecStart=/bin/true\n");
}

#[test]
fn the_service_knows_where_the_archive_and_the_tools_are() {
    let home = TestHome::new();
    let path = programs(&home, &[("systemctl", "exit 0"), ("launchctl", "exit 0")]);
    let mut command = home.command(&["daemon", "install"]);
    command.env("PATH", path).env("SFS_HOME", home.path().join("my archive")).env("CODEX_HOME", "/srv/codex");
    command.env("XDG_CONFIG_HOME", home.path().join("xdg"));
    assert!(command.output().unwrap().status.success());
    if cfg!(target_os = "linux") {
        let unit = home.path().join("xdg/systemd/user/sessionfs.service");
        let text = fs::read_to_string(&unit).unwrap();
        assert!(text.contains("Environment=\"CODEX_HOME=/srv/codex\"\nEnvironment=\"SFS_HOME="), "{text}");
        let Some(analyze) = program("systemd-analyze") else { return };
        let mut verify = Command::new(analyze);
        let output = verify.args(["--user", "verify"]).arg(&unit).env("XDG_RUNTIME_DIR", home.path()).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    }
}

// Init.

#[test]
fn init_on_an_empty_home() {
    let home = TestHome::new();
    insta::assert_snapshot!(home.sfs(&["init"]), @"
    Claude Code  not found on this machine
    Codex        not found on this machine
    Gemini CLI   not found on this machine
    Cursor       not found on this machine

    What keeps capturing in the background: sfs daemon install --now

    Next:
      sfs import DIR               sessions from another machine's home folder
      sfs doctor                   whether everything is in order
      sfs --help                   what else there is
    ");
}

#[test]
fn init_captures_what_is_there_and_can_be_repeated() {
    let home = TestHome::with(&["claude/chat", "codex/chat"]);
    let first = home.sfs(&["init", "--no-service"]);
    assert_eq!(first.code, Some(0), "{first}");
    insta::assert_snapshot!(first, @"
    Claude Code  1 session (20 kB) in ~/.claude, 1 captured now
                 by itself it deletes sessions untouched for 30 days at start-up (cleanupPeriodDays in settings.json)
    Codex        1 session (16 kB) in ~/.codex, 1 captured now
                 by itself it keeps its sessions; `codex archive` only moves them to another folder
    Gemini CLI   not found on this machine
    Cursor       not found on this machine

    No service, as you wish. What keeps capturing: sfs daemon start

    Next:
      sfs list                     what you have
      sfs show last -m             what was said last
      sfs resume last --in codex   go on in another tool
    ");
    assert_eq!(sessions(&home).len(), 2);
    let again = home.sfs(&["init", "--no-service"]);
    assert_eq!((again.code, again.stdout.matches("nothing new").count()), (Some(0), 2), "{again}");
    assert_eq!(home.sfs(&["init", "--yes", "--no-service"]).code, Some(2));
}

#[test]
fn init_with_yes_leaves_a_daemon_that_captures() {
    let home = TestHome::with(&["claude/chat"]);
    let run = with_manager(&home, "exit 1", &["init", "--yes"]);
    let status = home.json(&["daemon", "status", "--json"]);
    home.sfs(&["daemon", "stop"]);
    assert_eq!((run.code, &status["running"]), (Some(0), &json!(true)), "{run}");
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert!(service_file(&home).exists());
}

// The doctor.

/// The checks that ended so, as `subject: words`.
fn checks(report: &Value, state: &str) -> Vec<String> {
    let all = report["checks"].as_array().unwrap();
    let of = all.iter().filter(|check| check["state"] == state);
    of.map(|check| format!("{}: {}", check["subject"].as_str().unwrap(), check["what"].as_str().unwrap())).collect()
}

/// `sfs doctor --json` with its exit code.
fn doctor(home: &TestHome, options: &[&str]) -> (Option<i32>, Value) {
    let run = home.sfs(&[&["doctor", "--json"], options].concat());
    let report: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{run}"));
    assert_eq!(run.code == Some(0), report["ok"] == true, "{run}");
    (run.code, report)
}

/// Every recorded session of the tools whose clients were observed.
fn all_recorded() -> TestHome {
    let home = TestHome::new();
    for tool in ["claude", "codex"] {
        for case in fs::read_dir(fixture(tool)).unwrap() {
            copy_tree(&case.unwrap().path(), home.path());
        }
    }
    home
}

#[test]
fn nothing_is_found_in_what_the_clients_wrote_themselves() {
    let home = all_recorded();
    import(&home);
    let (code, report) = doctor(&home, &["--all"]);
    let about_sessions: Vec<&Value> =
        report["checks"].as_array().unwrap().iter().filter(|check| !check["session"].is_null()).collect();
    assert_eq!((code, about_sessions), (Some(0), Vec::new()));
}

#[test]
fn the_doctor_on_a_home_without_an_archive() {
    let home = TestHome::new();
    let (code, report) = doctor(&home, &[]);
    assert_eq!((code, checks(&report, "fail")), (Some(0), Vec::new()));
    assert_eq!(checks(&report, "warn")[0], "archive: nothing is captured yet");
    assert!(!home.path().join(".sessionfs").exists(), "looking makes nothing");
}

#[test]
fn open_files_are_closed_again() {
    let home = TestHome::with(&["claude/chat"]);
    import(&home);
    let (folder, file) = (home.path().join(".sessionfs"), home.path().join(".sessionfs/archive.db"));
    let foreign = folder.join("config.toml");
    write(&foreign, "theirs");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    for path in [&file, &foreign] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    }
    let (code, report) = doctor(&home, &[]);
    assert_eq!((code, checks(&report, "fail").len()), (Some(1), 2), "{report}");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    let (code, report) = doctor(&home, &["--fix"]);
    assert_eq!((code, checks(&report, "fixed").len()), (Some(0), 2), "{report}");
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&file), mode(&foreign)), (0o700, 0o600, 0o644));
}

#[test]
fn a_damaged_archive_is_found() {
    let home = TestHome::with(&["claude/chat"]);
    import(&home);
    let file = home.path().join(".sessionfs/archive.db");
    let database = rusqlite::Connection::open(&file).unwrap();
    database.execute("UPDATE tail SET data = x'00112233'", []).unwrap();
    let (code, report) = doctor(&home, &[]);
    let failed = checks(&report, "fail");
    assert!(code == Some(1) && failed.len() == 1 && failed[0].contains("is damaged"), "{report}");
    let forget = "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'session_by_native'";
    database.execute_batch(forget).unwrap();
    drop(database);
    let (code, report) = doctor(&home, &[]);
    assert!(code == Some(1) && checks(&report, "fail")[0].starts_with("archive: "), "{report}");
    fs::write(&file, "this is no database, but long enough to be looked at as one").unwrap();
    let (code, report) = doctor(&home, &[]);
    assert_eq!((code, checks(&report, "fail").len()), (Some(1), 1), "{report}");
}

#[test]
fn what_is_not_captured_is_named_and_what_is_deleted_soon_is_a_failure() {
    let home = TestHome::with(&["claude/chat"]);
    import(&home);
    let file = claude_file(&home, &id(1));
    write(&file, claude_session(&id(1), 1));
    let (code, report) = doctor(&home, &[]);
    assert_eq!(code, Some(0), "{report}");
    assert!(checks(&report, "warn").contains(&"claude-code: 1 of its 2 sessions not captured".to_owned()), "{report}");
    let month_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(31 * 86_400);
    fs::File::options().append(true).open(&file).unwrap().set_modified(month_ago).unwrap();
    let (code, report) = doctor(&home, &[]);
    assert!(code == Some(1) && checks(&report, "fail")[0].contains("1 of them will be deleted"), "{report}");
    import(&home);
    assert_eq!(doctor(&home, &[]).0, Some(0));
}

#[test]
fn sessions_that_codex_does_not_list_are_named() {
    let home = TestHome::with(&["codex/chat", "codex/shell", "codex/agent"]);
    fs::copy(fixture("codex-state/state_5.sqlite"), home.path().join(".codex/state_5.sqlite")).unwrap();
    import(&home);
    let before = fs::read(home.path().join(".codex/state_5.sqlite")).unwrap();
    let (code, report) = doctor(&home, &["--fix"]);
    let warned = checks(&report, "warn").into_iter().find(|text| text.contains("missing from its list"));
    let warned = warned.unwrap_or_else(|| panic!("{report}"));
    assert!(code == Some(0) && warned.contains("01a20275-f1e2-75d1-885a-fb1588465594"), "{warned}");
    assert!(!warned.contains("01a20275-e2c0-7961-8d7e-2ef1d64a75ad"), "it is listed: {warned}");
    assert!(!warned.contains("01a20276-277f-7840-ad29-1f8f2407b038"), "a sub-agent is never listed: {warned}");
    assert_eq!(fs::read(home.path().join(".codex/state_5.sqlite")).unwrap(), before);
}

/// A Claude Code session with `block` in its last reply.
fn claude_with(session: &str, blocks: &[Value]) -> String {
    let mut last = claude_line(session, 4, "assistant", "");
    last["message"]["content"] = json!(blocks);
    format!("{}{last}\n", claude_session(session, 2))
}

/// Last replies of Claude Code sessions by number; the second one the client garbles, the others its model's API refuses.
fn sick_claude_replies() -> Vec<(u32, Vec<Value>)> {
    let call = |id: &str| json!({"type": "tool_use", "id": id, "name": "Bash", "input": {"command": "ls"}});
    vec![
        (
            1,
            vec![
                json!({"type": "thinking", "thinking": "Hm.", "signature": ""}),
                json!({"type": "text", "text": "So."}),
            ],
        ),
        (2, vec![call("toolu_1"), call("toolu_1")]),
        (3, vec![json!({"type": "tool_use", "id": "toolu_2", "name": "Bash", "input": "ls"})]),
    ]
}

#[test]
fn what_claude_code_would_not_take_gets_a_copy_that_it_takes() {
    let home = TestHome::new();
    let sick = sick_claude_replies();
    for (number, blocks) in &sick {
        write(&claude_file(&home, &id(*number)), claude_with(&id(*number), blocks));
    }
    let orphan = json!([{"type": "tool_result", "tool_use_id": "toolu_9", "content": "lost"}]);
    let mut line = claude_line(&id(4), 4, "user", "");
    line["message"]["content"] = orphan;
    write(&claude_file(&home, &id(4)), format!("{}{line}\n", claude_session(&id(4), 2)));
    import(&home);
    let before: Vec<Vec<u8>> = (1..=4).map(|number| fs::read(claude_file(&home, &id(number))).unwrap()).collect();

    let (code, report) = doctor(&home, &[]);
    let words = format!("{report}");
    assert_eq!((code, checks(&report, "fail").len()), (Some(1), 2), "{words}");
    for what in ["without a signature", "id of another one", "whose input is no object", "without their call"] {
        assert!(words.contains(what), "{what}: {words}");
    }
    assert_eq!(sessions(&home).len(), 4, "looking writes nothing");

    let (code, report) = doctor(&home, &["--fix"]);
    assert_eq!((code, checks(&report, "fixed").len()), (Some(0), 4), "{report}");
    for number in 1..=4 {
        assert_eq!(fs::read(claude_file(&home, &id(number))).unwrap(), before[number as usize - 1]);
    }
    assert_eq!(sessions(&home).len(), 8);
    let fixed = report["checks"].as_array().unwrap().iter().find(|check| check["state"] == "fixed").unwrap();
    let command: Vec<&str> = fixed["hint"].as_str().unwrap().split(' ').skip(1).collect();
    let run = home.sfs(&command);
    assert!(run.code == Some(0) && run.stdout.contains("claude --resume"), "{run}");

    let (code, report) = doctor(&home, &["--fix"]);
    assert_eq!((code, checks(&report, "fixed").len()), (Some(0), 0), "{report}");
    assert_eq!(sessions(&home).len(), 8, "a second repair writes nothing");
    assert_sound(&home);
}

/// Codex sessions by number, and what is wrong with each: all but the last one the client refuses.
fn sick_codex_sessions() -> Vec<(u32, String, &'static str)> {
    let item = |payload: &Value| {
        let line = json!({"timestamp": "2026-11-22T10:00:03.000Z", "type": "response_item", "payload": payload});
        format!("{line}\n")
    };
    let call = |id: &str| item(&json!({"type": "function_call", "name": "shell", "arguments": "{}", "call_id": id}));
    let output = |id: &str| item(&json!({"type": "function_call_output", "call_id": id, "output": "done"}));
    vec![
        (1, format!("\u{feff}{}", codex_session(&id(1))), "a byte order mark"),
        (2, codex_session(&id(2)) + &output("a") + &call("a"), "before their call"),
        (3, codex_session(&id(3)) + &call("a") + &call("a") + &output("a") + &output("a"), "id of another one"),
        (4, codex_session(&id(4)).replace("\"cli_version\"", "\"version\""), "fields missing"),
        (
            5,
            codex_session(&id(5)).replace("\"originator\"", "\"history_mode\":\"paginated\",\"originator\""),
            "ordinal",
        ),
        (6, codex_session(&id(6)) + &call("a") + &output("b"), "without their call"),
    ]
}

#[test]
fn what_codex_would_not_take_gets_a_copy_that_it_takes() {
    let home = TestHome::new();
    let sick = sick_codex_sessions();
    for (number, text, _) in &sick {
        write(&codex_file(&home, &id(*number)), text);
    }
    import(&home);
    let (code, report) = doctor(&home, &[]);
    assert_eq!((code, checks(&report, "fail").len()), (Some(1), 5), "{report}");
    let words = format!("{report}");
    for (_, _, what) in &sick {
        assert!(words.contains(what), "{what}: {words}");
    }
    let (code, report) = doctor(&home, &["--fix"]);
    assert_eq!((code, checks(&report, "fixed").len()), (Some(0), 6), "{report}");
    assert_eq!(doctor(&home, &[]).0, Some(0));
    assert_eq!(sessions(&home).len(), 12);
}

/// The native id of the copy that the doctor wrote of the session with this native id.
fn copy_of(home: &TestHome, tool: &str, sick: &str) -> String {
    let all = home.json(&["list", "--all", "--json"]);
    let all = all.as_array().unwrap();
    let parent = &all.iter().find(|session| session["tool"] == tool && session["native_id"] == sick).unwrap()["id"];
    let copy = all.iter().find(|session| session["parent_id"] == *parent).unwrap();
    copy["native_id"].as_str().unwrap().to_owned()
}

#[test]
fn the_real_clients_refuse_what_the_doctor_finds_and_take_its_copies() {
    if !ready("the_real_clients_refuse_what_the_doctor_finds", &[Client::ClaudeCode, Client::Codex]) {
        return;
    }
    let home = TestHome::new();
    for (number, blocks) in sick_claude_replies() {
        write(&claude_file(&home, &id(number)), claude_with(&id(number), &blocks));
    }
    for (number, text, _) in sick_codex_sessions() {
        write(&codex_file(&home, &id(number)), text);
    }
    import(&home);
    assert_eq!(home.sfs(&["doctor", "--fix"]).code, Some(0));
    let folder = Path::new("/home/dev/work/project");
    let claude = [(1, true), (2, false), (3, true)]
        .map(|(number, refused)| (Client::ClaudeCode, "claude-code", number, refused, 2));
    // Whether the API refuses an id that is used twice (the third one), the mock does not tell.
    let codex = [1, 2, 4, 5, 6].map(|number| (Client::Codex, "codex", number, number < 6, 1));
    for (client, tool, number, is_refused, turns) in claude.into_iter().chain(codex) {
        let sick = receive(client, home.path(), folder, &id(number)).unwrap();
        let refused = !sick.rejections.is_empty() || sick.requests == 0;
        assert_eq!(refused, is_refused, "{tool} {number}: {sick:?}");
        let taken = receive(client, home.path(), folder, &copy_of(&home, tool, &id(number))).unwrap();
        assert_eq!(
            (taken.rejections.len(), taken.orphans.len(), taken.exit),
            (0, 0, Some(0)),
            "{tool} {number}: {taken:?}"
        );
        for turn in 0..turns {
            assert!(taken.user_texts.iter().any(|text| text.contains(&format!("Question {turn}"))), "{taken:?}");
            assert!(taken.assistant_texts.iter().any(|text| text.contains(&format!("Answer {turn}"))), "{taken:?}");
        }
    }
}

#[test]
fn a_broken_session_that_nothing_can_be_made_of_stays_a_failure() {
    let home = TestHome::new();
    let text = codex_session(&id(1));
    write(&codex_file(&home, &id(1)), format!("\u{feff}{}", text.lines().next().unwrap()) + "\n");
    import(&home);
    let (code, report) = doctor(&home, &["--fix"]);
    assert!(code == Some(1) && checks(&report, "fail")[0].contains("no copy: "), "{report}");
}

#[test]
fn an_index_that_was_not_finished_is_named() {
    let home = TestHome::with(&["claude/chat"]);
    import(&home);
    let database = rusqlite::Connection::open(home.path().join(".sessionfs/archive.db")).unwrap();
    database.execute("INSERT INTO setting (key, value) VALUES ('rebuilding', 'true')", []).unwrap();
    let (code, report) = doctor(&home, &[]);
    assert_eq!(code, Some(1));
    assert!(checks(&report, "fail").iter().any(|text| text.contains("not whole")), "{report}");
    home.sfs(&["admin", "reindex", "--local"]);
    assert!(!format!("{}", doctor(&home, &[]).1).contains("not whole"));
}

// Sessions from elsewhere.

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_tools_folder_of_another_home_is_imported() {
    let old = TestHome::with(&["claude/sub", "codex/chat", "gemini/tools"]);
    let home = TestHome::with(&["claude/chat"]);
    let run = home.sfs(&["import", text(&old.path().join(".claude"))]);
    assert_eq!(run.code, Some(0), "{run}");
    assert_eq!(sessions(&home).len(), 1, "only that tool's: {run}");
    assert_eq!(home.sfs(&["import", text(&old.path().join(".codex/sessions/2026"))]).code, Some(0));
    assert_eq!(home.sfs(&["import", "--from", "gemini", text(&old.path().join(".gemini"))]).code, Some(0));
    assert_eq!(home.sfs(&["import", "--from", "gemini", text(&old.path().join(".codex"))]).code, Some(2));
    assert_eq!(sessions(&home).len(), 3);
    assert_eq!(home.sfs(&["import", text(&old.path().join(".claude"))]).stdout, "Nothing new.\n");
    let guarded = home.json(&["guard", "--json"]);
    assert_eq!(guarded["tools"][0]["sessions"], 1, "files of another home are nobody's here: {guarded}");
    import(&home);
    drop(old);
    import(&home);
    let status = home.json(&["daemon", "status", "--json"]);
    assert_eq!(status["watchers"][1]["gone_but_safe"], 0, "Codex here never had it: {status}");
    assert_sound(&home);
}

#[test]
fn a_session_file_in_a_tools_folder_comes_with_what_belongs_to_it() {
    let old = TestHome::with(&["claude/sub", "claude/chat"]);
    let folder = old.path().join(".claude/projects/-home-dev-work-sub");
    let home = TestHome::new();
    let file = folder.join("52e7bd38-9905-43d3-b58d-d745d61aafd6.jsonl");
    assert_eq!(home.sfs(&["import", text(&file)]).code, Some(0));
    let shown = home.json(&["show", "last", "--json"]);
    assert_eq!(sessions(&home).len(), 1);
    assert!(format!("{shown}").contains("subagents/agent-ab0c9a5188940a649"), "{shown}");
}

#[test]
fn a_single_file_is_captured_and_can_be_restored_to_its_place() {
    for (case, folder) in [("claude/chat", ".claude"), ("codex/chat", ".codex"), ("gemini/simple", ".gemini")] {
        let old = TestHome::with(&[case]);
        let is_session = |path: &Path| path.extension().is_some_and(|e| e == "jsonl");
        let files =
            walkdir::WalkDir::new(old.path().join(folder)).into_iter().flatten().map(walkdir::DirEntry::into_path);
        let original = files.into_iter().find(|path| is_session(path)).unwrap();
        let home = TestHome::new();
        let stray = home.path().join("sent.jsonl");
        fs::copy(&original, &stray).unwrap();
        let run = home.sfs(&["import", "sent.jsonl"]);
        assert_eq!(run.code, Some(0), "{case}: {run}");
        assert_eq!(home.sfs(&["import", "sent.jsonl"]).stdout, "Nothing new.\n");
        fs::remove_file(&stray).unwrap();
        import(&home);
        let listed = home.json(&["list", "--json"]);
        assert_eq!((listed.as_array().unwrap().len(), &listed[0]["native_present"]), (1, &json!(false)), "{case}");
        assert_eq!(home.sfs(&["restore", "last"]).code, Some(0));
        let files =
            walkdir::WalkDir::new(home.path().join(folder)).into_iter().flatten().map(walkdir::DirEntry::into_path);
        let restored = files.into_iter().find(|path| is_session(path)).unwrap();
        assert_eq!(fs::read(&restored).unwrap(), fs::read(&original).unwrap());
        if folder != ".gemini" {
            let below =
                |path: &Path, home: &TestHome| path.strip_prefix(home.path()).unwrap().parent().unwrap().to_owned();
            assert_eq!(below(&restored, &home), below(&original, &old));
        }
        let left: Vec<_> =
            fs::read_dir(home.path().join(".sessionfs")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(left.iter().all(|name| name.to_string_lossy().starts_with("archive.db")), "{left:?}");
        assert_sound(&home);
    }
}

#[test]
fn a_file_that_is_no_session_is_refused() {
    let home = TestHome::new();
    write(&home.path().join("notes.jsonl"), "{\"a\":1}\n");
    let run = home.sfs(&["import", "notes.jsonl"]);
    assert_eq!(run.code, Some(3), "{run}");
    write(&home.path().join("session.jsonl"), codex_session(&id(1)));
    let run = home.sfs(&["import", "--from", "claude", "session.jsonl"]);
    assert_eq!(run.code, Some(3), "{run}");
    assert!(sessions(&home).is_empty());
}

#[test]
fn a_sent_file_never_takes_the_place_of_this_homes_own() {
    let home = TestHome::new();
    let file = claude_file(&home, &id(1));
    write(&file, claude_session(&id(1), 2));
    import(&home);
    write(&home.path().join("longer.jsonl"), claude_session(&id(1), 3));
    write(&home.path().join("other.jsonl"), claude_session(&id(1), 3).replace("Answer", "Other answer"));
    for sent in ["longer.jsonl", "other.jsonl"] {
        assert_eq!(home.sfs(&["import", sent]).code, Some(0));
    }
    assert_eq!(sessions(&home).len(), 1);
    let told = format!("{}", home.json(&["show", "last", "-m", "--json"]));
    assert!(told.contains("\"Answer 2\"") && told.contains("\"main~"), "both are kept: {told}");
    assert_eq!(home.json(&["list", "--json"])[0]["native_present"], true);
    assert_eq!(home.sfs(&["import", "other.jsonl"]).stdout, "Nothing new.\n");
    assert_eq!(fs::read_to_string(&file).unwrap(), claude_session(&id(1), 2), "this home's file is as it was");
    write(&file, claude_session(&id(1), 4));
    import(&home);
    assert!(format!("{}", home.json(&["show", "last", "-m", "--json"])).contains("Answer 3"));
    assert_sound(&home);
}

#[test]
fn what_was_not_looked_at_is_told() {
    let home = TestHome::new();
    let long = claude_line(&id(1), 2, "user", &"word ".repeat(14 << 20));
    write(&claude_file(&home, &id(1)), format!("{}{long}\n", claude_session(&id(1), 1)));
    write(&claude_file(&home, &id(2)), claude_session(&id(2), 1));
    import(&home);
    let (code, report) = doctor(&home, &[]);
    let told = checks(&report, "ok");
    assert_eq!(code, Some(0), "{report}");
    assert!(told.contains(&"claude-code: no harm found in the files of 1 session".to_owned()), "{told:?}");
    assert!(told.contains(&"claude-code: 1 session not looked at".to_owned()), "{told:?}");
    assert!(!format!("{}", doctor(&home, &["--all"]).1).contains("not looked at"));
}
