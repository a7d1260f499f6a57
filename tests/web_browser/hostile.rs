//! A session that tries everything: nothing runs, nothing is loaded, nothing leaves its place.

use super::written::Story;
use super::{signed_in, with_browser};
use crate::support::home::TestHome;
use crate::support::web::LocalWeb;
use serde_json::json;

const EVIL: &str = "<script>window.hacked=1</script><img src=x onerror=\"window.hacked=1\"><svg onload=window.hacked=1><style>*{display:none}</style><iframe srcdoc='<script>parent.hacked=1</script>'></iframe>\u{202e}\u{2066}\u{1b}[31mred\u{1b}]0;t\u{7}\"'></pre></details></div></article></main><base href=//evil.example><form action=//evil.example><button>Sign out</button>";

#[test]
fn nothing_in_a_session_is_obeyed() {
    with_browser("nothing_in_a_session_is_obeyed", |browser| {
        let home = TestHome::new();
        let huge = "x".repeat(200_000);
        Story::new(&home, 1, EVIL, 1)
            .model(EVIL)
            .prompt(&format!("{EVIL}\n\n[a](javascript:window.hacked=1) ![i](https://evil.example/t.png) {huge}"))
            .answer(&json!([
                {"type": "thinking", "thinking": EVIL, "signature": "s"},
                {"type": "text", "text": format!("# {EVIL}\n\n```{EVIL}\n{EVIL}\n{huge}\n```\n\n<details><summary>x\n\n| a |\n|--:|\n| {EVIL} |\n| {huge} |")},
                {"type": "tool_use", "id": "t1", "name": EVIL, "input": {EVIL: EVIL, "file_path": EVIL, "n": [EVIL]}},
                {"type": "tool_use", "id": "t2", "name": "Bash", "input": {"command": format!("{EVIL}{huge}")}},
                {"type": "tool_use", "id": "t3", "name": "Edit", "input": {"file_path": EVIL, "old_string": EVIL, "new_string": huge}},
                {"type": "tool_use", "id": "t4", "name": "TodoWrite", "input": {"todos": [{"content": EVIL, "status": EVIL}]}},
            ]))
            .result(&json!([
                {"type": "tool_result", "tool_use_id": "t1", "is_error": true, "content": EVIL},
                {"type": "tool_result", "tool_use_id": "t2", "content": [{"type": "text", "text": format!("{EVIL}\n{huge}")},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/svg+xml", "data": "PHN2Zy8+"}}]},
            ]))
            .say("The end of it.")
            .write();
        let web = LocalWeb::start(home);
        let id = web.home.json(&["list", "--json"])[0]["id"].as_str().unwrap().to_owned();
        for args in [
            vec!["rename", &id, EVIL],
            vec!["tag", "add", &id, "<b>tag</b>"],
            vec!["checkpoint", &id, "--name", "<i>point</i>"],
        ] {
            let run = web.home.sfs(&args);
            assert!(matches!(run.code, Some(0 | 2)), "{run}");
        }
        let web = signed_in(browser, web);
        let session = format!("/sessions/{id}");
        for path in ["/sessions", "/sessions?q=hacked", "/overview", session.as_str()] {
            for width in [1280, 360] {
                browser.size(width, 900);
                browser.open(&web.page(path));
                browser.wait_for(".message, li.session, svg.heat, .empty");
                if path == session {
                    browser.wait_for_text("The end of it.");
                    browser.run("for (const fold of document.querySelectorAll('details')) fold.open = true");
                }
                let overflow =
                    browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth");
                assert!(overflow.as_i64().unwrap() <= 0, "{path} at {width}: {overflow}");
                assert_eq!(browser.run("return window.hacked ?? null"), serde_json::Value::Null, "{path}");
                let foreign = "main script, main style, main iframe, main base, main object, main form[action], main img[src^=http], main svg[onload]";
                assert_eq!(browser.count(foreign), 0, "{path}");
                assert_eq!(
                    browser.run(
                        "return document.querySelectorAll('main').length + document.querySelectorAll('h1').length"
                    ),
                    2,
                    "{path}"
                );
                let turned = browser
                    .run("return /[\\u001b\\u0007\\u202a-\\u202e\\u2066-\\u2069]/.test(document.body.textContent)");
                assert_eq!(turned, false, "{path}: control characters reach the reader");
            }
        }
        let links = browser.run("return [...document.querySelectorAll('.rendered a')].map((link) => link.href)");
        assert!(
            links.as_array().unwrap().iter().all(|link| link.as_str().unwrap().starts_with("https://evil.example/")),
            "{links}"
        );
        web
    });
}

#[test]
fn the_policy_allows_nothing_that_is_not_a_file_of_ours() {
    with_browser("the_policy_allows_nothing_that_is_not_a_file_of_ours", |browser| {
        let web = signed_in(browser, LocalWeb::start(TestHome::new()));
        browser.run(
            "window.refused = []; addEventListener('securitypolicyviolation', (event) => window.refused.push(event.effectiveDirective));
             const script = document.createElement('script'); document.head.append(script);
             try { script.src = 'data:text/javascript,window.hacked=1'; } catch { }
             const style = document.createElement('style'); style.textContent = 'body{display:none}'; document.head.append(style);
             const image = new Image(); image.src = 'http://127.0.0.1:9/t.png'; document.body.append(image);",
        );
        browser.wait("window.refused.length >= 3");
        let mut refused: Vec<String> = serde_json::from_value(browser.run("return window.refused")).unwrap();
        refused.sort();
        assert_eq!(refused, ["img-src", "require-trusted-types-for", "style-src-elem"]);
        assert_eq!(
            browser.run("return [window.hacked ?? null, getComputedStyle(document.body).display]"),
            json!([null, "block"])
        );
        assert!(!browser.errors().is_empty());
        web
    });
}
