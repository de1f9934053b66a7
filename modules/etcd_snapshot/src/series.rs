//! Snapshots of one cluster in one directory: their names, and which of them are no longer wanted.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

const TIME: &str = "%Y%m%dT%H%M%SZ";
/// In seconds.
const DAY: i64 = 24 * 60 * 60;

/// The files called `PREFIX-CLUSTER-TIME-REVISION.db`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Series {
    start: String,
}

/// What a file's name says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) taken: Timestamp,
    pub(crate) revision: i64,
    pub(crate) name: String,
}

/// How many to keep, and for how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Retention {
    pub(crate) keep: Option<u32>,
    pub(crate) days: Option<u32>,
}

impl Series {
    pub(crate) fn new(prefix: &str, cluster: &str) -> Self {
        Self { start: format!("{prefix}-{cluster}-") }
    }

    /// Whether it can be part of a name.
    pub(crate) fn is_word(text: &str) -> bool {
        text.starts_with(|first: char| first.is_ascii_alphanumeric())
            && text.chars().all(|other| other.is_ascii_alphanumeric() || "._-".contains(other))
            && text.len() <= 100
    }

    pub(crate) fn name(&self, taken: Timestamp, revision: i64) -> String {
        format!("{}{}-{revision}.db", self.start, taken.strftime(TIME))
    }

    /// The entry of a file, if it is one of these.
    pub(crate) fn entry(&self, name: &str) -> Option<Entry> {
        let (time, revision) = name.strip_prefix(&self.start)?.strip_suffix(".db")?.split_once('-')?;
        let taken = Offset::UTC.to_timestamp(DateTime::strptime(TIME, time).ok()?).ok()?;
        let entry = Entry { taken, revision: revision.parse().ok()?, name: name.to_owned() };
        // Whatever is written otherwise is somebody else's.
        (self.name(taken, entry.revision) == name).then_some(entry)
    }
}

impl Retention {
    /// Which files to delete, given all there are. Never the one that is known to be good.
    pub(crate) fn expired(self, entries: &[Entry], good: &str, now: Timestamp) -> Vec<String> {
        if self == Self::default() {
            return Vec::new();
        }
        let mut newest_first: Vec<&Entry> = entries.iter().collect();
        newest_first.sort_by(|a, b| b.cmp(a));
        let count = self.keep.map_or(0, |keep| usize::try_from(keep).unwrap_or(usize::MAX));
        let age = |entry: &Entry| now.as_second() - entry.taken.as_second();
        let is_recent = |entry: &Entry| self.days.is_some_and(|days| age(entry) <= i64::from(days) * DAY);
        let old = newest_first.into_iter().skip(count).filter(|entry| entry.name != good && !is_recent(entry));
        old.map(|entry| entry.name.clone()).collect()
    }
}
