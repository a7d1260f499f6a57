//! Signing in and out.

use super::{RECORDED, signed_in, with_browser};
use crate::support::home::TestHome;
use crate::support::server::SyncServer;
use crate::support::web::LocalWeb;
use serde_json::json;

#[test]
fn a_link_signs_one_browser_in_once() {
    with_browser("a_link_signs_one_browser_in_once", |browser| {
        let web = LocalWeb::start(TestHome::with(&RECORDED[..1]));
        browser.open(&web.page("/overview"));
        browser.wait_for_text("it prints a link that opens this page");
        assert!(browser.address().contains("/sign-in?next=%2Foverview"), "{}", browser.address());
        let web = signed_in(browser, web);
        assert_eq!(browser.address(), web.page("/sessions"), "the token stays in no address");
        let cookies = browser.protocol("Network.getCookies", &json!({"urls": [web.url]}));
        let cookie = &cookies["cookies"][0];
        assert_eq!((&cookie["httpOnly"], &cookie["sameSite"]), (&json!(true), &json!("Strict")), "{cookie}");
        assert_eq!(browser.run("return document.cookie"), "");
        browser.protocol("Network.clearBrowserCookies", &json!({}));
        browser.open("about:blank");
        browser.open(&web.link);
        browser.wait_for_text("used already");
        let errors = browser.errors();
        assert!(!errors.is_empty() && errors.iter().all(|error| error.contains("401")), "{errors:?}");
        web
    });
}

#[test]
fn a_key_signs_in_and_signing_out_ends_it() {
    with_browser("a_key_signs_in_and_signing_out_ends_it", |browser| {
        let server = SyncServer::start();
        let home = TestHome::with(&RECORDED[..2]);
        assert_eq!(home.sfs(&["import"]).code, Some(0));
        server.sign_up(&home);
        assert_eq!(home.sfs(&["push"]).code, Some(0));
        let (_, key) = SyncServer::new_key(&home);

        browser.open(&format!("{}/sessions?q=hello", server.url));
        browser.wait_for("input[name=key]");
        browser.fill("input[name=key]", "sk_sfs_nonsense");
        browser.press("Sign in");
        browser.wait_for_text("not valid here");
        browser.fill("input[name=key]", &key);
        browser.press("Sign in");
        browser.wait("location.pathname === '/sessions' && location.search === '?q=hello'");
        browser.open(&format!("{}/sessions", server.url));
        browser.wait("document.querySelectorAll('li.session').length === 2");

        browser.press("me@example.org");
        browser.press("Sign out");
        browser.wait_for("input[name=key]");
        let status = "fetch('/api/web/me').then((answer) => done(answer.status))";
        assert_eq!(browser.run_async(status), 401);
        let errors = browser.errors();
        assert!(errors.iter().all(|error| error.contains("401")), "{errors:?}");

        // The link of `sfs auth web` does as well; a revoked key ends what it began.
        let run = home.sfs(&["auth", "web", "--no-open"]);
        assert_eq!(run.code, Some(0), "{run}");
        let link = run.stdout.split_whitespace().find(|word| word.starts_with("http")).unwrap().to_owned();
        browser.open(&link);
        browser.wait("document.querySelectorAll('li.session').length === 2");
        assert!(!browser.address().contains('#'), "{}", browser.address());

        // A link that somebody else sent makes a signed-in browser nobody else's without a word.
        let other = home.sfs(&["auth", "web", "--no-open"]);
        let link = other.stdout.split_whitespace().find(|word| word.starts_with("http")).unwrap().to_owned();
        browser.open(&link);
        browser.wait_for_text("You are signed in as me@example.org");
        assert!(!browser.address().contains('#'), "{}", browser.address());
        browser.press("Use the link");
        browser.wait("document.querySelectorAll('li.session').length === 2");
        server
    });
}
