//! What of the module needs no systemd, against real clusters: the guard, moving leadership, and waiting.

use crate::restart::{guard, hand_over};
use crate::{EtcdService, Params, converge, wait};
use ansible_protocol::{Context, ErrorKind, Failure, Module, Outcome, read_arguments};
use etcd_ops::block_on;
use etcd_ops::connection::Session;
use etcd_ops::datadir;
use etcd_ops::rpc::maintenance::{Alarm, CORRUPT};
use etcd_ops::systemd::Unit;
use etcd_testbed::{Cluster, Member, Options, Version, wait_for};
use serde_json::{Value, json};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The options for a member's host, as the role gives them: its own endpoint first.
fn params(cluster: &Cluster, member: usize, changes: &Value) -> Params {
    let mut endpoints = cluster.endpoints();
    endpoints.rotate_left(member);
    let mut options = json!({
        "name": "quorum-etcd-testbed", "endpoints": endpoints, "data_dir": cluster.member(member).data_dir(),
        "config_file": "/nonexistent", "ca_file": "/nonexistent", "runtime_dir": "/nonexistent",
        "ca_cert": cluster.pki().ca_cert(), "client_cert": cluster.pki().client().cert,
        "client_key": cluster.pki().client().key, "timeout": 30, "dial_timeout": 2,
    });
    options.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let (arguments, _) = read_arguments(&EtcdService::SPEC, options.as_object().unwrap().clone());
    serde_json::from_value(arguments.unwrap().options.into()).unwrap()
}

/// What the guard says about this member.
fn guarded(cluster: &Cluster, member: usize, changes: &Value) -> Result<(), Failure> {
    let params = params(cluster, member, changes);
    block_on(async { guard(&params, &Session::new(&params.connection)?).await.map(drop) })
}

/// Guards the member and moves leadership away from it.
fn hand_over_from(cluster: &Cluster, member: usize, changes: &Value) -> Result<(), Failure> {
    let params = params(cluster, member, changes);
    block_on(async {
        let session = Session::new(&params.connection)?;
        let guarded = guard(&params, &session).await?;
        hand_over(&session, &guarded).await
    })
}

/// The unit of a member, by its process.
fn unit(member: &Member) -> Unit {
    let pid = member.pid();
    Unit {
        name: "quorum-etcd-testbed.service".into(),
        load_state: "loaded".into(),
        active_state: if pid.is_some() { "active" } else { "failed" }.into(),
        unit_file_state: "enabled".into(),
        main_pid: pid.unwrap_or(0),
        ..Unit::default()
    }
}

/// The module after it has asked systemd.
fn run(cluster: &Cluster, member: usize, changes: &Value, check_mode: bool) -> Result<Outcome, Failure> {
    let context = Context { check_mode, ..Context::default() };
    converge(&params(cluster, member, changes), unit(cluster.member(member)), &context)
}

#[track_caller]
fn refused(result: Result<impl std::fmt::Debug, Failure>, parts: &[&str]) {
    let failure = result.unwrap_err();
    assert_eq!(failure.kind, ErrorKind::QuorumRisk, "{failure}");
    for part in parts {
        assert!(failure.msg.contains(part), "{part:?} is not in: {failure}");
    }
}

const FORCE: &str = "-e etcd_force=restart";

#[test]
fn nobody_else_restarts_while_a_member_is_down() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 3, Options::tls());
        let always = json!({ "state": "restarted", "restart_when": "always" });
        assert_eq!(run(&cluster, 0, &always, true).unwrap().values["actions"], json!(["restart"]));
        let down = cluster.follower();
        cluster.member(down).kill();
        let leader = cluster.leader();
        let name = format!("{} (", cluster.member(down).name());
        for member in (0..3).filter(|member| *member != down) {
            refused(guarded(&cluster, member, &json!({})), &[&name, "Connection refused", "bring it back", FORCE]);
            // The preview says so as well, and so does a stop.
            refused(run(&cluster, member, &always, true), &[&name, FORCE]);
            refused(run(&cluster, member, &json!({ "state": "stopped" }), true), &[&name, FORCE]);
            guarded(&cluster, member, &json!({ "force": true })).unwrap();
            // What restarts nothing is not refused.
            assert!(!run(&cluster, member, &json!({}), true).unwrap().changed);
        }
        // The one that is down may come back: the others serve.
        guarded(&cluster, down, &json!({})).unwrap();
        assert_eq!(cluster.leader(), leader, "a preview moved leadership");
    }
}

