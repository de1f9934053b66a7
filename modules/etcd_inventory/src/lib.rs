//! The Ansible module `etcd_inventory`: turns the inventory into clusters, and refuses what cannot be done safely.
//!
//! It runs on the controller, once, touches nothing and connects to nothing. It works in two steps: [`identity`] needs
//! only the inventory's variables; [`safety`] also what `etcd_info` has observed on each host of the run. Both are
//! pure, and report every problem of every host in one message.

/// Hosts and variables become clusters of named members with URLs.
mod identity;
/// What is safe to do with what was found.
mod safety;
/// The option table and documentation.
mod spec;
/// In which order members restart.
mod waves;

use ansible_protocol::{Context, Failure, Module, ModuleSpec, Object, Outcome};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The module.
pub struct EtcdInventory;

/// What the inventory and the run say.
#[derive(Debug, Deserialize)]
pub struct Params {
    /// The members of each group that an `etcd_cluster` names; a group that does not exist is missing here.
    groups: BTreeMap<String, Vec<String>>,
    /// Each host's variables.
    hosts: BTreeMap<String, Object>,
    /// The hosts of this run.
    play_hosts: Vec<String>,
    /// What `etcd_info` found on each host that answered.
    observed: Option<BTreeMap<String, Value>>,
    /// What `etcd_service` returned on each host.
    restarts: Option<BTreeMap<String, waves::Restart>>,
    /// Whether the run goes on to start members.
    launching: bool,
}

/// Problems end the run; warnings do not.
#[derive(Debug, Default)]
struct Findings {
    problems: Vec<String>,
    warnings: Vec<String>,
}

impl Module for EtcdInventory {
    type Params = Params;
    const SPEC: ModuleSpec = spec::SPEC;

    fn run(params: Params, _context: &Context) -> Result<Outcome, Failure> {
        let mut findings = Findings::default();
        let clusters = identity::clusters(&params, &mut findings);
        report(&findings, ansible_protocol::ErrorKind::InvalidOption)?;
        let mut outcome = Outcome::new(false)
            .with("clusters", identity::clusters_value(&clusters))
            .with("hosts", identity::hosts_value(&clusters));
        if let Some(observed) = &params.observed {
            let situations = safety::judge(&params, &clusters, observed, &mut findings);
            if params.launching {
                report(&findings, ansible_protocol::ErrorKind::Conflict)?;
            } else {
                findings.warnings.append(&mut findings.problems);
            }
            outcome = outcome.with("situations", situations);
        } else {
            // Said once, not again in the second step.
            findings.warnings.extend(identity::advice(&params, &clusters));
        }
        if let Some(restarts) = &params.restarts {
            let waves = waves::order(&clusters, restarts);
            outcome =
                outcome.with("waves", json!(waves)).with("wave_count", waves.values().max().map_or(0, |last| last + 1));
        }
        findings.warnings.into_iter().for_each(|warning| outcome.warn(warning));
        Ok(outcome)
    }
}

fn report(findings: &Findings, kind: ansible_protocol::ErrorKind) -> Result<(), Failure> {
    if findings.problems.is_empty() {
        return Ok(());
    }
    let count = findings.problems.len();
    let intro = if count == 1 { String::new() } else { format!("{count} problems: ") };
    let msg = format!("{intro}{}. Nothing was changed on any host.", findings.problems.join("; "));
    let mut failure = Failure::new(kind, msg).with("problems", &findings.problems);
    failure.warnings.clone_from(&findings.warnings);
    Err(failure)
}
