//! Installed version, unit, data directory and pending configuration of this host.

use crate::Params;
use etcd_ops::datadir::{self, DataDir, LogEnd};
use etcd_ops::mounts;
use etcd_ops::programs;
use etcd_ops::running::{self, Files};
use etcd_ops::systemd::{self, Unit};
use etcd_ops::version::Version;
use serde_json::{Value, json};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What was found on the host.
pub(crate) struct Host {
    binary: Option<PathBuf>,
    pub(crate) unit: Unit,
    pub(crate) data: DataDir,
    pending: Vec<String>,
    certificate: Value,
    restore: Value,
    log: Option<LogEnd>,
    left_wal: bool,
    alone: bool,
    unmounted: Option<PathBuf>,
}

/// Looks at the host. Nothing that is absent is an error, not even systemd.
pub(crate) fn observe(params: &Params) -> Host {
    let binary = programs::find(&params.binary);
    let unit = systemd::show(&params.unit).unwrap_or_else(|failure| Unit::unknown(&params.unit, failure));
    let files = Files {
        config_file: params.config_file.clone(),
        ca_file: params.ca_file.clone(),
        runtime_dir: params.runtime_dir.clone(),
    };
    let pending = running::pending(&files, &unit);
    let (certificate, restore) = (certificate(&params.cert_file), noted(&params.restore_file));
    let log = params.log.then(|| datadir::log_end(&params.data_dir, params.wal_dir.as_deref())).flatten();
    let left_wal = datadir::left_log(&params.data_dir, params.wal_dir.as_deref());
    let alone = datadir::is_marked_alone(&params.data_dir);
    let unmounted = [Some(&params.data_dir), params.wal_dir.as_ref()].into_iter().flatten();
    let unmounted = unmounted.filter_map(|directory| mounts::unmounted(directory)).next();
    Host { binary, unit, data: params.data(), pending, certificate, restore, log, left_wal, alone, unmounted }
}

impl Host {
    /// The host as results show it; `running` is what its member, which serves, says it is.
    pub(crate) fn to_value(&self, running: Option<&str>) -> Value {
        let mut data = json!(self.data);
        if let (DataDir::Member(_), Some(log)) = (&self.data, self.log) {
            data["log"] = json!(log);
        }
        if self.data == DataDir::Absent {
            data["left_wal"] = self.left_wal.into();
        } else {
            data["alone"] = self.alone.into();
        }
        data["unmounted"] = json!(self.unmounted);
        json!({
            "version": self.version(running).map(|version| version.to_string()),
            "binary": self.binary,
            "unit": self.unit,
            "data": data,
            "pending": self.pending,
            "serving": running.is_some(),
            "certificate": self.certificate,
            "restore": self.restore,
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
        running.filter(|_| same).and_then(|version| version.parse().ok()).or_else(|| programs::etcd_version(binary))
    }
}

/// Whether the process runs this file, and not one it has replaced.
fn runs(pid: u32, binary: &Path) -> bool {
    let file = |path: &Path| std::fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino())).ok();
    pid != 0 && file(Path::new(&format!("/proc/{pid}/exe"))).is_some_and(|running| file(binary) == Some(running))
}

/// What a restore has noted. A note that cannot be read must not pass for none.
fn noted(path: &Path) -> Value {
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Value::Null,
        text => text.map_err(|error| error.to_string()),
    };
    let read = text.and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()));
    read.unwrap_or_else(|problem| json!({ "error": format!("{}: {problem}", path.display()) }))
}

fn certificate(path: &Path) -> Value {
    let Ok(pem) = std::fs::read_to_string(path) else { return Value::Null };
    etcd_cert::facts(&pem).unwrap_or_else(|problem| json!({ "error": problem }))
}
