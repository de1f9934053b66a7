use super::{Site, wait};
use etcd_testbed::{Options, Version, wait_for};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

impl Site {
    /// A drill with this version's etcd on the first member's disk.
    fn configure_drill(&self, more: &Value) {
        let version = self.cluster.member(0).version();
        let tool = version.executable(if version == Version::V3_4 { "etcdctl" } else { "etcdutl" });
        let disk = self.disk(0);
        let mut config = json!({ "window": 1, "etcd": version.executable("etcd"), "tool": tool,
            "drill_status_file": disk.join("drill.json"), "drill_metrics_file": disk.join("etcd_drill.prom") });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.configure(0, &config);
    }

    fn drilled(&self) -> Value {
        serde_json::from_slice(&fs::read(self.disk(0).join("drill.json")).unwrap()).unwrap()
    }

    fn scratch(&self) -> PathBuf {
        self.dir(0).join(".quorum-drill")
    }

    fn write(&self) {
        for key in 0..20 {
            self.cluster.etcdctl(&["put", &format!("key{key}"), "value"]);
        }
        self.cluster.etcdctl(&["del", "key3"]);
        self.cluster.etcdctl(&["compact", "12"]);
        self.cluster.etcdctl(&["put", "key4", "other"]);
    }
}

/// Processes that work in the directory, by the words that they were started with.
fn servers(scratch: &Path) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let within =
        processes.filter(|process| fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(scratch)));
    within.map(|process| fs::read_to_string(process.path().join("cmdline")).unwrap_or_default()).collect()
}

