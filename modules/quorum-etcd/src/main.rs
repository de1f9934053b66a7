//! The multi-call executable: dispatches on the module's name; nothing else.

fn main() -> std::process::ExitCode {
    ansible_protocol::main("quorum-etcd", env!("CARGO_PKG_VERSION"), quorum_etcd::MODULES)
}
