//! A session's whole log: every message that was ever said in it, abandoned branches included.

use super::source::ArchivedSession;
use crate::error::Result;
use crate::model::message::Message;
use crate::tools::{self, Format, Reading, Source, StreamInfo};
use std::ops::ControlFlow;

/// Calls `each` with every message of `session`, the main stream first; with `sidechains` the sub-agents' too. `Break`
/// ends the walk.
pub fn for_each_message(
    session: &ArchivedSession<'_>,
    sidechains: bool,
    each: &mut dyn FnMut(Message) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let mut streams: Vec<&StreamInfo> = session.streams().iter().filter(|s| s.format.has_lines()).collect();
    streams.retain(|s| session.newest(&s.name) == Some(*s));
    streams.sort_by_key(|s| s.name != "main");
    for stream in streams {
        let Some(mut reader) = tools::reader(stream.format, &stream.name, None) else { continue };
        let mut reading = Reading::default();
        let mut ended = false;
        session.for_each_line(stream, 0, &mut |line| {
            reading.clear();
            reader.line(line, &mut reading);
            for mut message in reading.messages.drain(..).filter(|m| sidechains || !m.is_sidechain) {
                if stream.format == Format::SfsJsonl {
                    tools::sfs::take_pictures_in(session, &mut message)?;
                }
                if each(message)? == ControlFlow::Break(()) {
                    ended = true;
                    return Ok(ControlFlow::Break(()));
                }
            }
            Ok(ControlFlow::Continue(()))
        })?;
        if ended {
            break;
        }
    }
    Ok(())
}
