//! What a resumed session's sub-agents said, as Markdown in our own folder: no tool has a place for another tool's
//! sub-agents, and to the conversation with the person belong only their results. So it is for the person to read, the
//! model does not see it.

use super::for_each_message;
use super::markdown::{self, Voice};
use super::native::write_atomically;
use super::source::ArchivedSession;
use crate::error::{Context, Error, Result};
use crate::home::Home;
use crate::model::ledger::Ledger;
use crate::store::{SessionRow, Store};
use std::fs::DirBuilder;
use std::ops::ControlFlow;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

/// What the ledger says of them.
const FOR_THE_EYE: &str = "attached as Markdown: for you to read, the model does not see them";

/// Where the attachment of the resumed session `child` lies, if `ledger` tells of sub-agents; from then on the ledger says
/// that they are attached.
pub(super) fn claim(home: &Home, child: &str, ledger: &mut Ledger) -> Option<PathBuf> {
    ledger.attach_sub_agents(FOR_THE_EYE).then(|| path(home, child))
}

/// Writes all that the sub-agents of `session` said into the new file at `path`.
pub(super) fn write(session: &ArchivedSession<'_>, title: &str, path: &std::path::Path) -> Result<()> {
    if let Some(folder) = path.parent() {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.context(|| format!("{} can't be made", folder.display()))?;
    }
    write_atomically(path, false, &mut |out| {
        let of = format!("Sub-agents of {title}");
        writeln!(out, "# {}\n\n{}", markdown::phrase(&of), origin(&session.row)).context(|| "it can't be written")?;
        let mut voice = Voice::default();
        for_each_message(session, true, &mut |message| {
            if message.is_sidechain {
                let agent = message.agent_id.clone();
                voice.speak(&message, agent.as_deref(), out)?;
            }
            Ok(ControlFlow::Continue(()))
        })
    })
}

/// Takes away what was attached to `session` and to those that continue it: it was said by its sub-agents.
pub fn forget_attachments(store: &Store, home: &Home, session: &SessionRow) -> Result<()> {
    let children = store.children(&session.public_id)?;
    for id in children.iter().map(String::as_str).chain([session.public_id.as_str()]) {
        match std::fs::remove_file(path(home, id)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::failed(format!("{} can't be deleted", path(home, id).display())).because(error));
            }
            _ => {}
        }
    }
    Ok(())
}

fn path(home: &Home, id: &str) -> PathBuf {
    home.attachments().join(format!("{id}.md"))
}

fn origin(row: &SessionRow) -> String {
    format!("`{}` · {}", row.public_id, crate::tools::name_of(&row.tool))
}
