//! Stopping a member, also one that is in no cluster any more.

use crate::restart::{guard, hand_over};
use crate::{Params, Plan, Step};
use ansible_protocol::{Context, Failure};
use etcd_ops::connection::Session;
use etcd_ops::systemd::Unit;

/// What makes the unit stopped. With `force` it is not left as failed either: a member that was removed from its
/// cluster has exited by itself, and is not to be mistaken for trouble.
pub(crate) fn steps(enabled: bool, force: bool, unit: &Unit) -> Vec<Step> {
    let mut steps = Vec::new();
    steps.extend(unit.is_running().then_some(Step::Stop));
    steps.extend((force && unit.active_state == "failed").then_some(Step::Reset));
    steps.extend((!enabled && unit.is_enabled()).then_some(Step::Disable));
    steps
}

/// Stops. With `force` nobody is asked first: there may be no cluster to ask and no certificate to ask it with, and etcd
/// hands leadership over by itself when it is told to end.
///
/// # Errors
///
/// The guard's refusal, and what systemctl says when it fails.
pub(crate) async fn carry_out(
    params: &Params,
    plan: &Plan,
    context: &Context,
    systemctl: &mut impl FnMut(&[&str]) -> Result<String, Failure>,
) -> Result<(), Failure> {
    let name = params.name.as_str();
    if plan.has(Step::Stop) && !params.force {
        let session = Session::new(&params.connection)?;
        let guarded = guard(params, &session).await?;
        if !context.check_mode {
            hand_over(&session, &guarded).await?;
        }
    }
    if context.check_mode {
        return Ok(());
    }
    let state = |systemctl: &mut dyn FnMut(&[&str]) -> Result<String, Failure>| {
        systemctl(&["show", name, "--property=ActiveState"]).map(|said| said.trim().replace("ActiveState=", ""))
    };
    // First, so that it does not come back at the next boot whatever happens now.
    if plan.has(Step::Disable) {
        systemctl(&["disable", "--quiet", name])?;
    }
    if plan.has(Step::Stop) {
        // Members that end together would each wait for another one to take over. One that was removed may have ended
        // by itself since it was looked at, and then there is nothing to kill, nor perhaps a unit that is loaded.
        if params.kill
            && let Err(failure) = systemctl(&["kill", "--signal=SIGKILL", name])
            && state(systemctl)? == "active"
        {
            return Err(failure);
        }
        systemctl(&["stop", name])?;
    }
    // It may also fail while it ends.
    if params.force && !plan.steps.is_empty() && state(systemctl)? == "failed" {
        systemctl(&["reset-failed", name])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::State;
    use ansible_protocol::ErrorKind;
    use etcd_ops::block_on;
    use proptest::prelude::*;
    use serde_json::json;
    use test_case::test_case;

    /// A unit, and what systemctl does to it.
    #[derive(Clone, Debug)]
    struct Fake {
        unit: Unit,
        /// How it is once it is stopped.
        stopped: &'static str,
        refuses_to_be_killed: bool,
        said: Vec<String>,
    }

    impl Fake {
        fn new(active_state: &str, file_state: &str, stopped: &'static str) -> Self {
            let unit = Unit {
                name: "etcd.service".into(),
                load_state: if file_state.is_empty() { "not-found" } else { "loaded" }.into(),
                active_state: active_state.into(),
                unit_file_state: file_state.into(),
                main_pid: u32::from(active_state == "active"),
                ..Unit::default()
            };
            Self { unit, stopped, refuses_to_be_killed: false, said: Vec::new() }
        }

        fn systemctl(&mut self, arguments: &[&str]) -> Result<String, Failure> {
            self.said.push(arguments[0].to_owned());
            match arguments[0] {
                "kill" if self.refuses_to_be_killed => {
                    let msg =
                        "systemctl kill etcd failed: Failed to kill unit etcd.service: Unit etcd.service not loaded.";
                    return Err(Failure::new(ErrorKind::Io, msg));
                }
                "kill" => (self.unit.active_state, self.unit.main_pid) = ("failed".into(), 0),
                "stop" if self.unit.active_state == "failed" => {}
                "stop" => (self.unit.active_state, self.unit.main_pid) = (self.stopped.into(), 0),
                "reset-failed" => self.unit.active_state = "inactive".into(),
                "disable" => self.unit.unit_file_state = "disabled".into(),
                "show" => return Ok(format!("ActiveState={}\n", self.unit.active_state)),
                other => panic!("systemctl {other}"),
            }
            Ok(String::new())
        }

        /// One call of the module for a host whose certificates are gone and whose cluster nobody can reach.
        fn stop(&mut self, check_mode: bool, kill: bool) -> Vec<Step> {
            let unit = self.unit.clone();
            self.stop_as_seen(unit, check_mode, kill).unwrap()
        }

        /// With what was seen of the unit before.
        fn stop_as_seen(&mut self, unit: Unit, check_mode: bool, kill: bool) -> Result<Vec<Step>, Failure> {
            let params: Params = serde_json::from_value(json!({
                "endpoints": ["https://192.0.2.1:2379"], "ca_cert": "/nonexistent", "timeout": 3600, "dial_timeout": 3600,
                "name": "etcd", "binary": "etcd", "host": "db-1", "state": "stopped", "restart_when": "needed", "enabled": false,
                "data_dir": "/nonexistent",
                "config_file": "/nonexistent", "ca_file": "/nonexistent", "runtime_dir": "/nonexistent", "force": true, "kill": kill,
                "predicted": [],
            }))
            .unwrap();
            assert_eq!(params.state, State::Stopped);
            let context = Context { check_mode, ..Context::default() };
            let plan = Plan { steps: steps(false, true, &unit), unit, pending: Vec::new() };
            block_on(async { carry_out(&params, &plan, &context, &mut |words: &[&str]| self.systemctl(words)).await })?;
            Ok(plan.steps)
        }
    }

    #[test_case("active", "enabled", "inactive", &["disable", "stop", "show"]; "serves, in a cluster that cannot be reached")]
    #[test_case("active", "", "inactive", &["stop", "show"]; "runs although its unit is gone")]
    #[test_case("activating", "enabled", "failed", &["disable", "stop", "show", "reset-failed"]; "is started again and again")]
    #[test_case("inactive", "enabled", "inactive", &["disable", "show"]; "has exited by itself")]
    #[test_case("failed", "enabled", "inactive", &["disable", "show", "reset-failed"]; "has failed")]
    #[test_case("failed", "", "inactive", &["show", "reset-failed"]; "has failed and its unit is gone")]
    #[test_case("inactive", "", "inactive", &[]; "was never there")]
    fn a_member_that_left_is_stopped_for_good(active: &str, file: &str, stopped: &'static str, wanted: &[&str]) {
        let mut fake = Fake::new(active, file, stopped);
        let predicted = fake.stop(true, false);
        assert_eq!(fake.said, Vec::<String>::new(), "check mode touches nothing");
        assert_eq!(fake.stop(false, false), predicted);
        assert_eq!(fake.said, wanted);
        assert!(!fake.unit.is_running() && !fake.unit.is_enabled() && fake.unit.active_state == "inactive");
        assert_eq!(fake.stop(false, false), vec![]);
    }

    #[test]
    fn members_that_end_together_do_not_wait_for_each_other() {
        let mut fake = Fake::new("active", "enabled", "inactive");
        fake.stop(false, true);
        assert_eq!(fake.said, ["disable", "kill", "stop", "show", "reset-failed"]);
        assert_eq!(fake.unit.active_state, "inactive");
    }

    #[test_case("inactive", true; "it has ended since")]
    #[test_case("active", false; "it runs on")]
    fn what_cannot_be_killed_has_to_have_ended(state: &str, accepted: bool) {
        let seen = Fake::new("active", "enabled", "inactive").unit;
        let mut fake = Fake::new(state, "enabled", "inactive");
        fake.refuses_to_be_killed = true;
        let outcome = fake.stop_as_seen(seen, false, true);
        assert_eq!(outcome.is_ok(), accepted, "{outcome:?}");
        assert_eq!(fake.said.contains(&"stop".to_owned()), accepted);
    }

    proptest! {
        /// Without force a failed unit stays what it is: somebody may want to know.
        #[test]
        fn only_force_forgets_a_failure(enabled: bool, force: bool) {
            let unit = Fake::new("failed", "disabled", "inactive").unit;
            prop_assert_eq!(steps(enabled, force, &unit).contains(&Step::Reset), force);
        }
    }
}
