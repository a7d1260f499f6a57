//! Finds secrets in text. One pass of an automaton over the literals with which secrets begin, or by which they are
//! called, proposes places; a small pattern, anchored there, decides. So the cost follows the length of the text, whatever
//! is in it: ordinary text is read once, and every proposal looks at a bounded number of bytes.
//!
//! It prefers silence to noise: identifiers, hashes, placeholders and code are no secrets. It knows a password only by what
//! stands before it; one that is mentioned in prose is not found.

mod assignment;
mod judge;
mod patterns;
mod pem;

use super::json;
use super::redact::{placeholder_at, placeholders};
use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use patterns::{Left, RULES, Rule};
use regex::Regex;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::LazyLock;

/// Changes with every change of the rules: a copy that was redacted by older rules may hold what newer ones find.
pub const RULESET: u32 = 1;

/// How bad it is that somebody else has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Of unknown use, or of use for little.
    Medium,
    /// One account or service.
    High,
    /// A whole cloud account, or a key that can't be changed easily.
    Critical,
}

impl Severity {
    /// The word that is shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }

    /// Takes a word.
    pub fn parse(word: &str) -> Option<Severity> {
        [Severity::Medium, Severity::High, Severity::Critical].into_iter().find(|severity| severity.as_str() == word)
    }
}

/// A secret and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// What it is, such as `github_token`.
    pub kind: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Its bytes in the text.
    pub range: Range<usize>,
}

/// The secrets in `text`, in order, not overlapping.
pub fn find(text: &str) -> Vec<Secret> {
    DETECTOR.find(text)
}

/// The secrets in the string `text` that stands under `key` in JSON: those in the text, else the whole text where the key
/// says that it is one.
pub fn find_under(key: &str, text: &str) -> Vec<Secret> {
    let found = find(text);
    if !found.is_empty()
        || !judge::may_be_assigned(text)
        || !judge::may_name(key)
        || placeholders(text).next().is_some()
    {
        return found;
    }
    let kind = judge::strength(key).and_then(|strength| judge::assigned(key, strength, judge::Form::Quoted, text));
    kind.map(|(kind, severity)| Secret { kind, severity, range: 0..text.len() }).into_iter().collect()
}

/// The secrets in a line of a stream, whether it is JSON or not. `each` gets the secret itself too; in JSON its place is
/// the whole string in which it stands.
pub fn find_in_line(line: &str, each: &mut dyn FnMut(Secret, &str)) {
    if !json::is_json(line) {
        return find(line).into_iter().for_each(|secret| each(secret.clone(), &line[secret.range]));
    }
    for string in json::strings(line) {
        let text = string.text();
        for secret in string.secrets(&text) {
            let hidden = &text[secret.range.clone()];
            each(Secret { range: string.range.clone(), ..secret }, hidden);
        }
    }
}

/// A secret as it may be shown: its first and last four characters where that tells little, else nothing of it.
pub fn masked(secret: &str) -> String {
    const LONG: usize = 20;
    let length = secret.chars().count();
    if length < LONG || secret.contains(['\n', ' ']) {
        return "****".to_owned();
    }
    let (first, last) = (secret.chars().take(4), secret.chars().skip(length - 4));
    first.chain("****".chars()).chain(last).collect()
}

/// What a literal of the automaton proposes.
#[derive(Clone, Copy)]
enum Proposal {
    /// The rule of this number.
    Rule(usize),
    /// A name to which a secret may be assigned.
    Name,
    /// A PEM block.
    Pem,
}

struct Detector {
    literals: AhoCorasick,
    /// By the literal's number.
    proposals: Vec<Proposal>,
    /// By the rule's number. A pattern that does not compile never matches: a test compiles all of them.
    patterns: Vec<Option<Regex>>,
}

static DETECTOR: LazyLock<Detector> = LazyLock::new(Detector::new);

/// No pattern looks farther.
const WINDOW: usize = 4096;

impl Detector {
    fn new() -> Detector {
        let rules =
            RULES.iter().enumerate().flat_map(|(n, rule)| rule.starts.iter().map(move |s| (*s, Proposal::Rule(n))));
        let names = judge::NAMES.iter().map(|name| (*name, Proposal::Name));
        let (literals, proposals): (Vec<&str>, _) = rules.chain(names).chain([(pem::BEGIN, Proposal::Pem)]).unzip();
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::DFA))
            .build(literals);
        // So few literals always fit; without an automaton nothing would be found, and every test would fail.
        let literals = automaton.unwrap_or_else(|_| unreachable!("a few hundred literals"));
        Detector { literals, proposals, patterns: RULES.iter().map(Rule::compile).collect() }
    }

    fn find(&self, text: &str) -> Vec<Secret> {
        let mut found = Vec::new();
        let mut named_until = 0;
        for hit in self.literals.find_overlapping_iter(text) {
            match self.proposals[hit.pattern().as_usize()] {
                Proposal::Rule(number) => {
                    let proposed = self.try_rule(number, text, hit.start());
                    found.extend(proposed.map(|secret| (0, secret)));
                }
                Proposal::Pem => found.extend(pem::find(text, hit.start()).map(|secret| (0, secret))),
                Proposal::Name if hit.start() < named_until => {}
                Proposal::Name => {
                    let name = assignment::name_at(text, hit.range());
                    named_until = name.end;
                    found.extend(assignment::find(text, name).map(|secret| (1, secret)));
                }
            }
        }
        without_overlaps(text, found)
    }

    fn try_rule(&self, number: usize, text: &str, start: usize) -> Option<Secret> {
        let rule = &RULES[number];
        let (before, rest) = text.split_at(start);
        if !rule.left.accepts(before) {
            return None;
        }
        let window = &rest[..text_boundary(rest, WINDOW)];
        let captures = self.patterns[number].as_ref()?.captures(window)?;
        let whole = captures.get(0)?;
        let secret = captures.get(1).unwrap_or(whole);
        let ends = rule.left == Left::Any || !continues(&window[whole.end()..]);
        (ends && (rule.accepts)(secret.as_str())).then(|| Secret {
            kind: rule.kind,
            severity: rule.severity,
            range: start + secret.start()..start + secret.end(),
        })
    }
}

/// `at`, or the end, moved back to where a character begins.
fn text_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// True where `rest` goes on with the word before it. A placeholder stands for one.
fn continues(rest: &str) -> bool {
    rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') || placeholder_at(rest).is_some()
}

/// The best of those that overlap: by rank, then the longer one. What is redacted already is none.
fn without_overlaps(text: &str, mut found: Vec<(u8, Secret)>) -> Vec<Secret> {
    if found.is_empty() {
        return Vec::new();
    }
    found.sort_by_key(|(rank, secret)| (*rank, std::cmp::Reverse(secret.range.len()), secret.range.start));
    let mut taken: BTreeMap<usize, Range<usize>> = placeholders(text).map(|range| (range.start, range)).collect();
    let mut kept = Vec::new();
    for (_, secret) in found {
        let before = taken.range(..secret.range.end).next_back();
        if before.is_none_or(|(_, other)| other.end <= secret.range.start) {
            taken.insert(secret.range.start, secret.range.clone());
            kept.push(secret);
        }
    }
    kept.sort_by_key(|secret| secret.range.start);
    kept
}

#[cfg(test)]
pub(super) mod tests;
