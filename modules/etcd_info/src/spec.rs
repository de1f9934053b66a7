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
            "The data directory: C(state) is V(absent), V(member) or V(unreadable); a member's also has C(member_id), C(cluster_id) and C(had_leader).",
        ),
        Ret::new("pending", "list", "What a restart would pick up: configuration keys, V(unit), V(certificate authority)."),
        Ret::new("serving", "bool", "Whether the host's own member is healthy by its own account: it has a leader, can be read through it, and no alarm."),
        Ret::new("certificate", "dict", "The member's certificate: validity, names, issuer; null when there is none."),
        Ret::new(
            "cluster",
            "dict",
            "The live cluster: C(id), C(leader), C(auth) (V(on) or V(off)), C(members) with health, reason, version and sizes in bytes, C(local_member), and C(hashes) and C(usage) if asked for; null when it cannot be reached, or was not to be looked at. C(usage) holds C(leases) (C(count), and a C(sample) of up to five with C(id) and the seconds C(ttl) that each lasts), C(clients) such as V(Patroni cluster pg-main in /service), the number of all C(keys), and C(complete), which is false when not all of them could be looked at; it is null while there is no leader.",
        ),
        Ret::new("cluster_error", "dict", "Why the cluster cannot be reached: C(kind) and C(reason)."),
        Ret::new("answering", "list", "Those of O(probe) that something answers on."),
    ])],
};
