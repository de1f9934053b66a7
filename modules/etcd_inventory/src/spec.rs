//! The option table and documentation.

use ansible_protocol::{Default, Kind, ModuleSpec, Opt, Ret, Rule, Support};

pub(crate) const SPEC: ModuleSpec = ModuleSpec {
    name: "etcd_inventory",
    summary: "Turns the inventory into etcd clusters, and refuses what cannot be done safely",
    description: &[
        "Runs on the controller, once for all hosts; connects to nothing and changes nothing.",
        "Names each member, its URLs and its cluster's C(initial-cluster); with O(observed), also checks that going on can neither lose data nor make a second cluster; with O(restarts), says in which order members restart.",
        "Every problem of every host is reported in one message.",
    ],
    options: &[
        Opt::new("groups", Kind::Dict, &["The inventory groups named by C(etcd_cluster), each with its hosts."]),
        Opt::new(
            "hosts",
            Kind::Dict,
            &["The variables of each host: C(etcd_cluster), C(etcd_seq), C(etcd_address), C(ansible_host), C(etcd_port), C(etcd_peer_port), C(etcd_data), C(etcd_init), C(etcd_config_extra), C(etcd_version), C(etcd_pki_dir) and the role's others that can be checked early, C(not_lists), which of the variables that are to be lists are none, and C(default_password), whether nobody chose the root password."],
        ),
        Opt::new("play_hosts", Kind::List(&Kind::Str), &["The hosts of this run."]),
        Opt::new("play", Kind::Dict, &["Those of the variables that say where a member is and to which cluster it belongs, as a task sees them on the first of O(play_hosts). One that differs from O(hosts) is set for the play only, and refused."])
            .default(Default::EmptyDict),
        Opt::new("passwords", Kind::List(&Kind::Str), &["The root passwords of the clusters, to refuse one that occurs in names or paths: it would be hidden there as a secret."])
            .default(Default::Strs(&[]))
            .no_log(),
        Opt::new("pki_dir", Kind::Path, &["The directory whose C(ca) holds the certificate authority of hosts that set no C(pki_dir)."]),
        Opt::new("clusters", Kind::Dict, &["The clusters, as an earlier call returned them; instead of O(groups), O(hosts) and O(play_hosts)."]),
        Opt::new("run_tags", Kind::List(&Kind::Str), &["The tags the run was started with."]).default(Default::Strs(&["all"])),
        Opt::new("skip_tags", Kind::List(&Kind::Str), &["The tags the run was told to skip."]).default(Default::Strs(&[])),
        Opt::new(
            "observed",
            Kind::Dict,
            &["What M(quorum.etcd.etcd_info) found on each host that answered."],
        ),
        Opt::new("outside", Kind::Dict, &["What it found on those of the hosts under RV(ask) that answered."])
            .default(Default::EmptyDict),
        Opt::new("starts", Kind::Bool, &["Whether members are to be started: what is unsafe to start is refused then, and only warned of otherwise."])
            .default(Default::Bool(false)),
        Opt::new("removes", Kind::Bool, &["Whether the run removes members: refused where C(etcd_safeguard) is true, unless the tag C(etcd_purge) is named."]).default(Default::Bool(false)),
        Opt::new("removal", Kind::Dict, &["What is to be removed: C(hosts), or instead of these C(members) that are not in the inventory any more, and the RV(steps) of the run, or C(all) that belongs to it. With O(observed)."]),
        Opt::new("file", Kind::Dict, &["A snapshot's file, as it is C(named): C(HOST:/FILE) for one of the C(hosts) of the inventory, or a path on this machine, in the C(directory) where it is not absolute."]),
        Opt::new("restore", Kind::Dict, &["What is to be restored: the C(hosts) of the run, the C(time), the C(snapshot) as M(quorum.etcd.etcd_snapshot) has verified it, or why it is C(unverified), by how much to C(bump) revisions, and whether it C(recovers) a cluster without a quorum; or C(rollback), to put back what the last restore moved aside. With O(observed)."]),
        Opt::new("restored", Kind::Dict, &["What was restored, RV(restore) as an earlier call returned it: whether the cluster is what it is to be. With O(observed). Or with O(foretold), what is to be restored."]),
        Opt::new("foretold", Kind::Dict, &["What M(quorum.etcd.etcd_snapshot) has foretold on each host of O(restored): refused unless all members begin with the same revision."]),
        Opt::new("recovery", Kind::Dict, &["What is asked of a recovery, with O(observed): C(from), the host whose data a cluster without quorum goes on with, or C(snapshot), the file to go back to; C(tried), what M(quorum.etcd.etcd_service) said of members that do not start; C(failed), what M(quorum.etcd.etcd_info) said where it failed; C(hashes), each cluster's members' hashes; C(hosts), those of the run, which have to be all of each cluster; C(again), whether the run has changed something already; C(last), whether this is the last time it looks, so that what is still to be done is RV(recovery) C(left)."]),
        Opt::new("restarts", Kind::Dict, &["What M(quorum.etcd.etcd_service) returned on each host."]),
    ],
    fragments: &[],
    rules: &[Rule::RequiredTogether(&["groups", "hosts", "play_hosts"]), Rule::RequiredOneOf(&["groups", "clusters"])],
    check_mode: Support::Full,
    diff_mode: Support::NotApplicable,
    notes: &[],
    examples: "
- name: Name the members
  quorum.etcd.etcd_inventory:
    groups: {etcd: [10.10.10.10, 10.10.10.11]}
    hosts:
      10.10.10.10: {etcd_seq: 1}
      10.10.10.11: {etcd_seq: 2}
    play_hosts: [10.10.10.10, 10.10.10.11]
  delegate_to: localhost
  run_once: true
",
    returns: &[
        Ret::new("clusters", "dict", "Each cluster: C(members), C(hosts), C(endpoints), C(initial_cluster), C(names), C(token).")
            .when("O(groups) is given"),
        Ret::new(
            "hosts",
            "dict",
            "Each host: C(name), C(address), C(client_url), C(peer_url), C(wal_dir), C(config), the keys of etcd's configuration file that follow from these, C(endpoints) with its own first, C(ca_dir), C(ca_certificate), and C(forced), the words of C(etcd_force).",
        )
        .when("O(groups) is given"),
        Ret::new("file", "dict", "Where the snapshot's file is: C(host), empty for this machine, and C(path).").when("O(file) is given"),
        Ret::new("missing_authorities", "list", "The directories without a certificate authority.").when("O(groups) is given"),
        Ret::new("steps", "dict", "What the tags select: C(dirs), C(conf), C(env), C(auth), C(member), C(makes_anew), C(leave), C(data), C(snapshot), C(launch), C(starts), C(clean).").when("O(groups) is given"),
        Ret::new("situations", "dict", "Each observed host: C(founds), C(initial_cluster_state), C(installs), C(settled), whether its member serves as configured, and C(joins) where it is to become a member of a running cluster: C(wave), C(starts), C(stale), C(initial_cluster).").when("O(observed) is given"),
        Ret::new("cleans", "bool", "Whether C(etcd_clean) asks for what is there to be removed first.").when("O(observed) is given"),
        Ret::new("ask", "list", "Hosts outside of the run that are to be asked for their clusters as well.").when("O(observed) is given"),
        Ret::new("join_waves", "list", "The hosts that join in each wave, one of each cluster.").when("O(observed) is given"),
        Ret::new("neighbours", "list", "Members outside of the run whose files are to name those that join, or have joined: C(host) and C(cluster).").when("O(observed) is given"),
        Ret::new(
            "safe_to_start",
            "bool",
            "Whether members may be started. Where one does not serve as it is configured, M(quorum.etcd.etcd_info) has to look at the cluster before that can be said.",
        )
        .when("O(observed) is given"),
        Ret::new("speakers", "dict", "For each cluster the host that can speak for it now: one whose member serves. A cluster that is still to be started has none.").when("O(observed) is given"),
        Ret::new("restore", "dict", "What is to be done: C(moves), C(rollback), the C(token), C(cluster_id) and C(initial_cluster) of the restored cluster, the C(time) in names of what is moved aside, the C(notes) for each host, the C(revision) that it begins with and the C(bump) that leads to it, the C(snapshot), hosts that stay C(empty), the C(asides) of what was there before, and in words a C(prompt), how it is C(otherwise), and what comes C(next) after a failure.").when("O(restore) or O(foretold) is given"),
        Ret::new("proof", "dict", "What is proved: a C(message), and C(password), whether the root password is the inventory's.").when("O(restored) is given"),
        Ret::new("removal", "dict", "With O(removes): C(ends), the clusters of which nothing is to be left, and C(ask), hosts outside of the run that are to be asked for their clusters. With O(removal): C(hosts) to clean up, C(leaving), who leaves in which order, and C(snapshots), where clusters that end are saved first.").when("O(removes) or O(removal) is given"),
        Ret::new("recovery", "dict", "In words, what was C(found), what the run C(intends), and what is C(left) to others; whether it C(acts); C(compare), who is to be asked for hashes; and the hosts to C(start), C(stop), move C(aside), go on C(alone) and C(join), who is C(leaving), and where to C(disarm) alarms and make C(space).").when("O(recovery) is given"),
        Ret::new("waves", "dict", "The wave in which each host restarts, counted from 0.").when("O(restarts) is given"),
        Ret::new("wave_count", "int", "How many waves there are.").when("O(restarts) is given"),
    ],
};
