//! Writes numbered keys until told to stop.
//!
//! It behaves as a careful client: one key at a time, each to the next member in turn, and to the others in turn when
//! that one fails, until the key's time is up. A key is written with one value only, so trying again is harmless.

use crate::endpoint::{Access, Endpoint};
use crate::report::{Record, Report};
use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

/// What to write, where and how often.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The members' client URLs.
    pub endpoints: Vec<String>,
    /// How to get in.
    pub access: Access,
    /// What all keys begin with.
    pub prefix: String,
    /// The time from one key to the next.
    pub interval: Duration,
    /// The time a key has to be acknowledged in; without a member to answer, it is what ends the tries.
    pub timeout: Duration,
}

/// How long one member is waited for, so that one that hangs leaves time for another.
const ATTEMPT: Duration = Duration::from_millis(300);

/// How long the cluster may take to show what it holds.
const READING: Duration = Duration::from_secs(20);

/// Writes until `stop` turns true, then reads everything back. Each acknowledged key goes to the log with its time.
///
/// # Errors
///
/// When the log cannot be written, or no member can be read from at the end.
pub async fn run(plan: &Plan, log: &mut impl Write, mut stop: watch::Receiver<bool>) -> Result<Report> {
    let mut endpoints: Vec<Endpoint> = plan.endpoints.iter().map(|url| Endpoint::new(url, &plan.access)).collect();
    if endpoints.is_empty() {
        bail!("no endpoints");
    }
    for endpoint in &mut endpoints {
        // A login takes as long as the machine lets it, and is no write. Who is down is found out by the writes.
        if let Err(failure) = endpoint.enter().await {
            writeln!(log, "no way in yet: {failure:#}")?;
        }
    }
    let start = Instant::now();
    let mut record = Record::default();
    let mut tick = tokio::time::interval(plan.interval);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut next = 0;
    for number in 0_u64.. {
        tick.tick().await;
        if *stop.borrow_and_update() {
            break;
        }
        let (key, value) = (format!("{}{number:010}", plan.prefix), format!("{number}"));
        let deadline = Instant::now() + plan.timeout;
        let mut failures = 0;
        let acknowledged = loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break false;
            }
            let count = endpoints.len();
            let endpoint = &mut endpoints[next % count];
            next += 1;
            match endpoint.put(&key, &value, left.min(ATTEMPT)).await {
                Ok(()) => break true,
                Err(failure) => {
                    failures += 1;
                    writeln!(log, "{} {key} failed: {failure:#}", start.elapsed().as_millis())?;
                }
            }
            if failures % count == 0 {
                // All of them failed, and at once: no need to ask as fast as the machine can.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        record.wrote(failures);
        if acknowledged {
            let at = start.elapsed();
            writeln!(log, "{} {key} acknowledged", at.as_millis())?;
            record.acknowledge(key, value, at);
        }
    }
    let end = start.elapsed();
    let held = read_back(&mut endpoints, &plan.prefix).await?;
    Ok(record.close(end, &held))
}

async fn read_back(endpoints: &mut [Endpoint], prefix: &str) -> Result<BTreeMap<String, String>> {
    let deadline = Instant::now() + READING;
    loop {
        let mut failures = Vec::new();
        for endpoint in endpoints.iter_mut() {
            match tokio::time::timeout_at(deadline, endpoint.read(prefix)).await {
                Ok(Ok(held)) => return Ok(held),
                Ok(Err(failure)) => failures.push(format!("{}: {failure:#}", endpoint.url())),
                Err(_) => failures.push(format!("{}: no answer in time", endpoint.url())),
            }
        }
        if Instant::now() >= deadline {
            bail!("nothing can be read back: {}", failures.join("; "));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
