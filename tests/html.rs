//! `sfs export --format html`: the page is whole, loads nothing, and obeys nothing that a session says.

use crate::support::home::{TestHome, fixture};
use serde_json::json;
use std::path::Path;

/// Elements without an end.
const VOID: [&str; 4] = ["meta", "img", "input", "br"];

/// The page of the newest session in `home`.
fn page(home: &TestHome) -> String {
    assert_eq!(home.sfs(&["import"]).code, Some(0));
    let run = home.sfs(&["export", "last", "--format", "html"]);
    assert_eq!(run.code, Some(0), "{run}");
    check(&run.stdout);
    run.stdout
}

/// Every element is closed in order, every attribute is one of ours, and nothing is loaded or run.
fn check(page: &str) {
    assert!(page.starts_with("<!DOCTYPE html>\n") && page.ends_with("</html>\n"));
    let style_end = page.find("</style>").unwrap();
    let style = &page[page.find("<style>").unwrap()..style_end];
    assert!(!style.contains("url(") && !style.contains("@import"));
    check_elements(page.replace(style, "<style>").split_once('\n').unwrap().1);
}

/// The same for a piece of a page.
pub fn check_elements(page: &str) {
    const ATTRIBUTES: [&str; 17] = [
        "lang",
        "charset",
        "http-equiv",
        "content",
        "name",
        "class",
        "datetime",
        "href",
        "rel",
        "alt",
        "src",
        "type",
        "disabled",
        "checked",
        "start",
        "title",
        "width",
    ];
    let mut open: Vec<String> = Vec::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        let end = tag_end(&rest[start..]);
        let tag = &rest[start + 1..start + end];
        rest = &rest[start + end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "before {}", &rest[..rest.len().min(200)]);
            continue;
        }
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        let name = name.trim_end_matches('/');
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()), "<{tag}>");
        assert!(!["script", "link", "iframe", "object", "embed", "form", "base", "svg"].contains(&name), "<{tag}>");
        for (attribute, value) in attributes_of(attributes) {
            assert!(ATTRIBUTES.contains(&attribute), "<{tag}>");
            let is_ours = match attribute {
                "src" => value.starts_with("data:image/"),
                "href" => {
                    ["https://", "http://", "mailto:"].iter().any(|scheme| value.to_lowercase().starts_with(scheme))
                }
                _ => true,
            };
            assert!(is_ours && !value.contains(['<', '>', '"']), "<{tag}>");
        }
        if !VOID.contains(&name) && !tag.ends_with('/') {
            open.push(name.to_owned());
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

/// Where the `>` of the tag at the beginning of `text` stands.
fn tag_end(text: &str) -> usize {
    let mut quoted = false;
    text.bytes()
        .position(|b| {
            quoted ^= b == b'"';
            b == b'>' && !quoted
        })
        .unwrap()
}

fn attributes_of(text: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut rest = text.trim().trim_end_matches('/').trim();
    while !rest.is_empty() {
        let (name, value) = rest.split_once("=\"").unwrap_or_else(|| panic!("{text}"));
        let (value, next) = value.split_once('"').unwrap_or_else(|| panic!("{text}"));
        found.push((name, value));
        rest = next.trim();
    }
    found
}

/// A Claude Code session with these lines.
fn claude(lines: &[serde_json::Value]) -> TestHome {
    let home = TestHome::new();
    let folder = home.path().join(".claude/projects/-w");
    std::fs::create_dir_all(&folder).unwrap();
    let id = "11111111-2222-4333-8444-555555555555";
    let mut parent = serde_json::Value::Null;
    let mut text = Vec::new();
    for (n, line) in lines.iter().enumerate() {
        let uuid = format!("00000000-0000-4000-8000-{n:012}");
        let mut record = json!({"parentUuid": parent, "isSidechain": false, "uuid": uuid, "cwd": "/w", "sessionId": id,
            "version": "2.1.330", "timestamp": format!("2026-11-22T08:00:{n:02}.000Z")});
        record.as_object_mut().unwrap().extend(line.as_object().unwrap().clone());
        text.push(format!("{record}\n"));
        parent = uuid.into();
    }
    std::fs::write(folder.join(format!("{id}.jsonl")), text.concat()).unwrap();
    home
}

fn user(content: &serde_json::Value) -> serde_json::Value {
    json!({"type": "user", "message": {"role": "user", "content": content}})
}

fn assistant(content: &serde_json::Value) -> serde_json::Value {
    json!({"type": "assistant", "message": {"role": "assistant", "model": "claude-opus-5-5", "content": content}})
}

#[test]
fn every_recorded_session_makes_a_whole_page() {
    let mut pages = 0;
    for tool in ["claude", "codex", "gemini"] {
        for case in std::fs::read_dir(fixture(tool)).unwrap() {
            let name = format!("{tool}/{}", case.unwrap().file_name().to_string_lossy());
            let home = TestHome::with(&[&name]);
            assert_eq!(home.sfs(&["import"]).code, Some(0));
            for session in home.json(&["list", "--all", "--json"]).as_array().unwrap() {
                let run = home.sfs(&["export", session["id"].as_str().unwrap(), "--format", "html"]);
                assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{name}: {run}");
                check(&run.stdout);
                pages += 1;
            }
        }
    }
    assert!(pages >= 50, "{pages}");
}

#[test]
fn a_page_shows_commands_edits_and_their_results() {
    let page = page(&TestHome::with(&["claude/readedit"]));
    let main = page.split_once("<main>\n").unwrap().1;
    insta::assert_snapshot!(main, @r#"
    <article class="user">
    <h2>User · <time datetime="2026-11-22T08:55:13.301Z">2026-11-22 08:55</time></h2>
    <p>please do it @@readedit</p>
    </article>
    <article class="assistant">
    <h2>Assistant · claude-opus-5-5 · <time datetime="2026-11-22T08:55:13.415Z">2026-11-22 08:55</time></h2>
    <section class="call">
    <p class="tool"><b>Read</b> <code>/home/dev/work/readedit/hello.py</code></p>
    <pre class="result">1	def main():
    2	    print(&#39;hello&#39;)
    3	
    4	main()
    5</pre>
    </section>
    <section class="call">
    <p class="tool"><b>Edit</b> <code>/home/dev/work/readedit/hello.py</code></p>
    <pre class="diff"><del>-print(&#39;hello&#39;)</del>
    <ins>+print(&#39;hello, world&#39;)</ins>
    </pre>
    <p class="note done">The file /home/dev/work/readedit/hello.py has been updated successfully. (file state is current in your context — no need to Read it back)</p>
    </section>
    <p>Edited hello.py</p>
    </article>
    </main>
    <footer>Exported by sessionfs 0.1.0. No secrets were found in it.</footer>
    </body>
    </html>
    "#);
}

#[test]
fn a_hostile_session_is_shown_and_not_obeyed() {
    let evil =
        "<script>alert(1)</script><img src=x onerror=alert(1)>\u{202e}\u{1b}[31mred\u{1b}]0;t\u{7}\"'></pre></details>";
    let long = "x".repeat(100_000);
    let image = |kind: &str, data: &str| json!({"type": "image", "source": {"type": "base64", "media_type": kind, "data": data}});
    let home = claude(&[
        user(&json!(format!("{evil} [a](javascript:alert(1)) ![i](https://evil.example/t.png) {long}"))),
        assistant(&json!([
            {"type": "thinking", "thinking": evil, "signature": "s"},
            {"type": "text", "text": format!("# {evil}\n\n```{evil}\n{evil}\n```\n\n<details><summary>x\n\n| a |\n|--:|\n| {evil} |")},
            {"type": "tool_use", "id": "t1", "name": evil, "input": {evil: evil, "file_path": evil, "n": [evil]}},
            {"type": "tool_use", "id": "t2", "name": "Bash", "input": {"command": evil}},
            {"type": "tool_use", "id": "t3", "name": "Edit", "input": {"file_path": evil, "old_string": evil, "new_string": "b"}},
            {"type": "tool_use", "id": "t4", "name": "TodoWrite", "input": {"todos": [{"content": evil, "status": evil}]}},
            {"type": evil, "x": evil},
        ])),
        user(&json!([
            {"type": "tool_result", "tool_use_id": "t1", "is_error": true, "content": evil},
            {"type": "tool_result", "tool_use_id": "t2", "content": [{"type": "text", "text": evil},
                image("image/png", "iVBORw0KGgo="), image("image/svg+xml", "PHN2Zz4="), image("image/png", "\"><script>")]},
        ])),
    ]);
    let page = page(&home);
    for wrong in ["<script", "<img src=x", "\u{202e}", "\u{1b}", "href=\"javascript", "image/svg+xml;", "style="] {
        assert!(!page.contains(wrong), "{wrong:?}");
    }
    assert_eq!(page.matches("<img ").count(), 1, "the one real picture");
    assert!(
        page.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && page.contains("\\u{202e}") && page.contains(&long)
    );
    assert!(page.contains("Picture (image/svg+xml), not shown"));
}

#[test]
fn what_old_clients_of_codex_wrapped_is_shown_as_it_was() {
    let page = page(&TestHome::with(&["codex/v020"]));
    assert!(!page.contains("{&quot;output&quot;"), "{page}");
    assert!(page.contains("<p class=\"note\">exit code 0 · "), "{page}");
}

#[test]
fn the_page_allows_its_own_style_and_nothing_else() {
    use sha2::Digest;
    let page = page(&TestHome::with(&["claude/chat"]));
    let style = page.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
    let policy = page.split_once("Content-Security-Policy\" content=\"").unwrap().1.split_once('"').unwrap().0;
    let hash = policy.split_once("'sha256-").unwrap().1.split_once('\'').unwrap().0;
    let value =
        |c: char| "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".find(c).unwrap_or(0) as u32;
    let bytes = hash.as_bytes().chunks(4).flat_map(|four| {
        let word = four.iter().fold(0, |word, c| (word << 6) | value(char::from(*c)));
        word.to_be_bytes()[1..].to_vec()
    });
    assert_eq!(bytes.take(32).collect::<Vec<u8>>(), sha2::Sha256::digest(style).to_vec());
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(policy.ends_with("'; img-src data:; base-uri 'none'; form-action 'none'"), "{policy}");
}

#[test]
fn sub_agents_are_folded_and_what_the_model_does_not_see_is_marked() {
    let agent = page(&TestHome::with(&["claude/sub"]));
    assert!(agent.contains("<details class=\"agent\"><summary>Sub-agent ab0c9a5188940a649</summary>"), "{agent}");
    let compacted = page(&TestHome::with(&["claude/i_compact"]));
    let (before, after) = compacted.split_once("<details class=\"compaction\">").unwrap();
    assert!(before.contains("<article class=\"user past\">") && !after.contains(" past\">"), "{compacted}");
    let rewound = page(&TestHome::with(&["claude/i_rewind"]));
    let past: Vec<&str> = rewound.split("<article class=\"").skip(1).filter(|a| a.starts_with("user past")).collect();
    assert!(past.len() == 1 && past[0].contains("BBB two @@think"), "{past:?}");
    // A call that Gemini CLI writes before its message is finished is in its view all the same.
    assert!(!page(&TestHome::with(&["gemini/tools"])).contains(" past\">"));
}

#[test]
fn a_page_is_written_to_a_private_file_once() {
    use std::os::unix::fs::PermissionsExt;
    let home = TestHome::with(&["claude/chat"]);
    home.sfs(&["import"]);
    let run = home.sfs(&["export", "last", "--format", "html", "-o", "out"]);
    let path = home.path().join(run.stdout.trim());
    assert!(path.starts_with(home.path()) && path.extension() == Some("html".as_ref()), "{run}");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let again = home.sfs(&["export", "last", "--format", "html", "-o", "out"]);
    assert_eq!(again.code, Some(4), "{again}");
    assert!(Path::new(&path).exists());
}
