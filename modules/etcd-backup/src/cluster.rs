//! What a member sees of the cluster while it waits for its turn.

use crate::config::Config;
use crate::keys::{self, Claim, text, time};
use crate::turn::{Me, Patience, Seen, Step, Waited, decide};
use ansible_protocol::{ErrorKind, Failure};
use etcd_ops::client::MemberClient;
use etcd_ops::connection::Session;
use etcd_ops::leader;
use etcd_ops::view::{ClusterView, Health, MemberView};
use etcd_ops::{block_on, clock, hex};
use jiff::Timestamp;
use serde_json::Value;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};

/// Between two looks at the keys.
const POLL: Duration = Duration::from_millis(500);
/// Between two looks at the members; and how long either may take.
pub(crate) const LOOK: Duration = Duration::from_secs(15);

/// Whose turn it turned out to be.
pub(crate) enum Turn {
    /// This member's.
    Mine(Mine),
    /// It has been taken, as this record says.
    Done(Value),
}

/// What there is to take.
pub(crate) struct Mine {
    /// The cluster's id.
    pub(crate) cluster_id: u64,
    /// That the others know of it; none where the cluster refuses writes.
    pub(crate) claim: Option<Claim>,
    /// What is to be said of it.
    pub(crate) warnings: Vec<String>,
}

/// One thing to do with the cluster; there is one piece of code to wait for all of them.
pub(crate) type Work<'a> = Pin<Box<dyn Future<Output = Result<Option<Turn>, Failure>> + 'a>>;

pub(crate) fn wait(work: Work<'_>) -> Result<Option<Turn>, Failure> {
    block_on(work)
}

/// Waits until it is this member's turn, or the snapshot has been taken.
///
/// # Errors
///
/// When the cluster cannot be asked, has no leader, does not list this member, or nobody takes the snapshot.
pub(crate) fn turn(config: &Config, begun: Timestamp) -> Result<Turn, Failure> {
    let turn = wait(Box::pin(await_turn(config, begun)))?;
    turn.ok_or_else(|| Failure::new(ErrorKind::Internal, "nobody's turn came"))
}

async fn await_turn(config: &Config, begun: Timestamp) -> Result<Option<Turn>, Failure> {
    let base = Session::new(&config.connection()?)?;
    let start = Instant::now();
    let mut memory = Memory {
        start,
        heard: start,
        claim: None,
        unclaimed: start,
        released: false,
        no_space: false,
        cluster_id: 0,
        trouble: String::new(),
    };
    let mut poll = tokio::time::interval(POLL);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        poll.tick().await;
        let until = Instant::now() + LOOK;
        let (me, client) = match Box::pin(look(&base.with_deadline(until), config, &mut memory)).await {
            Ok(found) => found,
            Err(failure) if memory.is_passing(&failure, config) => continue,
            Err(failure) => return Err(failure),
        };
        while Instant::now() < until {
            let client = client.with_deadline(Instant::now() + LOOK);
            let turn = Box::pin(next(config, &client, me, begun, &mut memory)).await;
            match turn {
                Ok(Some(turn)) => return Ok(Some(turn)),
                Ok(None) => {}
                Err(failure) if memory.is_passing(&failure, config) => break,
                Err(failure) => return Err(failure),
            }
            poll.tick().await;
        }
    }
}

/// What the run remembers while it waits.
struct Memory {
    start: Instant,
    /// When the cluster last answered.
    heard: Instant,
    /// The claim that there is, by the revision of its key, and when it was first seen.
    claim: Option<(i64, Instant)>,
    /// Since when there has been none.
    unclaimed: Instant,
    released: bool,
    no_space: bool,
    cluster_id: u64,
    /// Why this member cannot take it; empty where it can.
    trouble: String,
}

impl Memory {
    /// Whether a failure may pass, as one during an election does.
    fn is_passing(&self, failure: &Failure, config: &Config) -> bool {
        let passes = matches!(failure.kind, ErrorKind::NoLeader | ErrorKind::Unreachable | ErrorKind::Timeout);
        passes && self.heard.elapsed() < config.grace
    }

    fn note(&mut self, claim: Option<i64>) {
        let now = Instant::now();
        self.heard = now;
        let known = self.claim.map(|(revision, _)| revision);
        if claim != known {
            self.released |= known.is_some();
            self.claim = claim.map(|revision| (revision, now));
            self.unclaimed = now;
        }
    }
}

/// Looks at the members: what this one is, and whoever speaks for the cluster.
async fn look(session: &Session, config: &Config, memory: &mut Memory) -> Result<(Me, MemberClient), Failure> {
    let led = leader::find(session).await?;
    let view = &led.view;
    let Some(client) = led.client else {
        let msg = format!(
            "cluster {} has no leader, so no backup can be agreed on: {}; bring its members up",
            config.cluster,
            troubles(view)
        );
        return Err(Failure::new(ErrorKind::NoLeader, msg));
    };
    let Some(member) = view.members.iter().find(|member| member.name == config.member) else {
        let names: Vec<&str> = view.members.iter().map(|member| member.name.as_str()).collect();
        let msg = format!(
            "{} is no member of cluster {} ({}): if it has left, disable its timer: systemctl disable --now etcd-backup.timer",
            config.member,
            config.cluster,
            names.join(", ")
        );
        return Err(Failure::new(ErrorKind::Conflict, msg));
    };
    let alarms = view.members.iter().filter_map(|member| member.status.as_ref()).flat_map(|status| &status.errors);
    memory.no_space = alarms.into_iter().any(|alarm| alarm.contains("NOSPACE"));
    memory.cluster_id = view.id;
    memory.trouble = match &member.health {
        Health::Healthy if !member.is_voter() => "it is a learner and may lag behind".to_owned(),
        // Whom it names may be the wrong one, and nobody could write a claim.
        Health::Healthy => view.corruption().unwrap_or_default(),
        Health::Unstarted => "it has never started".to_owned(),
        Health::Unhealthy(_, reason) => reason.trim().to_owned(),
    };
    Ok((Me { leads: view.leader == Some(member.id), able: memory.trouble.is_empty() }, client))
}

