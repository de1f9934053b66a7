//! The configuration that is asked for, checked and as text.

use crate::contradictions;
use crate::params::Findings;
use ansible_protocol::{Failure, Object};
use etcd_ops::catalogue::{Problem, Severity, check, normalise, translate};
use etcd_ops::config::to_yaml;
use etcd_ops::version::Version;

/// The file's first line.
pub(crate) const HEADER: &str = "# Managed by quorum.etcd: the next run undoes what is changed here.\n";

/// The configuration that is asked for.
#[derive(Debug)]
pub(crate) struct Desired {
    pub(crate) config: Object,
    pub(crate) text: String,
    pub(crate) version: Option<Version>,
    pub(crate) translated: Vec<String>,
}

impl Desired {
    /// Checks what was given; what is wrong with it goes to the findings.
    ///
    /// # Errors
    ///
    /// Returns a failure when the configuration cannot be written as YAML.
    pub(crate) fn of(
        given: &Object,
        version: Option<Version>,
        in_its_terms: bool,
        findings: &mut Findings,
    ) -> Result<Self, Failure> {
        let (config, translated) = match version.filter(|_| in_its_terms) {
            Some(version) => translate(version, given),
            None => (given.clone(), Vec::new()),
        };
        let mut problems = check(version, &config);
        let config = normalise(&config);
        for contradiction in contradictions::check(&config) {
            // One word about each key is enough: what is of the wrong type is not worth comparing.
            if !problems.iter().any(|problem| problem.key == contradiction.key && problem.severity == Severity::Refusal)
            {
                problems.push(contradiction);
            }
        }
        let (refusals, warnings): (Vec<Problem>, Vec<Problem>) =
            problems.into_iter().partition(|problem| problem.severity == Severity::Refusal);
        findings.problems.extend(refusals.into_iter().map(|problem| problem.message));
        let warnings: Vec<String> = warnings.into_iter().map(|problem| problem.message).collect();
        if !warnings.is_empty() {
            findings.warnings.push(warnings.join("; "));
        }
        let yaml =
            to_yaml(&config).map_err(|error| Failure::invalid_option(format!("cannot write config: {error}")))?;
        Ok(Self { text: format!("{HEADER}{yaml}"), config, version, translated })
    }
}
