//! The etcd that serves what was restored: on loopback, with the member's own certificates, as the user it runs as.
//!
//! A snapshot holds secrets, so clients have to show a certificate as they have to the member itself, and where the
//! member has users, they have to log in here as well. It ends with this process, however that ends.

use super::{DATA, MEMBER};
use crate::config::Config;
use ansible_protocol::{ErrorKind, Failure};
use etcd_ops::beside::{self, Beside};
use etcd_ops::client::{AuthState, MemberClient};
use etcd_ops::connection::{Connection, Session};
use etcd_ops::rpc::auth::{RoleGet, RoleList, UserGet, UserList};
use etcd_ops::rpc::keys::Range;
use etcd_ops::rpc::maintenance::HashKv;
use etcd_ops::snapshot::{Access, Fingerprint};
use etcd_ops::{block_on, programs};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};

/// Between two attempts to ask it.
const POLL: Duration = Duration::from_millis(100);
/// A port that was free may be taken before etcd opens it.
const ATTEMPTS: usize = 3;

/// What it says.
pub(super) enum Answer {
    /// All that is compared.
    All(Fingerprint),
    /// It serves, and refuses the password.
    NoLogin,
}

/// Serves what is in the directory, asks for it as it was at that revision, and ends.
///
/// # Errors
///
/// When it does not start, or does not answer in time.
pub(super) fn serve(
    config: &Config,
    scratch: &Path,
    owner: Option<(u32, u32)>,
    revision: i64,
) -> Result<Answer, Failure> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let mut server = Server::start(config, scratch, owner)?;
        let connection = Connection { endpoints: vec![server.url.clone()], ..config.connection()? };
        match block_on(Box::pin(answer(&connection, &mut server, revision)))? {
            Some(answer) => return Ok(answer),
            None if attempt < ATTEMPTS && server.was_too_late() => {}
            None => return Err(server.gave_up()),
        }
    }
}

/// The process; nothing of what it writes is kept.
struct Server {
    etcd: Beside,
    url: String,
    program: PathBuf,
}

impl Server {
    fn start(config: &Config, scratch: &Path, owner: Option<(u32, u32)>) -> Result<Self, Failure> {
        let text = |name: &str| config.value(name).as_str().map(ToOwned::to_owned);
        let program = text("etcd").unwrap_or_default();
        let program = programs::find(&program).ok_or_else(|| {
            let msg = format!(
                "there is no {program} on this host to serve what was restored: install it, or name it with etcd"
            );
            Failure::new(ErrorKind::Io, msg)
        })?;
        let failed = |error: io::Error| Failure::io(format_args!("start {}", program.display()), error);
        let (clients, peers) = beside::free_ports().map_err(failed)?;
        let (cert, key, ca) = (text("client_cert"), text("client_key"), text("ca_cert"));
        let scheme = if cert.is_some() { "https" } else { "http" };
        let url = |port: u16| format!("{scheme}://127.0.0.1:{port}");
        // It enters the directory while it still may, and names its data by way of /proc: etcd makes every path an absolute one.
        let options = [
            ("name", MEMBER.to_owned()),
            ("data-dir", format!("/proc/self/cwd/{DATA}")),
            ("listen-client-urls", url(clients)),
            ("advertise-client-urls", url(clients)),
            ("listen-peer-urls", url(peers)),
            ("initial-advertise-peer-urls", url(peers)),
            ("initial-cluster", format!("{MEMBER}={}", url(peers))),
        ];
        let mut arguments = options.map(|(name, value)| format!("--{name}={value}")).to_vec();
        for (name, value) in [("cert-file", &cert), ("key-file", &key), ("trusted-ca-file", &ca)] {
            // With an authority to trust, it demands certificates of clients and of peers.
            let options =
                value.iter().flat_map(|value| [format!("--{name}={value}"), format!("--peer-{name}={value}")]);
            arguments.extend(options);
        }
        let etcd = Beside::start(&program, arguments, scratch, owner)?;
        Ok(Self { etcd, url: url(clients), program })
    }

    /// Whether another process had its port by then.
    fn was_too_late(&self) -> bool {
        self.etcd.said("address already in use")
    }

    /// Why it has ended, as its log says.
    fn gave_up(&mut self) -> Failure {
        let said = self.etcd.complaint().unwrap_or_else(|| "it says nothing".to_owned());
        let status = self.etcd.ended().map(|status| status.to_string()).unwrap_or_default();
        let msg = format!("{} does not serve what was restored ({status}): {said}", self.program.display());
        Failure::new(ErrorKind::Io, msg)
    }
}

/// Asks until it answers; nothing when it has ended.
async fn answer(connection: &Connection, server: &mut Server, revision: i64) -> Result<Option<Answer>, Failure> {
    let base = Session::new(connection)?;
    let deadline = Instant::now() + Duration::from_secs(connection.timeout);
    let mut poll = tokio::time::interval(POLL);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        poll.tick().await;
        if server.etcd.ended().is_some() {
            return Ok(None);
        }
        let session = base.with_deadline(deadline).afresh();
        let failure = match Box::pin(ask(&session, revision)).await {
            Ok(answer) => return Ok(Some(answer)),
            Err(failure) => failure,
        };
        match failure.kind {
            // It is about to start, or has no leader yet.
            ErrorKind::Unreachable | ErrorKind::NoLeader | ErrorKind::Timeout if Instant::now() < deadline => {}
            _ => return Err(failure.context(format_args!("{} serves what was restored", server.program.display()))),
        }
    }
}

async fn ask(session: &Session, revision: i64) -> Result<Answer, Failure> {
    let mut client = session.connect_any().await?;
    if client.auth_state().await? == AuthState::On {
        // Whatever is refused after that, is refused to somebody who has logged in: the password is not the cause.
        match client.log_in().await {
            Err(failure) if failure.kind == ErrorKind::Auth => return Ok(Answer::NoLogin),
            answer => answer?,
        }
    }
    client.read_linearizable().await?;
    // While it is asked, leases may end, and keys with them.
    let all = Range { key: vec![0], range_end: vec![0], revision, count_only: true, ..Range::default() };
    let total_keys = client.call("count the keys", &all).await?.count;
    let what = "ask for the hash of all keys";
    let hash = match client.ask(what, &HashKv { revision }).await? {
        Ok(answer) => Some(answer.hash),
        // 3.4 does not answer at the revision of a compaction itself.
        Err(status) if status.message().contains("required revision has been compacted") => None,
        Err(status) => return Err(client.refused(what, &status)),
    };
    let access = ask_access(&mut client).await?;
    let total_keys = u64::try_from(total_keys).unwrap_or(0);
    Ok(Answer::All(Fingerprint { revision, total_keys, hash, access }))
}

async fn ask_access(client: &mut MemberClient) -> Result<Access, Failure> {
    let mut access = Access::default();
    for name in client.call("list the users", &UserList {}).await?.names {
        let roles = client.call("ask for a user", &UserGet { name: name.clone() }).await?.names;
        access.add_user(&name, roles);
    }
    for role in client.call("list the roles", &RoleList {}).await?.names {
        let permissions = client.call("ask for a role", &RoleGet { role: role.clone() }).await?.permissions;
        access.add_role(&role, permissions);
    }
    // 3.4 tells it only to whoever is nobody.
    client.log_out();
    access.enabled = client.auth_state().await? == AuthState::On;
    Ok(access)
}
