//! `sessionfs serve`: the sync server, and looking after its folder.

use super::Context;
use super::arguments::size;
use super::ui;
use crate::error::{Error, Result};
use crate::server::accounts::{Account, Signup};
use crate::server::api::{self, Api, Policy};
use crate::server::audit::Query;
use crate::server::webhook::Target;
use crate::server::{Limits, Options, Server, backup};
use argh::{ArgsInfo, FromArgs};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

/// Requests that are answered at one time: each works on its own account, two on one wait for each other.
const WORKERS: usize = 8;

/// Run the sync server: push from every machine, pull on any
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "serve")]
#[argh(example = "sfs serve --data /var/lib/sessionfs --signup invite
sfs serve invite --email bob@example.com
sfs serve backup /var/backups/sessionfs.tar")]
#[argh(
    note = "One process and one folder, no other program. It answers http: put a reverse proxy with a certificate in front.
Every option can also be given by an environment variable, such as SESSIONFS_SERVE_LISTEN; the option counts.
A webhook is signed with the secret in SESSIONFS_SERVE_WEBHOOK_SECRET.
A backup is brought back by unpacking it into an empty folder: tar -xf FILE -C DIR"
)]
pub(super) struct Serve {
    /// the server's folder; `server` below our own by default
    #[argh(option)]
    data: Option<PathBuf>,
    /// the address to listen on (127.0.0.1:8800)
    #[argh(option)]
    listen: Option<String>,
    /// who may sign up: open, invite or closed (open)
    #[argh(option)]
    signup: Option<String>,
    /// bytes of an uploaded archive, such as 100M (100M)
    #[argh(option)]
    max_upload: Option<String>,
    /// bytes that an account's archive may have, such as 5G (no limit)
    #[argh(option)]
    quota: Option<String>,
    /// requests a minute from one key or address (600)
    #[argh(option)]
    rate: Option<String>,
    /// a proxy in front whose word on the client's address counts, such as 10.0.0.0/8
    #[argh(option)]
    trusted_proxy: Option<String>,
    /// the origin (scheme and host) of a page elsewhere that may call the API
    #[argh(option)]
    cors_origin: Option<String>,
    /// where to tell, signed, who shares what with whom: an https address
    #[argh(option)]
    webhook: Option<String>,
    #[argh(subcommand)]
    command: Option<ServeCommand>,
}

#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand)]
enum ServeCommand {
    Backup(Backup),
    Users(Users),
    Invite(Invite),
    Disable(Disable),
    Check(Check),
    Gc(Gc),
    Audit(Audit),
}

/// Copy the whole server into one tar file, checked, while it runs
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "backup")]
#[argh(example = "sfs serve backup /var/backups/sessionfs.tar --data /var/lib/sessionfs")]
struct Backup {
    /// the tar file to write
    #[argh(positional)]
    file: PathBuf,
    /// the server's folder
    #[argh(option)]
    data: Option<PathBuf>,
    /// print what it holds as JSON
    #[argh(switch)]
    json: bool,
}

/// List the accounts, or say who looks after the server
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "users")]
#[argh(example = "sfs serve users
sfs serve users --admin alice@example.com")]
struct Users {
    /// let this account look after the server
    #[argh(option)]
    admin: Option<String>,
    /// no longer let this account look after it
    #[argh(option)]
    no_admin: Option<String>,
    /// the server's folder
    #[argh(option)]
    data: Option<PathBuf>,
    /// print as JSON
    #[argh(switch)]
    json: bool,
}

/// Make a code with which one person can sign up
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "invite")]
#[argh(example = "sfs serve invite --email bob@example.com --days 3")]
struct Invite {
    /// only for this address
    #[argh(option)]
    email: Option<String>,
    /// valid for so many days (7)
    #[argh(option, default = "7")]
    days: u32,
    /// the server's folder
    #[argh(option)]
    data: Option<PathBuf>,
}

/// Refuse an account's keys from now on; its sessions stay
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "disable")]
#[argh(example = "sfs serve disable bob@example.com
sfs serve disable bob@example.com --undo")]
struct Disable {
    /// the account's address
    #[argh(positional)]
    email: String,
    /// take its keys again
    #[argh(switch)]
    undo: bool,
    /// the server's folder
    #[argh(option)]
    data: Option<PathBuf>,
}

/// Verify every byte of every account, and name what is damaged
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "check")]
#[argh(example = "sfs serve check --data /var/lib/sessionfs")]
struct Check {
    /// the server's folder
    #[argh(option)]
    data: Option<PathBuf>,
    /// print the report as JSON
    #[argh(switch)]
    json: bool,
}

/// Drop used invitations and audit events of more than a year ago; no session
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "gc")]
#[argh(example = "sfs serve gc")]
struct Gc {
    /// the server's folder
    #[argh(option)]
    data: Option<PathBuf>,
    /// print what was dropped as JSON
    #[argh(switch)]
    json: bool,
}

