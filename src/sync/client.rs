//! The only outgoing HTTP: a server's API, as one account.

use super::wire::{
    Changes, Frame, Push, PushAnswer, SHARE_HEADER, SessionState, StreamPlace, Want, device_of, pack, unpack,
};
use super::{Refused, Remote};
use crate::error::{Context, Error, Kind, Result};
use crate::id::Hash;
use crate::store::Store;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

/// The setting that holds the account. The archive's file is its owner's alone.
const ACCOUNT: &str = "account";
/// The largest answer, in memory and in a file.
const MAX_ANSWER: u64 = 64 << 20;
const MAX_FILE: u64 = 1 << 30;
/// So often a request is repeated that did not reach the server.
const ATTEMPTS: u32 = 3;

/// Whose archive on which server.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Without a slash at the end.
    pub url: String,
    /// `sk_sfs_…`
    pub key: String,
    /// Where it is known.
    pub email: Option<String>,
}

impl Account {
    /// The account that is signed in: `SFS_API_KEY` (with `SFS_API_URL`) if set, else the stored one.
    pub fn of(store: &Store) -> Result<Account> {
        let stored: Option<Account> = store.setting(ACCOUNT)?;
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let url = variable("SFS_API_URL").map(|url| normal_url(&url)).transpose()?;
        if let Some(key) = variable("SFS_API_KEY") {
            let url = url.or_else(|| stored.as_ref().map(|stored| stored.url.clone()));
            let url = url.ok_or_else(|| {
                Error::usage("SFS_API_KEY is set, but not which server it is for").hint("set SFS_API_URL too")
            })?;
            let email = stored.filter(|stored| stored.key == key).and_then(|stored| stored.email);
            return Ok(Account { url, key, email });
        }
        stored.ok_or_else(|| {
            Error::new(Kind::Auth, "nobody is signed in").hint("sfs auth login --url URL, or sfs auth signup --url URL")
        })
    }

    /// Remembers the account.
    pub fn save(&self, store: &mut Store) -> Result<()> {
        store.write(|store| store.set_setting(ACCOUNT, self))
    }

    /// Forgets it; says whether there was one.
    pub fn forget(store: &mut Store) -> Result<bool> {
        store.write(|store| store.unset_setting(ACCOUNT))
    }

    /// Under which name the archive remembers how far this server is.
    pub fn remote_name(&self) -> String {
        format!("{} {}", self.url, &Hash::of(self.email.as_ref().unwrap_or(&self.key).as_bytes()).hex()[..16])
    }
}

/// A server's address as it is stored; https, but for this machine itself.
pub fn normal_url(url: &str) -> Result<String> {
    let url = url.trim().trim_end_matches('/');
    let hint = "give an address such as https://sessions.example.org";
    let refuse = |what: String| Err(Error::usage(what).hint(hint));
    let Some((scheme, rest)) = url.split_once("://") else {
        return refuse(format!("{url:?} is not an address"));
    };
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.is_empty() || authority.contains('@') || url.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return refuse(format!("{url:?} is not an address"));
    }
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    match scheme {
        "https" => Ok(url.to_owned()),
        "http" if host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback()) => {
            Ok(url.to_owned())
        }
        "http" => refuse(format!("{url} is not encrypted: the key and all sessions could be read on the way")),
        _ => refuse(format!("{scheme} is not a protocol for this")),
    }
}

/// A server.
pub struct Client {
    agent: ureq::Agent,
    url: String,
    key: Option<String>,
    /// The share through which another account's session is reached, and this device, for which that one must not speak.
    share: Option<(String, String)>,
    /// Bytes of bodies, both ways.
    pub sent: u64,
    /// Bytes of bodies, both ways.
    pub received: u64,
    /// Seconds after which to ask again, as the server said last.
    pub retry_after: Option<u64>,
    /// Of the last answer; `None` where there was none.
    last_status: Option<u16>,
    /// Is told bytes sent and received after every exchange.
    pub progress: Option<Box<dyn FnMut(u64, u64)>>,
}

/// A request.
pub(super) struct Question<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    /// One that is not said always.
    pub(super) header: Option<(&'a str, String)>,
    pub(super) body: Payload<'a>,
}

/// What is sent with a request: of which type, and where it is.
#[derive(Clone, Copy)]
pub(super) enum Payload<'a> {
    Nothing,
    Bytes(&'a str, &'a [u8]),
    File(&'a str, &'a File),
}

/// What a server answered.
pub struct Reply {
    /// Such as 200.
    pub status: u16,
    /// Seconds after which to ask again.
    pub retry_after: Option<u64>,
    /// Without its quotes.
    pub etag: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// The body, read as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).context(|| "the server's answer can't be read")
    }
}

