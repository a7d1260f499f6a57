//! Attackers: each kind from eight addresses at once, until killed.

use argh::FromArgs;
use rustix::net::{AddressFamily, SocketType};
use rustix::process::{Resource, Rlimit, getrlimit, nice, setrlimit};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::{scope, sleep};
use std::time::Duration;

type Kind = fn(Attacker) -> io::Result<()>;

pub(super) const ALL: [(&str, Kind); 8] = [
    ("idle connections", idle),
    ("half-sent heads", half_sent),
    ("endless heads", endless_heads),
    ("false lengths", false_lengths),
    ("slow bodies", slow_bodies),
    ("slow readers", slow_readers),
    ("bursts", bursts),
    ("smuggling", smuggling),
];
/// Of each kind of held connections, from all addresses together.
const HELD: usize = 2000;
const ADDRESSES: [u8; 8] = [2, 3, 4, 5, 6, 7, 8, 9];
const MANY: &[u8] = &[b'a'; 64 * 1024];
const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

/// Attack until killed
#[derive(FromArgs)]
#[argh(subcommand, name = "attack")]
pub(super) struct Attack {
    #[argh(positional)]
    kind: String,
    #[argh(positional)]
    address: SocketAddr,
}

impl Attack {
    pub(super) fn run(&self) -> io::Result<()> {
        // Real attackers do not share the server's processors; these must, and step back a little.
        nice(10)?;
        let files = getrlimit(Resource::Nofile).maximum;
        setrlimit(Resource::Nofile, Rlimit { current: files, maximum: files })?;
        scope(|scope| {
            for (name, attack) in ALL.into_iter().filter(|(name, _)| self.kind == "together" || self.kind == *name) {
                for source in ADDRESSES {
                    let attacker = Attacker { server: self.address, source };
                    // A refused attacker comes again.
                    scope.spawn(move || {
                        loop {
                            if let Err(error) = attack(attacker)
                                && error.kind() == io::ErrorKind::AddrNotAvailable
                            {
                                eprintln!("{name}: {error}");
                            }
                            sleep(Duration::from_millis(1));
                        }
                    });
                }
            }
        });
        Ok(())
    }
}

/// One of the eight.
#[derive(Clone, Copy)]
pub(super) struct Attacker {
    server: SocketAddr,
    source: u8,
}

impl Attacker {
    fn connect(self) -> io::Result<TcpStream> {
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
        rustix::net::bind(&socket, &SocketAddr::from(([127, 0, 0, self.source], 0)))?;
        rustix::net::connect(&socket, &self.server)?;
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.set_write_timeout(Some(Duration::from_secs(5)))?;
        Ok(stream)
    }

    fn say(self, text: &str) -> io::Result<TcpStream> {
        let mut stream = self.connect()?;
        stream.write_all(text.as_bytes())?;
        Ok(stream)
    }

    /// Keeps `count` connections open that have said `text`, and gives each something to do ten times a second. Those that
    /// were closed come again after a second: what measures and what is measured share the processors, and a storm without
    /// any pause would only measure the attackers.
    fn hold(self, count: usize, text: &str, each: impl Fn(&mut TcpStream) -> io::Result<()>) -> io::Result<()> {
        let mut held = Vec::new();
        loop {
            while held.len() < count {
                held.push(self.say(text)?);
            }
            for _ in 0..10 {
                sleep(Duration::from_millis(100));
                held.retain_mut(|stream| each(stream).is_ok() && is_open(stream));
            }
        }
    }
}

fn is_open(stream: &TcpStream) -> bool {
    let _ = stream.set_nonblocking(true);
    let peeked = stream.peek(&mut [0]);
    let _ = stream.set_nonblocking(false);
    peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

fn idle(attacker: Attacker) -> io::Result<()> {
    attacker.hold(HELD / ADDRESSES.len(), "", |_| Ok(()))
}

fn half_sent(attacker: Attacker) -> io::Result<()> {
    attacker.hold(HELD / ADDRESSES.len(), "GET / HTTP/1.1\r\nHost: h\r\nX: ", |_| Ok(()))
}

fn endless_heads(attacker: Attacker) -> io::Result<()> {
    let mut stream = attacker.say("GET / HTTP/1.1\r\nHost: h\r\nX: ")?;
    while stream.write_all(MANY).is_ok() {}
    Ok(())
}

fn false_lengths(attacker: Attacker) -> io::Result<()> {
    for length in ["100000000000", "18446744073709551615", "18446744073709551616", "-1", "1000"] {
        let mut stream = attacker.say(&format!("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\nless"))?;
        stream.shutdown(std::net::Shutdown::Write)?;
        let _ = stream.read(&mut [0; 1000]);
    }
    Ok(())
}

/// A little more than the least rate that is asked for.
fn slow_bodies(attacker: Attacker) -> io::Result<()> {
    let head = "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000000\r\n\r\n";
    attacker.hold(100, head, |stream| stream.write_all(&MANY[..1100]))
}

fn slow_readers(attacker: Attacker) -> io::Result<()> {
    attacker.hold(20, &GET.repeat(2000), |_| Ok(()))
}

fn bursts(attacker: Attacker) -> io::Result<()> {
    let mut streams = (0..50).map(|_| attacker.say(&GET.repeat(5))).collect::<io::Result<Vec<_>>>()?;
    for stream in &mut streams {
        let _ = stream.shutdown(std::net::Shutdown::Write);
        while stream.read(&mut [0; 4096]).is_ok_and(|length| length > 0) {}
    }
    Ok(())
}

fn smuggling(attacker: Attacker) -> io::Result<()> {
    for lines in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Content-Length: 0\r\nContent-Length: 4",
        "Transfer-Encoding: chunked",
        "Content-Length: 0\nX: a",
        "X: \0",
        "X: a\r\n Content-Length: 4",
    ] {
        let text =
            format!("PUT / HTTP/1.1\r\nHost: h\r\n{lines}\r\n\r\n0\r\n\r\nGET /panic HTTP/1.1\r\nHost: h\r\n\r\n");
        let _ = attacker.say(&text)?.read(&mut [0; 1000]);
    }
    // What a service must never do, and may do all the same.
    let _ = attacker.say("GET /panic HTTP/1.1\r\nHost: h\r\n\r\n")?.read(&mut [0; 1000]);
    Ok(())
}
