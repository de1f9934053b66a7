//! Connecting to one member, and logging in when it asks.

use crate::connection::{Login, Session};
use crate::errors::{etcd_failure, hung_up, is_permission_denied, status_wants_login, transport_failure, wants_login};
use crate::rpc;
use ansible_protocol::{ErrorKind, Failure};
use etcd_client::{Client, Error as EtcdError};
use http_body_util::BodyExt;
use secrecy::{ExposeSecret, SecretString};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::time::Instant;
use tonic::Code;
use tonic::body::Body;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, ServiceExt};

/// A channel that adds the token of whoever is logged in.
pub(crate) type RawChannel =
    BoxCloneSyncService<tonic::codegen::http::Request<Body>, tonic::codegen::http::Response<Body>, BoxError>;

type Token = MetadataValue<Ascii>;

/// A token that several hold in common.
#[derive(Clone, Debug, Default)]
pub(crate) struct TokenCell(Arc<RwLock<Option<Token>>>);

impl TokenCell {
    fn get(&self) -> Option<Token> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, token: Option<Token>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = token;
    }
}

/// Whether a cluster asks for users and passwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthState {
    /// Anyone with a certificate may do anything.
    Off,
    /// Users must log in.
    On,
}

/// What a member says of a user's password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordCheck {
    /// It is the user's.
    Right,
    /// It is not, or there is no such user.
    Wrong,
    /// The user has none and is only known by the common name of a certificate.
    NoPassword,
}

/// One member, connected. Logs in only when the member asks for it, and at most once for all members of a session: a
/// bcrypt check costs a member about 0.1 s, and a token that one member has given is good for the whole cluster.
#[derive(Clone)]
pub struct MemberClient {
    endpoint: String,
    client: Client,
    /// For logins: a member refuses even those when they come with a token it no longer knows.
    anonymous: Client,
    /// For reads through the leader: a member without one says so at once, instead of waiting for one to come.
    led: Client,
    raw: RawChannel,
    login: Option<Arc<Login>>,
    /// What this client's calls carry.
    token: TokenCell,
    /// The token of whichever of the session's clients logged in last.
    session_token: TokenCell,
    deadline: Instant,
}

impl MemberClient {
    pub(crate) async fn connect(endpoint: &str, session: &Session) -> Result<Self, Failure> {
        let (tls, dial_timeout) = (session.tls.as_ref(), session.dial_timeout());
        let failed = |error: &dyn std::error::Error| transport_failure(endpoint, error);
        let mut builder = Endpoint::from_shared(endpoint.to_owned()).map_err(|error| failed(&error))?;
        if let (true, Some(tls)) = (endpoint.starts_with("https://"), tls) {
            builder = builder.tls_config(tls.config.clone()).map_err(|error| failed(&error))?;
        }
        let silent = |_| {
            let seconds = dial_timeout.as_secs_f32();
            Failure::new(ErrorKind::Unreachable, format!("{endpoint} does not answer within {seconds:.0} s"))
        };
        let connected = tokio::time::timeout(dial_timeout, builder.connect()).await.map_err(silent)?;
        let channel = connected.map_err(|error| failed(&error))?;
        // With TLS 1.3 a member refuses a client's certificate only after the client took the connection for made;
        // and without TLS nothing has been said yet at all. So ask something that needs no login and no leader.
        let answer =
            rpc::unary::<_, _, rpc::HealthCheckResponse>(channel.clone(), rpc::HEALTH, rpc::HealthCheckRequest {});
        match tokio::time::timeout(dial_timeout, answer).await.map_err(silent)? {
            Err(status) if std::error::Error::source(&status).is_some() => {
                return Err(hung_up(endpoint, tls.is_some_and(|tls| tls.has_identity), &status));
            }
            _ => {}
        }
        let token = TokenCell::default();
        let raw = with_token(channel.clone(), token.clone());
        let over = async |channel: RawChannel, options| {
            let client = Client::from_channel(etcd_client::Channel::Custom(channel), options).await;
            client.map_err(|error| etcd_failure(endpoint, "connect", &error))
        };
        Ok(Self {
            endpoint: endpoint.to_owned(),
            client: over(raw.clone(), None).await?,
            anonymous: over(with_token(channel, TokenCell::default()), None).await?,
            led: over(raw.clone(), Some(etcd_client::ConnectOptions::new().with_require_leader(true))).await?,
            raw,
            login: session.login.clone(),
            token,
            session_token: session.token.clone(),
            deadline: session.deadline(),
        })
    }

