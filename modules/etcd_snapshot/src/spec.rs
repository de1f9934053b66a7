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
            "V(restored): the file O(path) becomes the data directory of a member of a new cluster, without a cluster. Data that is there is moved aside. Nothing is done when a run with the same member, O(initial_cluster) and O(initial_cluster_token) has done it already.",
        ],
    )
    .choices(&["saved", "verified", "restored"])
    .default(Default::Str("saved")),
    Opt::new(
        "path",
        Kind::Path,
        &["The snapshot file. With O(state=saved) a snapshot of that name is replaced, and no other file is. With O(state=restored) it is on the host of the member, and the same one for all members."],
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
            "Files whose names are ahead of the clock by more than a day count for nothing and stay: a clock was wrong when they were named.",
        ],
    ),
    Opt::new("keep_days", Kind::Int, &["For how many days to keep snapshots in O(dir), by the time in their names. Without O(keep), the last three stay whatever their age."]),
    Opt::new("mode", Kind::Raw, &["The permissions of the file, in octal and in quotes. It holds password hashes."])
        .default(Default::Str("0600")),
    Opt::new(
        "without_hash",
        Kind::Bool,
        &[
            "With O(state=verified) and O(state=restored), also accept a copy of a member's C(member/snap/db). It has no SHA-256, so only its structure is checked, and changed values are not found.",
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
    Opt::new("data_dir", Kind::Path, &["The data directory to restore into. A mount point stays, and C(member) moves inside of it."]),
    Opt::new("wal_dir", Kind::Path, &["The directory of the write-ahead log, when it is not inside O(data_dir)."]),
    Opt::new("name", Kind::Str, &["The member's name, one of those in O(initial_cluster)."]),
    Opt::new(
        "initial_cluster",
        Kind::Str,
        &["All members of the new cluster with their peer URLs, as C(initial-cluster) of etcd's configuration."],
    ),
    Opt::new(
        "initial_cluster_token",
        Kind::Str,
        &[
            "Tells the new cluster from every other one, as C(initial-cluster-token) of etcd's configuration: the same for all members, and another one for each restore. That of the cluster that was saved is refused.",
        ],
    ),
    Opt::new(
        "bump_revision",
        Kind::Int,
        &[
            "By how much revisions are raised, so that none that a client has seen comes a second time with other data; older ones are marked as compacted, so that clients that watch read all anew. V(0) for neither.",
            "Where the host's tool cannot do that, as before 3.5.10, it is left out with a warning.",
        ],
    )
    .default(Default::Int(1_000_000_000)),
    Opt::new("owner", Kind::Str, &["The user that the data is to belong to, by name or number. As O(data_dir) when not given, or whoever runs this."]),
    Opt::new("group", Kind::Str, &["The group that the data is to belong to, by name or number."]),
    Opt::new(
        "aside_time",
        Kind::Str,
        &[
            "With O(state=restored), the time in the name that data gets which is moved aside, as V(20260102T030405Z). Now when not given. With it, M(quorum.etcd.etcd_data) finds the data again also where this run was interrupted.",
        ],
    ),
    Opt::new(
        "predicted",
        Kind::List(&Kind::Dict),
        &[
            "In check mode with O(state=restored), results of tasks before this one: of O(state=verified), for the file that would be copied here, and of M(quorum.etcd.etcd_service), which would stop the member.",
        ],
    )
    .default(Default::Strs(&[])),
    Opt::new(
        "tool",
        Kind::Path,
        &["The etcdutl, or an etcdctl up to 3.5, that restores. When not given, the one beside O(binary), or else wherever programs are."],
    ),
    Opt::new("binary", Kind::Str, &["The etcd that is to run from what is restored; a name is looked up in E(PATH). Beside it the tool is looked for first."])
        .default(Default::Str("etcd")),
    Opt::new(
        "note",
        Kind::Path,
        &[
            "With O(state=restored), a file on the host with JSON that says C(\"phase\": \"restoring\") and O(initial_cluster_token) as C(token) as long as this restore is under way.",
            "When it does not right before data is replaced, as after another run has undone what this one began, that is refused.",
        ],
    ),
    Opt::new(
        "rehearsal",
        Kind::Bool,
        &[
            "In check mode with O(state=restored), nothing else is going to change on the host before the real run but what O(predicted) tells. A missing user O(owner), which a package might bring otherwise, is refused then.",
        ],
    )
    .default(Default::Bool(false)),
];

pub(crate) const SPEC: ModuleSpec = ModuleSpec {
    name: "etcd_snapshot",
    summary: "Snapshots of an etcd cluster: saved, kept for a while, verified, and restored",
    description: &[
        "Saves the database of a member that serves and is in sync. The file appears under its name only when it is complete, on disk, and found whole: its SHA-256 fits, and every page of it is in order.",
        "Verifies a file: finds a single changed bit, a missing end, a file that is something else, and a copy of a member's database, which has no SHA-256.",
        "Restores a member's data directory from a file, through the host's etcdutl. All is made and checked beside the directory, which is the old one until then, and the new one at once.",
    ],
    options: OPTIONS,
    fragments: &[&CONNECTION],
    rules: &[
        Rule::MutuallyExclusive(&["path", "dir"]),
        Rule::RequiredIf("state", "verified", &["path"]),
        Rule::RequiredIf("state", "restored", &["path", "data_dir", "name", "initial_cluster", "initial_cluster_token"]),
        Rule::RequiredOneOf(&["path", "dir"]),
        Rule::RequiredTogether(&["client_cert", "client_key"]),
        Rule::RequiredTogether(&["owner", "group"]),
    ],
    check_mode: Support::Full,
    diff_mode: Support::Full,
    notes: &[
        "Every run of O(state=saved) saves a snapshot and is a change.",
        "Where authentication is on, a snapshot needs a user with the role root.",
        "With O(state=saved), O(timeout) is for all of it: give it room for large databases. Nothing else waits for a cluster.",
        "What killed runs leave behind is called C(.NAME.quorum-PID-COUNT.part) or C(.NAME.quorum-restore-PID-COUNT), and the next run into the same directory removes it.",
        "A restored cluster has the users, roles and passwords that were saved, and authentication is on if it was.",
        "O(state=restored) refuses data that a process has open. It starts nothing: start all members once all are restored.",
        "In check mode with O(state=restored) data in use is a warning, as an earlier task may stop etcd.",
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

- name: The same file for every member, and then they are started
  quorum.etcd.etcd_snapshot:
    state: restored
    path: /var/backups/etcd/etcd-main-20260102T030405Z-4711.db
    data_dir: /data/etcd
    name: etcd-1
    initial_cluster: etcd-1=https://10.10.10.10:2380,etcd-2=https://10.10.10.11:2380,etcd-3=https://10.10.10.12:2380
    initial_cluster_token: main-restored-20260103
    owner: etcd
    group: etcd
"#,
    returns: &[
        Ret::new("snapshot", "dict", "The snapshot. In check mode what would be saved, as far as it can be known.")
            .contains(&[
                Ret::new("path", "str", "The file."),
                Ret::new("size", "int", "Its bytes; in check mode, about."),
                Ret::new("sha256", "str", "SHA-256 of the file, as C(sha256sum) prints it."),
                Ret::new("revision", "int", "The revision it holds."),
                Ret::new("total_keys", "int", "How many keys there are at that revision."),
                Ret::new(
                    "cluster_version",
                    "str",
                    "The version the cluster had agreed on, such as V(3.6.0); null while it had not.",
                ),
                Ret::new("auth", "bool", "Whether a cluster restored from it asks for users and passwords.")
                    .when("state=verified and state=restored"),
                Ret::new("users", "list", "The names of its users.").when("state=verified and state=restored"),
                Ret::new("roles", "list", "The names of its roles.").when("state=verified and state=restored"),
                Ret::new("alarms", "list", "The alarms that were raised in the cluster, such as V(NOSPACE): one restored from it begins with them.")
                    .when("state=verified and state=restored"),
                Ret::new("members", "list", "The members of the cluster that was saved.")
                    .when("state=verified and state=restored")
                    .contains(&[
                        Ret::new("id", "str", "The member's id."),
                        Ret::new("name", "str", "Its name; empty when it had never started."),
                        Ret::new("peer_urls", "list", "Where the others reached it."),
                    ]),
                Ret::new("sealed", "bool", "Whether it ends with the SHA-256 of its database.")
                    .when("state=verified and state=restored"),
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
        Ret::new(
            "restored",
            "dict",
            "The member that was restored, or in check mode would be. When it was there already, C(revision) is the one it is at, and the rest but the first four is null.",
        )
        .contains(&[
            Ret::new("data_dir", "str", "Its data directory."),
            Ret::new("wal_dir", "str", "The directory of its log; null when that is inside of the data directory."),
            Ret::new("member_id", "str", "Its id."),
            Ret::new("cluster_id", "str", "The new cluster's id."),
            Ret::new("revision", "int", "The revision that the new cluster begins with."),
            Ret::new("bumped_by", "int", "By how much revisions were raised."),
            Ret::new("marked_compacted", "bool", "Whether older revisions were marked as compacted."),
            Ret::new("aside", "str", "Where the data is that was there; null when there was none."),
            Ret::new("wal_aside", "str", "Where its log is; null when there was none, or it is with the data."),
            Ret::new("tool", "str", "What restored it."),
            Ret::new("tool_version", "str", "Its version, such as V(3.6.14)."),
            Ret::new("duration_seconds", "float", "How long it took; null in check mode."),
        ])
        .when("state=restored"),
    ],
};
