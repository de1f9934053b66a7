//! A connection to one member: the token that calls carry, and single calls. Messages pass through it as the bytes
//! they are, so that there is one piece of code for all calls.

use crate::rpc::Call;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response};
use prost::Message;
use prost::bytes::{Buf, BufMut, Bytes};
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder, Streaming};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Status};
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;

/// A channel that adds the token of whoever is logged in.
pub(crate) type RawChannel = BoxCloneSyncService<Request<Body>, Response<Body>, tonic::transport::Error>;

pub(crate) type Token = MetadataValue<Ascii>;

/// A token that several hold in common.
#[derive(Clone, Debug, Default)]
pub(crate) struct TokenCell(Arc<RwLock<Option<Token>>>);

impl TokenCell {
    pub(crate) fn get(&self) -> Option<Token> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set(&self, token: Option<Token>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = token;
    }
}

pub(crate) fn with_token(channel: Channel, token: TokenCell) -> RawChannel {
    let service = channel.map_request(move |mut request: Request<Body>| {
        if let Some(token) = token.get()
            && let Ok(value) = HeaderValue::from_bytes(token.as_encoded_bytes())
        {
            request.headers_mut().insert("authorization", value.clone());
            request.headers_mut().insert("token", value);
        }
        request
    });
    BoxCloneSyncService::new(service)
}

/// Whether a call is for a member that follows a leader only: one without a leader then says so at once, instead of
/// waiting for one to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leader {
    Wanted,
    NotNeeded,
}

/// What will be answered.
pub(crate) type Answer<T> = Pin<Box<dyn Future<Output = Result<T, Status>> + Send>>;

/// One call with one answer.
pub(crate) async fn unary<C: Call>(channel: &RawChannel, request: &C, leader: Leader) -> Result<C::Answer, Status> {
    decode(send(channel.clone(), C::PATH, request.encode_to_vec(), leader).await?)
}

pub(crate) fn send(channel: RawChannel, path: &'static str, message: Vec<u8>, leader: Leader) -> Answer<Bytes> {
    let mut request = tonic::Request::new(message);
    if leader == Leader::Wanted {
        request.metadata_mut().insert("hasleader", MetadataValue::from_static("true"));
    }
    Box::pin(async move {
        Ok(ready(channel).await?.unary(request, PathAndQuery::from_static(path), AsIs).await?.into_inner())
    })
}

/// One call with any number of answers; the first of them may be a refusal, so it is waited for.
pub(crate) fn stream(
    channel: RawChannel,
    path: &'static str,
    message: Vec<u8>,
) -> Answer<(Streaming<Bytes>, Option<Bytes>)> {
    let request = tonic::Request::new(message);
    Box::pin(async move {
        let answer = ready(channel).await?.server_streaming(request, PathAndQuery::from_static(path), AsIs).await?;
        let mut messages = answer.into_inner();
        let first = messages.message().await?;
        Ok((messages, first))
    })
}

async fn ready(channel: RawChannel) -> Result<Grpc<RawChannel>, Status> {
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.map_err(|error| Status::from_error(error.into()))?;
    Ok(grpc)
}

pub(crate) fn decode<M: Message + Default>(message: Bytes) -> Result<M, Status> {
    M::decode(message).map_err(|error| Status::new(Code::Internal, error.to_string()))
}

/// Messages as they are on the wire.
struct AsIs;

impl Codec for AsIs {
    type Encode = Vec<u8>;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for AsIs {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, target: &mut EncodeBuf<'_>) -> Result<(), Status> {
        target.put_slice(&item);
        Ok(())
    }
}

impl Decoder for AsIs {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(source.copy_to_bytes(source.remaining())))
    }
}
