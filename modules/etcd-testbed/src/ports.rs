use std::net::TcpListener;
use std::ops::Range;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the range from which Linux takes the ports of outgoing connections, so a stopped server's port stays free.
const RANGE: Range<u16> = 20_000..32_000;

/// A port that is ours as long as this lives, among all tests of all processes.
pub(crate) struct Port {
    pub(crate) number: u16,
    // An abstract socket is a lock that the kernel drops with the process and that leaves no file.
    _claim: UnixListener,
}

impl Port {
    /// Claims a port on which nothing listens.
    pub(crate) fn claim() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let size = RANGE.end - RANGE.start;
        // Processes begin at different places, only to save attempts.
        let offset = (std::process::id() % u32::from(size)) as u16;
        for _ in 0..size {
            let step = NEXT.fetch_add(1, Ordering::Relaxed) % size;
            let number = RANGE.start + ((u32::from(offset) * 97 + u32::from(step)) % u32::from(size)) as u16;
            let Some(claim) = claim(number) else { continue };
            if TcpListener::bind(("127.0.0.1", number)).is_ok() {
                return Self { number, _claim: claim };
            }
        }
        panic!("no port is free between {} and {}", RANGE.start, RANGE.end);
    }
}

fn claim(number: u16) -> Option<UnixListener> {
    let name = SocketAddr::from_abstract_name(format!("quorum-etcd-testbed-port-{number}")).ok()?;
    UnixListener::bind_addr(&name).ok()
}
