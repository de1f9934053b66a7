//! Versions of etcd.

use std::fmt;
use std::str::FromStr;

/// A released version of etcd. A pre-release counts as the release it precedes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// 3.
    pub major: u16,
    /// The 5 of 3.5.16.
    pub minor: u16,
    /// The 16 of 3.5.16.
    pub patch: u16,
}

/// The range of release series that this collection knows.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// The oldest, as major and minor number.
    pub oldest: (u16, u16),
    /// The newest, as major and minor number.
    pub newest: (u16, u16),
}

/// What this collection knows of etcd begins and ends here.
pub const KNOWN: Known = Known { oldest: (3, 4), newest: (3, 7) };

impl Version {
    /// Whether members of this version may come to differ from each other when they are killed under load: 3.5.0 to
    /// 3.5.2 (`Documentation/postmortems/v3.5-data-inconsistency.md`).
    #[must_use]
    pub fn may_diverge(self) -> bool {
        self.series() == (3, 5) && self.patch < 3
    }

    /// Whether force-new-cluster keeps what the database has applied although the log does not say that it is committed, as after
    /// etcd was killed. From 3.5.22 and 3.6.1 on; 3.4 drops it, and then takes the next entries for those.
    #[must_use]
    pub fn forces_all_applied(self) -> bool {
        self >= Self::new(3, 6, 1) || (self.series() == (3, 5) && self.patch >= 22)
    }

    /// The version of the three numbers.
    #[must_use]
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self { major, minor, patch }
    }

    /// Major and minor number.
    #[must_use]
    pub const fn series(self) -> (u16, u16) {
        (self.major, self.minor)
    }

    /// The version in the output of `etcd --version`.
    #[must_use]
    pub fn from_output(output: &str) -> Option<Self> {
        output.lines().find_map(|line| line.strip_prefix("etcd Version:")?.trim().parse().ok())
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The text is not a version of etcd.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a version of etcd such as 3.6.14")]
pub struct NotAVersion(String);

impl FromStr for Version {
    type Err = NotAVersion;

    /// Reads `3.5.16`, `v3.7.0-rc.0`, and `3.6`, which stands for that series' first release.
    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let trimmed = text.trim();
        let plain = trimmed.strip_prefix('v').unwrap_or(trimmed);
        // What follows is a pre-release, a build, or a distribution's revision.
        let release = plain.split(['-', '+', '~']).next().unwrap_or_default();
        let mut numbers = release.split('.').map(str::parse::<u16>);
        let version = match (numbers.next(), numbers.next(), numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor)), None, None) => Some(Self::new(major, minor, 0)),
            (Some(Ok(major)), Some(Ok(minor)), Some(Ok(patch)), None) => Some(Self::new(major, minor, patch)),
            _ => None,
        };
        version.ok_or_else(|| NotAVersion(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("3.5.16", Some((3, 5, 16)))]
    #[test_case("v3.7.0-rc.0", Some((3, 7, 0)))]
    #[test_case(" 3.4.23-4+b4\n", Some((3, 4, 23)))]
    #[test_case("3.6", Some((3, 6, 0)))]
    #[test_case("3", None)]
    #[test_case("3.x.1", None)]
    #[test_case("3.5.16.1", None)]
    #[test_case("", None)]
    fn reads(text: &str, wanted: Option<(u16, u16, u16)>) {
        assert_eq!(text.parse().ok(), wanted.map(|(major, minor, patch)| Version::new(major, minor, patch)));
    }

    #[test_case("3.5.2", true)]
    #[test_case("3.5.3", false)]
    #[test_case("3.4.1", false)]
    #[test_case("3.6.0", false)]
    fn some_may_diverge(text: &str, wanted: bool) {
        assert_eq!(text.parse::<Version>().unwrap().may_diverge(), wanted);
    }

    #[test]
    fn sorts_by_number_and_prints_what_it_read() {
        let versions: Vec<Version> = ["3.5.9", "3.5.16", "3.6.0"].iter().map(|text| text.parse().unwrap()).collect();
        assert!(versions.is_sorted());
        assert_eq!(versions[1].to_string(), "3.5.16");
        assert_eq!(versions[1].series(), (3, 5));
    }

    #[test]
    fn finds_itself_in_the_output_of_etcd() {
        let output =
            "etcd Version: 3.5.16\nGit SHA: Not provided (use ./build instead of go build)\nGo Version: go1.24\n";
        assert_eq!(Version::from_output(output), Some(Version::new(3, 5, 16)));
        assert_eq!(Version::from_output("no such thing"), None);
    }

    #[test_case("3.4.37", false; "never in 3.4")]
    #[test_case("3.5.21", false; "too old 3.5")]
    #[test_case("3.5.22", true; "3.5")]
    #[test_case("3.6.0", false; "first 3.6")]
    #[test_case("3.6.1", true; "3.6")]
    #[test_case("3.7.0", true; "3.7")]
    fn since_when_nothing_applied_is_dropped(version: &str, wanted: bool) {
        assert_eq!(version.parse::<Version>().unwrap().forces_all_applied(), wanted);
    }
}
