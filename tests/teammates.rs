//! Teammates over a real server: sharing, claiming, links, handing off, the inbox, and going on in one's own clone.

use crate::support::home::{Run, TestHome};
use crate::support::server::SyncServer;
use crate::support::written::{append, claude_file, claude_session, codex_file, codex_session, id, import, write};
use serde_json::{Value, json};
use sessionfs::home::Home;
use sessionfs::store::Store;
use std::path::{Path, PathBuf};

const SECRET: &str = "ghp_Zr81kVq0mT5sWc3yXb7nLd2fGh4jKa9eQuPo";

fn good(home: &TestHome, args: &[&str]) -> Run {
    let run = home.sfs(args);
    assert_eq!(run.code, Some(0), "{args:?}: {run}");
    run
}

/// A home with these sessions, signed up as that person.
fn person(server: &SyncServer, name: &str, cases: &[&str]) -> TestHome {
    let home = TestHome::with(cases);
    import(&home);
    good(&home, &["auth", "signup", "--url", &server.url, "--email", &format!("{name}@example.org")]);
    home
}

/// Alice with a session of a repository, and bob without any.
fn two(server: &SyncServer) -> (TestHome, TestHome) {
    (person(server, "alice", &["codex/git"]), person(server, "bob", &[]))
}

/// A folder that git would take for a clone of `remote`.
fn clone_of(home: &TestHome, folder: &str, remote: &str) -> PathBuf {
    let clone = home.path().join(folder);
    write(&clone.join(".git/config"), format!("[core]\n\tbare = false\n[remote \"origin\"]\n\turl = {remote}\n"));
    clone.canonicalize().unwrap()
}

/// Bob worked in `folder` before.
fn has_worked_in(home: &TestHome, folder: &Path) {
    let text = claude_session(&id(7), 1).replace("/home/dev/work/project", folder.to_str().unwrap());
    write(&claude_file(home, &id(7)), text);
    import(home);
}

fn only(list: &Value) -> &Value {
    assert_eq!(list.as_array().unwrap().len(), 1, "{list}");
    &list[0]
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name}: {value}"))
}

fn said(text: &str, second: u32) -> String {
    let payload = json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]});
    let line =
        json!({"timestamp": format!("2026-11-22T23:00:{second:02}.000Z"), "type": "response_item", "payload": payload});
    format!("{line}\n")
}

