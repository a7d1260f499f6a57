//! Export: archived sessions → native files, in their own tool or in another one.
//!
//! - [`source`] lets a tool's reader walk an archived session,
//! - [`log`] walks everything that was ever said, [`mod@markdown`] writes the live conversation for people, [`mod@html`]
//!   all of it as a page,
//! - [`position`] finds a moment in a session's history, [`mod@branch`] one of the ways it went, [`selection`] the part of
//!   the conversation that is wanted,
//! - [`redaction`] takes secrets out on the way, [`findings`] says where they are,
//! - [`native`] puts a session's own files back, byte for byte,
//! - [`attachment`] writes what a resumed session's sub-agents said, for people,
//! - [`mod@resume`] continues a session in any tool: it plans (pure), then performs, and takes everything back on an error.

mod attachment;
mod blocks;
mod branch;
mod findings;
mod fork;
mod html;
mod log;
mod markdown;
mod moved;
mod native;
mod position;
mod redaction;
mod resume;
mod selection;
mod sfs;
mod source;

pub use attachment::forget_attachments;
pub use branch::{Branch, branches};
pub use findings::{Finding, for_each_finding};
pub use fork::{ForkOptions, Forked, fork};
pub use html::{Piece, call_ids, card, escaped, html, live_ids, page_policy, pieces, unwrapped};
pub use log::{OnPlace, Place, for_each_message, for_each_place, log_order};
pub use markdown::markdown;
pub use moved::{MovePlan, Moving, has_sessions, plan_moves};
pub(crate) use native::write_atomically;
pub use native::{NativeCopy, copy_stream, export_native, out_of_place, restore};
pub use position::{Position, checkpoint};
pub use redaction::Redaction;
pub use resume::{How, Job, ResumeOptions, Resumed, Written, launch, refresh, resume, unwritable};
pub use selection::Selection;
pub use sfs::{edit_manifest, export_archive, export_sfs, leave_out_large_natives, manifest, workspace};
pub use source::{ArchivedSession, title};
