//! What Gemini CLI does not take in its own files. Seen with 0.44 to 0.61. That it repeats its own tool results is known to
//! the writer's `accepts_own`.

use crate::error::Result;
use crate::tools::Source;
use crate::tools::health::{Ailment, Ailments, BYTE_ORDER_MARK, Effect};
use std::ops::ControlFlow;

/// Looks at the first line of the main file: unreadable, the client does not list the session, and deletes it.
pub(super) fn ailments(source: &dyn Source) -> Result<Vec<Ailment>> {
    let mut found = Ailments::default();
    if let Some(main) = source.newest("main") {
        source.for_each_line(main, 0, &mut |line| {
            if line.bytes.starts_with(BYTE_ORDER_MARK) {
                found.add(Effect::Refused, "a byte order mark before the first line", 0);
            }
            Ok(ControlFlow::Break(()))
        })?;
    }
    Ok(found.close())
}
