//! Copies without secrets. Each is replaced by `[redacted:KIND:xxxxxxxx]`: which one it was can't be told, that it was the
//! same one can, within one archive. A copy of a copy is the same copy, and no line is added or taken away, so a message
//! keeps its place.

use super::json;
use super::secrets::{self, Secret};
use crate::model::message::{Block, Message};
use memchr::memmem;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::ops::Range;

/// Replaces secrets, with the key of an archive.
#[derive(Clone)]
pub struct Redactor {
    key: Vec<u8>,
}

/// What a redaction gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redacted<T> {
    /// The copy.
    pub copy: T,
    /// How many secrets were replaced.
    pub replaced: u64,
}

impl Redactor {
    /// `key` makes placeholders of different archives unlike each other. Who has it can try guesses.
    pub fn new(key: impl Into<Vec<u8>>) -> Redactor {
        Redactor { key: key.into() }
    }

    /// `text` without its secrets.
    pub fn text<'t>(&self, text: &'t str) -> Redacted<Cow<'t, str>> {
        self.settled(text, &secrets::find)
    }

    /// A line of a stream. Of JSON only string values are changed, and it stays JSON; of bytes that are no text only the
    /// rest.
    pub fn line<'l>(&self, line: &'l [u8]) -> Redacted<Cow<'l, [u8]>> {
        if let Ok(text) = std::str::from_utf8(line) {
            let Redacted { copy, replaced } = self.json_or_text(text);
            let copy = match copy {
                Cow::Borrowed(_) => Cow::Borrowed(line),
                Cow::Owned(text) => Cow::Owned(text.into_bytes()),
            };
            return Redacted { copy, replaced };
        }
        let (mut out, mut replaced) = (Vec::with_capacity(line.len()), 0);
        for chunk in line.utf8_chunks() {
            let part = self.text(chunk.valid());
            out.extend_from_slice(part.copy.as_bytes());
            out.extend_from_slice(chunk.invalid());
            replaced += part.replaced;
        }
        Redacted { copy: Cow::Owned(out), replaced }
    }

    /// Every text in `message`; returns how many secrets were replaced. Ids, names, signatures and pictures stay.
    pub fn message(&self, message: &mut Message) -> u64 {
        message.content.iter_mut().map(|block| self.block(block)).sum()
    }

    /// `text` in place.
    pub fn string(&self, text: &mut String) -> u64 {
        let Redacted { copy, replaced } = self.text(text);
        if let Cow::Owned(copy) = copy {
            *text = copy;
        }
        replaced
    }

    fn block(&self, block: &mut Block) -> u64 {
        match block {
            Block::Text(text) | Block::Summary { text, .. } | Block::ToolResult { content: text, .. } => {
                self.string(text)
            }
            Block::Thinking { text, summary, .. } => self.string(text) + summary.as_mut().map_or(0, |s| self.string(s)),
            Block::ToolUse { input: raw, .. } | Block::Other(raw) => self.json(raw),
            Block::Image(_) => 0,
        }
    }

    fn json(&self, raw: &mut Box<RawValue>) -> u64 {
        let Redacted { copy, replaced } = self.json_or_text(raw.get());
        if let Cow::Owned(copy) = copy {
            // What was JSON still is. If it were not, the safe copy is the one that says nothing.
            *raw = RawValue::from_string(copy).unwrap_or_else(|_| RawValue::NULL.to_owned());
        }
        replaced
    }

    fn json_or_text<'l>(&self, line: &'l str) -> Redacted<Cow<'l, str>> {
        if !json::is_json(line) {
            return self.text(line);
        }
        let (mut out, mut done, mut replaced) = (String::new(), 0, 0);
        for string in json::strings(line) {
            let text = string.text();
            let part = self.settled(&text, &|text| string.secrets(text));
            if part.replaced == 0 {
                continue;
            }
            out.push_str(&line[done..string.range.start]);
            let copy = if string.is_raw(&text) { format!("\"{}\"", part.copy) } else { quoted(&part.copy) };
            out.push_str(&copy);
            done = string.range.end;
            replaced += part.replaced;
        }
        if replaced == 0 {
            return Redacted { copy: Cow::Borrowed(line), replaced };
        }
        out.push_str(&line[done..]);
        Redacted { copy: Cow::Owned(out), replaced }
    }

    /// What stood behind a secret may only be seen to be one when that is gone: until no more are found.
    fn settled<'t>(&self, text: &'t str, find: &dyn Fn(&str) -> Vec<Secret>) -> Redacted<Cow<'t, str>> {
        let mut settled = self.replace(text, &find(text));
        while settled.replaced > 0 {
            let next = self.replace(&settled.copy, &find(&settled.copy));
            if next.replaced == 0 {
                break;
            }
            let replaced = settled.replaced + next.replaced;
            settled = Redacted { copy: Cow::Owned(next.copy.into_owned()), replaced };
        }
        settled
    }

    fn replace<'t>(&self, text: &'t str, found: &[Secret]) -> Redacted<Cow<'t, str>> {
        if found.is_empty() {
            return Redacted { copy: Cow::Borrowed(text), replaced: 0 };
        }
        let (mut out, mut done) = (String::with_capacity(text.len()), 0);
        for secret in found {
            let hidden = &text[secret.range.clone()];
            out.push_str(&text[done..secret.range.start]);
            out.push_str(&self.placeholder(secret.kind, hidden));
            // The lines of a secret stay as empty ones.
            out.extend(hidden.bytes().filter(|b| *b == b'\n').map(char::from));
            done = secret.range.end;
        }
        out.push_str(&text[done..]);
        Redacted { copy: Cow::Owned(out), replaced: found.len() as u64 }
    }

    fn placeholder(&self, kind: &str, secret: &str) -> String {
        format!("{OPEN}{kind}:{}]", self.fingerprint(secret))
    }

    /// Tells whether two secrets are the same one. The line breaks of a key in PEM are not a part of it: `\n` in a string
    /// and a real one make the same key.
    pub fn fingerprint(&self, secret: &str) -> String {
        let text: String = secret.replace("\\n", "\n").split_whitespace().collect();
        let hash = Sha256::new().chain_update((self.key.len() as u64).to_be_bytes()).chain_update(&self.key);
        let mut hex = crate::id::Hash(hash.chain_update(text).finalize().into()).hex();
        hex.truncate(HASH_LENGTH);
        hex
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

const OPEN: &str = "[redacted:";
const HASH_LENGTH: usize = 8;
/// No kind has a longer name.
const MAX_KIND: usize = 48;

/// The length of the placeholder with which `text` begins.
pub(super) fn placeholder_at(text: &str) -> Option<usize> {
    let rest = text.strip_prefix(OPEN)?.as_bytes();
    let kind = rest.iter().take(MAX_KIND).take_while(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || **b == b'_');
    let kind = kind.count();
    let hash = rest[kind..].strip_prefix(b":")?;
    let is_hash = hash.len() > HASH_LENGTH && hash[..HASH_LENGTH].iter().all(u8::is_ascii_hexdigit);
    (kind > 0 && is_hash && hash[HASH_LENGTH] == b']').then_some(OPEN.len() + kind + 1 + HASH_LENGTH + 1)
}

/// True where two lines are the same, or copies of the same line: one of them redacted, or both, with whatever keys.
pub fn is_same_line(one: &[u8], other: &[u8]) -> bool {
    let may_be_copy = |line: &[u8]| memmem::find(line, OPEN.as_bytes()).is_some();
    one == other || ((may_be_copy(one) || may_be_copy(other)) && unkeyed(one) == unkeyed(other))
}

/// True where a secret was taken out of `text`.
pub fn is_copy(text: &str) -> bool {
    placeholders(text).next().is_some()
}

/// The copy with placeholders that tell only what kind of secret was there: the same for copies made with whatever keys.
pub fn unkeyed(line: &[u8]) -> Vec<u8> {
    let copy = Redactor::new(Vec::new()).line(line).copy;
    let Ok(text) = std::str::from_utf8(&copy) else { return copy.into_owned() };
    let (mut out, mut done) = (Vec::with_capacity(text.len()), 0);
    for place in placeholders(text) {
        out.extend_from_slice(&copy[done..place.end - HASH_LENGTH - 1]);
        done = place.end;
    }
    out.extend_from_slice(&copy[done..]);
    out
}

/// The places of placeholders in `text`.
pub(super) fn placeholders(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let starts = memmem::find_iter(text.as_bytes(), OPEN.as_bytes());
    starts.filter_map(|start| placeholder_at(&text[start..]).map(|length| start..start + length))
}

/// True where a placeholder is the last thing in `text`.
pub(super) fn ends_with_placeholder(text: &str) -> bool {
    let longest = OPEN.len() + MAX_KIND + HASH_LENGTH + 2;
    text.ends_with(']') && {
        let from = text.len().saturating_sub(longest);
        let start = memmem::rfind(&text.as_bytes()[from..], OPEN.as_bytes()).map(|at| from + at);
        start.is_some_and(|start| placeholder_at(&text[start..]) == Some(text.len() - start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::secrets::tests::{EXAMPLES, made};
    use proptest::prelude::*;

    fn redactor() -> Redactor {
        Redactor::new(*b"a key")
    }

    fn line(text: &str) -> String {
        String::from_utf8(redactor().line(text.as_bytes()).copy.into_owned()).unwrap()
    }

    #[test]
    fn a_secret_has_one_placeholder_in_an_archive_and_another_one_elsewhere() {
        let token = made("ghp_<a36>");
        let text = format!("a {token} b {token} c");
        let once = redactor().text(&text);
        insta::assert_snapshot!(once.copy, @"a [redacted:github_token:08e9c06f] b [redacted:github_token:08e9c06f] c");
        assert_eq!(once.replaced, 2);
        assert_ne!(Redactor::new(*b"another").text(&text).copy, once.copy);
    }

    #[test]
    fn a_key_in_pem_keeps_its_frame_and_its_lines() {
        let text = made("x\n-----BEGIN RSA PRIVATE KEY-----\n<b64>\n<b64>\n-----END RSA PRIVATE KEY-----\ny");
        insta::assert_snapshot!(redactor().text(&text).copy, @r"
        x
        -----BEGIN RSA PRIVATE KEY-----
        [redacted:private_key_pem:9a416779]

        -----END RSA PRIVATE KEY-----
        y
        ");
    }

    #[test]
    fn of_json_only_string_values_change() {
        let token = made("sk-ant-api03-<a93>AA");
        let text = format!(
            r#"{{"id":"msg_1", "n":1.50,"signature":"{}","apiKey":"{}","text":"a \"b\" \u00e9\n{token}","n2":null}}"#,
            made("<b300>"),
            made("<a32>")
        );
        let copy = line(&text);
        let (before, after) = copy.split_once(r#""apiKey":"#).unwrap();
        assert_eq!(before, text.split_once(r#""apiKey":"#).unwrap().0, "what is not replaced stays as it was written");
        insta::assert_snapshot!(after, @r#""[redacted:generic_password_assignment:f7cfa095]","text":"a \"b\" é\n[redacted:anthropic_api_key:e16449bb]","n2":null}"#);
        assert!(serde_json::from_str::<serde_json::Value>(&copy).is_ok());
    }

    #[test]
    fn what_is_no_json_and_no_text_is_redacted_all_the_same() {
        let token = made("npm_<a36>");
        let bytes = [b"\xff\xfe ", token.as_bytes(), b" \xff"].concat();
        let Redacted { copy, replaced } = redactor().line(&bytes);
        assert!(replaced == 1 && copy.starts_with(b"\xff\xfe [redacted:npm_token:") && copy.ends_with(b"] \xff"));
        // Half of a surrogate pair: no reader of JSON can say what the string says.
        let half = format!(r#"{{"a":"\ud800 {token}\n"}}"#);
        assert!(line(&half).starts_with(r#"{"a":"\ud800 [redacted:npm_token:"#) && line(&half).ends_with(r#"]\n"}"#));
        let deep = format!("{}{{\"password\":\"{token}\"}}{}", "[".repeat(200), "]".repeat(200));
        assert!(!line(&deep).contains(&token));
    }

    #[test]
    fn a_message_is_redacted_in_all_its_parts() {
        let token = made("ghp_<a36>");
        let json = |text: String| RawValue::from_string(text).unwrap();
        let mut message = Message::new("m", crate::model::message::Role::Assistant);
        let result = |content: String| Block::ToolResult {
            id: "c".into(),
            content,
            is_error: false,
            exit_code: None,
            duration_ms: None,
        };
        message.content = vec![
            Block::Text(token.clone()),
            Block::Thinking { text: token.clone(), signature: None, redacted: false, summary: Some(token.clone()) },
            Block::ToolUse {
                id: "c".into(),
                name: "Bash".into(),
                input: json(format!(r#"{{"command":"x {token}"}}"#)),
            },
            result(token.clone()),
            Block::Summary { text: token.clone(), through: None },
            Block::Other(json(format!(r#"{{"type":"x","password":"{token}"}}"#))),
        ];
        assert_eq!(redactor().message(&mut message), 7);
        assert!(!serde_json::to_string(&message).unwrap().contains(&token));
    }

    #[test]
    fn placeholders_are_recognised() {
        assert_eq!(placeholder_at("[redacted:a_b:0123abcd] x"), Some(23));
        for text in
            ["[redacted:a_b:0123abcd", "[redacted::0123abcd]", "[redacted:a:0123abc]", "[redacted:", "[redacted:é:"]
        {
            assert_eq!(placeholder_at(text), None, "{text}");
        }
        assert!(
            ends_with_placeholder("x[redacted:a_b:0123abcd]") && !ends_with_placeholder("[redacted:a_b:0123abcd]x]")
        );
    }

    fn pieces() -> impl Strategy<Value = String> {
        let example = (0..EXAMPLES.len()).prop_map(|n| made(EXAMPLES[n].1));
        let glue = prop::sample::select(vec![
            "",
            " ",
            "\n",
            "\"",
            "\\\"",
            "\\n",
            "=",
            ": ",
            "_",
            "-",
            "é",
            "[",
            "]",
            "password=",
            "token: ",
            "://",
            "@",
            "{\"a\":\"",
            "\"}",
        ]);
        prop::collection::vec(prop_oneof![example, glue.prop_map(str::to_owned), "[a-zA-Z0-9+/= ]{0,12}"], 0..8)
            .prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_copy_of_a_copy_is_the_same_and_keeps_its_lines(text in pieces()) {
            let once = redactor().text(&text).copy.into_owned();
            prop_assert_eq!(once.matches('\n').count(), text.matches('\n').count());
            prop_assert_eq!(&redactor().text(&once).copy, &once);
            let json = serde_json::json!({"content": [{"text": text}], "password": text}).to_string();
            let once = line(&json);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&once).is_ok());
            prop_assert_eq!(line(&once), once);
        }
    }
}