/// Puts an executable there that is a shell script.
fn script(path: &Path, text: &str) {
    fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn every_version_serves_what_was_saved() {
    for version in Version::ALL {
        for options in [Options::default(), Options::tls(), Options::auth("S3cret!")] {
            let (tls, auth) = (options.tls, options.root_password.is_some());
            let site = Site::start(version, 1, options);
            site.configure_drill(&json!({}));
            assert!(site.run(0, &["--drill"]).ok().ends_with("nothing to restore"));
            assert_eq!((&site.drilled()["last_run_success"], &site.drilled()["last"]), (&json!(true), &json!(null)));
            site.write();
            if auth {
                site.cluster.etcdctl(&["role", "add", "reader"]);
                site.cluster.etcdctl(&["role", "grant-permission", "reader", "--prefix=true", "read", "/app/"]);
            }
            site.run(0, &[]).ok();
            let (before, saved) = (site.cluster.etcdctl(&["get", "--prefix", "key"]), site.snapshots(0));
            let said = site.run(0, &["--drill"]).ok().to_owned();
            assert!(said.contains("it is served as it was saved: "), "{version:?} {tls} {said}");
            assert!(!said.contains("was not compared"), "{version:?} {tls} {said}");
            let last = &site.drilled()["last"];
            let count = |name: &str| last[name].as_u64().unwrap();
            assert!(count("total_keys") >= 19 && last["hash"].is_u64(), "{last}");
            assert_eq!((count("users"), count("roles")), if auth { (1, 2) } else { (0, 0) }, "{version:?}");
            assert_eq!(last["root_password_fits"], true);
            assert!(last["seconds"].as_f64().unwrap() >= last["restored_seconds"].as_f64().unwrap());
            // Nothing remains, and nothing was done to the cluster or the snapshots.
            assert!(!site.scratch().exists() && servers(&site.scratch()).is_empty());
            assert_eq!((site.cluster.etcdctl(&["get", "--prefix", "key"]), site.snapshots(0)), (before, saved));
            let metrics = fs::read_to_string(site.disk(0).join("etcd_drill.prom")).unwrap();
            assert!(
                metrics.contains("etcd_drill_last_run_success{cluster=\"main\",member=\"etcd-1\"} 1\n"),
                "{metrics}"
            );
        }
    }
}

/// The way to the data is closed to whoever etcd runs as.
#[test]
fn etcd_runs_as_its_own_user() {
    for version in Version::ALL {
        let site = Site::start(version, 1, Options::default());
        site.configure_drill(&json!({ "user": "nobody" }));
        site.write();
        site.run(0, &[]).ok();
        assert_eq!(fs::metadata(site.dir(0)).unwrap().permissions().mode() & 0o077, 0);
        assert!(site.run(0, &["--drill"]).ok().contains("it is served as it was saved"));
        site.configure_drill(&json!({ "user": "no-such-user" }));
        assert!(site.run(0, &["--drill"]).failed().contains("there is no user no-such-user on this host"));
    }
}

/// The tool restores another snapshot than it is told to: one key less, another value, one user more.
#[test]
fn what_is_not_as_it_was_saved_is_found() {
    for version in [Version::V3_4, Version::V3_6, Version::V3_7] {
        let site = Site::start(version, 1, Options::auth("S3cret!"));
        site.write();
        site.configure_drill(&json!({}));
        site.run(0, &[]).ok();
        let saved = site.snapshots(0).remove(0);
        let revision = |words: &[&str]| drop(site.cluster.etcdctl(words));
        let tool = version.executable(if version == Version::V3_4 { "etcdctl" } else { "etcdutl" });
        let changes: [(&[&str], &str); 3] = [
            (&["del", "key7"], "the number of keys is "),
            (&["put", "key7", "changed"], "the hash of all keys is "),
            (&["user", "add", "--no-password", "eve"], "there is a user eve, which was not saved"),
        ];
        for (change, wanted) in changes {
            revision(change);
            let other = site.disk(0).join("other.db");
            let _ = fs::remove_file(&other);
            site.cluster.etcdctl(&["snapshot", "save", other.to_str().unwrap()]);
            let fake = site.disk(0).join("etcdutl-fake");
            let text = format!(
                "for word; do shift; [ \"$word\" = {} ] && word={}; set -- \"$@\" \"$word\"; done; exec {} \"$@\"",
                saved.display(),
                other.display(),
                tool.display()
            );
            script(&fake, &text);
            site.configure_drill(&json!({ "tool": fake }));
            let done = site.run(0, &["--drill"]);
            assert!(done.failed().contains("what was restored differs from "), "{version:?} {}", done.error);
            assert!(done.error.contains(wanted), "{version:?} {}", done.error);
            assert_eq!(site.drilled()["last_run_success"], false);
            assert!(site.drilled()["error"].as_str().unwrap().contains(wanted));
            assert!(!site.scratch().exists());
        }
    }
}

/// What is on the disk is right, and etcd serves something else.
#[test]
fn what_is_served_is_what_counts() {
    let site = Site::start(Version::V3_6, 1, Options::tls());
    site.write();
    site.configure_drill(&json!({}));
    site.run(0, &[]).ok();
    let other = site.disk(0).join("other.db");
    // As many keys and revisions, and one value that is another one.
    let twin = Site::start(Version::V3_6, 1, Options::tls());
    twin.write();
    twin.cluster.etcdctl(&["put", "/quorum.etcd/backup/claim", "value"]);
    twin.cluster.etcdctl(&["snapshot", "save", other.to_str().unwrap()]);
    let fake = site.disk(0).join("etcd-fake");
    let (etcd, tool) = (Version::V3_6.executable("etcd"), Version::V3_6.executable("etcdutl"));
    script(
        &fake,
        &format!(
            "rm -r data; {} snapshot restore {} --data-dir data >/dev/null 2>&1; exec {} \"$@\" --force-new-cluster",
            tool.display(),
            other.display(),
            etcd.display()
        ),
    );
    site.configure_drill(&json!({ "etcd": fake }));
    let done = site.run(0, &["--drill"]);
    let wanted = "what etcd serves once it is restored differs from ";
    assert!(done.failed().contains(wanted), "{}", done.error);
    assert!(done.error.contains("the hash of all keys is "), "{}", done.error);
}

#[test]
fn damage_is_told_and_the_next_good_one_is_tried() {
    let site = Site::start(Version::V3_7, 1, Options::tls());
    site.configure_drill(&json!({}));
    site.write();
    site.run(0, &[]).ok();
    let first = site.snapshots(0).remove(0);
    site.after_the_window(0);
    site.run(0, &[]).ok();
    let second = site.snapshots(0).remove(1);
    let flip = |path: &Path| {
        let mut bytes = fs::read(path).unwrap();
        bytes[9000] ^= 4;
        fs::write(path, bytes).unwrap();
    };
    flip(&second);
    let done = site.run(0, &["--drill"]);
    let wanted = format!("The newest one that is whole is good: etcd-1 restored {}", first.display());
    assert!(
        done.failed().contains(&wanted) && done.error.contains(&format!("{} is damaged", second.display())),
        "{}",
        done.error
    );
    flip(&first);
    assert!(site.run(0, &["--drill"]).failed().contains("no snapshot here can be restored: "));
    assert_eq!(site.drilled()["last"], json!(null));
}

#[test]
fn another_password_of_root_is_told() {
    for version in [Version::V3_4, Version::V3_5, Version::V3_7] {
        let site = Site::start(version, 1, Options::auth("S3cret!"));
        site.configure_drill(&json!({}));
        site.run(0, &[]).ok();
        fs::write(site.disks.path().join("etcd.pass"), "Changed since").unwrap();
        let done = site.run(0, &["--drill"]);
        assert!(done.ok().contains("root had another password when it was saved"), "{version:?} {}", done.out);
        assert_eq!(site.drilled()["last"]["root_password_fits"], false);
        let metrics = fs::read_to_string(site.disk(0).join("etcd_drill.prom")).unwrap();
        assert!(metrics.contains("etcd_drill_root_password_fits{cluster=\"main\",member=\"etcd-1\"} 0\n"), "{metrics}");
    }
}

/// Whoever has logged in and may not read has compared nothing, and the password is not the cause.
#[test]
fn a_user_who_may_not_read_is_no_proof() {
    for version in [Version::V3_4, Version::V3_7] {
        let site = Site::start(version, 1, Options::auth("S3cret!"));
        site.cluster.etcdctl(&["user", "add", "app:S3cret!"]);
        site.configure_drill(&json!({}));
        site.run(0, &[]).ok();
        site.configure_drill(&json!({ "login_user": "app" }));
        let done = site.run(0, &["--drill"]);
        assert!(done.failed().contains("permission denied"), "{version:?} {}", done.error);
        assert_eq!(site.drilled()["last_run_success"], false, "{version:?}");
    }
}

/// Killed while etcd serves: that ends with it, and what it leaves behind goes with the next drill.
#[test]
fn nothing_outlives_a_drill_that_is_killed() {
    let site = Site::start(Version::V3_6, 1, Options::tls());
    site.write();
    site.configure_drill(&json!({}));
    site.run(0, &[]).ok();
    let etcd = Version::V3_6.executable("etcd");
    // So that it is surely asked in vain.
    let fake = site.disk(0).join("etcd-fake");
    script(
        &fake,
        &format!(
            "exec {} \"$@\" --election-timeout=50000 --heartbeat-interval=5000 --initial-election-tick-advance=false",
            etcd.display()
        ),
    );
    site.configure_drill(&json!({ "etcd": fake, "timeout": 50 }));
    for signal in [nix::sys::signal::Signal::SIGKILL, nix::sys::signal::Signal::SIGTERM] {
        let child = site.command(0, &["--drill"]).spawn().unwrap();
        // No longer setpriv, nor the script.
        let is_etcd = |words: &String| words.starts_with(etcd.to_str().unwrap());
        wait_for("its etcd", || servers(&site.scratch()).iter().any(is_etcd));
        assert!(site.run(0, &["--drill"]).failed().contains("another drill is under way in "));
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id().cast_signed()), signal).unwrap();
        assert_eq!(wait(child).code, None);
        wait_for("the end of its etcd", || servers(&site.scratch()).is_empty());
        assert!(site.scratch().join("data").exists());
    }
    site.configure_drill(&json!({}));
    site.run(0, &["--drill"]).ok();
    assert!(!site.scratch().exists());
}

#[test]
fn etcd_that_does_not_start_is_told_with_its_reason() {
    let site = Site::start(Version::V3_6, 1, Options::tls());
    site.configure_drill(&json!({}));
    site.run(0, &[]).ok();
    let fake = site.disk(0).join("etcd-fake");
    script(&fake, "echo 'panic: no way' >&2; exit 3");
    site.configure_drill(&json!({ "etcd": fake }));
    let done = site.run(0, &["--drill"]);
    assert!(
        done.failed().contains("does not serve what was restored (exit status: 3): panic: no way"),
        "{}",
        done.error
    );
    site.configure_drill(&json!({ "etcd": "no-such-etcd" }));
    assert!(site.run(0, &["--drill"]).failed().contains("there is no no-such-etcd on this host"));
}
