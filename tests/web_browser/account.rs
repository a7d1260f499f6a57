//! On a server: keys, sharing, the inbox, and what administrators see.

use super::accessible::check;
use super::driver::Browser;
use super::with_browser;
use super::written::{Story, everyday};
use crate::support::home::TestHome;
use crate::support::server::SyncServer;
use serde_json::json;

/// A home with an account on `server` and what `write` puts into it.
fn user(server: &SyncServer, email: &str, write: impl FnOnce(&TestHome)) -> TestHome {
    let home = TestHome::new();
    write(&home);
    for args in [vec!["import"], vec!["auth", "signup", "--url", &server.url, "--email", email], vec!["push"]] {
        let run = home.sfs(&args);
        assert_eq!(run.code, Some(0), "{args:?}: {run}");
    }
    home
}

/// Signs the browser in as the account of `home`, in place of whoever was.
fn sign_in(browser: &Browser, home: &TestHome, server: &SyncServer, path: &str) {
    let run = home.sfs(&["auth", "web", "--no-open"]);
    let link = run
        .stdout
        .split_whitespace()
        .find(|word| word.starts_with("http"))
        .unwrap_or_else(|| panic!("{run}"))
        .to_owned();
    browser.open("about:blank");
    browser.protocol("Network.clearBrowserCookies", &json!({}));
    browser.open(&link);
    browser.wait_for("li.session, .list-body .empty");
    // Where somebody was signed in before, the page asks whether he still is.
    let errors = browser.errors();
    assert!(errors.iter().all(|error| error.contains("401")), "{errors:?}");
    browser.open(&format!("{}{path}", server.url));
    browser.wait(
        "document.querySelector('main h1') !== null && !document.querySelector('main').hasAttribute('aria-busy')",
    );
}

#[test]
fn keys_are_made_shown_once_and_revoked() {
    with_browser("keys_are_made_shown_once_and_revoked", |browser| {
        let server = SyncServer::start();
        let home = user(&server, "me@example.org", |home| drop(everyday(home).write()));
        sign_in(browser, &home, &server, "/keys");
        browser.wait_for_text("1 session of me@example.org");
        check(browser, "keys");
        browser.press("New key");
        browser.fill("dialog input[name=name]", "laptop <b>");
        browser.press("Create");
        browser.wait_for_text("It is shown this once");
        let key = browser.text("dialog .command code");
        assert!(key.starts_with("sk_sfs_"), "{key}");
        browser.press("Close");
        browser.wait_for_text("laptop <b>");
        let other = TestHome::new();
        let log_in = || {
            other.finish(
                other.command(&["auth", "login", "--url", &server.url]).env("SFS_API_KEY", &key).output().unwrap(),
            )
        };
        assert_eq!(log_in().code, Some(0));
        browser.press("Rename laptop <b>");
        assert_eq!(browser.run("return document.querySelector('dialog input[name=name]').value"), "laptop <b>");
        browser.fill("dialog input[name=name]", "desk <i>");
        browser.press("Rename");
        browser.wait("document.querySelector('main').innerText.includes('desk <i>')");
        assert_eq!(log_in().code, Some(0), "the key is the same");
        browser.press("Revoke desk <i>");
        browser.wait_for_text("signed out at once");
        browser.press("Revoke");
        browser.wait("!document.querySelector('main').innerText.includes('desk')");
        assert_eq!(log_in().code, Some(5));
        server
    });
}

#[test]
fn a_page_says_that_nobody_answers_and_goes_on_by_itself() {
    with_browser("a_page_says_that_nobody_answers_and_goes_on_by_itself", |browser| {
        let mut server = SyncServer::start();
        let home = TestHome::new();
        let mut story = everyday(&home).write();
        home.sfs(&["import"]);
        server.sign_up(&home);
        assert_eq!(home.sfs(&["push"]).code, Some(0));
        let id = home.json(&["list", "--json"])[0]["id"].as_str().unwrap().to_owned();
        sign_in(browser, &home, &server, "/sessions");
        for (path, place, word) in [
            ("/sessions".to_owned(), "li.session .figures", "15 messages"),
            (format!("/sessions/{id}"), ".log", "said while nobody listened"),
        ] {
            browser.open(&format!("{}{path}", server.url));
            browser.wait_for("li.session, .message");
            let (folder, address) = server.stop();
            // Where what is said in passing is told to those who do not see it.
            browser.wait("document.querySelector('[role=status][aria-live=polite]').innerText.includes('Not connected: what you see may be old.')");
            server = SyncServer::at(folder, &address, &[]);
            let known = story.line_count();
            story = story.prompt("Are you there?").say("This was said while nobody listened.");
            story.append(known);
            assert_eq!(home.sfs(&["import"]).code, Some(0));
            assert_eq!(home.sfs(&["push"]).code, Some(0));
            browser.wait_for_text("Connected again.");
            browser.wait("!document.querySelector('.toasts').innerText.includes('Not connected')");
            browser.run("scrollTo(0, document.documentElement.scrollHeight)");
            browser.wait(&format!("document.querySelector({place:?}).innerText.includes({word:?})"));
        }

        // A view that could not be drawn comes when there is somebody to ask.
        let (folder, address) = server.stop();
        browser.press("sessionfs: all sessions");
        browser.wait_for_text("can't be reached. Is it running?");
        server = SyncServer::at(folder, &address, &[]);
        browser.wait_for("li.session");
        let errors = browser.errors();
        assert!(errors.iter().all(|error| error.contains("ERR_")), "{errors:?}");
        server
    });
}

