//! The head of a request, read as strictly as it can be: one request of one known length, or a refusal.
//!
//! Whatever two readers of HTTP could understand differently (two lengths, a length and an encoding, folded lines, bare line
//! feeds, a space before a colon) is refused, so nothing that passes here can mean something else behind it.

use std::net::IpAddr;

/// More headers than any client sends.
const MOST_HEADERS: usize = 100;
const LONGEST_TARGET: usize = 8 * 1024;
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// What concerns one connection only, and what the door itself says to the workers.
const NOT_PASSED_ON: [&str; 11] = [
    "connection",
    "content-length",
    "expect",
    "forwarded",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
    "x-forwarded-for",
    "x-forwarded-proto",
];

/// Why a request is not served, in the words for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) reason: &'static str,
    pub(super) message: &'static str,
}

impl Refusal {
    pub(super) const fn new(status: u16, reason: &'static str, message: &'static str) -> Refusal {
        Refusal { status, reason, message }
    }

    const fn bad(message: &'static str) -> Refusal {
        Refusal::new(400, "Bad Request", message)
    }
}

pub(super) const HEAD_TOO_LARGE: Refusal =
    Refusal::new(431, "Request Header Fields Too Large", "the headers of the request are too large");
const TARGET_TOO_LONG: Refusal = Refusal::new(414, "URI Too Long", "the path of the request is too long");
const LENGTH_REQUIRED: Refusal =
    Refusal::new(411, "Length Required", "send the body with a Content-Length, not in chunks");
const UNKNOWN_METHOD: Refusal = Refusal::new(501, "Not Implemented", "the server does not know this method");
const UNKNOWN_EXPECTATION: Refusal =
    Refusal::new(417, "Expectation Failed", "the server only knows Expect: 100-continue");

/// A head that was checked.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) method: &'static str,
    /// Path and query as they were sent; begins with `/`.
    pub(super) target: String,
    /// Names in lower case. Bytes of values that are not ASCII are `?`.
    pub(super) headers: Vec<(String, String)>,
    /// Bytes of the body.
    pub(super) length: u64,
    pub(super) expects_continue: bool,
    /// The client can go on with this connection.
    pub(super) keep_alive: bool,
}

/// The length of the first head in `bytes`, of which the first `seen` have been looked at before; none if it is not whole.
pub(super) fn end(bytes: &[u8], seen: usize) -> Result<Option<usize>, Refusal> {
    let from = seen.saturating_sub(1);
    for at in memchr::memchr_iter(b'\n', &bytes[from..]).map(|at| from + at) {
        if at == 0 || bytes[at - 1] != b'\r' {
            return Err(Refusal::bad("a line of the head does not end with CR LF"));
        }
        if at == 1 {
            return Err(Refusal::bad("the head begins with an empty line"));
        }
        if at >= 3 && bytes[at - 2] == b'\n' {
            return Ok(Some(at + 1));
        }
    }
    Ok(None)
}

impl Head {
    /// Reads a whole head, the empty line included.
    pub(super) fn parse(bytes: &[u8]) -> Result<Head, Refusal> {
        only_lines_of_text(bytes)?;
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(bytes) {
            Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
            Err(httparse::Error::TooManyHeaders) => return Err(HEAD_TOO_LARGE),
            _ => return Err(Refusal::bad("the head is not HTTP/1.1")),
        }
        let method = request.method.and_then(|method| METHODS.into_iter().find(|known| *known == method));
        let mut head = Head {
            method: method.ok_or(UNKNOWN_METHOD)?,
            target: target(request.path.unwrap_or_default())?,
            headers: request.headers.iter().map(owned).collect(),
            length: 0,
            expects_continue: false,
            keep_alive: false,
        };
        let is_modern = request.version == Some(1);
        if head.values("host").count() != 1 && (is_modern || head.header("host").is_some()) {
            return Err(Refusal::bad("the request must name one Host"));
        }
        head.length = head.declared_length()?;
        head.expects_continue = head.expectation()?;
        head.keep_alive = is_modern && !head.has_word("connection", "close");
        Ok(head)
    }

    /// The path, without the query.
    pub(super) fn path(&self) -> &str {
        self.target.split_once('?').map_or(&self.target, |(path, _)| path)
    }

