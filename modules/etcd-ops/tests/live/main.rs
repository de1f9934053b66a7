//! Against real etcd servers.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod auth;
mod connect;
mod datadir;
mod startup;
mod view;

use ansible_protocol::Failure;
use etcd_ops::connection::{Connection, Login, Session};
use etcd_testbed::Cluster;

/// The connection options for all members of the cluster, without login.
fn connection(cluster: &Cluster) -> Connection {
    let secure = cluster.endpoints()[0].starts_with("https");
    Connection {
        endpoints: cluster.endpoints(),
        ca_cert: secure.then(|| cluster.pki().ca_cert()),
        client_cert: secure.then(|| cluster.pki().client().cert),
        client_key: secure.then(|| cluster.pki().client().key),
        login_user: None,
        login_password: None,
        timeout: 60,
        dial_timeout: 5,
    }
}

fn session(cluster: &Cluster) -> Session {
    Session::new(&connection(cluster)).unwrap()
}

fn login(user: &str, password: &str) -> Option<Login> {
    Some(Login { user: user.into(), password: password.to_owned().into() })
}

fn run<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    etcd_ops::block_on(future)
}

/// The sentence with ports and versions' peculiarities taken out.
fn plain(msg: &str) -> String {
    let mut text = String::new();
    let mut rest = msg;
    while let Some(at) = rest.find("127.0.0.1:") {
        text.push_str(&rest[..at]);
        text.push_str("HOST");
        rest = rest[at + 10..].trim_start_matches(|c: char| c.is_ascii_digit());
    }
    text + rest
}
