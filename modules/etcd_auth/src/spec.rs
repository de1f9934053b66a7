//! The option table and documentation.

use ansible_protocol::{Default, Kind, ModuleSpec, Opt, Ret, Rule, Support};
use etcd_ops::connection::CONNECTION;

const PRESENCE: Opt = Opt::new("state", Kind::Str, &["Whether it is to be there."])
    .choices(&["present", "absent"])
    .default(Default::Str("present"));

const USER: &[Opt] = &[
    Opt::new("name", Kind::Str, &["The user's name. V(root) is always there; see O(root_password)."]).required(),
    Opt::new(
        "password",
        Kind::Str,
        &[
            "The password. Nothing changes when the user already logs in with it, so tokens in use stay valid.",
            "Without it an existing user keeps the one it has.",
        ],
    )
    .no_log(),
    Opt::new(
        "no_password",
        Kind::Bool,
        &["The user has no password and is known by the common name of its certificate."],
    )
    .default(Default::Bool(false)),
    Opt::new(
        "roles",
        Kind::List(&Kind::Str),
        &["Roles it is to have, beside those it has; see O(purge_grants). They must exist or be among O(roles)."],
    ),
    PRESENCE,
];

const PERMISSION: &[Opt] = &[
    Opt::new("permission", Kind::Str, &["What is permitted."]).choices(&["read", "write", "readwrite"]).required(),
    Opt::new("key", Kind::Str, &["The key, the prefix, or the first key of the range."]).default(Default::Str("")),
    Opt::new(
        "range_end",
        Kind::Str,
        &[
            "The key after the last one of the range; a single zero byte means all keys from O(roles[].permissions[].key) on.",
        ],
    ),
    Opt::new("prefix", Kind::Bool, &["All keys that begin with the key; all keys when that is empty."])
        .default(Default::Bool(false)),
];

const ROLE: &[Opt] = &[
    Opt::new("name", Kind::Str, &["The role's name. V(root) is always there and may do everything."]).required(),
    Opt::new(
        "permissions",
        Kind::List(&Kind::Dict),
        &["What the role may do, beside what it already may; see O(purge_permissions)."],
    )
    .default(Default::Strs(&[]))
    .suboptions(PERMISSION),
    PRESENCE,
];

const OPTIONS: &[Opt] = &[
    Opt::new("enabled", Kind::Bool, &["Whether the cluster is to ask for users and passwords."])
        .default(Default::Bool(true)),
    Opt::new(
        "root_password",
        Kind::Str,
        &["The password root is to have. Defaults to O(login_password), unless O(login_user) is another user."],
    )
    .no_log(),
    Opt::new(
        "previous_passwords",
        Kind::List(&Kind::Str),
        &["Passwords root may have until now. If one of them logs in, root gets O(root_password) instead."],
    )
    .aliases(&["previous_password"])
    .default(Default::Strs(&[]))
    .no_log(),
    Opt::new("users", Kind::List(&Kind::Dict), &["Users beside root."]).default(Default::Strs(&[])).suboptions(USER),
    Opt::new("roles", Kind::List(&Kind::Dict), &["Roles beside root's."]).default(Default::Strs(&[])).suboptions(ROLE),
    Opt::new("purge_users", Kind::Bool, &["Delete users that O(users) does not name; never root, nor O(login_user)."])
        .default(Default::Bool(false)),
    Opt::new(
        "purge_roles",
        Kind::Bool,
        &["Delete roles that neither O(roles) nor any of O(users) names; never root's."],
    )
    .default(Default::Bool(false)),
    Opt::new(
        "purge_grants",
        Kind::Bool,
        &["Take from each of O(users) the roles that its O(users[].roles) does not name."],
    )
    .default(Default::Bool(false)),
    Opt::new("purge_permissions", Kind::Bool, &["Take from each of O(roles) the permissions that are not listed."])
        .default(Default::Bool(false)),
    Opt::new(
        "predicted_new",
        Kind::Bool,
        &["In check mode, that earlier tasks of the preview would have made the cluster: there is none to look at."],
    )
    .default(Default::Bool(false)),
];

pub(crate) const SPEC: ModuleSpec = ModuleSpec {
    name: "etcd_auth",
    summary: "Authentication, users, roles and permissions of an etcd cluster",
    description: &[
        "Brings a cluster's authentication to the state given, and changes nothing when it is there already.",
        "When authentication is enabled, root's user, role and grant come first, the switch comes last, and root's login is then proved.",
        "When root's password does not log in, neither as O(root_password) nor as one of O(previous_passwords), the task fails and nothing changes.",
        "Passwords are compared by logging in, which costs the cluster about 0.1 s each.",
    ],
    options: OPTIONS,
    fragments: &[&CONNECTION],
    rules: &[Rule::RequiredTogether(&["client_cert", "client_key"])],
    check_mode: Support::Full,
    diff_mode: Support::Full,
    notes: &[
        "Run it once for a cluster, on any host that reaches one of its members.",
        "While authentication is off etcd does not tell whether a password is right: those of existing users are then left alone with a warning, or set when it is being enabled.",
        "Disabling authentication needs root's password, like everything else while it is on.",
    ],
    examples: r#"
- name: Authentication is on, and one application has its own keys
  quorum.etcd.etcd_auth:
    endpoints: [https://10.10.10.10:2379, https://10.10.10.11:2379]
    ca_cert: /etc/etcd/ca.crt
    client_cert: /etc/etcd/server.crt
    client_key: /etc/etcd/server.key
    root_password: "{{ etcd_root_password }}"
    roles:
      - name: pg-meta
        permissions:
          - { permission: readwrite, key: /pg/pg-meta/, prefix: true }
    users:
      - name: pg-meta
        password: "{{ pg_meta_etcd_password }}"
        roles: [pg-meta]
  run_once: true

- name: Give root a new password
  quorum.etcd.etcd_auth:
    root_password: "{{ new_password }}"
    previous_passwords: ["{{ old_password }}"]
  run_once: true
"#,
    returns: &[
        Ret::new("auth", "dict", "Authentication as it is now; in check mode, as it would be.").contains(&[
            Ret::new("enabled", "bool", "Whether the cluster asks for users and passwords."),
            Ret::new("users", "list", "Each user's C(name) and C(roles)."),
            Ret::new("roles", "list", "Each role's C(name) and C(permissions), in the terms of O(roles)."),
        ]),
        Ret::new("actions", "list", "What was done, or in check mode would be, in this order."),
    ],
};
