use super::{connection, plain, run, session};
use ansible_protocol::Failure;
use etcd_ops::connection::{Connection, Session};
use etcd_testbed::{CertFiles, Cluster, Leaf, Options, Pki, Version};
use test_case::test_case;

fn read(connection: &Connection) -> Result<(), Failure> {
    let session = Session::new(connection)?;
    run(async { session.connect_any().await?.read_linearizable().await })
}

/// How the attempt fails, in one line.
fn failure(connection: &Connection) -> String {
    let failure = read(connection).unwrap_err();
    format!("{:?}: {}", failure.kind, plain(&failure.msg))
}

#[test_case(false; "plain")]
#[test_case(true; "tls")]
fn reads(tls: bool) {
    let cluster = Cluster::start(Version::V3_6, 1, Options { tls, ..Options::default() });
    read(&connection(&cluster)).unwrap();
}

#[test]
fn troubles_with_certificates_are_told_apart() {
    let cluster = Cluster::start(Version::V3_6, 1, Options::tls());
    let good = connection(&cluster);
    let same_name = Pki::create(&cluster.directory().join("same-name"), "testbed");
    let foreign = Pki::create(&cluster.directory().join("foreign"), "foreign");
    let old = cluster.pki().issue("old", &Leaf { expired: true, ..Leaf::default() });
    let with_client =
        |files: CertFiles| Connection { client_cert: Some(files.cert), client_key: Some(files.key), ..good.clone() };
    let mut seen = vec![
        ("authority of another name", failure(&Connection { ca_cert: Some(foreign.ca_cert()), ..good.clone() })),
        ("authority of the same name", failure(&Connection { ca_cert: Some(same_name.ca_cert()), ..good.clone() })),
        ("no authority", failure(&Connection { ca_cert: None, ..good.clone() })),
        ("no client certificate", failure(&Connection { client_cert: None, client_key: None, ..good.clone() })),
        ("only a client certificate", failure(&Connection { client_key: None, ..good.clone() })),
        ("foreign client certificate", failure(&with_client(foreign.client()))),
        ("foreign client certificate of the same name", failure(&with_client(same_name.client()))),
        ("expired client certificate", failure(&with_client(old))),
        ("key of another", failure(&Connection { client_key: Some(foreign.client().key), ..good.clone() })),
        (
            "http instead of https",
            failure(&Connection { endpoints: vec![good.endpoints[0].replace("https", "http")], ..good.clone() }),
        ),
    ];
    // Servers read their certificate anew for every connection.
    let _ = cluster.pki().issue("server", &Leaf { expired: true, ..Leaf::default() });
    seen.push(("expired server certificate", failure(&good)));
    let _ = cluster.pki().issue("server", &Leaf { names: vec!["elsewhere.example".into()], ..Leaf::default() });
    seen.push(("server certificate for another name", failure(&good)));
    let seen: Vec<String> = seen.iter().map(|(case, failure)| format!("{case}\n  {failure}")).collect();
    insta::assert_snapshot!(seen.join("\n"));
}

#[test]
fn ports_that_do_not_serve() {
    let cluster = Cluster::start(Version::V3_6, 1, Options::default());
    let pki = Pki::create(&cluster.directory().join("pki"), "testbed");
    let good = connection(&cluster);
    let endpoints = vec![good.endpoints[0].replace("http", "https")];
    let secure = Connection { endpoints, ca_cert: Some(pki.ca_cert()), ..good.clone() };
    let mut seen = vec![("https on a port of http", failure(&secure))];
    let hurry = Connection { dial_timeout: 1, timeout: 20, ..good.clone() };
    cluster.member(0).freeze();
    seen.push(("hangs, http", failure(&hurry)));
    seen.push(("hangs, https", failure(&Connection { dial_timeout: 1, timeout: 20, ..secure.clone() })));
    cluster.member(0).kill();
    seen.push(("nothing listens, http", failure(&good)));
    seen.push(("nothing listens, https", failure(&secure)));
    let endpoints = vec!["https://nowhere.invalid:2379".to_owned()];
    seen.push(("no such host", failure(&Connection { endpoints, ..secure })));
    let seen: Vec<String> = seen.iter().map(|(case, failure)| format!("{case}\n  {failure}")).collect();
    insta::assert_snapshot!(seen.join("\n"));
}

#[test]
fn the_first_endpoint_that_answers_is_used() {
    let cluster = Cluster::start(Version::V3_6, 3, Options::tls());
    cluster.member(0).kill();
    let client = run(async { session(&cluster).connect_any().await }).unwrap();
    assert_eq!(client.endpoint(), cluster.endpoints()[1]);
}

#[test]
fn a_missing_certificate_file_is_named() {
    let cluster = Cluster::start(Version::V3_6, 1, Options::tls());
    let missing = Connection { ca_cert: Some("/nonexistent/ca.crt".into()), ..connection(&cluster) };
    let wanted = "Tls: cannot read the CA certificate /nonexistent/ca.crt: No such file or directory (os error 2)";
    assert_eq!(failure(&missing), wanted);
    let not_pem = Connection { client_key: Some(cluster.member(0).config_file()), ..connection(&cluster) };
    assert!(failure(&not_pem).ends_with("holds no PEM block of a PRIVATE KEY"));
}
