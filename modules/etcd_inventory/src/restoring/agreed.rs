//! What the hosts have foretold, and whether it fits together.

use super::Plan;
use ansible_protocol::{ErrorKind, Failure};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// What a host's restore will come to, as `etcd_snapshot` has foretold it.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Foretold {
    /// The revision that its member will begin with.
    revision: Option<i64>,
    /// Where its data and its log will be moved.
    aside: Option<String>,
    wal_aside: Option<String>,
    tool: Option<String>,
    tool_version: Option<String>,
}

/// The plan with what was foretold: members of one cluster must all begin with the same revision, or they serve different
/// data under the same name.
///
/// # Errors
///
/// When they would not.
pub(crate) fn agree(plan: &Plan, foretold: &BTreeMap<String, Foretold>) -> Result<Plan, Failure> {
    let mut plan = plan.clone();
    let revisions: BTreeSet<Option<i64>> =
        plan.notes.keys().map(|host| foretold.get(host).and_then(|told| told.revision)).collect();
    let (Some(Some(revision)), 1) = (revisions.first().copied(), revisions.len()) else {
        let told: Vec<String> = plan.notes.keys().map(|host| words(host, foretold.get(host))).collect();
        let msg = format!(
            "the members of cluster {} would begin with different revisions and so serve different data ({}): install the same etcdutl on all hosts, 3.5.10 or newer, or undo what was restored already: ./etcd-restore.yml -t etcd_rollback",
            plan.cluster,
            told.join(", ")
        );
        return Err(Failure::new(ErrorKind::Conflict, msg));
    };
    let saved = plan.snapshot.as_ref().map_or(revision, |snapshot| snapshot.revision);
    let bump = u64::try_from(revision.saturating_sub(saved)).unwrap_or_default();
    (plan.revision, plan.bump) = (Some(revision), bump);
    for (host, note) in &mut plan.notes {
        (note.revision, note.bump) = (Some(revision), bump);
        let told = foretold.get(host);
        for path in told.into_iter().flat_map(|told| [&told.aside, &told.wal_aside]).flatten() {
            if !note.asides.contains(path) {
                note.asides.push(path.clone());
                plan.asides.push(format!("{host}:{path}"));
            }
        }
    }
    Ok(plan)
}

/// Which revision a host begins with, and what makes it.
fn words(host: &str, told: Option<&Foretold>) -> String {
    let Some(Foretold { revision: Some(revision), tool, tool_version, .. }) = told else {
        return format!("{host}: not known");
    };
    match (tool, tool_version) {
        (Some(tool), Some(version)) => format!("{host}: {revision} by {tool} {version}"),
        (Some(tool), None) => format!("{host}: {revision} by {tool}"),
        (None, _) => format!("{host}: {revision}, restored already"),
    }
}
