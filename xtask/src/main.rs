//! Builds, stages, documents and checks the collection: `cargo xtask stage|dist|docs|check`.

/// What must hold of the code and of the staged collection.
mod check;
/// The generated files: stubs, fragments, routing.
mod docs;
/// Building the executable, and what must hold of it.
mod executable;
/// The tables of the README.
mod readme;
/// Assembling the collection.
mod stage;

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

const USAGE: &str = "usage: cargo xtask COMMAND
  stage            build the executable for this machine and assemble target/collection
  stage --sanity   assemble target/collection-sanity, without executables, for ansible-test
  dist             build for every architecture, and make the collection's tarball in target/dist
  docs             write the generated files
  docs --check     fail when a generated file is stale
  check            formatting, lints, licences, generated files, executable";

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["stage"] => stage::with_executables(&[std::env::consts::ARCH]).map(drop),
        ["stage", "--sanity"] => stage::without_executables().map(drop),
        ["dist"] => dist(),
        ["docs"] => docs::write(),
        ["docs", "--check"] => docs::check(),
        ["check"] => check::all(),
        _ => bail!("{USAGE}"),
    }
}

/// The checkout.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or_else(|| Path::new("."))
}

fn dist() -> Result<()> {
    let stage = stage::with_executables(executable::ARCHES)?;
    let out = root().join("target/dist");
    std::fs::create_dir_all(&out)?;
    let galaxy = tool("ansible-galaxy");
    run(Command::new(galaxy).args(["collection", "build", "--force", "--output-path"]).arg(&out).arg(&stage))?;
    let version = env!("CARGO_PKG_VERSION");
    let tarball = out.join(format!("quorum-etcd-{version}.tar.gz"));
    let size = std::fs::metadata(&tarball).with_context(|| tarball.display().to_string())?.len();
    if size > executable::MAX_TARBALL {
        bail!("{} has {size} bytes, more than the {} allowed", tarball.display(), executable::MAX_TARBALL);
    }
    Ok(())
}

/// A tool of the virtual environment, or whichever is on the path.
fn tool(name: &str) -> PathBuf {
    let own = root().join(".venv/bin").join(name);
    if own.is_file() { own } else { PathBuf::from(name) }
}

/// Runs a command in the checkout and fails when it does.
fn run(command: &mut Command) -> Result<()> {
    let status = command.current_dir(root()).status().with_context(|| format!("cannot run {command:?}"))?;
    if status.success() { Ok(()) } else { bail!("{command:?}: {status}") }
}
