use crate::{INVENTORY, Place, texts};
use std::process::{Command, Output, Stdio};

/// What `ansible-inventory --list` says of the inventory.
const LISTED: &str = r#"{"_meta": {"hostvars": {
    "10.10.10.10": {"etcd_seq": 1}, "10.10.10.11": {"etcd_seq": 2}, "fd00::12": {"etcd_seq": 3},
    "db-4": {"etcd_seq": 4, "ansible_host": "10.10.10.13"}}},
    "etcd": {"hosts": ["10.10.10.10", "10.10.10.11", "fd00::12", "db-4"]}}"#;

/// Programs in the place of Ansible's, first in the path, that write down how they are called.
struct Stage(Place);

impl Stage {
    fn new(place: Place) -> Self {
        place.write("listed.json", LISTED);
        let stage = Self(place);
        stage.fake("ansible-inventory", "cat listed.json");
        stage.fake("ansible-playbook", "");
        stage
    }

    /// What the program does once it has written down its call.
    fn fake(&self, name: &str, script: &str) {
        let top = self.0.path("");
        let note = format!(
            "{{ echo \"$(basename $0) $*\"; echo \"config=$ANSIBLE_CONFIG in $PWD\"; }} >>'{0}/calls'\ncd '{0}'\n",
            top.display()
        );
        self.0.program(&format!("fake/{name}"), &(note + script));
    }

    fn script(&self, line: &str) -> Command {
        let mut command = self.0.script(line);
        command.env("PATH", format!("{}:/usr/bin:/bin", self.0.path("fake").display())).stdin(Stdio::null());
        command
    }

    fn run(&self, line: &str) -> Output {
        self.script(line).output().unwrap()
    }

    /// How the playbooks were called.
    fn plays(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.0.path("calls")).unwrap_or_default();
        let calls = text.lines().filter_map(|line| line.strip_prefix("ansible-playbook "));
        calls.map(|call| call.replace(self.0.directory.path().to_str().unwrap(), "")).collect()
    }

    #[track_caller]
    fn refuses(&self, line: &str, parts: &[&str]) {
        let (code, out, err) = texts(&self.run(line));
        assert_eq!(code, Some(2), "{out}{err}");
        for part in parts {
            assert!(err.contains(part), "nothing of {part:?} in: {err}");
        }
        assert_eq!(self.plays(), Vec::<String>::new());
    }
}

#[test]
fn adding_runs_the_playbook_of_the_checkout_and_says_what_is_left() {
    let stage = Stage::new(Place::checkout());
    let (code, out, err) = texts(&stage.run("etcd-add -i hosts.yml FD00:0::12 -- -v"));
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    let line = "-i hosts.yml /checkout/etcd.yml -l fd00::12 -e etcd_init=existing -v";
    assert_eq!(stage.plays(), [line]);
    let top = stage.0.directory.path().to_str().unwrap();
    let shown = out.replace(top, "");
    for part in [
        "Cluster etcd: 1 member joins the 3 in the inventory.\n  etcd-3 (fd00::12): joins\n",
        "Then cluster etcd has 4 members: 3 make a quorum, it survives the loss of 1.\nWarning: 4 voters make",
        &format!("\n  ANSIBLE_CONFIG=/checkout/ansible.cfg ansible-playbook {line}\n"),
        "Done. What is left to do:\n- nothing on other members that could be reached",
        "/checkout/etcd.yml -t etcd_conf --check --diff\n",
        "./pgsql.yml -t pg_conf, then reload patroni",
        "./pgsql.yml -t pg_vip_config, then restart vip-manager",
        "https://10.10.10.10:2379,https://10.10.10.11:2379,https://[fd00::12]:2379,https://10.10.10.13:2379",
    ] {
        assert!(shown.contains(part), "nothing of {part:?} in: {shown}");
    }
    let calls = std::fs::read_to_string(stage.0.path("calls")).unwrap();
    assert_eq!(calls.matches(&format!("config={top}/checkout/ansible.cfg in {top}/here")).count(), 2, "{calls}");
    assert!(
        calls.starts_with(&format!("ansible-inventory --list -i hosts.yml --playbook-dir {top}/checkout\n")),
        "{calls}"
    );
}

#[test]
fn in_the_checkout_itself_the_commands_are_short() {
    let stage = Stage::new(Place::checkout());
    stage.0.write("checkout/hosts.yml", INVENTORY);
    let (code, out, _) =
        texts(&stage.script("etcd-rm -i hosts.yml db-4").current_dir(stage.0.path("checkout")).output().unwrap());
    assert_eq!(code, Some(0));
    assert!(out.contains("\nCommand:\n  ansible-playbook -i hosts.yml etcd-rm.yml -l db-4\n"), "{out}");
    assert_eq!(stage.plays(), ["-i hosts.yml etcd-rm.yml -l db-4"]);
}

