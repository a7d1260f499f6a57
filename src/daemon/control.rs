//! Starting and stopping the daemon from another process, and reading its log.

use super::lock::{self, Holder};
use super::{log, status};
use crate::error::{Context, Error, Result};
use crate::home::Home;
use crate::store::Store;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A daemon that has not begun to capture by then has failed.
const START_WITHIN: Duration = Duration::from_secs(15);
/// A daemon may be in the middle of a large file.
const STOP_WITHIN: Duration = Duration::from_secs(30);
/// How often a change of the lock is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Says to `sfs daemon run` that it was started by [`start`].
const DETACHED: &str = "SFS_DETACHED";

/// What [`start`] found or did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Started {
    /// A daemon with this process id runs now.
    Now(u32),
    /// It ran already.
    Before(Option<u32>),
}

/// What [`stop`] found or did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// The daemon with this process id has ended.
    Now(u32),
    /// None ran.
    Before,
}

/// Starts a daemon that outlives this process, and waits until it captures.
pub fn start(home: &Home) -> Result<Started> {
    if let Holder::Process(pid) = lock::holder(home) {
        return Ok(Started::Before(pid));
    }
    home.create()?;
    let output = log::append_to(&home.log())?;
    let errors = output.try_clone().context(|| "the log can't be shared")?;
    let program = std::env::current_exe().context(|| "our own program can't be found")?;
    let mut child = Command::new(&program)
        .args(["daemon", "run"])
        .env(DETACHED, "1")
        .env("SFS_HOME", &home.data)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .context(|| format!("{} can't be started", program.display()))?;
    let deadline = Instant::now() + START_WITHIN;
    while Instant::now() < deadline {
        if captures(home, child.id()) {
            return Ok(Started::Now(child.id()));
        }
        if let Some(code) = child.try_wait().context(|| "the daemon can't be watched")? {
            // Another one may have been faster.
            if let Holder::Process(pid) = lock::holder(home) {
                return Ok(Started::Before(pid));
            }
            return Err(Error::failed(format!("the daemon ended at once ({code})")).hint("sfs daemon logs"));
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Err(Error::failed(format!("the daemon (pid {}) does not begin to capture", child.id())).hint("sfs daemon logs"))
}

/// True once the daemon has left its state in the archive, which it does when its first scan has begun.
fn captures(home: &Home, pid: u32) -> bool {
    lock::holder(home) == Holder::Process(Some(pid))
        && home.database().exists()
        && Store::open(home)
            .and_then(|store| status::saved(Some(&store)))
            .is_ok_and(|s| s.is_some_and(|s| s.pid == pid))
}

/// Leaves the terminal and the process group of whoever started us, if that was [`start`]; says whether it was.
pub fn detach() -> bool {
    let detached = std::env::var_os(DETACHED).is_some();
    if detached {
        // It can only fail where we lead a group already, which is as good.
        let _ = rustix::process::setsid();
    }
    detached
}

/// Starts this program over, in the same process, with an allocator that gives back what an import needed; else the heap
/// keeps its largest size for weeks. glibc reads this from the environment alone, and only at the start.
pub fn tune_memory() {
    const VARIABLE: &str = "MALLOC_TRIM_THRESHOLD_";
    if !cfg!(all(target_os = "linux", target_env = "gnu")) || std::env::var_os(VARIABLE).is_some() {
        return;
    }
    let mut words = std::env::args_os();
    let Some((name, program)) = words.next().zip(std::env::current_exe().ok()) else { return };
    // It only returns if it fails, and then all is as before.
    let _ = Command::new(program).arg0(name).args(words).env(VARIABLE, "65536").exec();
}

/// Asks the daemon to end and waits until it has.
pub fn stop(home: &Home) -> Result<Stopped> {
    let Some(pid) = running_pid(home)? else { return Ok(Stopped::Before) };
    signal(home, pid, Signal::TERM)?;
    let deadline = Instant::now() + STOP_WITHIN;
    while Instant::now() < deadline {
        if lock::holder(home) != Holder::Process(Some(pid)) {
            return Ok(Stopped::Now(pid));
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Err(Error::failed(format!("the daemon (pid {pid}) is still busy after {} s", STOP_WITHIN.as_secs()))
        .hint(format!("sfs daemon status; `kill -9 {pid}` loses nothing")))
}

/// Makes a running daemon read its settings and compare everything; says whether one runs.
pub fn reload(home: &Home) -> Result<bool> {
    let Some(pid) = running_pid(home)? else { return Ok(false) };
    signal(home, pid, Signal::HUP).map(|()| true)
}

fn signal(home: &Home, pid: u32, signal: Signal) -> Result<()> {
    let process = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let process = process.ok_or_else(|| Error::failed(format!("{} holds no process id", home.lock().display())))?;
    kill_process(process, signal).context(|| format!("the daemon (pid {pid}) can't be sent a signal"))
}

/// A daemon writes its process id a moment after it has taken the lock.
fn running_pid(home: &Home) -> Result<Option<u32>> {
    for _ in 0..50 {
        match lock::holder(home) {
            Holder::Nobody => return Ok(None),
            Holder::Process(Some(pid)) => return Ok(Some(pid)),
            Holder::Process(None) => std::thread::sleep(LOOK_EVERY),
        }
    }
    Err(Error::failed(format!("{} is locked by an unknown process", home.lock().display()))
        .hint("find it with `ps aux | grep sessionfs`"))
}

/// The last `count` lines of the log, of the one before it too where this one is short.
pub fn recent_log(home: &Home, count: usize) -> Result<Vec<String>> {
    let mut lines = VecDeque::new();
    for path in [log::old_log(&home.log()), home.log()] {
        let Ok(file) = File::open(&path) else { continue };
        for line in BufReader::new(file).lines() {
            lines.push_back(line.context(|| format!("{} can't be read", path.display()))?);
            if lines.len() > count {
                lines.pop_front();
            }
        }
    }
    Ok(lines.into())
}

/// Gives `each` what is written to the log from now on, through rotations, until `each` fails.
pub fn follow_log(home: &Home, each: &mut dyn FnMut(&str) -> Result<()>) -> Result<()> {
    let path = home.log();
    let unreadable = || format!("{} can't be read", path.display());
    let inode = || path.metadata().map(|metadata| metadata.ino()).ok();
    let (mut file, mut at, mut known) = (File::open(&path).context(unreadable)?, 0, inode());
    at += file.seek(SeekFrom::End(0)).context(unreadable)?;
    loop {
        let mut text = Vec::new();
        file.seek(SeekFrom::Start(at)).and_then(|_| file.read_to_end(&mut text)).context(unreadable)?;
        let whole = memchr::memrchr(b'\n', &text).map_or(0, |end| end + 1);
        at += whole as u64;
        for line in text[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            each(&String::from_utf8_lossy(line))?;
        }
        if whole == 0 && inode().is_some() && inode() != known {
            (file, at, known) = (File::open(&path).context(unreadable)?, 0, inode());
        }
        std::thread::sleep(Duration::from_millis(250));
    }
}
