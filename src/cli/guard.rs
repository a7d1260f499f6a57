//! `sfs guard`: what the tools will delete next, and whether the archive has it.

use super::ui::{self, Style};
use super::{Context, arguments};
use crate::capture::{self, Capture, Endangered};
use crate::daemon;
use crate::error::Result;
use crate::export;
use crate::settings;
use crate::store::Store;
use crate::tools::{self, Retention, Tool};
use argh::{ArgsInfo, FromArgs};
use serde_json::{Value, json};

/// Show which sessions your tools will delete next, and whether they are safe here
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "guard")]
#[argh(example = "sfs guard
sfs guard --json")]
#[argh(note = "Safe means captured to the last byte. Nothing is written: neither here nor in the tools' folders.")]
pub(super) struct Guard {
    /// show so many sessions of each tool (default 5; all with --json)
    #[argh(option, short = 'n', from_str_fn(arguments::count))]
    limit: Option<u64>,
    /// print as JSON
    #[argh(switch)]
    json: bool,
}

/// One tool's share.
struct Share {
    tool: &'static dyn Tool,
    retention: Retention,
    sessions: Vec<Endangered>,
    unread: Vec<String>,
    /// What makes the rest safe, where there is a rest.
    command: Option<String>,
}

impl Guard {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let mut store = context.open()?;
        let running = daemon::status(&context.home)?.running;
        let mut shares = Vec::new();
        for tool in tools::ALL {
            shares.push(Share::of(context, &mut store, *tool, running)?);
        }
        if self.json {
            let tools: Result<Vec<Value>> = shares.iter().map(|share| share.json(&store, self.limit)).collect();
            return context.ui.json(&json!({"daemon_running": running, "tools": tools?}));
        }
        for share in &shares {
            share.tell(context, &store, self.limit.unwrap_or(5))?;
        }
        if shares.iter().all(|share| share.command.is_none()) && !running {
            context.ui.note("No daemon runs; what your tools write from now on is not safe: sfs daemon start");
        }
        Ok(())
    }
}

impl Share {
    fn of(context: &Context, store: &mut Store, tool: &'static dyn Tool, running: bool) -> Result<Share> {
        let captures = settings::captures(store, tool.id())?;
        let (sessions, errors) = capture::guard(&mut Capture { home: &context.home, store, tool })?;
        let command = sessions.iter().any(|session| !session.safe).then(|| match (captures, running) {
            (false, _) => format!("sfs config set capture.{} true", tool.id()),
            (true, false) => "sfs daemon start".to_owned(),
            (true, true) => format!("sfs import --from {}", tool.id()),
        });
        let unread = errors.into_iter().map(|(_, error)| error.message()).collect();
        Ok(Share { tool, retention: tool.retention(&context.home), sessions, unread, command })
    }

    /// Soonest first; those that are never deleted only where they are not safe.
    fn next(&self, limit: Option<u64>) -> impl Iterator<Item = &Endangered> {
        let counts = |session: &&Endangered| session.due.is_some() || !session.safe;
        self.sessions.iter().filter(counts).take(limit.map_or(usize::MAX, |limit| limit as usize))
    }

    fn not_yet(&self) -> u64 {
        self.sessions.iter().filter(|session| !session.safe).count() as u64
    }

    fn json(&self, store: &Store, limit: Option<u64>) -> Result<Value> {
        let next: Result<Vec<Value>> = self
            .next(limit)
            .map(|session| {
                let title = title(store, session)?;
                let id = session.row.as_ref().map(|row| row.public_id.as_str());
                Ok(json!({"id": id, "native_id": session.native_id, "title": title, "path": session.path.display().to_string(),
                    "bytes": session.bytes, "archived_bytes": session.archived, "safe": session.safe,
                    "deleted_at": session.due.and_then(ui::rfc3339)}))
            })
            .collect();
        let days = self.retention.after.map(|after| after.as_secs_f64() / 86_400.0);
        Ok(json!({"tool": self.tool.id(), "deletes_after_days": days, "keeps_at_most": self.retention.most,
            "settings": self.retention.source.as_ref().map(|path| path.display().to_string()), "retention": self.retention.words, "sessions": self.sessions.len(),
            "not_yet_safe": self.not_yet(), "command": self.command, "unread": self.unread, "next": next?}))
    }

    fn tell(&self, context: &Context, store: &Store, limit: u64) -> Result<()> {
        let ui = &context.ui;
        let (name, count) = (self.tool.name(), self.sessions.len() as u64);
        ui.line(&format!("{name:<12} by itself it {}", self.retention.words))?;
        if let Some(source) = &self.retention.source {
            let source = ui::printable(&context.home.short(source));
            ui.line(&ui.paint(Style::Dim, &format!("{:<12} as {source} says", "")))?;
        }
        let state = match (&self.command, count) {
            (None, 0) => "it has no sessions".to_owned(),
            (None, _) => format!("its {} are safe here", ui::counted(count, "session")),
            (Some(command), _) => {
                format!("{} of its {} not safe yet: {command}", self.not_yet(), ui::counted(count, "session"))
            }
        };
        let style = if self.command.is_some() { Style::Red } else { Style::Plain };
        ui.line(&ui.paint(style, &format!("{:<12} {state}", "")))?;
        for error in &self.unread {
            ui.line(&format!("{:<12} not read: {}", "", ui::printable(error)))?;
        }
        self.next(Some(limit)).try_for_each(|session| ui.line(&line(context, store, session)?))
    }
}

fn line(context: &Context, store: &Store, session: &Endangered) -> Result<String> {
    let id = session.row.as_ref().map_or("-", |row| &row.public_id.as_str()[..12]);
    let state = if session.safe { "safe" } else { "not yet" };
    let text = format!(
        "  {:<16}  {state:<7}  {id:<12}  {:>8}  {}",
        session.due.map_or_else(|| "kept".to_owned(), in_future),
        ui::bytes(session.bytes),
        title(store, session)?.unwrap_or_else(|| session.native_id.clone())
    );
    Ok(ui::fit(&text, context.ui.width()))
}

fn title(store: &Store, session: &Endangered) -> Result<Option<String>> {
    let Some(row) = &session.row else { return Ok(None) };
    Ok(export::title(row, &store.summary(row.id)?))
}

/// When a session goes, in one unit.
fn in_future(ms: i64) -> String {
    let hours = (ms - jiff::Timestamp::now().as_millisecond()) / 3_600_000;
    match hours {
        ..=0 => "at its next start".to_owned(),
        1..48 => format!("in {hours} h"),
        _ => format!("in {} days", hours / 24),
    }
}
