//! Each of etcd's refusals, provoked past the module's own judgement.

use super::*;
use crate::calls;
use crate::refusal::Refusal;
use etcd_ops::client::MemberClient;

/// What etcd answers, and that it changed nothing by it.
#[track_caller]
fn answer(cluster: &Cluster, talk: impl AsyncFn(&MemberClient) -> calls::Answer) -> Result<(), Refusal> {
    led(cluster, async |led| {
        let client = led.client.as_ref().ok_or_else(|| crate::apply::leaderless(&led.view))?;
        talk(client).await
    })
}

#[track_caller]
fn refuses(cluster: &Cluster, wanted: Refusal, talk: impl AsyncFn(&MemberClient) -> calls::Answer) {
    let before = fixed(cluster);
    assert_eq!(answer(cluster, talk), Err(wanted), "{:?}", cluster.member(0).version());
    assert_eq!(fixed(cluster), before, "a refusal changed something");
}

const URL: &str = "https://127.0.0.1:19";

fn urls(urls: &[&str]) -> Vec<String> {
    urls.iter().map(ToString::to_string).collect()
}

#[test]
fn of_learners() {
    for version in Version::ALL {
        let cluster = start(version, 1);
        let founder = view(&cluster).members[0].id;
        refuses(&cluster, Refusal::NotLearner, async |client| calls::promote(client, "promote", founder).await);
        refuses(&cluster, Refusal::NotFound, async |client| calls::remove(client, "remove", 0xabc).await);
        answer(&cluster, async |client| calls::add(client, "add", &urls(&[URL]), true).await).unwrap();
        let learner = view(&cluster).members.into_iter().find(|member| member.is_learner).unwrap().id;
        refuses(&cluster, Refusal::NotInSync, async |client| calls::promote(client, "promote", learner).await);
        refuses(&cluster, Refusal::PeerUrlExists, async |client| {
            calls::add(client, "add", &urls(&["https://127.0.0.1:17", URL]), true).await
        });
        refuses(&cluster, Refusal::TooManyLearners, async |client| {
            calls::add(client, "add", &urls(&["https://127.0.0.1:18"]), true).await
        });
        answer(&cluster, async |client| calls::remove(client, "remove", learner).await).unwrap();
        // Removed for good is not found, too.
        for _ in 0..2 {
            refuses(&cluster, Refusal::NotFound, async |client| calls::remove(client, "remove", learner).await);
        }
    }
}

#[test]
fn of_the_same_member_in_the_same_second() {
    for version in Version::ALL {
        let cluster = start(version, 1);
        let add = async |client: &MemberClient| calls::add(client, "add", &urls(&[URL]), true).await;
        let mut seen = Vec::new();
        wait_for("two attempts within a second", || {
            seen.extend(led(&cluster, async |led| {
                let client = led.client.as_ref().unwrap();
                Ok([add(client).await?, add(client).await?])
            }));
            for member in view(&cluster).members.into_iter().filter(|member| member.is_learner) {
                answer(&cluster, async |client| calls::remove(client, "remove", member.id).await).unwrap();
            }
            seen.contains(&Err(Refusal::IdExists))
        });
        let known = [Ok(()), Err(Refusal::IdExists), Err(Refusal::PeerUrlExists), Err(Refusal::NotFound)];
        assert!(seen.iter().all(|answer| known.contains(answer)), "{seen:?}");
    }
}

#[test]
fn of_a_cluster_whose_voters_never_started() {
    for version in Version::ALL {
        let cluster = start(version, 1);
        // One more voter, and it is over: it takes two to decide anything.
        let answers = block_on(async {
            let session = session(&cluster);
            let client = leader::find(&session).await?.client.unwrap();
            let first = calls::add(&client, "add", &urls(&[URL]), false).await?;
            Ok([first, calls::add(&client, "add", &urls(&["https://127.0.0.1:18"]), false).await?])
        });
        assert_eq!(answers.unwrap(), [Ok(()), Err(Refusal::NotEnoughStarted)], "{version:?}");
    }
}

#[test]
fn of_a_cluster_that_is_not_connected() {
    for version in Version::ALL {
        let cluster = start(version, 3);
        let down = cluster.follower();
        let before = view(&cluster);
        let id =
            |place: usize| before.members.iter().find(|found| found.name == cluster.member(place).name()).unwrap().id;
        cluster.member(down).kill();
        let leader = cluster.leader();
        let metric = format!("etcd_network_active_peers{{Local=\"{:x}\",Remote=\"{:x}\"}}", id(leader), id(down));
        wait_for("the leader to notice", || cluster.member(leader).metric(&metric) == Some(0.0));
        refuses(&cluster, Refusal::Unhealthy, async |client| calls::add(client, "add", &urls(&[URL]), true).await);
        let other = (0..3).find(|place| *place != down && *place != leader).unwrap();
        refuses(&cluster, Refusal::Unhealthy, async |client| calls::remove(client, "remove", id(other)).await);
    }
}

#[test]
fn each_has_a_message_of_its_own() {
    let all = [
        (Refusal::TooManyLearners, ErrorKind::Conflict, "wait until it is promoted"),
        (Refusal::NotInSync, ErrorKind::Timeout, "has not caught up"),
        (Refusal::NotLearner, ErrorKind::Conflict, "is a voter already"),
        (Refusal::NotFound, ErrorKind::Conflict, "has been removed from it for good"),
        (Refusal::Unhealthy, ErrorKind::QuorumRisk, "reach each other's peer URLs"),
        (Refusal::NotEnoughStarted, ErrorKind::QuorumRisk, "have ever started"),
        (Refusal::IdExists, ErrorKind::Conflict, "in the same second"),
        (Refusal::PeerUrlExists, ErrorKind::Conflict, "has one of these peer URLs"),
        (Refusal::NotLeader, ErrorKind::NoLeader, "leadership has just moved"),
    ];
    for (refusal, kind, part) in all {
        let failure = refusal.explain("add etcd-2", "https://x:1");
        assert_eq!(failure.kind, kind);
        assert!(
            failure.msg.starts_with("cannot add etcd-2 on https://x:1: ") && failure.msg.contains(part),
            "{failure}"
        );
        assert_eq!(Refusal::of(&failure.msg), Some(refusal), "{failure}");
    }
}
