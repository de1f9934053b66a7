//! Doing what was planned.

use super::plan::Step;
use crate::files::{parent, sync_dir};
use ansible_protocol::Failure;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// Does the steps, each made durable before the next.
///
/// # Errors
///
/// Returns one failure that says what could not be done, and what has been done already.
pub fn apply(steps: &[Step]) -> Result<(), Failure> {
    let mut done: Vec<String> = Vec::new();
    for step in steps {
        carry_out(step).map_err(|error| {
            let before = if done.is_empty() { "nothing was changed".into() } else { done.join(", ") };
            let next = "the next run goes on from there";
            Failure::io(step, format_args!("{error}; before that: {before}; {next}")).with("changed", !done.is_empty())
        })?;
        done.push(step.to_string());
    }
    Ok(())
}

fn carry_out(step: &Step) -> io::Result<()> {
    match step {
        Step::Move { from, to } => {
            rename(from, to)?;
            sync_dir(parent(from))
        }
        Step::Gather { directory, names, into } => {
            DirBuilder::new().mode(0o700).create(into)?;
            for name in names {
                rename(&directory.join(name), &into.join(name))?;
            }
            sync_dir(into)?;
            sync_dir(directory)
        }
        Step::Spread { from, into } => {
            for entry in std::fs::read_dir(from)? {
                let entry = entry?;
                rename(&entry.path(), &into.join(entry.file_name()))?;
            }
            sync_dir(into)?;
            std::fs::remove_dir(from)?;
            sync_dir(into)
        }
        // Follows no symbolic link, not even one that takes a directory's place meanwhile.
        Step::Delete(path) => {
            std::fs::remove_dir_all(path)?;
            sync_dir(parent(path))
        }
        Step::RemoveEmpty(path) => {
            std::fs::remove_dir(path)?;
            sync_dir(parent(path))
        }
    }
}

/// Renames what is not there yet under the new name. Where something comes to be there in between, it is at most an
/// empty directory that is replaced, for the kernel refuses everything else when a directory is renamed.
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    if to.symlink_metadata().is_ok() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{} is there already", to.display())));
    }
    std::fs::rename(from, to)
}

impl std::fmt::Display for Step {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Move { from, to } => write!(formatter, "rename {} to {}", from.display(), to.display()),
            Self::Gather { directory, into, .. } => {
                write!(formatter, "move the log in {} to {}", directory.display(), into.display())
            }
            Self::Spread { from, into } => {
                write!(formatter, "move the log in {} to {}", from.display(), into.display())
            }
            Self::Delete(path) | Self::RemoveEmpty(path) => write!(formatter, "remove {}", path.display()),
        }
    }
}
