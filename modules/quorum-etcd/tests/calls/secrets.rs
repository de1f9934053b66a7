use super::{call, one_file, quorum_etcd, result};
use etcd_testbed::{Cluster, Options, Version};
use serde_json::{Value, json};
use test_case::test_case;

const STARS: &str = "********";

/// Everything that may be shown is asked for.
fn talkative(mut options: Value) -> Value {
    options["_ansible_verbosity"] = json!(3);
    options["_ansible_diff"] = json!(true);
    options
}

#[track_caller]
fn shows_none_of(value: &Value, secrets: &[&str]) {
    let text = value.to_string();
    for secret in secrets {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
    assert!(text.contains(STARS), "{text}");
}

#[test]
fn a_sensitive_file_is_seen_nowhere_but_on_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = talkative(one_file(&directory, "hunter2\n"));
    options["files"][0]["sensitive"] = json!("yes");
    let value = call("etcd_conf", &options);
    assert_eq!((&value["failed"], &value["changed"]), (&Value::Null, &json!(true)), "{value}");
    shows_none_of(&value, &["hunter2"]);
    assert_eq!(value["invocation"]["module_args"]["files"][0]["content"], STARS);
    let file = directory.path().join("file");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "hunter2\n");
    // Neither is the one it replaces.
    options["files"][0]["content"] = json!("xyzzy42\n");
    let value = call("etcd_conf", &options);
    assert_eq!(value["changed"], true);
    shows_none_of(&value, &["hunter2", "xyzzy42"]);
}

#[test]
fn a_secret_is_masked_in_messages_warnings_and_differences_of_other_things() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = talkative(one_file(&directory, "hunter2"));
    options["files"][0]["sensitive"] = json!(true);
    let mut open = one_file(&directory, "it repeats hunter2\n")["files"][0].clone();
    open["path"] = json!(directory.path().join("open"));
    options["files"].as_array_mut().unwrap().push(open);
    let value = call("etcd_conf", &options);
    assert_eq!(value["changed"], true, "{value}");
    assert!(value["diff"].to_string().contains(&format!("it repeats {STARS}")), "{value}");
    shows_none_of(&value, &["hunter2"]);

    options["_ansible_check_mode"] = json!(true);
    options["files"][1]["owner"] = json!("hunter2");
    let value = call("etcd_conf", &options);
    assert!(value["warnings"].to_string().contains(STARS), "{value}");
    shows_none_of(&value, &["hunter2"]);

    options["files"][1]["hunter2"] = json!("hunter2");
    let value = call("etcd_conf", &options);
    assert!(value["msg"].as_str().unwrap().contains(&format!("files[1].{STARS} is unknown")), "{value}");
    shows_none_of(&value, &["hunter2"]);
}

#[test_case(json!({ "root_password": "hunter2", "timeout": "hunter2" }); "wrong options")]
#[test_case(json!({ "root_password": "hunter2", "endpoints": "http://127.0.0.1:1/hunter2" }); "nobody answers")]
#[test_case(json!({ "root_password": "\\\"hunter2\"", "timeout": "\\\"hunter2\"" }); "quoted")]
#[test_case(json!({ "login_password": "hunter2", "login_user": "hunter2", "endpoints": "http://127.0.0.1:1/hunter2" }); "login")]
#[test_case(json!({ "previous_password": ["hunter2"], "endpoints": "hunter2" }); "no URL")]
#[test_case(json!({ "users": [{ "name": "hunter2", "password": "hunter2", "no_password": true }] }); "contradiction")]
#[test_case(json!({ "users": "hunter2", "root_password": "hunter2" }); "wrong type")]
#[test_case(json!({ "users": [{ "name": "a", "pasword": "x", "password": ["hunter2"] }], "login_password": "hunter2" }); "wrong type of a secret")]
fn passwords_are_masked_in_failures(options: Value) {
    let value = call("etcd_auth", &talkative(options));
    assert_eq!(value["failed"], true);
    shows_none_of(&value, &["hunter2"]);
}

#[test]
fn a_password_from_the_environment_is_masked_too() {
    let mut command = quorum_etcd(["etcd_auth", "-"]);
    let options = talkative(json!({ "login_user": "root", "endpoints": "http://127.0.0.1:1/hunter2" }));
    command.env("ETCDCTL_PASSWORD", "hunter2").write_stdin(options.to_string());
    let value = result(&command.output().unwrap());
    assert_eq!(value["failed"], true);
    shows_none_of(&value, &["hunter2"]);
}

#[test]
fn passwords_are_set_and_not_shown() {
    let cluster = Cluster::start(Version::V3_6, 1, Options::default());
    let options = talkative(json!({
        "endpoints": cluster.endpoints(), "root_password": "hunter2", "previous_password": "xyzzy42",
        "users": [{ "name": "app", "password": "plugh77", "roles": ["app"] }], "roles": [{ "name": "app" }],
    }));
    let value = call("etcd_auth", &options);
    assert_eq!((&value["changed"], &value["auth"]["enabled"]), (&json!(true), &json!(true)), "{value}");
    shows_none_of(&value, &["hunter2", "xyzzy42", "plugh77"]);
    let arguments = &value["invocation"]["module_args"];
    assert_eq!((&arguments["root_password"], &arguments["users"][0]["password"]), (&json!(STARS), &json!(STARS)));
    assert_eq!(arguments["users"][0]["name"], "app");
    cluster.etcdctl_as(Some("root:hunter2"), &["user", "get", "app"]).unwrap();
}

#[test]
fn a_password_that_is_also_a_word_of_the_result_hides_no_name() {
    let options = json!({ "endpoints": "http://127.0.0.1:1", "login_password": "etcd", "binary": "/x" });
    let value = call("etcd_info", &options);
    assert_eq!(value["etcd"]["data"]["state"], "absent", "{value}");
}
