//! Capture: whatever a tool does to its files, the archive holds every byte that was there, says what it could not read,
//! and derives the same from it at any time.

use crate::support::home::{TestHome, fixture};
use crate::support::written::{
    append, assert_faithful, assert_same_files, assert_sound, claude_file, claude_line, claude_session, codex_file,
    codex_session, exported, files_below, home_with_a_session, id, import, native_files, sessions, told, write,
};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// All recorded cases of a tool.
fn cases(tool: &str) -> Vec<String> {
    let folder = fs::read_dir(fixture(tool)).unwrap();
    let mut cases: Vec<_> = folder.map(|e| format!("{tool}/{}", e.unwrap().file_name().to_str().unwrap())).collect();
    cases.sort();
    cases
}

fn home_with_all(tool: &str) -> TestHome {
    let cases = cases(tool);
    TestHome::with(&cases.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The streams of the only session: name, generation, bytes.
fn streams(home: &TestHome) -> Vec<(String, u64, u64)> {
    let ids = sessions(home);
    assert_eq!(ids.len(), 1, "{ids:?}");
    let shown = home.json(&["show", &ids[0], "--json"]);
    let number = |value: &Value| value.as_u64().unwrap();
    let streams = shown["streams"].as_array().unwrap().iter();
    streams.map(|s| (s["name"].as_str().unwrap().to_owned(), number(&s["generation"]), number(&s["bytes"]))).collect()
}

/// The texts of the only session's messages.
fn texts(home: &TestHome) -> Vec<String> {
    let shown = home.json(&["show", &sessions(home)[0], "-m", "--json"]);
    let messages = shown["messages"].as_array().unwrap().iter();
    messages.map(|m| m["content"][0]["text"].as_str().unwrap_or_default().to_owned()).collect()
}

fn is_present(home: &TestHome) -> bool {
    home.json(&["list", "--all", "--json"])[0]["native_present"].as_bool().unwrap()
}

/// Every generation of every stream of the only session, from a portable export.
fn archived_streams(home: &TestHome) -> crate::support::written::Files {
    let folder = tempfile::tempdir().unwrap();
    let id = &sessions(home)[0];
    let run = home.sfs(&["export", id, "-o", folder.path().to_str().unwrap()]);
    assert_eq!(run.code, Some(0), "{run}");
    files_below(&folder.path().join(format!("{id}.sfs/native")))
}

// What recorded sessions are.

#[test]
fn every_recorded_claude_code_session_comes_out_as_it_went_in() {
    let home = home_with_all("claude");
    import(&home);
    assert_faithful(&home);
}

#[test]
fn every_recorded_codex_session_comes_out_as_it_went_in() {
    let home = home_with_all("codex");
    import(&home);
    assert_faithful(&home);
}

#[test]
fn each_recorded_case_alone_comes_out_as_it_went_in() {
    for case in cases("claude").iter().chain(&cases("codex")) {
        let home = TestHome::with(&[case]);
        import(&home);
        assert_same_files(&exported(&home), &native_files(&home));
    }
}

#[test]
fn a_second_import_finds_nothing_new() {
    let home = TestHome::with(&["claude/sub", "claude/long", "codex/fork", "codex/agent"]);
    import(&home);
    let before = told(&home);
    assert_eq!(import(&home).stdout, "Nothing new.\n");
    assert_eq!(told(&home), before);
}

// How files change.

/// Writes the files of `case` again into another home, piece by piece, with an import after each.
fn grown_in_pieces(case: &str) {
    let whole = TestHome::with(&[case]);
    import(&whole);
    let grown = TestHome::new();
    let sizes = [1, 7, 300, 41, 2_000, 9_999, 1, 1, 65_536, 3, 200_000];
    for (path, bytes) in native_files(&whole) {
        let path = grown.path().join(path);
        write(&path, "");
        let (mut rest, mut sizes) = (&bytes[..], sizes.iter().cycle());
        while !rest.is_empty() {
            let (piece, later) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
            append(&path, piece);
            import(&grown);
            rest = later;
        }
    }
    assert_eq!(told(&grown), told(&whole), "{case}");
    assert_faithful(&grown);
}

#[test]
fn growth_in_odd_pieces_is_like_one_import() {
    grown_in_pieces("claude/chat");
    grown_in_pieces("claude/sub");
    grown_in_pieces("codex/shell");
}

#[test]
fn a_sub_agent_whose_first_line_comes_in_pieces_is_no_session() {
    grown_in_pieces("codex/agent");
}

#[test]
fn a_truncated_file_says_nothing_new_and_is_completed_by_a_resume() {
    let (home, file) = home_with_a_session();
    let whole = fs::read(&file).unwrap();
    fs::write(&file, claude_session(&id(1), 1)).unwrap();
    import(&home);
    assert_eq!(streams(&home), [("main".into(), 0, whole.len() as u64)]);
    assert_eq!(texts(&home), ["Question 0", "Answer 0", "Question 1", "Answer 1"]);
    let resumed = home.json(&["resume", &id(1), "--no-launch", "--json"]);
    assert_eq!(resumed["files"].as_array().unwrap().len(), 1, "{resumed}");
    assert_eq!(fs::read(&file).unwrap(), whole);
    assert_faithful(&home);
}

#[test]
fn a_truncated_file_that_goes_on_differently_begins_a_generation() {
    let (home, file) = home_with_a_session();
    let whole = fs::read(&file).unwrap();
    let half = claude_session(&id(1), 1);
    fs::write(&file, &half).unwrap();
    import(&home);
    let other = [half, claude_session(&id(1), 2).replace("Question 1", "Another way")].concat();
    fs::write(&file, &other).unwrap();
    import(&home);
    let expected = [("main", 0, whole.len()), ("main", 1, other.len())];
    assert_eq!(streams(&home), expected.map(|(name, generation, bytes)| (name.into(), generation, bytes as u64)));
    assert_eq!(archived_streams(&home)[Path::new("main")], whole);
    assert_faithful(&home);
}

#[test]
fn a_file_rewritten_in_place_with_its_size_and_time_kept_by_the_tool_begins_a_generation() {
    let (home, file) = home_with_a_session();
    let whole = fs::read_to_string(&file).unwrap();
    fs::write(&file, whole.replace("Question 1", "Question X")).unwrap();
    import(&home);
    assert_eq!(streams(&home).len(), 2);
    assert_eq!(texts(&home), ["Question 0", "Answer 0", "Question X", "Answer 1"]);
    assert_eq!(archived_streams(&home)[Path::new("main")], whole.into_bytes());
    assert_faithful(&home);
}

#[test]
fn a_file_replaced_by_a_longer_copy_goes_on() {
    let (home, file) = home_with_a_session();
    let longer = file.with_extension("new");
    write(&longer, claude_session(&id(1), 3));
    fs::rename(&longer, &file).unwrap();
    import(&home);
    assert_eq!(streams(&home).len(), 1);
    assert_eq!(texts(&home).len(), 6);
    assert_faithful(&home);
}

#[test]
fn a_file_replaced_by_another_begins_a_generation() {
    let (home, file) = home_with_a_session();
    let other = file.with_extension("new");
    write(&other, claude_session(&id(1), 3).replace("Question", "Demand"));
    fs::rename(&other, &file).unwrap();
    import(&home);
    assert_eq!(streams(&home).len(), 2);
    assert_eq!(texts(&home)[0], "Demand 0");
    assert_faithful(&home);
}

#[test]
fn an_emptied_file_costs_nothing() {
    let (home, file) = home_with_a_session();
    let whole = fs::read(&file).unwrap();
    fs::write(&file, "").unwrap();
    import(&home);
    assert_eq!(streams(&home).len(), 1);
    assert_eq!(texts(&home).len(), 4);
    assert_sound(&home);
    home.json(&["resume", "last", "--json"]);
    assert_eq!(fs::read(&file).unwrap(), whole);
}

#[test]
fn a_second_file_of_the_same_session_that_went_its_own_way_is_kept_beside_the_first() {
    let (home, file) = home_with_a_session();
    let other = home.path().join(".claude/projects/-elsewhere").join(file.file_name().unwrap());
    write(&other, claude_session(&id(1), 3).replace("Question 1", "Another way"));
    import(&home);
    let names: Vec<_> = streams(&home).into_iter().map(|(name, ..)| name).collect();
    assert!(names[0] == "main" && names[1].starts_with("main~"), "{names:?}");
    let dropped = &home.json(&["resume", &id(1), "--in", "codex", "--dry-run", "--json"])["ledger"]["dropped"];
    assert_eq!(dropped[0]["what"], "diverged copies");
    assert_faithful(&home);
}

#[test]
fn a_restored_file_goes_on_although_the_copy_it_came_from_is_still_there() {
    let old = TestHome::new();
    write(&claude_file(&old, &id(1)), claude_session(&id(1), 1));
    let home = TestHome::new();
    assert_eq!(home.sfs(&["import", old.path().to_str().unwrap()]).code, Some(0));
    assert_eq!(home.sfs(&["restore", &id(1)]).code, Some(0));
    write(&claude_file(&home, &id(1)), claude_session(&id(1), 3));
    import(&home);
    assert_eq!(streams(&home).len(), 1);
    assert_eq!(home.json(&["list", "--json"])[0]["message_count"], 6);
    let ledger = &home.json(&["resume", &id(1), "--in", "codex", "--dry-run", "--json"])["ledger"];
    assert_eq!(ledger["kept"][0]["count"], 3, "{ledger}");
    assert_sound(&home);
}

#[test]
fn a_file_of_another_home_is_not_looked_at_with_this_homes_folders() {
    let old = TestHome::new();
    let file = codex_file(&old, &id(1));
    write(&file, codex_session(&id(1)));
    let home = TestHome::new();
    assert_eq!(home.sfs(&["import", old.path().to_str().unwrap()]).code, Some(0));
    write(&file, codex_session(&id(1)).replace("Question", "Other question"));
    home.json(&["resume", &id(1), "--json"]);
    assert_eq!(streams(&home).len(), 1);
    assert_eq!(home.sfs(&["restore", &id(1)]).code, Some(0));
    assert_sound(&home);
}

#[test]
fn a_pipe_in_the_place_of_a_file_holds_nobody_up() {
    let (home, file) = home_with_a_session();
    fs::remove_file(&file).unwrap();
    fs::create_dir_all(home.path().join(".codex")).unwrap();
    for path in [&file, &home.path().join(".codex/session_index.jsonl")] {
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    }
    import(&home);
    assert_eq!(home.sfs(&["restore", &id(1)]).code, Some(4));
    assert_sound(&home);
}

#[test]
fn the_copy_of_a_session_in_another_home_is_not_counted_twice() {
    let home = TestHome::with(&["claude/chat"]);
    import(&home);
    let before = home.json(&["list", "--json"]);
    let copy = TestHome::with(&["claude/chat"]);
    let run = home.sfs(&["import", copy.path().to_str().unwrap()]);
    assert_eq!(run.code, Some(0), "{run}");
    let after = home.json(&["list", "--json"]);
    assert_eq!(after[0]["message_count"], before[0]["message_count"]);
    assert_sound(&home);
}

/// A captured Codex session that was moved to the archive.
fn archived_rollout() -> (TestHome, PathBuf) {
    let home = TestHome::new();
    let file = codex_file(&home, &id(1));
    write(&file, codex_session(&id(1)));
    import(&home);
    let archived = home.path().join(".codex/archived_sessions").join(file.file_name().unwrap());
    fs::create_dir(archived.parent().unwrap()).unwrap();
    fs::rename(&file, &archived).unwrap();
    (home, archived)
}

#[test]
fn a_moved_file_stays_the_same_session() {
    let (home, _) = archived_rollout();
    let before = streams(&home);
    import(&home);
    assert_eq!(streams(&home), before);
    assert!(is_present(&home));
    assert_faithful(&home);
}

#[test]
fn a_compressed_file_stays_the_same_session() {
    let (home, file) = archived_rollout();
    let before = streams(&home);
    let bytes = fs::read(&file).unwrap();
    write(&file.with_extension("jsonl.zst"), zstd::encode_all(&bytes[..], 3).unwrap());
    fs::remove_file(&file).unwrap();
    import(&home);
    assert_eq!(streams(&home), before);
    assert!(is_present(&home));
    assert_eq!(exported(&home).into_values().collect::<Vec<_>>(), [bytes]);
    assert_sound(&home);
}

#[test]
fn a_file_seen_while_it_is_being_compressed_stays_the_same_session() {
    let (home, file) = archived_rollout();
    let bytes = fs::read(&file).unwrap();
    write(&file.with_extension("jsonl.zst"), zstd::encode_all(&bytes[..], 3).unwrap());
    import(&home);
    fs::remove_file(&file).unwrap();
    import(&home);
    assert_eq!(streams(&home).len(), 1);
    assert!(is_present(&home));
    assert_eq!(exported(&home).into_values().collect::<Vec<_>>(), [bytes]);
    assert_sound(&home);
}

#[test]
fn a_damaged_compressed_file_is_an_error_and_stops_nothing() {
    let (home, file) = archived_rollout();
    let bytes = zstd::encode_all(&fs::read(&file).unwrap()[..], 3).unwrap();
    write(&codex_file(&home, &id(2)).with_extension("jsonl.zst"), &bytes[..bytes.len() / 2]);
    write(&codex_file(&home, &id(3)).with_extension("jsonl.zst"), "not compressed");
    write(&codex_file(&home, &id(4)), codex_session(&id(4)));
    let run = home.sfs(&["import"]);
    insta::assert_snapshot!(run, @"
    Captured 2 files of 2 sessions (725 B).
    ---- stderr
    not captured: $HOME/.codex/sessions/2026/11/22/rollout-2026-11-22T10-00-00-11111111-2222-4333-8444-000000000002.jsonl.zst can't be read: incomplete frame
    not captured: $HOME/.codex/sessions/2026/11/22/rollout-2026-11-22T10-00-00-11111111-2222-4333-8444-000000000003.jsonl.zst can't be read: Unknown frame descriptor
    error: 2 files could not be captured
    hint: everything else is safe; run `sfs import` again after mending the cause
    ---- exit Some(1)
    ");
    assert_sound(&home);
}

/// A file of more than one transaction, before one that fails; and one that fails itself in its second transaction.
#[test]
fn a_failure_behind_a_large_file_or_at_its_end_costs_nothing_else() {
    let home = TestHome::new();
    let large = |session: &str| {
        let mut text = codex_session(session);
        let answer = text.lines().last().unwrap().to_owned();
        let mut random = 1u64;
        for _ in 0..1_000 {
            let mut next = || {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                format!("{random:016x}")
            };
            let noise: String = (0..625).map(|_| next()).collect();
            writeln!(text, "{}", answer.replace("Answer 0", &noise)).unwrap();
        }
        text
    };
    let whole = large(&id(1));
    write(&codex_file(&home, &id(1)), &whole);
    write(&codex_file(&home, &id(2)).with_extension("jsonl.zst"), "not compressed");
    let packed = zstd::encode_all(large(&id(3)).as_bytes(), 1).unwrap();
    write(&codex_file(&home, &id(3)).with_extension("jsonl.zst"), &packed[..packed.len() - 1000]);
    let run = home.sfs(&["import"]);
    insta::assert_snapshot!(run, @"
    Captured 1 file of 2 sessions (18 MB).
    ---- stderr
    not captured: $HOME/.codex/sessions/2026/11/22/rollout-2026-11-22T10-00-00-11111111-2222-4333-8444-000000000002.jsonl.zst can't be read: Unknown frame descriptor
    not captured: $HOME/.codex/sessions/2026/11/22/rollout-2026-11-22T10-00-00-11111111-2222-4333-8444-000000000003.jsonl.zst can't be read: incomplete frame
    error: 2 files could not be captured
    hint: everything else is safe; run `sfs import` again after mending the cause
    ---- exit Some(1)
    ");
    assert_eq!(home.json(&["show", &id(1), "--json"])["message_count"], 1_002);
    let folder = tempfile::tempdir().unwrap();
    home.sfs(&["export", &id(1), "--format", "native", "-o", folder.path().to_str().unwrap()]);
    assert!(files_below(folder.path()).into_values().eq([whole.into_bytes()]), "not the bytes of the file");
    assert_sound(&home);
}

#[test]
fn several_imports_at_once_archive_everything_once() {
    let home = home_with_all("claude");
    let start = || home.command(&["import"]).stdout(std::process::Stdio::null()).spawn().unwrap();
    let mut imports: Vec<_> = (0..4).map(|_| start()).collect();
    for import in &mut imports {
        assert_eq!(import.wait().unwrap().code(), Some(0));
    }
    let once = home_with_all("claude");
    import(&once);
    assert_eq!(sessions(&home).len(), sessions(&once).len());
    assert_faithful(&home);
}

#[test]
fn a_file_that_grows_while_it_is_read_is_captured_whole() {
    let home = TestHome::new();
    let file = claude_file(&home, &id(1));
    write(&file, "");
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for turn in 0..200 {
                append(&file, format!("{}\n", claude_line(&id(1), turn, "user", &"word ".repeat(500))));
            }
        });
        while !writer.is_finished() {
            import(&home);
        }
    });
    import(&home);
    assert_eq!(streams(&home).len(), 1);
    assert_eq!(texts(&home).len(), 200);
    assert_faithful(&home);
}

