use super::{checked, me, run, run_thrice};
use ansible_protocol::ErrorKind;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) fn options(directory: &Path, content: &str) -> Value {
    let (owner, group) = me();
    let path = |name: &str| directory.join(name);
    json!({
        "directories": [{ "path": path("etc"), "mode": "0750", "owner": owner, "group": group }],
        "files": [{ "path": path("etc/etcd.pass"), "content": content, "mode": "0640", "owner": owner, "group": group, "sensitive": true }],
        "config": { "name": "etcd-1", "quota-backend-bytes": "1000", "log-level": "info" },
        "config_file": path("etc/etcd.conf"), "owner": owner, "group": group, "version": "3.6.16",
    })
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

pub(crate) fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn writes_once_and_says_what_changed() {
    let directory = tempfile::tempdir().unwrap();
    let etc = directory.path().join("etc");
    let outcome = run_thrice(&options(directory.path(), "secret\n"));
    assert_eq!(outcome.values["config"]["changed_keys"], json!(["name", "quota-backend-bytes", "log-level"]));
    assert_eq!(outcome.values["config"]["version"], json!("3.6.16"));
    assert_eq!(outcome.values["directories"][0]["changed"], json!(true));
    assert_eq!(outcome.values["files"][0]["changed"], json!(true));
    let text = fs::read_to_string(etc.join("etcd.conf")).unwrap();
    assert_eq!(
        text,
        "# Managed by quorum.etcd: the next run undoes what is changed here.\n\
         name: etcd-1\nquota-backend-bytes: 1000\nlog-level: info\n"
    );
    assert_eq!((mode(&etc), mode(&etc.join("etcd.conf")), mode(&etc.join("etcd.pass"))), (0o750, 0o640, 0o640));
    assert_eq!(names(&etc), ["etcd.conf", "etcd.pass"]);
    assert!(!format!("{outcome:?}").contains("secret\\n"), "{outcome:?}");
}

#[test]
fn a_changed_key_is_named_and_shown_and_the_other_file_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = options(directory.path(), "secret");
    run(options.clone()).unwrap();
    let pass = directory.path().join("etc/etcd.pass");
    let before = fs::metadata(&pass).unwrap().ino();
    options["config"] =
        json!({ "log-level": "debug", "name": "etcd-1", "quota-backend-bytes": 1000, "initial-cluster-state": "new" });
    let outcome = run_thrice(&options);
    assert_eq!(outcome.values["config"]["changed_keys"], json!(["initial-cluster-state", "log-level"]));
    assert_eq!(outcome.values["config"]["restart_keys"], json!(["log-level"]));
    assert_eq!(outcome.values["files"][0]["changed"], json!(false));
    assert_eq!(outcome.diff.len(), 1);
    assert!(outcome.diff[0].before.contains("log-level: info") && outcome.diff[0].after.contains("log-level: debug"));
    assert_eq!(fs::metadata(&pass).unwrap().ino(), before);
}

#[test]
fn where_no_restart_follows_it_is_said_what_one_would_pick_up() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = options(directory.path(), "secret");
    options["restarts_follow"] = false.into();
    // Nothing runs with a configuration that was not there.
    assert_eq!(run(options.clone()).unwrap().warnings, Vec::<String>::new());
    options["config"] = json!({ "log-level": "debug", "name": "etcd-1", "quota-backend-bytes": 1000 });
    let mut quiet = options.clone();
    quiet["restarts_follow"] = true.into();
    quiet["_ansible_check_mode"] = true.into();
    assert_eq!(run(quiet).unwrap().warnings, Vec::<String>::new());
    let said = run(options.clone()).unwrap().warnings;
    assert!(said.len() == 1 && said[0].ends_with("picks it up when it restarts only: log-level"), "{said:?}");
    assert_eq!(run(options).unwrap().warnings, Vec::<String>::new());
}

#[test]
fn order_and_types_of_the_options_do_not_matter() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = options(directory.path(), "x");
    run(options.clone()).unwrap();
    options["config"] = json!({ "log-level": "info", "wal-dir": null, "quota-backend-bytes": 1000, "name": "etcd-1" });
    assert!(!run(options).unwrap().changed);
}

