//! `sfs auth`: whose sessions these are on which server.

use super::sync::tell_daemon;
use super::{Context, ui};
use crate::error::{Context as _, Error, Kind, Result};
use crate::store::{Event, Store};
use crate::sync::client::{Account, Client, normal_url};
use argh::{ArgsInfo, FromArgs};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::{BufRead, IsTerminal};

/// Sign up, log in, log out, look after keys
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "auth")]
#[argh(example = "sfs auth signup --url https://sessions.example.org --email me@example.org
sfs auth status")]
#[argh(note = "SFS_API_KEY and SFS_API_URL, where they are set, count before what is stored.")]
pub(super) struct Auth {
    #[argh(subcommand)]
    command: AuthCommand,
}

#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand)]
enum AuthCommand {
    Signup(Signup),
    Login(Login),
    Status(Look),
    Logout(Logout),
    Keys(Keys),
    Web(Web),
}

/// Make an account on a server, and log in with its first key
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "signup")]
#[argh(example = "sfs auth signup --url https://sessions.example.org --email me@example.org")]
struct Signup {
    /// the server's address
    #[argh(option)]
    url: Option<String>,
    /// your address; asked for on a terminal
    #[argh(option)]
    email: Option<String>,
    /// the code of an invitation, where the server wants one
    #[argh(option)]
    invite: Option<String>,
    /// print as JSON
    #[argh(switch)]
    json: bool,
}

/// Log in with a key: typed, piped in, or from `SFS_API_KEY`
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "login")]
#[argh(example = "sfs auth login --url https://sessions.example.org")]
#[argh(note = "The key is checked first; one that the server refuses is not stored.")]
struct Login {
    /// the server's address
    #[argh(option)]
    url: Option<String>,
    /// the key; it stays in the shell's history
    #[argh(option)]
    key: Option<String>,
    /// print as JSON
    #[argh(switch)]
    json: bool,
}

/// Show who is logged in where, and whether the server takes the key
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "status")]
#[argh(example = "sfs auth status --json")]
struct Look {
    /// print as JSON
    #[argh(switch)]
    json: bool,
}

/// Forget the key; sessions stay here and there
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "logout")]
#[argh(example = "sfs auth logout")]
struct Logout {}

/// List, make and revoke keys: one for each machine
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "keys")]
#[argh(example = "sfs auth keys
sfs auth keys create laptop")]
struct Keys {
    #[argh(subcommand)]
    command: Option<KeysCommand>,
    /// print as JSON
    #[argh(switch)]
    json: bool,
}

#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand)]
enum KeysCommand {
    List(ListKeys),
    Create(CreateKey),
    Rename(RenameKey),
    Revoke(RevokeKey),
}

/// List the account's keys
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "list")]
#[argh(example = "sfs auth keys list")]
struct ListKeys {
    /// print as a JSON array
    #[argh(switch)]
    json: bool,
}

/// Make a key; it is shown once
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "create")]
#[argh(example = "sfs auth keys create laptop")]
struct CreateKey {
    /// what the key is for
    #[argh(positional)]
    name: String,
    /// print as JSON
    #[argh(switch)]
    json: bool,
}

/// Call a key otherwise
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "rename")]
#[argh(example = "sfs auth keys rename KEY_ID laptop")]
struct RenameKey {
    /// the key's id, as `sfs auth keys` shows it
    #[argh(positional)]
    key: String,
    /// what the key is for
    #[argh(positional)]
    name: String,
}

/// Revoke a key: from now on it is refused
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "revoke")]
#[argh(example = "sfs auth keys revoke KEY_ID")]
struct RevokeKey {
    /// the key's id, as `sfs auth keys` shows it
    #[argh(positional)]
    key: String,
}

/// Open the server's dashboard, signed in
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "web")]
#[argh(example = "sfs auth web
sfs auth web --no-open")]
#[argh(note = "The link works once, for five minutes. The archive of this machine: sfs web")]
struct Web {
    /// only print the link
    #[argh(switch)]
    no_open: bool,
    /// print the link as JSON
    #[argh(switch)]
    json: bool,
}

impl Auth {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        match self.command {
            AuthCommand::Signup(command) => command.run(context),
            AuthCommand::Login(command) => command.run(context),
            AuthCommand::Status(command) => command.run(context),
            AuthCommand::Logout(_) => logout(context),
            AuthCommand::Keys(command) => command.run(context),
            AuthCommand::Web(command) => command.run(context),
        }
    }
}

#[derive(Deserialize)]
struct SignedUp {
    email: String,
    raw_key: String,
}

