//! The option table and documentation.

use ansible_protocol::{Default, Kind, ModuleSpec, Opt, Ret, Support};

pub(crate) const SPEC: ModuleSpec = ModuleSpec {
    name: "etcd_inventory",
    summary: "Turns the inventory into etcd clusters, and refuses what cannot be done safely",
    description: &[
        "Runs on the controller, once for all hosts; connects to nothing and changes nothing.",
        "Names each member, its URLs and its cluster's C(initial-cluster); with O(observed), also checks that going on can neither lose data nor make a second cluster; with O(restarts), says in which order members restart.",
        "Every problem of every host is reported in one message.",
    ],
    options: &[
        Opt::new("groups", Kind::Dict, &["The inventory groups named by C(etcd_cluster), each with its hosts."]).required(),
        Opt::new(
            "hosts",
            Kind::Dict,
            &["The variables of each host: C(cluster), C(seq), C(address), C(ansible_host), C(port), C(peer_port), C(data), C(init), C(token), and C(default_password), whether nobody chose the root password."],
        )
        .required(),
        Opt::new("play_hosts", Kind::List(&Kind::Str), &["The hosts of this run."]).required(),
        Opt::new("observed", Kind::Dict, &["What M(quorum.etcd.etcd_info) found on each host that answered."]),
        Opt::new("restarts", Kind::Dict, &["What M(quorum.etcd.etcd_service) returned on each host."]),
        Opt::new("launching", Kind::Bool, &["Whether members are started afterwards. Where not, what is unsafe to start is only warned of."])
            .default(Default::Bool(true)),
    ],
    fragments: &[],
    rules: &[],
    check_mode: Support::Full,
    diff_mode: Support::NotApplicable,
    notes: &[],
    examples: "
- name: Name the members
  quorum.etcd.etcd_inventory:
    groups: {etcd: [10.10.10.10, 10.10.10.11]}
    hosts:
      10.10.10.10: {seq: 1}
      10.10.10.11: {seq: 2}
    play_hosts: [10.10.10.10, 10.10.10.11]
  delegate_to: localhost
  run_once: true
",
    returns: &[
        Ret::new("clusters", "dict", "Each cluster: C(members), C(hosts), C(endpoints), C(initial_cluster), C(token)."),
        Ret::new("hosts", "dict", "Each host: C(name), C(address), C(client_url), C(peer_url), and C(endpoints) with its own first."),
        Ret::new("situations", "dict", "Each observed host: C(founds) and C(initial_cluster_state).").when("O(observed) is given"),
        Ret::new("waves", "dict", "The wave in which each host restarts, counted from 0.").when("O(restarts) is given"),
        Ret::new("wave_count", "int", "How many waves there are.").when("O(restarts) is given"),
    ],
};
