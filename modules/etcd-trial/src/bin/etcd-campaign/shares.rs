/// As testbed/hosts knows them.
const SERIES: [&str; 3] = ["3.5", "3.6", "3.7"];

/// Points that follow each other, each with a seed of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    /// The etcd they happen on, as testbed/hosts knows it.
    pub(crate) etcd: String,
    /// How many.
    pub(crate) points: u32,
    /// The seed of the first; each further one has the next.
    pub(crate) seed: u64,
}

/// So many points on this etcd, or shared out among all series. Hosts for each take a minute or so, which too few points
/// are not worth: these are all on one, after the seed.
pub(crate) fn of(points: u32, seed: u64, etcd: Option<&str>) -> Vec<Share> {
    let count = SERIES.len() as u64;
    let single = |etcd: &str| vec![Share { etcd: etcd.to_owned(), points, seed }];
    if let Some(etcd) = etcd {
        return single(etcd);
    }
    if u64::from(points) < 2 * count {
        let place = usize::try_from(seed % count).unwrap_or_default();
        return single(SERIES[place]);
    }
    let mut shares: Vec<Share> = Vec::new();
    for (etcd, left) in SERIES.into_iter().zip((1..=3).rev()) {
        let done: u32 = shares.iter().map(|share| share.points).sum();
        let points = (points - done).div_ceil(left);
        shares.push(Share { etcd: etcd.to_owned(), points, seed: seed.wrapping_add(done.into()) });
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(points: u32, seed: u64, etcd: Option<&str>) -> Vec<(String, u32, u64)> {
        of(points, seed, etcd).into_iter().map(|share| (share.etcd, share.points, share.seed)).collect()
    }

    #[test]
    fn every_series_has_its_share_of_many_points_and_one_has_the_few() {
        let shares = [("3.5", 7, 100), ("3.6", 7, 107), ("3.7", 6, 114)];
        assert_eq!(told(20, 100, None), shares.map(|(etcd, points, seed)| (etcd.to_owned(), points, seed)));
        for (seed, etcd) in [(3, "3.5"), (4, "3.6"), (5, "3.7")] {
            assert_eq!(told(5, seed, None), [(etcd.to_owned(), 5, seed)]);
        }
        assert_eq!(told(20, 3, Some("package")), [("package".to_owned(), 20, 3)]);
    }
}
