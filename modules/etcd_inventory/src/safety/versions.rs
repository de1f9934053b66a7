//! Versions of etcd that this release does not know, or would have to change.

use super::Case;
use crate::observed::Observed;
use etcd_ops::version::{KNOWN, Version};

impl Case<'_> {
    pub(super) fn too_old(&self) -> impl Iterator<Item = String> {
        self.seen.iter().filter_map(|(host, seen)| {
            let version: Version = seen.version.as_deref()?.parse().ok()?;
            let (major, minor) = KNOWN.oldest;
            (version.series() < KNOWN.oldest)
                .then(|| format!("etcd {version} on {host} is too old: install {major}.{minor} or newer first"))
        })
    }

    /// Another version on a host that has data is an upgrade or a downgrade.
    pub(super) fn other_versions(&self) -> impl Iterator<Item = String> {
        self.with_data().filter(|(member, seen)| seen.other_version(member.version.as_deref())).map(|(member, seen)| {
            format!(
                "{} has etcd {}, and etcd_version asks for {}: this release does not upgrade members; set etcd_version to what is installed, or leave it out",
                member.host,
                seen.version.as_deref().unwrap_or_default(),
                member.version.as_deref().unwrap_or_default()
            )
        })
    }

    pub(super) fn version_warnings(&self) -> Vec<String> {
        let newer = |(host, seen): (&&str, &Observed)| {
            let version: Version = seen.version.as_deref()?.parse().ok()?;
            let (major, minor) = KNOWN.newest;
            (version.series() > KNOWN.newest).then(|| {
                format!("etcd {version} on {host} is newer than {major}.{minor}, the newest this release knows: its configuration is checked as that of {major}.{minor}")
            })
        };
        self.seen.iter().filter_map(newer).collect()
    }
}
