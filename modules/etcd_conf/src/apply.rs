//! Doing what was planned.
//!
//! All new files are written and made durable beside their targets before the first takes its place, so a full disk
//! leaves every file as it was.

use crate::disk::{Attributes, open};
use crate::plan::Step;
use ansible_protocol::Failure;
use etcd_ops::clock;
use etcd_ops::files::{self, Staged, parent};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// The permissions of directories above a wanted one.
const ABOVE: u32 = 0o755;

/// What was kept: the previous files, by their paths.
pub(crate) type Backups = BTreeMap<PathBuf, PathBuf>;

/// Does the steps.
///
/// # Errors
///
/// Returns one failure that says what could not be done, what has been done already, and that each file is whole.
pub(crate) fn apply(steps: &[Step]) -> Result<Backups, Failure> {
    let mut work = Work::default();
    for step in steps {
        work.begin(step).map_err(|error| work.failure(step, &error))?;
    }
    for step in steps {
        work.finish(step).map_err(|error| work.failure(step, &error))?;
    }
    let touched = std::mem::take(&mut work.touched);
    for directory in touched {
        files::sync_dir(&directory).map_err(|error| Failure::io(format!("sync {}", directory.display()), error))?;
    }
    Ok(work.backups)
}

#[derive(Default)]
struct Work {
    staged: BTreeMap<PathBuf, Staged>,
    done: Vec<String>,
    backups: Backups,
    touched: BTreeSet<PathBuf>,
}

impl Work {
    /// Everything that other steps need, and the new files beside their targets.
    fn begin(&mut self, step: &Step) -> io::Result<()> {
        match step {
            Step::RemoveLeftover(path) => match std::fs::remove_file(path) {
                // Somebody else was quicker.
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                result => result,
            },
            Step::MakeDirectory(path, attributes) => {
                make_directory(path, *attributes)?;
                self.touched.insert(parent(path).to_owned());
                self.done.push(format!("made {}", path.display()));
                Ok(())
            }
            Step::WriteFile { path, content, attributes, .. } => {
                let staged = files::stage(path, content, Some((attributes.uid, attributes.gid)), attributes.mode)?;
                self.staged.insert(path.clone(), staged);
                Ok(())
            }
            Step::SetAttributes(..) | Step::RemoveFile { .. } | Step::RemoveDirectory(_) => Ok(()),
        }
    }

    /// Puts everything in place.
    fn finish(&mut self, step: &Step) -> io::Result<()> {
        match step {
            Step::RemoveLeftover(_) | Step::MakeDirectory(..) => {}
            Step::SetAttributes(path, attributes) => {
                let file = if path.is_dir() { File::open(path)? } else { open(path)? };
                set_attributes(&file, *attributes)?;
                self.done.push(format!("set owner and mode of {}", path.display()));
            }
            Step::WriteFile { path, keep_previous, .. } => {
                if *keep_previous {
                    self.backups.insert(path.clone(), keep(path)?);
                }
                if let Some(staged) = self.staged.remove(path) {
                    staged.replace()?;
                }
                self.touched.insert(parent(path).to_owned());
                self.done.push(format!("wrote {}", path.display()));
            }
            Step::RemoveFile { path, keep_previous } => {
                if *keep_previous {
                    self.backups.insert(path.clone(), keep(path)?);
                }
                std::fs::remove_file(path)?;
                self.touched.insert(parent(path).to_owned());
                self.done.push(format!("removed {}", path.display()));
            }
            Step::RemoveDirectory(path) => {
                std::fs::remove_dir(path)?;
                self.touched.remove(path);
                self.touched.insert(parent(path).to_owned());
                self.done.push(format!("removed {}", path.display()));
            }
        }
        Ok(())
    }

    fn failure(&self, step: &Step, error: &io::Error) -> Failure {
        let what = match step {
            Step::RemoveLeftover(_) | Step::RemoveFile { .. } | Step::RemoveDirectory(_) => "remove",
            Step::MakeDirectory(..) => "make the directory",
            Step::SetAttributes(..) => "set owner and mode of",
            Step::WriteFile { .. } => "write",
        };
        let done = if self.done.is_empty() { "nothing was changed".into() } else { self.done.join(", ") };
        let next = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "; make room on that file system and run again"
            }
            io::ErrorKind::ReadOnlyFilesystem => "; mount that file system for writing and run again",
            io::ErrorKind::PermissionDenied => "; run as root (become: true)",
            _ => "",
        };
        let path = step.path().display();
        Failure::io(
            format_args!("{what} {path}"),
            format_args!("{error}; before that: {done}; every file is whole{next}"),
        )
        .with("changed", !self.done.is_empty())
    }
}

/// Makes a directory that nobody else can enter before it has its owner and mode.
fn make_directory(path: &Path, attributes: Option<Attributes>) -> io::Result<()> {
    DirBuilder::new().mode(if attributes.is_some() { 0o700 } else { ABOVE }).create(path)?;
    let directory = File::open(path)?;
    match attributes {
        Some(attributes) => set_attributes(&directory, attributes),
        None => directory.set_permissions(Permissions::from_mode(ABOVE)),
    }
}

/// Sets owner and mode, at no moment allowing more than the old or the new ones do.
fn set_attributes(file: &File, wanted: Attributes) -> io::Result<()> {
    let present = file.metadata()?.permissions().mode();
    file.set_permissions(Permissions::from_mode(present & wanted.mode & 0o777))?;
    fchown(file, Some(wanted.uid), Some(wanted.gid))?;
    file.set_permissions(Permissions::from_mode(wanted.mode))?;
    file.sync_all()
}

/// Keeps the file under another name. A second link costs no room and is there at once; the rename that follows
/// leaves it alone.
fn keep(path: &Path) -> io::Result<PathBuf> {
    let now = clock::now().to_string();
    for count in 0..100 {
        let number = if count == 0 { String::new() } else { format!(".{count}") };
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{now}{number}~"));
        match std::fs::hard_link(path, &name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => return result.map(|()| name.into()),
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "there are too many backups of this second"))
}
