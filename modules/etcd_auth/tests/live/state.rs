use super::{actions, call, can_log_in, converge, ok, single};
use etcd_testbed::{Cluster, Options, Version};
use serde_json::json;

#[test]
fn enabling_on_a_fresh_cluster_and_disabling_again() {
    for version in Version::ALL {
        let cluster = single(version);
        let done = converge(&cluster, &json!({ "root_password": "S3cret!" }));
        let wanted = ["add role root", "add user root", "give root the role root", "enable authentication"];
        assert_eq!(actions(&done), wanted, "{version:?}");
        let auth = json!({
            "enabled": true,
            "users": [{ "name": "root", "roles": ["root"] }],
            "roles": [{ "name": "root", "permissions": [{ "permission": "readwrite", "key": "", "prefix": true }] }],
        });
        assert_eq!(done["auth"], auth);
        assert!(can_log_in(&cluster, "root", "S3cret!"));
        assert!(cluster.etcdctl_as(None, &["get", "key"]).is_err());
        let done = converge(&cluster, &json!({ "root_password": "S3cret!", "enabled": false }));
        assert_eq!(actions(&done), ["disable authentication"]);
        cluster.etcdctl_as(None, &["put", "key", "value"]).unwrap();
    }
}

/// The preview of the run that makes the cluster: there is nothing to ask, not even certificates to ask with.
#[test]
fn the_preview_of_a_cluster_that_is_still_to_be_made() {
    let cluster = single(Version::V3_6);
    let mut wish = json!({
        "root_password": "S3cret!",
        "roles": [{ "name": "app", "permissions": [{ "permission": "read", "key": "/app/", "prefix": true }] }],
        "users": [{ "name": "app", "password": "s3cret", "roles": ["app"] }],
    });
    let done = converge(&cluster, &wish);
    wish["_ansible_check_mode"] = true.into();
    wish["predicted_new"] = true.into();
    wish["endpoints"] = json!(["https://127.0.0.1:1"]);
    wish["ca_cert"] = "/nonexistent/ca.crt".into();
    let predicted = ok(&cluster, &wish);
    for part in ["changed", "auth", "actions", "diff"] {
        assert_eq!(predicted[part], done[part], "{part}");
    }
    // Only a preview may believe that.
    wish["_ansible_check_mode"] = false.into();
    assert!(call(&cluster, &wish).is_err());
}

#[test]
fn users_roles_and_permissions_come_and_change_and_go() {
    for version in Version::ALL {
        let cluster = single(version);
        let role = |permission: &str| {
            json!({ "name": "app", "permissions": [
                { "permission": permission, "key": "/app/", "prefix": true },
                { "permission": "read", "key": "/app/" },
                { "permission": "read", "key": "/a", "range_end": "/b" },
                { "permission": "write", "key": "/z", "range_end": "\u{0}" },
            ]})
        };
        let mut options = json!({
            "root_password": "S3cret!",
            "roles": [role("read"), { "name": "all", "permissions": [{ "permission": "readwrite", "prefix": true }] }],
            "users": [
                { "name": "app", "password": "app's own", "roles": ["app"] },
                { "name": "ops", "password": "ops' own", "roles": ["root", "all"] },
            ],
        });
        converge(&cluster, &options);
        let as_app = |arguments: &[&str]| cluster.etcdctl_as(Some("app:app's own"), arguments);
        as_app(&["get", "/app/x"]).unwrap();
        as_app(&["put", "/app/x", "1"]).unwrap_err();
        as_app(&["put", "/zz", "1"]).unwrap();

        // More access on a prefix that shares its key with another permission.
        options["roles"][0] = role("readwrite");
        let done = converge(&cluster, &options);
        assert!(actions(&done).contains(&"let role app readwrite /app/*"), "{:?}", actions(&done));
        as_app(&["put", "/app/x", "1"]).unwrap();

        // Without purging, what is not listed any more stays.
        options["roles"][0]["permissions"].as_array_mut().unwrap().pop();
        options["users"][1]["roles"] = json!(["root"]);
        assert_eq!(ok(&cluster, &options)["changed"], false);
        options["purge_permissions"] = true.into();
        options["purge_grants"] = true.into();
        let done = converge(&cluster, &options);
        assert_eq!(actions(&done), ["take the role all from ops", "take all keys from /z on from role app"]);
        as_app(&["put", "/zz", "1"]).unwrap_err();

        options["users"] = json!([{ "name": "app", "state": "absent" }]);
        options["roles"] = json!([{ "name": "app", "state": "absent" }]);
        assert_eq!(actions(&converge(&cluster, &options)), ["delete user app", "delete role app"]);
        let options = json!({ "root_password": "S3cret!", "purge_users": true, "purge_roles": true });
        assert_eq!(actions(&converge(&cluster, &options)), ["delete user ops", "delete role all"]);
    }
}

