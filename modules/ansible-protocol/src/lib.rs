//! Ansible's JSON module protocol for native executables.
//!
//! A module is a [`ModuleSpec`] (its option table and documentation), a typed parameter struct and a function from
//! those parameters to an [`Outcome`] or a [`Failure`]. From the one table come validation, coercion, `--help`,
//! `--doc`, and the generated Python stubs that `ansible-doc` and the linters read.
//!
//! The protocol as Ansible speaks it: one JSON object of arguments in (a file named by `argv[1]`, or standard input
//! for `-`), one JSON object out on standard output, exit status 0 or 1. Control arguments start with `_ansible_`.

/// Reading, checking and coercing the arguments.
mod args;
/// The command line: by hand, as a multi-call executable, and as Ansible calls it.
mod cli;
/// Conversions of single values, as AnsibleModule makes them.
mod coerce;
/// Documentation for people.
pub mod doc;
/// Hiding secrets in whatever leaves the process.
mod mask;
/// Putting short lists in order.
pub mod order;
/// From checked options to typed parameters.
mod params;
/// What a module returns.
mod result;
/// Documentation for Ansible's tools.
pub mod stub;
/// The option tables.
mod table;
/// JSON as YAML.
mod yaml;

pub use args::{Arguments, read_arguments};
pub use cli::{main, nearest};
pub use coerce::boolean;
pub use mask::Masker;
pub use result::{Diff, ErrorKind, Failure, Outcome};
pub use table::{Context, Default, Entry, Fragment, Kind, Module, ModuleSpec, Opt, Ret, Rule, Support};

/// The JSON object type of arguments and results.
pub type Object = serde_json::Map<String, serde_json::Value>;
