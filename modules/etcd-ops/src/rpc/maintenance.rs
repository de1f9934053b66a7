use super::calls;

calls! {
    HealthCheck: "/grpc.health.v1.Health/Check" -> ();
    StatusOf: "/etcdserverpb.Maintenance/Status" -> Status;
    HashKv: "/etcdserverpb.Maintenance/HashKV" -> Hash;
    MoveLeader: "/etcdserverpb.Maintenance/MoveLeader" -> ();
    Snapshot: "/etcdserverpb.Maintenance/Snapshot" -> Part;
}

/// gRPC's own question for the health of the whole server.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HealthCheck {}

/// Asks for the member's status.
#[derive(Clone, PartialEq, prost::Message)]
pub struct StatusOf {}

/// A member's status.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Status {
    /// Who answers.
    #[prost(message, optional, tag = "1")]
    pub header: Option<super::Header>,
    /// Its version.
    #[prost(string, tag = "2")]
    pub version: String,
    /// Bytes of its database.
    #[prost(int64, tag = "3")]
    pub db_size: i64,
    /// The leader it follows; 0 without one.
    #[prost(uint64, tag = "4")]
    pub leader: u64,
    /// The newest entry of its log.
    #[prost(uint64, tag = "5")]
    pub raft_index: u64,
    /// The term it is in.
    #[prost(uint64, tag = "6")]
    pub raft_term: u64,
    /// The newest entry that its data has.
    #[prost(uint64, tag = "7")]
    pub raft_applied_index: u64,
    /// Alarms and the like.
    #[prost(string, repeated, tag = "8")]
    pub errors: Vec<String>,
    /// Bytes of its database that hold something.
    #[prost(int64, tag = "9")]
    pub db_size_in_use: i64,
}

/// Asks for the hash of all keys.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HashKv {
    /// At this revision; 0 for the newest.
    #[prost(int64, tag = "1")]
    pub revision: i64,
}

/// The hash of all keys.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Hash {
    /// Who answers.
    #[prost(message, optional, tag = "1")]
    pub header: Option<super::Header>,
    /// The hash.
    #[prost(uint32, tag = "2")]
    pub hash: u32,
}

/// Has the leader hand over to another member.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MoveLeader {
    /// Who is to lead.
    #[prost(uint64, tag = "1")]
    pub target_id: u64,
}

/// Asks for the whole database.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Snapshot {}

/// A part of the database.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Part {
    /// Bytes of the database that are still to come after these.
    #[prost(uint64, tag = "2")]
    pub remaining_bytes: u64,
    /// These.
    #[prost(bytes = "bytes", tag = "3")]
    pub blob: prost::bytes::Bytes,
}