impl Client {
    /// Nobody in particular, at the server `url`.
    pub fn anonymous(url: &str) -> Result<Client> {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_recv_response(Some(Duration::from_secs(120)))
            .timeout_recv_body(Some(Duration::from_secs(300)))
            .timeout_send_body(Some(Duration::from_secs(300)))
            .user_agent(concat!("sessionfs/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Client {
            agent: config.into(),
            url: normal_url(url)?,
            key: None,
            share: None,
            sent: 0,
            received: 0,
            retry_after: None,
            last_status: None,
            progress: None,
        })
    }

    /// The account.
    pub fn of(account: &Account) -> Result<Client> {
        Ok(Client { key: Some(account.key.clone()), ..Client::anonymous(&account.url)? })
    }

    /// The account, at one session of another one, through a share.
    pub fn through(account: &Account, share: &str, device: &str) -> Result<Client> {
        Ok(Client { share: Some((share.to_owned(), device.to_owned())), ..Client::of(account)? })
    }

    /// Asks, and turns what the server refuses into an error.
    pub fn call(&mut self, method: &str, path: &str, body: Option<(&str, &[u8])>) -> Result<Reply> {
        let reply = self.exchange(method, path, body)?;
        if (200..300).contains(&reply.status) { Ok(reply) } else { Err(self.refusal(&reply)) }
    }

    /// The same with JSON both ways.
    pub fn json<T: DeserializeOwned>(&mut self, method: &str, path: &str, body: Option<&Value>) -> Result<T> {
        let body = body.map(ToString::to_string);
        self.call(method, path, body.as_ref().map(|body| ("application/json", body.as_bytes())))?.json()
    }

    /// Asks, again where the question was lost on the way: whatever we ask can be asked twice.
    pub fn exchange(&mut self, method: &str, path: &str, body: Option<(&str, &[u8])>) -> Result<Reply> {
        let body = body.map_or(Payload::Nothing, |(media_type, bytes)| Payload::Bytes(media_type, bytes));
        self.ask(&Question { method, path, header: None, body }, None)
    }

    /// The same, with a file to send, or one for what is received where that is good.
    pub(super) fn ask(&mut self, question: &Question<'_>, mut into: Option<&mut File>) -> Result<Reply> {
        let mut attempt = 1;
        loop {
            match self.once(question, into.as_deref_mut()) {
                Ok(reply) if attempt < ATTEMPTS && matches!(reply.status, 502..=504) => {}
                Err(_) if attempt < ATTEMPTS => {}
                Ok(reply) => {
                    self.last_status = Some(reply.status);
                    return Ok(reply);
                }
                Err(source) => {
                    self.last_status = None;
                    return Err(Error::failed(format!("{} does not answer", self.url))
                        .because(source)
                        .hint("check the address and the network, then try again"));
                }
            }
            std::thread::sleep(Duration::from_millis(300 << attempt));
            attempt += 1;
        }
    }

    fn once(&mut self, question: &Question<'_>, into: Option<&mut File>) -> Result<Reply, ureq::Error> {
        let uri = format!("{}{}", self.url, question.path);
        let mut request = ureq::http::Request::builder().method(question.method).uri(uri);
        if let Some(key) = &self.key {
            request = request.header("Authorization", format!("Bearer {key}"));
        }
        if let Some((share, _)) = &self.share {
            request = request.header(SHARE_HEADER, share);
        }
        if let Some((name, value)) = &question.header {
            request = request.header(*name, value);
        }
        let response = match question.body {
            Payload::Bytes(media_type, bytes) => {
                self.sent += bytes.len() as u64;
                self.agent.run(request.header("Content-Type", media_type).body(bytes)?)?
            }
            Payload::File(media_type, mut file) => {
                self.sent += file.seek(SeekFrom::End(0))?;
                file.rewind()?;
                self.agent.run(request.header("Content-Type", media_type).body(file)?)?
            }
            Payload::Nothing => self.agent.run(request.body(())?)?,
        };
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let retry_after = header("retry-after").and_then(|value| value.parse().ok());
        let etag = header("etag").map(|etag| etag.trim_matches('"').to_owned());
        let status = response.status().as_u16();
        let mut body = Vec::new();
        let mut reader = response.into_body().into_reader();
        self.received += match into.filter(|_| status == 200) {
            Some(file) => {
                file.rewind()?;
                file.set_len(0)?;
                std::io::copy(&mut reader.take(MAX_FILE), file)?
            }
            None => reader.by_ref().take(MAX_ANSWER).read_to_end(&mut body)? as u64,
        };
        self.retry_after = retry_after;
        if let Some(progress) = &mut self.progress {
            progress(self.sent, self.received);
        }
        Ok(Reply { status, retry_after, etag, body })
    }

