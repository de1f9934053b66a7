//! The command line. Ansible calls `MODULE ARGUMENT-FILE` (its binary modules) or `quorum-etcd MODULE -` (the
//! collection's action plugin, arguments on standard input); people may call both by hand.

use crate::{Entry, ErrorKind, Failure, Masker, Object, args, doc, read_arguments};
use clap::{Arg, ArgAction, Command};
use serde_json::Value;
use std::io::{Read, Write};
use std::path::Path;
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
    let mut words: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let called_as = words.first().and_then(|word| Path::new(word).file_stem()?.to_str()).unwrap_or_default().to_owned();
    let find = |name: &str| modules.iter().find(|entry| entry.spec.name == name);
    if let Some(entry) = find(&called_as) {
        return run_words(entry, version, words);
    }
    if let Some(entry) = words.get(1).and_then(|name| find(name)) {
        words.remove(0);
        return run_words(entry, version, words);
    }
    overview(executable, version, modules, &words)
}

fn overview(executable: &'static str, version: &'static str, modules: &[Entry], words: &[String]) -> ExitCode {
    let subcommands = modules.iter().map(|entry| Command::new(entry.spec.name).about(entry.spec.summary));
    let command = Command::new(executable)
        .version(version)
        .about("The Ansible modules of quorum.etcd in one executable")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommands(subcommands);
    match command.try_get_matches_from(words) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => usage(&error),
    }
}

fn usage(error: &clap::Error) -> ExitCode {
    // Nothing can be done about a closed terminal.
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

fn run_words(entry: &Entry, version: &'static str, words: Vec<String>) -> ExitCode {
    let command = Command::new(entry.spec.name)
        .version(version)
        .about(entry.spec.summary)
        .after_help(doc::option_help(entry.spec))
        .arg_required_else_help(true)
        .arg(Arg::new("doc").long("doc").action(ArgAction::SetTrue).help("Print the documentation as YAML"))
        .arg(
            Arg::new("arguments")
                .value_name("FILE")
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
    let source = matches.get_one::<String>("arguments").map(String::as_str).unwrap_or_default();
    let outcome = read_json(source).and_then(|given| run(entry, given));
    let failed = outcome.is_err();
    print(outcome.unwrap_or_else(Failure::into_object));
    ExitCode::from(u8::from(failed))
}

fn read_json(source: &str) -> Result<Object, Failure> {
    let mut text = String::new();
    let (name, read) = if source == "-" {
        ("standard input", std::io::stdin().lock().read_to_string(&mut text))
    } else {
        (source, std::fs::File::open(source).and_then(|mut file| file.read_to_string(&mut text)))
    };
    read.map_err(|error| Failure::io(format!("read the options from {name}"), error))?;
    let hint = "give the options as one JSON object";
    match serde_json::from_str(&text) {
        Ok(Value::Object(mut object)) => Ok(match object.shift_remove("ANSIBLE_MODULE_ARGS") {
            Some(Value::Object(inner)) => inner,
            _ => object,
        }),
        Ok(_) => Err(Failure::invalid_option(format!("{name} does not hold a JSON object: {hint}"))),
        Err(error) => Err(Failure::invalid_option(format!("{name} does not hold JSON: {error}: {hint}"))),
    }
}

/// One call: validation, the module's work, and the masked result.
fn run(entry: &Entry, given: Object) -> Result<Object, Failure> {
    let (arguments, masker) = read_arguments(entry.spec, given);
    *MASKER.lock().unwrap_or_else(PoisonError::into_inner) = Some(masker);
    let arguments = arguments?;
    let context = arguments.context;
    let invocation = arguments.inject_invocation.then(|| arguments.options.clone());
    let mut object = (entry.call)(arguments.options, &context)?.into_object(context.diff);
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
fn print(mut object: Object) {
    if let Some(masker) = MASKER.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
        masker.mask_object(&mut object);
    }
    write_out(&format!("{}\n", Value::Object(object)));
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
