//! TLS towards mail hosts.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;

use super::{TlsError, certificates, provider};
use crate::types::Trust;

/// One TLS configuration for each kind of trust, made when first used: sessions with a
/// host are resumed, and roots are read once.
#[derive(Default)]
pub(in crate::net) struct Connectors(Mutex<HashMap<Trust, TlsConnector>>);

impl Connectors {
    /// What verifies a host as `trust` says. Reads files when it is first asked.
    pub(in crate::net) fn connector(&self, trust: &Trust) -> Result<TlsConnector, TlsError> {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connector) = made.get(trust) {
            return Ok(connector.clone());
        }
        let connector = TlsConnector::from(Arc::new(config(trust)?));
        made.insert(trust.clone(), connector.clone());
        Ok(connector)
    }

    /// Reads roots and files again at the next use.
    pub(in crate::net) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn config(trust: &Trust) -> Result<ClientConfig, TlsError> {
    let provider = provider();
    let verifier: Arc<dyn ServerCertVerifier> = match trust {
        Trust::System => chain_to(system_roots()?, &provider)?,
        Trust::CaFile(file) => chain_to(roots_of(file)?, &provider)?,
        Trust::Spki(key) => Arc::new(PinnedKey { key: *key, provider: provider.clone() }),
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Library)?;
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

fn chain_to(
    roots: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, TlsError> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|_| TlsError::NoSystemRoots)
}

fn system_roots() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // A system's bundle may hold what webpki does not take; those that remain count.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(TlsError::NoSystemRoots);
    }
    Ok(roots)
}

fn roots_of(file: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|source| TlsError::Unusable { file: file.to_owned(), source })?;
    }
    Ok(roots)
}

/// Trusts one key, whatever certificate carries it: SHA-256 over the end-entity
/// certificate's SubjectPublicKeyInfo (RFC 7469 §2.4). Name, dates and issuer do not
/// matter; that the host holds the private key is checked as ever.
#[derive(Debug)]
struct PinnedKey {
    key: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinnedKey {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = webpki::EndEntityCert::try_from(end_entity)
            .map_err(|_| Error::from(CertificateError::BadEncoding))?;
        let spki = certificate.subject_public_key_info();
        let found = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &spki);
        if found.as_ref() != self.key {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
