//! Snapshots of one cluster in one directory: their names, and which of them are no longer wanted.

use ansible_protocol::order;
use etcd_ops::clock;
use jiff::Timestamp;

/// How far names of several runs in one second may get ahead, in seconds.
const MOMENT: i64 = 60;
/// In seconds.
const DAY: i64 = 24 * 60 * 60;
/// How many stay where only age speaks: a clock that jumps ahead makes everything old at once.
const AT_LEAST: usize = 3;

/// The files called `PREFIX-CLUSTER-TIME-REVISION.db`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    start: String,
}

/// What a file's name says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// When it was taken.
    pub taken: Timestamp,
    /// The revision it holds.
    pub revision: i64,
    /// The name.
    pub name: String,
}

/// How many to keep, and for how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// How many.
    pub keep: Option<u32>,
    /// For how many days.
    pub days: Option<u32>,
}

impl Series {
    /// The files of that cluster.
    #[must_use]
    pub fn new(prefix: &str, cluster: &str) -> Self {
        Self { start: format!("{prefix}-{cluster}-") }
    }

    /// Whether it can be part of a name.
    #[must_use]
    pub fn is_word(text: &str) -> bool {
        text.starts_with(|first: char| first.is_ascii_alphanumeric())
            && text.chars().all(|other| other.is_ascii_alphanumeric() || "._-".contains(other))
            && text.len() <= 100
    }

    pub(crate) fn name(&self, taken: Timestamp, revision: i64) -> String {
        format!("{}{}-{revision}.db", self.start, clock::compact(taken))
    }

    /// The time for the name of a snapshot that was just taken. Times are in seconds, and several may be taken in one:
    /// the later one gets the later name. Names that are far ahead come from a clock that was wrong.
    pub(crate) fn free_time(entries: &[Entry], taken: Timestamp) -> Timestamp {
        let ahead = |entry: &&Entry| (0..MOMENT).contains(&(entry.taken.as_second() - taken.as_second()));
        let last = entries.iter().filter(ahead).map(|entry| entry.taken.as_second() + 1).max();
        last.and_then(|next| Timestamp::from_second(next).ok()).unwrap_or(taken)
    }

    /// The entry of a file, if it is one of these.
    #[must_use]
    pub fn entry(&self, name: &str) -> Option<Entry> {
        let (time, revision) = name.strip_prefix(&self.start)?.strip_suffix(".db")?.split_once('-')?;
        let taken = clock::read_compact(time)?;
        let entry = Entry { taken, revision: revision.parse().ok()?, name: name.to_owned() };
        // Whatever is written otherwise is somebody else's.
        (self.name(taken, entry.revision) == name).then_some(entry)
    }
}

impl Entry {
    /// Whether the clock was wrong by which it was named: such a file says nothing about which one is the newest.
    #[must_use]
    pub fn is_ahead(&self, now: Timestamp) -> bool {
        self.taken.as_second() > now.as_second() + DAY
    }
}

