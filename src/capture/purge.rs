//! Takes a session out of the archive for good. The tool's own files are not touched.

use super::derive;
use crate::error::Result;
use crate::store::{Event, Freed, SessionRow, Store};
use serde_json::json;

/// Purges `session`: marks it first, in one transaction, then drops its bytes. Interrupted, the mark holds, and the next
/// purge of any session drops what is left.
pub fn purge(store: &mut Store, session: &SessionRow) -> Result<Freed> {
    store.overwrite_deleted(true)?;
    let freed = purge_overwriting(store, session);
    store.overwrite_deleted(false)?;
    freed
}

fn purge_overwriting(store: &mut Store, session: &SessionRow) -> Result<Freed> {
    if session.purged_at.is_none() {
        let now = jiff::Timestamp::now().as_millisecond();
        store.write(|store| {
            let bytes: u64 = store.streams(session.id)?.iter().map(|stream| stream.length).sum();
            let forks = store.repeated_by(session.id)?;
            store.mark_purged(session, now)?;
            // A reply that a fork repeats was counted where it was first said: from now on that is the fork.
            for fork in forks {
                derive::rebuild_session(store, fork)?;
            }
            store.audit(Event::Purged, &session.public_id, &json!({"bytes": bytes}))
        })?;
    }
    store.sweep_purged()
}
