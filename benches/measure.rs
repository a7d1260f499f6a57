//! The measurements. Each makes or reuses its corpus, starts from an empty archive and reports figures.

use crate::corpus::{Appender, Corpus, Summary, Tool};
use crate::cursor::Database;
use crate::process::{Running, median_time, run};
use crate::{Limit, Report};
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use serde_json::Value;
use sessionfs::model::query::{Case, Query};
use sessionfs::search::{Options, by_words};
use sessionfs::store::SearchFilter;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};
use walkdir::WalkDir;

/// Changed with the generator, so that old corpora are not reused.
const GENERATOR: u32 = 1;
/// Lines appended to the session of 1 GB.
const LINES: usize = 1000;
const MB: f64 = 1e6;
/// Messages of the one session in the archive: what a reader sees. The measuring process must not cost the daemon, so
/// it reads the database instead of asking a command.
const MESSAGE_COUNT: &str = "SELECT message_count FROM summary";

type Measure = fn(&Bench, &mut Report) -> io::Result<()>;

/// Name, whether it takes minutes, how.
pub(crate) const ALL: [(&str, bool, Measure); 13] = [
    ("import", false, import),
    ("size", false, size),
    ("compactions", false, compactions),
    ("daemon", false, daemon),
    ("commands", false, commands),
    ("search", false, search),
    ("resume", false, resume),
    ("cursor", true, cursor),
    ("latency", true, crate::latency::measure),
    ("front", false, crate::front::measure),
    ("sync", true, crate::wire::measure),
    ("dashboard", false, crate::dashboard::measure),
    ("gigabyte", true, gigabyte),
];

/// What is measured, and where.
pub(crate) struct Bench {
    pub(crate) binary: PathBuf,
    pub(crate) scratch: PathBuf,
}

/// A home with sessions in it and an archive that is gone afterwards.
pub(crate) struct Place {
    pub(crate) home: PathBuf,
    pub(crate) archive: tempfile::TempDir,
    sessions: Vec<Summary>,
}

impl Bench {
    /// A home with `corpora` in it. It is kept and shared; nothing may write to it.
    pub(crate) fn place(&self, corpora: &[Corpus]) -> io::Result<Place> {
        let folder = self.scratch.join(corpora.iter().map(name).collect::<Vec<_>>().join("+"));
        let (home, done) = (folder.join("home"), folder.join("summary.json"));
        if !done.exists() {
            let _ = fs::remove_dir_all(&folder);
            let write = |corpus: &Corpus| Corpus { home: home.clone(), ..corpus.clone() }.write();
            let summaries = corpora.iter().map(write).collect::<io::Result<Vec<_>>>()?;
            fs::write(&done, serde_json::to_vec(&summaries)?)?;
        }
        let sessions = serde_json::from_slice(&fs::read(&done)?)?;
        Ok(Place { home, archive: tempfile::tempdir_in(&self.scratch)?, sessions })
    }

    /// A command that sees `place` and nothing else of this machine.
    pub(crate) fn command(&self, place: &Place, words: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg0("sfs").args(words).env_clear();
        command.env("HOME", &place.home).env("SFS_HOME", place.archive.path());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
    }

    /// The JSON that a command prints.
    fn json(&self, place: &Place, words: &[&str]) -> io::Result<Value> {
        Ok(serde_json::from_slice(&run(&mut self.command(place, words))?.output)?)
    }

    /// A running daemon that has caught up.
    pub(crate) fn daemon(&self, place: &Place) -> io::Result<Running> {
        let daemon = Running::start(self.command(place, &[]).arg0("sfsd"), &self.scratch.join("sfsd.log"))?;
        daemon.settle(Duration::from_secs(2), Duration::from_secs(300))?;
        Ok(daemon)
    }

    /// The id of the first listed session.
    pub(crate) fn first_id(&self, place: &Place) -> io::Result<String> {
        let list = self.json(place, &["list", "--json"])?;
        list[0]["id"].as_str().map(str::to_owned).ok_or_else(|| io::Error::other("`sfs list` lists nothing"))
    }
}