    /// The URL this client talks to.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The same client with another deadline, such as one that leaves time for other members.
    #[must_use]
    pub fn with_deadline(&self, deadline: Instant) -> Self {
        Self { deadline, ..self.clone() }
    }

    /// Waits for the answer, but not beyond the deadline: a member that hangs accepts calls and never answers.
    async fn in_time<T>(&self, what: &str, answer: impl Future<Output = T>) -> Result<T, Failure> {
        tokio::time::timeout_at(self.deadline, Box::pin(answer)).await.map_err(|_| {
            let msg = format!("cannot {what} on {}: no answer in time; the member may hang", self.endpoint);
            Failure::new(ErrorKind::Timeout, msg)
        })
    }

    /// Makes a call. When the member asks for a login, or no longer knows ours, logs in once and repeats the call:
    /// a member that refused a call for want of a login has not carried it out.
    ///
    /// # Errors
    ///
    /// Returns the failure with `what` (such as "list the members"), the endpoint and the cause.
    pub async fn call<T>(
        &self,
        what: &str,
        mut call: impl AsyncFnMut(Client) -> Result<T, EtcdError>,
    ) -> Result<T, Failure> {
        let mut attempt = async || self.in_time(what, call(self.client.clone())).await;
        let mut refusal = match attempt().await? {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let wants_login = |error: &EtcdError| wants_login(error) && self.login.is_some();
        if wants_login(&refusal) && self.adopt_session_token() {
            refusal = match attempt().await? {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
        }
        if !wants_login(&refusal) {
            return Err(etcd_failure(&self.endpoint, what, &refusal));
        }
        self.log_in().await?;
        attempt().await?.map_err(|error| etcd_failure(&self.endpoint, what, &error))
    }

    /// Goes on with what another client of the session was given; false when there is nothing new to try.
    fn adopt_session_token(&self) -> bool {
        let given = self.session_token.get();
        let news = given.is_some() && given != self.token.get();
        if news {
            self.token.set(given);
        }
        news
    }

    /// Logs in with the session's user and password.
    ///
    /// # Errors
    ///
    /// Kind `auth` for a wrong password and for a cluster whose authentication is off.
    pub async fn log_in(&self) -> Result<(), Failure> {
        let Some(login) = &self.login else {
            let msg = format!("{} asks for a user and password: give login_user and login_password", self.endpoint);
            return Err(Failure::new(ErrorKind::Auth, msg));
        };
        let mut auth = self.anonymous.auth_client();
        let what = format!("log in as {}", login.user);
        let password = login.password.expose_secret().to_owned();
        let response = self.in_time(&what, auth.authenticate(login.user.clone(), password)).await?;
        let response = response.map_err(|error| etcd_failure(&self.endpoint, &what, &error))?;
        let token = MetadataValue::try_from(response.token()).map_err(|error| {
            Failure::new(ErrorKind::Auth, format!("{} gave an unusable token: {error}", self.endpoint))
        })?;
        self.session_token.set(Some(token.clone()));
        self.token.set(Some(token));
        Ok(())
    }

    /// Whether a user's password is this one. Leaves the client's own login as it is.
    ///
    /// # Errors
    ///
    /// When that cannot be told, as while authentication is off.
    pub async fn check_password(&self, user: &str, password: &SecretString) -> Result<PasswordCheck, Failure> {
        Ok(self.authenticate(user, password).await?.map_or_else(|refusal| refusal, |_| PasswordCheck::Right))
    }

    /// Logs in as this user and, if the password is right, goes on as it; the clones of this client, too.
    ///
    /// # Errors
    ///
    /// When it cannot be told whether the password is right, as while authentication is off.
    pub async fn log_in_as(&mut self, login: Login) -> Result<PasswordCheck, Failure> {
        match self.authenticate(&login.user, &login.password).await? {
            Err(refusal) => Ok(refusal),
            Ok(token) => {
                self.token.set(Some(token));
                // The session's token is another user's.
                self.session_token = TokenCell::default();
                self.login = Some(Arc::new(login));
                Ok(PasswordCheck::Right)
            }
        }
    }

    /// Goes on as nobody.
    pub fn log_out(&mut self) {
        self.token.set(None);
        self.login = None;
    }

    /// Who is, or on demand gets, logged in.
    #[must_use]
    pub fn login_user(&self) -> Option<&str> {
        self.login.as_ref().map(|login| login.user.as_str())
    }

    /// A token, or the member's refusal.
    async fn authenticate(
        &self,
        user: &str,
        password: &SecretString,
    ) -> Result<Result<MetadataValue<Ascii>, PasswordCheck>, Failure> {
        let what = format!("log in as {user}");
        let mut auth = self.anonymous.auth_client();
        let answer = self.in_time(&what, auth.authenticate(user.to_owned(), password.expose_secret().to_owned()));
        match answer.await? {
            Ok(response) => MetadataValue::try_from(response.token()).map(Ok).map_err(|error| {
                Failure::new(ErrorKind::Auth, format!("{} gave an unusable token: {error}", self.endpoint))
            }),
            Err(EtcdError::GRpcStatus(status)) if status.message().contains("no password user") => {
                Ok(Err(PasswordCheck::NoPassword))
            }
            Err(EtcdError::GRpcStatus(status)) if status.message().contains("invalid user ID or password") => {
                Ok(Err(PasswordCheck::Wrong))
            }
            Err(error) => Err(etcd_failure(&self.endpoint, &what, &error)),
        }
    }

    /// Whether authentication is on. Needs no login on any version: up to 3.6 a member that refuses to answer
    /// thereby says that it is on, and 3.7 answers anyone.
    ///
    /// # Errors
    ///
    /// When the member does not answer at all.
    pub async fn auth_state(&self) -> Result<AuthState, Failure> {
        let what = "ask for the authentication status";
        let call =
            rpc::unary::<_, _, rpc::AuthStatusResponse>(self.raw.clone(), rpc::AUTH_STATUS, rpc::AuthStatusRequest {});
        match self.in_time(what, call).await? {
            Ok(status) if status.enabled => Ok(AuthState::On),
            Ok(_) => Ok(AuthState::Off),
            Err(status) if status_wants_login(&status) || status.code() == Code::PermissionDenied => Ok(AuthState::On),
            // 3.4 does not know the call.
            Err(status) if status.code() == Code::Unimplemented => self.auth_state_by_read().await,
            Err(status) => Err(etcd_failure(&self.endpoint, what, &status.into())),
        }
    }

    async fn auth_state_by_read(&self) -> Result<AuthState, Failure> {
        match self.in_time("list the users", self.client.auth_client().user_list()).await? {
            Ok(_) => Ok(AuthState::Off),
            Err(error) if wants_login(&error) || is_permission_denied(&error) => Ok(AuthState::On),
            Err(error) => Err(etcd_failure(&self.endpoint, "list the users", &error)),
        }
    }

    /// The server's version, such as `3.6.14`. Takes no login.
    ///
    /// # Errors
    ///
    /// When the member does not answer, or with something else.
    pub async fn version(&self) -> Result<String, Failure> {
        let what = "ask for the version";
        let versions = self.get("/version", what).await?;
        versions["etcdserver"].as_str().map(ToOwned::to_owned).ok_or_else(|| self.strange(what, &versions))
    }

    /// Whether the member has a leader, can be read through it, and has no alarm. Takes no login.
    ///
    /// # Errors
    ///
    /// Kind `conflict`, with etcd's reason, when something of this is not so.
    pub async fn health(&self) -> Result<(), Failure> {
        let health = self.get("/health", "ask for the health").await?;
        if health["health"] == "true" {
            return Ok(());
        }
        let reason = health["reason"].as_str().filter(|reason| !reason.is_empty()).unwrap_or("it gives no reason");
        Err(Failure::new(ErrorKind::Conflict, format!("{} is not healthy: {reason}", self.endpoint)))
    }

    /// Whether the member only learns: then it refuses, before it asks for a login, whatever takes part in decisions.
    ///
    /// # Errors
    ///
    /// When the member does not answer.
    pub async fn is_learner(&self) -> Result<bool, Failure> {
        let what = "ask whether it learns";
        let request = rpc::MemberListRequest { linearizable: false };
        let call = rpc::unary::<_, _, rpc::MemberListResponse>(self.raw.clone(), rpc::MEMBER_LIST, request);
        let answer = self.in_time(what, call).await?;
        Ok(answer.is_err_and(|status| status.message().contains("not supported for learner")))
    }

    /// What etcd answers anybody with a certificate, in JSON, beside its gRPC API.
    async fn get(&self, path: &str, what: &str) -> Result<serde_json::Value, Failure> {
        let request = http::Request::get(format!("{}{path}", self.endpoint)).body(Body::empty());
        let request = request.map_err(|error| self.strange(what, &error))?;
        let answer = self.in_time(what, self.raw.clone().oneshot(request)).await?;
        let body = answer.map_err(|error| self.strange(what, &error))?.into_body();
        let body = self.in_time(what, body.collect()).await?.map_err(|error| self.strange(what, &error))?;
        serde_json::from_slice(&body.to_bytes()).map_err(|error| self.strange(what, &error))
    }

    fn strange(&self, what: &str, cause: &dyn std::fmt::Display) -> Failure {
        Failure::new(ErrorKind::Io, format!("cannot {what} on {}: {cause}", self.endpoint))
    }

    /// The member list. Linearizable: it needs a leader and is never stale; otherwise it is what this member knows.
    ///
    /// # Errors
    ///
    /// Kind `no_leader` when a linearizable list was asked of a member without leader.
    pub(crate) async fn member_list(&self, linearizable: bool) -> Result<rpc::MemberListResponse, Failure> {
        self.call("list the members", async |_| {
            let request = rpc::MemberListRequest { linearizable };
            rpc::unary(self.raw.clone(), rpc::MEMBER_LIST, request).await.map_err(EtcdError::from)
        })
        .await
    }

    /// Reads through the leader: the proof that this member serves. A refusal for want of a login or permission comes
    /// after the consensus round, so it proves the same; that is how etcdctl's `endpoint health` takes it too.
    ///
    /// # Errors
    ///
    /// Kinds `no_leader`, `timeout` and `unreachable`.
    pub async fn read_linearizable(&self) -> Result<(), Failure> {
        self.read(false).await
    }

    /// Reads what this member has itself, as a learner does.
    ///
    /// # Errors
    ///
    /// Kinds `timeout` and `unreachable`.
    pub async fn read_serializable(&self) -> Result<(), Failure> {
        self.read(true).await
    }

    async fn read(&self, serializable: bool) -> Result<(), Failure> {
        let options = etcd_client::GetOptions::new().with_count_only();
        let (client, options) =
            if serializable { (&self.client, options.with_serializable()) } else { (&self.led, options) };
        match self.in_time("read a key", client.kv_client().get("health", Some(options))).await? {
            Ok(_) => Ok(()),
            Err(error) if wants_login(&error) || is_permission_denied(&error) => Ok(()),
            Err(error) => Err(etcd_failure(&self.endpoint, "read a key", &error)),
        }
    }
}

fn with_token(channel: Channel, token: TokenCell) -> RawChannel {
    let service = channel.map_request(move |mut request: tonic::codegen::http::Request<Body>| {
        if let Some(token) = token.get()
            && let Ok(value) = tonic::codegen::http::HeaderValue::from_bytes(token.as_encoded_bytes())
        {
            request.headers_mut().insert("authorization", value.clone());
            request.headers_mut().insert("token", value);
        }
        request
    });
    BoxCloneSyncService::new(service.map_err(BoxError::from))
}
