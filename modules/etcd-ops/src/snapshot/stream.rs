use super::{SEAL_LENGTH, Seal};
use crate::client::MemberClient;
use crate::errors::etcd_failure;
use ansible_protocol::{ErrorKind, Failure};
use etcd_client::SnapshotResponse;
use std::time::Duration;
use tokio::time::Instant;

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
    let (mut messages, first) = begin
        .call(what, async |client| {
            let mut messages = client.maintenance_client().snapshot().await?;
            let first = messages.message().await?;
            Ok((messages, first))
        })
        .await?;
    let total = first.as_ref().map_or(0, |first| first.remaining_bytes() + first.blob().len() as u64);
    let mut receipt = Receipt { total, got: 0, hash: Seal::default(), seal: Vec::new() };
    sink.expect(total + SEAL_LENGTH as u64)?;
    let mut message = first;
    while let Some(part) = message {
        receipt.take(&part, sink).map_err(|failure| failure.unwrap_or_else(|| receipt.cut_short(endpoint)))?;
        let silent_at = Instant::now() + patience.silence;
        let next = tokio::time::timeout_at(patience.deadline.min(silent_at), messages.message()).await;
        message = next.map_err(|_| receipt.late(endpoint, patience))?.map_err(|error| {
            let progress = format!("the snapshot was cut short after {} of {} bytes", receipt.got, receipt.total);
            etcd_failure(endpoint, "go on", &error).context(progress)
        })?;
    }
    receipt.check(endpoint)
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
    fn take(&mut self, message: &SnapshotResponse, sink: &mut dyn Sink) -> Result<(), Option<Failure>> {
        let blob = message.blob();
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
