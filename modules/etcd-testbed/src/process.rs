use std::io;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc::{Sender, channel};
use std::sync::{LazyLock, Mutex};
use std::thread;

type Job = (Command, Sender<io::Result<Child>>);

/// A command that the kernel kills when this process ends, however it ends.
pub(crate) fn mortal(program: &Path) -> Command {
    let setpriv = Path::new("/usr/bin/setpriv");
    if !setpriv.is_file() {
        return Command::new(program);
    }
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// Spawns the command. The kernel ties a mortal command to the *thread* that spawned it, and a test's thread may
/// end before a cluster that several tests share; so one thread, which never ends, spawns them all.
pub(crate) fn spawn(command: Command) -> io::Result<Child> {
    static SPAWNER: LazyLock<Mutex<Sender<Job>>> = LazyLock::new(|| {
        let (sender, jobs) = channel::<Job>();
        thread::spawn(move || {
            for (mut command, reply) in jobs {
                // Nobody waits for the reply only if the test's thread is gone.
                let _ = reply.send(command.spawn());
            }
        });
        Mutex::new(sender)
    });
    let (reply, answer) = channel();
    let sender = SPAWNER.lock().map_or_else(|poisoned| poisoned.into_inner().clone(), |sender| sender.clone());
    sender.send((command, reply)).map_err(io::Error::other)?;
    answer.recv().map_err(io::Error::other)?
}