/// Show what happened: signups, keys, pushes, pulls, conflicts, refusals
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "audit")]
#[argh(example = "sfs serve audit -n 20
sfs serve audit --event auth_failed --json")]
struct Audit {
    /// only events of this kind, such as pushed
    #[argh(option)]
    event: Option<String>,
    /// only of the account with this address
    #[argh(option)]
    account: Option<String>,
    /// so many, the newest first (100)
    #[argh(option, short = 'n', default = "100")]
    limit: u32,
    /// the server's folder
    #[argh(option)]
    data: Option<PathBuf>,
    /// print as JSON
    #[argh(switch)]
    json: bool,
}

impl Serve {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let outer = given(self.data.as_ref().map(|path| path.to_string_lossy().into_owned()), "DATA");
        let outer = outer.map_or_else(|| context.home.data.join("server"), PathBuf::from);
        let data = |own: &Option<PathBuf>| own.clone().unwrap_or_else(|| outer.clone());
        match &self.command {
            None => self.serve(context, &outer),
            Some(ServeCommand::Backup(command)) => command.run(context, &data(&command.data)),
            Some(ServeCommand::Users(command)) => command.run(context, &data(&command.data)),
            Some(ServeCommand::Invite(command)) => command.run(context, &data(&command.data)),
            Some(ServeCommand::Disable(command)) => command.run(context, &data(&command.data)),
            Some(ServeCommand::Check(command)) => command.run(context, &data(&command.data)),
            Some(ServeCommand::Gc(command)) => command.run(context, &data(&command.data)),
            Some(ServeCommand::Audit(command)) => command.run(context, &data(&command.data)),
        }
    }

    fn serve(&self, context: &Context, data: &Path) -> Result<()> {
        let (policy, options) = (self.policy()?, self.options(data)?);
        let server = Server::open(options, Arc::new(Api::open(data, policy)?))?;
        context.ui.line(&format!("Listening on http://{}, data in {}", server.address(), data.display()))?;
        server.run()
    }

    fn policy(&self) -> Result<Policy> {
        let standard = Policy::default();
        let signup = match given(self.signup.clone(), "SIGNUP").as_deref() {
            None | Some("open") => Signup::Open,
            Some("invite") => Signup::Invite,
            Some("closed") => Signup::Closed,
            Some(other) => return Err(wrong("--signup", other, "open, invite or closed")),
        };
        let bytes = |text: Option<String>, option: &str| {
            text.map(|text| size(&text).ok_or_else(|| wrong(option, &text, "a number of bytes, such as 500M or 5G")))
                .transpose()
        };
        let max_upload = bytes(given(self.max_upload.clone(), "MAX_UPLOAD"), "--max-upload")?;
        Ok(Policy {
            signup,
            max_upload: max_upload.unwrap_or(standard.max_upload),
            quota: bytes(given(self.quota.clone(), "QUOTA"), "--quota")?,
            rate: parsed(given(self.rate.clone(), "RATE"), "--rate", "a number of requests a minute")?
                .unwrap_or(standard.rate),
            webhook: self.webhook()?,
        })
    }

    /// The secret has no option: others on the machine could read it.
    fn webhook(&self) -> Result<Option<Target>> {
        let secret = given(None, "WEBHOOK_SECRET").unwrap_or_default();
        given(self.webhook.clone(), "WEBHOOK").map(|url| Target::new(&url, &secret)).transpose()
    }

    fn options(&self, data: &Path) -> Result<Options> {
        let cors_origin = given(self.cors_origin.clone(), "CORS_ORIGIN");
        if let Some(origin) = cors_origin.as_deref().filter(|origin| !is_origin(origin)) {
            return Err(wrong("--cors-origin", origin, "scheme and host, such as https://example.com"));
        }
        let listen = given(self.listen.clone(), "LISTEN");
        let listen = parsed(listen, "--listen", "an address and a port, such as 127.0.0.1:8800")?;
        let proxy = given(self.trusted_proxy.clone(), "TRUSTED_PROXY");
        Ok(Options {
            listen: listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8800))),
            folder: data.to_owned(),
            workers: WORKERS,
            health: api::health().to_string(),
            trusted_proxies: parsed(proxy, "--trusted-proxy", "such as 10.0.0.0/8")?.into_iter().collect(),
            cors_origins: cors_origin.into_iter().collect(),
            limits: Limits::default(),
            log: Arc::new(|entry| ui::Ui::log(entry)),
        })
    }
}

/// How `sfs web` listens: at `listen`, for this machine; nothing is logged.
pub(super) fn local_options(listen: SocketAddr, folder: PathBuf) -> Options {
    Options {
        listen,
        folder,
        workers: WORKERS,
        health: api::health().to_string(),
        trusted_proxies: Vec::new(),
        cors_origins: Vec::new(),
        limits: Limits::default(),
        log: Arc::new(|_| ()),
    }
}

/// What the option says, else the environment.
fn given(option: Option<String>, name: &str) -> Option<String> {
    option.or_else(|| std::env::var(format!("SESSIONFS_SERVE_{name}")).ok()).filter(|text| !text.is_empty())
}

