//! Export: archived sessions → native files, in their own tool or in another one.
//!
//! - [`source`] lets a tool's reader walk an archived session,
//! - [`log`] walks everything that was ever said, [`mod@markdown`] writes the live conversation for people,
//! - [`position`] finds a moment in a session's history, [`selection`] the part of the conversation that is wanted,
//! - [`native`] puts a session's own files back, byte for byte,
//! - [`mod@resume`] continues a session in any tool: it plans (pure), then performs, and takes everything back on an error.

mod fork;
mod log;
mod markdown;
mod moved;
mod native;
mod position;
mod resume;
mod selection;
mod sfs;
mod source;

pub use fork::{ForkOptions, Forked, fork};
pub use log::for_each_message;
pub use markdown::markdown;
pub use moved::{MovePlan, Moving, plan_moves};
pub use native::{NativeCopy, export_native, restore};
pub use position::{Position, checkpoint};
pub use resume::{How, Job, ResumeOptions, Resumed, Written, launch, refresh, resume, unwritable};
pub use selection::Selection;
pub use sfs::{export_sfs, manifest};
pub use source::{ArchivedSession, title};
