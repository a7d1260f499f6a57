//! The list of sessions: filters, search, pages, marks, and several at once.

use super::written::{Story, everyday};
use super::{recorded, signed_in, with_browser};
use crate::support::home::TestHome;
use crate::support::web::LocalWeb;
use serde_json::json;

const ROWS: &str = "document.querySelectorAll('.list-body:not([aria-busy]) li.session').length";

#[test]
fn filters_narrow_the_list_and_stay_in_the_address() {
    with_browser("filters_narrow_the_list_and_stay_in_the_address", |browser| {
        let web = recorded(browser);
        let all = web.home.json(&["list", "--all", "--json"]).as_array().unwrap().len();
        browser.wait(&format!("{ROWS} === {all}"));
        let tools = browser
            .run("return [...document.querySelectorAll('select[name=tool] option')].map((option) => option.value)");
        assert_eq!(tools.as_array().unwrap().iter().filter(|tool| *tool != "").count(), 4, "{tools}");

        browser.choose("select[name=tool]", "codex");
        browser.wait(&format!("{ROWS} === 3 && location.search === '?tool=codex'"));
        browser.choose("select[name=project]", "/home/dev/work/patch");
        browser.wait(&format!("{ROWS} === 1"));
        assert_eq!(browser.text("li.session .title"), "patch files");
        browser.press("Clear");
        browser.wait(&format!("{ROWS} === {all} && location.search === ''"));
        browser.choose("select[name=model]", "gpt-5.5");
        browser.wait(&format!("{ROWS} === 2"));

        // A filtered list is an address.
        browser.open(&web.page("/sessions?tool=gemini&sort=messages"));
        browser.wait(&format!("{ROWS} === 2"));
        assert_eq!(browser.text("li.session .title"), "Use tools please");
        assert_eq!(browser.run("return document.querySelector('select[name=sort]').value"), "messages");
        browser.open(&web.page("/sessions?since=2026-11-22&until=2026-11-22"));
        browser.wait(&format!("{ROWS} > 5"));
        browser.open(&web.page("/sessions?until=2020-01-01"));
        browser.wait_for_text("No session fits");
        browser.press("Clear all filters");
        browser.wait(&format!("{ROWS} === {all}"));
        web
    });
}

#[test]
fn an_address_that_leads_nowhere_says_what_to_do() {
    with_browser("an_address_that_leads_nowhere_says_what_to_do", |browser| {
        let web = recorded(browser);
        for (path, word) in [
            ("/sessions/%ff", "There is no such page"),
            ("/sessions/a/b", "There is no such page"),
            ("/sessions/not-an-id", "Session not found"),
            ("/sessions/ses_0000000000000000", "Session not found"),
            ("/sessions?page=-1", "page: Input should be greater than or equal to 1"),
            ("/sessions?page=99999999999999999999", "page: Input should be less than or equal to"),
            ("/sessions?since=yesterday", "since: Input should be a date such as"),
        ] {
            browser.open(&web.page(path));
            browser.wait_for_text(word);
            browser.press("All sessions");
            browser.wait(&format!("{ROWS} > 5"));
            assert_eq!(browser.run("return location.search"), "", "{path}");
        }
        browser.open(&web.page("/sessions?page=1000"));
        browser.wait_for_text("There is no page 1,000");
        browser.press("First page");
        browser.wait(&format!("{ROWS} > 5"));
        // What the browser itself notes of an answer; no script failed.
        let errors = browser.errors();
        assert!(errors.iter().all(|error| error.contains("404") || error.contains("422")), "{errors:?}");
        web
    });
}

