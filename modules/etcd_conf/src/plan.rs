//! From what is wanted and what is there to what is to be done. Pure.

use crate::disk::{Attributes, Disk, Seen};
use crate::params::{Present, Wanted, WantedFile};
use crate::removal;
use ansible_protocol::order;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Removes a temporary file that a killed run left.
    RemoveLeftover(PathBuf),
    /// Makes a directory; one above a wanted one has no attributes of its own.
    MakeDirectory(PathBuf, Option<Attributes>),
    /// Sets owner and permissions: of what there is, without touching the content.
    SetAttributes(PathBuf, Attributes),
    /// Puts a new file in place, and keeps the previous one where asked to.
    WriteFile { path: PathBuf, content: Vec<u8>, attributes: Attributes, keep_previous: bool },
    /// Removes a file, and keeps it under another name where asked to.
    RemoveFile { path: PathBuf, keep_previous: bool },
    /// Removes a directory that is empty by then.
    RemoveDirectory(PathBuf),
}

impl Step {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::RemoveLeftover(path)
            | Self::MakeDirectory(path, _)
            | Self::SetAttributes(path, _)
            | Self::WriteFile { path, .. }
            | Self::RemoveFile { path, .. }
            | Self::RemoveDirectory(path) => path,
        }
    }
}

/// What is to be done, and what stands in the way.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    /// What makes it impossible.
    pub(crate) problems: Vec<String>,
    /// Directories that do not exist and that nobody asked for.
    pub(crate) missing: Vec<String>,
    /// Directories that are not wanted and stay, and why.
    pub(crate) kept: Vec<String>,
}

/// Plans the way from what there is to what is wanted: directories from the outside in, then the files in the order
/// given, then what is to be gone of directories from the inside out.
pub(crate) fn plan(wanted: &Wanted, disk: &Disk) -> Plan {
    let mut plan = Plan::default();
    plan.steps.extend(disk.leftovers.iter().cloned().map(Step::RemoveLeftover));
    let mut directories: Vec<_> =
        wanted.directories.iter().filter_map(|directory| Some((&directory.path, directory.attributes?))).collect();
    order::sort_by_key(&mut directories, |(path, _)| path.components().count());
    let mut made = BTreeSet::new();
    for (path, attributes) in directories {
        plan.directory(path, attributes, disk, &mut made);
    }
    for file in wanted.all_files() {
        match &file.present {
            Some(present) => plan.file(file, present, disk, &made),
            None => removal::file(&mut plan, file, disk),
        }
    }
    removal::directories(&mut plan, wanted, disk);
    plan
}

impl Plan {
    fn directory(&mut self, path: &Path, attributes: Attributes, disk: &Disk, made: &mut BTreeSet<PathBuf>) {
        match disk.at(path) {
            Seen::Directory(present) if *present == attributes => {}
            Seen::Directory(_) => self.steps.push(Step::SetAttributes(path.to_owned(), attributes)),
            Seen::File(..) => self.problem(path, "is to be a directory, but is a file: move it out of the way"),
            Seen::Other(what) => self.problem(path, format!("is to be a directory, but {what}")),
            Seen::Missing => {
                let mut above: Vec<&Path> = path.ancestors().skip(1).collect();
                above.reverse();
                for above in above {
                    match disk.at(above) {
                        Seen::Missing if made.insert(above.to_owned()) => {
                            self.steps.push(Step::MakeDirectory(above.to_owned(), None));
                        }
                        Seen::Missing | Seen::Directory(_) => {}
                        Seen::File(..) => return self.problem(above, "is a file, not a directory"),
                        Seen::Other(what) => {
                            let what = what.clone();
                            return self.problem(above, what);
                        }
                    }
                }
                made.insert(path.to_owned());
                self.steps.push(Step::MakeDirectory(path.to_owned(), Some(attributes)));
            }
        }
    }

    fn file(&mut self, file: &WantedFile, present: &Present, disk: &Disk, made: &BTreeSet<PathBuf>) {
        let parent = file.path.parent().unwrap_or(Path::new("/"));
        match disk.at(parent) {
            Seen::Directory(_) => {}
            Seen::Missing if made.contains(parent) => {}
            Seen::Missing => {
                let missing = format!(
                    "there is no directory {} for {}; add it to the directories",
                    parent.display(),
                    file.path.display()
                );
                self.missing.push(missing);
            }
            Seen::File(..) => return self.problem(parent, "is a file, not a directory"),
            Seen::Other(what) => return self.problem(parent, what),
        }
        let write = |keep_previous| Step::WriteFile {
            path: file.path.clone(),
            content: present.content.clone(),
            attributes: present.attributes,
            keep_previous,
        };
        match disk.at(&file.path) {
            Seen::Missing => self.steps.push(write(false)),
            Seen::File(_, content) if *content != present.content => self.steps.push(write(file.backup)),
            Seen::File(found, _) if *found != present.attributes => {
                self.steps.push(Step::SetAttributes(file.path.clone(), present.attributes));
            }
            Seen::File(..) => {}
            Seen::Directory(_) => self.problem(&file.path, "is to be a file, but is a directory"),
            Seen::Other(what) => {
                self.problem(&file.path, format!("is to be a file, but {what}: remove that, or name another path"));
            }
        }
    }

    pub(crate) fn problem(&mut self, path: &Path, what: impl std::fmt::Display) {
        self.problems.push(format!("{} {what}", path.display()));
    }
}
