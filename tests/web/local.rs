//! `sfs web`: the local archive, as a process of its own.

use crate::server::stand::{Answer, Client};
use crate::support::home::TestHome;
use crate::support::written::{append, claude_file, claude_session, id, write};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};

/// A running `sfs web`, killed with this.
struct Web {
    process: Child,
    address: SocketAddr,
    token: String,
}

impl Web {
    fn of(home: &TestHome) -> Web {
        let mut process =
            home.command(&["web", "--json"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut text = String::new();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let told: Value = loop {
            text += &lines.next().unwrap().unwrap();
            if let Ok(told) = serde_json::from_str(&text) {
                break told;
            }
        };
        let address = told["address"].as_str().unwrap().parse().unwrap();
        let token = told["url"].as_str().unwrap().split_once("/sign-in#").unwrap().1.to_owned();
        Web { process, address, token }
    }

    fn ask(&self, method: &str, path: &str, lines: &str, body: &str) -> Answer {
        let mut client = Client::from(TcpStream::connect(self.address).unwrap());
        let host = if lines.contains("Host:") { String::new() } else { format!("Host: {}\r\n", self.address) };
        client.say(&format!(
            "{method} {path} HTTP/1.1\r\n{host}{lines}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        ));
        client.answer().unwrap()
    }

    fn sign_in(&self, token: &str) -> Answer {
        self.ask("POST", "/api/web/sign-in", "X-Sessionfs: dashboard\r\n", &json!({"token": token}).to_string())
    }

    fn cookie(&self) -> String {
        let answer = self.sign_in(&self.token);
        assert_eq!(answer.status, 204, "{answer:?}");
        let cookie = answer.header("Set-Cookie").unwrap();
        assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{cookie}");
        format!("Cookie: {}\r\n", cookie.split(';').next().unwrap())
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        let _ = (self.process.kill(), self.process.wait());
    }
}

fn json_of(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_slice(&answer.body).unwrap()
}

#[test]
fn the_link_works_once_and_only_with_it_is_anything_told() {
    let home = TestHome::with(&["claude/chat", "codex/chat", "gemini/tools"]);
    assert_eq!(home.sfs(&["import"]).code, Some(0));
    let web = Web::of(&home);
    assert_eq!(web.ask("GET", "/", "", "").status, 200, "the page is no secret");
    assert_eq!(web.ask("GET", "/api/web/sessions", "", "").status, 401);
    assert_eq!(web.sign_in("0123456789abcdef0123456789abcdef").status, 401);
    let cookie = web.cookie();
    assert_eq!(web.sign_in(&web.token).status, 401, "a second time");
    let me = json_of(&web.ask("GET", "/api/web/me", &cookie, ""));
    assert_eq!((&me["is_local"], &me["email"], &me["features"]), (&json!(true), &Value::Null, &json!([])));
    let list = json_of(&web.ask("GET", "/api/web/sessions", &cookie, ""));
    assert_eq!(list["total"], 3);
    let listed = home.json(&["list", "--json"]);
    for session in list["sessions"].as_array().unwrap() {
        let same = listed.as_array().unwrap().iter().find(|one| one["id"] == session["id"]).unwrap();
        for (field, value) in same.as_object().unwrap() {
            assert_eq!(&session[field], value, "{field}");
        }
    }
    let path = format!("/api/web/sessions/{}", list["sessions"][0]["id"].as_str().unwrap());
    let edit = format!("{cookie}X-Sessionfs: dashboard\r\n");
    assert_eq!(web.ask("PATCH", &path, &edit, "{\"title\":\"Mine\"}").status, 200);
    assert_eq!(home.json(&["list", "--json"])[0]["title"], "Mine");
    assert!(home.sfs(&["audit"]).stdout.contains("renamed"));
    assert_eq!(web.ask("POST", "/api/web/sign-out", &edit, "").status, 204);
    assert_eq!(web.ask("GET", "/api/web/me", &cookie, "").status, 401);
}

#[test]
fn no_other_name_and_no_other_page_gets_through() {
    let home = TestHome::with(&["claude/chat"]);
    home.sfs(&["import"]);
    let web = Web::of(&home);
    let cookie = web.cookie();
    for host in ["evil.example.org", "127.0.0.1.evil.example.org", "evil.example.org:80"] {
        let answer = web.ask("GET", "/api/web/me", &format!("Host: {host}\r\n{cookie}"), "");
        assert_eq!(answer.status, 421, "{host}: a name that was made to lead here");
        assert_eq!(web.ask("GET", "/", &format!("Host: {host}\r\n"), "").status, 421);
    }
    let foreign = format!("{cookie}X-Sessionfs: dashboard\r\nOrigin: http://127.0.0.1:1\r\n");
    assert_eq!(web.ask("POST", "/api/web/sessions/bulk", &foreign, "{}").status, 403);
    assert_eq!(web.ask("GET", "/api/web/me", &format!("{cookie}Sec-Fetch-Site: cross-site\r\n"), "").status, 403);
    assert_eq!(web.ask("POST", "/api/web/sign-in-links", &cookie, "{}").status, 404);
    assert_eq!(web.ask("GET", "/api/v1/auth/keys", &cookie, "").status, 404, "a server's routes are a server's");
    let open = home.sfs(&["web", "--listen", "0.0.0.0:0"]);
    assert_eq!(open.code, Some(2), "{open}");
    assert!(open.stderr.contains("sfs serve"), "{open}");
}

#[test]
fn what_is_captured_meanwhile_is_seen_and_a_signal_ends_it() {
    let home = TestHome::new();
    let file = claude_file(&home, &id(1));
    write(&file, claude_session(&id(1), 2));
    home.sfs(&["import"]);
    let mut web = Web::of(&home);
    let cookie = web.cookie();
    let list = json_of(&web.ask("GET", "/api/web/sessions", &cookie, ""));
    let path = format!("/api/web/sessions/{}", list["sessions"][0]["id"].as_str().unwrap());
    let before = json_of(&web.ask("GET", &format!("{path}/messages"), &cookie, ""));
    let change = before["change"].as_i64().unwrap();
    let more = crate::support::written::claude_line(&id(1), 90, "user", "one more thing");
    append(&file, format!("{more}\n"));
    assert_eq!(home.sfs(&["import"]).code, Some(0));
    let changes = json_of(&web.ask("GET", &format!("/api/web/changes?since={change}"), &cookie, ""));
    assert_eq!(changes["sessions"], json!([list["sessions"][0]["id"]]));
    let after = json_of(&web.ask("GET", &format!("{path}/messages?at=end&limit=1"), &cookie, ""));
    assert_eq!(after["total"].as_u64().unwrap(), before["total"].as_u64().unwrap() + 1);
    assert!(after["messages"][0]["html"].as_str().unwrap().contains("one more thing"));
    kill_process(Pid::from_child(&web.process), Signal::TERM).unwrap();
    assert_eq!(web.process.wait().unwrap().code(), Some(0));
    let left = std::fs::read_dir(home.path().join(".sessionfs")).unwrap();
    let left: Vec<String> = left.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    assert!(!left.iter().any(|name| name.starts_with("web-")), "{left:?}");
}

#[test]
fn an_empty_archive_has_a_dashboard_too() {
    let home = TestHome::new();
    let web = Web::of(&home);
    let cookie = web.cookie();
    for path in ["me", "sessions", "facets", "stats", "changes", "sessions?q=a"] {
        assert_eq!(web.ask("GET", &format!("/api/web/{path}"), &cookie, "").status, 200, "{path}");
    }
}
