use super::{actions, call, can_log_in, converge, ok, revisions};
use ansible_protocol::ErrorKind;
use etcd_testbed::{Cluster, Options, Version};
use serde_json::json;

#[test]
fn a_wrong_password_fails_and_changes_nothing() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 1, Options::auth("S3cret!"));
        let before = revisions(&cluster);
        let endpoint = &cluster.endpoints()[0];
        let failure = call(&cluster, &json!({ "root_password": "wrong" })).unwrap_err();
        let wanted = format!(
            "authentication is on at {endpoint}, and root does not log in with root_password; nothing was changed; \
             correct root_password (etcd_root_password), or give the password in use as previous_passwords to have \
             it replaced"
        );
        assert_eq!((failure.kind, failure.msg), (ErrorKind::Auth, wanted), "{version:?}");
        let options = json!({ "root_password": "wrong", "previous_passwords": ["older", "oldest"] });
        let failure = call(&cluster, &options).unwrap_err();
        assert!(failure.msg.contains("nor with any of the 2 previous passwords"), "{failure}");
        let failure = call(&cluster, &json!({})).unwrap_err();
        assert!(failure.msg.contains("no password is given"), "{failure}");
        let failure = call(&cluster, &json!({ "login_user": "admin", "login_password": "wrong" })).unwrap_err();
        assert!(failure.msg.contains("admin does not log in with login_password"), "{failure}");
        assert_eq!(revisions(&cluster), before);
    }
}

#[test]
fn a_user_that_may_not_is_refused() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 1, Options::auth("S3cret!"));
        cluster.etcdctl(&["user", "add", "app:xyzzy"]);
        let failure = call(&cluster, &json!({ "login_user": "app", "login_password": "xyzzy" })).unwrap_err();
        assert_eq!(failure.kind, ErrorKind::Auth, "{version:?} {failure}");
        assert!(failure.msg.contains("permission denied; log in as a user whose role permits it"), "{failure}");
    }
}

#[test]
fn root_s_password_is_rotated_and_proved() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 3, Options::auth("S3cret!"));
        let options = json!({
            "root_password": "n3w",
            "previous_passwords": ["never was", "S3cret!"],
            "users": [{ "name": "app", "password": "xyzzy" }],
        });
        let done = converge(&cluster, &options);
        assert_eq!(actions(&done), ["set the password of root", "add user app"], "{version:?}");
        assert!(can_log_in(&cluster, "root", "n3w") && !can_log_in(&cluster, "root", "S3cret!"));
        // The password somebody logs in with counts as one that may be replaced.
        let options = json!({ "root_password": "n3wer", "login_user": "root", "login_password": "n3w" });
        assert_eq!(actions(&converge(&cluster, &options)), ["set the password of root"]);
    }
}

#[test]
fn without_leader_it_says_so_and_changes_nothing() {
    for version in [Version::V3_5, Version::V3_6, Version::V3_7] {
        for root_password in [None, Some("S3cret!")] {
            let cluster = Cluster::start(version, 3, Options { tls: true, root_password, ..Options::default() });
            let survivor = cluster.follower();
            (0..3).filter(|index| *index != survivor).for_each(|index| cluster.member(index).kill());
            etcd_testbed::wait_for("the loss of the leader", || {
                cluster.member(survivor).metric("etcd_server_has_leader") == Some(0.0)
            });
            let before = revisions(&cluster);
            let options = json!({ "root_password": "S3cret!", "timeout": 8, "dial_timeout": 1,
                                  "users": [{ "name": "app", "password": "xyzzy" }] });
            let failure = call(&cluster, &options).unwrap_err();
            assert_eq!(failure.kind, ErrorKind::NoLeader, "{version:?} {failure}");
            assert!(failure.msg.contains("has no leader"), "{failure}");
            assert!(failure.msg.ends_with("; bring the cluster's other members up first; nothing was changed"));
            (0..3).filter(|index| *index != survivor).for_each(|index| cluster.member(index).spawn());
            cluster.wait_healthy();
            assert_eq!(revisions(&cluster), before, "{version:?}");
        }
    }
}

#[test]
fn a_cluster_that_is_just_electing_is_waited_for() {
    let cluster = Cluster::start(Version::V3_6, 3, Options::auth("S3cret!"));
    let leader = cluster.leader();
    cluster.member(leader).kill();
    let options =
        json!({ "root_password": "S3cret!", "dial_timeout": 1, "users": [{ "name": "app", "password": "xyzzy" }] });
    assert_eq!(actions(&ok(&cluster, &options)), ["add user app"]);
}

