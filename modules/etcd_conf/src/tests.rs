//! Planning and applying, on real files of every sort.

use crate::apply::apply;
use crate::disk::{Attributes, Disk, Seen};
use crate::merge::laid_over;
use crate::params::{Present, Wanted, WantedDirectory, WantedFile};
use crate::plan::{Step, plan};
use ansible_protocol::Object;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

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

/// What shall be at a path: it is left alone, shall not be there, or shall be as the node says.
type Wish = Option<Node>;

fn wishes(count: usize) -> impl Strategy<Value = Vec<Wish>> {
    nodes(count).prop_flat_map(|nodes| {
        let count = nodes.len();
        (Just(nodes), prop::collection::vec(prop::option::weighted(0.8, Just(())), count))
            .prop_map(|(nodes, asked)| nodes.into_iter().zip(asked).map(|(node, asked)| asked.map(|()| node)).collect())
    })
}

/// What the wishes describe, with every directory that its files need, and without asking for a directory to be gone
/// in which something is to be.
fn want(root: &Path, directories: &[Wish], files: &[Wish]) -> Wanted {
    let mut wanted = Wanted::default();
    let file_inside = |name: &str| {
        let mut present = FILES.iter().zip(files).filter(|(_, wish)| matches!(wish, Some(Some(_))));
        present.any(|(file, _)| Path::new(file).starts_with(name))
    };
    for (name, wish) in DIRECTORIES.iter().zip(directories) {
        let inside = DIRECTORIES.iter().zip(directories).any(|(other, wish)| {
            other != name && Path::new(other).starts_with(name) && (matches!(wish, Some(Some(_))) || file_inside(other))
        });
        let node = match wish {
            Some(None) | None if file_inside(name) => Some((0, 0, 0)),
            Some(None) if inside => continue,
            Some(node) => *node,
            None => continue,
        };
        let attributes = node.map(|node| Attributes { mode: attributes(&node).mode | 0o700, ..attributes(&node) });
        wanted.directories.push(WantedDirectory { path: root.join(name), attributes });
    }
    for (name, wish) in FILES.iter().zip(files) {
        let Some(node) = wish else { continue };
        let present = node.map(|node| Present { content: vec![node.2; 10], attributes: attributes(&node) });
        let sensitive = node.is_some_and(|node| node.2 == 0);
        wanted.files.push(WantedFile { path: root.join(name), present, sensitive, backup: false });
    }
    wanted
}

fn assert_reached(wanted: &Wanted) -> Result<(), TestCaseError> {
    let disk = Disk::observe(wanted);
    for directory in &wanted.directories {
        match directory.attributes {
            Some(attributes) => prop_assert_eq!(disk.at(&directory.path), &Seen::Directory(attributes)),
            None => {
                let held = fs::read_dir(&directory.path).map_or(0, Iterator::count);
                prop_assert!(held > 0 || !directory.path.exists(), "{} is empty and there", directory.path.display());
            }
        }
    }
    for file in &wanted.files {
        let expected = file.present.as_ref().map(|it| Seen::File(it.attributes, it.content.clone()));
        prop_assert_eq!(disk.at(&file.path), &expected.unwrap_or(Seen::Missing));
    }
    let again = plan(wanted, &disk);
    prop_assert!(again.steps.is_empty() && again.problems.is_empty(), "{:?}", again);
    Ok(())
}

