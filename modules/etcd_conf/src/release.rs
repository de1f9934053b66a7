//! Which version of etcd will read the configuration.

use ansible_protocol::{Context, ErrorKind, Failure};
use etcd_ops::version::{KNOWN, Version};
use std::process::{Command, Stdio};

/// The version given, or else the one of the executable; none when there is no executable.
///
/// # Errors
///
/// Refuses texts that are no version, and versions older than the known ones.
pub(crate) fn determine(
    given: Option<&str>,
    binary: &str,
    context: &Context,
    warnings: &mut Vec<String>,
) -> Result<Option<Version>, Failure> {
    let version = match given.map(str::trim).filter(|text| !text.is_empty()) {
        Some(text) => Some(text.parse().map_err(|error| Failure::invalid_option(format!("version {error}")))?),
        None => ask(binary).unwrap_or_else(|error| {
            if context.verbosity > 0 {
                warnings.push(format!(
                    "the version of etcd is not known, so keys of any version pass: {error}; give the option version"
                ));
            }
            None
        }),
    };
    let Some(version) = version else { return Ok(None) };
    let ((major, oldest), (_, newest)) = (KNOWN.oldest, KNOWN.newest);
    if version.series() < KNOWN.oldest {
        let msg = format!(
            "etcd {version} is too old: this module knows the keys of etcd {major}.{oldest} to {major}.{newest}; upgrade etcd"
        );
        return Err(Failure::new(ErrorKind::VersionGate, msg));
    }
    if version.series() > KNOWN.newest {
        warnings.push(format!(
            "etcd {version} is newer than this module, which knows the keys of etcd {major}.{oldest} to {major}.{newest}"
        ));
    }
    Ok(Some(version))
}

fn ask(binary: &str) -> Result<Option<Version>, String> {
    let output = Command::new(binary).arg("--version").stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{binary} --version: {error}"))?;
    let version = Version::from_output(&String::from_utf8_lossy(&output.stdout));
    version.map(Some).ok_or_else(|| format!("{binary} --version does not say"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn determined(given: Option<&str>, binary: &str, verbosity: u8) -> (Result<Option<Version>, Failure>, Vec<String>) {
        let mut warnings = Vec::new();
        let context = Context { verbosity, ..Context::default() };
        (determine(given, binary, &context, &mut warnings), warnings)
    }

    #[test]
    fn what_is_given_is_not_asked_for() {
        let (version, warnings) = determined(Some("v3.6.14"), "/no/such/etcd", 3);
        assert_eq!((version.unwrap(), warnings.len()), (Some(Version::new(3, 6, 14)), 0));
    }

    #[test]
    fn without_executable_any_version_may_be_meant_and_only_the_curious_are_told() {
        assert_eq!(determined(None, "/no/such/etcd", 0).1.len(), 0);
        let (version, warnings) = determined(Some(""), "/no/such/etcd", 1);
        assert_eq!(version.unwrap(), None);
        assert!(warnings[0].contains("/no/such/etcd --version: No such file"), "{warnings:?}");
    }

    #[test]
    fn too_old_is_refused_and_newer_is_mentioned() {
        let failure = determined(Some("3.3.27"), "etcd", 0).0.unwrap_err();
        assert_eq!(failure.kind, ErrorKind::VersionGate);
        assert_eq!(failure.msg, "etcd 3.3.27 is too old: this module knows the keys of etcd 3.4 to 3.7; upgrade etcd");
        let (version, warnings) = determined(Some("3.8.0"), "etcd", 0);
        assert_eq!((version.unwrap(), warnings.len()), (Some(Version::new(3, 8, 0)), 1));
        assert_eq!(determined(Some("latest"), "etcd", 0).0.unwrap_err().kind, ErrorKind::InvalidOption);
    }
}
