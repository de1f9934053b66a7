//! What the members write into the cluster, and read there.

use crate::cluster::{LOOK, Turn, wait};
use crate::config::Config;
use crate::{PREFIX, object};
use ansible_protocol::{ErrorKind, Failure};
use etcd_ops::client::MemberClient;
use etcd_ops::clock;
use etcd_ops::connection::Session;
use etcd_ops::rpc::keys::{Key, LeaseGrant, LeaseKeepAlive, LeaseRevoke, Put, Range, Txn};
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

/// The keys, each with the revision at which it was written.
#[derive(Default)]
pub(crate) struct Keys {
    pub(crate) claim: Option<(i64, Value)>,
    pub(crate) last: Option<(i64, Value)>,
    pub(crate) failed: Option<Value>,
}

/// A claim of this member's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    lease: i64,
    /// When it was written.
    revision: i64,
    /// When the last backup before it was recorded; 0 without one.
    last: i64,
}

/// What became of a record.
pub(crate) enum Recorded {
    /// It is there.
    Yes,
    /// The claim was over, and this record of another member's is there.
    Superseded(Value),
}

pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// A time of a record, in seconds since 1970.
pub(crate) fn time(record: &Value, name: &str) -> Option<i64> {
    clock::read(text(record, name), "0000-00-00T00:00:00Z").map(Timestamp::as_second)
}

fn key(name: &str) -> String {
    format!("{PREFIX}{name}")
}

fn revision(entry: Option<&(i64, Value)>) -> i64 {
    entry.map_or(0, |(revision, _)| *revision)
}

/// Reads them all.
pub(crate) async fn read(client: &MemberClient) -> Result<Keys, Failure> {
    let mut range_end = PREFIX.as_bytes().to_vec();
    if let Some(slash) = range_end.last_mut() {
        *slash += 1;
    }
    let request = Range { key: PREFIX.into(), range_end, ..Range::default() };
    let mut keys = Keys::default();
    for Key { key, mod_revision, value } in client.call("read the keys of backups", &request).await?.keys {
        // Whatever is no JSON has no member and no time in it, and so says nothing but that it is there.
        let value: Value = serde_json::from_slice(&value).unwrap_or_default();
        match key.strip_prefix(PREFIX.as_bytes()) {
            Some(b"claim") => keys.claim = Some((mod_revision, value)),
            Some(b"last") => keys.last = Some((mod_revision, value)),
            Some(b"failed") => keys.failed = Some(value),
            _ => {}
        }
    }
    Ok(keys)
}

/// Claims the snapshot, in place of the claim that there may be, unless somebody has claimed or taken it since the keys
/// were read.
pub(crate) async fn claim(config: &Config, client: &MemberClient, seen: &Keys) -> Result<Option<Claim>, Failure> {
    let ttl = i64::try_from(config.grace.as_secs()).unwrap_or(i64::MAX);
    let lease = client.call("ask for a lease", &LeaseGrant { ttl }).await?.id;
    let value =
        object(vec![("member", config.member.as_str().into()), ("claimed_at", clock::now().to_string().into())]);
    let put = Put { key: key("claim").into(), value: value.to_string().into(), lease };
    let last = revision(seen.last.as_ref());
    let request = Txn::put(put, &[(&key("claim"), revision(seen.claim.as_ref())), (&key("last"), last)]);
    let decided = client.call("claim the backup", &request).await?;
    if decided.succeeded {
        let revision = decided.header.map_or(0, |header| header.revision);
        return Ok(Some(Claim { lease, revision, last }));
    }
    end(client, lease).await;
    Ok(None)
}

/// Ends a lease. One that cannot be ended ends by itself, and one that is not there has.
async fn end(client: &MemberClient, lease: i64) {
    let _ = client.call("end a lease", &LeaseRevoke { id: lease }).await;
}

/// Shows that whoever claimed is alive.
///
/// # Errors
///
/// When no member takes it; kind `conflict` when the claim is over.
pub(crate) fn keep_alive(config: &Config, claim: Claim) -> Result<(), Failure> {
    wait(Box::pin(renew(config, claim))).map(drop)
}

async fn renew(config: &Config, claim: Claim) -> Result<Option<Turn>, Failure> {
    // One that takes longer would not come in time.
    let client = connect(config, LOOK.min(config.grace)).await?;
    match client.call("keep a lease alive", &LeaseKeepAlive { id: claim.lease }).await?.ttl {
        left if left > 0 => Ok(None),
        _ => Err(Failure::new(ErrorKind::Conflict, "the claim is over")),
    }
}

async fn connect(config: &Config, patience: std::time::Duration) -> Result<MemberClient, Failure> {
    Session::new(&config.connection()?)?.with_deadline(Instant::now() + patience).connect_any().await
}

/// Records what came of it under that name, then ends the claim: others see the record first. A claim that is over, as
/// that of a host that stood still, does not overwrite what others have recorded since.
///
/// # Errors
///
/// When no member takes it.
pub(crate) fn record(config: &Config, claim: Claim, name: &str, record: &Value) -> Result<Recorded, Failure> {
    Ok(match wait(Box::pin(tell(config, claim, name, record)))? {
        Some(Turn::Done(other)) => Recorded::Superseded(other),
        _ => Recorded::Yes,
    })
}

async fn tell(config: &Config, claim: Claim, name: &str, record: &Value) -> Result<Option<Turn>, Failure> {
    let client = connect(config, LOOK).await?;
    let recorded = put(&client, claim, name, record).await;
    // Even where nothing can be recorded, the next one is not to wait.
    end(&client, claim.lease).await;
    recorded
}

async fn put(client: &MemberClient, claim: Claim, name: &str, record: &Value) -> Result<Option<Turn>, Failure> {
    // Its claim is there, or nobody has claimed or taken one since.
    for claimed in [claim.revision, 0] {
        let put = Put { key: key(name).into(), value: record.to_string().into(), lease: 0 };
        let request = Txn::put(put, &[(&key("claim"), claimed), (&key("last"), claim.last)]);
        if client.call("record the backup", &request).await?.succeeded {
            return Ok(None);
        }
    }
    let last = read(client).await?.last;
    Ok(Some(Turn::Done(last.map(|(_, last)| last).unwrap_or_default())))
}
