//! The option table and documentation.

use ansible_protocol::{Default, Kind, ModuleSpec, Opt, Ret, Support};
use etcd_ops::connection::CONNECTION;
use etcd_ops::running::MEMBER;

pub(crate) const SPEC: ModuleSpec = ModuleSpec {
    name: "etcd_info",
    summary: "Read-only facts of an etcd member and its cluster",
    description: &[
        "Tells in one call what is installed on the host, how the unit is, whose data the data directory holds, what a restart would pick up, and how the cluster and each of its members are.",
        "Never fails because a cluster is down or there is no systemd: the reason is part of the result.",
    ],
    options: &[
        Opt::new("unit", Kind::Str, &["The systemd unit of the member."]).default(Default::Str("etcd")),
        Opt::new("binary", Kind::Str, &["The etcd executable; a name is looked up in E(PATH)."]).default(Default::Str("etcd")),
        Opt::new("cert_file", Kind::Path, &["The member's certificate."]).default(Default::Str("/etc/etcd/server.crt")),
        Opt::new("probe", Kind::List(&Kind::Str), &["URLs to knock on when the host has no data of its own, to find out whether a cluster already runs there."])
            .default(Default::Strs(&[])),
        Opt::new("cluster", Kind::Bool, &["Look at the cluster as well, and not only at the host and whether its member serves. That takes a login wherever the cluster asks for one."])
            .default(Default::Bool(true)),
        Opt::new("hash", Kind::Bool, &["Compare the members' data: each one's hash of all keys at a common revision."])
            .default(Default::Bool(false)),
        Opt::new("contents_at", Kind::Int, &["Tell what the cluster holds, as of this revision: how many keys, and which users and roles there are now. Needs O(cluster) and, where the cluster asks for a login, one as root."]),
        Opt::new("restore_file", Kind::Path, &["What role P(quorum.etcd.etcd_restore#role) notes on the host of a restore."])
            .default(Default::Str("/var/lib/etcd-restore/restore.json")),
        Opt::new("log", Kind::Bool, &["Tell how far the log of the data directory goes, by which the data of members that do not run can be compared. Reads a file of up to 64 MB."])
            .default(Default::Bool(false)),
        Opt::new("usage", Kind::Bool, &["Tell who uses the cluster, by its leases and the names of its keys. Needs O(cluster) and, where the cluster asks for a login, one as root. At most 100000 keys are looked at, without their values, and no longer than O(timeout)."])
            .default(Default::Bool(false)),
    ],
    fragments: &[&MEMBER, &CONNECTION],
    rules: &[],
    check_mode: Support::Full,
    diff_mode: Support::NotApplicable,
    notes: &[],
    examples: "
- name: How is the cluster?
  quorum.etcd.etcd_info:
    endpoints: [https://10.10.10.10:2379]
    ca_cert: /etc/etcd/ca.crt
    client_cert: /etc/etcd/server.crt
    client_key: /etc/etcd/server.key
  register: info

- name: Every member serves
  ansible.builtin.assert:
    that: info.etcd.cluster.members | rejectattr('healthy') | length == 0
",
    returns: &[Ret::new("etcd", "dict", "What was found.").contains(&[
        Ret::new("version", "str", "The installed version, such as V(3.6.14); null when etcd is not installed."),
        Ret::new("binary", "str", "The full path of the executable; null when there is none."),
        Ret::new("unit", "dict", "The systemd unit: load, active, sub and file state, main process. Where there is no systemd, C(load_state) is V(unknown) and C(error) says why."),
        Ret::new(
            "data",
            "dict",
            "The data directory: C(state) is V(absent), V(member) or V(unreadable); a member's also has C(member_id), C(cluster_id) and C(had_leader), and with O(log) also C(log), the C(term) and C(index) of its last entry, the index C(commit) up to which it says that all members have agreed, and the one C(applied) up to which the database has it; null where that cannot be read. C(alone) is whether it may have become the data of a lone member: M(quorum.etcd.etcd_service) was to make it go on alone, and it has not served since. With V(absent), C(left_wal) is whether O(wal_dir) holds a log all the same. C(unmounted) is where F(/etc/fstab) or a mount unit wants a file system, at the directories or above them, and none is mounted; null otherwise.",
        ),
        Ret::new("pending", "list", "What a restart would pick up: configuration keys, V(unit), V(certificate authority)."),
        Ret::new("serving", "bool", "Whether the host's own member is healthy by its own account: it has a leader, can be read through it, and no alarm."),
        Ret::new("restore", "dict", "What a restore has noted on the host, with C(error) instead where that cannot be read; null when there is nothing."),
        Ret::new("certificate", "dict", "The member's certificate: validity, names, issuer; null when there is none."),
        Ret::new(
            "cluster",
            "dict",
            "The live cluster: C(id), C(leader), C(auth) (V(on) or V(off)), C(members) with health, reason, version, sizes in bytes and whether the alarm C(CORRUPT) names it (C(corrupt)), C(alarms) with C(kind) and C(member_id), C(local_member), and C(hashes) (each member's at the common C(revision) in C(members), its newest revision in C(revisions)), C(usage) and C(contents) (C(revision), C(keys), which is null where that revision has been compacted, C(users), C(roles)) if asked for; null when it cannot be reached, or was not to be looked at. C(usage) holds C(leases) (C(count), and a C(sample) of up to five with C(id) and the seconds C(ttl) that each lasts), C(clients) such as V(Patroni cluster pg-main in /service), the number of all C(keys), the newest C(revision), and C(complete), which is false when not all of them could be looked at; it is null while there is no leader.",
        ),
        Ret::new("cluster_error", "dict", "Why the cluster cannot be reached: C(kind) and C(reason)."),
        Ret::new("answering", "list", "Those of O(probe) that something answers on."),
    ])],
};
