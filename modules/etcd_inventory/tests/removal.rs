//! What may be removed, through the module's public interface: inventories and observations in, steps or refusals out.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use ansible_protocol::{Context, ErrorKind, Failure, Module, Outcome};
use etcd_inventory::EtcdInventory;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn run(arguments: Value) -> Result<Outcome, Failure> {
    let (read, _) = ansible_protocol::read_arguments(&EtcdInventory::SPEC, arguments.as_object().cloned().unwrap());
    let params = serde_json::from_value(read?.options.into()).unwrap();
    EtcdInventory::run(params, &Context::default())
}

fn host(index: usize) -> String {
    format!("10.0.0.{}", index + 1)
}

/// A cluster of hosts, with what each of them is like.
#[derive(Clone, Debug)]
struct Scene {
    members: Vec<Member>,
    /// The hosts of the run.
    play: Vec<usize>,
    variables: Value,
    named: Vec<String>,
    usage: Value,
    steps: (bool, bool),
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Member {
    /// Serves; has started; votes; answers over SSH; is in the cluster's list; is in the inventory.
    serves: bool,
    started: bool,
    votes: bool,
    reachable: bool,
    listed: bool,
    known: bool,
    /// It serves, but not those who ask.
    mute: bool,
}

const MEMBER: Member =
    Member { serves: true, started: true, votes: true, reachable: true, listed: true, known: true, mute: false };

impl Scene {
    fn new(count: usize, play: &[usize]) -> Self {
        Self {
            members: vec![MEMBER; count],
            play: play.to_vec(),
            variables: json!({}),
            named: vec![],
            usage: json!({ "leases": { "count": 0 }, "clients": [], "complete": true }),
            steps: (true, true),
        }
    }

    fn with(mut self, index: usize, change: impl Fn(&mut Member)) -> Self {
        change(&mut self.members[index]);
        self
    }

    fn set(mut self, name: &str, value: Value) -> Self {
        self.variables[name] = value;
        self
    }

    fn has_quorum(&self) -> bool {
        let voters = || self.members.iter().filter(|member| member.listed && member.votes);
        voters().filter(|member| member.serves).count() > voters().count() / 2
    }

    fn view(&self) -> Value {
        let seat = |(index, member): (usize, &Member)| {
            json!({ "id": format!("{:x}", index + 1), "name": if member.started { format!("etcd-{}", index + 1) } else { String::new() },
                    "peer_urls": [format!("https://{}:2380", host(index))],
                    "client_urls": if member.started { vec![format!("https://{}:2379", host(index))] } else { vec![] },
                    "is_learner": !member.votes, "started": member.started, "healthy": member.serves })
        };
        let leader = self.members.iter().position(|member| member.listed && member.votes && member.serves);
        let leader = leader.filter(|_| self.has_quorum()).map(|index| format!("{:x}", index + 1));
        let members: Vec<Value> =
            self.members.iter().enumerate().filter(|(_, member)| member.listed).map(seat).collect();
        json!({ "id": "c1", "leader": leader, "members": members, "usage": self.usage })
    }

    fn observed(&self, index: usize) -> Value {
        let member = &self.members[index];
        let data = if member.started {
            json!({ "state": "member", "member_id": format!("{:x}", index + 1), "cluster_id": "c1", "had_leader": true })
        } else {
            json!({ "state": "absent" })
        };
        let tells = member.serves && !member.mute;
        let cluster = if tells { self.view() } else { Value::Null };
        json!({ "version": "3.6.14", "data": data, "serving": tells, "cluster": cluster,
                "unit": { "active_state": if member.serves { "active" } else { "inactive" } },
                "cluster_error": if tells { Value::Null } else { json!({ "reason": "x" }) } })
    }

    fn judge(&self) -> Result<Outcome, Failure> {
        run(self.arguments()?)
    }

