//! Tells the operator's own service what was shared: one URL, signed, no text of any session. Requests never wait for it.

use super::accounts::Accounts;
use super::audit::{Entry, Event};
use crate::error::{Error, Result};
use crate::sync::client::normal_url;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use std::fmt;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// So many events wait at most; further ones are dropped, which is recorded.
const QUEUE: usize = 256;
/// Before each further try.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];
const PATIENCE: Duration = Duration::from_secs(10);
/// Characters of a secret.
const LEAST_SECRET: usize = 16;

/// Where events go, and what they are signed with.
#[derive(Clone)]
pub struct Target {
    url: String,
    secret: String,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

impl Target {
    /// https, but for this machine itself, and a secret that can't be guessed.
    pub fn new(url: &str, secret: &str) -> Result<Target> {
        normal_url(url).map_err(|error| {
            Error::usage(format!("--webhook: {}", error.message()))
                .hint("give an https address, such as https://chat.example.org/hook")
        })?;
        if secret.len() < LEAST_SECRET {
            return Err(Error::usage(format!(
                "a webhook is signed with a secret of at least {LEAST_SECRET} characters"
            ))
            .hint("set SESSIONFS_SERVE_WEBHOOK_SECRET, such as to what `openssl rand -hex 32` prints"));
        }
        Ok(Target { url: url.trim().to_owned(), secret: secret.to_owned() })
    }

    /// `sha256=` and the HMAC of `body` in hexadecimal.
    fn signature(&self, body: &[u8]) -> String {
        // Keys of any length are taken.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()) else { return String::new() };
        mac.update(body);
        mac.finalize().into_bytes().iter().fold("sha256=".to_owned(), |text, byte| text + &format!("{byte:02x}"))
    }
}

/// The queue.
pub(super) struct Webhook(SyncSender<Value>);

impl Webhook {
    /// Begins to deliver; what can't be delivered is recorded in the audit log of `database`.
    pub(super) fn start(target: Target, database: &Path) -> Result<Webhook> {
        let (queue, events) = sync_channel(QUEUE);
        let accounts = Accounts::open(database)?;
        let thread = std::thread::Builder::new().name("webhook".to_owned());
        thread
            .spawn(move || deliver_all(&target, &accounts, &events))
            .map_err(|error| Error::failed("the webhook can't be started").because(error))?;
        Ok(Webhook(queue))
    }

    /// Queues an event; false where there is no room.
    pub(super) fn tell(&self, event: Value) -> bool {
        self.0.try_send(event).is_ok()
    }
}

fn deliver_all(target: &Target, accounts: &Accounts, events: &Receiver<Value>) {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(PATIENCE))
        .user_agent(concat!("sessionfs/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    for event in events {
        if let Err(why) = deliver(&agent, target, &event) {
            // Nobody waits for the outcome.
            let _ = accounts.record(&failure(&event, &why));
        }
    }
}

/// That an event did not arrive.
pub(super) fn failure(event: &Value, why: &str) -> Entry {
    let session = event["session_id"].as_str().map(str::to_owned);
    let detail = format!("{}: {why}", event["event"].as_str().unwrap_or_default());
    Entry { session, detail: detail.chars().take(500).collect(), ..Entry::of(Event::WebhookFailed) }
}

fn deliver(agent: &ureq::Agent, target: &Target, event: &Value) -> std::result::Result<(), String> {
    let body = event.to_string();
    let signature = target.signature(body.as_bytes());
    let mut pauses = PAUSES.iter();
    loop {
        let sent = agent
            .post(&target.url)
            .header("Content-Type", "application/json")
            .header("X-Sessionfs-Signature", &signature)
            .send(body.as_bytes());
        let why = match sent {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            // Asking again would change nothing.
            Ok(answer) if answer.status().is_client_error() && answer.status() != 429 => {
                return Err(format!("it answers {}", answer.status()));
            }
            Ok(answer) => format!("it answers {}", answer.status()),
            Err(error) => error.to_string(),
        };
        let Some(pause) = pauses.next() else { return Err(why) };
        std::thread::sleep(*pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_rfc_4231s() {
        let target = Target { url: String::new(), secret: "Jefe".to_owned() };
        assert_eq!(
            target.signature(b"what do ya want for nothing?"),
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(format!("{target:?}"), "", "the secret is not shown");
    }

    #[test]
    fn only_safe_targets_are_taken() {
        let secret = "0123456789abcdef";
        assert!(Target::new("https://chat.example.org/hook/", secret).is_ok());
        assert!(Target::new("http://127.0.0.1:9000/hook", secret).is_ok());
        for wrong in ["http://chat.example.org/hook", "ftp://chat.example.org", "chat.example.org", ""] {
            assert!(Target::new(wrong, secret).is_err(), "{wrong}");
        }
        assert!(Target::new("https://chat.example.org", "short").is_err());
    }
}
