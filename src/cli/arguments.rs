//! Brings the forms that people type (`--limit=5`, `-n5`, `-qa`) into the one that the parser knows (`--limit 5`, `-n 5`,
//! `-q -a`), and its messages into ours.

use crate::error::{Error, Result};
use argh::{ArgsInfo, CommandInfoWithArgs, FlagInfoKind};
use std::ffi::OsString;

/// The parser only takes UTF-8.
pub(super) fn utf8(args: Vec<OsString>) -> Result<Vec<String>> {
    args.into_iter()
        .map(|arg| {
            arg.into_string().map_err(|arg| {
                Error::usage(format!("the argument {:?} is not UTF-8", arg.to_string_lossy()))
                    .hint("change into that folder and give a relative path")
            })
        })
        .collect()
}

/// Drops the word that only says which program is meant: `sessionfs sfs list` is `sfs list`, `sfsd` is `sfs daemon run`.
pub(super) fn words_of(name: &str, mut args: Vec<String>) -> Vec<String> {
    match (name, args.first().map(String::as_str)) {
        ("sfsd", None) => vec!["daemon".into(), "run".into()],
        ("sfsd", Some(word)) if !matches!(word, "--version" | "-V") => {
            [vec!["daemon".into(), "run".into()], args].concat()
        }
        (name, Some("sfs")) if name != "sfs" => args.split_off(1),
        _ => args,
    }
}

/// See the module's description. Everything behind `--` stays as it is. A word `help` that is searched for is put behind
/// `--`, with what follows it: the parser would take it for the wish to be helped.
pub(super) fn normalise(args: &[String]) -> Vec<String> {
    let info = super::Sfs::get_args_info();
    let mut command = &info;
    let mut out = Vec::with_capacity(args.len());
    let mut rest = args.iter();
    let mut behind: Vec<String> = Vec::new();
    while let Some(arg) = rest.next() {
        if arg == "--" {
            behind.extend(rest.cloned());
            return [out, vec![arg.clone()], behind].concat();
        }
        if command.name == "search" && !arg.starts_with('-') && (arg == "help" || !behind.is_empty()) {
            behind.push(arg.clone());
            continue;
        }
        if let Some(next) = command.commands.iter().find(|c| c.name == *arg).filter(|_| !arg.starts_with('-')) {
            command = &next.command;
            out.push(arg.clone());
            continue;
        }
        if let Some(words) = split(arg, command) {
            out.extend(words);
            continue;
        }
        out.push(arg.clone());
        if takes_value(arg, command) {
            out.extend(rest.next().cloned());
        }
    }
    if behind.is_empty() { out } else { [out, vec!["--".to_owned()], behind].concat() }
}

/// The words that `arg` joins, if it joins any.
fn split(arg: &str, command: &CommandInfoWithArgs) -> Option<Vec<String>> {
    if let Some((flag, value)) = arg.split_once('=').filter(|_| arg.starts_with("--")) {
        return takes_value(flag, command).then(|| vec![flag.to_owned(), value.to_owned()]);
    }
    let letters = arg.strip_prefix('-')?;
    let first = letters.chars().next().filter(char::is_ascii_alphabetic)?;
    let rest = letters.get(1..).filter(|rest| !rest.is_empty())?;
    let flag = format!("-{first}");
    if takes_value(&flag, command) {
        return Some(vec![flag, rest.to_owned()]);
    }
    let is_switch = |c| command.flags.iter().any(|flag| flag.short == Some(c) && is_switch(&flag.kind));
    letters.chars().all(is_switch).then(|| letters.chars().map(|c| format!("-{c}")).collect())
}

fn takes_value(flag: &str, command: &CommandInfoWithArgs) -> bool {
    command.flags.iter().any(|known| {
        let named = known.long == flag || known.short.is_some_and(|short| flag == format!("-{short}"));
        named && !is_switch(&known.kind)
    })
}

fn is_switch(kind: &FlagInfoKind) -> bool {
    matches!(kind, FlagInfoKind::Switch)
}

/// The parser's message as an error of ours, with the help to look at.
pub(super) fn usage_error(output: &str, words: &[&str]) -> Error {
    let text = output.lines().take_while(|line| !line.starts_with("Run sfs"));
    let text = text.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ");
    let info = super::Sfs::get_args_info();
    let mut command = &info;
    let mut path = String::from("sfs");
    for word in words {
        let Some(next) = command.commands.iter().find(|c| c.name == *word) else { break };
        command = &next.command;
        path.push(' ');
        path.push_str(word);
    }
    let names: Vec<&str> = command.commands.iter().map(|c| c.name).collect();
    let text = match text.trim() {
        "" => "the command line is not complete".to_owned(),
        text => text.replace("Unrecognized argument: ", "unknown word or option: "),
    };
    let known = if names.is_empty() { String::new() } else { format!(" (commands: {})", names.join(", ")) };
    Error::usage(text).hint(format!("{path} --help{known}"))
}

/// The name of a file or a folder. An empty text would be the current one, which nobody means: a variable was not set.
pub(super) fn path<T: From<String>>(text: &str) -> std::result::Result<T, String> {
    if text.is_empty() {
        Err("an empty text names no file and no folder".to_owned())
    } else {
        Ok(text.to_owned().into())
    }
}

/// A count that the archive can compare with its own.
pub(super) fn count(text: &str) -> std::result::Result<u64, String> {
    let count: u64 = text.parse().map_err(|error: std::num::ParseIntError| error.to_string())?;
    i64::try_from(count).map(|_| count).map_err(|_| "number too large".to_owned())
}

/// A number of bytes as a person writes it: `4096`, `500k`, `100M`, `5G`, each letter 1,024 times the one before.
pub(super) fn size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let shift = match text[digits.len()..].to_ascii_lowercase().trim_end_matches("ib").trim_end_matches('b') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return None,
    };
    let bytes = digits.parse::<u64>().ok()?.checked_mul(1 << shift)?;
    i64::try_from(bytes).ok().map(|_| bytes)
}

/// A moment as a person writes it, in milliseconds since 1970: `30m`, `24h`, `7d`, `2w` ago, a date (local midnight), or a
/// date with time.
pub(super) fn moment(text: &str) -> Result<i64> {
    let wrong = || {
        Error::usage(format!("{text:?} is not a time"))
            .hint("write 30m, 24h, 7d, 2w, 2026-11-22 or 2026-11-22T10:00:00Z")
    };
    let now = jiff::Timestamp::now().as_millisecond();
    if let Some(unit) = text.chars().last().filter(char::is_ascii_alphabetic).filter(|_| !text.contains([':', 'T'])) {
        let count: i64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return Err(wrong()),
        };
        return count.checked_mul(seconds * 1_000).and_then(|ms| now.checked_sub(ms)).ok_or_else(wrong);
    }
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(at.as_millisecond());
    }
    let at =
        text.parse::<jiff::civil::DateTime>().or_else(|_| text.parse::<jiff::civil::Date>().map(|d| d.at(0, 0, 0, 0)));
    let zoned = at.ok().and_then(|at| at.to_zoned(jiff::tz::TimeZone::system()).ok());
    zoned.map(|at| at.timestamp().as_millisecond()).ok_or_else(wrong)
}