#[test]
fn a_day_stands_above_its_sessions() {
    with_browser("a_day_stands_above_its_sessions", |browser| {
        let home = TestHome::new();
        for (number, hours) in [(1, 0), (2, 0), (3, 24), (4, 24), (5, 24 * 40)] {
            Story::new(&home, number, "days", hours).prompt("Well?").say("Yes.").write();
        }
        let web = signed_in(browser, LocalWeb::start(home));
        browser.wait(&format!("{ROWS} === 5"));
        let days =
            || browser.run("return [...document.querySelectorAll('li.session')].map((row) => row.dataset.day ?? '')");
        let shown = days();
        assert_eq!(
            (&shown[0], &shown[1], &shown[2], &shown[3]),
            (&json!("Today"), &json!(""), &json!("Yesterday"), &json!(""))
        );
        assert!(!["", "Today", "Yesterday"].contains(&shown[4].as_str().unwrap()), "{shown}");
        browser.choose("select[name=sort]", "messages");
        browser.wait("[...document.querySelectorAll('li.session')].every((row) => !row.dataset.day)");
        web
    });
}

#[test]
fn what_was_not_looked_through_is_said_and_looked_through_on_demand() {
    with_browser("what_was_not_looked_through_is_said_and_looked_through_on_demand", |browser| {
        let home = TestHome::new();
        let mut story = Story::new(&home, 1, "large", 2);
        for _ in 0..20 {
            story = story.prompt(&"x".repeat(1 << 20));
        }
        story.prompt("prefixneedlesuffix").write();
        let web = signed_in(browser, LocalWeb::start(home));
        browser.fill("input[name=q]", "needle");
        browser.wait_for_text("Not everything was looked through yet.");
        browser.press("Look further");
        browser.wait(&format!("{ROWS} === 1 && location.search.includes('further=1')"));
        browser.fill("input[name=q]", "prefixneedlesuffix");
        browser.wait(&format!("{ROWS} === 1 && !location.search.includes('further')"));
        web
    });
}

#[test]
fn a_search_shows_where_the_words_stand_and_leads_there() {
    with_browser("a_search_shows_where_the_words_stand_and_leads_there", |browser| {
        let home = TestHome::new();
        everyday(&home).write();
        Story::new(&home, 2, "courier", 5).prompt("Nothing of interest").say("Indeed.").write();
        let web = signed_in(browser, LocalWeb::start(home));
        browser.fill("input[name=q]", "six attempts");
        browser.wait(&format!("{ROWS} === 1"));
        assert!(browser.text(".snippet mark").to_lowercase().contains("six"));
        browser.click(".snippet a");
        browser.wait_for_text("a good minute");
        browser.wait(
            "document.activeElement.matches('.message') && document.activeElement.innerText.includes('six attempts')",
        );
        assert!(browser.address().starts_with(&web.page("/sessions/ses_")) && browser.address().contains("#m-"));
        browser.run("history.back()");
        browser.wait(&format!("{ROWS} === 1 && document.querySelector('input[name=q]').value === 'six attempts'"));
        web
    });
}

