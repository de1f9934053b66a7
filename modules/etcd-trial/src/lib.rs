//! What changing a cluster must not do to those who use it: lose a write, or keep them waiting.
//!
//! [`writer`] is such a user; [`chance`] picks the moments at which the campaign pulls the controller's plug, and
//! [`process`] pulls it.

/// Random numbers that a seed repeats.
pub mod chance;
/// One member as a client sees it.
pub mod endpoint;
/// Processes that can be killed together with all they have started.
pub mod process;
/// What was written, what was acknowledged, and what is still there.
pub mod report;
/// Sequences of what happens to a cluster and its hosts.
pub mod sequence;
/// Writes numbered keys until told to stop.
pub mod writer;
