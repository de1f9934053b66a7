//! Taking the steps. Before each one the cluster is looked at anew, so a step that somebody else has taken meanwhile,
//! or whose answer was lost, is seen as taken.

use crate::calls::{self, Answer};
use crate::params::Desired;
use crate::plan::{self, Step};
use crate::refusal::Refusal;
use ansible_protocol::{ErrorKind, Failure};
use etcd_ops::client::MemberClient;
use etcd_ops::connection::Session;
use etcd_ops::leader::{self, Led};
use etcd_ops::view::{self, ClusterView, Health, MemberView};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};

/// How often the cluster is looked at while something is awaited.
const POLL: Duration = Duration::from_millis(200);

/// What is left of the time to take back what did not work out.
const RESERVE: Duration = Duration::from_secs(5);

/// How long an answer is waited for. A change that is proposed while another one is under way is dropped by the leader,
/// and whoever asked for it gets no answer at all.
const ANSWER: Duration = Duration::from_secs(5);

/// Taking steps, one after the other.
pub(crate) struct Work<'a> {
    session: &'a Session,
    /// The same session without the reserve.
    waiting: Session,
    desired: &'a Desired,
    started: Instant,
    patience: Instant,
    /// What has been done so far.
    pub(crate) actions: Vec<&'static str>,
}

/// Why a step has not been taken yet.
enum Trouble {
    /// It takes others, or time.
    Awaited,
    /// etcd will not, or not yet.
    Refused(Refusal, String),
    /// The answer was lost: it may have been taken.
    Lost(Failure),
}

impl<'a> Work<'a> {
    pub(crate) fn new(session: &'a Session, desired: &'a Desired) -> Self {
        let started = Instant::now();
        let time = session.deadline().saturating_duration_since(started);
        let patience = session.deadline() - RESERVE.min(time / 4);
        Self { session, waiting: session.with_deadline(patience), desired, started, patience, actions: Vec::new() }
    }

