//! The secrets in an archived session, wherever its bytes hold them: every stream, every generation.

use super::blocks::for_each_block;
use super::source::ArchivedSession;
use crate::error::Result;
use crate::security::Redactor;
use crate::security::secrets::{self, Severity, masked};
use crate::store::Store;
use memchr::memchr_iter;

/// A secret that was found. It does not hold the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Such as `github_token`.
    pub kind: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The stream's name and generation.
    pub stream: (String, u32),
    /// In the stream, from 1.
    pub line: u64,
    /// As it may be shown.
    pub masked: String,
    /// Equal for equal secrets of one archive: the last part of their placeholder.
    pub fingerprint: String,
}

/// Calls `each` with every secret in `session`.
pub fn for_each_finding(
    store: &Store,
    session: &ArchivedSession<'_>,
    redactor: &Redactor,
    each: &mut dyn FnMut(Finding) -> Result<()>,
) -> Result<()> {
    for stream in session.native_streams() {
        for_each_block(store, stream, &mut |first, block| {
            let mut outcome = Ok(());
            // Findings come in order: every line break is counted once.
            let (mut before, mut counted, mut line) = (0, 0, first + 1);
            for chunk in block.utf8_chunks() {
                secrets::find_in_line(chunk.valid(), &mut |secret, hidden| {
                    let at = before + secret.range.start;
                    line += memchr_iter(b'\n', &block[counted..at]).count() as u64;
                    counted = at;
                    let finding = Finding {
                        kind: secret.kind,
                        severity: secret.severity,
                        stream: (stream.name.clone(), stream.generation),
                        line,
                        masked: masked(hidden),
                        fingerprint: redactor.fingerprint(hidden),
                    };
                    if outcome.is_ok() {
                        outcome = each(finding);
                    }
                });
                before += chunk.valid().len() + chunk.invalid().len();
            }
            outcome
        })?;
    }
    Ok(())
}
