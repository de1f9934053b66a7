//! What is to be done, or why it is not. Pure.

use super::observe::{Place, Seen};
use crate::datadir::{DataDir, Identity};
use crate::hex;
use ansible_protocol::{ErrorKind, Failure};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What etcd keeps in its data directory: its data, and the certificates that it makes itself.
pub(super) const MEMBER: &str = "member";
const FIXTURES: &str = "fixtures";
/// What file systems keep in their root.
const LOST_AND_FOUND: &str = "lost+found";
/// As many names are enough for a warning.
const NAMED: usize = 5;

/// What shall become of the data.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Deleted.
    Absent,
    /// Kept under another name.
    Aside,
}

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What shall become of it.
    pub state: State,
    /// Whose data it must be.
    pub member_id: Option<u64>,
    /// Of which cluster it must be.
    pub cluster_id: Option<u64>,
    /// Go on where it cannot be told whose it is.
    pub force: bool,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Renames a directory.
    Move {
        /// Its name.
        from: PathBuf,
        /// Its new name, which nothing has.
        to: PathBuf,
    },
    /// Moves these entries of a directory into a new one inside of it.
    Gather {
        /// The directory.
        directory: PathBuf,
        /// The entries.
        names: Vec<String>,
        /// The new one.
        into: PathBuf,
    },
    /// Moves the entries of a directory into one that is there, and removes it.
    Spread {
        /// The directory.
        from: PathBuf,
        /// The other one.
        into: PathBuf,
    },
    /// Deletes a tree.
    Delete(PathBuf),
    /// Removes a directory that is empty by then.
    RemoveEmpty(PathBuf),
}

/// What is to be done.
#[derive(Debug, Default)]
pub struct Plan {
    /// One after the other.
    pub steps: Vec<Step>,
    /// Whether there is data, and not only a directory without any.
    pub has_data: bool,
    /// Where the data will be kept.
    pub moved_to: Option<PathBuf>,
    /// Where a log of its own will be kept, unless it goes along with the data.
    pub wal_moved_to: Option<PathBuf>,
    /// Remarks for the user.
    pub warnings: Vec<String>,
}

/// Plans what was asked for. First the data gets another name, so that nothing looks like a member any more; only then
/// anything is deleted.
///
/// # Errors
///
/// Kind `conflict` when the data is another one than asked for, or cannot be told whose it is.
pub fn plan(asked: &Asked, seen: &Seen, now: &str) -> Result<Plan, Failure> {
    let identity = proved(asked, seen)?;
    let name = match (asked.state, identity) {
        (State::Absent, _) => "removed".to_owned(),
        (State::Aside, Some(identity)) => hex(identity.member_id),
        (State::Aside, None) => "unknown".to_owned(),
    };
    let mut plan = Plan::default();
    let suffix = format!("{name}.{now}");
    let with_data = plan.data(asked.state, seen, &suffix);
    if let Some(wal) = seen.wal.as_ref().filter(|wal| wal.exists && !with_data) {
        plan.log(asked.state, wal, &suffix);
    }
    plan.tidy(asked.state, seen, with_data);
    Ok(plan)
}

/// Whose data it is, as far as that matters.
fn proved(asked: &Asked, seen: &Seen) -> Result<Option<Identity>, Failure> {
    let data_dir = seen.data.path.display();
    let refused = |what: String| Err(Failure::new(ErrorKind::Conflict, what));
    let identity = match &seen.identity {
        DataDir::Member(identity) => *identity,
        DataDir::Absent => return Ok(None),
        DataDir::Unreadable { .. } if asked.force => return Ok(None),
        DataDir::Unreadable { reason } => {
            return refused(format!(
                "{data_dir} is left alone, for it cannot be told whose data it holds: {reason}; if its log is kept \
                 elsewhere, give wal_dir; to go on all the same, set force: true"
            ));
        }
    };
    for (what, wanted, found) in
        [("member", asked.member_id, identity.member_id), ("cluster", asked.cluster_id, identity.cluster_id)]
    {
        if let Some(wanted) = wanted.filter(|wanted| *wanted != found) {
            return refused(format!(
                "{data_dir} is left alone: it holds data of {what} {}, not of {what} {}; look at it with etcd_info, \
                 and give the id of the data that is meant",
                hex(found),
                hex(wanted)
            ));
        }
    }
    Ok(Some(identity))
}

