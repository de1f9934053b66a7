//! The scripts as people call them: bin/etcd-add and bin/etcd-rm of a checkout or of a collection.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

/// With Ansible itself.
mod ansible;
/// What is run, and what is not, with programs in the place of Ansible's that write down how they are called.
mod calls;
/// On a terminal: the countdown.
mod terminal;

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

const INVENTORY: &str = "
etcd:
  hosts:
    10.10.10.10: { etcd_seq: 1 }
    10.10.10.11: { etcd_seq: 2 }
    fd00::12: { etcd_seq: 3 }
    db-4: { etcd_seq: 4, ansible_host: 10.10.10.13 }
";

/// A checkout or an installed collection with the real wrappers and the real executable, and a directory to call from.
struct Place {
    directory: TempDir,
}

impl Place {
    /// A checkout, with playbooks.
    fn checkout() -> Self {
        let place = Self::empty("checkout/target/collection/ansible_collections/quorum/etcd");
        place.write("checkout/etcd.yml", "");
        place.write("checkout/etcd-rm.yml", "");
        place.write("checkout/ansible.cfg", "[defaults]\nnocows = true\n");
        place.wrappers("checkout");
        place
    }

    /// An installed collection.
    fn collection() -> Self {
        let place = Self::empty("collection");
        place.wrappers("collection");
        place
    }

    fn empty(collection: &str) -> Self {
        let place = Self { directory: TempDir::new().unwrap() };
        let executables = place.path(collection).join("plugins/modules/__bin").join(std::env::consts::ARCH);
        std::fs::create_dir_all(&executables).unwrap();
        symlink(env!("CARGO_BIN_EXE_etcd-scripts"), executables.join("quorum-etcd")).unwrap();
        place.write("here/hosts.yml", INVENTORY);
        place
    }

    /// As `cargo xtask stage` puts them there: files, no links.
    fn wrappers(&self, root: &str) {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bin");
        let bin = self.path(root).join("bin");
        std::fs::create_dir(&bin).unwrap();
        for name in ["etcd-add", "etcd-rm"] {
            // By a process of its own, for what another test starts meanwhile would keep it open for writing.
            let copied = std::process::Command::new("cp").args([source.join(name), bin.join(name)]).status();
            assert!(copied.unwrap().success());
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    fn program(&self, name: &str, script: &str) {
        let path = self.write(name, &format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }

    /// A script of this place, called from the directory with the inventory, without the caller's variables.
    fn script(&self, line: &str) -> Command {
        let mut words = line.split_whitespace();
        let root = if self.path("checkout").exists() { "checkout" } else { "collection" };
        let mut command = Command::new(self.path(root).join("bin").join(words.next().unwrap()));
        command.args(words).current_dir(self.path("here")).env_clear().env("PATH", "/usr/bin:/bin");
        command
    }
}

fn texts(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}
