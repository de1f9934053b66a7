//! Calls of the executable that are killed.

use anyhow::{Result, bail};
use etcd_trial::chance::Chance;
use etcd_trial::executable::{give, start};
use etcd_trial::stepping::walk;
use serde_json::Value;
use std::io::Read as _;
use std::process::Child;
use std::time::{Duration, Instant};

/// So many steps are the last ones.
const LAST: u64 = 24;

/// When.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kill {
    /// After this time.
    After(Duration),
    /// At this step, between two system calls.
    At(u64),
}

/// What a whole call takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whole {
    time: Duration,
    steps: u64,
}

impl Whole {
    /// Measures two calls.
    pub(crate) fn of(mut arguments: impl FnMut() -> Result<Value>) -> Result<Self> {
        let given = arguments()?;
        let begin = Instant::now();
        let mut child = start("etcd_snapshot")?;
        give(&mut child, &given)?;
        ended(&mut child)?;
        let time = begin.elapsed();
        let given = arguments()?;
        let mut child = start("etcd_snapshot")?;
        let walked = walk(&mut child, |child| give(child, &given), None)?;
        if walked.code != Some(0) {
            bail!("it ended with {:?}: {}", walked.code, said(&mut child));
        }
        Ok(Self { time, steps: walked.steps })
    }

    /// A moment in this part of the whole: by turns one by the clock and one between two system calls, of these every
    /// other one among the last, when names change.
    pub(crate) fn kill(self, chance: &mut Chance, part: u32, parts: u32) -> Kill {
        let moment = chance.moment(self.time, part, parts);
        let any = chance.number() % self.steps;
        match part % 4 {
            1 => Kill::At(1 + any),
            3 => Kill::At(self.steps - any % LAST.min(self.steps)),
            _ => Kill::After(moment),
        }
    }
}

impl Kill {
    /// Calls the module, and kills it. Says whether it was killed before it came to its end, which must be a good one.
    pub(crate) fn call(self, arguments: &Value) -> Result<bool> {
        let mut child = start("etcd_snapshot")?;
        match self {
            Self::After(time) => {
                let begin = Instant::now();
                give(&mut child, arguments)?;
                std::thread::sleep(time.saturating_sub(begin.elapsed()));
                child.kill()?;
                if child.wait()?.code().is_some_and(|code| code != 0) {
                    bail!("it failed: {}", said(&mut child));
                }
                Ok(child.wait()?.code().is_none())
            }
            Self::At(step) => {
                let walked = walk(&mut child, |child| give(child, arguments), Some(step))?;
                if walked.code.is_some_and(|code| code != 0) {
                    bail!("it failed: {}", said(&mut child));
                }
                Ok(walked.code.is_none())
            }
        }
    }
}

fn ended(child: &mut Child) -> Result<()> {
    let said = said(child);
    if child.wait()?.success() { Ok(()) } else { bail!("it failed: {said}") }
}

/// What it has printed until its end.
fn said(child: &mut Child) -> String {
    let mut said = String::new();
    let read = child.stdout.take().map(|mut out| out.read_to_string(&mut said));
    match read {
        Some(Err(error)) => error.to_string(),
        _ => said,
    }
}
