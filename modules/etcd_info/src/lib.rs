//! The Ansible module `etcd_info`: read-only facts of a host's member and of the cluster it belongs to, in one call.

/// What a cluster holds.
mod contents;
/// Installed version, unit, data directory and pending configuration of this host.
mod host;
/// The option table and documentation.
mod spec;
/// Who uses a cluster.
mod usage;

use ansible_protocol::{Context, ErrorKind, Failure, Module, ModuleSpec, Outcome, order};
use etcd_ops::client::MemberClient;
use etcd_ops::connection::{Connection, Session};
use etcd_ops::datadir::{self, DataDir};
use etcd_ops::rpc::maintenance::HashKv;
use etcd_ops::view::ClusterView;
use etcd_ops::{block_on, hex};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::Instant;

/// How long a cluster that is just electing its leader is waited for.
const ELECTION: Duration = Duration::from_secs(4);

/// The module.
pub struct EtcdInfo;

/// What to look at.
#[derive(Debug, Deserialize)]
pub struct Params {
    #[serde(flatten)]
    connection: Connection,
    unit: String,
    binary: String,
    data_dir: PathBuf,
    wal_dir: Option<PathBuf>,
    config_file: PathBuf,
    ca_file: PathBuf,
    cert_file: PathBuf,
    runtime_dir: PathBuf,
    probe: Vec<String>,
    cluster: bool,
    hash: bool,
    contents_at: Option<i64>,
    restore_file: PathBuf,
    log: bool,
    usage: bool,
}

impl Module for EtcdInfo {
    type Params = Params;
    const SPEC: ModuleSpec = spec::SPEC;

    fn run(params: Params, _context: &Context) -> Result<Outcome, Failure> {
        if params.usage && !params.cluster {
            return Err(Failure::invalid_option("usage needs cluster: true, for the cluster has to be asked"));
        }
        if params.contents_at.is_some() && !params.cluster {
            return Err(Failure::invalid_option("contents_at needs cluster: true, for the cluster has to be asked"));
        }
        let mut host = host::observe(&params);
        if !params.cluster {
            let running = block_on(async { Ok(serving(&params, &host).await.ok()) })?;
            let mut etcd = host.to_value(running.as_ref().map(|(version, _)| version.as_str()));
            etcd["learner"] = running.is_some_and(|(_, learner)| learner).into();
            return Ok(Outcome::new(false).with("etcd", etcd));
        }
        let (cluster, answering) = block_on(async {
            let seen = observe_cluster(&params, &host).await;
            // While its cluster was looked at, a founding member may have made its data, and announced itself.
            if host.data == DataDir::Absent {
                host.data = params.data();
            }
            let cluster = match seen {
                Ok((session, view)) => describe(&params, &host, &session, view).await,
                Err(failure) => Err(failure),
            };
            // A member of a running cluster has no need to knock on its peers' doors.
            let urls = if host.data == DataDir::Absent { params.probe.as_slice() } else { &[] };
            Ok((cluster, answering(urls, Duration::from_secs(params.connection.dial_timeout)).await))
        })?;
        let own = cluster.as_ref().ok().map(|cluster| &cluster["local_member"]);
        let running = own.filter(|own| own["healthy"] == true).and_then(|own| own["status"]["version"].as_str());
        let mut etcd = host.to_value(running);
        etcd["learner"] = own.is_some_and(|own| own["is_learner"] == true).into();
        match cluster {
            Ok(cluster) => etcd["cluster"] = cluster,
            Err(failure) => {
                etcd["cluster_error"] = json!({ "kind": failure.kind, "reason": failure.msg });
            }
        }
        etcd["answering"] = answering.into();
        Ok(Outcome::new(false).with("etcd", etcd))
    }
}

/// The version of the host's own member, if it serves: if it is healthy by its own account; and whether it only learns.
/// Takes no login.
async fn serving(params: &Params, host: &host::Host) -> Result<(String, bool), Failure> {
    let session = Session::new(&params.connection)?;
    // Without systemd there is no telling but by asking.
    let own = session.endpoints().first().filter(|_| host.unit.is_running() || !host.unit.is_known());
    let own = own.ok_or_else(|| Failure::new(ErrorKind::Unreachable, format!("{} does not run", params.unit)))?;
    let client = session.connect(own).await?;
    let client = client.with_deadline(session.soon());
    let (health, version, learner) = tokio::join!(client.health(), client.version(), client.is_learner());
    health?;
    Ok((version?, learner?))
}

