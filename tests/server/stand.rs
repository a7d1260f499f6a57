//! A server in this process with a service made for tests, and clients that say exactly what a test wants.

use rustix::net::{AddressFamily, SocketType};
use sessionfs::server::exchange::{Body, Opening, Request, Response, Service};
use sessionfs::server::{Entry, Limits, Options, Pace, Server};
use smol::channel::Sender;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// No test says how fast the server is, only that it gets there.
pub const PATIENCE: Duration = Duration::from_secs(20);
pub const BODY_LIMIT: u64 = 8 << 20;

/// Answers a few paths, and remembers what it was asked.
#[derive(Default)]
pub struct TestService {
    asked: Mutex<Vec<String>>,
    /// Requests for `/gate` wait until it is open.
    gate: Mutex<bool>,
    opened: Condvar,
}

impl TestService {
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    pub fn open_gate(&self) {
        *self.gate.lock().unwrap() = true;
        self.opened.notify_all();
    }

    fn wait_at_gate(&self) {
        let gate = self.gate.lock().unwrap();
        drop(self.opened.wait_timeout_while(gate, PATIENCE, |is_open| !*is_open).unwrap());
    }
}

impl Service for TestService {
    fn body_limit(&self, _method: &str, path: &str) -> u64 {
        if path == "/small" { 10 } else { BODY_LIMIT }
    }

    fn deny(&self, opening: &Opening) -> Option<Response> {
        let is_welcome = opening.path != "/members" || opening.header("authorization") == Some("Bearer member");
        (!is_welcome).then(|| Response::bytes(401, "text/plain", b"members only".to_vec()).with("X-Split", "a\r\nX: b"))
    }

    fn answer(&self, request: &mut Request) -> Response {
        self.asked.lock().unwrap().push(format!("{} {}", request.method, request.path));
        match request.path.as_str() {
            "/who" => {
                let headers: Vec<String> =
                    request.headers.iter().map(|(name, value)| format!("{name}={value}")).collect();
                let text = format!("{} {} ?{} {}", request.client, request.secure, request.query, headers.join(" "));
                Response::bytes(200, "text/plain", text.into_bytes())
            }
            "/echo" => {
                let mut bytes = Vec::new();
                request.body.read_to_end(&mut bytes).unwrap();
                assert_eq!(bytes.len() as u64, request.length);
                Response::bytes(200, "application/octet-stream", bytes)
            }
            "/bytes" => Response::bytes(200, "", pattern(request.query.parse().unwrap())),
            "/file" => {
                let mut file = tempfile::tempfile().unwrap();
                let bytes = pattern(request.query.parse().unwrap());
                file.write_all(&bytes).unwrap();
                Response { status: 200, headers: Vec::new(), body: Body::File(file, bytes.len() as u64) }
            }
            "/short" => {
                Response { status: 200, headers: Vec::new(), body: Body::File(File::open("/dev/null").unwrap(), 10) }
            }
            "/gate" => {
                self.wait_at_gate();
                Response::bytes(200, "", b"through".to_vec())
            }
            "/panic" => panic!("as the test wants"),
            "/split" => Response::empty(204).with("X-Split", "a\r\nX-Made-Up: b"),
            "/cached" => Response::empty(304).with("ETag", "\"e\"").with("cache-control", "private"),
            _ => Response::bytes(200, "text/plain", b"hello".to_vec()),
        }
    }
}

/// Bytes in which none stands for another.
pub fn pattern(length: usize) -> Vec<u8> {
    let mut bytes = (0..251).collect::<Vec<u8>>().repeat(length / 251 + 1);
    bytes.truncate(length);
    bytes
}