#[test]
fn file_times_of_another_age_are_taken_as_they_are() {
    let home = TestHome::new();
    for (number, seconds) in [(1, -2_000_000_000i64), (2, 0), (3, 40_000_000_000)] {
        let file = claude_file(&home, &id(number));
        write(&file, "no time in it\n");
        let distance = std::time::Duration::from_secs(seconds.unsigned_abs());
        let epoch = std::time::SystemTime::UNIX_EPOCH;
        let time = if seconds < 0 { epoch - distance } else { epoch + distance };
        fs::File::options().append(true).open(&file).unwrap().set_modified(time).unwrap();
    }
    import(&home);
    assert_eq!(home.sfs(&["list", "--all"]).code, Some(0));
    assert_eq!(import(&home).stdout, "Nothing new.\n");
    assert_faithful(&home);
}

// What disappears.

#[test]
fn a_deleted_session_is_safe_and_comes_back_byte_for_byte() {
    let home = TestHome::with(&["claude/agent"]);
    import(&home);
    let before = native_files(&home);
    fs::remove_dir_all(home.path().join(".claude")).unwrap();
    import(&home);
    assert!(!is_present(&home));
    let overview = home.sfs(&[]).stdout;
    assert!(overview.contains("1 deleted by the tool but safe here"), "{overview}");
    let id = &sessions(&home)[0];
    let shown = home.sfs(&["show", id]).stdout;
    assert!(shown.contains("the tool no longer has it: sfs restore"), "{shown}");
    assert_sound(&home);

    let restored = home.json(&["restore", id, "--json"]);
    assert_eq!(restored["written"].as_array().unwrap().len(), before.len());
    assert!(is_present(&home));
    assert_same_files(&native_files(&home), &before);
    assert_eq!(home.sfs(&["restore", id]).stdout, "Nothing to do: all of the session's files are there.\n");
    assert_eq!(import(&home).stdout, "Nothing new.\n");
    assert_faithful(&home);
}