#[test]
fn only_the_mode_changes_where_only_the_mode_differs() {
    let directory = tempfile::tempdir().unwrap();
    let options = options(directory.path(), "secret");
    run(options.clone()).unwrap();
    let pass = directory.path().join("etc/etcd.pass");
    let before = fs::metadata(&pass).unwrap().ino();
    set_mode(&pass, 0o604);
    set_mode(&directory.path().join("etc"), 0o700);
    let outcome = run_thrice(&options);
    assert_eq!((mode(&pass), mode(&directory.path().join("etc"))), (0o640, 0o750));
    assert_eq!(fs::metadata(&pass).unwrap().ino(), before);
    let shown = &outcome.diff[1];
    assert!(shown.before.ends_with("mode: 0604\n") && shown.after.ends_with("mode: 0640\n"), "{shown:?}");
    assert_eq!(outcome.values["config"]["changed"], json!(false));
}

#[test]
fn a_sensitive_file_shows_that_it_changes_and_not_what() {
    let directory = tempfile::tempdir().unwrap();
    run(options(directory.path(), "old-secret")).unwrap();
    let outcome = run_thrice(&options(directory.path(), "new-secret"));
    assert!(outcome.changed && outcome.diff.len() == 1);
    assert_ne!(outcome.diff[0].before, outcome.diff[0].after);
    assert!(!format!("{outcome:?}").contains("secret\""), "{outcome:?}");
}

#[test]
fn keeps_the_previous_file_where_asked_to_but_no_secrets() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = options(directory.path(), "old");
    options["backup"] = json!(true);
    run(options.clone()).unwrap();
    options["files"][0]["content"] = json!("new");
    options["config"]["log-level"] = json!("debug");
    let outcome = run_thrice(&options);
    let backup = PathBuf::from(outcome.values["config"]["backup"].as_str().unwrap());
    assert!(fs::read_to_string(&backup).unwrap().contains("log-level: info"));
    assert_eq!(mode(&backup), 0o640);
    assert_eq!(names(&directory.path().join("etc")).len(), 3);
    assert_eq!(outcome.values["files"][0].get("backup"), None);
}

#[test]
fn makes_the_directories_above_a_wanted_one() {
    let directory = tempfile::tempdir().unwrap();
    let (owner, group) = me();
    let path = directory.path().join("a/b/c");
    let options = json!({ "directories": [{ "path": path, "mode": "0700", "owner": owner, "group": group }] });
    let outcome = run_thrice(&options);
    assert_eq!(outcome.values["directories"].as_array().unwrap().len(), 3);
    assert_eq!((mode(&directory.path().join("a")), mode(&path)), (0o755, 0o700));
}

#[test]
fn check_mode_writes_nothing_and_is_content_with_what_an_earlier_task_would_make() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = checked(options(directory.path(), "x"));
    options["directories"] = json!([]);
    options["group"] = json!("no-such-group");
    let outcome = run(options).unwrap();
    assert!(outcome.changed);
    assert_eq!(outcome.warnings.len(), 3, "{:?}", outcome.warnings);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_link_to_a_directory_is_followed_and_one_in_place_of_a_file_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::create_dir(path("big-disk")).unwrap();
    symlink(path("big-disk"), path("etc")).unwrap();
    run_thrice(&options(directory.path(), "x"));
    assert_eq!(mode(&path("big-disk")), 0o750);
    assert!(path("etc").is_symlink());

    fs::remove_file(path("etc/etcd.conf")).unwrap();
    fs::write(path("elsewhere"), "precious").unwrap();
    symlink(path("elsewhere"), path("etc/etcd.conf")).unwrap();
    let failure = run(options(directory.path(), "y")).unwrap_err();
    let wanted = format!(
        "nothing was written: {} is to be a file, but is a symbolic link to {}: remove that, or name another path",
        path("etc/etcd.conf").display(),
        path("elsewhere").display()
    );
    assert_eq!((failure.msg, failure.kind), (wanted, ErrorKind::Io));
    assert_eq!(fs::read_to_string(path("elsewhere")).unwrap(), "precious");
    assert_eq!(fs::read_to_string(path("etc/etcd.pass")).unwrap(), "x");
}

