//! The sync server: its API without a network in between, its front over real connections (`front`, `hostile`, `lifecycle`),
//! and the process itself over the network (`live`): killed, out of room, copied by Litestream (`litestream`), and met by the
//! published client (`python_client`).

mod crash;
mod front;
mod hostile;
mod isolation;
mod lifecycle;
mod litestream;
mod live;
mod operator;
mod python_client;
mod sessions;
mod sharing;
pub mod stand;
mod wire;

use serde_json::{Value, json};
use sessionfs::server::api::{Api, Policy};
use sessionfs::server::exchange::{Body, Request, Response, Service};
use std::io::{Cursor, Read, Write};
use std::net::{IpAddr, Ipv4Addr};

pub const BOUNDARY: &str = "4c78920546c901a4ff72bffb7828a3be";

/// A server on a throw-away folder.
pub struct Server {
    pub folder: tempfile::TempDir,
    pub api: Api,
}

/// What an operator who limits nobody decides.
pub fn policy() -> Policy {
    Policy { rate: 1_000_000, ..Policy::default() }
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    fn of(response: Response) -> Reply {
        let Response { status, headers, body } = response;
        let mut bytes = Vec::new();
        let length = match body {
            Body::Bytes(mut content) => {
                content.read_to_end(&mut bytes).unwrap();
                bytes.len() as u64
            }
            Body::File(mut file, length) => {
                file.read_to_end(&mut bytes).unwrap();
                length
            }
        };
        assert_eq!(bytes.len() as u64, length, "a body of another length than it says");
        Reply { status, headers, body: bytes }
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {:?}", self.status, String::from_utf8_lossy(&self.body)))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// `status code message` of a refusal.
    pub fn refusal(&self) -> String {
        let error = &self.json()["error"];
        assert!(error["details"].is_object(), "{error}");
        format!("{} {} {}", self.status, error["code"].as_str().unwrap(), error["message"].as_str().unwrap())
    }

    pub fn etag(&self) -> String {
        self.json()["etag"].as_str().unwrap().to_owned()
    }
}

/// A request of the caller with `key`.
pub struct Ask<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub key: &'a str,
    pub headers: Vec<(&'a str, String)>,
    pub body: Vec<u8>,
    pub client: IpAddr,
}

impl<'a> Ask<'a> {
    pub fn new(method: &'a str, path: &'a str, key: &'a str) -> Ask<'a> {
        let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Ask { method, path, key, headers: Vec::new(), body: Vec::new(), client }
    }

    pub fn json(mut self, body: &Value) -> Ask<'a> {
        self.body = body.to_string().into_bytes();
        self
    }

    pub fn header(mut self, name: &'a str, value: impl Into<String>) -> Ask<'a> {
        self.headers.push((name, value.into()));
        self
    }

    /// A form with `archive` as its file.
    pub fn archive(self, archive: &[u8]) -> Ask<'a> {
        let mut ask = self.header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"));
        ask.body = form("file", archive);
        ask
    }
}

pub fn form(name: &str, content: &[u8]) -> Vec<u8> {
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"session.tar.gz\"\r\n\
         Content-Type: application/gzip\r\n\r\n"
    );
    [head.as_bytes(), content, format!("\r\n--{BOUNDARY}--\r\n").as_bytes()].concat()
}

impl Server {
    pub fn new() -> Server {
        Server::with(policy())
    }

    pub fn with(policy: Policy) -> Server {
        let folder = tempfile::Builder::new().prefix("sessionfs-test-").tempdir().unwrap();
        let api = Api::open(&folder.path().join("data"), policy).unwrap();
        Server { folder, api }
    }

    pub fn ask(&self, ask: Ask<'_>) -> Reply {
        let (path, query) = ask.path.split_once('?').unwrap_or((ask.path, ""));
        let mut headers: Vec<(String, String)> =
            ask.headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        if !ask.key.is_empty() {
            headers.push(("authorization".into(), format!("Bearer {}", ask.key)));
        }
        assert!(ask.body.len() as u64 <= self.api.body_limit(ask.method, path), "the door would refuse this body");
        Reply::of(self.api.answer(&mut Request {
            method: ask.method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers,
            client: ask.client,
            secure: true,
            length: ask.body.len() as u64,
            body: Box::new(Cursor::new(ask.body)),
        }))
    }

