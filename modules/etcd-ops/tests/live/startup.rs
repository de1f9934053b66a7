use etcd_ops::startup::{explain, is_damaged};
use etcd_testbed::{Cluster, Member, Options, Version, wait_for};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

const JOIN: &str = "./etcd.yml -l 10.0.0.1 -e etcd_init=existing";
const REMOVE: &str = "./etcd-rm.yml -l 10.0.0.1";

/// What the member's log explains.
fn explained(member: &Member) -> String {
    let log = member.log();
    let lines: Vec<&str> = log.lines().collect();
    explain(&lines, "10.0.0.1").unwrap_or_else(|| panic!("nothing is explained:\n{log}"))
}

/// What it explains of a start that ends by itself.
fn ended(member: &Member) -> String {
    member.spawn();
    assert!(!member.wait_exit().unwrap().success());
    explained(member)
}

#[track_caller]
fn says(version: Version, sentence: &str, parts: &[&str]) {
    for part in parts {
        assert!(sentence.contains(part), "{version:?}: {part:?} is not in: {sentence}");
    }
}

/// Makes the member one that joins the cluster.
fn joins(cluster: &Cluster, member: &Member) {
    let all: Vec<String> = cluster.members().iter().map(Member::initial_cluster).collect();
    member.configure("initial-cluster", &format!("{},{}", all.join(","), member.initial_cluster()));
    member.configure("initial-cluster-state", "existing");
}

#[test]
fn a_host_that_was_not_added() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 1, Options::default());
        let spare = cluster.spare("etcd-2");
        joins(&cluster, &spare);
        says(version, &ended(&spare), &["this host has not been added", JOIN]);
        // It serves in the end, and then its log explains nothing, although it holds the earlier reason.
        cluster.etcdctl(&["member", "add", "etcd-2", "--peer-urls", &spare.peer_url()]);
        fs::remove_dir_all(spare.data_dir()).unwrap();
        spare.start();
        let log = spare.log();
        assert_eq!(explain(&log.lines().collect::<Vec<_>>(), "10.0.0.1"), None, "{version:?}");
    }
}

#[test]
fn a_host_that_was_added_with_other_urls() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 1, Options::default());
        let (spare, elsewhere) = (cluster.spare("etcd-2"), cluster.spare("elsewhere"));
        cluster.etcdctl(&["member", "add", "etcd-2", "--peer-urls", &elsewhere.peer_url()]);
        joins(&cluster, &spare);
        says(version, &ended(&spare), &["other peer URLs than its initial-cluster", "bin/etcd-rm", JOIN]);
    }
}

#[test]
fn a_member_whose_data_is_gone_and_then_its_peers() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 2, Options::default());
        cluster.member(1).stop();
        fs::remove_dir_all(cluster.member(1).data_dir()).unwrap();
        says(version, &ended(cluster.member(1)), &["its data is gone", REMOVE, JOIN]);
        cluster.member(0).stop();
        cluster.member(1).configure("initial-cluster-state", "existing");
        says(version, &ended(cluster.member(1)), &["none of the other members", JOIN]);
    }
}

#[test]
fn a_member_that_was_removed() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 3, Options::default());
        let list = cluster.etcdctl(&["member", "list"]);
        let id = list.lines().find(|line| line.contains("etcd-3")).and_then(|line| line.split(',').next()).unwrap();
        // A cluster that has just started takes a while to count its members as connected.
        // It may be asked itself, and end before it has answered.
        let gone = || cluster.etcdctl_as(None, &["member", "list"]).is_ok_and(|list| !list.contains(id));
        wait_for("the removal", || cluster.etcdctl_as(None, &["member", "remove", id]).is_ok() || gone());
        cluster.member(2).wait_exit();
        let wanted = ["removed from its cluster", REMOVE, JOIN];
        says(version, &explained(cluster.member(2)), &wanted);
        cluster.member(2).spawn();
        cluster.member(2).wait_exit();
        says(version, &explained(cluster.member(2)), &wanted);
    }
}

