//! Clusters that have a quorum: what is lost is made anew from those that serve.

use super::case::Case;
use super::compared::Compared;
use super::need::Need;
use super::{At, Recovery};
use crate::identity::Member;
use crate::observed::{Live, LiveMember, Observed};

/// What the members need.
#[derive(Default)]
struct Needs<'a> {
    start: Vec<(&'a Member, String)>,
    replaced: Vec<(&'a Member, &'a LiveMember)>,
    why_replaced: Vec<String>,
    /// Who joins, whether its data is moved aside first, and why.
    joins: Vec<(&'a Member, bool, String)>,
}

impl Case<'_> {
    /// Returns why nothing at all may be done.
    pub(super) fn running(&self, live: &Live, recovery: &mut Recovery) -> Vec<String> {
        let mut left = Vec::new();
        let needs = self.needs(live, &mut left);
        if let Some(problem) = self.has_a_quorum(live, !needs.joins.is_empty()) {
            return vec![problem];
        }
        let mut waits = !left.is_empty();
        recovery.left.extend(left);
        recovery.left.extend(self.strangers(live));
        let mut acts = true;
        let problems = if needs.start.is_empty() {
            match self.compared(live, recovery) {
                Compared::Ask => return vec![],
                Compared::Wait => {
                    (acts, waits) = (false, true);
                    vec![]
                }
                Compared::Unclear(problem) => return vec![problem],
                Compared::Known(sameness) => {
                    // One at a time: who differs serves until its turn comes, and others may be made from it until then.
                    let mut replaced = needs.replaced.clone();
                    replaced.extend(sameness.odd.first());
                    acts = !(replaced.is_empty() && needs.joins.is_empty());
                    recovery.found.extend(needs.why_replaced);
                    Self::tell_odd(&sameness, recovery);
                    let problem = (!replaced.is_empty()).then(|| self.replace(live, &replaced, recovery)).flatten();
                    if problem.is_none() {
                        if sameness.odd.len() < 2 {
                            recovery.join.extend(replaced.iter().map(|(member, _)| member.host.clone()));
                            self.join(&needs.joins, recovery);
                        }
                        self.disarm(live, &sameness, &replaced, recovery);
                    }
                    problem.into_iter().collect()
                }
            }
        } else {
            // Who serves then may be all that it takes; the others are judged again.
            self.start(&needs.start, recovery);
            vec![]
        };
        self.out_of_space(live, acts, waits, recovery);
        problems
    }

    fn needs<'b>(&'b self, live: &'b Live, left: &mut Vec<String>) -> Needs<'b> {
        let mut needs = Needs::default();
        for member in &self.cluster.members {
            match self.need(live, member) {
                Need::Nothing => {}
                Need::Left(sentence) => left.push(sentence),
                Need::Start(why) => needs.start.push((member, why)),
                Need::Replace(listed, why) => {
                    needs.why_replaced.push(why);
                    needs.replaced.push((member, listed));
                }
                Need::Join(why) => needs.joins.push((member, false, why)),
                Need::ClearAndJoin(why) => needs.joins.push((member, true, why)),
            }
        }
        needs
    }

    fn start(&self, start: &[(&Member, String)], recovery: &mut Recovery) {
        for (member, why) in start {
            recovery.found.push(why.clone());
            recovery.intends.push(format!(
                "{}: start its member, and wait until it serves; if its log then says that its data is damaged, replace it",
                member.host
            ));
            recovery.start.push(member.host.clone());
        }
    }

    fn join(&self, joins: &[(&Member, bool, String)], recovery: &mut Recovery) {
        for (member, clears, why) in joins {
            let host = &member.host;
            recovery.found.push(why.clone());
            let aside = if *clears { "move aside what is left of its data, and " } else { "" };
            recovery.intends.push(format!("{host}: {aside}join cluster {} again", self.cluster.name));
            if *clears {
                self.clear(member, recovery);
            }
            recovery.join.push(host.clone());
        }
    }

    /// What would throw away what the quorum has.
    fn has_a_quorum(&self, live: &Live, joins: bool) -> Option<String> {
        // What was asked for is done, by this run itself.
        if self.request.again {
            return None;
        }
        let leader = live.members.iter().find(|known| Some(&known.id) == live.leader.as_ref());
        let leader = leader.map_or_else(String::new, LiveMember::label);
        let name = &self.cluster.name;
        if let Some(member) = self.wants_data_of()
            // An earlier run was cut off after it had done that: what is left is to join.
            && !(joins && self.seen(member).is_some_and(|seen| seen.serving))
        {
            return Some(format!(
                "cluster {name} has a quorum, led by {leader}, and going on with the data of {} alone would throw away what it has: leave etcd_recover_from out, and ./etcd-recover.yml replaces what is broken",
                member.host
            ));
        }
        (!self.request.snapshot.is_empty()).then(|| {
            format!(
                "cluster {name} has a quorum, led by {leader}, and nothing has to be restored: leave etcd_snapshot out; to go back to that snapshot all the same: {}",
                self.restore()
            )
        })
    }

    /// Members that are down, and that the inventory does not know.
    fn strangers(&self, live: &Live) -> Vec<String> {
        let known = |listed: &LiveMember| {
            let of = |member: &Member| live.by_url(&member.peer_url).is_some_and(|own| own.id == listed.id);
            let holds = |seen: &Observed| seen.data.member_id.as_ref() == Some(&listed.id);
            self.cluster.members.iter().any(of) || self.seen.values().any(holds)
        };
        let strange = live.members.iter().filter(|listed| !listed.healthy && !known(listed));
        let told = strange.map(|listed| {
            format!(
                "{} of cluster {} is down, and the inventory does not name its host: ./etcd-rm.yml -e '{{\"etcd_rm_members\": [\"{}\"]}}'",
                listed.label(),
                self.cluster.name,
                listed.id
            )
        });
        told.collect()
    }

    /// Room is made once all members serve, and nothing else is done to them.
    fn out_of_space(&self, live: &Live, acts: bool, waits: bool, recovery: &mut Recovery) {
        let name = &self.cluster.name;
        let Some(speaker) = self.speaker(live, &|_| true).filter(|_| live.has_alarm("NOSPACE")) else { return };
        let found = format!("cluster {name} takes no writes: it has the alarm NOSPACE");
        let all_up = live.members.iter().all(|listed| listed.healthy);
        if acts {
            recovery.found.push(format!("{found}, and room is made once all its members serve"));
            return;
        }
        if waits || !all_up || live.has_alarm("CORRUPT") {
            recovery
                .left
                .push(format!("{found}, and room is only made while all its members serve, and hold the same data"));
            return;
        }
        recovery.found.push(found);
        recovery.intends.push(format!(
            "cluster {name}: compact to the newest revision, so that earlier values of keys are gone; defragment one member after the other, the leader last; then disarm the alarm if there is room"
        ));
        recovery.space.push(At { cluster: name.clone(), host: speaker.to_owned() });
    }
}
