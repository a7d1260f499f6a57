//! Clients that mean harm: each limit has a test that fails without it.

use super::stand::{BODY_LIMIT, PATIENCE, Stand};
use sessionfs::server::Pace;
use std::io::Write;
use std::time::Duration;

const SOON: Duration = Duration::from_millis(100);

#[test]
fn smuggled_requests_are_refused_and_never_reach_the_service() {
    let stand = Stand::new();
    let hidden = "GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n";
    for (status, head) in [
        (400, "Host: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n"),
        (400, "Host: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n"),
        (400, "Host: h\r\nContent-Length: 0\r\nContent-Length: 4\r\n"),
        (400, "Host: h\r\nContent-Length: -1\r\n"),
        (400, "Host: h\r\nContent-Length: 18446744073709551617\r\n"),
        (400, "Host: h\r\nContent-Length: 0, 4\r\n"),
        (400, "Host: h\r\nContent-Length : 0\r\n"),
        (400, "Host: h\r\nX: a\r\n Content-Length: 0\r\n"),
        (400, "Host: h\r\nContent-Length: 0\nX: a\r\n"),
        (400, "Host: h\r\nContent-Length: 0\rX: a\r\n"),
        (400, "Host: h\r\nContent-Length: 0\r\nX: \0\r\n"),
        (400, "Content-Length: 0\r\n"),
        (411, "Host: h\r\nTransfer-Encoding: chunked\r\n"),
        (411, "Host: h\r\n"),
    ] {
        let mut client = stand.client();
        client.say(&format!("PUT /seen HTTP/1.1\r\n{head}\r\n0\r\n\r\n{hidden}"));
        let answer = client.answer().unwrap();
        assert_eq!(answer.status, status, "{head:?}");
        assert!(answer.text().starts_with(&format!("{{\"error\":{{\"code\":\"{status}\"")), "{}", answer.text());
        assert!(client.is_closed(), "{head:?}");
    }
    assert_eq!(stand.service.asked(), Vec::<String>::new());
}

#[test]
fn a_length_beyond_the_limit_is_refused_before_the_body_is_sent() {
    let stand = Stand::new();
    for length in [11, BODY_LIMIT + 1, 100_000_000_000, u64::MAX] {
        let path = if length == 11 { "/small" } else { "/echo" };
        let answer = stand.ask(&format!("PUT {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n"));
        assert_eq!(answer.status, 413, "{length}");
    }
    assert_eq!(stand.ask("PUT /small HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n0123456789").status, 200);
    assert_eq!(stand.service.asked(), ["PUT /small"]);
}

#[test]
fn who_goes_on_sending_after_a_refusal_is_cut_off() {
    let stand = Stand::new();
    let mut client = stand.client();
    client.say("PUT /small HTTP/1.1\r\nHost: h\r\nContent-Length: 100000000000\r\n\r\n");
    let block = vec![0; 1 << 16];
    let sent = (0..1 << 16).take_while(|_| client.stream.write_all(&block).is_ok()).count();
    assert!(sent < 1 << 12, "{sent} blocks were swallowed");
}

#[test]
fn a_body_that_ends_early_never_reaches_the_service() {
    let stand = Stand::new();
    let mut client = stand.client();
    client.say("PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nonly this");
    client.end();
    assert!(client.is_closed());
    assert_eq!(stand.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n").status, 200);
    assert_eq!(stand.service.asked(), ["GET /"]);
}

#[test]
fn a_head_without_end_is_cut_off() {
    let stand = Stand::new();
    let mut client = stand.client();
    client.say("GET / HTTP/1.1\r\nHost: h\r\nX: ");
    let block = vec![b'a'; 1 << 16];
    let sent = (0..1 << 16).take_while(|_| client.stream.write_all(&block).is_ok()).count();
    assert!(sent < 1 << 12, "{sent} blocks were swallowed");
    let mut client = stand.client();
    client.say(&format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}", "a".repeat(33 * 1024)));
    assert_eq!(client.answer().unwrap().status, 431);
    let whole = format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "a".repeat(33 * 1024));
    assert_eq!(stand.ask(&whole).status, 431, "also if it comes at once");
}

#[test]
fn a_slow_head_is_answered_408_and_silence_is_closed() {
    let stand = Stand::with(|options| options.limits.head = SOON);
    let (mut slow, mut silent) = (stand.client(), stand.client());
    slow.say("GET / HTTP/1.1\r\nHost:");
    assert_eq!(slow.answer().unwrap().status, 408);
    assert!(slow.is_closed() && silent.is_closed());
}

#[test]
fn a_head_does_not_live_longer_by_trickling() {
    let stand = Stand::with(|options| options.limits.head = SOON);
    let mut client = stand.client();
    let text = format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}", "a".repeat(10_000));
    let sent = text.bytes().take_while(|byte| {
        std::thread::sleep(Duration::from_millis(5));
        client.stream.write_all(&[*byte]).is_ok()
    });
    assert!(sent.count() < text.len());
}

#[test]
fn a_kept_connection_without_a_request_is_closed() {
    let stand = Stand::with(|options| options.limits.idle = SOON);
    let mut client = stand.client();
    assert_eq!(client.get("/").status, 200);
    assert!(client.is_closed());
}

#[test]
fn a_slow_body_is_answered_408() {
    let fast = Pace { grace: SOON, rate: 1_000_000_000, stall: PATIENCE };
    let impatient = Pace { grace: PATIENCE, rate: 1, stall: SOON };
    for pace in [fast, impatient] {
        let stand = Stand::with(|options| options.limits.pace = pace);
        let mut client = stand.client();
        client.say("PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nonly this");
        assert_eq!(client.answer().unwrap().status, 408);
        assert!(client.is_closed());
    }
}

