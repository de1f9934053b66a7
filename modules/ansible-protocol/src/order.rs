//! Putting lists in order that are as short as those of members, users or files of configuration. The standard
//! library's way is made for long ones, and brings three kilobytes of code for each type that it sorts or collects
//! into a set or a map.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// Sorts; what is equal keeps its order.
pub fn sort<T: Ord>(items: &mut [T]) {
    sort_by(items, T::cmp);
}

/// Sorts by a part of each item, or by what comes of it.
pub fn sort_by_key<T, K: Ord>(items: &mut [T], key: impl Fn(&T) -> K) {
    sort_by(items, |one, other| key(one).cmp(&key(other)));
}

/// Sorts as the comparison says.
pub fn sort_by<T>(items: &mut [T], compare: impl Fn(&T, &T) -> Ordering) {
    for end in 1..items.len() {
        let mut place = end;
        while place > 0 && compare(&items[place - 1], &items[place]).is_gt() {
            items.swap(place - 1, place);
            place -= 1;
        }
    }
}

/// Collects a set.
pub fn set<T: Ord>(items: impl IntoIterator<Item = T>) -> BTreeSet<T> {
    let mut set = BTreeSet::new();
    set.extend(items);
    set
}

/// Collects a map; of two entries with the same key the last one stays.
pub fn map<K: Ord, V>(entries: impl IntoIterator<Item = (K, V)>) -> BTreeMap<K, V> {
    let mut map = BTreeMap::new();
    map.extend(entries);
    map
}

#[cfg(test)]
mod tests {
    use super::{map, set, sort, sort_by_key};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_the_order_of_the_standard_library(items in prop::collection::vec((0..9_u8, any::<u8>()), 0..40)) {
            let (mut all, mut stable) = (items.clone(), items.clone());
            sort(&mut all);
            sort_by_key(&mut stable, |(key, _)| *key);
            let (mut wanted, mut wanted_stable) = (items.clone(), items.clone());
            wanted.sort();
            wanted_stable.sort_by_key(|(key, _)| *key);
            prop_assert_eq!((all, stable), (wanted, wanted_stable));
            prop_assert_eq!(set(items.clone()), items.iter().copied().collect());
            prop_assert_eq!(map(items.clone()), items.into_iter().collect());
        }
    }
}
