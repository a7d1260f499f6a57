//! Export: archived sessions → native files, in their own tool or in another one.
//!
//! - [`source`] lets a tool's reader walk an archived session,
//! - [`native`] puts a session's own files back, byte for byte,
//! - [`resume`] continues a session in any tool: it plans (pure), then performs, and takes everything back on an error.

mod native;
mod resume;
mod source;

pub use native::{NativeCopy, export_native, restore};
pub use resume::{How, ResumeOptions, Resumed, launch, resume, write_conversation};
pub use source::{ArchivedSession, title};
