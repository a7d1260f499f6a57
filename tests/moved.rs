//! Projects whose folder moved: `sfs move`, and what the real clients find afterwards.

use crate::clients::{Client, Piece, Reply, assert_same, go_on, natives, ready, receive};
use crate::support::home::{TestHome, copy_tree, fixture};
use crate::support::written::{
    append, assert_sound, claude_file, claude_line, claude_session, codex_file, codex_session, files_below,
    home_with_a_session, id, import, sessions, write,
};
use rusqlite::Connection;
use serde_json::{Value, json};
use sessionfs::tools::claude_code::folder_of;
use std::fs;
use std::path::{Path, PathBuf};

const OLD: &str = "/home/dev/work/project";

/// A folder `name` in the home, as a session will name it.
fn folder(home: &TestHome, name: &str) -> PathBuf {
    fs::create_dir_all(home.path().join(name)).unwrap();
    home.path().join(name).canonicalize().unwrap()
}

fn tool_files(home: &TestHome) -> std::collections::BTreeMap<PathBuf, Vec<u8>> {
    let mut files = files_below(home.path());
    files.retain(|path, _| !path.starts_with(".sessionfs"));
    files
}

fn listed(home: &TestHome, project: &Path) -> Vec<Value> {
    home.json(&["list", "--json", "--project", project.to_str().unwrap()]).as_array().unwrap().clone()
}

