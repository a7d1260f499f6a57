//! Patches in the form that begins with `*** Begin Patch`. It knows whole lines only, and finds them by what they say.

use super::arguments::{Arguments, NotThat};
use super::{Action, Change};

const BEGIN: &str = "*** Begin Patch";
const END: &str = "*** End Patch";
const ADD: &str = "*** Add File: ";
const UPDATE: &str = "*** Update File: ";

pub(super) fn parse(input: &mut Arguments) -> Result<Action, NotThat> {
    let patch: String = input.need(&["input", "patch"])?;
    let trimmed = patch.trim();
    let body = trimmed.strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END)).ok_or(NotThat)?;
    let lines: Vec<&str> = body.strip_prefix('\n').ok_or(NotThat)?.lines().collect();
    Ok(single(&lines).filter(|_| !patch.contains('\r')).unwrap_or(Action::Patch(patch)))
}

/// What a patch of a single change does.
fn single(lines: &[&str]) -> Option<Action> {
    let (first, rest) = lines.split_first()?;
    if let Some(path) = first.strip_prefix(ADD) {
        let content = rest.iter().map(|line| line.strip_prefix('+').map(|line| format!("{line}\n")));
        return Some(Action::Write { path: path.to_owned(), content: content.collect::<Option<String>>()? });
    }
    let path = first.strip_prefix(UPDATE)?.to_owned();
    // With more behind it, `@@` says where to look: no other tool can be told.
    let hunk = if rest.first() == Some(&"@@") { &rest[1..] } else { rest };
    let (mut old, mut new) = (String::new(), String::new());
    for line in hunk {
        let (sides, text): (&mut [&mut String], _) = match line.split_at_checked(1) {
            // A context line that is empty may lack its blank.
            None => (&mut [&mut old, &mut new], ""),
            Some((" ", text)) => (&mut [&mut old, &mut new], text),
            Some(("-", text)) => (&mut [&mut old], text),
            Some(("+", text)) => (&mut [&mut new], text),
            Some(_) => return None,
        };
        for side in sides {
            side.push_str(text);
            side.push('\n');
        }
    }
    let change = Change { old, new, everywhere: false };
    (!change.old.is_empty()).then(|| Action::Edit { path, changes: vec![change], instruction: None })
}

/// The patch that gives the file at `path` this content; `None` for what a patch can't say: a last line without an end,
/// other line ends, an empty file.
pub fn adding(path: &str, content: &str) -> Option<String> {
    let lines = content.strip_suffix('\n').filter(|_| !content.contains('\r') && !path.contains(['\n', '\r']))?;
    let lines: Vec<&str> = lines.split('\n').collect();
    Some(format!("{BEGIN}\n{ADD}{path}\n+{}\n{END}", lines.join("\n+")))
}
