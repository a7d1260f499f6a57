//! `sfs share`, `sfs shares` and `sfs unshare`.

use super::Context;
use super::shared::{meant, short};
use super::sync::Link;
use super::ui::{self, Style};
use crate::error::{Error, Result};
use crate::id::SessionId;
use crate::store::Event;
use crate::sync::client::{Account, Client};
use crate::sync::shared::{self, Shared};
use argh::{ArgsInfo, FromArgs};
use serde_json::{Value, json};

/// Let a teammate see a session, or whoever has a link
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "share")]
#[argh(example = "sfs share last --with bob@example.org
sfs share last --with bob@example.org --write
sfs share last --link --expires 7d")]
#[argh(
    note = "The session is pushed first. A teammate finds it with `sfs inbox`; where the address has no account on the
server, he signs up and claims it with the code that is printed. A link shows the session as a page, without
secrets. Both can be ended at any time: sfs unshare
With --write, what the teammate says comes back as a branch where he goes on with this very session: in its own tool
and in a folder of the same path. In another tool or folder he goes on in a new session, which is his to share."
)]
pub(super) struct Share {
    /// the session: an id, a prefix of one, the tool's own id, or `last`
    #[argh(positional)]
    id: String,
    /// the teammate's address
    #[argh(option)]
    with: Option<String>,
    /// let the teammate add to it: title, tags, and what he says in this very session
    #[argh(switch)]
    write: bool,
    /// make a link that anybody can open
    #[argh(switch)]
    link: bool,
    /// for how long, such as 12h, 7d or 4w; until it is ended by default
    #[argh(option)]
    expires: Option<String>,
    /// print as JSON
    #[argh(switch)]
    json: bool,
}

impl Share {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let mut body = match (&self.with, self.link) {
            (Some(email), false) => json!({"with": email, "write": self.write}),
            (None, true) if !self.write => json!({"link": true}),
            (None, true) => return Err(Error::usage("a link is for reading").hint("sfs share ID --with EMAIL --write")),
            (Some(_), true) => {
                return Err(Error::usage("a share is with one person or by link, not both")
                    .hint("sfs share ID --with EMAIL, then sfs share ID --link"));
            }
            _ => {
                return Err(
                    Error::usage("say whom to share it with").hint("sfs share ID --with EMAIL, or sfs share ID --link")
                );
            }
        };
        body["expires_in"] = self.expires.as_deref().map(lifetime).transpose()?.into();
        let mut link = Link::open(context, None)?;
        let row = link.store.resolve(&self.id)?;
        body["git_remote"] = link.push_first(context, &row, self.link)?["git_remote"].take();
        let path = format!("/api/v1/sessions/{}/shares", row.public_id);
        let mut made: Value = link.client.json("POST", &path, Some(&body))?;
        let detail = match &self.with {
            Some(with) => json!({"with": with, "write": self.write, "share": made["share_id"]}),
            None => json!({"by": "link", "share": made["share_id"]}),
        };
        context.audit(&mut link.store, Event::Shared, &row.public_id, &detail);
        if self.link {
            let url = format!("{}{}", link.account.url, text(&made, "path"));
            made["url"] = url.clone().into();
            return if self.json { context.ui.json(&made) } else { tell_link(context, &made, &url) };
        }
        if self.json { context.ui.json(&made) } else { tell_share(context, &made) }
    }
}

fn tell_link(context: &Context, made: &Value, url: &str) -> Result<()> {
    let end = match made["expires_at"].as_str() {
        Some(at) => format!("until {}", ui::printable(at)),
        None => "until it is ended".to_owned(),
    };
    let share = short(&text(made, "share_id"));
    context.ui.note(&format!("Whoever has this link can read the session {end}; to end it: sfs unshare {share}"));
    context.ui.line(&ui::printable(url))
}

fn tell_share(context: &Context, made: &Value) -> Result<()> {
    let (with, how) = (text(made, "with"), if made["write"] == true { "to read and to add to" } else { "to read" });
    context.ui.line(&format!(
        "Shared {} with {with} {how}; to end it: sfs unshare {}",
        text(made, "session_id"),
        short(&text(made, "share_id"))
    ))?;
    tell_code(context, made)
}

/// How the teammate comes to it.
pub(super) fn tell_code(context: &Context, made: &Value) -> Result<()> {
    context.ui.line("It is in the inbox of that account: sfs inbox")?;
    context.ui.line(&format!(
        "If there is no such account yet, give this code along; it is good once: sfs inbox claim {}",
        text(made, "claim_code")
    ))
}

