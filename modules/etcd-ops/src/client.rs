//! Connecting to one member, and logging in when it asks.

use crate::channel::{self, Answer, Leader, RawChannel, Token, TokenCell, unary};
use crate::connection::{Login, Session};
use crate::errors::{
    etcd_failure, hung_up, is_permission_denied, is_refused_by_learner, transport_failure, wants_login,
};
use crate::rpc::{self, Call};
use ansible_protocol::{ErrorKind, Failure};
use http_body_util::BodyExt;
use prost::bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use tokio::time::Instant;
use tonic::body::Body;
use tonic::codec::Streaming;
use tonic::transport::Endpoint;
use tonic::{Code, Status};
use tower::ServiceExt;

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
    channel: RawChannel,
    /// For logins: a member refuses even those when they come with a token it no longer knows.
    anonymous: RawChannel,
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
        let anonymous = channel::with_token(channel.clone(), TokenCell::default());
        let answer = unary(&anonymous, &rpc::maintenance::HealthCheck {}, Leader::NotNeeded);
        match tokio::time::timeout(dial_timeout, answer).await.map_err(silent)? {
            Err(status) if std::error::Error::source(&status).is_some() => {
                return Err(hung_up(endpoint, tls.is_some_and(|tls| tls.has_identity), &status));
            }
            _ => {}
        }
        let token = TokenCell::default();
        Ok(Self {
            endpoint: endpoint.to_owned(),
            channel: channel::with_token(channel, token.clone()),
            anonymous,
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
    pub async fn call<C: Call>(&self, what: &str, request: &C) -> Result<C::Answer, Failure> {
        let answer = self.call_as_it_is(what, C::PATH, request.encode_to_vec()).await?;
        channel::decode(answer).map_err(|status| self.refused(what, &status))
    }

    /// The same for messages as they are on the wire: one piece of code for all calls.
    async fn call_as_it_is(&self, what: &str, path: &'static str, message: Vec<u8>) -> Result<Bytes, Failure> {
        self.send(what, path, message).await?.map_err(|status| self.refused(what, &status))
    }

    /// Makes a call like [`Self::call`], but leaves to the caller what a refusal means.
    ///
    /// # Errors
    ///
    /// When no answer comes in time, or a login is wanted and fails.
    pub async fn ask<C: Call>(&self, what: &str, request: &C) -> Result<Result<C::Answer, Status>, Failure> {
        let answer = self.send(what, C::PATH, request.encode_to_vec()).await?;
        Ok(answer.and_then(channel::decode))
    }

    async fn send(&self, what: &str, path: &'static str, message: Vec<u8>) -> Result<Result<Bytes, Status>, Failure> {
        let send = || channel::send(self.channel.clone(), path, message.clone(), Leader::NotNeeded);
        self.with_login(what, send).await
    }

    /// Makes a call that is answered in parts, and waits for the first of them.
    pub(crate) async fn stream<C: Call>(
        &self,
        what: &str,
        request: &C,
    ) -> Result<Result<(Streaming<Bytes>, Option<Bytes>), Status>, Failure> {
        let message = request.encode_to_vec();
        let send = || channel::stream(self.channel.clone(), C::PATH, message.clone());
        self.with_login(what, send).await
    }

    async fn with_login<T>(&self, what: &str, call: impl Fn() -> Answer<T>) -> Result<Result<T, Status>, Failure> {
        let attempt = || self.in_time(what, call());
        let mut refusal = match attempt().await? {
            Ok(answer) => return Ok(Ok(answer)),
            Err(status) => status,
        };
        let wants_login = |status: &Status| wants_login(status) && self.login.is_some();
        if wants_login(&refusal) && self.adopt_session_token() {
            refusal = match attempt().await? {
                Ok(answer) => return Ok(Ok(answer)),
                Err(status) => status,
            };
        }
        if !wants_login(&refusal) {
            return Ok(Err(refusal));
        }
        self.log_in().await?;
        attempt().await
    }

    /// The failure of a call that the member refused.
    #[must_use]
    pub fn refused(&self, what: &str, status: &Status) -> Failure {
        etcd_failure(&self.endpoint, what, status)
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
        let what = format!("log in as {}", login.user);
        let token = self.ask_token(&what, &login.user, &login.password).await?;
        let token = token.map_err(|status| self.refused(&what, &status))?;
        self.session_token.set(Some(token.clone()));
        self.token.set(Some(token));
        Ok(())
    }

    /// A token, or the member's refusal.
    async fn ask_token(
        &self,
        what: &str,
        user: &str,
        password: &SecretString,
    ) -> Result<Result<Token, Status>, Failure> {
        let request = rpc::auth::Authenticate { name: user.to_owned(), password: password.expose_secret().to_owned() };
        let answer = self.in_time(what, unary(&self.anonymous, &request, Leader::NotNeeded)).await?;
        let token = answer.map(|answer| Token::try_from(answer.token));
        token.map_or_else(|status| Ok(Err(status)), |token| token.map(Ok)).map_err(|error| {
            Failure::new(ErrorKind::Auth, format!("{} gave an unusable token: {error}", self.endpoint))
        })
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

    /// A token, or why there is none.
    async fn authenticate(&self, user: &str, password: &SecretString) -> Result<Result<Token, PasswordCheck>, Failure> {
        let what = format!("log in as {user}");
        match self.ask_token(&what, user, password).await? {
            Ok(token) => Ok(Ok(token)),
            Err(status) if status.message().contains("no password user") => Ok(Err(PasswordCheck::NoPassword)),
            Err(status) if status.message().contains("invalid user ID or password") => Ok(Err(PasswordCheck::Wrong)),
            Err(status) => Err(self.refused(&what, &status)),
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
        match self.in_time(what, unary(&self.channel, &rpc::auth::Status {}, Leader::NotNeeded)).await? {
            Ok(status) if status.enabled => Ok(AuthState::On),
            Ok(_) => Ok(AuthState::Off),
            Err(status) if wants_login(&status) || status.code() == Code::PermissionDenied => Ok(AuthState::On),
            // 3.4 does not know the call.
            Err(status) if status.code() == Code::Unimplemented => self.auth_state_by_read().await,
            Err(status) => Err(self.refused(what, &status)),
        }
    }

    async fn auth_state_by_read(&self) -> Result<AuthState, Failure> {
        let what = "list the users";
        match self.in_time(what, unary(&self.channel, &rpc::auth::UserList {}, Leader::NotNeeded)).await? {
            Ok(_) => Ok(AuthState::Off),
            Err(status) if wants_login(&status) || is_permission_denied(&status) => Ok(AuthState::On),
            Err(status) => Err(self.refused(what, &status)),
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
        let request = rpc::cluster::MemberList { linearizable: false };
        let answer = self.in_time(what, unary(&self.channel, &request, Leader::NotNeeded)).await?;
        Ok(answer.is_err_and(|status| is_refused_by_learner(status.message())))
    }

    /// How many bytes the member lets its database grow to, as it runs; 0 for any number. From its metrics, for its status has
    /// it only from 3.6 on, and there a 0 where nothing was configured. Takes no login.
    ///
    /// # Errors
    ///
    /// When the member does not answer, or its metrics do not have it.
    pub async fn quota(&self) -> Result<u64, Failure> {
        let what = "ask for the quota";
        let metrics = self.page("/metrics", what).await?;
        let metrics = String::from_utf8_lossy(&metrics);
        let value =
            metrics.lines().find_map(|line| line.strip_prefix("etcd_server_quota_backend_bytes ")?.parse().ok());
        value.map(whole).ok_or_else(|| self.strange(what, &"its metrics do not have it"))
    }

    /// What etcd answers anybody with a certificate, in JSON, beside its gRPC API.
    async fn get(&self, path: &str, what: &str) -> Result<serde_json::Value, Failure> {
        serde_json::from_slice(&self.page(path, what).await?).map_err(|error| self.strange(what, &error))
    }

    async fn page(&self, path: &str, what: &str) -> Result<Bytes, Failure> {
        let request = http::Request::get(format!("{}{path}", self.endpoint)).body(Body::empty());
        let request = request.map_err(|error| self.strange(what, &error))?;
        let answer = self.in_time(what, self.channel.clone().oneshot(request)).await?;
        let body = answer.map_err(|error| self.strange(what, &error))?.into_body();
        let body = self.in_time(what, body.collect()).await?.map_err(|error| self.strange(what, &error))?;
        Ok(body.to_bytes())
    }

    fn strange(&self, what: &str, cause: &dyn std::fmt::Display) -> Failure {
        Failure::new(ErrorKind::Io, format!("cannot {what} on {}: {cause}", self.endpoint))
    }

    /// The member list. Linearizable: it needs a leader and is never stale; otherwise it is what this member knows.
    ///
    /// # Errors
    ///
    /// Kind `no_leader` when a linearizable list was asked of a member without leader.
    pub(crate) async fn member_list(&self, linearizable: bool) -> Result<rpc::cluster::Members, Failure> {
        self.call("list the members", &rpc::cluster::MemberList { linearizable }).await
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
        let request =
            rpc::keys::Range { key: b"health".to_vec(), count_only: true, serializable, ..Default::default() };
        let leader = if serializable { Leader::NotNeeded } else { Leader::Wanted };
        match self.in_time("read a key", unary(&self.channel, &request, leader)).await? {
            Ok(_) => Ok(()),
            Err(status) if wants_login(&status) || is_permission_denied(&status) => Ok(()),
            Err(status) => Err(self.refused("read a key", &status)),
        }
    }
}

/// A number of bytes as metrics have it: `8.589934592e+09`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a conversion that saturates")]
fn whole(number: f64) -> u64 {
    number as u64
}
