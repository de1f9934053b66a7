//! One run.

use crate::cluster::{self, Mine, Turn};
use crate::config::Config;
use crate::keys::{self, Recorded};
use crate::status::{self, News};
use crate::{object, take};
use ansible_protocol::{ErrorKind, Failure};
use etcd_ops::clock;
use jiff::Timestamp;
use serde_json::Value;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Instant;

/// Takes a snapshot if it is this member's turn, and writes down what is known then. Returns what to say.
///
/// # Errors
///
/// When there is no backup of this run, it is not known everywhere it should be, or it cannot be written down.
pub(crate) fn take(config: &Config) -> Result<String, Failure> {
    let before = status::read(config);
    let begun = clock::now();
    let (said, last) = match attempt(config, begun) {
        Ok((said, last)) => (Ok(said), Some(last)),
        Err(failure) => (Err(failure), None),
    };
    status::write(config, &before, News { begun: begun.to_string(), said, last: last.as_ref() })
}

/// What to say, and the record of the cluster's last backup.
fn attempt(config: &Config, begun: Timestamp) -> Result<(String, Value), Failure> {
    let mine = match cluster::turn(config, begun)? {
        Turn::Done(last) => return Ok((format!("not this member's turn: {}", told(&last)), last)),
        Turn::Mine(mine) => mine,
    };
    let claim = mine.claim;
    let taken = take_in_time(config, mine, begun);
    let Some(claim) = claim else { return taken.map(|last| (told(&last), last)) };
    let (name, record) = match &taken {
        Ok(last) => ("last", last.clone()),
        Err(failure) => {
            let failed_at = clock::now().to_string();
            let entries = vec![
                ("member", config.member.as_str().into()),
                ("failed_at", failed_at.into()),
                ("error", failure.msg.as_str().into()),
            ];
            ("failed", object(entries))
        }
    };
    let recorded = keys::record(config, claim, name, &record);
    let last = taken?;
    let said = told(&last);
    Ok(match recorded {
        Ok(Recorded::Yes) => (said, last),
        Ok(Recorded::Superseded(other)) if keys::time(&other, "finished_at") >= Some(begun.as_second()) => {
            (format!("{said}; its claim was over by then, and what counts is that {}", told(&other)), other)
        }
        Ok(Recorded::Superseded(_)) => {
            (format!("{said}; its claim was over by then, and another member takes one, too"), last)
        }
        Err(failure) => (format!("{said}; the other members do not know, and take another one: {failure}"), last),
    })
}

/// Takes the snapshot, and meanwhile shows the others that it is being taken. A disk that never answers keeps whoever
/// waits for it even from being killed; so that is another thread, and this one sees to it that all learn of it.
fn take_in_time(config: &Config, mine: Mine, begun: Timestamp) -> Result<Value, Failure> {
    let until = Instant::now() + config.timeout;
    let claim = mine.claim;
    let (sender, receiver) = mpsc::channel();
    let job = config.clone();
    thread::spawn(move || {
        // Nobody listens any more when the time is over.
        let _ = sender.send(take::take(&job, &mine, begun, until));
    });
    // What has a time limit of its own says better what is slow.
    let end = until + config.grace / 3;
    let mut is_claimed = claim.is_some();
    loop {
        let left = end.saturating_duration_since(Instant::now());
        match receiver.recv_timeout(left.min(config.grace / 3)) {
            Ok(taken) => return taken,
            Err(RecvTimeoutError::Timeout) if !left.is_zero() => {}
            Err(_) => {
                let msg = format!(
                    "saving, verifying and copying the snapshot takes longer than {} s: look whether {} and the places of \
                     copies hang, or allow more with etcd_backup_timeout",
                    config.timeout.as_secs(),
                    config.dir.display()
                );
                return Err(Failure::new(ErrorKind::Timeout, msg));
            }
        }
        if let (true, Some(claim)) = (is_claimed, claim) {
            // One that fails is made good by the next. When the claim is over, another member takes one, too; how that
            // went, the record tells.
            let kept = keys::keep_alive(config, claim);
            is_claimed = !kept.is_err_and(|failure| failure.kind == ErrorKind::Conflict);
        }
    }
}

/// `etcd-1 took /var/backups/etcd/etcd-main-20260102T030405Z-7.db (4096 bytes, revision 7) at 2026-01-02T03:04:05Z`.
fn told(last: &Value) -> String {
    let word = |name: &str| last[name].as_str().unwrap_or("?");
    let (member, path, at) = (word("member"), word("path"), word("taken_at"));
    let list = |name: &str| {
        let items = last[name].as_array().map(Vec::as_slice).unwrap_or_default();
        items.iter().filter_map(Value::as_str).fold(String::new(), |text, item| format!("{text}; {item}"))
    };
    let copies = list("copies").replace("; ", "; copied to ");
    let about = format!("({} bytes, revision {})", last["size"], last["revision"]);
    format!("{member} took {path} {about} at {at}{copies}{}", list("warnings"))
}
