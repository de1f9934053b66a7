use super::bolt::Bolt;
use super::contents::applied;
use super::{Contents, Damage, SEAL_LENGTH, Seal};
use ansible_protocol::{ErrorKind, Failure};
use serde::Serialize;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;

/// How much is read at once to be hashed.
const BUFFER: usize = 256 << 10;

/// A file that was found whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Bytes of the file.
    pub size: u64,
    /// SHA-256 of the whole file, as `sha256sum` prints it.
    pub sha256: String,
    /// What it holds.
    pub contents: Contents,
    /// Whether it ends with the SHA-256 of its database.
    pub sealed: bool,
}

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// It is something else.
    NoSnapshot,
    /// Its end is missing.
    Truncated,
    /// Its content has changed since it was taken.
    WrongHash,
    /// It is a copy of a database, which nothing protects from changes.
    WithoutHash,
    /// Its content contradicts itself.
    Damaged,
}

/// Checks a file: its SHA-256 and, page by page, its structure, both at once. A copy of a member's database has no
/// SHA-256 and is only taken `without_hash`.
///
/// # Errors
///
/// Kind `io` when the file cannot be read; kind `conflict` with a [`Trouble`] as `trouble` when it is not whole.
pub fn verify(path: &Path, without_hash: bool) -> Result<Snapshot, Failure> {
    let name = path.display();
    let unreadable = |error: io::Error| Failure::io(format_args!("verify {name}"), error);
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        let what = if metadata.is_dir() { "a directory" } else { "not a regular file" };
        return Err(Failure::io(format_args!("verify {name}"), format_args!("it is {what}; name a snapshot file")));
    }
    let file = File::open(path).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    let troubled = |trouble: Trouble, what: String| {
        let next = "do not restore from it, take or choose another one";
        Failure::new(ErrorKind::Conflict, format!("{name} {what}; {next}")).with("trouble", trouble)
    };
    let damaged = |damage: Damage| match damage {
        Damage::Io(error) => unreadable(error),
        Damage::Structure(what) => troubled(Trouble::Damaged, format!("is damaged: {what}")),
    };
    let Some(bolt) = Bolt::open(&file).map_err(damaged)? else {
        let what = "is no snapshot of etcd: it does not begin with a bbolt database".to_owned();
        return Err(troubled(Trouble::NoSnapshot, what));
    };
    let sealed = match shape(size, bolt.size()) {
        Shape::Sealed => true,
        Shape::Copy if without_hash => false,
        Shape::Copy => {
            let msg = format!(
                "{name} is a copy of a member's database (member/snap/db), or a snapshot that lost its end: without the \
                 SHA-256 there, nobody can tell whether it has changed; take a snapshot instead, or accept it as it is \
                 with without_hash: true"
            );
            return Err(Failure::new(ErrorKind::Conflict, msg).with("trouble", Trouble::WithoutHash));
        }
        Shape::Short(whole) => {
            let what = format!("is truncated: {size} of {whole} bytes are there");
            return Err(troubled(Trouble::Truncated, what));
        }
        Shape::Long(more) => {
            let what = format!("is damaged: {more} bytes follow its database, instead of a SHA-256 of {SEAL_LENGTH}");
            return Err(troubled(Trouble::Damaged, what));
        }
    };
    let body = if sealed { bolt.size() } else { size };
    let (contents, hash) = thread::scope(|scope| {
        let contents = scope.spawn(|| Contents::read(&bolt, true));
        let hash = hash(&file, body, size);
        (contents.join(), hash)
    });
    let hash = hash.map_err(unreadable)?;
    if sealed && !hash.fits {
        let what = "is damaged: its content does not fit the SHA-256 at its end".to_owned();
        return Err(troubled(Trouble::WrongHash, what));
    }
    let contents = contents.map_err(|_| Failure::new(ErrorKind::Internal, format!("reading {name} failed")))?;
    Ok(Snapshot { size, sha256: hash.hex, contents: contents.map_err(damaged)?, sealed })
}

