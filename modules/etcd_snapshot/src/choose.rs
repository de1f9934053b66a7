//! Which member a snapshot is taken from.

use ansible_protocol::{ErrorKind, Failure};
use etcd_ops::view::{ClusterView, Health, MemberView};
use serde::Deserialize;

/// Whom to take it from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum From {
    Leader,
    Follower,
    First,
}

/// The member to take a snapshot from; `first` is the id of the one behind the first endpoint.
///
/// A voter that serves has just been read through its leader, and so had applied everything that was decided before:
/// it is in sync. Among followers, the one that has applied most comes first.
pub(crate) fn choose(view: &ClusterView, from: From, first: Option<u64>, force: bool) -> Result<&MemberView, Failure> {
    match from {
        From::Leader => {
            let leader = view.leader.and_then(|id| view.member(id));
            let leader = leader.ok_or_else(|| {
                let msg = format!("the cluster has no leader to save from: {}; {}", causes(view, |_| true), next(view));
                Failure::new(ErrorKind::NoLeader, msg)
            })?;
            in_sync(view, leader).map_err(|failure| failure.context("cannot save from the leader"))
        }
        From::Follower => {
            let is_follower = |member: &MemberView| member.is_voter() && view.leader != Some(member.id);
            let fit = view.members.iter().filter(|member| is_follower(member) && in_sync(view, member).is_ok());
            let applied = |member: &&MemberView| member.status.as_ref().map_or(0, |status| status.raft_applied_index);
            fit.max_by_key(applied).ok_or_else(|| {
                let msg = match causes(view, is_follower).as_str() {
                    "" => "the cluster has no follower to save from; use from: leader".to_owned(),
                    causes => {
                        format!("no follower is in sync to save from: {causes}; bring one back, or use from: leader")
                    }
                };
                Failure::new(ErrorKind::Conflict, msg)
            })
        }
        From::First => {
            let member = first.and_then(|id| view.member(id)).ok_or_else(|| {
                let msg = "the member behind the first of endpoints is not in its cluster's list; name one that is";
                Failure::new(ErrorKind::Conflict, msg)
            })?;
            if force {
                return Ok(member);
            }
            in_sync(view, member).map_err(|mut failure| {
                failure.msg.push_str("; choose another member, or save what it has with force: true");
                failure.context("cannot save from the first of endpoints")
            })
        }
    }
}

/// The member, if it serves and is in sync, and no alarm says that its data differs.
fn in_sync<'a>(view: &ClusterView, member: &'a MemberView) -> Result<&'a MemberView, Failure> {
    if member.is_learner {
        let msg = format!("{} is a learner and may lag behind", member.label());
        return Err(Failure::new(ErrorKind::Conflict, msg));
    }
    match &member.health {
        Health::Healthy if view.is_corrupt(member.id) => {
            Err(Failure::new(ErrorKind::Conflict, format!("{} has the alarm CORRUPT", member.label())))
        }
        Health::Healthy => Ok(member),
        Health::Unstarted => Err(Failure::new(ErrorKind::Conflict, format!("{} has never started", member.label()))),
        Health::Unhealthy(kind, reason) => Err(Failure::new(*kind, format!("{}: {reason}", member.label()))),
    }
}

fn causes(view: &ClusterView, which: impl Fn(&MemberView) -> bool) -> String {
    let members = view.members.iter().filter(|member| which(member));
    let causes: Vec<String> =
        members.filter_map(|member| in_sync(view, member).err().map(|failure| failure.msg)).collect();
    causes.join("; ")
}

