//! Addresses as people write them.

use std::net::IpAddr;

/// The address that a text is: a full IPv4 address, or an IPv6 address in any spelling, with or without brackets.
pub(crate) fn parse(text: &str) -> Option<IpAddr> {
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).filter(|inner| inner.contains(':'));
    inner.unwrap_or(text).parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// Why a text that is no address is none, in the words for what it looks like.
pub(crate) fn refusal(text: &str) -> String {
    if is_like_v4(text) {
        format!("{text} is no full IPv4 address, which has four numbers from 0 to 255")
    } else if text.contains(':') {
        format!("{text} is no IPv6 address")
    } else {
        format!("{text:?} is no address")
    }
}

/// Whether a text can only be meant as an address, and is none.
pub(crate) fn is_malformed(text: &str) -> bool {
    let numbers = text.split('.').all(|part| part.starts_with(|first: char| first.is_ascii_digit()));
    parse(text).is_none() && (text.contains(':') || text.is_empty() || (text.contains('.') && numbers))
}

fn is_like_v4(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit()) && !text.contains(':')
}

/// Whether other members can reach this address at all.
pub(crate) fn is_reachable(address: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    !(address.is_unspecified() || address.is_loopback() || address.is_multicast() || broadcast)
}

/// The address and port as part of a URL.
pub(crate) fn with_port(address: IpAddr, port: u16) -> String {
    std::net::SocketAddr::new(address, port).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use test_case::test_case;

    #[test_case("10.10.10")]
    #[test_case("10.10.10.256")]
    #[test_case("10.10.10.0x1")]
    #[test_case("10.10.10.010" ; "a leading zero")]
    #[test_case("10.10.10.12.13")]
    #[test_case("[10.10.10.12]")]
    #[test_case("10.10.10.12/24")]
    #[test_case("10.10.10.12:2379")]
    #[test_case(" 10.10.10.12")]
    #[test_case("fd00::1::2")]
    #[test_case("[fd00::1")]
    #[test_case("")]
    fn no_address(text: &str) {
        assert_eq!(parse(text), None);
        assert!(refusal(text).contains("is no "), "{}", refusal(text));
        assert!(text.starts_with([' ', '[']) || is_malformed(text));
    }

    #[test_case("fd00::1", "FD00:0:0:0:0:0:0:1")]
    #[test_case("fd00::1", "[fd00::0001]")]
    #[test_case("10.10.10.12", "::ffff:10.10.10.12")]
    #[test_case("10.10.10.12", "::ffff:a0a:a0c")]
    fn one_address_in_two_spellings(one: &str, other: &str) {
        assert!(parse(one).is_some());
        assert_eq!(parse(one), parse(other));
    }

    proptest! {
        #[test]
        fn every_address_is_read_back(v4: u32, v6: u128) {
            let v4 = std::net::Ipv4Addr::from(v4);
            prop_assert_eq!(parse(&v4.to_string()), Some(v4.into()));
            let v6 = std::net::Ipv6Addr::from(v6);
            prop_assert_eq!(parse(&format!("[{v6}]")), Some(IpAddr::from(v6).to_canonical()));
            let groups: Vec<String> = v6.segments().iter().map(|group| format!("{group:04X}")).collect();
            prop_assert_eq!(parse(&groups.join(":")), parse(&v6.to_string()));
        }
    }
}