#[test]
fn resuming_a_deleted_session_in_its_own_tool_puts_it_back() {
    let (home, file) = home_with_a_session();
    let bytes = fs::read(&file).unwrap();
    fs::remove_dir_all(home.path().join(".claude")).unwrap();
    import(&home);
    let resumed = home.json(&["resume", "last", "--no-launch", "--json"]);
    assert_eq!(resumed["native_id"], id(1));
    assert_eq!(fs::read(&file).unwrap(), bytes);
    assert_eq!(import(&home).stdout, "Captured 1 file of 1 session (0 B).\n");
    assert!(is_present(&home));
    assert_eq!(sessions(&home).len(), 1);
}

#[test]
fn a_file_with_other_content_is_not_overwritten() {
    let (home, file) = home_with_a_session();
    fs::write(&file, "something else\n").unwrap();
    let run = home.sfs(&["restore", "last"]);
    insta::assert_snapshot!(run, @"
    ---- stderr
    error: $HOME/.claude/projects/-home-dev-work-project/11111111-2222-4333-8444-000000000001.jsonl has other content than the archive
    hint: sfs resume ses_kpefowao2x5gqqlp writes the session under a new id
    ---- exit Some(4)
    ");
    assert_eq!(fs::read_to_string(&file).unwrap(), "something else\n");
}

#[test]
fn a_part_of_the_session_is_completed() {
    let (home, file) = home_with_a_session();
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..100]).unwrap();
    let run = home.sfs(&["restore", "last"]);
    assert_eq!(run.code, Some(0), "{run}");
    assert_eq!(fs::read(&file).unwrap(), whole);
    assert_eq!(streams(&home).len(), 1);
}

