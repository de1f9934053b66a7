use ansible_protocol::{Default, Kind, ModuleSpec, Opt, Ret, Rule, Support};

const OPTIONS: &[Opt] = &[
    Opt::new(
        "state",
        Kind::Str,
        &[
            "V(authority), on the controller: every directory of O(ca_dirs) has a CA. One that is there is used as it is; one is made where both files are absent.",
            "V(requested), on the host: returns what the host needs, why, and the signing request for it. Repairs owners and modes.",
            "V(signed), on the controller: checks the request and returns the certificate. Changes nothing on disk.",
            "V(present), on the host: verifies certificate, key and CA against each other, then puts them in place.",
        ],
    )
    .choices(&["authority", "requested", "signed", "present"])
    .default(Default::Str("present")),
    Opt::new("ca_dirs", Kind::List(&Kind::Path), &["The directories with C(ca.key) and C(ca.crt)."]),
    Opt::new("ca_dir", Kind::Path, &["The directory with the C(ca.key) and C(ca.crt) to sign with."]),
    Opt::new("ca_common_name", Kind::Str, &["The common name of a CA that is made."])
        .default(Default::Str("quorum.etcd CA")),
    Opt::new("ca_validity_days", Kind::Int, &["For how many days a CA that is made is valid."])
        .default(Default::Int(7300)),
    Opt::new(
        "common_name",
        Kind::Str,
        &["The common name of the certificate's subject. Empty for none: etcd's gRPC proxy, and requests to its gateway when C(client-cert-auth) is on, want a certificate without one."],
    ),
    Opt::new(
        "subject_alt_names",
        Kind::List(&Kind::Str),
        &["All names and addresses the certificate is for. What is no IPv4 or IPv6 address is a host name. The order does not matter. Members check the address a peer connects from against it."],
    ),
    Opt::new("csr", Kind::Str, &["The signing request, as O(state=requested) returned it. May be absent in check mode."]),
    Opt::new(
        "validity_days",
        Kind::Int,
        &["For how many days the certificate is valid; never longer than its CA."],
    )
    .default(Default::Int(3650)),
    Opt::new(
        "certificate",
        Kind::Str,
        &["The certificate to install, as O(state=signed) returned it. Without it the installed one stays, and only the CA file is written."],
    ),
    Opt::new(
        "ca_certificate",
        Kind::Str,
        &[
            "The CA certificates to trust, in PEM: the content of C(ca.crt), the issuing one first. Required for O(state=present), except in check mode; left out for O(state=requested) while the CA is still to be made.",
            "To rotate a CA, list the old certificate and the new one while both are in use.",
        ],
    ),
    Opt::new("key_file", Kind::Path, &["The private key."]).default(Default::Str("/etc/etcd/server.key")),
    Opt::new("cert_file", Kind::Path, &["The certificate."]).default(Default::Str("/etc/etcd/server.crt")),
    Opt::new("ca_file", Kind::Path, &["The CA certificates."]).default(Default::Str("/etc/etcd/ca.crt")),
    Opt::new("owner", Kind::Str, &["The user the three files belong to."]).default(Default::Str("root")),
    Opt::new("group", Kind::Str, &["The group the three files belong to."]).default(Default::Str("etcd")),
    Opt::new("key_mode", Kind::Raw, &["The mode of O(key_file), in octal."]).default(Default::Str("0640")),
    Opt::new("mode", Kind::Raw, &["The mode of O(cert_file) and O(ca_file), in octal."]).default(Default::Str("0644")),
    Opt::new(
        "renew_before_days",
        Kind::Int,
        &["Renew a certificate that is valid for fewer days than this. Less than O(validity_days)."],
    )
    .default(Default::Int(90)),
    Opt::new("new_key", Kind::Bool, &["Make a new key, and with it a new certificate, at each run."])
        .default(Default::Bool(false)),
    Opt::new(
        "replace_foreign",
        Kind::Bool,
        &["Replace a working certificate although its CA is not among O(ca_certificate). Members on either side of that line refuse each other until all have changed over and restarted."],
    )
    .default(Default::Bool(false)),
];

const FACTS: &[Ret] = &[
    Ret::new("subject", "str", "The subject."),
    Ret::new("subject_alt_names", "list", "The subject alternative names."),
    Ret::new("not_before", "str", "From when it is valid, in RFC 3339."),
    Ret::new("not_after", "str", "Until when it is valid, in RFC 3339."),
    Ret::new("remaining_days", "int", "Whole days until it expires; negative afterwards."),
    Ret::new("issuer", "str", "The issuer's subject."),
    Ret::new("serial", "str", "The serial number in hex."),
    Ret::new("fingerprint_sha256", "str", "The SHA-256 of the certificate, as openssl prints it."),
];

