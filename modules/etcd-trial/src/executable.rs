//! The executable that ships, as it was staged, called as Ansible calls it: with its arguments on standard input.

use anyhow::{Context as _, Result, bail, ensure};
use etcd_testbed::Cluster;
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Where `cargo xtask stage` puts this machine's.
///
/// # Errors
///
/// When it has not been staged.
pub fn path() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("the checkout")?;
    let modules = root.join("target/collection/ansible_collections/quorum/etcd/plugins/modules");
    let path = modules.join("__bin").join(std::env::consts::ARCH).join("quorum-etcd");
    ensure!(path.is_file(), "{} is missing: make it with `cargo xtask stage`", path.display());
    Ok(path)
}

/// Starts a module, which then waits for its arguments.
///
/// # Errors
///
/// When it cannot be started.
pub fn start(module: &str) -> Result<Child> {
    let mut command = Command::new(path()?);
    command.args([module, "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    Ok(command.spawn()?)
}

/// Gives it its arguments.
///
/// # Errors
///
/// When it does not take them.
pub fn give(child: &mut Child, arguments: &Value) -> Result<()> {
    let mut input = child.stdin.take().context("it has its arguments already")?;
    Ok(input.write_all(arguments.to_string().as_bytes())?)
}

/// Calls a module, and returns its result, a failure as well.
///
/// # Errors
///
/// When it does not end with a result.
pub fn call(module: &str, arguments: &Value) -> Result<Value> {
    let mut child = start(module)?;
    give(&mut child, arguments)?;
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).with_context(|| format!("{module} ended with {} and said {text:?}", output.status))
}

/// The same for a call that must not fail.
///
/// # Errors
///
/// What it says of its failure.
pub fn succeed(module: &str, arguments: &Value) -> Result<Value> {
    let result = call(module, arguments)?;
    if result["failed"] == true {
        bail!("{module} failed: {}", result["msg"].as_str().unwrap_or_default());
    }
    Ok(result)
}

/// The arguments that connect to the cluster as root, and these.
#[must_use]
pub fn arguments(cluster: &Cluster, password: Option<&str>, more: &Value) -> Value {
    let mut all = json!({ "endpoints": cluster.endpoints(), "timeout": 300 });
    if cluster.member(0).client_url().starts_with("https") {
        let client = cluster.pki().client();
        all["ca_cert"] = json!(cluster.pki().ca_cert());
        all["client_cert"] = json!(client.cert);
        all["client_key"] = json!(client.key);
    }
    if let Some(password) = password {
        all["login_user"] = json!("root");
        all["login_password"] = json!(password);
    }
    if let (Some(all), Some(more)) = (all.as_object_mut(), more.as_object()) {
        all.extend(more.clone());
    }
    all
}