#[test]
fn a_cluster_that_cannot_be_asked_is_left_alone() {
    let cluster = Cluster::start(Version::V3_6, 1, Options::tls());
    let stranger =
        json!({ "endpoints": [cluster.spare("dead").client_url(), cluster.endpoints()[0]], "data_dir": "/x" });
    refused(guarded(&cluster, 0, &stranger), &["unknown which member", "/x holds no data", FORCE]);
    cluster.member(0).kill();
    refused(guarded(&cluster, 0, &json!({})), &["cannot be asked how they are", "Connection refused", FORCE]);
    guarded(&cluster, 0, &json!({ "force": true })).unwrap();
}

#[test]
fn without_quorum_nobody_restarts() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 2, Options::tls());
        cluster.member(0).kill();
        wait_for("the loss of the leader", || cluster.member(1).metric("etcd_server_has_leader") == Some(0.0));
        refused(guarded(&cluster, 1, &json!({})), &["etcd-1 (", "0 of 2 voters would serve", FORCE]);
    }
}

/// It is no member's own trouble: all serve on, and only nobody restarts before it is known whose data is right.
#[test]
fn with_the_alarm_of_corruption_members_start_and_do_not_restart() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 3, Options::tls());
        let params = params(&cluster, 0, &json!({}));
        let raise = Alarm { action: 1, member_id: 7, alarm: CORRUPT };
        block_on(async {
            let session = Session::new(&params.connection)?;
            session.connect(&session.endpoints()[0]).await?.call("raise an alarm", &raise).await
        })
        .unwrap();
        let outcome = run(&cluster, 0, &json!({}), false).unwrap();
        assert_eq!(
            (&outcome.values["member"]["healthy"], &outcome.values["member"]["corrupt"]),
            (&json!(true), &json!(false))
        );
        refused(guarded(&cluster, 0, &json!({})), &["has the alarm CORRUPT, of 7", "./etcd-recover.yml", FORCE]);
        guarded(&cluster, 0, &json!({ "force": true })).unwrap();
    }
}

/// Writes keys from another thread while something happens; all that was acknowledged must be there afterwards, and
/// some of it must be later than what happened.
fn write_while(cluster: &Cluster, user: Option<&str>, meanwhile: impl FnOnce()) {
    let (stop, acknowledged) = (AtomicBool::new(false), AtomicUsize::new(0));
    let put = |number: usize| cluster.etcdctl_as(user, &["put", &format!("/writer/{number:06}"), "value"]).is_ok();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                // A proposal may be dropped while leadership moves: then it is not acknowledged, and repeated.
                if put(acknowledged.load(Ordering::Relaxed)) {
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let more = |than: usize| wait_for("writes", || acknowledged.load(Ordering::Relaxed) > than);
        more(2);
        meanwhile();
        more(acknowledged.load(Ordering::Relaxed) + 2);
        stop.store(true, Ordering::Relaxed);
    });
    let keys = cluster.etcdctl(&["get", "/writer/", "--prefix", "--keys-only"]);
    let kept = keys.lines().filter(|line| !line.is_empty()).count();
    assert!(kept >= acknowledged.into_inner(), "an acknowledged write is lost: {keys}");
}

#[test]
fn leadership_goes_to_a_member_that_serves_and_writes_go_on() {
    let login = json!({ "login_user": "root", "login_password": "secret" });
    for version in Version::ALL {
        let cluster = Cluster::start(version, 3, Options::auth("secret"));
        let before = cluster.leader();
        write_while(&cluster, Some("root:secret"), || hand_over_from(&cluster, before, &login).unwrap());
        let after = cluster.leader();
        assert!(after != before && cluster.member(after).is_healthy(), "{version:?}");
        // From a follower there is nothing to move.
        hand_over_from(&cluster, before, &login).unwrap();
        assert_eq!(cluster.leader(), after, "{version:?}");
    }
}

#[test]
fn a_leader_that_is_forced_down_hands_over_to_a_member_that_serves() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 3, Options::tls());
        let (leader, down) = (cluster.leader(), cluster.follower());
        cluster.member(down).kill();
        refused(hand_over_from(&cluster, leader, &json!({})), &[FORCE]);
        assert_eq!(cluster.leader(), leader, "{version:?}");
        hand_over_from(&cluster, leader, &json!({ "force": true })).unwrap();
        assert!(![leader, down].contains(&cluster.leader()), "{version:?}");
        // And where nobody can take over, that is no hindrance.
        let last = cluster.leader();
        cluster.member(leader).kill();
        hand_over_from(&cluster, last, &json!({ "force": true })).unwrap();
    }
}

