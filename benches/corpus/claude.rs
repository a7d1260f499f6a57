//! Claude Code: one line per content block, the usage repeated on each line of one API message, as the real client
//! writes it; calls paired with results, thinking with signatures, and the lines that are no messages.

use super::json::{Json, object};
use super::random::{Pools, Random};
use super::{Transcript, iso};
use std::path::{Path, PathBuf};

const TOOLS: [&str; 5] = ["Bash", "Read", "Edit", "Grep", "Write"];
const MODELS: [&str; 3] = ["claude-opus-4-6", "claude-sonnet-4-6", "claude-haiku-4-5"];

/// One session while it is written.
pub(crate) struct Session<'c> {
    pub(crate) pools: &'c Pools,
    pub(crate) random: &'c mut Random,
    pub(crate) id: String,
    pub(crate) project: String,
    pub(crate) model: &'static str,
    pub(crate) parent: Option<String>,
}

impl<'c> Session<'c> {
    pub(crate) fn new(pools: &'c Pools, random: &'c mut Random, project: String) -> Self {
        let (id, model) = (random.uuid4(), *random.pick(&MODELS));
        Session { pools, random, id, project, model, parent: None }
    }

    fn folder(&self, home: &Path) -> PathBuf {
        home.join(".claude/projects").join(self.project.replace('/', "-"))
    }

    /// Where the session's file belongs below `home`.
    pub(crate) fn path(&self, home: &Path) -> PathBuf {
        self.folder(home).join(format!("{}.jsonl", self.id))
    }

    /// Where a sub-agent's file belongs.
    pub(crate) fn subagent_path(&mut self, home: &Path) -> (String, PathBuf) {
        let agent = self.random.hex(17);
        let path = self.folder(home).join(&self.id).join("subagents").join(format!("agent-{agent}.jsonl"));
        (agent, path)
    }

    /// Writes turns until `out` is full; where `alive` is set, all of them stay in the live conversation.
    pub(crate) fn write(&mut self, out: &mut Transcript, alive: bool) {
        self.snapshot(out);
        let mut turn = 0;
        while !out.is_full() {
            self.prompt(out);
            for _ in 0..self.random.between(1, 6) {
                if !out.is_full() {
                    self.reply(out);
                }
            }
            self.end_turn(out);
            turn += 1;
            if turn % 25 == 0 && !alive {
                self.compact(out);
            }
        }
        let (summary, title) = (self.random.sentence(5), self.random.sentence(5));
        out.put(&object! {"type": "summary", "summary": summary, "leafUuid": self.parent.as_ref()});
        out.put(&object! {"type": "ai-title", "sessionId": &self.id, "aiTitle": title});
        let (uuid, time) = (self.random.uuid4(), out.tick(self.random, 50));
        let session = &*self;
        out.pad(&session.pools.prose, |text| {
            let message = object! {"role": "user", "content": text};
            session.line("user", &uuid, &time, object! {"message": message}, object! {})
        });
    }

    fn snapshot(&mut self, out: &mut Transcript) {
        let time = iso(out.clock);
        let backup = object! {"backupFileName": self.random.hex(16) + "@v1", "version": 1, "backupTime": &time};
        let files = object! {"src/lib.rs": backup};
        let (id, of) = (self.random.uuid4(), self.random.uuid4());
        out.put(&object! {
            "type": "file-history-snapshot", "messageId": id,
            "snapshot": object! {"messageId": of, "trackedFileBackups": files, "timestamp": &time},
            "isSnapshotUpdate": false,
        });
    }

    /// A line with a prompt of the person.
    pub(crate) fn prompt(&mut self, out: &mut Transcript) {
        let count = self.random.between(6, 30);
        let text = format!("Please {}. {}", self.random.words(count), self.random.pick(&self.pools.prose));
        let message = object! {"message": object! {"role": "user", "content": text}};
        let mode = object! {"permissionMode": "default", "todos": Json::List(Vec::new())};
        self.put(out, "user", message, mode);
    }

