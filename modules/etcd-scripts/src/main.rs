//! The scripts alone, called as the multi-call executable is: for their tests.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let name = words.next().unwrap_or_default();
    etcd_scripts::main(&name.to_string_lossy(), words)
}
