//! Which parts of the role the run's tags select, so that one task can do several of them in one round trip.

use ansible_protocol::nearest;
use serde::{Deserialize, Serialize};

/// What the run is to do.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub(crate) struct Steps {
    /// Write directories.
    pub(crate) dirs: bool,
    /// Write configuration, unit and password file.
    pub(crate) conf: bool,
    /// Write the environment of etcdctl.
    pub(crate) env: bool,
    /// Bring users, roles and permissions to their desired state.
    pub(crate) auth: bool,
    /// Join the running cluster.
    pub(crate) member: bool,
    /// All that it takes to make a cluster.
    pub(crate) makes_anew: bool,
    /// Let members leave, and delete their data.
    pub(crate) leave: bool,
    pub(crate) data: bool,
    /// Save a cluster that ends: wherever it loses something.
    pub(crate) snapshot: bool,
    /// Start or restart members.
    pub(crate) launch: bool,
    /// Either of joining and launching: members are started.
    pub(crate) starts: bool,
    /// Remove what is there, because a tag names it that does nothing else.
    pub(crate) clean: bool,
}

/// The tags that remove what is there.
const CLEAN: [&str; 2] = ["etcd_clean", "etcd_purge"];

/// The tags of all roles.
const TAGS: &[&str] = &[
    "etcd_assert",
    "etcd_auth",
    "etcd_backup_conf",
    "etcd_backup_run",
    "etcd_cert",
    "etcd_cert_copy",
    "etcd_cert_issue",
    "etcd_clean",
    "etcd_conf",
    "etcd_config",
    "etcd_data",
    "etcd_deregister",
    "etcd_dir",
    "etcd_drill",
    "etcd_env",
    "etcd_fetch",
    "etcd_install",
    "etcd_launch",
    "etcd_leave",
    "etcd_member",
    "etcd_pause",
    "etcd_pkg",
    "etcd_purge",
    "etcd_register",
    "etcd_restore",
    "etcd_rollback",
    "etcd_safeguard",
    "etcd_snapshot",
    "etcd_stop",
    "etcd_svc",
];

impl Steps {
    /// What `--tags` and `--skip-tags` select. Ansible says `all` where no tag is named. A tag that is not the role's may
    /// be one that a playbook gave to all of it: whether a task runs is for Ansible to say, and here it is whole. But
    /// nothing is started on account of it before the clusters have been looked at.
    pub(crate) fn of(run: &[String], skip: &[String]) -> Self {
        let own = run.iter().any(|tag| tag.starts_with("etcd_"));
        let all = !own || run.iter().any(|tag| tag == "all");
        let selected = |tags: &[&str]| {
            let named = |list: &[String], tag: &str| list.iter().any(|name| name == tag);
            let wanted = |tag: &str| (named(run, tag) || all) && !named(skip, tag);
            tags.iter().any(|tag| wanted(tag)) && !tags.first().is_some_and(|own| named(skip, own))
        };
        let starts = own || run.iter().any(|tag| tag == "all");
        // Who joins is started.
        let member = starts && selected(&["etcd_member"]) && !skip.iter().any(|tag| tag == "etcd_launch");
        let launch = starts && selected(&["etcd_launch"]);
        Self {
            dirs: selected(&[
                "etcd_dir",
                "etcd_config",
                "etcd_conf",
                "etcd_cert",
                "etcd_cert_issue",
                "etcd_cert_copy",
                "etcd_member",
            ]),
            conf: selected(&["etcd_conf", "etcd_config"]),
            env: selected(&["etcd_env", "etcd_config", "etcd_conf"]),
            auth: selected(&["etcd_auth"]),
            makes_anew: ["etcd_install", "etcd_dir", "etcd_conf", "etcd_cert", "etcd_launch", "etcd_auth"]
                .iter()
                .all(|tag| selected(&[tag])),
            leave: selected(&["etcd_leave", "etcd_clean", "etcd_purge"]),
            data: selected(&["etcd_data", "etcd_clean", "etcd_purge"]),
            snapshot: ["etcd_snapshot", "etcd_data", "etcd_clean", "etcd_purge"].iter().any(|tag| selected(&[tag])),
            member,
            launch,
            starts: member || launch,
            // A tag that a playbook gives to all of it selects those tasks too, and does not mean it.
            clean: run.iter().any(|tag| CLEAN.contains(&tag.as_str())),
        }
    }
}

