//! The playbooks and Ansible's programs: where they are, and how they are called.

use crate::plan::{Playbook, Run};
use crate::request::Request;
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the wrapper in bin/ says it has been called from: a checkout, or an installed collection.
const ROOT: &str = "QUORUM_ETCD_ROOT";
const CONFIG: &str = "ANSIBLE_CONFIG";

/// What is there to run.
#[derive(Clone, Debug)]
pub(crate) struct Installation {
    /// The checkout, when it is one; otherwise the playbooks are the installed collection's.
    checkout: Option<PathBuf>,
    /// The configuration of the checkout, unless the user has one in mind.
    config: Option<PathBuf>,
    /// The current directory.
    here: PathBuf,
    playbook: Program,
    inventory: Program,
}

/// A program, and how the user would call it.
#[derive(Clone, Debug)]
struct Program {
    path: PathBuf,
    shown: String,
}

impl Installation {
    /// Looks around.
    ///
    /// # Errors
    ///
    /// Says which program is missing.
    pub(crate) fn find() -> Result<Self, Vec<String>> {
        let root = std::env::var_os(ROOT).map(PathBuf::from);
        let checkout = root.filter(|root| root.join("etcd.yml").is_file());
        let own = |root: &PathBuf| Some(root.join("ansible.cfg")).filter(|path| path.is_file());
        let config = if std::env::var_os(CONFIG).is_some() { None } else { checkout.as_ref().and_then(own) };
        let path = std::env::var_os("PATH").unwrap_or_default();
        let here = std::env::current_dir().unwrap_or_default();
        let playbook = program("ansible-playbook", &path, checkout.as_deref());
        let inventory = program("ansible-inventory", &path, checkout.as_deref());
        match (playbook, inventory) {
            (Ok(playbook), Ok(inventory)) => Ok(Self { checkout, config, here, playbook, inventory }),
            (playbook, inventory) => Err([playbook.err(), inventory.err()].into_iter().flatten().collect()),
        }
    }

    /// The call that shows the inventory as JSON.
    pub(crate) fn list(&self, request: &Request) -> Command {
        let mut command = self.command(&self.inventory);
        command.arg("--list").args(inventories(request)).args(&request.options.for_inventory);
        if let Some(root) = &self.checkout {
            // For variables in directories beside the playbooks.
            command.arg("--playbook-dir").arg(root);
        }
        // An inventory that cannot be read is an error, and nothing but the JSON is on standard output.
        command.env("ANSIBLE_INVENTORY_UNPARSED_FAILED", "true");
        command.env("ANSIBLE_INVENTORY_EXPORT", "false").env("ANSIBLE_VERBOSITY", "0");
        command
    }

    /// The call of a playbook.
    pub(crate) fn play(&self, request: &Request, run: &Run) -> Command {
        let mut command = self.command(&self.playbook);
        command.args(inventories(request)).arg(self.name(run.playbook)).args(&run.words);
        command
    }

    /// The same, to be pasted into a shell.
    pub(crate) fn shown(&self, request: &Request, run: &Run) -> String {
        let mut words = Vec::new();
        // In the checkout itself, Ansible finds it there.
        if let Some(config) = self.config.as_ref().filter(|_| !self.is_here()) {
            words.push(format!("{CONFIG}={}", quoted(&config.to_string_lossy())));
        }
        words.push(quoted(&self.playbook.shown));
        words.extend(inventories(request).iter().map(|word| quoted(word)));
        words.push(quoted(&self.name(run.playbook)));
        words.extend(run.words.iter().map(|word| quoted(word)));
        words.join(" ")
    }

    fn command(&self, program: &Program) -> Command {
        let mut command = Command::new(&program.path);
        if let Some(config) = &self.config {
            command.env(CONFIG, config);
        }
        command
    }

    fn is_here(&self) -> bool {
        self.checkout.as_ref() == Some(&self.here)
    }

