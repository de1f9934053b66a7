//! The option table and documentation.

use ansible_protocol::{Default, Kind, ModuleSpec, Opt, Ret, Rule, Support};

const OWNER: &[&str] = &["The user it belongs to, by name or number."];
const GROUP: &[&str] = &["The group it belongs to, by name or number."];
const MODE: &[&str] = &["Its permissions, in octal and in quotes: V('0640')."];

const STATES: &[&str] = &["present", "absent"];

const OPTIONS: &[Opt] = &[
    Opt::new(
        "directories",
        Kind::List(&Kind::Dict),
        &[
            "Directories to have, with their owner and permissions, or to have no longer. Missing parents are made as well, with V(0755).",
            "A symbolic link to a directory is followed when it belongs to root.",
        ],
    )
    .suboptions(&[
        Opt::new("path", Kind::Path, &["The directory."]).required(),
        Opt::new(
            "state",
            Kind::Str,
            &[
                "V(absent): removed, if it is empty once the files that are to be absent are gone. One that holds anything else, is a mount point or a symbolic link stays, with a warning.",
            ],
        )
        .choices(STATES)
        .default(Default::Str("present")),
        Opt::new("owner", Kind::Str, OWNER).default(Default::Str("root")),
        Opt::new("group", Kind::Str, GROUP).default(Default::Str("root")),
        Opt::new("mode", Kind::Raw, MODE).default(Default::Str("0755")),
    ]),
    Opt::new("config_file", Kind::Path, &["Where O(config) is written."])
        .default(Default::Str("/etc/etcd/etcd.conf")),
    Opt::new(
        "config",
        Kind::Dict,
        &[
            "The configuration: keys and values of etcd's configuration file.",
            "Values get the type that etcd wants: V('1000') becomes a number where a number belongs, V(5s) the nanoseconds that etcd reads, a list of URLs the text with commas.",
            "Keys without value are left out. Without this option the file is left alone.",
        ],
    ),
    Opt::new(
        "config_state",
        Kind::Str,
        &["V(absent): O(config_file) is removed. V(present) is what O(config) asks for anyway."],
    )
    .choices(STATES),
    Opt::new(
        "merge",
        Kind::Bool,
        &[
            "Lay O(config) over the configuration that O(config_file) already holds, which must exist: keys that are not given stay as they are, and so do those within a section such as C(client-transport-security); a key that is given without value is taken out. The result is checked as a whole.",
        ],
    )
    .default(Default::Bool(false)),
    Opt::new("owner", Kind::Str, &["The user the configuration file belongs to."]).default(Default::Str("root")),
    Opt::new("group", Kind::Str, &["The group the configuration file belongs to."]).default(Default::Str("etcd")),
    Opt::new("mode", Kind::Raw, &["The permissions of the configuration file, in octal and in quotes."])
        .default(Default::Str("0640")),
    Opt::new(
        "files",
        Kind::List(&Kind::Dict),
        &["Files that go with the configuration, to have or to have no longer: the unit, the environment, a password file."],
    )
    .suboptions(&[
        Opt::new("path", Kind::Path, &["The file. A symbolic link in its place is refused."]).required(),
        Opt::new("state", Kind::Str, &["V(absent): removed; only O(files[].path) is needed then. A directory there is refused."])
            .choices(STATES)
            .default(Default::Str("present")),
        Opt::new("content", Kind::Str, &["What it holds. Required unless O(files[].executable) or O(files[].state=absent)."])
            .no_log_if("sensitive"),
        Opt::new("executable", Kind::Bool, &["It holds the executable that all modules of the collection are, instead of O(files[].content)."])
            .default(Default::Bool(false)),
        Opt::new("owner", Kind::Str, OWNER).default(Default::Str("root")),
        Opt::new("group", Kind::Str, GROUP).default(Default::Str("root")),
        Opt::new("mode", Kind::Raw, MODE).default(Default::Str("0644")),
        Opt::new("sensitive", Kind::Bool, &["Keep the content out of differences, and do not make backups of it."])
            .default(Default::Bool(false)),
    ]),
    Opt::new(
        "units",
        Kind::List(&Kind::Str),
        &[
            "Timers among O(files), to be enabled and to wait for their time. One whose file changes is restarted; one whose file is to be absent is disabled and stopped before. For the member's own unit there is M(quorum.etcd.etcd_service).",
        ],
    )
    .default(Default::Strs(&[])),
    Opt::new(
        "version",
        Kind::Str,
        &["The version of etcd that is to read the configuration, such as V(3.6.14). Otherwise O(etcd_binary) is asked."],
    ),
    Opt::new(
        "etcd_binary",
        Kind::Str,
        &["The executable that is asked for its version. Where there is none, the keys of all known versions pass."],
    )
    .default(Default::Str("etcd")),
    Opt::new(
        "translate",
        Kind::Bool,
        &[
            "Write renamed keys in the terms of the version, such as C(experimental-initial-corrupt-check) as a feature gate, and leave out removed keys that asked for nothing, such as C(enable-v2=false).",
        ],
    )
    .default(Default::Bool(false)),
    Opt::new("backup", Kind::Bool, &["Keep the previous file, also one that is removed, as C(NAME.TIME~). Of private keys none is kept."])
        .default(Default::Bool(false)),
    Opt::new(
        "restarts_follow",
        Kind::Bool,
        &["Whether later tasks restart what has to. Where not, a warning says what a restart would pick up."],
    )
    .default(Default::Bool(true)),
];