    /// One reply of the model, line by line, and the result of its call.
    fn reply(&mut self, out: &mut Transcript) {
        let (message, request) = (format!("msg_01{}", self.name(22)), format!("req_011{}", self.random.hex(20)));
        let call = format!("toolu_01{}", self.name(22));
        let usage = Usage::draw(self.random);
        let tool = *self.random.pick(&TOOLS);
        let mut blocks = Vec::new();
        if self.random.chance(0.6) {
            let (prose, signature) = (self.random.pick(&self.pools.prose), self.random.pick(&self.pools.signatures));
            blocks.push(object! {"type": "thinking", "thinking": prose, "signature": signature});
        }
        blocks.push(object! {"type": "text", "text": self.random.pick(&self.pools.prose)});
        blocks.push(object! {"type": "tool_use", "id": &call, "name": tool, "input": self.input(tool)});
        for block in blocks {
            let content = object! {
                "model": self.model, "id": &message, "type": "message", "role": "assistant", "content": [block],
                "stop_reason": Json::Null, "stop_sequence": Json::Null, "usage": usage.json(),
            };
            self.put(out, "assistant", object! {"message": content, "requestId": &request}, object! {});
        }
        if tool == "Bash" && self.random.chance(0.3) {
            self.progress(out, &call);
        }
        self.result(out, &call);
    }

