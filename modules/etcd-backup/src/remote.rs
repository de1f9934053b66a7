//! To another host, by ssh without questions.

use crate::config::Config;
use crate::take::Taken;
use ansible_protocol::{ErrorKind, Failure};
use etcd_ops::clock;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Ends the name of a copy that is on its way.
const PART: &str = ".quorum.part";

/// Copies the snapshot under another name, has the host compare its SHA-256, and only then gives it its name. Older
/// ones go as they do at home. Returns where it is.
///
/// # Errors
///
/// Kind `io`, with the host and what it says.
pub(crate) fn copy(
    config: &Config,
    taken: &Taken<'_>,
    host: &str,
    dir: &Path,
    warnings: &mut Vec<String>,
) -> Result<String, Failure> {
    let (name, sha256) = (taken.name, taken.sha256);
    let place = quoted(&dir.to_string_lossy());
    // Whatever this member has there under such a name was left by a run that was killed.
    let part = format!(".{}{PART}", config.member);
    let old = stem(name).map_or_else(String::new, |stem| format!("rm -f .{stem}-????????T??????Z-*.db{part};"));
    let receive = format!(
        "set -e; umask 077; mkdir -p {place}; cd {place}; {old} p=.{name}{part}; cat >\"$p\"; \
         sum=$(sha256sum <\"$p\"); if [ \"${{sum%% *}}\" != {sha256} ]; then rm -f \"$p\"; echo the copy differs, its \
         SHA-256 is \"$sum\" >&2; exit 1; fi; sync \"$p\" 2>/dev/null || sync; mv -f \"$p\" {name}; \
         sync . 2>/dev/null || sync; ls -1"
    );
    let failed = |error: &dyn std::fmt::Display| Failure::io(format_args!("copy to {host}:{}", dir.display()), error);
    let file = File::open(taken.path).map_err(|error| failed(&error))?;
    let listing = call(taken, host, &receive, file.into()).map_err(|error| failed(&error))?;
    let entries: Vec<_> = listing.lines().filter_map(|name| taken.series.entry(name)).collect();
    let expired = config.retention.expired(&entries, name, clock::now());
    if !expired.is_empty() {
        // Names of a series are words without anything that a shell takes for something else.
        let remove = format!("cd {place} && rm -f {}", expired.join(" "));
        if let Err(error) = call(taken, host, &remove, Stdio::null()) {
            warnings.push(format!("cannot delete old copies on {host}: {error}"));
        }
    }
    Ok(format!("{host}:{}", dir.join(name).display()))
}

/// What the names of a series begin with: all but time and revision.
fn stem(name: &str) -> Option<&str> {
    Some(name.rsplit_once('-')?.0.rsplit_once('-')?.0)
}

/// Has the host's shell do something, and returns what it prints.
fn call(taken: &Taken<'_>, host: &str, script: &str, input: Stdio) -> Result<String, Failure> {
    let left = taken.until.saturating_duration_since(Instant::now()).as_secs().max(1);
    let seconds = left.to_string();
    let mut command = Command::new("timeout");
    command.args([&seconds, "ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=15"]);
    let output = command.args(["--", host, script]).stdin(input).output();
    let output = output.map_err(|error| Failure::io("run ssh", error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = match (said.trim(), output.status.code()) {
        (_, Some(124)) => {
            format!("not done within the {seconds} s that were left for it; allow more with etcd_backup_timeout")
        }
        ("", _) => output.status.to_string(),
        (said, _) => said.replace('\n', "; "),
    };
    Err(Failure::new(ErrorKind::Io, said))
}

/// The text as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
