//! The live conversation of a session: the branch of the record tree that the client would send next.
//!
//! Two passes: the first keeps a few dozen bytes of each record in the tree and finds the branch; the second reads the
//! branch's lines again, one at a time, as the messages are asked for.
//!
//! The rules, as clients 2.1.197 to 2.1.330 follow them (older ones differ only where they lose messages):
//! - The branch ends at the leaf that the last `last-prompt` names, or at the newest record below that leaf unless it is
//!   `explicit`; without one, at the last message in file order. Side chains are never part of it.
//! - Parents lead through attachments and system records. A parent that is not in the file means the record before.
//! - Parallel calls form a lattice, in which a walk along parents finds only one result: all records of each reply and
//!   all results of its calls belong to the branch.
//! - A compaction cuts the branch at its summary; records it names as preserved come back right behind the summary.

use super::reader::{ClaudeReader, attachment_type, is_agent_stream, is_uninteresting};
use super::record::{ApiMessage, CompactMetadata, Content, Piece, Record, part, text};
use crate::error::{Error, Result};
use crate::model::conversation::Conversation;
use crate::model::ledger::{SUB_AGENT_MESSAGES, SUB_AGENTS};
use crate::model::message::Message;
use crate::tools::{Line, Reader, Reading, Source, StreamInfo};
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::ControlFlow;

/// Walks the live branch of the session's newest file.
pub(super) fn live(source: &dyn Source) -> Result<Conversation<'_>> {
    let main = source.newest("main").ok_or_else(|| {
        Error::not_found(format!("session {} has no main transcript", source.native_id()))
            .hint("only files of its sub-agents were captured")
    })?;
    let tree = Tree::read(source, main)?;
    let branch = tree.branch(source.leaf());
    let mut left_out = tree.left_out(&branch);
    left_out.push((SUB_AGENTS, "the main conversation has their results only", agents(source)?));
    left_out.retain(|(_, _, count)| *count > 0);
    let places = branch.live.into_iter().map(|at| tree.nodes[at].place()).collect::<Vec<_>>().into_iter();
    let reader = ClaudeReader::new(&main.name, None);
    let messages =
        Lines { source, stream: main, places, reader, reading: Reading::default(), ready: VecDeque::new(), last: None };
    Ok(Conversation { messages: Box::new(messages), left_out })
}

/// The newest file, and where the lines of its live branch begin: those that [`live`] would read.
pub(in crate::tools) fn live_lines(source: &dyn Source) -> Result<Option<(&StreamInfo, HashSet<u64>)>> {
    let Some(main) = source.newest("main") else { return Ok(None) };
    let tree = Tree::read(source, main)?;
    let live = tree.branch(source.leaf()).live;
    Ok(Some((main, live.into_iter().map(|at| tree.nodes[at].offset).collect())))
}

/// How many sub-agents did real work. Those that only warmed a cache begin with the prompt `Warmup`.
fn agents(source: &dyn Source) -> Result<u64> {
    let mut count = 0;
    for stream in
        source.streams().iter().filter(|s| s.generation == 0 && is_agent_stream(&s.name) && s.format.has_lines())
    {
        let (mut reader, mut reading) = (ClaudeReader::new(&stream.name, None), Reading::default());
        source.for_each_line(stream, 0, &mut |line| {
            reader.line(line, &mut reading);
            Ok(ControlFlow::Break(()))
        })?;
        count += u64::from(!reading.messages.is_empty());
    }
    Ok(count)
}

/// Where a line stands.
#[derive(Clone, Copy)]
struct LinePlace {
    offset: u64,
    length: u32,
    number: u32,
}

/// The second pass.
struct Lines<'a> {
    source: &'a dyn Source,
    stream: &'a StreamInfo,
    places: std::vec::IntoIter<LinePlace>,
    reader: ClaudeReader,
    reading: Reading,
    ready: VecDeque<Message>,
    last: Option<String>,
}

impl Lines<'_> {
    fn read(&mut self, place: LinePlace) -> Result<()> {
        let bytes = self.source.bytes(self.stream, place.offset, u64::from(place.length))?;
        let line =
            Line { stream: &self.stream.name, number: u64::from(place.number), offset: place.offset, bytes: &bytes };
        self.reading.clear();
        self.reader.line(line, &mut self.reading);
        self.ready.extend(self.reading.messages.drain(..));
        Ok(())
    }
}

