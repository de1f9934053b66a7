//! The module through its public interface, from option table to result, in scratch directories.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail loudly")]

/// The CA directory: making, keeping, refusing, recovering.
mod authorities;
/// Runs that were killed or met another run.
mod interrupted;
/// Real etcd servers and clients with what was issued.
mod real;
/// When certificates are renewed and when they are not.
mod renewal;
/// A host and a controller.
mod scene;
