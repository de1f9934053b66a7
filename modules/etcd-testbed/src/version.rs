use std::path::PathBuf;

/// A minor version of etcd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 3.4, which Debian 12 has.
    V3_4,
    /// 3.5.
    V3_5,
    /// 3.6.
    V3_6,
    /// 3.7.
    V3_7,
}

impl Version {
    /// All versions, oldest first.
    pub const ALL: [Self; 4] = [Self::V3_4, Self::V3_5, Self::V3_6, Self::V3_7];

    /// `3.6` and so on.
    #[must_use]
    pub const fn series(self) -> &'static str {
        match self {
            Self::V3_4 => "3.4",
            Self::V3_5 => "3.5",
            Self::V3_6 => "3.6",
            Self::V3_7 => "3.7",
        }
    }

    /// The path of `etcd`, `etcdctl` or `etcdutl` (from 3.5 on).
    ///
    /// # Panics
    ///
    /// When it has not been built; the message names the script that builds it.
    #[must_use]
    pub fn executable(self, name: &str) -> PathBuf {
        let path = self.directory().join(name);
        let series = self.series();
        assert!(path.is_file(), "{} is missing: build it with `testbed/etcd/build {series}`", path.display());
        path
    }

    fn directory(self) -> PathBuf {
        let cache = std::env::var_os("QUORUM_ETCD_CACHE").unwrap_or_else(|| "/var/cache/quorum.etcd".into());
        PathBuf::from(cache).join("etcd").join(self.series())
    }
}
