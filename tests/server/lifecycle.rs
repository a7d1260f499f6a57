//! What the server survives, and how it ends.

use super::stand::{PATIENCE, Stand, eventually, options};
use rustix::process::{Pid, Signal, kill_process};
use sessionfs::server::Server;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

#[test]
fn a_panic_is_answered_500_and_costs_no_worker() {
    let stand = Stand::with(|options| options.workers = 1);
    let mut client = stand.client();
    for _ in 0..3 {
        let answer = client.get("/panic");
        assert_eq!(answer.status, 500);
        assert!(answer.text().starts_with("{\"error\":{\"code\":\"500\""), "{}", answer.text());
        assert_eq!(client.get("/").text(), "hello");
    }
    assert!(stand.log.lock().unwrap().iter().any(|line| line.starts_with("event a worker panicked")));
}

#[test]
fn a_panic_before_the_body_was_read_is_answered_too() {
    let stand = Stand::with(|options| options.workers = 1);
    let mut client = stand.client();
    client.say("PUT /panic HTTP/1.1\r\nHost: h\r\nContent-Length: 5000000\r\n\r\n");
    client.send(&vec![0; 5_000_000]);
    assert_eq!(client.answer().unwrap().status, 500);
    assert_eq!(client.get("/").text(), "hello");
}

#[test]
fn an_answer_shorter_than_promised_is_not_passed_on() {
    let stand = Stand::new();
    let mut client = stand.client();
    assert_eq!(client.get("/short").status, 502);
    assert!(client.is_closed());
    assert_eq!(stand.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n").status, 200);
}

#[test]
fn a_worker_that_does_not_answer_in_time_is_not_waited_for() {
    let stand = Stand::with(|options| options.limits.answer = Duration::from_millis(100));
    assert_eq!(stand.ask("GET /gate HTTP/1.1\r\nHost: h\r\n\r\n").status, 504);
    assert_eq!(stand.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n").status, 200);
}

#[test]
fn workers_whose_socket_was_removed_are_replaced() {
    let stand = Stand::new();
    assert_eq!(stand.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n").status, 200);
    fs::remove_file(stand.folder.join("front/http.sock")).unwrap();
    assert_eq!(stand.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n").status, 200);
    assert!(stand.log.lock().unwrap().iter().any(|line| line.contains("starting new ones")));
}

#[test]
fn the_private_socket_is_the_owners_alone() {
    let stand = Stand::new();
    let mode = |path: &str| fs::metadata(stand.folder.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("front"), mode("front/http.sock")), (0o700, 0o600));
}

#[test]
fn one_folder_serves_one_server_and_a_taken_address_is_an_error() {
    let stand = Stand::new();
    let open = |folder: &std::path::Path, listen| {
        let options = sessionfs::server::Options { listen, ..options(folder) };
        Server::open(options, Arc::clone(&stand.service) as Arc<_>).err().unwrap().message()
    };
    let message = open(&stand.folder, "127.0.0.1:0".parse().unwrap());
    assert!(message.contains("another server runs on"), "{message}");
    let elsewhere = tempfile::tempdir().unwrap();
    let message = open(elsewhere.path(), stand.address);
    assert!(message.contains("can't be listened at"), "{message}");
}

#[test]
fn a_stopped_server_finishes_what_it_has_and_lets_the_idle_go() {
    let mut stand = Stand::new();
    let (mut busy, mut idle, mut half) = (stand.client(), stand.client(), stand.client());
    assert_eq!(idle.get("/").status, 200);
    busy.say("GET /gate HTTP/1.1\r\nHost: h\r\n\r\n");
    half.say("PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbo");
    stand.eventually_asked(2);
    stand.stop();
    assert!(idle.is_closed());
    eventually("nobody listens", || std::net::TcpStream::connect(stand.address).is_err());
    half.say("dy");
    assert_eq!(half.answer().unwrap().text(), "body");
    stand.service.open_gate();
    let answer = busy.answer().unwrap();
    assert_eq!((answer.text().as_str(), answer.header("Connection")), ("through", Some("close")));
    stand.ended();
    assert!(!stand.folder.join("front/http.sock").exists());
}

#[test]
fn a_stopped_server_waits_no_longer_than_it_may() {
    let mut stand = Stand::with(|options| options.limits.finish = Duration::from_millis(100));
    let mut busy = stand.client();
    busy.say("GET /gate HTTP/1.1\r\nHost: h\r\n\r\n");
    stand.eventually_asked(1);
    stand.stop();
    stand.ended();
    assert!(busy.is_closed());
}

#[test]
fn a_second_stop_ends_it_at_once() {
    let mut stand = Stand::with(|options| options.limits.finish = PATIENCE * 10);
    let mut busy = stand.client();
    busy.say("GET /gate HTTP/1.1\r\nHost: h\r\n\r\n");
    stand.eventually_asked(1);
    stand.stop();
    stand.stop();
    stand.ended();
    assert!(busy.is_closed());
}

/// Killed with the test that started it.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const CHILD: &str = "SESSIONFS_TEST_SERVER";

/// Not a test of its own: the process that [`sigterm_finishes_a_running_request`] starts.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let server = Server::open(options(folder.as_ref()), Arc::new(super::stand::TestService::default())).unwrap();
    println!("\nlistens at {}", server.address());
    server.run().unwrap();
    std::process::exit(42);
}

#[test]
fn sigterm_finishes_a_running_request() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "server::lifecycle::child", "--nocapture"]).env(CHILD, folder.path());
    let mut process = Process(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let mut lines = BufReader::new(process.0.stdout.take().unwrap()).lines().map_while(Result::ok);
    let address = lines.find_map(|line| line.strip_prefix("listens at ").map(str::to_owned)).unwrap();
    let mut stream = std::net::TcpStream::connect(&address).unwrap();
    // The request is half there when the signal comes.
    std::io::Write::write_all(&mut stream, b"PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbo").unwrap();
    super::stand::Client::from(std::net::TcpStream::connect(&address).unwrap()).get("/health");
    kill_process(Pid::from_child(&process.0), Signal::TERM).unwrap();
    eventually("nobody listens", || std::net::TcpStream::connect(&address).is_err());
    std::io::Write::write_all(&mut stream, b"dy").unwrap();
    assert_eq!(super::stand::Client::from(stream).answer().unwrap().text(), "body");
    assert_eq!(process.0.wait().unwrap().code(), Some(42));
}