impl Place {
    /// A home of its own, to write to.
    pub(crate) fn empty(home: PathBuf, bench: &Bench) -> io::Result<Place> {
        Ok(Place { home, archive: tempfile::tempdir_in(&bench.scratch)?, sessions: Vec::new() })
    }

    /// Bytes of the sessions as the tools wrote them.
    fn native(&self) -> f64 {
        self.sessions.iter().map(|summary| summary.bytes as f64).sum()
    }

    /// Bytes of the database, its log included.
    fn database(&self) -> f64 {
        files(self.archive.path()).filter_map(|path| fs::metadata(path).ok()).map(|data| data.len() as f64).sum()
    }
}

/// A corpus whose home is chosen by [`Bench::place`].
pub(crate) fn corpus(tool: Tool, sessions: usize, mean_kb: u64) -> Corpus {
    Corpus { home: PathBuf::new(), tool, sessions, mean_kb, seed: 1, exact: false, compactions: 0, alive: false }
}

/// The parameters of a corpus as a folder's name.
fn name(corpus: &Corpus) -> String {
    let Corpus { tool, sessions, mean_kb, seed, exact, compactions, alive, .. } = corpus;
    format!("{tool}-{sessions}x{mean_kb}k-{seed}-{exact}-{compactions}-{alive}-v{GENERATOR}")
}

fn files(folder: &Path) -> impl Iterator<Item = PathBuf> {
    WalkDir::new(folder).into_iter().flatten().filter(|e| e.file_type().is_file()).map(walkdir::DirEntry::into_path)
}

fn import(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let place = bench.place(&[corpus(Tool::Claude, 133, 1000), corpus(Tool::Codex, 133, 1000)])?;
    let cost = run(&mut bench.command(&place, &["import"]))?;
    let speed = place.native() / MB / cost.cpu.as_secs_f64().max(0.01);
    let what = format!("first import of {:.0} MB, Claude Code and Codex", place.native() / MB);
    report.line(&what, speed, "MB/CPU-s", Limit::AtLeast(45.0));
    report.line("  peak memory", cost.peak as f64 / MB, "MB", Limit::Below(96.0));
    yardsticks(&place, speed, report)?;
    println!("  to compare with another tool, run it with HOME={}", place.home.display());
    Ok(())
}

/// What others need for the same bytes: how fast is this machine, and how close are we to what must be done at least?
fn yardsticks(place: &Place, speed: f64, report: &mut Report) -> io::Result<()> {
    let mut compare = |what: &str, cpu: Duration| {
        let theirs = place.native() / MB / cpu.as_secs_f64().max(0.01);
        report.line(&format!("  yardstick: {what}"), theirs, "MB/CPU-s", Limit::Free);
        report.line("    as many times faster than the import", theirs / speed, "×", Limit::Free);
    };
    let (mut hashing, mut packing) = (Duration::ZERO, Duration::ZERO);
    for path in files(&place.home) {
        let bytes = fs::read(path)?;
        let begin = Instant::now();
        let _ = Sha256::digest(&bytes);
        hashing += begin.elapsed();
        let begin = Instant::now();
        zstd::bulk::compress(&bytes, 3)?;
        packing += begin.elapsed();
    }
    compare("SHA-256 alone", hashing);
    compare("zstd -3 alone", packing);
    if let Ok(cost) = run(Command::new("grep").args(["-rc", "[a-z]ssistant"]).arg(&place.home)) {
        compare("grep -c alone", cost.cpu);
    }
    Ok(())
}

fn size(bench: &Bench, report: &mut Report) -> io::Result<()> {
    for (tool, chunks, whole) in [(Tool::Claude, 22.0, 45.0), (Tool::Codex, 32.0, 55.0)] {
        let place = bench.place(&[corpus(tool, 133, 1000)])?;
        run(&mut bench.command(&place, &["import"]))?;
        report.line(&format!("chunks of {tool} sessions"), chunk_share(bench, &place)?, "%", Limit::Below(chunks));
        report.line("  whole database", 100.0 * place.database() / place.native(), "%", Limit::Below(whole));
    }
    Ok(())
}

