//! The command line. Ansible calls `MODULE ARGUMENT-FILE` (its binary modules) or `quorum-etcd MODULE -` (the
//! collection's action plugin, arguments on standard input); people may call both by hand.

use crate::{Entry, ErrorKind, Failure, Masker, Object, Outcome, args, doc, read_arguments};
use clap::error::ErrorKind as Usage;
use clap::{Arg, ArgAction, Command, value_parser};
use serde_json::Value;
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

/// The secrets of the call under way, for the panic hook.
static MASKER: Mutex<Option<Masker>> = Mutex::new(None);

/// Runs the multi-call executable: the module is named by the executable's own file name, or by the first argument.
#[must_use]
pub fn main(executable: &'static str, version: &'static str, modules: &'static [Entry]) -> ExitCode {
    std::panic::set_hook(Box::new(|info| {
        print(panic_failure(&info.to_string()).into_object());
    }));
    let mut words: Vec<OsString> = std::env::args_os().collect();
    let find = |name: &OsStr| modules.iter().find(|entry| name == entry.spec.name);
    if let Some(entry) = words.first().and_then(|word| find(module_of(word)?)) {
        return run_words(entry, version, words);
    }
    if let Some(entry) = words.get(1).and_then(|name| find(name)) {
        words.remove(0);
        return run_words(entry, version, words);
    }
    overview(executable, version, modules, &words)
}

impl Entry {
    /// Checks the options and does the module's work, for programs of the same executable.
    ///
    /// # Errors
    ///
    /// What Ansible would be told.
    pub fn run(&self, given: Object) -> Result<Outcome, Failure> {
        let arguments = read_arguments(self.spec, given).0?;
        (self.call)(arguments.options, &arguments.context)
    }
}

/// The module that a file's name stands for: Ansible puts a word before the names of binary modules on the target.
fn module_of(word: &OsStr) -> Option<&OsStr> {
    let name = Path::new(word).file_stem()?;
    Some(name.to_str().and_then(|name| name.strip_prefix("AnsiballZ_")).map_or(name, OsStr::new))
}

fn overview(executable: &'static str, version: &'static str, modules: &[Entry], words: &[OsString]) -> ExitCode {
    let subcommands = modules.iter().map(|entry| Command::new(entry.spec.name).about(entry.spec.summary));
    let mut command = Command::new(executable)
        .version(version)
        .about("The Ansible modules of quorum.etcd in one executable")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommands(subcommands);
    match (command.try_get_matches_from_mut(words), words.get(1)) {
        (Ok(_), _) => ExitCode::SUCCESS,
        (Err(error), Some(name)) if error.kind() == Usage::InvalidSubcommand => {
            let name = name.to_string_lossy();
            let near = args::nearest(&name, modules.iter().map(|entry| entry.spec.name));
            let hint = near.map(|near| format!(", did you mean {near}?")).unwrap_or_default();
            usage(&command.error(Usage::InvalidSubcommand, format!("there is no module {name}{hint}")))
        }
        (Err(error), _) => usage(&error),
    }
}

fn usage(error: &clap::Error) -> ExitCode {
    // Nothing can be done about a closed terminal.
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

fn run_words(entry: &Entry, version: &'static str, words: Vec<OsString>) -> ExitCode {
    let command = Command::new(entry.spec.name)
        .version(version)
        .about(entry.spec.summary)
        .after_help(doc::option_help(entry.spec))
        .arg_required_else_help(true)
        .arg(Arg::new("doc").long("doc").action(ArgAction::SetTrue).help("Print the documentation as YAML"))
        .arg(
            Arg::new("arguments")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("The options as a JSON object; - reads standard input")
                .required_unless_present("doc"),
        );
    let matches = match command.try_get_matches_from(words) {
        Ok(matches) => matches,
        Err(error) => return usage(&error),
    };
    if matches.get_flag("doc") {
        return write_out(&doc::documentation(entry.spec));
    }
    let source = matches.get_one::<PathBuf>("arguments").map_or(Path::new("-"), PathBuf::as_path);
    let object = read_json(source).and_then(|given| run(entry, given)).unwrap_or_else(Failure::into_object);
    let failed = object.contains_key("failed");
    let written = print(object);
    if failed { ExitCode::FAILURE } else { written }
}

fn read_json(source: &Path) -> Result<Object, Failure> {
    let mut text = String::new();
    let (name, read) = if source == "-" {
        ("standard input".into(), std::io::stdin().lock().read_to_string(&mut text))
    } else {
        let read = std::fs::File::open(source).and_then(|mut file| file.read_to_string(&mut text));
        (source.to_string_lossy(), read)
    };
    read.map_err(|error| Failure::io(format!("read the options from {name}"), error))?;
    let refuse = |what: &str| {
        Err(Failure::invalid_option(format!("{name} does not hold {what}: give the options as one JSON object")))
    };
    match serde_json::from_str(&text) {
        Ok(Value::Object(mut object)) => match object.shift_remove("ANSIBLE_MODULE_ARGS") {
            None => Ok(object),
            Some(Value::Object(inner)) => Ok(inner),
            Some(_) => refuse("a JSON object in ANSIBLE_MODULE_ARGS"),
        },
        Ok(_) => refuse("a JSON object"),
        Err(error) => refuse(&format!("JSON ({error})")),
    }
}

/// One call: validation, the module's work, and the masked result.
fn run(entry: &Entry, given: Object) -> Result<Object, Failure> {
    let (arguments, masker) = read_arguments(entry.spec, given);
    *MASKER.lock().unwrap_or_else(PoisonError::into_inner) = Some(masker);
    let arguments = arguments?;
    let context = arguments.context;
    let invocation = arguments.inject_invocation.then(|| arguments.options.clone());
    let outcome = (entry.call)(arguments.options, &context);
    let mut object = outcome.map_or_else(Failure::into_object, |outcome| outcome.into_object(context.diff));
    if let Some(options) = invocation {
        object.insert("invocation".into(), serde_json::json!({ "module_args": options }));
    }
    Ok(object)
}

fn panic_failure(info: &str) -> Failure {
    Failure::new(
        ErrorKind::Internal,
        format!("the module has a defect and stopped: {}; please report it with this text", info.replace('\n', ": ")),
    )
}

/// The only place that writes a result.
fn print(mut object: Object) -> ExitCode {
    if let Some(masker) = MASKER.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
        masker.mask_object(&mut object);
    }
    write_out(&format!("{}\n", Value::Object(object)))
}

fn write_out(text: &str) -> ExitCode {
    let mut out = std::io::stdout().lock();
    // Whoever was to read it has gone: the exit status is all that is left to say so.
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(1),
    }
}

/// The known name nearest to a mistyped one, for modules that check names of their own.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    args::nearest(name, known)
}