    /// What the second call is given.
    fn arguments(&self) -> Result<Value, Failure> {
        let known: Vec<usize> = (0..self.members.len()).filter(|index| self.members[*index].known).collect();
        let names: Vec<String> = known.iter().map(|index| host(*index)).collect();
        let variables: Map<String, Value> = known
            .iter()
            .map(|index| {
                let mut of = self.variables.clone();
                of["etcd_seq"] = json!(index + 1);
                (host(*index), of)
            })
            .collect();
        let play: Vec<String> = self.play.iter().map(|index| host(*index)).collect();
        let first =
            run(json!({ "groups": { "etcd": names }, "hosts": variables, "play_hosts": play, "removes": true }))?;
        let looks = |wanted: bool| -> Map<String, Value> {
            let hosts = known.iter().filter(|index| self.play.contains(index) == wanted);
            hosts
                .filter(|index| self.members[**index].reachable)
                .map(|index| (host(*index), self.observed(*index)))
                .collect()
        };
        let mut steps = first.values["steps"].clone();
        (steps["leave"], steps["data"], steps["snapshot"]) =
            (json!(self.steps.0), json!(self.steps.1), json!(self.steps.1));
        let (hosts, named) = if self.named.is_empty() { (play, Value::Null) } else { (vec![], json!(self.named)) };
        Ok(json!({ "clusters": first.values["clusters"], "observed": looks(true), "outside": looks(false),
                    "removal": { "hosts": hosts, "members": named, "steps": steps, "all": false } }))
    }

    fn removal(&self) -> Value {
        self.judge().unwrap().values["removal"].clone()
    }

    fn refused(&self, parts: &[&str]) {
        let msg = self.judge().unwrap_err().msg;
        for part in parts {
            assert!(msg.contains(part), "{part:?} is not in: {msg}");
        }
        assert!(msg.ends_with("Nothing was changed on any host."), "{msg}");
    }
}

fn leaving(removal: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let list = removal["leaving"].as_array().unwrap();
    list.iter().map(|leaving| (text(&leaving["id"]), text(&leaving["speaker"]))).collect()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(id, speaker)| ((*id).to_owned(), (*speaker).to_owned())).collect()
}

#[test]
fn a_member_leaves_through_one_that_stays() {
    let removal = Scene::new(3, &[0]).removal();
    assert_eq!(leaving(&removal), pairs(&[("1", "10.0.0.2")]));
    let going = json!({ "reachable": true, "gone": true, "ends": false, "forced": true, "cleans": true, "deletes_data": true,
                        "removes_packages": false, "member_id": "1", "cluster_id": "c1" });
    assert_eq!(removal["hosts"], json!({ "10.0.0.1": going }));
    assert_eq!(removal["snapshots"], json!([]));
}

#[test]
fn one_that_is_down_or_out_of_reach_leaves_too() {
    let down = |member: &mut Member| (member.serves, member.reachable) = (false, false);
    let removal = Scene::new(3, &[2]).with(2, down).removal();
    assert_eq!(leaving(&removal), pairs(&[("3", "10.0.0.1")]));
    assert_eq!(removal["hosts"]["10.0.0.3"]["reachable"], false);
}

/// The first one leaves while the second one is still in the list, and down.
#[test]
fn two_that_are_down_leave_in_one_run() {
    let down = |member: &mut Member| (member.serves, member.reachable) = (false, false);
    let removal = Scene::new(5, &[2, 3, 4]).with(3, down).with(4, down).removal();
    let forced: Vec<&Value> = removal["leaving"].as_array().unwrap().iter().map(|entry| &entry["forced"]).collect();
    assert_eq!(forced, [true, false, false], "{removal}");
}

#[test]
fn several_leave_in_the_order_that_keeps_the_quorum() {
    let removal = Scene::new(5, &[0, 3]).with(3, |member| member.serves = false).removal();
    assert_eq!(leaving(&removal), pairs(&[("4", "10.0.0.2"), ("1", "10.0.0.2")]));
}

#[test]
fn who_has_left_is_only_cleaned_up() {
    let left = |member: &mut Member| (member.listed, member.serves) = (false, false);
    let removal = Scene::new(3, &[2]).with(2, left).removal();
    assert_eq!(leaving(&removal), pairs(&[]));
    assert_eq!(removal["hosts"]["10.0.0.3"]["gone"], true);
}

