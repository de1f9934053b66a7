//! Rules that keep a cluster's quorum. All are pure: a view in, a verdict out.

use crate::view::{ClusterView, Health, MemberView};
use ansible_protocol::{ErrorKind, Failure};

/// How many of so many voters make decisions.
#[must_use]
pub fn quorum(voters: usize) -> usize {
    voters / 2 + 1
}

/// Whether this member may stop for a restart. Every other voter must serve: with one down already, a restart
/// leaves no reserve, and in a cluster of three no quorum.
///
/// # Errors
///
/// Kind `quorum_risk`, naming each member that is down and why.
pub fn may_restart(view: &ClusterView, id: u64) -> Result<(), Failure> {
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

/// The best member to lead instead of this one: a voter that serves and has applied most of the log.
#[must_use]
pub fn successor(view: &ClusterView, id: u64) -> Option<u64> {
    view.voters()
        .filter(|member| member.id != id && member.health.is_healthy())
        .max_by_key(|member| (member.status.as_ref().map_or(0, |status| status.raft_applied_index), member.id))
        .map(|member| member.id)
}

#[cfg(test)]
mod tests {
    use super::*;
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