    /// The first header of that name (lower case).
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All headers of that name (lower case).
    pub(super) fn values<'a>(&'a self, name: &'a str) -> impl DoubleEndedIterator<Item = &'a str> {
        self.headers.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn has_word(&self, name: &str, word: &str) -> bool {
        self.values(name).flat_map(|value| value.split(',')).any(|known| known.trim().eq_ignore_ascii_case(word))
    }

    fn declared_length(&self) -> Result<u64, Refusal> {
        let mut lengths = self.values("content-length");
        let (first, second) = (lengths.next(), lengths.next());
        if self.header("transfer-encoding").is_some() {
            return Err(match first {
                Some(_) => Refusal::bad("a request has a length or an encoding, not both"),
                None => LENGTH_REQUIRED,
            });
        }
        match first {
            Some(_) if second.is_some() => Err(Refusal::bad("the request has more than one length")),
            // `parse` alone would take a plus sign.
            Some(length) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
                length.parse().map_err(|_| Refusal::bad("the length of the request is not a number"))
            }
            Some(_) => Err(Refusal::bad("the length of the request is not a number")),
            None if matches!(self.method, "POST" | "PUT" | "PATCH") => Err(LENGTH_REQUIRED),
            None => Ok(0),
        }
    }

    fn expectation(&self) -> Result<bool, Refusal> {
        match self.header("expect") {
            None => Ok(false),
            Some(value) if value.eq_ignore_ascii_case("100-continue") => Ok(true),
            Some(_) => Err(UNKNOWN_EXPECTATION),
        }
    }

    /// The head for a worker: this request alone, and whose it is.
    pub(super) fn for_worker(&self, client: IpAddr, secure: bool) -> Vec<u8> {
        let length = self.length.to_string();
        let client = client.to_string();
        let passed_on = self.headers.iter().filter(|(name, _)| !NOT_PASSED_ON.contains(&name.as_str()));
        let own = [
            ("x-forwarded-for", client.as_str()),
            ("x-forwarded-proto", if secure { "https" } else { "http" }),
            ("content-length", &length),
            ("connection", "close"),
        ];
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in passed_on.map(|(name, value)| (name.as_str(), value.as_str())).chain(own) {
            text.extend([name, ": ", value, "\r\n"]);
        }
        text.push_str("\r\n");
        text.into_bytes()
    }
}

/// No control characters but tabs and whole line ends.
fn only_lines_of_text(bytes: &[u8]) -> Result<(), Refusal> {
    let is_wrong = |(at, byte): (usize, &u8)| match byte {
        b'\r' => bytes.get(at + 1) != Some(&b'\n'),
        b'\n' => at == 0 || bytes[at - 1] != b'\r',
        b'\t' => false,
        byte => byte.is_ascii_control(),
    };
    if bytes.iter().enumerate().any(is_wrong) {
        return Err(Refusal::bad("the head contains control characters"));
    }
    Ok(())
}

fn target(text: &str) -> Result<String, Refusal> {
    if text.len() > LONGEST_TARGET {
        return Err(TARGET_TOO_LONG);
    }
    if !text.starts_with('/') || !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        return Err(Refusal::bad("the target of the request is not a path"));
    }
    Ok(text.to_owned())
}

