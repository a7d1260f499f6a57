//! The live conversation: what the model would see next. Readers give its messages in order; [`steps`] brings them into
//! the one order that every API accepts, a call's result right behind the reply that called.

use super::message::{Block, Message, Role, UNRECORDED};
use crate::error::Result;
use std::collections::{HashMap, HashSet, VecDeque};

/// What is known of the session beside its messages.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// The id of its own tool: a writer of the same tool may keep what is only valid there, such as signatures.
    pub tool: &'static str,
    /// The id in its own tool.
    pub native_id: String,
    /// The folder it works in.
    pub cwd: Option<String>,
    /// As `sfs list` shows it.
    pub title: Option<String>,
    /// Git branch.
    pub git_branch: Option<String>,
    /// The last model.
    pub model: Option<String>,
    /// First activity.
    pub created_at: Option<jiff::Timestamp>,
    /// Last activity.
    pub updated_at: Option<jiff::Timestamp>,
}

/// A stream of live messages: oldest first, harness messages included and marked `is_meta`, side chains and abandoned
/// branches left out and counted in `left_out`.
pub struct Conversation<'a> {
    /// The messages.
    pub messages: Box<dyn Iterator<Item = Result<Message>> + 'a>,
    /// What the walk left out: kind, why, and how many.
    pub left_out: Vec<(&'static str, &'static str, u64)>,
}

/// A tool's answer, ready to be written.
#[derive(Clone, Debug)]
pub struct CallResult {
    /// The call's id, as it stands in the reply.
    pub id: String,
    /// The text.
    pub content: String,
    /// The tool reported failure.
    pub is_error: bool,
    /// Pictures that came with it.
    pub images: Vec<super::message::ImageSource>,
    /// True where the session holds no result (the tool was killed, or still runs) and this one was put in its place.
    pub synthetic: bool,
}

/// One step of the conversation in the order that every API accepts.
#[derive(Debug)]
pub enum Step {
    /// A person's or the harness's message: user, developer or system.
    Prompt(Message),
    /// A reply of the model with the results of all its calls, in the order of the calls.
    Reply {
        /// Assistant blocks. Consecutive assistant messages are joined into one.
        message: Message,
        /// One for each call in `message`.
        results: Vec<CallResult>,
    },
    /// A result whose call is not in the conversation.
    OrphanResult(CallResult),
}

/// The text that stands for a result that never came.
pub const NO_RESULT: &str = "[No result: the session ended before this tool call returned]";

/// The text that stands for a result where the tool keeps none.
pub const UNRECORDED_RESULT: &str = "[No result: the tool's record of this session has none]";

/// While a call is open, this many later messages are held back for its result to come.
const HOLD_MESSAGES: usize = 256;
/// As many prompts: a result that has not come by the second prompt will not come.
const HOLD_PROMPTS: usize = 2;

/// Orders `messages` into steps. Ids of calls are made unique (a repeated one gets `-2`, `-3`, …; Claude Code 2.1.330 takes
/// `X_2` for a copy of `X` and loses its result), open calls are
/// closed with [`NO_RESULT`] or [`UNRECORDED_RESULT`], a call's result moves up to the reply that made the call.
pub fn steps<'a>(messages: impl Iterator<Item = Result<Message>> + 'a) -> impl Iterator<Item = Result<Step>> + 'a {
    let mut order = Order::new(messages);
    std::iter::from_fn(move || order.next_step())
}

struct Order<I> {
    input: I,
    /// Messages to look at again before `input`.
    replay: VecDeque<Message>,
    ready: VecDeque<Step>,
    group: Option<Group>,
    held: Vec<Message>,
    held_prompts: usize,
    ids: CallIds,
    ended: bool,
}

struct Group {
    message: Message,
    /// In the order of the calls.
    results: Vec<(String, Option<CallResult>)>,
}

impl Group {
    fn is_complete(&self) -> bool {
        self.results.iter().all(|(_, result)| result.is_some())
    }

    fn is_answered(&self) -> bool {
        self.results.iter().any(|(_, result)| result.is_some())
    }
}