#[test]
fn nothing_goes_while_another_one_is_down() {
    let scene = Scene::new(5, &[0]).with(4, |member| member.serves = false);
    scene.refused(&["etcd-5 (5) is down", "-e etcd_force=remove"]);
    assert_eq!(leaving(&scene.set("etcd_force", json!("remove")).removal()), pairs(&[("1", "10.0.0.2")]));
    // No word overrides arithmetic.
    let scene = Scene::new(3, &[0]).with(2, |member| member.serves = false).set("etcd_force", json!("remove"));
    scene.refused(&["1 of 2 remaining voters would be below the quorum of 2"]);
}

#[test]
fn without_a_quorum_nothing_is_removed() {
    let down = |member: &mut Member| (member.serves, member.reachable) = (false, false);
    Scene::new(3, &[0]).with(1, down).with(2, down).refused(&["without a quorum no member can be removed"]);
}

#[test]
fn the_last_member_goes_only_with_the_cluster() {
    let absent = |member: &mut Member| *member = Member { listed: false, started: false, serves: false, ..MEMBER };
    Scene::new(2, &[0]).with(1, absent).refused(&["it is the only voter", "./etcd-rm.yml"]);
}

#[test]
fn data_of_a_member_is_not_deleted_before_it_has_left() {
    let mut scene = Scene::new(3, &[0]);
    scene.steps = (false, true);
    scene.refused(&["10.0.0.1 is still a member of cluster etcd"]);
    scene.steps = (false, false);
    assert_eq!(scene.removal()["hosts"]["10.0.0.1"]["gone"], false);
    scene.steps = (false, true);
    assert_eq!(scene.set("etcd_rm_data", json!(false)).removal()["hosts"]["10.0.0.1"]["gone"], false);
}

#[test]
fn the_safeguard_stops_everything() {
    Scene::new(3, &[0])
        .set("etcd_safeguard", json!("yes"))
        .refused(&["etcd_safeguard is true on 10.0.0.1", "-e etcd_safeguard=false"]);
    assert!(Scene::new(3, &[0]).set("etcd_safeguard", json!("no")).judge().is_ok());
}

#[test]
fn a_cluster_ends_on_all_its_hosts_after_a_last_snapshot() {
    let scene = Scene::new(3, &[0, 1, 2]);
    let removal = scene.removal();
    assert_eq!(leaving(&removal), pairs(&[]));
    assert_eq!(removal["hosts"].as_object().unwrap().len(), 3);
    assert_eq!(removal["snapshots"], json!([{ "cluster": "etcd", "host": "10.0.0.1" }]));
    assert_eq!(scene.set("etcd_rm_snapshot", json!(false)).removal()["snapshots"], json!([]));
}

#[test]
fn a_cluster_in_use_does_not_end() {
    let mut scene = Scene::new(3, &[0, 1, 2]);
    scene.usage =
        json!({ "leases": { "count": 2 }, "clients": ["Patroni cluster pg-main in /service"], "complete": true });
    scene.refused(&["in use, by Patroni cluster pg-main in /service, 2 live leases", "-e etcd_force=in_use"]);
    assert!(scene.set("etcd_force", json!("in_use")).judge().is_ok());
}

#[test]
fn a_cluster_that_runs_and_cannot_be_asked_does_not_end() {
    let mut scene = Scene::new(3, &[0, 1, 2]);
    scene.usage = json!({ "leases": { "count": 0 }, "clients": [], "complete": false });
    scene.refused(&["not all could be looked at", "-e etcd_force=in_use"]);
    // As with a wrong password: it serves, and says nothing. Doing without a snapshot does not do without this.
    let mute = |member: &mut Member| member.mute = true;
    let scene = Scene::new(2, &[0, 1]).with(0, mute).with(1, mute).set("etcd_rm_snapshot", json!(false));
    scene.refused(&["etcd runs on 10.0.0.1, and it cannot be told who uses cluster etcd (x)", "-e etcd_force=in_use"]);
    assert!(scene.set("etcd_force", json!("in_use")).judge().is_ok());
}

