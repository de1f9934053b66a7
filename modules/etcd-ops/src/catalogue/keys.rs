//! The table: every key that etcd 3.4 to 3.7 reads from its configuration file.
//!
//! Taken from the json tags in etcd's source; `testdata/config-keys` holds what its releases say of themselves, and a
//! test compares the two.

use super::{Key, Kind, Now};
use Kind::{Bool, Commas, Duration, Int, OneOf, Pairs, Section, Text, Texts, Uint, Urls};

/// Since which patch release of 3.4, 3.5, 3.6 and 3.7 the key is read; -1: not in that series.
type Since = [i8; 4];

const ALL: Since = [0, 0, 0, 0];
const TO_34: Since = [0, -1, -1, -1];
const TO_35: Since = [0, 0, -1, -1];
const TO_36: Since = [0, 0, 0, -1];
const IN_35_36: Since = [-1, 0, 0, -1];
const IN_36: Since = [-1, -1, 0, -1];
const FROM_35: Since = [-1, 0, 0, 0];
const FROM_36: Since = [-1, -1, 0, 0];
const FROM_37: Since = [-1, -1, -1, 0];

const fn key(name: &'static str, kind: Kind, since: Since) -> Key {
    Key { name, kind, since, now: Now::Same, bootstrap_only: false, reload: false }
}

/// A key that only matters until the member has data.
const fn bootstrap(name: &'static str, kind: Kind, since: Since) -> Key {
    Key { bootstrap_only: true, ..key(name, kind, since) }
}

/// A key naming a file that is read anew for each TLS handshake.
const fn reloaded(name: &'static str, since: Since) -> Key {
    Key { reload: true, ..key(name, Text, since) }
}

/// A key that goes by another name, or by none, in later releases.
const fn old(name: &'static str, kind: Kind, since: Since, now: Now) -> Key {
    Key { now, ..key(name, kind, since) }
}

const TLS_VERSIONS: &[&str] = &["", "TLS1.2", "TLS1.3"];
const LEVELS: &[&str] = &["debug", "info", "warn", "error", "dpanic", "panic", "fatal"];
const NO_PROXY: Now = Now::Gone("the v2 proxy is gone, use etcd grpc-proxy");
const NO_DISCOVERY: Now = Now::Gone("v2 discovery is gone, use discovery-config");

/// The keys of `client-transport-security` and `peer-transport-security`.
pub const SECURITY: &[Key] = &[
    reloaded("cert-file", ALL),
    reloaded("key-file", ALL),
    reloaded("client-cert-file", FROM_35),
    reloaded("client-key-file", FROM_35),
    key("trusted-ca-file", Text, ALL),
    key("client-cert-auth", Bool, ALL),
    key("auto-tls", Bool, ALL),
    // 3.5.14 took one text here; lists, as everywhere since, came with 3.5.15.
    key("allowed-cn", Texts, [-1, 15, 0, 0]),
    key("allowed-hostname", Texts, [-1, 15, 0, 0]),
    key("skip-client-san-verification", Bool, FROM_36),
];

const SOCKET: &[Key] = &[key("reuse-port", Bool, ALL), key("reuse-address", Bool, ALL)];

const DISCOVERY: &[Key] = &[key("token", Text, FROM_36), key("client", Section(DISCOVERY_CLIENT), FROM_36)];

const DISCOVERY_CLIENT: &[Key] = &[
    key("endpoints", Texts, FROM_36),
    key("request-timeout", Duration, FROM_36),
    key("dial-timeout", Duration, FROM_36),
    key("keepalive-time", Duration, FROM_36),
    key("keepalive-timeout", Duration, FROM_36),
    key("max-request-bytes", Int, FROM_36),
    key("max-recv-bytes", Int, FROM_36),
    key("secure", Section(DISCOVERY_SECURE), FROM_36),
    key("auth", Section(DISCOVERY_AUTH), FROM_36),
];

const DISCOVERY_SECURE: &[Key] = &[
    key("cert", Text, FROM_36),
    key("key", Text, FROM_36),
    key("cacert", Text, FROM_36),
    key("server-name", Text, FROM_36),
    key("insecure-transport", Bool, FROM_36),
    key("insecure-skip-tls-verify", Bool, FROM_36),
];

const DISCOVERY_AUTH: &[Key] =
    &[key("username", Text, FROM_36), key("password", Text, FROM_36), key("token", Text, FROM_37)];

