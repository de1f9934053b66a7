//! The reader against databases that etcd has made, and against damage.

use super::bolt::Bolt;
use super::contents::compaction;
use super::tree::Walk;
use super::{Seal, Snapshot, Trouble, verify};
use crate::block_on;
use ansible_protocol::Failure;
use etcd_client::Client;
use etcd_testbed::{Cluster, Options, Version};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

async fn connect(cluster: &Cluster) -> Client {
    Client::connect(cluster.endpoints(), None).await.unwrap()
}

async fn put(client: &mut Client, key: &str, value: &[u8]) {
    client.put(key, value, None).await.unwrap();
}

/// Keys enough for several levels of branches, long and short values, changes and deletions.
fn fill(cluster: &Cluster) {
    block_on(async {
        let mut client = connect(cluster).await;
        for key in 0..3000_u32 {
            put(&mut client, &format!("/some/directory/of/keys/{:08}", key.wrapping_mul(2_654_435_761)), &[7; 40])
                .await;
        }
        for (number, length) in [1, 2_000, 5_000, 100_000, 1_000_000].into_iter().enumerate() {
            put(&mut client, &format!("/long/{number}"), &vec![b'x'; length]).await;
            put(&mut client, &"k".repeat(length.min(60_000)), b"").await;
        }
        for _ in 0..3 {
            put(&mut client, "/again", b"value").await;
            client.delete("/again", None).await.unwrap();
        }
        client.lease_grant(3600, None).await.unwrap();
        Ok(())
    })
    .unwrap();
}

fn save(cluster: &Cluster, name: &str) -> PathBuf {
    let path = cluster.directory().join(name);
    cluster.etcdctl(&["snapshot", "save", path.to_str().unwrap()]);
    path
}

/// What that version's tool says of the file.
fn status(version: Version, path: &Path) -> Value {
    let tool = version.executable(if version == Version::V3_4 { "etcdctl" } else { "etcdutl" });
    let mut command = Command::new(tool);
    let output = command.args(["snapshot", "status", "--write-out", "json"]).arg(path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// CRC-32C, bit by bit.
fn crc(mut crc: u32, bytes: &[u8]) -> u32 {
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82F6_3B78 & (crc & 1).wrapping_neg());
        }
    }
    crc
}

/// etcd's hash of all buckets' names, keys and values, in their order.
fn hash(path: &Path) -> u32 {
    let file = File::open(path).unwrap();
    let bolt = Bolt::open(&file).unwrap().unwrap();
    let mut walk = Walk::new(&bolt);
    let mut hash = u32::MAX;
    for bucket in walk.buckets().unwrap() {
        hash = crc(hash, &bucket.name);
        walk.entries(&bucket, &mut |key, value| {
            hash = crc(crc(hash, key), value);
            Ok(())
        })
        .unwrap();
    }
    !hash
}

#[test]
fn every_byte_is_read_as_every_version_of_etcd_reads_it() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 1, Options::default());
        let empty = save(&cluster, "empty.db");
        fill(&cluster);
        let full = save(&cluster, "full.db");
        for path in [&empty, &full] {
            let found = verify(path, false).unwrap();
            let (own, newest) = (status(version, path), status(Version::V3_7, path));
            assert_eq!(own["hash"], hash(path), "{version:?}");
            assert_eq!(newest["hash"], hash(path), "{version:?}");
            assert_eq!(newest["totalKey"], found.contents.total_keys, "{version:?}");
            assert_eq!(own["totalSize"], found.size - 32);
            // What has no key yet is at revision 1, as etcd itself counts.
            assert_eq!(own["revision"].as_i64().unwrap().max(1), found.contents.revision);
        }
    }
}

#[test]
fn keys_are_counted_right_in_the_middle_of_a_compaction() {
    for version in [Version::V3_6, Version::V3_7] {
        let config =
            vec![("compaction-batch-limit", "50".to_owned()), ("compaction-sleep-interval", "60000000000".to_owned())];
        let cluster = Cluster::start(version, 1, Options { config, ..Options::default() });
        block_on(async {
            let mut client = connect(&cluster).await;
            for number in 0..600 {
                put(&mut client, &format!("/key/{}", number % 90), b"value").await;
                if number % 7 == 0 {
                    let key = format!("/key/{}", number % 60);
                    client.delete(key, None).await.unwrap();
                }
            }
            client.compact(400, None).await.unwrap();
            Ok(())
        })
        .unwrap();
        // The first batch is gone at once, the second one in a minute.
        let scan = || {
            let path = save(&cluster, "compacting.db");
            let file = File::open(&path).unwrap();
            let bolt = Bolt::open(&file).unwrap().unwrap();
            let mut walk = Walk::new(&bolt);
            let buckets = walk.buckets().unwrap();
            let find = |name: &[u8]| buckets.iter().find(|bucket| bucket.name == name).unwrap();
            let mut records = 0;
            let read = compaction(&mut walk, find(b"meta")).unwrap();
            walk.entries(find(b"key"), &mut |_, _| {
                records += 1;
                Ok(())
            })
            .unwrap();
            (path, read, records)
        };
        etcd_testbed::wait_for("the first batch of the compaction", || scan().2 < 686);
        let (path, read, records) = scan();
        assert!(records > 400, "the compaction is not at its beginning: {records} records");
        assert_eq!((read.finished, read.scheduled), (0, 400));
        let Snapshot { contents, .. } = verify(&path, false).unwrap();
        assert_eq!(status(Version::V3_7, &path)["totalKey"], contents.total_keys);
    }
}

