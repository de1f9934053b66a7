use crate::model::{Desired, Purge, ROOT, UserWish, Wish};
use crate::range::{Access, Range};
use ansible_protocol::{Failure, order};
use etcd_ops::connection::Connection;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The options.
#[derive(Debug, Deserialize)]
pub struct Params {
    #[serde(flatten)]
    pub(crate) connection: Connection,
    enabled: bool,
    root_password: Option<SecretString>,
    previous_passwords: Vec<SecretString>,
    users: Vec<User>,
    roles: Vec<Role>,
    purge_users: bool,
    purge_roles: bool,
    purge_grants: bool,
    purge_permissions: bool,
    pub(crate) predicted_new: bool,
}

#[derive(Debug, Deserialize)]
struct User {
    name: String,
    password: Option<SecretString>,
    no_password: bool,
    roles: Option<Vec<String>>,
    state: State,
}

#[derive(Debug, Deserialize)]
struct Role {
    name: String,
    permissions: Vec<Permission>,
    state: State,
}

#[derive(Debug, Deserialize)]
struct Permission {
    permission: Access,
    key: String,
    range_end: Option<String>,
    prefix: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Present,
    Absent,
}

impl Params {
    /// The user other than root that does it all, if there is one.
    pub(crate) fn admin(&self) -> Option<&str> {
        self.connection.login_user.as_deref().filter(|user| *user != ROOT)
    }

    /// The password root is to have.
    pub(crate) fn root_password(&self) -> Option<&SecretString> {
        let login = self.connection.login_password.as_ref().filter(|_| self.admin().is_none());
        self.root_password.as_ref().or(login)
    }

    /// The passwords root may have until now, the likeliest first.
    pub(crate) fn previous_passwords(&self) -> Vec<SecretString> {
        let login = self.connection.login_password.iter().filter(|_| self.admin().is_none());
        let wanted = self.root_password().map(ExposeSecret::expose_secret);
        let others = login.chain(&self.previous_passwords);
        others.filter(|password| Some(password.expose_secret()) != wanted).cloned().collect()
    }

    /// The options as wishes.
    ///
    /// # Errors
    ///
    /// Kind `invalid_option`, with everything that is wrong whatever the cluster is like.
    pub(crate) fn desired(&self) -> Result<Desired, Failure> {
        let mut problems = Vec::new();
        if self.root_password().is_some_and(|password| password.expose_secret().is_empty()) {
            problems.push("root_password is empty".to_owned());
        }
        let mut desired = Desired {
            enabled: self.enabled,
            root_password: self.root_password().cloned(),
            admin: self.admin().map(ToOwned::to_owned),
            users: BTreeMap::new(),
            roles: BTreeMap::new(),
            purge: Purge {
                users: self.purge_users,
                roles: self.purge_roles,
                grants: self.purge_grants,
                permissions: self.purge_permissions,
            },
        };
        for (index, user) in self.users.iter().enumerate() {
            let wish = user.wish(&format!("users[{index}]"), &mut problems);
            if desired.users.insert(user.name.clone(), wish).is_some() {
                problems.push(format!("users names {} twice", user.name));
            }
        }
        for (index, role) in self.roles.iter().enumerate() {
            let wish = role.wish(&format!("roles[{index}]"), &mut problems);
            if desired.roles.insert(role.name.clone(), wish).is_some() {
                problems.push(format!("roles names {} twice", role.name));
            }
        }
        if problems.is_empty() { Ok(desired) } else { Err(invalid(&problems)) }
    }
}

/// All problems in one failure.
pub(crate) fn invalid(problems: &[String]) -> Failure {
    Failure::invalid_option(format!("invalid options of etcd_auth: {}; nothing was changed", problems.join("; ")))
}

impl User {
    fn wish(&self, path: &str, problems: &mut Vec<String>) -> Option<UserWish> {
        if self.name.is_empty() {
            problems.push(format!("{path}.name is empty"));
        }
        if self.name == ROOT {
            problems.push(format!("{path} is root: it is always there; give its password as root_password"));
        }
        if self.state == State::Absent {
            return None;
        }
        let wish = match (&self.password, self.no_password) {
            (Some(_), true) => {
                problems.push(format!("{path} ({}) has both password and no_password", self.name));
                Wish::NoPassword
            }
            (Some(password), false) => {
                if password.expose_secret().is_empty() {
                    let msg = "has an empty password: give one, or set no_password for a user known by its certificate";
                    problems.push(format!("{path} ({}) {msg}", self.name));
                }
                Wish::Password(password.clone())
            }
            (None, true) => Wish::NoPassword,
            (None, false) => Wish::Keep,
        };
        Some(UserWish { wish, roles: self.roles.clone().map(order::set) })
    }
}

impl Role {
    fn wish(&self, path: &str, problems: &mut Vec<String>) -> Option<BTreeMap<Range, Access>> {
        if self.name.is_empty() {
            problems.push(format!("{path}.name is empty"));
        }
        if self.name == ROOT {
            problems
                .push(format!("{path} is root: it may do everything, and is there as long as authentication is on"));
        }
        if self.state == State::Absent {
            return None;
        }
        let mut permissions = BTreeMap::new();
        for (index, permission) in self.permissions.iter().enumerate() {
            let path = format!("{path}.permissions[{index}]");
            let end = permission.range_end.as_deref();
            match Range::of_option(&permission.key, end, permission.prefix) {
                Err(problem) => problems.push(format!("{path}: {problem}")),
                Ok(range) => {
                    let text = range.to_string();
                    let earlier = permissions.insert(range, permission.permission);
                    if earlier.is_some_and(|earlier| earlier != permission.permission) {
                        problems.push(format!("{path}: {text} is listed twice, with different permissions"));
                    }
                }
            }
        }
        Some(permissions)
    }
}
