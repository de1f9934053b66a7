use crate::{Member, Pki, Version, wait_for};
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// How a cluster is to be.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whether clients and peers need certificates.
    pub tls: bool,
    /// Root's password; with one, authentication is on.
    pub root_password: Option<&'static str>,
    /// Keys of the configuration file, in YAML.
    pub config: Vec<(&'static str, String)>,
    /// How many members to start, when not all; then nothing waits for them to serve.
    pub only: Option<usize>,
}

impl Options {
    /// With certificates, and nothing else special.
    #[must_use]
    pub fn tls() -> Self {
        Self { tls: true, ..Self::default() }
    }

    /// With certificates and authentication.
    #[must_use]
    pub fn auth(root_password: &'static str) -> Self {
        Self { tls: true, root_password: Some(root_password), ..Self::default() }
    }
}

/// A cluster of its own, on loopback, in a temporary directory. The members are called `etcd-1` and so on.
pub struct Cluster {
    // Ends first, before its directory goes.
    members: Vec<Member>,
    pki: Option<Pki>,
    root_password: Option<&'static str>,
    version: Version,
    directory: TempDir,
}

impl Cluster {
    /// Starts a cluster and waits until every member serves.
    ///
    /// # Panics
    ///
    /// When that fails, with the reason.
    #[must_use]
    pub fn start(version: Version, members: usize, options: Options) -> Self {
        let directory = tempfile::Builder::new().prefix("etcd-testbed-").tempdir().expect("make a directory");
        let pki = options.tls.then(|| Pki::create(&directory.path().join("pki"), "testbed"));
        let mut cluster = Self { members: Vec::new(), pki, root_password: options.root_password, version, directory };
        cluster.members = (1..=members).map(|number| cluster.spare(&format!("etcd-{number}"))).collect();
        let all: Vec<String> = cluster.members.iter().map(Member::initial_cluster).collect();
        for member in &cluster.members {
            member.configure("initial-cluster", &all.join(","));
            for (key, value) in &options.config {
                member.configure(key, value);
            }
        }
        let started = options.only.unwrap_or(members);
        cluster.members.iter().take(started).for_each(Member::spawn);
        if started == members {
            cluster.wait_healthy();
            cluster.enable_auth();
        }
        cluster
    }

    fn enable_auth(&self) {
        let Some(password) = self.root_password else { return };
        for arguments in [
            &["user", "add", &format!("root:{password}")] as &[&str],
            &["role", "add", "root"],
            &["user", "grant-role", "root", "root"],
            &["auth", "enable"],
        ] {
            let result = self.run_etcdctl(None, arguments);
            // An answer that was slow to come has etcdctl try again, and then it is there already.
            assert!(result.is_ok() || said_exists(&result), "etcdctl {arguments:?}: {result:?}");
        }
    }

    /// A further member, which is not part of the cluster and does not run: to be added, configured and started.
    #[must_use]
    pub fn spare(&self, name: &str) -> Member {
        Member::new(self.directory.path(), name, self.version, self.pki.as_ref())
    }

    /// Takes a member that was a spare into the list.
    pub fn adopt(&mut self, member: Member) {
        self.members.push(member);
    }

    /// The member of that place, from 0.
    ///
    /// # Panics
    ///
    /// When there are not so many.
    #[must_use]
    pub fn member(&self, index: usize) -> &Member {
        &self.members[index]
    }

    /// All members.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The place of the member that leads; waits for one.
    ///
    /// # Panics
    ///
    /// When there is none for long.
    #[must_use]
    pub fn leader(&self) -> usize {
        let mut leader = None;
        wait_for("a leader", || {
            leader = self.members.iter().position(Member::is_leader);
            leader.is_some()
        });
        leader.expect("a leader was found")
    }

    /// The place of a running member that does not lead.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[must_use]
    pub fn follower(&self) -> usize {
        let leader = self.leader();
        let mut others = (0..self.members.len()).filter(|index| *index != leader);
        others.find(|index| self.members[*index].pid().is_some()).expect("a follower")
    }

    /// The client URLs of all members.
    #[must_use]
    pub fn endpoints(&self) -> Vec<String> {
        self.members.iter().map(Member::client_url).collect()
    }

    /// Waits until every running member serves.
    ///
    /// # Panics
    ///
    /// When one does not.
    pub fn wait_healthy(&self) {
        self.members.iter().filter(|member| member.pid().is_some()).for_each(Member::wait_healthy);
    }

    /// The certificates.
    ///
    /// # Panics
    ///
    /// When the cluster has none.
    #[must_use]
    pub fn pki(&self) -> &Pki {
        self.pki.as_ref().expect("a cluster with tls")
    }

    /// A directory that ends with the cluster.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What the version's etcdctl prints, asked of all members as root.
    ///
    /// # Panics
    ///
    /// When it fails.
    pub fn etcdctl(&self, arguments: &[&str]) -> String {
        let user = self.root_password.map(|password| format!("root:{password}"));
        self.run_etcdctl(user.as_deref(), arguments)
            .unwrap_or_else(|error| panic!("etcdctl {} failed: {error}", arguments.join(" ")))
    }

    /// The same as `user:password`, or as nobody.
    ///
    /// # Errors
    ///
    /// What etcdctl said when it failed.
    pub fn etcdctl_as(&self, user: Option<&str>, arguments: &[&str]) -> Result<String, String> {
        self.run_etcdctl(user, arguments)
    }

    fn run_etcdctl(&self, user: Option<&str>, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new(self.version.executable("etcdctl"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ETCDCTL_")) {
            command.env_remove(name);
        }
        command.args(["--command-timeout", "20s"]).stdin(Stdio::null());
        if !arguments.iter().any(|argument| argument.starts_with("--endpoints")) {
            let running: Vec<String> =
                self.members.iter().filter(|member| member.pid().is_some()).map(Member::client_url).collect();
            command.arg("--endpoints").arg(running.join(","));
        }
        if let Some(pki) = &self.pki {
            let client = pki.client();
            command.arg("--cacert").arg(pki.ca_cert()).arg("--cert").arg(client.cert).arg("--key").arg(client.key);
        }
        if let Some(user) = user {
            command.arg("--user").arg(user);
        }
        let output = command.args(arguments).output().expect("run etcdctl");
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

fn said_exists(result: &Result<String, String>) -> bool {
    matches!(result, Err(error) if error.contains("already exists"))
}
