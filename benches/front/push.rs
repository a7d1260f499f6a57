//! Clients of the real server, each an account of its own at an address of its own: they push a session that grows, and read.

use super::load::Figures;
use argh::FromArgs;
use rustix::net::{AddressFamily, SocketType};
use serde_json::Value;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

const BOUNDARY: &str = "4c78920546c901a4ff72bffb7828a3be";
/// Requests of a client between two pushes: its list, and its session's state.
const READS: [&str; 2] = ["/api/v1/sessions", "/api/v1/sessions/ses_00000000000000aa"];

/// Push and read, again and again
#[derive(FromArgs)]
#[argh(subcommand, name = "push")]
pub(super) struct Push {
    #[argh(positional)]
    address: SocketAddr,
    #[argh(positional)]
    clients: u8,
    #[argh(positional)]
    seconds: u64,
}

impl Push {
    pub(super) fn run(&self) -> io::Result<()> {
        let begin = Instant::now();
        let end = begin + Duration::from_secs(self.seconds);
        let address = self.address;
        let clients: Vec<_> =
            (1..=self.clients).map(|number| thread::spawn(move || client(address, number, end))).collect();
        let (mut times, mut failed) = (Vec::new(), 0);
        for client in clients {
            match client.join() {
                Ok(Ok(pushed)) => times.extend(pushed),
                Ok(Err(error)) => {
                    eprintln!("{error}");
                    failed += 1;
                }
                Err(_) => failed += 1,
            }
        }
        println!("{}", serde_json::to_string(&Figures::of(times, begin.elapsed(), failed))?);
        Ok(())
    }
}

/// Pushes until `end`; says how long each push took.
fn client(address: SocketAddr, number: u8, end: Instant) -> io::Result<Vec<Duration>> {
    let mut connection = Connection::open(address, number)?;
    let signup = format!("{{\"email\":\"client{number}-{}@example.com\"}}", std::process::id());
    let answer = connection.ask("POST", "/api/v1/auth/signup", "", signup.as_bytes())?;
    let key = format!("Authorization: Bearer {}\r\n", word(&answer, "raw_key")?);
    let (mut messages, mut etag, mut times) = (String::new(), String::new(), Vec::new());
    while Instant::now() < end {
        for turn in 0..5 {
            let text = format!("{number} {turn} {:x?}", Instant::now()).repeat(20);
            let message = serde_json::json!({"role": "user", "content": [{"type": "text", "text": text}]});
            messages.extend([message.to_string().as_str(), "\n"]);
        }
        let lines = format!("{key}{etag}Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n");
        let form = form(&messages)?;
        let begin = Instant::now();
        let answer = connection.ask("PUT", "/api/v1/sessions/ses_00000000000000aa/sync", &lines, &form)?;
        times.push(begin.elapsed());
        etag = format!("If-Match: \"{}\"\r\n", word(&answer, "etag")?);
        for path in READS {
            connection.ask("GET", path, &key, b"")?;
        }
    }
    Ok(times)
}

fn word(answer: &Value, name: &str) -> io::Result<String> {
    answer[name].as_str().map(str::to_owned).ok_or_else(|| io::Error::other(answer.to_string()))
}

fn form(messages: &str) -> io::Result<Vec<u8>> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    let mut header = tar::Header::new_ustar();
    header.set_size(messages.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, "messages.jsonl", messages.as_bytes())?;
    let archive = tar.into_inner()?.finish()?;
    let head = "Content-Disposition: form-data; name=\"file\"; filename=\"session.tar.gz\"";
    let head = format!("--{BOUNDARY}\r\n{head}\r\nContent-Type: application/gzip\r\n\r\n");
    Ok([head.as_bytes(), &archive, format!("\r\n--{BOUNDARY}--\r\n").as_bytes()].concat())
}

/// A kept connection from 127.0.1.`number`.
struct Connection {
    stream: TcpStream,
}

impl Connection {
    fn open(address: SocketAddr, number: u8) -> io::Result<Connection> {
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
        rustix::net::bind(&socket, &SocketAddr::from(([127, 0, 1, number], 0)))?;
        rustix::net::connect(&socket, &address)?;
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Connection { stream })
    }

    /// What is answered, which must be good and JSON.
    fn ask(&mut self, method: &str, path: &str, lines: &str, body: &[u8]) -> io::Result<Value> {
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n{lines}\r\n");
        self.stream.write_all(&[head.as_bytes(), body].concat())?;
        let (mut bytes, mut block) = (Vec::new(), [0; 16 * 1024]);
        loop {
            let read = self.stream.read(&mut block)?;
            bytes.extend_from_slice(&block[..read]);
            let Some(end) = memchr::memmem::find(&bytes, b"\r\n\r\n").filter(|_| read > 0) else {
                if read == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                continue;
            };
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse::<usize>().ok());
            let body = &bytes[end + 4..];
            if body.len() == length.unwrap_or(0) {
                let is_good = head.starts_with("HTTP/1.1 2");
                return if is_good { Ok(serde_json::from_slice(body)?) } else { Err(io::Error::other(head)) };
            }
        }
    }
}
