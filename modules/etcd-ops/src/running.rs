//! What a restart would pick up: the files as they are now against those the running process was started with.
//!
//! The collection's unit copies its configuration, its CA and itself to its runtime directory just before each start
//! (`ExecStartPre`), also when somebody restarts it by hand. So the comparison is exact: a file that was touched,
//! reformatted or changed back asks for no restart. Leaf certificates are not compared: etcd reads them anew at
//! each handshake (`client/pkg/transport/listener.go`), but the CA only once.

use crate::config;
use crate::systemd::Unit;
use ansible_protocol::{Default, Fragment, Kind, Opt};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// The options that say where a member's files are.
pub const MEMBER: Fragment = Fragment {
    name: "member",
    options: &[
        Opt::new("data_dir", Kind::Path, &["The member's data directory."]).default(Default::Str("/data/etcd")),
        Opt::new("wal_dir", Kind::Path, &["The directory of the write-ahead log, when it is not inside O(data_dir)."]),
        Opt::new("config_file", Kind::Path, &["The member's configuration file."])
            .default(Default::Str("/etc/etcd/etcd.conf")),
        Opt::new("ca_file", Kind::Path, &["The certificate authority the member was given."])
            .default(Default::Str("/etc/etcd/ca.crt")),
        Opt::new("runtime_dir", Kind::Path, &["Where the unit keeps copies of the files it was started with."])
            .default(Default::Str("/run/etcd")),
    ],
};

/// The files a member is started with.
#[derive(Clone, Debug)]
pub struct Files {
    /// The configuration in YAML.
    pub config_file: PathBuf,
    /// The certificate authority.
    pub ca_file: PathBuf,
    /// Where the copies are, usually `/run/etcd`.
    pub runtime_dir: PathBuf,
}

/// What a restart would pick up: configuration keys, `unit`, `ca.crt`. Empty when nothing differs, or nothing runs.
#[must_use]
pub fn pending(files: &Files, unit: &Unit) -> Vec<String> {
    // Without systemd the copies say that it runs: they go when it stops.
    if unit.is_known() && !unit.is_running() {
        return Vec::new();
    }
    let unit_file = PathBuf::from(&unit.fragment_path);
    let mut pending = Vec::new();
    match started_with(files, &files.config_file) {
        Some(started) => pending.extend(config_keys(&files.config_file, &started)),
        None if newer(&files.config_file, unit) => pending.push("configuration".into()),
        None => {}
    }
    for (name, path) in [("unit", &unit_file), ("certificate authority", &files.ca_file)] {
        let differs = match started_with(files, path) {
            Some(started) => std::fs::read_to_string(path).is_ok_and(|now| now != started),
            None => newer(path, unit),
        };
        if differs {
            pending.push(name.into());
        }
    }
    pending
}

fn started_with(files: &Files, path: &Path) -> Option<String> {
    std::fs::read_to_string(files.runtime_dir.join(path.file_name()?)).ok()
}

fn config_keys(path: &Path, started: &str) -> Vec<String> {
    let Ok(now) = std::fs::read_to_string(path) else { return Vec::new() };
    if now == started {
        return Vec::new();
    }
    // A file that is no YAML differs as a whole; etcd_conf would never have written it.
    config::pending_restart(&now, started).unwrap_or_else(|_| vec!["configuration".into()])
}

/// Whether the file is newer than the process; for units that keep no copies.
fn newer(path: &Path, unit: &Unit) -> bool {
    let modified = std::fs::metadata(path).and_then(|metadata| metadata.modified());
    let modified = modified.ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    modified.is_some_and(|age| unit.started_at != 0 && age.as_micros() > u128::from(unit.started_at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(directory: &Path) -> (Files, Unit) {
        let file = |name: &str| directory.join(name);
        let files = Files { config_file: file("etcd.conf"), ca_file: file("ca.crt"), runtime_dir: file("run") };
        let unit = Unit {
            active_state: "active".into(),
            main_pid: 1,
            fragment_path: file("etcd.service").to_string_lossy().into_owned(),
            ..Unit::default()
        };
        std::fs::create_dir(&files.runtime_dir).unwrap();
        for (name, content) in
            [("etcd.conf", "heartbeat-interval: 100\nname: a\n"), ("ca.crt", "x"), ("etcd.service", "y")]
        {
            std::fs::write(file(name), content).unwrap();
            std::fs::write(files.runtime_dir.join(name), content).unwrap();
        }
        (files, unit)
    }

    #[test]
    fn only_real_differences_are_pending() {
        let scratch = tempfile::tempdir().unwrap();
        let (files, unit) = files(scratch.path());
        assert_eq!(pending(&files, &unit), Vec::<String>::new());
        std::fs::write(
            &files.config_file,
            "name: a\nheartbeat-interval: 100 # same\ninitial-cluster-state: existing\n",
        )
        .unwrap();
        assert_eq!(pending(&files, &unit), Vec::<String>::new());
        std::fs::write(&files.config_file, "name: a\nheartbeat-interval: 200\n").unwrap();
        std::fs::write(&files.ca_file, "z").unwrap();
        assert_eq!(pending(&files, &unit), ["heartbeat-interval", "certificate authority"]);
    }

    #[test]
    fn nothing_is_pending_where_nothing_runs() {
        let scratch = tempfile::tempdir().unwrap();
        let (files, _) = files(scratch.path());
        std::fs::write(&files.config_file, "name: b\n").unwrap();
        assert_eq!(pending(&files, &Unit::default()), Vec::<String>::new());
    }
}
