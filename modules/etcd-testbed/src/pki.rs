use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use std::fs;
use std::path::{Path, PathBuf};

/// A certificate and its key, as PEM files.
#[derive(Clone, Debug)]
pub struct CertFiles {
    /// The certificate.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// What a certificate says.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// The common name, which etcd takes for a user where `client-cert-auth` is on.
    pub common_name: Option<String>,
    /// The addresses it is valid for.
    pub names: Vec<String>,
    /// Whether it ran out in 2001.
    pub expired: bool,
}

impl Default for Leaf {
    /// For this machine, without common name.
    fn default() -> Self {
        let names = ["127.0.0.1", "localhost"].map(ToOwned::to_owned).to_vec();
        Self { common_name: None, names, expired: false }
    }
}

/// A certificate authority in a directory, and one certificate that servers and clients share.
pub struct Pki {
    directory: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Pki {
    /// Makes an authority of that name; also one that nobody trusts. A cluster's own is called `testbed`.
    ///
    /// # Panics
    ///
    /// When the directory cannot be written.
    #[must_use]
    pub fn create(directory: &Path, common_name: &str) -> Self {
        fs::create_dir_all(directory).expect("make the directory of the certificates");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name = name(Some(common_name));
        let key = KeyPair::generate().expect("make the key of the authority");
        let certificate = params.self_signed(&key).expect("sign the authority");
        fs::write(directory.join("ca.crt"), certificate.pem()).expect("write ca.crt");
        fs::write(directory.join("ca.key"), key.serialize_pem()).expect("write ca.key");
        let pki = Self { directory: directory.to_owned(), issuer: Issuer::new(params, key) };
        let _ = pki.issue("server", &Leaf::default());
        let _ = pki.issue("client", &Leaf::default());
        pki
    }

    /// The authority's certificate.
    #[must_use]
    pub fn ca_cert(&self) -> PathBuf {
        self.directory.join("ca.crt")
    }

    /// What the servers use, for clients and peers alike. Servers read it anew for every connection: what
    /// `issue("server", …)` puts there counts at once.
    #[must_use]
    pub fn server(&self) -> CertFiles {
        self.files("server")
    }

    /// What `etcdctl` uses.
    #[must_use]
    pub fn client(&self) -> CertFiles {
        self.files("client")
    }

    /// Issues a certificate into `NAME.crt` and `NAME.key`.
    ///
    /// # Panics
    ///
    /// When it cannot be made or written.
    #[must_use]
    pub fn issue(&self, file: &str, leaf: &Leaf) -> CertFiles {
        let mut params = CertificateParams::new(leaf.names.clone()).expect("names fit for a certificate");
        params.distinguished_name = name(leaf.common_name.as_deref());
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        if leaf.expired {
            params.not_before = date_time_ymd(2000, 1, 1);
            params.not_after = date_time_ymd(2001, 1, 1);
        }
        let key = KeyPair::generate().expect("make a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("sign a certificate");
        let files = self.files(file);
        fs::write(&files.cert, certificate.pem()).expect("write a certificate");
        fs::write(&files.key, key.serialize_pem()).expect("write a key");
        files
    }

    fn files(&self, name: &str) -> CertFiles {
        let path = |end: &str| self.directory.join(format!("{name}.{end}"));
        CertFiles { cert: path("crt"), key: path("key") }
    }
}

fn name(common_name: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "quorum.etcd testbed");
    if let Some(common_name) = common_name {
        name.push(DnType::CommonName, common_name);
    }
    name
}
