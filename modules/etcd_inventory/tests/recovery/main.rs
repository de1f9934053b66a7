//! What puts a cluster right, through the module's public interface: inventories and observations in, steps or refusals out.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper that fails fails its test")]

/// Data that was to go on alone.
mod alone;
/// Clusters without a quorum.
mod lost;
/// Whatever has happened.
mod properties;
/// Clusters that have a quorum.
mod running;
/// What was found.
mod scene;
/// Several clusters, and what a run is asked for.
mod several;
