/// The cluster of a host that names none.
pub const CLUSTER: &str = "etcd";
/// `etcd_port`.
pub const CLIENT_PORT: u16 = 2379;
/// `etcd_peer_port`.
pub const PEER_PORT: u16 = 2380;
/// `etcd_data`.
pub const DATA_DIR: &str = "/data/etcd";