fn next(view: &ClusterView) -> String {
    let endpoint = &view.endpoint;
    format!(
        "bring its members up, or save what {endpoint} has with endpoints: [{endpoint}], from: first and force: true"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use etcd_ops::view::Status;
    use proptest::prelude::*;

    fn member(id: u64, is_learner: bool, healthy: bool, applied: u64) -> MemberView {
        MemberView {
            id,
            name: format!("etcd-{id}"),
            peer_urls: vec![],
            client_urls: vec![],
            is_learner,
            health: if healthy { Health::Healthy } else { Health::Unhealthy(ErrorKind::Unreachable, "down".into()) },
            status: healthy.then(|| Status {
                version: "3.6.0".into(),
                db_size: 0,
                db_size_in_use: 0,
                leader: 1,
                raft_term: 1,
                raft_index: applied,
                raft_applied_index: applied,
                errors: vec![],
            }),
        }
    }

    prop_compose! {
        fn views()(
            members in prop::collection::vec((any::<bool>(), any::<bool>(), 0..5_u64), 0..6),
            leader in prop::option::of(0..7_u64),
        ) -> ClusterView {
            let members = members.into_iter().enumerate();
            let members = members.map(|(id, (learns, healthy, applied))| member(id as u64, learns, healthy, applied));
            ClusterView { id: 1, members: members.collect(), leader, auth: None, endpoint: "https://a:1".into() }
        }
    }

    proptest! {
        #[test]
        fn whoever_is_chosen_serves_and_is_what_was_asked_for(
            view in views(),
            pick in 0..3_usize,
            first in prop::option::of(0..7_u64),
        ) {
            let from = [From::Leader, From::Follower, From::First][pick];
            let fit = |member: &&MemberView| member.is_voter() && member.health.is_healthy() && match from {
                From::Leader => view.leader == Some(member.id),
                From::Follower => view.leader != Some(member.id),
                From::First => first == Some(member.id),
            };
            let best = view.members.iter().filter(fit).map(|member| member.status.as_ref().map(|status| status.raft_applied_index)).max();
            match choose(&view, from, first, false) {
                Ok(chosen) => {
                    prop_assert!(fit(&chosen));
                    prop_assert_eq!(chosen.status.as_ref().map(|status| status.raft_applied_index), best.unwrap());
                }
                Err(failure) => prop_assert!(best.is_none() && !failure.msg.is_empty()),
            }
        }
    }

    #[test]
    fn whom_the_alarm_names_is_not_saved_from() {
        let with = |alarm: &str| {
            let mut members: Vec<MemberView> = (1..4).map(|id| member(id, false, true, id)).collect();
            for status in members.iter_mut().filter_map(|member| member.status.as_mut()) {
                status.errors = vec![alarm.to_owned()];
            }
            ClusterView { id: 1, members, leader: Some(1), auth: None, endpoint: "https://a:1".into() }
        };
        let named = with("memberID:3 alarm:CORRUPT ");
        assert_eq!(choose(&named, From::Follower, None, false).unwrap().id, 2);
        assert_eq!(choose(&named, From::First, Some(3), true).unwrap().id, 3);
        let failure = choose(&named, From::First, Some(3), false).unwrap_err();
        assert!(failure.msg.contains("etcd-3 (3) has the alarm CORRUPT"), "{failure}");
        assert_eq!(choose(&with("alarm:CORRUPT"), From::Follower, None, false).unwrap().id, 3);
    }

    #[test]
    fn refusals_say_what_to_do() {
        let view = ClusterView {
            id: 1,
            members: vec![member(1, false, false, 0), member(2, true, true, 0)],
            leader: None,
            auth: None,
            endpoint: "https://a:1".into(),
        };
        let msg = |from, first| choose(&view, from, first, false).unwrap_err().msg;
        let wanted = "the cluster has no leader to save from: etcd-1 (1): down; etcd-2 (2) is a learner and may lag behind; \
                      bring its members up, or save what https://a:1 has with endpoints: [https://a:1], from: first and \
                      force: true";
        assert_eq!(msg(From::Leader, None), wanted);
        let wanted = "no follower is in sync to save from: etcd-1 (1): down; bring one back, or use from: leader";
        assert_eq!(msg(From::Follower, None), wanted);
        let wanted = "cannot save from the first of endpoints: etcd-1 (1): down; choose another member, or save what it \
                      has with force: true";
        assert_eq!(msg(From::First, Some(1)), wanted);
        assert_eq!(choose(&view, From::First, Some(1), true).unwrap().id, 1);
    }
}
