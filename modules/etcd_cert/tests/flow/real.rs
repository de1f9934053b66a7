use crate::scene::{Scene, has_openssl, openssl};
use serde_json::json;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where the etcd releases under test are.
fn releases() -> Vec<PathBuf> {
    let root = std::env::var("QUORUM_ETCD_CACHE").unwrap_or_else(|_| "/var/cache/quorum.etcd".into());
    let dirs = ["3.5", "3.6", "3.7"].map(|version| Path::new(&root).join("etcd").join(version));
    let found: Vec<PathBuf> = dirs.into_iter().filter(|dir| dir.join("etcd").exists()).collect();
    if found.is_empty() {
        println!("SKIPPED: there is no etcd in {root}/etcd");
    }
    found
}

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
fn start(scene: &Scene, release: &Path, name: &str, ports: [u16; 4]) -> Server {
    let file = |name: &str| scene.file(name).display().to_string();
    let (cert, key, ca) = (file("server.crt"), file("server.key"), file("ca.crt"));
    let [url, peer, client_b, peer_b] = ports.map(|port| format!("https://127.0.0.1:{port}"));
    let cluster = format!("a={peer},b={peer_b}");
    let (url, peer) = if name == "a" { (url, peer) } else { (client_b, peer_b) };
    let log = File::create(scene.file(&format!("{name}.log"))).unwrap();
    let child = Command::new(release.join("etcd"))
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
fn healthy(scene: &Scene, release: &Path, port: u16) -> bool {
    let file = |name: &str| scene.file(name).display().to_string();
    let output = Command::new(release.join("etcdctl"))
        .args(["endpoint", "health", "--command-timeout", "2s"])
        .args(["--endpoints", &format!("https://127.0.0.1:{port}")])
        .args(["--cacert", &file("ca.crt"), "--cert", &file("server.crt"), "--key", &file("server.key")])
        .output()
        .unwrap();
    output.status.success()
}

fn await_health(scene: &Scene, release: &Path, port: u16) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !healthy(scene, release, port) {
        let log = std::fs::read_to_string(scene.file("a.log")).unwrap();
        assert!(Instant::now() < deadline, "{}: not healthy: {log}", release.display());
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn etcd_serves_with_the_issued_pair_and_takes_a_renewal_without_a_restart() {
    for release in releases() {
        let mut scene = Scene::new();
        scene.converge();
        let ports = free_ports();
        let first = start(&scene, &release, "a", ports);
        let second = start(&scene, &release, "b", ports);
        await_health(&scene, &release, ports[0]);
        scene.set("new_key", json!(true));
        scene.converge();
        assert!(healthy(&scene, &release, ports[0]), "{}: not healthy after the renewal", release.display());
        if has_openssl() {
            assert_eq!(served(ports[0], &scene), scene.openssl("x509 -in etcd/server.crt -outform PEM").stdout);
        }
        // A member that comes back shakes hands with the new pair.
        drop(second);
        let second = start(&scene, &release, "b", ports);
        await_health(&scene, &release, ports[2]);
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
    if !has_openssl() {
        return;
    }
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
    if !has_openssl() {
        return;
    }
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
