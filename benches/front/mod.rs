//! The server's front under attack and under load: a server in a process of its own with 1,024 files, attackers in another at
//! 127.0.0.2 to .9, the health check here at 127.0.0.1.

mod attack;
mod load;
mod push;
mod real;
mod service;

use crate::measure::Bench;
use crate::process::Running;
use crate::{Limit, Report};
use argh::FromArgs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long each attack lasts, and all of them together: longer than a head may take.
const ONE: Duration = Duration::from_secs(8);
const TOGETHER: Duration = Duration::from_secs(20);
const LOAD: Duration = Duration::from_secs(4);
const PATIENCE: Duration = Duration::from_secs(10);

/// The processes that the measurement starts.
#[derive(FromArgs)]
#[argh(subcommand, name = "front")]
pub(crate) struct Front {
    #[argh(subcommand)]
    command: Part,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum Part {
    Serve(service::Serve),
    Attack(attack::Attack),
    Load(load::Load),
    Push(push::Push),
}

impl Front {
    pub(crate) fn run(&self) -> io::Result<()> {
        match &self.command {
            Part::Serve(serve) => serve.run(),
            Part::Attack(attack) => attack.run(),
            Part::Load(load) => load.run(),
            Part::Push(push) => push.run(),
        }
    }
}

/// A server with so many open files.
struct Stand {
    process: Running,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Stand {
    fn start(bench: &Bench, files: u64) -> io::Result<Stand> {
        std::fs::create_dir_all(&bench.scratch)?;
        let folder = tempfile::tempdir_in(&bench.scratch)?;
        let log = folder.path().join("log");
        let mut command = part(&["serve", "--files", &files.to_string()]);
        let process = Running::start(command.arg(folder.path()), &log)?;
        let address = eventually(|| {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            text.lines().find_map(|line| line.strip_prefix("listens at ")?.parse().ok())
        })?;
        Ok(Stand { process, address, _folder: folder })
    }
}

/// Attackers of one kind, until this is dropped.
struct Attackers {
    _process: Running,
}

impl Attackers {
    fn start(bench: &Bench, kind: &str, address: SocketAddr) -> io::Result<Attackers> {
        let log = bench.scratch.join("attack.log");
        Ok(Attackers { _process: Running::start(&mut part(&["attack", kind, &address.to_string()]), &log)? })
    }
}

/// This program again, as one of [`Part`].
fn part(words: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap_or_default());
    command.arg("front").args(words);
    command
}

fn eventually<T>(look: impl Fn() -> Option<T>) -> io::Result<T> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(found) = look() {
            return Ok(found);
        }
        sleep(Duration::from_millis(20));
    }
    Err(io::Error::other("the server does not start"))
}

pub(crate) fn measure(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let stand = Stand::start(bench, 1024)?;
    let (_, slowest) = watch(stand.address, Duration::from_secs(2));
    report.line("front: GET /health, left in peace: slowest", ms(slowest), "ms", Limit::Free);
    for kind in attack::ALL.map(|(name, _)| name).into_iter().chain(["together"]) {
        let lasts = if kind == "together" { TOGETHER } else { ONE };
        let _attackers = Attackers::start(bench, kind, stand.address)?;
        let (median, slowest) = watch(stand.address, lasts);
        let what = format!("front: GET /health under {kind}: median");
        report.line(&what, ms(median), "ms", Limit::Free);
        report.line(&what.replace("median", "slowest"), ms(slowest), "ms", Limit::Below(200.0));
    }
    let peak = stand.process.peak()? as f64 / 1e6;
    report.line("front: peak memory of the server, all attacks over", peak, "MB", Limit::Below(64.0));
    let alive = service::workers_alive(stand.address)?;
    report.line("front: workers that still work", alive as f64, "", Limit::AtLeast(service::WORKERS as f64));
    drop(stand);
    let stand = Stand::start(bench, 16 * 1024)?;
    for connections in [4, 32, 256] {
        let seconds = LOAD.as_secs().to_string();
        let mut command = part(&["load", &stand.address.to_string(), &connections.to_string(), &seconds]);
        let output = crate::process::run(&mut command)?.output;
        let figures: load::Figures = serde_json::from_slice(&output)?;
        let what = format!("front: small reads over {connections} connections");
        report.line(&what, figures.per_second, "/s", Limit::Free);
        report.line(&format!("{what}: slowest hundredth above"), figures.p99_ms, "ms", Limit::Free);
        if figures.failed > 0 {
            report.line(&format!("{what}: failed"), figures.failed as f64, "", Limit::Below(1.0));
        }
    }
    drop(stand);
    real::measure(bench, report)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Asks for the server's health on fresh connections; the median and the slowest. A failure counts as [`PATIENCE`].
fn watch(address: SocketAddr, lasts: Duration) -> (Duration, Duration) {
    let end = Instant::now() + lasts;
    let mut times = Vec::new();
    while Instant::now() < end {
        let begin = Instant::now();
        let time = health(address).map_or(PATIENCE, |()| begin.elapsed());
        times.push(time);
        sleep(Duration::from_millis(10));
    }
    times.sort();
    (times[times.len() / 2], times[times.len() - 1])
}

fn health(address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.starts_with("HTTP/1.1 200 ") { Ok(()) } else { Err(io::Error::other(answer)) }
}
