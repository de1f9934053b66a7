//! What was written, what was acknowledged, and what is still there.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a writer has to say at its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Keys that were to be written.
    pub writes: usize,
    /// Those that a member acknowledged in time.
    pub acknowledged: usize,
    /// Those that none did.
    pub failed: usize,
    /// Attempts that failed before another member, or the same one later, acknowledged the key.
    pub retried: usize,
    /// The longest time without an acknowledgement, from the first one to the end.
    pub longest_gap_ms: u128,
    /// When that gap began, in milliseconds since the first acknowledgement.
    pub longest_gap_at_ms: u128,
    /// Acknowledged keys that are gone, or hold something else.
    pub lost: Vec<String>,
}

/// Remembers what was acknowledged, and when.
#[derive(Clone, Debug, Default)]
pub struct Record {
    acknowledged: BTreeMap<String, String>,
    writes: usize,
    retried: usize,
    first: Option<Duration>,
    last: Duration,
    longest: (Duration, Duration),
}

impl Record {
    /// A key was to be written, after so many failed attempts.
    pub fn wrote(&mut self, retried: usize) {
        self.writes += 1;
        self.retried += retried;
    }

    /// A member acknowledged the key, at this time since the start.
    pub fn acknowledge(&mut self, key: String, value: String, at: Duration) {
        self.pause_until(at);
        self.acknowledged.insert(key, value);
    }

    fn pause_until(&mut self, at: Duration) {
        if self.first.is_some() {
            let gap = at.saturating_sub(self.last);
            if gap > self.longest.0 {
                self.longest = (gap, self.last);
            }
        } else {
            self.first = Some(at);
        }
        self.last = at;
    }

    /// Ends the record at this time, and compares it with what the cluster holds.
    #[must_use]
    pub fn close(mut self, at: Duration, held: &BTreeMap<String, String>) -> Report {
        if self.first.is_some() {
            self.pause_until(at);
        }
        let lost = self.acknowledged.iter().filter(|(key, value)| held.get(*key) != Some(*value));
        Report {
            writes: self.writes,
            acknowledged: self.acknowledged.len(),
            failed: self.writes - self.acknowledged.len(),
            retried: self.retried,
            longest_gap_ms: self.longest.0.as_millis(),
            longest_gap_at_ms: self.longest.1.saturating_sub(self.first.unwrap_or_default()).as_millis(),
            lost: lost.map(|(key, _)| key.clone()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(times: &[u64]) -> (Record, BTreeMap<String, String>) {
        let mut record = Record::default();
        let mut held = BTreeMap::new();
        for time in times {
            record.wrote(0);
            record.acknowledge(format!("k{time}"), "v".into(), Duration::from_millis(*time));
            held.insert(format!("k{time}"), "v".into());
        }
        (record, held)
    }

    #[test]
    fn the_longest_gap_counts_from_the_first_acknowledgement_to_the_end() {
        let (early, held) = record(&[500, 550, 900, 950]);
        let report = early.close(Duration::from_millis(1000), &held);
        assert_eq!((report.longest_gap_ms, report.longest_gap_at_ms), (350, 50));
        let (late, held) = record(&[500, 550]);
        assert_eq!(late.close(Duration::from_millis(1550), &held).longest_gap_ms, 1000);
    }

    #[test]
    fn what_is_gone_or_changed_is_lost() {
        let (record, mut held) = record(&[1, 2, 3]);
        held.remove("k1");
        held.insert("k3".into(), "other".into());
        assert_eq!(record.close(Duration::from_millis(4), &held).lost, ["k1", "k3"]);
    }

    #[test]
    fn what_nobody_acknowledged_has_failed_and_is_not_lost() {
        let (mut record, held) = record(&[1]);
        record.wrote(2);
        let report = record.close(Duration::from_millis(2), &held);
        assert_eq!((report.writes, report.acknowledged, report.failed, report.retried), (2, 1, 1, 2));
        assert_eq!(report.lost, Vec::<String>::new());
    }
}
