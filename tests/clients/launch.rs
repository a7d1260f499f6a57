//! Where the clients are, how they are started, and the two things that tests do with them.

use super::mock::{PORT, Reply};
use super::namespace::{self, Job, Outcome};
use super::transcript::Received;
use super::{Client, anthropic, gemini, openai};
use serde_json::Value;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The prompt with which a session is resumed. Nobody else says this.
const PROBE: &str = "continue (compat check)";

/// Why a test cannot run here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skip {
    /// In words for a person.
    pub why: String,
}

/// What [`drive`] left.
#[derive(Clone, Debug)]
pub struct Driven {
    /// The session's id in its tool.
    pub native_id: String,
    /// What the model received before the last prompt.
    pub received: Received,
}

/// The client's program, if it and what it takes to shut it in are here.
pub fn available(client: Client) -> Result<PathBuf, Skip> {
    static POSSIBLE: OnceLock<Result<(), String>> = OnceLock::new();
    let program = client.program();
    if !program.is_file() {
        return Err(Skip { why: format!("no client at {} (tests/clients/setup.sh installs it)", program.display()) });
    }
    if client == Client::Gemini && !node().is_file() {
        return Err(Skip { why: "no node on the path".into() });
    }
    POSSIBLE.get_or_init(namespace::possible).clone().map(|()| program).map_err(|why| Skip { why })
}

/// Whether the test `name` can run here; [`skip`]s it if not.
pub fn ready(name: &str, clients: &[Client]) -> bool {
    let missing = clients.iter().find_map(|client| available(*client).err());
    if let Some(missing) = &missing {
        skip(name, &missing.why);
    }
    missing.is_none()
}

/// Says that a test does not run, and why; with `SESSIONFS_TESTS_REFUSE_SKIPS=1` that is a failure.
pub fn skip(name: &str, why: &str) {
    // Not through a macro, which the harness would capture, and in one piece on a line of its own.
    let _ = std::io::stderr().write_all(format!("\nskipped: {name}: {why}\n").as_bytes());
    let refused = std::env::var_os("SESSIONFS_TESTS_REFUSE_SKIPS").is_some_and(|value| value == "1");
    assert!(!refused, "{name} was skipped: {why}");
}

/// Resumes the session `native_id` of `home` in `cwd` and gives what the model received. `home` is not changed; a `cwd`
/// that does not exist is made up for the client alone.
pub fn receive(client: Client, home: &Path, cwd: &Path, native_id: &str) -> Result<Received, String> {
    available(client).map_err(|skip| skip.why)?;
    let copy = tempfile::tempdir().map_err(|error| error.to_string())?;
    copy_tree(home, copy.path())
        .and_then(|()| client.prepare(copy.path()))
        .map_err(|error| format!("copying {}: {error}", home.display()))?;
    let mut job = client.job(home, cwd, PROBE, native_id, false);
    job.overlay = Some((copy.path().to_owned(), home.to_owned()));
    Ok(client.received(&namespace::run(&job)?, PROBE))
}

/// Goes on with the session `native_id` in `home` itself: `prompt`, and `replies` to it. Gives what the model received
/// before the prompt.
pub fn go_on(
    client: Client,
    home: &Path,
    cwd: &Path,
    native_id: &str,
    prompt: &str,
    replies: &[Reply],
) -> Result<Received, String> {
    available(client).map_err(|skip| skip.why)?;
    client.prepare(home).map_err(|error| error.to_string())?;
    let job = Job { replies: replies.to_vec(), ..client.job(home, cwd, prompt, native_id, false) };
    Ok(client.received(&namespace::run(&job)?, prompt))
}

/// Runs a new session of `client` through `prompts`, one process each, while the model answers with `replies` in order;
/// tool calls among them are really executed. The session is written into `home`.
pub fn drive(client: Client, home: &Path, cwd: &Path, prompts: &[&str], replies: &[Reply]) -> Result<Driven, String> {
    available(client).map_err(|skip| skip.why)?;
    client.prepare(home).map_err(|error| error.to_string())?;
    let mut driven = Driven { native_id: uuid::Uuid::new_v4().to_string(), received: Received::default() };
    let mut replies = replies.to_vec();
    for (turn, prompt) in prompts.iter().enumerate() {
        let mut job = client.job(home, cwd, prompt, &driven.native_id, turn == 0);
        job.replies.clone_from(&replies);
        let outcome = namespace::run(&job)?;
        let used = outcome.exchanges.iter().filter(|e| e.kind == "main" && e.status == 200).count();
        replies.drain(..used.min(replies.len()));
        driven.received = client.received(&outcome, prompt);
        if turn == 0 && client == Client::Codex {
            driven.native_id =
                thread_id(&outcome).ok_or_else(|| format!("no thread was started: {}", outcome.stderr))?;
        }
    }
    Ok(driven)
}

