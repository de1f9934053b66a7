//! Whether what a process names outlasts a power cut: what has a name must be on disk before it gets it, and the
//! name's directory after that. The calls in which a process asks the kernel for that are seen, in their order.

use crate::stepping::{Call, trace};
use anyhow::{Context as _, Result, ensure};
use nix::libc;
use nix::sys::ptrace;
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// In place of a directory's number: the one that the process works in.
const HERE: u64 = libc::AT_FDCWD.cast_unsigned() as u64;

/// What a process did. Paths are absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It began to write to the file; once for all calls that follow each other.
    Write(PathBuf),
    /// The kernel has put the file, or the names in the directory, on disk.
    Sync(PathBuf),
    /// It began to give a second name to what has the first, or to rename it.
    Name {
        /// The first.
        from: PathBuf,
        /// The second.
        to: PathBuf,
    },
    /// It began to remove the file or directory.
    Remove(PathBuf),
}

/// Runs the command, without input or output, and returns what its process did; other processes that it starts are
/// not seen.
///
/// # Errors
///
/// When it cannot be traced, or does not end well.
pub fn watch(command: &Command) -> Result<Vec<Event>> {
    // It waits until it is traced, so that nothing is missed.
    let mut held = Command::new("/bin/sh");
    held.args(["-c", "read -r line && exec \"$@\"", "sh"]).arg(command.get_program()).args(command.get_args());
    held.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut child = held.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    let begin = |child: &mut Child| Ok(child.stdin.take().context("its input")?.write_all(b"go\n")?);
    let (mut events, mut syncing) = (Vec::new(), BTreeMap::new());
    let code = trace(&mut child, begin, |thread| {
        match ptrace::syscall_info(thread)?.op {
            libc::PTRACE_SYSCALL_INFO_ENTRY => match event(thread)? {
                Some(Event::Sync(path)) => drop(syncing.insert(thread, path)),
                event => events.extend(event.filter(|event| events.last() != Some(event))),
            },
            // Only what is done by then counts.
            _ => events.extend(syncing.remove(&thread).map(Event::Sync)),
        }
        Ok(())
    })?;
    ensure!(code == Some(0), "it ended with {code:?}");
    Ok(events)
}

/// What the call does that the thread begins.
fn event(thread: Pid) -> Result<Option<Event>> {
    let Some(Call { number, arguments }) = Call::of(thread) else { return Ok(None) };
    let path = |directory: u64, address: usize| path_at(thread, directory, arguments[address]);
    let name =
        |(directory, from), (other, to)| Ok(Some(Event::Name { from: path(directory, from)?, to: path(other, to)? }));
    match number {
        libc::SYS_write | libc::SYS_writev | libc::SYS_pwrite64 | libc::SYS_pwritev | libc::SYS_sendfile => {
            Ok(file(thread, arguments[0]).map(Event::Write))
        }
        libc::SYS_copy_file_range => Ok(file(thread, arguments[2]).map(Event::Write)),
        libc::SYS_fsync | libc::SYS_fdatasync => Ok(file(thread, arguments[0]).map(Event::Sync)),
        libc::SYS_renameat | libc::SYS_renameat2 | libc::SYS_linkat => name((arguments[0], 1), (arguments[2], 3)),
        libc::SYS_unlinkat => Ok(Some(Event::Remove(path(arguments[0], 1)?))),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_rename | libc::SYS_link => name((HERE, 0), (HERE, 1)),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_unlink | libc::SYS_rmdir => Ok(Some(Event::Remove(path(HERE, 0)?))),
        _ => Ok(None),
    }
}

/// What the process has open under that number; none when it has no name.
fn file(thread: Pid, number: u64) -> Option<PathBuf> {
    let path = fs::read_link(format!("/proc/{thread}/fd/{number}")).ok()?;
    path.is_absolute().then_some(path)
}

/// The path in the process's memory, which may be relative to what it has open under that number.
fn path_at(thread: Pid, directory: u64, address: u64) -> Result<PathBuf> {
    let mut bytes = [0; 4096];
    // Less where the memory ends before.
    let read = File::open(format!("/proc/{thread}/mem"))?.read_at(&mut bytes, address)?;
    let end = bytes[..read].iter().position(|byte| *byte == 0).context("the end of a path")?;
    let path = Path::new(OsStr::from_bytes(&bytes[..end]));
    if path.is_absolute() {
        return Ok(path.to_owned());
    }
    // The kernel looks at 32 bits.
    let here = directory & HERE == HERE;
    let directory = if here { fs::read_link(format!("/proc/{thread}/cwd")).ok() } else { file(thread, directory) };
    Ok(directory.context("what a path is relative to")?.join(path))
}

