use crate::{INVENTORY, Place, texts};
use std::path::{Path, PathBuf};
use std::process::Output;

/// A playbook that shows which hosts it is run for, and with what.
const PLAYBOOK: &str = "
- hosts: etcd
  gather_facts: false
  connection: local
  tasks:
    - ansible.builtin.debug:
        msg: 'here {{ inventory_hostname }} {{ etcd_rm_members | default(etcd_init | default(omit)) }}'
";

/// The directory of Ansible's programs: the virtual environment that `make stage` makes, or one in the path.
fn programs() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin");
    let path = std::env::var_os("PATH").unwrap();
    let mut places = std::iter::once(own).chain(std::env::split_paths(&path));
    let found = places.find(|place| place.join("ansible-inventory").is_file());
    found.unwrap_or_else(|| panic!("there is no ansible-inventory: run make stage"))
}

fn run(place: &Place, line: &str) -> Output {
    for name in ["checkout/etcd.yml", "checkout/etcd-rm.yml"] {
        place.write(name, PLAYBOOK);
    }
    let path = format!("{}:/usr/bin:/bin", programs().display());
    place.script(line).env("PATH", path).env("HOME", place.path("")).output().unwrap()
}

/// The hosts that the playbook ran for, and what it saw.
fn seen(output: &str) -> Vec<&str> {
    let mut seen: Vec<&str> =
        output.lines().filter_map(|line| line.trim().strip_prefix("\"msg\": \"here ")?.strip_suffix('"')).collect();
    seen.sort_unstable();
    seen
}

#[test]
fn hosts_and_variables_arrive() {
    let place = Place::checkout();
    for (line, wanted) in [
        ("etcd-add -i hosts.yml 10.10.10.11", &["10.10.10.11 existing"][..]),
        ("etcd-add -i hosts.yml FD00:0::12", &["fd00::12 existing"]),
        ("etcd-add -i hosts.yml fd00::12 10.10.10.13 -- -v", &["db-4 existing", "fd00::12 existing"]),
        (
            "etcd-rm -i hosts.yml 10.10.10.99 -- -e etcd_init=gone",
            &[
                "10.10.10.10 ['10.10.10.99']",
                "10.10.10.11 ['10.10.10.99']",
                "db-4 ['10.10.10.99']",
                "fd00::12 ['10.10.10.99']",
            ],
        ),
        (
            "etcd-rm -i hosts.yml --yes --cluster etcd -- -e etcd_init=whole",
            &["10.10.10.10 whole", "10.10.10.11 whole", "db-4 whole", "fd00::12 whole"],
        ),
    ] {
        let (code, out, err) = texts(&run(&place, line));
        assert_eq!(code, Some(0), "{out}{err}");
        assert_eq!(seen(&out), wanted, "{line}: {out}{err}");
    }
}

#[test]
fn children_variables_of_groups_and_extra_variables_are_heeded() {
    let place = Place::checkout();
    place.write("here/hosts.yml", "etcd: {children: {alpha: null, beta: null}}");
    place.write(
        "here/alpha.yml",
        "
alpha:
  vars: {etcd_cluster: alpha, etcd_data: /srv/alpha}
  hosts: {10.0.0.1: {etcd_seq: 1}, 10.0.0.2: {etcd_seq: 2}}
beta:
  hosts: {10.0.1.1: {etcd_seq: 1}}
",
    );
    // Beside the playbook, as a checkout may have them.
    place.write("checkout/group_vars/beta.yml", "etcd_cluster: beta");
    let inventories = "-i hosts.yml -i alpha.yml";
    let (code, out, err) = texts(&run(&place, &format!("etcd-rm {inventories} 10.0.0.2 -- -e etcd_rm_data=false")));
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(
        out.contains("alpha-2 (10.0.0.2): etcd is stopped, its configuration is deleted, its data stays in /srv/alpha"),
        "{out}"
    );
    let (code, out, err) = texts(&run(&place, &format!("etcd-rm {inventories} 10.0.1.1")));
    assert_eq!(code, Some(2));
    assert!(out.contains("The WHOLE cluster beta is removed, its only member") && err.contains("--yes"), "{out}{err}");
    let (code, out, err) = texts(&run(&place, &format!("etcd-rm {inventories}")));
    assert_eq!((code, seen(&out)), (Some(2), vec![]));
    assert!(err.contains("several clusters, alpha, beta"), "{err}");
}

#[test]
fn an_inventory_that_ansible_cannot_read_is_refused() {
    let place = Place::checkout();
    place.write("here/broken.yml", "etcd: [");
    let (code, _, err) = texts(&run(&place, "etcd-rm -i broken.yml 10.10.10.10"));
    assert_eq!(code, Some(2));
    assert!(err.contains("broken.yml") && err.contains("ansible-inventory cannot read the inventory"), "{err}");
}

#[test]
fn an_encrypted_inventory_is_read_with_the_password_that_the_playbook_gets() {
    let place = Place::checkout();
    place.write("here/secret", "a password");
    let vault = std::process::Command::new(programs().join("ansible-vault"))
        .args(["encrypt", "--vault-password-file", "secret", "--output", "hosts.yml"])
        .arg(place.write("here/plain.yml", INVENTORY))
        .current_dir(place.path("here"))
        .env("HOME", place.path(""))
        .output()
        .unwrap();
    assert!(vault.status.success(), "{vault:?}");
    let (code, _, err) = texts(&run(&place, "etcd-add -i hosts.yml db-4"));
    assert_eq!(code, Some(2), "{err}");
    let (code, out, err) = texts(&run(&place, "etcd-add -i hosts.yml db-4 -- --vault-password-file secret"));
    assert_eq!((code, seen(&out)), (Some(0), vec!["db-4 existing"]), "{out}{err}");
}
