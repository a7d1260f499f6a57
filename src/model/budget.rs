//! What of a conversation fits into so many tokens: the first prompt and the newest turns stay, what lies between them is
//! replaced by a note that says what is missing and how to read it, and long tool outputs are trimmed. Calls and their
//! results stay together, since it is [`Step`]s that stay or go.
//!
//! Two passes over the conversation: [`Survey`] weighs each step, [`plan`] decides on the weights alone, and [`fit`]
//! carries the decision out while the messages pass by.
//!
//! Tokens are estimated, as every model counts otherwise and none tells how: see [`estimate`].

use super::conversation::{CallResult, Step, steps};
use super::ledger::{Counts, What};
use super::message::{Block, Message, Role};
use super::portion::Messages;
use crate::error::Result;
use jiff::Timestamp;
use std::ops::Range;

/// A picture of the size that clients send; the makers state 258 to 1,600.
const IMAGE: u64 = 1_600;
/// Names, ids and roles around a text.
const FRAME: u64 = 12;
/// The note that stands for what was left out.
const NOTE: u64 = 100;
/// An output longer than this part of the budget is trimmed.
const LONGEST_OUTPUT: u64 = 16;
/// But none that is shorter than this.
const SHORT_OUTPUT: u64 = 200;
/// The note inside of a trimmed output.
const CUT: u64 = 30;

/// Parts of a token that each byte of UTF-8 is worth: so many make one token.
const PARTS: u64 = 24;

/// By kind of byte: a letter in a word, a capital, a break, a digit, a sign, and the first byte of a longer character.
const WORTH: [u8; 256] = worth();

const fn worth() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'a'..=b'z' | b' ' => 5,
            b'\t' | b'\n' | b'\r' | 0xc0..=0xdf => 8,
            b'0'..=b'9' => 16,
            0x00..=0x7f => 14,
            // The rest of a character whose first byte counted.
            0x80..=0xbf => 0,
            0xe0..=0xef => 18,
            0xf0..=0xff => 40,
        };
        byte += 1;
    }
    table
}

/// About how many tokens `text` is. Against `OpenAI`'s `o200k_base`: prose, code and JSON 0 to 25 % more, Chinese, Japanese
/// and Korean 10 % more, Cyrillic 35 % more; listings of files and versions 15 % less, random base64 30 % less.
pub fn estimate(text: &str) -> u64 {
    parts_of(text).div_ceil(PARTS)
}

fn parts_of(text: &str) -> u64 {
    text.bytes().map(|byte| u64::from(WORTH[usize::from(byte)])).sum()
}

/// About how many tokens of the context `message` takes.
pub fn tokens(message: &Message) -> u64 {
    let is_summary = message.content.iter().any(|block| matches!(block, Block::Summary { .. }));
    let is_harness = message.is_meta && !message.is_context() || matches!(message.role, Role::System | Role::Developer);
    // A target's client writes its own harness texts.
    if is_harness && !is_summary {
        return 0;
    }
    message.content.iter().map(block_tokens).sum()
}

fn block_tokens(block: &Block) -> u64 {
    FRAME
        + match block {
            Block::Text(text) | Block::Summary { text, .. } | Block::Thinking { text, .. } => estimate(text),
            Block::ToolUse { name, input, .. } => FRAME + estimate(name) + estimate(input.get()),
            Block::ToolResult { content, .. } => FRAME + estimate(content),
            Block::Image(_) => IMAGE,
            Block::Other(raw) => estimate(raw.get()),
        }
}

fn result_tokens(result: &CallResult) -> u64 {
    2 * FRAME + estimate(&result.content) + IMAGE * result.images.len() as u64
}

/// What one step weighs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Weight {
    /// A person's words.
    is_prompt: bool,
    is_reply: bool,
    tokens: u64,
    /// With its long outputs trimmed.
    trimmed: u64,
    /// What would be missing.
    messages: u64,
    calls: u64,
    /// As the ledger counts them.
    pieces: Counts,
    /// Outputs that trimming makes shorter and that are carried over.
    long: u64,
    at: Option<Timestamp>,
}

/// What the steps of a conversation weigh, in their order: some hundred bytes each.
#[derive(Clone, Debug)]
pub struct Survey {
    budget: u64,
    weights: Vec<Weight>,
}

impl Survey {
    /// Weighs `messages` for a budget of so many tokens.
    pub fn of(messages: Messages<'_>, budget: u64) -> Result<Survey> {
        let limit = longest_output(budget);
        let weights = steps(messages).map(|step| step.map(|step| weigh(&step, limit))).collect::<Result<_>>()?;
        Ok(Survey { budget, weights })
    }
}

