//! What the operator allows: which proxies are believed, which web origins may ask, and what every answer says to browsers.

use super::answer::Answer;
use super::head::Head;
use crate::server::network::Network;
use std::net::IpAddr;

/// Said in every answer that does not say otherwise.
const SECURITY: [(&str, &str); 3] =
    [("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"), ("X-Frame-Options", "DENY")];
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
const REQUEST_HEADERS: &str = "Authorization, Content-Type, If-Match, If-None-Match";
const ANSWER_HEADERS: &str = "ETag, Retry-After, Content-Disposition";

/// See the module's description.
pub(super) struct Policy {
    pub(super) trusted_proxies: Vec<Network>,
    /// Such as `https://app.example`, without a slash at the end.
    pub(super) cors_origins: Vec<String>,
}

impl Policy {
    pub(super) fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(address))
    }

    /// Whose request this is, and whether it came by https. What `X-Forwarded-*` says counts only where `peer` is a trusted
    /// proxy, and only as far back as the proxies are trusted: what stands left of that the client may have made up.
    pub(super) fn client(&self, peer: IpAddr, head: &Head) -> (IpAddr, bool) {
        if !self.trusts(peer) {
            return (peer, false);
        }
        let mut client = peer;
        let hops = head.values("x-forwarded-for").flat_map(|value| value.split(',')).rev();
        for hop in hops.map(|hop| hop.trim().parse::<IpAddr>()) {
            let Ok(hop) = hop else { break };
            client = hop.to_canonical();
            if !self.trusts(client) {
                break;
            }
        }
        let scheme = head.values("x-forwarded-proto").flat_map(|value| value.split(',')).next_back();
        (client, scheme.is_some_and(|scheme| scheme.trim().eq_ignore_ascii_case("https")))
    }

    /// The origin of this request, if it is one that may read answers.
    fn allowed_origin<'a>(&self, head: &'a Head) -> Option<&'a str> {
        head.header("origin").filter(|origin| self.cors_origins.iter().any(|allowed| allowed == origin))
    }

    /// A browser that asks on behalf of an allowed origin whether it may ask.
    pub(super) fn is_preflight(&self, head: &Head) -> bool {
        head.method == "OPTIONS"
            && head.length == 0
            && head.header("access-control-request-method").is_some()
            && self.allowed_origin(head).is_some()
    }

    /// Adds what every answer to `head` says; `head` is none where the request could not be read.
    pub(super) fn dress(&self, head: Option<&Head>, answer: &mut Answer) {
        for (name, value) in SECURITY {
            answer.set_default(name, value);
        }
        if head.is_none_or(|head| head.path().starts_with("/api/") || head.path() == "/health") {
            answer.set_default("Cache-Control", "no-store");
        }
        if self.cors_origins.is_empty() {
            return;
        }
        // Caches must keep answers to different origins apart, also those without the header.
        answer.set("Vary", "Origin");
        let Some((head, origin)) = head.and_then(|head| Some((head, self.allowed_origin(head)?))) else { return };
        answer.set("Access-Control-Allow-Origin", origin);
        answer.set("Access-Control-Allow-Credentials", "true");
        answer.set("Access-Control-Expose-Headers", ANSWER_HEADERS);
        if self.is_preflight(head) {
            answer.set("Access-Control-Allow-Methods", METHODS);
            answer.set("Access-Control-Allow-Headers", REQUEST_HEADERS);
            answer.set("Access-Control-Max-Age", "600");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: [u8; 4], lines: &str) -> (String, bool) {
        let trusted_proxies = vec!["10.0.0.0/8".parse().unwrap(), "127.0.0.1".parse().unwrap()];
        let policy = Policy { trusted_proxies, cors_origins: Vec::new() };
        let head = Head::parse(format!("GET / HTTP/1.1\r\nHost: h\r\n{lines}\r\n").as_bytes()).unwrap();
        let (client, secure) = policy.client(IpAddr::from(peer), &head);
        (client.to_string(), secure)
    }

    #[test]
    fn only_a_trusted_proxy_says_who_the_client_is() {
        let forwarded = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n";
        assert_eq!(client([127, 0, 0, 1], forwarded), ("192.0.2.1".to_owned(), true));
        assert_eq!(client([127, 0, 0, 2], forwarded), ("127.0.0.2".to_owned(), false));
        assert_eq!(client([127, 0, 0, 1], ""), ("127.0.0.1".to_owned(), false));
    }

    #[test]
    fn a_client_can_not_make_up_its_address() {
        let of = |text: &str| client([10, 0, 0, 1], &format!("X-Forwarded-For: {text}\r\n")).0;
        assert_eq!(of("9.9.9.9, 192.0.2.1"), "192.0.2.1", "the proxy adds at the right");
        assert_eq!(of("9.9.9.9, 192.0.2.1, 10.0.0.7"), "192.0.2.1", "through two proxies");
        assert_eq!(of("9.9.9.9\r\nX-Forwarded-For: 192.0.2.1"), "192.0.2.1");
        assert_eq!(of("9.9.9.9, unknown"), "10.0.0.1");
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
        assert!(!client([10, 0, 0, 1], "X-Forwarded-Proto: https, http\r\n").1);
    }
}
