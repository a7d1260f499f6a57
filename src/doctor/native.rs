//! Each tool's folder: can it be read, is all of it captured, and does the tool itself still know its sessions.

use super::{Check, State, sessions_in_words};
use crate::capture::{self, Capture, Endangered};
use crate::daemon::Watcher;
use crate::error::Result;
use crate::home::Home;
use crate::settings;
use crate::tools::{Listing, Tool};

/// What a tool will delete within so many milliseconds goes soon.
const SOON: i64 = 3 * 86_400_000;
/// So many names are told.
const NAMED: usize = 3;

/// A tool's sessions.
pub(super) fn tool(mut capture: Capture<'_>, watcher: &Watcher, running: bool) -> Result<Vec<Check>> {
    let id = capture.tool.id();
    let check = |state, what: String| Check::new(id, state, what);
    if capture.tool.homes(capture.home).is_empty() {
        let held = match watcher.sessions {
            0 => String::new(),
            held => format!("; the archive holds {}", sessions_in_words(held)),
        };
        return Ok(vec![check(State::Ok, format!("not found on this machine{held}"))]);
    }
    if !settings::captures(capture.store, id)? {
        let hint = format!("sfs config set capture.{id} true");
        return Ok(vec![check(State::Warn, "is not captured: that is switched off".to_owned()).hint(hint)]);
    }
    let found = capture::guard(&mut capture)?;
    let mut checks: Vec<Check> = found.errors.iter().map(|(_, error)| Check::of_error(id, error)).collect();
    if let (_, Some((path, error))) = capture.store.capture_state(id)?
        && !checks.iter().any(|check| check.what == error)
    {
        let path = capture.home.short(path.as_ref());
        let hint = format!("sfs import --from {id}");
        checks.push(check(State::Fail, format!("{path} could not be captured: {error}")).hint(hint));
    }
    let open: Vec<&Endangered> = found.sessions.iter().filter(|session| !session.safe).collect();
    let soon = jiff::Timestamp::now().as_millisecond() + SOON;
    let hurry = open.iter().filter(|session| session.due.is_some_and(|due| due < soon)).count() as u64;
    let all = found.sessions.len() as u64;
    if open.is_empty() && checks.is_empty() {
        checks.push(check(State::Ok, safe(&found.sessions, watcher, soon)));
    } else if !open.is_empty() {
        let hint = if running { format!("sfs import --from {id}") } else { "sfs daemon start".to_owned() };
        let what = format!("{} of its {} not captured", open.len(), sessions_in_words(all));
        let (state, what) = match hurry {
            0 => (State::Warn, what),
            _ => (State::Fail, format!("{what}, {hurry} of them will be deleted within days")),
        };
        checks.push(check(state, what).hint(hint));
    }
    Ok(checks)
}

fn safe(sessions: &[Endangered], watcher: &Watcher, soon: i64) -> String {
    let mut parts = vec![format!("{}, all captured", sessions_in_words(sessions.len() as u64))];
    let leaving = sessions.iter().filter(|session| session.due.is_some_and(|due| due < soon)).count();
    if leaving > 0 {
        parts.push(format!("{leaving} of them will be deleted within days"));
    }
    if watcher.gone_but_safe > 0 {
        parts.push(format!("{} more deleted by the tool but safe here", watcher.gone_but_safe));
    }
    parts.join("; ")
}

/// The tool's own list of its sessions.
pub(super) fn listing(home: &Home, tool: &dyn Tool) -> Vec<Check> {
    let listing = match tool.listing(home) {
        Ok(Some(listing)) => listing,
        Ok(None) => return Vec::new(),
        Err(error) => return vec![Check { state: State::Warn, ..Check::of_error(tool.id(), &error) }],
    };
    let Listing { path, listed, unlisted, dangling } = listing;
    let path = home.short(&path);
    let mut checks = Vec::new();
    if let Some(first) = unlisted.first() {
        let what = format!(
            "{} missing from its list {path}, so its picker does not show them: {}",
            sessions_in_words(unlisted.len() as u64),
            some(&unlisted)
        );
        let command = tool.writer().map(|writer| writer.command(first).join(" "));
        let check = Check::new(tool.id(), State::Warn, what);
        checks.push(match command {
            Some(command) => check.hint(format!("{command} lists it again")),
            None => check,
        });
    }
    if let Some(first) = dangling.first() {
        let what = format!(
            "its list {path} names {} whose file is gone: {}",
            sessions_in_words(dangling.len() as u64),
            some(&dangling)
        );
        let hint = format!("sfs restore {first} puts it back, if it was captured");
        checks.push(Check::new(tool.id(), State::Warn, what).hint(hint));
    }
    if checks.is_empty() {
        let what = format!("its list {path} agrees with its files ({})", sessions_in_words(listed));
        checks.push(Check::new(tool.id(), State::Ok, what));
    }
    checks
}

fn some(names: &[String]) -> String {
    let more = if names.len() > NAMED { ", …" } else { "" };
    format!("{}{more}", names[..names.len().min(NAMED)].join(", "))
}
