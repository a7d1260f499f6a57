//! A model's API on loopback: it checks every request as the real one would, answers from a script and keeps all of it.

use super::{Client, anthropic, gemini, openai};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tiny_http::{Header, Method, Request, Response, Server};

/// The mock's port: every run has a network of its own, so all can use the same.
pub const PORT: u16 = 8765;

/// One scripted answer of the model.
pub type Reply = Vec<Piece>;

/// A piece of an answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Piece {
    /// Text for the person.
    Text(String),
    /// Thinking, signed or encrypted as the API does it.
    Thinking(String),
    /// A tool call; an input that is a string makes a free-form call where the API knows them.
    Call { name: String, input: Value },
}

impl Piece {
    /// A text.
    pub fn text(text: &str) -> Piece {
        Piece::Text(text.into())
    }

    /// A tool call.
    pub fn call(name: &str, input: Value) -> Piece {
        Piece::Call { name: name.into(), input }
    }
}

/// A request to the model and what became of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Exchange {
    /// Without the query.
    pub path: String,
    /// `main` carries the conversation; `side` is a title or the like, `compact` asks for a summary.
    pub kind: String,
    /// The answer's status.
    pub status: u16,
    /// Why it was refused.
    pub problems: Vec<String>,
    /// The request.
    pub body: Value,
}

/// What an API says to a request.
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// A stream of events, else JSON.
    pub events: bool,
    /// The body.
    pub body: String,
    /// See [`Exchange::kind`].
    pub kind: &'static str,
    /// Why it is refused.
    pub problems: Vec<String>,
}

impl Answer {
    /// An answer in JSON to something that is not the model's business.
    pub fn json(status: u16, body: &Value) -> Answer {
        Answer { status, events: false, body: body.to_string(), kind: "other", problems: Vec::new() }
    }
}

/// The replies that are left; a model without a script says which reply it is.
pub struct Script {
    replies: VecDeque<Reply>,
    given: usize,
}

impl Script {
    /// The next reply.
    pub fn next(&mut self) -> Reply {
        self.given += 1;
        self.replies.pop_front().unwrap_or_else(|| vec![Piece::Text(format!("mock reply {}", self.given))])
    }
}

/// A running mock.
pub struct Mock {
    server: Arc<Server>,
    exchanges: Arc<Mutex<Vec<Exchange>>>,
}

impl Mock {
    /// Starts the API of `client`'s model with a few threads: clients ask for several things at once.
    pub fn start(client: Client, replies: &[Reply]) -> Result<Mock, String> {
        let server = Arc::new(Server::http(("127.0.0.1", PORT)).map_err(|error| format!("the mock: {error}"))?);
        let exchanges = Arc::new(Mutex::new(Vec::new()));
        let script = Arc::new(Mutex::new(Script { replies: replies.to_vec().into(), given: 0 }));
        for _ in 0..4 {
            let (server, exchanges, script) = (server.clone(), exchanges.clone(), script.clone());
            std::thread::spawn(move || {
                while let Ok(request) = server.recv() {
                    serve(client, request, &script, &exchanges);
                }
            });
        }
        Ok(Mock { server, exchanges })
    }

    /// Stops, and gives what was asked.
    pub fn stop(self) -> Vec<Exchange> {
        self.server.unblock();
        std::mem::take(&mut *self.exchanges.lock().unwrap())
    }
}

fn serve(client: Client, mut request: Request, script: &Mutex<Script>, exchanges: &Mutex<Vec<Exchange>>) {
    let path = request.url().split('?').next().unwrap_or_default().to_owned();
    let method = request.method().to_string();
    let beta = header(&request, "anthropic-beta");
    let body = body(&mut request);
    let answer = match (&body, client) {
        (Err(problem), _) => Answer { problems: vec![problem.clone()], ..Answer::json(400, &Value::Null) },
        (Ok(body), Client::ClaudeCode) => anthropic::answer(&method, &path, &beta, body, script),
        (Ok(body), Client::Codex) => openai::answer(&method, &path, body, script),
        (Ok(body), Client::Gemini) => gemini::answer(&method, &path, body, script),
    };
    exchanges.lock().unwrap().push(Exchange {
        path,
        kind: answer.kind.into(),
        status: answer.status,
        problems: answer.problems,
        body: body.unwrap_or_default(),
    });
    let kind = if answer.events { "text/event-stream" } else { "application/json" };
    let kind = Header::from_bytes("content-type", kind).expect("a header");
    // A client that has gone away is no concern of the mock.
    let _ = request.respond(Response::from_string(answer.body).with_status_code(answer.status).with_header(kind));
}

/// The request's JSON, decompressed; null when there is none. Only posts are read: a handshake's body has no end.
fn body(request: &mut Request) -> Result<Value, String> {
    if *request.method() != Method::Post {
        return Ok(Value::Null);
    }
    let encoding = header(request, "content-encoding");
    let mut bytes = Vec::new();
    request.as_reader().read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    match encoding.as_str() {
        "" | "identity" => {}
        "zstd" => bytes = zstd::decode_all(&*bytes).map_err(|error| error.to_string())?,
        other => return Err(format!("content-encoding {other} is not known to the mock")),
    }
    serde_json::from_slice(&bytes).map_err(|error| format!("the body is not JSON: {error}"))
}

fn header(request: &Request, name: &'static str) -> String {
    request.headers().iter().find(|h| h.field.equiv(name)).map_or_else(String::new, |h| h.value.to_string())
}
