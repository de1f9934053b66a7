//! What may be done, and in which order. Pure.

use ansible_protocol::{ErrorKind, Failure, order};
use etcd_ops::rpc::maintenance::{CORRUPT, NOSPACE};
use etcd_ops::view::{ClusterView, Health, MemberView};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What etcd takes for a quota of 0.
const DEFAULT_QUOTA: u64 = 2 << 30;

/// What is asked for.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Wanted {
    pub(crate) compact: bool,
    pub(crate) defragment: bool,
    /// Percent of a database that have to be unused.
    pub(crate) unused_above: u64,
    pub(crate) disarm: Vec<Alarm>,
    /// In bytes; 0 for etcd's own.
    pub(crate) quota: u64,
}

/// What a member may complain of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Alarm {
    Nospace,
    Corrupt,
}

impl Alarm {
    pub(crate) fn of(number: i32) -> Option<Self> {
        match number {
            NOSPACE => Some(Self::Nospace),
            CORRUPT => Some(Self::Corrupt),
            _ => None,
        }
    }
}

/// The members in the order in which they are defragmented: the leader last.
pub(crate) fn turns(view: &ClusterView) -> Vec<u64> {
    let mut ids: Vec<u64> = view.members.iter().map(|member| member.id).collect();
    order::sort_by_key(&mut ids, |id| view.leader == Some(*id));
    ids
}

/// Whether so much of the member's database is unused that it pays.
pub(crate) fn pays(member: &MemberView, unused_above: u64) -> bool {
    let Some(status) = &member.status else { return false };
    let size = u64::try_from(status.db_size).unwrap_or(0);
    let used = u64::try_from(status.db_size_in_use).unwrap_or(0);
    size.saturating_sub(used).saturating_mul(100) > size.saturating_mul(unused_above)
}

/// A member whose database is larger than that of another one holding the same, both defragmented.
pub(crate) fn larger(view: &ClusterView) -> Option<u64> {
    let size = |member: &MemberView| Some(member.status.as_ref()?.db_size);
    let least = view.members.iter().filter_map(size).min()?;
    let most = least.saturating_add(least / 10).saturating_add(4 << 20);
    view.members.iter().find(|member| size(member).is_some_and(|size| size > most)).map(|member| member.id)
}

/// Whether this member may be silent for a while: everybody else has to serve.
///
/// # Errors
///
/// Kind `quorum_risk`, naming who does not.
pub(crate) fn may_pause(view: &ClusterView, id: u64) -> Result<(), Failure> {
    let down: Vec<String> = view
        .members
        .iter()
        .filter_map(|member| match &member.health {
            Health::Healthy => None,
            Health::Unstarted => Some(format!("{} has never started", member.label())),
            Health::Unhealthy(_, reason) => Some(format!("{} is down ({reason})", member.label())),
        })
        .collect();
    if down.is_empty() {
        return Ok(());
    }
    let who = view.member(id).map_or_else(|| etcd_ops::hex(id), MemberView::label);
    let msg = format!(
        "member {who} is not defragmented, as it would be silent meanwhile: {}; bring all members back first, then run it again",
        down.join("; ")
    );
    Err(Failure::new(ErrorKind::QuorumRisk, msg))
}

/// How many bytes each member's database may grow to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Quotas {
    /// What members run with, as they say; 0 for any number. What is configured may not have been picked up yet.
    pub(crate) running: BTreeMap<u64, u64>,
    /// What is configured, for those that do not say; 0 for etcd's own.
    pub(crate) configured: u64,
}

impl Quotas {
    fn of(&self, id: u64) -> u64 {
        match (self.running.get(&id), self.configured) {
            (Some(0), _) => u64::MAX,
            (Some(quota), _) => *quota,
            (None, 0) => DEFAULT_QUOTA,
            (None, quota) => quota,
        }
    }

    /// The size and the quota of each member's database.
    fn sizes<'a>(&self, view: &'a ClusterView) -> impl Iterator<Item = (&'a MemberView, u64, u64)> {
        view.members.iter().filter_map(|member| {
            let size = u64::try_from(member.status.as_ref()?.db_size).unwrap_or(0);
            Some((member, size, self.of(member.id)))
        })
    }
}

/// Whether all databases are smaller than their quotas: otherwise the alarm would be back with the next write.
///
/// # Errors
///
/// Kind `conflict`, with the sizes and what to do.
pub(crate) fn has_room(view: &ClusterView, quotas: &Quotas) -> Result<(), Failure> {
    let used = |member: &MemberView| member.status.as_ref().map_or(0, |status| status.db_size_in_use);
    let full: Vec<String> = quotas
        .sizes(view)
        .filter(|(_, size, quota)| size >= quota)
        .map(|(member, size, quota)| {
            format!("that of {} has {size} bytes, {} of them in use, and {quota} allowed", member.label(), used(member))
        })
        .collect();
    if full.is_empty() {
        return Ok(());
    }
    let msg = format!(
        "the alarm NOSPACE is left, for the quota that the members run with is too small for what is in the databases: {}; raise \
         etcd_quota_backend_bytes and have it picked up (./etcd.yml -t etcd_config,etcd_launch), or delete keys, then run it again",
        full.join("; ")
    );
    Err(Failure::new(ErrorKind::Conflict, msg))
}

