//! What all live tests share: the module as Ansible calls it, and ways to see what it did and did not do.

mod joining;
mod leaving;
mod refusals;

use crate::EtcdMember;
use ansible_protocol::{Context, ErrorKind, Failure, Module, read_arguments};
use etcd_ops::block_on;
use etcd_ops::connection::{Connection, Session};
use etcd_ops::leader::{self, Led};
use etcd_ops::view::ClusterView;
use etcd_testbed::{Cluster, Member, Options, Version, wait_for};
use serde_json::{Map, Value, json};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const PASSWORD: &str = "secret";
const ROOT: Option<&str> = Some("root:secret");

fn options(cluster: &Cluster, options: &Value) -> Map<String, Value> {
    let running = cluster.members().iter().filter(|member| member.pid().is_some());
    let mut given = json!({
        "endpoints": running.map(Member::client_url).collect::<Vec<_>>(),
        "ca_cert": cluster.pki().ca_cert(), "client_cert": cluster.pki().client().cert,
        "client_key": cluster.pki().client().key, "login_user": "root", "login_password": PASSWORD,
        "timeout": 60, "dial_timeout": 2,
    });
    let given = given.as_object_mut().unwrap();
    given.extend(options.as_object().unwrap().clone());
    given.clone()
}

/// The module as Ansible calls it, through the option table.
fn call(cluster: &Cluster, wish: &Value) -> Result<Value, Failure> {
    let (arguments, _) = read_arguments(&EtcdMember::SPEC, options(cluster, wish));
    let arguments = arguments?;
    let params = serde_json::from_value(arguments.options.into()).unwrap();
    let context = Context { diff: true, ..arguments.context };
    EtcdMember::run(params, &context).map(|outcome| outcome.into_object(true).into())
}

/// The module's result when it goes well.
#[track_caller]
fn ok(cluster: &Cluster, wish: &Value) -> Value {
    call(cluster, wish).unwrap_or_else(|failure| panic!("{:?}: {failure}\n{wish}", failure.kind))
}

/// The same in check mode, which must change nothing.
#[track_caller]
fn predicted(cluster: &Cluster, wish: &Value) -> Value {
    let before = fixed(cluster);
    let mut checked = wish.clone();
    checked["_ansible_check_mode"] = true.into();
    let result = ok(cluster, &checked);
    assert_eq!(fixed(cluster), before, "check mode changed something");
    result
}

/// Predicts, does it, and does it again: what was predicted happens, and only once.
#[track_caller]
fn converge(cluster: &Cluster, wish: &Value) -> Value {
    let predicted = predicted(cluster, wish);
    let done = ok(cluster, wish);
    for value in ["actions", "changed", "diff", "initial_cluster", "cluster_id"] {
        assert_eq!(predicted[value], done[value], "{value}");
    }
    idempotent(cluster, wish);
    done
}

/// Nothing is left to be done.
#[track_caller]
fn idempotent(cluster: &Cluster, wish: &Value) {
    let before = fixed(cluster);
    let again = ok(cluster, wish);
    assert_eq!((&again["changed"], &again["actions"]), (&json!(false), &json!([])));
    assert_eq!(again["diff"][0]["before"], again["diff"][0]["after"]);
    assert_eq!(fixed(cluster), before, "a run without changes changed something");
}

/// A refusal of the kind, with these parts in its sentence, in check mode too, and with nothing changed by it.
#[track_caller]
fn refused(cluster: &Cluster, wish: &Value, kind: ErrorKind, parts: &[&str]) {
    let before = fixed(cluster);
    for check_mode in [true, false] {
        let mut wish = wish.clone();
        wish["_ansible_check_mode"] = check_mode.into();
        let failure = call(cluster, &wish).expect_err("a refusal");
        assert_eq!(failure.kind, kind, "{failure}");
        for part in parts {
            assert!(failure.msg.contains(part), "{part:?} is not in: {failure}");
        }
    }
    assert_eq!(fixed(cluster), before, "a refusal changed something");
}

fn session(cluster: &Cluster) -> Session {
    let (arguments, _) = read_arguments(&EtcdMember::SPEC, options(cluster, &json!({ "name": "none" })));
    let connection: Connection = serde_json::from_value(arguments.unwrap().options.into()).unwrap();
    Session::new(&connection).unwrap()
}

fn view(cluster: &Cluster) -> ClusterView {
    block_on(async { ClusterView::observe(&session(cluster)).await }).unwrap()
}

/// The members and, of a running one, the revision: what must stay as it is when nothing is to change.
fn fixed(cluster: &Cluster) -> (Vec<String>, Option<f64>) {
    let line = |member: etcd_ops::view::MemberView| {
        format!("{} {:?} {}", member.label(), member.peer_urls, if member.is_learner { "learner" } else { "voter" })
    };
    let revisions = cluster.members().iter().filter(|member| member.pid().is_some());
    let revision = revisions.filter_map(|member| member.metric("etcd_debugging_mvcc_current_revision")).fold(None, {
        |highest: Option<f64>, revision| Some(highest.map_or(revision, |highest| highest.max(revision)))
    });
    assert!(revision.is_some(), "no running member tells its revision");
    (view(cluster).members.into_iter().map(line).collect(), revision)
}

fn names(cluster: &Cluster) -> Vec<String> {
    view(cluster).members.into_iter().map(|member| member.name).collect()
}

/// What the wish for this member looks like.
fn wish(state: &str, member: &Member) -> Value {
    json!({ "state": state, "name": member.name(), "peer_urls": [member.peer_url()] })
}

/// Makes the member ready to start as the result of its announcement says.
fn prepare(member: &Member, announced: &Value) {
    member.configure("initial-cluster", announced["initial_cluster"].as_str().unwrap());
    member.configure("initial-cluster-state", "existing");
}

/// Writes keys from another thread while something happens; all that was acknowledged must be there afterwards, and
/// some of it must be later than what happened.
fn write_while<T>(endpoints: &[String], cluster: &Cluster, meanwhile: impl FnOnce() -> T) -> T {
    let (stop, acknowledged) = (AtomicBool::new(false), AtomicUsize::new(0));
    let endpoints = format!("--endpoints={}", endpoints.join(","));
    let etcdctl = |arguments: &[&str]| cluster.etcdctl_as(ROOT, &[&[endpoints.as_str()], arguments].concat());
    let put = |number: usize| etcdctl(&["put", &format!("/writer/{number:06}"), "value"]).is_ok();
    let result = std::thread::scope(|scope| {
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
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(meanwhile));
        if result.is_ok() {
            more(acknowledged.load(Ordering::Relaxed) + 2);
        }
        stop.store(true, Ordering::Relaxed);
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    let keys = etcdctl(&["get", "/writer/", "--prefix", "--keys-only"]).unwrap();
    let kept = keys.lines().filter(|line| !line.is_empty()).count();
    assert!(kept >= acknowledged.into_inner(), "an acknowledged write is lost: {keys}");
    result
}

/// With certificates, and with authentication.
fn start(version: Version, members: usize) -> Cluster {
    Cluster::start(version, members, Options::auth(PASSWORD))
}

/// Looks at the cluster, and hands whoever speaks for it to the calls that go around the module's own judgement.
fn led<T>(cluster: &Cluster, talk: impl AsyncFnOnce(Led) -> Result<T, Failure>) -> T {
    block_on(async { talk(leader::find(&session(cluster)).await?).await }).unwrap()
}