#[test]
fn what_is_shown_can_be_pasted() {
    let stage = Stage::new(Place::checkout());
    let (_, out, _) = texts(&stage.run("etcd-rm -i hosts.yml 10.10.10.99 10.10.10.10 --check"));
    let commands: String =
        out.lines().filter(|line| line.contains("ansible-playbook -i")).collect::<Vec<_>>().join("\n");
    let ran = std::fs::read_to_string(stage.0.path("calls")).unwrap();
    let ran = ran.split_once("ansible-playbook").unwrap().1.to_owned();
    std::fs::remove_file(stage.0.path("calls")).unwrap();
    let path = format!("{}:/usr/bin:/bin", stage.0.path("fake").display());
    let status =
        Command::new("/bin/sh").args(["-c", &commands]).env("PATH", path).current_dir(stage.0.path("here")).status();
    assert!(status.unwrap().success());
    let pasted = std::fs::read_to_string(stage.0.path("calls")).unwrap();
    assert_eq!(pasted, format!("ansible-playbook{ran}"));
    assert_eq!(stage.plays().len(), 2);
}

#[test]
fn the_users_own_configuration_wins() {
    let stage = Stage::new(Place::checkout());
    let output = stage.script("etcd-rm -i hosts.yml db-4").env("ANSIBLE_CONFIG", "mine.cfg").output().unwrap();
    assert!(output.status.success());
    let calls = std::fs::read_to_string(stage.0.path("calls")).unwrap();
    assert_eq!(calls.matches("config=mine.cfg in ").count(), 2, "{calls}");
    assert!(!String::from_utf8(output.stdout).unwrap().contains("ANSIBLE_CONFIG"));
}

#[test]
fn an_installed_collection_runs_its_playbooks_by_name() {
    let stage = Stage::new(Place::collection());
    let (code, out, err) = texts(&stage.run("etcd-rm -i hosts.yml 10.10.10.13 10.10.10.11"));
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert_eq!(stage.plays(), ["-i hosts.yml quorum.etcd.etcd_rm -l 10.10.10.11,db-4"]);
    for part in [
        "Cluster etcd: 2 of 4 members are removed.",
        "  etcd-4 (10.10.10.13, host db-4): etcd is stopped, its data (/data/etcd) and its configuration are deleted",
        "Then cluster etcd has 2 members: 2 make a quorum, it survives the loss of none.",
        "- take 10.10.10.11, db-4 out of the inventory\n- then refresh the other members: ansible-playbook -i hosts.yml quorum.etcd.etcd -t etcd_conf\n",
        "all of cluster etcd: https://10.10.10.10:2379,https://[fd00::12]:2379\n",
    ] {
        assert!(out.contains(part), "nothing of {part:?} in: {out}");
    }
}

#[test]
fn a_member_that_the_inventory_has_lost_comes_first_and_the_others_only_after_success() {
    let stage = Stage::new(Place::checkout());
    let line = "etcd-rm -i hosts.yml 10.10.10.99 db-4";
    // It may be down, and in the way of the other one.
    let first = r#"-i hosts.yml /checkout/etcd-rm.yml -l etcd -e {"etcd_rm_members":["10.10.10.99"]}"#;
    let second = "-i hosts.yml /checkout/etcd-rm.yml -l db-4";
    assert_eq!(texts(&stage.run(line)).0, Some(0));
    assert_eq!(stage.plays(), [first, second]);
    stage.fake("ansible-playbook", "exit 4");
    let (code, out, _) = texts(&stage.run(line));
    assert_eq!(code, Some(4));
    assert_eq!(stage.plays(), [first, second, first]);
    assert!(!out.contains("Done."), "{out}");
}

