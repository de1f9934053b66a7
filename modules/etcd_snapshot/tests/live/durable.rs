use crate::interrupted::command;
use etcd_testbed::{Cluster, Options, Version};
use etcd_trial::durability::{Event, names, unsafe_names, watch};
use serde_json::json;
use std::path::Path;

#[test]
fn a_snapshot_gets_its_name_when_it_is_on_disk_and_the_name_stays() {
    let cluster = Cluster::start(Version::V3_6, 1, Options::default());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("saved.db");
    let old = dir.path().join("etcd-main-20200101T000000Z-5.db");
    std::fs::write(&path, "").unwrap();
    std::fs::write(&old, "").unwrap();
    // A name that is free, with an old snapshot that goes, and one that is taken: the kernel is asked otherwise.
    for place in [json!({ "dir": dir.path(), "cluster_name": "main", "keep": 1 }), json!({ "path": path })] {
        let options = super::restored::with(&place, &json!({ "endpoints": cluster.endpoints() }));
        let events = watch(&command(&options)).unwrap();
        assert_eq!(unsafe_names(&events), [""; 0]);
        // Otherwise this would prove nothing.
        let given: Vec<(&Path, &Path)> = names(&events).collect();
        let [(part, name)] = given[..] else { panic!("{given:?}") };
        assert!(events.contains(&Event::Write(part.into())) && super::verify(name).is_ok(), "{events:?}");
        assert_eq!(events.contains(&Event::Remove(old.clone())), place.get("keep").is_some());
    }
}
