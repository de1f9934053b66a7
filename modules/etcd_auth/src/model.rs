use crate::range::{Access, Range};
use ansible_protocol::order;
use secrecy::SecretString;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The user, and the role, that etcd lets do everything.
pub(crate) const ROOT: &str = "root";

/// What is known of a user's way to log in, against the one wished for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credential {
    /// It cannot be told, as while authentication is off, or nobody asked.
    Unknown,
    /// It is as wished.
    Fits,
    /// The password is another one.
    OtherPassword,
    /// It has a password and should have none, or the reverse; etcd changes that only for a new user.
    OtherKind,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) roles: BTreeSet<String>,
    pub(crate) credential: Credential,
}

/// What a cluster's authentication is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Current {
    pub(crate) enabled: bool,
    pub(crate) users: BTreeMap<String, User>,
    /// Permissions in etcd's order; it may hold several for one range.
    pub(crate) roles: BTreeMap<String, Vec<(Range, Access)>>,
}

/// How a user is to log in.
#[derive(Clone, Debug)]
pub(crate) enum Wish {
    /// As it does; a user that is not there cannot be made.
    Keep,
    /// With this password.
    Password(SecretString),
    /// By the common name of a certificate alone.
    NoPassword,
}

/// A user as wished for; none when it is to go.
#[derive(Clone, Debug)]
pub(crate) struct UserWish {
    pub(crate) wish: Wish,
    /// The roles it is to have; none when they do not matter.
    pub(crate) roles: Option<BTreeSet<String>>,
}

/// What a cluster's authentication is to be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Desired {
    pub(crate) enabled: bool,
    pub(crate) root_password: Option<SecretString>,
    /// The user that does it all, where that is not root.
    pub(crate) admin: Option<String>,
    pub(crate) users: BTreeMap<String, Option<UserWish>>,
    /// Permissions by role; none for a role that is to go.
    pub(crate) roles: BTreeMap<String, Option<BTreeMap<Range, Access>>>,
    pub(crate) purge: Purge,
}

/// What goes when it is not wished for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Purge {
    pub(crate) users: bool,
    pub(crate) roles: bool,
    pub(crate) grants: bool,
    pub(crate) permissions: bool,
}

/// One change. Holds no password: applying looks it up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    AddRole(String),
    DeleteRole(String),
    Grant {
        role: String,
        range: Range,
        access: Access,
    },
    Revoke {
        role: String,
        range: Range,
    },
    AddUser(String),
    DeleteUser(String),
    /// Takes the user away and makes it again, with these roles.
    RecreateUser {
        name: String,
        roles: BTreeSet<String>,
    },
    SetPassword(String),
    GrantRole {
        user: String,
        role: String,
    },
    RevokeRole {
        user: String,
        role: String,
    },
    Enable,
    Disable,
    /// Proves that the user can log in as wished; makes it so when it only now turns out not to be.
    Prove(String),
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddRole(role) => write!(out, "add role {role}"),
            Self::DeleteRole(role) => write!(out, "delete role {role}"),
            Self::Grant { role, range, access } => write!(out, "let role {role} {} {range}", access.name()),
            Self::Revoke { role, range } => write!(out, "take {range} from role {role}"),
            Self::AddUser(user) => write!(out, "add user {user}"),
            Self::DeleteUser(user) => write!(out, "delete user {user}"),
            Self::RecreateUser { name, .. } => write!(out, "make user {name} anew"),
            Self::SetPassword(user) => write!(out, "set the password of {user}"),
            Self::GrantRole { user, role } => write!(out, "give {user} the role {role}"),
            Self::RevokeRole { user, role } => write!(out, "take the role {role} from {user}"),
            Self::Enable => write!(out, "enable authentication"),
            Self::Disable => write!(out, "disable authentication"),
            Self::Prove(user) => write!(out, "check the login of {user}"),
        }
    }
}

impl Step {
    /// Whether it changes the cluster by itself.
    pub(crate) fn changes(&self) -> bool {
        !matches!(self, Self::Prove(_))
    }
}

impl Current {
    /// What the step makes of it.
    pub(crate) fn after(mut self, step: &Step) -> Self {
        let user = |roles: BTreeSet<String>| User { roles, credential: Credential::Fits };
        match step {
            Step::AddRole(role) => {
                self.roles.insert(role.clone(), new_role(role));
            }
            Step::DeleteRole(role) => {
                self.roles.remove(role);
                self.users.values_mut().for_each(|user| {
                    user.roles.remove(role);
                });
            }
            Step::Grant { role, range, access } => grant(self.roles.entry(role.clone()).or_default(), range, *access),
            Step::Revoke { role, range } => {
                self.roles.entry(role.clone()).or_default().retain(|(other, _)| other != range);
            }
            Step::AddUser(name) => {
                self.users.insert(name.clone(), user(BTreeSet::new()));
            }
            Step::DeleteUser(name) => {
                self.users.remove(name);
            }
            Step::RecreateUser { name, roles } => {
                self.users.insert(name.clone(), user(roles.clone()));
            }
            Step::SetPassword(name) | Step::Prove(name) => {
                self.users.entry(name.clone()).and_modify(|user| user.credential = Credential::Fits);
            }
            Step::GrantRole { user, role } => {
                self.users.entry(user.clone()).and_modify(|user| {
                    user.roles.insert(role.clone());
                });
            }
            Step::RevokeRole { user, role } => {
                self.users.entry(user.clone()).and_modify(|user| {
                    user.roles.remove(role);
                });
            }
            Step::Enable => self.enabled = true,
            Step::Disable => self.enabled = false,
        }
        self
    }

    /// The state as results and differences show it.
    pub(crate) fn to_value(&self) -> Value {
        let users = self.users.iter().map(|(name, user)| json!({ "name": name, "roles": user.roles }));
        let roles = self.roles.iter().map(|(name, permissions)| {
            let sorted = order::set(permissions);
            let permissions: Vec<Value> = sorted.into_iter().map(|(range, access)| range.to_value(*access)).collect();
            json!({ "name": name, "permissions": permissions })
        });
        json!({ "enabled": self.enabled, "users": users.collect::<Vec<_>>(), "roles": roles.collect::<Vec<_>>() })
    }
}

/// The permissions of a role that was just made.
pub(crate) fn new_role(name: &str) -> Vec<(Range, Access)> {
    // etcd stores none for root's, and lets it do everything.
    if name == ROOT { vec![(Range::prefix(b""), Access::ReadWrite)] } else { Vec::new() }
}

/// Grants as etcd's auth store does: it looks only at the first permission of that key, so another of the same key
/// may come to stand beside one for the same range.
fn grant(permissions: &mut Vec<(Range, Access)>, range: &Range, access: Access) {
    let first = permissions.iter().position(|(other, _)| other.key >= range.key);
    match first.map(|index| &mut permissions[index]) {
        Some((other, present)) if other == range => *present = access,
        _ => permissions.push((range.clone(), access)),
    }
    order::sort_by(permissions, |(a, _), (b, _)| a.key.cmp(&b.key));
}
