//! Every tool's names and arguments, and what is not one of them.

use super::*;

fn meaning(name: &str, input: &str) -> Meaning {
    of(name, &RawValue::from_string(input.to_owned()).unwrap())
}

fn action(name: &str, input: &str) -> Action {
    meaning(name, input).action
}

fn shell(name: &str, input: &str) -> Option<(String, Option<String>)> {
    match action(name, input) {
        Action::Shell { command, directory, .. } => Some((command, directory)),
        _ => None,
    }
}

#[test]
fn every_known_shell_is_recognised() {
    let plain = |command: &str| Some((command.to_owned(), None));
    let there = |command: &str| Some((command.to_owned(), Some("/w".to_owned())));
    assert_eq!(shell("Bash", r#"{"command":"ls -l","description":"list"}"#), plain("ls -l"));
    assert_eq!(shell("exec_command", r#"{"cmd":"ls","workdir":"/w","yield_time_ms":1}"#), there("ls"));
    assert_eq!(shell("shell", r#"{"command":["bash","-lc","a && b"],"workdir":"/w"}"#), there("a && b"));
    assert_eq!(shell("shell", r#"{"command":["/bin/zsh","-lc","a | b"]}"#), plain("a | b"));
    assert_eq!(shell("shell", r#"{"command":["echo","it's","a b",""]}"#), plain(r"echo 'it'\''s' 'a b' ''"));
    let nested = r#"{"action":{"type":"exec","command":["ls"],"working_directory":"/w","env":{},"user":null}}"#;
    assert_eq!(shell("local_shell_call", nested), there("ls"));
    assert_eq!(shell("run_shell_command", r#"{"command":"ls","directory":"/w"}"#), there("ls"));
    assert_eq!(shell("run_shell_command", r#"{"command":"ls","dir_path":"/w"}"#), there("ls"));
    assert_eq!(shell("run_terminal_cmd", r#"{"command":"ls","cwd":"/w","explanation":"x"}"#), there("ls"));
}

#[test]
fn an_argument_that_only_says_how_is_named() {
    let found = meaning("exec_command", r#"{"cmd":"ls","tty":true,"yield_time_ms":1,"justification":null}"#);
    assert_eq!(found.asides, ["yield_time_ms", "tty"]);
    assert!(matches!(found.action, Action::Shell { in_background: false, description: None, .. }));
    let found = meaning("Bash", r#"{"command":"ls","description":"d","run_in_background":true,"timeout":5}"#);
    assert_eq!(found.asides, ["timeout"]);
    assert!(matches!(found.action, Action::Shell { in_background: true, description: Some(_), .. }));
}

#[test]
fn files_are_read_by_lines_from_1() {
    let read = |first, lines| Action::Read { path: "a".into(), first, lines };
    for (name, input, first, lines) in [
        ("Read", r#"{"file_path":"a"}"#, None, None),
        ("Read", r#"{"file_path":"a","offset":0,"limit":5}"#, Some(1), Some(5)),
        ("Read", r#"{"file_path":"a","offset":10,"limit":5}"#, Some(10), Some(5)),
        ("read_file", r#"{"file_path":"a","start_line":3,"end_line":3}"#, Some(3), Some(1)),
        ("read_file", r#"{"absolute_path":"a","offset":0,"limit":5}"#, Some(1), Some(5)),
        ("read_file", r#"{"file_path":"a","end_line":4}"#, None, Some(4)),
        ("read_file", r#"{"target_file":"a","offset":7,"limit":2}"#, Some(7), Some(2)),
        ("read_file_v2", r#"{"targetFile":"a","charsLimit":9}"#, None, None),
    ] {
        assert_eq!(action(name, input), read(first, lines), "{name} {input}");
    }
}

#[test]
fn files_are_written_and_edited() {
    let written = Action::Write { path: "a".into(), content: "x\ny\n".into() };
    assert_eq!(action("Write", r#"{"file_path":"a","content":"x\ny\n"}"#), written);
    assert_eq!(action("write_file", r#"{"file_path":"a","content":"x\ny\n"}"#), written);
    assert_eq!(action("write", r#"{"file_path":"a","contents":"x\ny\n"}"#), written);
    let patch = "*** Begin Patch\n*** Add File: a\n+x\n+y\n*** End Patch";
    assert_eq!(adding("a", "x\ny\n").as_deref(), Some(patch));
    assert_eq!(action("apply_patch", &serde_json::json!({ "input": patch }).to_string()), written);

    let edited = |everywhere, instruction: Option<&str>| Action::Edit {
        path: "a".into(),
        changes: vec![Change { old: "x".into(), new: "y".into(), everywhere }],
        instruction: instruction.map(str::to_owned),
    };
    let both = r#""old_string":"x","new_string":"y""#;
    for (name, rest, everywhere, instruction) in [
        ("Edit", r#","replace_all":false"#, false, None),
        ("Edit", r#","replace_all":true"#, true, None),
        ("replace", r#","instruction":"why","allow_multiple":true"#, true, Some("why")),
        ("replace", r#","expected_replacements":1"#, false, None),
        ("replace", r#","expected_replacements":3"#, true, None),
        ("search_replace", "", false, None),
    ] {
        let input = format!(r#"{{"file_path":"a",{both}{rest}}}"#);
        assert_eq!(action(name, &input), edited(everywhere, instruction), "{name} {input}");
    }
    let several = action("MultiEdit", &format!(r#"{{"file_path":"a","edits":[{{{both}}},{{{both}}}]}}"#));
    assert!(matches!(several, Action::Edit { changes, .. } if changes.len() == 2));
}

#[test]
fn a_patch_of_one_change_is_that_change() {
    let patch = |body: &str| {
        let text = format!("*** Begin Patch\n{body}\n*** End Patch\n");
        action("apply_patch", &serde_json::json!({ "input": text }).to_string())
    };
    let edited = |old: &str, new: &str| Action::Edit {
        path: "a".into(),
        changes: vec![Change { old: old.into(), new: new.into(), everywhere: false }],
        instruction: None,
    };
    assert_eq!(
        patch("*** Update File: a\n@@\n one\n-two\n+2\n\n three"),
        edited("one\ntwo\n\nthree\n", "one\n2\n\nthree\n")
    );
    assert_eq!(patch("*** Update File: a\n-gone"), edited("gone\n", ""));
    for body in [
        "*** Update File: a\n@@ fn main() {\n-x\n+y",
        "*** Update File: a\n-x\n+y\n@@\n-z\n+w",
        "*** Update File: a\n+only new",
        "*** Update File: a\n-x\n+y\n*** End of File",
        "*** Update File: a\n*** Move to: b\n-x\n+y",
        "*** Add File: a\n+x\n*** Delete File: b",
        "*** Add File: a\n+x\r",
        "*** Delete File: a",
    ] {
        assert!(matches!(patch(body), Action::Patch(_)), "{body}");
    }
}

#[test]
fn what_a_patch_can_not_say_is_no_patch() {
    for (path, content) in [("a", "no end"), ("a", ""), ("a", "x\r\n"), ("a\nb", "x\n")] {
        assert_eq!(adding(path, content), None, "{path:?} {content:?}");
    }
    assert_eq!(adding("a", "\n").as_deref(), Some("*** Begin Patch\n*** Add File: a\n+\n*** End Patch"));
}

#[test]
fn searches_know_what_each_tool_takes_for_granted() {
    let search = |name, input| match action(name, input) {
        Action::Search(search) => (search.ignores_case, search.shows, search.around),
        other => panic!("{name} {input}: {other:?}"),
    };
    assert_eq!(search("Grep", r#"{"pattern":"x"}"#), (false, Shows::Files, (0, 0)));
    let all = r#"{"pattern":"x","path":"p","glob":"*.rs","output_mode":"content","-i":true,"-n":true,"-C":2,"-A":3}"#;
    assert_eq!(search("Grep", all), (true, Shows::Lines, (2, 3)));
    assert_eq!(search("Grep", r#"{"pattern":"x","output_mode":"count"}"#), (false, Shows::Counts, (0, 0)));
    assert_eq!(search("grep_search", r#"{"pattern":"x","dir_path":"p"}"#), (true, Shows::Lines, (0, 0)));
    let exact = r#"{"pattern":"x","case_sensitive":true,"names_only":true,"context":1}"#;
    assert_eq!(search("grep_search", exact), (false, Shows::Files, (1, 1)));
    assert_eq!(search("search_file_content", r#"{"pattern":"x","include":"*.c"}"#), (true, Shows::Lines, (0, 0)));
    assert_eq!(search("grep", r#"{"pattern":"x"}"#), (false, Shows::Lines, (0, 0)));

    let found = |ignores_case| Action::Find { pattern: "*.rs".into(), path: None, ignores_case };
    assert_eq!(action("Glob", r#"{"pattern":"*.rs"}"#), found(false));
    assert_eq!(action("glob", r#"{"pattern":"*.rs","respect_git_ignore":true}"#), found(true));
    assert_eq!(action("glob_file_search", r#"{"glob_pattern":"*.rs"}"#), found(false));
}

#[test]
fn plans_are_whole() {
    let plan = |name: &str, input: &str| match action(name, input) {
        Action::Todo { steps, explanation } => {
            let steps: Vec<_> = steps.iter().map(|step| (step.text.as_str(), step.status.as_str())).collect();
            format!("{steps:?} {explanation:?}")
        }
        other => format!("{other:?}"),
    };
    let expected = r#"[("A", "in_progress")] None"#;
    assert_eq!(plan("TodoWrite", r#"{"todos":[{"content":"A","status":"in_progress","activeForm":"a"}]}"#), expected);
    assert_eq!(plan("write_todos", r#"{"todos":[{"description":"A","status":"in_progress"}]}"#), expected);
    assert_eq!(plan("update_plan", r#"{"plan":[{"step":"A","status":"in_progress"}]}"#), expected);
    let cursor = r#"{"merge":false,"todos":[{"id":"1","content":"A","status":"in_progress"}]}"#;
    assert_eq!(plan("todo_write", cursor), expected);
    assert_eq!(plan("todo_write", &cursor.replace("false", "true")), "Other");
    let said = r#"{"explanation":"why","plan":[{"step":"A","status":"cancelled"}]}"#;
    assert_eq!(plan("update_plan", said), r#"[("A", "cancelled")] Some("why")"#);
}

#[test]
fn what_does_not_look_like_its_name_is_left_alone() {
    for (name, input) in [
        ("Ls", r#"{"command":"ls"}"#),
        ("Bash", r#"{"cmdline":"ls"}"#),
        ("Bash", "\"ls\""),
        ("Bash", "[\"ls\"]"),
        ("shell", r#"{"command":[]}"#),
        ("shell", r#"{"command":[1]}"#),
        ("shell", r#"{"command":["ls"],"env":{"A":"b"}}"#),
        ("Read", r#"{"file_path":"a.pdf","pages":"1-5"}"#),
        ("Read", r#"{"file_path":"a","offset":-5}"#),
        ("read_file", r#"{"file_path":"a","start_line":5,"end_line":3}"#),
        ("Write", r#"{"file_path":"a"}"#),
        ("Edit", r#"{"file_path":"a","old_string":"x"}"#),
        ("Edit", r#"{"file_path":"a","old_string":"x","new_string":1}"#),
        ("MultiEdit", r#"{"file_path":"a","edits":[]}"#),
        ("apply_patch", r#"{"input":"no patch"}"#),
        ("apply_patch", r#"{"changes":{}}"#),
        ("Grep", r#"{"pattern":"x","type":"rust"}"#),
        ("Grep", r#"{"pattern":"x","multiline":true}"#),
        ("grep_search", r#"{"pattern":"x","exclude_pattern":"y"}"#),
        ("glob", r#"{"pattern":"x","respect_git_ignore":false}"#),
        ("TodoWrite", r#"{"todos":[{"content":"A","status":"lost","activeForm":"a"}]}"#),
        ("TaskCreate", r#"{"subject":"A","description":"B"}"#),
        ("mcp__fs__read", r#"{"path":"a"}"#),
    ] {
        assert_eq!(action(name, input), Action::Other, "{name} {input}");
    }
}
