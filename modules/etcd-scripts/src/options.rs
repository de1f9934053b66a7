//! What the user passes on to ansible-playbook. It must not undo what was announced: another inventory, other hosts, or
//! a host's address where only options are read.

use crate::request::Action;

/// The words that follow `--`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// All of them, for ansible-playbook.
    pub(crate) words: Vec<String>,
    /// Those that ansible-inventory needs as well.
    pub(crate) for_inventory: Vec<String>,
    /// Whether they make ansible-playbook change nothing.
    pub(crate) preview: bool,
    /// What is wrong with them.
    pub(crate) problems: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Stands alone.
    Flag,
    /// Stands alone, and nothing is changed.
    Preview,
    /// Is followed by a value.
    Value,
    /// Decides which variables and secrets the inventory has; with a value.
    Inventory,
    /// The same without a value.
    InventoryFlag,
    /// Is the scripts' own to give; with a value.
    Ours,
}

/// The options of ansible-playbook, of all cores from 2.17 on.
const KNOWN: &[(&str, char, Kind)] = &[
    ("--ask-become-pass", 'K', Kind::Flag),
    ("--ask-pass", 'k', Kind::Flag),
    ("--ask-vault-pass", 'J', Kind::InventoryFlag),
    ("--ask-vault-password", 'J', Kind::InventoryFlag),
    ("--become", 'b', Kind::Flag),
    ("--become-method", '\0', Kind::Value),
    ("--become-pass-file", '\0', Kind::Value),
    ("--become-password-file", '\0', Kind::Value),
    ("--become-user", '\0', Kind::Value),
    ("--check", 'C', Kind::Preview),
    ("--conn-pass-file", '\0', Kind::Value),
    ("--connection", 'c', Kind::Value),
    ("--connection-password-file", '\0', Kind::Value),
    ("--diff", 'D', Kind::Flag),
    ("--extra-vars", 'e', Kind::Inventory),
    ("--flush-cache", '\0', Kind::Flag),
    ("--force-handlers", '\0', Kind::Flag),
    ("--forks", 'f', Kind::Value),
    ("--help", 'h', Kind::Preview),
    ("--inventory", 'i', Kind::Ours),
    ("--inventory-file", 'i', Kind::Ours),
    ("--key-file", '\0', Kind::Value),
    ("--limit", 'l', Kind::Ours),
    ("--list-hosts", '\0', Kind::Preview),
    ("--list-tags", '\0', Kind::Preview),
    ("--list-tasks", '\0', Kind::Preview),
    ("--module-path", 'M', Kind::Value),
    ("--private-key", '\0', Kind::Value),
    ("--scp-extra-args", '\0', Kind::Value),
    ("--sftp-extra-args", '\0', Kind::Value),
    ("--skip-tags", '\0', Kind::Value),
    ("--ssh-common-args", '\0', Kind::Value),
    ("--ssh-extra-args", '\0', Kind::Value),
    ("--start-at-task", '\0', Kind::Value),
    ("--step", '\0', Kind::Flag),
    ("--syntax-check", '\0', Kind::Preview),
    ("--tags", 't', Kind::Value),
    ("--timeout", 'T', Kind::Value),
    ("--user", 'u', Kind::Value),
    ("--vault-id", '\0', Kind::Inventory),
    ("--vault-pass-file", '\0', Kind::Inventory),
    ("--vault-password-file", '\0', Kind::Inventory),
    ("--verbose", 'v', Kind::Flag),
    ("--version", '\0', Kind::Preview),
];

/// One option with what belongs to it.
struct Given<'a> {
    name: &'static str,
    kind: Kind,
    value: Option<&'a str>,
}

/// Reads the words as ansible-playbook will.
pub(crate) fn read(action: Action, words: Vec<String>) -> Options {
    let mut options = Options::default();
    let mut rest = words.iter().map(String::as_str);
    while let Some(word) = rest.next() {
        if !word.starts_with('-') || word == "-" {
            options.problems.push(format!(
                "{word} stands after --, where only options of ansible-playbook do: write hosts before the --"
            ));
            continue;
        }
        let (given, wants_value) = split(word);
        let following = if wants_value { rest.next() } else { None };
        for mut one in given {
            one.value = one.value.or(following.filter(|_| takes_value(one.kind)));
            options.note(action, &one);
        }
    }
    options.words = words;
    options
}

fn takes_value(kind: Kind) -> bool {
    matches!(kind, Kind::Value | Kind::Inventory | Kind::Ours)
}