pub(super) fn text(value: &Value, name: &str) -> String {
    ui::printable(value[name].as_str().unwrap_or_default())
}

/// Seconds.
fn lifetime(text: &str) -> Result<u64> {
    let (number, unit) = text.split_at(text.len() - text.chars().next_back().map_or(0, char::len_utf8));
    let unit = match unit {
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => 0,
    };
    let seconds = number.parse::<u32>().ok().map(|number| u64::from(number) * unit).filter(|seconds| *seconds > 0);
    seconds.ok_or_else(|| {
        Error::usage(format!("{text:?} is not a time")).hint("give minutes, hours, days or weeks, such as --expires 7d")
    })
}

/// List what you share, of one session or of all
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "shares")]
#[argh(example = "sfs shares
sfs shares last --json")]
#[argh(note = "A share waits until the teammate accepts it.")]
pub(super) struct Shares {
    /// the session; all by default
    #[argh(positional)]
    id: Option<String>,
    /// print as a JSON array
    #[argh(switch)]
    json: bool,
}

impl Shares {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let store = context.open()?;
        let mut client = Client::of(&Account::of(&store)?)?;
        let mut shares = shared::shares(&mut client)?;
        if let Some(words) = &self.id {
            let id = store.resolve(words)?.public_id;
            shares.retain(|share| share.session_id == id.as_str());
        }
        if self.json {
            return context.ui.json(&shares);
        }
        if shares.is_empty() {
            context.ui.note("Nothing is shared. To share a session: sfs share ID --with EMAIL");
            return Ok(());
        }
        let header = format!("{:<9} {:<8} {:<28} {:<6} {:<21} {}", "SHARE", "STATE", "WITH", "MAY", "SESSION", "TITLE");
        context.ui.line(&context.ui.paint(Style::Dim, &header))?;
        shares.iter().try_for_each(|share| context.ui.line(&line(share, context.ui.width())))
    }
}

fn line(share: &Shared, width: usize) -> String {
    let whom = ui::fit(share.with.as_deref().unwrap_or("(whoever has the link)"), 28);
    let may = if share.write { "write" } else { "read" };
    let (state, session) = (ui::printable(&share.state), ui::printable(&share.session_id));
    let start = format!("{:<9} {state:<8} {} {may:<6} {session:<21} ", short(&share.share_id), ui::pad(&whom, 28));
    let title = share.title.as_deref().unwrap_or("(untitled)");
    format!("{start}{}", ui::fit(title, width.saturating_sub(start.len()).max(10)))
}

/// End a share or a link, at once
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "unshare")]
#[argh(example = "sfs unshare SHARE_ID")]
#[argh(note = "What the teammate pulled before is his.")]
pub(super) struct Unshare {
    /// the share, as `sfs shares` shows it; the beginning is enough
    #[argh(positional)]
    share: String,
    /// print as JSON
    #[argh(switch)]
    json: bool,
}

impl Unshare {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let mut store = context.open()?;
        let mut client = Client::of(&Account::of(&store)?)?;
        let shares = shared::shares(&mut client)?;
        let share = meant(&shares, &self.share, "share", "sfs shares", |share| [&share.share_id, &share.share_id])?;
        client.call("DELETE", &format!("/api/v1/shares/{}", share.share_id), None)?;
        if let Ok(id) = SessionId::parse(&share.session_id) {
            let detail = match &share.with {
                Some(with) => json!({"with": with, "share": share.share_id}),
                None => json!({"by": "link", "share": share.share_id}),
            };
            context.audit(&mut store, Event::Unshared, &id, &detail);
        }
        if self.json {
            return context.ui.json(&json!({"share_id": share.share_id, "session_id": share.session_id}));
        }
        let with =
            share.with.as_deref().map_or_else(|| "by link".to_owned(), |with| format!("with {}", ui::printable(with)));
        context.ui.line(&format!("{} is no longer shared {with}.", ui::printable(&share.session_id)))
    }
}

#[cfg(test)]
mod tests {
    use super::lifetime;

    #[test]
    fn a_lifetime_is_a_number_with_a_unit() {
        assert_eq!(["30m", "12h", "7d", "4w"].map(|text| lifetime(text).unwrap()), [1800, 43_200, 604_800, 2_419_200]);
        for wrong in ["", "7", "d", "-1d", "0d", "7 d", "1.5h", "7ä", "99999999999w"] {
            assert!(lifetime(wrong).is_err(), "{wrong}");
        }
    }
}
