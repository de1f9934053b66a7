//! The Ansible module `etcd_conf`: everything etcd reads on a host.
//!
//! What is asked for is checked as a whole ([`desired`], [`params`]), compared with what is there ([`disk`], [`plan`]),
//! and done in one go ([`apply`]): all new files lie safely beside their targets before the first takes its place.

/// Doing what was planned.
mod apply;
/// Configurations that contradict themselves.
mod contradictions;
/// The configuration that is asked for, checked and as text.
mod desired;
/// What is on the disk.
mod disk;
/// `initial-cluster` against the member's own name and URLs.
mod members;
/// Laying keys over the configuration that is there.
mod merge;
/// The parameters, and what they ask for on this host.
mod params;
/// From what is wanted and what is there to what is to be done.
mod plan;
/// Which version of etcd will read the configuration.
mod release;
/// Planning what is to be gone.
mod removal;
/// What is returned.
mod report;
/// The option table and documentation.
mod spec;
#[cfg(test)]
mod tests;
/// Units that go with the files.
mod units;
/// URLs, as far as etcd allows them.
mod url;

pub use params::Params;

use crate::desired::Desired;
use crate::disk::Disk;
use crate::params::Findings;
use crate::report::Report;
use ansible_protocol::{Context, ErrorKind, Failure, Module, ModuleSpec, Outcome};
use etcd_ops::systemd::systemctl;

/// The module.
pub struct EtcdConf;

impl Module for EtcdConf {
    type Params = Params;
    const SPEC: ModuleSpec = spec::SPEC;

    fn run(params: Params, context: &Context) -> Result<Outcome, Failure> {
        let mut findings = Findings::default();
        let desired = match &params.config {
            Some(given) => {
                let version = params.version.as_deref();
                let version = release::determine(version, &params.etcd_binary, context, &mut findings.warnings)?;
                match params.merge {
                    false => Some(Desired::of(given, version, params.translate, &mut findings)?),
                    true => merge::over(&params.config_file, given, version, params.translate, &mut findings)?,
                }
            }
            None => None,
        };
        let text = desired.as_ref().map(|desired| desired.text.clone());
        let wanted = params.wanted(text, context.check_mode, &mut findings);
        let disk = Disk::observe(&wanted);
        let plan = plan::plan(&wanted, &disk);
        findings.host.extend(plan.problems);
        let missing = if context.check_mode { &mut findings.warnings } else { &mut findings.host };
        missing.extend(plan.missing);
        findings.warnings.extend(plan.kept);
        let warnings = findings.into_warnings()?;
        let timers = units::plan(&params.units, &wanted.files, &plan.steps, units::show)?;
        let backups = if context.check_mode {
            Default::default()
        } else {
            timers.before(systemctl)?;
            apply::apply(&plan.steps)?
        };
        let report = Report { wanted: &wanted, disk: &disk, steps: &plan.steps, backups: &backups };
        let mut outcome = report.outcome(desired.as_ref());
        outcome.changed |= !timers.actions.is_empty();
        if !params.units.is_empty() {
            outcome = outcome.with("actions", timers.told());
        }
        outcome.warnings = warnings;
        if !context.check_mode {
            timers.after(systemctl).map_err(|failure| failure.with("changed", true))?;
        }
        if !params.restarts_follow {
            outcome.warnings.extend(report.pending(desired.as_ref()));
        }
        Ok(outcome)
    }
}

impl Findings {
    /// The warnings, if there is nothing worse.
    fn into_warnings(self) -> Result<Vec<String>, Failure> {
        let kind = if self.problems.is_empty() { ErrorKind::Io } else { ErrorKind::InvalidOption };
        let problems: Vec<String> = self.problems.into_iter().chain(self.host).collect();
        if problems.is_empty() {
            return Ok(self.warnings);
        }
        let mut failure = Failure::new(kind, format!("nothing was written: {}", problems.join("; ")));
        failure.warnings = self.warnings;
        Err(failure.with("problems", problems))
    }
}
