use super::calls;

calls! {
    Range: "/etcdserverpb.KV/Range" -> Keys;
    LeaseLeases: "/etcdserverpb.Lease/LeaseLeases" -> Leases;
    LeaseTimeToLive: "/etcdserverpb.Lease/LeaseTimeToLive" -> TimeToLive;
}

/// Asks for keys.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Range {
    /// The first key.
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    /// The key after the last one; empty for a single key, a zero byte for all from the first on.
    #[prost(bytes = "vec", tag = "2")]
    pub range_end: Vec<u8>,
    /// So many keys at most; 0 for all.
    #[prost(int64, tag = "3")]
    pub limit: i64,
    /// What this member has itself, without asking the leader.
    #[prost(bool, tag = "7")]
    pub serializable: bool,
    /// Without values.
    #[prost(bool, tag = "8")]
    pub keys_only: bool,
    /// Only how many there are.
    #[prost(bool, tag = "9")]
    pub count_only: bool,
}

/// Keys in their order.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Keys {
    /// The keys.
    #[prost(message, repeated, tag = "2")]
    pub keys: Vec<Key>,
    /// Whether there are more than the limit allows.
    #[prost(bool, tag = "3")]
    pub more: bool,
    /// How many there are without the limit.
    #[prost(int64, tag = "4")]
    pub count: i64,
}

/// A key.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Key {
    /// Its name.
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
}

/// Asks for all leases.
#[derive(Clone, PartialEq, prost::Message)]
pub struct LeaseLeases {}

/// All leases.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Leases {
    /// The leases.
    #[prost(message, repeated, tag = "2")]
    pub leases: Vec<Lease>,
}

/// A lease.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Lease {
    /// Its id.
    #[prost(int64, tag = "1")]
    pub id: i64,
}

/// Asks how long a lease lasts.
#[derive(Clone, PartialEq, prost::Message)]
pub struct LeaseTimeToLive {
    /// The lease.
    #[prost(int64, tag = "1")]
    pub id: i64,
}

/// How long a lease lasts.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TimeToLive {
    /// In seconds; -1 when it is over.
    #[prost(int64, tag = "3")]
    pub ttl: i64,
}
