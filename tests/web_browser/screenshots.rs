//! The pictures in the README. `make screenshots` keeps them; every other run only takes them.

use super::written::{Story, everyday};
use super::{signed_in, with_browser};
use crate::support::cursor::Cursor;
use crate::support::home::TestHome;
use crate::support::web::LocalWeb;
use std::path::PathBuf;

/// A larger file is not for a README.
const LARGEST: u64 = 150_000;

/// Sessions of some weeks in a few projects, beside the recorded ones of the other tools.
fn weeks() -> TestHome {
    let home =
        TestHome::with(&["codex/patch", "codex/codemode_openai", "codex/shell", "gemini/tools", "gemini/subagent"]);
    Cursor::install(home.path(), "simple_chat");
    everyday(&home).write();
    let subjects = [
        (
            "courier",
            "Uploads larger than 2 GB stop at the last part",
            "The last part was sent with the length of a full one.",
        ),
        ("atlas", "Why is the map's first tile loaded twice?", "Two effects ask for it; the second one is not needed."),
        ("atlas", "Draw the scale bar in the reader's units", "Kilometres and miles, by the browser's language."),
        (
            "ledger",
            "Import the bank's new CSV with its decimal commas",
            "The parser takes the separator from the header now.",
        ),
        ("courier", "Review the retry change before the release", "Two remarks, neither of them blocks it."),
        (
            "ledger",
            "Close the year: every account that is not in balance",
            "Three accounts; the differences are rounding of shares.",
        ),
        (
            "tower",
            "The alarm rings when the sensor sleeps",
            "Silence is not an alarm any more, only a gap of an hour is.",
        ),
        (
            "atlas",
            "Move the labels out of the way of each other",
            "They step aside in a spiral, the nearest free place wins.",
        ),
    ];
    for number in 0..64_u32 {
        let (project, question, answer) = subjects[number as usize % subjects.len()];
        let model = ["claude-opus-4-7", "claude-sonnet-4-6", "claude-haiku-4-5"][number as usize % 3];
        let mut story =
            Story::new(&home, 100 + number, project, 3 + i64::from(number * number) * 2 / 3 + i64::from(number) * 5)
                .model(model);
        for turn in 0..=(number * 7 % 5) {
            let again = if turn == 0 { question.to_owned() } else { format!("And then, step {turn}?") };
            story = story.prompt(&again).say(answer);
        }
        story.write();
    }
    home
}

#[test]
fn the_readmes_pictures_are_taken() {
    with_browser("the_readmes_pictures_are_taken", |browser| {
        let web = LocalWeb::start(weeks());
        let all = web.home.json(&["list", "--all", "--json"]);
        let id = |n: usize| all[n]["id"].as_str().unwrap().to_owned();
        for (n, tag) in [(0, "release"), (3, "release"), (4, "later")] {
            assert_eq!(web.home.sfs(&["tag", "add", &id(n), tag]).code, Some(0));
        }
        assert_eq!(web.home.sfs(&["fork", &id(2), "--name", "Another way to the first tile"]).code, Some(0));
        let scratch = tempfile::tempdir().unwrap();
        let folder =
            std::env::var_os("SESSIONFS_TESTS_SCREENSHOTS").map_or_else(|| scratch.path().to_owned(), PathBuf::from);
        std::fs::create_dir_all(&folder).unwrap();
        let take = |name: &str| {
            let path = folder.join(name);
            browser.screenshot(&path);
            let size = std::fs::metadata(&path).unwrap().len();
            assert!((5_000..LARGEST).contains(&size), "{name}: {size} bytes");
        };
        let web = signed_in(browser, web);
        browser.size(1200, 760);
        browser.run("document.activeElement.blur()");
        take("list.png");
        let conversation = web.page(&format!("/sessions/{}", id(0)));
        browser.open(&conversation);
        browser.wait_for(".contents a");
        browser.run("document.querySelector('.tasks').scrollIntoView({block: 'start'}); window.scrollBy(0, -60)");
        browser.run_async("setTimeout(done, 300)");
        take("conversation.png");
        browser.scheme("dark");
        take("conversation-dark.png");
        browser.scheme("light");
        browser.size(1200, 1290);
        browser.open(&web.page("/overview?by=tokens&days=90"));
        browser.wait_for("svg.heat");
        take("overview.png");
        browser.size(390, 760);
        browser.open(&conversation);
        browser.wait_for(".message");
        take("phone.png");
        web
    });
}
