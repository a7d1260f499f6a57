//! Syncing: whatever devices write, push, pull, lose and repeat, in the end all of them and the server have the same.

use crate::support::home::TestHome;
use proptest::prelude::*;
use serde_json::json;
use sessionfs::capture::Arrival;
use sessionfs::error::{Error, Result};
use sessionfs::export::{self, ArchivedSession, Redaction, Selection, for_each_message};
use sessionfs::home::Home;
use sessionfs::id::Hash;
use sessionfs::store::{ChunkCache, SessionRow, Store, StreamKey};
use sessionfs::sync::gate::Gate;
use sessionfs::sync::wire::{
    Accepted, Changes, Frame, Part, Push, PushAnswer, SessionState, StreamPlace, Want, pack, unpack,
};
use sessionfs::sync::{Pushed, Refused, Remote, answer, pull, push, push_sessions};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicI64, Ordering};

/// Of checkpoints: no two are made at the same one.
static MOMENTS: AtomicI64 = AtomicI64::new(1);

/// A server in this process: everything that crosses the wire is packed and unpacked, and the wire may be cut.
struct Server<'a> {
    store: &'a mut Store,
    /// So many exchanges go well; of the next one the question is lost, or the answer.
    cut: Option<(u32, bool)>,
    /// Messages with this session are refused, as that.
    refuses: Option<(&'static str, Refused)>,
    was_refused: bool,
    sent: usize,
    calls: usize,
}

impl<'a> Server<'a> {
    fn new(store: &'a mut Store) -> Server<'a> {
        Server { store, cut: None, refuses: None, was_refused: false, sent: 0, calls: 0 }
    }

    fn exchange<T>(&mut self, work: impl FnOnce(&mut Store) -> Result<T>) -> Result<T> {
        self.calls += 1;
        let lost = || Error::failed("the connection was lost");
        match &mut self.cut {
            None => work(self.store),
            Some((0, true)) => work(self.store).and_then(|_| Err(lost())),
            Some((0, false)) => Err(lost()),
            Some((calls, _)) => {
                *calls -= 1;
                work(self.store)
            }
        }
    }
}

impl Remote for Server<'_> {
    fn changes(&mut self, since: i64) -> Result<Changes> {
        self.exchange(|store| answer::changes(store, since))
    }

    fn session(&mut self, id: &str) -> Result<Option<SessionState>> {
        self.exchange(|store| answer::session(store, id))
    }

    fn has_chunks(&mut self, hashes: &[Hash]) -> Result<Vec<bool>> {
        self.exchange(|store| answer::has_chunks(store, hashes))
    }

    fn chunks(&mut self, stream: &StreamPlace) -> Result<Vec<(u64, Hash)>> {
        self.exchange(|store| answer::chunks(store, stream))
    }

    fn refused(&self) -> Option<Refused> {
        self.refuses.map(|(_, refused)| refused).filter(|_| self.was_refused)
    }

    fn push(&mut self, push: &Push, bytes: &[u8]) -> Result<PushAnswer> {
        let is_in = |id: &str| push.sessions.iter().any(|session| session.native_id == id);
        self.was_refused = self.refuses.is_some_and(|(id, _)| is_in(id));
        if self.was_refused {
            self.calls += 1;
            return Err(Error::failed("the server answers 500"));
        }
        let packed = pack(push, bytes)?;
        self.sent += packed.len();
        self.exchange(|store| {
            let frame: Frame<Push> = unpack(&packed[..])?;
            answer::accept(store, &frame.header, &frame.bytes)
        })
    }

    fn pull(&mut self, wants: &[Want]) -> Result<Frame<Vec<Want>>> {
        self.exchange(|store| {
            let frame = answer::pull(store, wants)?;
            let packed = pack(&frame.header, &frame.bytes)?;
            unpack(&packed[..])
        })
    }
}

/// A device: its archive, and the bytes of the session's file in its tool.
struct Device {
    store: Store,
    file: Vec<u8>,
    /// What was said at the moment of each of its checkpoints, by when it was made; and those that it deleted.
    checkpoints: Vec<(i64, Vec<String>)>,
    forgotten: Vec<i64>,
    redacts: bool,
    _home: TestHome,
}

