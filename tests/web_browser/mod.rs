//! The dashboard in a real browser: a headless Chromium against the real processes. A test fails of itself when a page had
//! an error: of a script, of the network, or a breach of the page's policy.

mod accessible;
mod account;
mod conversation;
mod driver;
mod hostile;
mod large;
mod list;
mod manage;
mod overview;
mod screenshots;
mod sign_in;
mod written;

use crate::clients::skip;
use crate::support::cursor::Cursor;
use crate::support::home::TestHome;
use crate::support::web::LocalWeb;
use driver::Browser;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// A browser takes long to start: tests share two, one after the other.
static BROWSERS: [Mutex<Option<Browser>>; 2] = [Mutex::new(None), Mutex::new(None)];

/// Runs a test with a browser, where there is one on this machine. What the test gives back lives until the page is judged:
/// the server that it asks.
fn with_browser<T>(name: &str, test: impl FnOnce(&Browser) -> T) {
    let has = |program: &str| {
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
            .any(|folder| folder.join(program).is_file())
    };
    if let Some(missing) = ["chromium", "chromedriver", "setsid"].into_iter().find(|program| !has(program)) {
        return skip(name, &format!("{missing} is not installed; as root, tests/web_browser/setup.sh does it"));
    }
    let mut slot = free_slot();
    // A test that failed may have left anything: its browser is not used again.
    let browser = slot.take().unwrap_or_else(Browser::start);
    browser.reset(1280, 900);
    let _served = test(&browser);
    assert_eq!(browser.errors(), Vec::<String>::new(), "{name}: errors of the page");
    *slot = Some(browser);
}

fn free_slot() -> MutexGuard<'static, Option<Browser>> {
    for slot in &BROWSERS {
        match slot.try_lock() {
            Ok(slot) => return slot,
            Err(TryLockError::Poisoned(slot)) => return slot.into_inner(),
            Err(TryLockError::WouldBlock) => {}
        }
    }
    BROWSERS[0].lock().unwrap_or_else(PoisonError::into_inner)
}

/// The recorded sessions that the tests look at: of all four tools, with everything that a session can hold.
const RECORDED: &[&str] = &[
    "claude/multi",
    "claude/i_compact",
    "claude/i_rewind",
    "claude/sub",
    "claude/todo",
    "claude/readpng",
    "claude/thinktool",
    "claude/readedit",
    "claude/bashfail",
    "codex/patch",
    "codex/codemode_openai",
    "codex/agent",
    "gemini/subagent",
    "gemini/tools",
];

/// `sfs web` on the recorded sessions of all four tools, with `browser` signed in and looking at the list.
fn recorded(browser: &Browser) -> LocalWeb {
    let home = TestHome::with(RECORDED);
    Cursor::install(home.path(), "simple_chat");
    signed_in(browser, LocalWeb::start(home))
}

/// `browser` signed in at `web`, looking at the list.
fn signed_in(browser: &Browser, web: LocalWeb) -> LocalWeb {
    browser.open(&web.link);
    browser.wait_for(".list-body:not([aria-busy]) .sessions, .list-body .empty");
    web
}

/// Opens a session by its title and waits for its messages.
fn open_session(browser: &Browser, web: &LocalWeb, title: &str) -> String {
    let id = web.session(title);
    browser.open(&web.page(&format!("/sessions/{id}")));
    browser.wait_for(".message");
    id
}
