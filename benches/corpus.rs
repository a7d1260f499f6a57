//! A corpus of made-up sessions in the shapes that Claude Code and Codex write, to measure with. Equal parameters give
//! equal bytes. Sessions are streamed to disk line by line, so that one of 1 GB takes no memory.

mod claude;
mod codex;
mod json;
pub(crate) mod random;

use argh::FromArgs;
use jiff::Timestamp;
use json::Json;
use random::{Pools, Random};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// When the first session begins: 2026-01-05T08:00:00Z.
const FIRST_DAY: i64 = 1_767_600_000_000;
const MINUTE: i64 = 60_000;
const PROJECTS: usize = 8;
/// With --exact, sessions stop this far before their size and are filled up; one turn is never larger.
const RESERVE: u64 = 64_000;

/// A tool whose sessions can be made up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tool {
    Claude,
    Codex,
}

impl Tool {
    pub(crate) const ALL: [Tool; 2] = [Tool::Claude, Tool::Codex];
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(if *self == Tool::Claude { "claude" } else { "codex" })
    }
}

impl FromStr for Tool {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Tool::ALL.into_iter().find(|tool| tool.to_string() == name).ok_or_else(|| "claude or codex".to_owned())
    }
}

/// Writes a corpus and prints what it is as JSON.
#[derive(FromArgs, Clone)]
#[argh(subcommand, name = "corpus")]
pub(crate) struct Corpus {
    /// the home folder to write below
    #[argh(option)]
    pub(crate) home: PathBuf,
    /// claude or codex
    #[argh(option)]
    pub(crate) tool: Tool,
    /// how many sessions
    #[argh(option, default = "10")]
    pub(crate) sessions: usize,
    /// their mean size in thousands of bytes
    #[argh(option, default = "100")]
    pub(crate) mean_kb: u64,
    /// equal seeds give equal bytes
    #[argh(option, default = "1")]
    pub(crate) seed: u64,
    /// make every session exactly this large (from 100 kB on)
    #[argh(switch)]
    pub(crate) exact: bool,
    /// instead of filling a size, repeat one history in this many compactions (codex)
    #[argh(option, default = "0")]
    pub(crate) compactions: usize,
    /// never compact: all of a session stays in its live conversation (claude)
    #[argh(switch)]
    pub(crate) alive: bool,
}

/// What was written.
#[derive(Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) tool: Tool,
    pub(crate) sessions: usize,
    pub(crate) bytes: u64,
    pub(crate) first: PathBuf,
    pub(crate) first_id: String,
    pub(crate) lines_by_type: BTreeMap<String, u64>,
}

impl Corpus {
    /// Writes all sessions.
    pub(crate) fn write(&self) -> io::Result<Summary> {
        let mut random = Random::new(self.seed);
        let pools = Pools::new(&mut random);
        let mut summary = Summary::new(self.tool, self.sessions);
        for number in 0..self.sessions {
            let target = self.size(&mut random);
            let start = FIRST_DAY + MINUTE * (37 * number as i64 + random.between(0, 30));
            let project = project(number);
            match self.tool {
                Tool::Claude => {
                    let mut session = claude::Session::new(&pools, &mut random, project);
                    let mut out = self.transcript(&session.path(&self.home), start, target)?;
                    session.write(&mut out, self.alive);
                    summary.add(out, &session.id)?;
                    if number % 10 == 9 {
                        let (agent, path) = session.subagent_path(&self.home);
                        let mut out = self.transcript(&path, start, 0)?;
                        session.write_subagent(&agent, &mut out);
                        summary.add(out, &session.id)?;
                    }
                }
                Tool::Codex => {
                    let mut session = codex::Session::new(&pools, &mut random, project, start);
                    let mut out = self.transcript(&session.path(&self.home), start, target)?;
                    match self.compactions {
                        0 => session.write(&mut out),
                        count => session.write_compactions(&mut out, count),
                    }
                    summary.add(out, &session.id)?;
                }
            }
        }
        Ok(summary)
    }

    /// The size that the next session is to have.
    fn size(&self, random: &mut Random) -> u64 {
        let mean = self.mean_kb * 1000;
        if self.exact { mean } else { ((mean as f64 * random.factor()) as u64).max(2048) }
    }

    fn transcript(&self, path: &Path, start: i64, target: u64) -> io::Result<Transcript> {
        fs::create_dir_all(path.parent().unwrap_or(&self.home))?;
        let reserve = if self.exact { RESERVE.min(target / 2) } else { 0 };
        Ok(Transcript::new(File::create(path)?, path, start, target, reserve))
    }
}