fn archive(home: &TestHome) -> Store {
    Store::open(&Home::at(home.path(), &home.path().join(".sessionfs"))).unwrap()
}

impl Device {
    fn new() -> Device {
        let home = TestHome::new();
        let (checkpoints, forgotten) = (Vec::new(), Vec::new());
        Device { store: archive(&home), file: Vec::new(), checkpoints, forgotten, redacts: false, _home: home }
    }

    fn session(&mut self) -> SessionRow {
        self.store.write(|store| store.ensure_session("codex", "one")).unwrap()
    }

    /// The tool appends a line, and it is captured.
    fn append(&mut self, line: &str) {
        if self.file.is_empty() {
            self.file = format!("{}\n", started()).into_bytes();
        }
        self.file.extend_from_slice(line.as_bytes());
        self.file.push(b'\n');
        self.capture();
    }

    fn capture(&mut self) {
        let session = self.session();
        let file = self.file.clone();
        self.store
            .write(|store| {
                let origin = store.origin_name()?;
                let mut stream = store.ensure_stream_of(&origin, key(&session))?;
                let mut arrival = Arrival::new(session.clone());
                let new = &file[stream.length as usize..];
                arrival.append(store, &mut stream, new)?;
                arrival.finish(store)
            })
            .unwrap();
    }

    /// Puts the session back where the tool has the beginning of it, as `sfs resume` does.
    fn restore(&mut self) {
        let session = self.session();
        let streams = self.store.streams(session.id).unwrap();
        let Some(shown) = streams.iter().find(|stream| stream.name == "main") else { return };
        let bytes = self.store.read_range(shown, 0, shown.length, &mut ChunkCache::default()).unwrap();
        if bytes.starts_with(&self.file) && bytes.len() > self.file.len() {
            self.file = bytes;
            self.capture();
        }
    }

    fn checkpoint(&mut self, name: &str) {
        let session = self.session();
        let is_taken = self.store.checkpoint(session.id, name).unwrap().is_some();
        if is_taken || self.store.streams(session.id).unwrap().is_empty() {
            return;
        }
        let mut checkpoint = export::checkpoint(&self.store, &session, name).unwrap();
        // Tells it from all others, whatever they will be called.
        checkpoint.created_at = MOMENTS.fetch_add(1, Ordering::Relaxed);
        self.store.write(|store| store.add_checkpoint(session.id, &checkpoint)).unwrap();
        self.checkpoints.push((checkpoint.created_at, texts_at(&self.store, &session, name)));
    }

    fn forget_checkpoint(&mut self, name: &str) {
        let session = self.session().id;
        self.forgotten.extend(self.store.checkpoint(session, name).unwrap().map(|checkpoint| checkpoint.created_at));
        self.store.write(|store| store.remove_checkpoint(session, name)).unwrap();
    }

    fn sync(&mut self, server: &mut Store, sends: bool, cut: Option<(u32, bool)>) -> Result<()> {
        let mut remote = Server { cut, ..Server::new(server) };
        let mut row = self.store.write(|store| store.remote("server")).unwrap();
        if sends {
            let redaction = if self.redacts { Redaction::of(&mut self.store)? } else { Redaction::none() };
            let report = push(&mut self.store, &mut remote, &mut row, &redaction, &Gate::open())?;
            assert_eq!(report.refused, []);
        } else {
            let pulled = pull(&mut self.store, &mut remote, &mut row)?;
            assert_eq!(pulled.problems, []);
        }
        Ok(())
    }
}

fn key(session: &SessionRow) -> StreamKey<'static> {
    StreamKey { session: session.id, name: "main", generation: 0, format: "codex/rollout", native_path: None }
}

/// What a person sees.
#[derive(Debug, PartialEq)]
struct Seen {
    title: Option<String>,
    tags: Vec<String>,
    is_deleted: bool,
    /// Id and text.
    messages: Vec<(String, String)>,
    /// Name, and what was said at that moment.
    checkpoints: Vec<(String, Vec<String>)>,
}