    pub fn get(&self, path: &str, key: &str) -> Reply {
        self.ask(Ask::new("GET", path, key))
    }

    /// Signs somebody up; gives the key.
    pub fn sign_up(&self, email: &str) -> String {
        let reply = self.ask(Ask::new("POST", "/api/v1/auth/signup", "").json(&json!({"email": email})));
        assert_eq!(reply.status, 201, "{reply:?}");
        reply.json()["raw_key"].as_str().unwrap().to_owned()
    }

    pub fn put(&self, key: &str, id: &str, archive: &[u8], etag: Option<&str>) -> Reply {
        let path = format!("/api/v1/sessions/{id}/sync");
        let ask = Ask::new("PUT", &path, key).archive(archive);
        self.ask(match etag {
            Some(etag) => ask.header("if-match", format!("\"{etag}\"")),
            None => ask,
        })
    }

    pub fn sync(&self, key: &str, id: &str) -> Reply {
        self.get(&format!("/api/v1/sessions/{id}/sync"), key)
    }

    pub fn detail(&self, key: &str, id: &str) -> Value {
        let reply = self.get(&format!("/api/v1/sessions/{id}"), key);
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()
    }

    /// Everything that the archives hold has its hash.
    pub fn assert_sound(&self) {
        for (account, _) in self.api.accounts().list().unwrap() {
            let report = self.api.archives().with(account.id, |store| store.check(|_| ())).unwrap();
            assert_eq!(report.damage, [], "{}", account.email);
        }
    }
}

/// A `.tar.gz` as the published client packs it: the current time in its header, a PAX header at each member.
pub fn tar_gz(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in files {
        tar.append_pax_extensions([("mtime", &b"1770000000.25"[..])]).unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(1_770_000_000);
        tar.append_data(&mut header, name, *content).unwrap();
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u32;
    let mut gzip = flate2::GzBuilder::new().mtime(now).write(Vec::new(), flate2::Compression::default());
    gzip.write_all(&tar.into_inner().unwrap()).unwrap();
    gzip.finish().unwrap()
}

/// What an archive holds, by name.
pub fn files_of(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    let files = tar.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        (entry.path().unwrap().to_str().unwrap().to_owned(), content)
    });
    files.collect()
}

/// A session as the published client captures one: so many questions with their answers.
pub fn session(id: &str, turns: usize) -> Vec<(String, Vec<u8>)> {
    let manifest = json!({"sfs_version": "0.1.0", "session_id": id, "title": "Port the parser", "tags": [],
        "created_at": "2026-01-05T08:40:08Z", "updated_at": "2026-01-05T09:00:00Z",
        "source": {"tool": "claude-code", "tool_version": "2.1.59", "original_session_id": format!("native-{id}")},
        "model": {"provider": "anthropic", "model_id": "claude-sonnet-4-6"}, "stats": {"message_count": 2 * turns}});
    let line = |n: usize| {
        let role = if n.is_multiple_of(2) { "user" } else { "assistant" };
        let mut message = json!({"msg_id": format!("{id}-{n}"), "parent_msg_id": null, "role": role,
            "content": [{"type": "text", "text": format!("message {n} of {id}")}],
            "timestamp": format!("2026-01-05T08:{:02}:{:02}Z", n / 60, n % 60), "metadata": {"cc_cwd": "/work"}});
        if role == "assistant" {
            message["usage"] = json!({"input_tokens": 10, "output_tokens": 5});
        }
        format!("{message}\n")
    };
    let messages: String = (0..2 * turns).map(line).collect();
    let workspace = json!({"root_path": "/home/dev/work", "git": {"branch": "main"}});
    vec![
        ("manifest.json".into(), serde_json::to_vec_pretty(&manifest).unwrap()),
        ("messages.jsonl".into(), messages.into_bytes()),
        ("tools.json".into(), br#"{"tools_used":["Bash"]}"#.to_vec()),
        ("workspace.json".into(), workspace.to_string().into_bytes()),
    ]
}

/// Some files, packed.
pub fn packed(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    tar_gz(&files.iter().map(|(name, content)| (&name[..], &content[..])).collect::<Vec<_>>())
}

/// An id that ends in `number`.
pub fn id(number: u32) -> String {
    format!("ses_{number:016x}")
}
