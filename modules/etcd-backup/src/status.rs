//! What is known after a run, as JSON and as metrics.

use crate::config::Config;
use crate::object;
use crate::take::DAMAGED;
use ansible_protocol::Failure;
use etcd_ops::clock;
use etcd_ops::files::write_atomic;
use jiff::Timestamp;
use serde_json::Value;
use std::fmt::Write;
use std::path::Path;

/// What was known before; nothing where there is no such file, or something else in it.
pub(crate) fn read(config: &Config) -> Value {
    read_object(&config.status_file)
}

/// The object in the file; nothing where there is no such file, or something else in it.
pub(crate) fn read_object(path: &Path) -> Value {
    let text = std::fs::read(path).unwrap_or_default();
    serde_json::from_slice(&text).ok().filter(Value::is_object).unwrap_or_default()
}

/// What came of a run.
pub(crate) struct News<'a> {
    /// When it began, as records have it.
    pub(crate) begun: String,
    /// What it said.
    pub(crate) said: Result<String, Failure>,
    /// The record of the last backup, where there is a newer one.
    pub(crate) last: Option<&'a Value>,
}

/// Writes both files anew, and returns what the run is to say in the end.
///
/// # Errors
///
/// That of the run, and what could not be written.
pub(crate) fn write(config: &Config, before: &Value, news: News<'_>) -> Result<String, Failure> {
    let last = news.last.unwrap_or(&before["last"]);
    let status = |said: &Result<String, Failure>| {
        object(vec![
            ("cluster", config.cluster.as_str().into()),
            ("member", config.member.as_str().into()),
            ("last_attempt", news.begun.as_str().into()),
            ("last_run_success", said.is_ok().into()),
            ("message", said.as_ref().ok().map(String::as_str).into()),
            ("error", said.as_ref().err().map(|failure| failure.msg.as_str()).into()),
            ("damaged", said.as_ref().is_err_and(|failure| failure.details.contains_key(DAMAGED)).into()),
            ("last", last.clone()),
        ])
    };
    // First what more people look at, so that the other one can tell what came of that.
    let measured = config.metrics_file.as_ref().map_or(Ok(()), |path| put(path, &metrics(&status(&news.said))));
    let said = and_then(news.said, measured);
    let written = put(&config.status_file, &format!("{:#}\n", status(&said)));
    and_then(said, written)
}

/// What is to be said when something was not written, too.
fn and_then(said: Result<String, Failure>, written: Result<(), Failure>) -> Result<String, Failure> {
    match (said, written) {
        (said, Ok(())) => said,
        (Ok(said), Err(failure)) => Err(failure.context(said)),
        (Err(mut failure), Err(other)) => {
            failure.msg = format!("{}; {}", failure.msg, other.msg);
            Err(failure)
        }
    }
}

/// Writes a file that anybody may read.
///
/// # Errors
///
/// Kind `io`, with the file.
pub(crate) fn put(path: &Path, text: &str) -> Result<(), Failure> {
    let written = write_atomic(path, text.as_bytes(), None, 0o644);
    written.map_err(|error| Failure::io(format_args!("write {}", path.display()), error))
}

/// The status as node_exporter's text collector reads it.
fn metrics(status: &Value) -> String {
    let last = &status["last"];
    let time = |value: &Value| seconds(value).to_string();
    let number = |name: &str| last[name].as_i64().unwrap_or(0).to_string();
    let yes = |yes: bool| u8::from(yes).to_string();
    let verified = last["verified"] == true && status["damaged"] != true;
    let values = [
        ("last_success_timestamp_seconds", "When the cluster's last backup was taken.", time(&last["taken_at"])),
        ("last_attempt_timestamp_seconds", "When this member last ran.", time(&status["last_attempt"])),
        ("size_bytes", "The size of the last backup.", number("size")),
        ("revision", "The revision that the last backup holds.", number("revision")),
        ("verified", "Whether the last backup was found whole on its disk.", yes(verified)),
        ("last_run_success", "Whether the last run was one.", yes(status["last_run_success"] == true)),
    ];
    let info = [("taken_by", &last["member"]), ("path", &last["path"]), ("error", &status["error"])];
    exposition("etcd_backup", status, &values, ("The last backup and the last error.", &info))
}

