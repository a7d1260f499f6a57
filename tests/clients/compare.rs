//! Compares what two models received: what a session's own tool sends with what another tool sends of it.

use super::transcript::{Call, Received, deed};
use serde_json::Value;

/// Panics with every difference that `ledger` does not admit; see [`differences`].
pub fn assert_same(expected: &Received, actual: &Received, ledger: &Value) {
    let found = differences(expected, actual, ledger);
    assert!(found.is_empty(), "the model did not receive the same:\n  {}\nledger: {ledger}", found.join("\n  "));
}

/// Differences, item by item: texts and images must be equal in equal order; calls by what they do ([`deed`]), their
/// result and its number of images.
///
/// The ledger admits differences of the kinds of things its entries name, once for each of their `count`: `dropped`
/// that one is missing, `degraded` that one is missing or another one, `mapped` that one is another one with the same
/// result; but a call that was `mapped` has to do the same. A thing that is new needs a `mapped` or `degraded` entry too. The order of all things ([`Received::shape`])
/// must be equal unless an admitted difference changed their number.
pub fn differences(expected: &Received, actual: &Received, ledger: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut compare = |kind: &str, words: &[&str], mine: &[Item], theirs: &[Item]| {
        if joined(mine) != joined(theirs) {
            let mut admitted = Admitted::of(words, ledger);
            if kind == "call" {
                admitted.mapped = 0;
            }
            found.extend(unlike(mine, theirs).iter().filter(|d| !admitted.admits(d)).map(|d| d.describe(kind)));
        }
    };
    compare("user text", &["user", "prompt", "beginning"], &texts(&expected.user_texts), &texts(&actual.user_texts));
    let assistant = (texts(&expected.assistant_texts), texts(&actual.assistant_texts));
    compare("assistant text", &["assistant", "thinking", "reasoning", "end"], &assistant.0, &assistant.1);
    compare("image", &["image"], &texts(&expected.images), &texts(&actual.images));
    compare("call", &["call", "result", "tool"], &calls(&expected.calls), &calls(&actual.calls));
    let lengths = |r: &Received| (r.user_texts.len(), r.assistant_texts.len(), r.calls.len());
    let comparable = is_silent(ledger) || lengths(expected) == lengths(actual);
    if found.is_empty() && comparable && expected.shape != actual.shape {
        found.push(format!("order: {} became {}", expected.shape, actual.shape));
    }
    found.extend(actual.rejections.iter().map(|problem| format!("the API refuses: {problem}")));
    found.extend(actual.orphans.iter().map(|orphan| format!("orphan: {orphan}")));
    if actual.exit != Some(0) {
        found.push(format!("the client ended with {:?}: {}", actual.exit, actual.stderr));
    }
    found
}

/// A thing to compare: a text, an image, or a call with its result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Item {
    text: String,
    result: String,
}

fn texts(texts: &[String]) -> Vec<Item> {
    texts.iter().map(|text| Item { text: text.clone(), result: String::new() }).collect()
}

fn calls(calls: &[Call]) -> Vec<Item> {
    let item = |call: &Call| Item { text: deed(call), result: format!("{} [{} images]", call.result, call.images) };
    calls.iter().map(item).collect()
}

/// The whole, however it is divided.
fn joined(items: &[Item]) -> String {
    items
        .iter()
        .flat_map(|item| [item.text.as_str(), &item.result])
        .filter(|text| !text.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

/// A difference: one is missing, one is new, or one became another.
struct Difference<'a> {
    mine: Option<&'a Item>,
    theirs: Option<&'a Item>,
}

impl Difference<'_> {
    fn describe(&self, kind: &str) -> String {
        match (self.mine, self.theirs) {
            (Some(mine), None) => format!("{kind} missing: {mine:?}"),
            (None, Some(theirs)) => format!("{kind} added: {theirs:?}"),
            (mine, theirs) => format!("{kind} changed: {mine:?}\n    into {theirs:?}"),
        }
    }
}

/// How two sequences differ, by their longest common subsequence.
fn unlike<'a>(mine: &'a [Item], theirs: &'a [Item]) -> Vec<Difference<'a>> {
    let mut longest = vec![vec![0; theirs.len() + 1]; mine.len() + 1];
    for i in (0..mine.len()).rev() {
        for j in (0..theirs.len()).rev() {
            let skip = longest[i + 1][j].max(longest[i][j + 1]);
            longest[i][j] = if mine[i] == theirs[j] { longest[i + 1][j + 1] + 1 } else { skip };
        }
    }
    let (mut i, mut j) = (0, 0);
    let (mut found, mut gone, mut new) = (Vec::new(), Vec::new(), Vec::new());
    while i < mine.len() || j < theirs.len() {
        if i < mine.len() && j < theirs.len() && mine[i] == theirs[j] {
            close(&mut found, &mut gone, &mut new);
            (i, j) = (i + 1, j + 1);
        } else if j == theirs.len() || i < mine.len() && longest[i + 1][j] >= longest[i][j + 1] {
            gone.push(&mine[i]);
            i += 1;
        } else {
            new.push(&theirs[j]);
            j += 1;
        }
    }
    close(&mut found, &mut gone, &mut new);
    found
}

