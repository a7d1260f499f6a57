//! Export: archived sessions → native files, in their own tool or in another one.
//!
//! - [`source`] lets a tool's reader walk an archived session,
//! - [`log`] walks everything that was ever said, [`mod@markdown`] writes the live conversation for people,
//! - [`native`] puts a session's own files back, byte for byte,
//! - [`mod@resume`] continues a session in any tool: it plans (pure), then performs, and takes everything back on an error.

mod log;
mod markdown;
mod native;
mod resume;
mod sfs;
mod source;

pub use log::for_each_message;
pub use markdown::markdown;
pub(crate) use native::write_atomically;
pub use native::{NativeCopy, export_native, restore};
pub use resume::{How, ResumeOptions, Resumed, launch, resume, write_conversation};
pub use sfs::{export_sfs, manifest};
pub use source::{ArchivedSession, title};