/// The options in one word, and whether the last of them is still to get its value. Unknown ones are for
/// ansible-playbook to refuse.
fn split(word: &str) -> (Vec<Given<'_>>, bool) {
    if word.starts_with("--") {
        let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        // As ansible-playbook takes them, the beginning of a name is enough.
        let exact = KNOWN.iter().find(|(long, ..)| *long == name);
        let known = exact.or_else(|| KNOWN.iter().find(|(long, ..)| name.len() > 2 && long.starts_with(name)));
        let given = known.map(|(name, _, kind)| Given { name, kind: *kind, value });
        let wants_value = value.is_none() && given.as_ref().is_some_and(|given| takes_value(given.kind));
        return (given.into_iter().collect(), wants_value);
    }
    let mut given = Vec::new();
    for (at, letter) in word.char_indices().skip(1) {
        let Some((name, _, kind)) = KNOWN.iter().find(|(_, short, _)| *short == letter) else { break };
        if takes_value(*kind) {
            let value = &word[at + letter.len_utf8()..];
            given.push(Given { name, kind: *kind, value: (!value.is_empty()).then_some(value) });
            return (given, value.is_empty());
        }
        given.push(Given { name, kind: *kind, value: None });
    }
    (given, false)
}

impl Options {
    fn note(&mut self, action: Action, given: &Given<'_>) {
        let script = action.name();
        let name = given.name;
        match given.kind {
            Kind::Flag | Kind::Value => {}
            Kind::Preview => self.preview = true,
            Kind::InventoryFlag => self.for_inventory.push(name.into()),
            Kind::Inventory => {
                self.for_inventory.push(name.into());
                self.for_inventory.extend(given.value.map(Into::into));
            }
            Kind::Ours if name == "--limit" => {
                self.problems.push(format!("{script} gives {name} itself: name the hosts before the --"));
            }
            Kind::Ours => self.problems.push(format!(
                "{name} after -- would be another inventory than the one {script} looks at: write it before the --"
            )),
        }
        let own = if action == Action::Add { "etcd_init" } else { "etcd_rm_members" };
        if name == "--extra-vars" && given.value.is_some_and(|value| value.contains(own)) {
            self.problems.push(format!("{script} sets {own} itself: leave it out"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    fn read_text(text: &str) -> Options {
        read(Action::Remove, text.split_whitespace().map(ToOwned::to_owned).collect())
    }

    #[test_case("-vvv -b -K --forks 5 -f5 -t etcd_leave --tags=etcd_leave -e etcd_safeguard=false -ukim")]
    #[test_case("--private-key key --vault-password-file secret -vbu kim")]
    #[test_case("--unknown-to-us")]
    fn options_pass(text: &str) {
        let options = read_text(text);
        assert_eq!(options.problems, Vec::<String>::new());
        assert!(!options.preview);
        assert_eq!(options.words.join(" "), text);
    }

    #[test_case("10.10.10.12" ; "an address alone")]
    #[test_case("-v 10.10.10.12" ; "an address after a flag")]
    #[test_case("--forks=5 10.10.10.12" ; "an address after an option that has its value")]
    #[test_case("-f5 10.10.10.12" ; "the same in one word")]
    #[test_case("--unknown-to-us 10.10.10.12" ; "an address after an unknown option")]
    fn a_host_among_them_is_refused(text: &str) {
        let problems = read_text(text).problems;
        assert!(matches!(&problems[..], [one] if one.starts_with("10.10.10.12 stands after --")), "{problems:?}");
    }

    #[test_case("-l etcd", "--limit" ; "short")]
    #[test_case("-letcd", "--limit" ; "short in one word")]
    #[test_case("-vl etcd", "--limit" ; "behind a flag")]
    #[test_case("--limit=etcd", "--limit" ; "long")]
    #[test_case("--lim etcd", "--limit" ; "abbreviated")]
    #[test_case("-i hosts.yml", "--inventory" ; "inventory")]
    #[test_case("--inventory-file hosts.yml", "--inventory-file" ; "inventory by its old name")]
    #[test_case("-e etcd_rm_members=[]", "etcd_rm_members" ; "a variable of ours")]
    fn what_the_script_decides_is_refused(text: &str, named: &str) {
        let problems = read_text(text).problems;
        assert!(matches!(&problems[..], [one] if one.contains(named)), "{problems:?}");
    }

    #[test_case("-C" ; "check")]
    #[test_case("-vDC" ; "check among flags")]
    #[test_case("--list-hosts" ; "lists")]
    #[test_case("--syntax-check" ; "syntax")]
    fn a_preview_is_recognised(text: &str) {
        assert!(read_text(text).preview);
    }

    #[test]
    fn what_decides_the_variables_also_goes_to_the_inventory() {
        let options = read_text("-v -e a=1 -eb=2 --vault-id=dev@secret -J -u kim");
        let wanted = ["--extra-vars", "a=1", "--extra-vars", "b=2", "--vault-id", "dev@secret", "--ask-vault-password"];
        let given: Vec<&str> = options.for_inventory.iter().map(String::as_str).collect();
        assert_eq!(given.len(), wanted.len());
        assert!(given.iter().zip(wanted).all(|(given, wanted)| wanted.starts_with(given)), "{given:?}");
    }
}
