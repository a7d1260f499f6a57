//! One session: everything in it is shown as what it is, found, reached by an address and by keys, and followed while it grows.

use super::driver::{ENTER, ESCAPE, SHIFT};
use super::written::{Story, everyday};
use super::{open_session, recorded, signed_in, with_browser};
use crate::support::home::TestHome;
use crate::support::web::LocalWeb;

#[test]
fn calls_and_results_are_shown_as_what_they_are() {
    with_browser("calls_and_results_are_shown_as_what_they_are", |browser| {
        let web = recorded(browser);
        open_session(browser, &web, "please do it @@readedit");
        assert_eq!(browser.text(".diff ins"), "+print('hello, world')");
        assert_eq!(browser.text(".diff del"), "-print('hello')");
        assert!(browser.text(".tool code").ends_with("hello.py"));
        open_session(browser, &web, "please do it @@bashfail");
        assert!(browser.text(".terminal").starts_with('$'));
        browser.wait_for(".result.error, .note.error");
        open_session(browser, &web, "please do it @@todo");
        assert!(browser.count(".tasks li") >= 2);
        open_session(browser, &web, "please do it @@readpng");
        browser.wait("document.querySelector('.rendered img').naturalWidth > 0");
        open_session(browser, &web, "please do it @@thinktool");
        browser.wait_for("details.thinking:not([open])");
        browser.press("Thinking");
        browser.wait("document.querySelector('details.thinking').open");
        open_session(browser, &web, "patch files");
        assert!(browser.count(".diff ins") > 0);
        browser.wait_for("details.other:not([open])");
        open_session(browser, &web, "Use tools please");
        open_session(browser, &web, "work in code mode");
        let cursor = web.home.json(&["list", "--tool", "cursor", "--json"]);
        browser.open(&web.page(&format!("/sessions/{}", cursor[0]["id"].as_str().unwrap())));
        browser.wait_for(".message.user");
        web
    });
}

#[test]
fn branches_compactions_and_sub_agents_are_seen_and_reached() {
    with_browser("branches_compactions_and_sub_agents_are_seen_and_reached", |browser| {
        let web = recorded(browser);
        open_session(browser, &web, "AAA one @@hello");
        browser.wait(
            "[...document.querySelectorAll('.message.past')].some((message) => message.innerText.includes('BBB two'))",
        );
        browser.wait_for_text("The live conversation goes on here");
        browser.wait_for_text("Abandoned branch");
        browser.click(".contents a[href^='#m-']:not([aria-current])");
        browser.wait("document.activeElement.matches('.message.user')");

        open_session(browser, &web, "one @@bashok");
        browser.wait_for("details.compaction");
        browser.wait_for_text("Compaction at #14");

        open_session(browser, &web, "please do it @@sub");
        browser.wait_for("details.agent:not([open])");
        browser.click("details.agent > summary");
        browser.wait_for("details.agent .nested .message.task");
        browser.wait("document.querySelectorAll('details.agent .nested .message').length > 1");
        web
    });
}

/// A session with a long result: line 40 of it is folded away.
fn with_a_long_result(home: &TestHome) -> Story {
    let lines: String = (1..=60)
        .map(|n| if n == 40 { "here is the hidden needle\n".to_owned() } else { format!("line {n}\n") })
        .collect();
    Story::new(home, 1, "courier", 3)
        .prompt("Look around.")
        .call("Bash", &serde_json::json!({"command": "ls -la", "description": "List the files"}), &lines)
        .call(
            "Grep",
            &serde_json::json!({"pattern": "fn main", "output_mode": "content", "-n": true}),
            "src/main.rs:1:fn main() {",
        )
        .call(
            "Edit",
            &serde_json::json!({"file_path": "/home/dev/a.rs", "old_string": "a", "new_string": "b"}),
            "The file /home/dev/a.rs has been updated.",
        )
        .say("Done.")
}

