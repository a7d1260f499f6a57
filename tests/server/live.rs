//! The real server, a process of its own, over the network: what it was told is there after a kill, after a full disk and
//! after SIGTERM.

use super::stand::{self, Answer, PATIENCE};
use super::{BOUNDARY, files_of, form, id, packed, session};
use crate::clients::skip;
use crate::support::home::{Run, TestHome};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::scope;

/// `sessionfs serve` on a throw-away folder; killed with this.
pub struct Live {
    pub home: TestHome,
    pub data: PathBuf,
    pub address: SocketAddr,
    process: Child,
}

impl Live {
    pub fn new() -> Live {
        let home = TestHome::new();
        let data = home.path().join("data");
        Live::on(home, data)
    }

    /// One on a folder that may be a server's already.
    pub fn on(home: TestHome, data: PathBuf) -> Live {
        let command = home.command(&Live::words(&data));
        Live::started(command, home, data)
    }

    fn words(data: &Path) -> [&str; 7] {
        ["serve", "--data", data.to_str().unwrap(), "--listen", "127.0.0.1:0", "--rate", "1000000"]
    }

    fn started(mut command: Command, home: TestHome, data: PathBuf) -> Live {
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split(['/', ',']).find_map(|word| word.parse().ok());
        Live { home, data, address: address.unwrap_or_else(|| panic!("it says {line:?}")), process }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// One request on a connection of its own. An error where the answer does not come whole.
    pub fn ask(&self, method: &str, path: &str, lines: &str, body: &[u8]) -> io::Result<Answer> {
        ask(self.address, method, path, lines, body)
    }

    pub fn get(&self, path: &str, key: &str) -> Answer {
        self.ask("GET", path, &bearer(key), b"").unwrap()
    }

    /// Signs somebody up; gives the key.
    pub fn sign_up(&self, email: &str) -> String {
        let body = json!({"email": email}).to_string();
        let answer = self.ask("POST", "/api/v1/auth/signup", "", body.as_bytes()).unwrap();
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()["raw_key"].as_str().unwrap().to_owned()
    }

    pub fn put(&self, key: &str, id: &str, archive: &[u8], etag: Option<&str>) -> io::Result<Answer> {
        put(self.address, key, id, archive, etag)
    }

    pub fn detail(&self, key: &str, id: &str) -> Value {
        let answer = self.get(&format!("/api/v1/sessions/{id}"), key);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// A session's files as the server gives them.
    pub fn files(&self, key: &str, id: &str) -> Vec<(String, Vec<u8>)> {
        files_of(&self.get(&format!("/api/v1/sessions/{id}/sync"), key).body)
    }

    /// `sessionfs serve` with more words, on the same folder.
    pub fn serve(&self, words: &[&str]) -> Run {
        self.home.sfs(&[&["serve"], words, &["--data", self.data.to_str().unwrap()]].concat())
    }

    pub fn assert_sound(&self) {
        let run = self.serve(&["check"]);
        assert_eq!(run.code, Some(0), "{run}");
    }

    /// Ends it; gives its code.
    fn ended(&mut self, signal: Signal) -> Option<i32> {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
        self.process.wait().unwrap().code()
    }

    /// Started again on the same folder.
    fn back(&mut self) {
        let home = std::mem::replace(&mut self.home, TestHome::new());
        *self = Live::on(home, self.data.clone());
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

fn bearer(key: &str) -> String {
    format!("Authorization: Bearer {key}\r\n")
}

fn ask(address: SocketAddr, method: &str, path: &str, lines: &str, body: &[u8]) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE * 3))?;
    let length = body.len();
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {length}\r\n{lines}\r\n");
    stream.write_all(&[head.as_bytes(), body].concat())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let cut = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let end = memchr::memmem::find(&bytes, b"\r\n\r\n").ok_or_else(cut)? + 4;
    let body = bytes.split_off(end);
    let head = String::from_utf8(bytes).map_err(io::Error::other)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(cut)?;
    let answer = Answer { status, head, body };
    let length = answer.header("Content-Length").map_or(0, |length| length.parse().unwrap());
    if answer.body.len() == length { Ok(answer) } else { Err(cut()) }
}

fn put(address: SocketAddr, key: &str, id: &str, archive: &[u8], etag: Option<&str>) -> io::Result<Answer> {
    let matching = etag.map(|etag| format!("If-Match: \"{etag}\"\r\n")).unwrap_or_default();
    let lines = format!("{}Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n{matching}", bearer(key));
    ask(address, "PUT", &format!("/api/v1/sessions/{id}/sync"), &lines, &form("file", archive))
}

/// The last push of a session that was acknowledged: its turns, and its `ETag`.
type Acknowledged = BTreeMap<String, (usize, String)>;

/// Pushes the ten sessions of client `number` in turn, each time longer by one, until the server is gone.
fn push_until_it_is_gone(
    (address, key, number): (SocketAddr, &str, u32),
    known: &Acknowledged,
    tell: &mpsc::Sender<(String, usize, String)>,
) {
    let mut known = known.clone();
    for round in 0.. {
        let id = id(number * 10 + round % 10);
        let before = known.get(&id);
        let turns = before.map_or(1, |(turns, _)| turns + 1);
        let archive = packed(&session(&id, turns));
        let Ok(answer) = put(address, key, &id, &archive, before.map(|(_, etag)| &etag[..])) else { return };
        assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
        let etag = answer.json()["etag"].as_str().unwrap().to_owned();
        known.insert(id.clone(), (turns, etag.clone()));
        let _ = tell.send((id, turns, etag));
    }
}

#[test]
fn a_server_that_is_killed_during_five_hundred_pushes_has_every_acknowledged_one() {
    let mut server = Live::new();
    let key = server.sign_up("alice@example.com");
    let mut known = Acknowledged::new();
    let mut pushes = 0;
    for goal in [3, 90, 200, 350, 500] {
        let mut acknowledged = known.clone();
        scope(|scope| {
            let (tell, told) = mpsc::channel();
            for number in 0..4 {
                let (address, key, known, tell) = (server.address, &key, &known, tell.clone());
                scope.spawn(move || push_until_it_is_gone((address, key, number), known, &tell));
            }
            drop(tell);
            // What is told after the kill had been answered before it.
            for (id, turns, etag) in told {
                acknowledged.insert(id, (turns, etag));
                pushes += 1;
                if pushes == goal {
                    server.ended(Signal::KILL);
                }
            }
        });
        server.assert_sound();
        server.back();
        for (id, (turns, etag)) in &acknowledged {
            let detail = server.detail(&key, id);
            // One more of each client may have been stored and not acknowledged.
            let stored = detail["turn_count"].as_u64().unwrap() as usize;
            assert!(stored == *turns && detail["etag"] == **etag || stored == turns + 1, "{id}: {turns} {detail}");
            assert!(server.files(&key, id) == session(id, stored), "{id}");
        }
        let listed = server.get("/api/v1/sessions?page_size=100", &key).json();
        let sessions = listed["sessions"].as_array().unwrap().iter();
        known = sessions
            .map(|session| {
                let id = session["id"].as_str().unwrap();
                let detail = server.detail(&key, id);
                let turns = detail["turn_count"].as_u64().unwrap() as usize;
                (id.to_owned(), (turns, detail["etag"].as_str().unwrap().to_owned()))
            })
            .collect();
    }
    assert!(pushes >= 500);
}

#[test]
fn a_full_disk_is_told_over_the_network_and_loses_nothing() {
    let home = TestHome::new();
    let small = home.path().join("small");
    std::fs::create_dir(&small).unwrap();
    let mount = format!("mount -t tmpfs -o size=8m none {}", small.display());
    let can = Command::new("unshare").args(["-rm", "sh", "-c", &mount]).stderr(Stdio::null()).status();
    if !can.is_ok_and(|status| status.success()) {
        return skip("server::live", "no file system can be mounted here");
    }
    let script = format!("{mount} && head -c 2000000 /dev/zero > {}/ballast && exec \"$@\"", small.display());
    let data = small.join("data");
    let inner = home.command(&Live::words(&data));
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", &script, "sh"]).arg(inner.get_program()).args(inner.get_args());
    command.env("HOME", home.path()).stdin(Stdio::null());
    let server = Live::started(command, home, data.clone());
    let key = server.sign_up("alice@example.com");
    let (mut seed, mut stored, mut refused) = (1u32, Vec::new(), Vec::new());
    let mut noise = |length: usize| -> Vec<u8> {
        let next = |_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 24) as u8
        };
        (0..length).map(next).collect()
    };
    for number in 0..100 {
        let files = vec![("messages.jsonl".to_owned(), b"{}\n".to_vec()), ("noise".to_owned(), noise(150_000))];
        let answer = server.put(&key, &id(number), &packed(&files), None).unwrap();
        match answer.status {
            201 => stored.push((id(number), files)),
            status => refused.push((status, answer.json()["error"]["message"].clone())),
        }
        assert_eq!(server.get("/health", "").status, 200);
    }
    assert!(stored.len() > 3 && refused.len() > 3, "{} {refused:?}", stored.len());
    assert!(refused.iter().all(|(status, _)| *status == 507), "{refused:?}");
    // The same file system, as seen from here.
    let root = Path::new("/proc").join(server.process.id().to_string()).join("root");
    std::fs::remove_file(root.join(small.strip_prefix("/").unwrap()).join("ballast")).unwrap();
    for (id, files) in &stored {
        assert!(server.files(&key, id) == *files, "{id}");
    }
    let listed = server.get("/api/v1/sessions", &key).json();
    assert_eq!(listed["total"], stored.len());
    let check = server.home.command(&["serve", "check", "--data", data.to_str().unwrap()]);
    let mut inside = Command::new("nsenter");
    inside.args(["--target", &server.process.id().to_string(), "--user", "--mount", "--preserve-credentials"]);
    let output = inside.arg(check.get_program()).args(check.get_args()).env("HOME", server.home.path()).output();
    let run = server.home.finish(output.unwrap());
    assert_eq!(run.code, Some(0), "{run}");
    assert_eq!(server.put(&key, &id(500), &packed(&session(&id(500), 1)), None).unwrap().status, 201, "it goes on");
}

