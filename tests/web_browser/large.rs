//! Ten thousand sessions, and one of 50 MB. What is asserted is structure: how much is asked for and held. Times are in the
//! figures of `make bench`.

use super::{signed_in, with_browser};
use crate::support::home::TestHome;
use crate::support::web::LocalWeb;
use crate::support::written::{claude_file, claude_line, claude_session, id, write};
use std::fmt::Write;

#[test]
fn ten_thousand_sessions_are_paged_and_filtered() {
    with_browser("ten_thousand_sessions_are_paged_and_filtered", |browser| {
        let home = TestHome::new();
        for number in 0..10_000 {
            let id = id(number);
            let text =
                claude_session(&id, 1).replace("Question 0", &format!("Question {number} about part {}", number % 100));
            write(&claude_file(&home, &id), text.replace("/work/project\"", &format!("/work/p{}\"", number % 40)));
        }
        let web = signed_in(browser, LocalWeb::start(home));
        let total = |text: &str| browser.wait(&format!("document.querySelector('.total')?.innerText === {text:?}"));
        total("10,000 sessions");
        assert_eq!(browser.count("li.session"), 50);
        browser.press("Next");
        browser.wait_for_text("Page 2 of 200");
        browser.wait("scrollY === 0 && location.search === '?page=2'");
        assert_eq!(browser.count("li.session"), 50);
        browser.choose("select[name=project]", "/home/dev/work/p7");
        total("250 sessions");
        browser.fill("input[name=q]", "\"part 47\"");
        total("50 sessions");
        assert!(browser.count(".snippet mark") >= 50);
        browser.press("Clear");
        total("10,000 sessions");
        browser.run("history.back()");
        browser.wait_for("li.session");
        web
    });
}

#[test]
fn a_session_of_fifty_megabytes_is_read_through_a_window() {
    with_browser("a_session_of_fifty_megabytes_is_read_through_a_window", |browser| {
        let home = TestHome::new();
        let session = id(1);
        let (mut text, mut number) = (String::new(), 0);
        while text.len() < 50_000_000 {
            let words = "The quick brown fox `jumps` over **the lazy dog** and goes on.\n\n"
                .repeat(1 + number as usize * 7 % 60);
            let role = if number % 2 == 0 { "user" } else { "assistant" };
            writeln!(text, "{}", claude_line(&session, number, role, &format!("Message {number}. {words}"))).unwrap();
            number += 1;
        }
        write(&claude_file(&home, &session), text);
        let web = signed_in(browser, LocalWeb::start(home));
        browser
            .open(&web.page(&format!("/sessions/{}", web.home.json(&["list", "--json"])[0]["id"].as_str().unwrap())));
        browser.wait_for_text("Message 0.");
        let sizes = || {
            browser.run(
            "const asked = performance.getEntriesByType('resource').filter((entry) => entry.name.includes('/messages?'));
             return [document.querySelectorAll('.block').length, document.querySelectorAll('*').length, Math.max(...asked.map((entry) => entry.decodedBodySize)), asked.length]",
        )
        };
        let first = sizes();
        assert!(first[2].as_u64().unwrap() < 2 << 20 && first[3].as_u64().unwrap() < 12, "{first}");

        // Far jumps: what was on the way is not asked for.
        browser.run("performance.clearResourceTimings()");
        for part in [0.5, 0.9, 0.2, 0.7] {
            browser.run(&format!("window.scrollTo(0, {part} * document.documentElement.scrollHeight)"));
            browser.wait("[...document.querySelectorAll('.message')].some((message) => { const place = message.getBoundingClientRect(); return place.top < innerHeight && place.bottom > 100 })");
            let now = sizes();
            assert!(now[0].as_u64().unwrap() < 40 && now[1].as_u64().unwrap() < 12_000, "{now}");
        }
        assert!(sizes()[3].as_u64().unwrap() < 60, "{}", sizes());

        // Reading on, down and up: the message in sight moves with the wheel and by nothing else.
        let jumps = browser.run_async(
            "const frame = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 0)));
             const pick = () => [...document.querySelectorAll('.messages > .block > .message')].find((node) => node.getBoundingClientRect().bottom > 300 && node.getBoundingClientRect().top < innerHeight);
             (async () => { const jumps = [];
               for (const by of [...Array(60).fill(180), ...Array(120).fill(-180)]) {
                 const node = pick(); if (!node) { await frame(); continue; }
                 const from = node.getBoundingClientRect().top; window.scrollBy(0, by); await frame(); await frame();
                 const moved = from - node.getBoundingClientRect().top; if (node.isConnected && Math.abs(moved - by) > 2) jumps.push([node.dataset.number, moved, by]); }
               done(jumps); })()",
        );
        assert_eq!(jumps, serde_json::json!([]), "something jumped");
        let last = number - 1;
        browser.keys("G".chars());
        browser.wait(&format!("document.activeElement.matches('.message[data-number=\"{last}\"]')"));
        browser.keys("<".chars());
        browser.wait("document.activeElement.matches('.message[data-number=\"0\"]')");
        browser.keys("/".chars());
        browser.keys("Message 17001.".chars());
        browser.wait("document.querySelector('.find .state').innerText === '1 found'");
        browser.keys([super::driver::ENTER]);
        browser.wait_for_text("Message 17001.");
        web
    });
}
