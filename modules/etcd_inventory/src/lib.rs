//! The Ansible module `etcd_inventory`: turns the inventory into clusters, and refuses what cannot be done safely.
//!
//! It runs on the controller, once for all hosts, touches nothing and connects to nothing. A run calls it first with the
//! inventory's variables ([`identity`]), then with what `etcd_info` has observed on each host ([`safety`]), and before
//! restarts once more ([`waves`]). All three are pure but for reading the authorities' certificates, and report every
//! problem of every host in one message.

/// Data that was to go on alone.
mod alone;
/// Hosts and variables become clusters of named members with URLs.
mod identity;
/// Who joins a running cluster.
mod joining;
/// A member that leaves.
mod leaving;
/// What was found.
mod observed;
/// What is wrong, and what puts it right.
mod recovery;
/// What may be removed.
mod removal;
/// What may be restored from a snapshot, or put back, and whether it was.
mod restoring;
/// What is safe to do with what was found.
mod safety;
/// The option table and documentation.
mod spec;
/// Which parts of the role the run's tags select.
mod steps;
/// What a host's variables may hold.
mod variables;
/// In which order members restart.
mod waves;

use ansible_protocol::{Context, ErrorKind, Failure, Module, ModuleSpec, Object, Outcome};
use identity::{Cluster, Inventory};
use safety::Scope;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use steps::Steps;

/// The module.
pub struct EtcdInventory;