#[test]
fn the_service_file_starts_a_server() {
    let unit = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/sessionfs.service")).unwrap();
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/sessionfs ")).unwrap();
    let home = TestHome::new();
    let data = home.path().join("data");
    let words = line.replace("/var/lib/sessionfs", data.to_str().unwrap()).replace("127.0.0.1:8800", "127.0.0.1:0");
    let command = home.command(&words.split(' ').collect::<Vec<_>>());
    let server = Live::started(command, home, data);
    let key = server.sign_up("alice@example.com");
    assert_eq!(server.get("/api/v1/auth/me", &key).json()["email"], "alice@example.com");
}

#[test]
fn sigterm_lets_a_push_finish() {
    let mut server = Live::new();
    let key = server.sign_up("alice@example.com");
    let body = form("file", &packed(&session(&id(1), 9)));
    let mut client = stand::Client::from(TcpStream::connect(server.address).unwrap());
    client.say(&format!(
        "PUT /api/v1/sessions/{}/sync HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\
         Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n{}\r\n",
        id(1),
        body.len(),
        bearer(&key)
    ));
    assert!(client.head().unwrap().contains("100 Continue"));
    client.send(&body[..100]);
    kill_process(Pid::from_child(&server.process), Signal::TERM).unwrap();
    stand::eventually("nobody listens", || TcpStream::connect(server.address).is_err());
    client.send(&body[100..]);
    assert_eq!(client.answer().unwrap().status, 201);
    assert_eq!(server.process.wait().unwrap().code(), Some(0));
    server.back();
    assert!(server.files(&key, &id(1)) == session(&id(1), 9));
}