fn seen(store: &mut Store) -> Seen {
    let session = store.write(|store| store.ensure_session("codex", "one")).unwrap();
    let mut messages = Vec::new();
    let source = ArchivedSession::open(store, session.clone()).unwrap();
    for_each_message(&source, true, &mut |message| {
        messages.push((message.id.clone(), message.text()));
        Ok(ControlFlow::Continue(()))
    })
    .unwrap();
    let tags = store.tags(session.id).unwrap();
    let checkpoints = store.checkpoints(session.id).unwrap().into_iter().map(|checkpoint| {
        let at = texts_at(store, &session, &checkpoint.name);
        (checkpoint.name, at)
    });
    let checkpoints = checkpoints.collect();
    Seen { title: session.title.clone(), tags, is_deleted: session.deleted_at.is_some(), messages, checkpoints }
}

/// What a resume at a checkpoint would go on from.
fn texts_at(store: &Store, session: &SessionRow, checkpoint: &str) -> Vec<String> {
    let selection = Selection { at: Some(checkpoint.to_owned()), ..Selection::default() };
    let source = selection.open(store, session).unwrap();
    let messages = source.conversation().unwrap().messages;
    messages.map(|message| message.unwrap().text()).collect()
}

fn started() -> serde_json::Value {
    json!({"timestamp": "2026-11-22T10:00:00.000Z", "type": "session_meta", "payload":
        {"id": "one", "timestamp": "2026-11-22T10:00:00.000Z", "cwd": "/w", "originator": "codex_cli_rs"}})
}

fn said(number: usize, second: u32) -> String {
    json!({"timestamp": format!("2026-11-22T10:{:02}:{:02}.000Z", second / 60, second % 60), "type": "response_item",
        "payload": {"type": "message", "role": "user", "content": [{"type": "input_text", "text": format!("deed {number}")}]}})
    .to_string()
}

#[derive(Clone, Debug)]
enum Deed {
    /// At some second of a clock that may be wrong.
    Append(u32),
    Restore,
    Push(Option<(u32, bool)>),
    Pull(Option<(u32, bool)>),
    Title(u8),
    Tag(u8, bool),
    Delete(bool),
    Checkpoint(u8),
    ForgetCheckpoint(u8),
}

fn deeds() -> impl Strategy<Value = Vec<(usize, Deed)>> {
    let cut = || proptest::option::of((0..3u32, any::<bool>()));
    let deed = prop_oneof![
        4 => (0..600u32).prop_map(Deed::Append),
        2 => Just(Deed::Restore),
        3 => cut().prop_map(Deed::Push),
        3 => cut().prop_map(Deed::Pull),
        1 => any::<u8>().prop_map(Deed::Title),
        1 => (0..3u8, any::<bool>()).prop_map(|(tag, add)| Deed::Tag(tag, add)),
        1 => any::<bool>().prop_map(Deed::Delete),
        2 => (0..3u8).prop_map(Deed::Checkpoint),
        1 => (0..3u8).prop_map(Deed::ForgetCheckpoint),
    ];
    proptest::collection::vec((0..3usize, deed), 0..40)
}

