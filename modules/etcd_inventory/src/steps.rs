//! Which parts of the role the run's tags select, so that one task can do several of them in one round trip.

use serde::Serialize;

/// What the run is to do.
#[derive(Clone, Copy, Debug, Serialize, PartialEq, Eq)]
pub(crate) struct Steps {
    /// Write directories.
    pub(crate) dirs: bool,
    /// Write configuration, unit and password file.
    pub(crate) conf: bool,
    /// Write the environment of etcdctl.
    pub(crate) env: bool,
    /// Start or restart members.
    pub(crate) launch: bool,
}

impl Steps {
    /// What `--tags` and `--skip-tags` select. Ansible says `all` where no tag is named.
    pub(crate) fn of(run: &[String], skip: &[String]) -> Self {
        let selected = |tags: &[&str]| {
            let named = |list: &[String], tag: &str| list.iter().any(|name| name == tag);
            let wanted = |tag: &str| (named(run, tag) || named(run, "all")) && !named(skip, tag);
            tags.iter().any(|tag| wanted(tag)) && !tags.first().is_some_and(|own| named(skip, own))
        };
        Self {
            dirs: selected(&["etcd_dir", "etcd_config", "etcd_conf", "etcd_cert"]),
            conf: selected(&["etcd_conf", "etcd_config"]),
            env: selected(&["etcd_env", "etcd_config", "etcd_conf"]),
            launch: selected(&["etcd_launch"]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("all", "", "dirs conf env launch"; "everything")]
    #[test_case("etcd_conf", "", "dirs conf env"; "configuration")]
    #[test_case("etcd_env", "", "env"; "environment alone")]
    #[test_case("etcd_cert", "", "dirs"; "certificates")]
    #[test_case("etcd_config,etcd_launch", "", "dirs conf env launch"; "with restart")]
    #[test_case("all", "etcd_launch", "dirs conf env"; "without starting")]
    #[test_case("etcd_config", "etcd_env", "dirs conf"; "without environment")]
    #[test_case("etcd_auth", "", ""; "nothing to write")]
    fn tags_select(run: &str, skip: &str, wanted: &str) {
        let list =
            |text: &str| text.split(',').filter(|tag| !tag.is_empty()).map(ToOwned::to_owned).collect::<Vec<_>>();
        let steps = Steps::of(&list(run), &list(skip));
        let named = [("dirs", steps.dirs), ("conf", steps.conf), ("env", steps.env), ("launch", steps.launch)];
        let selected: Vec<&str> = named.iter().filter(|(_, yes)| *yes).map(|(name, _)| *name).collect();
        assert_eq!(selected.join(" "), wanted);
    }
}
