//! Where a snapshot is, as its user names it: `HOST:/FILE`, or a path on this machine.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What the copy is called that a restore sends to each host; and removes at its end.
const SENT: &str = ".quorum-restore-";

/// A snapshot as it is named.
#[derive(Debug, Deserialize)]
pub(crate) struct Named {
    named: String,
    /// The hosts of the inventory.
    hosts: Vec<String>,
    /// What a path that is not absolute begins at.
    directory: PathBuf,
}

/// Where it is.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Location {
    /// The host of the inventory; empty for this machine.
    pub(crate) host: String,
    pub(crate) path: PathBuf,
}

impl Named {
    /// Where the file is.
    ///
    /// # Errors
    ///
    /// What is wrong with the name, and another one.
    pub(crate) fn location(&self) -> Result<Location, String> {
        let named = &self.named;
        if named.rsplit('/').next().is_some_and(|file| file.starts_with(SENT)) {
            return Err(format!(
                "{named} is what an earlier restore has sent there, and the next one removes it: give it another name first"
            ));
        }
        match named.split_once(":/") {
            Some((host, path)) if !host.is_empty() && !host.contains('/') => {
                if !self.hosts.iter().any(|known| known == host) {
                    return Err(format!(
                        "{host} in etcd_snapshot is no host of the inventory: name one of its hosts, as in HOST:/FILE, or a file on this machine"
                    ));
                }
                Ok(Location { host: host.to_owned(), path: PathBuf::from(format!("/{path}")) })
            }
            _ => match named.split_once(':') {
                Some((host, path)) if self.hosts.iter().any(|known| known == host) => Err(format!(
                    "{named} in etcd_snapshot has no absolute path: name the file as {host}:/{path}, with all directories it is in"
                )),
                _ => Ok(Location { host: String::new(), path: self.directory.join(named) }),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    fn location(named: &str) -> Result<Location, String> {
        let hosts = ["10.0.0.1", "fe80::1", "etcd-1"].map(str::to_owned).to_vec();
        Named { named: named.to_owned(), hosts, directory: "/home/me".into() }.location()
    }

    #[test_case("snap.db", "", "/home/me/snap.db"; "beside")]
    #[test_case("/a/b.db", "", "/a/b.db"; "here")]
    #[test_case("a:b/c.db", "", "/home/me/a:b/c.db"; "a name with a colon")]
    #[test_case("dir/x:/c.db", "", "/home/me/dir/x:/c.db"; "a directory with a colon")]
    #[test_case("10.0.0.1:/a/b.db", "10.0.0.1", "/a/b.db"; "on a host")]
    #[test_case("fe80::1:/a/b.db", "fe80::1", "/a/b.db"; "on a host with colons")]
    #[test_case("etcd-1:/a/x:/b.db", "etcd-1", "/a/x:/b.db"; "on a host with a colon further on")]
    fn is_found(named: &str, host: &str, path: &str) {
        assert_eq!(location(named), Ok(Location { host: host.into(), path: path.into() }));
    }

    #[test_case("etcd-9:/a.db", "etcd-9 in etcd_snapshot is no host of the inventory"; "another host")]
    #[test_case("etcd-1:a.db", "name the file as etcd-1:/a.db"; "a path that is not absolute")]
    #[test_case("etcd-1:/a/.quorum-restore-0123.db", "give it another name first"; "the copy of a restore")]
    #[test_case(".quorum-restore-0123.db", "give it another name first"; "the copy of a restore beside")]
    fn is_refused(named: &str, part: &str) {
        let problem = location(named).unwrap_err();
        assert!(problem.contains(part), "{problem}");
    }
}