#[test]
fn a_session_is_shared_accepted_and_taken_back() {
    with_browser("a_session_is_shared_accepted_and_taken_back", |browser| {
        let server = SyncServer::start();
        let alice = user(&server, "me@example.org", |home| drop(everyday(home).write()));
        let bob = user(&server, "bob@example.org", |home| {
            drop(Story::new(home, 9, "own", 3).prompt("Mine").say("Yours.").write());
        });
        let id = alice.json(&["list", "--json"])[0]["id"].as_str().unwrap().to_owned();

        sign_in(browser, &alice, &server, &format!("/sessions/{id}"));
        browser.press("Share");
        browser.wait_for("dialog[open]");
        check(browser, "sharing");
        browser.fill("dialog input[name=email]", "bob@example.org");
        browser.click("dialog button[type=submit]");
        browser.wait_for_text("It is in the inbox of bob@example.org");
        browser.press("Close");
        browser.wait("document.querySelector('.aside').innerText.includes('bob@example.org')");

        browser.press("Share");
        browser.click("dialog input[value=link]");
        browser.click("dialog button[type=submit]");
        browser.wait_for_text("only its hash is kept");
        let link = browser.text("dialog .command code");
        browser.press("Close");
        browser.open(&format!("{}/sessions", server.url));
        browser.wait("document.querySelector('li.session .mark')?.innerText.includes('shared')");
        browser.open(&format!("{}/shares", server.url));
        browser.wait_for_text("bob@example.org");
        check(browser, "shares");

        // The link needs neither an account nor JavaScript.
        browser.protocol("Network.clearBrowserCookies", &json!({}));
        browser.protocol("Emulation.setScriptExecutionDisabled", &json!({"value": true}));
        browser.open(&link);
        let page = browser.run("return document.body.innerText");
        assert!(page.as_str().unwrap().contains("Does it give up some day?"), "{page}");
        browser.size(360, 800);
        assert_eq!(browser.run("return document.documentElement.scrollWidth <= 360"), true);
        browser.size(1280, 900);
        browser.protocol("Emulation.setScriptExecutionDisabled", &json!({"value": false}));

        sign_in(browser, &bob, &server, "/inbox");
        browser.wait_for_text("shared by me@example.org");
        check(browser, "inbox");
        browser.run("document.querySelector('.cards .button.primary').click()");
        browser.wait_for_text("To continue it on your machine");
        browser.wait("[...document.querySelectorAll('.command code')].some((code) => code.innerText.startsWith('sfs inbox accept ses_'))");

        sign_in(browser, &alice, &server, "/shares");
        browser.press("Revoke link");
        browser.wait_for_text("stops working at once");
        browser.press("Revoke");
        browser.wait("document.querySelectorAll('.cards > li').length === 1");
        assert_eq!(browser.run_async(&format!("fetch({link:?}).then((answer) => done(answer.status))")), 404);
        browser.press("Revoke bob@example.org");
        browser.press("Revoke");
        browser.wait_for_text("Nothing is shared");
        let errors = browser.errors();
        assert!(errors.iter().all(|error| error.contains("404")), "{errors:?}");
        server
    });
}

#[test]
fn administrators_see_users_invitations_and_the_audit() {
    with_browser("administrators_see_users_invitations_and_the_audit", |browser| {
        let server = SyncServer::start();
        let alice = user(&server, "me@example.org", |home| drop(everyday(home).write()));
        let bob = user(&server, "bob@example.org", |home| {
            drop(Story::new(home, 9, "own", 3).prompt("Mine").say("Yours.").write());
        });
        sign_in(browser, &alice, &server, "/admin");
        browser.wait_for_text("bob@example.org");
        check(browser, "administration");
        let stored = browser.run("return [...document.querySelectorAll('[aria-label=Users] tbody tr')].map((row) => row.children[2].innerText)");
        assert!(stored[0].as_str().unwrap().ends_with('B') && stored.as_array().unwrap().len() == 2, "{stored}");
        browser.press("Invite");
        browser.fill("dialog input[name=email]", "carol@example.org");
        browser.click("dialog button[type=submit]");
        browser.wait_for_text("--email carol@example.org --invite");
        browser.press("Close");
        browser.press("Withdraw the invitation of carol@example.org");
        browser.wait_for_text("No open invitations");
        browser.press("Disable bob@example.org");
        browser.wait_for("main .mark.bad");
        assert_ne!(bob.sfs(&["list", "--remote"]).code, Some(0));
        browser.press("Enable bob@example.org");
        browser.wait("document.querySelector('main .mark.bad') === null");
        assert_eq!(bob.sfs(&["list", "--remote"]).code, Some(0));

        // Whoever does not administer has neither the place nor the answers.
        sign_in(browser, &bob, &server, "/sessions");
        assert!(!browser.text("nav").contains("Admin"));
        browser.open(&format!("{}/admin", server.url));
        browser.wait_for_text("Only for administrators");
        let errors = browser.errors();
        assert!(!errors.is_empty() && errors.iter().all(|error| error.contains("403")), "{errors:?}");
        server
    });
}
