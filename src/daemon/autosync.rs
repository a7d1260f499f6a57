//! Syncing by itself: when something was captured and it is quiet again, and every few minutes, our own program is started to
//! push and pull. So the network, and the memory that it takes, stay out of the daemon; and a kill at any moment is harmless.

use super::log::{Level, Log};
use crate::error::{Context, Result};
use crate::home::Home;
use crate::store::Store;
use crate::sync::client::Account;
use crate::sync::outcome::{self, Auto, Outcome};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Captures were quiet for so long.
const QUIET: Duration = Duration::from_secs(5);
/// But nobody waits longer than this for a session that is never quiet.
const BUSY: Duration = Duration::from_secs(60);
/// So often the server is asked for news.
const NEWS: Duration = Duration::from_secs(300);
/// After a failure: first, and at most.
const RETRY: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(3600));
/// How often a running child is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// See the module's description.
#[derive(Default)]
pub(super) struct Autosync {
    child: Option<Running>,
    /// The archive's change number, as it was seen last.
    number: i64,
    /// Since when it grows without a sync.
    burst: Option<Instant>,
    /// When to start; `None`: not before the settings change.
    due: Option<Instant>,
    /// Not before, whatever happens.
    not_before: Option<Instant>,
    failures: u32,
    /// The person wants it.
    on: bool,
}

struct Running {
    child: Child,
    look: Instant,
}

impl Autosync {
    /// Reads the settings; what failed is tried again at once, as the person may have mended it.
    pub(super) fn reload(&mut self, store: &Store, now: Instant) {
        let wanted = || Ok::<_, crate::error::Error>(Auto::of(store)? != Auto::Off && !outcome::is_paused(store)?);
        self.on = wanted().unwrap_or(false) && Account::of(store).is_ok();
        (self.failures, self.not_before) = (0, None);
        self.due = self.on.then(|| now + QUIET);
    }

    /// When to be called again without a further capture.
    pub(super) fn next(&self) -> Option<Instant> {
        match &self.child {
            Some(running) => Some(running.look),
            None => self.start_at(),
        }
    }

    fn start_at(&self) -> Option<Instant> {
        self.due.map(|due| self.not_before.map_or(due, |at| due.max(at)))
    }

    /// Does what is due.
    pub(super) fn turn(&mut self, home: &Home, store: &Store, now: Instant, log: &mut Log) {
        let outcome = if self.child.is_some() { self.look(store, now, log) } else { self.watch(home, store, now) };
        if let Err(error) = outcome {
            log.line(Level::Warn, &format!("autosync: {}", error.message()));
            self.fail(now, None);
        }
    }

    fn watch(&mut self, home: &Home, store: &Store, now: Instant) -> Result<()> {
        if self.due.is_none() {
            return Ok(());
        }
        let number = store.change_number()?;
        if number != self.number {
            self.number = number;
            let began = *self.burst.get_or_insert(now);
            self.due = Some((now + QUIET).min(began + BUSY));
        }
        if self.start_at().is_some_and(|at| at <= now) {
            self.burst = None;
            self.start(home, now)?;
        }
        Ok(())
    }

    fn start(&mut self, home: &Home, now: Instant) -> Result<()> {
        let program = std::env::current_exe().context(|| "our own program can't be found")?;
        let child = Command::new(&program)
            .args(["sync", "--auto"])
            .env("SFS_HOME", &home.data)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context(|| format!("{} can't be started", program.display()))?;
        self.child = Some(Running { child, look: now + LOOK });
        Ok(())
    }

    fn look(&mut self, store: &Store, now: Instant, log: &mut Log) -> Result<()> {
        let Some(running) = &mut self.child else { return Ok(()) };
        running.look = now + LOOK;
        let Some(code) = running.child.try_wait().context(|| "the sync can't be watched")? else { return Ok(()) };
        self.child = None;
        if code.success() {
            self.failures = 0;
            self.not_before = None;
            let number = store.change_number()?;
            let is_news = std::mem::replace(&mut self.number, number) != number;
            self.due = self.on.then(|| now + if is_news { QUIET } else { jittered(NEWS) });
            log.line(Level::Debug, "synced");
            return Ok(());
        }
        let Outcome { last_error, is_refused, retry_after, .. } = Outcome::last(store)?;
        let why = last_error.unwrap_or_else(|| format!("it ended with {code}"));
        log.line(Level::Warn, &format!("not synced: {why}"));
        if is_refused {
            self.due = None;
            return Ok(());
        }
        self.fail(now, retry_after);
        Ok(())
    }

    fn fail(&mut self, now: Instant, retry_after: Option<u64>) {
        let delay = RETRY.0.saturating_mul(1 << self.failures.min(10)).min(RETRY.1);
        let asked = Duration::from_secs(retry_after.unwrap_or_default().min(86_400));
        self.failures += 1;
        let at = now + jittered(delay).max(asked);
        (self.due, self.not_before) = (Some(at), Some(at));
    }
}

/// The same kill that a person's would be: harmless.
impl Drop for Autosync {
    fn drop(&mut self) {
        if let Some(Running { mut child, .. }) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Up to a quarter more, so that many machines do not come at once.
fn jittered(delay: Duration) -> Duration {
    let mut byte = [0];
    // Without random bytes, without jitter.
    let _ = getrandom::fill(&mut byte);
    delay + delay.mul_f32(f32::from(byte[0]) / 1024.0)
}
