//! Other tools' calls in the words of this client (0.61).

use crate::model::action::{Action, Change, Native, Search, Shows, Step, some};
use serde_json::{Value, json};

/// The call that does the same here; `None` where no tool of this client does. `is_here` knows the session's folder.
pub(super) fn native(action: &Action, is_here: &dyn Fn(&str) -> bool) -> Option<Native> {
    Some(match action {
        Action::Shell { command, directory, description, in_background } => {
            let elsewhere = directory.as_deref().filter(|directory| !is_here(directory));
            Native::of(
                "run_shell_command",
                [
                    ("command", command.as_str().into()),
                    ("description", description.clone().into()),
                    ("dir_path", elsewhere.into()),
                    ("is_background", some(*in_background)),
                ],
            )
        }
        Action::Read { path, first, lines } => {
            let last = lines.map(|lines| first.unwrap_or(1).saturating_add(lines).saturating_sub(1));
            let path = path.as_str().into();
            Native::of("read_file", [("file_path", path), ("start_line", (*first).into()), ("end_line", last.into())])
        }
        Action::Write { path, content } => {
            Native::of("write_file", [("file_path", path.as_str().into()), ("content", content.as_str().into())])
        }
        Action::Edit { path, changes, instruction } => return replace(path, changes, instruction.as_deref()),
        Action::Search(search) => return grep_search(search),
        Action::Find { pattern, path, ignores_case } => Native::of(
            "glob",
            [
                ("pattern", pattern.as_str().into()),
                ("dir_path", path.clone().into()),
                ("case_sensitive", some(!ignores_case)),
            ],
        ),
        Action::Todo { steps, explanation } => {
            let todo = |step: &Step| json!({ "description": step.text, "status": step.status.as_str() });
            let todos: Vec<Value> = steps.iter().map(todo).collect();
            Native::of("write_todos", [("todos", todos.into())])
                .without("activeForm", steps.iter().find(|step| step.active.is_some()))
                .without("explanation", explanation.as_ref())
        }
        Action::Patch(_) | Action::Other => return None,
    })
}

/// One change a call.
fn replace(path: &str, changes: &[Change], instruction: Option<&str>) -> Option<Native> {
    let [Change { old, new, everywhere }] = changes else { return None };
    Some(Native::of(
        "replace",
        [
            ("file_path", path.into()),
            ("instruction", instruction.into()),
            ("old_string", old.as_str().into()),
            ("new_string", new.as_str().into()),
            ("allow_multiple", some(*everywhere)),
        ],
    ))
}

/// It does not count.
fn grep_search(search: &Search) -> Option<Native> {
    let (before, after) = search.around;
    let arguments = [
        ("pattern", search.pattern.as_str().into()),
        ("dir_path", search.path.clone().into()),
        ("include_pattern", search.glob.clone().into()),
        ("case_sensitive", some(!search.ignores_case)),
        ("names_only", some(search.shows == Shows::Files)),
        ("before", some(before)),
        ("after", some(after)),
    ];
    (search.shows != Shows::Counts).then(|| Native::of("grep_search", arguments))
}
