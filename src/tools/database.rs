//! Tools whose sessions are rows of one database instead of files. Such a database is read where it is, while its tool
//! writes to it; what changed in it is archived as lines, one for each version of a row.

use super::Format;
use crate::error::Result;
use crate::home::Home;
use std::path::{Path, PathBuf};

/// A tool's database.
pub trait Database: Sync {
    /// The folder that holds it and what lies beside it.
    fn root(&self, home: &Home) -> PathBuf;
    /// Where it is, relative to [`Database::root`].
    fn path(&self) -> &'static str;
    /// Looks for what changed since the look that left `cursor`. `None`: nothing was committed since, or there is no
    /// database; to know that costs next to nothing.
    fn look(&self, root: &Path, cursor: Option<&str>, depth: Depth) -> Result<Option<Box<dyn Look>>>;
}

/// How much is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// What the database itself tells to be new.
    Newest,
    /// Also what is gone, and what lies beside the database.
    Everything,
}

/// One look into a tool's database.
pub trait Look {
    /// Sessions in which something may have changed, by their place in the database.
    fn changed(&self) -> &[String];
    /// True where the look went deep enough to know that nothing is left of the session at `place`.
    fn is_gone(&self, place: &str) -> bool;
    /// What could not be read beside the database, in words.
    fn notes(&self) -> Vec<String>;
    /// What the next look goes on from.
    fn cursor(&self) -> String;
    /// The session at `place`. A known one is there even when nothing is left in it.
    fn session<'a>(&'a self, place: &str, is_known: bool) -> Result<Found<'a>>;
}

/// What is at a place in a tool's database.
pub enum Found<'a> {
    /// A session, or a part of one.
    Session(Box<dyn Rows + 'a>),
    /// Nothing that anybody said.
    Nothing,
    /// Something that is not understood: what it is.
    Unknown(String),
}

/// The rows of one session, seen at one moment.
pub trait Rows {
    /// Whose they are.
    fn owner(&self) -> &Owner;
    /// Calls `each` with whatever is not archived yet, in the order of the conversation.
    fn read(&self, known: &dyn Fn(&str) -> Option<Version>, each: &mut OnPiece<'_>) -> Result<()>;
}

/// What [`Rows::read`] calls.
pub type OnPiece<'f> = dyn FnMut(Piece) -> Result<()> + 'f;

/// Whose rows these are, and how they are archived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The session's id in its tool: a sub-agent's is the one that sent it.
    pub native_id: String,
    /// `main` or `subagents/…`.
    pub stream: String,
    /// How the lines are to be read.
    pub format: Format,
    /// The session's project folder, wherever the tool keeps it.
    pub project: Option<String>,
}

/// A version of a row that is archived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// The row's number, which changes whenever the tool replaces it.
    pub rowid: i64,
    /// Tells versions apart.
    pub content: i64,
    /// Where its line begins in the stream.
    pub place: u64,
    /// The row is to be looked at again although it did not change: something that belongs to it may come later.
    pub open: bool,
}

/// Something new of a session.
pub enum Piece {
    /// A row.
    Row {
        /// Its key.
        key: String,
        /// Its number.
        rowid: i64,
        /// See [`Version::content`].
        content: i64,
        /// See [`Version::open`].
        open: bool,
        /// What is archived, without a line break; `None` where only the number is new.
        line: Option<Vec<u8>>,
    },
    /// A file that belongs to the session.
    File {
        /// Its stream's name, such as `images/…`.
        name: String,
        /// All of it.
        bytes: Vec<u8>,
    },
}
