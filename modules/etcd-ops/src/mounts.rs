//! Where file systems are mounted. A directory that is a mount point can neither be removed nor renamed.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Whether a file system is mounted on the directory, bind mounts included.
///
/// # Errors
///
/// Returns the error of resolving the path or of reading the table of mounts.
pub fn is_mount_point(directory: &Path) -> io::Result<bool> {
    let directory = directory.canonicalize()?;
    Ok(points(&std::fs::read("/proc/self/mountinfo")?).any(|point| point == directory))
}

/// The fifth field of each line, in which spaces and the like are octal numbers: `\040`.
fn points(table: &[u8]) -> impl Iterator<Item = PathBuf> {
    let lines = table.split(|byte| *byte == b'\n');
    lines.filter_map(|line| line.split(|byte| *byte == b' ').nth(4)).map(|field| {
        let mut name = Vec::new();
        let mut rest = field;
        while let [first, tail @ ..] = rest {
            let code = tail.get(..3).filter(|_| *first == b'\\');
            let code = code.and_then(|digits| u8::from_str_radix(&String::from_utf8_lossy(digits), 8).ok());
            name.push(code.unwrap_or(*first));
            rest = if code.is_some() { tail.get(3..).unwrap_or_default() } else { tail };
        }
        PathBuf::from(OsString::from_vec(name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_where_something_is_mounted() {
        assert!(is_mount_point(Path::new("/proc")).unwrap());
        let directory = tempfile::tempdir().unwrap();
        assert!(!is_mount_point(directory.path()).unwrap());
        assert!(is_mount_point(&directory.path().join("missing")).is_err());
    }

    #[test]
    fn names_with_spaces_are_read() {
        let table =
            b"36 35 98:0 / /mnt/my\\040disk\\134x rw - ext4 /dev/sda1 rw\n37 35 0:5 / /proc rw - proc proc rw\n";
        let found: Vec<PathBuf> = points(table).collect();
        assert_eq!(found, [PathBuf::from("/mnt/my disk\\x"), PathBuf::from("/proc")]);
    }
}
