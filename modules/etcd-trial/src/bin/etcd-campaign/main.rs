//! Proves on hosts that changing clusters loses nothing, whatever fails meanwhile: the controller is killed at random
//! moments of a run, again and again, and what it leaves behind the next run finishes; members come, go and are replaced
//! while disks, power and networks fail. And that snapshots lose nothing: damaged ones are found, and the executable is
//! killed while it saves, deletes and restores; clusters are restored and recovered while controllers are killed and hosts
//! lose power.

use anyhow::{Context, Result, ensure};
use clap::{Arg, Command, value_parser};
use etcd_trial::sequence::step::Hosts;
use kills::Kills;

/// The hosts, and runs on them.
mod bed;
/// Damaged snapshots.
mod corruption;
/// What goes wrong with clusters that are recovered.
mod damage;
/// What a failure leaves to be looked at.
mod evidence;
/// Calls of the executable that are killed.
mod kill;
/// Creating and restarting, killed again and again.
mod killed;
/// How many there were, of which sort.
mod kills;
/// Sequences of members that come and go.
mod members;
/// Recovery of damaged clusters while controllers and hosts fail.
mod recovering;
/// Restores of one member that are killed.
mod restores;
/// Restores of a whole cluster while controllers and hosts fail.
mod restoring;
/// Snapshots that are killed on their way, and old ones that go.
mod saves;
/// Points that are shared out among the versions of etcd.
mod shares;
/// The executable, killed while it saves, deletes and restores.
mod snapshots;
/// What the cluster's members say of it.
mod view;
/// Members that are asked all the while whose data they serve.
mod watching;
/// Somebody who uses the cluster.
mod writer;

/// So many kills on 3.5, 3.6 and 3.7 a whole campaign is to come to.
const ENOUGH: u32 = 100;

fn main() -> Result<()> {
    let text = |name: &'static str| Arg::new(name).long(name).num_args(1);
    let number = |name: &'static str| text(name).value_parser(value_parser!(u64));
    let matches = Command::new("campaign")
        .about("Kills and damages at random: controllers, hosts, the executable, snapshots; and nothing is lost")
        .arg(
            Arg::new("what")
                .value_parser(["create", "restart", "members", "restore", "recover", "corruption", "snapshots"])
                .help("Only this one; all without"),
        )
        .arg(number("points").help(
            "How many of each: moments (20), sequences of members (60), times 60 damages to snapshots, kills of each \
             kind on each version of etcd",
        ))
        .arg(number("seed").help("Repeats the campaign that printed it, or the sequence"))
        .arg(
            text("from")
                .value_delimiter(',')
                .value_parser(value_parser!(u8).range(1..=i64::from(etcd_trial::sequence::world::HOSTS)))
                .default_value("1,2,3")
                .help("The hosts that are members before the first sequence"),
        )
        .arg(text("bed").default_value("campaign").help("The name of the hosts' bed"))
        .arg(text("etcd").help(
            "As testbed/hosts knows it; without, restore and recover happen on 3.5, 3.6 and 3.7 (fewer than 6 points of \
             them on one of these, after the seed), all else that needs hosts on Debian's package",
        ))
        .get_matches();
    let text = |name: &str| matches.get_one::<String>(name).cloned().unwrap_or_default();
    let seed = matches.get_one::<u64>("seed").copied().unwrap_or_else(random);
    let points = |usual: u32| match matches.get_one::<u64>("points") {
        Some(points) => u32::try_from(*points),
        None => Ok(usual),
    };
    let (moments, sequences) = (points(20)?, points(60)?);
    let etcd = matches.get_one::<String>("etcd").map(String::as_str);
    let like_it = etcd.map(|etcd| format!(" --etcd {etcd}")).unwrap_or_default();
    say(&format!("seed {seed}, {moments} moments, {sequences} sequences: --seed {seed}{like_it} repeats them"));
    let what = text("what");
    let wanted = |kind: &str| what.is_empty() || what == kind;
    let mut kills = Kills::default();
    // These need no hosts.
    if wanted("corruption") {
        corruption::run(moments, seed)
            .with_context(|| format!("again: {}", bed::again("corruption", moments, seed)))?;
    }
    if wanted("snapshots") {
        let done = snapshots::run(moments, seed);
        kills += done.with_context(|| format!("again: {}", bed::again("snapshots", moments, seed)))?;
    }
    let campaign = |etcd: &str| bed::Campaign::new(text("bed"), etcd.to_owned());
    let usual = etcd.unwrap_or("package");
    if wanted("create") {
        let campaign = campaign(usual)?;
        campaign.create(moments, seed).with_context(|| campaign.again("create", moments, seed))?;
    }
    if wanted("restart") {
        let campaign = campaign(usual)?;
        campaign.restart(moments, seed).with_context(|| campaign.again("restart", moments, seed))?;
    }
    let shared = ["restore", "recover"].into_iter().any(wanted);
    for share in shares::of(moments, seed, etcd).into_iter().filter(|_| shared) {
        let campaign = campaign(&share.etcd)?;
        if wanted("restore") {
            kills += campaign.restore(share.points, share.seed)?;
        }
        if wanted("recover") {
            kills += campaign.recover(share.points, share.seed)?;
        }
    }
    if wanted("members") {
        let from: Hosts = matches.get_many::<u8>("from").into_iter().flatten().copied().collect();
        members::run(&campaign(usual)?, &from, sequences, seed)?;
    }
    if shared || wanted("snapshots") {
        say(&kills.to_string());
    }
    let whole = what.is_empty() && etcd.is_none() && !matches.contains_id("points");
    ensure!(
        !whole || kills.total() >= ENOUGH,
        "only {} kills on etcd 3.5, 3.6 and 3.7, and not {ENOUGH}: too much was over before it could be killed, --points 30 has more",
        kills.total()
    );
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a command line tool")]
fn say(line: &str) {
    println!("{line}");
}

fn random() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::from(since.subsec_nanos())
}
