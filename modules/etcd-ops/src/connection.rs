//! The connection options that all modules share, and the TLS they lead to.

use crate::channel::TokenCell;
use crate::client::MemberClient;
use ansible_protocol::{Default, ErrorKind, Failure, Fragment, Kind, Opt};
use secrecy::SecretString;
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

/// The option table of [`Connection`].
pub const CONNECTION: Fragment = Fragment {
    name: "connection",
    options: &[
        Opt::new(
            "endpoints",
            Kind::List(&Kind::Str),
            &["Client URLs of the cluster's members, tried in this order; C(https) unless a URL says otherwise."],
        )
        .default(Default::Strs(&["https://127.0.0.1:2379"]))
        .env("ETCDCTL_ENDPOINTS"),
        Opt::new("ca_cert", Kind::Path, &["The certificate authority that the members' certificates must come from."])
            .env("ETCDCTL_CACERT"),
        Opt::new("client_cert", Kind::Path, &["The certificate presented to the members."]).env("ETCDCTL_CERT"),
        Opt::new("client_key", Kind::Path, &["The key of O(client_cert)."]).env("ETCDCTL_KEY"),
        Opt::new("login_user", Kind::Str, &["The etcd user to log in as, when the cluster asks for one."]),
        Opt::new("login_password", Kind::Str, &["The password of O(login_user)."]).no_log().env("ETCDCTL_PASSWORD"),
        Opt::new("timeout", Kind::Int, &["Seconds for the whole operation."]).default(Default::Int(60)),
        Opt::new("dial_timeout", Kind::Int, &["Seconds to wait for one endpoint to answer."]).default(Default::Int(3)),
    ],
};

/// Where and how to reach a cluster. Deserialised beside a module's own parameters.
#[derive(Clone, Debug, Deserialize)]
pub struct Connection {
    /// Client URLs, in the order they are tried.
    pub endpoints: Vec<String>,
    /// The authority of the servers.
    pub ca_cert: Option<PathBuf>,
    /// The client's certificate.
    pub client_cert: Option<PathBuf>,
    /// Its key.
    pub client_key: Option<PathBuf>,
    /// The user to log in as.
    pub login_user: Option<String>,
    /// The user's password.
    pub login_password: Option<SecretString>,
    /// Seconds for the whole operation.
    pub timeout: u64,
    /// Seconds for one endpoint.
    pub dial_timeout: u64,
}

/// User and password.
#[derive(Clone, Debug)]
pub struct Login {
    /// The etcd user.
    pub user: String,
    /// The password.
    pub password: SecretString,
}

/// The TLS of a session.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    pub(crate) config: ClientTlsConfig,
    /// Whether a certificate is presented.
    pub(crate) has_identity: bool,
}

/// A checked connection, its certificates read, and the time by which all must be done.
#[derive(Clone, Debug)]
pub struct Session {
    endpoints: Vec<String>,
    pub(crate) tls: Option<Tls>,
    pub(crate) login: Option<Arc<Login>>,
    /// What a member gave to whoever logged in last; good at all members.
    pub(crate) token: TokenCell,
    dial_timeout: Duration,
    deadline: Instant,
}

impl Session {
    /// Reads the certificates and starts the clock. Connects to nothing yet.
    ///
    /// # Errors
    ///
    /// Kind `tls` when a certificate file is missing or not PEM, `invalid_option` for a malformed endpoint.
    pub fn new(connection: &Connection) -> Result<Self, Failure> {
        let endpoints = connection.endpoints.iter().map(|url| normalise(url)).collect::<Result<Vec<_>, _>>()?;
        if endpoints.is_empty() {
            return Err(Failure::invalid_option("endpoints is empty: name at least one client URL"));
        }
        let secure = endpoints.iter().any(|url| url.starts_with("https://"));
        let login = connection.login_user.clone().zip(connection.login_password.clone());
        Ok(Self {
            endpoints,
            tls: if secure { Some(tls(connection)?) } else { None },
            login: login.map(|(user, password)| Arc::new(Login { user, password })),
            token: TokenCell::default(),
            dial_timeout: Duration::from_secs(connection.dial_timeout.max(1)),
            deadline: Instant::now() + Duration::from_secs(connection.timeout.max(1)),
        })
    }

    /// The endpoints in the order they are tried.
    #[must_use]
    pub fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    /// When all must be done.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// How long to wait for one endpoint.
    #[must_use]
    pub fn dial_timeout(&self) -> Duration {
        self.dial_timeout.min(self.deadline.saturating_duration_since(Instant::now()))
    }

    /// When one endpoint is given up in favour of others.
    #[must_use]
    pub fn soon(&self) -> Instant {
        Instant::now() + self.dial_timeout()
    }