/// Pairs what is gone at one place with what is new there.
fn close<'a>(found: &mut Vec<Difference<'a>>, gone: &mut Vec<&'a Item>, new: &mut Vec<&'a Item>) {
    for k in 0..gone.len().max(new.len()) {
        found.push(Difference { mine: gone.get(k).copied(), theirs: new.get(k).copied() });
    }
    gone.clear();
    new.clear();
}

/// How many differences of one kind a ledger still admits.
struct Admitted {
    mapped: u64,
    degraded: u64,
    dropped: u64,
}

impl Admitted {
    /// By the entries that have one of `words` in what they speak of.
    fn of(words: &[&str], ledger: &Value) -> Admitted {
        let count = |fate| {
            let speaks =
                |entry: &&Value| entry["what"].as_str().is_some_and(|what| words.iter().any(|w| what.contains(w)));
            entries(ledger, fate).filter(speaks).filter_map(|entry| entry["count"].as_u64()).sum()
        };
        Admitted { mapped: count("mapped"), degraded: count("degraded"), dropped: count("dropped") }
    }

    fn admits(&mut self, difference: &Difference) -> bool {
        let fates = match (difference.mine, difference.theirs) {
            (Some(_), None) => [&mut self.dropped, &mut self.degraded],
            (Some(mine), Some(theirs)) if mine.result != theirs.result => return take(&mut self.degraded),
            _ => [&mut self.mapped, &mut self.degraded],
        };
        fates.into_iter().any(take)
    }
}

fn take(left: &mut u64) -> bool {
    let any = *left > 0;
    *left = left.saturating_sub(1);
    any
}

/// Whether the ledger admits no difference at all.
fn is_silent(ledger: &Value) -> bool {
    ["mapped", "degraded", "dropped"].iter().all(|fate| entries(ledger, fate).next().is_none())
}

fn entries<'a>(ledger: &'a Value, fate: &str) -> impl Iterator<Item = &'a Value> {
    ledger[fate].as_array().into_iter().flatten()
}

#[test]
fn a_lost_text_is_found_unless_the_ledger_admits_it() {
    let text = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let expected = Received { user_texts: text(&["a", "b", "c"]), exit: Some(0), ..Received::default() };
    let actual = Received { user_texts: text(&["a", "c"]), ..expected.clone() };
    let swapped = Received { user_texts: text(&["b", "a", "c"]), ..expected.clone() };
    let nothing = serde_json::json!({});
    assert_same(&expected, &expected, &nothing);
    assert_eq!(differences(&expected, &actual, &nothing).len(), 1);
    assert_eq!(differences(&expected, &swapped, &nothing).len(), 2);
    let ledger = serde_json::json!({"dropped": [{"what": "user messages", "count": 1, "detail": "too long"}]});
    assert_same(&expected, &actual, &ledger);
    let turned = Received { shape: "au".into(), ..expected.clone() };
    assert_eq!(differences(&expected, &turned, &ledger).len(), 1);
    assert_eq!(differences(&expected, &Received { user_texts: text(&["a"]), ..expected.clone() }, &ledger).len(), 1);
}

#[test]
fn a_mapped_call_keeps_its_result() {
    let call = |name: &str, input, result: &str| Call { name: name.into(), input, result: result.into(), images: 0 };
    let received = |call| Received { calls: vec![call], exit: Some(0), ..Received::default() };
    let bash = received(call("Bash", serde_json::json!({"command": "ls", "description": "List"}), "a.txt"));
    let exec = received(call("exec_command", serde_json::json!({"cmd": "ls"}), "a.txt"));
    assert_same(&bash, &exec, &serde_json::json!({}));
    let other = received(call("list", serde_json::json!({}), "a.txt"));
    let broken = received(call("list", serde_json::json!({}), ""));
    let ledger = serde_json::json!({"mapped": [{"what": "tool calls", "count": 1, "detail": "ls as list"}]});
    assert_eq!(differences(&bash, &other, &ledger).len(), 1);
    assert_eq!(differences(&bash, &broken, &ledger).len(), 1);
    let patch = "*** Begin Patch\n*** Add File: a\n+x\n*** End Patch";
    let patch = received(call("apply_patch", serde_json::json!({ "input": patch }), "done"));
    let written = received(call("Write", serde_json::json!({"file_path": "a", "content": "x\n"}), "done"));
    assert_same(&patch, &written, &ledger);
}
