//! The module as Ansible calls it, on real files and with real servers.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in helper functions as well")]

/// Runs that are killed.
mod killed;
/// Keys laid over the configuration that is there.
mod merging;
/// Everything that is refused, and how.
mod refusals;
/// What is gone from the disk, and what is not.
mod removing;
/// What etcd itself makes of the written configuration.
mod servers;
/// What ends up on the disk.
mod writing;

use ansible_protocol::{Failure, Module, Outcome, read_arguments};
use etcd_conf::EtcdConf;
use serde_json::{Value, json};

/// Calls the module with the options.
fn run(options: Value) -> Result<Outcome, Failure> {
    let arguments = read_arguments(&EtcdConf::SPEC, options.as_object().cloned().unwrap()).0?;
    let params = serde_json::from_value(Value::Object(arguments.options)).unwrap();
    EtcdConf::run(params, &arguments.context)
}

/// The options in check mode.
fn checked(mut options: Value) -> Value {
    options["_ansible_check_mode"] = json!(true);
    options
}

/// Calls the module in check mode and for real, and checks that the first predicted the second and that a third
/// call has nothing to do.
fn run_thrice(options: &Value) -> Outcome {
    let predicted = run(checked(options.clone())).unwrap();
    let done = run(options.clone()).unwrap();
    assert_eq!(predicted.diff, done.diff);
    assert_eq!(predicted.changed, done.changed);
    let without_backups = |outcome: &Outcome| {
        let mut values = outcome.values.clone();
        for list in ["files", "directories"] {
            for item in values[list].as_array_mut().unwrap() {
                item.as_object_mut().unwrap().shift_remove("backup");
            }
        }
        if let Some(config) = values.get_mut("config") {
            config.as_object_mut().unwrap().shift_remove("backup");
        }
        values
    };
    assert_eq!(without_backups(&predicted), without_backups(&done));
    let again = run(options.clone()).unwrap();
    assert!(!again.changed && again.diff.is_empty(), "{again:?}");
    done
}

/// Who runs the tests, as options.
fn me() -> (String, String) {
    (nix::unistd::geteuid().to_string(), nix::unistd::getegid().to_string())
}
