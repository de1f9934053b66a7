//! The executable as people and as Ansible call it.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

/// As Ansible calls it: option files, control arguments, results.
mod ansible;
/// By hand: help, documentation, mistakes on the command line.
mod by_hand;
/// What depends on the host: systemd, and the files a member was started with.
mod host;
/// What must not be seen.
mod secrets;

use assert_cmd::Command;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Output;
use tempfile::TempDir;

/// The executable, without whatever variables the caller of the tests has.
fn quorum_etcd<const N: usize>(words: [&str; N]) -> Command {
    program(Path::new(env!("CARGO_BIN_EXE_quorum-etcd")), words)
}

fn program<const N: usize>(path: &Path, words: [&str; N]) -> Command {
    let mut command = Command::new(path);
    command.env_clear().args(words);
    command
}

/// The result on standard output: one line with one JSON object and nothing else anywhere, and an exit status that
/// says the same as the result.
#[track_caller]
fn result(output: &Output) -> Value {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(text.find('\n'), Some(text.len() - 1), "not one line: {text}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let value: Value = serde_json::from_str(&text).unwrap();
    let failed = value["failed"] == true;
    assert_eq!(output.status.code(), Some(i32::from(failed)), "{text}");
    assert!(value["changed"].is_boolean(), "{text}");
    value
}

/// The result of a call with the options on standard input.
#[track_caller]
fn call(module: &str, options: &Value) -> Value {
    result(&quorum_etcd([module, "-"]).write_stdin(options.to_string()).output().unwrap())
}

/// Options of `etcd_conf` that anyone may carry out: one file in a directory of its own.
fn one_file(directory: &TempDir, content: &str) -> Value {
    let (owner, group) = owner(directory.path());
    let path = directory.path().join("file");
    json!({ "files": [{ "path": path, "content": content, "owner": owner, "group": group, "mode": "0600" }] })
}

fn owner(path: &Path) -> (String, String) {
    use std::os::unix::fs::MetadataExt;
    let metadata = path.metadata().unwrap();
    (metadata.uid().to_string(), metadata.gid().to_string())
}
