//! One request and its answer, as the server's parts see them: no module but `http.rs` knows which library spoke HTTP.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek};
use std::net::IpAddr;

/// A whole, bounded request: its head was checked and its body has a known length within [`Service::body_limit`].
pub struct Request {
    /// Upper case, such as `GET`.
    pub method: String,
    /// Percent-decoding not done; starts with `/`, without the query.
    pub path: String,
    /// What stands behind `?`, raw; empty where there is none.
    pub query: String,
    /// Names in lower case, in the order of arrival.
    pub headers: Vec<(String, String)>,
    /// The client's address; behind a trusted proxy the one that the proxy tells.
    pub client: IpAddr,
    /// True where the client spoke https to the proxy in front.
    pub secure: bool,
    /// Bytes of the body.
    pub length: u64,
    /// The body.
    pub body: Box<dyn Read + Send>,
}

impl Request {
    /// The first header of that name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The part that is known before the body.
    pub fn opening(&self) -> Opening {
        Opening {
            method: self.method.clone(),
            path: self.path.clone(),
            headers: self.headers.clone(),
            client: self.client,
        }
    }
}

/// What is known of a request before a byte of its body was read; the same as in [`Request`].
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "see Request")]
pub struct Opening {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub client: IpAddr,
}

impl Opening {
    /// The first header of that name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What is answered.
#[derive(Debug)]
pub struct Response {
    /// Such as 200.
    pub status: u16,
    /// Without `Content-Length`, which follows from the body.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Body,
}

/// A body of known length.
#[derive(Debug)]
pub enum Body {
    /// In memory.
    Bytes(Cursor<Vec<u8>>),
    /// A temporary file, from its beginning, and its length.
    File(File, u64),
}

impl Body {
    /// All of it; blocks.
    pub fn into_bytes(self) -> io::Result<Vec<u8>> {
        match self {
            Body::Bytes(bytes) => Ok(bytes.into_inner()),
            Body::File(mut file, length) => {
                let mut bytes = Vec::new();
                file.rewind()?;
                file.take(length).read_to_end(&mut bytes)?;
                Ok(bytes)
            }
        }
    }
}

/// A header's value, which can't break out of its line whatever a service put there.
pub(super) fn one_line(value: &str) -> String {
    value.chars().map(|c| if c.is_ascii() && !c.is_ascii_control() { c } else { '?' }).collect()
}

impl Response {
    /// An answer without a body.
    pub fn empty(status: u16) -> Response {
        Response::bytes(status, "", Vec::new())
    }

    /// An answer of that media type; none is named where it is empty.
    pub fn bytes(status: u16, media_type: &str, bytes: Vec<u8>) -> Response {
        let headers = if media_type.is_empty() { Vec::new() } else { vec![("Content-Type", media_type.to_owned())] };
        Response { status, headers, body: Body::Bytes(Cursor::new(bytes)) }
    }

    /// The same with one more header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Response {
        self.headers.push((name, value.into()));
        self
    }
}

/// Answers requests. Called by several workers at once; never panics on anything a client sends.
pub trait Service: Send + Sync {
    /// How many bytes the body of this request may have; asked before a byte of it is read. More is refused with 413.
    fn body_limit(&self, method: &str, path: &str) -> u64;
    /// The path as it may stand in a log: some hold a secret.
    fn path_in_log<'p>(&self, path: &'p str) -> &'p str {
        path
    }
    /// Refuses a request with a large body before that is read; none lets it come. Blocks, and is not asked for small ones:
    /// [`Service::answer`] must refuse by itself.
    fn deny(&self, _opening: &Opening) -> Option<Response> {
        None
    }
    /// Answers.
    fn answer(&self, request: &mut Request) -> Response;
}
