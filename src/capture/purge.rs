//! Takes a session out of the archive for good. The tool's own files are not touched.

use super::derive;
use crate::error::Result;
use crate::store::{Event, Freed, SessionRow, Store};
use serde_json::json;

/// Purges `session`: marks it first, in one transaction, then drops its bytes. Interrupted, the mark holds, and the next
/// purge of any session drops what is left.
pub fn purge(store: &mut Store, session: &SessionRow) -> Result<Freed> {
    if session.purged_at.is_none() {
        let now = jiff::Timestamp::now().as_millisecond();
        store.write(|store| {
            let bytes: u64 = store.streams(session.id)?.iter().map(|stream| stream.length).sum();
            let forks = store.forks(session)?;
            store.mark_purged(session, now)?;
            // A reply that a fork repeats was counted where it was first said: from now on that is the fork.
            for fork in forks.iter().filter(|fork| fork.purged_at.is_none()) {
                derive::rebuild_session(store, fork.id)?;
            }
            store.audit(Event::Purged, &session.public_id, &json!({"bytes": bytes}))
        })?;
    }
    store.sweep_purged()
}