impl Signup {
    fn run(self, context: &Context) -> Result<()> {
        let mut store = context.open()?;
        let url = server(&store, self.url.as_deref())?;
        let email = match &self.email {
            Some(email) => email.clone(),
            None => ask(context, "Your email address", false)?,
        };
        let mut client = Client::anonymous(&url)?;
        let body = json!({"email": email, "invite": self.invite});
        let SignedUp { email, raw_key } = client.json("POST", "/api/v1/auth/signup", Some(&body))?;
        let account = Account { url, key: raw_key, email: Some(email) };
        account.save(&mut store)?;
        context.audit(&mut store, Event::SignedUp, None, &json!({"url": account.url, "email": account.email}));
        tell_daemon(&context.home)?;
        if self.json {
            return context.ui.json(&described(&account));
        }
        let (url, email) = (ui::printable(&account.url), account.email.as_deref().unwrap_or_default());
        context.ui.line(&format!("Signed up as {} at {url}.", ui::printable(email)))?;
        context.ui.note("Next: sfs push. For another machine: sfs auth keys create NAME, and there sfs auth login");
        Ok(())
    }
}

impl Login {
    fn run(self, context: &Context) -> Result<()> {
        let mut store = context.open()?;
        let url = server(&store, self.url.as_deref())?;
        if self.key.is_some() {
            context
                .ui
                .note("note: a key on the command line stays in the shell's history; without --key it is asked for");
        }
        let key = match self.key.or_else(|| variable("SFS_API_KEY")) {
            Some(key) => key,
            None => ask(context, "API key", true)?,
        };
        let mut account = Account { url, key: key.trim().to_owned(), email: None };
        account.email = verify(&account).inspect_err(|error| {
            if error.kind() == Kind::Auth {
                context.audit(&mut store, Event::AuthFailed, None, &json!({"url": account.url}));
            }
        })?;
        account.save(&mut store)?;
        context.audit(&mut store, Event::LoggedIn, None, &json!({"url": account.url, "email": account.email}));
        tell_daemon(&context.home)?;
        if self.json {
            return context.ui.json(&described(&account));
        }
        let whose = account.email.as_deref().map(|email| format!(" as {}", ui::printable(email))).unwrap_or_default();
        context.ui.line(&format!("Logged in{whose} at {}.", ui::printable(&account.url)))
    }
}

#[derive(Deserialize)]
struct Me {
    email: String,
}

/// Whose key it is, says the server; one of the first contract (`SessionFS` 0.1) only says whether it is one.
fn verify(account: &Account) -> Result<Option<String>> {
    let is_key = account.key.bytes().all(|b| b.is_ascii_graphic()) && !account.key.is_empty();
    if !is_key {
        return Err(Error::new(Kind::Auth, "that is not an API key").hint("a key begins with sk_sfs_"));
    }
    let mut client = Client::of(account)?;
    match client.json::<Me>("GET", "/api/v1/auth/me", None) {
        Ok(me) => Ok(Some(me.email)),
        Err(error) if error.kind() == Kind::NotFound => {
            client.call("GET", "/api/v1/sessions?page=1&page_size=1", None)?;
            Ok(account.email.clone())
        }
        Err(error) => Err(error),
    }
}

impl Look {
    fn run(self, context: &Context) -> Result<()> {
        let account = match Account::of(&context.open()?) {
            Err(error) if error.kind() == Kind::Auth => {
                return if self.json {
                    context.ui.json(&json!({"signed_in": false}))
                } else {
                    context.ui.line("Nobody is signed in. Log in: sfs auth login --url URL")
                };
            }
            other => other?,
        };
        let email = verify(&account)?;
        let account = Account { email, ..account };
        if self.json {
            return context.ui.json(&described(&account));
        }
        let email = ui::printable(account.email.as_deref().unwrap_or_default());
        context.ui.line(&format!("{email} at {}, with the key {}", ui::printable(&account.url), shown(&account.key)))
    }
}

fn logout(context: &Context) -> Result<()> {
    let mut store = context.open()?;
    let was_in = Account::forget(&mut store)?;
    if was_in {
        context.audit(&mut store, Event::LoggedOut, None, &json!({}));
    }
    tell_daemon(&context.home)?;
    context.ui.line(if was_in {
        "The key is forgotten. It stays valid: `sfs auth keys revoke` ends that."
    } else {
        "Nobody was signed in."
    })?;
    if variable("SFS_API_KEY").is_some() {
        context.ui.note("note: SFS_API_KEY is still set");
    }
    Ok(())
}

#[derive(Deserialize)]
struct Key {
    #[serde(rename = "key_id")]
    id: String,
    name: Option<String>,
    #[serde(default)]
    last_used_at: Option<String>,
}

