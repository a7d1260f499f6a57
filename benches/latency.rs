//! How long it takes until what a tool wrote can be seen in `sfs list`: a daemon with all four tools live, the real clients at
//! work against mocks of their models, and Cursor's database with a connection that stays open.

use crate::clients::{self, Client, Piece};
use crate::cursor::Database;
use crate::measure::{Bench, Place};
use crate::{Limit, Report};
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use serde_json::json;
use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant, SystemTime};
use walkdir::WalkDir;

/// Prompts for each client, a process each; every one is answered with a tool call and a text.
const PROMPTS: usize = 8;
const PROMPT: &str = "What is the number after";
/// Messages in Cursor, each after so long without one.
const BUBBLES: usize = 12;
const QUIET: Duration = Duration::from_secs(6);
/// How often files and the archive are looked at.
const GLANCE: Duration = Duration::from_millis(2);
const PATIENCE: Duration = Duration::from_secs(15);

pub(crate) fn measure(bench: &Bench, report: &mut Report) -> io::Result<()> {
    fs::create_dir_all(&bench.scratch)?;
    let home = tempfile::tempdir_in(&bench.scratch)?;
    let mut database = Database::create(home.path())?;
    let place = Place::empty(home.path().canonicalize()?, bench)?;
    let cwd = place.home.join("work");
    fs::create_dir_all(&cwd)?;
    let _daemon = bench.daemon(&place)?;
    let archive = Archive::open(&place)?;
    for (client, name, folder, tool) in [
        (Client::ClaudeCode, "Claude Code", ".claude/projects", ("Bash", "command")),
        (Client::Codex, "Codex", ".codex/sessions", ("exec_command", "cmd")),
        (Client::Gemini, "Gemini CLI", ".gemini/tmp", ("run_shell_command", "command")),
    ] {
        if let Err(skip) = clients::available(client) {
            println!("  a line of {name}: not measured: {}", skip.why);
            continue;
        }
        let delays = drive(client, &place.home, &cwd, &place.home.join(folder), tool, &archive)?;
        tell(report, &format!("a line of {name} {} is seen after", client.version()), delays, 200.0);
    }
    let mut delays = Vec::new();
    for _ in 0..BUBBLES {
        sleep(QUIET);
        let before = archive.message_count()?;
        let begin = Instant::now();
        database.append()?;
        while archive.message_count()? <= before {
            if begin.elapsed() > PATIENCE {
                return Err(io::Error::other("a message in Cursor was not seen"));
            }
            sleep(GLANCE);
        }
        delays.push(begin.elapsed());
    }
    tell(report, "a message in a quiet Cursor (960 MB) is seen after", delays, 500.0);
    Ok(())
}

fn tell(report: &mut Report, what: &str, mut delays: Vec<Duration>, limit: f64) {
    delays.sort();
    let at = |percent: usize| delays[(delays.len() * percent / 100).min(delays.len() - 1)].as_secs_f64() * 1e3;
    report.line(&format!("{what} (median of {})", delays.len()), at(50), "ms", Limit::Free);
    report.line("  95th percentile", at(95), "ms", Limit::Below(limit));
}

/// Lets the client work, and gives how long after each growth of one of its files the archive had it.
fn drive(
    client: Client,
    home: &Path,
    cwd: &Path,
    folder: &Path,
    (tool, argument): (&str, &str),
    archive: &Archive,
) -> io::Result<Vec<Duration>> {
    let prompts: Vec<String> = (0..PROMPTS).map(|n| format!("{PROMPT} {n}")).collect();
    let prompts: Vec<&str> = prompts.iter().map(String::as_str).collect();
    let call = || vec![Piece::text("Let me look."), Piece::call(tool, json!({argument: "echo hello"}))];
    let replies: Vec<_> = (0..PROMPTS).flat_map(|n| [call(), vec![Piece::text(&format!("Answer {n}"))]]).collect();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let work = scope.spawn(|| {
            let driven = clients::drive(client, home, cwd, &prompts, &replies);
            is_over.store(true, Ordering::Release);
            driven
        });
        let delays = follow(folder, archive, &is_over);
        let driven = work.join().map_err(|_| io::Error::other("the client could not be driven"))?;
        driven.map_err(io::Error::other)?;
        delays.and_then(|delays| match delays.len() {
            0..PROMPTS => Err(io::Error::other("the client wrote next to nothing")),
            _ => Ok(delays),
        })
    })
}