#[test]
fn a_whole_cluster_needs_yes_where_nobody_can_stop_it() {
    let stage = Stage::new(Place::checkout());
    let named = "etcd-rm -i hosts.yml 10.10.10.10 10.10.10.11 fd00::12 db-4";
    for line in ["etcd-rm -i hosts.yml", "etcd-rm -i hosts.yml --cluster etcd", named] {
        stage.refuses(line, &["removing the whole cluster etcd counts down on a terminal", "--yes"]);
    }
    stage.refuses("etcd-rm -i hosts.yml --yes", &["--yes would not count down: name it as well, --cluster etcd"]);
    for (line, words) in
        [("etcd-rm -i hosts.yml --check", " --check --diff"), ("etcd-rm -i hosts.yml --cluster etcd --yes", " -l etcd")]
    {
        let (code, out, err) = texts(&stage.run(line));
        assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
        assert!(out.contains("The WHOLE cluster etcd is removed, all 4 members"), "{out}");
        assert_eq!(out.contains("needs another one before they are restarted"), !line.contains("--check"), "{out}");
        assert_eq!(stage.plays().last().unwrap(), &format!("-i hosts.yml /checkout/etcd-rm.yml{words}"));
    }
    assert_eq!(texts(&stage.run(&format!("{named} --yes"))).0, Some(0));
    assert_eq!(
        stage.plays().last().unwrap(),
        "-i hosts.yml /checkout/etcd-rm.yml -l 10.10.10.10,10.10.10.11,fd00::12,db-4"
    );
}

#[test]
fn nothing_is_run_when_an_argument_is_wrong() {
    let stage = Stage::new(Place::checkout());
    stage.refuses(
        "etcd-rm -i hosts.yml db-4 10.10.10.256 10.10.10 -- -l etcd 10.10.10.11",
        &[
            "10.10.10.256 is no full IPv4",
            "10.10.10 is no full IPv4",
            "gives --limit itself",
            "10.10.10.11 stands after --",
        ],
    );
    stage.refuses("etcd-rm -i hosts.yml -- db-4", &["db-4 stands after --"]);
    stage.refuses("etcd-add -i hosts.yml 10.10.10.14", &["write 10.10.10.14: { etcd_seq: 5 } in the group etcd"]);
    stage.refuses(
        "etcd-add -i hosts.yml -i other.yml 10.10.10",
        &["there is no inventory other.yml", "10.10.10 is no full"],
    );
    stage.refuses("etcd-add", &["required arguments"]);
    stage.refuses("etcd-rm --force", &["unexpected argument '--force'"]);
}

#[test]
fn an_inventory_that_cannot_be_read_is_said_in_ansibles_words() {
    let stage = Stage::new(Place::checkout());
    stage.fake("ansible-inventory", "echo 'ERROR! the sky is falling' >&2; exit 5");
    stage.refuses(
        "etcd-rm -i hosts.yml db-4",
        &["ERROR! the sky is falling", "ansible-inventory cannot read the inventory (exit status: 5)"],
    );
    stage.fake("ansible-inventory", "echo hello");
    stage.refuses("etcd-rm -i hosts.yml db-4", &["does not print JSON"]);
}

#[test]
fn what_is_missing_is_named() {
    let checkout = Place::checkout();
    let (code, _, err) = texts(&checkout.script("etcd-rm db-4").output().unwrap());
    assert_eq!(code, Some(2));
    assert!(err.contains("ansible-playbook is neither in PATH nor in /") && err.contains("ansible-inventory"), "{err}");
    for (root, remedy) in
        [("checkout", ": run make stage in /"), ("collection", "install a collection that is built for")]
    {
        let place = if root == "checkout" { Place::checkout() } else { Place::collection() };
        let below = if root == "checkout" { "checkout/target" } else { "collection/plugins/modules/__bin" };
        std::fs::remove_dir_all(place.path(below)).unwrap();
        let (code, _, err) = texts(&place.script("etcd-add 10.10.10.10").output().unwrap());
        assert_eq!(code, Some(2));
        assert!(err.starts_with("etcd-add: there is no executable /") && err.contains(remedy), "{err}");
    }
}

#[test]
fn ctrl_c_is_for_the_playbook_to_handle() {
    let stage = Stage::new(Place::checkout());
    stage.fake("ansible-playbook", "kill -INT $PPID; exit 7");
    assert_eq!(texts(&stage.run("etcd-rm -i hosts.yml db-4")).0, Some(7));
    // Whoever starts the tests in the background of a shell has the signal ignored in all of them.
    stage.fake("ansible-playbook", "exec env --default-signal=INT sh -c 'kill -INT $$'");
    assert_eq!(texts(&stage.run("etcd-rm -i hosts.yml db-4")).0, Some(130));
    assert_eq!(stage.plays().len(), 2);
}

#[test]
fn after_ctrl_c_the_next_playbook_is_not_begun() {
    let stage = Stage::new(Place::checkout());
    stage.fake("ansible-playbook", "kill -INT $PPID");
    let (code, _, err) = texts(&stage.run("etcd-rm -i hosts.yml db-4 10.10.10.99"));
    assert_eq!(code, Some(130));
    assert!(err.contains("the next command was not run"), "{err}");
    assert_eq!(stage.plays().len(), 1);
}
