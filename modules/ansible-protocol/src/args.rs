//! Reading, checking and coercing the arguments: every problem is found before any is reported.

use crate::table::{Context, Kind, ModuleSpec, Opt, Rule};
use crate::{Failure, Masker, Object, coerce};
use serde_json::Value;

/// The checked arguments of one call.
#[derive(Debug)]
pub struct Arguments {
    /// The options, coerced, with defaults; an option without value is left out.
    pub options: Object,
    /// How the module was called.
    pub context: Context,
    /// What must not appear in the output.
    pub masker: Masker,
    /// Whether the result is to hold the invocation.
    pub inject_invocation: bool,
}

/// Checks the arguments against the module's table. The masker is returned also on failure, for the message may
/// quote a secret.
///
/// # Errors
///
/// Returns one failure that names all problems: unknown options with the nearest known name, missing ones, values of
/// the wrong type or outside the choices, and combinations that contradict each other.
pub fn read_arguments(spec: &ModuleSpec, mut given: Object) -> (Result<Arguments, Failure>, Masker) {
    let control = take_control(&mut given);
    let options: Vec<&Opt> = spec.all_options().collect();
    let mut check = Check::default();
    // Secrets first: any later message may quote them.
    options.iter().for_each(|option| check.learn_secrets(option, &given));
    let resolved = check.object("", &options, given);
    for rule in spec.rules {
        check.rule(rule, &resolved);
    }
    let masker = check.masker;
    if !check.problems.is_empty() {
        let mut msg = format!("invalid options of {}: {}", spec.name, check.problems.join("; "));
        if check.unknown {
            let names: Vec<&str> = options.iter().map(|option| option.name).collect();
            msg.push_str(&format!("; supported options are {}", names.join(", ")));
        }
        return (Err(Failure::invalid_option(msg)), masker);
    }
    let flag = |name: &str| control.get(name).and_then(Value::as_bool);
    let context = Context {
        check_mode: flag("_ansible_check_mode").unwrap_or(false),
        diff: flag("_ansible_diff").unwrap_or(false),
        verbosity: control.get("_ansible_verbosity").and_then(Value::as_u64).map_or(0, |v| v.min(9) as u8),
    };
    // Cores before 2.21 do not say whether they want it; they show it from -vvv on.
    let inject_invocation = flag("_ansible_inject_invocation").unwrap_or(context.verbosity >= 3);
    (Ok(Arguments { options: resolved, context, masker: masker.clone(), inject_invocation }), masker)
}

/// Takes out what Ansible itself adds to the arguments.
fn take_control(given: &mut Object) -> Object {
    let (control, rest) = std::mem::take(given).into_iter().partition(|(name, _)| name.starts_with("_ansible_"));
    *given = rest;
    control
}

#[derive(Default)]
struct Check {
    problems: Vec<String>,
    masker: Masker,
    unknown: bool,
}

impl Check {
    fn learn_secrets(&mut self, option: &Opt, given: &Object) {
        let names = || std::iter::once(&option.name).chain(option.aliases);
        let env = option.env.and_then(|name| std::env::var(name).ok()).map(Value::from);
        for value in names().filter_map(|name| given.get(*name)).chain(env.as_ref()) {
            let beside = option.no_log_if.and_then(|sibling| given.get(sibling)).cloned();
            let secret = beside.is_some_and(|flag| coerce::coerce(Kind::Bool, flag) == Ok(Value::Bool(true)));
            if option.no_log || secret {
                self.masker.learn(value);
            }
            let parts = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
            for part in parts.iter().filter_map(Value::as_object) {
                option.suboptions.iter().for_each(|sub| self.learn_secrets(sub, part));
            }
        }
    }

    /// Checks one mapping; `path` is what its option names are prefixed with in messages.
    fn object(&mut self, path: &str, options: &[&Opt], mut given: Object) -> Object {
        let mut resolved = Object::new();
        for option in options {
            let name = format!("{path}{}", option.name);
            let value = self.take(option, &name, &mut given);
            match value.or_else(|| option.env.and_then(|name| std::env::var(name).ok()).map(Value::from)) {
                Some(value) => {
                    if let Some(value) = self.value(option, &name, value) {
                        resolved.insert(option.name.into(), value);
                    }
                }
                None if option.required => self.problems.push(format!("{name} is required")),
                None => {
                    if let Some(default) = option.default {
                        resolved.insert(option.name.into(), default.to_value());
                    }
                }
            }
        }
        let known =
            || options.iter().flat_map(|option| std::iter::once(option.name).chain(option.aliases.iter().copied()));
        for name in given.keys() {
            self.unknown |= path.is_empty();
            let hint = nearest(name, known()).map(|near| format!(", did you mean {near}?")).unwrap_or_default();
            self.problems.push(format!("{path}{name} is unknown{hint}"));
        }
        resolved
    }

