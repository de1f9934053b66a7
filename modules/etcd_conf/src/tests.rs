//! Planning and applying, on real files of every sort.

use crate::apply::apply;
use crate::disk::{Attributes, Disk, Seen};
use crate::params::{Wanted, WantedDirectory, WantedFile};
use crate::plan::{Step, plan};
use proptest::prelude::*;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

const DIRECTORIES: [&str; 4] = ["etc", "etc/tls", "data", "data/deep/wal"];
const FILES: [&str; 5] = ["etc/etcd.conf", "etc/etcd.pass", "etc/tls/ca", "data/x", "top"];
const MODES: [u32; 4] = [0o700, 0o750, 0o755, 0o640];

/// What a path holds: nothing, or something with one of a few modes, owners and contents.
type Node = Option<(usize, u32, u8)>;

fn attributes(&(mode, owner, _): &(usize, u32, u8)) -> Attributes {
    let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    // Only root can give files away.
    let owner = if uid == 0 { owner } else { uid };
    Attributes { uid: owner, gid: if uid == 0 { owner } else { gid }, mode: MODES[mode] }
}

fn nodes(count: usize) -> impl Strategy<Value = Vec<Node>> {
    prop::collection::vec(prop::option::weighted(0.7, (0..MODES.len(), 0..3_u32, 0..3_u8)), count)
}

/// Makes what the nodes describe, as far as the directories above are there.
fn make(root: &Path, directories: &[Node], files: &[Node]) {
    let own = |path: &Path, node: &(usize, u32, u8)| {
        let wanted = attributes(node);
        chown(path, Some(wanted.uid), Some(wanted.gid)).unwrap();
        // Whoever is not root must get in.
        let mode = if path.is_dir() { wanted.mode | 0o700 } else { wanted.mode };
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    };
    for (name, node) in DIRECTORIES.iter().zip(directories) {
        if let Some(node) = node
            && fs::create_dir(root.join(name)).is_ok()
        {
            own(&root.join(name), node);
        }
    }
    for (name, node) in FILES.iter().zip(files) {
        if let Some(node) = node
            && fs::write(root.join(name), [node.2; 10]).is_ok()
        {
            own(&root.join(name), node);
        }
    }
}

/// What the nodes describe, with every directory that its files need.
fn want(root: &Path, directories: &[Node], files: &[Node]) -> Wanted {
    let mut wanted = Wanted::default();
    for (name, node) in DIRECTORIES.iter().zip(directories) {
        let needed = FILES
            .iter()
            .zip(files)
            .any(|(file, node)| node.is_some() && Path::new(file).parent() == Some(Path::new(name)));
        if let Some(node) = node.or(needed.then_some((0, 0, 0))) {
            let mut attributes = attributes(&node);
            attributes.mode |= 0o700;
            wanted.directories.push(WantedDirectory { path: root.join(name), attributes });
        }
    }
    for (name, node) in FILES.iter().zip(files) {
        if let Some(node) = node {
            let (path, attributes) = (root.join(name), attributes(node));
            let (content, sensitive) = (vec![node.2; 10], node.2 == 0);
            wanted.files.push(WantedFile { path, content, attributes, sensitive, backup: false });
        }
    }
    wanted
}

fn assert_reached(wanted: &Wanted) -> Result<(), TestCaseError> {
    let disk = Disk::observe(wanted);
    for directory in &wanted.directories {
        prop_assert_eq!(disk.at(&directory.path), &Seen::Directory(directory.attributes));
    }
    for file in &wanted.files {
        prop_assert_eq!(disk.at(&file.path), &Seen::File(file.attributes, file.content.clone()));
    }
    let again = plan(wanted, &disk);
    prop_assert!(again.steps.is_empty() && again.problems.is_empty(), "{:?}", again);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Whatever there is, doing what is planned leads to what is wanted, and then there is nothing left to plan. The
    /// same holds when a run stops after any of its steps and another one follows; in between each file is the old
    /// or the new one.
    #[test]
    fn planning_and_applying_reaches_what_is_wanted(
        (have_directories, have_files) in (nodes(4), nodes(5)),
        (want_directories, want_files) in (nodes(4), nodes(5)),
        stop in 0..12_usize,
    ) {
        let root = tempfile::tempdir().unwrap();
        make(root.path(), &have_directories, &have_files);
        let wanted = want(root.path(), &want_directories, &want_files);
        let before = Disk::observe(&wanted);
        let first = plan(&wanted, &before);
        prop_assert!(first.problems.is_empty() && first.missing.is_empty(), "{:?}", first);

        apply(&first.steps[..stop.min(first.steps.len())]).unwrap();
        let between = Disk::observe(&wanted);
        for file in &wanted.files {
            let content = |seen: &Seen| if let Seen::File(_, content) = seen { Some(content.clone()) } else { None };
            let found = content(between.at(&file.path));
            prop_assert!(found == content(before.at(&file.path)) || found.as_ref() == Some(&file.content));
        }

        let second = plan(&wanted, &between);
        prop_assert!(second.steps.len() <= first.steps.len());
        apply(&second.steps).unwrap();
        assert_reached(&wanted)?;
    }

    /// A file whose content is right is never written again, and one that nobody asked for is never touched.
    #[test]
    fn plans_no_more_than_needed((directories, files) in (nodes(4), nodes(5)), asked in nodes(5)) {
        let root = tempfile::tempdir().unwrap();
        make(root.path(), &directories, &files);
        let wanted = want(root.path(), &directories, &asked);
        let disk = Disk::observe(&wanted);
        for step in plan(&wanted, &disk).steps {
            let known = wanted.files.iter().map(|file| &file.path).chain(wanted.directories.iter().map(|it| &it.path));
            let above = known.clone().any(|path| path.starts_with(step.path()));
            prop_assert!(known.clone().any(|path| path == step.path()) || above);
            if let Step::WriteFile { path, content, .. } = &step {
                prop_assert!(!matches!(disk.at(path), Seen::File(_, present) if present == content));
            }
        }
    }
}

/// A failing step says what was done before it, and takes its temporary files along.
#[test]
fn a_step_that_fails_leaves_the_rest_as_it_was() {
    let root = tempfile::tempdir().unwrap();
    let me = attributes(&(0, 0, 0));
    let write = |name: &str| Step::WriteFile {
        path: root.path().join(name),
        content: b"new".to_vec(),
        attributes: me,
        keep_previous: false,
    };
    fs::write(root.path().join("a"), "old").unwrap();
    let made = Step::MakeDirectory(root.path().join("etc"), Some(me));
    let failure = apply(&[made, write("a"), write("no/such/directory")]).unwrap_err();
    let here = root.path().display();
    let wanted = format!(
        "cannot write {here}/no/such/directory: No such file or directory (os error 2); before that: made {here}/etc; \
         every file is whole"
    );
    assert_eq!(failure.msg, wanted);
    assert_eq!(failure.into_object()["changed"], true);
    assert_eq!(fs::read(root.path().join("a")).unwrap(), b"old");
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 2);
}
