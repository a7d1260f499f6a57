//! The doctor: is everything in order, and if not, what has to be typed. It looks at four things, each in a module:
//!
//! - [`ours`]: our files, the archive, the daemon and its service,
//! - [`native`]: each tool's folder, how much of it is captured, and the tool's own list of sessions,
//! - [`sessions`]: whether a session's own file is one that its client takes.
//!
//! It repairs only when asked to, and only what can't cost anything: the modes of our own files, and a session's *copy*
//! under a new id. It never changes a tool's file, and it does not print.

mod native;
mod ours;
mod sessions;

use crate::capture;
use crate::daemon;
use crate::error::Result;
use crate::home::Home;
use crate::store::Store;
use crate::tools;
use serde::Serialize;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// In order.
    Ok,
    /// It was not, and was repaired now.
    Fixed,
    /// Works, but something should be done, or could not be looked at.
    Warn,
    /// Does not work, or loses something.
    Fail,
}

impl State {
    /// The word on screen.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::Fixed => "fixed",
            State::Warn => "warn",
            State::Fail => "fail",
        }
    }
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at, such as `daemon` or a tool's id.
    pub subject: &'static str,
    /// The session, where it is about one.
    pub session: Option<String>,
    /// How it ended.
    pub state: State,
    /// In words.
    pub what: String,
    /// What to type.
    pub hint: Option<String>,
}

impl Check {
    fn new(subject: &'static str, state: State, what: impl Into<String>) -> Check {
        Check { subject, session: None, state, what: what.into(), hint: None }
    }

    fn hint(self, hint: impl Into<String>) -> Check {
        Check { hint: Some(hint.into()), ..self }
    }

    /// An error, with what it says to do.
    fn of_error(subject: &'static str, error: &crate::error::Error) -> Check {
        let hint = error.hint_text().map(str::to_owned);
        Check { hint, ..Check::new(subject, State::Fail, error.message()) }
    }
}

/// What a person asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Repair what can be repaired.
    pub fix: bool,
    /// Look at everything, however long it takes.
    pub all: bool,
}

/// Looks at everything; `tell` gets each check as it ends.
pub fn examine(home: &Home, options: Options, tell: &mut dyn FnMut(Check) -> Result<()>) -> Result<()> {
    // Before anything opens the archive, which narrows our folder by itself.
    ours::modes(home, options.fix).into_iter().try_for_each(&mut *tell)?;
    ours::space(home).into_iter().try_for_each(&mut *tell)?;
    if !home.database().exists() {
        tell(Check::new("archive", State::Warn, "nothing is captured yet").hint("sfs init"))?;
        return ours::daemon(home, None).into_iter().try_for_each(&mut *tell);
    }
    let mut store = match Store::open(home) {
        Ok(store) => store,
        // Without the archive nothing else can be told.
        Err(error) => return tell(Check::of_error("archive", &error)),
    };
    let mut tell_all = |subject, checks: Result<Vec<Check>>| {
        // What can't be looked at is a finding like any other, and hides nothing else.
        let checks = checks.unwrap_or_else(|error| vec![Check::of_error(subject, &error)]);
        checks.into_iter().try_for_each(&mut *tell)
    };
    tell_all("archive", ours::archive(home, &store, options.all))?;
    let status = match daemon::status(home) {
        Ok(status) => status,
        Err(error) => return tell_all("daemon", Err(error)),
    };
    tell_all("daemon", Ok(ours::daemon(home, Some(&status))))?;
    for (tool, watcher) in tools::ALL.iter().zip(&status.watchers) {
        let capture = capture::Capture { home, store: &mut store, tool: *tool };
        tell_all(tool.id(), native::tool(capture, watcher, status.running))?;
        tell_all(tool.id(), Ok(native::listing(home, *tool)))?;
    }
    for tool in tools::ALL {
        sessions::examine(home, &mut store, *tool, options, tell)?;
    }
    Ok(())
}

/// `1 session`, `2 sessions`.
fn sessions_in_words(count: u64) -> String {
    format!("{count} session{}", if count == 1 { "" } else { "s" })
}
