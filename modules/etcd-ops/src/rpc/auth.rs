use super::calls;

calls! {
    Enable: "/etcdserverpb.Auth/AuthEnable" -> ();
    Disable: "/etcdserverpb.Auth/AuthDisable" -> ();
    Status: "/etcdserverpb.Auth/AuthStatus" -> Enabled;
    Authenticate: "/etcdserverpb.Auth/Authenticate" -> Token;
    UserList: "/etcdserverpb.Auth/UserList" -> Names;
    UserGet: "/etcdserverpb.Auth/UserGet" -> Names;
    UserAdd: "/etcdserverpb.Auth/UserAdd" -> ();
    UserDelete: "/etcdserverpb.Auth/UserDelete" -> ();
    UserChangePassword: "/etcdserverpb.Auth/UserChangePassword" -> ();
    UserGrantRole: "/etcdserverpb.Auth/UserGrantRole" -> ();
    UserRevokeRole: "/etcdserverpb.Auth/UserRevokeRole" -> ();
    RoleList: "/etcdserverpb.Auth/RoleList" -> Names;
    RoleGet: "/etcdserverpb.Auth/RoleGet" -> Permissions;
    RoleAdd: "/etcdserverpb.Auth/RoleAdd" -> ();
    RoleDelete: "/etcdserverpb.Auth/RoleDelete" -> ();
    RoleGrantPermission: "/etcdserverpb.Auth/RoleGrantPermission" -> ();
    RoleRevokePermission: "/etcdserverpb.Auth/RoleRevokePermission" -> ();
}

/// Has everybody log in from now on.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Enable {}

/// Lets everybody in from now on.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Disable {}

/// Asks whether users must log in.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Status {}

/// Whether users must log in.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Enabled {
    /// Whether they must.
    #[prost(bool, tag = "2")]
    pub enabled: bool,
}

/// Logs in.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Authenticate {
    /// The user.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The user's password.
    #[prost(string, tag = "2")]
    pub password: String,
}

/// What further calls carry.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Token {
    /// The token.
    #[prost(string, tag = "2")]
    pub token: String,
}

/// Asks for all users.
#[derive(Clone, PartialEq, prost::Message)]
pub struct UserList {}

/// Asks for a user's roles.
#[derive(Clone, PartialEq, prost::Message)]
pub struct UserGet {
    /// The user.
    #[prost(string, tag = "1")]
    pub name: String,
}

/// All users, all roles, or a user's roles.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Names {
    /// Their names.
    #[prost(string, repeated, tag = "2")]
    pub names: Vec<String>,
}

/// Adds a user.
#[derive(Clone, PartialEq, prost::Message)]
pub struct UserAdd {
    /// The user.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The password; empty where there is none.
    #[prost(string, tag = "2")]
    pub password: String,
    /// How the user logs in.
    #[prost(message, optional, tag = "3")]
    pub options: Option<UserOptions>,
}

/// How a user logs in.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct UserOptions {
    /// Only by the common name of a certificate.
    #[prost(bool, tag = "1")]
    pub no_password: bool,
}

/// Deletes a user.
#[derive(Clone, PartialEq, prost::Message)]
pub struct UserDelete {
    /// The user.
    #[prost(string, tag = "1")]
    pub name: String,
}

/// Sets a user's password.
#[derive(Clone, PartialEq, prost::Message)]
pub struct UserChangePassword {
    /// The user.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The new password.
    #[prost(string, tag = "2")]
    pub password: String,
}

/// Gives a user a role.
#[derive(Clone, PartialEq, prost::Message)]
pub struct UserGrantRole {
    /// The user.
    #[prost(string, tag = "1")]
    pub user: String,
    /// The role.
    #[prost(string, tag = "2")]
    pub role: String,
}

/// Takes a role from a user.
#[derive(Clone, PartialEq, prost::Message)]
pub struct UserRevokeRole {
    /// The user.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The role.
    #[prost(string, tag = "2")]
    pub role: String,
}

/// Asks for all roles.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RoleList {}

/// Asks for a role's permissions.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RoleGet {
    /// The role.
    #[prost(string, tag = "1")]
    pub role: String,
}

/// A role's permissions.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Permissions {
    /// All of them.
    #[prost(message, repeated, tag = "2")]
    pub permissions: Vec<Permission>,
}

/// What a role may do.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Permission {
    /// Reading, writing or both.
    #[prost(enumeration = "PermissionType", tag = "1")]
    pub permission_type: i32,
    /// The first key.
    #[prost(bytes = "vec", tag = "2")]
    pub key: Vec<u8>,
    /// The key after the last one; empty for a single key, a zero byte for all from the first on.
    #[prost(bytes = "vec", tag = "3")]
    pub range_end: Vec<u8>,
}

/// What may be done with keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
pub enum PermissionType {
    /// They may be read.
    Read = 0,
    /// They may be written.
    Write = 1,
    /// Both.
    ReadWrite = 2,
}

/// Adds a role.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RoleAdd {
    /// The role.
    #[prost(string, tag = "1")]
    pub name: String,
}

/// Deletes a role.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RoleDelete {
    /// The role.
    #[prost(string, tag = "1")]
    pub role: String,
}

/// Lets a role do something.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RoleGrantPermission {
    /// The role.
    #[prost(string, tag = "1")]
    pub name: String,
    /// What it may do.
    #[prost(message, optional, tag = "2")]
    pub permission: Option<Permission>,
}

/// Takes a permission from a role.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RoleRevokePermission {
    /// The role.
    #[prost(string, tag = "1")]
    pub role: String,
    /// The first key.
    #[prost(bytes = "vec", tag = "2")]
    pub key: Vec<u8>,
    /// As in the permission.
    #[prost(bytes = "vec", tag = "3")]
    pub range_end: Vec<u8>,
}
