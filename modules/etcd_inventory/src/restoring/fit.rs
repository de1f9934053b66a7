//! Whether hosts, cluster and snapshot are fit for a restore. One rule per kind of danger.

use super::{Case, Saved, Snapshot};
use crate::observed::in_use;
use etcd_ops::version::Version;

impl Case<'_> {
    pub(super) fn verb(&self) -> &'static str {
        if self.request.rollback { "roll it back" } else { "restore it" }
    }

    pub(super) fn guarded(&self) -> Option<String> {
        let hosts: Vec<&str> =
            self.cluster.members.iter().filter(|member| member.safeguard).map(|member| member.host.as_str()).collect();
        (!hosts.is_empty()).then(|| {
            format!(
                "etcd_safeguard is true on {}, so its data stays as it is: to {} all the same: -e etcd_safeguard=false",
                hosts.join(", "),
                self.verb()
            )
        })
    }

    /// All members are restored together: one that is left out would come back with the old data.
    pub(super) fn incomplete(&self) -> Vec<String> {
        let missing = |in_run: bool| {
            let hosts = self.cluster.hosts.iter().map(String::as_str);
            let missing = hosts.filter(|host| !self.seen.contains_key(host));
            missing.filter(|host| self.request.hosts.iter().any(|other| other == host) == in_run).collect::<Vec<_>>()
        };
        let (outside, silent) = (missing(false), missing(true));
        let mut problems = Vec::new();
        if !outside.is_empty() {
            problems.push(format!(
                "{} of cluster {} is left out of the run, and a cluster is restored on all its hosts at once: run it without -l, or with -l {}",
                outside.join(", "),
                self.name(),
                self.name()
            ));
        }
        if !silent.is_empty() {
            problems.push(format!(
                "{} cannot be reached, or looked at, and would come back with the old data: bring it back; if it is gone for good, take it out of the inventory first",
                silent.join(", ")
            ));
        }
        problems
    }

    /// Hosts on which no member can run.
    pub(super) fn unfit(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let (mut bare, mut without, mut masked) = (Vec::new(), Vec::new(), Vec::new());
        for (host, seen) in &self.seen {
            problems.extend(seen.unmounted(host));
            let unit = &seen.unit;
            if let Some(reason) = &unit.error {
                problems.push(format!("{host} cannot run a member, which takes systemd: {reason}"));
            } else if unit.unit_file_state.starts_with("masked") {
                masked.push(*host);
            } else if unit.unit_file_state.is_empty() {
                bare.push(*host);
            } else if seen.version.is_none() {
                without.push(*host);
            }
        }
        if !bare.is_empty() {
            problems.push(format!(
                "{} has no unit etcd to start: make it ready first, without starting it: ./etcd.yml -t etcd_install,etcd_config",
                bare.join(", ")
            ));
        }
        if !without.is_empty() {
            problems.push(format!(
                "{} has no etcd that can be run (etcd_binary): make it ready first, without starting it: ./etcd.yml -t etcd_install,etcd_config",
                without.join(", ")
            ));
        }
        if !masked.is_empty() {
            problems.push(format!(
                "etcd is masked on {}, so that it cannot start: systemctl unmask etcd",
                masked.join(", ")
            ));
        }
        problems
    }

    /// Members that the inventory does not know would go on with the old data.
    pub(super) fn strangers(&self) -> Option<String> {
        let live = self.live()?;
        let known = |url: &String| self.cluster.members.iter().any(|member| member.peer_url == *url);
        let strange = live.members.iter().filter(|member| !member.peer_urls.iter().any(known));
        let labels: Vec<String> = strange
            .map(|member| format!("{} ({}) at {}", member.name, member.id, member.peer_urls.join(",")))
            .collect();
        (!labels.is_empty()).then(|| {
            format!(
                "cluster {} has members that the inventory does not name, {}: they would go on with the old data; add them to the inventory, or take them out first: ./etcd-rm.yml -e etcd_rm_members=ID",
                self.name(),
                labels.join(", ")
            )
        })
    }

    /// Who uses the cluster. Members that are `leaderless`, as a run that was cut off leaves them, are used by nobody.
    pub(super) fn used(&self, leaderless: bool) -> Option<String> {
        let known = self.seen.values().any(|seen| seen.cluster.as_ref().is_some_and(|live| live.usage.is_some()));
        if self.forced("in_use") || (leaderless && !known) {
            None
        } else {
            in_use(self.name(), &self.seen, self.verb())
        }
    }

    /// etcd does not start from the data of a newer series.
    pub(super) fn too_old(&self, snapshot: &Snapshot) -> Option<String> {
        let saved: Version = snapshot.cluster_version.as_deref()?.parse().ok()?;
        let older = self.seen.iter().filter_map(|(host, seen)| {
            let version: Version = seen.version.as_deref()?.parse().ok()?;
            (version.series() < saved.series()).then(|| format!("{host} ({version})"))
        });
        let older: Vec<String> = older.collect();
        let (major, minor) = saved.series();
        (!older.is_empty()).then(|| {
            format!(
                "snapshot {} is of a cluster of etcd {major}.{minor}, which an older etcd does not read, as that on {}: install {major}.{minor} there first, or name an older snapshot",
                snapshot.path,
                older.join(", ")
            )
        })
    }

    /// A snapshot of another cluster replaces the data, users and passwords of this one by that one's.
    pub(super) fn foreign(&self, snapshot: &Snapshot) -> Option<String> {
        let live = self.live();
        let has_data = live.is_some() || self.seen.values().any(|seen| seen.data.state != "absent");
        if snapshot.members.is_empty() || !has_data || self.forced("other_cluster") {
            return None;
        }
        let listed = || live.into_iter().flat_map(|live| &live.members);
        let noted = self.notes.values().filter_map(|note| note.former_member_id.as_ref());
        let held = self.seen.values().filter_map(|seen| seen.data.member_id.as_ref());
        let ids: Vec<&String> = listed().map(|member| &member.id).chain(noted).chain(held).collect();
        let own = self.cluster.members.iter().map(|member| &member.peer_url);
        let urls: Vec<&String> = listed().flat_map(|member| &member.peer_urls).chain(own).collect();
        let known = |saved: &Saved| ids.contains(&&saved.id) || saved.peer_urls.iter().any(|url| urls.contains(&url));
        (!snapshot.members.iter().any(known)).then(|| {
            format!(
                "snapshot {} is of another cluster than {}: its members were {}, none of which is or was one of these; name the right one; to replace the data, users and passwords of {} by it all the same: -e etcd_force=other_cluster",
                snapshot.path,
                self.name(),
                snapshot.members(),
                self.name()
            )
        })
    }
}
