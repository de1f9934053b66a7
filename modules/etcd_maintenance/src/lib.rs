//! The Ansible module `etcd_maintenance`: compacts a cluster, defragments its members one by one, and ends alarms.
//!
//! A member answers nobody while it is defragmented. So each has its turn only while all others serve, and the leader comes
//! last, after it has handed over. What an alarm is about has to be over before the alarm is.

/// Doing it.
mod apply;
/// What may be done, and in which order.
mod plan;
/// The option table and documentation.
mod spec;

use ansible_protocol::{Context, Failure, Module, ModuleSpec, Outcome};
use etcd_ops::connection::{Connection, Session};
use etcd_ops::{block_on, hex, leader};
use plan::Wanted;
use serde::Deserialize;
use serde_json::json;

/// The module.
pub struct EtcdMaintenance;

/// What is to be done.
#[derive(Debug, Deserialize)]
pub struct Params {
    #[serde(flatten)]
    connection: Connection,
    #[serde(flatten)]
    wanted: Wanted,
}

impl Module for EtcdMaintenance {
    type Params = Params;
    const SPEC: ModuleSpec = spec::SPEC;

    fn run(params: Params, context: &Context) -> Result<Outcome, Failure> {
        let session = Session::new(&params.connection)?;
        block_on(async {
            let mut work = apply::Work::begin(&session, &params.wanted).await?;
            if context.check_mode {
                work.foretell().await?;
            } else {
                work.carry_out().await?;
            }
            let done = work.done;
            let mut outcome = Outcome::new(!done.is_empty())
                .with("actions", done.actions())
                .with("members", done.sizes.iter().map(apply::Sizes::to_value).collect::<Vec<_>>())
                .with("revision", done.compacted)
                .with(
                    "disarmed",
                    done.disarmed
                        .iter()
                        .map(|(id, alarm)| json!({ "alarm": alarm, "member_id": hex(*id) }))
                        .collect::<Vec<_>>(),
                );
            if let Some(warning) = done.warning {
                outcome.warn(warning);
            }
            Ok(outcome)
        })
    }
}

/// Who speaks for the cluster now.
async fn voice(session: &Session) -> Result<(etcd_ops::view::ClusterView, etcd_ops::client::MemberClient), Failure> {
    let led = leader::find(session).await?;
    let client = led.client.ok_or_else(|| {
        Failure::new(
            ansible_protocol::ErrorKind::NoLeader,
            format!("cluster {} has no leader: ./etcd-recover.yml says what is wrong", hex(led.view.id)),
        )
    })?;
    Ok((led.view, client))
}
