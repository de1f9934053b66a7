//! What each host of a running cluster needs.

use super::case::Case;
use crate::identity::Member;
use crate::observed::{Live, LiveMember, Observed};

/// What a host needs.
pub(super) enum Need<'a> {
    /// Nothing.
    Nothing,
    /// To be started, or waited for.
    Start(String),
    /// To be made anew from the others: the member that goes, and why.
    Replace(&'a LiveMember, String),
    /// To join: it is no member any more, or has not finished to become one.
    Join(String),
    /// To join, once what is in the way has been moved aside.
    ClearAndJoin(String),
    /// Somebody's decision.
    Left(String),
}

impl Case<'_> {
    pub(super) fn need<'b>(&self, live: &'b Live, member: &Member) -> Need<'b> {
        let host = &member.host;
        let name = &self.cluster.name;
        let seen = self.seen(member);
        let listed = live.by_url(&member.peer_url).or_else(|| {
            let id = seen?.data.member_id.as_ref()?;
            live.members.iter().find(|known| known.id == *id)
        });
        let (Some(seen), Some(listed)) = (seen, listed) else {
            let why = self.why_unseen(host);
            return match (seen, listed) {
                (Some(seen), None) => self.no_member(live, member, seen),
                (None, Some(listed)) if !listed.healthy => Need::Left(format!(
                    "{host} {why}, and its member {} is down: correct that, and run ./etcd-recover.yml again; if it never comes back: ./etcd-rm.yml -l {host}",
                    listed.label()
                )),
                (None, None) => Need::Left(format!(
                    "{host} {why}, and is no member of cluster {name}: correct that, and run ./etcd-recover.yml again"
                )),
                // It answers, and what is wrong there may be wrong with its member next.
                (None, Some(listed)) if self.failed().contains(&host.as_str()) => Need::Left(format!(
                    "{host} {why}, though its member {} serves: correct that, and run ./etcd-recover.yml again",
                    listed.label()
                )),
                _ => Need::Nothing,
            };
        };
        let unmounted = || self.unmounted(member).filter(|_| !listed.healthy);
        if let Some(sentence) = unmounted() {
            return Need::Left(sentence);
        }
        if !listed.started {
            let why = format!("{host} has been announced to cluster {name} and has never served");
            return if seen.data.left_wal { Need::ClearAndJoin(why) } else { Need::Join(why) };
        }
        if listed.healthy {
            if let Some(sentence) = self.serves_from_nowhere(member, seen, listed) {
                return Need::Left(sentence);
            }
            let unfinished = listed.is_learner && !member.learns;
            return if unfinished {
                Need::Join(format!("{host} is still learning from cluster {name}"))
            } else if seen.may_be_alone() {
                Need::Start(format!("{} on {host} was to go on alone, and serves by now", listed.label()))
            } else {
                Need::Nothing
            };
        }
        match (seen.data.state.as_str(), &seen.data.member_id, &seen.data.cluster_id) {
            ("absent", ..) => Need::Replace(listed, format!("the data of {} on {host} is gone", listed.label())),
            ("member", Some(id), Some(cluster)) if *id == listed.id && *cluster == live.id => {
                self.silent(live, member, seen, listed)
            }
            ("member", _, Some(cluster)) if *cluster == live.id => Need::Replace(
                listed,
                format!(
                    "{} of {host} holds the data of a member that was removed, and not that of {}",
                    member.data_dir,
                    listed.label()
                ),
            ),
            ("member", _, Some(cluster)) => Need::Left(format!(
                "{0} of {host} holds a member of another cluster ({cluster}), where {1} of cluster {name} should be: move it aside if its data is not needed (mv {0} {0}.old), then run ./etcd-recover.yml again",
                member.data_dir,
                listed.label()
            )),
            _ => Need::Replace(
                listed,
                format!(
                    "the data of {} on {host} cannot be read ({})",
                    listed.label(),
                    seen.data.reason.as_deref().unwrap_or_default()
                ),
            ),
        }
    }

    /// A member that serves, and whose data is not where it should be: deleted under it, or never there. What it holds in memory and
    /// in open files ends with its process, so that nobody may stop it unasked.
    fn serves_from_nowhere(&self, member: &Member, seen: &Observed, listed: &LiveMember) -> Option<String> {
        let data = &seen.data;
        let what = match (data.state.as_str(), data.member_id.as_deref()) {
            ("member", Some(id)) if *id == listed.id => return None,
            ("member", id) => format!("the data of another member ({})", id.unwrap_or("unknown")),
            ("absent", _) => "no data".to_owned(),
            _ => format!("no data that can be read ({})", data.reason.as_deref().unwrap_or_default()),
        };
        Some(format!(
            "etcd serves as {label} on {host}, but {data_dir} there holds {what}: save a snapshot now (./etcd-backup.yml), for what it has may end with its process; then correct etcd_data, if that is wrong; if it is right, stop etcd on {host}, on no other host before all serve again, and run ./etcd-recover.yml, which makes the member anew from the others",
            label = listed.label(),
            host = member.host,
            data_dir = member.data_dir,
        ))
    }

    /// A member with its data that does not serve.
    fn silent<'b>(&self, live: &Live, member: &Member, seen: &Observed, listed: &'b LiveMember) -> Need<'b> {
        let host = &member.host;
        if seen.may_be_alone() {
            return Need::Replace(
                listed,
                format!(
                    "{} on {host} was to go on alone, and that was cut off or failed, so that its data may have become that of a lone member",
                    listed.label()
                ),
            );
        }
        let unit = &seen.unit;
        let trouble = listed.error.as_ref().map_or("", |error| error.reason.as_str());
        // Who was put down because its data differs must not serve it again.
        let down = !matches!(unit.active_state.as_str(), "active" | "activating" | "reloading");
        if down && unit.unit_file_state == "disabled" && live.accuses(listed) {
            return Need::Replace(
                listed,
                format!(
                    "{} on {host} is stopped and disabled, and cluster {} has the alarm CORRUPT on account of its data",
                    listed.label(),
                    self.cluster.name
                ),
            );
        }
        let Some(tried) = self.tried(member) else {
            return Need::Start(format!(
                "{} on {host} does not serve ({trouble}; systemd: {})",
                listed.label(),
                unit.active_state
            ));
        };
        let msg = tried.msg.trim_end_matches('.');
        if tried.damaged {
            return Need::Replace(listed, format!("the data of {} on {host} is damaged: {msg}", listed.label()));
        }
        let way = match self.forced_to_replace(live, member) {
            Ok(true) => {
                return Need::Replace(
                    listed,
                    format!("{} on {host} cannot be brought to serve: {msg}", listed.label()),
                );
            }
            Ok(false) => "to replace it all the same: -e etcd_force=replace".to_owned(),
            Err(way) => way,
        };
        Need::Left(format!(
            "{} on {host} cannot be brought to serve, and nothing says that its data is damaged: {msg}; correct that; {way}",
            listed.label()
        ))
    }

    /// Whether this member is to be replaced though nothing says that its data is damaged. Fails where that was said of all, and
    /// several could be meant.
    fn forced_to_replace(&self, live: &Live, member: &Member) -> Result<bool, String> {
        let of_all = self.cluster.members.iter().all(|member| member.is_forced("replace"));
        let qualifies = |member: &&Member| {
            let down = live.by_url(&member.peer_url).is_some_and(|listed| !listed.healthy);
            down && self.tried(member).is_some_and(|tried| !tried.damaged)
        };
        let hosts: Vec<&str> =
            self.cluster.members.iter().filter(qualifies).map(|member| member.host.as_str()).collect();
        if of_all && hosts.len() > 1 {
            return Err(format!(
                "etcd_force=replace is given for all members, and would replace those of {}: set it in the variables of the host that is meant",
                hosts.join(" and ")
            ));
        }
        Ok(member.is_forced("replace"))
    }

    /// A host that is no member. One that has its certificate was one, or was about to be.
    fn no_member(&self, live: &Live, member: &Member, seen: &Observed) -> Need<'static> {
        let host = &member.host;
        let name = &self.cluster.name;
        let data_dir = &member.data_dir;
        if let Some(sentence) = self.unmounted(member) {
            return Need::Left(sentence);
        }
        match (seen.data.state.as_str(), seen.data.cluster_id.as_ref()) {
            ("absent", _) if seen.certificate.is_object() => {
                let why = format!("{host} is not in the member list of cluster {name}, and has no data");
                if seen.data.left_wal { Need::ClearAndJoin(why) } else { Need::Join(why) }
            }
            ("absent", _) => Need::Left(format!(
                "{host} is not a member of cluster {name}, and was never made one: ./etcd.yml -l {host} -e etcd_init=existing"
            )),
            ("member", Some(id)) if *id == live.id => {
                let why = format!(
                    "{host} is not in the member list of cluster {name} any more; its data, of no use now, is kept"
                );
                // Role etcd would not touch what may be a lone member's.
                if seen.may_be_alone() { Need::ClearAndJoin(why) } else { Need::Join(why) }
            }
            ("member", id) => Need::Left(format!(
                "{data_dir} of {host} holds a member of another cluster ({}), and {host} is no member of cluster {name}: move it aside if its data is not needed (mv {data_dir} {data_dir}.old), then run ./etcd-recover.yml again",
                id.map_or("unknown", String::as_str)
            )),
            // What a run has left that was cut off after it had taken the member out.
            _ if seen.certificate.is_object() => Need::ClearAndJoin(format!(
                "{host} is not in the member list of cluster {name} any more; its data, which cannot be read, is kept"
            )),
            _ => Need::Left(format!(
                "{data_dir} of {host} cannot be read as a member's ({}), and {host} is no member of cluster {name}: move it aside (mv {data_dir} {data_dir}.old), then run ./etcd-recover.yml again",
                seen.data.reason.as_deref().unwrap_or_default()
            )),
        }
    }
}