const EXAMPLES: &str = r#"- name: The CA on the controller
  quorum.etcd.etcd_cert:
    state: authority
    ca_dirs: ["{{ inventory_dir }}/files/pki/ca"]
  delegate_to: localhost
  run_once: true
  register: ca

- name: What this member needs
  quorum.etcd.etcd_cert:
    state: requested
    common_name: "{{ inventory_hostname }}"
    subject_alt_names: ["{{ inventory_hostname }}", localhost, 127.0.0.1, "::1"]
    ca_certificate: "{{ ca.authorities[inventory_dir ~ '/files/pki/ca'].certificate }}"
  register: request

- name: The certificate
  quorum.etcd.etcd_cert:
    state: signed
    ca_dir: "{{ inventory_dir }}/files/pki/ca"
    csr: "{{ request.csr }}"
    common_name: "{{ inventory_hostname }}"
    subject_alt_names: ["{{ inventory_hostname }}", localhost, 127.0.0.1, "::1"]
  delegate_to: localhost
  when: "'certificate' in request.needed"
  register: signed

- name: Key, certificate and CA in place
  quorum.etcd.etcd_cert:
    state: present
    certificate: "{{ signed.certificate | default(omit) }}"
    ca_certificate: "{{ ca.authorities[inventory_dir ~ '/files/pki/ca'].certificate }}"
  when: request.needed | length > 0
"#;

/// The module's table.
pub(crate) const SPEC: ModuleSpec = ModuleSpec {
    name: "etcd_cert",
    summary: "Keys and certificates of etcd members, and the CA that signs them",
    description: &[
        "Makes a member's private key and signing request on the member, has the request signed by a CA on the controller, and installs the result. The member's key never leaves the member, and the CA's key never leaves the controller.",
        "A certificate is renewed when it is about to expire, when its names, usages or key are not the wanted ones, and when it cannot be read. Nothing changes otherwise.",
    ],
    options: OPTIONS,
    fragments: &[],
    rules: &[
        Rule::RequiredIf("state", "authority", &["ca_dirs"]),
        Rule::RequiredIf("state", "requested", &["common_name", "subject_alt_names"]),
        Rule::RequiredIf("state", "signed", &["ca_dir", "common_name", "subject_alt_names"]),
    ],
    check_mode: Support::Full,
    diff_mode: Support::Full,
    notes: &[
        "etcd reads key and certificate anew at each handshake, so that a renewal needs no restart. It reads the CA file only when it starts: RV(ca_changed) says that a restart is needed.",
        "Usable keys are ECDSA P-256 and P-384, Ed25519, and RSA of 2048 to 4096 bits, in PKCS#8, PKCS#1 or SEC 1, not encrypted. Keys made here are ECDSA P-256.",
        "A new key waits as C(.server.key.quorum-new) beside the old one until its certificate is installed.",
        "To rotate a CA, put the new certificate after the old one in C(ca.crt), run, and restart all members; then put the new key into C(ca.key) and the new certificate first, and run; then take the old certificate out, run, and restart all members.",
    ],
    examples: EXAMPLES,
    returns: &[
        Ret::new("authorities", "dict", "For each directory of O(ca_dirs) its C(certificate) (PEM; null when check mode predicts a new one), C(not_after), C(fingerprint_sha256), and whether it was C(made).")
            .when("state is authority"),
        Ret::new("needed", "list", "What is to be done: C(certificate) when one is to be signed, C(authority) when the CA file differs.")
            .when("state is requested"),
        Ret::new("reasons", "list", "Why a certificate is needed, in words.").when("state is requested"),
        Ret::new("csr", "str", "The signing request in PEM. Null when none is needed, and in check mode when a new key would be made for it.")
            .when("state is requested"),
        Ret::new("new_key", "bool", "Whether the request is for another key than the one in use.")
            .when("state is requested"),
        Ret::new("certificate", "raw", "With O(state=signed) the issued certificate in PEM; with O(state=requested) and O(state=present) the facts of the one on the host, or null.")
            .when("state is not authority")
            .contains(FACTS),
        Ret::new("issued", "dict", "The facts of the issued certificate, or null in check mode.")
            .when("state is signed")
            .contains(FACTS),
        Ret::new("ca_changed", "bool", "Whether the trusted CAs changed, which etcd notices only when it restarts.")
            .when("state is present"),
    ],
};
