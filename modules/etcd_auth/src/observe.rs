use crate::model::{Credential, Current, Desired, ROOT, User, Wish, new_role};
use crate::params::Params;
use crate::range::{Access, Range};
use ansible_protocol::{ErrorKind, Failure, order};
use etcd_ops::client::{AuthState, MemberClient, PasswordCheck};
use etcd_ops::connection::{Login, Session};
use etcd_ops::rpc::auth::{self, Permission, PermissionType};
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// How long a cluster that is just electing its leader is waited for.
const ELECTION: Duration = Duration::from_secs(10);

/// Finds a member that serves: it answers and has a leader.
///
/// # Errors
///
/// Kind `no_leader` when members answer but none has a leader, else what keeps the last one from answering.
pub(crate) async fn find(session: &Session) -> Result<MemberClient, Failure> {
    let session = session.with_login(None);
    // Time enough is left for a last look: one that is cut short could not tell what is wrong.
    let patience = (Instant::now() + ELECTION).min(session.deadline() - session.dial_timeout());
    let mut poll = tokio::time::interval(Duration::from_millis(200));
    loop {
        poll.tick().await;
        match first_that_serves(&session).await {
            Err(failure) if failure.kind == ErrorKind::NoLeader && Instant::now() < patience => {}
            other => return other,
        }
    }
}

async fn first_that_serves(session: &Session) -> Result<MemberClient, Failure> {
    let mut causes = Vec::new();
    let mut kind = None;
    for endpoint in session.endpoints() {
        let attempt = async {
            let client = session.connect(endpoint).await?;
            // A read through the leader is answered, if only by a refusal, wherever there is one.
            match client.with_deadline(session.soon()).read_linearizable().await {
                Err(failure) if failure.kind == ErrorKind::Timeout => {
                    Err(Failure::new(ErrorKind::NoLeader, format!("{endpoint} has no leader")))
                }
                other => other.map(|()| client),
            }
        };
        match attempt.await {
            Ok(client) => return Ok(client),
            Err(failure) => {
                // That there is no leader says more than that another member is down.
                kind = kind.filter(|kind| *kind == ErrorKind::NoLeader).or(Some(failure.kind));
                causes.push(failure.msg);
            }
        }
    }
    let kind = kind.unwrap_or(ErrorKind::Unreachable);
    let next = if kind == ErrorKind::NoLeader { "; bring the cluster's other members up first" } else { "" };
    let causes = causes.join("; ");
    Err(Failure::new(kind, format!("cannot look at authentication: {causes}{next}; nothing was changed")))
}

/// Looks at everything, as root or the user given when authentication is on.
pub(crate) async fn observe(client: &mut MemberClient, params: &Params, desired: &Desired) -> Result<Current, Failure> {
    let enabled = client.auth_state().await? == AuthState::On;
    let root = if enabled { log_in(client, params).await? } else { Credential::Unknown };
    let mut current = read(client, enabled).await?;
    if let Some(user) = current.users.get_mut(ROOT) {
        user.credential = root;
    }
    if enabled {
        for (name, user) in &mut current.users {
            if let Some(Some(wish)) = desired.users.get(name) {
                user.credential = check(client, name, &wish.wish).await?;
            }
        }
    }
    Ok(current)
}

/// Users, roles and permissions as they are.
pub(crate) async fn read(client: &MemberClient, enabled: bool) -> Result<Current, Failure> {
    let mut current = Current { enabled, users: BTreeMap::new(), roles: BTreeMap::new() };
    for name in client.call("list the users", &auth::UserList {}).await?.names {
        let what = format!("look at user {name}");
        let user = client.call(&what, &auth::UserGet { name: name.clone() }).await?;
        let roles = order::set(user.names);
        current.users.insert(name, User { roles, credential: Credential::Unknown });
    }
    for name in client.call("list the roles", &auth::RoleList {}).await?.names {
        if name == ROOT {
            let role = new_role(&name);
            current.roles.insert(name, role);
            continue;
        }
        let what = format!("look at role {name}");
        let role = client.call(&what, &auth::RoleGet { role: name.clone() }).await?;
        current.roles.insert(name, role.permissions.into_iter().map(permission).collect());
    }
    Ok(current)
}

fn permission(permission: Permission) -> (Range, Access) {
    let access = match PermissionType::try_from(permission.permission_type) {
        Ok(PermissionType::Read) => Access::Read,
        Ok(PermissionType::Write) => Access::Write,
        Ok(PermissionType::ReadWrite) | Err(_) => Access::ReadWrite,
    };
    (Range { key: permission.key, end: permission.range_end }, access)
}

/// Finds out who we can be, and how root's password stands to the one wished for.
async fn log_in(client: &mut MemberClient, params: &Params) -> Result<Credential, Failure> {
    let login = |user: &str, password: &SecretString| Login { user: user.to_owned(), password: password.clone() };
    let mut root = Credential::Unknown;
    if let Some(password) = params.root_password() {
        root = match client.log_in_as(login(ROOT, password)).await? {
            PasswordCheck::Right => return Ok(Credential::Fits),
            PasswordCheck::Wrong => Credential::OtherPassword,
            PasswordCheck::NoPassword => Credential::OtherKind,
        };
    }
    let previous = params.previous_passwords();
    let as_root = previous.iter().map(|password| login(ROOT, password));
    let as_admin = params.admin().zip(params.connection.login_password.as_ref());
    for login in as_root.chain(as_admin.map(|(user, password)| login(user, password))) {
        if client.log_in_as(login).await? == PasswordCheck::Right {
            return Ok(root);
        }
    }
    Err(Failure::new(ErrorKind::Auth, refusal(client.endpoint(), params)))
}

fn refusal(endpoint: &str, params: &Params) -> String {
    let start = format!("authentication is on at {endpoint}, and");
    match (params.admin(), params.root_password()) {
        (Some(user), _) => format!(
            "{start} {user} does not log in with login_password; nothing was changed; correct login_password, or log in \
             as root with root_password"
        ),
        (None, None) => format!("{start} no password is given; nothing was changed; give root_password"),
        (None, Some(_)) => {
            let tried = match params.previous_passwords().len() {
                0 => "root_password".to_owned(),
                1 => "root_password nor with the previous password".to_owned(),
                count => format!("root_password nor with any of the {count} previous passwords"),
            };
            format!(
                "{start} root does not log in with {tried}; nothing was changed; correct root_password \
                 (etcd_root_password), or give the password in use as previous_passwords to have it replaced"
            )
        }
    }
}

/// How the user's credential stands to the wish.
pub(crate) async fn check(client: &MemberClient, name: &str, wish: &Wish) -> Result<Credential, Failure> {
    // Any password tells whether the user has one at all.
    let probe = SecretString::from("-".to_owned());
    Ok(match wish {
        Wish::Keep => Credential::Unknown,
        Wish::Password(password) => match client.check_password(name, password).await? {
            PasswordCheck::Right => Credential::Fits,
            PasswordCheck::Wrong => Credential::OtherPassword,
            PasswordCheck::NoPassword => Credential::OtherKind,
        },
        Wish::NoPassword => match client.check_password(name, &probe).await? {
            PasswordCheck::NoPassword => Credential::Fits,
            PasswordCheck::Right | PasswordCheck::Wrong => Credential::OtherKind,
        },
    })
}
