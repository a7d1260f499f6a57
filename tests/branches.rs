//! One session on several devices: every line is seen once, whoever wrote it, in whatever order and pieces it arrives, and
//! every device sees the same.

use crate::support::home::TestHome;
use proptest::prelude::*;
use serde_json::json;
use sessionfs::capture::Arrival;
use sessionfs::export::{ArchivedSession, for_each_message};
use sessionfs::home::Home;
use sessionfs::store::{SessionRow, Store, StreamKey};
use std::collections::BTreeSet;
use std::ops::ControlFlow;

const DEVICES: [&str; 3] = ["aaaaaaaa00", "bbbbbbbb00", "cccccccc00"];

/// What a device does with its file of the session.
#[derive(Clone, Debug)]
enum Deed {
    /// Appends a prompt, at some second of a clock that may be wrong.
    Append(usize, u32),
    /// Takes over what another device has, where that goes on from its own.
    Adopt(usize, usize),
}

/// The three devices' files, line by line. Codex gives its messages no ids: only their place tells them apart.
fn logs(deeds: &[Deed]) -> [Vec<String>; 3] {
    let meta = json!({"timestamp": "2026-11-22T10:00:00.000Z", "type": "session_meta", "payload":
        {"id": "one", "timestamp": "2026-11-22T10:00:00.000Z", "cwd": "/w", "originator": "codex_cli_rs"}});
    let mut logs = [const { Vec::new() }; 3];
    for log in &mut logs {
        log.push(meta.to_string());
    }
    for (number, deed) in deeds.iter().enumerate() {
        match *deed {
            Deed::Append(device, second) => logs[device].push(
                json!({"timestamp": format!("2026-11-22T10:{:02}:{:02}.000Z", second / 60, second % 60),
                    "type": "response_item", "payload": {"type": "message", "role": "user",
                        "content": [{"type": "input_text", "text": format!("said in deed {number}")}]}})
                .to_string(),
            ),
            Deed::Adopt(device, other) if logs[other].starts_with(&logs[device]) => {
                let longer = logs[other].clone();
                logs[device] = longer;
            }
            Deed::Adopt(..) => {}
        }
    }
    logs
}

fn archive(home: &TestHome) -> (Store, SessionRow) {
    let mut store = Store::open(&Home::at(home.path(), &home.path().join(".sessionfs"))).unwrap();
    let session = store.write(|store| store.ensure_session("codex", "one")).unwrap();
    (store, session)
}

/// Lets `length` more bytes of a device's file arrive.
fn arrive(store: &mut Store, session: &SessionRow, device: &str, file: &[u8], length: usize) {
    store
        .write(|store| {
            let key = StreamKey {
                session: session.id,
                name: "main",
                generation: 0,
                format: "codex/rollout",
                native_path: None,
            };
            let mut stream = store.ensure_stream_of(device, key)?;
            let from = stream.length as usize;
            let to = file.len().min(from + length);
            let mut arrival = Arrival::new(session.clone());
            arrival.append(store, &mut stream, &file[from..to])?;
            arrival.finish(store)
        })
        .unwrap();
}

/// What is shown: id and text of every message.
fn seen(store: &Store, session: &SessionRow) -> Vec<(String, String)> {
    let mut seen = Vec::new();
    let source = ArchivedSession::open(store, session.clone()).unwrap();
    for_each_message(&source, true, &mut |message| {
        seen.push((message.id.clone(), message.text()));
        Ok(ControlFlow::Continue(()))
    })
    .unwrap();
    seen
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let append = (0..3usize, 0..600u32).prop_map(|(device, second)| Deed::Append(device, second));
    let adopt = (0..3usize, 0..3usize).prop_map(|(device, other)| Deed::Adopt(device, other));
    proptest::collection::vec(prop_oneof![2 => append, 1 => adopt], 0..25)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_line_is_seen_once_and_alike_everywhere(
        deeds in deeds(),
        arrivals in proptest::collection::vec((0..3usize, 1..700usize), 0..20),
    ) {
        let files = logs(&deeds).map(|lines| lines.join("\n") + "\n");
        // One archive gets them bit by bit, one all at once, the last device first.
        let (here, there) = (TestHome::new(), TestHome::new());
        let (mut one, session) = archive(&here);
        for (device, length) in arrivals {
            arrive(&mut one, &session, DEVICES[device], files[device].as_bytes(), length);
        }
        for device in 0..3 {
            arrive(&mut one, &session, DEVICES[device], files[device].as_bytes(), usize::MAX / 2);
        }
        let (mut other, other_session) = archive(&there);
        for device in (0..3).rev() {
            arrive(&mut other, &other_session, DEVICES[device], files[device].as_bytes(), usize::MAX / 2);
        }
        let shown = seen(&one, &session);
        prop_assert_eq!(&shown, &seen(&other, &other_session));

        // A line that two devices have in common stands at the same place in both files, behind the same lines.
        let mut expected = BTreeSet::new();
        for lines in logs(&deeds) {
            expected.extend((2..=lines.len()).map(|length| lines[..length].to_vec()));
        }
        prop_assert_eq!(shown.len(), expected.len());
        let ids: BTreeSet<&String> = shown.iter().map(|(id, _)| id).collect();
        prop_assert_eq!(ids.len(), shown.len());

        // The derived tables say the same, and a rebuild changes nothing.
        let summary = one.summary(session.id).unwrap();
        prop_assert_eq!(summary.message_count as usize, expected.len());
        sessionfs::capture::rebuild(&mut one, |_| {}).unwrap();
        prop_assert_eq!(&summary, &one.summary(session.id).unwrap());
        prop_assert_eq!(&summary, &other.summary(other_session.id).unwrap());
        let report = one.check(|_| ()).unwrap();
        prop_assert!(report.damage.is_empty(), "{:?}", report.damage);
    }
}

