//! Putting data back that was moved aside. Pure.

use super::observe::{Place, Seen};
use super::plan::{Asked, MEMBER, Plan, State, Step, plan, with_suffix};
use crate::datadir::DataDir;
use crate::hex;
use ansible_protocol::{ErrorKind, Failure};
use std::path::PathBuf;

/// Which data is to come back.
#[derive(Clone, Debug)]
pub struct Former {
    /// Whose it is; none where that could not be told.
    pub member_id: Option<u64>,
    /// The time in the name it was given.
    pub time: String,
}

impl Former {
    fn suffix(&self) -> String {
        let name = self.member_id.map_or_else(|| "unknown".to_owned(), hex);
        format!("{name}.{}", self.time)
    }

    /// Whether that is what is in the directory now.
    fn is_there(&self, seen: &Seen) -> bool {
        match (&seen.identity, self.member_id) {
            (DataDir::Member(identity), Some(id)) => identity.member_id == id,
            (DataDir::Unreadable { .. }, None) => true,
            _ => false,
        }
    }
}

/// Plans to put back what [`plan`] has moved aside, and to move aside in its turn what is there now. Nothing is planned
/// where it never went, or is back.
///
/// # Errors
///
/// Kind `conflict` when it is nowhere, or when something else is in its place that does not go.
pub fn back(former: &Former, seen: &Seen, now: &str) -> Result<Plan, Failure> {
    let data = &seen.data;
    let suffix = former.suffix();
    let whole = sibling(data, &suffix);
    let inside = format!("{MEMBER}.{suffix}");
    let data_dir = data.path.display();
    let conflict = |what: String| Err(Failure::new(ErrorKind::Conflict, format!("{data_dir} is left alone: {what}")));
    let kept = whole.is_some() || data.names.contains(&inside);
    match (kept, former.is_there(seen) && data.names.contains(MEMBER)) {
        (false, true) => return Ok(Plan::default()),
        (true, true) => {
            return conflict(format!("it holds what {} is a copy of; look at both", hex_or_unknown(former)));
        }
        (false, false) => {
            let what = format!(
                "beside it there is no {}.{suffix}, which would have to come back; nothing was changed",
                data.path.file_name().unwrap_or_default().to_string_lossy()
            );
            return conflict(what);
        }
        (true, false) => {}
    }
    let asked = Asked { state: State::Aside, member_id: None, cluster_id: None, force: true };
    // A run that was interrupted had moved the data and not yet its log, which is where it belongs.
    let mut planned = if former.is_there(seen) { Plan::default() } else { plan(&asked, seen, now)? };
    let log = seen.wal.as_ref().filter(|_| !former.is_there(seen));
    let whole_log = log.and_then(|log| sibling(log, &suffix));
    planned.steps.retain(|step| match step {
        Step::RemoveEmpty(path) => {
            (whole.is_some() && *path == data.path) || (whole_log.is_some() && log.is_some_and(|log| *path == log.path))
        }
        _ => true,
    });
    planned.has_data = true;
    // The log comes first: beside data of which it is not told that it is back, it tells whose it is.
    if let (Some(from), Some(log)) = (whole_log, log) {
        come_back(&mut planned, log, from)?;
    }
    if let Some(log) = &seen.wal {
        // Several, where gathering it was interrupted.
        let gathered = format!("wal.{suffix}");
        let more =
            |name: &&String| name.strip_prefix(&gathered).is_some_and(|end| end.is_empty() || end.starts_with('.'));
        let spread = log
            .names
            .iter()
            .filter(more)
            .map(|name| Step::Spread { from: log.path.join(name), into: log.path.clone() });
        planned.steps.extend(spread);
    }
    match whole {
        Some(from) => come_back(&mut planned, data, from)?,
        None => planned.steps.push(Step::Move { from: data.path.join(inside), to: data.path.join(MEMBER) }),
    }
    Ok(planned)
}

fn hex_or_unknown(former: &Former) -> String {
    format!("what was moved aside as {}", former.suffix())
}

/// The directory that was renamed as a whole.
fn sibling(place: &Place, suffix: &str) -> Option<PathBuf> {
    let name = with_suffix(&place.path, suffix);
    place.beside.contains(&name).then(|| place.path.with_file_name(name))
}

/// A whole directory gets its name back, which must be free by then.
fn come_back(planned: &mut Plan, place: &Place, from: PathBuf) -> Result<(), Failure> {
    let frees = planned.steps.iter().any(|step| match step {
        Step::Move { from, .. } => *from == place.path,
        Step::RemoveEmpty(path) => *path == place.path,
        _ => false,
    });
    if place.exists && !frees {
        let msg = format!(
            "{} is not empty and does not go, so {} cannot take its place: move it away by hand; nothing was changed",
            place.path.display(),
            from.display()
        );
        return Err(Failure::new(ErrorKind::Conflict, msg));
    }
    planned.steps.push(Step::Move { from, to: place.path.clone() });
    Ok(())
}
