//! Configurations that contradict themselves: what etcd would refuse when it starts, or regret later. Pure.
//!
//! Every key is known and of the right type here, or reported already; what does not have the right type is skipped.

use crate::url::Url;
use ansible_protocol::Object;
use etcd_ops::catalogue::{Kind, Problem, coerce};
use serde_json::Value;
use std::path::Path;

/// What etcd assumes of these keys when they are not given.
const HEARTBEAT: i64 = 100;
const ELECTION: i64 = 1000;
pub(crate) const PEER_URL: &str = "http://localhost:2380";
/// The longest election timeout that etcd takes.
const LONGEST_ELECTION: i64 = 50_000;

const CLIENT: &str = "client-transport-security";
const PEER: &str = "peer-transport-security";

/// Finds what contradicts itself.
#[must_use]
pub(crate) fn check(config: &Object) -> Vec<Problem> {
    let mut found = Found { config, problems: Vec::new() };
    found.listening();
    found.transport(CLIENT, &["listen-client-urls", "listen-client-http-urls", "advertise-client-urls"]);
    found.transport(PEER, &["listen-peer-urls", "initial-advertise-peer-urls"]);
    crate::members::check(config, &mut found.problems);
    found.bootstrapping();
    found.timing();
    found.storage();
    found.dangers();
    found.problems
}

/// The text of a key, if it has one.
pub(crate) fn text<'a>(config: &'a Object, key: &str) -> Option<&'a str> {
    config.get(key)?.as_str().filter(|text| !text.is_empty())
}

/// The URLs of a key, as far as they are valid, and what is wrong with the others.
pub(crate) fn urls(config: &Object, key: &str) -> (Vec<Url>, Vec<String>) {
    let parts = text(config, key).unwrap_or_default().split(',').filter(|part| !part.is_empty()).map(Url::parse);
    let (good, bad): (Vec<_>, Vec<_>) = parts.partition(Result::is_ok);
    (good.into_iter().flatten().collect(), bad.into_iter().filter_map(Result::err).collect())
}

struct Found<'a> {
    config: &'a Object,
    problems: Vec<Problem>,
}

