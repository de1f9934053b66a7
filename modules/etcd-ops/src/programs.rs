//! Executables of the host, looked up as a shell would.

use crate::version::Version;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where to look, in this order. sudo and systemd may give a module a shorter `PATH` than an administrator's.
#[must_use]
pub fn directories() -> Vec<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let directories = path.split(':').chain(["/usr/local/bin", "/usr/bin", "/usr/local/sbin", "/usr/sbin"]);
    directories.filter(|directory| directory.starts_with('/')).map(PathBuf::from).collect()
}

/// The program's full path.
#[must_use]
pub fn find(program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return Path::new(program).is_file().then(|| PathBuf::from(program));
    }
    directories().into_iter().map(|directory| directory.join(program)).find(|file| file.is_file())
}

/// The version of an etcd executable; none where it does not say so. It takes some 15 ms.
#[must_use]
pub fn etcd_version(binary: &Path) -> Option<Version> {
    let output = Command::new(binary).arg("--version").env_clear().output().ok()?;
    Version::from_output(&String::from_utf8_lossy(&output.stdout))
}
