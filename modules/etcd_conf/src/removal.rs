//! Planning what is to be gone. Pure.

use crate::disk::{Disk, Seen};
use crate::params::{Wanted, WantedFile};
use crate::plan::{Plan, Step};
use ansible_protocol::order;
use std::path::{Path, PathBuf};

/// As many names are enough for a warning.
const NAMED: usize = 5;

/// Whether the content is, or has in it, a private key.
pub(crate) fn is_private_key(content: &[u8]) -> bool {
    let mark = b"PRIVATE KEY-----";
    content.windows(mark.len()).any(|window| window == mark)
}

/// Plans the removal of a file.
pub(crate) fn file(plan: &mut Plan, file: &WantedFile, disk: &Disk) {
    match disk.at(&file.path) {
        Seen::Missing => {}
        Seen::File(_, content) => {
            let keep_previous = file.backup && !is_private_key(content);
            plan.steps.push(Step::RemoveFile { path: file.path.clone(), keep_previous });
        }
        Seen::Directory(_) => {
            plan.problem(&file.path, "is to be removed as a file, but is a directory: name it in the directories");
        }
        Seen::Other(what) => {
            plan.problem(&file.path, format!("is to be removed, but {what}: remove that, or name another path"));
        }
    }
}

/// Plans the removal of the directories that are empty after everything planned so far, from the inside out. The
/// others stay, and the plan says why.
pub(crate) fn directories(plan: &mut Plan, wanted: &Wanted, disk: &Disk) {
    let unwanted = wanted.directories.iter().filter(|directory| directory.attributes.is_none());
    let mut unwanted: Vec<&PathBuf> = unwanted.map(|directory| &directory.path).collect();
    order::sort_by_key(&mut unwanted, |path| std::cmp::Reverse(path.components().count()));
    for path in unwanted {
        if let Some(inside) = wanted_inside(wanted, path) {
            plan.problem(path, format!("is to be removed, but {} in it is to be there", inside.display()));
            continue;
        }
        match disk.at(path) {
            Seen::Missing => {}
            Seen::File(..) => {
                plan.problem(path, "is to be removed as a directory, but is a file: name it in the files");
            }
            Seen::Other(what) => plan.keep(path, what),
            Seen::Directory(_) if disk.mount_points.contains(path) => plan.keep(path, "is a mount point"),
            Seen::Directory(_) => match what_stays(plan, disk, path) {
                None => plan.steps.push(Step::RemoveDirectory(path.clone())),
                Some(what) => plan.keep(path, format!("still holds {what}")),
            },
        }
    }
}

impl Plan {
    fn keep(&mut self, directory: &Path, why: impl std::fmt::Display) {
        self.kept.push(format!("{} is not removed: it {why}", directory.display()));
    }
}

/// Something that is to be there, in the directory that is not.
fn wanted_inside<'a>(wanted: &'a Wanted, directory: &Path) -> Option<&'a Path> {
    let files = wanted.all_files().filter(|file| file.present.is_some()).map(|file| file.path.as_path());
    let directories = wanted.directories.iter().filter(|directory| directory.attributes.is_some());
    files.chain(directories.map(|directory| directory.path.as_path())).find(|path| path.starts_with(directory))
}

/// What the directory holds after the steps planned so far; none when nothing.
fn what_stays(plan: &Plan, disk: &Disk, directory: &Path) -> Option<String> {
    let backups = |step: &&Step| matches!(step, Step::RemoveFile { path, keep_previous: true } if path.parent() == Some(directory));
    let backups = plan.steps.iter().filter(backups).count();
    let removes =
        |step: &&Step| matches!(step, Step::RemoveLeftover(_) | Step::RemoveFile { .. } | Step::RemoveDirectory(_));
    let gone = order::set(plan.steps.iter().filter(removes).map(Step::path));
    let held = disk.holds.get(directory).into_iter().flatten();
    let staying: Vec<&Path> = held.map(PathBuf::as_path).filter(|path| !gone.contains(path)).collect();
    let names = staying.iter().take(NAMED).filter_map(|path| path.file_name());
    let mut names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    if staying.len() > NAMED {
        names.push(format!("{} more", staying.len() - NAMED));
    }
    if backups > 0 {
        names.push("the backup of what was removed".into());
    }
    (!names.is_empty()).then(|| names.join(", "))
}
