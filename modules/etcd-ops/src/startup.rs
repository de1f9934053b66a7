//! Why a member does not stay up, from its log: etcd's reasons to give up, each in one sentence with its cause and what
//! to do next. Pure.
//!
//! The texts are those of etcd 3.4 to 3.7: `etcdserver/bootstrap.go` (`server.go` up to 3.5), `etcdserver/api/membership`
//! and `etcdserver/api/rafthttp`. The fatal line itself says "discovery failed" whatever the reason.

/// Whether it is because of damage to its data.
mod damage;

pub use damage::is_damaged;

use serde_json::Value;

/// Where a log begins anew: the first thing that etcd says of each start.
const START: &str = "loaded server configuration";

const JOIN: &str = "./etcd.yml -l HOST -e etcd_init=existing";
const REMOVE: &str = "./etcd-rm.yml -l HOST";

/// etcd says so as if it were nothing.
const LOCKED: &str = "db file is flocked by another process";

/// What the kernel says where the machine keeps a member from its data, which may be whole.
const MACHINE: &[&str] = &[
    "no space left on device",
    "disk quota exceeded",
    "read-only file system",
    "input/output error",
    "remote I/O error",
    "structure needs cleaning",
    "cannot allocate memory",
    "out of memory",
    "too many open files",
    "file descriptor limit",
    "no such device",
    "stale NFS file handle",
    "stale file handle",
    "transport endpoint is not connected",
    "operation not permitted",
    "resource temporarily unavailable",
    "device or resource busy",
];

/// A reason: the texts by which it is known, and the sentence, in whose commands `HOST` is the member's host.
struct Reason {
    marks: &'static [&'static str],
    sentence: fn(&Value) -> String,
}

/// Those that end etcd come first: a member that was told so may also complain of what follows from it.
const REASONS: &[Reason] = &[
    Reason {
        marks: &["the member has been permanently removed", "data-dir used by this member must be removed"],
        sentence: |_| {
            format!(
                "it has been removed from its cluster and its data is of no use any more: clear the host with {REMOVE}, then join again with {JOIN}"
            )
        },
    },
    Reason {
        marks: &["member count is unequal"],
        sentence: |_| {
            format!(
                "its initial-cluster names other members than the cluster has, so this host has not been added, or the list is old: join with {JOIN}"
            )
        },
    },
    Reason {
        marks: &["no match found for existing member", "unmatched member while checking PeerURLs"],
        sentence: |_| {
            format!(
                "the cluster has a member with other peer URLs than its initial-cluster: take that one out with bin/etcd-rm and its address, which etcdctl member list has, then join with {JOIN}"
            )
        },
    },
    Reason {
        marks: &["has already been bootstrapped"],
        sentence: |_| {
            format!(
                "the cluster knows this member already, but its data is gone: take the old member out with {REMOVE}, then join with {JOIN}"
            )
        },
    },
    Reason {
        marks: &["cannot fetch cluster info from peer urls", "could not retrieve cluster information"],
        sentence: |_| {
            format!(
                "none of the other members in its initial-cluster tells it about the cluster: bring them up, or correct their peer URLs, then run {JOIN}"
            )
        },
    },
    Reason {
        marks: &["server version is lower than determined cluster version", "cluster cannot be downgraded"],
        sentence: older,
    },
    Reason { marks: &["Failed to validate schema"], sentence: newer_data },
    Reason {
        marks: &["incompatible with current running cluster"],
        sentence: |_| {
            "its version of etcd does not fit the cluster's: install the version that the other members run, ./etcd.yml -l HOST -t etcd_install".to_owned()
        },
    },
    Reason {
        marks: &["address already in use"],
        sentence: |line| {
            let address = between(line, "listen tcp ", ": bind").unwrap_or_else(|| "an address of its own".into());
            format!(
                "{address} is in use by another process: find it with ss -ltnp, stop it, then run ./etcd.yml -l HOST -t etcd_launch"
            )
        },
    },
    // The log is made beside its place, and then given its name.
    Reason {
        marks: &[".tmp: permission denied"],
        sentence: |line| {
            let path = between(line, "mkdir ", ".tmp: permission denied").unwrap_or_else(|| "wal-dir".into());
            format!(
                "it makes {path} anew, and may not write in the directory above it: let wal-dir be in a directory of etcd's own (install -d -o etcd -g etcd -m 700 DIRECTORY), then run ./etcd.yml again"
            )
        },
    },
    Reason {
        marks: &["permission denied"],
        sentence: |line| {
            let path = between(line, "open ", ": permission denied")
                .or_else(|| between(line, "mkdir ", ": permission denied"));
            let path = path.unwrap_or_else(|| "a file or directory of its own".into());
            format!("it may not use {path}: set owner and mode with ./etcd.yml -l HOST -t etcd_dir,etcd_config")
        },
    },
    Reason {
        marks: &["couldn't find local name"],
        sentence: |_| {
            "its initial-cluster does not have its own name: correct that with ./etcd.yml -l HOST -t etcd_conf"
                .to_owned()
        },
    },
    Reason {
        marks: &["due to cluster ID mismatch", "cluster ID mismatch"],
        sentence: |_| {
            format!(
                "it and its peers belong to different clusters, by their data or by initial-cluster-token: if this is the wrong one, clear the host with {REMOVE}, then join with {JOIN}"
            )
        },
    },
    Reason {
        marks: &[LOCKED],
        sentence: |_| {
            "another process has its database open: find it with fuser -v DATA_DIR/member/snap/db, and stop it"
                .to_owned()
        },
    },
    Reason {
        marks: &["found data inconsistency"],
        sentence: |_| {
            "its data or a peer's differs, and the check at its start (initial-corrupt-check) does not say whose is right: start it without that check, ./etcd.yml -l HOST, then compare the members with ./etcd-recover.yml"
                .to_owned()
        },
    },
    Reason { marks: MACHINE, sentence: machine },
];