#[test]
fn data_is_kept_in_whatever_words_that_is_asked_for() {
    for (word, deletes) in [(json!("false"), false), (json!("no"), false), (json!(false), false), (json!("True"), true)]
    {
        let going = &Scene::new(3, &[0]).set("etcd_rm_data", word).removal()["hosts"]["10.0.0.1"];
        assert_eq!((&going["deletes_data"], &going["cleans"]), (&json!(deletes), &json!(true)));
    }
}

#[test]
fn a_member_of_that_name_elsewhere_is_not_taken_for_gone() {
    let scene = Scene::new(3, &[2]).set("etcd_peer_port", json!(2480)).with(2, |member| member.serves = false);
    // Its data still tells who it is.
    assert_eq!(leaving(&scene.removal()), pairs(&[("3", "10.0.0.1")]));
    let lost = scene.with(2, |member| member.reachable = false);
    lost.refused(&["member etcd-3 (3) of cluster etcd is at https://10.0.0.3:2380", "etcd_rm_members\": [\"3\"]"]);
}

#[test]
fn whose_data_it_is_and_where_the_member_is_have_to_agree() {
    let swapped = |scene: &Scene, index: usize, holds: usize| {
        let mut seen = scene.observed(index);
        seen["data"]["member_id"] = json!(format!("{:x}", holds + 1));
        seen
    };
    // The addresses of two hosts were mistaken for each other; a host that has left has a copy of another one's data.
    for (scene, play, holds) in
        [(Scene::new(3, &[1]), 1, 0), (Scene::new(3, &[1]).with(1, |member| member.listed = false), 1, 2)]
    {
        let mut arguments = scene.arguments().unwrap();
        arguments["observed"][host(play)] = swapped(&scene, play, holds);
        let failure = run(arguments).unwrap_err();
        let wanted = format!("on it is the data of etcd-{0} ({0})", holds + 1);
        assert!(failure.msg.contains(&wanted), "{}", failure.msg);
    }
}

#[test]
fn a_run_that_loses_nothing_saves_nothing() {
    let mut scene = Scene::new(3, &[0, 1, 2]);
    assert_eq!(scene.removal()["snapshots"].as_array().map(Vec::len), Some(1));
    scene.steps.1 = false;
    assert_eq!(scene.removal()["snapshots"], json!([]));
}

#[test]
fn an_empty_list_of_members_does_not_mean_all() {
    let mut scene = Scene::new(3, &[0, 1, 2]);
    scene.named = vec![String::new()];
    assert!(scene.judge().unwrap().warnings[0].contains("is no member"));
    let mut arguments = scene.arguments().unwrap();
    arguments["removal"]["members"] = json!([]);
    let failure = run(arguments).unwrap_err();
    assert!(failure.msg.contains("etcd_rm_members is an empty list"), "{failure}");
}

#[test]
fn a_member_that_stays_in_its_cluster_is_stopped_by_force_only_where_that_is_asked_for() {
    let mut scene = Scene::new(3, &[0]);
    scene.steps = (false, false);
    assert_eq!(scene.removal()["hosts"]["10.0.0.1"]["forced"], false);
    assert_eq!(scene.set("etcd_force", json!("restart")).removal()["hosts"]["10.0.0.1"]["forced"], true);
}

#[test]
fn members_come_as_a_list_or_as_one_text() {
    let mut scene =
        Scene::new(5, &[0, 1, 2]).with(3, |member| member.known = false).with(4, |member| member.known = false);
    scene.named = vec!["x".into()];
    for members in [json!(["10.0.0.4", "5"]), json!("10.0.0.4, 5")] {
        let mut arguments = scene.arguments().unwrap();
        arguments["removal"]["members"] = members.clone();
        let removal = run(arguments).unwrap().values["removal"].clone();
        assert_eq!(leaving(&removal).len(), 2, "{members}");
    }
}

#[test]
fn a_cluster_that_cannot_be_saved_does_not_end() {
    let down = |member: &mut Member| member.serves = false;
    let scene = Scene::new(3, &[0, 1, 2]).with(0, down).with(1, down).with(2, down);
    scene.refused(&["its last snapshot cannot be taken", "-e etcd_rm_snapshot=false"]);
    assert!(scene.set("etcd_rm_snapshot", json!(false)).judge().is_ok());
    // What has no data is not worth one.
    let empty = |member: &mut Member| (member.serves, member.started) = (false, false);
    assert!(Scene::new(2, &[0, 1]).with(0, empty).with(1, empty).judge().is_ok());
}

