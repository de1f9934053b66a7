//! Properties of the plan, against a store with etcd's rules.

use crate::model::{Credential, Current, Desired, Purge, ROOT, Step, User, UserWish, Wish, new_role};
use crate::plan::plan;
use crate::range::{Access, Range};
use proptest::prelude::*;
use secrecy::ExposeSecret;
use std::collections::{BTreeMap, BTreeSet};

const ROOT_PASSWORD: &str = "root's";

/// The rules of etcd's auth store, as far as steps meet them.
#[derive(Clone, Debug)]
struct Store {
    enabled: bool,
    /// Password, if any, and roles.
    users: BTreeMap<String, (Option<String>, BTreeSet<String>)>,
    roles: BTreeMap<String, Vec<(Range, Access)>>,
}

impl Store {
    fn observe(&self, desired: &Desired) -> Current {
        let users = self.users.iter().map(|(name, (password, roles))| {
            let wish = wish(desired, name);
            let credential = match (&wish, password) {
                _ if !self.enabled => Credential::Unknown,
                (Wish::Keep, _) => Credential::Unknown,
                (Wish::Password(wished), Some(password)) if wished.expose_secret() == password => Credential::Fits,
                (Wish::Password(_), Some(_)) => Credential::OtherPassword,
                (Wish::NoPassword, None) => Credential::Fits,
                (Wish::Password(_), None) | (Wish::NoPassword, Some(_)) => Credential::OtherKind,
            };
            (name.clone(), User { roles: roles.clone(), credential })
        });
        Current { enabled: self.enabled, users: users.collect(), roles: self.roles.clone() }
    }

    /// Takes the step as the real store would, or says why it refuses.
    fn take(&mut self, step: &Step, desired: &Desired) -> Result<(), String> {
        let refuse = |yes: bool, why: &str| if yes { Err(format!("{step}: {why}")) } else { Ok(()) };
        match step {
            Step::AddRole(role) => {
                refuse(self.roles.contains_key(role), "role exists")?;
                self.roles.insert(role.clone(), new_role(role));
            }
            Step::DeleteRole(role) => {
                refuse(self.enabled && role == ROOT, "invalid auth management")?;
                refuse(self.roles.remove(role).is_none(), "role not found")?;
                self.users.values_mut().for_each(|(_, roles)| {
                    roles.remove(role);
                });
            }
            Step::Grant { role, range, access } => {
                let permissions = self.roles.get_mut(role).ok_or("role not found")?;
                // etcd searches the first permission of the key and compares that one alone.
                let first = permissions.iter().position(|(other, _)| other.key >= range.key);
                match first.filter(|index| permissions[*index].0 == *range) {
                    Some(index) => permissions[index].1 = *access,
                    None => permissions.push((range.clone(), *access)),
                }
                permissions.sort_by(|a, b| a.0.key.cmp(&b.0.key));
            }
            Step::Revoke { role, range } => {
                let permissions = self.roles.get_mut(role).ok_or("role not found")?;
                let before = permissions.len();
                permissions.retain(|(other, _)| other != range);
                refuse(permissions.len() == before, "permission not granted")?;
            }
            Step::AddUser(name) => {
                refuse(self.users.contains_key(name), "user exists")?;
                let password = match wish(desired, name) {
                    Wish::Keep => return Err(format!("{step}: no password")),
                    Wish::NoPassword => None,
                    Wish::Password(password) => Some(password.expose_secret().to_owned()),
                };
                self.users.insert(name.clone(), (password, BTreeSet::new()));
            }
            Step::DeleteUser(name) => {
                refuse(self.enabled && name == ROOT, "invalid auth management")?;
                refuse(self.users.remove(name).is_none(), "user not found")?;
            }
            Step::RecreateUser { name, roles } => {
                self.take(&Step::DeleteUser(name.clone()), desired)?;
                self.take(&Step::AddUser(name.clone()), desired)?;
                for role in roles {
                    self.take(&Step::GrantRole { user: name.clone(), role: role.clone() }, desired)?;
                }
            }
            Step::SetPassword(name) => {
                let Wish::Password(wished) = wish(desired, name) else { return Err(format!("{step}: no password")) };
                // Silently does nothing for a user without password.
                if let Some(password) = &mut self.users.get_mut(name).ok_or("user not found")?.0 {
                    *password = wished.expose_secret().to_owned();
                }
            }
            Step::GrantRole { user, role } => {
                refuse(!self.roles.contains_key(role), "role not found")?;
                self.users.get_mut(user).ok_or("user not found")?.1.insert(role.clone());
            }
            Step::RevokeRole { user, role } => {
                refuse(self.enabled && user == ROOT && role == ROOT, "invalid auth management")?;
                let removed = self.users.get_mut(user).ok_or("user not found")?.1.remove(role);
                refuse(!removed, "role not granted")?;
            }
            Step::Enable => {
                let ready = self.users.get(ROOT).is_some_and(|(_, roles)| roles.contains(ROOT));
                refuse(!ready, "root user does not have root role")?;
                self.enabled = true;
            }
            Step::Disable => self.enabled = false,
            Step::Prove(name) => self.prove(name, desired)?,
        }
        Ok(())
    }

