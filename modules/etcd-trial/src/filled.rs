//! Clusters with something in them: what real ones hold, or just much of it.

use crate::chance::Chance;
use crate::endpoint::{Access, connect};
use anyhow::{Context as _, Result};
use etcd_client::{Client, CompactionOptions, DeleteOptions, PutOptions, Txn, TxnOp};
use etcd_testbed::Cluster;
use std::collections::BTreeMap;

/// As many as etcd takes in one transaction.
const OPERATIONS: usize = 128;
/// Bytes of values in one transaction: etcd takes 1.5 MiB.
const TRANSACTION: usize = 1 << 20;
/// Keys of [`varied`].
const KEYS: u64 = 1500;

/// How to get into the cluster as root.
///
/// # Errors
///
/// When its certificates cannot be read.
pub fn access(cluster: &Cluster, password: Option<&str>) -> Result<Access> {
    let login = password.map(|password| ("root".to_owned(), password.to_owned()));
    if !cluster.member(0).client_url().starts_with("https") {
        return Ok(Access { login, ..Access::default() });
    }
    let (pki, read) = (cluster.pki(), |path| std::fs::read_to_string(path));
    let client = pki.client();
    Ok(Access { authority: Some(read(pki.ca_cert())?), identity: Some((read(client.cert)?, read(client.key)?)), login })
}

async fn client(cluster: &Cluster, password: Option<&str>) -> Result<Client> {
    connect(cluster.member(0).client_url(), access(cluster, password)?).await
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// Short and long keys, empty values and some of a megabyte, changes, deletions, a compaction in the middle of them,
/// leases, users and roles.
///
/// # Errors
///
/// Whatever the cluster refuses.
pub fn varied(cluster: &Cluster, password: Option<&str>, chance: &mut Chance) -> Result<()> {
    runtime()?.block_on(async {
        let mut client = client(cluster, password).await?;
        put_many(&mut client, chance).await?;
        let lease = client.lease_grant(86_400, None).await?.id();
        client.put("/leased", "for a day", Some(PutOptions::new().with_lease(lease))).await?;
        client.delete("/varied/3", Some(DeleteOptions::new().with_prefix())).await?;
        let middle = client.put("/middle", "", None).await?.header().context("a header")?.revision();
        client.compact(middle - 20, Some(CompactionOptions::new().with_physical())).await?;
        for number in 0..60 {
            client.put(format!("/again/{}", number % 7), vec![b'a'; number], None).await?;
            client.delete(format!("/again/{}", number % 3), None).await?;
        }
        put_many(&mut client, chance).await?;
        client.delete("/varied/5", Some(DeleteOptions::new().with_prefix())).await?;
        anyhow::Ok(())
    })?;
    for role in ["reader", "writer"] {
        cluster.etcdctl(&["role", "add", role]);
        cluster.etcdctl(&["role", "grant-permission", role, "readwrite", "/varied/", "--prefix"]);
        cluster.etcdctl(&["user", "add", &format!("{role}-1:xyzzy")]);
        cluster.etcdctl(&["user", "grant-role", &format!("{role}-1"), role]);
    }
    Ok(())
}

async fn put_many(client: &mut Client, chance: &mut Chance) -> Result<()> {
    // Few at once, for many revisions.
    let mut batch = Batch::of(8);
    for number in 0..KEYS {
        let tail = "k".repeat(length(chance, 8));
        // Most are short; some take more than one page, and a few very many.
        let size = match number % 300 {
            0 => length(chance, 20),
            1..20 => length(chance, 14),
            _ => length(chance, 8),
        };
        batch.put(client, format!("/varied/{}/{tail}", number % 1100), bytes(chance, size)).await?;
    }
    batch.send(client).await
}

/// Values of 128 bytes to 16 KiB, until there are so many bytes of them.
///
/// # Errors
///
/// Whatever the cluster refuses.
pub fn bulk(cluster: &Cluster, total: u64, chance: &mut Chance) -> Result<()> {
    let mut written = 0;
    let sizes = std::iter::from_fn(|| {
        let size = 128 + length(chance, 14);
        written += size as u64;
        (written <= total).then(|| bytes(chance, size))
    });
    put_all(cluster, None, sizes)
}

/// So many keys with small values.
///
/// # Errors
///
/// Whatever the cluster refuses.
pub fn small(cluster: &Cluster, password: Option<&str>, count: u64, chance: &mut Chance) -> Result<()> {
    put_all(cluster, password, (0..count).map(|_| bytes(chance, 100)))
}

fn put_all(cluster: &Cluster, password: Option<&str>, values: impl Iterator<Item = Vec<u8>>) -> Result<()> {
    runtime()?.block_on(async {
        let mut client = client(cluster, password).await?;
        let mut batch = Batch::of(OPERATIONS);
        for (number, value) in (0_u64..).zip(values) {
            let key = format!("/bulk/{:016x}", number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            batch.put(&mut client, key, value).await?;
        }
        batch.send(&mut client).await
    })
}

/// Up to two to the power of `bits`, small numbers being as likely as large ones.
fn length(chance: &mut Chance, bits: u64) -> usize {
    let exponent = chance.number() % (bits + 1);
    usize::try_from(chance.number() % (1 << exponent)).unwrap_or(0)
}

/// Bytes that nothing can compress.
fn bytes(chance: &mut Chance, count: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..count.div_ceil(8)).flat_map(|_| chance.number().to_le_bytes()).collect();
    bytes.truncate(count);
    bytes
}

/// What goes into one transaction.
struct Batch {
    most: usize,
    operations: BTreeMap<String, TxnOp>,
    size: usize,
}

impl Batch {
    fn of(most: usize) -> Self {
        Self { most, operations: BTreeMap::new(), size: 0 }
    }

    async fn put(&mut self, client: &mut Client, key: String, value: Vec<u8>) -> Result<()> {
        let twice = self.operations.contains_key(&key);
        if twice || self.operations.len() == self.most || self.size + value.len() > TRANSACTION {
            self.send(client).await?;
        }
        self.size += value.len();
        self.operations.insert(key.clone(), TxnOp::put(key, value, None));
        Ok(())
    }

    async fn send(&mut self, client: &mut Client) -> Result<()> {
        let operations: Vec<TxnOp> = std::mem::take(&mut self.operations).into_values().collect();
        self.size = 0;
        client.txn(Txn::new().and_then(operations)).await?;
        Ok(())
    }
}