    /// Takes the option's value out of what was given, under whichever of its names. `null` counts as not given.
    fn take(&mut self, option: &Opt, name: &str, given: &mut Object) -> Option<Value> {
        let mut found = None;
        for known_as in std::iter::once(&option.name).chain(option.aliases) {
            match given.shift_remove(*known_as) {
                None | Some(Value::Null) => {}
                Some(_) if found.is_some() => self.problems.push(format!("{name} is given twice, also as {known_as}")),
                value => found = value,
            }
        }
        found
    }

    fn value(&mut self, option: &Opt, name: &str, value: Value) -> Option<Value> {
        let value = match coerce::coerce(option.kind, value) {
            Ok(value) => value,
            Err(error) => {
                self.problems.push(format!("{name} {error}"));
                return None;
            }
        };
        if !option.choices.is_empty() {
            let items = value.as_array().map_or(std::slice::from_ref(&value), Vec::as_slice);
            for item in items.iter().filter_map(Value::as_str).filter(|item| !option.choices.contains(item)) {
                let hint = nearest(item, option.choices.iter().copied());
                let hint = hint.map(|near| format!(", did you mean {near}?")).unwrap_or_default();
                self.problems
                    .push(format!("{name} must be one of {}, got \"{item}\"{hint}", option.choices.join(", ")));
            }
        }
        if option.suboptions.is_empty() {
            return Some(value);
        }
        let options: Vec<&Opt> = option.suboptions.iter().collect();
        match (option.kind, value) {
            (Kind::List(_), Value::Array(items)) => Some(Value::Array(
                items
                    .into_iter()
                    .enumerate()
                    .map(|(index, item)| match item {
                        Value::Object(item) => Value::Object(self.object(&format!("{name}[{index}]."), &options, item)),
                        other => other,
                    })
                    .collect(),
            )),
            (_, Value::Object(entries)) => Some(Value::Object(self.object(&format!("{name}."), &options, entries))),
            (_, other) => Some(other),
        }
    }

    fn rule(&mut self, rule: &Rule, options: &Object) {
        let given = |name: &&&str| options.contains_key(**name);
        let list = |names: &[&str]| names.join(", ");
        match rule {
            Rule::RequiredIf(name, wanted, required) => {
                let holds = options.get(*name).is_some_and(|value| match value {
                    Value::String(text) => text == wanted,
                    Value::Bool(yes) => *wanted == if *yes { "true" } else { "false" },
                    _ => false,
                });
                if holds {
                    for missing in required.iter().filter(|name| !options.contains_key(**name)) {
                        self.problems.push(format!("{missing} is required when {name} is {wanted}"));
                    }
                }
            }
            Rule::MutuallyExclusive(names) => {
                let given: Vec<&str> = names.iter().filter(given).copied().collect();
                if given.len() > 1 {
                    self.problems.push(format!("{} exclude each other", list(&given)));
                }
            }
            Rule::RequiredTogether(names) => {
                let count = names.iter().filter(given).count();
                if count > 0 && count < names.len() {
                    self.problems.push(format!("{} are required together", list(names)));
                }
            }
            Rule::RequiredOneOf(names) => {
                if !names.iter().any(|name| options.contains_key(*name)) {
                    self.problems.push(format!("one of {} is required", list(names)));
                }
            }
        }
    }
}

