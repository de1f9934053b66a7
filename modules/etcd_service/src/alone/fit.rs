//! Whether data can be gone on with alone at all: what force-new-cluster would lose without a word is refused before.

use crate::Params;
use ansible_protocol::{ErrorKind, Failure};
use etcd_ops::datadir::{self, LogEnd};
use etcd_ops::programs;
use etcd_ops::version::Version;
use std::path::{Path, PathBuf};

/// Where systemd has an administrator's units, and what belongs to them.
const UNITS: &str = "/etc/systemd/system";

/// Refuses where a restore is under way, which holds the unit back with a file that a start outside of it would not heed.
///
/// # Errors
///
/// Kind `conflict`, with what to do.
pub(super) fn not_fenced(unit: &str) -> Result<(), Failure> {
    fenced_in(Path::new(UNITS), unit).map_or(Ok(()), |fence| {
        let msg = format!(
            "{unit} is held back by {}, for a restore is under way on this host: finish it with ./etcd-restore.yml, or take it \
             back with ./etcd-restore.yml -t etcd_rollback, before another way is gone",
            fence.display()
        );
        Err(Failure::new(ErrorKind::Conflict, msg))
    })
}

fn fenced_in(units: &Path, unit: &str) -> Option<PathBuf> {
    let name = if unit.contains('.') { unit.to_owned() } else { format!("{unit}.service") };
    let fence = units.join(format!("{name}.d")).join("restore.conf");
    // What cannot be looked at must not pass for absent.
    fence.try_exists().unwrap_or(true).then_some(fence)
}

/// Refuses data of a member that has ended, whose database has applied more than force-new-cluster keeps.
///
/// # Errors
///
/// Kind `conflict`, with the way that loses nothing.
pub(super) fn keeps_all(params: &Params) -> Result<(), Failure> {
    let end = datadir::log_end(&params.data_dir, params.wal_dir.as_deref());
    let version = programs::find(&params.binary).and_then(|binary| programs::etcd_version(&binary));
    let Some(loss) = end.and_then(|end| loss(end, version)) else { return Ok(()) };
    let (host, data_dir) = (&params.host, params.data_dir.display());
    let msg = format!(
        "the data in {data_dir} cannot be gone on with alone: {loss}; go on from its database instead, which has it all: \
         ./etcd-recover.yml -e etcd_snapshot={host}:{data_dir}/member/snap/db -e etcd_force=unhashed"
    );
    Err(Failure::new(ErrorKind::Conflict, msg))
}

/// What would be lost; none where nothing would, or where it cannot be told how far the database goes.
fn loss(end: LogEnd, version: Option<Version>) -> Option<String> {
    let LogEnd { index, applied, .. } = end;
    let applied = applied?;
    let commit = end.commit.unwrap_or(0);
    if applied > index {
        return Some(format!(
            "its database has applied entry {applied}, and its log ends at {index}, so etcd would not start with it"
        ));
    }
    if applied <= commit || version.is_some_and(Version::forces_all_applied) {
        return None;
    }
    let etcd = version.map_or_else(|| "etcd".to_owned(), |version| format!("etcd {version}"));
    Some(format!(
        "it was killed, or its machine was, so that its log is sure only of what is up to entry {commit}, while its database has \
         applied {applied}, and {etcd} would drop what lies between and swallow as many later writes"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    const OLD: Option<Version> = Some(Version::new(3, 4, 23));
    const NEW: Option<Version> = Some(Version::new(3, 6, 16));

    #[test_case(Some(100), Some(100), OLD, false; "told to end")]
    #[test_case(Some(100), Some(90), OLD, false; "more committed than applied")]
    #[test_case(Some(90), Some(100), OLD, true; "killed, with an old etcd")]
    #[test_case(Some(90), Some(100), None, true; "killed, with an etcd that does not tell its version")]
    #[test_case(None, Some(1), OLD, true; "no commit at all")]
    #[test_case(Some(90), Some(100), NEW, false; "killed, with a newer etcd")]
    #[test_case(Some(90), Some(101), NEW, true; "a log that is too short for any")]
    #[test_case(Some(90), None, OLD, false; "a database that tells nothing")]
    fn what_would_be_lost_is_refused(
        commit: Option<u64>,
        applied: Option<u64>,
        version: Option<Version>,
        wanted: bool,
    ) {
        let end = LogEnd { term: 2, index: 100, commit, applied };
        assert_eq!(loss(end, version).is_some(), wanted);
    }

    #[test]
    fn a_fence_is_seen() {
        let units = tempfile::tempdir().unwrap();
        let fence = units.path().join("etcd.service.d/restore.conf");
        assert_eq!(fenced_in(units.path(), "etcd.service"), None);
        std::fs::create_dir(units.path().join("etcd.service.d")).unwrap();
        std::fs::write(&fence, "").unwrap();
        for unit in ["etcd", "etcd.service"] {
            assert_eq!(fenced_in(units.path(), unit), Some(fence.clone()));
        }
        assert_eq!(fenced_in(units.path(), "other.service"), None);
    }
}
