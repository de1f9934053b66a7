//! The program alone, called as the multi-call executable is: for its tests.

use std::process::ExitCode;

fn main() -> ExitCode {
    etcd_backup::main(std::env::args_os().skip(1))
}