/// The id that Codex gave to its new thread.
fn thread_id(outcome: &Outcome) -> Option<String> {
    let mut events = outcome.stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events.find_map(|event| event["thread_id"].as_str().map(str::to_owned))
}

impl Client {
    /// The program, in `target/clients` or the folder that `SESSIONFS_TEST_CLIENTS` names.
    fn program(self) -> PathBuf {
        let root = std::env::var_os("SESSIONFS_TEST_CLIENTS")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients"), PathBuf::from);
        let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
        let version = self.version();
        match self {
            Client::ClaudeCode => {
                root.join(format!("claude/{version}/node_modules/@anthropic-ai/claude-code-linux-{arch}/claude"))
            }
            Client::Codex => root.join(format!(
                "codex/{version}/node_modules/@openai/codex-linux-{arch}/vendor/{}-unknown-linux-musl/bin/codex",
                std::env::consts::ARCH
            )),
            Client::Gemini => root.join(format!("gemini/{version}/node_modules/@google/gemini-cli/bundle/gemini.js")),
        }
    }

    /// The version that is driven.
    pub fn version(self) -> &'static str {
        match self {
            Client::ClaudeCode => "2.1.330",
            Client::Codex => "0.169.0",
            Client::Gemini => "0.61.0",
        }
    }

    /// Makes what the client does not start without.
    fn prepare(self, home: &Path) -> std::io::Result<()> {
        match self {
            Client::ClaudeCode => Ok(()),
            Client::Codex => std::fs::create_dir_all(home.join(".codex")),
            Client::Gemini => {
                std::fs::create_dir_all(home.join(".gemini"))?;
                std::fs::write(home.join(".gemini/settings.json"), gemini_settings().to_string())
            }
        }
    }

    /// A run with one prompt: in the session `id`, which it starts if it is `new` and resumes otherwise.
    fn job(self, home: &Path, cwd: &Path, prompt: &str, id: &str, new: bool) -> Job {
        let program = self.program().display().to_string();
        let arguments = match self {
            Client::ClaudeCode => claude_arguments(prompt, id, new),
            Client::Codex => codex_arguments(home, prompt, id, new),
            Client::Gemini => gemini_arguments(prompt, id, new),
        };
        let path = "/usr/local/bin:/usr/bin:/bin";
        let mut env = vec![("HOME".to_owned(), home.display().to_string()), ("PATH".to_owned(), path.to_owned())];
        let common = [("TERM", "xterm-256color"), ("LANG", "C.UTF-8"), ("SHELL", "/bin/bash"), ("USER", "dev")];
        let own = match self {
            Client::ClaudeCode => claude_environment(),
            Client::Codex => codex_environment(home),
            Client::Gemini => gemini_environment(),
        };
        env.extend(common.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
        env.extend(own.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let runtime = (self == Client::Gemini).then(|| node().display().to_string());
        let command = runtime.into_iter().chain([program]).chain(arguments).collect();
        Job { client: self, command, env, cwd: cwd.to_owned(), overlay: None, replies: Vec::new() }
    }

    fn received(self, outcome: &Outcome, prompt: &str) -> Received {
        let received = match self {
            Client::ClaudeCode => anthropic::received(&outcome.exchanges, prompt),
            Client::Codex => openai::received(&outcome.exchanges, prompt),
            Client::Gemini => gemini::received(&outcome.exchanges, prompt),
        };
        Received { exit: outcome.exit, stderr: outcome.stderr.clone(), ..received }
    }
}

fn claude_arguments(prompt: &str, id: &str, new: bool) -> Vec<String> {
    let session = if new { "--session-id" } else { "--resume" };
    ["--dangerously-skip-permissions", session, id, "-p", prompt].map(String::from).to_vec()
}

fn claude_environment() -> Vec<(&'static str, String)> {
    vec![
        ("ANTHROPIC_API_KEY", "sk-ant-dummy".into()),
        ("ANTHROPIC_BASE_URL", format!("http://127.0.0.1:{PORT}")),
        ("IS_SANDBOX", "1".into()),
        ("DISABLE_TELEMETRY", "1".into()),
        ("DISABLE_AUTOUPDATER", "1".into()),
        ("DISABLE_ERROR_REPORTING", "1".into()),
        ("DISABLE_BUG_COMMAND", "1".into()),
        ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".into()),
    ]
}

fn codex_environment(home: &Path) -> Vec<(&'static str, String)> {
    let keys = ["CODEX_API_KEY", "OPENAI_API_KEY", "MOCK_KEY"].map(|name| (name, "sk-dummy".to_owned()));
    keys.into_iter().chain([("CODEX_HOME", home.join(".codex").display().to_string())]).collect()
}

fn gemini_arguments(prompt: &str, id: &str, new: bool) -> Vec<String> {
    let session = if new { "--session-id" } else { "--resume" };
    ["--yolo", session, id, "-p", prompt].map(String::from).to_vec()
}

fn gemini_environment() -> Vec<(&'static str, String)> {
    vec![
        ("GEMINI_API_KEY", "dummy".into()),
        ("GOOGLE_GEMINI_BASE_URL", format!("http://127.0.0.1:{PORT}")),
        ("GEMINI_CLI_NO_RELAUNCH", "1".into()),
        ("GEMINI_TELEMETRY_ENABLED", "false".into()),
        ("NO_COLOR", "1".into()),
    ]
}

/// Recorded sessions grow old, and the client deletes old ones; what else it deletes, it shall.
fn gemini_settings() -> Value {
    serde_json::json!({
        "general": {
            "enableAutoUpdate": false, "enableAutoUpdateNotification": false,
            "sessionRetention": {"enabled": true, "maxAge": "9999d"},
        },
        "privacy": {"usageStatisticsEnabled": false},
        "telemetry": {"enabled": false},
        "security": {"auth": {"selectedType": "gemini-api-key"}, "folderTrust": {"enabled": false}},
    })
}

/// `node`, where the caller has it.
fn node() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("node")).find(|node| node.is_file());
    found.unwrap_or_else(|| "node".into())
}