#[test]
fn a_file_that_a_running_client_has_open_is_left_alone() {
    let (home, file) = home_with_a_session();
    let part = fs::read(&file).unwrap()[..100].to_vec();
    fs::write(&file, &part).unwrap();
    let running = json!({"pid": std::process::id(), "sessionId": id(1)});
    write(&home.path().join(".claude/sessions/1.json"), running.to_string());
    let run = home.sfs(&["restore", "last"]);
    assert_eq!(run.code, Some(4), "{run}");
    assert!(run.stderr.contains("is in use by a running Claude Code\nhint: "), "{run}");
    assert_eq!(fs::read(&file).unwrap(), part);
}

#[test]
fn nothing_is_restored_where_one_file_is_in_the_way() {
    let home = TestHome::with(&["claude/agent"]);
    import(&home);
    let mut files = native_files(&home);
    fs::remove_dir_all(home.path().join(".claude")).unwrap();
    files.retain(|path, _| path.to_str().unwrap().contains("subagents/") && path.extension().unwrap() == "jsonl");
    let in_the_way = files.keys().next().unwrap();
    write(&home.path().join(in_the_way), "something else\n");
    let run = home.sfs(&["restore", "last"]);
    assert_eq!(run.code, Some(4), "{run}");
    assert_eq!(native_files(&home).keys().collect::<Vec<_>>(), [in_the_way]);
}

