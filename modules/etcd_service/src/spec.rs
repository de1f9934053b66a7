//! The option table and documentation.

use ansible_protocol::{Default, Kind, ModuleSpec, Opt, Ret, Support};
use etcd_ops::connection::CONNECTION;
use etcd_ops::running::MEMBER;

pub(crate) const SPEC: ModuleSpec = ModuleSpec {
    name: "etcd_service",
    summary: "The systemd unit of an etcd member, with etcd's meaning of done",
    description: &[
        "Starts, restarts or stops a member. Started means that the member serves: it follows a leader and reads through it.",
        "A restart is refused while another voter is down or the cluster has the alarm C(CORRUPT), and leadership is moved away before it.",
    ],
    options: &[
        Opt::new("name", Kind::Str, &["The unit."]).default(Default::Str("etcd")),
        Opt::new("binary", Kind::Str, &["The etcd executable, with V(alone); a name is looked up in E(PATH)."]).default(Default::Str("etcd")),
        Opt::new("host", Kind::Str, &["The host's name in the inventory, for messages that say what to run next."])
            .default(Default::Str("HOST")),
        Opt::new(
            "state",
            Kind::Str,
            &[
                "V(started): running and serving; what a restart would pick up is only reported. Where the data was to go on alone, it is not marked so any more.",
                "V(restarted): restarted when O(restart_when) says so, otherwise as V(started).",
                "V(stopped): stopped, with the same guard as a restart. With O(force) nobody is asked, the unit may be missing, and one that has failed is reset: for a member that is not in its cluster any more.",
                "V(alone): the data is kept, and all other members of its cluster are forgotten. The unit must be stopped, and stays so. etcd is run once with C(force-new-cluster), on a copy of its configuration that is gone afterwards, where nobody else reaches it, until it has acknowledged a write. Before that, the data is marked with the file F(member/alone) in it, which is there until the unit serves: what has it must not be started beside the others. For a cluster that has lost its quorum for good, and only once no other member can run any more. Refused while a restore is under way, and where etcd would lose what the database has applied: in data of a member that was killed, with etcd before 3.5.22 or 3.6.1.",
            ],
        )
        .choices(&["started", "restarted", "stopped", "alone"])
        .default(Default::Str("started")),
        Opt::new(
            "restart_when",
            Kind::Str,
            &["V(needed): when the process runs with an older configuration, unit or certificate authority. V(always): in any case."],
        )
        .choices(&["needed", "always"])
        .default(Default::Str("needed")),
        Opt::new("enabled", Kind::Bool, &["Whether the unit starts at boot."]).default(Default::Bool(true)),
        Opt::new("predicted", Kind::List(&Kind::Dict), &["In check mode, the results of the M(quorum.etcd.etcd_conf) and M(quorum.etcd.etcd_cert) tasks before this one, and of one of this module that would stop the unit."])
            .default(Default::Strs(&[])),
        Opt::new("kill", Kind::Bool, &["With V(stopped), end the process at once instead of letting it hand leadership over: for all members of a cluster together."])
            .default(Default::Bool(false)),
        Opt::new("force", Kind::Bool, &["Restart or stop even where the guard refuses."]).default(Default::Bool(false)),
    ],
    fragments: &[&MEMBER, &CONNECTION],
    rules: &[],
    check_mode: Support::Full,
    diff_mode: Support::Full,
    notes: &["The first of O(endpoints) must be the member's own; the others are asked when it does not answer."],
    examples: "
- name: The member runs and serves
  quorum.etcd.etcd_service:
    endpoints: [https://10.10.10.10:2379, https://10.10.10.11:2379]
    ca_cert: /etc/etcd/ca.crt
    client_cert: /etc/etcd/server.crt
    client_key: /etc/etcd/server.key

- name: Pick up a changed configuration
  quorum.etcd.etcd_service:
    state: restarted
",
    returns: &[
        Ret::new("actions", "list", "What was done to the unit: V(enable), V(disable), V(start), V(restart), V(stop), V(reset), V(alone), V(unmark)."),
        Ret::new("restart_needed", "list", "What a restart would pick up that has not been picked up."),
        Ret::new("member", "dict", "The member as the cluster lists it, with its health.").when("the member serves"),
        Ret::new("is_leader", "bool", "Whether the member leads.").when("the member serves"),
        Ret::new("cluster_id", "str", "The id of its cluster.").when("the member serves"),
    ],
};