impl Summary {
    fn new(tool: Tool, sessions: usize) -> Self {
        let (first, first_id) = (PathBuf::new(), String::new());
        Summary { tool, sessions, bytes: 0, first, first_id, lines_by_type: BTreeMap::new() }
    }

    /// Closes a file and counts it.
    fn add(&mut self, out: Transcript, id: &str) -> io::Result<()> {
        let (path, bytes, kinds) = out.close()?;
        if self.first_id.is_empty() {
            (self.first, self.first_id) = (path, id.to_owned());
        }
        self.bytes += bytes;
        for (kind, count) in kinds {
            *self.lines_by_type.entry(kind).or_default() += count;
        }
        Ok(())
    }
}

/// One file while it is written. The first error is kept for the end.
struct Transcript {
    file: io::Result<BufWriter<File>>,
    path: PathBuf,
    line: Vec<u8>,
    bytes: u64,
    /// The size to reach, and how much of it is left to `pad`.
    target: u64,
    reserve: u64,
    /// Milliseconds after the epoch.
    clock: i64,
    kinds: BTreeMap<String, u64>,
}

impl Transcript {
    fn new(file: File, path: &Path, clock: i64, target: u64, reserve: u64) -> Self {
        let file = Ok(BufWriter::with_capacity(1 << 20, file));
        let (line, kinds) = (Vec::new(), BTreeMap::new());
        Transcript { file, path: path.to_owned(), line, bytes: 0, target, reserve, clock, kinds }
    }

    fn is_full(&self) -> bool {
        self.bytes + self.reserve >= self.target
    }

    /// Lets up to `ms` pass.
    fn tick(&mut self, random: &mut Random, ms: i64) -> String {
        self.clock += random.between(ms.min(200), ms);
        iso(self.clock)
    }

    fn put(&mut self, json: &Json) {
        self.line.clear();
        serde_json::to_writer(&mut self.line, json).unwrap();
        self.line.push(b'\n');
        self.bytes += self.line.len() as u64;
        if let Some(count) = self.kinds.get_mut(json.kind()) {
            *count += 1;
        } else {
            self.kinds.insert(json.kind().to_owned(), 1);
        }
        if let Err(error) = self.file.as_mut().map_or(Ok(()), |file| file.write_all(&self.line)) {
            self.file = Err(error);
        }
    }

    /// Writes one more line around a text of the length that makes the file exactly as large as it is to be.
    fn pad<'l>(&mut self, prose: &[String], line: impl Fn(String) -> Json<'l>) {
        let bare = serde_json::to_vec(&line(String::new())).unwrap().len() as u64 + 1;
        let Some(missing) = self.target.checked_sub(self.bytes + bare).filter(|_| self.reserve > 0) else { return };
        let text: String = prose.iter().cycle().flat_map(|p| p.chars()).take(missing as usize).collect();
        self.put(&line(text));
    }

    fn close(self) -> io::Result<(PathBuf, u64, BTreeMap<String, u64>)> {
        self.file?.flush()?;
        Ok((self.path, self.bytes, self.kinds))
    }
}

/// Appends single lines to the first session of a corpus.
pub(crate) struct Appender {
    tool: Tool,
    path: PathBuf,
    id: String,
    pools: Pools,
    random: Random,
    clock: i64,
    parent: Option<String>,
}

impl Appender {
    pub(crate) fn new(summary: &Summary) -> Self {
        let mut random = Random::new(2);
        let pools = Pools::new(&mut random);
        let (path, id) = (summary.first.clone(), summary.first_id.clone());
        Appender {
            tool: summary.tool,
            path,
            id,
            pools,
            random,
            clock: FIRST_DAY + 300 * 24 * 60 * MINUTE,
            parent: None,
        }
    }

    /// Appends one line that holds one message; returns its length.
    pub(crate) fn append(&mut self) -> io::Result<u64> {
        let file = OpenOptions::new().append(true).open(&self.path)?;
        let mut out = Transcript::new(file, &self.path, self.clock, 0, 0);
        match self.tool {
            Tool::Claude => {
                let mut session = claude::Session::new(&self.pools, &mut self.random, project(0));
                session.id.clone_from(&self.id);
                session.parent = self.parent.take();
                session.prompt(&mut out);
                self.parent = session.parent;
            }
            Tool::Codex => codex::Session::new(&self.pools, &mut self.random, project(0), self.clock).append(&mut out),
        }
        self.clock = out.clock;
        Ok(out.close()?.1)
    }
}

/// The folder that session `number` works in.
fn project(number: usize) -> String {
    format!("/home/dev/work/proj-{}", number % PROJECTS)
}

/// `ms` after the epoch as RFC 3339.
fn iso(ms: i64) -> String {
    Timestamp::from_millisecond(ms).unwrap().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}