/// A time of a record, in seconds since 1970; 0 where there is none.
pub(crate) fn seconds(value: &Value) -> i64 {
    let time = value.as_str().and_then(|text| clock::read(text, "0000-00-00T00:00:00Z"));
    time.map_or(0, Timestamp::as_second)
}

/// Gauges with their names, helps and values, each with cluster and member of the status as labels; and one that is 1,
/// with more labels that hold texts.
pub(crate) fn exposition(
    prefix: &str,
    status: &Value,
    values: &[(&str, &str, String)],
    (help, info): (&str, &[(&str, &Value)]),
) -> String {
    let word = |value: &Value| escaped(value.as_str().unwrap_or_default());
    let labels = format!("cluster=\"{}\",member=\"{}\"", word(&status["cluster"]), word(&status["member"]));
    let mut text = String::new();
    let mut gauge = |name: &str, help: &str, labels: &str, value: &str| {
        // Writing to a text does not fail.
        let _ = write!(text, "# HELP {prefix}_{name} {help}\n# TYPE {prefix}_{name} gauge\n");
        let _ = writeln!(text, "{prefix}_{name}{{{labels}}} {value}");
    };
    for (name, help, value) in values {
        gauge(name, help, &labels, value);
    }
    let info = info.iter().fold(labels, |text, (name, value)| format!("{text},{name}=\"{}\"", word(value)));
    gauge("info", help, &info, "1");
    text
}

/// The value of a label.
fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn metrics_are_as_prometheus_reads_them() {
        let status = json!({ "cluster": "main", "member": "etcd-2", "last_attempt": "2026-01-02T03:04:05Z",
            "last_run_success": false, "error": "a \"b\" \\\nc",
            "last": { "member": "etcd-1", "taken_at": "2026-01-02T02:04:05Z", "size": 4096, "revision": 7,
                "verified": true, "path": "/x/a.db" } });
        let wanted = r#"# HELP etcd_backup_last_success_timestamp_seconds When the cluster's last backup was taken.
# TYPE etcd_backup_last_success_timestamp_seconds gauge
etcd_backup_last_success_timestamp_seconds{cluster="main",member="etcd-2"} 1767319445
# HELP etcd_backup_last_attempt_timestamp_seconds When this member last ran.
# TYPE etcd_backup_last_attempt_timestamp_seconds gauge
etcd_backup_last_attempt_timestamp_seconds{cluster="main",member="etcd-2"} 1767323045
# HELP etcd_backup_size_bytes The size of the last backup.
# TYPE etcd_backup_size_bytes gauge
etcd_backup_size_bytes{cluster="main",member="etcd-2"} 4096
# HELP etcd_backup_revision The revision that the last backup holds.
# TYPE etcd_backup_revision gauge
etcd_backup_revision{cluster="main",member="etcd-2"} 7
# HELP etcd_backup_verified Whether the last backup was found whole on its disk.
# TYPE etcd_backup_verified gauge
etcd_backup_verified{cluster="main",member="etcd-2"} 1
# HELP etcd_backup_last_run_success Whether the last run was one.
# TYPE etcd_backup_last_run_success gauge
etcd_backup_last_run_success{cluster="main",member="etcd-2"} 0
# HELP etcd_backup_info The last backup and the last error.
# TYPE etcd_backup_info gauge
etcd_backup_info{cluster="main",member="etcd-2",taken_by="etcd-1",path="/x/a.db",error="a \"b\" \\\nc"} 1
"#;
        assert_eq!(metrics(&status), wanted);
    }

    #[test]
    fn what_was_never_taken_is_as_old_as_can_be() {
        let text = metrics(&json!({ "cluster": "main", "member": "etcd-2", "last": null }));
        assert!(text.contains("etcd_backup_last_success_timestamp_seconds{cluster=\"main\",member=\"etcd-2\"} 0\n"));
        assert!(text.contains("etcd_backup_verified{cluster=\"main\",member=\"etcd-2\"} 0\n"));
    }
}
