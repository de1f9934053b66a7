use super::{Header, calls};

calls! {
    Range: "/etcdserverpb.KV/Range" -> Keys;
    Txn: "/etcdserverpb.KV/Txn" -> Decided;
    Compact: "/etcdserverpb.KV/Compact" -> ();
    LeaseGrant: "/etcdserverpb.Lease/LeaseGrant" -> Granted;
    LeaseRevoke: "/etcdserverpb.Lease/LeaseRevoke" -> ();
    LeaseKeepAlive: "/etcdserverpb.Lease/LeaseKeepAlive" -> TimeToLive;
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
    /// As they were at this revision; 0 for as they are.
    #[prost(int64, tag = "4")]
    pub revision: i64,
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
    /// Who answers.
    #[prost(message, optional, tag = "1")]
    pub header: Option<super::Header>,
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
    /// The revision at which it was written last.
    #[prost(int64, tag = "3")]
    pub mod_revision: i64,
    /// Its value.
    #[prost(bytes = "vec", tag = "5")]
    pub value: Vec<u8>,
}

/// Writes keys if all that is compared is so; otherwise nothing.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Txn {
    /// What is compared.
    #[prost(message, repeated, tag = "1")]
    pub compare: Vec<Unchanged>,
    /// What is done then.
    #[prost(message, repeated, tag = "2")]
    pub success: Vec<Operation>,
}

impl Txn {
    /// Puts a key if each of the keys was written last at the revision beside it, 0 for one that does not exist.
    #[must_use]
    pub fn put(put: Put, unchanged: &[(&str, i64)]) -> Self {
        let unchanged = unchanged.iter().map(|(key, mod_revision)| Unchanged {
            target: 2,
            key: key.as_bytes().to_vec(),
            mod_revision: *mod_revision,
        });
        Self { compare: unchanged.collect(), success: vec![Operation { put: Some(put) }] }
    }
}

/// That a key was written last at this revision. The comparison itself is etcd's `EQUAL`, whose number is 0.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Unchanged {
    /// What of the key is compared; 2 for the revision of the last write.
    #[prost(int32, tag = "2")]
    pub target: i32,
    /// The key.
    #[prost(bytes = "vec", tag = "3")]
    pub key: Vec<u8>,
    /// The revision; 0 when the key does not exist.
    #[prost(int64, tag = "6")]
    pub mod_revision: i64,
}

/// A step of a transaction.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Operation {
    /// Writes a key.
    #[prost(message, optional, tag = "2")]
    pub put: Option<Put>,
}

/// Writes a key.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Put {
    /// The key.
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    /// Its value.
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
    /// The lease it goes with; 0 for none.
    #[prost(int64, tag = "3")]
    pub lease: i64,
}

/// Forgets what keys were before a revision.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Compact {
    /// The revision.
    #[prost(int64, tag = "1")]
    pub revision: i64,
    /// Whether it is answered only once that is done, and not already when it is decided.
    #[prost(bool, tag = "2")]
    pub physical: bool,
}

/// What became of a transaction.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Decided {
    /// With the revision of what was written.
    #[prost(message, optional, tag = "1")]
    pub header: Option<Header>,
    /// Whether all that was compared was so.
    #[prost(bool, tag = "2")]
    pub succeeded: bool,
}

/// Asks for a lease.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct LeaseGrant {
    /// In seconds; members may choose a longer time.
    #[prost(int64, tag = "1")]
    pub ttl: i64,
}

/// A lease that was granted.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Granted {
    /// Its id.
    #[prost(int64, tag = "2")]
    pub id: i64,
}

/// Ends a lease, and the keys that go with it.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct LeaseRevoke {
    /// The lease.
    #[prost(int64, tag = "1")]
    pub id: i64,
}

/// Makes a lease last as long as when it was granted, from now on. etcd takes any number of these in one call; here it
/// is one.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct LeaseKeepAlive {
    /// The lease.
    #[prost(int64, tag = "1")]
    pub id: i64,
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
    /// In seconds; -1 when it is over, 0 when it was to be kept alive and is over.
    #[prost(int64, tag = "3")]
    pub ttl: i64,
}
