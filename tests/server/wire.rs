//! What the published clients and the published server said to each other, recorded, and said again to ours: the same
//! requests in the same order get the same statuses, the same errors and the same shapes, but for the deviations named here.

use super::{Ask, Reply, Server, form, packed, session};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Where we answer otherwise than the published server did, by file and number of the exchange: our status, and why.
const DEVIATIONS: [(&str, usize, u16, &str); 8] = [
    ("22_errors", 13, 422, "what is no email address signs nobody up"),
    ("24_patch_delete_post", 1, 422, "a title too long was an error 500"),
    ("25_push_after_delete", 0, 410, "a push to a deleted session was an error 500"),
    ("26_second_user_same_id", 2, 201, "the id of another account's session was an error 500"),
    ("30_client026_auth", 1, 200, "who the caller is"),
    ("30_client026_auth", 2, 200, "who the caller is"),
    ("35_client026_delete", 0, 200, "a client that names a scope wants to hear of it"),
    ("35_client026_delete", 1, 200, "deleted sessions, where they are asked for"),
];

#[derive(Debug, Default)]
struct Exchange {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    request: Vec<String>,
    status: u16,
    answer_headers: Vec<(String, String)>,
    answer: Option<Value>,
}

fn parse(text: &str) -> Vec<Exchange> {
    let blocks = text.split("=== ").filter(|block| !block.trim().is_empty());
    blocks.map(exchange).collect()
}

fn exchange(block: &str) -> Exchange {
    let mut lines = block.lines();
    let mut words = lines.next().unwrap().split(' ');
    let mut exchange = Exchange {
        method: words.next().unwrap().to_owned(),
        path: words.next().unwrap().to_owned(),
        ..Exchange::default()
    };
    let side = |mark: &str| -> Vec<String> {
        block
            .lines()
            .filter_map(|line| line.strip_prefix(mark))
            .map(|line| line.trim_start_matches(' ').to_owned())
            .collect()
    };
    let (request, answer) = (side(">"), side("<"));
    let header = |line: &String| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    let split = |lines: &[String]| lines.iter().position(String::is_empty).unwrap_or(lines.len());
    exchange.headers = request[..split(&request)].iter().filter_map(header).collect();
    exchange.request = request[split(&request)..].to_vec();
    exchange.status = answer[0].split(' ').nth(1).unwrap().parse().unwrap();
    exchange.answer_headers = answer[1..split(&answer)].iter().filter_map(header).collect();
    let body: String = answer[split(&answer)..].iter().filter(|line| !line.starts_with("(raw")).cloned().collect();
    exchange.answer = serde_json::from_str(&body).ok();
    exchange
}

/// The recorded server's ids and entity tags, and ours in their place.
#[derive(Default)]
struct Names(BTreeMap<String, String>);

impl Names {
    fn ours(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (theirs, ours)| text.replace(theirs, ours))
    }

    fn learn(&mut self, theirs: &Value, ours: &Value) {
        match (theirs, ours) {
            (Value::Object(theirs), Value::Object(ours)) => {
                for (key, value) in theirs {
                    let Some(ours) = ours.get(key) else { continue };
                    if let (true, Some(old), Some(new)) = (is_name(key), value.as_str(), ours.as_str()) {
                        self.0.insert(old.to_owned(), new.to_owned());
                    }
                    self.learn(value, ours);
                }
            }
            (Value::Array(theirs), Value::Array(ours)) => {
                theirs.iter().zip(ours).for_each(|(theirs, ours)| self.learn(theirs, ours));
            }
            _ => {}
        }
    }
}

fn is_name(key: &str) -> bool {
    ["etag", "current_etag", "id", "session_id", "key_id", "user_id"].contains(&key)
}

struct Replay {
    server: Server,
    names: Names,
    /// One of each signup; the last one asks.
    keys: Vec<String>,
    /// Which content stands for which recorded entity tag.
    contents: Vec<String>,
}

impl Replay {
    fn body(&mut self, exchange: &Exchange) -> Vec<u8> {
        let lines = &exchange.request;
        if let Some(raw) = lines.iter().find(|line| line.starts_with("(raw")) {
            let json: String = lines.iter().take_while(|line| *line != raw).cloned().collect();
            return json.into_bytes();
        }
        let recorded = exchange.answer.as_ref().and_then(|answer| answer["etag"].as_str()).unwrap_or("refused");
        let content = self.contents.iter().position(|known| known == recorded).unwrap_or_else(|| {
            self.contents.push(recorded.to_owned());
            self.contents.len() - 1
        });
        let is_listed =
            |name: &str| lines.iter().any(|line| line.contains("type=b'0'") && line.contains(&format!(" {name} ")));
        let id = exchange.path.split('/').nth(4).unwrap_or("ses_unknown0");
        let mut files = session(id, content + 1);
        assert!(files.iter().all(|(name, _)| is_listed(name)) || !lines.iter().any(|line| line.contains("type=b'0'")));
        if is_listed("checkpoints/cp1/messages.jsonl") {
            files.insert(0, ("checkpoints/cp1/messages.jsonl".into(), files[1].1.clone()));
        }
        let is_gzip = !lines.iter().any(|line| line.contains("not a gzip file"));
        let archive = if is_gzip { packed(&files) } else { b"vm\n".to_vec() };
        match lines.iter().find_map(|line| line.split_once("form-data; name=\"")) {
            Some((_, rest)) => form(rest.split('"').next().unwrap(), &archive),
            None if lines.iter().any(|line| line.starts_with("binary")) => archive,
            None => Vec::new(),
        }
    }

