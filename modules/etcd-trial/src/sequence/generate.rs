//! Sequences out of a seed.

use super::step::{Hosts, Run, Step};
use super::world::{Disk, Expected, Host, Seat, World};
use crate::chance::Chance;
use std::time::Duration;

/// What a run that is killed may have been at work for: from Ansible's start to about its end.
const KILLED_AFTER: std::ops::Range<u64> = 500..4500;

/// A sequence that makes sense in this world: whatever fails works again at its end, and what is left of it is cleaned
/// up. The same seed and world make the same sequence.
#[must_use]
pub fn sequence(seed: u64, start: &World) -> Vec<Step> {
    let mut sequence = Sequence { chance: Chance::new(seed), world: start.clone(), steps: Vec::new() };
    let length = 2 + sequence.below(2);
    // Hosts that fail and come back are another campaign's, unless there is a run meanwhile.
    while sequence.steps.len() < length || !sequence.steps.iter().any(|step| matches!(step, Step::Run(..))) {
        sequence.happen();
    }
    sequence.settle();
    sequence.steps
}

struct Sequence {
    chance: Chance,
    world: World,
    steps: Vec<Step>,
}

impl Sequence {
    /// Something happens: a member comes, goes or is replaced, or something fails or works again.
    fn happen(&mut self) {
        match self.below(20) {
            0..=4 => self.add(),
            5..=9 => self.remove(),
            10..=12 => self.replace(),
            13 => self.leave_while_away(),
            14..=17 => self.fail(),
            _ => self.restore(),
        }
    }

    fn add(&mut self) {
        // A host with the data of some member, and no quorum to say of which: nobody can tell what is to become of it.
        let decided = self.world.has_quorum();
        let hosts = self.world.hosts(|host| {
            (host.seat.is_none() && (decided || host.disk == Disk::Empty))
                || host.is_lost()
                || (decided && host.seat == Some(Seat::Learner) && host.serves())
        });
        let Some(first) = self.one_of(&hosts) else { return };
        let host = *self.world.host(first);
        if host.seat.is_none() && self.below(6) == 0 {
            return self.run(Run::Learn(first));
        }
        let mut hosts = Hosts::from([first]);
        // Several at once only where all are alike: what becomes of one says what becomes of the others.
        let alike = self.world.hosts(|other| other.seat.is_none() && other.disk == host.disk && other.is_reachable());
        if alike.contains(&first) && self.below(4) == 0 {
            hosts.extend(self.one_of(&alike));
        }
        self.run(Run::Add(hosts));
    }

    fn remove(&mut self) {
        let listed = self.world.hosts(|host| host.listed);
        let mut hosts: Hosts = self.one_of(&listed).into_iter().collect();
        if self.below(3) == 0 {
            hosts.extend(self.one_of(&listed));
        }
        // All of them: that would be the end of the cluster, which is another story.
        if hosts.len() < listed.len() {
            self.run(Run::Remove(hosts));
        }
    }

    /// A member's data is lost; it leaves, and joins anew.
    fn replace(&mut self) {
        let members = self.world.hosts(Host::serves);
        let Some(host) = self.one_of(&members) else { return };
        let step = if self.below(2) == 0 { Step::Wipe(host) } else { Step::Anew(host) };
        // What no later step could mend is not what this is about.
        if !self.world.after(&step).can_recover() {
            return;
        }
        self.step(step);
        if self.below(5) == 0 {
            self.run(Run::Add(Hosts::from([host])));
        }
        self.run(Run::Remove(Hosts::from([host])));
        if self.below(4) > 0 {
            self.run(Run::Add(Hosts::from([host])));
        }
    }

    /// A member leaves while its host is down, which then comes back with the data of a member that was removed.
    fn leave_while_away(&mut self) {
        let members = self.world.hosts(Host::serves);
        let Some(host) = self.one_of(&members) else { return };
        let one = Hosts::from([host]);
        let (away, back) = match self.below(2) {
            0 => (Step::PowerCut(host), Step::PowerOn(one.clone())),
            _ => (Step::Cut(host), Step::Mend(one.clone())),
        };
        let remove = Run::Remove(one.clone());
        if self.world.after(&away).expect(&remove) != Expected::Done {
            return;
        }
        self.step(away);
        self.run(remove);
        self.step(back);
        if self.below(2) == 0 {
            self.run(Run::Add(one));
        }
    }

    fn fail(&mut self) {
        let members = self.world.hosts(|host| host.is_reachable() && host.seat.is_some());
        let any = self.world.hosts(Host::is_reachable);
        let hosts = if self.below(5) > 0 && !members.is_empty() { members } else { any };
        let Some(host) = self.one_of(&hosts) else { return };
        let step = if self.below(2) == 0 { Step::PowerCut(host) } else { Step::Cut(host) };
        // Most clusters lose no more than they can bear.
        if self.world.after(&step).has_quorum() || self.below(4) == 0 {
            self.step(step);
        }
    }

    fn restore(&mut self) {
        let down = self.world.hosts(|host| !host.is_reachable());
        let Some(host) = self.one_of(&down) else { return };
        let hosts = Hosts::from([host]);
        self.step(if self.world.host(host).powered { Step::Mend(hosts) } else { Step::PowerOn(hosts) });
    }

    /// Everything works again, and the inventory says what there is.
    fn settle(&mut self) {
        let off = self.world.hosts(|host| !host.powered);
        if !off.is_empty() {
            self.step(Step::PowerOn(off));
        }
        let cut = self.world.hosts(|host| !host.plugged);
        if !cut.is_empty() {
            self.step(Step::Mend(cut));
        }
        let learners = self.world.learners();
        if !learners.is_empty() {
            let lost = self.world.hosts(|host| host.seat == Some(Seat::Learner) && host.is_lost());
            self.step(Step::Run(if lost.is_empty() { Run::Add(learners) } else { Run::Remove(lost) }, None));
        }
        self.step(Step::Run(Run::Refresh, None));
        let leftover = self.world.hosts(|host| host.listed && !host.serves());
        if !leftover.is_empty() {
            self.run(Run::Remove(leftover));
            self.step(Step::Run(Run::Refresh, None));
        }
    }

    /// A run; every third one that does something is killed first.
    fn run(&mut self, run: Run) {
        let done = self.world.expect(&run) == Expected::Done;
        let killed = done && self.below(3) == 0;
        let after = KILLED_AFTER.start + self.chance.number() % (KILLED_AFTER.end - KILLED_AFTER.start);
        self.step(Step::Run(run, killed.then(|| Duration::from_millis(after))));
    }

    fn step(&mut self, step: Step) {
        self.world = self.world.after(&step);
        self.steps.push(step);
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.chance.number() % limit.max(1) as u64).unwrap_or_default()
    }

    fn one_of(&mut self, hosts: &Hosts) -> Option<u8> {
        let index = self.below(hosts.len());
        hosts.iter().nth(index).copied()
    }
}