/// A warning where little room is left, though enough for the alarm to end.
pub(crate) fn nearly_full(view: &ClusterView, quotas: &Quotas) -> Option<String> {
    let nearly = |(_, size, quota): &(&MemberView, u64, u64)| u128::from(*size) * 100 > u128::from(*quota) * 80;
    let (member, size, quota) = quotas.sizes(view).find(nearly)?;
    Some(format!(
        "what is in the database of {} fills {size} of the {quota} bytes of its quota: raise etcd_quota_backend_bytes (./etcd.yml -t \
         etcd_config,etcd_launch), or delete keys, before the alarm is back",
        member.label()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use etcd_ops::view::Status;
    use proptest::prelude::*;

    fn view(members: &[(bool, i64, i64)], leader: u64) -> ClusterView {
        let members = members.iter().zip(1..).map(|((healthy, size, used), id)| MemberView {
            id,
            name: format!("etcd-{id}"),
            peer_urls: vec![],
            client_urls: vec![],
            is_learner: false,
            health: if *healthy { Health::Healthy } else { Health::Unhealthy(ErrorKind::Unreachable, "x".into()) },
            status: Some(Status {
                version: "3.6.14".into(),
                db_size: *size,
                db_size_in_use: *used,
                leader,
                raft_term: 1,
                raft_index: 1,
                raft_applied_index: 1,
                errors: vec![],
            }),
        });
        ClusterView {
            id: 1,
            members: members.collect(),
            leader: Some(leader),
            auth: None,
            endpoint: "https://x:1".into(),
        }
    }

    proptest! {
        /// Everybody has a turn, the leader the last one; and nobody while somebody is down.
        #[test]
        fn the_leader_is_last_and_all_serve(healthy in proptest::collection::vec(any::<bool>(), 1..8), pick in 0u64..8) {
            let members: Vec<_> = healthy.iter().map(|healthy| (*healthy, 10, 5)).collect();
            let leader = pick % members.len() as u64 + 1;
            let view = view(&members, leader);
            let turns = turns(&view);
            prop_assert_eq!(turns.last(), Some(&leader));
            prop_assert_eq!(turns.len(), members.len());
            prop_assert_eq!(may_pause(&view, 1).is_ok(), healthy.iter().all(|healthy| *healthy));
        }

        /// The alarm only goes where the next write would not bring it back.
        #[test]
        fn no_alarm_goes_without_room(
            members in proptest::collection::vec((0i64..100, proptest::option::of(0u64..100)), 1..5),
            configured in 1u64..100,
        ) {
            let sizes: Vec<_> = members.iter().map(|(size, _)| (true, *size, *size)).collect();
            let running = members.iter().zip(1..).filter_map(|((_, quota), id)| Some((id, (*quota)?))).collect();
            let room = has_room(&view(&sizes, 1), &Quotas { running, configured }).is_ok();
            let fits = |(size, running): &(i64, Option<u64>)| {
                *running == Some(0) || u64::try_from(*size).unwrap() < running.unwrap_or(configured)
            };
            prop_assert_eq!(room, members.iter().all(fits));
        }
    }

    #[test]
    fn who_has_not_compacted_yet_is_larger() {
        assert_eq!(larger(&view(&[(true, 60 << 20, 0), (true, 66 << 20, 0)], 1)), None);
        assert_eq!(larger(&view(&[(true, 400 << 10, 0), (true, 40 << 20, 0)], 1)), Some(2));
        assert_eq!(
            larger(&view(&[(true, 100, 0), (true, 900, 0)], 1)),
            None,
            "of a small database everything is small"
        );
    }

    #[test]
    fn little_room_is_told_of_whoever_has_it() {
        let view = view(&[(true, 70, 70), (true, 70, 70)], 1);
        let warning = |running| nearly_full(&view, &Quotas { running, configured: 100 });
        assert_eq!(warning(BTreeMap::new()), None);
        assert_eq!(warning([(2, 0)].into()), None);
        assert!(warning([(2, 80)].into()).unwrap().contains("of etcd-2 (2) fills 70 of the 80 bytes"));
    }

    #[test]
    fn it_pays_from_a_share_of_holes_on() {
        let view = view(&[(true, 100, 90), (true, 100, 89)], 1);
        assert!(!pays(&view.members[0], 10) && pays(&view.members[1], 10) && pays(&view.members[0], 0));
    }
}
