//! A cluster as its members describe it: one list of members, and each member's own health.

use crate::alarms::{self, Alarm, CORRUPT};
use crate::client::{AuthState, MemberClient};
use crate::connection::Session;
use crate::errors::is_refused_by_learner;
use crate::{hex, rpc};
use ansible_protocol::{ErrorKind, Failure, order};
use serde::Serialize;
use serde_json::{Value, json};

/// How a member is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It serves.
    Healthy,
    /// It is in the list but has never started.
    Unstarted,
    /// It does not serve: what kind of trouble, and the sentence.
    Unhealthy(ErrorKind, String),
}

impl Health {
    /// Whether the member serves.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        *self == Self::Healthy
    }
}

/// What a member says of itself when asked for its status.
#[derive(Clone, Debug, Default, Serialize, PartialEq, Eq)]
pub struct Status {
    /// The server's version, such as `3.6.14`.
    pub version: String,
    /// Bytes of the database file.
    pub db_size: i64,
    /// Bytes of it in use.
    pub db_size_in_use: i64,
    /// The id of the leader it follows; 0 without one.
    #[serde(skip)]
    pub leader: u64,
    /// The raft term.
    pub raft_term: u64,
    /// The last log entry it has.
    pub raft_index: u64,
    /// The last log entry it has applied.
    pub raft_applied_index: u64,
    /// Alarms and other troubles, as etcd words them. The alarms are those of the whole cluster.
    pub errors: Vec<String>,
}

/// One member.
#[derive(Clone, Debug)]
pub struct MemberView {
    /// Its id.
    pub id: u64,
    /// Its name; empty while it has never started.
    pub name: String,
    /// Where its peers reach it.
    pub peer_urls: Vec<String>,
    /// Where clients reach it; empty while it has never started.
    pub client_urls: Vec<String>,
    /// Whether it only learns and does not vote.
    pub is_learner: bool,
    /// How it is.
    pub health: Health,
    /// What it says of itself, when it answers.
    pub status: Option<Status>,
}

impl MemberView {
    /// Whether it votes.
    #[must_use]
    pub fn is_voter(&self) -> bool {
        !self.is_learner
    }

    /// `etcd-2 (2b598bfbc0ad43e2)`, or the peer URL of a member that has no name yet.
    #[must_use]
    pub fn label(&self) -> String {
        let name = if self.name.is_empty() { self.peer_urls.join(",") } else { self.name.clone() };
        format!("{name} ({})", hex(self.id))
    }

    /// The member as results show it.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut value = json!({
            "id": hex(self.id),
            "name": self.name,
            "peer_urls": self.peer_urls,
            "client_urls": self.client_urls,
            "is_learner": self.is_learner,
            "started": self.health != Health::Unstarted,
            "healthy": self.health.is_healthy(),
        });
        if let Value::Object(object) = &mut value {
            if let Health::Unhealthy(kind, reason) = &self.health {
                object.insert("error".into(), json!({ "kind": kind, "reason": reason }));
            }
            if let Some(status) = &self.status {
                object.insert("status".into(), json!(status));
            }
        }
        value
    }
}

/// A cluster at one moment.
#[derive(Clone, Debug)]
pub struct ClusterView {
    /// The cluster's id.
    pub id: u64,
    /// The members, in the order of their names.
    pub members: Vec<MemberView>,
    /// The leader's id.
    pub leader: Option<u64>,
    /// Whether it asks for users and passwords, when that could be told.
    pub auth: Option<AuthState>,
    /// The endpoint the list came from.
    pub endpoint: String,
}