impl<I: Iterator<Item = Result<Message>>> Order<I> {
    fn new(input: I) -> Self {
        Order {
            input,
            replay: VecDeque::new(),
            ready: VecDeque::new(),
            group: None,
            held: Vec::new(),
            held_prompts: 0,
            ids: CallIds::default(),
            ended: false,
        }
    }

    fn next_step(&mut self) -> Option<Result<Step>> {
        loop {
            if let Some(step) = self.ready.pop_front() {
                return Some(Ok(step));
            }
            let message = match self.replay.pop_front() {
                Some(message) => message,
                None if self.ended => return None,
                None => match self.input.next() {
                    Some(Ok(message)) => self.ids.unique(message),
                    Some(Err(error)) => return Some(Err(error)),
                    None => {
                        self.close_group();
                        self.ended = self.replay.is_empty();
                        continue;
                    }
                },
            };
            self.take(message);
        }
    }

    fn take(&mut self, message: Message) {
        match message.role {
            Role::Assistant => self.take_reply(message),
            _ => self.take_prompt_or_results(message),
        }
    }

    fn take_reply(&mut self, mut message: Message) {
        if let Some(group) = &mut self.group {
            if group.is_answered() && group.is_complete() {
                let put_back = self.close_group();
                if put_back > 0 {
                    self.replay.insert(put_back, message);
                    return;
                }
            } else if group.is_answered() || !self.held.is_empty() {
                self.hold(message);
                return;
            } else {
                group.results.extend(call_ids(&message).map(|id| (id, None)));
                group.message.content.append(&mut message.content);
                group.message.stop_reason = message.stop_reason;
                return;
            }
        }
        let results = call_ids(&message).map(|id| (id, None)).collect();
        self.group = Some(Group { message, results });
    }

    fn take_prompt_or_results(&mut self, mut message: Message) {
        let (results, rest) = split_results(std::mem::take(&mut message.content));
        let mut results = results.into_iter();
        while let Some(result) = results.next() {
            let put_back = self.take_result(result, &message);
            if put_back > 0 {
                // Apart, so that a picture in front of the results does not become one of the last result's.
                let later = [results.flat_map(into_blocks).collect(), rest];
                for content in later.into_iter().rev().filter(|content: &Vec<Block>| !content.is_empty()) {
                    self.replay.insert(put_back, Message { content, ..message.clone() });
                }
                return;
            }
        }
        if rest.is_empty() {
            return;
        }
        message.content = rest;
        if message.role == Role::Tool {
            message.role = Role::User;
        }
        match &self.group {
            Some(group) if !group.is_complete() => {
                self.held_prompts += usize::from(message.is_prompt());
                self.hold(message);
            }
            Some(_) => {
                self.close_group();
                self.ready.push_back(Step::Prompt(message));
            }
            None => self.ready.push_back(Step::Prompt(message)),
        }
    }

    /// See [`Order::close_group`] for the answer.
    fn take_result(&mut self, result: CallResult, message: &Message) -> usize {
        if let Some(group) = &mut self.group
            && let Some((_, place)) = group.results.iter_mut().find(|(id, place)| *id == result.id && place.is_none())
        {
            *place = Some(result);
            let may_close = group.is_complete() && !self.held.is_empty();
            return if may_close { self.close_group() } else { 0 };
        }
        if self.held.iter().any(|held| call_ids(held).any(|id| id == result.id)) {
            let mut later = message.clone();
            later.content = into_blocks(result);
            return self.hold(later);
        }
        self.ready.push_back(Step::OrphanResult(result));
        0
    }

    /// See [`Order::close_group`] for the answer.
    fn hold(&mut self, message: Message) -> usize {
        self.held.push(message);
        let is_enough = self.held.len() >= HOLD_MESSAGES || self.held_prompts >= HOLD_PROMPTS;
        if is_enough { self.close_group() } else { 0 }
    }