fn act(device: &mut Device, server: &mut Store, number: usize, deed: &Deed) {
    let session = device.session().id;
    match *deed {
        Deed::Append(second) => device.append(&said(number, second)),
        Deed::Restore => device.restore(),
        // What was cut off is done again later.
        Deed::Push(cut) => drop(device.sync(server, true, cut)),
        Deed::Pull(cut) => drop(device.sync(server, false, cut)),
        Deed::Title(title) => {
            device.store.write(|store| store.set_title(session, Some(&format!("title {title}")))).unwrap();
        }
        Deed::Tag(tag, true) => drop(device.store.write(|store| store.add_tag(session, &format!("t{tag}"))).unwrap()),
        Deed::Tag(tag, false) => {
            device.store.write(|store| store.remove_tag(session, &format!("t{tag}"))).unwrap();
        }
        Deed::Checkpoint(name) => device.checkpoint(&format!("c{name}")),
        Deed::ForgetCheckpoint(name) => device.forget_checkpoint(&format!("c{name}")),
        Deed::Delete(true) => drop(device.store.write(|store| store.hide(session, 1)).unwrap()),
        Deed::Delete(false) => drop(device.store.write(|store| store.unhide(session)).unwrap()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..Default::default() })]

    #[test]
    fn all_devices_and_the_server_converge(deeds in deeds()) {
        let mut devices = [Device::new(), Device::new(), Device::new()];
        let home = TestHome::new();
        let mut server = archive(&home);
        for (number, (device, deed)) in deeds.iter().enumerate() {
            act(&mut devices[*device], &mut server, number, deed);
        }
        for _ in 0..2 {
            for device in &mut devices {
                device.sync(&mut server, true, None).unwrap();
                device.sync(&mut server, false, None).unwrap();
            }
        }
        let expected = seen(&mut server);
        let mut lines = BTreeSet::new();
        for device in &devices {
            let file = String::from_utf8(device.file.clone()).unwrap();
            let all: Vec<String> = file.lines().map(str::to_owned).collect();
            lines.extend((2..=all.len()).map(|length| all[..length].to_vec()));
        }
        // Nothing is lost, and every line is there once.
        prop_assert_eq!(expected.messages.len(), lines.len());
        // So is every checkpoint that nobody deleted, and it says what it said; a deleted one stays deleted.
        let forgotten: Vec<i64> = devices.iter().flat_map(|device| device.forgotten.clone()).collect();
        let mut marked: Vec<_> = devices.iter().flat_map(|device| device.checkpoints.clone()).collect();
        marked.retain(|(moment, _)| !forgotten.contains(moment));
        marked.sort();
        let texts = |checkpoints: Vec<(String, Vec<String>)>| checkpoints.into_iter().map(|(_, texts)| texts);
        prop_assert!(texts(expected.checkpoints.clone()).eq(marked.into_iter().map(|(_, texts)| texts)));
        for device in &mut devices {
            prop_assert_eq!(&seen(&mut device.store), &expected);
            let session = device.session().id;
            let summary = device.store.summary(session).unwrap();
            sessionfs::capture::rebuild(&mut device.store, |_| {}).unwrap();
            prop_assert_eq!(&summary, &device.store.summary(session).unwrap());
            let report = device.store.check(|_| ()).unwrap();
            prop_assert!(report.damage.is_empty(), "{:?}", report.damage);
        }
        // Then there is nothing more to say.
        devices[0].sync(&mut server, true, None).unwrap();
        let mut row = devices[0].store.write(|store| store.remote("server")).unwrap();
        let mut remote = Server::new(&mut server);
        push(&mut devices[0].store, &mut remote, &mut row, &Redaction::none(), &Gate::open()).unwrap();
        prop_assert_eq!(remote.calls, 0);
        pull(&mut devices[0].store, &mut remote, &mut row).unwrap();
        prop_assert_eq!(remote.calls, 1);
    }
}

/// Text that hardly compresses, the same every time.
fn noise(seed: u64, length: usize) -> String {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b"abcdefghijklmnopqrstuvwxyzABCDEF0123456789"[(state >> 33) as usize % 42])
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn only_what_is_new_crosses_the_wire() {
    let home = TestHome::new();
    let mut server = archive(&home);
    let (mut one, mut other) = (Device::new(), Device::new());
    for number in 0..12 {
        one.append(&said(number, number as u32).replace("deed", &noise(number as u64, 300_000)));
    }
    let sent = |device: &mut Device, server: &mut Store| {
        let mut row = device.store.write(|store| store.remote("server")).unwrap();
        let mut remote = Server::new(server);
        push(&mut device.store, &mut remote, &mut row, &Redaction::none(), &Gate::open()).unwrap();
        remote.sent
    };
    let whole = zstd::bulk::compress(&one.file, 6).unwrap().len();
    let first = sent(&mut one, &mut server);
    assert!(first <= whole * 12 / 10 + 2000, "{first} bytes for {whole}");

    one.append(&said(12, 12));
    let line = sent(&mut one, &mut server);
    assert!(line <= 2000, "{line} bytes for a line");

    // The same session on another device has a stream of its own, of chunks that the server knows.
    other.sync(&mut server, false, None).unwrap();
    other.restore();
    assert_eq!(other.file, one.file);
    let again = sent(&mut other, &mut server);
    assert!(again <= whole / 5, "{again} bytes for {whole} that are there");
    assert_eq!(seen(&mut other.store), seen(&mut server));
}