#[test]
fn a_project_folder_that_vanishes_is_remembered() {
    let home = TestHome::with(&["claude/chat", "claude/sub", "codex/chat"]);
    import(&home);
    let before = exported(&home);
    fs::remove_dir_all(home.path().join(".claude/projects/-home-dev-work-sub")).unwrap();
    assert_eq!(import(&home).stdout, "Nothing new.\n");
    let listed = home.json(&["list", "--json"]);
    let gone: Vec<_> = listed.as_array().unwrap().iter().filter(|s| s["native_present"] == false).collect();
    assert_eq!(gone.len(), 1);
    assert_same_files(&exported(&home), &before);
    assert_sound(&home);
}

// What is not let in.

#[test]
fn a_symbolic_link_is_not_followed() {
    let home = TestHome::new();
    let secret = home.path().join("secret");
    write(&secret, claude_session(&id(1), 1));
    let file = claude_file(&home, &id(1));
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(&secret, &file).unwrap();
    std::os::unix::fs::symlink(home.path(), home.path().join(".claude/projects/-linked")).unwrap();
    assert_eq!(import(&home).stdout, "Nothing new.\n");
    assert!(sessions(&home).is_empty());
}

#[test]
fn keys_and_hidden_files_beside_a_session_are_not_read() {
    let (home, file) = home_with_a_session();
    let beside = file.with_extension("");
    for name in ["api.key", ".temporary", "tool-results/.half"] {
        write(&beside.join(name), "secret");
    }
    write(&home.path().join(".codex/auth.json"), "secret");
    assert_eq!(import(&home).stdout, "Nothing new.\n");
}

