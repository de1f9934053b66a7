use crate::model::{Credential, Desired, ROOT, Step, Wish};
use crate::observe::check;
use crate::range::{Access, Range};
use ansible_protocol::{ErrorKind, Failure, order};
use etcd_ops::client::{AuthState, MemberClient, PasswordCheck};
use etcd_ops::connection::Login;
use etcd_ops::rpc::auth::{self, Permission, PermissionType, UserOptions};
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// Takes the steps, one after the other; `done` gets each that was taken.
pub(crate) async fn apply(
    client: &mut MemberClient,
    desired: &Desired,
    steps: &[Step],
    deadline: Instant,
    done: &mut Vec<String>,
) -> Result<(), Failure> {
    for step in steps {
        take(client, desired, step, deadline).await?;
        if step.changes() {
            done.push(step.to_string());
        }
    }
    Ok(())
}

async fn take(client: &mut MemberClient, desired: &Desired, step: &Step, deadline: Instant) -> Result<(), Failure> {
    let what = step.to_string();
    match step {
        Step::AddRole(role) => {
            client.call(&what, &auth::RoleAdd { name: role.clone() }).await?;
        }
        Step::DeleteRole(role) => {
            client.call(&what, &auth::RoleDelete { role: role.clone() }).await?;
        }
        Step::Grant { role, range, access } => grant(client, &what, role, range, *access).await?,
        Step::Revoke { role, range } => revoke(client, &what, role, range).await?,
        Step::AddUser(name) => add_user(client, &what, name, &wish(desired, name)).await?,
        Step::DeleteUser(name) => delete_user(client, &what, name).await?,
        Step::RecreateUser { name, roles } => recreate(client, name, &wish(desired, name), roles).await?,
        Step::SetPassword(name) => set_password(client, desired, name).await?,
        Step::GrantRole { user, role } => give(client, user, role).await?,
        Step::RevokeRole { user, role } => {
            client.call(&what, &auth::UserRevokeRole { name: user.clone(), role: role.clone() }).await?;
        }
        Step::Enable => {
            enable(client, deadline).await?;
            if let Some(password) = &desired.root_password {
                go_on_as(client, ROOT, password).await?;
            }
        }
        Step::Disable => {
            client.call(&what, &auth::Disable {}).await?;
            // A token of before means nothing any more, and some versions refuse it.
            client.log_out();
        }
        Step::Prove(name) => prove(client, desired, name).await?,
    }
    Ok(())
}

/// How the user is to log in.
fn wish(desired: &Desired, name: &str) -> Wish {
    if name == ROOT {
        return desired.root_password.clone().map_or(Wish::Keep, Wish::Password);
    }
    desired.users.get(name).and_then(Option::as_ref).map_or(Wish::Keep, |user| user.wish.clone())
}

async fn grant(client: &MemberClient, what: &str, role: &str, range: &Range, access: Access) -> Result<(), Failure> {
    let kind = match access {
        Access::Read => PermissionType::Read,
        Access::Write => PermissionType::Write,
        Access::ReadWrite => PermissionType::ReadWrite,
    };
    let permission = Permission { permission_type: kind.into(), key: range.key.clone(), range_end: range.end.clone() };
    client.call(what, &auth::RoleGrantPermission { name: role.to_owned(), permission: Some(permission) }).await
}

async fn revoke(client: &MemberClient, what: &str, role: &str, range: &Range) -> Result<(), Failure> {
    let (key, range_end) = (range.key.clone(), range.end.clone());
    client.call(what, &auth::RoleRevokePermission { role: role.to_owned(), key, range_end }).await
}

async fn give(client: &MemberClient, user: &str, role: &str) -> Result<(), Failure> {
    let what = format!("give {user} the role {role}");
    client.call(&what, &auth::UserGrantRole { user: user.to_owned(), role: role.to_owned() }).await
}

async fn add_user(client: &MemberClient, what: &str, name: &str, wish: &Wish) -> Result<(), Failure> {
    let (password, no_password) = match wish {
        Wish::Password(password) => (password.expose_secret(), false),
        Wish::NoPassword => ("", true),
        Wish::Keep => return Err(Failure::new(ErrorKind::Internal, format!("no password is known to {what}"))),
    };
    let (name, password, options) = (name.to_owned(), password.to_owned(), Some(UserOptions { no_password }));
    client.call(what, &auth::UserAdd { name, password, options }).await
}

async fn delete_user(client: &MemberClient, what: &str, name: &str) -> Result<(), Failure> {
    client.call(what, &auth::UserDelete { name: name.to_owned() }).await
}

async fn recreate(client: &MemberClient, name: &str, wish: &Wish, roles: &BTreeSet<String>) -> Result<(), Failure> {
    delete_user(client, &format!("delete user {name} to make it anew"), name).await?;
    add_user(client, &format!("add user {name} again"), name, wish).await?;
    for role in roles {
        give(client, name, role).await?;
    }
    Ok(())
}

/// Sets the password of a user. That ends the tokens the user has, ours too when it is root's.
async fn set_password(client: &mut MemberClient, desired: &Desired, name: &str) -> Result<(), Failure> {
    let Wish::Password(password) = wish(desired, name) else {
        return Err(Failure::new(ErrorKind::Internal, format!("no password is known for {name}")));
    };
    change_password(client, name, &password).await?;
    if client.login_user() == Some(name) {
        go_on_as(client, name, &password).await?;
    }
    Ok(())
}

