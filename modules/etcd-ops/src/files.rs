//! Files that are either the old or the new ones, never torn.
//!
//! [`write_atomic`] replaces a file, [`create_atomic`] makes one that must not exist yet, [`stage`] does the first half
//! of either, for callers that want to put several files in place close together. Owner and mode are set before the
//! content is written, so a secret is never readable by more users than in the end. A temporary file lies beside its
//! target as `.{name}.quorum-{pid}-{count}.tmp`; those of killed runs are removed on the way.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown, fchown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

/// A temporary file younger than this may belong to a process that this one cannot see.
const STALE_AFTER: Duration = Duration::from_secs(60);

/// Replaces the file with the content: temporary file, fsync, rename, fsync of the directory.
///
/// Without `owner` the file belongs to whoever runs this. The mode is exact, whatever the umask.
///
/// # Errors
///
/// Returns the error of the step that failed; the file is then the old one.
pub fn write_atomic(path: &Path, content: &[u8], owner: Option<(u32, u32)>, mode: u32) -> io::Result<()> {
    stage(path, content, owner, mode)?.replace()?;
    sync_dir(parent(path))
}

/// Makes the file with the content, whole or not at all.
///
/// # Errors
///
/// Returns [`io::ErrorKind::AlreadyExists`], and touches nothing, when there is something of that name.
pub fn create_atomic(path: &Path, content: &[u8], owner: Option<(u32, u32)>, mode: u32) -> io::Result<()> {
    let staged = stage(path, content, owner, mode)?;
    std::fs::hard_link(&staged.temporary, path)?;
    drop(staged);
    sync_dir(parent(path))
}

/// Writes the content to a temporary file beside `path` and makes it durable.
///
/// # Errors
///
/// Returns the error of the step that failed; nothing is left behind then.
pub fn stage(path: &Path, content: &[u8], owner: Option<(u32, u32)>, mode: u32) -> io::Result<Staged> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not a file name"))?;
    prune(parent(path), &name.to_string_lossy());
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let temporary = parent(path).join(format!(".{}.quorum-{}-{count}.tmp", name.to_string_lossy(), std::process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    let staged = Staged { temporary, target: path.to_owned() };
    if let Some((user, group)) = owner {
        fchown(&file, Some(user), Some(group))?;
    }
    file.set_permissions(std::fs::Permissions::from_mode(mode))?;
    file.write_all(content)?;
    file.sync_all()?;
    Ok(staged)
}

/// A durable temporary file that waits to take its target's place. Dropped, it is removed.
#[derive(Debug)]
#[must_use]
pub struct Staged {
    temporary: PathBuf,
    target: PathBuf,
}

impl Staged {
    /// Puts the file in its place. The caller makes that durable with [`sync_dir`].
    ///
    /// # Errors
    ///
    /// Returns the error of the rename; the target is then the old one.
    pub fn replace(self) -> io::Result<()> {
        std::fs::rename(&self.temporary, &self.target)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // After the rename there is nothing of that name; otherwise the next run prunes what cannot be removed now.
        let _ = std::fs::remove_file(&self.temporary);
    }
}

/// Makes renames and removals in the directory durable.
///
/// # Errors
///
/// Returns the error of opening or syncing it.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// The directory the file is in.
#[must_use]
pub fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Sets owner and mode of an existing file or directory where they differ; returns whether they did.
/// A symbolic link is followed.
///
/// # Errors
///
/// Returns the error of reading or changing them.
pub fn repair(path: &Path, owner: Option<(u32, u32)>, mode: Option<u32>) -> io::Result<bool> {
    let found = std::fs::metadata(path)?;
    let new_owner = owner.filter(|wanted| *wanted != (found.uid(), found.gid()));
    if let Some((user, group)) = new_owner {
        chown(path, Some(user), Some(group))?;
    }
    let new_mode = mode.filter(|wanted| *wanted != found.mode() & 0o7777);
    // A change of owner clears the set-user-id bits, so the mode comes last.
    if let Some(mode) = new_mode.or(mode.filter(|_| new_owner.is_some())) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    }
    Ok(new_owner.is_some() || new_mode.is_some())
}

