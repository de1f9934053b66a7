//! One member as a client sees it.

use anyhow::{Context as _, Result};
use etcd_client::{Channel, Client, ConnectOptions, GetOptions};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::task::JoinHandle;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint as Transport, Identity};

/// How to get in.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// The authority in PEM; plain HTTP without.
    pub authority: Option<String>,
    /// Certificate and key in PEM.
    pub identity: Option<(String, String)>,
    /// User and password.
    pub login: Option<(String, String)>,
}

/// One member, connected to when first needed, and again after each failure.
pub struct Endpoint {
    url: String,
    access: Access,
    client: Option<Client>,
    /// Goes on while others are asked: given up half-way, a login has cost the member as much, and is begun anew.
    connecting: Option<JoinHandle<Result<Client>>>,
}

/// A member that does not take a connection in this time is left for the next one.
const DIAL: Duration = Duration::from_millis(300);

/// A login costs a member a tenth of a second of computing, and far more where there is none to spare.
const LOGIN: Duration = Duration::from_secs(5);

/// Keys read at once.
const PAGE: i64 = 5000;

impl Endpoint {
    /// The member behind the URL.
    #[must_use]
    pub fn new(url: &str, access: &Access) -> Self {
        Self { url: url.to_owned(), access: access.clone(), client: None, connecting: None }
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Gets in, where the member lets it.
    ///
    /// # Errors
    ///
    /// Whatever the member, or the way to it, refuses.
    pub async fn enter(&mut self) -> Result<()> {
        self.client().await.map(drop).with_context(|| self.url.clone())
    }

    /// Writes a key; no longer than the given time.
    ///
    /// # Errors
    ///
    /// Whatever the member, or the way to it, refuses.
    pub async fn put(&mut self, key: &str, value: &str, time: Duration) -> Result<()> {
        let attempt = async {
            let mut client = self.client().await?;
            client.put(key, value, None).await?;
            anyhow::Ok(())
        };
        let done = tokio::time::timeout(time, attempt).await;
        let done = done.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within {} ms", time.as_millis())));
        if done.is_err() {
            // Also for a token that a restarted member no longer knows.
            self.client = None;
        }
        done.with_context(|| self.url.clone())
    }

    /// Everything under a prefix, read through the leader.
    ///
    /// # Errors
    ///
    /// Whatever the member, or the way to it, refuses.
    pub async fn read(&mut self, prefix: &str) -> Result<BTreeMap<String, String>> {
        self.client = None;
        let mut client = self.client().await?;
        let mut held = BTreeMap::new();
        let end = format!("{prefix}\u{7f}");
        let mut from = prefix.to_owned();
        loop {
            let options = GetOptions::new().with_range(end.clone()).with_limit(PAGE);
            let page = client.get(from.clone(), Some(options)).await?;
            for pair in page.kvs() {
                held.insert(pair.key_str()?.to_owned(), pair.value_str()?.to_owned());
            }
            let Some(last) = page.kvs().last().filter(|_| page.more()) else { return Ok(held) };
            from = format!("{}\0", last.key_str()?);
        }
    }

    async fn client(&mut self) -> Result<Client> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let (url, access) = (&self.url, &self.access);
        let connecting = self.connecting.get_or_insert_with(|| tokio::spawn(connect(url.clone(), access.clone())));
        let connected = connecting.await;
        self.connecting = None;
        let client = connected??;
        self.client = Some(client.clone());
        Ok(client)
    }
}

pub(crate) async fn connect(url: String, access: Access) -> Result<Client> {
    let mut transport = Transport::from_shared(url)?;
    if let Some(authority) = &access.authority {
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority));
        if let Some((certificate, key)) = &access.identity {
            tls = tls.identity(Identity::from_pem(certificate, key));
        }
        transport = transport.tls_config(tls)?;
    }
    let channel = tokio::time::timeout(DIAL, transport.connect()).await.context("does not take the connection")??;
    let options = access.login.map(|(user, password)| ConnectOptions::new().with_user(user, password));
    let client = tokio::time::timeout(LOGIN, Client::from_channel(Channel::Tonic(channel), options)).await;
    Ok(client.context("does not log in")??)
}
