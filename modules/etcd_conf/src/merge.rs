//! Laying keys over the configuration that is there.

use crate::desired::Desired;
use crate::disk::open;
use crate::params::Findings;
use ansible_protocol::{Failure, Object};
use etcd_ops::catalogue::{Kind, find, normalise};
use etcd_ops::config::parse;
use etcd_ops::version::Version;
use serde_json::Value;
use std::io::{self, Read};
use std::path::Path;

/// What the file holds, with the given keys laid over it, checked as a whole. None when there is nothing to lay them
/// over; the findings say why.
///
/// # Errors
///
/// Returns a failure when the configuration cannot be written as YAML.
pub(crate) fn over(
    path: &Path,
    given: &Object,
    version: Option<Version>,
    in_its_terms: bool,
    findings: &mut Findings,
) -> Result<Option<Desired>, Failure> {
    let (text, present) = match read(path) {
        Ok(found) => found,
        Err(problem) => {
            findings.host.push(problem);
            return Ok(None);
        }
    };
    let mut desired = Desired::of(&laid_over(&present, given), version, in_its_terms, findings)?;
    // What says the same stays as it is written, comments included.
    if normalise(&desired.config) == normalise(&present) {
        desired.text = text;
    }
    Ok(Some(desired))
}

fn read(path: &Path) -> Result<(String, Object), String> {
    let mut text = String::new();
    match open(path).and_then(|mut file| file.read_to_string(&mut text)) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let path = path.display();
            return Err(format!("there is no {path} to merge config into; write it whole first, without merge"));
        }
        Err(error) => return Err(format!("{} cannot be read to merge config into it: {error}", path.display())),
    }
    let config = parse(&text).map_err(|error| {
        format!("{} cannot be merged into, for it is {error}; write it whole, without merge", path.display())
    })?;
    Ok((text, config))
}

/// The keys of the one with those of the other over them, within sections too; what is given without value is gone.
pub(crate) fn laid_over(present: &Object, given: &Object) -> Object {
    let mut merged = present.clone();
    lay_over("", &mut merged, given);
    merged
}

fn lay_over(path: &str, below: &mut Object, above: &Object) {
    for (name, value) in above {
        let full = format!("{path}{name}");
        let is_section = matches!(find(&full).map(|key| key.kind), Some(Kind::Section(_)));
        match (below.get_mut(name), value) {
            (_, Value::Null) => {
                below.shift_remove(name);
            }
            (Some(Value::Object(below)), Value::Object(above)) if is_section => {
                lay_over(&format!("{full}."), below, above);
            }
            _ => {
                below.insert(name.clone(), value.clone());
            }
        }
    }
}
