//! A cluster as it was found: what its hosts and members say, from a few facts about each.

use ansible_protocol::{Context, Failure, Module, Outcome};
use etcd_inventory::EtcdInventory;
use serde_json::{Map, Value, json};

pub(crate) fn run(arguments: Value) -> Result<Outcome, Failure> {
    let (read, _) = ansible_protocol::read_arguments(&EtcdInventory::SPEC, arguments.as_object().cloned().unwrap());
    let params = serde_json::from_value(read?.options.into()).unwrap();
    EtcdInventory::run(params, &Context::default())
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Data {
    Whole,
    Gone,
    Unreadable,
}

/// How far a log goes: term, index, commit, and what the database has.
pub(crate) type Log = (u64, u64, Option<u64>, Option<u64>);

/// One host and its member.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    /// Whether etcd runs on the host.
    pub(crate) runs: bool,
    pub(crate) reachable: bool,
    /// What kept it from being looked at, though it was reached.
    pub(crate) failed: Option<&'static str>,
    pub(crate) data: Data,
    pub(crate) log: Log,
    /// The id of the cluster that its data is of.
    pub(crate) of: &'static str,
    /// Whose data it is, where that is not its own.
    pub(crate) holds: Option<&'static str>,
    pub(crate) listed: bool,
    pub(crate) learner: bool,
    pub(crate) enabled: bool,
    pub(crate) certificate: bool,
    pub(crate) left_wal: bool,
    pub(crate) unmounted: bool,
    /// Whether it was to go on alone.
    pub(crate) alone: bool,
    /// The phase of a restore that was cut off.
    pub(crate) restoring: Option<&'static str>,
    /// What the start said, if it was tried: that the data is damaged, or something else.
    pub(crate) tried: Option<bool>,
    pub(crate) hash: u32,
    /// Its newest revision, where it tells that.
    pub(crate) revision: Option<i64>,
    /// Why this host cannot ask the cluster, or others cannot ask its member.
    pub(crate) shut_out: Option<&'static str>,
    /// Whether the others cannot be seen from this host.
    pub(crate) cut_off: bool,
}

pub(crate) const MEMBER: Member = Member {
    runs: true,
    reachable: true,
    failed: None,
    data: Data::Whole,
    log: (2, 10, Some(10), Some(10)),
    of: "c1",
    holds: None,
    listed: true,
    learner: false,
    enabled: true,
    certificate: true,
    left_wal: false,
    unmounted: false,
    alone: false,
    restoring: None,
    tried: None,
    hash: 7,
    revision: None,
    shut_out: None,
    cut_off: false,
};
pub(crate) const DOWN: Member = Member { runs: false, ..MEMBER };
/// One that has its data and was started in vain.
pub(crate) const TRIED: Member = Member { tried: Some(false), ..DOWN };
pub(crate) const LOST: Member = Member { data: Data::Gone, ..DOWN };

#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    net: usize,
    pub(crate) members: Vec<Member>,
    variables: Value,
    pub(crate) request: Value,
    /// An alarm, and the number of the member it names, from 1 on; 0 for nobody.
    pub(crate) alarm: Option<(&'static str, usize)>,
    pub(crate) compares: bool,
}

impl Scene {
    pub(crate) fn new(members: &[Member]) -> Self {
        Self {
            name: "etcd",
            net: 0,
            members: members.to_vec(),
            variables: json!({}),
            request: json!({}),
            alarm: None,
            compares: true,
        }
    }

