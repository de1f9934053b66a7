use super::Site;
use etcd_testbed::{Options, Version};
use etcd_trial::durability::{Event, names, unsafe_names, watch};
use serde_json::json;
use std::collections::BTreeSet;

/// The snapshot, its copy, and what is known of them.
#[test]
fn files_get_their_names_when_they_are_on_disk_and_the_names_stay() {
    let site = Site::start(Version::V3_6, 1, Options::tls());
    let copies = site.disks.path().join("copies");
    site.configure(0, &json!({ "copy_to": [{ "path": copies, "anywhere": true }] }));
    let events = watch(&site.command(0, &[])).unwrap();
    assert_eq!(unsafe_names(&events), [""; 0]);
    let named: BTreeSet<_> = names(&events).map(|(_, name)| name.to_owned()).collect();
    let (disk, snapshot) = (site.disk(0), site.snapshots(0).remove(0));
    let copy = copies.join(snapshot.file_name().unwrap());
    assert_eq!(named, [snapshot, copy, disk.join("status.json"), disk.join("etcd_backup.prom")].into());
    // Otherwise this would prove nothing.
    assert!(names(&events).all(|(part, _)| events.contains(&Event::Write(part.into()))), "{events:?}");
}
