//! The command line, and the only module that prints. One file a command: the arguments and what is done with them side by
//! side; the doc comment of an argument is its help text.

mod admin;
mod arguments;
mod audit;
mod auth;
mod autosync;
mod checkpoint;
mod completions;
mod config;
mod daemon;
mod definitions;
mod delete;
mod doctor;
mod export;
mod fork;
mod guard;
mod handoff;
mod import;
mod inbox;
mod init;
mod list;
mod man;
mod moved;
mod overview;
mod pull;
mod push;
mod remote;
mod rename;
mod resume;
mod scan;
mod search;
mod serve;
mod service;
mod share;
mod shared;
mod show;
mod stats;
mod sync;
mod tag;
pub mod ui;
mod watch;
mod web;

use crate::capture;
use crate::error::{Error, Result};
use crate::home::Home;
use crate::id::SessionId;
use crate::store::{Event, SessionRow, Store, Summary};
use argh::{ArgsInfo, FromArgs};
use std::ffi::OsString;
use std::process::{ExitCode, Termination};
use ui::Ui;

/// Captures your AI coding sessions as they happen, keeps them for ever, resumes them in any tool.
///
/// Without a command: what is captured, whether the daemon runs, and what to do next.
#[derive(FromArgs, ArgsInfo)]
#[argh(example = "Capture what is there, then look at it:
  sfs import
  sfs list
  sfs show last -m")]
#[argh(example = "Go on in another tool:
  sfs resume last --in codex")]
struct Sfs {
    #[argh(subcommand)]
    command: Option<Command>,
}

/// Makes the commands from their table: what is parsed, and what is run.
macro_rules! commands {
    ($($name:ident($module:ident::$arguments:ident)),+ $(,)?) => {
        #[derive(FromArgs, ArgsInfo)]
        #[argh(subcommand)]
        enum Command {
            $($name($module::$arguments),)+
        }

        impl Command {
            fn run(self, context: &Context) -> Result<ExitCode> {
                match self {
                    $(Command::$name(command) => command.run(context).map(Termination::report),)+
                }
            }
        }
    };
}

commands! {
    Init(init::Init),
    List(list::List),
    Show(show::Show),
    Search(search::Search),
    Stats(stats::Stats),
    Resume(resume::Resume),
    Restore(resume::Restore),
    Checkpoint(checkpoint::Checkpoint),
    Fork(fork::Fork),
    Move(moved::Move),
    Export(export::Export),
    Import(import::Import),
    Tag(tag::Tag),
    Rename(rename::Rename),
    Delete(delete::Delete),
    Undelete(delete::Undelete),
    Watch(watch::Watch),
    Guard(guard::Guard),
    Audit(audit::Audit),
    Scan(scan::Scan),
    Auth(auth::Auth),
    Push(push::Push),
    Pull(pull::Pull),
    Sync(sync::Sync),
    ListRemote(remote::ListRemote),
    Autosync(autosync::Autosync),
    Share(share::Share),
    Shares(share::Shares),
    Unshare(share::Unshare),
    Handoff(handoff::Handoff),
    Inbox(inbox::Inbox),
    Config(config::Config),
    Daemon(daemon::Daemon),
    Doctor(doctor::Doctor),
    Admin(admin::Admin),
    Serve(serve::Serve),
    Web(web::Web),
    Completions(completions::Completions),
    Man(man::Man),
}

/// What every command gets.
struct Context {
    home: Home,
    ui: Ui,
}

impl Context {
    fn open(&self) -> Result<Store> {
        Store::open(&self.home)
    }

    /// Says so where a rebuild of the index is under way, or was interrupted: until its end sessions are missing.
    fn tell_if_rebuilding(&self, store: &Store) -> Result<()> {
        if capture::is_rebuilding(store)? {
            self.ui.note(
                "note: the index is not whole: sessions are missing here until `sfs admin reindex --local` is through",
            );
        }
        Ok(())
    }

    /// The session that a person means; says so where what is known of it may not be whole.
    fn session(&self, store: &Store, words: &str) -> Result<SessionRow> {
        self.tell_if_rebuilding(store)?;
        store.resolve(words)
    }

    /// Writes down what was done. What was done stays done where the archive can't be written, as on a full disk.
    fn audit<'a>(
        &self,
        store: &mut Store,
        event: Event,
        session: impl Into<Option<&'a SessionId>>,
        detail: &serde_json::Value,
    ) {
        if let Err(error) = store.audit(event, session, detail) {
            self.ui.note(&format!("note: not in the audit log: {}", error.message()));
        }
    }
}

/// The session that a person wants to go on with: refused where an interrupted rebuild left it out of the index.
fn indexed_session(store: &Store, words: &str) -> Result<SessionRow> {
    let row = store.resolve(words)?;
    if capture::is_rebuilding(store)? && store.summary(row.id)? == Summary::default() {
        return Err(Error::failed(format!("session {} is not in the index, which is not whole", row.public_id))
            .hint("sfs admin reindex --local"));
    }
    Ok(row)
}

/// Runs what `args` (without the program's name) say; `name` is what the program was called by.
pub fn main(name: &str, args: Vec<OsString>) -> ExitCode {
    let mut ui = Ui::new();
    let outcome = arguments::utf8(args).and_then(|args| {
        ui.json_errors = args.iter().take_while(|arg| *arg != "--").any(|arg| arg == "--json");
        dispatch(name, args, &ui)
    });
    match outcome {
        Ok(code) => code,
        Err(error) if ui::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            ui.error(&error);
            ExitCode::from(error.kind().exit_code())
        }
    }
}

fn dispatch(name: &str, args: Vec<String>, ui: &Ui) -> Result<ExitCode> {
    let args = arguments::words_of(name, args);
    if args.first().is_some_and(|word| word == "--version" || word == "-V") {
        ui.line(&format!("sessionfs {}", env!("CARGO_PKG_VERSION")))?;
        return Ok(ExitCode::SUCCESS);
    }
    let args = arguments::normalise(&args);
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let sfs = match Sfs::from_args(&["sfs"], &words) {
        Ok(sfs) => sfs,
        Err(exit) if exit.status.is_ok() => {
            ui.line(exit.output.trim_end())?;
            return Ok(ExitCode::SUCCESS);
        }
        Err(exit) => return Err(arguments::usage_error(&exit.output, &words)),
    };
    let context = Context { home: Home::from_env()?, ui: ui.clone() };
    match sfs.command {
        None => overview::run(&context).map(Termination::report),
        Some(command) => command.run(&context),
    }
}
