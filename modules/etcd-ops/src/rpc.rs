//! The calls that etcd-client 0.21 lacks: `AuthStatus`, the linearizable `MemberList`, and gRPC's health check.
//! Field numbers from etcd's `api/etcdserverpb/rpc.proto`.

use tonic::Status;
use tonic::client::GrpcService;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::codegen::{Body, Bytes, StdError};

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ResponseHeader {
    #[prost(uint64, tag = "1")]
    pub(crate) cluster_id: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) member_id: u64,
    #[prost(int64, tag = "3")]
    pub(crate) revision: i64,
    #[prost(uint64, tag = "4")]
    pub(crate) raft_term: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct AuthStatusRequest {}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct AuthStatusResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) header: Option<ResponseHeader>,
    #[prost(bool, tag = "2")]
    pub(crate) enabled: bool,
    #[prost(uint64, tag = "3")]
    pub(crate) auth_revision: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct MemberListRequest {
    #[prost(bool, tag = "1")]
    pub(crate) linearizable: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct MemberListResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) header: Option<ResponseHeader>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) members: Vec<Member>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Member {
    #[prost(uint64, tag = "1")]
    pub(crate) id: u64,
    #[prost(string, tag = "2")]
    pub(crate) name: String,
    #[prost(string, repeated, tag = "3")]
    pub(crate) peer_urls: Vec<String>,
    #[prost(string, repeated, tag = "4")]
    pub(crate) client_urls: Vec<String>,
    #[prost(bool, tag = "5")]
    pub(crate) is_learner: bool,
}

/// From gRPC's `health.proto`; an empty service means the whole server.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct HealthCheckRequest {}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct HealthCheckResponse {
    #[prost(int32, tag = "1")]
    pub(crate) status: i32,
}

pub(crate) const HEALTH: &str = "/grpc.health.v1.Health/Check";
pub(crate) const AUTH_STATUS: &str = "/etcdserverpb.Auth/AuthStatus";
pub(crate) const MEMBER_LIST: &str = "/etcdserverpb.Cluster/MemberList";

/// One unary call.
pub(crate) async fn unary<Service, Request, Response>(
    channel: Service,
    path: &'static str,
    request: Request,
) -> Result<Response, Status>
where
    Service: GrpcService<tonic::body::Body>,
    Service::Error: Into<StdError>,
    Service::ResponseBody: Body<Data = Bytes> + Send + 'static,
    <Service::ResponseBody as Body>::Error: Into<StdError> + Send,
    Request: prost::Message + Send + Sync + 'static,
    Response: prost::Message + std::default::Default + Send + Sync + 'static,
{
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.map_err(|error| Status::from_error(error.into()))?;
    let codec = tonic_prost::ProstCodec::<Request, Response>::default();
    let response = grpc.unary(tonic::Request::new(request), PathAndQuery::from_static(path), codec).await?;
    Ok(response.into_inner())
}
