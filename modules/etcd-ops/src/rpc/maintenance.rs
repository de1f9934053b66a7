use super::calls;

calls! {
    HealthCheck: "/grpc.health.v1.Health/Check" -> ();
    StatusOf: "/etcdserverpb.Maintenance/Status" -> Status;
    HashKv: "/etcdserverpb.Maintenance/HashKV" -> Hash;
    Defragment: "/etcdserverpb.Maintenance/Defragment" -> ();
    Alarm: "/etcdserverpb.Maintenance/Alarm" -> Alarms;
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
    /// The revision up to which the member has compacted. Hashes with different ones say nothing of each other.
    #[prost(int64, tag = "3")]
    pub compact_revision: i64,
}

/// Rewrites the member's database without its holes. The member answers nobody meanwhile.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Defragment {}

/// Asks for alarms, or ends one.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Alarm {
    /// 0 asks, 2 ends.
    #[prost(int32, tag = "1")]
    pub action: i32,
    /// Whose.
    #[prost(uint64, tag = "2")]
    pub member_id: u64,
    /// 0 for any, [`NOSPACE`] or [`CORRUPT`].
    #[prost(int32, tag = "3")]
    pub alarm: i32,
}

/// The alarm of a member whose database is as large as its quota allows.
pub const NOSPACE: i32 = 1;
/// The alarm of a member whose data differs.
pub const CORRUPT: i32 = 2;

impl Alarm {
    /// All alarms.
    pub const ALL: Self = Self { action: 0, member_id: 0, alarm: 0 };

    /// Ends an alarm.
    #[must_use]
    pub fn over(raised: &Raised) -> Self {
        Self { action: 2, member_id: raised.member_id, alarm: raised.alarm }
    }
}

/// The alarms there are.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Alarms {
    /// Each of them.
    #[prost(message, repeated, tag = "2")]
    pub alarms: Vec<Raised>,
}

/// An alarm.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Raised {
    /// Whose.
    #[prost(uint64, tag = "1")]
    pub member_id: u64,
    /// [`NOSPACE`] or [`CORRUPT`].
    #[prost(int32, tag = "2")]
    pub alarm: i32,
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
