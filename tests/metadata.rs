//! What a person says of sessions: titles, tags, deletion, and the log of it. Nothing that tools do takes it back.

use crate::support::home::TestHome;
use crate::support::written::{
    append, assert_faithful, assert_sound, claude_file, claude_line, claude_session, codex_file, codex_session,
    home_with_a_session, id, import, sessions, write,
};
use proptest::prelude::*;
use rusqlite::Connection;
use serde_json::{Value, json};
use sessionfs::home::Home;
use sessionfs::store::{Filter, Register, Store};
use std::path::Path;

/// The tool's own id of the session of [`home_with_a_session`].
fn native() -> String {
    id(1)
}

fn messages(home: &TestHome, id: &str) -> usize {
    home.json(&["show", id, "-m", "--json"])["messages"].as_array().unwrap().len()
}

fn store_of(home: &TestHome) -> Store {
    Store::open(&Home::at(home.path(), &home.path().join(".sessionfs"))).unwrap()
}

#[test]
fn titles_and_tags_are_a_persons() {
    let (home, file) = home_with_a_session();
    assert_eq!(home.sfs(&["rename", "last", "  My own title "]).code, Some(0));
    append(&file, format!("{}\n", claude_line(&native(), 4, "user", "Another question")));
    import(&home);
    let id = sessions(&home).remove(0);
    assert_eq!(home.json(&["show", &id, "--json"])["title"], "My own title");
    let renamed = home.json(&["rename", &id, "", "--json"]);
    assert_eq!(renamed, json!({"id": id, "title": "Question 0", "by_person": false}));

    assert_eq!(home.json(&["tag", "add", &id, "b", "a b", "b", "--json"]), json!({"id": id, "tags": ["a b", "b"]}));
    assert_eq!(home.json(&["tag", "remove", &id, "b", "--json"])["tags"], json!(["a b"]));
    assert_eq!(home.json(&["tag", "list", "--json"]), json!([{"tag": "a b", "sessions": 1}]));
    assert_eq!(home.json(&["list", "--tag", "a b", "--json"]).as_array().unwrap().len(), 1);
    assert_sound(&home);
    insta::assert_snapshot!(format!("{}{}", home.sfs(&["tag", "list"]), home.sfs(&["tag", "remove", &id, "b"])), @r#"
         1  a b
    ---- stderr
    error: session ses_kpefowao2x5gqqlp has no tag "b"
    hint: sfs show ses_kpefowao2x5gqqlp says which it has
    ---- exit Some(3)
    "#);
}

#[test]
fn impossible_titles_and_tags_are_refused_and_change_nothing() {
    let (home, _) = home_with_a_session();
    let many: Vec<String> = (0..21).map(|n| format!("t{n}")).collect();
    let mut add = vec!["tag", "add", "last"];
    add.extend(many.iter().map(String::as_str));
    let long = "x".repeat(501);
    let mut table = String::new();
    for words in [
        vec!["rename", "last", "a\nb"],
        vec!["rename", "last", &long],
        vec!["tag", "add", "last", "good", "\u{1b}[31m"],
        vec!["tag", "add", "last", " "],
        vec!["tag", "add", "last", &long[..51]],
        vec!["tag", "add", "last"],
        add,
    ] {
        let run = home.sfs(&words);
        assert_eq!(run.code, Some(2), "{run}");
        table += &run.to_string();
    }
    let shown = home.json(&["show", "last", "--json"]);
    assert_eq!((&shown["title"], &shown["tags"]), (&json!("Question 0"), &json!([])));
    insta::assert_snapshot!(table, @r#"
    ---- stderr
    error: the title has line breaks or other control characters in it
    hint: a title is one line of at most 500 characters
    ---- exit Some(2)
    ---- stderr
    error: the title has 501 characters
    hint: a title is one line of at most 500 characters
    ---- exit Some(2)
    ---- stderr
    error: "\u{1b}[31m" is not a tag
    hint: a session has at most 20 tags of 1 to 50 characters, on one line
    ---- exit Some(2)
    ---- stderr
    error: "" is not a tag
    hint: a session has at most 20 tags of 1 to 50 characters, on one line
    ---- exit Some(2)
    ---- stderr
    error: "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" is not a tag
    hint: a session has at most 20 tags of 1 to 50 characters, on one line
    ---- exit Some(2)
    ---- stderr
    error: which tags?
    hint: sfs tag add ID TAG...; see the ones you have with `sfs tag list`
    ---- exit Some(2)
    ---- stderr
    error: session ses_kpefowao2x5gqqlp would have 21 tags
    hint: a session has at most 20 tags of 1 to 50 characters, on one line; sfs tag remove ses_kpefowao2x5gqqlp TAG
    ---- exit Some(2)
    "#);
}

#[test]
fn a_deleted_session_stays_deleted_and_comes_back_whole() {
    let (home, file) = home_with_a_session();
    write(&codex_file(&home, &id(7)), codex_session(&id(7)));
    import(&home);
    let id = home.json(&["list", "--tool", "claude-code", "--json"])[0]["id"].as_str().unwrap().to_owned();
    let before = home.json(&["show", &id, "--json"]);
    assert_eq!(home.json(&["delete", &id[..10], "--json"]), json!([{"id": id, "result": "deleted"}]));
    append(&file, format!("{}\n", claude_line(&native(), 4, "user", "Written while hidden")));
    import(&home);
    assert_eq!(sessions(&home).len(), 1, "captured again");
    std::fs::rename(&file, file.with_extension("moved")).unwrap();
    import(&home);
    std::fs::rename(file.with_extension("moved"), &file).unwrap();
    import(&home);
    assert_eq!(home.sfs(&["admin", "reindex", "--local"]).code, Some(0));
    assert_eq!(sessions(&home).len(), 1, "gone, back, and indexed again");

    let deleted = format!("error: session {id} is deleted\nhint: sfs undelete {id}\n");
    for words in
        [&["show", &id[..10]][..], &["export", &id[..10]], &["rename", &id[..10], "New"], &["resume", &id[..10]]]
    {
        let prefix = home.sfs(words);
        assert_eq!((prefix.code, &prefix.stderr), (Some(3), &deleted), "{words:?}");
    }
    assert_eq!(home.sfs(&["show", &id]).code, Some(0), "its whole id finds it");
    assert_eq!(home.sfs(&["show", &native()]).code, Some(0), "its tool's too");
    let listed = home.json(&["list", "--deleted", "--json"]);
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["id"]), (1, &json!(id)));
    assert!(listed[0]["deleted_at"].is_string());

    assert_eq!(home.json(&["undelete", &id[..10], "--json"]), json!([{"id": id, "result": "undeleted"}]));
    assert_eq!(messages(&home, &id), 5);
    assert_eq!(home.json(&["show", &id, "--json"])["created_at"], before["created_at"]);
    assert_faithful(&home);
}

