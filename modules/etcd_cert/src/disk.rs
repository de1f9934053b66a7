//! The files of a member on its host.

use crate::certificate::Certificate;
use crate::decide::{Found, Observed};
use crate::key::Key;
use ansible_protocol::{Diff, Failure};
use etcd_ops::files;
use jiff::Timestamp;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where the files are, and whose they are to be.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) key: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) authority: PathBuf,
    /// Unknown when the user or group is still to be made (check mode only).
    pub(crate) owner: Option<(u32, u32)>,
    pub(crate) key_mode: u32,
    pub(crate) mode: u32,
}

/// The text of a file that may be absent or out of reach.
pub(crate) fn read(path: &Path) -> Found<String> {
    match std::fs::read(path) {
        Ok(bytes) => Found::Present(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Found::Absent,
        Err(error) => Found::Unreadable(error.to_string()),
    }
}

fn parse<T>(found: Found<String>, parse: impl Fn(&str) -> Result<T, String>) -> Found<T> {
    match found {
        Found::Present(text) => parse(&text).map_or_else(Found::Unreadable, Found::Present),
        Found::Absent => Found::Absent,
        Found::Unreadable(why) => Found::Unreadable(why),
    }
}

impl Files {
    /// Where a new key waits for its certificate, so that the old pair works until then.
    pub(crate) fn parked(&self) -> PathBuf {
        let name = self.key.file_name().unwrap_or_default().to_string_lossy();
        files::parent(&self.key).join(format!(".{name}.quorum-new"))
    }

    /// The key in use.
    pub(crate) fn read_key(&self) -> Found<Key> {
        parse(read(&self.key), Key::from_pem)
    }

    /// The key that waits for its certificate.
    pub(crate) fn read_parked(&self) -> Found<Key> {
        parse(read(&self.parked()), Key::from_pem)
    }

    /// What the host has.
    pub(crate) fn observe(&self, now: Timestamp) -> Observed {
        let public = match self.read_key() {
            Found::Present(key) => Found::Present(key.public()),
            Found::Absent => Found::Absent,
            Found::Unreadable(why) => Found::Unreadable(why),
        };
        Observed {
            now,
            chain: parse(read(&self.certificate), Certificate::all_from_pem),
            public,
            trusted: parse(read(&self.authority), Certificate::all_from_pem),
        }
    }

    /// All files with the mode each is to have.
    fn modes(&self) -> [(&Path, u32); 3] {
        [(&self.key, self.key_mode), (&self.certificate, self.mode), (&self.authority, self.mode)]
    }

    /// The wrong owners and modes of the files that exist, repaired unless in check mode.
    pub(crate) fn repair(&self, check_mode: bool) -> Result<Vec<Diff>, Failure> {
        let mut diffs = Vec::new();
        for (path, mode) in self.modes() {
            let Ok(found) = std::fs::metadata(path) else { continue };
            let has = ((found.uid(), found.gid()), found.mode() & 0o7777);
            let wanted = (self.owner.unwrap_or(has.0), mode);
            if has == wanted {
                continue;
            }
            if !check_mode {
                files::repair(path, self.owner, Some(mode))
                    .map_err(|error| Failure::io(format!("set owner and mode of {}", path.display()), error))?;
            }
            let show = |((user, group), mode): ((u32, u32), u32)| format!("owner: {user}:{group}\nmode: {mode:04o}\n");
            diffs.push(Diff::of(path.display().to_string(), show(has), show(wanted)));
        }
        Ok(diffs)
    }

    /// A remark when others could read the key.
    pub(crate) fn exposure(&self) -> Option<String> {
        let mode = std::fs::metadata(&self.key).ok()?.mode() & 0o777;
        let path = self.key.display();
        (mode & 0o007 & !self.key_mode != 0).then(|| {
            format!("{path} was open to every user (mode {mode:04o}); set new_key=true once to replace the key")
        })
    }

    /// Files go where a directory is; a missing one is named before anything is attempted.
    pub(crate) fn check_directories(&self) -> Result<(), Failure> {
        for (path, _) in self.modes() {
            let dir = files::parent(path);
            if !dir.is_dir() {
                let what = format!("write {}", path.display());
                return Err(Failure::io(what, format!("there is no directory {}; make it first", dir.display())));
            }
        }
        Ok(())
    }
}