    /// Ends the reply, and puts what was held back before all else that is to be looked at again. The answer is how many
    /// messages that are: whatever else is left of the present one comes behind them.
    fn close_group(&mut self) -> usize {
        if let Some(group) = self.group.take() {
            let is_unrecorded = group.message.metadata.contains_key(UNRECORDED);
            let content = if is_unrecorded { UNRECORDED_RESULT } else { NO_RESULT };
            let results = group.results.into_iter().map(|(id, result)| {
                result.unwrap_or_else(|| CallResult {
                    id,
                    content: content.to_owned(),
                    is_error: !is_unrecorded,
                    images: Vec::new(),
                    synthetic: true,
                })
            });
            self.ready.push_back(Step::Reply { message: group.message, results: results.collect() });
        }
        self.held_prompts = 0;
        let put_back = self.held.len();
        for message in self.held.drain(..).rev() {
            self.replay.push_front(message);
        }
        put_back
    }
}

fn call_ids(message: &Message) -> impl Iterator<Item = String> + '_ {
    message.content.iter().filter_map(|b| if let Block::ToolUse { id, .. } = b { Some(id.clone()) } else { None })
}

/// Results with the images behind them, and what is neither.
fn split_results(content: Vec<Block>) -> (Vec<CallResult>, Vec<Block>) {
    let (mut results, mut rest) = (Vec::<CallResult>::new(), Vec::new());
    for block in content {
        match block {
            Block::ToolResult { id, content, is_error, .. } => {
                results.push(CallResult { id, content, is_error, images: Vec::new(), synthetic: false });
            }
            // An image belongs to the result before it, unless prose came in between.
            Block::Image(source) if rest.is_empty() && !results.is_empty() => {
                if let Some(last) = results.last_mut() {
                    last.images.push(source);
                }
            }
            other => rest.push(other),
        }
    }
    (results, rest)
}

fn into_blocks(result: CallResult) -> Vec<Block> {
    let CallResult { id, content, is_error, images, .. } = result;
    let first = Block::ToolResult { id, content, is_error, exit_code: None, duration_ms: None };
    std::iter::once(first).chain(images.into_iter().map(Block::Image)).collect()
}

/// Gives every call an id of its own; a result goes to the newest call that had its id and still waits.
#[derive(Default)]
struct CallIds {
    seen: HashSet<String>,
    /// Original id → the id its newest call was given.
    renamed: HashMap<String, String>,
}

impl CallIds {
    fn fresh(&self, id: &str) -> String {
        let mut number = 2;
        while self.seen.contains(&format!("{id}-{number}")) {
            number += 1;
        }
        format!("{id}-{number}")
    }

