//! Ctrl-C. Before a playbook it stops everything; while one is under way, the playbook decides how it ends.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitStatus, waitpid};
use std::ffi::{CString, OsStr, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// From here on, Ctrl-C does not end the process.
pub(crate) struct Interrupts {
    /// What was blocked before, and is in the programs that are called.
    before: SigSet,
    arrived: SignalFd,
}

impl Interrupts {
    pub(crate) fn watch() -> Result<Self, Errno> {
        let before = SigSet::thread_get_mask()?;
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGINT);
        signals.thread_block()?;
        let arrived = SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Self { before, arrived })
    }

    /// Whether Ctrl-C came since the last question, or comes in this time.
    pub(crate) fn within(&self, time: Duration) -> Result<bool, Errno> {
        let end = Instant::now() + time;
        loop {
            if self.arrived.read_signal()?.is_some() {
                return Ok(true);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            // Rounded up, so that the last millisecond is waited for too.
            let left = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
            match poll(&mut [PollFd::new(self.arrived.as_fd(), PollFlags::POLLIN)], left) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Runs a program that Ctrl-C reaches, and returns its exit code as a shell has it. The standard library would
    /// have it begin with the signals blocked that are blocked here.
    pub(crate) fn call(&self, command: &Command) -> Result<u8, Errno> {
        let program = Path::new(command.get_program());
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let words: Vec<CString> = words.map(text).collect::<Result<_, _>>()?;
        let environment: Vec<CString> =
            environment(command).iter().map(|entry| text(entry)).collect::<Result<_, _>>()?;
        let mut attributes = PosixSpawnAttr::init()?;
        // Rust ignores the signal of a closed pipe, which others expect to get.
        let mut defaults = SigSet::empty();
        defaults.add(Signal::SIGPIPE);
        attributes.set_sigdefault(&defaults)?;
        attributes.set_sigmask(&self.before)?;
        attributes.set_flags(PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF)?;
        let child = posix_spawn(program, &PosixSpawnFileActions::init()?, &attributes, &words, &environment)?;
        loop {
            match waitpid(child, None) {
                Ok(WaitStatus::Exited(_, code)) => return Ok(u8::try_from(code).unwrap_or(u8::MAX)),
                Ok(WaitStatus::Signaled(_, signal, _)) => {
                    return Ok(u8::try_from(128 + signal as i32).unwrap_or(u8::MAX));
                }
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// This process's variables with those of the command.
fn environment(command: &Command) -> Vec<OsString> {
    let set: Vec<(&OsStr, Option<&OsStr>)> = command.get_envs().collect();
    let entry = |name: &OsStr, value: &OsStr| [name, OsStr::new("="), value].into_iter().collect::<OsString>();
    let inherited = std::env::vars_os().filter(|(name, _)| set.iter().all(|(other, _)| other != name));
    let inherited: Vec<OsString> = inherited.map(|(name, value)| entry(&name, &value)).collect();
    let own = set.iter().filter_map(|(name, value)| Some(entry(name, (*value)?)));
    inherited.into_iter().chain(own).collect()
}

fn text(word: &OsStr) -> Result<CString, Errno> {
    CString::new(word.as_bytes()).map_err(|_| Errno::EINVAL)
}
