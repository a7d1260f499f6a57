//! `sfs completions`: what a shell needs to complete our command line, written from the commands' own definitions.

use super::Context;
use super::definitions::{self, Definition, summary, value_of};
use crate::error::{Error, Result};
use crate::{settings, tools};
use argh::{ArgsInfo, FromArgs};
use std::fmt::Write as _;

/// Print what makes your shell complete commands, options and session ids
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "completions")]
#[argh(example = "sfs completions bash
sfs completions zsh
sfs completions fish")]
#[argh(note = "bash: add  source <(sfs completions bash)  to ~/.bashrc
zsh:  add  source <(sfs completions zsh)  to ~/.zshrc, behind compinit
fish: sfs completions fish > ~/.config/fish/completions/sfs.fish")]
pub(super) struct Completions {
    /// the shell: bash, zsh or fish
    #[argh(positional)]
    shell: String,
}

const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

/// What lists session ids cheaply: the newest ones, from the archive alone.
const SESSIONS: &str = "sfs list -q -n 100 2>/dev/null";
/// The same of the deleted ones.
const DELETED: &str = "sfs list --deleted -q -n 100 2>/dev/null";

impl Completions {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let commands = definitions::all();
        let script = match self.shell.as_str() {
            "bash" => bash(&commands),
            "zsh" => zsh(&commands),
            "fish" => fish(&commands),
            other => {
                return Err(Error::usage(format!("no completions for {other:?}"))
                    .hint(format!("shells: {}", SHELLS.join(", "))));
            }
        };
        context.ui.line(script.trim_end())
    }
}

/// What may stand in a place of the command line.
enum Values {
    /// Session ids, by the command that lists them.
    Sessions(&'static str),
    Words(Vec<String>),
    /// A file, or what we can't guess: shells then offer files.
    Other,
}

/// By the name of an option or of an argument: most mean the same in all commands.
fn values(command: &Definition, name: &str) -> Values {
    let words = |words: &[&str]| Values::Words(words.iter().map(|word| (*word).to_owned()).collect());
    let tools = tools::ALL.iter().filter(|tool| name != "--in" || tool.writer().is_some());
    match name {
        "ids" if command.words == ["undelete"] => Values::Sessions(DELETED),
        "id" | "ids" => Values::Sessions(SESSIONS),
        "--tool" | "--in" => words(&tools.map(|tool| tool.id()).collect::<Vec<_>>()),
        "--from" if command.words == ["import"] => words(&tools.map(|tool| tool.id()).collect::<Vec<_>>()),
        "shell" => words(&SHELLS),
        "key" => Values::Words(settings::keys().into_iter().map(|key| key.name).collect()),
        _ => Values::Other,
    }
}

/// Every option with what stands behind it, in its two forms.
fn valued(command: &Definition) -> impl Iterator<Item = (Vec<String>, Values)> {
    let flags = command.flags().filter(|flag| value_of(flag).is_some());
    flags.map(|flag| {
        let short = flag.short.map(|short| format!("-{short}"));
        (std::iter::once(flag.long.to_owned()).chain(short).collect(), values(command, flag.long))
    })
}

fn options(command: &Definition) -> Vec<(String, String)> {
    let own = command.flags().flat_map(|flag| {
        let short = flag.short.map(|short| format!("-{short}"));
        let forms = std::iter::once(flag.long.to_owned()).chain(short);
        forms.map(|form| (form, summary(flag.description)))
    });
    let version = command.words.is_empty().then(|| ("--version".to_owned(), "print the version".to_owned()));
    own.chain(version).chain([("--help".to_owned(), "display usage information".to_owned())]).collect()
}

fn subcommands(command: &Definition) -> Vec<(String, String)> {
    let of = |below: &argh::SubCommandInfo| (below.name.to_owned(), summary(below.command.description));
    command.info.commands.iter().map(of).collect()
}

fn names(pairs: &[(String, String)]) -> String {
    pairs.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(" ")
}

/// A shell pattern of the command lines that lead to a command: `" daemon start"`, each word with a blank before it.
fn patterns(commands: &[Definition]) -> String {
    let below = commands.iter().filter(|command| !command.words.is_empty());
    below.map(|command| format!("' {}'", command.path())).collect::<Vec<_>>().join(" | ")
}

fn key(command: &Definition) -> String {
    command.words.iter().fold(String::new(), |key, word| key + " " + word)
}

fn bash(commands: &[Definition]) -> String {
    let mut script = format!(
        r#"# bash completion of sfs {version}, written by `sfs completions bash`
_sfs() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} command= words= options= i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "$command ${{COMP_WORDS[i]}}" in
            {patterns}) command="$command ${{COMP_WORDS[i]}}" ;;
        esac
    done
    COMPREPLY=()
    case "$command $prev" in
"#,
        version = env!("CARGO_PKG_VERSION"),
        patterns = patterns(commands)
    );
    for command in commands {
        for (forms, values) in valued(command) {
            let patterns: Vec<String> = forms.iter().map(|form| format!("'{} {form}'", key(command))).collect();
            let reply = match values {
                Values::Words(words) => format!("COMPREPLY=($(compgen -W '{}' -- \"$cur\")); return", words.join(" ")),
                Values::Sessions(_) | Values::Other => "return".to_owned(),
            };
            let _ = writeln!(script, "        {}) {reply} ;;", patterns.join(" | "));
        }
    }
    script.push_str("    esac\n    case \"$command\" in\n");
    for command in commands {
        let mut words = names(&subcommands(command));
        for positional in command.positionals() {
            match values(command, positional.name) {
                Values::Sessions(list) => words.extend(["last $(", list, ")"]),
                Values::Words(more) => words.push_str(&more.join(" ")),
                Values::Other => {}
            }
        }
        let options = names(&options(command));
        let _ = writeln!(script, "        '{}') words=\"{words}\" options='{options}' ;;", key(command));
    }
    script.push_str(
        r#"    esac
    if [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$options" -- "$cur"))
    else
        COMPREPLY=($(compgen -W "$words" -- "$cur"))
    fi
}
complete -o default -F _sfs sfs sessionfs
"#,
    );
    script
}