    fn ask(&mut self, exchange: &Exchange) -> Reply {
        let path = self.names.ours(&exchange.path);
        let body = self.body(exchange);
        let refused = exchange.answer.as_ref().is_some_and(|answer| answer["error"]["message"] == "Invalid API key");
        let mut ask = Ask::new(&exchange.method, &path, "");
        let mut key = String::new();
        for (name, value) in &exchange.headers {
            match name.as_str() {
                "authorization" if value.starts_with("Bearer") && refused => {
                    key = "sk_sfs_00000000000000000000000000000000".into();
                }
                "authorization" if value.starts_with("Bearer") => key.clone_from(self.keys.last().unwrap()),
                "content-type" if value.starts_with("multipart") => {
                    ask = ask.header("content-type", format!("multipart/form-data; boundary={}", super::BOUNDARY));
                }
                name => ask = ask.header(name, self.names.ours(value)),
            }
        }
        ask.body = body;
        self.server.ask(Ask { key: &key, ..ask })
    }
}

/// Both have the same fields with values of the same types; null and a value agree.
fn same_shape(theirs: &Value, ours: &Value, at: &str) {
    match (theirs, ours) {
        (Value::Object(theirs), Value::Object(ours)) => {
            let names = |map: &serde_json::Map<String, Value>| map.keys().cloned().collect::<Vec<_>>();
            let mut own = names(ours);
            // The health check tells our own clients that there is more than the contract.
            own.retain(|name| name != "sync");
            assert_eq!(names(theirs), own, "{at}");
            theirs.iter().for_each(|(key, value)| same_shape(value, &ours[key], &format!("{at}.{key}")));
        }
        (Value::Array(theirs), Value::Array(ours)) => {
            if let (Some(theirs), Some(ours)) = (theirs.first(), ours.first()) {
                same_shape(theirs, ours, &format!("{at}[0]"));
            }
        }
        (Value::Null, _) | (_, Value::Null) => {}
        _ => assert_eq!(std::mem::discriminant(theirs), std::mem::discriminant(ours), "{at}: {theirs} {ours}"),
    }
}

fn compare(replay: &Replay, exchange: &Exchange, ours: &Reply, at: &str) {
    if let Some((_, etag)) = exchange.answer_headers.iter().find(|(name, _)| name == "etag") {
        assert_eq!(ours.header("etag"), Some(&replay.names.ours(etag)[..]), "{at}");
    }
    let Some(theirs) = &exchange.answer else {
        let is_archive =
            exchange.answer_headers.iter().any(|(name, value)| name == "content-type" && value == "application/gzip");
        assert_eq!(ours.header("content-type") == Some("application/gzip"), is_archive, "{at}");
        return;
    };
    assert_eq!(ours.header("content-type"), Some("application/json"), "{at}");
    let body = ours.json();
    let theirs: Value = serde_json::from_str(&replay.names.ours(&theirs.to_string())).unwrap();
    if theirs["error"].is_object() {
        let without_words = |error: &Value| {
            let mut error = error.clone();
            for fault in error["error"]["details"]["errors"].as_array_mut().into_iter().flatten() {
                *fault = json!([fault["type"], fault["loc"], fault["msg"]]);
            }
            error
        };
        assert_eq!(without_words(&theirs), without_words(&body), "{at}");
        return;
    }
    // What a workspace or a message says is its client's.
    let is_content = ["/workspace", "/tools", "/messages"].iter().any(|end| exchange.path.contains(end));
    if !is_content {
        same_shape(&theirs, &body, at);
    }
    let ids =
        |list: &Value| list["sessions"].as_array().map(|all| all.iter().map(|s| s["id"].clone()).collect::<Vec<_>>());
    assert_eq!(ids(&theirs), ids(&body), "{at}");
    if ids(&theirs).is_some() {
        for field in ["total", "page", "page_size", "has_more"] {
            assert_eq!(theirs[field], body[field], "{at} {field}");
        }
    }
}

#[test]
fn recorded_exchanges_get_the_recorded_answers() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/wire");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut replay = Replay { server: Server::new(), names: Names::default(), keys: Vec::new(), contents: Vec::new() };
    let (mut count, mut deviations) = (0, Vec::new());
    for file in files {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        if name == "misc" {
            // Recorded with the first account again.
            replay.keys.truncate(1);
        }
        for (number, exchange) in parse(&std::fs::read_to_string(&file).unwrap()).iter().enumerate() {
            // The limit of requests is the network front's.
            if exchange.status == 429 {
                continue;
            }
            let at = format!("{name} {number}: {} {}", exchange.method, exchange.path);
            let ours = replay.ask(exchange);
            count += 1;
            if let Some((.., status, _)) = DEVIATIONS.iter().find(|(file, n, ..)| *file == name && *n == number) {
                assert_eq!(ours.status, *status, "{at}");
                deviations.push((name.clone(), number));
            } else {
                assert_eq!(ours.status, exchange.status, "{at}: {:?}", String::from_utf8_lossy(&ours.body));
                if let (Some(theirs), Ok(body)) = (&exchange.answer, serde_json::from_slice(&ours.body)) {
                    replay.names.learn(theirs, &body);
                }
                compare(&replay, exchange, &ours, &at);
            }
            if exchange.path.ends_with("/signup") && ours.status == 201 {
                replay.keys.push(ours.json()["raw_key"].as_str().unwrap().to_owned());
            }
        }
    }
    assert_eq!(deviations.len(), DEVIATIONS.len(), "{deviations:?}");
    assert_eq!(count, 94, "exchanges were left out");
}