/// Chunks in percent of the native bytes.
fn chunk_share(bench: &Bench, place: &Place) -> io::Result<f64> {
    let check = bench.json(place, &["admin", "check", "--json"])?;
    let bytes = check["pack_bytes"].as_f64().ok_or_else(|| io::Error::other("`sfs admin check` has no pack_bytes"))?;
    Ok(100.0 * bytes / place.native())
}

fn compactions(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let place = bench.place(&[Corpus { compactions: 45, ..corpus(Tool::Codex, 1, 0) }])?;
    run(&mut bench.command(&place, &["import"]))?;
    let share = chunk_share(bench, &place)?;
    report.line("chunks of a rollout with 45 compactions", share, "%", Limit::Below(6.0));
    Ok(())
}

fn daemon(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let place = bench.place(&[corpus(Tool::Claude, 133, 1000), corpus(Tool::Codex, 133, 1000)])?;
    let daemon = bench.daemon(&place)?;
    report.line("idle daemon after its first import", daemon.memory()? as f64 / MB, "MB", Limit::Below(20.0));
    let before = daemon.wake_ups()?;
    sleep(Duration::from_secs(10));
    let wake_ups = daemon.wake_ups()? - before;
    report.line("  wake-ups in 10 s", wake_ups as f64, "", Limit::Below(2.0));
    Ok(())
}

fn commands(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let place = bench.place(&[corpus(Tool::Claude, 10_000, 2)])?;
    run(&mut bench.command(&place, &["import"]))?;
    for (words, limit) in [(["--version"], 5.0), (["list"], 30.0), (["stats"], 100.0)] {
        let time = median_time(&mut bench.command(&place, &words), 20)?;
        let what = format!("sfs {} with 10,000 sessions", words.join(" "));
        report.line(&what, time.as_secs_f64() * 1e3, "ms", Limit::Below(limit));
    }
    Ok(())
}

fn search(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let place = bench.place(&[corpus(Tool::Claude, 1_000, 100)])?;
    run(&mut bench.command(&place, &["import"]))?;
    // In most messages, in some of them, and code, which is checked in the messages' text.
    for query in ["error", "cargo test", "src/lib.rs"] {
        let time = median_time(&mut bench.command(&place, &["search", query]), 20)?;
        let what = format!("sfs search '{query}' in 1,000 sessions");
        report.line(&what, time.as_secs_f64() * 1e3, "ms", Limit::Below(20.0));
        if let Ok(time) = ripgrep(&place, query) {
            report.line("  rg over the native files", time.as_secs_f64() * 1e3, "ms", Limit::Free);
        }
    }
    let time = median_time(&mut bench.command(&place, &["search", "-F", "no such text"]), 5)?;
    let speed = place.native() / MB / time.as_secs_f64();
    report.line(&format!("sfs search -F through {:.0} MB", place.native() / MB), speed, "MB/s", Limit::AtLeast(300.0));
    let begin = Instant::now();
    if Command::new("rg").args(["-c", "-F", "no such text"]).arg(&place.home).status().is_ok() {
        let speed = place.native() / MB / begin.elapsed().as_secs_f64();
        report.line("  rg over the native files", speed, "MB/s", Limit::Free);
        found_by_ripgrep(bench, &place, report)?;
    }
    Ok(())
}

fn ripgrep(place: &Place, text: &str) -> io::Result<Duration> {
    median_time(Command::new("rg").args(["-c", "-i", "-F", text]).arg(&place.home), 10)
}

