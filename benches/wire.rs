//! The sync between one device and the real server: what crosses the wire for what is new, and what a sync without news costs
//! the server.

use crate::corpus::random::{Pools, Random};
use crate::measure::Bench;
use crate::process::{Running, run};
use crate::{Limit, Report};
use serde_json::json;
use std::fs;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

const SESSIONS: usize = 10_000;
/// Turns of the session that is pushed and then grows; of one appended piece.
const LONG: usize = 400;
const MORE: usize = 20;
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn measure(bench: &Bench, report: &mut Report) -> io::Result<()> {
    fs::create_dir_all(&bench.scratch)?;
    let pair = Pair::start(bench)?;
    let mut random = Random::new(5);
    let pools = Pools::new(&mut random);
    let file = pair.rollout(0);
    let mut piece = |turns: usize| -> String {
        (0..turns).fold(String::new(), |text, _| {
            let (prose, code) = (random.pick::<String>(&pools.prose), random.pick::<String>(&pools.code));
            text + &said(prose) + "\n" + &said(code) + "\n"
        })
    };
    for (what, turns) in [("a new session", LONG), ("twenty turns more", MORE), ("nothing new", 0)] {
        let mut text = if turns == LONG { format!("{}\n", meta(0)) } else { String::new() };
        text.push_str(&piece(turns));
        fs::OpenOptions::new().create(true).append(true).open(&file)?.write_all(text.as_bytes())?;
        pair.sfs(&["import"])?;
        let before = pair.asked()?.len();
        pair.sfs(&["push"])?;
        let sent: u64 = pair.asked()?[before..].iter().map(|asked| asked.received).sum();
        let packed = zstd::bulk::compress(text.as_bytes(), 6)?.len() as f64;
        let what = format!("sync: bytes sent for {what} of {} kB", text.len() / 1000);
        let most = if turns == 0 { 1.0 } else { 1.2 * packed + 2000.0 };
        report.line(&what, sent as f64, "bytes", Limit::Below(most));
    }

    for number in 1..SESSIONS {
        fs::write(pair.rollout(number), format!("{}\n{}\n", meta(number), said(&format!("prompt {number}"))))?;
    }
    pair.sfs(&["import"])?;
    let begin = Instant::now();
    pair.sfs(&["sync"])?;
    report.line("sync: 10,000 small sessions, the first time", begin.elapsed().as_secs_f64(), "s", Limit::Free);
    pair.sfs(&["sync"])?;
    let before = pair.asked()?.len();
    pair.sfs(&["sync"])?;
    let asked = pair.asked()?.split_off(before);
    report.line("sync: requests for nothing new in 10,000 sessions", asked.len() as f64, "", Limit::Below(2.0));
    let took = asked.iter().map(|asked| asked.ms).max().unwrap_or_default();
    report.line("sync: the server's time for it", took as f64, "ms", Limit::Below(100.0));
    report.line("sync: peak memory of the server", pair.server.peak()? as f64 / 1e6, "MB", Limit::Free);
    Ok(())
}

/// A device and a server.
struct Pair {
    binary: PathBuf,
    home: tempfile::TempDir,
    server: Running,
    log: PathBuf,
}

/// A request, as the server's log tells of it.
struct Asked {
    received: u64,
    ms: u64,
}

impl Pair {
    fn start(bench: &Bench) -> io::Result<Pair> {
        let home = tempfile::tempdir_in(&bench.scratch)?;
        fs::create_dir_all(home.path().join(".codex/sessions/2026/11/22"))?;
        let log = home.path().join("serve.log");
        let mut command = Command::new(&bench.binary);
        command.arg("serve").arg("--data").arg(home.path().join("server")).args(["--listen", "127.0.0.1:0"]);
        command.args(["--rate", "1000000"]).env("HOME", home.path());
        let server = Running::start(&mut command, &log)?;
        let pair = Pair { binary: bench.binary.clone(), home, server, log };
        let deadline = Instant::now() + PATIENCE;
        let url = loop {
            let text = fs::read_to_string(&pair.log)?;
            if let Some(url) = text.split_whitespace().find(|word| word.starts_with("http://")) {
                break url.trim_end_matches(',').to_owned();
            }
            if Instant::now() > deadline {
                return Err(io::Error::other(format!("the server does not start: {text}")));
            }
            sleep(Duration::from_millis(20));
        };
        pair.sfs(&["auth", "signup", "--url", &url, "--email", "bench@example.org"])?;
        Ok(pair)
    }

    fn sfs(&self, words: &[&str]) -> io::Result<()> {
        let mut command = Command::new(&self.binary);
        command.arg0("sfs").args(words).env_clear().env("HOME", self.home.path());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        run(&mut command).map(drop)
    }

    fn rollout(&self, number: usize) -> PathBuf {
        let name = format!("rollout-2026-11-22T10-00-00-{}.jsonl", native_id(number));
        Path::new(self.home.path()).join(".codex/sessions/2026/11/22").join(name)
    }

    /// What the API was asked so far. The last line may still be on its way.
    fn asked(&self) -> io::Result<Vec<Asked>> {
        sleep(Duration::from_millis(200));
        let text = fs::read_to_string(&self.log)?;
        let number = |line: &str, name: &str| {
            line.split_whitespace().find_map(|word| word.strip_prefix(name)?.parse::<u64>().ok()).unwrap_or_default()
        };
        let lines = text.lines().filter(|line| line.contains("path=/api/"));
        Ok(lines.map(|line| Asked { received: number(line, "in="), ms: number(line, "ms=") }).collect())
    }
}

fn native_id(number: usize) -> String {
    format!("019a0000-0000-7000-8000-{number:012}")
}

fn meta(number: usize) -> String {
    json!({"timestamp": "2026-11-22T10:00:00.000Z", "type": "session_meta", "payload": {"id": native_id(number),
        "timestamp": "2026-11-22T10:00:00.000Z", "cwd": "/w", "originator": "codex_cli_rs"}})
    .to_string()
}

fn said(text: &str) -> String {
    json!({"timestamp": "2026-11-22T10:00:01.000Z", "type": "response_item", "payload": {"type": "message",
        "role": "user", "content": [{"type": "input_text", "text": text}]}})
    .to_string()
}