#[test]
fn members_of_different_clusters() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 2, Options { only: Some(0), ..Options::default() });
        cluster.member(1).configure("initial-cluster-token", "other");
        cluster.members().iter().for_each(Member::spawn);
        for member in cluster.members() {
            wait_for("the mismatch", || member.log().contains("cluster ID mismatch"));
            says(version, &explained(member), &["belong to different clusters", REMOVE, JOIN]);
        }
    }
}

#[test]
fn an_etcd_that_is_older_than_its_data() {
    for pair in Version::ALL.windows(2) {
        let (old, new) = (pair[0], pair[1]);
        let cluster = Cluster::start(new, 1, Options::default());
        let member = cluster.member(0);
        let known = ["set initial cluster version", "updated cluster version", "set cluster version"];
        wait_for("the cluster's version", || known.iter().any(|text| member.log().contains(text)));
        member.stop();
        member.set_version(old);
        says(old, &ended(member), &[new.series(), "install", "-t etcd_install"]);
    }
}

#[test]
fn an_address_that_is_taken() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 1, Options::default());
        let spare = cluster.spare("etcd-2");
        spare.configure("listen-client-urls", &cluster.member(0).client_url());
        let address = cluster.member(0).client_url().replace("http://", "");
        says(version, &ended(&spare), &[&format!("{address} is in use by another process"), "ss -ltnp"]);
    }
}

#[test]
fn data_that_belongs_to_somebody_else() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 1, Options { only: Some(0), ..Options::default() });
        let member = cluster.member(0);
        fs::create_dir(member.data_dir()).unwrap();
        for path in [cluster.directory(), member.config_file().parent().unwrap(), &member.data_dir()] {
            fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
        }
        let mut command = Command::new(version.executable("etcd"));
        command.arg("--config-file").arg(member.config_file()).uid(65534).gid(65534);
        let output = command.output().expect("run etcd as somebody else, for which this has to be root");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let sentence = explain(&said.lines().collect::<Vec<_>>(), "10.0.0.1").unwrap_or_else(|| panic!("{said}"));
        let wanted = format!("it may not use {}", member.data_dir().display());
        says(version, &sentence, &[&wanted, "-t etcd_dir,etcd_config"]);
    }
}

#[test]
fn a_database_that_another_process_has_open() {
    // All at once, for etcd complains only after ten seconds.
    let clusters = Version::ALL.map(|version| Cluster::start(version, 1, Options::default()));
    let second = |cluster: &Cluster| {
        let spare = cluster.spare("etcd-2");
        spare.configure("data-dir", &format!("{:?}", cluster.member(0).data_dir()));
        spare.spawn();
        spare
    };
    let spares: Vec<Member> = clusters.iter().map(second).collect();
    for (version, spare) in Version::ALL.into_iter().zip(&spares) {
        wait_for("etcd's complaint", || spare.log().contains("flocked by another process"));
        says(version, &explained(spare), &["another process has its database open", "fuser -v"]);
    }
}

/// How the member's last start ended: whether with damage, and what is explained.
fn end_of(member: &Member) -> (bool, Option<String>) {
    let log = member.log();
    let lines: Vec<&str> = log.lines().collect();
    (is_damaged(&lines), explain(&lines, "10.0.0.1"))
}

/// A cluster of one whose database has all keys on the disk, stopped.
fn whole(version: Version) -> Cluster {
    let cluster = Cluster::start(version, 1, Options::default());
    for number in 0..50 {
        cluster.etcdctl(&["put", &format!("key{number}"), &"x".repeat(1000)]);
    }
    cluster.member(0).stop();
    assert_eq!(end_of(cluster.member(0)), (false, None), "{version:?}");
    cluster
}

type Damage = fn(&mut Vec<u8>);

