//! `sfs web`.

use super::Context;
use super::serve::local_options;
use crate::error::{Error, Result};
use crate::server::Server;
use crate::server::dashboard::local::Local;
use argh::{ArgsInfo, FromArgs};
use serde_json::json;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// Browse the archive in a browser on this machine
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "web")]
#[argh(example = "sfs web
sfs web --listen 127.0.0.1:8810 --no-open")]
#[argh(
    note = "Only this machine is answered, and only the browser that opens the link, which works once. Ctrl-C ends it.
The dashboard of a server: sfs auth web"
)]
pub(super) struct Web {
    /// the address to listen on, of this machine only (127.0.0.1, any free port)
    #[argh(option, default = "SocketAddr::from(([127, 0, 0, 1], 0))")]
    listen: SocketAddr,
    /// only print the link
    #[argh(switch)]
    no_open: bool,
    /// print the link as JSON
    #[argh(switch)]
    json: bool,
}

impl Web {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        if !self.listen.ip().is_loopback() {
            return Err(Error::usage(format!("{} is not an address of this machine alone", self.listen))
                .hint("127.0.0.1:8810, for instance; for other machines there is `sfs serve`"));
        }
        let (local, token) = Local::open(&context.home)?;
        let folder = local.scratch().to_owned();
        let server = Server::open(local_options(self.listen, folder), Arc::new(local))?;
        let address = server.address();
        let url = format!("http://{address}/sign-in#{token}");
        if self.json {
            context.ui.json(&json!({"url": url, "address": address.to_string()}))?;
        } else {
            context.ui.line(&url)?;
            context.ui.note("The link works once, in one browser. Ctrl-C ends the dashboard.");
        }
        if !self.no_open && !self.json {
            open(&url);
        }
        server.run()
    }
}

/// Opens the address in the person's browser, where somebody sits at a terminal. Where that fails, the link is printed anyway.
pub(super) fn open(url: &str) {
    if !std::io::stdout().is_terminal() {
        return;
    }
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = Command::new(program);
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Ok(mut child) = command.spawn() {
        std::thread::spawn(move || child.wait());
    }
}
