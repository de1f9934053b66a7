use super::{me, run, run_thrice};
use etcd_testbed::{Pki, Version, wait_for};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// A server that ends with this value.
struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    fn start(version: Version, config_file: &Path) -> Self {
        let log = config_file.with_extension("log");
        let out = File::create(&log).unwrap();
        let child = Command::new(version.executable("etcd"))
            .arg("--config-file")
            .arg(config_file)
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap();
        Self { child, log }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until it serves, or has ended.
    fn settle(&mut self) -> bool {
        let mut serves = false;
        wait_for("etcd to serve or to end", || {
            serves = self.said().contains("serving client traffic");
            serves || self.child.try_wait().unwrap().is_some()
        });
        serves
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The role's configuration for a cluster of one on loopback.
fn role_config(directory: &Path, pki: &Pki, name: &str) -> Value {
    // Both are free for a moment at the same time, and taken again at once.
    let free: Vec<TcpListener> = (0..2).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let url = |index: usize| format!("https://{}", free[index].local_addr().unwrap());
    let files = pki.server();
    let tls = json!({ "cert-file": files.cert, "key-file": files.key, "trusted-ca-file": pki.ca_cert() });
    let mut peer_tls = tls.clone();
    peer_tls["client-cert-auth"] = json!(true);
    json!({
        "name": name,
        "data-dir": directory.join("data"),
        "wal-dir": directory.join("wal"),
        "listen-peer-urls": [url(0)],
        "listen-client-urls": [url(1)],
        "initial-advertise-peer-urls": [url(0)],
        "advertise-client-urls": [url(1)],
        "initial-cluster": format!("{name}={}", url(0)),
        "initial-cluster-token": "1_000",
        "initial-cluster-state": "new",
        "heartbeat-interval": "50",
        "election-timeout": "750",
        "quota-backend-bytes": "8589934592",
        "auto-compaction-mode": "periodic",
        "auto-compaction-retention": 24,
        "grpc-keepalive-min-time": "7s",
        "client-transport-security": tls,
        "peer-transport-security": peer_tls,
        "log-level": "info",
        "logger": "zap",
        "log-outputs": ["stderr"],
    })
}

fn options(directory: &Path, config: Value, version: Version) -> Value {
    let (owner, group) = me();
    json!({
        "config": config, "config_file": directory.join("etcd.conf"), "owner": owner, "group": group,
        "etcd_binary": version.executable("etcd"), "translate": true,
    })
}

/// etcd starts with what the module wrote, and understands each value as it was meant: `on` is a name, `1_000` a
/// token, `24` hours.
#[test]
fn every_version_reads_what_was_meant() {
    for version in Version::ALL {
        let directory = tempfile::tempdir().unwrap();
        let pki = Pki::create(&directory.path().join("pki"), "testbed");
        let mut config = role_config(directory.path(), &pki, "on");
        config["experimental-initial-corrupt-check"] = json!("yes");
        config["enable-v2"] = json!(false);
        let outcome = run_thrice(&options(directory.path(), config, version));
        let found = outcome.values["config"]["version"].as_str().unwrap();
        assert!(found.starts_with(version.series()), "{found}");
        let mut server = Server::start(version, &directory.path().join("etcd.conf"));
        assert!(server.settle(), "etcd {found} does not start: {}", server.said());
        let said = server.said();
        let started = said.lines().find(|line| line.contains("starting an etcd server")).unwrap();
        let started: Value = serde_json::from_str(started).unwrap();
        assert_eq!(started["name"], "on", "{started}");
        assert_eq!(started["initial-cluster-token"], "1_000");
        assert_eq!(started["heartbeat-interval"], "50ms");
        assert_eq!(started["election-timeout"], "750ms");
        assert_eq!(
            started["quota-size-bytes"].as_i64().or(started["quota-backend-bytes"].as_i64()),
            Some(8_589_934_592)
        );
        assert_eq!(started["auto-compaction-retention"], "24h0m0s");
        // A key of its own up to 3.5, a feature gate since.
        let checks = started["initial-corrupt-check"] == true || started["feature-gates"] == "InitialCorruptCheck=true";
        assert!(checks, "{found}: {started}");
    }
}

/// What the module refuses, etcd refuses as well: the rules are etcd's own.
#[test]
fn etcd_agrees_with_the_refusals() {
    let changes = [
        json!({ "election-timeout": 100 }),
        json!({ "listen-peer-urls": "https://etcd-1.example:2380" }),
        json!({ "initial-cluster-state": "exist" }),
        json!({ "quota-backend-bytes": "many" }),
        json!({ "grpc-keepalive-min-time": "soon" }),
        json!({ "initial-cluster": "other=https://127.0.0.1:2380" }),
        json!({ "client-transport-security": {} }),
    ];
    for version in Version::ALL {
        for change in &changes {
            let directory = tempfile::tempdir().unwrap();
            let pki = Pki::create(&directory.path().join("pki"), "testbed");
            let mut config = role_config(directory.path(), &pki, "a");
            for (key, value) in change.as_object().unwrap() {
                config[key] = value.clone();
            }
            run(options(directory.path(), config.clone(), version)).unwrap_err();
            let normal = etcd_ops::catalogue::normalise(config.as_object().unwrap());
            let path = directory.path().join("etcd.conf");
            fs::write(&path, etcd_ops::config::to_yaml(&normal).unwrap()).unwrap();
            let mut server = Server::start(version, &path);
            assert!(!server.settle(), "etcd {} starts with {change}", version.series());
        }
    }
}

/// The reason for this module: etcd itself says nothing of a key it does not know.
#[test]
fn etcd_ignores_what_the_module_refuses() {
    for version in Version::ALL {
        let directory = tempfile::tempdir().unwrap();
        let pki = Pki::create(&directory.path().join("pki"), "testbed");
        let mut config = role_config(directory.path(), &pki, "a");
        config["quota-backend-byte"] = json!(1);
        let refusal = run(options(directory.path(), config.clone(), version)).unwrap_err().msg;
        assert!(refusal.ends_with("which would ignore it, did you mean quota-backend-bytes?"), "{refusal}");
        let normal = etcd_ops::catalogue::normalise(config.as_object().unwrap());
        let path = directory.path().join("etcd.conf");
        fs::write(&path, etcd_ops::config::to_yaml(&normal).unwrap()).unwrap();
        let mut server = Server::start(version, &path);
        assert!(server.settle(), "{}", server.said());
        assert!(!server.said().contains("quota-backend-byte\""), "{}", server.said());
    }
}