/// Why the member that wrote these lines does not serve, and what to do next, with `host` as the inventory names it; none
/// when they hold no known reason. Lines of earlier starts do not count.
#[must_use]
pub fn explain<S: AsRef<str>>(lines: &[S], host: &str) -> Option<String> {
    let begin = lines.iter().rposition(|line| line.as_ref().contains(START)).unwrap_or(0);
    let lines: Vec<&str> = lines[begin..].iter().map(AsRef::as_ref).filter(|line| is_grave(line)).collect();
    REASONS.iter().find_map(|reason| {
        let line = lines.iter().rev().find(|line| reason.marks.iter().any(|mark| line.contains(mark)))?;
        let sentence = (reason.sentence)(&serde_json::from_str(line).unwrap_or_else(|_| Value::from(*line)));
        Some(sentence.replace("-l HOST", &format!("-l {host}")))
    })
}

/// What a member says of itself in passing is no reason, such as a client's request that was not permitted.
fn is_grave(line: &str) -> bool {
    (!line.contains("\"level\":\"info\"") || line.contains(LOCKED)) && !line.contains("etcdserver: permission denied")
}

fn machine(line: &Value) -> String {
    let text = line.as_str().map_or_else(|| line.to_string(), ToOwned::to_owned);
    let cause = MACHINE.iter().find(|mark| text.contains(**mark)).copied().unwrap_or_default();
    format!(
        "its machine keeps it from its data ({cause}), which may be whole: put that right first, then start it with ./etcd.yml -l HOST -t etcd_launch"
    )
}

fn older(line: &Value) -> String {
    let text = |name: &str| line[name].as_str().map(|version| format!(" {version}")).unwrap_or_default();
    let cluster = text("determined-cluster-version");
    format!(
        "its cluster is one of etcd{cluster}, for which etcd{} is too old: install the version that the other members run, \
         ./etcd.yml -l HOST -t etcd_install",
        text("current-server-version")
    )
}

fn newer_data(line: &Value) -> String {
    let version = between(line, "version \"", "\" is not supported").map(|version| format!(" {version}"));
    format!(
        "its data has been written by etcd{}, and the installed one is older: install that version, ./etcd.yml -l HOST -t etcd_install",
        version.unwrap_or_default()
    )
}

/// What stands between two texts in the line's error.
fn between(line: &Value, before: &str, after: &str) -> Option<String> {
    let text = line["error"].as_str().or(line.as_str())?;
    let (head, _) = text.split_once(after)?;
    head.rsplit_once(before).map(|(_, found)| found.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_earlier_start_does_not_count() {
        let fatal = r#"{"level":"fatal","msg":"discovery failed","error":"member 1 has already been bootstrapped"}"#;
        let start = r#"{"level":"info","msg":"loaded server configuration, other configuration ..."}"#;
        assert!(explain(&[start, fatal], "10.0.0.1").unwrap().contains("its data is gone"));
        assert_eq!(explain(&[fatal, start], "10.0.0.1"), None);
        // The journal may not go back to the start.
        assert!(explain(&[fatal], "10.0.0.1").is_some());
    }

    #[test]
    fn a_log_takes_a_directory_of_etcds_own() {
        let fatal =
            r#"{"level":"fatal","msg":"failed to create WAL","error":"mkdir /data/wal.tmp: permission denied"}"#;
        let sentence = explain(&[fatal], "10.0.0.1").unwrap();
        assert!(sentence.contains("makes /data/wal anew") && sentence.contains("install -d -o etcd"), "{sentence}");
    }

    #[test]
    fn what_others_may_not_do_is_no_reason() {
        let line = r#"{"level":"warn","msg":"failed to apply request","error":"etcdserver: permission denied"}"#;
        assert_eq!(explain(&[line], "10.0.0.1"), None);
    }

    #[test]
    fn the_first_cause_is_told_and_not_what_follows_from_it() {
        let removed = r#"{"level":"warn","msg":"server error","error":"the member has been permanently removed from the cluster"}"#;
        let after = r#"{"level":"warn","msg":"request sent was ignored by remote peer due to cluster ID mismatch"}"#;
        for lines in [[removed, after], [after, removed]] {
            assert!(explain(&lines, "10.0.0.1").unwrap().starts_with("it has been removed from its cluster"));
        }
    }

    #[test]
    fn lines_that_are_no_json_are_read_too() {
        let line = "2026-11-21 08:37:58 C | etcdmain: listen tcp 10.0.0.1:2380: bind: address already in use";
        assert!(explain(&[line], "10.0.0.1").unwrap().starts_with("10.0.0.1:2380 is in use by another process"));
    }

    proptest! {
        #[test]
        fn no_log_is_too_strange(lines in prop::collection::vec(any::<String>(), 0..5)) {
            prop_assert_eq!(explain(&lines, "10.0.0.1"), None);
        }
    }
}
