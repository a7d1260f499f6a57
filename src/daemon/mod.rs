//! The daemon: follows the tools' folders and captures what they write, within a tenth of a second.
//!
//! - [`watch`] says which folders are watched and what an event means,
//! - [`pending`] says when what is looked at,
//! - [`engine`] does it,
//! - [`autosync`] has the archive synced by a process of its own,
//! - [`mod@status`], [`log`] and [`lock`] are what can be seen from outside,
//! - [`control`] starts and stops it,
//! - [`mod@service`] makes the system start it at every login.
//!
//! The daemon keeps no state of its own: capture stores in one transaction what it read and how far, so a daemon that is
//! killed at any moment goes on where it was. It does not talk to the server and knows no format of any tool.

mod autosync;
mod control;
mod engine;
mod lock;
mod log;
mod pending;
mod service;
mod status;
mod watch;

pub use control::{Started, Stopped, detach, follow_log, recent_log, reload, start, stop, tune_memory};
pub use service::{Installed, Manager, Service, tell_system};
pub use status::{State, Status, Sync, SyncState, Watcher, is_running, status, sync_status};

use crate::error::{Context, Result};
use crate::home::Home;
use async_signal::{Signal, Signals};
use engine::Engine;
use smol::channel::Receiver;
use smol::future;
use smol::stream::StreamExt;
use std::time::Instant;

/// Runs the daemon in this process until SIGTERM or SIGINT. SIGHUP makes it compare everything.
pub fn run(home: &Home) -> Result<()> {
    // All that we create is the owner's alone, also what SQLite creates beside the archive.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    home.create()?;
    let signals = Signals::new([Signal::Term, Signal::Int, Signal::Hup]).context(|| "signals can't be caught")?;
    let since = jiff::Timestamp::now();
    smol::block_on(async {
        let mut signals = signals;
        while serve(home, &mut signals, since).await? == End::ArchiveReplaced {}
        Ok(())
    })
}

#[derive(PartialEq, Eq)]
enum End {
    Stop,
    /// Somebody put another archive in the place of ours: a new one is begun, and everything is captured into it.
    ArchiveReplaced,
}

enum Wake {
    Signal(Option<Signal>),
    Told(watch::Told),
    Due,
}

async fn serve(home: &Home, signals: &mut Signals, since: jiff::Timestamp) -> Result<End> {
    home.create()?;
    let _lock = lock::Lock::take(home)?;
    // Unbounded: the system's own queue bounds what is told, and a full one of ours would have to mean a scan.
    let (tell, told) = smol::channel::unbounded();
    let mut engine = Engine::start(home, tell, since)?;
    loop {
        match wait(&told, signals, engine.next()).await {
            Wake::Signal(Some(Signal::Hup)) => engine.scan_soon(),
            Wake::Signal(Some(_)) => {
                absorb_all(&mut engine, &told);
                engine.drain();
                return Ok(End::Stop);
            }
            Wake::Told(event) => {
                engine.absorb(event);
                absorb_all(&mut engine, &told);
            }
            Wake::Signal(None) | Wake::Due => {}
        }
        if engine.archive_was_replaced() {
            engine.log.line(log::Level::Warn, "the archive is not in its place any more: beginning a new one");
            return Ok(End::ArchiveReplaced);
        }
        engine.turn();
    }
}

fn absorb_all(engine: &mut Engine<'_>, told: &Receiver<watch::Told>) {
    while let Ok(event) = told.try_recv() {
        engine.absorb(event);
    }
}

/// Waits for a signal, an event or the moment `until`, in this order where several are there.
async fn wait(told: &Receiver<watch::Told>, signals: &mut Signals, until: Instant) -> Wake {
    let signal = async { Wake::Signal(signals.next().await.and_then(std::result::Result::ok)) };
    let event = async {
        match told.recv().await {
            Ok(event) => Wake::Told(event),
            Err(_) => future::pending().await,
        }
    };
    let due = async {
        if until <= Instant::now() {
            // One round through the reactor, so that a signal is seen between two pieces of work.
            future::yield_now().await;
        } else {
            smol::Timer::at(until).await;
        }
        Wake::Due
    };
    future::or(future::or(signal, event), due).await
}
