//! To a directory that is mounted, such as one of another host.

use crate::config::Config;
use crate::stored;
use crate::take::Taken;
use ansible_protocol::{ErrorKind, Failure};
use etcd_ops::mounts::is_mount_point;
use etcd_snapshot::disk;
use etcd_snapshot::part::{Part, sweep};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

/// How much is read at once.
const BUFFER: usize = 256 << 10;

/// Copies the snapshot, verifies the copy, and only then gives it its name. Older ones go as they do at home. Returns
/// where it is.
///
/// # Errors
///
/// Kind `io`, with the directory and what is wrong.
pub(crate) fn copy(
    config: &Config,
    taken: &Taken<'_>,
    dir: &Path,
    anywhere: bool,
    warnings: &mut Vec<String>,
) -> Result<String, Failure> {
    let name = dir.display();
    if anywhere {
        disk::make_dir(dir, 0o700)?;
    } else {
        let mounted = is_mount_point(dir).map_err(|error| Failure::io(format_args!("copy to {name}"), error))?;
        if !mounted {
            let msg = format!(
                "nothing is mounted on {name}: mount it, or write {{path: {name}, anywhere: true}} if copies belong on \
                 that disk"
            );
            return Err(Failure::new(ErrorKind::Io, msg));
        }
    }
    sweep(dir);
    disk::check_room(dir, taken.size, "the copy", ", or copy elsewhere; the snapshot itself is kept")?;
    let failed = |error: io::Error| Failure::io(format_args!("copy to {name}"), error);
    let part = Part::create(dir, taken.name).map_err(failed)?;
    transfer(taken.path, &part.file).and_then(|()| part.complete(0o600)).map_err(failed)?;
    let found = stored::verify(part.path())?;
    if found.sha256 != taken.sha256 {
        let msg = format!("the copy in {name} differs: its SHA-256 is {}; look at that disk", found.sha256);
        return Err(Failure::new(ErrorKind::Io, msg));
    }
    let path = dir.join(taken.name);
    part.replace(&path).map_err(failed)?;
    stored::rotate(config, dir, taken, warnings);
    Ok(path.display().to_string())
}

fn transfer(from: &Path, mut to: &File) -> io::Result<()> {
    let mut from = File::open(from)?;
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..count])?;
    }
}
