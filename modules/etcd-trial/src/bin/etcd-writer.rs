//! Writes numbered keys to a cluster until it is told to stop, then says in JSON what became of them.

use anyhow::{Context, Result};
use clap::{Arg, ArgMatches, Command, value_parser};
use etcd_trial::endpoint::Access;
use etcd_trial::writer::{self, Plan};
use nix::sys::signal::{SigSet, Signal};
use std::fs;
use std::io::{LineWriter, Write};
use std::time::Duration;
use tokio::sync::watch;

fn arguments() -> Command {
    let text = |name: &'static str| Arg::new(name).long(name).num_args(1);
    let number =
        |name: &'static str, default: &'static str| text(name).value_parser(value_parser!(u64)).default_value(default);
    Command::new("etcd-writer")
        .about("Writes numbered keys until SIGTERM or SIGINT, reads them back, and prints what became of them")
        .arg(text("endpoints").required(true).value_delimiter(',').help("The members' client URLs, with commas"))
        .arg(text("cacert").help("The authority's certificate"))
        .arg(text("cert").requires("key").help("The client's certificate"))
        .arg(text("key").requires("cert").help("The client's key"))
        .arg(text("user").help("NAME:PASSWORD"))
        .arg(text("prefix").help("What all keys begin with; by default one of this run's own"))
        .arg(number("interval-ms", "50").help("From one key to the next"))
        .arg(number("timeout-ms", "10000").help("How long a key may take"))
        .arg(text("log").required(true).help("Where acknowledged keys go, with milliseconds since the start"))
}

fn plan(matches: &ArgMatches) -> Result<Plan> {
    let text = |name: &str| matches.get_one::<String>(name);
    let file = |name: &str| {
        let read = |path: &String| fs::read_to_string(path).with_context(|| path.clone());
        text(name).map(read).transpose()
    };
    let milliseconds = |name: &str| Duration::from_millis(matches.get_one::<u64>(name).copied().unwrap_or_default());
    let login = text("user").map(|user| {
        user.split_once(':')
            .map(|(name, password)| (name.to_owned(), password.to_owned()))
            .context("--user NAME:PASSWORD")
    });
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(Plan {
        endpoints: matches.get_many::<String>("endpoints").into_iter().flatten().cloned().collect(),
        access: Access {
            authority: file("cacert")?,
            identity: file("cert")?.zip(file("key")?),
            login: login.transpose()?,
        },
        prefix: text("prefix").cloned().unwrap_or_else(|| format!("/etcd-writer/{}/", now.as_nanos())),
        interval: milliseconds("interval-ms").max(Duration::from_millis(1)),
        timeout: milliseconds("timeout-ms"),
    })
}

fn main() -> Result<()> {
    let matches = arguments().get_matches();
    let plan = plan(&matches)?;
    let log = matches.get_one::<String>("log").map(String::as_str).unwrap_or_default();
    let mut log = LineWriter::new(fs::File::create(log).with_context(|| log.to_owned())?);

    // Blocked before any other thread is there, and waited for by one of our own.
    let signals = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT]);
    signals.thread_block()?;
    let (stop, stopped) = watch::channel(false);
    std::thread::spawn(move || {
        let _ = signals.wait();
        let _ = stop.send(true);
    });

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(writer::run(&plan, &mut log, stopped))?;
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, &report)?;
    writeln!(out)?;
    Ok(())
}
