use crate::scene::{Scene, openssl};
use etcd_testbed::{Version, wait_for};
use serde_json::json;
use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_ports() -> [u16; 4] {
    let sockets = [(); 4].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    sockets.map(|socket| socket.local_addr().unwrap().port())
}

/// Starts one of two members: neither is healthy before both trust each other.
fn start(scene: &Scene, version: Version, name: &str, ports: [u16; 4]) -> Server {
    let file = |name: &str| scene.file(name).display().to_string();
    let (cert, key, ca) = (file("server.crt"), file("server.key"), file("ca.crt"));
    let [url, peer, client_b, peer_b] = ports.map(|port| format!("https://127.0.0.1:{port}"));
    let cluster = format!("a={peer},b={peer_b}");
    let (url, peer) = if name == "a" { (url, peer) } else { (client_b, peer_b) };
    let log = File::create(scene.file(&format!("{name}.log"))).unwrap();
    let child = Command::new(version.executable("etcd"))
        .args(["--name", name, "--data-dir", &file(&format!("data-{name}")), "--initial-cluster", &cluster])
        .args(["--listen-client-urls", &url, "--advertise-client-urls", &url])
        .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
        .args(["--cert-file", &cert, "--key-file", &key, "--trusted-ca-file", &ca, "--client-cert-auth"])
        .args(["--peer-cert-file", &cert, "--peer-key-file", &key, "--peer-trusted-ca-file", &ca])
        .args(["--peer-client-cert-auth"])
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    Server(child)
}

/// Whether etcdctl finds the member healthy with the host's own pair.
fn healthy(scene: &Scene, version: Version, port: u16) -> bool {
    let file = |name: &str| scene.file(name).display().to_string();
    let output = Command::new(version.executable("etcdctl"))
        .args(["endpoint", "health", "--command-timeout", "2s"])
        .args(["--endpoints", &format!("https://127.0.0.1:{port}")])
        .args(["--cacert", &file("ca.crt"), "--cert", &file("server.crt"), "--key", &file("server.key")])
        .output()
        .unwrap();
    output.status.success()
}

fn await_health(scene: &Scene, version: Version, port: u16) {
    wait_for("the member to be healthy", || healthy(scene, version, port));
}

#[test]
fn etcd_serves_with_the_issued_pair_and_takes_a_renewal_without_a_restart() {
    for version in Version::ALL {
        let mut scene = Scene::new();
        scene.converge();
        let ports = free_ports();
        let first = start(&scene, version, "a", ports);
        let second = start(&scene, version, "b", ports);
        await_health(&scene, version, ports[0]);
        scene.set("new_key", json!(true));
        scene.converge();
        assert!(healthy(&scene, version, ports[0]), "{}: not healthy after the renewal", version.series());
        assert_eq!(served(ports[0], &scene), scene.openssl("x509 -in etcd/server.crt -outform PEM").stdout);
        // A member that comes back shakes hands with the new pair.
        drop(second);
        let second = start(&scene, version, "b", ports);
        await_health(&scene, version, ports[2]);
        drop((first, second));
    }
}

/// The certificate the server shows.
fn served(port: u16, scene: &Scene) -> Vec<u8> {
    let shown = scene.openssl(&format!(
        "s_client -connect 127.0.0.1:{port} -CAfile etcd/ca.crt -cert etcd/server.crt -key etcd/server.key"
    ));
    let path = scene.file("shown");
    std::fs::write(&path, shown.stdout).unwrap();
    openssl(Path::new("/"), &format!("x509 -in {} -outform PEM", path.display())).stdout
}

#[test]
fn openssl_finds_nothing_to_object_to() {
    let mut scene = Scene::new();
    scene.common_name = String::new();
    scene.converge();
    for purpose in ["sslserver", "sslclient"] {
        scene.openssl(&format!("verify -x509_strict -purpose {purpose} -CAfile etcd/ca.crt etcd/server.crt"));
    }
    scene.openssl("verify -x509_strict -verify_ip ::1 -CAfile etcd/ca.crt etcd/server.crt");
    scene.openssl("verify -x509_strict -verify_hostname localhost -CAfile etcd/ca.crt etcd/server.crt");
    let text = String::from_utf8(scene.openssl("x509 -in etcd/server.crt -noout -text").stdout).unwrap();
    for part in [
        "TLS Web Server Authentication, TLS Web Client Authentication",
        "Subject Key Identifier",
        "Authority Key Identifier",
        "CA:FALSE",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// Hosts that had a key made by other tools keep it.
#[test]
fn existing_host_keys_of_other_kinds_are_reused() {
    for (command, usage) in [
        ("genrsa -traditional -out server.key 2048", "Digital Signature, Key Encipherment"),
        ("ecparam -name prime256v1 -genkey -out server.key", "Digital Signature"),
        ("ecparam -name secp384r1 -genkey -out server.key", "Digital Signature"),
        ("genpkey -algorithm ED25519 -out server.key", "Digital Signature"),
    ] {
        let scene = Scene::new();
        openssl(&scene.file(""), command);
        let key = std::fs::read(scene.file("server.key")).unwrap();
        scene.converge();
        assert_eq!(std::fs::read(scene.file("server.key")).unwrap(), key, "{command}");
        let text = String::from_utf8(scene.openssl("x509 -in etcd/server.crt -noout -text").stdout).unwrap();
        assert!(text.contains(&format!("{usage}\n")), "{command}: {text}");
        scene.openssl("verify -x509_strict -CAfile etcd/ca.crt etcd/server.crt");
        assert!(!scene.converge().1, "{command}");
    }
}
