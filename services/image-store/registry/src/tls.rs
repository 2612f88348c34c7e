//! Whom we trust.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use schema::Failure;
use std::path::Path;
use std::sync::Arc;

/// The system's certificate authorities, and those of a PEM file. `SSL_CERT_FILE` and `SSL_CERT_DIR` are heeded.
pub(crate) fn configuration(ca: Option<&Path>) -> Result<ClientConfig, Failure> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::debug!(%error, "the system's certificate authorities");
    }
    roots.add_parsable_certificates(system.certs);
    if let Some(file) = ca {
        add(&mut roots, file)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let configuration = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::internal(format_args!("preparing TLS: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(configuration)
}

fn add(roots: &mut RootCertStore, file: &Path) -> Result<(), Failure> {
    let bad = |why: &dyn std::fmt::Display| {
        Failure::invalid(format_args!("registries.toml: ca = {:?}: {why}", file.display().to_string()))
            .hint("give a file of certificates in PEM that can be read")
    };
    let certificates = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| bad(&error))?;
    if certificates.is_empty() {
        return Err(bad(&"there is no certificate in it"));
    }
    for certificate in certificates {
        roots.add(certificate).map_err(|error| bad(&error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_authority_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let empty = directory.path().join("empty.pem");
        std::fs::write(&empty, "").unwrap();
        for file in [&empty, &directory.path().join("absent.pem")] {
            let failure = configuration(Some(file)).unwrap_err();
            assert!(failure.message.contains(&file.display().to_string()), "{failure}");
        }
        assert!(configuration(None).is_ok());
    }
}
