//! Runs a client where it can reach nobody but the mock.
//!
//! The test binary (or the bench) starts itself again under `unshare`, with this module's one ignored test as its filter: there it
//! brings loopback up, lays a copy of the home over the home (so that every absolute path in it stays true and the
//! original is not touched), starts the mock and the client, and leaves what happened in a file.

use super::Client;
use super::mock::{Exchange, Mock, Reply};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Names the folder of the job for the process inside.
const JOB: &str = "SESSIONFS_TEST_CLIENT_JOB";

/// How long a client may take; a usual run takes two seconds.
const PATIENCE: Duration = Duration::from_secs(90);

/// A run of a client.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    /// Whose model the mock plays.
    pub client: Client,
    /// Program and arguments.
    pub command: Vec<String>,
    /// The whole environment, but for a folder for temporary files.
    pub env: Vec<(String, String)>,
    /// The folder the client works in; where it does not exist it is made up inside.
    pub cwd: PathBuf,
    /// What to lay over what: a copy of the home over the home.
    pub overlay: Option<(PathBuf, PathBuf)>,
    /// What the model answers.
    pub replies: Vec<Reply>,
}

/// What happened.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// None if the client was killed.
    pub exit: Option<i32>,
    /// All it wrote.
    pub stdout: String,
    /// All it wrote there.
    pub stderr: String,
    /// What it asked its model.
    pub exchanges: Vec<Exchange>,
}

/// Runs `job` in namespaces of its own.
pub fn run(job: &Job) -> Result<Outcome, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let text = serde_json::to_vec(job).map_err(|error| error.to_string())?;
    std::fs::write(folder.path().join("job"), text).map_err(|error| error.to_string())?;
    let binary = std::env::current_exe().map_err(|error| error.to_string())?;
    let ran = unshare()
        .arg(binary)
        .args(["clients::namespace::inside", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env(JOB, folder.path())
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("unshare: {error}"))?;
    let outcome = std::fs::read(folder.path().join("outcome")).ok();
    outcome.and_then(|text| serde_json::from_slice(&text).ok()).ok_or_else(|| {
        let said = String::from_utf8_lossy(&ran.stdout) + String::from_utf8_lossy(&ran.stderr);
        format!("the client could not be run in a namespace: {said}")
    })
}

/// Whether namespaces can be had here; else why not.
pub fn possible() -> Result<(), String> {
    let tried = unshare().args(["sh", "-c", "ip link set lo up && mount -t tmpfs none /tmp"]).output();
    match tried {
        Err(error) => Err(format!("no unshare: {error}")),
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("no namespace: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.arg(if rustix::process::geteuid().is_root() { "-nm" } else { "-rnm" });
    command
}

#[test]
#[ignore = "the inside of a run of a client, not a test"]
fn inside() {
    serve();
}

/// Does the job that this process was started for, if it was; says whether.
pub fn serve() -> bool {
    let Some(folder) = std::env::var_os(JOB).map(PathBuf::from) else { return false };
    let job: Job = serde_json::from_slice(&std::fs::read(folder.join("job")).unwrap()).unwrap();
    tool("ip", &["link", "set", "lo", "up"]);
    if let Some((copy, home)) = &job.overlay {
        mount(&["--bind"], copy, home);
    }
    make_up(&job.cwd, &folder);
    let mock = Mock::start(job.client, &job.replies).unwrap();
    let exit = launch(&job, &folder);
    let read = |name: &str| String::from_utf8_lossy(&std::fs::read(folder.join(name)).unwrap()).into_owned();
    let outcome = Outcome { exit, stdout: read("stdout"), stderr: read("stderr"), exchanges: mock.stop() };
    std::fs::write(folder.join("outcome.part"), serde_json::to_vec(&outcome).unwrap()).unwrap();
    std::fs::rename(folder.join("outcome.part"), folder.join("outcome")).unwrap();
    true
}

/// Starts the client in a process group of its own, waits, and kills whatever is left of the group.
fn launch(job: &Job, folder: &Path) -> Option<i32> {
    std::fs::create_dir(folder.join("tmp")).unwrap();
    let mut child = Command::new(&job.command[0])
        .args(&job.command[1..])
        .env_clear()
        .envs(job.env.iter().map(|(name, value)| (name, value)))
        .env("TMPDIR", folder.join("tmp"))
        .env("CLAUDE_CODE_TMPDIR", folder.join("tmp"))
        .current_dir(&job.cwd)
        .stdin(Stdio::null())
        .stdout(File::create(folder.join("stdout")).unwrap())
        .stderr(File::create(folder.join("stderr")).unwrap())
        .process_group(0)
        .spawn()
        .unwrap();
    let status = wait(&mut child);
    let group = rustix::process::Pid::from_child(&child);
    let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    let _ = child.wait();
    status.and_then(|status| status.code())
}

/// The child's status, unless it takes too long.
fn wait(child: &mut Child) -> Option<ExitStatus> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    None
}

/// Makes the folder `cwd` where it does not exist, in this namespace alone: what of the path exists is laid over with
/// an empty file system in which everything that was there is bound to its old place. (Not where our own folders are:
/// there it may simply be made.)
fn make_up(cwd: &Path, scratch: &Path) {
    let base = cwd.ancestors().find(|folder| folder.is_dir()).unwrap();
    if base == cwd || scratch.starts_with(base) {
        return std::fs::create_dir_all(cwd).unwrap();
    }
    let old = scratch.join("old");
    std::fs::create_dir(&old).unwrap();
    mount(&["--rbind"], base, &old);
    mount(&["-t", "tmpfs"], Path::new("none"), base);
    for entry in std::fs::read_dir(&old).unwrap().flatten() {
        let place = base.join(entry.file_name());
        let kind = entry.file_type().unwrap();
        if kind.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(entry.path()).unwrap(), &place).unwrap();
            continue;
        } else if kind.is_dir() {
            std::fs::create_dir(&place).unwrap();
        } else {
            File::create(&place).unwrap();
        }
        mount(&["--rbind"], &entry.path(), &place);
    }
    std::fs::create_dir_all(cwd).unwrap();
}

fn mount(options: &[&str], what: &Path, place: &Path) {
    let mut arguments = options.to_vec();
    arguments.extend([what.to_str().unwrap(), place.to_str().unwrap()]);
    tool("mount", &arguments);
}

fn tool(program: &str, arguments: &[&str]) {
    let done = Command::new(program).args(arguments).status().unwrap();
    assert!(done.success(), "{program} {arguments:?}: {done}");
}
