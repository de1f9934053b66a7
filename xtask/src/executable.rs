//! Building the executable, and what must hold of it.

use crate::{root, run};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The architectures that ship, as `uname -m` prints them.
pub(crate) const ARCHES: &[&str] = &["x86_64", "aarch64"];
/// Bytes of one executable, at most.
pub(crate) const MAX_EXECUTABLE: u64 = 4_100_000;
/// Bytes of the collection's tarball, at most.
pub(crate) const MAX_TARBALL: u64 = 10_000_000;

/// The file's name, as it ships.
pub(crate) const NAME: &str = "quorum-etcd";

/// Builds the executable for the architecture, checks it, and returns its path.
pub(crate) fn build(arch: &str) -> Result<PathBuf> {
    let target = target(arch)?;
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--quiet", "--release", "--package", NAME, "--target", &target]);
    for (variable, value) in environment(arch, &target)? {
        if std::env::var_os(&variable).is_none() {
            command.env(variable, value);
        }
    }
    run(&mut command)?;
    let path = root().join("target").join(&target).join("release").join(NAME);
    verify(&path)?;
    Ok(path)
}

/// musl where Rust has it or can get it, otherwise glibc linked statically.
fn target(arch: &str) -> Result<String> {
    let musl = format!("{arch}-unknown-linux-musl");
    if has_target(&musl)? || (add_target(&musl) && has_target(&musl)?) {
        return Ok(musl);
    }
    let gnu = format!("{arch}-unknown-linux-gnu");
    if has_target(&gnu)? {
        return Ok(gnu);
    }
    bail!("Rust has no target for {arch}: rustup target add {musl}")
}

fn has_target(target: &str) -> Result<bool> {
    let output = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", target])
        .current_dir(root())
        .output()
        .context("cannot run rustc")?;
    let directory = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(output.status.success() && std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some()))
}

fn add_target(target: &str) -> bool {
    let status = Command::new("rustup").args(["target", "add", target]).current_dir(root()).status();
    status.is_ok_and(|status| status.success())
}

/// Flags for rustc, and for a foreign architecture the cross compiler that ring's C code needs. No foreign libc:
/// Rust brings musl's, and a linker for all architectures.
fn environment(arch: &str, target: &str) -> Result<Vec<(String, String)>> {
    let lower = target.replace('-', "_");
    let mut variables = vec![(format!("CARGO_TARGET_{}_RUSTFLAGS", lower.to_uppercase()), flags(target)?)];
    if arch != std::env::consts::ARCH {
        variables.push((format!("CC_{lower}"), format!("{arch}-linux-gnu-gcc")));
        variables.push((format!("AR_{lower}"), format!("{arch}-linux-gnu-ar")));
        if !is_musl(target) {
            variables.push((format!("CARGO_TARGET_{}_LINKER", lower.to_uppercase()), format!("{arch}-linux-gnu-gcc")));
        }
    }
    Ok(variables)
}

/// The same for all architectures. With musl, what makes the executable small: equal functions are linked as one, at
/// a fixed address there are no relocations, and the linker script leaves out what only unwinding needs.
fn flags(target: &str) -> Result<String> {
    let mut flags = vec!["-C target-feature=+crt-static".to_owned()];
    if is_musl(target) {
        flags.push("-C linker=rust-lld -C link-self-contained=yes -C link-arg=--icf=all".into());
        flags.push("-C relocation-model=static -C force-unwind-tables=no".into());
        // What several functions do alike becomes a function of its own, and equal ends of texts are kept once.
        flags.push("-C llvm-args=-enable-machine-outliner=always -C link-arg=-O2".into());
        // Relative to the workspace, where cargo starts the compiler.
        flags.push("-C link-arg=-Txtask/src/executable.ld".into());
    }
    // A panic names its place in the sources, but not in whose home directory they were.
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo"))).context("there is no home directory")?;
    flags.extend(registries(&home).iter().map(|directory| format!("--remap-path-prefix={}/=", directory.display())));
    Ok(flags.join(" "))
}

/// Where the sources of crates are: one directory for each registry, with a number in its name that differs between
/// machines. They are there, as this program was built from them.
fn registries(home: &Path) -> Vec<PathBuf> {
    let sources = home.join("registry/src");
    let entries = std::fs::read_dir(&sources).map(|entries| entries.flatten().map(|entry| entry.path()).collect());
    let mut found: Vec<PathBuf> = entries.unwrap_or_default();
    found.sort();
    found
}

fn is_musl(target: &str) -> bool {
    target.ends_with("-musl")
}

fn verify(path: &PathBuf) -> Result<()> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    if bytes.len() as u64 > MAX_EXECUTABLE {
        bail!("{} has {} bytes, more than the {MAX_EXECUTABLE} allowed", path.display(), bytes.len());
    }
    if !is_static(&bytes).with_context(|| format!("{} is no 64-bit ELF file", path.display()))? {
        bail!("{} is not statically linked: it names an interpreter", path.display());
    }
    Ok(())
}

/// Whether a 64-bit little-endian ELF file names no interpreter (no program header of type `PT_INTERP`, 3).
fn is_static(elf: &[u8]) -> Option<bool> {
    let number = |at: usize, size: usize| {
        let field = elf.get(at..at + size)?;
        field.iter().rev().try_fold(0_usize, |value, byte| value.checked_mul(256)?.checked_add(usize::from(*byte)))
    };
    if !elf.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    (0..count).map(|index| number(table + index * size, 4)).try_fold(true, |fine, kind| Some(fine && kind? != 3))
}

#[cfg(test)]
mod tests {
    use super::{flags, is_static, registries};

    /// A header with one program header of the type.
    fn elf(kind: u8) -> Vec<u8> {
        let mut bytes = vec![0; 64 + 56];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = 1;
        bytes[64] = kind;
        bytes
    }

    #[test]
    fn an_interpreter_means_dynamic() {
        assert_eq!(is_static(&elf(1)), Some(true));
        assert_eq!(is_static(&elf(3)), Some(false));
        assert_eq!(is_static(b"#!/bin/sh"), None);
    }

    #[test]
    fn no_place_in_the_sources_depends_on_the_machine() {
        let home = std::env::var_os("CARGO_HOME").map(std::path::PathBuf::from);
        let home = home.unwrap_or_else(|| std::env::home_dir().unwrap().join(".cargo"));
        let (found, flags) = (registries(&home), flags("x86_64-unknown-linux-musl").unwrap());
        assert!(!found.is_empty(), "{}", home.display());
        for directory in found {
            assert!(flags.contains(&format!(" --remap-path-prefix={}/=", directory.display())), "{flags}");
        }
    }

    #[test]
    fn this_test_is_dynamic() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(is_static(&own), Some(false));
    }
}