    fn prove(&mut self, name: &str, desired: &Desired) -> Result<(), String> {
        if !self.enabled {
            return Err("nothing can be proved while authentication is off".into());
        }
        match self.observe(desired).users[name].credential {
            Credential::Fits | Credential::Unknown => Ok(()),
            _ if name == ROOT => Err("root is locked out".into()),
            Credential::OtherPassword => self.take(&Step::SetPassword(name.into()), desired),
            Credential::OtherKind => {
                let roles = self.users[name].1.clone();
                self.take(&Step::RecreateUser { name: name.into(), roles }, desired)
            }
        }
    }

    /// Whether somebody who knows these passwords can still do everything.
    fn root_can_log_in(&self, known: &[&str]) -> bool {
        let root = self.users.get(ROOT);
        let knows = |password: &Option<String>| password.as_deref().is_some_and(|password| known.contains(&password));
        !self.enabled || root.is_some_and(|(password, roles)| knows(password) && roles.contains(ROOT))
    }
}

fn wish(desired: &Desired, name: &str) -> Wish {
    if name == ROOT {
        return desired.root_password.clone().map_or(Wish::Keep, Wish::Password);
    }
    desired.users.get(name).and_then(Option::as_ref).map_or(Wish::Keep, |user| user.wish.clone())
}

fn range() -> impl Strategy<Value = Range> {
    let ranges = [("a", None, false), ("a", None, true), ("a", Some("c"), false), ("b", None, false), ("", None, true)];
    proptest::sample::select(ranges.to_vec())
        .prop_map(|(key, end, prefix)| Range::of_option(key, end, prefix).expect("a valid range"))
}

fn access() -> impl Strategy<Value = Access> {
    proptest::sample::select(vec![Access::Read, Access::Write, Access::ReadWrite])
}

fn names(pool: &'static [&'static str]) -> impl Strategy<Value = BTreeSet<String>> {
    proptest::sample::subsequence(pool.to_vec(), 0..=pool.len())
        .prop_map(|names| names.into_iter().map(ToOwned::to_owned).collect())
}

const USERS: &[&str] = &["ann", "bob", "cid"];
const ROLES: &[&str] = &["r1", "r2", "r3"];

prop_compose! {
    fn store()(
        enabled in any::<bool>(),
        has_root in any::<bool>(),
        root_password in proptest::sample::select(vec![Some(ROOT_PASSWORD), Some("old"), None]),
        root_roles in names(ROLES),
        role_names in names(ROLES),
        permissions in proptest::collection::vec(proptest::collection::vec((range(), access()), 0..4), 3),
        users in proptest::collection::btree_map(
            proptest::sample::select(USERS.to_vec()), (proptest::option::of("[pq]"), names(ROLES)), 0..=3),
    ) -> Store {
        let mut roles: BTreeMap<String, Vec<(Range, Access)>> =
            role_names.iter().cloned().zip(permissions).collect();
        roles.values_mut().for_each(|permissions| permissions.sort_by(|a, b| a.0.key.cmp(&b.0.key)));
        let existing = |wanted: BTreeSet<String>| wanted.intersection(&role_names).cloned().collect::<BTreeSet<_>>();
        let mut users: BTreeMap<String, (Option<String>, BTreeSet<String>)> = users
            .into_iter()
            .map(|(name, (password, roles))| (name.to_owned(), (password, existing(roles))))
            .collect();
        if enabled || has_root {
            let mut of_root = existing(root_roles);
            if enabled {
                roles.insert(ROOT.into(), new_role(ROOT));
                of_root.insert(ROOT.into());
            }
            // Who is without a password can log in to nothing here.
            let password = if enabled { root_password.or(Some("old")) } else { root_password };
            users.insert(ROOT.into(), (password.map(ToOwned::to_owned), of_root));
        }
        Store { enabled, users, roles }
    }
}

