//! The option table and documentation.

use ansible_protocol::{Default, Kind, ModuleSpec, Opt, Ret, Rule, Support};
use etcd_ops::connection::CONNECTION;

const OPTIONS: &[Opt] = &[
    Opt::new(
        "state",
        Kind::Str,
        &[
            "V(saved): a member's database is saved to a file, whole and checked, or not at all.",
            "V(verified): the file O(path) is checked, without a cluster.",
        ],
    )
    .choices(&["saved", "verified"])
    .default(Default::Str("saved")),
    Opt::new(
        "path",
        Kind::Path,
        &["The snapshot file. With O(state=saved) a snapshot of that name is replaced, and no other file is."],
    ),
    Opt::new(
        "dir",
        Kind::Path,
        &[
            "The directory to save into, made with mode V(0700) when it is missing.",
            "The file's name is C(PREFIX-CLUSTER-TIME-REVISION.db), with the time in UTC, as in V(etcd-main-20260102T030405Z-4711.db).",
        ],
    ),
    Opt::new("prefix", Kind::Str, &["What names of files in O(dir) begin with."]).default(Default::Str("etcd")),
    Opt::new(
        "cluster_name",
        Kind::Str,
        &["What names of files in O(dir) call the cluster. Its id when not given; that changes when a cluster is restored."],
    ),
    Opt::new(
        "from",
        Kind::Str,
        &[
            "V(leader): from the leader, which has everything.",
            "V(follower): from a follower that serves and is in sync, to spare the leader.",
            "V(first): from the member behind the first of O(endpoints), if it serves and is in sync.",
        ],
    )
    .choices(&["leader", "follower", "first"])
    .default(Default::Str("leader")),
    Opt::new(
        "keep",
        Kind::Int,
        &[
            "How many snapshots to keep in O(dir), the new one included. Older ones are deleted once the new one is saved.",
            "Only files with the same O(prefix) and O(cluster_name) count, and only they are deleted.",
            "With O(keep_days) as well, a file is kept when either wants it. With neither, all are kept.",
        ],
    ),
    Opt::new("keep_days", Kind::Int, &["For how many days to keep snapshots in O(dir), by the time in their names."]),
    Opt::new("mode", Kind::Raw, &["The permissions of the file, in octal and in quotes. It holds password hashes."])
        .default(Default::Str("0600")),
    Opt::new(
        "without_hash",
        Kind::Bool,
        &[
            "With O(state=verified), also accept a copy of a member's C(member/snap/db). It has no SHA-256, so only its structure is checked, and changed values are not found.",
        ],
    )
    .default(Default::Bool(false)),
    Opt::new(
        "force",
        Kind::Bool,
        &[
            "With O(from=first), save what that member has even if it does not serve or is not in sync, such as the last survivor of a cluster that lost its quorum.",
        ],
    )
    .default(Default::Bool(false)),
];

pub(crate) const SPEC: ModuleSpec = ModuleSpec {
    name: "etcd_snapshot",
    summary: "Snapshots of an etcd cluster: saved, kept for a while, and verified",
    description: &[
        "Saves the database of a member that serves and is in sync. The file appears under its name only when it is complete, on disk, and found whole: its SHA-256 fits, and every page of it is in order.",
        "Verifies a file: finds a single changed bit, a missing end, a file that is something else, and a copy of a member's database, which has no SHA-256.",
    ],
    options: OPTIONS,
    fragments: &[&CONNECTION],
    rules: &[
        Rule::MutuallyExclusive(&["path", "dir"]),
        Rule::RequiredIf("state", "verified", &["path"]),
        Rule::RequiredOneOf(&["path", "dir"]),
        Rule::RequiredTogether(&["client_cert", "client_key"]),
    ],
    check_mode: Support::Full,
    diff_mode: Support::Full,
    notes: &[
        "Every run of O(state=saved) saves a snapshot and is a change.",
        "Where authentication is on, a snapshot needs a user with the role root.",
        "O(timeout) is for all of it: give it room for large databases.",
        "What killed runs leave behind is called C(.NAME.quorum-PID-COUNT.part), and the next run into the same directory removes it.",
    ],
    examples: r#"
- name: A snapshot of the cluster, and those of the last two weeks
  quorum.etcd.etcd_snapshot:
    endpoints: [https://10.10.10.10:2379, https://10.10.10.11:2379]
    ca_cert: /etc/etcd/ca.crt
    client_cert: /etc/etcd/server.crt
    client_key: /etc/etcd/server.key
    login_user: root
    login_password: "{{ etcd_root_password }}"
    dir: /var/backups/etcd
    cluster_name: main
    keep: 3
    keep_days: 14
    timeout: 600
  run_once: true

- name: Is it good?
  quorum.etcd.etcd_snapshot:
    state: verified
    path: /var/backups/etcd/etcd-main-20260102T030405Z-4711.db
"#,
    returns: &[
        Ret::new("snapshot", "dict", "The snapshot. In check mode what would be saved, as far as it can be known.")
            .contains(&[
                Ret::new("path", "str", "The file."),
                Ret::new("size", "int", "Its bytes; in check mode, about."),
                Ret::new("sha256", "str", "SHA-256 of the file, as C(sha256sum) prints it."),
                Ret::new("revision", "int", "The revision it holds, which a cluster restored from it begins with."),
                Ret::new("total_keys", "int", "How many keys there are at that revision."),
                Ret::new(
                    "cluster_version",
                    "str",
                    "The version the cluster had agreed on, such as V(3.6.0); null while it had not.",
                ),
                Ret::new("sealed", "bool", "Whether it ends with the SHA-256 of its database.").when("state=verified"),
                Ret::new("cluster_id", "str", "The cluster's id.").when("state=saved"),
                Ret::new("member", "str", "The name of the member it came from.").when("state=saved"),
                Ret::new("member_id", "str", "That member's id.").when("state=saved"),
                Ret::new("version", "str", "That member's version, such as V(3.6.14).").when("state=saved"),
                Ret::new("taken_at", "str", "When it was taken, in UTC.").when("state=saved"),
                Ret::new("duration_seconds", "float", "How long it took to save.")
                    .when("state=saved and not in check mode"),
            ]),
        Ret::new("deleted", "list", "Older snapshots that were deleted, or in check mode would be.")
            .when("state=saved"),
    ],
};
