//! Restarting one member while the cluster goes on.

use crate::{Params, own_id};
use ansible_protocol::{ErrorKind, Failure};
use etcd_ops::connection::Session;
use etcd_ops::systemd::systemctl;
use etcd_ops::view::{self, ClusterView};
use etcd_ops::{guard, hex, leader};

/// A restart that the guard let pass, or that is forced.
pub(crate) struct Guarded {
    /// The cluster, where it could be asked.
    view: Option<ClusterView>,
    id: Option<u64>,
    forced: bool,
}

/// Whether this member may go down for a moment. With `force`, always.
///
/// # Errors
///
/// Kind `quorum_risk`, naming who else is down and the override.
pub(crate) async fn guard(params: &Params, session: &Session) -> Result<Guarded, Failure> {
    let local = local_id(session).await;
    let id = local.or_else(|| own_id(params));
    let observed = ClusterView::observe(session).await;
    let verdict = match (&observed, id) {
        (Ok(view), Some(id)) => guard::may_restart(view, id),
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
        Err(failure) if !params.force => {
            let msg = format!("{}; to restart all the same: -e etcd_force=restart", failure.msg);
            Err(Failure { msg, ..failure })
        }
        verdict => Ok(Guarded { view: observed.ok(), id, forced: verdict.is_err() }),
    }
}

/// Moves leadership away, restarts, and leaves the waiting to the caller.
///
/// What is forced goes on while it leads, with a warning, but is not spared to hand over: a leader that is told to end
/// chooses the member it has been connected to for longest, also where that one has just died, waits for it, and may then
/// hang until systemd kills it (seen with 3.5.16).
pub(crate) async fn restart(name: &str, session: &Session, guarded: Guarded) -> Result<Option<String>, Failure> {
    let patience = if guarded.forced { session.soon() } else { session.deadline() };
    let warning = match hand_over(&session.with_deadline(patience), &guarded).await {
        Ok(()) => None,
        Err(failure) if guarded.forced => Some(format!("{name} was restarted while it led: {}", failure.msg)),
        Err(failure) => return Err(failure),
    };
    systemctl(&["restart", "--no-block", name])?;
    Ok(warning)
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
