//! A session's whole log: every message that was ever said in it, abandoned branches and rewritten files included.

use super::source::ArchivedSession;
use crate::error::Result;
use crate::model::message::Message;
use crate::tools::{self, Format, Reading, Source, StreamInfo, Versions};
use std::cmp::Reverse;
use std::ops::ControlFlow;

/// Calls `each` with every message of `session`, the main stream first; with `sidechains` the sub-agents' too. `Break`
/// ends the walk.
pub fn for_each_message(
    session: &ArchivedSession<'_>,
    sidechains: bool,
    each: &mut dyn FnMut(Message) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let mut streams: Vec<&StreamInfo> = session.streams().iter().filter(|s| s.format.has_lines()).collect();
    // The newest generation of a stream, then older ones, then copies.
    streams.sort_by_key(|s| (tools::base_name(&s.name) != "main", s.name.as_str(), Reverse(s.generation)));
    for versions in streams.chunk_by(|a, b| tools::base_name(&a.name) == tools::base_name(&b.name)) {
        let mut wanted = (versions.len() > 1).then(Versions::default);
        for stream in versions {
            if one_stream(session, stream, sidechains, &mut wanted, each)? == ControlFlow::Break(()) {
                return Ok(());
            }
            wanted = wanted.map(Versions::older);
        }
    }
    Ok(())
}

fn one_stream(
    session: &ArchivedSession<'_>,
    stream: &StreamInfo,
    sidechains: bool,
    wanted: &mut Option<Versions>,
    each: &mut dyn FnMut(Message) -> Result<ControlFlow<()>>,
) -> Result<ControlFlow<()>> {
    let Some(mut reader) = tools::reader(stream.format, &stream.name, None) else {
        return Ok(ControlFlow::Continue(()));
    };
    let mut reading = Reading::default();
    let mut flow = ControlFlow::Continue(());
    session.for_each_line(stream, 0, &mut |line| {
        reading.clear();
        reader.line(line, &mut reading);
        for mut message in reading.messages.drain(..).filter(|m| sidechains || !m.is_sidechain) {
            if wanted.as_mut().is_some_and(|wanted| !wanted.wants(&stream.name, &message.id)) {
                continue;
            }
            if stream.format == Format::SfsJsonl {
                tools::sfs::take_pictures_in(session, &mut message)?;
            }
            flow = each(message)?;
            if flow == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(flow)
    })?;
    Ok(flow)
}
