//! The cluster's side: the member a snapshot comes from.

use crate::choose::{From, choose};
use crate::params::Params;
use ansible_protocol::{ErrorKind, Failure};
use etcd_ops::client::MemberClient;
use etcd_ops::connection::Session;
use etcd_ops::hex;
use etcd_ops::rpc::maintenance::{Status, StatusOf};
use etcd_ops::version::Version;
use etcd_ops::view::{ClusterView, MemberView};
use serde_json::{Value, json};

/// The member that was chosen, connected.
pub(crate) struct Source {
    pub(crate) client: MemberClient,
    pub(crate) cluster_id: u64,
    member: MemberView,
    version: String,
    /// The member's revision before the snapshot.
    pub(crate) revision: i64,
    /// Bytes of its database.
    pub(crate) database: u64,
    /// The alarm that the members' data differs.
    corruption: Option<String>,
}

impl Source {
    /// Looks at the cluster and chooses.
    pub(crate) async fn find(params: &Params, session: &Session) -> Result<Self, Failure> {
        let view = ClusterView::observe(session).await?;
        let first = match (params.from, session.endpoints().first()) {
            (From::First, Some(endpoint)) => Some(ask(session.connect(endpoint).await?).await?),
            _ => None,
        };
        let id = first.as_ref().map(|(_, status)| member_id(status));
        let member = choose(&view, params.from, id, params.force)?;
        let (client, status) = match first {
            Some(found) => found,
            None => connect(session, member).await?,
        };
        Ok(Self {
            client,
            cluster_id: status.header.map_or(view.id, |header| header.cluster_id),
            member: member.clone(),
            revision: status.header.map_or(0, |header| header.revision),
            database: u64::try_from(status.db_size).unwrap_or(0),
            version: status.version,
            corruption: view.corruption(),
        })
    }

    pub(crate) fn label(&self) -> String {
        self.member.label()
    }

    /// Why what this member has may not be what the others have.
    pub(crate) fn doubts(&self) -> Vec<String> {
        let version: Option<Version> = self.version.parse().ok();
        let version = version.filter(|version| version.may_diverge()).map(|version| {
            format!(
                "{} runs {version}, whose members may come to hold different data when they are killed under load: \
                 compare them with etcdctl endpoint hashkv --cluster, and install 3.5.3 or later",
                self.label()
            )
        });
        let corruption = self.corruption.as_ref().map(|alarm| {
            format!(
                "{alarm}: what {} has may not be what is right; find out with ./etcd-recover.yml, then take another snapshot",
                self.label()
            )
        });
        version.into_iter().chain(corruption).collect()
    }

    /// Its part of the result.
    pub(crate) fn to_value(&self) -> Value {
        json!({
            "cluster_id": hex(self.cluster_id),
            "member": self.member.name,
            "member_id": hex(self.member.id),
            "version": self.version,
        })
    }
}

/// Connects at the first of the member's URLs that it answers on.
async fn connect(session: &Session, member: &MemberView) -> Result<(MemberClient, Status), Failure> {
    let mut trouble = Failure::new(ErrorKind::Conflict, format!("{} has no client URL", member.label()));
    for url in &member.client_urls {
        let found = match session.connect(url).await {
            Ok(client) => ask(client).await,
            Err(failure) => Err(failure),
        };
        match found {
            Ok((client, status)) if member_id(&status) == member.id => return Ok((client, status)),
            Ok(_) => trouble = Failure::new(ErrorKind::Conflict, format!("{url} is answered by another member")),
            Err(failure) => trouble = failure,
        }
    }
    Err(trouble)
}

async fn ask(client: MemberClient) -> Result<(MemberClient, Status), Failure> {
    let status = client.call("ask for the status", &StatusOf {}).await?;
    Ok((client, status))
}

fn member_id(status: &Status) -> u64 {
    status.header.map_or(0, |header| header.member_id)
}
