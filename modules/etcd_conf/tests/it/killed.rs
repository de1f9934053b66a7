use super::{me, run, run_thrice};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const DIRECTORY: &str = "QUORUM_TEST_DIRECTORY";
/// Large enough that writing takes a while.
const LENGTH: usize = 2_000_000;

fn options(directory: &Path, letter: char) -> Value {
    let (owner, group) = me();
    let text: String = std::iter::repeat_n(letter, LENGTH).collect();
    json!({
        "files": [
            { "path": directory.join("one"), "content": text, "owner": owner, "group": group },
            { "path": directory.join("two"), "content": text, "owner": owner, "group": group },
        ],
    })
}

/// Not a test of its own: what the test below starts and kills.
#[test]
fn writer() {
    let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else { return };
    for letter in ['a', 'b'].into_iter().cycle() {
        run(options(&directory, letter)).unwrap();
    }
}

/// A run that is killed, at any point, leaves each file whole, and the next run leaves nothing else.
#[test]
fn leaves_every_file_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    run(options(directory.path(), 'a')).unwrap();
    let others = || {
        let all = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
        all.filter(|name| name != "one" && name != "two").collect::<BTreeSet<_>>()
    };
    let mut killed = 0;
    for round in 0..40 {
        // Some were killed while they wrote: enough to know.
        if killed >= 3 {
            break;
        }
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::writer"])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // What is written is beside its place first, and so is what a run has left that was killed.
        let left = others();
        while others().is_subset(&left) {
            assert!(child.try_wait().unwrap().is_none(), "round {round}: it has ended");
        }
        std::thread::sleep(Duration::from_micros((round * 733) % 7_000));
        child.kill().unwrap();
        child.wait().unwrap();
        for name in ["one", "two"] {
            let content = fs::read(path(name)).unwrap();
            assert!(content.len() == LENGTH && content.iter().all(|letter| *letter == content[0]), "round {round}");
        }
        killed += usize::from(!others().is_empty());
    }
    // Otherwise this would prove nothing.
    assert!(killed > 0, "no run was killed while it wrote");
    run_thrice(&options(directory.path(), 'c'));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
}
