//! What sub-agents said goes along with a resumed session: for the person, never into the conversation.

use crate::support::home::TestHome;
use crate::support::written::{files_below, import, sessions};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A session with sub-agents of each tool and each way to keep them, and another tool.
const CASES: [(&str, &str); 5] = [
    ("claude/sub", "codex"),
    ("claude/v1.0.128-sub", "gemini"),
    ("claude/v2.0.77-sub", "codex"),
    ("codex/agent", "claude-code"),
    ("gemini/subagent", "codex"),
];

fn captured(case: &str) -> TestHome {
    let home = TestHome::with(&[case]);
    import(&home);
    assert_eq!(sessions(&home).len(), 1, "{case}");
    home
}

fn resume(home: &TestHome, tool: &str, how: &str) -> Value {
    home.json(&["resume", "last", "--in", tool, how, "--json"])
}

/// What of the messages only sub-agents said, and nobody repeated to the model.
fn private_texts(home: &TestHome) -> Vec<String> {
    let shown = home.json(&["show", "last", "-m", "--full", "--json"]);
    let (side, main): (Vec<_>, Vec<_>) =
        shown["messages"].as_array().unwrap().iter().partition(|message| message["is_sidechain"] == true);
    let main = json!(main).to_string();
    let blocks =
        side.iter().filter(|message| message["is_meta"] != true).flat_map(|m| m["content"].as_array().unwrap());
    let texts = blocks.filter_map(|block| block["text"].as_str().map(str::to_owned));
    texts.filter(|text| !main.contains(json!(text).to_string().trim_matches('"'))).collect()
}

#[test]
fn what_sub_agents_said_is_attached_and_not_sent() {
    for (case, tool) in CASES {
        let home = captured(case);
        let attachments = home.path().join(".sessionfs/attachments");
        let dry = resume(&home, tool, "--dry-run");
        assert!(!attachments.exists(), "{case}");
        let answer = resume(&home, tool, "--no-launch");
        assert_eq!(dry["ledger"], answer["ledger"], "{case}");
        let degraded = answer["ledger"]["degraded"].as_array().unwrap();
        let entry = degraded.iter().find(|entry| entry["what"].as_str().unwrap().starts_with("sub-agent ")).unwrap();
        assert!(entry["detail"].as_str().unwrap().starts_with("attached as Markdown"), "{case}: {entry}");
        assert!(!answer["ledger"]["dropped"].to_string().contains("sub-agent"), "{case}: {answer}");

        let [session, attachment] = answer["files"].as_array().unwrap().as_slice() else { panic!("{case}: {answer}") };
        let [session, attachment] = [session, attachment].map(|path| Path::new(path.as_str().unwrap()));
        assert_eq!(attachment.parent(), Some(attachments.as_path()));
        assert_eq!(fs::metadata(attachment).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&attachments).unwrap().permissions().mode() & 0o777, 0o700);
        let (session, attachment) = (fs::read_to_string(session).unwrap(), fs::read_to_string(attachment).unwrap());
        let texts = private_texts(&home);
        assert!(!texts.is_empty(), "{case}");
        for text in texts {
            assert!(attachment.contains(&text.trim().replace('<', "&lt;")), "{case}: {text:?} is not in\n{attachment}");
            assert!(!session.contains(json!(text).to_string().trim_matches('"')), "{case}: {text:?} is sent");
        }
    }
}

#[test]
fn an_attachment_reads_as_markdown() {
    let home = captured("claude/sub");
    let answer = resume(&home, "codex", "--no-launch");
    insta::assert_snapshot!(fs::read_to_string(answer["files"][1].as_str().unwrap()).unwrap(), @r#"
    # Sub-agents of please do it @@sub

    `ses_4lsmwzddnj4cvpqa` · Claude Code

    ## Task · sub-agent ab0c9a5188940a649

    Please run @@subwork now

    ## Assistant · sub-agent ab0c9a5188940a649

    Sub working.

    **Bash**

    ```json
    {"command":"echo from-subagent","description":"Echo in sub"}
    ```

    ```
    from-subagent
    ```

    Sub result: from-subagent
    "#);
}

#[test]
fn a_session_without_sub_agents_has_no_attachment() {
    let home = captured("claude/chat");
    assert_eq!(resume(&home, "codex", "--no-launch")["files"].as_array().unwrap().len(), 1);
    assert!(!home.path().join(".sessionfs/attachments").exists());
}

#[test]
fn a_resume_that_fails_leaves_no_attachment() {
    let home = captured("claude/sub");
    let archive = Connection::open(home.path().join(".sessionfs/archive.db")).unwrap();
    let refuse = "CREATE TRIGGER no BEFORE UPDATE ON session BEGIN SELECT RAISE(ABORT, 'not today'); END";
    archive.execute_batch(refuse).unwrap();
    let run = home.sfs(&["resume", "last", "--in", "codex", "--no-launch"]);
    assert_eq!(run.code, Some(1), "{run}");
    assert!(files_below(&home.path().join(".sessionfs/attachments")).is_empty(), "{run}");
    assert!(files_below(&home.path().join(".codex")).is_empty(), "{run}");
}

#[test]
fn an_attachment_that_can_not_be_written_stops_the_resume() {
    let home = captured("claude/sub");
    fs::write(home.path().join(".sessionfs/attachments"), "a file").unwrap();
    let run = home.sfs(&["resume", "last", "--in", "codex", "--no-launch"]);
    assert_eq!(run.code, Some(1), "{run}");
    assert!(files_below(&home.path().join(".codex")).is_empty(), "{run}");
    assert_eq!(sessions(&home).len(), 1);
}