/// What the database in the file holds. For a file whose SHA-256 has been checked.
///
/// # Errors
///
/// When the file is not of etcd, or not as long as it says it is.
pub fn read_contents(file: &File) -> Result<Contents, Damage> {
    let bolt = Bolt::open(file)?.ok_or_else(|| Damage::structure("it does not begin with a bbolt database"))?;
    let size = file.metadata()?.len();
    match shape(size, bolt.size()) {
        Shape::Sealed => Contents::read(&bolt, true),
        _ => Err(Damage::structure(format!("it is {size} bytes long and says it is {}", bolt.size()))),
    }
}

/// The revision that a member begins with whose database this is. All of it is read, and so found in order.
///
/// # Errors
///
/// When the file is no database of etcd, or contradicts itself.
pub fn read_revision(file: &File) -> Result<i64, Damage> {
    let bolt = Bolt::open(file)?.ok_or_else(|| Damage::structure("it does not begin with a bbolt database"))?;
    Contents::read(&bolt, false).map(|contents| contents.revision)
}

/// Up to which entry of its log a member whose database this is has applied it; none where it has applied nothing yet. Only
/// that is read, so it says nothing about the rest of the database.
///
/// # Errors
///
/// When the file is no database of etcd, or contradicts itself.
pub fn read_applied(file: &File) -> Result<Option<u64>, Damage> {
    let bolt = Bolt::open(file)?.ok_or_else(|| Damage::structure("it does not begin with a bbolt database"))?;
    applied(&bolt)
}

/// Whether the file is surely no snapshot, not even a damaged one: something else, or a member's own database.
///
/// # Errors
///
/// When it cannot be read.
pub fn is_other_file(path: &Path) -> io::Result<bool> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    match Bolt::open(&file) {
        Ok(Some(bolt)) => Ok(shape(size, bolt.size()) == Shape::Copy),
        Ok(None) => Ok(size > 0),
        Err(Damage::Structure(_)) => Ok(false),
        Err(Damage::Io(error)) => Err(error),
    }
}

/// What a file is by its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Sealed,
    Copy,
    /// It should have so many bytes.
    Short(u64),
    /// So many bytes follow.
    Long(u64),
}

fn shape(size: u64, database: u64) -> Shape {
    let seal = SEAL_LENGTH as u64;
    match size.checked_sub(database) {
        None => Shape::Short(database.saturating_add(seal)),
        Some(more) if more == seal => Shape::Sealed,
        // A member's file grows in steps, so there may be room behind what it uses.
        Some(more) if more.is_multiple_of(512) => Shape::Copy,
        Some(more) if more < seal => Shape::Short(database + seal),
        Some(more) => Shape::Long(more),
    }
}

struct Hashed {
    /// Whether what follows the database is its SHA-256.
    fits: bool,
    hex: String,
}

fn hash(file: &File, body: u64, size: u64) -> io::Result<Hashed> {
    let mut buffer = vec![0; BUFFER];
    let mut seal = Seal::default();
    let mut at = 0;
    let mut fits = false;
    while at < size {
        let end = if at < body { body } else { size };
        let step = usize::try_from(end - at).map_or(BUFFER, |rest| rest.min(BUFFER));
        let chunk = &mut buffer[..step];
        file.read_exact_at(chunk, at)?;
        fits |= at == body && seal.fits(chunk);
        seal.update(chunk);
        at += step as u64;
    }
    Ok(Hashed { fits, hex: seal.hex() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case(4096 + 32, Shape::Sealed; "snapshot")]
    #[test_case(4096, Shape::Copy; "copy")]
    #[test_case(16384, Shape::Copy; "copy with room behind it")]
    #[test_case(4095, Shape::Short(4128); "database cut")]
    #[test_case(32, Shape::Short(4128); "hardly anything")]
    #[test_case(4096 + 31, Shape::Short(4128); "hash cut")]
    #[test_case(4096 + 33, Shape::Long(33); "one byte more")]
    #[test_case(8192 + 32, Shape::Long(4128); "a page more")]
    fn shapes(size: u64, wanted: Shape) {
        assert_eq!(shape(size, 4096), wanted);
    }
}
