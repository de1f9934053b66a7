use crate::pem;
use rcgen::{KeyPair, PublicKeyData};

/// What `openssl` would be asked to do with a key that cannot be used.
const ADVICE: &str =
    "usable are ECDSA P-256 and P-384, Ed25519, and RSA of 2048 to 4096 bits, in PKCS#8, PKCS#1 or SEC 1";

/// A private key. Nothing about it but its public half ever leaves this type as text, except to be written to its file.
pub(crate) struct Key(KeyPair);

impl Key {
    /// Makes an ECDSA P-256 key.
    pub(crate) fn generate() -> Result<Self, String> {
        KeyPair::generate().map(Self).map_err(|error| format!("cannot make a private key: {error}"))
    }

    /// Reads the first private key of a PEM text.
    pub(crate) fn from_pem(text: &str) -> Result<Self, String> {
        if pem::is_encrypted(text) {
            return Err("the private key is encrypted; decrypt it: openssl pkey -in FILE -out FILE.plain".into());
        }
        let blocks = pem::blocks(text, |label| label == "PRIVATE KEY" || label.ends_with(" PRIVATE KEY"))?;
        let block = blocks.first().ok_or("there is no PEM block with a private key in it")?;
        let pkcs8 = match block.label.as_str() {
            "PRIVATE KEY" => block.contents.clone(),
            "RSA PRIVATE KEY" => wrap(RSA, &block.contents),
            "EC PRIVATE KEY" => return Self::from_sec1(&block.contents),
            other => return Err(format!("the private key is of the unknown form \"{other}\"; {ADVICE}")),
        };
        Self::from_pkcs8(pkcs8)
    }

    fn from_pkcs8(pkcs8: Vec<u8>) -> Result<Self, String> {
        // The library's own reason is always the same; this one helps.
        KeyPair::try_from(pkcs8)
            .map(Self)
            .map_err(|_| format!("the private key is damaged or of a kind not usable here; {ADVICE}"))
    }

    /// SEC 1 names the curve inside; trying both is shorter than parsing it.
    fn from_sec1(sec1: &[u8]) -> Result<Self, String> {
        Self::from_pkcs8(wrap(P256, sec1)).or_else(|_| Self::from_pkcs8(wrap(P384, sec1)))
    }

    /// The public half, as certificates hold it (DER SubjectPublicKeyInfo).
    pub(crate) fn public(&self) -> Vec<u8> {
        self.0.subject_public_key_info()
    }

    /// The key as PEM, for its own file and nothing else.
    pub(crate) fn to_pem(&self) -> String {
        self.0.serialize_pem()
    }

    /// The signing half.
    pub(crate) fn pair(&self) -> &KeyPair {
        &self.0
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Key(hidden)")
    }
}

/// AlgorithmIdentifier of an RSA key.
const RSA: &[u8] = &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
/// AlgorithmIdentifier of a key on the curve P-256.
const P256: &[u8] = &[
    0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03,
    0x01, 0x07,
];
/// AlgorithmIdentifier of a key on the curve P-384.
const P384: &[u8] =
    &[0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];

/// Wraps a key of the older forms into PKCS#8: `SEQUENCE { INTEGER 0, algorithm, OCTET STRING key }`.
fn wrap(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    let body = [&[0x02, 0x01, 0x00], algorithm, &tagged(0x04, key)].concat();
    tagged(0x30, &body)
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let significant = &length[length.iter().position(|byte| *byte != 0).unwrap_or(length.len() - 1)..];
    let mut der = vec![tag];
    if content.len() >= 0x80 {
        // The long form's count of length bytes; never more than eight.
        der.push(0x80 | significant.len() as u8);
    }
    der.extend_from_slice(significant);
    der.extend_from_slice(content);
    der
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_its_own_file() {
        let key = Key::generate().unwrap();
        assert_eq!(Key::from_pem(&key.to_pem()).unwrap().public(), key.public());
        assert_eq!(format!("{key:?}"), "Key(hidden)");
    }

    #[test]
    fn says_what_is_wrong_with_a_key() {
        let problem = |text: &str| Key::from_pem(text).unwrap_err();
        assert_eq!(problem(""), "there is no PEM block with a private key in it");
        assert!(problem("-----BEGIN ENCRYPTED PRIVATE KEY-----\n").starts_with("the private key is encrypted"));
        assert!(problem("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").contains("damaged"));
        assert!(problem("-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----\n").contains("malformed"));
        assert!(problem("-----BEGIN PRIVATE KEY-----\nAAAA\n").contains("malformed"));
    }

    #[test]
    fn der_lengths_are_short_or_long() {
        assert_eq!(tagged(4, &[]), [4, 0]);
        assert_eq!(tagged(4, &[7; 127])[..2], [4, 127]);
        assert_eq!(tagged(4, &[7; 128])[..3], [4, 0x81, 128]);
        assert_eq!(tagged(4, &[7; 300])[..4], [4, 0x82, 1, 44]);
    }
}
