use super::writing::{Mount, names, options, set_mode};
use super::{checked, run, run_thrice};
use ansible_protocol::{ErrorKind, Outcome};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// What undoes the options.
fn undoing(directory: &Path) -> Value {
    let path = |name: &str| directory.join(name);
    json!({
        "config_state": "absent", "config_file": path("etc/etcd.conf"),
        "files": [{ "path": path("etc/etcd.pass"), "state": "absent" }],
        "directories": [{ "path": path("etc"), "state": "absent" }],
    })
}

fn shown(outcome: &Outcome) -> String {
    outcome.diff.iter().map(|diff| format!("{}{}", diff.before, diff.after)).collect()
}

#[test]
fn nothing_is_left_of_what_was_written() {
    let directory = tempfile::tempdir().unwrap();
    run(options(directory.path(), "hidden\n")).unwrap();
    let outcome = run_thrice(&undoing(directory.path()));
    assert_eq!(names(directory.path()), Vec::<String>::new());
    for (name, index) in [("files", 0), ("directories", 0)] {
        assert_eq!(outcome.values[name][index]["changed"], json!(true));
    }
    assert_eq!(outcome.values["config"], json!({ "path": directory.path().join("etc/etcd.conf"), "changed": true }));
    assert_eq!(outcome.warnings, Vec::<String>::new());
    let shown = shown(&outcome);
    assert!(shown.contains("log-level: info") && !shown.contains("hidden"), "{shown}");
    // Nor where the directory above is gone as well.
    let deeper = undoing(&directory.path().join("gone"));
    assert!(!run_thrice(&deeper).changed);
}

#[test]
fn check_mode_removes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    run(options(directory.path(), "x")).unwrap();
    assert!(run(checked(undoing(directory.path()))).unwrap().changed);
    assert_eq!(names(&directory.path().join("etc")), ["etcd.conf", "etcd.pass"]);
}

#[test]
fn a_directory_that_holds_something_else_stays_and_says_what() {
    let directory = tempfile::tempdir().unwrap();
    run(options(directory.path(), "x")).unwrap();
    let etc = directory.path().join("etc");
    for name in ["notes", ".hidden"] {
        fs::write(etc.join(name), "mine").unwrap();
    }
    let outcome = run_thrice(&undoing(directory.path()));
    assert_eq!(names(&etc), [".hidden", "notes"]);
    let wanted = format!("{} is not removed: it still holds .hidden, notes", etc.display());
    assert_eq!(outcome.warnings, [wanted]);
    assert_eq!(outcome.values["directories"][0]["changed"], json!(false));
}

#[test]
fn directories_go_from_the_inside_out_with_what_killed_runs_left() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::create_dir_all(path("a/b/c")).unwrap();
    // No process has that id: the kernel's limit is 4194304.
    fs::write(path("a/.x.quorum-4194999-0.tmp"), "half").unwrap();
    let gone = |name: &str| json!({ "path": path(name), "state": "absent" });
    let options = json!({ "directories": [gone("a"), gone("a/b/c"), gone("a/b")], "files": [gone("a/x")] });
    assert_eq!(run_thrice(&options).warnings, Vec::<String>::new());
    assert_eq!(names(directory.path()), Vec::<String>::new());
}

#[test]
fn a_backup_is_kept_of_what_is_removed_but_not_of_secrets() {
    let directory = tempfile::tempdir().unwrap();
    let etc = directory.path().join("etc");
    let mut written = options(directory.path(), "secret");
    let (owner, group) = super::me();
    let key = "-----BEGIN EC PRIVATE KEY-----\nabc\n";
    let further = json!({ "path": etc.join("server.key"), "content": key, "owner": owner, "group": group });
    written["files"].as_array_mut().unwrap().push(further);
    assert!(!shown(&run(written).unwrap()).contains("abc"));
    let mut options = undoing(directory.path());
    options["backup"] = json!(true);
    options["files"][0]["sensitive"] = json!(true);
    let further = json!({ "path": etc.join("server.key"), "state": "absent" });
    options["files"].as_array_mut().unwrap().push(further);
    let outcome = run_thrice(&options);
    assert!(!shown(&outcome).contains("abc"));
    let backup = PathBuf::from(outcome.values["config"]["backup"].as_str().unwrap());
    assert!(fs::read_to_string(&backup).unwrap().contains("log-level: info"));
    assert_eq!(names(&etc), [backup.file_name().unwrap().to_str().unwrap()]);
    assert!(outcome.warnings[0].ends_with("is not removed: it still holds the backup of what was removed"));
}

