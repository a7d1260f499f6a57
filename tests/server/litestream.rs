//! The recipe for Litestream in `deploy/`, as it stands there: the server's folder is destroyed, and comes back.

use super::live::Live;
use super::stand::eventually;
use super::{id, packed, session};
use crate::clients::skip;
use crate::support::home::TestHome;
use rustix::process::{Pid, Signal, kill_process};
use sessionfs::home::Home;
use sessionfs::server::accounts::Accounts;
use sessionfs::store::Store;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::scope;

/// The folder with the program, if it is there.
fn litestream() -> Option<PathBuf> {
    let set = std::env::var_os("SESSIONFS_TEST_CLIENTS").map(PathBuf::from);
    let clients = set.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients"));
    let folder = clients.join("litestream/0.5.17/bin");
    let works = Command::new(folder.join("litestream")).arg("version").output();
    works.is_ok_and(|output| output.status.success()).then_some(folder)
}

fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)
}

/// Litestream as a service, stopped with this.
struct Replication(Child);

impl Replication {
    fn start(program: &Path, data: &Path, replica: &str) -> Replication {
        let mut command = Command::new(program.join("litestream"));
        command.arg("replicate").arg("-config").arg(deploy("litestream.yml"));
        command
            .env("SESSIONFS_DATA", data)
            .env("SESSIONFS_REPLICA", replica)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Replication(command.spawn().unwrap())
    }

    /// It copies what is left.
    fn stop(mut self) {
        kill_process(Pid::from_child(&self.0), Signal::TERM).unwrap();
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Replication {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn restore(program: &Path, replica: &str, data: &Path) -> std::process::Output {
    let binary = Path::new(env!("CARGO_BIN_EXE_sessionfs")).parent().unwrap();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path =
        std::env::join_paths([program, binary].map(Path::to_owned).into_iter().chain(std::env::split_paths(&path)));
    let mut command = Command::new("sh");
    command.arg(deploy("restore.sh")).arg(replica).arg(data).env("PATH", path.unwrap());
    command.output().unwrap()
}

/// What the server says of a session: its `ETag`, and its files.
type Told = (String, Vec<(String, Vec<u8>)>);

fn all(server: &Live, keys: &[String], sessions: u32) -> Vec<Told> {
    let each = (0..sessions).flat_map(|number| keys.iter().map(move |key| (key, id(number))));
    each.map(|(key, id)| (server.detail(key, &id)["etag"].as_str().unwrap().to_owned(), server.files(key, &id)))
        .collect()
}

#[test]
fn a_destroyed_server_comes_back_from_its_replica_more_than_once() {
    let Some(program) = litestream() else {
        return skip("server::litestream", "litestream 0.5.17 is not installed; run tests/server/setup.sh");
    };
    let place = tempfile::tempdir().unwrap();
    let replica = format!("file://{}", place.path().join("replica").display());
    let mut data = place.path().join("data0");
    let mut keys = Vec::new();
    for round in 0..2u32 {
        let server = Live::on(TestHome::new(), data.clone());
        let replication = Replication::start(&program, &data, &replica);
        // One account was there before, one comes while it runs.
        keys.push(server.sign_up(&format!("person{round}@example.com")));
        keys.push(server.sign_up(&format!("other{round}@example.com")));
        let sessions = 8 * (round + 1);
        scope(|scope| {
            for key in &keys {
                let server = &server;
                // Enough for the server to move its log into the database several times meanwhile.
                scope.spawn(move || {
                    for (number, turns) in
                        (0..sessions).flat_map(|n| [40, 400].map(|turns| (n, turns + round as usize)))
                    {
                        let id = id(number);
                        let known = server.get(&format!("/api/v1/sessions/{id}"), key);
                        let etag = (known.status == 200).then(|| known.json()["etag"].as_str().unwrap().to_owned());
                        let put = server.put(key, &id, &packed(&session(&id, turns)), etag.as_deref()).unwrap();
                        assert!(matches!(put.status, 200 | 201), "{}", put.text());
                    }
                });
            }
        });
        let accounts = place.path().join("replica/accounts");
        eventually("every archive is found", || fs::read_dir(&accounts).is_ok_and(|found| found.count() == keys.len()));
        let expected = all(&server, &keys, sessions);
        server.assert_sound();
        replication.stop();
        drop(server);
        fs::remove_dir_all(&data).unwrap();

        data = place.path().join(format!("data{}", round + 1));
        let output = restore(&program, &replica, &data);
        let text = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&text));
        let server = Live::on(TestHome::new(), data.clone());
        assert!(all(&server, &keys, sessions) == expected, "not what it was");
        server.assert_sound();
        assert!(!restore(&program, &replica, &data).status.success(), "it replaces nothing");
    }
}

#[test]
fn tables_that_litestream_made_first_do_not_make_a_database_another_programs() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path(), folder.path());
    let accounts = folder.path().join("server.db");
    for path in [home.database(), accounts.clone()] {
        let theirs = "PRAGMA journal_mode = wal; CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER);
            CREATE TABLE _litestream_lock (id INTEGER);";
        rusqlite::Connection::open(path).unwrap().execute_batch(theirs).unwrap();
    }
    assert_eq!(Store::open(&home).unwrap().check(|_| ()).unwrap().damage, []);
    assert_eq!(Accounts::open(&accounts).unwrap().list().unwrap().len(), 0);
}
