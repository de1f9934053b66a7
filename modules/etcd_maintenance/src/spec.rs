//! The option table and documentation.

use ansible_protocol::{Default, Kind, ModuleSpec, Opt, Ret, Rule, Support};
use etcd_ops::connection::CONNECTION;

pub(crate) const SPEC: ModuleSpec = ModuleSpec {
    name: "etcd_maintenance",
    summary: "Compacts an etcd cluster, defragments its members one by one, and ends alarms",
    description: &[
        "Does what is asked for in this order: compact, defragment, disarm.",
        "A member answers nobody while it is defragmented. Each has its turn only while all others serve, and has to serve again before the next one; the leader comes last, after it has handed over.",
        "The alarm C(NOSPACE) ends only once every database is smaller than the quota.",
    ],
    options: &[
        Opt::new("compact", Kind::Bool, &["Forget what keys were before the newest revision. Who reads or watches older revisions is told that they are gone."])
            .default(Default::Bool(false)),
        Opt::new("defragment", Kind::Bool, &["Give the space that is not used back to the file system."])
            .default(Default::Bool(false)),
        Opt::new("unused_above", Kind::Int, &["Defragment a member only when more than this many percent of its database are unused."])
            .default(Default::Int(10)),
        Opt::new("disarm", Kind::List(&Kind::Str), &["The alarms that are to end. That of C(CORRUPT) members is for whoever has replaced them."])
            .choices(&["NOSPACE", "CORRUPT"])
            .default(Default::Strs(&[])),
        Opt::new("quota", Kind::Int, &["The C(quota-backend-bytes) of members that do not tell in their metrics what they run with; 0 is etcd's default of 2 GiB."])
            .default(Default::Int(0)),
    ],
    fragments: &[&CONNECTION],
    rules: &[Rule::RequiredTogether(&["client_cert", "client_key"])],
    check_mode: Support::Full,
    diff_mode: Support::NotApplicable,
    notes: &["A large database takes its time: about 4 s for each GB. Give O(timeout) accordingly; a defragmentation is never repeated."],
    examples: "
- name: A cluster that is out of space takes writes again
  quorum.etcd.etcd_maintenance:
    endpoints: [https://10.10.10.10:2379]
    ca_cert: /etc/etcd/ca.crt
    client_cert: /etc/etcd/server.crt
    client_key: /etc/etcd/server.key
    compact: true
    defragment: true
    disarm: [NOSPACE]
    quota: 8589934592
    timeout: 3600
",
    returns: &[
        Ret::new("actions", "list", "What was done: V(compacted), V(defragmented), V(disarmed)."),
        Ret::new("members", "list", "The members that were defragmented: C(id), C(name), and the bytes of the database C(before) and C(after)."),
        Ret::new("revision", "int", "The revision up to which was compacted; null where nothing was."),
        Ret::new("disarmed", "list", "The alarms that were ended: C(alarm) and C(member_id)."),
    ],
};
