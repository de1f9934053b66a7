use super::{program, quorum_etcd};
use quorum_etcd::MODULES;
use serde_json::Value;
use std::path::Path;
use std::process::{Output, Stdio};
use test_case::test_case;

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn help_lists_every_module() {
    let output = quorum_etcd(["--help"]).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty());
    for entry in MODULES {
        assert!(stdout(&output).contains(&format!("{}  ", entry.spec.name)), "{}", entry.spec.name);
        assert!(stdout(&output).contains(entry.spec.summary));
    }
}

#[test]
fn help_of_a_module_explains_every_option() {
    for entry in MODULES {
        let output = quorum_etcd([entry.spec.name, "--help"]).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty());
        let text = stdout(&output);
        assert!(text.starts_with(entry.spec.summary), "{text}");
        for option in entry.spec.all_options() {
            assert!(text.contains(&format!("\n  {} ({}", option.name, option.kind.name())), "{}", option.name);
        }
    }
}

#[test]
fn version_is_that_of_the_package() {
    let version = env!("CARGO_PKG_VERSION");
    let output = quorum_etcd(["--version"]).output().unwrap();
    assert_eq!((output.status.code(), stdout(&output)), (Some(0), format!("quorum-etcd {version}\n")));
    let output = quorum_etcd(["etcd_info", "--version"]).output().unwrap();
    assert_eq!((output.status.code(), stdout(&output)), (Some(0), format!("etcd_info {version}\n")));
}

#[test]
fn documentation_is_yaml_in_the_three_parts_that_ansible_knows() {
    for entry in MODULES {
        let name = entry.spec.name;
        let output = quorum_etcd([name, "--doc"]).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty());
        let parts: Vec<Value> = serde_saphyr::from_multiple(&stdout(&output)).unwrap();
        let [documentation, examples, returns] = parts.as_slice() else { panic!("{name}: {} parts", parts.len()) };
        assert_eq!(documentation["module"], name);
        let options = documentation["options"].as_object().unwrap();
        assert!(entry.spec.all_options().all(|option| options[option.name]["type"] == option.kind.name()), "{name}");
        let full_name = format!("quorum.etcd.{name}");
        assert!(examples.as_array().unwrap().iter().any(|task| task.get(&full_name).is_some()), "{name}");
        assert!(entry.spec.returns.iter().all(|value| returns[value.name]["description"].is_string()), "{name}");
    }
}

#[test_case(&[], "Usage: quorum-etcd <COMMAND>"; "nothing")]
#[test_case(&["etcd_info"], "Usage: etcd_info [OPTIONS] [FILE]"; "a module alone")]
#[test_case(&["etcd_inof", "-"], "there is no module etcd_inof, did you mean etcd_info?"; "a mistyped module")]
#[test_case(&["zookeeper"], "there is no module zookeeper\n"; "a module far from any")]
#[test_case(&["--modules"], "unexpected argument '--modules'"; "an unknown flag")]
#[test_case(&["etcd_info", "-", "-"], "unexpected argument '-'"; "too many words")]
#[test_case(&["etcd_info", "--docs"], "unexpected argument '--docs'"; "a mistyped flag of a module")]
fn a_mistake_is_explained_on_standard_error(words: &[&str], wanted: &str) {
    let output = quorum_etcd([]).args(words).output().unwrap();
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(2), ""));
    assert!(stderr(&output).contains(wanted), "{}", stderr(&output));
    assert!(stderr(&output).contains("Usage: "), "{}", stderr(&output));
}

#[test]
fn no_executable_but_this_one_answers_to_a_module_that_does_not_exist() {
    let directory = tempfile::tempdir().unwrap();
    let link = directory.path().join("etcd_nothing");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_quorum-etcd"), &link).unwrap();
    let output = program(&link, ["/dev/null"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("there is no module /dev/null"), "{}", stderr(&output));
}

/// Starts it with a standard output that nobody reads any more, and gives it its input only then.
fn unread(words: &[&str], input: &str) -> Output {
    let mut command = std::process::Command::new(Path::new(env!("CARGO_BIN_EXE_quorum-etcd")));
    command.env_clear().args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    // It may have ended already, if it wants no input.
    let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes());
    child.wait_with_output().unwrap()
}

#[test_case(&["etcd_conf", "-"], r#"{"directories": [], "_ansible_check_mode": true}"#; "a result")]
#[test_case(&["etcd_conf", "-"], "{}"; "a failure")]
fn a_result_that_nobody_reads_is_a_failure_without_noise(words: &[&str], input: &str) {
    let output = unread(words, input);
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(1), ""));
}

#[test]
fn help_that_nobody_reads_is_no_defect() {
    let output = unread(&["--help"], "");
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
}
