//! Well-behaved clients, each on a kept connection, as fast as they are answered.

use argh::FromArgs;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// Ask for something small, again and again
#[derive(FromArgs)]
#[argh(subcommand, name = "load")]
pub(super) struct Load {
    #[argh(positional)]
    address: SocketAddr,
    #[argh(positional)]
    connections: usize,
    #[argh(positional)]
    seconds: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Figures {
    pub(super) per_second: f64,
    pub(super) p99_ms: f64,
    pub(super) failed: usize,
}

impl Figures {
    /// Of requests that took `times`, all of them together `took`.
    pub(super) fn of(mut times: Vec<Duration>, took: Duration, failed: usize) -> Figures {
        times.sort();
        let p99 = times.get(times.len() * 99 / 100).copied().unwrap_or_default();
        let per_second = times.len() as f64 / took.as_secs_f64();
        Figures { per_second, p99_ms: p99.as_secs_f64() * 1000.0, failed }
    }
}

impl Load {
    pub(super) fn run(&self) -> io::Result<()> {
        let lasts = Duration::from_secs(self.seconds);
        let begin = Instant::now();
        let address = self.address;
        let clients: Vec<_> =
            (0..self.connections).map(|_| thread::spawn(move || ask(address, begin + lasts))).collect();
        let (mut times, mut failed) = (Vec::new(), 0);
        for client in clients {
            match client.join() {
                Ok(Ok(asked)) => times.extend(asked),
                _ => failed += 1,
            }
        }
        println!("{}", serde_json::to_string(&Figures::of(times, begin.elapsed(), failed))?);
        Ok(())
    }
}

fn ask(address: SocketAddr, end: Instant) -> io::Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let (mut times, mut buffer) = (Vec::new(), [0; 4096]);
    while Instant::now() < end {
        let begin = Instant::now();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")?;
        let mut length = stream.read(&mut buffer)?;
        // The body is 300 times the same.
        while !buffer[..length].ends_with(&[b'7'; 300]) {
            match stream.read(&mut buffer[length..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                more => length += more,
            }
        }
        times.push(begin.elapsed());
    }
    Ok(times)
}
