use super::{call, one_file, program, quorum_etcd, result};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use test_case::test_case;

const EXECUTABLE: &str = env!("CARGO_BIN_EXE_quorum-etcd");

/// A call that only looks: nothing listens on the endpoint.
fn harmless() -> Value {
    json!({ "endpoints": "http://127.0.0.1:1", "data_dir": "/nonexistent", "binary": "/nonexistent" })
}

/// By a process of its own: one that another test starts meanwhile would keep a file open that is written here, and nobody
/// runs a file that is open for writing.
fn copy(from: &Path, to: &Path) {
    assert!(std::process::Command::new("cp").args([from, to]).status().unwrap().success());
}

fn link(from: &Path, to: &Path) {
    std::os::unix::fs::symlink(from, to).unwrap();
}

#[test_case("etcd_info", copy; "a copy in a library folder")]
#[test_case("etcd_info", link; "a symbolic link")]
#[test_case("etcd_info.bin", copy; "with an extension")]
fn a_file_named_as_the_module_is_the_module(name: &str, place: fn(&Path, &Path)) {
    let directory = tempfile::tempdir().unwrap();
    let module = directory.path().join(name);
    place(Path::new(EXECUTABLE), &module);
    let arguments = directory.path().join("arguments");
    fs::write(&arguments, harmless().to_string()).unwrap();
    let value = result(&program(&module, [arguments.to_str().unwrap()]).output().unwrap());
    assert_eq!(value["etcd"]["data"]["state"], "absent", "{value}");
    assert_eq!(value["etcd"]["cluster_error"]["kind"], "unreachable", "{value}");
}

#[test]
fn options_come_from_a_file_from_standard_input_or_wrapped_up() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("arguments");
    let wanted = call("etcd_info", &harmless());
    assert_eq!(wanted["changed"], false);
    for options in [harmless(), json!({ "ANSIBLE_MODULE_ARGS": harmless() })] {
        fs::write(&file, options.to_string()).unwrap();
        let read = quorum_etcd(["etcd_info", file.to_str().unwrap()]).output().unwrap();
        assert_eq!(result(&read), wanted);
        assert_eq!(call("etcd_info", &options), wanted);
    }
}

#[test]
fn a_file_name_need_not_be_text() {
    let directory = tempfile::tempdir().unwrap();
    let file: PathBuf = directory.path().join(OsStr::from_bytes(b"\xffarguments"));
    fs::write(&file, harmless().to_string()).unwrap();
    let value = result(&quorum_etcd(["etcd_info"]).arg(&file).output().unwrap());
    assert_eq!(value["etcd"]["cluster_error"]["kind"], "unreachable", "{value}");
}

#[test_case(b"", "does not hold JSON"; "nothing")]
#[test_case(b"{\"unit\": ", "does not hold JSON"; "cut off")]
#[test_case(b"unit=etcd", "does not hold JSON"; "key and value")]
#[test_case(b"[{}]", "does not hold a JSON object"; "a list")]
#[test_case(b"null", "does not hold a JSON object"; "null")]
#[test_case(b"{\"ANSIBLE_MODULE_ARGS\": []}", "a JSON object in ANSIBLE_MODULE_ARGS"; "a wrapped list")]
#[test_case(b"{} {}", "does not hold JSON"; "two objects")]
#[test_case(b"{\"unit\": \"\xff\"}", "valid UTF-8"; "not UTF-8")]
fn what_are_no_options_is_refused(input: &[u8], wanted: &str) {
    let value = result(&quorum_etcd(["etcd_info", "-"]).write_stdin(input).output().unwrap());
    let msg = value["msg"].as_str().unwrap();
    assert!(value["failed"] == true && msg.contains(wanted) && msg.contains("standard input"), "{msg}");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("arguments");
    fs::write(&file, input).unwrap();
    let value = result(&quorum_etcd(["etcd_info", file.to_str().unwrap()]).output().unwrap());
    let msg = value["msg"].as_str().unwrap();
    assert!(value["failed"] == true && msg.contains(wanted) && msg.contains(file.to_str().unwrap()), "{msg}");
}

#[test]
fn a_missing_file_is_named() {
    let value = result(&quorum_etcd(["etcd_info", "/nonexistent/args"]).output().unwrap());
    let wanted = "cannot read the options from /nonexistent/args: No such file or directory (os error 2)";
    assert_eq!((&value["msg"], &value["error"]["kind"]), (&json!(wanted), &json!("io")));
}

