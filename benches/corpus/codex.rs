//! Codex: `session_meta`, `turn_context`, events and response items, with null token counts and null reasoning content
//! as the real client writes them; and rollouts whose history is repeated by one compaction after another.

use super::json::{Json, object};
use super::random::{Pools, Random};
use super::{Transcript, iso};
use jiff::Timestamp;
use std::borrow::Cow;
use std::path::{Path, PathBuf};

const MODELS: [&str; 3] = ["gpt-5.2-codex", "gpt-5.1-codex-max", "o4-mini"];
/// About the size of the history that a compaction repeats.
const HISTORY: usize = 100_000;

/// One rollout while it is written.
pub(crate) struct Session<'c> {
    pub(crate) pools: &'c Pools,
    pub(crate) random: &'c mut Random,
    pub(crate) id: String,
    pub(crate) project: String,
    pub(crate) model: &'static str,
    start: i64,
    tokens_in: i64,
    tokens_out: i64,
}

impl<'c> Session<'c> {
    pub(crate) fn new(pools: &'c Pools, random: &'c mut Random, project: String, start: i64) -> Self {
        let (id, model) = (random.uuid7(start), *random.pick(&MODELS));
        Session { pools, random, id, project, model, start, tokens_in: 0, tokens_out: 0 }
    }

    /// Where the rollout belongs below `home`.
    pub(crate) fn path(&self, home: &Path) -> PathBuf {
        let start = Timestamp::from_millisecond(self.start).unwrap();
        let place = start.strftime(".codex/sessions/%Y/%m/%d/rollout-%Y-%m-%dT%H-%M-%S");
        home.join(format!("{place}-{}.jsonl", self.id))
    }

    /// Writes turns until `out` is full.
    pub(crate) fn write(&mut self, out: &mut Transcript) {
        self.begin(out);
        while !out.is_full() {
            let calls = self.random.between(1, 6);
            self.turn(out, calls);
        }
        let time = out.tick(self.random, 50);
        out.pad(&self.pools.prose, |text| line(&time, "response_item", said("user", text)));
    }

    /// Writes a short turn and a compaction, `count` times. Each compaction repeats the same history.
    pub(crate) fn write_compactions(&mut self, out: &mut Transcript, count: usize) {
        self.begin(out);
        let mut history = Vec::new();
        let mut size = 0;
        while size < HISTORY {
            let text = format!("{}\n{}", self.random.pick(&self.pools.prose), self.random.pick(&self.pools.code));
            size += text.len();
            history.push(text);
        }
        for _ in 0..count {
            self.turn(out, 0);
            let summary = format!("Another model began this work. {}", self.random.pick(&self.pools.prose));
            let items: Vec<Json> = history.iter().chain([&summary]).map(|text| said("user", text)).collect();
            let time = out.tick(self.random, 9000);
            out.put(&line(&time, "compacted", object! {"message": &summary, "replacement_history": items}));
            self.event(out, object! {"type": "context_compacted"});
        }
        self.turn(out, 1);
    }

    /// One more answer of the model, for a session that has ended already.
    pub(crate) fn append(&mut self, out: &mut Transcript) {
        let answer = self.random.pick(&self.pools.prose);
        self.item(out, said("assistant", answer));
    }

    fn begin(&mut self, out: &mut Transcript) {
        let time = iso(out.clock);
        let git = object! {
            "commit_hash": self.random.hex(40), "branch": "main", "repository_url": "https://example.invalid/x.git",
        };
        let instructions = format!("You are Codex. {}", self.random.words(200));
        let meta = object! {
            "id": &self.id, "timestamp": &time, "cwd": &self.project, "originator": "codex_cli_rs",
            "cli_version": "0.101.0", "source": "cli", "model_provider": "openai",
            "base_instructions": object! {"text": instructions}, "git": git,
        };
        out.put(&line(&time, "session_meta", meta));
        let words = self.random.words(60);
        self.item(out, said("developer", format!("<permissions instructions>{words}</permissions instructions>")));
        let context = format!("<environment_context>\n  <cwd>{}</cwd>\n</environment_context>", self.project);
        self.item(out, said("user", context));
        let limits = object! {"primary": object! {"used_percent": 3.0}};
        self.event(out, object! {"type": "token_count", "info": Json::Null, "rate_limits": limits});
    }

    fn turn(&mut self, out: &mut Transcript, calls: i64) {
        let turn = self.random.uuid4();
        self.event(out, object! {"type": "task_started", "turn_id": &turn, "model_context_window": 258_400});
        let context = object! {
            "turn_id": &turn, "cwd": &self.project, "approval_policy": "on-request",
            "sandbox_policy": object! {"type": "workspace-write"}, "model": self.model, "effort": "medium",
            "summary": "auto",
        };
        let time = out.tick(self.random, 10);
        out.put(&line(&time, "turn_context", context));
        self.prompt(out);
        for _ in 0..calls {
            if !out.is_full() {
                self.reason(out);
                self.call(out);
                self.count_tokens(out);
            }
        }
        let answer = self.random.pick(&self.pools.prose);
        self.event(out, object! {"type": "agent_message", "message": answer});
        self.item(out, said("assistant", answer));
        self.event(out, object! {"type": "task_complete", "turn_id": &turn, "last_agent_message": answer});
    }

