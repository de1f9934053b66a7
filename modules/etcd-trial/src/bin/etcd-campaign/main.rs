//! Proves on hosts that changing clusters loses nothing, whatever fails meanwhile: the controller is killed at random
//! moments of a run, again and again, and what it leaves behind the next run finishes; members come, go and are replaced
//! while disks, power and networks fail.

use anyhow::Result;
use clap::{Arg, Command, value_parser};
use etcd_trial::sequence::step::Hosts;

/// The hosts, and runs on them.
mod bed;
/// What a failure leaves to be looked at.
mod evidence;
/// Creating and restarting, killed again and again.
mod killed;
/// Sequences of members that come and go.
mod members;
/// What the cluster's members say of it.
mod view;
/// Somebody who uses the cluster.
mod writer;

fn main() -> Result<()> {
    let text = |name: &'static str| Arg::new(name).long(name).num_args(1);
    let number = |name: &'static str| text(name).value_parser(value_parser!(u64));
    let matches = Command::new("campaign")
        .about("Kills the controller, and lets hosts fail, at random: create and restart a cluster, change its members")
        .arg(Arg::new("what").value_parser(["create", "restart", "members"]).help("Only this one; all without"))
        .arg(number("points").help("How many of each: moments (20), sequences of members (60)"))
        .arg(number("seed").help("Repeats the campaign that printed it, or the sequence"))
        .arg(
            text("from")
                .value_delimiter(',')
                .value_parser(value_parser!(u8).range(1..=i64::from(etcd_trial::sequence::world::HOSTS)))
                .default_value("1,2,3")
                .help("The hosts that are members before the first sequence"),
        )
        .arg(text("bed").default_value("campaign").help("The name of the hosts' bed"))
        .arg(text("etcd").default_value("package").help("As testbed/hosts knows it"))
        .get_matches();
    let text = |name: &str| matches.get_one::<String>(name).cloned().unwrap_or_default();
    let seed = matches.get_one::<u64>("seed").copied().unwrap_or_else(random);
    let points = |usual: u32| match matches.get_one::<u64>("points") {
        Some(points) => u32::try_from(*points),
        None => Ok(usual),
    };
    let (moments, sequences) = (points(20)?, points(60)?);
    say(&format!("seed {seed}, {moments} moments, {sequences} sequences: --seed {seed} repeats them"));
    let campaign = bed::Campaign::new(text("bed"), text("etcd"))?;
    let what = text("what");
    let wanted = |kind: &str| what.is_empty() || what == kind;
    if wanted("create") {
        campaign.create(moments, seed)?;
    }
    if wanted("restart") {
        campaign.restart(moments, seed)?;
    }
    if wanted("members") {
        let from: Hosts = matches.get_many::<u8>("from").into_iter().flatten().copied().collect();
        members::run(&campaign, &from, sequences, seed)?;
    }
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