    /// Takes steps until all is as wished, and returns the cluster as it is then.
    ///
    /// # Errors
    ///
    /// Why it cannot go on, or has not come to an end in time.
    pub(crate) async fn converge(&mut self, mut led: Led) -> Result<ClusterView, Failure> {
        let mut poll = tokio::time::interval(POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last: Option<(Step, Trouble)> = None;
        loop {
            poll.tick().await;
            let step = plan::next(&led.view, self.desired)?;
            if let Some((lost, Trouble::Lost(_))) = &last
                && *lost != step
            {
                self.actions.extend(lost.word());
            }
            let client = led.client.as_ref().ok_or_else(|| leaderless(&led.view))?;
            if step == Step::Done {
                return Ok(led.view);
            }
            match Box::pin(self.take(&led, client, step)).await? {
                Ok(()) => {
                    self.actions.extend(step.word());
                    if let Some(view) = Box::pin(self.proved(&led.view, client, step)).await {
                        return Ok(view);
                    }
                    last = None;
                }
                Err(trouble) => {
                    if let (Trouble::Refused(refusal, endpoint), Some((before, Trouble::Refused(again, _)))) =
                        (&trouble, &last)
                        && (step, refusal) == (*before, again)
                        && !is_passing(step, *refusal)
                    {
                        return Err(refusal.explain(&what(&led.view, step, self.desired), endpoint));
                    }
                    if Instant::now() >= self.patience {
                        return Err(Box::pin(self.give_up(&led.view, step, trouble)).await);
                    }
                    last = Some((step, trouble));
                }
            }
            led = match (Box::pin(leader::find(&self.waiting)).await, last.take()) {
                (Ok(found), before) => {
                    last = before;
                    found
                }
                (Err(_), Some((step, trouble))) if Instant::now() >= self.patience => {
                    return Err(Box::pin(self.give_up(&led.view, step, trouble)).await);
                }
                (Err(failure), _) => return Err(failure),
            };
        }
    }

    async fn take(&self, led: &Led, client: &MemberClient, step: Step) -> Result<Result<(), Trouble>, Failure> {
        let what = what(&led.view, step, self.desired);
        let urls = &self.desired.peer_urls;
        let client = &client.with_deadline(self.patience.min(Instant::now() + ANSWER));
        let answer: Answer = match step {
            Step::Done | Step::AwaitStart(_) => return Ok(Err(Trouble::Awaited)),
            Step::AwaitServing(id) => {
                if led.view.member(id).is_some_and(wants_new_login) {
                    client.log_in().await?;
                }
                return Ok(Err(Trouble::Awaited));
            }
            Step::Announce => calls::add(client, &what, urls, true).await,
            Step::Update(id) => calls::update(client, &what, id, urls).await,
            Step::Promote(id) => calls::promote(client, &what, id).await,
            Step::MoveLeadership(id) => leader::hand_over(self.session, &led.view, id).await.map(|_| Ok(())),
            Step::Remove(id) => calls::remove(client, &what, id).await,
        };
        match answer {
            Ok(Ok(())) => Ok(Ok(())),
            Ok(Err(refusal)) => Ok(Err(Trouble::Refused(refusal, client.endpoint().to_owned()))),
            // Leadership moved by itself.
            Err(failure) if Refusal::of(&failure.msg) == Some(Refusal::NotLeader) => {
                Ok(Err(Trouble::Refused(Refusal::NotLeader, client.endpoint().to_owned())))
            }
            Err(failure) if is_lost(&failure) => Ok(Err(Trouble::Lost(failure))),
            Err(failure) => Err(failure),
        }
    }

    /// The cluster without the member that was removed, when it can be proved right away by the one that removed it: the
    /// endpoints may be those of the removed member alone.
    async fn proved(&self, view: &ClusterView, client: &MemberClient, step: Step) -> Option<ClusterView> {
        let Step::Remove(id) = step else { return None };
        let listed = leader::list(client).await.ok()?;
        let after = plan::after(view.clone(), step, self.desired);
        let same = listed.len() == after.members.len() && listed.iter().all(|member| member.id != id);
        same.then_some(after)
    }

    /// The end of all patience: takes out again what never started, and says what was missing.
    async fn give_up(&mut self, view: &ClusterView, step: Step, trouble: Trouble) -> Failure {
        let seconds = self.started.elapsed().as_secs();
        let member = |id| view.member(id).map_or_else(|| etcd_ops::hex(id), MemberView::label);
        match (step, trouble) {
            (Step::AwaitStart(id), _) if view.member(id).is_some_and(|member| member.is_learner) => {
                self.take_out(id, &format!("learner {} has not started within {seconds} s", member(id))).await
            }
            (Step::AwaitStart(id), _) => {
                let msg = format!(
                    "voter {} has not started within {seconds} s, and counts for the quorum all the same; start etcd on \
                     it, then run it again",
                    member(id)
                );
                Failure::new(ErrorKind::Timeout, msg)
            }
            (Step::Promote(id), Trouble::Refused(Refusal::NotInSync, _)) => behind(view, id, seconds),
            (_, Trouble::Refused(refusal, endpoint)) => {
                refusal.explain(&what(view, step, self.desired), &endpoint).context(format!("after {seconds} s"))
            }
            (_, Trouble::Lost(failure)) => failure,
            (Step::AwaitServing(id), Trouble::Awaited) => not_serving(view, id, seconds),
            (_, Trouble::Awaited) => {
                Failure::new(ErrorKind::Timeout, format!("{} is not as wished after {seconds} s", self.desired.label()))
            }
        }
    }

    /// Removes a learner that never started, unless it has done so by now.
    async fn take_out(&mut self, id: u64, why: &str) -> Failure {
        let out = async {
            let led = Box::pin(leader::find(self.session)).await?;
            let client = led.client.as_ref().ok_or_else(|| leaderless(&led.view))?;
            if plan::next(&led.view, self.desired)? != Step::AwaitStart(id) {
                return Ok(false);
            }
            let what = what(&led.view, Step::Remove(id), self.desired);
            calls::remove(client, &what, id).await?.map_err(|refusal| refusal.explain(&what, client.endpoint()))?;
            Ok(true)
        };
        let rest = match out.await {
            Ok(true) => {
                self.actions.push("removed");
                "it has been taken out of the member list again; see why etcd does not start there, then run it again"
                    .to_owned()
            }
            Ok(false) => "it starts just now; run it again to go on".to_owned(),
            Err(Failure { msg, .. }) => format!("and it could not be taken out of the member list again: {msg}"),
        };
        Failure::new(ErrorKind::Timeout, format!("{why}; {rest}"))
    }
}

/// Whether the refusal may be over in a moment.
fn is_passing(step: Step, refusal: Refusal) -> bool {
    match refusal {
        // Peers count as connected only after a while, and learners catch up.
        Refusal::Unhealthy | Refusal::NotInSync | Refusal::NotLeader => true,
        // Ids are made of the peer URLs and the second: one that was removed in this second cannot be given again.
        Refusal::NotFound | Refusal::IdExists => step == Step::Announce,
        Refusal::TooManyLearners | Refusal::NotLearner | Refusal::NotEnoughStarted | Refusal::PeerUrlExists => false,
    }
}

fn wants_new_login(learner: &MemberView) -> bool {
    matches!(&learner.health, Health::Unhealthy(_, trouble) if view::wants_new_login(trouble))
}

fn is_lost(failure: &Failure) -> bool {
    matches!(failure.kind, ErrorKind::Timeout | ErrorKind::NoLeader | ErrorKind::Unreachable)
}

fn what(view: &ClusterView, step: Step, desired: &Desired) -> String {
    let member = |id| view.member(id).map_or_else(|| etcd_ops::hex(id), MemberView::label);
    match step {
        Step::Announce => format!("add {} as a learner", desired.label()),
        Step::Update(id) => format!("change the peer URLs of {}", member(id)),
        Step::Promote(id) => format!("promote {}", member(id)),
        Step::MoveLeadership(id) => format!("move leadership away from {}", member(id)),
        Step::Remove(id) => format!("remove {}", member(id)),
        Step::AwaitStart(id) | Step::AwaitServing(id) => format!("await {}", member(id)),
        Step::Done => format!("find {}", desired.label()),
    }
}

/// Without a leader nothing is known for sure, not even that there is nothing to do.
pub(crate) fn leaderless(view: &ClusterView) -> Failure {
    let roster = etcd_ops::membership::Roster::from(view);
    let down: Vec<String> =
        roster.voters().filter(|seat| !seat.serves()).map(etcd_ops::membership::Seat::trouble).collect();
    let msg = format!(
        "cluster {} has no leader, so its member list may be out of date: {}; bring its members back, then run it again",
        etcd_ops::hex(view.id),
        down.join("; ")
    );
    Failure::new(ErrorKind::NoLeader, msg)
}

pub(crate) fn behind(view: &ClusterView, id: u64, seconds: u64) -> Failure {
    let index = |id: u64| view.member(id).and_then(|member| member.status.as_ref()).map(|status| status.raft_index);
    let shown = |index: Option<u64>| index.map_or_else(|| "unknown".to_owned(), |index| index.to_string());
    let msg = format!(
        "learner {} is not in sync with its leader after {seconds} s: it has log entry {} of {}; it stays a learner and \
         goes on catching up; run it again, with a longer timeout",
        view.member(id).map_or_else(|| etcd_ops::hex(id), MemberView::label),
        shown(index(id)),
        shown(view.leader.and_then(index)),
    );
    Failure::new(ErrorKind::Timeout, msg)
}

fn not_serving(view: &ClusterView, id: u64, seconds: u64) -> Failure {
    let trouble = view.member(id).map(|member| etcd_ops::membership::Seat::from(member).trouble()).unwrap_or_default();
    let msg = format!(
        "learner {trouble}, and has not come back within {seconds} s; it stays a learner; bring it back, then run it again"
    );
    Failure::new(ErrorKind::Timeout, msg)
}
