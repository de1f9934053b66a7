use crate::bed::Campaign;
use crate::view::member;
use crate::watching::{HOSTS, name, names};
use anyhow::{Result, ensure};

/// What happens to a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    /// One member's data is gone.
    Gone,
    /// One member's log is damaged.
    Log,
    /// One member holds other data than the others.
    Differs,
    /// The quota is used up, and nobody may write.
    Space,
    /// All but one have lost their data.
    Quorum,
    /// Nobody has any data; there is a snapshot.
    Everything,
    /// All but one have lost their data, and what that one has is given up for a snapshot.
    Back,
}

impl Damage {
    /// About as many tasks a run comes to that puts it right, as they were counted on 3.7.
    pub(crate) fn tasks(self) -> u64 {
        match self {
            Self::Space => 32,
            Self::Everything | Self::Back => 41,
            Self::Gone | Self::Differs => 63,
            Self::Quorum => 67,
            Self::Log => 84,
        }
    }
}

/// All of them.
pub(crate) const DAMAGES: [Damage; 7] =
    [Damage::Gone, Damage::Log, Damage::Differs, Damage::Space, Damage::Quorum, Damage::Everything, Damage::Back];

/// A quota that is soon used up, as the playbooks are told of it.
pub(crate) const QUOTA: &str = "{\"etcd_quota_backend_bytes\": 40000000}";
/// What is in the cluster, and not in the snapshot.
pub(crate) const LATER: &str = "later";

const STOPPED: &str = "systemctl kill --signal=KILL etcd; systemctl stop etcd; rm -rf /data/etcd";

/// A key that all members have, and its value.
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) value: String,
}

impl Campaign {
    /// Does the damage; this host's data is spared, where anybody's is. Returns what is to be said to the playbook.
    pub(crate) fn damage(&self, damage: Damage, kept: usize, entry: &Entry) -> Result<Vec<String>> {
        let on = |host: usize, script: &str| self.hosts(&["exec", &self.bed, &name(host), "bash", "-lc", script]);
        let victim = (kept + 1) % HOSTS;
        let others = || (0..HOSTS).filter(|host| *host != kept);
        match damage {
            Damage::Gone => on(victim, "systemctl stop etcd; rm -rf /data/etcd").map(|_| Vec::new()),
            Damage::Log => {
                let script = "systemctl stop etcd; for log in /data/etcd/member/wal/*.wal; do \
                              dd if=/dev/urandom of=$log bs=1 seek=600 count=200 conv=notrunc; done";
                on(victim, script).map(|_| Vec::new())
            }
            Damage::Differs => {
                // Wherever the database has the value; of what is in the log it has all when it stops in peace.
                let script = format!(
                    "set -e; systemctl stop etcd; db=/data/etcd/member/snap/db
                     found=$(grep -abo '{}' $db | cut -d: -f1); [ -n \"$found\" ]
                     for at in $found; do printf B | dd of=$db bs=1 seek=$at conv=notrunc; done
                     systemctl start etcd",
                    entry.value
                );
                on(victim, &script)?;
                self.agree(&names(), Some(&names().iter().map(|name| member(name, false)).collect()))?;
                let found = self.etcdctl(&name(victim), &["get", &entry.key, "--print-value-only"])?;
                ensure!(found.trim() != entry.value, "{} still has {}", name(victim), entry.value);
                Ok(Vec::new())
            }
            Damage::Space => {
                let script = "head -c 262500 /dev/urandom | base64 -w 0 >/var/tmp/large
                     for _ in $(seq 400); do
                         etcdctl put large </var/tmp/large || ! etcdctl alarm list | grep NOSPACE || exit 0
                     done
                     exit 1";
                on(kept, script).map(|_| Vec::new())
            }
            Damage::Quorum => {
                for host in others() {
                    on(host, STOPPED)?;
                }
                Ok(vec![format!("etcd_recover_from={}", self.address(kept)?)])
            }
            Damage::Everything | Damage::Back => {
                self.etcdctl(&name(kept), &["snapshot", "save", "/root/kept.db"])?;
                self.etcdctl(&name(kept), &["put", &entry.key, LATER])?;
                for host in others() {
                    on(host, STOPPED)?;
                }
                if damage == Damage::Everything {
                    on(kept, STOPPED)?;
                }
                Ok(vec![format!("etcd_snapshot={}:/root/kept.db", self.address(kept)?)])
            }
        }
    }

    /// The host's name in the inventory.
    fn address(&self, host: usize) -> Result<String> {
        let script = "hostname -I | cut -d' ' -f1";
        Ok(self.hosts(&["exec", &self.bed, &name(host), "sh", "-c", script])?.trim().to_owned())
    }
}
