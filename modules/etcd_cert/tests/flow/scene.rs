use ansible_protocol::{Context, Failure, Module, Object, Outcome, read_arguments};
use etcd_cert::EtcdCert;
use serde_json::{Value, json};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Calls the module as Ansible would.
pub(crate) fn call(options: &Value) -> Result<Outcome, Failure> {
    let (arguments, _) = read_arguments(&EtcdCert::SPEC, options.as_object().cloned().unwrap());
    let arguments = arguments?;
    let params = serde_json::from_value(Value::Object(arguments.options)).unwrap();
    EtcdCert::run(params, &Context { diff: true, ..arguments.context })
}

/// A controller with a CA directory and a host with a configuration directory.
pub(crate) struct Scene {
    dir: tempfile::TempDir,
    pub(crate) common_name: String,
    pub(crate) names: Vec<String>,
    pub(crate) check: bool,
    /// Options added to every call.
    pub(crate) extra: Object,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("etcd")).unwrap();
        let names = ["etcd-1", "localhost", "127.0.0.1", "::1"].map(Into::into).into();
        Self { dir, common_name: "etcd-1".into(), names, check: false, extra: Object::new() }
    }

    pub(crate) fn ca_dir(&self) -> PathBuf {
        self.dir.path().join("pki/ca")
    }

    pub(crate) fn ca_file(&self, name: &str) -> PathBuf {
        self.ca_dir().join(name)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join("etcd").join(name)
    }

    fn options(&self, state: &str, more: &Value) -> Value {
        let mut options = json!({ "state": state, "_ansible_check_mode": self.check });
        let map = options.as_object_mut().unwrap();
        map.extend(self.extra.clone());
        map.extend(more.as_object().cloned().unwrap());
        options
    }

    fn host_options(&self, state: &str, more: &Value) -> Value {
        let owner = std::fs::metadata(self.dir.path()).unwrap();
        let mut options = json!({
            "common_name": self.common_name, "subject_alt_names": self.names,
            "key_file": self.file("server.key"), "cert_file": self.file("server.crt"), "ca_file": self.file("ca.crt"),
            "owner": owner.uid().to_string(), "group": owner.gid().to_string(),
        });
        options.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        self.options(state, &options)
    }

    pub(crate) fn authority(&self) -> Result<Outcome, Failure> {
        call(&self.options("authority", &json!({ "ca_dirs": [self.ca_dir()] })))
    }

    /// The CA certificate as the controller hands it on.
    pub(crate) fn ca_pem(&self) -> Value {
        self.authority().unwrap().values["authorities"][self.ca_dir().to_str().unwrap()]["certificate"].clone()
    }

    pub(crate) fn requested(&self) -> Result<Outcome, Failure> {
        call(&self.host_options("requested", &json!({ "ca_certificate": self.ca_pem() })))
    }

    pub(crate) fn signed(&self, csr: &Value) -> Result<Outcome, Failure> {
        let more = json!({ "csr": csr, "ca_dir": self.ca_dir(),
                           "common_name": self.common_name, "subject_alt_names": self.names });
        call(&self.options("signed", &more))
    }

    pub(crate) fn present(&self, certificate: &Value) -> Result<Outcome, Failure> {
        call(&self.host_options("present", &json!({ "ca_certificate": self.ca_pem(), "certificate": certificate })))
    }

    /// The four states as a playbook runs them; returns what `requested` said and whether anything changed.
    pub(crate) fn converge(&self) -> (Outcome, bool) {
        let mut changed = self.authority().unwrap().changed;
        let requested = self.requested().unwrap();
        changed |= requested.changed;
        let needed = requested.values["needed"].as_array().unwrap().clone();
        let mut certificate = Value::Null;
        if needed.contains(&json!("certificate")) {
            let signed = self.signed(&requested.values["csr"]).unwrap();
            changed |= signed.changed;
            certificate = signed.values["certificate"].clone();
        }
        if !needed.is_empty() {
            changed |= self.present(&certificate).unwrap().changed;
        }
        (requested, changed)
    }

    pub(crate) fn set(&mut self, option: &str, value: Value) {
        self.extra.insert(option.into(), value);
    }

    /// Every file with mode and content.
    pub(crate) fn snapshot(&self) -> Vec<(PathBuf, u32, Vec<u8>)> {
        let mut files = Vec::new();
        let mut dirs = vec![self.dir.path().to_owned()];
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
                let mode = entry.metadata().unwrap().mode();
                if entry.is_dir() {
                    dirs.push(entry.clone());
                }
                files.push((entry.clone(), mode, std::fs::read(&entry).unwrap_or_default()));
            }
        }
        files.sort();
        files
    }

    pub(crate) fn openssl(&self, words: &str) -> Output {
        openssl(self.dir.path(), words)
    }
}

/// Runs `openssl` in the directory; it must succeed.
pub(crate) fn openssl(dir: &Path, words: &str) -> Output {
    let output = Command::new("openssl").args(words.split_whitespace()).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "openssl {words}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

pub(crate) fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().mode() & 0o7777
}

pub(crate) fn texts(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}
