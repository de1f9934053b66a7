//! URLs, as far as etcd allows them.

use std::net::IpAddr;

/// A URL that etcd listens on or advertises.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Url {
    pub(crate) text: String,
    pub(crate) scheme: String,
    /// Empty for `unix` and `unixs`.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Url {
    /// Reads `scheme://host:port`.
    ///
    /// # Errors
    ///
    /// Returns what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(format!("\"{text}\" is no URL such as https://10.10.10.10:2380"));
        };
        let url = |host: &str, port| Self { text: text.into(), scheme: scheme.into(), host: host.into(), port };
        match scheme {
            "unix" | "unixs" => return Ok(url("", 0)),
            "http" | "https" => {}
            _ => return Err(format!("{text} must begin with http:// or https://")),
        }
        if rest.contains(['/', '?', '#']) {
            return Err(format!("{text} must end with the port"));
        }
        let Some((host, port)) = rest.rsplit_once(':') else { return Err(format!("{text} has no port")) };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if host.contains(['[', ']', '@', ' ']) {
            return Err(format!("{text} has no valid host"));
        }
        let port = port.parse().map_err(|_| format!("{text} has no valid port"))?;
        Ok(url(host, port))
    }

    pub(crate) fn is_ip(&self) -> bool {
        self.ip().is_some()
    }

    fn ip(&self) -> Option<IpAddr> {
        self.host.split('%').next()?.parse().ok()
    }

    /// Whether etcd can listen on it: it takes addresses and `localhost`, no other names.
    pub(crate) fn is_listenable(&self) -> bool {
        self.is_socket() || self.host == "localhost" || self.is_ip()
    }

    pub(crate) fn is_socket(&self) -> bool {
        self.scheme.starts_with("unix")
    }

    pub(crate) fn is_tls(&self) -> bool {
        matches!(self.scheme.as_str(), "https" | "unixs")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("https://10.10.10.10:2379", "10.10.10.10", 2379)]
    #[test_case("http://[::1]:2380", "::1", 2380)]
    #[test_case("https://etcd-1.example.org:2379", "etcd-1.example.org", 2379)]
    #[test_case("unix://etcd.sock", "", 0)]
    fn reads(text: &str, host: &str, port: u16) {
        let url = Url::parse(text).unwrap();
        assert_eq!((url.host.as_str(), url.port), (host, port));
    }

    #[test_case("10.10.10.10:2379", "\"10.10.10.10:2379\" is no URL such as https://10.10.10.10:2380")]
    #[test_case("tcp://10.10.10.10:2379", "tcp://10.10.10.10:2379 must begin with http:// or https://")]
    #[test_case("https://10.10.10.10", "https://10.10.10.10 has no port")]
    #[test_case("https://10.10.10.10:2379/", "https://10.10.10.10:2379/ must end with the port")]
    #[test_case("https://10.10.10.10:237900", "https://10.10.10.10:237900 has no valid port")]
    fn refuses(text: &str, error: &str) {
        assert_eq!(Url::parse(text), Err(error.to_owned()));
    }
}
