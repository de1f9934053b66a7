//! Members whose data differs from that of the others.

use super::case::Case;
use super::{At, Hashes, Recovery};
use crate::identity::Member;
use crate::observed::{Live, LiveMember};
use std::collections::BTreeMap;

/// What came of comparing the members' data.
pub(super) enum Compared<'a> {
    /// The members are to be asked first.
    Ask,
    /// Somebody else is to do something before anything else is done.
    Wait,
    /// Nobody can tell whose data is right.
    Unclear(String),
    /// What most members hold is right, and who differs from that. Nobody, where all are alike.
    Known(Sameness<'a>),
}

/// Whose data is that of most members.
#[derive(Default)]
pub(super) struct Sameness<'a> {
    /// Those that differ.
    pub(super) odd: Vec<(&'a Member, &'a LiveMember)>,
    /// The ids of those that do not.
    right: Vec<&'a str>,
    /// What each one has, in words.
    told: String,
}

/// What a member holds: the hash of all keys at a revision that all have, and its newest revision where nobody writes.
type Held = (u32, Option<i64>);

impl Case<'_> {
    /// Compares what the members say of their data.
    pub(super) fn compared<'b>(&'b self, live: &'b Live, recovery: &mut Recovery) -> Compared<'b> {
        let name = &self.cluster.name;
        // A lonely member differs from nobody.
        if live.members.iter().filter(|listed| listed.healthy).count() < 2 && !live.has_alarm("CORRUPT") {
            return Compared::Known(Sameness::default());
        }
        let Some(speaker) = self.speaker(live, &|_| true) else {
            recovery.left.push(format!(
                "none of the members of cluster {name} that serve can be reached over SSH, so their data cannot be compared: bring one of their hosts back, then run ./etcd-recover.yml again"
            ));
            return Compared::Wait;
        };
        let hashes = match self.request.hashes.get(name) {
            None => {
                recovery.compare.insert(name.clone(), speaker.to_owned());
                return Compared::Ask;
            }
            Some(None) => {
                recovery.left.push(format!(
                    "the data of the members of cluster {name} could not be compared, and before that nobody is made anew from it: run ./etcd-recover.yml again"
                ));
                return Compared::Wait;
            }
            Some(Some(hashes)) => hashes,
        };
        let held: BTreeMap<&str, Held> =
            live.members.iter().filter_map(|listed| Some((listed.id.as_str(), hashes.held(live, listed)?))).collect();
        let told = hashes.told(live);
        let voters = || live.members.iter().filter(|listed| !listed.is_learner);
        let mut counts: BTreeMap<Held, usize> = BTreeMap::new();
        for held in voters().filter_map(|listed| held.get(listed.id.as_str())) {
            *counts.entry(*held).or_default() += 1;
        }
        let right = counts.iter().find(|(_, count)| **count > voters().count() / 2).map(|(held, _)| *held);
        if right.is_none() && counts.len() > 1 {
            return Compared::Unclear(format!(
                "the members of cluster {name} hold different data, and no majority agrees ({told}): nobody can tell which is right; go back to a snapshot: {}",
                self.restore()
            ));
        }
        // The leader is who others are made from.
        let leads = live.leader.as_deref().is_some_and(|leader| held.contains_key(leader));
        let Some(right) = right.filter(|_| leads) else {
            recovery.left.push(format!(
                "the data of too few members of cluster {name} could be compared, or not that of its leader ({told}), and before that nobody is made anew from it: run ./etcd-recover.yml again"
            ));
            return Compared::Wait;
        };
        let mut sameness = Sameness { told, ..Sameness::default() };
        let mut away = false;
        for (listed, of_it) in live.members.iter().filter_map(|listed| Some((listed, held.get(listed.id.as_str())?))) {
            let host = |member: &&Member| live.by_url(&member.peer_url).is_some_and(|own| own.id == listed.id);
            let owner = self.cluster.members.iter().find(host);
            match owner.filter(|member| self.seen(member).is_some()) {
                _ if *of_it == right => sameness.right.push(&listed.id),
                Some(member) => sameness.odd.push((member, listed)),
                None => {
                    away = true;
                    recovery.left.push(format!(
                        "the data of {} of cluster {name} is not what the others hold, and its host {}: correct that, or take that member out: ./etcd-rm.yml -e '{{\"etcd_rm_members\": [\"{}\"]}}'; before that nobody is made anew, for it may be made from that data",
                        listed.label(),
                        owner.map_or_else(|| "is not in the inventory".into(), |member| self.why_unseen(&member.host)),
                        listed.id
                    ));
                }
            }
        }
        if away { Compared::Wait } else { Compared::Known(sameness) }
    }

    /// Says who differs.
    pub(super) fn tell_odd(sameness: &Sameness<'_>, recovery: &mut Recovery) {
        recovery.found.extend(sameness.odd.iter().map(|(member, listed)| {
            format!("the data of {} on {} is not what the others hold ({})", listed.label(), member.host, sameness.told)
        }));
    }

    /// The alarm that data differs is over once all members that stay hold the same. Those that go have gone by then.
    pub(super) fn disarm(
        &self,
        live: &Live,
        sameness: &Sameness<'_>,
        gone: &[(&Member, &LiveMember)],
        recovery: &mut Recovery,
    ) {
        let name = &self.cluster.name;
        if !live.has_alarm("CORRUPT") {
            return;
        }
        let stays = |listed: &LiveMember| !gone.iter().any(|(_, goes)| goes.id == listed.id);
        let mut staying = live.members.iter().filter(|listed| stays(listed) && listed.started);
        let same = staying.all(|listed| sameness.right.contains(&listed.id.as_str()));
        let Some(speaker) = self.speaker(live, &stays).filter(|_| same) else {
            let sentence = format!(
                "cluster {name} has the alarm CORRUPT, and takes no writes: it is disarmed once all its members serve and hold the same data"
            );
            if gone.is_empty() { &mut recovery.left } else { &mut recovery.found }.push(sentence);
            return;
        };
        if gone.is_empty() {
            recovery.found.push(format!(
                "cluster {name} has the alarm CORRUPT, and all its members hold the same data ({})",
                sameness.told
            ));
            recovery.intends.push(format!("cluster {name}: disarm the alarm CORRUPT"));
        } else {
            recovery.intends.push(format!("cluster {name}: disarm the alarm CORRUPT, once that member is out of it"));
        }
        recovery.disarm.push(At { cluster: name.clone(), host: speaker.to_owned() });
    }
}

impl Hashes {
    /// What a member holds; none where that is not known. Under the alarm nobody writes, so whoever knows of it is at the revision
    /// where it stays; one that lost its last ones has the same hash as the others at the lowest.
    fn held(&self, live: &Live, listed: &LiveMember) -> Option<Held> {
        let hash = *self.members.get(&listed.id)?;
        if !live.has_alarm("CORRUPT") {
            return Some((hash, None));
        }
        listed.tells_of("CORRUPT").then(|| (hash, self.revisions.get(&listed.id).copied()))
    }

    /// In words.
    fn told(&self, live: &Live) -> String {
        let of_each = live.members.iter().filter_map(|listed| {
            let newest = self.revisions.get(&listed.id).map(|revision| format!(" up to revision {revision}"));
            Some(format!("{}: {:08x}{}", listed.label(), self.members.get(&listed.id)?, newest.unwrap_or_default()))
        });
        format!("at revision {}, {}", self.revision, of_each.collect::<Vec<_>>().join(", "))
    }
}