    fn input(&mut self, tool: &str) -> Json<'c> {
        let code = |random: &mut Random, length: usize| {
            let code = random.pick(&self.pools.code).as_str();
            &code[..length.min(code.len())]
        };
        match tool {
            "Bash" => object! {
                "command": format!("cargo test -- {}", self.random.words(3)), "description": self.random.words(5),
            },
            "Read" => object! {"file_path": format!("{}/src/{}.rs", self.project, self.random.words(1))},
            "Edit" => object! {
                "file_path": format!("{}/src/lib.rs", self.project), "old_string": code(self.random, 400),
                "new_string": code(self.random, 500), "replace_all": false,
            },
            "Grep" => object! {"pattern": self.random.words(2), "path": "src", "output_mode": "content"},
            _ => object! {
                "file_path": format!("src/{}.rs", self.random.words(1)), "content": code(self.random, usize::MAX),
            },
        }
    }

    fn progress(&mut self, out: &mut Transcript, call: &str) {
        let output = self.random.pick(&self.pools.prose);
        let data = object! {"type": "bash_progress", "output": output, "elapsedTimeSeconds": 2};
        let (uuid, time) = (self.random.uuid4(), out.tick(self.random, 100));
        out.put(&self.line("progress", &uuid, &time, object! {"data": data, "toolUseID": call}, object! {}));
    }

    fn result(&mut self, out: &mut Transcript, call: &str) {
        let failed = self.random.chance(0.07);
        let text = format!("{}{}", if failed { "Error: " } else { "" }, self.random.pick(&self.pools.code));
        let mut content = Json::from(&text);
        if self.random.chance(0.2) {
            content = [object! {"type": "text", "text": &text}].into();
        }
        if self.random.chance(0.02) {
            let source = object! {"type": "base64", "media_type": "image/png", "data": self.random.base64(1200)};
            content = [object! {"type": "image", "source": source}].into();
        }
        let block = object! {"tool_use_id": call, "type": "tool_result", "content": content, "is_error": failed};
        let stdout = &text[..text.len().min(2000)];
        let result = object! {"stdout": stdout, "stderr": "", "interrupted": false, "isImage": false};
        let parent = self.parent.clone();
        let message = object! {"message": object! {"role": "user", "content": [block]}};
        let result = object! {"toolUseResult": result, "sourceToolAssistantUUID": parent};
        self.put(out, "user", message, result);
    }

    fn end_turn(&mut self, out: &mut Transcript) {
        let usage = object! {
            "input_tokens": 3, "cache_creation_input_tokens": 100, "cache_read_input_tokens": 50000,
            "output_tokens": self.random.between(50, 800),
        };
        let block = object! {"type": "text", "text": self.random.pick(&self.pools.prose)};
        let message = object! {
            "model": self.model, "id": format!("msg_01{}", self.random.hex(22)), "type": "message",
            "role": "assistant", "content": [block], "stop_reason": "end_turn", "stop_sequence": Json::Null,
            "usage": usage,
        };
        let request = format!("req_011{}", self.random.hex(20));
        self.put(out, "assistant", object! {"message": message, "requestId": request}, object! {});
        let duration = self.random.between(1000, 90000);
        let (uuid, time) = (self.random.uuid4(), out.tick(self.random, 50));
        let fields = object! {"subtype": "turn_duration", "durationMs": duration};
        out.put(&self.line("system", &uuid, &time, fields, object! {"isMeta": false}));
    }

    fn compact(&mut self, out: &mut Transcript) {
        let before = self.parent.take();
        let fields = object! {
            "logicalParentUuid": before, "subtype": "compact_boundary", "content": "Conversation compacted",
            "compactMetadata": object! {"trigger": "auto", "preTokens": 155_000},
        };
        self.put(out, "system", fields, object! {});
        let text = format!("This session is being continued. {}", self.random.pick(&self.pools.prose));
        let fields = object! {
            "isCompactSummary": true, "isVisibleInTranscriptOnly": true,
            "message": object! {"role": "user", "content": text},
        };
        self.put(out, "user", fields, object! {});
    }

    /// Twelve lines of a sub-agent's own conversation.
    pub(crate) fn write_subagent(&mut self, agent: &str, out: &mut Transcript) {
        let mut parent: Option<String> = None;
        for turn in 0..12 {
            let text = self.random.pick(&self.pools.prose);
            let (kind, message) = if turn % 2 == 0 {
                ("user", object! {"role": "user", "content": text})
            } else {
                let block = object! {"type": "text", "text": text};
                let usage = object! {"input_tokens": 3, "output_tokens": 90};
                let id = format!("msg_01{}", self.random.hex(22));
                (
                    "assistant",
                    object! {
                        "model": self.model, "id": id, "type": "message", "role": "assistant", "content": [block],
                        "stop_reason": "end_turn", "usage": usage,
                    },
                )
            };
            let (uuid, time) = (self.random.uuid4(), out.tick(self.random, 9000));
            out.put(&object! {
                "parentUuid": parent, "isSidechain": true, "agentId": agent, "userType": "external",
                "cwd": &self.project, "sessionId": &self.id, "version": "2.1.59", "gitBranch": "main", "type": kind,
                "message": message, "uuid": &uuid, "timestamp": time,
            });
            parent = Some(uuid);
        }
    }

    /// Writes a line that the next one follows.
    fn put(&mut self, out: &mut Transcript, kind: &'static str, fields: Json, more: Json) {
        let (uuid, time) = (self.random.uuid4(), out.tick(self.random, 9000));
        out.put(&self.line(kind, &uuid, &time, fields, more));
        self.parent = Some(uuid);
    }

    /// A line of the conversation: what all of them share, around `fields` and before `more`.
    fn line<'l>(
        &'l self,
        kind: &'static str,
        uuid: &'l str,
        time: &'l str,
        fields: Json<'l>,
        more: Json<'l>,
    ) -> Json<'l> {
        object! {
            "parentUuid": self.parent.as_ref(), "isSidechain": false, "userType": "external", "cwd": &self.project,
            "sessionId": &self.id, "version": "2.1.59", "gitBranch": "main", "type": kind,
        }
        .with(fields)
        .with(object! {"uuid": uuid, "timestamp": time})
        .with(more)
    }

    /// Random letters and digits.
    fn name(&mut self, length: usize) -> String {
        self.random.base64(length).replace('+', "A").replace('/', "B")
    }
}

/// The tokens of one reply: its lines repeat them.
struct Usage {
    input: i64,
    cache_write: i64,
    cache_read: i64,
    output: i64,
    one_hour: i64,
}

impl Usage {
    fn draw(random: &mut Random) -> Self {
        Usage {
            input: random.between(2, 40),
            cache_write: random.between(0, 9000),
            cache_read: random.between(5000, 160_000),
            output: random.between(5, 1500),
            one_hour: random.between(0, 9000),
        }
    }

    fn json(&self) -> Json<'static> {
        let split = object! {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": self.one_hour};
        object! {
            "input_tokens": self.input, "cache_creation_input_tokens": self.cache_write,
            "cache_read_input_tokens": self.cache_read, "output_tokens": self.output, "service_tier": "standard",
            "cache_creation": split,
        }
    }
}
