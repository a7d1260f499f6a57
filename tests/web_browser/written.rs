//! Sessions written by hand, in the form of Claude Code's files.

use crate::support::home::TestHome;
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;

/// A session that is being written.
pub struct Story {
    id: String,
    project: String,
    model: String,
    begins: jiff::Timestamp,
    lines: Vec<Value>,
    file: PathBuf,
}

impl Story {
    /// An empty one, number `number`, of a project in `/home/dev/work`, that began so many hours ago.
    pub fn new(home: &TestHome, number: u32, project: &str, hours_ago: i64) -> Story {
        let id = format!("33333333-2222-4333-8444-{number:012}");
        let folder: String = project.chars().filter(char::is_ascii_alphanumeric).take(20).collect();
        Story {
            file: home
                .path()
                .join(".claude/projects")
                .join(format!("-home-dev-work-{folder}"))
                .join(format!("{id}.jsonl")),
            id,
            project: format!("/home/dev/work/{project}"),
            model: "claude-opus-4-7".to_owned(),
            begins: jiff::Timestamp::now() - jiff::SignedDuration::from_hours(hours_ago),
            lines: Vec::new(),
        }
    }

    pub fn model(mut self, model: &str) -> Story {
        model.clone_into(&mut self.model);
        self
    }

    fn line(mut self, kind: &str, message: &Value) -> Story {
        let uuid = |number: usize| format!("44444444-{}-4000-8000-{number:012}", &self.id[self.id.len() - 4..]);
        let number = self.lines.len();
        let at = self.begins + jiff::SignedDuration::from_secs(8 * number as i64);
        let line = json!({"parentUuid": number.checked_sub(1).map(uuid), "isSidechain": false, "userType": "external",
            "cwd": self.project, "sessionId": self.id, "version": "2.1.330", "gitBranch": "main", "type": kind,
            "message": message, "uuid": uuid(number), "timestamp": at.to_string()});
        self.lines.push(line);
        self
    }

    /// What the person asks.
    pub fn prompt(self, text: &str) -> Story {
        self.line("user", &json!({"role": "user", "content": text}))
    }

    /// What the model answers, block by block.
    pub fn answer(self, blocks: &Value) -> Story {
        let number = self.lines.len();
        let usage = json!({"input_tokens": 1200 + 90 * number, "cache_read_input_tokens": 14_000 + 1100 * number,
            "output_tokens": 240 + 17 * number});
        let message = json!({"id": format!("msg_{}_{number}", &self.id[self.id.len() - 6..]), "role": "assistant", "model": self.model,
            "content": blocks, "usage": usage, "stop_reason": "end_turn", "type": "message"});
        self.line("assistant", &message)
    }

    /// What the model answers in words.
    pub fn say(self, text: &str) -> Story {
        self.answer(&json!([{"type": "text", "text": text}]))
    }

    /// A call of a tool, and what came of it.
    pub fn call(self, name: &str, input: &Value, result: &str) -> Story {
        let id = format!("toolu_{}_{}", &self.id[self.id.len() - 6..], self.lines.len());
        self.answer(&json!([{"type": "tool_use", "id": id, "name": name, "input": input}]))
            .result(&json!([{"type": "tool_result", "tool_use_id": id, "content": result}]))
    }

    /// What tools answered.
    pub fn result(self, blocks: &Value) -> Story {
        self.line("user", &json!({"role": "user", "content": blocks}))
    }

    /// Writes it to its file, whole.
    pub fn write(self) -> Story {
        crate::support::written::write(&self.file, self.text(0));
        self
    }

    /// Appends what came after the first `known` lines.
    pub fn append(&self, known: usize) {
        let mut file = std::fs::OpenOptions::new().append(true).open(&self.file).unwrap();
        file.write_all(self.text(known).as_bytes()).unwrap();
    }

    /// How many lines it has.
    pub fn line_count(&self) -> usize {
        self.lines.len()
    }

    fn text(&self, from: usize) -> String {
        self.lines[from..].iter().fold(String::new(), |text, line| text + &line.to_string() + "\n")
    }
}

/// A session as it happens every day: a question, commands, an edit, a plan, an answer.
pub fn everyday(home: &TestHome) -> Story {
    Story::new(home, 1, "courier", 2)
        .prompt("The upload gives up after the first 503. Retry with a growing pause, and honour `Retry-After`.")
        .answer(&json!([
            {"type": "thinking", "thinking": "The client sleeps a second and asks again once. A growing pause needs a cap.", "signature": "s"},
            {"type": "text", "text": "I will look at how it retries today, then change it:\n\n1. a pause that **doubles**, with a cap of 30 s,\n2. `Retry-After` wins where the server sends it,\n3. a test with a server that is busy twice."},
        ]))
        .call("TodoWrite", &json!({"todos": [
            {"content": "Find where it retries", "status": "completed", "activeForm": "x"},
            {"content": "Let the pause grow", "status": "in_progress", "activeForm": "x"},
            {"content": "Test it against a busy server", "status": "pending", "activeForm": "x"}]}), "Todos have been modified successfully.")
        .call("Bash", &json!({"command": "rg -n 'sleep' src/upload.rs", "description": "Find the pause"}), "41:        sleep(Duration::from_secs(1));\n58:    // no sleep here: the last attempt")
        .call("Edit", &json!({"file_path": "/home/dev/work/courier/src/upload.rs",
            "old_string": "    for attempt in 0..2 {\n        match self.send(part) {\n            Err(error) if error.is_busy() => {\n                sleep(Duration::from_secs(1));\n            }\n            answer => return answer,\n        }\n    }\n",
            "new_string": "    for attempt in 0..ATTEMPTS {\n        match self.send(part) {\n            Err(error) if error.is_busy() => {\n                sleep(error.retry_after().unwrap_or_else(|| pause(attempt)));\n            }\n            answer => return answer,\n        }\n    }\n"}),
            "The file /home/dev/work/courier/src/upload.rs has been updated.")
        .call("Bash", &json!({"command": "cargo test --quiet upload", "description": "Run the tests"}), "running 4 tests\n....\ntest result: ok. 4 passed; 0 failed; 0 ignored; 0 measured; 61 filtered out; finished in 0.31s")
        .say("Done. A busy server is asked again after 1, 2, 4 … 30 seconds, or when it says so:\n\n| answer | pause |\n|---|---|\n| 503 | 2ⁿ s, at most 30 s |\n| 503 with `Retry-After: 7` | 7 s |\n| anything else | none |")
        .prompt("Does it give up some day?")
        .say("After six attempts, a good minute. The error then says how often it was tried and what the server answered last.")
}