fn longest_output(budget: u64) -> u64 {
    (budget / LONGEST_OUTPUT).max(SHORT_OUTPUT)
}

fn weigh(step: &Step, limit: u64) -> Weight {
    let excess = |result: &CallResult| estimate(&result.content).saturating_sub(limit + CUT);
    let pieces = pieces_of(step);
    match step {
        Step::Prompt(message) => {
            let tokens = tokens(message);
            let is_prompt = message.is_prompt();
            let (trimmed, at) = (tokens, message.timestamp);
            Weight { is_prompt, tokens, trimmed, messages: 1, pieces, at, ..Weight::default() }
        }
        Step::Reply { message, results } => {
            let tokens = tokens(message) + results.iter().map(result_tokens).sum::<u64>();
            Weight {
                is_reply: true,
                tokens,
                trimmed: tokens - results.iter().map(excess).sum::<u64>(),
                long: results.iter().filter(|result| excess(result) > 0).count() as u64,
                messages: 1 + results.iter().filter(|result| !result.synthetic).count() as u64,
                calls: message.tool_calls() as u64,
                pieces,
                at: message.timestamp,
                ..Weight::default()
            }
        }
        Step::OrphanResult(result) => {
            let tokens = result_tokens(result);
            Weight { tokens, trimmed: tokens - excess(result), messages: 1, pieces, ..Weight::default() }
        }
    }
}

fn pieces_of(step: &Step) -> Counts {
    let mut counts = Counts::default();
    let results = match step {
        Step::Prompt(message) => {
            counts.add(message);
            &[][..]
        }
        Step::Reply { message, results } => {
            counts.add(message);
            &results[..]
        }
        Step::OrphanResult(result) => std::slice::from_ref(result),
    };
    for result in results.iter().filter(|result| !result.synthetic) {
        counts.add_many(What::Result, 1);
        counts.add_many(What::Image, result.images.len());
    }
    counts
}

/// What is left out at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    steps: Range<usize>,
    /// Messages, results of calls among them.
    pub messages: u64,
    /// Calls.
    pub calls: u64,
    /// As the ledger counts what is left out.
    pub pieces: Counts,
    /// The first time and the last.
    pub span: Option<(Timestamp, Timestamp)>,
}

/// Which steps stay, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// In order.
    pub gaps: Vec<Gap>,
    /// How many outputs are trimmed.
    pub trimmed: u64,
    /// Outputs of the steps before this one are trimmed to so many tokens.
    trimmed_to: usize,
    limit: u64,
}

/// Decides what stays. Where not even the first prompt, the newest one and the last step fit, the answer is how many tokens
/// these take.
pub fn plan(survey: &Survey) -> Result<Plan, u64> {
    let Survey { budget, weights } = survey;
    let whole = |steps: &[Weight]| steps.iter().map(|weight| weight.tokens).sum::<u64>();
    if whole(weights) <= *budget {
        return Ok(Plan::default());
    }
    let newest = weights.iter().rposition(|weight| weight.is_prompt).unwrap_or(0);
    let trimmed_to = if whole(&weights[newest..]) <= budget / 2 { newest } else { weights.len() };
    let weight = |at: usize| if at < trimmed_to { weights[at].trimmed } else { weights[at].tokens };
    let mut kept = essential(weights, newest);
    let mut cost = 2 * NOTE + (0..weights.len()).filter(|at| kept[*at]).map(weight).sum::<u64>();
    if cost > *budget {
        return Err(cost);
    }
    let mut start = weights.len();
    while start > 0 && (kept[start - 1] || cost + weight(start - 1) <= *budget) {
        start -= 1;
        cost += if kept[start] { 0 } else { weight(start) };
    }
    // A turn stays whole; only the newest one may be longer than the budget.
    if start < newest {
        start = (start..newest).find(|at| *at == 0 || weights[*at].is_prompt).unwrap_or(newest);
    }
    kept[start..].fill(true);
    let trimmed = (0..trimmed_to).filter(|at| kept[*at]).map(|at| weights[at].long).sum();
    Ok(Plan { gaps: gaps(weights, &kept), trimmed, trimmed_to, limit: longest_output(*budget) })
}

/// What stays in any case: the first prompt and summaries before it, the newest prompt, and the last step.
fn essential(weights: &[Weight], newest: usize) -> Vec<bool> {
    let mut kept = vec![false; weights.len()];
    let first = weights.iter().position(|weight| weight.is_prompt);
    let opening =
        weights.iter().take_while(|weight| !weight.is_reply).count().min(first.map_or(usize::MAX, |at| at + 1));
    kept[..opening].fill(true);
    for at in [first, Some(newest), weights.len().checked_sub(1)].into_iter().flatten() {
        kept[at] = true;
    }
    kept
}