#[test]
fn an_upload_of_somebody_unknown_is_refused_before_its_body_comes() {
    let server = Live::new();
    server.sign_up("alice@example.com");
    let disabled = server.sign_up("bob@example.com");
    server.serve(&["disable", "bob@example.com"]);
    for (method, path, lines, status) in [
        ("PUT", "/api/v1/sessions/ses_0000000000000001/sync", String::new(), 401),
        ("PUT", "/api/v1/sessions/ses_0000000000000001/sync", bearer("sk_sfs_no"), 401),
        ("POST", "/api/v1/delta/push", bearer("sk_sfs_no"), 401),
        ("POST", "/api/v1/sessions", bearer(&disabled), 403),
    ] {
        let mut client = stand::Client::from(TcpStream::connect(server.address).unwrap());
        client.say(&format!("{method} {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n{lines}\r\n"));
        let answer = client.answer().unwrap();
        assert_eq!((answer.status, answer.json()["error"]["details"].is_object()), (status, true), "{}", answer.text());
    }
}

#[test]
fn a_backup_made_while_clients_push_has_what_was_acknowledged_before_it() {
    let server = Live::new();
    let key = server.sign_up("alice@example.com");
    let (tell, told) = mpsc::channel();
    scope(|scope| {
        for number in 0..4 {
            let (address, key, tell) = (server.address, &key, tell.clone());
            scope.spawn(move || push_until_it_is_gone((address, key, number), &Acknowledged::new(), &tell));
        }
        let before: Vec<_> = told.iter().take(60).collect();
        for round in 0..3 {
            let file = server.home.path().join(format!("backup{round}.tar"));
            let run = server.serve(&["backup", file.to_str().unwrap()]);
            assert_eq!(run.code, Some(0), "{run}");
            let data = server.home.path().join(format!("restored{round}"));
            std::fs::create_dir(&data).unwrap();
            assert!(Command::new("tar").arg("-xf").arg(&file).arg("-C").arg(&data).status().unwrap().success());
            let restored = Live::on(TestHome::new(), data);
            restored.assert_sound();
            for (id, turns, _) in &before {
                let stored = restored.detail(&key, id)["turn_count"].as_u64().unwrap() as usize;
                assert!(stored >= *turns, "{id}");
                assert!(restored.files(&key, id) == session(id, stored), "{id}");
            }
        }
        kill_process(Pid::from_child(&server.process), Signal::TERM).unwrap();
    });
}
