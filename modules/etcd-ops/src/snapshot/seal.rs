//! The SHA-256 that a member sends after its database, and that ends a snapshot file.
//!
//! ring's implementation is in the executable anyway, for TLS; it is assembly, whatever the profile optimises for.

use ring::digest::{Context, SHA256};

/// How many bytes the SHA-256 takes.
pub const SEAL_LENGTH: usize = 32;

/// Hashes a database as it goes by.
#[derive(Clone)]
pub struct Seal(Context);

impl Default for Seal {
    fn default() -> Self {
        Self(Context::new(&SHA256))
    }
}

impl Seal {
    /// Takes more of the database.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Whether this is the SHA-256 of what was taken.
    #[must_use]
    pub fn fits(&self, seal: &[u8]) -> bool {
        self.0.clone().finish().as_ref() == seal
    }

    /// The SHA-256 of everything that was taken, as `sha256sum` prints it.
    #[must_use]
    pub fn hex(self) -> String {
        self.0.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
