//! Against what etcd itself answers.

use super::*;
use crate::block_on;
use etcd_client::{Client, CompactionOptions};
use etcd_testbed::{Cluster, Options, Version};
use proptest::prelude::*;
use std::path::PathBuf;
use std::process::Command;

#[test]
fn the_sum_is_castagnoli_s() {
    let mut crc = Crc::default();
    crc.add(b"1234");
    crc.add(b"56789");
    assert_eq!(crc.0, 0xE306_9283);
}

/// What is done to a cluster.
#[derive(Clone, Debug)]
enum Act {
    Put(u8, u8),
    Delete(u8),
    DeleteAll,
    Compact(u8),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        8 => (0..12_u8, any::<u8>()).prop_map(|(key, value)| Act::Put(key, value)),
        3 => (0..12_u8).prop_map(Act::Delete),
        1 => Just(Act::DeleteAll),
        2 => (0..4_u8).prop_map(Act::Compact),
    ];
    prop::collection::vec(act, 1..60)
}

async fn perform(client: &mut Client, acts: &[Act]) {
    for act in acts {
        match act {
            Act::Put(key, value) => drop(client.put(format!("key{key}"), vec![*value; 9], None).await.unwrap()),
            Act::Delete(key) => drop(client.delete(format!("key{key}"), None).await.unwrap()),
            Act::DeleteAll => {
                let all = etcd_client::DeleteOptions::new().with_prefix();
                drop(client.delete("key", Some(all)).await.unwrap());
            }
            Act::Compact(back) => {
                let revision = client.get("x", None).await.unwrap().header().unwrap().revision();
                // Refused where it was done already.
                let physically = CompactionOptions::new().with_physical();
                let _ = client.compact(revision - i64::from(*back), Some(physically)).await;
            }
        }
    }
}

fn saved(cluster: &Cluster) -> PathBuf {
    let path = cluster.directory().join("saved.db");
    let _ = std::fs::remove_file(&path);
    cluster.etcdctl(&["snapshot", "save", path.to_str().unwrap()]);
    path
}

/// On every version and after every history: the hash, whether it takes one walk or many, and the number of keys.
#[test]
fn it_is_what_etcd_answers() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 1, Options::default());
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
            cases: 8,
            failure_persistence: None,
            ..ProptestConfig::default()
        });
        let ran = runner.run(&acts(), |acts| {
            block_on(async {
                let mut client = Client::connect(cluster.endpoints(), None).await.unwrap();
                perform(&mut client, &acts).await;
                Ok(())
            })
            .unwrap();
            // A member that has compacted remembers the hash of what there was before.
            cluster.member(0).restart();
            let (hash, count, revision) = block_on(async {
                let mut client = Client::connect(cluster.endpoints(), None).await.unwrap();
                let all = etcd_client::GetOptions::new().with_all_keys().with_count_only();
                let got = client.get("", Some(all)).await.unwrap();
                let revision = got.header().unwrap().revision();
                let hash = match client.hash_kv(revision).await {
                    Ok(answer) => Some(answer.hash()),
                    // 3.4 does not answer at the revision of a compaction itself.
                    Err(error) if version == Version::V3_4 && error.to_string().contains("compacted") => None,
                    Err(error) => panic!("{error}"),
                };
                Ok((hash, got.count(), revision))
            })
            .unwrap();
            let file = File::open(saved(&cluster)).unwrap();
            for at_once in [1, 3, AT_ONCE] {
                let found = Fingerprint::read_by(&file, at_once).unwrap();
                prop_assert_eq!(found.revision, revision);
                prop_assert_eq!(found.total_keys, u64::try_from(count).unwrap());
                prop_assert!(hash.is_none() || found.hash == hash, "{version:?} {at_once} {hash:?} {found:?}");
            }
            Ok(())
        });
        if let Err(error) = ran {
            panic!("{version:?}: {error}");
        }
    }
}

/// A cluster that was restored with raised revisions has a record that is no key, and a compaction ahead of it.
#[test]
fn revisions_that_were_raised_count_as_etcd_counts_them() {
    for version in [Version::V3_6, Version::V3_7] {
        let cluster = Cluster::start(version, 1, Options::default());
        for key in 0..5 {
            cluster.etcdctl(&["put", &format!("key{key}"), "value"]);
        }
        cluster.etcdctl(&["del", "key2"]);
        let path = saved(&cluster);
        let member = cluster.member(0);
        member.stop();
        std::fs::remove_dir_all(member.data_dir()).unwrap();
        let restored = Command::new(version.executable("etcdutl"))
            .args(["snapshot", "restore", "--bump-revision=1000", "--mark-compacted", "--data-dir"])
            .arg(member.data_dir())
            .arg(format!("--name={}", member.name()))
            .arg(format!("--initial-cluster={}", member.initial_cluster()))
            .arg(format!("--initial-advertise-peer-urls={}", member.peer_url()))
            .arg(&path)
            .status()
            .unwrap();
        assert!(restored.success());
        let file = File::open(member.data_dir().join("member/snap/db")).unwrap();
        assert_eq!(Fingerprint::read(&file).unwrap().hash, None, "a compaction is ahead");
        member.start();
        cluster.etcdctl(&["put", "key3", "other"]);
        let hash = |revision| {
            block_on(async {
                let mut client = Client::connect(cluster.endpoints(), None).await.unwrap();
                Ok(client.hash_kv(revision).await.unwrap().hash())
            })
            .unwrap()
        };
        let found = Fingerprint::read(&File::open(saved(&cluster)).unwrap()).unwrap();
        assert_eq!((found.total_keys, found.revision), (4, 1008));
        assert_eq!(found.hash, Some(hash(1008)), "{version:?}");
    }
}

#[test]
fn users_and_roles_are_read() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 1, Options::auth("S3cret!"));
        for words in
            ["role add reader", "role grant-permission reader --prefix=true read /app/", "user add --no-password ann"]
        {
            cluster.etcdctl(&words.split(' ').collect::<Vec<_>>());
        }
        cluster.etcdctl(&["user", "grant-role", "ann", "reader"]);
        let access = Fingerprint::read(&File::open(saved(&cluster)).unwrap()).unwrap().access;
        assert!(access.enabled);
        assert_eq!(access.users["ann"], ["reader"]);
        assert_eq!(access.users["root"], ["root"]);
        let reader = &access.roles["reader"][0];
        assert_eq!((reader.key.as_slice(), reader.range_end.as_slice()), (&b"/app/"[..], &b"/app0"[..]));
        assert_eq!(access.users.len(), 2);
    }
}