#[test]
fn calls_are_cards_and_what_is_long_in_them_is_folded() {
    with_browser("calls_are_cards_and_what_is_long_in_them_is_folded", |browser| {
        let home = TestHome::new();
        with_a_long_result(&home).write();
        let web = signed_in(browser, LocalWeb::start(home));
        let id = web.home.json(&["list", "--json"])[0]["id"].as_str().unwrap().to_owned();
        let page = web.page(&format!("/sessions/{id}"));
        browser.open(&page);
        browser.wait_for(".message .call");
        let lines = browser.run("return [...document.querySelectorAll('.call > .tool')].map((line) => line.innerText)");
        assert_eq!(
            lines,
            serde_json::json!([
                "Bash List the files",
                "Grep fn main -n true · output_mode content",
                "Edit /home/dev/a.rs"
            ])
        );
        assert_eq!(browser.run("return Math.max(...[...document.querySelectorAll('.call > .tool')].map((line) => line.offsetHeight)) < 40"), true);
        assert_eq!(browser.text(".more > summary"), "48 more lines");
        assert_eq!(browser.run("return document.querySelector('.result').innerText.split('\\n').length"), 12);
        assert_eq!(browser.text(".note.done"), "The file /home/dev/a.rs has been updated.");
        // By keyboard, and nothing above moves.
        browser.run("document.querySelector('.more > summary').focus()");
        let before = browser.run("return document.querySelector('.more').getBoundingClientRect().top");
        browser.keys([ENTER]);
        browser.wait(
            "document.querySelector('.more').open && document.querySelector('.log').innerText.includes('line 60')",
        );
        assert_eq!(browser.run("return document.querySelector('.more').getBoundingClientRect().top"), before);
        // What is copied of a result is all of it.
        browser.protocol(
            "Browser.grantPermissions",
            &serde_json::json!({"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}),
        );
        browser.run("document.querySelector('.code:has(.result) .copy').click()");
        browser.wait_for_text("Copied");
        let copied = browser.run_async("navigator.clipboard.readText().then(done)").as_str().unwrap().to_owned();
        assert_eq!(copied.lines().count(), 60, "{copied}");

        // The address of the result, what finds in the page, and a hit of the list unfold it.
        let result = browser.run("return document.querySelector('.message:has(.more)').nextElementSibling.id");
        browser.open("about:blank");
        browser.open(&format!("{page}#{}", result.as_str().unwrap()));
        browser.wait("document.querySelector('.more')?.open");
        browser.open("about:blank");
        browser.open(&page);
        browser.wait("document.querySelector('.more')?.open === false");
        browser.keys("/".chars());
        browser.keys("hidden needle".chars());
        browser.wait("document.querySelector('.find .state').innerText.endsWith(' found')");
        browser.keys([ENTER]);
        browser.wait("document.querySelector('.more').open");
        browser.open(&web.page("/sessions?q=hidden"));
        browser.wait_for(".snippet a");
        browser.click(".snippet a");
        browser.wait(
            "(() => { const range = [...(CSS.highlights.get('found') ?? [])][0]; const place = range?.getBoundingClientRect();
               return place && place.height > 0 && place.top > 40 && place.bottom < innerHeight && range.toString() === 'hidden'; })()",
        );
        assert!(browser.address().contains("?find=hidden#m-"), "{}", browser.address());
        web
    });
}

#[test]
fn the_cost_is_seen_at_every_width() {
    with_browser("the_cost_is_seen_at_every_width", |browser| {
        let home = TestHome::new();
        let mut story =
            Story::new(&home, 1, "courier", 3).model("claude-opus-4-7-of-a-very-long-name-that-nobody-would-give-it");
        for n in 0..40 {
            story = story.prompt(&format!("Question {n}")).say("Answer");
        }
        story.model("claude-opus-4-7").prompt("And now?").say("Now.").write();
        let web = signed_in(browser, LocalWeb::start(home));
        browser.click("li.session a.title");
        browser.wait_for(".message");
        for width in [1280, 1152, 720, 360] {
            browser.size(width, 900);
            browser.run("document.querySelector('.aside > details').open = true");
            let inside = browser.run(
                "const frame = document.querySelector('.aside').getBoundingClientRect();
                 const cells = [...document.querySelectorAll('.by-model td:last-child, .by-model thead th:last-child')];
                 return [cells.length, cells.every((cell) => { const place = cell.getBoundingClientRect(); return place.width > 0 && place.right <= frame.right + 1 && cell.scrollWidth <= cell.clientWidth + 1; }), cells.map((cell) => cell.innerText).join(' ')]",
            );
            assert_eq!(
                (&inside[0], &inside[1]),
                (&serde_json::json!(3), &serde_json::json!(true)),
                "{width}: {inside}"
            );
            assert!(inside[2].as_str().unwrap().contains('$'), "{inside}");
        }
        web
    });
}

