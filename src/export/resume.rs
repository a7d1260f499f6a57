//! Continues a session in a tool: its own or another one.
//!
//! First a plan, which touches nothing; then the work, in this order: write the file beside its place, announce the child to
//! the archive, rename the file, register it with the tool. On an error all of it is taken back.

use super::native::{self, NativeState, write_atomically};
use super::source::ArchivedSession;
use crate::capture::Capture;
use crate::error::{Context, Error, Result};
use crate::home::Home;
use crate::model::ledger::{Entry, Ledger};
use crate::store::{NewSession, Relation, SessionRow, Store};
use crate::tools::{self, Plan, Source, Target, Tool, Writer};
use std::io::Write;
use std::path::{Path, PathBuf};

/// What a person asked for.
#[derive(Clone, Debug, Default)]
pub struct ResumeOptions {
    /// Another project folder than the session's own.
    pub project: Option<PathBuf>,
    /// Decide and count, write nothing.
    pub dry_run: bool,
    /// Write it anew, also where the tool's own file could be used.
    pub anew: bool,
}

/// What was done.
#[derive(Clone, Debug)]
pub struct Resumed {
    /// The session's id in the target tool.
    pub native_id: String,
    /// How.
    pub how: How,
    /// The folder in which the tool has to be started.
    pub cwd: PathBuf,
    /// Files that were written.
    pub files: Vec<PathBuf>,
    /// The command that continues the session.
    pub command: Vec<String>,
    /// What became of each piece; empty where the tool's own file is used.
    pub ledger: Ledger,
    /// What could not be done, in words.
    pub warnings: Vec<String>,
}

/// How a session was continued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The tool still has its own file.
    Native,
    /// The tool's own file was put back.
    Restored,
    /// It was written in the target's form, under a new id.
    Written,
}

impl How {
    /// The word in the audit log.
    pub fn as_str(self) -> &'static str {
        match self {
            How::Native => "native",
            How::Restored => "restored",
            How::Written => "written",
        }
    }
}

/// Continues `session` in `tool`.
pub fn resume(
    store: &mut Store,
    home: &Home,
    session: &SessionRow,
    tool: &'static dyn Tool,
    options: &ResumeOptions,
) -> Result<Resumed> {
    // What could not be captured (a full disk) must not keep the rest of the session in.
    let stale = refresh(store, home, session).err();
    let stale = stale.map(|error| format!("the tool's newest lines are missing: {}", error.message()));
    let mut resumed = resume_captured(store, home, session, tool, options)?;
    resumed.warnings.extend(stale);
    Ok(resumed)
}

fn resume_captured(
    store: &mut Store,
    home: &Home,
    session: &SessionRow,
    tool: &'static dyn Tool,
    options: &ResumeOptions,
) -> Result<Resumed> {
    let writer = tool.writer().ok_or_else(|| {
        Error::usage(format!("{} can only be captured, not written", tool.name())).hint(format!(
            "sfs resume {} --in {}",
            session.public_id,
            tools::writable()
        ))
    })?;
    let summary = store.summary(session.id)?;
    // A relative folder would be looked for wherever we happen to be started.
    let project = summary.project.as_deref().map(PathBuf::from).filter(|folder| folder.is_absolute());
    let cwd = options.project.clone().or_else(|| project.clone()).ok_or_else(|| {
        Error::usage(format!("session {} does not say in which folder it worked", session.public_id))
            .hint(format!("sfs resume {} --project DIR", session.public_id))
    })?;
    let cwd = cwd.canonicalize().unwrap_or(cwd);
    let stays = options.project.is_none() || project.as_ref() == Some(&cwd);
    if tool.id() == session.tool
        && stays
        && !options.anew
        && let Some(resumed) = resume_own(store, home, session, tool, writer, &cwd, options)?
    {
        return Ok(resumed);
    }
    let target = Target { home: home.clone(), cwd, native_id: None, now: jiff::Timestamp::now() };
    write_new(store, session, tool, writer, &target, options)
}

/// What the session's own tool wrote since the last capture must not be left behind where no daemon runs. An unchanged
/// file costs one `stat`.
fn refresh(store: &mut Store, home: &Home, session: &SessionRow) -> Result<()> {
    let Ok(tool) = crate::tools::find(&session.tool) else { return Ok(()) };
    let mut files = Vec::new();
    for stream in store.streams(session.id)? {
        files.extend(store.native_files_of(stream.id)?.into_iter().map(|file| PathBuf::from(file.path)));
    }
    let root = tool.root(home).canonicalize().unwrap_or_else(|_| tool.root(home));
    files.retain(|file| file.starts_with(&root) && file.exists());
    Capture { home, store, tool }.files(files, &mut |_| {}).map(drop)
}

