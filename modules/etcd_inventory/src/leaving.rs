//! One member that leaves a cluster: told in the same words by removals and by recoveries.

use serde::Serialize;

/// What the roles are told of it.
#[derive(Debug, Serialize)]
pub(crate) struct Leaving {
    pub(crate) cluster: String,
    pub(crate) cluster_id: String,
    /// The host that says so to the cluster.
    pub(crate) speaker: String,
    pub(crate) id: String,
    pub(crate) label: String,
    pub(crate) forced: bool,
}