/// A home whose recorded Codex session another device continued too, later than this one; the branches' names.
fn continued_twice() -> (TestHome, [String; 2]) {
    let home = TestHome::with(&["codex/chat"]);
    let run = home.sfs(&["import"]);
    assert_eq!(run.code, Some(0), "{run}");
    let mut store = Store::open(&Home::at(home.path(), &home.path().join(".sessionfs"))).unwrap();
    let row = store.session_rows().unwrap()[0];
    let session = store.session(row).unwrap();
    let own = store.streams(row).unwrap().into_iter().find(|stream| stream.name == "main").unwrap();
    let shared = store.read_range(&own, 0, own.length, &mut sessionfs::store::ChunkCache::default()).unwrap();
    let device = store.own_device().unwrap().unwrap();
    let said = |text: &str, second: u32| {
        let message = json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]});
        let line = json!({"timestamp": format!("2026-11-30T10:00:{second:02}.000Z"), "type": "response_item",
            "payload": message});
        format!("{line}\n")
    };
    let mut file = shared.clone();
    file.extend(said("said on this device", 1).bytes());
    arrive(&mut store, &session, &device, &file, usize::MAX / 2);
    let mut file = shared;
    file.extend(said("said on the other device", 2).bytes());
    arrive(&mut store, &session, DEVICES[0], &file, usize::MAX / 2);
    let names = sessionfs::export::branches(&store, &session).unwrap();
    assert_eq!((names[0].is_own, names[1].is_own), (false, true), "{names:?}");
    (home, [names[0].name.clone(), names[1].name.clone()])
}

fn texts(home: &TestHome, branch: Option<&str>) -> String {
    let mut args = vec!["show", "last", "-m"];
    args.extend(branch.iter().flat_map(|name| ["--branch", name]));
    home.sfs(&args).stdout
}

#[test]
fn a_branch_is_the_whole_session_of_one_device() {
    let (home, [shown, own]) = continued_twice();
    assert_eq!(shown, "main");
    let (newest, ours) = (texts(&home, Some("main")), texts(&home, Some(&own)));
    assert!(newest.ends_with("said on the other device\n\n") && !newest.contains("said on this device"), "{newest}");
    assert!(ours.ends_with("said on this device\n\n") && !ours.contains("said on the other device"), "{ours}");
    assert_eq!(newest.lines().count(), ours.lines().count());
    for text in ["said on this device", "said on the other device"] {
        assert_eq!(texts(&home, None).matches(text).count(), 1);
    }
    // A message on it, named as it is shown where both are.
    let listed = home.json(&["show", "last", "-m", "--json"]);
    let last = listed["messages"].as_array().unwrap().last().unwrap()["msg_id"].as_str().unwrap().to_owned();
    assert!(last.starts_with(&format!("{own}:")), "{last}");
    for args in [vec!["--at", &last], vec!["--branch", &own, "--at", &last.replace(&own, "main")]] {
        let markdown = home.sfs(&[&["export", "last", "--format", "markdown"], &args[..]].concat()).stdout;
        assert!(markdown.contains("said on this device") && !markdown.contains("other device"), "{args:?} {markdown}");
    }
    home.json(&["checkpoint", "last", "--name", "here", "--json"]);
    let run = home.sfs(&["resume", "last", "--branch", &own, "--at", "here", "--dry-run"]);
    assert_eq!((run.code, run.stderr.contains("says itself on which branch it is")), (Some(2), true), "{run}");
    let at = home.sfs(&["export", "last", "--format", "markdown", "--at", "here"]).stdout;
    assert!(at.contains("said on the other device") && !at.contains("said on this device"), "{at}");
}

#[test]
fn a_real_client_receives_the_branch_that_was_chosen() {
    use crate::clients::{Client, ready, receive};
    if !ready("a_real_client_receives_the_branch_that_was_chosen", &[Client::ClaudeCode]) {
        return;
    }
    let (home, [_, own]) = continued_twice();
    let project = home.path().join("project");
    std::fs::create_dir_all(&project).unwrap();
    for (branch, is_own) in [(own.as_str(), true), ("main", false)] {
        let args = ["resume", "last", "--branch", branch, "--in", "claude-code", "--project", "project", "--json"];
        let answer = home.json(&args);
        let received =
            receive(Client::ClaudeCode, home.path(), &project, answer["native_id"].as_str().unwrap()).unwrap();
        assert_eq!((&received.rejections, &received.orphans), (&Vec::new(), &Vec::new()), "{received:?}");
        let said = received.user_texts.join("\n");
        let expected = (is_own, !is_own);
        assert_eq!((said.contains("on this device"), said.contains("on the other device")), expected, "{said}");
        assert!(received.user_texts.len() > 1 || received.shape.len() > 2, "{received:?}");
    }
}