#[test]
fn the_contents_of_a_long_session_come_in_parts() {
    with_browser("the_contents_of_a_long_session_come_in_parts", |browser| {
        let home = TestHome::new();
        let mut story = Story::new(&home, 1, "courier", 30);
        for n in 0..500 {
            story = story.prompt(&format!("Question {n}.")).say(&format!("Answer {n}."));
        }
        story.write();
        let web = signed_in(browser, LocalWeb::start(home));
        browser.click("li.session a.title");
        browser.wait_for_text("Prompts (500)");
        let first = "document.querySelector('.contents a').innerText";
        assert_eq!(browser.count("ol.contents li"), 200);
        assert_eq!(browser.run("return document.querySelector('ol.contents').start"), 1);
        browser.press("300 later prompts…");
        browser.wait(&format!("{first} === 'Question 100.' && document.querySelector('ol.contents').start === 101"));
        browser.wait("document.activeElement.innerText === 'Question 199.'");
        browser.press("200 later prompts…");
        browser.wait(&format!("{first} === 'Question 200.'"));
        browser.press("200 earlier prompts…");
        browser.wait(&format!("{first} === 'Question 101.'"));
        // It follows who reads, and leads him from prompt to prompt.
        browser.keys("G".chars());
        browser.wait(&format!("{first} === 'Question 300.'"));
        browser.wait("document.querySelector('.contents [aria-current]')?.innerText.startsWith('Question 49')");
        browser.keys("p".chars());
        browser.wait(
            "document.activeElement.matches('.message') && document.activeElement.innerText.includes('Question 49')",
        );
        browser.wait("[...document.querySelectorAll('.message.user .usage')].some((turn) => turn.innerText.startsWith('turn: '))");
        web
    });
}

#[test]
fn every_turn_says_what_it_took() {
    with_browser("every_turn_says_what_it_took", |browser| {
        let home = TestHome::new();
        everyday(&home).write();
        let web = signed_in(browser, LocalWeb::start(home));
        browser.click("li.session a.title");
        browser.wait_for(".message");
        let total = web.home.json(&["list", "--json"])[0]["cost_usd"].as_f64().unwrap();
        browser.wait(&format!("document.querySelector('.facts').innerText.includes('${total:.2}')"));
        browser.wait("document.querySelector('.message.assistant .usage').innerText.includes(' out')");
        browser.wait("[...document.querySelectorAll('.message.user .usage')].filter((turn) => /turn: .*in.*out.*\\$/.test(turn.innerText)).length === 2");
        web
    });
}

#[test]
fn find_jumps_from_match_to_match() {
    with_browser("find_jumps_from_match_to_match", |browser| {
        let home = TestHome::new();
        let mut story = Story::new(&home, 1, "courier", 3);
        for n in 0..120 {
            let word = if n % 40 == 7 { "A needle here" } else { "Hay" };
            story = story.prompt(&format!("Question {n}")).answer(&serde_json::json!([
                {"type": "thinking", "thinking": format!("{word} {n}"), "signature": "s"}, {"type": "text", "text": format!("Answer {n}")}]));
        }
        story.write();
        let web = signed_in(browser, LocalWeb::start(home));
        browser.click("li.session a.title");
        browser.wait_for(".message");
        let state =
            |text: &str| browser.wait(&format!("document.querySelector('.find .state').innerText === {text:?}"));
        browser.keys("/".chars());
        browser.keys("NEEDLE".chars());
        state("3 found");
        browser.keys([ENTER]);
        state("1 of 3");
        let seen = |text: &str| {
            browser.wait(&format!(
                "(() => {{ const range = [...(CSS.highlights.get('found') ?? [])][0]; const place = range?.getBoundingClientRect();
                   return place && place.top > 40 && place.bottom < innerHeight && range.startContainer.data.includes({text:?}); }})()"
            ))
        };
        seen("needle here 7");
        browser.keys([ENTER]);
        state("2 of 3");
        seen("needle here 47");
        browser.keys([SHIFT, ENTER]);
        state("1 of 3");
        browser.keys([SHIFT, ENTER]);
        state("3 of 3");
        seen("needle here 87");
        // Two steps at once: the last one counts, although the first one's drawing ends later.
        browser.run(
            "for (let n = 0; n < 2; n += 1) document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true }))",
        );
        state("2 of 3");
        std::thread::sleep(std::time::Duration::from_millis(500));
        seen("needle here 47");
        browser.keys([ESCAPE]);
        state("");
        assert_eq!(browser.run("return CSS.highlights.size"), 0);
        web
    });
}

