//! Restarting one member while the cluster goes on.

use crate::{Params, own_id};
use ansible_protocol::{ErrorKind, Failure};
use etcd_ops::connection::Session;
use etcd_ops::systemd::{self, Unit, systemctl};
use etcd_ops::view::{self, ClusterView};
use etcd_ops::{guard, hex, leader};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::time::Duration;
use tokio::time::Instant;

/// For how long a member may end while another one is down. It takes a fraction of a second where nothing is wrong.
const ENDING: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(50);

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
/// chooses the member it has been connected to for longest, also where that one has just died, and waits for it.
pub(crate) async fn restart(unit: &Unit, session: &Session, guarded: Guarded) -> Result<Option<String>, Failure> {
    let patience = if guarded.forced { session.soon() } else { session.deadline() };
    let warning = match hand_over(&session.with_deadline(patience), &guarded).await {
        Ok(()) => None,
        Err(failure) if guarded.forced => Some(format!("{} was restarted while it led: {}", unit.name, failure.msg)),
        Err(failure) => return Err(failure),
    };
    systemctl(&["restart", "--no-block", &unit.name])?;
    if guarded.forced {
        see_it_end(unit).await?;
    }
    Ok(warning)
}

/// A member whose peer has just died may hang when it is told to end, be it leader or not, until systemd kills it (seen with
/// 3.5.16); and there is no quorum meanwhile. What it has acknowledged is on the disk.
async fn see_it_end(unit: &Unit) -> Result<(), Failure> {
    let until = Instant::now() + ENDING;
    let mut poll = tokio::time::interval(POLL);
    while unit.main_pid != 0 && systemd::show(&unit.name)?.main_pid == unit.main_pid {
        if Instant::now() >= until {
            let pid = Pid::from_raw(i32::try_from(unit.main_pid).unwrap_or(i32::MAX));
            return match kill(pid, Signal::SIGKILL) {
                Ok(()) | Err(Errno::ESRCH) => Ok(()),
                Err(errno) => Err(Failure::io(format!("end {} (process {pid})", unit.name), errno)),
            };
        }
        poll.tick().await;
    }
    Ok(())
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
