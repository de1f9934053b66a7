//! The command line.

use crate::{NAME, config};
use clap::{Arg, ArgAction, Command, value_parser};
use std::ffi::OsString;
use std::path::PathBuf;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Take a snapshot, if it is this member's turn.
    Take,
    /// Say which snapshot is the newest that is whole.
    Newest,
    /// Restore it where nobody uses it, and compare.
    Drill,
}

/// Reads the words: the configuration file, and what is to be done.
pub(crate) fn parse(words: impl Iterator<Item = OsString>) -> Result<(PathBuf, What), clap::Error> {
    let matches = command().try_get_matches_from(std::iter::once(NAME.into()).chain(words))?;
    let what = [("newest", What::Newest), ("drill", What::Drill)];
    let what = what.into_iter().find(|(name, _)| matches.get_flag(name)).map_or(What::Take, |(_, what)| what);
    Ok((matches.get_one::<PathBuf>("config").cloned().unwrap_or_default(), what))
}

fn command() -> Command {
    let flag = |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    Command::new(NAME)
        .version(env!("CARGO_PKG_VERSION"))
        .about(config::SPEC.summary)
        .after_help("Exit codes: 0 done, or another member's turn; 1 failed; 2 wrong arguments.")
        .arg(
            Arg::new("config")
                .long("config")
                .value_name("FILE")
                .required(true)
                .value_parser(value_parser!(PathBuf))
                .help("The configuration, a JSON object"),
        )
        .arg(flag("newest", "Print the newest snapshot in dir that is whole, as JSON").conflicts_with("drill"))
        .arg(flag("drill", "Restore the newest snapshot in dir, serve it on loopback, compare, and clean up"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("--config a", Some(What::Take))]
    #[test_case("--newest --config=a", Some(What::Newest); "another order")]
    #[test_case("--config a --newest", Some(What::Newest))]
    #[test_case("--config a --drill", Some(What::Drill))]
    #[test_case("--config a --verify", None; "unknown")]
    #[test_case("--config a --newest --drill", None; "two things")]
    #[test_case("--newest", None; "no configuration")]
    fn reads_words(text: &str, wanted: Option<What>) {
        command().debug_assert();
        let parsed = parse(text.split_whitespace().map(OsString::from)).ok();
        assert_eq!(parsed, wanted.map(|what| ("a".into(), what)));
    }
}