/// A server that is stopped with the test.
pub struct Stand {
    pub address: SocketAddr,
    pub service: Arc<TestService>,
    pub log: Arc<Mutex<Vec<String>>>,
    pub folder: PathBuf,
    stop: Sender<()>,
    thread: Option<JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

pub fn options(folder: &Path) -> Options {
    Options {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        folder: folder.to_owned(),
        workers: 2,
        health: "{\"status\":\"healthy\"}".to_owned(),
        trusted_proxies: Vec::new(),
        cors_origins: Vec::new(),
        limits: Limits {
            pace: Pace { grace: PATIENCE, ..Limits::default().pace },
            head: PATIENCE,
            idle: PATIENCE,
            ..Limits::default()
        },
        log: Arc::new(|_: &Entry<'_>| {}),
    }
}

impl Stand {
    pub fn new() -> Stand {
        Stand::with(|_| {})
    }

    /// One whose options a test changes.
    pub fn with(change: impl FnOnce(&mut Options)) -> Stand {
        let folder = tempfile::tempdir().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let mut options = options(folder.path());
        let lines = Arc::clone(&log);
        options.log = Arc::new(move |entry| lines.lock().unwrap().push(entry.to_string()));
        change(&mut options);
        let service = Arc::new(TestService::default());
        let (stop, stops) = smol::channel::unbounded();
        let (tell, told) = std::sync::mpsc::channel();
        let its_service = Arc::clone(&service);
        // A server stays on the thread that opened it.
        let thread = std::thread::spawn(move || {
            let server = Server::open(options, its_service).unwrap();
            tell.send(server.address()).unwrap();
            server.run_until(Box::pin(stops)).unwrap();
        });
        let address = told.recv().unwrap();
        let path = folder.path().to_owned();
        Stand { address, service, log, folder: path, stop, thread: Some(thread), _folder: folder }
    }

    pub fn client(&self) -> Client {
        Client::from(TcpStream::connect(self.address).unwrap())
    }

    /// A client at 127.0.0.`last`.
    pub fn client_from(&self, last: u8) -> Client {
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        rustix::net::bind(&socket, &SocketAddr::from(([127, 0, 0, last], 0))).unwrap();
        rustix::net::connect(&socket, &self.address).unwrap();
        Client::from(TcpStream::from(socket))
    }

    /// What one request on a connection of its own is answered.
    pub fn ask(&self, text: &str) -> Answer {
        let mut client = self.client();
        client.say(text);
        client.answer().unwrap()
    }

    /// Tells the server to stop.
    pub fn stop(&self) {
        self.stop.send_blocking(()).unwrap();
    }

    /// Waits until the server has ended.
    pub fn ended(&mut self) {
        self.thread.take().unwrap().join().unwrap();
    }

    /// Waits until the service has been asked that often.
    pub fn eventually_asked(&self, count: usize) {
        eventually("the service is asked", || self.service.asked().len() == count);
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        self.service.open_gate();
        let _ = (self.stop.send_blocking(()), self.stop.send_blocking(()));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A raw connection.
pub struct Client {
    pub stream: TcpStream,
    buffer: Vec<u8>,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl From<TcpStream> for Client {
    fn from(stream: TcpStream) -> Client {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Client { stream, buffer: Vec::new() }
    }
}

impl Client {
    pub fn say(&mut self, text: &str) {
        self.send(text.as_bytes());
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub fn get(&mut self, path: &str) -> Answer {
        self.say(&format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
        self.answer().unwrap()
    }

    /// The head of the next answer; none where the connection ends first.
    pub fn head(&mut self) -> Option<String> {
        let end = loop {
            if let Some(at) = memchr::memmem::find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            if self.more() == 0 {
                assert!(self.buffer.is_empty(), "the answer is cut off");
                return None;
            }
        };
        Some(String::from_utf8(self.buffer.drain(..end).collect()).unwrap())
    }

    /// The next answer; none where the connection ends first.
    pub fn answer(&mut self) -> Option<Answer> {
        let mut answer = Answer { status: 0, head: self.head()?, body: Vec::new() };
        answer.status = answer.head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = answer.header("Content-Length").map_or(0, |length| length.parse().unwrap());
        while self.buffer.len() < length {
            assert_ne!(self.more(), 0, "the body is cut off");
        }
        answer.body = self.buffer.drain(..length).collect();
        Some(answer)
    }

    /// True once the server has closed, with nothing more to say.
    pub fn is_closed(&mut self) -> bool {
        self.buffer.is_empty() && self.more() == 0
    }

    /// How much is still to be read until the server closes or cuts off.
    pub fn rest(&mut self) -> usize {
        let mut bytes = Vec::new();
        let _ = self.stream.read_to_end(&mut bytes);
        bytes.len()
    }

    /// Says that nothing more will come.
    pub fn end(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    fn more(&mut self) -> usize {
        let mut block = [0; 16 * 1024];
        match self.stream.read(&mut block) {
            Ok(length) => {
                self.buffer.extend_from_slice(&block[..length]);
                length
            }
            // Closed with bytes of ours unread.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => 0,
            Err(error) => panic!("the server does not answer: {error}"),
        }
    }
}
