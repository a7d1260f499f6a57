//! An answer on its way to the client: its head, and a body of known length.

use super::head::Refusal;
use super::spool::{Room, Spool};
use crate::server::exchange::one_line;
use crate::server::http::reason;
use std::io;
use std::rc::Rc;

/// More than any answer of ours has.
const MOST_HEADERS: usize = 100;

/// What is sent to the client.
pub(super) struct Answer {
    pub(super) status: u16,
    reason: String,
    /// Without what concerns the connection.
    headers: Vec<(String, String)>,
    /// What `Content-Length` says: for HEAD more than there is; none for an answer that never has a body.
    declared: Option<u64>,
    pub(super) body: Spool,
}

impl Answer {
    /// An answer of ours; `json` may be empty.
    pub(super) async fn json(room: &Rc<Room>, status: u16, reason: &str, json: &str) -> io::Result<Answer> {
        let mut body = Spool::new(room);
        body.push(json.as_bytes()).await?;
        let mut answer = Answer {
            status,
            reason: reason.to_owned(),
            headers: Vec::new(),
            declared: (status != 204).then(|| body.length()),
            body,
        };
        if !json.is_empty() {
            answer.set("Content-Type", "application/json");
        }
        Ok(answer)
    }

    /// The refusal in the envelope that every error of the API has.
    pub(super) async fn refusal(room: &Rc<Room>, refusal: Refusal) -> io::Result<Answer> {
        let envelope = super::super::envelope(refusal.status, refusal.message);
        let mut answer = Answer::json(room, refusal.status, refusal.reason, &envelope).await?;
        if refusal.status == 503 {
            answer.set("Retry-After", "1");
        }
        Ok(answer)
    }

    /// What a service said in `headers` and `body`, without a worker.
    pub(super) async fn of(
        room: &Rc<Room>,
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
    ) -> io::Result<Answer> {
        let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), one_line(&value))).collect();
        let mut spool = Spool::new(room);
        spool.push(&body).await?;
        let declared = (!matches!(status, 204 | 304)).then(|| spool.length());
        Ok(Answer { status, reason: reason(status).to_owned(), headers, declared, body: spool })
    }

    /// Reads the head of what a worker said; the body is still to come. None where it can't be read.
    pub(super) fn from_head(room: &Rc<Room>, bytes: &[u8]) -> Option<Answer> {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        response.parse(bytes).ok().filter(httparse::Status::is_complete)?;
        let mut answer = Answer {
            status: response.code?,
            reason: response.reason.unwrap_or_default().to_owned(),
            headers: Vec::new(),
            declared: None,
            body: Spool::new(room),
        };
        for header in response.headers.iter() {
            let value = str::from_utf8(header.value).ok()?;
            match header.name.to_ascii_lowercase().as_str() {
                "content-length" => answer.declared = Some(value.parse().ok()?),
                "connection" | "keep-alive" | "server" | "transfer-encoding" => {}
                _ => answer.headers.push((header.name.to_owned(), value.to_owned())),
            }
        }
        if matches!(answer.status, 204 | 304) {
            answer.declared = None;
        }
        Some(answer)
    }

    /// Whether the body is as long as was declared; the answer to HEAD has none.
    pub(super) fn is_whole(&self, is_head: bool) -> bool {
        self.body.length() == if is_head { 0 } else { self.declared.unwrap_or(0) }
    }

    /// Adds a header.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// Adds a header, if the answer does not say otherwise.
    pub(super) fn set_default(&mut self, name: &str, value: &str) {
        if !self.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            self.set(name, value);
        }
    }

    /// The head as it is sent.
    pub(super) fn head(&self, keep_alive: bool) -> Vec<u8> {
        let mut text = format!("HTTP/1.1 {} {}\r\n", self.status, self.reason);
        for (name, value) in &self.headers {
            text.extend([name, ": ", value, "\r\n"]);
        }
        if let Some(length) = self.declared {
            text.extend(["Content-Length: ", &length.to_string(), "\r\n"]);
        }
        text.push_str(if keep_alive { "Connection: keep-alive\r\n\r\n" } else { "Connection: close\r\n\r\n" });
        text.into_bytes()
    }
}
