//! What a whole process costs, read from /proc, so that it works in any Linux container and without privileges.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The unit in which /proc counts processor time; every Linux tells user space 100 a second.
const TICK: Duration = Duration::from_millis(10);
/// How often memory is looked at. The kernel keeps the peak itself; only growth in the last moments is missed.
const GLANCE: Duration = Duration::from_millis(5);

/// What a process took until it ended.
pub(crate) struct Cost {
    /// User and system time.
    pub(crate) cpu: Duration,
    /// The largest resident memory.
    pub(crate) peak: u64,
    /// What it wrote to its standard output.
    pub(crate) output: Vec<u8>,
}

/// Runs `command` to its end. A failure is an error with what it wrote to standard error.
pub(crate) fn run(command: &mut Command) -> io::Result<Cost> {
    let (out, err) = (tempfile::NamedTempFile::new()?, tempfile::NamedTempFile::new()?);
    command.stdin(Stdio::null()).stdout(out.reopen()?).stderr(err.reopen()?);
    let mut child = command.spawn()?;
    let mut peak = 0;
    let cpu = loop {
        // A process that has ended keeps its times, not its memory, until it is waited for.
        peak = peak.max(status(child.id(), "VmHWM:").unwrap_or(0) * 1024);
        let (state, cpu) = stat(child.id())?;
        if state == "Z" {
            break cpu;
        }
        sleep(GLANCE);
    };
    if !child.wait()?.success() {
        let complaint = fs::read_to_string(err.path())?;
        return Err(io::Error::other(format!("{command:?} failed: {}", complaint.trim_end())));
    }
    Ok(Cost { cpu, peak, output: fs::read(out.path())? })
}

/// The median time from start to end of `runs` runs, without looking at them meanwhile.
pub(crate) fn median_time(command: &mut Command, runs: usize) -> io::Result<Duration> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut times = Vec::new();
    for _ in 0..runs {
        let begin = Instant::now();
        if !command.status()?.success() {
            return Err(io::Error::other(format!("{command:?} failed")));
        }
        times.push(begin.elapsed());
    }
    times.sort();
    Ok(times[runs / 2])
}

/// A process that runs until it is dropped.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(command: &mut Command, log: &Path) -> io::Result<Self> {
        let log = fs::File::create(log)?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(Running(command.spawn()?))
    }

    /// User and system time so far.
    pub(crate) fn cpu(&self) -> io::Result<Duration> {
        Ok(stat(self.0.id())?.1)
    }

    /// Resident memory now.
    pub(crate) fn memory(&self) -> io::Result<u64> {
        Ok(status(self.0.id(), "VmRSS:")? * 1024)
    }

    /// The largest resident memory so far.
    pub(crate) fn peak(&self) -> io::Result<u64> {
        Ok(status(self.0.id(), "VmHWM:")? * 1024)
    }

    /// Bytes handed to write calls, and bytes that went on to storage.
    pub(crate) fn written(&self) -> io::Result<(u64, u64)> {
        let text = fs::read_to_string(format!("/proc/{}/io", self.0.id()))?;
        Ok((number(&text, "wchar:")?, number(&text, "write_bytes:")?))
    }

    /// How often its threads have gone to sleep and so been woken.
    pub(crate) fn wake_ups(&self) -> io::Result<u64> {
        let mut sum = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.0.id()))? {
            let text = fs::read_to_string(task?.path().join("status"))?;
            sum += number(&text, "voluntary_ctxt_switches:")?;
        }
        Ok(sum)
    }

    /// Waits until it has used no processor time for `quiet`; an error if it ends or never rests.
    pub(crate) fn settle(&self, quiet: Duration, limit: Duration) -> io::Result<()> {
        let begin = Instant::now();
        let (mut cpu, mut since) = (self.cpu()?, Instant::now());
        while since.elapsed() < quiet {
            sleep(Duration::from_millis(50));
            let (state, now) = stat(self.0.id())?;
            if state == "Z" {
                return Err(io::Error::other("the daemon has ended; see its log"));
            }
            if now > cpu {
                (cpu, since) = (now, Instant::now());
            }
            if begin.elapsed() > limit {
                return Err(io::Error::other("the daemon does not come to rest"));
            }
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The state of a process and its processor time, all its threads together.
fn stat(process: u32) -> io::Result<(String, Duration)> {
    let text = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name in brackets may hold anything; what follows it does not.
    let fields: Vec<&str> = text.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u32>().ok());
    match (fields.first(), ticks(11), ticks(12)) {
        (Some(state), Some(user), Some(system)) => Ok(((*state).to_owned(), TICK * (user + system))),
        _ => Err(io::Error::other(format!("/proc/{process}/stat reads {text:?}"))),
    }
}

fn status(process: u32, name: &str) -> io::Result<u64> {
    number(&fs::read_to_string(format!("/proc/{process}/status"))?, name)
}

/// The number behind `name` at the start of a line.
fn number(text: &str, name: &str) -> io::Result<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok());
    value.ok_or_else(|| io::Error::other(format!("no {name} here")))
}
