//! The multi-call executable: dispatches on the name of the module, script or program; nothing else.

use std::ffi::OsStr;
use std::process::ExitCode;

/// Keeps what is freed. musl's gives buffers as large as those of a stream back to the kernel, and saving a snapshot
/// would spend more time there than on anything else.
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let name = words.next();
    match name.as_deref().and_then(OsStr::to_str) {
        Some(etcd_backup::NAME) => etcd_backup::main(words),
        Some(name @ ("etcd-add" | "etcd-rm")) => etcd_scripts::main(name, words),
        _ => ansible_protocol::main("quorum-etcd", env!("CARGO_PKG_VERSION"), quorum_etcd::MODULES),
    }
}
