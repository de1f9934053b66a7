use super::{quorum_etcd, result};
use serde_json::{Value, json};
use std::fs;

/// A call on a host without systemd: no command can be found.
#[track_caller]
fn call_without_systemd(module: &str, options: &Value) -> Value {
    let mut command = quorum_etcd([module, "-"]);
    result(&command.env("PATH", "/nonexistent").write_stdin(options.to_string()).output().unwrap())
}

#[test]
fn facts_are_told_without_systemd() {
    let options = json!({ "unit": "etcd-main", "endpoints": "http://127.0.0.1:1", "data_dir": "/nonexistent" });
    let value = call_without_systemd("etcd_info", &options);
    let unit = &value["etcd"]["unit"];
    assert_eq!(
        (&unit["name"], &unit["load_state"], &unit["main_pid"]),
        (&json!("etcd-main"), &json!("unknown"), &json!(0))
    );
    let error = unit["error"].as_str().unwrap();
    assert!(error.starts_with("cannot run systemctl"), "{error}");
}

#[test]
fn a_service_is_not_managed_without_systemd() {
    for check_mode in [false, true] {
        let options = json!({ "endpoints": "http://127.0.0.1:1", "_ansible_check_mode": check_mode });
        let value = call_without_systemd("etcd_service", &options);
        assert_eq!((&value["failed"], &value["error"]["kind"]), (&json!(true), &json!("io")));
        assert!(value["msg"].as_str().unwrap().starts_with("cannot run systemctl"), "{value}");
    }
}

#[test]
fn what_a_restart_would_pick_up_is_told_by_the_copies() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let options = json!({
        "endpoints": "http://127.0.0.1:1", "data_dir": path("data"), "config_file": path("etcd.conf"),
        "ca_file": path("ca.crt"), "runtime_dir": path("run"),
    });
    let pending = || {
        let mut pending = call_without_systemd("etcd_info", &options)["etcd"]["pending"].clone();
        pending.as_array_mut().unwrap().sort_by_key(ToString::to_string);
        pending
    };
    fs::write(path("etcd.conf"), "name: etcd-1\nlog-level: info\n").unwrap();
    fs::write(path("ca.crt"), "old").unwrap();
    assert_eq!(pending(), json!([]), "nothing was started yet");

    fs::create_dir(path("run")).unwrap();
    for name in ["etcd.conf", "ca.crt"] {
        fs::copy(path(name), path("run").join(name)).unwrap();
    }
    assert_eq!(pending(), json!([]));
    fs::write(path("etcd.conf"), "# the same\nlog-level: 'info'\nname: etcd-1\n").unwrap();
    assert_eq!(pending(), json!([]));
    fs::write(path("etcd.conf"), "name: etcd-1\nlog-level: debug\nquota-backend-bytes: 1073741824\n").unwrap();
    fs::write(path("ca.crt"), "new").unwrap();
    assert_eq!(pending(), json!(["certificate authority", "log-level", "quota-backend-bytes"]));
}
