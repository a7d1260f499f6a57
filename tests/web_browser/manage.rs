//! What a reader changes: titles, tags, deletion, checkpoints; and what he takes along.

use super::written::everyday;
use super::{signed_in, with_browser};
use crate::support::home::TestHome;
use crate::support::web::LocalWeb;

#[test]
fn a_session_is_renamed_tagged_marked_deleted_and_restored() {
    with_browser("a_session_is_renamed_tagged_marked_deleted_and_restored", |browser| {
        let home = TestHome::new();
        everyday(&home).write();
        let web = signed_in(browser, LocalWeb::start(home));
        browser.click("li.session a.title");
        browser.wait_for(".message");
        let listed = || web.home.json(&["list", "--all", "--json"])[0].clone();

        browser.press("Rename");
        browser.fill("dialog input[name=title]", "Uploads <b>retry</b>");
        browser.press("Rename");
        browser.wait("document.querySelector('h1').innerText === 'Uploads <b>retry</b>'");
        browser.wait("document.title.startsWith('Uploads <b>retry</b>')");
        assert_eq!(listed()["title"], "Uploads <b>retry</b>");

        browser.press("Add a tag");
        browser.fill("dialog input[name=tag]", "release");
        browser.press("Add");
        browser.wait_for(".tags li.tag");
        assert_eq!(listed()["tags"][0], "release");
        browser.press("Take off the tag release");
        browser.wait("document.querySelector('.tags li.tag') === null");
        assert_eq!(listed()["tags"].as_array().unwrap().len(), 0);

        browser.press("Make a checkpoint");
        browser.fill("dialog input[name=name]", "before the release");
        browser.press("Make the checkpoint");
        browser.wait_for_text("before the release");
        let id = listed()["id"].as_str().unwrap().to_owned();
        assert!(web.home.sfs(&["checkpoint", &id, "--list"]).stdout.contains("before the release"));
        browser.press("Remove the checkpoint before the release");
        browser.wait("!document.querySelector('.aside').innerText.includes('before the release')");

        browser.press("Delete");
        browser.wait_for_text("hidden, not lost");
        browser.press("Delete");
        browser.wait_for_text("Restore");
        assert_eq!(web.home.json(&["list", "--all", "--json"]).as_array().unwrap().len(), 0);
        browser.press("Restore");
        browser.wait("[...document.querySelectorAll('button')].some((button) => button.innerText.trim() === 'Delete')");
        assert_eq!(listed()["id"], id.as_str());
        web
    });
}

#[test]
fn a_session_is_downloaded_in_every_form() {
    with_browser("a_session_is_downloaded_in_every_form", |browser| {
        let home = TestHome::new();
        everyday(&home).write();
        let web = signed_in(browser, LocalWeb::start(home));
        browser.click("li.session a.title");
        browser.wait_for(".message");
        for (form, ending, inside) in
            [("sfs", ".sfs.tar.gz", "\u{1f}"), ("markdown", ".md", "Retry-After"), ("html", ".html", "<!DOCTYPE html>")]
        {
            let script = format!(
                "const link = document.querySelector('a[href$=\"format={form}\"]');
                 fetch(link.href).then(async (answer) => done([answer.status, answer.headers.get('Content-Disposition'), (await answer.text()).slice(0, 20000)]))"
            );
            let answer = browser.run_async(&script);
            assert_eq!(answer[0], 200, "{answer}");
            assert!(
                answer[1].as_str().unwrap().starts_with("attachment") && answer[1].as_str().unwrap().contains(ending),
                "{}",
                answer[1]
            );
            assert!(answer[2].as_str().unwrap().contains(inside), "{answer}");
        }
        web
    });
}

#[test]
fn empty_wrong_and_lost_places_say_what_to_do() {
    with_browser("empty_wrong_and_lost_places_say_what_to_do", |browser| {
        let web = signed_in(browser, LocalWeb::start(TestHome::new()));
        browser.wait_for_text("sfs import");
        browser.open(&web.page("/overview"));
        browser.wait_for_text("Nothing to count yet");
        browser.open(&web.page("/sessions/nonsense/at/all"));
        browser.wait_for_text("There is no such page");
        browser.open(&web.page("/sessions/%E0%A4%A"));
        browser.wait_for_text("There is no such page");
        browser.open(&web.page("/sessions/ses_aaaaaaaaaaaaaaaa"));
        browser.wait_for_text("Not found");
        let errors = browser.errors();
        assert!(errors.iter().all(|error| error.contains("404")), "{errors:?}");
        // A server that is gone is told, and what is on the page stays.
        browser.open(&web.page("/sessions"));
        browser.wait_for_text("sfs import");
        drop(web);
        browser.fill("input[name=q]", "anything");
        browser.wait_for_text("can't be reached");
        browser.wait_for_text("Not connected");
        browser.run("document.activeElement.blur()");
        browser.keys("go".chars());
        browser.wait_for_text("This page can't be loaded");
        let errors = browser.errors();
        assert!(errors.iter().all(|error| error.contains("ERR_CONNECTION_REFUSED")), "{errors:?}");
    });
}
