//! A session that tries everything: nothing of it is a tag, nothing turns or hides text, and nothing is too large.

use super::Site;
use crate::html::check_elements;
use crate::support::home::TestHome;
use crate::support::written::{claude_file, claude_line, id, write};
use serde_json::{Value, json};

const TEXTS: [&str; 12] = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)> <svg onload=alert(1)>",
    "[a](javascript:alert(1)) ![b](http://x.y/z.png) <javascript:alert(1)>",
    "\u{1b}[31mred\u{1b}[0m \u{1b}]8;;https://evil.example\u{7}link\u{1b}]8;;\u{7} \u{9b}2J",
    "a\u{202e}cod.exe \u{2066}x\u{2069} \u{200b}\u{feff}\u{e0041}",
    "NUL \0 bell \u{7} back \u{8}",
    "</p></article></main><h1>out</h1><!--",
    "```html\n</code></pre><script>alert(1)</script>\n```",
    "| a | b |\n|:-:|--:|\n| <b> | `<i>` |",
    "&lt;script&gt; &#60;script&#62; &#x202e;",
    "<style>*{display:none}</style> <a style=x:y href=\"data:text/html,x\">",
    "<mark>needle</mark> <input autofocus onfocus=alert(1)>",
];

fn home() -> TestHome {
    let home = TestHome::new();
    let mut lines = Vec::new();
    for (n, text) in (0..).zip(TEXTS) {
        lines.push(claude_line(&id(1), 3 * n, "user", text));
        let call = json!([{"type": "text", "text": text}, {"type": "tool_use", "id": format!("c{n}"), "name": text,
            "input": {"file_path": text, "old_string": text, "new_string": format!("{text}{text}"), "command": text, text: text}}]);
        let mut reply = claude_line(&id(1), 3 * n + 1, "assistant", "");
        reply["message"]["content"] = call;
        lines.push(reply);
        let result = json!([{"type": "tool_result", "tool_use_id": format!("c{n}"), "content": text, "is_error": n % 2 == 0},
            {"type": "image", "source": {"type": "base64", "media_type": "image/svg+xml", "data": "PHN2Zz4="}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "\"><script>"}}]);
        let mut answer = claude_line(&id(1), 3 * n + 2, "user", "");
        answer["message"]["content"] = result;
        lines.push(answer);
    }
    let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
    write(&claude_file(&home, &id(1)), lines.join("\n") + "\n");
    home
}

#[test]
fn nothing_that_a_session_says_is_a_tag_or_turns_text() {
    let home = home();
    let site = Site::of(&home);
    let session = site.ids()[0].clone();
    let window = site.json(&format!("/api/web/sessions/{session}/messages?limit=200"));
    assert_eq!(window["messages"].as_array().unwrap().len(), 3 * TEXTS.len());
    for message in window["messages"].as_array().unwrap() {
        let html = message["html"].as_str().unwrap();
        check_elements(html);
        let is_bad = |c: char| {
            matches!(c, '\u{0}'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{200b}' | '\u{202a}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
        };
        assert!(!html.contains(is_bad), "{html:?}");
        assert!(!html.contains("data:image/svg"), "{html}");
    }
    for query in ["script", "needle", "alert"] {
        let found = site.json(&format!("/api/web/sessions?q={query}"));
        let html = found["sessions"][0]["snippet"]["html"].as_str().unwrap();
        assert!(!html.replace("<mark>", "").replace("</mark>", "").contains('<'), "{html}");
    }
    let title = &site.json("/api/web/sessions")["sessions"][0]["title"];
    assert!(title.is_string(), "titles are text: who shows them escapes them");
}

#[test]
fn what_is_too_long_is_cut_and_whole_on_its_own() {
    let home = TestHome::new();
    let line = "x".repeat(3 << 20);
    let words = "many words ".repeat(300_000);
    let mut picture = claude_line(&id(1), 2, "user", "");
    picture["message"]["content"] = json!([{"type": "image", "source": {"type": "base64", "media_type": "image/png",
        "data": "A".repeat(2 << 20)}}, {"type": "text", "text": "see"}]);
    let mut call = claude_line(&id(1), 3, "assistant", "");
    call["message"]["content"] = json!([{"type": "tool_use", "id": "c", "name": "Write",
        "input": {"file_path": "/a", "content": words}}]);
    let lines = [claude_line(&id(1), 0, "user", &line), claude_line(&id(1), 1, "assistant", &words), picture, call];
    write(&claude_file(&home, &id(1)), lines.map(|line| format!("{line}\n")).concat());
    let site = Site::of(&home);
    let session = site.ids()[0].clone();
    let reply = site.get(&format!("/api/web/sessions/{session}/messages"));
    assert!(reply.body.len() < 1 << 20, "{}", reply.body.len());
    let window: Value = reply.json();
    let messages = window["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 4);
    for message in messages {
        assert_eq!(message["is_cut"], true, "{}", message["number"]);
        check_elements(message["html"].as_str().unwrap());
        let whole = site.json(&format!("/api/web/sessions/{session}/messages/{}", message["number"]));
        assert_eq!(whole["is_cut"], false);
        assert!(whole["html"].as_str().unwrap().len() > 1 << 20);
        assert!(message["text_length"].as_u64().unwrap() > 1 << 20);
    }
}

#[test]
fn an_answer_is_bounded_however_many_messages_there_are() {
    let home = TestHome::new();
    let text = "many words ".repeat(2000);
    let line =
        |n: u32| format!("{}\n", claude_line(&id(1), n, if n.is_multiple_of(2) { "user" } else { "assistant" }, &text));
    write(&claude_file(&home, &id(1)), (0..200).map(line).collect::<String>());
    let site = Site::of(&home);
    let session = site.ids()[0].clone();
    for query in ["limit=200", "limit=200&at=end", "limit=200&from=50"] {
        let reply = site.get(&format!("/api/web/sessions/{session}/messages?{query}"));
        assert!(reply.body.len() < 2 << 20, "{query}: {}", reply.body.len());
        let window = reply.json();
        let numbers: Vec<u64> =
            window["messages"].as_array().unwrap().iter().map(|message| message["number"].as_u64().unwrap()).collect();
        assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{numbers:?}");
        let edge = if query.contains("end") { numbers[numbers.len() - 1] == 199 } else { window["from"] == numbers[0] };
        assert!(edge, "{query}: {numbers:?}");
    }
}
