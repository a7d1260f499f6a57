//! The commands as data, for completions and man pages: what `--help` says is said there too, and nothing else.

use super::Sfs;
use argh::{ArgsInfo, CommandInfoWithArgs, FlagInfo, FlagInfoKind, PositionalInfo};

/// One command.
pub(super) struct Definition {
    /// What is typed behind `sfs`: nothing for `sfs` itself.
    pub(super) words: Vec<&'static str>,
    pub(super) info: CommandInfoWithArgs,
}

/// All commands, each before those below it.
pub(super) fn all() -> Vec<Definition> {
    let mut found = vec![Definition { words: Vec::new(), info: Sfs::get_args_info() }];
    let mut at = 0;
    while at < found.len() {
        let Definition { words, info } = &found[at];
        let below = info
            .commands
            .iter()
            .map(|command| Definition { words: [&words[..], &[command.name]].concat(), info: command.command.clone() });
        let below: Vec<Definition> = below.collect();
        at += 1;
        found.splice(at..at, below);
    }
    found
}

impl Definition {
    /// The command without `sfs`, such as `daemon start`.
    pub(super) fn path(&self) -> String {
        self.words.join(" ")
    }

    /// What it does, in one line.
    pub(super) fn summary(&self) -> String {
        summary(self.info.description)
    }

    /// Its options as help shows them.
    pub(super) fn flags(&self) -> impl Iterator<Item = &'static FlagInfo<'static>> {
        self.info.flags.iter().filter(|flag| !flag.hidden && flag.long != HELP)
    }

    /// Its arguments as help shows them.
    pub(super) fn positionals(&self) -> impl Iterator<Item = &'static PositionalInfo<'static>> {
        self.info.positionals.iter().filter(|positional| !positional.hidden)
    }
}

/// Every command has it; the parser lists it in a form of its own.
const HELP: &str = "--help";

/// The first paragraph of a description, on one line.
pub(super) fn summary(description: &str) -> String {
    let paragraph = description.split("\n\n").next().unwrap_or_default();
    paragraph.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The name of an option's value; `None` for a switch.
pub(super) fn value_of(flag: &FlagInfo<'_>) -> Option<String> {
    match flag.kind {
        FlagInfoKind::Switch => None,
        FlagInfoKind::Option { arg_name } => Some(arg_name.to_owned()),
    }
}