/// The same tool: its own file, which may have to be put back. `None` where that file can't be used.
fn resume_own(
    store: &Store,
    home: &Home,
    session: &SessionRow,
    tool: &'static dyn Tool,
    writer: &dyn Writer,
    cwd: &Path,
    options: &ResumeOptions,
) -> Result<Option<Resumed>> {
    let source = ArchivedSession::open(store, session.clone())?;
    let state = source.native_state(store, &tool.root(home))?;
    let path = source.newest("main").and_then(|main| source.native_path(main));
    if !writer.accepts_own(&source, path)? {
        return Ok(None);
    }
    let mut resumed = Resumed {
        native_id: session.native_id.clone(),
        how: How::Native,
        cwd: cwd.to_owned(),
        files: Vec::new(),
        command: writer.command(&session.native_id),
        ledger: Ledger::default(),
        warnings: Vec::new(),
    };
    match state {
        NativeState::Intact => Ok(Some(resumed)),
        NativeState::Missing | NativeState::Part if options.dry_run => {
            resumed.how = How::Restored;
            Ok(Some(resumed))
        }
        NativeState::Missing | NativeState::Part => {
            let copies = native::restore(store, home, session)?;
            resumed.how = How::Restored;
            resumed.files = copies.into_iter().filter(|copy| copy.written).map(|copy| copy.path).collect();
            Ok(Some(resumed))
        }
        NativeState::Different | NativeState::Never => Ok(None),
    }
}

fn write_new(
    store: &mut Store,
    session: &SessionRow,
    tool: &'static dyn Tool,
    writer: &dyn Writer,
    target: &Target,
    options: &ResumeOptions,
) -> Result<Resumed> {
    let (plan, about) = {
        let source = ArchivedSession::open(store, session.clone())?;
        let about = source.about(&store.summary(session.id)?);
        (writer.plan(&about, target)?, about)
    };
    let mut resumed = Resumed {
        native_id: plan.native_id.clone(),
        how: How::Written,
        cwd: plan.cwd.clone(),
        files: vec![plan.file.clone()],
        command: plan.command.clone(),
        ledger: Ledger::default(),
        warnings: Vec::new(),
    };
    if options.dry_run {
        resumed.ledger = write_conversation(store, session, writer, &plan, target, &mut std::io::sink())?;
        resumed.files.clear();
        return Ok(resumed);
    }
    let written = write_atomically(&plan.file, false, &mut |out| {
        let mut counted = Counted { out, bytes: 0 };
        resumed.ledger = write_conversation(store, session, writer, &plan, target, &mut counted)?;
        // Before the file is there: a daemon may capture it the moment it appears.
        announce(store, session, tool, &plan, counted.bytes)
    });
    if let Err(error) = written {
        take_back_announcement(store, tool, &plan);
        return Err(error);
    }
    match writer.register(&plan, &about, target) {
        Ok(warning) => resumed.warnings.extend(warning),
        Err(error) => {
            let _ = writer.unregister(&plan, target);
            let _ = std::fs::remove_file(&plan.file);
            take_back_announcement(store, tool, &plan);
            return Err(error);
        }
    }
    Ok(resumed)
}

fn announce(store: &mut Store, session: &SessionRow, tool: &dyn Tool, plan: &Plan, inherited: u64) -> Result<()> {
    store.write(|store| {
        store.announce(&NewSession {
            tool: tool.id(),
            native_id: &plan.native_id,
            parent: &session.public_id,
            relation: Relation::Resume,
            inherited,
        })?;
        if let Some(title) = &session.title {
            let child = store.ensure_session(tool.id(), &plan.native_id)?;
            store.set_title(child.id, Some(title))?;
        }
        Ok(())
    })
}

/// What can't be undone must not hide the first error. A child that is captured already stays: nothing captured is lost.
fn take_back_announcement(store: &mut Store, tool: &dyn Tool, plan: &Plan) {
    let _ = store.write(|store| match store.find_native(tool.id(), &plan.native_id)? {
        Some(child) => store.unannounce(&child),
        None => Ok(()),
    });
}

/// Writes the live conversation of `session` in `writer`'s form to `out`.
pub fn write_conversation(
    store: &Store,
    session: &SessionRow,
    writer: &dyn Writer,
    plan: &Plan,
    target: &Target,
    out: &mut dyn Write,
) -> Result<Ledger> {
    let source = ArchivedSession::open(store, session.clone())?;
    let about = source.about(&store.summary(session.id)?);
    let mut conversation = tools::conversation(&source)?;
    let names = source.streams().iter().map(|stream| stream.name.as_str());
    let copies: std::collections::BTreeSet<&str> = names.filter(|name| name.starts_with("main~")).collect();
    let why = "another file of this session went its own way: `sfs show ID -m` has it";
    conversation.left_out.push(("diverged copies", why, copies.len() as u64));
    let mut ledger = writer.write(plan, &about, target, conversation, out)?;
    if ledger.kept.is_empty() && ledger.mapped.is_empty() && ledger.degraded.is_empty() {
        return Err(Error::failed(format!("session {} holds nothing to resume", session.public_id))
            .hint(format!("sfs show {} -m", session.public_id)));
    }
    let mut unread = store.notes(session.id)?;
    unread.retain(|(stream, ..)| stream == "main");
    if let Some((stream, line, reason)) = unread.first() {
        let detail = format!("first: {stream}:{}: {reason}", line + 1);
        ledger.dropped.push(Entry { what: "lines not understood".into(), count: unread.len() as u64, detail });
    }
    Ok(ledger)
}

struct Counted<'a> {
    out: &'a mut dyn Write,
    bytes: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

/// Replaces this process by the tool, in the session's folder.
pub fn launch(resumed: &Resumed) -> Result<()> {
    use std::os::unix::process::CommandExt;
    let Some((program, arguments)) = resumed.command.split_first() else { return Ok(()) };
    let error = std::process::Command::new(program).args(arguments).current_dir(&resumed.cwd).exec();
    Err::<(), _>(error).context(|| format!("{program} can't be started in {}", resumed.cwd.display()))
}