#[test]
fn of_two_members_the_other_one_leads_then() {
    let cluster = Cluster::start(Version::V3_6, 2, Options::tls());
    let before = cluster.leader();
    hand_over_from(&cluster, before, &json!({})).unwrap();
    assert_eq!(cluster.leader(), 1 - before);
}

#[test]
fn a_learner_gets_no_leadership_and_hinders_no_restart() {
    let mut cluster = Cluster::start(Version::V3_6, 1, Options::tls());
    let learner = cluster.spare("etcd-2");
    cluster.etcdctl(&["member", "add", "etcd-2", "--learner", "--peer-urls", &learner.peer_url()]);
    guarded(&cluster, 0, &json!({})).unwrap();
    let founder = cluster.member(0).initial_cluster();
    learner.configure("initial-cluster", &format!("{founder},{}", learner.initial_cluster()));
    learner.configure("initial-cluster-state", "existing");
    learner.spawn();
    learner.wait_up();
    cluster.adopt(learner);
    hand_over_from(&cluster, 0, &json!({})).unwrap();
    assert_eq!(cluster.leader(), 0);
}

#[test]
fn a_single_member_may_restart() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 1, Options::tls());
        hand_over_from(&cluster, 0, &json!({})).unwrap();
        assert_eq!(cluster.leader(), 0, "{version:?}");
    }
}

/// Waits until the member serves, while its unit is as `state` says.
fn until_serving(
    cluster: &Cluster,
    changes: &Value,
    replaced: Option<&str>,
    state: impl Fn() -> Unit,
) -> Result<u64, Failure> {
    let params = params(cluster, 0, changes);
    block_on(async {
        let session = Session::new(&params.connection)?;
        wait::until_serving(&params, &session, replaced, &|| Ok(state())).await.map(|(_, id)| id)
    })
}

#[test]
fn started_means_that_the_member_serves() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 3, Options { only: Some(1), ..Options::tls() });
        cluster.member(0).wait_up();
        let asked = Cell::new(0);
        let id = until_serving(&cluster, &json!({}), None, || {
            asked.set(asked.get() + 1);
            if asked.get() == 1 {
                // Its port is open; only with these there is a quorum.
                cluster.members()[1..].iter().for_each(Member::spawn);
            }
            unit(cluster.member(0))
        });
        let id = format!("{:x}", id.unwrap());
        assert!(asked.get() >= 1 && cluster.member(0).is_healthy(), "{version:?}");
        assert!(cluster.etcdctl(&["member", "list"]).contains(&format!("{id}, started, etcd-1")), "{id}");
    }
}

/// A login that was given before a learner had started is not among what it gets from its leader.
#[test]
fn a_learner_is_told_of_a_new_login() {
    for version in [Version::V3_6, Version::V3_7] {
        let mut cluster = Cluster::start(version, 1, Options::auth("secret"));
        // After a hundred changes, 3.6 and newer send a snapshot instead of the log.
        for number in 0..120 {
            cluster.etcdctl(&["put", "changed", &number.to_string()]);
        }
        let learner = cluster.spare("etcd-2");
        cluster.etcdctl(&["member", "add", "etcd-2", "--learner", "--peer-urls", &learner.peer_url()]);
        let founder = cluster.member(0).initial_cluster();
        learner.configure("initial-cluster", &format!("{founder},{}", learner.initial_cluster()));
        learner.configure("initial-cluster-state", "existing");
        cluster.adopt(learner);
        let params = params(&cluster, 1, &json!({ "login_user": "root", "login_password": "secret" }));
        let asked = Cell::new(0);
        let serving = block_on(async {
            let session = Session::new(&params.connection)?;
            let state = || {
                asked.set(asked.get() + 1);
                if asked.get() == 1 {
                    cluster.member(1).spawn();
                }
                Ok(unit(cluster.member(1)))
            };
            wait::until_serving(&params, &session, None, &state).await
        });
        let (view, id) = serving.unwrap();
        assert!(view.member(id).is_some_and(|member| member.is_learner && member.health.is_healthy()), "{version:?}");
    }
}

