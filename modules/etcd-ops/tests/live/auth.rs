use super::{connection, login, plain, run, session};
use ansible_protocol::ErrorKind;
use etcd_ops::client::AuthState;
use etcd_ops::rpc::auth::{UserChangePassword, UserList};
use etcd_ops::view::{self, ClusterView, Health};
use etcd_testbed::{Cluster, Options, Version};

#[test]
fn whether_authentication_is_on_is_told_without_login_on_every_version() {
    for version in Version::ALL {
        for (root_password, wanted) in [(None, AuthState::Off), (Some("secret"), AuthState::On)] {
            let cluster = Cluster::start(version, 1, Options { tls: true, root_password, ..Options::default() });
            for login in [None, login("root", "secret"), login("root", "wrong")] {
                let session = session(&cluster).with_login(login);
                let state = run(async { session.connect_any().await?.auth_state().await });
                assert_eq!(state.unwrap(), wanted, "{version:?}");
            }
        }
    }
}

#[test]
fn a_client_logs_in_only_when_asked_and_again_when_its_token_is_gone() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 1, Options::auth("secret"));
        let session = session(&cluster).with_login(login("root", "secret"));
        run(async {
            let client = session.connect_any().await?;
            client.call("list the users", &UserList {}).await?;
            cluster.member(0).restart();
            let client_after = session.connect_any().await?;
            client_after.call("list the users", &UserList {}).await?;
            // A changed password ends the tokens of that user, a changed user makes all tokens old.
            cluster.etcdctl(&["user", "add", "someone:else"]);
            client_after.call("list the users", &UserList {}).await?;
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("{version:?}: {failure}"));
    }
}

#[test]
fn a_token_that_ended_does_not_stand_in_the_way_of_a_new_login() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 3, Options::auth("secret"));
        cluster.etcdctl(&["user", "add", "admin:secret"]);
        cluster.etcdctl(&["user", "grant-role", "admin", "root"]);
        let session = session(&cluster).with_login(login("admin", "secret"));
        run(async {
            let client = session.connect(&cluster.endpoints()[cluster.follower()]).await?;
            client.call("list the users", &UserList {}).await?;
            let members = cluster.members().iter();
            let revisions = || members.clone().map(|member| member.metric("etcd_debugging_auth_revision"));
            let before: Vec<_> = revisions().collect();
            // The same password again: it still ends the tokens, on each member once it has heard of it.
            cluster.etcdctl_as(Some("root:secret"), &["role", "add", "marker"]).unwrap();
            let change = UserChangePassword { name: "admin".into(), password: "secret".into() };
            client.call("set the password", &change).await?;
            etcd_testbed::wait_for("all members to hear of it", || {
                revisions().zip(&before).all(|(now, before)| now > before.map(|revision| revision + 1.0))
            });
            client.call("list the users", &UserList {}).await?;
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("{version:?}: {failure}"));
    }
}

#[test]
fn no_login_happens_while_authentication_is_off() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 1, Options::tls());
        let session = session(&cluster).with_login(login("root", "whatever"));
        run(async {
            let client = session.connect_any().await?;
            client.call("list the users", &UserList {}).await?;
            let failure = client.log_in().await.unwrap_err();
            assert_eq!(failure.kind, ErrorKind::Conflict, "{version:?}: {failure}");
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("{version:?}: {failure}"));
    }
}

#[test]
fn a_wrong_password_and_none_are_told_apart() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 1, Options::auth("secret"));
        let list = |login| {
            let session = session(&cluster).with_login(login);
            let failure = run(async {
                let client = session.connect_any().await?;
                client.call("list the users", &UserList {}).await
            })
            .unwrap_err();
            assert_eq!(failure.kind, ErrorKind::Auth, "{version:?}: {failure}");
            plain(&failure.msg)
        };
        let none = "cannot list the users on https://HOST: etcdserver: user name is empty; \
                    give login_user and login_password";
        assert_eq!(list(None), none, "{version:?}");
        let wrong = "cannot log in as root on https://HOST: etcdserver: authentication failed, invalid user ID or \
                     password; the password differs from the cluster's: correct etcd_root_password (or login_password)";
        assert_eq!(list(login("root", "wrong")), wrong, "{version:?}");
        cluster.etcdctl(&["user", "add", "reader:secret"]);
        let denied = "cannot list the users on https://HOST: etcdserver: permission denied; \
                      log in as a user whose role permits it, such as root";
        assert_eq!(list(login("reader", "secret")), denied, "{version:?}");
    }
}

#[test]
fn the_cluster_is_seen_with_authentication_on() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 3, Options::auth("secret"));
        cluster.etcdctl(&["user", "add", "reader:secret"]);
        for user in ["root", "reader"] {
            let session = session(&cluster).with_login(login(user, "secret"));
            let view = run(async { ClusterView::observe(&session).await });
            let view = view.unwrap_or_else(|failure| panic!("{version:?} {user}: {failure}"));
            assert_eq!(view.auth, Some(AuthState::On), "{version:?} {user}");
            assert!(view.leader.is_some());
            for member in &view.members {
                assert_eq!(member.health, Health::Healthy, "{version:?} {user} {}", member.label());
            }
        }
    }
}

#[test]
fn without_login_the_list_is_given_or_the_login_asked_for() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 1, Options::auth("secret"));
        let anonymous = session(&cluster);
        let listed = run(async { ClusterView::observe(&anonymous).await });
        match listed {
            Ok(view) => assert_eq!(view.members.len(), 1),
            Err(failure) => assert_eq!(failure.kind, ErrorKind::Auth, "{version:?}: {failure}"),
        }
        let status = run(async { view::status(&anonymous.connect_any().await?).await });
        if let Err(failure) = status {
            assert_eq!(failure.kind, ErrorKind::Auth, "{version:?}: {failure}");
        }
    }
}

#[test]
fn a_connection_with_only_a_user_is_no_login() {
    let cluster = Cluster::start(etcd_testbed::Version::V3_6, 1, Options::auth("secret"));
    let mut only_user = connection(&cluster);
    only_user.login_user = Some("root".into());
    let session = etcd_ops::connection::Session::new(&only_user).unwrap();
    let failure = run(async { session.connect_any().await?.log_in().await }).unwrap_err();
    assert!(failure.msg.contains("give login_user and login_password"), "{failure}");
}