/// The known name nearest to a mistyped one, if any is near.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| {
            *distance <= (name.len().max(candidate.len()) / 3).max(1)
                || (name.len() > 3 && (candidate.starts_with(name) || name.starts_with(candidate)))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Default, Support};
    use proptest::prelude::*;
    use serde_json::json;

    const OPTIONS: &[Opt] = &[
        Opt::new("endpoints", Kind::List(&Kind::Str), &["x"]).default(Default::Strs(&["https://127.0.0.1:2379"])),
        Opt::new("state", Kind::Str, &["x"]).choices(&["present", "absent"]).default(Default::Str("present")),
        Opt::new("name", Kind::Str, &["x"]).aliases(&["member"]),
        Opt::new("timeout", Kind::Int, &["x"]).default(Default::Int(30)),
        Opt::new("password", Kind::Str, &["x"]).no_log(),
        Opt::new("users", Kind::List(&Kind::Dict), &["x"]).suboptions(&[
            Opt::new("name", Kind::Str, &["x"]).required(),
            Opt::new("password", Kind::Str, &["x"]).no_log(),
        ]),
    ];
    const SPEC: ModuleSpec = ModuleSpec {
        name: "demo",
        summary: "x",
        description: &[],
        options: OPTIONS,
        fragments: &[],
        rules: &[Rule::RequiredIf("state", "absent", &["name"])],
        check_mode: Support::Full,
        diff_mode: Support::Full,
        notes: &[],
        examples: "",
        returns: &[],
    };

    fn read(given: Value) -> Result<Arguments, Failure> {
        read_arguments(&SPEC, given.as_object().cloned().unwrap()).0
    }

    #[test]
    fn coerces_and_fills_in_defaults() {
        let arguments =
            read(json!({ "timeout": "7", "member": "a", "_ansible_check_mode": true, "users": [{"name": 1}] }));
        let arguments = arguments.unwrap();
        assert!(arguments.context.check_mode);
        let wanted = json!({ "endpoints": ["https://127.0.0.1:2379"], "state": "present", "name": "a", "timeout": 7,
                             "users": [{ "name": "1" }] });
        assert_eq!(Value::from(arguments.options), wanted);
    }

    #[test]
    fn names_all_problems_at_once() {
        let failure = read(json!({ "endpoint": "x", "timeout": "soon", "state": "absnt", "users": [{ "nam": "x" }] }));
        insta::assert_snapshot!(failure.unwrap_err().msg, @r#"invalid options of demo: state must be one of present, absent, got "absnt", did you mean absent?; timeout must be an int, got "soon"; users[0].name is required; users[0].nam is unknown, did you mean name?; endpoint is unknown, did you mean endpoints?; supported options are endpoints, state, name, timeout, password, users"#);
    }

    #[test]
    fn a_rule_names_the_option_it_wants() {
        let failure = read(json!({ "state": "absent" })).unwrap_err();
        assert_eq!(failure.msg, "invalid options of demo: name is required when state is absent");
    }

    #[test]
    fn secrets_are_known_before_anything_is_reported() {
        let given =
            json!({ "password": "hunter2", "timeout": "hunter2", "users": [{ "name": "a", "password": "deep" }] });
        let (failure, masker) = read_arguments(&SPEC, given.as_object().cloned().unwrap());
        assert_eq!(
            masker.mask(&failure.unwrap_err().msg),
            "invalid options of demo: timeout must be an int, got \"********\""
        );
        assert_eq!(masker.mask("so deep"), "so ********");
    }

    #[test]
    fn a_value_is_a_secret_where_the_option_beside_it_says_so() {
        let option = Opt::new("files", Kind::List(&Kind::Dict), &["x"]).suboptions(
            const {
                &[
                    Opt::new("content", Kind::Str, &["x"]).no_log_if("sensitive"),
                    Opt::new("sensitive", Kind::Bool, &["x"]),
                ]
            },
        );
        let files = json!([{ "content": "deep", "sensitive": "yes" }, { "content": "open", "sensitive": false }]);
        let mut check = Check::default();
        check.learn_secrets(&option, json!({ "files": files }).as_object().unwrap());
        assert_eq!(check.masker.mask("deep open"), "******** open");
    }

    proptest! {
        /// Whatever arrives, reading it ends in arguments or in a failure, never in a panic.
        #[test]
        fn never_panics(name in "[a-z_]{0,12}", text in ".{0,40}", number in any::<i64>(), yes in any::<bool>()) {
            for value in [json!(text), json!(number), json!(yes), json!([text, number]), json!({ &name: number })] {
                for option in ["endpoints", "state", "timeout", "users", &name] {
                    let _ = read(json!({ option: value.clone() }));
                }
            }
        }
    }
}