const FILE_RETURNS: &[Ret] = &[
    Ret::new("path", "str", "The file."),
    Ret::new("changed", "bool", "Whether its content, owner or permissions changed, or it was removed."),
    Ret::new("backup", "str", "The previous file.").when("one was kept"),
];

pub(crate) const SPEC: ModuleSpec = ModuleSpec {
    name: "etcd_conf",
    summary: "Everything etcd reads on a host, written in one step",
    description: &[
        "Writes directories, etcd's configuration file, and the files that go with it.",
        "etcd ignores keys it does not know. This module knows the keys of etcd 3.4 to 3.7: it refuses unknown keys with the nearest known name, keys that the version has dropped or does not have yet, values of the wrong type, and configurations that contradict themselves. Everything wrong is named in one message, before anything is written.",
        "Each file is either the old or the new one, whatever happens meanwhile; the new ones are put in place together once all of them are safely on disk.",
        "It restarts no member, and says what a restart would pick up.",
    ],
    options: OPTIONS,
    fragments: &[],
    rules: &[
        Rule::RequiredOneOf(&["config", "config_state", "files", "directories"]),
        Rule::RequiredIf("config_state", "present", &["config"]),
        Rule::RequiredIf("merge", "true", &["config"]),
    ],
    check_mode: Support::Full,
    diff_mode: Support::Full,
    notes: &[
        "A symbolic link where a file is, or is to be, is refused rather than followed, replaced or removed: name its target instead.",
        "Differences never show what is sensitive, what holds a private key, or, apart from the configuration, what is removed and not everyone may read.",
        "In check mode a user, group or parent directory that does not exist yet is a warning, as an earlier task may make it.",
    ],
    examples: "
- name: The configuration of a member, and its password file
  quorum.etcd.etcd_conf:
    directories:
      - {path: /etc/etcd, group: etcd, mode: '0750'}
      - {path: /data/etcd, owner: etcd, group: etcd, mode: '0700'}
    config:
      name: etcd-1
      data-dir: /data/etcd
      listen-client-urls: [https://10.10.10.10:2379, https://127.0.0.1:2379]
      advertise-client-urls: https://10.10.10.10:2379
      quota-backend-bytes: 8589934592
      auto-compaction-mode: periodic
      auto-compaction-retention: 24h
      client-transport-security:
        cert-file: /etc/etcd/server.crt
        key-file: /etc/etcd/server.key
        trusted-ca-file: /etc/etcd/ca.crt
    files:
      - path: /etc/etcd/etcd.pass
        content: \"{{ etcd_root_password }}\"
        group: etcd
        mode: '0640'
        sensitive: true

- name: The same configuration for a newer etcd
  quorum.etcd.etcd_conf:
    version: 3.7.1
    translate: true
    config:
      name: etcd-1
      experimental-initial-corrupt-check: true

- name: The members of the cluster have changed; everything else stays as it is
  quorum.etcd.etcd_conf:
    merge: true
    config:
      initial-cluster: etcd-1=https://10.10.10.10:2380,etcd-2=https://10.10.10.11:2380

- name: Nothing is left of the member
  quorum.etcd.etcd_conf:
    config_state: absent
    files:
      - {path: /etc/etcd/etcd.pass, state: absent}
      - {path: /etc/systemd/system/etcd.service, state: absent}
    directories:
      - {path: /etc/etcd, state: absent}
",
    returns: &[
        Ret::new("config", "dict", "The configuration file.")
            .when("O(config) or O(config_state=absent) is given")
            .contains(&[
                Ret::new("path", "str", "The file."),
                Ret::new("changed", "bool", "Whether its content, owner or permissions changed, or it was removed."),
                Ret::new("changed_keys", "list", "The keys whose values changed, with their section.")
                    .when("O(config) is given"),
                Ret::new("restart_keys", "list", "Those of them that a member with data picks up at a restart.")
                    .when("O(config) is given"),
                Ret::new("version", "str", "The version of etcd it was checked against.").when("it is known"),
                Ret::new("translated", "list", "What was written under another name.").when("O(translate) is set"),
                Ret::new("backup", "str", "The previous file.").when("one was kept"),
            ]),
        Ret::new("files", "list", "The accompanying files.").contains(FILE_RETURNS),
        Ret::new("directories", "list", "The directories.").contains(&[
            Ret::new("path", "str", "The directory."),
            Ret::new("changed", "bool", "Whether it was made or removed, or its owner or permissions changed."),
        ]),
        Ret::new("actions", "list", "What was done to O(units), such as V(enable etcd-backup.timer).")
            .when("O(units) is given"),
    ],
};
