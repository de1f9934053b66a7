use ansible_protocol::Failure;
use etcd_ops::connection::Connection;
use etcd_ops::membership::{address, parse_id};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The options.
#[derive(Debug, Deserialize)]
pub struct Params {
    #[serde(flatten)]
    pub(crate) connection: Connection,
    state: State,
    name: Option<String>,
    peer_urls: Vec<String>,
    id: Option<String>,
    learner: bool,
    cluster_id: Option<String>,
    names: BTreeMap<String, String>,
    force: bool,
}

/// What the member shall be.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    Announced,
    Present,
    Withdrawn,
    Absent,
}

/// The options, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Desired {
    pub(crate) state: State,
    pub(crate) name: Option<String>,
    pub(crate) peer_urls: Vec<String>,
    pub(crate) id: Option<u64>,
    /// Whether it is not to be promoted.
    pub(crate) learner: bool,
    pub(crate) cluster_id: Option<u64>,
    /// Peer URLs and the names of those who have none yet.
    pub(crate) names: Vec<(String, String)>,
    pub(crate) force: bool,
}

impl Desired {
    /// What messages call the member before it is found.
    pub(crate) fn label(&self) -> String {
        let id = || self.id.map(etcd_ops::hex);
        self.name.clone().or_else(id).unwrap_or_else(|| self.peer_urls.join(","))
    }
}

impl Params {
    /// The options as they are meant.
    ///
    /// # Errors
    ///
    /// Kind `invalid_option`, with everything that is wrong with them.
    pub(crate) fn desired(&self) -> Result<Desired, Failure> {
        let mut problems = Vec::new();
        for url in &self.peer_urls {
            problems.extend(address::parse(url).err().map(|problem| format!("peer_urls: {problem}")));
        }
        let names = self.name.iter().chain(self.names.values());
        for name in names.filter(|name| name.is_empty() || name.contains([',', '=', ' '])) {
            problems.push(format!(
                "{name:?} is no name of a member: it may be neither empty nor hold \",\", \"=\" or a space"
            ));
        }
        let mut id = |option: &str, text: &Option<String>| {
            let id = text.as_deref().map(|text| parse_id(text).ok_or(text));
            id.transpose().unwrap_or_else(|text| {
                problems.push(format!("{option} {text:?} is no id such as 8e9e05c52164694d"));
                None
            })
        };
        let (id, cluster_id) = (id("id", &self.id), id("cluster_id", &self.cluster_id));
        if self.name.is_none() && self.id.is_none() && self.peer_urls.is_empty() {
            problems.push("which member is meant? give name, peer_urls or id".to_owned());
        }
        if !problems.is_empty() {
            return Err(Failure::invalid_option(format!("invalid options of etcd_member: {}", problems.join("; "))));
        }
        Ok(Desired {
            state: self.state,
            name: self.name.clone(),
            peer_urls: self.peer_urls.clone(),
            id,
            learner: self.learner,
            cluster_id,
            names: self.names.clone().into_iter().collect(),
            force: self.force,
        })
    }
}
