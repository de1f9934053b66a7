//! What the tasks before this one would have written, in check mode: there the files are still the old ones.

use etcd_ops::systemd::Unit;
use serde::Deserialize;

/// The part of an `etcd_conf` or `etcd_cert` result that a restart would pick up.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Written {
    #[serde(default)]
    config: Config,
    #[serde(default)]
    files: Vec<File>,
    #[serde(default)]
    needed: Vec<String>,
    /// Of an `etcd_service` result.
    #[serde(default)]
    actions: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Config {
    #[serde(default)]
    restart_keys: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct File {
    path: String,
    changed: bool,
}

impl Written {
    /// Whether it would have stopped the unit.
    pub(crate) fn stops(&self) -> bool {
        self.actions.iter().any(|action| action == "stop")
    }

    /// What of it would be pending, in the words of [`etcd_ops::running::pending`].
    pub(crate) fn pending(&self, unit: &Unit) -> Vec<String> {
        let mut pending = self.config.restart_keys.clone();
        if self.files.iter().any(|file| file.changed && file.path == unit.fragment_path) {
            pending.push("unit".into());
        }
        if self.needed.iter().any(|needed| needed == "authority") {
            pending.push("certificate authority".into());
        }
        pending
    }
}