#[test]
fn a_session_follows_its_folder_under_its_own_id() {
    let (home, file) = home_with_a_session();
    let new = folder(&home, "New Place");
    let before = fs::read(&file).unwrap();
    let session = sessions(&home).remove(0);
    let dry = home.sfs(&["move", OLD, "New Place", "--dry-run"]);
    assert_eq!(listed(&home, &new).len(), 0);
    assert_eq!(tool_files(&home).len(), 1);
    let name = folder_of(&new);
    insta::assert_snapshot!(dry.to_string().replace(&name, "FOLDER"), @"
    ses_kpefowao2x5gqqlp  claude-code  would work in ~/New Place
    ---- stderr
      would write ~/.claude/projects/FOLDER/11111111-2222-4333-8444-000000000001.jsonl
    ");
    let done = home.json(&["move", OLD, "New Place", "--json"]);
    let written = home.path().join(".claude/projects").join(&name).join(file.file_name().unwrap());
    assert_eq!(
        done,
        json!([{"id": session, "tool": "claude-code", "native_id": id(1), "from": OLD, "to": new,
        "files": [written], "note": null}])
    );

    assert_eq!(fs::read(&file).unwrap(), before, "the original is left alone");
    let copy = fs::read_to_string(&written).unwrap();
    assert_eq!(copy, String::from_utf8(before).unwrap().replace(OLD, new.to_str().unwrap()));
    assert_eq!(listed(&home, &new)[0]["id"], json!(session));
    assert_eq!(listed(&home, Path::new(OLD)).len(), 0);
    let resumed = home.json(&["resume", &session, "--json"]);
    assert_eq!((&resumed["native_id"], &resumed["cwd"], &resumed["files"]), (&json!(id(1)), &json!(new), &json!([])));
    insta::assert_snapshot!(import(&home), @"Nothing new.");
    assert_eq!(home.json(&["show", &session, "--json"])["message_count"], 4);
    assert_sound(&home);
    insta::assert_snapshot!(home.sfs(&["move", OLD, "New Place"]), @"Nothing to do: no session worked in that folder.");
}

#[test]
fn what_is_said_in_the_new_folder_goes_on_in_the_same_session() {
    let (home, old) = home_with_a_session();
    let new = folder(&home, "new");
    home.json(&["checkpoint", "last", "--name", "before", "--json"]);
    let done = home.json(&["move", OLD, "new", "--json"]);
    let file = PathBuf::from(done[0]["files"][0].as_str().unwrap());
    append(&file, format!("{}\n", claude_line(&id(1), 4, "user", "From the new folder")));
    import(&home);
    let shown = home.json(&["show", &id(1), "--json"]);
    assert_eq!((&shown["message_count"], &shown["project"]), (&json!(5), &json!(new)));
    assert_eq!(sessions(&home).len(), 1);
    // What was marked before the move is still there.
    let then = home.json(&["resume", &id(1), "--in", "codex", "--at", "before", "--dry-run", "--json"]);
    assert_eq!(then["ledger"]["kept"][0]["count"], 2, "{then}");
    // And so is what somebody says in the old file.
    append(&old, format!("{}\n", claude_line(&id(1), 5, "user", "From the old folder")));
    import(&home);
    let shown = home.json(&["show", &id(1), "-m", "--json"]).to_string();
    assert!(shown.contains("From the new folder") && shown.contains("From the old folder"), "{shown}");
    assert_sound(&home);
}

#[test]
fn what_lies_below_follows_too_and_text_stays() {
    let home = TestHome::new();
    let lines = [("", "In the folder"), ("/sub", "Below"), ("-other", "Beside")];
    for ((below, text), number) in lines.iter().zip(1..) {
        let mut line = claude_line(&id(number), 0, "user", &format!("{text} of {OLD}/x"));
        line["cwd"] = json!(format!("{OLD}{below}"));
        let folder = home.path().join(".claude/projects").join(folder_of(Path::new(&format!("{OLD}{below}"))));
        write(&folder.join(format!("{}.jsonl", id(number))), format!("{line}\n"));
    }
    import(&home);
    let new = folder(&home, "new");
    let done = home.json(&["move", OLD, "new", "--json"]);
    assert_eq!(done.as_array().unwrap().len(), 2, "{done}");
    let places: Vec<Value> = done.as_array().unwrap().iter().map(|one| one["to"].clone()).collect();
    assert!(places.contains(&json!(new)) && places.contains(&json!(new.join("sub"))), "{done}");
    for moved in done.as_array().unwrap() {
        let text = fs::read_to_string(moved["files"][0].as_str().unwrap()).unwrap();
        assert!(text.contains(&format!(" of {OLD}/x")) && !text.contains(&format!("\"cwd\":\"{OLD}")), "{text}");
    }
    assert_eq!(listed(&home, Path::new(&format!("{OLD}-other"))).len(), 1);
    assert_sound(&home);
}

/// The project moved into a folder below the old one.
#[test]
fn a_move_downwards_is_done_once() {
    let home = TestHome::new();
    let old = folder(&home, "project");
    let mut line = claude_line(&id(1), 0, "user", "Hello");
    line["cwd"] = json!(old);
    write(&claude_file(&home, &id(1)), format!("{line}\n"));
    import(&home);
    let new = folder(&home, "project/inner");
    assert_eq!(home.json(&["move", "project", "project/inner", "--json"])[0]["to"], json!(new));
    assert_eq!(home.json(&["move", "project", "project/inner", "--json"]), json!([]));
    let run = home.sfs(&["move", "project/inner", "project/inner/"]);
    assert_eq!(run.code, Some(2), "{run}");
}

/// What the first move left behind is a part of what comes back.
#[test]
fn a_move_can_be_taken_back() {
    let (home, file) = home_with_a_session();
    let old = folder(&home, "old");
    let text = fs::read_to_string(&file).unwrap().replace(OLD, old.to_str().unwrap());
    let file = home.path().join(".claude/projects").join(folder_of(&old)).join(format!("{}.jsonl", id(1)));
    write(&file, &text);
    fs::remove_dir_all(home.path().join(".claude/projects").join(folder_of(Path::new(OLD)))).unwrap();
    fs::remove_dir_all(home.path().join(".sessionfs")).unwrap();
    import(&home);
    let new = folder(&home, "new");
    let written = PathBuf::from(home.json(&["move", "old", "new", "--json"])[0]["files"][0].as_str().unwrap());
    let line = |n, said: &str, cwd: &Path| {
        let mut line = claude_line(&id(1), n, "user", said);
        line["cwd"] = json!(cwd);
        format!("{line}\n")
    };
    append(&written, line(4, "From the new folder", &new));
    import(&home);
    let tool_files_before = tool_files(&home);
    let dry = home.json(&["move", "new", "old", "--dry-run", "--json"]);
    assert_eq!(dry[0]["files"], json!([file]));
    assert_eq!(tool_files(&home), tool_files_before);
    assert_eq!(home.json(&["move", "new", "old", "--json"])[0]["files"], json!([file]));
    assert_eq!(fs::read_to_string(&file).unwrap(), text.clone() + &line(4, "From the new folder", &old));
    // It goes on there, as one session.
    append(&file, line(5, "Back again", &old));
    import(&home);
    let shown = home.json(&["show", &id(1), "--json"]);
    assert_eq!((&shown["message_count"], &shown["project"]), (&json!(6), &json!(old)));
    assert_eq!(sessions(&home).len(), 1);
    assert_sound(&home);
    // Somebody went on in the copy that was left in the other folder: that one is not touched.
    append(&written, line(5, "Elsewhere", &new));
    let before = tool_files(&home);
    for words in [&["move", "old", "new", "--dry-run"][..], &["move", "old", "new"]] {
        let run = home.sfs(words);
        assert_eq!(run.code, Some(1), "{run}");
        assert!(run.stderr.contains("is already there (sfs resume ses_"), "{run}");
    }
    assert_eq!(tool_files(&home), before);
    assert_eq!(listed(&home, &old).len(), 1);
    let moves = home.json(&["audit", "--event", "moved", "--json"]);
    assert_eq!(moves.as_array().unwrap().len(), 2, "{moves}");
    assert_eq!(moves[0]["detail"], json!({"from": new, "to": old}));
}

/// The folder is gone and its name has no slash; it could be the beginning of an id.
#[test]
fn a_plain_name_is_a_folder_where_sessions_worked_in_it() {
    let home = TestHome::new();
    let old = home.path().canonicalize().unwrap().join("last");
    for (number, cwd) in [(1, old.as_path()), (2, Path::new(OLD))] {
        let mut line = claude_line(&id(number), 0, "user", "Hello");
        line["cwd"] = json!(cwd);
        write(&claude_file(&home, &id(number)), format!("{line}\n"));
    }
    import(&home);
    let new = folder(&home, "new");
    let done = home.json(&["move", "last", "new", "--json"]);
    assert_eq!((&done[0]["native_id"], done.as_array().unwrap().len()), (&json!(id(1)), 1), "{done}");
    assert_eq!(listed(&home, &new).len(), 1);
    home.json(&["move", &id(2), "new", "--json"]);
    insta::assert_snapshot!(home.sfs(&["move", "nowhere", "new"]), @"
    ---- stderr
    error: nowhere is neither a session nor a folder in which one worked
    hint: sfs list --json shows each session's folder; sfs move /path/of/it NEW
    ---- exit Some(3)
    ");
}

#[test]
fn one_session_can_be_moved_alone() {
    let home = TestHome::new();
    for number in [1, 2] {
        write(&claude_file(&home, &id(number)), claude_session(&id(number), 1));
    }
    import(&home);
    let new = folder(&home, "new");
    let done = home.json(&["move", &id(1), "new", "--json"]);
    assert_eq!((&done[0]["native_id"], done.as_array().unwrap().len()), (&json!(id(1)), 1));
    assert_eq!((listed(&home, &new).len(), listed(&home, Path::new(OLD)).len()), (1, 1));
    assert_eq!(home.json(&["move", &id(1), "new", "--json"]), json!([]));
}

#[test]
fn sub_agents_and_long_outputs_come_along() {
    let home = TestHome::with(&["claude/sub"]);
    import(&home);
    let shown = home.json(&["show", "last", "-m", "--json"]);
    let new = folder(&home, "new");
    let done = home.json(&["move", "last", "new", "--json"]);
    assert_eq!(done[0]["files"].as_array().unwrap().len(), 3, "{done}");
    let root = home.path().join(".claude/projects");
    let (old, new) = (files_below(&root.join("-home-dev-work-sub")), files_below(&root.join(folder_of(&new))));
    assert!(old.keys().eq(new.keys()), "{:?}", new.keys());
    assert_eq!(home.json(&["show", "last", "-m", "--json"])["messages"], shown["messages"]);
    for key in ["input_tokens", "output_tokens", "message_count", "tool_call_count"] {
        assert_eq!(home.json(&["show", "last", "--json"])[key], shown[key], "{key}");
    }
    assert_sound(&home);
}

/// What the tool has deleted is not put back by a move, but where a resume puts it is the new place.
#[test]
fn a_deleted_session_is_put_back_where_the_folder_is_now() {
    let (home, file) = home_with_a_session();
    fs::remove_file(&file).unwrap();
    import(&home);
    let new = folder(&home, "new");
    assert_eq!(home.json(&["move", OLD, "new", "--json"])[0]["files"], json!([]));
    assert_eq!(tool_files(&home).len(), 0);
    let resumed = home.json(&["resume", "last", "--json"]);
    assert_eq!((&resumed["native_id"], &resumed["cwd"]), (&json!(id(1)), &json!(new)));
    let file = PathBuf::from(resumed["files"][0].as_str().unwrap());
    assert_eq!(file.parent().unwrap().file_name().unwrap().to_str().unwrap(), folder_of(&new));
    assert!(fs::read_to_string(file).unwrap().contains(&format!("\"cwd\":\"{}\"", new.display())));
}

#[test]
fn a_file_that_is_in_the_way_is_left_alone() {
    let (home, _) = home_with_a_session();
    let new = folder(&home, "new");
    let there = home.path().join(".claude/projects").join(folder_of(&new)).join(format!("{}.jsonl", id(1)));
    write(&there, "another file\n");
    let before = tool_files(&home);
    let run = home.sfs(&["move", OLD, "new"]);
    assert_eq!(run.code, Some(1), "{run}");
    assert!(run.stderr.contains("is already there (sfs resume ses_"), "{run}");
    assert_eq!(tool_files(&home), before);
    assert_eq!(listed(&home, Path::new(OLD)).len(), 1, "nothing happened to it");
    assert_eq!(home.sfs(&["move", OLD, "nowhere"]).code, Some(3));
}

/// So many bytes at the start of a resumed session were written by us: in the copy they are more or fewer.
#[test]
fn what_is_inherited_stays_inherited() {
    let home = TestHome::new();
    write(&codex_file(&home, &id(1)), codex_session(&id(1)));
    import(&home);
    let new = folder(&home, "a much longer name than the one before");
    let answer = home.json(&["resume", "last", "--in", "claude-code", "--no-launch", "--json"]);
    let child = answer["native_id"].as_str().unwrap();
    let mut line = claude_line(child, 999, "user", "Own words");
    line["parentUuid"] = Value::Null;
    append(Path::new(answer["files"][0].as_str().unwrap()), format!("{line}\n"));
    import(&home);
    home.json(&["move", OLD, new.to_str().unwrap(), "--json"]);
    let archive = Connection::open(home.path().join(".sessionfs/archive.db")).unwrap();
    let own = "SELECT count(*) FROM message m JOIN session s ON s.id = m.session
                WHERE s.native_id = ?1 AND m.flags & 4 = 0";
    let own: u32 = archive.query_row(own, [child], |row| row.get(0)).unwrap();
    assert_eq!(own, 1);
    assert_sound(&home);
}

/// Its rollout is found by its id, wherever; its list goes by the folder.
#[test]
fn codex_lists_a_moved_session_in_the_new_folder() {
    let home = TestHome::new();
    write(&codex_file(&home, &id(1)), codex_session(&id(1)));
    let database = home.path().join(".codex/state_5.sqlite");
    write(&database, fs::read(fixture("codex-state/state_5.sqlite")).unwrap());
    let threads = || Connection::open(&database).unwrap();
    let insert = "INSERT INTO threads (id, rollout_path, created_at, updated_at, source, model_provider, cwd, title,
        sandbox_policy, approval_mode) VALUES (?1, 'x', 0, 0, 'cli', 'openai', ?2, 't', 's', 'a')";
    threads().execute(insert, (id(1), OLD)).unwrap();
    threads().execute(insert, (id(2), "/elsewhere")).unwrap();
    import(&home);
    let before = tool_files(&home);
    let new = folder(&home, "new");
    let done = home.json(&["move", OLD, "new", "--json"]);
    assert_eq!((&done[0]["files"], &done[0]["note"]), (&json!([]), &Value::Null));
    let cwd = |id: String| -> String {
        threads().query_row("SELECT cwd FROM threads WHERE id = ?1", [id], |row| row.get(0)).unwrap()
    };
    assert_eq!((cwd(id(1)), cwd(id(2))), (new.to_str().unwrap().to_owned(), "/elsewhere".to_owned()));
    let rollouts = |files: &std::collections::BTreeMap<PathBuf, Vec<u8>>| {
        files
            .iter()
            .filter(|(path, _)| path.starts_with(".codex/sessions"))
            .map(|(p, b)| (p.clone(), b.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(rollouts(&tool_files(&home)), rollouts(&before));
    let resumed = home.json(&["resume", &id(1), "--json"]);
    assert_eq!((&resumed["cwd"], &resumed["native_id"]), (&json!(new), &json!(id(1))));
    // And back again.
    home.json(&["move", "new", &folder(&home, "back").to_string_lossy(), "--json"]);
    assert!(cwd(id(1)).ends_with("/back"));
}

#[test]
fn a_locked_index_of_codex_is_a_note() {
    let home = TestHome::new();
    write(&codex_file(&home, &id(1)), codex_session(&id(1)));
    let database = home.path().join(".codex/state_5.sqlite");
    write(&database, "no database");
    import(&home);
    folder(&home, "new");
    let done = home.json(&["move", OLD, "new", "--json"]);
    assert!(done[0]["note"].as_str().unwrap().ends_with(&format!("`codex resume {}` finds it", id(1))), "{done}");
}

/// The session from the new folder, as its client finds it under its own id, and after one more turn there.
#[test]
fn the_real_clients_find_a_moved_session_under_its_own_id() {
    let clients = [Client::ClaudeCode, Client::Codex, Client::Gemini];
    if !ready("the_real_clients_find_a_moved_session_under_its_own_id", &clients) {
        return;
    }
    for (client, case) in clients.into_iter().zip(["claude/multi", "codex/patch", "gemini/image"]) {
        let native = natives(client).into_iter().find(|native| native.home.ends_with(case)).unwrap();
        let before = receive(client, &native.home, &native.cwd, &native.id).unwrap();
        let home = TestHome::new();
        copy_tree(&native.home, home.path());
        import(&home);
        let new = folder(&home, "New Place");
        let done = home.json(&["move", native.cwd.to_str().unwrap(), "New Place", "--json"]);
        assert_eq!(done[0]["native_id"], json!(native.id), "{done}");
        assert_same(&before, &receive(client, home.path(), &new, &native.id).unwrap(), &json!({}));

        let reply: Reply = vec![Piece::text("Answered in the new folder")];
        go_on(client, home.path(), &new, &native.id, "Asked in the new folder", &[reply]).unwrap();
        import(&home);
        let shown = home.json(&["show", &native.id, "-m", "--json"]);
        assert!(shown.to_string().contains("Answered in the new folder"), "{case}: {shown}");
        assert_eq!(shown["project"], json!(new));
        assert_eq!(sessions(&home).len(), 1, "{case}");
    }
}