/// Removes what killed runs left of the file.
fn prune(dir: &Path, name: &str) {
    let prefix = format!(".{name}.quorum-");
    // Whatever cannot be listed or removed is in nobody's way.
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let found = entry.file_name();
        let Some(rest) = found.to_str().and_then(|found| found.strip_prefix(&prefix)?.strip_suffix(".tmp")) else {
            continue;
        };
        let Some(pid) = rest.split('-').next().and_then(|pid| pid.parse::<u32>().ok()) else { continue };
        let written = entry.metadata().and_then(|metadata| metadata.modified());
        let age = written.map(|written| SystemTime::now().duration_since(written).unwrap_or_default());
        if age.is_ok_and(|age| age > STALE_AFTER) && !Path::new(&format!("/proc/{pid}")).exists() {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// The ids of a user and a group, each a name or a number.
///
/// The local files come first and `getent` after them, as a static executable must not load the C library's
/// name-service modules.
///
/// # Errors
///
/// Returns a sentence that names the user or group that is missing.
pub fn resolve_owner(user: &str, group: &str) -> Result<(u32, u32), String> {
    Ok((resolve("user", "passwd", user)?, resolve("group", "group", group)?))
}

fn resolve(kind: &str, database: &str, name: &str) -> Result<u32, String> {
    if let Ok(id) = name.parse() {
        return Ok(id);
    }
    let local = std::fs::read_to_string(format!("/etc/{database}")).ok();
    let id = local.and_then(|text| find_id(&text, name)).or_else(|| {
        let found = Command::new("getent").args(["--", database, name]).output().ok()?;
        find_id(&String::from_utf8_lossy(&found.stdout), name)
    });
    id.ok_or_else(|| format!("there is no {kind} {name} on this host; create it, or install the package that does"))
}

/// The third field of the line that starts with the name, in passwd and group alike.
fn find_id(text: &str, name: &str) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn replaces_content_and_mode_and_leaves_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.conf");
        write_atomic(&path, b"one", None, 0o640).unwrap();
        write_atomic(&path, b"two", None, 0o604).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o604);
        assert_eq!(names(dir.path()), ["a.conf"]);
    }

    #[test]
    fn what_exists_is_not_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.key");
        create_atomic(&path, b"first", None, 0o600).unwrap();
        let error = create_atomic(&path, b"second", None, 0o600).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"first");
        assert_eq!(names(dir.path()), ["ca.key"]);
    }

    #[test]
    fn a_staged_file_that_is_not_wanted_goes_away() {
        let dir = tempfile::tempdir().unwrap();
        drop(stage(&dir.path().join("a"), b"x", None, 0o600).unwrap());
        assert!(names(dir.path()).is_empty());
    }

    #[test]
    fn prunes_what_killed_runs_left_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let old = SystemTime::now() - Duration::from_secs(3600);
        let dead = ".a.quorum-4194999-0.tmp";
        let alive = format!(".a.quorum-{}-99.tmp", std::process::id());
        let other = ".ab.quorum-4194999-0.tmp";
        let fresh = ".a.quorum-4194999-1.tmp";
        for name in [dead, &alive, other, fresh] {
            let file = File::create(dir.path().join(name)).unwrap();
            if name != fresh {
                file.set_modified(old).unwrap();
            }
        }
        write_atomic(&dir.path().join("a"), b"x", None, 0o600).unwrap();
        let mut expected = vec![fresh.to_owned(), alive, other.to_owned(), "a".to_owned()];
        expected.sort();
        assert_eq!(names(dir.path()), expected);
    }

    #[test]
    fn repairs_only_what_differs() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        write_atomic(&path, b"x", None, 0o600).unwrap();
        assert!(!repair(&path, None, Some(0o600)).unwrap());
        assert!(repair(&path, None, Some(0o640)).unwrap());
        assert!(!repair(&path, None, Some(0o640)).unwrap());
    }

    #[test]
    fn resolves_names_and_numbers_and_names_what_is_missing() {
        assert_eq!(resolve_owner("root", "0"), Ok((0, 0)));
        assert_eq!(find_id("daemon:x:1:\netcd:x:997:a,b\n", "etcd"), Some(997));
        let missing = resolve_owner("root", "no-such-group").unwrap_err();
        assert!(missing.starts_with("there is no group no-such-group on this host"), "{missing}");
    }
}
