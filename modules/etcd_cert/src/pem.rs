use x509_parser::pem::Pem;

/// Whether the text holds an encrypted private key.
pub(crate) fn is_encrypted(text: &str) -> bool {
    text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") || text.contains("Proc-Type: 4,ENCRYPTED")
}

/// The PEM blocks of the text whose label is accepted, in order; blocks with other labels and text between are skipped.
pub(crate) fn blocks(text: &str, accepted: impl Fn(&str) -> bool) -> Result<Vec<Pem>, String> {
    let mut found = Vec::new();
    for block in Pem::iter_from_buffer(text.as_bytes()) {
        let block = block.map_err(|error| format!("a PEM block is malformed ({error})"))?;
        if accepted(&block.label) {
            found.push(block);
        }
    }
    Ok(found)
}

/// The certificate blocks of the text and nothing else: no comments, and no private key that someone put beside them.
pub(crate) fn certificates_only(text: &str) -> String {
    let mut kept = String::new();
    let mut inside = false;
    for line in text.lines().map(str::trim_end) {
        inside |= line == "-----BEGIN CERTIFICATE-----";
        if inside {
            kept.push_str(line);
            kept.push('\n');
        }
        inside &= line != "-----END CERTIFICATE-----";
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_certificates_and_drops_the_rest() {
        let certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let key = "-----BEGIN PRIVATE KEY-----\nBBBB\n-----END PRIVATE KEY-----\n";
        let text = format!("subject=x\r\n{}{key}\n{certificate}", certificate.replace('\n', "\r\n"));
        assert_eq!(certificates_only(&text), certificate.repeat(2));
        assert_eq!(certificates_only(key), "");
    }
}
