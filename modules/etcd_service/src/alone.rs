//! Going on alone: one start with etcd's `force-new-cluster`, which keeps the data and forgets all other members.
//!
//! The flag is never written where a later start would find it. A copy of the configuration has it, in a directory that is gone
//! afterwards; etcd is run on that copy by this module, on addresses that nobody else knows, until it says that it is
//! the only member. Its cluster keeps its id, and so do the member and its keys. A run that is cut off leaves either the old
//! membership or the new one, for etcd has written down at its start what it forgets; the next run does it again. Which of the two
//! it is cannot be told from outside, and so the data is marked before the start, until its unit serves.

/// Whether data can be gone on with alone at all.
mod fit;

use crate::{Params, Step, predicted};
use ansible_protocol::{Context, Diff, ErrorKind, Failure, Object, Outcome};
use etcd_ops::beside::{self, Beside};
use etcd_ops::connection::{Connection, Session};
use etcd_ops::datadir::{self, DataDir, Identity};
use etcd_ops::rpc::cluster::{MemberList, MemberRemove};
use etcd_ops::rpc::maintenance::Alarm;
use etcd_ops::systemd::Unit;
use etcd_ops::{block_on, config, hex, programs, view};
use serde_json::json;
use std::ffi::OsStr;
use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};

/// Makes the stopped member the only one of its cluster. It is stopped again afterwards.
///
/// # Errors
///
/// Kind `conflict` when it runs, there is no data, a restore is under way, or etcd would lose some of it; whatever keeps etcd
/// from starting, in its own words.
pub(crate) fn run(params: &Params, unit: &Unit, context: &Context) -> Result<Outcome, Failure> {
    let DataDir::Member(identity) = datadir::observe(&params.data_dir, params.wal_dir.as_deref()) else {
        let msg = format!(
            "{} holds no member's data to go on with: name another host with -e etcd_recover_from",
            params.data_dir.display()
        );
        return Err(Failure::new(ErrorKind::Conflict, msg));
    };
    fit::not_fenced(&unit.name)?;
    // A process is always ahead of what its log says is committed: of one that has yet to end, nothing can be foretold.
    let to_be_stopped = context.check_mode && params.predicted.iter().any(predicted::Written::stops);
    if !unit.is_running() && !to_be_stopped {
        fit::keeps_all(params)?;
    }
    let mut outcome =
        Outcome::new(true).with("actions", [Step::Alone.verb()]).with("restart_needed", Vec::<String>::new());
    outcome.diff.push(Diff::of(
        params.data_dir.to_string_lossy(),
        "a member among others\n".to_owned(),
        "the only member of its cluster\n".to_owned(),
    ));
    if context.check_mode {
        return Ok(outcome);
    }
    if unit.is_running() {
        let name = &unit.name;
        let msg = format!("{name} is {}: stop it first: systemctl stop {name}", unit.active_state);
        return Err(Failure::new(ErrorKind::Conflict, msg));
    }
    let marking = |error| Failure::io(format!("mark {}", params.data_dir.display()), error);
    datadir::mark_alone(&params.data_dir).map_err(marking)?;
    let mut transient = Transient::start(params)?;
    let result = block_on(transient.until_alone(params, &identity));
    transient.etcd.stop();
    result?;
    Ok(outcome.with("cluster_id", hex(identity.cluster_id)))
}

/// etcd on a copy of its configuration. Nothing of it is left once this is gone.
struct Transient {
    directory: PathBuf,
    etcd: Beside,
    url: String,
}

impl Transient {
    fn start(params: &Params) -> Result<Self, Failure> {
        let directory = params.runtime_dir.with_extension("alone");
        let io = |what: String| move |error: std::io::Error| Failure::io(&what, error);
        // What an earlier run left that was killed.
        if directory.exists() {
            std::fs::remove_dir_all(&directory).map_err(io(format!("remove {}", directory.display())))?;
        }
        let text = std::fs::read_to_string(&params.config_file)
            .map_err(io(format!("read {}", params.config_file.display())))?;
        let parsed = config::parse(&text)
            .map_err(|error| Failure::new(ErrorKind::Conflict, format!("{}: {error}", params.config_file.display())))?;
        let (client, peer) = beside::free_ports().map_err(io("find a free port".into()))?;
        let (config, url) = lonely(&parsed, client, peer);
        let text = config::to_yaml(&config)
            .map_err(|error| Failure::new(ErrorKind::Io, format!("the configuration cannot be written: {error}")))?;
        let owner = std::fs::metadata(params.data_dir.join("member"))
            .map_err(io(format!("look at {}", params.data_dir.display())))?;
        let owner = (owner.uid(), owner.gid());
        let file = lay_out(&directory, &text, owner).map_err(io(format!("write to {}", directory.display())))?;
        let etcd = programs::find(&params.binary).ok_or_else(|| {
            let msg = format!("{} is not installed: install it, then run ./etcd-recover.yml again", params.binary);
            Failure::new(ErrorKind::Io, msg)
        })?;
        let arguments = [OsStr::new("--config-file"), file.as_os_str()];
        let etcd = Beside::start(&etcd, arguments, Path::new("/"), Some(owner))?;
        Ok(Self { directory, etcd, url })
    }

