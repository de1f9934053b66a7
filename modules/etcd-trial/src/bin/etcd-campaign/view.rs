use crate::bed::Campaign;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// The cluster as one member answers for it, with a leader's consent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// The cluster's id.
    pub(crate) cluster: u64,
    /// Who is a member.
    pub(crate) members: BTreeSet<String>,
}

/// A member with this name.
pub(crate) fn member(name: &str, learner: bool) -> String {
    let name = if name.is_empty() { "one that never started" } else { name };
    format!("{name}{}", if learner { ", learning" } else { "" })
}

/// The question for members.
const MEMBERS: &[&str] = &["member", "list", "--write-out=json"];

/// How long a cluster may take to agree.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
struct Answer {
    header: Header,
    members: Vec<Member>,
}

#[derive(Deserialize)]
struct Header {
    cluster_id: u64,
}

#[derive(Deserialize)]
struct Member {
    #[serde(default)]
    name: String,
    #[serde(default, rename = "isLearner")]
    learner: bool,
}

impl Campaign {
    /// What etcdctl says on a host to its own member, in the end: a busy machine takes its time, and so does an election.
    pub(crate) fn etcdctl(&self, host: &str, words: &[&str]) -> Result<String> {
        let start = Instant::now();
        loop {
            match self.glance(host, words) {
                Err(_) if start.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(200)),
                answer => return answer,
            }
        }
    }

    /// What it says at once.
    pub(crate) fn glance(&self, host: &str, words: &[&str]) -> Result<String> {
        let script = r#". /etc/profile.d/etcdctl.sh
            export ETCDCTL_ENDPOINTS=$(sed -n 's/^advertise-client-urls: *"\?\([^",]*\).*/\1/p' /etc/etcd/etcd.conf)
            exec etcdctl --command-timeout=5s --dial-timeout=3s "$@""#;
        let mut command = vec!["exec", &self.bed, host, "sh", "-c", script, "etcdctl"];
        command.extend(words);
        self.hosts(&command)
    }

    /// The cluster as this host's member answers for it.
    pub(crate) fn view(&self, host: &str) -> Result<View> {
        let text = self.etcdctl(host, MEMBERS)?;
        Self::viewed(&text)
    }

    fn viewed(text: &str) -> Result<View> {
        let answer: Answer = serde_json::from_str(text).with_context(|| text.to_owned())?;
        let members = answer.members.iter().map(|listed| member(&listed.name, listed.learner));
        Ok(View { cluster: answer.header.cluster_id, members: members.collect() })
    }

    /// How many keys all writers have left.
    pub(crate) fn held(&self, host: &str) -> Result<usize> {
        let text = self.etcdctl(host, &["get", "/etcd-writer/", "--prefix", "--count-only", "--write-out=fields"])?;
        let count = text.lines().find_map(|line| line.strip_prefix("\"Count\" : ")?.parse().ok());
        count.with_context(|| format!("no count of keys: {text}"))
    }

    /// Waits until each of these hosts answers with these members; or, where they are too few to decide anything, does
    /// not answer. Returns the ids of the clusters they are in.
    pub(crate) fn agree(&self, hosts: &[String], members: Option<&BTreeSet<String>>) -> Result<BTreeSet<u64>> {
        let start = Instant::now();
        loop {
            let views: Vec<Result<View>> = std::thread::scope(|scope| {
                let asked: Vec<_> =
                    hosts.iter().map(|host| scope.spawn(|| Self::viewed(&self.glance(host, MEMBERS)?))).collect();
                let answers = asked.into_iter().map(std::thread::ScopedJoinHandle::join);
                answers.map(|answer| answer.unwrap_or_else(|_| Err(anyhow::anyhow!("could not ask")))).collect()
            });
            let agrees = |view: &Result<View>| match (view, members) {
                (Ok(view), Some(members)) => view.members == *members,
                (view, wanted) => view.is_err() && wanted.is_none(),
            };
            if views.iter().all(agrees) {
                return Ok(views.into_iter().flatten().map(|view| view.cluster).collect());
            }
            ensure!(start.elapsed() < PATIENCE, "{} do not all say {members:?}: {views:#?}", hosts.join(", "));
        }
    }
}
