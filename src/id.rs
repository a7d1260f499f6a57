//! Typed ids. A session's id is computed from what names it in its tool, so that every machine computes the same one.

use crate::error::{Error, Result};
use sha2::{Digest, Sha256};
use std::fmt;

/// Bytes of a tool's own id for a session.
const LONGEST_NATIVE_ID: usize = 256;

/// True for what a tool may call a session, or be called itself: one line, and no option, since it may end up as an argument of
/// the tool's command line.
pub fn is_native_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST_NATIVE_ID && !text.starts_with('-') && !text.contains(char::is_control)
}

/// `ses_` and 8 to 40 letters or digits; ours are 16 lower-case base32 characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(String);

impl SessionId {
    /// The id of the session that `tool` calls `native_id`: base32 of SHA-256 over both.
    pub fn of(tool: &str, native_id: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(tool.as_bytes());
        hash.update([0]);
        hash.update(native_id.as_bytes());
        SessionId(format!("ses_{}", base32(&hash.finalize()[..10])))
    }

    /// Takes an id from outside.
    pub fn parse(text: &str) -> Result<Self> {
        let tail = text.strip_prefix("ses_").unwrap_or_default();
        if (8..=40).contains(&tail.len()) && tail.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Ok(SessionId(text.to_owned()));
        }
        Err(Error::usage(format!("{text:?} is not a session id"))
            .hint("an id is `ses_` and 8 to 40 letters or digits, see `sfs list`"))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// SHA-256 of some bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// Hashes `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Hash(Sha256::digest(bytes).into())
    }

    /// The first 64 bits, as a database keeps them.
    pub fn word(&self) -> i64 {
        let mut word = [0; 8];
        word.copy_from_slice(&self.0[..8]);
        i64::from_le_bytes(word)
    }

    /// 64 lower-case hexadecimal digits.
    pub fn hex(&self) -> String {
        self.0.iter().fold(String::with_capacity(64), |mut text, byte| {
            text.push(char::from(b"0123456789abcdef"[usize::from(byte >> 4)]));
            text.push(char::from(b"0123456789abcdef"[usize::from(byte & 15)]));
            text
        })
    }
}

impl Hash {
    /// Reads what [`Hash::hex`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: Vec<u8> = text.bytes().filter_map(|b| char::from(b).to_digit(16).map(|d| d as u8)).collect();
        let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
        Some(Hash(bytes.try_into().ok()?)).filter(|hash| hash.hex() == text)
    }
}

impl serde::Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.hex())
    }
}

impl<'de> serde::Deserialize<'de> for Hash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Hash::parse(&text).ok_or_else(|| serde::de::Error::custom("a hash is 64 lower-case hexadecimal digits"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

/// RFC 4648 alphabet in lower case, no padding; `bytes` in groups of five.
fn base32(bytes: &[u8]) -> String {
    let mut text = String::new();
    for group in bytes.chunks(5) {
        let mut word = [0u8; 8];
        word[3..3 + group.len()].copy_from_slice(group);
        let word = u64::from_be_bytes(word);
        for n in 0..8 {
            let digit = (word >> (35 - 5 * n)) & 31;
            text.push(char::from(b"abcdefghijklmnopqrstuvwxyz234567"[digit as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_depends_on_tool_and_native_id_only() {
        let id = SessionId::of("claude-code", "f612d130-59c8-4e9e-abc9-3ba18f852023");
        assert_eq!(id, SessionId::of("claude-code", "f612d130-59c8-4e9e-abc9-3ba18f852023"));
        assert_ne!(id, SessionId::of("codex", "f612d130-59c8-4e9e-abc9-3ba18f852023"));
        assert_eq!(id.as_str().len(), 20);
        assert_eq!(SessionId::parse(id.as_str()).unwrap(), id);
    }

    #[test]
    fn base32_follows_rfc_4648() {
        assert_eq!(base32(b"fooba"), "mzxw6ytb");
    }
}
