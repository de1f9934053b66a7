use crate::pki::Pki;
use crate::ports::Port;
use crate::{PATIENCE, Version, process, wait_for};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One member: it may run or not.
pub struct Member {
    name: String,
    directory: PathBuf,
    secure: bool,
    client: Port,
    peer: Port,
    metrics: Port,
    state: Mutex<State>,
}

struct State {
    version: Version,
    config: BTreeMap<String, String>,
    child: Option<Child>,
}

impl Member {
    /// Claims ports and writes the configuration; starts nothing.
    pub(crate) fn new(parent: &Path, name: &str, version: Version, pki: Option<&Pki>) -> Self {
        let member = Self {
            name: name.to_owned(),
            directory: parent.join(name),
            secure: pki.is_some(),
            client: Port::claim(),
            peer: Port::claim(),
            metrics: Port::claim(),
            state: Mutex::new(State { version, config: BTreeMap::new(), child: None }),
        };
        fs::create_dir_all(&member.directory).expect("make the member's directory");
        for (key, value) in member.basics() {
            member.configure(key, &value);
        }
        if let Some(pki) = pki {
            let (ca, server) = (pki.ca_cert(), pki.server());
            let files = format!("{{cert-file: {:?}, key-file: {:?}, trusted-ca-file: {ca:?}", server.cert, server.key);
            member.configure("client-transport-security", &format!("{files}}}"));
            member.configure("peer-transport-security", &format!("{files}, client-cert-auth: true}}"));
        }
        member
    }

    fn basics(&self) -> Vec<(&'static str, String)> {
        vec![
            ("name", self.name.clone()),
            ("data-dir", format!("{:?}", self.data_dir())),
            ("listen-client-urls", self.client_url()),
            ("advertise-client-urls", self.client_url()),
            ("listen-peer-urls", self.peer_url()),
            ("initial-advertise-peer-urls", self.peer_url()),
            ("listen-metrics-urls", format!("http://127.0.0.1:{}", self.metrics.number)),
            ("initial-cluster", self.initial_cluster()),
            ("initial-cluster-token", "testbed".into()),
            ("initial-cluster-state", "new".into()),
            ("heartbeat-interval", "50".into()),
            ("election-timeout", "500".into()),
            // Tests kill processes, not machines; and they log in often.
            ("unsafe-no-fsync", "true".into()),
            ("bcrypt-cost", "4".into()),
            ("logger", "zap".into()),
        ]
    }

    /// Sets one key of the configuration file; the value is YAML. Counts from the next start on.
    ///
    /// # Panics
    ///
    /// When the file cannot be written.
    pub fn configure(&self, key: &str, value: &str) {
        let mut state = self.state();
        state.config.insert(key.to_owned(), value.to_owned());
        let text = state.config.iter().fold(String::new(), |mut text, (key, value)| {
            let _ = writeln!(text, "{key}: {value}");
            text
        });
        fs::write(self.config_file(), text).expect("write the configuration");
    }

    /// The member's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where clients reach it.
    #[must_use]
    pub fn client_url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme(), self.client.number)
    }

    /// Where peers reach it.
    #[must_use]
    pub fn peer_url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme(), self.peer.number)
    }

    /// Its part of `initial-cluster`.
    #[must_use]
    pub fn initial_cluster(&self) -> String {
        format!("{}={}", self.name, self.peer_url())
    }

    fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    /// Its data directory.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// Its configuration file.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.directory.join("etcd.conf")
    }

    /// Everything it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(self.log_file()).map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default()
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    fn log_file(&self) -> PathBuf {
        self.directory.join("etcd.log")
    }

    /// The version it runs, or would run.
    #[must_use]
    pub fn version(&self) -> Version {
        self.state().version
    }

    /// Makes it another version from the next start on.
    pub fn set_version(&self, version: Version) {
        self.state().version = version;
    }

    /// The id of its process, when it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        let mut state = self.state();
        let child = state.child.as_mut()?;
        matches!(child.try_wait(), Ok(None)).then(|| child.id())
    }

    /// Starts it and waits until it serves.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub fn start(&self) {
        self.spawn();
        self.wait_healthy();
    }

    /// Starts it and waits for nothing.
    ///
    /// # Panics
    ///
    /// When it runs already or its executable is missing.
    pub fn spawn(&self) {
        assert!(self.pid().is_none(), "{} runs already", self.name);
        let mut state = self.state();
        let log = OpenOptions::new().create(true).append(true).open(self.log_file()).expect("open the log");
        let mut command = process::mortal(&state.version.executable("etcd"));
        command.arg("--config-file").arg(self.config_file()).stdin(Stdio::null());
        command.stdout(File::try_clone(&log).expect("share the log")).stderr(log);
        // What the configuration file does not say must not come from whoever runs the tests.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ETCD_")) {
            command.env_remove(name);
        }
        state.child = Some(process::spawn(command).expect("start etcd"));
    }

    /// Stops it as systemd would, and waits for its end.
    ///
    /// # Panics
    ///
    /// When it does not end.
    pub fn stop(&self) {
        self.signal(Signal::SIGTERM);
        let _ = self.wait_exit();
    }

    /// Kills it, and waits for its end.
    pub fn kill(&self) {
        if let Some(mut child) = self.state().child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Stops it, starts it again and waits until it serves.
    pub fn restart(&self) {
        self.stop();
        self.start();
    }

    /// Stops its process in the middle of whatever it does: connections stay, nothing answers.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets a frozen process go on.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid().and_then(|pid| i32::try_from(pid).ok()) {
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    /// Waits until its process ends by itself; none when it was not started.
    ///
    /// # Panics
    ///
    /// When it does not end.
    pub fn wait_exit(&self) -> Option<ExitStatus> {
        let mut child = self.state().child.take()?;
        let mut status = None;
        wait_for(&format!("the end of {}", self.name), || {
            status = child.try_wait().ok().flatten();
            status.is_some()
        });
        status
    }

    /// Waits until it serves reads and writes.
    ///
    /// # Panics
    ///
    /// When it ends, or does not within [`PATIENCE`]; with its log.
    pub fn wait_healthy(&self) {
        self.wait("serve", || self.is_healthy());
    }

    /// Waits until its process answers at all, with a leader or without.
    ///
    /// # Panics
    ///
    /// When it ends, or does not within [`PATIENCE`]; with its log.
    pub fn wait_up(&self) {
        self.wait("answer", || self.get("/metrics").is_some());
    }

    fn wait(&self, what: &str, condition: impl Fn() -> bool) {
        let start = std::time::Instant::now();
        while !condition() {
            let name = &self.name;
            assert!(self.pid().is_some(), "{name} ended before it could {what}:\n{}", self.log_tail());
            assert!(start.elapsed() < PATIENCE, "{name} does not {what}:\n{}", self.log_tail());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether it serves, in its own opinion: it has a leader and reads through it.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.get("/health").is_some_and(|body| body.contains(r#""health":"true""#))
    }

    /// Whether it leads.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.metric("etcd_server_is_leader") == Some(1.0)
    }

    /// One value of its metrics, which need no certificate and no login.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<f64> {
        let body = self.get("/metrics")?;
        let line = body.lines().find(|line| line.split_once(' ').is_some_and(|(key, _)| key == name))?;
        line.split_once(' ')?.1.parse().ok()
    }

    /// The body of a page of its metrics port; none when it does not answer.
    fn get(&self, path: &str) -> Option<String> {
        let get = || -> io::Result<String> {
            let address = SocketAddr::from(([127, 0, 0, 1], self.metrics.number));
            let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        let answer = get().ok()?;
        answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.kill();
    }
}
