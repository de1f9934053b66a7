//! Real etcd servers on loopback, for tests.
//!
//! ```no_run
//! use etcd_testbed::{Cluster, Options, Version};
//!
//! let cluster = Cluster::start(Version::V3_6, 3, Options::tls());
//! cluster.etcdctl(&["put", "key", "value"]);
//! cluster.member(1).kill();
//! ```
//!
//! A cluster ends with the value that stands for it, also when the test panics, and its servers end with the test's
//! process however that ends. Everything here panics on trouble, with the servers' log: it only serves tests.

#![expect(clippy::expect_used, reason = "a test that cannot have its servers is to fail, with the reason")]

/// Several members together.
mod cluster;
/// One member: its process, its files.
mod member;
/// Certificates, good and bad ones.
mod pki;
/// Ports that nobody else uses.
mod ports;
/// Processes that end with this one.
mod process;
/// The versions, and where their executables are.
mod version;

pub use cluster::{Cluster, Options};
pub use member::Member;
pub use pki::{CertFiles, Leaf, Pki};
pub use version::Version;

use std::time::{Duration, Instant};

/// How long any condition may take before the test fails: long, for machines that are busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until the condition holds.
///
/// # Panics
///
/// When it does not within [`PATIENCE`]; `what` goes into the message.
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited {} s in vain for: {what}", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(20));
    }
}
