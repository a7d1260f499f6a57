//! What a tool call does, beside its verbatim name and input, so that a writer can use the target's own tool for it.

use serde::Deserialize;
use serde_json::value::RawValue;

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

/// The names under which the known tools offer their models a shell, in lower case.
const SHELLS: [&str; 11] = [
    "bash",
    "exec_command",
    "shell",
    "shell_command",
    "container.exec",
    "local_shell",
    "local_shell_call",
    "run_shell_command",
    "run_terminal_cmd",
    "run_terminal_command",
    "run_terminal_command_v2",
];

/// The fields by which these name the command line and the folder.
#[derive(Deserialize)]
struct ShellInput {
    #[serde(alias = "cmd")]
    command: Option<CommandLine>,
    #[serde(alias = "working_directory", alias = "directory", alias = "dir_path", alias = "cwd")]
    workdir: Option<String>,
    /// `local_shell_call` nests the two.
    action: Option<Box<ShellInput>>,
}

/// A command line as a text, or as a list of words.
#[derive(Deserialize)]
#[serde(untagged)]
enum CommandLine {
    Text(String),
    Words(Vec<String>),
}

/// What the call `name(input)` does. An input that does not have the shape its name promises is [`Action::Other`].
pub fn of(name: &str, input: &RawValue) -> Action {
    if !SHELLS.contains(&name.to_ascii_lowercase().as_str()) {
        return Action::Other;
    }
    let Ok(input) = serde_json::from_str::<ShellInput>(input.get()) else { return Action::Other };
    let ShellInput { command, workdir: directory, action } = input;
    let (command, directory) = action.map_or((command, directory), |nested| (nested.command, nested.workdir));
    match command {
        Some(CommandLine::Text(command)) => Action::Shell { command, directory },
        Some(CommandLine::Words(words)) if !words.is_empty() => {
            Action::Shell { command: command_line(&words), directory }
        }
        _ => Action::Other,
    }
}

/// The line that a person would type: the script of `["bash", "-lc", script]`, else the words, quoted where needed.
fn command_line(words: &[String]) -> String {
    if let [program, flag, script] = words
        && matches!(program.rsplit('/').next(), Some("bash" | "sh" | "zsh"))
        && matches!(flag.as_str(), "-lc" | "-c")
    {
        return script.clone();
    }
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// `word` so that a POSIX shell reads it as one word.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(name: &str, input: &str) -> Option<(String, Option<String>)> {
        match of(name, &RawValue::from_string(input.to_owned()).unwrap()) {
            Action::Shell { command, directory } => Some((command, directory)),
            Action::Other => None,
        }
    }

    #[test]
    fn every_known_shell_is_recognised() {
        let plain = |command: &str| Some((command.to_owned(), None));
        let there = |command: &str| Some((command.to_owned(), Some("/w".to_owned())));
        assert_eq!(shell("Bash", r#"{"command":"ls -l","description":"list"}"#), plain("ls -l"));
        assert_eq!(shell("exec_command", r#"{"cmd":"ls","workdir":"/w","yield_time_ms":1}"#), there("ls"));
        assert_eq!(shell("shell", r#"{"command":["bash","-lc","a && b"],"workdir":"/w"}"#), there("a && b"));
        assert_eq!(shell("shell", r#"{"command":["/bin/zsh","-lc","a | b"]}"#), plain("a | b"));
        assert_eq!(shell("shell", r#"{"command":["echo","it's","a b",""]}"#), plain(r"echo 'it'\''s' 'a b' ''"));
        let nested = r#"{"action":{"type":"exec","command":["ls"],"working_directory":"/w"}}"#;
        assert_eq!(shell("local_shell_call", nested), there("ls"));
        assert_eq!(shell("run_shell_command", r#"{"command":"ls","directory":"/w"}"#), there("ls"));
        assert_eq!(shell("run_shell_command", r#"{"command":"ls","dir_path":"/w"}"#), there("ls"));
    }

    #[test]
    fn what_does_not_look_like_a_shell_call_is_left_alone() {
        for (name, input) in [
            ("Read", r#"{"command":"ls"}"#),
            ("Bash", r#"{"cmdline":"ls"}"#),
            ("Bash", "\"ls\""),
            ("shell", r#"{"command":[]}"#),
            ("shell", r#"{"command":[1]}"#),
        ] {
            assert_eq!(shell(name, input), None, "{name} {input}");
        }
    }
}