/// All files below the directory.
fn everything(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(everything(&path));
        }
        found.push(path);
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Whatever there is, doing what is planned leads to what is wanted, and then there is nothing left to plan. The
    /// same holds when a run stops after any of its steps and another one follows; in between each file is the old
    /// or the new one.
    #[test]
    fn planning_and_applying_reaches_what_is_wanted(
        (have_directories, have_files) in (nodes(4), nodes(5)),
        (want_directories, want_files) in (wishes(4), wishes(5)),
        stop in 0..12_usize,
    ) {
        let root = tempfile::tempdir().unwrap();
        make(root.path(), &have_directories, &have_files);
        let wanted = want(root.path(), &want_directories, &want_files);
        let before = Disk::observe(&wanted);
        let there = everything(root.path());
        let first = plan(&wanted, &before);
        prop_assert!(first.problems.is_empty() && first.missing.is_empty(), "{:?}", first);

        apply(&first.steps[..stop.min(first.steps.len())]).unwrap();
        let between = Disk::observe(&wanted);
        for file in &wanted.files {
            let content = |seen: &Seen| if let Seen::File(_, content) = seen { Some(content.clone()) } else { None };
            let found = content(between.at(&file.path));
            let new = file.present.as_ref().map(|present| &present.content);
            prop_assert!(found == content(before.at(&file.path)) || found.as_ref() == new);
        }

        let second = plan(&wanted, &between);
        prop_assert!(second.steps.len() <= first.steps.len());
        apply(&second.steps).unwrap();
        assert_reached(&wanted)?;
        for path in there {
            let unwanted = wanted.files.iter().any(|file| file.path == path && file.present.is_none())
                || wanted.directories.iter().any(|it| it.path == path && it.attributes.is_none());
            prop_assert!(path.exists() || unwanted, "{} is gone, and nobody asked for that", path.display());
        }
    }

    /// A file whose content is right is never written again, and one that nobody asked for is never touched.
    #[test]
    fn plans_no_more_than_needed((directories, files) in (nodes(4), nodes(5)), asked in wishes(5)) {
        let root = tempfile::tempdir().unwrap();
        make(root.path(), &directories, &files);
        let directories: Vec<Wish> = directories.into_iter().map(|node| node.map(Some)).collect();
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

/// A configuration of some of these keys.
fn configurations() -> impl Strategy<Value = Object> {
    let plain = ["name", "initial-cluster", "log-level", "heartbeat-interval", "initial-cluster-state"];
    let section = prop::option::of((prop::option::of(0..3_u8), prop::option::of(0..3_u8)));
    (prop::collection::btree_map(prop::sample::select(plain.to_vec()), 0..3_u8, 0..5), section).prop_map(
        |(keys, section)| {
            let mut config: Object = keys.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
            if let Some((cert, key)) = section {
                let parts = [("cert-file", cert), ("key-file", key)].into_iter();
                let parts = parts.filter_map(|(name, value)| Some((name.to_owned(), value?.into())));
                config.insert("peer-transport-security".into(), Value::Object(parts.collect()));
            }
            config
        },
    )
}

/// The value at a path of names.
fn at<'a>(config: &'a Object, path: &[&str]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(config.get(*first)?, |value, name| value.get(name))
}

proptest! {
    /// Each key is as it was given, or else as it was.
    #[test]
    fn laying_keys_over_others_leaves_those_that_are_not_given(present in configurations(), given in configurations()) {
        let merged = laid_over(&present, &given);
        let keys = ["name", "initial-cluster", "log-level", "heartbeat-interval", "initial-cluster-state"];
        let sections = ["cert-file", "key-file"];
        let plain = keys.iter().map(|key| vec![*key]);
        for path in plain.chain(sections.iter().map(|key| vec!["peer-transport-security", *key])) {
            prop_assert_eq!(at(&merged, &path), at(&given, &path).or(at(&present, &path)), "{:?}", path);
        }
        prop_assert_eq!(&laid_over(&merged, &given), &merged);
        prop_assert_eq!(&laid_over(&present, &Object::new()), &present);
    }
}

#[test]
fn a_key_without_value_is_taken_out() {
    let object = |value: Value| value.as_object().cloned().unwrap();
    let present = object(
        json!({ "name": "a", "log-level": "info", "socket-options": { "reuse-port": true, "reuse-address": true } }),
    );
    let given =
        object(json!({ "log-level": null, "quota-backend-bytes": 1, "socket-options": { "reuse-port": null } }));
    let wanted = object(json!({ "name": "a", "quota-backend-bytes": 1, "socket-options": { "reuse-address": true } }));
    assert_eq!(laid_over(&present, &given), wanted);
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