/// The keys of the file, in the order in which they are written.
pub const KEYS: &[Key] = &[
    // The member.
    key("name", Text, ALL),
    key("data-dir", Text, ALL),
    key("wal-dir", Text, ALL),
    key("listen-peer-urls", Urls, ALL),
    key("listen-client-urls", Urls, ALL),
    key("listen-client-http-urls", Urls, [25, 8, 0, 0]),
    // The cluster.
    bootstrap("initial-advertise-peer-urls", Urls, ALL),
    key("advertise-client-urls", Urls, ALL),
    bootstrap("initial-cluster", Pairs, ALL),
    bootstrap("initial-cluster-state", OneOf(&["new", "existing"]), ALL),
    bootstrap("initial-cluster-token", Text, ALL),
    bootstrap("discovery-srv", Text, ALL),
    bootstrap("discovery-srv-name", Text, ALL),
    bootstrap("discovery-config", Section(DISCOVERY), FROM_36),
    Key { bootstrap_only: true, ..old("discovery", Text, TO_36, NO_DISCOVERY) },
    Key { bootstrap_only: true, ..old("discovery-proxy", Text, TO_36, NO_DISCOVERY) },
    Key { bootstrap_only: true, ..old("discovery-fallback", Text, TO_35, NO_DISCOVERY) },
    key("strict-reconfig-check", Bool, ALL),
    key("max-learners", Int, FROM_36),
    key("force-new-cluster", Bool, ALL),
    // Raft.
    key("heartbeat-interval", Uint, ALL),
    key("election-timeout", Uint, ALL),
    key("initial-election-tick-advance", Bool, ALL),
    key("pre-vote", Bool, ALL),
    key("snapshot-count", Uint, ALL),
    key("snapshot-catchup-entries", Uint, FROM_36),
    key("max-snapshots", Uint, ALL),
    key("max-wals", Uint, ALL),
    // Storage and limits.
    key("quota-backend-bytes", Int, ALL),
    key("backend-batch-interval", Duration, ALL),
    key("backend-batch-limit", Int, ALL),
    key("backend-bbolt-freelist-type", OneOf(&["", "array", "map"]), FROM_35),
    key("auto-compaction-mode", OneOf(&["periodic", "revision"]), ALL),
    key("auto-compaction-retention", Text, ALL),
    key("compaction-batch-limit", Int, FROM_36),
    key("compaction-sleep-interval", Duration, FROM_36),
    key("bootstrap-defrag-threshold-megabytes", Uint, FROM_36),
    key("memory-mlock", Bool, FROM_36),
    key("unsafe-no-fsync", Bool, [10, 0, 0, 0]),
    key("max-txn-ops", Uint, ALL),
    key("max-request-bytes", Uint, ALL),
    key("max-concurrent-streams", Uint, [20, 5, 0, 0]),
    key("grpc-keepalive-min-time", Duration, ALL),
    key("grpc-keepalive-interval", Duration, ALL),
    key("grpc-keepalive-timeout", Duration, ALL),
    key("socket-options", Section(SOCKET), [-1, 10, 0, 0]),
    key("enable-grpc-gateway", Bool, ALL),
    key("watch-progress-notify-interval", Duration, FROM_36),
    // TLS and authentication.
    key("client-transport-security", Section(SECURITY), ALL),
    key("peer-transport-security", Section(SECURITY), ALL),
    key("cipher-suites", Texts, ALL),
    key("tls-min-version", OneOf(TLS_VERSIONS), [25, 8, 0, 0]),
    key("tls-max-version", OneOf(TLS_VERSIONS), [25, 8, 0, 0]),
    key("self-signed-cert-validity", Uint, [-1, 1, 0, 0]),
    key("auth-token", Text, ALL),
    key("auth-token-ttl", Uint, [10, 0, 0, 0]),
    key("bcrypt-cost", Uint, ALL),
    key("cors", Commas, ALL),
    key("host-whitelist", Commas, ALL),
    // Corruption checks, features, versions.
    key("corrupt-check-time", Duration, FROM_36),
    key("compact-hash-check-time", Duration, FROM_36),
    key("feature-gates", Pairs, FROM_36),
    key("downgrade-check-time", Duration, FROM_36),
    key(
        "v2-deprecation",
        OneOf(&["not-yet", "write-only", "write-only-skip-check", "write-only-drop-data", "gone"]),
        FROM_35,
    ),
    old("enable-v2", Bool, TO_35, Now::Gone("the v2 API is gone")),
    // Logs, metrics, tracing.
    key("logger", OneOf(&["zap", "capnslog"]), ALL),
    key("log-level", OneOf(LEVELS), ALL),
    key("log-format", OneOf(&["json", "console"]), FROM_36),
    key("log-outputs", Texts, ALL),
    key("enable-log-rotation", Bool, FROM_35),
    key("log-rotation-config-json", Text, FROM_35),
    key("metrics", OneOf(&["basic", "extensive"]), ALL),
    key("listen-metrics-urls", Urls, ALL),
    key("enable-pprof", Bool, ALL),
    key("warning-apply-duration", Duration, FROM_36),
    key("warning-unary-request-duration", Duration, FROM_36),
    key("enable-distributed-tracing", Bool, FROM_36),
    key("distributed-tracing-address", Text, FROM_36),
    key("distributed-tracing-service-name", Text, FROM_36),
    key("distributed-tracing-instance-id", Text, FROM_36),
    key("distributed-tracing-sampling-rate", Int, FROM_36),
    old("debug", Bool, TO_34, Now::Gone("write log-level: debug")),
    old("log-output", Texts, TO_34, Now::Key("log-outputs")),
    old("log-package-levels", Text, TO_34, Now::Gone("write log-level")),
    // The v2 proxy.
    old("proxy", Text, TO_35, NO_PROXY),
    old("proxy-failure-wait", Uint, TO_35, NO_PROXY),
    old("proxy-refresh-interval", Uint, TO_35, NO_PROXY),
    old("proxy-dial-timeout", Uint, TO_35, NO_PROXY),
    old("proxy-write-timeout", Uint, TO_35, NO_PROXY),
    old("proxy-read-timeout", Uint, TO_35, NO_PROXY),
    // Experiments that became keys or feature gates.
    old("experimental-backend-bbolt-freelist-type", Text, TO_34, Now::Key("backend-bbolt-freelist-type")),
    old("experimental-snapshot-catch-up-entries", Uint, [-1, 14, 0, -1], Now::Key("snapshot-catchup-entries")),
    old("experimental-initial-corrupt-check", Bool, TO_36, Now::Gate("InitialCorruptCheck")),
    old("experimental-corrupt-check-time", Duration, TO_36, Now::Key("corrupt-check-time")),
    old("experimental-compact-hash-check-enabled", Bool, [-1, 5, 0, -1], Now::Gate("CompactHashCheck")),
    old("experimental-compact-hash-check-time", Duration, [-1, 5, 0, -1], Now::Key("compact-hash-check-time")),
    old("experimental-enable-v2v3", Text, TO_35, Now::Gone("the v2 API is gone")),
    old("experimental-enable-lease-checkpoint", Bool, TO_36, Now::Gate("LeaseCheckpoint")),
    old("experimental-enable-lease-checkpoint-persist", Bool, [20, 2, 0, -1], Now::Gate("LeaseCheckpointPersist")),
    old("experimental-compaction-batch-limit", Int, TO_36, Now::Key("compaction-batch-limit")),
    old("experimental-compaction-sleep-interval", Duration, [-1, 16, 0, -1], Now::Key("compaction-sleep-interval")),
    old(
        "experimental-watch-progress-notify-interval",
        Duration,
        [11, 0, 0, -1],
        Now::Key("watch-progress-notify-interval"),
    ),
    old("experimental-warning-apply-duration", Duration, [16, 0, 0, -1], Now::Key("warning-apply-duration")),
    old("experimental-warning-unary-request-duration", Duration, IN_36, Now::Key("warning-unary-request-duration")),
    old(
        "experimental-bootstrap-defrag-threshold-megabytes",
        Uint,
        IN_35_36,
        Now::Key("bootstrap-defrag-threshold-megabytes"),
    ),
    old("experimental-enable-distributed-tracing", Bool, IN_35_36, Now::Key("enable-distributed-tracing")),
    old("experimental-distributed-tracing-address", Text, IN_35_36, Now::Key("distributed-tracing-address")),
    old("experimental-distributed-tracing-service-name", Text, IN_35_36, Now::Key("distributed-tracing-service-name")),
    old("experimental-distributed-tracing-instance-id", Text, IN_35_36, Now::Key("distributed-tracing-instance-id")),
    old(
        "experimental-distributed-tracing-sampling-rate",
        Int,
        [-1, 11, 0, -1],
        Now::Key("distributed-tracing-sampling-rate"),
    ),
    old(
        "experimental-peer-skip-client-san-verification",
        Bool,
        IN_36,
        Now::Inside("peer-transport-security", "skip-client-san-verification"),
    ),
    old("experimental-downgrade-check-time", Duration, IN_35_36, Now::Key("downgrade-check-time")),
    old("experimental-memory-mlock", Bool, IN_35_36, Now::Key("memory-mlock")),
    old("experimental-txn-mode-write-with-shared-buffer", Bool, IN_35_36, Now::Gate("TxnModeWriteWithSharedBuffer")),
    old("experimental-stop-grpc-service-on-defrag", Bool, [-1, 14, 0, -1], Now::Gate("StopGRPCServiceOnDefrag")),
];

/// The names that `feature-gates` takes.
pub const GATES: &[Key] = &[
    key("AllAlpha", Bool, FROM_36),
    key("AllBeta", Bool, FROM_36),
    key("CompactHashCheck", Bool, FROM_36),
    key("FastLeaseKeepAlive", Bool, FROM_37),
    key("InitialCorruptCheck", Bool, FROM_36),
    key("LeaseCheckpoint", Bool, FROM_36),
    key("LeaseCheckpointPersist", Bool, FROM_36),
    key("PriorityRequest", Bool, FROM_37),
    key("SetMemberLocalAddr", Bool, FROM_36),
    key("StopGRPCServiceOnDefrag", Bool, FROM_36),
    key("TxnModeWriteWithSharedBuffer", Bool, FROM_36),
];
