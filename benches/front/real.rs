//! `sessionfs serve` itself with 1,024 files: fifty clients that push, alone and amid all attacks at once.

use super::{Attackers, TOGETHER, eventually, load, ms, part, watch};
use crate::measure::Bench;
use crate::process::Running;
use crate::{Limit, Report};
use std::io;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

const CLIENTS: &str = "50";

pub(super) fn measure(bench: &Bench, report: &mut Report) -> io::Result<()> {
    std::fs::create_dir_all(&bench.scratch)?;
    let folder = tempfile::tempdir_in(&bench.scratch)?;
    let log = folder.path().join("log");
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 1024 && exec \"$@\"", "sh"]).arg(&bench.binary).arg("serve");
    command.arg("--data").arg(folder.path().join("data")).args(["--listen", "127.0.0.1:0", "--rate", "1000000"]);
    let server = Running::start(command.env("HOME", folder.path()), &log)?;
    let address = eventually(|| {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        text.split(['/', ',']).find_map(|word| word.parse::<SocketAddr>().ok())
    })?;
    for attacked in [false, true] {
        let what = if attacked { "serve, 50 clients push amid all attacks" } else { "serve, 50 clients push" };
        let attackers = attacked.then(|| Attackers::start(bench, "together", address)).transpose()?;
        let clients = pushing(address)?;
        let (_, slowest) = watch(address, TOGETHER);
        let output = clients.wait_with_output()?;
        drop(attackers);
        let figures: load::Figures = serde_json::from_slice(&output.stdout)?;
        report.line(&format!("{what}: pushes"), figures.per_second, "/s", Limit::Free);
        report.line(&format!("{what}: slowest hundredth above"), figures.p99_ms, "ms", Limit::Free);
        report.line(&format!("{what}: clients that failed"), figures.failed as f64, "", Limit::Below(1.0));
        report.line(&format!("{what}: GET /health, slowest"), ms(slowest), "ms", Limit::Below(200.0));
    }
    report.line("serve: peak memory, all of that over", server.peak()? as f64 / 1e6, "MB", Limit::Below(64.0));
    Ok(())
}

fn pushing(address: SocketAddr) -> io::Result<Child> {
    let seconds = TOGETHER.as_secs().to_string();
    part(&["push", &address.to_string(), CLIENTS, &seconds]).stdout(Stdio::piped()).spawn()
}
