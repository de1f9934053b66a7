use super::{names, ok};
use etcd_testbed::{Cluster, Options, Version};
use serde_json::{Value, json};

/// Older ones go, those of others stay, and check mode said so before.
#[test]
fn so_many_are_kept() {
    let cluster = Cluster::start(Version::V3_7, 1, Options::default());
    let dir = tempfile::tempdir().unwrap();
    let others = [
        "db",
        "etcd-main-2-20200101T000000Z-5.db",
        "etcd-main-20200101T000000Z-5.db.old",
        "other-main-20200101T000000Z-5.db",
    ];
    let old = ["etcd-main-20200101T000000Z-5.db", "etcd-main-20200102T000000Z-6.db"];
    // A clock that went wrong made this one; it counts for nothing, and stays.
    let future = "etcd-main-20990101T000000Z-7.db";
    for name in others.iter().chain(&old).chain([&future]) {
        std::fs::write(dir.path().join(name), "x").unwrap();
    }
    let mut options = json!({ "dir": dir.path(), "cluster_name": "main", "keep": 2 });
    options["_ansible_check_mode"] = true.into();
    let before = names(dir.path());
    let predicted = ok(&cluster, &options);
    assert_eq!(names(dir.path()), before);
    options["_ansible_check_mode"] = false.into();
    let done = ok(&cluster, &options);
    let deleted = |done: &Value| -> Vec<String> { serde_json::from_value(done["deleted"].clone()).unwrap() };
    assert_eq!(deleted(&done), [dir.path().join(old[0]).to_str().unwrap()]);
    assert_eq!(deleted(&predicted), deleted(&done));
    let diff = |text: &Value| text.as_str().unwrap().lines().map(str::to_owned).collect::<Vec<_>>();
    let new = std::path::Path::new(done["snapshot"]["path"].as_str().unwrap()).file_name().unwrap().to_str().unwrap();
    assert_eq!(diff(&done["diff"][0]["before"]), [future, old[1], old[0]]);
    assert_eq!(diff(&done["diff"][0]["after"]), [new, future, old[1]]);

    // As many as there is place for, all within seconds, and each with a name of its own.
    for _ in 0..3 {
        ok(&cluster, &options);
    }
    let mine = |name: &&String| name.starts_with("etcd-main-2") && !others.contains(&name.as_str());
    let kept: Vec<String> = names(dir.path()).iter().filter(mine).cloned().collect();
    assert_eq!(kept.len(), 3, "{kept:?}");
    assert!(kept.contains(&future.to_owned()));
    assert!(others.iter().all(|other| dir.path().join(other).exists()));

    // One is kept, and it is the one that was just found good: the other one's name only says that it is newer.
    options["keep"] = 1.into();
    let path = ok(&cluster, &options)["snapshot"]["path"].clone();
    let kept: Vec<String> = names(dir.path()).iter().filter(mine).cloned().collect();
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert!(path.as_str().unwrap().ends_with(&kept[0]) && kept[1] == future);
}

/// Beyond those that are counted, whatever is young enough stays, and what is older goes.
#[test]
fn for_so_many_days_they_are_kept() {
    let cluster = Cluster::start(Version::V3_6, 1, Options::default());
    let dir = tempfile::tempdir().unwrap();
    let [young, old] = [6, 8].map(|days| {
        let taken = etcd_ops::clock::now() - jiff::SignedDuration::from_hours(days * 24);
        format!("etcd-main-{}-5.db", etcd_ops::clock::compact(taken))
    });
    for name in [&young, &old] {
        std::fs::write(dir.path().join(name), "x").unwrap();
    }
    let done = ok(&cluster, &json!({ "dir": dir.path(), "cluster_name": "main", "keep": 1, "keep_days": 7 }));
    assert_eq!(done["deleted"], json!([dir.path().join(old)]));
    let new = std::path::Path::new(done["snapshot"]["path"].as_str().unwrap()).file_name().unwrap();
    assert_eq!(names(dir.path()), [young.as_str(), new.to_str().unwrap()]);
}
