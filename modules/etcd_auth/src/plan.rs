use crate::model::{Credential, Current, Desired, ROOT, Step, UserWish, Wish};
use crate::range::{Access, Range};
use ansible_protocol::order;
use std::collections::{BTreeMap, BTreeSet};

/// The steps that lead from what is to what is wished for, in an order in which root can always log in: first what
/// adds, with root's user, role and grant among it, then what takes away, and the switch itself last.
///
/// # Errors
///
/// Returns everything that is wrong with the wishes, given this cluster.
pub(crate) fn plan(current: &Current, desired: &Desired) -> Result<Vec<Step>, Vec<String>> {
    let problems = problems(current, desired);
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut planner = Planner { desired, before: current, state: current.clone(), steps: Vec::new() };
    planner.add_roles();
    planner.keep_root();
    planner.add_users();
    planner.take_away();
    planner.switch();
    Ok(planner.steps)
}

fn problems(current: &Current, desired: &Desired) -> Vec<String> {
    let mut problems = Vec::new();
    let root = current.users.get(ROOT);
    if desired.enabled && !current.enabled && desired.root_password.is_none() {
        problems.push("root_password is required to enable authentication".to_owned());
    }
    if desired.enabled && current.enabled && root.is_some_and(|root| root.credential == Credential::OtherKind) {
        let msg = "root has no password and logs in by certificate only, which etcd changes only while authentication \
                   is off: leave root_password out, or disable authentication first";
        problems.push(msg.to_owned());
    }
    for (name, wish) in &desired.users {
        match wish {
            None if desired.admin.as_ref() == Some(name) => {
                problems.push(format!("user {name} is the one logged in and cannot be deleted"));
            }
            None => {}
            Some(wish) => {
                if matches!(wish.wish, Wish::Keep) && !current.users.contains_key(name) {
                    problems.push(format!("user {name} does not exist yet: give password, or no_password"));
                }
                for role in wish.roles.iter().flatten() {
                    problems.extend(role_problem(current, desired, name, role));
                }
            }
        }
    }
    problems
}

fn role_problem(current: &Current, desired: &Desired, user: &str, role: &str) -> Option<String> {
    match desired.roles.get(role) {
        Some(Some(_)) => None,
        Some(None) => Some(format!("user {user} is to have the role {role}, which is to be absent")),
        None if role == ROOT || current.roles.contains_key(role) => None,
        None => Some(format!("user {user} is to have the role {role}, which does not exist: add it to roles")),
    }
}

struct Planner<'a> {
    desired: &'a Desired,
    before: &'a Current,
    state: Current,
    steps: Vec<Step>,
}