/// A file of a client, and its growths that are not archived yet: the size, and when it was written.
#[derive(Default)]
struct Followed {
    size: u64,
    /// Somebody has said something: before that there is no session to list, and Gemini CLI leaves files behind in which nothing
    /// is ever said.
    is_begun: bool,
    waiting: Vec<(u64, SystemTime)>,
}

fn follow(folder: &Path, archive: &Archive, is_over: &AtomicBool) -> io::Result<Vec<Duration>> {
    let mut files = HashMap::<PathBuf, Followed>::new();
    let (mut delays, mut searched, mut over_since) = (Vec::new(), None::<Instant>, None::<Instant>);
    loop {
        if searched.is_none_or(|at| at.elapsed() > 10 * GLANCE) {
            let found = WalkDir::new(folder).into_iter().flatten().map(walkdir::DirEntry::into_path);
            let sessions = found.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
            for path in sessions {
                files.entry(path).or_default();
            }
            searched = Some(Instant::now());
        }
        for (path, file) in &mut files {
            let Ok(metadata) = path.metadata() else { continue };
            if metadata.len() > file.size {
                file.size = metadata.len();
                file.is_begun = file.is_begun || fs::read_to_string(path)?.contains(PROMPT);
                if file.is_begun {
                    file.waiting.push((file.size, metadata.modified()?));
                }
            }
            if file.waiting.is_empty() {
                continue;
            }
            let archived = archive.length(path)?;
            file.waiting.retain(|(size, at)| {
                let is_seen = *size <= archived;
                delays.extend(is_seen.then(|| at.elapsed().unwrap_or_default()));
                !is_seen
            });
        }
        if is_over.load(Ordering::Acquire) {
            let since = *over_since.get_or_insert_with(Instant::now);
            match files.iter().find(|(_, file)| !file.waiting.is_empty()) {
                None if since.elapsed() > Duration::from_millis(500) => return Ok(delays),
                Some((path, _)) if since.elapsed() > PATIENCE => {
                    return Err(io::Error::other(format!("{} was not captured", path.display())));
                }
                _ => {}
            }
        }
        sleep(GLANCE);
    }
}

/// The archive as `sfs list` reads it; what is seen here is committed with the summaries that it lists.
struct Archive(Connection);

impl Archive {
    fn open(place: &Place) -> io::Result<Archive> {
        let path = place.archive.path().join("archive.db");
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map(Archive).map_err(io::Error::other)
    }

    /// How much of the file is archived.
    fn length(&self, file: &Path) -> io::Result<u64> {
        let sql = "SELECT st.length FROM native_file f JOIN stream st ON st.id = f.stream WHERE f.path = ?1";
        let mut query = self.0.prepare_cached(sql).map_err(io::Error::other)?;
        let length = query.query_row([file.to_string_lossy()], |row| row.get(0)).optional();
        Ok(length.map_err(io::Error::other)?.unwrap_or(0))
    }

    /// The messages of Cursor's sessions.
    fn message_count(&self) -> io::Result<i64> {
        let sql =
            "SELECT total(message_count) FROM summary m JOIN session s ON s.id = m.session WHERE s.tool = 'cursor'";
        let mut query = self.0.prepare_cached(sql).map_err(io::Error::other)?;
        query.query_row([], |row| row.get::<_, f64>(0)).map(|count| count as i64).map_err(io::Error::other)
    }
}
