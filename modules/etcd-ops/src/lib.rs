//! What several modules know about etcd: connecting, the view of a cluster, guards, version gates, and the host's
//! side of a member (data directory, systemd unit).

/// Alarms, as a member's status tells them.
pub mod alarms;
/// An etcd beside the unit.
pub mod beside;
/// The keys of etcd's configuration file, by version.
pub mod catalogue;
/// A connection to one member.
mod channel;
/// Connecting to one member, and logging in.
pub mod client;
/// The time: as the clock has it, and as names of files do.
pub mod clock;
/// etcd's configuration file: reading it, and comparing two of them.
pub mod config;
/// The connection options that all modules share.
pub mod connection;
/// What a data directory says of the member it belongs to.
pub mod datadir;
/// What the inventory's variables are where they are not set.
pub mod defaults;
/// Telling a member's errors apart.
mod errors;
/// Writing files so that they are never torn, and owners and modes.
pub mod files;
/// Rules that keep a cluster's quorum.
pub mod guard;
/// The leader: finding it, and moving leadership to another member.
pub mod leader;
/// What may be done to a cluster's membership.
pub mod membership;
/// Where file systems are mounted.
pub mod mounts;
/// The host's executables.
pub mod programs;
/// etcd's calls.
pub mod rpc;
/// What a restart would pick up.
pub mod running;
/// Snapshot files: reading and verifying them.
pub mod snapshot;
/// Why a member does not stay up.
pub mod startup;
/// A member's data on the disk, to be removed or moved aside.
pub mod storage;
/// The host's systemd, through systemctl.
pub mod systemd;
/// Versions of etcd.
pub mod version;
/// A cluster as its members describe it.
pub mod view;
/// YAML as etcd's parser reads it.
mod yaml;

use ansible_protocol::{ErrorKind, Failure};

/// Runs a module's asynchronous part on this thread.
///
/// # Errors
///
/// Returns the future's own failure, or one of kind `io` when no runtime can be made.
pub fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(ErrorKind::Io, format!("cannot start the network runtime: {error}")))?
        .block_on(future)
}

/// An id as etcdctl prints it.
#[must_use]
pub fn hex(id: u64) -> String {
    format!("{id:x}")
}
