//! `sfs watch`: what is captured, as it is captured.
//!
//! It asks the archive whether anything was written, which costs next to nothing, and compares the sessions' sizes only
//! then. So it sees every capture, whoever makes it, and the daemon does not know of it.

use super::{Context, arguments, ui};
use crate::capture;
use crate::daemon;
use crate::error::{Context as _, Result};
use crate::export;
use crate::store::{Size, Store};
use crate::tools::{self, Tool};
use argh::{ArgsInfo, FromArgs};
use async_signal::{Signal, Signals};
use rustix::event::{PollFd, PollFlags, Timespec};
use serde_json::json;
use smol::stream::StreamExt;
use std::collections::HashMap;
use std::time::Duration;

/// How often the archive is asked.
const EVERY: Duration = Duration::from_millis(250);

/// Show captures as they happen; Ctrl-C ends it
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "watch")]
#[argh(example = "sfs watch
sfs watch --tool codex --json
sfs watch --count 1")]
pub(super) struct Watch {
    /// only this tool: claude-code, codex, gemini or cursor
    #[argh(option)]
    tool: Option<String>,
    /// end after so many captures
    #[argh(option, short = 'n', from_str_fn(arguments::count))]
    count: Option<u64>,
    /// print one JSON object a line
    #[argh(switch)]
    json: bool,
}

/// What one session got.
struct Captured {
    session: i64,
    messages: i64,
    bytes: u64,
    is_new: bool,
}

impl Watch {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let tool = self.tool.as_deref().map(tools::find).transpose()?;
        let store = context.open()?;
        let mut seen = (store.data_version()?, store.sizes(capture::FACTS)?);
        let mut signals = Signals::new([Signal::Int, Signal::Term]).context(|| "signals can't be caught")?;
        if !daemon::status(&context.home)?.running {
            context.ui.note("No daemon runs: only what `sfs import` captures is shown. Start it: sfs daemon start");
        }
        context.ui.note("Watching; end with Ctrl-C.");
        let mut left = self.count.unwrap_or(u64::MAX);
        while left > 0 && !is_over(&mut signals) {
            let version = store.data_version()?;
            if version == seen.0 {
                continue;
            }
            let sizes = store.sizes(capture::FACTS)?;
            for captured in compare(&seen.1, &sizes) {
                if left > 0 && self.tell(context, &store, &captured, tool)? {
                    left -= 1;
                }
            }
            seen = (version, sizes);
        }
        Ok(())
    }

    /// Says whether it was of the tool that is wanted.
    fn tell(&self, context: &Context, store: &Store, captured: &Captured, tool: Option<&dyn Tool>) -> Result<bool> {
        let row = store.session(captured.session)?;
        if tool.is_some_and(|tool| tool.id() != row.tool) {
            return Ok(false);
        }
        let at = jiff::Timestamp::now();
        let title = export::title(&row, &store.summary(row.id)?);
        let Captured { messages, bytes, is_new, .. } = captured;
        if self.json {
            // One line each, on a terminal too.
            let text = json!({"at": at, "id": row.public_id.as_str(), "tool": row.tool, "title": title,
                "messages": messages, "bytes": bytes, "new": is_new});
            context.ui.line(&text.to_string())?;
            return Ok(true);
        }
        let time = ui::local_time(at.as_millisecond());
        let time = time.rsplit(' ').next().unwrap_or_default();
        let mark = if *is_new { " (new)" } else { "" };
        let messages = format!("{messages:+} {}", if *messages == 1 { "message" } else { "messages" });
        let line = format!(
            "{time}  {messages:<13}  {:>9}  {:<11}  {}  {}{mark}",
            format!("+{}", ui::bytes(*bytes)),
            row.tool,
            &row.public_id.as_str()[..12],
            title.as_deref().unwrap_or("(untitled)")
        );
        context.ui.line(&ui::fit(&line, context.ui.width()))?;
        Ok(true)
    }
}

/// The sessions that got bytes, in the order of their first capture.
fn compare(before: &HashMap<i64, Size>, now: &HashMap<i64, Size>) -> Vec<Captured> {
    let mut captured: Vec<Captured> = now
        .iter()
        .filter_map(|(session, size)| {
            let known = before.get(session);
            let old = known.copied().unwrap_or_default();
            let messages = size.messages as i64 - old.messages as i64;
            let bytes = size.bytes.checked_sub(old.bytes).filter(|bytes| *bytes > 0)?;
            Some(Captured { session: *session, messages, bytes, is_new: known.is_none() })
        })
        .collect();
    captured.sort_by_key(|captured| captured.session);
    captured
}

/// Waits a moment; true after Ctrl-C, and when nobody reads what we print.
fn is_over(signals: &mut Signals) -> bool {
    let stopped = smol::block_on(smol::future::or(async { signals.next().await.is_some() }, async {
        smol::Timer::after(EVERY).await;
        false
    }));
    let stdout = std::io::stdout();
    let mut pipe = [PollFd::new(&stdout, PollFlags::empty())];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    let polled = rustix::event::poll(&mut pipe, Some(&at_once));
    stopped || (polled.is_ok() && pipe[0].revents().contains(PollFlags::ERR))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_grew_was_captured() {
        let size = |bytes, messages| Size { bytes, messages };
        let before = HashMap::from([(1, size(10, 1)), (2, size(10, 1)), (3, size(10, 5))]);
        let now = HashMap::from([(1, size(10, 1)), (2, size(15, 3)), (3, size(20, 4)), (4, size(7, 0))]);
        let told: Vec<_> = compare(&before, &now).iter().map(|c| (c.session, c.messages, c.bytes, c.is_new)).collect();
        assert_eq!(told, [(2, 2, 5, false), (3, -1, 10, false), (4, 0, 7, true)]);
    }
}
