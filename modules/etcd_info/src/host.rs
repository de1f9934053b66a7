//! Installed version, unit, data directory and pending configuration of this host.

use crate::Params;
use etcd_ops::datadir::DataDir;
use etcd_ops::running::{self, Files};
use etcd_ops::systemd::{self, Unit};
use etcd_ops::version::Version;
use serde_json::{Value, json};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What was found on the host.
pub(crate) struct Host {
    binary: Option<PathBuf>,
    pub(crate) unit: Unit,
    pub(crate) data: DataDir,
    pending: Vec<String>,
    certificate: Value,
}

/// Looks at the host. Nothing that is absent is an error, not even systemd.
pub(crate) fn observe(params: &Params) -> Host {
    let binary = find(&params.binary);
    let unit = systemd::show(&params.unit).unwrap_or_else(|failure| Unit::unknown(&params.unit, failure));
    let files = Files {
        config_file: params.config_file.clone(),
        ca_file: params.ca_file.clone(),
        runtime_dir: params.runtime_dir.clone(),
    };
    let pending = running::pending(&files, &unit);
    Host { binary, unit, data: params.data(), pending, certificate: certificate(&params.cert_file) }
}

impl Host {
    /// The host as results show it; `running` is what its member, which serves, says it is.
    pub(crate) fn to_value(&self, running: Option<&str>) -> Value {
        json!({
            "version": self.version(running).map(|version| version.to_string()),
            "binary": self.binary,
            "unit": self.unit,
            "data": self.data,
            "pending": self.pending,
            "serving": running.is_some(),
            "certificate": self.certificate,
            "cluster": null,
            "cluster_error": null,
            "answering": [],
        })
    }

    /// The installed version. A process that runs the very executable has said it already; otherwise the executable is
    /// asked, which costs some 15 ms.
    fn version(&self, running: Option<&str>) -> Option<Version> {
        let binary = self.binary.as_deref()?;
        let same = runs(self.unit.main_pid, binary);
        running.filter(|_| same).and_then(|version| version.parse().ok()).or_else(|| installed_version(binary))
    }
}

/// Whether the process runs this file, and not one it has replaced.
fn runs(pid: u32, binary: &Path) -> bool {
    let file = |path: &Path| std::fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino())).ok();
    pid != 0 && file(Path::new(&format!("/proc/{pid}/exe"))).is_some_and(|running| file(binary) == Some(running))
}

/// The executable's full path, looked up as a shell would.
fn find(binary: &str) -> Option<PathBuf> {
    if binary.contains('/') {
        return Path::new(binary).is_file().then(|| PathBuf::from(binary));
    }
    // sudo and systemd may give a module a shorter PATH than an administrator's.
    let path = std::env::var("PATH").unwrap_or_default();
    let directories = path.split(':').chain(["/usr/local/bin", "/usr/bin", "/usr/local/sbin", "/usr/sbin"]);
    directories
        .filter(|directory| directory.starts_with('/'))
        .map(|directory| Path::new(directory).join(binary))
        .find(|file| file.is_file())
}

fn installed_version(binary: &Path) -> Option<Version> {
    let output = Command::new(binary).arg("--version").env_clear().output().ok()?;
    Version::from_output(&String::from_utf8_lossy(&output.stdout))
}

fn certificate(path: &Path) -> Value {
    let Ok(pem) = std::fs::read_to_string(path) else { return Value::Null };
    etcd_cert::facts(&pem).unwrap_or_else(|problem| json!({ "error": problem }))
}
