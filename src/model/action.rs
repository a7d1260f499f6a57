//! What a tool call does, beside its verbatim name and input, so that a writer can use the target's own tool for it.
//!
//! The names and arguments are those that the known tools offer their models; [`of`] reads them whatever tool the session
//! is of, since a session that was resumed elsewhere keeps calls of both. **An input that has not the shape its name
//! promises, or one argument more than is known here, is [`Action::Other`]**: nothing is guessed, and such a call travels
//! under its own name with its own input.

mod arguments;
mod native;
mod patch;
mod search;
mod shell;

pub use native::{Native, some};
pub use patch::adding;
pub use shell::quoted;

use arguments::{Arguments, NotThat};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The kinds that more than one tool has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Run a command line in a shell.
    Shell {
        /// The command line.
        command: String,
        /// Where, if the call says so.
        directory: Option<String>,
        /// What the model called it.
        description: Option<String>,
        /// The call returns before the command ends.
        in_background: bool,
    },
    /// Read a file or some lines of it.
    Read {
        /// As the model wrote it, relative paths too.
        path: String,
        /// The first line, from 1.
        first: Option<u64>,
        /// How many lines.
        lines: Option<u64>,
    },
    /// Give a file this content.
    Write {
        /// As the model wrote it.
        path: String,
        /// All of it.
        content: String,
    },
    /// Replace text in one file.
    Edit {
        /// As the model wrote it.
        path: String,
        /// One after the other; at least one.
        changes: Vec<Change>,
        /// What the model said about it.
        instruction: Option<String>,
    },
    /// A patch of several changes, in the form that begins with `*** Begin Patch`. One of a single change is a
    /// [`Action::Write`] or an [`Action::Edit`].
    Patch(String),
    /// Search in files.
    Search(Search),
    /// Search for files by their names.
    Find {
        /// A glob pattern.
        pattern: String,
        /// Where; the project if nothing is said.
        path: Option<String>,
        /// Upper and lower case are the same.
        ignores_case: bool,
    },
    /// Replace the plan by this one.
    Todo {
        /// All steps.
        steps: Vec<Step>,
        /// What the model said about it.
        explanation: Option<String>,
    },
    /// Anything without an equal in another tool.
    Other,
}

/// Replaces a text in a file by another one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// What goes.
    #[serde(rename = "old_string", alias = "old_str")]
    pub old: String,
    /// What comes.
    #[serde(rename = "new_string", alias = "new_str")]
    pub new: String,
    /// Wherever it stands, not only where it stands once.
    #[serde(rename = "replace_all", default)]
    pub everywhere: bool,
}

/// A search in files for a regular expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// The regular expression.
    pub pattern: String,
    /// A folder or a file; the project if nothing is said.
    pub path: Option<String>,
    /// Only in files whose names match this glob pattern.
    pub glob: Option<String>,
    /// Upper and lower case are the same.
    pub ignores_case: bool,
    /// What is asked for.
    pub shows: Shows,
    /// So many lines before each match, and after.
    pub around: (u64, u64),
}

/// What a search gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words say it")]
pub enum Shows {
    Lines,
    Files,
    Counts,
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What is to be done.
    pub text: String,
    /// How far it is.
    pub status: Status,
    /// The same in the words for while it is done, where the tool has some.
    pub active: Option<String>,
}

/// How far a step of a plan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words are the tools' own")]
pub enum Status {
    Pending,
    InProgress,
    Completed,
    Cancelled,
    Blocked,
}

impl Status {
    /// The tools' own word.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Pending => "pending",
            Status::InProgress => "in_progress",
            Status::Completed => "completed",
            Status::Cancelled => "cancelled",
            Status::Blocked => "blocked",
        }
    }
}

/// What a call does, and with which arguments that change nothing of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// What it does.
    pub action: Action,
    /// Names of arguments that only said how the call was to be run, such as a timeout.
    pub asides: Vec<String>,
}

/// What the call `name(input)` does.
pub fn of(name: &str, input: &RawValue) -> Meaning {
    let other = Meaning { action: Action::Other, asides: Vec::new() };
    let lower = name.to_ascii_lowercase();
    let Some((_, parse)) = VOCABULARY.iter().find(|(names, _)| names.contains(&lower.as_str())) else { return other };
    let Ok(mut arguments) = Arguments::of(name, input) else { return other };
    parse(&mut arguments).and_then(|action| arguments.end(action)).unwrap_or(other)
}

