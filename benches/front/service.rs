//! The server that is measured: the real front, and a service that does next to nothing.

use argh::FromArgs;
use rustix::process::{Resource, Rlimit, setrlimit};
use sessionfs::server::exchange::{Request, Response, Service};
use sessionfs::server::{Entry, Limits, Options, Server};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

pub(super) const WORKERS: usize = 8;
const MEET_WITHIN: Duration = Duration::from_secs(10);

/// Serve until killed
#[derive(FromArgs)]
#[argh(subcommand, name = "serve")]
pub(super) struct Serve {
    /// how many files may be open
    #[argh(option)]
    files: u64,
    #[argh(positional)]
    folder: String,
}

impl Serve {
    pub(super) fn run(&self) -> io::Result<()> {
        let files = Some(self.files);
        setrlimit(Resource::Nofile, Rlimit { current: files, maximum: files })?;
        let options = Options {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            folder: self.folder.clone().into(),
            workers: WORKERS,
            health: "{\"status\":\"healthy\"}".to_owned(),
            trusted_proxies: Vec::new(),
            cors_origins: Vec::new(),
            limits: Limits::default(),
            // Only what went wrong: where it is measured, every line would cost as much as the request.
            log: Arc::new(|entry: &Entry<'_>| {
                if let Entry::Event(_) = entry {
                    eprintln!("{entry}");
                }
            }),
        };
        let failed = |error: sessionfs::error::Error| io::Error::other(error.message());
        let server = Server::open(options, Arc::new(Measured::default())).map_err(failed)?;
        println!("listens at {}", server.address());
        server.run().map_err(failed)
    }
}

/// `/meet` is answered once all workers are there at one time.
#[derive(Default)]
struct Measured {
    met: Mutex<usize>,
    all: Condvar,
}

impl Service for Measured {
    fn body_limit(&self, _method: &str, _path: &str) -> u64 {
        100 << 20
    }

    fn answer(&self, request: &mut Request) -> Response {
        match request.path.as_str() {
            "/meet" => self.meet(),
            "/panic" => std::panic::resume_unwind(Box::new("as the bench wants")),
            _ => Response::bytes(200, "application/json", vec![b'7'; 300]),
        }
    }
}

impl Measured {
    fn meet(&self) -> Response {
        let mut met = self.met.lock().unwrap();
        *met += 1;
        self.all.notify_all();
        let (met, late) = self.all.wait_timeout_while(met, MEET_WITHIN, |met| *met < WORKERS).unwrap();
        drop(met);
        Response::empty(if late.timed_out() { 500 } else { 200 })
    }
}

/// How many of the workers come to work at one time.
pub(super) fn workers_alive(address: SocketAddr) -> io::Result<usize> {
    let mut streams = (0..WORKERS).map(|_| TcpStream::connect(address)).collect::<io::Result<Vec<_>>>()?;
    for stream in &mut streams {
        stream.write_all(b"GET /meet HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")?;
    }
    let met = streams.iter_mut().filter_map(|stream| {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.starts_with("HTTP/1.1 200 ").then_some(())
    });
    Ok(met.count())
}