#[test]
fn wrong_options_are_all_named_at_once() {
    let value = call("etcd_info", &json!({ "endpoint": "x", "tiemout": 1, "hash": "perhaps", "zzz": 1 }));
    assert_eq!((&value["failed"], &value["changed"]), (&json!(true), &json!(false)));
    assert_eq!(value["error"]["kind"], "invalid_option");
    let msg = value["msg"].as_str().unwrap();
    for wanted in [
        "endpoint is unknown, did you mean endpoints?",
        "tiemout is unknown, did you mean timeout?",
        "zzz is unknown;",
        "hash must be",
        "supported options are unit, binary,",
    ] {
        assert!(msg.contains(wanted), "{wanted:?} is not in: {msg}");
    }
}

#[test]
fn check_mode_says_the_same_and_writes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let options = one_file(&directory, "content\n");
    let mut checked = options.clone();
    checked["_ansible_check_mode"] = json!(true);
    let predicted = call("etcd_conf", &checked);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    let done = call("etcd_conf", &options);
    assert_eq!((&done["changed"], &predicted), (&json!(true), &done));
    assert_eq!(fs::read_to_string(directory.path().join("file")).unwrap(), "content\n");
    assert_eq!(call("etcd_conf", &options)["changed"], false);
}

#[test]
fn differences_come_only_when_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = one_file(&directory, "content\n");
    options["_ansible_check_mode"] = json!(true);
    assert_eq!(call("etcd_conf", &options).get("diff"), None);
    options["_ansible_diff"] = json!(true);
    let value = call("etcd_conf", &options);
    assert_eq!(value["diff"][0]["before"], "");
    assert!(value["diff"][0]["after"].as_str().unwrap().contains("content\n"), "{value}");
}

#[test_case(&json!({}), false; "by itself")]
#[test_case(&json!({ "_ansible_verbosity": 2 }), false; "two v")]
#[test_case(&json!({ "_ansible_verbosity": 3 }), true; "three v")]
#[test_case(&json!({ "_ansible_verbosity": 3, "_ansible_inject_invocation": false }), false; "not wanted")]
#[test_case(&json!({ "_ansible_inject_invocation": true }), true; "wanted")]
fn the_invocation_is_returned_when_wanted(control: &Value, wanted: bool) {
    let mut options = harmless();
    options.as_object_mut().unwrap().extend(control.as_object().unwrap().clone());
    let value = call("etcd_info", &options);
    let arguments = &value["invocation"]["module_args"];
    assert_eq!(arguments.is_object(), wanted, "{value}");
    if wanted {
        assert_eq!((&arguments["endpoints"], &arguments["timeout"]), (&json!(["http://127.0.0.1:1"]), &json!(60)));
        assert!(arguments.as_object().unwrap().keys().all(|name| !name.starts_with("_ansible")), "{arguments}");
    }
}

#[test]
fn a_failure_has_its_invocation_too() {
    let options = json!({ "directories": [{ "path": "/dev/null/x" }], "_ansible_verbosity": 3 });
    let value = call("etcd_conf", &options);
    assert_eq!(value["failed"], true, "{value}");
    assert_eq!(value["invocation"]["module_args"]["directories"][0]["path"], "/dev/null/x");
}

#[test]
fn control_arguments_of_any_core_are_no_options() {
    let mut options = harmless();
    for name in ["_ansible_no_log", "_ansible_target_log_info", "_ansible_of_a_later_core"] {
        options[name] = json!({ "any": "thing" });
    }
    assert_eq!(call("etcd_info", &options), call("etcd_info", &harmless()));
}

#[test]
fn options_fall_back_to_the_variables_of_etcdctl() {
    let mut options = harmless();
    options.as_object_mut().unwrap().shift_remove("endpoints");
    let mut command = quorum_etcd(["etcd_info", "-"]);
    command.env("ETCDCTL_ENDPOINTS", "http://127.0.0.1:2,http://127.0.0.1:3").write_stdin(options.to_string());
    let value = result(&command.output().unwrap());
    let reason = value["etcd"]["cluster_error"]["reason"].as_str().unwrap();
    assert!(reason.contains("http://127.0.0.1:2 ") && reason.contains("http://127.0.0.1:3 "), "{reason}");
}
