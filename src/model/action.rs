//! What a tool call does, beside its verbatim name and input, so that a writer can use the target's own tool for it.

/// The kinds that more than one tool has. Everything else travels under its own name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Run a command line in a shell.
    Shell {
        /// The command line.
        command: String,
        /// Where, if the call says so.
        directory: Option<String>,
    },
    /// Anything without an equal in another tool.
    Other,
}