impl Iterator for Lines<'_> {
    type Item = Result<Message>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(mut message) = self.ready.pop_front() {
                // The branch is a line: each message follows the one before it.
                message.parent_id = self.last.replace(message.id.clone());
                return Some(Ok(message));
            }
            let place = self.places.next()?;
            if let Err(error) = self.read(place) {
                return Some(Err(error));
            }
        }
    }
}

/// One record of the tree.
struct Node {
    uuid: u128,
    /// 0 at a root.
    parent: u128,
    /// Names the API reply of an assistant record; 0 for others.
    reply: u64,
    offset: u64,
    length: u32,
    number: u32,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Attachments and system records: links of the chain, not content.
    Link,
    Prompt,
    Reply,
    Result,
    Summary,
    /// The client's own report of a failed request: shown, never sent.
    ApiError,
    SideChain,
}

impl Node {
    fn place(&self) -> LinePlace {
        LinePlace { offset: self.offset, length: self.length, number: self.number }
    }

    fn is_message(&self) -> bool {
        matches!(self.kind, Kind::Prompt | Kind::Reply | Kind::Result | Kind::Summary)
    }
}

/// A compaction: what came before it, and what of that stays.
struct Boundary {
    before: u128,
    preserved: Vec<u128>,
}

/// The first pass.
#[derive(Default)]
struct Tree {
    /// In file order.
    nodes: Vec<Node>,
    /// Positions in `nodes`, ordered by uuid.
    by_uuid: Vec<u32>,
    boundaries: HashMap<usize, Boundary>,
    /// The call's id (hashed) and the record that makes the call or holds its result.
    calls: Vec<(u64, u32)>,
    results: Vec<(u64, u32)>,
    /// What `last-prompt` records name.
    leaves: Vec<(u128, bool)>,
}

/// Which records are live, in the order of the conversation, and what stands before the cut of a compaction.
struct Branch {
    live: Vec<usize>,
    compacted: HashSet<usize>,
}

impl Tree {
    fn read(source: &dyn Source, stream: &StreamInfo) -> Result<Tree> {
        let mut tree = Tree::default();
        source.for_each_line(stream, 0, &mut |line| {
            tree.line(line);
            Ok(ControlFlow::Continue(()))
        })?;
        tree.by_uuid = (0..tree.nodes.len() as u32).collect();
        let nodes = &tree.nodes;
        tree.by_uuid.sort_by_key(|at| nodes[*at as usize].uuid);
        Ok(tree)
    }

