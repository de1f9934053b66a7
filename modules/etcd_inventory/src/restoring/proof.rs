//! Whether the cluster is what it is to be, once all its members have been started.

use super::{Plan, Snapshot};
use crate::Findings;
use crate::identity::{Cluster, Member};
use crate::observed::{Contents, Live, Observed, read};
use ansible_protocol::{ErrorKind, Failure};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What is proved.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Proof {
    /// In one sentence.
    message: String,
    /// Whether the inventory's root password is the cluster's.
    password: bool,
}

/// What is found out about one cluster.
struct Case<'a> {
    cluster: &'a Cluster,
    plan: &'a Plan,
    seen: BTreeMap<&'a str, Observed>,
    problems: Vec<String>,
    warnings: Vec<String>,
    /// What was compared, in words.
    compared: Vec<String>,
}

/// Compares the cluster with what it is to be.
///
/// # Errors
///
/// One failure with everything that is otherwise.
pub(crate) fn prove(
    clusters: &BTreeMap<String, Cluster>,
    plan: &Plan,
    observed: &BTreeMap<String, Value>,
    findings: &mut Findings,
) -> Result<Proof, Failure> {
    let Some(cluster) = clusters.get(&plan.cluster) else { return Ok(Proof::default()) };
    let seen = read(cluster, observed, findings);
    let problems = std::mem::take(&mut findings.problems);
    let mut case = Case { cluster, plan, seen, problems, warnings: Vec::new(), compared: Vec::new() };
    case.hosts();
    let password = case.answers();
    findings.warnings.append(&mut case.warnings);
    if case.problems.is_empty() {
        return Ok(Proof { message: case.message(), password });
    }
    let name = &cluster.name;
    let next = if plan.rollback {
        "; ./etcd-recover.yml says what is wrong with a member"
    } else {
        "; to go back to the old data: ./etcd-restore.yml -t etcd_rollback"
    };
    let msg = format!("cluster {name} is not what it is to be: {}{next}", case.problems.join("; "));
    let mut failure = Failure::new(ErrorKind::Conflict, msg).with("problems", &case.problems);
    failure.warnings.clone_from(&findings.warnings);
    Err(failure)
}

