//! Answers and refusals in the contract's form: `{"error":{"code":…,"message":…,"details":{…}}}`.

use super::exchange::Response;
use crate::error::{Error, Kind};
use serde::Serialize;
use serde_json::{Value, json};

/// What a handler gives.
pub(super) type Answer = Result<Response, Refusal>;

/// Why a request is not done.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    code: Option<&'static str>,
    message: String,
    /// Boxed, since every handler may give one of these.
    details: Box<Value>,
    header: Option<Box<(&'static str, String)>>,
    /// Not for the client.
    pub(super) cause: Option<String>,
}

impl Refusal {
    pub(super) fn new(status: u16, message: impl Into<String>) -> Refusal {
        Refusal { status, code: None, message: message.into(), details: Box::new(json!({})), header: None, cause: None }
    }

    /// A word instead of the status.
    pub(super) fn code(mut self, code: &'static str) -> Refusal {
        self.code = Some(code);
        self
    }

    pub(super) fn details(mut self, details: Value) -> Refusal {
        self.details = Box::new(details);
        self
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Refusal {
        self.header = Some(Box::new((name, value.into())));
        self
    }

    pub(super) fn message(&self) -> &str {
        &self.message
    }

    pub(super) fn not_found() -> Refusal {
        Refusal::new(404, "Session not found")
    }

    /// A value that can't be taken: `kind` is a word of the contract's validation, `place` where the value stood.
    pub(super) fn invalid(kind: &str, place: &[&str], message: &str, input: &Value) -> Refusal {
        let error = json!({"type": kind, "loc": place, "msg": message, "input": input});
        Refusal::new(422, "Validation error").details(json!({"errors": [error]}))
    }

    pub(super) fn missing(place: &[&str]) -> Refusal {
        Refusal::invalid("missing", place, "Field required", &Value::Null)
    }

    pub(super) fn response(&self) -> Response {
        let code = self.code.map_or_else(|| self.status.to_string(), str::to_owned);
        let body = json!({"error": {"code": code, "message": self.message, "details": self.details}});
        let response = json(self.status, &body);
        match self.header.as_deref() {
            Some((name, value)) => response.with(name, value),
            None => response,
        }
    }
}

/// What goes wrong on our side is not the client's business, but for a disk that takes no more.
impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        if error.kind() == Kind::Busy {
            return Refusal::new(503, "Other requests of this account are at work").header("Retry-After", "2");
        }
        let refusal = match error.kind() {
            _ if error.is_disk_full() => {
                Refusal::new(507, "The server's disk is full; nothing was stored, and nothing was lost")
                    .code("disk_full")
            }
            Kind::NotFound => Refusal::new(404, "Not Found"),
            _ => Refusal::new(500, "Internal Server Error"),
        };
        Refusal { cause: Some(error.message()), ..refusal }
    }
}

pub(super) fn json(status: u16, body: &impl Serialize) -> Response {
    // Only maps with other keys than text can't be written, and there are none.
    let bytes = serde_json::to_vec(body).unwrap_or_default();
    Response::bytes(status, "application/json", bytes)
}

/// Milliseconds since 1970 as RFC 3339 in UTC.
pub(super) fn time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).unwrap_or_default().to_string()
}