    fn line(&mut self, line: Line<'_>) {
        let bytes = line.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line.bytes).trim_ascii();
        if bytes.is_empty() || is_uninteresting(bytes) || bytes.len() > u32::MAX as usize {
            return;
        }
        let json = String::from_utf8_lossy(bytes);
        let Ok(record) = serde_json::from_str::<Record<'_>>(&json) else { return };
        if record.kind() == "last-prompt" {
            self.leaves.extend(record.leaf_uuid.as_ref().map(|leaf| (id(&leaf.0), record.explicit)));
            return;
        }
        let at = self.nodes.len();
        let api: ApiMessage<'_> = record.message.and_then(part).unwrap_or_default();
        let Some(kind) = self.kind(&record, &api, at) else { return };
        let reply = if kind == Kind::Reply { api.id.as_ref().map_or(0, |id| hash(&id.0)) } else { 0 };
        self.nodes.push(Node {
            uuid: record.uuid.as_ref().map_or_else(|| u128::from(hash(&line.offset)), |uuid| id(&uuid.0)),
            parent: record.parent_uuid.as_ref().map_or(0, |parent| id(&parent.0)),
            reply,
            offset: line.offset,
            length: line.bytes.len() as u32,
            number: line.number as u32,
            kind,
        });
    }

    /// What the record at `at` is; `None` where it is not part of the tree. Notes calls, results and boundaries.
    fn kind(&mut self, record: &Record<'_>, api: &ApiMessage<'_>, at: usize) -> Option<Kind> {
        Some(match record.kind() {
            "user" | "assistant" | "attachment" | "system" if record.is_sidechain => Kind::SideChain,
            "user" if record.is_compact_summary => Kind::Summary,
            "user" if self.note(api, at, |p| p.tool_use_id.as_ref().map(|id| hash(&id.0)), true) => Kind::Result,
            "user" => Kind::Prompt,
            "assistant" if record.is_api_error_message => Kind::ApiError,
            "assistant" => {
                self.note(api, at, |p| p.id.as_ref().map(|id| hash(&id.0)), false);
                Kind::Reply
            }
            "attachment" => match record.attachment.map(attachment_type).as_deref() {
                Some("file" | "queued_command") => Kind::Prompt,
                _ => Kind::Link,
            },
            "system" => {
                if text(record.subtype.as_ref()) == "compact_boundary" {
                    let metadata: CompactMetadata<'_> = record.compact_metadata.and_then(part).unwrap_or_default();
                    let before = record.logical_parent_uuid.as_ref().map_or(0, |uuid| id(&uuid.0));
                    let preserved = metadata.preserved_messages.uuids.iter().map(|uuid| id(&uuid.0)).collect();
                    self.boundaries.insert(at, Boundary { before, preserved });
                }
                Kind::Link
            }
            _ => return None,
        })
    }

    /// Notes the calls or the results in a message; true where there are any.
    fn note(&mut self, api: &ApiMessage<'_>, at: usize, id: fn(&Piece<'_>) -> Option<u64>, results: bool) -> bool {
        let Content::Blocks(blocks) = Content::of(api.content) else { return false };
        let list = if results { &mut self.results } else { &mut self.calls };
        let before = list.len();
        list.extend(blocks.into_iter().filter_map(part::<Piece<'_>>).filter_map(|p| id(&p)).map(|id| (id, at as u32)));
        list.len() > before
    }

    /// The first record in the file with this uuid.
    fn find(&self, uuid: u128) -> Option<usize> {
        let first = self.by_uuid.partition_point(|at| self.nodes[*at as usize].uuid < uuid);
        self.by_uuid.get(first).map(|at| *at as usize).filter(|at| uuid != 0 && self.nodes[*at].uuid == uuid)
    }

    /// The record above; where the parent is not in the file, the main-chain record before this one.
    fn parent(&self, at: usize) -> Option<usize> {
        match self.nodes[at].parent {
            0 => None,
            parent => {
                self.find(parent).or_else(|| self.nodes[..at].iter().rposition(|node| node.kind != Kind::SideChain))
            }
        }
    }

    /// From `at` up to the root, in that order. A loop ends the walk.
    fn upward(&self, at: Option<usize>) -> Vec<usize> {
        let mut seen = HashSet::new();
        std::iter::successors(at, |at| self.parent(*at)).take_while(|at| seen.insert(*at)).collect()
    }

    /// The last record of the branch: the `wanted` one, else the client's choice.
    fn leaf(&self, wanted: Option<&str>) -> Option<usize> {
        if let Some(at) = wanted.and_then(|uuid| self.find(id(uuid))) {
            return Some(at);
        }
        let named = self.leaves.iter().rev().find_map(|(uuid, explicit)| {
            let at = self.find(*uuid).filter(|at| self.nodes[*at].kind != Kind::SideChain)?;
            Some(if *explicit { at } else { self.newest_below(at) })
        });
        named.or_else(|| self.nodes.iter().rposition(|node| node.is_message() || node.kind == Kind::ApiError))
    }

    /// The last record in the file that descends from `top`, or `top`.
    fn newest_below(&self, top: usize) -> usize {
        let mut is_below = vec![None; self.nodes.len()];
        is_below[top] = Some(true);
        let main_chain = (0..self.nodes.len()).rev().filter(|at| self.nodes[*at].kind != Kind::SideChain);
        main_chain.into_iter().find(|at| self.is_below(*at, &mut is_below)).unwrap_or(top)
    }

    /// Walks up from `at` to a record of which it is known whether it descends from the one in question.
    fn is_below(&self, at: usize, known: &mut [Option<bool>]) -> bool {
        let (mut path, mut next) = (Vec::new(), Some(at));
        let found = loop {
            let Some(at) = next else { break false };
            if let Some(known) = known[at] {
                break known;
            }
            // A record met again on the way up closes a loop: not below.
            known[at] = Some(false);
            path.push(at);
            next = self.parent(at);
        };
        for at in path {
            known[at] = Some(found);
        }
        found
    }

    fn branch(&self, wanted: Option<&str>) -> Branch {
        let mut path = self.upward(self.leaf(wanted));
        let summary = path.iter().position(|at| self.nodes[*at].kind == Kind::Summary);
        let mut compacted = Vec::new();
        if let Some(summary) = summary {
            let above = path.split_off(summary + 1);
            path.extend(self.preserved(&above).into_iter().rev().filter(|at| !path.contains(at)).collect::<Vec<_>>());
            // Preserved records follow the summary: in this upward order they stand before it.
            let summary = path.remove(summary);
            path.push(summary);
            compacted = self.before_the_cut(above);
        }
        path.reverse();
        let compacted = self.with_siblings(&compacted).into_iter().collect();
        Branch { live: self.with_siblings(&path), compacted }
    }

    /// What the boundary nearest to the summary preserves, in order.
    fn preserved(&self, above: &[usize]) -> Vec<usize> {
        let boundary = above.iter().find_map(|at| self.boundaries.get(at));
        boundary.into_iter().flat_map(|b| &b.preserved).filter_map(|uuid| self.find(*uuid)).collect()
    }

    /// Everything above a summary, across the boundaries of earlier compactions.
    fn before_the_cut(&self, above: Vec<usize>) -> Vec<usize> {
        let mut seen: HashSet<usize> = above.iter().copied().collect();
        let mut all = above;
        while let Some(before) = all.last().and_then(|at| self.boundaries.get(at)) {
            let more: Vec<usize> =
                self.upward(self.find(before.before)).into_iter().take_while(|at| seen.insert(*at)).collect();
            if more.is_empty() {
                break;
            }
            all.extend(more);
        }
        all
    }

    /// `path` with all records of its replies and all results of their calls; only what carries content.
    fn with_siblings(&self, path: &[usize]) -> Vec<usize> {
        let replies: HashSet<u64> = path.iter().map(|at| self.nodes[*at].reply).filter(|reply| *reply != 0).collect();
        let mut pieces = HashMap::<u64, Vec<usize>>::new();
        for (at, node) in self.nodes.iter().enumerate().filter(|(_, node)| replies.contains(&node.reply)) {
            pieces.entry(node.reply).or_default().push(at);
        }
        let mut results = self.results_by_reply(path, &pieces);
        let (mut all, mut done) = (Vec::with_capacity(path.len()), HashSet::new());
        for at in path.iter().copied().filter(|at| self.nodes[*at].is_message()) {
            let reply = self.nodes[at].reply;
            let whole = pieces.remove(&reply).unwrap_or_else(|| vec![at]);
            let results = results.remove(&reply).unwrap_or_default();
            all.extend(whole.into_iter().chain(results).filter(|at| done.insert(*at)));
        }
        all
    }

    /// Results of the replies' calls that `path` itself passes by.
    fn results_by_reply(&self, path: &[usize], pieces: &HashMap<u64, Vec<usize>>) -> HashMap<u64, Vec<usize>> {
        let on_path: HashSet<usize> = path.iter().copied().collect();
        let mut answered: HashSet<u64> =
            self.results.iter().filter(|(_, at)| on_path.contains(&(*at as usize))).map(|(call, _)| *call).collect();
        let reply_of = |at: usize| Some(self.nodes[at].reply).filter(|reply| pieces.contains_key(reply));
        let callers: HashMap<u64, u64> =
            self.calls.iter().filter_map(|(call, at)| Some((*call, reply_of(*at as usize)?))).collect();
        let mut results = HashMap::<u64, Vec<usize>>::new();
        for (call, at) in &self.results {
            let at = *at as usize;
            let reply = callers.get(call).copied().or_else(|| self.find(self.nodes[at].parent).and_then(reply_of));
            let is_new = self.nodes[at].kind == Kind::Result && !on_path.contains(&at);
            if let Some(reply) = reply.filter(|_| is_new)
                && answered.insert(*call)
            {
                results.entry(reply).or_default().push(at);
            }
        }
        results
    }

    fn left_out(&self, branch: &Branch) -> Vec<(&'static str, &'static str, u64)> {
        let live: HashSet<usize> = branch.live.iter().copied().collect();
        let (mut compacted, mut abandoned, mut errors, mut side) = (0, 0, 0, 0);
        for (at, node) in self.nodes.iter().enumerate() {
            match node.kind {
                Kind::ApiError => errors += 1,
                Kind::SideChain => side += 1,
                _ if !node.is_message() || live.contains(&at) => {}
                _ if branch.compacted.contains(&at) => compacted += 1,
                _ => abandoned += 1,
            }
        }
        vec![
            ("messages", "before a compaction, the summary stands for them", compacted),
            ("messages", "on an abandoned branch", abandoned),
            ("messages", "the client's reports of failed requests", errors),
            (SUB_AGENT_MESSAGES, "the main conversation has their results only", side),
        ]
    }
}

/// A uuid as a number; anything else hashed. Never 0, which stands for none.
fn id(text: &str) -> u128 {
    let number = uuid::Uuid::try_parse(text).map_or_else(|_| u128::from(hash(text)), |uuid| uuid.as_u128());
    number.max(1)
}

fn hash(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish().max(1)
}
