//! For everybody: names and roles, contrast, the keyboard, and a phone.

use super::driver::{Browser, TAB};
use super::written::{Story, everyday};
use super::{open_session, recorded, signed_in, with_browser};
use crate::support::home::TestHome;
use crate::support::web::LocalWeb;

const CONTRAST: &str = include_str!("contrast.js");

/// Elements that somebody acts on.
const CONTROLS: [&str; 9] =
    ["button", "link", "textbox", "searchbox", "combobox", "checkbox", "radio", "DisclosureTriangle", "spinbutton"];

/// Asserts what must be true of every page in every state.
pub fn check(browser: &Browser, what: &str) {
    for scheme in ["light", "dark"] {
        browser.scheme(scheme);
        let weak = browser.run(CONTRAST);
        assert!(weak.as_array().unwrap().is_empty(), "{what}, {scheme}: contrast below AA: {weak:#}");
    }
    browser.scheme("light");
    for (role, name) in browser.accessible() {
        assert!(!CONTROLS.contains(&role.as_str()) || !name.trim().is_empty(), "{what}: a {role} without a name");
        assert!(
            !matches!(role.as_str(), "dialog" | "region" | "img" | "image" | "article") || !name.is_empty(),
            "{what}: a {role} without a name"
        );
    }
    let twice = browser.run(
        "const ids = [...document.querySelectorAll('[id]')].map((node) => node.id); return ids.filter((id, n) => ids.indexOf(id) !== n)",
    );
    assert_eq!(twice, serde_json::json!([]), "{what}: ids that stand twice");
    let wide = browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth");
    assert!(wide.as_i64().unwrap() <= 0, "{what}: wider than the window: {wide}");
}

#[test]
fn every_page_is_readable_named_and_fits_a_phone() {
    with_browser("every_page_is_readable_named_and_fits_a_phone", |browser| {
        let web = recorded(browser);
        let session = |title: &str| format!("/sessions/{}", web.session(title));
        let pages = [
            ("/sessions".to_owned(), "li.session"),
            ("/sessions?q=hello".to_owned(), ".snippet, .empty"),
            ("/overview?days=365&by=tokens".to_owned(), "svg.heat"),
            (session("one @@bashok"), ".contents a"),
            (session("AAA one @@hello"), ".message.past"),
            (session("patch files"), ".diff"),
            (session("please do it @@todo"), ".tasks"),
            ("/nowhere".to_owned(), ".empty"),
        ];
        for width in [1280, 360] {
            browser.size(width, 800);
            for (path, sign) in &pages {
                browser.open(&web.page(if path == "/nowhere" { "/sessions/a/b" } else { path }));
                browser.wait_for(sign);
                browser.run("for (const fold of document.querySelectorAll('main .rendered details')) fold.open = true");
                check(browser, &format!("{path} at {width}"));
            }
        }
        browser.open(&web.page("/sessions"));
        browser.click("li.session input");
        browser.wait_for(".bulk");
        check(browser, "a selection");
        browser.press("Delete");
        browser.wait_for("dialog[open]");
        check(browser, "a question");
        web
    });
}