/// The runs of steps that do not stay. One that weighs nothing is no loss.
fn gaps(weights: &[Weight], kept: &[bool]) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let mut at = 0;
    for run in kept.chunk_by(|a, b| a == b) {
        let steps = at..at + run.len();
        at = steps.end;
        let missing = &weights[steps.clone()];
        if run[0] || missing.iter().all(|weight| weight.tokens == 0) {
            continue;
        }
        let mut pieces = Counts::default();
        for weight in missing {
            pieces.add_all(&weight.pieces);
        }
        let times = || missing.iter().filter_map(|weight| weight.at);
        gaps.push(Gap {
            steps,
            messages: missing.iter().filter(|weight| weight.tokens > 0).map(|weight| weight.messages).sum(),
            calls: missing.iter().map(|weight| weight.calls).sum(),
            pieces,
            span: times().min().zip(times().max()),
        });
    }
    gaps
}

/// Carries `plan` out on the conversation it was made for. `how` is the command that shows all of it.
pub fn fit(messages: Messages<'_>, plan: Plan, how: String) -> Messages<'_> {
    let mut next = 0;
    let mut gaps = plan.gaps.into_iter().peekable();
    let parts = steps(messages).flat_map(move |step| {
        let step = match step {
            Ok(step) => step,
            Err(error) => return vec![Err(error)],
        };
        let at = next;
        next += 1;
        gaps.next_if(|gap| gap.steps.end <= at);
        match gaps.peek() {
            Some(gap) if gap.steps.start == at => vec![Ok(note(gap, at, &how))],
            Some(gap) if gap.steps.contains(&at) => Vec::new(),
            _ => messages_of(step, (at < plan.trimmed_to).then_some(plan.limit), &how),
        }
    });
    Box::new(parts)
}

/// The step as messages again. A result that the session does not hold is made up once more by who needs it.
fn messages_of(step: Step, limit: Option<u64>, how: &str) -> Vec<Result<Message>> {
    let into_message = |result: CallResult, at| {
        let mut message = Message::new(format!("{}:result", result.id), Role::Tool);
        message.timestamp = at;
        let content = limit.and_then(|limit| trim(&result.content, limit, how)).unwrap_or(result.content);
        let (id, is_error) = (result.id, result.is_error);
        message.content.push(Block::ToolResult { id, content, is_error, exit_code: None, duration_ms: None });
        message.content.extend(result.images.into_iter().map(Block::Image));
        Ok(message)
    };
    match step {
        Step::Prompt(message) => vec![Ok(message)],
        Step::OrphanResult(result) => vec![into_message(result, None)],
        Step::Reply { message, results } => {
            let at = message.timestamp;
            let results = results.into_iter().filter(|result| !result.synthetic);
            let results: Vec<_> = results.map(|result| into_message(result, at)).collect();
            std::iter::once(Ok(message)).chain(results).collect()
        }
    }
}

fn note(gap: &Gap, at: usize, how: &str) -> Message {
    let time = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M");
    let when = gap.span.map(|(first, last)| format!(", from {} to {} UTC", time(first), time(last)));
    let when = when.unwrap_or_default();
    let text = format!(
        "[Left out here so that the conversation fits into the model's context: {} messages with {} tool calls{when}. \
         They are archived; `{how}` shows them.]",
        gap.messages, gap.calls
    );
    let mut note = Message::new(format!("gap:{at}"), Role::System);
    note.timestamp = gap.span.map(|(_, last)| last);
    note.content.push(Block::Summary { text, through: None });
    note
}

/// The beginning and the end of an output of more than `limit` tokens, two thirds and one third.
fn trim(text: &str, limit: u64, how: &str) -> Option<String> {
    if estimate(text) <= limit + CUT {
        return None;
    }
    let head = reach(text.char_indices(), limit * PARTS * 2 / 3);
    let tail = text.len()
        - reach(
            text[head..].chars().rev().scan(0, |at, c| {
                let here = *at;
                *at += c.len_utf8();
                Some((here, c))
            }),
            limit * PARTS / 3,
        );
    let left = tail.saturating_sub(head);
    Some(format!(
        "{}\n[… {left} bytes of this output left out; `{how}` shows them …]\n{}",
        &text[..head],
        &text[tail..]
    ))
}

/// How many bytes of `characters` (with their offsets) are worth `parts` of tokens.
fn reach(characters: impl Iterator<Item = (usize, char)>, parts: u64) -> usize {
    let mut sum = 0;
    let mut end = 0;
    for (at, c) in characters {
        sum += parts_of(c.encode_utf8(&mut [0; 4]));
        if sum > parts {
            break;
        }
        end = at + c.len_utf8();
    }
    end
}
