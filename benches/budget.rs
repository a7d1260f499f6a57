//! The budget: what sessionfs may cost in time, memory and bytes, measured on whole processes of the release binary.
//!
//! `cargo bench --bench budget` prints the table; `… -- corpus --help` writes a corpus alone. Figures depend on the
//! machine, so nothing here is a test; yardsticks on the same bytes tell how fast the machine is.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)]

/// The real clients, as the tests drive them.
#[path = "../tests/clients/mod.rs"]
#[allow(dead_code, unused_imports, unreachable_pub, reason = "the tests use all of it")]
mod clients;
mod corpus;
mod cursor;
mod dashboard;
mod front;
mod latency;
mod measure;
mod process;
#[path = "../tests/support/said.rs"]
mod said;
mod wire;

use argh::FromArgs;
use measure::Bench;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Measures sessionfs against its budget, or writes a corpus to measure with.
#[derive(FromArgs)]
struct Arguments {
    /// leave out what needs sessions of 1 GB
    #[argh(switch)]
    quick: bool,
    /// fail where a figure is over its limit
    #[argh(switch)]
    strict: bool,
    /// measure only these: import, size, compactions, daemon, commands, search, resume,
    /// cursor, latency, front, sync, dashboard, gigabyte
    #[argh(option)]
    only: Vec<String>,
    #[argh(subcommand)]
    command: Option<Command>,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum Command {
    Corpus(corpus::Corpus),
    Front(front::Front),
}

fn main() -> ExitCode {
    if clients::serve() {
        return ExitCode::SUCCESS;
    }
    let words: Vec<String> = std::env::args().collect();
    let is_bench = words.iter().any(|word| word == "--bench");
    let words: Vec<&str> = words.iter().map(String::as_str).filter(|word| *word != "--bench").collect();
    let arguments = match Arguments::from_args(&["budget"], &words[1..]) {
        Ok(arguments) => arguments,
        Err(exit) => {
            println!("{}", exit.output);
            return ExitCode::from(if exit.status.is_ok() { 0 } else { 2 });
        }
    };
    let done = match &arguments.command {
        Some(Command::Corpus(corpus)) => write_corpus(corpus),
        Some(Command::Front(front)) => front.run().map(|()| true),
        // `cargo test` runs bench targets too, and must not wait for this one.
        None if !is_bench => Ok(true),
        None => budget(&arguments),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("budget: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write_corpus(corpus: &corpus::Corpus) -> io::Result<bool> {
    println!("{}", serde_json::to_string_pretty(&corpus.write()?)?);
    Ok(true)
}

/// Prints the table. False where a figure is over its limit, or could not be taken, and that matters.
fn budget(arguments: &Arguments) -> io::Result<bool> {
    if !Path::new("/proc/self/stat").exists() {
        return Err(io::Error::other("this needs Linux: it reads what processes cost from /proc"));
    }
    let binary = std::env::var_os("SESSIONFS_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_sessionfs").into());
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench");
    let bench = Bench { binary: PathBuf::from(binary), scratch };
    let mut report = Report { is_good: true };
    println!("{:<66} {:>10}          limit", "what", "figure");
    for (name, is_slow, measure) in measure::ALL {
        let wanted = arguments.only.is_empty() || arguments.only.iter().any(|only| only == name);
        if wanted && !(is_slow && arguments.quick) {
            measure(&bench, &mut report).unwrap_or_else(|error| report.failed(name, &error));
        }
    }
    Ok(report.is_good || !arguments.strict)
}

/// What a figure is held against.
#[derive(Clone, Copy)]
enum Limit {
    Below(f64),
    AtLeast(f64),
    /// None: a yardstick.
    Free,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Limit::Below(limit) => write!(f, "< {limit}"),
            Limit::AtLeast(limit) => write!(f, "≥ {limit}"),
            Limit::Free => Ok(()),
        }
    }
}

/// Prints figures as they come.
struct Report {
    is_good: bool,
}

impl Report {
    fn line(&mut self, what: &str, figure: f64, unit: &str, limit: Limit) {
        let verdict = match limit {
            Limit::Below(limit) if figure >= limit => "OVER",
            Limit::AtLeast(limit) if figure < limit => "OVER",
            Limit::Free => "",
            _ => "ok",
        };
        self.is_good &= verdict != "OVER";
        println!("{what:<66} {figure:>10.1} {unit:<8} {:<8} {verdict}", limit.to_string());
    }

    fn failed(&mut self, name: &str, error: &io::Error) {
        self.is_good = false;
        println!("{name}: could not be measured: {error}");
    }
}
