//! Command lines.

use super::Action;
use super::arguments::{Arguments, NotThat};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The names under which the known tools offer their models a shell, in lower case.
pub(super) const NAMES: [&str; 11] = [
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

/// How the command was to be run: limits, permissions, the terminal.
const ASIDES: [&str; 18] = [
    "timeout",
    "timeout_ms",
    "yield_time_ms",
    "delay_ms",
    "max_output_tokens",
    "tty",
    "shell",
    "login",
    "type",
    "options",
    "justification",
    "prefix_rule",
    "sandbox_permissions",
    "additional_permissions",
    "with_escalated_permissions",
    "dangerouslyDisableSandbox",
    "require_user_approval",
    "requireUserApproval",
];

/// A command line as a text, or as a list of words.
#[derive(Deserialize)]
#[serde(untagged)]
enum CommandLine {
    Text(String),
    Words(Vec<String>),
}

pub(super) fn parse(input: &mut Arguments) -> Result<Action, NotThat> {
    // `local_shell_call` nests them.
    input.unwrap("action")?;
    input.asides(&ASIDES);
    if input.take::<Map<String, Value>>(&["env"])?.is_some_and(|variables| !variables.is_empty()) {
        return Err(NotThat);
    }
    let command = match input.need(&["command", "cmd"])? {
        CommandLine::Text(command) => command,
        CommandLine::Words(words) if words.is_empty() => return Err(NotThat),
        CommandLine::Words(words) => command_line(&words),
    };
    Ok(Action::Shell {
        command,
        directory: input.take(&["workdir", "working_directory", "directory", "dir_path", "cwd"])?,
        description: input.take(&["description", "explanation"])?,
        in_background: input.take(&["run_in_background", "is_background"])?.unwrap_or_default(),
    })
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