#[test]
fn a_result_is_found_where_its_call_stands() {
    with_browser("a_result_is_found_where_its_call_stands", |browser| {
        let web = recorded(browser);
        open_session(browser, &web, "one @@bashok");
        browser.keys("/".chars());
        browser.keys("pixel.png".chars());
        browser.wait("document.querySelector('.find .state').innerText.endsWith(' found')");
        browser.keys([ENTER]);
        browser.wait(
            "(() => { const range = [...(CSS.highlights.get('found') ?? [])][0]; const place = range?.getBoundingClientRect();
               return place && place.top > 40 && place.bottom < innerHeight && range.toString() === 'pixel.png'; })()",
        );
        // The address of the result leads to the call as well.
        let result = browser.run(
            "const range = [...CSS.highlights.get('found')][0]; const call = range.startContainer.parentElement.closest('.message');
             return [call.nextElementSibling.className, call.nextElementSibling.id, call.id]",
        );
        assert_eq!(result[0], "nothing", "{result}");
        let page = browser.address();
        let page = page.split('#').next().unwrap().to_owned();
        browser.open("about:blank");
        browser.open(&format!("{page}#{}", result[1].as_str().unwrap()));
        browser.wait(&format!("document.activeElement.id === {}", result[2]));
        web
    });
}

#[test]
fn addresses_lead_into_sub_agents_and_say_what_is_lost() {
    with_browser("addresses_lead_into_sub_agents_and_say_what_is_lost", |browser| {
        let web = recorded(browser);
        let id = open_session(browser, &web, "please do it @@sub");
        browser.click("details.agent > summary");
        browser.wait_for("details.agent .nested .message");
        let last = browser.run("return [...document.querySelectorAll('.nested .message')].at(-1).id");
        let page = web.page(&format!("/sessions/{id}"));
        browser.open("about:blank");
        browser.open(&format!("{page}#{}", last.as_str().unwrap()));
        browser.wait(&format!(
            "document.activeElement.id === {last} && document.activeElement.closest('dialog') !== null"
        ));
        for lost in ["m-nonsense", "m-%", "a-nobody-nothing"] {
            browser.open("about:blank");
            browser.open(&format!("{page}#{lost}"));
            browser.wait_for_text("This message is not here (any more).");
            browser.wait_for(".message");
        }
        let errors = browser.errors();
        assert!(errors.iter().all(|error| error.contains("404")), "{errors:?}");
        web
    });
}