    fn prompt(&mut self, out: &mut Transcript) {
        let count = self.random.between(6, 30);
        let prompt = format!("Please {}.", self.random.words(count));
        self.item(out, said("user", &prompt));
        let none = || Json::List(Vec::new());
        let event = object! {
            "type": "user_message", "message": &prompt, "images": none(), "local_images": none(),
            "text_elements": none(),
        };
        self.event(out, event);
    }

    fn reason(&mut self, out: &mut Transcript) {
        let (thought, length) = (format!("**{}**", self.random.words(4)), self.random.between(400, 1500));
        let item = object! {
            "type": "reasoning", "summary": [object! {"type": "summary_text", "text": &thought}],
            "content": Json::Null, "encrypted_content": self.random.base64(length as usize),
        };
        self.item(out, item);
        self.event(out, object! {"type": "agent_reasoning", "text": &thought});
    }

    fn call(&mut self, out: &mut Transcript) {
        let call = format!("call_{}", self.random.hex(24));
        if self.random.chance(0.8) { self.run_command(out, &call) } else { self.apply_patch(out, &call) }
    }

    fn run_command(&mut self, out: &mut Transcript, call: &str) {
        let arguments = object! {
            "cmd": format!("cargo test {}", self.random.words(2)), "workdir": &self.project,
            "max_output_tokens": 4000,
        };
        let arguments = serde_json::to_string(&arguments).unwrap();
        let item = object! {
            "type": "function_call", "name": "exec_command", "arguments": arguments, "call_id": call,
        };
        self.item(out, item);
        let output = format!(
            "Chunk ID: {}\nWall time: 0.1 seconds\nProcess exited with code 0\nOutput:\n{}",
            self.random.hex(6),
            self.random.pick(&self.pools.code)
        );
        self.item(out, object! {"type": "function_call_output", "call_id": call, "output": output});
    }

    fn apply_patch(&mut self, out: &mut Transcript, call: &str) {
        let (old, new) = (&self.random.pick(&self.pools.code)[..300], &self.random.pick(&self.pools.code)[..300]);
        let patch = format!("*** Begin Patch\n*** Update File: src/lib.rs\n@@\n-{old}\n+{new}\n*** End Patch");
        let item = object! {
            "type": "custom_tool_call", "status": "completed", "call_id": call, "name": "apply_patch", "input": patch,
        };
        self.item(out, item);
        let output = object! {
            "output": "Success. Updated the following files:\nM src/lib.rs\n",
            "metadata": object! {"exit_code": 0, "duration_seconds": 0.0},
        };
        let output = serde_json::to_string(&output).unwrap();
        self.item(out, object! {"type": "custom_tool_call_output", "call_id": call, "output": output});
    }

    fn count_tokens(&mut self, out: &mut Transcript) {
        self.tokens_in += self.random.between(1000, 20000);
        self.tokens_out += self.random.between(20, 900);
        let info = object! {
            "total_token_usage": tokens(self.tokens_in, self.tokens_in / 2, self.tokens_out, self.tokens_out / 3),
            "last_token_usage": tokens(900, 0, 50, 0), "model_context_window": 258_400,
        };
        self.event(out, object! {"type": "token_count", "info": info, "rate_limits": Json::Null});
    }

    fn event(&mut self, out: &mut Transcript, payload: Json) {
        let time = out.tick(self.random, 60);
        out.put(&line(&time, "event_msg", payload));
    }

    fn item(&mut self, out: &mut Transcript, payload: Json) {
        let time = out.tick(self.random, 9000);
        out.put(&line(&time, "response_item", payload));
    }
}

fn line<'l>(time: &'l str, kind: &'static str, payload: Json<'l>) -> Json<'l> {
    object! {"timestamp": time, "type": kind, "payload": payload}
}

/// A message of `role` as a response item.
fn said<'t>(role: &'static str, text: impl Into<Cow<'t, str>>) -> Json<'t> {
    let kind = if role == "assistant" { "output_text" } else { "input_text" };
    object! {"type": "message", "role": role, "content": [object! {"type": kind, "text": Json::Text(text.into())}]}
}

fn tokens(input: i64, cached: i64, output: i64, reasoning: i64) -> Json<'static> {
    object! {
        "input_tokens": input, "cached_input_tokens": cached, "output_tokens": output,
        "reasoning_output_tokens": reasoning, "total_tokens": input + output,
    }
}