/// Asks for words that ripgrep takes out of the messages of every session of the corpus: each has to be found in it.
fn found_by_ripgrep(bench: &Bench, place: &Place, report: &mut Report) -> io::Result<()> {
    let home = sessionfs::home::Home::at(&place.home, place.archive.path());
    let store = sessionfs::store::Store::open(&home).map_err(|error| io::Error::other(error.message()))?;
    let (mut asked, mut missed) = (0, 0);
    for path in files(&place.home).filter(|path| path.extension().is_some_and(|extension| extension == "jsonl")) {
        let text = tempfile::NamedTempFile::new_in(&bench.scratch)?;
        fs::write(text.path(), crate::said::said(&fs::read(&path)?).join("\n"))?;
        let output =
            Command::new("rg").args(["-a", "-o", "-N", "--no-filename", r"\w{2,}"]).arg(text.path()).output()?;
        let words: BTreeSet<&str> = std::str::from_utf8(&output.stdout).map_err(io::Error::other)?.lines().collect();
        let Some(session) = session_of(place, &path)? else { continue };
        // Every seventh, from another one on in each session.
        for word in words.iter().skip(asked % 7).step_by(7).filter(|word| !matches!(**word, "OR" | "AND" | "NOT")) {
            let filter = SearchFilter { session: Some(session), ..SearchFilter::default() };
            let options = Options { filter, limit: 1, offset: 0, columns: 80 };
            let found = Query::parse(word, Case::Kept)
                .and_then(|query| by_words(&store, &query, &options, &mut |_| {}))
                .map_err(|error| io::Error::other(error.message()))?;
            asked += 1;
            missed += usize::from(found.hits.is_empty());
        }
    }
    let what = format!("  words of rg in the messages that are missed, of {asked}");
    report.line(&what, missed as f64, "", Limit::Below(1.0));
    Ok(())
}

/// The session that the archive has the file as.
fn session_of(place: &Place, path: &Path) -> io::Result<Option<i64>> {
    let sql = "SELECT st.session FROM native_file f JOIN stream st ON st.id = f.stream WHERE f.path = ?1";
    let archive = Archive::open(place)?;
    let path = path.canonicalize()?;
    archive.0.query_row(sql, [path.to_string_lossy()], |row| row.get(0)).optional().map_err(io::Error::other)
}

fn resume(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let place = bench.place(&[Corpus { exact: true, alive: true, ..corpus(Tool::Claude, 1, 50_000) }])?;
    run(&mut bench.command(&place, &["import"]))?;
    report_resume(bench, &place, Some(0.6), 96.0, report)
}

/// Resumes a Claude Code session in a Codex that lives elsewhere, so that the corpus stays as it is.
fn report_resume(
    bench: &Bench,
    place: &Place,
    seconds: Option<f64>,
    megabytes: f64,
    report: &mut Report,
) -> io::Result<()> {
    let (codex, project) = (tempfile::tempdir_in(&bench.scratch)?, tempfile::tempdir_in(&bench.scratch)?);
    let id = bench.first_id(place)?;
    let mut command = bench.command(place, &["resume", &id, "--in", "codex", "--no-launch", "--json", "--project"]);
    let cost = run(command.arg(project.path()).env("CODEX_HOME", codex.path()))?;
    let what = format!("Claude Code session of {:.0} MB into Codex", place.native() / MB);
    report.line(&what, cost.cpu.as_secs_f64(), "CPU-s", seconds.map_or(Limit::Free, Limit::Below));
    report.line("  peak memory", cost.peak as f64 / MB, "MB", Limit::Below(megabytes));
    Ok(())
}

/// Cursor's sessions are rows in a database: the first look, and looks after one message more.
fn cursor(bench: &Bench, report: &mut Report) -> io::Result<()> {
    fs::create_dir_all(&bench.scratch)?;
    let home = tempfile::tempdir_in(&bench.scratch)?;
    let mut database = Database::create(home.path())?;
    let bytes: u64 = files(home.path()).filter_map(|path| fs::metadata(path).ok()).map(|data| data.len()).sum();
    let place = Place::empty(home.path().to_owned(), bench)?;
    let import = ["import", "--from", "cursor"];
    let cost = run(&mut bench.command(&place, &import))?;
    let what = format!("first look into a Cursor database of {:.0} MB, 400 sessions", bytes as f64 / MB);
    report.line(&what, cost.cpu.as_secs_f64(), "CPU-s", Limit::Below(20.0));
    report.line("  peak memory", cost.peak as f64 / MB, "MB", Limit::Below(96.0));
    let mut times = Vec::new();
    for _ in 0..20 {
        database.append()?;
        times.push(median_time(&mut bench.command(&place, &import), 1)?);
    }
    times.sort();
    report.line("  sfs import after one message more", times[10].as_secs_f64() * 1e3, "ms", Limit::Below(50.0));
    let nothing = median_time(&mut bench.command(&place, &import), 20)?;
    report.line("  and after nothing", nothing.as_secs_f64() * 1e3, "ms", Limit::Free);
    Ok(())
}

