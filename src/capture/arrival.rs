//! What another device wrote: its bytes into the archive, and what they say into the derived tables.

use super::branches;
use super::derive::{self, Derivation};
use super::facts;
use crate::error::Result;
use crate::store::{SessionRow, Store, Stream};
use crate::tools::Format;

/// The streams of one session that got bytes from another device, on their way through one transaction.
pub struct Arrival {
    session: SessionRow,
    rebuild: bool,
    facts: bool,
}

impl Arrival {
    /// Nothing yet, of `session`.
    pub fn new(session: SessionRow) -> Arrival {
        Arrival { session, rebuild: false, facts: false }
    }

    /// Appends `bytes`, which the other device appended to its `stream`.
    pub fn append(&mut self, store: &mut Store, stream: &mut Stream, bytes: &[u8]) -> Result<()> {
        let old_length = stream.length;
        let format = Format::parse(&stream.format);
        if old_length == 0 && stream.generation > 0 && format.is_some_and(|format| !format.is_one_line()) {
            store.unsettle(stream)?;
        }
        store.append(stream, bytes)?;
        self.facts |= stream.format == facts::FORMAT;
        match format {
            None | Some(Format::File) => return Ok(()),
            // What a rewritten file no longer has, and what a document has, is known only when all of it is read.
            Some(format) if !format.has_lines() || format.is_one_line() => self.rebuild = true,
            Some(format) => {
                if let Some(mut derivation) = Derivation::load(store, format, &self.session, stream)? {
                    derivation.read(store, stream, old_length, bytes, true)?;
                    return derivation.save(store);
                }
            }
        }
        Ok(())
    }

    /// Brings the derived tables up to date. Lines that follow the stream which is shown are in them already.
    pub fn finish(self, store: &mut Store) -> Result<()> {
        derive::catch_up(store)?;
        let moved = branches::settle(store, self.session.id)?;
        if moved || self.rebuild {
            derive::rebuild_session(store, self.session.id)
        } else if self.facts {
            let streams = store.streams(self.session.id)?;
            derive::read_facts(store, self.session.id, &streams)
        } else {
            Ok(())
        }
    }
}
