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
        browser.press("Revoke laptop <b>");
        browser.wait_for_text("signed out at once");
        browser.press("Revoke");
        browser.wait("!document.querySelector('main').innerText.includes('laptop')");
        assert_eq!(log_in().code, Some(5));
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