/// The one rollout below a home.
fn rollout(home: &TestHome) -> PathBuf {
    let files = walkdir::WalkDir::new(home.path().join(".codex/sessions")).into_iter().flatten();
    let mut files: Vec<PathBuf> = files.map(walkdir::DirEntry::into_path).filter(|path| path.is_file()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.pop().unwrap()
}

fn shown(home: &TestHome, id: &str) -> String {
    good(home, &["show", id, "-m"]).stdout
}

#[test]
fn a_handoff_goes_on_in_the_teammates_clone_in_another_tool() {
    let server = SyncServer::start();
    let (alice, bob) = two(&server);
    clone_of(&bob, "code/other", "https://example.com/org/other.git");
    let clone = clone_of(&bob, "code/repo", "git@example.com:org/repo.git");
    has_worked_in(&bob, &clone.join("src"));
    append(&rollout(&alice), said("not captured yet", 0));

    let run = good(&alice, &["handoff", "last", "--to", "bob@example.org", "-m", "Please\nfinish \u{1b}[31mit"]);
    assert!(run.stderr.contains("Pushed ses_") && run.stderr.contains("first ("), "{run}");
    assert!(run.stdout.contains("to bob@example.org.\n"), "{run}");
    let run = good(&bob, &["inbox"]);
    assert!(run.stdout.contains("handoff") && run.stdout.contains("alice@example.org"), "{run}");
    assert!(run.stdout.contains("          Please\n") && !run.stdout.contains('\u{1b}'), "{run}");
    let item = bob.json(&["inbox", "--json"]);
    assert_eq!(text(only(&item), "git_remote"), "https://example.com/org/repo.git");
    let shared = text(&item[0], "session_id").to_owned();

    let resumed = bob.json(&["inbox", "accept", "last", "--in", "gemini", "--json"]);
    assert_eq!((text(&resumed, "id"), text(&resumed, "tool")), (&shared[..], "gemini"));
    assert_eq!(Path::new(text(&resumed, "cwd")), clone, "his clone, not her folder");
    let written = std::fs::read_to_string(resumed["files"][0].as_str().unwrap()).unwrap();
    assert!(written.contains("not captured yet"), "{written}");
    assert_eq!(shown(&bob, &shared), shown(&alice, &shared));
    for (home, event) in [(&alice, "handed_off"), (&bob, "accepted"), (&bob, "pulled"), (&bob, "resumed")] {
        assert!(good(home, &["audit", "--event", event]).stdout.contains(&shared[..12]), "{event}");
    }
    assert_eq!(text(only(&alice.json(&["shares", "--json"])), "state"), "active");

    // What she says later comes with an ordinary pull.
    append(&rollout(&alice), said("said later", 1));
    import(&alice);
    good(&alice, &["push"]);
    let passed = bob.json(&["pull", "--json"]);
    assert_eq!(only(&passed)["bytes_received"], said("said later", 1).len());
    assert!(shown(&bob, &shared).contains("said later"));
    assert_eq!(good(&bob, &["pull"]).stdout, "Nothing new.\n");
    // Ended, it ends at once; what came stays.
    let share = text(&alice.json(&["shares", &shared, "--json"])[0], "share_id").to_owned();
    good(&alice, &["unshare", &share[..8]]);
    assert_eq!(alice.json(&["shares", "--json"]), json!([]));
    append(&rollout(&alice), said("for her alone", 2));
    import(&alice);
    good(&alice, &["push"]);
    let run = good(&bob, &["sync"]);
    assert!(run.stderr.contains(" ended: alice@example.org shares no session"), "{run}");
    assert!(!shown(&bob, &shared).contains("for her alone"));
    assert!(!good(&bob, &["sync"]).stderr.contains("ended"), "it is told once");
    assert_eq!(good(&bob, &["inbox", "--json"]).stdout.trim(), "[]");
}

#[test]
fn without_a_clone_a_person_says_where() {
    let server = SyncServer::start();
    let (alice, bob) = two(&server);
    good(&alice, &["share", "last", "--with", "bob@example.org"]);
    clone_of(&bob, "code/other", "https://example.com/org/other.git");
    let run = bob.sfs(&["inbox", "accept", "last", "--no-launch"]);
    assert_eq!(run.code, Some(3), "{run}");
    assert!(run.stderr.contains("no clone of https://example.com/org/repo.git is known here"), "{run}");
    assert!(run.stderr.contains("hint: ") && run.stderr.contains("--project DIR"), "{run}");
    let run = good(&bob, &["inbox", "accept", "last", "--project", "code/other", "--no-launch"]);
    assert!(run.stderr.contains("is not a clone of"), "{run}");
    assert!(run.stdout.contains("/code/other && codex resume"), "{run}");
    // In the clone itself nothing has to be said.
    let clone = clone_of(&bob, "fresh", "ssh://git@example.com:22/org/repo");
    let here = bob
        .command(&["inbox", "accept", "last", "--no-launch", "--in", "claude", "--json"])
        .current_dir(&clone)
        .output();
    let run = bob.finish(here.unwrap());
    let resumed: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{run}"));
    assert_eq!(Path::new(text(&resumed, "cwd")), clone);
}

#[test]
fn the_clone_is_found_for_tools_that_do_not_write_down_a_remote() {
    let server = SyncServer::start();
    let (alice, bob) = (person(&server, "alice", &[]), person(&server, "bob", &[]));
    let hers = clone_of(&alice, "work", "https://alice:token@example.com/org/repo.git");
    has_worked_in(&alice, &hers);
    let his = clone_of(&bob, "elsewhere", "git@example.com:org/repo");
    write(&codex_file(&bob, &id(3)), codex_session(&id(3)).replace("/home/dev/work/project", his.to_str().unwrap()));
    import(&bob);
    good(&alice, &["handoff", "last", "--to", "bob@example.org"]);
    let item = bob.json(&["inbox", "--json"]);
    assert_eq!(text(only(&item), "git_remote"), "https://example.com/org/repo.git", "without her token");
    let resumed = bob.json(&["inbox", "accept", "last", "--in", "codex", "--json"]);
    assert_eq!(Path::new(text(&resumed, "cwd")), his);
}

#[test]
fn a_share_is_pulled_by_its_owners_name() {
    let server = SyncServer::start();
    let (alice, bob) = two(&server);
    let shared = text(&alice.json(&["share", "last", "--with", "bob@example.org", "--json"]), "session_id").to_owned();
    let name = format!("alice@example.org/{}", &shared[..10]);
    let run = bob.sfs(&["pull", &name]);
    assert_eq!((run.code, run.stderr.contains("hint: sfs inbox accept")), (Some(3), true), "{run}");
    good(&bob, &["inbox", "accept", "last", "--project", ".", "--no-launch"]);
    // Another machine of his.
    let second = TestHome::new();
    server.log_in(&second, &bob);
    let pulled = second.json(&["pull", &name, "--json"]);
    assert_eq!((text(only(&pulled), "id"), text(&pulled[0], "result")), (&shared[..], "pulled"));
    assert_eq!(shown(&second, &shared), shown(&alice, &shared));
    for wrong in ["alice@example.org/ses_aaaaaaaa", "carol@example.org/ses_", "/"] {
        let run = second.sfs(&["pull", wrong]);
        assert_eq!((run.code, run.stderr.contains("hint: ")), (Some(3), true), "{run}");
    }
    good(&bob, &["inbox", "dismiss", "last"]);
    let run = second.sfs(&["pull", &name]);
    assert_eq!(run.code, Some(3), "{run}");
    assert!(good(&second, &["pull"]).stderr.contains(" ended: "));
}

#[test]
fn who_has_no_account_claims_with_the_code() {
    let server = SyncServer::start();
    let alice = person(&server, "alice", &["codex/git"]);
    let run = good(&alice, &["share", "last", "--with", "carol@example.org"]);
    let code = run.stdout.split_whitespace().find(|word| word.starts_with("claim_")).unwrap().to_owned();
    let carol = person(&server, "carol", &[]);
    assert!(good(&carol, &["inbox"]).stderr.contains("The inbox is empty"));
    let run = carol.sfs(&["inbox", "claim", "claim_00000000000000000000000000000000"]);
    assert_eq!((run.code, run.stderr.contains("claim code is not valid")), (Some(3), true), "{run}");
    assert!(good(&carol, &["inbox", "claim", &code]).stdout.contains("To take it: sfs inbox accept"));
    let mallory = person(&server, "mallory", &[]);
    assert_eq!(mallory.sfs(&["inbox", "claim", &code]).code, Some(3));
    let resumed = carol.json(&["inbox", "accept", "last", "--project", ".", "--json"]);
    assert_eq!(text(&resumed, "tool"), "codex");
    assert!(text(&resumed, "cwd").ends_with(carol.path().file_name().unwrap().to_str().unwrap()));
}

#[test]
fn who_may_write_says_something_in_the_owners_session() {
    let server = SyncServer::start();
    let alice = person(&server, "alice", &["codex/git"]);
    let [bob, carol] = ["bob", "carol"].map(|name| person(&server, name, &["codex/git"]));
    let shared = text(&alice.json(&["share", "last", "--with", "bob@example.org", "--write", "--json"]), "session_id")
        .to_owned();
    good(&alice, &["share", "last", "--with", "carol@example.org"]);
    for (home, word) in [(&bob, "said by bob"), (&carol, "said by carol")] {
        good(home, &["inbox", "accept", "last", "--project", ".", "--in", "gemini", "--no-launch"]);
        append(&rollout(home), said(word, 5));
        import(home);
        good(home, &["sync"]);
    }
    append(&rollout(&alice), said("said by alice", 1));
    import(&alice);
    good(&alice, &["sync"]);
    let hers = shown(&alice, &shared);
    assert_eq!(hers.matches("said by bob").count(), 1, "{hers}");
    assert!(hers.contains("said by alice") && !hers.contains("said by carol"), "{hers}");
    good(&bob, &["sync"]);
    assert_eq!(shown(&bob, &shared).matches("said by alice").count(), 1);
    // Shared again for reading only: he is told once, and everything else goes on.
    good(&alice, &["share", "last", "--with", "bob@example.org"]);
    append(&rollout(&bob), said("too late", 6));
    import(&bob);
    let run = good(&bob, &["sync"]);
    assert!(run.stderr.contains("shared for reading only"), "{run}");
    assert!(!good(&bob, &["sync"]).stderr.contains("reading only"));
    good(&alice, &["sync"]);
    assert!(!shown(&alice, &shared).contains("too late"));
    let check = alice.json(&["admin", "check", "--json"]);
    assert_eq!(check["damage"], json!([]), "{check}");
}

/// Two of one session: the owner of the one can't speak for the other's device.
#[test]
fn what_comes_through_a_share_is_never_ones_own() {
    let server = SyncServer::start();
    let [alice, bob] = ["alice", "bob"].map(|name| person(&server, name, &["codex/git"]));
    for home in [&alice, &bob] {
        good(home, &["config", "set", "sync.secrets", "warn"]);
    }
    append(&rollout(&bob), said("said by bob", 5));
    import(&bob);
    let his_device =
        Store::open(&Home::at(bob.path(), &bob.path().join(".sessionfs"))).unwrap().write(Store::origin_name).unwrap();
    let shared = text(&bob.json(&["share", "last", "--with", "alice@example.org", "--json"]), "session_id").to_owned();
    let run = good(&alice, &["inbox", "accept", "last", "--project", ".", "--in", "gemini", "--no-launch"]);
    assert!(run.stderr.contains("you have this session yourself"), "{run}");
    // Her archive has a copy of his streams now, and so has the server; she changes it to her liking.
    good(&alice, &["push"]);
    let second = TestHome::new();
    server.log_in(&second, &bob);
    good(&second, &["pull"]);
    let forged = said("forged by alice", 9);
    let accounts = server.home.path().join(".sessionfs/server/accounts");
    let archives: Vec<PathBuf> = accounts.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    let forged_in = archives.iter().filter(|folder| forge(folder, &his_device, &forged)).count();
    assert_eq!(forged_in, 2, "his own archive, and hers");
    good(&alice, &["share", &shared, "--with", "bob@example.org"]);
    good(&bob, &["inbox", "accept", "last", "--project", ".", "--in", "gemini", "--no-launch"]);
    let his = shown(&bob, &shared);
    assert!(his.contains("said by bob") && !his.contains("forged by alice"), "{his}");
    // Nor on the machine of his that has those lines from the server.
    good(&second, &["inbox", "accept", "last", "--project", ".", "--in", "gemini", "--no-launch"]);
    let his = shown(&second, &shared);
    assert!(his.contains("said by bob") && !his.contains("forged by alice"), "{his}");
}

#[test]
fn what_one_reads_does_not_rename_ones_own() {
    let server = SyncServer::start();
    let [alice, bob] = ["alice", "bob"].map(|name| person(&server, name, &["codex/git"]));
    let carol = person(&server, "carol", &[]);
    let shared = text(&alice.json(&["share", "last", "--with", "bob@example.org", "--json"]), "session_id").to_owned();
    good(&alice, &["share", "last", "--with", "carol@example.org"]);
    good(&alice, &["rename", &shared, "her words"]);
    good(&alice, &["push"]);
    for home in [&bob, &carol] {
        good(home, &["inbox", "accept", "last", "--project", ".", "--in", "gemini", "--no-launch"]);
        good(home, &["sync"]);
    }
    let told = |home: &TestHome| good(home, &["show", &shared, "--json"]).stdout.contains("her words");
    assert!(!told(&bob), "it is his too");
    assert!(told(&carol));
}

#[test]
fn who_tags_a_session_first_may_write_in_it_later() {
    let server = SyncServer::start();
    let [alice, bob] = ["alice", "bob"].map(|name| person(&server, name, &["codex/git"]));
    let shared = text(&alice.json(&["share", "last", "--with", "bob@example.org", "--write", "--json"]), "session_id")
        .to_owned();
    good(&bob, &["inbox", "accept", "last", "--project", ".", "--in", "gemini", "--no-launch"]);
    good(&bob, &["tag", "add", &shared, "his"]);
    good(&bob, &["sync"]);
    append(&rollout(&bob), said("said by bob", 5));
    import(&bob);
    let run = good(&bob, &["sync"]);
    assert!(!run.stderr.contains("refused"), "{run}");
    good(&alice, &["sync"]);
    assert!(shown(&alice, &shared).contains("said by bob"));
    assert!(good(&alice, &["list", "--tag", "his"]).stdout.contains(&shared[..12]));
}

/// Appends to what a device wrote in an archive; says whether it wrote anything.
fn forge(folder: &Path, device: &str, line: &str) -> bool {
    let mut store = Store::open(&Home::at(folder, folder)).unwrap();
    let sessions = store.session_rows().unwrap().into_iter();
    let streams = sessions.filter_map(|session| store.stream_of(session, "main", device, 0).unwrap());
    let mut streams: Vec<_> = streams.collect();
    for stream in &mut streams {
        store.write(|store| store.append(stream, line.as_bytes())).unwrap();
    }
    !streams.is_empty()
}

#[test]
fn a_link_is_a_page_until_it_is_ended() {
    let server = SyncServer::start();
    let alice = person(&server, "alice", &["codex/git"]);
    append(&rollout(&alice), said(&format!("export TOKEN={SECRET}"), 0));
    // Even where secrets may leave with a session, a page has none.
    good(&alice, &["config", "set", "sync.secrets", "warn"]);
    let run = good(&alice, &["share", "last", "--link", "--expires", "7d"]);
    let url = run.stdout.trim();
    assert!(url.starts_with(&format!("{}/s/", server.url)), "{run}");
    let get = |url: &str| {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut answer = agent.get(url).call().unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
    };
    let (status, page) = get(url);
    assert_eq!(status, 200);
    assert!(page.contains("export TOKEN=[redacted:") && !page.contains(SECRET), "{page}");
    let shares = alice.json(&["shares", "--json"]);
    assert_eq!((text(only(&shares), "kind"), text(&shares[0], "state")), ("link", "active"));
    assert!(shares[0]["expires_at"].is_string() && shares[0]["last_opened_at"].is_string(), "{shares}");
    let run = good(&alice, &["unshare", &text(&shares[0], "share_id")[..8]]);
    assert!(run.stdout.contains("is no longer shared by link"), "{run}");
    assert_eq!(get(url).0, 404);
    for event in ["shared", "unshared"] {
        let told = good(&alice, &["audit", "--event", event]).stdout;
        assert!(told.contains("by link") && !told.contains("null"), "{told}");
    }
    let token = url.rsplit('/').next().unwrap();
    assert!(
        server.log().iter().any(|line| line.contains("path=/s/*"))
            && !server.log().iter().any(|line| line.contains(token))
    );
}

#[test]
fn what_may_not_leave_is_not_shared() {
    let server = SyncServer::start();
    let (alice, bob) = two(&server);
    append(&rollout(&alice), said(&format!("export TOKEN={SECRET}"), 0));
    good(&alice, &["config", "set", "sync.secrets", "block"]);
    for args in [
        &["share", "last", "--with", "bob@example.org"][..],
        &["share", "last", "--link"],
        &["handoff", "last", "--to", "bob@example.org"],
    ] {
        let run = alice.sfs(args);
        assert_eq!((run.code, run.stderr.contains("it holds secrets")), (Some(4), true), "{run}");
    }
    assert_eq!(alice.json(&["shares", "--json"]), json!([]));
    good(&alice, &["config", "set", "sync.secrets", "redact"]);
    let run = good(&alice, &["share", "last", "--with", "bob@example.org"]);
    assert!(run.stderr.contains("replaced in what was sent"), "{run}");
    good(&bob, &["inbox", "accept", "last", "--project", ".", "--no-launch"]);
    let his = shown(&bob, "last");
    assert!(his.contains("[redacted:") && !his.contains(SECRET), "{his}");
}

#[test]
fn what_can_not_be_shared_says_why() {
    let server = SyncServer::start();
    let (alice, bob) = two(&server);
    for (args, code, why) in [
        (&["share", "last"][..], 2, "say whom to share it with"),
        (&["share", "last", "--link", "--with", "bob@example.org"], 2, "with one person or by link, not both"),
        (&["share", "last", "--link", "--write"], 2, "a link is for reading"),
        (&["share", "last", "--link", "--expires", "soon"], 2, "\"soon\" is not a time"),
        (&["share", "last", "--with", "bob"], 2, "with: it is not an email address"),
        (&["share", "last", "--with", "alice@example.org"], 2, "with: it is your own address"),
        (&["share", "zzzzzz", "--link"], 3, "no session is called"),
        (&["unshare", "00000000"], 3, "there is no share"),
        (&["inbox", "accept", "00000000"], 3, "there is no inbox item"),
        (&["serve", "--webhook", "http://chat.example.org/hook"], 2, "not encrypted"),
        (&["serve", "--webhook", "https://chat.example.org/hook"], 2, "SESSIONFS_SERVE_WEBHOOK_SECRET"),
    ] {
        let run = alice.sfs(args);
        assert_eq!((run.code, run.stderr.contains(why)), (Some(code), true), "{args:?}: {run}");
    }
    good(&alice, &["share", "last", "--with", "bob@example.org"]);
    let share = text(&alice.json(&["shares", "--json"])[0], "share_id").to_owned();
    assert_eq!(bob.sfs(&["unshare", &share]).code, Some(3), "not his to end");
    // A whole id need not be in the list.
    let run = alice.sfs(&["inbox", "dismiss", &share]);
    assert_eq!((run.code, run.stderr.contains("Inbox item not found")), (Some(3), true), "{run}");
    good(&bob, &["inbox", "dismiss", &share]);
}

/// What the server has from before, when secrets were sent, is not handed on when they are to stay.
#[test]
fn secrets_that_were_sent_before_are_not_shared_now() {
    let server = SyncServer::start();
    let (alice, bob) = two(&server);
    append(&rollout(&alice), said(&format!("export TOKEN={SECRET}"), 0));
    import(&alice);
    good(&alice, &["config", "set", "sync.secrets", "warn"]);
    good(&alice, &["push"]);
    good(&alice, &["config", "set", "sync.secrets", "redact"]);
    let second = TestHome::new();
    server.log_in(&second, &alice);
    for (home, way) in [(&alice, ["share", "last", "--with"]), (&alice, ["handoff", "last", "--to"])] {
        let run = home.sfs(&[&way[..], &["bob@example.org"]].concat());
        assert_eq!((run.code, run.stderr.contains("1 secret of ses_")), (Some(4), true), "{run}");
        assert!(run.stderr.contains("hint: ") && run.stderr.contains("sync.secrets warn"), "{run}");
    }
    good(&second, &["pull"]);
    assert_eq!(second.sfs(&["share", "last", "--with", "bob@example.org"]).code, Some(4), "from any of her machines");
    assert_eq!(bob.json(&["inbox", "--json"]), json!([]));
    good(&alice, &["share", "last", "--link"]);
    good(&alice, &["config", "set", "sync.secrets", "warn"]);
    good(&alice, &["share", "last", "--with", "bob@example.org"]);
}

#[test]
fn a_message_that_goes_along_holds_no_secrets() {
    let server = SyncServer::start();
    let (alice, bob) = two(&server);
    let message = format!("use TOKEN={SECRET} for it");
    let hand_over = ["handoff", "last", "--to", "bob@example.org", "-m", &message];
    good(&alice, &["config", "set", "sync.secrets", "block"]);
    let run = alice.sfs(&hand_over);
    assert_eq!((run.code, run.stderr.contains("the message holds secrets: 1")), (Some(4), true), "{run}");
    assert_eq!(bob.json(&["inbox", "--json"]), json!([]));
    good(&alice, &["config", "set", "sync.secrets", "redact"]);
    assert!(good(&alice, &hand_over).stderr.contains("1 secret replaced in the message"));
    let item = bob.json(&["inbox", "--json"]);
    let said = text(only(&item), "message");
    assert!(said.starts_with("use TOKEN=[redacted:") && !said.contains(SECRET), "{said}");
}

#[test]
fn a_session_that_is_away_for_a_while_is_followed_still() {
    let server = SyncServer::start();
    let (alice, bob) = two(&server);
    let shared = text(&alice.json(&["share", "last", "--with", "bob@example.org", "--json"]), "session_id").to_owned();
    good(&bob, &["inbox", "accept", "last", "--project", ".", "--no-launch"]);
    good(&alice, &["delete", &shared]);
    good(&alice, &["sync"]);
    for _ in 0..2 {
        let run = good(&bob, &["pull"]);
        assert!(run.stderr.contains("is not there now: alice@example.org has deleted it"), "{run}");
    }
    good(&alice, &["undelete", &shared]);
    append(&rollout(&alice), said("said later", 1));
    import(&alice);
    good(&alice, &["sync"]);
    good(&bob, &["pull"]);
    assert!(shown(&bob, &shared).contains("said later"));
}
