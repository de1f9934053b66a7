//! Alarms, as a member's status tells them: each member tells all of its cluster.

use ansible_protocol::order;
use serde::Serialize;

/// The alarm of data that differs between members.
pub const CORRUPT: &str = "CORRUPT";

/// An alarm of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Alarm {
    /// `NOSPACE` or `CORRUPT`.
    pub kind: String,
    /// The member it names. etcd does not always know whom to blame, and then it names nobody.
    #[serde(serialize_with = "as_hex")]
    pub member_id: Option<u64>,
}

#[expect(clippy::ref_option, reason = "serde's signature")]
fn as_hex<S: serde::Serializer>(id: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    match id {
        Some(id) => serializer.serialize_some(&crate::hex(*id)),
        None => serializer.serialize_none(),
    }
}

/// The alarms among these troubles of members, each once. One is worded `memberID:7 alarm:CORRUPT`, the number in decimal and
/// left out where it is 0; how many spaces there are differs from one etcd to the next.
#[must_use]
pub fn among<'a>(troubles: impl IntoIterator<Item = &'a String>) -> Vec<Alarm> {
    let mut alarms: Vec<Alarm> = troubles.into_iter().filter_map(|trouble| read(trouble)).collect();
    order::sort(&mut alarms);
    alarms.dedup();
    alarms
}

fn read(trouble: &str) -> Option<Alarm> {
    let field = |name: &str| {
        let (_, rest) = trouble.split_once(name)?;
        rest.trim_start().split(|c: char| !c.is_alphanumeric()).next()
    };
    let kind = field("alarm:").filter(|kind| !kind.is_empty())?;
    let member_id = field("memberID:").and_then(|id| id.parse().ok()).filter(|id| *id != 0);
    Some(Alarm { kind: kind.to_owned(), member_id })
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("memberID:10501334649042878790 alarm:NOSPACE ", Some(("NOSPACE", Some(10_501_334_649_042_878_790))); "named")]
    #[test_case("memberID:7  alarm:CORRUPT", Some(("CORRUPT", Some(7))); "with more space")]
    #[test_case("alarm:CORRUPT ", Some(("CORRUPT", None)); "nobody")]
    #[test_case("memberID:0 alarm:CORRUPT", Some(("CORRUPT", None)); "nobody, with a number")]
    #[test_case("etcdserver: no leader", None; "another trouble")]
    #[test_case("alarm:", None; "cut short")]
    fn alarms_are_read(trouble: &str, wanted: Option<(&str, Option<u64>)>) {
        let wanted: Vec<Alarm> =
            wanted.into_iter().map(|(kind, member_id)| Alarm { kind: kind.to_owned(), member_id }).collect();
        let trouble = trouble.to_owned();
        // Every member tells it.
        assert_eq!(among([&trouble, &trouble]), wanted);
    }
}
