//! The `facts` stream: one line for each observed change of what a tool keeps elsewhere. Without it a rebuild would lose
//! titles from index files and the memory of deleted native copies.

use super::derive;
use crate::error::{Context, Result};
use crate::model::observation::{Observation, TitleRank};
use crate::store::{Store, StreamKey};
use serde::{Deserialize, Serialize};

/// The stream's name.
pub const STREAM: &str = "facts";
pub(super) const FORMAT: &str = "sfs/facts";

/// One line of the stream.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Fact {
    at: jiff::Timestamp,
    #[serde(flatten)]
    what: What,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum What {
    /// The tool keeps this title in an index.
    Title { title: String },
    /// The tool keeps the project beside the session.
    Project { path: String },
    /// A person says that the project's folder moved here.
    Moved { path: String },
    /// The session was active at the line's moment, which its own lines do not tell.
    Active,
    /// The tool deleted its copy, which was last changed at `mtime_ns`.
    NativeGone { path: String, mtime_ns: i64 },
    /// It is there again.
    NativeBack { path: String },
}

impl Fact {
    pub(super) fn gone(at: jiff::Timestamp, path: &str, mtime_ns: i64) -> Fact {
        Fact { at, what: What::NativeGone { path: path.to_owned(), mtime_ns } }
    }

    pub(super) fn back(at: jiff::Timestamp, path: &str) -> Fact {
        Fact { at, what: What::NativeBack { path: path.to_owned() } }
    }

    /// When it was observed.
    pub(super) fn at(&self) -> jiff::Timestamp {
        self.at
    }

    /// What this line says about the session as a whole.
    pub(super) fn observation(self) -> Option<Observation> {
        match self.what {
            What::Title { title } => Some(Observation::Title(TitleRank::Chosen, title)),
            What::Project { path } => Some(Observation::Project(path)),
            What::Moved { path } => Some(Observation::Moved(path)),
            What::Active => Some(Observation::Activity(self.at)),
            What::NativeGone { .. } | What::NativeBack { .. } => None,
        }
    }
}

/// Appends a line to the session's facts.
pub(super) fn append(store: &mut Store, session: i64, fact: &Fact) -> Result<()> {
    let mut stream = match store.newest_stream(session, STREAM)? {
        Some(stream) => stream,
        None => store.create_stream(StreamKey {
            session,
            name: STREAM,
            generation: 0,
            format: FORMAT,
            native_path: None,
        })?,
    };
    let mut line = serde_json::to_vec(fact).context(|| "a fact can't be written")?;
    line.push(b'\n');
    store.append(&mut stream, &line)
}

/// Takes over what an index file or a manifest says of a session that is archived, if it is new.
pub(super) fn observe(store: &mut Store, tool: &str, native_id: &str, observation: Observation) -> Result<()> {
    let session = store.find_native(tool, native_id)?.filter(|session| session.purged_at.is_none());
    session.map_or(Ok(()), |session| observe_in(store, session.id, observation))
}

/// The same for the session in a row.
pub(super) fn observe_in(store: &mut Store, session: i64, observation: Observation) -> Result<()> {
    let mut summary = store.summary(session)?;
    let before = summary.clone();
    derive::apply(&mut summary, &observation);
    if summary == before {
        return Ok(());
    }
    match observation {
        Observation::Title(_, title) => {
            append(store, session, &Fact { at: jiff::Timestamp::now(), what: What::Title { title } })?;
        }
        Observation::Project(path) => {
            append(store, session, &Fact { at: jiff::Timestamp::now(), what: What::Project { path } })?;
        }
        Observation::Moved(path) => {
            append(store, session, &Fact { at: jiff::Timestamp::now(), what: What::Moved { path } })?;
        }
        Observation::Activity(at) => append(store, session, &Fact { at, what: What::Active })?,
        _ => {}
    }
    store.save_summary(session, &summary)
}
