use std::collections::BTreeSet;
use std::net::IpAddr;

/// One subject alternative name, in the form in which equal names are equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Name {
    /// An address.
    Ip(IpAddr),
    /// A host name, lower case.
    Dns(String),
    /// Any other kind found in a certificate, as text; it never equals a wanted one.
    Other(String),
}

impl std::fmt::Display for Name {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ip(address) => write!(formatter, "{address}"),
            Self::Dns(text) | Self::Other(text) => formatter.write_str(text),
        }
    }
}

/// Reads the wanted names; whatever is no address is a host name.
pub(crate) fn parse(texts: &[String]) -> Result<BTreeSet<Name>, String> {
    let mut names = BTreeSet::new();
    let mut problems = Vec::new();
    for text in texts {
        // Addresses are often written as in URLs.
        let bare = text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = bare.parse::<IpAddr>() {
            names.insert(Name::Ip(address));
        } else if is_host_name(text) {
            names.insert(Name::Dns(text.to_ascii_lowercase()));
        } else {
            problems.push(format!("\"{text}\" in subject_alt_names is neither an IP address nor a host name"));
        }
    }
    if problems.is_empty() { Ok(names) } else { Err(problems.join("; ")) }
}

fn is_host_name(text: &str) -> bool {
    let labels = text.strip_prefix("*.").unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // A name of digits and dots only is a mistyped address.
    text.len() <= 253 && labels.split('.').all(label) && !labels.split('.').all(|label| label.parse::<u32>().is_ok())
}

/// The names as text, for results and messages.
pub(crate) fn texts<'a>(names: impl IntoIterator<Item = &'a Name>) -> Vec<String> {
    names.into_iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_addresses_from_host_names() {
        let given: Vec<String> =
            ["10.0.0.1", "ETCD-1.Example.org", "fe80::0:1", "[::1]", "*.etcd.svc", "a_b"].map(Into::into).into();
        let names = texts(&parse(&given).unwrap());
        assert_eq!(names, ["10.0.0.1", "::1", "fe80::1", "*.etcd.svc", "a_b", "etcd-1.example.org"]);
    }

    #[test]
    fn names_every_bad_one() {
        let given: Vec<String> = ["10.0.0.256", "a b", "", "-x", "ok"].map(Into::into).into();
        let problem = parse(&given).unwrap_err();
        for bad in ["\"10.0.0.256\"", "\"a b\"", "\"\"", "\"-x\""] {
            assert!(problem.contains(bad), "{problem}");
        }
        assert!(!problem.contains("\"ok\""));
    }
}
