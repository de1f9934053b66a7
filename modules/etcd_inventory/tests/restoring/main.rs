//! What may be restored, put back, and started, through the module's public interface.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

/// What may be restored.
mod asked;
/// What may be put back.
mod back;
/// What goes on where a run was cut off.
mod cut_off;
/// What is proved in the end.
mod proof;
/// What was found.
mod scene;