fn user_wish() -> impl Strategy<Value = Option<UserWish>> {
    let wish = prop_oneof![
        Just(Wish::Keep),
        Just(Wish::NoPassword),
        "[pq]".prop_map(|password| Wish::Password(password.into())),
    ];
    let roles = proptest::option::of(names(&["r1", "r2", "r3", "root"]));
    proptest::option::weighted(0.8, (wish, roles).prop_map(|(wish, roles)| UserWish { wish, roles }))
}

prop_compose! {
    fn desired()(
        enabled in any::<bool>(),
        users in proptest::collection::btree_map(proptest::sample::select(USERS.to_vec()), user_wish(), 0..=3),
        roles in proptest::collection::btree_map(
            proptest::sample::select(ROLES.to_vec()),
            proptest::option::weighted(0.8, proptest::collection::btree_map(range(), access(), 0..4)), 0..=3),
        purge in any::<(bool, bool, bool, bool)>(),
    ) -> Desired {
        Desired {
            enabled,
            root_password: Some(ROOT_PASSWORD.to_owned().into()),
            admin: None,
            users: users.into_iter().map(|(name, wish)| (name.to_owned(), wish)).collect(),
            roles: roles.into_iter().map(|(name, wish)| (name.to_owned(), wish)).collect(),
            purge: Purge { users: purge.0, roles: purge.1, grants: purge.2, permissions: purge.3 },
        }
    }
}