    /// The same session with other credentials, or none.
    #[must_use]
    pub fn with_login(&self, login: Option<Login>) -> Self {
        Self { login: login.map(Arc::new), token: TokenCell::default(), ..self.clone() }
    }

    /// The same session in which nobody has logged in yet.
    #[must_use]
    pub fn afresh(&self) -> Self {
        Self { token: TokenCell::default(), ..self.clone() }
    }

    /// The same session with another deadline.
    #[must_use]
    pub fn with_deadline(&self, deadline: Instant) -> Self {
        Self { deadline, ..self.clone() }
    }

    /// Connects to the member behind one URL.
    ///
    /// # Errors
    ///
    /// Kinds `unreachable`, `tls` and `timeout`, each naming the endpoint and the cause.
    pub async fn connect(&self, endpoint: &str) -> Result<MemberClient, Failure> {
        let endpoint = normalise(endpoint)?;
        // In a box, because whoever connects would otherwise hold all its states on the stack.
        Box::pin(MemberClient::connect(&endpoint, self)).await
    }

    /// Connects to the first endpoint that answers.
    ///
    /// # Errors
    ///
    /// When none does: the failure of the last, with every endpoint's cause in the sentence.
    pub async fn connect_any(&self) -> Result<MemberClient, Failure> {
        let mut causes = Vec::new();
        let mut kind = ErrorKind::Unreachable;
        for endpoint in &self.endpoints {
            match self.connect(endpoint).await {
                Ok(client) => return Ok(client),
                Err(failure) => {
                    kind = failure.kind;
                    causes.push(failure.msg);
                }
            }
        }
        Err(Failure::new(kind, causes.join("; ")))
    }
}

/// A client URL with its scheme and without a trailing slash.
fn normalise(url: &str) -> Result<String, Failure> {
    let trimmed = url.trim().trim_end_matches('/');
    let full = if trimmed.contains("://") { trimmed.to_owned() } else { format!("https://{trimmed}") };
    let parsed: http::Uri = full.parse().map_err(|error| {
        Failure::invalid_option(format!("endpoint {url:?} is not a URL: {error}; write https://ADDRESS:2379"))
    })?;
    let known = matches!(parsed.scheme_str(), Some("http" | "https"));
    if !known || parsed.host().is_none_or(str::is_empty) || parsed.port().is_none() {
        return Err(Failure::invalid_option(format!(
            "endpoint {url:?} is no client URL: write https://ADDRESS:PORT, with an IPv6 address in brackets"
        )));
    }
    Ok(full)
}

fn tls(connection: &Connection) -> Result<Tls, Failure> {
    let mut config = ClientTlsConfig::new();
    if let Some(path) = &connection.ca_cert {
        config = config.ca_certificate(Certificate::from_pem(read_pem(path, "CERTIFICATE", "the CA certificate")?));
    }
    let has_identity = match (&connection.client_cert, &connection.client_key) {
        (Some(cert), Some(key)) => {
            let cert = read_pem(cert, "CERTIFICATE", "the client certificate")?;
            config = config.identity(Identity::from_pem(cert, read_pem(key, "PRIVATE KEY", "the client key")?));
            true
        }
        (None, None) => false,
        (Some(_), None) => return Err(Failure::invalid_option("client_cert needs client_key beside it: give both")),
        (None, Some(_)) => return Err(Failure::invalid_option("client_key needs client_cert beside it: give both")),
    };
    Ok(Tls { config, has_identity })
}

fn read_pem(path: &PathBuf, label: &str, what: &str) -> Result<Vec<u8>, Failure> {
    let bytes = std::fs::read(path)
        .map_err(|error| Failure::new(ErrorKind::Tls, format!("cannot read {what} {}: {error}", path.display())))?;
    if !String::from_utf8_lossy(&bytes).contains(&format!("{label}-----")) {
        return Err(Failure::new(ErrorKind::Tls, format!("{what} {} holds no PEM block of a {label}", path.display())));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("10.0.0.1:2379", "https://10.0.0.1:2379"; "without scheme")]
    #[test_case("http://[::1]:2379/", "http://[::1]:2379"; "slash and ipv6")]
    fn normalises(given: &str, wanted: &str) {
        assert_eq!(normalise(given).unwrap(), wanted);
    }

    #[test_case("https://10.0.0.1"; "no port")]
    #[test_case("unix:///run/x"; "other scheme")]
    #[test_case("https://:2379"; "no host")]
    fn refuses(given: &str) {
        assert_eq!(normalise(given).unwrap_err().kind, ErrorKind::InvalidOption);
    }
}
