//! The host's etcdutl, or etcdctl where that restores as well.

use super::wanted::Wanted;
use crate::params::Params;
use ansible_protocol::{ErrorKind, Failure};
use etcd_ops::programs;
use etcd_ops::version::Version;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A tool that restores.
#[derive(Debug)]
pub(crate) struct Tool {
    pub(crate) path: PathBuf,
    pub(crate) version: Option<Version>,
    /// Whether it can raise revisions. Patch releases of every series learned it, so it is asked.
    pub(crate) bumps: bool,
}

impl Tool {
    /// The tool that the options name, or the first one there is: beside etcd itself, so that it is of its version, and
    /// then wherever programs are.
    pub(crate) fn of(params: &Params) -> Result<Self, Failure> {
        let failure = |msg: String| Failure::new(ErrorKind::Io, format!("{msg}; nothing was changed"));
        if let Some(path) = &params.tool {
            let next = "name the etcdutl of etcd 3.5 or later, or the etcdctl of 3.5 or older";
            let found = programs::find(&path.to_string_lossy()).ok_or("there is no such program".to_owned());
            return found
                .and_then(|path| Self::ask(&path))
                .map_err(|cause| failure(format!("{} cannot restore: {cause}; {next}", path.display())));
        }
        let etcd = programs::find(&params.binary);
        let directories = programs::directories();
        let others = directories.iter().map(|directory| directory.join("etcd")).filter(|etcd| etcd.is_file());
        // Where it really is, and then what it is called by.
        let places = etcd.into_iter().chain(others).flat_map(|etcd| [etcd.canonicalize().unwrap_or_default(), etcd]);
        let beside = places.filter_map(|etcd| etcd.parent().map(Path::to_path_buf));
        let tools = beside.chain(directories.iter().cloned()).flat_map(|directory| {
            ["etcdutl", "etcdctl"].map(|tool| directory.join(tool)).into_iter().filter(|tool| tool.is_file())
        });
        tools.into_iter().find_map(|tool| Self::ask(&tool).ok()).ok_or_else(|| {
            failure(format!(
                "there is no etcdutl on this host to restore with, neither beside {} nor elsewhere: it comes with etcd 3.5 \
                 and later (Debian: etcd-server), before that it is etcdctl (Debian: etcd-client); install it, or name it \
                 with tool",
                params.binary
            ))
        })
    }

    /// Asks it what it can do.
    fn ask(path: &Path) -> Result<Self, String> {
        let say = |arguments: &[&str]| {
            let output = command(path).args(arguments).stdin(Stdio::null()).output();
            output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).map_err(|error| error.to_string())
        };
        let help = say(&["snapshot", "restore", "--help"])?;
        if !help.contains("--initial-cluster-token") {
            return Err("it has no command `snapshot restore`".to_owned());
        }
        let version = say(&["version"])?;
        Ok(Self {
            path: path.to_owned(),
            version: version.lines().find_map(|line| line.split_once(" version: ")?.1.parse().ok()),
            bumps: help.contains("--bump-revision"),
        })
    }

    /// By how much it raises revisions.
    pub(crate) fn bump(&self, wanted: &Wanted) -> u64 {
        if self.bumps { wanted.bump } else { 0 }
    }

    /// Restores into directories that are not there yet. `lock` goes to the tool as a file that it does not read: it
    /// stays locked until the tool ends, also when this process ends before. Such a tool ends with the next line that
    /// it wants to log, for nobody takes that.
    pub(crate) fn restore(
        &self,
        wanted: &Wanted,
        snapshot: &Path,
        sealed: bool,
        (data_dir, wal_dir): (&Path, Option<&Path>),
        lock: Stdio,
    ) -> Result<(), Failure> {
        let option = |name: &str, value: &dyn AsRef<std::ffi::OsStr>| {
            let mut option = OsString::from(format!("--{name}="));
            option.push(value);
            option
        };
        let mut command = command(&self.path);
        command.args(["snapshot", "restore"]).arg(snapshot).stdin(lock);
        command.arg(option("data-dir", &data_dir)).args(wal_dir.map(|wal_dir| option("wal-dir", &wal_dir)));
        command.arg(option("name", &wanted.name)).arg(option("initial-cluster", &wanted.initial_cluster));
        command.arg(option("initial-cluster-token", &wanted.token));
        command.arg(option("initial-advertise-peer-urls", &wanted.peer_urls.join(",")));
        let bump = self.bump(wanted);
        if bump > 0 {
            command.arg(format!("--bump-revision={bump}")).arg("--mark-compacted");
        }
        command.args((!sealed).then_some("--skip-hash-check"));
        let failed = |said: String| {
            let (tool, snapshot) = (self.path.display(), snapshot.display());
            let msg = format!("{tool} could not restore {snapshot}: {said}; nothing was changed");
            Failure::new(ErrorKind::Io, msg)
        };
        let output = command.output().map_err(|error| failed(error.to_string()))?;
        if output.status.success() { Ok(()) } else { Err(failed(said(&output))) }
    }
}

/// Variables could mean options to it.
fn command(tool: &Path) -> Command {
    let mut command = Command::new(tool);
    command.env_clear().env("ETCDCTL_API", "3");
    command
}

/// What it said at last that was no log.
fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let error = lines.clone().find(|line| ["Error:", "panic:"].iter().any(|word| line.starts_with(word)));
    let said = error.or_else(|| lines.next_back()).map(|line| line.trim_start_matches("Error:").trim().to_owned());
    said.unwrap_or_else(|| output.status.to_string())
}