/// A small snapshot, with branches and a long value.
static SAMPLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let cluster = Cluster::start(Version::V3_6, 1, Options::default());
    block_on(async {
        let mut client = connect(&cluster).await;
        for key in 0..400 {
            put(&mut client, &format!("/directory/{key}"), b"value").await;
        }
        put(&mut client, "/long", &[b'x'; 20_000]).await;
        Ok(())
    })
    .unwrap();
    fs::read(save(&cluster, "sample.db")).unwrap()
});

fn verify_bytes(bytes: &[u8], without_hash: bool) -> Result<Snapshot, Failure> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("snapshot.db");
    fs::write(&path, bytes).unwrap();
    verify(&path, without_hash)
}

fn flipped(mut bytes: Vec<u8>, bits: &[prop::sample::Index]) -> Vec<u8> {
    for bit in bits {
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn one_changed_bit_is_found_anywhere(bit: prop::sample::Index) {
        let failure = verify_bytes(&flipped(SAMPLE.clone(), &[bit]), true).unwrap_err();
        prop_assert!(failure.details.contains_key("trouble"), "{}", failure);
    }

    #[test]
    fn a_missing_end_is_found_wherever_it_began(length: prop::sample::Index) {
        let length = length.index(SAMPLE.len());
        prop_assert!(verify_bytes(&SAMPLE[..length], false).unwrap_err().details.contains_key("trouble"));
    }

    /// What is wrong inside, under a SHA-256 that fits, is read without harm, and never taken for another count.
    #[test]
    fn whatever_the_pages_say_reading_them_ends(bits in prop::collection::vec(any::<prop::sample::Index>(), 1..6)) {
        let mut bytes = flipped(SAMPLE[..SAMPLE.len() - 32].to_vec(), &bits);
        let copy = verify_bytes(&bytes, true);
        let mut seal = Seal::default();
        seal.update(&bytes);
        let hex = seal.hex();
        bytes.extend((0..32).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()));
        let sealed = verify_bytes(&bytes, false);
        let contents = |found: Result<Snapshot, Failure>| found.map(|found| found.contents).map_err(|failure| failure.msg.len() > 20);
        prop_assert_eq!(contents(copy), contents(sealed));
    }
}

fn trouble(bytes: &[u8]) -> (Value, String) {
    let failure = verify_bytes(bytes, false).unwrap_err();
    let msg = failure.msg.split_once("snapshot.db ").unwrap().1.to_owned();
    (failure.details["trouble"].clone(), msg)
}

#[test]
fn every_trouble_is_named() {
    let sample = SAMPLE.as_slice();
    let body = &sample[..sample.len() - 32];
    let next = "; do not restore from it, take or choose another one";
    let short = format!("is truncated: 5000 of {} bytes are there{next}", sample.len());
    assert_eq!(trouble(&sample[..5000]), (json!(Trouble::Truncated), short));
    let copy = "is a copy of a member's database (member/snap/db), or a snapshot that lost its end: without the SHA-256 \
                there, nobody can tell whether it has changed; take a snapshot instead, or accept it as it is with \
                without_hash: true";
    assert_eq!(trouble(body), (json!(Trouble::WithoutHash), copy.to_owned()));
    let (foreign, short) = (b"-----BEGIN CERTIFICATE-----\n".repeat(50), b"PK");
    for bytes in [&foreign[..], &short[..], &[]] {
        let (trouble, msg) = trouble(bytes);
        let wanted = format!("is no snapshot of etcd: it does not begin with a bbolt database{next}");
        assert_eq!((trouble, msg), (json!(Trouble::NoSnapshot), wanted));
    }
    let (long, mut damaged) = ([sample, b"x"].concat(), sample.to_vec());
    assert_eq!(trouble(&long).1, format!("is damaged: 33 bytes follow its database, instead of a SHA-256 of 32{next}"));
    damaged[sample.len() / 2] ^= 1;
    let wanted = format!("is damaged: its content does not fit the SHA-256 at its end{next}");
    assert_eq!(trouble(&damaged), (json!(Trouble::WrongHash), wanted));
    for page in [0, 4096] {
        damaged[page + 40] ^= 1;
    }
    assert_eq!(trouble(&damaged).1, format!("is damaged: both of its meta pages are damaged{next}"));
}

#[test]
fn a_copy_of_a_member_s_database_is_taken_when_told() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 1, Options::default());
        cluster.etcdctl(&["put", "key", "value"]);
        let saved = verify(&save(&cluster, "saved.db"), false).unwrap();
        cluster.member(0).stop();
        let path = cluster.member(0).data_dir().join("member/snap/db");
        let failure = verify(&path, false).unwrap_err();
        assert_eq!(failure.details["trouble"], json!(Trouble::WithoutHash), "{version:?} {failure}");
        let found = verify(&path, true).unwrap();
        assert!(!found.sealed);
        assert_eq!(found.contents, saved.contents, "{version:?}");
    }
}
