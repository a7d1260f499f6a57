//! Forks: a new session that begins as another one was at some position, and goes its own way.
//!
//! The fork is written in its tool's form, under an id allotted now, into the archive; the tool's folder is not touched
//! before somebody resumes it, which then is a restore.

use super::resume::{Counted, Job, project_of, refresh, unwritable};
use super::selection::Selection;
use super::source::ArchivedSession;
use crate::capture::{Unborn, archive_session};
use crate::error::{Context, Error, Result};
use crate::home::Home;
use crate::model::ledger::Ledger;
use crate::store::{NewSession, Relation, SessionRow, Store};
use crate::tools::{Plan, Target, Tool};
use std::io::BufWriter;
use std::path::PathBuf;

/// What a person asked for.
#[derive(Clone, Debug, Default)]
pub struct ForkOptions {
    /// What to call it.
    pub title: Option<String>,
    /// Which part of the session; all of it, as it is now, by default.
    pub selection: Selection,
    /// Another project folder than the session's own.
    pub project: Option<PathBuf>,
}

/// What was made.
#[derive(Clone, Debug)]
pub struct Forked {
    /// The new session.
    pub session: SessionRow,
    /// What became of each piece.
    pub ledger: Ledger,
}

/// Forks `session` as a session of `tool`.
pub fn fork(
    store: &mut Store,
    home: &Home,
    session: &SessionRow,
    tool: &'static dyn Tool,
    options: &ForkOptions,
) -> Result<Forked> {
    refresh(store, home, session)?;
    let writer = tool.writer().ok_or_else(|| unwritable(tool.id(), "fork", session))?;
    let cwd = project_of(session, &store.summary(session.id)?, options.project.as_deref(), "fork")?;
    let target = Target { home: home.clone(), cwd, native_id: None, now: jiff::Timestamp::now() };
    let named = SessionRow { title: options.title.clone().or_else(|| session.title.clone()), ..session.clone() };
    let about = ArchivedSession::open(store, named.clone())?.about(&store.summary(session.id)?);
    let plan = writer.plan(&about, &target)?;
    let job = Job { session: &named, selection: &options.selection, writer, plan: &plan, target: &target };

    // Beside the archive, without a name: nobody else reads it, and a kill leaves nothing.
    let file = tempfile::tempfile_in(&home.data).context(|| format!("{} can't be written", home.data.display()))?;
    let mut out = BufWriter::with_capacity(256 << 10, file);
    let mut counted = Counted { out: &mut out, bytes: 0 };
    let ledger = job.write(store, &mut counted)?.ledger;
    let inherited = counted.bytes;
    let file = out.into_inner().map_err(std::io::IntoInnerError::into_error);
    let mut file = file.context(|| format!("{} can't be written", home.data.display()))?;
    let unborn = Unborn {
        new: NewSession {
            tool: tool.id(),
            native_id: &plan.native_id,
            parent: &session.public_id,
            relation: Relation::Fork,
            inherited,
        },
        title: named.title.as_deref(),
        project: &plan.cwd,
        native_path: &native_path(home, tool, &plan)?,
    };
    let session = archive_session(store, tool, &unborn, &mut file)?;
    Ok(Forked { session, ledger })
}

/// Where the planned file lies below the tool's folder.
fn native_path(home: &Home, tool: &dyn Tool, plan: &Plan) -> Result<String> {
    let below = plan.file.strip_prefix(tool.root(home)).ok().and_then(|path| path.to_str());
    below.map(str::to_owned).ok_or_else(|| Error::failed(format!("{} is no place for a session", plan.file.display())))
}