/// Tags of the run that remove what is there, among others: what these are to do then is anybody's guess.
pub(crate) fn mixed(run: &[String]) -> Option<String> {
    let removes = |tag: &&String| CLEAN.contains(&tag.as_str());
    let tag = run.iter().find(removes)?;
    let other = run.iter().find(|tag| !removes(tag))?;
    Some(format!(
        "the tag {tag} removes what is there, and was given with {other}: give it alone; to remove what is there and make it anew: -e etcd_clean=true"
    ))
}

/// Tags that look mistyped, in words. Ansible itself selects nothing by them, and calls that a success. They are not
/// refused: a playbook may have a tag of its own that looks like one of ours.
pub(crate) fn mistyped<'a>(run: &'a [String], skip: &'a [String]) -> impl Iterator<Item = String> + 'a {
    let tags = run.iter().chain(skip).filter(|tag| tag.starts_with("etcd_") && !TAGS.contains(&tag.as_str()));
    tags.filter_map(|tag| {
        let near = nearest(tag, TAGS.iter().copied())?;
        Some(format!("there is no tag {tag}, did you mean {near}? As it stands it selects nothing"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;
    use test_case::test_case;

    #[test_case("all", "", "dirs conf env auth member launch"; "everything")]
    #[test_case("site", "", "dirs conf env auth"; "a tag of somebody else")]
    #[test_case("etcd_conf", "", "dirs conf env"; "configuration")]
    #[test_case("etcd_env", "", "env"; "environment alone")]
    #[test_case("etcd_cert", "", "dirs"; "certificates")]
    #[test_case("etcd_config,etcd_launch", "", "dirs conf env launch"; "with restart")]
    #[test_case("etcd_member", "", "dirs member"; "joining alone")]
    #[test_case("all", "etcd_launch", "dirs conf env auth"; "without starting")]
    #[test_case("etcd_config", "etcd_env", "dirs conf"; "without environment")]
    #[test_case("etcd_auth", "", "auth"; "nothing to write")]
    fn tags_select(run: &str, skip: &str, wanted: &str) {
        let list =
            |text: &str| text.split(',').filter(|tag| !tag.is_empty()).map(ToOwned::to_owned).collect::<Vec<_>>();
        let steps = Steps::of(&list(run), &list(skip));
        let named = [
            ("dirs", steps.dirs),
            ("conf", steps.conf),
            ("env", steps.env),
            ("auth", steps.auth),
            ("member", steps.member),
            ("launch", steps.launch),
        ];
        let selected: Vec<&str> = named.iter().filter(|(_, yes)| *yes).map(|(name, _)| *name).collect();
        assert_eq!(selected.join(" "), wanted);
    }

    #[test_case("etcd_lave", Some("etcd_leave"); "a slip")]
    #[test_case("etcd_leave", None; "a tag")]
    #[test_case("site", None; "somebody else's")]
    #[test_case("etcd_of_my_own", None; "like none of ours")]
    fn a_tag_that_selects_nothing_is_named(tag: &str, near: Option<&str>) {
        let found: Vec<String> = mistyped(&[tag.to_owned()], &[]).collect();
        assert_eq!(
            found,
            Vec::from_iter(near.map(|near| {
                format!("there is no tag {tag}, did you mean {near}? As it stands it selects nothing")
            }))
        );
    }

    #[test]
    fn the_tags_are_those_of_the_roles() {
        let roles = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../roles");
        let mut found = BTreeSet::new();
        for role in std::fs::read_dir(roles).unwrap() {
            for file in std::fs::read_dir(role.unwrap().path().join("tasks")).unwrap() {
                let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
                let lists = text.lines().filter_map(|line| line.trim().strip_prefix("tags: [")?.strip_suffix(']'));
                found.extend(lists.flat_map(|list| list.split(", ").map(ToOwned::to_owned).collect::<Vec<_>>()));
            }
        }
        found.retain(|tag| tag != "always" && tag != "never");
        assert_eq!(found, TAGS.iter().map(|tag| (*tag).to_owned()).collect());
    }
}
