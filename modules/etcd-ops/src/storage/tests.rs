//! Planning and applying, on real directories of every sort.

use super::apply::apply;
use super::back::{Former, back};
use super::observe::Seen;
use super::plan::{Asked, State, Step, plan};
use super::users::Guard;
use crate::datadir::{DataDir, observe, observe_log};
use ansible_protocol::ErrorKind;
use etcd_testbed::wait_for;
use proptest::prelude::*;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

const SEGMENT: &str = "0000000000000000-0000000000000000.wal";

/// A log that says: member 0xa of cluster 0xc.
fn write_log(wal: &Path) {
    fs::create_dir_all(wal).unwrap();
    // A frame: its length, and the record (type 1, no checksum, the metadata).
    let mut frame = 10_u64.to_le_bytes().to_vec();
    frame.extend([8, 1, 16, 0, 26, 4, 8, 0xa, 16, 0xc]);
    fs::write(wal.join(SEGMENT), frame).unwrap();
    fs::write(wal.join("0.tmp"), "").unwrap();
}

/// What is there.
#[derive(Clone, Debug)]
struct Scene {
    member: bool,
    fixtures: bool,
    leftover: bool,
    foreign: bool,
    linked: bool,
    wal: Wal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wal {
    Inside,
    Beside,
    BesideWithForeign,
    BesideLinked,
    InDataDir,
}

fn scenes() -> impl Strategy<Value = Scene> {
    let wal = prop_oneof![
        2 => Just(Wal::Inside),
        1 => Just(Wal::Beside),
        1 => Just(Wal::BesideWithForeign),
        1 => Just(Wal::BesideLinked),
        1 => Just(Wal::InDataDir),
    ];
    (prop::bool::weighted(0.8), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), wal).prop_map(
        |(member, fixtures, leftover, foreign, linked, wal)| Scene { member, fixtures, leftover, foreign, linked, wal },
    )
}

/// The paths that the module is given.
fn make(root: &Path, scene: &Scene) -> (PathBuf, Option<PathBuf>) {
    let data = root.join("data");
    let real = if scene.linked { root.join("disk/data") } else { data.clone() };
    fs::create_dir_all(&real).unwrap();
    if scene.linked {
        symlink(&real, &data).unwrap();
    }
    let wal = match scene.wal {
        Wal::Inside => None,
        Wal::Beside | Wal::BesideWithForeign | Wal::BesideLinked => Some(root.join("wal")),
        Wal::InDataDir => Some(data.join("wal")),
    };
    if scene.member {
        fs::create_dir_all(real.join("member/snap")).unwrap();
        fs::write(real.join("member/snap/db"), "members: the data").unwrap();
        if scene.wal == Wal::BesideLinked {
            fs::create_dir_all(root.join("disk/log")).unwrap();
            symlink(root.join("disk/log"), root.join("wal")).unwrap();
        }
        write_log(wal.as_deref().unwrap_or(&real.join("member/wal")));
        if scene.wal == Wal::BesideWithForeign {
            fs::write(root.join("wal/notes"), "mine").unwrap();
        }
    }
    if scene.fixtures {
        fs::create_dir(real.join("fixtures")).unwrap();
    }
    if scene.leftover {
        fs::create_dir_all(real.join("member.removed.20260101T000000Z/snap")).unwrap();
    }
    if scene.foreign {
        fs::write(real.join("precious"), "mine").unwrap();
    }
    (data, wal)
}

fn asked(state: State) -> Asked {
    Asked { state, member_id: None, cluster_id: None, force: false }
}

/// The files below the directory whose content is that.
fn with_content(root: &Path, content: &str) -> usize {
    let mut found = 0;
    for entry in fs::read_dir(root).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found += with_content(&entry.path(), content);
        } else if fs::read(entry.path()).is_ok_and(|bytes| bytes == content.as_bytes()) {
            found += 1;
        }
    }
    found
}