#[test]
fn messages_have_addresses_and_are_walked_by_keys() {
    with_browser("messages_have_addresses_and_are_walked_by_keys", |browser| {
        let home = TestHome::new();
        everyday(&home).write();
        let web = signed_in(browser, LocalWeb::start(home));
        browser.click("li.session a.title");
        browser.wait_for(".message");
        browser.keys("jj".chars());
        browser.wait("document.activeElement.matches('.message[data-number=\"1\"]')");
        browser.keys("o".chars());
        browser.wait("document.activeElement.querySelector('details').open");
        browser.keys("n".chars());
        browser.wait("document.activeElement.innerText.includes('give up some day')");
        browser.keys("p".chars());
        browser.wait("document.activeElement.matches('.message[data-number=\"0\"]')");
        browser.keys("G".chars());
        browser.wait("document.activeElement.innerText.includes('a good minute')");
        let id = browser.run("return document.activeElement.id").as_str().unwrap().to_owned();
        let session = browser.run("return location.pathname").as_str().unwrap().to_owned();

        browser.protocol(
            "Browser.grantPermissions",
            &serde_json::json!({"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}),
        );
        browser.keys("y".chars());
        browser.wait_for_text("Address copied");
        assert_eq!(
            browser.run_async("navigator.clipboard.readText().then(done)"),
            web.page(&format!("{session}#{id}")).as_str()
        );

        browser.open("about:blank");
        browser.open(&web.page(&format!("{session}#{id}")));
        browser.wait(&format!("document.activeElement.id === {id:?}"));
        browser.wait("document.activeElement.getBoundingClientRect().bottom <= innerHeight + 1");
        browser.keys("gl".chars());
        browser.wait("location.pathname === '/sessions'");
        web
    });
}

#[test]
fn code_commands_and_messages_are_copied() {
    with_browser("code_commands_and_messages_are_copied", |browser| {
        let home = TestHome::new();
        everyday(&home).write();
        let web = signed_in(browser, LocalWeb::start(home));
        browser.click("li.session a.title");
        browser.wait_for(".message");
        browser.protocol(
            "Browser.grantPermissions",
            &serde_json::json!({"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}),
        );
        let clipboard = || browser.run_async("navigator.clipboard.readText().then(done)").as_str().unwrap().to_owned();
        browser.run("document.querySelector('.code:has(.terminal) .copy').focus()");
        browser.keys([ENTER]);
        browser.wait_for_text("Copied");
        assert_eq!(clipboard(), "$ rg -n 'sleep' src/upload.rs");
        browser.run("document.querySelector('.message:has(.terminal) > header .copy').click()");
        browser.wait_for_text("Message copied");
        assert!(clipboard().contains("$ rg") && !clipboard().contains("Copy"), "{}", clipboard());
        browser.wait("!document.body.innerText.includes('Message copied')");
        browser.run("document.querySelector('.message.user .copy').click()");
        browser.wait_for_text("Message copied");
        assert!(clipboard().starts_with("The upload gives up after the first 503."));
        browser.press("Resume");
        browser.wait_for("dialog .command");
        let id = browser.run("return location.pathname.split('/')[2]").as_str().unwrap().to_owned();
        browser.press(&format!("Copy: sfs resume {id} --in codex"));
        browser.wait_for_text("Command copied");
        assert_eq!(clipboard(), format!("sfs resume {id} --in codex"));
        web
    });
}

#[test]
fn what_is_written_meanwhile_appears() {
    with_browser("what_is_written_meanwhile_appears", |browser| {
        let home = TestHome::new();
        let story = everyday(&home).write();
        let web = signed_in(browser, LocalWeb::start(home));
        browser.click("li.session a.title");
        browser.wait_for(".message");
        browser.keys("G".chars());
        browser.wait("document.activeElement.innerText.includes('a good minute')");
        let known = story.line_count();
        let story = story.prompt("And now?").say("Now it goes on, and whoever is at the end stays there.");
        story.append(known);
        assert_eq!(web.home.sfs(&["import"]).code, Some(0));
        browser.wait_for_text("whoever is at the end stays there");
        browser.wait(
            "[...document.querySelectorAll('.message')].at(-1).getBoundingClientRect().bottom <= innerHeight + 1",
        );

        // Whoever reads above is told, and not moved.
        browser.size(1280, 400);
        browser.keys("<".chars());
        browser.wait("document.activeElement.matches('.message[data-number=\"0\"]')");
        browser.wait_for(".latest:not(.unseen)");
        let before = browser.run("return scrollY");
        let known = story.line_count();
        story.prompt("Still there?").say("Yes, further down.").append(known);
        assert_eq!(web.home.sfs(&["import"]).code, Some(0));
        browser.wait("document.querySelector('.latest').innerText.includes('2 new')");
        assert_eq!(browser.run("return scrollY"), before);
        browser.click(".latest");
        browser.wait_for_text("Yes, further down.");
        web
    });
}