fn troubles(view: &ClusterView) -> String {
    let trouble = |member: &MemberView| match &member.health {
        Health::Unhealthy(_, reason) => Some(format!("{}: {reason}", member.name)),
        _ => None,
    };
    let troubles: Vec<String> = view.members.iter().filter_map(trouble).collect();
    troubles.join("; ")
}

/// One look at the keys, and what follows from it; none to look again.
async fn next(
    config: &Config,
    client: &MemberClient,
    me: Me,
    begun: Timestamp,
    memory: &mut Memory,
) -> Result<Option<Turn>, Failure> {
    let keys = keys::read(client).await?;
    memory.note(keys.claim.as_ref().map(|(revision, _)| *revision));
    // After a restore there is the record of a backup that was another cluster's.
    let own = |last: &Value| last["cluster_id"] == hex(memory.cluster_id);
    let seen = Seen {
        last: keys.last.as_ref().filter(|(_, last)| own(last)).and_then(|(_, last)| time(last, "finished_at")),
        failed: keys.failed.as_ref().and_then(|failed| time(failed, "failed_at")),
        claimed: keys.claim.is_some(),
        no_space: memory.no_space,
    };
    let waited = Waited {
        begun: begun.as_second(),
        now: clock::now().as_second(),
        since_begin: memory.start.elapsed(),
        unclaimed: if keys.claim.is_none() { memory.unclaimed.elapsed() } else { Duration::ZERO },
        claimed: memory.claim.map_or(Duration::ZERO, |(_, since)| since.elapsed()),
        released: memory.released,
    };
    let patience = Patience { window: config.window, grace: config.grace, timeout: config.timeout };
    match decide(me, seen, waited, patience) {
        Step::Wait => Ok(None),
        Step::Done => Ok(keys.last.map(|(_, last)| Turn::Done(last))),
        Step::TakeUnclaimed => {
            let warning = "the cluster has the alarm NOSPACE and takes no claims, so every member takes one".to_owned();
            Ok(Some(Turn::Mine(Mine { cluster_id: memory.cluster_id, claim: None, warnings: vec![warning] })))
        }
        Step::Take => {
            let instead = |(_, claim): &(i64, Value)| {
                format!(
                    "the claim of {} was {} s old and did not end, so it was taken over: look at the journal there",
                    claim["member"].as_str().unwrap_or("somebody"),
                    waited.claimed.as_secs()
                )
            };
            let warnings = keys.claim.iter().map(instead).collect();
            match keys::claim(config, client, &keys).await {
                Ok(None) => Ok(None),
                Ok(claim) => Ok(Some(Turn::Mine(Mine { cluster_id: memory.cluster_id, claim, warnings }))),
                Err(failure) if failure.msg.contains("space exceeded") => {
                    memory.no_space = true;
                    Ok(None)
                }
                Err(failure) => Err(failure),
            }
        }
        Step::Slow => {
            let who = keys.claim.as_ref().and_then(|(_, claim)| claim["member"].as_str()).unwrap_or("another member");
            let seconds = waited.claimed.as_secs();
            let msg = format!(
                "{who} has been taking the snapshot for {seconds} s and does not finish, and no other member takes over: \
                 look at its journal, and at the timers of the others"
            );
            // No kind that passes by itself.
            Err(Failure::new(ErrorKind::Conflict, msg))
        }
        Step::Nobody => {
            let failed = keys.failed.as_ref().filter(|_| seen.failed.is_some_and(|at| at >= begun.as_second()));
            let failed = failed.map(|failed| format!("{}: {}", text(failed, "member"), text(failed, "error")));
            Err(Failure::new(ErrorKind::Conflict, nobody(&config.member, &memory.trouble, failed.as_deref())))
        }
    }
}

/// Why nobody takes it, and what helps.
fn nobody(member: &str, trouble: &str, failed: Option<&str>) -> String {
    let next = match failed {
        _ if trouble.contains("CORRUPT") => {
            "all of a cluster with that alarm refuse to write, so no backup can be agreed on; save what a member has whose \
             data is right, with etcd_snapshot, from: first and force: true, and mend the cluster with ./etcd-recover.yml"
        }
        Some(failed) => failed,
        None => "is etcd-backup.timer enabled on the others?",
    };
    format!("no member has taken a snapshot, and {member} cannot ({trouble}): {next}")
}

#[cfg(test)]
mod tests {
    use super::nobody;

    #[test]
    fn whoever_cannot_says_why() {
        let corrupt = nobody("etcd-1", "cluster 1 has the alarm CORRUPT, which names no member", None);
        assert!(
            corrupt
                .contains("etcd-1 cannot (cluster 1 has the alarm CORRUPT, which names no member): all of a cluster")
        );
        assert!(corrupt.contains("from: first and force: true") && corrupt.ends_with("./etcd-recover.yml"));
        let wanted = "no member has taken a snapshot, and etcd-1 cannot (down): etcd-2: no room";
        assert_eq!(nobody("etcd-1", "down", Some("etcd-2: no room")), wanted);
    }
}
