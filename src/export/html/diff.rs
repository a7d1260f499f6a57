//! Changes of files, line by line.

use super::escape::escaped;
use similar::{ChangeTag, TextDiff};

/// More lines are not compared: the old ones go, the new ones come.
const MAX_LINES: usize = 4000;
/// Unchanged lines around a change.
const CONTEXT: usize = 3;

/// What became of `old`.
pub(super) fn changes(old: &str, new: &str) -> String {
    let lines = |text: &str| text.lines().take(MAX_LINES + 1).count();
    if lines(old) > MAX_LINES || lines(new) > MAX_LINES {
        let all = old.lines().map(|line| ('-', line)).chain(new.lines().map(|line| ('+', line)));
        return block(all);
    }
    let diff = TextDiff::from_lines(old, new);
    let mut out = Vec::new();
    for (number, group) in diff.grouped_ops(CONTEXT).iter().enumerate() {
        out.extend((number > 0).then_some(('@', "…")));
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            out.push((sign, change.value().trim_end_matches('\n')));
        }
    }
    block(out.into_iter())
}

/// A patch as a tool wrote it: every line by its sign.
pub(super) fn patch(text: &str) -> String {
    block(text.lines().map(|line| match line.as_bytes().first() {
        Some(b'+') => ('+', &line[1..]),
        Some(b'-') => ('-', &line[1..]),
        Some(b' ') => (' ', &line[1..]),
        _ => ('@', line),
    }))
}

fn block<'t>(lines: impl Iterator<Item = (char, &'t str)>) -> String {
    let lines = lines.map(|(sign, line)| {
        let line = escaped(line);
        match sign {
            '+' => format!("<ins>+{line}</ins>\n"),
            '-' => format!("<del>-{line}</del>\n"),
            '@' => format!("<b>{line}</b>\n"),
            _ => format!(" {line}\n"),
        }
    });
    format!("<pre class=\"diff\">{}</pre>\n", lines.collect::<Vec<_>>().concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_shows_what_went_and_what_came() {
        insta::assert_snapshot!(changes("a\n<b>\nc\n", "a\nB\nc"), @r#"
        <pre class="diff"> a
        <del>-&lt;b&gt;</del>
        <del>-c</del>
        <ins>+B</ins>
        <ins>+c</ins>
        </pre>
        "#);
        insta::assert_snapshot!(patch("*** Add File: a\n+x\n-y\n z"), @r#"
        <pre class="diff"><b>*** Add File: a</b>
        <ins>+x</ins>
        <del>-y</del>
         z
        </pre>
        "#);
        let long = "x\n".repeat(MAX_LINES + 1);
        assert!(changes(&long, "y").matches("<del>").count() == MAX_LINES + 1);
    }
}
