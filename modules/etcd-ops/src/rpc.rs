//! etcd's calls, as far as they are used here. Field numbers and paths from etcd's `api/etcdserverpb/rpc.proto`; fields
//! that nobody reads are left out.

/// Users, roles and permissions.
pub mod auth;
/// The member list, and changes to it.
pub mod cluster;
/// Keys and leases.
pub mod keys;
/// What one member is asked about itself.
pub mod maintenance;

/// A request, and what is answered to it.
pub trait Call: prost::Message {
    /// The service and the call's name in it.
    const PATH: &'static str;
    /// The answer; `()` where it says nothing that is not known already.
    type Answer: prost::Message + Default;
}

macro_rules! calls {
    ($($request:ident: $path:literal -> $answer:ty;)*) => {
        $(impl $crate::rpc::Call for $request {
            const PATH: &'static str = $path;
            type Answer = $answer;
        })*
    };
}
use calls;

/// The start of most answers.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Header {
    /// The cluster.
    #[prost(uint64, tag = "1")]
    pub cluster_id: u64,
    /// The member that answers.
    #[prost(uint64, tag = "2")]
    pub member_id: u64,
    /// The revision of its keys.
    #[prost(int64, tag = "3")]
    pub revision: i64,
}