#[test]
fn one_follower_alone_is_enough_of_an_endpoint() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 3, Options::tls());
        let follower = cluster.member(cluster.follower()).client_url();
        let options = json!({
            "endpoints": [follower],
            "root_password": "S3cret!",
            "roles": [{ "name": "app", "permissions": [{ "permission": "read", "key": "/a", "prefix": true }] }],
            "users": [{ "name": "app", "password": "xyzzy", "roles": ["app"] }],
        });
        assert!(actions(&ok(&cluster, &options)).contains(&"enable authentication"));
        assert_eq!(ok(&cluster, &options)["changed"], false, "{version:?}");
    }
}

#[test]
fn the_first_endpoint_may_be_down_or_hang() {
    let cluster = Cluster::start(Version::V3_6, 3, Options::auth("S3cret!"));
    cluster.member(0).kill();
    let _ = cluster.leader();
    let options = json!({ "root_password": "S3cret!", "dial_timeout": 2 });
    assert_eq!(ok(&cluster, &options)["changed"], false);
    cluster.member(0).start();
    cluster.member(0).freeze();
    assert_eq!(ok(&cluster, &options)["changed"], false);
    cluster.member(0).thaw();
}

#[test]
fn tokens_that_grow_old_on_the_way_are_renewed() {
    // Signed tokens hold the revision of authentication, and every step makes a new one.
    for version in Version::ALL {
        let directory = std::env::temp_dir().join(format!("etcd-auth-jwt-{}-{version:?}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let key = directory.join("jwt.key");
        let made = std::process::Command::new("openssl")
            .args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out"])
            .arg(&key)
            .output()
            .unwrap();
        assert!(made.status.success());
        let token = format!("\"jwt,priv-key={},sign-method=RS256,ttl=5m\"", key.display());
        let cluster =
            Cluster::start(version, 1, Options { config: vec![("auth-token", token)], ..Options::auth("S3cret!") });
        let options = json!({
            "root_password": "S3cret!",
            "roles": [{ "name": "a" }, { "name": "b" }],
            "users": [{ "name": "ann", "password": "xyzzy", "roles": ["a", "b"] }, { "name": "bob", "password": "xyzzy" }],
        });
        let done = converge(&cluster, &options);
        assert_eq!(actions(&done).len(), 6, "{version:?}");
        std::fs::remove_dir_all(&directory).unwrap();
    }
}

#[test]
fn a_step_that_fails_says_what_was_done_before_it() {
    // etcd takes no request as large as this permission.
    let cluster = Cluster::start(Version::V3_6, 1, Options::tls());
    let long = "x".repeat(3 << 20);
    let options = json!({ "root_password": "S3cret!", "roles": [{ "name": "app", "permissions": [
        { "permission": "read", "key": "/small" }, { "permission": "read", "key": format!("/{long}") } ] }] });
    let failure = call(&cluster, &options).unwrap_err();
    assert_eq!(failure.details["changed"], true);
    assert_eq!(failure.details["actions"], json!(["add role app", "let role app read /small"]));
    assert!(failure.msg.contains("before that it did add role app, let role app read /small"), "{failure}");
    assert!(cluster.etcdctl_as(None, &["get", "key"]).is_ok(), "authentication is off still");
    let whole = json!({ "root_password": "S3cret!" });
    assert!(actions(&converge(&cluster, &whole)).contains(&"enable authentication"));
}

#[test]
fn wrong_options_are_all_named_before_anything_is_done() {
    let cluster = Cluster::start(Version::V3_6, 1, Options::tls());
    let before = revisions(&cluster);
    let failure = call(
        &cluster,
        &json!({
            "root_password": "",
            "users": [
                { "name": "root", "password": "xyzzy" },
                { "name": "a", "password": "" },
                { "name": "a", "password": "xyzzy", "no_password": true },
            ],
            "roles": [
                { "name": "root" },
                { "name": "r", "permissions": [
                    { "permission": "read", "key": "b", "range_end": "a" },
                    { "permission": "read" },
                    { "permission": "read", "key": "k" },
                    { "permission": "write", "key": "k" },
                ]},
                { "name": "r" },
            ],
        }),
    )
    .unwrap_err();
    insta::assert_snapshot!(failure.msg.replace("; ", "\n"));
    let failure = call(&cluster, &json!({ "users": [{ "name": "a", "roles": ["nope"] }] })).unwrap_err();
    insta::assert_snapshot!(failure.msg.replace("; ", "\n"));
    assert_eq!(failure.kind, ErrorKind::InvalidOption);
    assert_eq!(revisions(&cluster), before);
}
