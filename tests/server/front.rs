//! Requests as well-behaved clients make them.

use super::stand::{Stand, pattern};
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn a_request_reaches_the_service_and_its_answer_comes_back() {
    let stand = Stand::new();
    let answer = stand.ask("GET /who?a=b HTTP/1.1\r\nHost: h\r\nX-Own: c d\r\n\r\n");
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (200, "127.0.0.1 false ?a=b host=h x-own=c d content-length=0")
    );
    let date = answer.header("Date").unwrap();
    insta::assert_snapshot!(answer.head.replace(date, "[date]").replace('\r', "").trim_end(), @r"
    HTTP/1.1 200 OK
    Date: [date]
    Content-Type: text/plain
    X-Content-Type-Options: nosniff
    Referrer-Policy: no-referrer
    X-Frame-Options: DENY
    Content-Length: 54
    Connection: keep-alive
    ");
}

#[test]
fn a_connection_is_kept_until_the_client_says_close() {
    let stand = Stand::new();
    let mut client = stand.client();
    for _ in 0..3 {
        assert_eq!(client.get("/").text(), "hello");
    }
    client.say("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    let answer = client.answer().unwrap();
    assert_eq!(answer.header("Connection"), Some("close"));
    assert!(client.is_closed());
    let mut old = stand.client();
    old.say("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(old.answer().unwrap().text(), "hello");
    assert!(old.is_closed());
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let stand = Stand::new();
    let mut client = stand.client();
    client.say(
        "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\noneGET /bytes?2 HTTP/1.1\r\nHost: h\r\n\r\n\
         POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nthreeGET /health HTTP/1.1\r\nHost: h\r\n\r\n",
    );
    let bodies: Vec<Vec<u8>> = (0..4).map(|_| client.answer().unwrap().body).collect();
    assert_eq!(bodies, [b"one".to_vec(), vec![0, 1], b"three".to_vec(), b"{\"status\":\"healthy\"}".to_vec()]);
}

#[test]
fn bodies_of_every_size_pass_unharmed_both_ways() {
    let stand = Stand::new();
    let mut client = stand.client();
    for length in [0, 1, 1000, 1024, 1025, 32 * 1024 - 1, 32 * 1024, 32 * 1024 + 1, 5_000_000] {
        let body = pattern(length);
        client.say(&format!("PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n"));
        client.send(&body);
        let answer = client.answer().unwrap();
        assert!(answer.body == body, "{length}: {}", answer.head);
        assert!(client.get(&format!("/file?{length}")).body == body, "{length} from a file");
    }
    let left = std::fs::read_dir(stand.folder.join("front")).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(left.collect::<Vec<_>>(), ["http.sock"], "nothing is left behind");
}

#[test]
fn head_and_not_modified_have_no_body() {
    let stand = Stand::new();
    let mut client = stand.client();
    for path in ["/bytes?100000", "/health"] {
        client.say(&format!("HEAD {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
        let head = client.head().unwrap();
        let length = if path == "/health" { 20 } else { 100_000 };
        assert!(head.contains(&format!("Content-Length: {length}\r\n")), "{head}");
    }
    let answer = client.get("/cached");
    assert_eq!((answer.status, answer.header("ETag"), answer.header("Content-Length")), (304, Some("\"e\""), None));
    let said = answer.head.to_ascii_lowercase().matches("cache-control").count();
    assert_eq!((said, answer.header("Cache-Control")), (1, Some("private")), "the service's word counts");
    assert_eq!(client.get("/").text(), "hello");
}

#[test]
fn who_asks_first_is_told_to_go_on() {
    let stand = Stand::new();
    let mut client = stand.client();
    client.say("PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.head().unwrap(), "HTTP/1.1 100 Continue\r\n\r\n");
    client.say("body");
    assert_eq!(client.answer().unwrap().text(), "body");
    client.say("PUT /small HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.answer().unwrap().status, 413, "and not if the body would be refused");
}

#[test]
fn a_large_body_that_nobody_wants_is_refused_before_it_comes() {
    let stand = Stand::new();
    let put = |lines: &str| {
        let mut client = stand.client();
        client.say(&format!("PUT /members HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n{lines}\r\n"));
        client
    };
    for lines in ["", "Expect: 100-continue\r\n", "Authorization: Bearer else\r\n"] {
        let mut stranger = put(lines);
        let answer = stranger.answer().unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (401, "members only"), "{lines}");
        assert_eq!((answer.header("X-Split"), answer.header("X")), (Some("a??X: b"), None));
        assert_eq!(answer.header("Connection"), Some("close"));
        assert!(stranger.is_closed());
    }
    assert_eq!(stand.service.asked().len(), 0);
    let mut member = put("Authorization: Bearer member\r\n");
    member.send(&pattern(1_000_000));
    assert_eq!(member.answer().unwrap().text(), "hello");
}

#[test]
fn five_hundred_kept_connections_are_all_answered_at_once() {
    let stand = Stand::with(|options| options.limits.share = 1);
    let answered = AtomicUsize::new(0);
    let mut clients: Vec<_> = (0..500).map(|_| stand.client()).collect();
    for _ in 0..2 {
        for client in &mut clients {
            client.say("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        }
        for client in &mut clients {
            assert_eq!(client.answer().unwrap().text(), "hello");
            answered.fetch_add(1, Ordering::Relaxed);
        }
    }
    assert_eq!(answered.into_inner(), 1000);
}

#[test]
fn health_is_answered_while_all_workers_are_busy() {
    let stand = Stand::new();
    let mut busy: Vec<_> = (0..8).map(|_| stand.client()).collect();
    for client in &mut busy {
        client.say("GET /gate HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    stand.eventually_asked(2);
    let answer = stand.ask("GET /health HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!((answer.status, answer.text().as_str()), (200, "{\"status\":\"healthy\"}"));
    stand.service.open_gate();
    for client in &mut busy {
        assert_eq!(client.answer().unwrap().text(), "through");
    }
}

#[test]
fn a_trusted_proxy_says_whose_request_it_is() {
    let stand = Stand::with(|options| options.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()]);
    let request =
        "GET /who HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 6.6.6.6, 192.0.2.1\r\nX-Forwarded-Proto: https\r\n\r\n";
    assert_eq!(stand.ask(request).text(), "192.0.2.1 true ? host=h content-length=0");
    let mut stranger = stand.client_from(2);
    stranger.say(request);
    assert_eq!(stranger.answer().unwrap().text(), "127.0.0.2 false ? host=h content-length=0");
    let log = stand.log.lock().unwrap().join("\n");
    assert!(log.contains("access client=192.0.2.1 method=GET path=/who status=200 in=0"), "{log}");
}

#[test]
fn only_the_named_web_origins_may_read_answers() {
    let stand = Stand::with(|options| options.cors_origins = vec!["https://app.example".to_owned()]);
    let preflight = |origin: &str| {
        stand.ask(&format!(
            "OPTIONS /api/v1/sessions HTTP/1.1\r\nHost: h\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: PUT\r\n\r\n"
        ))
    };
    let answer = preflight("https://app.example");
    assert_eq!((answer.status, stand.service.asked().len()), (204, 0));
    assert_eq!(answer.header("Access-Control-Allow-Origin"), Some("https://app.example"));
    assert!(answer.header("Access-Control-Allow-Headers").unwrap().contains("If-Match"));
    for origin in ["https://app.example.evil", "http://app.example", "null", "https://APP.example"] {
        let answer = preflight(origin);
        assert_eq!(answer.header("Access-Control-Allow-Origin"), None, "{origin}");
        assert_eq!(answer.header("Vary"), Some("Origin"));
    }
    let answer = stand.ask("GET /api/v1 HTTP/1.1\r\nHost: h\r\nOrigin: https://app.example\r\n\r\n");
    assert_eq!(answer.header("Access-Control-Allow-Origin"), Some("https://app.example"));
    assert!(answer.header("Access-Control-Expose-Headers").unwrap().contains("ETag"));
}

#[test]
fn without_a_named_origin_nothing_is_said_of_origins() {
    let stand = Stand::new();
    let answer = stand.ask("GET /api/v1 HTTP/1.1\r\nHost: h\r\nOrigin: https://app.example\r\n\r\n");
    assert!(!answer.head.contains("Access-Control"), "{}", answer.head);
    assert_eq!(answer.header("Cache-Control"), Some("no-store"));
    assert_eq!(stand.ask("GET /page HTTP/1.1\r\nHost: h\r\n\r\n").header("Cache-Control"), None);
}

#[test]
fn a_header_of_the_service_can_not_break_out_of_its_line() {
    let answer = Stand::new().ask("GET /split HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(answer.header("X-Split"), Some("a??X-Made-Up: b"));
    assert_eq!(answer.header("X-Made-Up"), None);
}