    fn name(&self, playbook: Playbook) -> String {
        let (file, name) = match playbook {
            Playbook::Etcd => ("etcd.yml", "quorum.etcd.etcd"),
            Playbook::EtcdRemove => ("etcd-rm.yml", "quorum.etcd.etcd_rm"),
        };
        match &self.checkout {
            None => name.to_owned(),
            Some(_) if self.is_here() => file.to_owned(),
            Some(root) => root.join(file).to_string_lossy().into_owned(),
        }
    }
}

/// Inventories that are files and are not there: Ansible only warns of them, and would go on with fewer hosts.
pub(crate) fn missing_inventories(request: &Request) -> Vec<String> {
    let missing = request.inventories.iter().filter(|given| !given.contains(',') && !Path::new(given).exists());
    missing.map(|given| format!("there is no inventory {given}: give the path of a file or directory")).collect()
}

fn inventories(request: &Request) -> Vec<String> {
    request.inventories.iter().flat_map(|given| ["-i".to_owned(), given.clone()]).collect()
}

/// A program of Ansible: from the path, otherwise from the checkout's virtual environment.
fn program(name: &str, path: &OsStr, checkout: Option<&Path>) -> Result<Program, String> {
    let runs =
        |path: &PathBuf| path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0);
    if let Some(found) = std::env::split_paths(path).map(|directory| directory.join(name)).find(runs) {
        return Ok(Program { path: found, shown: name.to_owned() });
    }
    let Some(root) = checkout else {
        return Err(format!(
            "{name} is not in PATH: install ansible-core, or activate the virtual environment it is in"
        ));
    };
    let own = root.join(".venv/bin").join(name);
    if runs(&own) {
        return Ok(Program { shown: own.to_string_lossy().into_owned(), path: own });
    }
    let root = root.display();
    Err(format!("{name} is neither in PATH nor in {root}/.venv/bin: run make stage in {root}"))
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_@%+=:,./-".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_shell_reads_quoted_words_as_they_were(words in prop::collection::vec("[^\0]{0,12}", 1..4)) {
            let line: Vec<String> = words.iter().map(|word| quoted(word)).collect();
            let script = format!("printf '%s\\0' {}", line.join(" "));
            let output = Command::new("/bin/sh").args(["-c", &script]).output().unwrap();
            let wanted: String = words.iter().map(|word| format!("{word}\0")).collect();
            prop_assert_eq!(String::from_utf8(output.stdout).unwrap(), wanted);
        }
    }

    #[test]
    fn plain_words_stay_as_they_are() {
        assert_eq!(quoted("10.10.10.11,fd00::1"), "10.10.10.11,fd00::1");
        assert_eq!(quoted("etcd_init=existing"), "etcd_init=existing");
        assert_eq!(quoted(r#"{"a":["b"]}"#), r#"'{"a":["b"]}'"#);
    }

    #[test]
    fn a_missing_program_is_named_with_where_it_was_looked_for() {
        let nowhere = tempfile::tempdir().unwrap();
        let inside = program("ansible-playbook", nowhere.path().as_os_str(), Some(nowhere.path())).unwrap_err();
        assert!(inside.contains(".venv/bin: run make stage in "), "{inside}");
        let installed = program("ansible-playbook", nowhere.path().as_os_str(), None).unwrap_err();
        assert!(installed.contains("is not in PATH: install ansible-core"), "{installed}");
    }

    #[test]
    fn the_virtual_environment_comes_after_the_path() {
        let root = tempfile::tempdir().unwrap();
        let make = |directory: &str| {
            let directory = root.path().join(directory);
            std::fs::create_dir_all(&directory).unwrap();
            let path = directory.join("ansible-playbook");
            std::fs::write(&path, "").unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
            path
        };
        let own = make(".venv/bin");
        let path = root.path().join("bin");
        let found = program("ansible-playbook", path.as_os_str(), Some(root.path())).unwrap();
        assert_eq!((&found.path, found.shown.as_str()), (&own, own.to_str().unwrap()));
        let first = make("bin");
        let found = program("ansible-playbook", path.as_os_str(), Some(root.path())).unwrap();
        assert_eq!((&found.path, found.shown.as_str()), (&first, "ansible-playbook"));
    }
}