#[test]
fn a_trickling_body_is_cut_off_by_its_average() {
    let stand = Stand::with(|options| options.limits.pace = Pace { grace: SOON, rate: 10_000, stall: PATIENCE });
    let mut client = stand.client();
    client.say("PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n");
    let sent = (0..100_000).take_while(|_| {
        std::thread::sleep(Duration::from_millis(5));
        client.stream.write_all(b"a").is_ok()
    });
    assert!(sent.count() < 100_000);
}

#[test]
fn unfinished_bodies_hold_no_worker() {
    let stand = Stand::new();
    let mut slow: Vec<_> = (0..20).map(|_| stand.client()).collect();
    for client in &mut slow {
        client.say("PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbo");
    }
    assert_eq!(stand.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n").status, 200);
    for client in &mut slow {
        client.say("dy");
        assert_eq!(client.answer().unwrap().text(), "body");
    }
}

#[test]
fn unread_answers_hold_no_worker() {
    let stand = Stand::new();
    let mut slow: Vec<_> = (0..20).map(|_| stand.client()).collect();
    for client in &mut slow {
        client.say("GET /bytes?8000000 HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    stand.eventually_asked(20);
    assert_eq!(stand.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n").status, 200);
    for client in &mut slow {
        assert_eq!(client.answer().unwrap().body.len(), 8_000_000);
    }
}

#[test]
fn who_does_not_take_his_answer_is_cut_off() {
    let stand = Stand::with(|options| options.limits.pace = Pace { grace: PATIENCE, rate: 1, stall: SOON });
    let mut client = stand.client();
    client.say("GET /bytes?50000000 HTTP/1.1\r\nHost: h\r\n\r\n");
    super::stand::eventually("it is given up", || !stand.log.lock().unwrap().is_empty());
    assert!(client.rest() < 50_000_000);
}

#[test]
fn an_address_gets_its_share_of_connections_and_gives_up_its_own_idle_ones() {
    let stand = Stand::with(|options| {
        options.limits.connections = 16;
        options.limits.settled = Duration::ZERO;
        options.limits.share = 4;
    });
    let mut first: Vec<_> = (0..4).map(|_| stand.client_from(2)).collect();
    for client in &mut first {
        assert_eq!(client.get("/health").status, 200);
    }
    assert_eq!(stand.client_from(2).get("/health").status, 200);
    assert!(first[0].is_closed(), "the oldest idle one makes room");
    let mut busy: Vec<_> = (0..4).map(|_| stand.client_from(3)).collect();
    for client in &mut busy {
        client.say("GET /gate HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    stand.eventually_asked(2);
    assert!(stand.client_from(3).is_closed(), "one more than its share");
    assert_eq!(stand.client_from(4).get("/health").status, 200, "another address is not concerned");
}

#[test]
fn a_full_house_turns_out_the_oldest_head_for_a_newcomer() {
    let stand = Stand::with(|options| {
        options.limits.connections = 4;
        options.limits.share = 1;
    });
    let mut first = stand.client_from(2);
    assert_eq!(first.get("/health").status, 200);
    let mut second = stand.client_from(2);
    second.say("GET / HTTP/1.1\r\nHost:");
    let mut others = [stand.client_from(3), stand.client_from(4)];
    for client in &mut others {
        assert_eq!(client.get("/health").status, 200);
    }
    assert_eq!(stand.client_from(5).get("/health").status, 200);
    assert!(first.is_closed(), "of the address with the most connections, its oldest");
    second.say(" h\r\n\r\n");
    assert_eq!(second.answer().unwrap().status, 200);
    assert_eq!(others[0].get("/").status, 200);
}

#[test]
fn requests_that_wait_for_a_worker_keep_nobody_out() {
    let stand = Stand::with(|options| {
        options.workers = 1;
        options.limits.connections = 8;
        options.limits.share = 1;
    });
    let mut busy: Vec<_> = (0..8).map(|_| stand.client_from(2)).collect();
    for client in &mut busy {
        client.say("GET /gate HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    stand.eventually_asked(1);
    let health = stand.client_from(3).get("/health");
    assert_eq!(health.status, 200);
    stand.service.open_gate();
    let served = busy.iter_mut().filter_map(super::stand::Client::answer).count();
    assert_eq!(served, 7, "one that waited was turned out");
}

#[test]
fn more_than_the_room_for_bodies_is_refused_507() {
    let stand = Stand::with(|options| options.limits.spool = 1 << 20);
    let length = 2 << 20;
    let mut client = stand.client();
    client.say(&format!("PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n"));
    let _ = client.stream.write_all(&vec![0; length]);
    assert_eq!(client.answer().unwrap().status, 507);
    assert_eq!(stand.ask("GET /bytes?2000000 HTTP/1.1\r\nHost: h\r\n\r\n").status, 507, "answers too");
    assert_eq!(stand.ask("GET /bytes?900000 HTTP/1.1\r\nHost: h\r\n\r\n").status, 200, "the room is free again");
}

#[test]
fn who_waits_too_long_for_a_worker_is_told_to_come_back() {
    let stand = Stand::with(|options| {
        options.workers = 1;
        options.limits.queue = SOON;
    });
    let mut busy: Vec<_> = (0..5).map(|_| stand.client()).collect();
    for client in &mut busy {
        client.say("GET /gate HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    let refused = busy.split_off(2).into_iter().map(|mut client| client.answer().unwrap());
    for answer in refused {
        assert_eq!((answer.status, answer.header("Retry-After")), (503, Some("1")));
    }
    stand.service.open_gate();
    assert!(busy.iter_mut().all(|client| client.answer().unwrap().status == 200));
}