#[test]
fn an_import_does_not_bring_a_deleted_session_back_nor_what_a_person_took_away() {
    let (home, _) = home_with_a_session();
    home.sfs(&["tag", "add", "last", "old"]);
    home.sfs(&["rename", "last", "Old title"]);
    let id = sessions(&home).remove(0);
    assert_eq!(home.sfs(&["export", &id]).code, Some(0));
    let folder = format!("{id}.sfs");
    home.sfs(&["tag", "remove", &id, "old"]);
    home.sfs(&["rename", &id, ""]);
    home.sfs(&["delete", &id]);
    let run = home.sfs(&["import", &folder]);
    assert!(run.stderr.contains(&format!("is deleted here and stays hidden: sfs undelete {id}")), "{run}");
    assert!(sessions(&home).is_empty());
    home.sfs(&["undelete", &id]);
    let shown = home.json(&["show", &id, "--json"]);
    assert_eq!((&shown["title"], &shown["tags"]), (&json!("Question 0"), &json!([])));

    let other = TestHome::new();
    let run = other.sfs(&["import", home.path().join(&folder).to_str().unwrap()]);
    assert_eq!(run.code, Some(0), "{run}");
    let shown = other.json(&["show", &id, "--json"]);
    assert_eq!((&shown["title"], &shown["tags"]), (&json!("Old title"), &json!(["old"])));
    assert_sound(&other);
}

#[test]
fn tags_and_titles_that_do_not_fit_are_left_out_of_an_import_and_named() {
    let (home, _) = home_with_a_session();
    let id = sessions(&home).remove(0);
    home.sfs(&["rename", &id, "Mine"]);
    home.sfs(&["export", &id]);
    let path = home.path().join(format!("{id}.sfs/manifest.json"));
    let mut manifest: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let long = "x".repeat(60);
    manifest["tags"] = json!(["ok", long]);
    manifest["title"] = json!(format!("a\u{1b}{}", "b".repeat(600)));
    write(&path, manifest.to_string());
    let other = TestHome::new();
    let run = other.sfs(&["import", path.parent().unwrap().to_str().unwrap()]);
    assert_eq!(run.code, Some(0), "{run}");
    assert!(run.stderr.contains("tags left out") && run.stderr.contains(&long), "{run}");
    let shown = other.json(&["show", &id, "--json"]);
    assert_eq!((&shown["tags"], shown["title"].as_str().unwrap().len()), (&json!(["ok"]), 500));
}

