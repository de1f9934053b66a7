//! Processes that are killed between two of their system calls, which no clock would hit.
//!
//! Counted are the calls that change names, owners or durability of files, each twice: before the kernel carries it
//! out and after. So a kill at each of these steps is a kill at every moment that makes a difference to the files'
//! names.

use anyhow::{Context as _, Result, bail};
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::fs;
use std::process::Child;

/// On all machines.
const CALLS: &[libc::c_long] = &[
    libc::SYS_mkdirat,
    libc::SYS_linkat,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_flock,
    libc::SYS_fchmod,
    libc::SYS_fchown,
];
/// Older ways to the same.
#[cfg(target_arch = "x86_64")]
const OLDER: &[libc::c_long] =
    &[libc::SYS_mkdir, libc::SYS_link, libc::SYS_unlink, libc::SYS_rmdir, libc::SYS_rename, libc::SYS_chmod];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[libc::c_long] = &[];

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walked {
    /// Steps that were counted.
    pub steps: u64,
    /// What it ended with; none when it was killed.
    pub code: Option<i32>,
}

/// Lets a process that waits for its input go on with `begin`, and kills it at the step of that number, from 1; or
/// not at all.
///
/// # Errors
///
/// When it cannot be traced.
pub fn walk(child: &mut Child, begin: impl FnOnce(&mut Child) -> Result<()>, kill_at: Option<u64>) -> Result<Walked> {
    let process = Pid::from_raw(i32::try_from(child.id())?);
    let mut steps = 0;
    let code = trace(child, begin, |thread| {
        let call = Call::of(thread);
        steps += u64::from(call.is_some_and(|call| CALLS.contains(&call.number) || OLDER.contains(&call.number)));
        if kill_at.is_some_and(|step| steps >= step) {
            kill(process, Signal::SIGKILL)?;
        }
        Ok(())
    })?;
    Ok(Walked { steps, code })
}

/// Lets a process that waits for its input go on with `begin`, and stops each of its threads before and after every
/// system call, `at` which it can be looked at. Returns what it ended with; none when it was killed.
///
/// # Errors
///
/// When it cannot be traced, and those of `begin` and `at`.
pub(crate) fn trace(
    child: &mut Child,
    begin: impl FnOnce(&mut Child) -> Result<()>,
    mut at: impl FnMut(Pid) -> Result<()>,
) -> Result<Option<i32>> {
    let process = Pid::from_raw(i32::try_from(child.id())?);
    let options = Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACECLONE | Options::PTRACE_O_EXITKILL;
    ptrace::seize(process, options).context("trace the process")?;
    ptrace::interrupt(process)?;
    begin(child)?;
    loop {
        // Those that this thread traces, and no servers that others have started.
        let status = match waitpid(None, Some(WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD)) {
            Err(nix::errno::Errno::EINTR) => continue,
            status => status.context("wait for the process")?,
        };
        let (thread, signal) = match status {
            WaitStatus::Exited(pid, code) if pid == process => return Ok(Some(code)),
            WaitStatus::Signaled(pid, Signal::SIGKILL, _) if pid == process => return Ok(None),
            WaitStatus::Signaled(pid, signal, _) if pid == process => bail!("it was ended by {signal}"),
            WaitStatus::PtraceSyscall(thread) => {
                at(thread)?;
                (thread, None)
            }
            WaitStatus::PtraceEvent(thread, ..) => (thread, None),
            WaitStatus::Stopped(thread, signal) => (thread, Some(signal)),
            // A thread that has ended.
            _ => continue,
        };
        match ptrace::syscall(thread, signal) {
            // Killed meanwhile.
            Ok(()) | Err(nix::errno::Errno::ESRCH) => {}
            Err(error) => return Err(error).context("let the process go on"),
        }
    }
}

/// A system call.
pub(crate) struct Call {
    pub(crate) number: libc::c_long,
    pub(crate) arguments: [u64; 6],
}

impl Call {
    /// The one that a thread is stopped at; none when it has been killed meanwhile.
    pub(crate) fn of(thread: Pid) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{thread}/syscall")).ok()?;
        let (number, rest) = text.split_once(' ')?;
        let mut arguments = [0; 6];
        for (argument, word) in arguments.iter_mut().zip(rest.split(' ')) {
            *argument = u64::from_str_radix(word.trim().strip_prefix("0x")?, 16).ok()?;
        }
        Some(Self { number: number.parse().ok()?, arguments })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    /// Makes two directories, one after the other, once it is told.
    fn mkdirs(kill_at: Option<u64>) -> (Walked, Vec<bool>) {
        let dir = tempfile::tempdir().unwrap();
        let script = "<STDIN>; mkdir 'one'; mkdir 'two'";
        let mut perl = Command::new("/usr/bin/perl");
        let mut child = perl.args(["-e", script]).current_dir(&dir).stdin(Stdio::piped()).spawn().unwrap();
        let begin = |child: &mut Child| Ok(child.stdin.take().unwrap().write_all(b"go\n")?);
        let walked = walk(&mut child, begin, kill_at).unwrap();
        (walked, ["one", "two"].map(|name| dir.path().join(name).exists()).to_vec())
    }

    #[test]
    fn a_process_is_killed_before_or_after_each_of_its_calls() {
        let made = [vec![false, false], vec![true, false], vec![true, false], vec![true, true]];
        for (step, made) in (1..).zip(made) {
            assert_eq!(mkdirs(Some(step)), (Walked { steps: step, code: None }, made));
        }
        assert_eq!(mkdirs(None), (Walked { steps: 4, code: Some(0) }, vec![true, true]));
        assert_eq!(mkdirs(Some(9)), mkdirs(None));
    }
}