/// `codex exec`, with the user's own configuration ignored. A session of a provider called `mock` gets one; any other
/// foreign provider stays the fault it is. A thread is resumed on its own model where another one would compact it
/// first.
fn codex_arguments(home: &Path, prompt: &str, id: &str, new: bool) -> Vec<String> {
    let url = format!("http://127.0.0.1:{PORT}/v1");
    let mut settings = vec![
        format!("openai_base_url={url:?}"),
        "analytics.enabled=false".into(),
        "check_for_update_on_startup=false".into(),
        "approval_policy=\"never\"".into(),
        "sandbox_mode=\"danger-full-access\"".into(),
        "features.plugins=false".into(),
    ];
    let records = if new { Vec::new() } else { rollout(&home.join(".codex"), id) };
    let last = |kind: &str| records.iter().rfind(|record| record["type"] == kind).map(|record| &record["payload"]);
    if last("session_meta").is_some_and(|meta| meta["model_provider"] == "mock") {
        settings.push("model_provider=\"mock\"".into());
        settings.push(format!(
            "model_providers.mock={{name=\"mock\",base_url={url:?},env_key=\"MOCK_KEY\",wire_api=\"responses\",\
             request_max_retries=0,stream_max_retries=0}}"
        ));
    }
    if let Some(turn) = last("turn_context").filter(|turn| turn["comp_hash"].is_string()) {
        settings.push(format!("model={}", turn["model"]));
    }
    let mut arguments = vec!["exec".to_owned()];
    arguments.extend(settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]));
    arguments.extend(["--skip-git-repo-check", "--ignore-user-config"].map(String::from));
    arguments.extend(if new { vec!["--json".into()] } else { vec!["resume".into(), id.into()] });
    arguments.push(prompt.into());
    arguments
}

/// The records of a thread's file; none if there is no such file.
fn rollout(root: &Path, id: &str) -> Vec<Value> {
    let files = walkdir::WalkDir::new(root.join("sessions")).into_iter().flatten();
    let file = files.map(walkdir::DirEntry::into_path).find(|path| {
        path.file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with("rollout-") && name.contains(id))
    });
    let Some(file) = file else { return Vec::new() };
    let mut text = std::fs::read(&file).unwrap_or_default();
    if file.extension().is_some_and(|extension| extension == "zst") {
        let mut plain = Vec::new();
        let _ = zstd::Decoder::new(&*text).and_then(|mut decoder| decoder.read_to_end(&mut plain));
        text = plain;
    }
    text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

/// Copies a folder with its modes and symbolic links.
fn copy_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in walkdir::WalkDir::new(from).min_depth(1) {
        let entry = entry?;
        let place = to.join(entry.path().strip_prefix(from).expect("below it"));
        if entry.file_type().is_dir() {
            std::fs::create_dir(&place)?;
            std::fs::set_permissions(&place, entry.metadata()?.permissions())?;
        } else if entry.file_type().is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(entry.path())?, &place)?;
        } else if entry.file_type().is_file() {
            std::fs::copy(entry.path(), &place)?;
        }
    }
    Ok(())
}