impl Planner<'_> {
    fn push(&mut self, step: Step) {
        self.state = std::mem::replace(&mut self.state, self.before.clone()).after(&step);
        self.steps.push(step);
    }

    fn turning_on(&self) -> bool {
        self.desired.enabled && !self.before.enabled
    }

    fn ensure_role(&mut self, name: &str) {
        if !self.state.roles.contains_key(name) {
            self.push(Step::AddRole(name.to_owned()));
        }
    }

    fn add_roles(&mut self) {
        for (name, permissions) in &self.desired.roles {
            let Some(permissions) = permissions else { continue };
            self.ensure_role(name);
            for (range, access) in permissions {
                self.permit(name, range, *access);
            }
        }
        let users = self.desired.users.values().flatten();
        if users.flat_map(|user| user.roles.iter().flatten()).any(|role| role == ROOT) {
            self.ensure_role(ROOT);
        }
    }

    /// etcd replaces a permission in place only when it is the first one of its key.
    fn permit(&mut self, role: &str, range: &Range, access: Access) {
        let present = &self.state.roles[role];
        let same_range: Vec<Access> =
            present.iter().filter(|(other, _)| other == range).map(|(_, access)| *access).collect();
        if same_range == [access] {
            return;
        }
        let same_key = present.iter().filter(|(other, _)| other.key == range.key).count();
        if !same_range.is_empty() && same_key > 1 {
            self.push(Step::Revoke { role: role.to_owned(), range: range.clone() });
        }
        self.push(Step::Grant { role: role.to_owned(), range: range.clone(), access });
    }

    /// Root's user, role and grant, before authentication can go on; its password, while it is on.
    fn keep_root(&mut self) {
        if self.turning_on() {
            self.ensure_role(ROOT);
            match self.state.users.get(ROOT).map(|user| user.roles.clone()) {
                // Whether it has a password at all cannot be told now; a new user has the one we know.
                Some(mut roles) => {
                    roles.insert(ROOT.to_owned());
                    self.push(Step::RecreateUser { name: ROOT.to_owned(), roles });
                }
                None => self.push(Step::AddUser(ROOT.to_owned())),
            }
            self.give(ROOT, ROOT);
        } else if self.desired.enabled
            && self.state.users.get(ROOT).is_some_and(|root| root.credential == Credential::OtherPassword)
        {
            self.push(Step::SetPassword(ROOT.to_owned()));
            self.push(Step::Prove(ROOT.to_owned()));
        }
    }

    fn give(&mut self, user: &str, role: &str) {
        if self.state.users.get(user).is_some_and(|user| !user.roles.contains(role)) {
            self.push(Step::GrantRole { user: user.to_owned(), role: role.to_owned() });
        }
    }

    fn add_users(&mut self) {
        for (name, wish) in &self.desired.users {
            let Some(wish) = wish else { continue };
            self.log_in_as_wished(name, wish);
            for role in wish.roles.iter().flatten() {
                self.give(name, role);
            }
        }
    }

    fn log_in_as_wished(&mut self, name: &str, wish: &UserWish) {
        let name = name.to_owned();
        let Some(user) = self.state.users.get(&name) else {
            self.push(Step::AddUser(name));
            return;
        };
        match (user.credential, &wish.wish) {
            (_, Wish::Keep) | (Credential::Fits, _) | (Credential::Unknown, Wish::NoPassword) => {}
            (Credential::OtherPassword, _) => self.push(Step::SetPassword(name)),
            (Credential::OtherKind, _) => {
                let roles = user.roles.clone();
                self.push(Step::RecreateUser { name, roles });
            }
            // Only a cluster that asks for passwords tells whether one is right. On the way there it is simply set.
            (Credential::Unknown, Wish::Password(_)) if self.turning_on() => self.push(Step::SetPassword(name)),
            (Credential::Unknown, Wish::Password(_)) => {}
        }
    }

    fn take_away(&mut self) {
        let (purge, desired) = (self.desired.purge, self.desired);
        for (name, user) in self.state.users.clone() {
            let step = match desired.users.get(&name) {
                Some(Some(wish)) if purge.grants => {
                    self.take_grants(&name, &user.roles, wish);
                    continue;
                }
                Some(Some(_)) => continue,
                Some(None) => Step::DeleteUser(name),
                None if purge.users && name != ROOT && desired.admin.as_ref() != Some(&name) => Step::DeleteUser(name),
                None => continue,
            };
            self.push(step);
        }
        let needed = order::set(desired.users.values().flatten().flat_map(|user| user.roles.iter().flatten()));
        for (name, permissions) in self.state.roles.clone() {
            match desired.roles.get(&name) {
                Some(Some(wished)) if purge.permissions => self.take_permissions(&name, &permissions, wished),
                Some(Some(_)) => {}
                Some(None) => self.push(Step::DeleteRole(name)),
                None if purge.roles && name != ROOT && !needed.contains(&name) => self.push(Step::DeleteRole(name)),
                None => {}
            }
        }
    }

    fn take_grants(&mut self, user: &str, present: &BTreeSet<String>, wish: &UserWish) {
        let Some(wished) = &wish.roles else { return };
        for role in present.difference(wished) {
            self.push(Step::RevokeRole { user: user.to_owned(), role: role.clone() });
        }
    }

    fn take_permissions(&mut self, role: &str, present: &[(Range, Access)], wished: &BTreeMap<Range, Access>) {
        let present = order::set(present.iter().map(|(range, _)| range));
        for range in present.into_iter().filter(|range| !wished.contains_key(range)) {
            self.push(Step::Revoke { role: role.to_owned(), range: range.clone() });
        }
    }

    fn switch(&mut self) {
        if self.turning_on() {
            self.push(Step::Enable);
            self.push(Step::Prove(ROOT.to_owned()));
            for (name, wish) in &self.desired.users {
                let asks = wish.as_ref().is_some_and(|wish| !matches!(wish.wish, Wish::Keep));
                let was_there = self.before.users.contains_key(name);
                if asks && was_there {
                    self.push(Step::Prove(name.clone()));
                }
            }
        } else if self.before.enabled && !self.desired.enabled {
            self.push(Step::Disable);
        }
    }
}