fn owned(header: &httparse::Header) -> (String, String) {
    let value = header.value.iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { '?' });
    (header.name.to_ascii_lowercase(), value.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Head, u16> {
        Head::parse(text.as_bytes()).map_err(|refusal| refusal.status)
    }

    fn with(lines: &str) -> Result<Head, u16> {
        parse(&format!("PUT /a HTTP/1.1\r\nHost: h\r\n{lines}\r\n\r\n"))
    }

    #[test]
    fn a_plain_head_is_read() {
        let head = parse("GET /a/b?c=d HTTP/1.1\r\nHost: h\r\nX-Two:  b c \r\nx-two: d\r\n\r\n").unwrap();
        assert_eq!((head.method, head.target.as_str(), head.path(), head.length), ("GET", "/a/b?c=d", "/a/b", 0));
        assert_eq!(head.values("x-two").collect::<Vec<_>>(), ["b c", "d"]);
        assert!(head.keep_alive && !head.expects_continue);
        let head =
            with("Content-Length: 12\r\nExpect: 100-Continue\r\nConnection: foo, Close\r\nUser-Agent: é").unwrap();
        assert_eq!((head.length, head.header("user-agent")), (12, Some("??")));
        assert!(head.expects_continue && !head.keep_alive);
        assert!(!parse("GET / HTTP/1.0\r\n\r\n").unwrap().keep_alive);
    }

    #[test]
    fn every_known_way_to_smuggle_is_refused() {
        for (status, lines) in [
            (400, "Content-Length: 5\r\nTransfer-Encoding: chunked"),
            (400, "Transfer-Encoding: chunked\r\nContent-Length: 5"),
            (400, "Content-Length: 5\r\nContent-Length: 5"),
            (400, "Content-Length: 5\r\nContent-Length: 6"),
            (400, "Content-Length: 5, 5"),
            (400, "Content-Length: -1"),
            (400, "Content-Length: +5"),
            (400, "Content-Length: 0x5"),
            (400, "Content-Length: 5 5"),
            (400, "Content-Length:"),
            (400, "Content-Length: 18446744073709551616"),
            (400, "Content-Length: 99999999999999999999999999"),
            (400, "Content-Length : 5"),
            (400, " Content-Length: 5"),
            (400, "Content-Length: 5\r\nX: a\r\n Transfer-Encoding: chunked"),
            (400, "Content-Length: 5\r\nX: a\r\n\tTransfer-Encoding: chunked"),
            (400, "Content-Length: 5\r\nTransfer-Encoding : chunked"),
            (400, "Content-Length: 5\r\nTransfer\u{b}Encoding: chunked"),
            (400, "Content-Length: 5\r\nX: a\nTransfer-Encoding: chunked"),
            (400, "Content-Length: 5\r\nX: a\rTransfer-Encoding: chunked"),
            (400, "Content-Length: 5\r\nX: a\0"),
            (400, "Content-Length: 5\r\nno colon"),
            (400, "Content-Length: 5\r\n: no name"),
            (400, "Content-Length: 5\r\nHost: h"),
            (411, "Transfer-Encoding: chunked"),
            (411, "Transfer-Encoding: identity"),
            (411, "Transfer-Encoding: xchunked"),
            (411, "X: no length at all"),
            (417, "Content-Length: 5\r\nExpect: 200-ok"),
        ] {
            assert_eq!(with(lines).err(), Some(status), "{lines:?}");
        }
    }

    #[test]
    fn a_request_line_is_a_method_a_path_and_a_version() {
        for (status, line) in [
            (400, "GET / HTTP/2.0"),
            (400, "GET / HTTP/0.9"),
            (400, "GET /"),
            (400, "GET  / HTTP/1.1"),
            (400, "GET / a HTTP/1.1"),
            (400, "GET http://h/ HTTP/1.1"),
            (400, "GET /é HTTP/1.1"),
            (400, "GET /#a HTTP/1.1"),
            (400, "OPTIONS * HTTP/1.1"),
            (501, "BREW / HTTP/1.1"),
            (501, "get / HTTP/1.1"),
            (501, "CONNECT h:1 HTTP/1.1"),
        ] {
            assert_eq!(parse(&format!("{line}\r\nHost: h\r\n\r\n")).err(), Some(status), "{line:?}");
        }
        assert_eq!(parse("GET / HTTP/1.1\r\n\r\n").err(), Some(400), "no host");
        assert_eq!(parse(&format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(9000))).err(), Some(414));
        assert_eq!(with("X: a\r\n").err(), Some(400), "an empty line in the middle");
        assert_eq!(with(&format!("{}Y: b", "X: a\r\n".repeat(200))).err(), Some(431));
    }

    #[test]
    fn the_end_is_found_however_the_head_arrives() {
        let text = b"GET / HTTP/1.1\r\nHost: h\r\n\r\nrest";
        for cut in 0..27 {
            assert_eq!(end(&text[..cut], cut.saturating_sub(3)), Ok(None), "{cut}");
        }
        for seen in 0..27 {
            assert_eq!(end(text, seen), Ok(Some(27)), "{seen}");
        }
        assert!(end(b"GET / HTTP/1.1\n", 0).is_err());
        assert!(end(b"\r\nGET / HTTP/1.1\r\n", 0).is_err());
        assert!(end(b"\n", 0).is_err());
    }

    #[test]
    fn a_worker_sees_the_request_and_nothing_that_a_client_says_of_the_connection() {
        let head = with(
            "Content-Length: 3\r\nX-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\nTE: trailers\r\nIf-Match: \"e\"",
        );
        let text = String::from_utf8(head.unwrap().for_worker(IpAddr::from([192, 0, 2, 1]), true)).unwrap();
        insta::assert_snapshot!(text, @r#"
        PUT /a HTTP/1.1
        host: h
        if-match: "e"
        x-forwarded-for: 192.0.2.1
        x-forwarded-proto: https
        content-length: 3
        connection: close
        "#);
    }
}