#[test]
fn a_member_that_serves_is_returned_and_nothing_is_done() {
    let cluster = Cluster::start(Version::V3_6, 3, Options::tls());
    for member in 0..3 {
        let outcome = run(&cluster, member, &json!({ "state": "restarted" }), false).unwrap();
        assert!(!outcome.changed && outcome.diff.is_empty());
        assert_eq!(outcome.values["actions"], json!([]));
        assert_eq!(outcome.values["member"]["name"], cluster.member(member).name());
        assert_eq!(outcome.values["member"]["healthy"], true);
        assert_eq!(outcome.values["is_leader"], member == cluster.leader());
    }
}

#[test]
fn a_unit_that_failed_is_not_waited_for() {
    let cluster = Cluster::start(Version::V3_6, 1, Options::tls());
    cluster.member(0).kill();
    // The deadline is an hour away.
    let failure = until_serving(&cluster, &json!({ "timeout": 3600 }), None, || unit(cluster.member(0))).unwrap_err();
    assert_eq!(failure.kind, ErrorKind::Io, "{failure}");
    let wanted = "quorum-etcd-testbed does not stay up (systemd: failed)";
    assert!(failure.msg.starts_with(wanted) && failure.msg.contains("journalctl -u quorum-etcd-testbed"), "{failure}");
}

#[test]
fn a_member_without_quorum_is_waited_for_until_the_deadline() {
    let cluster = Cluster::start(Version::V3_6, 3, Options { only: Some(1), ..Options::tls() });
    cluster.member(0).wait_up();
    let failure = until_serving(&cluster, &json!({ "timeout": 2 }), None, || unit(cluster.member(0))).unwrap_err();
    assert!(failure.msg.contains("is active but the member does not serve in time"), "{failure}");
    assert!(matches!(failure.kind, ErrorKind::NoLeader | ErrorKind::Timeout), "{:?} {failure}", failure.kind);
}

#[test]
fn after_a_restart_the_old_process_does_not_count() {
    let cluster = Cluster::start(Version::V3_6, 1, Options::tls());
    let asked = Cell::new(0);
    let id = until_serving(&cluster, &json!({}), Some("1"), || {
        asked.set(asked.get() + 1);
        // It serves all the while; systemd has another run of it only later.
        let run = if asked.get() < 6 { "1" } else { "2" };
        Unit { invocation_id: run.into(), ..unit(cluster.member(0)) }
    });
    assert!(id.is_ok() && asked.get() >= 6, "{id:?} after {} questions", asked.get());
}

/// What is left of a cluster goes on as one member, with all keys, and with the same ids; and so it does without the flag.
#[test]
fn a_survivor_goes_on_alone() {
    let mut asked = 0;
    for version in Version::ALL {
        let cluster = Cluster::start(version, 3, Options::auth("Secret.1"));
        cluster.etcdctl(&["put", "kept", "value"]);
        let survivor = cluster.member(0);
        let runtime = tempfile::tempdir().unwrap();
        let alone = json!({
            "state": "alone", "binary": version.executable("etcd"), "config_file": survivor.config_file(), "runtime_dir": runtime.path().join("etcd"),
            "login_user": "root", "login_password": "Secret.1",
        });
        // Not while it runs.
        let failure = run(&cluster, 0, &alone, false).unwrap_err();
        assert!(failure.msg.contains("stop it first"), "{failure}");
        let before = etcd_ops::datadir::observe(&survivor.data_dir(), None);
        let marked = || datadir::is_marked_alone(&survivor.data_dir());
        assert!(!marked());
        // Told to end while it can hand over.
        survivor.stop();
        cluster.members().iter().for_each(Member::kill);
        assert!(run(&cluster, 0, &alone, true).unwrap().changed);
        assert!(!marked());
        // What fails after the start leaves data that nobody may take for a member's among others.
        let with = |option: &str, value: &str| {
            let mut options = alone.clone();
            options[option] = value.into();
            run(&cluster, 0, &options, false)
        };
        let failure = with("binary", "false").unwrap_err();
        assert!(failure.msg.contains("do not start it beside the others"), "{failure}");
        assert!(marked());
        // Not every version asks who wants to know its members.
        if let Err(failure) = with("login_password", "Wrong.1") {
            assert_eq!(failure.kind, ErrorKind::Auth, "{version:?} {failure}");
            assert!(failure.msg.contains("do not start it beside the others"), "{version:?} {failure}");
            asked += 1;
        }
        assert!(marked());
        assert!(run(&cluster, 0, &alone, false).unwrap().changed);
        // A run that is cut off here has not started it yet, and the others still have what they had.
        assert!(marked());
        // Nothing remembers the flag.
        assert!(!runtime.path().join("etcd.alone").exists());
        assert!(!std::fs::read_to_string(survivor.config_file()).unwrap().contains("force-new-cluster"));
        survivor.start();
        assert_eq!(etcd_ops::datadir::observe(&survivor.data_dir(), None), before);
        let only = |arguments: &[&str]| {
            let endpoint = survivor.client_url();
            let arguments: Vec<&str> = arguments.iter().copied().chain(["--endpoints", &endpoint]).collect();
            cluster.etcdctl(&arguments)
        };
        assert_eq!(only(&["member", "list"]).trim().lines().count(), 1, "{version:?}");
        assert_eq!(only(&["get", "kept", "--print-value-only"]).trim(), "value");
        // Once its unit serves, it is a member as any other one.
        let serves =
            json!({ "endpoints": [survivor.client_url()], "login_user": "root", "login_password": "Secret.1" });
        assert_eq!(run(&cluster, 0, &serves, true).unwrap().values["actions"], json!(["unmark"]));
        assert!(marked());
        let outcome = run(&cluster, 0, &serves, false).unwrap();
        assert_eq!((outcome.changed, &outcome.values["actions"]), (true, &json!(["unmark"])));
        assert!(!marked() && !run(&cluster, 0, &serves, false).unwrap().changed);
        // It can be done again, as after a run that was cut off.
        survivor.stop();
        assert!(run(&cluster, 0, &alone, false).unwrap().changed);
    }
    assert!(asked > 0);
}

