use super::{SEAL_LENGTH, Seal};
use crate::channel::decode;
use crate::client::MemberClient;
use crate::errors::etcd_failure;
use crate::rpc::maintenance::{Part, Snapshot};
use ansible_protocol::{ErrorKind, Failure};
use std::time::Duration;
use tokio::time::Instant;
use tonic::Status;

/// Where a snapshot goes.
pub trait Sink {
    /// Is told first how many bytes there will be.
    ///
    /// # Errors
    ///
    /// When there is no room for them.
    fn expect(&mut self, size: u64) -> Result<(), Failure>;

    /// Takes the next bytes.
    ///
    /// # Errors
    ///
    /// When they cannot be written.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure>;
}

/// How long to wait for a member.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// When the last byte must have come.
    pub deadline: Instant,
    /// How long a member may send nothing.
    pub silence: Duration,
}

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Streamed {
    /// Bytes of the database and its SHA-256.
    pub size: u64,
    /// SHA-256 of all of them.
    pub sha256: String,
}

/// Has a member send its database, and checks what comes against the SHA-256 that it sends last.
///
/// # Errors
///
/// The sink's own, `auth`, `unreachable` when the member dies on the way, `timeout`, and `conflict` when the SHA-256
/// does not fit.
pub async fn stream(client: &MemberClient, patience: Patience, sink: &mut dyn Sink) -> Result<Streamed, Failure> {
    let what = "take a snapshot";
    let endpoint = client.endpoint();
    let begin = client.with_deadline(patience.deadline);
    // A member may also refuse in place of the first message.
    let answer = begin.stream(what, &Snapshot {}).await.map_err(without_goodbye)?;
    let refused = |status: Status| without_goodbye(etcd_failure(endpoint, what, &with_code(status)));
    let (mut messages, first) = answer.map_err(refused)?;
    let first: Option<Part> = first.map(decode).transpose().map_err(refused)?;
    let total = first.as_ref().map_or(0, |first| first.remaining_bytes + first.blob.len() as u64);
    let mut receipt = Receipt { total, got: 0, hash: Seal::default(), seal: Vec::new() };
    sink.expect(total + SEAL_LENGTH as u64)?;
    let mut message = first;
    while let Some(part) = message {
        receipt.take(&part.blob, sink).map_err(|failure| failure.unwrap_or_else(|| receipt.cut_short(endpoint)))?;
        // The next one comes into the same memory.
        drop(part);
        let silent_at = Instant::now() + patience.silence;
        let next = tokio::time::timeout_at(patience.deadline.min(silent_at), messages.message()).await;
        let next = next.map_err(|_| receipt.late(endpoint, patience))?;
        let next = next.and_then(|next| next.map(decode).transpose());
        message = next.map_err(|status| {
            let progress = format!("the snapshot was cut short after {} of {} bytes", receipt.got, receipt.total);
            without_goodbye(etcd_failure(endpoint, "go on", &status)).context(progress)
        })?;
    }
    receipt.check(endpoint)
}

/// 3.4 refuses snapshots without saying that it is for want of permission, but in words.
fn with_code(status: Status) -> Status {
    if status.message().contains("permission denied") { Status::permission_denied(status.message()) } else { status }
}

/// The connection of a member that dies ends without TLS's goodbye. There is nothing wrong with certificates then.
fn without_goodbye(mut failure: Failure) -> Failure {
    if let Some((start, _)) = failure.msg.split_once(": peer closed connection without sending TLS close_notify") {
        failure.msg = format!("{start}: it closed the connection, the member may have died");
        failure.kind = ErrorKind::Unreachable;
    }
    failure
}

/// What came so far.
struct Receipt {
    /// Bytes of the database.
    total: u64,
    got: u64,
    hash: Seal,
    seal: Vec<u8>,
}

