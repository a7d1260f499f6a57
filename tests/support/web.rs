//! `sfs web` as a process of its own.

use super::home::TestHome;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

/// A running `sfs web` on the archive of a home, stopped with its owner.
#[must_use]
pub struct LocalWeb {
    child: Child,
    /// The address that signs one browser in.
    pub link: String,
    /// The address without anything behind it.
    pub url: String,
    pub home: TestHome,
}

impl LocalWeb {
    /// On what the tools in `home` left there.
    pub fn start(home: TestHome) -> LocalWeb {
        let run = home.sfs(&["import"]);
        assert_eq!(run.code, Some(0), "{run}");
        LocalWeb::on(home)
    }

    /// On what was captured in `home` before.
    pub fn on(home: TestHome) -> LocalWeb {
        let mut command = home.command(&["web", "--json"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let told: Value = serde_json::from_str(&first).unwrap();
        let link = told["url"].as_str().unwrap().to_owned();
        let url = link.split("/sign-in").next().unwrap().to_owned();
        LocalWeb { child, link, url, home }
    }

    /// The address of a page.
    pub fn page(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// The id of the session with this title.
    pub fn session(&self, title: &str) -> String {
        let all = self.home.json(&["list", "--all", "--json"]);
        let found = all.as_array().unwrap().iter().find(|session| session["title"] == title);
        found.unwrap_or_else(|| panic!("no {title:?} in {all}"))["id"].as_str().unwrap().to_owned()
    }
}

impl Drop for LocalWeb {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
