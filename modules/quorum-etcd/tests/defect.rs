//! A panic is a failure like any other to whoever reads the result.

use assert_cmd::Command;
use serde_json::{Value, json};

/// No defect is known, so a thread that cannot be had stands for one: names are looked up in a thread of their own,
/// and the network library panics when it gets none.
#[test]
fn a_defect_is_one_failure_in_json() {
    let options = json!({ "endpoints": ["http://localhost:1"], "login_password": "localhost" });
    let output = Command::new(env!("CARGO_BIN_EXE_quorum-etcd"))
        .env_clear()
        .env("RUST_MIN_STACK", (1_u64 << 46).to_string())
        .args(["etcd_auth", "-"])
        .write_stdin(options.to_string())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.find('\n'), Some(text.len() - 1), "not one line: {text}");
    let result: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(result["failed"], true);
    assert_eq!(result["error"]["kind"], "internal");
    let msg = result["msg"].as_str().unwrap();
    assert!(msg.starts_with("the module has a defect and stopped: ") && msg.contains(" spawn "), "{msg}");
    assert!(!output.status.success());
}