#[test]
fn what_everyone_may_read_is_shown() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("etcd.service");
    fs::write(&path, "[Unit]\n").unwrap();
    set_mode(&path, 0o644);
    let options = json!({ "files": [{ "path": path, "state": "absent" }] });
    assert!(shown(&run(checked(options.clone())).unwrap()).contains("[Unit]"));
    set_mode(&path, 0o640);
    assert!(!shown(&run(options).unwrap()).contains("[Unit]"));
}

#[test]
fn what_is_no_file_or_no_directory_is_refused_and_nothing_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::create_dir(path("dir")).unwrap();
    for name in ["file", "plain", "elsewhere"] {
        fs::write(path(name), "").unwrap();
    }
    symlink(path("elsewhere"), path("link")).unwrap();
    let gone = |name: &str| json!({ "path": path(name), "state": "absent" });
    let options = json!({ "files": [gone("plain"), gone("dir"), gone("link")], "directories": [gone("file")] });
    let failure = run(options).unwrap_err();
    let here = directory.path().display();
    let wanted = format!(
        "nothing was written: {here}/dir is to be removed as a file, but is a directory: name it in the directories; \
         {here}/link is to be removed, but is a symbolic link to {here}/elsewhere: remove that, or name another path; \
         {here}/file is to be removed as a directory, but is a file: name it in the files"
    );
    assert_eq!((failure.msg, failure.kind), (wanted, ErrorKind::Io));
    assert_eq!(names(directory.path()), ["dir", "elsewhere", "file", "link", "plain"]);
}

#[test]
fn a_mount_point_and_a_link_to_a_directory_stay() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let _mount = Mount::new(&path("disk"), "64k");
    fs::create_dir(path("real")).unwrap();
    symlink(path("real"), path("link")).unwrap();
    let gone = |name: &str| json!({ "path": path(name), "state": "absent" });
    let outcome = run(json!({ "directories": [gone("disk"), gone("link")] })).unwrap();
    assert!(!outcome.changed);
    let here = directory.path().display();
    let wanted = [
        format!("{here}/disk is not removed: it is a mount point"),
        format!("{here}/link is not removed: it is a symbolic link to {here}/real"),
    ];
    assert_eq!(outcome.warnings, wanted);
    assert_eq!(names(directory.path()), ["disk", "link", "real"]);
}

#[test]
fn options_that_contradict_each_other_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let mut options = options(directory.path(), "x");
    options["directories"][0] = json!({ "path": path("etc"), "state": "absent" });
    fs::create_dir(path("etc")).unwrap();
    let failure = run(options.clone()).unwrap_err().msg;
    assert!(
        failure.ends_with(
            "etc is to be removed, but ETC/etcd.pass in it is to be there"
                .replace("ETC", path("etc").to_str().unwrap())
                .as_str()
        ),
        "{failure}"
    );
    options["config_state"] = json!("absent");
    options["files"][0].as_object_mut().unwrap().shift_remove("content");
    let failure = run(options).unwrap_err();
    assert_eq!(failure.kind, ErrorKind::InvalidOption);
    let wanted = format!(
        "nothing was written: {} needs content, or state: absent; config and config_state: absent exclude each other",
        path("etc/etcd.pass").display()
    );
    assert!(failure.msg.starts_with(&wanted), "{failure}");
    assert_eq!(names(&path("etc")), Vec::<String>::new());
    let failure = run(json!({ "config_state": "present", "merge": true })).unwrap_err().msg;
    let wanted = "config is required when config_state is present; config is required when merge is true";
    assert!(failure.ends_with(wanted), "{failure}");
}