/// Whatever was acknowledged is there afterwards, and so are later writes; or nothing is touched and the way is told.
#[test]
fn a_survivor_that_was_killed_loses_nothing() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 3, Options::tls());
        let survivor = cluster.member(cluster.follower());
        let index = cluster.members().iter().position(|member| member.name() == survivor.name()).unwrap();
        for number in 0..20 {
            cluster.etcdctl(&["put", &format!("/kept/{number}"), "value"]);
        }
        let db = survivor.data_dir().join("member/snap/db");
        let end = || datadir::log_end(&survivor.data_dir(), None).unwrap();
        let killed_after = |number: usize| {
            if survivor.pid().is_none() {
                cluster.members().iter().for_each(Member::spawn);
                cluster.wait_healthy();
            }
            cluster.etcdctl(&["put", "last", &number.to_string()]);
            wait_for("the database to be written", || datadir::applied(&db) >= Some(end().index));
            cluster.members().iter().for_each(Member::kill);
            end()
        };
        // Now and then something else has the commit written down as well.
        let before = (0..20).map(killed_after).find(|end| end.commit < end.applied).unwrap();
        let runtime = tempfile::tempdir().unwrap();
        let alone = json!({
            "state": "alone", "binary": version.executable("etcd"), "config_file": survivor.config_file(),
            "runtime_dir": runtime.path().join("etcd"), "host": "10.0.0.1",
        });
        // What has yet to be stopped cannot be judged.
        let stopping = json!({ "predicted": [{ "actions": ["stop"] }] });
        let mut foretold = alone.clone();
        foretold.as_object_mut().unwrap().extend(stopping.as_object().unwrap().clone());
        assert!(run(&cluster, index, &foretold, true).unwrap().changed, "{version:?}");
        if version == Version::V3_4 {
            for check_mode in [true, false] {
                let failure = run(&cluster, index, &alone, check_mode).unwrap_err();
                let way = format!("-e etcd_snapshot=10.0.0.1:{} -e etcd_force=unhashed", db.display());
                assert!(failure.msg.contains("etcd 3.4.23 would drop") && failure.msg.contains(&way), "{failure}");
            }
            assert_eq!(end(), before);
            continue;
        }
        assert!(run(&cluster, index, &alone, false).unwrap().changed, "{version:?}");
        survivor.start();
        let endpoint = survivor.client_url();
        for number in 0..20 {
            cluster.etcdctl(&["put", &format!("/new/{number}"), "value", "--endpoints", &endpoint]);
        }
        for keys in ["/kept/", "/new/"] {
            let found = cluster.etcdctl(&["get", keys, "--prefix", "--keys-only", "--endpoints", &endpoint]);
            assert_eq!(found.lines().filter(|line| !line.is_empty()).count(), 20, "{version:?} {found}");
        }
    }
}
