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

/// Where the host is to have a file system, and has none, at the directory or above it: what is in the directory now is not what
/// is meant. None where all is mounted, or where that cannot be told.
#[must_use]
pub fn unmounted(directory: &Path) -> Option<PathBuf> {
    let table = std::fs::read("/proc/self/mountinfo").ok()?;
    missing(directory, &wanted(Path::new("/")), &points(&table).collect::<Vec<_>>())
}

/// The nearest of the wanted mount points, from the directory upwards, at which nothing is mounted. A symbolic link may lead to
/// what is only there once it is mounted.
fn missing(directory: &Path, wanted: &[PathBuf], mounted: &[PathBuf]) -> Option<PathBuf> {
    let beside = |target: PathBuf| directory.parent().unwrap_or(directory).join(target);
    let target = directory.canonicalize().or_else(|_| std::fs::read_link(directory).map(beside)).ok();
    let all = directory.ancestors().chain(target.iter().flat_map(|target| target.ancestors()));
    let is = |points: &[PathBuf], path: &Path| points.iter().any(|point| point == path);
    all.filter(|path| is(wanted, path) && !is(mounted, path)).map(Path::to_path_buf).next()
}

/// The mount points of `/etc/fstab`, and of the administrator's mount units. Those that systemd brings along may be meant to stay
/// unused.
fn wanted(root: &Path) -> Vec<PathBuf> {
    let fstab = std::fs::read(root.join("etc/fstab")).unwrap_or_default();
    let fields = |line: &[u8]| {
        let mut fields = line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty());
        fields.next().filter(|device| !device.starts_with(b"#")).and(fields.next()).map(unescape)
    };
    let mut points: Vec<PathBuf> = fstab.split(|byte| *byte == b'\n').filter_map(fields).collect();
    for directory in ["etc/systemd/system", "run/systemd/system", "run/systemd/generator"] {
        let Ok(entries) = std::fs::read_dir(root.join(directory)) else { continue };
        let units = entries.flatten().map(|entry| entry.path());
        let units = units.filter(|path| path.extension().is_some_and(|extension| extension == "mount"));
        points.extend(units.filter_map(|unit| std::fs::read_to_string(unit).ok()).filter_map(|text| {
            let place = text.lines().find_map(|line| line.trim().strip_prefix("Where")?.trim().strip_prefix('='))?;
            Some(PathBuf::from(place.trim()))
        }));
    }
    // Swap has `none`. No slash at the end counts.
    points.retain(|point| point.is_absolute());
    points.iter().map(|point| point.components().collect()).collect()
}

/// The fifth field of each line.
fn points(table: &[u8]) -> impl Iterator<Item = PathBuf> {
    let lines = table.split(|byte| *byte == b'\n');
    lines.filter_map(|line| line.split(|byte| *byte == b' ').nth(4)).map(unescape)
}

/// A path in which spaces and the like are octal numbers: `\040`.
fn unescape(field: &[u8]) -> PathBuf {
    let mut name = Vec::new();
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        let code = tail.get(..3).filter(|_| *first == b'\\');
        let code = code.and_then(|digits| u8::from_str_radix(&String::from_utf8_lossy(digits), 8).ok());
        name.push(code.unwrap_or(*first));
        rest = if code.is_some() { tail.get(3..).unwrap_or_default() } else { tail };
    }
    PathBuf::from(OsString::from_vec(name))
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

    #[test]
    fn a_file_system_that_is_missing_is_told() {
        let root = tempfile::tempdir().unwrap();
        let units = root.path().join("etc/systemd/system");
        std::fs::create_dir_all(&units).unwrap();
        let fstab = "# /dev/sda9 /commented ext4\nUUID=1 / ext4 defaults 0 1\nUUID=2\t/data/my\\040etcd/ ext4 defaults,nofail 0 2\n\
                     UUID=3 none swap sw 0 0\n";
        std::fs::write(root.path().join("etc/fstab"), fstab).unwrap();
        std::fs::write(units.join("wal.mount"), "[Mount]\nWhat=/dev/sdb\nWhere = /wal\n").unwrap();
        std::fs::write(units.join("other.service"), "Where=/other\n").unwrap();
        let wanted = wanted(root.path());
        let all = ["/", "/data/my etcd", "/wal"].map(PathBuf::from);
        assert_eq!(wanted, all);
        let missing = |directory: &str, mounted: &[PathBuf]| missing(Path::new(directory), &wanted, mounted);
        let root = &all[..1];
        assert_eq!(missing("/data/my etcd", root), Some(all[1].clone()));
        assert_eq!(missing("/data/my etcd/of/etcd", root), Some(all[1].clone()));
        assert_eq!(missing("/wal/x", root), Some(all[2].clone()));
        assert_eq!(missing("/wal/x", &all), None);
        assert_eq!(missing("/data/other", root), None);
    }

    #[test]
    fn a_link_to_a_file_system_that_is_missing_is_followed() {
        let directory = tempfile::tempdir().unwrap();
        let (link, disk) = (directory.path().join("link"), directory.path().join("disk"));
        std::os::unix::fs::symlink("disk/etcd", &link).unwrap();
        let wanted = [disk.clone()];
        assert_eq!(missing(&link, &wanted, &[]), Some(disk.clone()));
        std::fs::create_dir_all(disk.join("etcd")).unwrap();
        assert_eq!(missing(&link, &wanted, &[]), Some(disk.clone()));
        assert_eq!(missing(&link, &wanted, &wanted), None);
    }
}