/// All names that were given, in order: the old one and the new one.
pub fn names(events: &[Event]) -> impl Iterator<Item = (&Path, &Path)> {
    events.iter().filter_map(|event| match event {
        Event::Name { from, to } => Some((from.as_path(), to.as_path())),
        _ => None,
    })
}

/// What a power cut could take: files that got a name before they were on disk, and names that were not there for good
/// before the next one was given, something else was removed, or the process ended.
#[must_use]
pub fn unsafe_names(events: &[Event]) -> Vec<String> {
    let mut found = Vec::new();
    for (at, event) in events.iter().enumerate() {
        let Event::Name { from, to } = event else { continue };
        let (before, after) = (&events[..at], &events[at + 1..]);
        let (name, directory) = (to.display(), to.parent().unwrap_or(to).to_owned());
        for (at, event) in before.iter().enumerate() {
            if let Event::Write(path) = event
                && path.starts_with(from)
                && !before[at..].contains(&Event::Sync(path.clone()))
            {
                found.push(format!("{} was not on disk when it got the name {name}", path.display()));
            }
        }
        let mut until_next = after.iter().take_while(|event| match event {
            Event::Name { .. } => false,
            Event::Remove(path) => path == from,
            _ => true,
        });
        if !until_next.any(|event| *event == Event::Sync(directory.clone())) {
            found.push(format!("{} was not on disk after it got the name {name}", directory.display()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_seen_in_their_order() {
        let dir = tempfile::tempdir().unwrap();
        let [a, b, c] = ["a", "b", "c"].map(|name| dir.path().join(name));
        let script = "use IO::Handle; open(my $f, '>', $ARGV[0]); syswrite($f, 'x'); syswrite($f, 'y'); $f->sync; \
                      link($ARGV[0], $ARGV[1]); chdir($ARGV[3]); rename('a', $ARGV[2]); open(my $d, '<', '.'); $d->sync; \
                      unlink('b')";
        let mut perl = Command::new("/usr/bin/perl");
        perl.args(["-e", script]).args([&a, &b, &c]).arg(dir.path());
        let (linked, renamed) =
            (Event::Name { from: a.clone(), to: b.clone() }, Event::Name { from: a.clone(), to: c });
        let wanted = [
            Event::Write(a.clone()),
            Event::Sync(a),
            linked,
            renamed,
            Event::Sync(dir.path().into()),
            Event::Remove(b.clone()),
        ];
        let events = watch(&perl).unwrap();
        assert_eq!(events, wanted);
        let wanted = format!("{} was not on disk after it got the name {}", dir.path().display(), b.display());
        assert_eq!(unsafe_names(&events), [wanted]);
        assert!(watch(Command::new("/bin/sh").args(["-c", "exit 3"])).is_err());
    }

    #[test]
    fn what_is_written_must_be_on_disk_before_it_gets_its_name() {
        let (write, sync) = (|| Event::Write("/d/new/a".into()), || Event::Sync("/d/new/a".into()));
        let name = || Event::Name { from: "/d/new".into(), to: "/d/old".into() };
        let directory = || Event::Sync("/d".into());
        assert_eq!(unsafe_names(&[write(), sync(), name(), directory()]), [""; 0]);
        let late = ["/d/new/a was not on disk when it got the name /d/old"];
        assert_eq!(unsafe_names(&[write(), name(), sync(), directory()]), late);
        assert_eq!(unsafe_names(&[sync(), write(), name(), directory()]), late);
        let unnamed = ["/d was not on disk after it got the name /d/old"];
        assert_eq!(unsafe_names(&[write(), sync(), directory(), name()]), unnamed);
        let remove = |path: &str| Event::Remove(path.into());
        assert_eq!(unsafe_names(&[name(), remove("/d/older"), directory()]), unnamed);
        assert_eq!(unsafe_names(&[name(), remove("/d/new"), directory(), remove("/d/older")]), [""; 0]);
        assert_eq!(unsafe_names(&[Event::Write("/d/newer".into()), name(), directory()]), [""; 0]);
    }
}