#[test]
fn what_a_result_shows_can_be_given_back() {
    let cluster = single(Version::V3_6);
    let options = json!({
        "root_password": "S3cret!",
        "roles": [{ "name": "app", "permissions": [
            { "permission": "read", "key": "/a/", "prefix": true }, { "permission": "write", "key": "", "prefix": true },
            { "permission": "write", "key": "/k" }, { "permission": "read", "key": "/k", "range_end": "\u{0}" },
        ]}],
    });
    let done = converge(&cluster, &options);
    let roles: Vec<_> =
        done["auth"]["roles"].as_array().unwrap().iter().filter(|role| role["name"] != "root").collect();
    let given_back = json!({ "root_password": "S3cret!", "roles": roles, "purge_permissions": true });
    assert_eq!(ok(&cluster, &given_back)["changed"], false);
}

#[test]
fn a_user_s_password_changes_only_when_it_does_not_log_in() {
    for version in Version::ALL {
        let cluster = single(version);
        let options =
            |password: &str| json!({ "root_password": "S3cret!", "users": [{ "name": "app", "password": password }] });
        converge(&cluster, &options("first"));
        let done = converge(&cluster, &options("second"));
        assert_eq!(actions(&done), ["set the password of app"]);
        assert!(can_log_in(&cluster, "app", "second") && !can_log_in(&cluster, "app", "first"));
        let unnamed = json!({ "root_password": "S3cret!", "users": [{ "name": "app" }] });
        assert_eq!(ok(&cluster, &unnamed)["changed"], false);
    }
}

#[test]
fn users_without_password_are_told_from_those_with_one() {
    for version in Version::ALL {
        let cluster = single(version);
        let options = |user| json!({ "root_password": "S3cret!", "users": [user] });
        let by_certificate = json!({ "name": "app", "no_password": true, "roles": ["root"] });
        converge(&cluster, &options(by_certificate.clone()));
        assert!(!can_log_in(&cluster, "app", "xyzzy"));
        let with_password = json!({ "name": "app", "password": "xyzzy", "roles": ["root"] });
        assert_eq!(actions(&converge(&cluster, &options(with_password))), ["make user app anew"], "{version:?}");
        assert!(can_log_in(&cluster, "app", "xyzzy"));
        assert_eq!(actions(&converge(&cluster, &options(by_certificate))), ["make user app anew"], "{version:?}");
    }
}

#[test]
fn users_that_were_there_before_enabling_have_the_given_passwords_after_it() {
    for version in Version::ALL {
        let cluster = single(version);
        for arguments in [
            &["user", "add", "app:other"] as &[&str],
            &["user", "add", "cert", "--no-password"],
            &["user", "add", "root", "--no-password"],
            &["role", "add", "extra"],
            &["user", "grant-role", "cert", "extra"],
            &["user", "grant-role", "root", "extra"],
        ] {
            cluster.etcdctl(arguments);
        }
        let options = json!({
            "enabled": false,
            "root_password": "S3cret!",
            "users": [{ "name": "app", "password": "wanted" }, { "name": "cert", "password": "wanted" }],
        });
        let done = ok(&cluster, &options);
        assert_eq!(done["changed"], false);
        assert!(done["warnings"][0].as_str().unwrap().ends_with("left as they are for app, cert"), "{done}");
        let mut options = options;
        options["enabled"] = true.into();
        let done = converge(&cluster, &options);
        assert!(actions(&done).contains(&"make user root anew"));
        assert_eq!(done["auth"]["users"][1], json!({ "name": "cert", "roles": ["extra"] }));
        assert_eq!(done["auth"]["users"][2], json!({ "name": "root", "roles": ["extra", "root"] }));
        for user in ["app", "cert"] {
            assert!(can_log_in(&cluster, user, "wanted"), "{version:?} {user}");
        }
        assert!(can_log_in(&cluster, "root", "S3cret!"));
    }
}

#[test]
fn an_administrator_other_than_root_may_do_it() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 1, Options::auth("S3cret!"));
        cluster.etcdctl(&["user", "add", "admin:adm1n"]);
        cluster.etcdctl(&["user", "grant-role", "admin", "root"]);
        let admin = json!({ "login_user": "admin", "login_password": "adm1n", "purge_users": true });
        assert_eq!(ok(&cluster, &admin)["changed"], false);
        let mut rescue = admin;
        rescue["root_password"] = "found again".into();
        assert_eq!(actions(&converge(&cluster, &rescue)), ["set the password of root"]);
        assert!(can_log_in(&cluster, "root", "found again"));
    }
}
