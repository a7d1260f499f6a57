//! What a model received, in one form for all APIs, without the text that the clients' harnesses add.
//!
//! Texts of one role with nothing of the conversation between them are joined by a line feed, because one side may send
//! in one message what the other sends in two.

use serde_json::Value;
use sha2::{Digest, Sha256};

/// What the model received before our own prompt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// What the person wrote, in order; consecutive texts joined.
    pub user_texts: Vec<String>,
    /// What the model wrote, in order; consecutive texts joined.
    pub assistant_texts: Vec<String>,
    /// Tool calls in order, each with its result.
    pub calls: Vec<Call>,
    /// The person's images: the first 16 hexadecimal digits of the SHA-256 of their base64 text, else their URL.
    pub images: Vec<String>,
    /// The order of it all: `u`ser text, `a`ssistant text, tool `c`all.
    pub shape: String,
    /// What the API would have refused.
    pub rejections: Vec<String>,
    /// Calls without a result and results without a call.
    pub orphans: Vec<String>,
    /// The client's exit status; none if it had to be killed.
    pub exit: Option<i32>,
    /// What the client wrote to stderr.
    pub stderr: String,
    /// Requests to the model that carried a conversation.
    pub requests: usize,
}

/// A tool call and its result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// The tool's name.
    pub name: String,
    /// The parsed arguments; `{"input": text}` of a free-form call.
    pub input: Value,
    /// The result's texts, joined by line feeds.
    pub result: String,
    /// The result's images.
    pub images: usize,
}

/// One thing in a request, in the order of the request.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Of the person.
    User(String),
    /// Of the model.
    Assistant(String),
    /// An image's URL or base64 text.
    Image(String),
    /// A tool call.
    Call { id: String, name: String, input: Value },
    /// Its result.
    Result { id: String, text: String, images: usize },
}

impl Received {
    /// Reads the parts of a request whose last text of the user is `prompt`.
    pub fn read(parts: Vec<Part>, prompt: &str) -> Received {
        let parts: Vec<Part> = parts.into_iter().filter_map(without_harness).collect();
        let probe = parts.iter().rposition(|part| matches!(part, Part::User(text) if text.trim() == prompt));
        let mut received = Received::default();
        let mut open = Vec::new();
        for part in parts.into_iter().take(probe.unwrap_or(usize::MAX)) {
            received.add(part, &mut open);
        }
        for (id, call) in open {
            received.orphans.push(format!("call {id} ({}) has no result", received.calls[call].name));
        }
        received
    }

    /// Adds a part; `open` are the calls that wait for a result, by id and position.
    fn add(&mut self, part: Part, open: &mut Vec<(String, usize)>) {
        match part {
            Part::User(text) => join(&mut self.user_texts, &mut self.shape, 'u', text),
            Part::Assistant(text) => join(&mut self.assistant_texts, &mut self.shape, 'a', text),
            Part::Image(source) => self.images.push(fingerprint(&source)),
            Part::Call { id, name, input } => {
                open.push((id, self.calls.len()));
                self.calls.push(Call { name, input, ..Call::default() });
                self.shape.push('c');
            }
            Part::Result { id, text, images } => match open.iter().position(|(call, _)| *call == id) {
                Some(found) => {
                    let call = &mut self.calls[open.remove(found).1];
                    (call.result, call.images) = (text, images);
                }
                None => self.orphans.push(format!("result {id} has no call")),
            },
        }
    }
}

/// A result's texts as one: each begins on a line of its own.
pub fn joined_parts(texts: &[&str]) -> String {
    texts.iter().fold(String::new(), |mut joined, text| {
        if !joined.is_empty() && !joined.ends_with('\n') {
            joined.push('\n');
        }
        joined + text
    })
}

/// The command line of a shell call, whichever tool's.
pub fn shell_command(call: &Call) -> Option<String> {
    let argument = match call.name.as_str() {
        "Bash"
        | "shell"
        | "local_shell"
        | "shell_command"
        | "run_shell_command"
        | "run_terminal_cmd"
        | "run_terminal_command_v2" => call.input.get("command")?,
        "exec_command" => call.input.get("cmd")?,
        _ => return None,
    };
    match argument {
        Value::String(line) => Some(line.clone()),
        Value::Array(words) => {
            let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
            match words[..] {
                ["bash" | "/bin/bash" | "sh" | "/bin/sh" | "zsh" | "/bin/zsh", "-lc" | "-c", line] => Some(line.into()),
                _ => Some(words.join(" ")),
            }
        }
        _ => None,
    }
}