#[test]
fn what_is_no_session_is_refused_and_harms_nothing() {
    let home = TestHome::new();
    let mut server = archive(&home);
    let state = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut state = json!({"id": "ses_0123456789abcdef", "tool": "codex", "native_id": "n", "streams": [
            {"name": "main", "origin": "aaaaaaaa00", "generation": 0, "format": "codex/rollout", "length": 0,
             "hash": Hash::of(&[]).hex()}]});
        change(&mut state);
        serde_json::from_value::<SessionState>(state).unwrap()
    };
    let hostile: [(&str, serde_json::Value); 12] = [
        ("/native_id", json!("--dangerously-skip-permissions")),
        ("/id", json!("../x")),
        ("/tool", json!("../codex")),
        ("/native_id", json!("a\u{0}b")),
        ("/streams/0/name", json!("../main")),
        ("/streams/0/name", json!("/etc/passwd")),
        ("/streams/0/name", json!("main@aaaaaaaa")),
        ("/streams/0/origin", json!("'; DROP TABLE stream")),
        ("/streams/0/format", json!("Codex Rollout")),
        ("/streams/0/native_path", json!("a/../../b")),
        ("/streams/0/generation", json!(4_000_000_000u32)),
        ("/parent", json!({"id": "nobody", "relation": "fork", "inherited": 0})),
    ];
    for (pointer, value) in hostile {
        let session = state(&|state| {
            let (parent, last) = pointer.rsplit_once('/').unwrap();
            state.pointer_mut(parent).unwrap()[last] = value.clone();
        });
        let parts = vec![vec![Part::Bytes(5)]];
        let push = Push { sessions: vec![session], parts };
        let answer = answer::accept(&mut server, &push, b"12345").unwrap();
        assert!(matches!(&answer.sessions[..], [Accepted::Refused(_)]), "{pointer}: {answer:?}");
        assert_eq!(server.change_number().unwrap(), 0, "{pointer}");
    }
    // More is announced than comes; a message that unpacks to far more than it may; no message at all.
    let push = Push { sessions: vec![state(&|_| {})], parts: vec![vec![Part::Bytes(u64::MAX)]] };
    assert!(answer::accept(&mut server, &push, b"12345").is_err());
    assert!(answer::accept(&mut server, &Push { parts: Vec::new(), ..push }, b"12345").is_err());
    let bomb = zstd::bulk::compress(&[&2u32.to_le_bytes()[..], b"{}", &vec![0; 40 << 20]].concat(), 3).unwrap();
    assert!(bomb.len() < 10_000 && unpack::<serde_json::Value>(&bomb[..]).is_err());
    assert!(unpack::<serde_json::Value>(&b"nothing"[..]).is_err());
    assert!(server.session_rows().unwrap().is_empty());
}

/// A session of Claude Code's, of two lines, with a file beside it that comes with `path`.
fn with_a_file_at(path: &str) -> (Push, Vec<u8>) {
    let native_id = "11111111-2222-4333-8444-555555555555";
    let line = |kind: &str, content: serde_json::Value| {
        json!({"type": kind, "uuid": kind, "sessionId": native_id, "cwd": "/tmp", "timestamp": "2026-11-01T00:00:00Z",
            "message": {"role": kind, "content": content}})
        .to_string()
            + "\n"
    };
    let main = line("user", json!("Hello")) + &line("assistant", json!([{"type": "text", "text": "Hello!"}]));
    let file = json!({"hooks": {}}).to_string();
    let stream = |name: &str, format: &str, path: &str| {
        json!({"name": name, "origin": "aaaaaaaa00", "generation": 0, "format": format, "native_path": path, "length": 0,
            "hash": sessionfs::store::StreamHasher::default().hash().hex()})
    };
    let session = json!({"id": "ses_0123456789abcdef", "tool": "claude-code", "native_id": native_id, "streams": [
        stream("main", "claude-code/jsonl", &format!("projects/-tmp/{native_id}.jsonl")),
        stream("subagents/agent-1.jsonl", "claude-code/jsonl", path)]});
    let parts = vec![vec![Part::Bytes(main.len() as u64)], vec![Part::Bytes(file.len() as u64)]];
    (Push { sessions: vec![serde_json::from_value(session).unwrap()], parts }, (main + &file).into_bytes())
}