/// Whether the store is as wished for, in words when it is not.
fn unfulfilled(store: &Store, desired: &Desired) -> Option<String> {
    let current = store.observe(desired);
    if current.enabled != desired.enabled {
        return Some("the switch".into());
    }
    for (name, wish) in &desired.users {
        let (user, wish) = match (current.users.get(name), wish) {
            (None, None) => continue,
            (Some(user), Some(wish)) => (user, wish),
            _ => return Some(format!("presence of user {name}")),
        };
        let credential_fits = matches!(user.credential, Credential::Fits | Credential::Unknown);
        let roles_fit = wish.roles.as_ref().is_none_or(|wished| {
            if desired.purge.grants { user.roles == *wished } else { user.roles.is_superset(wished) }
        });
        if !credential_fits || !roles_fit {
            return Some(format!("user {name}: {user:?}, wished for {wish:?}"));
        }
    }
    for (name, wish) in &desired.roles {
        let (present, wished) = match (current.roles.get(name), wish) {
            (None, None) => continue,
            (Some(present), Some(wished)) => (present, wished),
            _ => return Some(format!("presence of role {name}")),
        };
        let all = wished.iter().all(|(range, access)| {
            present.iter().filter(|(other, _)| other == range).map(|(_, access)| access).eq([access])
        });
        let only = present.iter().all(|(range, _)| wished.contains_key(range));
        if !all || (desired.purge.permissions && !only) {
            return Some(format!("role {name}: {present:?}, wished for {wished:?}"));
        }
    }
    let extra_users = current.users.keys().any(|name| name != ROOT && !desired.users.contains_key(name));
    (desired.purge.users && extra_users).then(|| "purged users".to_owned())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// The steps are all accepted, root can always log in, the end is what was wished for and what was predicted,
    /// and then there is nothing left to do.
    #[test]
    fn a_plan_leads_to_the_wishes_and_never_locks_out(store in store(), desired in desired()) {
        let mut store = store;
        let before = store.observe(&desired);
        let Ok(steps) = plan(&before, &desired) else { return Ok(()) };
        for step in &steps {
            if let Err(refusal) = store.take(step, &desired) {
                prop_assert!(false, "{}", refusal);
            }
            prop_assert!(store.root_can_log_in(&[ROOT_PASSWORD, "old"]), "locked out after: {step}");
        }
        prop_assert_eq!(unfulfilled(&store, &desired), None);
        let predicted = steps.iter().fold(before, Current::after);
        prop_assert_eq!(predicted.to_value(), store.observe(&desired).to_value());
        prop_assert_eq!(plan(&store.observe(&desired), &desired).unwrap(), vec![]);
        if desired.enabled {
            prop_assert!(store.root_can_log_in(&[ROOT_PASSWORD]));
        }
    }

    /// A run that is cut off anywhere is completed by the next one.
    #[test]
    fn a_run_cut_short_is_completed_by_the_next(store in store(), desired in desired(), cut in 0usize..12) {
        let mut store = store;
        let Ok(steps) = plan(&store.observe(&desired), &desired) else { return Ok(()) };
        for step in steps.iter().take(cut) {
            prop_assert!(store.take(step, &desired).is_ok());
        }
        let rest = plan(&store.observe(&desired), &desired);
        prop_assert!(rest.is_ok(), "{rest:?}");
        for step in rest.unwrap() {
            prop_assert!(store.take(&step, &desired).is_ok(), "{step}");
        }
        prop_assert_eq!(unfulfilled(&store, &desired), None);
    }

    /// Without purging, what was not named stays as it was.
    #[test]
    fn what_is_not_named_stays(store in store(), desired in desired()) {
        let desired = Desired { purge: Purge::default(), ..desired };
        let before = store.observe(&desired);
        let Ok(steps) = plan(&before, &desired) else { return Ok(()) };
        let after = steps.iter().fold(before.clone(), Current::after);
        for (name, user) in before.users.iter().filter(|(name, _)| !desired.users.contains_key(*name)) {
            prop_assert!(after.users.contains_key(name));
            let kept = user.roles.iter().filter(|role| desired.roles.get(*role).is_none_or(Option::is_some));
            prop_assert!(kept.into_iter().all(|role| after.users[name].roles.contains(role)));
        }
        for (name, permissions) in before.roles.iter().filter(|(name, _)| !desired.roles.contains_key(*name)) {
            prop_assert_eq!(&after.roles[name], permissions);
        }
    }
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let user = |wish, roles: &[&str]| {
        Some(UserWish { wish, roles: Some(roles.iter().map(|role| (*role).to_owned()).collect()) })
    };
    let current = Current { enabled: false, users: BTreeMap::new(), roles: BTreeMap::new() };
    let desired = Desired {
        enabled: true,
        admin: Some("cid".into()),
        users: BTreeMap::from([
            ("ann".into(), user(Wish::Keep, &["r1"])),
            ("bob".into(), user(Wish::NoPassword, &["r2", "r3", "root"])),
            ("cid".into(), None),
        ]),
        roles: BTreeMap::from([("r2".into(), Some(BTreeMap::new())), ("r3".into(), None)]),
        ..Desired::default()
    };
    let problems = plan(&current, &desired).unwrap_err();
    insta::assert_snapshot!(problems.join("\n"), @r"
    root_password is required to enable authentication
    user ann does not exist yet: give password, or no_password
    user ann is to have the role r1, which does not exist: add it to roles
    user bob is to have the role r3, which is to be absent
    user cid is the one logged in and cannot be deleted
    ");
}

#[test]
fn enabling_sets_root_up_first_and_switches_last() {
    let current = Current { enabled: false, users: BTreeMap::new(), roles: BTreeMap::new() };
    let desired = Desired {
        enabled: true,
        root_password: Some(ROOT_PASSWORD.to_owned().into()),
        users: BTreeMap::from([(
            "ann".into(),
            Some(UserWish { wish: Wish::Password("p".to_owned().into()), roles: Some(["r1".to_owned()].into()) }),
        )]),
        roles: BTreeMap::from([("r1".into(), Some(BTreeMap::from([(Range::prefix(b"/a/"), Access::ReadWrite)])))]),
        ..Desired::default()
    };
    let steps: Vec<String> = plan(&current, &desired).unwrap().iter().map(Step::to_string).collect();
    insta::assert_snapshot!(steps.join("\n"), @r"
    add role r1
    let role r1 readwrite /a/*
    add role root
    add user root
    give root the role root
    add user ann
    give ann the role r1
    enable authentication
    check the login of root
    ");
}