#[test]
fn damage_of_each_file_is_told() {
    let damages: [(&str, Damage); 4] = [
        ("a log with other bytes", |log| log[3000..3008].fill(0xFF)),
        ("a database without a beginning", |db| db[..8192].fill(0)),
        ("a database with wrong pages", |db| db[8192..].chunks_mut(4096).for_each(|page| page[..16].fill(0xFF))),
        ("a database that was cut", |db| db.truncate(9000)),
    ];
    for version in Version::ALL {
        for (what, damage) in damages {
            let cluster = whole(version);
            let member = cluster.member(0);
            let log = fs::read_dir(member.data_dir().join("member/wal")).unwrap().map(|entry| entry.unwrap().path());
            let log = log.filter(|path| path.extension().is_some_and(|extension| extension == "wal")).min().unwrap();
            let path = if what.contains("log") { log } else { member.data_dir().join("member/snap/db") };
            let mut bytes = fs::read(&path).unwrap();
            damage(&mut bytes);
            fs::write(&path, bytes).unwrap();
            member.spawn();
            assert!(!member.wait_exit().unwrap().success(), "{version:?} {what}");
            assert_eq!(end_of(member), (true, None), "{version:?} {what}: {}", member.log());
        }
    }
}

/// What etcd says when a process of its own could not do better: the lines of a start under this command.
fn started_under(member: &Member, prefix: &[&str]) -> Vec<String> {
    let mut command = Command::new(prefix[0]);
    command.args(&prefix[1..]).arg(member.version().executable("etcd")).arg("--config-file").arg(member.config_file());
    let output = command.output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    said.lines().map(ToOwned::to_owned).collect()
}

#[test]
fn trouble_of_the_machine_is_no_damage() {
    for version in Version::ALL {
        let cluster = whole(version);
        let member = cluster.member(0);
        let data_dir = member.data_dir();
        let data_dir = data_dir.to_str().unwrap();
        let read_only =
            format!("mount --bind {data_dir} {data_dir} && mount -o remount,bind,ro {data_dir} && exec \"$@\"");
        let full = format!(
            "mkdir {data_dir}.full && mount -t tmpfs -o size=200k none {data_dir}.full && cp -r {data_dir}/member/snap {data_dir}.full 2>/dev/null; mount --bind {data_dir}.full {data_dir} && exec \"$@\""
        );
        let troubles: [(&str, &[&str]); 2] = [
            ("read-only file system", &["unshare", "-m", "sh", "-ec", &read_only, "sh"]),
            ("no space left on device", &["unshare", "-m", "sh", "-ec", &full, "sh"]),
        ];
        for (trouble, prefix) in troubles {
            let lines = started_under(member, prefix);
            assert!(!is_damaged(&lines), "{version:?} {trouble}: {lines:#?}");
            let reason = explain(&lines, "10.0.0.1").unwrap_or_else(|| panic!("{version:?} {trouble}: {lines:#?}"));
            says(version, &reason, &[trouble, "which may be whole", "-t etcd_launch"]);
        }
        member.start();
    }
}

#[test]
fn data_that_differs_is_told_and_is_no_damage() {
    for version in Version::ALL {
        // Up to 3.5, a member that has taken no snapshot does not know its peers yet when it is to ask them.
        let config = vec![("snapshot-count", "5".to_owned())];
        let cluster = Cluster::start(version, 3, Options { config, ..Options::default() });
        for number in 0..20 {
            cluster.etcdctl(&["put", "other", &number.to_string()]);
        }
        cluster.etcdctl(&["put", "key", "a value to be found"]);
        let odd = cluster.member(cluster.follower());
        let db = odd.data_dir().join("member/snap/db");
        let text = b"a value to be found";
        let places = || {
            let bytes = fs::read(&db).unwrap();
            (0..bytes.len() - text.len()).filter(|at| bytes[*at..].starts_with(text)).collect::<Vec<_>>()
        };
        wait_for("the database to be written", || !places().is_empty());
        odd.stop();
        let mut bytes = fs::read(&db).unwrap();
        for at in places() {
            bytes[at] = b'A';
        }
        fs::write(&db, bytes).unwrap();
        odd.start();
        // The right one is refused as well, as soon as one of its peers differs.
        let right = cluster.members().iter().find(|member| member.name() != odd.name() && !member.is_leader()).unwrap();
        right.stop();
        match version {
            Version::V3_7 => right.configure("feature-gates", "InitialCorruptCheck=true"),
            _ => right.configure("experimental-initial-corrupt-check", "true"),
        }
        says(version, &ended(right), &["its data or a peer's differs", "./etcd-recover.yml"]);
        assert!(!end_of(right).0, "{version:?}");
    }
}
