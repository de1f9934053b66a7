use crate::params::{Desired, State};
use ansible_protocol::{ErrorKind, Failure};
use etcd_ops::membership::{Roster, address};
use etcd_ops::view::{ClusterView, Health, MemberView};
use etcd_ops::{guard, hex};

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing: it is as wished.
    Done,
    /// Into the list, as a learner.
    Announce,
    /// Give it the peer URLs that are wished.
    Update(u64),
    /// Somebody else starts it.
    AwaitStart(u64),
    /// It has started, but does not serve yet.
    AwaitServing(u64),
    /// Make the learner a voter.
    Promote(u64),
    /// Have another one lead.
    MoveLeadership(u64),
    /// Out of the list.
    Remove(u64),
}

impl Step {
    /// What it is called once it is done; none where we only wait.
    pub(crate) fn word(self) -> Option<&'static str> {
        match self {
            Self::Announce => Some("announced"),
            Self::Update(_) => Some("updated"),
            Self::Promote(_) => Some("promoted"),
            Self::MoveLeadership(_) => Some("leadership_moved"),
            Self::Remove(_) => Some("removed"),
            Self::Done | Self::AwaitStart(_) | Self::AwaitServing(_) => None,
        }
    }
}

/// The one member that is meant, if it is in the list.
///
/// # Errors
///
/// Kind `conflict` when it could be several, or when name, peer URLs and id are not the same member's.
pub(crate) fn target<'a>(view: &'a ClusterView, desired: &Desired) -> Result<Option<&'a MemberView>, Failure> {
    let conflict = |msg: String| Err(Failure::new(ErrorKind::Conflict, msg));
    let named = |member: &MemberView| !member.name.is_empty() && Some(&member.name) == desired.name.as_ref();
    let shares = |member: &MemberView| address::share_url(&member.peer_urls, &desired.peer_urls);
    if let Some(id) = desired.id {
        let Some(member) = view.member(id) else { return Ok(None) };
        if let Some(name) = desired.name.as_ref().filter(|name| !member.name.is_empty() && **name != member.name) {
            return conflict(format!(
                "the id {} is that of {}, not of {name}: correct id or name",
                hex(id),
                member.label()
            ));
        }
        return Ok(Some(member));
    }
    let found: Vec<&MemberView> = view.members.iter().filter(|member| named(member) || shares(member)).collect();
    let [member] = found.as_slice() else {
        if found.is_empty() {
            return Ok(None);
        }
        let labels: Vec<String> =
            found.iter().map(|member| format!("{} at {}", member.label(), member.peer_urls.join(","))).collect();
        let msg = format!(
            "{} could be {}: remove those that are not meant, or give id",
            desired.label(),
            labels.join(" or ")
        );
        return conflict(msg);
    };
    if let Some(name) = desired.name.as_ref().filter(|_| !named(member) && !member.name.is_empty()) {
        let seat = etcd_ops::membership::Seat::from(*member);
        return conflict(format!(
            "the peer URL {} belongs to {}, not to {name}: correct name or peer_urls, or remove that member first: \
             bin/etcd-rm {}",
            member.peer_urls.join(","),
            member.label(),
            seat.address()
        ));
    }
    let elsewhere = !desired.peer_urls.is_empty() && !shares(member);
    if elsewhere && desired.state == State::Announced && member.health != Health::Unstarted {
        return conflict(format!(
            "{} is at {} and not at {}, and has data there: another host cannot take its place; if it is lost, take it out \
             first: ./etcd-rm.yml -e '{{\"etcd_rm_members\": [\"{}\"]}}'",
            member.label(),
            member.peer_urls.join(","),
            desired.peer_urls.join(","),
            hex(member.id),
        ));
    }
    if elsewhere && (member.health.is_healthy() || desired.state == State::Absent) {
        return conflict(format!(
            "{} is at {} and not at {}: give another name, correct peer_urls, or give its id if that is the one meant",
            member.label(),
            member.peer_urls.join(","),
            desired.peer_urls.join(",")
        ));
    }
    Ok(Some(member))
}