#[test]
fn the_audit_log_tells_what_was_done_newest_first_and_is_never_changed() {
    let (home, file) = home_with_a_session();
    let id = sessions(&home).remove(0);
    append(&file, format!("{}\n", claude_line(&native(), 4, "user", "More")));
    import(&home);
    for words in [
        vec!["rename", &id, "A title"],
        vec!["rename", &id, "A title"],
        vec!["tag", "add", &id, "x"],
        vec!["export", &id, "--format", "markdown"],
        vec!["resume", &id, "--in", "codex", "--project", "/", "--no-launch"],
        vec!["resume", &id, "--dry-run"],
        vec!["delete", &id],
        vec!["undelete", &id],
    ] {
        let run = home.sfs(&words);
        assert_eq!(run.code, Some(0), "{words:?} {run}");
    }
    let log = home.json(&["audit", "--session", &id, "--json"]);
    let events: Vec<&str> = log.as_array().unwrap().iter().map(|row| row["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["undeleted", "deleted", "resumed", "exported", "tagged", "renamed", "captured"]);
    assert_eq!(log[4]["detail"], json!({"added": ["x"]}));
    assert_eq!((&log[2]["detail"]["tool"], &log[2]["detail"]["how"]), (&json!("codex"), &json!("written")));
    assert!(!log.to_string().contains("A title"), "a title must not outlive a purge here");
    let one = home.json(&["audit", "--event", "tagged", "--since", "1h", "--json"]);
    assert_eq!(one.as_array().unwrap().len(), 1);
    assert_eq!(home.json(&["audit", "--since", "2100-01-01", "--json"]), json!([]));
    assert_eq!(home.sfs(&["audit", "-n2"]).stdout.lines().count(), 2);
    assert_eq!(home.sfs(&["audit", "--event", "eaten"]).code, Some(2));
    let connection = Connection::open(home.path().join(".sessionfs/archive.db")).unwrap();
    for sql in ["DELETE FROM audit", "UPDATE audit SET event = 'nothing'"] {
        let refused = connection.execute(sql, []).unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{refused}");
    }
}

#[test]
fn a_check_finds_registers_and_their_readable_form_apart() {
    for (sql, what) in [
        ("UPDATE session SET title = 'another'", "title"),
        ("UPDATE session SET deleted_at = 5", "deletion"),
        ("UPDATE register SET value = NULL WHERE field = 'tag:x'", "tags"),
        ("DELETE FROM tag", "tags"),
    ] {
        let (home, _) = home_with_a_session();
        home.sfs(&["tag", "add", "last", "x"]);
        assert_eq!(home.sfs(&["admin", "check"]).code, Some(0));
        Connection::open(home.path().join(".sessionfs/archive.db")).unwrap().execute_batch(sql).unwrap();
        let run = home.sfs(&["admin", "check"]);
        assert!(run.code == Some(1) && run.stdout.contains(&format!("its {what} ")), "{sql}: {run}");
    }
}

#[test]
fn what_an_older_archive_says_becomes_registers() {
    let home = TestHome::new();
    let data = home.path().join(".sessionfs");
    std::fs::create_dir(&data).unwrap();
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/schema");
    let connection = Connection::open(data.join("archive.db")).unwrap();
    for file in ["001_init.sql", "002_session_by_native.sql"] {
        connection.execute_batch(&std::fs::read_to_string(schema.join(file)).unwrap()).unwrap();
    }
    connection
        .execute_batch(
            "PRAGMA application_id = 0x53465341; PRAGMA user_version = 2;
             INSERT INTO origin (name, machine) VALUES ('device', 'm');
             INSERT INTO session (public_id, tool, native_id, title, deleted_at) VALUES
               ('ses_aaaaaaaa', 'codex', 'a', 'A title', NULL), ('ses_bbbbbbbb', 'codex', 'b', NULL, 77);
             INSERT INTO tag (session, tag) VALUES (1, 'x'), (1, 'y');",
        )
        .unwrap();
    drop(connection);
    let store = store_of(&home);
    let register = |field: &str, value: &str| Register {
        field: field.to_owned(),
        value: Some(value.to_owned()),
        counter: 1,
        device: "device".to_owned(),
    };
    assert_eq!(
        store.registers(1).unwrap(),
        [register("tag:x", ""), register("tag:y", ""), register("title", "A title")]
    );
    assert_eq!(store.registers(2).unwrap(), [register("deleted_at", "77")]);
    assert_eq!(store.check(|_| ()).unwrap().damage, []);
}

fn any_register() -> impl Strategy<Value = Register> {
    let field = prop_oneof![Just("title"), Just("deleted_at"), Just("purged_at"), Just("tag:a"), Just("tag:b")];
    (field, prop::option::of(1..4u8), 1..4u64, 0..3u8).prop_map(|(field, value, counter, device)| Register {
        field: field.to_owned(),
        value: value.map(|value| value.to_string()),
        counter,
        device: format!("d{device}"),
    })
}

proptest! {
    #[test]
    fn merging_is_commutative_associative_and_idempotent(a in any_register(), b in any_register(), c in any_register()) {
        let [a, b, c] = [a, b, c].map(|register| Register { field: "title".to_owned(), ..register });
        prop_assert_eq!(a.clone().merge(b.clone()), b.clone().merge(a.clone()));
        prop_assert_eq!(a.clone().merge(b.clone()).merge(c.clone()), a.clone().merge(b.merge(c)));
        prop_assert_eq!(a.clone().merge(a.clone()), a);
    }
}

/// What the archive says of its only session.
fn said(store: &Store) -> (Vec<Register>, Option<String>, bool, Vec<String>) {
    let row = store.session(1).unwrap();
    (store.registers(1).unwrap(), row.title, row.deleted_at.is_some(), store.tags(1).unwrap())
}

#[test]
fn devices_that_exchange_registers_in_any_order_agree() {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig { cases: 40, ..ProptestConfig::default() });
    let homes = [TestHome::new(), TestHome::new()];
    let writes = prop::collection::vec(any_register(), 1..12).prop_flat_map(|all| {
        let again = [all.clone(), all.clone()].concat();
        (Just(all), Just(again).prop_shuffle())
    });
    runner
        .run(&writes, |(all, shuffled)| {
            let stores = [all, shuffled].into_iter().zip(&homes).map(|(writes, home)| {
                let _ = std::fs::remove_dir_all(home.path().join(".sessionfs"));
                let mut store = store_of(home);
                store
                    .write(|store| {
                        store.ensure_session("codex", "a")?;
                        for register in &writes {
                            store.merge_register(1, register)?;
                        }
                        Ok(())
                    })
                    .unwrap();
                assert_eq!(store.check(|_| ()).unwrap().damage, []);
                store
            });
            let said: Vec<_> = stores.map(|store| said(&store)).collect();
            prop_assert_eq!(&said[0], &said[1]);
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_later_operation_wins_over_what_was_known_when_it_was_done() {
    let (home, _) = home_with_a_session();
    let mut store = store_of(&home);
    let remote = |value: &str, counter| Register {
        field: "title".to_owned(),
        value: Some(value.to_owned()),
        counter,
        device: "zz".to_owned(),
    };
    store.write(|store| store.merge_register(1, &remote("theirs", 7))).unwrap();
    assert!(store.write(|store| store.set_title(1, Some("ours"))).unwrap());
    assert!(!store.write(|store| store.merge_register(1, &remote("theirs, late", 6))).unwrap());
    assert_eq!(store.session(1).unwrap().title.as_deref(), Some("ours"));
    assert_eq!(store.registers(1).unwrap()[0].counter, 8);
    let hide = Register { field: "purged_at".to_owned(), ..remote("5", 9) };
    store.write(|store| store.merge_register(1, &hide)).unwrap();
    let row = store.session(1).unwrap();
    assert_eq!((row.deleted_at, row.purged_at), (Some(5), None), "another device's purge only hides here");
    assert_eq!(store.count(&Filter::default()).unwrap(), 0);
    assert!(store.write(|store| store.unhide(1)).unwrap());
    assert_eq!(store.count(&Filter::default()).unwrap(), 1);
    assert_eq!(store.check(|_| ()).unwrap().damage, []);
}

#[test]
fn several_sessions_are_deleted_together_or_not_at_all() {
    let (home, _) = home_with_a_session();
    write(&claude_file(&home, &id(2)), claude_session(&id(2), 1));
    import(&home);
    let ids = sessions(&home);
    assert_eq!(home.sfs(&["delete", &ids[0], "nonsense"]).code, Some(3));
    assert_eq!(sessions(&home).len(), 2);
    assert_eq!(home.sfs(&["delete", &ids[0], &ids[1], &ids[0]]).stdout.lines().count(), 2);
    assert!(sessions(&home).is_empty());
    assert_eq!(home.sfs(&["delete"]).code, Some(2));
    assert_eq!(home.json(&["undelete", "last", "--json"])[0]["id"], ids[1], "the one that was deleted last");
    assert_eq!(home.json(&["undelete", "last", "--json"])[0]["id"], ids[0]);
    assert_eq!(home.sfs(&["undelete", "last"]).code, Some(3));
}