fn steps(data: &Path, wal: Option<&Path>, state: State, now: &str) -> Vec<Step> {
    plan(&asked(state), &Seen::observe(data, wal).unwrap(), now).unwrap().steps
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Wherever a run stops, what is left is the member's data as it was or nothing that looks like a member, and the
    /// next run ends it. Nothing foreign is ever touched, nothing moved aside is lost, and then there is nothing to do.
    #[test]
    fn every_interruption_is_made_good(scene in scenes(), aside: bool, stop in 0..12_usize) {
        let root = tempfile::tempdir().unwrap();
        let (data, wal) = make(root.path(), &scene);
        let wal = wal.as_deref();
        let state = if aside { State::Aside } else { State::Absent };
        let mine = with_content(root.path(), "mine");
        let before = observe(&data, wal);
        prop_assert_eq!(matches!(before, DataDir::Member(_)), scene.member, "{:?}", before);

        let first = steps(&data, wal, state, "20260102T000000Z");
        apply(&first[..stop.min(first.len())]).unwrap();
        let between = observe(&data, wal);
        prop_assert!(between == before || between == DataDir::Absent, "{:?}", between);
        prop_assert_eq!(with_content(root.path(), "mine"), mine);

        apply(&steps(&data, wal, state, "20260103T000000Z")).unwrap();
        prop_assert_eq!(observe(&data, wal), DataDir::Absent);
        prop_assert_eq!(wal.map_or(DataDir::Absent, observe_log), DataDir::Absent);
        prop_assert_eq!(with_content(root.path(), "mine"), mine);
        let kept = usize::from(scene.member && aside);
        prop_assert_eq!(with_content(root.path(), "members: the data"), kept);
        if !scene.linked && !scene.foreign && !(aside && (scene.fixtures || wal.is_some())) {
            prop_assert!(!data.exists());
        }
        prop_assert_eq!(steps(&data, wal, state, "20260104T000000Z"), vec![]);
    }

    /// Whatever was moved aside comes back as it was, wherever a run stops, also the one that moved it aside; what was put
    /// there in between is kept. Then there is nothing to do.
    #[test]
    fn what_was_moved_aside_comes_back(scene in scenes(), between: bool, first in 0..12_usize, second in 0..12_usize) {
        let scene = Scene { member: true, ..scene };
        let root = tempfile::tempdir().unwrap();
        let (data, wal) = make(root.path(), &scene);
        let wal = wal.as_deref();
        let mine = with_content(root.path(), "mine");
        let before = observe(&data, wal);
        let former = Former { member_id: Some(0xa), time: "20260102T000000Z".into() };
        let steps_back = |now: &str| back(&former, &Seen::observe(&data, wal).unwrap(), now).unwrap().steps;
        prop_assert_eq!(steps_back("20260102T000000Z"), vec![]);

        // As a restore does it: directories that have to stay do so.
        let mut aside = steps(&data, wal, State::Aside, "20260102T000000Z");
        aside.retain(|step| !matches!(step, Step::RemoveEmpty(_)));
        let whole = first >= aside.len();
        apply(&aside[..first.min(aside.len())]).unwrap();
        let real = if scene.linked { root.path().join("disk/data") } else { data.clone() };
        let restored = whole && between;
        if restored {
            fs::create_dir_all(real.join("member/snap")).unwrap();
            fs::write(real.join("member/snap/db"), "members: restored").unwrap();
            let log = wal.map_or_else(|| real.join("member/wal"), Path::to_path_buf);
            fs::create_dir_all(&log).unwrap();
            let mut frame = 10_u64.to_le_bytes().to_vec();
            frame.extend([8, 1, 16, 0, 26, 4, 8, 0xb, 16, 0xd]);
            fs::write(log.join(SEGMENT), frame).unwrap();
        }
        let planned = steps_back("20260103T000000Z");
        apply(&planned[..second.min(planned.len())]).unwrap();
        apply(&steps_back("20260104T000000Z")).unwrap();
        prop_assert_eq!(observe(&data, wal), before);
        prop_assert_eq!(with_content(root.path(), "members: the data"), 1);
        prop_assert_eq!(with_content(root.path(), "members: restored"), usize::from(restored));
        prop_assert_eq!(with_content(root.path(), "mine"), mine);
        prop_assert_eq!(steps_back("20260105T000000Z"), vec![]);
    }

    /// The data of somebody else than asked for is refused, and so is one of which it cannot be told; both ids are named.
    #[test]
    fn data_of_another_is_never_touched(scene in scenes(), member in 1..20_u64, cluster in 1..20_u64, aside: bool) {
        let root = tempfile::tempdir().unwrap();
        let (data, wal) = make(root.path(), &scene);
        let seen = Seen::observe(&data, wal.as_deref()).unwrap();
        let state = if aside { State::Aside } else { State::Absent };
        let asked = Asked { member_id: Some(member), cluster_id: Some(cluster), force: true, ..asked(state) };
        let planned = plan(&asked, &seen, "20260102T000000Z");
        prop_assert_eq!(planned.is_ok(), !scene.member || (member, cluster) == (0xa, 0xc));
        if let Err(failure) = planned {
            prop_assert_eq!(failure.kind, ErrorKind::Conflict);
            let named = if member == 0xa { format!("of cluster c, not of cluster {cluster:x}") } else { format!("of member a, not of member {member:x}") };
            prop_assert!(failure.msg.contains(&named), "{}", failure);
        }
    }
}

fn refusal(data: &Path, wal: Option<&Path>) -> String {
    let seen = Seen::observe(data, wal);
    seen.and_then(|seen| plan(&asked(State::Absent), &seen, "20260102T000000Z")).unwrap_err().msg
}

#[test]
fn data_of_nobody_needs_force() {
    let root = tempfile::tempdir().unwrap();
    let member = root.path().join("member");
    fs::create_dir_all(&member).unwrap();
    fs::write(member.join("notes"), "").unwrap();
    let refused = refusal(root.path(), None);
    for part in ["it cannot be told whose data it holds", "holds no write-ahead log", "give wal_dir", "force: true"] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    let forced = Asked { force: true, ..asked(State::Aside) };
    let planned = plan(&forced, &Seen::observe(root.path(), None).unwrap(), "20260102T000000Z").unwrap();
    assert!(planned.moved_to.unwrap().to_string_lossy().ends_with(".unknown.20260102T000000Z"));
    // A start that never got anywhere leaves nothing that anybody could miss.
    fs::remove_file(member.join("notes")).unwrap();
    assert!(!steps(root.path(), None, State::Absent, "20260102T000000Z").is_empty());
}