impl Keys {
    fn run(self, context: &Context) -> Result<()> {
        let mut store = context.open()?;
        let account = Account::of(&store)?;
        let mut client = Client::of(&account)?;
        match self.command {
            None => list(context, &mut client, self.json),
            Some(KeysCommand::List(command)) => list(context, &mut client, command.json || self.json),
            Some(KeysCommand::Create(command)) => {
                let made: Value = client.json("POST", "/api/v1/auth/keys", Some(&json!({"name": command.name})))?;
                let detail = json!({"url": account.url, "key": made["key_id"], "name": command.name});
                context.audit(&mut store, Event::KeyCreated, None, &detail);
                if command.json || self.json {
                    return context.ui.json(&made);
                }
                context.ui.note("The key, which is not shown again:");
                context.ui.line(&ui::printable(made["raw_key"].as_str().unwrap_or_default()))
            }
            Some(KeysCommand::Rename(command)) => {
                let name = json!({"name": command.name});
                client.json::<Value>("PATCH", &path_of(&command.key)?, Some(&name))?;
                context.ui.line("Renamed.")
            }
            Some(KeysCommand::Revoke(command)) => {
                client.call("DELETE", &path_of(&command.key)?, None)?;
                let detail = json!({"url": account.url, "key": command.key});
                context.audit(&mut store, Event::KeyRevoked, None, &detail);
                context.ui.line("Revoked.")
            }
        }
    }
}

fn path_of(key: &str) -> Result<String> {
    let is_id = key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if !is_id || key.is_empty() {
        return Err(Error::usage(format!("{key:?} is not a key's id")).hint("sfs auth keys"));
    }
    Ok(format!("/api/v1/auth/keys/{key}"))
}

#[derive(Deserialize)]
struct Link {
    path: String,
    expires_at: String,
}

impl Web {
    fn run(self, context: &Context) -> Result<()> {
        let account = Account::of(&context.open()?)?;
        let link: Link = Client::of(&account)?.json("POST", "/api/web/sign-in-links", Some(&json!({})))?;
        let url = format!("{}{}", account.url, link.path);
        if self.json {
            return context.ui.json(&json!({"url": url, "expires_at": link.expires_at}));
        }
        context.ui.line(&ui::printable(&url))?;
        context.ui.note("The link works once, for five minutes.");
        if !self.no_open && link.path.starts_with("/sign-in#") {
            super::web::open(&url);
        }
        Ok(())
    }
}

fn list(context: &Context, client: &mut Client, as_json: bool) -> Result<()> {
    let keys: Vec<Value> = client.json("GET", "/api/v1/auth/keys", None)?;
    if as_json {
        return context.ui.json(&keys);
    }
    keys.into_iter().try_for_each(|key| {
        let key: Key = serde_json::from_value(key).context(|| "the server's answer can't be read")?;
        let name = key.name.as_deref().unwrap_or("(unnamed)");
        let used = key.last_used_at.as_deref().unwrap_or("never");
        let line = format!("{}  {name}  last used {used}", key.id);
        context.ui.line(&ui::printable(&line))
    })
}

/// The server that is meant: the one on the command line, in the environment, or that of the account.
fn server(store: &Store, url: Option<&str>) -> Result<String> {
    if let Some(url) = url.map(str::to_owned).or_else(|| variable("SFS_API_URL")) {
        return normal_url(&url);
    }
    Account::of(store).map(|account| account.url).map_err(|_| {
        Error::usage("which server?")
            .hint("sfs auth login --url https://sessions.example.org, or whatever its address is")
    })
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn described(account: &Account) -> Value {
    json!({"signed_in": true, "url": account.url, "email": account.email, "key": shown(&account.key)})
}

/// So much of a key that its owner knows it.
fn shown(key: &str) -> String {
    let last: String = key.chars().rev().take(4).collect::<Vec<_>>().into_iter().rev().collect();
    format!("sk_sfs_…{}", ui::printable(&last))
}

/// One line of input; a secret is not shown while it is typed.
fn ask(context: &Context, what: &str, is_secret: bool) -> Result<String> {
    let stdin = std::io::stdin();
    let is_terminal = stdin.is_terminal();
    if is_terminal {
        context.ui.note(&format!("{what}:"));
    }
    let modes = if is_terminal && is_secret { tcgetattr(&stdin).ok() } else { None };
    if let Some(mut quiet) = modes.clone() {
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Flush, &quiet).context(|| "the terminal can't be silenced")?;
    }
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    if let Some(modes) = modes {
        tcsetattr(&stdin, OptionalActions::Flush, &modes).context(|| "the terminal can't be restored")?;
    }
    read.context(|| "the input can't be read")?;
    let line = line.trim().to_owned();
    if line.is_empty() {
        let hint = if is_secret { "type or pipe the key in, or set SFS_API_KEY" } else { "give it with --email" };
        return Err(Error::usage(format!("{what} is missing")).hint(hint));
    }
    Ok(line)
}
