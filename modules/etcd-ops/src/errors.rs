//! Telling a member's errors apart: what kind each is, and the sentence with its cause and what to do next.

use ansible_protocol::{ErrorKind, Failure};
use tonic::{Code, Status};

/// Whether the member refused for want of a valid login: none given, or one it no longer accepts.
pub(crate) fn wants_login(status: &Status) -> bool {
    [
        "user name is empty",
        "invalid auth token",
        "revision in header is old",
        "revision of auth store is old",
        "user name not found in context",
    ]
    .iter()
    .any(|part| status.message().contains(part))
}

/// Whether these are the words in which a learner refuses what only voters do.
pub(crate) fn is_refused_by_learner(message: &str) -> bool {
    message.contains("rpc not supported for learner")
}

/// Whether the user is known but may not do this.
pub(crate) fn is_permission_denied(status: &Status) -> bool {
    status.code() == Code::PermissionDenied
}

/// The failure of a call: `cannot list the members on https://10.0.0.1:2379: …`, with what to do next.
pub(crate) fn etcd_failure(endpoint: &str, what: &str, status: &Status) -> Failure {
    let message = status.message();
    let has = |part: &str| message.contains(part);
    let (kind, hint) = if has("authentication is not enabled") {
        (ErrorKind::Conflict, "; authentication is off on this cluster: enable it with ./etcd.yml -t etcd_auth")
    } else if has("invalid user ID or password") {
        (ErrorKind::Auth, "; the password differs from the cluster's: correct etcd_root_password (or login_password)")
    } else if wants_login(status) || status.code() == Code::Unauthenticated {
        (ErrorKind::Auth, "; give login_user and login_password")
    } else if is_permission_denied(status) {
        (ErrorKind::Auth, "; log in as a user whose role permits it, such as root")
    } else if has("no leader") || has("leader changed") {
        (ErrorKind::NoLeader, "; the cluster has no leader: bring its other members up")
    } else if has("unhealthy cluster") || has("not enough started members") || has("re-configuration failed") {
        (ErrorKind::QuorumRisk, "")
    } else if has("request timed out") || status.code() == Code::DeadlineExceeded {
        (ErrorKind::Timeout, "; the cluster may be without a leader, or its disks too slow")
    } else if is_transport(status) {
        return transport_failure(endpoint, status).context(format!("cannot {what}"));
    } else {
        (ErrorKind::Conflict, "")
    };
    Failure::new(kind, format!("cannot {what} on {endpoint}: {message}{hint}"))
}

fn is_transport(status: &Status) -> bool {
    std::error::Error::source(status).is_some() || matches!(status.code(), Code::Unavailable | Code::Unknown)
}

/// The failure of a connection that the member takes and then closes without an answer.
pub(crate) fn hung_up(endpoint: &str, has_identity: bool, status: &Status) -> Failure {
    let causes: Vec<String> = std::iter::successors(std::error::Error::source(status), |error| error.source())
        .map(ToString::to_string)
        .collect();
    let closed = ["connection closed", "broken pipe", "Connection reset", "connection error"];
    if !closed.iter().any(|part| causes.iter().any(|cause| cause.contains(part))) {
        return transport_failure(endpoint, status);
    }
    let cause = match (endpoint.starts_with("https://"), has_identity) {
        (true, true) => "it does not accept client_cert, which may be of another authority or expired",
        (true, false) => "it wants a client certificate: give client_cert and client_key",
        (false, _) => "it may speak https on this port",
    };
    Failure::new(ErrorKind::Tls, format!("{endpoint} closes the connection: {cause}"))
}

/// The failure of a connection, told apart by its causes.
pub(crate) fn transport_failure(endpoint: &str, error: &dyn std::error::Error) -> Failure {
    let causes: Vec<String> =
        std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect();
    let all = causes.join(": ");
    let root = causes.last().map_or("", String::as_str);
    let has = |part: &str| all.contains(part);
    let (kind, cause) = if has("UnknownIssuer") || has("BadSignature") {
        (ErrorKind::Tls, "ca_cert does not hold the authority that issued its certificate".to_owned())
    } else if has("certificate expired") || has("Expired") {
        (ErrorKind::Tls, "a certificate has expired: renew it with ./etcd.yml -t etcd_cert".to_owned())
    } else if has("NotValidForName") || has("not valid for name") {
        (ErrorKind::Tls, "its certificate does not name this address: renew it with ./etcd.yml -t etcd_cert".to_owned())
    } else if has("CertificateRequired") || has("BadCertificate") || has("UnknownCA") || has("CertificateUnknown") {
        (ErrorKind::Tls, format!("it does not accept our client certificate ({root})"))
    } else if has("KeyMismatch") {
        (ErrorKind::Tls, "client_key does not belong to client_cert".to_owned())
    } else if has("InvalidContentType") || has("corrupt message") || has("tls handshake eof") {
        (ErrorKind::Tls, "it does not speak TLS on this port: is it http?".to_owned())
    } else if has("certificate") || has("tls") || has("TLS") || has("received fatal alert") {
        (ErrorKind::Tls, root.to_owned())
    } else {
        (ErrorKind::Unreachable, root.to_owned())
    };
    Failure::new(kind, format!("{endpoint} does not answer: {cause}"))
}
