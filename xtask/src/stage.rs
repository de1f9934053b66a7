//! Assembling the collection out of galaxy.yml, collection/, roles/ and the built executables.
//!
//! A stage is brought up to date, not made anew: what has not changed keeps its time stamps, and what no longer
//! belongs is removed.

use crate::executable::{self, NAME};
use crate::{docs, root};
use anyhow::{Context, Result};
use quorum_etcd::MODULES;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// What the collection consists of: a path in the checkout, and its place in the collection.
const PARTS: &[(&str, &str)] = &[
    ("galaxy.yml", "galaxy.yml"),
    ("README.md", "README.md"),
    ("CHANGELOG.rst", "CHANGELOG.rst"),
    ("LICENSES", "LICENSES"),
    // In a collection's bin, ansible-test takes everything for Python.
    ("bin", "scripts"),
    ("collection", ""),
    ("roles", "roles"),
];

/// The complete collection, as playbooks use it.
pub(crate) fn with_executables(arches: &[&str]) -> Result<PathBuf> {
    let mut stage = Stage::open("target/collection")?;
    for arch in arches {
        let executable = executable::build(arch)?;
        let place = Path::new("plugins/modules/__bin").join(arch);
        let digest = stage.file(&executable, &place.join(NAME))?;
        stage.text(&format!("{digest}\n"), &place.join(format!("{NAME}.sha256")))?;
        for module in MODULES {
            stage.link(NAME, &place.join(module.spec.name))?;
        }
    }
    stage.finish()
}

/// The collection without executables: ansible-test and the documentation tools crash on a binary among the modules.
pub(crate) fn without_executables() -> Result<PathBuf> {
    Stage::open("target/collection-sanity")?.finish()
}

struct Stage {
    directory: PathBuf,
    kept: BTreeSet<PathBuf>,
}

impl Stage {
    fn open(base: &str) -> Result<Self> {
        docs::write()?;
        let directory = root().join(base).join("ansible_collections/quorum/etcd");
        std::fs::create_dir_all(&directory)?;
        let mut stage = Self { directory, kept: BTreeSet::new() };
        for (from, to) in PARTS {
            let from = root().join(from);
            if from.exists() {
                stage.tree(&from, Path::new(to))?;
            }
        }
        Ok(stage)
    }

    fn tree(&mut self, from: &Path, to: &Path) -> Result<()> {
        if !from.is_dir() {
            return self.file(from, to).map(drop);
        }
        for entry in std::fs::read_dir(from).with_context(|| from.display().to_string())? {
            let name = entry?.file_name();
            let skip = ["__pycache__", ".pytest_cache", "output", ".plugin-cache.yaml"];
            if !skip.iter().any(|skipped| name == *skipped) {
                self.tree(&from.join(&name), &to.join(&name))?;
            }
        }
        Ok(())
    }

    /// Puts a file in place unless it is there already, and returns its SHA-256.
    fn file(&mut self, from: &Path, to: &Path) -> Result<String> {
        let bytes = std::fs::read(from).with_context(|| from.display().to_string())?;
        let mode = std::fs::metadata(from)?.permissions().mode() & 0o777;
        self.bytes(&bytes, mode, to)?;
        Ok(Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect())
    }

    fn text(&mut self, text: &str, to: &Path) -> Result<()> {
        self.bytes(text.as_bytes(), 0o644, to)
    }

    fn bytes(&mut self, bytes: &[u8], mode: u32, to: &Path) -> Result<()> {
        let path = self.keep(to)?;
        if path.is_symlink() || std::fs::read(&path).ok().as_deref() != Some(bytes) {
            // By rename: a playbook under way may be reading the old one.
            let temporary = path.with_extension("quorum-tmp");
            std::fs::write(&temporary, bytes)?;
            std::fs::rename(&temporary, &path)?;
        }
        if std::fs::metadata(&path)?.permissions().mode() & 0o777 != mode {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode))?;
        }
        Ok(())
    }

    fn link(&mut self, target: &str, to: &Path) -> Result<()> {
        let path = self.keep(to)?;
        if std::fs::read_link(&path).ok().as_deref() != Some(Path::new(target)) {
            if path.symlink_metadata().is_ok() {
                std::fs::remove_file(&path)?;
            }
            symlink(target, &path)?;
        }
        Ok(())
    }

    fn keep(&mut self, to: &Path) -> Result<PathBuf> {
        let path = self.directory.join(to);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        self.kept.insert(path.clone());
        Ok(path)
    }

    /// Removes what no longer belongs.
    fn finish(self) -> Result<PathBuf> {
        self.sweep(&self.directory)?;
        Ok(self.directory)
    }

    fn sweep(&self, directory: &Path) -> Result<()> {
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                self.sweep(&path)?;
                if std::fs::read_dir(&path)?.next().is_none() {
                    std::fs::remove_dir(&path)?;
                }
            } else if !self.kept.contains(&path) {
                std::fs::remove_file(&path)?;
            }
        }
        Ok(())
    }
}
