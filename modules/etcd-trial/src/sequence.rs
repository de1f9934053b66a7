//! Sequences of what happens to a cluster and its hosts: members come and go, disks, power and networks fail.
//!
//! Pure. A [`world::World`] says what there is, and what a run of a playbook will do to it or refuse;
//! [`generate::sequence`] makes a sequence of a seed that makes sense in a world.

/// Sequences out of a seed.
pub mod generate;
/// What can happen.
pub mod step;
/// What there is, and what becomes of it.
pub mod world;

#[cfg(test)]
mod tests;
