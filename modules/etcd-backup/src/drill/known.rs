//! What is known after a drill, as JSON and as metrics.

use crate::config::Config;
use crate::object;
use crate::status::{exposition, put, read_object, seconds};
use ansible_protocol::Failure;
use jiff::Timestamp;
use serde_json::Value;

/// What was known before; nothing where there is no such file.
pub(super) fn read(config: &Config) -> Value {
    config.drill_status_file.as_deref().map(read_object).unwrap_or_default()
}

/// Writes both files anew.
///
/// # Errors
///
/// Kind `io`, with the file.
pub(super) fn write(
    config: &Config,
    before: &Value,
    begun: Timestamp,
    said: &Result<String, Failure>,
    last: Option<&Value>,
) -> Result<(), Failure> {
    let status = object(vec![
        ("cluster", config.cluster.as_str().into()),
        ("member", config.member.as_str().into()),
        ("last_attempt", begun.to_string().into()),
        ("last_run_success", said.is_ok().into()),
        ("message", said.as_ref().ok().map(String::as_str).into()),
        ("error", said.as_ref().err().map(|failure| failure.msg.as_str()).into()),
        ("last", last.unwrap_or(&before["last"]).clone()),
    ]);
    if let Some(path) = &config.drill_status_file {
        put(path, &format!("{status:#}\n"))?;
    }
    config.drill_metrics_file.as_ref().map_or(Ok(()), |path| put(path, &metrics(&status)))
}

/// The status as node_exporter's text collector reads it.
fn metrics(status: &Value) -> String {
    let last = &status["last"];
    let number = |name: &str| last[name].as_f64().unwrap_or(0.0);
    let time = |value: &Value| seconds(value).to_string();
    let values = [
        (
            "last_success_timestamp_seconds",
            "When a snapshot here was last restored and found right.",
            time(&last["finished_at"]),
        ),
        ("last_attempt_timestamp_seconds", "When this member last tried.", time(&status["last_attempt"])),
        (
            "last_run_success",
            "Whether the last run found nothing wrong.",
            u8::from(status["last_run_success"] == true).to_string(),
        ),
        (
            "root_password_fits",
            "Whether root could log in to what the last good drill served, without which that is not compared.",
            u8::from(last["root_password_fits"] != false).to_string(),
        ),
        ("duration_seconds", "How long the last good drill took.", number("seconds").to_string()),
        (
            "restore_duration_seconds",
            "How long it took until the data was restored.",
            number("restored_seconds").to_string(),
        ),
        ("snapshot_timestamp_seconds", "When the snapshot of the last good drill was taken.", time(&last["taken_at"])),
        ("keys", "How many keys it holds.", number("total_keys").to_string()),
        ("revision", "The revision it holds.", number("revision").to_string()),
    ];
    exposition(
        "etcd_drill",
        status,
        &values,
        ("The last good drill and the last error.", &[("path", &last["path"]), ("error", &status["error"])]),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn metrics_of_a_drill() {
        let status = json!({ "cluster": "main", "member": "etcd-2", "last_attempt": "2026-01-02T03:04:05Z",
            "last_run_success": true, "error": null,
            "last": { "finished_at": "2026-01-02T03:04:07Z", "taken_at": "2026-01-02T02:04:05Z", "seconds": 1.25,
                "restored_seconds": 0.5, "total_keys": 3, "revision": 7, "path": "/x/a.db" } });
        let text = metrics(&status);
        for line in [
            "etcd_drill_last_success_timestamp_seconds{cluster=\"main\",member=\"etcd-2\"} 1767323047\n",
            "etcd_drill_last_run_success{cluster=\"main\",member=\"etcd-2\"} 1\n",
            "etcd_drill_root_password_fits{cluster=\"main\",member=\"etcd-2\"} 1\n",
            "etcd_drill_duration_seconds{cluster=\"main\",member=\"etcd-2\"} 1.25\n",
            "etcd_drill_keys{cluster=\"main\",member=\"etcd-2\"} 3\n",
            "etcd_drill_info{cluster=\"main\",member=\"etcd-2\",path=\"/x/a.db\",error=\"\"} 1\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
    }
}