/// What a call does, in the same words whichever tool does it; by name and input where only one tool does it.
pub fn deed(call: &Call) -> String {
    let text = |name: &str| call.input[name].as_str().unwrap_or_default();
    let number = |name: &str| call.input[name].as_u64();
    let steps = |list: &str, words: &str| {
        let steps = call.input[list].as_array().into_iter().flatten();
        let steps: Vec<String> = steps.map(|step| format!("{} {}", step["status"], step[words])).collect();
        format!("plan {}", steps.join(", "))
    };
    match call.name.as_str() {
        "Read" => {
            let first = number("offset").unwrap_or(1).max(1);
            format!("read {} {first} {:?}", text("file_path"), number("limit").map(|lines| first + lines - 1))
        }
        "read_file" | "read_file_v2" => {
            let path =
                ["file_path", "target_file", "targetFile", "path"].iter().map(|name| text(name)).collect::<String>();
            let first = number("start_line").or(number("start_line_one_indexed")).or(number("offset")).unwrap_or(1);
            let last = number("end_line").or(number("end_line_one_indexed_inclusive"));
            let last = last.or(number("limit").map(|lines| first + lines - 1));
            format!("read {path} {first} {last:?}")
        }
        "Glob" | "glob" | "glob_file_search" => {
            let path = ["path", "dir_path", "target_directory"].iter().map(|name| text(name)).collect::<String>();
            format!("find {}{} in {path:?}", text("pattern"), text("glob_pattern"))
        }
        "Write" | "write_file" => format!("write {} {}", text("file_path"), text("content")),
        "Edit" | "replace" => {
            let all = ["replace_all", "allow_multiple"].iter().any(|name| call.input[*name] == true);
            format!("edit {} {} → {} {all}", text("file_path"), text("old_string"), text("new_string"))
        }
        "apply_patch" => patched(text("input")).unwrap_or_else(|| format!("apply_patch {}", call.input)),
        "TodoWrite" => steps("todos", "content"),
        "write_todos" => steps("todos", "description"),
        "update_plan" => steps("plan", "step"),
        // Claude Code 2.1.330 sends its own old name of a tool as the new one.
        "Task" => format!("Agent {}", call.input),
        name => match shell_command(call) {
            None => format!("{name} {}", call.input),
            Some(command) => {
                let folder = ["workdir", "dir_path"].iter().find_map(|name| call.input[*name].as_str());
                folder.map_or(command.clone(), |folder| format!("cd {folder} && {command}"))
            }
        },
    }
}

/// A patch of one file in one place, in the words of tools that write and edit.
fn patched(text: &str) -> Option<String> {
    let body = text.trim().strip_prefix("*** Begin Patch\n")?.strip_suffix("\n*** End Patch")?;
    let (head, lines) = body.split_once('\n')?;
    let side = |marks: &[char]| {
        let lines = lines.lines().filter(|line| *line != "@@").filter_map(|line| line.strip_prefix(marks));
        lines.fold(String::new(), |text, line| text + line + "\n")
    };
    if lines.lines().skip(1).any(|line| line.starts_with(['*', '@'])) {
        return None;
    }
    if let Some(path) = head.strip_prefix("*** Add File: ") {
        return Some(format!("write {path} {}", side(&['+'])));
    }
    let path = head.strip_prefix("*** Update File: ").filter(|_| !lines.starts_with("@@ "))?;
    Some(format!("edit {path} {} → {} false", side(&[' ', '-']), side(&[' ', '+'])))
}

fn join(texts: &mut Vec<String>, shape: &mut String, letter: char, text: String) {
    match texts.last_mut() {
        Some(last) if shape.ends_with(letter) => {
            last.push('\n');
            last.push_str(&text);
        }
        _ => {
            texts.push(text);
            shape.push(letter);
        }
    }
}

/// How an image is told from others; see [`Received::images`].
pub fn fingerprint(source: &str) -> String {
    if source.starts_with("http") {
        return source.to_owned();
    }
    let base64 = source.split_once(";base64,").map_or(source, |(_, data)| data);
    let hash = Sha256::digest(base64);
    format!("{:016x}", hash.iter().take(8).fold(0, |bits: u64, byte| bits << 8 | u64::from(*byte)))
}

/// The part as far as it is conversation: none where a harness wrote all of it.
fn without_harness(part: Part) -> Option<Part> {
    match part {
        Part::User(text) => conversation(&text).map(Part::User),
        Part::Assistant(text) if text.trim().is_empty() => None,
        part => Some(part),
    }
}

/// What a user's text starts with when a harness wrote it.
const HARNESS: &[&str] = &[
    // Claude Code
    "<command-name>",
    "<command-message>",
    "<command-args>",
    "<local-command-stdout>",
    "<local-command-stderr>",
    "<local-command-caveat>",
    "Caveat: The messages below were generated by the user while running local commands",
    "<bash-input>",
    "<bash-stdout>",
    "<bash-stderr>",
    "<task-notification>",
    "[Request interrupted by user",
    "[Image: source: ",
    // Codex
    "<environment_context>",
    "<user_instructions>",
    "# AGENTS.md instructions",
    "<turn_aborted>",
    "<skills_instructions>",
    "<permissions instructions>",
    "<skill>",
    "<model_switch>",
    "<subagent_notification>",
    "<multi_agent",
    "<collaboration_mode>",
    "<user_shell_command>",
    "<goal_context>",
    "<image ",
    "</image>",
    // Gemini CLI
    "<session_context>",
    "<hook_context>",
];

/// A user's text without what a harness put in, if anything is left.
fn conversation(text: &str) -> Option<String> {
    let text = without_reminders(text);
    let text = text.trim();
    let harness = text.is_empty() || HARNESS.iter().any(|start| text.starts_with(start));
    (!harness).then(|| text.to_owned())
}

/// Cuts every `<system-reminder>` out; one that is not closed reaches to the end.
fn without_reminders(text: &str) -> String {
    const OPEN: &str = "<system-reminder>";
    const CLOSE: &str = "</system-reminder>";
    let mut rest = text;
    let mut kept = String::new();
    while let Some(start) = rest.find(OPEN) {
        kept.push_str(&rest[..start]);
        rest = rest[start..].split_once(CLOSE).map_or("", |(_, after)| after);
    }
    kept + rest
}
