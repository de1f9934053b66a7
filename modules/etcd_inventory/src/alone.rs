//! Data that was to go on alone, and has not served since: nobody can tell whether it still is that of a member among others.

use crate::identity::{Cluster, Member};
use crate::observed::Observed;
use std::collections::BTreeMap;

impl Observed {
    /// Whether its data may be that of a lone member, which must not be started beside the others.
    pub(crate) fn may_be_alone(&self) -> bool {
        self.data.state == "member" && self.data.alone && self.data.unmounted.is_none()
    }
}

/// The hosts of such data, the cause and the ways on, which depend on whether the cluster is known to have a quorum; none where
/// there is no such data. What serves is in no doubt any more.
pub(crate) fn left_alone(cluster: &Cluster, seen: &BTreeMap<&str, Observed>, quorum: bool) -> Option<String> {
    let with = |wanted: &dyn Fn(&Observed) -> bool| -> Vec<&Member> {
        let found = |member: &&Member| seen.get(member.host.as_str()).is_some_and(wanted);
        cluster.members.iter().filter(found).collect()
    };
    let names =
        |members: &[&Member], by: &str| members.iter().map(|member| member.host.as_str()).collect::<Vec<_>>().join(by);
    let doubtful = with(&|seen| seen.may_be_alone() && !seen.serving);
    let first = doubtful.first()?;
    let others = with(&|seen| seen.data.state == "member" && !seen.data.alone);
    let ways = if quorum {
        "to have it replaced by what those hold that serve: ./etcd-recover.yml".to_owned()
    } else {
        let finish = format!("to finish that: ./etcd-recover.yml -e etcd_recover_from={}", names(&doubtful, " or "));
        if others.is_empty() {
            finish
        } else {
            let others = names(&others, " or ");
            format!("{finish}; to go on with another host, and have this data moved aside: name {others} there")
        }
    };
    Some(format!(
        "{} of cluster {} was to go on alone, and that was cut off or failed: what is in {} may have become the data of a lone member, and is not started beside the others; {ways}",
        names(&doubtful, " and "),
        cluster.name,
        first.data_dir,
    ))
}