impl ClusterView {
    /// Asks the first endpoint that answers for the members, then each member for its health, all at once.
    ///
    /// Without a leader the list is the one this member has, and no member counts as healthy.
    ///
    /// # Errors
    ///
    /// When no endpoint gives a member list; the sentence names each endpoint's cause.
    pub async fn observe(session: &Session) -> Result<Self, Failure> {
        let (client, list) = list_from_any(session).await?;
        let auth = client.with_deadline(session.soon()).auth_state().await.ok();
        let mut tasks = tokio::task::JoinSet::new();
        for member in list.members {
            let session = session.clone();
            tasks.spawn(async move { observe_member(&session, member).await });
        }
        let mut members = tasks.join_all().await;
        order::sort_by(&mut members, |a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        let leader = majority_leader(&members);
        let id = list.header.map_or(0, |header| header.cluster_id);
        Ok(Self { id, members, leader, auth, endpoint: client.endpoint().to_owned() })
    }

    /// The member with this id.
    #[must_use]
    pub fn member(&self, id: u64) -> Option<&MemberView> {
        self.members.iter().find(|member| member.id == id)
    }

    /// The members that vote.
    pub fn voters(&self) -> impl Iterator<Item = &MemberView> {
        self.members.iter().filter(|member| member.is_voter())
    }

    /// The alarms that its members tell.
    #[must_use]
    pub fn alarms(&self) -> Vec<Alarm> {
        alarms::among(self.members.iter().filter_map(|member| member.status.as_ref()).flat_map(|status| &status.errors))
    }

    /// The alarm of data that differs, as somebody is to be told of it; none while there is none.
    #[must_use]
    pub fn corruption(&self) -> Option<String> {
        let named = |alarm: Alarm| alarm.member_id.map(|id| self.member(id).map_or_else(|| hex(id), MemberView::label));
        let alarms: Vec<Alarm> = self.alarms().into_iter().filter(|alarm| alarm.kind == CORRUPT).collect();
        if alarms.is_empty() {
            return None;
        }
        let named: Vec<String> = alarms.into_iter().filter_map(named).collect();
        let of = if named.is_empty() { "which names no member".to_owned() } else { format!("of {}", named.join(", ")) };
        Some(format!("cluster {} has the alarm {CORRUPT}, {of}", hex(self.id)))
    }

    /// Whether the alarm of data that differs names this member. It may serve all the same, and etcd may blame the wrong one:
    /// that is no part of its health.
    #[must_use]
    pub fn is_corrupt(&self, id: u64) -> bool {
        self.alarms().iter().any(|alarm| alarm.kind == CORRUPT && alarm.member_id == Some(id))
    }

    /// The member as results show it, and whether the alarm of data that differs names it.
    #[must_use]
    pub fn member_value(&self, id: u64) -> Option<Value> {
        let mut value = self.member(id)?.to_value();
        value["corrupt"] = self.is_corrupt(id).into();
        Some(value)
    }

    /// The cluster as results show it.
    #[must_use]
    pub fn to_value(&self) -> Value {
        json!({
            "id": hex(self.id),
            "leader": self.leader.map(hex),
            "auth": self.auth,
            "endpoint": self.endpoint,
            "members": self.members.iter().filter_map(|member| self.member_value(member.id)).collect::<Vec<_>>(),
            "alarms": self.alarms(),
        })
    }
}

/// Whether a learner with this trouble does not know our login. From 3.6.12 on it asks for one, but takes none itself, and
/// one that was given before it joined is not among what it got: a new one, given by a voter, reaches it through its leader.
#[must_use]
pub fn wants_new_login(trouble: &str) -> bool {
    is_refused_by_learner(trouble)
}

async fn list_from_any(session: &Session) -> Result<(MemberClient, rpc::cluster::Members), Failure> {
    let mut causes = Vec::new();
    let mut kind = None;
    let mut stale = None;
    for endpoint in session.endpoints() {
        let attempt = async {
            let client = session.connect(endpoint).await?;
            // etcd 3.4 tells the list it has, however old it is; the read fails where it may be old.
            let both = async { tokio::try_join!(client.member_list(true), client.read_linearizable()) };
            let listed = tokio::time::timeout(session.dial_timeout(), both).await;
            match listed.unwrap_or_else(|_| Err(Failure::new(ErrorKind::NoLeader, format!("{endpoint} has no leader"))))
            {
                Ok((list, ())) => Ok((client, list)),
                Err(failure) => {
                    // Without a leader this member still knows a list; another endpoint may know a fresh one.
                    if let Ok(list) = client.with_deadline(session.soon()).member_list(false).await {
                        stale.get_or_insert((client, list));
                    }
                    Err(failure)
                }
            }
        };
        match attempt.await {
            Ok(found) => return Ok(found),
            Err(failure) => {
                kind = Some(graver(kind, failure.kind));
                causes.push(failure.msg);
            }
        }
    }
    stale.ok_or_else(|| Failure::new(kind.unwrap_or(ErrorKind::Unreachable), causes.join("; ")))
}

/// The kind of several troubles: that of the last one, unless one of them says that somebody is there who does not let us in.
/// Who is shut out must not take a cluster for gone.
fn graver(before: Option<ErrorKind>, now: ErrorKind) -> ErrorKind {
    let shut_out = |kind: &ErrorKind| matches!(kind, ErrorKind::Auth | ErrorKind::Tls);
    before.filter(shut_out).unwrap_or(now)
}

async fn observe_member(session: &Session, member: rpc::cluster::Member) -> MemberView {
    let mut view = MemberView {
        id: member.id,
        name: member.name,
        peer_urls: member.peer_urls,
        client_urls: member.client_urls,
        is_learner: member.is_learner,
        health: Health::Unstarted,
        status: None,
    };
    if view.client_urls.is_empty() {
        return view;
    }
    let checked = tokio::time::timeout(session.dial_timeout() * 2, check(session, &view)).await;
    (view.health, view.status) = checked.unwrap_or_else(|_| {
        (Health::Unhealthy(ErrorKind::Timeout, format!("{} does not answer in time", view.client_urls.join(","))), None)
    });
    view
}

async fn check(session: &Session, member: &MemberView) -> (Health, Option<Status>) {
    let mut trouble: Option<Failure> = None;
    for url in &member.client_urls {
        match Box::pin(check_at(session, member, url)).await {
            Ok(found) => return found,
            Err(failure) => {
                let before = trouble.as_ref().map(|trouble| trouble.kind);
                if graver(before, failure.kind) == failure.kind {
                    trouble = Some(failure);
                }
            }
        }
    }
    (trouble.map_or(Health::Unstarted, unhealthy), None)
}

/// Fails where the member cannot be asked at this URL; another one may do.
async fn check_at(session: &Session, member: &MemberView, url: &str) -> Result<(Health, Option<Status>), Failure> {
    let client = session.connect(url).await?;
    let read =
        async { if member.is_learner { client.read_serializable().await } else { client.read_linearizable().await } };
    // Without a leader the read fails at once, but a status that needs a login waits for one to come.
    let (read, status) = tokio::join!(read, async { status(&client.with_deadline(session.soon())).await });
    let (status, read) = match (status, read) {
        (Ok(status), read) => (status, read),
        (Err(_), Err(failure)) if failure.kind == ErrorKind::NoLeader => return Ok((unhealthy(failure), None)),
        (Err(failure), _) => return Err(failure),
    };
    let (id, status) = status;
    if id != member.id {
        let failure = Failure::new(ErrorKind::Conflict, format!("{url} is answered by another member ({})", hex(id)));
        return Ok((unhealthy(failure), None));
    }
    Ok((serving(&client, &status, read), Some(status)))
}

fn unhealthy(failure: Failure) -> Health {
    Health::Unhealthy(failure.kind, failure.msg)
}

/// A member serves when it follows a leader and could be read through it. Alarms are the cluster's, and not its own.
fn serving(client: &MemberClient, status: &Status, read: Result<(), Failure>) -> Health {
    if status.leader == 0 {
        return Health::Unhealthy(ErrorKind::NoLeader, format!("{} has no leader", client.endpoint()));
    }
    read.map_or_else(unhealthy, |()| Health::Healthy)
}

/// The id of the member behind the client, and its status.
///
/// # Errors
///
/// When the member does not answer, or its answer lacks the header.
pub async fn status(client: &MemberClient) -> Result<(u64, Status), Failure> {
    let response = client.call("ask for the status", &rpc::maintenance::StatusOf {}).await?;
    let id = response.header.map_or(0, |header| header.member_id);
    let status = Status {
        version: response.version,
        db_size: response.db_size,
        db_size_in_use: response.db_size_in_use,
        leader: response.leader,
        raft_term: response.raft_term,
        raft_index: response.raft_index,
        raft_applied_index: response.raft_applied_index,
        errors: response.errors,
    };
    Ok((id, status))
}

/// The leader that most members in the newest term follow.
fn majority_leader(members: &[MemberView]) -> Option<u64> {
    let newest = members.iter().filter_map(|member| member.status.as_ref()).max_by_key(|status| status.raft_term)?;
    (newest.leader != 0).then_some(newest.leader)
}