/// The cluster this host's member belongs to. Where the member is up but its cluster has no leader, an election may
/// be under way: that is worth a little patience.
async fn observe_cluster(params: &Params, host: &host::Host) -> Result<(Session, ClusterView), Failure> {
    let session = Session::new(&params.connection)?;
    let patience = if host.unit.is_running() { Instant::now() + ELECTION } else { Instant::now() };
    let mut poll = tokio::time::interval(Duration::from_millis(200));
    loop {
        poll.tick().await;
        let view = ClusterView::observe(&session).await;
        // A certificate that is refused now will be refused in a moment too.
        let settled = match &view {
            Ok(view) => view.leader.is_some(),
            Err(failure) => matches!(failure.kind, ErrorKind::Tls | ErrorKind::Auth),
        };
        if settled || Instant::now() >= patience || !host.unit.is_running() {
            return Ok((session, view?));
        }
    }
}

async fn describe(params: &Params, host: &host::Host, session: &Session, view: ClusterView) -> Result<Value, Failure> {
    let mut value = view.to_value();
    if let DataDir::Member(identity) = &host.data {
        value["local_member"] = view.member_value(identity.member_id).unwrap_or_default();
    }
    if params.hash {
        value["hashes"] = hashes(session, &view).await?;
    }
    if let Some(revision) = params.contents_at {
        value["contents"] = contents::contents(session, &view, revision).await?;
    }
    if params.usage {
        value["usage"] = usage::usage(session, &view).await?;
    }
    Ok(value)
}

/// Each member's hash of all keys at one revision, the lowest of theirs: of all that serve, also under an alarm. One that lost
/// its last revisions is equal to the others there, so the newest one of each is told as well; where clients write, those differ.
async fn hashes(session: &Session, view: &ClusterView) -> Result<Value, Failure> {
    let mut clients = Vec::new();
    for member in view.members.iter().filter(|member| member.health.is_healthy()) {
        if let Some(url) = member.client_urls.first() {
            clients.push((hex(member.id), session.connect(url).await?));
        }
    }
    let mut poll = tokio::time::interval(Duration::from_millis(500));
    loop {
        poll.tick().await;
        match hashes_once(&clients).await {
            Ok(Some(found)) => return Ok(found),
            Err(failure) if Instant::now() >= session.deadline() => return Err(failure),
            Ok(None) if Instant::now() >= session.deadline() => {
                let msg = "the members' data cannot be compared while they compact it: try again".to_owned();
                return Err(Failure::new(ErrorKind::Timeout, msg));
            }
            Ok(None) => {}
            // A compaction has come between: what was the lowest revision may be gone. Right after a restore, etcd up to
            // 3.5 takes the first one for compacted.
            Err(failure) if failure.msg.contains("compacted") || failure.msg.contains("future revision") => {}
            Err(failure) => return Err(failure),
        }
    }
}

/// None where the members have compacted up to different revisions: then their hashes say nothing. Where nobody writes
/// all are at the same revision, and no second question is needed.
async fn hashes_once(clients: &[(String, MemberClient)]) -> Result<Option<Value>, Failure> {
    let mut found = Vec::new();
    for (_, client) in clients {
        let hash = client.call("hash the keys", &HashKv { revision: 0 }).await?;
        found.push((hash.header.map_or(0, |header| header.revision), hash));
    }
    let revision = found.iter().map(|(revision, _)| *revision).min().unwrap_or(0);
    let mut members = serde_json::Map::new();
    let mut revisions = serde_json::Map::new();
    let mut compacted = std::collections::BTreeSet::new();
    for ((id, client), (at, hash)) in clients.iter().zip(found) {
        revisions.insert(id.clone(), at.into());
        let hash = if at == revision { hash } else { client.call("hash the keys", &HashKv { revision }).await? };
        compacted.insert(hash.compact_revision);
        members.insert(id.clone(), hash.hash.into());
    }
    Ok((compacted.len() < 2).then(|| json!({ "revision": revision, "members": members, "revisions": revisions })))
}

/// Which of the URLs anything answers on, in their order.
async fn answering(urls: &[String], dial_timeout: Duration) -> Vec<String> {
    let mut tasks = tokio::task::JoinSet::new();
    for (index, url) in urls.iter().enumerate() {
        let url = url.clone();
        let address = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest).trim_end_matches('/').to_owned();
        tasks.spawn(async move {
            let connected = tokio::time::timeout(dial_timeout, tokio::net::TcpStream::connect(address)).await;
            matches!(connected, Ok(Ok(_))).then_some((index, url))
        });
    }
    let mut found: Vec<(usize, String)> = tasks.join_all().await.into_iter().flatten().collect();
    order::sort(&mut found);
    found.into_iter().map(|(_, url)| url).collect()
}

impl Params {
    fn data(&self) -> DataDir {
        datadir::observe(&self.data_dir, self.wal_dir.as_deref())
    }
}
