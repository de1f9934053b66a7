//! The option table and documentation.

use ansible_protocol::{Default, Kind, ModuleSpec, Opt, Ret, Rule, Support};

pub(crate) const SPEC: ModuleSpec = ModuleSpec {
    name: "etcd_data",
    summary: "A member's data directory, removed or moved aside once that is proved harmless",
    description: &[
        "Removes a member's data, or moves it out of the way, when nothing uses it and, where O(member_id) or O(cluster_id) is given, when it is that member's.",
        "At no moment is there something that looks like a member and is not whole: the data is renamed in one step, and deleted under the new name. A deletion that was interrupted is finished by the next run.",
        "Only what etcd itself writes is touched, and no symbolic link inside of the data is followed.",
    ],
    options: &[
        Opt::new("data_dir", Kind::Path, &["The member's data directory."]).default(Default::Str("/data/etcd")),
        Opt::new("wal_dir", Kind::Path, &["The directory of the write-ahead log, when it is not inside O(data_dir)."]),
        Opt::new(
            "state",
            Kind::Str,
            &[
                "V(absent): deleted, and the directory with it. One that is a mount point or a symbolic link, or that holds something else, stays.",
                "V(back): what was moved aside at O(aside_time) as the data of O(member_id), or of an C(unknown) member, comes back, and what is there now is moved aside. Nothing is done where it never went or is back.",
                "V(aside): renamed to C(DATA_DIR.MEMBER_ID.TIME). Where the directory has to stay, C(member) is renamed inside of it to C(member.MEMBER_ID.TIME). Likewise the log in O(wal_dir).",
            ],
        )
        .choices(&["absent", "aside", "back"])
        .required(),
        Opt::new("member_id", Kind::Str, &["Whose data it must be, in hexadecimal. Data of another member is refused and left alone."]),
        Opt::new("cluster_id", Kind::Str, &["Of which cluster it must be, in hexadecimal. Data of another cluster is refused and left alone."]),
        Opt::new("aside_time", Kind::Str, &["With O(state=back), the time in the name of the data, as V(20260102T030405Z)."]),
        Opt::new("unit", Kind::Str, &["The systemd unit that must not run."]).default(Default::Str("etcd")),
        Opt::new("force", Kind::Bool, &["Go on where it cannot be told whose data it is. Data in use, and data of somebody else than asked for, is left alone all the same."])
            .default(Default::Bool(false)),
        Opt::new("predicted", Kind::List(&Kind::Dict), &["In check mode, the result of the M(quorum.etcd.etcd_service) task before this one: what that would stop is not in use then."])
            .default(Default::Strs(&[])),
    ],
    fragments: &[],
    rules: &[Rule::RequiredIf("state", "back", &["aside_time"])],
    check_mode: Support::Full,
    diff_mode: Support::Full,
    notes: &[
        "In check mode a unit that runs is a warning, as an earlier task that O(predicted) does not tell of may stop it.",
        "Whether the member is out of its cluster is not asked here: M(quorum.etcd.etcd_info) tells.",
    ],
    examples: "
- name: The data of the member that has left
  quorum.etcd.etcd_data:
    data_dir: /data/etcd
    member_id: 8e9e05c52164694d
    state: absent

- name: The data of a cluster that is no more, kept for a look at it
  quorum.etcd.etcd_data:
    cluster_id: cdf818194e3a8c32
    state: aside
",
    returns: &[Ret::new("data", "dict", "What has become of the data.").contains(&[
        Ret::new("state", "str", "V(absent): there was none. V(removed): it is deleted. V(aside): it is kept elsewhere. V(back): it is back, or was never away."),
        Ret::new("member_id", "str", "Whose it was; null when that cannot be told, or there was none."),
        Ret::new("cluster_id", "str", "Of which cluster it was; null when that cannot be told, or there was none."),
        Ret::new("moved_to", "str", "Where it is kept; null when it is not."),
        Ret::new("wal_moved_to", "str", "Where the log of O(wal_dir) is kept; null when it is not, or is with the data."),
    ])],
};
