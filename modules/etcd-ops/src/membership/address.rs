use std::net::{IpAddr, Ipv6Addr};

/// A peer URL: its scheme, its host in one spelling, and its port.
///
/// # Errors
///
/// Returns what is wrong with it, in the terms of etcd.
pub fn parse(url: &str) -> Result<(String, String, u16), String> {
    let wrong = |what: &str| format!("{url:?} {what}: write https://ADDRESS:2380, with an IPv6 address in brackets");
    let (scheme, rest) = url.trim().split_once("://").ok_or_else(|| wrong("is no URL"))?;
    let scheme = scheme.to_ascii_lowercase();
    if !matches!(scheme.as_str(), "http" | "https") {
        return Err(wrong("begins with neither https:// nor http://"));
    }
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains(['/', '?', '#', '@', ' ', ',', '=']) {
        return Err(wrong("has more than an address and a port"));
    }
    let (host, port) = rest.rsplit_once(':').ok_or_else(|| wrong("has no port"))?;
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = match bracketed {
        Some(inner) if inner.split('%').next().unwrap_or_default().parse::<Ipv6Addr>().is_ok() => inner,
        None if !host.is_empty() && !host.contains([':', '[', ']']) => host,
        _ => return Err(wrong("has no valid address")),
    };
    let port = port.parse().map_err(|_| wrong("has no valid port"))?;
    Ok((scheme, canonical(host), port))
}

/// The host of a URL, in one spelling and without brackets.
#[must_use]
pub fn host(url: &str) -> Option<String> {
    parse(url).ok().map(|(_, host, _)| host)
}

/// Whether both URLs lead to the same place.
#[must_use]
pub fn same_url(one: &str, other: &str) -> bool {
    one == other || matches!((parse(one), parse(other)), (Ok(one), Ok(other)) if one == other)
}

/// Whether both sets of URLs are the same, in whatever order.
#[must_use]
pub fn same_urls(some: &[String], others: &[String]) -> bool {
    let within =
        |some: &[String], others: &[String]| some.iter().all(|one| others.iter().any(|other| same_url(one, other)));
    within(some, others) && within(others, some)
}

/// Whether the sets of URLs have one in common.
#[must_use]
pub fn share_url(some: &[String], others: &[String]) -> bool {
    some.iter().any(|one| others.iter().any(|other| same_url(one, other)))
}

/// Whether both are the same address, or the same host name.
#[must_use]
pub fn same_host(one: &str, other: &str) -> bool {
    canonical(one) == canonical(other)
}

fn canonical(host: &str) -> String {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    // A link-local address has its interface after a percent sign.
    let (address, zone) = bare.split_once('%').map_or((bare, None), |(address, zone)| (address, Some(zone)));
    match (address.parse::<IpAddr>(), zone) {
        (Ok(address), Some(zone)) => format!("{address}%{zone}"),
        (Ok(address), None) => address.to_string(),
        (Err(_), _) => bare.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use test_case::test_case;

    #[test_case("https://10.0.0.1:2380", Some("10.0.0.1"))]
    #[test_case("https://[2001:DB8::0:1]:2380/", Some("2001:db8::1"); "ipv6")]
    #[test_case("http://ETCD-1.example.com:2380", Some("etcd-1.example.com"); "name")]
    #[test_case("https://2001:db8::1:2380", None; "ipv6 without brackets")]
    #[test_case("https://10.0.0.1", None; "no port")]
    #[test_case("https://10.0.0.1:2380/path", None; "path")]
    #[test_case("https://:2380", None; "no host")]
    #[test_case("unix:///run/etcd", None; "socket")]
    #[test_case("10.0.0.1:2380", None; "no scheme")]
    fn hosts(url: &str, wanted: Option<&str>) {
        assert_eq!(host(url).as_deref(), wanted);
    }

    #[test]
    fn sets_of_urls() {
        let urls = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let (one, both) = (urls(&["https://a:1"]), urls(&["https://b:1", "https://A:1/"]));
        assert!(
            share_url(&one, &both)
                && !same_urls(&one, &both)
                && same_urls(&both, &urls(&["https://a:1", "https://b:1"]))
        );
        assert!(!share_url(&one, &urls(&["http://a:1", "https://a:11"])));
    }

    proptest! {
        /// An address equals itself however it is written, and no other one.
        #[test]
        fn addresses_in_any_spelling(groups: [u16; 8], other: [u16; 8]) {
            let address = Ipv6Addr::from(groups);
            let long = groups.map(|group| format!("{group:04X}")).join(":");
            let (short, bracketed) = (address.to_string(), format!("[{long}]"));
            prop_assert!(same_host(&short, &long) && same_host(&bracketed, &short));
            let (one, other_one) = (format!("https://[{short}]:1"), format!("https://{bracketed}:1/"));
            prop_assert!(same_url(&one, &other_one));
            prop_assert_eq!(same_host(&long, &Ipv6Addr::from(other).to_string()), groups == other);
        }
    }
}