impl Retention {
    /// Which files to delete, given all there are. Never the one that is known to be good, nor those whose names are
    /// ahead of the clock, which count for nothing either.
    #[must_use]
    pub fn expired(self, entries: &[Entry], good: &str, now: Timestamp) -> Vec<String> {
        if self == Self::default() {
            return Vec::new();
        }
        let mut newest_first: Vec<&Entry> = entries.iter().filter(|entry| !entry.is_ahead(now)).collect();
        order::sort_by(&mut newest_first, |a, b| b.cmp(a));
        let count = self.keep.map_or(AT_LEAST, |keep| usize::try_from(keep).unwrap_or(usize::MAX));
        let age = |entry: &Entry| now.as_second() - entry.taken.as_second();
        let is_recent = |entry: &Entry| self.days.is_some_and(|days| age(entry) <= i64::from(days) * DAY);
        let old = newest_first.into_iter().skip(count).filter(|entry| entry.name != good && !is_recent(entry));
        old.map(|entry| entry.name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use test_case::test_case;

    const NOW: i64 = 1_800_000_000;

    fn main() -> Series {
        Series::new("etcd", "main")
    }

    #[test_case("etcd-main-20260102T030405Z-4711.db", Some((1_767_323_045, 4711)))]
    #[test_case("etcd-main-20260102T030405Z-4711.db.old", None)]
    #[test_case("etcd-main-20260102T030405Z.db", None; "no revision")]
    #[test_case("etcd-main-20260132T030405Z-1.db", None; "no such day")]
    #[test_case("etcd-main-20260102T030405Z-04711.db", None; "another way to write it")]
    #[test_case("etcd-main-2-20260102T030405Z-4711.db", None; "another cluster")]
    #[test_case("etcd-other-20260102T030405Z-4711.db", None; "another name")]
    #[test_case(".etcd-main-20260102T030405Z-4711.db.quorum-1-1.part", None; "a part")]
    #[test_case("db", None)]
    fn knows_its_names(name: &str, wanted: Option<(i64, i64)>) {
        assert_eq!(main().entry(name).map(|entry| (entry.taken.as_second(), entry.revision)), wanted);
    }

    #[test_case("main", true)]
    #[test_case("pg-meta.v2_x", true)]
    #[test_case("", false)]
    #[test_case(".hidden", false)]
    #[test_case("a/b", false)]
    #[test_case("a b", false)]
    fn knows_words(text: &str, wanted: bool) {
        assert_eq!(Series::is_word(text), wanted);
    }

    fn names() -> impl Strategy<Value = Vec<String>> {
        let name = (-40..4_i64, 0..DAY, 1..9_i64).prop_map(|(days, seconds, revision)| {
            main().name(Timestamp::from_second(NOW + days * DAY + seconds).unwrap(), revision)
        });
        prop::collection::btree_set(name, 1..12).prop_map(|names| names.into_iter().collect())
    }

    proptest! {
        /// The name is free, and sorts after all but those of a clock that was wrong.
        #[test]
        fn a_later_snapshot_has_a_later_name(seconds in prop::collection::vec(-100..200_i64, 0..40)) {
            let at = |second: i64| Timestamp::from_second(NOW + second).unwrap();
            let entries: Vec<Entry> = seconds.iter().map(|second| main().entry(&main().name(at(*second), 1)).unwrap()).collect();
            let time = Series::free_time(&entries, at(0));
            prop_assert!(time >= at(0) && time <= at(MOMENT));
            prop_assert!(!entries.iter().any(|entry| entry.taken == time) || time == at(MOMENT));
            prop_assert!(entries.iter().all(|entry| entry.taken < time || entry.taken >= at(MOMENT)));
        }

        /// Whatever the clock said when the others were made, the good one stays, and a file goes only if neither
        /// number nor age speaks for it.
        #[test]
        fn only_what_nothing_speaks_for_is_deleted(
            names in names(),
            good: prop::sample::Index,
            keep in prop::option::of(1..6_u32),
            days in prop::option::of(1..20_u32),
        ) {
            let entries: Vec<Entry> = names.iter().map(|name| main().entry(name).unwrap()).collect();
            let good = &entries[good.index(entries.len())].name;
            let retention = Retention { keep, days };
            let expired = retention.expired(&entries, good, Timestamp::from_second(NOW).unwrap());
            prop_assert!(!expired.contains(good));
            for entry in &entries {
                let now = Timestamp::from_second(NOW).unwrap();
                let newer = entries.iter().filter(|other| *other > entry && !other.is_ahead(now)).count();
                let by_number = newer < keep.map_or(AT_LEAST, |keep| keep as usize) || entry.is_ahead(now);
                let by_age = days.is_some_and(|days| entry.taken.as_second() >= NOW - i64::from(days) * DAY);
                let stays = by_number || by_age || entry.name == *good || (keep, days) == (None, None);
                prop_assert_eq!(expired.contains(&entry.name), !stays, "{:?}", entry);
            }
            // Then there is nothing more to delete.
            let rest: Vec<Entry> = entries.iter().filter(|entry| !expired.contains(&entry.name)).cloned().collect();
            prop_assert!(retention.expired(&rest, good, Timestamp::from_second(NOW).unwrap()).is_empty());
        }
    }
}
