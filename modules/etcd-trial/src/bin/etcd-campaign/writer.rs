use crate::bed::Campaign;
use anyhow::{Context, Result, ensure};
use etcd_trial::report::Report;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long the first write may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Somebody who uses the cluster all the while.
pub(crate) struct Writer {
    process: Child,
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Where it has been stopped it has ended already; and an error has nobody to go to from here.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Writer {
    /// With what this host's etcdctl would use, or to these endpoints.
    pub(crate) fn start(campaign: &Campaign, host: &str, endpoints: Option<&str>) -> Result<Self> {
        let file = |name: &str| -> Result<PathBuf> {
            let path = campaign.work.join(name);
            let content = campaign.hosts(&["exec", &campaign.bed, host, "cat", &format!("/etc/etcd/{name}")])?;
            fs::write(&path, content)?;
            Ok(path)
        };
        let variable = |name: &str| {
            let script = format!(". /etc/profile.d/etcdctl.sh; printf %s \"${name}\"");
            campaign.hosts(&["exec", &campaign.bed, host, "sh", "-c", &script])
        };
        let endpoints = endpoints.map_or_else(|| variable("ETCDCTL_ENDPOINTS"), |given| Ok(given.to_owned()))?;
        let log = campaign.work.join("writer.log");
        fs::write(&log, "")?;
        let program = std::env::current_exe()?.with_file_name("etcd-writer");
        let process = Command::new(program)
            .args(["--endpoints", &endpoints, "--user", &variable("ETCDCTL_USER")?])
            .arg("--cacert")
            .arg(file("ca.crt")?)
            .arg("--cert")
            .arg(file("server.crt")?)
            .arg("--key")
            .arg(file("server.key")?)
            .arg("--log")
            .arg(&log)
            .stdout(Stdio::piped())
            .spawn()?;
        let mut writer = Self { process };
        // What happens before it is at work would keep nobody waiting.
        let start = Instant::now();
        while !fs::read_to_string(&log).unwrap_or_default().contains(" acknowledged") {
            ensure!(writer.process.try_wait()?.is_none(), "the writer has ended before it wrote anything");
            ensure!(start.elapsed() < PATIENCE, "the writer cannot write anything");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(writer)
    }

    /// What became of its writes.
    pub(crate) fn stop(mut self) -> Result<Report> {
        let pid = nix::unistd::Pid::from_raw(self.process.id().try_into()?);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?;
        let mut text = String::new();
        if let Some(mut out) = self.process.stdout.take() {
            std::io::Read::read_to_string(&mut out, &mut text)?;
        }
        ensure!(self.process.wait()?.success(), "the writer could not read back what it wrote");
        serde_json::from_str(&text).with_context(|| text)
    }
}