/// `sfs import` without the right of root to read everything. `None` where that can't be had.
fn import_as_a_plain_user(home: &TestHome) -> Option<(Option<i32>, String)> {
    let command = home.command(&["import"]);
    let mut plain = Command::new("setpriv");
    plain.args(["--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-all"]);
    plain.arg(command.get_program()).args(command.get_args()).env_clear();
    plain.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = plain.current_dir(home.path()).output().ok()?;
    let said = String::from_utf8(output.stderr).unwrap().replace(home.path().to_str().unwrap(), "$HOME");
    (!said.starts_with("setpriv")).then_some((output.status.code(), said))
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn an_unreadable_file_stops_nothing_and_is_captured_later() {
    let home = TestHome::new();
    let (shut, open) = (claude_file(&home, &id(1)), claude_file(&home, &id(2)));
    write(&shut, claude_session(&id(1), 1));
    write(&open, claude_session(&id(2), 1));
    set_mode(&shut, 0o000);
    let Some((code, said)) = import_as_a_plain_user(&home) else {
        return crate::clients::skip("an_unreadable_file_stops_nothing_and_is_captured_later", "no setpriv");
    };
    assert_eq!((code, sessions(&home).len()), (Some(1), 1));
    insta::assert_snapshot!(said, @"
    not captured: $HOME/.claude/projects/-home-dev-work-project/11111111-2222-4333-8444-000000000001.jsonl can't be read: Permission denied (os error 13)
    error: 1 file could not be captured
    hint: everything else is safe; run `sfs import` again after mending the cause
    ");
    let overview = home.sfs(&[]).stdout;
    assert!(overview.contains("last error: "), "{overview}");
    set_mode(&shut, 0o600);
    import(&home);
    assert!(!home.sfs(&[]).stdout.contains("last error: "));
    assert_faithful(&home);
}

#[test]
fn an_unreadable_folder_is_not_taken_for_a_deletion() {
    let (home, file) = home_with_a_session();
    set_mode(file.parent().unwrap(), 0o000);
    let result = import_as_a_plain_user(&home);
    set_mode(file.parent().unwrap(), 0o700);
    let Some((code, said)) = result else {
        return crate::clients::skip("an_unreadable_folder_is_not_taken_for_a_deletion", "no setpriv");
    };
    assert_eq!(code, Some(1));
    insta::assert_snapshot!(said, @"
    not captured: $HOME/.claude/projects/-home-dev-work-project can't be read: Permission denied (os error 13)
    error: 1 file could not be captured
    hint: everything else is safe; run `sfs import` again after mending the cause
    ");
    assert!(is_present(&home));
}

// What stands in files.

/// Contents that no tool writes, or only once a disk was full. `%` is the session's id.
fn broken_contents() -> Vec<(&'static str, Vec<u8>)> {
    let lines = |session: &str| -> Vec<Value> {
        let roles = ["user", "assistant"];
        (0..4).map(|n| claude_line(session, n, roles[n as usize % 2], &format!("Text {n}"))).collect()
    };
    let joined =
        |lines: &[Value], end: &str| lines.iter().flat_map(|line| [line.to_string(), end.into()]).collect::<String>();
    let whole = lines("%");
    let all = joined(&whole, "\n");
    let with_field = |name: &str, value: Value| {
        let mut lines = whole.clone();
        lines[2][name] = value;
        joined(&lines, "\n").into_bytes()
    };
    let with_message = |name: &str, value: Value| {
        let mut lines = whole.clone();
        lines[1]["message"]["id"] = json!("msg_1");
        lines[1]["message"]["model"] = json!("claude-opus-4-1");
        lines[1]["message"][name] = value;
        joined(&lines, "\n").into_bytes()
    };
    let mut without_times = whole.clone();
    for line in &mut without_times {
        line.as_object_mut().unwrap().remove("timestamp");
    }
    let deep = format!("{{\"type\":\"user\",\"message\":{}1{}}}\n", "[".repeat(2_000), "]".repeat(2_000));
    let deep_text =
        format!("{}{deep}", all.replace("\"Text 2\"", &format!("{}{}", "[".repeat(2_000), "]".repeat(2_000))));
    vec![
        ("empty", Vec::new()),
        ("one line break", b"\n".to_vec()),
        ("a partial line", all.as_bytes()[..200].to_vec()),
        ("invalid UTF-8", [all.as_bytes(), b"{\"type\":\"user\",\"message\":\"\xff\xfe\"}\n"].concat()),
        ("invalid UTF-8 in a text", bytes_for("Text 2", all.as_bytes(), b"\xff\xfe")),
        ("NUL bytes", [all.as_bytes(), &[0; 5_000], b"\n", all.as_bytes()].concat()),
        ("binary", (0..50_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect()),
        ("truncated JSON", [&all.as_bytes()[..all.len() - 50], b"\n", all.as_bytes()].concat()),
        ("deep JSON", [all.as_bytes(), deep.as_bytes()].concat()),
        ("deep JSON inside", deep_text.into_bytes()),
        ("twice the same ids", all.repeat(2).into_bytes()),
        ("no times", joined(&without_times, "\n").into_bytes()),
        ("wrong times", with_field("timestamp", "yesterday".into())),
        ("times far away", with_field("timestamp", "9999-12-31T23:59:59.999Z".into())),
        (
            "impossible tokens",
            with_message(
                "usage",
                json!({"input_tokens": u64::MAX, "output_tokens": u64::MAX,
            "cache_read_input_tokens": u64::MAX, "cache_creation_input_tokens": u64::MAX}),
            ),
        ),
        ("negative tokens", with_message("usage", json!({"input_tokens": -5, "output_tokens": 1.5}))),
        ("tokens in words", with_message("usage", json!({"input_tokens": "many"}))),
        ("carriage returns", joined(&whole, "\r\n").into_bytes()),
        ("a byte order mark", format!("\u{feff}{all}").into_bytes()),
        ("no last line break", all.trim_end().as_bytes().to_vec()),
        ("an unknown type", with_field("type", "hologram".into())),
        ("a type that is no text", with_field("type", 7.into())),
        ("its own parent", with_field("parentUuid", whole[2]["uuid"].clone())),
        ("a parent to come", with_field("parentUuid", whole[3]["uuid"].clone())),
        ("not objects", b"7\n\"text\"\n[]\nnull\n{}\ntrue\n".to_vec()),
    ]
}

/// `content` with `new` for `old`.
fn bytes_for(old: &str, content: &[u8], new: &[u8]) -> Vec<u8> {
    let at = content.windows(old.len()).position(|window| window == old.as_bytes()).unwrap();
    [&content[..at], new, &content[at + old.len()..]].concat()
}

#[test]
fn whatever_stands_in_a_file_is_kept_and_what_was_not_understood_is_said() {
    let home = TestHome::new();
    let mut names = std::collections::BTreeMap::new();
    for (number, (name, bytes)) in broken_contents().into_iter().enumerate() {
        for (tool, file) in [("claude", claude_file as fn(&TestHome, &str) -> PathBuf), ("codex", codex_file)] {
            let id = id(number as u32);
            let bytes = if tool == "claude" { bytes.clone() } else { [codex_session(&id).as_bytes(), &bytes].concat() };
            write(&file(&home, &id), &bytes);
            names.insert((if tool == "claude" { "claude-code" } else { tool }, id), name);
        }
    }
    import(&home);
    let mut table = String::new();
    let mut rows = Vec::new();
    for session in home.json(&["list", "--all", "--json"]).as_array().unwrap() {
        let tool = session["tool"].as_str().unwrap();
        let name = names.keys().find(|(t, id)| *t == tool && session["native_id"] == id.as_str()).map(|key| names[key]);
        let id = session["id"].as_str().unwrap();
        let shown = home.sfs(&["show", id, "-m", "--full"]);
        assert_eq!(shown.code, Some(0), "{shown}");
        let notes = home.sfs(&["show", id]).stdout;
        let notes = notes.lines().find_map(|line| line.trim().strip_prefix("notes")).unwrap_or_default().trim();
        let row = format!("{tool}, {}: {} messages. {notes}", name.unwrap(), session["message_count"]);
        rows.push(row.trim_end().to_owned());
    }
    rows.sort();
    for row in rows {
        writeln!(table, "{row}").unwrap();
    }
    insta::assert_snapshot!(table, @"
    claude-code, NUL bytes: 8 messages. 1 line not understood, first: main:5: expected value at column 1 (5000 bytes)
    claude-code, a byte order mark: 4 messages.
    claude-code, a parent to come: 4 messages.
    claude-code, a partial line: 0 messages.
    claude-code, a type that is no text: 3 messages.
    claude-code, an unknown type: 3 messages.
    claude-code, binary: 0 messages. 100 lines not understood, first: main:1: expected value at column 1 (150 bytes)
    claude-code, carriage returns: 4 messages.
    claude-code, deep JSON inside: 4 messages.
    claude-code, deep JSON: 4 messages.
    claude-code, empty: 0 messages.
    claude-code, impossible tokens: 4 messages.
    claude-code, invalid UTF-8 in a text: 4 messages.
    claude-code, invalid UTF-8: 4 messages.
    claude-code, its own parent: 4 messages.
    claude-code, negative tokens: 4 messages.
    claude-code, no last line break: 4 messages.
    claude-code, no times: 4 messages.
    claude-code, not objects: 0 messages. 4 lines not understood, first: main:1: invalid type: integer `7`, expected struct Record at column 1 (1 bytes)
    claude-code, one line break: 0 messages.
    claude-code, times far away: 4 messages.
    claude-code, tokens in words: 4 messages.
    claude-code, truncated JSON: 7 messages. 1 line not understood, first: main:4: EOF while parsing a string at column 311 (311 bytes)
    claude-code, twice the same ids: 8 messages.
    claude-code, wrong times: 4 messages.
    codex, NUL bytes: 2 messages. 1 line not understood, first: main:9: main:9: not a JSON object
    codex, a byte order mark: 2 messages.
    codex, a parent to come: 2 messages.
    codex, a partial line: 2 messages.
    codex, a type that is no text: 2 messages. 1 line not understood, first: main:7: main:7: no `type`
    codex, an unknown type: 2 messages.
    codex, binary: 2 messages. 100 lines not understood, first: main:5: main:5: not UTF-8
    codex, carriage returns: 2 messages.
    codex, deep JSON inside: 2 messages.
    codex, deep JSON: 2 messages.
    codex, empty: 2 messages.
    codex, impossible tokens: 2 messages.
    codex, invalid UTF-8 in a text: 2 messages. 1 line not understood, first: main:7: main:7: not UTF-8
    codex, invalid UTF-8: 2 messages. 1 line not understood, first: main:9: main:9: not UTF-8
    codex, its own parent: 2 messages.
    codex, negative tokens: 2 messages.
    codex, no last line break: 2 messages.
    codex, no times: 2 messages.
    codex, not objects: 2 messages. 6 lines not understood, first: main:5: main:5: not a JSON object
    codex, one line break: 2 messages.
    codex, times far away: 2 messages.
    codex, tokens in words: 2 messages.
    codex, truncated JSON: 2 messages. 1 line not understood, first: main:8: main:8: EOF while parsing a string at line 1 column 311
    codex, twice the same ids: 2 messages.
    codex, wrong times: 2 messages.
    ");
    assert_faithful(&home);
}

#[test]
fn broken_sessions_are_resumed_or_refused_in_words() {
    for (name, bytes) in broken_contents() {
        let home = TestHome::new();
        write(&claude_file(&home, &id(1)), &bytes);
        import(&home);
        let run = home.sfs(&["resume", &id(1), "--in", "codex", "--no-launch", "--project", "/tmp"]);
        let refused = run.stderr.starts_with("error: ") && run.stderr.contains("\nhint: ");
        assert!(run.code == Some(0) || (refused && matches!(run.code, Some(1..=4))), "{name}: {run}");
        assert!(!run.stderr.contains("panicked"), "{name}: {run}");
        assert_sound(&home);
    }
}

/// The whole run in less memory than two such lines.
#[test]
fn a_line_of_100_megabytes_is_kept_but_not_read() {
    let home = TestHome::new();
    let file = claude_file(&home, &id(1));
    let line = claude_line(&id(1), 4, "assistant", &"0123456789".repeat(10 << 20));
    let after = claude_line(&id(1), 5, "user", "After it");
    write(&file, format!("{}{line}\n{after}\n", claude_session(&id(1), 2)));
    for args in [&["import"][..], &["show", "last", "-m"], &["export", "last", "--format", "native", "-o", "out"]] {
        let command = home.command(args);
        let mut shell = Command::new("sh");
        shell.args(["-c", "ulimit -v 200000; exec \"$0\" \"$@\""]).arg(command.get_program()).args(command.get_args());
        shell.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = shell.current_dir(home.path()).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let out = files_below(&home.path().join("out"));
    assert!(out.into_values().next().unwrap() == fs::read(&file).unwrap(), "the export differs");
    let shown = home.sfs(&["show", "last"]).stdout;
    assert!(shown.contains("1 line not understood, first: main:5: longer than 32 MiB: kept, but not read"), "{shown}");
    assert!(shown.contains("5, 3 turns, 0 tool calls"), "{shown}");
    let check = home.sfs(&["admin", "check"]);
    assert_eq!(check.code, Some(0), "{check}");
}