impl Receipt {
    /// Passes a message on. Fails without a failure when the member has nothing more to send before the end.
    fn take(&mut self, blob: &[u8], sink: &mut dyn Sink) -> Result<(), Option<Failure>> {
        let rest = usize::try_from(self.total - self.got).unwrap_or(usize::MAX);
        if blob.is_empty() && rest > 0 {
            return Err(None);
        }
        let (body, seal) = blob.split_at(rest.min(blob.len()));
        sink.write(blob).map_err(Some)?;
        self.hash.update(body);
        self.got += body.len() as u64;
        self.seal.extend_from_slice(seal);
        if self.seal.len() > SEAL_LENGTH { Err(None) } else { Ok(()) }
    }

    fn check(mut self, endpoint: &str) -> Result<Streamed, Failure> {
        if self.got < self.total || self.seal.len() != SEAL_LENGTH {
            return Err(self.cut_short(endpoint));
        }
        if !self.hash.fits(&self.seal) {
            let msg = format!(
                "the snapshot from {endpoint} does not fit the SHA-256 that came with it: its {} bytes were changed on \
                 the way, or the member's memory is at fault; take it again, from another member",
                self.total
            );
            return Err(Failure::new(ErrorKind::Conflict, msg));
        }
        self.hash.update(&self.seal);
        Ok(Streamed { size: self.total + SEAL_LENGTH as u64, sha256: self.hash.hex() })
    }

    fn cut_short(&self, endpoint: &str) -> Failure {
        let msg = format!(
            "{endpoint} ended the snapshot after {} of {} bytes: it may not be able to read its own database, see its \
             log; take it from another member",
            self.got, self.total
        );
        Failure::new(ErrorKind::Conflict, msg)
    }

    fn late(&self, endpoint: &str, patience: Patience) -> Failure {
        let progress = format!("{} of {} bytes had come", self.got, self.total);
        let msg = if Instant::now() >= patience.deadline {
            format!("the snapshot from {endpoint} took too long: {progress}; give it more time with timeout")
        } else {
            let seconds = patience.silence.as_secs();
            format!("{endpoint} has sent nothing for {seconds} s, and {progress}: it may hang; see to that member")
        };
        Failure::new(ErrorKind::Timeout, msg)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block_on;
    use crate::connection::{Connection, Session};
    use etcd_client::{Certificate, Client, ConnectOptions, Identity, TlsOptions};
    use etcd_testbed::{Cluster, Options, Version};
    use proptest::prelude::*;
    use serde_json::json;
    use std::path::Path;
    use test_case::test_case;

    /// Keeps what comes, and does something once the first bytes are there.
    struct Memory<'a> {
        expected: u64,
        bytes: Vec<u8>,
        then: &'a dyn Fn(),
    }

    impl Sink for Memory<'_> {
        fn expect(&mut self, size: u64) -> Result<(), Failure> {
            self.expected = size;
            Ok(())
        }

        fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
            if self.bytes.is_empty() {
                (self.then)();
            }
            self.bytes.extend_from_slice(bytes);
            Ok(())
        }
    }

    fn memory(then: &dyn Fn()) -> Memory<'_> {
        Memory { expected: 0, bytes: Vec::new(), then }
    }

    /// A member with more than fits into buffers on the way, and a session with it.
    fn large(tls: bool) -> (Cluster, Session) {
        let cluster = Cluster::start(Version::V3_6, 1, Options { tls, ..Options::default() });
        let mut connection = json!({ "endpoints": cluster.endpoints(), "timeout": 60, "dial_timeout": 5 });
        if tls {
            connection["ca_cert"] = json!(cluster.pki().ca_cert());
            connection["client_cert"] = json!(cluster.pki().client().cert);
            connection["client_key"] = json!(cluster.pki().client().key);
        }
        let connection: Connection = serde_json::from_value(connection).unwrap();
        let session = Session::new(&connection).unwrap();
        block_on(async {
            let options = tls.then(|| {
                let read = |path: &Path| std::fs::read(path).unwrap();
                let pki = cluster.pki();
                let identity = Identity::from_pem(read(&pki.client().cert), read(&pki.client().key));
                let authority = Certificate::from_pem(read(&pki.ca_cert()));
                ConnectOptions::new().with_tls(TlsOptions::new().ca_certificate(authority).identity(identity))
            });
            let mut client = Client::connect(cluster.endpoints(), options).await.unwrap();
            for key in 0..40 {
                client.put(format!("/{key}"), vec![key; 1 << 20], None).await.unwrap();
            }
            Ok(())
        })
        .unwrap();
        (cluster, session)
    }

    fn take(session: &Session, silence: u64, then: &dyn Fn()) -> (Result<Streamed, Failure>, Vec<u8>, u64) {
        let mut sink = memory(then);
        let patience = Patience { deadline: session.deadline(), silence: Duration::from_secs(silence) };
        let result = block_on(async { stream(&session.connect_any().await?, patience, &mut sink).await });
        (result, sink.bytes, sink.expected)
    }

    #[test_case(false; "plain")]
    #[test_case(true; "tls")]
    fn it_comes_whole_or_not_at_all(tls: bool) {
        let (cluster, session) = large(tls);
        let (streamed, bytes, expected) = take(&session, 30, &|| {});
        let streamed = streamed.unwrap();
        assert_eq!((bytes.len() as u64, expected), (streamed.size, streamed.size));
        let path = cluster.directory().join("saved.db");
        std::fs::write(&path, bytes).unwrap();
        let found = crate::snapshot::verify(&path, false).unwrap();
        assert_eq!((found.size, found.sha256), (streamed.size, streamed.sha256));

        let failure = take(&session, 2, &|| cluster.member(0).freeze()).0.unwrap_err();
        assert_eq!(failure.kind, ErrorKind::Timeout);
        let (cause, next) = ("has sent nothing for 2 s, and ", "bytes had come: it may hang; see to that member");
        assert!(failure.msg.contains(cause) && failure.msg.ends_with(next), "{failure}");
        cluster.member(0).thaw();
        let failure = take(&session, 30, &|| cluster.member(0).kill()).0.unwrap_err();
        assert_eq!(failure.kind, ErrorKind::Unreachable, "{failure}");
        assert!(failure.msg.starts_with("the snapshot was cut short after "), "{failure}");
    }

    fn receive(messages: &[&[u8]], total: u64) -> Result<(Streamed, Vec<u8>), Failure> {
        let mut receipt = Receipt { total, got: 0, hash: Seal::default(), seal: Vec::new() };
        let mut sink = memory(&|| {});
        for message in messages {
            receipt.take(message, &mut sink).map_err(|failure| failure.unwrap_or_else(|| receipt.cut_short("a")))?;
        }
        receipt.check("a").map(|streamed| (streamed, sink.bytes))
    }

    proptest! {
        /// However it is cut into messages, it is taken whole; and nothing else is.
        #[test]
        fn only_what_was_sent_is_taken(
            body in prop::collection::vec(any::<u8>(), 1..300),
            size in 1..100_usize,
            bit: prop::sample::Index,
            end: prop::sample::Index,
        ) {
            let total = body.len() as u64;
            let mut whole = body.clone();
            whole.extend_from_slice(ring::digest::digest(&ring::digest::SHA256, &body).as_ref());
            let (streamed, bytes) = receive(&whole.chunks(size).collect::<Vec<_>>(), total).unwrap();
            prop_assert_eq!(streamed.size, whole.len() as u64);
            prop_assert_eq!(&bytes, &whole);
            let apart = [&whole[..body.len()], &whole[body.len()..]];
            prop_assert_eq!(receive(&apart, total).unwrap().1, bytes);

            let cut = &whole[..end.index(whole.len())];
            prop_assert!(receive(&cut.chunks(size).collect::<Vec<_>>(), total).is_err());
            let mut changed = whole.clone();
            let bit = bit.index(whole.len() * 8);
            changed[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(receive(&changed.chunks(size).collect::<Vec<_>>(), total).is_err());
            whole.push(0);
            prop_assert!(receive(&whole.chunks(size).collect::<Vec<_>>(), total).is_err());
            prop_assert!(receive(&[&body[..body.len() - 1], &[]], total).is_err());
        }
    }
}
