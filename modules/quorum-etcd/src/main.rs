//! The multi-call executable: dispatches on the name of the module or script; nothing else.

use std::ffi::OsStr;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let name = words.next();
    match name.as_deref().and_then(OsStr::to_str) {
        Some(name @ ("etcd-add" | "etcd-rm")) => etcd_scripts::main(name, words),
        _ => ansible_protocol::main("quorum-etcd", env!("CARGO_PKG_VERSION"), quorum_etcd::MODULES),
    }
}
