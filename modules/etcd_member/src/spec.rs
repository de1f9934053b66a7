//! The option table and documentation.

use ansible_protocol::{Default, Kind, ModuleSpec, Opt, Ret, Rule, Support};
use etcd_ops::connection::CONNECTION;

pub(crate) const SPEC: ModuleSpec = ModuleSpec {
    name: "etcd_member",
    summary: "Members of an etcd cluster: joining, promoting, leaving",
    description: &[
        "Takes a member into a cluster, first as a learner that does not vote, and makes it a voter once it is in sync; or removes one, moving leadership away first.",
        "Each change is judged by etcd's own rules on the member list of that moment, and refused with the reason where it could cost the cluster its quorum.",
    ],
    options: &[
        Opt::new(
            "state",
            Kind::Str,
            &[
                "V(announced): in the member list, as a learner unless it is a voter already. Returns at once; the member can then be started with the RV(initial_cluster) that is returned.",
                "V(present): announced, then awaited until it has started, and promoted once in sync. A learner that has not started when O(timeout) is over is taken out again.",
                "V(withdrawn): taken out again if it is a learner that has never started; otherwise left as it is.",
                "V(absent): not in the member list.",
            ],
        )
        .choices(&["announced", "present", "withdrawn", "absent"])
        .default(Default::Str("present")),
        Opt::new(
            "name",
            Kind::Str,
            &["The member's exact name. A member that has never started has none yet: it is known by O(peer_urls) or O(id)."],
        ),
        Opt::new(
            "peer_urls",
            Kind::List(&Kind::Str),
            &[
                "Where its peers reach the member. Required for one that is to join.",
                "Those of a member that is there already are changed to these; if it serves at other ones, only when O(id) is given.",
            ],
        )
        .default(Default::Strs(&[])),
        Opt::new("id", Kind::Str, &["The member's id, in hexadecimal as etcdctl prints it."]),
        Opt::new(
            "learner",
            Kind::Bool,
            &["The member stays a learner. One that votes already goes on voting: etcd has no way back."],
        )
        .default(Default::Bool(false)),
        Opt::new("cluster_id", Kind::Str, &["The id of the cluster that is meant. Nothing is done to any other."]),
        Opt::new(
            "names",
            Kind::Dict,
            &["Names by peer URL, for members that have not started and so have none in the list. Used in RV(initial_cluster) only."],
        )
        .default(Default::EmptyDict),
        Opt::new(
            "force",
            Kind::Bool,
            &["Remove a member even while another voter is down. What etcd itself refuses stays refused."],
        )
        .default(Default::Bool(false)),
    ],
    fragments: &[&CONNECTION],
    rules: &[Rule::RequiredTogether(&["client_cert", "client_key"])],
    check_mode: Support::Full,
    diff_mode: Support::Full,
    notes: &[
        "At least one of O(name), O(peer_urls) and O(id) is required.",
        "O(endpoints) are members of the cluster other than the one that joins or leaves.",
        "One learner at a time: members join one after the other.",
    ],
    examples: r#"
- name: A host is announced, and learns with which members it starts
  quorum.etcd.etcd_member:
    endpoints: [https://10.10.10.10:2379]
    ca_cert: /etc/etcd/ca.crt
    client_cert: /etc/etcd/server.crt
    client_key: /etc/etcd/server.key
    state: announced
    name: etcd-2
    peer_urls: [https://10.10.10.11:2380]
  register: joining

- name: Once its etcd runs, it becomes a voter
  quorum.etcd.etcd_member:
    endpoints: [https://10.10.10.10:2379]
    name: etcd-2
    peer_urls: [https://10.10.10.11:2380]

- name: A member leaves, whether its host still answers or not
  quorum.etcd.etcd_member:
    endpoints: [https://10.10.10.10:2379, https://10.10.10.11:2379]
    state: absent
    name: etcd-3
"#,
    returns: &[
        Ret::new("member", "dict", "The member as the list has it, with its health; the one that was removed; or null. In check mode, one that would be added has no id."),
        Ret::new("members", "list", "All members, as RV(member)."),
        Ret::new("initial_cluster", "str", "C(name=peer URL) of all members, separated by commas, by name: what a member that joins is to start with."),
        Ret::new("cluster_id", "str", "The id of the cluster."),
        Ret::new("actions", "list", "What was done, or in check mode would be, in this order: V(announced), V(updated), V(promoted), V(leadership_moved), V(removed)."),
    ],
};
