//! A tool call in this client's terms: the response item that the model sees and the display item that a person sees.

use super::items;
use crate::id::Hash;
use crate::model::action::{self, Action};
use crate::model::conversation::CallResult;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::borrow::Cow;

/// A piece of a prompt or of a result.
pub(super) enum Part {
    Text(String),
    /// A data URL.
    Image(String),
}

impl Part {
    pub(super) fn text(&self) -> Option<&str> {
        if let Part::Text(text) = self { Some(text) } else { None }
    }

    pub(super) fn input(&self) -> Value {
        match self {
            Part::Text(text) => json!({ "type": "input_text", "text": text }),
            Part::Image(url) => json!({ "type": "input_image", "image_url": url }),
        }
    }

    pub(super) fn shown(&self) -> Value {
        match self {
            Part::Text(text) => json!({ "type": "text", "text": text, "text_elements": [] }),
            Part::Image(url) => json!({ "type": "image", "image_url": url }),
        }
    }
}

/// A call in this client's terms.
pub(super) struct Call<'a> {
    name: Cow<'a, str>,
    form: Form<'a>,
    renamed: Option<String>,
}

enum Form<'a> {
    /// A JSON object; `shell` where it runs a command.
    Function { arguments: Cow<'a, str>, shell: Option<Shell> },
    /// This client's own tools that take bare text.
    FreeForm { input: String },
}

struct Shell {
    command: String,
    directory: Option<String>,
}

/// Tools of this client that take bare text instead of a JSON object.
const FREE_FORM: [&str; 2] = ["apply_patch", "exec"];

/// Names under which this client has offered a shell itself.
const OWN_SHELLS: [&str; 4] = ["exec_command", "shell", "shell_command", "local_shell"];

impl<'a> Call<'a> {
    pub(super) fn of(name: &'a str, input: &'a RawValue) -> Self {
        if FREE_FORM.contains(&name)
            && let Some(input) = free_form(input)
        {
            return Call { name: name.into(), form: Form::FreeForm { input }, renamed: None };
        }
        let shell = match action::of(name, input) {
            Action::Shell { command, directory } => Some(Shell { command, directory }),
            Action::Other => None,
        };
        match shell {
            Some(shell) if !OWN_SHELLS.contains(&name) => {
                let mut arguments = json!({ "cmd": shell.command });
                if let Some(directory) = &shell.directory {
                    arguments["workdir"] = directory.as_str().into();
                }
                let arguments = arguments.to_string().into();
                let renamed = Some(format!("{name} as exec_command"));
                Call { name: "exec_command".into(), form: Form::Function { arguments, shell: Some(shell) }, renamed }
            }
            shell => {
                let clean = tool_name(name);
                let renamed = (clean != name).then(|| format!("{name} as {clean}"));
                Call { name: clean, form: Form::Function { arguments: input.get().into(), shell }, renamed }
            }
        }
    }

    /// What the ledger says where name or form changed.
    pub(super) fn renamed(&self) -> Option<&str> {
        self.renamed.as_deref()
    }

    /// The response item, and the type of the one that answers it.
    pub(super) fn items(&self, call_id: &str) -> (Value, &'static str) {
        let name = &self.name;
        match &self.form {
            Form::Function { arguments, .. } => (
                json!({ "type": "function_call", "name": name, "arguments": arguments, "call_id": call_id }),
                "function_call_output",
            ),
            Form::FreeForm { input } => (
                json!({ "type": "custom_tool_call", "name": name, "input": input, "call_id": call_id }),
                "custom_tool_call_output",
            ),
        }
    }

    /// The display item.
    pub(super) fn shown(&self, call_id: &str, cwd: &str, result: &CallResult) -> Value {
        let status = if result.is_error { "failed" } else { "completed" };
        let duration = json!({ "secs": 0, "nanos": 0 });
        let arguments = match &self.form {
            Form::Function { shell: Some(shell), .. } => {
                let told = items::outcome(&result.content).exit_code;
                let directory = shell.directory.as_deref().filter(|dir| dir.starts_with('/')).unwrap_or(cwd);
                return json!({
                    "type": "CommandExecution", "id": call_id, "process_id": null,
                    "command": ["/bin/bash", "-lc", shell.command], "cwd": format!("file://{directory}"),
                    "parsed_cmd": [{ "type": "unknown", "cmd": shell.command }], "source": "agent", "status": status,
                    "aggregated_output": result.content, "exit_code": told.unwrap_or(i64::from(result.is_error)),
                    "duration": duration,
                });
            }
            Form::Function { arguments, .. } => serde_json::from_str(arguments).unwrap_or_default(),
            Form::FreeForm { input } => json!({ "input": input }),
        };
        json!({
            "type": "DynamicToolCall", "id": call_id, "namespace": null, "tool": self.name, "arguments": arguments,
            "status": status, "content_items": [{ "type": "inputText", "text": result.content }],
            "success": !result.is_error, "duration": duration,
        })
    }
}

/// The text of an input that was free-form: an object with nothing but `input`.
fn free_form(input: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct FreeForm {
        input: String,
    }
    serde_json::from_str::<FreeForm>(input.get()).ok().map(|free| free.input)
}

/// At most 64 characters.
pub(super) fn call_id(id: &str) -> Cow<'_, str> {
    if (1..=64).contains(&id.chars().count()) {
        id.into()
    } else {
        format!("call_{}", &Hash::of(id.as_bytes()).hex()[..32]).into()
    }
}

/// `^[a-zA-Z0-9_-]{1,64}$`
fn tool_name(name: &str) -> Cow<'_, str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if (1..=64).contains(&name.len()) && name.chars().all(fits) {
        return name.into();
    }
    let clean: String = name.chars().take(64).map(|c| if fits(c) { c } else { '_' }).collect();
    if clean.is_empty() { "tool".into() } else { clean.into() }
}
