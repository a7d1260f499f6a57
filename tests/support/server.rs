//! The real sync server as a process of its own.

use super::home::TestHome;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

/// A running `sessionfs serve`, stopped with its owner.
pub struct SyncServer {
    child: Child,
    pub url: String,
    /// What it wrote about every request.
    log: Arc<Mutex<Vec<String>>>,
    pub home: TestHome,
}

impl SyncServer {
    /// On an empty folder.
    pub fn start() -> SyncServer {
        SyncServer::with(&[])
    }

    /// With further options.
    pub fn with(options: &[&str]) -> SyncServer {
        SyncServer::at(TestHome::new(), "127.0.0.1:0", options)
    }

    /// On what is in `home`.
    pub fn at(home: TestHome, listen: &str, options: &[&str]) -> SyncServer {
        let args = [&["serve", "--listen", listen, "--rate", "100000"], options].concat();
        let mut child = home.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.split_whitespace().nth(2).unwrap().trim_end_matches(',').to_owned();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (errors, lines) = (BufReader::new(child.stderr.take().unwrap()), Arc::clone(&log));
        std::thread::spawn(move || {
            errors.lines().map_while(Result::ok).for_each(|line| lines.lock().unwrap().push(line));
        });
        SyncServer { child, url, log, home }
    }

    /// Stops it; its folder and address stay for another one.
    pub fn stop(mut self) -> (TestHome, String) {
        self.end();
        let home = std::mem::replace(&mut self.home, TestHome::new());
        (home, self.url.trim_start_matches("http://").to_owned())
    }

    /// What was asked so far, a line of its log each.
    pub fn requests(&self) -> Vec<String> {
        self.log.lock().unwrap().iter().filter(|line| line.contains("path=/api/")).cloned().collect()
    }

    /// All that it wrote so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Signs a home up.
    pub fn sign_up(&self, home: &TestHome) {
        let run = home.sfs(&["auth", "signup", "--url", &self.url, "--email", "me@example.org"]);
        assert_eq!(run.code, Some(0), "{run}");
    }

    /// Makes a key of the home's account: its id, and the key.
    pub fn new_key(home: &TestHome) -> (String, String) {
        let key = home.json(&["auth", "keys", "create", "test", "--json"]);
        (key["key_id"].as_str().unwrap().to_owned(), key["raw_key"].as_str().unwrap().to_owned())
    }

    /// Logs another home into the account of `owner`.
    pub fn log_in(&self, home: &TestHome, owner: &TestHome) {
        let key = SyncServer::new_key(owner).1;
        let output = home.command(&["auth", "login", "--url", &self.url]).env("SFS_API_KEY", key).output().unwrap();
        assert!(output.status.success(), "{}", home.finish(output));
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for SyncServer {
    fn drop(&mut self) {
        self.end();
    }
}
