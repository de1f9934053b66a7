use super::calls;

calls! {
    MemberList: "/etcdserverpb.Cluster/MemberList" -> Members;
    MemberAdd: "/etcdserverpb.Cluster/MemberAdd" -> ();
    MemberUpdate: "/etcdserverpb.Cluster/MemberUpdate" -> ();
    MemberPromote: "/etcdserverpb.Cluster/MemberPromote" -> ();
    MemberRemove: "/etcdserverpb.Cluster/MemberRemove" -> ();
}

/// Asks for the member list.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MemberList {
    /// As the leader has it.
    #[prost(bool, tag = "1")]
    pub linearizable: bool,
}

/// The member list.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Members {
    /// Who answers.
    #[prost(message, optional, tag = "1")]
    pub header: Option<super::Header>,
    /// All members.
    #[prost(message, repeated, tag = "2")]
    pub members: Vec<Member>,
}

/// A member as the list has it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Member {
    /// Its id.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// Its name; empty until it has started.
    #[prost(string, tag = "2")]
    pub name: String,
    /// Its peer URLs.
    #[prost(string, repeated, tag = "3")]
    pub peer_urls: Vec<String>,
    /// Its client URLs; none until it has started.
    #[prost(string, repeated, tag = "4")]
    pub client_urls: Vec<String>,
    /// Whether it only learns.
    #[prost(bool, tag = "5")]
    pub is_learner: bool,
}

/// Adds a member.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MemberAdd {
    /// Its peer URLs.
    #[prost(string, repeated, tag = "1")]
    pub peer_urls: Vec<String>,
    /// Whether it only learns.
    #[prost(bool, tag = "2")]
    pub is_learner: bool,
}

/// Sets a member's peer URLs.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MemberUpdate {
    /// The member.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// Its new peer URLs.
    #[prost(string, repeated, tag = "2")]
    pub peer_urls: Vec<String>,
}

/// Makes a voter of a learner.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MemberPromote {
    /// The learner.
    #[prost(uint64, tag = "1")]
    pub id: u64,
}

/// Removes a member.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MemberRemove {
    /// The member.
    #[prost(uint64, tag = "1")]
    pub id: u64,
}