    /// True where the server says that it is one of ours, which exchange only what is new. What one of the first contract
    /// does not say is no.
    pub fn speaks_delta(&mut self) -> Result<bool> {
        let health: Value = self.json("GET", "/health", None)?;
        Ok(health["sync"].is_u64())
    }

    /// True where the last question was understood, and is not for this account to ask.
    pub fn is_forbidden(&self) -> bool {
        self.last_status == Some(403)
    }

    /// What a refusal means for a person.
    pub(super) fn refusal(&self, reply: &Reply) -> Error {
        let told: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        let message = told["error"]["message"].as_str().unwrap_or("no reason given");
        let message = format!("{message}{}", invalid_field(&told).unwrap_or_default());
        let message: String = message.chars().filter(|c| !c.is_control()).take(300).collect();
        let what = format!("{} answers {}: {message}", self.url, reply.status);
        match reply.status {
            401 => Error::new(Kind::Auth, what).hint("sfs auth login"),
            403 => Error::new(Kind::Auth, what),
            404 | 410 => Error::not_found(what),
            409 | 412 => Error::conflict(what),
            400 | 422 => Error::usage(what),
            413 | 507 => Error::failed(what).hint("ask who runs the server for more room"),
            429 | 503 => {
                let seconds = reply.retry_after.unwrap_or(60);
                Error::failed(what).hint(format!("try again in {seconds} seconds"))
            }
            _ => Error::failed(what),
        }
    }
}

/// Which field the server can't take, and why.
fn invalid_field(told: &Value) -> Option<String> {
    let error = &told["error"]["details"]["errors"][0];
    let why = error["msg"].as_str()?;
    let why = why.strip_prefix("Value error, ").unwrap_or(why);
    let place = error["loc"].as_array().into_iter().flatten().filter_map(Value::as_str).filter(|part| *part != "body");
    let place = place.collect::<Vec<_>>().join(".");
    Some(if place.is_empty() { format!(": {why}") } else { format!(": {place}: {why}") })
}

/// `text`, where it is an id and nothing else.
pub(super) fn in_path(text: &str) -> Result<&str> {
    let is_id = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if is_id { Ok(text) } else { Err(Error::usage(format!("{text:?} is not an id"))) }
}

impl Remote for Client {
    fn refused(&self) -> Option<Refused> {
        // Of these, what was asked is not the reason.
        let about_us = |status: &u16| matches!(status, 401 | 403 | 408 | 429 | 502..=504 | 507);
        let status = self.last_status.filter(|status| *status >= 400 && !about_us(status))?;
        Some(Refused { for_good: matches!(status, 400 | 413 | 422), retry_after: self.retry_after })
    }

    fn changes(&mut self, since: i64) -> Result<Changes> {
        self.json("GET", &format!("/api/v1/delta/changes?since={since}"), None)
    }

    fn session(&mut self, id: &str) -> Result<Option<SessionState>> {
        let reply = self.exchange("GET", &format!("/api/v1/delta/sessions/{}", in_path(id)?), None)?;
        match reply.status {
            404 => Ok(None),
            200 => {
                let mut state: SessionState = reply.json()?;
                if let Some((_, own)) = &self.share {
                    state.streams.retain(|stream| device_of(&stream.origin) != own);
                }
                Ok(Some(state))
            }
            _ => Err(self.refusal(&reply)),
        }
    }

    fn has_chunks(&mut self, hashes: &[Hash]) -> Result<Vec<bool>> {
        let hashes = serde_json::to_value(hashes).context(|| "a message can't be written")?;
        self.json("POST", "/api/v1/delta/has-chunks", Some(&hashes))
    }

    fn chunks(&mut self, stream: &StreamPlace) -> Result<Vec<(u64, Hash)>> {
        let stream = serde_json::to_value(stream).context(|| "a message can't be written")?;
        self.json("POST", "/api/v1/delta/chunks", Some(&stream))
    }

    fn push(&mut self, push: &Push, bytes: &[u8]) -> Result<PushAnswer> {
        let packed = pack(push, bytes)?;
        self.call("POST", "/api/v1/delta/push", Some(("application/zstd", &packed)))?.json()
    }

    fn pull(&mut self, wants: &[Want]) -> Result<Frame<Vec<Want>>> {
        let wants = serde_json::to_vec(wants).context(|| "a message can't be written")?;
        unpack(&self.call("POST", "/api/v1/delta/pull", Some(("application/json", &wants)))?.body[..])
    }
}
