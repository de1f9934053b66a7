//! Restarting one member while the cluster goes on.

use crate::{Params, own_id};
use ansible_protocol::{ErrorKind, Failure};
use etcd_ops::connection::Session;
use etcd_ops::systemd::systemctl;
use etcd_ops::view::{self, ClusterView};
use etcd_ops::{guard, hex, leader};

/// A restart that the guard let pass.
pub(crate) struct Guarded {
    view: Option<ClusterView>,
    id: Option<u64>,
}

/// Whether this member may go down for a moment. With `force`, always.
///
/// # Errors
///
/// Kind `quorum_risk`, naming who else is down and the override.
pub(crate) async fn guard(params: &Params, session: &Session) -> Result<Guarded, Failure> {
    let local = local_id(session).await;
    let id = local.or_else(|| own_id(params));
    let verdict = match (ClusterView::observe(session).await, id) {
        (Ok(view), Some(id)) => guard::may_restart(&view, id).map(|()| Some(view)),
        (Ok(view), None) => {
            let msg = format!(
                "it is unknown which member of cluster {} runs here: {} holds no data",
                hex(view.id),
                params.data_dir.display()
            );
            Err(Failure::new(ErrorKind::QuorumRisk, msg))
        }
        (Err(failure), _) => {
            let msg = format!(
                "{} is not restarted: the cluster's members cannot be asked how they are: {}",
                params.name, failure.msg
            );
            Err(Failure::new(ErrorKind::QuorumRisk, msg))
        }
    };
    match verdict {
        Ok(view) => Ok(Guarded { view, id }),
        Err(_) if params.force => Ok(Guarded { view: None, id }),
        Err(failure) => {
            let msg = format!("{}; to restart all the same: -e etcd_force=restart", failure.msg);
            Err(Failure { msg, ..failure })
        }
    }
}

/// Moves leadership away, restarts, and leaves the waiting to the caller.
pub(crate) async fn restart(name: &str, session: &Session, guarded: Guarded) -> Result<(), Failure> {
    hand_over(session, &guarded).await?;
    systemctl(&["restart", "--no-block", name]).map(drop)
}

/// Moves leadership to another voter when this member leads.
pub(crate) async fn hand_over(session: &Session, guarded: &Guarded) -> Result<(), Failure> {
    let (Some(view), Some(id)) = (&guarded.view, guarded.id) else { return Ok(()) };
    leader::hand_over(session, view, id).await.map(drop)
}

/// The id of the member that answers on the first endpoint, which is this host's own.
async fn local_id(session: &Session) -> Option<u64> {
    let client = session.connect(session.endpoints().first()?).await.ok()?;
    view::status(&client).await.ok().map(|(id, _)| id)
}