impl Found<'_> {
    fn refuse(&mut self, key: &str, what: impl std::fmt::Display) {
        self.problems.push(Problem::refusal(key, what));
    }

    fn warn(&mut self, key: &str, what: impl std::fmt::Display) {
        self.problems.push(Problem::warning(key, what));
    }

    fn number(&self, key: &str) -> Option<i64> {
        self.config.get(key)?.as_i64()
    }

    fn is_on(&self, section: &str, key: &str) -> bool {
        self.config.get(section).and_then(|section| section.get(key)) == Some(&Value::Bool(true))
    }

    fn listening(&mut self) {
        let lists = [
            "listen-peer-urls",
            "listen-client-urls",
            "listen-client-http-urls",
            "listen-metrics-urls",
            "initial-advertise-peer-urls",
            "advertise-client-urls",
        ];
        for key in lists {
            let (good, bad) = urls(self.config, key);
            for error in bad {
                self.refuse(key, format_args!("is wrong: {error}"));
            }
            for url in &good {
                if key.starts_with("listen-") && !url.is_listenable() {
                    self.refuse(
                        key,
                        format_args!("needs an address, for etcd refuses to listen on the name {}", url.host),
                    );
                } else if !url.is_socket() && url.host.is_empty() {
                    self.refuse(key, format_args!("has no host in {}", url.text));
                }
            }
            if let Some(double) = good.iter().enumerate().find(|(index, url)| good[..*index].contains(url)) {
                self.refuse(key, format_args!("has {} twice", double.1.text));
            }
        }
        if text(self.config, "listen-client-urls").is_some() && text(self.config, "advertise-client-urls").is_none() {
            self.warn(
                "advertise-client-urls",
                "is not set, so clients of other members are sent to http://localhost:2379",
            );
        }
    }

    /// The lists of URLs against each other and against the TLS files of their section.
    fn transport(&mut self, section: &str, lists: &[&str]) {
        let file = |key: &str| self.config.get(section).and_then(|section| text(section.as_object()?, key));
        for (one, other) in [("cert-file", "key-file"), ("client-cert-file", "client-key-file")] {
            match (file(one).is_some(), file(other).is_some()) {
                (true, false) => self.refuse(&format!("{section}.{one}"), format_args!("needs {other} as well")),
                (false, true) => self.refuse(&format!("{section}.{other}"), format_args!("needs {one} as well")),
                _ => {}
            }
        }
        let file = |key: &str| self.config.get(section).and_then(|section| text(section.as_object()?, key));
        let has_certificate = file("cert-file").is_some();
        let can_tls = has_certificate || self.is_on(section, "auto-tls");
        for key in lists {
            let (good, _) = urls(self.config, key);
            let (tls, plain): (Vec<&Url>, Vec<&Url>) = good.iter().partition(|url| url.is_tls());
            match (tls.first(), plain.first()) {
                (Some(tls), Some(plain)) => {
                    self.refuse(key, format_args!("mixes {} and {}: use https for all of them", tls.text, plain.text));
                }
                (Some(tls), None) if !can_tls => {
                    self.refuse(key, format_args!("has {}, but {section} has no cert-file and key-file", tls.text));
                }
                (None, Some(plain)) if has_certificate => {
                    self.refuse(key, format_args!("has {}, but {section} has a cert-file: use https", plain.text));
                }
                _ => {}
            }
        }
        if section == CLIENT && self.is_on(section, "client-cert-auth") {
            self.warn(
                &format!("{section}.client-cert-auth"),
                "makes every gateway request fail whose certificate has a CN (Patroni's, for one); trusted-ca-file alone demands a certificate too",
            );
        }
    }

    fn bootstrapping(&mut self) {
        let ways = ["initial-cluster", "discovery", "discovery-srv"].map(|key| (key, text(self.config, key).is_some()));
        let discovery = self.config.get("discovery-config").and_then(|config| config.get("client")?.get("endpoints"));
        let discovery = discovery.and_then(Value::as_array).is_some_and(|endpoints| !endpoints.is_empty());
        let given = ways.into_iter().chain([("discovery-config", discovery)]).filter(|(_, given)| *given);
        let given: Vec<&str> = given.map(|(key, _)| key).collect();
        if let [first, rest @ ..] = given.as_slice()
            && !rest.is_empty()
        {
            self.refuse(first, format_args!("and {} exclude each other", rest.join(" and ")));
        }
    }

    fn timing(&mut self) {
        let heartbeat = self.number("heartbeat-interval").unwrap_or(HEARTBEAT);
        let election = self.number("election-timeout").unwrap_or(ELECTION);
        if heartbeat == 0 {
            self.refuse("heartbeat-interval", "must be more than 0 ms");
        }
        if election > LONGEST_ELECTION {
            self.refuse(
                "election-timeout",
                format_args!("is {election} ms, but etcd takes {LONGEST_ELECTION} at most"),
            );
        } else if election < heartbeat.saturating_mul(5) {
            let least = heartbeat.saturating_mul(5);
            self.refuse(
                "election-timeout",
                format_args!(
                    "is {election} ms, but must be five times the heartbeat-interval ({heartbeat} ms) or more: {least}"
                ),
            );
        }
    }

    fn storage(&mut self) {
        if let (Some(data), Some(wal)) = (text(self.config, "data-dir"), text(self.config, "wal-dir"))
            && Path::new(data).components().eq(Path::new(wal).components())
        {
            self.refuse("wal-dir", format_args!("is the data-dir ({data}): name another, or leave it out"));
        }
        for key in ["data-dir", "wal-dir"] {
            if text(self.config, key).is_some_and(|path| !Path::new(path).is_absolute()) {
                self.refuse(key, "must be an absolute path: etcd would look from wherever it is started");
            }
        }
        if let Some(quota) = self.number("quota-backend-bytes").filter(|quota| *quota < 0) {
            self.refuse("quota-backend-bytes", format_args!("is {quota}, which takes every limit off the database"));
        }
        let Some(retention) = text(self.config, "auto-compaction-retention") else { return };
        let mode = text(self.config, "auto-compaction-mode").unwrap_or("periodic");
        let number = retention.parse::<u64>().is_ok();
        if mode == "revision" && !number {
            self.refuse(
                "auto-compaction-retention",
                format_args!("is {retention}, but mode revision wants a number of revisions"),
            );
        } else if mode == "periodic" && !number && coerce(Kind::Duration, &retention.into()).is_err() {
            self.refuse(
                "auto-compaction-retention",
                format_args!("is {retention}, but mode periodic wants a time such as 24h"),
            );
        }
    }

    fn dangers(&mut self) {
        let value = |key: &str| self.config.get(key).and_then(Value::as_bool);
        let (force, no_fsync, strict) =
            (value("force-new-cluster"), value("unsafe-no-fsync"), value("strict-reconfig-check"));
        if force == Some(true) {
            self.refuse(
                "force-new-cluster",
                "in the file would cut this member off its cluster at every start; restore a snapshot instead",
            );
        }
        if no_fsync == Some(true) {
            self.warn("unsafe-no-fsync", "loses acknowledged writes when the power fails");
        }
        if strict == Some(false) {
            self.warn("strict-reconfig-check", "is off, so etcd accepts changes that cost the cluster its quorum");
        }
    }
}