impl Plan {
    /// The data gets another name. Says whether the log goes along with it.
    fn data(&mut self, state: State, seen: &Seen, suffix: &str) -> bool {
        let data = &seen.data;
        if !data.names.contains(MEMBER) {
            return false;
        }
        self.has_data = true;
        // A log in a directory of its own inside of the data directory.
        let log = seen.wal.as_ref().and_then(|wal| wal.path.strip_prefix(&data.path).ok()?.iter().next()?.to_str());
        let fixed_log = log.is_some() && seen.wal.as_ref().is_some_and(|wal| wal.fixed);
        let foreign = data.names.iter().any(|name| !is_etcds(name, MEMBER) && Some(name.as_str()) != log);
        if state == State::Aside && !data.fixed && !foreign && !fixed_log {
            let to = free(data.path.parent(), &data.beside, &with_suffix(&data.path, suffix));
            self.steps.extend(leftovers(data, MEMBER).map(Step::Delete));
            self.steps.push(Step::Move { from: data.path.clone(), to: to.clone() });
            self.moved_to = Some(to);
            return log.is_some();
        }
        let to = free(Some(&data.path), &data.names, &format!("{MEMBER}.{suffix}"));
        self.steps.push(Step::Move { from: data.path.join(MEMBER), to: to.clone() });
        if state == State::Aside {
            self.moved_to = Some(to);
        }
        false
    }

    /// So does a log of its own.
    fn log(&mut self, state: State, wal: &Place, suffix: &str) {
        let names: Vec<String> = wal.names.iter().filter(|name| is_log(name)).cloned().collect();
        if names.is_empty() {
            return;
        }
        self.has_data = true;
        let foreign = wal.names.iter().any(|name| !is_log(name) && !is_etcds(name, "wal"));
        let to = if state == State::Aside && !wal.fixed && !foreign {
            let to = free(wal.path.parent(), &wal.beside, &with_suffix(&wal.path, suffix));
            self.steps.extend(leftovers(wal, "wal").map(Step::Delete));
            self.steps.push(Step::Move { from: wal.path.clone(), to: to.clone() });
            to
        } else {
            let into = free(Some(&wal.path), &wal.names, &format!("wal.{suffix}"));
            self.steps.push(Step::Gather { directory: wal.path.clone(), names, into: into.clone() });
            into
        };
        if state == State::Aside {
            self.wal_moved_to = Some(to);
        }
    }

    /// What is deleted, and which directories go because nothing is in them any more.
    fn tidy(&mut self, state: State, seen: &Seen, log_is_gone: bool) {
        let log = seen.wal.as_ref().filter(|wal| wal.exists && !log_is_gone);
        let places = log.into_iter().map(|wal| (wal, "wal")).chain([(&seen.data, MEMBER)]);
        for (place, kind) in places.filter(|(place, _)| place.exists) {
            // One that is renamed takes all along.
            if self.steps.iter().any(|step| matches!(step, Step::Move { from, .. } if *from == place.path)) {
                continue;
            }
            self.steps.extend(leftovers(place, kind).map(Step::Delete));
            let renamed = self.steps.iter().find_map(|step| match step {
                Step::Move { to, .. } | Step::Gather { into: to, .. } if to.parent() == Some(&place.path) => {
                    Some(to.clone())
                }
                _ => None,
            });
            if state == State::Absent {
                self.steps.extend(renamed.clone().map(Step::Delete));
                let fixtures = place.names.contains(FIXTURES) && kind == MEMBER;
                self.steps.extend(fixtures.then(|| Step::Delete(place.path.join(FIXTURES))));
            }
            let staying = self.staying(place);
            let keeps_renamed = state == State::Aside && renamed.is_some();
            if staying.is_empty() && !place.fixed && !keeps_renamed {
                self.steps.push(Step::RemoveEmpty(place.path.clone()));
            }
            let known = |name: &str| {
                let kept_aside = state == State::Aside && (name == FIXTURES || is_renamed(name, kind));
                kept_aside || (place.fixed && name == LOST_AND_FOUND)
            };
            let foreign: Vec<&str> = staying.into_iter().filter(|name| !known(name)).collect();
            if !foreign.is_empty() {
                self.warn(place, &foreign);
            }
        }
    }

