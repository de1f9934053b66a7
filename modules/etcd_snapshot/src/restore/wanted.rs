//! What a restore is to make: the options, checked, and the ids that follow from them.

use crate::params::Params;
use ansible_protocol::Failure;
use etcd_ops::datadir::{Identity, founding_cluster_id, founding_member_id};
use etcd_ops::files::resolve_owner;
use etcd_ops::hex;
use etcd_ops::snapshot::MAX_BUMP;
use std::path::PathBuf;

/// What is asked for.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) data_dir: PathBuf,
    /// Where it is not inside of the `member` directory.
    pub(crate) wal_dir: Option<PathBuf>,
    pub(crate) name: String,
    /// `name=URL` of all members, separated by commas.
    pub(crate) initial_cluster: String,
    pub(crate) token: String,
    /// This member's.
    pub(crate) peer_urls: Vec<String>,
    /// Of all members.
    pub(crate) member_ids: Vec<u64>,
    pub(crate) member_id: u64,
    pub(crate) cluster_id: u64,
    pub(crate) bump: u64,
    pub(crate) owner: Option<(u32, u32)>,
}

impl Wanted {
    /// Reads the options.
    ///
    /// # Errors
    ///
    /// Kind `invalid_option`, with everything that is wrong whatever the host is like.
    pub(crate) fn read(params: &Params, lets_owner_be_missing: bool) -> Result<Self, Failure> {
        let mut problems = Vec::new();
        let text = |text: &Option<String>| text.as_deref().unwrap_or_default().trim().to_owned();
        let (name, token) = (text(&params.name), text(&params.initial_cluster_token));
        let members = members(&text(&params.initial_cluster)).unwrap_or_else(|problem| {
            problems.push(problem);
            Vec::new()
        });
        let peer_urls = members.iter().find(|(other, _)| *other == name).map(|(_, urls)| urls.clone());
        if peer_urls.is_none() && !members.is_empty() {
            let names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
            problems.push(format!("name {name} is not in initial_cluster, which has {}", names.join(", ")));
        }
        if token.is_empty() {
            problems.push("initial_cluster_token must not be empty".to_owned());
        }
        let bump = u64::try_from(params.bump_revision).ok().filter(|bump| *bump <= MAX_BUMP).unwrap_or_else(|| {
            problems.push(format!("bump_revision must be between 0 and {MAX_BUMP}, got {}", params.bump_revision));
            0
        });
        let data_dir = params.data_dir.clone().unwrap_or_default();
        let member = data_dir.join("member");
        let wal_dir = params.wal_dir.clone().filter(|wal_dir| *wal_dir != member.join("wal"));
        if wal_dir.as_ref().is_some_and(|wal_dir| wal_dir.starts_with(&member)) {
            problems.push(format!("wal_dir must not lie in {}, which is etcd's own", member.display()));
        }
        let owner = params.owner.as_ref().zip(params.group.as_ref());
        let owner = owner.map(|(owner, group)| resolve_owner(owner, group)).transpose().unwrap_or_else(|problem| {
            problems.extend((!lets_owner_be_missing).then_some(problem));
            None
        });
        if !problems.is_empty() {
            let msg = format!("invalid options of etcd_snapshot: {}; nothing was restored", problems.join("; "));
            return Err(Failure::invalid_option(msg));
        }
        let entries = members.iter().flat_map(|(name, urls)| urls.iter().map(move |url| format!("{name}={url}")));
        let peer_urls = peer_urls.unwrap_or_default();
        let member_ids: Vec<u64> = members.iter().map(|(_, urls)| founding_member_id(urls, &token)).collect();
        Ok(Self {
            initial_cluster: entries.collect::<Vec<_>>().join(","),
            member_id: founding_member_id(&peer_urls, &token),
            cluster_id: founding_cluster_id(&member_ids),
            data_dir,
            wal_dir,
            name,
            token,
            peer_urls,
            member_ids,
            bump,
            owner,
        })
    }

    /// The member and the cluster to be made, in words.
    pub(crate) fn identity(&self) -> String {
        format!("member {} of cluster {}", hex(self.member_id), hex(self.cluster_id))
    }

    /// Whether that is the member and the cluster to be made.
    pub(crate) fn is(&self, found: &Identity) -> bool {
        (found.member_id, found.cluster_id) == (self.member_id, self.cluster_id)
    }
}

/// The members with their URLs, each once.
fn members(initial_cluster: &str) -> Result<Vec<(String, Vec<String>)>, String> {
    let mut members: Vec<(String, Vec<String>)> = Vec::new();
    for entry in initial_cluster.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let (name, url) = entry.split_once('=').map_or(("", ""), |(name, url)| (name.trim(), url.trim()));
        if name.is_empty() || !url.contains("://") {
            return Err(format!(
                "initial_cluster must be name=URL, separated by commas, as etcd-1=https://10.10.10.10:2380, got {entry}"
            ));
        }
        match members.iter_mut().find(|(other, _)| other == name) {
            Some((_, urls)) => urls.push(url.to_owned()),
            None => members.push((name.to_owned(), vec![url.to_owned()])),
        }
    }
    if members.is_empty() { Err("initial_cluster must not be empty".to_owned()) } else { Ok(members) }
}

#[cfg(test)]
mod tests {
    use super::members;

    #[test]
    fn reads_what_etcd_reads() {
        let found = members("b=http://b:1, a=http://a:1,,b=http://b:2").unwrap();
        let urls = |index: usize| found[index].1.join(" ");
        assert_eq!((found.len(), urls(0).as_str(), urls(1).as_str()), (2, "http://b:1 http://b:2", "http://a:1"));
        for wrong in ["a", "a=", "=http://a:1", "http://a:1", "a=a:1"] {
            assert!(members(wrong).unwrap_err().ends_with(&format!("got {wrong}")));
        }
        assert!(members(" , ").is_err());
    }
}
