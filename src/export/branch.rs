//! Branches: where a session went its own way, on another device or in a second file, each is one that may be continued.

use super::source::ArchivedSession;
use crate::error::{Error, Result};
use crate::store::{SessionRow, Store, Stream};
use crate::tools;

/// The one that is shown, and continued where nobody says otherwise.
const SHOWN: &str = "main";
/// So many characters tell a device.
const LEAST: usize = 4;

/// One way that a session went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// `main`, `main@<device>`, `main~<copy>`.
    pub name: String,
    /// The device that wrote it, by the first eight characters of its name.
    pub device: String,
    /// That is this one.
    pub is_own: bool,
    /// Bytes, and how many of them are not in a branch before it.
    pub bytes: u64,
    /// Bytes of its own.
    pub own_bytes: u64,
    /// Messages that are not in a branch before it; `None` where it says the same in another form.
    pub own_messages: Option<u64>,
    /// The time of the last of them, in milliseconds.
    pub last_message_at: Option<i64>,
}

/// A session's branches, the one that is shown first.
pub fn branches(store: &Store, session: &SessionRow) -> Result<Vec<Branch>> {
    let own = store.own_device()?;
    let mut newest: Vec<Stream> = store.streams(session.id)?.into_iter().filter(is_main).collect();
    newest.reverse();
    newest.dedup_by(|older, newer| older.name == newer.name);
    newest.reverse();
    let branches = newest.into_iter().map(|stream| {
        let device = store.device_of(&stream)?;
        let (messages, last_message_at) = store.messages_in(stream.id)?;
        let is_settled = stream.shared <= stream.length;
        Ok(Branch {
            name: stream.name,
            is_own: own.as_ref() == Some(&device),
            device: device.get(..8).unwrap_or(&device).to_owned(),
            bytes: stream.length,
            own_bytes: if is_settled { stream.length - stream.shared } else { stream.length },
            own_messages: is_settled.then_some(messages),
            last_message_at,
        })
    });
    branches.collect()
}

fn is_main(stream: &Stream) -> bool {
    tools::base_name(&stream.name) == SHOWN && stream.length > 0
}

/// The name of the branch that a person calls `words`: its name, or the device's.
pub(super) fn find(store: &Store, session: &SessionRow, words: &str) -> Result<String> {
    let branches = branches(store, session)?;
    if let Some(branch) = branches.iter().find(|branch| branch.name == words) {
        return Ok(branch.name.clone());
    }
    let is_meant = |branch: &&Branch| {
        let copy = branch.name.split_once('~').map_or(branch.device.as_str(), |(_, copy)| copy);
        words.len() >= LEAST && copy.starts_with(words)
    };
    let mut meant = branches.iter().filter(is_meant);
    match (meant.next(), meant.next()) {
        (Some(branch), None) => Ok(branch.name.clone()),
        (found, _) => {
            let names = branches.iter().map(|branch| branch.name.as_str()).collect::<Vec<_>>().join(", ");
            let id = &session.public_id;
            Err(match found {
                Some(_) => Error::usage(format!("{words:?} is ambiguous")),
                None => Error::not_found(format!("session {id} has no branch {words:?}")),
            }
            .hint(format!("its branches: {names}; sfs show {id}")))
        }
    }
}

impl ArchivedSession<'_> {
    /// The session as the branch called so has it, alone: of each stream the version of that branch, where it has one of its
    /// own.
    #[must_use]
    pub(super) fn on_branch(mut self, name: &str) -> Self {
        let version = name.strip_prefix(SHOWN).unwrap_or_default();
        let names: Vec<String> = self.native_streams().iter().map(|stream| stream.name.clone()).collect();
        let chosen = |base: &str| {
            let own = format!("{base}{version}");
            if names.contains(&own) { own } else { base.to_owned() }
        };
        self.rename(|shown| {
            let base = tools::base_name(shown);
            (chosen(base) == shown).then(|| base.to_owned())
        });
        self
    }
}