#[test]
fn what_others_send_is_put_nowhere_but_in_the_sessions_own_place() {
    let id = "11111111-2222-4333-8444-555555555555";
    for path in ["settings.json", "projects/-tmp/other.jsonl", "projects/-tmp/memory/MEMORY.md", "plugins/x/hooks.json"]
    {
        let home = TestHome::new();
        let (push, bytes) = with_a_file_at(path);
        let answer = answer::accept(&mut archive(&home), &push, &bytes).unwrap();
        assert!(matches!(&answer.sessions[..], [Accepted::Streams(_)]), "{path}: {answer:?}");
        let resumed = home.sfs(&["resume", "last", "--no-launch"]);
        assert!(resumed.stderr.contains(&format!("{path} is no place of this session's files")), "{path}: {resumed}");
        assert_eq!(home.sfs(&["restore", "last"]).code, Some(0));
        let written: Vec<_> = walkdir::WalkDir::new(home.path().join(".claude")).into_iter().flatten().collect();
        let written = written.iter().filter(|entry| entry.file_type().is_file());
        let written: Vec<_> = written.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        assert_eq!(written, [format!("{id}.jsonl")], "{path}");
    }
    // A sub-agent's own file comes along.
    let home = TestHome::new();
    let path = format!("projects/-tmp/{id}/subagents/agent-1.jsonl");
    let (push, bytes) = with_a_file_at(&path);
    answer::accept(&mut archive(&home), &push, &bytes).unwrap();
    assert_eq!(home.sfs(&["restore", "last"]).code, Some(0));
    assert!(home.path().join(".claude").join(path).exists());
}

#[test]
fn what_cannot_be_said_of_a_session_does_not_keep_it_back() {
    let home = TestHome::new();
    let (mut push, bytes) = with_a_file_at("settings.json");
    let said = |field: &str, value: &str| json!({"field": field, "value": value, "counter": 1, "device": "aaaaaaaa00"});
    push.sessions[0].registers = serde_json::from_value(json!([
        said("title", "a\u{1b}[2J"),
        said(&format!("tag:{}", "x".repeat(300)), "1"),
        said("tag:kept", "1")
    ]))
    .unwrap();
    let answer = answer::accept(&mut archive(&home), &push, &bytes).unwrap();
    assert!(matches!(&answer.sessions[..], [Accepted::Streams(_)]), "{answer:?}");
    let session = &home.json(&["list", "--json"])[0];
    assert_eq!((&session["title"], &session["tags"]), (&json!("Hello"), &json!(["kept"])));
}

#[test]
fn secrets_stay_here_and_a_redacted_copy_joins_the_exact_session() {
    let home = TestHome::new();
    let mut server = archive(&home);
    let (mut one, mut other) = (Device::new(), Device::new());
    (one.redacts, other.redacts) = (true, true);
    let secret = format!("ghp_{}", noise(7, 36));
    one.append(&said(0, 0));
    one.append(&said(1, 1).replace("deed", &format!("export TOKEN={secret} and")));
    one.append(&said(2, 2));
    one.sync(&mut server, true, None).unwrap();
    one.append(&said(3, 3));
    one.sync(&mut server, true, None).unwrap();

    // The server, and who pulls from it, have every message but not the secret.
    let there = seen(&mut server);
    assert_eq!(there.messages.len(), 4);
    assert!(there.messages[1].1.contains("[redacted:"), "{there:?}");
    other.sync(&mut server, false, None).unwrap();
    assert_eq!(seen(&mut other.store), there);
    other.restore();
    other.append(&said(4, 4));
    other.sync(&mut server, true, None).unwrap();
    assert!(!format!("{:?}{:?}", seen(&mut server), seen(&mut other.store)).contains(&secret));

    // Here it stays exact, and what the other one went on with follows it.
    one.sync(&mut server, false, None).unwrap();
    let here = seen(&mut one.store);
    assert_eq!(here.messages.len(), 5, "{here:?}");
    assert_eq!(seen(&mut server).messages.len(), 5);
    let own = one.store.origin_name().unwrap();
    let session = one.session();
    let stream = one.store.stream_of(session.id, "main", &own, 0).unwrap().unwrap();
    assert_eq!(one.store.read_range(&stream, 0, stream.length, &mut ChunkCache::default()).unwrap(), one.file);
}