    async fn until_alone(&mut self, params: &Params, identity: &Identity) -> Result<(), Failure> {
        let connection = Connection { endpoints: vec![self.url.clone()], ..params.connection.clone() };
        let session = Session::new(&connection)?;
        let mut poll = tokio::time::interval(Duration::from_millis(100));
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            poll.tick().await;
            let trouble = match self.attempt(&session, identity).await {
                Ok(true) => return Ok(()),
                Ok(false) => "it still has other members".to_owned(),
                // The password does not get right by waiting.
                Err(failure) if failure.kind == ErrorKind::Auth => {
                    let msg = format!(
                        "whether the data in {} can be gone on with cannot be asked: {}; {}",
                        params.data_dir.display(),
                        failure.msg,
                        beware(&params.host)
                    );
                    return Err(Failure::new(ErrorKind::Auth, msg));
                }
                Err(failure) => failure.msg,
            };
            if self.etcd.ended().is_some() || Instant::now() >= session.deadline() {
                let said = self.etcd.complaint().map(|said| format!("; its log says: {said}")).unwrap_or_default();
                let msg = format!(
                    "the data in {} cannot be gone on with: {trouble}{said}; {}",
                    params.data_dir.display(),
                    beware(&params.host)
                );
                return Err(Failure::new(ErrorKind::Io, msg));
            }
        }
    }

    /// Whether it leads, nobody else is in its list, and it applies what it is told: reads and the list do not prove that, but
    /// what is decided as a write is, as a question for alarms. Those that older versions leave there are taken out.
    async fn attempt(&self, session: &Session, identity: &Identity) -> Result<bool, Failure> {
        let client = session.connect(&self.url).await?;
        let (id, status) = view::status(&client).await?;
        if id != identity.member_id || status.leader != id {
            return Ok(false);
        }
        client.read_linearizable().await?;
        let list = client.call("list the members", &MemberList { linearizable: true }).await?;
        let others: Vec<u64> = list.members.iter().map(|member| member.id).filter(|other| *other != id).collect();
        for id in &others {
            client.call("take a lost member out", &MemberRemove { id: *id }).await?;
        }
        if others.is_empty() {
            client.with_deadline(session.soon()).call("have a write acknowledged", &Alarm::ALL).await?;
        }
        Ok(others.is_empty())
    }
}

impl Drop for Transient {
    fn drop(&mut self) {
        // Already told to end, or the run has failed: it does not matter any more what etcd has yet to say there.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// The configuration with the flag, for one start that nobody notices; and the URL to reach it at.
fn lonely(configured: &Object, client: u16, peer: u16) -> (Object, String) {
    let scheme = |key: &str| {
        let secure = configured.get(key).and_then(|urls| urls.as_str()).is_some_and(|urls| urls.contains("https://"));
        if secure { "https" } else { "http" }
    };
    let url = format!("{}://127.0.0.1:{client}", scheme("listen-client-urls"));
    let mut config = configured.clone();
    config.insert("listen-peer-urls".into(), json!(format!("{}://127.0.0.1:{peer}", scheme("listen-peer-urls"))));
    config.insert("listen-client-urls".into(), json!(url));
    config.insert("force-new-cluster".into(), json!(true));
    config.remove("listen-metrics-urls");
    (config, url)
}

/// What is to be said wherever etcd may have forgotten the others.
fn beware(host: &str) -> String {
    format!(
        "it may have become that of a lone member, so do not start it beside the others; once that is corrected: ./etcd-recover.yml -e etcd_recover_from={host}; or name another host there, or go back to a snapshot with -e etcd_snapshot"
    )
}

/// A directory with the configuration, which may hold secrets. Nobody but etcd and root can look into it; and it is
/// etcd's only once all is there, for what is in it then may be something else the next moment.
fn lay_out(directory: &Path, text: &str, owner: (u32, u32)) -> std::io::Result<PathBuf> {
    let file = directory.join("etcd.conf");
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file)?.write_all(text.as_bytes())?;
    for path in [&file, directory] {
        chown(path, Some(owner.0), Some(owner.1))?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_reads_the_copy() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("etcd.alone");
        let owner = std::fs::metadata(parent.path()).unwrap();
        let file = lay_out(&directory, "name: x\n", (owner.uid(), owner.gid())).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "name: x\n");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o7777;
        assert_eq!((mode(&directory), mode(&file)), (0o700, 0o600));
        // Nothing that is there already is written to.
        assert!(lay_out(&directory, "", (owner.uid(), owner.gid())).is_err());
    }

    #[test]
    fn nobody_notices_the_start() {
        let configured = config::parse(
            "name: etcd-1\nlisten-client-urls: https://10.0.0.1:2379,https://127.0.0.1:2379\nlisten-peer-urls: https://10.0.0.1:2380\n\
             listen-metrics-urls: http://0.0.0.0:2381\nadvertise-client-urls: https://10.0.0.1:2379\n",
        )
        .unwrap();
        let (config, url) = lonely(&configured, 1, 2);
        assert_eq!(url, "https://127.0.0.1:1");
        let wanted = config::parse(
            "name: etcd-1\nlisten-client-urls: https://127.0.0.1:1\nlisten-peer-urls: https://127.0.0.1:2\n\
             advertise-client-urls: https://10.0.0.1:2379\nforce-new-cluster: true\n",
        )
        .unwrap();
        assert_eq!(config, wanted);
    }
}