/// The next step from what is to what is wished for. Pure: whoever takes it looks again before the one after it.
///
/// # Errors
///
/// Why it must not be taken, or cannot be found.
pub(crate) fn next(view: &ClusterView, desired: &Desired) -> Result<Step, Failure> {
    let roster = Roster::from(view);
    let target = target(view, desired)?;
    match (desired.state, target) {
        (State::Absent | State::Withdrawn, None) => Ok(Step::Done),
        (State::Withdrawn, Some(member)) => {
            let waiting = member.is_learner && member.health == Health::Unstarted;
            Ok(if waiting { Step::Remove(member.id) } else { Step::Done })
        }
        (State::Absent, Some(member)) => {
            if desired.force { roster.remove_forced(member.id) } else { roster.remove(member.id) }?;
            let leads = view.leader == Some(member.id) && guard::successor(view, member.id).is_some();
            Ok(if leads { Step::MoveLeadership(member.id) } else { Step::Remove(member.id) })
        }
        (_, None) => {
            if let Some(id) = desired.id {
                let msg =
                    format!("cluster {} has no member {}: ids are etcd's to give; leave id out", hex(view.id), hex(id));
                return Err(Failure::new(ErrorKind::Conflict, msg));
            }
            if desired.peer_urls.is_empty() {
                let msg = format!("{} is not a member yet: give peer_urls, with which it is to join", desired.label());
                return Err(Failure::invalid_option(msg));
            }
            roster.add(true).map_err(|refusal| refusal.context(format!("{} does not join", desired.label())))?;
            Ok(Step::Announce)
        }
        (_, Some(member)) if !is_at(member, desired) => {
            roster.update(member.id)?;
            Ok(Step::Update(member.id))
        }
        (State::Announced, Some(_)) => Ok(Step::Done),
        (State::Present, Some(member)) => start_and_promote(&roster, member, desired),
    }
}

fn start_and_promote(roster: &Roster, member: &MemberView, desired: &Desired) -> Result<Step, Failure> {
    let stays = member.is_voter() || desired.learner;
    match member.health {
        Health::Unstarted => Ok(Step::AwaitStart(member.id)),
        _ if stays => Ok(Step::Done),
        // Its leader may be the only one to say whether it is in sync, but a voter that does not serve is no gain.
        Health::Unhealthy(..) => Ok(Step::AwaitServing(member.id)),
        Health::Healthy => roster.promote(member.id).map(|()| Step::Promote(member.id)),
    }
}

fn is_at(member: &MemberView, desired: &Desired) -> bool {
    desired.peer_urls.is_empty() || address::same_urls(&member.peer_urls, &desired.peer_urls)
}

/// The cluster after the step, with nothing in the way.
pub(crate) fn after(mut view: ClusterView, step: Step, desired: &Desired) -> ClusterView {
    let mut change = |id: u64, change: &dyn Fn(&mut MemberView)| {
        view.members.iter_mut().filter(|member| member.id == id).for_each(change);
    };
    match step {
        Step::Done => {}
        Step::Announce => view.members.push(MemberView {
            id: 0,
            name: String::new(),
            peer_urls: desired.peer_urls.clone(),
            client_urls: vec![],
            is_learner: true,
            health: Health::Unstarted,
            status: None,
        }),
        Step::Update(id) => change(id, &|member| member.peer_urls.clone_from(&desired.peer_urls)),
        Step::AwaitStart(id) | Step::AwaitServing(id) => change(id, &|member| {
            member.health = Health::Healthy;
            if let (true, Some(name)) = (member.name.is_empty(), &desired.name) {
                member.name.clone_from(name);
            }
        }),
        Step::Promote(id) => change(id, &|member| member.is_learner = false),
        Step::MoveLeadership(id) => view.leader = guard::successor(&view, id),
        Step::Remove(id) => view.members.retain(|member| member.id != id),
    }
    view
}

/// All steps there will be, and the cluster after them.
///
/// # Errors
///
/// Why one of them must not be taken.
pub(crate) fn predict(view: &ClusterView, desired: &Desired) -> Result<(Vec<Step>, ClusterView), Failure> {
    let (mut steps, mut view) = (Vec::new(), view.clone());
    loop {
        let step = next(&view, desired)?;
        if step == Step::Done {
            return Ok((steps, view));
        }
        view = after(view, step, desired);
        steps.push(step);
    }
}
