//! What a reader learns about a session as a whole while it reads lines. Applied in order; the fields say which wins.

use jiff::Timestamp;

/// How good a title from the tool is; a higher one is not replaced by a lower one. A person's own title, set with us,
/// stands above all and is not an observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TitleRank {
    /// The client's or the model's summary.
    Generated,
    /// The person typed it in the tool.
    Chosen,
}

/// One thing learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation {
    /// A title kept by the tool; the newest of the best rank wins.
    Title(TitleRank, String),
    /// The folder the session works in; the first one wins.
    Project(String),
    /// That folder moved here, as a person said; the last one wins, over every [`Observation::Project`].
    Moved(String),
    /// The model in use; the last one wins.
    Model(String),
    /// The tool's version; the last one wins.
    ToolVersion(String),
    /// Such as `cli`, `exec`, `vscode`; the first one wins.
    Interface(String),
    /// Git branch; the last one wins.
    GitBranch(String),
    /// Git commit at the start; the first one wins.
    GitCommit(String),
    /// Git remote; the first one wins.
    GitRemote(String),
    /// This session was forked from the one with this native id in the same tool; the first one wins.
    ForkedFrom(String),
    /// When something happened; the session spans from the earliest to the latest.
    Activity(Timestamp),
}
