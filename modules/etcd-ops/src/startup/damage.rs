//! Whether a member does not start because its data is not as it was written. What is called damaged is made anew without a
//! question, so it takes a text that says so: that etcd gives up, or panics, is none, for it does so whenever the machine
//! keeps it from its data.

use super::{START, explain};

/// What etcd 3.4 to 3.7, bbolt and the log say of data that is not as they have written it: `server/storage/wal`, `walpb`,
/// `etcdserver/api/snap`, `etcdserver/bootstrap.go`, raft's `log.go`, `bbolt/db.go`, `page.go` and `freelist.go`.
const MARKS: &[&str] = &[
    "crc mismatch",
    "CRC mismatch",
    "wal: file not found",
    "wal: max entry size limit exceeded",
    "wal: slice bounds out of range",
    "wal: unexpected conflicting entries",
    "cannot be repaired",
    "snapshot mismatch",
    "snapshot not found",
    "failed to find database snapshot file",
    "failed to recover from snapshot",
    "database snapshot file path",
    "invalid database",
    "version mismatch",
    "checksum error",
    "file size too small",
    "freepages:",
    "invalid freelist page",
    "already freed",
    "age expected to be",
    "unexpected page type",
    "invalid page type",
    "invalid page allocation",
    "is out of range [lastIndex",
    "unexpected fault address",
    "SIGBUS",
    "proto: illegal wireType",
    "proto: wrong wireType",
    "proto: cannot parse",
    "database file is corrupt",
];

/// A panic in the code that reads pages of the database.
const READS_PAGES: &str = "go.etcd.io/bbolt";

/// Whether these lines, the newest last, end in a start that failed because the member's data is damaged. What has a known
/// reason of another kind is not.
#[must_use]
pub fn is_damaged<S: AsRef<str>>(lines: &[S]) -> bool {
    if explain(lines, "").is_some() {
        return false;
    }
    let begin = lines.iter().rposition(|line| line.as_ref().contains(START)).unwrap_or(0);
    // So that nobody relies on its texts, Go's protobuf has a no-break space in those of some builds.
    let plain = |line: &str| line.replace('\u{a0}', " ");
    let grave: Vec<String> =
        lines[begin..].iter().map(AsRef::as_ref).filter(|line| ends_etcd(line)).map(plain).collect();
    let says = |mark: &str| grave.iter().any(|line| line.contains(mark));
    MARKS.iter().any(|mark| says(mark)) || (says("panic: runtime error") && says(READS_PAGES))
}

/// Whether etcd may have ended with this: what it only warns of may be the trouble of a peer, and it goes on.
fn ends_etcd(line: &str) -> bool {
    let passing =
        ["\"level\":\"debug\"", "\"level\":\"info\"", "\"level\":\"warn\"", " D | ", " I | ", " N | ", " W | "];
    !passing.iter().any(|mark| line.contains(mark))
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    const BEGIN: &str = r#"{"level":"info","msg":"loaded server configuration, other configuration ..."}"#;
    const TORN: &str =
        r#"{"level":"fatal","msg":"failed to read WAL, cannot be repaired","error":"wal: crc mismatch"}"#;

    #[test]
    fn only_the_last_start_counts() {
        assert!(is_damaged(&[BEGIN, TORN]));
        assert!(!is_damaged(&[TORN, BEGIN]));
        assert!(!is_damaged::<&str>(&[]));
    }

    #[test_case("panic: assertion failed: Page expected to be: 7, but self identifies as 0", true; "a wrong page")]
    #[test_case(r#"{"level":"panic","msg":"failed to open database","path":"/d/member/snap/db","error":"invalid database"}"#, true; "no database")]
    #[test_case(r#"{"level":"panic","msg":"tocommit(10) is out of range [lastIndex(3)]. Was the raft log corrupted, truncated, or lost?"}"#, true; "a log that is too short")]
    #[test_case(r#"{"level":"panic","msg":"failed to open database","path":"/d/member/snap/db","error":"cannot allocate memory"}"#, false; "no memory")]
    #[test_case(r#"{"level":"fatal","msg":"failed to open WAL","error":"open /d/member/wal/0.wal: read-only file system"}"#, false; "read-only")]
    #[test_case(r#"{"level":"panic","msg":"failed to open database","error":"open /d/member/snap/db: too many open files"}"#, false; "no descriptors")]
    #[test_case(r#"{"level":"panic","msg":"failed to write","error":"write: no space left on device"}"#, false; "no space")]
    #[test_case(r#"{"level":"fatal","msg":"failed to read WAL","error":"read /d/member/wal/0.wal: input/output error"}"#, false; "a disk that fails")]
    #[test_case(r#"{"level":"fatal","msg":"failed to open WAL","error":"open /d/member/wal: stale NFS file handle"}"#, false; "a server that is gone")]
    #[test_case(r#"{"level":"warn","msg":"lost TCP streaming connection","error":"checksum error"}"#, false; "trouble with a peer")]
    #[test_case("2026-11-21 08:37:58 C | etcdserver: read wal error (wal: crc mismatch) and cannot be repaired", true; "no JSON")]
    #[test_case("panic: proto:\u{a0}cannot parse invalid wire-format data", true; "no wire format")]
    #[test_case(r#"{"level":"panic","msg":"something that nobody knows"}"#, false; "a panic that says nothing")]
    #[test_case("panic: runtime error: invalid memory address or nil pointer dereference [signal SIGSEGV: segmentation violation]", false; "a defect of etcd")]
    #[test_case(r#"{"level":"fatal","msg":"discovery failed","error":"8e9e05c52164694d found data inconsistency with peers"}"#, false; "data that differs")]
    #[test_case(r#"{"level":"fatal","msg":"discovery failed","error":"listen tcp 10.0.0.1:2380: bind: address already in use"}"#, false; "an address in use")]
    fn damage_is_told_from_other_trouble(line: &str, wanted: bool) {
        assert_eq!(is_damaged(&[BEGIN, line]), wanted);
    }

    #[test]
    fn trouble_of_the_machine_is_the_reason_of_whatever_else_is_said() {
        let torn = r#"{"level":"warn","msg":"failed to read WAL","error":"wal: crc mismatch"}"#;
        let full = r#"{"level":"fatal","msg":"failed to repair WAL","error":"write: read-only file system"}"#;
        assert!(!is_damaged(&[BEGIN, torn, full]));
    }

    #[test]
    fn a_panic_counts_where_it_reads_the_database() {
        let panic = "panic: runtime error: slice bounds out of range [:70000] with capacity 4096";
        assert!(is_damaged(&[panic, "go.etcd.io/bbolt.(*Cursor).search(0xc0001)"]));
        assert!(!is_damaged(&[panic, "go.etcd.io/etcd/server/v3/etcdserver.(*EtcdServer).apply(0xc0001)"]));
    }
}