type Parse = fn(&mut Arguments) -> Result<Action, NotThat>;

/// The names under which the known tools offer these actions, in lower case. Claude Code's are written like `Bash`,
/// Codex's `exec_command`, `apply_patch`, `update_plan`, Gemini CLI's `run_shell_command`, `replace`, `write_todos`,
/// Cursor's `run_terminal_cmd`, `search_replace`, `todo_write`.
const VOCABULARY: [(&[&str], Parse); 8] = [
    (&shell::NAMES, shell::parse),
    (&["read", "read_file", "read_file_v2"], read),
    (&["write", "write_file"], write),
    (&["edit", "multiedit", "replace", "search_replace", "strreplace", "str_replace"], edit),
    (&["apply_patch"], patch::parse),
    (&["grep", "grep_search", "search_file_content"], search::parse),
    (&["glob", "glob_file_search"], search::find),
    (&["todowrite", "todo_write", "update_plan", "write_todos"], todo),
];

/// Where a file is named.
const PATH: [&str; 5] = ["file_path", "path", "target_file", "targetFile", "absolute_path"];

fn read(input: &mut Arguments) -> Result<Action, NotThat> {
    // Gemini CLI counted from 0 as long as it said `offset`.
    let from_zero = input.name == "read_file" && (input.has("absolute_path") || input.has("file_path"));
    let path = input.need(&PATH)?;
    input.asides(&["explanation", "should_read_entire_file", "charsLimit", "effectiveUri"]);
    let offset = input.take::<u64>(&["offset"])?.map(|offset| offset.saturating_add(u64::from(from_zero)).max(1));
    let first = input.take(&["start_line", "start_line_one_indexed"])?.or(offset);
    let last: Option<u64> = input.take(&["end_line", "end_line_one_indexed_inclusive"])?;
    let lines = match last {
        Some(last) => Some(last.checked_sub(first.unwrap_or(1)).ok_or(NotThat)?.saturating_add(1)),
        None => input.take(&["limit"])?,
    };
    Ok(Action::Read { path, first, lines })
}

fn write(input: &mut Arguments) -> Result<Action, NotThat> {
    input.asides(&["explanation", "modified_by_user", "ai_proposed_content"]);
    Ok(Action::Write { path: input.need(&PATH)?, content: input.need(&["content", "contents", "file_text"])? })
}

fn edit(input: &mut Arguments) -> Result<Action, NotThat> {
    input.asides(&["explanation", "modified_by_user", "ai_proposed_content"]);
    let path = input.need(&PATH)?;
    let instruction = input.take(&["instruction", "instructions"])?;
    if let Some(changes) = input.take::<Vec<Change>>(&["edits"])? {
        return if changes.is_empty() { Err(NotThat) } else { Ok(Action::Edit { path, changes, instruction }) };
    }
    let expected: Option<u64> = input.take(&["expected_replacements"])?;
    let everywhere = input.take(&["replace_all", "allow_multiple"])?;
    let change = Change {
        old: input.need(&["old_string", "old_str"])?,
        new: input.need(&["new_string", "new_str"])?,
        everywhere: everywhere.unwrap_or(expected.is_some_and(|count| count > 1)),
    };
    Ok(Action::Edit { path, changes: vec![change], instruction })
}

fn todo(input: &mut Arguments) -> Result<Action, NotThat> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Item {
        #[serde(alias = "step", alias = "description")]
        content: String,
        status: Status,
        #[serde(rename = "activeForm")]
        active: Option<String>,
        #[serde(default, rename = "id")]
        _id: serde::de::IgnoredAny,
    }
    // Only the steps that are named change: what the plan is, the call alone does not tell.
    if input.take(&["merge"])? == Some(true) {
        return Err(NotThat);
    }
    let items: Vec<Item> = input.need(&["todos", "plan"])?;
    let step = |item: Item| Step { text: item.content, status: item.status, active: item.active };
    Ok(Action::Todo { steps: items.into_iter().map(step).collect(), explanation: input.take(&["explanation"])? })
}

#[cfg(test)]
mod tests;