#[test]
fn assistive_technology_is_told_what_things_are() {
    with_browser("assistive_technology_is_told_what_things_are", |browser| {
        let home = TestHome::new();
        everyday(&home).write();
        let web = signed_in(browser, LocalWeb::start(home));
        let title = "The upload gives up after the first 503.";
        let told = browser.accessible();
        let has = |told: &[(String, String)], role: &str, name: &str| {
            told.iter().any(|(r, n)| r == role && n.starts_with(name))
        };
        for (role, name) in [
            ("banner", ""),
            ("navigation", "Main"),
            ("main", ""),
            ("search", ""),
            ("searchbox", "Search in everything"),
            ("combobox", "Tool"),
            ("list", "Sessions"),
            ("link", title),
            ("checkbox", "Select all"),
            ("checkbox", &format!("Select: {title}")),
        ] {
            assert!(has(&told, role, name), "{role} {name:?} is missing of {told:#?}");
        }
        browser.click("li.session a.title");
        browser.wait_for(".contents a");
        browser.wait("document.activeElement !== null && document.title.startsWith('The upload')");
        let told = browser.accessible();
        for (role, name) in [
            ("heading", title),
            ("article", "User, message 1"),
            ("article", "Assistant, message 2"),
            ("complementary", "About this session"),
            ("region", "Conversation"),
            ("searchbox", "Find in this session"),
            ("button", "Next match"),
            ("button", "Copy the message"),
            ("link", "Permalink to message #1"),
            ("DisclosureTriangle", "Thinking"),
        ] {
            assert!(has(&told, role, name), "{role} {name:?} is missing of {told:#?}");
        }
        web
    });
}

#[test]
fn everything_is_reached_by_tab_and_shows_it() {
    with_browser("everything_is_reached_by_tab_and_shows_it", |browser| {
        let home = TestHome::new();
        everyday(&home).write();
        Story::new(&home, 2, "courier", 4).prompt("Another").say("One.").write();
        let web = signed_in(browser, LocalWeb::start(home));
        let walk = |steps: usize| -> Vec<String> {
            browser.run("document.activeElement.blur(); window.scrollTo(0, 0)");
            let mut seen = Vec::new();
            for _ in 0..steps {
                browser.keys([TAB]);
                let at = browser.run(
                    "const node = document.activeElement; const style = getComputedStyle(node);
                     const ringed = node === document.body || node.type === 'date' || [node, node.closest('.check'), node.parentElement].some((part) => part && parseFloat(getComputedStyle(part).outlineWidth) > 0 && getComputedStyle(part).outlineStyle !== 'none');
                     return (ringed ? '' : 'no ring: ') + (node.getAttribute('aria-label') || node.innerText?.trim() || node.title || node.name || node.tagName)",
                );
                seen.push(at.as_str().unwrap().lines().next().unwrap_or_default().to_owned());
            }
            seen
        };
        let list = walk(30);
        assert_eq!(list.iter().filter(|name| name.starts_with("no ring")).count(), 0, "{list:?}");
        for name in [
            "Skip to the content",
            "Sessions",
            "Overview",
            "Search in everything that was said",
            "Select all sessions of this page",
            "Another",
        ] {
            assert!(list.iter().any(|seen| seen.starts_with(name)), "{name}: {list:?}");
        }
        open_session(browser, &web, "Another");
        browser.wait_for(".part");
        let session = walk(34);
        assert_eq!(session.iter().filter(|name| name.starts_with("no ring")).count(), 0, "{session:?}");
        for name in [
            "Rename",
            "Add a tag",
            "Resume",
            "Download",
            "Delete",
            "Find in this session",
            "Copy the message",
            "Make a checkpoint",
        ] {
            assert!(session.iter().any(|seen| seen.starts_with(name)), "{name}: {session:?}");
        }
        web
    });
}

#[test]
fn the_layout_does_not_jump_while_a_page_loads() {
    with_browser("the_layout_does_not_jump_while_a_page_loads", |browser| {
        let web = recorded(browser);
        let session = format!("/sessions/{}", web.session("one @@bashok"));
        for (path, sign) in [("/sessions", "li.session"), (session.as_str(), ".contents a"), ("/overview", "svg.heat")]
        {
            browser.open(&web.page(path));
            browser.wait_for(sign);
            let shift = browser.run_async(
                "let sum = 0; new PerformanceObserver((list) => list.getEntries().forEach((entry) => (sum += entry.hadRecentInput ? 0 : entry.value)))
                   .observe({type: 'layout-shift', buffered: true}); setTimeout(() => done(sum), 300)",
            );
            // What the Core Web Vitals call good.
            assert!(shift.as_f64().unwrap() < 0.1, "{path}: {shift}");
        }
        web
    });
}
