//! A tool call in this client's terms: the response item that the model sees and the display item that a person sees.

use super::items;
use crate::id::Hash;
use crate::model::action::{self, Action, Native, Status, Step};
use crate::model::conversation::CallResult;
use crate::model::ledger::Fate;
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
    action: Action,
    /// What the ledger says of it.
    fate: (Fate, String),
}

enum Form<'a> {
    /// A JSON object.
    Function(Cow<'a, str>),
    /// This client's own tools that take bare text.
    FreeForm(String),
}

/// Tools of this client that take bare text instead of a JSON object.
const FREE_FORM: [&str; 2] = ["apply_patch", "exec"];

/// Names under which this client has offered tools itself; not all of them today.
const OWN: [&str; 7] = ["apply_patch", "exec", "exec_command", "shell", "shell_command", "local_shell", "update_plan"];

impl<'a> Call<'a> {
    pub(super) fn of(name: &'a str, input: &'a RawValue) -> Self {
        let meaning = action::of(name, input);
        if let Some(native) = native(&meaning.action).filter(|_| !OWN.contains(&name)) {
            let fate = native.entry(name, &meaning);
            let form = free_form(native.name, &native.input)
                .unwrap_or_else(|| Form::Function(String::from(Box::<str>::from(native.input)).into()));
            return Call { name: native.name.into(), form, action: meaning.action, fate };
        }
        let clean = tool_name(name);
        let fate =
            if clean == name { (Fate::Kept, String::new()) } else { (Fate::Mapped, format!("{name} as {clean}")) };
        let form = free_form(name, input).unwrap_or_else(|| Form::Function(input.get().into()));
        Call { name: clean, form, action: meaning.action, fate }
    }

    /// What the ledger says of the call.
    pub(super) fn fate(&self) -> (Fate, &str) {
        (self.fate.0, &self.fate.1)
    }

    /// The response item, and the type of the one that answers it.
    pub(super) fn items(&self, call_id: &str) -> (Value, &'static str) {
        let name = &self.name;
        match &self.form {
            Form::Function(arguments) => (
                json!({ "type": "function_call", "name": name, "arguments": arguments, "call_id": call_id }),
                "function_call_output",
            ),
            Form::FreeForm(input) => (
                json!({ "type": "custom_tool_call", "name": name, "input": input, "call_id": call_id }),
                "custom_tool_call_output",
            ),
        }
    }

    /// The display item.
    pub(super) fn shown(&self, call_id: &str, cwd: &str, result: &CallResult) -> Value {
        let status = if result.is_error { "failed" } else { "completed" };
        let duration = json!({ "secs": 0, "nanos": 0 });
        match &self.action {
            Action::Shell { command, directory, .. } => {
                let told = items::outcome(&result.content).exit_code;
                let directory = directory.as_deref().filter(|dir| dir.starts_with('/')).unwrap_or(cwd);
                return json!({
                    "type": "CommandExecution", "id": call_id, "process_id": null,
                    "command": ["/bin/bash", "-lc", command], "cwd": format!("file://{directory}"),
                    "parsed_cmd": [{ "type": "unknown", "cmd": command }], "source": "agent", "status": status,
                    "aggregated_output": result.content, "exit_code": told.unwrap_or(i64::from(result.is_error)),
                    "duration": duration,
                });
            }
            Action::Write { path, content } if self.name == "apply_patch" && !result.is_error => {
                let path = std::path::Path::new(cwd).join(path);
                return json!({
                    "type": "FileChange", "id": call_id, "status": status, "stdout": result.content, "stderr": "",
                    "changes": { path.to_string_lossy(): { "type": "add", "content": content } },
                });
            }
            _ => {}
        }
        let arguments = match &self.form {
            Form::Function(arguments) => serde_json::from_str(arguments).unwrap_or_default(),
            Form::FreeForm(input) => json!({ "input": input }),
        };
        json!({
            "type": "DynamicToolCall", "id": call_id, "namespace": null, "tool": self.name, "arguments": arguments,
            "status": status, "content_items": [{ "type": "inputText", "text": result.content }],
            "success": !result.is_error, "duration": duration,
        })
    }
}

/// The call that does the same here; `None` where no tool of this client does. It reads and searches with a shell, which
/// is not the same, and what it edits it names by whole lines, which a replaced text need not be.
fn native(action: &Action) -> Option<Native> {
    match action {
        Action::Shell { command, directory, description, in_background: false } => Some(
            Native::of("exec_command", [("cmd", command.as_str().into()), ("workdir", directory.clone().into())])
                .without("description", description.as_ref()),
        ),
        Action::Write { path, content } => {
            Some(Native::of("apply_patch", [("input", action::adding(path, content)?.into())]))
        }
        Action::Patch(patch) => Some(Native::of("apply_patch", [("input", patch.as_str().into())])),
        Action::Todo { steps, explanation } => {
            let plan = steps.iter().map(step).collect::<Option<Vec<Value>>>()?;
            let arguments = [("plan", plan.into()), ("explanation", explanation.clone().into())];
            let active = steps.iter().find(|step| step.active.is_some());
            Some(Native::of("update_plan", arguments).without("activeForm", active))
        }
        _ => None,
    }
}

fn step(step: &Step) -> Option<Value> {
    let known = matches!(step.status, Status::Pending | Status::InProgress | Status::Completed);
    known.then(|| json!({ "step": step.text, "status": step.status.as_str() }))
}

/// The text of an input that was free-form: an object with nothing but `input`.
fn free_form<'a>(name: &str, input: &RawValue) -> Option<Form<'a>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct FreeForm {
        input: String,
    }
    let text = || serde_json::from_str::<FreeForm>(input.get()).ok();
    FREE_FORM.contains(&name).then(text)?.map(|free| Form::FreeForm(free.input))
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
