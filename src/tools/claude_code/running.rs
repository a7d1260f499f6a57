//! Which sessions are open: `sessions/<pid>.json` of every client that runs. The `.key` files beside them hold secrets and
//! are never opened.

use crate::tools::foreign;
use serde::Deserialize;
use std::path::Path;

/// What a client says about itself.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Running {
    pid: i32,
    session_id: String,
    /// When the process started; on Linux in the kernel's own ticks.
    proc_start: Option<String>,
}

/// True where a client that is alive has the session open.
pub(super) fn is_open(root: &Path, native_id: &str) -> bool {
    let Ok(entries) = root.join("sessions").read_dir() else { return false };
    entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .filter_map(|path| serde_json::from_slice::<Running>(&foreign::read_small(&path)?).ok())
        .any(|running| running.session_id.eq_ignore_ascii_case(native_id) && running.is_alive())
}

impl Running {
    /// A client that was killed leaves its file behind, and another process may have its number by now.
    fn is_alive(&self) -> bool {
        let Some(pid) = rustix::process::Pid::from_raw(self.pid).filter(|_| self.pid > 0) else { return false };
        let exists = !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH));
        exists && self.proc_start.as_deref().zip(started(self.pid)).is_none_or(|(said, is)| *said == is)
    }
}

/// When a process started, where the system has `/proc`: the 22nd field of `stat`, the 20th behind the program's name.
fn started(pid: i32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(19).map(str::to_owned)
}
