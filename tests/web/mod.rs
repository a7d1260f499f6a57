//! The dashboard behind its routes: signing in with a browser, what it shows of sessions, and what it lets do with them; the
//! local one (`sfs web`) as a process of its own.

mod admin;
mod beside;
mod hostile;
mod local;
mod pages;
mod sessions;
mod sign_in;
mod windows;

use crate::server::{Ask, Reply, Server};
use crate::support::cursor::Cursor;
use crate::support::home::{TestHome, fixture};
use serde_json::{Value, json};
use sessionfs::capture::Capture;
use sessionfs::home::Home;
use sessionfs::tools;
use uuid::Uuid;

/// A server, and a browser that is signed in to an account with sessions.
pub struct Site {
    pub server: Server,
    pub key: String,
    pub cookie: String,
    pub account: Uuid,
}

impl Site {
    /// One with the sessions of `home`.
    pub fn of(home: &TestHome) -> Site {
        let server = Server::new();
        let key = server.sign_up("alice@example.com");
        let account = server.api.accounts().list().unwrap()[0].0.id;
        let cookie = sign_in(&server, &key);
        let site = Site { server, key, cookie, account };
        site.capture(home);
        site
    }

    /// Takes over what is new in `home`.
    pub fn capture(&self, home: &TestHome) {
        let home = Home::at(home.path(), home.path());
        self.server
            .api
            .archives()
            .with(self.account, |store| -> sessionfs::error::Result<()> {
                for tool in tools::ALL {
                    Capture { home: &home, store, tool: *tool }.all(&mut |_| ())?;
                }
                Ok(())
            })
            .unwrap();
    }

    /// A request of the dashboard's script.
    pub fn send(&self, method: &str, path: &str, body: &Value) -> Reply {
        let ask = Ask::new(method, path, "").header("cookie", format!("a=b; {}", self.cookie));
        let ask = ask.header("x-sessionfs", "dashboard");
        self.server.ask(if body.is_null() { ask } else { ask.json(body) })
    }

    pub fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &Value::Null)
    }

    /// The JSON at `path`, which must be there.
    pub fn json(&self, path: &str) -> Value {
        let reply = self.get(path);
        assert_eq!(reply.status, 200, "{path}: {}", String::from_utf8_lossy(&reply.body));
        reply.json()
    }

    /// The ids of all sessions.
    pub fn ids(&self) -> Vec<String> {
        let list = self.json("/api/web/sessions?page_size=500");
        list["sessions"].as_array().unwrap().iter().map(|session| session["id"].as_str().unwrap().to_owned()).collect()
    }
}

/// What the browser's cookie is after signing in.
pub fn sign_in(server: &Server, key: &str) -> String {
    let ask = Ask::new("POST", "/api/web/sign-in", "").header("x-sessionfs", "dashboard");
    let reply = server.ask(ask.json(&json!({"key": key})));
    assert_eq!(reply.status, 204, "{reply:?}");
    reply.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

/// Every recorded case of every tool, each in a home of its own.
pub fn cases() -> Vec<(String, TestHome)> {
    let mut cases = Vec::new();
    for tool in ["claude", "codex", "gemini"] {
        for case in std::fs::read_dir(fixture(tool)).unwrap() {
            let name = format!("{tool}/{}", case.unwrap().file_name().to_string_lossy());
            let home = TestHome::with(&[&name]);
            cases.push((name, home));
        }
    }
    for case in Cursor::cases() {
        let home = TestHome::new();
        Cursor::install(home.path(), &case);
        cases.push((format!("cursor/{case}"), home));
    }
    cases.sort_by(|(a, _), (b, _)| a.cmp(b));
    cases
}
