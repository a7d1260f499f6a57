//! Other tools' calls in the words of this client (2.1.330).

use crate::model::action::{Action, Change, Native, Search, Shows, Status, Step, quoted, some};
use serde_json::{Value, json};

/// The call that does the same here; `None` where no tool of this client does. `is_here` knows the session's folder.
pub(super) fn native(action: &Action, is_here: &dyn Fn(&str) -> bool) -> Option<Native> {
    Some(match action {
        Action::Shell { command, directory, description, in_background } => {
            let elsewhere = directory.as_deref().filter(|directory| !is_here(directory));
            let command =
                elsewhere.map_or_else(|| command.clone(), |directory| format!("cd {} && {command}", quoted(directory)));
            Native::of(
                "Bash",
                [
                    ("command", command.into()),
                    ("description", description.clone().into()),
                    ("run_in_background", some(*in_background)),
                ],
            )
        }
        Action::Read { path, first, lines } => {
            let path = path.as_str().into();
            Native::of("Read", [("file_path", path), ("offset", (*first).into()), ("limit", (*lines).into())])
        }
        Action::Write { path, content } => {
            Native::of("Write", [("file_path", path.as_str().into()), ("content", content.as_str().into())])
        }
        Action::Edit { path, changes, instruction } => {
            edit(path, changes)?.without("instruction", instruction.as_ref())
        }
        Action::Search(search) => grep(search),
        Action::Find { pattern, path, ignores_case } => {
            Native::of("Glob", [("pattern", pattern.as_str().into()), ("path", path.clone().into())])
                .without("ignoring case", ignores_case.then_some(()))
        }
        Action::Todo { steps, explanation } => {
            let todos = steps.iter().map(todo).collect::<Option<Vec<Value>>>()?;
            Native::of("TodoWrite", [("todos", todos.into())]).without("explanation", explanation.as_ref())
        }
        Action::Patch(_) | Action::Other => return None,
    })
}

/// One change a call.
fn edit(path: &str, changes: &[Change]) -> Option<Native> {
    let [Change { old, new, everywhere }] = changes else { return None };
    Some(Native::of(
        "Edit",
        [
            ("file_path", path.into()),
            ("old_string", old.as_str().into()),
            ("new_string", new.as_str().into()),
            ("replace_all", some(*everywhere)),
        ],
    ))
}

fn grep(search: &Search) -> Native {
    let mode = match search.shows {
        Shows::Lines => "content",
        Shows::Files => "files_with_matches",
        Shows::Counts => "count",
    };
    let (before, after) = search.around;
    Native::of(
        "Grep",
        [
            ("pattern", search.pattern.as_str().into()),
            ("path", search.path.clone().into()),
            ("glob", search.glob.clone().into()),
            ("output_mode", mode.into()),
            ("-i", some(search.ignores_case)),
            ("-B", some(before)),
            ("-A", some(after)),
        ],
    )
}

/// It wants both forms of a step's words.
fn todo(step: &Step) -> Option<Value> {
    let known = matches!(step.status, Status::Pending | Status::InProgress | Status::Completed);
    let active = step.active.as_ref().unwrap_or(&step.text);
    known.then(|| json!({ "content": step.text, "status": step.status.as_str(), "activeForm": active }))
}