#[test]
fn what_is_in_the_way_is_named() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("etc"), "").unwrap();
    let failure = run(options(directory.path(), "x")).unwrap_err().msg;
    assert!(failure.contains("etc is to be a directory, but is a file: move it out of the way"), "{failure}");
    fs::remove_file(directory.path().join("etc")).unwrap();
    fs::create_dir_all(directory.path().join("etc/etcd.conf")).unwrap();
    let failure = run(options(directory.path(), "x")).unwrap_err().msg;
    assert!(failure.ends_with("etc/etcd.conf is to be a file, but is a directory"), "{failure}");
}

#[test]
fn the_same_path_twice_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = options(directory.path(), "x");
    options["files"][0]["path"] = options["config_file"].clone();
    let failure = run(options).unwrap_err().msg;
    assert!(failure.ends_with("etc/etcd.conf is given twice"), "{failure}");
}

#[test]
fn a_killed_run_s_temporary_file_goes_away_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let options = options(directory.path(), "x");
    run(options.clone()).unwrap();
    let etc = directory.path().join("etc");
    // No process has that id: the kernel's limit is 4194304.
    fs::write(etc.join(".etcd.pass.quorum-4194999-0.tmp"), "half a sec").unwrap();
    let ours = format!(".etcd.pass.quorum-{}-77.tmp", std::process::id());
    fs::write(etc.join(&ours), "another run").unwrap();
    fs::write(etc.join(".other"), "").unwrap();
    let outcome = run_thrice(&options);
    assert!(outcome.changed);
    assert_eq!(names(&etc), [ours.as_str(), ".other", "etcd.conf", "etcd.pass"]);
}

/// A file system of its own, as long as this lives.
pub(crate) struct Mount(PathBuf);

impl Mount {
    pub(crate) fn new(path: &Path, size: &str) -> Self {
        fs::create_dir_all(path).unwrap();
        let status =
            Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(path).status();
        assert!(status.unwrap().success(), "this needs a file system of its own: run it as root");
        Self(path.to_owned())
    }

    fn make_read_only(&self) {
        let status = Command::new("mount").args(["-o", "remount,ro"]).arg(&self.0).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_leaves_every_file_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("small");
    let _mount = Mount::new(&path, "32k");
    let mut options = options(&path, "old secret");
    run(options.clone()).unwrap();
    let etc = path.join("etc");
    let before = (names(&etc), fs::read(etc.join("etcd.conf")).unwrap(), fs::read(etc.join("etcd.pass")).unwrap());
    options["config"]["log-level"] = json!("debug");
    options["files"][0]["content"] = json!("new secret");
    let (owner, group) = me();
    let big = json!({ "path": etc.join("big"), "content": "x".repeat(100_000), "owner": owner, "group": group });
    options["files"].as_array_mut().unwrap().push(big);
    let failure = run(options.clone()).unwrap_err();
    let wanted = format!(
        "cannot write {}: No space left on device (os error 28); before that: nothing was changed; every file is whole; \
         make room on that file system and run again",
        etc.join("big").display()
    );
    assert_eq!((failure.msg, failure.kind), (wanted, ErrorKind::Io));
    let after = (names(&etc), fs::read(etc.join("etcd.conf")).unwrap(), fs::read(etc.join("etcd.pass")).unwrap());
    assert_eq!(before, after);

    options["files"][1]["content"] = json!("small");
    run_thrice(&options);
}

#[test]
fn a_read_only_file_system_is_one_clear_failure() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("frozen");
    let mount = Mount::new(&path, "64k");
    run(options(&path, "old")).unwrap();
    mount.make_read_only();
    assert!(!run(options(&path, "old")).unwrap().changed);
    let failure = run(options(&path, "new")).unwrap_err().msg;
    let wanted = "Read-only file system (os error 30); before that: nothing was changed; every file is whole; mount that \
                  file system for writing and run again";
    assert!(failure.ends_with(wanted), "{failure}");
}
