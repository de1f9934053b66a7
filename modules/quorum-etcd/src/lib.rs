//! The modules of the collection.

use ansible_protocol::Entry;

/// The table the executable dispatches on, in the order of the names.
pub const MODULES: &[Entry] = &[
    Entry::of::<etcd_auth::EtcdAuth>(),
    Entry::of::<etcd_cert::EtcdCert>(),
    Entry::of::<etcd_conf::EtcdConf>(),
    Entry::of::<etcd_data::EtcdData>(),
    Entry::of::<etcd_info::EtcdInfo>(),
    Entry::of::<etcd_inventory::EtcdInventory>(),
    Entry::of::<etcd_maintenance::EtcdMaintenance>(),
    Entry::of::<etcd_member::EtcdMember>(),
    Entry::of::<etcd_service::EtcdService>(),
    Entry::of::<etcd_snapshot::EtcdSnapshot>(),
];