/// What the server took without our hearing of it is known again, wherever in our chunks it ends.
#[test]
fn a_redacted_copy_goes_on_after_an_answer_was_lost() {
    for ends_with_line in [true, false] {
        let home = TestHome::new();
        let mut server = archive(&home);
        let mut one = Device::new();
        one.redacts = true;
        let secret = format!("export TOKEN=ghp_{} and", noise(7, 36));
        for number in 0..40 {
            one.append(&said(number, number as u32).replace("deed", &secret));
        }
        if !ends_with_line {
            one.file.extend_from_slice(said(40, 40).as_bytes());
            one.capture();
        }
        one.sync(&mut server, true, Some((0, true))).unwrap_err();
        let before = seen(&mut server).messages.len();
        assert!(before >= 40, "{before}");
        if !ends_with_line {
            one.file.push(b'\n');
        }
        one.append(&said(41, 41));
        one.sync(&mut server, true, None).unwrap();
        assert_eq!(seen(&mut server).messages.len(), seen(&mut one.store).messages.len());
    }
}

#[test]
fn a_session_that_is_refused_keeps_no_other_back_and_waits_for_its_time() {
    let (home, there) = (TestHome::new(), TestHome::new());
    let (mut store, mut server) = (archive(&home), archive(&there));
    for id in ["a", "b", "c"] {
        let session = store.write(|store| store.ensure_session("codex", id)).unwrap();
        store.write(|store| store.set_title(session.id, Some(id))).unwrap();
    }
    let patient = Gate::of(&mut store, false, true).unwrap();
    let impatient = Gate::of(&mut store, false, false).unwrap();
    let mut go = |store: &mut Store, gate: &Gate, refused: Option<Refused>| -> (Pushed, usize) {
        let mut row = store.write(|store| store.remote("server")).unwrap();
        let mut remote = Server { refuses: refused.map(|refused| ("b", refused)), ..Server::new(&mut server) };
        let pushed = push(store, &mut remote, &mut row, &Redaction::none(), gate).unwrap();
        (pushed, remote.calls)
    };
    let for_now = Refused { for_good: false, retry_after: Some(7200) };
    let (pushed, _) = go(&mut store, &patient, Some(for_now));
    assert_eq!((pushed.sessions.len(), pushed.refused.len()), (2, 1));
    let remote = store.write(|store| store.remote("server")).unwrap().id;
    let unsent = store.unsent(remote).unwrap();
    let wait = unsent[0].retry_at.unwrap() - jiff::Timestamp::now().as_millisecond();
    assert_eq!((unsent.len(), unsent[0].attempts), (1, 1));
    assert!((7_000_000..=7_200_000).contains(&wait), "as the server wants it: {wait}");

    assert_eq!(go(&mut store, &patient, None).1, 0, "its time has not come");
    go(&mut store, &impatient, Some(for_now));
    assert_eq!(store.unsent(remote).unwrap()[0].attempts, 2);
    let (pushed, _) = go(&mut store, &impatient, None);
    assert_eq!((pushed.sessions.len(), store.unsent(remote).unwrap().len()), (1, 0), "a person does not wait");

    // What is refused for good is not sent again unless it is named.
    let b = store.find_native("codex", "b").unwrap().unwrap().id;
    store.write(|store| store.set_title(b, Some("another"))).unwrap();
    let for_good = Refused { for_good: true, retry_after: None };
    assert_eq!(go(&mut store, &patient, Some(for_good)).0.refused.len(), 1);
    store.write(|store| store.set_title(b, Some("a third"))).unwrap();
    for gate in [&patient, &impatient] {
        assert_eq!(go(&mut store, gate, None).1, 0);
    }
    let row = store.write(|store| store.remote("server")).unwrap();
    let mut remote = Server::new(&mut server);
    let pushed = push_sessions(&mut store, &mut remote, &row, &Redaction::none(), &impatient, &[b]).unwrap();
    assert_eq!(pushed.sessions, [b]);
}
