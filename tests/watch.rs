//! `sfs watch`: captures as they happen, whoever makes them.

use crate::support::home::TestHome;
use crate::support::written::{
    append, claude_file, claude_line, claude_session, codex_file, codex_session, home_with_a_session, id, import, write,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};

/// A running `sfs watch`, past its beginning.
struct Watch(Child);

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Watch {
    fn begin(home: &TestHome, args: &[&str]) -> Watch {
        let mut command = home.command(&["watch"]);
        let mut child = command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        assert!(lines.any(|line| line.starts_with("Watching")));
        Watch(child)
    }

    fn output(&mut self) -> (Option<i32>, String) {
        let mut text = String::new();
        self.0.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        (self.0.wait().unwrap().code(), text)
    }
}

#[test]
fn a_capture_is_told_with_what_it_brought() {
    let (home, file) = home_with_a_session();
    let mut watch = Watch::begin(&home, &["--json", "--count", "1"]);
    let line = format!("{}\n", claude_line(&id(1), 4, "user", "More"));
    append(&file, &line);
    import(&home);
    let (code, text) = watch.output();
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &told["messages"], &told["bytes"]), (Some(0), &1.into(), &line.len().into()));
    assert_eq!(
        (&told["tool"], &told["title"], &told["new"]),
        (&"claude-code".into(), &"Question 0".into(), &false.into())
    );
}

#[test]
fn only_the_tool_that_is_wanted_and_no_hidden_session_is_told() {
    let (home, file) = home_with_a_session();
    home.sfs(&["delete", "last"]);
    let mut watch = Watch::begin(&home, &["--tool", "codex", "--count", "1"]);
    let mut all = Watch::begin(&home, &["--count", "2"]);
    append(&file, format!("{}\n", claude_line(&id(1), 4, "user", "Hidden")));
    write(&claude_file(&home, &id(2)), claude_session(&id(2), 1));
    import(&home);
    write(&codex_file(&home, &id(7)), codex_session(&id(7)));
    import(&home);
    let (code, text) = watch.output();
    assert_eq!((code, text.lines().count()), (Some(0), 1));
    assert!(text.contains("codex") && text.contains("+2 messages") && text.trim_end().ends_with("(new)"), "{text}");
    let (_, text) = all.output();
    assert!(text.contains("claude-code") && text.contains("codex") && !text.contains("ses_kpefowao"), "{text}");
}

#[test]
fn ctrl_c_and_a_reader_that_leaves_end_it_cleanly() {
    let (home, _) = home_with_a_session();
    let mut watch = Watch::begin(&home, &[]);
    kill_process(Pid::from_child(&watch.0), Signal::INT).unwrap();
    assert_eq!(watch.output(), (Some(0), String::new()));
    let mut watch = Watch::begin(&home, &["--json"]);
    drop(watch.0.stdout.take());
    assert_eq!(watch.0.wait().unwrap().code(), Some(0));
}

#[test]
fn without_a_daemon_it_says_so() {
    let (home, _) = home_with_a_session();
    let run = home.sfs(&["watch", "--count", "0"]);
    assert!(run.code == Some(0) && run.stderr.starts_with("No daemon runs"), "{run}");
}
