//! A cluster of three hosts, what each says of itself, and what is asked for.

use ansible_protocol::{Context, Failure, Module, Outcome};
use etcd_inventory::EtcdInventory;
use etcd_ops::datadir::{founding_cluster_id, founding_member_id};
use serde_json::{Map, Value, json};

pub(crate) const HOSTS: [&str; 3] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
pub(crate) const NOW: &str = "20260102T030405Z";

pub(crate) fn run(arguments: &Value) -> Result<Outcome, Failure> {
    let (read, _) = ansible_protocol::read_arguments(&EtcdInventory::SPEC, arguments.as_object().cloned().unwrap());
    let params = serde_json::from_value(read?.options.into()).unwrap();
    EtcdInventory::run(params, &Context::default())
}

pub(crate) fn member_id(index: usize, token: &str) -> String {
    format!("{:x}", founding_member_id(&[format!("https://{}:2380", HOSTS[index])], token))
}

pub(crate) fn cluster_id(token: &str) -> String {
    let id = |host: &&str| founding_member_id(&[format!("https://{host}:2380")], token);
    format!("{:x}", founding_cluster_id(&HOSTS.iter().map(id).collect::<Vec<_>>()))
}

/// Three hosts, and what each of them is like.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) variables: Value,
    pub(crate) seen: Vec<Value>,
    pub(crate) request: Value,
}

pub(crate) fn snapshot(sha256: &str) -> Value {
    json!({ "path": "/backups/it.db", "sha256": sha256, "size": 20512, "revision": 6, "total_keys": 3, "auth": true,
            "users": ["root"], "roles": ["root"], "cluster_version": "3.6.0", "sealed": true,
            "members": [{ "id": member_id(0, "etcd"), "name": "etcd-1", "peer_urls": ["https://10.0.0.1:2380"] }] })
}

impl Scene {
    /// A cluster that serves, and a snapshot of it.
    pub(crate) fn new() -> Self {
        let members: Vec<Value> = (0..3)
            .map(|index| {
                json!({ "id": member_id(index, "etcd"), "name": format!("etcd-{}", index + 1), "healthy": true,
                        "peer_urls": [format!("https://{}:2380", HOSTS[index])], "started": true })
            })
            .collect();
        let usage = json!({ "leases": { "count": 0 }, "clients": [], "complete": true, "revision": 9 });
        let live = json!({ "id": cluster_id("etcd"), "leader": member_id(0, "etcd"), "members": members, "usage": usage, "auth": "on" });
        let seen = (0..3).map(|index| {
            json!({ "version": "3.6.14", "serving": true, "restore": null, "cluster": live, "cluster_error": null,
                    "unit": { "active_state": "active", "unit_file_state": "enabled" },
                    "data": { "state": "member", "member_id": member_id(index, "etcd"), "cluster_id": cluster_id("etcd"), "had_leader": true } })
        });
        Self {
            variables: json!({}),
            seen: seen.collect(),
            request: json!({ "hosts": HOSTS, "time": NOW, "bump": 1000, "snapshot": snapshot("0123456789abcdef") }),
        }
    }

    pub(crate) fn set(mut self, name: &str, value: Value) -> Self {
        self.variables[name] = value;
        self
    }

    pub(crate) fn ask(mut self, name: &str, value: Value) -> Self {
        self.request[name] = value;
        self
    }

    /// Changes what a host says.
    pub(crate) fn on(mut self, index: usize, change: impl Fn(&mut Value)) -> Self {
        change(&mut self.seen[index]);
        self
    }

    /// What a restore that has come this far has left on a host: noted, stopped, replaced, started.
    pub(crate) fn noted(self, index: usize, notes: &Value, phase: &str, data: &str) -> Self {
        let mut note = notes[HOSTS[index]].clone();
        note["phase"] = json!(phase);
        let token = note["token"].as_str().unwrap().to_owned();
        self.on(index, |seen| {
            seen["restore"] = note.clone();
            match data {
                "new" => {
                    seen["data"]["member_id"] = json!(member_id(index, &token));
                    seen["data"]["cluster_id"] = json!(cluster_id(&token));
                }
                "none" => seen["data"] = json!({ "state": "absent" }),
                _ => {}
            }
            if phase != "starting" {
                seen["unit"]["active_state"] = json!("inactive");
                seen["cluster"] = Value::Null;
                seen["cluster_error"] = json!({ "kind": "unreachable", "reason": "refused" });
            }
        })
    }

    pub(crate) fn clusters(&self) -> Value {
        let hosts: Map<String, Value> = HOSTS
            .iter()
            .enumerate()
            .map(|(index, host)| {
                let mut variables = self.variables.clone();
                variables["etcd_seq"] = json!(index + 1);
                ((*host).to_owned(), variables)
            })
            .collect();
        let named = run(&json!({ "groups": { "etcd": HOSTS }, "hosts": hosts, "play_hosts": HOSTS })).unwrap();
        named.values["clusters"].clone()
    }

    pub(crate) fn observed(&self) -> Value {
        let seen = HOSTS.iter().zip(&self.seen).filter(|(_, seen)| !seen.is_null());
        seen.map(|(host, seen)| ((*host).to_owned(), seen.clone())).collect::<Map<_, _>>().into()
    }

    pub(crate) fn judge(&self) -> Result<Value, Failure> {
        let arguments = json!({ "clusters": self.clusters(), "observed": self.observed(), "restore": self.request });
        Ok(run(&arguments)?.values["restore"].clone())
    }

    #[track_caller]
    pub(crate) fn refused(&self, parts: &[&str]) {
        let msg = self.judge().unwrap_err().msg;
        for part in parts {
            assert!(msg.contains(part), "{part:?} is not in: {msg}");
        }
        assert!(msg.ends_with("Nothing was changed on any host."), "{msg}");
    }
}

/// What becomes of a plan once the hosts have foretold their revisions.
pub(crate) fn agreed(plan: &Value, revisions: [Option<i64>; 3]) -> Result<Value, Failure> {
    let told = HOSTS.iter().zip(revisions).map(|(host, revision)| {
        let told = json!({ "revision": revision, "aside": "/data/etcd.1.T", "wal_aside": null, "tool": "/usr/bin/etcdutl", "tool_version": "3.6.14" });
        ((*host).to_owned(), told)
    });
    let told: Map<String, Value> = told.collect();
    let scene = Scene::new();
    Ok(run(&json!({ "clusters": scene.clusters(), "restored": plan, "foretold": told }))?.values["restore"].clone())
}