/// `text` as one word of zsh or, with its own signs, fish.
fn quoted(text: &str, shell: &str) -> String {
    match shell {
        "fish" => format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'")),
        _ => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

fn zsh(commands: &[Definition]) -> String {
    let described = |pairs: Vec<(String, String)>| {
        let word = |(name, about): (String, String)| quoted(&format!("{}:{about}", name.replace(':', r"\:")), "zsh");
        pairs.into_iter().map(word).collect::<Vec<_>>().join(" ")
    };
    let mut script = format!(
        r#"#compdef sfs sessionfs
# zsh completion of sfs {version}, written by `sfs completions zsh`
_sfs() {{
    local command= word
    local -a names flags
    for word in ${{words[2,CURRENT-1]}}; do
        case "$command $word" in
            ({patterns}) command="$command $word" ;;
        esac
    done
    case "$command ${{words[CURRENT-1]}}" in
"#,
        version = env!("CARGO_PKG_VERSION"),
        patterns = patterns(commands)
    );
    for command in commands {
        for (forms, values) in valued(command) {
            let patterns: Vec<String> = forms.iter().map(|form| format!("'{} {form}'", key(command))).collect();
            let reply = match values {
                Values::Words(words) => format!("compadd -- {}", words.join(" ")),
                Values::Sessions(_) | Values::Other => "_files".to_owned(),
            };
            let _ = writeln!(script, "        ({}) {reply}; return ;;", patterns.join(" | "));
        }
    }
    script.push_str("    esac\n    case \"$command\" in\n");
    for command in commands {
        let (names, flags) = (described(subcommands(command)), described(options(command)));
        let _ = writeln!(script, "        ('{}') names=({names}) flags=({flags}) ;;", key(command));
    }
    script.push_str(
        "    esac\n    if [[ $PREFIX == -* ]]; then _describe -o option flags; return; fi\n    \
         (( $#names )) && { _describe command names; return; }\n    case \"$command\" in\n",
    );
    for command in commands {
        for positional in command.positionals() {
            let reply = match values(command, positional.name) {
                Values::Sessions(list) => format!("compadd -- last ${{(f)\"$({list})\"}}"),
                Values::Words(words) => format!("compadd -- {}", words.join(" ")),
                Values::Other => "_files".to_owned(),
            };
            let _ = writeln!(script, "        ('{}') {reply} ;;", key(command));
        }
    }
    script.push_str(
        "    esac\n}\nif [[ ${funcstack[1]-} == _sfs ]]; then _sfs \"$@\"; else compdef _sfs sfs sessionfs; fi\n",
    );
    script
}

fn fish(commands: &[Definition]) -> String {
    let paths: Vec<String> =
        commands.iter().skip(1).map(|command| quoted(&format!(" {}", command.path()), "fish")).collect();
    let mut script = format!(
        "# fish completion of sfs {version}, written by `sfs completions fish`
function __sfs_at
    set -l command ''
    for word in (commandline -opc)
        if contains -- \"$command $word\" {paths}
            set command \"$command $word\"
        end
    end
    test \"$command\" = \"$argv[1]\"
end
complete -c sfs -f
",
        version = env!("CARGO_PKG_VERSION"),
        paths = paths.join(" ")
    );
    let source = |values: Values| match values {
        Values::Sessions(list) => format!(" -x -a 'last ({list})'"),
        Values::Words(words) => format!(" -x -a '{}'", words.join(" ")),
        Values::Other => " -r -F".to_owned(),
    };
    for command in commands {
        let at = format!("complete -c sfs -n {}", quoted(&format!("__sfs_at '{}'", key(command)), "fish"));
        for (name, about) in subcommands(command) {
            let _ = writeln!(script, "{at} -a {name} -d {}", quoted(&about, "fish"));
        }
        for flag in command.flags() {
            let short = flag.short.map(|short| format!(" -s {short}")).unwrap_or_default();
            let value = value_of(flag).map(|_| source(values(command, flag.long))).unwrap_or_default();
            let about = quoted(&summary(flag.description), "fish");
            let _ = writeln!(script, "{at} -l {}{short}{value} -d {about}", flag.long.trim_start_matches('-'));
        }
        let _ = writeln!(script, "{at} -l help -d 'display usage information'");
        for positional in command.positionals() {
            let value = source(values(command, positional.name)).replace(" -r -F", " -F").replace(" -x", " -f");
            let _ = writeln!(script, "{at}{value}");
        }
    }
    script.push_str(
        "complete -c sfs -n \"__sfs_at ''\" -l version -d 'print the version'\ncomplete -c sessionfs -w sfs\n",
    );
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_and_option_is_completed_in_every_shell() {
        let commands = definitions::all();
        let (bash, zsh, fish) = (bash(&commands), zsh(&commands), fish(&commands));
        let line_of = |script: &str, start: &str| {
            let line = script.lines().find(|line| line.trim_start().starts_with(start) && line.contains("--help"));
            line.unwrap_or_else(|| panic!("no line {start:?}")).to_owned()
        };
        for command in &commands {
            let key = key(command);
            let (in_bash, in_zsh) = (line_of(&bash, &format!("'{key}')")), line_of(&zsh, &format!("('{key}')")));
            let in_fish: Vec<&str> =
                fish.lines().filter(|line| line.contains(&format!("__sfs_at \\'{key}\\''"))).collect();
            for flag in command.flags() {
                let long = flag.long.trim_start_matches('-');
                assert!(in_bash.contains(&format!("--{long} ")), "{key} --{long}: {in_bash}");
                assert!(in_zsh.contains(&format!("'--{long}:")), "{key} --{long}: {in_zsh}");
                assert!(in_fish.iter().any(|line| line.contains(&format!(" -l {long} "))), "{key} --{long}");
            }
            for below in &command.info.commands {
                assert!(
                    in_bash.contains(below.name) && in_zsh.contains(&format!("'{}:", below.name)),
                    "{}",
                    below.name
                );
                assert!(in_fish.iter().any(|line| line.contains(&format!(" -a {} ", below.name))), "{}", below.name);
            }
        }
        assert!(commands.len() > 20, "only {} commands", commands.len());
    }

    #[test]
    fn words_of_a_description_are_only_words() {
        assert_eq!(quoted("it's $(x) `y` \\ z", "zsh"), r"'it'\''s $(x) `y` \ z'");
        assert_eq!(quoted("it's $(x) `y` \\ z", "fish"), r"'it\'s $(x) `y` \\ z'");
    }
}