#[test]
fn several_sessions_are_tagged_deleted_restored_and_exported() {
    with_browser("several_sessions_are_tagged_deleted_restored_and_exported", |browser| {
        let web = recorded(browser);
        let all = browser.wait(ROWS).as_u64().unwrap();
        for row in [1, 2] {
            browser.click(&format!("li.session:nth-child({row}) input"));
        }
        browser.wait_for_text("2 selected");
        browser.press("Tag");
        browser.fill("dialog input[name=tag]", "kept");
        browser.press("Tag");
        browser.wait("document.querySelectorAll('li.session .tag').length === 2");
        let tagged = web.home.json(&["list", "--tag", "kept", "--json"]);
        assert_eq!(tagged.as_array().unwrap().len(), 2, "{tagged}");
        browser.choose("select[name=tag]", "kept");
        browser.wait(&format!("{ROWS} === 2"));

        browser.click(".list-head .check input");
        browser.wait_for_text("2 selected");
        browser.protocol(
            "Browser.setDownloadBehavior",
            &json!({"behavior": "allow", "downloadPath": web.home.path().join("got")}),
        );
        // What a filter takes out of sight is not acted on.
        browser.choose("select[name=tool]", "cursor");
        browser.wait("document.querySelector('.bulk') === null");
        browser.choose("select[name=tool]", "");
        browser.wait(&format!("{ROWS} === 2"));
        assert_eq!(browser.count(".bulk"), 0);
        browser.click(".list-head .check input");
        browser.wait_for_text("2 selected");
        browser.press("Export");
        browser.press("Markdown");
        let tar = web.home.path().join("got/sessions.tar");
        let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while !tar.exists() && std::time::Instant::now() < until {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let mut archive = tar::Archive::new(std::fs::File::open(&tar).unwrap());
        assert_eq!(
            archive
                .entries()
                .unwrap()
                .filter(|entry| entry.as_ref().unwrap().path().unwrap().extension().is_some_and(|end| end == "md"))
                .count(),
            2
        );

        browser.press("Delete");
        browser.wait_for_text("hidden, not lost");
        browser.press("Delete");
        browser.wait_for_text("No session fits");
        assert_eq!(web.home.json(&["list", "--all", "--json"]).as_array().unwrap().len() as u64, all - 2);
        browser.press("Clear all filters");
        browser.wait(&format!("{ROWS} === {}", all - 2));
        browser.click(".filters input[type=checkbox]");
        browser.wait(&format!("{ROWS} === 2"));
        browser.click(".list-head .check input");
        browser.press("Restore");
        browser.wait_for_text("No session fits");
        assert_eq!(web.home.json(&["list", "--all", "--json"]).as_array().unwrap().len() as u64, all);
        web
    });
}

#[test]
fn a_fork_is_marked_and_its_lineage_leads_both_ways() {
    with_browser("a_fork_is_marked_and_its_lineage_leads_both_ways", |browser| {
        let home = TestHome::new();
        everyday(&home).write();
        let web = LocalWeb::start(home);
        let parent = web.home.json(&["list", "--json"])[0]["id"].as_str().unwrap().to_owned();
        let run = web.home.sfs(&["fork", &parent, "--name", "Another way"]);
        assert_eq!(run.code, Some(0), "{run}");
        let web = signed_in(browser, web);
        browser.wait(&format!("{ROWS} === 2"));
        browser.wait("[...document.querySelectorAll('li.session')].find((row) => row.innerText.includes('Another way')).innerText.includes('fork')");
        browser.press("Another way");
        browser.wait_for(".message.inherited");
        browser.press(browser.text(".part a[href^='/sessions/']").as_str());
        browser.wait(&format!("location.pathname === '/sessions/{parent}'"));
        browser.wait_for_text("Forked as");
        web
    });
}

#[test]
fn the_list_is_used_without_a_mouse_and_follows_what_is_captured() {
    with_browser("the_list_is_used_without_a_mouse_and_follows_what_is_captured", |browser| {
        let home = TestHome::new();
        everyday(&home).write();
        Story::new(&home, 2, "courier", 5).prompt("Older").say("Yes.").write();
        let web = signed_in(browser, LocalWeb::start(home));
        browser.wait(&format!("{ROWS} === 2"));
        browser.keys("jj".chars());
        browser.wait("document.activeElement.matches('li.session:nth-child(2) a.title')");
        browser.keys("x".chars());
        browser.wait_for_text("1 selected");
        browser.keys("x/".chars());
        browser.wait("document.activeElement.matches('input[name=q]')");
        browser.keys("older".chars());
        browser.wait(&format!("{ROWS} === 1"));
        browser.keys([super::driver::TAB]);
        browser.press("Clear");
        browser.wait(&format!("{ROWS} === 2"));

        // What is captured meanwhile appears by itself.
        Story::new(&web.home, 3, "courier", 0).prompt("Brand new").say("Hello.").write();
        assert_eq!(web.home.sfs(&["import"]).code, Some(0));
        browser.wait(&format!("{ROWS} === 3 && document.querySelector('li.session .title').innerText === 'Brand new'"));
        browser.run("document.activeElement.blur()");
        browser.keys("?".chars());
        browser.wait("document.querySelector('dialog[open]')?.innerText.includes('Next session')");
        assert!(!browser.text("dialog[open]").contains("inbox"), "a local archive has none");
        browser.keys([super::driver::ESCAPE]);
        browser.wait("document.querySelector('dialog') === null");
        browser.keys("go".chars());
        browser.wait("location.pathname === '/overview'");
        web
    });
}
