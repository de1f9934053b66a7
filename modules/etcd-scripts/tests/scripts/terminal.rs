use crate::Place;
use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::File;
use std::io::Read;
use std::process::{Child, Stdio};

/// A script on a terminal of its own.
struct Session {
    child: Child,
    screen: File,
    seen: String,
}

impl Session {
    fn start(place: &Place, line: &str) -> Self {
        place.program("fake/ansible-inventory", r#"echo '{"etcd": {"hosts": ["10.10.10.10", "10.10.10.11"]}}'"#);
        place.program("fake/ansible-playbook", &format!("echo \"$*\" >>'{}'", place.path("calls").display()));
        let terminal = openpty(None, None).unwrap();
        let keyboard = terminal.slave.try_clone().unwrap();
        let mut command = place.script(line);
        command.env("PATH", format!("{}:/usr/bin:/bin", place.path("fake").display()));
        let child = command.stdin(keyboard).stdout(Stdio::null()).stderr(terminal.slave).spawn().unwrap();
        // The command holds the terminal's other end too, which would never be closed.
        drop(command);
        Self { child, screen: terminal.master.into(), seen: String::new() }
    }

    /// Reads until the text is on the screen, or to the end.
    fn await_text(&mut self, text: &str) {
        let mut piece = [0; 256];
        while !self.seen.contains(text) {
            match self.screen.read(&mut piece) {
                Ok(count) if count > 0 => self.seen.push_str(&String::from_utf8_lossy(&piece[..count])),
                // A terminal that nobody holds any more cannot be read.
                _ => panic!("no {text:?} in {:?}", self.seen),
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn ctrl_c_in_the_countdown_stops_before_anything_is_run() {
    for (line, warning) in [
        ("etcd-rm -i hosts.yml", "REMOVING THE WHOLE CLUSTER etcd in 5 seconds, Ctrl-C stops it: 5"),
        ("etcd-rm -i hosts.yml 10.10.10.11", "Removing 10.10.10.11 in 3 seconds, Ctrl-C stops it: 3"),
        ("etcd-rm -i hosts.yml 10.10.10.11 10.10.10.10", "REMOVING THE WHOLE CLUSTER etcd in 5 seconds"),
    ] {
        let place = Place::checkout();
        let mut session = Session::start(&place, line);
        session.await_text(warning);
        kill(Pid::from_raw(session.child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
        session.await_text("Stopped: nothing was run.");
        assert_eq!(session.child.wait().unwrap().code(), Some(130));
        assert!(!place.path("calls").exists());
    }
}

#[test]
fn after_the_countdown_it_is_run() {
    let place = Place::checkout();
    let mut session = Session::start(&place, "etcd-rm -i hosts.yml 10.10.10.11");
    session.await_text("Removing 10.10.10.11 in 3 seconds, Ctrl-C stops it: 3 2 1\r\n");
    assert_eq!(session.child.wait().unwrap().code(), Some(0));
    assert!(std::fs::read_to_string(place.path("calls")).unwrap().contains("etcd-rm.yml -l 10.10.10.11"));
}

#[test]
fn yes_and_check_do_not_count_down() {
    for option in ["--yes --cluster etcd", "--check"] {
        let place = Place::checkout();
        let mut session = Session::start(&place, &format!("etcd-rm -i hosts.yml {option}"));
        assert_eq!(session.child.wait().unwrap().code(), Some(0));
        let mut rest = Vec::new();
        // Reading ends with an error once nobody holds the other end.
        let _ = session.screen.read_to_end(&mut rest);
        assert_eq!(String::from_utf8_lossy(&rest), "");
        assert!(place.path("calls").exists());
    }
}
