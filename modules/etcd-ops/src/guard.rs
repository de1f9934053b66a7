//! Rules that keep a cluster's quorum. All are pure: a view in, a verdict out.

use crate::view::{ClusterView, Health, MemberView};
use ansible_protocol::{ErrorKind, Failure};

/// How many of so many voters make decisions.
#[must_use]
pub fn quorum(voters: usize) -> usize {
    voters / 2 + 1
}

/// Whether this member may stop for a restart. Every other voter must serve: with one down already, a restart
/// leaves no reserve, and in a cluster of three no quorum. While the data of one differs, nobody restarts: which of them are
/// to be gone on with has to be found out first, and that takes all of them.
///
/// # Errors
///
/// Kind `quorum_risk`, naming each member that is down and why, or the alarm.
pub fn may_restart(view: &ClusterView, id: u64) -> Result<(), Failure> {
    if let Some(alarm) = view.corruption() {
        let who = view.member(id).map_or_else(|| crate::hex(id), MemberView::label);
        let msg = format!(
            "member {who} is not restarted: {alarm}; find out whose data is right with ./etcd-recover.yml, then run it again"
        );
        return Err(Failure::new(ErrorKind::QuorumRisk, msg));
    }
    let down: Vec<&MemberView> =
        view.voters().filter(|member| member.id != id && !member.health.is_healthy()).collect();
    if down.is_empty() {
        return Ok(());
    }
    let who = view.member(id).map_or_else(|| crate::hex(id), MemberView::label);
    let reasons: Vec<String> = down.iter().map(|member| format!("{} {}", member.label(), trouble(member))).collect();
    let voters = view.voters().count();
    Err(Failure::new(
        ErrorKind::QuorumRisk,
        format!(
            "member {who} is not restarted: {}; {} of {voters} voters would serve, the quorum is {}; bring {} back first, \
             then run it again",
            reasons.join("; "),
            voters.saturating_sub(down.len() + 1),
            quorum(voters),
            if down.len() == 1 { "it" } else { "them" },
        ),
    ))
}

fn trouble(member: &MemberView) -> String {
    match &member.health {
        Health::Healthy => "serves".into(),
        Health::Unstarted => "has never started".into(),
        Health::Unhealthy(_, reason) => format!("is down ({reason})"),
    }
}

/// The best member to lead instead of this one: a voter that serves, that no alarm says differs, and that has applied most of
/// the log.
#[must_use]
pub fn successor(view: &ClusterView, id: u64) -> Option<u64> {
    view.voters()
        .filter(|member| member.id != id && member.health.is_healthy() && !view.is_corrupt(member.id))
        .max_by_key(|member| (member.status.as_ref().map_or(0, |status| status.raft_applied_index), member.id))
        .map(|member| member.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::Status;
    use proptest::prelude::*;

    fn view(members: Vec<(bool, bool)>) -> ClusterView {
        let members = members
            .into_iter()
            .enumerate()
            .map(|(index, (is_learner, healthy))| MemberView {
                id: index as u64 + 1,
                name: format!("etcd-{}", index + 1),
                peer_urls: vec![],
                client_urls: vec![],
                is_learner,
                health: if healthy { Health::Healthy } else { Health::Unhealthy(ErrorKind::Unreachable, "x".into()) },
                status: None,
            })
            .collect();
        ClusterView { id: 1, members, leader: Some(1), auth: None, endpoint: "https://x:1".into() }
    }

    proptest! {
        /// An accepted restart leaves a quorum of serving voters wherever the cluster is large enough to have one.
        #[test]
        fn an_accepted_restart_keeps_the_quorum(members in proptest::collection::vec(any::<(bool, bool)>(), 1..9), pick in 0usize..9) {
            let view = view(members);
            let id = (pick % view.members.len()) as u64 + 1;
            let others = view.voters().filter(|member| member.id != id && member.health.is_healthy()).count();
            let voters = view.voters().count();
            match may_restart(&view, id) {
                Ok(()) => prop_assert!(voters < 3 || others >= quorum(voters)),
                Err(failure) => {
                    prop_assert_eq!(failure.kind, ErrorKind::QuorumRisk);
                    prop_assert!(view.voters().any(|member| member.id != id && !member.health.is_healthy()));
                }
            }
        }

        /// Leadership only ever goes to another voter that serves.
        #[test]
        fn a_successor_serves_and_votes(members in proptest::collection::vec(any::<(bool, bool)>(), 1..9)) {
            let view = view(members);
            if let Some(id) = successor(&view, 1) {
                let member = view.member(id).unwrap();
                prop_assert!(id != 1 && member.is_voter() && member.health.is_healthy());
            }
        }
    }

    /// Members that serve, each of which tells the alarm.
    fn alarmed(alarm: &str) -> ClusterView {
        let mut view = view(vec![(false, true); 3]);
        for member in &mut view.members {
            member.status = Some(Status { errors: vec![alarm.to_owned()], ..Status::default() });
        }
        view
    }

    #[test]
    fn while_data_differs_nobody_restarts_and_leadership_goes_to_others() {
        let named = alarmed("memberID:3 alarm:CORRUPT ");
        assert_eq!(
            may_restart(&named, 1).unwrap_err().msg,
            "member etcd-1 (1) is not restarted: cluster 1 has the alarm CORRUPT, of etcd-3 (3); find out whose data is right \
             with ./etcd-recover.yml, then run it again"
        );
        assert_eq!((successor(&named, 1), successor(&named, 2)), (Some(2), Some(1)));
        let nobody = alarmed("alarm:CORRUPT");
        assert!(may_restart(&nobody, 1).unwrap_err().msg.contains("which names no member"));
        assert_eq!(successor(&nobody, 1), Some(3));
        assert!(may_restart(&alarmed("memberID:3 alarm:NOSPACE"), 1).is_ok());
    }

    #[test]
    fn the_refusal_names_who_is_down_and_the_next_step() {
        let failure = may_restart(&view(vec![(false, true), (false, false), (false, true)]), 1).unwrap_err();
        assert_eq!(
            failure.msg,
            "member etcd-1 (1) is not restarted: etcd-2 (2) is down (x); 1 of 3 voters would serve, the quorum is 2; \
             bring it back first, then run it again"
        );
    }
}