#[test]
fn a_cluster_does_not_end_behind_its_members_backs() {
    let scene = Scene::new(3, &[0, 1, 2]).with(2, |member| member.reachable = false);
    scene.refused(&["10.0.0.3 cannot be reached over SSH", "-e etcd_force=unreachable"]);
    assert!(scene.set("etcd_force", json!("unreachable")).judge().is_ok());
    let dead = |member: &mut Member| (member.serves, member.reachable) = (false, false);
    assert_eq!(Scene::new(3, &[0, 1, 2]).with(2, dead).removal()["hosts"]["10.0.0.3"]["reachable"], false);
    let stranger = Scene::new(4, &[0, 1, 2]).with(3, |member| member.known = false);
    stranger.refused(&["members that the inventory does not name, etcd-4 (4)", "etcd_rm_members\": [\"4\"]"]);
}

#[test]
fn who_has_left_the_inventory_is_named() {
    let mut scene = Scene::new(4, &[0, 1, 2]).with(3, |member| member.known = false);
    for name in ["10.0.0.4", "etcd-4", "4", "https://10.0.0.4:2380"] {
        scene.named = vec![name.into()];
        let removal = scene.removal();
        assert_eq!(leaving(&removal), pairs(&[("4", "10.0.0.1")]));
        assert_eq!(removal["hosts"], json!({}));
    }
    scene.named = vec!["10.0.0.3".into()];
    scene.refused(&["10.0.0.3 is the host 10.0.0.3 of the inventory: ./etcd-rm.yml -l 10.0.0.3"]);
    scene.named = vec!["10.0.0.40".into()];
    let outcome = scene.judge().unwrap();
    assert!(outcome.warnings[0].contains("10.0.0.40 is no member"), "{:?}", outcome.warnings);
    assert_eq!(leaving(&outcome.values["removal"]), pairs(&[]));
}

fn member() -> impl Strategy<Value = Member> {
    (any::<[bool; 3]>(), 0..4u8).prop_map(|([votes, reachable, listed], state)| Member {
        serves: state > 1 && listed,
        started: state > 0,
        votes,
        reachable,
        listed,
        known: true,
        mute: false,
    })
}

proptest! {
    /// Whatever is asked for: whoever leaves is in the list, of those that stay a quorum serves at each step, and nobody's
    /// data is deleted who does not leave; a whole cluster ends only when all that serves is within reach.
    #[test]
    fn what_is_accepted_keeps_the_quorum(members in proptest::collection::vec(member(), 1..9), picks in proptest::collection::vec(any::<bool>(), 9), forced: bool) {
        let mut scene = Scene::new(members.len(), &[]);
        scene.members = members;
        scene.play = (0..scene.members.len()).filter(|index| picks[*index]).collect();
        prop_assume!(!scene.play.is_empty());
        if forced {
            scene = scene.set("etcd_force", json!("remove"));
        }
        let Ok(outcome) = scene.judge() else { return Ok(()) };
        let removal = &outcome.values["removal"];
        let mut left = scene.clone();
        for (id, speaker) in leaving(removal) {
            let index = id.parse::<usize>().unwrap() - 1;
            prop_assert!(left.members[index].listed && scene.play.contains(&index));
            left.members[index].listed = false;
            prop_assert!(left.has_quorum(), "after {} of {:?}", id, scene);
            prop_assert!(!scene.play.iter().any(|index| host(*index) == speaker));
        }
        let ends = scene.play.len() == scene.members.len();
        for index in &scene.play {
            let member = &left.members[*index];
            prop_assert_eq!(&removal["hosts"][host(*index)]["gone"], &json!(true));
            let harmless = if ends { member.reachable || !member.serves } else { !member.listed };
            prop_assert!(harmless);
        }
    }
}

#[test]
fn a_refusal_is_of_the_right_kind() {
    let failure = Scene::new(3, &[0]).with(2, |member| member.serves = false).judge().unwrap_err();
    assert_eq!(failure.kind, ErrorKind::QuorumRisk);
}
