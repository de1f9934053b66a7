//! The command line.

use crate::options::{self, Options};
use clap::{Arg, ArgAction, Command};
use std::ffi::OsString;

const CODES: &str = "\
Exit codes: 2 when nothing was run, for the arguments, the inventory or what is missing; 130 after Ctrl-C; otherwise
those of ansible-playbook (0 done, 2 a task failed, 4 a host cannot be reached).";

const ADD: &str = "\
The hosts are in the inventory already, each with an etcd_seq, in the group of a cluster that runs. They join it one
after the other; the other members are not restarted. This runs etcd.yml -l HOST,... -e etcd_init=existing.

  bin/etcd-add 10.10.10.13
  bin/etcd-add -i hosts.yml --check 10.10.10.13 10.10.10.14
  bin/etcd-add 10.10.10.13 -- --ask-become-pass";

const REMOVE: &str = "\
Each host leaves its cluster; its etcd is stopped, its data and its configuration are deleted. This runs
etcd-rm.yml -l HOST,.... A member that the inventory does not have any more is taken out of its cluster, and its host is
left alone. Without addresses the WHOLE cluster is removed.

  bin/etcd-rm 10.10.10.13
  bin/etcd-rm --cluster alpha --yes
  bin/etcd-rm 10.10.10.13 -- -e etcd_safeguard=false";

/// What the script is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Add,
    Remove,
}

impl Action {
    /// The name of the script.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Add => "etcd-add",
            Self::Remove => "etcd-rm",
        }
    }
}

/// What the user asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) action: Action,
    /// The inventories, as given.
    pub(crate) inventories: Vec<String>,
    pub(crate) cluster: Option<String>,
    /// No countdown.
    pub(crate) yes: bool,
    pub(crate) check: bool,
    /// The hosts, as given.
    pub(crate) targets: Vec<String>,
    /// What follows `--`.
    pub(crate) options: Options,
}

impl Request {
    /// Whether the run changes nothing.
    pub(crate) fn is_preview(&self) -> bool {
        self.check || self.options.preview
    }
}

/// Reads the words that follow the script's name.
pub(crate) fn parse(name: &str, words: impl Iterator<Item = OsString>) -> Result<Request, clap::Error> {
    let action = if name == Action::Add.name() { Action::Add } else { Action::Remove };
    let matches = command(action).try_get_matches_from(std::iter::once(name.into()).chain(words))?;
    let all = |id: &str| -> Vec<String> { matches.get_many(id).unwrap_or_default().cloned().collect() };
    Ok(Request {
        action,
        inventories: all("inventory"),
        cluster: matches.try_get_one("cluster").ok().flatten().cloned(),
        yes: matches.get_flag("yes"),
        check: matches.get_flag("check"),
        targets: all("hosts"),
        options: options::read(action, all("options")),
    })
}

fn command(action: Action) -> Command {
    let flag = |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    let (about, text) = match action {
        Action::Add => ("Adds members to etcd clusters", ADD),
        Action::Remove => ("Removes members from etcd clusters, or a whole cluster", REMOVE),
    };
    let hosts = Arg::new("hosts")
        .value_name("IP")
        .num_args(1..)
        .required(action == Action::Add)
        .help("The hosts: full IPv4 or IPv6 addresses, or names of the inventory");
    let cluster = Arg::new("cluster").long("cluster").value_name("NAME").help("The cluster that is meant");
    let command = Command::new(action.name())
        .version(env!("CARGO_PKG_VERSION"))
        .about(about)
        .after_help(format!("{text}\n\n{CODES}"))
        .arg(
            Arg::new("inventory")
                .short('i')
                .long("inventory")
                .value_name("INVENTORY")
                .action(ArgAction::Append)
                .help("The inventory, as ansible-playbook takes it; may be repeated"),
        )
        .arg(flag("yes", "Without counting down"))
        .arg(flag("check", "Say what would be done, and do nothing (ansible-playbook --check --diff)"))
        .arg(hosts)
        .arg(
            Arg::new("options")
                .value_name("ANSIBLE-PLAYBOOK OPTIONS")
                .num_args(0..)
                .last(true)
                .allow_hyphen_values(true)
                .help("What else ansible-playbook is to be given"),
        );
    if action == Action::Remove { command.arg(cluster) } else { command }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> impl Iterator<Item = OsString> {
        text.split_whitespace().map(OsString::from).collect::<Vec<_>>().into_iter()
    }

    #[test]
    fn the_command_lines_are_well_formed() {
        command(Action::Add).debug_assert();
        command(Action::Remove).debug_assert();
    }

    #[test]
    fn everything_has_its_place() {
        let given = "-i a -i b,c --cluster alpha --check 10.10.10.12 --yes pg-3 -- -vv -e etcd_safeguard=false";
        let request = parse("etcd-rm", words(given)).unwrap();
        assert_eq!((request.action, request.yes, request.check), (Action::Remove, true, true));
        assert_eq!(request.inventories, ["a", "b,c"]);
        assert_eq!(request.cluster.as_deref(), Some("alpha"));
        assert_eq!(request.targets, ["10.10.10.12", "pg-3"]);
        assert_eq!(request.options.words, ["-vv", "-e", "etcd_safeguard=false"]);
    }

    #[test]
    fn adding_needs_hosts_and_knows_no_cluster_option() {
        assert_eq!(parse("etcd-add", words("--yes")).unwrap_err().exit_code(), 2);
        assert_eq!(parse("etcd-add", words("--cluster alpha 10.10.10.12")).unwrap_err().exit_code(), 2);
        assert!(parse("etcd-add", words("10.10.10.12")).unwrap().cluster.is_none());
        assert!(parse("etcd-rm", words("")).unwrap().targets.is_empty());
    }
}