    /// What the directory held before and holds after the steps planned so far.
    fn staying<'a>(&self, place: &'a Place) -> Vec<&'a str> {
        let goes = |name: &str| {
            let path = place.path.join(name);
            self.steps.iter().any(|step| match step {
                Step::Move { from, .. } => *from == path,
                Step::Delete(deleted) | Step::RemoveEmpty(deleted) => *deleted == path,
                Step::Gather { directory, names, .. } => *directory == place.path && names.iter().any(|it| it == name),
                Step::Spread { .. } => false,
            })
        };
        place.names.iter().map(String::as_str).filter(|name| !goes(name)).collect()
    }

    fn warn(&mut self, place: &Place, kept: &[&str]) {
        let mut names: Vec<String> = kept.iter().take(NAMED).map(|name| (*name).to_owned()).collect();
        if kept.len() > NAMED {
            names.push(format!("{} more", kept.len() - NAMED));
        }
        self.warnings.push(format!(
            "{} stays, for it holds what is not of this member's data: {}",
            place.path.display(),
            names.join(", ")
        ));
    }
}

/// Whether etcd, or an interrupted removal, has made the entry of that name.
fn is_etcds(name: &str, kind: &str) -> bool {
    (kind == MEMBER && matches!(name, MEMBER | FIXTURES)) || is_leftover(name, kind)
}

/// The files of a log: segments, those that are made ahead, and broken ones that etcd has put aside.
fn is_log(name: &str) -> bool {
    name.ends_with(".wal") || name.ends_with(".wal.broken") || matches!(name, "0.tmp" | "1.tmp")
}

/// Whether an interrupted removal left the entry: `member.removed.20261121T082735Z`.
fn is_leftover(name: &str, kind: &str) -> bool {
    is_renamed(name, kind) && name[kind.len()..].starts_with(".removed.")
}

/// Whether a run of this module gave the entry its name: `member.8e9e05c52164694d.20261121T082735Z`.
fn is_renamed(name: &str, kind: &str) -> bool {
    let rest = name.strip_prefix(kind).and_then(|rest| rest.strip_prefix('.'));
    let time = rest.and_then(|rest| rest.split_once('.')).map_or("", |(_, time)| time);
    !time.is_empty() && time.chars().all(|sign| sign.is_ascii_digit() || "TZ.".contains(sign))
}

fn leftovers<'a>(place: &'a Place, kind: &'a str) -> impl Iterator<Item = PathBuf> + 'a {
    place.names.iter().filter(move |name| is_leftover(name, kind)).map(|name| place.path.join(name))
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> String {
    format!("{}.{suffix}", path.file_name().unwrap_or_default().to_string_lossy())
}

/// The name, with a number if it is taken.
fn free(parent: Option<&Path>, taken: &BTreeSet<String>, name: &str) -> PathBuf {
    let numbered = (1..).map(|number| format!("{name}.{number}"));
    let mut names = std::iter::once(name.to_owned()).chain(numbered);
    let free = names.find(|name| !taken.contains(name)).unwrap_or_default();
    parent.unwrap_or(Path::new("/")).join(free)
}