    /// The same as another cluster.
    pub(crate) fn named(mut self, name: &'static str, net: usize) -> Self {
        (self.name, self.net) = (name, net);
        self
    }

    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.variables[name] = value.into();
        self
    }

    pub(crate) fn ask(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.request[name] = value.into();
        self
    }

    pub(crate) fn alarm(mut self, kind: &'static str, of: usize) -> Self {
        self.alarm = Some((kind, of));
        self
    }

    pub(crate) fn host(&self, index: usize) -> String {
        format!("10.0.{}.{}", self.net, index + 1)
    }

    fn id(index: usize) -> String {
        format!("{:x}", index + 1)
    }

    /// Whether the member serves, where there is a quorum.
    fn takes_part(&self, index: usize) -> bool {
        let member = &self.members[index];
        member.runs && member.listed
    }

    pub(crate) fn has_quorum(&self) -> bool {
        let voters =
            || (0..self.members.len()).filter(|index| self.members[*index].listed && !self.members[*index].learner);
        voters().filter(|index| self.takes_part(*index)).count() > voters().count() / 2
    }

    /// The cluster as it is seen from a host.
    fn view(&self, from: usize) -> Value {
        let alarms: Vec<Value> = self
            .alarm
            .iter()
            .map(|(kind, of)| json!({ "kind": kind, "member_id": (*of > 0).then(|| format!("{of:x}")) }))
            .collect();
        let errors: Vec<String> = self
            .alarm
            .iter()
            .map(|(kind, of)| if *of == 0 { format!("alarm:{kind} ") } else { format!("memberID:{of} alarm:{kind} ") })
            .collect();
        let seat = |(index, member): (usize, &Member)| {
            let answers =
                self.takes_part(index) && (index == from || !self.members[from].cut_off) && member.shut_out.is_none();
            let healthy = answers && self.has_quorum();
            let kind = if self.takes_part(index) { member.shut_out.unwrap_or("unreachable") } else { "unreachable" };
            let status =
                json!({ "version": "3.6.14", "errors": errors, "raft_term": member.log.0, "raft_index": member.log.1 });
            json!({ "id": Self::id(index), "name": format!("{}-{}", self.name, index + 1),
                    "peer_urls": [format!("https://{}:2380", self.host(index))],
                    "client_urls": [format!("https://{}:2379", self.host(index))],
                    "is_learner": member.learner, "started": true, "healthy": healthy,
                    "corrupt": self.alarm == Some(("CORRUPT", index + 1)),
                    "error": if healthy { Value::Null } else { json!({ "kind": kind, "reason": "x" }) },
                    "status": if answers { status } else { Value::Null } })
        };
        let leader = (0..self.members.len()).find(|index| self.takes_part(*index) && !self.members[*index].learner);
        let leader = leader.filter(|_| self.has_quorum()).map(Self::id);
        let members: Vec<Value> =
            self.members.iter().enumerate().filter(|(_, member)| member.listed).map(seat).collect();
        json!({ "id": "c1", "leader": leader, "members": members, "alarms": alarms })
    }

    fn observed(&self, index: usize) -> Value {
        let member = &self.members[index];
        let (term, position, commit, applied) = member.log;
        let mut data = match member.data {
            Data::Whole => {
                json!({ "state": "member", "member_id": member.holds.map_or_else(|| Self::id(index), str::to_owned), "cluster_id": member.of, "had_leader": true,
                                   "log": { "term": term, "index": position, "commit": commit, "applied": applied } })
            }
            Data::Gone => json!({ "state": "absent", "left_wal": member.left_wal }),
            Data::Unreadable => json!({ "state": "unreadable", "reason": "no log" }),
        };
        data["alone"] = (member.alone && member.data == Data::Whole).into();
        data["unmounted"] = member.unmounted.then_some("/data").into();
        let restore = member.restoring.map(|phase| {
            json!({ "cluster": self.name, "phase": phase, "token": "t", "cluster_id": "cc", "initial_cluster": "",
                    "snapshot": "/b/x.db", "sha256": "00", "time": "T", "former": "member", "former_member_id": null,
                    "former_cluster_id": null, "revision": null })
        });
        let sees = member.shut_out.is_none() && (self.has_quorum() || self.takes_part(index));
        let kind = member.shut_out.unwrap_or("unreachable");
        json!({ "version": "3.6.14", "data": data, "restore": restore,
                "serving": self.takes_part(index) && self.has_quorum(),
                "certificate": if member.certificate { json!({"subject": "x"}) } else { Value::Null },
                "unit": { "active_state": if member.runs { "active" } else { "inactive" },
                          "unit_file_state": if member.enabled { "enabled" } else { "disabled" } },
                "cluster": if sees { self.view(index) } else { Value::Null },
                "cluster_error": if sees { Value::Null } else { json!({ "kind": kind, "reason": "x" }) } })
    }

    fn tried(&self, index: usize) -> Option<Value> {
        let member = &self.members[index];
        let damaged = member.tried.filter(|_| member.reachable && !(member.runs && self.has_quorum()))?;
        Some(json!({ "msg": "it does not start", "damaged": damaged }))
    }

    fn hashes(&self) -> Value {
        let up = || (0..self.members.len()).filter(|index| self.takes_part(*index));
        let hashes: Map<String, Value> = up().map(|index| (Self::id(index), self.members[index].hash.into())).collect();
        let told = up().filter_map(|index| Some((Self::id(index), self.members[index].revision?.into())));
        json!({ "revision": 5, "members": hashes, "revisions": told.collect::<Map<_, _>>() })
    }

    pub(crate) fn judge(&self) -> Result<Value, Failure> {
        self.judge_beside(&[])
    }

    /// Judges it where the first host is in a cluster of its own, of the same id.
    pub(crate) fn judge_torn(&self, lone: &Self) -> Result<Value, Failure> {
        self.judge_all(&[], Some(lone.observed(0)))
    }

    /// Judges these clusters in one run.
    pub(crate) fn judge_beside(&self, others: &[&Self]) -> Result<Value, Failure> {
        self.judge_all(others, None)
    }

    fn judge_all(&self, others: &[&Self], first: Option<Value>) -> Result<Value, Failure> {
        let (mut groups, mut variables, mut observed) = (Map::new(), Map::new(), Map::new());
        let (mut tried, mut hashes, mut failed) = (Map::new(), Map::new(), Map::new());
        let mut names = Vec::new();
        for scene in std::iter::once(self).chain(others.iter().copied()) {
            let hosts: Vec<String> = (0..scene.members.len()).map(|index| scene.host(index)).collect();
            for (index, host) in hosts.iter().enumerate() {
                let mut of_host = scene.variables.clone();
                of_host["etcd_seq"] = (index + 1).into();
                of_host["etcd_cluster"] = scene.name.into();
                if scene.members[index].learner {
                    of_host["etcd_learner"] = true.into();
                }
                variables.insert(host.clone(), of_host);
                if let Some(cause) = scene.members[index].failed {
                    failed.insert(host.clone(), cause.into());
                } else if scene.members[index].reachable {
                    observed.insert(host.clone(), scene.observed(index));
                }
                tried.extend(scene.tried(index).map(|tried| (host.clone(), tried)));
            }
            if scene.compares {
                hashes.insert(scene.name.into(), scene.hashes());
            }
            groups.insert(scene.name.into(), hosts.clone().into());
            names.extend(hosts);
        }
        if let Some(first) = first {
            observed.insert(self.host(0), first);
        }
        let inventory = run(json!({ "groups": groups, "hosts": variables, "play_hosts": names }))?;
        let mut request = self.request.clone();
        request["tried"] = tried.into();
        request["failed"] = failed.into();
        if request["hashes"].is_null() {
            request["hashes"] = hashes.into();
        }
        let judged =
            run(json!({ "clusters": inventory.values["clusters"], "observed": observed, "recovery": request }))?;
        Ok(judged.values["recovery"].clone())
    }

    pub(crate) fn plan(&self) -> Value {
        self.judge().unwrap_or_else(|failure| panic!("{}", failure.msg))
    }

    #[track_caller]
    pub(crate) fn refused(&self, parts: &[&str]) {
        let failure = self.judge().unwrap_err();
        for part in parts {
            assert!(failure.msg.contains(part), "{part:?} is not in: {}", failure.msg);
        }
        assert!(failure.msg.ends_with("Nothing was changed on any host."), "{}", failure.msg);
    }
}

pub(crate) fn keys(value: &Value) -> Vec<String> {
    value.as_object().map(|object| object.keys().cloned().collect()).unwrap_or_default()
}

pub(crate) fn texts(value: &Value) -> Vec<String> {
    serde_json::from_value(value.clone()).unwrap()
}

/// Whether one of the plan's sentences holds all of these parts.
#[track_caller]
pub(crate) fn says(plan: &Value, list: &str, parts: &[&str]) {
    let sentences = texts(&plan[list]);
    assert!(
        sentences.iter().any(|text| parts.iter().all(|part| text.contains(part))),
        "{parts:?} is not in {sentences:?}"
    );
}
