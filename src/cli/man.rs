//! `sfs man`: one manual page a command, written from the commands' own definitions.

use super::definitions::{self, Definition, summary, value_of};
use super::ui;
use super::{Context, arguments};
use crate::error::{Context as _, Result};
use argh::{ArgsInfo, FromArgs, Optionality};
use roff::{Inline, Roff, bold, italic, roman};
use std::fs;
use std::path::PathBuf;

/// Write the manual pages into a folder
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "man")]
#[argh(example = "sfs man ~/.local/share/man/man1")]
#[argh(note = "Then `man sfs` and `man sfs-resume` show them. Pages that are there already are replaced.")]
pub(super) struct Man {
    /// the folder; `man` looks for these pages in folders called man1
    #[argh(positional, from_str_fn(arguments::path))]
    folder: PathBuf,
}

impl Man {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let folder = self.folder;
        fs::create_dir_all(&folder).context(|| format!("{} can't be created", folder.display()))?;
        let commands = definitions::all();
        for command in &commands {
            let path = folder.join(format!("{}.1", page_name(command)));
            fs::write(&path, page(command, &commands)).context(|| format!("{} can't be written", path.display()))?;
        }
        let place = ui::printable(&context.home.short(&folder));
        context.ui.line(&format!("Wrote {} to {place}.", ui::counted(commands.len() as u64, "page")))
    }
}

fn page_name(command: &Definition) -> String {
    [&["sfs"], &command.words[..]].concat().join("-")
}

/// The page in roff.
fn page(command: &Definition, commands: &[Definition]) -> String {
    let name = page_name(command);
    let mut page = Roff::new();
    let version = format!("sessionfs {}", env!("CARGO_PKG_VERSION"));
    page.control("TH", [name.to_uppercase().as_str(), "1", "", version.as_str(), "sessionfs"]);
    page.control("SH", ["NAME"]).text([roman(format!("{name} - {}", command.summary()))]);
    page.control("SH", ["SYNOPSIS"]).text(synopsis(command));
    page.control("SH", ["DESCRIPTION"]);
    for (number, paragraph) in command.info.description.split("\n\n").enumerate() {
        if number > 0 {
            page.control("PP", []);
        }
        page.text([roman(summary(paragraph))]);
    }
    for note in command.info.notes {
        page.control("PP", []);
        literal(&mut page, note);
    }
    arguments(&mut page, command);
    page.control("SH", ["EXAMPLES"]);
    for example in command.info.examples {
        page.control("PP", []);
        literal(&mut page, example);
    }
    if command.words.is_empty() {
        environment(&mut page);
    }
    see_also(&mut page, command, commands);
    ascii(&page.render())
}

/// What is no ASCII as roff names it: older readers take it byte by byte.
fn ascii(page: &str) -> String {
    let named = |c: char| if c.is_ascii() { c.to_string() } else { format!("\\[u{:04X}]", u32::from(c)) };
    page.chars().map(named).collect()
}

fn synopsis(command: &Definition) -> Vec<Inline> {
    let mut line = vec![bold([&["sfs"], &command.words[..]].concat().join(" "))];
    for flag in command.flags() {
        let form = flag.short.map_or_else(|| flag.long.to_owned(), |short| format!("-{short}"));
        line.extend([roman(" ["), bold(form)]);
        line.extend(value_of(flag).into_iter().flat_map(|value| [roman(" "), italic(value)]));
        line.push(roman("]"));
    }
    for positional in command.positionals() {
        let name = italic(positional.name);
        match positional.optionality {
            Optionality::Required => line.extend([roman(" "), name]),
            Optionality::Optional => line.extend([roman(" ["), name, roman("]")]),
            Optionality::Repeating | Optionality::Greedy => line.extend([roman(" "), name, roman(" ...")]),
        }
    }
    if !command.info.commands.is_empty() {
        line.extend([roman(" "), italic("command")]);
    }
    line
}

fn arguments(page: &mut Roff, command: &Definition) {
    if command.positionals().next().is_some() {
        page.control("SH", ["ARGUMENTS"]);
    }
    for positional in command.positionals() {
        page.control("TP", []).text([italic(positional.name)]).text([roman(summary(positional.description))]);
    }
    page.control("SH", ["OPTIONS"]);
    for flag in command.flags() {
        let short = flag.short.map(|short| [bold(format!("-{short}")), roman(", ")]);
        let value = value_of(flag).map(|value| [roman(" "), italic(value)]);
        let forms = short.into_iter().flatten().chain([bold(flag.long)]).chain(value.into_iter().flatten());
        page.control("TP", []).text(forms.collect::<Vec<_>>()).text([roman(summary(flag.description))]);
    }
    page.control("TP", []).text([bold("--help")]).text([roman("display usage information")]);
    if !command.info.commands.is_empty() {
        page.control("SH", ["COMMANDS"]);
    }
    for below in &command.info.commands {
        page.control("TP", []).text([bold(below.name)]).text([roman(summary(below.command.description))]);
    }
}

/// What holds for all commands stands on the page of `sfs`.
fn environment(page: &mut Roff) {
    page.control("SH", ["EXIT STATUS"]);
    page.text([roman("0 done, 1 failed, 2 wrong command line, 3 not found, 4 conflict, 5 not allowed.")]);
    page.control("SH", ["ENVIRONMENT"]);
    for (name, meaning) in
        [("SFS_HOME", "the folder of the archive, instead of ~/.sessionfs"), ("NO_COLOR", "if not empty, no colours")]
    {
        page.control("TP", []).text([bold(name)]).text([roman(meaning)]);
    }
    page.control("SH", ["FILES"]);
    page.control("TP", []).text([bold("~/.sessionfs/archive.db")]).text([roman("the archive, one SQLite database")]);
    page.control("TP", []).text([bold("~/.sessionfs/sfsd.log")]).text([roman("what the daemon did")]);
}

fn see_also(page: &mut Roff, command: &Definition, commands: &[Definition]) {
    let above = command.words.split_last().map(|(_, above)| above);
    let is_near = |other: &&Definition| {
        above == Some(&other.words[..]) || other.words.split_last().is_some_and(|(_, up)| up == &command.words[..])
    };
    page.control("SH", ["SEE ALSO"]);
    let mut line = Vec::new();
    for near in commands.iter().filter(is_near) {
        let comma = if line.is_empty() { "" } else { ", " };
        line.extend([roman(comma), bold(page_name(near)), roman("(1)")]);
    }
    page.text(line);
}

/// Text whose lines stay as they are.
fn literal(page: &mut Roff, text: &str) {
    page.control("nf", []);
    for line in text.lines() {
        page.text([roman(line)]);
    }
    page.control("fi", []);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_and_option_has_its_place_in_a_page() {
        let commands = definitions::all();
        for command in &commands {
            let page = page(command, &commands);
            for flag in command.flags() {
                assert!(page.contains(&flag.long.replace('-', "\\-")), "{}: {}", command.path(), flag.long);
            }
            for below in &command.info.commands {
                let name = below.name.replace('-', "\\-");
                assert!(page.contains(&format!("\n\\fB{name}\\fR\n")), "{}: {name}", command.path());
            }
            assert!(page.contains(".SH EXAMPLES"), "{}", command.path());
        }
    }

    #[test]
    fn text_can_not_command() {
        let mut page = Roff::new();
        literal(&mut page, ".so /etc/passwd\n'ds x\na\\fBb");
        let text = page.render();
        assert!(text.contains("\n\\&.so /etc/passwd\n") && text.contains("a\\\\fBb"), "{text}");
        assert!(!text.contains("\n'ds"), "{text}");
    }
}
