//! What must hold of the code and of the staged collection, beyond its tests.

use crate::{docs, executable, run};
use anyhow::Result;
use std::process::Command;

/// Every check, in the order of what fails fastest.
pub(crate) fn all() -> Result<()> {
    run(Command::new("cargo").args(["fmt", "--all", "--check"]))?;
    docs::check()?;
    run(Command::new("cargo").args(["clippy", "--quiet", "--workspace", "--all-targets", "--", "--deny", "warnings"]))?;
    // The advisory database cannot be had everywhere; where it can, `cargo deny check` runs all of it.
    run(Command::new("cargo").args(["deny", "--log-level", "error", "check", "bans", "licenses", "sources"]))?;
    executable::build(std::env::consts::ARCH).map(drop)
}
