//! What changing a cluster must not do to those who use it: lose a write, or keep them waiting.
//!
//! [`writer`] is such a user; [`chance`] picks the moments at which the campaign pulls the controller's plug, and
//! [`process`] pulls it. What a power cut would leave of a process's files, [`durability`] tells without one.

/// Random numbers that a seed repeats.
pub mod chance;
/// Whether what a process names outlasts a power cut.
pub mod durability;
/// One member as a client sees it.
pub mod endpoint;
/// The executable that ships, called by hand.
pub mod executable;
/// Clusters with something in them.
pub mod filled;
/// Processes that can be killed together with all they have started.
pub mod process;
/// What was written, what was acknowledged, and what is still there.
pub mod report;
/// Sequences of what happens to a cluster and its hosts.
pub mod sequence;
/// Processes that are killed between two system calls.
pub mod stepping;
/// Writes numbered keys until told to stop.
pub mod writer;
