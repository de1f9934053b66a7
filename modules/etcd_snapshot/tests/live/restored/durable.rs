use super::{options, single, tree, with};
use crate::interrupted::{Tmpfs, command};
use etcd_testbed::Version;
use etcd_trial::durability::{Event, names, unsafe_names, watch};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// Restores, and returns what was renamed: from where, to where. All that is in the places that were `made` was on disk
/// before they got their names.
#[track_caller]
fn restore(options: &Value, made: &[&Path]) -> Vec<(PathBuf, PathBuf)> {
    let events = watch(&command(options)).unwrap();
    assert_eq!(unsafe_names(&events), [""; 0]);
    for place in made {
        let put = |event: &Event| matches!(event, Event::Name { to, .. } if to == place);
        let at = events.iter().position(put).unwrap();
        let Event::Name { from, .. } = &events[at] else { continue };
        // The tool wrote it, in a process of its own, so what this one has written says nothing about it.
        let all = tree(place).into_iter().map(|(path, ..)| from.join(path.strip_prefix(place).unwrap()));
        for path in all.chain([from.clone()]) {
            assert!(events[..at].contains(&Event::Sync(path.clone())), "{}", path.display());
        }
    }
    names(&events).map(|(from, to)| (from.into(), to.into())).collect()
}

#[test]
fn data_gets_its_name_when_it_is_on_disk_and_the_name_stays() {
    let (file, cluster) = single(Version::V3_6);
    let (member, data_dir) = (cluster.member(0), cluster.member(0).data_dir());
    let options = options(&cluster, member, &file);
    for round in [1, 2] {
        let options = with(&options, &json!({ "initial_cluster_token": format!("round-{round}") }));
        let renamed = restore(&options, &[&data_dir]);
        // The old data goes before the new comes.
        assert_eq!(renamed.len(), round);
        assert!(round == 1 || renamed[0].0 == data_dir, "{renamed:?}");
    }
    member.start();
    assert!(cluster.etcdctl(&["get", "key"]).contains("value"));
}

/// In the places where `member` and the log have names of their own.
#[test]
fn what_goes_into_a_mount_point_and_a_log_apart_is_on_disk_as_well() {
    let (file, cluster) = single(Version::V3_6);
    let (data_dir, wal) = (cluster.member(0).data_dir(), cluster.directory().join("log"));
    fs::create_dir(&data_dir).unwrap();
    let _mount = Tmpfs::mount(&data_dir, "600m");
    let options = with(&options(&cluster, cluster.member(0), &file), &json!({ "wal_dir": wal }));
    for round in [1, 2] {
        let options = with(&options, &json!({ "initial_cluster_token": format!("round-{round}") }));
        let renamed = restore(&options, &[&data_dir.join("member"), &wal]);
        assert_eq!(renamed.len(), 2 * round, "{renamed:?}");
    }
}