impl Case<'_> {
    /// Who is to serve.
    fn members(&self) -> impl Iterator<Item = &Member> {
        self.cluster.members.iter().filter(|member| !self.plan.empty.contains(&member.host))
    }

    /// What each host says of itself.
    fn hosts(&mut self) {
        let mut problems = Vec::new();
        for member in self.members() {
            let Some(seen) = self.seen.get(member.host.as_str()) else {
                problems.push(format!("{} does not say how it is", member.host));
                continue;
            };
            let plan = self.plan;
            if !plan.rollback && seen.data.cluster_id.as_deref() != Some(&plan.cluster_id) {
                let id = seen.data.cluster_id.as_deref().unwrap_or("none");
                problems.push(format!("{} holds data of cluster {id}, not {}", member.host, plan.cluster_id));
            }
            if seen.unit.active_state != "active" {
                problems.push(format!("etcd is {} on {}", seen.unit.active_state, member.host));
            }
        }
        self.problems.append(&mut problems);
    }

    /// What the cluster says; and whether it has let us in.
    fn answers(&mut self) -> bool {
        let name = &self.cluster.name;
        let views = || self.seen.values().filter_map(|seen| seen.cluster.as_ref());
        let hashes = views().find_map(|live| live.hashes.clone());
        let contents = views().find_map(|live| live.contents.clone());
        let live = views().find(|live| live.leader.is_some()).cloned();
        let wrong =
            self.seen.values().any(|seen| seen.cluster_error.as_ref().is_some_and(|error| error["kind"] == "auth"));
        if wrong && hashes.is_none() {
            self.warnings.push(format!(
                "the members of cluster {name} serve, and the root password is the one it had when the snapshot was taken, not the inventory's: \
                 so what they hold could not be compared. To set the inventory's: ./etcd.yml -e etcd_root_password_previous=THAT_ONE"
            ));
        }
        let Some(live) = live else {
            if !wrong {
                let reason = self.seen.values().find_map(Observed::cluster_trouble).unwrap_or("it has no leader");
                self.problems.push(format!("it does not answer: {reason}"));
            }
            return hashes.is_some();
        };
        self.members_of(&live);
        self.alarms(&live);
        match &hashes {
            Some(hashes) => {
                let different: BTreeSet<&u32> = hashes.members.values().collect();
                let count = self.members().count();
                if different.len() > 1 || hashes.members.len() != count {
                    self.problems.push(format!(
                        "its members differ at revision {}: their hashes are {:?}",
                        hashes.revision, hashes.members
                    ));
                }
                self.compared.push(format!("{count} members with equal hashes"));
            }
            None if wrong => {}
            None => self.problems.push("its members' hashes are unknown".into()),
        }
        if let Some(snapshot) = &self.plan.snapshot {
            self.holds(&live, contents.as_ref(), snapshot);
        }
        hashes.is_some()
    }

    /// Who it consists of, and who of them serves.
    fn members_of(&mut self, live: &Live) {
        let (cluster, plan) = (self.cluster, self.plan);
        if !plan.rollback && live.id != plan.cluster_id {
            self.problems.push(format!("it is cluster {}, not {}", live.id, plan.cluster_id));
        }
        if live.members.len() != cluster.members.len() && !plan.rollback {
            self.problems.push(format!("it has {} members, not {}", live.members.len(), cluster.members.len()));
        }
        let empty = |url: &String| {
            let mut down = cluster.members.iter().filter(|member| plan.empty.contains(&member.host));
            down.any(|member| member.peer_url == *url)
        };
        let ill = live.members.iter().filter(|member| !member.healthy && !member.peer_urls.iter().any(empty));
        // The old cluster may have had members on hosts that are gone since.
        let named = |url: &String| cluster.members.iter().any(|member| member.peer_url == *url);
        let (ill, gone): (Vec<_>, Vec<_>) =
            ill.partition(|member| !plan.rollback || member.peer_urls.iter().any(named));
        self.warnings.extend(gone.into_iter().map(|member| {
            format!(
                "{} ({}) at {} is a member of cluster {} again, does not serve, and is not in the inventory: take it out: ./etcd-rm.yml -e etcd_rm_members={1}",
                member.name,
                member.id,
                member.peer_urls.join(","),
                cluster.name
            )
        }));
        let ill: Vec<&str> = ill.into_iter().map(|member| member.name.as_str()).collect();
        if !ill.is_empty() {
            self.problems.push(format!("{} does not serve", ill.join(" and ")));
        }
    }

    /// A snapshot keeps the alarms that were raised when it was taken, of members that are no more.
    fn alarms(&mut self, live: &Live) {
        let told = live.members.iter().filter_map(|member| member.status.as_ref()).flat_map(|status| &status.errors);
        let told: Vec<&String> = told.collect();
        let name = &self.cluster.name;
        let refused = [("NOSPACE", "refuses to write"), ("CORRUPT", "refuses to serve")];
        for (alarm, refuses) in refused.into_iter().filter(|(alarm, _)| told.iter().any(|error| error.contains(alarm)))
        {
            self.warnings.push(format!(
                "cluster {name} has the alarm {alarm}, as when its data was saved, and so {refuses}: ./etcd-recover.yml"
            ));
        }
    }

    /// Whether it holds what the snapshot does. Where it has served before this run, users and roles may be others by now.
    fn holds(&mut self, live: &Live, contents: Option<&Contents>, snapshot: &Snapshot) {
        let name = &self.cluster.name;
        let wanted = if snapshot.auth { "on" } else { "off" };
        let mut other = Vec::new();
        if live.auth.as_deref().is_some_and(|auth| auth != wanted) {
            other.push(format!("authentication is not {wanted}, as in the snapshot"));
        } else if !snapshot.auth {
            self.warnings.push(format!(
                "authentication is off in cluster {name}, as it was in the snapshot: ./etcd.yml turns it on"
            ));
        }
        if let Some(contents) = contents {
            let same = (&contents.users, &contents.roles) == (&snapshot.users, &snapshot.roles);
            let mut equal = Vec::new();
            match contents.keys {
                Some(keys) if keys == snapshot.total_keys => equal.push(format!("{keys} keys")),
                Some(keys) => self.problems.push(format!(
                    "it has {keys} keys at revision {}, and the snapshot {}",
                    contents.revision, snapshot.total_keys
                )),
                None => self.warnings.push(format!(
                    "the keys of cluster {name} could not be compared with the snapshot: revision {}, which it began with, has been compacted since",
                    contents.revision
                )),
            }
            if same {
                equal.push(format!("{} users and {} roles", contents.users.len(), contents.roles.len()));
            } else {
                other.push(format!(
                    "its users are {:?} and its roles {:?}, and those of the snapshot {:?} and {:?}",
                    contents.users, contents.roles, snapshot.users, snapshot.roles
                ));
            }
            if !equal.is_empty() {
                self.compared.push(format!("{} as in the snapshot", equal.join(", ")));
            }
        }
        if self.plan.served {
            let since = |what| format!("cluster {name} has served since it was restored, and by now {what}");
            self.warnings.extend(other.into_iter().map(since));
        } else {
            self.problems.append(&mut other);
        }
    }

    fn message(&self) -> String {
        let name = &self.cluster.name;
        if self.plan.rollback {
            let down = if self.plan.empty.is_empty() {
                String::new()
            } else {
                format!("; {} had none: ./etcd-recover.yml makes its member anew", self.plan.empty.join(", "))
            };
            return format!(
                "cluster {name} has its old data back; clients that have watched the restored one must be restarted, for they wait for its higher revisions{down}"
            );
        }
        let compared = if self.compared.is_empty() { String::new() } else { format!(": {}", self.compared.join(", ")) };
        let served = if self.plan.served {
            format!(
                " (by the restore of {}, which this run has only finished: the same command once more restores anew)",
                self.plan.time
            )
        } else {
            String::new()
        };
        format!("cluster {name} is restored{served}{compared}")
    }
}
