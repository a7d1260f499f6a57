//! The workers: threads that read whole requests from a private unix socket, ask the service, and write its answers. The only
//! module that knows which library speaks HTTP.
//!
//! That library must never meet a client: it believes any length, takes heads without end, and a false length ends the process.
//! The door lets through only what can't harm it, and gives every request a connection of its own.

use super::exchange::{Body, Request, Response, Service, one_line};
use super::{Entry, Log, envelope};
use crate::error::{Error, Result};
use std::fs::{self, Permissions};
use std::io::{self, Read, Seek};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tiny_http::{Header, Server, StatusCode};

/// Threads at one socket. They end with their request when this is dropped.
pub(super) struct Workers {
    server: Arc<Server>,
    count: usize,
    /// Hangs up when the last worker has ended.
    ended: Receiver<()>,
}

impl Workers {
    /// Listens at `socket`, in place of whoever did before.
    pub(super) fn start(socket: &Path, count: usize, service: &Arc<dyn Service>, log: &Log) -> Result<Workers> {
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
            Error::failed(format!("the workers can't listen at {}", socket.display())).because(error)
        };
        // A socket that was left behind by a killed server can't be bound to again.
        let _ = fs::remove_file(socket);
        let server = Arc::new(Server::http_unix(socket).map_err(failed)?);
        fs::set_permissions(socket, Permissions::from_mode(0o600)).map_err(|error| failed(error.into()))?;
        let (alive, ended) = mpsc::channel();
        let workers = Workers { server, count, ended };
        for number in 0..count {
            let (server, service, log, alive) =
                (Arc::clone(&workers.server), Arc::clone(service), Arc::clone(log), alive.clone());
            let thread = std::thread::Builder::new().name(format!("worker {number}"));
            thread.spawn(move || work(&server, &*service, &log, &alive)).map_err(|error| failed(error.into()))?;
        }
        Ok(workers)
    }

    /// Ends the workers, each after its request, and waits for them until `patience` has passed.
    pub(super) fn stop(self, patience: Duration) {
        self.release();
        let _ = self.ended.recv_timeout(patience);
    }

    fn release(&self) {
        for _ in 0..self.count {
            self.server.unblock();
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.release();
    }
}

/// One worker, until it is released. Neither a panic of the service nor one of the library ends it.
fn work(server: &Server, service: &dyn Service, log: &Log, _alive: &Sender<()>) {
    step_back();
    while let Ok(request) = server.recv() {
        if catch_unwind(AssertUnwindSafe(|| serve(request, service))).is_err() {
            log(&Entry::Event("a worker panicked; it goes on".to_owned()));
        }
    }
}

/// The door, which all clients wait for, goes before the workers where they want the same processor. Elsewhere than on Linux
/// this would be said of the whole process.
fn step_back() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(5);
}

fn serve(native: tiny_http::Request, service: &dyn Service) {
    let native = Arc::new(Mutex::new(Some(native)));
    let answer = |mut request| catch_unwind(AssertUnwindSafe(|| service.answer(&mut request)));
    let answered = request(&native).map(answer).transpose();
    let Some(mut native) = native.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
    // The library would allocate as much as is left of the body before it throws that away.
    let _ = io::copy(native.as_reader(), &mut io::sink());
    match answered {
        Ok(response) => respond(native, response.unwrap_or_else(failure)),
        Err(panic) => {
            respond(native, failure());
            resume_unwind(panic);
        }
    }
}

fn failure() -> Response {
    Response::bytes(500, "application/json", envelope(500, "the server failed; its log says why").into_bytes())
}

/// The request as the service sees it. None where the library sees another request than the door did.
fn request(native: &Arc<Mutex<Option<tiny_http::Request>>>) -> Option<Request> {
    let guard = native.lock().unwrap_or_else(PoisonError::into_inner);
    let seen = guard.as_ref()?;
    let (path, query) = seen.url().split_once('?').unwrap_or((seen.url(), ""));
    let mut request = Request {
        method: seen.method().to_string(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers: Vec::new(),
        client: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        secure: false,
        length: seen.body_length().unwrap_or(0) as u64,
        body: Box::new(SharedBody(Arc::clone(native))),
    };
    for header in seen.headers() {
        let (name, value) = (header.field.as_str().as_str().to_ascii_lowercase(), header.value.as_str());
        match name.as_str() {
            // The door's word, not the client's.
            "x-forwarded-for" => request.client = value.parse().ok()?,
            "x-forwarded-proto" => request.secure = value == "https",
            "connection" => {}
            _ => request.headers.push((name, value.to_owned())),
        }
    }
    Some(request)
}

/// The body of a request that is answered later: after that it is at its end.
struct SharedBody(Arc<Mutex<Option<tiny_http::Request>>>);

impl Read for SharedBody {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut native = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        native.as_mut().map_or(Ok(0), |native| native.as_reader().read(buffer))
    }
}

fn respond(native: tiny_http::Request, response: Response) {
    let headers: Vec<Header> = response.headers.iter().filter_map(|(name, value)| header(name, value)).collect();
    let status = StatusCode(response.status);
    // An error means that the door has gone away; it says why.
    let _ = match response.body {
        Body::Bytes(bytes) => {
            let length = bytes.get_ref().len().saturating_sub(bytes.position() as usize);
            native.respond(native_response(status, headers, bytes, length))
        }
        Body::File(mut file, length) => match file.rewind() {
            Ok(()) => native.respond(native_response(status, headers, file, length as usize)),
            // Without an answer the library says 500.
            Err(_) => Ok(()),
        },
    };
}

fn native_response<R: Read>(
    status: StatusCode,
    headers: Vec<Header>,
    body: R,
    length: usize,
) -> tiny_http::Response<R> {
    // The door wants a length, never chunks.
    tiny_http::Response::new(status, headers, body, Some(length), None).with_chunked_threshold(usize::MAX)
}

fn header(name: &str, value: &str) -> Option<Header> {
    Header::from_bytes(name, one_line(value)).ok()
}

/// The words for a status in the first line of an answer.
pub(super) fn reason(status: u16) -> &'static str {
    StatusCode(status).default_reason_phrase()
}