/// Logs in with the password just set.
async fn go_on_as(client: &mut MemberClient, name: &str, password: &SecretString) -> Result<(), Failure> {
    let login = Login { user: name.to_owned(), password: password.clone() };
    match client.log_in_as(login).await? {
        PasswordCheck::Right => Ok(()),
        PasswordCheck::Wrong | PasswordCheck::NoPassword => Err(unproved(client, name)),
    }
}

async fn change_password(client: &MemberClient, name: &str, password: &SecretString) -> Result<(), Failure> {
    let what = format!("set the password of {name}");
    let (name, password) = (name.to_owned(), password.expose_secret().to_owned());
    client.call(&what, &auth::UserChangePassword { name, password }).await
}

/// Enables authentication. Tried again only when there was no leader to do it and it is seen to be off still.
async fn enable(client: &MemberClient, deadline: Instant) -> Result<(), Failure> {
    let mut poll = tokio::time::interval(Duration::from_millis(500));
    loop {
        poll.tick().await;
        let Err(failure) = client.call("enable authentication", &auth::Enable {}).await else { return Ok(()) };
        let transient = matches!(failure.kind, ErrorKind::NoLeader | ErrorKind::Timeout | ErrorKind::Unreachable);
        if !transient || Instant::now() >= deadline {
            return Err(failure);
        }
        // The first attempt may have got through after all.
        if matches!(client.auth_state().await, Ok(AuthState::On)) {
            return Ok(());
        }
    }
}

/// Proves that the user can log in as wished. While authentication was off that could not be seen; what turns out
/// otherwise now is put right.
async fn prove(client: &mut MemberClient, desired: &Desired, name: &str) -> Result<(), Failure> {
    let wish = wish(desired, name);
    if name == ROOT {
        let Wish::Password(password) = &wish else { return Ok(()) };
        return match client.check_password(ROOT, password).await? {
            PasswordCheck::Right => Ok(()),
            PasswordCheck::Wrong | PasswordCheck::NoPassword => Err(unproved(client, name)),
        };
    }
    match check(client, name, &wish).await? {
        Credential::Fits | Credential::Unknown => return Ok(()),
        Credential::OtherPassword => set_password(client, desired, name).await?,
        Credential::OtherKind => {
            let what = format!("look at user {name}");
            let roles = client.call(&what, &auth::UserGet { name: name.to_owned() }).await?.names;
            recreate(client, name, &wish, &order::set(roles)).await?;
        }
    }
    match check(client, name, &wish).await? {
        Credential::Fits | Credential::Unknown => Ok(()),
        Credential::OtherPassword | Credential::OtherKind => Err(unproved(client, name)),
    }
}

fn unproved(client: &MemberClient, name: &str) -> Failure {
    let msg = format!(
        "{name} does not log in on {} with the password just set; somebody else may have changed it at the same time: \
         run it again",
        client.endpoint()
    );
    Failure::new(ErrorKind::Conflict, msg)
}

#[cfg(test)]
mod tests {
    use super::*;
    use etcd_ops::connection::{Connection, Session};
    use etcd_testbed::{Cluster, Options, Version};

    fn session(cluster: &Cluster, endpoint: usize, timeout: u64) -> Session {
        let connection = Connection {
            endpoints: vec![cluster.endpoints()[endpoint].clone()],
            ca_cert: None,
            client_cert: None,
            client_key: None,
            login_user: None,
            login_password: None,
            timeout,
            dial_timeout: 3,
        };
        Session::new(&connection).unwrap()
    }

    /// Three members, of which two then die, and root set up.
    fn without_quorum() -> (Cluster, usize) {
        let cluster = Cluster::start(Version::V3_6, 3, Options::default());
        for arguments in [
            &["user", "add", "root:secret"] as &[&str],
            &["role", "add", "root"],
            &["user", "grant-role", "root", "root"],
        ] {
            cluster.etcdctl(arguments);
        }
        let survivor = cluster.follower();
        (0..3).filter(|index| *index != survivor).for_each(|index| cluster.member(index).kill());
        (cluster, survivor)
    }

    fn try_to_enable(cluster: &Cluster, endpoint: usize, timeout: u64) -> Result<(), Failure> {
        let session = session(cluster, endpoint, timeout);
        etcd_ops::block_on(async { enable(&session.connect_any().await?, session.deadline()).await })
    }

    #[test]
    fn enabling_without_quorum_fails() {
        let (cluster, survivor) = without_quorum();
        let failure = try_to_enable(&cluster, survivor, 12).unwrap_err();
        assert!(matches!(failure.kind, ErrorKind::Timeout | ErrorKind::NoLeader), "{failure}");
        assert!(failure.msg.starts_with("cannot enable authentication on http://"), "{failure}");
    }

    #[test]
    fn enabling_is_tried_again_until_there_is_a_leader() {
        let (cluster, survivor) = without_quorum();
        std::thread::scope(|scope| {
            let enabling = scope.spawn(|| try_to_enable(&cluster, survivor, 60));
            // The first attempt has then failed: etcd gives up after the time of several elections.
            etcd_testbed::wait_for("a failed attempt", || {
                cluster.member(survivor).metric("etcd_server_proposals_pending").is_some_and(|count| count >= 1.0)
            });
            (0..3).filter(|index| *index != survivor).for_each(|index| cluster.member(index).spawn());
            enabling.join().unwrap().unwrap();
        });
        assert!(cluster.etcdctl_as(None, &["get", "key"]).is_err());
    }

    #[test]
    fn enabling_what_is_not_ready_fails_at_once() {
        let cluster = Cluster::start(Version::V3_6, 1, Options::default());
        let failure = try_to_enable(&cluster, 0, 60).unwrap_err();
        assert!(failure.msg.contains("root user does not exist"), "{failure}");
    }
}
