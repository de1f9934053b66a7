//! The leader: what it says is true now, and moving leadership to another member.

use crate::client::MemberClient;
use crate::connection::Session;
use crate::view::{self, ClusterView, MemberView};
use crate::{guard, hex, rpc};
use ansible_protocol::{ErrorKind, Failure};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};

/// How long an election may take before the cluster counts as one without leader.
const ELECTION: Duration = Duration::from_secs(4);

/// A cluster, and whoever can speak for it.
pub struct Led {
    /// The members. With a client, their list is not older than the question; without, it is what one of them remembers.
    pub view: ClusterView,
    /// The leader, or another member that follows it where the leader cannot be reached from here; none without leader.
    pub client: Option<MemberClient>,
}

/// Looks at the cluster, with the patience that an election needs.
///
/// # Errors
///
/// When no endpoint answers; the sentence names each endpoint's cause.
pub async fn find(session: &Session) -> Result<Led, Failure> {
    let patience = session.deadline().min(Instant::now() + ELECTION);
    let mut poll = tokio::time::interval(Duration::from_millis(200));
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        poll.tick().await;
        let view = match Box::pin(ClusterView::observe(session)).await {
            Ok(view) => view,
            // Without a leader nobody can log in, and then not even the list of yesterday is told.
            Err(failure) if failure.kind == ErrorKind::NoLeader && Instant::now() < patience => continue,
            Err(failure) => return Err(failure),
        };
        let led = match view.leader {
            Some(_) => Box::pin(attempt(session, &view)).await,
            None => Ok(None),
        };
        if matches!(led, Ok(Some(_))) || Instant::now() >= patience {
            return Ok(Led { view, client: led? });
        }
    }
}

/// A client to whoever leads, when the list it has is the one in the view.
async fn attempt(session: &Session, view: &ClusterView) -> Result<Option<MemberClient>, Failure> {
    let leader = view.leader.and_then(|id| view.member(id));
    let url = leader.and_then(|member| member.client_urls.first());
    let leading = match url {
        Some(url) => session.connect(url).await,
        None => session.connect(&view.endpoint).await,
    };
    // The leader's client URL may be out of reach from here; whoever follows it passes calls on.
    let client = match leading {
        Ok(client) => client,
        Err(_) => session.connect(&view.endpoint).await?,
    };
    let listed = list(&client).await?;
    let same = listed.len() == view.members.len()
        && listed.iter().all(|listed| {
            view.member(listed.id).is_some_and(|member| {
                member.name == listed.name
                    && member.peer_urls == listed.peer_urls
                    && member.is_learner == listed.is_learner
            })
        });
    Ok(same.then_some(client))
}

/// A member as it stands in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Its peer URLs.
    pub peer_urls: Vec<String>,
    /// Whether it only learns.
    pub is_learner: bool,
}

/// The member list, no older than the question. 3.4 knows no linearizable list, but after a linearizable read the list
/// that the same member has is none the less.
///
/// # Errors
///
/// When the member has no leader, or does not answer.
pub async fn list(client: &MemberClient) -> Result<Vec<Listed>, Failure> {
    client.read_linearizable().await?;
    let list = client.member_list(true).await?;
    let listed = list.members.into_iter().map(|member| Listed {
        id: member.id,
        name: member.name,
        peer_urls: member.peer_urls,
        is_learner: member.is_learner,
    });
    Ok(listed.collect())
}

/// Moves leadership to another voter when this member leads, and says whether it did. A member without peers has nobody
/// to hand over to.
///
/// # Errors
///
/// When the leader refuses, or another one does not take over in time.
pub async fn hand_over(session: &Session, view: &ClusterView, id: u64) -> Result<bool, Failure> {
    let (true, Some(successor)) = (view.leader == Some(id), guard::successor(view, id)) else { return Ok(false) };
    let Some(url) = view.member(id).and_then(|member| member.client_urls.first()) else { return Ok(false) };
    let label = view.member(successor).map_or_else(|| hex(successor), MemberView::label);
    let client = session.connect(url).await?;
    let request = rpc::maintenance::MoveLeader { target_id: successor };
    client.call(&format!("move leadership to {label}"), &request).await?;
    let mut poll = tokio::time::interval(Duration::from_millis(20));
    loop {
        poll.tick().await;
        let (_, status) = view::status(&client).await?;
        if status.leader != 0 && status.leader != id {
            return Ok(true);
        }
        if Instant::now() >= session.deadline() {
            let msg = format!("leadership did not move to {label} in time; nothing else was done; run it again");
            return Err(Failure::new(ErrorKind::Timeout, msg));
        }
    }
}