    fn unique(&mut self, mut message: Message) -> Message {
        for block in &mut message.content {
            match block {
                Block::ToolUse { id, .. } if !self.seen.insert(id.clone()) => {
                    let fresh = self.fresh(id);
                    self.seen.insert(fresh.clone());
                    self.renamed.insert(std::mem::replace(id, fresh.clone()), fresh);
                }
                Block::ToolResult { id, .. } => {
                    if let Some(fresh) = self.renamed.get(id) {
                        id.clone_from(fresh);
                    }
                }
                _ => {}
            }
        }
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::message::wrap_input;

    #[expect(clippy::unnecessary_wraps, reason = "what readers give")]
    fn message(role: Role, content: Vec<Block>) -> Result<Message> {
        let mut message = Message::new("m", role);
        message.content = content;
        Ok(message)
    }
    fn user(text: &str) -> Result<Message> {
        message(Role::User, vec![Block::Text(text.into())])
    }
    fn say(text: &str) -> Result<Message> {
        message(Role::Assistant, vec![Block::Text(text.into())])
    }
    fn call(id: &str) -> Result<Message> {
        let input = wrap_input(id);
        message(Role::Assistant, vec![Block::ToolUse { id: id.into(), name: "t".into(), input }])
    }
    fn result(id: &str) -> Result<Message> {
        let content = format!("result {id}");
        message(
            Role::Tool,
            vec![Block::ToolResult { id: id.into(), content, is_error: false, exit_code: None, duration_ms: None }],
        )
    }
    fn show(messages: Vec<Result<Message>>) -> String {
        let mut lines = Vec::new();
        for step in steps(messages.into_iter()) {
            lines.push(match step.unwrap() {
                Step::Prompt(m) => format!("prompt {}", m.text()),
                Step::OrphanResult(r) => format!("orphan {}", r.id),
                Step::Reply { message, results } => {
                    let blocks: Vec<String> = message
                        .content
                        .iter()
                        .map(|b| match b {
                            Block::ToolUse { id, .. } => format!("call {id}"),
                            Block::Text(t) => t.clone(),
                            _ => "?".into(),
                        })
                        .collect();
                    let results: Vec<String> = results
                        .iter()
                        .map(|r| format!("{}{}", r.id, if r.synthetic { " missing" } else { "" }))
                        .collect();
                    format!("reply [{}] results [{}]", blocks.join(", "), results.join(", "))
                }
            });
        }
        lines.join("\n")
    }

    #[test]
    fn parallel_calls_stay_in_one_reply() {
        let steps = show(vec![
            user("go"),
            say("three"),
            call("a"),
            call("b"),
            call("c"),
            result("c"),
            result("a"),
            result("b"),
            say("done"),
        ]);
        insta::assert_snapshot!(steps, @r"
        prompt go
        reply [three, call a, call b, call c] results [a, b, c]
        reply [done] results []
        ");
    }

    #[test]
    fn a_result_moves_up_to_its_call() {
        let steps =
            show(vec![user("go"), call("a"), call("b"), result("a"), call("c"), result("c"), result("b"), say("done")]);
        insta::assert_snapshot!(steps, @r"
        prompt go
        reply [call a, call b] results [a, b]
        reply [call c] results [c]
        reply [done] results []
        ");
    }

    #[test]
    fn a_call_without_a_result_is_closed() {
        let steps = show(vec![user("go"), call("a"), user("stop"), user("again"), say("ok"), call("z")]);
        insta::assert_snapshot!(steps, @r"
        prompt go
        reply [call a] results [a missing]
        prompt stop
        prompt again
        reply [ok, call z] results [z missing]
        ");
    }

    #[test]
    fn a_repeated_call_id_is_renamed_with_its_result() {
        let steps = show(vec![user("go"), call("a"), result("a"), call("a"), result("a"), result("q")]);
        insta::assert_snapshot!(steps, @r"
        prompt go
        reply [call a] results [a]
        orphan q
        reply [call a-2] results [a-2]
        ");
    }

    /// What was held back comes again in its order, also where it holds calls and answers of its own.
    #[test]
    fn what_an_open_call_held_back_keeps_its_order() {
        let steps = show(vec![
            user("go"),
            call("open"),
            call("a"),
            result("a"),
            call("b"),
            result("b"),
            say("one"),
            say("two"),
            user("next"),
            user("last"),
            say("done"),
        ]);
        insta::assert_snapshot!(steps, @r"
        prompt go
        reply [call open, call a] results [open missing, a]
        reply [call b] results [b]
        reply [one, two] results []
        prompt next
        prompt last
        reply [done] results []
        ");
    }

    #[test]
    fn what_waited_for_a_result_keeps_its_order() {
        let both = || {
            let mut both = result("a").unwrap();
            both.content.extend(result("b").unwrap().content);
            both.content.push(Block::Text("and this".into()));
            Ok(both)
        };
        let waiting = vec![call("a"), user("meanwhile"), call("b"), both(), say("later"), user("last")];
        insta::assert_snapshot!(show(waiting), @r"
        reply [call a] results [a]
        prompt meanwhile
        reply [call b] results [b]
        prompt and this
        reply [later] results []
        prompt last
        ");
        let (first, then) = (vec![call("a"), user("meanwhile"), call("b"), result("b")], vec![say("later"), call("c")]);
        let nested = first.into_iter().chain(then).chain([result("a"), result("c")]).collect();
        insta::assert_snapshot!(show(nested), @r"
        reply [call a] results [a]
        prompt meanwhile
        reply [call b] results [b]
        reply [later, call c] results [c]
        ");
    }

    #[test]
    fn a_prompt_during_a_call_waits_for_the_result() {
        let steps = show(vec![user("go"), call("a"), user("also this"), result("a"), say("done")]);
        insta::assert_snapshot!(steps, @r"
        prompt go
        reply [call a] results [a]
        prompt also this
        reply [done] results []
        ");
    }
}