#[test]
fn paths_that_lead_elsewhere_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    for name in ["/", "data", "/data/../etc", ""] {
        assert!(refusal(Path::new(name), None).starts_with("data_dir must be an absolute path"), "{name:?}");
    }
    symlink(path("loop"), path("loop")).unwrap();
    assert!(refusal(&path("loop"), None).contains("Too many levels of symbolic links"));
    symlink("/", path("top")).unwrap();
    assert!(refusal(&path("top"), None).contains("is a symbolic link to /"));
    symlink(path("nothing"), path("dangling")).unwrap();
    assert!(refusal(&path("dangling"), None).contains("leads nowhere"));
    fs::write(path("file"), "").unwrap();
    assert!(refusal(&path("file"), None).contains("is not a directory"));
    fs::create_dir_all(path("wal/data")).unwrap();
    assert!(refusal(&path("wal/data"), Some(&path("wal"))).contains("must not lie in wal_dir"));
    write_log(&path("other/wal"));
    fs::create_dir(path("real")).unwrap();
    symlink(path("other"), path("real/member")).unwrap();
    assert!(refusal(&path("real"), None).contains("real/member is a symbolic link"));
    assert!(path("other/wal").join(SEGMENT).exists());
}

#[test]
fn links_inside_of_the_data_are_removed_and_not_followed() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    write_log(&path("data/member/wal"));
    fs::create_dir_all(path("elsewhere")).unwrap();
    fs::write(path("elsewhere/precious"), "mine").unwrap();
    symlink(path("elsewhere"), path("data/member/more")).unwrap();
    apply(&steps(&path("data"), None, State::Absent, "20260102T000000Z")).unwrap();
    assert!(!path("data").exists());
    assert_eq!(fs::read_to_string(path("elsewhere/precious")).unwrap(), "mine");
}

#[test]
fn a_name_that_is_taken_is_not_overwritten() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    write_log(&path("data/member/wal"));
    fs::create_dir(path("data.a.20260102T000000Z")).unwrap();
    fs::write(path("data.a.20260102T000000Z/older"), "mine").unwrap();
    apply(&steps(&path("data"), None, State::Aside, "20260102T000000Z")).unwrap();
    assert!(path("data.a.20260102T000000Z.1/member/wal").join(SEGMENT).exists());
    assert!(path("data.a.20260102T000000Z/older").exists());
    // Not even when it is taken after the plan was made.
    let late = Step::Move { from: path("data.a.20260102T000000Z.1"), to: path("data.a.20260102T000000Z") };
    let failure = apply(&[late]).unwrap_err();
    assert!(failure.msg.contains("is there already; before that: nothing was changed"), "{failure}");
}

#[test]
fn who_has_it_open_is_named() {
    let root = tempfile::tempdir().unwrap();
    write_log(&root.path().join("member/wal"));
    let seen = Seen::observe(root.path(), None).unwrap();
    // What another test is about to run has, for a moment, all files open that this process has.
    let is_free = || Guard::take(&seen).is_ok();
    wait_for("nobody has it open", is_free);
    let open = File::open(root.path().join("member/wal").join(SEGMENT)).unwrap();
    let failure = Guard::take(&seen).err().unwrap();
    assert_eq!(failure.kind, ErrorKind::Conflict);
    assert!(failure.msg.contains(&format!("(process {})", std::process::id())), "{failure}");
    drop(open);
    wait_for("nobody has it open any more", is_free);
}

/// As Ansible runs a module: from a file with its digest as its name.
#[test]
fn a_module_is_named_and_not_its_digest() {
    let root = tempfile::tempdir().unwrap();
    write_log(&root.path().join("data/member/wal"));
    let seen = Seen::observe(&root.path().join("data"), None).unwrap();
    let digest = root.path().join("0123456789abcdef0123456789abcdef");
    symlink("/bin/sh", &digest).unwrap();
    let script = root.path().join("etcd_snapshot");
    fs::write(&script, "read line\n").unwrap();
    let log = File::open(root.path().join("data/member/wal").join(SEGMENT)).unwrap();
    let command = &mut std::process::Command::new(&digest);
    // It has the log open as its standard output.
    command.current_dir(root.path()).arg("etcd_snapshot").stdin(std::process::Stdio::piped()).stdout(log);
    let mut child = command.spawn().unwrap();
    // Before it is another program, it has the name of this one.
    let words = || fs::read(format!("/proc/{}/cmdline", child.id())).unwrap();
    wait_for("its own name", || words().ends_with(b"etcd_snapshot\0"));
    let failure = Guard::take(&seen).err().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(failure.msg.contains(&format!("etcd_snapshot (process {})", child.id())), "{failure}");
}