/// One session of 1 GB per tool. It grows, so its home is made for this run alone.
fn gigabyte(bench: &Bench, report: &mut Report) -> io::Result<()> {
    fs::create_dir_all(&bench.scratch)?;
    for tool in Tool::ALL {
        let home = tempfile::tempdir_in(&bench.scratch)?;
        let corpus = Corpus { home: home.path().to_owned(), exact: true, alive: true, ..corpus(tool, 1, 1_000_000) };
        let sessions = vec![corpus.write()?];
        let place = Place { home: home.path().to_owned(), archive: tempfile::tempdir_in(&bench.scratch)?, sessions };
        let cost = run(&mut bench.command(&place, &["import"]))?;
        let speed = place.native() / MB / cost.cpu.as_secs_f64().max(0.01);
        report.line(&format!("first import of a {tool} session of 1 GB"), speed, "MB/CPU-s", Limit::Free);
        report.line("  peak memory", cost.peak as f64 / MB, "MB", Limit::Below(96.0));
        if tool == Tool::Claude {
            report_resume(bench, &place, None, 256.0, report)?;
        }
        append(bench, &place, report)?;
    }
    Ok(())
}

/// Appends line by line to the session while a daemon watches, and waits until each can be seen.
fn append(bench: &Bench, place: &Place, report: &mut Report) -> io::Result<()> {
    let daemon = bench.daemon(place)?;
    let archive = Archive::open(place)?;
    let mut appender = Appender::new(&place.sessions[0]);
    let (cpu, before) = (daemon.cpu()?, daemon.written()?);
    let mut delays = Vec::new();
    for _ in 0..LINES {
        let count = archive.message_count()?;
        appender.append()?;
        delays.push(archive.wait_beyond(count)?);
    }
    // What is put off until later belongs to the lines as well.
    daemon.settle(Duration::from_secs(2), Duration::from_secs(60))?;
    let (cpu, after) = (daemon.cpu()?.saturating_sub(cpu), daemon.written()?);
    delays.sort();
    let per_line = |sum: f64| sum / LINES as f64;
    let p95 = delays[LINES * 95 / 100].as_secs_f64() * 1e3;
    report.line("  one line more is seen after (95th percentile)", p95, "ms", Limit::Below(150.0));
    report.line("  processor time per line", per_line(cpu.as_secs_f64() * 1e3), "ms", Limit::Below(10.0));
    report.line("  written per line", per_line((after.0 - before.0) as f64 / 1e3), "kB", Limit::Below(200.0));
    report.line("  of it on to storage", per_line((after.1 - before.1) as f64 / 1e3), "kB", Limit::Free);
    Ok(())
}

/// The archive as another reader sees it.
struct Archive(Connection);

impl Archive {
    fn open(place: &Place) -> io::Result<Self> {
        let path = place.archive.path().join("archive.db");
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map(Archive).map_err(io::Error::other)
    }

    fn message_count(&self) -> io::Result<i64> {
        let mut query = self.0.prepare_cached(MESSAGE_COUNT).map_err(io::Error::other)?;
        query.query_row([], |row| row.get(0)).map_err(io::Error::other)
    }

    /// How long it takes until there are more than `count` messages.
    fn wait_beyond(&self, count: i64) -> io::Result<Duration> {
        let begin = Instant::now();
        while self.message_count()? <= count {
            if begin.elapsed() > Duration::from_secs(10) {
                return Err(io::Error::other("an appended line was not seen within 10 s"));
            }
            sleep(Duration::from_millis(1));
        }
        Ok(begin.elapsed())
    }
}