fn wrong(option: &str, value: &str, valid: &str) -> Error {
    Error::usage(format!("{value:?} is not a value of {option}")).hint(format!("valid: {valid}"))
}

fn parsed<T: FromStr>(text: Option<String>, option: &str, valid: &str) -> Result<Option<T>> {
    text.map(|text| text.parse().map_err(|_| wrong(option, &text, valid))).transpose()
}

fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-:[]".contains(c))
}

impl Backup {
    fn run(&self, context: &Context, data: &Path) -> Result<()> {
        let made = backup::backup(data, &self.file)?;
        if self.json {
            return context.ui.json(&made);
        }
        let bytes = made.files.iter().map(|file| file.bytes).sum();
        let databases = ui::counted(made.files.len() as u64, "database");
        context.ui.line(&format!("{}: {databases}, {}, all checked.", self.file.display(), ui::bytes(bytes)))
    }
}

impl Users {
    fn run(&self, context: &Context, data: &Path) -> Result<()> {
        let accounts = backup::open_accounts(data)?;
        for (email, is_admin) in [(&self.admin, true), (&self.no_admin, false)] {
            if let Some(email) = email {
                accounts.change(email, Some(is_admin), None)?;
            }
        }
        let list = accounts.list()?;
        if self.json {
            let rows: Vec<_> = list.iter().map(|(account, keys)| json(account, *keys)).collect();
            return context.ui.json(&rows);
        }
        for (account, keys) in &list {
            let mut about = vec![ui::counted(*keys, "key"), format!("since {}", ui::local_time(account.created_at))];
            about.extend(account.is_admin.then(|| "admin".to_owned()));
            about.extend(account.disabled_at.map(|_| "disabled".to_owned()));
            context.ui.line(&format!("{}  {}  {}", account.id, ui::printable(&account.email), about.join(", ")))?;
        }
        Ok(())
    }
}

fn json(account: &Account, keys: u64) -> serde_json::Value {
    serde_json::json!({"id": account.id.to_string(), "email": account.email, "admin": account.is_admin, "keys": keys,
        "created_at": ui::rfc3339(account.created_at), "disabled_at": account.disabled_at.and_then(ui::rfc3339)})
}

impl Invite {
    fn run(&self, context: &Context, data: &Path) -> Result<()> {
        context.ui.line(&backup::open_accounts(data)?.invite(self.email.as_deref(), self.days)?)
    }
}

impl Disable {
    fn run(&self, context: &Context, data: &Path) -> Result<()> {
        let account = backup::open_accounts(data)?.change(&self.email, None, Some(!self.undo))?;
        let state = if self.undo { "may use the server again" } else { "is refused from now on; its sessions stay" };
        context.ui.line(&format!("{} {state}.", ui::printable(&account.email)))
    }
}

impl Check {
    fn run(&self, context: &Context, data: &Path) -> Result<()> {
        let checked = backup::check(data, |email| context.ui.progress(Some(&ui::printable(email))))?;
        context.ui.progress(None);
        if self.json {
            context.ui.json(&checked)?;
        } else {
            let accounts = ui::counted(checked.accounts, "account");
            let sessions = ui::counted(checked.sessions, "session");
            context.ui.line(&format!("{accounts}, {sessions}, {}.", ui::bytes(checked.native_bytes)))?;
            for (whose, damage) in &checked.damage {
                let session = damage.session.as_deref().map(|id| format!(" {id}")).unwrap_or_default();
                context.ui.line(&ui::printable(&format!("damaged: {whose}{session}: {}", damage.what)))?;
            }
        }
        if checked.damage.is_empty() {
            return Ok(());
        }
        let places = ui::counted(checked.damage.len() as u64, "place");
        Err(Error::failed(format!("{} is damaged in {places}", data.display()))
            .hint("stop the server and unpack a backup into an empty folder"))
    }
}

impl Gc {
    fn run(&self, context: &Context, data: &Path) -> Result<()> {
        let tidied = backup::tidy(data)?;
        if self.json {
            return context.ui.json(&tidied);
        }
        let (invites, events) = (ui::counted(tidied.invites, "invitation"), ui::counted(tidied.events, "event"));
        context.ui.line(&format!("Dropped {invites} and {events}; no session."))
    }
}

impl Audit {
    fn run(&self, context: &Context, data: &Path) -> Result<()> {
        let query = Query { event: self.event.clone(), account: self.account.clone(), before: None, limit: self.limit };
        let events = backup::open_accounts(data)?.events(&query)?;
        if self.json {
            return context.ui.json(&events);
        }
        for event in events {
            let fields = [event.account, event.session, event.address, Some(event.detail)];
            let fields: Vec<String> = fields.into_iter().flatten().filter(|text| !text.is_empty()).collect();
            let at = ui::local_time(event.at.as_millisecond());
            context.ui.line(&ui::printable(&format!("{at}  {:<16} {}", event.event, fields.join("  "))))?;
        }
        Ok(())
    }
}
