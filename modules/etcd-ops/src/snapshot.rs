//! Snapshots: files that hold a member's whole database, and the SHA-256 of it at the end.

mod bolt;
mod contents;
mod fingerprint;
mod seal;
/// Having a member send one.
mod stream;
#[cfg(test)]
mod tests;
mod tree;
/// Telling a whole snapshot from every other file.
mod verify;

pub use contents::{Contents, SavedMember};
pub use fingerprint::{Access, Fingerprint};
pub use seal::{SEAL_LENGTH, Seal};
pub use stream::{Patience, Sink, Streamed, stream};
pub use verify::{Snapshot, Trouble, is_other_file, read_applied, read_contents, read_revision, verify};

use std::fmt;
use std::io;

/// By how much a restore may raise revisions: more than any cluster has written, and far from where 64 bits end.
pub const MAX_BUMP: u64 = 1 << 60;

/// Why a database cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It contradicts itself.
    #[error("{0}")]
    Structure(String),
}

impl Damage {
    fn structure(what: impl Into<String>) -> Self {
        Self::Structure(what.into())
    }

    fn within(self, place: impl fmt::Display) -> Self {
        match self {
            Self::Structure(what) => Self::Structure(format!("in {place}, {what}")),
            Self::Io(error) => Self::Io(error),
        }
    }
}