/// What the inventory and the run say.
#[derive(Debug, Deserialize)]
pub struct Params {
    /// The members of each group that an `etcd_cluster` names; a group that does not exist is missing here.
    groups: Option<BTreeMap<String, Vec<String>>>,
    /// Each host's variables.
    hosts: Option<BTreeMap<String, Object>>,
    /// The hosts of this run.
    play_hosts: Option<Vec<String>>,
    /// The variables that say where a host's member is, as a task of the play sees them on the first host of the run.
    play: Object,
    /// The root passwords of the clusters.
    passwords: Vec<String>,
    /// The directory of the authorities, where a host's variables name none.
    pki_dir: Option<PathBuf>,
    /// The clusters, as an earlier call returned them.
    clusters: Option<BTreeMap<String, Cluster>>,
    /// The run's `--tags` and `--skip-tags`.
    run_tags: Vec<String>,
    skip_tags: Vec<String>,
    /// What `etcd_info` found on each host that answered.
    observed: Option<BTreeMap<String, Value>>,
    /// What it found on members outside of the run.
    outside: BTreeMap<String, Value>,
    /// Whether the run starts members.
    starts: bool,
    /// Whether the run is to remove members, or the members to remove.
    removes: bool,
    removal: Option<removal::Request>,
    /// The snapshot's file, as it is named.
    file: Option<restoring::Named>,
    /// What is to be restored, or what came of it.
    restore: Option<restoring::Request>,
    restored: Option<restoring::Plan>,
    /// What each host has foretold of its restore.
    foretold: Option<BTreeMap<String, restoring::Foretold>>,
    /// What is asked of a recovery.
    recovery: Option<recovery::Request>,
    /// What `etcd_service` returned on each host.
    restarts: Option<BTreeMap<String, waves::Restart>>,
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
        let outcome = match (params.clusters, params.observed, params.restarts) {
            (Some(_), _, _) if let (Some(plan), Some(foretold)) = (&params.restored, &params.foretold) => {
                Outcome::new(false).with("restore", restoring::agree(plan, foretold)?)
            }
            (Some(clusters), Some(observed), _) if let Some(request) = &params.removal => {
                let removal = removal::judge(&clusters, request, &observed, &params.outside, &mut findings);
                report(&findings, ErrorKind::QuorumRisk)?;
                Outcome::new(false).with("removal", removal)
            }
            (Some(clusters), Some(observed), _) if let Some(request) = &params.restore => {
                let restore = restoring::judge(&clusters, request, &observed, &mut findings);
                report(&findings, ErrorKind::Conflict)?;
                Outcome::new(false).with("restore", restore)
            }
            (Some(clusters), Some(observed), _) if let Some(restored) = &params.restored => {
                let proof = restoring::prove(&clusters, restored, &observed, &mut findings)?;
                Outcome::new(false).with("proof", proof)
            }
            (Some(clusters), Some(observed), _) if let Some(request) = &params.recovery => {
                let recovery = recovery::judge(&clusters, request, &observed, &mut findings);
                report(&findings, ErrorKind::QuorumRisk)?;
                Outcome::new(false).with("recovery", recovery)
            }
            (Some(clusters), Some(observed), _) => {
                let verdict = safety::judge(
                    &clusters,
                    &observed,
                    &params.outside,
                    Scope {
                        starts: params.starts,
                        makes_anew: Steps::of(&params.run_tags, &params.skip_tags).makes_anew,
                    },
                    &mut findings,
                );
                let safe = params.starts && !verdict.look_closer;
                if safe || verdict.cleans {
                    report(&findings, ErrorKind::Conflict)?;
                }
                findings.warnings.append(&mut findings.problems);
                Outcome::new(false)
                    .with("safe_to_start", safe)
                    .with("cleans", verdict.cleans)
                    .with("join_waves", verdict.join_waves())
                    .with("ask", verdict.ask)
                    .with("neighbours", verdict.neighbours)
                    .with("speakers", verdict.speakers)
                    .with("situations", verdict.situations)
            }
            (Some(clusters), None, restarts) => {
                let waves = waves::order(&clusters, &restarts.unwrap_or_default());
                let count = waves.values().max().map_or(0, |last| last + 1);
                Outcome::new(false).with("waves", waves).with("wave_count", count)
            }
            (None, ..) => {
                let inventory = Inventory {
                    groups: params.groups.unwrap_or_default(),
                    hosts: params.hosts.unwrap_or_default(),
                    play_hosts: params.play_hosts.unwrap_or_default(),
                    play: params.play,
                    pki_dir: params.pki_dir.unwrap_or_default(),
                };
                findings.problems.extend(steps::mixed(&params.run_tags));
                findings.warnings.extend(steps::mistyped(&params.run_tags, &params.skip_tags));
                let clusters = identity::clusters(&inventory, &mut findings);
                let file = params
                    .file
                    .as_ref()
                    .and_then(|file| file.location().map_err(|problem| findings.problems.push(problem)).ok());
                report(&findings, ErrorKind::InvalidOption)?;
                let hosts = identity::hosts(&inventory, &clusters);
                findings.problems.extend(common_password(
                    &params.passwords,
                    &json!([clusters, hosts, inventory.hosts, file]).to_string(),
                ));
                if params.removes && !params.run_tags.iter().any(|tag| tag == "etcd_purge") {
                    findings.problems.extend(removal::safeguard(&inventory));
                }
                report(&findings, ErrorKind::InvalidOption)?;
                let scope = params.removes.then(|| removal::Scope::of(&inventory, &clusters));
                Outcome::new(false)
                    .with("removal", scope)
                    .with("missing_authorities", identity::missing_authorities(&hosts))
                    .with("clusters", &clusters)
                    .with("hosts", hosts)
                    .with("file", file)
                    .with("steps", Steps::of(&params.run_tags, &params.skip_tags))
            }
        };
        Ok(Outcome { warnings: findings.warnings, ..outcome })
    }
}

/// Words that modules return and later tasks read, beside what the inventory names.
const WORDS: &str = "/usr/bin/etcd /usr/local/bin/etcd etcd.service loaded active running enabled member absent existing certificate authority";

/// A secret is hidden wherever it occurs in a result, also inside of a path or a name that a later task reads.
fn common_password(passwords: &[String], values: &str) -> Option<String> {
    passwords.iter().any(|password| values.contains(password.as_str()) || WORDS.contains(password.as_str())).then(|| {
        "the root password is empty, or so short or common that hiding it would make names, paths and certificates unreadable: choose another".into()
    })
}

fn report(findings: &Findings, kind: ErrorKind) -> Result<(), Failure> {
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
